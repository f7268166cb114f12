//! Reading the corpus.

pub mod outcome;
pub mod verdict;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// One input and what is expected of us.
#[derive(Debug)]
pub struct Case {
    pub id: String,
    pub phase: Phase,
    /// Whether the peer's certificate proves it: not where the point is that only dialback does.
    pub has_certificate: bool,
    pub expect_type: String,
    pub expected: Vec<String>,
    pub also: Vec<String>,
    pub octets: Vec<u8>,
}

/// When the input is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// In clear, just after we accepted.
    Clear,
    /// Just after TLS is up.
    Secure,
    /// After remote.example is authenticated and the stream restarted.
    Authenticated,
    /// We are the initiator, in clear.
    OutgoingClear,
    /// We are the initiator, after TLS.
    OutgoingSecure,
}

/// Returns every case of the index, its octets expanded.
pub fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
        let folder = folder();
        let index = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
        index.lines().skip(1).map(|line| case(&folder, line)).collect()
    });
    &CASES
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/corpus/xmpp-hostile")
}

fn case(folder: &Path, line: &str) -> Case {
    let fields: Vec<&str> = line.split('\t').collect();
    let raw = std::fs::read(folder.join(fields[1])).unwrap();
    let phase = match fields[3] {
        "C0" => Phase::Clear,
        "T0" => Phase::Secure,
        "A0" => Phase::Authenticated,
        "O0" => Phase::OutgoingClear,
        "O1" => Phase::OutgoingSecure,
        other => panic!("no phase is called {other}"),
    };
    Case {
        id: fields[0].into(),
        phase,
        has_certificate: fields[5] != "dialback",
        expect_type: fields[6].into(),
        expected: words(fields[7]),
        also: words(fields[8]),
        octets: if fields[2] == "template" { expand(&raw) } else { raw },
    }
}

/// Splits at `|`, but not inside brackets; `name(a|b)` becomes `name(a)` and `name(b)`.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find('|').unwrap_or(rest.len());
        match rest[..end].find('(') {
            Some(open) if !rest[..end].contains(')') => {
                let close = rest.find(')').unwrap();
                let name = &rest[..open];
                words.extend(rest[open + 1..close].split('|').map(|inner| format!("{name}({inner})")));
                rest = rest[close + 1..].trim_start_matches('|');
            }
            _ => {
                words.push(rest[..end].to_string());
                rest = rest.get(end + 1..).unwrap_or_default();
            }
        }
    }
    words
}

/// Expands `{{REPEAT n|text}}` and `{{COUNT n|text}}`.
fn expand(raw: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(raw).unwrap();
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        expanded.push_str(&rest[..at]);
        let end = at + rest[at..].find("}}").unwrap();
        let (kind, body) = rest[at + 2..end].split_once(' ').unwrap();
        let (count, body) = body.split_once('|').unwrap();
        let count: usize = count.parse().unwrap();
        match kind {
            "REPEAT" => expanded.push_str(&body.repeat(count)),
            "COUNT" => expanded.extend((0..count).map(|n| body.replace('#', &n.to_string()))),
            other => panic!("no template is called {other}"),
        }
        rest = &rest[end + 2..];
    }
    expanded.push_str(rest);
    expanded.into_bytes()
}
