//! The files of the workspace, as they lie on disk: what the version control thinks of them does not matter.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Source;

/// Every text file of the workspace that a person writes.
#[derive(Debug)]
pub struct Tree {
    /// Ordered by path.
    pub files: Vec<Source>,
}

/// Directories that hold what nobody wrote by hand, or test data that must stay as its author made it.
const SKIPPED: [&str; 5] = ["target", ".git", "conformance/corpus", "fuzz/corpus", "crates/tidy/tests"];

impl Tree {
    /// Reads the workspace that this crate belongs to.
    pub fn read() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = Vec::new();
        read_directory(&root, "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }

    /// Returns the file at a path, if there is one.
    pub fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Returns the files written in Rust.
    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// Returns the manifests of the crates in `crates/`, each with its crate's directory name.
    pub fn manifests(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.files
            .iter()
            .filter(|file| file.path.ends_with("/Cargo.toml"))
            .filter_map(|file| Some((file.crate_name()?, file)))
    }
}

fn read_directory(root: &Path, within: &str, files: &mut Vec<Source>) {
    let entries = fs::read_dir(root.join(within))
        .expect("the workspace's directories can be read by whoever builds it");
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if within.is_empty() { name } else { format!("{within}/{name}") };
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            // A copied target directory or a virtual environment is not ours.
            if !path.ends_with("/target") && !path.ends_with("/__pycache__") {
                read_directory(root, &path, files);
            }
        } else if kind.is_file() {
            // What is not text (a certificate in DER, a sample) has no rules.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(Source::new(path, text));
            }
        }
    }
}
