//! Text that XML can carry.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use super::chars::{CLASS, class};
use super::name::legal_text;

/// Character data without a character that XML 1.0 forbids.
///
/// One forbidden character in a stanza closes the stream for everybody who uses it, so there is no way
/// to make a text that holds one: what cannot be carried becomes U+FFFD.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XmlText(String);

impl XmlText {
    /// Returns `text` as XML can carry it, and how many characters had to be replaced.
    #[must_use]
    pub fn clean(text: &str) -> (Self, usize) {
        let clean = Self::from(text);
        let lost = clean.chars().zip(text.chars()).filter(|(mine, theirs)| mine != theirs).count();
        (clean, lost)
    }

    /// Returns the characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the characters as a string of the caller's own.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    pub(super) fn from_checked(text: String) -> Self {
        Self(text)
    }

    pub(super) fn append(&mut self, more: &Self) {
        self.0.push_str(&more.0);
    }
}

impl From<String> for XmlText {
    fn from(text: String) -> Self {
        if text.bytes().all(|octet| CLASS[octet as usize] < class::HIGH || octet == b'<') {
            return Self(text);
        }
        match legal_text(&text) {
            Cow::Borrowed(_) => Self(text),
            Cow::Owned(legal) => Self(legal),
        }
    }
}

impl From<&str> for XmlText {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<&String> for XmlText {
    fn from(text: &String) -> Self {
        Self::from(text.clone())
    }
}

impl From<Cow<'_, str>> for XmlText {
    fn from(text: Cow<'_, str>) -> Self {
        Self::from(text.into_owned())
    }
}

impl From<XmlText> for String {
    fn from(text: XmlText) -> Self {
        text.0
    }
}

impl Deref for XmlText {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for XmlText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for XmlText {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for XmlText {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for XmlText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for XmlText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_carry_is_replaced_and_counted() {
        let (text, lost) = XmlText::clean("a\0b\u{FFFF}c\u{FFFD}\t<");

        assert_eq!(text, "a\u{FFFD}b\u{FFFD}c\u{FFFD}\t<");
        assert_eq!(lost, 2);
    }

    #[test]
    fn text_that_xml_can_carry_is_untouched() {
        for text in ["", "plain", "<&>]]>'\"\r\n\t", "\u{EFFF}\u{FEFF}é日😀\u{7F}\u{85}"] {
            assert_eq!(XmlText::clean(text), (XmlText(text.to_owned()), 0));
        }
    }
}
