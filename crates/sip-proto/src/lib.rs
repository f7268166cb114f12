//! SIP as state machines without IO: transactions, locating servers, and the [`endpoint`] that joins
//! them with connections into one machine.

mod arena;
mod deadlines;
pub mod dialog;
pub mod endpoint;
mod fingerprint;
pub mod identity;
pub mod locate;
pub mod msrp;
pub mod session;
pub mod subscription;
pub mod transaction;
