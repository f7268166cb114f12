use std::fmt;
use std::net::{IpAddr, SocketAddr};

use net_types::{Bytes, Order};
use sip_types::HeaderText;
use sip_types::msrp::{Ident, Message};

/// Names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub(super) u64);

/// Names a received message while it waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedKey(pub(super) u64);

/// What the machine wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// For the shell.
    Order(Order),
    /// The session has its connection.
    Opened {
        /// The session.
        session: SessionKey,
    },
    /// A whole message: answer it by [`super::Msrp::answer`], within the 30 seconds that its sender waits.
    Received(Box<Received>),
    /// The next hop has a message of ours.
    Accepted {
        /// The session.
        session: SessionKey,
        /// The message.
        message_id: Ident,
    },
    /// The far user has a message of ours, by its word (§7.1.3).
    Delivered {
        /// The session.
        session: SessionKey,
        /// The message.
        message_id: Ident,
    },
    /// A message of ours did not arrive.
    Failed {
        /// The session.
        session: SessionKey,
        /// The message.
        message_id: Ident,
        /// Why.
        failure: Failure,
    },
    /// The session is over; its name is free. Not said of one that was closed by its user.
    Closed {
        /// The session.
        session: SessionKey,
        /// Why.
        end: End,
    },
    /// For the operator.
    Notice(Notice),
}

/// A message from a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its name until it is answered.
    pub key: ReceivedKey,
    /// Its session.
    pub session: SessionKey,
    /// What its sender calls it; the same again if it is sent again.
    pub message_id: Ident,
    /// What it is, as written.
    pub content_type: Option<HeaderText>,
    /// The content.
    pub body: Bytes,
}

/// What becomes of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its receiver has it.
    Delivered,
    /// It is ours, and its end is not known yet.
    Accepted,
    /// It is refused with this code (§10).
    Refused(u16),
}

/// What is needed to tell later what became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateReport {
    /// The request that it came in, without its content.
    pub(super) request: Box<Message>,
    /// How many octets the whole has.
    pub(super) total: u64,
}

/// Why a message of ours did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The peer, or a relay, says so (§10).
    Refused {
        /// The code.
        code: u16,
    },
    /// No response came in time (§7.1.1).
    TimedOut,
    /// The session ended before.
    Ended {
        /// Whether some of it was sent.
        sent: bool,
    },
}

impl Failure {
    /// Returns whether the far side may have the message all the same.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Ended { sent } => *sent,
            // 408 is a relay's, which does not know either (§10.4).
            Self::Refused { code } => *code == 408,
        }
    }
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer's host could not be reached.
    Unreachable {
        /// Why, in words.
        reason: String,
    },
    /// The peer names an address that configuration does not let us dial.
    NotAllowed {
        /// The address.
        address: IpAddr,
    },
    /// The peer's URI cannot be dialled.
    BadPath {
        /// Why, in words.
        reason: &'static str,
    },
    /// The certificate is not the one that the description or the host's name promised.
    Certificate {
        /// Why, in words.
        reason: String,
    },
    /// The connection is gone, and with it the session (§5.4).
    Lost {
        /// Why, in words.
        reason: String,
    },
    /// The peer did not connect in time.
    NobodyCame,
    /// The peer knows no such session (481), or has it on another connection (506).
    Refused {
        /// The code.
        code: u16,
    },
    /// The peer does not answer.
    Silent,
}

impl fmt::Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { reason } => write!(out, "the peer cannot be reached: {reason}"),
            Self::NotAllowed { address } => {
                write!(out, "the peer names the address {address}, which configuration does not let us dial")
            }
            Self::BadPath { reason } => write!(out, "the peer's path cannot be used: {reason}"),
            Self::Certificate { reason } => write!(out, "certificate rejected: {reason}"),
            Self::Lost { reason } => write!(out, "connection lost: {reason}"),
            Self::NobodyCame => out.write_str("the peer did not connect in time"),
            Self::Refused { code } => write!(out, "the peer refuses the session with {code}"),
            Self::Silent => out.write_str("the peer does not answer"),
        }
    }
}

/// What an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
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
}
