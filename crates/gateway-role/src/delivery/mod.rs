//! One message until it is settled, a machine for each direction.
//!
//! Both directions share one idea: a message is *held* while its sender can still be told anything from
//! memory; when that takes too long it goes to disk and is *accepted*; its end is *delivered* or
//! *reported*. The machines here know neither SIP transactions nor the link: they order, and are told.

mod deadlines;
#[cfg(test)]
mod timeline;
mod to_sip;
mod to_xmpp;

use std::time::Duration;

use crate::record::{Record, Ticket};

pub use deadlines::Deadlines;
pub use to_sip::{ToSip, ToSipOutput};
pub use to_xmpp::{Answer, Arrival, ToXmpp, ToXmppOutput};

/// Names a message inside one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

/// How long and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// How long a sender waits for the truth before the message goes to disk. Default 2 s.
    pub hold: Duration,
    /// How long a sender whose message cannot be stored is kept waiting for the truth. Below Timer F
    /// (32 s, RFC 3261 §17.1.2.2), or he would hear nothing. Default 25 s.
    pub hold_max: Duration,
    /// How long we try to deliver what we accepted. Default 24 h.
    pub lifetime: Duration,
    /// How long a message may wait behind others for the same SIP user. Default 60 s.
    pub queue_time: Duration,
    /// How many messages may be unsettled in one direction. Default 100,000.
    pub unsettled_max: usize,
    /// How many messages may wait for one SIP user. Default 1,000.
    pub queue_max: usize,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(2),
            hold_max: Duration::from_secs(25),
            lifetime: Duration::from_secs(24 * 3600),
            queue_time: Duration::from_secs(60),
            unsettled_max: 100_000,
            queue_max: 1000,
        }
    }
}

/// The first pause before a report is tried again; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(300);

/// The counter that names orders to the store; shared by both directions so that a ticket
/// names one order of the whole gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tickets {
    next: u64,
    step: u64,
}

impl Tickets {
    /// Returns the even tickets, for one direction.
    pub const fn even() -> Self {
        Self { next: 0, step: 2 }
    }

    /// Returns the odd tickets, for the other direction.
    pub const fn odd() -> Self {
        Self { next: 1, step: 2 }
    }

    /// Returns an order to the store, by a ticket that was never given out.
    pub const fn order(&mut self, record: Record) -> StoreOrder {
        let ticket = Ticket(self.next);
        self.next += self.step;
        StoreOrder { ticket, record }
    }
}

/// A change for the store with the name under which its outcome comes back.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreOrder {
    /// The name.
    pub ticket: Ticket,
    /// The change.
    pub record: Record,
}
