//! Messages across the gateway, page mode.

use clock_types::Date;
use gateway_role::{NotStored, Record, Recovered};

use crate::world::{MESSAGE, STANZA, World, header};

#[test]
fn a_text_from_sip_is_answered_200_when_the_partner_has_it() {
    let mut world = World::new();

    world.sip(MESSAGE);
    let (n, stanza) = world.expect_stanza();
    assert_eq!(stanza.attr("from"), Some("bob@s.example"));
    assert_eq!(stanza.attr("to"), Some("ann@x.example"));
    assert!(stanza.to_string().contains("<body>Hi Ann</body>"), "{stanza}");
    world.expect_no_sip();
    world.partner_has(n);

    assert!(world.expect_sip().starts_with("SIP/2.0 200 OK\r\n"));
    assert_eq!(world.records, []);
}

#[test]
fn a_partners_error_is_the_answer() {
    let mut world = World::new();
    world.sip(MESSAGE);
    let (n, stanza) = world.expect_stanza();

    let id = stanza.attr("id").unwrap().to_owned();
    world.xmpp(&format!(
        "<message xmlns='jabber:server' type='error' id='{id}' from='ann@x.example' to='bob@s.example'>\
         <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    world.partner_has(n);

    assert!(world.expect_sip().starts_with("SIP/2.0 604 "), "a bare JID's item-not-found is 604");
    world.expect_no_sip();
}

#[test]
fn an_error_from_somebody_else_changes_nothing() {
    let mut world = World::new();
    world.sip(MESSAGE);
    let (_, stanza) = world.expect_stanza();

    let id = stanza.attr("id").unwrap().to_owned();
    world.xmpp(&format!(
        "<message xmlns='jabber:server' type='error' id='{id}' from='ann@evil.example' to='bob@s.example'>\
         <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));

    world.expect_no_sip();
}

#[test]
fn a_slow_partner_means_202_from_the_disk_and_a_report_if_it_fails() {
    let mut world = World::new();
    world.sip(MESSAGE);
    let (_, stanza) = world.expect_stanza();

    world.pass(2000);
    world.expect_no_sip();
    world.disk_writes(Ok(()));
    assert!(world.expect_sip().starts_with("SIP/2.0 202 Accepted\r\n"));

    let id = stanza.attr("id").unwrap().to_owned();
    world.xmpp(&format!(
        "<message xmlns='jabber:server' type='error' id='{id}' from='ann@x.example' to='bob@s.example'>\
         <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    let report = world.expect_sip();
    assert!(report.starts_with("MESSAGE sip:bob@s.example SIP/2.0\r\n"), "{report}");
    assert!(report.contains("was not delivered"), "{report}");
    world.answer(&report, "200 OK");
    let settled = world.records.iter().filter(|(_, record)| matches!(record, Record::Settled { .. })).count();
    assert_eq!(settled, 1);
}

#[test]
fn a_full_disk_means_503_while_nothing_has_left() {
    let mut world = World::new();
    world.cut_link();
    world.sip(MESSAGE);

    world.pass(2000);
    world.disk_writes(Err(NotStored { reason: "disk full".to_owned() }));

    let answer = world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
}

#[test]
fn a_text_from_xmpp_is_settled_by_its_final_answer() {
    let mut world = World::new();

    let sent = world.xmpp(STANZA);
    let request = world.expect_sip();
    assert!(request.starts_with("MESSAGE sip:bob@s.example SIP/2.0\r\n"), "{request}");
    assert!(request.contains("\r\nFrom: <sip:ann@x.example;gr=desk>;tag="), "{request}");
    assert!(request.ends_with("\r\n\r\nIs 10:30 fine? – Ann"), "{request}");
    assert!(!world.is_settled(sent));
    world.answer(&request, "200 OK");

    assert!(world.is_settled(sent));
    assert_eq!(world.records, []);
}

#[test]
fn a_refused_text_comes_back_as_an_error_with_the_same_id() {
    let mut world = World::new();
    let sent = world.xmpp(STANZA);
    let request = world.expect_sip();

    world.answer(&request, "404 Not Found");
    let (n, error) = world.expect_stanza();
    assert_eq!(error.attr("type"), Some("error"));
    assert_eq!(error.attr("id"), Some("m1"));
    assert_eq!(error.attr("to"), Some("ann@x.example/desk"));
    assert!(error.to_string().contains("404 Not Found"), "{error}");
    assert!(!world.is_settled(sent));
    world.partner_has(n);

    assert!(world.is_settled(sent));
}

#[test]
fn a_receipt_is_earned_by_200_only() {
    for (answer, earned) in [("200 OK", true), ("202 Accepted", false)] {
        let mut world = World::new();
        world.xmpp(&STANZA.replace("<body>", "<request xmlns='urn:xmpp:receipts'/><body>"));
        let request = world.expect_sip();

        world.answer(&request, answer);

        let receipts: Vec<_> = std::mem::take(&mut world.stanzas);
        assert_eq!(receipts.len(), usize::from(earned));
        assert!(
            receipts.iter().all(|(_, stanza)| stanza
                .to_string()
                .contains("<received xmlns='urn:xmpp:receipts' id='m1'/>"))
        );
    }
}

#[test]
fn what_the_disk_keeps_is_delivered_after_a_restart_under_the_same_call_id() {
    let mut world = World::new();
    world.xmpp(STANZA);
    let first = world.expect_sip();
    world.pass(2000);
    let kept = world.records.iter().find_map(|(_, record)| match record {
        Record::Accepted(message) => Some((**message).clone()),
        Record::Failed { .. } | Record::Settled { .. } | Record::Watch(_) | Record::Wrote { .. } => None,
    });

    let mut world = World::after(Recovered { unsettled: vec![kept.unwrap()], ..Recovered::default() });

    let again = world.expect_sip();
    assert_eq!(header(&first, "Call-ID"), header(&again, "Call-ID"));
    assert_eq!(header(&first, "From"), header(&again, "From"));
}

#[test]
fn strangers_and_loops_are_refused() {
    let mut world = World::new();

    world.sip(&MESSAGE.replace("bob@s.example", "bob@other.example"));
    assert!(world.expect_sip().starts_with("SIP/2.0 403 "));
    world.sip_from("192.0.2.66:5060", &MESSAGE.replace("branch=z9hG4bK-1", "branch=z9hG4bK-2"));
    assert!(world.expect_sip().starts_with("SIP/2.0 403 "));
    world.sip(&MESSAGE.replace("ann@x.example", "carol@s.example").replace("z9hG4bK-1", "z9hG4bK-3"));
    assert!(world.expect_sip().starts_with("SIP/2.0 404 "));
    let back = MESSAGE.replace("ann@x.example", "carol@s.example").replace("z9hG4bK-1", "z9hG4bK-4");
    world.sip(&back.replace("From: <sip:bob@s.example>", "From: <sip:ann@x.example>"));
    assert!(world.expect_sip().starts_with("SIP/2.0 482 "));
    world.sip(&MESSAGE.replace("sip:ann@", "sips:ann@").replace("z9hG4bK-1", "z9hG4bK-5"));
    assert!(world.expect_sip().starts_with("SIP/2.0 416 "));
    world.sip(&MESSAGE.replace("Max-Forwards: 70", "Max-Forwards: 0").replace("z9hG4bK-1", "z9hG4bK-6"));
    assert!(world.expect_sip().starts_with("SIP/2.0 483 "));
    world.sip(
        &MESSAGE
            .replace("Max-Forwards: 70", "Max-Forwards: 70\r\nRequire: foo")
            .replace("z9hG4bK-1", "z9hG4bK-7"),
    );
    let answer = world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 420 ") && answer.contains("\r\nUnsupported: foo\r\n"), "{answer}");

    assert_eq!(world.stanzas, []);
}

#[test]
fn other_methods_are_answered_as_their_specifications_say() {
    let mut world = World::new();

    world.sip(&MESSAGE.replace("MESSAGE", "OPTIONS"));
    let answer = world.expect_sip();
    assert!(
        answer.starts_with("SIP/2.0 200 ")
            && answer.contains("\r\nAllow: INVITE, ACK, BYE, CANCEL, MESSAGE,"),
        "{answer}"
    );
    world.sip(&MESSAGE.replace("MESSAGE", "SERVICE").replace("z9hG4bK-1", "z9hG4bK-2"));
    let answer = world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 405 ") && answer.contains("\r\nAllow: "), "{answer}");
    world.sip(&MESSAGE.replace("MESSAGE", "BENOTIFY").replace("z9hG4bK-1", "z9hG4bK-3"));

    world.expect_no_sip();
}

#[test]
fn stopping_answers_keeps_and_ends() {
    let mut world = World::new();
    world.sip(MESSAGE);
    world.expect_stanza();
    let sent = world.xmpp(STANZA);
    world.expect_sip();

    world.gateway.handle_stop(world.now);
    world.drain();
    assert!(!world.stopped);
    world.sip(&MESSAGE.replace("z9hG4bK-1", "z9hG4bK-9").replace("Call-ID: c1", "Call-ID: c9"));
    assert!(world.expect_sip().starts_with("SIP/2.0 503 "));
    world.disk_writes(Ok(()));

    assert!(world.expect_sip().starts_with("SIP/2.0 202 "));
    assert!(world.is_settled(sent));
    assert!(world.stopped);
}

#[test]
fn typing_that_is_said_by_itself_is_shown_and_never_a_text() {
    let mut world = World::new();
    let body = "<?xml version='1.0'?><isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>active</state>\
                </isComposing>";

    world.sip(
        &MESSAGE
            .replace("text/plain", "application/im-iscomposing+xml")
            .replace("Content-Length: 6", &format!("Content-Length: {}", body.len()))
            .replace("Hi Ann", body),
    );

    assert!(world.expect_sip().starts_with("SIP/2.0 200 "));
    let (_, stanza) = world.expect_stanza();
    assert!(stanza.elements().any(|child| child.name() == "composing"), "{stanza}");
    assert!(stanza.elements().all(|child| child.name() != "body"), "{stanza}");
}

#[test]
fn a_text_that_was_kept_on_its_way_says_so() {
    let mut world = World::new();
    let now = world.now.date;
    let dated = |seconds: u64| {
        let date = Date::from_unix_millis(now.unix_millis() - i64::try_from(seconds).unwrap() * 1000);
        let dated = format!("Date: {}\r\nContent-Type", date.to_sip_date());
        MESSAGE.replace("Content-Type", &dated).replace("c1", &format!("c{seconds}"))
    };

    world.sip(&dated(5).replace("branch=z9hG4bK-1", "branch=z9hG4bK-5"));
    let (_, fresh) = world.expect_stanza();
    world.sip(&dated(600).replace("branch=z9hG4bK-1", "branch=z9hG4bK-6"));
    let (_, late) = world.expect_stanza();

    assert!(fresh.elements().all(|child| child.name() != "delay"), "{fresh}");
    let delay = late.elements().find(|child| child.name() == "delay").unwrap();
    assert_eq!(delay.attr("from"), Some("s.example"));
}
