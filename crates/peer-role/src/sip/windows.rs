//! The windows in which users of Microsoft-like clients talk: one for each pair, on top of sessions.
//!
//! A window holds the texts that its user has typed. They go one at a time through a session that is open with the
//! other side, whoever opened it; without one it invites. What a [`Manner`] says goes wrong, goes wrong on purpose.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use clock_types::{Ids, Moment, Now, earliest};
use sip_proto::endpoint::{Failure, ServerKey};
use sip_proto::session::{About, Content, End, Output as SessionOutput, Session, Settings};
use sip_types::header::{CallId, ContentType, NameAddr};
use sip_types::{HeaderName, HeaderText, Method, Request, Response, SipUri, Token, Uri};

use super::{Answers, address_of};
use crate::Said;

/// How a client behaves in a session that somebody opens with it; each session takes the next one of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As he should.
    Well,
    /// His other client accepts as well, a little later.
    AcceptedTwice,
    /// He closes the window after so many texts.
    LeavesAfter(u32),
    /// His server forgets the session after so many texts, and answers 481.
    ForgottenAfter(u32),
    /// His server finds nobody behind it after so many texts, and never answers.
    DeadAfter(u32),
}

/// What the windows want done.
#[derive(Debug)]
pub(super) enum WindowOutput {
    /// Send a request of a session; what becomes of it is told by its number.
    Send(u64, About, Box<Request>),
    /// Cancel the INVITE of a session.
    Cancel(u64),
    /// Answer a request.
    Respond(ServerKey, Box<Response>),
    /// Never answer a request.
    KeepSilent(ServerKey),
    /// A user saw something.
    Said(Said),
}

/// All windows of a server's users.
#[derive(Debug)]
pub(super) struct Windows {
    settings: Arc<Settings>,
    manners: Vec<Manner>,
    begun: usize,
    /// Host, port and transport, for Contact.
    place: String,
    windows: BTreeMap<Pair, VecDeque<Text>>,
    sessions: BTreeMap<u64, Held>,
    next: u64,
    outputs: VecDeque<WindowOutput>,
}

/// Our user and the other one, both `user@host`.
type Pair = (String, String);

#[derive(Debug)]
struct Text {
    id: String,
    text: String,
    tries: u8,
}

#[derive(Debug)]
struct Held {
    session: Session,
    pair: Pair,
    call: String,
    tag: String,
    /// The INVITE that somebody sent us, until it is answered, and what it is answered when.
    offered: Option<(ServerKey, Arc<Request>)>,
    answer_at: Option<(Moment, u16)>,
    manner: Manner,
    heard: u32,
    /// The text that has no answer yet.
    outstanding: Option<Text>,
    /// The tag of the other client that accepts as well.
    fork: String,
    is_dead: bool,
    /// Whether his server knows nothing of it any more.
    is_forgotten: bool,
}

impl Windows {
    pub fn new(manners: Vec<Manner>, place: String) -> Self {
        Self {
            settings: Arc::new(Settings::default()),
            manners,
            begun: 0,
            place,
            windows: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next: 0,
            outputs: VecDeque::new(),
        }
    }

    /// A user types.
    pub fn type_text(&mut self, from: &str, to: &str, text: &str, id: &str, ids: &mut Ids, now: Now) {
        let pair = (from.to_owned(), to.to_owned());
        let text = Text { id: id.to_owned(), text: text.to_owned(), tries: 0 };
        self.windows.entry(pair.clone()).or_default().push_back(text);
        self.drive(&pair, ids, now);
    }

    /// Takes an INVITE without a To tag.
    pub fn called(
        &mut self,
        key: ServerKey,
        request: Arc<Request>,
        answers: Answers,
        ids: &mut Ids,
        now: Now,
    ) {
        let pair = (address_of(request.uri()), address_of(&request.from().uri));
        let (Some(tag), Some(contact)) = (Token::parse(ids.token("tag")), self.contact(&pair.0)) else {
            return;
        };
        let call = request.call_id().as_str().to_owned();
        let settings = Arc::clone(&self.settings);
        let session = Session::called(key, Arc::clone(&request), &tag, contact, settings, now);
        let tag = tag.as_str().to_owned();
        let number = self.hold(session, pair, call, tag, ids);
        if let Some(held) = self.sessions.get_mut(&number) {
            held.answer_at = match answers {
                Answers::AtOnce(status) => Some((now.moment, status)),
                Answers::After(time, status) => Some((now.moment + time, status)),
                Answers::Never => None,
            };
            held.offered = Some((key, request));
        }
        self.run(number, ids, now);
        self.answer_due(ids, now);
    }

    /// Takes a request with a To tag; returns whether it is of a session.
    pub fn handle_request(
        &mut self,
        key: ServerKey,
        request: &Arc<Request>,
        ids: &mut Ids,
        now: Now,
    ) -> bool {
        let tag = request.to().tag().unwrap_or_default();
        let call = request.call_id().as_str();
        let is_of = |held: &Held| held.call == call && (held.tag == tag || held.fork == tag);
        let Some((number, held)) = self.sessions.iter_mut().find(|(_, held)| is_of(held)) else {
            return false;
        };
        let number = *number;
        if held.fork == tag {
            // Whose answer came first is the one that is talked with.
            self.show(number, key, request);
            return true;
        }
        let pair = held.pair.clone();
        let is_message = *request.method() == Method::Message;
        if held.is_forgotten || (is_message && held.dies()) {
            // What is under way in it may still be answered.
            (held.is_dead, held.is_forgotten) = (true, true);
            let is_silent = matches!(held.manner, Manner::DeadAfter(_));
            self.outputs.push_back(match is_silent {
                true => WindowOutput::KeepSilent(key),
                false => WindowOutput::Respond(key, Box::new(Response::to(request, 481))),
            });
            self.drive(&pair, ids, now);
            return true;
        }
        held.session.handle_request(key, Arc::clone(request), now);
        self.run(number, ids, now);
        true
    }

    pub fn handle_ack(&mut self, request: &Request, ids: &mut Ids, now: Now) {
        let tag = request.to().tag().unwrap_or_default();
        let call = request.call_id().as_str();
        let found = self.sessions.iter_mut().find(|(_, held)| held.call == call && held.tag == tag);
        if let Some((number, held)) = found {
            held.session.handle_ack(request, now);
            let number = *number;
            self.run(number, ids, now);
        }
    }

    pub fn handle_cancelled(&mut self, key: ServerKey, ids: &mut Ids, now: Now) {
        let is_it = |held: &Held| held.offered.as_ref().is_some_and(|(offered, _)| *offered == key);
        if let Some((number, held)) = self.sessions.iter_mut().find(|(_, held)| is_it(held)) {
            held.session.handle_cancelled(now);
            let number = *number;
            self.run(number, ids, now);
        }
    }

    pub fn handle_response(
        &mut self,
        number: u64,
        about: About,
        response: Box<Response>,
        ids: &mut Ids,
        now: Now,
    ) {
        if let Some(held) = self.sessions.get_mut(&number) {
            held.session.handle_response(about, response, now);
            self.run(number, ids, now);
        }
    }

    pub fn handle_failure(&mut self, number: u64, about: About, failure: Failure, ids: &mut Ids, now: Now) {
        if let Some(held) = self.sessions.get_mut(&number) {
            held.session.handle_failure(about, failure, now);
            self.run(number, ids, now);
        }
    }

    pub fn handle_timeout(&mut self, ids: &mut Ids, now: Now) {
        let due = |held: &Held| held.session.poll_timeout().is_some_and(|at| at <= now.moment);
        let numbers: Vec<_> =
            self.sessions.iter().filter(|(_, held)| due(held)).map(|(number, _)| *number).collect();
        for number in numbers {
            if let Some(held) = self.sessions.get_mut(&number) {
                held.session.handle_timeout(now);
                self.run(number, ids, now);
            }
        }
        self.answer_due(ids, now);
    }

    pub fn poll_output(&mut self) -> Option<WindowOutput> {
        self.outputs.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Moment> {
        self.sessions.values().fold(None, |soonest, held| {
            let answer = held.answer_at.map(|(at, _)| at);
            earliest(soonest, earliest(answer, held.session.poll_timeout()))
        })
    }

    fn hold(&mut self, session: Session, pair: Pair, call: String, tag: String, ids: &mut Ids) -> u64 {
        let manner = match self.manners.len() {
            0 => Manner::Well,
            length => self.manners[self.begun % length],
        };
        self.begun += 1;
        self.next += 1;
        let fork = ids.token("fork");
        let held = Held {
            session,
            pair,
            call,
            tag,
            offered: None,
            answer_at: None,
            manner,
            heard: 0,
            outstanding: None,
            fork,
            is_dead: false,
            is_forgotten: false,
        };
        if self.sessions.len() == SESSIONS_MAX {
            self.sessions.pop_first();
        }
        self.sessions.insert(self.next, held);
        self.next
    }

    /// Accepts or refuses what has waited long enough.
    fn answer_due(&mut self, ids: &mut Ids, now: Now) {
        let is_due = |held: &Held| held.answer_at.is_some_and(|(at, _)| at <= now.moment);
        let numbers: Vec<_> =
            self.sessions.iter().filter(|(_, held)| is_due(held)).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(held) = self.sessions.get_mut(&number) else { continue };
            let Some((_, status)) = held.answer_at.take() else { continue };
            let Some((key, request)) = held.offered.clone() else { continue };
            if status >= 300 {
                held.session.refuse(Response::to(&request, status), now);
            } else {
                held.session.accept(Some(answer()), now);
                if held.manner == Manner::AcceptedTwice
                    && let Some(tag) = Token::parse(held.fork.clone())
                    && let Some(contact) = self.contact(&address_of(request.uri()))
                {
                    let second = Response::to(&request, 200).with_to_tag(&tag).with_contact(&contact);
                    let Content { content_type, body } = answer();
                    let second = second.with_body(&content_type, body);
                    self.run(number, ids, now);
                    self.outputs.push_back(WindowOutput::Respond(key, Box::new(second)));
                }
            }
            self.run(number, ids, now);
        }
    }

    /// Carries out what a session wants.
    fn run(&mut self, number: u64, ids: &mut Ids, now: Now) {
        while let Some(output) = self.sessions.get_mut(&number).and_then(|held| held.session.poll_output()) {
            match output {
                SessionOutput::Send { about, request, .. } => {
                    self.outputs.push_back(WindowOutput::Send(number, about, request));
                }
                SessionOutput::Cancel => self.outputs.push_back(WindowOutput::Cancel(number)),
                SessionOutput::Respond { key, response } => {
                    self.outputs.push_back(WindowOutput::Respond(key, response));
                }
                SessionOutput::Offered => {
                    if let Some(held) = self.sessions.get_mut(&number) {
                        held.session.ring(180, now);
                    }
                }
                SessionOutput::Progress(_) | SessionOutput::Established(_) | SessionOutput::Modified(_) => {}
                SessionOutput::Request { key, request } => self.hear(number, key, &request, now),
                SessionOutput::Response(response) => self.answered(number, &response),
                SessionOutput::RequestFailed(failure) => self.unanswered(number, &failure),
                SessionOutput::Ended(end) => self.ended(number, &end),
            }
        }
        let Some(held) = self.sessions.get(&number) else { return };
        let (pair, is_over) = (held.pair.clone(), held.session.is_over());
        if is_over {
            self.sessions.remove(&number);
        }
        self.drive(&pair, ids, now);
    }

    /// A request inside a session: a text, or that somebody types.
    fn hear(&mut self, number: u64, key: ServerKey, request: &Request, now: Now) {
        self.show(number, key, request);
        let Some(held) = self.sessions.get_mut(&number) else { return };
        if matches!(held.manner, Manner::LeavesAfter(texts) if held.heard >= texts) {
            held.session.end(now);
        }
    }

    /// Answers a request, and shows its text if it is a MESSAGE.
    fn show(&mut self, number: u64, key: ServerKey, request: &Request) {
        let Some(held) = self.sessions.get_mut(&number) else { return };
        self.outputs.push_back(WindowOutput::Respond(key, Box::new(Response::to(request, 200))));
        if *request.method() != Method::Message {
            return;
        }
        held.heard += 1;
        self.outputs.push_back(WindowOutput::Said(Said::Received {
            // A session has no name for a single text.
            id: "in a session".to_owned(),
            thread: held.call.clone(),
            from: request.from().uri.as_str().to_owned(),
            to: held.pair.0.clone(),
            text: String::from_utf8_lossy(request.body()).into_owned(),
            answer: "200 OK".to_owned(),
        }));
    }

    fn answered(&mut self, number: u64, response: &Response) {
        let Some(held) = self.sessions.get_mut(&number) else { return };
        let Some(text) = held.outstanding.take() else { return };
        let answer = format!("{} {}", response.status(), response.reason());
        match response.status() {
            200..300 => self.say(Said::Accepted { id: text.id, answer }),
            481 if text.tries < TRIES_MAX => {
                let pair = held.pair.clone();
                self.put_back(&pair, Some(text));
            }
            _ => self.say(Said::Refused { id: text.id, answer }),
        }
    }

    fn unanswered(&mut self, number: u64, failure: &Failure) {
        let text = self.sessions.get_mut(&number).and_then(|held| held.outstanding.take());
        if let Some(text) = text {
            self.say(Said::Unanswered { id: text.id, reason: failure.to_string() });
        }
    }

    /// A session is over. If it was never there, what waited for it is lost, unless another one is there.
    fn ended(&mut self, number: u64, end: &End) {
        let Some(held) = self.sessions.get_mut(&number) else { return };
        held.is_dead = true;
        let pair = held.pair.clone();
        if self.has_other(&pair, number) {
            return;
        }
        let said: fn(String, String) -> Said = match end {
            End::Refused(_) => |id, answer| Said::Refused { id, answer },
            End::Failed(_) => |id, reason| Said::Unanswered { id, reason },
            _ => return,
        };
        let words = match end {
            End::Refused(response) => format!("{} {}", response.status(), response.reason()),
            _ => "nobody answers".to_owned(),
        };
        for text in self.windows.remove(&pair).unwrap_or_default() {
            self.say(said(text.id, words.clone()));
        }
    }

    fn has_other(&self, pair: &Pair, number: u64) -> bool {
        self.sessions.iter().any(|(other, held)| *other != number && held.pair == *pair && !held.is_dead)
    }

    fn put_back(&mut self, pair: &Pair, text: Option<Text>) {
        if let Some(mut text) = text {
            text.tries += 1;
            self.windows.entry(pair.clone()).or_default().push_front(text);
        }
    }

    /// Sends the next text of a window, if there is one and a way.
    fn drive(&mut self, pair: &Pair, ids: &mut Ids, now: Now) {
        if self.windows.get(pair).is_none_or(VecDeque::is_empty) {
            return;
        }
        let of_pair = self.sessions.iter_mut().filter(|(_, held)| held.pair == *pair && !held.is_dead);
        let mut is_coming = false;
        for (number, held) in of_pair {
            if held.outstanding.is_some() || held.session.dialog().is_none() {
                is_coming = true;
                continue;
            }
            let Some(text) = self.windows.get_mut(pair).and_then(VecDeque::pop_front) else { return };
            let body = Bytes::copy_from_slice(text.text.as_bytes());
            let dress = |request: Request| request.with_body(&kind("text/plain; charset=UTF-8"), body);
            let number = *number;
            match held.session.send(Method::Message, dress, now) {
                Ok(()) => held.outstanding = Some(text),
                Err(_) => {
                    self.windows.entry(pair.clone()).or_default().push_front(text);
                    return;
                }
            }
            return self.run(number, ids, now);
        }
        if !is_coming {
            self.invite(pair, ids, now);
        }
    }

    fn invite(&mut self, pair: &Pair, ids: &mut Ids, now: Now) {
        let tag = ids.token("tag");
        let Some(request) = self.invitation(pair, &tag, ids) else {
            for text in self.windows.remove(pair).unwrap_or_default() {
                self.say(Said::Refused { id: text.id, answer: "not a SIP address".to_owned() });
            }
            return;
        };
        let call = request.call_id().as_str().to_owned();
        let session = Session::call(request, Arc::clone(&self.settings), now);
        let number = self.hold(session, pair.clone(), call, tag, ids);
        self.run(number, ids, now);
    }

    fn invitation(&self, (from, to): &Pair, tag: &str, ids: &mut Ids) -> Option<Request> {
        let uri = |address: &str| SipUri::parse(format!("sip:{address}")).ok();
        let to = uri(to)?;
        let epid = Token::parse("epid").zip(Token::parse("2c19aa01"))?;
        let own = NameAddr::new(uri(from)?).with_tag(&Token::parse(tag.to_owned())?);
        let own = own.with_param(&epid.0, Some(epid.1.as_str()));
        let call_id = CallId::parse(ids.token("call"))?;
        let request = Request::new(Method::Invite, to.clone().into(), own, NameAddr::new(to), call_id, 1);
        let offer = Bytes::from_static(SDP.as_bytes());
        let request = request.with(HeaderName::Supported, &HeaderText::from_static("ms-sender"));
        Some(request.with_contact(&self.contact(from)?).with_body(&kind("application/sdp"), offer))
    }

    fn contact(&self, user: &str) -> Option<NameAddr> {
        let local = user.split('@').next().unwrap_or_default();
        let text = format!("sip:{local}@{};opaque=user:epid:Kq1;gruu", self.place);
        Some(NameAddr::new(Uri::from(SipUri::parse(text).ok()?)))
    }

    fn say(&mut self, said: Said) {
        self.outputs.push_back(WindowOutput::Said(said));
    }
}

impl Held {
    const fn dies(&self) -> bool {
        match self.manner {
            Manner::ForgottenAfter(texts) | Manner::DeadAfter(texts) => self.heard >= texts,
            Manner::Well | Manner::AcceptedTwice | Manner::LeavesAfter(_) => false,
        }
    }
}

fn answer() -> Content {
    Content { content_type: kind("application/sdp"), body: Bytes::from_static(SDP.as_bytes()) }
}

fn kind(text: &'static str) -> ContentType {
    ContentType::parse(text).expect("it is a content type")
}

/// What every client of this dialect offers and answers.
const SDP: &str = "v=0\r\no=- 0 0 IN IP4 192.0.2.77\r\ns=session\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\n\
    m=message 5060 sip null\r\na=accept-types:text/plain text/html multipart/alternative\r\n";
/// How many sessions are held; the oldest are those that a server has forgotten on purpose.
const SESSIONS_MAX: usize = 10_000;
/// How often a text is tried after its session was found to be gone.
const TRIES_MAX: u8 = 3;
