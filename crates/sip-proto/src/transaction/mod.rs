//! The four transaction machines of RFC 3261 §17, as corrected by RFC 4320 and RFC 6026.
//!
//! A transaction decides *when* something is sent or handed up; its owner keeps *what*: the printed
//! request, the response in hand, the latest response given. So the machines hold no message, cost a
//! few words each, and every state × input of the RFC's figures is one line of a test.
//!
//! The owner drains `poll_output` after each input and drops a machine that `is_terminated`.

pub mod client_invite;
pub mod client_non_invite;
pub mod server_invite;
pub mod server_non_invite;

use std::time::Duration;

use clock_types::{Moment, Now};

/// The times all transaction timers derive from (RFC 3261 §17.1.1.1, table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The round-trip estimate: the first retransmission interval.
    pub t1: Duration,
    /// The longest interval between retransmissions of a non-INVITE request or a response.
    pub t2: Duration,
    /// How long the network may hold a message.
    pub t4: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timing {
    /// Returns 64*T1, the life of an unanswered transaction (timers B, F, H, J, L and M).
    #[must_use]
    pub fn lifetime(self) -> Duration {
        self.t1 * 64
    }

    /// Returns the time a client takes to reset timer E to T2, before which 100 must not answer a
    /// non-INVITE request on an unreliable transport (RFC 4320 §4.1).
    #[must_use]
    pub fn until_trying(self) -> Duration {
        let (mut interval, mut elapsed) = (self.t1.max(Duration::from_millis(1)), Duration::ZERO);
        while interval < self.t2 {
            elapsed += interval;
            interval *= 2;
        }
        elapsed
    }
}

/// Whether the transport delivers or the transaction must repeat itself (RFC 3261 §17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reliability {
    /// TCP and TLS: nothing is repeated and nothing lingers.
    Reliable,
    /// UDP.
    Unreliable,
}

impl Reliability {
    /// Returns the time to linger: none where the network repeats nothing (timers D, I, J, K).
    fn linger(self, unreliable: Duration) -> Option<Duration> {
        match self {
            Self::Reliable => None,
            Self::Unreliable => Some(unreliable),
        }
    }
}

/// When something is sent again, after ever longer intervals (timers A, E and G): never on a reliable transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Repeat(Option<(Moment, Duration)>);

impl Repeat {
    fn new(timing: Timing, reliability: Reliability, now: Now) -> Self {
        Self(reliability.linger(timing.t1).map(|interval| (now.moment + interval, interval)))
    }

    /// Returns whether it is time, and sets the next one, an interval away that is made of the last one.
    fn is_due(&mut self, longer: impl FnOnce(Duration) -> Duration, now: Now) -> bool {
        let Some((at, interval)) = self.0.as_mut().filter(|(at, _)| *at <= now.moment) else { return false };
        *interval = longer(*interval);
        *at = now.moment + *interval;
        true
    }

    fn next(self) -> Option<Moment> {
        self.0.map(|(at, _)| at)
    }
}

/// The few outputs one input can cause, without an allocation.
#[derive(Clone, Debug)]
struct Outputs<O> {
    waiting: [Option<O>; 3],
}

impl<O: Copy> Outputs<O> {
    const fn new() -> Self {
        Self { waiting: [None; 3] }
    }

    fn push(&mut self, output: O) {
        if let Some(free) = self.waiting.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(output);
        } else {
            debug_assert!(false, "an input causes at most three outputs");
        }
    }

    fn pop(&mut self) -> Option<O> {
        let first = self.waiting[0].take();
        self.waiting.rotate_left(1);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trying_may_be_said_after_the_retransmissions_reached_t2() {
        assert_eq!(Timing::default().until_trying(), Duration::from_millis(3500));
        assert_eq!(Timing::default().lifetime(), Duration::from_secs(32));
    }
}
