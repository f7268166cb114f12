use std::collections::VecDeque;

use clock_types::Moment;

use super::Number;

/// Deadlines that are all equally far away when they are set, so that a queue keeps them in order.
///
/// Nothing is taken out of the middle: whoever reads a deadline asks whether it still matters.
#[derive(Debug, Default)]
pub struct Deadlines(VecDeque<(Moment, Number)>);

impl Deadlines {
    /// Sets a deadline, not earlier than those set before.
    pub fn set(&mut self, at: Moment, number: Number) {
        debug_assert!(
            self.0.back().is_none_or(|(last, _)| *last <= at),
            "deadlines of one length are in order"
        );
        self.0.push_back((at, number));
    }

    /// Returns the next deadline.
    pub fn next(&self) -> Option<Moment> {
        self.0.front().map(|(at, _)| *at)
    }

    /// Takes the next deadline that has come.
    pub fn take_due(&mut self, now: Moment) -> Option<Number> {
        let (at, number) = *self.0.front()?;
        if at > now {
            return None;
        }
        self.0.pop_front();
        Some(number)
    }

    /// Forgets deadlines at the front that matter no more, so that nobody wakes up for them.
    pub fn forget_front(&mut self, matters: impl Fn(Number) -> bool) {
        while self.0.front().is_some_and(|(_, number)| !matters(*number)) {
            self.0.pop_front();
        }
    }
}
