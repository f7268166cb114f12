//! A SIP user watches an XMPP user (RFC 8048 §5.3).

mod outage;
mod polls;

use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now, earliest};
use sip_proto::endpoint::{Failure, ServerKey};
use sip_proto::subscription::{Asked, Content, Notifier, NotifierEnd, NotifierOutput};
use sip_types::header::ContentType;
use sip_types::{HeaderText, Request, Response, Token};
use translate::Loss;
use translate::presence::{PIDF_TYPE, Resource, document, in_words, language, nick_element};
use xmpp_types::stanza::{self, PresenceType};
use xmpp_types::stanza_error::{StanzaCondition, StanzaError};
use xmpp_types::xml::Element;

use super::desk::{Asker, Desk, Slot};
use super::effect::WatchChange;
use super::probing::{Due, Probing};
use super::record::{Authorisation, KeptDialog, KeptWatch, WatchDirection, WatchRecord};
use super::state::WatchState;
use crate::conversation::Pair;

/// One SIP user's watch of one XMPP user: each of his programs has a dialog of its own.
#[derive(Debug)]
pub struct Inward {
    slot: Slot,
    pair: Arc<Pair>,
    /// `None` for somebody who only asked once.
    authorisation: Option<Authorisation>,
    notifiers: Vec<Notifier>,
    /// What the XMPP user lets this watcher see; nobody else's watch has it (RFC 8048 §8.2).
    resources: Vec<Resource>,
    /// What the XMPP user wants to be called.
    nick: Option<Box<str>>,
    /// When anything was heard of them.
    heard: Option<Now>,
    /// When the XMPP user was last asked for permission.
    asked: Option<Moment>,
    probing: Probing,
    /// Until when somebody who asked once waits for what is not known.
    polled_until: Option<Moment>,
    trouble: Option<Box<str>>,
    sweep: Option<Box<outage::Sweep>>,
    /// Whether a program has watched, and nobody was told that none does any more.
    owes_farewell: bool,
    /// What the table knows it by.
    pub(super) listed: Vec<Arc<str>>,
    /// When the table wakes it.
    pub(super) scheduled: Option<Moment>,
}

const DIRECTION: WatchDirection = WatchDirection::Inward;

/// Dialogs of one watch: programs of one user.
const DIALOGS_MAX: usize = 16;
/// Resources of one user that are known.
const RESOURCES_MAX: usize = translate::presence::RESOURCES_MAX;
/// Seconds after which a program may ask again for a user whose server could not be asked: presence is right a minute after the
/// server is back (N6).
const GIVEN_UP: u32 = 30;
/// How long nobody is asked again for a permission that he has not given.
const ASKED_ENOUGH: Duration = Duration::from_secs(3600);
/// How long what is known is fresh, so that a refresh asks no server.
const FRESH: Duration = Duration::from_secs(900);

impl Inward {
    pub fn new(slot: Slot, pair: &Arc<Pair>) -> Self {
        Self {
            slot,
            pair: Arc::clone(pair),
            authorisation: None,
            notifiers: Vec::new(),
            resources: Vec::new(),
            nick: None,
            heard: None,
            asked: None,
            probing: Probing::default(),
            polled_until: None,
            sweep: None,
            trouble: None,
            owes_farewell: false,
            listed: Vec::new(),
            scheduled: None,
        }
    }

    /// Goes on from what an earlier process left; what is watched is asked for at the next timeout.
    pub fn recover(slot: Slot, watch: KeptWatch, desk: &mut Desk, now: Now) -> Self {
        let KeptWatch { direction: _, pair, authorisation, shown: _, dialogs } = watch;
        let pair = &pair;
        let mut watch = Self::new(slot, pair);
        watch.authorisation = Some(authorisation);
        if let Some(contact) = desk.contact(&pair.xmpp, pair.sip.domain()) {
            let settings = &desk.subscriptions;
            let resume = |kept| Notifier::resume(kept, contact.clone(), Arc::clone(settings), now);
            let dialogs = dialogs.into_iter().filter_map(KeptDialog::read);
            watch.notifiers = dialogs.take(DIALOGS_MAX).map(resume).collect();
            watch.notifiers.shrink_to_fit();
            watch.owes_farewell = !watch.notifiers.is_empty();
        }
        if !watch.notifiers.is_empty() {
            watch.go_on(desk, now);
        }
        watch
    }

    /// What a crash may have kept from being said is said again.
    fn go_on(&mut self, desk: &mut Desk, now: Now) {
        match self.authorisation {
            Some(Authorisation::Granted) => {
                for notifier in &mut self.notifiers {
                    notifier.authorise(now);
                }
            }
            Some(Authorisation::Pending) => {
                self.asked = Some(now.moment);
                desk.stanza(&self.pair, self.stanza(PresenceType::Subscribe));
            }
            Some(Authorisation::Denied) => self.terminate("rejected", None, desk, now),
            None => {}
        }
        self.drain(desk, now);
    }

    /// Takes a SUBSCRIBE that begins a dialog, or only asks once.
    pub fn handle_subscribe(
        &mut self,
        key: ServerKey,
        request: &Request,
        asked: Asked,
        desk: &mut Desk,
        now: Now,
    ) {
        let Some(contact) = desk.contact(&self.pair.xmpp, self.pair.sip.domain()) else {
            return desk.respond(key, Response::to(request, 480));
        };
        if self.notifiers.len() >= DIALOGS_MAX {
            // The oldest program of a user is the one that is gone.
            end_dialog(self.notifiers.remove(0).tag(), desk);
        }
        let tag = Token::parse(desk.ids.token("tag")).expect("identifiers are tokens");
        let polls = asked.expires == 0;
        let settings = Arc::clone(&desk.subscriptions);
        let notifier = Notifier::accept(key, request, asked, &tag, contact, self.is_granted(), settings, now);
        match notifier {
            Ok(notifier) => {
                // Most users have one program.
                self.notifiers.reserve_exact(1);
                self.notifiers.push(notifier);
                self.owes_farewell |= !polls;
            }
            Err(why) => {
                let reason = sip_types::HeaderText::clean(&format!("Bad Request: {why}")).text;
                return desk.respond(key, Response::to(request, 400).with_reason(&reason));
            }
        }
        match (self.is_granted(), polls) {
            (true, _) => self.refresh(desk, now),
            // A question of a stranger asks nobody (RFC 8048 §7.2).
            (false, true) => {}
            (false, false) => self.ask(request, desk, now),
        }
        self.drain(desk, now);
    }

    /// Takes a SUBSCRIBE inside the dialog with this tag of ours.
    pub fn handle_inside(
        &mut self,
        tag: &str,
        key: ServerKey,
        request: &Request,
        asked: &Asked,
        desk: &mut Desk,
        now: Now,
    ) {
        match self.notifier(tag) {
            Some(notifier) => notifier.handle_request(key, request, asked, now),
            None => desk.respond(key, Response::to(request, 481)),
        }
        self.drain(desk, now);
    }

    /// Asks the XMPP user for permission, though not again and again.
    fn ask(&mut self, request: &Request, desk: &mut Desk, now: Now) {
        if self.asked.is_some_and(|asked| now.moment < asked + ASKED_ENOUGH)
            && self.authorisation == Some(Authorisation::Pending)
        {
            return;
        }
        self.asked = Some(now.moment);
        self.authorise(Authorisation::Pending, desk);
        let mut stanza = self.stanza(PresenceType::Subscribe);
        if let Some(nick) = request.from().display_name().and_then(|name| nick_element(&name)) {
            desk.lost(DIRECTION, &self.pair, nick.losses);
            stanza.push_child(nick.value);
        }
        desk.stanza(&self.pair, stanza);
        desk.changed(DIRECTION, &self.pair, WatchChange::Asked);
    }

    /// Learns what the XMPP user wants to be called: the next document says so.
    pub fn handle_nick(&mut self, nick: &str) {
        self.nick = Some(nick.into());
    }

    /// The XMPP user allows it.
    pub fn handle_subscribed(&mut self, desk: &mut Desk, now: Now) {
        // Who was not asked has not answered (RFC 6121 §3.1.6).
        if self.authorisation != Some(Authorisation::Pending) {
            return;
        }
        self.authorise(Authorisation::Granted, desk);
        self.trouble = None;
        desk.changed(DIRECTION, &self.pair, WatchChange::Granted);
        for notifier in &mut self.notifiers {
            notifier.authorise(now);
        }
        self.refresh(desk, now);
        self.drain(desk, now);
    }

    /// The XMPP user does not allow it, or no more.
    pub fn handle_unsubscribed(&mut self, desk: &mut Desk, now: Now) {
        if self.authorisation.is_none_or(|known| known == Authorisation::Denied) {
            return;
        }
        self.authorise(Authorisation::Denied, desk);
        self.resources.clear();
        let why = "the XMPP user does not allow it".to_owned();
        desk.changed(DIRECTION, &self.pair, WatchChange::Denied(why));
        self.terminate("rejected", None, desk, now);
    }

    /// The XMPP user's server could not deliver what we sent: only its own user's word changes what is allowed.
    pub fn handle_error(&mut self, error: &StanzaError, desk: &mut Desk, now: Now) {
        let why = error.to_string();
        if self.authorisation == Some(Authorisation::Granted) {
            self.trouble = Some(why.as_str().into());
            return desk.changed(DIRECTION, &self.pair, WatchChange::Failing(why));
        }
        match error.condition {
            StanzaCondition::ItemNotFound | StanzaCondition::Gone => {
                self.deny(why, desk);
                self.terminate("noresource", None, desk, now);
            }
            StanzaCondition::Forbidden | StanzaCondition::NotAllowed | StanzaCondition::NotAuthorized => {
                self.deny(why, desk);
                self.terminate("rejected", None, desk, now);
            }
            _ => {
                self.asked = None;
                self.trouble = Some(why.as_str().into());
                desk.changed(DIRECTION, &self.pair, WatchChange::Failing(why));
                self.terminate("giveup", Some(GIVEN_UP), desk, now);
            }
        }
    }

    fn deny(&mut self, why: String, desk: &mut Desk) {
        self.authorise(Authorisation::Denied, desk);
        desk.changed(DIRECTION, &self.pair, WatchChange::Denied(why));
    }

    /// Hears of a resource: what the XMPP user says to this watcher.
    pub fn handle_resource(&mut self, mut resource: Resource, desk: &mut Desk, now: Now) {
        if !self.is_granted() {
            return;
        }
        resource.compact();
        self.probing.heard();
        self.confirm(&resource, now);
        let heard_before = self.heard.replace(now);
        if self.trouble.take().is_some() {
            desk.changed(DIRECTION, &self.pair, WatchChange::Works);
        }
        let (first, before) = (heard_before.is_none(), self.resources.clone());
        self.resources.retain(|known| known.available.is_some());
        match (&resource.name, &resource.available) {
            (name, None) => {
                // A bare address that is unavailable has no resource left (RFC 6121 §4.3.2).
                self.resources.retain(|known| name.is_some() && known.name != *name);
                // Whoever goes last may leave word.
                if self.resources.is_empty() && !resource.statuses.is_empty() {
                    self.resources.push(resource);
                }
            }
            (name, Some(_)) => match self.resources.iter().position(|known| known.name == *name) {
                Some(index) => self.resources[index] = resource,
                None if self.resources.len() < RESOURCES_MAX => {
                    // Most users have one.
                    self.resources.reserve_exact(1);
                    self.resources.push(resource);
                }
                None => desk.lost(DIRECTION, &self.pair, [Loss::OtherContacts].into_iter().collect()),
            },
        }
        if first || self.resources != before {
            for notifier in &mut self.notifiers {
                notifier.changed(now);
            }
            self.drain(desk, now);
        }
        self.answer_polls(desk, now);
    }

    /// Before an end that is planned: each program is told to subscribe anew at once (RFC 6665 §4.1.3).
    pub fn handle_stop(&mut self, desk: &mut Desk, now: Now) {
        // They come again at once: nobody has gone.
        self.owes_farewell = false;
        self.terminate("deactivated", None, desk, now);
    }

    fn terminate(&mut self, reason: &'static str, retry_after: Option<u32>, desk: &mut Desk, now: Now) {
        for notifier in &mut self.notifiers {
            notifier.terminate(reason, retry_after, now);
        }
        self.drain(desk, now);
    }

    pub fn handle_response(&mut self, tag: &str, response: &Response, desk: &mut Desk, now: Now) {
        if let Some(notifier) = self.notifier(tag) {
            notifier.handle_response(response, now);
        }
        self.drain(desk, now);
    }

    pub fn handle_failure(&mut self, tag: &str, failure: &Failure, desk: &mut Desk, now: Now) {
        if let Some(notifier) = self.notifier(tag) {
            notifier.handle_failure(failure, now);
        }
        self.drain(desk, now);
    }

    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        for notifier in &mut self.notifiers {
            if notifier.poll_timeout().is_some_and(|next| next <= now.moment) {
                notifier.handle_timeout(now);
            }
        }
        if let Some(due) = self.probing.take_due(now.moment).filter(|_| self.is_seen()) {
            self.send_probe(desk, now);
            if due == Due::Silent {
                self.presume_gone(desk, now);
            }
        }
        self.sweep(now);
        if self.polled_until.is_some_and(|until| until <= now.moment) {
            self.answer_polls(desk, now);
        }
        self.drain(desk, now);
    }

    pub fn poll_timeout(&self) -> Option<Moment> {
        let own = earliest(self.polled_until, earliest(self.swept_at(), self.probing.poll_timeout()));
        self.notifiers.iter().fold(own, |first, notifier| earliest(first, notifier.poll_timeout()))
    }

    pub const fn pair(&self) -> &Arc<Pair> {
        &self.pair
    }

    /// Returns our tags in its dialogs.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.notifiers.iter().map(Notifier::tag)
    }

    /// Returns whether nothing of it is left to remember.
    pub fn is_over(&self) -> bool {
        self.authorisation.is_none() && self.notifiers.is_empty()
    }

    /// Returns, once, whether the last program of the SIP user that watched has gone, from a user who let it.
    pub fn take_farewell(&mut self) -> bool {
        let gone = self.notifiers.is_empty() && self.owes_farewell;
        if gone {
            self.owes_farewell = false;
        }
        gone && self.is_granted()
    }

    /// Returns whether any program of the SIP user watches.
    pub fn is_watched(&self) -> bool {
        !self.notifiers.is_empty()
    }

    pub fn state(&self, now: Now) -> WatchState {
        WatchState {
            direction: DIRECTION,
            pair: Arc::clone(&self.pair),
            authorisation: self.authorisation.unwrap_or(Authorisation::Pending),
            dialogs: self.notifiers.iter().map(Notifier::expires).collect(),
            next: self.poll_timeout().filter(|next| *next > now.moment),
            shown: in_words(&self.resources),
            heard: self.heard.map(|heard| heard.date),
            trouble: self.trouble.as_deref().map(str::to_owned),
            is_wrong: self.is_granted() && self.is_watched() && self.heard.is_none(),
            held: None,
        }
    }

    /// Returns whether the SIP user has asked for it, other than once only.
    pub const fn has_asked(&self) -> bool {
        self.authorisation.is_some()
    }

    fn is_granted(&self) -> bool {
        self.authorisation == Some(Authorisation::Granted)
    }

    fn notifier(&mut self, tag: &str) -> Option<&mut Notifier> {
        self.notifiers.iter_mut().find(|notifier| notifier.tag() == tag)
    }

    /// Asks the server for what is not known, or not known to be true any more.
    fn refresh(&mut self, desk: &mut Desk, now: Now) {
        // What came by itself after a restart may not be all there is.
        let is_fresh = |heard: Now| self.probing.has_asked() && now.moment < heard.moment + FRESH;
        if !self.heard.is_some_and(is_fresh) {
            self.probe(desk, now);
        }
    }

    /// Asks the server, unless it has just been asked.
    pub fn probe(&mut self, desk: &mut Desk, now: Now) {
        if !self.is_granted() || self.notifiers.is_empty() {
            return;
        }
        if self.probing.may_ask(now.moment) {
            self.send_probe(desk, now);
        }
    }

    fn send_probe(&mut self, desk: &mut Desk, now: Now) {
        self.probing.asked(now.moment, &mut desk.ids);
        desk.stanza(&self.pair, self.stanza(PresenceType::Probe));
    }

    fn stanza(&self, kind: PresenceType) -> Element {
        stanza::presence(Some(kind), &self.pair.sip, &self.pair.xmpp)
    }

    fn authorise(&mut self, authorisation: Authorisation, desk: &mut Desk) {
        self.authorisation = Some(authorisation);
        let pair = Arc::clone(&self.pair);
        desk.record(WatchRecord::Authorisation { direction: DIRECTION, pair, authorisation });
    }

    fn drain(&mut self, desk: &mut Desk, now: Now) {
        let mut index = 0;
        while index < self.notifiers.len() {
            let tag: Box<str> = self.notifiers[index].tag().into();
            while let Some(output) = self.notifiers[index].poll_output() {
                self.carry_out(index, &tag, output, desk, now);
            }
            if self.notifiers[index].is_over() {
                self.notifiers.remove(index);
            } else {
                index += 1;
            }
        }
    }

    fn carry_out(&mut self, index: usize, tag: &str, output: NotifierOutput, desk: &mut Desk, now: Now) {
        match output {
            NotifierOutput::Send { request, next_hop: _ } => {
                desk.send(Asker::Inward(self.slot, tag.into()), request, self.pair.sip.domain());
            }
            NotifierOutput::Respond { key, response } => desk.respond(key, response),
            NotifierOutput::Wanted if self.keeps_waiting(index, now) => {}
            NotifierOutput::Wanted => self.notify(index, desk, now),
            NotifierOutput::Refreshed => {
                if self.is_granted() {
                    self.refresh(desk, now);
                }
            }
            NotifierOutput::Keep(kept) => {
                let pair = Arc::clone(&self.pair);
                desk.record(WatchRecord::Dialog {
                    direction: DIRECTION,
                    pair,
                    kept: Box::new(KeptDialog::of(&kept)),
                });
            }
            NotifierOutput::Forget => end_dialog(tag, desk),
            NotifierOutput::Ended(end) => {
                if matches!(end, NotifierEnd::Gone(_)) {
                    let why = "the watcher's program does not answer, or has forgotten".to_owned();
                    desk.changed(DIRECTION, &self.pair, WatchChange::Failing(why));
                }
            }
        }
    }

    /// Says the present document to a program.
    fn notify(&mut self, index: usize, desk: &mut Desk, now: Now) {
        let (content, language) = self.document(&self.notifiers[index], desk, now).unzip();
        self.notifiers[index].notify(content, language.flatten().as_ref(), now);
    }

    /// Returns the present document; none when nothing is known, and `closed` for who has taken his leave.
    fn document(
        &self,
        notifier: &Notifier,
        desk: &mut Desk,
        now: Now,
    ) -> Option<(Content, Option<HeaderText>)> {
        let leaving = notifier.is_leaving();
        if !self.is_granted() || (self.heard.is_none() && !leaving) {
            return None;
        }
        let resources: &[Resource] = if leaving { &[] } else { &self.resources };
        let options = desk.document_options(self.pair.sip.domain(), notifier, now);
        let written = document(
            &self.pair.xmpp,
            resources,
            self.nick.as_deref(),
            &desk.settings.watches.states,
            &options,
        );
        let written = written.ok()?;
        desk.lost(DIRECTION, &self.pair, written.losses);
        let content_type = ContentType::parse(PIDF_TYPE)?;
        Some((Content { content_type, body: written.value.into() }, language(resources)))
    }
}

fn end_dialog(tag: &str, desk: &mut Desk) {
    desk.record(WatchRecord::DialogEnded { tag: tag.into() });
}

/// Returns the stanza that tells an XMPP user that a SIP user who watched him is gone.
pub fn gone(pair: &Pair) -> Element {
    stanza::presence(Some(PresenceType::Unavailable), &pair.sip, &pair.xmpp)
}
