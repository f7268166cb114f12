//! A network that loses, repeats and reorders, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use clock_types::{Date, Moment, Now};
use proptest::prelude::*;

/// What the network does with one datagram; times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Lost,
    Arrives(u64),
    Twice(u64, u64),
}

/// Most datagrams arrive soon, some later, up to `longest`.
pub fn fate(longest: u64) -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Lost),
        4 => (1_u64..300).prop_map(Fate::Arrives),
        1 => (1_u64..longest).prop_map(Fate::Arrives),
        1 => (1_u64..300, 1_u64..3000).prop_map(|(one, other)| Fate::Twice(one, other)),
    ]
}

/// What happens, and when.
pub struct Agenda<H> {
    pub now: Now,
    fates: Vec<Fate>,
    next_fate: usize,
    happenings: BTreeMap<(u64, u64), H>,
    counter: u64,
}

impl<H> Agenda<H> {
    /// The fates of the datagrams come round again.
    pub fn new(fates: Vec<Fate>) -> Self {
        Self {
            now: Now { moment: Moment::ZERO, date: Date::default() },
            fates,
            next_fate: 0,
            happenings: BTreeMap::new(),
            counter: 0,
        }
    }

    pub fn schedule(&mut self, at: u64, happening: H) {
        self.counter += 1;
        self.happenings.insert((at, self.counter), happening);
    }

    pub fn schedule_after(&mut self, after: u64, happening: H) {
        self.schedule(millis(self.now.moment) + after, happening);
    }

    /// Gives one datagram to the network.
    pub fn carry(&mut self, arrival: impl Fn() -> H) {
        let fate = self.fates[self.next_fate % self.fates.len()];
        self.next_fate += 1;
        let arrivals = match fate {
            Fate::Lost => vec![],
            Fate::Arrives(after) => vec![after],
            Fate::Twice(one, other) => vec![one, other],
        };
        for after in arrivals {
            self.schedule_after(after, arrival());
        }
    }

    /// Lets time pass until something happens, which is returned, or `timer` is due; `None` if neither ever comes.
    #[expect(clippy::option_option, reason = "nothing ever, nothing but the timer, something")]
    pub fn pass(&mut self, timer: Option<Moment>) -> Option<Option<H>> {
        let first = self.happenings.keys().next().map(|(at, _)| *at);
        let clock = millis(self.now.moment);
        let next = timer.map(millis).into_iter().chain(first).min()?.max(clock);
        self.now = self.now.plus(Duration::from_millis(next - clock));
        let happens = first.is_some_and(|at| at <= next);
        Some(if happens { self.happenings.pop_first().map(|(_, happening)| happening) } else { None })
    }
}

pub fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.since_origin().as_millis()).unwrap()
}
