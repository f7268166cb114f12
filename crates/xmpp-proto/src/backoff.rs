//! How long to wait before trying again.

use std::time::Duration;

use clock_types::Ids;

/// Returns the pause before attempt `failed + 1`: doubled from `min` for each failure, at most `max`,
/// and spread evenly over its upper half so that many who failed together do not come back together.
#[must_use]
pub fn pause(min: Duration, max: Duration, failed: u32, ids: &mut Ids) -> Duration {
    let full = min.saturating_mul(1_u32.checked_shl(failed.min(20)).unwrap_or(u32::MAX)).min(max);
    let half = full / 2;
    let spread = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
    half + Duration::from_millis(ids.below(spread.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_stay_within_their_bounds() {
        let mut ids = Ids::random([3; 32]);
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(300));

        for failed in 0..100 {
            let full = (1_u64 << failed.min(10)).min(300);
            let pause = pause(min, max, failed, &mut ids);
            assert!(pause >= Duration::from_millis(full * 500), "{failed}: {pause:?}");
            assert!(pause <= Duration::from_secs(full), "{failed}: {pause:?}");
        }
    }
}
