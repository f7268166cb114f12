//! The INVITE server transaction (RFC 3261 §17.2.1, figure 7; RFC 6026 §7.1, figures 1 and 2).
//!
//! ```text
//!                                |INVITE
//!                                |pass to user; 100 unless it answers within 200 ms
//!            INVITE: send latest V
//!             +------------+-----------+
//!             |            |           | 101-199 from user: send
//!             +----------->|Proceeding |--+
//!                          |           |<-+
//!                          +-----------+
//!     300-699 from user: send |     | 2xx from user: send
//!            +----------------+     +-------------+
//!            V                                    V
//!      +-----------+ INVITE: send           +-----------+ 2xx from user: send
//!      |           |--+                     |           |--+
//!      | Completed |<-+ timer G: send       | Accepted  |<-+ ACK: to user
//!      +-----------+                        +-----------+ INVITE: absorbed
//!        |      | timer H: inform user            | timer L
//!    ACK |      +-------------+                   |
//!        V                    V                   |
//!      +-----------+ I  +------------+            |
//!      | Confirmed |--->| Terminated |<-----------+
//!      +-----------+    +------------+
//! ```
//!
//! A transport error informs the user and changes no state (RFC 6026 §7.1), so that a repeated INVITE
//! is still absorbed.

use std::time::Duration;

use clock_types::{Moment, Now, earliest};

use super::{Outputs, Reliability, Repeat, Timing};

/// How long the user may think before the transaction says 100 itself (§17.2.1).
const UNTIL_TRYING: Duration = Duration::from_millis(200);

/// What the owner is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the latest response given, the first time or again.
    Send,
    /// Send a 100, the first time or again.
    SendTrying,
    /// Hand the ACK that was just heard to the user: it belongs to a 2xx.
    DeliverAck,
    /// Tell the user that no ACK came for a non-2xx response (timer H).
    TimedOut,
    /// Tell the user that a response could not be sent.
    TransportFailed,
}

/// One INVITE, at the side that answers.
#[derive(Clone, Debug)]
pub struct ServerInvite {
    state: State,
    timing: Timing,
    reliability: Reliability,
    outputs: Outputs<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Proceeding(Said),
    Completed {
        /// Timer G.
        repeat: Repeat,
        /// Timer H.
        until: Moment,
    },
    /// Absorbs repeated ACKs until timer I.
    Confirmed {
        until: Moment,
    },
    /// Absorbs repeated INVITEs until timer L.
    Accepted {
        until: Moment,
    },
    Terminated,
}

/// What was said so far in Proceeding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing { trying_at: Moment },
    Trying,
    Provisional,
}

impl ServerInvite {
    /// Returns the transaction of an INVITE that the owner passes to the user.
    #[must_use]
    pub fn new(timing: Timing, reliability: Reliability, now: Now) -> Self {
        let state = State::Proceeding(Said::Nothing { trying_at: now.moment + UNTIL_TRYING });
        Self { state, timing, reliability, outputs: Outputs::new() }
    }

    /// Hears the same INVITE again.
    pub fn handle_request(&mut self, _now: Now) {
        match self.state {
            State::Proceeding(Said::Trying) => self.outputs.push(Output::SendTrying),
            State::Proceeding(Said::Provisional) | State::Completed { .. } => self.outputs.push(Output::Send),
            State::Proceeding(Said::Nothing { .. })
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// Hears an ACK with this transaction's branch, or one that the user's dialog matched.
    pub fn handle_ack(&mut self, now: Now) {
        match self.state {
            State::Completed { .. } => {
                self.state = match self.reliability.linger(self.timing.t4) {
                    Some(linger) => State::Confirmed { until: now.moment + linger },
                    None => State::Terminated,
                };
            }
            State::Accepted { .. } => self.outputs.push(Output::DeliverAck),
            State::Proceeding(_) | State::Confirmed { .. } | State::Terminated => {}
        }
    }

    /// Takes the user's response.
    pub fn handle_answer(&mut self, status: u16, now: Now) {
        match self.state {
            State::Proceeding(_) => {
                self.outputs.push(Output::Send);
                self.state = match status {
                    ..200 => State::Proceeding(Said::Provisional),
                    200..300 => State::Accepted { until: now.moment + self.timing.lifetime() },
                    300.. => {
                        let repeat = Repeat::new(self.timing, self.reliability, now);
                        State::Completed { repeat, until: now.moment + self.timing.lifetime() }
                    }
                };
            }
            // The user repeats its 2xx until the ACK (§13.3.1.4).
            State::Accepted { .. } => {
                if (200..300).contains(&status) {
                    self.outputs.push(Output::Send);
                }
            }
            State::Completed { .. } | State::Confirmed { .. } | State::Terminated => {}
        }
    }

    /// Learns that the transport could not send a response.
    pub fn handle_transport_error(&mut self, _now: Now) {
        match self.state {
            State::Proceeding(_) | State::Completed { .. } | State::Accepted { .. } => {
                self.outputs.push(Output::TransportFailed);
            }
            State::Confirmed { .. } | State::Terminated => {}
        }
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        match self.state {
            State::Proceeding(Said::Nothing { trying_at }) => {
                if trying_at <= now.moment {
                    self.state = State::Proceeding(Said::Trying);
                    self.outputs.push(Output::SendTrying);
                }
            }
            State::Completed { until, .. } if until <= now.moment => {
                self.state = State::Terminated;
                self.outputs.push(Output::TimedOut);
            }
            State::Completed { ref mut repeat, .. } => {
                if repeat.is_due(|interval| (interval * 2).min(self.timing.t2), now) {
                    self.outputs.push(Output::Send);
                }
            }
            State::Confirmed { until } | State::Accepted { until } => {
                if until <= now.moment {
                    self.state = State::Terminated;
                }
            }
            State::Proceeding(Said::Trying | Said::Provisional) | State::Terminated => {}
        }
    }

    /// Returns the next thing to do; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        match self.state {
            State::Proceeding(Said::Nothing { trying_at }) => Some(trying_at),
            State::Completed { repeat, until } => earliest(repeat.next(), Some(until)),
            State::Confirmed { until } | State::Accepted { until } => Some(until),
            State::Proceeding(Said::Trying | Said::Provisional) | State::Terminated => None,
        }
    }

    /// Returns whether the user still owes a final answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.state {
            State::Proceeding(_) => true,
            State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => false,
        }
    }

    /// Returns whether a 2xx was given, which its user may give again (RFC 6026 §7.1).
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted { .. })
    }

    /// Returns whether the owner may forget it.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }
}
