use std::fmt;

use crate::header::HeaderName;
use crate::headers::Headers;
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
    problem: Problem,
    /// The lines that an answer repeats; `None` if nothing is to be answered.
    echoed: Option<Box<Headers>>,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) name: Option<HeaderName>,
    pub(crate) what: &'static str,
}

impl Malformed {
    /// Returns what is wrong, in words.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.problem.what
    }

    /// Returns the header that it is wrong with.
    #[must_use]
    pub const fn header(&self) -> Option<HeaderName> {
        self.problem.name
    }

    /// Returns the status to answer with: 400, 501, 505 or 513.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.problem.status
    }

    /// Returns whether there is anything to answer: what came looked like a request, and not like an ACK.
    #[must_use]
    pub const fn is_answerable(&self) -> bool {
        self.echoed.is_some()
    }

    /// Returns the answer, with the Via, From, To, Call-ID and CSeq that could be read. `None` if what
    /// came was no request, or an ACK: nothing answers a response (RFC 3261 §8.1.3, §17).
    #[must_use]
    pub fn into_answer(self) -> Option<Response> {
        let echoed = self.echoed?;
        Some(Response::to_malformed(self.problem, *echoed))
    }

    pub(crate) fn answerable(problem: Problem, headers: &Headers) -> Self {
        Self { problem, echoed: Some(Box::new(headers.echoed())) }
    }

    pub(crate) const fn silent(problem: Problem) -> Self {
        Self { problem, echoed: None }
    }
}

impl Problem {
    /// A 400.
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { status: 400, name: None, what }
    }

    /// A 400 because of a header.
    pub(crate) const fn with(name: HeaderName, what: &'static str) -> Self {
        Self { status: 400, name: Some(name), what }
    }

    /// A 513 (RFC 3261 §21.5.7).
    pub(crate) const fn too_large(what: &'static str) -> Self {
        Self { status: 513, name: None, what }
    }
}

impl From<BadHeader> for Problem {
    fn from(bad: BadHeader) -> Self {
        Self::with(bad.name, bad.what)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(HeaderName::Other) => write!(out, "a header: {}", self.what),
            Some(name) => write!(out, "{}: {}", name.as_str(), self.what),
            None => out.write_str(self.what),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(out)
    }
}

impl std::error::Error for Malformed {}

impl fmt::Display for BadHeader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Problem::from(*self).fmt(out)
    }
}

impl std::error::Error for BadHeader {}
