use sip_proto::endpoint::{FixedHop, Limits, Route, Transport};
use sip_types::Method;

use crate::world::{PEER, TCP, World, fixed, limited, ours, wire};

#[test]
fn frames_arrive_whole_whatever_the_pieces() {
    let text = wire("MESSAGE", "TCP", "1", "a") + "\r\n\r\n" + &wire("MESSAGE", "TCP", "2", "b");
    for size in [1, 2, 7, 100, 1000] {
        let mut world = World::default();
        let connection = world.accept(1, TCP, "192.0.2.1:40000");

        for piece in text.as_bytes().chunks(size) {
            world.bytes(connection, std::str::from_utf8(piece).unwrap());
        }

        world.expect(&["request MESSAGE", "send in-1: \"\\r\\n\"", "request MESSAGE"]);
    }
}

#[test]
fn parallel_connections_of_a_peer_are_answered_each_on_its_own() {
    let mut world = World::default();
    for n in 0..4 {
        let connection = world.accept(n, TCP, &format!("192.0.2.1:{}", 40_000 + n));
        world.bytes(connection, &wire("MESSAGE", "TCP", &n.to_string(), &format!("call{n}")));
    }
    world.forget();

    for n in (0..4).rev() {
        world.answer(n, 200).expect(&[&format!("send in-{n}: SIP/2.0 200 OK")]);
    }
}

#[test]
fn a_connection_that_its_peer_offers_carries_requests_of_ours() {
    for (certificate, alias, reused) in [
        ("edge.s.example", ";alias", true),
        ("edge.s.example", "", false),
        ("other.example", ";alias", false),
    ] {
        let mut world = World::default();
        let connection = world.accept_tls(1, "192.0.2.1:40000", &[certificate]);
        let text = wire("OPTIONS", "TLS", "1", "call")
            .replace("TLS 192.0.2.1:5060", &format!("TLS edge.s.example:5061{alias}"));
        world.bytes(connection, &text).answer(0, 200).forget();
        let mut hop = FixedHop::at(Transport::Tls, [192, 0, 2, 1].into(), 5061);
        hop.tls_name = Some("edge.s.example".into());
        let route = Route::fixed(hop);

        world.send(1, ours(Method::Message, 2), &route);

        if reused {
            world.expect(&["send in-1: MESSAGE sip:bob@s.example SIP/2.0"]);
            let answer = world.response_to_last(200, "");
            world.bytes(connection, &answer).expect(&["response 1: 200"]);
            world.closed(connection).send(2, ours(Method::Message, 2), &route);
        }
        world.expect(&["connect out-1: 192.0.2.1:5061 as edge.s.example"]);
    }
}

#[test]
fn a_flood_of_keep_alives_is_answered_once_for_each_read() {
    let mut world = World::default();
    let connection = world.accept(1, TCP, "192.0.2.1:40000");

    world.bytes(connection, &"\r\n".repeat(10_000)).expect(&["send in-1: \"\\r\\n\""]);

    world.bytes(connection, "\r\n\r\n").expect(&["send in-1: \"\\r\\n\""]);
}

#[test]
fn lost_framing_is_answered_and_closes() {
    let mut world = World::default();
    let connection = world.accept(1, TCP, "192.0.2.1:40000");
    let lost = wire("MESSAGE", "TCP", "1", "call").replace("Content-Length: 2", "Content-Length: x");

    world.bytes(connection, &lost);

    assert!(world.last_text().starts_with("SIP/2.0 400 "), "{}", world.last_text());
    assert!(world.endpoint.snapshot(world.now).connections.is_empty());
    world.bytes(connection, &wire("MESSAGE", "TCP", "2", "call2"));
    assert!(world.requests.is_empty());
}

#[test]
fn a_malformed_message_with_a_known_end_leaves_the_connection() {
    let mut world = World::default();
    let connection = world.accept(1, TCP, "192.0.2.1:40000");
    let malformed = wire("MESSAGE", "TCP", "1", "call").replace("CSeq: 1", "CSeq: x");

    world.bytes(connection, &(malformed + &wire("MESSAGE", "TCP", "2", "call2")));

    assert!(world.last_text().starts_with("SIP/2.0 400 "), "{}", world.last_text());
    assert_eq!(world.requests.len(), 1);
}

#[test]
fn silence_is_broken_by_a_keep_alive_and_long_idleness_ends_it() {
    let mut world = World::default();
    let connection = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(connection, &wire("MESSAGE", "TCP", "1", "call")).answer(0, 200).forget();

    world.at(89_999).expect(&[]);
    world.at(90_000).expect(&["send in-1: \"\\r\\n\\r\\n\""]);
    world.at(90_100).bytes(connection, "\r\n").expect(&[]);
    world.at(180_100).expect(&["send in-1: \"\\r\\n\\r\\n\""]);
    world.at(1_799_999).forget();
    world.at(1_800_000).expect(&["close in-1"]);
}

#[test]
fn a_connection_that_never_speaks_is_closed() {
    let mut world = World::default();
    let connection = world.accept(1, TCP, "192.0.2.1:40000");

    world.at(20_000).bytes(connection, "\r\n\r\n").expect(&["send in-1: \"\\r\\n\""]);
    world.at(30_000).expect(&["close in-1"]);
}

#[test]
fn a_message_that_trickles_is_not_waited_for() {
    let mut world = World::default();
    let connection = world.accept(1, TCP, "192.0.2.1:40000");
    world.bytes(connection, &wire("MESSAGE", "TCP", "1", "call")).answer(0, 200).forget();

    let slow = wire("MESSAGE", "TCP", "2", "call2");
    for (n, octet) in slow.chars().take(29).enumerate() {
        world.at(10_000 + 1000 * n as u64).bytes(connection, &octet.to_string());
    }
    world.at(39_999).expect(&[]);
    world.at(40_000).expect(&["close in-1"]);
}

#[test]
fn connections_are_limited_in_all_and_for_one_address() {
    let mut world = limited(Limits { connections: 3, connections_per_address: 2, ..Limits::default() });
    let first = world.accept(1, TCP, "192.0.2.1:1");
    world.accept(2, TCP, "192.0.2.1:2");

    world.accept(3, TCP, "192.0.2.1:3");
    world.expect(&["close in-3"]);
    world.accept(4, TCP, "192.0.2.2:1");
    world.accept(5, TCP, "192.0.2.3:1");
    world.expect(&["close in-5"]);
    world.closed(first);
    world.accept(6, TCP, "192.0.2.1:4");

    world.expect(&[]);
    assert_eq!(world.endpoint.snapshot(world.now).connections.len(), 3);
}

#[test]
fn a_dialled_connection_carries_requests_both_ways() {
    let mut world = World::default();
    world.send(1, ours(Method::Message, 2), &fixed(Transport::Tcp, "192.0.2.1", 5060));
    let connection = world.connected(1);
    world.forget();

    world.bytes(connection, &wire("MESSAGE", "TCP", "1", "call")).answer(0, 200);

    world.expect(&["request MESSAGE", "send out-1: SIP/2.0 200 OK"]);
    assert_eq!(world.requests[0].2.listener, None);
}

#[test]
fn events_of_a_connection_that_is_gone_concern_nobody() {
    let mut world = World::default();
    let connection = world.accept(1, TCP, PEER);
    let bytes = net_types::Bytes::from_static(b"x");
    let event = net_types::Event::Bytes { connection, bytes };
    assert!(world.endpoint.concerns(&event));

    world.closed(connection);

    assert!(!world.endpoint.concerns(&event));
    world.net(event).expect(&[]);
}
