use sip_proto::endpoint::{FixedHop, Limits, Route, Transport};
use sip_types::uri::Host;
use sip_types::{Message, Method};

use crate::world::{PEER, World, fixed, host, limited, ours, srv};

#[test]
fn a_request_over_udp_is_repeated_until_its_answer() {
    let mut world = World::default();

    world.send(7, ours(Method::Message, 2), &fixed(Transport::Udp, "192.0.2.1", 5060));
    world.expect(&["datagram 192.0.2.1:5060: MESSAGE sip:bob@s.example SIP/2.0"]);
    world.at(500).expect(&["datagram 192.0.2.1:5060: MESSAGE sip:bob@s.example SIP/2.0"]);
    assert_eq!(world.sent[0], world.sent[1]);
    let answer = world.response_to_last(200, "");
    world.at(600).datagram(PEER, &answer).expect(&["response 7: 200"]);
    world.at(700).datagram(PEER, &answer).expect(&[]);
    world.at(60_000).expect(&[]);
    assert_eq!(world.endpoint.snapshot(world.now).timers, 0);
}

#[test]
fn our_via_names_the_listener_and_asks_for_rport() {
    let mut world = World::default();

    world.send(1, ours(Method::Message, 2), &fixed(Transport::Udp, "192.0.2.1", 5060));

    let Message::Request(request) = world.last_sent() else { panic!("a response was sent") };
    let via = request.via().unwrap();
    assert_eq!((via.host.to_string().as_str(), via.port), ("192.0.2.10", Some(5060)));
    assert!(via.has_unique_branch() && via.asks_rport());
}

#[test]
fn a_provisional_response_is_not_handed_up() {
    let mut world = World::default();
    world.send(1, ours(Method::Message, 2), &fixed(Transport::Udp, "192.0.2.1", 5060)).forget();
    let (trying, answer) = (world.response_to_last(100, ""), world.response_to_last(404, ""));

    world.at(100).datagram(PEER, &trying).expect(&[]);
    world.at(200).datagram(PEER, &answer).expect(&["response 1: 404"]);
}

#[test]
fn a_request_without_an_answer_fails_after_64_t1() {
    let mut world = World::default();
    world.send(1, ours(Method::Message, 2), &fixed(Transport::Udp, "192.0.2.1", 5060));

    world.at(31_999).forget();
    world.at(32_000).expect(&["failed 1: no answer from UDP 192.0.2.1:5060 in time"]);
    assert!(world.endpoint.is_quiet());
}

#[test]
fn requests_to_one_target_share_a_connection() {
    let mut world = World::default();
    let route = fixed(Transport::Tcp, "192.0.2.1", 5060);

    world.send(1, ours(Method::Message, 2), &route).send(2, ours(Method::Options, 0), &route);
    world.expect(&["connect out-1: 192.0.2.1:5060"]);
    let connection = world.connected(1);
    world.expect(&[
        "send out-1: MESSAGE sip:bob@s.example SIP/2.0",
        "send out-1: OPTIONS sip:bob@s.example SIP/2.0",
    ]);
    world.send(3, ours(Method::Message, 2), &route);
    world.expect(&["send out-1: MESSAGE sip:bob@s.example SIP/2.0"]);
    let answer = world.response_to_last(200, "");
    world.bytes(connection, &answer).expect(&["response 3: 200"]);
    assert_eq!(world.endpoint.snapshot(world.now).connections[0].awaited, 2);
}

#[test]
fn a_tls_peer_must_prove_the_configured_name() {
    let mut world = World::default();
    let mut hop = FixedHop::new(Transport::Tls, Host::parse("192.0.2.1").unwrap(), Some(5061));
    hop.tls_name = Some("pool.s.example".into());
    let route = Route::fixed(hop);

    world.send(1, ours(Method::Message, 2), &route);
    world.expect(&["connect out-1: 192.0.2.1:5061 as pool.s.example"]);
    world.shook_hands(1, &["other.example"]);
    world.expect(&[
        "close out-1",
        "failed 1: certificate rejected: the server's certificate is for other.example, not for \
         pool.s.example; have a certificate issued for pool.s.example, or set the route's TLS name to \
         other.example if that is the server you mean",
    ]);
    world.send(2, ours(Method::Message, 2), &route).forget();
    world.shook_hands(2, &["POOL.s.example"]);
    world.expect(&["send out-2: MESSAGE sip:bob@s.example SIP/2.0"]);
    let snapshot = world.endpoint.snapshot(world.now);
    assert_eq!(snapshot.connections[0].proved.as_deref(), Some("pool.s.example"));
}

#[test]
fn a_located_server_must_prove_the_domain_and_not_its_own_name() {
    let mut world = World::default();
    let route = Route::to_domain("s.example").unwrap();
    world.send(1, ours(Method::Message, 2), &route);
    world.expect(&["resolve 1: Naptr(\"s.example\")"]);
    world.resolved(1, vec![]);
    world.expect(&[
        "resolve 2: Srv(\"_sips._tcp.s.example\")",
        "resolve 3: Srv(\"_sip._tcp.s.example\")",
        "resolve 4: Srv(\"_sip._udp.s.example\")",
    ]);
    world.resolved(2, vec![srv(1, 5061, "edge.s.example")]).resolved(3, vec![]).resolved(4, vec![]);
    world.expect(&["resolve 5: Addresses(\"edge.s.example\")"]);
    world.resolved(5, vec![host("192.0.2.1")]);
    world.expect(&["connect out-6: 192.0.2.1:5061 as s.example"]);

    world.shook_hands(6, &["edge.s.example", "s.example"]);

    world.expect(&["send out-6: MESSAGE sip:bob@s.example SIP/2.0"]);
    world.send(2, ours(Method::Message, 2), &route);
    world.expect(&["send out-6: MESSAGE sip:bob@s.example SIP/2.0"]);
}

#[test]
fn a_big_request_moves_from_udp_to_tcp() {
    let mut world = World::default();

    world.send(1, ours(Method::Message, 1300), &fixed(Transport::Udp, "192.0.2.1", 5080));
    world.expect(&["connect out-1: 192.0.2.1:5080"]);
    world.connected(1);

    world.expect(&["send out-1: MESSAGE sip:bob@s.example SIP/2.0"]);
    assert!(world.last_text().contains("Via: SIP/2.0/TCP "));
}

#[test]
fn a_big_message_does_not_go_back_to_udp_and_another_request_does() {
    let mut world = World::default();
    let route = fixed(Transport::Udp, "192.0.2.1", 5080);

    world.send(1, ours(Method::Message, 1300), &route).refused(1);
    world.expect(&["connect out-1: 192.0.2.1:5080", "failed 1: connection failed: connection refused"]);
    world.send(2, ours(Method::Notify, 1300), &route).refused(2);

    world.expect(&[
        "connect out-2: 192.0.2.1:5080",
        "datagram 192.0.2.1:5080: NOTIFY sip:bob@s.example SIP/2.0",
    ]);
    assert!(world.last_text().contains("Via: SIP/2.0/UDP "));
    assert!(world.notices.iter().any(|notice| notice.contains("Oversized")), "{:?}", world.notices);
}

#[test]
fn too_many_requests_under_way_fail_at_once() {
    let mut world = limited(Limits { outgoing: 1, ..Limits::default() });
    let route = fixed(Transport::Udp, "192.0.2.1", 5060);
    world.send(1, ours(Method::Message, 2), &route).forget();

    world.send(2, ours(Method::Message, 2), &route).expect(&["failed 2: too many requests under way"]);
}

#[test]
fn what_waits_for_a_connection_is_bounded() {
    let mut world = limited(Limits { waiting_bytes: 3000, ..Limits::default() });
    let route = fixed(Transport::Tcp, "192.0.2.1", 5060);
    world.send(1, ours(Method::Message, 1000), &route).forget();

    world.send(2, ours(Method::Message, 1000), &route).expect(&["failed 2: too many requests under way"]);
}

#[test]
fn a_name_that_does_not_exist_is_told_as_such() {
    let mut world = World::default();
    world.send(1, ours(Method::Message, 2), &fixed(Transport::Tcp, "gw.s.example", 5060));
    world.expect(&["resolve 1: Addresses(\"gw.s.example\")"]);

    world.resolved(1, vec![]);

    world.expect(&["failed 1: not found: the DNS gives no address for the next hop"]);
}

#[test]
fn requests_of_the_same_name_share_a_question_and_its_answer_for_a_while() {
    let mut world = World::default();
    let route = fixed(Transport::Udp, "gw.s.example", 5060);
    world.send(1, ours(Method::Message, 2), &route).send(2, ours(Method::Message, 2), &route);
    world.expect(&["resolve 1: Addresses(\"gw.s.example\")"]);
    world.resolved(1, vec![host("192.0.2.1")]);
    let line = "datagram 192.0.2.1:5060: MESSAGE sip:bob@s.example SIP/2.0";
    world.expect(&[line, line]);

    world.at(100).send(3, ours(Method::Message, 2), &route).expect(&[line]);
    world.at(31_000).forget().send(4, ours(Method::Message, 2), &route);

    world.expect(&["resolve 2: Addresses(\"gw.s.example\")"]);
}
