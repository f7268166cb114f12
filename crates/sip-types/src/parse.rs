//! From octets to a message (RFC 3261 §7, §25.1), strict where two readers could differ.

use std::sync::Arc;

use bytes::Bytes;

use crate::framing::Limits;
use crate::header::{CSeq, CallId, HeaderName, NameAddr, Via};
use crate::headers::{Entry, Headers};
use crate::malformed::{Malformed, Problem};
use crate::message::{Essentials, Message, Request, Response};
use crate::method::Method;
use crate::octets::{self, TOKEN};
use crate::text::Text;
use crate::uri::Uri;

/// Finds the lines of a header block as it arrives. No octet is looked at twice.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Where the line feeds of complete lines are.
    ends: Vec<u32>,
    /// How far the block has been searched.
    searched: usize,
    /// Whether there were control characters but tabs and line ends.
    controls: bool,
    /// Whether there were octets that are not ASCII.
    wide: bool,
}

/// A header block that has been read.
#[derive(Debug)]
pub(crate) struct Head {
    start: Start,
    headers: Headers,
    content_length: ContentLength,
    /// The first thing that was found wrong.
    problem: Option<Problem>,
    /// Whether it is certain where the block's lines begin and end.
    pub(crate) framed: bool,
}

/// What the header block says about the body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentLength {
    Missing,
    Is(usize),
    /// It is no number, or said twice: where the next message begins cannot be known.
    Broken,
}

#[derive(Debug)]
enum Start {
    Request {
        method: Method,
        uri: Uri,
    },
    Response {
        status: u16,
        reason: Text,
    },
    /// Meant as a request: worth an answer, unless it is an ACK.
    BrokenRequest {
        is_ack: bool,
    },
    BrokenResponse,
    /// Nothing of SIP.
    Noise,
}

impl Scan {
    /// Searches what has come of a block since the last time. Returns the block's length once its empty
    /// line is there.
    pub(crate) fn advance(&mut self, block: &[u8], limits: &Limits) -> Result<Option<usize>, Problem> {
        while let Some(at) = unusual(block, self.searched) {
            self.searched = at + 1;
            let end = match block[at] {
                b'\r' => match block.get(at + 1) {
                    Some(b'\n') => at + 1,
                    Some(_) => {
                        self.controls = true;
                        continue;
                    }
                    None => {
                        self.searched = at;
                        break;
                    }
                },
                b'\n' if at >= limits.header_bytes => return Err(TOO_LONG),
                b'\n' => return Err(Problem::new("a line ends without a carriage return")),
                b'\t' => continue,
                0x80.. => {
                    self.wide = true;
                    continue;
                }
                _ => {
                    self.controls = true;
                    continue;
                }
            };
            if end >= limits.header_bytes {
                return Err(TOO_LONG);
            }
            self.searched = end + 1;
            let line_start = self.ends.last().map_or(0, |last| *last as usize + 1);
            if end == line_start + 1 {
                return Ok(Some(end + 1));
            }
            // The start line is no header.
            if self.ends.len() > limits.header_lines {
                return Err(Problem::too_large("there are too many header lines"));
            }
            if self.ends.capacity() == 0 {
                self.ends.reserve(USUAL_LINES);
            }
            self.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
        }
        if block.len() > limits.header_bytes { Err(TOO_LONG) } else { Ok(None) }
    }

    /// Forgets the block, for the next one.
    pub(crate) fn reset(&mut self) {
        self.ends.clear();
        self.searched = 0;
        self.controls = false;
        self.wide = false;
    }

    /// Reads the lines that are complete.
    pub(crate) fn read(&self, block: &Bytes) -> Head {
        let lines = &block[..self.ends.last().map_or(0, |last| *last as usize + 1)];
        let mut reader = Reader {
            block,
            foreign: self.wide && std::str::from_utf8(lines).is_err(),
            clean: !self.controls,
            own: Vec::new(),
            entries: Vec::with_capacity(self.ends.len()),
            seen: 0,
            content_length: ContentLength::Missing,
            problem: None,
            framed: true,
        };
        let Some(first) = self.ends.first() else {
            return Head {
                start: Start::Noise,
                headers: Headers::default(),
                content_length: ContentLength::Missing,
                problem: Some(Problem::new("there is no start line")),
                framed: false,
            };
        };
        let start = reader.start_line(*first as usize - 1);
        let mut at = *first as usize + 1;
        let mut ends = self.ends[1..].iter().map(|end| *end as usize).peekable();
        while let Some(mut end) = ends.next() {
            let line_end = end - 1;
            while ends.peek().is_some_and(|_| octets::is_white(block[end + 1])) {
                end = ends.next().unwrap_or(end);
            }
            reader.line(at, line_end, end - 1);
            at = end + 1;
        }
        Head {
            start,
            headers: Headers::read(block.clone(), reader.own, reader.entries, reader.foreign),
            content_length: reader.content_length,
            problem: reader.problem,
            framed: reader.framed,
        }
    }
}

impl Head {
    /// Returns what the block says about the body's length.
    pub(crate) const fn content_length(&self) -> ContentLength {
        self.content_length
    }

    /// Returns whether the block begins as no SIP message does.
    pub(crate) const fn is_noise(&self) -> bool {
        matches!(self.start, Start::Noise)
    }

    /// Returns the message with its body, or what is wrong.
    pub(crate) fn with_body(self, body: Bytes) -> Result<Message, Malformed> {
        let essentials = self.checked().map_err(|problem| self.malformed(problem))?;
        match self.start {
            Start::Request { uri, .. } => {
                Ok(Message::Request(Request::received(uri, self.headers, body, essentials)))
            }
            Start::Response { status, reason } => {
                Ok(Message::Response(Response::received(status, reason, self.headers, body, essentials)))
            }
            Start::BrokenRequest { .. } | Start::BrokenResponse | Start::Noise => {
                Err(self.malformed(Problem::new("the start line is none")))
            }
        }
    }

    /// Returns the essentials if nothing is wrong with the block.
    fn checked(&self) -> Result<Arc<Essentials>, Problem> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let essentials = essentials(&self.headers)?;
        match &self.start {
            Start::Request { method, .. } => check_request(method, &essentials, &self.headers)?,
            Start::Response { .. } | Start::BrokenRequest { .. } | Start::BrokenResponse | Start::Noise => {}
        }
        Ok(essentials)
    }

    /// Returns what is wrong; an earlier problem goes before `problem`, unless this is about size.
    pub(crate) fn malformed(&self, problem: Problem) -> Malformed {
        let problem = if problem.status == 400 { self.problem.unwrap_or(problem) } else { problem };
        match &self.start {
            Start::Request { method: Method::Ack, .. }
            | Start::BrokenRequest { is_ack: true }
            | Start::Response { .. }
            | Start::BrokenResponse
            | Start::Noise => Malformed::silent(problem),
            Start::Request { .. } | Start::BrokenRequest { is_ack: false } => {
                Malformed::answerable(problem, &self.headers)
            }
        }
    }
}

/// Reads one header block, line by line. It goes on after the first problem: an answer needs the rest.
struct Reader<'a> {
    block: &'a Bytes,
    /// Whether there are octets that are not UTF-8.
    foreign: bool,
    /// Whether there is no control character but at the ends of lines.
    clean: bool,
    own: Vec<u8>,
    entries: Vec<Entry>,
    /// The single headers that have been seen, a bit each.
    seen: u64,
    content_length: ContentLength,
    problem: Option<Problem>,
    framed: bool,
}

impl Reader<'_> {
    fn start_line(&mut self, end: usize) -> Start {
        let line = &self.block[..end];
        if !self.clean && line.iter().any(|octet| octet.is_ascii_control() && *octet != b'\t') {
            self.complain(Problem::new("the start line has a control character"));
            self.framed &= !line.contains(&b'\r');
        }
        match line {
            [b'S' | b's', b'I' | b'i', b'P' | b'p', b'/', ..] => self.status_line(end),
            _ => self.request_line(end),
        }
    }

    /// `SIP/2.0 SP 3DIGIT SP Reason-Phrase`; the second space may be missing if the phrase is
    /// (RFC 4475 §3.1.1.13).
    fn status_line(&mut self, end: usize) -> Start {
        let line = &self.block[..end];
        let status = line
            .get(7..)
            .filter(|_| line[..7].eq_ignore_ascii_case(b"SIP/2.0"))
            .and_then(|rest| rest.strip_prefix(b" "))
            .and_then(|rest| {
                let digits = rest.iter().position(|octet| *octet == b' ').unwrap_or(rest.len());
                (digits == 3).then(|| octets::digits(&rest[..3])).flatten()
            })
            .and_then(|status| status.up_to(699))
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| *status >= 100);
        let Some(status) = status else {
            self.complain(Problem::new("the status line is none of SIP/2.0"));
            return Start::BrokenResponse;
        };
        Start::Response { status, reason: self.text(end.min(12), end) }
    }

    /// `Method SP Request-URI SP SIP/2.0`.
    fn request_line(&mut self, end: usize) -> Start {
        let line = &self.block[..end];
        let method_end = memchr::memchr(b' ', line).unwrap_or(end);
        let visible_end = octets::trimmed(line).1;
        let version_at = memchr::memrchr(b' ', &line[..visible_end]).map_or(0, |space| space + 1);
        let version = &line[version_at..visible_end];
        if !octets::is_token(&line[..method_end])
            || !version.get(..4).is_some_and(|sip| sip.eq_ignore_ascii_case(b"SIP/"))
        {
            self.complain(Problem::new("the request line is none"));
            return Start::Noise;
        }
        let broken = Start::BrokenRequest { is_ack: &line[..method_end] == b"ACK" };
        if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            self.complain(Problem { status: 505, name: None, what: "the version is not SIP/2.0" });
            return broken;
        }
        if visible_end != end || version_at <= method_end + 1 {
            self.complain(Problem::new("the request line has spaces where none may be"));
            return broken;
        }
        let uri = match Uri::parse(self.text(method_end + 1, version_at - 1)) {
            Ok(uri) => uri,
            Err(bad) => {
                self.complain(Problem { status: 400, name: None, what: bad.0 });
                return broken;
            }
        };
        // Headers in a Request-URI would become headers of the request (RFC 3261 §19.1.1, RFC 4475 §3.1.2.11).
        if uri.as_sip().is_some_and(|uri| uri.headers().is_some()) {
            self.complain(Problem::new("the Request-URI has headers"));
            return broken;
        }
        let method =
            Method::known(&line[..method_end]).or_else(|| Method::parse_text(self.text(0, method_end)));
        match method {
            Some(method) => Start::Request { method, uri },
            None => broken,
        }
    }

    /// Reads a header from `start` to `end`, whose first line ends at `line_end`.
    fn line(&mut self, start: usize, line_end: usize, end: usize) {
        // HCOLON: spaces and tabs may stand before the colon, nothing else (RFC 3261 §25.1).
        let line = &self.block[start..end];
        let name_end = octets::run(line, 0, TOKEN);
        let colon = octets::skip_white(line, name_end);
        if name_end == 0 || name_end > NAME_MAX || line.get(colon) != Some(&b':') {
            self.framed &= !line[..line_end - start].contains(&b'\r');
            return self.complain(Problem::new("a header line has no name and colon"));
        }
        let name = HeaderName::parse_octets(&line[..name_end]);
        let value = octets::trimmed(&line[colon + 1..]);
        let value = (start + colon + 1 + value.0, start + colon + 1 + value.1);
        let entry = Entry::of_wire(name, (start, start + name_end), value);
        let entry = if line_end == end { self.plain(entry, value) } else { self.folded(entry, value) };
        let Some(entry) = entry else {
            return self.complain(Problem::with(name, "there is a control character"));
        };
        if name.is_single() {
            let bit = 1 << (name as u64);
            if self.seen & bit != 0 {
                if name == HeaderName::ContentLength {
                    self.content_length = ContentLength::Broken;
                }
                return self.complain(Problem::with(name, "it is there twice"));
            }
            self.seen |= bit;
        }
        if name == HeaderName::ContentLength {
            return self.content_length(value);
        }
        self.entries.push(entry);
    }

    /// Returns the entry of a line that is not folded, if it is clean.
    fn plain(&mut self, entry: Entry, (start, end): (usize, usize)) -> Option<Entry> {
        let value = &self.block[start..end];
        if self.clean || is_clean_value(value) {
            return Some(entry);
        }
        self.framed &= !value.contains(&b'\r');
        None
    }

    /// Returns the entry of a folded line with each fold made one space (RFC 3261 §7.3.1), if it is clean.
    fn folded(&mut self, entry: Entry, (start, end): (usize, usize)) -> Option<Entry> {
        let from = self.own.len();
        for (index, piece) in self.block[start..end].split(|octet| *octet == b'\n').enumerate() {
            let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
            if index > 0 {
                self.own.push(b' ');
            }
            self.own.extend_from_slice(if index > 0 { octets::trim(piece) } else { piece });
        }
        let value = &self.own[from..];
        if self.clean || is_clean_value(value) {
            return Some(entry.unfolded((from, self.own.len())));
        }
        self.framed &= !value.contains(&b'\r');
        self.own.truncate(from);
        None
    }

    /// `1*DIGIT`, no sign, no list, below 2^32 (RFC 3261 §20.14).
    fn content_length(&mut self, (start, end): (usize, usize)) {
        let length = octets::digits(&self.block[start..end]).and_then(|length| length.up_to(u32::MAX));
        match length {
            Some(length) => self.content_length = ContentLength::Is(length as usize),
            None => {
                self.content_length = ContentLength::Broken;
                self.complain(Problem::with(HeaderName::ContentLength, "it is no length"));
            }
        }
    }

    fn text(&self, start: usize, end: usize) -> Text {
        if self.foreign {
            Text::lossy(self.block.slice(start..end))
        } else {
            Text::cut(self.block, start, end)
        }
    }

    fn complain(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }
}

/// The lines of a usual message: room for them is made at once.
const USUAL_LINES: usize = 24;

const TOO_LONG: Problem = Problem::too_large("the headers are too long");

/// Longer than any header's name, and few enough octets for the entry's field.
const NAME_MAX: usize = 1024;

/// Reads the five headers that every message has (RFC 3261 §8.1.1).
fn essentials(headers: &Headers) -> Result<Arc<Essentials>, Problem> {
    let missing = |name| Problem::with(name, "it is missing");
    let text = |name| headers.shared(name).ok_or(missing(name));
    let via = headers.first_value(HeaderName::Via).ok_or(missing(HeaderName::Via))?;
    let via = Via::parse_text(&via).map_err(|what| Problem::with(HeaderName::Via, what))?;
    let from = NameAddr::parse_text(&text(HeaderName::From)?)
        .map_err(|what| Problem::with(HeaderName::From, what))?;
    let to =
        NameAddr::parse_text(&text(HeaderName::To)?).map_err(|what| Problem::with(HeaderName::To, what))?;
    let call_id = CallId::parse(text(HeaderName::CallId)?)
        .ok_or(Problem::with(HeaderName::CallId, "it has a character that cannot be there"))?;
    let cseq =
        CSeq::parse_text(&text(HeaderName::CSeq)?).map_err(|what| Problem::with(HeaderName::CSeq, what))?;
    Ok(Arc::new(Essentials { via: Some(via), from, to, call_id, cseq }))
}

fn check_request(method: &Method, essentials: &Essentials, headers: &Headers) -> Result<(), Problem> {
    if essentials.cseq.method != *method {
        // A method we do not know is the better reason to refuse (RFC 4475 §3.1.2.18).
        let status = if matches!(method, Method::Other(_)) { 501 } else { 400 };
        return Err(Problem {
            status,
            name: Some(HeaderName::CSeq),
            what: "its method is not the request's",
        });
    }
    if essentials.via.as_ref().is_some_and(Via::has_bare_cookie) {
        return Err(Problem::with(HeaderName::Via, "its branch is the magic cookie alone"));
    }
    headers.max_forwards().map(|_| ()).map_err(Problem::from)
}

/// Returns where the first octet at or after `start` is that is no printable ASCII character.
fn unusual(octets: &[u8], start: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut rest = octets.get(start..)?;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // The lowest mark is exact: a borrow or a carry marks only octets above one that is marked rightly.
        let marks = (word.wrapping_sub(ONES * 0x20) | word.wrapping_add(ONES) | word) & HIGH;
        if marks != 0 {
            return Some(octets.len() - rest.len() + marks.trailing_zeros() as usize / 8);
        }
        rest = behind;
    }
    let found = rest.iter().position(|octet| !matches!(octet, 0x20..0x7F))?;
    Some(octets.len() - rest.len() + found)
}

/// Returns whether control characters but tabs stand only where a quoted string escapes them
/// (RFC 3261 §25.1 `quoted-pair`, RFC 4475 §3.1.1.2); line ends never do.
pub(crate) fn is_clean_value(octets: &[u8]) -> bool {
    let mut quoted = false;
    let mut at = 0;
    while at < octets.len() {
        match octets[at] {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                at += 1;
                if matches!(octets.get(at), Some(b'\r' | b'\n')) {
                    return false;
                }
            }
            b'\t' => {}
            0..0x20 | 0x7F => return false,
            _ => {}
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unusual_octet_is_found_wherever_it_stands() {
        for octet in 0..=255_u8 {
            for at in 0..20 {
                let mut octets = [b'a'; 20];
                octets[at] = octet;

                let usual = (0x20..0x7F).contains(&octet);
                assert_eq!(unusual(&octets, 0), (!usual).then_some(at), "{octet} at {at}");
                assert_eq!(unusual(&octets, at + 1), None);
            }
        }
        assert_eq!(unusual(b"\xFF\r", 1), Some(1));
    }

    #[test]
    fn a_control_character_is_clean_only_when_a_quoted_string_escapes_it() {
        assert!(is_clean_value(b"\"a\\\x00\\\x7F\"\tb"));
        for octets in [&b"\x00"[..], b"\"\x1b\"", b"\\\x00", b"\"\\\r\"", b"a\r", b"a\nb", b"\x7F"] {
            assert!(!is_clean_value(octets), "{octets:?}");
        }
    }
}
