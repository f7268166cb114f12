mod typed;
mod values;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

pub use values::Values;

use crate::header::HeaderName;
use crate::text::{HeaderText, Text, Token};

/// The headers of a message in the order they stood.
///
/// A value never holds a line end: a folded line is read as one line (RFC 3261 §7.3.1). Otherwise the
/// octets are the sender's. `Content-Length` is not kept: it follows from the body.
#[derive(Clone, Default)]
pub struct Headers {
    /// The octets a message came in.
    wire: Bytes,
    /// The octets of lines that were added or unfolded.
    own: Vec<u8>,
    lines: Vec<Entry>,
    /// Whether both may hold octets that are not UTF-8.
    foreign: bool,
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Which header it is.
    pub name: HeaderName,
    /// Its name as written, or in the canonical form if we wrote it.
    pub written: &'a str,
    /// Its value as written, without the white space around it.
    pub value: &'a [u8],
}

/// A header's value as another message had it, to be put into a message octet for octet: what Route and
/// Record-Route must be (RFC 3261 §12.1.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Verbatim(Bytes);

/// Where a line's name and value are; an empty name is the canonical one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    name: HeaderName,
    name_in: Source,
    value_in: Source,
    name_length: u16,
    name_at: u32,
    value_at: u32,
    value_length: u32,
}

/// Which of the two buffers octets are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Wire,
    Own,
}

impl Headers {
    /// Returns all lines in order.
    pub fn iter(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines.iter().map(|entry| Line {
            name: entry.name,
            written: self.written(entry),
            value: self.value(entry),
        })
    }

    /// Returns the number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Returns whether there are no lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns how many octets they keep in memory: those of the message they came in, and their own.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.wire.len() + self.own.len()
    }

    /// Returns whether the header is there.
    #[must_use]
    pub fn has(&self, name: HeaderName) -> bool {
        self.lines.iter().any(|entry| entry.name == name)
    }

    /// Returns the first line's value as written.
    #[must_use]
    pub fn get(&self, name: HeaderName) -> Option<&[u8]> {
        self.lines.iter().find(|entry| entry.name == name).map(|entry| self.value(entry))
    }

    /// Returns the values of all lines of a header as written, one for each line.
    pub fn all(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter(move |entry| entry.name == name).map(|entry| self.value(entry))
    }

    /// Returns the first line's value of a header that [`HeaderName`] does not know; any case.
    #[must_use]
    pub fn get_other(&self, name: &str) -> Option<&[u8]> {
        self.lines
            .iter()
            .find(|entry| entry.name == HeaderName::Other && self.written(entry).eq_ignore_ascii_case(name))
            .map(|entry| self.value(entry))
    }

    /// Returns the first line's value as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn text(&self, name: HeaderName) -> Option<Cow<'_, str>> {
        self.get(name).map(String::from_utf8_lossy)
    }

    /// Returns every value of a comma-separated header as written, line after line; commas inside quotes
    /// and angle brackets do not separate. Empty values are left out.
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.all(name).flat_map(Values::new)
    }

    /// Returns every value of a comma-separated header, to be put into another message octet for octet.
    #[must_use]
    pub fn verbatim(&self, name: HeaderName) -> Vec<Verbatim> {
        let mut all = Vec::new();
        for entry in self.lines.iter().filter(|entry| entry.name == name) {
            let line = self.value_bytes(entry);
            all.extend(Values::new(&line).map(|value| Verbatim(line.slice_ref(value))));
        }
        all
    }

    /// Returns whether a comma-separated list (`Require`, `Supported`, `Allow`, …) names `token`, in any case.
    #[must_use]
    pub fn lists(&self, name: HeaderName, token: &str) -> bool {
        self.values(name).any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Appends a header.
    pub fn push(&mut self, name: HeaderName, value: &HeaderText) {
        self.push_put(name, |out| out.extend_from_slice(value.as_str().as_bytes()));
    }

    /// Appends a header that [`HeaderName`] does not know.
    pub fn push_other(&mut self, name: &Token, value: &HeaderText) {
        let name_at = offset(self.own.len());
        self.own.extend_from_slice(name.as_str().as_bytes());
        let value_at = offset(self.own.len());
        self.own.extend_from_slice(value.as_str().as_bytes());
        self.lines.push(Entry {
            name: HeaderName::parse(name.as_str()),
            name_in: Source::Own,
            value_in: Source::Own,
            name_length: u16::try_from(name.as_str().len()).unwrap_or(u16::MAX),
            name_at,
            value_at,
            value_length: offset(self.own.len()) - value_at,
        });
    }

    /// Appends a value of another message, octet for octet.
    pub fn push_verbatim(&mut self, name: HeaderName, value: &Verbatim) {
        self.foreign |= std::str::from_utf8(&value.0).is_err();
        self.push_put(name, |out| out.extend_from_slice(&value.0));
    }

    /// Appends every line of a header of another message, octet for octet.
    pub fn copy(&mut self, name: HeaderName, from: &Self) {
        self.foreign |= from.foreign;
        for value in from.all(name) {
            self.push_put(name, |out| out.extend_from_slice(value));
        }
    }

    /// Removes every line of a header.
    pub fn remove(&mut self, name: HeaderName) {
        self.lines.retain(|entry| entry.name != name);
    }

    /// Appends a line whose value `put` writes. What it writes must be free of control characters.
    pub(crate) fn push_put(&mut self, name: HeaderName, put: impl FnOnce(&mut Vec<u8>)) {
        let entry = self.written_by(name, put);
        self.lines.push(entry);
    }

    /// As [`Headers::push_put`], above all lines.
    pub(crate) fn push_put_first(&mut self, name: HeaderName, put: impl FnOnce(&mut Vec<u8>)) {
        let entry = self.written_by(name, put);
        self.lines.insert(0, entry);
    }

    /// Replaces the first comma-separated value of the first line of a header, or appends a line.
    pub(crate) fn replace_first_value(&mut self, name: HeaderName, put: impl FnOnce(&mut Vec<u8>)) {
        let Some(index) = self.lines.iter().position(|entry| entry.name == name) else {
            return self.push_put(name, put);
        };
        let line = self.value_bytes(&self.lines[index]);
        let behind = Values::new(&line).nth(1).map(|second| line.slice(offset_in(&line, second)..));
        self.lines[index] = self.written_by(name, |out| {
            put(out);
            if let Some(behind) = behind {
                out.extend_from_slice(b", ");
                out.extend_from_slice(&behind);
            }
        });
    }

    /// Returns headers that are the lines `entries` of `wire` and of `own`.
    pub(crate) fn read(wire: Bytes, own: Vec<u8>, lines: Vec<Entry>, foreign: bool) -> Self {
        Self { wire, own, lines, foreign }
    }

    /// Returns the lines that an answer repeats (RFC 3261 §8.2.6.2), sharing their octets.
    pub(crate) fn echoed(&self) -> Self {
        let mut lines = Vec::with_capacity(ANSWER_LINES);
        lines.extend(self.lines.iter().filter(|entry| {
            matches!(
                entry.name,
                HeaderName::Via | HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq
            )
        }));
        Self { wire: self.wire.clone(), own: self.own.clone(), lines, foreign: self.foreign }
    }

    /// Appends to the first line of a header.
    pub(crate) fn extend_first(&mut self, name: HeaderName, more: &[&[u8]]) {
        let Some(index) = self.lines.iter().position(|entry| entry.name == name) else { return };
        let entry = self.lines[index];
        let start = self.own.len();
        match entry.value_in {
            Source::Wire => self.own.extend_from_slice(part(&self.wire, entry.value_at, entry.value_length)),
            Source::Own => {
                let at = entry.value_at as usize;
                self.own.extend_from_within(at..at + entry.value_length as usize);
            }
        }
        more.iter().for_each(|more| self.own.extend_from_slice(more));
        self.lines[index] = entry.unfolded((start, self.own.len()));
    }

    /// Returns the first comma-separated value of a header, invalid UTF-8 replaced.
    pub(crate) fn first_value(&self, name: HeaderName) -> Option<Text> {
        let entry = self.lines.iter().find(|entry| entry.name == name)?;
        let first = Values::new(self.value(entry)).next()?;
        Some(self.text_of(entry, first))
    }

    /// Returns headers without lines, with room for those of a message of our own.
    pub(crate) fn with_room() -> Self {
        Self {
            wire: Bytes::new(),
            own: Vec::with_capacity(512),
            lines: Vec::with_capacity(16),
            foreign: false,
        }
    }

    /// Returns the first line's value, invalid UTF-8 replaced.
    pub(crate) fn shared(&self, name: HeaderName) -> Option<Text> {
        self.lines.iter().find(|entry| entry.name == name).map(|entry| self.text_of(entry, self.value(entry)))
    }

    /// Appends all lines as they go on the wire, names in canonical form.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for entry in &self.lines {
            let name = match entry.name {
                HeaderName::Other => self.written(entry),
                known => known.as_str(),
            };
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(self.value(entry));
            out.extend_from_slice(b"\r\n");
        }
    }

    fn written_by(&mut self, name: HeaderName, put: impl FnOnce(&mut Vec<u8>)) -> Entry {
        let start = offset(self.own.len());
        put(&mut self.own);
        Entry {
            name,
            name_in: Source::Own,
            value_in: Source::Own,
            name_length: 0,
            name_at: 0,
            value_at: start,
            value_length: offset(self.own.len()) - start,
        }
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        let buffer = match entry.value_in {
            Source::Wire => &self.wire[..],
            Source::Own => &self.own[..],
        };
        part(buffer, entry.value_at, entry.value_length)
    }

    /// Returns a value that outlives the headers, without a copy if it is of the wire.
    fn value_bytes(&self, entry: &Entry) -> Bytes {
        match entry.value_in {
            Source::Wire => self.wire.slice_ref(self.value(entry)),
            Source::Own => Bytes::copy_from_slice(self.value(entry)),
        }
    }

    /// Returns a part of a value, which must be a slice of one of the two buffers.
    fn text_of(&self, entry: &Entry, part: &[u8]) -> Text {
        match entry.value_in {
            Source::Wire if !self.foreign => {
                let start = offset_in(&self.wire, part);
                Text::cut(&self.wire, start, start + part.len())
            }
            Source::Wire | Source::Own => Text::from(String::from_utf8_lossy(part).as_ref()),
        }
    }

    fn written(&self, entry: &Entry) -> &str {
        if entry.name_length == 0 {
            return entry.name.as_str();
        }
        let buffer = match entry.name_in {
            Source::Wire => &self.wire[..],
            Source::Own => &self.own[..],
        };
        std::str::from_utf8(part(buffer, entry.name_at, u32::from(entry.name_length))).unwrap_or_default()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.iter().map(|line| (line.written, String::from_utf8_lossy(line.value)));
        out.debug_map().entries(lines).finish()
    }
}

impl Verbatim {
    /// Returns the value if `octets` could be one of a message that was received: without line ends, and
    /// with other control characters only where quoted strings escape them.
    #[must_use]
    pub fn parse(octets: Bytes) -> Option<Self> {
        crate::parse::is_clean_value(&octets).then_some(Self(octets))
    }

    /// Returns the octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the value as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn to_text(&self) -> Text {
        Text::lossy(self.0.clone())
    }
}

impl Entry {
    /// Returns the entry of a line in the wire's octets.
    pub(crate) fn of_wire(name: HeaderName, name_range: (usize, usize), value_range: (usize, usize)) -> Self {
        Self {
            name,
            name_in: Source::Wire,
            value_in: Source::Wire,
            name_length: u16::try_from(name_range.1 - name_range.0).unwrap_or(u16::MAX),
            name_at: offset(name_range.0),
            value_at: offset(value_range.0),
            value_length: offset(value_range.1 - value_range.0),
        }
    }

    /// Returns the entry with its value in our own octets.
    pub(crate) fn unfolded(self, value_range: (usize, usize)) -> Self {
        Self {
            value_in: Source::Own,
            value_at: offset(value_range.0),
            value_length: offset(value_range.1 - value_range.0),
            ..self
        }
    }
}

/// The lines of a usual answer: room for them is made at once.
const ANSWER_LINES: usize = 8;

fn part(buffer: &[u8], at: u32, length: u32) -> &[u8] {
    let at = at as usize;
    buffer.get(at..at + length as usize).unwrap_or_default()
}

/// A message is far below 4 GiB by its limits.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Returns where `part`, a slice of `whole`, begins in it.
fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pushed_header_is_found_by_its_name_in_any_case() {
        let mut headers = Headers::default();
        headers.push(HeaderName::Subject, &text("one"));
        headers.push_other(&Token::parse("X-Foo").unwrap(), &text("two"));
        headers.push_other(&Token::parse("s").unwrap(), &text("three"));

        assert_eq!(headers.get(HeaderName::Subject), Some(&b"one"[..]));
        assert_eq!(headers.get_other("x-foo"), Some(&b"two"[..]));
        assert_eq!(headers.all(HeaderName::Subject).count(), 2);
        headers.remove(HeaderName::Subject);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn a_route_is_copied_octet_for_octet() {
        let mut from = Headers::default();
        let first = "<sip:edge.s.example;lr;ms-key-info=AA==;opaque=\"a,b\">;tag=X";
        from.push(HeaderName::RecordRoute, &text(&format!("{first} , <sip:b.example;lr>")));
        from.push(HeaderName::RecordRoute, &text("\"c, d\" <sip:c.example;lr>"));

        let values = from.verbatim(HeaderName::RecordRoute);
        let mut to = Headers::default();
        for value in values.iter().rev() {
            to.push_verbatim(HeaderName::Route, value);
        }

        let all: Vec<_> = to.all(HeaderName::Route).collect();
        assert_eq!(all, [&b"\"c, d\" <sip:c.example;lr>"[..], b"<sip:b.example;lr>", first.as_bytes()]);
        assert!(Verbatim::parse(Bytes::from_static(b"a\r\nb")).is_none());
    }

    #[test]
    fn the_first_of_several_values_can_be_replaced() {
        let mut headers = Headers::default();
        headers.push(HeaderName::Via, &text("one , two,three"));

        headers.replace_first_value(HeaderName::Via, |out| out.extend_from_slice(b"new"));

        assert_eq!(headers.get(HeaderName::Via), Some(&b"new, two,three"[..]));
    }

    fn text(text: &str) -> HeaderText {
        HeaderText::parse(text).unwrap()
    }
}
