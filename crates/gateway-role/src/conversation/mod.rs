//! Conversations: how texts are carried to SIP users whose servers want sessions, and how theirs come.
//!
//! ```text
//!   delivery::ToSip ── the head of a pair's queue ─▶ ┌───────────────┐ ── Effect ─▶ the endpoint
//!   the endpoint ── INVITE, requests inside, answers ▶│ Conversations │             the link
//!   the link ── chat states ─────────────────────────▶└──────┬────────┘ ── Arrived ─▶ delivery::ToXmpp
//!                                                            │ by pair of users
//!                                                 ┌──────────▼─────────┐
//!                                                 │ machine            │ decides: which session, once more, typing
//!                                                 │ sip_proto::session │ carries: one or a few
//!                                                 └────────────────────┘
//! ```
//!
//! A message belongs to delivery, and stays there until its fate is known; here is only the way in which it goes. So a
//! session is nothing that must outlive the process: whoever speaks in one that we have forgotten is answered 481
//! and opens another.

mod desk;
mod effect;
mod entry;
mod fate;
mod learned;
mod machine;
mod offer;
mod pair;
mod settings;
mod table;
mod telling;
mod typing;
mod verdict;
mod wire;

pub use desk::{SessionId, contact};
pub use effect::{Arrived, Asker, Effect, SessionChange};
pub use entry::Saying;
pub use fate::{Fate, Item, Why};
pub use learned::Fallback;
pub use pair::Pair;
pub use settings::{ConversationSettings, Dialect};
pub use table::{ConversationState, Conversations, Phase};
pub use verdict::wire_code;
pub use wire::Sender;
