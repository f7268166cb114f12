//! What the users of a peer see.

use std::fmt;

use xmpp_types::xml::Element;

use crate::raw::RawMessage;

/// One thing that a user saw, or that happened to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A user sent a text.
    Sent {
        /// The id that whoever sends it chose.
        id: String,
        /// The sender.
        from: String,
        /// The recipient.
        to: String,
        /// The text.
        text: String,
    },
    /// The other side took responsibility for it: a SIP 2xx, or an acknowledgement that covers the stanza.
    Accepted {
        /// Which text.
        id: String,
        /// In the protocol's words: `200 OK`, `acknowledged`.
        answer: String,
    },
    /// The other side refused it, at once or later: a SIP final response that is no success, a stanza error.
    Refused {
        /// Which text.
        id: String,
        /// In the protocol's words: `404 Not Found`, `item-not-found (cancel): …`.
        answer: String,
    },
    /// Nobody answered, or nobody could be reached.
    Unanswered {
        /// Which text.
        id: String,
        /// Why, in words.
        reason: String,
    },
    /// A user was shown a text.
    Received {
        /// The id of the stanza, or the Call-ID and From tag of the request.
        id: String,
        /// The thread of the stanza, or the Call-ID.
        thread: String,
        /// The sender.
        from: String,
        /// The recipient.
        to: String,
        /// The text.
        text: String,
        /// What the peer answered: a SIP status; empty in XMPP, where nothing is.
        answer: String,
    },
    /// A user was told that a text of his was received (XEP-0184).
    Receipt {
        /// Which text.
        id: String,
    },
    /// A user was shown what another says of himself.
    Shown {
        /// The watcher.
        user: String,
        /// Whom he watches.
        contact: String,
        /// All that he is shown now, in words.
        view: String,
    },
    /// A stanza came, and nobody but who performs a play decides what it means.
    Stanza(Box<Element>),
    /// A SIP message came, for who performs a play.
    Message {
        /// Which of our own connections it came over, from 1; `None` for one that Gangway dialled, and for datagrams.
        link: Option<u8>,
        /// The message.
        message: Box<RawMessage>,
    },
    /// The other side broke a rule that holds whatever is said.
    Complaint(String),
    /// Something about connections, for people.
    Note(String),
}

impl fmt::Display for Said {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { id, from, to, text } => write!(out, "{from} → {to} [{id}]: {text}"),
            Self::Accepted { id, answer } => write!(out, "[{id}] accepted: {answer}"),
            Self::Refused { id, answer } => write!(out, "[{id}] refused: {answer}"),
            Self::Unanswered { id, reason } => write!(out, "[{id}] unanswered: {reason}"),
            Self::Received { id, from, to, text, answer, .. } if answer.is_empty() => {
                write!(out, "{to} ← {from} [{id}]: {text}")
            }
            Self::Received { id, from, to, text, answer, .. } => {
                write!(out, "{to} ← {from} [{id}]: {text} ({answer})")
            }
            Self::Receipt { id } => write!(out, "[{id}] received"),
            Self::Shown { user, contact, view } => write!(out, "{user} sees {contact}: {view}"),
            Self::Stanza(stanza) => stanza.fmt(out),
            Self::Message { message, .. } => out.write_str(&String::from_utf8_lossy(&message.octets())),
            Self::Complaint(words) => write!(out, "against the rules: {words}"),
            Self::Note(note) => out.write_str(note),
        }
    }
}
