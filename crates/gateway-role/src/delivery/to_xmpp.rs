//! A message on its way from a SIP user to an XMPP user.
//!
//! ```text
//!                    settled: 200, error: its status
//!             ┌────────────────────────────────────────────▶ gone
//!  MESSAGE ─▶ Held ── hold over ─▶ Storing ── on disk: 202 ─▶ Accepted ── settled ─▶ gone
//!                                   │ not storable             │ error, or lifetime over
//!                                   ├─ not yet sent: 503 ▶ gone ▼
//!                                   └─ sent ─▶ Unstorable      Reporting ── told ─▶ gone
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Moment, Now, earliest};
use translate::error::{Failure, Refusal, failure_to_xmpp};
use xmpp_types::xml::Element;

use super::{Deadlines, DeliverySettings, Number, RETRY_MAX, RETRY_MIN, StoreOrder, Tickets};
use crate::REMEMBERED;
use crate::record::{AcceptedMessage, Direction, MessageKey, NotStored, Record, Ticket};

/// A message that a SIP user sent and that passed admission and translation.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Made from what names the request (Call-ID, CSeq, From tag): a retransmission has the same.
    pub key: MessageKey,
    /// What to deliver.
    pub stanza: Element,
    /// The sender's URI, for a report.
    pub report_to: String,
    /// The lifetime that the sender asked for (`Expires`), if any.
    pub lifetime: Option<Duration>,
}

/// What the sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: the partner has it.
    Delivered,
    /// 202: we have it on disk.
    Accepted,
    /// 482: another transaction already carries this message (RFC 3261 §8.2.2.2).
    Merged,
    /// 503 with Retry-After: it could not be stored, and nothing of it has left.
    NotStored {
        /// Why, in words.
        reason: String,
    },
    /// 504: it could not be stored in time, and nobody can say whether it arrived.
    Uncertain,
    /// The far side's refusal.
    Refused(Box<Refusal>),
}

/// What [`ToXmpp`] orders.
#[derive(Clone, Debug, PartialEq)]
pub enum ToXmppOutput {
    /// Hand the stanza to the link.
    Deliver {
        /// The message.
        number: Number,
        /// Its stanza.
        stanza: Arc<Element>,
    },
    /// Take the stanza back if it has not left yet; answered by [`ToXmpp::handle_withdrawn`].
    Withdraw(Number),
    /// Answer the sender's request.
    Answer {
        /// The message.
        number: Number,
        /// What to say.
        answer: Answer,
    },
    /// Tell the sender in a message of its own that his was not delivered.
    Report {
        /// The message.
        number: Number,
        /// The sender's URI.
        to: String,
        /// The stanza that failed.
        stanza: Arc<Element>,
        /// The stanza error.
        error: String,
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

/// All messages on their way from SIP to XMPP.
#[derive(Debug)]
pub struct ToXmpp {
    settings: DeliverySettings,
    tickets: Tickets,
    next: u64,
    messages: BTreeMap<Number, Message>,
    by_key: BTreeMap<MessageKey, Number>,
    storing: BTreeMap<Ticket, Number>,
    remembered: BTreeMap<MessageKey, ()>,
    forget: VecDeque<(Moment, MessageKey)>,
    holds: Deadlines,
    alarms: BTreeMap<(Moment, Number), ()>,
    outputs: VecDeque<ToXmppOutput>,
}

#[derive(Debug)]
struct Message {
    key: MessageKey,
    stanza: Arc<Element>,
    report_to: String,
    arrived: Moment,
    expires: Date,
    alarm: Option<Moment>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The sender's transaction is open and he can be told anything.
    Held,
    /// The hold time is over; the disk was asked.
    Storing,
    /// The disk refused; we were asked to withdraw it, or it has left and only the truth can help.
    Unstorable { reason: String },
    /// On disk, and the sender knows.
    Accepted,
    /// Not delivered; the sender is being told.
    Reporting { error: String, pause: Duration },
}

impl ToXmpp {
    /// Returns a machine without messages.
    #[must_use]
    pub fn new(settings: DeliverySettings) -> Self {
        Self {
            settings,
            tickets: Tickets::even(),
            next: 0,
            messages: BTreeMap::new(),
            by_key: BTreeMap::new(),
            storing: BTreeMap::new(),
            remembered: BTreeMap::new(),
            forget: VecDeque::new(),
            holds: Deadlines::default(),
            alarms: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes what an earlier process left: a message to deliver, or a report to make.
    pub fn recover(&mut self, message: AcceptedMessage, stanza: Element, now: Now) -> Number {
        let (number, stanza) = (self.number(), Arc::new(stanza));
        let report = message.report.clone();
        self.by_key.insert(message.key.clone(), number);
        self.messages.insert(
            number,
            Message {
                key: message.key,
                stanza: Arc::clone(&stanza),
                report_to: message.report_to.unwrap_or_default(),
                arrived: now.moment,
                expires: message.expires,
                alarm: None,
                state: State::Accepted,
            },
        );
        match report {
            None => {
                self.watch_lifetime(number, now);
                self.outputs.push_back(ToXmppOutput::Deliver { number, stanza });
            }
            Some(error) => self.report(number, error),
        }
        number
    }

    /// Takes the name of a message that was settled not long ago.
    pub fn recover_settled(&mut self, key: MessageKey, settled: Date, now: Now) {
        let age =
            Duration::from_millis(u64::try_from(now.date.unix_millis() - settled.unix_millis()).unwrap_or(0));
        if age < REMEMBERED {
            self.remember(key, now.moment + (REMEMBERED - age));
        }
    }

    /// Takes a message from a SIP user. The number names it; its `Answer` follows, perhaps at once.
    pub fn handle_message(&mut self, arrival: Arrival, now: Now) -> Number {
        let number = self.number();
        if let Some(answer) = self.known(&arrival.key) {
            self.outputs.push_back(ToXmppOutput::Answer { number, answer });
            return number;
        }
        if self.messages.len() >= self.settings.unsettled_max {
            let reason = "too many messages are unsettled".to_owned();
            self.outputs.push_back(ToXmppOutput::Answer { number, answer: Answer::NotStored { reason } });
            return number;
        }
        let lifetime = arrival.lifetime.unwrap_or(self.settings.lifetime).min(self.settings.lifetime);
        self.by_key.insert(arrival.key.clone(), number);
        let stanza = Arc::new(arrival.stanza);
        self.outputs.push_back(ToXmppOutput::Deliver { number, stanza: Arc::clone(&stanza) });
        self.messages.insert(
            number,
            Message {
                key: arrival.key,
                stanza,
                report_to: arrival.report_to,
                arrived: now.moment,
                expires: now.date.plus(lifetime),
                alarm: None,
                state: State::Held,
            },
        );
        self.holds.set(now.moment + self.settings.hold, number);
        number
    }

    /// The partner has acknowledged the stanza.
    pub fn handle_settled(&mut self, number: Number, now: Now) {
        let Some(message) = self.messages.get(&number) else { return };
        match message.state {
            State::Held | State::Unstorable { .. } => {
                self.answer(number, Answer::Delivered);
                self.finish(number, true, false, now);
            }
            State::Storing => {
                self.answer(number, Answer::Delivered);
                self.finish(number, true, true, now);
            }
            State::Accepted => self.finish(number, true, true, now),
            // The error stanza came first; the report is on its way.
            State::Reporting { .. } => {}
        }
    }

    /// The far side refused the stanza: its error in SIP's words and in its own, which is kept when the
    /// sender has to be told later.
    pub fn handle_error(&mut self, number: Number, refusal: Refusal, error: String, now: Now) {
        let Some(message) = self.messages.get(&number) else { return };
        match message.state {
            State::Held | State::Unstorable { .. } => {
                self.answer(number, Answer::Refused(Box::new(refusal)));
                self.finish(number, false, false, now);
            }
            State::Storing => {
                self.answer(number, Answer::Refused(Box::new(refusal)));
                self.finish(number, false, true, now);
            }
            State::Accepted => self.fail(number, error),
            State::Reporting { .. } => {}
        }
    }

    /// The store carried out an order, or could not.
    pub fn handle_stored(&mut self, ticket: Ticket, stored: Result<(), NotStored>, now: Now) {
        let Some(number) = self.storing.remove(&ticket) else { return };
        let Some(message) = self.messages.get_mut(&number) else { return };
        match (&message.state, stored) {
            (State::Storing, Ok(())) => {
                message.state = State::Accepted;
                self.answer(number, Answer::Accepted);
                self.watch_lifetime(number, now);
            }
            (State::Storing, Err(NotStored { reason })) => {
                let until = message.arrived + self.settings.hold_max;
                message.state = State::Unstorable { reason };
                self.set_alarm(number, until);
                self.outputs.push_back(ToXmppOutput::Withdraw(number));
            }
            (State::Held | State::Unstorable { .. } | State::Accepted | State::Reporting { .. }, _) => {}
        }
    }

    /// The link took the stanza back: nothing of it has left.
    pub fn handle_withdrawn(&mut self, number: Number, now: Now) {
        let Some(message) = self.messages.get(&number) else { return };
        match &message.state {
            State::Unstorable { reason } => {
                let reason = reason.clone();
                self.answer(number, Answer::NotStored { reason });
                self.finish(number, false, false, now);
            }
            State::Held | State::Storing | State::Accepted | State::Reporting { .. } => {}
        }
    }

    /// The sender was told of the failure, or cannot be told: his own server refused it for good.
    pub fn handle_reported(&mut self, number: Number, now: Now) {
        if self.messages.contains_key(&number) {
            self.finish(number, false, true, now);
        }
    }

    /// The report did not get through this time.
    pub fn handle_report_failed(&mut self, number: Number, now: Now) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        let State::Reporting { pause, .. } = &mut message.state else { return };
        let expired = now.date >= message.expires.plus(self.settings.lifetime);
        if expired {
            self.finish(number, false, true, now);
            return;
        }
        let at = now.moment + *pause;
        *pause = (*pause * 2).min(RETRY_MAX);
        self.set_alarm(number, at);
    }

    /// Every message goes to disk now; what is not accepted yet will be, or is refused.
    pub fn handle_stop(&mut self, now: Now) {
        let held: Vec<Number> =
            self.messages.iter().filter(|(_, m)| matches!(m.state, State::Held)).map(|(n, _)| *n).collect();
        for number in held {
            self.store(number, now);
        }
    }

    /// Returns whether a sender is still waiting for his answer.
    #[must_use]
    pub fn is_answering(&self) -> bool {
        self.messages
            .values()
            .any(|m| matches!(m.state, State::Held | State::Storing | State::Unstorable { .. }))
    }

    /// Returns how many messages are not settled.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.messages.len()
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(number) = self.holds.take_due(now.moment) {
            if self.messages.get(&number).is_some_and(|m| matches!(m.state, State::Held)) {
                self.store(number, now);
            }
        }
        while let Some((&(at, number), ())) = self.alarms.first_key_value() {
            if at > now.moment {
                break;
            }
            self.alarms.remove(&(at, number));
            self.alarm(number, now);
        }
        while self.forget.front().is_some_and(|(at, _)| *at <= now.moment) {
            if let Some((_, key)) = self.forget.pop_front() {
                self.remembered.remove(&key);
            }
        }
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let alarm = self.alarms.first_key_value().map(|((at, _), ())| *at);
        let forget = self.forget.front().map(|(at, _)| *at);
        earliest(earliest(self.holds.next(), alarm), forget)
    }

    /// Returns the next order.
    pub fn poll_output(&mut self) -> Option<ToXmppOutput> {
        self.outputs.pop_front()
    }

    fn number(&mut self) -> Number {
        self.next += 1;
        Number(self.next)
    }

    /// Says what a message that we already know is answered.
    fn known(&self, key: &MessageKey) -> Option<Answer> {
        if self.remembered.contains_key(key) {
            return Some(Answer::Accepted);
        }
        let message = self.messages.get(self.by_key.get(key)?)?;
        Some(match message.state {
            State::Held | State::Storing | State::Unstorable { .. } => Answer::Merged,
            State::Accepted | State::Reporting { .. } => Answer::Accepted,
        })
    }

    fn alarm(&mut self, number: Number, now: Now) {
        let Some(message) = self.messages.get(&number) else { return };
        match &message.state {
            State::Unstorable { .. } => {
                self.answer(number, Answer::Uncertain);
                self.finish(number, false, false, now);
            }
            State::Accepted if now.date >= message.expires => {
                self.outputs.push_back(ToXmppOutput::Withdraw(number));
                self.fail(number, too_late());
            }
            // The calendar went back while we slept.
            State::Accepted => self.watch_lifetime(number, now),
            State::Reporting { error, .. } => {
                let error = error.clone();
                self.order_report(number, error);
            }
            State::Held | State::Storing => {}
        }
    }

    fn watch_lifetime(&mut self, number: Number, now: Now) {
        let Some(message) = self.messages.get(&number) else { return };
        let left = message.expires.unix_millis() - now.date.unix_millis();
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(self.settings.lifetime);
        self.set_alarm(number, now.moment + left);
    }

    /// Sets the message's one alarm; an earlier one is forgotten.
    fn set_alarm(&mut self, number: Number, at: Moment) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        if let Some(before) = message.alarm.replace(at) {
            self.alarms.remove(&(before, number));
        }
        self.alarms.insert((at, number), ());
    }

    fn store(&mut self, number: Number, now: Now) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        message.state = State::Storing;
        let record = Record::Accepted(Box::new(AcceptedMessage {
            key: message.key.clone(),
            direction: Direction::ToXmpp,
            stanza: message.stanza.to_string(),
            report_to: Some(message.report_to.clone()),
            accepted: now.date,
            expires: message.expires,
            report: None,
        }));
        let order = self.tickets.order(record);
        self.storing.insert(order.ticket, number);
        self.outputs.push_back(ToXmppOutput::Store(order));
    }

    fn fail(&mut self, number: Number, error: String) {
        let Some(message) = self.messages.get(&number) else { return };
        let record = Record::Failed { key: message.key.clone(), report: error.clone() };
        self.outputs.push_back(ToXmppOutput::Store(self.tickets.order(record)));
        self.report(number, error);
    }

    fn report(&mut self, number: Number, error: String) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        message.state = State::Reporting { error: error.clone(), pause: RETRY_MIN };
        self.order_report(number, error);
    }

    fn order_report(&mut self, number: Number, error: String) {
        let Some(message) = self.messages.get(&number) else { return };
        let (to, stanza) = (message.report_to.clone(), Arc::clone(&message.stanza));
        self.outputs.push_back(ToXmppOutput::Report { number, to, stanza, error });
    }

    fn answer(&mut self, number: Number, answer: Answer) {
        self.outputs.push_back(ToXmppOutput::Answer { number, answer });
    }

    fn finish(&mut self, number: Number, delivered: bool, stored: bool, now: Now) {
        let Some(message) = self.messages.remove(&number) else { return };
        self.by_key.remove(&message.key);
        if let Some(at) = message.alarm {
            self.alarms.remove(&(at, number));
        }
        if stored {
            let record = Record::Settled { key: message.key.clone(), date: now.date };
            self.outputs.push_back(ToXmppOutput::Store(self.tickets.order(record)));
            self.remember(message.key, now.moment + REMEMBERED);
        }
        let took = now.moment.since(message.arrived);
        self.outputs.push_back(ToXmppOutput::Done { number, delivered, took });
        let messages = &self.messages;
        self.holds.forget_front(|n| messages.get(&n).is_some_and(|m| matches!(m.state, State::Held)));
    }

    fn remember(&mut self, key: MessageKey, until: Moment) {
        if self.remembered.insert(key.clone(), ()).is_none() {
            self.forget.push_back((until, key));
        }
    }
}

fn too_late() -> String {
    failure_to_xmpp(&Failure::Expired("its lifetime is over".to_owned())).to_element().to_string()
}

#[cfg(test)]
#[path = "to_xmpp_tests.rs"]
mod tests;
