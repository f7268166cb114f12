//! What the SIP server of a play says and hears.

use bytes::Bytes;
use sip_types::Method;

use super::document::DocumentPattern;
use super::pattern::{Bindings, Mismatch, Pattern};
use crate::raw::RawMessage;

/// A request to send, as text; the runner adds `Via` and `Max-Forwards` where they are not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipLine {
    /// The method.
    pub method: String,
    /// The Request-URI.
    pub uri: String,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The number of the connection that it goes over, from 1.
    pub over: u8,
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
    /// The body.
    pub body: Bytes,
    /// The tag of its To, if the play chooses it.
    pub tag: Option<String>,
    /// The method of the request that it is for; `None` for the oldest of any.
    pub of: Option<String>,
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
#[derive(Clone, Debug, PartialEq)]
pub struct SipPattern {
    /// What begins it.
    pub start: SipStart,
    pub(super) headers: Vec<(String, Pattern)>,
    pub(super) absent: Vec<String>,
    pub(super) body: Option<Pattern>,
    pub(super) document: Option<DocumentPattern>,
    pub(super) over: Option<u8>,
}

impl SipLine {
    /// Returns the request with its names filled in. `via` is the whole value of its Via, unless one is written.
    #[must_use]
    pub fn request(&self, via: &str, bindings: &Bindings) -> RawMessage {
        let mut headers = Vec::new();
        for (name, value) in [("Via", via), ("Max-Forwards", "70")] {
            if !self.headers.iter().any(|(written, _)| written.eq_ignore_ascii_case(name)) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), bindings.fill(value))));
        let start = format!("{} {} SIP/2.0", self.method, bindings.fill(&self.uri));
        RawMessage { start, headers, body: filled(&self.body, bindings) }
    }
}

/// Returns a body with its names filled in, if it is a text.
pub(crate) fn filled(body: &Bytes, bindings: &Bindings) -> Bytes {
    std::str::from_utf8(body).map_or_else(|_| body.clone(), |text| bindings.fill(text).into())
}

impl SipPattern {
    /// Compares a message and the number of the connection that it came over. Headers that the pattern does not
    /// name may be there.
    ///
    /// # Errors
    /// Says what is missing, different or too much.
    pub fn matches(
        &self,
        found: &RawMessage,
        link: Option<u8>,
        bindings: &mut Bindings,
    ) -> Result<(), Mismatch> {
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
            body.matches("body", &String::from_utf8_lossy(&found.body), &mut attempt)?;
        }
        if let Some(document) = &self.document {
            document.matches(found, &mut attempt)?;
        }
        if self.over.is_some() && self.over != link {
            let shown = |link: Option<u8>| link.map_or("another".to_owned(), |link| link.to_string());
            let (expected, found) = (shown(self.over), shown(link));
            return Err(Mismatch { at: "over".to_owned(), expected, found });
        }
        *bindings = attempt;
        Ok(())
    }

    fn start_matches(&self, found: &RawMessage, bindings: &mut Bindings) -> Result<(), Mismatch> {
        match (&self.start, found.uri(), found.status()) {
            (SipStart::Request { method, uri }, Some(found_uri), _) => {
                exactly("method", method, found.method().unwrap_or_default())?;
                uri.matches("Request-URI", found_uri, bindings)
            }
            (SipStart::Response { status, reason }, _, Some(found_status)) => {
                if *status != found_status {
                    return Err(Mismatch {
                        at: "status".to_owned(),
                        expected: status.to_string(),
                        found: start_of(found),
                    });
                }
                reason.as_ref().map_or(Ok(()), |reason| reason.matches("reason", found.reason(), bindings))
            }
            (start, ..) => Err(Mismatch {
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
fn start_of(message: &RawMessage) -> String {
    message.start.trim_end_matches(" SIP/2.0").trim_start_matches("SIP/2.0 ").to_owned()
}

fn exactly(at: &str, expected: &str, found: &str) -> Result<(), Mismatch> {
    if expected == found {
        return Ok(());
    }
    Err(Mismatch { at: at.to_owned(), expected: expected.to_owned(), found: found.to_owned() })
}

/// Returns all lines of a header as one (RFC 3261 §7.3.1).
fn header(message: &RawMessage, name: &str) -> Option<String> {
    message.header(name)?;
    Some(message.lines(name).collect::<Vec<_>>().join(", "))
}

/// Tells whether a word is a method, so that a line which begins with it is a request.
pub(super) fn is_method(word: &str) -> bool {
    word.bytes().all(|octet| octet.is_ascii_uppercase()) && Method::parse(word).is_some()
}
