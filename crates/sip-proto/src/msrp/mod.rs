//! MSRP (RFC 4975) as one machine: sessions of texts over connections of their own.
//!
//! ```text
//!            prepare: our URI, for a description
//!                │
//!          +─────▼─────+ join, we dial  +─────────+  open   +───────+
//!          │ Prepared  │──────────────► │ Dialling│───────► │ Bound │──► close, connection lost, 481, silence: over
//!          +─────┬─────+                +─────────+ SEND    +───▲───+
//!                │ join, the peer dials  +─────────+ its first  │
//!                └─────────────────────► │ Waiting │────────────┘
//!                                        +─────────+ request
//! ```
//!
//! Content goes out in chunks, a few of them unanswered at a time, one message after the other (§7.1.1); it comes in in
//! chunks of any order (§7.3.1). The last chunk of a message is answered when its receiver has decided: nothing is
//! accepted that may be lost.

mod assembly;
mod connections;
mod dialling;
mod output;
mod ranges;
mod sending;
mod serving;
mod session;
mod settings;

use std::collections::{BTreeMap, VecDeque};

use clock_types::{Ids, Moment, Now};
use net_types::{ConnectionId, Event, QueryId};
use sip_types::Text;
use sip_types::msrp::{Ident, Uri};

use self::connections::{Connection, Target};
use self::sending::Transaction;
use self::serving::Unanswered;
use self::session::Session;
use crate::arena::Arena;
use crate::deadlines::Deadlines;

pub use output::{End, Failure, LateReport, Notice, Output, Received, ReceivedKey, SessionKey, Verdict};
pub use session::{Dial, Peer, ToSend, Unready};
pub use settings::{Limits, Listener, Settings};

/// The MSRP sessions of one role.
#[derive(Debug)]
pub struct Msrp {
    settings: Settings,
    ids: Ids,
    sessions: Arena<Session>,
    /// Sessions by the name in their URI.
    by_name: BTreeMap<Text, u64>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Dialled connections, for sessions that go the same way (§5.4).
    to_target: BTreeMap<Target, ConnectionId>,
    asked: BTreeMap<QueryId, u64>,
    transactions: Arena<Transaction>,
    by_transaction: BTreeMap<Ident, u64>,
    unanswered: Arena<Unanswered>,
    deadlines: Deadlines<Timer>,
    outputs: VecDeque<Output>,
    open_sessions: usize,
    accepted: usize,
    next_number: u64,
}

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Transaction(u64),
    Session(u64),
    Connection(ConnectionId),
}

impl Msrp {
    /// Returns a machine whose listeners the shell has opened.
    #[must_use]
    pub fn new(settings: Settings, ids: Ids) -> Self {
        let lengths = [settings.answer_within, settings.bind_within, settings.keep_alive_after];
        Self {
            ids,
            sessions: Arena::new(),
            by_name: BTreeMap::new(),
            connections: BTreeMap::new(),
            to_target: BTreeMap::new(),
            asked: BTreeMap::new(),
            transactions: Arena::new(),
            by_transaction: BTreeMap::new(),
            unanswered: Arena::new(),
            deadlines: Deadlines::new(lengths),
            outputs: VecDeque::new(),
            open_sessions: 0,
            accepted: 0,
            next_number: settings.first_number,
            settings,
        }
    }

    /// Returns whether an event of the shell is for this machine: its listener, its connection or its question.
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
            | Event::Closed { connection, .. } => self.connections.contains_key(connection),
            Event::Resolved { query, .. } => self.asked.contains_key(query),
        }
    }

    /// Takes one event of the shell.
    pub fn handle_net(&mut self, event: Event, now: Now) {
        match event {
            Event::Accepted { connection, listener, remote, tls, .. } => {
                self.handle_accepted(connection, listener, remote, tls, now);
            }
            Event::Connected { connection, tls, .. } => {
                self.handle_connected(connection, tls.as_deref(), now)
            }
            Event::ConnectFailed { connection, reason, .. } => {
                self.handle_connect_failed(connection, &reason, now);
            }
            Event::Bytes { connection, bytes } => self.handle_bytes(connection, &bytes, now),
            Event::Closed { connection, reason } => {
                let reason = reason.unwrap_or_else(|| "the peer closed the connection".to_owned());
                self.drop_connection(connection, &End::Lost { reason }, now);
            }
            Event::Resolved { query, answer } => self.handle_resolved(query, answer, now),
            // MSRP starts TLS with the connection or not at all, and knows no datagrams.
            Event::TlsStarted { .. } | Event::Datagram { .. } => {}
        }
        self.trim();
    }

    /// Prepares a session and returns our URI for its description, which nobody can guess (§14.1); `None` if there is no
    /// listener of this kind, or no room. It lives until [`Msrp::close`] or [`Output::Closed`].
    pub fn prepare(&mut self, secure: bool, now: Now) -> Option<(SessionKey, Uri)> {
        if self.open_sessions >= self.settings.limits.sessions {
            return None;
        }
        let listener = self.settings.listeners.iter().find(|listener| listener.secure == secure)?;
        let name = Ident::parse(self.ids.token("msrp")).expect("a token of ours is a name");
        let ours = Uri::new(secure, &listener.host, listener.port, &name);
        let name = Text::from(ours.session());
        let key = self.sessions.insert(Session::new(ours.clone(), now.moment));
        self.by_name.insert(name, key);
        self.open_sessions += 1;
        Some((SessionKey(key), ours))
    }

    /// Tells where the peer is, once its description is known, and who dials. What was sent before waits for this.
    pub fn join(&mut self, session: SessionKey, peer: Peer, now: Now) {
        self.join_session(session.0, peer, now);
        self.trim();
    }

    /// Sends content. It ends in one [`Output::Accepted`] or one [`Output::Failed`], also if the session ends before;
    /// after the former [`Output::Delivered`] may follow where that is wanted, or [`Output::Failed`] still.
    ///
    /// # Errors
    /// Says why it cannot be sent.
    pub fn send(&mut self, session: SessionKey, content: ToSend, now: Now) -> Result<(), Unready> {
        self.queue(session.0, content, now)?;
        self.trim();
        Ok(())
    }

    /// Answers a received message. Where it is accepted and its end is not known yet, returns what a late report needs,
    /// if its sender wants any.
    pub fn answer(&mut self, key: ReceivedKey, verdict: Verdict, now: Now) -> Option<LateReport> {
        self.answer_received(key.0, verdict, now)
    }

    /// Tells a peer what became of a message that was accepted: 200, or why it was lost (§7.1.3, §7.1.4). Nothing is sent
    /// that its sender does not want, nor in a session that is over.
    pub fn report(&mut self, session: SessionKey, report: &LateReport, code: u16, now: Now) {
        self.send_report(session.0, report, code, now);
    }

    /// Ends a session. What was not accepted fails.
    pub fn close(&mut self, session: SessionKey, now: Now) {
        self.end_session(session.0, None, now);
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, timer)) = self.deadlines.pop_due(now.moment) {
            if !self.means(at, timer) {
                continue;
            }
            match timer {
                Timer::Transaction(number) => self.handle_transaction_timeout(number, now),
                Timer::Session(number) => self.handle_session_timeout(number, now),
                Timer::Connection(connection) => self.handle_connection_timeout(connection, now),
            }
        }
        self.trim();
    }

    /// Returns the next thing to do; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
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

    fn transaction_name(&mut self) -> Ident {
        Ident::parse(self.ids.token("t")).expect("a token of ours is a name")
    }

    /// Drops deadlines that nobody means, from time to time.
    fn trim(&mut self) {
        if self.deadlines.wants_trim() {
            let mut deadlines = std::mem::replace(&mut self.deadlines, Deadlines::new([]));
            deadlines.trim(|at, timer| self.means(at, timer));
            self.deadlines = deadlines;
        }
    }

    /// Returns whether the owner of a deadline still means it.
    fn means(&self, at: Moment, timer: Timer) -> bool {
        match timer {
            Timer::Transaction(number) => {
                self.transactions.get(number).is_some_and(|found| found.until == at)
            }
            Timer::Session(number) => self.sessions.get(number).is_some_and(|found| found.wake == Some(at)),
            Timer::Connection(id) => self.connections.get(&id).is_some_and(|found| found.wake == Some(at)),
        }
    }
}

#[cfg(test)]
mod pair_tests;
#[cfg(test)]
mod tests;
