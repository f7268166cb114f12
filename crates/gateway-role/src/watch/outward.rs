//! An XMPP user watches a SIP user (RFC 8048 §5.2).

mod held;
mod outage;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Moment, Now, earliest};
use net_types::Bytes;
use sip_proto::endpoint::{Failure, ServerKey};
use sip_proto::subscription::{Kept, Parties, Subscriber, SubscriberOutput, Trouble};
use sip_types::header::NameAddr;
use sip_types::{Headers, Request, Response};
use translate::presence::{Seen, nick_element, read_presence};
use translate::{Loss, Refusal, jid_to_sip};
use xmpp_types::jid::Jid;
use xmpp_types::stanza::{self, PresenceType};
use xmpp_types::xml::Element;

use super::desk::{Asker, Desk, Slot};
use super::effect::WatchChange;
use super::record::{Authorisation, KeptDialog, KeptWatch, WatchDirection, WatchRecord};
use super::show::{Shown, nobody};
use super::state::WatchState;
use crate::conversation::Pair;
pub use held::Held;

/// How long a contact who does not exist is left alone: he may come to exist again.
const ABSENT: Duration = Duration::from_secs(3600);
/// How long a watch waits for the word of a proxy, and again.
const UNHEARD: Duration = Duration::from_secs(10);

/// One XMPP user's watch of one SIP user.
#[derive(Debug)]
pub struct Outward {
    slot: Slot,
    pair: Arc<Pair>,
    authorisation: Authorisation,
    subscriber: Subscriber,
    shown: Shown,
    /// The document that came with what is being taken.
    read: Read,
    heard: Option<Date>,
    trouble: Option<Box<str>>,
    /// When what is shown is no longer true unless it works again.
    stale: Option<Moment>,
    /// When a contact that did not exist is asked about anew.
    again: Option<Moment>,
    /// Our tag in the dialog that is kept.
    kept: Option<Box<str>>,
    /// Why the SIP side is not asked.
    held: Option<Held>,
    wish: Wish,
    /// Whether something that was said to the XMPP user came back.
    missed: bool,
    /// Whether the trouble is that nobody answers.
    unreachable: bool,
    over: bool,
    /// Whether the table counts it as waiting.
    pub(super) counted: bool,
    /// What the table knows it by.
    pub(super) listed: Option<Arc<str>>,
    /// When the table wakes it.
    pub(super) scheduled: Option<Moment>,
}

const DIRECTION: WatchDirection = WatchDirection::Outward;

/// What the XMPP user wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// To watch.
    Watches,
    /// No more; the store knows of it no more, either.
    Quits,
    /// To watch again, once it has ended.
    Returns,
}

/// What a document says, as far as it can be read.
#[derive(Debug, Default)]
enum Read {
    #[default]
    Nothing,
    Seen(Seen),
    Refused(Box<str>),
}

impl Outward {
    /// Returns a watch that has not begun; `None` if the users have no SIP addresses.
    pub fn new(slot: Slot, pair: &Arc<Pair>, desk: &Desk) -> Option<Self> {
        let subscriber = Subscriber::new(parties(pair, desk)?, Arc::clone(&desk.subscriptions));
        Some(Self::of(slot, pair, Authorisation::Pending, subscriber))
    }

    fn of(slot: Slot, pair: &Arc<Pair>, authorisation: Authorisation, subscriber: Subscriber) -> Self {
        Self {
            slot,
            pair: Arc::clone(pair),
            authorisation,
            subscriber,
            shown: Shown::default(),
            read: Read::Nothing,
            heard: None,
            trouble: None,
            stale: None,
            again: None,
            kept: None,
            held: None,
            missed: false,
            unreachable: false,
            wish: Wish::Watches,
            over: false,
            counted: false,
            listed: None,
            scheduled: None,
        }
    }

    /// Goes on from what an earlier process left. Without a dialog, what was allowed is asked for `within`.
    pub fn recover(slot: Slot, watch: KeptWatch, within: Duration, desk: &Desk, now: Now) -> Option<Self> {
        let KeptWatch { direction: _, pair, authorisation, shown, mut dialogs } = watch;
        let pair = &pair;
        let parties = parties(pair, desk)?;
        let dialog = dialogs.pop().and_then(KeptDialog::read);
        let settings = Arc::clone(&desk.subscriptions);
        let dialog = dialog.filter(|_| authorisation != Authorisation::Denied);
        let kept = dialog.as_ref().and_then(|kept| kept.dialog.local.tag()).map(Into::into);
        let waits = dialog.is_none() && authorisation != Authorisation::Denied;
        let subscriber = match dialog {
            Some(kept) => Subscriber::resume(parties, kept, within, settings, now),
            None => Subscriber::new(parties, settings),
        };
        let mut watch = Self::of(slot, pair, authorisation, subscriber);
        watch.shown = Shown::inherit(shown);
        watch.kept = kept;
        watch.again = waits.then(|| now.moment + within);
        Some(watch)
    }

    /// The XMPP user asks to watch. One who may already is told so again (RFC 6121 §3.1.3).
    pub fn handle_subscribe(&mut self, is_new: bool, nick: Option<&str>, desk: &mut Desk, now: Now) {
        if let Some(nick) = nick {
            self.subscriber.call_watcher(nick);
        }
        if self.wish != Wish::Watches {
            self.wish = Wish::Returns;
            return self.authorise(Authorisation::Pending, desk);
        }
        if self.authorisation == Authorisation::Granted && !is_new {
            self.say(PresenceType::Subscribed, desk);
            self.answer_probe(&self.pair.xmpp.clone(), desk);
            return self.ensure(desk, now);
        }
        if is_new || self.authorisation == Authorisation::Denied {
            self.authorise(Authorisation::Pending, desk);
            desk.changed(DIRECTION, &self.pair, WatchChange::Asked);
        }
        self.ensure(desk, now);
    }

    /// A probe adopts a watch that is older than this gateway; it begins in its turn.
    pub fn handle_adopted(&mut self, desk: &mut Desk) {
        self.authorise(Authorisation::Granted, desk);
    }

    /// The XMPP user wishes it no more, whatever becomes of this process before the SIP side has heard so.
    pub fn handle_unsubscribe(&mut self, desk: &mut Desk, now: Now) {
        if self.wish != Wish::Quits {
            desk.record(WatchRecord::Forgotten { direction: DIRECTION, pair: Arc::clone(&self.pair) });
        }
        (self.again, self.wish) = (None, Wish::Quits);
        self.subscriber.unsubscribe(now);
        self.drain(desk, now);
    }

    /// The XMPP user's server asks what is known (RFC 6121 §4.3): answered at once from what is known, and never with
    /// `unsubscribed`, which would destroy the contact.
    pub fn handle_probe(&mut self, prober: &Jid, desk: &mut Desk, now: Now) {
        self.answer_probe(prober, desk);
        if self.authorisation == Authorisation::Granted {
            self.ensure(desk, now);
        }
    }

    fn answer_probe(&self, prober: &Jid, desk: &mut Desk) {
        let stanzas = if self.authorisation == Authorisation::Granted {
            self.shown.all(&self.pair, prober, desk.capabilities(self.pair.domain()))
        } else {
            vec![nobody(&self.pair, prober)]
        };
        for stanza in stanzas {
            desk.stanza(&self.pair, stanza);
        }
    }

    /// The XMPP user has come online.
    pub fn handle_online(&mut self, desk: &mut Desk, now: Now) {
        if self.authorisation == Authorisation::Granted {
            self.ensure(desk, now);
        }
    }

    /// Makes sure that there is a dialog, or one is being asked for.
    fn ensure(&mut self, desk: &mut Desk, now: Now) {
        if self.held.is_none() && self.subscriber.tag().is_none() && !self.is_resting(now) {
            self.again = None;
            self.subscriber.subscribe(now, &mut desk.ids);
            self.drain(desk, now);
        }
    }

    /// A peer that fails is not asked more often because somebody comes online.
    fn is_resting(&self, now: Now) -> bool {
        self.trouble.is_some() && self.subscriber.poll_timeout().is_some_and(|next| next > now.moment)
    }

    /// Hears a NOTIFY of the watch's dialog; without a key one that wants no answer.
    pub fn handle_notify(&mut self, key: Option<ServerKey>, notify: &Request, desk: &mut Desk, now: Now) {
        let refusal = self.read(notify.headers(), notify.body(), desk);
        let refusal = refusal.map(|refusal| Box::new(refusal.response(notify)));
        if let Read::Seen(seen) = &mut self.read
            && seen.display_name.is_none()
        {
            seen.display_name = notify.from().display_name().map(Cow::into_owned);
        }
        self.subscriber.handle_notify(key, notify, refusal, now, &mut desk.ids);
        self.drain(desk, now);
        self.read = Read::Nothing;
    }

    /// Hears the answer to a SUBSCRIBE. The document that it may hold is read as that of a NOTIFY.
    pub fn handle_response(&mut self, response: &Response, desk: &mut Desk, now: Now) {
        if (200..300).contains(&response.status()) {
            self.read(response.headers(), response.body(), desk);
        }
        self.subscriber.handle_response(response, now, &mut desk.ids);
        self.drain(desk, now);
        self.read = Read::Nothing;
    }

    /// Reads a document before it is known whether it counts; returns how to refuse one that cannot be read.
    fn read(&mut self, headers: &Headers, body: &Bytes, desk: &mut Desk) -> Option<Box<Refusal>> {
        match read_presence(headers, body, &self.pair.sip, &desk.settings.watches.states) {
            Ok(None) => self.read = Read::Nothing,
            Ok(Some(read)) => {
                desk.lost(DIRECTION, &self.pair, read.losses);
                self.read = Read::Seen(read.value);
            }
            Err(refusal) => {
                desk.lost(DIRECTION, &self.pair, [Loss::Document].into_iter().collect());
                self.read = Read::Refused(refusal.reason.as_str().into());
                return Some(refusal);
            }
        }
        None
    }

    pub fn handle_failure(&mut self, failure: Failure, desk: &mut Desk, now: Now) {
        self.subscriber.handle_failure(failure, now);
        self.drain(desk, now);
    }

    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        if self.stale.is_some_and(|stale| stale <= now.moment) {
            self.stale = None;
            self.show(Vec::new(), desk);
        }
        if self.again.is_some_and(|again| again <= now.moment) {
            self.again = None;
            self.go_on(desk, now);
        }
        self.subscriber.handle_timeout(now, &mut desk.ids);
        self.drain(desk, now);
    }

    fn go_on(&mut self, desk: &mut Desk, now: Now) {
        match self.held {
            // After a restart: whether he may ask is not known before a proxy has been heard.
            None if !desk.partners.is_known() && self.authorisation == Authorisation::Pending => {
                self.again = Some(now.moment + UNHEARD);
            }
            None => self.subscriber.subscribe(now, &mut desk.ids),
            Some(Held::Refused) if self.authorisation == Authorisation::Pending => {
                self.denied(self.held_in_words(), desk);
            }
            Some(Held::Refused | Held::NotAdded) => {}
        }
    }

    /// Whether the XMPP user may read notes has changed: those that are shown go, those that are not are asked for. What
    /// was not heard by this process had none taken away.
    pub fn handle_notes(&mut self, desk: &mut Desk, now: Now) {
        if !desk.shows_notes(&self.pair) {
            let devices = self.shown.devices().to_vec();
            self.show(devices, desk);
        } else if self.is_granted() && self.heard.is_some() {
            self.again = Some(now.moment + desk.within(desk.settings.watches.spread));
        }
    }

    pub fn poll_timeout(&self) -> Option<Moment> {
        earliest(self.subscriber.poll_timeout(), earliest(self.stale, self.again))
    }

    /// Returns what names the messages of its dialog: our tag.
    pub fn tag(&self) -> Option<&str> {
        self.subscriber.tag()
    }

    pub const fn pair(&self) -> &Arc<Pair> {
        &self.pair
    }

    /// Returns whether nothing of it is left.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Returns how the XMPP user is called, as far as he has said so.
    pub fn nick(&self) -> Option<String> {
        self.subscriber.watcher_name()
    }

    /// Returns whether the XMPP user may see the SIP user.
    pub fn is_granted(&self) -> bool {
        self.authorisation == Authorisation::Granted && self.held.is_none()
    }

    /// Returns whether that device of the SIP user is one that only its document names so.
    pub fn is_label(&self, device: &Jid) -> bool {
        self.shown.is_label(&self.pair, device)
    }

    /// Returns whether the XMPP user sees the SIP user available.
    pub fn is_available(&self) -> bool {
        self.shown.is_available()
    }

    pub fn state(&self, now: Now) -> WatchState {
        let dialogs: Vec<Moment> = self.subscriber.expires().into_iter().collect();
        let lives = dialogs.first().is_some_and(|expires| *expires > now.moment);
        WatchState {
            direction: DIRECTION,
            pair: Arc::clone(&self.pair),
            authorisation: self.authorisation,
            is_wrong: self.is_granted() && !lives,
            held: self.held.map(|_| self.held_in_words()),
            dialogs,
            next: self.poll_timeout(),
            shown: translate::presence::in_words(self.shown.devices()),
            heard: self.heard,
            trouble: self.trouble.as_deref().map(str::to_owned),
        }
    }

    fn drain(&mut self, desk: &mut Desk, now: Now) {
        while let Some(output) = self.subscriber.poll_output() {
            match output {
                SubscriberOutput::Send { request, next_hop: _ } => {
                    desk.send(Asker::Outward(self.slot), request, self.pair.sip.domain());
                }
                SubscriberOutput::Respond { key, response } => desk.respond(key, response),
                SubscriberOutput::Pending => {}
                SubscriberOutput::Notified(_) => self.notified(desk, now),
                SubscriberOutput::Refused(_) | SubscriberOutput::NoResource(_)
                    if self.wish != Wish::Watches =>
                {
                    self.ended(desk, now);
                }
                SubscriberOutput::Refused(why) => self.denied(why, desk),
                SubscriberOutput::NoResource(why) => self.absent(why, desk, now),
                SubscriberOutput::Frozen => {}
                SubscriberOutput::Failing { trouble, again: _ } => {
                    self.unreachable = matches!(trouble, Trouble::Failure(_));
                    self.failing(&trouble.to_string(), desk, now);
                }
                SubscriberOutput::Lapsed => self.show(Vec::new(), desk),
                SubscriberOutput::Unsubscribed if self.wish != Wish::Watches => self.ended(desk, now),
                // What was held back meanwhile goes on, if it is so no longer.
                SubscriberOutput::Unsubscribed => self.again = self.held.is_none().then_some(now.moment),
                SubscriberOutput::Keep(kept) => self.keep(*kept, desk),
                SubscriberOutput::Forget => self.forget_dialog(desk),
            }
        }
    }

    fn notified(&mut self, desk: &mut Desk, now: Now) {
        if self.held.is_some() || self.wish != Wish::Watches {
            self.read = Read::Nothing;
            return;
        }
        self.heard = Some(now.date);
        (self.stale, self.again) = (None, None);
        if self.authorisation != Authorisation::Granted {
            desk.changed(DIRECTION, &self.pair, WatchChange::Granted);
            let subscribed = self.stanza(PresenceType::Subscribed);
            let nick = match &self.read {
                Read::Seen(seen) => seen.display_name.as_deref().and_then(nick_element),
                Read::Nothing | Read::Refused(_) => None,
            };
            let subscribed = match nick {
                Some(nick) => subscribed.with_child(nick.value),
                None => subscribed,
            };
            self.decided(Authorisation::Granted, subscribed, desk);
        }
        let devices = match std::mem::take(&mut self.read) {
            Read::Refused(why) => return self.unreadable(why, desk, now),
            Read::Seen(seen) => seen.resources,
            // What is not told any more is not known any more (RFC 8048 §5.3.2). Kamailio hides a contact so from somebody
            // whom he lets watch and see nothing.
            Read::Nothing => Vec::new(),
        };
        if self.trouble.take().is_some() {
            desk.changed(DIRECTION, &self.pair, WatchChange::Works);
        }
        self.show(devices, desk);
    }

    /// What is shown may no longer be true; for a while it is, until a document can be read. Of many that say the same
    /// the first is told.
    fn unreadable(&mut self, why: Box<str>, desk: &mut Desk, now: Now) {
        if self.trouble.as_ref() != Some(&why) {
            desk.changed(DIRECTION, &self.pair, WatchChange::Unreadable(why.to_string()));
        }
        self.trouble = Some(why);
        if self.shown.is_available() {
            self.stale = Some(now.moment + desk.settings.watches.stale_after);
        }
    }

    fn denied(&mut self, why: String, desk: &mut Desk) {
        self.show(Vec::new(), desk);
        self.decided(Authorisation::Denied, self.stanza(PresenceType::Unsubscribed), desk);
        desk.changed(DIRECTION, &self.pair, WatchChange::Denied(why));
    }

    /// A contact that never was is refused; one that was may come back.
    fn absent(&mut self, why: String, desk: &mut Desk, now: Now) {
        if self.authorisation == Authorisation::Granted {
            self.show(Vec::new(), desk);
            self.again = Some(now.moment + ABSENT);
            self.trouble = Some(why.as_str().into());
            desk.changed(DIRECTION, &self.pair, WatchChange::Failing(why));
        } else {
            self.denied(why, desk);
        }
    }

    fn failing(&mut self, why: &str, desk: &mut Desk, now: Now) {
        if self.trouble.as_deref() != Some(why) {
            desk.changed(DIRECTION, &self.pair, WatchChange::Failing(why.to_owned()));
        }
        self.trouble = Some(why.into());
        if self.stale.is_none() && self.shown.is_available() {
            self.stale = Some(now.moment + desk.settings.watches.stale_after);
        }
    }

    fn ended(&mut self, desk: &mut Desk, now: Now) {
        self.show(Vec::new(), desk);
        desk.changed(DIRECTION, &self.pair, WatchChange::Ended);
        if self.wish == Wish::Returns {
            // To say that it has ended would take back what was asked for since (RFC 6121 §3.1.4).
            (self.wish, self.again) = (Wish::Watches, Some(now.moment));
            return desk.changed(DIRECTION, &self.pair, WatchChange::Asked);
        }
        self.say(PresenceType::Unsubscribed, desk);
        self.over = true;
    }

    /// The SIP user has decided. That is kept when the XMPP side has heard it: a process that crashes before asks the SIP
    /// side once more.
    fn decided(&mut self, authorisation: Authorisation, stanza: Element, desk: &mut Desk) {
        self.authorisation = authorisation;
        desk.word(self.slot, authorisation, &self.pair, stanza);
    }

    /// The XMPP side has heard what the SIP user decided.
    pub fn handle_told(&mut self, authorisation: Authorisation, desk: &mut Desk) {
        if self.authorisation == authorisation && self.wish == Wish::Watches {
            self.authorise(authorisation, desk);
        }
    }

    fn authorise(&mut self, authorisation: Authorisation, desk: &mut Desk) {
        self.authorisation = authorisation;
        let pair = Arc::clone(&self.pair);
        self.record(WatchRecord::Authorisation { direction: DIRECTION, pair, authorisation }, desk);
    }

    /// Keeps a change; of what is wished no more nothing is kept.
    fn record(&self, record: WatchRecord, desk: &mut Desk) {
        if self.wish != Wish::Quits {
            desk.record(record);
        }
    }

    fn keep(&mut self, kept: Kept, desk: &mut Desk) {
        let tag: Option<Box<str>> = kept.dialog.local.tag().map(Into::into);
        if tag != self.kept {
            self.forget_dialog(desk);
            self.kept = tag;
        }
        let (pair, kept) = (Arc::clone(&self.pair), Box::new(KeptDialog::of(&kept)));
        self.record(WatchRecord::Dialog { direction: DIRECTION, pair, kept }, desk);
    }

    fn forget_dialog(&mut self, desk: &mut Desk) {
        if let Some(tag) = self.kept.take() {
            self.record(WatchRecord::DialogEnded { tag }, desk);
        }
    }

    fn show(&mut self, mut devices: Vec<translate::presence::Resource>, desk: &mut Desk) {
        if !desk.shows_notes(&self.pair) {
            devices.iter_mut().for_each(|device| device.statuses.clear());
        }
        if let Some(devices) = self.shown.take_names(&devices) {
            self.record(WatchRecord::Shown { pair: Arc::clone(&self.pair), devices }, desk);
        }
        let capabilities = desk.capabilities(self.pair.domain());
        for stanza in self.shown.replace(&self.pair, devices, capabilities) {
            desk.stanza(&self.pair, stanza);
        }
    }

    fn say(&self, kind: PresenceType, desk: &mut Desk) {
        desk.stanza(&self.pair, self.stanza(kind));
    }

    fn stanza(&self, kind: PresenceType) -> Element {
        stanza::presence(Some(kind), &self.pair.sip, &self.pair.xmpp)
    }
}

fn parties(pair: &Pair, desk: &Desk) -> Option<Parties> {
    let address = |jid: &Jid| jid_to_sip(jid, translate::Profile::BareAddress).ok();
    let (from, to) = (address(&pair.xmpp)?, address(&pair.sip)?);
    Some(Parties {
        target: to.clone().into(),
        from: NameAddr::new(from),
        to: NameAddr::new(to),
        contact: desk.contact(&pair.xmpp, pair.sip.domain())?,
    })
}
