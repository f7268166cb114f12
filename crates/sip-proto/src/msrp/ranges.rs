//! Which octets of something are there.

/// Octets that are there, as ranges in order that do not touch; the first octet is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds the octets from `start` up to, and without, `end`.
    pub fn add(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let first = self.0.partition_point(|(_, until)| *until < start);
        let behind = self.0.partition_point(|(from, _)| *from <= end);
        let (mut from, mut until) = (start, end);
        if first < behind {
            from = from.min(self.0[first].0);
            until = until.max(self.0[behind - 1].1);
        }
        self.0.splice(first..behind, [(from, until)]);
    }

    /// Returns whether every octet up to `total` is there.
    pub fn are_whole(&self, total: u64) -> bool {
        total == 0 || self.0.first().is_some_and(|(from, until)| *from == 0 && *until >= total)
    }

    /// Returns the number of ranges.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let mut ranges = Ranges::default();
        for (start, end, count) in [
            (10, 20, 1),
            (30, 40, 2),
            (5, 5, 2),
            (0, 5, 3),
            (20, 30, 2),
            (3, 12, 1),
            (50, 60, 2),
            (0, 100, 1),
        ] {
            ranges.add(start, end);
            assert_eq!(ranges.len(), count, "after {start}..{end}: {ranges:?}");
        }

        assert!(ranges.are_whole(100) && !ranges.are_whole(101));
        assert!(Ranges::default().are_whole(0) && !Ranges::default().are_whole(1));
    }
}
