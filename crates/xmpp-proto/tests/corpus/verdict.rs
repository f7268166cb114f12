//! Whether what an input led to is what the index asks for.

use super::outcome::Outcome;
use super::{Case, Phase};

/// Inputs where what comes after a change of streams depends on when it comes.
pub const TIMING_MATTERS: [&str; 3] =
    ["c04-starttls-plus-plaintext-header", "c05-starttls-then-whitespace", "c20-pipelined-after-auth"];

/// Tells whether an outcome is one of those that the index allows.
pub fn is_expected(case: &Case, outcome: &Outcome) -> bool {
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
