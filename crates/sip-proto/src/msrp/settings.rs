use std::time::Duration;

use net_types::{AddressRange, Identity, ListenerId, Trust};
use sip_types::Host;

/// How the machine is set up. Start from [`Settings::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The listeners that the shell has open for this machine.
    pub listeners: Vec<Listener>,
    /// What peers may make grow.
    pub limits: Limits,
    /// Ranges that may be dialled although they are not of the public Internet: a description never makes us reach
    /// loopback, private or link-local addresses outside these.
    pub allowed: Vec<AddressRange>,
    /// How long dialling a connection, TLS included, may take.
    pub connect_within: Duration,
    /// How long a peer may take to connect, and an accepted connection to say which session it is for.
    pub bind_within: Duration,
    /// How long a request waits for its response (§7.1.1).
    pub answer_within: Duration,
    /// After how much silence a session says something without content, to keep what is between (§7.1).
    pub keep_alive_after: Duration,
    /// The certificate shown to servers.
    pub identity: Option<Identity>,
    /// Whom the certificates of servers are judged by.
    pub trust: Trust,
    /// Where the numbers of dialled connections and DNS questions start, so that several machines of a role can share
    /// the shell's name space.
    pub first_number: u64,
}

impl Settings {
    /// Returns settings for production with these listeners.
    #[must_use]
    pub fn new(listeners: Vec<Listener>, identity: Option<Identity>, trust: Trust) -> Self {
        Self {
            listeners,
            limits: Limits::default(),
            allowed: Vec::new(),
            connect_within: Duration::from_secs(4),
            bind_within: Duration::from_secs(30),
            answer_within: Duration::from_secs(30),
            keep_alive_after: Duration::from_secs(120),
            identity,
            trust,
            first_number: 2 << 32,
        }
    }
}

/// A listener, and how a URI of ours names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name in the shell's events.
    pub id: ListenerId,
    /// Whether TLS is spoken there.
    pub secure: bool,
    /// The host that peers reach it by.
    pub host: Host,
    /// The port that peers reach it by.
    pub port: u16,
}

/// What peers may make grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Accepted connections together.
    pub connections: usize,
    /// Sessions together.
    pub sessions: usize,
    /// Octets of one message; more is answered 413.
    pub message_bytes: usize,
    /// Messages of one session of which only some chunks have come.
    pub unfinished: usize,
    /// Holes in one such message.
    pub holes: usize,
    /// Whole messages of one session that wait for their answer; more are answered 413.
    pub unanswered: usize,
    /// Messages of one session that wait to be sent.
    pub queue: usize,
    /// Messages of one session that a report may still be about.
    pub reported: usize,
    /// Unreadable messages after which a connection is closed.
    pub malformed: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            sessions: 20_000,
            message_bytes: 64 * 1024,
            unfinished: 4,
            holes: 32,
            unanswered: 64,
            queue: 64,
            reported: 64,
            malformed: 8,
        }
    }
}
