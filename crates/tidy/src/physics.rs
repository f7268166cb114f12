//! A crate's suffix tells its physics (ARCHITECTURE.md): who may depend on whom, and what pure code may not touch.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Finding, Source, Tree};

/// Crates of others that hold values and functions only: no clock, no socket, no thread. Each was looked at.
const PURE_OTHERS: &[&str] = &[
    "base64",
    "bytes",
    "encoding_rs",
    "hashbrown",
    "hmac",
    "idna",
    "memchr",
    "precis-profiles",
    "rand_chacha",
    "serde_json",
    "sha1",
    "sha2",
    "siphasher",
    "smallvec",
    "stringprep",
    "subtle",
    "unicode-normalization",
];

/// Crates of others that touch the world, and the only crates of ours that may name them.
const KEPT_IN: [(&str, &[&str]); 9] = [
    ("tokio", &["net", "admin", "gangway"]),
    ("rustls", &["net", "gangway"]),
    ("rustls-webpki", &["net"]),
    ("hickory-resolver", &["net"]),
    ("socket2", &["net"]),
    ("openssl", &["net"]),
    ("rusqlite", &["store"]),
    ("axum", &["admin"]),
    ("anyhow", &["gangway"]),
];

/// The crates that may know XMPP and SIP at once.
const KNOWS_BOTH: [&str; 6] = ["translate", "gateway-role", "peer-role", "sim", "gangway", "tidy"];

/// What pure code may not say, and why.
const IMPURE: [(&str, &str); 22] = [
    ("Instant::now", "reads the clock: take `now: Now`"),
    ("SystemTime", "reads the clock: take `now: Now`"),
    ("std::net::TcpStream", "does IO"),
    ("std::net::TcpListener", "does IO"),
    ("std::net::UdpSocket", "does IO"),
    ("TcpStream::", "does IO"),
    ("UdpSocket::", "does IO"),
    ("std::fs", "does IO"),
    ("std::env", "reads the environment: take a setting"),
    ("std::process", "leaves: return a value"),
    ("std::thread", "spawns: a machine has one owner"),
    ("thread::spawn", "spawns: a machine has one owner"),
    ("Mutex", "locks: a machine has one owner"),
    ("RwLock", "locks: a machine has one owner"),
    ("Condvar", "waits: a machine has one owner"),
    ("async fn", "waits: a machine is told"),
    ("async move", "waits: a machine is told"),
    (".await", "waits: a machine is told"),
    ("println!", "speaks to a terminal: emit a Notice"),
    ("eprintln!", "speaks to a terminal: emit a Notice"),
    ("collections::HashMap", "its order differs from run to run: BTreeMap, or hashbrown with a fixed hasher"),
    ("collections::HashSet", "its order differs from run to run: BTreeSet, or hashbrown with a fixed hasher"),
];

/// What kind of crate a name announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Physics {
    /// Values: parse, print, compare.
    Types,
    /// One protocol as state machines.
    Proto,
    /// Functions of values, XMPP ⇄ SIP.
    Translate,
    /// The decisions of one role.
    Role,
    /// Touches the world.
    Shell,
}

impl Physics {
    /// Returns what a crate's name announces.
    pub fn of(name: &str) -> Self {
        match name {
            "translate" => Self::Translate,
            _ if name.ends_with("-types") => Self::Types,
            _ if name.ends_with("-proto") => Self::Proto,
            _ if name.ends_with("-role") => Self::Role,
            _ => Self::Shell,
        }
    }

    /// Whether code of this kind may see code of that kind.
    fn may_see(self, other: Self) -> bool {
        match self {
            Self::Types | Self::Translate | Self::Proto => other == Self::Types,
            Self::Role => matches!(other, Self::Types | Self::Proto | Self::Translate),
            Self::Shell => true,
        }
    }
}

/// Finds dependencies that a crate's suffix forbids.
pub fn forbidden_dependencies(tree: &Tree) -> Vec<Finding> {
    let ours = dependencies(tree);
    let mut findings = Vec::new();
    for (name, needs) in &ours {
        let physics = Physics::of(name);
        for need in needs {
            let is_fine = match ours.contains_key(need) {
                true => physics.may_see(Physics::of(need)),
                false => physics == Physics::Shell || PURE_OTHERS.contains(&need.as_str()),
            };
            if !is_fine {
                findings
                    .push(about(name, format!("{name} may not see {need}: a {physics:?} crate must not")));
            }
        }
    }
    findings
}

/// Finds crates that know both protocols and are not meant to.
pub fn bilingual_crates(tree: &Tree) -> Vec<Finding> {
    let knows = |name: &str, needs: &[String], side: &str| {
        name.starts_with(side) || needs.iter().any(|need| need.starts_with(side))
    };
    dependencies(tree)
        .iter()
        .filter(|(name, needs)| knows(name, needs, "xmpp-") && knows(name, needs, "sip-"))
        .filter(|(name, _)| !KNOWS_BOTH.contains(&name.as_str()))
        .map(|(name, _)| about(name, format!("{name} knows XMPP and SIP; only {KNOWS_BOTH:?} may")))
        .collect()
}

/// Finds crates of others outside the one place that we keep them in.
pub fn strays(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, needs) in dependencies(tree) {
        for (other, homes) in KEPT_IN {
            if needs.iter().any(|need| need == other) && !homes.contains(&name.as_str()) {
                findings.push(about(&name, format!("{other} is used only in {homes:?}")));
            }
        }
    }
    findings
}

/// Finds what touches the world in crates that are pure by name.
pub fn impurities(tree: &Tree) -> Vec<Finding> {
    let is_pure = |file: &&Source| {
        file.crate_name().is_some_and(|name| Physics::of(name) != Physics::Shell)
            && file.path.contains("/src/")
    };
    let mut findings = Vec::new();
    for file in tree.rust().filter(is_pure) {
        for (word, why) in IMPURE {
            for at in file.code_places(word).filter(|at| !file.is_test_at(*at)) {
                findings.push(Finding::at(file, file.line_at(at), format!("`{word}` {why}")));
            }
        }
        findings.extend(grouped_hash_imports(file));
    }
    findings
}

/// Finds `use std::collections::{…, HashMap}`.
fn grouped_hash_imports(file: &Source) -> Vec<Finding> {
    file.code
        .match_indices("std::collections::{")
        .filter(|(at, _)| !file.is_test_at(*at))
        .filter(|(at, _)| {
            let group = file.code[*at..].split('}').next().unwrap_or_default();
            group.contains("HashMap") || group.contains("HashSet")
        })
        .map(|(at, _)| {
            Finding::at(file, file.line_at(at), "its order differs from run to run: BTreeMap, or hashbrown")
        })
        .collect()
}

/// Finds crates whose manifest leaves the workspace's rules.
pub fn loose_manifests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, manifest) in tree.manifests() {
        let table = parse(manifest);
        let value = |section: &str, key: &str| {
            let section = table.get_ref().get(section)?.get_ref().as_table()?;
            Some(section.get(key)?.get_ref())
        };
        let inherits = value("lints", "workspace").and_then(DeValue::as_bool);
        let text = |key: &str| value("package", key).and_then(DeValue::as_str);
        if inherits != Some(true) {
            findings.push(about(name, "[lints] workspace = true".into()));
        }
        if text("name") != Some(name) {
            findings.push(about(name, "a crate is called as its directory".into()));
        }
        if text("description").is_none_or(|d| !d.ends_with('.')) {
            findings.push(about(name, "a description: one sentence".into()));
        }
    }
    findings
}

/// Finds pure crates that clippy does not guard: the `clippy.toml` nearest to a crate is the one that counts, and it replaces the
/// workspace's instead of adding to it.
pub fn unguarded_crates(tree: &Tree) -> Vec<Finding> {
    let Some(model) = tree.file("crates/clock-types/clippy.toml") else {
        return vec![about("clock-types", "its clippy.toml is the model for all pure crates".into())];
    };
    tree.manifests()
        .filter(|(name, _)| Physics::of(name) != Physics::Shell)
        .filter(|(name, _)| {
            tree.file(&format!("crates/{name}/clippy.toml")).is_none_or(|file| file.text != model.text)
        })
        .map(|(name, _)| about(name, format!("crates/{name}/clippy.toml must be a copy of {}", model.path)))
        .collect()
}

fn about(name: &str, message: String) -> Finding {
    Finding::about(format!("crates/{name}/Cargo.toml"), message)
}

fn parse(manifest: &Source) -> Spanned<DeTable<'_>> {
    DeTable::parse(&manifest.text).expect("cargo has read the same manifest to build this")
}

/// Returns every crate of ours with what it needs to be built, tests apart.
fn dependencies(tree: &Tree) -> BTreeMap<String, Vec<String>> {
    tree.manifests().map(|(name, manifest)| (name.to_owned(), needs(manifest))).collect()
}

fn needs(manifest: &Source) -> Vec<String> {
    let table = parse(manifest);
    ["dependencies", "build-dependencies"]
        .into_iter()
        .filter_map(|section| table.get_ref().get(section)?.get_ref().as_table())
        .flat_map(|section| section.keys().map(|key| key.get_ref().to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(manifests: &[(&str, &str)]) -> Tree {
        let files =
            manifests.iter().map(|(path, text)| Source::new((*path).into(), (*text).into())).collect();
        Tree { files }
    }

    #[test]
    fn a_machine_may_not_see_another_machine() {
        let tree = tree(&[
            (
                "crates/a-proto/Cargo.toml",
                "[dependencies]\nb-proto.workspace = true\nc-types.workspace = true",
            ),
            ("crates/b-proto/Cargo.toml", ""),
            ("crates/c-types/Cargo.toml", "[dependencies]\nb-proto.workspace = true"),
        ]);

        assert_eq!(forbidden_dependencies(&tree).len(), 2);
    }

    #[test]
    fn a_runtime_in_a_pure_crate_is_found() {
        let tree = tree(&[("crates/a-types/Cargo.toml", "[dependencies]\ntokio = \"1\"")]);

        assert_eq!(forbidden_dependencies(&tree).len(), 1);
        assert_eq!(strays(&tree).len(), 1);
    }

    #[test]
    fn the_protocols_do_not_know_each_other() {
        let tree = tree(&[("crates/xmpp-proto/Cargo.toml", "[dependencies]\nsip-types = \"1\"")]);

        assert_eq!(bilingual_crates(&tree).len(), 1);
    }

    #[test]
    fn a_clock_is_found_outside_tests_only() {
        let code = "fn a() { Instant::now(); }\n#[cfg(test)]\nmod tests { fn b() { Instant::now(); } }";
        let tree = tree(&[("crates/a-types/src/lib.rs", code), ("crates/net/src/lib.rs", code)]);

        assert_eq!(impurities(&tree).len(), 1);
    }

    #[test]
    fn a_map_without_order_is_found_in_a_group_too() {
        let code = "use std::collections::{BTreeMap, HashMap};\nuse std::collections::HashSet;";
        let tree = tree(&[("crates/a-role/src/lib.rs", code)]);

        assert_eq!(impurities(&tree).len(), 2);
    }
}
