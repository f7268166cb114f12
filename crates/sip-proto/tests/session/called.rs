use sip_proto::session::Unready;
use sip_types::HeaderName;

use crate::world::World;

#[test]
fn an_accepted_invite_is_established_by_its_ack() {
    let mut world = World::ringing("");
    world.expect(&["offered"]);

    world.accept().expect(&["respond 0: 200"]);

    assert_eq!(world.last_answer().to_header().unwrap().tag(), Some("ours"));
    assert_eq!(world.answer_header(HeaderName::Contact), "<sip:ann@gw.x.example:5061;transport=tls>");
    assert_eq!(
        world.answer_header(HeaderName::RecordRoute),
        "<sip:pool.s.example:5061;transport=tls;opaque=state:F;lr>;tag=1"
    );
    assert!(world.answer_header(HeaderName::Allow).contains("MESSAGE"));
    assert_eq!(world.last_answer().body().as_ref(), crate::world::SDP.as_bytes());
    assert_eq!(world.session.readiness(), Err(Unready::NotEstablished));
    world.at(100).ack(1).expect(&["established"]);
    world.say("hi").expect(&["send Inside: MESSAGE 1"]);
    assert_eq!(world.last_sent().uri().as_str(), "sip:bob@s.example;opaque=user:epid:Kq1;gruu");
}

#[test]
fn a_2xx_is_repeated_until_its_ack() {
    let mut world = World::ringing("");
    world.accept().forget();

    for at in [500, 1500, 3500, 7500, 11_500] {
        world.at(at - 1).expect(&[]);
        world.at(at).expect(&["respond 0: 200"]);
    }
    world.at(12_000).ack(1).expect(&["established"]);
    world.at(60_000).expect(&[]);
}

#[test]
fn a_session_never_acknowledged_ends_by_bye() {
    let mut world = World::ringing("");
    world.accept().at(31_999).forget();

    world.at(32_000).expect(&["ended: Unacknowledged", "send Bye: BYE 1"]);
    world.hear(sip_proto::session::About::Bye, 200, "").expect(&[]);

    assert!(world.session.is_over());
}

#[test]
fn the_bye_of_a_called_session_waits_for_the_ack() {
    let mut world = World::ringing("");
    world.accept().forget();

    world.end().expect(&["ended: ByUs"]);
    assert!(!world.session.is_over());
    world.at(500).expect(&["respond 0: 200"]);
    world.ack(1).expect(&["send Bye: BYE 1"]);
    world.at(60_000).expect(&[]);
}

#[test]
fn a_cancelled_invite_is_answered_487() {
    let mut world = World::ringing("");
    world.expect(&["offered"]);

    world.cancelled().expect(&["respond 0: 487", "ended: Cancelled"]);

    assert!(world.session.is_over());
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut world = World::ringing("");
    world.accept().forget();

    world.cancelled().expect(&[]);
    world.ack(1).expect(&["established"]);
}

#[test]
fn an_extension_that_nobody_knows_is_refused() {
    for option in ["100rel", "com.microsoft.rtc-multiparty", "foo, timer"] {
        let mut world = World::ringing(&format!("Require: {option}\r\n"));

        world.expect(&["respond 0: 420", "ended: Declined(420)"]);
        assert_eq!(world.answer_header(HeaderName::Unsupported), option.split(',').next().unwrap());
        assert!(world.session.is_over());
    }
    World::ringing("Require: timer\r\n").expect(&["offered"]);
}

#[test]
fn a_session_may_ring_before_it_is_accepted() {
    let mut world = World::ringing("");
    world.expect(&["offered"]);

    world.ring(180).expect(&["respond 0: 180"]);
    assert_eq!(world.last_answer().to_header().unwrap().tag(), Some("ours"));
    world.at(60_000).expect(&["respond 0: 180"]);
    world.accept().expect(&["respond 0: 200"]);
}

#[test]
fn ending_what_rings_refuses_it() {
    let mut world = World::ringing("");
    world.expect(&["offered"]);

    world.end().expect(&["respond 0: 480", "ended: Declined(480)"]);

    assert!(world.session.is_over());
}

#[test]
fn a_bye_for_what_rings_ends_it() {
    let mut world = World::ringing("");
    world.expect(&["offered"]);

    world.receive(1, "BYE", 2, "").expect(&["respond 1: 200", "respond 0: 487", "ended: Cancelled"]);
}

#[test]
fn another_invite_before_the_answer_waits() {
    let mut world = World::ringing("");
    world.expect(&["offered"]);

    world.receive(1, "INVITE", 2, "").expect(&["respond 1: 500"]);
    assert_eq!(world.answer_header(HeaderName::RetryAfter), "1");
}

#[test]
fn an_invite_without_contact_is_refused() {
    let invite = crate::world::invite_of_peer("");
    let mut bare = invite.clone();
    bare.headers_mut().remove(HeaderName::Contact);

    let mut session = crate::world::called(&bare);

    let outputs: Vec<_> = std::iter::from_fn(|| session.poll_output()).collect();
    assert!(format!("{outputs:?}").contains("Declined(400)"));
}
