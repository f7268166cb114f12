//! All conversations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now, earliest};
use net_types::Event;
use sip_proto::endpoint::{self, Failure, ServerKey, Transport};
use sip_proto::msrp::{self, LateReport, ReceivedKey, SessionKey, Verdict};
use sip_proto::session::{About, Content, Session};
use sip_types::{Request, Response};
use translate::MessageToSip;
use translate::session::{ChatState, Parties, conference_invitation, notice_stanza};
use xmpp_types::jid::DomainName;

use super::desk::{Desk, SessionId, contact};
use super::effect::Effect;
use super::entry::{Carried, Entry, Saying};
use super::fate::Item;
use super::learned::Fallback;
use super::offer::{Place, answer, line_answer, line_offer, offered_line};
use super::pair::Pair;
use super::settings::Dialect;
use super::wire::Wire;
use crate::settings::Settings;

/// All conversations.
#[derive(Debug)]
pub struct Conversations {
    desk: Desk,
    pairs: BTreeMap<Arc<str>, u64>,
    entries: BTreeMap<u64, Entry>,
    wakes: BTreeSet<(Moment, u64)>,
    /// Those without a session, and when to look whether they can be forgotten.
    leaving: VecDeque<(Moment, u64)>,
    next: u64,
}

/// A conversation, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationState {
    /// Between whom.
    pub pair: Pair,
    /// How far it is.
    pub phase: Phase,
    /// The Call-ID of its session.
    pub call: Option<String>,
    /// Since when there is a session, or a call.
    pub since: Moment,
    /// When something was last said.
    pub last: Moment,
    /// What waits to be said: the message whose turn it is, and reports.
    pub waiting: usize,
    /// What the SIP user's programs were found not to do.
    pub fallbacks: Vec<Fallback>,
}

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// We call the SIP user.
    Calling,
    /// There is a session.
    Open,
}

impl Conversations {
    /// Returns no conversations.
    #[must_use]
    pub fn new(settings: Arc<Settings>, ids: Ids) -> Self {
        Self {
            desk: Desk::new(settings, ids),
            pairs: BTreeMap::new(),
            entries: BTreeMap::new(),
            wakes: BTreeSet::new(),
            leaving: VecDeque::new(),
            next: 0,
        }
    }

    /// Puts other settings into effect; sessions that there are go on.
    pub fn handle_settings(&mut self, settings: Arc<Settings>) {
        self.desk.handle_settings(settings);
    }

    /// Takes something to say to the SIP user.
    pub fn handle_item(&mut self, pair: &Arc<Pair>, item: Item, saying: Saying, now: Now) {
        let number = self.entry_of(pair, now);
        self.with(number, now, |entry, desk| entry.handle_item(item, saying, desk, now));
    }

    /// Takes what came with a text of the XMPP user: a chat state, if his client hears such, and his thread.
    pub fn handle_client(
        &mut self,
        pair: &Arc<Pair>,
        state: Option<ChatState>,
        thread: Option<&str>,
        now: Now,
    ) {
        let number = self.entry_of(pair, now);
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.conversation.handle_client(state);
        if thread.is_some() && entry.thread.as_deref() != thread {
            entry.thread = thread.filter(|thread| thread.len() <= THREAD_MAX).map(Box::from);
        }
    }

    /// Takes a chat state of the XMPP user that came without a text.
    pub fn handle_chat_state(&mut self, key: &str, state: ChatState, now: Now) {
        let Some(number) = self.pairs.get(key).copied() else { return };
        let allowed = self.desk.settings.conversations.typing || state == ChatState::Gone;
        self.with(number, now, |entry, desk| {
            let knows = desk.learned.knows(entry.pair.sip.as_str(), Fallback::NoTyping, now);
            if allowed && (!knows || state == ChatState::Gone) {
                let pace = desk.pace_of(&entry.pair);
                entry.conversation.handle_chat_state(state, &pace, now);
            } else {
                entry.conversation.handle_client(Some(state));
            }
        });
    }

    /// Takes what became of a text of the SIP user, if the two have a session or will have one; else gives it back.
    pub fn handle_told(
        &mut self,
        key: &str,
        message: Box<MessageToSip>,
        now: Now,
    ) -> Option<Box<MessageToSip>> {
        let number = self.pairs.get(key).copied();
        let open = |number: &u64| self.entries.get(number).is_some_and(|entry| entry.conversation.is_open());
        let Some(number) = number.filter(open) else { return Some(message) };
        self.with(number, now, |entry, desk| entry.handle_told(message, desk));
        None
    }

    /// Takes an INVITE that begins a session, from somebody who may speak for the SIP user.
    pub fn handle_invite(
        &mut self,
        key: ServerKey,
        request: &Arc<Request>,
        pair: &Arc<Pair>,
        transport: Transport,
        now: Now,
    ) {
        let outcome = self.begin(key, request, pair, transport, now);
        if let Err(response) = outcome {
            self.desk.outputs.push_back(Effect::Respond { key, response });
        }
    }

    /// Returns the session that a request is in, by our tag.
    #[must_use]
    pub fn session_of(&self, request: &Request) -> Option<SessionId> {
        let id = *self.desk.tags.get(request.to().tag()?)?;
        let entry = self.entries.get(&id.conversation)?;
        let carried = entry.sessions.iter().find(|carried| carried.leg == id.leg)?;
        (carried.call == *request.call_id()).then_some(id)
    }

    /// Returns the pair of this key, if they have talked lately.
    #[must_use]
    pub fn pair(&self, key: &str) -> Option<Arc<Pair>> {
        Some(Arc::clone(&self.entries.get(self.pairs.get(key)?)?.pair))
    }

    /// Returns between whom a session is.
    #[must_use]
    pub fn pair_of(&self, session: SessionId) -> Option<&Arc<Pair>> {
        Some(&self.entries.get(&session.conversation)?.pair)
    }

    /// Returns whether our call to the SIP user waits for its answer.
    #[must_use]
    pub fn is_calling(&self, key: &str) -> bool {
        let entry = self.pairs.get(key).and_then(|number| self.entries.get(number));
        entry.is_some_and(|entry| entry.conversation.is_calling())
    }

    /// Hears a request in a session.
    pub fn handle_request(&mut self, session: SessionId, key: ServerKey, request: Arc<Request>, now: Now) {
        self.with(session.conversation, now, |entry, _| {
            if let Some(carried) = entry.carried(session.leg) {
                carried.session.handle_request(key, request, now);
            }
        });
    }

    /// Hears an ACK in a session.
    pub fn handle_ack(&mut self, ack: &Request, now: Now) {
        let Some(session) = self.session_of(ack) else { return };
        self.with(session.conversation, now, |entry, _| {
            if let Some(carried) = entry.carried(session.leg) {
                carried.session.handle_ack(ack, now);
            }
        });
    }

    /// Hears a response to a request of a session.
    pub fn handle_response(&mut self, session: SessionId, about: About, response: Box<Response>, now: Now) {
        self.with(session.conversation, now, |entry, _| {
            entry.handle_response(session.leg, about, response, now);
        });
    }

    /// Learns that a request of a session has no final response.
    pub fn handle_failure(&mut self, session: SessionId, about: About, failure: Failure, now: Now) {
        self.with(session.conversation, now, |entry, _| {
            if let Some(carried) = entry.carried(session.leg) {
                carried.session.handle_failure(about, failure, now);
            }
        });
    }

    /// Remembers that a SIP user takes texts, and no sessions.
    pub fn handle_paged(&mut self, pair: &Arc<Pair>, now: Now) {
        self.desk.learn(pair, Fallback::PageMode, now);
    }

    /// Returns whether a SIP user is known to take texts, and no sessions.
    #[must_use]
    pub fn is_paged(&self, pair: &Pair, now: Now) -> bool {
        self.desk.learned.knows(pair.sip.as_str(), Fallback::PageMode, now)
    }

    /// Ends all sessions.
    pub fn handle_stop(&mut self, now: Now) {
        let numbers: Vec<u64> = self.entries.keys().copied().collect();
        for number in numbers {
            self.with(number, now, |entry, _| entry.conversation.handle_stop());
        }
    }

    /// Returns whether no session is left.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.desk.live == 0
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        self.desk.msrp.handle_timeout(now);
        self.drain_wires(now);
        while let Some(&(at, number)) = self.wakes.first() {
            if at > now.moment {
                break;
            }
            self.wakes.pop_first();
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.wake = None;
            }
            self.with(number, now, |entry, desk| entry.handle_timeout(desk, now));
        }
        self.forget_old(now);
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let wake = self.wakes.first().map(|(at, _)| *at);
        let wake = earliest(wake, self.desk.msrp.poll_timeout());
        earliest(wake, self.leaving.front().map(|(at, _)| *at))
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self) -> Option<Effect> {
        self.desk.outputs.pop_front()
    }

    /// Returns every conversation that has a session or wants one.
    #[must_use]
    pub fn states(&self) -> Vec<ConversationState> {
        let open = self.entries.values().filter(|entry| entry.conversation.is_open());
        open.map(|entry| ConversationState {
            pair: (*entry.pair).clone(),
            phase: if entry.conversation.is_calling() { Phase::Calling } else { Phase::Open },
            call: entry.call().map(ToString::to_string),
            since: entry.since,
            last: entry.conversation.last(),
            waiting: entry.conversation.waiting(),
            fallbacks: self.fallbacks_of(entry.pair.sip.as_str()),
        })
        .collect()
    }

    /// Returns what SIP users' programs were found not to do.
    pub fn fallbacks(&self) -> impl Iterator<Item = (&str, Fallback)> {
        self.desk.learned.iter()
    }

    fn fallbacks_of(&self, user: &str) -> Vec<Fallback> {
        self.fallbacks().filter(|(other, _)| *other == user).map(|(_, fallback)| fallback).collect()
    }

    fn begin(
        &mut self,
        key: ServerKey,
        request: &Arc<Request>,
        pair: &Arc<Pair>,
        transport: Transport,
        now: Now,
    ) -> Result<(), Box<Response>> {
        let refused = |status| Box::new(Response::to(request, status));
        // COMPAT(Office Communicator, 2005): its way of adding a third, for whom nothing is there to join; may stay.
        let is_triggered = request.headers().get_other("TriggeredInvite").is_some();
        if let Some(invitation) = conference_invitation(request) {
            self.tell_of_conference(pair, &invitation.focus, &invitation.words(&name_of(request, pair)), now);
            return Err(refused(488));
        }
        if is_triggered {
            return Err(refused(488));
        }
        let listener = self.desk.settings.listener_of(transport).ok_or_else(|| refused(500))?;
        let contact = contact(&pair.xmpp, listener).ok_or_else(|| refused(404))?;
        let known = self.pairs.get(&pair.key).and_then(|number| self.entries.get(number));
        let is_open = known.is_some_and(|entry| entry.conversation.is_open());
        let has_room = known.is_none_or(|entry| entry.conversation.has_room());
        if !has_room || (!is_open && !self.desk.may_open(pair)) {
            let reason = sip_types::HeaderText::from_static("Too Many Conversations Are Open Here");
            return Err(Box::new(Response::to(request, 480).with_reason(&reason)));
        }
        let (content, wire) = self.answer_to(request, pair, transport, now).ok_or_else(|| refused(488))?;
        let number = self.entry_of(pair, now);
        let request = Arc::clone(request);
        self.with(number, now, |entry, desk| {
            let leg = entry.conversation.handle_called(now);
            let (tag, call) = (desk.tag(), request.call_id().clone());
            let id = SessionId { conversation: number, leg };
            desk.tags.insert(tag.as_str().into(), id);
            desk.live += 1;
            let session = Session::called(key, request, &tag, contact, Arc::clone(&desk.sessions), now);
            let mut carried = Carried::new(leg, session, tag.as_str().into(), call, Some(content));
            if let Some(wire) = &wire {
                desk.wires.insert(wire.key, id);
            }
            carried.wire = wire.map(Box::new);
            entry.sessions.push(Box::new(carried));
        });
        Ok(())
    }

    /// Returns our answer to the offer in an INVITE, and the connection that texts go by, if they do; `None` if it offers
    /// no texts in a way that is spoken with this SIP user.
    fn answer_to(
        &mut self,
        request: &Request,
        pair: &Pair,
        transport: Transport,
        now: Now,
    ) -> Option<(Content, Option<Wire>)> {
        let listener = self.desk.settings.listener_of(transport)?.clone();
        let place = Place { host: &listener.host, port: listener.port };
        if self.desk.dialect_of(pair) != Dialect::Msrp {
            return Some((answer(request, place, request.uri())?, None));
        }
        let octets_max = self.desk.wired_max();
        if request.body().is_empty() {
            let (key, ours) = self.desk.wire_towards(pair, now)?;
            return Some((line_offer(place, &ours, octets_max), Some(Wire::new(key))));
        }
        let offer = offered_line(request)?;
        let (key, ours) = self.desk.msrp.prepare(offer.secure, now)?;
        let Some(content) = line_answer(&offer, place, &ours, octets_max) else {
            self.desk.msrp.close(key, now);
            return None;
        };
        let wire = Wire::new(key).with(&offer.line);
        self.desk.msrp.join(key, offer.line.peer, now);
        Some((content, Some(wire)))
    }

    /// Lets the connections have their say.
    fn drain_wires(&mut self, now: Now) {
        while let Some(output) = self.desk.msrp.poll_output() {
            let session = match &output {
                msrp::Output::Order(order) => {
                    self.desk.outputs.push_back(Effect::Order(order.clone()));
                    continue;
                }
                msrp::Output::Notice(notice) => {
                    self.desk.outputs.push_back(Effect::Notice(noticed(notice)));
                    continue;
                }
                msrp::Output::Opened { session }
                | msrp::Output::Accepted { session, .. }
                | msrp::Output::Delivered { session, .. }
                | msrp::Output::Failed { session, .. }
                | msrp::Output::Closed { session, .. } => *session,
                msrp::Output::Received(received) => received.session,
            };
            match (self.desk.wires.get(&session).copied(), output) {
                (Some(id), output) => {
                    self.with_one(id.conversation, now, |entry, desk| {
                        entry.hear_wire(id.leg, output, desk, now)
                    });
                }
                // Its session has ended meanwhile.
                (None, msrp::Output::Received(received)) => {
                    self.desk.msrp.answer(received.key, Verdict::Refused(481), now);
                }
                (None, _) => {}
            }
        }
    }

    /// Returns whether an event is for a connection of a session by MSRP.
    #[must_use]
    pub fn concerns(&self, event: &Event) -> bool {
        self.desk.msrp.concerns(event)
    }

    /// Takes what happened on the network.
    pub fn handle_net(&mut self, event: Event, now: Now) {
        self.desk.msrp.handle_net(event, now);
        self.drain_wires(now);
    }

    /// Answers a text that came by MSRP; returns what a late report needs, if one is wanted.
    pub fn answer_wired(&mut self, key: ReceivedKey, verdict: Verdict, now: Now) -> Option<LateReport> {
        let late = self.desk.msrp.answer(key, verdict, now);
        self.drain_wires(now);
        late
    }

    /// Tells the sender of a text by MSRP that it was delivered after all.
    pub fn report_wired(&mut self, session: SessionKey, report: &LateReport, now: Now) {
        self.desk.msrp.report(session, report, 200, now);
        self.drain_wires(now);
    }

    /// Tells the XMPP user once that somebody wanted him in a conference.
    fn tell_of_conference(&mut self, pair: &Arc<Pair>, focus: &str, words: &str, now: Now) {
        if !self.desk.settings.conversations.tell_of_conferences {
            return;
        }
        let number = self.entry_of(pair, now);
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if entry.conferences.iter().any(|told| **told == *focus) {
            return;
        }
        if entry.conferences.len() >= CONFERENCES_MAX {
            entry.conferences.remove(0);
        }
        entry.conferences.push(focus.chars().take(FOCUS_MAX).collect::<String>().into());
        let thread = entry.thread();
        let parties = Parties { from: &pair.sip, to: &pair.xmpp, thread: Some(&thread) };
        let stanza = notice_stanza(&parties, words, &self.desk.ids.token("notice"));
        self.desk.outputs.push_back(Effect::Stanza { pair: Arc::clone(pair), stanza });
        self.settle(number, now);
    }

    /// Returns the number of the conversation of these two.
    fn entry_of(&mut self, pair: &Arc<Pair>, now: Now) -> u64 {
        if let Some(number) = self.pairs.get(&pair.key) {
            return *number;
        }
        self.next += 1;
        let number = self.next;
        self.pairs.insert(Arc::clone(&pair.key), number);
        self.entries.insert(number, Entry::new(Arc::clone(pair), number, now));
        number
    }

    /// Gives a conversation an input, and lets it have its say.
    fn with(&mut self, number: u64, now: Now, input: impl FnOnce(&mut Entry, &mut Desk)) {
        self.with_one(number, now, input);
        self.drain_wires(now);
    }

    fn with_one(&mut self, number: u64, now: Now, input: impl FnOnce(&mut Entry, &mut Desk)) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        input(entry, &mut self.desk);
        entry.run(&mut self.desk, now);
        self.settle(number, now);
    }

    /// Keeps the books about a conversation: whether it counts as open, when the clock is wanted.
    fn settle(&mut self, number: u64, now: Now) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let is_open = entry.conversation.is_open();
        if is_open != entry.is_counted {
            entry.is_counted = is_open;
            if is_open {
                entry.since = now.moment;
            }
            self.desk.count(&entry.pair, is_open);
        }
        if !is_open && !entry.is_leaving {
            entry.is_leaving = true;
            self.leaving.push_back((now.moment + KEPT_FOR, number));
        }
        // A wake that comes too early asks again; most texts only move it later.
        let wanted = entry.poll_timeout(&self.desk);
        if let Some(at) = wanted
            && entry.wake.is_none_or(|wake| at < wake)
        {
            if let Some(before) = entry.wake.replace(at) {
                self.wakes.remove(&(before, number));
            }
            self.wakes.insert((at, number));
        }
        if self.leaving.len() > LEAVING_MAX {
            self.look_at_oldest(now, Duration::ZERO);
        }
    }

    fn forget_old(&mut self, now: Now) {
        while self.leaving.front().is_some_and(|(at, _)| *at <= now.moment) {
            self.look_at_oldest(now, KEPT_FOR);
        }
    }

    /// Forgets the conversation that was left first, if nothing was said in it since.
    fn look_at_oldest(&mut self, now: Now, idle: Duration) {
        let Some((_, number)) = self.leaving.pop_front() else { return };
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.is_leaving = false;
        let is_needed =
            entry.conversation.is_open() || !entry.sessions.is_empty() || entry.conversation.waiting() > 0;
        let last = entry.conversation.last();
        if is_needed || now.moment.since(last) < idle {
            if !entry.conversation.is_open() {
                entry.is_leaving = true;
                self.leaving.push_back(((last + KEPT_FOR).max(now.moment + RETRY_AFTER), number));
            }
            return;
        }
        if let Some(entry) = self.entries.remove(&number) {
            self.pairs.remove(&entry.pair.key);
            if let Some(wake) = entry.wake {
                self.wakes.remove(&(wake, number));
            }
        }
    }
}

/// The words that SIP's own connections have fit these as well.
fn noticed(notice: &msrp::Notice) -> endpoint::Notice {
    match *notice {
        msrp::Notice::ConnectionRefused { remote, reason } => {
            endpoint::Notice::ConnectionRefused { remote, reason }
        }
        msrp::Notice::Malformed { remote, what, closed } => {
            endpoint::Notice::Malformed { remote, what, closed }
        }
    }
}

/// Returns the name that the SIP user shows, or his address.
fn name_of(request: &Request, pair: &Pair) -> String {
    request.from().display_name().map_or_else(|| pair.sip.as_str().to_owned(), std::borrow::Cow::into_owned)
}

/// How long the thread of a conversation is remembered after its last session.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// How soon a conversation is looked at again that could not be forgotten.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// How many conversations without a session are remembered.
const LEAVING_MAX: usize = 50_000;
const CONFERENCES_MAX: usize = 8;
const FOCUS_MAX: usize = 256;
/// A longer thread is none that a client makes; its window is another then.
const THREAD_MAX: usize = 256;

/// Names the domain of a pair's SIP user.
impl Pair {
    /// Returns the SIP user's domain.
    #[must_use]
    pub const fn domain(&self) -> &DomainName {
        self.sip.domain()
    }
}
