//! What is open, for `gangway streams`.

use std::time::Duration;

use clock_types::Now;
use net_types::{ConnectionId, TlsFacts, TlsVersion};
use xmpp_proto::dialback::Pair;
use xmpp_proto::stream::{Proof, Session};
use xmpp_types::jid::DomainName;

use crate::notice::Direction;
use crate::proxy::Proxy;
use crate::sessions::Left;

/// One stream as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSnapshot {
    /// Its connection.
    pub connection: ConnectionId,
    /// Which way it was opened.
    pub direction: Direction,
    /// The domain of ours, once it is known.
    pub local: Option<DomainName>,
    /// The partner's domain, as it claims.
    pub remote: Option<DomainName>,
    /// The domains that are proved, and how.
    pub proved: Vec<(DomainName, Proof)>,
    /// The TLS version and cipher suite; `None` in clear.
    pub tls: Option<String>,
    /// How long it has been open.
    pub age: Duration,
    /// Stanzas that it carried, the way it was opened.
    pub stanzas: u64,
    /// Those of them that are not acknowledged.
    pub unacknowledged: usize,
    /// Stanzas that wait to be sent on it.
    pub queued: usize,
    /// Whether it is not read for the moment.
    pub is_paused: bool,
    /// For how long it has had no connection and waits to be resumed.
    pub suspended: Option<Duration>,
}

impl Proxy {
    /// Returns every stream with a partner, in the order of their connections.
    #[must_use]
    pub fn streams(&self, now: Now) -> Vec<StreamSnapshot> {
        let incoming = self.incoming.iter().map(|(connection, incoming)| {
            let acceptor = &incoming.acceptor;
            let (stanzas, at_work, _) = acceptor.counts();
            StreamSnapshot {
                connection: *connection,
                direction: Direction::Inward,
                local: acceptor.local().cloned(),
                remote: acceptor.remote().cloned(),
                proved: acceptor.proved().map(|(domain, proof)| (domain.clone(), proof)).collect(),
                tls: acceptor.tls().map(tls_words),
                age: now.moment.since(incoming.opened),
                stanzas,
                unacknowledged: at_work,
                queued: 0,
                is_paused: incoming.is_paused,
                suspended: None,
            }
        });
        let outgoing = self.couriers.values().filter_map(|courier| {
            let (initiator, connection) = courier.stream()?;
            let (stanzas, unacknowledged) = initiator.counts();
            let pair = initiator.pair();
            let proof = initiator.proof();
            Some(StreamSnapshot {
                connection,
                direction: Direction::Outward,
                local: Some(pair.local.clone()),
                remote: Some(pair.remote.clone()),
                proved: proof.map(|proof| (pair.remote.clone(), proof)).into_iter().collect(),
                tls: initiator.tls().map(tls_words),
                age: now.moment.since(courier.opened),
                stanzas,
                unacknowledged,
                queued: courier.waiting().0,
                is_paused: false,
                suspended: None,
            })
        });
        let mut streams: Vec<StreamSnapshot> = incoming.chain(outgoing).collect();
        streams.extend(self.suspended(now));
        streams.sort_by_key(|stream| stream.connection);
        streams
    }

    /// Returns the streams that have no connection and wait to be resumed. Of those that the partner opened, both
    /// what it has not had acknowledged and what we have not is unacknowledged.
    fn suspended(&self, now: Now) -> impl Iterator<Item = StreamSnapshot> {
        let snapshot = move |session: &Session, since, connection, opened| {
            let parties = session.parties();
            let (_, at_work, waiting) = session.counts();
            let Pair { local, remote } = parties.pair().clone();
            StreamSnapshot {
                connection,
                direction: Direction::Inward,
                local: Some(local),
                remote: Some(remote),
                proved: parties.proved().map(|(domain, proof)| (domain.clone(), proof)).collect(),
                tls: None,
                age: now.moment.since(opened),
                stanzas: 0,
                unacknowledged: at_work + waiting,
                queued: 0,
                is_paused: false,
                suspended: Some(now.moment.since(since)),
            }
        };
        let inward = self.kept.iter().map(move |(_, kept)| {
            let Left { connection, tls, opened, .. } = &kept.with;
            let stanzas = kept.session().counts().0;
            let tls = tls.clone();
            StreamSnapshot { tls, stanzas, ..snapshot(kept.session(), kept.since(), *connection, *opened) }
        });
        let outward = self.couriers.values().filter_map(move |courier| {
            let (session, left) = courier.left()?;
            let (direction, queued, tls) = (Direction::Outward, courier.waiting().0, left.tls.clone());
            let snapshot = snapshot(session, left.since, left.connection, courier.opened);
            Some(StreamSnapshot { direction, queued, tls, ..snapshot })
        });
        inward.chain(outward)
    }
}

/// Returns the TLS version and cipher suite in words.
pub(crate) fn tls_words(facts: &TlsFacts) -> String {
    let version = match facts.version {
        TlsVersion::Tls12 => "TLS 1.2",
        TlsVersion::Tls13 => "TLS 1.3",
    };
    format!("{version} {}", facts.cipher)
}
