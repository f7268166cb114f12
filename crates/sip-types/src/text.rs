use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};

use bytes::Bytes;

use crate::octets::is_token;

/// A piece of UTF-8 that is cheap to clone and to cut: a short one is kept in place, a long one shares
/// the octets of the message it came in.
#[derive(Clone)]
pub struct Text(Kept);

#[derive(Clone)]
enum Kept {
    Here { length: u8, octets: [u8; HERE_MAX] },
    Shared(Bytes),
}

/// Most tags, hosts, addresses and Call-IDs are no longer.
const HERE_MAX: usize = 38;

impl Text {
    /// Returns the text without copying it.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Kept::Shared(Bytes::from_static(text.as_bytes())))
    }

    /// Returns the text of `octets`, invalid UTF-8 replaced by U+FFFD.
    #[must_use]
    pub fn lossy(octets: Bytes) -> Self {
        match std::str::from_utf8(&octets) {
            Ok(_) => Self::checked(octets),
            Err(_) => Self::from(String::from_utf8_lossy(&octets).into_owned()),
        }
    }

    /// Returns the text of octets that are known to be UTF-8; a mistake would read as no text at all.
    pub(crate) fn checked(octets: Bytes) -> Self {
        if octets.len() <= HERE_MAX { Self::here(&octets) } else { Self(Kept::Shared(octets)) }
    }

    /// Returns the part of `whole`, which is known to be UTF-8, from `start` to `end`.
    #[inline]
    pub(crate) fn cut(whole: &Bytes, start: usize, end: usize) -> Self {
        let length = end - start;
        if length > HERE_MAX {
            return Self(Kept::Shared(whole.slice(start..end)));
        }
        // What stands behind the text comes along unseen: a copy of fixed length is the faster one.
        match whole.get(start..).and_then(|rest| rest.first_chunk::<HERE_MAX>()) {
            Some(octets) => Self(Kept::Here { length: u8::try_from(length).unwrap_or(0), octets: *octets }),
            None => Self::here(&whole[start..end]),
        }
    }

    /// Returns the text's octets.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Here { length, octets } => octets.get(..usize::from(*length)).unwrap_or_default(),
            Kept::Shared(octets) => octets,
        }
    }

    /// Returns the number of octets.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::Here { length, .. } => usize::from(*length),
            Kept::Shared(octets) => octets.len(),
        }
    }

    /// Returns whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the text as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every constructor checked the octets, and `slice` cuts at character borders only.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns a part of the text, empty if `range` does not lie on character borders.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let octets = self.as_bytes();
        let border =
            |at: usize| at <= octets.len() && octets.get(at).is_none_or(|octet| octet & 0xC0 != 0x80);
        if range.start >= range.end || !border(range.start) || !border(range.end) {
            return Self::default();
        }
        match &self.0 {
            Kept::Shared(octets) => Self::cut(octets, range.start, range.end),
            Kept::Here { octets, .. } => Self::here(&octets[range]),
        }
    }

    /// Returns a short text.
    fn here(text: &[u8]) -> Self {
        let mut octets = [0; HERE_MAX];
        octets[..text.len()].copy_from_slice(text);
        Self(Kept::Here { length: u8::try_from(text.len()).unwrap_or(0), octets })
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from_static("")
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As `str` does, because of `Borrow<str>`.
        self.as_str().hash(state);
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
        if text.len() <= HERE_MAX {
            Self::here(text.as_bytes())
        } else {
            Self(Kept::Shared(Bytes::copy_from_slice(text.as_bytes())))
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::checked(Bytes::from(text.into_bytes()))
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
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
