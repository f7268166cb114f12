//! Places that are not to be tried, or to be tried last, for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use clock_types::{Moment, Now};

use crate::locate::Place;

/// The places that failed or asked us to wait.
#[derive(Debug, Default)]
pub struct Unwell {
    places: BTreeMap<Place, Illness>,
}

#[derive(Clone, Copy, Debug)]
struct Illness {
    /// Nothing is sent there before (RFC 3261 §21.5.4).
    rests_until: Moment,
    /// Tried last before.
    shunned_until: Moment,
}

impl Unwell {
    /// Returns how long a place still wants to be left alone.
    pub fn rest_left(&self, place: &Place, now: Now) -> Option<Duration> {
        if self.places.is_empty() {
            return None;
        }
        let left = self.places.get(place)?.rests_until.since(now.moment);
        (!left.is_zero()).then_some(left)
    }

    pub fn is_shunned(&self, place: &Place, now: Now) -> bool {
        !self.places.is_empty() && self.places.get(place).is_some_and(|ill| ill.shunned_until > now.moment)
    }

    pub fn rest(&mut self, place: Place, time: Duration, max: usize, now: Now) {
        let until = now.moment + time;
        let illness = self.illness(place, max, now);
        illness.rests_until = illness.rests_until.max(until);
    }

    pub fn shun(&mut self, place: Place, time: Duration, max: usize, now: Now) {
        let until = now.moment + time;
        self.illness(place, max, now).shunned_until = until;
    }

    /// Forgets a place's trouble: it has answered.
    pub fn recover(&mut self, place: &Place) {
        if !self.places.is_empty()
            && let Some(illness) = self.places.get_mut(place)
        {
            illness.shunned_until = Moment::ZERO;
        }
    }

    fn illness(&mut self, place: Place, max: usize, now: Now) -> &mut Illness {
        if self.places.len() >= max && !self.places.contains_key(&place) {
            self.places.retain(|_, ill| ill.rests_until.max(ill.shunned_until) > now.moment);
            let soonest = |(_, ill): &(&Place, &Illness)| ill.rests_until.max(ill.shunned_until);
            if self.places.len() >= max
                && let Some(place) = self.places.iter().min_by_key(soonest).map(|(place, _)| *place)
            {
                self.places.remove(&place);
            }
        }
        self.places.entry(place).or_insert(Illness { rests_until: Moment::ZERO, shunned_until: Moment::ZERO })
    }
}
