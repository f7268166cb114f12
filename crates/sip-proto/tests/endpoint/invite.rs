use sip_proto::endpoint::{RequestKey, Transport};
use sip_types::Method;

use crate::world::{PEER, World, fixed, ours, wire};

#[test]
fn a_refused_invite_is_repeated_until_its_ack() {
    let mut world = World::default();
    let invite = wire("INVITE", "UDP", "1", "call");
    world.datagram(PEER, &invite).expect(&["request INVITE"]);

    world.at(200).expect(&["datagram 192.0.2.1:5060: SIP/2.0 100 Trying"]);
    world.at(300).datagram(PEER, &invite).expect(&["datagram 192.0.2.1:5060: SIP/2.0 100 Trying"]);
    world.at(400).answer(0, 486).expect(&["datagram 192.0.2.1:5060: SIP/2.0 486 Busy Here"]);
    world.at(900).expect(&["datagram 192.0.2.1:5060: SIP/2.0 486 Busy Here"]);
    world.at(1000).datagram(PEER, &wire("ACK", "UDP", "1", "call")).expect(&[]);
    world.at(60_000).expect(&[]);
    assert!(world.endpoint.is_quiet());
}

#[test]
fn the_ack_of_an_accepted_invite_reaches_the_user() {
    let mut world = World::default();
    let invite = wire("INVITE", "UDP", "1", "call");
    world.datagram(PEER, &invite).answer(0, 200).forget();

    world.datagram(PEER, &invite).expect(&[]);
    world.answer(0, 200).expect(&["datagram 192.0.2.1:5060: SIP/2.0 200 OK"]);
    world.datagram(PEER, &wire("ACK", "UDP", "2", "call")).expect(&["ack"]);
    world.at(60_000).expect(&[]);
}

#[test]
fn a_cancel_is_answered_and_handed_up_as_such() {
    let mut world = World::default();
    world.datagram(PEER, &wire("INVITE", "UDP", "1", "call")).forget();

    world.datagram(PEER, &wire("CANCEL", "UDP", "1", "call"));
    world.expect(&["datagram 192.0.2.1:5060: SIP/2.0 200 OK", "cancelled"]);
    world.answer(0, 487).expect(&["datagram 192.0.2.1:5060: SIP/2.0 487 Request Terminated"]);
    world.datagram(PEER, &wire("CANCEL", "UDP", "9", "call"));

    world.expect(&["datagram 192.0.2.1:5060: SIP/2.0 481 Call/Transaction Does Not Exist"]);
}

#[test]
fn an_invite_of_ours_hands_up_what_is_provisional_and_acknowledges_a_refusal() {
    let mut world = World::default();
    world.send(1, ours(Method::Invite, 2), &fixed(Transport::Udp, "192.0.2.1", 5060)).forget();
    let (ringing, busy) = (world.response_to_last(180, ""), world.response_to_last(486, ""));

    world.at(100).datagram(PEER, &ringing).expect(&["response 1: 180"]);
    world.at(200).datagram(PEER, &busy);
    world.expect(&["datagram 192.0.2.1:5060: ACK sip:bob@s.example SIP/2.0", "response 1: 486"]);
    assert!(world.last_text().contains(";tag=theirs"));
    world.at(700).datagram(PEER, &busy);
    world.expect(&["datagram 192.0.2.1:5060: ACK sip:bob@s.example SIP/2.0"]);
    world.at(60_000).expect(&[]);
    assert_eq!(world.endpoint.snapshot(world.now).timers, 0);
}

#[test]
fn every_2xx_of_an_invite_is_handed_up() {
    let mut world = World::default();
    world.send(1, ours(Method::Invite, 2), &fixed(Transport::Udp, "192.0.2.1", 5060)).forget();
    let accepted = world.response_to_last(200, "");

    world.at(100).datagram(PEER, &accepted).expect(&["response 1: 200"]);
    world.at(600).datagram(PEER, &accepted).expect(&["response 1: 200"]);
    assert!(world.endpoint.is_quiet());
    world.at(40_000).datagram(PEER, &accepted).expect(&[]);
}

#[test]
fn a_cancel_waits_for_something_provisional() {
    let mut world = World::default();
    world.send(1, ours(Method::Invite, 2), &fixed(Transport::Udp, "192.0.2.1", 5060)).forget();
    let (ringing, ended) = (world.response_to_last(180, ""), world.response_to_last(487, ""));

    world.endpoint.cancel(RequestKey(1), world.now);
    world.drain();
    world.expect(&[]);
    world.datagram(PEER, &ringing);
    world.expect(&["response 1: 180", "datagram 192.0.2.1:5060: CANCEL sip:bob@s.example SIP/2.0"]);
    let cancelled = world.response_to_last(200, "");
    world.datagram(PEER, &cancelled).expect(&[]);
    world.datagram(PEER, &ended);

    world.expect(&["datagram 192.0.2.1:5060: ACK sip:bob@s.example SIP/2.0", "response 1: 487"]);
}

#[test]
fn an_invite_cancelled_in_vain_fails_after_64_t1() {
    let mut world = World::default();
    world.send(1, ours(Method::Invite, 2), &fixed(Transport::Udp, "192.0.2.1", 5060));
    let ringing = world.response_to_last(180, "");
    world.datagram(PEER, &ringing);
    world.endpoint.cancel(RequestKey(1), world.now);
    world.drain();

    world.at(31_999).forget();
    world.at(32_000).expect(&["failed 1: no answer from UDP 192.0.2.1:5060 in time"]);
    world.at(100_000).expect(&[]);
    assert!(world.endpoint.is_quiet());
}

#[test]
fn an_ack_of_ours_has_no_transaction() {
    let mut world = World::default();

    world.send(1, ours(Method::Ack, 0), &fixed(Transport::Udp, "192.0.2.1", 5060));
    world.expect(&["datagram 192.0.2.1:5060: ACK sip:bob@s.example SIP/2.0"]);
    world.at(60_000).expect(&[]);

    assert_eq!(world.endpoint.snapshot(world.now).timers, 0);
}
