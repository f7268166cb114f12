use sip_proto::endpoint::{Limits, Settings, Transport};
use sip_types::{Message, Method};

use crate::world::{PEER, TCP, World, fixed, host, limited, ours, settings, srv, wire};

#[test]
fn a_repeated_message_is_handed_up_once_and_answered_alike() {
    let mut world = World::default();
    let text = wire("MESSAGE", "UDP", "1", "call");

    world.datagram(PEER, &text).expect(&["request MESSAGE"]);
    world.at(500).datagram(PEER, &text).expect(&[]);
    world.at(600).answer(0, 200).expect(&["datagram 192.0.2.1:5060: SIP/2.0 200 OK"]);
    for at in [1500, 3500, 7500, 32_000] {
        world.at(at).datagram(PEER, &text).expect(&["datagram 192.0.2.1:5060: SIP/2.0 200 OK"]);
    }
    world.at(36_000).datagram(PEER, &text).expect(&[]);
    world.at(37_600).expect(&[]);
    assert_eq!(world.sent[0], world.sent[4]);
    let snapshot = world.endpoint.snapshot(world.now);
    assert_eq!((snapshot.unanswered, snapshot.remembered, snapshot.timers), (0, 0, 0));
}

#[test]
fn a_message_sent_again_on_a_new_connection_gets_the_first_answer() {
    let mut world = World::default();
    let first = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(first, &wire("MESSAGE", "TCP", "1", "call")).answer(0, 202).forget();
    world.closed(first);

    let second = world.accept(2, TCP, "192.0.2.1:40001");
    world.at(5000).bytes(second, &wire("MESSAGE", "TCP", "2", "call"));

    world.expect(&["send in-2: SIP/2.0 202 Accepted"]);
    let text = world.last_text();
    assert!(text.contains("branch=z9hG4bK2") && text.contains(";tag=ours"), "{text}");
    world.at(40_000).bytes(second, &wire("MESSAGE", "TCP", "3", "call")).expect(&["request MESSAGE"]);
}

#[test]
fn a_message_that_was_refused_may_be_tried_again() {
    let mut world = World::default();
    world.datagram(PEER, &wire("MESSAGE", "UDP", "1", "call")).answer(0, 503).forget();

    world.datagram(PEER, &wire("MESSAGE", "UDP", "2", "call")).expect(&["request MESSAGE"]);
}

#[test]
fn a_message_split_on_the_way_is_handed_up_once() {
    let mut world = World::default();
    world.datagram(PEER, &wire("MESSAGE", "UDP", "1", "call")).expect(&["request MESSAGE"]);

    world.datagram(PEER, &wire("MESSAGE", "UDP", "2", "call"));

    world.expect(&["datagram 192.0.2.1:5060: SIP/2.0 482 Loop Detected"]);
}

#[test]
fn a_message_whose_first_connection_is_gone_is_answered_on_the_second() {
    let mut world = World::default();
    let first = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(first, &wire("MESSAGE", "TCP", "1", "call")).expect(&["request MESSAGE"]);
    world.closed(first);
    let second = world.accept(2, TCP, "192.0.2.1:40001");

    world.bytes(second, &wire("MESSAGE", "TCP", "2", "call")).expect(&[]);
    world.answer(0, 200).expect(&["send in-2: SIP/2.0 200 OK"]);

    let Message::Response(response) = world.last_sent() else { panic!("a request was sent") };
    assert_eq!(response.via().unwrap().branch(), Some("z9hG4bK2"));
}

#[test]
fn an_invite_whose_first_connection_is_gone_is_answered_on_the_second() {
    let mut world = World::default();
    let first = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(first, &wire("INVITE", "TCP", "1", "call")).expect(&["request INVITE"]);
    world.closed(first);
    let second = world.accept(2, TCP, "192.0.2.1:40001");

    world.bytes(second, &wire("INVITE", "TCP", "2", "call")).expect(&["send in-2: SIP/2.0 100 Trying"]);
    world.answer(0, 200).expect(&["send in-2: SIP/2.0 200 OK"]);

    // Also after it was accepted: the user says its 2xx again.
    world.closed(second);
    let third = world.accept(3, TCP, "192.0.2.1:40002");
    world.bytes(third, &wire("INVITE", "TCP", "3", "call")).expect(&["send in-3: SIP/2.0 100 Trying"]);
    world.answer(0, 200).expect(&["send in-3: SIP/2.0 200 OK"]);
    assert!(world.last_text().contains("branch=z9hG4bK3"));
}

#[test]
fn an_invite_that_was_refused_to_a_connection_that_is_gone_is_a_new_one() {
    let mut world = World::default();
    let first = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(first, &wire("INVITE", "TCP", "1", "call")).answer(0, 486).closed(first).forget();
    let second = world.accept(2, TCP, "192.0.2.1:40001");

    world.bytes(second, &wire("INVITE", "TCP", "2", "call")).expect(&["request INVITE"]);
}

#[test]
fn an_answer_to_a_closed_connection_goes_to_where_the_via_says() {
    let mut world = World::default();
    let first = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(first, &wire("MESSAGE", "TCP", "1", "call")).closed(first).forget();

    world.answer(0, 200).expect(&["connect out-1: 192.0.2.1:5060"]);
    world.connected(1);

    world.expect(&["send out-1: SIP/2.0 200 OK"]);
}

#[test]
fn an_answer_that_cannot_go_back_goes_to_where_the_dns_says_the_via_is() {
    let mut world = World::default();
    let first = world.accept(1, TCP, "192.0.2.1:40000");
    let text = wire("MESSAGE", "TCP", "1", "call").replace("TCP 192.0.2.1:5060", "TCP edge.s.example");
    world.bytes(first, &text).closed(first).forget();

    world.answer(0, 200).expect(&["connect out-1: 192.0.2.1:5060"]);
    world.refused(1).expect(&["resolve 2: Srv(\"_sip._tcp.edge.s.example\")"]);
    world.resolved(2, vec![srv(1, 5070, "two.s.example")]);
    world.expect(&["resolve 3: Addresses(\"two.s.example\")"]);
    world.resolved(3, vec![host("192.0.2.2")]).expect(&["connect out-4: 192.0.2.2:5070"]);
    world.connected(4);

    world.expect(&["send out-4: SIP/2.0 200 OK"]);
    assert!(world.endpoint.is_quiet());
}

#[test]
fn a_request_of_ours_that_comes_back_is_a_loop() {
    let mut world = World::default();
    let route = fixed(Transport::Udp, "192.0.2.1", 5060);
    world.send(1, ours(Method::Message, 2), &route).forget();
    let via = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKproxy\r\n";
    let (sent, refusal) = (world.last_text().to_owned(), world.response_to_last(482, ""));
    let back = sent.replacen("Via:", &format!("{via}Via:"), 1);

    world.datagram(PEER, &back).expect(&["datagram 192.0.2.1:5060: SIP/2.0 482 Loop Detected"]);

    // The proxy hands the refusal on, and that is the answer.
    world.datagram(PEER, &refusal).expect(&["response 1: 482"]);
}

#[test]
fn negotiate_without_a_branch_is_matched_by_the_older_rules() {
    let mut world = World::default();
    let text = wire("NEGOTIATE", "UDP", "", "77c2");

    world.datagram(PEER, &text).expect(&["request NEGOTIATE"]);
    world.answer(0, 405).expect(&["datagram 192.0.2.1:5060: SIP/2.0 405 Method Not Allowed"]);
    world.datagram(PEER, &text).expect(&["datagram 192.0.2.1:5060: SIP/2.0 405 Method Not Allowed"]);
    world.datagram(PEER, &wire("NEGOTIATE", "UDP", "", "77c3")).expect(&["request NEGOTIATE"]);
}

#[test]
fn what_must_not_be_answered_is_absorbed_in_silence() {
    let mut world = World::default();
    let text = wire("BENOTIFY", "UDP", "1", "call");

    world.datagram(PEER, &text).silence(0).expect(&["request BENOTIFY"]);
    world.at(500).datagram(PEER, &text).answer(0, 200).expect(&[]);
    world.at(40_000).expect(&[]);
    assert!(world.endpoint.is_quiet());
}

#[test]
fn an_answer_goes_to_the_source_and_its_port_if_rport_asks() {
    let mut world = World::default();
    let asks = wire("MESSAGE", "UDP", "1;rport", "call");
    let does_not = wire("MESSAGE", "UDP", "2", "call2");

    world.datagram("198.51.100.9:1234", &asks).answer(0, 200);
    world.expect(&["request MESSAGE", "datagram 198.51.100.9:1234: SIP/2.0 200 OK"]);
    let text = world.last_text();
    assert!(text.contains("received=198.51.100.9") && text.contains("rport=1234"), "{text}");
    world.datagram("198.51.100.9:1234", &does_not).answer(1, 200);

    world.expect(&["request MESSAGE", "datagram 198.51.100.9:5060: SIP/2.0 200 OK"]);
    assert!(world.last_text().contains("received=198.51.100.9"));
}

#[test]
fn trying_is_said_when_an_answer_takes_long_and_nothing_after_it_took_too_long() {
    let mut world = World::default();
    let connection = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(connection, &wire("MESSAGE", "TCP", "1", "call")).forget();

    world.at(3499).expect(&[]);
    world.at(3500).expect(&["send in-1: SIP/2.0 100 Trying"]);
    world.at(32_000).expect(&["expired"]);
    world.answer(0, 200).expect(&[]);
}

#[test]
fn a_408_is_never_sent() {
    let mut world = World::default();
    world.datagram(PEER, &wire("MESSAGE", "UDP", "1", "call")).forget();

    world.answer(0, 408).expect(&[]);
    assert!(world.endpoint.is_quiet());
}

#[test]
fn a_flood_is_answered_503_with_a_time_to_wait() {
    let mut world = limited(Limits { unanswered: 2, ..Limits::default() });
    for n in 0..2 {
        world.datagram(PEER, &wire("MESSAGE", "UDP", &n.to_string(), &format!("call{n}")));
    }
    world.forget();

    world.datagram(PEER, &wire("MESSAGE", "UDP", "9", "call9"));
    world.expect(&["datagram 192.0.2.1:5060: SIP/2.0 503 Service Unavailable"]);
    assert!(world.last_text().contains("Retry-After: 30\r\n"));
    world.datagram(PEER, &wire("ACK", "UDP", "10", "call10")).expect(&["ack"]);
    world.answer(0, 200).forget();

    world.datagram(PEER, &wire("MESSAGE", "UDP", "11", "call11")).expect(&["request MESSAGE"]);
}

#[test]
fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
    let mut world = limited(Limits { answered: 2, ..Limits::default() });
    for n in 0..3 {
        world.datagram(PEER, &wire("MESSAGE", "UDP", &n.to_string(), &format!("call{n}"))).answer(n, 200);
    }
    world.forget();

    world.datagram(PEER, &wire("MESSAGE", "UDP", "2", "call2"));
    world.expect(&["datagram 192.0.2.1:5060: SIP/2.0 200 OK"]);
    world.datagram(PEER, &wire("MESSAGE", "UDP", "0", "call0")).expect(&["request MESSAGE"]);
    assert_eq!(world.endpoint.snapshot(world.now).remembered, 2);
}

#[test]
fn what_is_kept_is_bounded_in_octets_and_datagrams_have_half_of_it() {
    let mut world = limited(Limits { served_octets: 10_000, ..Limits::default() });
    for n in 0..4 {
        world.datagram(PEER, &wire("MESSAGE", "UDP", &n.to_string(), &format!("call{n}")));
        world.forget().answer(n, 200).expect(&["datagram 192.0.2.1:5060: SIP/2.0 200 OK"]);
    }
    assert!((5000..10_000).contains(&world.endpoint.snapshot(world.now).served_octets));

    world.datagram(PEER, &wire("MESSAGE", "UDP", "9", "call9"));
    world.expect(&["datagram 192.0.2.1:5060: SIP/2.0 503 Service Unavailable"]);
    let connection = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(connection, &wire("MESSAGE", "TCP", "5", "call5")).expect(&["request MESSAGE"]);
    world.answer(4, 200).forget();

    // What was answered before is answered again, and room comes with time.
    world.datagram(PEER, &wire("MESSAGE", "UDP", "0", "call0"));
    world.expect(&["datagram 192.0.2.1:5060: SIP/2.0 200 OK"]);
    world.at(60_000).datagram(PEER, &wire("MESSAGE", "UDP", "9", "call9")).expect(&["request MESSAGE"]);
    world.answer(5, 404).at(120_000);
    assert_eq!(world.endpoint.snapshot(world.now).served_octets, 0);
}

#[test]
fn an_answer_repeated_later_goes_where_the_first_went() {
    let mut world = World::default();
    let asks = wire("MESSAGE", "UDP", "1", "call").replace("branch=z9hG4bK1", "rport;branch=z9hG4bK1");
    world.datagram("192.0.2.1:6000", &asks).answer(0, 200).forget();

    world.at(20_000).datagram("192.0.2.1:6000", &asks);

    world.expect(&["datagram 192.0.2.1:6000: SIP/2.0 200 OK"]);
}

#[test]
fn stopping_refuses_what_is_new_and_finishes_what_is_not() {
    let mut world = World::default();
    let connection = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(connection, &wire("MESSAGE", "TCP", "1", "call")).forget();
    world.endpoint.handle_stop(world.now);

    world.bytes(connection, &wire("MESSAGE", "TCP", "2", "call2"));
    world.expect(&["send in-1: SIP/2.0 503 Service Unavailable"]);
    assert!(!world.endpoint.is_quiet());
    world.answer(0, 200).expect(&["send in-1: SIP/2.0 200 OK"]);
    assert!(world.endpoint.is_quiet());
}

#[test]
fn a_malformed_datagram_is_answered_no_longer_than_it_is() {
    let mut world = World::default();
    let long =
        wire("MESSAGE", "UDP", "1", "call").replace("CSeq: 1 MESSAGE", "CSeq: x MESSAGE") + &"x".repeat(300);

    world.datagram("198.51.100.9:1234", &long);
    assert_eq!(world.sent.len(), 1);
    assert!(world.last_text().starts_with("SIP/2.0 400 "), "{}", world.last_text());
    assert!(world.last_text().len() <= long.len());
    world.forget().datagram(PEER, "MESSAGE sip:a SIP/2.0\r\n\r\n");

    assert!(world.sent.len() == 1 || world.last_text().len() <= 25);
}

#[test]
fn keep_alives_and_stray_responses_over_udp_are_dropped() {
    let mut world = World::default();

    for nothing in ["\r\n\r\n", "\0\0\0\0", "", "\r\n"] {
        world.datagram(PEER, nothing).expect(&[]);
    }
    let stray = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
                 To: <sip:c@d>;tag=2\r\nCall-ID: e\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n";
    world.datagram(PEER, stray).expect(&[]);

    assert!(world.notices.last().unwrap().contains("StrayResponse"), "{:?}", world.notices);
}

#[test]
fn an_answer_without_a_tag_gets_one() {
    let mut world = World::new(Settings { retry_after: 7, ..settings() });
    world.datagram(PEER, &wire("OPTIONS", "UDP", "1", "call"));
    let (key, request, _) = world.requests[0].clone();

    world.endpoint.respond(key, sip_types::Response::to(&request, 200), world.now);
    world.drain();

    let Message::Response(response) = world.last_sent() else { panic!("a request was sent") };
    assert!(response.to_header().unwrap().tag().is_some());
}
