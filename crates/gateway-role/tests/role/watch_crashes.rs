//! Watches when the process dies at a bad moment: what nobody heard is said again, and nobody is asked for ever.

use crate::presence::{grant, heard, left, notify, open, presence, subscribe, watched, watching};
use crate::world::{World, header};

#[test]
fn a_permission_that_the_xmpp_side_never_heard_of_is_told_after_a_crash() {
    let mut world = World::new();
    presence(&mut world, "subscribe", "");
    let request = world.expect_sip();
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 1, "active;expires=3600", &open("ID-pc", ""));

    // The stanza is on the link when the gateway dies.
    let mut world = World::after(left(world.all_is_stored()));
    world.pass(30_000);
    let refresh = world.expect_sip();
    grant(&mut world, &refresh, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &refresh, 2, "active;expires=3600", &open("ID-pc", ""));
    assert_eq!(heard(&mut world), ["subscribed bob@s.example", "available bob@s.example/pc"]);
}

#[test]
fn who_has_left_before_a_crash_stays_away() {
    let (mut world, _) = watching();
    presence(&mut world, "unsubscribe", "");

    // The SUBSCRIBE that ends it is lost with the process.
    let mut world = World::after(left(world.all_is_stored()));
    world.pass(60_000);
    world.expect_no_sip();
    assert_eq!(world.gateway.watch_count().outward, 0);
}

#[test]
fn who_leaves_and_asks_anew_is_not_told_that_he_has_left() {
    let (mut world, request) = watching();
    presence(&mut world, "unsubscribe", "");
    presence(&mut world, "subscribe", "");
    let end = world.expect_sip();
    assert_eq!(header(&end, "Expires"), "0");
    grant(&mut world, &end, "200 OK", "Expires: 0\r\n");
    notify(&mut world, &request, 2, "terminated;reason=timeout", "");

    world.pass(0);
    let anew = world.expect_sip();
    assert_ne!(header(&anew, "Call-ID"), header(&request, "Call-ID"));
    grant(&mut world, &anew, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &anew, 3, "active;expires=3600", &open("ID-pc", ""));
    let heard = heard(&mut world);
    assert_eq!(
        heard,
        ["unavailable bob@s.example/pc", "subscribed bob@s.example", "available bob@s.example/pc"]
    );
}

#[test]
fn a_question_that_was_lost_with_the_process_is_asked_again() {
    let mut world = World::new();
    subscribe(&mut world, 1, "", "Expires: 600\r\n");
    let first = world.expect_sip();
    world.answer(&first, "200 OK");

    let mut world = World::after(left(world.all_is_stored()));
    assert_eq!(heard(&mut world), ["subscribe bob@s.example"]);
    // It is one question, however often the program refreshes.
    world.expect_no_sip();
}

#[test]
fn a_refusal_that_was_lost_with_the_process_is_told_again() {
    let (mut world, _) = watched();
    presence(&mut world, "unsubscribed", "");
    let ended = world.expect_sip();
    assert_eq!(header(&ended, "Subscription-State"), "terminated;reason=rejected");

    // Nobody has answered, so that the dialog is still kept.
    let mut world = World::after(left(world.all_is_stored()));
    let ended = world.expect_sip();
    assert_eq!(header(&ended, "Subscription-State"), "terminated;reason=rejected");
}

#[test]
fn what_comes_by_itself_after_a_restart_may_not_be_all() {
    let (mut world, _) = watched();
    let mut left = left(world.all_is_stored());
    left.watches[0].dialogs.clear();

    let mut world = World::after(left);
    presence(&mut world, "", "<show>dnd</show>");
    subscribe(&mut world, 2, "", "Expires: 600\r\n");
    assert_eq!(heard(&mut world), ["probe bob@s.example"]);
}

#[test]
fn what_a_full_disk_could_not_take_is_offered_again_in_its_order() {
    let (mut world, _) = watched();
    world.all_is_stored();
    let first = presence(&mut world, "unsubscribed", "");
    world.refuse_records();
    let ended = world.expect_sip();
    world.answer(&ended, "200 OK");
    subscribe(&mut world, 9, "", "Expires: 600\r\n");
    let second = presence(&mut world, "subscribed", "");
    assert!(!world.is_settled(first) && !world.is_settled(second), "nothing is kept yet");

    world.pass(2000);
    let left = left(world.all_is_stored());
    assert!(world.is_settled(first) && world.is_settled(second));
    // The watch is as the last word left it.
    assert_eq!(left.watches[0].authorisation, gateway_role::Authorisation::Granted);
}
