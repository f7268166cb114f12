//! What comes from others: versions that are too old, and licences. Reads `deny.toml`, as cargo-deny would where it is installed.

use std::process::Command;

use toml::de::{DeTable, DeValue};

use crate::{Finding, Tree};

const RULES: &str = "deny.toml";

/// Finds locked versions that `[bans]` in deny.toml forbids.
pub fn banned_versions(tree: &Tree) -> Vec<Finding> {
    let (Some(rules), Some(lock)) = (tree.file(RULES), tree.file("Cargo.lock")) else {
        return vec![Finding::about(RULES, "deny.toml and Cargo.lock belong to the project")];
    };
    let bans = bans(&rules.text);
    locked(&lock.text)
        .filter_map(|(name, version)| {
            let ban = bans.iter().find(|ban| ban.forbids(name, version))?;
            Some(Finding::about("Cargo.lock", format!("{name} {version} is banned: {}", ban.reason)))
        })
        .collect()
}

/// Finds crates whose licence `[licenses]` in deny.toml does not allow, as cargo tells them.
pub fn foreign_licences(tree: &Tree) -> Vec<Finding> {
    let Some(rules) = tree.file(RULES) else {
        return vec![Finding::about(RULES, "deny.toml belongs to the project")];
    };
    let allowed = allowed(&rules.text);
    let mut findings: Vec<_> = licences()
        .lines()
        .filter_map(|line| line.split_once('|'))
        // Ours have a path behind their version.
        .filter(|(package, licence)| !package.contains(" (/") && !is_allowed(licence, &allowed))
        .map(|(package, licence)| {
            Finding::about(
                "Cargo.lock",
                format!("{package} is under «{licence}», which deny.toml does not allow"),
            )
        })
        .collect();
    findings.dedup();
    findings
}

struct Ban {
    name: String,
    below: Option<Vec<u64>>,
    reason: String,
}

impl Ban {
    fn forbids(&self, name: &str, version: &str) -> bool {
        self.name == name && self.below.as_ref().is_none_or(|below| numbers(version) < *below)
    }
}

/// `0.23.46+build` as numbers; a pre-release counts as its release.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['+', '-']).next().unwrap_or_default();
    release.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

fn bans(rules: &str) -> Vec<Ban> {
    let text = |entry: &DeTable<'_>, key: &str| {
        entry.get(key).and_then(|value| value.get_ref().as_str()).unwrap_or_default().to_owned()
    };
    let table = DeTable::parse(rules).expect("deny.toml is TOML");
    let Some(entries) = list(table.get_ref(), "bans", "deny") else { return Vec::new() };
    entries
        .filter_map(DeValue::as_table)
        .map(|entry| {
            let spec = text(entry, "crate");
            let (name, below) =
                spec.split_once("@<").map_or((spec.as_str(), None), |(n, v)| (n, Some(numbers(v))));
            Ban { name: name.to_owned(), below, reason: text(entry, "reason") }
        })
        .collect()
}

fn allowed(rules: &str) -> Vec<String> {
    let table = DeTable::parse(rules).expect("deny.toml is TOML");
    list(table.get_ref(), "licenses", "allow")
        .map(|entries| entries.filter_map(DeValue::as_str).map(str::to_owned).collect())
        .unwrap_or_default()
}

fn list<'a, 'i>(
    table: &'a DeTable<'i>,
    section: &str,
    key: &str,
) -> Option<impl Iterator<Item = &'a DeValue<'i>>> {
    let section = table.get(section)?.get_ref().as_table()?;
    Some(section.get(key)?.get_ref().as_array()?.iter().map(|value| value.get_ref()))
}

fn locked(lock: &str) -> impl Iterator<Item = (&str, &str)> {
    lock.split("[[package]]").skip(1).filter_map(|package| {
        let field = |key: &str| {
            package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
        };
        Some((field("name")?, field("version")?))
    })
}

/// Returns a line for each crate in the build: `name version|licence`.
fn licences() -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--no-dedupe",
        ])
        .args(["--format", "{p}|{l}", "--manifest-path", root])
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    lines.join("\n")
}

/// Reads an SPDX expression: of an OR one side must do, of an AND both.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    // The old way to write OR.
    let expression = expression.replace('/', " OR ");
    let plain = |text: &str| text.trim().trim_matches(['(', ')']).trim().to_owned();
    let outer_and = split_outside(&expression, " AND ");
    if outer_and.len() > 1 {
        return outer_and.iter().all(|part| is_allowed(part, allowed));
    }
    let inner = expression.trim();
    let inner = inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(inner);
    let or = split_outside(inner, " OR ");
    if or.len() > 1 || inner != expression.trim() {
        return or.iter().any(|part| is_allowed(part, allowed));
    }
    allowed.contains(&plain(inner))
}

/// Splits at a word that is not within parentheses.
fn split_outside<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let depth = |at: usize| text[..at].matches('(').count().saturating_sub(text[..at].matches(')').count());
    let (mut parts, mut from) = (Vec::new(), 0);
    for (at, _) in text.match_indices(word) {
        if depth(at) == 0 {
            parts.push(&text[from..at]);
            from = at + word.len();
        }
    }
    parts.push(&text[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_below_the_floor_is_banned() {
        let bans =
            bans("[bans]\ndeny = [{ crate = \"rustls@<0.23.18\", reason = \"x\" }, { crate = \"openssl\" }]");

        let forbids = |name: &str, version: &str| bans.iter().any(|ban| ban.forbids(name, version));

        assert!(forbids("rustls", "0.23.9") && !forbids("rustls", "0.23.18") && !forbids("rustls", "0.24.0"));
        assert!(forbids("openssl", "99.0.0") && !forbids("openssl-probe", "0.1.0"));
    }

    #[test]
    fn an_expression_is_allowed_as_its_parts_are() {
        let allowed = ["MIT".to_owned(), "ISC".to_owned()];

        for (expression, is_fine) in [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("ISC AND (Apache-2.0 OR MIT)", true),
            ("ISC AND (Apache-2.0 OR GPL-3.0)", false),
            ("(MIT OR Apache-2.0) AND GPL-3.0", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), is_fine, "{expression}");
        }
    }

    #[test]
    fn the_lock_file_names_every_version() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n";

        assert_eq!(locked(lock).collect::<Vec<_>>(), [("a", "1.2.3"), ("b", "0.1.0")]);
    }
}
