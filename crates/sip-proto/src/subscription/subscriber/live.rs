//! A subscription with a dialog, and what ends or shakes it.

use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use sip_types::header::SubscriptionPhase;
use sip_types::{Method, Request, Response};

use super::{Content, Kept, State, Subscriber, SubscriberOutput, Trouble, seconds};
use crate::dialog::{Dialog, Packed};

/// Seconds that every subscription is taken to live.
const GRANTED_MIN: u32 = 30;

/// A dialog and its clock.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) dialog: Packed,
    /// When a NOTIFY was taken last.
    pub(super) heard: Moment,
    /// Nobody has allowed it yet.
    pub(super) pending: bool,
    /// Whether the user knows that it is pending.
    pub(super) said_pending: bool,
    pub(super) expires: Moment,
    /// When to refresh; when it is being left, until when the last NOTIFY may come (Timer N).
    pub(super) refresh: Moment,
    /// A SUBSCRIBE has no answer yet.
    pub(super) under_way: bool,
    /// The SUBSCRIBE that ends it is sent.
    pub(super) leaving: bool,
}

impl Live {
    pub(super) fn new(dialog: Dialog, pending: bool, lives: Duration, now: Now) -> Self {
        let expires = now.moment + lives;
        Self {
            dialog: Packed::new(dialog),
            heard: now.moment,
            pending,
            said_pending: false,
            expires,
            refresh: expires,
            under_way: false,
            leaving: false,
        }
    }

    /// Takes the seconds that the peer grants from now on: the refresh comes two minutes before the end or at nine
    /// tenths, whichever is earlier; half way where there are only few. Who grants hardly anything is not asked all the
    /// time for it: it may answer 481, and is asked anew.
    pub(super) fn grant(&mut self, granted: u32, now: Now) {
        let granted = granted.max(GRANTED_MIN);
        self.expires = now.moment + seconds(granted);
        let lead = if granted > 240 { granted / 10 * 9 } else { granted / 2 };
        let lead = if granted > 240 { lead.min(granted - 120) } else { lead };
        if !self.leaving {
            self.refresh = now.moment + seconds(lead);
        }
    }
}

impl Subscriber {
    /// Does what the state in a NOTIFY means (RFC 6665 §4.1.3).
    pub(super) fn handle_state(
        &mut self,
        notify: &Request,
        content: Option<Content>,
        now: Now,
        ids: &mut Ids,
    ) {
        let state = notify.headers().subscription_state().ok().flatten();
        let State::Live(live) = &mut self.state else { return };
        if let Some(granted) = state.as_ref().and_then(|state| state.expires) {
            // What the SUBSCRIBE will be answered counts as well; the lesser wins until then.
            live.grant(granted, now);
        } else if live.refresh == live.expires {
            let left = live.expires.since(now.moment).as_secs();
            live.grant(u32::try_from(left).unwrap_or(u32::MAX), now);
        }
        match state.as_ref().map(|state| &state.state) {
            Some(SubscriptionPhase::Terminated) => {
                let reason = state.as_ref().and_then(|state| state.reason.as_ref());
                let reason = reason.map(|reason| reason.as_str().to_ascii_lowercase());
                let retry = state.as_ref().and_then(|state| state.retry_after).map(seconds);
                self.terminated(reason.as_deref(), retry, content, now, ids);
            }
            Some(SubscriptionPhase::Pending) => {
                if !std::mem::replace(&mut live.said_pending, true) {
                    self.outputs.push_back(SubscriberOutput::Pending);
                    self.keep(now);
                }
            }
            // Clients of before RFC 3265 leave the header out; then the state is what it is.
            // What cannot be read was allowed all the same.
            Some(SubscriptionPhase::Active | SubscriptionPhase::Other(_)) | None => {
                self.become_active(content, now);
            }
        }
    }

    /// A document inside a 2xx is that of a NOTIFY with the number that stands beside it (MS-PRES §4.11): another one
    /// with this number says it again, and what has a later number was heard already.
    pub(super) fn take_piggyback(&mut self, content: Content, response: &Response, now: Now) {
        let State::Live(live) = &mut self.state else { return };
        let number = response.headers().get_other("ms-piggyback-cseq");
        let number = number.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
        if number.is_none_or(|number| live.dialog.with(|dialog| dialog.handle_number(number))) {
            self.become_active(Some(content), now);
        }
    }

    fn become_active(&mut self, content: Option<Content>, now: Now) {
        let State::Live(live) = &mut self.state else { return };
        if live.refresh == live.expires {
            let left = live.expires.since(now.moment).as_secs();
            live.grant(u32::try_from(left).unwrap_or(u32::MAX), now);
        }
        self.failures = 0;
        let first = std::mem::replace(&mut live.pending, false);
        if !live.leaving {
            self.outputs.push_back(SubscriberOutput::Notified(content));
        }
        if first {
            self.keep(now);
        }
    }

    /// The notifier has ended the dialog.
    fn terminated(
        &mut self,
        reason: Option<&str>,
        retry: Option<Duration>,
        content: Option<Content>,
        now: Now,
        ids: &mut Ids,
    ) {
        if !self.wanted {
            return self.gone();
        }
        let is_hasty = self.replaced.is_some_and(|at| now.moment < at + seconds(GRANTED_MIN));
        self.outputs.push_back(SubscriberOutput::Forget);
        match reason {
            Some("rejected") => self.refuse("the user does not allow it (rejected)".to_owned()),
            Some("noresource") => {
                self.state = State::Over;
                self.wanted = false;
                let words = "there is no such user (noresource)".to_owned();
                self.outputs.push_back(SubscriberOutput::NoResource(words));
            }
            Some("invariant") => {
                if content.is_some() {
                    self.outputs.push_back(SubscriberOutput::Notified(content));
                }
                self.state = State::Over;
                self.wanted = false;
                self.outputs.push_back(SubscriberOutput::Frozen);
            }
            Some("deactivated" | "timeout") if self.failures == 0 && !is_hasty => {
                // Once at once; whoever does so again and again is a failing peer, also if it allows it in between.
                self.replaced = Some(now.moment);
                self.failures = 1;
                self.ask(ids);
            }
            reason => {
                let words = reason.unwrap_or("no reason given").to_owned();
                self.rest(Trouble::Terminated(words), retry, now);
            }
        }
    }

    /// The SUBSCRIBE was refused (RFC 6665 §4.1.2, RFC 8048 §5.2.2).
    pub(super) fn refused(&mut self, response: &Response, now: Now, ids: &mut Ids) {
        let status = response.status();
        let words = format!("SUBSCRIBE was answered {status} {}", response.reason());
        let leaving = matches!(&self.state, State::Live(live) if live.leaving);
        match status {
            _ if leaving => self.gone(),
            403 | 489 | 603 => {
                self.forget();
                self.refuse(words);
            }
            404 | 410 | 604 => {
                self.forget();
                self.state = State::Over;
                self.wanted = false;
                self.outputs.push_back(SubscriberOutput::NoResource(words));
            }
            423 => self.ask_for_longer(response, now, ids),
            481 if matches!(self.state, State::Live(_)) => {
                self.forget();
                self.ask(ids);
            }
            _ => {
                let asked = response.headers().retry_after().ok().flatten().map(seconds);
                self.fail(Trouble::Status(status, response.reason().to_owned()), asked, now);
            }
        }
    }

    /// A NOTIFY with a number that was passed already has been refused. It may have been overtaken; but when none of before
    /// can be under way any more its notifier counts anew, and would be refused for ever: another dialog is needed.
    ///
    /// COMPAT(Kamailio, 5.6): after a restart it counts on from when the dialog began (`subs_db_mode` 1).
    pub(super) fn heed_old_number(&mut self, notify: &Request, now: Now, ids: &mut Ids) {
        let State::Live(live) = &self.state else { return };
        let dialog = live.dialog.unpack();
        let passed = dialog.parts().remote_seq.is_some_and(|last| notify.cseq().number < last);
        let overtaken = now.moment < live.heard + self.settings.timing.lifetime();
        if passed && !overtaken && !live.leaving && dialog.is_of(notify) {
            self.forget();
            self.ask(ids);
        }
    }

    /// Asks again for as long as the peer wants at least; once.
    fn ask_for_longer(&mut self, response: &Response, now: Now, ids: &mut Ids) {
        const A_DAY: u32 = 86_400;
        let least = response.headers().min_expires().ok().flatten();
        match least.filter(|least| *least > self.expires && *least <= A_DAY) {
            Some(least) => {
                self.expires = least;
                match &mut self.state {
                    // A refusal of a refresh leaves the dialog as it was (RFC 6665 §4.1.2.2).
                    State::Live(live) => live.refresh = now.moment,
                    _ => self.ask(ids),
                }
            }
            None => self.fail(Trouble::Status(423, response.reason().to_owned()), None, now),
        }
    }

    fn refuse(&mut self, words: String) {
        self.state = State::Over;
        self.wanted = false;
        self.outputs.push_back(SubscriberOutput::Refused(words));
    }

    fn forget(&mut self) {
        if matches!(self.state, State::Live(_)) {
            self.outputs.push_back(SubscriberOutput::Forget);
        }
    }

    pub(super) fn lapse(&mut self) {
        self.forget();
        self.outputs.push_back(SubscriberOutput::Lapsed);
    }

    /// It did not work. A dialog lives on until its end, and is tried again before.
    pub(super) fn fail(&mut self, trouble: Trouble, asked: Option<Duration>, now: Now) {
        if !self.wanted {
            return self.gone();
        }
        let again = self.delay(asked);
        match &mut self.state {
            State::Live(live) if live.expires > now.moment => {
                self.failures = self.failures.saturating_add(1);
                live.refresh = now.moment + again;
                self.outputs.push_back(SubscriberOutput::Failing { trouble, again });
            }
            State::Live(_) => {
                self.lapse();
                self.rest(trouble, asked, now);
            }
            State::Asking(_) => self.rest(trouble, asked, now),
            State::Resting(_) | State::Over => {}
        }
    }

    fn rest(&mut self, trouble: Trouble, asked: Option<Duration>, now: Now) {
        let again = self.delay(asked);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Resting(now.moment + again);
        self.outputs.push_back(SubscriberOutput::Failing { trouble, again });
    }

    /// Doubles with each failure, unless the peer says how long; a tenth to a fifth is cut off by who one is, so that many
    /// that failed together do not come back together, and the first comes well before anybody is shown as gone.
    fn delay(&self, asked: Option<Duration>) -> Duration {
        const A_DAY: Duration = Duration::from_secs(86_400);
        let least = self.settings.rest_min;
        match asked {
            Some(asked) => asked.clamp(Duration::from_secs(1), A_DAY) + self.spread(least) / 10,
            None => {
                let doubled = least * 2_u32.saturating_pow(u32::from(self.failures).min(10));
                let capped = doubled.min(self.settings.rest_max);
                capped - (capped + self.spread(capped)) / 10
            }
        }
    }

    /// Returns a part of `whole` that is the same for the same two users and differs between others.
    fn spread(&self, whole: Duration) -> Duration {
        let parties = self.parties.unpack();
        let octets = parties.to.uri.as_str().bytes().chain(parties.from.uri.as_str().bytes());
        let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
        let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis((hash >> 16) % millis)
    }

    pub(super) fn keep(&mut self, now: Now) {
        if let State::Live(live) = &self.state
            && !live.leaving
        {
            let kept = Kept {
                dialog: live.dialog.unpack().into_parts(),
                expires: now.date.plus(live.expires.since(now.moment)),
                event: self.settings.event.clone(),
                authorised: !live.pending,
            };
            self.outputs.push_back(SubscriberOutput::Keep(Box::new(kept)));
        }
    }

    /// Sends what the dialog needs now: a refresh, or the end.
    pub(super) fn advance(&mut self, now: Now) {
        let (wanted, seconds) = (self.wanted, self.expires);
        let State::Live(live) = &mut self.state else { return };
        let leave = !wanted && !live.leaving;
        let refresh = wanted && live.refresh <= now.moment && live.expires > now.moment;
        if live.under_way || !(leave || refresh) {
            return;
        }
        live.under_way = true;
        let (request, next_hop) =
            live.dialog.with(|dialog| (dialog.request(Method::Subscribe), dialog.next_hop()));
        let next_hop = Some(Box::new(next_hop));
        if leave {
            live.leaving = true;
            live.refresh = now.moment + self.settings.timing.lifetime();
        }
        let request = Box::new(self.dressed(request, if leave { 0 } else { seconds }));
        self.outputs.push_back(SubscriberOutput::Send { request, next_hop });
    }
}
