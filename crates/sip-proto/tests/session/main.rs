//! Timelines of a session, with T1 = 500 ms and T2 = 4 s.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

mod anything;
mod called;
mod calling;
mod chance;
mod inside;
mod interval;
#[path = "../network/mod.rs"]
mod network;
mod world;
