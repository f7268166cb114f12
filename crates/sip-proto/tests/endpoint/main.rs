//! The endpoint in virtual time: what goes in, and exactly what comes out.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

mod chance;
mod connections;
mod failover;
mod incoming;
mod invite;
#[path = "../network/mod.rs"]
mod network;
mod outgoing;
mod pacing;
mod watched;
mod world;
