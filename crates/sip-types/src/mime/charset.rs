use std::borrow::Cow;

use encoding_rs::Encoding;

/// A text in UTF-8 and whether all of it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// Whether octets that mean nothing in the charset became U+FFFD.
    pub replaced: bool,
}

/// No text is made of a charset that nobody knows: 415 (RFC 3261 §21.4.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCharset;

/// Returns `octets`, written in `charset`, in UTF-8; without a charset they are UTF-8 (RFC 3261 §7.4.1).
///
/// One choice for all charsets: octets that mean nothing become U+FFFD and are counted as a loss. Refusing
/// would lose a whole text for one octet; truncating would change its meaning. A byte order mark is left out,
/// but does not overrule the charset that the sender named.
///
/// # Errors
/// The charset's name is none that the WHATWG encoding standard knows.
pub fn decode_text<'a>(charset: Option<&str>, octets: &'a [u8]) -> Result<Decoded<'a>, UnknownCharset> {
    let encoding = match charset {
        None => encoding_rs::UTF_8,
        Some(label) => encoding_of(label.trim(), octets).ok_or(UnknownCharset)?,
    };
    let (text, replaced) = encoding.decode_with_bom_removal(octets);
    Ok(Decoded { text, replaced })
}

fn encoding_of(label: &str, octets: &[u8]) -> Option<&'static Encoding> {
    let is = |names: &[&str]| names.iter().any(|name| label.eq_ignore_ascii_case(name));
    if is(&["utf-8", "us-ascii", "ascii", "ansi_x3.4-1968"]) {
        // US-ASCII is read as the superset that mislabelling clients mean.
        return Some(encoding_rs::UTF_8);
    }
    if is(&["utf-16"]) {
        // Without an order in its name, the mark tells it; without a mark it is big-endian (RFC 2781 §4.3).
        let is_little = octets.starts_with(&[0xFF, 0xFE]);
        return Some(if is_little { encoding_rs::UTF_16LE } else { encoding_rs::UTF_16BE });
    }
    Encoding::for_label_no_replacement(label.as_bytes())
}

impl std::fmt::Display for UnknownCharset {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the charset is unknown")
    }
}

impl std::error::Error for UnknownCharset {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_in_its_charset() {
        for (charset, octets) in [
            (None, "caf\u{e9}".as_bytes()),
            (Some("utf-8"), b"\xEF\xBB\xBFcaf\xC3\xA9"),
            (Some("ISO-8859-1"), b"caf\xE9"),
            (Some("windows-1252"), b"caf\xE9"),
            (Some("ISO-8859-15"), b"caf\xE9"),
            (Some(" US-ASCII "), "caf\u{e9}".as_bytes()),
            (Some("utf-16le"), b"c\0a\0f\0\xE9\0"),
            (Some("UTF-16"), b"\xFF\xFEc\0a\0f\0\xE9\0"),
            (Some("UTF-16"), b"\xFE\xFF\0c\0a\0f\0\xE9"),
            (Some("UTF-16"), b"\0c\0a\0f\0\xE9"),
        ] {
            let decoded = decode_text(charset, octets).unwrap();

            assert_eq!(decoded, Decoded { text: Cow::Borrowed("caf\u{e9}"), replaced: false }, "{charset:?}");
        }
    }

    #[test]
    fn octets_that_mean_nothing_are_replaced_and_counted() {
        for (charset, octets) in [
            (None, &b"a\xED\xA0\xBDb"[..]),
            (Some("us-ascii"), b"a\xFFb"),
            (Some("utf-16be"), b"\0a\xD8\0\0b"),
            (Some("utf-16be"), b"\0a\0"),
        ] {
            let decoded = decode_text(charset, octets).unwrap();

            assert!(decoded.replaced, "{charset:?}");
            assert!(decoded.text.starts_with('a') && decoded.text.contains('\u{FFFD}'), "{charset:?}");
        }
    }

    #[test]
    fn an_unknown_charset_is_refused() {
        for charset in ["x-evil\"><", "", "utf-7", "hz-gb-2312"] {
            assert_eq!(decode_text(Some(charset), b"x"), Err(UnknownCharset), "{charset}");
        }
    }
}
