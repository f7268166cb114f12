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
/// One choice for all charsets: octets that mean nothing become U+FFFD and are counted as a loss. A byte
/// order mark is left out, but does not overrule the charset that the sender named.
///
/// # Errors
/// The charset's name is none that the WHATWG encoding standard knows.
pub fn decode_text<'a>(charset: Option<&str>, octets: &'a [u8]) -> Result<Decoded<'a>, UnknownCharset> {
    let encoding = match charset {
        None => encoding_rs::UTF_8,
        Some(label) => Encoding::for_label_no_replacement(label.as_bytes()).ok_or(UnknownCharset)?,
    };
    let (text, replaced) = encoding.decode_with_bom_removal(octets);
    Ok(Decoded { text, replaced })
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
            (Some("utf-16le"), b"c\0a\0f\0\xE9\0"),
        ] {
            let decoded = decode_text(charset, octets).unwrap();

            assert_eq!(decoded, Decoded { text: Cow::Borrowed("caf\u{e9}"), replaced: false }, "{charset:?}");
        }
    }

    #[test]
    fn octets_that_mean_nothing_are_replaced_and_counted() {
        let decoded = decode_text(None, b"a\xED\xA0\xBDb").unwrap();

        assert!(decoded.replaced);
        assert!(
            decoded.text.starts_with('a') && decoded.text.ends_with('b') && decoded.text.contains('\u{FFFD}')
        );
    }

    #[test]
    fn an_unknown_charset_is_refused() {
        for charset in ["x-evil\"><", "", "utf-7", "hz-gb-2312"] {
            assert_eq!(decode_text(Some(charset), b"x"), Err(UnknownCharset), "{charset}");
        }
    }
}
