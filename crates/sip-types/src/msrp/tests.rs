use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::uri::Host;

const BODILESS: &str = "MSRP a786hjs2 SEND\r\nTo-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp\r\n\
    From-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp\r\nMessage-ID: 87652491\r\n-------a786hjs2$\r\n";

const CHUNK: &str = "MSRP dkei38sd SEND\r\nTo-Path: msrp://a.example:7777/iau39;tcp msrp://b.example:8888/9di4ea;tcp\r\n\
    From-Path: msrp://c.example:9999/slkd;tcp\r\nMessage-ID: 4564dpWd\r\nSuccess-Report: yes\r\nFailure-Report: no\r\n\
    Byte-Range: 1-*/8\r\nX-Extension: v\r\nContent-Type: text/plain\r\n\r\nab\r\n-------dkei38sdcd\r\n-------dkei38sd+\r\n";

const RESPONSE: &str = "MSRP a786hjs2 200 OK\r\nTo-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp\r\n\
    From-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp\r\n-------a786hjs2$\r\n";

const REPORT: &str = "MSRP dkei38sf REPORT\r\nTo-Path: msrp://a.example:7777/iau39;tcp\r\nFrom-Path: msrp://b.example:8888/9;tcp\r\n\
    Message-ID: 12339sdqwer\r\nByte-Range: 1-106/106\r\nStatus: 000 200 OK\r\n-------dkei38sf$\r\n";

fn frames(octets: &[u8], piece: usize, limits: Limits) -> Vec<String> {
    let mut framer = StreamFramer::new(limits);
    let mut frames = Vec::new();
    for piece in octets.chunks(piece) {
        framer.push(piece);
        while let Some(frame) = framer.poll_frame() {
            frames.push(format!("{frame:?}"));
        }
    }
    frames.push(format!("unfinished: {}", framer.is_unfinished()));
    frames
}

#[track_caller]
fn one(text: &str) -> Message {
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(text.as_bytes());
    match framer.poll_frame() {
        Some(Frame::Message(message)) if !framer.is_unfinished() => message,
        other => panic!("{other:?} of {text}"),
    }
}

fn printed(message: &Message) -> String {
    let mut out = Vec::new();
    message.print(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_examples_of_the_rfc_read_and_print() {
    for text in [BODILESS, RESPONSE, REPORT] {
        assert_eq!(printed(&one(text)), text);
    }
    let chunk = one(CHUNK);
    assert_eq!(chunk.to_path.hops(), 2);
    assert_eq!(chunk.to_path.last().session(), "9di4ea");
    assert_eq!(chunk.byte_range, Some(ByteRange { start: 1, end: None, total: Some(8) }));
    assert_eq!(chunk.success_report, SuccessReport::Yes);
    assert_eq!(chunk.failure_report, FailureReport::No);
    // A line that only begins as the end-line does is content.
    assert_eq!(chunk.body.as_deref(), Some(&b"ab\r\n-------dkei38sdcd"[..]));
    assert_eq!(chunk.continuation, Continuation::More);
    assert!(chunk.collides());
    assert_eq!(printed(&chunk), CHUNK.replace("X-Extension: v\r\n", ""));
    assert_eq!(one(RESPONSE).kind, Kind::Response { code: 200, comment: HeaderText::from_static("OK") });
    assert_eq!(one(REPORT).status.unwrap().code, 200);
}

#[test]
fn a_body_that_is_empty_is_not_a_body_that_is_missing() {
    let head = BODILESS.replace("-------a786hjs2$\r\n", "Content-Type: text/plain\r\n\r\n");

    assert_eq!(one(BODILESS).body, None);
    assert_eq!(one(&format!("{head}\r\n-------a786hjs2$\r\n")).body.as_deref(), Some(&b""[..]));
    // Without the line end that belongs to the end-line.
    assert_eq!(one(&format!("{head}-------a786hjs2$\r\n")).body.as_deref(), Some(&b""[..]));
    assert_eq!(one(&format!("{head}\r\n\r\n-------a786hjs2#\r\n")).body.as_deref(), Some(&b"\r\n"[..]));
}

#[test]
fn a_stream_is_cut_the_same_in_every_split() {
    let bad = CHUNK.replace("To-Path: msrp:", "To-Path: http:");
    let large = CHUNK.replace("\r\n\r\nab", &format!("\r\n\r\n{}", "x".repeat(100)));
    let stream =
        [BODILESS, "\r\n", &large, RESPONSE, &bad, CHUNK, REPORT, "\r\n\r\n", &BODILESS[..40]].concat();
    let limits = Limits { body_bytes: 50, ..Limits::default() };
    let whole = frames(stream.as_bytes(), usize::MAX, limits);

    assert_eq!(whole.len(), 8, "{whole:#?}");
    assert!(whole[1].starts_with("TooLarge") && whole[2].starts_with("Skipped"), "{whole:#?}");
    assert!(whole[4].starts_with("Malformed"), "{whole:#?}");
    for piece in 1..stream.len() {
        assert_eq!(frames(stream.as_bytes(), piece, limits), whole, "in pieces of {piece}");
    }
}

#[test]
fn a_body_at_the_limit_is_kept_and_one_octet_more_is_skipped_wherever_it_is_cut() {
    let limits = Limits { body_bytes: 20, ..Limits::default() };
    for (length, frame) in [(19, "Message"), (20, "Message"), (21, "TooLarge"), (500, "TooLarge")] {
        let stream = CHUNK.replace("ab\r\n-------dkei38sdcd", &"-".repeat(length));
        for piece in [1, 7, 64, usize::MAX] {
            let found = frames(stream.as_bytes(), piece, limits);
            assert!(found[0].starts_with(frame), "{length} in pieces of {piece}: {found:?}");
            assert_eq!(found.last().unwrap(), "unfinished: false");
        }
    }
}

#[test]
fn what_is_skipped_is_not_held() {
    let mut framer = StreamFramer::new(Limits { body_bytes: 1000, ..Limits::default() });
    let (head, _) = CHUNK.split_at(CHUNK.find("ab\r\n").unwrap());
    framer.push(head.as_bytes());
    for _ in 0..1000 {
        framer.push(&[b'x'; 1000]);
        while framer.poll_frame().is_some() {}
    }

    let held = format!("{framer:?}").len();

    assert!(held < 20_000, "{held}");
}

#[test]
fn a_stream_that_is_no_msrp_is_lost() {
    let endless = format!("MSRP a786hjs2 SEND\r\nX: {}", "x".repeat(20_000));
    for text in [
        "GET / HTTP/1.1\r\n",
        "MSRP\r\n",
        "MSRP  SEND\r\n",
        "MSRP a b c\r\n",
        "MSRP abcd send\r\n",
        "\n",
        &endless,
    ] {
        let found = frames(text.as_bytes(), 3, Limits::default());
        assert!(found[0].starts_with("Lost"), "{text:.30}: {found:?}");
        assert_eq!(found.len(), 2);
    }
}

#[test]
fn uris_compare_as_section_6_1_has_it() {
    let uri = |text: &str| Uri::parse(text).unwrap();
    let same = |one: &str, other: &str| uri(one) == uri(other);

    assert!(same("msrp://a.example:1/s;tcp", "MSRP://A.Example:1/s;TCP"));
    assert!(same("msrp://user@a.example:1/s;tcp", "msrp://a.example:1/s;tcp;x=y"));
    assert!(same("msrp://[2001:db8::1]:1/s;tcp", "msrp://[2001:DB8:0::1]:1/s;tcp"));
    for (one, other) in [
        ("msrp://a.example:1/s;tcp", "msrps://a.example:1/s;tcp"),
        ("msrp://a.example:1/s;tcp", "msrp://a.example:1/S;tcp"),
        ("msrp://a.example:1/s;tcp", "msrp://a.example:2/s;tcp"),
        ("msrp://a.example/s;tcp", "msrp://a.example:2855/s;tcp"),
        ("msrp://a.example:1;tcp", "msrp://a.example:1/s;tcp"),
        ("msrp://a.example:1/s;tcp", "msrp://a.example:1/s;sctp"),
    ] {
        assert!(!same(one, other), "{one} {other}");
    }
    for text in [
        "",
        "msrp://",
        "msrp://a",
        "msrp://a:0/s;tcp",
        "msrp://a:1/s",
        "http://a:1/s;tcp",
        "msrp://a:1/s t;tcp",
        "msrp://a:1/<;tcp",
    ] {
        assert_eq!(Uri::parse(text), None, "{text}");
    }
    let ours = Uri::new(true, &Host::parse("[2001:db8::1]").unwrap(), 2855, &Ident::parse("a%b+c").unwrap());
    assert_eq!(ours.as_str(), "msrps://[2001:db8::1]:2855/a=b+c;tcp");
    assert_eq!(Uri::parse(ours.as_str()), Some(ours));
}

#[test]
fn a_path_has_a_bound() {
    let uri = "msrp://a.example:1/s;tcp";

    assert_eq!(Path::parse(&[uri; 8].join(" ")).unwrap().hops(), 8);
    assert_eq!(Path::parse(&[uri; 9].join(" ")), None);
    assert_eq!(Path::parse(""), None);
    assert_eq!(Path::parse(&format!("{uri}  {uri} ")).unwrap().to_string(), format!("{uri} {uri}"));
}

#[test]
fn a_response_goes_to_the_hop_before_and_a_report_the_whole_way() {
    let ours = Uri::parse("msrp://b.example:8888/9di4ea;tcp").unwrap();
    let request = one(&CHUNK.replace("From-Path: ", "From-Path: msrp://relay.example:1/r;tcp "));

    let response = request.response(413, &ours);
    let range = ByteRange { start: 1, end: Some(8), total: Some(8) };
    let report = request.report(Ident::parse("tid1").unwrap(), range, 200, &ours).unwrap();

    assert_eq!(
        printed(&response),
        "MSRP dkei38sd 413 Stop Sending\r\nTo-Path: msrp://relay.example:1/r;tcp\r\n\
         From-Path: msrp://b.example:8888/9di4ea;tcp\r\n-------dkei38sd$\r\n"
    );
    assert_eq!(
        printed(&report),
        "MSRP tid1 REPORT\r\nTo-Path: msrp://relay.example:1/r;tcp msrp://c.example:9999/slkd;tcp\r\n\
         From-Path: msrp://b.example:8888/9di4ea;tcp\r\nMessage-ID: 4564dpWd\r\nByte-Range: 1-8/8\r\n\
         Status: 000 200 OK\r\n-------tid1$\r\n"
    );
}

fn path() -> impl Strategy<Value = Path> {
    let uri = "msrps?://[a-z]{1,8}\\.example:[1-9][0-9]{0,3}/[a-zA-Z0-9.+=-]{1,12};tcp";
    prop::collection::vec(uri, 1..4).prop_map(|uris| Path::parse(&uris.join(" ")).unwrap())
}

fn message() -> impl Strategy<Value = Message> {
    let range = (1..1000_u64, prop::option::of(0..1000_u64), prop::option::of(0..1000_u64))
        .prop_map(|(start, end, total)| ByteRange { start, end, total });
    let kind = prop_oneof![
        Just(Kind::Request(Method::Send)),
        Just(Kind::Request(Method::Report)),
        (100..999_u16).prop_map(|code| Kind::Response { code, comment: HeaderText::from_static("words") }),
    ];
    let body = prop::option::of(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "(-|\r|\n|\\$|[a-d]){0,40}".prop_map(String::into_bytes),
    ]);
    let flag = prop::sample::select(vec![Continuation::Complete, Continuation::More, Continuation::Aborted]);
    ("[a-d]{4,6}", kind, path(), path(), prop::option::of(range), body, flag).prop_map(
        |(id, kind, to_path, from_path, byte_range, body, continuation)| Message {
            transaction: Ident::parse(id.as_str()).unwrap(),
            kind,
            message_id: Ident::parse(id.as_str()),
            byte_range,
            continuation,
            content_type: body.as_ref().map(|_| HeaderText::from_static("text/plain")),
            body: body.map(Bytes::from),
            ..Message::request(Ident::parse("x").unwrap(), Method::Send, to_path, from_path)
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_reads_the_same_in_every_split(messages in prop::collection::vec(message(), 1..4), piece in 1..80_usize) {
        let messages: Vec<_> = messages.into_iter().filter(|message| !message.collides()).collect();
        let mut octets = Vec::new();
        messages.iter().for_each(|message| message.print(&mut octets));

        let mut framer = StreamFramer::new(Limits::default());
        let mut read = Vec::new();
        for piece in octets.chunks(piece) {
            framer.push(piece);
            while let Some(frame) = framer.poll_frame() {
                match frame {
                    Frame::Message(message) => read.push(message),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }

        prop_assert_eq!(read, messages);
        prop_assert!(!framer.is_unfinished());
    }

    #[test]
    fn no_octets_panic_and_every_split_gives_the_same(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "MSRP abcd SEND\r\n", "MSRP abcd 200 OK\r\n", "To-Path: msrp://a:1/s;tcp\r\n", "From-Path: msrp://b:1/s;tcp\r\n",
            "Byte-Range: 1-*/*\r\n", "Content-Type: text/plain\r\n", "\r\n", "-------abcd$\r\n", "-------abcd", "-------", "+\r\n",
            "\r\n-------abcd+\r\n", "x", "\r", "\n",
        ]), 0..24),
        piece in 1..9_usize,
    ) {
        let stream = pieces.concat();
        let limits = Limits { header_bytes: 300, body_bytes: 24 };

        prop_assert_eq!(frames(stream.as_bytes(), piece, limits), frames(stream.as_bytes(), usize::MAX, limits));
    }
}
