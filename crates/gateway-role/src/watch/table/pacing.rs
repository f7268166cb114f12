//! What all watches do at once, paced.

use std::collections::BTreeMap;
use std::time::Duration;

use clock_types::Now;
use xmpp_types::jid::DomainName;

use super::super::desk::Slot;
use super::super::errands::{Errand, Errands};
use super::super::record::{KeptWatch, WatchDirection};
use super::Watches;

/// What the servers of a domain bear in a second where nobody has said so.
pub(super) const RATE: u32 = 1000;

impl Watches {
    /// Goes on with the watches that an earlier process left. What many SIP users are asked for again is spread over as
    /// long as the pace of their servers wants.
    pub(super) fn recover_all(&mut self, recovered: Vec<KeptWatch>, now: Now) {
        let mut count: BTreeMap<DomainName, u32> = BTreeMap::new();
        for kept in recovered.iter().filter(|kept| kept.direction == WatchDirection::Outward) {
            *count.entry(kept.pair.sip.domain().clone()).or_default() += 1;
        }
        let spread = self.desk.settings.watches.spread;
        let within = |(domain, count): (&DomainName, &u32)| {
            let paced = Duration::from_secs(u64::from(*count)) / self.rate_of(domain);
            (domain.clone(), spread.max(paced))
        };
        let within: BTreeMap<DomainName, Duration> = count.iter().map(within).collect();
        for kept in recovered {
            let spread = within.get(kept.pair.sip.domain()).copied().unwrap_or(spread);
            self.recover(kept, spread, now);
        }
        self.run_errands(now);
    }

    /// Returns how many requests in a second the servers of a domain bear.
    pub(super) fn rate_of(&self, domain: &DomainName) -> u32 {
        let paced = self.desk.settings.domain(domain).and_then(|domain| domain.route.pace());
        paced.map_or(RATE, |pace| pace.per_second.get())
    }

    /// Has an inward watch ask for the XMPP user's presence.
    pub(super) fn probe_in_turn(&mut self, slot: Slot, now: Now) {
        let Some(watch) = self.inward.get(&slot) else { return };
        self.errands.push(watch.pair().xmpp.domain(), RATE, Errand::Probe(slot), now);
    }

    /// Has an outward watch that a probe made begin.
    pub(super) fn adopt_in_turn(&mut self, slot: Slot, now: Now) {
        let Some(watch) = self.outward.get(&slot) else { return };
        let domain = watch.pair().sip.domain().clone();
        self.errands.push(&domain, self.rate_of(&domain), Errand::Adopt(slot), now);
        self.run_errands(now);
    }

    /// Before a planned end: SIP users' programs are told to subscribe anew (RFC 6665 §4.1.3), as fast as their servers bear
    /// it. Those who cannot be told in time keep their dialogs for the next process, as XMPP users' watches do.
    pub fn handle_stop(&mut self, now: Now) {
        self.errands = Errands::default();
        self.end_rounds();
        self.inward.values_mut().for_each(|watch| watch.ask_no_more());
        let watched = self.inward.iter().filter(|(_, watch)| watch.is_watched());
        let watched: Vec<(Slot, DomainName)> =
            watched.map(|(slot, watch)| (*slot, watch.pair().sip.domain().clone())).collect();
        for (slot, domain) in watched {
            let rate = self.rate_of(&domain);
            self.errands.push(&domain, rate, Errand::Leave(slot), now);
        }
        self.run_errands(now);
    }

    /// Does the errands whose turn has come.
    pub(super) fn run_errands(&mut self, now: Now) {
        while let Some(errand) = self.errands.take_due(now) {
            match errand {
                Errand::Probe(slot) => self.in_inward(slot, |watch, desk| watch.ask_anew(desk, now)),
                Errand::Adopt(slot) => self.in_outward(slot, |watch, desk| watch.handle_online(desk, now)),
                Errand::Leave(slot) => self.in_inward(slot, |watch, desk| watch.handle_stop(desk, now)),
                Errand::Close(_) | Errand::Hide(_) | Errand::Refresh(_) | Errand::Tell(_) => {
                    self.run_round(errand, now);
                }
            }
        }
    }
}
