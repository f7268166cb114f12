use std::fmt;

use crate::method::Method;
use crate::octets::{self, WORD};
use crate::text::Text;

/// The number and method of a request (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The request's method.
    pub method: Method,
}

impl CSeq {
    /// The largest number there is.
    pub const NUMBER_MAX: u32 = 0x7FFF_FFFF;

    /// Returns the value that `text` is.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: impl Into<Text>) -> Result<Self, &'static str> {
        Self::parse_text(&text.into())
    }

    pub(crate) fn parse_text(text: &Text) -> Result<Self, &'static str> {
        let octets = text.as_bytes();
        let (start, end) = octets::trimmed(octets);
        let number_end = octets[start..end]
            .iter()
            .position(|octet| octets::is_white(*octet))
            .map_or(end, |found| start + found);
        let number = octets::digits(&octets[start..number_end])
            .ok_or("the number is none")?
            .up_to(Self::NUMBER_MAX)
            .ok_or("the number is 2^31 or more")?;
        let method_at = octets::skip_white(octets, number_end);
        let name = octets.get(method_at..end).unwrap_or_default();
        let method = match Method::known(name) {
            Some(method) => method,
            None => Method::parse_text(text.slice(method_at..end)).ok_or("the method is no token")?,
        };
        Ok(Self { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.number, self.method)
    }
}

/// A checked Call-ID: `word [ "@" word ]` (RFC 3261 §20.8).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(Text);

impl CallId {
    /// Returns the Call-ID if `text` is one.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let text = text.into();
        let octets = text.as_bytes();
        let left = octets::run(octets, 0, WORD);
        let is_whole = match octets.get(left) {
            None => true,
            Some(b'@') => left + 1 < octets.len() && octets::run(octets, left + 1, WORD) == octets.len(),
            Some(_) => false,
        };
        (left > 0 && is_whole).then_some(Self(text))
    }

    /// Returns it as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_is_below_two_to_the_31() {
        assert_eq!(CSeq::parse("0009\t INVITE"), Ok(CSeq { number: 9, method: Method::Invite }));
        assert_eq!(CSeq::parse("2147483647 MESSAGE").unwrap().number, CSeq::NUMBER_MAX);
        for text in
            ["2147483648 MESSAGE", "36893488147419103232 A", "1", "1 ", " MESSAGE", "-1 A", "1 A B", "1A"]
        {
            assert!(CSeq::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_call_id_is_one_word_or_two() {
        for text in ["a84b4c76e66710@pc33.atlanta.com", "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{", "x"] {
            assert!(CallId::parse(text).is_some(), "{text}");
        }
        for text in ["", "@", "a@", "@b", "a@b@c", "a b", "ü", "a;b", "a,b"] {
            assert!(CallId::parse(text).is_none(), "{text}");
        }
    }
}
