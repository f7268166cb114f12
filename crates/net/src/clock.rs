//! The real clocks and the real randomness, as values that pure code accepts.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clock_types::{Date, Moment, Now};

/// The operating system's two clocks, with an origin for the monotonic one.
///
/// Copies share the origin: machines that exchange [`Moment`]s must be driven by copies of one clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Returns a clock whose monotonic origin is this instant.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { moment: Moment::from_origin(self.origin.elapsed()), date: date() }
    }

    /// Returns when `moment` is, as the event loop counts; far moments become "in thirty years".
    #[must_use]
    pub(crate) fn instant(&self, moment: Moment) -> tokio::time::Instant {
        let since_origin = moment.since_origin().min(FAR);
        tokio::time::Instant::from_std(self.origin + since_origin)
    }
}

/// Reads the calendar; a clock before 1970 reads as 1970.
#[must_use]
pub fn date() -> Date {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Date::from_unix_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Returns 32 octets of the operating system's randomness, for [`Ids::random`](clock_types::Ids::random).
///
/// # Panics
///
/// When the operating system has no randomness to give: nothing that follows could be safe.
#[must_use]
pub fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the operating system gives random octets");
    seed
}

/// How far ahead a timer is armed at most.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_starts_at_its_origin_and_does_not_go_back() {
        let clock = Clock::start();

        let (one, other) = (clock.now(), clock.now());

        assert!(one.moment < Moment::ZERO + Duration::from_secs(60));
        assert!(other.moment >= one.moment);
        assert!(one.date > Date::from_unix_millis(1_700_000_000_000));
    }

    #[test]
    fn a_moment_beyond_all_timers_is_only_far() {
        let clock = Clock::start();

        let far = clock.instant(Moment::from_origin(Duration::MAX));

        assert!(far > tokio::time::Instant::now());
    }

    #[test]
    fn two_seeds_differ() {
        assert_ne!(seed(), seed());
    }
}
