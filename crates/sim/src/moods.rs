//! Servers that misbehave: a partner's, on the outside of a machine that does as it should, and a SIP server that is
//! no help.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use clock_types::{Moment, Now, earliest};
use net_types::{Bytes, ConnectionId, Event, Order};
use peer_role::XmppServer;
use peer_role::raw::{RawFrame, RawMessage, RawStream};

use crate::cast::Watched;
use crate::machine::{Effect, Machine};

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// It accepts connections and closes them at once.
    HangsUp,
    /// It sends one octet a second.
    Drips,
}

/// A server with a mood.
pub struct Moody {
    /// The server itself.
    pub server: Watched<XmppServer>,
    /// How it behaves.
    pub mood: Mood,
    /// Octets that wait for their second.
    waiting: VecDeque<(ConnectionId, Bytes)>,
    next: Option<Moment>,
    outputs: VecDeque<Effect>,
}

impl Moody {
    /// Returns a server that behaves well.
    pub fn new(server: Watched<XmppServer>) -> Self {
        Self { server, mood: Mood::Well, waiting: VecDeque::new(), next: None, outputs: VecDeque::new() }
    }

    /// Lets it behave in another way.
    pub fn set(&mut self, mood: Mood, now: Now) {
        self.mood = mood;
        self.next = (mood == Mood::Drips).then_some(now.moment);
    }

    fn drip(&mut self) {
        let Some((connection, mut bytes)) = self.waiting.pop_front() else { return };
        let first = bytes.split_to(1);
        self.outputs.push_back(Effect::Order(Order::Send { connection, bytes: first }));
        if !bytes.is_empty() {
            self.waiting.push_front((connection, bytes));
        }
    }
}

impl Machine for Moody {
    fn handle_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Accepted { connection, .. } if self.mood == Mood::HangsUp => {
                self.outputs.push_back(Effect::Order(Order::Close { connection }));
            }
            event => self.server.handle_event(event, now),
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.next.is_some_and(|next| next <= now.moment) {
            self.drip();
            self.next = Some(now.moment + Duration::from_secs(1));
        }
        self.server.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Effect> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            match self.server.poll_output()? {
                Effect::Order(Order::Send { connection, bytes }) if self.mood == Mood::Drips => {
                    self.waiting.push_back((connection, bytes));
                }
                Effect::Order(Order::Close { connection }) => {
                    self.waiting.retain(|(waiting, _)| *waiting != connection);
                    self.outputs.push_back(Effect::Order(Order::Close { connection }));
                }
                effect => return Some(effect),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Moment> {
        earliest(self.server.poll_timeout(), self.next)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A SIP server that answers every request with the same refusal, or none at all.
pub struct Helpless {
    status: Option<u16>,
    streams: BTreeMap<ConnectionId, RawStream>,
    outputs: VecDeque<Effect>,
}

impl Helpless {
    /// Returns one that refuses with this status, or never says a word.
    pub const fn new(status: Option<u16>) -> Self {
        Self { status, streams: BTreeMap::new(), outputs: VecDeque::new() }
    }

    fn hear(&mut self, connection: ConnectionId, request: &RawMessage) {
        if let Some(status) = self.status.filter(|_| !matches!(request.method(), None | Some("ACK"))) {
            let bytes = request.response(status, "No", "helpless").octets();
            self.outputs.push_back(Effect::Order(Order::Send { connection, bytes }));
        }
    }
}

impl Machine for Helpless {
    fn handle_event(&mut self, event: Event, _now: Now) {
        match event {
            Event::Bytes { connection, bytes } => {
                let stream = self.streams.entry(connection).or_default();
                stream.push(&bytes);
                let frames: Vec<_> = std::iter::from_fn(|| stream.poll_frame()).collect();
                for frame in frames {
                    if let RawFrame::Message(request) = frame {
                        self.hear(connection, &request);
                    }
                }
            }
            Event::Closed { connection, .. } => drop(self.streams.remove(&connection)),
            _ => {}
        }
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_output(&mut self) -> Option<Effect> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Moment> {
        None
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
