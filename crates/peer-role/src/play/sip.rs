//! What the SIP server of a play says and hears.

use sip_types::{HeaderName, Headers, Message, Method, Request, Response};

use super::pattern::{Bindings, Mismatch, Pattern};

/// A request to send, as text; the runner adds `Via`, and `Max-Forwards` where it is not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipLine {
    /// The method.
    pub method: String,
    /// The Request-URI.
    pub uri: String,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A response to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipAnswer {
    /// The status.
    pub status: u16,
    /// The reason phrase; empty for the usual one.
    pub reason: String,
    /// Header names and values beside those that every response has.
    pub headers: Vec<(String, String)>,
}

/// The first line of what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SipStart {
    /// A request.
    Request {
        /// Its method.
        method: String,
        /// Its Request-URI.
        uri: Pattern,
    },
    /// A response to the play's request.
    Response {
        /// Its status.
        status: u16,
        /// Its reason phrase; `None` for any.
        reason: Option<Pattern>,
    },
}

/// A message to expect: its first line, and at least its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipPattern {
    /// What begins it.
    pub start: SipStart,
    pub(super) headers: Vec<(String, Pattern)>,
    pub(super) absent: Vec<String>,
    pub(super) body: Option<Pattern>,
}

impl SipLine {
    /// Returns the request on the wire, with its names filled in. `via` is the whole value of its Via.
    #[must_use]
    pub fn octets(&self, via: &str, bindings: &Bindings) -> Vec<u8> {
        let mut text = format!("{} {} SIP/2.0\r\nVia: {via}\r\n", self.method, bindings.fill(&self.uri));
        let has = |name: &str| self.headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
        if !has("Max-Forwards") {
            text.push_str("Max-Forwards: 70\r\n");
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {}\r\n", bindings.fill(value)));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut octets = text.into_bytes();
        octets.extend_from_slice(&self.body);
        octets
    }
}

impl SipPattern {
    /// Compares a message. Headers that the pattern does not name may be there.
    ///
    /// # Errors
    /// Says what is missing, different or too much.
    pub fn matches(&self, found: &Message, bindings: &mut Bindings) -> Result<(), Mismatch> {
        let mut attempt = bindings.clone();
        self.start_matches(found, &mut attempt)?;
        for (name, pattern) in &self.headers {
            let value = header(found, name).unwrap_or_default();
            pattern.matches(name, &value, &mut attempt)?;
        }
        for name in &self.absent {
            if let Some(value) = header(found, name) {
                return Err(Mismatch { at: name.clone(), expected: "nothing".to_owned(), found: value });
            }
        }
        if let Some(body) = &self.body {
            body.matches("body", &String::from_utf8_lossy(body_of(found)), &mut attempt)?;
        }
        *bindings = attempt;
        Ok(())
    }

    fn start_matches(&self, found: &Message, bindings: &mut Bindings) -> Result<(), Mismatch> {
        match (&self.start, found) {
            (SipStart::Request { method, uri }, Message::Request(request)) => {
                exactly("method", method, request.method().as_str())?;
                uri.matches("Request-URI", request.uri().as_str(), bindings)
            }
            (SipStart::Response { status, reason }, Message::Response(response)) => {
                let whole = format!("{} {}", response.status(), response.reason());
                if *status != response.status() {
                    return Err(Mismatch {
                        at: "status".to_owned(),
                        expected: status.to_string(),
                        found: whole,
                    });
                }
                reason.as_ref().map_or(Ok(()), |reason| reason.matches("reason", response.reason(), bindings))
            }
            (start, found) => Err(Mismatch {
                at: "start".to_owned(),
                expected: match start {
                    SipStart::Request { method, .. } => method.clone(),
                    SipStart::Response { status, .. } => status.to_string(),
                },
                found: start_of(found),
            }),
        }
    }
}

/// Returns the first line of a message, as far as it tells people something.
#[must_use]
fn start_of(message: &Message) -> String {
    match message {
        Message::Request(request) => format!("{} {}", request.method(), request.uri()),
        Message::Response(response) => format!("{} {}", response.status(), response.reason()),
    }
}

fn exactly(at: &str, expected: &str, found: &str) -> Result<(), Mismatch> {
    if expected == found {
        return Ok(());
    }
    Err(Mismatch { at: at.to_owned(), expected: expected.to_owned(), found: found.to_owned() })
}

fn header(message: &Message, name: &str) -> Option<String> {
    let headers: &Headers = message.headers();
    let value = match HeaderName::parse(name) {
        HeaderName::Other => headers.get_other(name),
        known => headers.get(known),
    };
    value.map(|value| String::from_utf8_lossy(value).into_owned())
}

fn body_of(message: &Message) -> &[u8] {
    match message {
        Message::Request(request) => Request::body(request),
        Message::Response(response) => Response::body(response),
    }
}

/// Tells whether a word is a method, so that a line which begins with it is a request.
pub(super) fn is_method(word: &str) -> bool {
    word.bytes().all(|octet| octet.is_ascii_uppercase()) && Method::parse(word).is_some()
}
