//! What must outlive the process: the messages that we have accepted and not yet settled.
//!
//! A message becomes a record only when its sender can no longer be told "no" from memory (see
//! ARCHITECTURE.md, "What accepted means"). The store keeps these shapes in its own and converts.

use std::fmt;
use std::sync::Arc;

use clock_types::Date;

use crate::watch::{KeptWatch, WatchRecord};

/// Names one accepted message, across nodes and restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey(pub Arc<str>);

impl fmt::Display for MessageKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Names one order to the store, so that its outcome finds its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Which way a message crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a SIP user to an XMPP user.
    ToXmpp,
    /// From an XMPP user to a SIP user.
    ToSip,
}

impl fmt::Display for Direction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::ToXmpp => "SIP → XMPP",
            Self::ToSip => "XMPP → SIP",
        })
    }
}

/// One change of what is durable; applied in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// From now on the message is ours: delivered or reported, whatever happens.
    Accepted(Box<AcceptedMessage>),
    /// It cannot be delivered; from now on `report` is owed to its sender.
    Failed {
        /// The message.
        key: MessageKey,
        /// What is owed: an error stanza (XMPP sender) or a text (SIP sender).
        report: String,
    },
    /// It is delivered or reported. The key is remembered for [`REMEMBERED`](crate::REMEMBERED), so that a
    /// retransmission is known as one, and then forgotten.
    Settled {
        /// The message.
        key: MessageKey,
        /// When.
        date: Date,
    },
    /// A change of who may see whom.
    Watch(Box<WatchRecord>),
    /// A SIP user has written to an XMPP user, who may answer for [`ANSWER_WITHIN`](crate::ANSWER_WITHIN).
    Wrote {
        /// The [`Pair::key`](crate::Pair::key).
        pair: Arc<str>,
        /// When.
        date: Date,
    },
}

/// An accepted message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedMessage {
    /// Its name.
    pub key: MessageKey,
    /// Which way it crosses.
    pub direction: Direction,
    /// To XMPP: the stanza to deliver. To SIP: the stanza that was received; it is translated again.
    pub stanza: String,
    /// To XMPP: where a report goes, the sender's URI. To SIP: unused, the stanza says it.
    pub report_to: Option<String>,
    /// When it was accepted.
    pub accepted: Date,
    /// When we stop trying and report instead.
    pub expires: Date,
    /// The report owed, once delivery has failed.
    pub report: Option<String>,
}

/// What a store hands over when it is opened, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Accepted and not settled.
    pub unsettled: Vec<AcceptedMessage>,
    /// Settled not long ago, with the instant: their retransmissions are not new messages.
    pub settled: Vec<(MessageKey, Date)>,
    /// Who may see whom.
    pub watches: Vec<KeptWatch>,
    /// To whom SIP users have written, as in [`Record::Wrote`].
    pub written: Vec<(Arc<str>, Date)>,
}

/// Why a record is not durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStored {
    /// In words, such as `disk full`.
    pub reason: String,
}
