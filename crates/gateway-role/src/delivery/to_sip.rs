//! A message on its way from an XMPP user to a SIP user.
//!
//! ```text
//!  stanza ─▶ Waiting ── its turn ─▶ InFlight ── 2xx ─▶ gone
//!               │                      │ refused, unreachable
//!               └─ waited too long ────┴──────────▶ Reporting ── error stanza settled ─▶ gone
//! ```
//!
//! Beside that, each message is *held* until the partner may be told that it is safe (`Settle`): at its
//! end, or when it is on disk. At most one request per SIP user is in flight (RFC 3428 §8), which keeps
//! their order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Moment, Now, earliest};
use xmpp_types::xml::Element;

use super::{Deadlines, DeliverySettings, Number, StoreOrder, Tickets};
use crate::record::{AcceptedMessage, Direction, MessageKey, NotStored, Record, Ticket};

/// What [`ToSip`] orders.
#[derive(Clone, Debug, PartialEq)]
pub enum ToSipOutput {
    /// Send the message as a SIP request.
    Request {
        /// The message.
        number: Number,
        /// What was received.
        stanza: Arc<Element>,
    },
    /// Tell the proxy that the message is safe here.
    Settle(Number),
    /// Hand the error stanza to the link; its acknowledgement comes back as [`ToSip::handle_reported`].
    Report {
        /// The message.
        number: Number,
        /// The error stanza.
        error: Element,
    },
    /// The message waited too long for its turn; [`ToSip::handle_failed`] ends it.
    Expired {
        /// The message.
        number: Number,
    },
    /// Change what is durable.
    Store(StoreOrder),
    /// The message is settled; nothing of it remains.
    Done {
        /// The message.
        number: Number,
        /// Whether it was delivered (or reported).
        delivered: bool,
        /// How long it was with us.
        took: Duration,
    },
}

/// All messages on their way from XMPP to SIP.
#[derive(Debug)]
pub struct ToSip {
    settings: DeliverySettings,
    tickets: Tickets,
    next: u64,
    messages: BTreeMap<Number, Message>,
    storing: BTreeMap<Ticket, Number>,
    targets: BTreeMap<Arc<str>, Target>,
    holds: Deadlines,
    turns: Deadlines,
    outputs: VecDeque<ToSipOutput>,
}

#[derive(Debug)]
struct Message {
    key: MessageKey,
    target: Arc<str>,
    stanza: Arc<Element>,
    arrived: Moment,
    expires: Date,
    progress: Progress,
    safety: Safety,
}

#[derive(Debug)]
enum Progress {
    /// Others for the same user are before it.
    Waiting,
    /// Its request is out.
    InFlight,
    /// It failed; the error stanza is on its way to the sender.
    Reporting { error: Element },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Safety {
    /// Only in memory; the partner keeps it too.
    Held,
    /// The disk was asked.
    Storing,
    /// On disk; the partner was told.
    Durable,
}

#[derive(Debug, Default)]
struct Target {
    in_flight: Option<Number>,
    waiting: VecDeque<Number>,
}

impl ToSip {
    /// Returns a machine without messages.
    #[must_use]
    pub fn new(settings: DeliverySettings) -> Self {
        Self {
            settings,
            tickets: Tickets::odd(),
            next: 0,
            messages: BTreeMap::new(),
            storing: BTreeMap::new(),
            targets: BTreeMap::new(),
            holds: Deadlines::default(),
            turns: Deadlines::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Returns whether there is no room for another message to `target`.
    #[must_use]
    pub fn is_full(&self, target: &str) -> bool {
        self.messages.len() >= self.settings.unsettled_max
            || self.targets.get(target).is_some_and(|t| t.waiting.len() >= self.settings.queue_max)
    }

    /// Returns the messages to `target` that have no answer yet, the one whose turn it is first.
    #[must_use]
    pub fn waiting(&self, target: &str) -> Vec<Number> {
        let Some(target) = self.targets.get(target) else { return Vec::new() };
        target.in_flight.iter().chain(&target.waiting).copied().collect()
    }

    /// Takes the messages that wait behind this one out of their queue: [`Self::handle_failed`] ends each.
    pub fn take_waiting_behind(&mut self, number: Number) -> Vec<Number> {
        let target = self.messages.get(&number).and_then(|message| self.targets.get_mut(&message.target));
        target.map(|target| target.waiting.drain(..).collect()).unwrap_or_default()
    }

    /// Returns the queue that a message is in.
    #[must_use]
    pub fn target(&self, number: Number) -> Option<&str> {
        self.messages.get(&number).map(|message| &*message.target)
    }

    /// Returns how long a message has been with us.
    #[must_use]
    pub fn age(&self, number: Number, now: Now) -> Duration {
        self.messages.get(&number).map_or(Duration::ZERO, |message| now.moment.since(message.arrived))
    }

    /// Takes what an earlier process left: a message to deliver, or a report to make.
    pub fn recover(
        &mut self,
        kept: AcceptedMessage,
        stanza: Element,
        report: Option<Element>,
        target: &str,
        now: Now,
    ) {
        let number = self.insert(kept.key, stanza, target, kept.expires, Safety::Durable, now);
        match report {
            Some(error) => self.order_report(number, error),
            None => self.enqueue(number, now),
        }
    }

    /// Takes a message for the SIP user `target`. `key` is fresh; it names the message on disk.
    pub fn handle_message(&mut self, key: MessageKey, stanza: Element, target: &str, now: Now) -> Number {
        let expires = now.date.plus(self.settings.lifetime);
        let number = self.insert(key, stanza, target, expires, Safety::Held, now);
        self.holds.set(now.moment + self.settings.hold, number);
        self.enqueue(number, now);
        number
    }

    /// Takes a message that cannot be delivered, with the error stanza that says so.
    pub fn handle_refused(&mut self, key: MessageKey, stanza: Element, error: Element, now: Now) -> Number {
        let expires = now.date.plus(self.settings.lifetime);
        let number = self.insert(key, stanza, "", expires, Safety::Held, now);
        self.holds.set(now.moment + self.settings.hold, number);
        self.order_report(number, error);
        number
    }

    /// The SIP user has the message: a 2xx to its request.
    pub fn handle_delivered(&mut self, number: Number, now: Now) {
        let Some(message) = self.messages.get(&number) else { return };
        match message.progress {
            Progress::InFlight => {
                self.leave_target(number);
                self.finish(number, true, now);
            }
            Progress::Waiting | Progress::Reporting { .. } => {}
        }
    }

    /// The message cannot be delivered; `error` is the stanza that says so, if the sender may have one.
    pub fn handle_failed(&mut self, number: Number, error: Option<Element>, now: Now) {
        let Some(message) = self.messages.get(&number) else { return };
        match message.progress {
            Progress::InFlight | Progress::Waiting => {
                self.leave_target(number);
                match error {
                    Some(error) => self.fail(number, error),
                    None => self.finish(number, false, now),
                }
            }
            Progress::Reporting { .. } => {}
        }
    }

    /// The sender's server has the error stanza.
    pub fn handle_reported(&mut self, number: Number, now: Now) {
        if self.messages.get(&number).is_some_and(|m| matches!(m.progress, Progress::Reporting { .. })) {
            self.finish(number, false, now);
        }
    }

    /// The store carried out an order, or could not.
    pub fn handle_stored(&mut self, ticket: Ticket, stored: Result<(), NotStored>, now: Now) {
        let Some(number) = self.storing.remove(&ticket) else { return };
        let Some(message) = self.messages.get_mut(&number) else { return };
        if message.safety != Safety::Storing {
            return;
        }
        if stored.is_ok() {
            message.safety = Safety::Durable;
            self.outputs.push_back(ToSipOutput::Settle(number));
        } else {
            // The partner keeps the message, because we do not acknowledge it: ask the disk again later.
            message.safety = Safety::Held;
            self.holds.set(now.moment + self.settings.hold, number);
        }
    }

    /// Everything goes to disk now, so that the partner may forget it.
    pub fn handle_stop(&mut self, now: Now) {
        let held: Vec<Number> =
            self.messages.iter().filter(|(_, m)| m.safety == Safety::Held).map(|(n, _)| *n).collect();
        for number in held {
            self.store(number, now);
        }
    }

    /// Returns whether a message is neither settled nor on disk.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.messages.values().any(|m| m.safety != Safety::Durable)
    }

    /// Returns what was received.
    #[must_use]
    pub fn stanza(&self, number: Number) -> Option<&Element> {
        self.messages.get(&number).map(|message| &*message.stanza)
    }

    /// Returns the name of a message on disk.
    #[must_use]
    pub fn key(&self, number: Number) -> Option<&MessageKey> {
        self.messages.get(&number).map(|message| &message.key)
    }

    /// Returns how many messages are not settled.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.messages.len()
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(number) = self.holds.take_due(now.moment) {
            if self.messages.get(&number).is_some_and(|m| m.safety == Safety::Held) {
                self.store(number, now);
            }
        }
        while let Some(number) = self.turns.take_due(now.moment) {
            if let Some(message) = self.messages.get(&number)
                && matches!(message.progress, Progress::Waiting)
            {
                self.outputs.push_back(ToSipOutput::Expired { number });
            }
        }
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        earliest(self.holds.next(), self.turns.next())
    }

    /// Returns the next order.
    pub fn poll_output(&mut self) -> Option<ToSipOutput> {
        self.outputs.pop_front()
    }

    fn insert(
        &mut self,
        key: MessageKey,
        stanza: Element,
        target: &str,
        expires: Date,
        safety: Safety,
        now: Now,
    ) -> Number {
        self.next += 1;
        let number = Number(self.next);
        let target =
            self.targets.get_key_value(target).map_or_else(|| Arc::from(target), |(key, _)| key.clone());
        let (arrived, progress) = (now.moment, Progress::Waiting);
        let stanza = Arc::new(stanza);
        self.messages.insert(number, Message { key, target, stanza, arrived, expires, progress, safety });
        number
    }

    fn enqueue(&mut self, number: Number, now: Now) {
        let Some(message) = self.messages.get(&number) else { return };
        let target = self.targets.entry(message.target.clone()).or_default();
        target.waiting.push_back(number);
        if target.in_flight.is_some() {
            self.turns.set(now.moment + self.settings.queue_time, number);
        }
        let name = message.target.clone();
        self.start_next(&name);
    }

    fn start_next(&mut self, name: &Arc<str>) {
        let Some(target) = self.targets.get_mut(name) else { return };
        if target.in_flight.is_some() {
            return;
        }
        let Some(number) = target.waiting.pop_front() else {
            self.targets.remove(name);
            return;
        };
        target.in_flight = Some(number);
        if let Some(message) = self.messages.get_mut(&number) {
            message.progress = Progress::InFlight;
            self.outputs.push_back(ToSipOutput::Request { number, stanza: Arc::clone(&message.stanza) });
        }
    }

    fn leave_target(&mut self, number: Number) {
        let Some(message) = self.messages.get(&number) else { return };
        let name = message.target.clone();
        let Some(target) = self.targets.get_mut(&name) else { return };
        if target.in_flight == Some(number) {
            target.in_flight = None;
        } else {
            target.waiting.retain(|n| *n != number);
        }
        self.start_next(&name);
    }

    fn store(&mut self, number: Number, now: Now) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        message.safety = Safety::Storing;
        let report = match &message.progress {
            Progress::Reporting { error } => Some(error.to_string()),
            Progress::Waiting | Progress::InFlight => None,
        };
        let record = Record::Accepted(Box::new(AcceptedMessage {
            key: message.key.clone(),
            direction: Direction::ToSip,
            stanza: message.stanza.to_string(),
            report_to: None,
            accepted: now.date,
            expires: message.expires,
            report,
        }));
        let order = self.tickets.order(record);
        self.storing.insert(order.ticket, number);
        self.outputs.push_back(ToSipOutput::Store(order));
    }

    fn fail(&mut self, number: Number, error: Element) {
        let Some(message) = self.messages.get(&number) else { return };
        if message.safety != Safety::Held {
            let record = Record::Failed { key: message.key.clone(), report: error.to_string() };
            self.outputs.push_back(ToSipOutput::Store(self.tickets.order(record)));
        }
        self.order_report(number, error);
    }

    fn order_report(&mut self, number: Number, error: Element) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        message.progress = Progress::Reporting { error: error.clone() };
        self.outputs.push_back(ToSipOutput::Report { number, error });
    }

    fn finish(&mut self, number: Number, delivered: bool, now: Now) {
        let Some(message) = self.messages.remove(&number) else { return };
        match message.safety {
            Safety::Held => self.outputs.push_back(ToSipOutput::Settle(number)),
            Safety::Storing => {
                self.outputs.push_back(ToSipOutput::Settle(number));
                self.record_settled(message.key, now);
            }
            Safety::Durable => self.record_settled(message.key, now),
        }
        let took = now.moment.since(message.arrived);
        self.outputs.push_back(ToSipOutput::Done { number, delivered, took });
        let messages = &self.messages;
        self.holds.forget_front(|n| messages.get(&n).is_some_and(|m| m.safety == Safety::Held));
        self.turns
            .forget_front(|n| messages.get(&n).is_some_and(|m| matches!(m.progress, Progress::Waiting)));
    }

    fn record_settled(&mut self, key: MessageKey, now: Now) {
        let record = Record::Settled { key, date: now.date };
        self.outputs.push_back(ToSipOutput::Store(self.tickets.order(record)));
    }
}

#[cfg(test)]
#[path = "to_sip_tests.rs"]
mod tests;
