//! Where a token ends, found without looking at an octet twice.
//!
//! Only a complete token is read any further. The verdict on a stream is therefore the same however its
//! octets were split.

use super::error::XmlError;
use super::tag::is_space;

/// The kinds of token that RFC 6120 §11 leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    StartTag,
    EndTag,
    Text,
    CharacterData,
}

/// What is known about the token at the beginning of some octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// It goes on in octets that are not there yet.
    Incomplete,
    /// It has this many octets.
    Complete { kind: Kind, length: usize },
    /// It is refused on account of its first `seen` octets.
    Refused { seen: usize, error: XmlError },
}

/// The scanner's memory of an incomplete token.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scanner {
    /// Octets of the token that need not be looked at again.
    seen: usize,
    /// The quotation mark that the scanner is inside of.
    quote: Option<u8>,
}

const CHARACTER_DATA: &[u8] = b"<![CDATA[";
const DECLARATION: &[u8] = b"<?xml";

impl Scanner {
    /// Looks for the end of the token at the beginning of `octets`.
    ///
    /// Until the token is complete, later calls must pass the same octets again and more behind them.
    pub(super) fn scan(&mut self, octets: &[u8]) -> Scanned {
        let scanned = match octets {
            [] | [b'<'] => Scanned::Incomplete,
            [b'<', b'!', ..] => self.character_data(octets),
            [b'<', b'?', ..] => instruction(octets),
            [b'<', b'/', ..] => self.tag(Kind::EndTag, octets),
            [b'<', ..] => self.tag(Kind::StartTag, octets),
            _ => self.text(octets),
        };
        if scanned != Scanned::Incomplete {
            *self = Self::default();
        }
        scanned
    }

    fn text(&mut self, octets: &[u8]) -> Scanned {
        match memchr::memchr(b'<', &octets[self.seen..]) {
            Some(at) => Scanned::Complete { kind: Kind::Text, length: self.seen + at },
            None => {
                self.seen = octets.len();
                Scanned::Incomplete
            }
        }
    }

    fn tag(&mut self, kind: Kind, octets: &[u8]) -> Scanned {
        let mut from = self.seen.max(1);
        loop {
            let rest = &octets[from..];
            let found = match self.quote {
                Some(quote) => memchr::memchr2(quote, b'<', rest),
                // Between values there is seldom more than a name, too short for a search of many octets.
                None => rest.iter().position(|octet| matches!(octet, b'>' | b'\'' | b'"' | b'<')),
            };
            let Some(at) = found.map(|found| from + found) else {
                self.seen = octets.len();
                return Scanned::Incomplete;
            };
            from = at + 1;
            match (octets[at], self.quote) {
                (b'<', _) => {
                    let error = XmlError::not_well_formed("there is a < inside a tag");
                    return Scanned::Refused { seen: at + 1, error };
                }
                (b'>', _) => return Scanned::Complete { kind, length: at + 1 },
                (_, Some(_)) => self.quote = None,
                (quote, None) => self.quote = Some(quote),
            }
        }
    }

    fn character_data(&mut self, octets: &[u8]) -> Scanned {
        if let Some(differs) = octets.iter().zip(CHARACTER_DATA).position(|(mine, theirs)| mine != theirs) {
            let error = if matches!(octets[differs], b'-' | b'D' | b'E' | b'A' | b'N') && differs == 2 {
                XmlError::restricted("comments and document types are not allowed")
            } else {
                XmlError::not_well_formed("there is a <! that begins nothing")
            };
            return Scanned::Refused { seen: differs + 1, error };
        }
        let from = self.seen.saturating_sub(2).max(CHARACTER_DATA.len()).min(octets.len());
        match memchr::memmem::find(&octets[from..], b"]]>") {
            Some(at) => Scanned::Complete { kind: Kind::CharacterData, length: from + at + 3 },
            None => {
                self.seen = octets.len();
                Scanned::Incomplete
            }
        }
    }
}

/// Refuses a processing instruction (RFC 6120 §11.1), or an XML declaration that is not at the beginning.
fn instruction(octets: &[u8]) -> Scanned {
    let restricted = XmlError::restricted("processing instructions are not allowed");
    match octets.iter().zip(DECLARATION).position(|(mine, theirs)| mine != theirs) {
        Some(differs) => Scanned::Refused { seen: differs + 1, error: restricted },
        None => match octets.get(DECLARATION.len()) {
            None => Scanned::Incomplete,
            Some(octet) if is_space(*octet) => Scanned::Refused {
                seen: DECLARATION.len() + 1,
                error: XmlError::not_well_formed("there is an XML declaration inside the stream"),
            },
            Some(_) => Scanned::Refused { seen: DECLARATION.len() + 1, error: restricted },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn scanned(octets: &str) -> Scanned {
        let whole = Scanner::default().scan(octets.as_bytes());
        let mut scanner = Scanner::default();
        let mut piecewise = Scanned::Incomplete;
        for end in 1..=octets.len() {
            piecewise = scanner.scan(&octets.as_bytes()[..end]);
            if piecewise != Scanned::Incomplete {
                break;
            }
        }
        assert_eq!(whole, piecewise);
        whole
    }

    #[test]
    fn a_tag_ends_at_the_first_bracket_outside_quotes() {
        assert_eq!(scanned("<a b='>' c=\">'\">x"), Scanned::Complete { kind: Kind::StartTag, length: 16 });
        assert_eq!(scanned("</a >"), Scanned::Complete { kind: Kind::EndTag, length: 5 });
        assert_eq!(scanned("<a b='>"), Scanned::Incomplete);
    }

    #[test]
    fn text_ends_before_a_tag() {
        assert_eq!(scanned("abc<"), Scanned::Complete { kind: Kind::Text, length: 3 });
        assert_eq!(scanned("abc"), Scanned::Incomplete);
    }

    #[test]
    fn character_data_ends_after_its_mark() {
        let length = "<![CDATA[a]]]>".len();
        assert_eq!(scanned("<![CDATA[a]]]>"), Scanned::Complete { kind: Kind::CharacterData, length });
        assert_eq!(scanned("<![CDATA[]]>x]]>"), Scanned::Complete { kind: Kind::CharacterData, length: 12 });
        assert_eq!(scanned("<![CDATA["), Scanned::Incomplete);
    }

    #[test]
    fn what_is_refused_is_refused_at_the_octet_that_shows_it() {
        for (octets, at) in [
            ("<!DOCTYPE", 3),
            ("<!-- ", 3),
            ("<![CDAT[", 8),
            ("<?php", 3),
            ("<?xml ", 6),
            ("<?xml-stylesheet", 6),
            ("<a <", 4),
            ("<a b='<", 7),
        ] {
            assert!(matches!(scanned(octets), Scanned::Refused { seen, .. } if seen == at), "{octets}");
        }
    }
}
