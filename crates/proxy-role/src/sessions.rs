//! Partners' sessions that outlive a connection (XEP-0198 §5): kept when it breaks, and handed to the stream
//! with which the partner comes back.

use std::time::Duration;

use clock_types::{Moment, Now};
use net_types::ConnectionId;
use xmpp_proto::dialback::Pair;
use xmpp_proto::stream::{GivenUp, KeeperLimits, Purpose, Session};

use crate::incoming::Incoming;
use crate::notice::{Direction, Notice};
use crate::proxy::Proxy;
use crate::settings::Limits;
use crate::timers::Timer;

/// Names what a partner sends us, whatever connections carry it: by the connection that it began on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionKey(pub(crate) ConnectionId);

/// What belongs to a session without a connection.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    /// The pairs that used it both ways.
    pub(crate) borrowed: Vec<Pair>,
    /// The connection that broke.
    pub(crate) connection: ConnectionId,
    pub(crate) tls: Option<String>,
    pub(crate) opened: Moment,
}

impl Proxy {
    /// Returns the connection that carries a session.
    pub(crate) fn connection_of(&self, session: SessionKey) -> Option<ConnectionId> {
        let connection = self.moved.get(&session).copied().unwrap_or(session.0);
        self.incoming.contains_key(&connection).then_some(connection)
    }

    /// Keeps what a stream left behind whose connection broke: its partner may come back for it.
    pub(crate) fn keep_session(
        &mut self,
        connection: ConnectionId,
        incoming: Incoming,
        mut session: Session,
        now: Now,
    ) {
        // What was about to go out on it as well: it comes after what did.
        for (token, stanza) in self.world.take_sends(connection) {
            session.keep(token, stanza);
        }
        let tls = incoming.acceptor.tls().map(crate::streams::tls_words);
        let Incoming { session: key, borrowed, opened, .. } = incoming;
        let mut unacknowledged = Vec::new();
        if session.counts().2 > 0 && !borrowed.iter().all(|pair| self.awaits_partner(pair, connection)) {
            // Newer ones have taken another way, and must not come before these.
            unacknowledged = session.take_unacknowledged();
        }
        let pair = session.parties().pair().clone();
        let (waiting, max) = (session.counts().2, session.max());
        let left = Left { borrowed: borrowed.clone(), connection, tls, opened };
        let given_up = self.kept.keep(key, session, left, now);
        if self.kept.has(key) {
            let direction = Direction::Inward;
            self.world.notice(Notice::Suspended {
                pair,
                direction,
                connection,
                unacknowledged: waiting,
                max,
            });
        }
        for pair in borrowed {
            let Some(courier) = self.by_pair.get(&(pair.clone(), false)).copied() else { continue };
            if waiting > 0 {
                self.with_courier(courier, |courier, _| courier.await_partner(connection));
            } else {
                let other = self.other_loan(&pair, connection);
                self.with_courier(courier, |courier, world| {
                    let lost = unacknowledged.extract_if(.., |(token, _)| courier.has_sent(*token)).collect();
                    courier.give_back(connection, lost, other, world, now);
                });
            }
        }
        self.hand_back(given_up, now);
    }

    /// Tells whether all that a pair has to say would wait for the partner to come back.
    fn awaits_partner(&self, pair: &Pair, connection: ConnectionId) -> bool {
        let courier = self.by_pair.get(&(pair.clone(), false)).and_then(|courier| self.couriers.get(courier));
        courier.is_none_or(|courier| courier.has_borrowed(connection))
    }

    /// Goes on with the session that a partner came back for, or tells it that there is none.
    pub(crate) fn resume_session(&mut self, connection: ConnectionId, previd: &str, now: Now) {
        self.supersede(connection, previd, now);
        let Some(incoming) = self.incoming.get_mut(&connection) else { return };
        let claimed = incoming.acceptor.parties().ok_or(None);
        match claimed.and_then(|parties| self.kept.claim(previd, &parties)) {
            Ok((key, left, session)) => {
                let pair = session.parties().pair().clone();
                incoming.session = key;
                incoming.borrowed.clone_from(&left.borrowed);
                incoming.lendable.retain(|pair| !left.borrowed.contains(pair));
                incoming.acceptor.resume(session, now);
                let (_, _, again) = incoming.acceptor.counts();
                self.moved.insert(key, connection);
                self.world.notice(Notice::Resumed { pair, direction: Direction::Inward, connection, again });
                for pair in left.borrowed {
                    let courier = self.courier_for(pair, Purpose::Speak, now);
                    self.with_courier(courier, |courier, world| courier.borrow_again(connection, world, now));
                }
            }
            Err(h) => incoming.acceptor.refuse_resumption(h, now),
        }
        self.set_kept_timer();
    }

    /// Closes the connection that seems to carry a session still: its peer has noticed before us that it is dead.
    fn supersede(&mut self, connection: ConnectionId, previd: &str, now: Now) {
        let Some(coming) = self.incoming.get(&connection) else { return };
        let is_former = |former: &Incoming| {
            former.acceptor.session_id() == Some(previd) && coming.acceptor.may_take_over(&former.acceptor)
        };
        let former = self.incoming.iter().find(|(other, former)| **other != connection && is_former(former));
        if let Some(former) = former.map(|(connection, _)| *connection)
            && let Some(incoming) = self.incoming.get_mut(&former)
        {
            incoming.acceptor.supersede(now);
            self.drive_incoming(former, now);
        }
    }

    /// Lets those who have something for the partner use a stream of its own.
    pub(crate) fn lend(&mut self, connection: ConnectionId, now: Now) {
        let Some(incoming) = self.incoming.get(&connection) else { return };
        for pair in incoming.lendable.clone() {
            // It began anew on this one: it is not coming back for what it left.
            let given_up = self.kept.relinquish(&pair, "the partner began anew");
            self.hand_back(given_up, now);
        }
        let Some(incoming) = self.incoming.get_mut(&connection) else { return };
        for pair in std::mem::take(&mut incoming.lendable) {
            if let Some(incoming) = self.incoming.get_mut(&connection) {
                incoming.borrowed.push(pair.clone());
            }
            let courier = self.courier_for(pair, Purpose::Speak, now);
            self.with_courier(courier, |courier, world| courier.borrow(connection, world, now));
        }
    }

    /// Tells whether the partner may be about to go on with a former session between these domains, so that
    /// nothing should be sent on the stream that it has just opened.
    pub(crate) fn may_come_back(&self, pair: &Pair, connection: ConnectionId) -> bool {
        let is_resumable = |(other, incoming): (&ConnectionId, &Incoming)| {
            *other != connection
                && incoming.borrowed.contains(pair)
                && incoming.acceptor.session_id().is_some()
        };
        self.kept.awaits(pair) || self.incoming.iter().any(is_resumable)
    }

    /// Takes another stream of the partner that nobody uses yet for a pair whose own way is gone.
    pub(crate) fn other_loan(&mut self, pair: &Pair, gone: ConnectionId) -> Option<ConnectionId> {
        let (connection, incoming) = self.incoming.iter_mut().find(|(connection, incoming)| {
            **connection != gone && incoming.acceptor.is_both_ways() && incoming.lendable.contains(pair)
        })?;
        incoming.lendable.retain(|lendable| lendable != pair);
        incoming.borrowed.push(pair.clone());
        Some(*connection)
    }

    /// Gives back to their senders' couriers what sessions had outstanding that will not go on.
    pub(crate) fn hand_back(&mut self, given_up: Vec<GivenUp<SessionKey, Left>>, now: Now) {
        for GivenUp { with, pair, mut unacknowledged, reason, .. } in given_up {
            self.world.notice(Notice::GivenUp {
                pair,
                direction: Direction::Inward,
                connection: with.connection,
                unacknowledged: unacknowledged.len(),
                reason: reason.into(),
            });
            for pair in with.borrowed {
                let Some(courier) = self.by_pair.get(&(pair.clone(), false)).copied() else { continue };
                let is_waiting =
                    self.couriers.get(&courier).is_some_and(|it| it.has_borrowed(with.connection));
                let other = if is_waiting { self.other_loan(&pair, with.connection) } else { None };
                self.with_courier(courier, |courier, world| {
                    let lost = unacknowledged.extract_if(.., |(token, _)| courier.has_sent(*token)).collect();
                    courier.give_back(with.connection, lost, other, world, now);
                });
            }
        }
        self.set_kept_timer();
    }

    pub(crate) fn handle_kept_timeout(&mut self, now: Now) {
        let given_up = self.kept.handle_timeout(now);
        self.hand_back(given_up, now);
    }

    fn set_kept_timer(&mut self) {
        self.world.timers.set(Timer::Kept, self.kept.poll_timeout());
    }
}

/// Returns how much is kept of streams that broke.
pub(crate) fn keeper_limits(limits: &Limits) -> KeeperLimits {
    KeeperLimits {
        sessions_max: limits.suspended_max,
        domain_sessions_max: usize::try_from(limits.partner_connections_max).unwrap_or(usize::MAX),
        octets_max: limits.suspended_bytes_max,
        patience: resumption_patience(limits),
    }
}

/// How long what was sent waits for the stream to go on, so that as much time is left for another way.
pub(crate) fn resumption_patience(limits: &Limits) -> Duration {
    limits.report / 2
}
