use std::fmt::Write as _;

use bytes::Bytes;
use sip_types::framing::Unfinished;
use sip_types::{Frame, Limits, Malformed, Message, StreamFramer, parse_datagram};

/// What a stream came to.
pub struct Heard {
    pub frames: Vec<Frame>,
    pub unfinished: Unfinished,
}

impl Heard {
    /// The statuses that malformed frames are answered with.
    pub fn refusals(&self) -> Vec<u16> {
        self.frames.iter().filter_map(refusal).map(Malformed::status).collect()
    }

    pub fn messages(&self) -> usize {
        self.frames.iter().filter(|frame| matches!(frame, Frame::Message(_))).count()
    }

    pub fn is_lost(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Lost(_)))
    }
}

fn refusal(frame: &Frame) -> Option<&Malformed> {
    match frame {
        Frame::Malformed(malformed) | Frame::Lost(malformed) => Some(malformed),
        Frame::Message(_) | Frame::Ping | Frame::Pong => None,
    }
}

pub fn datagram(octets: &[u8]) -> Result<Message, Malformed> {
    parse_datagram(&Bytes::copy_from_slice(octets), &Limits::default())
}

/// Hears `octets` in one piece, octet by octet and split in two at every offset (at some of them, if there
/// are very many); all must come to the same.
#[track_caller]
pub fn hear(octets: &[u8]) -> Heard {
    let whole = hear_pieces(&[octets]);
    let told = tell(&whole);
    let single: Vec<&[u8]> = octets.chunks(1).collect();
    assert_eq!(tell(&hear_pieces(&single)), told, "octet by octet");
    let step = if octets.len() > 32 * 1024 { octets.len() / 16 } else { octets.len().div_ceil(4096) };
    for at in (1..octets.len()).step_by(step.max(1)) {
        assert_eq!(tell(&hear_pieces(&[&octets[..at], &octets[at..]])), told, "split at {at}");
    }
    whole
}

fn hear_pieces(pieces: &[&[u8]]) -> Heard {
    let mut framer = StreamFramer::new(Limits::default());
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece);
        frames.extend(std::iter::from_fn(|| framer.poll_frame()));
    }
    Heard { frames, unfinished: framer.unfinished() }
}

/// Everything that can be seen of what was heard.
pub fn tell(heard: &Heard) -> String {
    let mut told = format!("{:?}\n", heard.unfinished);
    for frame in &heard.frames {
        match frame {
            Frame::Ping => told.push('i'),
            Frame::Pong => told.push('o'),
            Frame::Message(message) => told.push_str(&printed(|out| message.print(out))),
            Frame::Malformed(malformed) => write!(told, "malformed {}", refused(malformed)).unwrap(),
            Frame::Lost(malformed) => write!(told, "lost {}", refused(malformed)).unwrap(),
        }
    }
    told
}

fn refused(malformed: &Malformed) -> String {
    let answer = malformed.clone().into_answer().map(|answer| printed(|out| answer.print(out)));
    format!("{malformed} {answer:?}")
}

fn printed(print: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    print(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}
