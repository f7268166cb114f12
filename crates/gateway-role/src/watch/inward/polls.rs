//! Programs that ask once, before anything is known.

use std::time::Duration;

use clock_types::Now;

use super::{Desk, Inward};

/// How long somebody who asks once waits for an answer of the XMPP side. A NOTIFY is due immediately (RFC 6665 §4.2.1.2),
/// but one that says nothing helps nobody.
const PATIENCE: Duration = Duration::from_secs(2);

impl Inward {
    /// Returns whether a program that asks once has to wait.
    pub(super) fn keeps_waiting(&mut self, index: usize, now: Now) -> bool {
        let waits = self.is_granted() && self.heard.is_none() && self.notifiers[index].is_poll();
        if waits && self.polled_until.is_none() {
            self.polled_until = Some(now.moment + PATIENCE);
        }
        waits && self.polled_until.is_some_and(|until| now.moment < until)
    }

    /// Tells those who asked once what is known, if anything.
    pub(super) fn answer_polls(&mut self, desk: &mut Desk, now: Now) {
        if self.polled_until.take().is_none() {
            return;
        }
        for index in 0..self.notifiers.len() {
            if self.notifiers[index].is_poll() {
                self.notify(index, desk, now);
            }
        }
        self.drain(desk, now);
    }
}
