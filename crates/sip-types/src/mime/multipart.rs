use bytes::Bytes;

use super::{BadBody, MimeLimits};
use crate::header::{ContentType, HeaderName};
use crate::headers::{Entry, Headers};
use crate::octets::{self, TOKEN};

/// One part of a multipart.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its headers, `Content-…` mostly.
    pub headers: Headers,
    /// Its body, sharing the octets of the whole.
    pub body: Bytes,
}

impl Part {
    /// Reads a part: header lines, an empty line, the body. Without headers it begins with the empty line.
    pub(super) fn parse(octets: &Bytes, limits: &MimeLimits) -> Result<Self, BadBody> {
        let (headers, at) = header_block(octets, limits)?;
        Ok(Self { headers, body: octets.slice(at..) })
    }

    /// Returns the part's media type; without one it is `text/plain` in US-ASCII (RFC 2046 §5.1), which
    /// UTF-8 contains.
    ///
    /// # Errors
    /// Its header is no media type.
    pub fn content_type(&self) -> Result<ContentType, BadBody> {
        let written = self.headers.content_type().map_err(|bad| BadBody(bad.what))?;
        Ok(written.unwrap_or_else(ContentType::text_plain))
    }
}

/// Returns the parts that are no multiparts themselves, in order, however deep they stand in `body`. A part
/// whose type cannot be read is one of them: what stands beside it may be all that the reader wants.
///
/// # Errors
/// As of [`parts`], and if they stand too deep.
pub fn leaves(kind: &ContentType, body: &Bytes, limits: &MimeLimits) -> Result<Vec<Part>, BadBody> {
    let mut leaves = Vec::new();
    collect_leaves(kind, body, limits, limits.depth, &mut leaves)?;
    Ok(leaves)
}

fn collect_leaves(
    kind: &ContentType,
    body: &Bytes,
    limits: &MimeLimits,
    depth: usize,
    leaves: &mut Vec<Part>,
) -> Result<(), BadBody> {
    let deeper = depth.checked_sub(1).ok_or(BadBody("the multiparts stand too deep in each other"))?;
    for part in parts(kind, body, limits)? {
        match part.content_type() {
            Ok(kind) if kind.is_multipart() => {
                collect_leaves(&kind, &part.body, limits, deeper, leaves)?;
            }
            Ok(_) | Err(_) if leaves.len() == limits.parts => return Err(BadBody(TOO_MANY)),
            Ok(_) | Err(_) => leaves.push(part),
        }
    }
    Ok(())
}

/// Returns the parts of a multipart body (RFC 2046 §5.1.1). A part that is a multipart itself is not
/// looked into: see [`leaves`].
///
/// What stands before the first delimiter and after the last is no part. A body that lacks its last
/// delimiter is taken as far as it goes, as by all mail readers.
///
/// # Errors
/// There is no boundary, no delimiter, or there are too many parts or lines.
pub fn parts(kind: &ContentType, body: &Bytes, limits: &MimeLimits) -> Result<Vec<Part>, BadBody> {
    let boundary = kind.params.unquoted("boundary").unwrap_or_default();
    if boundary.is_empty() || boundary.len() > BOUNDARY_MAX {
        return Err(BadBody("the multipart has no boundary"));
    }
    let mut delimiters = Delimiters { body, boundary: boundary.as_bytes(), at: 0 };
    let mut parts = Vec::new();
    let mut open = delimiters.next().ok_or(BadBody("the multipart's boundary is not in it"))?;
    while !open.is_last {
        if parts.len() == limits.parts {
            return Err(BadBody(TOO_MANY));
        }
        let close = delimiters.next();
        let end = close.as_ref().map_or(body.len(), |close| close.start);
        parts.push(Part::parse(&body.slice(open.end.min(end)..end), limits)?);
        match close {
            Some(close) => open = close,
            None => break,
        }
    }
    Ok(parts)
}

const TOO_MANY: &str = "the multipart has too many parts";

/// The longest boundary of RFC 2046 §5.1.1.
const BOUNDARY_MAX: usize = 70;

/// A line that begins with `--boundary`. It takes the line end before it with it.
struct Delimiter {
    start: usize,
    end: usize,
    is_last: bool,
}

struct Delimiters<'a> {
    body: &'a [u8],
    boundary: &'a [u8],
    at: usize,
}

impl Iterator for Delimiters<'_> {
    type Item = Delimiter;

    fn next(&mut self) -> Option<Delimiter> {
        while self.at < self.body.len() {
            let line_start = self.at;
            let line_end =
                memchr::memchr(b'\n', &self.body[line_start..]).map(|found| line_start + found + 1);
            self.at = line_end.unwrap_or(self.body.len());
            let line = &self.body[line_start..self.at];
            let Some(behind) = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(self.boundary))
            else {
                continue;
            };
            let (is_last, padding) = match behind.strip_prefix(b"--") {
                Some(padding) => (true, padding),
                None => (false, behind),
            };
            if padding.iter().all(u8::is_ascii_whitespace) {
                return Some(Delimiter {
                    start: before_line_end(self.body, line_start),
                    end: self.at,
                    is_last,
                });
            }
        }
        None
    }
}

/// Returns where the line end before `at` begins.
fn before_line_end(octets: &[u8], at: usize) -> usize {
    match &octets[..at] {
        [.., b'\r', b'\n'] => at - 2,
        [.., b'\n'] => at - 1,
        _ => at,
    }
}

/// Reads the header block that `octets` begin with; returns where what follows its empty line begins.
pub(super) fn header_block(octets: &Bytes, limits: &MimeLimits) -> Result<(Headers, usize), BadBody> {
    let mut own = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        let (value_end, next) = line(octets, at);
        if value_end == at {
            at = next;
            break;
        }
        if entries.len() == limits.header_lines {
            return Err(BadBody("a part has too many header lines"));
        }
        let name_end = octets::run(octets, at, TOKEN | octets::HOST);
        let colon = octets::skip_white(octets, name_end);
        if name_end == at || colon >= value_end || octets[colon] != b':' || name_end - at > 255 {
            return Err(BadBody("a part has a line that is no header"));
        }
        let name = HeaderName::parse_octets(&octets[at..name_end]);
        let (mut end, mut after) = (value_end, next);
        let from = own.len();
        own.extend_from_slice(octets::trim(&octets[colon + 1..end]));
        while octets.get(after).is_some_and(|octet| octets::is_white(*octet)) {
            let start = after;
            (end, after) = line(octets, start);
            own.push(b' ');
            own.extend_from_slice(octets::trim(&octets[start..end]));
        }
        if !crate::parse::is_clean_value(&own[from..]) {
            return Err(BadBody("a part's header has a control character"));
        }
        entries.push(Entry::of_wire(name, (at, name_end), (at, at)).unfolded((from, own.len())));
        at = after;
    }
    let foreign = std::str::from_utf8(&octets[..at]).is_err();
    Ok((Headers::read(octets.clone(), own, entries, foreign), at))
}

/// Returns where the line at `start` ends, and where the next begins.
fn line(octets: &[u8], start: usize) -> (usize, usize) {
    match memchr::memchr(b'\n', &octets[start..]) {
        Some(found) => (before_line_end(octets, start + found + 1).max(start), start + found + 1),
        None => (octets.len(), octets.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "preamble\r\n--b \r\nContent-Type: text/html\r\n\r\n<p>1</p>\r\n--b\r\n\r\ntwo\r\n\r\n--bc\r\n--b\r\n\
                        content-type: text/plain;\r\n charset=latin1\r\nX: \u{e4}\r\n\r\n3\r\n--b--\r\nepilogue --b\r\n";

    #[test]
    fn the_parts_of_a_multipart_are_told_apart() {
        let parts = read("b", BODY.as_bytes()).unwrap();

        assert_eq!(parts.len(), 3);
        assert!(parts[0].content_type().unwrap().is("text/html"));
        assert_eq!(&parts[0].body[..], b"<p>1</p>");
        assert!(parts[1].content_type().unwrap().is("text/plain"));
        assert_eq!(&parts[1].body[..], b"two\r\n\r\n--bc");
        assert_eq!(parts[2].content_type().unwrap().charset().unwrap(), "latin1");
        assert_eq!(&parts[2].body[..], b"3");
    }

    #[test]
    fn a_body_without_its_last_delimiter_is_taken_as_far_as_it_goes() {
        let parts = read("b", b"--b\n\nhello").unwrap();

        assert_eq!(&parts[0].body[..], b"hello");
        assert!(read("b", b"--b--").unwrap().is_empty());
        assert_eq!(read("b", b"--b").unwrap()[0].body.len(), 0);
    }

    #[test]
    fn a_multipart_without_boundary_or_with_too_many_parts_is_refused() {
        assert!(read("", b"--\r\n\r\nx\r\n----").is_err());
        assert!(read("c", b"--b\r\n\r\nx\r\n--b--").is_err());
        assert!(read("b", b"--b\r\nno header\r\n\r\nx\r\n--b--").is_err());
        assert!(read("b", "--b\r\n\r\n1\r\n".repeat(32).as_bytes()).is_ok());
        assert!(read("b", "--b\r\n\r\n1\r\n".repeat(33).as_bytes()).is_err());
        assert!(read("b", ["--b\r\n", &"A: b\r\n".repeat(33)].concat().as_bytes()).is_err());
    }

    #[test]
    fn parts_are_found_in_multiparts_that_are_not_too_deep() {
        let nested = |depth: usize| {
            let mut body = String::from("Content-Type: text/plain\r\n\r\nhi");
            for level in 0..depth {
                let kind = format!("Content-Type: multipart/mixed;boundary=b{level}\r\n\r\n");
                body = format!("{kind}--b{level}\r\n{body}\r\n--b{level}--");
            }
            let kind = ContentType::parse("multipart/mixed;boundary=b").unwrap();
            leaves(&kind, &Bytes::from(format!("--b\r\n{body}\r\n--b--")), &MimeLimits::default())
        };

        assert_eq!(&nested(3).unwrap()[0].body[..], b"hi");
        assert!(nested(4).is_err());
        assert!(nested(200).is_err());
    }

    #[test]
    fn a_part_whose_type_cannot_be_read_stands_beside_the_others() {
        let kind = ContentType::parse("multipart/mixed;boundary=b").unwrap();
        let body = Bytes::from_static(b"--b\r\nContent-Type: odd\r\n\r\nx\r\n--b\r\n\r\nhi\r\n--b--");

        let leaves = leaves(&kind, &body, &MimeLimits::default()).unwrap();

        assert!(leaves[0].content_type().is_err());
        assert_eq!(&leaves[1].body[..], b"hi");
    }

    fn read(boundary: &str, body: &[u8]) -> Result<Vec<Part>, BadBody> {
        let kind = ContentType::parse(format!("multipart/mixed;boundary=\"{boundary}\"")).unwrap();
        parts(&kind, &Bytes::copy_from_slice(body), &MimeLimits::default())
    }
}
