use std::collections::VecDeque;

use super::outbound::low_half;

/// What the peer sent us: how far everything is settled, without a gap.
///
/// Only that far may `<a h>` speak, and only then may a peer's ping be answered: both tell the peer
/// that it may forget.
#[derive(Clone, Debug, Default)]
pub struct Inbound {
    frontier: u64,
    /// For each stanza after the frontier, whether it is settled.
    settled: VecDeque<bool>,
    /// How many of the next stanzas repeat what we have, after a resumption.
    repeated: u64,
}

impl Inbound {
    /// Counts a stanza that came in and returns its number, from 1; `None` if it is one that we have
    /// and that the peer repeats after a resumption, because our `h` did not cover it.
    pub fn receive(&mut self) -> Option<u64> {
        if self.repeated > 0 {
            self.repeated -= 1;
            return None;
        }
        self.settled.push_back(false);
        Some(self.received())
    }

    /// Counts as if so many had come and been settled.
    #[cfg(test)]
    pub(crate) fn count_from(&mut self, n: u64) {
        self.frontier = n;
    }

    /// Returns how many stanzas came in, repetitions apart.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.frontier + self.settled.len() as u64
    }

    /// Returns how many stanzas are at work: came in, and are not below the frontier.
    #[must_use]
    pub fn at_work(&self) -> usize {
        self.settled.len()
    }

    /// Takes the news that stanza `n` is settled and tells whether the frontier moved. Unknown and
    /// settled numbers change nothing.
    pub fn settle(&mut self, n: u64) -> bool {
        let Some(place) = n.checked_sub(self.frontier + 1).and_then(|place| usize::try_from(place).ok())
        else {
            return false;
        };
        let Some(settled) = self.settled.get_mut(place) else { return false };
        *settled = true;
        if place > 0 {
            return false;
        }
        while self.settled.front() == Some(&true) {
            self.settled.pop_front();
            self.frontier += 1;
        }
        true
    }

    /// Returns the number up to which every stanza is settled.
    #[must_use]
    pub fn frontier(&self) -> u64 {
        self.frontier
    }

    /// Returns the frontier as XEP-0198 writes it, modulo 2³².
    #[must_use]
    pub fn h(&self) -> u32 {
        low_half(self.frontier)
    }

    /// Returns the settled stanzas beyond the frontier, in order.
    pub fn settled_ahead(&self) -> impl Iterator<Item = u64> {
        let first = self.frontier + 1;
        self.settled.iter().zip(first..).filter_map(|(settled, n)| settled.then_some(n))
    }

    /// Prepares for a peer that resumes and repeats everything after the number that we told it, or after
    /// the frontier if that is further (XEP-0198 §5).
    pub fn expect_repetition(&mut self, told: u64) {
        self.repeated = self.received().saturating_sub(told.max(self.frontier));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn received(count: u64) -> Inbound {
        let mut inbound = Inbound::default();
        for n in 1..=count {
            assert_eq!(inbound.receive(), Some(n));
        }
        inbound
    }

    #[test]
    fn the_frontier_waits_for_the_slowest() {
        let mut inbound = received(3);

        assert!(!inbound.settle(2));
        assert_eq!(inbound.h(), 0);
        assert_eq!(inbound.settled_ahead().collect::<Vec<_>>(), [2]);
        assert!(inbound.settle(1));
        assert_eq!(inbound.h(), 2);
        assert!(inbound.settle(3));
        assert_eq!((inbound.h(), inbound.at_work()), (3, 0));
    }

    #[test]
    fn what_did_not_come_cannot_be_settled() {
        let mut inbound = received(1);

        assert!(!inbound.settle(0));
        assert!(!inbound.settle(2));
        assert!(inbound.settle(1));
        assert!(!inbound.settle(1));
    }

    #[test]
    fn what_a_resuming_peer_repeats_is_taken_once() {
        let mut inbound = received(3);
        inbound.settle(1);
        inbound.settle(3);

        inbound.expect_repetition(1);

        assert_eq!([inbound.receive(), inbound.receive(), inbound.receive()], [None, None, Some(4)]);
    }

    #[test]
    fn what_came_before_the_peer_counted_is_not_repeated() {
        let mut inbound = received(3);

        inbound.expect_repetition(2);

        assert_eq!([inbound.receive(), inbound.receive()], [None, Some(4)]);
    }

    proptest! {
        #[test]
        fn the_frontier_is_the_longest_settled_run(order in Just((1..=24_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut inbound = received(24);
            let mut done = std::collections::BTreeSet::new();
            for n in order {
                inbound.settle(n);
                done.insert(n);
                let run = (1..=24).take_while(|n| done.contains(n)).count() as u64;
                prop_assert_eq!(inbound.frontier(), run);
            }
        }
    }
}
