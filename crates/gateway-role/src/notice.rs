//! What an operator may want to know, as a closed list: audit, counters, the page and `trace` derive
//! from it, the log prints it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sip_proto::endpoint::Way;
use translate::{Loss, Losses, NotAMessage};
use xmpp_types::outline::Bodies;
use xmpp_types::xml::Element;

use crate::conversation::{Fallback, SessionChange};
use crate::record::Direction;
use crate::watch::{WatchChange, WatchDirection};

/// One thing that happened, in the gateway's own words.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A message came in and passed admission.
    Arrived(Arc<Trace>),
    /// The far user's side has a message.
    Delivered {
        /// Which message.
        trace: Arc<Trace>,
        /// From its arrival to the acknowledgement.
        took: Duration,
    },
    /// A message is on disk, and its sender was told that we have it.
    Kept(Arc<Trace>),
    /// A message was not delivered, and its sender hears so.
    Failed {
        /// Which message.
        trace: Arc<Trace>,
        /// The answer or the error, in words: `404 Not Found`.
        outcome: String,
    },
    /// A sender who had been told "accepted" has been told that his message was not delivered.
    Reported(Arc<Trace>),
    /// A sender's own server does not take our report, for good.
    ReportRefused {
        /// Which message.
        trace: Arc<Trace>,
        /// What it said, in words.
        reason: String,
    },
    /// Something of a message could not cross.
    Lost {
        /// Which message.
        trace: Arc<Trace>,
        /// What it was.
        loss: Loss,
    },
    /// A message stanza ended here, because there was nothing to deliver as a text.
    Ended {
        /// Its sender.
        from: Private,
        /// Its recipient.
        to: Private,
        /// Why.
        reason: NotAMessage,
    },
    /// A request or stanza was refused before it became a message.
    Refused {
        /// Which way it wanted to go.
        direction: Direction,
        /// Who wanted it, as far as he may be believed.
        from: Private,
        /// Why, in words.
        reason: String,
    },
    /// A session began or ended, in which two users talk.
    Session {
        /// The XMPP user.
        xmpp: Private,
        /// The SIP user.
        sip: Private,
        /// Its Call-ID, which its messages have too.
        call: String,
        /// What happened.
        change: SessionChange,
    },
    /// A SIP user's programs were found not to do something; for a while it is not tried again.
    Learned {
        /// The SIP user.
        user: Private,
        /// What is done without.
        fallback: Fallback,
    },
    /// What one user may see of another, or sees, has changed.
    Watch {
        /// Who watches.
        direction: WatchDirection,
        /// The XMPP user.
        xmpp: Private,
        /// The SIP user.
        sip: Private,
        /// What became of it.
        change: WatchChange,
    },
    /// Something that a user says of his presence could not cross.
    WatchLost {
        /// Who watches.
        direction: WatchDirection,
        /// The XMPP user.
        xmpp: Private,
        /// The SIP user.
        sip: Private,
        /// What.
        losses: Losses,
    },
    /// The link to a proxy is open.
    LinkUp {
        /// Which proxy.
        proxy: String,
    },
    /// The link to a proxy is gone.
    LinkDown {
        /// Which proxy.
        proxy: String,
        /// Why, in words.
        reason: String,
    },
    /// The disk does not take what we must keep.
    StoreFailed {
        /// Why, in words.
        reason: String,
    },
    /// A stanza crossed a link; told only while somebody watches.
    Stanza {
        /// Which way.
        way: Way,
        /// The proxy.
        proxy: String,
        /// The stanza, as far as it may be shown.
        stanza: Box<Element>,
    },
    /// Somebody begins to watch messages as they cross.
    Watched {
        /// Whether he sees what people write.
        bodies: Bodies,
    },
    /// Something of the SIP endpoint.
    Sip(sip_proto::endpoint::Notice),
}

/// Names a message in both protocols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Which way it crosses.
    pub direction: Direction,
    /// Its sender.
    pub from: Private,
    /// Its recipient.
    pub to: Private,
    /// The stanza's id.
    pub stanza: String,
    /// The request's Call-ID, as soon as there is one.
    pub call: String,
}

/// The address of a user: printed for people who look after the service, never by accident.
///
/// `Display` shows it; `Debug`, which ends up in logs of other things, shows only its domain.
#[derive(Clone, PartialEq, Eq)]
pub struct Private(pub String);

impl fmt::Display for Private {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = self.0.rsplit_once('@').map_or(self.0.as_str(), |(_, domain)| domain);
        write!(out, "…@{domain}")
    }
}

impl Trace {
    /// Names the pair of users.
    pub(crate) fn pair(&self) -> String {
        format!("{} {}", self.from, self.to)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} from {} to {} (id {}, Call-ID {})",
            self.direction, self.from, self.to, self.stanza, self.call
        )
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrived(trace) => write!(out, "{trace}: arrived"),
            Self::Delivered { trace, took } => write!(out, "{trace}: delivered in {took:.1?}"),
            Self::Kept(trace) => write!(out, "{trace}: accepted and kept on disk"),
            Self::Failed { trace, outcome } => write!(out, "{trace}: not delivered: {outcome}"),
            Self::Reported(trace) => write!(out, "{trace}: the sender was told that it was not delivered"),
            Self::ReportRefused { trace, reason } => {
                write!(out, "{trace}: not delivered, and the sender's server refuses the report: {reason}")
            }
            Self::Lost { trace, loss } => write!(out, "{trace}: {loss}"),
            Self::Ended { from, to, reason } => {
                write!(out, "XMPP → SIP from {from} to {to}: ends here: {reason}")
            }
            Self::Refused { direction, from, reason } => {
                write!(out, "{direction} from {from}: refused: {reason}")
            }
            Self::Session { xmpp, sip, call, change } => {
                write!(out, "session of {xmpp} and {sip} (Call-ID {call}): {change}")
            }
            Self::Learned { user, fallback } => write!(out, "{user}: {fallback}"),
            Self::Watch { direction, xmpp, sip, change } => {
                write!(out, "presence of {xmpp} and {sip} ({direction}): {change}")
            }
            Self::WatchLost { direction, xmpp, sip, losses } => {
                write!(out, "presence of {xmpp} and {sip} ({direction}): lost {losses:?}")
            }
            Self::LinkUp { proxy } => write!(out, "link to {proxy}: open"),
            Self::LinkDown { proxy, reason } => write!(out, "link to {proxy}: down: {reason}"),
            Self::StoreFailed { reason } => write!(out, "store: cannot keep messages: {reason}"),
            Self::Stanza { way: Way::In, proxy, stanza } => write!(out, "from {proxy}: {stanza}"),
            Self::Stanza { way: Way::Out, proxy, stanza } => write!(out, "to {proxy}: {stanza}"),
            Self::Watched { bodies } => watched(*bodies, out),
            // What it says is for those alone who watch.
            Self::Sip(sip_proto::endpoint::Notice::Message { remote, .. }) => {
                write!(out, "sip: a message of {remote}, or to it")
            }
            Self::Sip(notice) => write!(out, "sip: {notice:?}"),
        }
    }
}

fn watched(bodies: Bodies, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str(match bodies {
        Bodies::Hidden => "somebody watches messages as they cross, without their bodies",
        Bodies::Shown => "somebody watches messages as they cross, AND SEES WHAT PEOPLE WRITE",
    })
}
