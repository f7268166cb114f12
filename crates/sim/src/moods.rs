//! A partner's server that can misbehave: on the outside of a machine that does as it should.

use std::any::Any;
use std::collections::VecDeque;
use std::time::Duration;

use clock_types::{Moment, Now, earliest};
use net_types::{Bytes, ConnectionId, Event, Order};
use peer_role::XmppServer;

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
