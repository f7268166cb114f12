//! Streams that others opened and whose connection broke (XEP-0198 §5): kept until their peers come back.

use std::time::Duration;

use clock_types::Now;
use net_types::ConnectionId;
use xmpp_proto::dialback::Pair;
use xmpp_proto::stream::{Acceptor, GivenUp, KeeperLimits};
use xmpp_types::jid::DomainName;

use super::XmppServer;
use crate::Said;

/// How long a stream is kept.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(120);

pub(super) const LIMITS: KeeperLimits = KeeperLimits {
    sessions_max: 100,
    domain_sessions_max: 10,
    octets_max: 10_000_000,
    patience: Duration::from_secs(20),
};

impl XmppServer {
    /// Keeps what a stream left behind, or sends it another way.
    pub(super) fn keep(&mut self, connection: ConnectionId, mut acceptor: Acceptor, now: Now) {
        self.unbegun.remove(&connection);
        let session = self.sessions.remove(&connection).unwrap_or(connection);
        if let Some(left) = acceptor.take_session() {
            let given_up = self.kept.keep(session, left, (), now);
            self.hand_back(given_up, now);
        } else {
            self.withheld.retain(|(stream, _)| *stream != session);
            self.wait_again(acceptor.take_unacknowledged(), now);
        }
    }

    /// Settles a stanza, on whatever connection its session is.
    pub(super) fn settle(&mut self, session: ConnectionId, n: u64, now: Now) {
        let moved = self.sessions.iter().find(|(_, moved)| **moved == session);
        let connection = moved.map_or(session, |(connection, _)| *connection);
        if let Some(acceptor) = self.incoming.get_mut(&connection) {
            acceptor.settle(n, now);
        } else if !self.kept.settle(session, n) {
            self.settle_outgoing(session, n, now);
        }
    }

    /// Tells whether something waits for this domain to come back, so that nothing newer may overtake it.
    pub(super) fn awaits(&self, domain: &DomainName) -> bool {
        let waits = self.kept.iter().any(|(_, kept)| {
            let session = kept.session();
            session.is_resumable() && session.counts().2 > 0 && session.parties().pair().remote == *domain
        });
        waits || self.goes_on(domain)
    }

    /// Uses a stream on which a domain is proved, unless its peer may be about to go on with a former one.
    pub(super) fn begin_or_wait(&mut self, connection: ConnectionId, pair: &Pair, now: Now) {
        let is_former = |(other, acceptor): (&ConnectionId, &Acceptor)| {
            *other != connection && acceptor.session_id().is_some() && acceptor.remote() == Some(&pair.remote)
        };
        if self.kept.awaits(pair) || self.incoming.iter().any(is_former) {
            self.unbegun.insert(connection);
        } else {
            self.flush_waiting(&pair.remote, now);
        }
    }

    /// Uses a stream that goes on with no former one: whatever waited for that takes another way.
    pub(super) fn begin(&mut self, connection: ConnectionId, now: Now) {
        if !self.unbegun.remove(&connection) {
            return;
        }
        let parties = self.incoming.get(&connection).and_then(Acceptor::parties);
        if let Some(parties) = parties {
            let given_up = self.kept.relinquish(parties.pair(), "its peer began anew");
            self.hand_back(given_up, now);
            self.flush_waiting(&parties.pair().remote, now);
        }
    }

    /// Goes on with a former stream, or tells its peer that there is none.
    pub(super) fn resume(&mut self, connection: ConnectionId, previd: &str, now: Now) {
        let Some(coming) = self.incoming.get(&connection) else { return };
        let former = self.incoming.iter().find(|(other, former)| {
            **other != connection && former.session_id() == Some(previd) && coming.may_take_over(former)
        });
        if let Some(former) = former.map(|(former, _)| *former)
            && let Some(acceptor) = self.incoming.get_mut(&former)
        {
            acceptor.supersede(now);
            while let Some(output) = self.incoming.get_mut(&former).and_then(Acceptor::poll_output) {
                self.carry_out(former, output, now);
            }
        }
        let Some(acceptor) = self.incoming.get_mut(&connection) else { return };
        let claimed = acceptor.parties().ok_or(None);
        match claimed.and_then(|parties| self.kept.claim(previd, &parties)) {
            Ok((session, (), left)) => {
                acceptor.resume(left, now);
                self.sessions.insert(connection, session);
                self.unbegun.remove(&connection);
                if let Some(remote) = acceptor.remote().cloned() {
                    self.say(Said::Note(format!("stream from {remote} resumed")));
                    self.flush_waiting(&remote, now);
                }
            }
            Err(h) => acceptor.refuse_resumption(h, now),
        }
    }

    pub(super) fn hand_back(&mut self, given_up: Vec<GivenUp<ConnectionId, ()>>, now: Now) {
        for GivenUp { key, pair, unacknowledged, reason, .. } in given_up {
            self.say(Said::Note(format!("stream from {} not resumed: {reason}", pair.remote)));
            self.withheld.retain(|(session, _)| *session != key || self.kept.has(key));
            self.wait_again(unacknowledged, now);
            // Newer stanzas have waited for it as well.
            self.flush_waiting(&pair.remote, now);
        }
    }
}
