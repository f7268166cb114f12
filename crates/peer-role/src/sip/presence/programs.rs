//! The watchers: programs of users that subscribe, and what they were told (RFC 6665 §4.1).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use clock_types::{Ids, Moment, Now};
use sip_proto::endpoint::{Failure, ServerKey};
use sip_types::header::{HeaderName, SubscriptionPhase, SubscriptionState};
use sip_types::{HeaderText, Method, Request, Response};

use super::dialog::Dialog;
use super::{Desk, PresenceOutput};
use crate::Said;
use crate::presence::{Told, View, in_words, read_pidf};

/// All programs that watch, by watcher and watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    wishes: BTreeMap<(String, String), Wish>,
    usages: Vec<Usage>,
}

/// What a program wishes, and knows.
#[derive(Clone, Debug, Default)]
struct Wish {
    wanted: bool,
    told: Told,
    seen: View,
    /// Seconds to ask for, where the other side wants more than the manners say.
    asks: Option<u32>,
    /// When to ask anew.
    again: Option<Moment>,
}

/// One dialog, or what will be one.
#[derive(Clone, Debug)]
struct Usage {
    watcher: String,
    of: String,
    dialog: Dialog,
    /// Whether it only asks once.
    polls: bool,
    /// The SUBSCRIBE that has no answer.
    under_way: Option<u64>,
    /// Whether it was ever confirmed.
    live: bool,
    leaves: bool,
    /// The SUBSCRIBE that ends it is sent.
    has_left: bool,
    refresh: Moment,
    until: Moment,
    /// Until when it was granted.
    granted: Moment,
    /// The NOTIFY that waits for our answer, and until when.
    answering: Option<(u32, Moment)>,
    /// The number and body of the last NOTIFY.
    last: (u32, Bytes),
    /// When it came, and whether the next may come at once.
    heard: Option<Moment>,
    may_be_early: bool,
    over: bool,
}

/// Until a failure is tried again.
const PEACE: Duration = Duration::from_secs(5);
/// How long the first or last NOTIFY is awaited: Timer N.
const FAREWELL: Duration = Duration::from_secs(32);
/// By so much or more numbers jump when their sender restarts.
const JUMP: u32 = 500;

impl Programs {
    pub(super) fn watch(&mut self, watcher: &str, of: &str, desk: &mut Desk, ids: &mut Ids) -> bool {
        let wish = self.wishes.entry((watcher.to_owned(), of.to_owned())).or_default();
        let is_new = !wish.wanted;
        wish.wanted = true;
        if is_new {
            (wish.told, wish.again) = (Told::Waits, None);
            self.ask(watcher, of, false, desk, ids);
        }
        is_new
    }

    pub(super) fn leave(&mut self, watcher: &str, of: &str, desk: &mut Desk, now: Now) {
        if let Some(wish) = self.wishes.get_mut(&(watcher.to_owned(), of.to_owned())) {
            *wish = Wish::default();
        }
        for usage in &mut self.usages {
            if usage.watcher == watcher && usage.of == of && !usage.polls {
                usage.leaves = true;
            }
        }
        self.advance(desk, now);
    }

    pub(super) fn poll(&mut self, watcher: &str, of: &str, desk: &mut Desk, ids: &mut Ids) {
        self.ask(watcher, of, true, desk, ids);
    }

    pub(super) fn restart(&mut self, desk: &mut Desk, ids: &mut Ids) {
        self.usages.clear();
        let wished: Vec<(String, String)> =
            self.wishes.iter().filter(|(_, wish)| wish.wanted).map(|(pair, _)| pair.clone()).collect();
        for (watcher, of) in wished {
            if let Some(wish) = self.wishes.get_mut(&(watcher.clone(), of.clone())) {
                wish.seen.clear();
                wish.again = None;
            }
            self.ask(&watcher, &of, false, desk, ids);
        }
    }

    pub(super) fn told(&self, watcher: &str, of: &str) -> Told {
        self.wishes.get(&(watcher.to_owned(), of.to_owned())).map(|wish| wish.told).unwrap_or_default()
    }

    pub(super) fn seen(&self, watcher: &str, of: &str) -> View {
        self.wishes
            .get(&(watcher.to_owned(), of.to_owned()))
            .map(|wish| wish.seen.clone())
            .unwrap_or_default()
    }

    /// Begins a dialog.
    fn ask(&mut self, watcher: &str, of: &str, polls: bool, desk: &mut Desk, ids: &mut Ids) {
        let Some(dialog) = Dialog::ask(watcher, of, ids) else { return };
        let asks = self.wishes.get(&(watcher.to_owned(), of.to_owned())).and_then(|wish| wish.asks);
        let seconds = if polls { 0 } else { asks.unwrap_or(desk.manners.asks) };
        let mut usage = Usage {
            watcher: watcher.to_owned(),
            of: of.to_owned(),
            dialog,
            polls,
            under_way: None,
            live: false,
            leaves: false,
            has_left: false,
            refresh: Moment::ZERO,
            until: Moment::ZERO,
            granted: Moment::ZERO,
            answering: None,
            last: (0, Bytes::new()),
            heard: None,
            may_be_early: true,
            over: false,
        };
        subscribe(&mut usage, seconds, desk);
        self.usages.push(usage);
    }

    pub(super) fn handle_notify(
        &mut self,
        key: ServerKey,
        notify: &Request,
        desk: &mut Desk,
        ids: &mut Ids,
        now: Now,
    ) {
        let Some(place) = self.usages.iter().position(|usage| usage.dialog.holds(notify)) else {
            return desk.respond(key, Response::to(notify, 481));
        };
        let state = notify.headers().subscription_state().ok().flatten();
        let number = notify.cseq().number;
        let usage = &mut self.usages[place];
        let who = format!("{} about {}", usage.watcher, usage.of);
        let Some(state) = state else {
            desk.wrong.push(format!("a NOTIFY to {who} has no Subscription-State"));
            return desk.respond(key, Response::to(notify, 400));
        };
        // The same once more, after its connection broke (RFC 3263 §4.3).
        if usage.last == (number, notify.body().clone()) {
            return desk.respond(key, Response::to(notify, 200));
        }
        if let Some(last) = usage.dialog.last_heard.filter(|last| number <= *last) {
            desk.wrong.push(format!("NOTIFY {number} to {who} after {last}"));
            return desk.respond(key, Response::to(notify, 500));
        }
        let ends = state.state == SubscriptionPhase::Terminated;
        let jumps = usage.dialog.last_heard.is_some_and(|last| number >= last + JUMP);
        if !jumps
            && let Some((open, until)) = usage.answering
            && until > now.moment
        {
            desk.wrong.push(format!("NOTIFY {number} to {who} while {open} has no answer"));
        }
        let early = usage.heard.is_some_and(|heard| now.moment < heard + desk.manners.pace);
        if early && !usage.may_be_early && !ends && !jumps {
            desk.complain(format!("NOTIFY {number} to {who} is early (RFC 3856 §6.10)"));
        }
        usage.last = (number, notify.body().clone());
        usage.dialog.last_heard = Some(number);
        usage.dialog.remote = notify.from().clone();
        if let Ok(Some(contact)) = notify.headers().contact() {
            usage.dialog.target = contact.uri;
        }
        usage.answering = Some((number, now.moment + desk.manners.answers_after));
        usage.heard = Some(now.moment);
        // What said nothing of anybody was not what the pace is for.
        usage.may_be_early = notify.body().is_empty();
        usage.live = true;
        usage.until = usage.until.max(usage.granted).max(now.moment + FAREWELL);
        if let Some(left) = state.expires {
            usage.until = usage.until.min(now.moment + Duration::from_secs(u64::from(left)));
        }
        let after = desk.manners.answers_after;
        desk.outputs.push_back(PresenceOutput::Respond(after, key, Box::new(Response::to(notify, 200))));
        self.learn(place, notify, &state, desk, ids, now);
        self.advance(desk, now);
    }

    /// Takes what a NOTIFY says.
    fn learn(
        &mut self,
        place: usize,
        notify: &Request,
        state: &SubscriptionState,
        desk: &mut Desk,
        ids: &mut Ids,
        now: Now,
    ) {
        let usage = &mut self.usages[place];
        let (watcher, of, ends) = (usage.watcher.clone(), usage.of.clone(), usage.leaves || usage.polls);
        let is_current = !ends && !usage.over;
        let view = if notify.body().is_empty() { None } else { Some(read_pidf(notify.body())) };
        let view = match view {
            Some(Err(why)) => {
                desk.wrong.push(format!("a document for {watcher} cannot be read: {why}"));
                None
            }
            Some(Ok(view)) => Some(view),
            None => None,
        };
        if state.state == SubscriptionPhase::Pending && view.is_some() {
            desk.wrong.push(format!("{watcher}, who waits, is told about {of}"));
        }
        let user = of.split('@').next().unwrap_or_default();
        for known in view.iter().flatten().filter(|(_, state)| !state.note.starts_with(user)) {
            desk.wrong.push(format!("{watcher} asked about {of}, and is told {}", known.1));
        }
        let terminated = state.state == SubscriptionPhase::Terminated;
        usage.over |= terminated;
        let phase = match &state.state {
            SubscriptionPhase::Active => "active".to_owned(),
            SubscriptionPhase::Pending => "pending".to_owned(),
            SubscriptionPhase::Terminated => format!("ended {:?}", state.reason.as_ref().map(|r| r.as_str())),
            SubscriptionPhase::Other(other) => other.as_str().to_owned(),
        };
        desk.outputs.push_back(PresenceOutput::Said(match &view {
            Some(view) => Said::Shown { user: watcher.clone(), contact: of.clone(), view: in_words(view) },
            None => Said::Note(format!("{watcher}'s wish to see {of} is {phase}")),
        }));
        let Some(wish) = self.wishes.get_mut(&(watcher.clone(), of.clone())).filter(|_| is_current) else {
            return;
        };
        if let Some(view) = view {
            wish.seen = view;
        }
        if !terminated {
            wish.told = if state.state == SubscriptionPhase::Pending { Told::Waits } else { Told::Sees };
            return;
        }
        wish.seen.clear();
        match state.reason.as_ref().map(|reason| reason.as_str()) {
            Some("rejected" | "noresource") => (wish.wanted, wish.told) = (false, Told::Refused),
            Some("deactivated" | "timeout") => self.ask(&watcher, &of, false, desk, ids),
            _ => {
                let wait = state.retry_after.map_or(PEACE, |seconds| Duration::from_secs(seconds.into()));
                wish.again = Some(now.moment + wait);
            }
        }
    }

    pub(super) fn handle_response(
        &mut self,
        number: u64,
        response: &Response,
        desk: &mut Desk,
        ids: &mut Ids,
        now: Now,
    ) {
        let Some(usage) = self.usages.iter_mut().find(|usage| usage.under_way == Some(number)) else {
            return;
        };
        usage.under_way = None;
        let status = response.status();
        if (200..300).contains(&status) {
            let granted = response.headers().expires().ok().flatten().unwrap_or(desk.manners.asks);
            let granted = Duration::from_secs(u64::from(granted));
            usage.live = true;
            // Without a NOTIFY it is none (Timer N, RFC 6665 §4.1.2.4).
            let silent = usage.polls || usage.leaves || usage.heard.is_none();
            usage.until = now.moment + if silent { FAREWELL.min(granted.max(PEACE)) } else { granted };
            usage.granted = now.moment + granted;
            usage.refresh = now.moment + granted / 2;
            if let Some(remote) = response.to_header() {
                usage.dialog.remote = remote.clone();
            }
            if let Ok(Some(contact)) = response.headers().contact() {
                usage.dialog.target = contact.uri;
            }
            return self.advance(desk, now);
        }
        desk.note(format!("{}'s SUBSCRIBE for {} is answered {status}", usage.watcher, usage.of));
        let retry = response.headers().retry_after().ok().flatten();
        let retry = retry.map_or(PEACE, |seconds| Duration::from_secs(u64::from(seconds)));
        let (was_live, done) = (usage.live, usage.leaves || usage.polls);
        let (watcher, of) = (usage.watcher.clone(), usage.of.clone());
        let lives_on = was_live && !done && status != 481 && !matches!(status, 403 | 404 | 489 | 603);
        if lives_on {
            usage.refresh = now.moment + retry;
            return self.advance(desk, now);
        }
        usage.over = true;
        if let Some(wish) = self.wishes.get_mut(&(watcher.clone(), of.clone())).filter(|_| !done) {
            match status {
                403 | 404 | 489 | 603 => *wish = Wish { told: Told::Refused, ..Wish::default() },
                481 if was_live => self.ask(&watcher, &of, false, desk, ids),
                423 => {
                    wish.asks = response.headers().min_expires().ok().flatten();
                    self.ask(&watcher, &of, false, desk, ids);
                }
                _ => wish.again = Some(now.moment + retry),
            }
        }
        self.advance(desk, now);
    }

    pub(super) fn handle_failure(&mut self, number: u64, why: &Failure, desk: &mut Desk, now: Now) {
        let Some(usage) = self.usages.iter_mut().find(|usage| usage.under_way == Some(number)) else {
            return;
        };
        usage.under_way = None;
        desk.note(format!("{}'s SUBSCRIBE for {} has no answer: {why}", usage.watcher, usage.of));
        if usage.live && !usage.leaves && !usage.polls {
            usage.refresh = now.moment + PEACE;
        } else {
            usage.over = true;
            let pair = (usage.watcher.clone(), usage.of.clone());
            let done = usage.leaves || usage.polls;
            if let Some(wish) = self.wishes.get_mut(&pair).filter(|wish| wish.wanted && !done) {
                wish.again = Some(now.moment + PEACE);
            }
        }
        self.advance(desk, now);
    }

    pub(super) fn handle_timeout(&mut self, desk: &mut Desk, ids: &mut Ids, now: Now) {
        let mut lost = Vec::new();
        for usage in self.usages.iter_mut().filter(|usage| usage.live && usage.until <= now.moment) {
            usage.over = true;
            if !usage.leaves && !usage.polls {
                lost.push((usage.watcher.clone(), usage.of.clone()));
            }
        }
        self.usages.retain(|usage| !usage.over);
        for pair in lost {
            if let Some(wish) = self.wishes.get_mut(&pair) {
                wish.seen.clear();
                wish.again = Some(now.moment);
            }
        }
        let due = |(_, wish): &(&(String, String), &Wish)| wish.again.is_some_and(|at| at <= now.moment);
        let due: Vec<(String, String)> =
            self.wishes.iter().filter(due).map(|(pair, _)| pair.clone()).collect();
        for pair in due {
            if let Some(wish) = self.wishes.get_mut(&pair) {
                wish.again = None;
            }
            self.ask(&pair.0, &pair.1, false, desk, ids);
        }
        self.advance(desk, now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        let usages = self.usages.iter().filter(|usage| usage.live).map(|usage| {
            let quiet = usage.under_way.is_some() || usage.leaves || usage.polls;
            if quiet { usage.until } else { usage.until.min(usage.refresh) }
        });
        usages.chain(self.wishes.values().filter_map(|wish| wish.again)).min()
    }

    /// Refreshes what is due, and takes leave.
    fn advance(&mut self, desk: &mut Desk, now: Now) {
        self.usages.retain(|usage| !usage.over);
        for usage in self.usages.iter_mut().filter(|usage| usage.live && usage.under_way.is_none()) {
            let wish = self.wishes.get(&(usage.watcher.clone(), usage.of.clone()));
            let asks = wish.and_then(|wish| wish.asks).unwrap_or(desk.manners.asks);
            if usage.leaves && !usage.has_left {
                (usage.has_left, usage.until) = (true, now.moment + FAREWELL);
                subscribe(usage, 0, desk);
            } else if !usage.leaves && !usage.polls && usage.refresh <= now.moment {
                subscribe(usage, asks, desk);
            }
        }
    }
}

fn subscribe(usage: &mut Usage, seconds: u32, desk: &mut Desk) {
    let request = usage.dialog.request(Method::Subscribe, &usage.watcher, &desk.manners.place);
    let request = request
        .with(HeaderName::Expires, &HeaderText::from(seconds))
        .with(HeaderName::Accept, &HeaderText::from_static("application/pidf+xml"));
    usage.may_be_early = true;
    usage.under_way = Some(desk.send(request));
}
