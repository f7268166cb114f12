//! The SIP corpora at the endpoint: RFC 4475, RFC 5118 and hostile inputs, by UDP and by TCP, each answered as its
//! INDEX allows, and none of them any harm to what comes after it.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

#[path = "../../../sip-types/tests/corpus/input.rs"]
#[expect(dead_code, reason = "not every test of the corpora reads single files")]
mod input;
mod peer;

use std::time::Duration;

use input::Case;
use peer::{Outcome, Peer};
use sip_proto::endpoint::Transport;

/// Cases that are no message to be heard here, and why.
const NOT_HERE: [(&str, &str); 2] = [
    ("t19-subscribe-poll-flood", "it is an order to send a thousand subscriptions"),
    ("s29-header-1-byte-per-5s", "it is a matter of time, below"),
];

#[test]
fn every_message_of_the_torture_rfcs_is_answered_as_the_index_says() {
    let mut heard = 0;
    for corpus in ["rfc4475", "rfc5118"] {
        for case in input::cases(corpus) {
            for transport in [Transport::Udp, Transport::Tcp] {
                check(&case, transport, case.column("gateway_expected"), torture_closes(&case, transport));
            }
            heard += 1;
        }
    }
    assert_eq!(heard, 49 + 12);
}

#[test]
fn every_hostile_input_is_answered_as_the_index_says() {
    let mut heard = 0;
    for case in input::cases("sip-hostile") {
        heard += 1;
        if NOT_HERE.iter().any(|(id, _)| *id == case.id) {
            continue;
        }
        let expected = format!("{}|{}", case.column("expected"), case.column("also_acceptable"));
        let transport = if case.column("transport") == "udp" { Transport::Udp } else { Transport::Tcp };
        check(&case, transport, &expected, case.column("expected").contains("close").then_some(()));
    }
    assert_eq!(heard, 69);
}

#[test]
fn a_header_that_drips_in_closes_its_connection() {
    let case = input::cases("sip-hostile").into_iter().find(|case| case.id == "s29-header-1-byte-per-5s");
    let mut peer = Peer::new();

    let outcome = peer.drip(&case.unwrap().octets, Duration::from_secs(5));

    assert!(outcome.closed && outcome.handed_up.is_empty(), "{outcome:?}");
    assert!(peer.serves(Transport::Tcp));
}

#[test]
fn no_answer_to_a_datagram_goes_anywhere_but_to_its_source() {
    for corpus in ["rfc4475", "rfc5118", "sip-hostile"] {
        for case in input::cases(corpus) {
            let mut peer = Peer::new();

            peer.say(Transport::Udp, &case.octets);

            // The port is the Via's where it asks for nothing else (RFC 3581 §4).
            assert!(
                peer.reached.iter().all(|ip| *ip == peer.address.ip()),
                "{}: {:?}",
                case.id,
                peer.reached
            );
        }
    }
}

/// Says a case and holds what came of it against its line; then a good request must be served.
#[track_caller]
fn check(case: &Case, transport: Transport, expected: &str, closes: Option<()>) {
    let mut peer = Peer::new();

    let outcome = peer.say(transport, &case.octets);

    let told = format!("{} by {transport}: {outcome:?}, expected {expected}", case.id);
    match &outcome {
        // What is handed up is refused or taken further in.
        Outcome { handed_up, .. } if !handed_up.is_empty() => {}
        Outcome { statuses, .. } if !statuses.is_empty() => {
            assert!(statuses.iter().all(|status| expected.contains(&status.to_string())), "{told}");
        }
        // A request is answered in some way, where it has arrived whole and says to whom.
        Outcome { .. } => assert!(may_be_silent(case, transport, expected), "{told}"),
    }
    let must_close = closes.is_some() && transport == Transport::Tcp;
    // Where a message larger than the limit ends is not looked for.
    let may_close = must_close || outcome.statuses == [513] || is_refused_last(case, transport);
    assert!(outcome.closed || !must_close, "{told}");
    assert!(!outcome.closed || may_close, "{told}");
    if outcome.statuses.is_empty() && outcome.handed_up.is_empty() {
        // The rest of it may be awaited: what comes after comes another way.
        peer.go_elsewhere();
    }
    assert!(peer.serves(transport), "{told}");
}

fn torture_closes(case: &Case, transport: Transport) -> Option<()> {
    let closes = case.column("on_stream_transport").contains("400 then close");
    (closes && transport == Transport::Tcp).then_some(())
}

/// The second message of two on a stream has no Content-Length.
fn is_refused_last(case: &Case, transport: Transport) -> bool {
    transport == Transport::Tcp && case.id == "dblreq"
}

fn may_be_silent(case: &Case, transport: Transport, expected: &str) -> bool {
    let is_response = case.column("kind").starts_with("response");
    let is_incomplete = case.column("on_stream_transport").starts_with("wait")
        || case.column("on_stream_transport").contains("wait T_header");
    is_response
        || (is_incomplete && transport == Transport::Tcp)
        || ["drop", "discard", "close", "pong"].iter().any(|word| expected.contains(word))
        // An answer longer than the datagram would let its sender aim at others.
        || transport == Transport::Udp
}
