//! Conversations with a SIP domain whose servers want sessions.

use gateway_role::Recovered;

use crate::talk::{INVITE, TYPE, Talk, back_in, inside, microsoft, recounted, with_type};
use crate::world::{MESSAGE, World, header};

#[test]
fn the_sip_user_writes_first() {
    let mut talk = Talk::new();

    let accepted = talk.invited();

    assert!(accepted.starts_with("SIP/2.0 200 OK\r\n"), "{accepted}");
    assert!(accepted.contains("\r\nm=message 5060 sip sip:ann@x.example\r\n"), "{accepted}");
    assert!(accepted.contains("\r\nContact: <sip:ann@10.0.0.2:5060;transport=udp>\r\n"), "{accepted}");
    assert!(!accepted.contains("ms-text-format"), "{accepted}");
    assert_eq!(header(&accepted, "Record-Route"), header(INVITE, "Record-Route"));
    assert_eq!(talk.world.stanzas, []);
    talk.say(2, "Hi Ann");
    let (n, stanza) = talk.world.expect_stanza();
    let text = stanza.to_string();
    assert!(text.contains("from='bob@s.example' to='ann@x.example'"), "{text}");
    assert!(text.contains("type='chat'") && text.contains("<body>Hi Ann</body>"), "{text}");
    assert!(text.contains("<active xmlns='http://jabber.org/protocol/chatstates'/>"), "{text}");
    talk.world.expect_no_sip();
    talk.world.partner_has(n);
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 200 OK\r\n"));
}

#[test]
fn the_xmpp_user_writes_first_and_three_texts_wait_in_order() {
    let mut talk = Talk::new();

    let sent: Vec<u64> = ["one", "two", "three"].map(|text| talk.stanza(text, text)).into();
    let invite = talk.world.expect_sip();
    assert!(invite.starts_with("INVITE sip:bob@s.example SIP/2.0\r\n"), "{invite}");
    assert_eq!(header(&invite, "To"), "<sip:bob@s.example>");
    assert!(header(&invite, "From").starts_with("<sip:ann@x.example>;tag="), "{invite}");
    assert!(invite.contains("\r\nm=message 5060 sip null\r\n"), "{invite}");
    talk.trying(&invite);
    talk.world.pass(9500);
    talk.world.expect_no_sip();
    talk.accept(&invite);

    assert!(talk.world.expect_sip().starts_with("ACK sip:bob@s.example;opaque=user:epid:Kq1;gruu SIP/2.0"));
    for text in ["one", "two", "three"] {
        let message = talk.world.expect_sip();
        assert!(
            message.starts_with("MESSAGE sip:bob@s.example;opaque=user:epid:Kq1;gruu SIP/2.0"),
            "{message}"
        );
        assert!(message.ends_with(&format!("\r\n\r\n{text}")), "{message}");
        assert_eq!(header(&message, "Call-ID"), header(&invite, "Call-ID"));
        talk.world.expect_no_sip();
        talk.world.answer(&message, "200 OK");
    }
    assert!(sent.iter().all(|sent| talk.world.is_settled(*sent)));
    assert_eq!(talk.world.stanzas, []);
}

#[test]
fn the_route_set_is_the_peers_octet_for_octet() {
    let mut talk = Talk::new();
    talk.invited();

    talk.stanza("m1", "Hello");

    let message = talk.world.expect_sip();
    assert_eq!(header(&message, "Route"), header(INVITE, "Record-Route"));
    assert_eq!(header(&message, "To"), header(INVITE, "From"), "with its epid");
    assert!(message.starts_with("MESSAGE sip:bob@s.example;opaque=user:epid:Kq1;gruu SIP/2.0"), "{message}");
}

#[test]
fn a_forgotten_session_is_replaced_and_the_text_said_once_more() {
    let mut talk = Talk::new();
    talk.invited();
    talk.stanza("m1", "Hello");
    let message = talk.world.expect_sip();

    talk.world.answer(&message, "481 Call/Transaction Does Not Exist");
    let invite = talk.world.expect_sip();
    assert!(invite.starts_with("INVITE "), "{invite}");
    assert_ne!(header(&invite, "Call-ID"), "0c4b");
    talk.accept(&invite);
    assert!(talk.world.expect_sip().starts_with("ACK "));
    let again = talk.world.expect_sip();
    assert!(again.ends_with("\r\n\r\nHello"), "{again}");
    talk.world.answer(&again, "481 Call/Transaction Does Not Exist");

    let (_, error) = talk.world.expect_stanza();
    assert_eq!(error.attr("type"), Some("error"));
    assert_eq!(error.attr("id"), Some("m1"));
    talk.world.expect_no_sip();
}

#[test]
fn a_refused_call_is_told_of_every_text_that_waits() {
    for (answer, condition) in [
        ("486 Busy Here", "recipient-unavailable"),
        ("480 Temporarily Unavailable", "recipient-unavailable"),
        ("603 Decline", "recipient-unavailable"),
        ("606 Not Acceptable\r\nWarning: 309 s.example \"Content policy\"", "not-acceptable"),
    ] {
        let mut talk = Talk::new();
        for id in ["m1", "m2", "m3"] {
            talk.stanza(id, "Hello");
        }
        let invite = talk.world.expect_sip();

        talk.world.answer(&invite, answer);

        assert!(talk.world.expect_sip().starts_with("ACK "));
        let errors = std::mem::take(&mut talk.world.stanzas);
        let mut ids: Vec<_> = errors.iter().filter_map(|(_, error)| error.attr("id")).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["m1", "m2", "m3"], "{answer}");
        assert!(errors.iter().all(|(_, error)| error.to_string().contains(condition)), "{errors:?}");
        talk.world.expect_no_sip();
    }
}

#[test]
fn after_their_bye_the_next_text_opens_a_session_in_the_same_thread() {
    let mut talk = Talk::new();
    talk.invited();
    talk.say(2, "Hi");
    let (n, first) = talk.world.expect_stanza();
    talk.world.partner_has(n);
    talk.world.expect_sip();

    talk.world.sip(&inside("BYE", 3, ""));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 200 OK\r\n"));
    assert_eq!(talk.world.stanzas, [], "ann's client has shown no chat states");
    talk.stanza("m1", "Hello");
    let invite = talk.world.expect_sip();
    assert!(invite.starts_with("INVITE "), "{invite}");
    talk.accept(&invite);
    talk.world.expect_sip();
    let message = talk.world.expect_sip();
    talk.world.answer(&message, "200 OK");
    let in_it = back_in(&invite, "MESSAGE", 1, "Yes");
    talk.world.sip(&in_it);
    let (_, second) = talk.world.expect_stanza();
    let thread = |stanza: &xmpp_types::xml::Element| {
        stanza.child("thread", "jabber:server").map(|thread| thread.text().into_owned())
    };
    assert_eq!(thread(&first), thread(&second));
    assert!(thread(&first).is_some());
}

#[test]
fn typing_crosses_both_ways_and_opens_nothing() {
    let mut talk = Talk::new();
    talk.state("composing");
    talk.world.expect_no_sip();
    talk.invited();

    talk.state("composing");
    let info = talk.world.expect_sip();
    assert!(info.starts_with("INFO ") && info.contains("<status status=\"type\"/>"), "{info}");
    talk.world.answer(&info, "200 OK");
    talk.state("composing");
    talk.world.expect_no_sip();
    talk.world.sip(&with_type("INFO", 2, "application/xml", TYPE));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 200 OK\r\n"));
    let (_, shown) = talk.world.expect_stanza();
    assert!(shown.has_child("composing", "http://jabber.org/protocol/chatstates"), "{shown}");
    assert!(shown.has_child("no-store", "urn:xmpp:hints") && !shown.has_child("body", "jabber:server"));
    talk.world.pass(30_000);
    let (_, shown) = talk.world.expect_stanza();
    assert!(shown.has_child("paused", "http://jabber.org/protocol/chatstates"), "{shown}");
    talk.world.sip(&inside("BYE", 3, ""));
    let (_, shown) = talk.world.expect_stanza();
    assert!(shown.has_child("gone", "http://jabber.org/protocol/chatstates"), "{shown}");
}

#[test]
fn a_peer_that_does_not_want_typing_is_spared() {
    let mut talk = Talk::new();
    talk.invited();
    talk.state("composing");
    let info = talk.world.expect_sip();

    talk.world.answer(&info, "415 Unsupported Media Type");
    talk.world.pass(6000);
    talk.state("composing");

    talk.world.expect_no_sip();
    assert_eq!(talk.world.stanzas, []);
    assert_eq!(talk.world.gateway.conversations()[0].0.fallbacks, [gateway_role::Fallback::NoTyping]);
}

#[test]
fn a_closed_window_is_a_bye() {
    let mut talk = Talk::new();
    talk.invited();

    talk.state("gone");
    talk.world.pass(1000);

    let bye = talk.world.expect_sip();
    assert!(bye.starts_with("BYE sip:bob@s.example;opaque=user:epid:Kq1;gruu "), "{bye}");
    talk.world.answer(&bye, "200 OK");
    assert_eq!(talk.world.stanzas, []);
    assert!(talk.world.gateway.conversations().is_empty());
}

#[test]
fn silence_ends_a_session_after_twelve_minutes() {
    let mut talk = Talk::new();
    talk.invited();

    talk.world.pass(719_999);
    talk.world.expect_no_sip();
    talk.world.pass(1);

    assert!(talk.world.expect_sip().starts_with("BYE "));
    assert_eq!(talk.world.stanzas, []);
}

#[test]
fn a_receipt_is_earned_by_200_in_a_session_and_not_by_202() {
    for (answer, earned) in [("200 OK", true), ("202 Accepted", false)] {
        let mut talk = Talk::new();
        talk.invited();
        talk.world.xmpp(
            "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' id='m1' type='chat'>\
             <body>Hello</body><request xmlns='urn:xmpp:receipts'/></message>",
        );
        let message = talk.world.expect_sip();

        talk.world.answer(&message, answer);

        assert_eq!(talk.world.stanzas.len(), usize::from(earned), "{answer}");
        let is_receipt = |text: String| text.contains("<received xmlns='urn:xmpp:receipts' id='m1'/>");
        assert!(talk.world.stanzas.iter().all(|(_, stanza)| is_receipt(stanza.to_string())));
    }
}

#[test]
fn a_late_bounce_is_said_in_the_session() {
    let mut talk = Talk::new();
    talk.invited();
    talk.say(2, "Hi Ann");
    let (_, stanza) = talk.world.expect_stanza();
    talk.world.pass(2000);
    talk.world.disk_writes(Ok(()));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 202 "));

    let id = stanza.attr("id").unwrap().to_owned();
    talk.world.xmpp(&format!(
        "<message xmlns='jabber:server' type='error' id='{id}' from='ann@x.example' to='bob@s.example'>\
         <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));

    let report = talk.world.expect_sip();
    assert_eq!(header(&report, "Call-ID"), "0c4b");
    assert!(report.starts_with("MESSAGE ") && report.contains("was not delivered"), "{report}");
    talk.world.answer(&report, "200 OK");
    let settled =
        talk.world.records.iter().filter(|(_, r)| matches!(r, gateway_role::Record::Settled { .. })).count();
    assert_eq!(settled, 1);
}

#[test]
fn a_peer_without_sessions_gets_texts_by_themselves_from_then_on() {
    let mut talk = Talk::new();
    talk.stanza("m1", "Hello");
    let invite = talk.world.expect_sip();

    talk.world.answer(&invite, "488 Not Acceptable Here");
    talk.world.expect_sip();
    let message = talk.world.expect_sip();
    assert!(message.starts_with("MESSAGE sip:bob@s.example SIP/2.0\r\n"), "{message}");
    talk.world.answer(&message, "200 OK");
    talk.stanza("m2", "Again");

    let message = talk.world.expect_sip();
    assert!(message.starts_with("MESSAGE ") && message.ends_with("Again"), "{message}");
    assert_eq!(talk.world.stanzas, []);
}

#[test]
fn a_conference_is_declined_and_explained_once() {
    let mut talk = Talk::new();
    talk.invited();
    let invitation = "<Conferencing version=\"2.0\"><focus-uri>sip:bob@s.example;gruu;opaque=app:conf:focus:id:K2J7\
                      </focus-uri><subject>Budget</subject><im available=\"true\"><first-im/></im></Conferencing>";
    let invite = |n: u32| {
        let invite =
            INVITE.replace("0c4b", &format!("conf-{n}")).replace("z9hG4bK-i", &format!("z9hG4bK-c{n}"));
        let (head, _) = invite.split_once("\r\n\r\n").unwrap();
        let head: Vec<_> = head.lines().filter(|line| !line.starts_with("Content-")).collect();
        format!(
            "{}\r\nContent-Type: application/ms-conf-invite+xml\r\nContent-Length: {}\r\n\r\n{invitation}",
            head.join("\r\n"),
            invitation.len()
        )
    };

    talk.world.sip(&invite(1));
    talk.world.sip(&invite(2));

    assert!(talk.world.expect_sip().starts_with("SIP/2.0 488 "));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 488 "));
    let (_, told) = talk.world.expect_stanza();
    assert!(told.to_string().contains("group conversation about \u{201c}Budget\u{201d}"), "{told}");
    talk.stanza("m1", "Still here");
    assert_eq!(header(&talk.world.expect_sip(), "Call-ID"), "0c4b", "the session of two lives on");
}

#[test]
fn what_cannot_be_held_is_declined() {
    let cases = [
        (INVITE.replace("m=message 5060 sip null", "m=audio 50000 RTP/AVP 0"), "488"),
        (INVITE.replace("Max-Forwards: 68", "TriggeredInvite: TRUE\r\nMax-Forwards: 68"), "488"),
        (
            INVITE.replace("Max-Forwards: 68", "Require: com.microsoft.rtc-multiparty\r\nMax-Forwards: 68"),
            "420",
        ),
        (INVITE.replace("Max-Forwards: 68", "Require: 100rel\r\nMax-Forwards: 68"), "420"),
        (INVITE.replace("INVITE sip:ann@", "INVITE sips:ann@"), "416"),
        (INVITE.replace("sip:bob@s.example>;tag", "sip:bob@other.example>;tag"), "403"),
    ];
    for (invite, status) in cases {
        let mut talk = Talk::new();

        talk.world.sip(&recounted(&invite));

        let answer = talk.world.expect_sip();
        assert!(answer.starts_with(&format!("SIP/2.0 {status} ")), "{answer}");
        assert_eq!(talk.world.stanzas, []);
        assert!(talk.world.gateway.conversations().is_empty());
    }
}

#[test]
fn texts_among_other_media_are_taken_alone() {
    let mut talk = Talk::new();

    talk.world.sip(&recounted(
        &INVITE.replace("m=message 5060 sip null", "m=audio 50000 RTP/AVP 0\r\nm=message 5060 sip null"),
    ));

    let accepted = talk.world.expect_sip();
    assert!(
        accepted.contains("\r\nm=audio 0 RTP/AVP 0\r\nm=message 5060 sip sip:ann@x.example\r\n"),
        "{accepted}"
    );
}

#[test]
fn requests_of_no_session_or_of_strangers_are_refused() {
    let mut talk = Talk::new();
    talk.invited();

    talk.world.sip(&inside("MESSAGE", 2, "Hi").replace("Call-ID: 0c4b", "Call-ID: other"));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 481 "));
    talk.world.sip(&inside("BYE", 2, "").replace("tag=5d07", "tag=other").replace("0c4b", "0c4c"));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 481 "));
    talk.world.sip_from("192.0.2.66:5060", &inside("MESSAGE", 3, "Hi"));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 403 "));

    assert_eq!(talk.world.stanzas, []);
    assert_eq!(talk.world.gateway.conversations().len(), 1);
}

#[test]
fn information_of_all_kinds_is_heard() {
    let mut talk = Talk::new();
    talk.invited();

    talk.world.sip(&with_type("INFO", 2, "application/conversationinfo+xml", "<ConversationInfo/>"));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 200 "));
    talk.world.sip(&with_type("MESSAGE", 3, "image/gif", "GIF89a"));
    let answer = talk.world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 415 ") && answer.contains("\r\nAccept: text/plain"), "{answer}");
    talk.world.sip(&inside("REFER", 4, ""));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 405 "));

    assert_eq!(talk.world.stanzas, []);
}

#[test]
fn an_offer_of_compression_is_refused_as_configured() {
    let mut settings = microsoft();
    settings.conversations.negotiate_status = 488;
    let mut world = World::with(settings, Recovered::default());

    world.sip(&MESSAGE.replace("MESSAGE", "NEGOTIATE").replace("Max-Forwards: 70", "Max-Forwards: 0"));

    let answer = world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 488 ") && !answer.contains("Compression"), "{answer}");
}

#[test]
fn when_too_many_are_open_a_caller_hears_so_in_words() {
    let mut settings = microsoft();
    settings.conversations.open_max = 1;
    let mut talk = Talk { world: World::with(settings, Recovered::default()), tag: String::new() };
    talk.invited();

    let other =
        INVITE.replace("sip:ann@", "sip:eve@").replace("0c4b", "0c4c").replace("z9hG4bK-i", "z9hG4bK-o");
    talk.world.sip(&recounted(&other));
    let answer = talk.world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 480 Too Many Conversations"), "{answer}");
    talk.world.xmpp(
        "<message xmlns='jabber:server' from='eve@x.example' to='bob@s.example' id='m1'><body>Hi</body></message>",
    );

    let (_, error) = talk.world.expect_stanza();
    assert!(error.to_string().contains("resource-constraint"), "{error}");
}

#[test]
fn fifty_texts_wait_for_an_answer_and_no_more() {
    let mut talk = Talk::new();

    for number in 0..51 {
        talk.stanza(&format!("m{number}"), "Hello");
    }

    let (_, error) = talk.world.expect_stanza();
    assert_eq!(error.attr("id"), Some("m50"));
    assert!(error.to_string().contains("resource-constraint"), "{error}");
}

#[test]
fn a_call_that_nobody_answers_is_cancelled_after_a_minute() {
    let mut talk = Talk::new();
    talk.stanza("m1", "Hello");
    let invite = talk.world.expect_sip();
    talk.trying(&invite);

    talk.world.pass(60_000);

    let (_, error) = talk.world.expect_stanza();
    assert!(error.to_string().contains("remote-server-timeout"), "{error}");
    assert!(talk.world.expect_sip().starts_with("CANCEL "));
}

#[test]
fn stopping_ends_sessions() {
    let mut talk = Talk::new();
    talk.invited();

    talk.world.gateway.handle_stop(talk.world.now);
    talk.world.drain();
    let bye = talk.world.expect_sip();
    assert!(bye.starts_with("BYE "), "{bye}");
    assert!(!talk.world.stopped);
    talk.world.answer(&bye, "200 OK");

    assert!(talk.world.stopped);
}

#[test]
fn a_standard_domain_has_no_sessions() {
    let mut world = World::new();

    world.sip(&recounted(INVITE));

    assert!(world.expect_sip().starts_with("SIP/2.0 488 "));
}
