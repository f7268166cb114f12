//! XMPP server-to-server as state machines without IO.
//!
//! [`stream`] holds both ends of a stream between servers, [`dialback`] what proves a domain by asking
//! back, [`identity`] what a certificate proves, [`dane`] what a signed zone says of one, [`posh`] what a web server does, [`acks`] who has acknowledged what, [`link`] the stream
//! between the two roles, and [`discovery`] where a domain's servers are.

mod backoff;
mod wire;

pub mod acks;
pub mod dane;
pub mod dialback;
pub mod discovery;
pub mod evidence;
pub mod failure;
pub mod identity;
pub mod link;
pub mod posh;
pub mod stream;

pub use backoff::pause;
