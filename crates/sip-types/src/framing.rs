//! Where a message ends: by datagram, or by Content-Length on a stream (RFC 3261 §18.3).

use bytes::Bytes;

use crate::malformed::Malformed;
use crate::message::Message;

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

/// Returns the message in a datagram; octets after its Content-Length are not part of it.
///
/// # Errors
/// Says what is wrong, and how to answer.
pub fn parse_datagram(_datagram: &Bytes, _limits: &Limits) -> Result<Message, Malformed> {
    unimplemented!()
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
#[derive(Debug)]
pub struct StreamFramer {
    limits: Limits,
}

impl StreamFramer {
    /// Returns a framer at the start of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// Takes the next octets; drain with [`StreamFramer::poll_frame`] before the next.
    pub fn push(&mut self, _octets: &[u8]) {
        let _ = self.limits;
        unimplemented!()
    }

    /// Returns the next frame that is complete.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        unimplemented!()
    }

    /// Returns what the stream is in the middle of.
    #[must_use]
    pub fn unfinished(&self) -> Unfinished {
        unimplemented!()
    }
}
