//! What a stream leaves behind when its connection breaks, and who may have it back (XEP-0198 §5).

use std::collections::BTreeMap;
use std::time::Duration;

use xmpp_types::jid::DomainName;
use xmpp_types::xml::Element;

use super::Proof;
use super::flow::Flow;
use crate::dialback::Pair;

/// A session without a connection: both counters, and what is not acknowledged.
#[derive(Debug)]
pub struct Session {
    pub(super) flow: Flow,
    pub(super) terms: Terms,
    parties: Parties,
    /// Whether it is complete: nothing of ours that the peer may lack was handed back.
    is_resumable: bool,
}

/// What both ends agreed on when they began to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The name that only the two ends know.
    pub(super) id: String,
    /// For how long it is kept without a connection.
    pub(super) max: Duration,
    /// Where the initiator should come back to.
    pub(super) location: Option<String>,
}

/// Who speaks over a stream, and how well that is proved. A name alone resumes nothing: the former session is
/// only for the same domains, proved again at least as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    pub(super) pair: Pair,
    pub(super) proved: BTreeMap<DomainName, Proof>,
    pub(super) is_secure: bool,
    pub(super) is_both_ways: bool,
}

impl Parties {
    /// Returns the domains that the stream was opened for.
    #[must_use]
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// Returns the domains that are proved, and how.
    pub fn proved(&self) -> impl Iterator<Item = (&DomainName, Proof)> {
        self.proved.iter().map(|(domain, proof)| (domain, *proof))
    }

    /// Tells whether stanzas cross both ways.
    #[must_use]
    pub fn is_both_ways(&self) -> bool {
        self.is_both_ways
    }

    /// Tells whether a stream between these may go on with a session between those.
    pub(super) fn may_resume(&self, former: &Self) -> bool {
        let is_proved_again = |(domain, proof): (&DomainName, &Proof)| match (proof, self.proved.get(domain))
        {
            (_, Some(Proof::Certificate | Proof::Dane | Proof::Posh)) => true,
            (Proof::Dialback, Some(Proof::Dialback)) => true,
            (Proof::Certificate | Proof::Dane | Proof::Posh, Some(Proof::Dialback)) | (_, None) => false,
        };
        self.pair == former.pair
            && self.is_both_ways == former.is_both_ways
            && (self.is_secure || !former.is_secure)
            && former.proved.iter().all(is_proved_again)
    }
}

impl Session {
    pub(super) fn new(flow: Flow, terms: Terms, parties: Parties) -> Self {
        let is_resumable = !flow.is_stuck();
        Self { flow, terms, parties, is_resumable }
    }

    /// Returns who spoke over it.
    #[must_use]
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// Returns for how long it is kept, as both ends agreed.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.terms.max
    }

    /// Returns where the acceptor wants to be sought (XEP-0198 §3), at the initiating end.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.terms.location.as_deref()
    }

    /// Returns how many stanzas came in, how many of them are not settled, and how many of ours are not
    /// acknowledged.
    #[must_use]
    pub fn counts(&self) -> (u64, usize, usize) {
        (self.flow.received(), self.flow.at_work(), self.flow.waiting())
    }

    /// Returns about how many octets of ours are not acknowledged.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.flow.octets()
    }

    /// Tells whether it can go on. If not, it is only good for telling the peer how much of its own was settled.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.is_resumable
    }

    /// Takes the news that stanza `n` of the peer is settled.
    pub fn settle(&mut self, n: u64) {
        self.flow.settle(n);
    }

    /// Takes a stanza that was about to be sent when the connection broke: it goes after the others.
    pub fn keep(&mut self, token: u64, stanza: Element) {
        self.flow.keep(token, stanza);
    }

    /// Hands back what was sent and not acknowledged, with its tokens, in order. The session cannot go on
    /// after that.
    pub fn take_unacknowledged(&mut self) -> Vec<(u64, Element)> {
        self.is_resumable = false;
        self.flow.take_waiting()
    }

    /// Returns what the peer must say to resume it.
    pub(super) fn id(&self) -> &str {
        &self.terms.id
    }

    /// Returns how many stanzas of the peer are settled without a gap, as XEP-0198 counts them.
    pub(super) fn h(&self) -> u32 {
        self.flow.h()
    }
}
