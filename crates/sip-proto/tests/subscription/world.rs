//! Messages of a peer, and settings.

use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Moment, Now};
use net_types::Bytes;
use sip_proto::subscription::{Content, Settings};
use sip_types::header::{ContentType, Event, NameAddr};
use sip_types::{HeaderText, Limits, Message, Request, Response, parse_datagram};

pub fn settings() -> Arc<Settings> {
    let event = Event::parse("presence").unwrap();
    Arc::new(Settings::new(event, HeaderText::from_static("application/pidf+xml")))
}

pub fn at(seconds: u64) -> Now {
    let since = Duration::from_secs(seconds);
    Now { moment: Moment::ZERO + since, date: Date::default().plus(since) }
}

pub fn address(text: &'static str) -> NameAddr {
    NameAddr::parse(text).unwrap()
}

pub fn document(text: &'static str) -> Content {
    let content_type = ContentType::parse("application/pidf+xml").unwrap();
    Content { content_type, body: Bytes::from_static(text.as_bytes()) }
}

/// Reads a request written line by line; Via, Max-Forwards and the body's length are added.
pub fn request(lines: &str, body: &str) -> Request {
    let (first, rest) = lines.trim().split_once('\n').unwrap();
    let rest: String = rest.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    let text = format!(
        "{} SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n{rest}Content-Length: {}\r\n\r\n{body}",
        first.trim(),
        body.len()
    );
    match parse_datagram(&Bytes::from(text.into_bytes()), &Limits::default()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

/// Returns the answer of a peer whose tag is `bob`.
pub fn answer(request: &Request, status: u16, more: &str, body: &str) -> Response {
    let to = match request.to().tag() {
        Some(_) => request.to().to_string(),
        None => format!("{};tag=bob", request.to()),
    };
    let more: String = more.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    let text = format!(
        "SIP/2.0 {status} Reason\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\n\
         CSeq: {} {}\r\nContact: <sip:bob@pc.s.example;gruu>\r\n{more}Content-Length: {}\r\n\r\n{body}",
        request.from(),
        request.call_id(),
        request.cseq().number,
        request.cseq().method,
        body.len()
    );
    match parse_datagram(&Bytes::from(text.into_bytes()), &Limits::default()).unwrap() {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}
