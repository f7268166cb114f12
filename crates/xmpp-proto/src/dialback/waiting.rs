use std::collections::BTreeMap;
use std::time::Duration;

use clock_types::Moment;

/// What waits for an answer: so much at most, and each for so long.
#[derive(Clone, Debug)]
pub(super) struct Waiting<K> {
    until: BTreeMap<K, Moment>,
    max: usize,
    patience: Duration,
}

impl<K: Clone + Ord> Waiting<K> {
    pub(super) fn new(max: usize, patience: Duration) -> Self {
        Self { until: BTreeMap::new(), max, patience }
    }

    pub(super) fn has(&self, key: &K) -> bool {
        self.until.contains_key(key)
    }

    /// Lets this wait; `false` if there is no room.
    pub(super) fn add(&mut self, key: &K, now: Moment) -> bool {
        let has_room = self.until.len() < self.max;
        if has_room {
            self.until.insert(key.clone(), now + self.patience);
        }
        has_room
    }

    /// Takes it out; `false` if it does not wait.
    pub(super) fn end(&mut self, key: &K) -> bool {
        self.until.remove(key).is_some()
    }

    /// Takes out what has waited too long.
    pub(super) fn take_overdue(&mut self, now: Moment) -> Vec<K> {
        self.until.extract_if(.., |_, until| *until <= now).map(|(key, _)| key).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<K> {
        std::mem::take(&mut self.until).into_keys().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// Returns when the next one has waited too long.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.until.values().min().copied()
    }
}
