use super::*;

const INVITE: &str = "INVITE sip:ann@x.example SIP/2.0|Via: SIP/2.0/TLS a;branch=z9hG4bK1|Max-Forwards: 70|\
    Record-Route: <sip:edge;ms-route-sig=\"a b\";lr>|Record-Route: <sip:pool;lr>|From: <sip:bob@s.example>;tag=b;epid=2c|\
    To: <sip:ann@x.example>|Call-ID: c|CSeq: 1 INVITE|Contact: <sip:bob@s.example;opaque=x;gruu>|Content-Length: 0";
const OK: &str = "SIP/2.0 200 OK|Via: SIP/2.0/TLS a;branch=z9hG4bK1|Record-Route: <sip:edge;ms-route-sig=\"a b\";lr>|\
    Record-Route: <sip:pool;lr>|From: <sip:bob@s.example>;tag=b;epid=2c|To: <sip:ann@x.example>;tag=a|Call-ID: c|\
    CSeq: 1 INVITE|Contact: <sip:ann@g;transport=tls>|Content-Length: 0";
const MESSAGE: &str = "MESSAGE sip:bob@s.example;opaque=x;gruu SIP/2.0|Via: SIP/2.0/TLS g;branch=z9hG4bK7|\
    Max-Forwards: 70|Route: <sip:edge;ms-route-sig=\"a b\";lr>|Route: <sip:pool;lr>|From: <sip:ann@x.example>;tag=a|\
    To: <sip:bob@s.example>;tag=b;epid=2c|Call-ID: c|CSeq: 5 MESSAGE|Content-Length: 0";

fn message(text: &str) -> RawMessage {
    RawMessage::parse(format!("{}\r\n\r\n", text.replace('|', "\r\n")).as_bytes()).unwrap()
}

fn in_session() -> Auditor {
    let mut auditor = Auditor::default();
    auditor.handle_said(&message(INVITE));
    assert_eq!(auditor.handle_heard(&message(OK)), [""; 0]);
    auditor
}

#[track_caller]
fn complains(auditor: &mut Auditor, text: &str, words: &str) {
    let wrong = auditor.handle_heard(&message(text));
    assert!(wrong.len() == 1 && wrong[0].contains(words), "{wrong:?}");
}

#[test]
fn a_session_that_is_right_is_not_complained_about() {
    let mut auditor = in_session();

    assert_eq!(auditor.handle_heard(&message(MESSAGE)), [""; 0]);
    auditor.handle_said(&message(MESSAGE).response(200, "OK", "b"));
    let next = MESSAGE.replace("CSeq: 5", "CSeq: 6").replace("bK7", "bK8");
    assert_eq!(auditor.handle_heard(&message(&next)), [""; 0]);
}

#[test]
fn a_changed_route_target_or_epid_is_seen() {
    for (of, by, words) in [
        ("a b", "a%20b", "is not the route set"),
        ("<sip:edge;ms-route-sig=\"a b\";lr>|Route: <sip:pool;lr>", "<sip:pool;lr>", "is not the route set"),
        ("opaque=x;gruu", "opaque=x", "is not the Contact"),
        (";epid=2c", "", "To \"<sip:bob@s.example>;tag=b\" is not"),
        ("tag=b;", "tag=c;", "in a dialog that never was"),
        ("z9hG4bK7", "7", "cookie"),
        ("|Max-Forwards: 70", "", "no Max-Forwards"),
        ("5 MESSAGE", "5 INFO", "CSeq does not fit"),
    ] {
        complains(&mut in_session(), &MESSAGE.replace(of, by), words);
    }
}

#[test]
fn a_second_message_a_cseq_that_jumps_and_words_after_bye_are_seen() {
    let mut auditor = in_session();
    assert_eq!(auditor.handle_heard(&message(MESSAGE)), [""; 0]);

    complains(&mut auditor, MESSAGE, "the branch of another MESSAGE");
    let second = MESSAGE.replace("CSeq: 5", "CSeq: 6").replace("bK7", "bK8");
    complains(&mut auditor, &second, "a second MESSAGE while one has no answer");
    let bye = MESSAGE.replace("MESSAGE", "BYE").replace("CSeq: 5", "CSeq: 9").replace("bK7", "bK9");
    complains(&mut auditor, &bye, "CSeq 9 comes after 6");
    let info = MESSAGE.replace("MESSAGE", "INFO").replace("CSeq: 5", "CSeq: 10").replace("bK7", "bKa");
    complains(&mut auditor, &info, "INFO after BYE");
}

#[test]
fn an_answer_that_is_not_to_the_request_is_seen() {
    for (of, by, words) in [
        ("a;branch", "a;received=1;rport=2;b=1;branch", "Via is not as in the request"),
        (";tag=a", "", "To has no tag"),
        ("|Record-Route: <sip:pool;lr>", "", "Record-Route is not as in the request"),
        (";transport=tls", "", "says no transport"),
        ("|Content-Length", "|Supported: ms-text-format|Content-Length", "lost or come twice"),
        ("200 OK", "401 Who", "nobody can meet"),
    ] {
        let mut auditor = Auditor::default();
        auditor.handle_said(&message(INVITE));

        complains(&mut auditor, &OK.replace(of, by), words);
    }
    complains(&mut Auditor::default(), OK, "no request of ours");
}

const SUBSCRIBE: &str = "SUBSCRIBE sip:ann@x.example SIP/2.0|Via: SIP/2.0/TLS a;branch=z9hG4bK1|Max-Forwards: 70|\
    Record-Route: <sip:edge;lr>|From: <sip:bob@s.example>;tag=b|To: <sip:ann@x.example>|Call-ID: c|\
    CSeq: 1 SUBSCRIBE|Contact: <sip:bob@pc>|Event: presence;id=7|Expires: 600|Content-Length: 0";
const GRANTED: &str = "SIP/2.0 200 OK|Via: SIP/2.0/TLS a;branch=z9hG4bK1|Record-Route: <sip:edge;lr>|\
    From: <sip:bob@s.example>;tag=b|To: <sip:ann@x.example>;tag=a|Call-ID: c|CSeq: 1 SUBSCRIBE|\
    Contact: <sip:ann@g;transport=tls>|Expires: 600|Content-Length: 0";
const NOTIFY: &str = "NOTIFY sip:bob@pc SIP/2.0|Via: SIP/2.0/TLS g;branch=z9hG4bK7|Max-Forwards: 70|\
    Route: <sip:edge;lr>|From: <sip:ann@x.example>;tag=a|To: <sip:bob@s.example>;tag=b|Call-ID: c|CSeq: 5 NOTIFY|\
    Contact: <sip:ann@g;transport=tls>|Event: presence;id=7|Subscription-State: active;expires=599|Content-Length: 0";

fn subscribed() -> Auditor {
    let mut auditor = Auditor::default();
    auditor.handle_said(&message(SUBSCRIBE));
    auditor
}

#[test]
fn a_subscription_that_is_right_is_not_complained_about_whichever_comes_first() {
    for [first, second] in [[GRANTED, NOTIFY], [NOTIFY, GRANTED]] {
        let mut auditor = subscribed();

        assert_eq!(auditor.handle_heard(&message(first)), [""; 0]);
        assert_eq!(auditor.handle_heard(&message(second)), [""; 0]);
        auditor.handle_said(&message(NOTIFY).response(200, "OK", "b"));
        let later = NOTIFY.replace("CSeq: 5", "CSeq: 1006").replace("bK7", "bK8");
        assert_eq!(auditor.handle_heard(&message(&later)), [""; 0], "after a restart");
    }
}

#[test]
fn a_notify_that_breaks_a_rule_is_seen() {
    for (of, by, words) in [
        ("sip:bob@pc SIP", "sip:bob@other SIP", "is not the Contact"),
        ("|Route: <sip:edge;lr>", "", "is not the route set"),
        (";id=7", "", "is not that of the SUBSCRIBE"),
        ("|Subscription-State: active;expires=599", "", "no Subscription-State"),
        ("|Contact: <sip:ann@g;transport=tls>", "", "no Contact in NOTIFY"),
        ("|Content-Length: 0", "", "no Content-Length"),
        (";expires=599", "", "does not say how long"),
        ("active", "terminated", "does not say why"),
        ("active", "sleeping", "is no state"),
        ("NOTIFY", "BENOTIFY", "which is not spoken here"),
    ] {
        let wrong = subscribed().handle_heard(&message(&NOTIFY.replace(of, by)));
        assert!(wrong.iter().any(|wrong| wrong.contains(words)), "{by}: {wrong:?}");
    }
    let mut pending = message(&NOTIFY.replace("active", "pending").replace("|Content-Length: 0", ""));
    pending.headers.push(("Content-Type".to_owned(), "application/pidf+xml;charset=utf-8".to_owned()));
    pending.headers.push(("Content-Length".to_owned(), "1".to_owned()));
    pending.body = "x".into();
    let wrong = subscribed().handle_heard(&pending);
    assert!(wrong.len() == 2 && wrong[0].contains("before anybody allowed"), "{wrong:?}");
}

#[test]
fn a_second_notify_a_cseq_that_falls_and_words_after_the_last_are_seen() {
    let mut auditor = subscribed();
    assert_eq!(auditor.handle_heard(&message(NOTIFY)), [""; 0]);

    let second = NOTIFY.replace("CSeq: 5", "CSeq: 6").replace("bK7", "bK8");
    complains(&mut auditor, &second, "a second NOTIFY while one has no answer");
    auditor.handle_closed();
    let lower = NOTIFY.replace("CSeq: 5", "CSeq: 4").replace("bK7", "bK9");
    complains(&mut auditor, &lower, "CSeq 4 comes after 6");
    auditor.handle_closed();
    let last = NOTIFY.replace("CSeq: 5", "CSeq: 7").replace("bK7", "bKa");
    let last = last.replace("active;expires=599", "terminated;reason=timeout");
    assert_eq!(auditor.handle_heard(&message(&last)), [""; 0]);
    auditor.handle_closed();
    let after = NOTIFY.replace("CSeq: 5", "CSeq: 8").replace("bK7", "bKb");
    complains(&mut auditor, &after, "NOTIFY after the last NOTIFY");
}

#[test]
fn an_answer_to_subscribe_that_promises_too_much_is_seen() {
    for (of, by, words) in [
        ("|Expires: 600", "", "no Expires"),
        ("Expires: 600", "Expires: 700", "700 s are granted"),
        ("|Expires", "|Supported: ms-benotify|Expires", "not spoken here"),
        ("|Record-Route: <sip:edge;lr>", "", "Record-Route is not as in the request"),
        ("|Contact: <sip:ann@g;transport=tls>", "", "no Contact in a 2xx to SUBSCRIBE"),
        ("200 OK", "489 Bad Event", "no Allow-Events"),
        ("200 OK", "423 Interval Too Brief", "no Min-Expires"),
    ] {
        complains(&mut subscribed(), &GRANTED.replace(of, by), words);
    }
}

#[test]
fn a_refresh_goes_where_the_first_notify_said_and_none_follows_the_end() {
    let subscribe = "SUBSCRIBE sip:bob@s.example SIP/2.0|Via: SIP/2.0/TLS g;branch=z9hG4bK1|Max-Forwards: 70|\
        From: <sip:ann@x.example>;tag=a|To: <sip:bob@s.example>|Call-ID: d|CSeq: 1 SUBSCRIBE|\
        Contact: <sip:ann@g;transport=tls>|Event: presence|Accept: application/pidf+xml|Expires: 3600|Content-Length: 0";
    let notify = "NOTIFY sip:ann@g;transport=tls SIP/2.0|Via: SIP/2.0/TLS a;branch=z9hG4bK2|Record-Route: <sip:edge;lr>|\
        From: <sip:bob@s.example>;tag=b|To: <sip:ann@x.example>;tag=a|Call-ID: d|CSeq: 9 NOTIFY|Contact: <sip:bob@pc>|\
        Event: presence|Subscription-State: active;expires=3600|Content-Length: 0";
    let refresh = subscribe
        .replace("sip:bob@s.example SIP", "sip:bob@pc SIP")
        .replace("To: <sip:bob@s.example>", "To: <sip:bob@s.example>;tag=b|Route: <sip:edge;lr>")
        .replace("CSeq: 1", "CSeq: 2");
    let mut auditor = Auditor::default();
    assert_eq!(auditor.handle_heard(&message(subscribe)), [""; 0]);
    auditor.handle_said(&message(notify));
    let ok = "SIP/2.0 200 OK|Via: SIP/2.0/TLS a;branch=z9hG4bK2|Record-Route: <sip:edge;lr>|From: <sip:bob@s.example>;tag=b|\
        To: <sip:ann@x.example>;tag=a|Call-ID: d|CSeq: 9 NOTIFY|Content-Length: 0";
    assert_eq!(auditor.handle_heard(&message(ok)), [""; 0]);

    let last = refresh.replace("bK1", "bK3").replace("Expires: 3600", "Expires: 0");
    assert_eq!(auditor.handle_heard(&message(&last)), [""; 0]);
    let after = refresh.replace("bK1", "bK4").replace("CSeq: 2", "CSeq: 3");
    complains(&mut auditor, &after, "SUBSCRIBE after the last SUBSCRIBE");
    complains(&mut auditor, &subscribe.replace("bK1", "bK5").replace("|Expires: 3600", ""), "no Expires");
}
