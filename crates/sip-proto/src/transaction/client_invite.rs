//! The INVITE client transaction (RFC 3261 §17.1.1, figure 5; RFC 6026 §7.2, figure 3).
//!
//! ```text
//!                    |INVITE from user
//!                    |send INVITE
//!      Timer A       V
//!      send   +-----------+
//!    +--------|           |  Timer B or transport error: inform user
//!    |        |  Calling  |--------------------------------+
//!    +------->|           |                                |
//!             +-----------+                                |
//!   300-699     |    |   | 2xx: deliver                    |
//!   ACK sent,   |    |   +-------------------+             |
//!   deliver     |    |1xx: deliver           |             |
//!    +----------+    V                       |             |
//!    |        +-----------+ 1xx: deliver     |             |
//!    |        |           |----+             |             |
//!    |  +-----|Proceeding |<---+             |             |
//!    |  |     +-----------+                  |             |
//!    |  |300-699         | 2xx: deliver      |             |
//!    |  |ACK sent,       +---------------+   |             |
//!    |  |deliver                         V   V             |
//!    |  V                            +----------+          |
//!    |  +-----------+ 300-699:       |          | 2xx:     |
//!    +->| Completed |---+ send ACK   | Accepted |--+       |
//!       |           |<--+            |          |<-+ deliver|
//!       +-----------+                +----------+          |
//!         | Timer D or                    | Timer M        |
//!         V transport error: inform user  V                |
//!       +------------+<-------------------+                |
//!       | Terminated |<------------------------------------+
//!       +------------+
//! ```

use std::time::Duration;

use clock_types::{Moment, Now, earliest};

use super::{Outputs, Reliability, Repeat, Timing};

/// What the owner is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the INVITE, the first time or again.
    Send,
    /// Send the ACK for the non-2xx final response (§17.1.1.3), the first time or again.
    SendAck,
    /// Hand the response that was just heard to the user.
    Deliver,
    /// Tell the user that nothing was heard (timer B).
    TimedOut,
    /// Tell the user that the INVITE or its ACK could not be sent.
    TransportFailed,
}

/// One INVITE and its responses; the ACK of a 2xx is its user's.
#[derive(Clone, Debug)]
pub struct ClientInvite {
    state: State,
    timing: Timing,
    reliability: Reliability,
    outputs: Outputs<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling {
        /// Timer A.
        repeat: Repeat,
        /// Timer B.
        until: Moment,
    },
    Proceeding,
    /// Acknowledges repeated final responses until timer D.
    Completed {
        until: Moment,
    },
    /// Passes on every 2xx, also those of other forks, until timer M.
    Accepted {
        until: Moment,
    },
    Terminated,
}

impl ClientInvite {
    /// Returns the transaction of an INVITE whose first sending is the first output.
    #[must_use]
    pub fn new(timing: Timing, reliability: Reliability, now: Now) -> Self {
        let mut outputs = Outputs::new();
        outputs.push(Output::Send);
        let repeat = Repeat::new(timing, reliability, now);
        let state = State::Calling { repeat, until: now.moment + timing.lifetime() };
        Self { state, timing, reliability, outputs }
    }

    /// Hears a response with this transaction's branch and method.
    pub fn handle_response(&mut self, status: u16, now: Now) {
        match self.state {
            State::Calling { .. } | State::Proceeding => {
                self.state = match status {
                    ..200 => State::Proceeding,
                    200..300 => State::Accepted { until: now.moment + self.timing.lifetime() },
                    300.. => {
                        self.outputs.push(Output::SendAck);
                        // Timer D is at least 32 s, and the far timer H is 64*T1 (§17.1.1.2).
                        let linger = self.timing.lifetime().max(Duration::from_secs(32));
                        match self.reliability.linger(linger) {
                            Some(linger) => State::Completed { until: now.moment + linger },
                            None => State::Terminated,
                        }
                    }
                };
                self.outputs.push(Output::Deliver);
            }
            State::Completed { .. } => {
                if status >= 300 {
                    self.outputs.push(Output::SendAck);
                }
            }
            State::Accepted { .. } => {
                if (200..300).contains(&status) {
                    self.outputs.push(Output::Deliver);
                }
            }
            State::Terminated => {}
        }
    }

    /// Learns that the transport could not send.
    pub fn handle_transport_error(&mut self, _now: Now) {
        match self.state {
            State::Calling { .. } | State::Proceeding | State::Completed { .. } => {
                self.state = State::Terminated;
                self.outputs.push(Output::TransportFailed);
            }
            State::Accepted { .. } | State::Terminated => {}
        }
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        match self.state {
            State::Calling { until, .. } if until <= now.moment => {
                self.state = State::Terminated;
                self.outputs.push(Output::TimedOut);
            }
            State::Calling { ref mut repeat, .. } => {
                if repeat.is_due(|interval| interval * 2, now) {
                    self.outputs.push(Output::Send);
                }
            }
            State::Completed { until } | State::Accepted { until } => {
                if until <= now.moment {
                    self.state = State::Terminated;
                }
            }
            State::Proceeding | State::Terminated => {}
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
            State::Calling { repeat, until } => earliest(repeat.next(), Some(until)),
            State::Completed { until } | State::Accepted { until } => Some(until),
            State::Proceeding | State::Terminated => None,
        }
    }

    /// Returns whether a CANCEL may be sent: something provisional was heard and nothing final
    /// (RFC 3261 §9.1).
    #[must_use]
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Returns whether a final response came, or no first one can come.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self.state {
            State::Calling { .. } | State::Proceeding => false,
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => true,
        }
    }

    /// Returns whether the owner may forget it.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }
}
