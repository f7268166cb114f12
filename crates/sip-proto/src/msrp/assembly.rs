//! Messages of a session of which only some chunks have come (§7.3.1).

use std::collections::VecDeque;

use net_types::Bytes;
use sip_types::HeaderText;
use sip_types::msrp::{Continuation, Ident, Message};

use super::ranges::Ranges;
use super::settings::Limits;

/// Puts chunks together.
#[derive(Debug)]
pub struct Assembly {
    unfinished: VecDeque<Unfinished>,
    /// What was answered 413: its further chunks are too.
    refused: VecDeque<Ident>,
}

#[derive(Debug)]
struct Unfinished {
    id: Ident,
    content_type: Option<HeaderText>,
    octets: Vec<u8>,
    there: Ranges,
    total: Option<u64>,
}

/// What a chunk leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Added {
    /// There is more to come.
    Unfinished,
    /// The message is whole.
    Whole { content_type: Option<HeaderText>, body: Bytes },
    /// Its sender gave it up.
    Aborted,
    /// It cannot be kept, with the code that says so.
    Refused(u16),
}

impl Assembly {
    pub const fn new() -> Self {
        Self { unfinished: VecDeque::new(), refused: VecDeque::new() }
    }

    /// Takes a SEND with a body.
    pub fn add(&mut self, request: &Message, limits: &Limits) -> Added {
        let body = request.body.clone().unwrap_or_default();
        let start = request.byte_range.map_or(1, |range| range.start) - 1;
        let Some(id) = &request.message_id else {
            // Without a name chunks cannot be put together, and nothing can be told of it later.
            return Added::Refused(400);
        };
        if self.refused.contains(id) {
            return Added::Refused(413);
        }
        let end = start.saturating_add(body.len() as u64);
        let total = request.byte_range.and_then(|range| range.total);
        if end.max(total.unwrap_or(0)) > limits.message_bytes as u64 {
            self.refuse(id);
            return Added::Refused(413);
        }
        let known = self.unfinished.iter().position(|unfinished| unfinished.id == *id);
        match (request.continuation, known) {
            (Continuation::Aborted, known) => {
                known.map(|at| self.unfinished.remove(at));
                return Added::Aborted;
            }
            (Continuation::Complete, None) if start == 0 => {
                return Added::Whole { content_type: request.content_type.clone(), body };
            }
            (Continuation::Complete | Continuation::More, _) => {}
        }
        let at = known.unwrap_or_else(|| self.begin(id, limits));
        let unfinished = &mut self.unfinished[at];
        unfinished.put(request, start, &body);
        if unfinished.there.len() > limits.holes {
            self.refuse(id);
            return Added::Refused(413);
        }
        if !unfinished.total.is_some_and(|total| unfinished.there.are_whole(total)) {
            return Added::Unfinished;
        }
        match self.unfinished.remove(at) {
            Some(Unfinished { content_type, mut octets, total, .. }) => {
                octets.truncate(usize::try_from(total.unwrap_or(0)).unwrap_or(usize::MAX));
                Added::Whole { content_type, body: Bytes::from(octets) }
            }
            None => Added::Unfinished,
        }
    }

    /// Remembers that a message was refused, and forgets its chunks.
    pub fn refuse(&mut self, id: &Ident) {
        self.unfinished.retain(|unfinished| unfinished.id != *id);
        if self.refused.len() == REFUSED_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back(id.clone());
    }

    /// Begins a message; the oldest makes room, since its sender has left it for so many others.
    fn begin(&mut self, id: &Ident, limits: &Limits) -> usize {
        if self.unfinished.len() >= limits.unfinished.max(1) {
            self.unfinished.pop_front();
        }
        self.unfinished.push_back(Unfinished {
            id: id.clone(),
            content_type: None,
            octets: Vec::new(),
            there: Ranges::default(),
            total: None,
        });
        self.unfinished.len() - 1
    }
}

impl Unfinished {
    /// Puts a chunk in its place; the latest word on an octet counts (§7.3.1).
    fn put(&mut self, request: &Message, start: u64, body: &[u8]) {
        let end = start + body.len() as u64;
        // Both are below the limit, which is a `usize`.
        let (from, until) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
        if self.octets.len() < until {
            self.octets.resize(until, 0);
        }
        if let Some(place) = self.octets.get_mut(from..until) {
            place.copy_from_slice(body);
        }
        self.there.add(start, end);
        if self.content_type.is_none() || start == 0 {
            self.content_type.clone_from(&request.content_type);
        }
        if request.continuation == Continuation::Complete {
            // This chunk defines the whole length, whatever was announced (§7.3.1).
            self.total = Some(end);
        }
    }
}

/// So many refused messages of a session are remembered.
const REFUSED_MAX: usize = 16;
