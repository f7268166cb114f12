//! What the network tells pure code and what pure code orders from it, as values.
//!
//! A role is driven by [`Event`]s and answers with [`Order`]s. Sockets, TLS and DNS live in the shell;
//! their results enter as facts. Both the shell and the simulator speak this vocabulary, which is why
//! the same role runs in both.

mod address;
mod dns;
pub mod memory;
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

pub use address::{AddressRange, is_public};
pub use bytes::Bytes;
pub use dns::{Answer, Failure, Question, Record};
pub use tls::{
    CertificateNames, Chain, ChainJudge, Identity, Issuer, PeerCertificate, Purpose, TlsClient, TlsFacts,
    TlsServer, TlsVersion, Trust, TrustVerdict,
};

/// Names one connection for its whole life. Accepted and dialled ones never share a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The least name in the order of names.
    pub const MIN: Self = Self(0);

    /// Returns the name of the `n`th accepted connection; the shell counts.
    #[must_use]
    pub const fn accepted(n: u64) -> Self {
        Self(n << 1)
    }

    /// Returns the name of the `n`th dialled connection; the role counts.
    #[must_use]
    pub const fn dialled(n: u64) -> Self {
        Self((n << 1) | 1)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0 & 1 == 0 { "in" } else { "out" };
        write!(out, "{side}-{}", self.0 >> 1)
    }
}

/// Names a listener or a datagram socket: its place in the role's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

/// Names a DNS question while it is open; the role counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remote {
    /// A socket address.
    Address(SocketAddr),
    /// The other role in the same process: an in-memory pipe that needs no TLS.
    InProcess,
}

impl fmt::Display for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(out),
            Self::InProcess => out.write_str("this process"),
        }
    }
}

/// What happened outside; exactly one enters a machine at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A peer connected to one of our listeners. On a direct-TLS listener the handshake is over and
    /// `tls` has its facts.
    Accepted {
        /// The new connection.
        connection: ConnectionId,
        /// Which of our listeners.
        listener: ListenerId,
        /// Our own end; `None` in process.
        local: Option<SocketAddr>,
        /// The peer's end.
        remote: Remote,
        /// The facts of a handshake that is over.
        tls: Option<Box<TlsFacts>>,
    },
    /// A connection that we ordered is open; with direct TLS the handshake is over.
    Connected {
        /// The connection named in the order.
        connection: ConnectionId,
        /// Our own end; `None` in process.
        local: Option<SocketAddr>,
        /// The facts of a handshake that is over.
        tls: Option<Box<TlsFacts>>,
    },
    /// A connection that we ordered could not be made.
    ConnectFailed {
        /// The connection named in the order; it is gone.
        connection: ConnectionId,
        /// How far it came.
        stage: Stage,
        /// Why, in words for an operator, lower case, no full stop.
        reason: String,
    },
    /// The handshake ordered by [`Order::StartTls`] is over.
    TlsStarted {
        /// The connection.
        connection: ConnectionId,
        /// What it showed.
        facts: Box<TlsFacts>,
    },
    /// Octets from the peer, in order, after TLS.
    Bytes {
        /// The connection.
        connection: ConnectionId,
        /// At least one octet.
        bytes: Bytes,
    },
    /// The connection is gone; nothing more comes from it and nothing can be sent.
    Closed {
        /// The connection.
        connection: ConnectionId,
        /// Why, in words; `None` when the peer closed in good order.
        reason: Option<String>,
    },
    /// A datagram.
    Datagram {
        /// Which of our sockets.
        socket: ListenerId,
        /// Who sent it, as far as UDP can know.
        from: SocketAddr,
        /// The whole datagram.
        bytes: Bytes,
    },
    /// The answer to [`Order::Resolve`].
    Resolved {
        /// The question's name.
        query: QueryId,
        /// What the resolver said.
        answer: Result<Answer, Failure>,
    },
}

/// How far an attempt to connect came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The TCP connection itself.
    Tcp,
    /// The TLS handshake.
    Tls,
}

/// What the world is asked to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Dial. Answered by [`Event::Connected`] or [`Event::ConnectFailed`].
    Connect {
        /// The name of the connection, chosen by the role.
        connection: ConnectionId,
        /// Where to.
        to: Remote,
        /// Shake hands at once (direct TLS).
        tls: Option<Box<TlsClient>>,
        /// How long both may take together.
        timeout: Duration,
    },
    /// Start TLS as the client on an open connection. What was not read before is discarded.
    StartTlsAsClient {
        /// The connection.
        connection: ConnectionId,
        /// How to shake hands.
        client: Box<TlsClient>,
    },
    /// Start TLS as the server on an open connection, after what was sent before has left.
    StartTlsAsServer {
        /// The connection.
        connection: ConnectionId,
        /// How to shake hands.
        server: Box<TlsServer>,
    },
    /// Send octets on a connection.
    Send {
        /// The connection.
        connection: ConnectionId,
        /// At least one octet.
        bytes: Bytes,
    },
    /// Send one datagram.
    SendDatagram {
        /// From which of our sockets.
        socket: ListenerId,
        /// Where to.
        to: SocketAddr,
        /// The whole datagram.
        bytes: Bytes,
    },
    /// Close after what was sent has left. No [`Event::Closed`] follows; the name is free.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// Stop taking octets from the peer, so that TCP holds it back.
    Pause {
        /// The connection.
        connection: ConnectionId,
    },
    /// Take octets again.
    Resume {
        /// The connection.
        connection: ConnectionId,
    },
    /// Ask the DNS. Answered by [`Event::Resolved`].
    Resolve {
        /// The name of the question, chosen by the role.
        query: QueryId,
        /// What to ask.
        question: Question,
    },
}
