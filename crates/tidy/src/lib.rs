//! The project's rules as tests: what CONVENTIONS.md marks with ⚙ and the compiler and clippy do not check.
//!
//! A rule is a function from the [`Tree`] to the [`Finding`]s against it. `tests/rules.rs` names each rule as a sentence and
//! holds its findings against the [`ratchet`]: an exception is written down with its reason, and one that is no longer needed
//! must be taken out again.

pub mod physics;
pub mod ratchet;
pub mod shape;
pub mod source;
pub mod specs;
pub mod supply;
pub mod tree;
pub mod words;

pub use ratchet::settle;
pub use source::Source;
pub use tree::Tree;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What the ratchet file calls the place: a path from the workspace's root, with `::name` where a function is meant.
    pub place: String,
    /// The line, for a person who goes there; 0 where the whole file is meant.
    pub line: usize,
    /// How bad it is, in the rule's own unit: lines, occurrences.
    pub measure: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// Returns a finding that counts once, at a line of a file.
    pub fn at(source: &Source, line: usize, message: impl Into<String>) -> Self {
        Self { place: source.path.clone(), line, measure: 1, message: message.into() }
    }

    /// Returns a finding that counts once, about a file as a whole.
    pub fn about(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), line: 0, measure: 1, message: message.into() }
    }
}
