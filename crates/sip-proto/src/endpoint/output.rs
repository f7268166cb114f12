use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net_types::{Bytes, ConnectionId, ListenerId, Order, PeerCertificate};
use sip_types::{Request, Response};

use super::settings::Transport;

/// Names a request of ours; its sender chooses the number and does not reuse it while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(pub u64);

/// Names a received request while it waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey(pub u64);

impl fmt::Display for ServerKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "request-{}", self.0)
    }
}

/// What the endpoint wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// For the shell.
    Order(Order),
    /// A new request: answer it by [`super::Endpoint::respond`] or [`super::Endpoint::keep_silent`].
    /// Its top Via has `received` and `rport` filled in.
    Request {
        /// Its name.
        key: ServerKey,
        /// The request.
        request: Arc<Request>,
        /// Where it came from.
        source: Arc<Source>,
    },
    /// The ACK of a 2xx; the dialog knows it, nothing answers it (RFC 3261 §13.3.1.4).
    Ack {
        /// The ACK.
        request: Arc<Request>,
        /// Where it came from.
        source: Arc<Source>,
    },
    /// The INVITE was cancelled: answer it 487 (RFC 3261 §9.2). The CANCEL itself is answered.
    Cancelled {
        /// The INVITE.
        key: ServerKey,
    },
    /// The request was not answered in time, or its refusal never acknowledged; its name is free.
    Expired {
        /// The request.
        key: ServerKey,
    },
    /// A response: provisional ones of an INVITE, and for each request one final one at most (each 2xx of
    /// an INVITE).
    Response {
        /// The request it answers.
        key: RequestKey,
        /// The response, our Via still on top.
        response: Box<Response>,
    },
    /// The request ends without a final response.
    Failed {
        /// The request.
        key: RequestKey,
        /// Why.
        failure: Failure,
    },
    /// For the operator.
    Notice(Notice),
}

/// Where a request came from, as facts; whether it may speak for its From is its receiver's decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The transport.
    pub transport: Transport,
    /// Which socket or listener; `None` on a connection that we dialled.
    pub listener: Option<ListenerId>,
    /// Our own end, where the shell knows it.
    pub local: Option<SocketAddr>,
    /// The peer's end; on UDP only as good as the network.
    pub remote: SocketAddr,
    /// The certificate the peer showed, its key proved, its chain judged.
    pub peer: Option<Arc<PeerCertificate>>,
    /// The name that the peer has proved on a connection that we dialled.
    pub proved: Option<Arc<str>>,
    /// The connection; `None` on UDP.
    pub connection: Option<ConnectionId>,
}

/// Why a request of ours has no final response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was sent and nothing final came back in time.
    Timeout {
        /// The last target, in words.
        target: String,
    },
    /// No target could be reached.
    Unreachable {
        /// How far the last attempt came.
        stage: Stage,
        /// Why, in words.
        reason: String,
    },
    /// The server's certificate does not prove that it is the one asked for.
    Certificate {
        /// Why, in words.
        reason: String,
        /// What an operator can do.
        remedy: String,
    },
    /// Every target has asked us to wait (503 with Retry-After).
    Resting {
        /// How long still.
        retry_after: Duration,
    },
    /// The endpoint has too many requests under way.
    Overloaded,
    /// The INVITE was cancelled before it was sent.
    Cancelled,
    /// The request cannot be carried by what is configured, in words.
    NoTransport {
        /// Why.
        reason: String,
    },
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The DNS.
    Locate,
    /// The TCP connection.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The request was written and the connection ended before an answer.
    Answer,
}

impl Failure {
    /// Returns whether the far side may have the request although no answer came: sending it again
    /// under another Call-ID may then show it twice.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Unreachable { stage: Stage::Answer, .. } => true,
            Self::Unreachable { stage: Stage::Locate | Stage::Tcp | Stage::Tls, .. }
            | Self::Certificate { .. }
            | Self::Resting { .. }
            | Self::Overloaded
            | Self::Cancelled
            | Self::NoTransport { .. } => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { target } => write!(out, "no answer from {target} in time"),
            Self::Unreachable { stage: Stage::Locate, reason } => write!(out, "not found: {reason}"),
            Self::Unreachable { stage: Stage::Tcp, reason } => write!(out, "connection failed: {reason}"),
            Self::Unreachable { stage: Stage::Tls, reason } => write!(out, "TLS handshake failed: {reason}"),
            Self::Unreachable { stage: Stage::Answer, reason } => {
                write!(out, "connection lost before the answer: {reason}")
            }
            Self::Certificate { reason, remedy } => write!(out, "certificate rejected: {reason}; {remedy}"),
            Self::Resting { retry_after } => {
                write!(out, "asked to wait, {} s left", retry_after.as_secs())
            }
            Self::Overloaded => out.write_str("too many requests under way"),
            Self::Cancelled => out.write_str("cancelled before it was sent"),
            Self::NoTransport { reason } => out.write_str(reason),
        }
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the peer to us.
    In,
    /// From us to the peer.
    Out,
}

/// What an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A connection is open and, with TLS, its handshake over.
    Opened {
        /// The connection.
        connection: ConnectionId,
        /// The transport.
        transport: Transport,
        /// The peer's end.
        remote: SocketAddr,
    },
    /// A connection ended.
    Closed {
        /// The connection.
        connection: ConnectionId,
        /// The peer's end.
        remote: SocketAddr,
        /// Why, in words.
        reason: String,
    },
    /// A connection was closed at once because of a limit.
    ConnectionRefused {
        /// The peer's end.
        remote: SocketAddr,
        /// Which limit, in words.
        reason: &'static str,
    },
    /// A message could not be read.
    Malformed {
        /// The peer's end.
        remote: SocketAddr,
        /// What is wrong, in words.
        what: &'static str,
        /// Whether it closed the connection.
        closed: bool,
    },
    /// A request was answered 503 because a table is full, or because we stop.
    Shed {
        /// The peer's end.
        remote: SocketAddr,
        /// Which table, in words.
        reason: &'static str,
    },
    /// A target could not be reached, or rejected; the next one is tried if there is one.
    TargetFailed {
        /// The target, in words.
        target: String,
        /// Why.
        failure: Failure,
    },
    /// A target asked us to wait; nothing is sent to it for that long.
    TargetRests {
        /// The target, in words.
        target: String,
        /// How long.
        retry_after: Duration,
    },
    /// A request of ours is longer than a datagram should be, and goes in one all the same, because its target takes no
    /// TCP (RFC 3261 §18.1.1). It may be lost on its way.
    Oversized {
        /// The request.
        key: RequestKey,
        /// The target, in words.
        target: String,
        /// How long it is.
        octets: usize,
    },
    /// A message crossed the wire; told only while somebody watches ([`super::Endpoint::watch`]).
    Message {
        /// Which way.
        way: Way,
        /// Over what.
        transport: Transport,
        /// The peer's end.
        remote: SocketAddr,
        /// The message, body and all.
        bytes: Bytes,
    },
    /// A response came that belongs to no request of ours; it was dropped (RFC 3261 §18.1.2).
    StrayResponse {
        /// The peer's end.
        remote: SocketAddr,
        /// Its status.
        status: u16,
    },
}
