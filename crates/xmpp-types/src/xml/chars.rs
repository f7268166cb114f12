//! Which characters XML admits (XML 1.0, fifth edition, §2.2 and §2.3).

/// Tells whether an octet of UTF-8 needs a second look inside text or an attribute's value.
///
/// `0` is plain; otherwise see the constants of [`class`].
pub(super) const CLASS: [u8; 256] = classes();

pub(super) mod class {
    pub(in crate::xml) const PLAIN: u8 = 0;
    /// `&`, or the carriage return, which line-end normalisation changes.
    pub(in crate::xml) const DECODE: u8 = 1;
    /// Tab and line feed, which only attribute normalisation changes.
    pub(in crate::xml) const SPACE: u8 = 2;
    /// `]`, which may begin the forbidden `]]>`.
    pub(in crate::xml) const BRACKET: u8 = 3;
    /// `0xEF`, the first octet of U+FFFE and U+FFFF.
    pub(in crate::xml) const HIGH: u8 = 4;
    /// A control character that no document may hold, or `<`.
    pub(in crate::xml) const REFUSED: u8 = 5;
}

const fn classes() -> [u8; 256] {
    let mut table = [class::PLAIN; 256];
    let mut octet = 0;
    while octet < 0x20 {
        table[octet] = class::REFUSED;
        octet += 1;
    }
    table[b'\t' as usize] = class::SPACE;
    table[b'\n' as usize] = class::SPACE;
    table[b'\r' as usize] = class::DECODE;
    table[b'&' as usize] = class::DECODE;
    table[b'<' as usize] = class::REFUSED;
    table[b']' as usize] = class::BRACKET;
    table[0xEF] = class::HIGH;
    table
}

/// Returns whether XML can carry `c`: whether it is a `Char` (XML 1.0 §2.2).
#[must_use]
pub const fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Returns whether `octet` is white space (XML 1.0 §2.3).
pub(super) const fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns whether `name` is a name without a colon (XML-NAMES §3).
pub(super) fn is_ncname(name: &str) -> bool {
    let bytes = name.as_bytes();
    match bytes.first() {
        None => return false,
        Some(first) if first.is_ascii() && NAME[*first as usize] != START => return false,
        Some(_) => {}
    }
    if bytes.iter().all(|octet| NAME[*octet as usize] & PART != 0) {
        return true;
    }
    if bytes.iter().any(|octet| octet.is_ascii() && NAME[*octet as usize] == 0) {
        return false;
    }
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_part)
}

/// An ASCII character that may be inside a name, but not begin it.
const PART: u8 = 1;
/// An ASCII character that may begin a name; `PART` is one of its bits.
const START: u8 = 3;

const NAME: [u8; 256] = names();

const fn names() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 128 {
        let c = octet as u8;
        if c.is_ascii_alphabetic() || c == b'_' {
            table[octet] = START;
        } else if c.is_ascii_digit() || c == b'-' || c == b'.' {
            table[octet] = PART;
        }
        octet += 1;
    }
    table
}

/// `NameStartChar` without the colon (XML 1.0 §2.3).
pub(super) const fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z' | '_'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}'
        | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

/// `NameChar` without the colon (XML 1.0 §2.3).
pub(super) const fn is_name_part(c: char) -> bool {
    is_name_start(c)
        || matches!(c,
            '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_a_letter_and_hold_no_colon() {
        for name in ["a", "_", "message", "handled-count-too-high", "é", "x.1", "日本"] {
            assert!(is_ncname(name), "{name}");
        }
        for name in ["", "1", "-a", ".", "a:b", "a b", "a\u{D7}", "\u{300}a", "a<", "é:"] {
            assert!(!is_ncname(name), "{name}");
        }
    }

    #[test]
    fn characters_are_those_of_xml_1_0() {
        for c in ['\t', '\n', '\r', ' ', '\u{7F}', '\u{85}', '\u{2028}', '\u{FFFD}', '\u{10FFFF}'] {
            assert!(is_char(c), "{c:?}");
        }
        for c in ['\0', '\u{1}', '\u{1B}', '\u{1F}', '\u{FFFE}', '\u{FFFF}'] {
            assert!(!is_char(c), "{c:?}");
        }
    }
}
