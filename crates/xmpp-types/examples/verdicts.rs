//! Says of every document on its standard input whether it is one, and what is in it: for `conformance/`, where another parser says
//! the same.
//!
//! A document comes as `D` (alone) or `S` (a stream that need not have ended), the count of its octets, a line feed, and the octets.
//! The answer is a count, a line feed, and that many octets: `-` with the reason, or `+` and, for `D`, the events. An event is `<`
//! namespace and name, `@` namespace, name and value, `=` text or `>`; U+001E ends it and U+001F stands between its parts, for XML can
//! hold neither.

use std::io::{self, Read, Write};

use xmpp_types::xml::{Element, Event, Limits, Node, Parser, parse_document};

fn main() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let mut output = Vec::new();
    let mut rest = &input[..];
    while let Some((kind, octets)) = next(&mut rest)? {
        let verdict = match kind {
            b'D' => document(octets),
            _ => stream(octets),
        };
        writeln!(output, "{}", verdict.len())?;
        output.extend_from_slice(verdict.as_bytes());
    }
    io::stdout().write_all(&output)
}

fn next<'a>(rest: &mut &'a [u8]) -> io::Result<Option<(u8, &'a [u8])>> {
    let malformed =
        || io::Error::new(io::ErrorKind::InvalidData, "a kind and a count of octets are expected");
    let Some((kind, counted)) = rest.split_first() else { return Ok(None) };
    let end = counted.iter().position(|octet| *octet == b'\n').ok_or_else(malformed)?;
    let count = std::str::from_utf8(&counted[..end]).ok().and_then(|count| count.parse().ok());
    let (octets, after) =
        counted[end + 1..].split_at_checked(count.ok_or_else(malformed)?).ok_or_else(malformed)?;
    *rest = after;
    Ok(Some((*kind, octets)))
}

fn document(octets: &[u8]) -> String {
    match parse_document(octets, &Limits::DOCUMENT) {
        Ok(root) => {
            let mut events = "+".to_owned();
            tell(&root, &mut events);
            events
        }
        Err(error) => format!("-{error}"),
    }
}

fn tell(element: &Element, events: &mut String) {
    let mut event = |parts: &[&str]| {
        events.push_str(&parts.join("\u{1f}"));
        events.push('\u{1e}');
    };
    event(&["<", element.namespace(), element.name()]);
    let mut attributes: Vec<_> = element.attributes().iter().collect();
    attributes.sort_by_key(|attribute| (attribute.namespace(), attribute.name()));
    for attribute in attributes {
        event(&["@", attribute.namespace(), attribute.name(), attribute.value()]);
    }
    for child in element.children() {
        match child {
            Node::Element(child) => tell(child, events),
            Node::Text(text) => events.push_str(&format!("=\u{1f}{}\u{1e}", text.as_str())),
        }
    }
    events.push_str(">\u{1e}");
}

fn stream(octets: &[u8]) -> String {
    let mut parser = Parser::new(Limits::AUTHENTICATED);
    parser.feed(octets);
    loop {
        match parser.next_event() {
            Ok(Some(Event::Closed) | None) => return "+".to_owned(),
            Ok(Some(_)) => {}
            Err(error) => return format!("-{error}"),
        }
    }
}
