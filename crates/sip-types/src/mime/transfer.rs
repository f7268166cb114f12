use std::borrow::Cow;

use bytes::Bytes;

use super::multipart::Part;
use crate::octets::hex;

impl Part {
    /// Returns the body without its transfer encoding: base64 and quoted-printable are undone (RFC 2045 §6).
    /// `None` if the encoding is another, or the body is not in it.
    #[must_use]
    pub fn decoded(&self) -> Option<Bytes> {
        let encoding = self.headers.get_other("Content-Transfer-Encoding").map(String::from_utf8_lossy);
        let encoding = encoding.unwrap_or(Cow::Borrowed("7bit"));
        let is = |names: &[&str]| names.iter().any(|name| encoding.eq_ignore_ascii_case(name));
        if is(&["7bit", "8bit", "binary"]) {
            Some(self.body.clone())
        } else if is(&["base64"]) {
            base64(&self.body).map(Bytes::from)
        } else if is(&["quoted-printable"]) {
            Some(Bytes::from(quoted_printable(&self.body)))
        } else {
            None
        }
    }
}

fn base64(octets: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(octets.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for octet in octets {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

/// An `=` that is no escape stands for itself (RFC 2045 §6.7, note on robust implementations).
fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'=', [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) => rest = after,
            (b'=', [high, low, after @ ..]) if let (Some(high), Some(low)) = (hex(*high), hex(*low)) => {
                out.push(high << 4 | low);
                rest = after;
            }
            _ => out.push(*first),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Headers;
    use crate::text::{HeaderText, Token};

    #[test]
    fn transfer_encodings_are_undone() {
        let decoded = |encoding: &str, body: &'static str| {
            let mut headers = Headers::default();
            let name = Token::parse("content-transfer-encoding").unwrap();
            headers.push_other(&name, &HeaderText::parse(encoding).unwrap());
            Part { headers, body: Bytes::from_static(body.as_bytes()) }.decoded()
        };

        assert_eq!(decoded("8BIT", "Grüße").unwrap(), "Grüße");
        assert_eq!(decoded("BASE64", "R3LDvMOf\r\nZQ==\r\n").unwrap(), "Grüße");
        assert_eq!(decoded("base64", "R3L*"), None);
        assert_eq!(decoded("quoted-printable", "Gr=C3=BC=\r\n=c3=9fe=zz").unwrap(), "Grüße=zz");
        assert_eq!(decoded("uuencode", "x"), None);
    }
}
