//! What is said inside a conversation, both ways.

use std::time::Duration;

use bytes::Bytes;
use clock_types::Date;
use proptest::prelude::*;
use translate::session::{
    ChatState, Disposed, Disposition, Heard, HeardText, Ignored, Parties, Typing, TypingDialect, Wishes,
    chat_state_stanza, conference_invitation, displayed_stanza, disposition_to_sip, hear, hear_body,
    hear_information, mark_delayed, notice_stanza, received_stanza, signals_of, text_stanza,
    text_to_envelope, text_to_session, typing_to_sip,
};
use translate::{Loss, NotificationRequest};
use xmpp_types::jid::Jid;

use crate::{crosses_to_sip, from_bob, request, stanza};

const MAX: usize = 10_000;

fn bob() -> Jid {
    Jid::parse("bob@s.example").unwrap()
}

fn ann() -> Jid {
    Jid::parse("ann@x.example/desk").unwrap()
}

/// Hears a body of this type from bob in a MESSAGE.
fn heard(kind: &str, body: &[u8]) -> Result<Heard, u16> {
    let octets = from_bob(&format!("Content-Type: {kind}\r\n"), body);
    hear(&request(octets), &bob(), MAX).map(|heard| heard.value).map_err(|refusal| refusal.status)
}

#[track_caller]
fn text(kind: &str, body: &[u8]) -> String {
    match heard(kind, body) {
        Ok(Heard::Text(text)) => text.text,
        other => panic!("no text: {other:?}"),
    }
}

fn informed(kind: &str, body: &[u8]) -> Result<Heard, u16> {
    let octets = String::from_utf8(from_bob(&format!("Content-Type: {kind}\r\n"), body)).unwrap();
    let octets = octets.replacen("MESSAGE", "INFO", 1).replace("CSeq: 1 MESSAGE", "CSeq: 1 INFO");
    hear_information(&request(octets)).map_err(|refusal| refusal.status)
}

#[test]
fn the_text_is_found_whatever_stands_around_it() {
    let alternative = b"--b\r\nContent-Type: text/rtf\r\n\r\n{\\rtf1 no}\r\n--b\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n\
        Gr\xC3\xBC\xC3\x9Fe\r\n--b--\r\n";
    let related = b"--b\r\nContent-Type: multipart/alternative;boundary=c\r\n\r\n--c\r\nContent-Type: text/html\r\n\r\n\
        <b>Gr&uuml;&szlig;e</b>\r\n--c--\r\n--b\r\nContent-Type: image/gif\r\n\r\nGIF89a\r\n--b--\r\n";

    assert_eq!(text("text/plain; charset=UTF-8; msgr=WAAtAE0ATQBTAC0A", "Grüße".as_bytes()), "Grüße");
    assert_eq!(text("text/plain; charset=ISO-8859-1", b"Gr\xFC\xDFe"), "Grüße");
    assert_eq!(text("text/plain", b"a\0\x08<&>]]>\r\xF0\x9F\x98\x80"), "a<&>]]>\r😀");
    assert_eq!(text("text/html; charset=utf-8", b"<p>a<br>b</p>"), "a\nb");
    assert_eq!(text("multipart/alternative;boundary=b", alternative), "Grüße");
    assert_eq!(text("multipart/related;boundary=b;type=\"multipart/alternative\"", related), "Grüße");
}

#[test]
fn what_cannot_become_text_is_refused_with_what_can() {
    for kind in
        ["text/rtf", "application/x-ms-ink", "image/gif", "text/x-msmsgsinvite", "application/octet-stream"]
    {
        let octets = from_bob(&format!("Content-Type: {kind}\r\n"), b"x");

        let refusal = hear(&request(octets), &bob(), MAX).unwrap_err();

        assert_eq!(refusal.status, 415, "{kind}");
        assert!(refusal.accept.unwrap().as_str().starts_with("text/plain"), "{kind}");
    }
    let ink = b"--b\r\nContent-Type: image/gif\r\n\r\nGIF89a\r\n--b--\r\n";
    assert_eq!(heard("multipart/mixed;boundary=b", ink), Err(415));
    assert_eq!(heard("text/plain", &[b'x'; MAX + 1]), Err(413));
}

#[test]
fn an_empty_body_is_no_message() {
    assert_eq!(heard("text/plain", b""), Ok(Heard::Ignored(Ignored::Empty)));
    assert_eq!(heard("text/html", b"<html><body> </body></html>"), Ok(Heard::Ignored(Ignored::Empty)));
    let keep_alive = hear_body(None, &Bytes::new(), &bob(), "m1", MAX).unwrap().value;
    assert_eq!(keep_alive, Heard::Ignored(Ignored::Empty));
}

#[test]
fn typing_is_heard_in_both_dialects() {
    let composing = |inside: &str| {
        let document =
            format!("<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'>{inside}</isComposing>");
        heard("application/im-iscomposing+xml", document.as_bytes()).unwrap()
    };
    let keyboard = |status: &str| {
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<KeyboardActivity><status status=\"{status}\"/></KeyboardActivity>"
        );
        informed("application/xml", document.as_bytes()).unwrap()
    };
    let holds = |seconds| Heard::Typing(Typing::Composing(Duration::from_secs(seconds)));

    assert_eq!(composing("<state>active</state>"), holds(120));
    assert_eq!(
        composing("<state> active </state><contenttype>text/plain</contenttype><refresh>90</refresh>"),
        holds(90)
    );
    assert_eq!(composing("<state>active</state><refresh>99999999</refresh>"), holds(600));
    assert_eq!(composing("<state>active</state><refresh>-1</refresh>"), holds(120));
    assert_eq!(
        composing("<state>idle</state><lastactive>2003-01-27T10:43:00Z</lastactive>"),
        Heard::Typing(Typing::Idle)
    );
    // Every state that nobody knows is idle (RFC 3994 §3.5).
    assert_eq!(composing("<state>thinking</state>"), Heard::Typing(Typing::Idle));
    assert_eq!(keyboard("type"), Heard::Typing(Typing::KeyboardActive));
    assert_eq!(keyboard("idle"), Heard::Typing(Typing::KeyboardIdle));
}

#[test]
fn a_document_that_says_nothing_is_never_a_text() {
    for (kind, body) in [
        ("application/im-iscomposing+xml", "x"),
        ("application/im-iscomposing+xml", "<a/>"),
        ("message/imdn+xml", "<imdn xmlns='urn:ietf:params:xml:ns:imdn'/>"),
        ("application/ms-imdn+xml", ""),
    ] {
        assert_eq!(heard(kind, body.as_bytes()), Ok(Heard::Ignored(Ignored::Document)), "{kind} {body}");
    }
}

#[test]
fn an_info_about_the_window_is_ignored_and_one_that_asks_to_join_is_refused() {
    assert_eq!(informed("application/xml", b"<ConversationInfo/>"), Ok(Heard::Ignored(Ignored::Document)));
    assert_eq!(informed("application/unknown", b"x"), Ok(Heard::Ignored(Ignored::Document)));
    assert_eq!(informed("text/plain", b"hi"), Ok(Heard::Ignored(Ignored::Document)));
    assert_eq!(informed("application/x-ms-mim", b"<action name=\"RequestRM\"/>"), Err(415));
}

#[test]
fn each_chat_state_has_its_word_in_each_dialect() {
    let said = |state, dialect| {
        typing_to_sip(state, dialect).map(|body| {
            let kind = body.content_type.to_string();
            match hear_body(Some(&kind), &body.body, &bob(), "m", MAX).unwrap().value {
                Heard::Typing(typing) => (body.method.as_str().to_owned(), typing),
                other => panic!("{other:?}"),
            }
        })
    };
    let minute = Duration::from_secs(60);
    for (state, standard, microsoft) in [
        (ChatState::Composing, Typing::Composing(minute), Typing::KeyboardActive),
        (ChatState::Active, Typing::Idle, Typing::KeyboardIdle),
        (ChatState::Paused, Typing::Idle, Typing::KeyboardIdle),
        (ChatState::Inactive, Typing::Idle, Typing::KeyboardIdle),
    ] {
        assert_eq!(said(state, TypingDialect::IsComposing), Some(("MESSAGE".to_owned(), standard)));
        assert_eq!(said(state, TypingDialect::KeyboardActivity), Some(("INFO".to_owned(), microsoft)));
    }
    assert_eq!(said(ChatState::Gone, TypingDialect::IsComposing), None);
    assert_eq!(said(ChatState::Gone, TypingDialect::KeyboardActivity), None);
    assert_eq!(Typing::Idle.chat_state(), ChatState::Active);
    assert_eq!(Typing::KeyboardIdle.chat_state(), ChatState::Paused);
    assert_eq!(Typing::KeyboardActive.holds_for(), Some(Duration::from_secs(30)));
}

#[test]
fn signals_are_read_beside_a_text_and_alone_but_never_in_copies_and_errors() {
    let signals =
        |inside: &str| signals_of(&stanza(&format!("<message from='a@b' to='c@d' {inside}</message>")));
    let states = "http://jabber.org/protocol/chatstates";
    let read = signals(&format!(
        "><body>x</body><composing xmlns='{states}'/><request xmlns='urn:xmpp:receipts'/>\
         <markable xmlns='urn:xmpp:chat-markers:0'/><received xmlns='urn:xmpp:receipts' id='r1'/>\
         <displayed xmlns='urn:xmpp:chat-markers:0' id='d1'/>"
    ));

    assert_eq!(read.chat_state, Some(ChatState::Composing));
    assert_eq!(read.wishes, Wishes { delivery: true, display: true });
    assert_eq!(read.received.as_deref(), Some("r1"));
    assert_eq!(read.displayed.as_deref(), Some("d1"));
    for nothing in [
        format!("type='error'><gone xmlns='{states}'/>"),
        format!("type='groupchat'><gone xmlns='{states}'/>"),
        format!("><sent xmlns='urn:xmpp:carbons:2'/><gone xmlns='{states}'/>"),
        format!("><result xmlns='urn:xmpp:mam:2'/><gone xmlns='{states}'/>"),
        "><received xmlns='urn:xmpp:receipts'/>".to_owned(),
        "><thinking xmlns='http://jabber.org/protocol/chatstates'/>".to_owned(),
    ] {
        assert_eq!(signals(&nothing), translate::session::Signals::default(), "{nothing}");
    }
}

#[test]
fn a_text_has_its_headers_beside_it_and_its_wishes_in_an_envelope() {
    let message = crosses_to_sip(
        "<message from='ann@x.example/desk' to='bob@s.example' id='m1' xml:lang='de'><body>Grüße</body>\
         <subject>a\\b</subject><delay xmlns='urn:xmpp:delay' stamp='2010-11-13T23:29:00Z'/>\
         <markable xmlns='urn:xmpp:chat-markers:0'/></message>",
    );
    let names: Vec<_> = message.session_headers().iter().map(|(name, _)| name.as_str()).collect();
    assert!(message.display_requested);
    assert_eq!(names, ["Subject", "Date", "Content-Language"]);
    assert_eq!(text_to_session(&message).content_type.to_string(), "text/plain;charset=UTF-8");

    let wishes = Wishes { delivery: true, display: true };
    let envelope = text_to_envelope(&message, "m1", wishes, Date::from_unix_millis(0));

    assert_eq!(
        String::from_utf8(envelope.body.to_vec()).unwrap(),
        "From: <sip:ann@x.example;gr=desk>\r\nTo: <sip:bob@s.example>\r\nDateTime: 2010-11-13T23:29:00.000Z\r\n\
         Subject: a\\\\b\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m1\r\n\
         imdn.Disposition-Notification: positive-delivery, negative-delivery, display\r\n\r\n\
         Content-Type: text/plain;charset=UTF-8\r\n\r\nGrüße"
    );
}

#[test]
fn a_correction_is_a_text_with_its_prefix_and_a_reaction_its_fallback() {
    let body = |inside: &str| {
        let text = format!("<message from='ann@x.example' to='bob@s.example' id='m'>{inside}</message>");
        text_to_session(&crosses_to_sip(&text)).body
    };

    assert_eq!(body("<body>ten</body><replace xmlns='urn:xmpp:message-correct:0' id='m0'/>"), "* ten");
    let fallback =
        "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='5'/></fallback>";
    let reply =
        format!("<body>&gt; hi\nho</body><reply xmlns='urn:xmpp:reply:0' to='b@c' id='1'/>{fallback}");
    assert_eq!(body(&reply), "> hi\nho");
    let reaction = "<body>&gt; hi\n👍</body><reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>👍</reaction></reactions>";
    assert_eq!(body(reaction), "> hi\n👍");
}

#[test]
fn an_envelope_of_another_sender_is_refused_also_in_a_session() {
    let envelope = b"From: <sip:eve@s.example>\r\nTo: <sip:ann@x.example>\r\n\r\n\r\nhi";

    let refusal =
        hear_body(Some("message/cpim"), &Bytes::from_static(envelope), &bob(), "m", MAX).unwrap_err();

    assert_eq!(refusal.status, 403);
    let own = b"From: Bob <sip:bob@s.example;gr=x>\r\nDateTime: 2010-11-13T23:29:00Z\r\n\r\n\r\nhi";
    let heard = hear_body(Some("message/cpim"), &Bytes::from_static(own), &bob(), "m", MAX).unwrap().value;
    let Heard::Text(text) = heard else { panic!("{heard:?}") };
    assert_eq!(text.written, Some(Date::from_unix_millis(1_289_690_940_000)));
}

#[test]
fn what_became_of_a_message_crosses_and_comes_back() {
    let asked = NotificationRequest {
        message_id: "<m&1>".to_owned(),
        date_time: "2026-04-04T12:16:49Z".to_owned(),
        negative: true,
        positive: true,
        display: false,
    };
    for what in [Disposed::Delivered, Disposed::Failed, Disposed::Displayed] {
        let told = disposition_to_sip(&asked, what, "sip:bob@s.example", "sip:ann@x.example");

        let heard = hear_body(Some("message/cpim"), &told.body, &bob(), "m", MAX).unwrap().value;

        assert_eq!(heard, Heard::Disposition(Disposition { message_id: "<m&1>".to_owned(), what }));
    }
    assert!(Disposed::Delivered.is_wanted(&asked) && !Disposed::Displayed.is_wanted(&asked));
}

#[test]
fn microsofts_own_notification_tells_of_failures_only() {
    let told = |recipients: &str| {
        let document = format!(
            "<imdn xmlns='http://schemas.microsoft.com/rtc/2005/08/imdn'><message-id>7</message-id>{recipients}</imdn>"
        );
        heard("application/ms-imdn+xml", document.as_bytes()).unwrap()
    };
    let recipient = |status: &str| format!("<recipient uri='sip:a@b'><status>{status}</status></recipient>");
    let failed = Heard::Disposition(Disposition { message_id: "7".to_owned(), what: Disposed::Failed });

    assert_eq!(told(&recipient("200")), Heard::Ignored(Ignored::Document));
    assert_eq!(told(&(recipient("200") + &recipient("480"))), failed);
    assert_eq!(told(&recipient("x")), failed);
}

#[test]
fn stanzas_are_what_clients_expect() {
    let (bob, ann) = (bob(), ann());
    let parties = Parties { from: &bob, to: &ann, thread: Some("t1") };
    let said = HeardText {
        id: "m1".to_owned(),
        text: "hi".to_owned(),
        subject: Some("s".to_owned()),
        language: Some("en".to_owned()),
        written: None,
        notification: Some(NotificationRequest {
            message_id: "1".to_owned(),
            date_time: String::new(),
            negative: false,
            positive: true,
            display: true,
        }),
    };
    const HEAD: &str = "<message xmlns='jabber:server' from='bob@s.example' to='ann@x.example/desk' id=";

    assert_eq!(
        text_stanza(&parties, &said, Some(ChatState::Active)).to_string(),
        format!(
            "{HEAD}'m1' type='chat' xml:lang='en'><subject>s</subject><body>hi</body><thread>t1</thread>\
             <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
             <markable xmlns='urn:xmpp:chat-markers:0'/></message>"
        )
    );
    assert_eq!(
        chat_state_stanza(&parties, ChatState::Composing, "c1").to_string(),
        format!(
            "{HEAD}'c1' type='chat'><thread>t1</thread><composing xmlns='http://jabber.org/protocol/chatstates'/>\
             <no-store xmlns='urn:xmpp:hints'/></message>"
        )
    );
    assert!(
        received_stanza(&parties, "m9").to_string().contains("<received xmlns='urn:xmpp:receipts' id='m9'/>")
    );
    assert!(
        displayed_stanza(&parties, "m9")
            .to_string()
            .contains("<displayed xmlns='urn:xmpp:chat-markers:0' id='m9'/>")
    );
    let mut notice = notice_stanza(&parties, "Bob left", "n1");
    mark_delayed(&mut notice, Date::from_unix_millis(0), "s.example");
    mark_delayed(&mut notice, Date::from_unix_millis(9), "s.example");
    assert_eq!(
        notice.to_string(),
        format!(
            "{HEAD}'n1' type='chat' xml:lang='en'><body>Bob left</body><thread>t1</thread>\
             <delay xmlns='urn:xmpp:delay' from='s.example' stamp='1970-01-01T00:00:00.000Z'/></message>"
        )
    );
}

#[test]
fn a_date_header_says_when_a_message_was_written() {
    let octets = from_bob("Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n", b"hi");

    let heard = hear(&request(octets), &bob(), MAX).unwrap();

    assert!(!heard.losses.contains(Loss::Date));
    let Heard::Text(text) = heard.value else { panic!("no text") };
    assert_eq!(text.written.unwrap().to_sip_date(), "Sat, 13 Nov 2010 23:29:00 GMT");
}

#[test]
fn an_invitation_into_a_conference_is_read_and_told_in_words() {
    let document = "<Conferencing version=\"2.0\"><focus-uri>sip:bob@s.example;gruu;opaque=app:conf:focus:id:K2J7</focus-uri>\
        <subject>Bud\r\nget</subject><im available=\"true\"><first-im/></im></Conferencing>";
    let invitation = |kind: &str, body: &str| {
        conference_invitation(&request(from_bob(&format!("Content-Type: {kind}\r\n"), body.as_bytes())))
    };
    let kind = "application/ms-conf-invite+xml";

    let read = invitation(kind, document).unwrap();

    assert_eq!(read.focus, "sip:bob@s.example;gruu;opaque=app:conf:focus:id:K2J7");
    assert_eq!(
        read.words("Bob"),
        "Bob tried to add you to a group conversation about “Bud get”, which this gateway cannot join"
    );
    let unreadable = invitation(kind, "x").unwrap();
    assert_eq!(
        unreadable.words("Bob"),
        "Bob tried to add you to a group conversation, which this gateway cannot join"
    );
    let part = format!("--b\r\nContent-Type: {kind}\r\n\r\n{document}\r\n--b--\r\n");
    assert_eq!(invitation("multipart/mixed;boundary=b", &part), Some(read));
    assert_eq!(invitation("application/sdp", "v=0"), None);
}

proptest! {
    #[test]
    fn a_text_comes_out_of_its_envelope_as_it_went_in(
        body in "\\PC{1,40}", subject in "[^\\p{C}]{1,20}", id in "[a-zA-Z0-9-]{1,20}",
        delivery in any::<bool>(), display in any::<bool>(),
    ) {
        let text = "<message from='bob@s.example/x' to='ann@x.example' id='i'/>";
        let stanza = stanza(text)
            .with_child(xmpp_types::xml::Element::new(xmpp_types::ns::SERVER, "body").with_text(body.as_str()))
            .with_child(xmpp_types::xml::Element::new(xmpp_types::ns::SERVER, "subject").with_text(subject.as_str()));
        let options = translate::ToSipOptions::default();
        let translate::ToSip::Message(message) = translate::message_to_sip(&stanza, "key", &options).value else {
            return Ok(());
        };
        let envelope = text_to_envelope(&message, &id, Wishes { delivery, display }, Date::from_unix_millis(5));

        let heard = hear_body(Some("message/cpim"), &envelope.body, &bob(), &id, MAX).unwrap().value;

        let Heard::Text(heard) = heard else { panic!("{heard:?}") };
        prop_assert_eq!(heard.text.as_bytes(), &message.body[..]);
        prop_assert_eq!(heard.subject.as_deref(), message.subject.as_ref().map(|subject| subject.as_str()));
        prop_assert_eq!(heard.written, Some(Date::from_unix_millis(5)));
        prop_assert_eq!(heard.notification.is_some(), delivery || display);
        if let Some(asked) = heard.notification {
            prop_assert_eq!((asked.positive, asked.display), (delivery, display));
            prop_assert_eq!(asked.message_id, id);
        }
    }

    #[test]
    fn no_body_panics_and_no_document_becomes_text(
        kind in prop::sample::select(vec![
            "application/im-iscomposing+xml", "message/imdn+xml", "application/ms-imdn+xml", "application/xml",
            "message/cpim", "multipart/mixed;boundary=b", "text/html", "text/plain;charset=utf-16",
        ]),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let heard = hear_body(Some(kind), &Bytes::from(body), &bob(), "m", MAX);

        if kind.starts_with("application") {
            prop_assert!(!matches!(heard.map(|heard| heard.value), Ok(Heard::Text(_))));
        }
    }
}
