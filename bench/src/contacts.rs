//! Presence on the XMPP side: users who watch SIP users, and who let SIP users watch them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::ns;
use xmpp_types::stanza::{self, PresenceType};
use xmpp_types::xml::Element;

use crate::ledger::Run;
use crate::pacing::number_of as number_in;
use crate::pairs::{Aftermath, Side, number_of, pair, user_of};
use crate::peer::Opening;
use crate::xmpp::jid;

/// All of them.
#[derive(Debug)]
pub struct Contacts {
    ours: DomainName,
    theirs: DomainName,
    /// How many of our users' subscriptions were asked for, and which are open.
    asked: u32,
    open: Vec<bool>,
    /// How many SIP users' subscriptions were allowed.
    allowed: u32,
    opening: Option<Opening>,
    under_way: usize,
    /// What is counted after a start of the product.
    aftermath: Option<Arc<Aftermath>>,
}

impl Contacts {
    /// Returns none yet, between users of these two domains.
    pub fn new(ours: &DomainName, theirs: &DomainName) -> Self {
        Self {
            ours: ours.clone(),
            theirs: theirs.clone(),
            asked: 0,
            open: Vec::new(),
            allowed: 0,
            opening: None,
            under_way: 0,
            aftermath: None,
        }
    }

    /// Takes note of what is to be opened.
    pub fn open(&mut self, opening: Opening) {
        self.opening = Some(opening);
    }

    /// Counts from now on what comes after a start.
    pub fn watch(&mut self, aftermath: Arc<Aftermath>) {
        self.aftermath = Some(aftermath);
    }

    /// Returns as many requests to subscribe as may be under way at once.
    pub fn subscribe(&mut self) -> Vec<Element> {
        let Some(opening) = &mut self.opening else { return Vec::new() };
        let count = opening.count.min(AT_ONCE.saturating_sub(self.under_way));
        opening.count -= count;
        self.under_way += count;
        let mut stanzas = Vec::with_capacity(count);
        for _ in 0..count {
            let (watcher, watched) = pair(self.asked);
            self.asked += 1;
            self.open.push(false);
            let (from, to) = (jid(watcher, &self.ours), jid(watched, &self.theirs));
            stanzas.push(stanza::presence(Some(PresenceType::Subscribe), &from, &to));
        }
        stanzas
    }

    /// Takes a presence stanza; returns what is said to it.
    pub fn take(&mut self, presence: &Element, receiving: Option<&Arc<Run>>) -> Vec<Element> {
        let parties = presence.attr("from").zip(presence.attr("to"));
        let Some((from, to)) = parties.and_then(|(from, to)| user_of(from).zip(user_of(to))) else {
            return Vec::new();
        };
        match presence.attr("type") {
            None => {
                let status = presence.child("status", ns::SERVER).map(Element::text).unwrap_or_default();
                if let (Some(number), Some(run)) = (number_in(status.as_bytes()), receiving) {
                    run.arrived(number);
                }
                Vec::new()
            }
            Some("subscribed") => {
                self.opened(number_of(to, from));
                self.subscribe()
            }
            Some("unsubscribed") => {
                self.under_way = self.under_way.saturating_sub(1);
                if let Some(opening) = &self.opening {
                    opening.refused.fetch_add(1, Relaxed);
                }
                self.subscribe()
            }
            Some("subscribe") => {
                self.allowed += 1;
                let (us, them) = (jid(to, &self.ours), jid(from, &self.theirs));
                vec![
                    stanza::presence(Some(PresenceType::Subscribed), &us, &them),
                    self.available(to, from, "At the desk"),
                ]
            }
            Some("probe") => {
                if let Some(aftermath) = &self.aftermath {
                    aftermath.came(Side::Xmpp);
                }
                vec![self.available(to, from, "At the desk")]
            }
            Some(_) => Vec::new(),
        }
    }

    fn opened(&mut self, number: Option<u32>) {
        let open = number.and_then(|number| self.open.get_mut(number as usize));
        if let (Some(open), Some(opening)) = (open, &self.opening)
            && !std::mem::replace(open, true)
        {
            self.under_way = self.under_way.saturating_sub(1);
            opening.open.fetch_add(1, Relaxed);
        }
    }

    /// Returns the presence that is a message of a run: of one of those whom SIP users watch.
    pub fn message(&self, number: u32, text: &str) -> Element {
        let (watcher, watched) = pair(number % self.allowed.max(1));
        self.available(watched, watcher, text)
    }

    fn available(&self, user: u32, to: u32, text: &str) -> Element {
        let from =
            Jid::parse(&format!("{}/desk", jid(user, &self.ours))).expect("a resource of letters is one");
        stanza::presence(None, &from, &jid(to, &self.theirs))
            .with_child(Element::new(ns::SERVER, "show").with_text("dnd"))
            .with_child(Element::new(ns::SERVER, "status").with_text(text))
    }
}

/// How many are being opened at the same time.
const AT_ONCE: usize = 400;
