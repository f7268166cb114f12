use std::fmt;

use crate::header::HeaderName;
use crate::message::Response;

/// A header of a message that is otherwise in order does not parse; answered by
/// [`Response::bad_header`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHeader {
    /// Which header.
    pub name: HeaderName,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Octets that are not a SIP message, with all that is needed to answer them.
#[derive(Clone, Debug)]
pub struct Malformed {
    what: &'static str,
    status: u16,
    answer: Option<Box<Response>>,
}

impl Malformed {
    /// Returns what is wrong, in words.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// Returns the status to answer with: 400, 414, 416, 501, 505 or 513.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the answer, with the Via, From, To, Call-ID and CSeq that could be read. `None` if what
    /// came was no request, or an ACK: nothing answers a response (RFC 3261 §8.1.3, §17).
    #[must_use]
    pub fn into_answer(self) -> Option<Response> {
        self.answer.map(|answer| *answer)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.what)
    }
}

impl std::error::Error for Malformed {}

impl fmt::Display for BadHeader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.name.as_str(), self.what)
    }
}

impl std::error::Error for BadHeader {}
