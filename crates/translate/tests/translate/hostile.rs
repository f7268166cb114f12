//! Whatever comes in, one well-formed message goes out, with no header and no element more than it should have.

use proptest::prelude::*;
use sip_types::{Frame, Limits as SipLimits, Message, StreamFramer};
use translate::{ToSip, ToSipOptions, ToXmpp, ToXmppOptions, error_to_sip, message_to_sip, message_to_xmpp};
use xmpp_types::ns;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError};
use xmpp_types::xml::{Element, Limits, Printer, parse_document};

use crate::{from_bob, printed, request};

/// What attackers put where a name or a text is expected.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "\r\n", "\n", "\r", "\0", "\u{8}", "\u{7f}", "\u{85}", "\u{2028}", "\u{202e}", "\u{200b}", "\u{feff}",
            "\r\nRoute: <sip:evil>", "\r\n\r\nMESSAGE sip:x SIP/2.0\r\n", "\n Folded: x", "Via: x", ";tag=evil",
            ">;tag=x", "<sip:evil@x>", "\"", "\\", "\\\"", "%0d%0a", "%00", "&#13;&#10;", "]]>", "</body>",
            "<!--", "<![CDATA[", "' xmlns='x", "&amp;", "&lt;", "--b", "Content-Length: 0", "😀", "ü", "日本",
            ",", ";", ":", "@", "/", "?", "=", " ", "\t",
        ]).prop_map(str::to_owned),
        2 => "[a-z]{1,8}",
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn message(parts: &[String; 8]) -> Element {
    let [body, subject, thread, nick, id, language, resource, kind] = parts;
    let leaf = |name: &'static str, text: &str| Element::new(ns::SERVER, name).with_text(text);
    Element::new(ns::SERVER, "message")
        .with_attr("from", format!("ann@x.example/d{resource}"))
        .with_attr("to", "bob@s.example")
        .with_attr("id", id.as_str())
        .with_attr("type", kind.as_str())
        .with_lang(language.as_str())
        .with_child(leaf("body", &format!("x{body}")))
        .with_child(leaf("subject", subject))
        .with_child(leaf("thread", thread))
        .with_child(Element::new(ns::NICK, "nick").with_text(nick.as_str()))
}

/// Frames what was printed: exactly one request, and nothing behind it.
#[track_caller]
fn one_request(octets: &[u8]) -> sip_types::Request {
    let mut framer = StreamFramer::new(SipLimits::default());
    framer.push(octets);
    let frame = framer.poll_frame();
    assert!(framer.poll_frame().is_none(), "{}", String::from_utf8_lossy(octets));
    match frame {
        Some(Frame::Message(message)) => match message {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a response"),
        },
        other => panic!("{other:?} in {}", String::from_utf8_lossy(octets)),
    }
}

proptest! {
    #[test]
    fn a_stanza_never_becomes_more_than_one_request(
        parts in prop::array::uniform8(hostile()),
    ) {
        let outcome = message_to_sip(&message(&parts), &parts[4], &ToSipOptions::default());
        let ToSip::Message(message) = outcome.value else { return Ok(()) };
        let body = message.body.clone();
        let lines = 7 // Via, Max-Forwards, From, To, Call-ID, CSeq, Content-Type
            + usize::from(message.subject.is_some())
            + usize::from(message.content_language.is_some());
        let mut octets = printed(&message.into_request());
        let end = octets.iter().position(|octet| *octet == b'\n').unwrap();
        octets.splice(end + 1..end + 1, *b"Via: SIP/2.0/TCP x.example;branch=z9hG4bK1\r\n");

        let read = one_request(&octets);

        prop_assert_eq!(read.headers().iter().filter(|line| line.written != "Content-Length").count(), lines);
        prop_assert_eq!(read.body(), &body);
        prop_assert_eq!(read.uri().as_str(), "sip:bob@s.example");
        let head = &octets[..octets.len() - body.len()];
        let controls = head.iter().filter(|octet| octet.is_ascii_control() && !matches!(octet, b'\r' | b'\n')).count();
        prop_assert_eq!(controls, 0);
        prop_assert_eq!(head.iter().filter(|octet| **octet == b'\n').count(), head.windows(2).filter(|two| two == b"\r\n").count());
    }

    #[test]
    fn a_request_never_becomes_more_than_one_stanza(
        body in prop::collection::vec(any::<u8>(), 0..80),
        text in hostile(),
        subject in hostile(),
        charset in prop::sample::select(vec!["utf-8", "iso-8859-1", "utf-16", "windows-1252", "us-ascii"]),
        kind in prop::sample::select(vec!["text/plain", "text/html", "message/cpim", "multipart/mixed;boundary=b"]),
    ) {
        let line: String = subject.chars().filter(|c| !c.is_control()).collect();
        let octets = [text.as_bytes(), &body].concat();
        let headers = format!("Subject: {line}\r\nContent-Type: {kind};charset={charset}\r\n");
        let request = request(from_bob(&headers, &octets));

        match message_to_xmpp(&request, &ToXmppOptions::default()) {
            Ok(translated) => {
                let ToXmpp::Message(message) = translated.value else { return Ok(()) };
                let mut xml = Vec::new();
                Printer::document().print(&message.stanza, &mut xml);
                let read = parse_document(&xml, &Limits::default()).unwrap();
                prop_assert_eq!(&read, &message.stanza);
                prop_assert!(!read.child("body", ns::SERVER).unwrap().text().is_empty());
                prop_assert!(read.elements().all(|child| child.elements().next().is_none()));
            }
            Err(refusal) => {
                prop_assert!((400..500).contains(&refusal.status));
                prop_assert!(!refusal.reason.as_str().contains(['\r', '\n', '\0']));
            }
        }
    }

    #[test]
    fn the_words_of_an_error_never_become_a_header(text in hostile(), language in hostile(), address in hostile()) {
        let mut error = StanzaError::new(StanzaCondition::Gone).with_text(text).with_address(address);
        error.lang = Some(language.into());
        let request = request(from_bob("", b"hi"));

        let refusal = error_to_sip(&error, None).value;
        let mut octets = Vec::new();
        refusal.response(&request).print(&mut octets);

        let head = String::from_utf8(octets).unwrap();
        let lines = 7 // status, Via, From, To, Call-ID, CSeq, Content-Length
            + usize::from(refusal.language.is_some())
            + usize::from(refusal.contact.is_some());
        prop_assert_eq!(head.trim_end().lines().count(), lines, "{}", head);
    }
}
