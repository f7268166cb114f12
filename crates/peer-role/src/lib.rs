//! The others: a small XMPP server and a SIP user agent, made of the project's own machines.
//!
//! The demonstration and the simulator put them on both sides of Gangway. They are honest peers that can be told
//! to be difficult: silent users, slow answers, no acknowledgements. What their users see is told as [`Said`].
//! [`play`] reads conversations that are written down.

mod actor;
mod audit;
pub mod play;
pub mod presence;
pub mod raw;
mod said;
mod sip;
mod xmpp;

pub use actor::{SipActor, SipActorSettings};
pub use audit::{Auditor, Tap};
pub use said::Said;
pub use sip::{Answers, Manner, Presence, PresenceManners, SessionManners, SipSettings, SipUserAgent};
pub use xmpp::{Acks, NO_SUCH_USER, Proves, Roster, Stanzas, XmppServer, XmppSettings};

use net_types::Order;

/// What a peer wants done or has to tell, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// For the shell.
    Order(Order),
    /// What one of its users saw, or the peer itself.
    Said(Said),
}
