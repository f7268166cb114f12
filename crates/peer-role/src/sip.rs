//! A SIP server with its users in it, on an [`Endpoint`].
//!
//! It answers requests for its users as they are told to behave, and sends the texts that they type. It is one
//! user agent for a whole domain, so that no proxy has to stand between.

mod presence;
mod windows;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock_types::{Ids, Moment, Now, earliest};
use net_types::Event;
use sip_proto::endpoint::{self, Endpoint, Failure, Notice, RequestKey, Route, ServerKey};
use sip_proto::session::About;
use sip_types::header::{CallId, ContentType, NameAddr};
use sip_types::{HeaderName, HeaderText, Method, Request, Response, SipUri, Uri, reason_phrase};

pub use self::presence::{Presence, PresenceManners};
pub use self::windows::Manner;

use self::presence::PresenceOutput;
use self::windows::{WindowOutput, Windows};
use crate::audit::Tap;
use crate::{Output, Said};

/// How a user behaves when a text comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// He answers at once.
    AtOnce(u16),
    /// He answers later.
    After(Duration, u16),
    /// He never answers.
    Never,
}

/// How a SIP user agent is set up.
#[derive(Clone, Debug)]
pub struct SipSettings {
    /// The stack underneath.
    pub endpoint: endpoint::Settings,
    /// Where requests go: to the gateway.
    pub route: Route,
    /// The users, by address without scheme: `bob@s.example`. Who is not among them does not exist: 404.
    pub users: BTreeMap<String, Answers>,
    /// Whether they talk in sessions, and where those are reached.
    pub sessions: Option<SessionManners>,
    /// Whether they do presence, and how; without, SUBSCRIBE is not known.
    pub presence: Option<PresenceManners>,
}

/// How users talk in sessions.
#[derive(Clone, Debug)]
pub struct SessionManners {
    /// How the clients behave: each session in the next of these ways, and then from the first again.
    pub manners: Vec<Manner>,
    /// Host, port and transport of a Contact: `10.0.0.9:5060;transport=tcp`.
    pub place: String,
}

/// The SIP side of a conversation.
#[derive(Debug)]
pub struct SipUserAgent {
    endpoint: Endpoint,
    route: Route,
    users: BTreeMap<String, Answers>,
    ids: Ids,
    next_key: u64,
    sent: BTreeMap<RequestKey, String>,
    windows: Option<Windows>,
    /// Requests of sessions.
    asked: BTreeMap<RequestKey, (u64, About)>,
    presence: Option<Presence>,
    /// Requests of presence.
    subscribed: BTreeMap<RequestKey, u64>,
    tap: Tap,
    /// Answers that wait for their time.
    later: BTreeMap<(Moment, u64), (ServerKey, Response)>,
    outputs: VecDeque<Output>,
}

impl SipUserAgent {
    /// Returns a user agent whose listeners the shell has opened.
    #[must_use]
    pub fn new(settings: SipSettings, mut ids: Ids) -> Self {
        Self {
            endpoint: Endpoint::new(settings.endpoint, ids.fork()),
            route: settings.route,
            users: settings.users,
            ids,
            next_key: 0,
            sent: BTreeMap::new(),
            windows: settings.sessions.map(|how| Windows::new(how.manners, how.place)),
            asked: BTreeMap::new(),
            presence: settings.presence.map(Presence::new),
            subscribed: BTreeMap::new(),
            tap: Tap::default(),
            later: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Tells a user how to behave from here on; he exists from here on.
    pub fn set_user(&mut self, address: impl Into<String>, answers: Answers) {
        self.users.insert(address.into(), answers);
    }

    /// Takes one event of the shell.
    pub fn handle_event(&mut self, event: Event, now: Now) {
        for words in self.tap.handle_event(&event) {
            self.say(Said::Complaint(words));
        }
        self.endpoint.handle_net(event, now);
        self.drain(now);
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now.moment) {
            let (key, response) = entry.remove();
            self.endpoint.respond(key, response, now);
        }
        if let Some(windows) = &mut self.windows {
            windows.handle_timeout(&mut self.ids, now);
        }
        if let Some(presence) = &mut self.presence {
            presence.handle_timeout(&mut self.ids, now);
        }
        self.endpoint.handle_timeout(now);
        self.drain(now);
    }

    /// Sends a text from one of our users, `bob@s.example`, to `to`, `ann@x.example`. The id becomes the Call-ID
    /// where it can be one.
    pub fn send_text(&mut self, from: &str, to: &str, text: &str, id: &str, now: Now) {
        self.outputs.push_back(Output::Said(Said::Sent {
            id: id.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
        }));
        if let Some(windows) = &mut self.windows {
            windows.type_text(from, to, text, id, &mut self.ids, now);
            return self.drain(now);
        }
        match self.message(from, to, text, id) {
            Some(request) => self.send_request(request, id, now),
            None => self.say(Said::Refused { id: id.to_owned(), answer: "not a SIP address".to_owned() }),
        }
    }

    /// Returns the presence of our users, if they do any.
    #[must_use]
    pub const fn presence(&self) -> Option<&Presence> {
        self.presence.as_ref()
    }

    /// Lets a user, or the server, do something with presence; `None` if nobody does any.
    pub fn with_presence<T>(
        &mut self,
        deed: impl FnOnce(&mut Presence, &mut Ids) -> T,
        now: Now,
    ) -> Option<T> {
        let result = deed(self.presence.as_mut()?, &mut self.ids);
        self.drain(now);
        Some(result)
    }

    /// Sends a request of any kind in a transaction of its own; its final answer is told under `id`.
    pub fn send_request(&mut self, request: Request, id: &str, now: Now) {
        self.next_key += 1;
        let key = RequestKey(self.next_key);
        self.sent.insert(key, id.to_owned());
        self.endpoint.send(key, request, &self.route.clone(), now);
        self.drain(now);
    }

    /// Refuses new requests from here on; what is under way may finish.
    pub fn handle_stop(&mut self, now: Now) {
        self.endpoint.handle_stop(now);
        self.drain(now);
    }

    /// Returns the next thing to do or to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        let windows = self.windows.as_ref().and_then(Windows::poll_timeout);
        let presence = self.presence.as_ref().and_then(Presence::poll_timeout);
        earliest(earliest(presence, windows), earliest(later, self.endpoint.poll_timeout()))
    }

    fn message(&mut self, from: &str, to: &str, text: &str, id: &str) -> Option<Request> {
        let uri = |address: &str| SipUri::parse(format!("sip:{address}")).ok();
        let tag = sip_types::Token::parse(self.ids.token("tag"))?;
        let call_id = CallId::parse(id).or_else(|| CallId::parse(self.ids.token("call")))?;
        let from = NameAddr::new(uri(from)?).with_tag(&tag);
        let to = uri(to)?;
        let request = Request::new(Method::Message, to.clone().into(), from, NameAddr::new(to), call_id, 1);
        let kind = ContentType::parse("text/plain;charset=UTF-8")?;
        Some(request.with_body(&kind, Bytes::copy_from_slice(text.as_bytes())))
    }

    fn drain(&mut self, now: Now) {
        loop {
            if let Some(output) = self.windows.as_mut().and_then(Windows::poll_output) {
                self.carry_out(output, now);
                continue;
            }
            if let Some(output) = self.presence.as_mut().and_then(Presence::poll_output) {
                self.carry_out_presence(output, now);
                continue;
            }
            let Some(output) = self.endpoint.poll_output() else { return };
            match output {
                endpoint::Output::Order(order) => {
                    self.tap.handle_order(&order);
                    self.outputs.push_back(Output::Order(order));
                }
                endpoint::Output::Request { key, request, .. } => self.request(key, &request, now),
                endpoint::Output::Response { key, response } => self.response(key, response, now),
                endpoint::Output::Failed { key, failure } => self.failed(key, failure, now),
                endpoint::Output::Notice(notice) => self.note(&notice),
                endpoint::Output::Ack { request, .. } => {
                    if let Some(windows) = &mut self.windows {
                        windows.handle_ack(&request, &mut self.ids, now);
                    }
                }
                endpoint::Output::Cancelled { key } | endpoint::Output::Expired { key } => {
                    self.later.retain(|_, (waiting, _)| *waiting != key);
                    if let Some(windows) = &mut self.windows {
                        windows.handle_cancelled(key, &mut self.ids, now);
                    }
                }
            }
        }
    }

    /// Does what a window wants.
    fn carry_out(&mut self, output: WindowOutput, now: Now) {
        match output {
            WindowOutput::Send(number, about, request) => {
                self.next_key += 1;
                let key = RequestKey(self.next_key);
                if about != About::Ack {
                    self.asked.insert(key, (number, about));
                }
                self.endpoint.send(key, *request, &self.route.clone(), now);
            }
            WindowOutput::Cancel(number) => {
                let asked = self.asked.iter().find(|(_, asked)| **asked == (number, About::Invite));
                if let Some((key, _)) = asked {
                    self.endpoint.cancel(*key, now);
                }
            }
            WindowOutput::Respond(key, response) => self.endpoint.respond(key, *response, now),
            WindowOutput::KeepSilent(key) => self.endpoint.keep_silent(key, now),
            WindowOutput::Said(said) => self.say(said),
        }
    }

    fn carry_out_presence(&mut self, output: PresenceOutput, now: Now) {
        match output {
            PresenceOutput::Send(number, request) => {
                self.next_key += 1;
                let key = RequestKey(self.next_key);
                self.subscribed.insert(key, number);
                self.endpoint.send(key, *request, &self.route.clone(), now);
            }
            PresenceOutput::Respond(after, key, response) if after.is_zero() => {
                self.endpoint.respond(key, *response, now);
            }
            PresenceOutput::Respond(after, key, response) => {
                self.next_key += 1;
                self.later.insert((now.moment + after, self.next_key), (key, *response));
            }
            PresenceOutput::Said(said) => self.say(said),
        }
    }

    fn request(&mut self, key: ServerKey, request: &Arc<Request>, now: Now) {
        if let (Some(presence), Method::Subscribe | Method::Notify) = (&mut self.presence, request.method()) {
            let exists = self.users.contains_key(&address_of(request.uri()));
            return presence.handle_request(key, request, exists, &mut self.ids, now);
        }
        let Some(windows) = &mut self.windows else { return self.receive(key, request, now) };
        let is_inside = request.to().tag().is_some();
        if *request.method() == Method::Invite && !is_inside {
            let answers = self.users.get(&address_of(request.uri())).copied();
            let answers = answers.unwrap_or(Answers::AtOnce(404));
            return windows.called(key, Arc::clone(request), answers, &mut self.ids, now);
        }
        if !is_inside {
            return self.receive(key, request, now);
        }
        if !windows.handle_request(key, request, &mut self.ids, now) {
            self.endpoint.respond(key, Response::to(request, 481), now);
        }
    }

    fn response(&mut self, key: RequestKey, response: Box<Response>, now: Now) {
        if response.status() >= 200
            && let (Some(number), Some(presence)) = (self.subscribed.remove(&key), &mut self.presence)
        {
            return presence.handle_response(number, &response, &mut self.ids, now);
        }
        let Some((number, about)) = self.asked.get(&key).copied() else {
            return self.answered(key, &response);
        };
        // An INVITE may be accepted more than once.
        if about != About::Invite && response.status() >= 200 {
            self.asked.remove(&key);
        }
        if let Some(windows) = &mut self.windows {
            windows.handle_response(number, about, response, &mut self.ids, now);
        }
    }

    fn receive(&mut self, key: ServerKey, request: &Request, now: Now) {
        if *request.method() != Method::Message {
            let status = if *request.method() == Method::Options { 200 } else { 405 };
            let response = Response::to(request, status);
            let response = response.with(HeaderName::Allow, &HeaderText::from_static("MESSAGE, OPTIONS"));
            return self.endpoint.respond(key, response, now);
        }
        let to = address_of(request.uri());
        let answers = self.users.get(&to).copied().unwrap_or(Answers::AtOnce(404));
        let answer = match answers {
            Answers::AtOnce(status) | Answers::After(_, status) => {
                format!("{status} {}", reason_phrase(status))
            }
            Answers::Never => "no answer".to_owned(),
        };
        // A user who is not there, or says no, is shown nothing.
        if !matches!(answers, Answers::AtOnce(300..) | Answers::After(_, 300..)) {
            let call_id = request.call_id().as_str();
            self.say(Said::Received {
                id: format!("{call_id} {}", request.from().tag().unwrap_or_default()),
                thread: call_id.to_owned(),
                from: request.from().uri.as_str().to_owned(),
                to,
                text: String::from_utf8_lossy(request.body()).into_owned(),
                answer,
            });
        }
        match answers {
            Answers::AtOnce(status) => self.endpoint.respond(key, Response::to(request, status), now),
            Answers::After(time, status) => {
                self.next_key += 1;
                self.later.insert((now.moment + time, self.next_key), (key, Response::to(request, status)));
            }
            Answers::Never => self.endpoint.keep_silent(key, now),
        }
    }

    fn answered(&mut self, key: RequestKey, response: &Response) {
        if response.status() < 200 {
            return;
        }
        let Some(id) = self.sent.remove(&key) else { return };
        let answer = format!("{} {}", response.status(), response.reason());
        self.say(match response.status() {
            200..=299 => Said::Accepted { id, answer },
            _ => Said::Refused { id, answer },
        });
    }

    fn failed(&mut self, key: RequestKey, failure: Failure, now: Now) {
        if let (Some(number), Some(presence)) = (self.subscribed.remove(&key), &mut self.presence) {
            return presence.handle_failure(number, &failure, now);
        }
        if let (Some((number, about)), Some(windows)) = (self.asked.remove(&key), &mut self.windows) {
            return windows.handle_failure(number, about, failure, &mut self.ids, now);
        }
        if let Some(id) = self.sent.remove(&key) {
            self.say(Said::Unanswered { id, reason: failure.to_string() });
        }
    }

    fn note(&mut self, notice: &Notice) {
        let note = match notice {
            Notice::TargetFailed { target, failure } => format!("{target}: {failure}"),
            Notice::Malformed { remote, what, .. } => format!("{remote} sent what is no SIP: {what}"),
            Notice::Opened { .. }
            | Notice::Closed { .. }
            | Notice::ConnectionRefused { .. }
            | Notice::Shed { .. }
            | Notice::TargetRests { .. }
            | Notice::Message { .. }
            | Notice::StrayResponse { .. }
            | Notice::Oversized { .. } => return,
        };
        self.say(Said::Note(note));
    }

    fn say(&mut self, said: Said) {
        self.outputs.push_back(Output::Said(said));
    }
}

/// Returns `user@host` of a URI, as users are named here.
fn address_of(uri: &Uri) -> String {
    match uri.as_sip() {
        Some(uri) => match uri.user() {
            Some(user) => format!("{user}@{}", uri.host()),
            None => uri.host().to_string(),
        },
        None => uri.as_str().to_owned(),
    }
}
