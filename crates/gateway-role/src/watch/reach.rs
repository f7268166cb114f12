//! Whether the servers of domains can be reached, as far as their users are watched.
//!
//! Nobody says so by himself: a stream or a connection that nothing is sent on breaks unnoticed, and a datagram needs no
//! connection at all. So a domain from which nothing has come for a while is asked something.
//!
//! ```text
//!             nothing heard for a while             no answer in time, or it failed
//!      up ─────────────────────────────▶ asked ───────────────────────────────────▶ down ─┐ asked again
//!       ▲                                  │                                         │ ▲   │ and again
//!       └───────────── any word ───────────┴─────────────────────────────────────────┘ └───┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clock_types::{Moment, Now, earliest};
use xmpp_types::jid::DomainName;

/// The domains of one side.
#[derive(Debug, Default)]
pub struct Reach {
    peers: BTreeMap<DomainName, Peer>,
    /// Whether silence says nothing of a domain that has never answered a question.
    needs_proof: bool,
}

#[derive(Debug)]
struct Peer {
    heard: Moment,
    /// When it was asked, while it has not answered.
    asked: Option<Moment>,
    /// When to ask next.
    next: Moment,
    /// Whether it is known to answer what it is asked.
    answers: bool,
    down: bool,
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a domain that is down is left alone between two questions.
const RETRY: Duration = Duration::from_secs(15);

impl Reach {
    /// Returns one for servers of which some may overlook the question.
    pub fn of_servers_that_prove_to_answer() -> Self {
        Self { needs_proof: true, ..Self::default() }
    }

    /// Looks after a domain from now on.
    pub fn want(&mut self, domain: &DomainName, every: Duration, now: Now) {
        let next = now.moment + every;
        let answers = !self.needs_proof;
        let peer = Peer { heard: now.moment, asked: None, next, answers, down: false };
        self.peers.entry(domain.clone()).or_insert(peer);
    }

    /// Looks after no domain but these any more.
    pub fn want_only(&mut self, domains: &BTreeSet<DomainName>) {
        self.peers.retain(|domain, _| domains.contains(domain));
    }

    /// Forgets a domain.
    pub fn forget(&mut self, domain: &DomainName) {
        self.peers.remove(domain);
    }

    /// Returns the domains that are to be asked something.
    pub fn due(&mut self, now: Now) -> Vec<DomainName> {
        let due = self.peers.iter_mut().filter(|(_, peer)| peer.asked.is_none() && peer.next <= now.moment);
        due.map(|(domain, peer)| {
            peer.asked = Some(now.moment);
            domain.clone()
        })
        .collect()
    }

    /// Returns the domains that have not answered, and are found to be down by that.
    pub fn overdue(&mut self, now: Now) -> Vec<DomainName> {
        let late = |peer: &Peer| peer.asked.is_some_and(|asked| asked + PATIENCE <= now.moment);
        for peer in self.peers.values_mut().filter(|peer| late(peer) && !peer.answers) {
            (peer.asked, peer.next) = (None, now.moment + RETRY);
        }
        let overdue: Vec<DomainName> =
            self.peers.iter().filter(|(_, peer)| late(peer)).map(|(domain, _)| domain.clone()).collect();
        overdue.into_iter().filter(|domain| self.failed(domain, now)).collect()
    }

    /// Anything was heard of a domain; tells whether that is news.
    pub fn heard(&mut self, domain: &DomainName, every: Duration, now: Now) -> bool {
        let Some(peer) = self.peers.get_mut(domain) else { return false };
        (peer.heard, peer.asked, peer.next) = (now.moment, None, now.moment + every);
        std::mem::take(&mut peer.down)
    }

    /// A domain has answered a question.
    pub fn answered(&mut self, domain: &DomainName) {
        if let Some(peer) = self.peers.get_mut(domain) {
            peer.answers = true;
        }
    }

    /// A domain could not be reached, which is looked after from now on; tells whether that is news.
    pub fn failed(&mut self, domain: &DomainName, now: Now) -> bool {
        self.want(domain, RETRY, now);
        let Some(peer) = self.peers.get_mut(domain) else { return false };
        (peer.asked, peer.next) = (None, now.moment + RETRY);
        !std::mem::replace(&mut peer.down, true)
    }

    /// A domain may be down: it is asked at once.
    pub fn suspect(&mut self, domain: &DomainName, now: Now) {
        if let Some(peer) = self.peers.get_mut(domain)
            && !peer.down
        {
            peer.next = now.moment;
        }
    }

    /// Tells whether a domain is known to be down.
    pub fn is_down(&self, domain: &DomainName) -> bool {
        self.peers.get(domain).is_some_and(|peer| peer.down)
    }

    /// Tells whether nothing has come from a domain for so long.
    pub fn is_silent(&self, domain: &DomainName, long: Duration, now: Now) -> bool {
        self.peers.get(domain).is_some_and(|peer| peer.heard + long <= now.moment)
    }

    /// Returns when there is something to do.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let next = |peer: &Peer| peer.asked.map_or(peer.next, |asked| asked + PATIENCE);
        self.peers.values().fold(None, |first, peer| earliest(first, Some(next(peer))))
    }

    /// Returns the domains that it looks after.
    pub fn domains(&self) -> impl Iterator<Item = &DomainName> {
        self.peers.keys()
    }

    /// Tells whether it looks after nobody.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use clock_types::Date;

    use super::*;

    const EVERY: Duration = Duration::from_secs(40);

    fn at(seconds: u64) -> Now {
        Now { moment: Moment::ZERO + Duration::from_secs(seconds), date: Date::default() }
    }

    fn x() -> DomainName {
        DomainName::parse("x.example").unwrap()
    }

    fn wanted() -> Reach {
        let mut reach = Reach::default();
        reach.want(&x(), EVERY, at(0));
        reach
    }

    #[test]
    fn a_domain_that_is_silent_is_asked_and_down_without_an_answer() {
        let mut reach = wanted();

        assert_eq!(reach.due(at(39)), []);
        assert!(!reach.heard(&x(), EVERY, at(30)));
        assert_eq!(reach.poll_timeout(), Some(at(70).moment));
        assert_eq!(reach.due(at(70)), [x()]);
        assert_eq!(reach.due(at(71)), []);
        assert_eq!(reach.overdue(at(89)), []);
        assert_eq!(reach.overdue(at(90)), [x()]);
        assert!(reach.is_down(&x()));
        assert_eq!(reach.poll_timeout(), Some(at(105).moment));
        assert_eq!(reach.due(at(105)), [x()]);
        assert_eq!(reach.overdue(at(125)), []);
        assert_eq!(reach.due(at(140)), [x()]);
        assert!(reach.heard(&x(), EVERY, at(141)));
        assert!(!reach.is_down(&x()));
        assert_eq!(reach.poll_timeout(), Some(at(181).moment));
    }

    #[test]
    fn a_server_that_has_never_answered_is_not_down_for_being_silent() {
        let mut reach = Reach::of_servers_that_prove_to_answer();
        reach.want(&x(), EVERY, at(0));

        assert_eq!(reach.due(at(40)), [x()]);
        assert_eq!(reach.overdue(at(60)), []);
        assert_eq!(reach.due(at(75)), [x()]);
        reach.answered(&x());
        assert!(!reach.heard(&x(), EVERY, at(76)));
        assert_eq!(reach.due(at(116)), [x()]);
        assert_eq!(reach.overdue(at(136)), [x()]);
    }

    #[test]
    fn a_failure_is_news_once_and_a_suspicion_is_looked_into() {
        let mut reach = wanted();

        reach.suspect(&x(), at(5));
        assert_eq!(reach.due(at(5)), [x()]);
        assert!(reach.failed(&x(), at(6)));
        assert!(!reach.failed(&x(), at(7)));
        reach.suspect(&x(), at(8));
        assert_eq!(reach.due(at(8)), []);
        reach.want_only(&BTreeSet::new());
        assert!(reach.is_empty());
    }
}
