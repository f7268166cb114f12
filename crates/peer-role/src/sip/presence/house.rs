//! The watched: who may see whom, and the dialogs of those who watch (RFC 6665 §4.2).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use clock_types::{Ids, Moment, Now};
use sip_proto::endpoint::ServerKey;
use sip_types::header::{ContentType, HeaderName};
use sip_types::{HeaderText, Method, Request, Response, Token};

use super::super::address_of;
use super::Desk;
use super::dialog::{Dialog, contact};
use crate::presence::{State, View, write_pidf};

/// What users show, whom they let see it, and who watches.
#[derive(Clone, Debug, Default)]
pub(super) struct House {
    shown: BTreeMap<String, View>,
    /// By user and watcher.
    words: BTreeMap<(String, String), bool>,
    asked: BTreeSet<(String, String)>,
    watched: Vec<Watched>,
}

/// One watcher's dialog.
#[derive(Clone, Debug)]
struct Watched {
    user: String,
    watcher: String,
    dialog: Dialog,
    until: Moment,
    /// The NOTIFY that has no answer.
    under_way: Option<u64>,
    /// Whether something else must be said.
    owes: bool,
    /// Not before this, after a failure.
    rests: Option<Moment>,
    /// Why it ends.
    ends: Option<&'static str>,
    over: bool,
}

/// How long a watcher that fails is left alone.
const PEACE: Duration = Duration::from_secs(3);

impl House {
    pub(super) fn decide(&mut self, user: &str, watcher: &str, allows: bool, desk: &mut Desk, now: Now) {
        let before = self.words.insert((user.to_owned(), watcher.to_owned()), allows);
        if before != Some(allows) {
            for dialog in self.watched.iter_mut().filter(|d| d.user == user && d.watcher == watcher) {
                dialog.owes = true;
                if !allows {
                    dialog.ends = dialog.ends.or(Some("rejected"));
                }
            }
        }
        self.advance(desk, now);
    }

    pub(super) fn set_state(
        &mut self,
        user: &str,
        device: &str,
        state: Option<State>,
        desk: &mut Desk,
        now: Now,
    ) {
        let view = self.shown.entry(user.to_owned()).or_default();
        match state {
            Some(state) => drop(view.insert(device.to_owned(), state)),
            None => drop(view.remove(device)),
        }
        for dialog in self.watched.iter_mut().filter(|dialog| dialog.user == user) {
            dialog.owes |= self.words.get(&(user.to_owned(), dialog.watcher.clone())) == Some(&true);
        }
        self.advance(desk, now);
    }

    pub(super) fn restart(&mut self) {
        self.watched.clear();
    }

    /// Says to every watcher once more what there is to say: whoever knows of no dialog loses it.
    pub(super) fn repeat(&mut self, desk: &mut Desk, now: Now) {
        for watched in &mut self.watched {
            watched.owes = true;
        }
        self.advance(desk, now);
    }

    pub(super) fn is_watched(&self, user: &str, watcher: &str) -> bool {
        self.watched.iter().any(|dialog| dialog.user == user && dialog.watcher == watcher)
    }

    pub(super) fn askers(&self) -> Vec<(String, String)> {
        self.asked.iter().cloned().collect()
    }

    pub(super) fn handle_subscribe(
        &mut self,
        key: ServerKey,
        request: &Request,
        exists: bool,
        desk: &mut Desk,
        ids: &mut Ids,
        now: Now,
    ) {
        let event = request.headers().event().ok().flatten();
        if event.is_none_or(|event| event.package.as_str() != "presence") {
            desk.wrong.push("a SUBSCRIBE for another event than presence".to_owned());
            return desk.respond(key, Response::to(request, 489));
        }
        let asked = request.headers().expires().ok().flatten().unwrap_or(3600);
        let granted = asked.min(desk.manners.grants);
        let place = match request.to().tag() {
            Some(_) => {
                let Some(place) = self.watched.iter().position(|d| d.dialog.holds(request) && !d.over) else {
                    return desk.respond(key, Response::to(request, 481));
                };
                let dialog = &mut self.watched[place].dialog;
                let number = request.cseq().number;
                if dialog.last_heard.is_some_and(|last| number <= last) {
                    desk.wrong.push(format!("SUBSCRIBE {number} after {:?}", dialog.last_heard));
                    return desk.respond(key, Response::to(request, 500));
                }
                dialog.last_heard = Some(number);
                place
            }
            None => match self.admit(key, request, exists, desk, ids, now) {
                Some(place) => place,
                None => return,
            },
        };
        let watched = &mut self.watched[place];
        watched.until = now.moment + Duration::from_secs(u64::from(granted));
        (watched.owes, watched.rests) = (true, None);
        if granted == 0 {
            watched.ends = watched.ends.or(Some("timeout"));
        }
        let response = Response::to(request, 200).with(HeaderName::Expires, &HeaderText::from(granted));
        let tag = watched.dialog.local.tag().and_then(Token::parse);
        let response = tag.map_or(response.clone(), |tag| response.with_to_tag(&tag));
        let response = match contact(&watched.user, &desk.manners.place) {
            Some(contact) => response.with_contact(&contact),
            None => response,
        };
        if desk.manners.notifies_first {
            self.advance(desk, now);
        }
        desk.respond(key, response);
        self.advance(desk, now);
    }

    /// Takes a new dialog, or says why not.
    fn admit(
        &mut self,
        key: ServerKey,
        request: &Request,
        exists: bool,
        desk: &mut Desk,
        ids: &mut Ids,
        now: Now,
    ) -> Option<usize> {
        let (user, watcher) = (address_of(request.uri()), address_of(&request.from().uri));
        self.asked.insert((user.clone(), watcher.clone()));
        let word = self.words.get(&(user.clone(), watcher.clone())).copied();
        let dialog = match (exists, Dialog::of(request, ids)) {
            (false, _) => Err(404),
            (true, None) => Err(400),
            (true, Some(_)) if word == Some(false) && desk.manners.forbids => Err(403),
            (true, Some(dialog)) => Ok(dialog),
        };
        let dialog = match dialog {
            Ok(dialog) => dialog,
            Err(status) => {
                desk.respond(key, Response::to(request, status));
                return None;
            }
        };
        desk.note(format!("{watcher} asks to see {user}"));
        self.watched.push(Watched {
            user,
            watcher,
            dialog,
            until: now.moment,
            under_way: None,
            owes: true,
            rests: None,
            ends: if word == Some(false) { Some("rejected") } else { None },
            over: false,
        });
        Some(self.watched.len() - 1)
    }

    /// Hears what became of a NOTIFY; no answer counts as 408, no way there as 503.
    pub(super) fn handle_response(&mut self, number: u64, status: u16, desk: &mut Desk, now: Now) {
        let Some(watched) = self.watched.iter_mut().find(|d| d.under_way == Some(number)) else { return };
        watched.under_way = None;
        match status {
            200..300 => watched.over = watched.ends.is_some() && !watched.owes,
            // The watcher knows of no dialog, or does not answer (RFC 6665 §4.2.2).
            404 | 405 | 408 | 410 | 481 | 489 => watched.over = true,
            _ => {
                watched.owes = true;
                watched.rests = Some(now.moment + PEACE);
            }
        }
        self.advance(desk, now);
    }

    pub(super) fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        for watched in &mut self.watched {
            if watched.rests.is_some_and(|until| until <= now.moment) {
                watched.rests = None;
            }
            if watched.until <= now.moment && watched.ends.is_none() {
                (watched.owes, watched.ends) = (true, Some("timeout"));
            }
        }
        self.advance(desk, now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        let next = |watched: &Watched| match watched.ends {
            None => Some(watched.rests.map_or(watched.until, |rests| rests.min(watched.until))),
            Some(_) => watched.rests,
        };
        self.watched.iter().filter_map(next).min()
    }

    /// Says what is owed: one NOTIFY at a time in each dialog.
    fn advance(&mut self, desk: &mut Desk, now: Now) {
        self.watched.retain(|watched| !watched.over);
        for watched in &mut self.watched {
            if !watched.owes || watched.under_way.is_some() || watched.rests.is_some() {
                continue;
            }
            watched.owes = false;
            let word = self.words.get(&(watched.user.clone(), watched.watcher.clone())).copied();
            let left = watched.until.since(now.moment).as_secs();
            let state = match (watched.ends, word) {
                (Some(reason), _) => format!("terminated;reason={reason}"),
                (None, Some(true)) => format!("active;expires={left}"),
                (None, _) => format!("pending;expires={left}"),
            };
            let notify = watched.dialog.request(Method::Notify, &watched.user, &desk.manners.place);
            let Ok(text) = HeaderText::parse(state) else { continue };
            let mut notify = notify.with(HeaderName::SubscriptionState, &text);
            if word == Some(true)
                && let Some(kind) = ContentType::parse("application/pidf+xml")
            {
                let nothing = View::new();
                let body = write_pidf(&watched.user, self.shown.get(&watched.user).unwrap_or(&nothing));
                notify = notify.with_body(&kind, Bytes::from(body));
            }
            watched.under_way = Some(desk.send(notify));
        }
    }
}
