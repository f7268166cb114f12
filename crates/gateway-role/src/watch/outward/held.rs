//! Watches that are held back: nobody has forbidden them, and the SIP side is not asked all the same.

use std::time::Duration;

use clock_types::Now;

use super::{Authorisation, DIRECTION, Desk, Outward, WatchChange};

/// Why an XMPP user sees nothing of a SIP user who may have allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// His provider does not verify its users, and the SIP user has not added him.
    NotAdded,
    /// The SIP user may not federate.
    Refused,
}

impl Outward {
    /// Holds the watch back, or lets it go on. What was allowed stays allowed.
    pub fn hold(&mut self, held: Option<Held>, desk: &mut Desk, now: Now) {
        match (std::mem::replace(&mut self.held, held), held) {
            (None, Some(_)) => {
                (self.again, self.stale) = (None, None);
                self.show(Vec::new(), desk);
                self.subscriber.unsubscribe(now);
                self.drain(desk, now);
                desk.changed(DIRECTION, &self.pair, WatchChange::Held(self.held_in_words()));
            }
            (Some(_), None) if self.authorisation != Authorisation::Denied => self.ensure(desk, now),
            (None | Some(_), None) | (Some(_), Some(_)) => {}
        }
    }

    /// A SIP user who may not federate is spoken of as one whom nobody knows, and as late.
    pub fn deny_in(&mut self, after: Duration, now: Now) {
        self.again = Some(now.moment + after);
    }

    /// Returns why it is held back, if it is.
    pub const fn held(&self) -> Option<Held> {
        self.held
    }

    /// Returns whether it waits for the SIP user to add the XMPP user.
    pub const fn is_waiting(&self) -> bool {
        !self.over && matches!(self.held, Some(Held::NotAdded))
    }

    pub(super) fn held_in_words(&self) -> String {
        match self.held {
            Some(Held::NotAdded) => {
                let (xmpp, sip) = (&self.pair.xmpp, &self.pair.sip);
                format!("partner {} is public-unverified: {sip} has not added {xmpp}", xmpp.domain())
            }
            Some(Held::Refused) => format!("{} may not federate", self.pair.sip),
            None => String::new(),
        }
    }
}
