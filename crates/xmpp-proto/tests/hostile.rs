//! The hostile XMPP corpus against both ends of a stream: whole, octet by octet, and split everywhere.
//!
//! `conformance/corpus/xmpp-hostile/INDEX.tsv` says in which phase each input is sent and what may follow.
#![expect(clippy::unwrap_used, reason = "the corpus is ours: what is wrong with it fails the test")]

mod corpus;
mod machine;

use std::collections::BTreeSet;

use corpus::outcome::Split;
use corpus::verdict::{TIMING_MATTERS, is_expected};
use corpus::{Phase, cases};
use machine::outcome;

/// Inputs whose expected answer we do not give, and why. Each must fail: one that passes has to go.
const EXPECTED_FAILURES: [(&str, &str); 0] = [];

#[test]
fn every_hostile_input_is_answered_as_the_index_says() {
    let known: BTreeSet<&str> = EXPECTED_FAILURES.iter().map(|(id, _)| *id).collect();
    let mut wrong = Vec::new();
    let mut met = 0;
    for case in cases() {
        let outcome = outcome(case, Split::Whole);
        match (is_expected(case, &outcome), known.contains(&*case.id)) {
            (true, false) => met += 1,
            (false, true) => {}
            (true, true) => wrong.push(format!("{}: is met now: take it out of EXPECTED_FAILURES", case.id)),
            (false, false) => wrong.push(format!(
                "{} ({:?}): expected {} {:?} or {:?}, got {outcome:#?}",
                case.id, case.phase, case.expect_type, case.expected, case.also
            )),
        }
    }

    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(met + EXPECTED_FAILURES.len(), 145);
}

#[test]
fn no_stanza_is_accepted_that_the_index_says_must_be_refused() {
    // In these a good stanza precedes the bad octets.
    const GOOD_ONE_FIRST: [&str; 2] = ["f03-xmldecl-midstream", "f04-new-stream-header-midstream"];
    for case in cases() {
        let must_refuse =
            matches!(&*case.expect_type, "stream-error" | "stanza-error" | "sasl-failure" | "ignore")
                && case.id != "h16-data-after-close"
                && case.id != "h04-stanza-over-limit"
                || case.phase != Phase::Authenticated;
        let allowed = usize::from(GOOD_ONE_FIRST.contains(&&*case.id));
        // An error or result that nobody asked for is handed on and changes nothing there.
        let is_answer = matches!(&*case.id, "d21-iq-bounce-loop" | "f28-iq-unsolicited-result");
        if must_refuse && !is_answer {
            let outcome = outcome(case, Split::Whole);
            assert!(outcome.stanzas.len() <= allowed, "{}: {outcome:#?}", case.id);
        }
    }
}

#[test]
fn no_split_of_the_octets_changes_the_answer() {
    for case in cases() {
        if TIMING_MATTERS.contains(&&*case.id) {
            continue;
        }
        let whole = outcome(case, Split::Whole);
        let octets = case.octets.len();
        let chunk = if octets <= 4096 { 1 } else { 1021 };
        assert_eq!(outcome(case, Split::Chunks(chunk)), whole, "{}: in chunks of {chunk}", case.id);
        if octets <= 600 {
            for at in 1..octets {
                assert_eq!(outcome(case, Split::At(at)), whole, "{}: split at {at}", case.id);
            }
        }
    }
}

#[test]
fn where_timing_matters_nothing_of_the_old_stream_counts_on_the_new_one() {
    for case in cases().iter().filter(|case| TIMING_MATTERS.contains(&&*case.id)) {
        for at in 0..case.octets.len() {
            let outcome = outcome(case, Split::At(at));
            assert_eq!(outcome.stanzas, Vec::<String>::new(), "{}: split at {at}", case.id);
        }
    }
}
