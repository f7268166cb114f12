use sip_proto::endpoint::{Failure, Stage};
use sip_proto::session::{About, Unready};
use sip_types::{HeaderName, Method};

use crate::world::{SDP, World};

#[test]
fn one_request_at_a_time_is_under_way() {
    let mut world = World::called_out("");

    world.say("one").expect(&["send Inside: MESSAGE 2"]);
    assert_eq!(world.session.readiness(), Err(Unready::Busy));
    world.hear(About::Inside, 100, "").expect(&[]);
    world.hear(About::Inside, 200, "").expect(&["response 200"]);
    world.say("two").expect(&["send Inside: MESSAGE 3"]);
}

#[test]
fn the_sessions_own_methods_are_not_the_users() {
    let mut world = World::called_out("");

    for method in [Method::Invite, Method::Ack, Method::Bye, Method::Cancel] {
        assert_eq!(world.session.send(method, |request| request, world.now), Err(Unready::NotForUsers));
    }
}

#[test]
fn a_session_that_the_peer_forgot_ends_without_bye() {
    let mut world = World::called_out("");
    world.say("hi").forget();

    world.hear(About::Inside, 481, "").expect(&["response 481", "ended: Gone(481)"]);

    world.at(32_000);
    assert!(world.session.is_over());
}

#[test]
fn a_session_without_an_answer_ends_with_bye() {
    let mut world = World::called_out("");
    world.say("hi").forget();
    world.time_out(About::Inside).expect(&[
        "request failed: no answer from TLS 192.0.2.1:5061 in time",
        "ended: Gone(408)",
        "send Bye: BYE 3",
    ]);

    let mut world = World::called_out("");
    world.say("hi").forget();
    world.hear(About::Inside, 408, "").expect(&["response 408", "ended: Gone(408)", "send Bye: BYE 3"]);
}

#[test]
fn another_refusal_is_of_that_request_alone() {
    let mut world = World::called_out("");

    for (number, status) in [(2, 415), (3, 500), (4, 403), (5, 503), (6, 486), (7, 405)] {
        world.say("hi").expect(&[&format!("send Inside: MESSAGE {number}")]);
        world.hear(About::Inside, status, "").expect(&[&format!("response {status}")]);
    }
    world.say("hi").forget();
    let lost = Failure::Unreachable { stage: Stage::Answer, reason: "reset".into() };
    world.fail(About::Inside, lost);
    world.expect(&["request failed: connection lost before the answer: reset"]);
    assert_eq!(world.session.readiness(), Ok(()));
}

#[test]
fn a_received_request_is_handed_up() {
    let mut world = World::answered("");

    world.receive(1, "MESSAGE", 2, "").expect(&["request 1: MESSAGE"]);
    world.receive(2, "INFO", 3, "").expect(&["request 2: INFO"]);
    world.receive(3, "MESSAGE", 2, "").expect(&["respond 3: 500"]);
    world.receive(4, "INFO", 5, "Require: foo\r\n").expect(&["respond 4: 420"]);
    world.receive(5, "PRACK", 6, "").expect(&["respond 5: 481"]);
}

#[test]
fn the_peers_bye_ends_the_session() {
    let mut world = World::answered("");
    world.say("hi").forget();

    world.receive(1, "BYE", 2, "Reason: SIP;text=\"idle\"\r\n");
    world.expect(&["respond 1: 200", "ended: ByPeer(Some(\"SIP;text=\\\"idle\\\"\"))"]);

    // What was under way is still settled.
    assert!(!world.session.is_over());
    world.hear(About::Inside, 481, "").expect(&["response 481"]);
    assert!(world.session.is_over());
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut world = World::answered("");

    world.end().expect(&["ended: ByUs", "send Bye: BYE 1"]);
    world.receive(1, "BYE", 2, "").expect(&["respond 1: 200"]);
    world.receive(2, "MESSAGE", 3, "").expect(&["respond 2: 481"]);
    assert!(!world.session.is_over());
    world.hear(About::Bye, 481, "").expect(&[]);

    assert!(world.session.is_over());
}

#[test]
fn a_bye_that_nobody_answers_is_given_up() {
    let mut world = World::answered("");
    world.end().forget();

    world.time_out(About::Bye).expect(&[]);

    assert!(world.session.is_over());
}

#[test]
fn a_reinvite_is_answered_with_the_terms_as_they_are() {
    let mut world = World::answered("");

    world.receive_offer(1, "INVITE", 2, SDP).expect(&["respond 1: 200", "modified v=0"]);
    assert_eq!(world.last_answer().body().as_ref(), SDP.as_bytes());
    assert!(!world.answer_header(HeaderName::Contact).is_empty());
    world.at(500).expect(&["respond 1: 200"]);
    world.ack(2).expect(&[]);
    world.at(40_000).expect(&[]);
    assert_eq!(world.session.readiness(), Ok(()));
}

#[test]
fn a_reinvite_for_a_further_medium_is_refused_and_the_session_lives() {
    let mut world = World::answered("");

    world.receive_offer(1, "INVITE", 2, &format!("{SDP}m=audio 1 RTP/AVP 0\r\n"));

    world.expect(&["respond 1: 488"]);
    world.say("hi").expect(&["send Inside: MESSAGE 1"]);
}

#[test]
fn a_reinvite_moves_the_target() {
    let mut world = World::answered("");

    world.receive(1, "INVITE", 2, "Contact: <sip:bob@other.s.example>\r\n").forget();
    world.ack(2).say("hi");

    assert_eq!(world.last_sent().uri().as_str(), "sip:bob@other.s.example");
}

#[test]
fn a_reinvite_without_its_predecessors_ack_establishes_the_session() {
    let mut world = World::ringing("");
    world.accept().forget();

    world.receive_offer(1, "INVITE", 2, SDP).expect(&["established", "respond 1: 200", "modified v=0"]);
    world.ack(1).expect(&[]);
    world.ack(2).expect(&[]);
    world.at(40_000).expect(&[]);
}

#[test]
fn a_reinvite_never_acknowledged_ends_the_session() {
    let mut world = World::answered("");
    world.receive_offer(1, "INVITE", 2, SDP).at(31_999).forget();

    world.at(32_000).expect(&["ended: Unacknowledged", "send Bye: BYE 1"]);
}

#[test]
fn an_update_is_answered() {
    let mut world = World::answered("");

    world.receive(1, "UPDATE", 2, "").expect(&["respond 1: 200"]);
    assert!(world.last_answer().body().is_empty());
    world.receive_offer(2, "UPDATE", 3, SDP).expect(&["respond 2: 200", "modified v=0"]);
    assert_eq!(world.last_answer().body().as_ref(), SDP.as_bytes());
    world.at(10_000).expect(&[]);
}

#[test]
fn nothing_can_be_sent_after_the_end() {
    let mut world = World::answered("");

    world.end().forget();

    assert_eq!(world.session.readiness(), Err(Unready::Over));
}
