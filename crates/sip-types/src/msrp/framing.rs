//! Where a message ends: at a line of seven hyphens and its transaction's name (§5.1, §7.1).
//!
//! ```text
//!             start line      empty line            CRLF -------name flag CRLF
//!   ──▶ Between ──▶ Head ──────────────▶ Body ────────────────┐ Message
//!         ▲  ▲       │ -------name flag   │ more than allowed  │
//!         │  └───────┘ Message            ▼ TooLarge           │
//!         │                             Skipping ── Skipped ───┤
//!         └────────────────────────────────────────────────────┘
//!   no start line, endless headers: Lost
//! ```

use bytes::Bytes;
use memchr::memmem;

use super::message::start_line;
use super::{Continuation, Ident, Malformed, Message};

/// What one message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets from the start line to the last header.
    pub header_bytes: usize,
    /// Octets of the body of one message, which may be a chunk of more.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_bytes: 16 * 1024, body_bytes: 1024 * 1024 }
    }
}

/// One thing read from a stream.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// The body of this message, of which nothing is kept, has more octets than allowed, and goes on: answer 413, so that
    /// its sender stops (§10.5). [`Frame::Skipped`] follows when it has.
    TooLarge(Message),
    /// The message of [`Frame::TooLarge`] has ended.
    Skipped(Ident, Continuation),
    /// A message that is wrong, whose end was found. It cannot be answered, for who sent it and to whom is part of what is
    /// wrong.
    Malformed(Ident, Malformed),
    /// Where the next message begins cannot be known: close. Nothing follows.
    Lost(Malformed),
}

/// Cuts a stream of octets into messages, whatever pieces it comes in, in linear time.
#[derive(Debug)]
pub struct StreamFramer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Where the octets begin that no frame has taken.
    start: usize,
    /// Up to where they have been read.
    seen: usize,
    /// Up to where no line end is.
    looked: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Between,
    /// The start line was read.
    Head {
        transaction: Ident,
    },
    /// The headers were read; a body that is too large has none left.
    Body {
        head: Result<Box<Message>, Malformed>,
        transaction: Ident,
        end: Vec<u8>,
        skipping: bool,
    },
    Lost,
}

impl StreamFramer {
    /// Returns a framer at the start of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, buffer: Vec::new(), start: 0, seen: 0, looked: 0, state: State::Between }
    }

    /// Takes the next octets; drain with [`StreamFramer::poll_frame`] before the next.
    pub fn push(&mut self, octets: &[u8]) {
        if matches!(self.state, State::Lost) {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.seen -= self.start;
            self.looked = self.looked.saturating_sub(self.start);
            self.start = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(octets);
    }

    /// Returns whether the stream is in the middle of a message; a shell's deadlines depend on it.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        match self.state {
            State::Between => self.buffer.len() > self.start,
            State::Head { .. } | State::Body { .. } => true,
            State::Lost => false,
        }
    }

    /// Returns the next frame that is complete.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        loop {
            match &self.state {
                State::Between => match self.begin() {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(malformed) => return self.lost(malformed),
                },
                State::Head { .. } => match self.head() {
                    Ok(Step::Frame(frame)) => return Some(frame),
                    Ok(Step::Next) => {}
                    Ok(Step::Wait) => return None,
                    Err(malformed) => return self.lost(malformed),
                },
                State::Body { .. } => return self.body(),
                State::Lost => return None,
            }
        }
    }

    /// Reads a start line; returns whether it was there.
    fn begin(&mut self) -> Result<bool, Malformed> {
        // COMPAT(several clients, 2010s): empty lines between messages, to keep NAT bindings; may stay.
        while self.buffer[self.start..].starts_with(b"\r\n") {
            self.start += 2;
        }
        self.seen = self.seen.max(self.start);
        let waiting = &self.buffer[self.start..];
        let shared = waiting.len().min(BEGINNING.len());
        if waiting[..shared] != BEGINNING[..shared] && waiting != b"\r" {
            return Err(Malformed("this is not MSRP"));
        }
        let Some(line_end) = self.line_end()? else { return Ok(false) };
        let line = std::str::from_utf8(&self.buffer[self.start..line_end]);
        let (transaction, _) = line.ok().and_then(start_line).ok_or(Malformed("the start line is none"))?;
        self.seen = line_end + 2;
        self.state = State::Head { transaction };
        Ok(true)
    }

    /// Reads header lines up to the empty line, or to the end-line of a message without a body.
    fn head(&mut self) -> Result<Step, Malformed> {
        let State::Head { transaction } = &self.state else { return Ok(Step::Next) };
        let transaction = transaction.clone();
        loop {
            let line_start = self.seen;
            let Some(line_end) = self.line_end()? else { return Ok(Step::Wait) };
            self.seen = line_end + 2;
            let line = &self.buffer[line_start..line_end];
            if line.is_empty() {
                let head = Message::read_head(&self.buffer[self.start..line_start]).map(Box::new);
                let end = [b"\r\n-------", transaction.as_str().as_bytes()].concat();
                // The line end of the empty line may be the one before the end-line of an empty body.
                self.start = line_start;
                self.seen = line_start;
                self.state = State::Body { head, transaction, end, skipping: false };
                return Ok(Step::Next);
            }
            let flag = line
                .strip_prefix(b"-------")
                .and_then(|rest| rest.strip_prefix(transaction.as_str().as_bytes()));
            if let Some([flag]) = flag
                && let Some(continuation) = Continuation::of(*flag)
            {
                let head = Message::read_head(&self.buffer[self.start..line_start]);
                self.start = self.seen;
                self.state = State::Between;
                return Ok(Step::Frame(match head {
                    Ok(message) => Frame::Message(Message { continuation, ..message }),
                    Err(malformed) => Frame::Malformed(transaction, malformed),
                }));
            }
        }
    }

    /// Looks for the end-line. The octets at `start` are the line end of the empty line; the body is behind it.
    fn body(&mut self) -> Option<Frame> {
        let end = self.find_end();
        let State::Body { head, transaction, skipping, .. } = &mut self.state else { return None };
        let (found, behind, continuation) = match end {
            End::At { found, behind, continuation } => (found, behind, Some(continuation)),
            End::NotBefore(seen) => (seen, seen, None),
        };
        self.seen = found;
        let held = found.saturating_sub(self.start + 2);
        let was_skipping = *skipping;
        *skipping |= held > self.limits.body_bytes;
        if *skipping
            && !was_skipping
            && let Ok(head) = head
        {
            self.start = found;
            return Some(Frame::TooLarge((**head).clone()));
        }
        let Some(continuation) = continuation else {
            if *skipping {
                self.start = found;
            }
            return None;
        };
        let frame = match head {
            Err(malformed) => Frame::Malformed(transaction.clone(), *malformed),
            Ok(_) if *skipping => Frame::Skipped(transaction.clone(), continuation),
            Ok(head) => {
                let body = self.buffer.get(self.start + 2..found).unwrap_or_default();
                let body = Some(Bytes::copy_from_slice(body));
                Frame::Message(Message { body, continuation, ..(**head).clone() })
            }
        };
        self.start = behind;
        self.seen = behind;
        self.state = State::Between;
        Some(frame)
    }

    /// Returns where the end-line is, or before what it is not.
    fn find_end(&self) -> End {
        let State::Body { end, .. } = &self.state else { return End::NotBefore(self.seen) };
        let mut from = self.seen;
        while let Some(found) = memmem::find(&self.buffer[from..], end).map(|at| from + at) {
            let flag_at = found + end.len();
            let tail = &self.buffer[flag_at..];
            if could_end(tail) {
                // Whether this is the end-line the next octets tell.
                return End::NotBefore(found);
            }
            if let [flag, b'\r', b'\n', ..] = tail
                && let Some(continuation) = Continuation::of(*flag)
            {
                return End::At { found, behind: flag_at + 3, continuation };
            }
            from = found + 1;
        }
        // What could be the beginning of the end-line is looked at again.
        End::NotBefore(from.max(self.buffer.len().saturating_sub(end.len() - 1)))
    }

    /// Returns where the line that begins at `seen` ends; `None` if it does not yet.
    fn line_end(&mut self) -> Result<Option<usize>, Malformed> {
        let from = self.looked.max(self.seen);
        let found = memmem::find(&self.buffer[from..], b"\r\n").map(|at| from + at);
        if found.is_none() {
            self.looked = self.buffer.len().saturating_sub(1);
        }
        let length = found.unwrap_or(self.buffer.len()) - self.start;
        if length > self.limits.header_bytes {
            return Err(Malformed("the headers are too long"));
        }
        Ok(found)
    }

    fn lost(&mut self, malformed: Malformed) -> Option<Frame> {
        self.state = State::Lost;
        self.buffer = Vec::new();
        (self.start, self.seen, self.looked) = (0, 0, 0);
        Some(Frame::Lost(malformed))
    }
}

enum End {
    At { found: usize, behind: usize, continuation: Continuation },
    NotBefore(usize),
}

#[expect(clippy::large_enum_variant, reason = "a frame is handed on at once, never stored")]
enum Step {
    Frame(Frame),
    Next,
    Wait,
}

/// Tells whether octets behind the transaction's name may become a flag and a line end.
fn could_end(tail: &[u8]) -> bool {
    match tail {
        [] => true,
        [flag] => Continuation::of(*flag).is_some(),
        [flag, cr] => Continuation::of(*flag).is_some() && *cr == b'\r',
        _ => false,
    }
}

const BEGINNING: &[u8] = b"MSRP ";
/// A buffer that grew beyond this is given back once it is empty.
const KEPT_BYTES: usize = 16 * 1024;
