//! The non-INVITE client transaction (RFC 3261 §17.1.2, figure 6).
//!
//! ```text
//!                  |request from user
//!                  |send request
//!    Timer E       V
//!    send   +-----------+
//!  +--------|           |-------------------+
//!  |        |  Trying   |  Timer F          |
//!  +------->|           |  or transport err.|
//!           +-----------+  inform user      |
//!     200-699  |     | 1xx                  |
//!     deliver  |     | deliver              |
//!  +-----------+     V                      |
//!  |        +-----------+  Timer E: send    |
//!  |        |           |----+              |
//!  |  +-----|Proceeding |<---+ 1xx: deliver |
//!  |  |     |           |------------------>+
//!  |  |     +-----------+  F or transport   |
//!  |  |200-699   error: inform user         |
//!  |  V deliver                             |
//!  |  +-----------+                         |
//!  +->| Completed |                         |
//!     +-----------+                         |
//!           | Timer K                       |
//!           V                               |
//!     +------------+                        |
//!     | Terminated |<-----------------------+
//!     +------------+
//! ```

use clock_types::{Moment, Now, earliest};

use super::{Outputs, Reliability, Repeat, Timing};

/// What the owner is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the request, the first time or again.
    Send,
    /// Hand the response that was just heard to the user.
    Deliver,
    /// Tell the user that no final response came (timer F).
    TimedOut,
    /// Tell the user that the request could not be sent.
    TransportFailed,
}

/// One request other than INVITE and ACK, and its one final response.
#[derive(Clone, Debug)]
pub struct ClientNonInvite {
    state: State,
    timing: Timing,
    reliability: Reliability,
    outputs: Outputs<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying(Wait),
    Proceeding(Wait),
    /// Absorbs repeated responses until timer K.
    Completed {
        until: Moment,
    },
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wait {
    /// Timer E.
    repeat: Repeat,
    /// Timer F.
    until: Moment,
}

impl ClientNonInvite {
    /// Returns the transaction of a request whose first sending is the first output.
    #[must_use]
    pub fn new(timing: Timing, reliability: Reliability, now: Now) -> Self {
        let mut outputs = Outputs::new();
        outputs.push(Output::Send);
        let repeat = Repeat::new(timing, reliability, now);
        let wait = Wait { repeat, until: now.moment + timing.lifetime() };
        Self { state: State::Trying(wait), timing, reliability, outputs }
    }

    /// Hears a response with this transaction's branch and method.
    pub fn handle_response(&mut self, status: u16, now: Now) {
        match self.state {
            State::Trying(wait) | State::Proceeding(wait) if status < 200 => {
                self.state = State::Proceeding(wait);
                self.outputs.push(Output::Deliver);
            }
            State::Trying(_) | State::Proceeding(_) => {
                self.outputs.push(Output::Deliver);
                self.state = match self.reliability.linger(self.timing.t4) {
                    Some(linger) => State::Completed { until: now.moment + linger },
                    None => State::Terminated,
                };
            }
            // A repeated final response is absorbed (§17.1.2.2).
            State::Completed { .. } | State::Terminated => {}
        }
    }

    /// Learns that the transport could not send.
    pub fn handle_transport_error(&mut self, _now: Now) {
        match self.state {
            State::Trying(_) | State::Proceeding(_) => {
                self.state = State::Terminated;
                self.outputs.push(Output::TransportFailed);
            }
            State::Completed { .. } | State::Terminated => {}
        }
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        match self.state {
            State::Trying(wait) | State::Proceeding(wait) if wait.until <= now.moment => {
                self.state = State::Terminated;
                self.outputs.push(Output::TimedOut);
            }
            State::Trying(ref mut wait) => {
                if wait.repeat.is_due(|interval| (interval * 2).min(self.timing.t2), now) {
                    self.outputs.push(Output::Send);
                }
            }
            // In this state the interval is always T2.
            State::Proceeding(ref mut wait) => {
                if wait.repeat.is_due(|_| self.timing.t2, now) {
                    self.outputs.push(Output::Send);
                }
            }
            State::Completed { until } => {
                if until <= now.moment {
                    self.state = State::Terminated;
                }
            }
            State::Terminated => {}
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
            State::Trying(wait) | State::Proceeding(wait) => earliest(wait.repeat.next(), Some(wait.until)),
            State::Completed { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// Returns whether a final response came, or no more can come.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self.state {
            State::Trying(_) | State::Proceeding(_) => false,
            State::Completed { .. } | State::Terminated => true,
        }
    }

    /// Returns whether the owner may forget it.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }
}
