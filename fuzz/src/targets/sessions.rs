//! What sessions of texts are made of: descriptions, bodies, MSRP.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use sip_types::header::ContentType;
use sip_types::mime::{Cpim, MimeLimits, leaves};
use sip_types::msrp::{Frame, Limits, Message, StreamFramer};
use sip_types::sdp::{Carrier, Description};
use translate::session::{Heard, hear_body};
use xmpp_types::jid::Jid;
use xmpp_types::xml::is_char;

/// A description is refused, or prints and reads the same again, and its answer has a line for each of its media.
pub fn sdp(input: &[u8]) {
    let Ok(description) = Description::parse(&Bytes::copy_from_slice(input)) else { return };
    let printed = description.to_string();
    let again = Description::parse(&Bytes::from(printed.clone())).expect("what we print we read");
    assert_eq!(again.to_string(), printed, "printed again");
    assert_eq!(again.media.len(), description.media.len(), "the media");
    for (one, other) in description.media.iter().zip(&again.media) {
        assert_eq!(one.carrier(), other.carrier(), "how it is carried");
        assert_eq!(one.carries("text/plain"), other.carries("text/plain"), "what it takes");
        assert_eq!(one.setup(&description), other.setup(&again), "who dials");
        assert_eq!(one.fingerprint(&description), other.fingerprint(&again), "whom it proves");
    }
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let answer =
        description.answer(&here, 1, 1, |media| (media.carrier() != Carrier::Other).then(|| media.clone()));
    if let Some(answer) = answer {
        assert_eq!(answer.media.len(), description.media.len(), "a line for each medium");
    }
}

/// A body says one thing that XML can carry, or is refused; its first line is its type.
pub fn body(input: &[u8]) {
    let at = input.iter().position(|octet| *octet == b'\n').unwrap_or(input.len());
    let kind = String::from_utf8_lossy(&input[..at]).trim().to_owned();
    let body = Bytes::copy_from_slice(input.get(at + 1..).unwrap_or_default());
    if let Some(kind) = ContentType::parse(kind.as_str()).filter(ContentType::is_multipart)
        && let Ok(parts) = leaves(&kind, &body, &MimeLimits::default())
    {
        assert!(parts.len() <= MimeLimits::default().parts, "{} parts", parts.len());
        assert!(parts.iter().map(|part| part.body.len()).sum::<usize>() <= body.len(), "more than the whole");
    }
    if let Ok(envelope) = Cpim::parse(&body) {
        assert!(envelope.content.body.len() <= body.len(), "more than the whole");
    }
    let bob = Jid::parse("bob@s.example").expect("it is an address");
    let Ok(heard) = hear_body(Some(&kind), &body, &bob, "id", usize::MAX) else { return };
    match heard.value {
        Heard::Text(text) => {
            assert!(!text.text.is_empty(), "a text says something");
            assert!(text.text.chars().all(is_char), "XML can carry it");
            assert!(
                text.subject.is_none_or(|subject| subject.chars().all(is_char)),
                "XML can carry its subject"
            );
        }
        Heard::Typing(typing) => {
            assert!(typing.holds_for().is_none_or(|holds| holds.as_secs() <= 600), "nobody types for ever");
        }
        Heard::Disposition(disposition) => {
            assert!(!disposition.message_id.is_empty(), "it is about something")
        }
        Heard::Ignored(_) => {}
    }
}

/// A stream is cut the same in every split, and a message prints and reads the same again.
pub fn msrp(input: &[u8]) {
    let limits = Limits { header_bytes: 2048, body_bytes: 256 };
    let whole = frames(input, input.len().max(1), limits);
    for piece in [1, 2, 3, 7, 16, 61] {
        assert_eq!(described(&frames(input, piece, limits)), described(&whole), "in pieces of {piece}");
    }
    for frame in whole {
        if let Frame::Message(message) = frame {
            reads_again(&message);
        }
    }
}

fn reads_again(message: &Message) {
    let mut octets = Vec::new();
    message.print(&mut octets);
    match &frames(&octets, octets.len(), Limits::default())[..] {
        // Content without a type is printed as the text that it is taken for.
        [Frame::Message(again)] if message.body.is_some() && message.content_type.is_none() => {
            assert_eq!(again.body, message.body);
        }
        [Frame::Message(again)] if message.body.is_some() => assert_eq!(again, message),
        [Frame::Message(again)] => assert_eq!(again.to_path, message.to_path),
        other => panic!("{other:?}: {}", octets.escape_ascii()),
    }
}

fn frames(input: &[u8], piece: usize, limits: Limits) -> Vec<Frame> {
    let mut framer = StreamFramer::new(limits);
    let mut frames = Vec::new();
    for piece in input.chunks(piece) {
        framer.push(piece);
        while let Some(frame) = framer.poll_frame() {
            frames.push(frame);
        }
    }
    frames
}

fn described(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(|frame| format!("{frame:?}")).collect()
}
