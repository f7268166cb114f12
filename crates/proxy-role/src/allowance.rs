//! How much a partner may send in a second.

use std::time::Duration;

use clock_types::Moment;

/// A bucket that fills at a steady rate and holds one second's worth.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    rate: u32,
    /// Thousandths of a unit; below zero after a burst that was let through.
    level: i64,
    filled: Moment,
}

impl Allowance {
    pub(crate) fn new(rate: u32, now: Moment) -> Self {
        Self { rate, level: i64::from(rate) * 1000, filled: now }
    }

    /// Takes `amount` out and returns for how long the peer must not be read, if it must not.
    pub(crate) fn take(&mut self, amount: usize, now: Moment) -> Option<Duration> {
        let full = i64::from(self.rate) * 1000;
        let passed = i64::try_from(now.since(self.filled).as_millis()).unwrap_or(i64::MAX);
        self.level = full.min(self.level.saturating_add(passed.saturating_mul(i64::from(self.rate))));
        self.filled = now;
        self.level -= i64::try_from(amount).unwrap_or(i64::MAX / 2000).saturating_mul(1000);
        if self.level >= 0 || self.rate == 0 {
            return None;
        }
        let millis = self.level.unsigned_abs().div_ceil(u64::from(self.rate));
        Some(Duration::from_millis(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_second_s_worth_may_come_at_once_and_then_the_rate_holds() {
        let mut allowance = Allowance::new(10, at(0));

        assert_eq!(allowance.take(10, at(0)), None);
        assert_eq!(allowance.take(5, at(0)), Some(Duration::from_millis(500)));
        assert_eq!(allowance.take(1, at(600)), None);
        assert_eq!(allowance.take(1, at(600)), Some(Duration::from_millis(100)));
    }

    #[test]
    fn idle_time_does_not_add_up() {
        let mut allowance = Allowance::new(10, at(0));

        assert_eq!(allowance.take(10, at(3_600_000)), None);
        assert!(allowance.take(1, at(3_600_000)).is_some());
    }
}
