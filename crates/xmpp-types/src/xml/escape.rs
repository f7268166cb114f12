//! Escapes of the canonical printer.

/// Writes character data (XML 1.0 §2.4). `>` is always escaped, so that `]]>` cannot arise.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    write(text, out, |octet| match octet {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        // A reader would turn it into a line feed (XML 1.0 §2.11).
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

/// Writes an attribute's value for single quotes.
pub(crate) fn write_attribute(value: &str, out: &mut Vec<u8>) {
    write(value, out, |octet| match octet {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\'' => Some(b"&apos;"),
        // A reader would turn each of these into a space (XML 1.0 §3.3.3).
        b'\t' => Some(b"&#9;"),
        b'\n' => Some(b"&#10;"),
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

fn write(text: &str, out: &mut Vec<u8>, escape: impl Fn(u8) -> Option<&'static [u8]>) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, octet) in bytes.iter().enumerate() {
        if let Some(escaped) = escape(*octet) {
            out.extend_from_slice(&bytes[written..at]);
            out.extend_from_slice(escaped);
            written = at + 1;
        }
    }
    out.extend_from_slice(&bytes[written..]);
}
