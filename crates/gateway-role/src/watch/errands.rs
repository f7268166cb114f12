//! What many watches are to do when something big has happened, at the pace of the servers that it goes to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use clock_types::{Moment, Now};
use xmpp_types::jid::DomainName;

use super::desk::Slot;

/// One thing that one watch is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// An inward watch asks for the XMPP user's presence.
    Probe(Slot),
    /// An inward watch tells its programs that the XMPP user's server cannot be reached.
    Close(Slot),
    /// An outward watch shows nothing any more: the SIP user's server cannot be reached.
    Hide(Slot),
    /// An outward watch asks anew: it can be reached again.
    Refresh(Slot),
    /// An outward watch tells the XMPP user what he has missed.
    Tell(Slot),
    /// An outward watch that a probe has made begins.
    Adopt(Slot),
    /// An inward watch tells its programs to subscribe anew, because we end.
    Leave(Slot),
}

/// Errands, by the domain whose servers they are a burden to.
#[derive(Debug, Default)]
pub struct Errands {
    queues: BTreeMap<DomainName, Queue>,
    /// When each queue in which something waits has its turn.
    turns: BTreeSet<(Moment, DomainName)>,
    /// When each queue that has become empty may be forgotten: after its last turn, so that the next errand does not come too
    /// soon.
    resting: BTreeSet<(Moment, DomainName)>,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Errand>,
    /// When the present turn began, and how many it has left.
    turn: Moment,
    left: usize,
    /// Errands of one turn, and how long it lasts.
    batch: usize,
    every: Duration,
}

/// The usual turn.
const TURN: Duration = Duration::from_millis(100);
/// Turns in a second.
const TURNS: u32 = 10;

impl Errands {
    /// Takes an errand for a domain that bears so many in a second.
    pub fn push(&mut self, domain: &DomainName, per_second: u32, errand: Errand, now: Now) {
        let per_second = per_second.max(1);
        let (batch, every) = if per_second >= TURNS {
            (per_second / TURNS, TURN)
        } else {
            (1, Duration::from_secs(1) / per_second)
        };
        let batch = usize::try_from(batch).unwrap_or(1);
        let queue = self.queues.entry(domain.clone()).or_insert_with(|| Queue {
            waiting: VecDeque::new(),
            turn: now.moment,
            left: batch,
            batch,
            every,
        });
        (queue.batch, queue.every) = (batch, every);
        queue.waiting.push_back(errand);
        if queue.waiting.len() == 1 {
            self.turns.insert((queue.next(), domain.clone()));
        }
    }

    /// Returns an errand whose turn has come. It looks at the queue that it takes it from, and not at all the others.
    pub fn take_due(&mut self, now: Now) -> Option<Errand> {
        self.forget_rested(now);
        let turn = self.turns.first().filter(|(at, _)| *at <= now.moment)?.clone();
        self.turns.remove(&turn);
        let (_, domain) = turn;
        let queue = self.queues.get_mut(&domain)?;
        if queue.turn + queue.every <= now.moment {
            (queue.turn, queue.left) = (now.moment, queue.batch);
        }
        let errand = queue.waiting.pop_front()?;
        queue.left = queue.left.saturating_sub(1);
        if queue.waiting.is_empty() {
            self.resting.insert((queue.turn + queue.every, domain));
        } else {
            self.turns.insert((queue.next(), domain));
        }
        Some(errand)
    }

    fn forget_rested(&mut self, now: Now) {
        while self.resting.first().is_some_and(|(at, _)| *at <= now.moment) {
            let Some((at, domain)) = self.resting.pop_first() else { return };
            // Another errand may have come meanwhile.
            if self
                .queues
                .get(&domain)
                .is_some_and(|queue| queue.waiting.is_empty() && queue.turn + queue.every <= at)
            {
                self.queues.remove(&domain);
            }
        }
    }

    /// Returns when the next one has its turn.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.turns.first().map(|(at, _)| *at)
    }

    /// Returns whether any waits for a domain.
    pub fn is_busy(&self, domain: &DomainName) -> bool {
        self.queues.get(domain).is_some_and(|queue| !queue.waiting.is_empty())
    }

    /// Returns whether none waits.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}

impl Queue {
    fn next(&self) -> Moment {
        if self.left > 0 { self.turn } else { self.turn + self.every }
    }
}

#[cfg(test)]
mod tests {
    use clock_types::Date;

    use super::*;

    fn at(millis: u64) -> Now {
        Now { moment: Moment::ZERO + Duration::from_millis(millis), date: Date::default() }
    }

    fn domain(name: &str) -> DomainName {
        DomainName::parse(name).unwrap()
    }

    fn done(errands: &mut Errands, millis: u64) -> Vec<Errand> {
        std::iter::from_fn(|| errands.take_due(at(millis))).collect()
    }

    #[test]
    fn each_domain_has_its_pace_and_none_waits_for_another() {
        let mut errands = Errands::default();
        for slot in 0..5 {
            errands.push(&domain("slow.example"), 20, Errand::Leave(slot), at(0));
            errands.push(&domain("fast.example"), 1000, Errand::Leave(10 + slot), at(0));
        }

        let first = done(&mut errands, 0);
        assert_eq!(first.len(), 7, "{first:?}");
        assert_eq!(first.iter().filter(|errand| matches!(errand, Errand::Leave(..5))).count(), 2);
        assert_eq!(errands.poll_timeout(), Some(at(100).moment));
        assert_eq!(done(&mut errands, 99), []);
        assert_eq!(done(&mut errands, 100), [Errand::Leave(2), Errand::Leave(3)]);
        assert_eq!(done(&mut errands, 350), [Errand::Leave(4)]);
        assert!(errands.is_empty());
        assert_eq!(errands.poll_timeout(), None);
    }

    #[test]
    fn what_comes_one_by_one_is_paced_as_well() {
        let mut errands = Errands::default();
        let mut times = Vec::new();
        for slot in 0..4 {
            errands.push(&domain("s.example"), 2, Errand::Adopt(slot), at(u64::from(slot) * 10));
            times.extend(done(&mut errands, u64::from(slot) * 10));
        }

        assert_eq!(times, [Errand::Adopt(0)]);
        assert_eq!(done(&mut errands, 499), []);
        assert_eq!(done(&mut errands, 500), [Errand::Adopt(1)]);
        assert_eq!(errands.poll_timeout(), Some(at(1000).moment));
    }
}
