//! Watches: who sees whose presence, both ways (RFC 8048).
//!
//! ```text
//!   the link ──── subscribe, probe, presence ──▶ ┌─────────┐ ── Effect ─▶ the link
//!   the endpoint ─ SUBSCRIBE, NOTIFY, answers ──▶│ Watches │             the endpoint
//!   the store ──── what an earlier process left ▶└────┬────┘             the store
//!                                                     │ by pair of users and direction
//!                              ┌──────────────────────┴──────────────────────┐
//!                              │ Outward                             Inward  │
//!                              │ an XMPP user watches     a SIP user watches │
//!                              │ one Subscriber            some Notifiers    │
//!                              └─────────────────────────────────────────────┘
//! ```
//!
//! XMPP knows one thing, the subscription, which lasts; SIP two: permission, which lasts, and a dialog, which does not.
//! So each direction of each pair has an [`Authorisation`], which only a user's own word changes, and dialogs, which come
//! and go without anybody noticing.

mod desk;
mod effect;
mod errands;
mod inward;
mod outward;
mod probing;
mod reach;
mod record;
mod settings;
mod show;
mod state;
mod table;

pub use effect::{Effect, WatchChange, WatchCheck, WatchRequest, WatchWord};
pub use record::{Authorisation, KeptDialog, KeptWatch, WatchDirection, WatchRecord};
pub use settings::WatchSettings;
pub use state::WatchState;
pub use table::{WatchCount, Watches};
