//! Who has what: counting stanzas both ways (XEP-0198) without ever promising too much.
//!
//! Two counters and two queues, used by every stream that carries stanzas:
//!
//! ```text
//!   we send      Outbound   1 2 3 4 5 6      `<a h='2'/>` forgets 1 and 2; a selective `settled 5`
//!                               ▲   ▲        forgets 5 alone; 3, 4 and 6 are resent after a loss
//!                               h   settled
//!   we receive   Inbound    1 2 3 4 5 6      4 is still at work: `<a h='3'/>`, although 5 is done
//!                               ▲
//!                               frontier
//! ```
//!
//! Where the peer lacks XEP-0198, a ping (XEP-0199) takes the place of `<r/>`: stanzas are processed in
//! order (RFC 6120 §10.1), so its answer covers what was sent before it.

mod inbound;
mod outbound;
mod request;

pub use inbound::Inbound;
pub use outbound::{HandledTooHigh, Outbound};
pub use request::Request;
