//! Where a message ends: by datagram, or by Content-Length on a stream (RFC 3261 §18.3).
//!
//! ```text
//!              CRLF: Pong, Ping
//!                 ┌──┐
//!                 ▼  │            empty line                  all octets
//!   stream ──▶ Between ──▶ Headers ─────────▶ Body ─────────────┐
//!                 ▲            │                │ Message, or     │
//!                 └────────────┼────────────────┼─ Malformed ◀────┘
//!                              └──────▶ Lost ◀──┘ too large, no length, a bare line feed
//! ```

use bytes::Bytes;

use crate::header::HeaderName;
use crate::malformed::{Malformed, Problem};
use crate::message::Message;
use crate::parse::{ContentLength, Head, Scan};

/// What one message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets from the start line to the empty line.
    pub header_bytes: usize,
    /// Header lines.
    pub header_lines: usize,
    /// Octets of the body.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_bytes: 16 * 1024, header_lines: 128, body_bytes: 64 * 1024 }
    }
}

/// Returns the message in a datagram. Line ends before it are skipped, and octets after its
/// Content-Length are not part of it; without Content-Length all that follows is (RFC 3261 §18.3).
///
/// # Errors
/// Says what is wrong, and how to answer.
pub fn parse_datagram(datagram: &Bytes, limits: &Limits) -> Result<Message, Malformed> {
    let mut start = 0;
    while datagram[start..].starts_with(b"\r\n") {
        start += 2;
    }
    let block = if start == 0 { datagram.clone() } else { datagram.slice(start..) };
    let mut scan = Scan::default();
    let end = match scan.advance(&block, limits) {
        Ok(Some(end)) => end,
        Ok(None) => return Err(scan.read(&block).malformed(Problem::new("the headers do not end"))),
        Err(problem) => return Err(scan.read(&block).malformed(problem)),
    };
    let head = scan.read(&block);
    let rest = block.len() - end;
    let length = match head.content_length() {
        ContentLength::Is(length) => length,
        ContentLength::Missing => rest,
        ContentLength::Broken => return head.with_body(Bytes::new()),
    };
    if length > limits.body_bytes {
        return Err(head.malformed(BODY_TOO_LONG));
    }
    if length > rest {
        return Err(head.malformed(Problem::with(HeaderName::ContentLength, "the body is shorter")));
    }
    head.with_body(block.slice(end..end + length))
}

/// One thing read from a stream.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a frame is handed on at once, never stored")]
pub enum Frame {
    /// A message.
    Message(Message),
    /// The second of two line ends between messages: the peer asks whether we live; answer with one
    /// CRLF (RFC 5626 §4.4.1).
    Ping,
    /// A line end between messages: the answer to our ping, or the first half of the peer's.
    Pong,
    /// A message that is wrong, whose end is known: answer and go on.
    Malformed(Malformed),
    /// Where the next message begins cannot be known: answer if possible, then close. Nothing follows.
    Lost(Malformed),
}

/// What a stream is in the middle of; a shell's deadlines depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// Nothing has arrived since the last message.
    Nothing,
    /// Some of a header block.
    Headers,
    /// Some of a body.
    Body,
}

/// Cuts a stream of octets into messages, whatever pieces it comes in, in linear time.
///
/// It holds at most one message within its limits, and what was pushed and not yet drained.
#[derive(Debug)]
pub struct StreamFramer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Where the octets begin that no frame has taken.
    start: usize,
    scan: Scan,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Between messages; `halves` of a ping have been heard.
    Between {
        halves: u8,
    },
    /// The block begins at `start`.
    Headers,
    /// The body begins at `start` and has `length` octets.
    Body {
        head: Box<Head>,
        length: usize,
    },
    Lost,
}

impl StreamFramer {
    /// Returns a framer at the start of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            start: 0,
            scan: Scan::default(),
            state: State::Between { halves: 0 },
        }
    }

    /// Takes the next octets; drain with [`StreamFramer::poll_frame`] before the next.
    pub fn push(&mut self, octets: &[u8]) {
        if matches!(self.state, State::Lost) {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(octets);
    }

    /// Returns the next frame that is complete.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        loop {
            match &mut self.state {
                State::Between { halves } => {
                    let mut halves = *halves;
                    match self.buffer[self.start..] {
                        [] | [b'\r'] => return None,
                        [b'\r', b'\n', ..] => {
                            self.start += 2;
                            halves = (halves + 1) % 2;
                            self.state = State::Between { halves };
                            return Some(if halves == 0 { Frame::Ping } else { Frame::Pong });
                        }
                        // What no request line and no status line begins with is no SIP: do not wait for its end.
                        [octet, ..] if !crate::octets::is(octet, crate::octets::TOKEN) => {
                            return self.lost(Malformed::silent(Problem::new("this is not SIP")));
                        }
                        _ => self.state = State::Headers,
                    }
                }
                State::Headers => match self.scan.advance(&self.buffer[self.start..], &self.limits) {
                    Ok(None) => return None,
                    Ok(Some(length)) => {
                        if let Some(frame) = self.headers(length) {
                            return Some(frame);
                        }
                    }
                    Err(problem) => {
                        let head = self.scan.read(&Bytes::copy_from_slice(&self.buffer[self.start..]));
                        return self.lost(head.malformed(problem));
                    }
                },
                State::Body { length, .. } if self.buffer.len() - self.start < *length => return None,
                State::Body { .. } => return self.body(),
                State::Lost => return None,
            }
        }
    }

    /// Returns what the stream is in the middle of.
    #[must_use]
    pub fn unfinished(&self) -> Unfinished {
        match self.state {
            State::Between { .. } if self.buffer.len() == self.start => Unfinished::Nothing,
            State::Between { .. } | State::Headers => Unfinished::Headers,
            State::Body { .. } => Unfinished::Body,
            State::Lost => Unfinished::Nothing,
        }
    }

    /// Takes a header block of `length` octets; returns the frame if it is the end of the stream.
    fn headers(&mut self, length: usize) -> Option<Frame> {
        let block = Bytes::copy_from_slice(&self.buffer[self.start..self.start + length]);
        let head = self.scan.read(&block);
        self.scan.reset();
        self.start += length;
        if !head.framed || head.is_noise() {
            return self.lost(head.malformed(Problem::new("the header lines cannot be told apart")));
        }
        match head.content_length() {
            ContentLength::Is(length) if length > self.limits.body_bytes => {
                self.lost(head.malformed(BODY_TOO_LONG))
            }
            ContentLength::Is(length) => {
                self.state = State::Body { head: Box::new(head), length };
                None
            }
            ContentLength::Missing => {
                // RFC 3261 §20.14: on a stream it must be there.
                self.lost(head.malformed(Problem::with(HeaderName::ContentLength, "it is missing")))
            }
            ContentLength::Broken => {
                self.lost(head.malformed(Problem::with(HeaderName::ContentLength, "it is no length")))
            }
        }
    }

    fn body(&mut self) -> Option<Frame> {
        let State::Body { head, length } = std::mem::replace(&mut self.state, State::Between { halves: 0 })
        else {
            return None;
        };
        let body = Bytes::copy_from_slice(&self.buffer[self.start..self.start + length]);
        self.start += length;
        Some(match head.with_body(body) {
            Ok(message) => Frame::Message(message),
            Err(malformed) => Frame::Malformed(malformed),
        })
    }

    fn lost(&mut self, malformed: Malformed) -> Option<Frame> {
        self.state = State::Lost;
        self.buffer = Vec::new();
        self.start = 0;
        Some(Frame::Lost(malformed))
    }
}

const BODY_TOO_LONG: Problem = Problem::too_large("the body is too long");

/// A buffer that grew beyond this is given back once it is empty.
const KEPT_BYTES: usize = 16 * 1024;
