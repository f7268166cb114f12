//! The subscriber of one presentity (RFC 6665 §4.1).

mod live;
mod parties;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use sip_types::header::{CallId, HeaderName, NameAddr};
use sip_types::{HeaderText, Method, Request, Response, Token, Uri};

use self::live::Live;
use self::parties::Packed;
use super::{Content, Kept, Settings, Shared};
use crate::dialog::Dialog;
use crate::endpoint::{Failure, ServerKey};

pub use self::parties::Parties;

/// What a subscriber wants done, in order.
#[derive(Clone, Debug)]
pub enum SubscriberOutput {
    /// Send a SUBSCRIBE; tell the subscriber what becomes of it.
    Send {
        /// The request.
        request: Box<Request>,
        /// Where it goes first, by the dialog; `None` for the first, whose way is the user's to know.
        next_hop: Option<Box<Uri>>,
    },
    /// Answer a NOTIFY.
    Respond {
        /// The request.
        key: ServerKey,
        /// The answer.
        response: Box<Response>,
    },
    /// The presentity has not decided yet.
    Pending,
    /// The presentity allows it, and this is its state; `None` when nothing is said of it.
    Notified(Option<Content>),
    /// The presentity does not allow it, in words; over until somebody asks anew.
    Refused(String),
    /// There is no such presentity, in words; over until somebody asks anew.
    NoResource(String),
    /// The state will never change again (`invariant`); over.
    Frozen,
    /// It does not work at present; it is tried again after this long. What was allowed stays allowed.
    Failing {
        /// Why.
        trouble: Trouble,
        /// When it is tried again.
        again: Duration,
    },
    /// The dialog has ended without another: what it said is no longer known to be true.
    Lapsed,
    /// It has ended as [`Subscriber::unsubscribe`] asked.
    Unsubscribed,
    /// Keep this over a restart.
    Keep(Box<Kept>),
    /// There is no dialog to keep any more.
    Forget,
}

/// Why a subscription does not work at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A refusal that says nothing about permission.
    Status(u16, String),
    /// No answer.
    Failure(Failure),
    /// Accepted, and no NOTIFY came within 64*T1 (Timer N, RFC 6665 §4.1.2.4).
    Silent,
    /// Ended by the notifier, for this reason.
    Terminated(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, reason) => write!(out, "SUBSCRIBE was answered {status} {reason}"),
            Self::Failure(failure) => write!(out, "SUBSCRIBE had no answer: {failure}"),
            Self::Silent => out.write_str("SUBSCRIBE was accepted, and no NOTIFY followed"),
            Self::Terminated(reason) => write!(out, "the notifier ended it: {reason}"),
        }
    }
}

/// One watcher's subscription to one presentity, over as many dialogs as it takes.
#[derive(Debug)]
pub struct Subscriber {
    settings: Shared,
    parties: Packed,
    state: State,
    /// Whether it shall be; `unsubscribe` makes it false.
    wanted: bool,
    /// Failures in a row.
    failures: u8,
    /// When a dialog that the notifier had ended was last replaced at once.
    replaced: Option<Moment>,
    /// Seconds to ask for: the peer may want more than the settings say (423).
    expires: u32,
    outputs: VecDeque<SubscriberOutput>,
}

#[derive(Debug)]
enum State {
    /// Nothing is under way; tried again then.
    Resting(Moment),
    /// A SUBSCRIBE without a dialog.
    Asking(Box<Asking>),
    /// There is a dialog.
    Live(Box<Live>),
    /// Nothing is wanted or possible any more.
    Over,
}

#[derive(Debug)]
struct Asking {
    request: Request,
    /// The seconds granted, once it was accepted; then a NOTIFY must come until the moment (Timer N).
    accepted: Option<(u32, Moment)>,
}

impl Subscriber {
    /// Returns a subscription that begins at [`Self::subscribe`].
    #[must_use]
    pub fn new(parties: Parties, settings: Arc<Settings>) -> Self {
        let expires = settings.expires;
        Self {
            settings,
            parties: Packed::new(parties),
            state: State::Over,
            wanted: false,
            failures: 0,
            replaced: None,
            expires,
            outputs: VecDeque::new(),
        }
    }

    /// Goes on with a dialog of an earlier process: refreshes it after `refresh_in`, or at once if it would
    /// end before.
    #[must_use]
    pub fn resume(
        parties: Parties,
        kept: Kept,
        refresh_in: Duration,
        settings: Arc<Settings>,
        now: Now,
    ) -> Self {
        let left = kept.left(now);
        let mut subscriber = Self::new(parties, settings);
        if let Some(name) = kept.dialog.local.display_name() {
            subscriber.call_watcher(&name);
        }
        subscriber.wanted = true;
        let pending = !kept.authorised;
        let mut live = Live::new(Dialog::from_parts(kept.revived(now)), pending, left, now);
        live.refresh = now.moment + if refresh_in < left { refresh_in } else { Duration::ZERO };
        subscriber.state = State::Live(Box::new(live));
        subscriber
    }

    /// Says how the watcher is called, in what begins a dialog from here on.
    pub fn call_watcher(&mut self, name: &str) {
        let mut parties = self.parties.unpack();
        parties.from = NameAddr::new(parties.from.uri).with_display_name(name);
        self.parties = Packed::new(parties);
    }

    /// Returns how the watcher is called.
    #[must_use]
    pub fn watcher_name(&self) -> Option<String> {
        self.parties.unpack().from.display_name().map(Cow::into_owned)
    }

    /// Returns what tells the subscription's messages from others: our tag, while there are any.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match &self.state {
            State::Asking(asking) => asking.request.from().tag(),
            State::Live(live) => Some(live.dialog.local_tag()),
            State::Resting(_) | State::Over => None,
        }
    }

    /// Returns until when the dialog lives, if there is one.
    #[must_use]
    pub fn expires(&self) -> Option<Moment> {
        match &self.state {
            State::Live(live) => Some(live.expires),
            State::Asking(_) | State::Resting(_) | State::Over => None,
        }
    }

    /// Subscribes now, or refreshes now if there is a dialog.
    pub fn subscribe(&mut self, now: Now, ids: &mut Ids) {
        self.wanted = true;
        match &mut self.state {
            State::Resting(_) | State::Over => self.ask(ids),
            State::Asking(_) => {}
            State::Live(live) => {
                live.refresh = now.moment;
                self.advance(now);
            }
        }
    }

    /// Ends the subscription: [`SubscriberOutput::Unsubscribed`] follows.
    pub fn unsubscribe(&mut self, now: Now) {
        self.wanted = false;
        match &self.state {
            State::Resting(_) | State::Over => self.gone(),
            // What was asked for has to come first.
            State::Asking(_) => {}
            State::Live(_) => self.advance(now),
        }
    }

    /// Hears a NOTIFY with the subscription's Call-ID and tag; without a key one that wants no answer. Its user has
    /// looked at the body; `refusal` is the answer to one that it cannot read.
    pub fn handle_notify(
        &mut self,
        key: Option<ServerKey>,
        notify: &Request,
        refusal: Option<Box<Response>>,
        now: Now,
        ids: &mut Ids,
    ) {
        if let Err(response) = self.take_into_dialog(notify, now) {
            self.respond(key, response);
            return self.heed_old_number(notify, now, ids);
        }
        let content = Content::of(notify).filter(|_| refusal.is_none());
        let response = refusal.unwrap_or_else(|| Box::new(self.accept(notify)));
        self.respond(key, response);
        self.handle_state(notify, content, now, ids);
        self.advance(now);
    }

    fn respond(&mut self, key: Option<ServerKey>, response: Box<Response>) {
        if let Some(key) = key {
            self.outputs.push_back(SubscriberOutput::Respond { key, response });
        }
    }

    /// Accepts a NOTIFY, which may make the dialog (RFC 6665 §4.4.1): so its answer says what one that does says
    /// (RFC 3261 §12.1.1).
    fn accept(&self, notify: &Request) -> Response {
        let mut response = Response::to(notify, 200).with(HeaderName::Contact, &self.parties.contact());
        response.headers_mut().copy(HeaderName::RecordRoute, notify.headers());
        response
    }

    /// Finds or makes the dialog of a NOTIFY, which may come before the answer to the SUBSCRIBE.
    fn take_into_dialog(&mut self, notify: &Request, now: Now) -> Result<(), Box<Response>> {
        let answer = |status| Box::new(Response::to(notify, status));
        let bad = |header| Box::new(Response::bad_header(notify, header));
        let event = notify.headers().event().map_err(bad)?;
        if event.is_some_and(|event| event.package != self.settings.event.package) {
            return Err(answer(489));
        }
        notify.headers().subscription_state().map_err(bad)?;
        match &mut self.state {
            State::Asking(asking) => {
                let dialog = Dialog::of_notify(&asking.request, notify).map_err(|_| answer(400))?;
                let granted = asking.accepted.map(|(granted, _)| granted);
                let lives = seconds(granted.unwrap_or(self.expires));
                let mut live = Live::new(dialog, true, lives, now);
                live.under_way = granted.is_none();
                self.state = State::Live(Box::new(live));
                Ok(())
            }
            // A second fork is not kept (RFC 6665 §4.1.4 leaves it to the package).
            State::Live(live) => {
                let taken = live.dialog.with(|dialog| dialog.handle_request(notify));
                taken.map_err(|refusal| answer(refusal.status()))?;
                live.heard = now.moment;
                Ok(())
            }
            State::Resting(_) | State::Over => Err(answer(481)),
        }
    }

    /// Hears the final answer to the SUBSCRIBE.
    pub fn handle_response(&mut self, response: &Response, now: Now, ids: &mut Ids) {
        let status = response.status();
        match &mut self.state {
            State::Asking(asking) if (200..300).contains(&status) => {
                let granted = response.headers().expires().ok().flatten().unwrap_or(self.expires);
                let granted = granted.min(self.expires.max(1));
                let until = now.moment + self.settings.timing.lifetime();
                asking.accepted = Some((granted, until));
                if let Some(content) = Content::of_response(response)
                    && let Ok(dialog) = Dialog::of_client(&asking.request, response)
                {
                    let live = Live::new(dialog, true, seconds(granted), now);
                    self.state = State::Live(Box::new(live));
                    self.take_piggyback(content, response, now);
                }
            }
            State::Live(live) => {
                live.under_way = false;
                if (200..300).contains(&status) {
                    live.dialog.with(|dialog| dialog.handle_response(response));
                    if let Some(granted) = response.headers().expires().ok().flatten() {
                        live.grant(granted, now);
                    }
                    if let Some(content) = Content::of_response(response) {
                        self.take_piggyback(content, response, now);
                    }
                    self.keep(now);
                } else {
                    self.refused(response, now, ids);
                }
            }
            State::Asking(_) => self.refused(response, now, ids),
            State::Resting(_) | State::Over => {}
        }
        self.advance(now);
    }

    /// Learns that the SUBSCRIBE has no answer.
    pub fn handle_failure(&mut self, failure: Failure, now: Now) {
        let asked = match &failure {
            Failure::Resting { retry_after } => Some(*retry_after),
            _ => None,
        };
        if let State::Live(live) = &mut self.state {
            live.under_way = false;
            if live.leaving {
                return self.gone();
            }
        }
        self.fail(Trouble::Failure(failure), asked, now);
        self.advance(now);
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now, ids: &mut Ids) {
        match &mut self.state {
            State::Resting(until) if *until <= now.moment => self.ask(ids),
            State::Asking(asking) if asking.accepted.is_some_and(|(_, until)| until <= now.moment) => {
                self.fail(Trouble::Silent, None, now);
            }
            State::Live(live) if live.leaving && live.refresh <= now.moment => self.gone(),
            State::Live(live) if live.expires <= now.moment && !live.under_way => {
                self.lapse();
                self.ask(ids);
            }
            State::Resting(_) | State::Asking(_) | State::Live(_) | State::Over => {}
        }
        self.advance(now);
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        match &self.state {
            State::Resting(until) => Some(*until),
            State::Asking(asking) => asking.accepted.map(|(_, until)| until),
            State::Live(live) if live.leaving => Some(live.refresh),
            // The endpoint times what is under way.
            State::Live(live) if live.under_way => None,
            State::Live(live) => Some(live.refresh.min(live.expires)),
            State::Over => None,
        }
    }

    /// Returns what is wanted next; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<SubscriberOutput> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            self.outputs = VecDeque::new();
        }
        output
    }

    /// Begins a new dialog.
    fn ask(&mut self, ids: &mut Ids) {
        if !self.wanted {
            return self.gone();
        }
        let parties = self.parties.unpack();
        let tag = Token::parse(ids.token("tag")).expect("identifiers are tokens");
        let call_id = CallId::parse(ids.token("call")).expect("a token is a word");
        let request = Request::new(
            Method::Subscribe,
            parties.target,
            parties.from.with_tag(&tag),
            parties.to,
            call_id,
            1,
        );
        let request = self.dressed(request, self.expires);
        self.outputs.push_back(SubscriberOutput::Send { request: Box::new(request.clone()), next_hop: None });
        self.state = State::Asking(Box::new(Asking { request, accepted: None }));
    }

    fn dressed(&self, request: Request, expires: u32) -> Request {
        let request = self.settings.dress(request).with(HeaderName::Contact, &self.parties.contact());
        let event = HeaderText::from(self.settings.event.package.clone());
        request
            .with(HeaderName::Event, &event)
            .with(HeaderName::Accept, &self.settings.accept)
            .with(HeaderName::Expires, &HeaderText::from(expires))
    }

    fn gone(&mut self) {
        if matches!(self.state, State::Live(_)) {
            self.outputs.push_back(SubscriberOutput::Forget);
        }
        self.state = State::Over;
        self.outputs.push_back(SubscriberOutput::Unsubscribed);
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}
