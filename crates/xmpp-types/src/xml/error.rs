//! Why octets are refused, and how much of them is taken.

use std::fmt;

use crate::ns;
use crate::stream::{StreamCondition, StreamError};
use crate::xml::Element;

/// Why a stream or document is refused; the peer caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct XmlError {
    /// The condition to close the stream with (RFC 6120 §4.9.3).
    pub condition: StreamCondition,
    /// What was wrong, in words for the peer's administrator.
    pub reason: &'static str,
    /// The limit that was passed, if one was.
    pub limit: Option<Limit>,
}

/// A limit of [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Octets of everything up to the end of the stream header.
    HeaderBytes,
    /// Octets of a first-level element.
    StanzaBytes,
    /// Elements inside each other.
    Depth,
    /// Attributes of one element.
    Attributes,
    /// Namespace declarations in scope.
    Namespaces,
    /// Elements of one first-level element.
    Elements,
}

/// How much of one stream a parser takes, so that a peer's octets have a bound in memory and work.
///
/// RFC 6120 §13.12 asks that limits exist, and that a stanza of 10,000 octets be taken once the peer is
/// authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the XML declaration and stream header together.
    pub header_bytes: usize,
    /// Octets of a first-level element, as received.
    pub stanza_bytes: usize,
    /// Elements inside each other, a first-level element being 1.
    pub depth: usize,
    /// Attributes of one element, declarations included.
    pub attributes: usize,
    /// Namespace declarations in scope at once.
    pub namespaces: usize,
    /// Elements in one first-level element, itself included.
    pub elements: usize,
}

impl Limits {
    /// What a peer may send before it has proved who it is.
    pub const BEFORE_AUTHENTICATION: Self = Self {
        header_bytes: 4096,
        stanza_bytes: 16 * 1024,
        depth: 8,
        attributes: 32,
        namespaces: 16,
        elements: 100,
    };

    /// What a partner may send.
    pub const AUTHENTICATED: Self = Self {
        header_bytes: 4096,
        stanza_bytes: 256 * 1024,
        depth: 64,
        attributes: 256,
        namespaces: 256,
        elements: 10_000,
    };

    /// What the body of a SIP message may hold.
    pub const DOCUMENT: Self = Self {
        header_bytes: 4096,
        stanza_bytes: 64 * 1024,
        depth: 32,
        attributes: 64,
        namespaces: 64,
        elements: 2_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::AUTHENTICATED
    }
}

impl XmlError {
    pub(super) const fn new(condition: StreamCondition, reason: &'static str) -> Self {
        Self { condition, reason, limit: None }
    }

    pub(super) const fn not_well_formed(reason: &'static str) -> Self {
        Self::new(StreamCondition::NotWellFormed, reason)
    }

    pub(super) const fn restricted(reason: &'static str) -> Self {
        Self::new(StreamCondition::RestrictedXml, reason)
    }

    pub(super) const fn over(limit: Limit) -> Self {
        let reason = match limit {
            Limit::HeaderBytes => "the stream header is too long",
            Limit::StanzaBytes => "the stanza is too long",
            Limit::Depth => "elements are nested too deeply",
            Limit::Attributes => "an element has too many attributes",
            Limit::Namespaces => "too many namespaces are declared",
            Limit::Elements => "a stanza has too many elements",
        };
        Self { condition: StreamCondition::PolicyViolation, reason, limit: Some(limit) }
    }

    /// Returns the stream error to answer with.
    ///
    /// A stanza over the limit is also named by the application condition that servers use for it, so
    /// that the sender's administrator sees which policy it was.
    #[must_use]
    pub fn to_stream_error(self) -> StreamError {
        let error = StreamError::new(self.condition).with_text(self.reason);
        match self.limit {
            Some(Limit::StanzaBytes) => error.with_application(Element::new(ns::ERRORS, "stanza-too-big")),
            Some(
                Limit::HeaderBytes | Limit::Depth | Limit::Attributes | Limit::Namespaces | Limit::Elements,
            )
            | None => error,
        }
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.reason, self.condition)
    }
}

impl std::error::Error for XmlError {}
