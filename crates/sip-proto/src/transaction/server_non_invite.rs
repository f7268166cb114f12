//! The non-INVITE server transaction (RFC 3261 §17.2.2, figure 8; RFC 4320 §4).
//!
//! ```text
//!                     |request received
//!                     |pass to user
//!                     V
//!               +-----------+
//!               |           |-------------+
//!               |  Trying   | timer J:    |
//!               |           | too late    |
//!               +-----------+             |
//!   200-699     |    |    | silence       |
//!   send        |    |    +-----------+   |
//!  +------------+    |100 after T     |   |
//!  |                 V                V   |
//!  |            +-----------+  +--------+ |
//!  |   request: |           |  |        | |
//!  |   send 100 |Proceeding |  | Silent | |
//!  |      +-----|           |  |        | |
//!  |      +---->|           |  +--------+ |
//!  |            +-----------+      |      |
//!  |  200-699    |     | timer J   |timer |
//!  |  send       |     +---------->|  J   |
//!  |             V                 |      |
//!  |      +-----------+            |      |
//!  +----->| Completed | request:   |      |
//!         |           |--+ send    |      |
//!         +-----------+<-+         |      |
//!                |timer J          |      |
//!                V                 |      |
//!          +------------+<---------+      |
//!          | Terminated |<----------------+
//!          +------------+
//! ```
//!
//! T is the time a client takes to slow down to T2. *Silent* is ours: a request that must never be
//! answered (BENOTIFY) keeps absorbing its own repetitions.

use clock_types::{Moment, Now, earliest};

use super::{Outputs, Reliability, Timing};

/// What the owner is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the latest response given, the first time or again.
    Send,
    /// Send a 100, the first time or again.
    SendTrying,
    /// Tell the user that it answered too late, or not at all: nobody waits any more.
    Expired,
    /// Tell the user that the response could not be sent.
    TransportFailed,
}

/// One request other than INVITE and ACK, at the side that answers.
#[derive(Clone, Debug)]
pub struct ServerNonInvite {
    state: State,
    timing: Timing,
    reliability: Reliability,
    outputs: Outputs<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was said; says 100 at `trying_at`.
    Trying {
        trying_at: Moment,
        until: Moment,
    },
    /// 100 was said.
    Proceeding {
        until: Moment,
    },
    /// The final response was sent and is repeated to who repeats the request.
    Completed {
        until: Moment,
    },
    Silent {
        until: Moment,
    },
    Terminated,
}

impl ServerNonInvite {
    /// Returns the transaction of a request that the owner passes to the user.
    #[must_use]
    pub fn new(timing: Timing, reliability: Reliability, now: Now) -> Self {
        let state = State::Trying {
            trying_at: now.moment + timing.until_trying(),
            until: now.moment + timing.lifetime(),
        };
        Self { state, timing, reliability, outputs: Outputs::new() }
    }

    /// Hears the same request again.
    pub fn handle_request(&mut self, _now: Now) {
        match self.state {
            State::Trying { .. } | State::Silent { .. } | State::Terminated => {}
            State::Proceeding { .. } => self.outputs.push(Output::SendTrying),
            State::Completed { .. } => self.outputs.push(Output::Send),
        }
    }

    /// Takes the user's response. Provisional ones are not sent: only 100 may be (RFC 4320 §4.1), and
    /// this machine says that itself. 408 must not be sent (RFC 4320 §4.2) and ends in silence. Only
    /// the first final response counts.
    pub fn handle_answer(&mut self, status: u16, now: Now) {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } if status < 200 => {}
            State::Trying { .. } | State::Proceeding { .. } if status == 408 => self.handle_silence(now),
            State::Trying { .. } | State::Proceeding { .. } => {
                self.outputs.push(Output::Send);
                self.state = match self.reliability.linger(self.timing.lifetime()) {
                    Some(linger) => State::Completed { until: now.moment + linger },
                    None => State::Terminated,
                };
            }
            State::Completed { .. } | State::Silent { .. } | State::Terminated => {}
        }
    }

    /// Takes the user's decision never to answer.
    pub fn handle_silence(&mut self, now: Now) {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = match self.reliability.linger(self.timing.lifetime()) {
                    Some(linger) => State::Silent { until: now.moment + linger },
                    None => State::Terminated,
                };
            }
            State::Completed { .. } | State::Silent { .. } | State::Terminated => {}
        }
    }

    /// Learns that the transport could not send a response.
    pub fn handle_transport_error(&mut self, _now: Now) {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => {
                self.state = State::Terminated;
                self.outputs.push(Output::TransportFailed);
            }
            State::Trying { .. } | State::Silent { .. } | State::Terminated => {}
        }
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        match self.state {
            // The client has given up: a later final response would be stray (RFC 4320 §4.2).
            State::Trying { until, .. } | State::Proceeding { until } if until <= now.moment => {
                self.state = State::Terminated;
                self.outputs.push(Output::Expired);
            }
            State::Trying { trying_at, until } => {
                if trying_at <= now.moment {
                    self.state = State::Proceeding { until };
                    self.outputs.push(Output::SendTrying);
                }
            }
            State::Completed { until } | State::Silent { until } => {
                if until <= now.moment {
                    self.state = State::Terminated;
                }
            }
            State::Proceeding { .. } | State::Terminated => {}
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
            State::Trying { trying_at, until } => earliest(Some(trying_at), Some(until)),
            State::Proceeding { until } | State::Completed { until } | State::Silent { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// Returns whether the user still owes an answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => true,
            State::Completed { .. } | State::Silent { .. } | State::Terminated => false,
        }
    }

    /// Returns whether the owner may forget it.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }
}
