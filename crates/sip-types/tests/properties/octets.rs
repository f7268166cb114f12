//! Octets of strangers: nothing panics, and a stream means the same in whatever pieces it comes.

use bytes::Bytes;
use proptest::prelude::*;
use sip_types::header::{
    CSeq, CallId, ContentType, Event, MsDiagnostics, NameAddr, SubscriptionState, Via, Warning,
};
use sip_types::mime::{Cpim, MimeLimits, decode_text, leaves};
use sip_types::{Frame, Limits, Message, Response, StreamFramer, Token, Uri, parse_datagram};

const LIMITS: Limits = Limits { header_bytes: 1000, header_lines: 16, body_bytes: 400 };

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn no_octets_panic_a_reader(octets in stream()) {
        let octets = Bytes::from(octets);
        match parse_datagram(&octets, &LIMITS) {
            Ok(message) => look_at(&message),
            Err(malformed) => {
                let _ = malformed.to_string();
                if let Some(answer) = malformed.into_answer() {
                    prop_assert!(answer.status() >= 400);
                    let answer = printed(|out| answer.print(out));
                    prop_assert!(!answer.contains(&0));
                }
            }
        }
    }

    #[test]
    fn pieces_make_no_difference(octets in stream(), cuts in prop::collection::vec(0_usize..1500, 0..6)) {
        let whole = heard(&[&octets]);
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < octets.len()).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&octets[from..cut]);
            from = cut;
        }
        pieces.push(&octets[from..]);

        prop_assert_eq!(heard(&pieces), whole.clone());
        let single: Vec<&[u8]> = octets.chunks(1).collect();
        prop_assert_eq!(heard(&single), whole);
    }

    #[test]
    fn a_message_prints_and_reads_back_the_same(octets in stream()) {
        let Ok(message) = parse_datagram(&Bytes::from(octets), &Limits::default()) else { return Ok(()) };

        let once = Bytes::from(printed(|out| message.print(out)));
        let again = parse_datagram(&once, &Limits::default());
        prop_assert!(again.is_ok(), "{:?} {:?}", again, once);
        let again = again.map(|again| printed(|out| again.print(out))).unwrap();

        prop_assert_eq!(Bytes::from(again), once);
    }

    #[test]
    fn no_text_panics_a_value(text in "\\PC{0,40}|[ -~\t]{0,60}|(<?sip:[a-z@.:;=%?\\[\\]\"<>, ]{0,40}>?)") {
        let _ = (Via::parse(text.as_str()), NameAddr::parse(text.as_str()), Uri::parse(text.as_str()));
        let _ = (CSeq::parse(text.as_str()), CallId::parse(text.as_str()), ContentType::parse(text.as_str()));
        let _ = (Event::parse(text.as_str()), SubscriptionState::parse(text.as_str()));
        let _ = (Warning::parse(text.as_str()), MsDiagnostics::parse(text.as_str()), Token::parse(text.as_str()));
        if let Ok(value) = NameAddr::parse(text.as_str()) {
            let _ = (value.display_name(), value.tag());
            prop_assert_eq!(NameAddr::parse(value.to_string()), Ok(value));
        }
        if let Ok(value) = Via::parse(text.as_str()) {
            prop_assert_eq!(Via::parse(value.to_string()), Ok(value));
        }
    }

    #[test]
    fn no_body_panics_a_reader(body in body(), boundary in "[a-b]{0,2}") {
        let kind = ContentType::parse(format!("multipart/mixed;boundary=\"{boundary}\"")).unwrap();
        if let Ok(parts) = leaves(&kind, &Bytes::from(body.clone()), &MimeLimits::default()) {
            prop_assert!(parts.len() <= MimeLimits::default().parts);
            for part in parts {
                let _ = part.decoded();
            }
        }
        if let Ok(cpim) = Cpim::parse(&Bytes::from(body.clone())) {
            let _ = (cpim.from(), cpim.subject(), cpim.header_of("urn:ietf:params:imdn", "Message-ID"));
            let _ = (cpim.content.content_type(), cpim.content.decoded());
        }
        let _ = decode_text(Some(&boundary), &body);
    }
}

/// Streams that are nearly right: pieces of messages, in any order, with octets changed.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("MESSAGE sip:bob@x.example SIP/2.0\r\n".to_string()),
        Just("Via: SIP/2.0/TLS a.example:5061;branch=z9hG4bK1;rport\r\n".to_string()),
        Just("v: SIP / 2.0 / UDP [2001:db8::1] ; branch=z9hG4bK2 , SIP/2.0/TCP b\r\n".to_string()),
        Just("From: \"A \\\"B, ü\" <sip:a@x.example>;tag=1;epid=2\r\n".to_string()),
        Just("f: sip:a@x.example\r\n ;tag=3\r\n".to_string()),
        Just("To: <sip:b@x.example;lr?a=b>\r\n".to_string()),
        Just("Call-ID: 1@x\r\n".to_string()),
        Just("CSeq: 1 MESSAGE\r\n".to_string()),
        Just("Content-Type: text/plain\r\n".to_string()),
        Just("X-\u{e4}: \"\\\u{1}\"\r\n".to_string()),
        Just("Contact: <sip:a@b>;q=1, \"x\" <sip:c>\r\n".to_string()),
        Just("SIP/2.0 200 \u{fc}\r\n".to_string()),
        Just("\r\n".to_string()),
        (0_u32..20).prop_map(|length| format!("Content-Length: {length}\r\n")),
        "[ -~]{0,20}\r\n",
        "\\PC{0,10}",
    ];
    let good = (0_usize..12).prop_map(|length| {
        format!(
            "MESSAGE sip:b@x.example SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bKx\r\nf: <sip:a@x>;tag=1\r\n\
             t: sip:b@x.example\r\ni: 1\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nl: {length}\r\n\r\n{}",
            "b".repeat(length)
        )
    });
    let piece = prop_oneof![4 => line, 3 => good];
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (prop::collection::vec(piece, 0..14), flips).prop_map(|(pieces, flips)| {
        let mut octets = pieces.concat().into_bytes();
        for (at, octet) in flips {
            if !octets.is_empty() {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
        }
        octets
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"--a\r\n",
        b"--a--\r\n",
        b"\r\n--ab",
        b"\r\n",
        b"\n",
        b"Content-Type: text/plain;charset=\"x\"\r\n",
        b"Content-Type: multipart/mixed;boundary=a\r\n",
        b"From: MR SANDERS <im:piglet@100akerwood.com>\r\n",
        b"NS: MyFeatures <mid:MessageFeatures@id.foo.com>\r\n",
        b"\xff\x00 x",
    ];
    let piece = prop::sample::select(pieces);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

fn heard(pieces: &[&[u8]]) -> Vec<String> {
    let mut framer = StreamFramer::new(LIMITS);
    let mut told = Vec::new();
    for piece in pieces {
        framer.push(piece);
        told.extend(std::iter::from_fn(|| framer.poll_frame()).map(|frame| match frame {
            Frame::Message(message) => {
                String::from_utf8_lossy(&printed(|out| message.print(out))).into_owned()
            }
            other => format!("{other:?}"),
        }));
    }
    told.push(format!("{:?}", framer.unfinished()));
    told
}

fn look_at(message: &Message) {
    let headers = message.headers();
    let _ = (headers.check(), headers.contact(), headers.warnings(), headers.ms_diagnostics());
    if let Message::Request(request) = message {
        let tag = Token::parse("t").unwrap();
        let response = Response::to(request, 200).with_to_tag(&tag);
        let read = parse_datagram(&Bytes::from(printed(|out| response.print(out))), &Limits::default());
        assert!(read.is_ok(), "{read:?}");
    }
}

fn printed(print: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    print(&mut out);
    out
}
