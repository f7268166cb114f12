//! SIP as state machines without IO: transactions, locating servers, and the [`endpoint`] that joins
//! them with connections into one machine.

pub mod endpoint;
pub mod transaction;
