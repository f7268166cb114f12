//! The decisions of the XMPP proxy: the half of Gangway that stands in the DMZ and alone speaks with
//! partners.
//!
//! ```text
//!   partner ──▶ incoming ──┐                          ┌──▶ gateways ──▶ gateway
//!                          ├──▶ relay ── admission ───┤
//!   partner ◀── couriers ◀─┘                          └─── gateways ◀── gateway
//! ```
//!
//! Nothing is kept beyond a process's life but what partners and gateways have not had acknowledged, and
//! that they keep themselves: a stanza is acknowledged to whoever sent it only when whoever it is for has
//! acknowledged it to us.

mod admission;
mod allowance;
mod answers;
mod courier;
mod gateways;
mod incoming;
mod notice;
mod probe;
mod proxy;
mod relay;
mod reload;
mod rules;
mod sessions;
mod settings;
mod stopping;
mod streams;
mod timers;
mod world;

pub use notice::{Direction, Names, Notice};
pub use probe::{Finding, Outcome, Output as ProbeOutput, Probe, Verdict};
pub use proxy::{Output, Proxy};
pub use settings::{
    Limits, Link, Listener, ListenerKind, Mistake, Negotiation, Partner, PartnerKind, Place, Served,
    Settings, Severity, Version, methods,
};
pub use streams::StreamSnapshot;
