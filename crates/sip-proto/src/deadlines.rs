use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use clock_types::{Moment, earliest};

/// Deadlines in the order they fall due. Those of equal length fall due in the order they were set, so
/// each common length is a queue; the few others are a heap.
///
/// A deadline is never taken back: its owner knows whether it still means it, and [`Deadlines::trim`]
/// drops what nobody means.
#[derive(Debug)]
pub struct Deadlines<K> {
    lines: Vec<Line<K>>,
    others: BinaryHeap<Reverse<(Moment, K)>>,
    since_trim: usize,
}

#[derive(Debug)]
struct Line<K> {
    length: Duration,
    waiting: VecDeque<(Moment, K)>,
}

/// After how many new deadlines the dead ones at the front are dropped.
const TRIM_EVERY: usize = 1024;

impl<K: Copy + Ord> Deadlines<K> {
    pub fn new(lengths: impl IntoIterator<Item = Duration>) -> Self {
        let mut lines: Vec<Line<K>> = Vec::new();
        for length in lengths {
            if lines.iter().all(|line| line.length != length) {
                lines.push(Line { length, waiting: VecDeque::new() });
            }
        }
        Self { lines, others: BinaryHeap::new(), since_trim: 0 }
    }

    pub fn push(&mut self, at: Moment, now: Moment, key: K) {
        self.since_trim += 1;
        let length = at.since(now);
        match self.lines.iter_mut().find(|line| line.length == length) {
            // A clock that went backwards must not break the order of the line.
            Some(line) if line.waiting.back().is_none_or(|(last, _)| *last <= at) => {
                line.waiting.push_back((at, key));
            }
            Some(_) | None => self.others.push(Reverse((at, key))),
        }
    }

    pub fn next(&self) -> Option<Moment> {
        let first = self.others.peek().map(|Reverse((at, _))| *at);
        self.lines.iter().fold(first, |first, line| earliest(first, line.waiting.front().map(|(at, _)| *at)))
    }

    /// Returns a deadline that is due, the earliest first.
    pub fn pop_due(&mut self, now: Moment) -> Option<(Moment, K)> {
        let next = self.next().filter(|next| *next <= now)?;
        let is_next = |front: Option<&(Moment, K)>| front.is_some_and(|(at, _)| *at == next);
        match self.lines.iter_mut().find(|line| is_next(line.waiting.front())) {
            Some(line) => line.waiting.pop_front(),
            None => self.others.pop().map(|Reverse(due)| due),
        }
    }

    pub fn wants_trim(&self) -> bool {
        self.since_trim >= TRIM_EVERY
    }

    /// Drops from the front what is not `meant` any more.
    pub fn trim(&mut self, meant: impl Fn(Moment, K) -> bool) {
        self.since_trim = 0;
        for line in &mut self.lines {
            while line.waiting.front().is_some_and(|(at, key)| !meant(*at, *key)) {
                line.waiting.pop_front();
            }
        }
        while self.others.peek().is_some_and(|Reverse((at, key))| !meant(*at, *key)) {
            self.others.pop();
        }
    }

    pub fn len(&self) -> usize {
        self.lines.iter().map(|line| line.waiting.len()).sum::<usize>() + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_of_any_length_fall_due_in_order() {
        let mut deadlines = Deadlines::new([ms(500), ms(4000)]);
        for (set, length) in [(0, 4000), (10, 500), (20, 777), (20, 500), (30, 1)] {
            deadlines.push(at(set + length), at(set), set);
        }

        let fallen: Vec<_> = std::iter::from_fn(|| deadlines.pop_due(at(5000))).collect();

        assert_eq!(fallen, [(at(31), 30), (at(510), 10), (at(520), 20), (at(797), 20), (at(4000), 0)]);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn nothing_falls_before_its_time() {
        let mut deadlines = Deadlines::new([ms(500)]);
        deadlines.push(at(500), at(0), ());

        assert_eq!(deadlines.next(), Some(at(500)));
        assert_eq!(deadlines.pop_due(at(499)), None);
        assert_eq!(deadlines.pop_due(at(500)), Some((at(500), ())));
    }

    #[test]
    fn what_nobody_means_is_dropped_from_the_front() {
        let mut deadlines = Deadlines::new([ms(500)]);
        for n in 0..10 {
            deadlines.push(at(500 + n), at(n), n);
        }

        deadlines.trim(|_, n| n >= 9);

        assert_eq!(deadlines.len(), 1);
        assert_eq!(deadlines.next(), Some(at(509)));
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::from_origin(ms(milliseconds))
    }
}
