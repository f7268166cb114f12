//! What an inward watch does when the XMPP side cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now};
use translate::presence::Resource;
use xmpp_types::stanza::PresenceType;
use xmpp_types::xml::Element;

use super::{DIRECTION, Desk, Inward, Probing, RESOURCES_MAX, WatchChange};
use crate::conversation::Pair;

/// How long after the first word a server needs for the others: it has one for each resource (RFC 6121 §4.3.2).
const ANSWERED: Duration = Duration::from_secs(5);

/// Which resources were heard of since all were asked for.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    confirmed: Vec<Option<String>>,
    until: Option<Moment>,
}

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

    /// The XMPP user's server can be reached again, or may have begun anew: it is asked whatever it was asked before. Resources
    /// of which it does not speak then are gone, though nobody could say so.
    pub fn ask_anew(&mut self, desk: &mut Desk, now: Now) {
        self.probing = Probing::default();
        self.probe(desk, now);
        self.sweep = (!self.resources.is_empty()).then(Box::default);
    }

    /// A resource is there.
    pub(super) fn confirm(&mut self, resource: &Resource, now: Now) {
        let Some(sweep) = &mut self.sweep else { return };
        sweep.until.get_or_insert(now.moment + ANSWERED);
        if resource.available.is_some() && sweep.confirmed.len() < RESOURCES_MAX {
            sweep.confirmed.push(resource.name.clone());
        }
    }

    /// Forgets resources of which nothing was heard when all of them were asked for.
    pub(super) fn sweep(&mut self, now: Now) {
        if self.swept_at().is_none_or(|until| until > now.moment) {
            return;
        }
        let Some(sweep) = self.sweep.take() else { return };
        let before = self.resources.len();
        self.resources.retain(|known| known.available.is_none() || sweep.confirmed.contains(&known.name));
        if self.resources.len() != before {
            self.notifiers.iter_mut().for_each(|notifier| notifier.changed(now));
        }
    }

    /// Returns when the server has said all that it had to say.
    pub(super) fn swept_at(&self) -> Option<Moment> {
        self.sweep.as_ref()?.until
    }
}
