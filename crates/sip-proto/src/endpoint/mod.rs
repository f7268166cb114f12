//! The SIP stack as one machine: transports, transactions, and locating the next hop.
//!
//! ```text
//!            send, respond                      Request, Response, Failed
//!                 │                                        ▲
//!   ┌─────────────▼────────────────────────────────────────┴──────────────┐
//!   │ outgoing   tries of a request over targets   │ incoming  duplicates, │
//!   │ locate     RFC 3263: targets of a domain     │           limits      │
//!   │ transaction  client                          │ server                │
//!   │ connections  reuse, framing, keep-alive, certificates               │
//!   └─────────────▲────────────────────────────────────────┬──────────────┘
//!                 │                                        ▼
//!            net Event                                 net Order
//! ```

mod output;
mod route;
mod settings;

use clock_types::{Ids, Moment, Now};
use net_types::Event;
use sip_types::{Request, Response};

pub use output::{Failure, Notice, Output, RequestKey, ServerKey, Source, Stage};
pub use route::{FixedHop, NextHop, Route};
pub use settings::{Limits, Listener, Settings, Transport};

/// The SIP stack of one role.
#[derive(Debug)]
pub struct Endpoint {
    settings: Settings,
    ids: Ids,
}

impl Endpoint {
    /// Returns an endpoint whose listeners the shell has opened.
    #[must_use]
    pub fn new(settings: Settings, ids: Ids) -> Self {
        Self { settings, ids }
    }

    /// Returns whether an event of the shell is for this endpoint: its listener, its connection or its
    /// question.
    #[must_use]
    pub fn concerns(&self, _event: &Event) -> bool {
        unimplemented!()
    }

    /// Takes one event of the shell.
    pub fn handle_net(&mut self, _event: Event, _now: Now) {
        let _ = (&self.settings, &self.ids);
        unimplemented!()
    }

    /// Sends a request, which has no Via yet, in a transaction of its own. It ends in one
    /// [`Output::Response`] with a final status or one [`Output::Failed`]. An ACK of a 2xx has no
    /// transaction and no end.
    pub fn send(&mut self, _key: RequestKey, _request: Request, _route: &Route, _now: Now) {
        unimplemented!()
    }

    /// Cancels an INVITE (RFC 3261 §9.1): sends CANCEL once something provisional was heard.
    pub fn cancel(&mut self, _key: RequestKey, _now: Now) {
        unimplemented!()
    }

    /// Answers a request on the way it came. Late and second final answers are absorbed.
    pub fn respond(&mut self, _key: ServerKey, _response: Response, _now: Now) {
        unimplemented!()
    }

    /// Leaves a request without any answer, for methods that want none (BENOTIFY).
    pub fn keep_silent(&mut self, _key: ServerKey, _now: Now) {
        unimplemented!()
    }

    /// Answers new requests 503 from here on; what is under way may finish.
    pub fn handle_stop(&mut self, _now: Now) {
        unimplemented!()
    }

    /// Returns whether no request waits for an answer, on either side.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        unimplemented!()
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, _now: Now) {
        unimplemented!()
    }

    /// Returns the next thing to do; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        unimplemented!()
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        unimplemented!()
    }
}
