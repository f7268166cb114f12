//! Users who watch each other: what they do is drawn here, and held against the [`Model`] when all is calm.

use std::collections::BTreeSet;
use std::time::Duration;

use peer_role::presence::{State, Told, View, in_words};
use peer_role::{PresenceManners, Roster, SipUserAgent, XmppServer};

use crate::cast::Watched;
use crate::chance::Chance;
use crate::ledger::Broken;
use crate::model::{Deed, Expected, Model};
use crate::scene::Scene;
use crate::trial::Flaw;

/// How the SIP side does presence.
#[derive(Clone, Copy, Debug)]
pub struct Watching {
    /// Seconds that programs ask for.
    pub asks: u32,
    /// Seconds that the server grants at the most.
    pub grants: u32,
    /// Whether the first NOTIFY goes before the answer to SUBSCRIBE.
    pub notifies_first: bool,
    /// Whether who may not is told so by 403.
    pub forbids: bool,
    /// How long a program takes to answer a NOTIFY.
    pub answers_after: Duration,
}

impl Default for Watching {
    fn default() -> Self {
        Self { asks: 3600, grants: 3600, notifies_first: false, forbids: true, answers_after: Duration::ZERO }
    }
}

impl Watching {
    /// Draws one.
    pub fn draw(chance: &mut Chance) -> Self {
        let one_of = |chance: &mut Chance, some: &[u32]| {
            some[usize::try_from(chance.below(some.len() as u64)).unwrap_or(0)]
        };
        Self {
            asks: one_of(chance, &[30, 3600, 3600, 3600]),
            grants: one_of(chance, &[90, 3600, 3600, 3600]),
            notifies_first: chance.happens(300),
            forbids: chance.happens(500),
            answers_after: Duration::from_millis(if chance.happens(300) { 700 } else { 0 }),
        }
    }

    /// Returns the manners of a SIP server at `place`.
    pub(crate) fn manners(self, place: String) -> PresenceManners {
        PresenceManners {
            asks: self.asks,
            grants: self.grants,
            notifies_first: self.notifies_first,
            forbids: self.forbids,
            // A hair less: they are timed where they arrive.
            pace: Duration::from_millis(4980),
            answers_after: self.answers_after,
            place,
        }
    }
}

pub(crate) const SIP_USERS: [&str; 4] =
    ["bob@s.example", "carol@s.example", "dave@s.example", "nobody@s.example"];
pub(crate) const XMPP_USERS: [&str; 3] = ["ann@x.example", "eve@x.example", "nobody@x.example"];
/// How many pairs are on each other's mind.
const CLOSE: usize = 4;
const SHOWS: [&str; 5] = ["", "chat", "away", "xa", "dnd"];

/// What somebody does next, before the world has answered.
#[derive(Clone, Debug)]
pub enum Wish {
    /// He asks to see somebody.
    Ask(String, String),
    /// He wishes it no more.
    Leave(String, String),
    /// A SIP user's program asks once: watcher and watched.
    Poll(String, String),
    /// He decides: watched, watcher, and whether he lets him.
    Decide(String, String, bool),
    /// He shows something: user, resource or device, state.
    Show(String, String, Option<State>),
}

/// The users' wishes so far.
#[derive(Debug, Default)]
pub struct Contacts {
    model: Model,
    /// Those who are on each other's mind: watcher and watched.
    close: Vec<(String, String)>,
    /// Who has ever asked whom; nobody else may be told anything.
    asked: BTreeSet<(String, String)>,
    /// Those between whom a refusal and a permission crossed.
    crossed: BTreeSet<(String, String)>,
    said: u64,
    flaw: Option<Flaw>,
}

impl Contacts {
    /// Returns contacts among which nobody who does not exist sees anything.
    #[must_use]
    pub fn new(is_faulty: bool, flaw: Option<Flaw>) -> Self {
        let model = if is_faulty { Model::faulty() } else { Model::default() };
        let mut contacts = Self { model, flaw, ..Self::default() };
        for (nobody, others) in [("nobody@s.example", &XMPP_USERS[..]), ("nobody@x.example", &SIP_USERS[..])]
        {
            for other in others {
                let (of, watcher) = (nobody.to_owned(), (*other).to_owned());
                contacts.model.hear(&Deed::Decide { of, watcher, allows: false });
            }
        }
        contacts
    }

    /// Draws what somebody does.
    pub fn draw(&mut self, chance: &mut Chance) -> Wish {
        while self.close.len() < CLOSE {
            let pair = draw_pair(chance);
            self.close.push(pair);
        }
        let close = self.close[usize::try_from(chance.below(CLOSE as u64)).unwrap_or(0)].clone();
        let (watcher, of) = if chance.happens(800) { close } else { draw_pair(chance) };
        match chance.below(20) {
            0..=5 => Wish::Ask(watcher, of),
            6 => Wish::Leave(watcher, of),
            // Who does not exist does nothing.
            7.. if of.starts_with("nobody") => Wish::Ask(watcher, of),
            7..=10 => Wish::Decide(of, watcher, chance.happens(750)),
            11 if !is_xmpp(&watcher) => Wish::Poll(watcher, of),
            _ => {
                let user = if chance.happens(700) { of } else { watcher };
                let places: [&str; 2] = if is_xmpp(&user) { ["desk", "phone"] } else { ["pc", "cell"] };
                self.said += 1;
                let note = format!("{} {}", user.split('@').next().unwrap_or_default(), self.said);
                let state = State { show: one_of(chance, &SHOWS), note };
                let state = if chance.happens(250) { None } else { Some(state) };
                Wish::Show(user, one_of(chance, &places), state)
            }
        }
    }

    /// Lets it happen.
    pub fn perform(&mut self, wish: Wish, scene: &mut Scene) {
        let deed = match wish {
            Wish::Ask(watcher, of) => {
                self.asked.insert((watcher.clone(), of.clone()));
                let is_new = scene.asks(&watcher, &of);
                Deed::Ask { watcher, of, is_new }
            }
            Wish::Leave(watcher, of) => {
                scene.leaves(&watcher, &of);
                Deed::Leave { watcher, of }
            }
            Wish::Poll(watcher, of) => {
                self.asked.insert((watcher.clone(), of.clone()));
                return scene.polls(&watcher, &of);
            }
            Wish::Decide(of, watcher, allows) => {
                scene.decides(&of, &watcher, allows);
                Deed::Decide { of, watcher, allows }
            }
            Wish::Show(user, place, state) => {
                scene.shows(&user, &place, state.clone());
                Deed::Show { user, place, state }
            }
        };
        let unheard = match &deed {
            Deed::Decide { allows: false, .. } => Some(Flaw::RefusalsUnheard),
            Deed::Show { state: None, .. } => Some(Flaw::DeparturesUnheard),
            _ => None,
        };
        if unheard.is_none() || unheard != self.flaw {
            self.model.hear(&deed);
        }
    }

    /// Nobody wishes to see anybody any more.
    pub fn leave_all(&mut self, scene: &mut Scene) {
        for (watcher, of) in std::mem::take(&mut self.asked) {
            // Who was refused has nothing to leave; where that crossed with something, his server says nothing.
            if self.model.expected(&watcher, &of) != Expected::Sees {
                self.crossed.insert((watcher.clone(), of.clone()));
            }
            self.perform(Wish::Leave(watcher.clone(), of.clone()), scene);
            self.asked.insert((watcher, of));
        }
        // Of a dialog whose other end crashed before it was kept only the SIP server knows, until it says something.
        let sip = scene.sip;
        scene.world.after(Duration::from_secs(60), move |world| {
            world.with(sip, |agent: &mut Watched<SipUserAgent>, now| {
                agent.peer.with_presence(|presence, _| presence.repeat(now), now)
            });
        });
    }

    /// Returns every pair for which N6 is not kept now, and what came against the rules until now.
    #[must_use]
    pub fn judge(&self, scene: &mut Scene, one_tuple: bool, all_left: bool) -> Vec<Broken> {
        let (xmpp, sip) = (scene.xmpp, scene.sip);
        let mut broken = Vec::new();
        let mut breaks = |text: String, how: String| broken.push(Broken { promise: "N6", text, how });
        scene.world.with(xmpp, |server: &mut Watched<XmppServer>, _| {
            let roster = server.peer.roster();
            for (watcher, of) in pairs(&XMPP_USERS[..2], &SIP_USERS) {
                for how in self.judge_outward(watcher, of, roster) {
                    breaks(format!("{watcher} → {of}"), how);
                }
            }
            for wrong in roster.wrong() {
                breaks("XMPP".to_owned(), wrong.clone());
            }
        });
        scene.world.with(sip, |agent: &mut Watched<SipUserAgent>, _| {
            let Some(presence) = agent.peer.presence() else { return };
            for (watcher, of) in pairs(&SIP_USERS[..3], &XMPP_USERS) {
                let shown = if self.flaw == Some(Flaw::Mistaken) { XMPP_USERS[0] } else { of };
                let (told, seen) = (presence.told(watcher, of), presence.seen(watcher, shown));
                for how in self.judge_inward(watcher, of, told, &seen, one_tuple) {
                    breaks(format!("{watcher} → {of}"), how);
                }
            }
            for (of, watcher) in presence.askers() {
                let wishes = self.model.expected(&watcher, &of) != Expected::Nothing;
                let crossed = self.crossed.contains(&(watcher.clone(), of.clone()));
                if all_left && presence.is_watched(&of, &watcher) && !wishes && !crossed {
                    breaks(format!("{watcher} → {of}"), "he has left, and still watches".to_owned());
                }
                if !self.asked.contains(&(watcher.clone(), of.clone())) {
                    breaks(format!("{watcher} → {of}"), "he is asked for, and nobody wished it".to_owned());
                }
            }
            for wrong in presence.wrong() {
                breaks("SIP".to_owned(), wrong.clone());
            }
        });
        broken
    }

    /// An XMPP user who watches a SIP user.
    fn judge_outward(&self, watcher: &str, of: &str, roster: &Roster) -> Vec<String> {
        let (expected, told) = (self.model.expected(watcher, of), roster.told(watcher, of));
        let mut broken = judge_told(expected, told);
        let shown = if told == Told::Sees { self.model.shown(of) } else { View::new() };
        for (resource, seen) in roster.seen(watcher, of) {
            if seen != shown {
                broken.push(format!(
                    "at {resource} he sees {}, and it is {}",
                    in_words(&seen),
                    in_words(&shown)
                ));
            }
        }
        broken
    }

    /// A SIP user who watches an XMPP user.
    fn judge_inward(&self, watcher: &str, of: &str, told: Told, seen: &View, one_tuple: bool) -> Vec<String> {
        let mut broken = judge_told(self.model.expected(watcher, of), told);
        let shown = if told == Told::Sees { self.model.shown(of) } else { View::new() };
        if !is_same(seen, &shown, one_tuple) {
            broken.push(format!("he sees {}, and it is {}", in_words(seen), in_words(&shown)));
        }
        broken
    }
}

/// Draws who may wish to see whom; those who do not exist are asked for now and then.
fn draw_pair(chance: &mut Chance) -> (String, String) {
    let (sip, xmpp) = (&SIP_USERS[..3], &XMPP_USERS[..2]);
    let (here, there, nobody) =
        if chance.happens(500) { (xmpp, sip, SIP_USERS[3]) } else { (sip, xmpp, XMPP_USERS[2]) };
    let of = if chance.happens(50) { nobody.to_owned() } else { one_of(chance, there) };
    (one_of(chance, here), of)
}

fn one_of(chance: &mut Chance, some: &[&str]) -> String {
    some[usize::try_from(chance.below(some.len() as u64)).unwrap_or(0)].to_owned()
}

fn judge_told(expected: Expected, told: Told) -> Vec<String> {
    let fits = match expected {
        Expected::Nothing => matches!(told, Told::Nothing | Told::Refused),
        Expected::Waits => told == Told::Waits,
        Expected::Sees => told == Told::Sees,
        Expected::Refused => told == Told::Refused,
        Expected::WaitsOrRefused => matches!(told, Told::Waits | Told::Refused),
        Expected::SeesOrRefused => matches!(told, Told::Sees | Told::Refused),
    };
    if fits { Vec::new() } else { vec![format!("he was told {told:?}, and should be {expected:?}")] }
}

/// Tells whether a document shows a user; one tuple shows one of the most available of his resources.
fn is_same(seen: &View, shown: &View, one_tuple: bool) -> bool {
    if !one_tuple {
        return seen == shown;
    }
    let order = |state: &State| ["chat", "", "away", "xa", "dnd"].iter().position(|show| *show == state.show);
    let best = shown.values().map(order).min();
    let chosen = |state: &State| Some(order(state)) == best && shown.values().any(|other| other == state);
    seen.len() == usize::from(!shown.is_empty()) && seen.values().all(chosen)
}

fn pairs<'a>(watchers: &'a [&'a str], watched: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    watchers.iter().flat_map(move |watcher| watched.iter().map(move |of| (*watcher, *of)))
}

/// What users do.
impl Scene {
    fn asks(&mut self, watcher: &str, of: &str) -> bool {
        if is_xmpp(watcher) {
            return self.in_roster(|roster| roster.ask(watcher, of)).unwrap_or_default();
        }
        let sip = self.sip;
        let asks = |agent: &mut Watched<SipUserAgent>, now| {
            agent.peer.with_presence(|presence, ids| presence.watch(watcher, of, ids), now)
        };
        self.world.with(sip, asks).flatten().unwrap_or_default()
    }

    fn leaves(&mut self, watcher: &str, of: &str) {
        if is_xmpp(watcher) {
            self.in_roster(|roster| roster.leave(watcher, of));
            return;
        }
        let sip = self.sip;
        self.world.with(sip, |agent: &mut Watched<SipUserAgent>, now| {
            agent.peer.with_presence(|presence, _| presence.leave(watcher, of, now), now)
        });
    }

    fn polls(&mut self, watcher: &str, of: &str) {
        let sip = self.sip;
        self.world.with(sip, |agent: &mut Watched<SipUserAgent>, now| {
            agent.peer.with_presence(|presence, ids| presence.poll(watcher, of, ids), now)
        });
    }

    fn decides(&mut self, user: &str, watcher: &str, allows: bool) {
        if is_xmpp(user) {
            self.in_roster(|roster| roster.decide(user, watcher, allows));
            return;
        }
        let sip = self.sip;
        self.world.with(sip, |agent: &mut Watched<SipUserAgent>, now| {
            agent.peer.with_presence(|presence, _| presence.decide(user, watcher, allows, now), now)
        });
    }

    fn shows(&mut self, user: &str, place: &str, state: Option<State>) {
        if is_xmpp(user) {
            self.in_roster(|roster| roster.set_state(user, place, state));
            return;
        }
        let sip = self.sip;
        self.world.with(sip, |agent: &mut Watched<SipUserAgent>, now| {
            agent.peer.with_presence(|presence, _| presence.set_state(user, place, state, now), now)
        });
    }

    fn in_roster<T>(&mut self, deed: impl FnOnce(&mut Roster) -> T) -> Option<T> {
        let xmpp = self.xmpp;
        self.world.with(xmpp, |server: &mut Watched<XmppServer>, now| server.peer.with_roster(deed, now))
    }

    /// The SIP server and its users' programs forget their dialogs.
    pub(crate) fn restart_sip(&mut self) {
        let sip = self.sip;
        self.world.with(sip, |agent: &mut Watched<SipUserAgent>, now| {
            agent.peer.with_presence(|presence, ids| presence.restart(ids), now)
        });
    }

    /// The XMPP server restarts: its connections break, and its users are back after a while.
    pub(crate) fn restart_xmpp(&mut self, back_after: Duration) {
        let (proxy, xmpp) = (self.proxy, self.xmpp);
        self.in_roster(Roster::go_away);
        self.world.reset_between(proxy, xmpp);
        self.world.after(back_after, move |world| {
            world.with(xmpp, |server: &mut Watched<XmppServer>, now| {
                server.peer.with_roster(Roster::come_back, now);
            });
        });
    }
}

fn is_xmpp(user: &str) -> bool {
    user.ends_with("@x.example")
}
