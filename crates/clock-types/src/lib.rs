//! Time and identifiers as values: what pure code may know of the clock and of chance.
//!
//! A machine never reads a clock. It is told [`Now`] with every input, which carries both clocks at
//! once: the monotonic one for timers and the calendar for certificates, `Date` and `Expires`.

mod date;
mod fnv;
mod ids;
mod moment;

pub use date::{Date, Fields};
pub use fnv::{FNV_SEED, fnv};
pub use ids::Ids;
pub use moment::Moment;

/// Both clocks at one instant; the last argument of every `handle_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock: the only one timers may use.
    pub moment: Moment,
    /// The calendar: may jump either way.
    pub date: Date,
}

impl Now {
    /// Returns the instant `later` after this one on both clocks.
    #[must_use]
    pub fn plus(self, later: std::time::Duration) -> Self {
        Self { moment: self.moment + later, date: self.date.plus(later) }
    }
}

/// Returns the earlier of two optional deadlines; `None` means "never".
#[must_use]
pub fn earliest(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (some, None) | (None, some) => some,
    }
}
