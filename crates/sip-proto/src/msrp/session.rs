//! One session: where it is, what it sends, what it hears.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use clock_types::{Moment, Now};
use net_types::{Bytes, ConnectionId};
use sip_types::HeaderText;
use sip_types::msrp::{Ident, Path, SuccessReport, Uri};

use super::assembly::Assembly;
use super::output::{End, Failure, Output, SessionKey};
use super::ranges::Ranges;
use super::{Msrp, Timer};

/// Where a peer is, by its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its path: relays (RFC 4976) first, itself last (§8.3).
    pub path: Path,
    /// Who opens the connection.
    pub dial: Dial,
    /// SHA-256 of the certificate that its description promises; such a one needs no authority (§14.4).
    pub fingerprint: Option<[u8; 32]>,
}

/// Who opens the connection (§5.4, RFC 6135).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dial {
    /// We do.
    Us,
    /// The peer does.
    Peer,
}

/// Content to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSend {
    /// Its name, which no other content has; the same where it is sent again in another session (§5.4).
    pub message_id: Ident,
    /// What it is.
    pub content_type: HeaderText,
    /// The content.
    pub body: Bytes,
    /// Whether its arrival at the far user is to be told.
    pub success_report: SuccessReport,
}

/// Why content cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unready {
    /// The session is over.
    NoSuchSession,
    /// Too much waits already.
    Full,
}

impl fmt::Display for Unready {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoSuchSession => "the session is over",
            Self::Full => "too many messages wait in the session",
        })
    }
}

impl std::error::Error for Unready {}

#[derive(Debug)]
pub struct Session {
    pub ours: Uri,
    pub peer: Option<Peer>,
    pub state: State,
    pub outgoing: VecDeque<Outgoing>,
    /// Messages that a report may be about.
    pub reported: VecDeque<Reported>,
    pub incoming: Assembly,
    /// Received messages that wait for their answer.
    pub unanswered: usize,
    /// When something was last said or heard.
    pub busy_at: Moment,
    pub wake: Option<Moment>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// The peer is not known.
    Prepared,
    /// We dial; these addresses are left to be tried.
    Dialling { connection: Option<ConnectionId>, left: VecDeque<SocketAddr> },
    /// The peer shall dial.
    Waiting,
    /// It has its connection.
    Bound(ConnectionId),
}

#[derive(Debug)]
pub struct Outgoing {
    pub content: ToSend,
    /// Octets that were sent.
    pub next: usize,
    pub begun: bool,
    /// Chunks without a response.
    pub outstanding: usize,
}

impl Outgoing {
    /// Returns whether every chunk was sent; content without octets has one all the same.
    pub fn is_sent(&self) -> bool {
        self.begun && self.next == self.content.body.len()
    }
}

#[derive(Debug)]
pub struct Reported {
    pub id: Ident,
    pub total: u64,
    pub there: Ranges,
    pub wanted: SuccessReport,
}

impl Session {
    pub const fn new(ours: Uri, now: Moment) -> Self {
        Self {
            ours,
            peer: None,
            state: State::Prepared,
            outgoing: VecDeque::new(),
            reported: VecDeque::new(),
            incoming: Assembly::new(),
            unanswered: 0,
            busy_at: now,
            wake: None,
        }
    }

    pub const fn connection(&self) -> Option<ConnectionId> {
        match &self.state {
            State::Bound(connection) => Some(*connection),
            State::Dialling { connection, .. } => *connection,
            State::Prepared | State::Waiting => None,
        }
    }

    /// Returns the connection and the way on which something can be said.
    pub fn way(&self) -> Option<(ConnectionId, &Path)> {
        match (&self.state, &self.peer) {
            (State::Bound(connection), Some(peer)) => Some((*connection, &peer.path)),
            (State::Bound(_) | State::Prepared | State::Waiting | State::Dialling { .. }, _) => None,
        }
    }
}

impl Msrp {
    pub(super) fn join_session(&mut self, key: u64, peer: Peer, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let dial = peer.dial;
        session.peer = Some(peer);
        match (&session.state, dial) {
            // It came before its description did.
            (State::Bound(_), _) => self.advance(key, now),
            (State::Prepared, Dial::Us) => self.dial(key, now),
            (State::Prepared, Dial::Peer) => {
                session.state = State::Waiting;
                self.wake_session(key, now.moment + self.settings.bind_within, now);
            }
            (State::Dialling { .. } | State::Waiting, _) => {}
        }
    }

    /// Gives a session its connection.
    pub(super) fn bind(&mut self, key: u64, connection: ConnectionId, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.state = State::Bound(connection);
        session.busy_at = now.moment;
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.sessions.insert(key);
            connection.wake = None;
        }
        self.outputs.push_back(Output::Opened { session: SessionKey(key) });
        self.wake_session(key, now.moment + self.settings.keep_alive_after, now);
        self.advance(key, now);
    }

    /// Ends a session; says why, unless its user ended it.
    pub(super) fn end_session(&mut self, key: u64, end: Option<End>, now: Now) {
        let Some(session) = self.sessions.remove(key) else { return };
        self.by_name.remove(session.ours.session());
        self.open_sessions -= 1;
        self.asked.retain(|_, asker| *asker != key);
        let connection = session.connection();
        for outgoing in session.outgoing {
            let failure = Failure::Ended { sent: outgoing.begun };
            let message_id = outgoing.content.message_id;
            self.outputs.push_back(Output::Failed { session: SessionKey(key), message_id, failure });
        }
        self.outputs.extend(end.map(|end| Output::Closed { session: SessionKey(key), end }));
        if let Some(connection) = connection {
            self.leave(connection, key, now);
        }
    }

    pub(super) fn wake_session(&mut self, key: u64, at: Moment, now: Now) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.wake = Some(at);
            self.deadlines.push(at, now.moment, Timer::Session(key));
        }
    }

    pub(super) fn handle_session_timeout(&mut self, key: u64, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.wake = None;
        match session.state {
            State::Waiting => self.end_session(key, Some(End::NobodyCame), now),
            State::Bound(_) => {
                let due = session.busy_at + self.settings.keep_alive_after;
                if due <= now.moment {
                    self.send_bodiless(key, now);
                    self.wake_session(key, now.moment + self.settings.keep_alive_after, now);
                } else {
                    self.wake_session(key, due, now);
                }
            }
            State::Prepared | State::Dialling { .. } => {}
        }
    }
}
