//! One conversation with the sessions that carry it: orders of the one are carried out by the others, and what
//! comes of them is told back.

use std::collections::VecDeque;
use std::sync::Arc;

use clock_types::{Moment, Now, earliest};
use sip_proto::endpoint::ServerKey;
use sip_proto::session::{About, Content, End, Output as SessionOutput, Session};
use sip_types::header::{CallId, NameAddr};
use sip_types::{HeaderName, HeaderText, Method, Request, Response, SipUri};
use translate::MessageToSip;
use translate::session::{
    ChatState, Heard, Parties, SessionBody, TypingDialect, chat_state_stanza, hear, hear_information,
    text_to_session, typing_to_sip,
};

use super::desk::{Desk, SessionId};
use super::effect::{Arrived, Asker, Effect, SessionChange};
use super::fate::Item;
use super::learned::Fallback;
use super::machine::{Conversation, Ended, Leg, Output, Said};
use super::pair::Pair;
use super::settings::Dialect;
use super::typing::Understands;
use super::verdict;
use super::wire::{Sender, Wire};
use crate::answers;

/// One conversation, and what carries it.
#[derive(Debug)]
pub struct Entry {
    pub pair: Arc<Pair>,
    pub number: u64,
    pub conversation: Conversation,
    #[expect(clippy::vec_box, reason = "a Vec makes room for four at once, and nearly all have one")]
    pub sessions: Vec<Box<Carried>>,
    /// What is to be said, until it was.
    pub items: Vec<(Item, Box<Saying>)>,
    /// What became of the SIP user's texts, until it was told.
    pub tells: VecDeque<Box<MessageToSip>>,
    /// The thread that the XMPP user's client names, if it does.
    pub thread: Option<Box<str>>,
    /// When the clock was last asked for.
    pub wake: Option<Moment>,
    /// When the first of the sessions that there are began.
    pub since: Moment,
    /// Whether it is counted as open.
    pub is_counted: bool,
    /// Whether it waits to be forgotten.
    pub is_leaving: bool,
    /// The conferences that the XMPP user was told of.
    pub conferences: Vec<Box<str>>,
}

/// One session.
#[derive(Debug)]
pub struct Carried {
    pub leg: Leg,
    pub session: Session,
    pub tag: Box<str>,
    pub call: CallId,
    /// What we answer the peer's offer.
    pub answer: Option<Content>,
    /// The connection that texts go by, unless they go in the session itself.
    pub wire: Option<Box<Wire>>,
    pub inside: Inside,
    pub is_ours: bool,
    /// Whether it was there, and has not ended.
    pub is_established: bool,
    has_ended: bool,
}

/// What our request in a session is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    Nothing,
    Item,
    Typing,
    /// What became of a text of the peer.
    Told,
}

/// Something to say, as SIP has it.
#[derive(Clone, Debug)]
pub struct Saying {
    /// Who says it.
    pub from: NameAddr,
    pub to: NameAddr,
    uri: SipUri,
    pub body: SessionBody,
    pub headers: Vec<(HeaderName, HeaderText)>,
    /// Who is told what becomes of it.
    pub sender: Option<Box<Sender>>,
}

impl Saying {
    /// Returns what this message says.
    #[must_use]
    pub fn of(message: &MessageToSip) -> Self {
        Self {
            from: message.from.clone(),
            to: message.to.clone(),
            uri: message.request_uri.clone(),
            body: text_to_session(message),
            headers: message.session_headers(),
            sender: message.id.as_ref().map(|id| {
                Box::new(Sender {
                    from: message.from_jid.clone(),
                    to: message.to_jid.clone(),
                    id: id.clone(),
                    wants_receipt: message.receipt_requested,
                    wants_marker: message.display_requested,
                })
            }),
        }
    }

    fn put_into(&self, mut request: Request) -> Request {
        for (name, value) in &self.headers {
            request = request.with(*name, value);
        }
        self.body.clone().put_into(request)
    }
}

impl Carried {
    /// Returns a session of ours, or the peer's with our answer to it.
    pub fn new(leg: Leg, session: Session, tag: Box<str>, call: CallId, answer: Option<Content>) -> Self {
        let is_ours = answer.is_none();
        let inside = Inside::Nothing;
        let wire = None;
        Self {
            leg,
            session,
            tag,
            call,
            answer,
            wire,
            inside,
            is_ours,
            is_established: false,
            has_ended: false,
        }
    }
}

impl Entry {
    /// Returns a conversation of these two, in which nothing was said.
    pub fn new(pair: Arc<Pair>, number: u64, now: Now) -> Self {
        Self {
            pair,
            number,
            conversation: Conversation::new(now),
            sessions: Vec::new(),
            items: Vec::new(),
            tells: VecDeque::new(),
            thread: None,
            wake: None,
            since: now.moment,
            is_counted: false,
            is_leaving: false,
            conferences: Vec::new(),
        }
    }

    /// Takes something to say.
    pub fn handle_item(&mut self, item: Item, saying: Saying, desk: &mut Desk, now: Now) {
        self.items.push((item, Box::new(saying)));
        self.conversation.handle_item(item, &desk.pace, now);
    }

    /// Hears a response to a request in one of its sessions.
    pub fn handle_response(&mut self, leg: Leg, about: About, response: Box<Response>, now: Now) {
        if let Some(carried) = self.carried(leg) {
            carried.session.handle_response(about, response, now);
        }
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        self.conversation.handle_timeout(&desk.pace, now);
        for carried in &mut self.sessions {
            if carried.session.poll_timeout().is_some_and(|at| at <= now.moment) {
                carried.session.handle_timeout(now);
            }
        }
    }

    /// Returns when to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self, desk: &Desk) -> Option<Moment> {
        let conversation = self.conversation.poll_timeout(&desk.pace);
        self.sessions.iter().fold(conversation, |at, carried| earliest(at, carried.session.poll_timeout()))
    }

    /// Returns the session of this number.
    pub fn carried(&mut self, leg: Leg) -> Option<&mut Carried> {
        self.sessions.iter_mut().find(|carried| carried.leg == leg).map(|carried| &mut **carried)
    }

    /// Returns the Call-ID of the session that there is.
    pub fn call(&self) -> Option<&CallId> {
        self.sessions.iter().rev().find(|carried| carried.is_established).map(|carried| &carried.call)
    }

    /// Lets the conversation and its sessions tell each other until none has anything to say.
    pub fn run(&mut self, desk: &mut Desk, now: Now) {
        loop {
            if let Some(output) = self.conversation.poll_output() {
                self.carry_out(output, desk, now);
                continue;
            }
            let spoken = (0..self.sessions.len())
                .find_map(|index| Some((index, self.sessions[index].session.poll_output()?)));
            match spoken {
                Some((index, output)) => self.hear(index, output, desk, now),
                None if self.tell_next(desk, now) => {}
                None => break,
            }
        }
        let number = self.number;
        self.sessions.retain(|carried| {
            let is_over = carried.has_ended && carried.session.is_over();
            if is_over {
                desk.tags.remove(&carried.tag);
                desk.outputs.push_back(Effect::Over(SessionId { conversation: number, leg: carried.leg }));
            }
            !is_over
        });
    }

    fn carry_out(&mut self, output: Output, desk: &mut Desk, now: Now) {
        match output {
            Output::Call(leg) => self.call_out(leg, desk, now),
            Output::Say { leg, item } if self.is_wired(leg) => self.say_wired(leg, item, desk, now),
            Output::Say { leg, item } => self.say(leg, item, desk, now),
            Output::Type { leg, state } if self.is_wired(leg) => {
                self.show_typing_wired(leg, state, desk, now);
            }
            Output::Type { leg, state } => self.show_typing(leg, state, desk, now),
            Output::End(leg) => {
                if let Some(carried) = self.carried(leg) {
                    carried.session.end(now);
                }
            }
            Output::Decided { item, fate } => {
                self.items.retain(|(other, _)| *other != item);
                desk.outputs.push_back(Effect::Decided { item, fate });
            }
            Output::Show(state) => self.show(state, desk),
        }
    }

    pub fn is_wired(&mut self, leg: Leg) -> bool {
        self.carried(leg).is_some_and(|carried| carried.wire.is_some())
    }

    fn call_out(&mut self, leg: Leg, desk: &mut Desk, now: Now) {
        let saying = self.items.first().map(|(_, saying)| (&saying.from, &saying.to, &saying.uri));
        let is_wired = desk.dialect_of(&self.pair) == Dialect::Msrp;
        let wire = if is_wired { desk.wire_towards(&self.pair, now) } else { None };
        let invited = match saying {
            Some(_) if is_wired && wire.is_none() => Err(verdict::no_wire()),
            Some((from, to, uri)) if desk.may_open(&self.pair) => {
                let wire = wire.as_ref().map(|(_, uri)| uri);
                desk.invite(&self.pair, from, to, uri, wire).ok_or_else(verdict::no_contact)
            }
            Some(_) | None => Err(verdict::too_many()),
        };
        match invited {
            Ok((invite, tag)) => {
                let id = SessionId { conversation: self.number, leg };
                desk.tags.insert(tag.clone(), id);
                desk.live += 1;
                let call = invite.call_id().clone();
                let session = Session::call(invite, Arc::clone(&desk.sessions), now);
                let mut carried = Carried::new(leg, session, tag, call, None);
                carried.wire = wire.map(|(key, _)| {
                    desk.wires.insert(key, id);
                    Box::new(Wire::new(key))
                });
                self.sessions.push(Box::new(carried));
            }
            Err(why) => {
                if let Some((key, _)) = wire {
                    desk.msrp.close(key, now);
                }
                self.conversation.handle_refused(leg, why, &desk.pace, now);
            }
        }
    }

    fn say(&mut self, leg: Leg, item: Item, desk: &mut Desk, now: Now) {
        let saying = self.items.iter().find(|(other, _)| *other == item).map(|(_, saying)| saying);
        let carried = self.sessions.iter_mut().find(|carried| carried.leg == leg);
        let (Some(saying), Some(carried)) = (saying, carried) else {
            return self.conversation.handle_said(leg, verdict::session_lost(), &desk.pace, now);
        };
        let sent = carried.session.send(Method::Message, |request| saying.put_into(request), now);
        if sent.is_err() {
            return self.conversation.handle_said(leg, verdict::session_lost(), &desk.pace, now);
        }
        carried.inside = Inside::Item;
        desk.outputs.push_back(Effect::Said { item, call: carried.call.clone() });
    }

    fn show_typing(&mut self, leg: Leg, state: ChatState, desk: &mut Desk, now: Now) {
        let body = typing_to_sip(state, TypingDialect::KeyboardActivity);
        if let (Some(body), Some(carried)) = (body, self.carried(leg))
            && carried.session.send(body.method.clone(), |request| body.put_into(request), now).is_ok()
        {
            carried.inside = Inside::Typing;
            return;
        }
        self.conversation.handle_typed(leg, &desk.pace, now);
    }

    fn show(&self, state: ChatState, desk: &mut Desk) {
        if !desk.settings.conversations.typing && state != ChatState::Gone {
            return;
        }
        let thread = self.thread();
        let parties = Parties { from: &self.pair.sip, to: &self.pair.xmpp, thread: Some(&thread) };
        let stanza = chat_state_stanza(&parties, state, &desk.ids.token("state"));
        desk.outputs.push_back(Effect::Stanza { pair: Arc::clone(&self.pair), stanza });
    }

    /// Returns the thread in which the XMPP user sees the conversation.
    pub fn thread(&self) -> String {
        self.thread.as_deref().map_or_else(|| self.pair.thread(), str::to_owned)
    }

    fn hear(&mut self, index: usize, output: SessionOutput, desk: &mut Desk, now: Now) {
        let carried = &mut self.sessions[index];
        let leg = carried.leg;
        let session = SessionId { conversation: self.number, leg };
        match output {
            SessionOutput::Send { about, request } => {
                let domain = self.pair.sip.domain().clone();
                desk.outputs.push_back(Effect::Send { session, about, request, domain });
            }
            SessionOutput::Cancel => desk.outputs.push_back(Effect::Cancel(session)),
            SessionOutput::Respond { key, response } => {
                desk.outputs.push_back(Effect::Respond { key, response });
            }
            SessionOutput::Offered => {
                let answer = carried.answer.take();
                carried.session.accept(answer, now);
            }
            SessionOutput::Modified(content) if carried.wire.is_some() => {
                self.wire_modified(leg, &content, desk, now);
            }
            SessionOutput::Progress(_) | SessionOutput::Modified(_) => {}
            SessionOutput::Established(content) if carried.wire.is_some() => {
                self.wire_agreed(leg, content.as_ref(), desk, now);
            }
            SessionOutput::Established(_) => {
                carried.is_established = true;
                self.conversation.handle_established(leg, &desk.pace, now);
                let by_us = self.sessions[index].is_ours;
                self.note(index, SessionChange::Opened { by_us }, desk);
            }
            SessionOutput::Request { key, request } => self.hear_request(key, request, desk, now),
            SessionOutput::Response(response) => {
                let said = || verdict::of_text(&response);
                self.answered(index, said, || verdict::wants_no_typing(&response), desk, now);
            }
            SessionOutput::RequestFailed(failure) => {
                let said = || verdict::of_lost_text(&failure);
                self.answered(index, said, || failure.may_have_arrived(), desk, now);
            }
            SessionOutput::Ended(end) => self.ended(index, end, desk, now),
        }
    }

    /// What we asked in a session is over: what it is worth depends on what it was about.
    fn answered(
        &mut self,
        index: usize,
        said: impl FnOnce() -> Said,
        is_typing_unwanted: impl FnOnce() -> bool,
        desk: &mut Desk,
        now: Now,
    ) {
        let carried = &mut self.sessions[index];
        let leg = carried.leg;
        match std::mem::replace(&mut carried.inside, Inside::Nothing) {
            Inside::Item => self.conversation.handle_said(leg, said(), &desk.pace, now),
            Inside::Typing => self.typed(leg, is_typing_unwanted(), desk, now),
            Inside::Told => self.typed(leg, false, desk, now),
            Inside::Nothing => {}
        }
    }

    pub fn typed(&mut self, leg: Leg, is_unwanted: bool, desk: &mut Desk, now: Now) {
        if is_unwanted {
            desk.learn(&self.pair, Fallback::NoTyping, now);
        }
        self.conversation.handle_typed(leg, &desk.pace, now);
    }

    fn ended(&mut self, index: usize, end: End, desk: &mut Desk, now: Now) {
        let carried = &mut self.sessions[index];
        let (leg, was_established) = (carried.leg, carried.is_established);
        if !std::mem::replace(&mut carried.has_ended, true) {
            desk.live = desk.live.saturating_sub(1);
        }
        carried.is_established = false;
        if let Some(wire) = carried.wire.take() {
            desk.wires.remove(&wire.key);
            desk.msrp.close(wire.key, now);
        }
        let words = verdict::words(&end);
        let change =
            if was_established { SessionChange::Closed(words) } else { SessionChange::Refused(words) };
        self.note(index, change, desk);
        match verdict::of_end(end) {
            verdict::Ending::Refused(refused) => {
                self.conversation.handle_refused(leg, refused, &desk.pace, now);
            }
            verdict::Ending::ByPeer => {
                self.conversation.handle_ended(leg, Ended::ByPeer, &desk.pace, now);
            }
            verdict::Ending::Otherwise => {
                self.conversation.handle_ended(leg, Ended::Otherwise, &desk.pace, now);
            }
        }
    }

    pub fn note(&self, index: usize, change: SessionChange, desk: &mut Desk) {
        let call = self.sessions[index].call.clone();
        desk.outputs.push_back(Effect::Changed { pair: Arc::clone(&self.pair), call, change });
    }

    /// Answers a request that the session leaves to its user.
    fn hear_request(&mut self, key: ServerKey, request: Arc<Request>, desk: &mut Desk, now: Now) {
        let response = match request.method() {
            Method::Message => match answers::unmet_requirement(&request, &[]) {
                Some(response) => Some(response),
                None => self.hear_message(key, &request, desk, now),
            },
            Method::Info => Some(self.hear_information(&request, now)),
            Method::Options => Some(answers::options(&request)),
            _ => Some(answers::method_not_allowed(&request)),
        };
        if let Some(response) = response {
            desk.outputs.push_back(Effect::Respond { key, response: Box::new(response) });
        }
    }

    /// Takes a MESSAGE; a text is answered when its fate is known.
    fn hear_message(
        &mut self,
        key: ServerKey,
        request: &Arc<Request>,
        desk: &mut Desk,
        now: Now,
    ) -> Option<Response> {
        let heard = match hear(request, &self.pair.sip, desk.settings.to_xmpp.body_max) {
            Ok(heard) => heard,
            Err(refusal) => return Some(refusal.response(request)),
        };
        match heard.value {
            Heard::Text(text) => {
                self.conversation.handle_heard(now);
                let state = (self.conversation.understands() != Understands::No
                    && desk.settings.conversations.typing)
                    .then_some(ChatState::Active);
                desk.outputs.push_back(Effect::Arrived(Box::new(Arrived {
                    asker: Asker::Request { key, request: Arc::clone(request) },
                    call: request.call_id().clone(),
                    sender: Some(request.from().uri.clone()),
                    pair: Arc::clone(&self.pair),
                    thread: self.thread(),
                    text: *text,
                    state,
                    losses: heard.losses,
                })));
                None
            }
            Heard::Typing(typing) => {
                self.conversation.handle_typing(typing, now);
                Some(Response::to(request, 200))
            }
            Heard::Disposition(disposition) => {
                desk.outputs.push_back(Effect::Disposed { pair: Arc::clone(&self.pair), disposition });
                Some(Response::to(request, 200))
            }
            Heard::Ignored(_) => Some(Response::to(request, 200)),
        }
    }

    fn hear_information(&mut self, request: &Request, now: Now) -> Response {
        match hear_information(request) {
            Ok(Heard::Typing(typing)) => {
                self.conversation.handle_typing(typing, now);
                Response::to(request, 200)
            }
            Ok(Heard::Text(_) | Heard::Disposition(_) | Heard::Ignored(_)) => Response::to(request, 200),
            // A request to join in a conference of the older kind (application/x-ms-mim).
            Err(_) => Response::to(request, 488),
        }
    }
}
