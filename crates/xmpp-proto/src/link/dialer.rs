use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use sha1::{Digest, Sha1};
use xmpp_types::jid::DomainName;
use xmpp_types::ns;
use xmpp_types::stream::{StreamHeader, StreamVersion};
use xmpp_types::xml::{Element, Event};

use super::partners::{self, PartnerTable};
use super::session::{Session, number};
use super::{LinkSettings, ReceivedId, SendId};
use crate::acks::Request;
use crate::wire::Wire;

/// What the dialing end wants done or has to tell.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Dial the other end; answered by [`Dialer::handle_connected`] or [`Dialer::handle_closed`].
    Connect,
    /// Send octets on the connection.
    Send(Vec<u8>),
    /// Close the connection after what was sent has left.
    Close,
    /// A stanza came in; answer with [`Dialer::settle`] once it is settled or durable here.
    Stanza {
        /// Its name.
        n: ReceivedId,
        /// The stanza.
        stanza: Element,
    },
    /// A stanza of ours is settled or durable at the other end, and forgotten here.
    Settled(SendId),
    /// Stanzas flow.
    Up {
        /// Whether they go on where they were. If not, the other end has begun anew: what it held for us may be lost.
        resumed: bool,
    },
    /// How far the other end's partners are believed, from now on.
    Partners(PartnerTable),
    /// A stream with this partner broke: what its users said may be lost.
    Broken(DomainName),
    /// Stanzas no longer flow, and why. What is not settled is kept and sent again.
    Down(String),
}

/// The end of the link that dials: the gateway's.
///
/// ```text
///   Waiting ──▶ Dialling ──▶ Greeting ──▶ Offered ──▶ Opening ──▶ Up
///      ▲            │            └────────────┴───────────┴────────┤
///      └────────────┴──────────── back-off with jitter ◀───────────┘
/// ```
#[derive(Debug)]
pub struct Dialer {
    settings: LinkSettings,
    ids: Ids,
    state: State,
    /// The session, with what waits; `previd` is how the other end names it.
    session: Session,
    previd: Option<String>,
    sessions: u64,
    sends: u64,
    attempts: u32,
    partners: partners::Incoming,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    /// Pausing before the next attempt.
    Waiting { until: Moment },
    /// The connection was ordered.
    Dialling,
    /// Our header is sent.
    Greeting { wire: Wire, deadline: Moment },
    /// Their header came; their features are next.
    Offered { wire: Wire, deadline: Moment },
    /// `<enable/>`, `<resume/>` or `<handshake/>` is sent.
    Opening { wire: Wire, deadline: Moment },
    /// Stanzas flow.
    Up(Flow),
    /// For good.
    Stopped,
}

#[derive(Debug)]
struct Flow {
    wire: Wire,
    request: Request,
    /// When the other end was last heard.
    heard: Moment,
    acks: Acks,
}

/// How we learn what the other end has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acks {
    /// It tells (XEP-0198 and our selective word).
    Counted,
    /// It returns our ping, which it routes behind our stanzas (RFC 6120 §10.1).
    Pinged,
}

impl Dialer {
    /// Starts dialling.
    #[must_use]
    pub fn new(settings: LinkSettings, ids: Ids) -> Self {
        Self {
            settings,
            ids,
            state: State::Dialling,
            session: Session::new(1),
            previd: None,
            sessions: 1,
            sends: 0,
            attempts: 0,
            partners: partners::Incoming::default(),
            outputs: VecDeque::from([Output::Connect]),
        }
    }

    /// Tells whether stanzas flow.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Returns how many stanzas are not settled. The caller bounds it: the link takes what it is given.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.session.waiting()
    }

    /// Takes a stanza to send, at once or when the link is up.
    pub fn send(&mut self, stanza: impl Into<Arc<Element>>, now: Now) -> SendId {
        self.sends += 1;
        let id = SendId(self.sends);
        self.session.push(id, stanza.into());
        if let State::Up(flow) = &mut self.state {
            flow.transmit(&mut self.session, &self.settings, &mut self.ids, now.moment);
        }
        id
    }

    /// Takes a stanza back if nothing of it has left, ever; tells whether it could.
    pub fn withdraw(&mut self, id: SendId) -> bool {
        self.session.withdraw(id)
    }

    /// Takes the news that a stanza is settled or durable here: the other end may forget it.
    pub fn settle(&mut self, n: ReceivedId, _now: Now) {
        let mut unsent = Vec::new();
        let out = match &mut self.state {
            State::Up(Flow { wire, acks: Acks::Counted, .. }) => wire.out(),
            State::Up(_)
            | State::Waiting { .. }
            | State::Dialling
            | State::Greeting { .. }
            | State::Offered { .. }
            | State::Opening { .. }
            | State::Stopped => &mut unsent,
        };
        self.session.settle(n, out);
    }

    /// Takes the news that the connection is open, its certificates judged.
    pub fn handle_connected(&mut self, now: Now) {
        match self.state {
            State::Dialling => {
                let mut wire = Wire::component(self.settings.limits);
                wire.greet(&header(&self.settings));
                self.state = State::Greeting { wire, deadline: now.moment + self.settings.answer_patience };
            }
            State::Waiting { .. }
            | State::Greeting { .. }
            | State::Offered { .. }
            | State::Opening { .. }
            | State::Up(_)
            | State::Stopped => {}
        }
    }

    /// Takes the news that the connection is gone, or could not be made, and why.
    pub fn handle_closed(&mut self, reason: Option<String>, now: Now) {
        match self.state {
            State::Waiting { .. } | State::Stopped => {}
            State::Dialling
            | State::Greeting { .. }
            | State::Offered { .. }
            | State::Opening { .. }
            | State::Up(_) => {
                let reason = reason.unwrap_or_else(|| "the other end closed the connection".into());
                self.pause(reason, now);
            }
        }
    }

    /// Takes octets of the connection.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Now) {
        let Some(wire) = self.state.wire() else { return };
        wire.feed(bytes);
        if let State::Up(flow) = &mut self.state {
            flow.heard = now.moment;
        }
        loop {
            let Some(wire) = self.state.wire() else { return };
            match wire.next() {
                Ok(None) => return,
                Ok(Some(event)) => self.handle_event(event, now),
                Err(error) => {
                    wire.refuse(&error.to_stream_error());
                    self.hang_up(format!("the other end sent bad XML: {error}"), now);
                }
            }
        }
    }

    /// Dials again when the pause is over; gives up on a silent other end.
    pub fn handle_timeout(&mut self, now: Now) {
        match &mut self.state {
            State::Waiting { until } if *until <= now.moment => {
                self.state = State::Dialling;
                self.outputs.push_back(Output::Connect);
            }
            State::Greeting { deadline, .. }
            | State::Offered { deadline, .. }
            | State::Opening { deadline, .. }
                if *deadline <= now.moment =>
            {
                self.hang_up("the other end did not answer in time".into(), now);
            }
            State::Up(flow) => {
                if flow.request.deadline().is_some_and(|deadline| deadline <= now.moment) {
                    self.hang_up("the other end acknowledged nothing in time".into(), now);
                } else if flow.heard + self.settings.keep_alive <= now.moment && !flow.request.is_out() {
                    flow.ask(&self.session, &self.settings, &mut self.ids, now.moment);
                }
            }
            State::Waiting { .. }
            | State::Dialling
            | State::Greeting { .. }
            | State::Offered { .. }
            | State::Opening { .. }
            | State::Stopped => {}
        }
    }

    /// Closes the stream in good order and stays closed; what is not settled stays with the caller's
    /// store.
    pub fn stop(&mut self, _now: Now) {
        if let Some(wire) = self.state.wire() {
            wire.close();
            self.outputs.extend(wire.take().map(Output::Send));
            self.outputs.push_back(Output::Close);
        }
        self.state = State::Stopped;
    }

    /// Returns what is wanted next.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if let State::Up(Flow { wire, acks: Acks::Counted, .. }) = &mut self.state {
            self.session.write_frontier(wire.out());
        }
        self.state.wire()?.take().map(Output::Send)
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Greeting { deadline, .. }
            | State::Offered { deadline, .. }
            | State::Opening { deadline, .. } => Some(*deadline),
            State::Up(flow) => Some(flow.request.deadline().unwrap_or(flow.heard + self.settings.keep_alive)),
            State::Dialling | State::Stopped => None,
        }
    }

    fn handle_event(&mut self, event: Event, now: Now) {
        let deadline = now.moment + self.settings.answer_patience;
        match (std::mem::replace(&mut self.state, State::Stopped), event) {
            (State::Greeting { mut wire, .. }, Event::StreamOpened(header)) => {
                self.state = if let Some(secret) = &self.settings.secret {
                    let id = header.id.as_deref().unwrap_or_default();
                    wire.print(
                        &Element::new(ns::COMPONENT_ACCEPT, "handshake").with_text(handshake(id, secret)),
                    );
                    State::Opening { wire, deadline }
                } else {
                    State::Offered { wire, deadline }
                };
            }
            (State::Offered { mut wire, .. }, Event::Stanza(features))
                if features.is("features", ns::STREAMS) =>
            {
                if !features.has_child("sm", ns::SM3) {
                    self.state = State::Offered { wire, deadline };
                    return self.hang_up("the other end offers no acknowledgement (XEP-0198)".into(), now);
                }
                let mut opening = match &self.previd {
                    Some(previd) => self.session.resumption("resume", previd),
                    None => enable(),
                };
                if features.has_child("partners", ns::LINK) {
                    opening.push_child(partners::word());
                }
                wire.print(&opening);
                self.state = State::Opening { wire, deadline };
            }
            (State::Opening { wire, .. }, Event::Stanza(element)) => self.open(wire, &element, now),
            (State::Up(flow), Event::Stanza(element)) => {
                self.state = State::Up(flow);
                self.handle_element(element, now);
            }
            (state, Event::Whitespace) => self.state = state,
            (state, Event::Closed) => {
                self.state = state;
                self.hang_up("the other end closed the stream".into(), now);
            }
            (state, Event::Stanza(element)) => {
                self.state = state;
                self.hang_up(complaint(&element), now);
            }
            (state, Event::StreamOpened(_)) => {
                self.state = state;
                self.hang_up("the other end opened the stream twice".into(), now);
            }
        }
    }

    /// Takes the answer to `<enable/>`, `<resume/>` or `<handshake/>`.
    fn open(&mut self, mut wire: Wire, element: &Element, now: Now) {
        let deadline = now.moment + self.settings.answer_patience;
        if element.is("enabled", ns::SM3) {
            self.previd = element.attr("id").map(str::to_string);
            self.renew_session();
        } else if element.is("resumed", ns::SM3) {
            let outputs = &mut self.outputs;
            if let Err(error) = self.session.resume(element, |id| outputs.push_back(Output::Settled(id))) {
                self.state = State::Opening { wire, deadline };
                self.previd = None;
                return self.hang_up(format!("the other end resumed wrongly: {error}"), now);
            }
        } else if element.is("failed", ns::SM3) && self.previd.is_some() {
            // The session is gone at the other end: all that waits goes into a new one.
            self.previd = None;
            // Whoever knows of partners is told so; another one overlooks it.
            wire.print(&enable().with_child(partners::word()));
            self.state = State::Opening { wire, deadline };
            return;
        } else if element.name() == "handshake" && self.settings.secret.is_some() {
            self.renew_session();
        } else {
            self.state = State::Opening { wire, deadline };
            return self.hang_up(complaint(element), now);
        }
        let acks = if self.settings.secret.is_some() { Acks::Pinged } else { Acks::Counted };
        let mut flow = Flow { wire, request: Request::default(), heard: now.moment, acks };
        let resumed = element.is("resumed", ns::SM3);
        self.outputs.push_back(Output::Up { resumed });
        self.attempts = 0;
        flow.transmit(&mut self.session, &self.settings, &mut self.ids, now.moment);
        self.state = State::Up(flow);
    }

    fn renew_session(&mut self) {
        self.sessions += 1;
        let old = std::mem::replace(&mut self.session, Session::new(0));
        self.session = old.renewed(self.sessions);
    }

    fn handle_element(&mut self, element: Element, now: Now) {
        let State::Up(flow) = &mut self.state else { return };
        let outputs = &mut self.outputs;
        let settled = |id| outputs.push_back(Output::Settled(id));
        let taken = if element.namespace() == ns::SERVER {
            return self.handle_stanza(element, now);
        } else if element.is("a", ns::SM3) {
            flow.request.answered();
            let h = number(&element, "h").and_then(|h| u32::try_from(h).ok());
            h.map_or(Ok(()), |h| self.session.acknowledge(h, settled))
        } else if element.is("settled", ns::LINK) {
            let n = number(&element, "n").unwrap_or_default();
            self.session.acknowledge_one(n).map(|id| id.into_iter().for_each(settled))
        } else if element.is("r", ns::SM3) {
            self.session.write_answer(flow.wire.out());
            Ok(())
        } else if element.is("partners", ns::LINK) {
            match self.partners.take(&element) {
                Ok(table) => self.outputs.extend(table.map(Output::Partners)),
                Err(reason) => {
                    return self.hang_up(format!("the other end announces partners wrongly: {reason}"), now);
                }
            }
            return;
        } else if element.is("broken", ns::LINK) {
            return self.outputs.extend(partners::broken_domain(&element).map(Output::Broken));
        } else {
            return self.hang_up(complaint(&element), now);
        };
        if let Err(error) = taken {
            self.previd = None;
            self.hang_up(error.to_string(), now);
        }
    }

    fn handle_stanza(&mut self, stanza: Element, now: Now) {
        let State::Up(flow) = &mut self.state else { return };
        if flow.acks == Acks::Pinged && stanza.name() == "iq" {
            let returned = stanza.attr("id").and_then(|id| flow.request.ping_answered(id));
            if let Some(covered) = returned {
                let outputs = &mut self.outputs;
                self.session.acknowledge_through(covered, |id| outputs.push_back(Output::Settled(id)));
                flow.transmit(&mut self.session, &self.settings, &mut self.ids, now.moment);
                return;
            }
        }
        if let Some(n) = self.session.receive() {
            self.outputs.push_back(Output::Stanza { n, stanza });
        }
    }

    fn hang_up(&mut self, reason: String, now: Now) {
        if let Some(wire) = self.state.wire() {
            wire.close();
            self.outputs.extend(wire.take().map(Output::Send));
            self.outputs.push_back(Output::Close);
        }
        self.pause(reason, now);
    }

    fn pause(&mut self, reason: String, now: Now) {
        let pause = crate::backoff::pause(
            self.settings.retry_min,
            self.settings.retry_max,
            self.attempts,
            &mut self.ids,
        );
        self.attempts += 1;
        self.state = State::Waiting { until: now.moment + pause.max(Duration::from_millis(1)) };
        self.outputs.push_back(Output::Down(reason));
    }
}

impl State {
    fn wire(&mut self) -> Option<&mut Wire> {
        match self {
            Self::Greeting { wire, .. }
            | Self::Offered { wire, .. }
            | Self::Opening { wire, .. }
            | Self::Up(Flow { wire, .. }) => Some(wire),
            Self::Waiting { .. } | Self::Dialling | Self::Stopped => None,
        }
    }
}

impl Flow {
    fn transmit(&mut self, session: &mut Session, settings: &LinkSettings, ids: &mut Ids, now: Moment) {
        session.transmit(&self.wire.printer(), self.wire.out());
        if self.acks == Acks::Pinged && session.waiting() > 0 && !self.request.is_out() {
            self.ask(session, settings, ids, now);
        }
    }

    /// Asks the other end how far it is, or whether it lives.
    fn ask(&mut self, session: &Session, settings: &LinkSettings, ids: &mut Ids, now: Moment) {
        match self.acks {
            Acks::Counted => {
                self.wire.print(&Element::new(ns::SM3, "r"));
                self.request.ask(session.sent(), settings.answer_patience, now);
            }
            Acks::Pinged => {
                let id = ids.token("ping");
                self.wire.print(
                    &Element::new(ns::SERVER, "iq")
                        .with_attr("type", "get")
                        .with_attr("from", settings.peer.as_str())
                        .with_attr("to", settings.peer.as_str())
                        .with_attr("id", id.as_str())
                        .with_child(Element::new(ns::PING, "ping")),
                );
                self.request.ping(session.sent(), id, settings.answer_patience, now);
            }
        }
    }
}

/// Our header; a plain component's has no version and no `from` (XEP-0114 §3).
fn header(settings: &LinkSettings) -> StreamHeader {
    let header = StreamHeader::new(ns::COMPONENT_ACCEPT).with_to(settings.peer.as_str());
    if settings.secret.is_some() {
        StreamHeader { version: StreamVersion::Absent, ..header }
    } else {
        header.with_from(settings.name.as_str())
    }
}

fn enable() -> Element {
    Element::new(ns::SM3, "enable").with_attr("resume", "true")
}

/// The digest of XEP-0114 §3: the stream's id and the secret, in lower-case hexadecimal.
fn handshake(id: &str, secret: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(id.as_bytes());
    hash.update(secret.as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says in words what an element that ends the stream means.
fn complaint(element: &Element) -> String {
    if element.is("error", ns::STREAMS) {
        let condition = element.elements().next().map_or("undefined-condition", Element::name);
        let text = element.child("text", ns::STREAM_ERRORS).map(Element::text).unwrap_or_default();
        return crate::failure::shortened(&format!("the other end refuses the stream: {condition} {text}"));
    }
    crate::failure::shortened(&format!("the other end sent an unexpected <{}/>", element.name()))
}
