//! A SIP user watches an XMPP user: each thing that can happen, with what each side then sees (RFC 8048 §5.3 and §7.2, RFC 6665
//! §4.2).

use gateway_role::Authorisation;

use crate::presence::{heard, presence, subscribe, watched};
use crate::world::{World, header};

const NOTHING: [&str; 0] = [];

/// Bob subscribes, and Ann has not decided; returns the To tag of the dialog.
fn pending() -> (World, String) {
    let mut world = World::new();
    let answer = subscribe(&mut world, 1, "", "Expires: 600\r\n");
    let first = world.expect_sip();
    world.answer(&first, "200 OK");
    heard(&mut world);
    let tag = header(&answer, "To").split(";tag=").nth(1).unwrap().to_owned();
    (world, format!(";tag={tag}"))
}

fn authorisation(world: &World) -> Option<Authorisation> {
    world.gateway.watches(Some("bob@s.example"), world.now).first().map(|watch| watch.authorisation)
}

/// Takes the next NOTIFY, answers it 200, and returns it.
#[track_caller]
fn notified(world: &mut World, state: &str) -> String {
    let notify = world.expect_sip();
    assert!(notify.starts_with("NOTIFY "), "{notify}");
    assert!(header(&notify, "Subscription-State").starts_with(state), "{notify}");
    world.answer(&notify, "200 OK");
    notify
}

#[test]
fn row_subscribe_without_dialog_asks_the_xmpp_user_and_is_pending_at_once() {
    let mut world = World::new();

    let answer = subscribe(&mut world, 1, "", "Expires: 600\r\n");

    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    assert_eq!(header(&answer, "Expires"), "600");
    assert!(header(&answer, "Contact").contains(";transport="), "{answer}");
    let first = notified(&mut world, "pending;expires=600");
    assert_eq!(header(&first, "Content-Length"), "0");
    assert_eq!(heard(&mut world), ["subscribe bob@s.example"]);
    // His other program asks her no second time.
    subscribe(&mut world, 21, "", "");
    notified(&mut world, "pending");
    assert_eq!(heard(&mut world), NOTHING);
}

#[test]
fn row_subscribe_without_dialog_is_active_with_what_is_known_if_granted() {
    let (mut world, _) = watched();

    let answer = subscribe(&mut world, 21, "", "Expires: 600\r\n");

    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    let first = notified(&mut world, "active;expires=600");
    assert!(first.contains("<tuple id='ID-desk'><status><basic>open</basic></status>"), "{first}");
    assert_eq!(heard(&mut world), NOTHING);
}

#[test]
fn row_subscribed_probes_for_what_is_not_known_and_is_active() {
    let (mut world, _) = pending();

    presence(&mut world, "subscribed", "");

    let allowed = notified(&mut world, "active;expires=600");
    assert_eq!(header(&allowed, "Content-Length"), "0");
    assert_eq!(heard(&mut world), ["probe bob@s.example"]);
    assert_eq!(authorisation(&world), Some(Authorisation::Granted));
}

#[test]
fn row_unsubscribed_ends_it_as_rejected_without_a_body() {
    let (mut world, _) = pending();
    presence(&mut world, "unsubscribed", "");
    let last = notified(&mut world, "terminated;reason=rejected");
    assert_eq!(header(&last, "Content-Length"), "0");
    assert_eq!(authorisation(&world), Some(Authorisation::Denied));

    let (mut world, _) = watched();
    presence(&mut world, "unsubscribed", "");
    let last = notified(&mut world, "terminated;reason=rejected");
    assert_eq!(header(&last, "Content-Length"), "0");
    // What was known of her is not shown to him any more.
    presence(&mut world, "", "<show>away</show>");
    world.pass(60_000);
    world.expect_no_sip();
}

#[test]
fn row_presence_from_a_resource_is_a_document_of_all_at_most_every_five_seconds_the_last_wins() {
    let (mut world, _) = watched();
    world.pass(10_000);

    presence(&mut world, "", "<show>away</show>");
    let first = notified(&mut world, "active");
    assert!(first.contains("<rpid:away/>"), "{first}");
    presence(&mut world, "", "<show>dnd</show>");
    world.xmpp("<presence xmlns='jabber:server' from='ann@x.example/phone' to='bob@s.example'/>");
    presence(&mut world, "", "<show>xa</show>");
    world.pass(4_999);
    world.expect_no_sip();
    world.pass(1);
    let last = notified(&mut world, "active");
    assert!(last.contains("<show xmlns='jabber:client'>xa</show>") && !last.contains(">dnd<"), "{last}");
    assert_eq!(last.matches("<tuple ").count(), 2, "{last}");
    world.pass(60_000);
    world.expect_no_sip();
}

#[test]
fn row_one_notify_at_a_time_is_under_way() {
    let (mut world, _) = watched();
    world.pass(10_000);
    presence(&mut world, "", "<show>away</show>");
    let first = world.expect_sip();

    presence(&mut world, "", "<show>dnd</show>");
    world.pass(400);
    world.expect_no_sip();
    world.answer(&first, "200 OK");
    world.pass(4600);

    assert!(world.expect_sip().contains(">dnd<"));
}

#[test]
fn row_unavailable_from_the_last_resource_is_a_closed_document() {
    for from in ["ann@x.example/desk", "ann@x.example"] {
        let (mut world, _) = watched();
        world.pass(6000);

        world.xmpp(&format!(
            "<presence xmlns='jabber:server' from='{from}' to='bob@s.example' type='unavailable'/>"
        ));

        let closed = notified(&mut world, "active");
        assert!(closed.contains("<basic>closed</basic>") && !closed.contains("open"), "{closed}");
    }
}

#[test]
fn row_refresh_says_what_is_known_and_probes_unless_it_is_fresh() {
    let (mut world, tag) = watched();
    subscribe(&mut world, 2, &tag, "Expires: 3600\r\n");
    let fresh = notified(&mut world, "active;expires=3600");
    assert!(fresh.contains("ID-desk"), "{fresh}");
    assert_eq!(heard(&mut world), NOTHING);

    world.pass(1_800_000);
    subscribe(&mut world, 3, &tag, "Expires: 3600\r\n");
    notified(&mut world, "active;expires=3600");
    assert_eq!(heard(&mut world), ["probe bob@s.example"]);
}

#[test]
fn row_refresh_without_anything_known_is_empty() {
    let (mut world, tag) = pending();
    presence(&mut world, "subscribed", "");
    notified(&mut world, "active");

    subscribe(&mut world, 2, &tag, "Expires: 600\r\n");

    assert_eq!(header(&notified(&mut world, "active"), "Content-Length"), "0");
}

#[test]
fn row_expires_0_in_the_dialog_ends_it_with_a_closed_document_and_unavailable_to_the_xmpp_user() {
    let (mut world, tag) = watched();

    let answer = subscribe(&mut world, 2, &tag, "Expires: 0\r\n");

    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    let last = notified(&mut world, "terminated;reason=timeout");
    assert!(last.contains("<basic>closed</basic>"), "{last}");
    // He was seen to watch, and is gone; her permission stays.
    assert_eq!(heard(&mut world), ["unavailable bob@s.example"]);
    assert_eq!(authorisation(&world), Some(Authorisation::Granted));
}

#[test]
fn row_poll_of_an_authorised_watcher_is_one_notify_with_the_state() {
    let (mut world, _) = watched();

    subscribe(&mut world, 21, "", "Expires: 0\r\n");

    let only = notified(&mut world, "terminated;reason=timeout");
    assert!(only.contains("ID-desk"), "{only}");
    world.expect_no_sip();
    assert_eq!(heard(&mut world), NOTHING);
}

#[test]
fn row_poll_of_a_stranger_is_one_empty_notify_and_asks_nobody() {
    let mut world = World::new();

    subscribe(&mut world, 1, "", "Expires: 0\r\n");

    let only = notified(&mut world, "terminated;reason=timeout");
    assert_eq!(header(&only, "Content-Length"), "0");
    assert_eq!(heard(&mut world), NOTHING);
    assert_eq!(world.gateway.watch_count().inward, 0);
}

#[test]
fn row_the_dialog_expires_and_the_xmpp_user_hears_unavailable() {
    let (mut world, _) = watched();

    world.pass(600_000);

    notified(&mut world, "terminated;reason=timeout");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example"]);
    assert_eq!(authorisation(&world), Some(Authorisation::Granted));
}

#[test]
fn row_481_and_silence_drop_the_dialog_and_keep_the_permission() {
    let (mut world, _) = watched();
    world.pass(6000);
    presence(&mut world, "", "<show>away</show>");
    let refused = world.expect_sip();
    world.answer(&refused, "481 Subscription Does Not Exist");
    presence(&mut world, "", "<show>dnd</show>");
    world.pass(10_000);
    world.expect_no_sip();
    assert_eq!(authorisation(&world), Some(Authorisation::Granted));

    let (mut world, _) = watched();
    world.pass(6000);
    presence(&mut world, "", "<show>away</show>");
    for _ in 0..33 {
        world.pass(1000);
    }
    world.sip.clear();
    presence(&mut world, "", "<show>dnd</show>");
    world.pass(10_000);
    world.expect_no_sip();
    assert_eq!(authorisation(&world), Some(Authorisation::Granted));
    // Whoever comes back is shown the present state at once.
    subscribe(&mut world, 21, "", "");
    assert!(notified(&mut world, "active").contains(">dnd<"));
}

#[test]
fn row_5xx_and_retry_after_leave_the_watcher_in_peace_until_then() {
    for (status, peace) in
        [("500 Server Internal Error", 30), ("503 Service Unavailable\r\nRetry-After: 120", 120)]
    {
        let (mut world, _) = watched();
        world.pass(6000);
        presence(&mut world, "", "<show>away</show>");
        let refused = world.expect_sip();
        world.answer(&refused, status);
        world.pass(peace * 1000 - 1);
        world.expect_no_sip();
        world.pass(1);
        assert!(notified(&mut world, "active").contains(">away<"), "{status}");
    }
}

#[test]
fn row_expires_below_the_least_is_423_more_than_the_most_is_less_and_none_is_an_hour() {
    let expires = |wanted: &str| {
        let mut world = World::new();
        let answer = subscribe(&mut world, 1, "", wanted);
        answer
            .lines()
            .find(|line| line.contains("Expires: "))
            .map(|line| (answer[8..11].to_owned(), line.to_owned()))
    };

    assert_eq!(expires("Expires: 59\r\n"), Some(("423".to_owned(), "Min-Expires: 60".to_owned())));
    assert_eq!(expires("Expires: 60\r\n"), Some(("200".to_owned(), "Expires: 60".to_owned())));
    assert_eq!(expires("Expires: 86400\r\n"), Some(("200".to_owned(), "Expires: 28800".to_owned())));
    assert_eq!(expires("Expires: 4294967296\r\n").map(|(status, _)| status).as_deref(), Some("200"));
    assert_eq!(expires(""), Some(("200".to_owned(), "Expires: 3600".to_owned())));
}

#[test]
fn row_another_event_is_489_and_no_pidf_is_406() {
    let ask = |event: &str, accept: &str| {
        let mut world = World::new();
        world.sip(&format!(
            "SUBSCRIBE sip:ann@x.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-e;rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:bob@s.example>;tag=b\r\nTo: <sip:ann@x.example>\r\nCall-ID: c-bob\r\n\
             CSeq: 1 SUBSCRIBE\r\nContact: <sip:bob@10.0.0.9>\r\n{event}{accept}Content-Length: 0\r\n\r\n"
        ));
        let answer = world.expect_sip();
        assert_eq!(heard(&mut world).is_empty(), !answer.starts_with("SIP/2.0 200 "));
        answer
    };

    for event in
        ["Event: dialog\r\n", "Event: presence.winfo\r\n", "Event: vnd-microsoft-roaming-self\r\n", ""]
    {
        let answer = ask(event, "");
        assert!(answer.starts_with("SIP/2.0 489 "), "{event}: {answer}");
        assert_eq!(header(&answer, "Allow-Events"), "presence");
    }
    let presence = "Event: presence\r\n";
    for accept in
        ["application/xpidf+xml", "application/pidf-diff+xml", "text/*", "image/png, text/xml+msrtc.pidf"]
    {
        let answer = ask(presence, &format!("Accept: {accept}\r\n"));
        assert!(answer.starts_with("SIP/2.0 406 "), "{accept}: {answer}");
    }
    for accept in ["application/pidf+xml;q=0.5", "*/*", "application/*", "image/png, APPLICATION/PIDF+XML"] {
        let answer = ask(presence, &format!("Accept: {accept}\r\n"));
        assert!(answer.starts_with("SIP/2.0 200 "), "{accept}: {answer}");
    }
}

#[test]
fn row_the_xmpp_side_does_not_answer_and_the_reason_says_how_long() {
    for (condition, state, kept) in [
        ("remote-server-not-found", "terminated;reason=giveup;retry-after=30", Authorisation::Pending),
        ("remote-server-timeout", "terminated;reason=giveup;retry-after=30", Authorisation::Pending),
        ("item-not-found", "terminated;reason=noresource", Authorisation::Denied),
        ("forbidden", "terminated;reason=rejected", Authorisation::Denied),
        ("not-allowed", "terminated;reason=rejected", Authorisation::Denied),
    ] {
        let (mut world, _) = pending();
        let error = format!(
            "<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        );
        presence(&mut world, "error", &error);
        let last = notified(&mut world, state);
        assert_eq!(header(&last, "Subscription-State"), state, "{condition}");
        assert_eq!(authorisation(&world), Some(kept));
        // Whoever tries again asks again.
        subscribe(&mut world, 21, "", "");
        notified(&mut world, "pending");
        assert_eq!(heard(&mut world), ["subscribe bob@s.example"], "{condition}");
    }
}

#[test]
fn event_id_is_echoed_and_tells_subscriptions_apart() {
    let mut world = World::new();
    world.sip(
        "SUBSCRIBE sip:ann@x.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-i;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@s.example>;tag=b\r\nTo: <sip:ann@x.example>\r\nCall-ID: c-id\r\nCSeq: 1 SUBSCRIBE\r\n\
         Contact: <sip:bob@10.0.0.9>\r\nEvent: presence;id=7\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(world.expect_sip().starts_with("SIP/2.0 200 "));
    assert_eq!(header(&notified(&mut world, "pending"), "Event"), "presence;id=7");

    let mut world = World::new();
    let long = format!("presence;id={}", "7".repeat(129));
    world.sip(&format!(
        "SUBSCRIBE sip:ann@x.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-l;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@s.example>;tag=b\r\nTo: <sip:ann@x.example>\r\nCall-ID: c-id\r\nCSeq: 1 SUBSCRIBE\r\n\
         Contact: <sip:bob@10.0.0.9>\r\nEvent: {long}\r\nContent-Length: 0\r\n\r\n"
    ));
    assert!(world.expect_sip().starts_with("SIP/2.0 400 Bad Event: its id is too long\r\n"));
    assert_eq!(world.gateway.watch_count().inward, 0);
}

#[test]
fn directed_presence_to_one_watcher_is_not_shown_to_another_nor_to_who_is_not_allowed() {
    let (mut world, _) = watched();
    world.pass(6000);
    world.xmpp("<presence xmlns='jabber:server' from='ann@x.example/secret' to='carol@s.example'/>");
    world.expect_no_sip();

    let (mut world, tag) = pending();
    presence(&mut world, "", "<show>away</show>");
    world.expect_no_sip();
    subscribe(&mut world, 2, &tag, "");
    assert_eq!(header(&notified(&mut world, "pending"), "Content-Length"), "0");
}

#[test]
fn each_direction_is_cancelled_by_itself() {
    let (mut world, _) = watched();
    presence(&mut world, "subscribe", "");
    let ours = world.expect_sip();
    crate::presence::grant(&mut world, &ours, "403 Forbidden", "");

    assert_eq!(heard(&mut world), ["unsubscribed bob@s.example"]);
    let watches = world.gateway.watches(None, world.now);
    let said: Vec<_> =
        watches.iter().map(|watch| (watch.direction.to_string(), watch.authorisation)).collect();
    assert_eq!(
        said,
        [
            ("XMPP watches SIP".to_owned(), Authorisation::Denied),
            ("SIP watches XMPP".to_owned(), Authorisation::Granted)
        ]
    );
}

#[test]
fn more_resources_than_are_remembered_are_told_to_the_operator() {
    let (mut world, _) = watched();
    world.notices.clear();

    for n in 0..40 {
        world
            .xmpp(&format!("<presence xmlns='jabber:server' from='ann@x.example/r{n}' to='bob@s.example'/>"));
    }
    world.pass(6000);

    let lost = world.notices.iter().filter(|notice| notice.to_string().contains("OtherContacts")).count();
    assert_eq!(lost, 9, "{:?}", world.notices);
}
