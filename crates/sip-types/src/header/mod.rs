//! The typed values of headers (RFC 3261 §20). Each parses from text and prints back.

mod call;
mod event;
mod media;
mod name;
mod name_addr;
mod via;
mod warning;

pub use call::{CSeq, CallId};
pub use event::{Event, SubscriptionPhase, SubscriptionState};
pub use media::ContentType;
pub use name::HeaderName;
pub use name_addr::NameAddr;
pub use via::{Transport, Via};
pub use warning::{MsDiagnostics, Warning};
