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

mod connections;
mod incoming;
mod names;
mod outgoing;
mod output;
mod pacing;
mod returning;
mod route;
mod sending;
mod served;
mod settings;
mod snapshot;
mod target;
mod tries;
mod unwell;
mod watched;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use net_types::{ConnectionId, Event};
use sip_types::{Request, Response};

use self::connections::Connections;
use self::names::Names;
use self::pacing::Pacing;
use self::sending::Sendings;
use self::served::Served;
use self::target::Peer;
use self::unwell::Unwell;
use self::watched::Watched;
use crate::deadlines::Deadlines;
use crate::fingerprint::Fingerprints;

pub use output::{Failure, Notice, Output, RequestKey, ServerKey, Source, Stage, Way};
pub use pacing::{Pace, PaceState};
pub use route::{FixedHop, NextHop, Route};
pub use settings::{Limits, Listener, Settings, Transport};
pub use snapshot::{ConnectionState, Snapshot};

/// The SIP stack of one role.
#[derive(Debug)]
pub struct Endpoint {
    settings: Settings,
    ids: Ids,
    fingerprints: Fingerprints,
    connections: Connections,
    served: Served,
    sendings: Sendings,
    names: Names,
    unwell: Unwell,
    pacing: Pacing,
    /// Whom TLS must prove on the latest routes.
    peers: VecDeque<(Route, Arc<Peer>)>,
    deadlines: Deadlines<Timer>,
    outputs: VecDeque<Output>,
    next_number: u64,
    watched: Watched,
    stopping: bool,
}

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Received(u64),
    Sending(u64),
    Cancelled(u64),
    Connection(ConnectionId),
    Pace(u64),
}

impl Endpoint {
    /// Returns an endpoint whose listeners the shell has opened.
    #[must_use]
    pub fn new(settings: Settings, mut ids: Ids) -> Self {
        let timing = settings.timing;
        let lengths = [
            timing.t1,
            timing.t1 * 2,
            timing.t1 * 4,
            timing.t2,
            timing.t4,
            timing.lifetime(),
            timing.until_trying(),
            Duration::from_secs(32),
            settings.keep_alive_after,
            settings.message_within,
        ];
        Self {
            fingerprints: Fingerprints::new(ids.bytes()),
            ids,
            connections: Connections::default(),
            served: Served::new(),
            sendings: Sendings::new(),
            names: Names::default(),
            unwell: Unwell::default(),
            pacing: Pacing::new(),
            peers: VecDeque::new(),
            deadlines: Deadlines::new(lengths),
            outputs: VecDeque::new(),
            next_number: settings.first_number,
            watched: Watched::No,
            stopping: false,
            settings,
        }
    }

    /// Returns whether an event of the shell is for this endpoint: its listener, its connection or its
    /// question. What concerns a connection that it closed concerns it no more.
    #[must_use]
    pub fn concerns(&self, event: &Event) -> bool {
        match event {
            Event::Accepted { listener, .. } | Event::Datagram { socket: listener, .. } => {
                self.settings.listeners.iter().any(|ours| ours.id == *listener)
            }
            Event::Connected { connection, .. }
            | Event::ConnectFailed { connection, .. }
            | Event::TlsStarted { connection, .. }
            | Event::Bytes { connection, .. }
            | Event::Closed { connection, .. } => self.connections.get(*connection).is_some(),
            Event::Resolved { query, .. } => self.names.has_asked(*query),
        }
    }

    /// Takes one event of the shell.
    pub fn handle_net(&mut self, event: Event, now: Now) {
        match event {
            Event::Bytes { connection, bytes } => self.handle_bytes(connection, &bytes, now),
            Event::Datagram { socket, from, bytes } => self.handle_datagram(socket, from, &bytes, now),
            Event::Accepted { connection, listener, local, remote, tls } => {
                self.handle_accepted(connection, listener, local, remote, tls, now);
            }
            Event::Connected { connection, local, tls } => self.handle_connected(connection, local, tls, now),
            Event::ConnectFailed { connection, stage, reason } => {
                self.handle_connect_failed(connection, stage, reason, now);
            }
            Event::Closed { connection, reason } => self.handle_closed(connection, reason, now),
            Event::Resolved { query, answer } => self.handle_resolved(query, &answer, now),
            // SIP starts TLS with the connection or not at all.
            Event::TlsStarted { .. } => {}
        }
        self.trim_deadlines();
    }

    /// Sends a request, which has no Via yet, in a transaction of its own. It ends in one
    /// [`Output::Response`] with a final status or one [`Output::Failed`]; further 2xx of an INVITE come
    /// for 64*T1 after the first. An ACK of a 2xx has no transaction and no end.
    pub fn send(&mut self, key: RequestKey, request: Request, route: &Route, now: Now) {
        self.begin_sending(key, request, route, now);
        self.trim_deadlines();
    }

    /// Cancels an INVITE (RFC 3261 §9.1): sends CANCEL once something provisional was heard. The INVITE
    /// still ends in its own way.
    pub fn cancel(&mut self, key: RequestKey, now: Now) {
        self.cancel_sending(key, now);
    }

    /// Answers a request on the way it came. Late and second final answers are absorbed, as are
    /// provisional ones and 408 to anything but INVITE (RFC 4320 §4). To gets a tag if it has none.
    pub fn respond(&mut self, key: ServerKey, response: Response, now: Now) {
        self.answer(key, response, now);
    }

    /// Leaves a request without any answer, for methods that want none (BENOTIFY).
    pub fn keep_silent(&mut self, key: ServerKey, now: Now) {
        self.leave_unanswered(key, now);
    }

    /// Answers new requests 503 from here on; what is under way may finish.
    pub fn handle_stop(&mut self, _now: Now) {
        self.stopping = true;
    }

    /// Returns whether no request waits for an answer, on either side.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.served.open == 0 && self.sendings.open == 0
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, timer)) = self.deadlines.pop_due(now.moment) {
            if !self.means(at, timer) {
                continue;
            }
            match timer {
                Timer::Received(number) => self.handle_received_timeout(number, now),
                Timer::Sending(number) => self.handle_sending_timeout(number, now),
                Timer::Cancelled(number) => self.handle_cancelled_timeout(number, now),
                Timer::Connection(connection) => self.handle_connection_timeout(connection, now),
                Timer::Pace(bucket) => self.handle_pace_timeout(bucket, now),
            }
        }
        self.served.forget_old(now);
        self.trim_all();
    }

    /// Returns the next thing to do; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.watched != Watched::No
            && let Some(shown) = self.show_sent()
        {
            return Some(shown);
        }
        self.outputs.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`]. It may turn out that nothing is due then.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.deadlines.next()
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Drops deadlines that nobody means, from time to time.
    fn trim_deadlines(&mut self) {
        if self.deadlines.wants_trim() {
            self.trim_all();
        }
    }

    fn trim_all(&mut self) {
        let mut deadlines = std::mem::replace(&mut self.deadlines, Deadlines::new([]));
        deadlines.trim(|at, timer| self.means(at, timer));
        self.deadlines = deadlines;
    }

    /// Returns whether the owner of a deadline still means it.
    fn means(&self, at: Moment, timer: Timer) -> bool {
        match timer {
            Timer::Received(number) => self.served.requests.get(number).is_some_and(|r| r.wake == Some(at)),
            Timer::Sending(number) => self.sendings.requests.get(number).is_some_and(|s| s.wake == Some(at)),
            Timer::Cancelled(number) => self.sendings.requests.get(number).is_some_and(|s| !s.settled),
            Timer::Connection(connection) => {
                self.connections.get(connection).is_some_and(|found| found.wake() == Some(at))
            }
            Timer::Pace(bucket) => self.pacing.wake(bucket) == Some(at),
        }
    }
}
