//! SIP messages as they stand on the wire, for whoever judges them.
//!
//! The reader is deliberately not that of `sip-types`: a judge with the product's eyes does not see the product's
//! mistakes. It wants what our own messages are: canonical names, one header a line, a Content-Length.

use std::collections::VecDeque;
use std::fmt::Write as _;

use bytes::Bytes;

/// A SIP message in its parts, each as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RawMessage {
    /// The first line.
    pub start: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl RawMessage {
    /// Reads one whole message.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let end = find(octets, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&octets[..end]);
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let headers: Option<Vec<_>> = lines
            .map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
            .collect();
        let body = Bytes::copy_from_slice(&octets[end + 4..]);
        (start.ends_with(" SIP/2.0") || start.starts_with("SIP/2.0 "))
            .then_some(())
            .and(headers)
            .map(|headers| Self { start, headers, body })
    }

    /// Returns the message for the wire, with its Content-Length.
    #[must_use]
    pub fn octets(&self) -> Bytes {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if self.header("Content-Length").is_none() {
            let _ = write!(text, "Content-Length: {}\r\n", self.body.len());
        }
        text.push_str("\r\n");
        let mut octets = text.into_bytes();
        octets.extend_from_slice(&self.body);
        octets.into()
    }

    /// Returns the method of a request.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        let (method, _) = self.start.split_once(' ')?;
        (method != "SIP/2.0").then_some(method)
    }

    /// Returns the Request-URI.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        self.method()?;
        self.start.split(' ').nth(1)
    }

    /// Returns the status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Returns the reason phrase of a response.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.start.splitn(3, ' ').nth(2).unwrap_or_default()
    }

    /// Returns the value of the first line of a header, by its whole name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.as_str())
    }

    /// Returns the values of all lines of a header.
    pub fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |found: &str| found.eq_ignore_ascii_case(name);
        self.headers.iter().filter(move |(found, _)| same(found)).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a header of which one line may have several: Via, Route, Record-Route.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        self.lines(name).flat_map(split_values).collect()
    }

    /// Returns a parameter of a header's first line, outside the angle brackets.
    #[must_use]
    pub fn parameter(&self, header: &str, name: &str) -> Option<&str> {
        parameter(self.header(header)?, name)
    }

    /// Returns number and method of CSeq.
    #[must_use]
    pub fn cseq(&self) -> Option<(u64, &str)> {
        let (number, method) = self.header("CSeq")?.split_once(' ')?;
        Some((number.parse().ok()?, method.trim()))
    }

    /// Returns the Call-ID; nothing if there is none.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or_default()
    }

    /// Returns the branch of the topmost Via; nothing if there is none.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.parameter("Via", "branch").unwrap_or_default()
    }

    /// Returns a response with what must be as in this request (RFC 3261 §8.2.6.2); `tag` is put on a To that has
    /// none.
    #[must_use]
    pub fn response(&self, status: u16, reason: &str, tag: &str) -> Self {
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let name = name.as_str();
            if ["Via", "From", "Call-ID", "CSeq"].iter().any(|copied| name.eq_ignore_ascii_case(copied)) {
                headers.push((name.to_owned(), value.clone()));
            } else if name.eq_ignore_ascii_case("To") {
                let tagged = parameter(value, "tag").is_some() || status == 100;
                let value = if tagged { value.clone() } else { format!("{value};tag={tag}") };
                headers.push((name.to_owned(), value));
            }
        }
        Self { start: format!("SIP/2.0 {status} {reason}"), headers, body: Bytes::new() }
    }
}

/// Returns a parameter of a header's value, outside the angle brackets.
#[must_use]
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let outside = value.rfind('>').map_or(value, |at| &value[at + 1..]);
    outside.split([';', ',']).find_map(|part| {
        let (found, value) = part.trim().split_once('=')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Returns what stands between the angle brackets, or before the parameters if there are none.
#[must_use]
pub fn address(value: &str) -> &str {
    match value.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value.split(';').next().unwrap_or_default().trim(),
    }
}

/// Cuts a line at its commas; those in quotes and angle brackets do not count.
fn split_values(line: &str) -> Vec<String> {
    let (mut values, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_bracketed) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            '"' if !is_bracketed => is_quoted = !is_quoted,
            '<' if !is_quoted => is_bracketed = true,
            '>' if !is_quoted => is_bracketed = false,
            ',' if !is_quoted && !is_bracketed => {
                values.push(line[start..at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    values.push(line[start..].trim().to_owned());
    values
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

/// One thing read from a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawFrame {
    /// A message.
    Message(RawMessage),
    /// Both line ends of a ping (RFC 5626 §4.4.1), or two answers to pings.
    Ping,
    /// What is no message; nothing follows.
    Nonsense(String),
}

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub struct RawStream {
    buffer: Vec<u8>,
    frames: VecDeque<RawFrame>,
    is_lost: bool,
}

impl RawStream {
    /// Takes octets as they come.
    pub fn push(&mut self, octets: &[u8]) {
        if self.is_lost || self.buffer.len() + octets.len() > OCTETS_MAX {
            return self.lose();
        }
        self.buffer.extend_from_slice(octets);
        while let Some(frame) = self.cut() {
            self.frames.push_back(frame);
        }
    }

    /// Returns the next whole thing.
    pub fn poll_frame(&mut self) -> Option<RawFrame> {
        self.frames.pop_front()
    }

    fn cut(&mut self) -> Option<RawFrame> {
        if self.buffer.starts_with(b"\r\n\r\n") {
            self.buffer.drain(..4);
            return Some(RawFrame::Ping);
        }
        if self.buffer.starts_with(b"\r\n") && self.buffer.get(2).is_some_and(|next| *next != b'\r') {
            self.buffer.drain(..2);
            return self.cut();
        }
        let end = find(&self.buffer, b"\r\n\r\n")? + 4;
        let length = RawMessage::parse(&self.buffer[..end])
            .and_then(|head| head.header("Content-Length")?.parse::<usize>().ok());
        let Some(length) = length else {
            self.lose();
            return None;
        };
        if self.buffer.len() < end + length {
            return None;
        }
        let whole: Vec<u8> = self.buffer.drain(..end + length).collect();
        RawMessage::parse(&whole).map(RawFrame::Message)
    }

    fn lose(&mut self) {
        if !self.is_lost {
            let shown = String::from_utf8_lossy(&self.buffer).into_owned();
            self.frames.push_back(RawFrame::Nonsense(shown));
            self.is_lost = true;
        }
        self.buffer.clear();
    }
}

/// What a stream may hold before it is read.
const OCTETS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "MESSAGE sip:ann@x.example SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1, SIP/2.0/TCP b\r\n\
        Via: SIP/2.0/TCP c\r\nFrom: \"B, <ob\" <sip:bob@s.example;tag=no>;tag=7;epid=2c\r\nTo: <sip:ann@x.example>\r\n\
        Call-ID: c1\r\nCSeq: 2 MESSAGE\r\nContent-Length: 2\r\n\r\nHi";

    #[test]
    fn a_message_is_read_in_its_parts() {
        let message = RawMessage::parse(MESSAGE.as_bytes()).unwrap();

        assert_eq!((message.method(), message.uri()), (Some("MESSAGE"), Some("sip:ann@x.example")));
        assert_eq!(message.values("Via").len(), 3);
        assert_eq!(message.values("From").len(), 1);
        assert_eq!(message.branch(), "z9hG4bK1");
        assert_eq!(message.parameter("From", "tag"), Some("7"));
        assert_eq!(address(message.header("From").unwrap()), "sip:bob@s.example;tag=no");
        assert_eq!(message.cseq(), Some((2, "MESSAGE")));
        assert_eq!(message.octets(), MESSAGE.as_bytes());
    }

    #[test]
    fn a_response_echoes_what_it_must_and_tags_the_to() {
        let request = RawMessage::parse(MESSAGE.as_bytes()).unwrap();

        let response = request.response(480, "Gone", "t");

        assert_eq!((response.status(), response.reason()), (Some(480), "Gone"));
        assert_eq!(response.values("Via"), request.values("Via"));
        assert_eq!(response.header("To"), Some("<sip:ann@x.example>;tag=t"));
        assert_eq!(response.header("Call-ID"), Some("c1"));
    }

    #[test]
    fn a_stream_is_cut_into_messages_and_pings_wherever_it_breaks() {
        let octets = format!("{MESSAGE}\r\n\r\n{MESSAGE}\r\n{MESSAGE}");
        for at in 0..octets.len() {
            let mut stream = RawStream::default();
            stream.push(&octets.as_bytes()[..at]);
            stream.push(&octets.as_bytes()[at..]);
            let message = RawFrame::Message(RawMessage::parse(MESSAGE.as_bytes()).unwrap());
            let frames: Vec<_> = std::iter::from_fn(|| stream.poll_frame()).collect();

            assert_eq!(frames, [message.clone(), RawFrame::Ping, message.clone(), message]);
        }
    }

    #[test]
    fn what_is_no_message_ends_the_stream() {
        let mut stream = RawStream::default();

        stream.push(b"HTTP/1.1 200 OK\r\n\r\n");
        stream.push(MESSAGE.as_bytes());

        assert!(matches!(stream.poll_frame(), Some(RawFrame::Nonsense(_))));
        assert_eq!(stream.poll_frame(), None);
    }
}
