//! Media types and bodies of several parts, as far as a text has to be found in them (RFC 2045, RFC 2046).

use std::borrow::Cow;

/// A content type as written: `text/plain; charset=utf-8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MediaType<'a> {
    main: &'a str,
    sub: &'a str,
    parameters: &'a str,
}

impl<'a> MediaType<'a> {
    /// Reads a content type; `None` if it has no `type/subtype`.
    pub(crate) fn parse(value: &'a str) -> Option<Self> {
        let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
        let (main, sub) = kind.split_once('/')?;
        let (main, sub) = (main.trim(), sub.trim());
        (is_token(main) && is_token(sub)).then_some(Self { main, sub, parameters })
    }

    pub(crate) fn is(&self, main: &str, sub: &str) -> bool {
        self.main.eq_ignore_ascii_case(main) && self.sub.eq_ignore_ascii_case(sub)
    }

    pub(crate) fn is_multipart(&self) -> bool {
        self.main.eq_ignore_ascii_case("multipart")
    }

    /// Returns the value of a parameter, unquoted.
    pub(crate) fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        self.parameters().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the parameters in order, unquoted.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let mut rest = self.parameters;
        std::iter::from_fn(move || {
            loop {
                rest = rest.trim_start_matches([' ', '\t', '\r', '\n', ';']);
                if rest.is_empty() {
                    return None;
                }
                let end = end_of_parameter(rest);
                let (one, after) = rest.split_at(end);
                rest = after;
                if let Some((name, value)) = one.split_once('=') {
                    return Some((name.trim(), unquote(value.trim())));
                }
            }
        })
    }
}

/// One part of a body: its headers as text, and its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    headers: &'a str,
    pub(crate) body: &'a [u8],
}

impl<'a> Part<'a> {
    /// Splits a part at its empty line; a part without one is all headers (RFC 2046 §5.1).
    pub(crate) fn parse(octets: &'a [u8]) -> Option<Self> {
        let (headers, body) = split_headers(octets);
        Some(Self { headers: std::str::from_utf8(headers).ok()?, body })
    }

    /// Returns the first header of that name; folded lines are not joined, since no value needed here is long.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.headers.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim(), value.trim()))
        })
    }

    /// Returns the body without its transfer encoding: quoted-printable and base64 are undone (RFC 2045 §6).
    pub(crate) fn decoded(&self) -> Option<Cow<'a, [u8]>> {
        match self.header("Content-Transfer-Encoding") {
            None => Some(Cow::Borrowed(self.body)),
            Some(encoding) if is_identity(encoding) => Some(Cow::Borrowed(self.body)),
            Some(encoding) if encoding.eq_ignore_ascii_case("base64") => base64(self.body).map(Cow::Owned),
            Some(encoding) if encoding.eq_ignore_ascii_case("quoted-printable") => {
                Some(Cow::Owned(quoted_printable(self.body)))
            }
            Some(_) => None,
        }
    }
}

/// The most parts that are looked at, so that a body of empty parts costs no more than a text.
const PARTS_MAX: usize = 32;

/// Splits a multipart body at its boundary (RFC 2046 §5.1.1). A boundary that is never closed ends with the
/// body.
pub(crate) fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<Part<'a>> {
    let mut found = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at < body.len() && found.len() < PARTS_MAX {
        let line_end = body[at..].iter().position(|octet| *octet == b'\n').map_or(body.len(), |n| at + n + 1);
        if let Some(closes) = delimiter(&body[at..line_end], boundary) {
            if let Some(start) = start.replace(line_end) {
                found.extend(Part::parse(without_line_end(&body[start..at])));
            }
            if closes {
                return found;
            }
        }
        at = line_end;
    }
    if let Some(start) = start.filter(|start| *start < body.len() && found.len() < PARTS_MAX) {
        found.extend(Part::parse(&body[start..]));
    }
    found
}

/// Splits at the first empty line; a body that starts with one has no headers.
pub(crate) fn split_headers(octets: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while at < octets.len() {
        let end = octets[at..].iter().position(|octet| *octet == b'\n').map_or(octets.len(), |n| at + n + 1);
        if matches!(&octets[at..end], b"\r\n" | b"\n") {
            return (&octets[..at], &octets[end..]);
        }
        at = end;
    }
    (octets, &[])
}

/// Tells whether a line is the delimiter, and then whether the closing one.
fn delimiter(line: &[u8], boundary: &str) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?.trim_ascii_end();
    match rest {
        b"" => Some(false),
        b"--" => Some(true),
        _ => None,
    }
}

/// The line end before a delimiter belongs to the delimiter.
fn without_line_end(octets: &[u8]) -> &[u8] {
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    octets.strip_suffix(b"\r").unwrap_or(octets)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_identity(encoding: &str) -> bool {
    ["7bit", "8bit", "binary"].iter().any(|known| encoding.eq_ignore_ascii_case(known))
}

fn end_of_parameter(text: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn unquote(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(value);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    Cow::Owned(out)
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

fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'=', [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) => after,
            (b'=', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                after
            }
            _ => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

/// Returns the value of a hexadecimal digit.
pub(crate) const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_tells_its_parameters_whatever_their_quoting() {
        let kind = MediaType::parse("Text/Plain ; x=\"a;\\\"b\" ;; charset=UTF-8;msgr=WAAtAE0A").unwrap();

        assert!(kind.is("text", "plain"));
        assert_eq!(kind.parameter("CHARSET").as_deref(), Some("UTF-8"));
        assert_eq!(kind.parameter("x").as_deref(), Some("a;\"b"));
        assert_eq!(kind.parameters().count(), 3);
        assert_eq!(MediaType::parse("text"), None);
        assert_eq!(MediaType::parse("text/pl ain"), None);
    }

    #[test]
    fn a_multipart_body_is_split_at_its_boundary_only() {
        let body = b"preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--bc\r\nthere\r\n--b \r\n\r\nsecond\r\n--b--\r\nend";

        let found = parts(body, "b");

        assert_eq!(found.len(), 2);
        assert_eq!(found[0].header("content-type"), Some("text/plain"));
        assert_eq!(found[0].body, b"hi\r\n--bc\r\nthere");
        assert_eq!(found[1].body, b"second");
    }

    #[test]
    fn a_body_that_never_closes_still_has_its_last_part() {
        assert_eq!(parts(b"--b\n\nx", "b")[0].body, b"x");
        assert!(parts(b"--b\n", "b").is_empty());
        assert!(parts(b"", "b").is_empty());
    }

    #[test]
    fn a_body_of_many_parts_is_looked_at_only_so_far() {
        let body = b"--b\n\nx\n".repeat(1000);

        assert_eq!(parts(&body, "b").len(), PARTS_MAX);
    }

    #[test]
    fn transfer_encodings_are_undone() {
        let part = |text: &'static str| Part::parse(text.as_bytes()).unwrap().decoded();

        let base64 = "Content-Transfer-Encoding: BASE64\r\n\r\nR3LDvMOf\r\nZQ==\r\n";
        assert_eq!(part(base64).unwrap(), "Grüße".as_bytes());
        let quoted = "Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=\r\n=c3=9fe=zz";
        assert_eq!(part(quoted).unwrap(), "Grüße=zz".as_bytes());
        assert_eq!(part("Content-Transfer-Encoding: uuencode\n\nx"), None);
    }
}
