//! `[gateway.users]`: who may federate, from the file and the lists that it names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gateway_role::policy::{Access, Origin, Policy, Rule, Whom, read_list};

use super::check::files;
use super::mistake::{Mistake, Severity, Span};
use super::model::SipDomain;
use super::reader::Node;
use super::value::At;

/// `[gateway.users]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct Users {
    pub span: Span,
    pub default: At<Access>,
    pub allowed: Vec<At<String>>,
    pub refused: Vec<At<String>>,
    pub allowed_files: Vec<At<PathBuf>>,
    pub refused_files: Vec<At<PathBuf>>,
}

/// Returns what the table says, if all of it is right.
pub fn build(node: &Node, here: &impl Fn(At<PathBuf>) -> At<PathBuf>) -> Option<Users> {
    let files = |key| {
        let files = node.texts(key)?.into_iter();
        Some(files.map(|at| here(At { value: at.value.into(), span: at.span })).collect())
    };
    let default = node.text("default")?;
    let access = if default.value == "refused" { Access::Refused } else { Access::Allowed };
    Some(Users {
        span: node.span.clone(),
        default: At { value: access, span: default.span },
        allowed: node.texts("allowed")?,
        refused: node.texts("refused")?,
        allowed_files: files("allowed-files")?,
        refused_files: files("refused-files")?,
    })
}

/// Returns the policy, with the lists read afresh.
///
/// # Errors
/// What the first mistake is.
pub fn policy(users: &Users) -> Result<Policy, String> {
    let mut findings = Vec::new();
    let said = read(users, &mut findings);
    match findings.into_iter().find(|one| one.severity == Severity::Error) {
        Some(mistake) => Err(mistake.what),
        None => Ok(Policy::new(users.default.value, said.into_iter().map(|(rule, _)| rule).collect())),
    }
}

/// Adds what is wrong with the table and with the lists.
pub fn check(users: &Users, domains: &[SipDomain], findings: &mut Vec<Mistake>) {
    let said = read(users, findings);
    check_opposites(&said, findings);
    check_strangers(&said, domains, findings);
    let allows = |(rule, _): &(Rule, Span)| rule.access == Access::Allowed;
    if users.default.value == Access::Refused && !said.iter().any(allows) {
        findings.push(
            Mistake::warning(&users.default.span, "nobody may federate: all are refused and none is allowed")
                .help("name those who may in `allowed` or `allowed-files`"),
        );
    }
}

/// Returns every rule with the place in the configuration that it comes from.
fn read(users: &Users, findings: &mut Vec<Mistake>) -> Vec<(Rule, Span)> {
    let mut said = Vec::new();
    let lists = [
        (Access::Allowed, "`allowed`", &users.allowed, &users.allowed_files),
        (Access::Refused, "`refused`", &users.refused, &users.refused_files),
    ];
    for (access, setting, written, files) in lists {
        let origin = Origin { place: format!("{setting} of [gateway.users]").into(), line: None };
        for at in written {
            // What cannot be read has been told with the value.
            if let Ok(whom) = Whom::parse(at) {
                said.push((Rule { whom, access, origin: origin.clone() }, at.span.clone()));
            }
        }
        for file in files {
            read_file(file, access, &mut said, findings);
        }
    }
    said
}

fn read_file(file: &At<PathBuf>, access: Access, said: &mut Vec<(Rule, Span)>, findings: &mut Vec<Mistake>) {
    let Some(octets) = files::read(file, findings) else { return };
    let place = file.value.display().to_string();
    let Some(text) = decode(&octets) else {
        findings.push(
            Mistake::error(&file.span, format!("`{place}` is no text in UTF-8 or UTF-16"))
                .help("in PowerShell: `Set-Content -Encoding utf8`"),
        );
        return;
    };
    let origin = Origin { place: place.as_str().into(), line: None };
    let mut wrong = 0;
    for (line, whom) in read_list(&text) {
        match whom {
            Ok(whom) => {
                let origin = Origin { line: Some(line), ..origin.clone() };
                said.push((Rule { whom, access, origin }, file.span.clone()));
            }
            Err(why) if wrong < SHOWN => {
                wrong += 1;
                let written = text.lines().nth(line as usize - 1).unwrap_or_default().trim();
                let written: String = written.chars().take(60).collect();
                findings.push(
                    Mistake::error(&file.span, format!("`{place}`, line {line}: `{written}` names nobody: {why}"))
                        .help("write one address or domain on a line: bob@example.com; words after # are for people"),
                );
            }
            Err(_) => wrong += 1,
        }
    }
    if wrong > SHOWN {
        let more = wrong - SHOWN;
        findings
            .push(Mistake::error(&file.span, format!("`{place}` has {more} more lines that name nobody")));
    }
}

/// How many wrong lines of one file are told.
const SHOWN: usize = 5;

/// Returns the text, whichever encoding Windows gave it.
fn decode(octets: &[u8]) -> Option<String> {
    let wide = |read: fn([u8; 2]) -> u16, rest: &[u8]| {
        let units = rest.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().ok()
    };
    match octets {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xff, 0xfe, rest @ ..] => wide(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => wide(u16::from_be_bytes, rest),
        _ => String::from_utf8(octets.to_vec()).ok(),
    }
}

/// Tells of addresses and domains that are both allowed and refused.
fn check_opposites(said: &[(Rule, Span)], findings: &mut Vec<Mistake>) {
    let mut before: BTreeMap<String, &Rule> = BTreeMap::new();
    for (rule, span) in said {
        match before.get(&rule.whom.to_string()) {
            Some(other) if other.access != rule.access => findings.push(
                Mistake::error(
                    span,
                    format!(
                        "`{}` is both allowed ({}) and refused ({})",
                        rule.whom, other.origin, rule.origin
                    ),
                )
                .help("take one of them out"),
            ),
            Some(_) => {}
            None => drop(before.insert(rule.whom.to_string(), rule)),
        }
    }
}

/// Tells, once for each place, of users whom we do not serve.
fn check_strangers(said: &[(Rule, Span)], domains: &[SipDomain], findings: &mut Vec<Mistake>) {
    let is_ours = |rule: &Rule| domains.iter().any(|ours| *ours.domain.value == *rule.whom.domain().as_str());
    let mut strangers: BTreeMap<(usize, usize), (&Rule, usize)> = BTreeMap::new();
    for (rule, span) in said.iter().filter(|(rule, _)| !is_ours(rule)) {
        strangers.entry((span.start, span.end)).or_insert((rule, 0)).1 += 1;
    }
    for ((start, end), (first, count)) in strangers {
        let more = if count > 1 { format!(", and {} more there", count - 1) } else { String::new() };
        let what = format!("`{}` ({}){more}: of no SIP domain that is served here", first.whom, first.origin);
        findings.push(
            Mistake::warning(&(start..end), what)
                .help("only users of a `[[gateway.domain]]` are asked about"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_windows_wrote_is_read() {
        let wide: Vec<u8> = "\u{feff}bob@s.example".encode_utf16().flat_map(u16::to_le_bytes).collect();

        assert_eq!(decode(&wide).as_deref(), Some("bob@s.example"));
        assert_eq!(decode(b"\xef\xbb\xbfbob@s.example").as_deref(), Some("bob@s.example"));
        assert_eq!(decode(b"\xc3\x28"), None);
    }
}
