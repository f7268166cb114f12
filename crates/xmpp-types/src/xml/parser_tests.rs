use proptest::prelude::*;

use super::*;
use crate::xml::Printer;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' from='a.example' \
    to='b.example' version='1.0' xml:lang='en'>";

/// Everything a stream says, white space left out, and how it ended if it was refused.
type Said = (Vec<Event>, Option<XmlError>);

fn said(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>, limits: Limits) -> Said {
    let mut parser = Parser::new(limits);
    let mut events = Vec::new();
    for piece in pieces {
        parser.feed(piece.as_ref());
        loop {
            match parser.next_event() {
                Ok(Some(Event::Whitespace)) => {}
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(parser.next_event(), Err(error));
                    return (events, Some(error));
                }
            }
        }
    }
    (events, None)
}

/// The same, after checking that splitting the octets makes no difference.
#[track_caller]
fn heard_within(stream: impl AsRef<[u8]>, limits: Limits) -> Said {
    let stream = stream.as_ref();
    let whole = said([stream], limits);
    assert_eq!(said(stream.chunks(1), limits), whole, "octet by octet");
    for at in 0..stream.len().min(600) {
        assert_eq!(said([&stream[..at], &stream[at..]], limits), whole, "split at {at}");
    }
    whole
}

#[track_caller]
fn heard(stream: impl AsRef<[u8]>) -> Said {
    heard_within(stream, Limits::AUTHENTICATED)
}

/// The first-level elements behind a usual header.
#[track_caller]
fn stanzas(octets: impl AsRef<[u8]>) -> Vec<Element> {
    let (events, error) = heard([HEADER.as_bytes(), octets.as_ref()].concat());
    assert_eq!(error, None);
    events
        .into_iter()
        .filter_map(|event| match event {
            Event::Stanza(element) => Some(element),
            Event::StreamOpened(_) | Event::Whitespace | Event::Closed => None,
        })
        .collect()
}

/// The condition with which octets behind a usual header are refused, before any stanza.
#[track_caller]
fn refused(octets: impl AsRef<[u8]>) -> StreamCondition {
    let (events, error) = heard([HEADER.as_bytes(), octets.as_ref()].concat());
    assert_eq!(events.len(), 1, "{events:?}");
    error.expect("the stream is refused").condition
}

#[track_caller]
fn header_refused(octets: impl AsRef<[u8]>) -> StreamCondition {
    let (events, error) = heard(octets);
    assert_eq!(events, []);
    error.expect("the header is refused").condition
}

fn header(octets: &str) -> StreamHeader {
    let (events, error) = heard(octets);
    assert_eq!(error, None);
    match events.into_iter().next() {
        Some(Event::StreamOpened(header)) => *header,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_opens_carries_stanzas_and_closes() {
    let (events, error) = heard(format!(
        "{HEADER}<message to='b@b.example'><body>hi</body></message>\n <db:result/></stream:stream>junk<"
    ));

    assert_eq!(error, None);
    let [Event::StreamOpened(header), Event::Stanza(message), Event::Stanza(result), Event::Closed] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    let expected = StreamHeader::server().with_from("a.example").with_to("b.example").with_lang("en");
    assert_eq!(**header, expected);
    assert!(message.is("message", ns::SERVER));
    assert_eq!(message.child("body", ns::SERVER).unwrap().text(), "hi");
    assert!(result.is("result", ns::DIALBACK));
}

#[test]
fn the_octets_of_each_stanza_are_counted() {
    let mut parser = Parser::new(Limits::AUTHENTICATED);
    parser.feed(HEADER.as_bytes());
    parser.feed(b"  <a/>\n<b>&lt;</b>");

    let mut lengths = Vec::new();
    while let Some(event) = parser.next_event().unwrap() {
        if matches!(event, Event::Stanza(_)) {
            lengths.push(parser.stanza_octets());
        }
    }

    assert_eq!(lengths, ["<a/>".len(), "<b>&lt;</b>".len()]);
    assert_eq!(parser.unread(), 0);
    assert!(!parser.is_inside_stanza());
    parser.feed(b"<c>");
    assert_eq!(parser.next_event(), Ok(None));
    assert!(parser.is_inside_stanza());
}

#[test]
fn a_restart_forgets_what_was_sent_too_early() {
    let mut parser = Parser::new(Limits::AUTHENTICATED);
    parser.feed(HEADER.as_bytes());
    parser.feed(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/><message/>");
    parser.next_event().unwrap();
    parser.next_event().unwrap();

    assert_eq!(parser.unread(), "<message/>".len());
    parser.reset();
    assert_eq!(parser.next_event(), Ok(None));
    parser.feed(HEADER.as_bytes());
    assert!(matches!(parser.next_event(), Ok(Some(Event::StreamOpened(_)))));
}

#[test]
fn every_content_namespace_is_held_as_one() {
    for content in [ns::CLIENT, ns::COMPONENT_ACCEPT, ns::SERVER] {
        let (events, error) = heard(format!(
            "<s:stream xmlns:s='{}' xmlns='{content}' xmlns:c='{content}'><c:iq><x xmlns='urn:x'>\
             <message xmlns='{content}'/></x></c:iq>",
            ns::STREAMS
        ));

        assert_eq!(error, None);
        let Event::Stanza(iq) = &events[1] else { panic!("{events:?}") };
        assert!(iq.is("iq", ns::SERVER));
        assert!(iq.child("x", "urn:x").unwrap().has_child("message", ns::SERVER));
    }
}

#[test]
fn another_content_namespace_is_not_taken_for_the_streams() {
    let [message] = &stanzas("<message xmlns='jabber:client'/>")[..] else { panic!() };
    assert!(message.is("message", ns::CLIENT));

    let streams = ns::STREAMS;
    let component = format!("<s:stream xmlns:s='{streams}' xmlns='jabber:component:accept'>");
    for disguised in ["<message xmlns='jabber:server'/>", "<x:iq xmlns:x='jabber:server'><a/></x:iq>"] {
        let (_, error) = heard(format!("{component}{disguised}"));
        assert_eq!(error.unwrap().condition, StreamCondition::UnsupportedStanzaType);
    }
}

#[test]
fn headers_are_read_as_they_stand() {
    assert_eq!(header(HEADER).version, StreamVersion::ONE);
    let bare = format!("<s:stream xmlns:s='{}' xmlns='jabber:server' id=''>", ns::STREAMS);
    assert_eq!(header(&bare).version, StreamVersion::Absent);
    assert_eq!(header(&bare).to, None);
    assert_eq!(header(&bare).id.as_deref(), Some(""));
    assert!(header(&format!("\r\n\t {bare}")).prefixes.is_empty());
    header(&format!("<?xml version='1.0' encoding='Utf-8' standalone='no'?>\n{bare}"));
}

#[test]
fn what_is_no_stream_is_refused_at_the_root() {
    let streams = ns::STREAMS;
    for (wrong, condition) in [
        ("<stream xmlns='jabber:server'>".to_owned(), StreamCondition::InvalidNamespace),
        ("<message/>".to_owned(), StreamCondition::InvalidNamespace),
        ("<s:stream xmlns='jabber:server'>".to_owned(), StreamCondition::NotWellFormed),
        (format!("<s:stream xmlns:s='{streams}'>"), StreamCondition::InvalidNamespace),
        (format!("<s:stream xmlns:s='{streams}' xmlns='{streams}'>"), StreamCondition::InvalidNamespace),
        (format!("<s:stream xmlns:s='{streams}' xmlns='urn:x'>"), StreamCondition::InvalidNamespace),
        (format!("<s:flood xmlns:s='{streams}' xmlns='jabber:server'>"), StreamCondition::BadFormat),
        (format!("<s:stream xmlns:s='{streams}' xmlns='jabber:server'/>"), StreamCondition::BadFormat),
        ("</stream:stream>".to_owned(), StreamCondition::NotWellFormed),
        ("GET / HTTP/1.1".to_owned(), StreamCondition::NotWellFormed),
        (format!("\u{FEFF}{HEADER}"), StreamCondition::NotWellFormed),
        (format!(" {HEADER}"), StreamCondition::NotWellFormed),
        ("<!DOCTYPE x>".to_owned(), StreamCondition::RestrictedXml),
        ("<?php ?>".to_owned(), StreamCondition::RestrictedXml),
        ("<!-- x -->".to_owned(), StreamCondition::RestrictedXml),
        ("<?xml version='1.0' encoding='UTF-16'?>".to_owned(), StreamCondition::UnsupportedEncoding),
        ("<?xml version='1.1'?>".to_owned(), StreamCondition::NotWellFormed),
        ("<?xml version='1.0'?><?xml version='1.0'?>".to_owned(), StreamCondition::NotWellFormed),
    ] {
        assert_eq!(header_refused(&wrong), condition, "{wrong}");
    }
    for wrong in
        [&b"\xFF\xFE<\0"[..], b"\xFE\xFF\0<", b"\0<\0?", b"<\0?\0", b"\0\0\0<", b"<?xml version='1.0' \xFF?>"]
    {
        assert_eq!(header_refused(wrong), StreamCondition::UnsupportedEncoding, "{wrong:?}");
    }
}

#[test]
fn xml_that_is_not_well_formed_closes_the_stream() {
    for wrong in [
        "<a></b>",
        "<a></a x>",
        "<a b=c/>",
        "<a b/>",
        "<a b='1' b='2'/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "< a/>",
        "<>",
        "</>",
        "</db:result>",
        "<a:b/>",
        "<a b:c=''/>",
        "<1a/>",
        "<a 1=''/>",
        "<a::b/>",
        "<:a/>",
        "<a:/>",
        "<a x:y:z=''/>",
        "<a>]]></a>",
        "<a>&#0;</a>",
        "<a>\u{1}</a>",
        "<a>\u{FFFF}</a>",
        "<a b='\u{FFFE}'/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xml='urn:x'/>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns='urn:x' xmlns='urn:x'/>",
        "<a xmlns:p='urn:x' xmlns:p='urn:y'/>",
        "<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='' q:b=''/>",
        "<a/ >",
        "<a / b='1'>",
        "<xmlns:a/>",
        "<a><?xml version='1.0'?></a>",
        "<?xml version='1.0'?>",
        "<!x>",
        "<![CDATA ",
        "<a>&lt</a>",
        "<a>& </a>",
    ] {
        assert_eq!(refused(wrong), StreamCondition::NotWellFormed, "{wrong}");
    }
}

#[test]
fn what_rfc_6120_forbids_closes_the_stream() {
    for wrong in [
        "<!-- -->",
        "<a><!-- --></a>",
        "<?php?>",
        "<a><?xml-x ?></a>",
        "<!DOCTYPE a>",
        "<a>&nbsp;</a>",
        "<a b='&x;'/>",
    ] {
        assert_eq!(refused(wrong), StreamCondition::RestrictedXml, "{wrong}");
    }
    for wrong in ["text", "&lt;", "<![CDATA[x]]>", "\0"] {
        assert_eq!(refused(wrong), StreamCondition::BadFormat, "{wrong}");
    }
    for wrong in ["<stream:stream>", "<stream:stream/>", "<stream xmlns='http://etherx.jabber.org/streams'>"]
    {
        assert_eq!(refused(wrong), StreamCondition::UnsupportedStanzaType, "{wrong}");
    }
}

#[test]
fn octets_that_are_not_utf_8_close_the_stream() {
    for wrong in [
        &b"<a>\xC0\xAF</a>"[..],
        b"<a>\xE0\x80\xAF</a>",
        b"<a>\xF0\x80\x80\xAF</a>",
        b"<a>\xED\xA0\x80</a>",
        b"<a>\xED\xA0\xBD\xED\xB8\x80</a>",
        b"<a>\xF4\x90\x80\x80</a>",
        b"<a>\xFF</a>",
        b"<a>\xE9y</a>",
        b"<a>\xE2\x82</a>",
        b"<a\xE9/>",
        b"<a b='\x80'/>",
        b"<a><![CDATA[\xC3]]></a>",
    ] {
        assert_eq!(refused(wrong), StreamCondition::UnsupportedEncoding, "{wrong:?}");
    }
}

#[test]
fn what_is_odd_but_legal_is_read() {
    let [a] = &stanzas(
        "<a  b = '1'\n\tc=\">'\"  ><![CDATA[<&]]>]]&gt;<é x.y-z='&#x1F600;'/>\u{7F}\u{85}\u{2028}</a\t>",
    )[..] else {
        panic!()
    };
    assert_eq!(a.attr("b"), Some("1"));
    assert_eq!(a.attr("c"), Some(">'"));
    assert_eq!(a.text(), "<&]]>\u{7F}\u{85}\u{2028}");
    assert_eq!(a.child("é", ns::SERVER).unwrap().attr("x.y-z"), Some("😀"));

    let [a] =
        &stanzas("<p:a xmlns:p='urn:x' p:b='1' b='2' xml:lang='de'><b xmlns=''><c/></b><p:d/></p:a>")[..]
    else {
        panic!()
    };
    assert!(a.is("a", "urn:x"));
    assert_eq!((a.attr_in("urn:x", "b"), a.attr("b"), a.lang()), (Some("1"), Some("2"), Some("de")));
    assert!(a.child("b", "").unwrap().has_child("c", ""));
    assert!(a.has_child("d", "urn:x"));
}

#[test]
fn bindings_end_with_the_element_that_made_them() {
    assert_eq!(stanzas("<a xmlns:p='urn:x'><p:b/></a><a xmlns:p='urn:y'/>").len(), 2);
    let (events, error) = heard(format!("{HEADER}<a><b xmlns:p='urn:x'/><p:c/></a>"));
    assert_eq!(events.len(), 1);
    assert_eq!(error.unwrap().condition, StreamCondition::NotWellFormed);
}

const SMALL: Limits =
    Limits { header_bytes: 300, stanza_bytes: 40, depth: 3, attributes: 8, namespaces: 3, elements: 4 };

#[test]
fn each_limit_has_its_edge() {
    let fits = |octets: &str| heard_within(format!("{HEADER}{octets}"), SMALL).1;
    let over = |octets: &str| {
        let error = fits(octets).expect("it is over a limit");
        assert_eq!(error.condition, StreamCondition::PolicyViolation);
        error.limit.expect("it names the limit")
    };

    assert_eq!(fits(&format!("<a>{}</a>", "x".repeat(33))), None);
    assert_eq!(over(&format!("<a>{}</a>", "x".repeat(34))), Limit::StanzaBytes);
    assert_eq!(over(&format!("<a b='{}", "x".repeat(60))), Limit::StanzaBytes);
    assert_eq!(over(&format!("<{}", "x".repeat(60))), Limit::StanzaBytes);
    assert_eq!(over(&format!("<a><![CDATA[{}", "x".repeat(60))), Limit::StanzaBytes);
    assert_eq!(fits("<a><a><a/></a></a>"), None);
    assert_eq!(over("<a><a><a><a/></a></a></a>"), Limit::Depth);
    assert_eq!(fits("<a><b/><b/><b/></a><a><b/><b/><b/></a>"), None);
    assert_eq!(over("<a><b/><b/><b/><b/></a>"), Limit::Elements);
    assert_eq!(fits("<a a='' b='' c='' d='' e='' f='' g=''/>"), None);
    assert_eq!(over("<a a='' b='' c='' d='' e=''f='' g='' h='' i=''/>"), Limit::StanzaBytes);
    assert_eq!(fits("<a xmlns:p='u'/><a xmlns:p='v'/>"), None);
    assert_eq!(over("<a xmlns:p='u' xmlns:q='u'/>"), Limit::Namespaces);
    // Nothing behind the bound is looked at.
    assert_eq!(over(&format!("<a>{}<!-- ", "x".repeat(37))), Limit::StanzaBytes);

    let wide = Limits { stanza_bytes: 1000, ..SMALL };
    let attributes: String = ('a'..='i').map(|c| format!(" {c}=''")).collect();
    let error = heard_within(format!("{HEADER}<a{attributes}/>"), wide).1.unwrap();
    assert_eq!(error.limit, Some(Limit::Attributes));
}

#[test]
fn a_header_has_a_limit_however_it_is_stretched() {
    for long in [
        format!("<?xml version='1.0'{}", " ".repeat(400)),
        format!("<?xml version='1.0'?>{}", " ".repeat(400)),
        format!("<a b='{}", "x".repeat(400)),
        " ".repeat(400),
    ] {
        let (events, error) = heard_within(long, SMALL);
        assert_eq!(events, []);
        assert_eq!(error.unwrap().limit, Some(Limit::HeaderBytes));
    }
}

#[test]
fn a_stanza_over_the_limit_is_named_in_the_stream_error() {
    let (_, error) = said([format!("{HEADER}<a>{}</a>", "x".repeat(60))], SMALL);

    let answer = error.unwrap().to_stream_error();

    assert_eq!(answer.condition, StreamCondition::PolicyViolation);
    assert!(answer.application.unwrap().is("stanza-too-big", ns::ERRORS));
}

#[test]
fn a_long_stanza_in_single_octets_takes_time_in_proportion() {
    let stanza = format!("{HEADER}<a b='{0}'>{0}<![CDATA[{0}]]></a>", "x".repeat(50_000));

    let (events, error) = said(stanza.as_bytes().chunks(1), Limits::AUTHENTICATED);

    assert_eq!(error, None);
    assert_eq!(events.len(), 2);
}

#[test]
fn a_silent_stream_gives_its_memory_back() {
    let mut parser = Parser::new(Limits::AUTHENTICATED);
    parser.feed(format!("{HEADER}<a>{}</a>", "x".repeat(200_000)).as_bytes());
    while parser.next_event().unwrap().is_some() {}

    assert!(parser.buffer.capacity() <= KEPT);
}

/// Elements as code might build them, from whatever strings.
pub(in crate::xml) fn elements() -> impl Strategy<Value = Element> {
    let namespace = prop_oneof![
        Just(ns::SERVER.to_owned()),
        Just(ns::CLIENT.to_owned()),
        Just(ns::STREAMS.to_owned()),
        Just(ns::DIALBACK.to_owned()),
        Just(ns::XML.to_owned()),
        Just(ns::XMLNS.to_owned()),
        Just(String::new()),
        "urn:[ab]",
        any::<String>(),
    ];
    let name = prop_oneof!["[a-c]", "ns[0-9]", any::<String>()];
    let attribute = (namespace.clone(), name.clone(), any::<String>());
    let head = (namespace, name, proptest::collection::vec(attribute, 0..4));
    let leaf = head.clone().prop_map(|(ns, name, attributes)| with_attributes(&ns, &name, &attributes));
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let child = prop_oneof![inner.prop_map(Ok), any::<String>().prop_map(Err)];
        (head.clone(), proptest::collection::vec(child, 0..4)).prop_map(
            |((ns, name, attributes), children)| {
                let mut element = with_attributes(&ns, &name, &attributes);
                for child in children {
                    match child {
                        Ok(child) => element.push_child(child),
                        Err(text) => element.push_text(text),
                    }
                }
                element
            },
        )
    })
}

fn with_attributes(ns: &str, name: &str, attributes: &[(String, String, String)]) -> Element {
    let element = Element::new(Namespace::new(ns), crate::xml::Name::new(name));
    attributes.iter().fold(element, |element, (ns, name, value)| {
        element.with_attr_in(Namespace::new(ns), crate::xml::Name::new(name), value)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_printed_is_read_as_what_it_was(element in elements()) {
        let stanza = Element::new(ns::SERVER, "message").with_child(element);
        let printer = Printer::new(ns::SERVER).with_prefix("db", ns::DIALBACK);
        let mut printed = HEADER.as_bytes().to_vec();
        printer.print(&stanza, &mut printed);

        let (events, error) = said([&printed], Limits::AUTHENTICATED);

        prop_assert_eq!(error, None);
        prop_assert_eq!(events.get(1), Some(&Event::Stanza(stanza.clone())));
    }

    #[test]
    fn printing_again_what_was_read_changes_nothing(element in elements(), content in 0..3_usize) {
        let content = [ns::SERVER, ns::CLIENT, ns::COMPONENT_ACCEPT][content];
        let stanza = Element::new(ns::SERVER, "message").with_child(element);
        let printer = Printer::new(content).with_prefix("db", ns::DIALBACK);
        let mut first = Vec::new();
        printer.print(&stanza, &mut first);
        let mut stream = Vec::new();
        StreamHeader::new(content).with_prefix("db", ns::DIALBACK).print(&mut stream);
        stream.extend_from_slice(&first);

        let (events, error) = said([&stream], Limits::AUTHENTICATED);

        prop_assert_eq!(error, None);
        let Some(Event::Stanza(read)) = events.get(1) else { panic!("{events:?}") };
        let mut second = Vec::new();
        printer.print(read, &mut second);
        prop_assert_eq!(String::from_utf8(first), String::from_utf8(second));
    }

    #[test]
    fn a_document_of_its_own_is_read_as_what_it_was(element in elements()) {
        let printed = element.to_string();
        prop_assert_eq!(crate::xml::parse_document(printed.as_bytes(), &Limits::DOCUMENT), Ok(element));
    }

    #[test]
    fn no_split_changes_what_is_heard(
        parts in proptest::collection::vec(fragment(), 0..12),
        cuts in proptest::collection::vec(1..9_usize, 1..8),
    ) {
        let stream = [HEADER.as_bytes(), parts.concat().as_bytes()].concat();
        for limits in [Limits::AUTHENTICATED, SMALL] {
            let whole = said([&stream], limits);
            prop_assert_eq!(&said(stream.chunks(1), limits), &whole);
            let mut rest = &stream[..];
            let pieces = cuts.iter().cycle().map_while(|cut| {
                let (piece, behind) = rest.split_at(rest.len().min(*cut));
                rest = behind;
                (!piece.is_empty()).then_some(piece)
            });
            prop_assert_eq!(&said(pieces, limits), &whole);
        }
    }

    #[test]
    fn arbitrary_octets_neither_panic_nor_hang(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        said([&octets], Limits::AUTHENTICATED);
        said([HEADER.as_bytes(), &octets], Limits::AUTHENTICATED);
        let _ = crate::xml::parse_document(&octets, &Limits::DOCUMENT);
    }
}

/// Pieces that a hostile stream may be put together from.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        "<[ab]( [cd]='[^']{0,6}')?/?>",
        "</[ab] ?>",
        "[ab <>&;'\"!?/\\]]{1,4}",
        Just("<![CDATA[".to_owned()),
        Just("]]>".to_owned()),
        Just("&#x10FFFF;".to_owned()),
        Just("<p:a xmlns:p='urn:p'>".to_owned()),
        Just("</p:a>".to_owned()),
        Just("</stream:stream>".to_owned()),
        Just("\r\n".to_owned()),
        "\\PC{0,3}",
    ]
}
