//! Domains that are looked after, and what follows when one is gone or back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clock_types::{Moment, Now, earliest};
use sip_proto::endpoint::Failure;
use xmpp_types::jid::DomainName;

use super::super::desk::{Asker, Slot};
use super::super::effect::{Effect, WatchCheck, WatchRequest};
use super::super::errands::Errand;
use super::super::reach::Reach;
use super::{RATE, Watches};

/// How often it is counted anew which domains are watched.
const COUNT: Duration = Duration::from_secs(600);
/// How long a transaction lasts that nobody answers (Timer F, RFC 3261 §17.1.2.2).
const TRANSACTION: Duration = Duration::from_secs(30);
/// How long broken streams of a domain are no news.
const CALM: Duration = Duration::from_secs(20);
/// How long a NOTIFY rests that fell into an outage.
const REST: Duration = Duration::from_secs(15);

/// What is looked after.
#[derive(Debug)]
pub(super) struct Rounds {
    xmpp: Reach,
    sip: Reach,
    counted: Option<Moment>,
    /// The question that each XMPP domain has not answered.
    checks: BTreeMap<WatchCheck, DomainName>,
    last_check: u64,
    /// When a stream with an XMPP domain broke last; only for a while.
    broken: BTreeMap<DomainName, Moment>,
    /// SIP domains that have forgotten a dialog, and perhaps all of them.
    doubts: BTreeMap<DomainName, Doubt>,
    /// Whose turn it was last to carry a question.
    turn: Slot,
    /// The same for refreshes that look whether SIP servers know of dialogs.
    sip_turn: Slot,
    /// Nobody is asked any more.
    over: bool,
}

/// A SIP domain did not know a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Another watch asks about its own.
    Asked(Slot, Moment),
    /// It did not know that either: all ask.
    Answered(Moment),
}

impl Doubt {
    /// Tells whether it is too old to say anything.
    fn is_over(self, now: Now) -> bool {
        let over = match self {
            Self::Asked(_, since) => since + TRANSACTION * 2,
            Self::Answered(since) => since + COUNT,
        };
        over <= now.moment
    }
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            xmpp: Reach::default(),
            sip: Reach::of_servers_that_prove_to_answer(),
            counted: None,
            checks: BTreeMap::new(),
            last_check: 0,
            broken: BTreeMap::new(),
            doubts: BTreeMap::new(),
            turn: 0,
            sip_turn: 0,
            over: false,
        }
    }
}

impl Watches {
    fn every(&self) -> Option<Duration> {
        self.desk.settings.watches.check_every.filter(|_| !self.rounds.over)
    }

    /// Does what is due.
    pub(super) fn make_rounds(&mut self, now: Now) {
        let Some(every) = self.every() else { return };
        if self.rounds.counted.is_none_or(|counted| counted + COUNT <= now.moment) {
            self.count_domains(every, now);
        }
        for domain in self.rounds.xmpp.overdue(now) {
            self.xmpp_gone(&domain, now);
        }
        for domain in self.rounds.sip.overdue(now) {
            self.sip_gone(&domain, now);
        }
        for domain in self.rounds.xmpp.due(now) {
            self.ask_xmpp(&domain);
        }
        for domain in self.rounds.sip.due(now) {
            self.ask_sip(&domain);
        }
    }

    pub(super) fn next_round(&self) -> Option<Moment> {
        self.every()?;
        if self.outward.is_empty() && self.inward.is_empty() && self.rounds.xmpp.is_empty() {
            return None;
        }
        let count = self.rounds.counted.map_or(Moment::ZERO, |counted| counted + COUNT);
        let domains = earliest(self.rounds.xmpp.poll_timeout(), self.rounds.sip.poll_timeout());
        earliest(domains, Some(count))
    }

    /// Ends it.
    pub(super) fn end_rounds(&mut self) {
        self.rounds = Rounds { over: true, ..Rounds::default() };
    }

    fn count_domains(&mut self, every: Duration, now: Now) {
        let watched = self.inward.values().filter(|watch| watch.is_seen());
        let xmpp: BTreeSet<DomainName> = watched.map(|watch| watch.pair().xmpp.domain().clone()).collect();
        let asked = self.outward.values().filter(|watch| watch.is_asked());
        let sip: BTreeSet<DomainName> = asked.map(|watch| watch.pair().sip.domain().clone()).collect();
        let rounds = &mut self.rounds;
        rounds.counted = Some(now.moment);
        rounds.sip.want_only(&sip);
        // One that is down is looked after until those who missed something have been told.
        let kept = |domain: &DomainName| xmpp.contains(domain) || rounds.xmpp.is_down(domain);
        let known: BTreeSet<DomainName> =
            rounds.xmpp.domains().filter(|domain| kept(domain)).cloned().collect();
        rounds.xmpp.want_only(&known);
        xmpp.iter().for_each(|domain| rounds.xmpp.want(domain, every, now));
        sip.iter().for_each(|domain| rounds.sip.want(domain, every, now));
    }

    /// Looks after the domains of a watch that begins.
    pub(super) fn look_after(&mut self, xmpp: Option<&DomainName>, sip: Option<&DomainName>, now: Now) {
        let Some(every) = self.every() else { return };
        if let Some(domain) = xmpp {
            self.rounds.xmpp.want(domain, every, now);
        }
        if let Some(domain) = sip {
            self.rounds.sip.want(domain, every, now);
        }
    }

    /// Asks an XMPP domain something: the presence of one of its users, each time of another one; or it is told of one
    /// who may have been missed. That the stanza is settled is the answer: whatever comes of it, the partner has it.
    fn ask_xmpp(&mut self, domain: &DomainName) {
        let rounds = &mut self.rounds;
        rounds.checks.retain(|_, checked| checked != domain);
        let after = self.inward.range(rounds.turn.wrapping_add(1)..).chain(self.inward.range(..=rounds.turn));
        let mut seen = after.filter(|(_, watch)| watch.is_seen() && watch.pair().xmpp.domain() == domain);
        let inward = seen.next().map(|(slot, watch)| (Some(*slot), watch.question()));
        let of_outward = || {
            let mut missed = self.outward.values().filter(|watch| watch.pair().xmpp.domain() == domain);
            missed.find(|watch| watch.has_missed()).map(|watch| (None, watch.last_word(&self.desk)))
        };
        let Some((slot, (pair, stanza))) = inward.or_else(of_outward) else {
            return rounds.xmpp.forget(domain);
        };
        rounds.turn = slot.unwrap_or(rounds.turn);
        rounds.last_check += 1;
        let name = WatchCheck(rounds.last_check);
        rounds.checks.insert(name, domain.clone());
        self.desk.outputs.push_back(Effect::Check { name, pair, stanza });
    }

    /// Asks a SIP domain whether it is there (RFC 3261 §11), in the name of somebody who watches there: whatever it answers,
    /// it is.
    fn ask_sip(&mut self, domain: &DomainName) {
        let mut asked = self.outward.values().filter(|watch| watch.pair().sip.domain() == domain);
        let Some(pair) = asked.find(|watch| watch.is_asked()).map(|watch| watch.pair().clone()) else {
            return self.rounds.sip.forget(domain);
        };
        if let Some(request) = self.desk.options(&pair) {
            self.desk.send(Asker::Check(domain.clone()), Box::new(request), domain);
        }
    }

    /// Returns the SIP domain that a request without an answer went to.
    #[must_use]
    pub fn domain_asked(&self, name: WatchRequest) -> Option<DomainName> {
        self.domain_of(self.desk.requests.get(&name)?)
    }

    /// Learns that a question to an XMPP domain is settled.
    pub fn handle_checked(&mut self, name: WatchCheck, now: Now) {
        if let Some(domain) = self.rounds.checks.remove(&name) {
            self.handle_xmpp_heard(&domain, now);
        }
    }

    /// Learns that anything came from an XMPP domain.
    pub fn handle_xmpp_heard(&mut self, domain: &DomainName, now: Now) {
        let Some(every) = self.every().filter(|_| !self.rounds.xmpp.is_empty()) else { return };
        if self.rounds.xmpp.heard(domain, every, now) {
            self.xmpp_back(domain, now);
        }
    }

    /// Learns that a stanza could not be handed to an XMPP domain.
    pub(super) fn xmpp_failed(&mut self, domain: &DomainName, now: Now) {
        if self.every().is_none() {
            return;
        }
        // What was asked comes back as well, and is settled by that.
        self.rounds.checks.retain(|_, checked| checked != domain);
        if self.rounds.xmpp.failed(domain, now) {
            self.xmpp_gone(domain, now);
        }
    }

    /// Learns that anything came from a SIP domain; tells whether it is back by that.
    pub fn handle_sip_heard(&mut self, domain: &DomainName, now: Now) -> bool {
        let Some(every) = self.every().filter(|_| !self.rounds.sip.is_empty()) else { return false };
        let is_back = self.rounds.sip.heard(domain, every, now);
        if is_back {
            self.sip_back(domain, now);
        }
        is_back
    }

    /// Learns that a SIP domain has answered a check: it is there, and may have forgotten every dialog since it was there
    /// last. One of them, each time another one, is refreshed to see; a domain that is back is asked about all anyway.
    pub(super) fn sip_answered(&mut self, domain: &DomainName, is_back: bool, now: Now) {
        self.rounds.sip.answered(domain);
        if is_back {
            return;
        }
        if let Some(slot) = self.next_asked(self.rounds.sip_turn, domain) {
            self.rounds.sip_turn = slot;
            self.run_round(Errand::Refresh(slot), now);
        }
    }

    /// Returns the next outward watch of a SIP domain that asks; this one's turn comes last.
    fn next_asked(&self, after: Slot, domain: &DomainName) -> Option<Slot> {
        let others = self.outward.range(after.wrapping_add(1)..).chain(self.outward.range(..=after));
        let mut asked = others.filter(|(_, watch)| watch.is_asked() && watch.pair().sip.domain() == domain);
        asked.next().map(|(slot, _)| *slot)
    }

    /// Learns what a SIP domain says of the dialog of an outward watch. One that it has forgotten (481) is begun anew by its
    /// watch; but a server that began anew has forgotten them all, and nobody would notice before each is refreshed. So
    /// another watch asks; if its dialog is unknown, too, all ask in turn.
    pub(super) fn handle_dialog_answered(&mut self, slot: Slot, domain: &DomainName, status: u16, now: Now) {
        let doubt = self.rounds.doubts.get(domain).copied().filter(|doubt| !doubt.is_over(now));
        match doubt {
            Some(Doubt::Asked(asked, _)) if asked == slot => {
                self.rounds.doubts.remove(domain);
                if status == 481 {
                    self.rounds.doubts.insert(domain.clone(), Doubt::Answered(now.moment));
                    self.sip_back(domain, now);
                }
            }
            Some(_) => {}
            None if status != 481 || self.rounds.over || self.errands.is_busy(domain) => {}
            None => self.doubt(slot, domain, now),
        }
    }

    fn doubt(&mut self, slot: Slot, domain: &DomainName, now: Now) {
        self.rounds.doubts.retain(|_, doubt| !doubt.is_over(now));
        let Some(other) = self.next_asked(slot, domain).filter(|other| *other != slot) else { return };
        self.rounds.doubts.insert(domain.clone(), Doubt::Asked(other, now.moment));
        self.run_round(Errand::Refresh(other), now);
    }

    /// Learns that a SIP domain has not answered a check.
    pub(super) fn sip_failed(&mut self, domain: &DomainName, failure: &Failure, now: Now) {
        // A server that asked for peace is there.
        if !matches!(failure, Failure::Resting { .. }) && self.rounds.sip.failed(domain, now) {
            self.sip_gone(domain, now);
        }
    }

    /// Returns what a failure means while a SIP domain may be down: a watcher who is behind an outage has not forgotten.
    pub(super) fn excused(&mut self, domain: &DomainName, failure: Failure, now: Now) -> Failure {
        if self.every().is_none() {
            return failure;
        }
        let rounds = &mut self.rounds;
        match failure {
            Failure::Timeout { .. }
                if rounds.sip.is_down(domain) || rounds.sip.is_silent(domain, TRANSACTION, now) =>
            {
                rounds.sip.suspect(domain, now);
                Failure::Resting { retry_after: REST }
            }
            failure => {
                rounds.sip.suspect(domain, now);
                failure
            }
        }
    }

    /// After the proxy began anew, what came meanwhile may be lost.
    pub fn handle_renewed(&mut self, now: Now) {
        let slots: Vec<Slot> =
            self.inward.iter().filter(|(_, watch)| watch.is_seen()).map(|(slot, _)| *slot).collect();
        slots.into_iter().for_each(|slot| self.probe_in_turn(slot, now));
        self.run_errands(now);
    }

    /// Learns that a stream with an XMPP domain broke: those who are seen may have gone with it. They are asked for in turn,
    /// and not again and again where streams break all the time; where the domain is gone, the questions come back.
    pub fn handle_broken(&mut self, domain: &DomainName, now: Now) {
        let before = self.rounds.broken.get(domain).copied();
        self.rounds.broken.retain(|_, at| now.moment < *at + CALM);
        if before.is_some_and(|at| now.moment < at + CALM) || self.rounds.over {
            return;
        }
        let seen =
            self.inward.iter().filter(|(_, watch)| watch.is_seen() && watch.pair().xmpp.domain() == domain);
        let slots: Vec<Slot> = seen.map(|(slot, _)| *slot).collect();
        if slots.is_empty() {
            return;
        }
        self.rounds.broken.insert(domain.clone(), now.moment);
        slots.into_iter().for_each(|slot| self.probe_in_turn(slot, now));
        self.run_errands(now);
    }

    fn xmpp_gone(&mut self, domain: &DomainName, now: Now) {
        let seen =
            self.inward.iter().filter(|(_, watch)| watch.is_seen() && watch.pair().xmpp.domain() == domain);
        let slots: Vec<(Slot, DomainName)> =
            seen.map(|(slot, watch)| (*slot, watch.pair().sip.domain().clone())).collect();
        for (slot, watchers) in slots {
            self.errands.push(&watchers, self.rate_of(&watchers), Errand::Close(slot), now);
        }
        self.run_errands(now);
    }

    fn xmpp_back(&mut self, domain: &DomainName, now: Now) {
        let seen = self.inward.iter().filter(|(_, watch)| watch.is_seen());
        let seen = seen.map(|(slot, watch)| (watch.pair(), Errand::Probe(*slot)));
        let missed = self.outward.iter().filter(|(_, watch)| watch.has_missed());
        let missed = missed.map(|(slot, watch)| (watch.pair(), Errand::Tell(*slot)));
        for (_, errand) in seen.chain(missed).filter(|(pair, _)| pair.xmpp.domain() == domain) {
            self.errands.push(domain, RATE, errand, now);
        }
        self.run_errands(now);
    }

    fn sip_gone(&mut self, domain: &DomainName, now: Now) {
        let shown = self.outward.iter().filter(|(_, watch)| watch.pair().sip.domain() == domain);
        for (slot, watch) in shown.filter(|(_, watch)| watch.is_available()) {
            self.errands.push(watch.pair().xmpp.domain(), RATE, Errand::Hide(*slot), now);
        }
        self.run_errands(now);
    }

    fn sip_back(&mut self, domain: &DomainName, now: Now) {
        let rate = self.rate_of(domain);
        let asked = self.outward.iter().filter(|(_, watch)| watch.pair().sip.domain() == domain);
        for (slot, _) in asked.filter(|(_, watch)| watch.is_asked()) {
            self.errands.push(domain, rate, Errand::Refresh(*slot), now);
        }
        self.run_errands(now);
    }

    /// Does an errand of these, if its reason still holds.
    pub(super) fn run_round(&mut self, errand: Errand, now: Now) {
        match errand {
            Errand::Close(slot) => {
                let domain = self.inward.get(&slot).map(|watch| watch.pair().xmpp.domain().clone());
                if domain.is_some_and(|domain| self.rounds.xmpp.is_down(&domain)) {
                    self.in_inward(slot, |watch, desk| watch.handle_unreachable(desk, now));
                }
            }
            Errand::Hide(slot) => {
                let domain = self.outward.get(&slot).map(|watch| watch.pair().sip.domain().clone());
                if domain.is_some_and(|domain| self.rounds.sip.is_down(&domain)) {
                    self.in_outward(slot, |watch, desk| watch.handle_unreachable(desk));
                }
            }
            Errand::Refresh(slot) => self.in_outward(slot, |watch, desk| watch.handle_reachable(desk, now)),
            Errand::Tell(slot) => self.in_outward(slot, |watch, desk| watch.tell_again(desk)),
            Errand::Probe(_) | Errand::Adopt(_) | Errand::Leave(_) => {}
        }
    }
}
