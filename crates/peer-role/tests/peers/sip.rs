//! Two SIP user agents.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clock_types::Ids;
use net_types::{ListenerId, Trust};
use peer_role::{Answers, Said, SipSettings, SipUserAgent};
use sip_proto::endpoint::{FixedHop, Listener, Route, Settings, Transport};

use crate::wire::{Wire, address};

fn agents(transport: Transport, bob: Answers) -> Wire<SipUserAgent> {
    let agent = |side: usize, user: &str, answers| {
        let here = address(side);
        let listener = Listener { id: ListenerId(0), transport, host: here.ip().into(), port: here.port() };
        let there = address(1 - side);
        let settings = SipSettings {
            endpoint: Settings::new(vec![listener], None, Trust(Arc::from("test"))),
            route: Route::fixed(FixedHop::at(transport, there.ip(), there.port())),
            sessions: None,
            presence: None,
            users: BTreeMap::from([(user.to_owned(), answers)]),
        };
        SipUserAgent::new(settings, Ids::random([u8::try_from(side).unwrap() + 1; 32]))
    };
    let peers = [agent(0, "ann@x.example", Answers::AtOnce(200)), agent(1, "bob@s.example", bob)];
    Wire::new(peers, ["x.example", "s.example"])
}

fn ann_writes(wire: &mut Wire<SipUserAgent>, to: &str) {
    let now = wire.now;
    wire.peers[0].send_text("ann@x.example", to, "Grüße", "m-1", now);
}

#[track_caller]
fn last(wire: &Wire<SipUserAgent>, side: usize) -> &Said {
    wire.said[side].iter().rev().find(|said| !matches!(said, Said::Note(_))).unwrap()
}

#[test]
fn a_text_is_shown_and_answered() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut wire = agents(transport, Answers::AtOnce(200));

        ann_writes(&mut wire, "bob@s.example");
        wire.run(Duration::from_secs(1));

        let accepted = Said::Accepted { id: "m-1".to_owned(), answer: "200 OK".to_owned() };
        assert_eq!(last(&wire, 0), &accepted, "{transport}");
        let Said::Received { thread, from, to, text, answer, .. } = last(&wire, 1) else { panic!("nothing") };
        assert_eq!(
            (thread.as_str(), from.as_str(), to.as_str()),
            ("m-1", "sip:ann@x.example", "bob@s.example")
        );
        assert_eq!((text.as_str(), answer.as_str()), ("Grüße", "200 OK"));
    }
}

#[test]
fn a_user_who_is_not_there_or_says_no_is_shown_nothing() {
    for (to, answers, status) in [
        ("eve@s.example", Answers::AtOnce(200), "404 Not Found"),
        ("bob@s.example", Answers::AtOnce(480), "480 Temporarily Unavailable"),
    ] {
        let mut wire = agents(Transport::Tcp, answers);

        ann_writes(&mut wire, to);
        wire.run(Duration::from_secs(1));

        assert_eq!(last(&wire, 0), &Said::Refused { id: "m-1".to_owned(), answer: status.to_owned() });
        assert!(wire.said[1].iter().all(|said| matches!(said, Said::Note(_))));
    }
}

#[test]
fn a_slow_user_answers_in_his_own_time_and_is_shown_the_text_once() {
    let mut wire = agents(Transport::Udp, Answers::After(Duration::from_secs(10), 202));

    ann_writes(&mut wire, "bob@s.example");
    wire.run(Duration::from_secs(9));
    assert!(matches!(last(&wire, 0), Said::Sent { .. }));
    wire.run(Duration::from_secs(30));

    assert_eq!(last(&wire, 0), &Said::Accepted { id: "m-1".to_owned(), answer: "202 Accepted".to_owned() });
    assert_eq!(wire.said[1].iter().filter(|said| matches!(said, Said::Received { .. })).count(), 1);
}

#[test]
fn a_silent_user_leaves_the_sender_without_an_answer() {
    let mut wire = agents(Transport::Udp, Answers::Never);

    ann_writes(&mut wire, "bob@s.example");
    wire.run(Duration::from_secs(60));

    assert!(matches!(last(&wire, 0), Said::Unanswered { id, .. } if id == "m-1"), "{:?}", last(&wire, 0));
    assert_eq!(wire.said[1].iter().filter(|said| matches!(said, Said::Received { .. })).count(), 1);
}

#[test]
fn a_method_other_than_message_is_not_allowed() {
    let mut wire = agents(Transport::Tcp, Answers::AtOnce(200));
    let octets = b"SUBSCRIBE sip:bob@s.example SIP/2.0\r\nFrom: <sip:ann@x.example>;tag=1\r\n\
        To: <sip:bob@s.example>\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\n\r\n";
    let limits = sip_types::Limits::default();
    let Ok(sip_types::Message::Request(parsed)) =
        sip_types::parse_datagram(&octets.as_slice().into(), &limits)
    else {
        panic!("no request")
    };
    let request = sip_types::Request::new(
        parsed.method().clone(),
        parsed.uri().clone(),
        parsed.from().clone(),
        parsed.to().clone(),
        parsed.call_id().clone(),
        1,
    );
    let now = wire.now;

    wire.peers[0].send_request(request, "s-1", now);
    wire.run(Duration::from_secs(1));

    let answer = "405 Method Not Allowed".to_owned();
    assert_eq!(last(&wire, 0), &Said::Refused { id: "s-1".to_owned(), answer });
}
