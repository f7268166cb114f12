//! All watches, by their users.

mod pacing;
mod rounds;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now, earliest};
use sip_proto::endpoint::{Failure, ServerKey};
use sip_proto::subscription::admit;
use sip_types::{HeaderText, Request, Response};
use translate::Translated;
use translate::presence::{PIDF_TYPE, nick, read_stanza};
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::ns;
use xmpp_types::stanza::PresenceType;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError};
use xmpp_types::xml::Element;

use self::pacing::RATE;
use self::rounds::Rounds;
use super::desk::{Asker, Desk, Slot};
use super::effect::{Effect, WatchRequest, WatchWord};
use super::errands::Errands;
use super::inward::{Inward, gone};
use super::outward::Outward;
use super::record::{KeptWatch, WatchDirection};
use super::show::nobody;
use super::state::WatchState;
use crate::conversation::Pair;
use crate::settings::Settings;

/// All watches of a gateway.
#[derive(Debug)]
pub struct Watches {
    desk: Desk,
    outward: BTreeMap<Slot, Box<Outward>>,
    inward: BTreeMap<Slot, Box<Inward>>,
    /// By [`Pair::key`].
    outward_by_pair: BTreeMap<Arc<str>, Slot>,
    inward_by_pair: BTreeMap<Arc<str>, Slot>,
    /// Subscribers by our tag, which is in the To of their NOTIFYs; notifiers by ours, in the To of SUBSCRIBEs.
    outward_by_tag: BTreeMap<Arc<str>, Slot>,
    inward_by_tag: BTreeMap<Arc<str>, Slot>,
    /// How many users somebody watches, by his bare address.
    watching: BTreeMap<Box<str>, usize>,
    /// How many of an XMPP domain's users wait to be added by the SIP users whom they wish to watch.
    waiting: BTreeMap<DomainName, usize>,
    /// For each watch the moment to look at it: not later than when it wants that.
    deadlines: BTreeSet<(Moment, WatchDirection, Slot)>,
    errands: Errands,
    rounds: Rounds,
    next_slot: Slot,
}

/// How much the watches are, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCount {
    /// XMPP users' watches of SIP users.
    pub outward: usize,
    /// SIP users' watches of XMPP users.
    pub inward: usize,
}

impl Watches {
    /// Returns the watches that an earlier process left.
    #[must_use]
    pub fn new(settings: Arc<Settings>, recovered: Vec<KeptWatch>, ids: Ids, now: Now) -> Self {
        let mut watches = Self {
            desk: Desk::new(settings, ids),
            outward: BTreeMap::new(),
            inward: BTreeMap::new(),
            outward_by_pair: BTreeMap::new(),
            inward_by_pair: BTreeMap::new(),
            outward_by_tag: BTreeMap::new(),
            inward_by_tag: BTreeMap::new(),
            watching: BTreeMap::new(),
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            errands: Errands::default(),
            rounds: Rounds::default(),
            next_slot: 0,
        };
        watches.recover_all(recovered, now);
        watches
    }

    fn recover(&mut self, kept: KeptWatch, spread: Duration, now: Now) {
        match kept.direction {
            WatchDirection::Outward => {
                let slot = self.slot();
                let within = self.desk.within(spread);
                let desk = &self.desk;
                if let Some(watch) = Outward::recover(slot, kept, within, desk, now) {
                    self.insert_outward(slot, watch);
                }
            }
            WatchDirection::Inward => {
                let slot = self.slot();
                let watch = Inward::recover(slot, kept, &mut self.desk, now);
                self.insert_inward(slot, watch);
                self.settle_inward(slot);
                self.probe_in_turn(slot, now);
            }
        }
    }

    /// Puts other settings into effect.
    pub fn handle_settings(&mut self, settings: Arc<Settings>, now: Now) {
        self.desk.handle_settings(settings);
        self.judge_all(now);
    }

    /// Takes a presence stanza of an XMPP user to a SIP user. One who may not federate is answered for `after` some time,
    /// as if nobody knew him.
    pub fn handle_presence(&mut self, presence: &Element, from: &Jid, to: &Jid, after: Duration, now: Now) {
        let pair = Arc::new(Pair::new(from, to));
        let Ok(kind) = PresenceType::of(presence) else { return };
        match kind {
            Some(PresenceType::Subscribe) => self.subscribe(&pair, presence, after, now),
            Some(PresenceType::Unsubscribe) => {
                self.with_outward(&pair, |watch, desk| watch.handle_unsubscribe(desk, now));
            }
            Some(PresenceType::Probe) => self.probe(&pair, from, now),
            Some(PresenceType::Subscribed) => {
                self.hear_nick(&pair, presence);
                self.with_inward(&pair, |watch, desk| watch.handle_subscribed(desk, now));
                if self.inward_by_pair.contains_key(&pair.key) {
                    self.look_after(Some(pair.xmpp.domain()), None, now);
                }
            }
            Some(PresenceType::Unsubscribed) => {
                self.with_inward(&pair, |watch, desk| watch.handle_unsubscribed(desk, now));
            }
            Some(PresenceType::Error) => {
                let error = presence.child("error", ns::SERVER).and_then(StanzaError::from_element);
                if let Some(error) = error {
                    self.with_outward(&pair, |watch, _| watch.handle_bounce());
                    if is_unreachable(&error) {
                        self.xmpp_failed(from.domain(), now);
                    }
                    self.with_inward(&pair, |watch, desk| watch.handle_error(&error, desk, now));
                }
            }
            None | Some(PresenceType::Unavailable) => {
                let read = read_stanza(presence);
                self.with_inward(&pair, |watch, desk| {
                    desk.lost(WatchDirection::Inward, watch.pair(), read.losses);
                    watch.handle_resource(read.value, desk, now);
                });
                if kind.is_none() {
                    self.with_outward(&pair, |watch, desk| watch.handle_online(desk, now));
                }
            }
        }
    }

    /// Takes what an XMPP user wants to be called by the SIP user, who may watch him or begin to.
    fn hear_nick(&mut self, pair: &Arc<Pair>, presence: &Element) -> Option<String> {
        let Translated { value, losses } = nick(presence)?;
        self.desk.lost(WatchDirection::Inward, pair, losses);
        self.with_inward(pair, |watch, _| watch.handle_nick(&value));
        Some(value)
    }

    /// A probe for somebody of whom nothing is known says nothing about permission, and is answered so.
    fn probe(&mut self, pair: &Arc<Pair>, prober: &Jid, now: Now) {
        if self.outward_by_pair.contains_key(&pair.key) {
            return self.with_outward(pair, |watch, desk| watch.handle_probe(prober, desk, now));
        }
        self.desk.stanza(pair, nobody(pair, prober));
        if self.desk.settings.watches.adopt_probes && self.judge(pair).is_none() && self.begin_outward(pair) {
            self.with_outward(pair, |watch, desk| watch.handle_adopted(desk));
            if let Some(slot) = self.outward_by_pair.get(&pair.key).copied() {
                self.adopt_in_turn(slot, now);
            }
        }
    }

    /// Returns whether the device that an XMPP user writes to is one that only a presence document names so: nothing can
    /// be sent to it, but to its user.
    #[must_use]
    pub fn is_label(&self, from: &Jid, device: &Jid) -> bool {
        if device.is_bare() {
            return false;
        }
        let slot = self.outward_by_pair.get(&*Pair::key_of(from, device));
        slot.and_then(|slot| self.outward.get(slot)).is_some_and(|watch| watch.is_label(device))
    }

    /// Answers an XMPP user's question for what a SIP user's programs can do (XEP-0030): whoever sees him may ask, and
    /// nobody learns by it whether there is such a user.
    #[must_use]
    pub fn discover(&self, iq: &Element, from: &Jid, to: &Jid) -> Option<Element> {
        let watch = self.outward.get(self.outward_by_pair.get(&*Pair::key_of(from, to))?)?;
        self.desk.capabilities(to.domain()).filter(|_| watch.is_granted())?.answer(iq, to)
    }

    /// Takes a SUBSCRIBE of a SIP user for an XMPP user; whoever sent it may speak for the SIP user.
    pub fn handle_subscribe(&mut self, key: ServerKey, request: &Request, pair: &Arc<Pair>, now: Now) {
        let asked = match admit(request, &self.desk.subscriptions, PIDF_TYPE) {
            Ok(asked) => asked,
            Err(refusal) => return self.desk.respond(key, refusal),
        };
        let slot = match self.inward_by_pair.get(&pair.key) {
            Some(slot) => *slot,
            None => {
                if !self.may_watch(pair.sip.bare_str()) {
                    let words = format!(
                        "Forbidden: {} contacts are watched already, and no more may be",
                        self.desk.settings.watches.watched_max
                    );
                    let reason = HeaderText::clean(&words).text;
                    return self.desk.respond(key, Response::to(request, 403).with_reason(&reason));
                }
                let slot = self.slot();
                self.insert_inward(slot, Inward::new(slot, pair));
                slot
            }
        };
        self.in_inward(slot, |watch, desk| watch.handle_subscribe(key, request, asked, desk, now));
        self.look_after(Some(pair.xmpp.domain()), None, now);
        self.handle_sip_heard(pair.sip.domain(), now);
        self.added(pair, now);
    }

    /// Returns whose dialog a request with this To tag of ours is in.
    #[must_use]
    pub fn pair_of(&self, request: &Request) -> Option<&Arc<Pair>> {
        let tag = request.to().tag()?;
        let inward = || self.inward.get(self.inward_by_tag.get(tag)?).map(|watch| watch.pair());
        self.outward_by_tag
            .get(tag)
            .and_then(|slot| self.outward.get(slot))
            .map(|watch| watch.pair())
            .or_else(inward)
    }

    /// Takes a SUBSCRIBE or NOTIFY in a dialog of ours: one whose [`Self::pair_of`] there is.
    pub fn handle_inside(&mut self, key: ServerKey, request: &Request, now: Now) {
        let tag = request.to().tag().unwrap_or_default();
        if let Some(slot) = self.outward_by_tag.get(tag).copied() {
            return self.in_outward(slot, |watch, desk| watch.handle_notify(Some(key), request, desk, now));
        }
        let Some(slot) = self.inward_by_tag.get(tag).copied() else {
            return self.desk.respond(key, Response::to(request, 481));
        };
        match admit(request, &self.desk.subscriptions, PIDF_TYPE) {
            Ok(asked) => {
                self.in_inward(slot, |watch, desk| {
                    watch.handle_inside(tag, key, request, &asked, desk, now);
                });
            }
            Err(refusal) => self.desk.respond(key, refusal),
        }
    }

    /// Takes a BENOTIFY in a dialog of ours: a NOTIFY that is not answered, whatever becomes of it (MS-PRES §3.7).
    pub fn handle_best_effort(&mut self, request: &Request, now: Now) {
        let tag = request.to().tag().unwrap_or_default();
        if let Some(slot) = self.outward_by_tag.get(tag).copied() {
            self.in_outward(slot, |watch, desk| watch.handle_notify(None, request, desk, now));
        }
    }

    /// Learns that the XMPP side has heard what a SIP user decided.
    pub fn handle_told(&mut self, name: WatchWord) {
        if let Some((slot, authorisation)) = self.desk.words.remove(&name) {
            self.in_outward(slot, |watch, desk| watch.handle_told(authorisation, desk));
        }
    }

    /// Hears the final answer to a request.
    pub fn handle_response(&mut self, name: WatchRequest, response: &Response, now: Now) {
        let Some(asker) = self.desk.requests.remove(&name) else { return };
        let domain = self.domain_of(&asker);
        let is_back = domain.as_ref().is_some_and(|domain| self.handle_sip_heard(domain, now));
        match asker {
            Asker::Outward(slot) => {
                self.in_outward(slot, |watch, desk| watch.handle_response(response, desk, now));
                if let Some(domain) = domain {
                    self.handle_dialog_answered(slot, &domain, response.status(), now);
                }
            }
            Asker::Inward(slot, tag) => {
                self.in_inward(slot, |watch, desk| watch.handle_response(&tag, response, desk, now));
            }
            Asker::Check(domain) => self.sip_answered(&domain, is_back, now),
        }
    }

    /// Learns that a NOTIFY was too long for the only way to its watcher: for a while documents for his domain are
    /// shortened to what fits.
    pub fn handle_oversized(&mut self, name: WatchRequest, now: Now) {
        if let Some(Asker::Inward(slot, _)) = self.desk.requests.get(&name)
            && let Some(watch) = self.inward.get(slot)
        {
            self.desk.handle_narrow(watch.pair().sip.domain(), now);
        }
    }

    /// Learns that a request has no final answer.
    pub fn handle_failure(&mut self, name: WatchRequest, failure: Failure, now: Now) {
        let Some(asker) = self.desk.requests.remove(&name) else { return };
        let failure = match self.domain_of(&asker) {
            Some(domain) if !matches!(asker, Asker::Check(_)) => self.excused(&domain, failure, now),
            Some(_) | None => failure,
        };
        match asker {
            Asker::Outward(slot) => {
                self.in_outward(slot, |watch, desk| watch.handle_failure(failure, desk, now));
            }
            Asker::Inward(slot, tag) => {
                self.in_inward(slot, |watch, desk| watch.handle_failure(&tag, &failure, desk, now));
            }
            Asker::Check(domain) => self.sip_failed(&domain, &failure, now),
        }
    }

    /// Returns the SIP domain that a request of ours went to.
    fn domain_of(&self, asker: &Asker) -> Option<DomainName> {
        let pair = match asker {
            Asker::Outward(slot) => self.outward.get(slot)?.pair(),
            Asker::Inward(slot, _) => self.inward.get(slot)?.pair(),
            Asker::Check(domain) => return Some(domain.clone()),
        };
        Some(pair.sip.domain().clone())
    }

    /// Returns whether nothing waits for an answer.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let is_check = |asker: &Asker| matches!(asker, Asker::Check(_));
        self.desk.requests.values().all(is_check) && self.errands.is_empty()
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.run_errands(now);
        self.make_rounds(now);
        while let Some(first) = self.deadlines.first().copied() {
            let (at, direction, slot) = first;
            if at > now.moment {
                break;
            }
            self.deadlines.remove(&first);
            match direction {
                WatchDirection::Outward => self.wake_outward(slot, now),
                WatchDirection::Inward => self.wake_inward(slot, now),
            }
        }
    }

    fn wake_outward(&mut self, slot: Slot, now: Now) {
        let Some(watch) = self.outward.get_mut(&slot) else { return };
        watch.scheduled = None;
        if watch.poll_timeout().is_some_and(|next| next <= now.moment) {
            watch.handle_timeout(&mut self.desk, now);
        }
        self.settle_outward(slot);
    }

    fn wake_inward(&mut self, slot: Slot, now: Now) {
        let Some(watch) = self.inward.get_mut(&slot) else { return };
        watch.scheduled = None;
        if watch.poll_timeout().is_some_and(|next| next <= now.moment) {
            watch.handle_timeout(&mut self.desk, now);
        }
        self.settle_inward(slot);
    }

    /// Returns when to call [`Self::handle_timeout`]; it may turn out that nothing is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let deadline = self.deadlines.first().map(|(at, ..)| *at);
        earliest(deadline, earliest(self.errands.poll_timeout(), self.next_round()))
    }

    /// Returns what is wanted next; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<Effect> {
        self.desk.outputs.pop_front()
    }

    /// Returns how many there are.
    #[must_use]
    pub fn count(&self) -> WatchCount {
        WatchCount { outward: self.outward.len(), inward: self.inward.len() }
    }

    /// Returns the watches in which a user takes part, by his bare address; all of them without one.
    #[must_use]
    pub fn states(&self, user: Option<&str>, now: Now) -> Vec<WatchState> {
        let concerns =
            |pair: &Pair| user.is_none_or(|user| pair.xmpp.bare_str() == user || pair.sip.bare_str() == user);
        let outward =
            self.outward.values().filter(|watch| concerns(watch.pair())).map(|watch| watch.state(now));
        let inward =
            self.inward.values().filter(|watch| concerns(watch.pair())).map(|watch| watch.state(now));
        outward.chain(inward).collect()
    }

    fn slot(&mut self) -> Slot {
        self.next_slot = self.next_slot.wrapping_add(1);
        self.next_slot
    }

    fn may_watch(&self, watcher: &str) -> bool {
        self.watching.get(watcher).is_none_or(|count| *count < self.desk.settings.watches.watched_max)
    }

    fn begin_outward(&mut self, pair: &Arc<Pair>) -> bool {
        if !self.may_watch(pair.xmpp.bare_str()) {
            return false;
        }
        let slot = self.slot();
        match Outward::new(slot, pair, &self.desk) {
            Some(watch) => {
                self.insert_outward(slot, watch);
                true
            }
            None => false,
        }
    }

    fn insert_outward(&mut self, slot: Slot, watch: Outward) {
        let pair = Arc::clone(watch.pair());
        *self.watching.entry(pair.xmpp.bare_str().into()).or_default() += 1;
        self.outward_by_pair.insert(Arc::clone(&pair.key), slot);
        let other = self.inward_by_pair.get(&pair.key).and_then(|slot| self.inward.get_mut(slot));
        if let (Some(nick), Some(other)) = (watch.nick(), other) {
            other.handle_nick(&nick);
        }
        self.outward.insert(slot, Box::new(watch));
        self.settle_outward(slot);
    }

    fn insert_inward(&mut self, slot: Slot, mut watch: Inward) {
        let pair = Arc::clone(watch.pair());
        let other = self.outward_by_pair.get(&pair.key).and_then(|slot| self.outward.get(slot));
        if let Some(nick) = other.and_then(|other| other.nick()) {
            watch.handle_nick(&nick);
        }
        *self.watching.entry(pair.sip.bare_str().into()).or_default() += 1;
        self.inward_by_pair.insert(Arc::clone(&pair.key), slot);
        self.inward.insert(slot, Box::new(watch));
    }

    fn with_outward(&mut self, pair: &Arc<Pair>, act: impl FnOnce(&mut Outward, &mut Desk)) {
        if let Some(slot) = self.outward_by_pair.get(&pair.key).copied() {
            self.in_outward(slot, act);
        }
    }

    fn in_outward(&mut self, slot: Slot, act: impl FnOnce(&mut Outward, &mut Desk)) {
        if let Some(watch) = self.outward.get_mut(&slot) {
            act(watch, &mut self.desk);
        }
        self.settle_outward(slot);
    }

    fn with_inward(&mut self, pair: &Arc<Pair>, act: impl FnOnce(&mut Inward, &mut Desk)) {
        if let Some(slot) = self.inward_by_pair.get(&pair.key).copied() {
            self.in_inward(slot, act);
        }
    }

    fn in_inward(&mut self, slot: Slot, act: impl FnOnce(&mut Inward, &mut Desk)) {
        if let Some(watch) = self.inward.get_mut(&slot) {
            act(watch, &mut self.desk);
        }
        self.settle_inward(slot);
    }

    /// After any input: the watch's tag and deadline are known, or it is forgotten.
    fn settle_outward(&mut self, slot: Slot) {
        self.count_waiting(slot);
        let Some(watch) = self.outward.get_mut(&slot) else { return };
        let tag = if watch.is_over() { None } else { watch.tag() };
        if watch.listed.as_deref() != tag {
            let tag: Option<Arc<str>> = tag.map(Into::into);
            if let Some(old) = std::mem::replace(&mut watch.listed, tag.clone()) {
                self.outward_by_tag.remove(&old);
            }
            if let Some(tag) = tag {
                self.outward_by_tag.insert(tag, slot);
            }
        }
        if watch.is_over() {
            let pair = Arc::clone(watch.pair());
            if let Some(at) = watch.scheduled {
                self.deadlines.remove(&(at, WatchDirection::Outward, slot));
            }
            self.outward.remove(&slot);
            self.outward_by_pair.remove(&pair.key);
            return self.forget_watcher(pair.xmpp.bare_str());
        }
        let wanted = watch.poll_timeout();
        schedule(&mut self.deadlines, wanted, &mut watch.scheduled, (WatchDirection::Outward, slot));
    }

    fn settle_inward(&mut self, slot: Slot) {
        let Some(watch) = self.inward.get_mut(&slot) else { return };
        if !watch.tags().eq(watch.listed.iter().map(|tag| &**tag)) {
            let tags: Vec<Arc<str>> = watch.tags().map(Into::into).collect();
            for old in std::mem::replace(&mut watch.listed, tags.clone()) {
                self.inward_by_tag.remove(&old);
            }
            for tag in tags {
                self.inward_by_tag.insert(tag, slot);
            }
        }
        let wanted = watch.poll_timeout();
        schedule(&mut self.deadlines, wanted, &mut watch.scheduled, (WatchDirection::Inward, slot));
        let pair = Arc::clone(watch.pair());
        let (farewell, over, scheduled) = (watch.take_farewell(), watch.is_over(), watch.scheduled);
        // Whoever is seen to be available by the other direction's dialog has not gone.
        let seen = || self.outward_by_pair.get(&pair.key).and_then(|slot| self.outward.get(slot));
        if farewell && !seen().is_some_and(|watch| watch.is_available()) {
            self.desk.stanza(&pair, gone(&pair));
        }
        if over {
            if let Some(at) = scheduled {
                self.deadlines.remove(&(at, WatchDirection::Inward, slot));
            }
            self.inward.remove(&slot);
            self.inward_by_pair.remove(&pair.key);
            self.forget_watcher(pair.sip.bare_str());
        }
    }

    fn forget_watcher(&mut self, watcher: &str) {
        if let Some(count) = self.watching.get_mut(watcher) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.watching.remove(watcher);
            }
        }
    }
}

/// Sets a deadline if it is earlier than the one that is set, which it replaces: there is one for each watch at most.
fn schedule(
    deadlines: &mut BTreeSet<(Moment, WatchDirection, Slot)>,
    wanted: Option<Moment>,
    scheduled: &mut Option<Moment>,
    (direction, slot): (WatchDirection, Slot),
) {
    let Some(at) = wanted.filter(|at| scheduled.is_none_or(|scheduled| *at < scheduled)) else { return };
    if let Some(old) = scheduled.replace(at) {
        deadlines.remove(&(old, direction, slot));
    }
    deadlines.insert((at, direction, slot));
}

/// Tells whether an error says that a server could not be reached at all.
fn is_unreachable(error: &StanzaError) -> bool {
    matches!(error.condition, StanzaCondition::RemoteServerNotFound | StanzaCondition::RemoteServerTimeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_has_one_deadline_however_often_something_nearer_comes_between() {
        let at = |seconds| Moment::ZERO + Duration::from_secs(seconds);
        let name = (WatchDirection::Inward, 1);
        let (mut deadlines, mut scheduled) = (BTreeSet::new(), None);

        for turn in 0..1000 {
            // The refresh in some hours, the pace in five seconds, and what is later than both.
            for seconds in [28_800, 5 * (turn + 1), 86_400] {
                schedule(&mut deadlines, Some(at(seconds)), &mut scheduled, name);
            }
            assert_eq!(deadlines.first(), Some(&(at(5 * (turn + 1)), name.0, name.1)));
            assert_eq!(deadlines.len(), 1);
            deadlines.clear();
            scheduled = None;
        }
    }
}
