//! The hostile XMPP corpus against both ends of a stream: whole, octet by octet, and split everywhere.
//!
//! `conformance/corpus/xmpp-hostile/INDEX.tsv` says in which phase each input is sent and what may follow.
#![expect(clippy::unwrap_used, reason = "the corpus is ours: what is wrong with it fails the test")]

mod corpus;

use std::collections::BTreeSet;

use corpus::outcome::{Outcome, Split, outcome};
use corpus::{Case, Phase, cases};

/// Inputs whose expected answer we do not give, and why. Each must fail: one that passes has to go.
const EXPECTED_FAILURES: [(&str, &str); 0] = [];

/// Inputs where what comes after a change of streams depends on when it comes.
const TIMING_MATTERS: [&str; 3] =
    ["c04-starttls-plus-plaintext-header", "c05-starttls-then-whitespace", "c20-pipelined-after-auth"];

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

fn is_expected(case: &Case, outcome: &Outcome) -> bool {
    case.expected.iter().chain(&case.also).any(|word| meets(case, outcome, word))
}

/// An answer that nobody asked for may be handed on, and is answered by nothing.
fn is_ignored(outcome: &Outcome) -> bool {
    let is_answer = |stanza: &String| stanza.contains("type='error'") || stanza.contains("type='result'");
    outcome.stream_error.is_none() && outcome.answers.is_empty() && outcome.stanzas.iter().all(is_answer)
}

/// Tells whether an outcome is what one word of the index asks for.
fn meets(case: &Case, outcome: &Outcome, word: &str) -> bool {
    let quiet = outcome.stream_error.is_none();
    let has_answer = |condition: &str| outcome.answers.iter().any(|answer| answer == condition);
    match word {
        "accept" | "features" if case.phase == Phase::Clear => quiet && outcome.has_features,
        "accept" | "features" => quiet,
        "none" if case.expect_type == "ignore" => is_ignored(outcome),
        "none" | "close" => outcome.is_over || (quiet && outcome.stanzas.is_empty()),
        "ignore" => is_ignored(outcome),
        "proceed" | "proceed-and-discard" => outcome.sent.contains("<proceed") && outcome.stanzas.is_empty(),
        "discard" => outcome.stanzas.is_empty(),
        "tls-failure" => outcome.sent.contains("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'"),
        "type='invalid'" => outcome.sent.contains("type='invalid'"),
        "sm-failed(unexpected-request)" => outcome.sent.contains("<unexpected-request"),
        "dialback-error" => outcome.sent.contains("type='error'"),
        "stream-close" => outcome.is_over && quiet,
        "no-connect" | "reconnect or bounce" | "treat as undefined-condition" => {
            outcome.is_over && !outcome.is_ready
        }
        "jid-malformed (stanza)" => has_answer("jid-malformed"),
        "outer only" => outcome.stanzas.len() == 1 && outcome.stanzas[0].starts_with("<message"),
        "processed-at-limit" | "delivered-over-stream-transport" | "delivered-without-inner" => {
            quiet && !outcome.stanzas.is_empty()
        }
        word if word.starts_with("compress-failure") => outcome.sent.contains("<unsupported-method"),
        word if word.starts_with("delivered") => quiet && !outcome.stanzas.is_empty(),
        word if word.starts_with("stanza-error(") => {
            has_answer(word.trim_start_matches("stanza-error(").trim_end_matches(')'))
        }
        word => {
            let word = word.trim_end_matches(" (stream)");
            let in_stream_error = outcome.stream_error.as_deref() == Some(word);
            let in_sasl = outcome
                .sent
                .contains(&format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{word}/>"));
            let in_dialback =
                case.expect_type == "dialback-error" && outcome.sent.contains(&format!("<{word} "));
            let abandoned = case.expect_type == "abort" && outcome.is_over && !outcome.is_ready;
            in_stream_error || in_sasl || in_dialback || abandoned || has_answer(word)
        }
    }
}
