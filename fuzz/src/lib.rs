//! Any octets at all, into every parser: none may panic, hang, or print something that it reads differently.
//!
//! A [`Target`] is a plain function of octets that panics when a promise is broken. `tests/replay.rs` runs each over its corpus and
//! over mutations that are the same in every run; `cargo run --release -p fuzz -- TARGET SECONDS` goes on with new ones. What it finds
//! is written to `fuzz/found/`, mended, and moved into the corpus.

mod mutate;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

pub use mutate::Mutator;
pub use targets::TARGETS;

/// A promise about octets, and where to begin.
#[derive(Debug)]
pub struct Target {
    /// What it is called on the command line, and its directory in the corpus.
    pub name: &'static str,
    /// What is promised, as a sentence.
    pub promise: &'static str,
    /// Panics if the promise is broken.
    pub run: fn(&[u8]),
    /// Directories below `conformance/corpus` that hold samples for it, beside its own.
    pub samples: &'static [&'static str],
    /// Words that random octets would never make.
    pub words: &'static [&'static str],
}

impl Target {
    /// Returns the target of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Returns its corpus, ordered by path: the same in every run.
    pub fn corpus(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let own = root.join("corpus").join(self.name);
        let shared = self.samples.iter().map(|name| root.join("../conformance/corpus").join(name));
        let mut files: Vec<_> =
            std::iter::once(own).chain(shared).flat_map(|directory| files_in(&directory)).collect();
        files.sort();
        files
    }
}

fn files_in(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    // A directory that is not there holds nothing: a target may begin without samples.
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && !path.extension().is_some_and(|e| e == "md" || e == "tsv"))
        .filter_map(|path| Some((path.clone(), fs::read(path).ok()?)))
        .collect()
}
