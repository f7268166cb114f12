use sip_proto::endpoint::{Route, Settings, Transport};
use sip_types::{Message, Method};

use crate::world::{PEER, World, fixed, host, ours, settings, srv};

const REQUEST: &str = "MESSAGE sip:bob@s.example SIP/2.0";

#[test]
fn a_target_that_refuses_is_followed_by_the_next_with_a_fresh_branch() {
    let mut world = two_targets();

    world.refused(5).expect(&["connect out-6: 192.0.2.2:5060"]);
    let connection = world.connected(6);
    world.expect(&[&format!("send out-6: {REQUEST}")]);
    let answer = world.response_to_last(200, "");
    world.bytes(connection, &answer).expect(&["response 1: 200"]);

    world.send(2, ours(Method::Message, 2), &route());
    world.expect(&[&format!("send out-6: {REQUEST}")]);
}

#[test]
fn a_busy_target_is_followed_by_the_next_and_rests_as_long_as_it_asked() {
    let mut world = two_targets();
    let first = world.connected(5);
    let branch = branch_of(&world);
    let busy = world.response_to_last(503, "Retry-After: 60\r\n");
    world.forget().bytes(first, &busy).expect(&["connect out-6: 192.0.2.2:5060"]);
    let second = world.connected(6);
    assert_ne!(branch_of(&world), branch);
    let answer = world.response_to_last(200, "");
    world.forget().bytes(second, &answer).expect(&["response 1: 200"]);
    world.at(1000).closed(second).forget();

    world.send(2, ours(Method::Message, 2), &route()).expect(&["connect out-7: 192.0.2.2:5060"]);
    world.refused(7).expect(&["failed 2: connection failed: connection refused"]);
    world.at(61_000).forget().send(3, ours(Method::Message, 2), &fixed(Transport::Tcp, "192.0.2.1", 5060));

    world.expect(&[&format!("send out-5: {REQUEST}")]);
}

#[test]
fn when_every_target_rests_the_request_fails_at_once_with_the_time_left() {
    let mut world = World::default();
    let route = fixed(Transport::Udp, "192.0.2.1", 5060);
    world.send(1, ours(Method::Message, 2), &route);
    let busy = world.response_to_last(503, "Retry-After: 60\r\n");
    world.datagram(PEER, &busy);
    world.expect(&[&format!("datagram 192.0.2.1:5060: {REQUEST}"), "response 1: 503"]);

    world.at(10_000).send(2, ours(Method::Message, 2), &route);

    world.expect(&["failed 2: asked to wait, 50 s left"]);
}

#[test]
fn a_rest_is_bounded() {
    let mut world = World::default();
    let route = fixed(Transport::Udp, "192.0.2.1", 5060);
    world.send(1, ours(Method::Message, 2), &route);
    let busy = world.response_to_last(503, "Retry-After: 999999999\r\n");
    world.datagram(PEER, &busy).forget();

    world.send(2, ours(Method::Message, 2), &route).expect(&["failed 2: asked to wait, 3600 s left"]);
}

#[test]
fn the_last_targets_503_is_the_answer() {
    let mut world = two_targets();
    let first = world.connected(5);
    let busy = world.response_to_last(503, "");
    world.bytes(first, &busy);
    let second = world.connected(6);
    world.forget();

    let busy = world.response_to_last(503, "Retry-After: 5\r\n");
    world.bytes(second, &busy).expect(&["response 1: 503"]);
    assert!(world.endpoint.is_quiet());
}

#[test]
fn a_target_that_never_answers_is_followed_by_the_next() {
    let mut world = two_targets();
    world.connected(5);
    world.forget();

    world.at(31_999).expect(&[]);
    world.at(32_000).expect(&["connect out-6: 192.0.2.2:5060"]);
}

#[test]
fn a_server_that_said_trying_keeps_the_request() {
    let mut world = two_targets();
    let first = world.connected(5);
    let trying = world.response_to_last(100, "");
    world.bytes(first, &trying).forget();

    world.closed(first);

    world.expect(&["failed 1: connection lost before the answer: reset"]);
}

#[test]
fn a_connection_that_was_used_before_is_renewed_once() {
    let mut world = World::default();
    let route = fixed(Transport::Tcp, "192.0.2.1", 5060);
    world.send(1, ours(Method::Message, 2), &route);
    let connection = world.connected(1);
    let answer = world.response_to_last(200, "");
    world.bytes(connection, &answer).send(2, ours(Method::Message, 2), &route).forget();

    world.closed(connection).expect(&["connect out-2: 192.0.2.1:5060"]);
    let connection = world.connected(2);
    world.expect(&[&format!("send out-2: {REQUEST}")]);
    world.closed(connection).expect(&["failed 2: connection lost before the answer: reset"]);
}

#[test]
fn a_rejected_certificate_outranks_what_failed_after_it() {
    let mut world = World::new(Settings { locate_by: vec![Transport::Tls], ..settings() });
    world.send(1, ours(Method::Message, 2), &Route::to_domain("s.example").unwrap());
    world.resolved(1, vec![]);
    world.resolved(2, vec![srv(1, 5061, "a.example"), srv(2, 5061, "b.example")]);
    world.resolved(3, vec![host("192.0.2.1")]).resolved(4, vec![host("192.0.2.2")]).forget();
    world.shook_hands(5, &["wrong.example"]);
    world.expect(&["close out-5", "connect out-6: 192.0.2.2:5061 as s.example"]);

    world.refused(6);

    world.expect(&[
        "failed 1: certificate rejected: the server's certificate is for wrong.example, not for s.example; \
         have a certificate issued for s.example, or set the route's TLS name to wrong.example if that is \
         the server you mean",
    ]);
}

/// A request on its way to a domain with two hosts.
fn two_targets() -> World {
    let mut world = World::new(Settings { locate_by: vec![Transport::Tcp], ..settings() });
    world.send(1, ours(Method::Message, 2), &route());
    world.resolved(1, vec![]);
    world.resolved(2, vec![srv(1, 5060, "a.example"), srv(2, 5060, "b.example")]);
    world.resolved(3, vec![host("192.0.2.1")]).resolved(4, vec![host("192.0.2.2")]);
    world.forget();
    world
}

fn route() -> Route {
    Route::to_domain("s.example").unwrap()
}

fn branch_of(world: &World) -> String {
    let Message::Request(request) = world.last_sent() else { panic!("a response was sent") };
    request.via().unwrap().branch().unwrap().to_owned()
}
