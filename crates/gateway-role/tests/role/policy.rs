//! Users who may not federate: what each side hears.

use std::sync::Arc;

use gateway_role::Recovered;
use gateway_role::policy::{Access, Origin, Policy, Rule, Whom};
use xmpp_types::xml::Element;

use crate::presence::{grant, heard, notify, open, presence, watching};
use crate::world::{MESSAGE, STANZA, World, settings};

fn refusing(whom: &str) -> World {
    let origin = Origin { place: "`refused`".into(), line: None };
    let rule = Rule { whom: Whom::parse(whom).unwrap(), access: Access::Refused, origin };
    let mut settings = settings();
    settings.policy = Arc::new(Policy::new(Access::Allowed, vec![rule]));
    World::with(settings, Recovered::default())
}

/// The error that comes back for a text to `user`, less what names the user and the message.
#[track_caller]
fn error_for(world: &mut World, user: &str) -> Element {
    let (_, stanza) = world.expect_stanza();
    assert_eq!(stanza.attr("type"), Some("error"));
    assert_eq!(stanza.attr("from"), Some(user));
    stanza.elements().find(|child| child.name() == "error").unwrap().clone()
}

#[test]
fn a_refused_sip_user_is_told_403_in_words_and_nothing_crosses() {
    let mut world = refusing("bob@s.example");

    world.sip(MESSAGE);

    let answer = world.expect_sip();
    assert!(
        answer.starts_with("SIP/2.0 403 This account is not enabled for XMPP federation\r\n"),
        "{answer}"
    );
    assert!(world.stanzas.is_empty());
}

#[test]
fn a_refused_user_looks_unknown_in_words_and_in_time() {
    let mut world = refusing("eve@s.example");
    world.xmpp(STANZA);
    let request = world.expect_sip();
    world.pass(70);
    world.answer(&request, "404 Bob Is Not Here");
    let unknown = error_for(&mut world, "bob@s.example");

    world.xmpp(&STANZA.replace("bob@", "eve@").replace("m1", "m2"));
    world.expect_no_sip();
    world.pass(69);
    assert!(world.stanzas.is_empty(), "an unknown user's answer took 70 ms");
    world.pass(1);
    let refused = error_for(&mut world, "eve@s.example");

    assert_eq!(refused.to_string(), unknown.to_string());
}

#[test]
fn where_nobody_is_refused_the_servers_own_words_reach_the_sender() {
    let mut world = World::new();
    world.xmpp(STANZA);
    let request = world.expect_sip();

    world.answer(&request, "404 Bob Is Not Here");

    assert!(error_for(&mut world, "bob@s.example").to_string().contains("404 Bob Is Not Here"));
}

#[test]
fn a_user_refused_while_his_message_waits_gets_it_no_more() {
    let mut world = World::new();
    world.xmpp(STANZA);
    world.expect_sip();
    world.xmpp(&STANZA.replace("m1", "m2"));
    let mut refused = settings();
    refused.policy = Arc::new(Policy::new(Access::Refused, Vec::new()));

    world.gateway.handle_settings(refused, world.now);
    world.pass(32_000);

    world.sip.clear();
    world.pass(60_000);
    assert!(world.sip.is_empty(), "{:?}", world.sip);
    assert_eq!(world.stanzas.len(), 2, "{:?}", world.stanzas);
}

#[test]
fn a_refused_user_who_is_to_be_watched_looks_unknown_in_words_and_in_time() {
    let mut world = refusing("eve@s.example");
    let ask = |world: &mut World, user: &str, kind: &str| {
        let to = format!("{user}@s.example");
        world.xmpp(&format!("<presence xmlns='jabber:server' from='ann@x.example' to='{to}' type='{kind}'/>"))
    };
    ask(&mut world, "nobody", "subscribe");
    let request = world.expect_sip();
    world.pass(70);
    world.answer(&request, "404 Not Found");
    world.store();
    let (_, unknown) = world.expect_stanza();
    assert_eq!(
        (unknown.attr("type"), unknown.attr("from")),
        (Some("unsubscribed"), Some("nobody@s.example"))
    );

    let sent = ask(&mut world, "eve", "subscribe");
    world.expect_no_sip();
    assert!(!world.is_settled(sent), "before the disk has it");
    world.store();
    world.pass(69);
    assert!(world.stanzas.is_empty(), "an unknown user's answer took 70 ms");
    world.pass(1);
    world.store();
    let (_, refused) = world.expect_stanza();
    assert_eq!(refused.to_string(), unknown.to_string().replace("nobody@", "eve@"));
    assert!(world.is_settled(sent));

    ask(&mut world, "eve", "probe");
    let (_, probed) = world.expect_stanza();
    assert_eq!((probed.attr("type"), probed.attr("from")), (Some("unavailable"), Some("eve@s.example")));
}

#[test]
fn a_user_refused_by_a_reload_is_seen_no_more_and_again_when_he_may() {
    let (mut world, request) = watching();
    let with = |access| {
        let mut changed = settings();
        changed.policy = Arc::new(Policy::new(access, Vec::new()));
        changed
    };

    world.gateway.handle_settings(with(Access::Refused), world.now);
    world.drain();
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
    let end = world.expect_sip();
    grant(&mut world, &end, "200 OK", "Expires: 0\r\n");
    notify(&mut world, &request, 2, "terminated;reason=timeout", "");
    presence(&mut world, "probe", "");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example"]);
    world.pass(4_000_000);
    world.expect_no_sip();
    world.gateway.handle_settings(with(Access::Allowed), world.now);
    world.drain();
    let again = world.expect_sip();
    grant(&mut world, &again, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &again, 1, "active", &open("ID-pc", ""));

    assert_eq!(heard(&mut world), ["available bob@s.example/pc"]);
}
