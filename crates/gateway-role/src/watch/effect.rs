//! What watches want done.

use std::fmt;
use std::sync::Arc;

use sip_proto::endpoint::ServerKey;
use sip_types::{Request, Response};
use translate::Losses;
use xmpp_types::jid::DomainName;
use xmpp_types::xml::Element;

use super::record::{WatchDirection, WatchRecord};
use crate::conversation::Pair;

/// Names a request of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchRequest(pub u64);

/// Names what a SIP user decided, on its way to the XMPP side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchWord(pub u64);

/// Names a question whether an XMPP domain can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchCheck(pub u64);

/// What watches want done, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A presence stanza for the XMPP side.
    Stanza {
        /// Between whom.
        pair: Arc<Pair>,
        /// The stanza.
        stanza: Element,
    },
    /// What the SIP user decided, for the XMPP side; that it was heard there goes to `handle_told`.
    Word {
        /// Its name.
        name: WatchWord,
        /// Between whom.
        pair: Arc<Pair>,
        /// The stanza.
        stanza: Element,
    },
    /// A presence stanza for the XMPP side; that it is settled shows that the domain can be reached.
    Check {
        /// The question.
        name: WatchCheck,
        /// Between whom.
        pair: Arc<Pair>,
        /// The stanza.
        stanza: Element,
    },
    /// A request for the SIP side; its answer goes to `handle_response` or `handle_failure`.
    Send {
        /// Its name.
        name: WatchRequest,
        /// The request.
        request: Box<Request>,
        /// The SIP domain whose next hop carries it.
        domain: DomainName,
    },
    /// The answer to a request.
    Respond {
        /// The request.
        key: ServerKey,
        /// The answer.
        response: Box<Response>,
    },
    /// A change to keep.
    Record(WatchRecord),
    /// For the operator.
    Changed {
        /// Who watches.
        direction: WatchDirection,
        /// Between whom.
        pair: Arc<Pair>,
        /// What.
        change: WatchChange,
    },
    /// Something of a document or stanza did not cross.
    Lost {
        /// Who watches.
        direction: WatchDirection,
        /// Between whom.
        pair: Arc<Pair>,
        /// What.
        losses: Losses,
    },
}

/// What became of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchChange {
    /// The watched user is asked.
    Asked,
    /// He allows it.
    Granted,
    /// He does not, or no more; in words.
    Denied(String),
    /// It works again.
    Works,
    /// It does not work at present, in words; it goes on being tried.
    Failing(String),
    /// It is held back, in words, and goes on when that is over.
    Held(String),
    /// The watcher wishes it no more.
    Ended,
    /// What came cannot be read, in words; it was refused.
    Unreadable(String),
}

impl fmt::Display for WatchChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => out.write_str("the watched user is asked"),
            Self::Granted => out.write_str("the watched user allows it"),
            Self::Denied(why) => write!(out, "not allowed: {why}"),
            Self::Works => out.write_str("works again"),
            Self::Failing(why) => write!(out, "does not work at present: {why}"),
            Self::Held(why) => write!(out, "held back: {why}"),
            Self::Ended => out.write_str("the watcher wishes it no more"),
            Self::Unreadable(why) => write!(out, "a document was refused: {why}"),
        }
    }
}
