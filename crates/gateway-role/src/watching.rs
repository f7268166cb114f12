//! Watches carried out: what they order goes to the endpoint, the link and the store, and what comes from there goes to
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now};
use sip_proto::endpoint::{ServerKey, Source};
use sip_types::{Method, Request};
use xmpp_proto::link::ReceivedId;
use xmpp_types::stanza;
use xmpp_types::xml::Element;

use crate::conversation::Pair;
use crate::gateway::{Gateway, Ours, Output};
use crate::links::Sent;
use crate::notice::{Notice, Private};
use crate::policy::Access;
use crate::record::{NotStored, Record, Ticket};
use crate::watch::{Effect, WatchDirection, WatchRecord};

/// Tickets of watches begin here; those of messages never come so far.
const FIRST_TICKET: u64 = 1 << 63;

/// Presence that waits until the disk knows of what devices it tells, pair by pair: whoever shows a device must be able to
/// take it back after a crash.
#[derive(Debug, Default)]
pub(crate) struct Unshown {
    pairs: BTreeMap<Ticket, Arc<Pair>>,
    /// By [`Pair::key`], with the last record that must be stored before.
    stanzas: BTreeMap<Arc<str>, (Ticket, Vec<Element>)>,
}

impl Unshown {
    /// What is said to this pair from now on waits for a record.
    fn begin(&mut self, pair: &Arc<Pair>, ticket: Ticket) {
        self.pairs.insert(ticket, Arc::clone(pair));
        self.stanzas.entry(Arc::clone(&pair.key)).or_insert((ticket, Vec::new())).0 = ticket;
    }

    /// Keeps a stanza that must wait, and gives any other back.
    fn hold(&mut self, pair: &Pair, stanza: Element) -> Option<Element> {
        match self.stanzas.get_mut(&pair.key) {
            Some((_, stanzas)) => {
                stanzas.push(stanza);
                None
            }
            None => Some(stanza),
        }
    }

    /// A record has been written, or cannot be; returns what need not wait any longer.
    fn end(&mut self, ticket: Ticket) -> Option<(Arc<Pair>, Vec<Element>)> {
        let pair = self.pairs.remove(&ticket)?;
        if self.stanzas.get(&pair.key).is_none_or(|(last, _)| *last != ticket) {
            return None;
        }
        let (_, stanzas) = self.stanzas.remove(&pair.key)?;
        Some((pair, stanzas))
    }

    /// Returns whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }
}

/// What SIP users' programs hear, and waits until the disk knows of their dialogs: after a crash a program must not believe in
/// a dialog of which nobody else knows.
#[derive(Debug, Default)]
pub(crate) struct Unsaid {
    /// The record that what is ordered now must wait for.
    after: Option<Ticket>,
    effects: BTreeMap<Ticket, Vec<Effect>>,
}

impl Unsaid {
    /// What is said from now on, until nothing more is wanted, waits for a record.
    fn begin(&mut self, ticket: Ticket) {
        self.after = Some(ticket);
    }

    /// Nothing more is wanted.
    fn rest(&mut self) {
        self.after = None;
    }

    /// Keeps what must wait, and gives anything else back.
    fn hold(&mut self, effect: Effect) -> Option<Effect> {
        match (self.after, &effect) {
            (Some(ticket), Effect::Respond { .. } | Effect::Send { .. }) => {
                self.effects.entry(ticket).or_default().push(effect);
                None
            }
            _ => Some(effect),
        }
    }

    /// A record has been written, or cannot be; returns what need not wait any longer.
    fn end(&mut self, ticket: Ticket) -> Vec<Effect> {
        self.effects.remove(&ticket).unwrap_or_default()
    }

    /// Returns whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }
}

/// Records of watches until the disk has them: those that it could not take are offered again, in their order. A stanza whose
/// record is not stored stays unsettled, holds up the acknowledgement of all that follows, and would come again much later.
#[derive(Debug, Default)]
pub(crate) struct Unkept {
    under_way: BTreeMap<Ticket, WatchRecord>,
    waiting: BTreeMap<Ticket, WatchRecord>,
    again: Option<Moment>,
}

/// Until a disk that could not take a record is tried again.
const DISK_RESTS: Duration = Duration::from_secs(2);
/// Records that wait for the disk; further ones are lost with the process.
const UNKEPT_MAX: usize = 100_000;

impl Unkept {
    /// Takes a record; gives it back if it may go to the disk now.
    fn begin(&mut self, ticket: Ticket, record: WatchRecord) -> Option<WatchRecord> {
        if self.waiting.is_empty() {
            self.under_way.insert(ticket, record.clone());
            return Some(record);
        }
        if self.waiting.len() < UNKEPT_MAX {
            self.waiting.insert(ticket, record);
        }
        None
    }

    /// Learns what became of a record.
    fn end(&mut self, ticket: Ticket, is_stored: bool, now: Now) {
        if let Some(record) = self.under_way.remove(&ticket)
            && !is_stored
        {
            self.waiting.insert(ticket, record);
            self.again.get_or_insert(now.moment + DISK_RESTS);
        }
    }

    /// Returns what to offer to the disk again.
    fn take_due(&mut self, now: Now) -> BTreeMap<Ticket, WatchRecord> {
        if self.again.is_none_or(|again| again > now.moment) {
            return BTreeMap::new();
        }
        self.again = None;
        let due = std::mem::take(&mut self.waiting);
        self.under_way.extend(due.iter().map(|(ticket, record)| (*ticket, record.clone())));
        due
    }

    /// Returns when to call [`Gateway::keep_again`].
    pub(crate) const fn poll_timeout(&self) -> Option<Moment> {
        self.again
    }
}

impl Gateway {
    /// Offers to the disk again what it could not take.
    pub(crate) fn keep_again(&mut self, now: Now) {
        for (ticket, record) in self.unkept.take_due(now) {
            self.outputs.push_back(Output::Record { ticket, record: Record::Watch(Box::new(record)) });
        }
    }

    /// Takes a presence stanza. What it changes for good is on disk before the link hears that it is settled, so that a
    /// permission that a user gave is not lost with the process.
    pub(crate) fn handle_presence_stanza(
        &mut self,
        link: usize,
        n: ReceivedId,
        presence: &Element,
        now: Now,
    ) {
        let parties = stanza::from(presence).ok().flatten().zip(stanza::to(presence).ok().flatten());
        let Some((from, to)) = parties else { return self.links.settle(link, n, now) };
        if self.settings.domain(to.domain()).is_none() || to.local().is_none() {
            return self.links.settle(link, n, now);
        }
        let after = match self.settings.policy.judge(&to).access {
            Access::Allowed => Duration::ZERO,
            Access::Refused => self.unknown.answers_after(to.domain()),
        };
        let before = self.next_watch_ticket;
        self.watches.handle_presence(presence, &from, &to, after, now);
        self.pump_watches(now);
        if self.next_watch_ticket == before {
            return self.links.settle(link, n, now);
        }
        self.unstored.insert(Ticket(FIRST_TICKET + self.next_watch_ticket - 1), (link, n));
    }

    /// Learns what became of a record of a watch.
    pub(crate) fn watch_stored(&mut self, ticket: Ticket, stored: &Result<(), NotStored>, now: Now) {
        self.unkept.end(ticket, stored.is_ok(), now);
        if stored.is_ok()
            && let Some((link, n)) = self.unstored.remove(&ticket)
        {
            self.links.settle(link, n, now);
        }
        for effect in self.unsaid.end(ticket) {
            self.handle_watch_effect(effect, now);
        }
        // A disk that is full keeps nobody from seeing; only a restart right then could leave something shown.
        if let Some((pair, stanzas)) = self.unshown.end(ticket) {
            for stanza in stanzas {
                self.show(&pair, stanza, now);
            }
        }
    }

    fn show(&mut self, pair: &Pair, stanza: Element, now: Now) {
        self.links.send(stanza, Sent::Courtesy, || format!("{} {}", pair.sip, pair.xmpp), now);
    }

    /// Takes a SUBSCRIBE that is in no dialog.
    pub(crate) fn handle_subscribe(&mut self, key: ServerKey, request: &Request, source: &Source, now: Now) {
        match self.admit_users(request, source, &[]) {
            Ok((to, from)) => {
                let pair = Arc::new(Pair::new(&to, &from));
                self.watches.handle_subscribe(key, request, &pair, now);
            }
            Err(response) => self.endpoint.respond(key, *response, now),
        }
    }

    /// Takes a request in a dialog of a watch; `false` if it is in none.
    pub(crate) fn handle_watch_inside(
        &mut self,
        key: ServerKey,
        request: &Request,
        source: &Source,
        now: Now,
    ) -> bool {
        if !matches!(request.method(), Method::Subscribe | Method::Notify) {
            return false;
        }
        let Some(pair) = self.watches.pair_of(request).map(Arc::clone) else { return false };
        match self.admit_to_watch(&pair, source) {
            Ok(()) => {
                self.watches.handle_sip_heard(pair.domain(), now);
                self.watches.handle_inside(key, request, now);
            }
            Err(reason) => {
                let reason = format!("{} may not speak for {}: {reason}", source.remote, pair.domain());
                let response = self.refuse(request, 403, &reason);
                self.endpoint.respond(key, *response, now);
            }
        }
        true
    }

    fn admit_to_watch(&self, pair: &Pair, source: &Source) -> Result<(), String> {
        match self.settings.domain(pair.domain()) {
            None => Err("its domain is no longer served here".to_owned()),
            Some(domain) => domain.peers.admit(source),
        }
    }

    /// Hears a BENOTIFY, which comes from servers that take it for understood that we take it.
    pub(crate) fn hear_best_effort(&mut self, request: &Request, source: &Source, now: Now) {
        let pair = self.watches.pair_of(request).map(Arc::clone);
        if pair.is_some_and(|pair| self.admit_to_watch(&pair, source).is_ok()) {
            self.watches.handle_best_effort(request, now);
        }
    }

    /// Carries out what the watches want.
    pub(crate) fn handle_watch_effect(&mut self, effect: Effect, now: Now) {
        let Some(effect) = self.unsaid.hold(effect) else { return };
        match effect {
            Effect::Stanza { pair, stanza } => {
                if let Some(stanza) = self.unshown.hold(&pair, stanza) {
                    self.show(&pair, stanza, now);
                }
            }
            Effect::Check { name, pair, stanza } => {
                self.links.send(stanza, Sent::Check(name), || format!("{} {}", pair.sip, pair.xmpp), now);
            }
            Effect::Word { name, pair, stanza } => {
                self.links.send(stanza, Sent::Word(name), || format!("{} {}", pair.sip, pair.xmpp), now);
            }
            Effect::Send { name, request, domain } => {
                let settings = Arc::clone(&self.settings);
                match settings.domain(&domain) {
                    Some(domain) => {
                        self.send(Ours::Watch { name, sent: now.moment }, *request, &domain.route, now);
                    }
                    None => {
                        let reason = "its domain is no longer served here".to_owned();
                        let failure = sip_proto::endpoint::Failure::NoTransport { reason };
                        self.watches.handle_failure(name, failure, now);
                    }
                }
            }
            Effect::Respond { key, response } => self.endpoint.respond(key, *response, now),
            Effect::Record(record) => {
                let ticket = Ticket(FIRST_TICKET + self.next_watch_ticket);
                self.next_watch_ticket += 1;
                // A disk that is full keeps nobody from seeing: then nothing waits for it.
                let Some(record) = self.unkept.begin(ticket, record) else { return };
                match &record {
                    WatchRecord::Shown { pair, .. } => self.unshown.begin(pair, ticket),
                    WatchRecord::Dialog { direction: WatchDirection::Inward, .. } => {
                        self.unsaid.begin(ticket);
                    }
                    _ => {}
                }
                self.outputs.push_back(Output::Record { ticket, record: Record::Watch(Box::new(record)) });
            }
            Effect::Changed { direction, pair, change } => {
                let (xmpp, sip) = (Private(pair.xmpp.to_string()), Private(pair.sip.to_string()));
                self.notice(Notice::Watch { direction, xmpp, sip, change });
            }
            Effect::Lost { direction, pair, losses } => {
                let (xmpp, sip) = (Private(pair.xmpp.to_string()), Private(pair.sip.to_string()));
                self.notice(Notice::WatchLost { direction, xmpp, sip, losses });
            }
        }
    }

    /// Carries out what the watches want next; tells whether they wanted anything.
    pub(crate) fn pump_watch(&mut self, now: Now) -> bool {
        let effect = self.watches.poll_output();
        let wants = effect.is_some();
        match effect {
            Some(effect) => self.handle_watch_effect(effect, now),
            None => self.unsaid.rest(),
        }
        wants
    }

    fn pump_watches(&mut self, now: Now) {
        while self.pump_watch(now) {}
    }
}
