//! What is to be said, and what becomes of it.

use xmpp_types::stanza_error::StanzaError;

use crate::delivery::Number;

/// Something for the SIP user to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A message from XMPP.
    Text(Number),
    /// The report of a message from SIP that was not delivered.
    Report(Number),
}

/// What became of an item; the conversation speaks of it no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes without a session.
    Paged,
    /// It was delivered.
    Delivered {
        /// Whether it is the user's own program that says so.
        by_agent: bool,
    },
    /// It was not delivered.
    Failed(Box<Why>),
    /// It was not delivered, and nothing that waits behind it can be.
    Unreachable(Box<Why>),
}

/// Why something was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// For the XMPP user.
    pub error: StanzaError,
    /// For the operator: `486 Busy Here`.
    pub outcome: String,
    /// The status of the response that says so, if there was one.
    pub status: Option<u16>,
}
