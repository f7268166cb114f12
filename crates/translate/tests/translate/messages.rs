//! What pairs of files cannot say: identifiers, sizes, options.

use translate::{
    Failure, Headline, Loss, MessageKind, NotAMessage, Profile, ToSip, ToSipOptions, ToXmpp, ToXmppOptions,
    failure_to_xmpp, message_size, message_to_sip, message_to_xmpp,
};
use xmpp_types::ns;
use xmpp_types::stanza_error::StanzaCondition;

use crate::{crossed, crosses_to_sip, from_bob, printed, request, stanza};

const ANN_TO_BOB: &str =
    "<message from='ann@x.example/desk' to='bob@s.example' id='m1'><body>Hi</body></message>";

#[test]
fn the_same_stanza_gets_the_same_call_id_and_tag_again() {
    let one = crosses_to_sip(ANN_TO_BOB);
    let again = crosses_to_sip(ANN_TO_BOB);
    let other = crosses_to_sip(&ANN_TO_BOB.replace("m1", "m2"));

    assert_eq!(one, again);
    assert_ne!(one.call_id, other.call_id);
    assert_ne!(one.from.tag(), other.from.tag());
}

#[test]
fn messages_of_a_thread_share_the_call_id_but_not_the_tag() {
    let threaded = |id: &str| {
        crosses_to_sip(&format!(
            "<message from='ann@x.example/desk' to='bob@s.example' id='{id}'><body>Hi</body><thread>t-7</thread></message>"
        ))
    };

    let (one, other) = (threaded("m1"), threaded("m2"));

    assert_eq!(one.call_id.as_str(), "t-7");
    assert_eq!(one.call_id, other.call_id);
    assert_ne!(one.from.tag(), other.from.tag());
}

#[test]
fn a_message_without_id_is_named_by_the_gateway_s_key() {
    let nameless = stanza("<message from='ann@x.example/desk' to='bob@s.example'><body>Hi</body></message>");
    let call_id = |key: &str| match message_to_sip(&nameless, key, &ToSipOptions::default()).value {
        ToSip::Message(message) => message.call_id,
        other => panic!("{other:?}"),
    };

    assert_eq!(call_id("k1"), call_id("k1"));
    assert_ne!(call_id("k1"), call_id("k2"));
}

#[test]
fn the_value_says_whom_to_answer_and_what_was_asked() {
    let message = crosses_to_sip(
        "<message from='Ann@X.example/desk' to='bob@s.example' id='m1'><body>Hi</body>\
         <request xmlns='urn:xmpp:receipts'/></message>",
    );

    assert_eq!(message.from_jid.as_str(), "ann@x.example/desk");
    assert_eq!(message.to_jid.as_str(), "bob@s.example");
    assert_eq!(message.id.as_deref(), Some("m1"));
    assert!(message.receipt_requested);
}

#[test]
fn a_text_that_is_too_long_is_refused_and_never_cut() {
    let options = ToSipOptions { body_max: 10, ..ToSipOptions::default() };
    let sized = |text: &str| {
        let stanza = stanza(&ANN_TO_BOB.replace("Hi", text));
        message_to_sip(&stanza, "key", &options).value
    };

    assert!(matches!(sized("0123456789"), ToSip::Message(_)));
    let too_large = failure_to_xmpp(&Failure::TooLarge { octets: 11, octets_max: 10 });
    assert_eq!(sized("01234567890"), ToSip::Refused(too_large));
    assert_eq!(
        sized("äöüäöü"),
        ToSip::Refused(failure_to_xmpp(&Failure::TooLarge { octets: 12, octets_max: 10 }))
    );
}

#[test]
fn the_whole_request_counts_where_a_hop_may_be_a_datagram() {
    let options = ToSipOptions { datagram: true, ..ToSipOptions::default() };
    let outcome = |length: usize| {
        let stanza = stanza(&ANN_TO_BOB.replace("Hi", &"a".repeat(length)));
        message_to_sip(&stanza, "key", &options).value
    };
    let ToSip::Message(message) = outcome(100) else { panic!("it fits") };
    let beside_text = message_size(&message.into_request(), options.transport_octets) - 100;

    // Content-Length has a digit more from 1000 on; the longest text that fits is below that.
    assert!(matches!(outcome(1300 - beside_text), ToSip::Message(_)));
    let ToSip::Refused(error) = outcome(1300 - beside_text + 1) else { panic!("it does not fit") };
    assert_eq!(error.condition, StanzaCondition::PolicyViolation);
}

#[test]
fn a_headline_goes_where_the_policy_says() {
    let outcome = |headline| {
        let stanza = stanza(&ANN_TO_BOB.replace("id=", "type='headline' id="));
        message_to_sip(&stanza, "key", &ToSipOptions { headline, ..ToSipOptions::default() }).value
    };

    assert!(matches!(outcome(Headline::Deliver), ToSip::Message(_)));
    assert_eq!(outcome(Headline::Drop), ToSip::NotAMessage(NotAMessage::Headline));
    assert!(matches!(outcome(Headline::Refuse), ToSip::Refused(error)
        if error.condition == StanzaCondition::FeatureNotImplemented));
}

#[test]
fn a_profile_without_resources_names_the_loss() {
    let options = ToSipOptions { profile: Profile::BareAddress, ..ToSipOptions::default() };

    let translated = message_to_sip(&stanza(ANN_TO_BOB), "key", &options);

    assert!(translated.losses.contains(Loss::Resource));
}

#[test]
fn an_error_is_never_refused_whatever_else_it_is() {
    for inside in
        ["", "<body>Hi</body>", "<encrypted xmlns='urn:xmpp:omemo:2'><payload>x</payload></encrypted>"]
    {
        let stanza = stanza(&format!("<message type='error' from='@' to='@'>{inside}</message>"));

        let outcome = message_to_sip(&stanza, "key", &ToSipOptions::default()).value;

        assert_eq!(outcome, ToSip::NotAMessage(NotAMessage::Error));
    }
}

#[test]
fn a_request_has_the_same_id_again_by_whatever_way_it_comes() {
    let id =
        |octets: &[u8]| crossed(message_to_xmpp(&request(octets), &ToXmppOptions::default()).unwrap()).id;
    let first = from_bob("", b"hi");
    let text = String::from_utf8(first.clone()).unwrap();
    let other_way = text.replace("branch=z9hG4bK1", "branch=z9hG4bK2;received=192.0.2.1").into_bytes();

    assert_eq!(id(&first), id(&other_way));
    for (one, other) in [
        ("CSeq: 1 ", "CSeq: 2 "),
        ("Call-ID: c1", "Call-ID: c2"),
        ("tag=t1", "tag=t2"),
        ("MESSAGE sip:ann@", "MESSAGE sip:eve@"),
    ] {
        assert_ne!(id(&first), id(text.replace(one, other).as_bytes()), "{one}");
    }
    // A client that counts nothing still has its texts told apart.
    assert_ne!(id(&first), id(&from_bob("", b"ho")));
}

#[test]
fn the_type_is_absent_or_chat() {
    let kind = |kind| {
        let options = ToXmppOptions { kind, ..ToXmppOptions::default() };
        let message = crossed(message_to_xmpp(&request(from_bob("", b"hi")), &options).unwrap());
        message.stanza.attr("type").map(str::to_owned)
    };

    assert_eq!(kind(MessageKind::Normal), None);
    assert_eq!(kind(MessageKind::Chat).as_deref(), Some("chat"));
}

#[test]
fn a_gruu_in_the_request_uri_reaches_that_resource() {
    let octets = String::from_utf8(from_bob("", b"hi")).unwrap();
    let octets = octets.replace("MESSAGE sip:ann@x.example", "MESSAGE sip:ann@x.example;gr=desk");

    let message = crossed(message_to_xmpp(&request(octets), &ToXmppOptions::default()).unwrap());

    assert_eq!(message.to.as_str(), "ann@x.example/desk");
    assert_eq!(message.stanza.attr("to"), Some("ann@x.example/desk"));
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let options = ToXmppOptions { body_max: 3, ..ToXmppOptions::default() };

    assert!(message_to_xmpp(&request(from_bob("", b"abc")), &options).is_ok());
    assert_eq!(message_to_xmpp(&request(from_bob("", b"abcd")), &options).unwrap_err().status, 413);
}

#[test]
fn an_empty_text_is_no_message_at_all() {
    for (headers, body) in [
        ("", b"".as_slice()),
        ("Content-Type: text/plain\r\n", b""),
        ("Content-Type: text/plain\r\n", b"\0\x08"),
        ("Content-Type: text/html\r\n", b"<p> </p>"),
        ("Content-Type: text/plain\r\n", b"\xEF\xBB\xBF"),
    ] {
        let outcome = message_to_xmpp(&request(from_bob(headers, body)), &ToXmppOptions::default());

        assert_eq!(outcome.unwrap().value, ToXmpp::Empty, "{headers} {body:?}");
    }
}

#[test]
fn a_body_that_cannot_be_taken_apart_is_refused() {
    const ALTERNATIVE: &str = "multipart/alternative;boundary=b";
    let encoded = |encoding: &str| {
        format!("--b\r\nContent-Transfer-Encoding: {encoding}\r\n\r\naGk=\r\n--b--").into_bytes()
    };
    for (kind, body, outcome) in [
        (ALTERNATIVE, encoded("base64"), Ok("hi")),
        (ALTERNATIVE, b"--b\r\nContent-Type: text\r\n\r\nx\r\n--b\r\n\r\nhi\r\n--b--".to_vec(), Ok("hi")),
        (ALTERNATIVE, encoded("uuencode"), Err(415)),
        (ALTERNATIVE, b"--b\r\nContent-Type: image/gif\r\n\r\nGIF89a\r\n--b--".to_vec(), Err(415)),
        (ALTERNATIVE, b"hi".to_vec(), Err(400)),
        (ALTERNATIVE, b"--b\r\n\r\nhi\r\n".repeat(33), Err(400)),
        ("multipart/alternative", encoded("base64"), Err(400)),
        ("message/cpim", b"From: <sip:bob@s.example>\r\n".to_vec(), Err(400)),
    ] {
        let request = request(from_bob(&format!("Content-Type: {kind}\r\n"), &body));

        let translated = message_to_xmpp(&request, &ToXmppOptions::default());

        let text = translated.map(|translated| {
            crossed(translated).stanza.child("body", ns::SERVER).unwrap().text().into_owned()
        });
        let text = text.map_err(|refusal| refusal.status);
        assert_eq!(text.as_deref(), outcome.as_ref().copied(), "{kind} {}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn what_an_envelope_asks_to_be_told_is_remembered() {
    let body = b"From: <sip:bob@s.example>\r\nTo: <sip:ann@x.example>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
        imdn.Message-ID: m-1\r\nDateTime: 2026-04-04T12:16:49Z\r\n\
        imdn.Disposition-Notification: negative-delivery, display\r\n\r\nContent-Type: text/plain\r\n\r\nhi";
    let octets = from_bob("Content-Type: message/cpim\r\n", body);

    let translated = message_to_xmpp(&request(octets), &ToXmppOptions::default()).unwrap();

    let message = crossed(translated);
    assert_eq!(message.stanza.child("body", ns::SERVER).unwrap().text(), "hi");
    let asked = message.notification.unwrap();
    assert_eq!((asked.message_id.as_str(), asked.date_time.as_str()), ("m-1", "2026-04-04T12:16:49Z"));
    assert!(asked.negative && !asked.positive && asked.display);
}

#[test]
fn a_text_goes_to_sip_and_comes_back_as_it_was() {
    let text = "Is 10:30 fine? – Ann\n<&>]]>\t\"'\\ 😀";
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let there = crosses_to_sip(&ANN_TO_BOB.replace("Hi", &escaped)).into_request();
    let octets = String::from_utf8(printed(&there)).unwrap();
    let octets = octets.replacen("\r\n", "\r\nVia: SIP/2.0/TCP x;branch=z9hG4bK1\r\n", 1);

    let back = crossed(message_to_xmpp(&request(octets), &ToXmppOptions::default()).unwrap());

    assert_eq!(back.stanza.child("body", ns::SERVER).unwrap().text(), text);
    assert_eq!(back.stanza.attr("from"), Some("ann@x.example/desk"));
}
