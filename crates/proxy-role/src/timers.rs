//! When each part of the proxy wants to be called.

use std::collections::{BTreeMap, BTreeSet};

use clock_types::Moment;
use net_types::ConnectionId;

use crate::courier::CourierId;

/// Who wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Incoming(ConnectionId),
    Courier(CourierId),
    Links,
    Held,
    Kept,
    Stopping,
    Allowance(ConnectionId),
}

/// The deadlines of all parts. A deadline that moves later is left where it is: the part is then
/// called too early once and says again when, which is cheaper than a move for every octet.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_moment: BTreeSet<(Moment, Timer)>,
    by_timer: BTreeMap<Timer, Moment>,
}

impl Timers {
    /// Notes that `timer` wants to be called at `moment`.
    pub(crate) fn set(&mut self, timer: Timer, moment: Option<Moment>) {
        match (self.by_timer.get(&timer).copied(), moment) {
            (Some(known), Some(moment)) if known <= moment => {}
            (None, None) => {}
            (known, moment) => {
                if let Some(known) = known {
                    self.by_moment.remove(&(known, timer));
                    self.by_timer.remove(&timer);
                }
                if let Some(moment) = moment {
                    self.by_moment.insert((moment, timer));
                    self.by_timer.insert(timer, moment);
                }
            }
        }
    }

    /// Takes out the next part whose time has come.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<Timer> {
        let (moment, timer) = *self.by_moment.first()?;
        if moment > now {
            return None;
        }
        self.by_moment.remove(&(moment, timer));
        self.by_timer.remove(&timer);
        Some(timer)
    }

    /// Returns the earliest deadline.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.by_moment.first().map(|(moment, _)| *moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_earliest_is_called_first_and_a_later_wish_does_not_move_it() {
        let mut timers = Timers::default();
        timers.set(Timer::Links, Some(at(5)));
        timers.set(Timer::Held, Some(at(3)));
        timers.set(Timer::Held, Some(at(9)));
        timers.set(Timer::Links, Some(at(4)));

        assert_eq!(timers.next(), Some(at(3)));
        assert_eq!(timers.pop_due(at(4)), Some(Timer::Held));
        assert_eq!(timers.pop_due(at(4)), Some(Timer::Links));
        assert_eq!(timers.pop_due(at(100)), None);
    }

    #[test]
    fn a_wish_can_be_taken_back() {
        let mut timers = Timers::default();
        timers.set(Timer::Links, Some(at(5)));

        timers.set(Timer::Links, None);

        assert_eq!(timers.next(), None);
    }
}
