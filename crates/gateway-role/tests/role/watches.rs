//! Presence, both ways: what each side hears of the other's words (RFC 8048, RFC 6665).

use gateway_role::{Authorisation, Record, Recovered, WatchRecord};

use crate::presence::{grant, heard, left, notify, open, presence, subscribe, watched, watching};
use crate::world::{World, header, settings};

#[test]
fn case_19_a_contact_is_asked_for_shown_once_he_agrees() {
    let mut world = World::new();

    presence(&mut world, "subscribe", "");
    let request = world.expect_sip();
    assert!(request.starts_with("SUBSCRIBE sip:bob@s.example SIP/2.0\r\n"), "{request}");
    assert_eq!(header(&request, "Event"), "presence");
    assert_eq!(header(&request, "Accept"), "application/pidf+xml");
    assert_eq!(header(&request, "Expires"), "3600");
    assert_eq!(header(&request, "Contact"), "<sip:ann@10.0.0.2:5060;transport=udp>");
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 1, "pending;expires=3600", "");
    assert_eq!(heard(&mut world), [""; 0]);
    notify(&mut world, &request, 2, "active;expires=3600", &open("ID-pc", "<note>Here</note>"));

    assert_eq!(heard(&mut world), ["subscribed bob@s.example", "available bob@s.example/pc Here"]);
}

#[test]
fn a_subscribe_is_settled_only_when_the_disk_has_it() {
    let mut world = World::new();

    let sent = presence(&mut world, "subscribe", "");
    assert!(!world.is_settled(sent));
    let records = world.all_is_stored();
    assert!(world.is_settled(sent));
    let Some(Record::Watch(record)) = records.first() else { panic!("{records:?}") };
    assert!(matches!(&**record, WatchRecord::Authorisation { authorisation: Authorisation::Pending, .. }));
}

#[test]
fn case_20_a_watcher_is_announced_and_sees_after_consent() {
    let mut world = World::new();

    let answer = subscribe(&mut world, 1, "", "Expires: 600\r\nSupported: ms-benotify, eventlist\r\n");
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    assert_eq!(header(&answer, "Expires"), "600");
    assert!(!answer.contains("Supported") && !answer.contains("Require"), "{answer}");
    let first = world.expect_sip();
    assert!(first.starts_with("NOTIFY sip:bob@10.0.0.9;gruu SIP/2.0\r\n"), "{first}");
    assert_eq!(header(&first, "Subscription-State"), "pending;expires=600");
    assert_eq!(header(&first, "Content-Length"), "0");
    world.answer(&first, "200 OK");
    let (_, asked) = world.expect_stanza();
    assert_eq!((asked.attr("type"), asked.attr("from")), (Some("subscribe"), Some("bob@s.example")));
    assert_eq!(asked.elements().next().unwrap().text(), "Müller, Bob");

    presence(&mut world, "subscribed", "");
    let (_, probe) = world.expect_stanza();
    assert_eq!((probe.attr("type"), probe.attr("to")), (Some("probe"), Some("ann@x.example")));
    let allowed = world.expect_sip();
    assert_eq!(header(&allowed, "Subscription-State"), "active;expires=600");
    world.answer(&allowed, "200 OK");
    world.pass(6000);
    presence(&mut world, "", "<show>dnd</show>");
    let document = world.expect_sip();
    assert!(document.contains("<basic>open</basic>") && document.contains("<rpid:busy/>"), "{document}");
    assert!(document.contains("<show xmlns='jabber:client'>dnd</show>"), "{document}");
    assert_eq!(header(&document, "Content-Type"), "application/pidf+xml");
}

#[test]
fn case_21_whoever_was_allowed_before_is_shown_at_once() {
    let (mut world, tag) = watched();

    let answer = subscribe(&mut world, 2, &tag, "Expires: 300\r\n");
    assert_eq!(header(&answer, "Expires"), "300");
    let refreshed = world.expect_sip();
    assert_eq!(header(&refreshed, "Subscription-State"), "active;expires=300");
    assert!(refreshed.contains("ID-desk"), "{refreshed}");
    assert_eq!(heard(&mut world), [""; 0]);
}

#[test]
fn case_22_a_mutual_wish_asks_each_side_once() {
    let mut world = World::new();

    presence(&mut world, "subscribe", "");
    let ours = world.expect_sip();
    subscribe(&mut world, 1, "", "");
    let pending = world.expect_sip();
    world.answer(&pending, "200 OK");
    assert_eq!(heard(&mut world), ["subscribe bob@s.example"]);
    grant(&mut world, &ours, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &ours, 1, "active", &open("ID-pc", ""));
    presence(&mut world, "subscribed", "");
    let active = world.expect_sip();

    assert!(header(&active, "Subscription-State").starts_with("active"));
    assert_eq!(
        heard(&mut world),
        ["subscribed bob@s.example", "available bob@s.example/pc", "probe bob@s.example"]
    );
    world.expect_no_sip();
}

#[test]
fn case_23_a_refresh_without_news_is_not_noticed() {
    let (mut world, first) = watching();

    world.pass(3_240_000);
    let refresh = world.expect_sip();
    assert_eq!(header(&refresh, "CSeq"), "2 SUBSCRIBE");
    assert_eq!(header(&refresh, "Call-ID"), header(&first, "Call-ID"));
    grant(&mut world, &refresh, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &refresh, 2, "active;expires=3600", &open("ID-pc", ""));

    assert_eq!(heard(&mut world), [""; 0]);
}

#[test]
fn case_24_probes_adopt_contacts_only_where_that_is_wished() {
    let mut strict = World::new();
    presence(&mut strict, "probe", "");
    assert_eq!(heard(&mut strict), ["unavailable bob@s.example"]);
    strict.expect_no_sip();

    let mut settings = settings();
    settings.watches.adopt_probes = true;
    let mut adopting = World::with(settings, Recovered::default());
    presence(&mut adopting, "probe", "");
    assert_eq!(heard(&mut adopting), ["unavailable bob@s.example"]);
    let request = adopting.expect_sip();
    grant(&mut adopting, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut adopting, &request, 1, "active", &open("ID-pc", ""));
    assert_eq!(heard(&mut adopting), ["available bob@s.example/pc"]);
}

#[test]
fn case_25_a_dialog_that_dies_silently_costs_no_permission() {
    let (mut world, _) = watching();

    world.pass(3_240_000);
    let refresh = world.expect_sip();
    grant(&mut world, &refresh, "503 Service Unavailable", "Retry-After: 900\r\n");
    assert_eq!(heard(&mut world), [""; 0]);
    world.pass(60_000);
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
    world.pass(300_000);
    world.expect_no_sip();
    world.pass(700_000);
    let again = world.expect_sip();
    assert_ne!(header(&again, "Call-ID"), header(&refresh, "Call-ID"));
    grant(&mut world, &again, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &again, 1, "active", &open("ID-pc", ""));

    assert_eq!(heard(&mut world), ["available bob@s.example/pc"]);
}

#[test]
fn case_26_a_refusal_is_final_and_said_once() {
    for refusal in ["403 Forbidden", "489 Bad Event", "603 Decline"] {
        let mut world = World::new();
        presence(&mut world, "subscribe", "");
        let request = world.expect_sip();
        grant(&mut world, &request, refusal, "");
        assert_eq!(heard(&mut world), ["unsubscribed bob@s.example"]);
        presence(&mut world, "", "");
        presence(&mut world, "probe", "");
        assert_eq!(heard(&mut world), ["unavailable bob@s.example"]);
        world.pass(10_000_000);
        world.expect_no_sip();
        presence(&mut world, "subscribe", "");
        assert!(world.expect_sip().starts_with("SUBSCRIBE "));
    }
    let (mut world, request) = watching();
    notify(&mut world, &request, 2, "terminated;reason=rejected", "");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "unsubscribed bob@s.example"]);
}

#[test]
fn case_27_and_28_what_the_notifier_ends_begins_anew_unnoticed() {
    let (mut world, request) = watching();
    notify(&mut world, &request, 2, "terminated;reason=deactivated", "");
    let second = world.expect_sip();
    assert_eq!(header(&second, "CSeq"), "1 SUBSCRIBE");
    grant(&mut world, &second, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &second, 1, "active", &open("ID-pc", ""));
    notify(&mut world, &second, 2, "terminated;reason=probation;retry-after=30", "");
    world.expect_no_sip();
    world.pass(40_000);
    let third = world.expect_sip();
    grant(&mut world, &third, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &third, 1, "active", &open("ID-pc", ""));
    world.pass(3_240_000);
    let refresh = world.expect_sip();
    grant(&mut world, &refresh, "481 Subscription Does Not Exist", "");
    let fourth = world.expect_sip();

    assert_ne!(header(&fourth, "Call-ID"), header(&third, "Call-ID"));
    assert_eq!(heard(&mut world), [""; 0]);
}

#[test]
fn case_29_an_xmpp_user_unsubscribes_and_the_notifier_speaks_last() {
    let (mut world, request) = watching();

    presence(&mut world, "unsubscribe", "");
    let end = world.expect_sip();
    assert_eq!((header(&end, "Expires"), header(&end, "CSeq")), ("0", "2 SUBSCRIBE"));
    grant(&mut world, &end, "200 OK", "Expires: 0\r\n");
    assert_eq!(heard(&mut world), [""; 0]);
    notify(&mut world, &request, 2, "terminated;reason=timeout", "");

    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "unsubscribed bob@s.example"]);
    world.expect_no_sip();
    let records = world.all_is_stored();
    assert!(
        records.iter().any(|r| matches!(r, Record::Watch(w) if matches!(**w, WatchRecord::Forgotten { .. })))
    );
}

#[test]
fn case_30_a_sip_user_unsubscribes_and_stays_allowed() {
    let (mut world, tag) = watched();

    let answer = subscribe(&mut world, 2, &tag, "Expires: 0\r\n");
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    let last = world.expect_sip();
    assert_eq!(header(&last, "Subscription-State"), "terminated;reason=timeout");
    assert!(last.contains("<basic>closed</basic>"), "{last}");
    world.answer(&last, "200 OK");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example"]);
    subscribe(&mut world, 3, "", "");
    let first = world.expect_sip();
    assert!(header(&first, "Subscription-State").starts_with("active"), "{first}");
    assert_eq!(heard(&mut world), [""; 0]);
}

#[test]
fn case_31_each_resource_is_a_tuple_until_it_goes() {
    let (mut world, _) = watched();

    world.pass(6000);
    world.xmpp("<presence xmlns='jabber:server' from='ann@x.example/phone' to='bob@s.example'><show>away</show></presence>");
    let both = world.expect_sip();
    assert!(both.contains("ID-desk") && both.contains("ID-phone"), "{both}");
    world.answer(&both, "200 OK");
    presence(&mut world, "unavailable", "");
    world.expect_no_sip();
    world.pass(6000);
    let one = world.expect_sip();
    assert!(!one.contains("ID-desk") && one.contains("ID-phone"), "{one}");
}

#[test]
fn case_32_a_tuple_that_disappears_is_a_resource_that_goes() {
    let (mut world, request) = watching();

    notify(&mut world, &request, 2, "active", &open("xyz", "<note>New</note>"));

    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "available bob@s.example/xyz New"]);
}

#[test]
fn case_38_a_probe_is_answered_from_what_is_known() {
    let (mut world, _) = watching();

    world.xmpp("<presence xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' type='probe'/>");

    assert_eq!(heard(&mut world), ["available bob@s.example/pc"]);
    world.expect_no_sip();
}

#[test]
fn case_39_a_stranger_who_asks_once_learns_nothing_and_disturbs_nobody() {
    let mut world = World::new();

    subscribe(&mut world, 1, "", "Expires: 0\r\n");
    let only = world.expect_sip();
    assert_eq!(header(&only, "Subscription-State"), "terminated;reason=timeout");
    assert_eq!(header(&only, "Content-Length"), "0");
    assert_eq!(heard(&mut world), [""; 0]);
    world.answer(&only, "200 OK");
    assert_eq!(world.gateway.watch_count().inward, 0);
}

#[test]
fn case_66_a_restart_goes_on_with_its_dialogs() {
    let (mut world, _) = watching();

    let mut world = World::after(left(world.all_is_stored()));
    world.expect_no_sip();
    world.pass(30_000);
    let refresh = world.expect_sip();
    let number: u32 = header(&refresh, "CSeq").trim_end_matches(" SUBSCRIBE").parse().unwrap();
    assert!(number > 1000, "{number}: higher than whatever the former process used");
    grant(&mut world, &refresh, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &refresh, 2, "active", &open("ID-pc", ""));
    assert_eq!(heard(&mut world), ["available bob@s.example/pc"]);
}

/// Ann had allowed Bob, who watches, when the gateway died; it has started again and asked for her once.
fn watched_after_a_crash() -> World {
    let mut world = World::new();
    subscribe(&mut world, 1, "", "Expires: 3600\r\n");
    let pending = world.expect_sip();
    world.answer(&pending, "200 OK");
    presence(&mut world, "subscribed", "");
    let active = world.expect_sip();
    world.answer(&active, "200 OK");
    let mut world = World::after(left(world.all_is_stored()));
    assert_eq!(heard(&mut world), ["probe bob@s.example"]);
    world.expect_no_sip();
    world
}

#[test]
fn a_probe_whose_answer_is_lost_is_repeated() {
    let mut world = watched_after_a_crash();

    world.pass(5_000);
    assert_eq!(heard(&mut world), ["probe bob@s.example"]);
    world.pass(15_000);
    assert_eq!(heard(&mut world), ["probe bob@s.example"]);
    presence(&mut world, "", "<show>dnd</show>");
    let news = world.expect_sip();
    world.answer(&news, "200 OK");
    assert!(news.contains("dnd"), "{news}");
    world.pass(600_000);

    assert_eq!(heard(&mut world), [""; 0]);
    world.expect_no_sip();
}

#[test]
fn whose_server_is_silent_for_a_minute_is_not_there_until_it_speaks() {
    let mut world = watched_after_a_crash();

    world.pass(5_000);
    world.pass(15_000);
    world.pass(38_000);
    let news = world.expect_sip();
    world.answer(&news, "200 OK");
    assert!(news.contains("<basic>closed</basic>"), "{news}");
    world.pass(75_000);
    world.pass(150_000);
    world.pass(300_000);
    assert_eq!(heard(&mut world).len(), 6);
    world.pass(900_000);
    assert_eq!(heard(&mut world), [""; 0]);
    presence(&mut world, "", "");
    let news = world.expect_sip();

    assert!(news.contains("<basic>open</basic>"), "{news}");
}

#[test]
fn a_device_that_goes_while_we_are_down_is_gone_afterwards() {
    let (mut world, request) = watching();
    notify(&mut world, &request, 2, "active", &open("ID-phone", ""));
    let left = left(world.all_is_stored());
    assert_eq!(left.watches[0].shown, ["pc".into(), "phone".into()]);

    let mut world = World::after(left.clone());
    world.pass(30_000);
    let refresh = world.expect_sip();
    grant(&mut world, &refresh, "200 OK", "Expires: 3600\r\n");
    let closed = open("ID-phone", "").replace("open", "closed");
    notify(&mut world, &refresh, 2, "active", &closed);
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "unavailable bob@s.example/phone"]);

    // Or nobody can say: then nothing stays shown for long.
    let mut world = World::after(left);
    world.pass(30_000);
    let refresh = world.expect_sip();
    grant(&mut world, &refresh, "503 Service Unavailable", "");
    assert_eq!(heard(&mut world), [""; 0]);
    world.pass(60_000);
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "unavailable bob@s.example/phone"]);
}

#[test]
fn a_device_is_shown_only_when_the_disk_knows_of_it() {
    let (mut world, request) = watching();
    world.all_is_stored();

    notify(&mut world, &request, 2, "active", &open("ID-phone", ""));
    assert_eq!(world.stanzas.len(), 0);
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "available bob@s.example/phone"]);

    // What is known already waits for nothing, and costs no disk.
    world.all_is_stored();
    notify(&mut world, &request, 3, "active", &open("ID-pc", ""));
    assert_eq!(world.stanzas.len(), 2);
    assert!(
        world
            .all_is_stored()
            .iter()
            .all(|r| !matches!(r, Record::Watch(w) if matches!(**w, WatchRecord::Shown { .. })))
    );
}

#[test]
fn a_planned_end_asks_watchers_to_come_again() {
    let (mut world, _) = watched();

    world.gateway.handle_stop(world.now);
    world.drain();
    let last = world.expect_sip();
    assert_eq!(header(&last, "Subscription-State"), "terminated;reason=deactivated");
    assert!(!world.stopped);
    world.answer(&last, "200 OK");
    assert!(world.stopped);
}

#[test]
fn case_70_too_brief_a_wish_is_answered_with_the_least() {
    let mut world = World::new();

    let answer = subscribe(&mut world, 1, "", "Expires: 30\r\n");

    assert!(answer.starts_with("SIP/2.0 423 "), "{answer}");
    assert_eq!(header(&answer, "Min-Expires"), "60");
}

#[test]
fn case_72_what_is_said_to_one_watcher_is_not_shown_to_another() {
    let (mut world, _) = watched();
    world.pass(6000);

    world.xmpp("<presence xmlns='jabber:server' from='ann@x.example/desk' to='carol@s.example'><show>xa</show></presence>");

    world.expect_no_sip();
}

#[test]
fn consent_that_is_taken_back_ends_the_watch() {
    let (mut world, _) = watched();

    presence(&mut world, "unsubscribed", "");

    let last = world.expect_sip();
    assert_eq!(header(&last, "Subscription-State"), "terminated;reason=rejected");
    assert_eq!(header(&last, "Content-Length"), "0");
}

#[test]
fn an_unreachable_server_ends_a_pending_watch_for_a_while() {
    let mut world = World::new();
    subscribe(&mut world, 1, "", "");
    let pending = world.expect_sip();
    world.answer(&pending, "200 OK");
    world.stanzas.clear();

    presence(
        &mut world,
        "error",
        "<error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    );

    let last = world.expect_sip();
    assert_eq!(header(&last, "Subscription-State"), "terminated;reason=giveup;retry-after=30");
}

#[test]
fn a_contact_of_whom_nothing_is_told_any_more_is_not_shown_any_more() {
    let (mut world, request) = watching();

    notify(&mut world, &request, 2, "active;expires=3000", "");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
    notify(&mut world, &request, 3, "active;expires=3000", "");
    assert_eq!(heard(&mut world), [""; 0]);
    notify(&mut world, &request, 4, "active;expires=3000", &open("ID-pc", ""));

    assert_eq!(heard(&mut world), ["available bob@s.example/pc"]);
}

#[test]
fn a_notify_that_belongs_to_nothing_is_answered_481() {
    let mut world = World::new();

    world.sip(
        "NOTIFY sip:ann@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-x\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@s.example>;tag=q\r\nTo: <sip:ann@x.example>;tag=z\r\nCall-ID: no\r\nCSeq: 1 NOTIFY\r\n\
         Event: presence\r\nSubscription-State: active\r\nContent-Length: 0\r\n\r\n",
    );

    assert!(world.expect_sip().starts_with("SIP/2.0 481 "));
}

#[test]
fn an_operator_sees_why_somebody_sees_what_he_sees() {
    let (mut world, request) = watching();
    let states = world.gateway.watches(Some("ann@x.example"), world.now);
    assert_eq!(states.len(), 1);
    assert_eq!((states[0].shown.as_str(), states[0].is_wrong), ("pc available", false));

    world.pass(3_240_000);
    let refresh = world.expect_sip();
    grant(&mut world, &refresh, "500 Server Internal Error", "");
    world.pass(400_000);
    let states = world.gateway.watches(Some("bob@s.example"), world.now);

    assert!(states[0].is_wrong, "{states:?}");
    assert_eq!(states[0].trouble.as_deref(), Some("SUBSCRIBE was answered 500 Server Internal Error"));
    assert_eq!(header(&request, "Event"), "presence");
}
