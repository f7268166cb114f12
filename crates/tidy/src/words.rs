//! Words that we do not use (CONVENTIONS.md, "Names" and "Comments and docs").

use crate::{Finding, Source, Tree};

/// Last words of a type's name that say nothing.
const EMPTY_ENDINGS: [&str; 9] =
    ["Manager", "Handler", "Helper", "Helpers", "Util", "Utils", "Info", "Data", "Common"];
/// Names of modules and crates that attract what belongs nowhere.
const EMPTY_MODULES: [&str; 7] = ["common", "core", "util", "utils", "helper", "helpers", "misc"];

/// Finds types and modules whose name says nothing.
pub fn empty_names(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .flat_map(|file| empty_types(file).into_iter().chain(empty_modules(file)).collect::<Vec<_>>())
        .collect()
}

fn empty_types(file: &Source) -> Vec<Finding> {
    ["struct", "enum", "trait", "type"]
        .into_iter()
        .flat_map(|keyword| declared(file, keyword))
        .filter(|(_, name)| EMPTY_ENDINGS.iter().any(|ending| name.ends_with(ending)))
        .map(|(line, name)| Finding::at(file, line, format!("`{name}`: what is it, in the spec's word?")))
        .collect()
}

fn empty_modules(file: &Source) -> Vec<Finding> {
    declared(file, "mod")
        .filter(|(_, name)| EMPTY_MODULES.contains(&name.as_str()))
        .map(|(line, name)| Finding::at(file, line, format!("module `{name}`: what is in it?")))
        .collect()
}

fn declared<'a>(file: &'a Source, keyword: &'a str) -> impl Iterator<Item = (usize, String)> + 'a {
    file.code_places(keyword).map(|at| {
        let rest = file.code[at + keyword.len()..].trim_start();
        (file.line_at(at), rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    })
}

/// Finds notes to ourselves that no issue remembers.
pub fn forgotten_notes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (index, line) in file.comments.lines().enumerate() {
            for word in ["TODO", "FIXME", "XXX", "HACK"] {
                let Some(at) = line.find(word) else { continue };
                let rest = &line[at + word.len()..];
                let has_issue = rest.starts_with("(#") && rest[2..].starts_with(|c: char| c.is_ascii_digit());
                if !has_issue {
                    findings.push(Finding::at(
                        file,
                        index + 1,
                        format!("{word} without an issue: {word}(#12)"),
                    ));
                }
            }
        }
    }
    findings
}

/// Finds workarounds for others' bugs that do not say whose and which version.
pub fn anonymous_workarounds(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (index, line) in file.comments.lines().enumerate() {
            let Some(at) = line.find("COMPAT") else { continue };
            let is_named = line[at..]
                .strip_prefix("COMPAT(")
                .and_then(|rest| rest.split_once("):"))
                .is_some_and(|(who, _)| who.contains(", "));
            if !is_named {
                findings.push(Finding::at(file, index + 1, "COMPAT(name, version): and when it may go"));
            }
        }
    }
    findings
}

/// Finds paths that exist on one machine only.
pub fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let paths = ["/home/", "/root/", "/Users/"];
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path != "crates/tidy/src/words.rs") {
        for (index, line) in file.text.lines().enumerate() {
            let found = paths.iter().find(|path| {
                line.match_indices(**path).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "./_-}".contains(c))
                })
            });
            if let Some(path) = found {
                findings.push(Finding::at(
                    file,
                    index + 1,
                    format!("`{path}…` exists on somebody's machine only"),
                ));
            }
        }
    }
    findings
}

/// Finds dependencies that come from elsewhere than the public registry.
pub fn foreign_sources(tree: &Tree) -> Vec<Finding> {
    const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let Some(lock) = tree.file("Cargo.lock") else {
        return vec![Finding::about("Cargo.lock", "the lock file belongs to the project")];
    };
    let foreign = |line: &str| line.starts_with("source = ") && line != REGISTRY;
    lock.text
        .lines()
        .enumerate()
        .filter(|(_, line)| foreign(line))
        .map(|(index, line)| Finding::at(lock, index + 1, format!("{line}: only the public registry")))
        .collect()
}

/// Finds messages that say "failed to" where they could say what was wrong.
pub fn vague_messages(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (at, _) in file.text.match_indices("\"failed to ") {
            let is_literal = file.code.as_bytes()[at] == b'"' && !file.is_test_at(at);
            if is_literal {
                findings.push(Finding::at(
                    file,
                    file.line_at(at),
                    "say who did what, not that something failed",
                ));
            }
        }
    }
    findings
}
