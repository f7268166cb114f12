//! The one source of chance in the world.

use clock_types::Ids;
use std::time::Duration;

/// Draws numbers that depend on nothing but the seed.
#[derive(Debug)]
pub struct Chance(Ids);

impl Chance {
    /// Returns the source that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0x5a; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(Ids::random(bytes))
    }

    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// Returns true in `per_mille` of a thousand cases.
    pub fn happens(&mut self, per_mille: u64) -> bool {
        self.0.below(1000) < per_mille
    }

    /// Returns a duration of `from` up to `to`, in microseconds.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let width = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX);
        from + Duration::from_micros(self.0.below(width.saturating_add(1)))
    }

    /// Returns a seed for somebody else's chance.
    pub fn seed(&mut self) -> [u8; 32] {
        self.0.bytes()
    }
}
