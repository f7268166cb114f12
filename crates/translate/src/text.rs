//! Text between octets, XML and header values.

use std::borrow::Cow;

/// A text read from octets, and how many of its pieces were not text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Whether octets that mean nothing in the charset became U+FFFD.
    pub(crate) replaced: bool,
}

/// The charset has no decoder here: 415 (RFC 3261 §21.4.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownCharset;

/// Reads `octets` in the charset `label`; UTF-8 if there is none, because that is what RFC 7572 §7 lets a
/// peer send and what every client that says nothing means.
///
/// One choice for octets that the charset does not define, whatever the charset: U+FFFD, counted as a loss.
/// Refusing would lose a whole text for one octet; truncating would change its meaning.
pub(crate) fn decode<'a>(label: Option<&str>, octets: &'a [u8]) -> Result<Decoded<'a>, UnknownCharset> {
    let label = label.unwrap_or("utf-8").trim();
    let is = |names: &[&str]| names.iter().any(|name| label.eq_ignore_ascii_case(name));
    if is(&["utf-8", "utf8", "us-ascii", "ascii"]) {
        // US-ASCII is read as the superset that mislabelling clients mean.
        let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
        let text = String::from_utf8_lossy(octets);
        let replaced = matches!(text, Cow::Owned(_));
        return Ok(Decoded { text, replaced });
    }
    if is(&["iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1"]) {
        return Ok(single(octets, |octet| Some(char::from(octet))));
    }
    if is(&["iso-8859-15", "iso8859-15", "latin-9", "latin9"]) {
        return Ok(single(octets, |octet| Some(latin9(octet))));
    }
    if is(&["windows-1252", "cp1252"]) {
        return Ok(single(octets, windows_1252));
    }
    if is(&["utf-16", "utf-16le", "utf-16be"]) {
        return Ok(utf_16(label, octets));
    }
    Err(UnknownCharset)
}

/// Removes what XML 1.0 §2.2 cannot carry; tells whether there was any. Tab, CR and LF stay: a text's line
/// ends are not rewritten.
pub(crate) fn clean_for_xml(text: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    if text.chars().all(is_xml) {
        return (text, false);
    }
    (Cow::Owned(text.chars().filter(|c| is_xml(*c)).collect()), true)
}

/// A text as one line of a header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) breaks: bool,
    pub(crate) controls: bool,
    pub(crate) shortened: bool,
}

/// Makes `text` one line of at most `octets_max`: runs of line breaks become one space, other controls go, and
/// the ends are trimmed. What comes out cannot start another header (RFC 3261 §7.3.1).
pub(crate) fn clean_for_header(text: &str, octets_max: usize) -> Line<'_> {
    let trimmed = text.trim_matches([' ', '\t']);
    if trimmed.len() <= octets_max && !trimmed.chars().any(char::is_control) {
        return Line { text: Cow::Borrowed(trimmed), breaks: false, controls: false, shortened: false };
    }
    let mut line = Line { text: Cow::Borrowed(""), breaks: false, controls: false, shortened: false };
    let mut out = String::with_capacity(trimmed.len().min(octets_max));
    for c in trimmed.chars() {
        let c = match c {
            '\r' | '\n' => {
                line.breaks = true;
                ' '
            }
            '\t' => ' ',
            c if c.is_control() => {
                line.controls = true;
                continue;
            }
            c => c,
        };
        if c == ' ' && (out.is_empty() || out.ends_with(' ')) {
            continue;
        }
        if out.len() + c.len_utf8() > octets_max {
            line.shortened = true;
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end_matches(' ').len());
    line.text = Cow::Owned(out);
    line
}

/// Tells whether a reader sees nothing of `c`, or sees its neighbours in another order. Such a character makes
/// two addresses look equal, so none is let into one.
pub(crate) const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}'
        | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

const fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

fn single(octets: &[u8], read: impl Fn(u8) -> Option<char>) -> Decoded<'static> {
    let mut replaced = false;
    let text = octets
        .iter()
        .map(|octet| {
            read(*octet).unwrap_or_else(|| {
                replaced = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    Decoded { text: Cow::Owned(text), replaced }
}

const fn latin9(octet: u8) -> char {
    match octet {
        0xA4 => '€',
        0xA6 => 'Š',
        0xA8 => 'š',
        0xB4 => 'Ž',
        0xB8 => 'ž',
        0xBC => 'Œ',
        0xBD => 'œ',
        0xBE => 'Ÿ',
        _ => octet as char,
    }
}

const fn windows_1252(octet: u8) -> Option<char> {
    const HIGH: [char; 32] = [
        '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’',
        '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
    ];
    match octet {
        0x80..=0x9F => match HIGH[(octet - 0x80) as usize] {
            '\0' => None,
            c => Some(c),
        },
        _ => Some(octet as char),
    }
}

/// Reads UTF-16: the label's order, else the byte order mark's, else big-endian (RFC 2781 §4.3).
fn utf_16(label: &str, octets: &[u8]) -> Decoded<'static> {
    let little = label.eq_ignore_ascii_case("utf-16le") || octets.starts_with(&[0xFF, 0xFE]);
    let units = octets.chunks(2).map(|pair| match *pair {
        [first, second] if little => u16::from_le_bytes([first, second]),
        [first, second] => u16::from_be_bytes([first, second]),
        // Half a unit at the end is no character.
        _ => 0xDC00,
    });
    let mut replaced = false;
    let text: String = char::decode_utf16(units)
        .map(|unit| {
            unit.unwrap_or_else(|_| {
                replaced = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    let text = text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text);
    Decoded { text: Cow::Owned(text), replaced }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_charset_reads_its_own_octets() {
        for (label, octets, text) in [
            (None, "Grüße".as_bytes(), "Grüße"),
            (Some("UTF-8"), b"\xEF\xBB\xBFa".as_slice(), "a"),
            (Some("iso-8859-1"), b"caf\xE9", "café"),
            (Some("ISO-8859-15"), b"5 \xA4", "5 €"),
            (Some("windows-1252"), b"\x93a\x94", "“a”"),
            (Some("utf-16"), b"\xFF\xFEa\0", "a"),
            (Some("utf-16be"), b"\0a", "a"),
        ] {
            let decoded = decode(label, octets).unwrap();

            assert_eq!((decoded.text.as_ref(), decoded.replaced), (text, false), "{label:?}");
        }
    }

    #[test]
    fn octets_that_are_no_text_become_the_replacement_character() {
        for (label, octets) in [
            (None, b"a\xC0\xAFb".as_slice()),
            (Some("us-ascii"), b"a\xFFb"),
            (Some("windows-1252"), b"a\x81b"),
            (Some("utf-16be"), b"\0a\xD8\0\0b"),
            (Some("utf-16be"), b"\0a\0"),
        ] {
            let decoded = decode(label, octets).unwrap();

            assert!(decoded.replaced && decoded.text.contains('\u{FFFD}'), "{label:?} {:?}", decoded.text);
        }
    }

    #[test]
    fn an_unknown_charset_is_refused() {
        assert_eq!(decode(Some("klingon"), b"a"), Err(UnknownCharset));
    }

    #[test]
    fn characters_that_xml_cannot_carry_are_removed() {
        let (text, removed) = clean_for_xml("a\0b\u{8}\tc\r\nd\u{FFFE}\u{FFFF}😀]]>".into());

        assert_eq!((text.as_ref(), removed), ("ab\tc\r\nd😀]]>", true));
    }

    #[test]
    fn a_header_line_has_no_breaks_no_controls_and_no_more_octets_than_allowed() {
        let line = clean_for_header(" a\r\nRoute: evil\0\u{85}b\t ", 100);
        assert_eq!(line.text, "a Route: evilb");
        assert!(line.breaks && line.controls && !line.shortened);

        let line = clean_for_header("ééé", 5);
        assert_eq!((line.text.as_ref(), line.shortened), ("éé", true));
    }
}
