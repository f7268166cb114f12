//! What an inward watch does when the XMPP side cannot be reached.

use std::sync::Arc;

use clock_types::Now;
use xmpp_types::stanza::PresenceType;
use xmpp_types::xml::Element;

use super::{DIRECTION, Desk, Inward, Probing, WatchChange};
use crate::conversation::Pair;

impl Inward {
    /// Returns whether somebody sees the XMPP user, or should.
    pub fn is_seen(&self) -> bool {
        self.is_granted() && self.is_watched()
    }

    /// Returns a question for the XMPP user's presence that nobody waits for.
    pub fn question(&self) -> (Arc<Pair>, Element) {
        (Arc::clone(&self.pair), self.stanza(PresenceType::Probe))
    }

    /// The XMPP user's server cannot be reached: nobody knows that he is there.
    pub fn handle_unreachable(&mut self, desk: &mut Desk, now: Now) {
        let why = format!("the servers of {} cannot be reached", self.pair.xmpp.domain());
        desk.changed(DIRECTION, &self.pair, WatchChange::Failing(why.clone()));
        self.trouble = Some(why.into());
        self.ask_no_more();
        self.presume_gone(desk, now);
    }

    /// Whoever could say that he is there does not.
    pub(super) fn presume_gone(&mut self, desk: &mut Desk, now: Now) {
        let news = !self.resources.is_empty() || self.heard.is_none();
        self.resources.clear();
        self.heard = Some(now);
        if news {
            self.notifiers.iter_mut().for_each(|notifier| notifier.changed(now));
            self.drain(desk, now);
        }
    }

    /// What is not answered by now is for the next process to ask, or for when the server is back.
    pub fn ask_no_more(&mut self) {
        self.probing.heard();
    }

    /// The XMPP user's server can be reached again, or is after a start: it is asked whatever it was asked before.
    pub fn ask_anew(&mut self, desk: &mut Desk, now: Now) {
        self.probing = Probing::default();
        self.probe(desk, now);
    }
}
