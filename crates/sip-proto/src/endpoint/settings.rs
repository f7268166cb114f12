use std::fmt;
use std::time::Duration;

use net_types::{Identity, ListenerId, Trust};
use sip_types::header;
use sip_types::uri::Host;

use crate::transaction::{Reliability, Timing};

/// How an endpoint is set up. Start from [`Settings::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The sockets and listeners that the shell has open for this endpoint.
    pub listeners: Vec<Listener>,
    /// T1, T2 and T4.
    pub timing: Timing,
    /// What one message may cost.
    pub message: sip_types::Limits,
    /// What peers may make grow.
    pub limits: Limits,
    /// How long dialling a connection, TLS included, may take.
    pub connect_within: Duration,
    /// How long after its start a request may still be tried at a further target.
    pub try_within: Duration,
    /// How long an accepted connection may take for its first message, and any connection for the rest
    /// of a message that has begun.
    pub message_within: Duration,
    /// After how much silence a connection is sent CRLFCRLF (RFC 5626 §3.5.1).
    pub keep_alive_after: Duration,
    /// After how long without a message a connection with nothing outstanding is closed.
    pub idle_after: Duration,
    /// For how long the DNS's answers are kept.
    pub located_for: Duration,
    /// For how long a target that could not be reached is tried last.
    pub shun_for: Duration,
    /// The longest that a 503's Retry-After keeps requests from a target.
    pub rest_max: Duration,
    /// Which transports may reach a located domain, the preferred one first.
    pub locate_by: Vec<Transport>,
    /// The certificate shown to located servers.
    pub identity: Option<Identity>,
    /// Whom the certificates of located servers are judged by.
    pub trust: Trust,
    /// The seconds of Retry-After in answers 503: at a limit, and while stopping.
    pub retry_after: u32,
    /// Where the numbers of dialled connections and DNS questions start, so that several machines of a
    /// role can share the shell's name space.
    pub first_number: u64,
}

impl Settings {
    /// Returns settings for production with these listeners.
    #[must_use]
    pub fn new(listeners: Vec<Listener>, identity: Option<Identity>, trust: Trust) -> Self {
        Self {
            listeners,
            timing: Timing::default(),
            message: sip_types::Limits::default(),
            limits: Limits::default(),
            connect_within: Duration::from_secs(4),
            try_within: Duration::from_secs(90),
            message_within: Duration::from_secs(30),
            keep_alive_after: Duration::from_secs(90),
            idle_after: Duration::from_secs(30 * 60),
            located_for: Duration::from_secs(30),
            shun_for: Duration::from_secs(10),
            rest_max: Duration::from_secs(3600),
            locate_by: vec![Transport::Tls, Transport::Tcp, Transport::Udp],
            identity,
            trust,
            retry_after: 30,
            first_number: 1 << 32,
        }
    }
}

/// A socket or listener, and how a Via of ours names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name in the shell's events.
    pub id: ListenerId,
    /// What is spoken there.
    pub transport: Transport,
    /// The host that peers reach it by: `sent-by` in our Via.
    pub host: Host,
    /// The port that peers reach it by.
    pub port: u16,
}

/// What peers may make grow; at a limit a request is answered 503 and a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Accepted connections together.
    pub connections: usize,
    /// Accepted connections from one address.
    pub connections_per_address: usize,
    /// Received requests that are not answered yet.
    pub unanswered: usize,
    /// Answered requests that are remembered for 64*T1; beyond it the oldest is forgotten.
    pub answered: usize,
    /// Octets of received requests and of answers that may have to be repeated. Datagrams may fill half of it.
    pub served_octets: usize,
    /// Requests of our own that have no final response yet.
    pub outgoing: usize,
    /// Octets that wait for one connection to open.
    pub waiting_bytes: usize,
    /// Targets tried for one request.
    pub targets: usize,
    /// Names whose DNS answers are kept.
    pub names: usize,
    /// Targets whose failure or rest is remembered.
    pub unwell: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 50,
            unanswered: 20_000,
            answered: 250_000,
            served_octets: 768 * 1024 * 1024,
            outgoing: 50_000,
            waiting_bytes: 1024 * 1024,
            targets: 8,
            names: 1024,
            unwell: 1024,
        }
    }
}

/// A transport that this endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the transports'")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    /// Returns whether it delivers by itself.
    #[must_use]
    pub const fn reliability(self) -> Reliability {
        match self {
            Self::Udp => Reliability::Unreliable,
            Self::Tcp | Self::Tls => Reliability::Reliable,
        }
    }

    /// Returns the port when none is written (RFC 3261 §18.1.1, §26.2.1).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    /// Returns the transport that a URI's `transport` parameter names, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls].into_iter().find(|known| text.eq_ignore_ascii_case(known.as_str()))
    }

    /// Returns the name in a URI's `transport` parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Returns the name in a Via.
    #[must_use]
    pub const fn in_via(self) -> header::Transport {
        match self {
            Self::Udp => header::Transport::Udp,
            Self::Tcp => header::Transport::Tcp,
            Self::Tls => header::Transport::Tls,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        })
    }
}
