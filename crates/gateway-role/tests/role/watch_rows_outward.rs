//! An XMPP user watches a SIP user: each thing that can happen, with what each side then sees (RFC 8048 §5.2, RFC 6665 §4.1).

use gateway_role::Authorisation;
use xmpp_types::jid::DomainName;

use crate::presence::{grant, heard, notify, open, presence, watching};
use crate::world::{World, header, settings};

/// Ann asks to watch Bob; returns the SUBSCRIBE.
fn asking() -> (World, String) {
    let mut world = World::new();
    presence(&mut world, "subscribe", "");
    let request = world.expect_sip();
    (world, request)
}

/// Time passes in small steps, so that what is sent again is answered by nobody and heard by nobody; returns after how
/// many seconds something new is sent, and what.
#[track_caller]
fn next_subscribe(world: &mut World, old: &str, seconds_max: u64) -> (u64, String) {
    let branch = |message: &str| header(message, "CSeq").to_owned() + header(message, "Call-ID");
    for seconds in 0..=seconds_max {
        while !world.sip.is_empty() {
            let sent = world.sip.remove(0);
            if branch(&sent) != branch(old) {
                return (seconds, sent);
            }
        }
        world.pass(1000);
    }
    panic!("nothing was sent in {seconds_max} s");
}

fn authorisation(world: &World) -> Option<Authorisation> {
    world.gateway.watches(Some("ann@x.example"), world.now).first().map(|watch| watch.authorisation)
}

const NOTHING: [&str; 0] = [];

#[test]
fn row_subscribe_asks_the_sip_side_and_says_nothing_yet() {
    let (mut world, request) = asking();

    assert!(request.starts_with("SUBSCRIBE sip:bob@s.example SIP/2.0\r\n"), "{request}");
    for (name, value) in [("Event", "presence"), ("Accept", "application/pidf+xml"), ("Expires", "3600")] {
        assert_eq!(header(&request, name), value);
    }
    assert!(header(&request, "Contact").contains(";transport="), "{request}");
    assert_eq!(heard(&mut world), NOTHING);
    assert_eq!(authorisation(&world), Some(Authorisation::Pending));
}

#[test]
fn row_200_and_202_begin_timer_n_and_say_nothing() {
    for accepted in ["200 OK", "202 Accepted"] {
        let (mut world, request) = asking();
        grant(&mut world, &request, accepted, "Expires: 3600\r\n");
        assert_eq!(heard(&mut world), NOTHING);

        world.pass(31_000);
        assert_eq!(world.gateway.watches(None, world.now)[0].trouble, None);
        world.pass(1000);
        let trouble = world.gateway.watches(None, world.now)[0].trouble.clone();
        assert_eq!(trouble.as_deref(), Some("SUBSCRIBE was accepted, and no NOTIFY followed"));
        let (seconds, _) = next_subscribe(&mut world, &request, 90);
        assert!((40..=60).contains(&seconds), "{seconds}");
        assert_eq!(heard(&mut world), NOTHING);
    }
}

#[test]
fn row_notify_pending_is_answered_and_says_nothing() {
    let (mut world, request) = asking();
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");

    notify(&mut world, &request, 1, "pending;expires=3600", "");
    notify(&mut world, &request, 2, "pending;expires=3500", &open("ID-pc", ""));

    assert_eq!(heard(&mut world), NOTHING);
    assert_eq!(authorisation(&world), Some(Authorisation::Pending));
}

#[test]
fn row_first_notify_active_says_subscribed_then_presence_and_without_body_nothing_more() {
    let (mut world, request) = asking();
    // It may come before the answer (RFC 6665 §4.1.2.4).
    notify(&mut world, &request, 1, "active;expires=3600", &open("ID-pc", "<note>Here</note>"));
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    assert_eq!(heard(&mut world), ["subscribed bob@s.example", "available bob@s.example/pc Here"]);

    let (mut world, request) = asking();
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 1, "active;expires=3600", "");
    assert_eq!(heard(&mut world), ["subscribed bob@s.example"]);
    assert_eq!(authorisation(&world), Some(Authorisation::Granted));
}

#[test]
fn row_later_notify_active_says_one_presence_for_each_tuple_and_a_vanished_one_is_unavailable() {
    let (mut world, request) = watching();
    let tuple = |id: &str, note: &str| {
        format!("<tuple id='ID-{id}'><status><basic>open</basic></status><note>{note}</note></tuple>")
    };
    let both = format!(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:bob@s.example'>{}{}</presence>",
        tuple("desk", "Here"),
        tuple("phone", "There")
    );

    notify(&mut world, &request, 2, "active", &both);
    assert_eq!(
        heard(&mut world),
        [
            "unavailable bob@s.example/pc",
            "available bob@s.example/desk Here",
            "available bob@s.example/phone There"
        ]
    );
    notify(&mut world, &request, 3, "active", &both.replace(&tuple("desk", "Here"), ""));
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/desk"]);
    let gone = both.replace("open", "closed").replace("<note>Here</note>", "");
    notify(&mut world, &request, 4, "active", &gone);
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/phone There"]);
}

#[test]
fn row_terminated_deactivated_and_timeout_subscribe_at_once_and_keep_everything() {
    for reason in ["deactivated", "timeout"] {
        let (mut world, request) = watching();

        notify(&mut world, &request, 2, &format!("terminated;reason={reason}"), "");

        let again = world.expect_sip();
        assert_eq!((header(&again, "CSeq"), header(&again, "Expires")), ("1 SUBSCRIBE", "3600"));
        assert_ne!(header(&again, "Call-ID"), header(&request, "Call-ID"));
        assert_eq!(heard(&mut world), NOTHING, "{reason}");
        assert_eq!(authorisation(&world), Some(Authorisation::Granted));
    }
}

#[test]
fn row_terminated_probation_and_giveup_wait_for_retry_after_or_about_a_minute() {
    for (state, least, most) in [
        ("terminated;reason=probation;retry-after=30", 30, 36),
        ("terminated;reason=giveup;retry-after=300", 300, 306),
        ("terminated;reason=probation", 48, 60),
        ("terminated;reason=giveup", 48, 60),
    ] {
        let (mut world, request) = watching();

        notify(&mut world, &request, 2, state, "");

        assert_eq!(heard(&mut world), NOTHING, "{state}");
        let (seconds, _) = next_subscribe(&mut world, &request, most + 1);
        assert!((least..=most).contains(&seconds), "{state}: {seconds}");
        assert_eq!(authorisation(&world), Some(Authorisation::Granted));
    }
}

#[test]
fn row_terminated_rejected_says_unavailable_and_unsubscribed_for_good() {
    let (mut world, request) = watching();

    notify(&mut world, &request, 2, "terminated;reason=rejected", "");

    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "unsubscribed bob@s.example"]);
    assert_eq!(authorisation(&world), Some(Authorisation::Denied));
    world.pass(100_000_000);
    world.expect_no_sip();
}

#[test]
fn row_terminated_noresource_says_unsubscribed_while_pending_and_else_unavailable() {
    let (mut world, request) = asking();
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 1, "terminated;reason=noresource", "");
    assert_eq!(heard(&mut world), ["unsubscribed bob@s.example"]);
    world.pass(100_000_000);
    world.expect_no_sip();

    // A permission is taken back by its user alone: he is asked for again, seldom.
    let (mut world, request) = watching();
    notify(&mut world, &request, 2, "terminated;reason=noresource", "");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
    let (seconds, _) = next_subscribe(&mut world, &request, 4000);
    assert!(seconds >= 3000, "{seconds}");
}

#[test]
fn row_terminated_invariant_keeps_the_last_state_and_asks_no_more() {
    let (mut world, request) = watching();

    notify(&mut world, &request, 2, "terminated;reason=invariant", &open("ID-pc", "<note>For ever</note>"));

    assert_eq!(heard(&mut world), ["available bob@s.example/pc For ever"]);
    world.pass(100_000_000);
    world.expect_no_sip();
    assert_eq!(heard(&mut world), NOTHING);
    presence(&mut world, "probe", "");
    assert_eq!(heard(&mut world), ["available bob@s.example/pc For ever"]);
}

#[test]
fn row_terminated_without_a_known_reason_is_tried_again_ever_more_seldom() {
    for state in ["terminated", "terminated;reason=because"] {
        let (mut world, request) = watching();
        notify(&mut world, &request, 2, state, "");
        assert_eq!(heard(&mut world), NOTHING, "{state}");
        let (first, again) = next_subscribe(&mut world, &request, 61);
        grant(&mut world, &again, "500 Server Internal Error", "");
        let (second, _) = next_subscribe(&mut world, &again, 121);
        assert!((48..=60).contains(&first) && (96..=120).contains(&second), "{first} {second}");
        assert_eq!(authorisation(&world), Some(Authorisation::Granted));
    }
}

#[test]
fn row_403_489_603_end_it_for_good_at_the_beginning_and_at_a_refresh() {
    for status in ["403 Forbidden", "489 Bad Event", "603 Decline"] {
        let (mut world, request) = asking();
        grant(&mut world, &request, status, "");
        assert_eq!(heard(&mut world), ["unsubscribed bob@s.example"]);
        assert_eq!(authorisation(&world), Some(Authorisation::Denied));

        let (mut world, _) = watching();
        world.pass(3_240_000);
        let refresh = world.expect_sip();
        grant(&mut world, &refresh, status, "");
        assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "unsubscribed bob@s.example"]);
        world.pass(100_000_000);
        world.expect_no_sip();
    }
}

#[test]
fn row_404_604_410_are_unsubscribed_while_pending_and_else_unavailable_with_slow_retry() {
    for status in ["404 Not Found", "604 Does Not Exist Anywhere", "410 Gone"] {
        let (mut world, request) = asking();
        grant(&mut world, &request, status, "");
        assert_eq!(heard(&mut world), ["unsubscribed bob@s.example"]);
        world.pass(100_000_000);
        world.expect_no_sip();

        let (mut world, _) = watching();
        world.pass(3_240_000);
        let refresh = world.expect_sip();
        grant(&mut world, &refresh, status, "");
        assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
        assert_eq!(authorisation(&world), Some(Authorisation::Granted));
        let (seconds, again) = next_subscribe(&mut world, &refresh, 4000);
        assert!(seconds >= 3000, "{seconds}");
        grant(&mut world, &again, "200 OK", "Expires: 3600\r\n");
        notify(&mut world, &again, 1, "active", &open("ID-pc", ""));
        assert_eq!(heard(&mut world), ["available bob@s.example/pc"]);
    }
}

#[test]
fn row_423_asks_again_for_min_expires() {
    let (mut world, request) = asking();

    grant(&mut world, &request, "423 Interval Too Brief", "Min-Expires: 7200\r\n");

    let again = world.expect_sip();
    assert_eq!(header(&again, "Expires"), "7200");
    assert_eq!(heard(&mut world), NOTHING);
}

#[test]
fn row_480_408_5xx_keep_the_permission_back_off_and_honour_retry_after() {
    for (status, more, least, most) in [
        ("480 Temporarily Unavailable", "", 48, 60),
        ("408 Request Timeout", "", 48, 60),
        ("500 Server Internal Error", "", 48, 60),
        ("504 Server Time-out", "", 48, 60),
        ("503 Service Unavailable", "Retry-After: 240\r\n", 240, 300),
        ("480 Temporarily Unavailable", "Retry-After: 240 (lunch);duration=9\r\n", 240, 250),
    ] {
        let (mut world, _) = watching();
        world.pass(3_240_000);
        let refresh = world.expect_sip();
        grant(&mut world, &refresh, status, more);
        assert_eq!(heard(&mut world), NOTHING, "{status}");
        assert_eq!(authorisation(&world), Some(Authorisation::Granted));

        let (seconds, again) = next_subscribe(&mut world, &refresh, most + 1);
        assert!((least..=most).contains(&seconds), "{status}: {seconds}");
        // It is the dialog that is tried again while it lives.
        assert_eq!(
            (header(&again, "CSeq"), header(&again, "Call-ID")),
            ("3 SUBSCRIBE", header(&refresh, "Call-ID"))
        );
    }
}

#[test]
fn row_timeout_keeps_the_permission_and_shows_unavailable_when_nothing_is_known_any_more() {
    let (mut world, _) = watching();
    world.pass(3_240_000);
    let refresh = world.expect_sip();
    // Nobody answers.
    let (seconds, _) = next_subscribe(&mut world, &refresh, 200);

    assert!(seconds >= 32 + 48, "{seconds}");
    for _ in 0..60 {
        world.pass(1000);
    }
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
    assert_eq!(authorisation(&world), Some(Authorisation::Granted));
}

#[test]
fn row_481_to_a_refresh_begins_a_new_dialog_at_once() {
    let (mut world, _) = watching();
    world.pass(3_240_000);
    let refresh = world.expect_sip();

    grant(&mut world, &refresh, "481 Subscription Does Not Exist", "");

    let again = world.expect_sip();
    assert_eq!(header(&again, "CSeq"), "1 SUBSCRIBE");
    assert_ne!(header(&again, "Call-ID"), header(&refresh, "Call-ID"));
    assert_ne!(header(&again, "From"), header(&refresh, "From"));
    assert_eq!(heard(&mut world), NOTHING);
}

#[test]
fn row_the_xmpp_user_comes_online_and_is_answered_at_once_and_watches_again() {
    // With a record, and without a dialog: the server was gone for a while.
    for kind in ["probe", ""] {
        let (mut world, request) = watching();
        notify(&mut world, &request, 2, "terminated;reason=deactivated", "");
        let again = world.expect_sip();
        grant(&mut world, &again, "404 Not Found", "");
        heard(&mut world);
        world.pass(1_200_000);
        world.expect_no_sip();

        presence(&mut world, kind, "");

        let said = heard(&mut world);
        let answer: &[&str] = if kind == "probe" { &["unavailable bob@s.example"] } else { &[] };
        assert_eq!(said, answer);
        assert!(world.expect_sip().starts_with("SUBSCRIBE "), "{kind}");
    }
    // Without a record: nothing is destroyed, and nobody disturbed.
    let mut world = World::new();
    presence(&mut world, "probe", "");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example"]);
    presence(&mut world, "", "");
    assert_eq!(heard(&mut world), NOTHING);
    world.expect_no_sip();
}

#[test]
fn row_the_xmpp_user_goes_offline_and_the_dialog_lives_on() {
    let (mut world, _) = watching();

    presence(&mut world, "unavailable", "");

    world.expect_no_sip();
    world.pass(3_240_000);
    assert!(world.expect_sip().starts_with("SUBSCRIBE "));
}

#[test]
fn row_unsubscribe_ends_the_dialog_and_the_notifier_speaks_last() {
    let (mut world, request) = watching();
    presence(&mut world, "unsubscribe", "");
    let end = world.expect_sip();
    assert_eq!((header(&end, "Expires"), header(&end, "CSeq")), ("0", "2 SUBSCRIBE"));
    grant(&mut world, &end, "200 OK", "Expires: 0\r\n");
    notify(&mut world, &request, 2, "terminated;reason=timeout", "");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "unsubscribed bob@s.example"]);
    world.expect_no_sip();

    // A notifier that does not speak is waited for as long as Timer N.
    let (mut world, _) = watching();
    presence(&mut world, "unsubscribe", "");
    let end = world.expect_sip();
    grant(&mut world, &end, "200 OK", "Expires: 0\r\n");
    world.pass(31_000);
    assert_eq!(heard(&mut world), NOTHING);
    world.pass(1000);
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "unsubscribed bob@s.example"]);
    assert_eq!(world.gateway.watch_count().outward, 0);
}

#[test]
fn trap_a_repeated_subscribe_is_answered_again_with_subscribed() {
    let (mut world, _) = watching();

    presence(&mut world, "subscribe", "");

    assert_eq!(heard(&mut world), ["subscribed bob@s.example", "available bob@s.example/pc"]);
    world.expect_no_sip();
}

#[test]
fn refresh_point_what_is_granted_may_shrink_in_a_notify_and_never_grow() {
    let (mut world, request) = asking();
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 1, "active;expires=600", &open("ID-pc", ""));
    let (seconds, refresh) = next_subscribe(&mut world, &request, 600);
    assert!((478..=481).contains(&seconds), "{seconds}");

    grant(&mut world, &refresh, "200 OK", "Expires: 200\r\n");
    let (seconds, _) = next_subscribe(&mut world, &refresh, 200);
    assert!((99..=101).contains(&seconds), "{seconds}");
}

#[test]
fn forked_notify_of_a_second_server_is_answered_481() {
    let (mut world, request) = asking();
    notify(&mut world, &request, 1, "active;expires=3600", &open("ID-pc", ""));
    heard(&mut world);

    world.sip(&format!(
        "NOTIFY sip:ann@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-fork\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@s.example>;tag=fork\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 NOTIFY\r\nContact: <sip:bob@10.0.0.8>\r\n\
         Event: presence\r\nSubscription-State: active\r\nContent-Length: 0\r\n\r\n",
        header(&request, "From"),
        header(&request, "Call-ID")
    ));

    assert!(world.expect_sip().starts_with("SIP/2.0 481 "));
    assert_eq!(heard(&mut world), NOTHING);
}

#[test]
fn directed_presence_to_a_contact_is_not_shown_to_another() {
    let (mut world, _) = watching();

    world.xmpp("<presence xmlns='jabber:server' from='ann@x.example/desk' to='carol@s.example'/>");

    world.expect_no_sip();
    assert_eq!(heard(&mut world), NOTHING);
}

#[test]
fn no_route_keeps_the_permission() {
    let (mut world, _) = watching();
    let mut other = settings();
    other.domains[0].name = DomainName::parse("other.example").unwrap();
    world.gateway.handle_settings(other, world.now);
    world.drain();

    for _ in 0..60 {
        world.pass(60_000);
    }

    world.expect_no_sip();
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
    assert_eq!(authorisation(&world), Some(Authorisation::Granted));
}

#[test]
fn what_is_granted_for_a_moment_only_is_not_asked_for_again_and_again() {
    for granted in ["0", "1", "5"] {
        let (mut world, mut request) = asking();
        for number in 1..20 {
            grant(&mut world, &request, "200 OK", &format!("Expires: {granted}\r\n"));
            notify(&mut world, &request, number, &format!("active;expires={granted}"), &open("ID-pc", ""));
            let (seconds, next) = next_subscribe(&mut world, &request, 30);
            assert!(seconds >= 15, "{granted}: after {seconds} s");
            request = next;
        }
        assert_eq!(heard(&mut world), ["subscribed bob@s.example", "available bob@s.example/pc"]);
    }
}

#[test]
fn who_allows_and_ends_it_in_one_breath_is_not_asked_all_the_time() {
    let (mut world, mut request) = watching();

    for round in 0..6 {
        notify(&mut world, &request, 2, "terminated;reason=deactivated", "");
        let (seconds, next) = next_subscribe(&mut world, &request, 61);
        assert!(if round % 2 == 0 { seconds == 0 } else { seconds >= 48 }, "{round}: after {seconds} s");
        grant(&mut world, &next, "200 OK", "Expires: 3600\r\n");
        notify(&mut world, &next, 1, "active", &open("ID-pc", ""));
        request = next;
    }

    assert_eq!(heard(&mut world), NOTHING);
}
