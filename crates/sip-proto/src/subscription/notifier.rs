//! The notifier of one dialog (RFC 6665 §4.2).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now, earliest};
use sip_types::header::{Event, HeaderName, NameAddr, SubscriptionPhase, SubscriptionState};
use sip_types::{HeaderText, Method, Request, Response, Token, Uri};

use super::{Asked, Content, Kept, Settings, Shared};
use crate::dialog::{Dialog, NoDialog, Packed};
use crate::endpoint::{Failure, ServerKey};

/// What a notifier wants done, in order.
#[derive(Clone, Debug)]
pub enum NotifierOutput {
    /// Send a NOTIFY; tell the notifier what becomes of it.
    Send {
        /// The request.
        request: Box<Request>,
        /// Where it goes first, by the dialog.
        next_hop: Box<Uri>,
    },
    /// Answer a SUBSCRIBE.
    Respond {
        /// The request.
        key: ServerKey,
        /// The answer.
        response: Box<Response>,
    },
    /// A NOTIFY is due: hand over the present document by [`Notifier::notify`].
    Wanted,
    /// The subscriber has refreshed: a chance to ask whether what is known is still true (RFC 8048 §8.1).
    Refreshed,
    /// Keep this over a restart.
    Keep(Box<Kept>),
    /// What was kept is kept no more: the last NOTIFY is on its way to who knows or will ask anew, or has been answered.
    Forget,
    /// It is over; comes once and last.
    Ended(NotifierEnd),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifierEnd {
    /// The subscriber wished it.
    Unsubscribed,
    /// It asked once only.
    Polled,
    /// It was not refreshed.
    Expired,
    /// We ended it, for this reason.
    Terminated(&'static str),
    /// We ended it for the time being, and could not tell the subscriber: it is still kept.
    Untold,
    /// The subscriber knows of no such subscription (its status), or does not answer (408).
    Gone(u16),
}

impl NotifierEnd {
    /// Tells whether a subscriber that does not hear of the end still knows of it. Another one would go on believing what it
    /// was told, so that a process that crashed before it heard tells it once more.
    fn is_known(&self) -> bool {
        matches!(self, Self::Unsubscribed | Self::Expired)
    }
}

/// One subscriber's dialog, seen from the notifier.
#[derive(Debug)]
pub struct Notifier {
    settings: Shared,
    dialog: Packed,
    /// What the Contact of its messages says.
    contact: HeaderText,
    /// What the subscriber's Event said besides the package.
    event_id: Option<Box<Token>>,
    authorised: bool,
    expires: Moment,
    /// When the last document went out: one without says nothing that the next would come too soon after.
    last: Option<Moment>,
    /// Not before this, because the subscriber asked for peace.
    not_before: Option<Moment>,
    /// Whether what was said last is no longer true.
    changed: bool,
    /// Whether the next NOTIFY answers a SUBSCRIBE, and waits for no pace.
    owed: bool,
    under_way: bool,
    /// The last NOTIFY, once the end is decided.
    ending: Option<Box<Ending>>,
    over: bool,
    outputs: VecDeque<NotifierOutput>,
}

#[derive(Clone, Debug)]
struct Ending {
    reason: &'static str,
    retry_after: Option<u32>,
    end: NotifierEnd,
    said: bool,
}

/// How long a subscriber that fails for the moment is left alone.
const PEACE: Duration = Duration::from_secs(30);

impl Notifier {
    /// Accepts a SUBSCRIBE that begins a dialog, or only asks once. [`NotifierOutput::Wanted`] follows: a NOTIFY
    /// goes out immediately (RFC 6665 §4.2.1.2).
    ///
    /// # Errors
    /// Says why there is no dialog; the SUBSCRIBE is to be answered 400.
    #[expect(clippy::too_many_arguments, reason = "all of them make the dialog")]
    pub fn accept(
        key: ServerKey,
        request: &Request,
        asked: Asked,
        tag: &Token,
        contact: NameAddr,
        authorised: bool,
        settings: Arc<Settings>,
        now: Now,
    ) -> Result<Self, NoDialog> {
        let dialog = Dialog::of_server(request, tag)?;
        let expires = now.moment + seconds(asked.expires);
        let mut notifier = Self::placed(dialog, contact, asked.event, authorised, expires, settings);
        // Kept before it is said: after a crash its subscriber would believe in it, and nobody else.
        if asked.expires == 0 {
            notifier.end("timeout", None, NotifierEnd::Polled);
        } else {
            notifier.keep(now);
        }
        notifier.grant(key, request, Some(tag), asked.expires);
        notifier.owed = true;
        notifier.advance(now);
        Ok(notifier)
    }

    /// Goes on with a dialog of an earlier process. Its subscriber is told the present state when
    /// [`Self::changed`] says that it is known.
    #[must_use]
    pub fn resume(kept: Kept, contact: NameAddr, settings: Arc<Settings>, now: Now) -> Self {
        let expires = now.moment + kept.left(now);
        let (event, authorised) = (kept.event.clone(), kept.authorised);
        let dialog = Dialog::from_parts(kept.revived(now));
        Self::placed(dialog, contact, event, authorised, expires, settings)
    }

    fn placed(
        dialog: Dialog,
        contact: NameAddr,
        event: Event,
        authorised: bool,
        expires: Moment,
        settings: Shared,
    ) -> Self {
        Self {
            settings,
            dialog: Packed::new(dialog),
            contact: HeaderText::clean(&contact.to_string()).text,
            event_id: event.id.map(Box::new),
            authorised,
            expires,
            last: None,
            not_before: None,
            changed: false,
            owed: false,
            under_way: false,
            ending: None,
            over: false,
            outputs: VecDeque::new(),
        }
    }

    /// Returns our tag in the dialog.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.dialog.local_tag()
    }

    /// Returns whether the subscriber may see anything.
    #[must_use]
    pub const fn is_authorised(&self) -> bool {
        self.authorised
    }

    /// Returns whether the next NOTIFY is the last, because the subscriber has gone: it is told that nobody is there.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        let gone = |ending: &Ending| matches!(ending.end, NotifierEnd::Unsubscribed | NotifierEnd::Expired);
        self.ending.as_deref().is_some_and(gone)
    }

    /// Returns whether the subscriber only asks once.
    #[must_use]
    pub fn is_poll(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.end == NotifierEnd::Polled)
    }

    /// Returns when it ends unless it is refreshed.
    #[must_use]
    pub const fn expires(&self) -> Moment {
        self.expires
    }

    /// The presentity has allowed it: from now on it is active.
    pub fn authorise(&mut self, now: Now) {
        if !self.authorised && self.ending.is_none() {
            self.authorised = true;
            self.owed = true;
            self.keep(now);
            self.advance(now);
        }
    }

    /// What was said last is no longer true: says it anew, at once or when the pace allows it.
    pub fn changed(&mut self, now: Now) {
        self.changed = true;
        self.advance(now);
    }

    /// Ends it, with a last NOTIFY: `rejected`, `noresource`, `giveup`, `deactivated`, `probation`
    /// (RFC 6665 §4.1.3).
    pub fn terminate(&mut self, reason: &'static str, retry_after: Option<u32>, now: Now) {
        self.end(reason, retry_after, NotifierEnd::Terminated(reason));
        self.advance(now);
    }

    /// Says the present document: the answer to [`NotifierOutput::Wanted`]. None is an empty body. `language` is that of
    /// its texts.
    pub fn notify(&mut self, document: Option<Content>, language: Option<&HeaderText>, now: Now) {
        if self.under_way || self.over {
            return;
        }
        let (request, next_hop) =
            self.dialog.with(|dialog| (dialog.request(Method::Notify), dialog.next_hop()));
        let mut request = self.dressed(request, now);
        let silent = !self.authorised;
        if let Some(content) = document.filter(|_| !silent) {
            self.last = Some(now.moment);
            request = request.with_body(&content.content_type, content.body);
            if let Some(language) = language {
                request = request.with(HeaderName::ContentLanguage, language);
            }
        }
        if let Some(ending) = &mut self.ending {
            ending.said = true;
            if ending.end.is_known() {
                self.outputs.push_back(NotifierOutput::Forget);
            }
        }
        (self.under_way, self.owed, self.changed) = (true, false, false);
        let (request, next_hop) = (Box::new(request), Box::new(next_hop));
        self.outputs.push_back(NotifierOutput::Send { request, next_hop });
    }

    fn event(&self) -> Event {
        Event { package: self.settings.event.package.clone(), id: self.event_id.as_deref().cloned() }
    }

    /// Returns how many octets the next NOTIFY has beside its document, the transport's own headers apart.
    #[must_use]
    pub fn head_octets(&self, now: Now) -> usize {
        let request = self.dressed(self.dialog.unpack().request(Method::Notify), now);
        let mut octets = Vec::with_capacity(1024);
        request.print(&mut octets);
        octets.len()
    }

    fn dressed(&self, request: Request, now: Now) -> Request {
        let mut request = self.settings.dress(request).with(HeaderName::Contact, &self.contact);
        let state = self.state(now).to_string();
        for (name, text) in
            [(HeaderName::Event, self.event().to_string()), (HeaderName::SubscriptionState, state)]
        {
            if let Ok(text) = HeaderText::parse(text) {
                request = request.with(name, &text);
            }
        }
        request
    }

    fn state(&self, now: Now) -> SubscriptionState {
        match &self.ending {
            Some(ending) => SubscriptionState {
                state: SubscriptionPhase::Terminated,
                expires: None,
                reason: Token::parse(ending.reason),
                retry_after: ending.retry_after,
            },
            None => SubscriptionState {
                state: if self.authorised { SubscriptionPhase::Active } else { SubscriptionPhase::Pending },
                expires: u32::try_from(self.expires.since(now.moment).as_secs()).ok(),
                reason: None,
                retry_after: None,
            },
        }
    }

    /// Hears a SUBSCRIBE in the dialog: a refresh, or the end.
    pub fn handle_request(&mut self, key: ServerKey, request: &Request, asked: &Asked, now: Now) {
        let answer = |status| Box::new(Response::to(request, status));
        if self.ending.is_some() || self.over {
            return self.outputs.push_back(NotifierOutput::Respond { key, response: answer(481) });
        }
        if let Err(refusal) = self.dialog.with(|dialog| dialog.handle_request(request)) {
            let response = answer(refusal.status());
            return self.outputs.push_back(NotifierOutput::Respond { key, response });
        }
        self.owed = true;
        self.not_before = None;
        if asked.expires == 0 {
            self.grant(key, request, None, asked.expires);
            self.end("timeout", None, NotifierEnd::Unsubscribed);
        } else {
            self.expires = now.moment + seconds(asked.expires);
            self.keep(now);
            self.grant(key, request, None, asked.expires);
            self.outputs.push_back(NotifierOutput::Refreshed);
        }
        self.advance(now);
    }

    /// Hears the final answer to the NOTIFY.
    pub fn handle_response(&mut self, response: &Response, now: Now) {
        self.under_way = false;
        if self.settle_ending(!(500..600).contains(&response.status()), now) {
            return;
        }
        match response.status() {
            200..300 => self.dialog.with(|dialog| dialog.handle_response(response)),
            // RFC 6665 §4.2.2, RFC 5057 §5.1: the usage is gone.
            status @ (404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604) => {
                return self.finish(NotifierEnd::Gone(status));
            }
            _ => {
                let asked = response.headers().retry_after().ok().flatten();
                let peace = asked.map_or(PEACE, |asked| seconds(asked.clamp(1, 3600)));
                self.leave_in_peace(peace, now);
            }
        }
        self.advance(now);
    }

    /// Learns that the NOTIFY has no answer. A subscriber that does not answer has no subscription any more
    /// (RFC 6665 §4.2.2); one that cannot be reached may still have it.
    pub fn handle_failure(&mut self, failure: &Failure, now: Now) {
        self.under_way = false;
        // Whoever was to come back at once, and does not know, is still a subscriber for the next process.
        let returns = |ending: &Ending| ending.said && ending.end == NotifierEnd::Terminated("deactivated");
        if self.ending.as_deref().is_some_and(returns) {
            self.over = true;
            return self.outputs.push_back(NotifierOutput::Ended(NotifierEnd::Untold));
        }
        if self.settle_ending(matches!(failure, Failure::Timeout { .. }), now) {
            return;
        }
        match failure {
            Failure::Timeout { .. } => self.finish(NotifierEnd::Gone(408)),
            Failure::Resting { retry_after } => {
                self.leave_in_peace(
                    (*retry_after).clamp(Duration::from_secs(1), Duration::from_secs(3600)),
                    now,
                );
            }
            _ => self.leave_in_peace(PEACE, now),
        }
    }

    /// What was not heard is said again after some time.
    fn leave_in_peace(&mut self, peace: Duration, now: Now) {
        self.changed = true;
        self.not_before = Some(now.moment + peace);
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.not_before.is_some_and(|until| until <= now.moment) {
            self.not_before = None;
        }
        if self.expires <= now.moment {
            match &self.ending {
                None => self.end("timeout", None, NotifierEnd::Expired),
                Some(ending) if !self.under_way && self.changed => {
                    let end = ending.end.clone();
                    return self.finish(end);
                }
                Some(_) => {}
            }
        }
        self.advance(now);
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        if self.over || (self.ending.is_some() && (self.under_way || self.not_before.is_none())) {
            return None;
        }
        let next = if self.changed && !self.under_way { self.next_turn() } else { None };
        earliest(Some(self.expires), next)
    }

    /// Returns what is wanted next; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<NotifierOutput> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            self.outputs = VecDeque::new();
        }
        output
    }

    /// Returns whether it has ended.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Accepts a SUBSCRIBE; what begins a dialog has the proxies on its way say so (RFC 3261 §12.1.1).
    fn grant(&mut self, key: ServerKey, request: &Request, tag: Option<&Token>, expires: u32) {
        let mut response = Response::to(request, 200);
        if let Some(tag) = tag {
            response = response.with_to_tag(tag);
        }
        response.headers_mut().copy(HeaderName::RecordRoute, request.headers());
        for (name, value) in &self.settings.headers {
            response = response.with(*name, value);
        }
        let response = response.with(HeaderName::Expires, &HeaderText::from(expires));
        let response = Box::new(response.with(HeaderName::Contact, &self.contact));
        self.outputs.push_back(NotifierOutput::Respond { key, response });
    }

    fn keep(&mut self, now: Now) {
        let kept = Kept {
            dialog: self.dialog.unpack().into_parts(),
            expires: now.date.plus(self.expires.since(now.moment)),
            event: self.event(),
            authorised: self.authorised,
        };
        self.outputs.push_back(NotifierOutput::Keep(Box::new(kept)));
    }

    fn end(&mut self, reason: &'static str, retry_after: Option<u32>, end: NotifierEnd) {
        if self.ending.is_none() && !self.over {
            self.ending = Some(Box::new(Ending { reason, retry_after, end, said: false }));
            (self.owed, self.not_before) = (true, None);
        }
    }

    /// After the last NOTIFY its fate does not matter, unless it never reached a subscriber who does not know of the end: that
    /// one is told again.
    fn settle_ending(&mut self, is_final: bool, now: Now) -> bool {
        match &mut self.ending {
            Some(ending) if ending.said => {
                let matters = !ending.end.is_known() && ending.end != NotifierEnd::Polled;
                if matters && !is_final && now.moment < self.expires {
                    ending.said = false;
                    self.leave_in_peace(PEACE, now);
                } else {
                    let end = ending.end.clone();
                    self.finish(end);
                }
                true
            }
            Some(_) | None => self.over,
        }
    }

    fn finish(&mut self, end: NotifierEnd) {
        self.over = true;
        let forgotten = |ending: &Ending| ending.end.is_known() || ending.end == NotifierEnd::Polled;
        if !self.ending.as_deref().is_some_and(forgotten) {
            self.outputs.push_back(NotifierOutput::Forget);
        }
        self.outputs.push_back(NotifierOutput::Ended(end));
    }

    /// Returns when the pace and the subscriber allow the next NOTIFY; `None` for at once.
    fn next_turn(&self) -> Option<Moment> {
        let paced = self.last.map(|last| last + self.settings.pace);
        match (paced, self.not_before) {
            (Some(paced), Some(peace)) => Some(paced.max(peace)),
            (paced, peace) => paced.or(peace),
        }
    }

    /// Asks for the document when one is due.
    fn advance(&mut self, now: Now) {
        if self.under_way || self.over || self.outputs.iter().any(|o| matches!(o, NotifierOutput::Wanted)) {
            return;
        }
        let in_turn = self.changed && self.next_turn().is_none_or(|turn| turn <= now.moment);
        if self.owed || in_turn {
            self.outputs.push_back(NotifierOutput::Wanted);
        }
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}
