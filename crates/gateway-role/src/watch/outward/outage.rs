//! What an outward watch does when one of its sides cannot be reached, and when it can be again.

use std::sync::Arc;

use clock_types::Now;
use xmpp_types::stanza::PresenceType;
use xmpp_types::xml::Element;

use super::{Authorisation, DIRECTION, Desk, Outward, WatchChange};
use crate::conversation::Pair;

impl Outward {
    /// Returns whether the SIP side is, or should be, asked about the SIP user.
    pub const fn is_asked(&self) -> bool {
        self.held.is_none() && !self.over && !matches!(self.authorisation, Authorisation::Denied)
    }

    /// What was said to the XMPP user came back: his server could not be reached.
    pub const fn handle_bounce(&mut self) {
        self.missed = true;
    }

    /// Returns whether the XMPP user has missed something.
    pub const fn has_missed(&self) -> bool {
        self.missed
    }

    /// Returns something that is true and that he may have missed.
    pub fn last_word(&self, desk: &Desk) -> (Arc<Pair>, Element) {
        let capabilities = desk.capabilities(self.pair.sip.domain());
        let mut all = self.shown.all(&self.pair, &self.pair.xmpp, capabilities);
        (Arc::clone(&self.pair), all.swap_remove(0))
    }

    /// Says everything again to an XMPP user whose server can be reached again. It does not ask by itself: seen from there
    /// nothing has happened.
    pub fn tell_again(&mut self, desk: &mut Desk) {
        if !std::mem::take(&mut self.missed) {
            return;
        }
        match self.authorisation {
            Authorisation::Granted => {
                self.say(PresenceType::Subscribed, desk);
                let capabilities = desk.capabilities(self.pair.sip.domain());
                for stanza in self.shown.again(&self.pair, capabilities) {
                    desk.stanza(&self.pair, stanza);
                }
            }
            Authorisation::Denied => self.say(PresenceType::Unsubscribed, desk),
            Authorisation::Pending => {}
        }
    }

    /// The SIP domain cannot be reached: whatever was shown is no longer known to be true.
    pub fn handle_unreachable(&mut self, desk: &mut Desk) {
        let why = format!("the servers of {} cannot be reached", self.pair.sip.domain());
        desk.changed(DIRECTION, &self.pair, WatchChange::Failing(why.clone()));
        (self.trouble, self.unreachable, self.stale) = (Some(why.into()), true, None);
        self.show(Vec::new(), desk);
    }

    /// The SIP domain can be reached again: what is true is asked for at once, unless a server there asked for peace.
    pub fn handle_reachable(&mut self, desk: &mut Desk, now: Now) {
        if self.is_asked() && (self.trouble.is_none() || self.unreachable) {
            self.unreachable = false;
            self.again = None;
            self.subscriber.subscribe(now, &mut desk.ids);
            self.drain(desk, now);
        }
    }
}
