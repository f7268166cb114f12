//! Contact lists and presence of the server's users (RFC 6121 §3, §4), by a reading of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::stanza::{self, PresenceType};
use xmpp_types::xml::Element;

use crate::Said;
use crate::presence::{State, Told, View, in_words};

/// The contact lists of all users of a server. Users and contacts go by their bare addresses.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    contacts: BTreeMap<(String, String), Contact>,
    /// What each resource of each user says.
    online: BTreeMap<String, View>,
    /// What each resource of each user is shown of each contact.
    shown: BTreeMap<(String, String, String), View>,
    /// While the server restarts, its users are not there.
    is_away: bool,
    outputs: VecDeque<Element>,
    told: VecDeque<Said>,
    wrong: Vec<String>,
}

/// One contact of one user.
#[derive(Clone, Debug, Default)]
struct Contact {
    /// Whether the user sees the contact.
    to: Told,
    /// Whether the contact sees the user.
    from: bool,
    /// The contact has asked, and the user has not answered.
    asks: bool,
    /// What the user answers whoever asks.
    word: Option<bool>,
    /// Whether the user has ever asked.
    asked: bool,
}

impl Roster {
    /// A user asks to see a contact; tells whether that is new, and not what he sees or waits for already.
    pub fn ask(&mut self, user: &str, contact: &str) -> bool {
        let known = self.contact(user, contact);
        known.asked = true;
        let is_new = !matches!(known.to, Told::Sees | Told::Waits);
        if is_new {
            known.to = Told::Waits;
        }
        self.say(Some(PresenceType::Subscribe), user, contact);
        is_new
    }

    /// A user wishes to see a contact no more.
    pub fn leave(&mut self, user: &str, contact: &str) {
        let known = self.contact(user, contact);
        if matches!(known.to, Told::Sees | Told::Waits) {
            known.to = Told::Nothing;
            self.hide(user, contact);
            self.say(Some(PresenceType::Unsubscribe), user, contact);
        }
    }

    /// A user says whether a contact may see him, now and whenever he asks.
    pub fn decide(&mut self, user: &str, contact: &str, allows: bool) {
        let known = self.contact(user, contact);
        known.word = Some(allows);
        match (allows, known.asks, known.from) {
            (true, true, _) => self.allow(user, contact),
            (false, asks, from) if asks || from => {
                (known.asks, known.from) = (false, false);
                self.say(Some(PresenceType::Unsubscribed), user, contact);
            }
            _ => {}
        }
    }

    fn allow(&mut self, user: &str, contact: &str) {
        let known = self.contact(user, contact);
        (known.asks, known.from) = (false, true);
        self.say(Some(PresenceType::Subscribed), user, contact);
        for (resource, state) in self.present(user) {
            self.send_state(user, &resource, Some(&state), contact);
        }
    }

    /// A resource of a user comes, changes, or goes.
    pub fn set_state(&mut self, user: &str, resource: &str, state: Option<State>) {
        let view = self.online.entry(user.to_owned()).or_default();
        let before = match &state {
            Some(state) => view.insert(resource.to_owned(), state.clone()),
            None => view.remove(resource),
        };
        if self.is_away || (before.is_none() && state.is_none()) {
            return;
        }
        for contact in self.contacts_of(user, |contact| contact.from) {
            self.send_state(user, resource, state.as_ref(), &contact);
        }
        match state {
            Some(_) if before.is_none() => self.arrive(user, resource),
            Some(_) => {}
            None => self.shown.retain(|(of, at, _), _| of != user || at != resource),
        }
    }

    /// A resource has come: its user's contacts are asked about (RFC 6121 §4.2.2), and asked again (§3.1.2).
    fn arrive(&mut self, user: &str, resource: &str) {
        for contact in self.contacts_of(user, |contact| contact.to == Told::Sees) {
            self.say(Some(PresenceType::Probe), &format!("{user}/{resource}"), &contact);
        }
        for contact in self.contacts_of(user, |contact| contact.to == Told::Waits) {
            self.say(Some(PresenceType::Subscribe), user, &contact);
        }
    }

    /// The server stops, without a word; its users are gone until [`Self::come_back`].
    pub fn go_away(&mut self) {
        self.is_away = true;
        self.shown.clear();
    }

    /// The server is back, and so are its users. Of those who went meanwhile it knows nothing.
    pub fn come_back(&mut self) {
        self.is_away = false;
        for (user, view) in self.online.clone() {
            for (resource, state) in view {
                for contact in self.contacts_of(&user, |contact| contact.from) {
                    self.send_state(&user, &resource, Some(&state), &contact);
                }
                self.arrive(&user, &resource);
            }
        }
    }

    /// Takes a presence stanza of a contact to a user; `exists` tells whether there is such a user.
    pub fn handle(&mut self, presence: &Element, from: &Jid, to: &Jid, exists: bool) {
        let (contact, user) = (from.bare_str(), to.bare_str());
        let Ok(kind) = PresenceType::of(presence) else {
            return self.wrong.push(format!("a presence of an unknown type: {presence}"));
        };
        if !exists {
            if matches!(kind, Some(PresenceType::Subscribe | PresenceType::Probe)) {
                self.say(Some(PresenceType::Unsubscribed), user, contact);
            }
            return;
        }
        match kind {
            Some(PresenceType::Subscribe) => self.asked(user, contact),
            Some(PresenceType::Unsubscribe) => {
                let known = self.contact(user, contact);
                (known.from, known.asks) = (false, false);
            }
            Some(PresenceType::Subscribed) => {
                let known = self.contact(user, contact);
                // Who has not asked hears nothing (RFC 6121 §3.1.6).
                if known.to == Told::Waits {
                    known.to = Told::Sees;
                    self.note(user, contact, "may see");
                }
            }
            Some(PresenceType::Unsubscribed) => {
                let known = self.contact(user, contact);
                if matches!(known.to, Told::Waits | Told::Sees) {
                    known.to = Told::Refused;
                    self.hide(user, contact);
                    self.note(user, contact, "may not see");
                }
            }
            Some(PresenceType::Probe) => self.probed(user, from),
            Some(PresenceType::Error) => self.note(user, contact, "hears of an error about"),
            None | Some(PresenceType::Unavailable) => self.show(presence, from, to, kind.is_none()),
        }
    }

    fn asked(&mut self, user: &str, contact: &str) {
        let known = self.contact(user, contact);
        match (known.from, known.word) {
            // The server answers by itself (RFC 6121 §3.1.3).
            (true, _) => self.say(Some(PresenceType::Subscribed), user, contact),
            (false, Some(true)) => self.allow(user, contact),
            (false, Some(false)) => self.say(Some(PresenceType::Unsubscribed), user, contact),
            (false, None) => known.asks = true,
        }
    }

    /// RFC 6121 §4.3.2.
    fn probed(&mut self, user: &str, from: &Jid) {
        let (contact, prober) = (from.bare_str().to_owned(), from.to_string());
        if !self.contact(user, &contact).from {
            return self.say(Some(PresenceType::Unsubscribed), user, &contact);
        }
        let present = self.present(user);
        if present.is_empty() {
            self.say(Some(PresenceType::Unavailable), user, &prober);
        }
        for (resource, state) in present {
            self.send_state(user, &resource, Some(&state), &prober);
        }
    }

    /// Shows what a contact says to the resources it is for.
    fn show(&mut self, presence: &Element, from: &Jid, to: &Jid, is_available: bool) {
        let (contact, user) = (from.bare_str(), to.bare_str());
        let name = from.resource().unwrap_or_default();
        let text = |name| presence.child(name, ns::SERVER).map(|child| child.text().into_owned());
        let state =
            State { show: text("show").unwrap_or_default(), note: text("status").unwrap_or_default() };
        let known = self.contact(user, contact);
        if !known.asked && is_available && !known.from {
            self.wrong.push(format!("{user} is shown {contact}, whom he never asked to see"));
        }
        let named = contact.split('@').next().unwrap_or_default();
        if is_available && !state.note.is_empty() && !state.note.starts_with(named) {
            self.wrong.push(format!("{user} asked about {contact}, and is told {state}"));
        }
        if self.contact(user, contact).to != Told::Sees {
            return;
        }
        let resources: Vec<String> = self
            .present(user)
            .into_keys()
            .filter(|resource| to.resource().is_none_or(|only| only == resource))
            .collect();
        for resource in resources {
            let key = (user.to_owned(), resource, contact.to_owned());
            let view = self.shown.entry(key).or_default();
            match (is_available, name) {
                (true, name) => drop(view.insert(name.to_owned(), state.clone())),
                (false, "") => view.clear(),
                (false, name) => drop(view.remove(name)),
            }
            let (user, contact) = (user.to_owned(), contact.to_owned());
            self.told.push_back(Said::Shown { user, contact, view: in_words(view) });
        }
    }

    /// Returns what a user was told of his wish to see a contact.
    #[must_use]
    pub fn told(&self, user: &str, contact: &str) -> Told {
        self.known(user, contact).map(|known| known.to).unwrap_or_default()
    }

    /// Returns whether a contact may see a user.
    #[must_use]
    pub fn allows(&self, user: &str, contact: &str) -> bool {
        self.known(user, contact).is_some_and(|known| known.from)
    }

    /// Returns whether a contact has asked to see a user, and waits.
    #[must_use]
    pub fn is_asked(&self, user: &str, contact: &str) -> bool {
        self.known(user, contact).is_some_and(|known| known.asks)
    }

    /// Returns what each resource of a user that is there sees of a contact.
    #[must_use]
    pub fn seen(&self, user: &str, contact: &str) -> BTreeMap<String, View> {
        let view = |resource: String| {
            let key = (user.to_owned(), resource.clone(), contact.to_owned());
            (resource, self.shown.get(&key).cloned().unwrap_or_default())
        };
        self.present(user).into_keys().map(view).collect()
    }

    /// Returns what came against the rules.
    #[must_use]
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// Returns the next stanza to send.
    pub(super) fn poll_output(&mut self) -> Option<Element> {
        self.outputs.pop_front()
    }

    /// Returns the next thing to tell.
    pub(super) fn poll_said(&mut self) -> Option<Said> {
        self.told.pop_front()
    }

    fn contact(&mut self, user: &str, contact: &str) -> &mut Contact {
        self.contacts.entry((user.to_owned(), contact.to_owned())).or_default()
    }

    fn known(&self, user: &str, contact: &str) -> Option<&Contact> {
        self.contacts.get(&(user.to_owned(), contact.to_owned()))
    }

    fn contacts_of(&self, user: &str, which: impl Fn(&Contact) -> bool) -> BTreeSet<String> {
        let of = |((of, _), contact): &(&(String, String), &Contact)| of == user && which(contact);
        self.contacts.iter().filter(of).map(|((_, contact), _)| contact.clone()).collect()
    }

    fn present(&self, user: &str) -> View {
        if self.is_away { View::new() } else { self.online.get(user).cloned().unwrap_or_default() }
    }

    fn hide(&mut self, user: &str, contact: &str) {
        self.shown.retain(|(of, _, shown), _| of != user || shown != contact);
    }

    fn note(&mut self, user: &str, contact: &str, what: &str) {
        self.told.push_back(Said::Note(format!("{user} {what} {contact}")));
    }

    fn say(&mut self, kind: Option<PresenceType>, from: &str, to: &str) {
        if let (Ok(from), Ok(to)) = (Jid::parse(from), Jid::parse(to)) {
            self.outputs.push_back(stanza::presence(kind, &from, &to));
        }
    }

    fn send_state(&mut self, user: &str, resource: &str, state: Option<&State>, to: &str) {
        let (Ok(from), Ok(to)) = (Jid::parse(&format!("{user}/{resource}")), Jid::parse(to)) else { return };
        let Some(state) = state else {
            let gone = stanza::presence(Some(PresenceType::Unavailable), &from, &to);
            return self.outputs.push_back(gone);
        };
        let mut presence = stanza::presence(None, &from, &to);
        if !state.show.is_empty() {
            presence.push_child(Element::new(ns::SERVER, "show").with_text(state.show.as_str()));
        }
        presence.push_child(Element::new(ns::SERVER, "status").with_text(state.note.as_str()));
        self.outputs.push_back(presence);
    }
}
