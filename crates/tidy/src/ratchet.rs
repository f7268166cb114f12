//! Exceptions: each written down with its measure and its reason, and only ever getting fewer.

use crate::{Finding, Tree};

const FILE: &str = "crates/tidy/ratchet.tsv";

struct Exception<'a> {
    rule: &'a str,
    place: &'a str,
    measure: usize,
    line: usize,
}

/// Holds a rule's findings against the ratchet file and panics with what is left on either side.
///
/// # Panics
/// If a finding has no exception or exceeds it, or if an exception is more generous than it needs to be.
#[track_caller]
pub fn settle(tree: &Tree, rule: &str, findings: Vec<Finding>) {
    let text = tree.file(FILE).map_or("", |file| file.text.as_str());
    let complaints = complaints(rule, text, findings);
    assert!(complaints.is_empty(), "{} against «{rule}»:\n{}\n", complaints.len(), complaints.join("\n"));
}

fn complaints(rule: &str, ratchet: &str, mut findings: Vec<Finding>) -> Vec<String> {
    findings.sort();
    let mut complaints = Vec::new();
    for exception in exceptions(ratchet, &mut complaints).into_iter().filter(|e| e.rule == rule) {
        let (mine, others): (Vec<_>, Vec<_>) = findings.into_iter().partition(|f| f.place == exception.place);
        findings = others;
        let measure: usize = mine.iter().map(|f| f.measure).sum();
        if measure > exception.measure {
            findings.extend(mine);
        } else if measure < exception.measure {
            let Exception { place, line, measure: granted, .. } = exception;
            complaints
                .push(format!("{FILE}:{line}: {place} is granted {granted} and needs {measure}: tighten it"));
        }
    }
    complaints.extend(findings.iter().map(|f| format!("{}:{}: {}", f.place, f.line, f.message)));
    complaints
}

fn exceptions<'a>(text: &'a str, complaints: &mut Vec<String>) -> Vec<Exception<'a>> {
    let mut exceptions = Vec::new();
    for (index, row) in text.lines().enumerate().filter(|(_, row)| !row.is_empty() && !row.starts_with('#')) {
        let line = index + 1;
        match row.split('\t').collect::<Vec<_>>()[..] {
            [rule, place, measure, reason] if reason.len() > 20 => match measure.parse() {
                Ok(measure) => exceptions.push(Exception { rule, place, measure, line }),
                Err(_) => complaints.push(format!("{FILE}:{line}: the third column is a number")),
            },
            _ => complaints
                .push(format!("{FILE}:{line}: rule, place, measure and a real reason, with tabs between")),
        }
    }
    exceptions
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "short files\ta.rs\t700\ta table that reads best in one piece\n";

    fn long(measure: usize) -> Vec<Finding> {
        vec![Finding { place: "a.rs".into(), line: 0, measure, message: "too long".into() }]
    }

    #[test]
    fn a_finding_within_its_exception_is_settled() {
        assert!(complaints("short files", ONE, long(700)).is_empty());
    }

    #[test]
    fn a_finding_beyond_its_exception_is_told() {
        assert_eq!(complaints("short files", ONE, long(701)), ["a.rs:0: too long"]);
    }

    #[test]
    fn an_exception_that_is_too_generous_is_told() {
        assert_eq!(complaints("short files", ONE, long(650)).len(), 1);
        assert_eq!(complaints("short files", ONE, Vec::new()).len(), 1);
        assert!(complaints("other rule", ONE, Vec::new()).is_empty());
    }

    #[test]
    fn an_exception_without_a_reason_is_told() {
        assert_eq!(complaints("short files", "short files\ta.rs\t700\tbig\n", Vec::new()).len(), 1);
    }
}
