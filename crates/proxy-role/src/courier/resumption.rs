//! A stream of ours whose connection broke (XEP-0198 §5): the courier dials again and goes on with it, for as long
//! as its senders have patience; after that, all that the partner may lack is sent once more on another stream.

use clock_types::{Moment, Now};
use net_types::ConnectionId;
use xmpp_proto::stream::{Initiator, Session};

use super::{Courier, State};
use crate::notice::{Direction, Notice};
use crate::sessions::resumption_patience;
use crate::world::World;

/// What a stream of ours left behind.
#[derive(Debug)]
pub(crate) struct Left {
    /// The session, unless a new stream has it already and asks for it.
    pub(super) session: Option<Session>,
    /// By which number its stanzas are settled.
    pub(super) number: u64,
    /// Since when it has no connection.
    pub(crate) since: Moment,
    /// When it is given up.
    pub(super) until: Moment,
    /// Where the partner wants to be sought for it, until we have tried.
    pub(super) location: Option<String>,
    /// The connection that broke.
    pub(crate) connection: ConnectionId,
    pub(crate) tls: Option<String>,
}

impl Courier {
    /// Returns what a stream of ours left behind, and waits for the next one.
    pub(crate) fn left(&self) -> Option<(&Session, &Left)> {
        let left = self.left.as_ref()?;
        Some((left.session.as_ref()?, left))
    }

    /// Keeps what a stream left behind if it is worth going on with: something of either side is not
    /// acknowledged, or the partner may have something for us that only we can fetch.
    pub(super) fn suspend(
        &mut self,
        mut session: Session,
        connection: ConnectionId,
        tls: Option<String>,
        world: &mut World,
        now: Now,
    ) {
        let (_, at_work, waiting) = session.counts();
        let is_worth_it = waiting > 0 || at_work > 0 || session.parties().is_both_ways();
        if !session.is_resumable() || !is_worth_it {
            return self.requeue(session.take_unacknowledged(), world, now);
        }
        let partner = world.settings.partner(&self.pair.remote);
        let is_fixed = partner.is_some_and(|partner| partner.fixed_host.is_some());
        let location = session.location().filter(|_| !is_fixed).map(str::to_owned);
        let patience = session.max().min(resumption_patience(&world.settings.limits));
        world.notice(Notice::Suspended {
            pair: self.pair.clone(),
            direction: Direction::Outward,
            connection,
            unacknowledged: waiting,
            max: patience,
        });
        self.left = Some(Left {
            session: Some(session),
            number: self.session,
            since: now.moment,
            until: now.moment + patience,
            location,
            connection,
            tls,
        });
    }

    /// Gives the new stream what the former one left, so that it asks for it.
    pub(super) fn hand_over_left(&mut self, initiator: &mut Initiator) {
        if let Some(session) = self.left.as_mut().and_then(|left| left.session.take()) {
            initiator.resume(session);
        }
    }

    /// Takes back what a new stream did not come so far as to ask for.
    pub(super) fn take_back_left(&mut self, initiator: &mut Initiator, world: &mut World, now: Now) {
        let Some(left) = &mut self.left else { return };
        left.session = initiator.take_session();
        if left.session.is_none() {
            self.left = None;
            self.requeue(initiator.take_unacknowledged(), world, now);
        }
    }

    /// Takes the news that the former session goes on over the new stream.
    pub(super) fn resumed(&mut self, again: usize, connection: ConnectionId, world: &mut World) {
        let Some(left) = self.left.take() else { return };
        self.session = left.number;
        self.note_sent_twice();
        let pair = self.pair.clone();
        world.notice(Notice::Resumed { pair, direction: Direction::Outward, connection, again });
    }

    /// All that is out has gone out again with the session.
    fn note_sent_twice(&mut self) {
        for sent in self.sent.values_mut() {
            sent.was_sent = true;
        }
    }

    /// Takes the news that the partner does not go on: what it may lack is sent once more, before anything newer.
    pub(super) fn not_resumed(
        &mut self,
        unacknowledged: Vec<(u64, xmpp_types::xml::Element)>,
        reason: String,
        world: &mut World,
        now: Now,
    ) {
        let Some(left) = self.left.take() else { return };
        world.notice(Notice::GivenUp {
            pair: self.pair.clone(),
            direction: Direction::Outward,
            connection: left.connection,
            unacknowledged: unacknowledged.len(),
            reason,
        });
        let report = world.settings.limits.report;
        let deadline = (left.since + report).max(now.moment + report / 2);
        self.requeue_until(unacknowledged, deadline, world);
    }

    /// Ends the wait for the former session to go on, unless the partner has been asked for it already.
    pub(super) fn give_up_left(&mut self, reason: &str, world: &mut World, now: Now) {
        let Some(left) = &mut self.left else { return };
        let session = left.session.take().or_else(|| match &mut self.state {
            State::Opening(initiator, ..) => initiator.forgo(),
            State::Idle
            | State::Inquiring(..)
            | State::Seeking(_)
            | State::Dialling(_)
            | State::Open(..)
            | State::Borrowed(_)
            | State::Awaiting(_)
            | State::Pausing(_) => None,
        });
        match session {
            Some(mut session) => {
                self.not_resumed(session.take_unacknowledged(), reason.to_owned(), world, now);
            }
            None => left.until = now.moment + world.settings.limits.report,
        }
    }

    /// Gives up the former session if its time is over.
    pub(super) fn check_left(&mut self, world: &mut World, now: Now) {
        if self.left.as_ref().is_some_and(|left| left.until <= now.moment) {
            self.give_up_left("the partner could not be reached in time", world, now);
        }
    }

    /// Tells whether it uses a stream that the partner opened on this connection, or waits for the partner to
    /// come back with what was on it.
    pub(crate) fn has_borrowed(&self, connection: ConnectionId) -> bool {
        matches!(self.state, State::Borrowed(on) | State::Awaiting(on) if on == connection)
    }

    /// Waits for the partner, whose own stream broke, to come back and go on with it.
    pub(crate) fn await_partner(&mut self, connection: ConnectionId) {
        if matches!(self.state, State::Borrowed(on) if on == connection) {
            self.state = State::Awaiting(connection);
        }
    }

    /// Goes on over the connection with which the partner came back.
    pub(crate) fn borrow_again(&mut self, connection: ConnectionId, world: &mut World, now: Now) {
        if let State::Awaiting(_) = self.state {
            self.note_sent_twice();
        }
        self.borrow(connection, world, now);
    }
}
