use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use clock_types::{Ids, Moment, Now, earliest};
use net_types::ConnectionId;
use xmpp_types::features::FeatureSet;
use xmpp_types::jid::DomainName;
use xmpp_types::ns;
use xmpp_types::stream::{StreamCondition, StreamError, StreamHeader};
use xmpp_types::xml::{Element, Event};

use super::partners::{self, PartnerTable};
use super::session::{Session, number};
use super::{LinkSettings, ReceivedId, SendId};
use crate::acks::{HandledTooHigh, Request};
use crate::failure::shortened;
use crate::wire::Wire;

/// Names a gateway's session: it may outlive several connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gateway(u64);

impl Gateway {
    /// Returns a number that no other session of this process has.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "gateway-{}", self.0)
    }
}

/// What the accepting end wants done or has to tell.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Send octets.
    Send(ConnectionId, Vec<u8>),
    /// Close after what was sent has left.
    Close(ConnectionId),
    /// Stanzas flow with a gateway: a new session, or one that goes on.
    Up {
        /// The session.
        gateway: Gateway,
        /// What the gateway calls itself.
        name: String,
        /// Whether it goes on where it was.
        resumed: bool,
    },
    /// The connection of a session is gone, and why; the session is kept for a while.
    Down(Gateway, String),
    /// A session is over; what was not settled is handed back, in order, with its names.
    Lost(Gateway, Vec<(SendId, Element)>),
    /// A stanza came in; answer with [`Acceptor::settle`] once it is settled.
    Stanza {
        /// Who sent it.
        gateway: Gateway,
        /// Its name.
        n: ReceivedId,
        /// The stanza.
        stanza: Element,
    },
    /// A stanza of ours is settled or durable there, and forgotten here.
    Settled(Gateway, SendId),
    /// A connection did not become a link, and why.
    Refused(ConnectionId, String),
}

/// The end of the link that listens: the proxy's, for all gateways at once.
#[derive(Debug)]
pub struct Acceptor {
    settings: LinkSettings,
    ids: Ids,
    connections: BTreeMap<ConnectionId, Connection>,
    sessions: BTreeMap<Gateway, Kept>,
    last_gateway: u64,
    sends: u64,
    partners: PartnerTable,
    outputs: VecDeque<Output>,
    /// Connections with octets to send.
    dirty: Vec<ConnectionId>,
}

#[derive(Debug)]
struct Connection {
    wire: Wire,
    state: State,
    /// Whether it asked how far partners are believed.
    wants_partners: bool,
    is_dirty: bool,
}

#[derive(Debug)]
enum State {
    /// Waiting for the header.
    Greeting { deadline: Moment },
    /// Waiting for `<enable/>` or `<resume/>` from a gateway of this name.
    Offered { name: String, deadline: Moment },
    /// Stanzas flow.
    Up { gateway: Gateway, request: Request, heard: Moment },
}

#[derive(Debug)]
struct Kept {
    session: Session,
    /// What the gateway calls itself.
    name: String,
    /// What it must say to resume.
    previd: String,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    On(ConnectionId),
    Off { until: Moment },
}

impl Acceptor {
    /// Returns an end without connections.
    #[must_use]
    pub fn new(settings: LinkSettings, ids: Ids) -> Self {
        Self {
            settings,
            ids,
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last_gateway: 0,
            sends: 0,
            partners: PartnerTable::default(),
            outputs: VecDeque::new(),
            dirty: Vec::new(),
        }
    }

    /// Puts other settings in force, for the connections that are open as well.
    pub fn set_settings(&mut self, settings: LinkSettings) {
        for connected in self.connections.values_mut() {
            connected.wire.set_limits(settings.limits);
        }
        self.settings = settings;
    }

    /// Announces how far partners are believed, to all gateways that asked and those that will.
    pub fn set_partners(&mut self, partners: PartnerTable) {
        if self.partners == partners {
            return;
        }
        self.partners = partners;
        for (name, connected) in &mut self.connections {
            if matches!(connected.state, State::Up { .. }) {
                connected.announce(&self.partners);
                connected.mark(*name, &mut self.dirty);
            }
        }
    }

    /// Says that a stream with a partner broke, to all gateways that are there; another one finds out when it begins.
    pub fn announce_broken(&mut self, domain: &DomainName) {
        for (name, connected) in &mut self.connections {
            if connected.wants_partners && matches!(connected.state, State::Up { .. }) {
                connected.wire.print(&partners::broken(domain));
                connected.mark(*name, &mut self.dirty);
            }
        }
    }

    /// Returns the gateways with which stanzas flow.
    pub fn gateways(&self) -> impl Iterator<Item = Gateway> {
        self.sessions
            .iter()
            .filter(|(_, kept)| matches!(kept.place, Place::On(_)))
            .map(|(gateway, _)| *gateway)
    }

    /// Returns each session: what it calls itself, whether it is connected, how much waits.
    pub fn sessions(&self) -> impl Iterator<Item = (Gateway, &str, Option<ConnectionId>, usize)> {
        self.sessions.iter().map(|(gateway, kept)| {
            let connection = match kept.place {
                Place::On(connection) => Some(connection),
                Place::Off { .. } => None,
            };
            (*gateway, &*kept.name, connection, kept.session.waiting())
        })
    }

    /// Tells whether this connection is one of ours.
    #[must_use]
    pub fn owns(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Returns how many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Takes a connection whose certificate has been judged: it may speak as a gateway.
    pub fn handle_accepted(&mut self, connection: ConnectionId, now: Now) {
        let wire = Wire::component(self.settings.limits);
        let state = State::Greeting { deadline: now.moment + self.settings.answer_patience };
        self.connections
            .insert(connection, Connection { wire, state, wants_partners: false, is_dirty: false });
    }

    /// Takes a stanza for a gateway and names it; `None` if that session is over.
    pub fn send(&mut self, gateway: Gateway, stanza: Element, _now: Now) -> Option<SendId> {
        let kept = self.sessions.get_mut(&gateway)?;
        self.sends += 1;
        let id = SendId(self.sends);
        kept.session.push(id, stanza.into());
        if let Place::On(connection) = kept.place
            && let Some(connected) = self.connections.get_mut(&connection)
        {
            kept.session.transmit(&connected.wire.printer(), connected.wire.out());
            connected.mark(connection, &mut self.dirty);
        }
        Some(id)
    }

    /// Takes the news that a gateway's stanza is settled: it may forget it.
    pub fn settle(&mut self, gateway: Gateway, n: ReceivedId, _now: Now) {
        let Some(kept) = self.sessions.get_mut(&gateway) else { return };
        match kept.place {
            Place::On(connection) => {
                let Some(connected) = self.connections.get_mut(&connection) else { return };
                kept.session.settle(n, connected.wire.out());
                connected.mark(connection, &mut self.dirty);
            }
            // What is written here reaches nobody; `<resumed/>` will tell.
            Place::Off { .. } => kept.session.settle(n, &mut Vec::new()),
        }
    }

    /// Takes octets of a connection.
    pub fn handle_bytes(&mut self, connection: ConnectionId, bytes: &[u8], now: Now) {
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        connected.wire.feed(bytes);
        if let State::Up { heard, .. } = &mut connected.state {
            *heard = now.moment;
        }
        while let Some(connected) = self.connections.get_mut(&connection) {
            match connected.wire.next() {
                Ok(None) => return,
                Ok(Some(event)) => self.handle_event(connection, event, now),
                Err(error) => self.refuse(connection, &error.to_stream_error(), now),
            }
        }
    }

    /// Takes the news that a connection is gone.
    pub fn handle_closed(&mut self, connection: ConnectionId, reason: Option<String>, now: Now) {
        let Some(connected) = self.connections.remove(&connection) else { return };
        let reason = reason.unwrap_or_else(|| "the gateway closed the connection".into());
        match connected.state {
            State::Greeting { .. } | State::Offered { .. } => {
                self.outputs.push_back(Output::Refused(connection, reason));
            }
            State::Up { gateway, .. } => self.detach(gateway, reason, now),
        }
    }

    /// Gives up on silent connections and on sessions that nobody resumed.
    pub fn handle_timeout(&mut self, now: Now) {
        let due: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, connected)| connected.timeout(&self.settings) <= now.moment)
            .map(|(connection, _)| *connection)
            .collect();
        for connection in due {
            self.handle_silence(connection, now);
        }
        let over: Vec<Gateway> = self
            .sessions
            .iter()
            .filter(|(_, kept)| matches!(kept.place, Place::Off { until } if until <= now.moment))
            .map(|(gateway, _)| *gateway)
            .collect();
        for gateway in over {
            self.lose(gateway);
        }
    }

    /// Gives back what waits for gateways that are not connected, as if they had been away for too long.
    pub fn forsake_absent(&mut self) {
        let absent: Vec<Gateway> = self
            .sessions
            .iter()
            .filter(|(_, kept)| matches!(kept.place, Place::Off { .. }))
            .map(|(gateway, _)| *gateway)
            .collect();
        for gateway in absent {
            self.lose(gateway);
        }
    }

    /// Closes every stream with `system-shutdown` (RFC 6120 §4.9.3.20); sessions stay until they time
    /// out.
    pub fn stop(&mut self, now: Now) {
        let all: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for connection in all {
            self.refuse(connection, &StreamError::new(StreamCondition::SystemShutdown), now);
        }
    }

    /// Returns what is wanted next.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        while let Some(connection) = self.dirty.pop() {
            let Some(connected) = self.connections.get_mut(&connection) else { continue };
            connected.is_dirty = false;
            if let State::Up { gateway, .. } = connected.state
                && let Some(kept) = self.sessions.get_mut(&gateway)
            {
                kept.session.write_frontier(connected.wire.out());
            }
            if let Some(bytes) = connected.wire.take() {
                return Some(Output::Send(connection, bytes));
            }
        }
        None
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let connections = self.connections.values().map(|connected| connected.timeout(&self.settings)).min();
        let sessions = self
            .sessions
            .values()
            .filter_map(|kept| match kept.place {
                Place::On(_) => None,
                Place::Off { until } => Some(until),
            })
            .min();
        earliest(connections, sessions)
    }

    fn handle_event(&mut self, connection: ConnectionId, event: Event, now: Now) {
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        match (&mut connected.state, event) {
            (State::Greeting { .. }, Event::StreamOpened(header)) => {
                if header.content.as_str() != ns::COMPONENT_ACCEPT {
                    return self.refuse(
                        connection,
                        &StreamError::new(StreamCondition::InvalidNamespace),
                        now,
                    );
                }
                let name = header.from.as_deref().unwrap_or("gateway").to_string();
                let greeting = StreamHeader::new(ns::COMPONENT_ACCEPT)
                    .with_from(self.settings.name.as_str())
                    .with_to(name.as_str())
                    .with_id(self.ids.token("link"));
                connected.wire.greet(&greeting);
                let mut features = FeatureSet { sm: true, ..FeatureSet::default() }.to_element();
                features.push_child(partners::word());
                connected.wire.print(&features);
                let deadline = now.moment + self.settings.answer_patience;
                connected.state = State::Offered { name: shortened(&name), deadline };
                connected.mark(connection, &mut self.dirty);
            }
            (State::Offered { name, .. }, Event::Stanza(element)) => {
                let name = name.clone();
                connected.wants_partners = element.has_child("partners", ns::LINK);
                if element.is("enable", ns::SM3) {
                    self.begin(connection, name, now);
                } else if element.is("resume", ns::SM3) {
                    self.resume(connection, &element, now);
                } else {
                    self.refuse(connection, &StreamError::new(StreamCondition::NotAuthorized), now);
                }
            }
            (State::Up { gateway, .. }, Event::Stanza(element)) => {
                let gateway = *gateway;
                self.handle_element(connection, gateway, element, now);
            }
            (_, Event::Whitespace) => {}
            (_, Event::Closed) => self.close(connection, "the gateway closed the stream", now),
            (_, Event::StreamOpened(_) | Event::Stanza(_)) => {
                self.refuse(connection, &StreamError::new(StreamCondition::InvalidXml), now);
            }
        }
    }

    /// Begins a session; an older one of the same gateway is over, for that gateway has started anew.
    fn begin(&mut self, connection: ConnectionId, name: String, now: Now) {
        let older: Vec<(Gateway, Place)> = self
            .sessions
            .iter()
            .filter(|(_, kept)| kept.name == name)
            .map(|(gateway, kept)| (*gateway, kept.place))
            .collect();
        self.last_gateway += 1;
        let gateway = Gateway(self.last_gateway);
        let previd = self.ids.token("session");
        let enabled = Element::new(ns::SM3, "enabled")
            .with_attr("id", previd.as_str())
            .with_attr("resume", "true")
            .with_attr("max", self.settings.resume_patience.as_secs().to_string());
        let session = Session::new(gateway.0);
        self.sessions
            .insert(gateway, Kept { session, name: name.clone(), previd, place: Place::On(connection) });
        self.come_up(connection, gateway, &enabled, now);
        // What the older session leaves goes before whatever the news of the new one sets free.
        for (older, place) in older {
            if let Place::On(connection) = place {
                self.refuse(connection, &StreamError::new(StreamCondition::Conflict), now);
            }
            self.lose(older);
        }
        self.outputs.push_back(Output::Up { gateway, name, resumed: false });
    }

    /// Goes on with a session, or tells the gateway that it is gone (XEP-0198 §5).
    fn resume(&mut self, connection: ConnectionId, element: &Element, now: Now) {
        let previd = element.attr("previd").unwrap_or_default();
        let found = self.sessions.iter().find(|(_, kept)| kept.previd == previd).map(|(gateway, _)| *gateway);
        let Some(gateway) = found else {
            let Some(connected) = self.connections.get_mut(&connection) else { return };
            connected.wire.print(
                &Element::new(ns::SM3, "failed")
                    .with_child(Element::new(ns::STANZA_ERRORS, "item-not-found")),
            );
            connected.mark(connection, &mut self.dirty);
            return;
        };
        let Some(kept) = self.sessions.get_mut(&gateway) else { return };
        let former = std::mem::replace(&mut kept.place, Place::On(connection));
        let outputs = &mut self.outputs;
        if let Err(error) = kept.session.resume(element, |id| outputs.push_back(Output::Settled(gateway, id)))
        {
            self.refuse(connection, &too_high(error), now);
            return self.lose(gateway);
        }
        let resumed = kept.session.resumption("resumed", previd);
        let name = kept.name.clone();
        self.come_up(connection, gateway, &resumed, now);
        if let Place::On(former) = former {
            // The gateway noticed before we did that its old connection is dead.
            self.refuse_detached(former);
        }
        self.outputs.push_back(Output::Up { gateway, name, resumed: true });
    }

    fn come_up(&mut self, connection: ConnectionId, gateway: Gateway, answer: &Element, now: Now) {
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        connected.wire.print(answer);
        connected.state = State::Up { gateway, request: Request::default(), heard: now.moment };
        // Before the first stanza, which is judged by it.
        connected.announce(&self.partners);
        if let Some(kept) = self.sessions.get_mut(&gateway) {
            kept.session.transmit(&connected.wire.printer(), connected.wire.out());
        }
        connected.mark(connection, &mut self.dirty);
    }

    fn handle_element(&mut self, connection: ConnectionId, gateway: Gateway, element: Element, now: Now) {
        let Some(kept) = self.sessions.get_mut(&gateway) else { return };
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        let State::Up { request, .. } = &mut connected.state else { return };
        let outputs = &mut self.outputs;
        let settled = |id| outputs.push_back(Output::Settled(gateway, id));
        let taken = if element.namespace() == ns::SERVER {
            if let Some(n) = kept.session.receive() {
                self.outputs.push_back(Output::Stanza { gateway, n, stanza: element });
            }
            Ok(())
        } else if element.is("a", ns::SM3) {
            request.answered();
            let h = number(&element, "h").and_then(|h| u32::try_from(h).ok());
            h.map_or(Ok(()), |h| kept.session.acknowledge(h, settled))
        } else if element.is("settled", ns::LINK) {
            let n = number(&element, "n").unwrap_or_default();
            kept.session.acknowledge_one(n).map(|id| id.into_iter().for_each(settled))
        } else if element.is("r", ns::SM3) {
            kept.session.write_answer(connected.wire.out());
            connected.mark(connection, &mut self.dirty);
            Ok(())
        } else if element.is("error", ns::STREAMS) {
            let said = StreamError::from_element(&element).map(|error| error.to_string()).unwrap_or_default();
            return self.close(connection, &format!("the gateway ended the stream: {said}"), now);
        } else {
            return self.refuse(connection, &StreamError::new(StreamCondition::UnsupportedStanzaType), now);
        };
        if let Err(error) = taken {
            self.refuse(connection, &too_high(error), now);
            self.lose(gateway);
        }
    }

    fn handle_silence(&mut self, connection: ConnectionId, now: Now) {
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        match &mut connected.state {
            State::Up { gateway, request, .. } if !request.is_out() => {
                let sent = self.sessions.get(gateway).map_or(0, |kept| kept.session.sent());
                request.ask(sent, self.settings.answer_patience, now.moment);
                connected.wire.print(&Element::new(ns::SM3, "r"));
                connected.mark(connection, &mut self.dirty);
            }
            State::Up { .. } | State::Greeting { .. } | State::Offered { .. } => {
                self.refuse(connection, &StreamError::new(StreamCondition::ConnectionTimeout), now);
            }
        }
    }

    fn refuse(&mut self, connection: ConnectionId, error: &StreamError, now: Now) {
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        connected.wire.refuse(error);
        self.end(connection, format!("we closed the stream: {error}"), now);
    }

    fn close(&mut self, connection: ConnectionId, reason: &str, now: Now) {
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        connected.wire.close();
        self.end(connection, reason.to_string(), now);
    }

    fn end(&mut self, connection: ConnectionId, reason: String, now: Now) {
        let Some(mut connected) = self.connections.remove(&connection) else { return };
        self.outputs.extend(connected.wire.take().map(|bytes| Output::Send(connection, bytes)));
        self.outputs.push_back(Output::Close(connection));
        match connected.state {
            State::Greeting { .. } | State::Offered { .. } => {
                self.outputs.push_back(Output::Refused(connection, reason));
            }
            State::Up { gateway, .. } => self.detach(gateway, reason, now),
        }
    }

    fn refuse_detached(&mut self, connection: ConnectionId) {
        if self.connections.remove(&connection).is_some() {
            self.outputs.push_back(Output::Close(connection));
        }
    }

    fn detach(&mut self, gateway: Gateway, reason: String, now: Now) {
        if let Some(kept) = self.sessions.get_mut(&gateway) {
            kept.place = Place::Off { until: now.moment + self.settings.resume_patience };
            self.outputs.push_back(Output::Down(gateway, shortened(&reason)));
        }
    }

    fn lose(&mut self, gateway: Gateway) {
        if let Some(kept) = self.sessions.remove(&gateway) {
            self.outputs.push_back(Output::Lost(gateway, kept.session.into_waiting()));
        }
    }
}

impl Connection {
    fn announce(&mut self, partners: &PartnerTable) {
        if self.wants_partners {
            for part in partners.to_elements() {
                self.wire.print(&part);
            }
        }
    }

    fn mark(&mut self, name: ConnectionId, dirty: &mut Vec<ConnectionId>) {
        if !std::mem::replace(&mut self.is_dirty, true) {
            dirty.push(name);
        }
    }

    fn timeout(&self, settings: &LinkSettings) -> Moment {
        match &self.state {
            State::Greeting { deadline } | State::Offered { deadline, .. } => *deadline,
            State::Up { request, heard, .. } => request.deadline().unwrap_or(*heard + settings.keep_alive),
        }
    }
}

/// The stream error for an acknowledgement of what was never sent (XEP-0198 §4).
fn too_high(error: HandledTooHigh) -> StreamError {
    crate::stream::handled_too_high(error)
}
