//! Conversations carried out: what they order goes to the endpoint, the link and delivery, and what comes from there
//! goes to them.

use std::sync::Arc;
use std::time::Duration;

use clock_types::Now;
use sip_proto::endpoint::{ServerKey, Source};
use sip_proto::session::About;
use sip_types::header::CallId;
use sip_types::{Method, Request, Response, Uri};
use translate::session::{Parties, received_stanza, signals_of, text_stanza};
use translate::{MessageToSip, Profile, jid_to_sip};
use xmpp_types::jid::DomainName;
use xmpp_types::ns;
use xmpp_types::stanza_error::StanzaError;
use xmpp_types::xml::Element;

use crate::conversation::{Arrived, Effect, Fate, Item, Pair, Saying, SessionId, Why};
use crate::delivery::{Arrival, Number};
use crate::gateway::{Gateway, Ours, Output};
use crate::links::Sent;
use crate::notice::{Notice, Private, Trace};
use crate::record::{Direction, MessageKey};
use crate::report_to::ReportTo;
use crate::settings::SipDomain;
use crate::sip_side::say_if_late;
use crate::unknown;

impl Gateway {
    /// Lets an INVITE in that begins a session, or says why not; returns between whom.
    pub(crate) fn admit_invite(
        &mut self,
        request: &Request,
        source: &Source,
    ) -> Result<Arc<Pair>, Box<Response>> {
        let (to, from) = self.admit_users(request, source, &KNOWN_EXTENSIONS)?;
        let dialect = self.settings.domain(from.domain()).map(|domain| domain.dialect);
        if !dialect.is_some_and(|dialect| dialect.has_sessions()) {
            return Err(self.refuse(request, 488, "its domain's profile has no sessions"));
        }
        Ok(Arc::new(Pair::new(&to, &from)))
    }

    /// Takes a request inside a session, or inside something that we know nothing of (RFC 3261 §12.2.2).
    pub(crate) fn handle_inside(&mut self, key: ServerKey, request: Arc<Request>, source: &Source, now: Now) {
        if self.handle_watch_inside(key, &request, source, now) {
            return;
        }
        let Some(session) = self.conversations.session_of(&request) else {
            let response = self.refuse(&request, 481, "no such session here");
            return self.endpoint.respond(key, *response, now);
        };
        match self.admit_inside(session, &request, source) {
            Ok(()) => self.conversations.handle_request(session, key, request, now),
            Err(response) => self.endpoint.respond(key, *response, now),
        }
    }

    /// Whoever sends in a session must be who may speak for its SIP user, whatever connection it comes by; and that
    /// user must be allowed still, unless he leaves.
    fn admit_inside(
        &mut self,
        session: SessionId,
        request: &Request,
        source: &Source,
    ) -> Result<(), Box<Response>> {
        let settings = Arc::clone(&self.settings);
        let pair = self.conversations.pair_of(session).map(Arc::clone);
        let Some((pair, domain)) =
            pair.and_then(|pair| Some((pair.clone(), settings.domain(pair.domain())?)))
        else {
            return Err(self.refuse(request, 481, "its domain is no longer served here"));
        };
        if let Err(reason) = domain.peers.admit(source) {
            let reason = format!("{} may not speak for {}: {reason}", source.remote, domain.name);
            return Err(self.refuse(request, 403, &reason));
        }
        if *request.method() == Method::Bye {
            return Ok(());
        }
        self.admit_user(&pair.sip, request)
    }

    /// Takes the ACK of a 2xx; nothing answers it.
    pub(crate) fn handle_ack(&mut self, ack: &Request, source: &Source, now: Now) {
        let pair = self.conversations.session_of(ack).and_then(|session| self.conversations.pair_of(session));
        let domain = pair.and_then(|pair| self.settings.domain(pair.domain()));
        if domain.is_some_and(|domain| domain.peers.admit(source).is_ok()) {
            self.conversations.handle_ack(ack, now);
        }
    }

    /// Hears a stanza without a text: a chat state, in a conversation that there is.
    pub(crate) fn hear_signals(&mut self, stanza: &Element, queue: &str, domain: &SipDomain, now: Now) {
        if domain.dialect.has_sessions()
            && let Some(state) = signals_of(stanza).chat_state
        {
            self.conversations.handle_chat_state(queue, state, now);
        }
    }

    /// Returns whether enough waits already for a call that the SIP user has not answered.
    pub(crate) fn waits_too_much(&self, queue: &str, message: &MessageToSip) -> bool {
        if !self.conversations.is_calling(queue) {
            return false;
        }
        let limits = &self.settings.conversations;
        let size = |number: &Number| self.translated.get(number).map_or(0, |message| message.body.len());
        let waiting = self.to_sip.waiting(queue);
        let octets = waiting.iter().map(size).sum::<usize>() + message.body.len();
        waiting.len() >= limits.waiting_max || octets > limits.waiting_octets_max
    }

    /// Says a message whose turn has come in its conversation.
    pub(crate) fn say_text(
        &mut self,
        number: Number,
        stanza: &Element,
        message: Box<MessageToSip>,
        domain: &SipDomain,
        now: Now,
    ) {
        let known = self.to_sip.target(number).and_then(|queue| self.conversations.pair(queue));
        let pair = known.unwrap_or_else(|| Arc::new(Pair::new(&message.from_jid, &message.to_jid)));
        if self.conversations.is_paged(&pair, now) {
            return self.page_text(number, message, None, domain, now);
        }
        let state = signals_of(stanza).chat_state;
        let thread = stanza.child("thread", ns::SERVER).map(Element::text);
        let thread = thread.as_deref().filter(|thread| !thread.is_empty());
        self.conversations.handle_client(&pair, state, thread, now);
        let saying = Saying::of(&message);
        self.translated.insert(number, message);
        self.conversations.handle_item(&pair, Item::Text(number), saying, now);
    }

    /// Sends a message by itself: in page mode. With `paged`, because those two cannot have a session.
    pub(crate) fn page_text(
        &mut self,
        number: Number,
        message: Box<MessageToSip>,
        paged: Option<Arc<Pair>>,
        domain: &SipDomain,
        now: Now,
    ) {
        let receipt =
            if self.settings.page_mode_receipts { receipt_of(&message).map(Box::new) } else { None };
        let ours = Ours::Message { number, receipt, sent: now.moment, paged };
        self.send(ours, message.into_request(), &domain.route, now);
    }

    /// Says in the conversation that a message of the SIP user was not delivered.
    pub(crate) fn say_report(&mut self, number: Number, message: Box<MessageToSip>, now: Now) {
        let pair = Arc::new(Pair::new(&message.from_jid, &message.to_jid));
        let saying = Saying::of(&message);
        self.reports.insert(number, message);
        if self.conversations.is_paged(&pair, now) {
            return self.page_report(number, now);
        }
        self.conversations.handle_item(&pair, Item::Report(number), saying, now);
    }

    fn page_report(&mut self, number: Number, now: Now) {
        let Some(message) = self.reports.remove(&number) else { return };
        let settings = Arc::clone(&self.settings);
        if let Some(domain) = settings.domain(message.to_jid.domain()) {
            self.send(Ours::Report(number), message.into_request(), &domain.route, now);
        }
    }

    /// Carries out what the conversations want.
    pub(crate) fn handle_effect(&mut self, effect: Effect, now: Now) {
        match effect {
            Effect::Send { session, about, request, domain } => {
                self.send_in(session, about, *request, &domain, now);
            }
            Effect::Cancel(session) => {
                if let Some(invite) = self.invites.get(&session).and_then(|invites| invites.last()) {
                    self.endpoint.cancel(*invite, now);
                }
            }
            Effect::Respond { key, response } => self.endpoint.respond(key, *response, now),
            Effect::Over(session) => {
                for invite in self.invites.remove(&session).unwrap_or_default() {
                    self.requests.remove(&invite);
                }
            }
            Effect::Order(order) => self.outputs.push_back(Output::Order(order)),
            Effect::Notice(notice) => self.notice(Notice::Sip(notice)),
            Effect::Said { item, call } => self.note_call(item, &call),
            Effect::Decided { item, fate } => self.item_decided(item, fate, now),
            Effect::Arrived(arrived) => self.text_arrived(*arrived, now),
            Effect::Stanza { pair, stanza } => {
                self.links.send(stanza, Sent::Courtesy, || format!("{} {}", pair.sip, pair.xmpp), now);
            }
            Effect::Untold(message) => self.page_told(message, now),
            Effect::Asked { message_id, sender } => self.dispositions.ask(message_id, sender, now),
            Effect::Disposed { pair, disposition } => self.hear_disposition(&pair, &disposition, now),
            Effect::Changed { pair, call, change } => {
                let (xmpp, sip) = (Private(pair.xmpp.to_string()), Private(pair.sip.to_string()));
                self.notice(Notice::Session { xmpp, sip, call: call.to_string(), change });
            }
            Effect::Learned { pair, fallback } => {
                self.notice(Notice::Learned { user: Private(pair.sip.to_string()), fallback });
            }
        }
    }

    /// Sends a request of a session by the next hop of its domain, whatever the peer's Contact and routes name
    /// (decision 9): the peer's words never choose whom we dial.
    fn send_in(&mut self, session: SessionId, about: About, request: Request, domain: &DomainName, now: Now) {
        let settings = Arc::clone(&self.settings);
        let Some(domain) = settings.domain(domain) else {
            let failure = sip_proto::endpoint::Failure::NoTransport {
                reason: "its domain is no longer served here".to_owned(),
            };
            return self.conversations.handle_failure(session, about, failure, now);
        };
        let is_invite = *request.method() == Method::Invite;
        let key = self.send(Ours::Session { session, about, is_invite }, request, &domain.route, now);
        if is_invite {
            self.invites.entry(session).or_default().push(key);
        }
        match about {
            About::Ack => {
                self.requests.remove(&key);
            }
            About::Bye => self.farewells += 1,
            About::Invite | About::Inside | About::Refresh | About::StrayBye => {}
        }
    }

    /// Notes that a request of a session has its final answer, or has none.
    pub(crate) fn session_answered(&mut self, about: About) {
        if about == About::Bye {
            self.farewells = self.farewells.saturating_sub(1);
        }
    }

    fn page(&mut self, item: Item, now: Now) {
        match item {
            Item::Report(number) => self.page_report(number, now),
            Item::Text(number) => {
                let settings = Arc::clone(&self.settings);
                let Some(message) = self.translated.remove(&number) else { return };
                let Some(domain) = settings.domain(message.to_jid.domain()) else { return };
                let pair = Arc::new(Pair::new(&message.from_jid, &message.to_jid));
                self.page_text(number, message, Some(pair), domain, now);
            }
        }
    }

    /// Notes which session a message goes in, so that both protocols' names of it stand in one line.
    fn note_call(&mut self, item: Item, call: &CallId) {
        let Item::Text(number) = item else { return };
        if let Some(trace) = self.to_sip_traces.get_mut(&number)
            && trace.call != call.as_str()
        {
            *trace = Arc::new(Trace { call: call.to_string(), ..(**trace).clone() });
        }
    }

    fn item_decided(&mut self, item: Item, fate: Fate, now: Now) {
        match fate {
            Fate::Paged => self.page(item, now),
            Fate::Delivered { by_agent } => self.item_delivered(item, by_agent, now),
            Fate::Failed(why) => self.item_failed(item, &why, now),
            Fate::Unreachable(why) => {
                let behind = match item {
                    Item::Text(number) => self.to_sip.take_waiting_behind(number),
                    Item::Report(_) => Vec::new(),
                };
                self.item_failed(item, &why, now);
                for number in behind {
                    self.item_failed(Item::Text(number), &why, now);
                }
            }
        }
    }

    fn item_delivered(&mut self, item: Item, by_agent: bool, now: Now) {
        match item {
            Item::Text(number) => {
                let receipt = self.translated.get(&number).and_then(|message| receipt_of(message));
                if by_agent
                    && let Some(receipt) = receipt
                    && let Some((link, _)) = self.link_of(number)
                {
                    self.links.reply(link, receipt, Sent::Courtesy, now);
                }
                self.note_manners(number, 200, Duration::ZERO);
                self.to_sip.handle_delivered(number, now);
            }
            Item::Report(number) => {
                if let Some(trace) = self.to_xmpp_traces.get(&number).cloned() {
                    self.notice(Notice::Reported(trace));
                }
                self.to_xmpp.handle_reported(number, now);
            }
        }
    }

    fn item_failed(&mut self, item: Item, why: &Why, now: Now) {
        match item {
            Item::Text(number) => {
                let error = self.error_for(why);
                let took = self.to_sip.age(number, now);
                match why.status {
                    Some(status) => self.note_manners(number, status, took),
                    None => self.note_silence(number, &error, took),
                }
                self.fail_to_sip(number, &error, why.outcome.clone(), now);
            }
            // What passes is tried again, what is said for good is not.
            Item::Report(number) => match why.status {
                Some(status) if !(500..600).contains(&status) && !matches!(status, 408 | 480 | 481 | 486) => {
                    self.report_refused(number, why.outcome.clone(), now);
                }
                Some(_) | None => self.to_xmpp.handle_report_failed(number, now),
            },
        }
    }

    /// Returns what the XMPP user hears; where somebody might be refused, all unknown users are spoken of alike.
    fn error_for(&self, why: &Why) -> StanzaError {
        if why.status.is_some_and(unknown::says_so) && self.settings.policy.is_restricting() {
            return unknown::error();
        }
        why.error.clone()
    }

    /// Takes a text that was said in a session.
    fn text_arrived(&mut self, arrived: Arrived, now: Now) {
        let Arrived { asker, call, sender, pair, thread, text, state, losses } = arrived;
        let parties = Parties { from: &pair.sip, to: &pair.xmpp, thread: Some(&thread) };
        let trace = Arc::new(Trace {
            direction: Direction::ToXmpp,
            from: Private(pair.sip.to_string()),
            to: Private(pair.xmpp.to_string()),
            stanza: text.id.clone(),
            call: call.to_string(),
        });
        for loss in losses.iter() {
            self.notice(Notice::Lost { trace: trace.clone(), loss });
        }
        let mut stanza = text_stanza(&parties, &text, state);
        say_if_late(&mut stanza, text.written, &pair.sip, now);
        let by_address = || Some(Uri::from(jid_to_sip(&pair.sip, Profile::Standard).ok()?));
        let Some(sender) = sender.or_else(by_address) else { return };
        self.dispositions.asked(&pair, &text.id, &sender, text.notification.as_ref(), now);
        let arrival = Arrival {
            key: MessageKey(text.id.as_str().into()),
            stanza,
            report_to: ReportTo { sender, notification: text.notification }.to_string(),
            lifetime: None,
        };
        self.take_arrival(asker, arrival, trace, now);
    }
}

/// Returns the receipt that its sender asked for (XEP-0184 §5).
fn receipt_of(message: &MessageToSip) -> Option<Element> {
    let id = message.id.as_deref().filter(|_| message.receipt_requested)?;
    let parties = Parties { from: &message.to_jid, to: &message.from_jid, thread: None };
    Some(received_stanza(&parties, id))
}

/// The extensions that a session's INVITE may require of us: refreshes (RFC 4028).
const KNOWN_EXTENSIONS: [&str; 1] = ["timer"];
