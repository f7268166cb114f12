//! RFC 4475 and RFC 5118: what is accepted, what is refused and how, and what it does to a stream.

use sip_types::Message;
use sip_types::framing::Unfinished;

use crate::hearing::{datagram, hear, tell};
use crate::input::{self, Case};

#[test]
fn every_rfc_4475_datagram_is_accepted_or_refused_as_the_rfc_says() {
    let cases = input::cases("rfc4475");

    assert_eq!(cases.len(), 49);
    cases.iter().for_each(check_datagram);
}

#[test]
fn every_rfc_5118_datagram_is_accepted_or_refused_as_the_rfc_says() {
    let cases = input::cases("rfc5118");

    assert_eq!(cases.len(), 12);
    cases.iter().for_each(check_datagram);
}

#[test]
fn every_rfc_4475_message_does_to_a_stream_what_the_index_says() {
    for case in input::cases("rfc4475") {
        let heard = hear(&case.octets);
        let told = format!("{}: {}", case.id, tell(&heard));
        match case.column("on_stream_transport") {
            close if close.contains("400 then close") => {
                assert!(heard.is_lost(), "{told}");
                assert_eq!(heard.refusals(), [400], "{told}");
            }
            wait if wait.starts_with("wait") => {
                assert!(heard.frames.is_empty() && heard.unfinished == Unfinished::Body, "{told}");
            }
            wait if wait.contains("wait T_header") => {
                assert!(heard.frames.is_empty() && heard.unfinished == Unfinished::Headers, "{told}");
            }
            two if two.contains("SECOND message") => assert_eq!(heard.messages(), 2, "{told}"),
            open => {
                assert!(open.starts_with("keep open"), "{told}");
                assert_eq!(heard.frames.len(), 1, "{told}");
                assert!(!heard.is_lost() && heard.unfinished == Unfinished::Nothing, "{told}");
                let accepted = datagram(&case.octets).is_ok();
                assert_eq!(heard.messages() == 1, accepted, "stream and datagram differ: {told}");
            }
        }
    }
}

#[test]
fn every_rfc_5118_message_leaves_a_stream_open() {
    for case in input::cases("rfc5118") {
        let heard = hear(&case.octets);

        assert_eq!(heard.frames.len(), 1, "{}", case.id);
        assert!(!heard.is_lost(), "{}", case.id);
        assert_eq!(heard.messages() == 1, datagram(&case.octets).is_ok(), "{}", case.id);
    }
}

#[test]
fn bare_line_feeds_are_refused_in_datagrams_and_end_streams() {
    let names = input::names("rfc5118/archive-verbatim-lf");

    assert_eq!(names.len(), 12);
    for name in names {
        let octets = input::file("rfc5118/archive-verbatim-lf", &name);
        assert!(datagram(&octets).is_err(), "{name}");
        assert!(hear(&octets).is_lost(), "{name}");
    }
}

#[track_caller]
fn check_datagram(case: &Case) {
    let verdict = verdict(&case.octets);
    let told = format!("{}: {verdict:?}", case.id);
    let is_request = case.column("kind").starts_with("request");
    match (case.column("parser"), verdict) {
        ("accept", verdict) => assert_eq!(verdict, Verdict::Accepted, "{told}"),
        ("reject", Verdict::Accepted) => panic!("{told}"),
        (_, Verdict::Accepted | Verdict::BadHeader) => {}
        (_, Verdict::Refused(None)) => assert!(!is_request, "a request is answered: {told}"),
        (_, Verdict::Refused(Some(status))) => {
            assert!(is_request, "a response is not answered: {told}");
            assert!(case.column("gateway_expected").contains(&status.to_string()), "{told}");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    /// A header that only some look at does not parse.
    BadHeader,
    /// Answered so, if at all.
    Refused(Option<u16>),
}

fn verdict(octets: &[u8]) -> Verdict {
    match datagram(octets) {
        // A Date that is none is no reason to refuse anything (RFC 4475 §3.1.2.12).
        Ok(message) if message.headers().check().is_err() => Verdict::BadHeader,
        Ok(Message::Request(_) | Message::Response(_)) => Verdict::Accepted,
        Err(malformed) => {
            let status = malformed.status();
            let answer = malformed.into_answer();
            assert!(answer.as_ref().is_none_or(|answer| answer.status() == status));
            Verdict::Refused(answer.map(|answer| answer.status()))
        }
    }
}
