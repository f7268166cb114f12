//! The decisions of the SIP gateway.
//!
//! [`Gateway`] composes the SIP endpoint, the link to the proxy and the translation into one machine
//! that keeps the promise of ARCHITECTURE.md ("What accepted means"): what we accepted is delivered or
//! reported, exactly once.

mod answers;
mod conversation;
mod conversing;
mod delivery;
mod dispositions;
mod gateway;
mod links;
mod notice;
mod partners;
pub mod policy;
mod record;
mod report_to;
mod settings;
mod sip_side;
mod strangers;
mod unknown;
mod users;
mod watch;
mod watching;
mod written;
mod xmpp_side;

pub use conversation::{
    ConversationSettings, ConversationState, Dialect, Fallback, Pair, Phase, SessionChange,
};
pub use delivery::DeliverySettings;
pub use gateway::{Gateway, Output, Snapshot};
pub use net_types::AddressRange;
pub use notice::{Notice, Private, Trace};
pub use record::{AcceptedMessage, Direction, MessageKey, NotStored, Record, Recovered, Ticket};
pub use settings::{Peers, ProxyLink, Settings, SipDomain};
pub use watch::{
    Authorisation, KeptDialog, KeptWatch, WatchChange, WatchCount, WatchDirection, WatchRecord,
    WatchSettings, WatchState,
};
pub use written::ANSWER_WITHIN;

/// How long a settled message's key is remembered: the time in which a UAC may still retransmit a
/// request that it has no answer for (Timer F, 64·T1, RFC 3261 §17.1.2.2).
pub const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(32);
