//! Who may watch at all: what proxies say of their partners, and the policy for users.

use std::sync::Arc;
use std::time::Duration;

use clock_types::Now;
use xmpp_proto::link::PartnerKind;
use xmpp_types::stanza::{self, PresenceType};
use xmpp_types::xml::Element;

use super::super::desk::Slot;
use super::super::outward::{Held, Outward};
use super::Watches;
use crate::conversation::Pair;
use crate::partners::Partners;

/// XMPP users of one domain who wait to be added by somebody: what keeps an evil provider from filling the disk.
const WAITING_MAX: usize = 10_000;

impl Watches {
    /// Tells whether the SIP user of a pair has added the XMPP user: by watching him, at least once. A poll adds nobody.
    #[must_use]
    pub fn has_added(&self, pair: &str) -> bool {
        let slot = self.inward_by_pair.get(pair);
        slot.and_then(|slot| self.inward.get(slot)).is_some_and(|watch| watch.has_asked())
    }

    /// Takes what the proxies say of their partners from now on.
    pub fn handle_partners(&mut self, partners: Arc<Partners>, now: Now) {
        let before = std::mem::replace(&mut self.desk.partners, partners);
        self.judge_all(now);
        let partners = Arc::clone(&self.desk.partners);
        let changed = |watch: &Outward| {
            let domain = watch.pair().xmpp.domain();
            let notes = |partners: &Partners| partners.kind_of(domain) == PartnerKind::Federated;
            notes(&before) != notes(&partners)
        };
        let slots: Vec<Slot> =
            self.outward.iter().filter(|(_, watch)| changed(watch)).map(|(slot, _)| *slot).collect();
        for slot in slots {
            self.in_outward(slot, |watch, desk| watch.handle_notes(desk, now));
        }
    }

    /// Holds back what may no longer go on, and lets go on what may again.
    pub(super) fn judge_all(&mut self, now: Now) {
        if !self.desk.partners.is_known() {
            return;
        }
        let judged = self.outward.iter().map(|(slot, watch)| (*slot, watch.held(), self.judge(watch.pair())));
        let changed: Vec<_> = judged.filter(|(_, before, after)| before != after).collect();
        for (slot, _, held) in changed {
            self.in_outward(slot, |watch, desk| {
                watch.hold(held, desk, now);
                if held == Some(Held::Refused) {
                    watch.deny_in(Duration::ZERO, now);
                }
            });
        }
    }

    /// A stranger is told the same whoever it is that he asks for.
    pub(super) fn judge(&self, pair: &Pair) -> Option<Held> {
        let unverified = self.desk.partners.kind_of(pair.xmpp.domain()) == PartnerKind::PublicUnverified;
        if unverified && !self.has_added(&pair.key) {
            return Some(Held::NotAdded);
        }
        (!self.desk.settings.policy.allows(&pair.sip)).then_some(Held::Refused)
    }

    /// An XMPP user asks to watch; `after` is when he is answered for a SIP user who may not federate.
    pub(super) fn subscribe(&mut self, pair: &Arc<Pair>, presence: &Element, after: Duration, now: Now) {
        let nick = self.hear_nick(pair, presence);
        let known = self.outward_by_pair.contains_key(&pair.key);
        let held = self.judge(pair);
        let is_full = held == Some(Held::NotAdded)
            && self.waiting.get(pair.xmpp.domain()).is_some_and(|waiting| *waiting >= WAITING_MAX);
        if !known && (is_full || !self.begin_outward(pair)) {
            let refusal = stanza::presence(Some(PresenceType::Unsubscribed), &pair.sip, &pair.xmpp);
            return self.desk.stanza(pair, refusal);
        }
        if held.is_none() {
            self.look_after(None, Some(pair.sip.domain()), now);
        }
        self.with_outward(pair, |watch, desk| {
            watch.hold(held, desk, now);
            watch.handle_subscribe(!known, nick.as_deref(), desk, now);
            if held == Some(Held::Refused) {
                watch.deny_in(after, now);
            }
        });
    }

    /// A SIP user has watched an XMPP user: what waited for that goes on.
    pub(super) fn added(&mut self, pair: &Arc<Pair>, now: Now) {
        let slot = self.outward_by_pair.get(&pair.key).copied();
        let waits = slot.and_then(|slot| self.outward.get(&slot)).is_some_and(|watch| watch.is_waiting());
        if waits && self.has_added(&pair.key) {
            let held = self.judge(pair);
            self.with_outward(pair, |watch, desk| watch.hold(held, desk, now));
        }
    }

    /// Counts who waits to be added, after any input.
    pub(super) fn count_waiting(&mut self, slot: Slot) {
        let Some(watch) = self.outward.get_mut(&slot) else { return };
        let waits = watch.is_waiting();
        if std::mem::replace(&mut watch.counted, waits) == waits {
            return;
        }
        let domain = watch.pair().xmpp.domain().clone();
        let count = self.waiting.entry(domain.clone()).or_default();
        *count = if waits { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            self.waiting.remove(&domain);
        }
    }
}
