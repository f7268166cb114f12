//! Sessions whose connections are lost, until their peers come back for them (XEP-0198 §5).
//!
//! ```text
//!            keep                  patience over                   max over
//!   stream ───────▶ Whole ────────────────────────▶ Counted ──────────────────▶ forgotten
//!                     │    ours is handed back        │
//!                     └─ claim: the session           └─ claim: refused, with h
//! ```
//!
//! What we sent and the peer may lack waits only for as long as its senders have patience; the count of what the
//! peer sent us stays, so that a peer that comes later learns what it need not send again.

use std::collections::BTreeMap;
use std::time::Duration;

use clock_types::{Moment, Now, earliest};
use xmpp_types::xml::Element;

use super::session::{Parties, Session};
use crate::dialback::Pair;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeeperLimits {
    /// Sessions at once.
    pub sessions_max: usize,
    /// Sessions of one partner's domain at once.
    pub domain_sessions_max: usize,
    /// Octets in them that wait for an acknowledgement.
    pub octets_max: usize,
    /// How long what we sent waits for the peer to come back.
    pub patience: Duration,
}

/// Sessions without a connection, by a name of the keeper's owner, with whatever belongs to each.
#[derive(Debug)]
pub struct Keeper<K, W> {
    limits: KeeperLimits,
    sessions: BTreeMap<K, Kept<W>>,
    octets: usize,
}

/// One session without a connection.
#[derive(Debug)]
pub struct Kept<W> {
    session: Session,
    /// What the owner wants to know of it.
    pub with: W,
    since: Moment,
    octets: usize,
}

/// A session that is kept less well, or not at all.
#[derive(Debug)]
pub struct GivenUp<K, W> {
    /// Its name.
    pub key: K,
    /// What belonged to it.
    pub with: W,
    /// The domains that it was for.
    pub pair: Pair,
    /// What was sent and not acknowledged, with its tokens, in order.
    pub unacknowledged: Vec<(u64, Element)>,
    /// Why.
    pub reason: &'static str,
}

impl<W> Kept<W> {
    /// Returns the session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Returns since when it has no connection.
    #[must_use]
    pub fn since(&self) -> Moment {
        self.since
    }

    fn until(&self, limits: &KeeperLimits) -> Moment {
        let max = self.session.max();
        let waits = self.session.is_resumable() && self.session.counts().2 > 0;
        self.since + if waits { max.min(limits.patience) } else { max }
    }
}

impl<K: Ord + Copy, W: Clone> Keeper<K, W> {
    /// Returns a keeper of nothing.
    #[must_use]
    pub fn new(limits: KeeperLimits) -> Self {
        Self { limits, sessions: BTreeMap::new(), octets: 0 }
    }

    /// Puts other limits in force; what is kept already stays.
    pub fn set_limits(&mut self, limits: KeeperLimits) {
        self.limits = limits;
    }

    /// Keeps a session. Returns those that are given up for it: the oldest of the same partner, or the session
    /// itself if there is no room.
    pub fn keep(&mut self, key: K, session: Session, with: W, now: Now) -> Vec<GivenUp<K, W>> {
        let octets = session.octets();
        let mut kept = Kept { session, with, since: now.moment, octets };
        let mut given_up = Vec::new();
        if !kept.session.is_resumable() {
            given_up.push(hand_back(key, &mut kept, "it had led nowhere before"));
        }
        let remote = &kept.session.parties().pair.remote;
        let of_domain =
            self.sessions.iter().filter(|(_, kept)| kept.session.parties().pair.remote == *remote);
        let oldest = of_domain.clone().min_by_key(|(_, kept)| kept.since).map(|(key, _)| *key);
        if of_domain.count() >= self.limits.domain_sessions_max
            && let Some(oldest) = oldest
        {
            given_up.extend(self.forget(oldest, "the partner left too many others behind"));
        }
        let is_full = self.sessions.len() >= self.limits.sessions_max
            || self.octets + kept.octets > self.limits.octets_max;
        if is_full {
            given_up.push(hand_back(key, &mut kept, "there is no room to keep it"));
        } else {
            self.octets += kept.octets;
            self.sessions.insert(key, kept);
        }
        given_up
    }

    /// Tells whether a session with this name is kept.
    #[must_use]
    pub fn has(&self, key: K) -> bool {
        self.sessions.contains_key(&key)
    }

    /// Tells whether a session between these domains waits to be resumed.
    #[must_use]
    pub fn awaits(&self, pair: &Pair) -> bool {
        self.sessions.values().any(|kept| kept.session.is_resumable() && kept.session.parties().pair == *pair)
    }

    /// Returns what is kept, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (K, &Kept<W>)> {
        self.sessions.iter().map(|(key, kept)| (*key, kept))
    }

    /// Takes the news that stanza `n` of a session's peer is settled; tells whether it is kept here.
    pub fn settle(&mut self, key: K, n: u64) -> bool {
        let kept = self.sessions.get_mut(&key);
        kept.is_some_and(|kept| {
            kept.session.settle(n);
            true
        })
    }

    /// Hands a session to a stream whose peer knows its name and is the same.
    ///
    /// # Errors
    /// If there is none for this peer; with how many of the peer's stanzas were settled, if that is known.
    pub fn claim(&mut self, previd: &str, parties: &Parties) -> Result<(K, W, Session), Option<u32>> {
        let named = self.sessions.iter().find(|(_, kept)| kept.session.id() == previd);
        let key = match named {
            Some((key, kept)) if parties.may_resume(kept.session.parties()) => *key,
            Some(_) | None => return Err(None),
        };
        let Some(kept) = self.sessions.remove(&key) else { return Err(None) };
        if !kept.session.is_resumable() {
            let h = kept.session.h();
            self.sessions.insert(key, kept);
            return Err(Some(h));
        }
        self.octets = self.octets.saturating_sub(kept.octets);
        Ok((key, kept.with, kept.session))
    }

    /// Hands back what waits in sessions between these domains: the peer is not coming for it.
    pub fn relinquish(&mut self, pair: &Pair, reason: &'static str) -> Vec<GivenUp<K, W>> {
        let mut given_up = Vec::new();
        for (key, kept) in &mut self.sessions {
            let session = &kept.session;
            if session.is_resumable() && session.counts().2 > 0 && session.parties().pair == *pair {
                self.octets = self.octets.saturating_sub(kept.octets);
                given_up.push(hand_back(*key, kept, reason));
            }
        }
        given_up
    }

    /// Gives up the sessions between domains that may not speak any more.
    pub fn retain(&mut self, reason: &'static str, may_stay: impl Fn(&Pair) -> bool) -> Vec<GivenUp<K, W>> {
        let gone: Vec<K> = self
            .sessions
            .iter()
            .filter(|(_, kept)| !may_stay(&kept.session.parties().pair))
            .map(|(key, _)| *key)
            .collect();
        gone.into_iter().filter_map(|key| self.forget(key, reason)).collect()
    }

    /// Hands back what has waited for too long, and forgets sessions whose time is over.
    pub fn handle_timeout(&mut self, now: Now) -> Vec<GivenUp<K, W>> {
        let due: Vec<K> = self
            .sessions
            .iter()
            .filter(|(_, kept)| kept.until(&self.limits) <= now.moment)
            .map(|(key, _)| *key)
            .collect();
        let mut given_up = Vec::new();
        for key in due {
            let Some(kept) = self.sessions.get_mut(&key) else { continue };
            if kept.since + kept.session.max() <= now.moment {
                given_up.extend(self.forget(key, "the partner did not come back for it"));
            } else {
                self.octets = self.octets.saturating_sub(std::mem::take(&mut kept.octets));
                given_up.push(hand_back(key, kept, "the partner did not come back for it in time"));
            }
        }
        given_up
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.sessions.values().fold(None, |next, kept| earliest(next, Some(kept.until(&self.limits))))
    }

    fn forget(&mut self, key: K, reason: &'static str) -> Option<GivenUp<K, W>> {
        let mut kept = self.sessions.remove(&key)?;
        self.octets = self.octets.saturating_sub(kept.octets);
        Some(hand_back(key, &mut kept, reason))
    }
}

fn hand_back<K, W: Clone>(key: K, kept: &mut Kept<W>, reason: &'static str) -> GivenUp<K, W> {
    let pair = kept.session.parties().pair.clone();
    let unacknowledged = kept.session.take_unacknowledged();
    kept.octets = 0;
    GivenUp { key, with: kept.with.clone(), pair, unacknowledged, reason }
}
