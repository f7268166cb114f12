use std::borrow::Cow;
use std::fmt;

use crate::octets;
use crate::params::Params;
use crate::text::{Text, Token};

/// A media type with its parameters (RFC 3261 §20.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// `text` of `text/plain`; compare without regard to case.
    pub kind: Token,
    /// `plain` of `text/plain`; compare without regard to case.
    pub subtype: Token,
    /// `charset`, `boundary`, …
    pub params: Params,
}

impl ContentType {
    /// Returns the media type that `text` is, such as `text/plain;charset=UTF-8`.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let (head, params) = Params::split_header(&text.into())?;
        let octets = head.as_bytes();
        let slash = octets::find(octets, b'/')?;
        let token = |from: usize, to: usize| {
            let (start, end) = octets::trimmed(octets.get(from..to)?);
            Token::parse(head.slice(from + start..from + end))
        };
        let kind = token(0, slash)?;
        let subtype = token(slash + 1, octets.len())?;
        Some(Self { kind, subtype, params })
    }

    /// Returns `text/plain;charset=UTF-8`.
    #[must_use]
    pub const fn text_plain() -> Self {
        Self {
            kind: Token::from_static("text"),
            subtype: Token::from_static("plain"),
            params: Params::assembled(Text::from_static(";charset=UTF-8")),
        }
    }

    /// Returns whether type and subtype are these, in any case: `is("text/plain")`.
    #[must_use]
    pub fn is(&self, type_and_subtype: &str) -> bool {
        type_and_subtype.split_once('/').is_some_and(|(kind, subtype)| {
            self.kind.as_str().eq_ignore_ascii_case(kind)
                && self.subtype.as_str().eq_ignore_ascii_case(subtype)
        })
    }

    /// Returns whether this is any `multipart/…`.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.kind.as_str().eq_ignore_ascii_case("multipart")
    }

    /// Returns the value of `charset`, unquoted.
    #[must_use]
    pub fn charset(&self) -> Option<Cow<'_, str>> {
        self.params.unquoted("charset")
    }

    /// Appends the value as it goes on the wire.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.kind.as_str().as_bytes());
        out.push(b'/');
        out.extend_from_slice(self.subtype.as_str().as_bytes());
        out.extend_from_slice(self.params.as_str().as_bytes());
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}{}", self.kind, self.subtype, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_read_with_its_parameters() {
        let value = ContentType::parse("Text / Plain ; charset=\"utf-8\" ; x=1").unwrap();

        assert!(value.is("text/plain"));
        assert!(!value.is("text/html"));
        assert_eq!(value.charset().unwrap(), "utf-8");
        assert_eq!(ContentType::text_plain().to_string(), "text/plain;charset=UTF-8");
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for text in [
            "",
            "text",
            "text/",
            "/plain",
            "text/pl ain",
            "text/plain;",
            "text/plain;charset=x\"><",
            "*/*, a/b",
        ] {
            assert_eq!(ContentType::parse(text), None, "{text}");
        }
    }
}
