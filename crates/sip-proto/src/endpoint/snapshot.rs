use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock_types::Now;
use net_types::ConnectionId;

use super::Endpoint;
use super::pacing::PaceState;
use super::settings::Transport;

/// What an operator may look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Connections in the order of their names.
    pub connections: Vec<ConnectionState>,
    /// Received requests that wait for an answer.
    pub unanswered: usize,
    /// Answered requests that are remembered.
    pub remembered: usize,
    /// Octets kept of both.
    pub served_octets: usize,
    /// Requests of ours without a final response.
    pub outgoing: usize,
    /// Requests of ours that wait for their turn, by peer.
    pub paced: Vec<PaceState>,
    /// Timers that are set, meant or not.
    pub timers: usize,
    /// Whether new requests are answered 503.
    pub stopping: bool,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionState {
    /// Its name.
    pub connection: ConnectionId,
    /// The transport.
    pub transport: Transport,
    /// The peer's end.
    pub remote: SocketAddr,
    /// The name that the peer has proved, on a connection that we dialled.
    pub proved: Option<Arc<str>>,
    /// The subject of the peer's certificate, in words.
    pub certificate: Option<String>,
    /// Whether it is open, and not still being dialled.
    pub open: bool,
    /// Since when it is open.
    pub age: Duration,
    /// How long no message has come or gone.
    pub idle: Duration,
    /// Requests of ours that wait for an answer on it.
    pub awaited: usize,
}

impl Endpoint {
    /// Returns what an operator may look at.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let connections = self.connections.sorted().into_iter().map(|(connection, state)| ConnectionState {
            connection,
            transport: state.source.transport,
            remote: state.source.remote,
            proved: state.source.proved.clone(),
            certificate: state.source.peer.as_ref().map(|peer| peer.subject.clone()),
            open: state.is_open(),
            age: now.moment.since(state.opened_at()),
            idle: now.moment.since(state.idle_since()),
            awaited: state.awaited,
        });
        Snapshot {
            connections: connections.collect(),
            unanswered: self.served.open,
            remembered: self.served.answered(),
            served_octets: self.served.octets,
            outgoing: self.sendings.open,
            paced: self.paced(),
            timers: self.deadlines.len(),
            stopping: self.stopping,
        }
    }
}
