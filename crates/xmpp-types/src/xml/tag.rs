//! What stands inside a token: names, attributes, references.

use std::ops::Range;

use super::chars::{CLASS, class, is_char, is_ncname};
use super::error::{Limit, XmlError};

pub(super) use super::chars::is_space;

/// A name with an optional prefix, as two places in a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QName {
    /// Empty where there is no prefix.
    pub(super) prefix: Range<usize>,
    pub(super) local: Range<usize>,
}

/// An attribute as it stands in a tag.
#[derive(Clone, Debug)]
pub(super) struct RawAttribute {
    pub(super) name: QName,
    pub(super) value: Range<usize>,
    /// Whether the value is as it stands, without references and without white space to normalise.
    pub(super) plain: bool,
}

/// A start tag, but for its attributes.
#[derive(Clone, Debug)]
pub(super) struct StartTag {
    pub(super) name: QName,
    /// Whether the element ends with its start tag.
    pub(super) empty: bool,
}

const TAG: XmlError = XmlError::not_well_formed("a tag is malformed");
const NAME: XmlError = XmlError::not_well_formed("a name is malformed");
const CHARACTER: XmlError = XmlError::not_well_formed("there is a character that XML does not allow");

/// Reads a complete start tag; its attributes replace those in `attributes`.
pub(super) fn start_tag(
    tag: &str,
    attributes_max: usize,
    attributes: &mut Vec<RawAttribute>,
) -> Result<StartTag, XmlError> {
    attributes.clear();
    let octets = tag.as_bytes();
    let name = qname(tag, 1)?;
    let mut at = name.local.end;
    loop {
        let spaced = skip_space(octets, &mut at);
        match octets.get(at) {
            Some(b'>') => return Ok(StartTag { name, empty: false }),
            Some(b'/') if octets.get(at + 1) == Some(&b'>') => return Ok(StartTag { name, empty: true }),
            Some(_) if spaced => {}
            Some(_) | None => return Err(TAG),
        }
        if attributes.len() == attributes_max {
            return Err(XmlError::over(Limit::Attributes));
        }
        let attribute = attribute(tag, at)?;
        at = attribute.value.end + 1;
        attributes.push(attribute);
    }
}

/// Reads a complete end tag, and returns the name as it stands.
pub(super) fn end_tag(tag: &str) -> Result<&str, XmlError> {
    let inner = tag.strip_prefix("</").and_then(|rest| rest.strip_suffix('>')).ok_or(TAG)?;
    Ok(inner.trim_end_matches([' ', '\t', '\n', '\r']))
}

fn attribute(tag: &str, from: usize) -> Result<RawAttribute, XmlError> {
    let octets = tag.as_bytes();
    let name = qname(tag, from)?;
    let mut at = name.local.end;
    skip_space(octets, &mut at);
    if octets.get(at) != Some(&b'=') {
        return Err(TAG);
    }
    at += 1;
    skip_space(octets, &mut at);
    let quote = match octets.get(at) {
        Some(quote @ (b'\'' | b'"')) => *quote,
        Some(_) | None => return Err(TAG),
    };
    let start = at + 1;
    let mut plain = true;
    at = start;
    loop {
        let octet = *octets.get(at).ok_or(TAG)?;
        if octet == quote {
            return Ok(RawAttribute { name, value: start..at, plain });
        }
        match CLASS[octet as usize] {
            class::PLAIN | class::BRACKET => {}
            class::DECODE | class::SPACE => plain = false,
            class::HIGH if !is_noncharacter(octets, at) => {}
            _ => return Err(CHARACTER),
        }
        at += 1;
    }
}

fn qname(tag: &str, from: usize) -> Result<QName, XmlError> {
    let octets = &tag.as_bytes()[from..];
    let ends = |octet: &u8| matches!(octet, b' ' | b'=' | b'>' | b'/' | b'\t' | b'\n' | b'\r' | b'\'' | b'"');
    let end = from + octets.iter().position(ends).ok_or(TAG)?;
    let name = &tag[from..end];
    match name.as_bytes().iter().position(|octet| *octet == b':') {
        // Whether the parts are names is asked where they are used, for most are known by heart.
        None => Ok(QName { prefix: from..from, local: from..end }),
        Some(0) => Err(NAME),
        Some(colon) => Ok(QName { prefix: from..from + colon, local: from + colon + 1..end }),
    }
}

fn skip_space(octets: &[u8], at: &mut usize) -> bool {
    let from = *at;
    while octets.get(*at).is_some_and(|octet| is_space(*octet)) {
        *at += 1;
    }
    *at > from
}

/// U+FFFE and U+FFFF, the only characters above the controls that XML 1.0 §2.2 forbids.
fn is_noncharacter(octets: &[u8], at: usize) -> bool {
    matches!(octets.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF]))
}

/// Returns an attribute's value, normalised (XML 1.0 §3.3.3).
pub(super) fn attribute_value(raw: &str) -> Result<String, XmlError> {
    decode(raw, |octet| match octet {
        b'\t' | b'\n' | b'\r' => Some(" "),
        _ => None,
    })
}

/// Returns character data with its references replaced and its line ends normalised (XML 1.0 §2.11).
pub(super) fn text(raw: &str) -> Result<String, XmlError> {
    if text_is_plain(raw, true)? {
        return Ok(raw.to_owned());
    }
    decode(raw, line_end)
}

/// Returns what a CDATA section holds.
pub(super) fn character_data(section: &str) -> Result<String, XmlError> {
    let raw = section.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>")).ok_or(TAG)?;
    text_is_plain(raw, false)?;
    if !raw.contains('\r') {
        return Ok(raw.to_owned());
    }
    Ok(raw.replace("\r\n", "\n").replace('\r', "\n"))
}

fn line_end(octet: u8) -> Option<&'static str> {
    (octet == b'\r').then_some("\n")
}

/// Checks every character, and returns whether the text is as it stands.
fn text_is_plain(raw: &str, is_parsed: bool) -> Result<bool, XmlError> {
    let octets = raw.as_bytes();
    let mut plain = true;
    for (at, octet) in octets.iter().enumerate() {
        match CLASS[*octet as usize] {
            class::PLAIN | class::SPACE => {}
            class::DECODE => plain = false,
            class::BRACKET if is_parsed && octets[at..].starts_with(b"]]>") => {
                return Err(XmlError::not_well_formed("there is a ]]> in text"));
            }
            class::BRACKET => {}
            class::HIGH if !is_noncharacter(octets, at) => {}
            _ if *octet == b'<' && !is_parsed => {}
            _ => return Err(CHARACTER),
        }
    }
    Ok(plain)
}

fn decode(raw: &str, replace: impl Fn(u8) -> Option<&'static str>) -> Result<String, XmlError> {
    let octets = raw.as_bytes();
    let mut decoded = String::with_capacity(raw.len());
    let mut copied = 0;
    let mut at = 0;
    while at < octets.len() {
        let replacement = replace(octets[at]);
        if replacement.is_none() && octets[at] != b'&' {
            at += 1;
            continue;
        }
        decoded.push_str(&raw[copied..at]);
        match replacement {
            // The two octets of a line end count as one (§2.11), also inside attributes.
            Some(replacement) => {
                decoded.push_str(replacement);
                at += if octets[at..].starts_with(b"\r\n") { 2 } else { 1 };
            }
            None => {
                let (c, length) = reference(&raw[at..])?;
                decoded.push(c);
                at += length;
            }
        }
        copied = at;
    }
    decoded.push_str(&raw[copied..]);
    Ok(decoded)
}

/// Reads the reference at the beginning of `raw`, and returns its octets' number.
fn reference(raw: &str) -> Result<(char, usize), XmlError> {
    const MALFORMED: XmlError = XmlError::not_well_formed("a reference is malformed");
    let end = raw.find(';').ok_or(MALFORMED)?;
    let name = &raw[1..end];
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => match name.strip_prefix('#') {
            Some(number) => character(number).ok_or(MALFORMED)?,
            None if is_ncname(name) => {
                return Err(XmlError::restricted("entities other than the five predefined are not allowed"));
            }
            None => return Err(MALFORMED),
        },
    };
    Ok((c, end + 1))
}

/// The character of a character reference (XML 1.0 §4.1), if a document may hold it at all.
fn character(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).filter(|c| is_char(*c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamCondition;

    #[test]
    fn references_are_read_once() {
        assert_eq!(text("a&amp;lt;&lt;&#60;&#x3C;&quot;&apos;&gt;").as_deref(), Ok("a&lt;<<<\"'>"));
    }

    #[test]
    fn line_ends_are_normalised_but_not_references_to_them() {
        assert_eq!(text("a\r\nb\rc\n&#13;&#10;").as_deref(), Ok("a\nb\nc\n\r\n"));
        assert_eq!(attribute_value("a\r\nb\rc\nd\te&#9;&#10;&#13;").as_deref(), Ok("a b c d e\t\n\r"));
        assert_eq!(character_data("<![CDATA[<&amp;>\r\n]]]]>").as_deref(), Ok("<&amp;>\n]]"));
    }

    #[test]
    fn references_to_what_is_no_character_are_refused() {
        for wrong in [
            "&#0;",
            "&#xD800;",
            "&#x110000;",
            "&#4294967360;",
            "&#xFFFE;",
            "&#;",
            "&#x;",
            "&#X41;",
            "&;",
            "&",
            "&#-1;",
            "&#+65;",
            "& amp;",
            "&amp",
            "&#1;",
            "&a:b;",
        ] {
            assert_eq!(text(wrong).unwrap_err().condition, StreamCondition::NotWellFormed, "{wrong}");
        }
        assert_eq!(text("&nbsp;").unwrap_err().condition, StreamCondition::RestrictedXml);
    }

    #[test]
    fn text_that_looks_like_markup_is_refused() {
        assert!(text("a]]>b").is_err());
        assert_eq!(text("a]] >]>").as_deref(), Ok("a]] >]>"));
        assert!(text("\u{1}").is_err());
        assert!(text("\u{FFFE}").is_err());
        assert_eq!(text("\u{F000}\u{FFFD}").as_deref(), Ok("\u{F000}\u{FFFD}"));
    }
}
