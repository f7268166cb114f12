//! Connections: accepted and dialled, and the sessions on them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use clock_types::{Moment, Now};
use net_types::{Bytes, ConnectionId, ListenerId, Order, PeerCertificate, Remote, TlsFacts};
use sip_types::msrp::{self, Frame, Message, StreamFramer};

use super::output::{End, Notice, Output};
use super::settings::Settings;
use super::{Msrp, Timer};

#[derive(Debug)]
pub struct Connection {
    pub remote: SocketAddr,
    pub open: bool,
    pub secure: bool,
    pub certificate: Option<Arc<PeerCertificate>>,
    framer: StreamFramer,
    /// What we dialled; `None` if it was accepted.
    pub target: Option<Target>,
    pub sessions: BTreeSet<u64>,
    malformed: usize,
    pub wake: Option<Moment>,
}

/// Where a dialled connection leads, and who must be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub secure: bool,
    pub fingerprint: Option<[u8; 32]>,
}

impl Connection {
    pub fn new(remote: SocketAddr, settings: &Settings) -> Self {
        let limits = msrp::Limits { body_bytes: settings.limits.message_bytes, ..msrp::Limits::default() };
        Self {
            remote,
            open: false,
            secure: false,
            certificate: None,
            framer: StreamFramer::new(limits),
            target: None,
            sessions: BTreeSet::new(),
            malformed: 0,
            wake: None,
        }
    }
}

impl Msrp {
    pub(super) fn handle_accepted(
        &mut self,
        id: ConnectionId,
        listener: ListenerId,
        remote: Remote,
        tls: Option<Box<TlsFacts>>,
        now: Now,
    ) {
        let Remote::Address(remote) = remote else { return };
        let Some(secure) =
            self.settings.listeners.iter().find(|ours| ours.id == listener).map(|ours| ours.secure)
        else {
            return;
        };
        if self.accepted >= self.settings.limits.connections {
            self.outputs.push_back(Output::Order(Order::Close { connection: id }));
            return self.notice(Notice::ConnectionRefused { remote, reason: "too many connections" });
        }
        self.accepted += 1;
        let mut connection = Connection::new(remote, &self.settings);
        connection.open = true;
        connection.secure = secure;
        connection.certificate = tls.and_then(|tls| tls.peer);
        self.connections.insert(id, connection);
        self.wake_connection(id, now);
    }

    pub(super) fn handle_bytes(&mut self, id: ConnectionId, bytes: &Bytes, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.framer.push(bytes);
        while let Some(connection) = self.connections.get_mut(&id) {
            let Some(frame) = connection.framer.poll_frame() else { return };
            match frame {
                Frame::Message(message) => self.handle_message(id, message, now),
                Frame::TooLarge(request) => self.handle_too_large(id, &request, now),
                Frame::Skipped(..) => {}
                Frame::Malformed(_, malformed) => {
                    connection.malformed += 1;
                    let closed = connection.malformed > self.settings.limits.malformed;
                    self.note_malformed(id, malformed.0, closed, now);
                }
                Frame::Lost(malformed) => self.note_malformed(id, malformed.0, true, now),
            }
        }
    }

    fn note_malformed(&mut self, id: ConnectionId, what: &'static str, closed: bool, now: Now) {
        if let Some(connection) = self.connections.get(&id) {
            let remote = connection.remote;
            self.notice(Notice::Malformed { remote, what, closed });
        }
        if closed {
            self.outputs.push_back(Output::Order(Order::Close { connection: id }));
            let reason = format!("the peer sent what cannot be read: {what}");
            self.drop_connection(id, &End::Lost { reason }, now);
        }
    }

    /// Sends a message on a connection, if that is open.
    pub(super) fn put(&mut self, id: ConnectionId, message: &Message) {
        if self.connections.get(&id).is_some_and(|connection| connection.open) {
            let mut octets = Vec::with_capacity(384 + message.body.as_ref().map_or(0, Bytes::len));
            message.print(&mut octets);
            let order = Order::Send { connection: id, bytes: Bytes::from(octets) };
            self.outputs.push_back(Output::Order(order));
        }
    }

    /// Forgets a connection that is gone; every session on it is over (§5.4).
    pub(super) fn drop_connection(&mut self, id: ConnectionId, end: &End, now: Now) {
        let Some(connection) = self.remove_connection(id) else { return };
        for key in connection.sessions {
            self.end_session(key, Some(end.clone()), now);
        }
    }

    pub(super) fn remove_connection(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        match &connection.target {
            Some(target) => {
                if self.to_target.get(target) == Some(&id) {
                    self.to_target.remove(target);
                }
            }
            None => self.accepted -= 1,
        }
        Some(connection)
    }

    /// Takes a session off a connection. One that we dialled is closed with its last session; one that the peer dialled
    /// may get another.
    pub(super) fn leave(&mut self, id: ConnectionId, key: u64, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.sessions.remove(&key);
        if !connection.sessions.is_empty() {
            return;
        }
        if connection.target.is_some() {
            self.outputs.push_back(Output::Order(Order::Close { connection: id }));
            self.remove_connection(id);
        } else {
            self.wake_connection(id, now);
        }
    }

    fn wake_connection(&mut self, id: ConnectionId, now: Now) {
        let at = now.moment + self.settings.bind_within;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.wake = Some(at);
            self.deadlines.push(at, now.moment, Timer::Connection(id));
        }
    }

    /// Closes an accepted connection that no session uses.
    pub(super) fn handle_connection_timeout(&mut self, id: ConnectionId, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.wake = None;
        if connection.sessions.is_empty() {
            self.outputs.push_back(Output::Order(Order::Close { connection: id }));
            self.drop_connection(id, &End::NobodyCame, now);
        }
    }
}
