use sip_proto::endpoint::{Failure, Stage};
use sip_proto::session::{About, Unready};
use sip_types::{HeaderName, Method};

use crate::world::World;

#[test]
fn an_accepted_invite_is_acknowledged_and_established() {
    let mut world = World::calling();

    world.at(100).hear_invite(100, "t1", "").expect(&[]);
    world.hear_invite(180, "t1", "").expect(&["progress 180"]);
    assert_eq!(world.session.readiness(), Err(Unready::NotEstablished));
    world.at(9500).hear_invite(200, "t1", "Record-Route: <sip:edge.s.example;lr>\r\n");

    world.expect(&["send Ack: ACK 1", "established v=0"]);
    assert_eq!(world.last_sent().uri().as_str(), "sip:bob@pc-t1.s.example");
    assert_eq!(world.last_sent().headers().get(HeaderName::Route), Some(&b"<sip:edge.s.example;lr>"[..]));
    assert_eq!(world.session.readiness(), Ok(()));
}

#[test]
fn a_repeated_2xx_is_acknowledged_again_with_the_same_ack() {
    let mut world = World::called_out("");

    world.at(500).hear_invite(200, "t1", "").expect(&["send Ack: ACK 1"]);

    let (first, second) = (&world.sent[1], &world.sent[2]);
    assert_eq!(first.uri(), second.uri());
    assert_eq!(first.to(), second.to());
}

#[test]
fn another_forks_2xx_is_acknowledged_and_ended() {
    let mut world = World::calling();
    world.hear_invite(183, "t1", "").hear_invite(180, "t2", "").forget();
    world.hear_invite(200, "t1", "").forget();

    world.at(300).hear_invite(200, "t2", "").expect(&["send Ack: ACK 1", "send StrayBye: BYE 2"]);
    assert_eq!(world.last_sent().uri().as_str(), "sip:bob@pc-t2.s.example");
    assert_eq!(world.last_sent().to().tag(), Some("t2"));
    world.hear(About::StrayBye, 481, "").expect(&[]);
    world.at(800).hear_invite(200, "t2", "").expect(&["send Ack: ACK 1"]);

    world.say("hi").expect(&["send Inside: MESSAGE 2"]);
    assert_eq!(world.last_sent().to().tag(), Some("t1"));
}

#[test]
fn forks_without_end_are_each_ended_and_few_remembered() {
    let mut world = World::calling();
    for fork in 0..12 {
        world.hear_invite(180, &format!("early{fork}"), "");
    }
    world.hear_invite(200, "t1", "").forget();

    for fork in 0..16 {
        world.hear_invite(200, &format!("fork{fork}"), "");
        world.expect(&["send Ack: ACK 1", "send StrayBye: BYE 2"]);
    }

    // One that is remembered has had its BYE; one more gets another with each 2xx.
    world.hear_invite(200, "fork3", "").expect(&["send Ack: ACK 1"]);
    for _ in 0..2 {
        world.hear_invite(200, "fork16", "").expect(&["send Ack: ACK 1", "send StrayBye: BYE 2"]);
    }
}

#[test]
fn a_refused_invite_ends_the_session() {
    let mut world = World::calling();

    world.hear_invite(486, "t1", "").expect(&["ended: refused 486"]);

    assert!(world.session.is_over());
    assert_eq!(world.session.readiness(), Err(Unready::Over));
}

#[test]
fn an_invite_that_nobody_answers_ends_the_session() {
    let mut world = World::calling();
    let failure = Failure::Unreachable { stage: Stage::Tcp, reason: "refused".into() };

    world.fail(About::Invite, failure).expect(&["ended: failed: connection failed: refused"]);

    assert!(world.session.is_over());
}

#[test]
fn a_cancelled_invite_ends_by_487() {
    let mut world = World::calling();

    world.end().expect(&["cancel"]);
    world.end().expect(&[]);
    world.hear_invite(487, "t1", "").expect(&["ended: Cancelled"]);

    assert!(world.session.is_over());
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut world = World::calling();
    world.end().expect(&["cancel"]);

    world.hear_invite(200, "t1", "").expect(&["send Ack: ACK 1", "ended: Cancelled", "send Bye: BYE 2"]);
    world.hear(About::Bye, 200, "").expect(&[]);

    // A late fork may still come.
    assert!(!world.session.is_over());
    world.at(20_000).hear_invite(200, "t2", "").expect(&["send Ack: ACK 1", "send StrayBye: BYE 2"]);
    world.at(32_000).expect(&[]);
    assert!(world.session.is_over());
}

#[test]
fn an_interval_too_small_for_the_peer_is_tried_again_once() {
    let mut world = World::calling();

    world.hear_invite(422, "t1", "Min-SE: 1800\r\n").expect(&["send Invite: INVITE 2"]);
    let second = world.last_sent();
    assert_eq!(second.headers().get(HeaderName::SessionExpires), Some(&b"1800"[..]));
    assert_eq!(second.headers().get(HeaderName::MinSe), Some(&b"1800"[..]));
    assert_eq!(second.from().tag(), Some("mine"));
    assert_eq!(second.method(), &Method::Invite);
    world.hear_invite(422, "t1", "Min-SE: 3600\r\n").expect(&["ended: refused 422"]);
}

#[test]
fn a_text_that_comes_before_the_2xx_is_handed_up() {
    let mut world = World::calling();
    world.hear_invite(180, "t1", "").forget();

    world.receive(7, "MESSAGE", 1, "").expect(&["request 7: MESSAGE"]);
    world.receive(8, "INVITE", 2, "").expect(&["respond 8: 491"]);
    world.hear_invite(200, "t1", "").forget();

    // The early dialog's numbers count.
    world.receive(9, "MESSAGE", 1, "").expect(&["respond 9: 500"]);
}

#[test]
fn a_2xx_without_contact_is_acknowledged_all_the_same() {
    let mut world = World::calling();
    let invite = world.last_sent().clone();
    let bare = crate::world::response(&invite, 200, "t1", "", "");

    world.session.handle_response(About::Invite, Box::new(bare), world.now);
    let mut outputs = std::iter::from_fn(|| world.session.poll_output());

    assert!(outputs.next().is_some_and(|first| format!("{first:?}").contains("Ack")));
}
