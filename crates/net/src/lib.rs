//! Sockets, TLS, DNS and clocks: the shell that drives the machines.
//!
//! A [`Driver`] owns one role (see [`Role`]) and carries its [`Event`](net_types::Event)s in and its
//! [`Order`](net_types::Order)s out. It decides nothing about a protocol; it decides only how octets move.
//!
//! ```text
//!   sockets ──▶ connection tasks ──▶ bounded channel ──▶ role ──▶ outboxes ──▶ connection tasks ──▶ sockets
//!                  (TLS here)          up to 256 a turn          one write a turn
//! ```
//!
//! This is the only crate with an event loop, TLS and a resolver in it. A program that assembles roles
//! needs no event loop of its own: see [`runtime`].

mod arrival;
pub mod clock;
mod connection;
mod datagram;
pub mod dns;
pub mod driver;
pub mod in_process;
pub mod listener;
mod outbox;
mod recorder;
pub mod runtime;
mod settings;
pub mod throwaway;
pub mod tls;

pub use clock::Clock;
pub use dns::{Anchors, DnsSettings, Resolver};
pub use driver::{Controls, Driver, Effect, Ended, Gone, Role, World};
pub use in_process::{InProcessDialler, InProcessListener};
pub use listener::{BindError, Bound, ListenerKind, ListenerSpec};
pub use recorder::{Completion, Forgetful, Recorder};
pub use settings::{Incident, Settings};
pub use tls::TlsRegistry;
