//! Translation seen from outside: pairs of files, tables, and properties that hold whatever comes in.

#![expect(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod addresses;
mod documents;
mod errors;
mod hostile;
mod iq;
mod messages;
mod pairs;
mod reports;
mod sessions;

use bytes::Bytes;
use sip_types::{Message, Request, parse_datagram};
use translate::{MessageToSip, MessageToXmpp, ToSip, ToSipOptions, ToXmpp, Translated, message_to_sip};
use xmpp_types::ns;
use xmpp_types::xml::{Element, Limits, parse_document};

/// Reads a stanza written without its namespace.
#[track_caller]
fn stanza(text: &str) -> Element {
    let (start, rest) = text.trim().split_once([' ', '>']).unwrap();
    let close = if text.trim()[start.len()..].starts_with('>') { ">" } else { " " };
    let text = format!("{start} xmlns='{}'{close}{rest}", ns::SERVER);
    parse_document(text.as_bytes(), &Limits::default()).unwrap()
}

#[track_caller]
fn request(octets: impl Into<Vec<u8>>) -> Request {
    match parse_datagram(&Bytes::from(octets.into()), &sip_types::Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

fn printed(request: &Request) -> Vec<u8> {
    let mut octets = Vec::new();
    request.print(&mut octets);
    octets
}

#[track_caller]
fn crosses_to_sip(text: &str) -> MessageToSip {
    match message_to_sip(&stanza(text), "key", &ToSipOptions::default()).value {
        ToSip::Message(message) => *message,
        other => panic!("no message: {other:?}"),
    }
}

#[track_caller]
fn crossed(translated: Translated<ToXmpp>) -> MessageToXmpp {
    match translated.value {
        ToXmpp::Message(message) => *message,
        ToXmpp::Empty | ToXmpp::Signal(_) => panic!("nothing to say"),
    }
}

/// A MESSAGE from bob to ann with these further header lines and this body.
fn from_bob(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut octets = format!(
        "MESSAGE sip:ann@x.example SIP/2.0\r\nVia: SIP/2.0/TCP s.example;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@s.example>;tag=t1\r\nTo: <sip:ann@x.example>\r\nCall-ID: c1@s.example\r\n\
         CSeq: 1 MESSAGE\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    octets.extend_from_slice(body);
    octets
}
