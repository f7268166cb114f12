//! Every play in `scenarios/` can be read.

use std::fs;
use std::path::{Path, PathBuf};

use peer_role::play::Play;

#[test]
fn every_play_in_the_scenarios_can_be_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let files = plays(&root);

    let bad: Vec<_> = files
        .iter()
        .filter_map(|file| {
            let error = Play::parse(&fs::read_to_string(file).unwrap()).err()?;
            Some(format!("{}: {error}", file.display()))
        })
        .collect();

    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(files.len() >= 20, "{} plays", files.len());
}

fn plays(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(plays(&path));
        } else if path.extension().is_some_and(|extension| extension == "scn") {
            found.push(path);
        }
    }
    found.sort();
    found
}
