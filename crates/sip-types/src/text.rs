use std::borrow::Borrow;
use std::fmt;
use std::ops::{Deref, Range};

use bytes::Bytes;

use crate::octets::is_token;

/// A piece of UTF-8 that is cheap to clone and to cut: it shares the octets of the message it came in.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Bytes);

impl Text {
    /// Returns the text without copying it.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// Returns the text of `octets`, invalid UTF-8 replaced by U+FFFD. Shares `octets` if they are valid.
    #[must_use]
    pub fn lossy(octets: Bytes) -> Self {
        match std::str::from_utf8(&octets) {
            Ok(_) => Self(octets),
            Err(_) => Self::from(String::from_utf8_lossy(&octets).into_owned()),
        }
    }

    /// Returns the text as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every constructor checked the octets, and `slice` cuts at character borders only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns a part of the text, empty if `range` does not lie on character borders.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let border =
            |at: usize| at <= self.0.len() && self.0.get(at).is_none_or(|octet| octet & 0xC0 != 0x80);
        if range.start < range.end && border(range.start) && border(range.end) {
            Self(self.0.slice(range))
        } else {
            Self::default()
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text.into_bytes()))
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0.as_ref() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0.as_ref() == other.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

/// Text that may stand in a header: no CR, LF, NUL or other control character but HTAB, so that it
/// cannot end the header and begin another. White space around it is dropped (RFC 3261 §7.3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderText(Text);

/// A text contained a character that cannot stand in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForbiddenCharacter(
    /// The first such character.
    pub char,
);

impl fmt::Display for ForbiddenCharacter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the character U+{:04X} cannot stand here", u32::from(self.0))
    }
}

impl std::error::Error for ForbiddenCharacter {}

/// What [`HeaderText::clean`] made of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// The text that is left.
    pub text: HeaderText,
    /// Whether a control character was replaced.
    pub lost: bool,
}

impl HeaderText {
    /// Returns the text if it has no control character.
    ///
    /// # Errors
    /// Names the first forbidden character.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ForbiddenCharacter> {
        let text = text.into();
        match text.chars().find(|c| is_forbidden(*c)) {
            Some(c) => Err(ForbiddenCharacter(c)),
            None => Ok(Self(trimmed(&text))),
        }
    }

    /// Returns the text with every run of control characters replaced by one space, and whether there were any.
    #[must_use]
    pub fn clean(text: &str) -> Cleaned {
        if !text.contains(is_forbidden) {
            return Cleaned { text: Self(Text::from(text.trim_matches(WHITE))), lost: false };
        }
        let mut clean = String::with_capacity(text.len());
        for part in text.split(is_forbidden).filter(|part| !part.is_empty()) {
            if !clean.is_empty() {
                clean.push(' ');
            }
            clean.push_str(part);
        }
        Cleaned { text: Self(Text::from(clean.trim_matches(WHITE))), lost: true }
    }

    /// Returns a text of our own; control characters in it are replaced as by [`HeaderText::clean`].
    #[must_use]
    pub fn from_static(text: &'static str) -> Self {
        match Self::parse(Text::from_static(text)) {
            Ok(text) => text,
            Err(_) => Self::clean(text).text,
        }
    }

    /// Returns the text as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u32> for HeaderText {
    fn from(number: u32) -> Self {
        Self(Text::from(number.to_string()))
    }
}

impl From<Token> for HeaderText {
    fn from(token: Token) -> Self {
        Self(token.0)
    }
}

impl fmt::Display for HeaderText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A `token` of RFC 3261 §25.1: a tag, a method, a header's name, an event package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Text);

impl Token {
    /// Returns the token if `text` is one: not empty, and of token characters only.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let text = text.into();
        is_token(text.as_bytes()).then_some(Self(text))
    }

    /// Returns a token of our own.
    ///
    /// # Panics
    /// If it is none: at compile time where the token is a constant.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        assert!(is_token_const(text.as_bytes()), "a token of ours is one");
        Self(Text::from_static(text))
    }

    /// Returns the token as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

const fn is_token_const(octets: &[u8]) -> bool {
    let mut at = 0;
    while at < octets.len() {
        if crate::octets::class_of(octets[at]) & crate::octets::TOKEN == 0 {
            return false;
        }
        at += 1;
    }
    at > 0
}

const WHITE: [char; 2] = [' ', '\t'];

fn is_forbidden(c: char) -> bool {
    c.is_control() && c != '\t'
}

fn trimmed(text: &Text) -> Text {
    let whole = text.as_str();
    let start = whole.len() - whole.trim_start_matches(WHITE).len();
    let length = whole.trim_matches(WHITE).len();
    if length == whole.len() { text.clone() } else { text.slice(start..start + length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_cannot_enter_a_header() {
        assert_eq!(HeaderText::parse("a\r\nVia: b"), Err(ForbiddenCharacter('\r')));
        let cleaned = HeaderText::clean("\u{0}a\r\nVia: b\n");

        assert_eq!(cleaned, Cleaned { text: HeaderText::parse("a Via: b").unwrap(), lost: true });
    }

    #[test]
    fn text_without_control_characters_stays_as_it_is() {
        let cleaned = HeaderText::clean(" Büro\t1 ");

        assert_eq!(cleaned, Cleaned { text: HeaderText::parse("Büro\t1").unwrap(), lost: false });
    }

    #[test]
    fn a_token_has_no_separators() {
        assert!(Token::parse("z9hG4bK-.!%*_+`'~").is_some());
        for text in ["", "a b", "a;b", "a@b", "ü", "a\r\n"] {
            assert!(Token::parse(text).is_none(), "{text:?}");
        }
    }
}
