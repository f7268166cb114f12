use std::borrow::Cow;

use crate::octets::{self, PARAM, USER, hex};

/// Returns `text` as it may stand in a user part: all but the characters of RFC 3261 §25.1 `user` percent-encoded.
#[must_use]
pub fn escape_user(text: &str) -> Cow<'_, str> {
    escape(text, USER)
}

/// Returns `text` as it may stand in a URI parameter such as `gr`: all but `paramchar` percent-encoded.
#[must_use]
pub fn escape_param(text: &str) -> Cow<'_, str> {
    escape(text, PARAM)
}

/// Returns `text` with its percent-escapes undone once; `None` if an escape is broken or the result is not UTF-8.
#[must_use]
pub fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let &[high, low, ref after @ ..] = after else { return None };
            plain.push(hex(high)? << 4 | hex(low)?);
            rest = after;
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    String::from_utf8(plain).ok().map(Cow::Owned)
}

/// Returns the octets of a URI's part with needless escapes undone: characters outside RFC 2396's
/// `reserved` set equal their escape (RFC 3261 §19.1.4); an escaped reserved one is told apart by a high bit.
pub(super) fn significant(text: &str) -> impl Iterator<Item = u16> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        if let (b'%', [high, low, behind @ ..]) = (*first, after)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            rest = behind;
            let octet = high << 4 | low;
            let reserved =
                matches!(octet, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',');
            return Some(if reserved { 0x100 | u16::from(octet) } else { u16::from(octet) });
        }
        rest = after;
        Some(u16::from(*first))
    })
}

fn escape(text: &str, class: u8) -> Cow<'_, str> {
    if octets::all(text.as_bytes(), class) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for octet in text.bytes() {
        if octets::is(octet, class) {
            escaped.push(char::from(octet));
        } else {
            escaped.push('%');
            escaped.push(char::from(HEX[usize::from(octet >> 4)]));
            escaped.push(char::from(HEX[usize::from(octet & 15)]));
        }
    }
    Cow::Owned(escaped)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_part_escapes_what_the_grammar_forbids_and_no_more() {
        assert_eq!(escape_user("o'neil!$&()*+,-./;=?_~"), "o'neil!$&()*+,-./;=?_~");
        assert_eq!(
            escape_user("\"#%:<>@[\\]^`{|} \u{0}"),
            "%22%23%25%3A%3C%3E%40%5B%5C%5D%5E%60%7B%7C%7D%20%00"
        );
        assert_eq!(escape_user("müller"), "m%C3%BCller");
    }

    #[test]
    fn a_parameter_escapes_by_its_own_set() {
        assert_eq!(escape_param("Büro PC"), "B%C3%BCro%20PC");
        assert_eq!(escape_param("a=b;c?d,[e]/:&+$"), "a%3Db%3Bc%3Fd%2C[e]/:&+$");
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(unescape("v%61lue%25%34%31").unwrap(), "value%41");
        assert_eq!(unescape("bob%c0%ae"), None);
        assert_eq!(unescape("bob%4"), None);
        assert_eq!(unescape("bob%zz"), None);
    }
}
