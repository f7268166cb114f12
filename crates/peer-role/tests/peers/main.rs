//! Peers talk to each other over a wire without faults, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod plays;
mod sessions;
mod sip;
mod wire;
mod xmpp;
