use std::collections::VecDeque;
use std::fmt;

/// What we sent and the peer has not yet acknowledged, numbered from 1 in the order of sending.
#[derive(Clone, Debug)]
pub struct Outbound<T> {
    /// The number of the last stanza that is acknowledged together with all before it.
    acknowledged: u64,
    /// The stanzas after it; `None` where one was settled ahead of its turn.
    queue: VecDeque<Option<T>>,
    settled_ahead: usize,
}

/// The peer acknowledged stanzas that we did not send (XEP-0198 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandledTooHigh {
    /// What it claims to have handled.
    pub h: u32,
    /// What we sent, modulo 2³².
    pub sent: u32,
}

impl fmt::Display for HandledTooHigh {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} stanzas acknowledged, but only {} sent", self.h, self.sent)
    }
}

impl<T> Default for Outbound<T> {
    fn default() -> Self {
        Self { acknowledged: 0, queue: VecDeque::new(), settled_ahead: 0 }
    }
}

impl<T> Outbound<T> {
    /// Adds a stanza that is being sent and returns its number.
    pub fn push(&mut self, stanza: T) -> u64 {
        self.queue.push_back(Some(stanza));
        self.sent()
    }

    /// Counts as if so many had been sent and acknowledged.
    #[cfg(test)]
    pub(crate) fn count_from(&mut self, n: u64) {
        self.acknowledged = n;
    }

    /// Returns how many stanzas were ever sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.acknowledged + self.queue.len() as u64
    }

    /// Returns the number up to which the peer has acknowledged all.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns how many stanzas wait for their acknowledgement.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len() - self.settled_ahead
    }

    /// Takes the peer's `h` (modulo 2³², XEP-0198 §4) and hands each stanza that it covers anew to
    /// `covered`, with its number, in order.
    ///
    /// # Errors
    /// If the peer claims more than we sent, or takes back what it acknowledged; then nothing changes.
    pub fn acknowledge(&mut self, h: u32, mut covered: impl FnMut(u64, T)) -> Result<(), HandledTooHigh> {
        let more = h.wrapping_sub(low_half(self.acknowledged)) as usize;
        if more > self.queue.len() {
            return Err(HandledTooHigh { h, sent: low_half(self.sent()) });
        }
        for stanza in self.queue.drain(..more) {
            self.acknowledged += 1;
            match stanza {
                Some(stanza) => covered(self.acknowledged, stanza),
                None => self.settled_ahead -= 1,
            }
        }
        Ok(())
    }

    /// Takes the news that every stanza up to number `n` is covered; as [`Self::acknowledge`], but for
    /// a number of our own keeping. What lies beyond the last one sent is ignored.
    pub fn acknowledge_through(&mut self, n: u64, covered: impl FnMut(u64, T)) {
        let n = n.min(self.sent());
        if n > self.acknowledged {
            let accepted = self.acknowledge(low_half(n), covered);
            debug_assert!(accepted.is_ok(), "bounded by what was sent two lines above");
        }
    }

    /// Takes the news that stanza `n` alone is settled and returns it; `None` if it was before.
    ///
    /// # Errors
    /// If no stanza with that number was ever sent.
    pub fn settle(&mut self, n: u64) -> Result<Option<T>, HandledTooHigh> {
        if n == 0 || n > self.sent() {
            return Err(HandledTooHigh { h: low_half(n), sent: low_half(self.sent()) });
        }
        if n <= self.acknowledged {
            return Ok(None);
        }
        let place = usize::try_from(n - self.acknowledged - 1).unwrap_or(usize::MAX);
        let stanza = self.queue.get_mut(place).and_then(Option::take);
        if stanza.is_some() {
            self.settled_ahead += 1;
        }
        Ok(stanza)
    }

    /// Takes out a stanza that comes after number `transmitted` and so has never left; the later ones, which
    /// have not left either, move up.
    pub fn withdraw(&mut self, transmitted: u64, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let first = usize::try_from(transmitted.saturating_sub(self.acknowledged)).unwrap_or(usize::MAX);
        let place =
            (first..self.queue.len()).find(|place| self.queue[*place].as_ref().is_some_and(&wanted))?;
        self.queue.remove(place).flatten()
    }

    /// Returns the stanzas that wait, with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.queue
            .iter()
            .enumerate()
            .filter_map(|(place, stanza)| Some((self.acknowledged + 1 + place as u64, stanza.as_ref()?)))
    }

    /// Returns those of the waiting stanzas whose number is above `n`.
    pub fn iter_after(&self, n: u64) -> impl Iterator<Item = (u64, &T)> {
        let skipped = usize::try_from(n.saturating_sub(self.acknowledged)).unwrap_or(usize::MAX);
        let first = skipped.min(self.queue.len());
        let number = self.acknowledged + 1 + first as u64;
        self.queue
            .range(first..)
            .zip(number..)
            .filter_map(|(stanza, number)| Some((number, stanza.as_ref()?)))
    }

    /// Takes out all that waits, in order; the numbers go on from where they were.
    pub fn take_waiting(&mut self) -> Vec<T> {
        self.acknowledged = self.sent();
        self.settled_ahead = 0;
        self.queue.drain(..).flatten().collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "XEP-0198 counts modulo 2^32")]
pub(super) const fn low_half(n: u64) -> u32 {
    n as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(count: u64) -> Outbound<u64> {
        let mut outbound = Outbound::default();
        for n in 1..=count {
            assert_eq!(outbound.push(n), n);
        }
        outbound
    }

    #[track_caller]
    fn acknowledged(outbound: &mut Outbound<u64>, h: u32) -> Vec<u64> {
        let mut covered = Vec::new();
        outbound
            .acknowledge(h, |n, stanza| {
                assert_eq!(n, stanza);
                covered.push(n)
            })
            .unwrap();
        covered
    }

    #[test]
    fn an_acknowledgement_covers_all_before_it_once() {
        let mut outbound = sent(5);

        assert_eq!(acknowledged(&mut outbound, 2), [1, 2]);
        assert_eq!(acknowledged(&mut outbound, 2), [0_u64; 0]);
        assert_eq!(acknowledged(&mut outbound, 5), [3, 4, 5]);
        assert_eq!(outbound.waiting(), 0);
    }

    #[test]
    fn a_selective_settlement_is_not_told_twice() {
        let mut outbound = sent(3);

        assert_eq!(outbound.settle(2), Ok(Some(2)));
        assert_eq!(outbound.settle(2), Ok(None));
        assert_eq!(outbound.waiting(), 2);
        assert_eq!(acknowledged(&mut outbound, 3), [1, 3]);
        assert_eq!(outbound.settle(1), Ok(None));
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut outbound = sent(3);

        assert_eq!(outbound.acknowledge(4, |_, _| {}), Err(HandledTooHigh { h: 4, sent: 3 }));
        assert_eq!(acknowledged(&mut outbound, 2), [1, 2]);
        assert!(outbound.acknowledge(1, |_, _| {}).is_err());
        assert!(outbound.settle(4).is_err());
        assert!(outbound.settle(0).is_err());
        assert_eq!(outbound.waiting(), 1);
    }

    #[test]
    fn counting_goes_on_past_two_to_the_thirty_second() {
        let mut outbound = Outbound::default();
        outbound.count_from(u64::from(u32::MAX));
        outbound.push(());
        outbound.push(());
        let mut covered = Vec::new();

        outbound.acknowledge(0, |n, ()| covered.push(n)).unwrap();
        outbound.acknowledge(1, |n, ()| covered.push(n)).unwrap();

        assert_eq!(covered, [1 << 32, (1 << 32) + 1]);
    }

    proptest! {
        #[test]
        fn every_stanza_is_covered_exactly_once(news in proptest::collection::vec((any::<bool>(), 0_u64..40), 0..80)) {
            let mut outbound = sent(32);
            let mut told = Vec::new();
            for (selective, n) in news {
                if selective {
                    if let Ok(Some(stanza)) = outbound.settle(n) { told.push(stanza); }
                } else {
                    let _ = outbound.acknowledge(low_half(n), |_, stanza| told.push(stanza));
                }
            }
            told.extend(outbound.take_waiting());
            told.sort_unstable();
            prop_assert_eq!(told, (1..=32).collect::<Vec<_>>());
        }
    }
}
