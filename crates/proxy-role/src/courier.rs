//! What carries stanzas, or questions of dialback, from one domain of ours to one of a partner.
//!
//! ```text
//!           something to carry       found             connected          ready
//!   Idle ─────────────────────▶ Seeking ────▶ Dialling ─────────▶ Opening ──────▶ Open
//!    ▲                            │              │  next address     │             │
//!    │                            ▼              ▼ ◀────────────────-┘             │ over
//!    └──────── pause over ── Pausing ◀───────────┘                                 ▼
//!    ▲                                                                          resend once
//!    └── Borrowed: the partner's own stream, used both ways (XEP-0288)
//!             └── its connection broke ──▶ Awaiting: the partner comes back with it, or is sought
//! ```
//!
//! Where the partner's web server may vouch for it, `Inquiring` comes before `Seeking` unless the answer is known.

mod approach;
mod inquiry;
mod opening;
mod resumption;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use clock_types::{Moment, Now, earliest};
use net_types::ConnectionId;
use xmpp_proto::dialback::{Pair, Question, Trouble, Verdict};
use xmpp_proto::discovery::Discovery;
use xmpp_proto::failure::{Failure, Stage};
use xmpp_proto::posh::{Inquiry, Known};
use xmpp_proto::stream::{Initiator, Purpose};
use xmpp_types::stanza_error::StanzaCondition;
use xmpp_types::xml::Element;

use crate::notice::{Direction, Notice};
use crate::timers::Timer;
use crate::world::{Bounce, Effect, Origin, World};
use approach::Dialling;
use resumption::Left;

/// Names a courier for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CourierId(pub(crate) u64);

/// One way out.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) id: CourierId,
    pub(crate) pair: Pair,
    pub(crate) purpose: Purpose,
    pub(crate) opened: Moment,
    state: State,
    queue: VecDeque<Letter>,
    queue_bytes: usize,
    /// What was sent and waits for its acknowledgement, by token.
    sent: BTreeMap<u64, Sent>,
    questions: Vec<(Question, String)>,
    /// The partner closed when it had refused our certificate: dialback is tried from the start.
    avoids_external: bool,
    /// What the partner's web server says of its certificates, as of the present attempt.
    vouched: Option<Known>,
    /// By which number the stanzas that came on the present stream are settled.
    session: u64,
    /// What the last stream left behind to go on with.
    left: Option<Left>,
    /// Whether the partner is sought where it asked to be for that, rather than where the DNS leads.
    tries_location: bool,
    /// Attempts that failed one after another.
    failed: u32,
    last_failure: Option<(Failure, Moment)>,
}

#[derive(Debug)]
enum State {
    Idle,
    /// The partner's web server is asked to vouch for it, over this connection.
    Inquiring(Box<Inquiry>, Option<ConnectionId>),
    Seeking(Box<Discovery>),
    Dialling(Dialling),
    /// A stream is being opened; other addresses are left if it fails early.
    Opening(Box<Initiator>, ConnectionId, Dialling),
    Open(Box<Initiator>, ConnectionId),
    Borrowed(ConnectionId),
    Awaiting(ConnectionId),
    Pausing(Moment),
}

impl State {
    /// Returns the stream, if there is one.
    fn initiator(&mut self) -> Option<&mut Initiator> {
        match self {
            Self::Opening(initiator, ..) | Self::Open(initiator, _) => Some(initiator),
            Self::Idle
            | Self::Inquiring(..)
            | Self::Seeking(_)
            | Self::Dialling(_)
            | Self::Borrowed(_)
            | Self::Awaiting(_)
            | Self::Pausing(_) => None,
        }
    }
}

/// One stanza on its way.
#[derive(Debug)]
struct Letter {
    stanza: Element,
    origin: Origin,
    /// When its sender must be told that it could not be sent.
    deadline: Moment,
    weight: usize,
    /// Whether it was sent before, on a stream that died.
    was_sent: bool,
}

impl Letter {
    /// Tells whether nobody can be told that it was not delivered: it is itself the error that tells somebody
    /// (RFC 6120 §8.3.1). It waits for its partner however long that takes.
    fn is_last_word(&self) -> bool {
        matches!(self.origin, Origin::Gateway(..) | Origin::Answer(Some(_)))
            && self.stanza.attr("type") == Some("error")
    }

    fn is_overdue(&self, now: Moment) -> bool {
        self.deadline <= now && !self.is_last_word()
    }
}

#[derive(Debug)]
struct Sent {
    origin: Origin,
    weight: usize,
    was_sent: bool,
}

impl Courier {
    pub(crate) fn new(id: CourierId, pair: Pair, purpose: Purpose, now: Now) -> Self {
        Self {
            id,
            pair,
            purpose,
            opened: now.moment,
            state: State::Idle,
            queue: VecDeque::new(),
            queue_bytes: 0,
            sent: BTreeMap::new(),
            questions: Vec::new(),
            avoids_external: false,
            vouched: None,
            session: 0,
            left: None,
            tries_location: false,
            failed: 0,
            last_failure: None,
        }
    }

    /// Takes a stanza to the partner; it ends in [`Effect::Delivered`] or [`Effect::Undeliverable`].
    pub(crate) fn push(&mut self, stanza: Element, origin: Origin, world: &mut World, now: Now) {
        let limits = &world.settings.limits;
        let weight = stanza.weight();
        let count = self.queue.len() + self.sent.len();
        if count >= limits.queue_stanzas_max || self.queue_bytes + weight > limits.queue_bytes_max {
            let text = format!("too many stanzas wait for {}", self.pair.remote);
            return world.bounce(origin, stanza, Bounce::new(StanzaCondition::ResourceConstraint, text));
        }
        let deadline = now.moment + limits.report;
        let letter = Letter { stanza, origin, deadline, weight, was_sent: false };
        // What answers a stanza that is at work is waited for; nothing else begins any more.
        if world.is_stopping && !self.is_open() && !letter.is_last_word() {
            let bounce = Bounce::new(StanzaCondition::RemoteServerTimeout, "the proxy is stopping");
            return world.bounce(letter.origin, letter.stanza, bounce);
        }
        self.queue_bytes += weight;
        self.queue.push_back(letter);
        self.advance(world, now);
    }

    /// Takes a question for the partner's server; it ends in [`Effect::Verdict`].
    pub(crate) fn ask(&mut self, question: Question, key: String, world: &mut World, now: Now) {
        if let Some(initiator) = self.state.initiator() {
            initiator.ask(question, key, now);
            return self.drive(world, now);
        }
        if self.questions.len() >= world.settings.limits.dialbacks_max {
            let verdict = Verdict::Error(Trouble::Busy);
            return world.effects.push_back(Effect::Verdict(question, verdict));
        }
        self.questions.push((question, key));
        self.advance(world, now);
    }

    /// Uses a stream that the partner opened, for it may be used both ways.
    pub(crate) fn borrow(&mut self, connection: ConnectionId, world: &mut World, now: Now) {
        match self.state {
            State::Idle | State::Pausing(_) | State::Borrowed(_) | State::Awaiting(_) => {
                self.give_up_left("the partner has opened a stream of its own", world, now);
                self.state = State::Borrowed(connection);
                self.failed = 0;
                self.advance(world, now);
            }
            State::Inquiring(..)
            | State::Seeking(_)
            | State::Dialling(_)
            | State::Opening(..)
            | State::Open(..) => {}
        }
    }

    /// Takes the news that the partner lives, for it has just opened a stream: no need to pause.
    pub(crate) fn take_heart(&mut self, world: &mut World, now: Now) {
        if let State::Pausing(_) = self.state {
            self.state = State::Idle;
            self.failed = 0;
            self.advance(world, now);
        }
    }

    /// Takes back what was sent on a borrowed stream that is over; there may be another one to borrow.
    pub(crate) fn give_back(
        &mut self,
        connection: ConnectionId,
        unacknowledged: Vec<(u64, Element)>,
        other: Option<ConnectionId>,
        world: &mut World,
        now: Now,
    ) {
        self.requeue(unacknowledged, world, now);
        if self.has_borrowed(connection) {
            self.state = other.map_or(State::Idle, State::Borrowed);
            self.advance(world, now);
        }
    }

    /// Takes the news that the partner has acknowledged what was sent with this token.
    pub(crate) fn delivered(&mut self, token: u64, world: &mut World) {
        if let Some(sent) = self.sent.remove(&token) {
            self.queue_bytes = self.queue_bytes.saturating_sub(sent.weight);
            world.effects.push_back(Effect::Delivered(sent.origin));
        }
    }

    /// Takes the answer to a ping that came from the partner; tells whether we had asked.
    pub(crate) fn handle_pong(&mut self, id: &str, world: &mut World, now: Now) -> bool {
        let State::Open(initiator, _) = &mut self.state else { return false };
        let is_ours = initiator.handle_pong(id, now);
        self.drive(world, now);
        is_ours
    }

    /// Takes the news that a stanza of the partner, on a stream used both ways, is settled.
    pub(crate) fn settle(&mut self, session: u64, n: u64, world: &mut World, now: Now) {
        let left = self.left.as_mut().filter(|left| left.number == session);
        match (&mut self.state, left) {
            (_, Some(Left { session: Some(left), .. })) => left.settle(n),
            (State::Opening(initiator, ..), Some(_)) => initiator.settle_former(n),
            (State::Opening(initiator, ..) | State::Open(initiator, _), None) if self.session == session => {
                initiator.settle(n, now);
                self.drive(world, now);
            }
            _ => {}
        }
    }

    /// Goes on where time has brought it: retries, gives up, tells senders.
    pub(crate) fn handle_timeout(&mut self, world: &mut World, now: Now) {
        match &mut self.state {
            State::Inquiring(inquiry, _) => {
                inquiry.handle_timeout(now);
                self.inquire(world, now);
            }
            State::Seeking(discovery) => {
                discovery.handle_timeout(now);
                self.search(world, now);
            }
            State::Dialling(_) => self.dial(world, now),
            State::Opening(initiator, ..) | State::Open(initiator, _) => {
                initiator.handle_timeout(now);
                self.drive(world, now);
            }
            State::Pausing(until) if *until <= now.moment => {
                self.state = State::Idle;
            }
            State::Idle | State::Borrowed(_) | State::Awaiting(_) | State::Pausing(_) => {}
        }
        self.check_left(world, now);
        self.report_overdue(world, now);
        self.advance(world, now);
    }

    /// Closes at once or when what was sent is acknowledged.
    pub(crate) fn stop(&mut self, world: &mut World, now: Now) {
        let failure = Failure::new(Stage::Policy, "the proxy is stopping");
        match &mut self.state {
            State::Open(initiator, _) => {
                if self.sent.is_empty() && self.queue.is_empty() {
                    initiator.close(Some(&shutdown()), now);
                    self.drive(world, now);
                }
            }
            State::Opening(initiator, ..) => {
                initiator.close(None, now);
                self.drive(world, now);
            }
            State::Dialling(dialling) => {
                dialling.abandon(world);
                self.state = State::Idle;
            }
            State::Inquiring(_, connection) => {
                connection.iter().for_each(|connection| world.close(*connection));
                self.state = State::Idle;
            }
            State::Seeking(_) | State::Pausing(_) => self.state = State::Idle,
            State::Idle | State::Borrowed(_) | State::Awaiting(_) => {}
        }
        if !self.is_open() {
            self.give_up_left("the proxy is stopping", world, now);
            self.fail_queue(&failure, world);
        }
    }

    /// Closes at once.
    pub(crate) fn abort(&mut self, reason: &str, world: &mut World, now: Now) {
        if let Some(initiator) = self.state.initiator() {
            initiator.close(Some(&shutdown()), now);
            self.drive(world, now);
        }
        match &mut self.state {
            State::Dialling(dialling) => dialling.abandon(world),
            State::Inquiring(_, Some(connection)) => world.close(*connection),
            _ => {}
        }
        self.state = State::Idle;
        self.give_up_left(reason, world, now);
        self.fail_queue(&Failure::new(Stage::Policy, reason), world);
    }

    /// Tells whether stanzas can be sent at once.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(..) | State::Borrowed(_))
    }

    /// Tells whether something is on its way to the partner or waits for it.
    pub(crate) fn has_letters(&self) -> bool {
        !self.queue.is_empty() || !self.sent.is_empty()
    }

    /// Tells whether what was sent with this token was its own and waits for an acknowledgement.
    pub(crate) fn has_sent(&self, token: u64) -> bool {
        self.sent.contains_key(&token)
    }

    /// Tells whether nothing would be lost by forgetting it.
    pub(crate) fn is_forgettable(&self) -> bool {
        matches!(self.state, State::Idle)
            && self.queue.is_empty()
            && self.sent.is_empty()
            && self.questions.is_empty()
            && self.left.is_none()
    }

    /// Returns the stream, if there is one, and its connection.
    pub(crate) fn stream(&self) -> Option<(&Initiator, ConnectionId)> {
        match &self.state {
            State::Opening(initiator, connection, _) | State::Open(initiator, connection) => {
                Some((initiator, *connection))
            }
            State::Idle
            | State::Inquiring(..)
            | State::Seeking(_)
            | State::Dialling(_)
            | State::Borrowed(_)
            | State::Awaiting(_)
            | State::Pausing(_) => None,
        }
    }

    /// Returns how many stanzas wait to be sent, and how many to be acknowledged.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.queue.len(), self.sent.len())
    }

    /// Says when to call [`Self::handle_timeout`].
    pub(crate) fn set_timer(&self, world: &mut World) {
        let state = match &self.state {
            State::Idle | State::Borrowed(_) | State::Awaiting(_) => None,
            State::Inquiring(inquiry, _) => inquiry.poll_timeout(),
            State::Seeking(discovery) => discovery.poll_timeout(),
            State::Dialling(dialling) => dialling.poll_timeout(),
            State::Opening(initiator, ..) | State::Open(initiator, _) => initiator.poll_timeout(),
            State::Pausing(until) => Some(*until),
        };
        let letter = self.queue.iter().find(|letter| !letter.is_last_word()).map(|letter| letter.deadline);
        let left = self.left.as_ref().map(|left| left.until);
        world.timers.set(Timer::Courier(self.id), earliest(state, earliest(letter, left)));
    }

    /// Sends, or begins to seek a way, if there is anything to carry.
    fn advance(&mut self, world: &mut World, now: Now) {
        match self.state {
            State::Open(..) | State::Borrowed(_) => self.send_queue(world, now),
            State::Idle if self.wants_stream() => self.seek(world, now),
            State::Pausing(until) if !self.queue.is_empty() || !self.questions.is_empty() => {
                let failed_at = self.last_failure.as_ref().map_or(Moment::ZERO, |(_, at)| *at);
                let limits = &world.settings.limits;
                if now.moment.since(failed_at) >= limits.retry_fresh {
                    self.seek(world, now);
                } else if until > now.moment + limits.report {
                    // The pause outlasts the patience of whoever sent it: say so at once.
                    let failure = self.last_failure.as_ref().map(|(failure, _)| failure.clone());
                    let failure =
                        failure.unwrap_or_else(|| Failure::new(Stage::Tcp, "the last attempt failed"));
                    self.fail_queue(&failure, world);
                }
            }
            State::Idle
            | State::Inquiring(..)
            | State::Seeking(_)
            | State::Dialling(_)
            | State::Opening(..)
            | State::Awaiting(_)
            | State::Pausing(_) => {}
        }
    }

    fn wants_stream(&self) -> bool {
        !self.queue.is_empty() || !self.questions.is_empty() || self.left.is_some()
    }

    fn send_queue(&mut self, world: &mut World, now: Now) {
        while let Some(letter) = self.queue.pop_front() {
            let token = world.next_token();
            let Letter { stanza, origin, weight, was_sent, .. } = letter;
            match &mut self.state {
                State::Open(initiator, _) => {
                    if initiator.stanza_bytes_max().is_some_and(|max| weight as u64 > max) {
                        self.queue_bytes = self.queue_bytes.saturating_sub(weight);
                        let text = format!("{} takes no stanza as large as this one", self.pair.remote);
                        world.bounce(origin, stanza, Bounce::new(StanzaCondition::PolicyViolation, text));
                        continue;
                    }
                    initiator.send(token, stanza, now);
                }
                State::Borrowed(connection) => {
                    world.effects.push_back(Effect::SendVia(*connection, token, stanza));
                }
                State::Idle
                | State::Inquiring(..)
                | State::Seeking(_)
                | State::Dialling(_)
                | State::Opening(..)
                | State::Awaiting(_)
                | State::Pausing(_) => return,
            }
            self.sent.insert(token, Sent { origin, weight, was_sent });
        }
        if let State::Open(..) = self.state {
            self.drive(world, now);
        }
    }

    /// Puts what a dead stream left unacknowledged before everything newer, once; what was sent twice
    /// already is reported.
    fn requeue(&mut self, unacknowledged: Vec<(u64, Element)>, world: &mut World, now: Now) {
        let deadline = now.moment + world.settings.limits.report;
        self.requeue_until(unacknowledged, deadline, world);
    }

    fn requeue_until(&mut self, unacknowledged: Vec<(u64, Element)>, deadline: Moment, world: &mut World) {
        let mut again = Vec::new();
        for (token, stanza) in unacknowledged {
            let Some(Sent { origin, weight, was_sent }) = self.sent.remove(&token) else { continue };
            if was_sent {
                self.queue_bytes = self.queue_bytes.saturating_sub(weight);
                let text = format!("{} did not acknowledge it, twice", self.pair.remote);
                world.bounce(origin, stanza, Bounce::new(StanzaCondition::RemoteServerTimeout, text));
            } else {
                again.push(Letter { stanza, origin, deadline, weight, was_sent: true });
            }
        }
        for letter in again.into_iter().rev() {
            self.queue.push_front(letter);
        }
    }

    /// Tells the senders whose patience is over.
    fn report_overdue(&mut self, world: &mut World, now: Now) {
        if self.is_open() {
            return;
        }
        if !self.queue.iter().any(|letter| letter.is_overdue(now.moment)) {
            return;
        }
        let failure = match (&self.last_failure, &self.state) {
            (Some((failure, _)), State::Pausing(_) | State::Idle) => failure.clone(),
            _ => Failure::new(self.stage(), "no connection came about in time"),
        };
        for letter in std::mem::take(&mut self.queue) {
            if letter.is_overdue(now.moment) {
                self.fail_letter(letter, &failure, world);
            } else {
                self.queue.push_back(letter);
            }
        }
    }

    fn stage(&self) -> Stage {
        match self.state {
            State::Idle | State::Pausing(_) | State::Dialling(_) => Stage::Tcp,
            State::Inquiring(..) | State::Seeking(_) => Stage::Dns,
            State::Opening(..) | State::Open(..) | State::Borrowed(_) | State::Awaiting(_) => Stage::Stream,
        }
    }

    /// Ends an attempt: everybody who waits is told, and the next attempt has to wait.
    fn attempt_failed(&mut self, failure: Failure, world: &mut World, now: Now) {
        if std::mem::take(&mut self.tries_location) && self.left.is_some() {
            // Where the partner asked to be sought it is not to be found: the usual way is next (XEP-0198 §3).
            self.note_failed(failure, Duration::ZERO, world);
            return self.seek(world, now);
        }
        let limits = &world.settings.limits;
        let pause = xmpp_proto::pause(limits.retry_min, limits.retry_max, self.failed, &mut world.ids);
        self.failed = self.failed.saturating_add(1);
        self.state = State::Pausing(now.moment + pause);
        self.note_failed(failure.clone(), pause, world);
        self.fail_queue(&failure, world);
        self.last_failure = Some((failure, now.moment));
    }

    fn note_failed(&self, failure: Failure, pause: Duration, world: &mut World) {
        let (pair, direction, retry) = (self.pair.clone(), Direction::Outward, Some(pause));
        world.notice(Notice::AttemptFailed { pair, direction, failure, retry });
    }

    fn fail_queue(&mut self, failure: &Failure, world: &mut World) {
        for letter in std::mem::take(&mut self.queue) {
            if letter.is_last_word() && !world.is_stopping {
                self.queue.push_back(letter);
            } else {
                self.fail_letter(letter, failure, world);
            }
        }
        for (question, _) in std::mem::take(&mut self.questions) {
            let trouble = if failure.not_found { Trouble::NotFound } else { Trouble::Unreachable };
            world.effects.push_back(Effect::Verdict(question, Verdict::Error(trouble)));
        }
    }

    fn fail_letter(&mut self, letter: Letter, failure: &Failure, world: &mut World) {
        self.queue_bytes = self.queue_bytes.saturating_sub(letter.weight);
        world.bounce(letter.origin, letter.stanza, Bounce::from_failure(&self.pair.remote, failure));
    }
}

/// Why there is no way to a partner that the settings do not name.
fn not_a_partner() -> Failure {
    Failure::new(Stage::Policy, "this server does not federate with that domain")
}

pub(crate) fn shutdown() -> xmpp_types::stream::StreamError {
    xmpp_types::stream::StreamError::new(xmpp_types::stream::StreamCondition::SystemShutdown)
}
