//! What the conversations want done.

use std::fmt;
use std::sync::Arc;

use net_types::Order;
use sip_proto::endpoint::{self, ServerKey};
use sip_proto::msrp::{ReceivedKey, SessionKey};
use sip_proto::session::About;
use sip_types::header::CallId;
use sip_types::{Request, Response, Uri};
use translate::session::{ChatState, Disposition, HeardText};
use translate::{Losses, MessageToSip};
use xmpp_types::jid::DomainName;
use xmpp_types::xml::Element;

use super::desk::SessionId;
use super::fate::{Fate, Item};
use super::learned::Fallback;
use super::pair::Pair;
use super::wire::Sender;

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// Send a request of a session to the servers of this domain; what becomes of it is told by
    /// [`super::Conversations::handle_response`] and [`super::Conversations::handle_failure`].
    Send {
        /// Whose.
        session: SessionId,
        /// Which.
        about: About,
        /// The request.
        request: Box<Request>,
        /// Whither.
        domain: DomainName,
    },
    /// Cancel the INVITE of a session.
    Cancel(SessionId),
    /// Answer a request.
    Respond {
        /// The request.
        key: ServerKey,
        /// The answer.
        response: Box<Response>,
    },
    /// Nothing comes of the session any more.
    Over(SessionId),
    /// Something for the network.
    Order(Order),
    /// Something for the operator.
    Notice(endpoint::Notice),
    /// It is being said, in the session of this Call-ID.
    Said {
        /// What.
        item: Item,
        /// The session.
        call: CallId,
    },
    /// Its fate is known.
    Decided {
        /// What.
        item: Item,
        /// What became of it.
        fate: Fate,
    },
    /// The SIP user said something.
    Arrived(Box<Arrived>),
    /// Show the XMPP user something that need not arrive.
    Stanza {
        /// Between whom.
        pair: Arc<Pair>,
        /// The stanza.
        stanza: Element,
    },
    /// What became of a text of the SIP user could not be told in a session.
    Untold(Box<MessageToSip>),
    /// The SIP user is asked to say when this message is seen.
    Asked {
        /// The name that he will speak of it by.
        message_id: String,
        /// Who wrote it.
        sender: Box<Sender>,
    },
    /// The SIP user says what became of a message.
    Disposed {
        /// Between whom.
        pair: Arc<Pair>,
        /// Of which, and what.
        disposition: Disposition,
    },
    /// A session began or ended.
    Changed {
        /// Between whom.
        pair: Arc<Pair>,
        /// Its Call-ID.
        call: CallId,
        /// What happened.
        change: SessionChange,
    },
    /// A SIP user's programs were found not to do something.
    Learned {
        /// Between whom it was found.
        pair: Arc<Pair>,
        /// What.
        fallback: Fallback,
    },
}

/// Who waits to hear what becomes of a text.
#[derive(Debug)]
pub enum Asker {
    /// The sender of a SIP request.
    Request {
        /// Its name.
        key: ServerKey,
        /// The request.
        request: Arc<Request>,
    },
    /// The peer of an MSRP session.
    Wire {
        /// The message's name there.
        key: ReceivedKey,
        /// The session.
        session: SessionKey,
    },
}

/// A text from SIP that waits for its answer.
#[derive(Debug)]
pub struct Arrived {
    /// Who waits for that.
    pub asker: Asker,
    /// The session that it was said in.
    pub call: CallId,
    /// Who said it, by his own word; `None` if that is the SIP user's address.
    pub sender: Option<Uri>,
    /// Between whom.
    pub pair: Arc<Pair>,
    /// In which window.
    pub thread: String,
    /// What it says.
    pub text: HeardText,
    /// The chat state that goes with it.
    pub state: Option<ChatState>,
    /// What of it cannot cross.
    pub losses: Losses,
}

/// What happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// It is there.
    Opened {
        /// Whether we called.
        by_us: bool,
    },
    /// It was there, and ended; in words.
    Closed(String),
    /// It never was; in words.
    Refused(String),
}

impl fmt::Display for SessionChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { by_us: true } => out.write_str("opened for the XMPP user"),
            Self::Opened { by_us: false } => out.write_str("opened by the SIP user"),
            Self::Closed(why) => write!(out, "closed: {why}"),
            Self::Refused(why) => write!(out, "not opened: {why}"),
        }
    }
}
