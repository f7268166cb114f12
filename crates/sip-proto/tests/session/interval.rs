use sip_proto::session::About;
use sip_types::{HeaderName, Method};

use crate::world::World;

#[test]
fn a_session_has_no_interval_unless_the_peer_asks() {
    let mut world = World::answered("Supported: timer\r\n");

    assert_eq!(world.answer_header(HeaderName::SessionExpires), "");
    assert_eq!(world.session.poll_timeout(), None);
    world.at_seconds(100_000).expect(&[]);
}

#[test]
fn a_peer_that_asks_refreshes_itself() {
    let mut world = World::answered("Supported: timer\r\nSession-Expires: 1800\r\n");
    assert_eq!(world.answer_header(HeaderName::SessionExpires), "1800;refresher=uac");
    assert_eq!(world.answer_header(HeaderName::Require), "timer");

    world.at_seconds(900).receive(1, "UPDATE", 2, "Supported: timer\r\nSession-Expires: 1800\r\n");
    world.expect(&["respond 1: 200"]);
    assert_eq!(world.answer_header(HeaderName::SessionExpires), "1800;refresher=uac");
    world.at_seconds(900 + 1767).expect(&[]);
    world.at_seconds(900 + 1768).expect(&["ended: Expired", "send Bye: BYE 1"]);
}

#[test]
fn we_refresh_if_the_peer_wants_it() {
    let mut world =
        World::answered("Supported: timer\r\nAllow: UPDATE\r\nSession-Expires: 1800;refresher=uas\r\n");
    assert_eq!(world.answer_header(HeaderName::SessionExpires), "1800;refresher=uas");

    world.at_seconds(899).expect(&[]);
    world.at_seconds(900).expect(&["send Refresh: UPDATE 1"]);
    let update = world.last_sent();
    assert_eq!(update.headers().get(HeaderName::SessionExpires), Some(&b"1800;refresher=uac"[..]));
    assert!(update.body().is_empty() && update.headers().has(HeaderName::Contact));
    world.hear(About::Refresh, 200, "Session-Expires: 1800;refresher=uac\r\n").expect(&[]);
    world.at_seconds(1800).expect(&["send Refresh: UPDATE 2"]);
}

#[test]
fn a_peer_without_update_is_refreshed_by_invite() {
    let mut world = World::called_out("Session-Expires: 1800;refresher=uac\r\n");

    world.at_seconds(900).expect(&["send Refresh: INVITE 2"]);
    assert_eq!(world.last_sent().body().as_ref(), crate::world::SDP.as_bytes());
    world.hear(About::Refresh, 200, "Session-Expires: 1800;refresher=uac\r\n");
    world.expect(&["send Ack: ACK 2"]);
    world.at_seconds(1800).expect(&["send Refresh: INVITE 3"]);
}

#[test]
fn update_refused_falls_back_to_invite() {
    let mut world = World::called_out("Allow: UPDATE\r\nSession-Expires: 1800;refresher=uac\r\n");
    world.at_seconds(900).forget();

    world.hear(About::Refresh, 405, "").expect(&["send Refresh: INVITE 3"]);
}

#[test]
fn a_refresh_that_glares_is_sent_again_a_little_later() {
    let mut world = World::called_out("Session-Expires: 1800;refresher=uac\r\n");
    world.at_seconds(900).expect(&["send Refresh: INVITE 2"]);

    world.receive_offer(1, "INVITE", 1, crate::world::SDP).expect(&["respond 1: 491"]);
    world.hear(About::Refresh, 491, "").expect(&[]);
    world.at_seconds(902).expect(&[]);
    world.at_seconds(905).expect(&["send Refresh: INVITE 3"]);
}

#[test]
fn a_session_whose_refreshes_fail_expires() {
    let mut world = World::called_out("Allow: UPDATE\r\nSession-Expires: 180;refresher=uac\r\n");
    world.at_seconds(90).expect(&["send Refresh: UPDATE 2"]);

    world.hear(About::Refresh, 500, "").expect(&[]);
    world.at_seconds(119).expect(&["send Refresh: UPDATE 3"]);
    world.at_seconds(147).expect(&[]);
    world.at_seconds(148).expect(&["ended: Expired", "send Bye: BYE 4"]);
    world.hear(About::Refresh, 200, "").expect(&[]);
}

#[test]
fn a_refresh_that_is_always_refused_is_not_sent_ever_faster() {
    let mut world = World::called_out("Allow: UPDATE\r\nSession-Expires: 180;refresher=uac\r\n");
    for seconds in 90..148 {
        world.at_seconds(seconds);
        if world.last_sent().method() == &Method::Update {
            world.hear(About::Refresh, 500, "");
        }
    }

    world.at_seconds(148);

    assert!(world.sent.len() < 12, "{}", world.sent.len());
    assert_eq!(world.last_sent().method(), &Method::Bye);
}

#[test]
fn a_refresh_of_a_forgotten_session_ends_it() {
    let mut world = World::called_out("Allow: UPDATE\r\nSession-Expires: 180\r\n");
    world.at_seconds(90).forget();
    world.hear(About::Refresh, 481, "").expect(&["ended: Gone(481)"]);

    let mut world = World::called_out("Allow: UPDATE\r\nSession-Expires: 180\r\n");
    world.at_seconds(90).forget();
    world.time_out(About::Refresh).expect(&["ended: Gone(408)", "send Bye: BYE 3"]);
}

#[test]
fn an_interval_too_small_for_us_is_refused() {
    let mut world = World::ringing("Supported: timer\r\nSession-Expires: 60\r\n");
    world.expect(&["respond 0: 422", "ended: Declined(422)"]);
    assert_eq!(world.answer_header(HeaderName::MinSe), "90");

    // A peer without timers would not understand; a proxy asked for it.
    let mut world = World::answered("Session-Expires: 60\r\n");
    assert_eq!(world.answer_header(HeaderName::SessionExpires), "");
    world.at_seconds(1000).expect(&[]);
}

#[test]
fn a_peer_that_knows_no_timers_is_refreshed_by_us() {
    let world = World::answered("Session-Expires: 1800\r\n");

    assert_eq!(world.answer_header(HeaderName::SessionExpires), "1800;refresher=uas");
    assert_eq!(world.answer_header(HeaderName::Require), "");
}

#[test]
fn a_refresh_too_brief_for_the_peer_is_sent_again_with_its_interval() {
    let mut world = World::called_out("Allow: UPDATE\r\nSession-Expires: 180;refresher=uac\r\n");
    world.at_seconds(90).forget();

    world.hear(About::Refresh, 422, "Min-SE: 600\r\n").expect(&["send Refresh: UPDATE 3"]);

    assert_eq!(world.last_sent().headers().get(HeaderName::SessionExpires), Some(&b"600;refresher=uac"[..]));
    assert_eq!(world.last_sent().method(), &Method::Update);
}
