//! Citations: code names the documents it obeys, and `specs/index.tsv` says how much of each we do.

use std::collections::BTreeMap;

use crate::{Finding, Source, Tree};

const INDEX: &str = "specs/index.tsv";

/// How much of a document we do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Yes,
    Partial,
    No,
    Never,
}

/// Finds rows of the index that cannot be read, are out of order, or claim what no code cites.
pub fn index_faults(tree: &Tree) -> Vec<Finding> {
    let (rows, mut findings) = index(tree);
    let cited = citations(tree);
    for (id, (extent, line)) in &rows {
        let is_claimed = matches!(extent, Extent::Yes | Extent::Partial);
        if is_claimed && !cited.contains_key(id) {
            findings.push(fault(*line, format!("{id} is claimed and no code cites it")));
        }
    }
    findings
}

/// Finds citations of documents that the index does not list.
pub fn unknown_documents(tree: &Tree) -> Vec<Finding> {
    let (rows, _) = index(tree);
    citations(tree)
        .into_iter()
        .filter(|(id, _)| !rows.contains_key(id))
        .map(|(id, (place, line))| Finding {
            place,
            line,
            measure: 1,
            message: format!("{id} is not in {INDEX}: add it, with how much of it we do"),
        })
        .collect()
}

/// Documents that are not RFCs or XEPs and have sections all the same.
const OTHERS: [&str; 4] = ["XML 1.0", "Namespaces in XML", "MS-", "ARCHITECTURE.md"];

/// Finds files that cite a section without saying, themselves or in the module above, of which document.
pub fn sections_of_nothing(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter_map(|file| {
            let at =
                file.comments.match_indices('§').map(|(at, _)| at).find(|at| {
                    file.comments[at + '§'.len_utf8()..].starts_with(|c: char| c.is_ascii_digit())
                })?;
            let is_named = names_document(file) || parent(tree, file).is_some_and(names_document);
            (!is_named).then(|| Finding::at(file, file.line_at(at), "a section of which document?"))
        })
        .collect()
}

fn names_document(file: &Source) -> bool {
    !identifiers(&file.comments).is_empty() || OTHERS.iter().any(|other| file.comments.contains(other))
}

/// Returns the module that a file is declared in: `x/mod.rs` or `x.rs` for `x/y.rs`.
fn parent<'a>(tree: &'a Tree, file: &Source) -> Option<&'a Source> {
    let (directory, _) = file.path.rsplit_once('/')?;
    [format!("{directory}/mod.rs"), format!("{directory}.rs"), format!("{directory}/lib.rs")]
        .iter()
        .find_map(|path| tree.file(path))
}

fn fault(line: usize, message: impl Into<String>) -> Finding {
    Finding { place: INDEX.into(), line, measure: 1, message: message.into() }
}

fn index(tree: &Tree) -> (BTreeMap<String, (Extent, usize)>, Vec<Finding>) {
    let (mut rows, mut findings) = (BTreeMap::new(), Vec::new());
    let Some(file) = tree.file(INDEX) else { return (rows, vec![fault(0, "the index is missing")]) };
    let mut last = String::new();
    for (number, row) in file.text.lines().enumerate().skip(1).map(|(index, row)| (index + 1, row)) {
        let columns: Vec<_> = row.split('\t').collect();
        let [id, title, extent, why] = columns[..] else {
            findings.push(fault(number, "id, title, extent and why, with tabs between"));
            continue;
        };
        let Some(extent) = parse_extent(extent) else {
            findings.push(fault(number, "the extent is yes, partial, no or never"));
            continue;
        };
        if title.is_empty() || why.len() < 10 {
            findings.push(fault(number, "a title, and why"));
        }
        if *id <= *last {
            findings.push(fault(number, format!("{id} comes before {last}, once")));
        }
        last = id.into();
        rows.insert(id.to_owned(), (extent, number));
    }
    (rows, findings)
}

fn parse_extent(text: &str) -> Option<Extent> {
    match text {
        "yes" => Some(Extent::Yes),
        "partial" => Some(Extent::Partial),
        "no" => Some(Extent::No),
        "never" => Some(Extent::Never),
        _ => None,
    }
}

/// Returns the documents that our code cites, each with the first place.
fn citations(tree: &Tree) -> BTreeMap<String, (String, usize)> {
    let mut cited = BTreeMap::new();
    let ours = |file: &&Source| !file.path.starts_with("crates/tidy/");
    for file in tree.rust().filter(ours) {
        for (id, at) in identifiers(&file.comments) {
            cited.entry(id).or_insert_with(|| (file.path.clone(), file.line_at(at)));
        }
    }
    cited
}

/// Returns `RFC 3261` and `XEP-0198` wherever they stand in a text.
fn identifiers(text: &str) -> Vec<(String, usize)> {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut found = Vec::new();
    for (prefix, length) in [("RFC ", 3..=5), ("XEP-", 4..=4)] {
        for (at, _) in text.match_indices(prefix) {
            let from = at + prefix.len();
            let count = digits(from);
            if length.contains(&count) {
                found.push((text[at..from + count].to_owned(), at));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_known_by_their_usual_names() {
        let found: Vec<_> = identifiers("RFC 3261 §17.1.2, XEP-0198 §4; RFC x, XEP-12")
            .into_iter()
            .map(|(id, _)| id)
            .collect();

        assert_eq!(found, ["RFC 3261", "XEP-0198"]);
    }
}
