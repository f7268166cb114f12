//! What crosses: whatever came in, what goes out is one message that the other side reads, from whom it came.

use bytes::Bytes;
use sip_types::{Limits as SipLimits, Message, Uri, parse_datagram};
use translate::address::{Profile, jid_to_sip, sip_to_jid};
use translate::message::{ToSip, ToSipOptions, ToXmpp, ToXmppOptions, message_to_sip, message_to_xmpp};
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::xml::{Element, Event, Limits, Parser, Printer};

const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

/// Returns the stanzas of a stream that begins with these octets.
pub(super) fn stanzas(octets: &[u8]) -> Vec<Element> {
    let mut parser = Parser::new(Limits { stanza_bytes: usize::MAX, ..Limits::AUTHENTICATED });
    parser.feed(HEADER);
    parser.feed(octets);
    let events = std::iter::from_fn(|| parser.next_event().ok().flatten());
    events.filter_map(|event| if let Event::Stanza(element) = event { Some(element) } else { None }).collect()
}

/// A stanza becomes one request from the same domain, or nothing, or an error.
pub fn to_sip(input: &[u8]) {
    for stanza in stanzas(input).into_iter().filter(|stanza| stanza.is("message", ns::SERVER)) {
        let ToSip::Message(message) = message_to_sip(&stanza, "key", &ToSipOptions::default()).value else {
            continue;
        };
        let from = message.from_jid.clone();
        let request = message.into_request();
        let mut octets = Vec::new();
        request.print(&mut octets);
        let limits = SipLimits { header_bytes: usize::MAX, ..SipLimits::default() };
        // The transport puts the Via in; here it is put in as text.
        let at = octets.windows(2).position(|w| w == b"\r\n").expect("a request has a start line") + 2;
        octets.splice(at..at, b"Via: SIP/2.0/TCP a.example;branch=z9hG4bK1\r\n".iter().copied());
        let length = octets.len();
        let read = parse_datagram(&Bytes::from(octets.clone()), &limits);
        let Ok(Message::Request(read)) = read else { panic!("{read:?}: {}", octets.escape_ascii()) };
        assert_eq!(read.body(), request.body(), "the body");
        assert!(length < 64 * 1024 + request.body().len(), "{length} octets of header");
        let host = read.from().uri.as_sip().map(|uri| uri.host().to_string());
        assert_eq!(host.as_deref(), Some(from.domain().to_ascii()), "the domain that it is from");
    }
}

/// A request becomes one stanza from the same domain, or nothing, or a refusal; the same again when it comes again.
pub fn to_xmpp(input: &[u8]) {
    let Ok(Message::Request(request)) = parse_datagram(&Bytes::copy_from_slice(input), &SipLimits::default())
    else {
        return;
    };
    let translated = message_to_xmpp(&request, &ToXmppOptions::default());
    if let Err(refusal) = &translated {
        let response = refusal.response(&request);
        let mut octets = Vec::new();
        response.print(&mut octets);
        assert!(octets.starts_with(b"SIP/2.0 "), "{}", octets.escape_ascii());
    }
    let Ok(translated) = translated else { return };
    let ToXmpp::Message(message) = translated.value else { return };
    let mut octets = Vec::new();
    Printer::new(ns::SERVER).print(&message.stanza, &mut octets);
    assert_eq!(
        stanzas(&octets),
        std::slice::from_ref(&message.stanza),
        "printed as {}",
        String::from_utf8_lossy(&octets)
    );
    assert_eq!(
        message.stanza.attr("from").and_then(|from| Jid::parse(from).ok()).as_ref(),
        Some(&message.from),
        "from"
    );
    let again = message_to_xmpp(&request, &ToXmppOptions::default());
    let Ok(ToXmpp::Message(again)) = again.map(|translated| translated.value) else {
        panic!("it crossed once")
    };
    assert_eq!(again.id, message.id, "the id when it comes again");
}

/// An address crosses and comes back as itself.
pub fn address(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(jid) = Jid::parse(text)
        && let Ok(uri) = jid_to_sip(&jid, Profile::Standard)
    {
        let read = Uri::parse(uri.as_str()).unwrap_or_else(|error| panic!("{error:?}: {}", uri.as_str()));
        assert_eq!(sip_to_jid(&read).as_ref(), Ok(&jid), "{} and back", uri.as_str());
    }
    if let Ok(uri) = Uri::parse(text)
        && let Ok(jid) = sip_to_jid(&uri)
    {
        let back = jid_to_sip(&jid, Profile::Standard);
        let back = back.unwrap_or_else(|why| panic!("{jid} came from {text} and cannot go back: {why}"));
        assert_eq!(sip_to_jid(&Uri::Sip(back)).as_ref(), Ok(&jid), "{jid} there and back");
    }
}
