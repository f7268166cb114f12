//! To whom SIP users have written: whoever was written to may answer, also where his provider is not believed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clock_types::Date;

/// Pairs whose SIP user has written to the XMPP user, each with the day of the last time.
#[derive(Debug, Default)]
pub struct Written {
    dates: BTreeMap<Arc<str>, Date>,
    /// The same in the order of time.
    order: BTreeSet<(Date, Arc<str>)>,
}

/// For how long an answer may come.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);
/// How old a date may grow before it is written down anew.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// Pairs that are remembered; those of the longest ago are forgotten first.
const REMEMBERED_MAX: usize = 100_000;

impl Written {
    /// Goes on from what an earlier process left.
    pub fn recover(pairs: Vec<(Arc<str>, Date)>) -> Self {
        let mut written = Self::default();
        for (pair, date) in pairs {
            written.insert(pair, date);
        }
        written
    }

    /// The SIP user writes; tells whether that is to be kept, and not known well enough already.
    pub fn note(&mut self, pair: &Arc<str>, date: Date) -> bool {
        if self.dates.get(pair).is_some_and(|known| date < known.plus(FRESH)) {
            return false;
        }
        self.insert(Arc::clone(pair), date);
        true
    }

    /// Tells whether the XMPP user of a pair may answer.
    pub fn may_answer(&self, pair: &str, date: Date) -> bool {
        self.dates.get(pair).is_some_and(|written| date < written.plus(ANSWER_WITHIN))
    }

    fn insert(&mut self, pair: Arc<str>, date: Date) {
        if let Some(before) = self.dates.insert(Arc::clone(&pair), date) {
            self.order.remove(&(before, Arc::clone(&pair)));
        }
        self.order.insert((date, pair));
        if self.order.len() > REMEMBERED_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.dates.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn on(day: u64) -> Date {
        Date::from_unix_millis(0).plus(Duration::from_secs(day * DAY))
    }

    #[test]
    fn an_answer_may_come_for_a_month_and_each_day_is_written_down_once() {
        let mut written = Written::default();
        let pair: Arc<str> = "ann@x.example bob@s.example".into();

        assert!(!written.may_answer(&pair, on(0)));
        assert!(written.note(&pair, on(0)));
        assert!(!written.note(&pair, on(0)));
        assert!(written.may_answer(&pair, on(29)));
        assert!(!written.may_answer(&pair, on(30)));
        assert!(written.note(&pair, on(3)));
        assert!(written.may_answer(&pair, on(32)));
        assert!(!written.may_answer("eve@x.example bob@s.example", on(3)));
    }

    #[test]
    fn of_too_many_the_oldest_is_forgotten() {
        let mut written = Written::default();
        for number in 0..=REMEMBERED_MAX {
            written.note(&format!("u{number}@x.example b@s.example").into(), on(number as u64 / 1000));
        }

        assert!(!written.may_answer("u0@x.example b@s.example", on(1)));
        assert!(written.may_answer("u1@x.example b@s.example", on(1)));
        assert_eq!((written.dates.len(), written.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }
}
