//! Octets that an XMPP peer may send.

use xmpp_types::jid::{Jid, escape_localpart, unescape_localpart};
use xmpp_types::ns;
use xmpp_types::stream::StreamCondition;
use xmpp_types::xml::{Element, Event, Limits, Parser, Printer, parse_document};

/// What a parser makes of a stream, to the end or to the first mistake; white space apart, and the words of the mistake: what the peer is
/// told is the condition.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Option<StreamCondition>) {
    let mut parser = Parser::new(Limits::AUTHENTICATED);
    let mut events = Vec::new();
    for piece in pieces {
        parser.feed(piece);
        loop {
            match parser.next_event() {
                Ok(Some(Event::Whitespace)) => {}
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error.condition)),
            }
        }
    }
    (events, None)
}

/// A stream is read the same in every split, and what is read prints and reads the same again.
pub fn xml(input: &[u8]) {
    let whole = read(std::iter::once(input));
    // One octet at a time; long inputs in pieces, so that a run stays short.
    let piece = input.len() / 4096 + 1;
    assert_eq!(whole, read(input.chunks(piece)), "in pieces of {piece}");
    let half = input.len() / 2;
    assert_eq!(whole, read([&input[..half], &input[half..]].into_iter()), "in two halves");
    for event in whole.0 {
        if let Event::Stanza(element) = event {
            reads_again(&element);
        }
    }
}

/// Prints an element as a stanza and reads it back.
fn reads_again(element: &Element) {
    let mut octets = b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>".to_vec();
    Printer::new(ns::SERVER).print(element, &mut octets);
    // Printing may be longer than what was read: prefixes become declarations. The limit is not what is tested.
    let mut parser = Parser::new(Limits { stanza_bytes: usize::MAX, ..Limits::AUTHENTICATED });
    parser.feed(&octets);
    let opened = parser.next_event();
    assert!(matches!(opened, Ok(Some(Event::StreamOpened(_)))), "{opened:?}");
    let again = parser.next_event();
    assert_eq!(
        again,
        Ok(Some(Event::Stanza(element.clone()))),
        "printed as {}",
        String::from_utf8_lossy(&octets)
    );
    assert_eq!(parser.unread(), 0, "one stanza must print as one stanza");
}

/// A document is refused or prints and reads the same again.
pub fn document(input: &[u8]) {
    let Ok(element) = parse_document(input, &Limits::AUTHENTICATED) else { return };
    let mut octets = Vec::new();
    Printer::document().print(&element, &mut octets);
    let limits = Limits { stanza_bytes: usize::MAX, ..Limits::AUTHENTICATED };
    assert_eq!(
        parse_document(&octets, &limits),
        Ok(element),
        "printed as {}",
        String::from_utf8_lossy(&octets)
    );
}

/// An address is refused or is the same again when it is read from what it shows; an escaped localpart comes back.
pub fn jid(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(jid) = Jid::parse(text) {
        assert_eq!(Jid::parse(jid.as_str()).as_ref(), Ok(&jid), "read from what it shows");
        let parts = Jid::from_parts(jid.local(), jid.domain().as_str(), jid.resource());
        assert_eq!(parts.as_ref(), Ok(&jid), "made of its parts");
        let ascii = Jid::from_parts(jid.local(), jid.domain().to_ascii(), jid.resource());
        assert_eq!(ascii.as_ref(), Ok(&jid), "made of its A-label");
    }
    assert_eq!(unescape_localpart(&escape_localpart(text)), text, "escaped and unescaped");
}
