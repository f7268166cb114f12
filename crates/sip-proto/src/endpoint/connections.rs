//! Connections: accepted and dialled, their framing, keep-alive, limits and ends.

use std::collections::BTreeMap;
use std::hash::BuildHasherDefault;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use clock_types::{Moment, Now};
use net_types::{Bytes, ConnectionId, ListenerId, Order, Remote, Stage as NetStage, TlsFacts};
use sip_types::framing::Unfinished;
use sip_types::{Frame, StreamFramer};
use siphasher::sip::SipHasher13;

use super::incoming::Framing;
use super::output::{Failure, Notice, Output, Source, Stage};
use super::settings::Settings;
use super::target::Target;
use super::{Endpoint, Timer};
use crate::identity;

type Fixed = BuildHasherDefault<SipHasher13>;

/// All connections of an endpoint.
#[derive(Debug, Default)]
pub struct Connections {
    by_id: hashbrown::HashMap<ConnectionId, Connection, Fixed>,
    /// Where requests to a target go.
    to_target: hashbrown::HashMap<Target, ConnectionId, Fixed>,
    /// Accepted ones that their peers offer for requests to an address of theirs, one each (RFC 5923).
    aliases: BTreeMap<SocketAddr, ConnectionId>,
    /// How many each address has open here.
    accepted: BTreeMap<IpAddr, usize>,
    accepted_total: usize,
}

#[derive(Debug)]
pub struct Connection {
    pub source: Arc<Source>,
    state: State,
    framer: StreamFramer,
    /// What we dialled; `None` if it was accepted.
    target: Option<Target>,
    /// The address whose requests it may carry, if it was accepted.
    alias: Option<SocketAddr>,
    /// Requests of ours that wait for an answer here.
    pub awaited: usize,
    /// Whether a request of ours went out here before.
    pub used: bool,
    silent_since: Moment,
    message_at: Option<Moment>,
    opened_at: Moment,
    /// Since when an unfinished message has waited for its rest.
    unfinished_since: Option<Moment>,
    /// When its timer is set to fire.
    wake: Option<Moment>,
}

#[derive(Debug)]
enum State {
    Connecting {
        /// Requests of ours that wait, in order.
        requests: Vec<u64>,
        /// Printed responses and ACKs that wait, in order.
        printed: Vec<Bytes>,
        bytes: usize,
    },
    Open,
}

/// Whether there is a way to send, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Open; whether it carried a request before.
    Open(ConnectionId),
    /// Being dialled.
    Opening(ConnectionId),
}

impl Connections {
    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.by_id.get(&id)
    }

    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.by_id.get_mut(&id)
    }

    /// Returns all connections in the order of their names.
    pub fn sorted(&self) -> Vec<(ConnectionId, &Connection)> {
        let mut all: Vec<_> = self.by_id.iter().map(|(id, connection)| (*id, connection)).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// Returns the way to `target` if there is one already.
    pub fn way_to(&self, target: &Target) -> Option<Way> {
        let id = *self.to_target.get(target)?;
        match self.by_id.get(&id)?.state {
            State::Open => Some(Way::Open(id)),
            State::Connecting { .. } => Some(Way::Opening(id)),
        }
    }

    /// Remembers the latest connection that is offered for requests to `address`.
    pub fn note_alias(&mut self, address: SocketAddr, id: ConnectionId) {
        if let Some(connection) = self.by_id.get_mut(&id)
            && connection.alias != Some(address)
        {
            let old = connection.alias.replace(address);
            self.forget_alias(old, id);
            self.aliases.insert(address, id);
        }
    }

    pub fn has_alias(&self, id: ConnectionId) -> bool {
        self.by_id.get(&id).is_some_and(|connection| connection.alias.is_some())
    }

    pub fn alias(&self, address: SocketAddr) -> Option<ConnectionId> {
        self.aliases.get(&address).copied()
    }

    fn forget_alias(&mut self, address: Option<SocketAddr>, id: ConnectionId) {
        if let Some(address) = address
            && self.aliases.get(&address) == Some(&id)
        {
            self.aliases.remove(&address);
        }
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.by_id.remove(&id)?;
        self.forget_alias(connection.alias, id);
        match &connection.target {
            Some(target) => {
                if self.to_target.get(target) == Some(&id) {
                    self.to_target.remove(target);
                }
            }
            None => {
                self.accepted_total -= 1;
                let address = connection.source.remote.ip();
                if let Some(count) = self.accepted.get_mut(&address) {
                    *count -= 1;
                    if *count == 0 {
                        self.accepted.remove(&address);
                    }
                }
            }
        }
        Some(connection)
    }

    /// Returns which limit one more connection from `address` would break.
    fn refusal(&self, address: IpAddr, settings: &Settings) -> Option<&'static str> {
        if self.accepted_total >= settings.limits.connections {
            Some("too many connections")
        } else if self.accepted.get(&address).copied().unwrap_or(0) >= settings.limits.connections_per_address
        {
            Some("too many connections from this address")
        } else {
            None
        }
    }
}

impl Connection {
    fn new(source: Source, state: State, target: Option<Target>, settings: &Settings, now: Now) -> Self {
        Self {
            source: Arc::new(source),
            state,
            framer: StreamFramer::new(settings.message),
            target,
            alias: None,
            awaited: 0,
            used: false,
            silent_since: now.moment,
            message_at: None,
            opened_at: now.moment,
            unfinished_since: None,
            wake: None,
        }
    }

    pub fn is_open(&self) -> bool {
        match self.state {
            State::Open => true,
            State::Connecting { .. } => false,
        }
    }

    pub fn opened_at(&self) -> Moment {
        self.opened_at
    }

    /// Returns since when no message has come or gone.
    pub fn idle_since(&self) -> Moment {
        self.message_at.unwrap_or(self.opened_at)
    }

    pub fn wake(&self) -> Option<Moment> {
        self.wake
    }

    /// Returns why it must end, if it must.
    fn verdict(&self, settings: &Settings, now: Now) -> Option<&'static str> {
        let waited = |since: Moment| now.moment.since(since);
        if self.unfinished_since.is_some_and(|since| waited(since) >= settings.message_within) {
            Some("a message was begun and not finished in time")
        } else if self.is_first_missing() && waited(self.opened_at) >= settings.message_within {
            Some("no message came in time")
        } else if self.awaited == 0 && waited(self.idle_since()) >= settings.idle_after {
            Some("idle")
        } else {
            None
        }
    }

    fn is_first_missing(&self) -> bool {
        self.target.is_none() && self.message_at.is_none()
    }

    /// Returns when something must be looked at next.
    fn next_wake(&self, settings: &Settings) -> Option<Moment> {
        if !self.is_open() {
            return None;
        }
        let mut next = self.silent_since + settings.keep_alive_after;
        if self.awaited == 0 {
            next = next.min(self.idle_since() + settings.idle_after);
        }
        if let Some(since) = self.unfinished_since {
            next = next.min(since + settings.message_within);
        }
        if self.is_first_missing() {
            next = next.min(self.opened_at + settings.message_within);
        }
        Some(next)
    }
}

impl Endpoint {
    pub(super) fn handle_accepted(
        &mut self,
        connection: ConnectionId,
        listener: ListenerId,
        local: Option<SocketAddr>,
        remote: Remote,
        tls: Option<Box<TlsFacts>>,
        now: Now,
    ) {
        let transport = self.settings.listeners.iter().find(|l| l.id == listener).map(|l| l.transport);
        let (Remote::Address(remote), Some(transport)) = (remote, transport) else {
            self.outputs.push_back(Output::Order(Order::Close { connection }));
            return;
        };
        if let Some(reason) = self.connections.refusal(remote.ip(), &self.settings) {
            self.outputs.push_back(Output::Order(Order::Close { connection }));
            self.notice(Notice::ConnectionRefused { remote, reason });
            return;
        }
        let source = Source {
            transport,
            listener: Some(listener),
            local,
            remote,
            peer: tls.and_then(|facts| facts.peer),
            proved: None,
            connection: Some(connection),
        };
        self.connections.accepted_total += 1;
        *self.connections.accepted.entry(remote.ip()).or_default() += 1;
        let accepted = Connection::new(source, State::Open, None, &self.settings, now);
        self.connections.by_id.insert(connection, accepted);
        self.notice(Notice::Opened { connection, transport, remote });
        self.set_connection_timer(connection, now);
    }

    /// Returns the connection to `target`, dialling one if there is none.
    pub(super) fn reach(&mut self, target: &Target, now: Now) -> Way {
        if let Some(way) = self.connections.way_to(target) {
            return way;
        }
        if let Some(connection) = self.alias_of(target) {
            return Way::Open(connection);
        }
        let connection = ConnectionId::dialled(self.next_number());
        let source = Source {
            transport: target.place.transport,
            listener: None,
            local: None,
            remote: target.place.address,
            peer: None,
            proved: None,
            connection: Some(connection),
        };
        let state = State::Connecting { requests: Vec::new(), printed: Vec::new(), bytes: 0 };
        let dialled = Connection::new(source, state, Some(target.clone()), &self.settings, now);
        self.connections.by_id.insert(connection, dialled);
        self.connections.to_target.insert(target.clone(), connection);
        self.outputs.push_back(Output::Order(Order::Connect {
            connection,
            to: Remote::Address(target.place.address),
            tls: target.tls.as_ref().map(|peer| peer.client()),
            timeout: self.settings.connect_within,
        }));
        Way::Opening(connection)
    }

    /// Lets a request of ours wait for a connection to open; `false` if too much waits there.
    pub(super) fn wait_for(&mut self, connection: ConnectionId, request: u64, size: usize) -> bool {
        let max = self.settings.limits.waiting_bytes;
        match self.connections.get_mut(connection).map(|connection| &mut connection.state) {
            Some(State::Connecting { requests, bytes, .. }) if *bytes + size <= max => {
                *bytes += size;
                requests.push(request);
                true
            }
            Some(State::Connecting { .. } | State::Open) | None => false,
        }
    }

    /// Sends octets on a connection, now or when it opens; `false` if it is gone or too much waits.
    pub(super) fn write(&mut self, connection: ConnectionId, bytes: Bytes, now: Now) -> bool {
        let max = self.settings.limits.waiting_bytes;
        let Some(found) = self.connections.get_mut(connection) else { return false };
        match &mut found.state {
            State::Open => {
                found.silent_since = now.moment;
                found.message_at = Some(now.moment);
                self.outputs.push_back(Output::Order(Order::Send { connection, bytes }));
                true
            }
            State::Connecting { printed, bytes: waiting, .. } => {
                if *waiting + bytes.len() > max {
                    return false;
                }
                *waiting += bytes.len();
                printed.push(bytes);
                true
            }
        }
    }

    pub(super) fn handle_connected(
        &mut self,
        connection: ConnectionId,
        local: Option<SocketAddr>,
        facts: Option<Box<TlsFacts>>,
        now: Now,
    ) {
        let Some(found) = self.connections.get_mut(connection) else {
            self.outputs.push_back(Output::Order(Order::Close { connection }));
            return;
        };
        let peer = facts.and_then(|facts| facts.peer);
        let wanted = found.target.as_ref().and_then(|target| target.tls.clone());
        let proof = match &wanted {
            Some(wanted) => identity::prove(peer.as_deref(), wanted.wanted()),
            None => Ok(()),
        };
        if let Err(unproved) = proof {
            // RFC 5922 §7.3: a server that is not authenticated is left at once.
            self.outputs.push_back(Output::Order(Order::Close { connection }));
            let failure = Failure::Certificate { reason: unproved.to_string(), remedy: unproved.remedy() };
            self.lose(connection, failure, now);
            return;
        }
        let source = Arc::make_mut(&mut found.source);
        source.local = local;
        source.peer = peer;
        source.proved = wanted.map(|wanted| Arc::clone(wanted.name()));
        let (transport, remote) = (source.transport, source.remote);
        found.opened_at = now.moment;
        found.silent_since = now.moment;
        let waiting = std::mem::replace(&mut found.state, State::Open);
        self.notice(Notice::Opened { connection, transport, remote });
        if let State::Connecting { requests, printed, .. } = waiting {
            for request in requests {
                self.begin_on(request, connection, now);
            }
            for bytes in printed {
                self.write(connection, bytes, now);
            }
        }
        self.set_connection_timer(connection, now);
    }

    pub(super) fn handle_connect_failed(
        &mut self,
        connection: ConnectionId,
        stage: NetStage,
        reason: String,
        now: Now,
    ) {
        let stage = match stage {
            NetStage::Tcp => Stage::Tcp,
            NetStage::Tls => Stage::Tls,
        };
        self.lose(connection, Failure::Unreachable { stage, reason }, now);
    }

    pub(super) fn handle_closed(&mut self, connection: ConnectionId, reason: Option<String>, now: Now) {
        let reason = reason.unwrap_or_else(|| "the peer closed the connection".to_owned());
        self.lose(connection, Failure::Unreachable { stage: Stage::Answer, reason }, now);
    }

    /// Forgets a connection that is gone and moves what depended on it.
    fn lose(&mut self, connection: ConnectionId, failure: Failure, now: Now) {
        let Some(lost) = self.connections.remove(connection) else { return };
        let remote = lost.source.remote;
        match lost.state {
            State::Open => {
                self.notice(Notice::Closed { connection, remote, reason: failure.to_string() });
                if lost.awaited > 0 {
                    self.requests_lost(connection, &failure, now);
                }
            }
            State::Connecting { requests, .. } => {
                if let Some(target) = &lost.target {
                    self.target_failed(target, &failure, now);
                }
                for request in requests {
                    self.try_failed(request, failure.clone(), now);
                }
            }
        }
    }

    /// Closes a connection of our own accord.
    fn end(&mut self, connection: ConnectionId, reason: &str, now: Now) {
        self.outputs.push_back(Output::Order(Order::Close { connection }));
        self.handle_closed(connection, Some(reason.to_owned()), now);
    }

    pub(super) fn handle_bytes(&mut self, connection: ConnectionId, bytes: &Bytes, now: Now) {
        let Some(found) = self.connections.get_mut(connection) else { return };
        found.silent_since = now.moment;
        found.framer.push(bytes);
        let (mut advanced, mut ponged) = (false, false);
        loop {
            // A message can close its own connection; then what follows it is not read.
            let Some(found) = self.connections.get_mut(connection) else { return };
            let Some(frame) = found.framer.poll_frame() else { break };
            match frame {
                Frame::Message(message) => {
                    advanced = true;
                    found.message_at = Some(now.moment);
                    let source = Arc::clone(&found.source);
                    self.handle_message(message, source, now);
                }
                // A flood of them is answered once for each time that we read (RFC 5626 §4.4.1).
                Frame::Ping if !ponged => {
                    ponged = true;
                    let bytes = Bytes::from_static(b"\r\n");
                    self.outputs.push_back(Output::Order(Order::Send { connection, bytes }));
                }
                Frame::Ping | Frame::Pong => {}
                Frame::Malformed(malformed) => {
                    advanced = true;
                    found.message_at = Some(now.moment);
                    let source = Arc::clone(&found.source);
                    self.answer_malformed(malformed, &source, Framing::Kept, now);
                }
                Frame::Lost(malformed) => {
                    let source = Arc::clone(&found.source);
                    self.answer_malformed(malformed, &source, Framing::Lost, now);
                    self.end(connection, "the framing was lost", now);
                    return;
                }
            }
        }
        self.note_unfinished(connection, advanced, now);
    }

    fn note_unfinished(&mut self, connection: ConnectionId, advanced: bool, now: Now) {
        let Some(found) = self.connections.get_mut(connection) else { return };
        match found.framer.unfinished() {
            Unfinished::Nothing => found.unfinished_since = None,
            Unfinished::Headers | Unfinished::Body => {
                if advanced || found.unfinished_since.is_none() {
                    found.unfinished_since = Some(now.moment);
                }
            }
        }
        self.set_connection_timer(connection, now);
    }

    /// Sets the timer of a connection if it must fire earlier than it is set to.
    fn set_connection_timer(&mut self, connection: ConnectionId, now: Now) {
        let Some(found) = self.connections.by_id.get_mut(&connection) else { return };
        let Some(next) = found.next_wake(&self.settings) else { return };
        if found.wake.is_none_or(|set| next < set) {
            found.wake = Some(next);
            self.deadlines.push(next, now.moment, Timer::Connection(connection));
        }
    }

    pub(super) fn handle_connection_timeout(&mut self, connection: ConnectionId, now: Now) {
        let Some(found) = self.connections.by_id.get_mut(&connection) else { return };
        found.wake = None;
        if let Some(reason) = found.verdict(&self.settings, now) {
            self.end(connection, reason, now);
            return;
        }
        if now.moment.since(found.silent_since) >= self.settings.keep_alive_after && found.is_open() {
            found.silent_since = now.moment;
            let bytes = Bytes::from_static(b"\r\n\r\n");
            self.outputs.push_back(Output::Order(Order::Send { connection, bytes }));
        }
        self.set_connection_timer(connection, now);
    }
}
