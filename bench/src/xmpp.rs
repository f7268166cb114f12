//! The partner: a server of one domain that sends and takes messages on real streams (TLS, SASL EXTERNAL,
//! XEP-0198) and does nothing else.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now, earliest};
use net::Role;
use net_types::{ConnectionId, Event, Identity, Order, Remote, TlsClient, TlsServer, Trust};
use xmpp_proto::dialback::{Pair, Secret};
use xmpp_proto::stream::{
    Acceptor, AcceptorOutput, Approach, Initiator, InitiatorOutput, Methods, Policy, Purpose, Rules,
    StreamSettings,
};
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::ns;
use xmpp_types::stanza::{self, MessageType};
use xmpp_types::xml::Element;

use crate::contacts::Contacts;
use crate::ledger::Run;
use crate::pacing::{Sending, USERS, number_of, text};
use crate::pairs::status;
use crate::peer::{Command, Emitted};

/// The partner.
pub struct Partner {
    domain: DomainName,
    streams: Arc<StreamSettings>,
    rules: Arc<dyn Rules>,
    secret: Secret,
    ids: Ids,
    identity: Identity,
    trust: Trust,
    incoming: Vec<(ConnectionId, Acceptor)>,
    ways: Vec<Way>,
    receiving: Option<Arc<Run>>,
    sending: Option<Sending>,
    /// Who says presence, if not messages are said.
    contacts: Option<Contacts>,
    /// What they say once there is a stream.
    unsaid: Vec<Element>,
    proxy: Option<SocketAddr>,
    dialled: u64,
    outputs: VecDeque<Emitted>,
}

/// A stream to one domain of the product.
struct Way {
    remote: DomainName,
    connection: ConnectionId,
    initiator: Option<Initiator>,
    /// Users of both sides, as addresses.
    users: Vec<(Jid, Jid)>,
    /// What waits for the stream.
    waiting: usize,
}

impl Partner {
    /// Returns a partner of `domain` that reaches each of `remotes` at `proxy`.
    pub fn new(domain: &DomainName, identity: &Identity, trust: &Trust, remotes: &[DomainName]) -> Self {
        let mut ids = Ids::random(net::clock::seed());
        let way = |remote: &DomainName| Way {
            remote: remote.clone(),
            connection: ConnectionId::dialled(0),
            initiator: None,
            users: (0..USERS).map(|user| (jid(user, domain), jid(user, remote))).collect(),
            waiting: 0,
        };
        Self {
            domain: domain.clone(),
            streams: Arc::new(StreamSettings { both_ways: false, ..StreamSettings::default() }),
            rules: Arc::new(ByCertificate(domain.clone())),
            secret: Secret::fresh(&mut ids),
            ids,
            identity: identity.clone(),
            trust: trust.clone(),
            incoming: Vec::new(),
            ways: remotes.iter().map(way).collect(),
            receiving: None,
            sending: None,
            contacts: None,
            unsaid: Vec::new(),
            proxy: None,
            dialled: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Says presence in place of messages, by the first way.
    pub fn with_contacts(mut self) -> Self {
        self.contacts = self.ways.first().map(|way| Contacts::new(&self.domain, &way.remote));
        self
    }

    /// Dials the proxy once for each domain behind it.
    pub fn dial(mut self, proxy: SocketAddr) -> Self {
        self.redial(proxy);
        self
    }

    fn redial(&mut self, proxy: SocketAddr) {
        self.proxy = Some(proxy);
        for at in 0..self.ways.len() {
            self.dial_way(at);
        }
    }

    fn dial_way(&mut self, at: usize) {
        let Some((proxy, way)) = self.proxy.zip(self.ways.get_mut(at)) else { return };
        self.dialled += 1;
        way.connection = ConnectionId::dialled(self.dialled);
        way.initiator = None;
        self.outputs.push_back(Emitted::Order(Order::Connect {
            connection: way.connection,
            to: Remote::Address(proxy),
            tls: None,
            timeout: Duration::from_secs(5),
        }));
    }

    fn connected(&mut self, connection: ConnectionId, now: Now) {
        let ids = self.ids.fork();
        let Some(way) = self.ways.iter_mut().find(|way| way.connection == connection) else { return };
        let approach = Approach {
            pair: Pair { local: self.domain.clone(), remote: way.remote.clone() },
            methods: METHODS,
            evidence: xmpp_proto::evidence::Evidence::default(),
            purpose: Purpose::Speak,
            establishment: Duration::from_secs(10),
            inactivity: Duration::from_secs(3600),
            keep_alive: Duration::from_secs(60),
        };
        let (streams, secret) = (Arc::clone(&self.streams), self.secret.clone());
        way.initiator = Some(Initiator::new(approach, streams, secret, None, ids, now));
    }

    fn send(&mut self, count: usize, now: Now) {
        let Some(sending) = &mut self.sending else { return };
        let Some(way) = self.ways.get_mut(sending.way) else { return };
        let Some(initiator) = way.initiator.as_mut().filter(|initiator| initiator.is_ready()) else {
            way.waiting += count;
            return;
        };
        for _ in 0..count {
            let Some(number) = sending.run.begin() else { return sending.end() };
            let (from, to) = &way.users[(number % USERS) as usize];
            let stanza = match &self.contacts {
                Some(contacts) => contacts.message(number, &status(number)),
                None => stanza::message(MessageType::Chat, from, to)
                    .with_attr("id", format!("m{number}"))
                    .with_child(Element::new(ns::SERVER, "body").with_text(text(number))),
            };
            initiator.send(number.into(), stanza, now);
        }
    }

    /// Sends what belongs to no run.
    fn speak(&mut self, stanzas: Vec<Element>, now: Now) {
        let initiator = self.ways.first_mut().and_then(|way| way.initiator.as_mut());
        let Some(initiator) = initiator.filter(|initiator| initiator.is_ready()) else {
            return self.unsaid.extend(stanzas);
        };
        for stanza in stanzas {
            initiator.send(NO_MESSAGE, stanza, now);
        }
    }

    fn delivered(&mut self, token: u64, now: Now) {
        let Some((sending, number)) = self.sending.as_ref().zip(u32::try_from(token).ok()) else { return };
        sending.run.settled(number);
        let more = sending.after_one_settled();
        self.send(more, now);
    }

    fn receive(&mut self, stanza: &Element, now: Now) {
        if stanza.attr("type") == Some("error") {
            let number = stanza.attr("id").and_then(|id| id.strip_prefix('m')?.parse().ok());
            if let (Some(number), Some(sending)) = (number, &self.sending) {
                sending.run.refused(number);
                let more = sending.after_one_settled();
                self.send(more, now);
            }
            return;
        }
        if let Some(contacts) = &mut self.contacts {
            let said = contacts.take(stanza, self.receiving.as_ref());
            return self.speak(said, now);
        }
        let Some(run) = &self.receiving else { return };
        let body = stanza.child("body", ns::SERVER).map(Element::text).unwrap_or_default();
        match number_of(body.as_bytes()) {
            Some(number) => run.arrived(number),
            None => run.strange(),
        }
    }

    fn drain(&mut self, now: Now) {
        while self.drain_incoming(now) || self.drain_ways(now) {}
    }

    fn drain_incoming(&mut self, now: Now) -> bool {
        for at in 0..self.incoming.len() {
            let (connection, acceptor) = &mut self.incoming[at];
            let (connection, Some(output)) = (*connection, acceptor.poll_output()) else { continue };
            match output {
                AcceptorOutput::Send(bytes) => self.order(Order::Send { connection, bytes: bytes.into() }),
                AcceptorOutput::StartTls(_) => {
                    let (identity, trust) = (self.identity.clone(), self.trust.clone());
                    let server = Box::new(TlsServer { identity, trust });
                    self.order(Order::StartTlsAsServer { connection, server });
                }
                AcceptorOutput::Stanza(received) => {
                    acceptor.settle(received.n, now);
                    self.receive(&received.stanza, now);
                }
                AcceptorOutput::Close => self.order(Order::Close { connection }),
                AcceptorOutput::Ended(_) => drop(self.incoming.remove(at)),
                AcceptorOutput::Resume { .. } => acceptor.refuse_resumption(None, now),
                AcceptorOutput::Ask(..)
                | AcceptorOutput::Proved(..)
                | AcceptorOutput::Refused(..)
                | AcceptorOutput::Answer(_)
                | AcceptorOutput::Counting
                | AcceptorOutput::Delivered(_) => {}
            }
            return true;
        }
        false
    }

    fn drain_ways(&mut self, now: Now) -> bool {
        for at in 0..self.ways.len() {
            let way = &mut self.ways[at];
            let connection = way.connection;
            let Some(output) = way.initiator.as_mut().and_then(Initiator::poll_output) else { continue };
            match output {
                InitiatorOutput::Send(bytes) => self.order(Order::Send { connection, bytes: bytes.into() }),
                InitiatorOutput::StartTls => {
                    let client = TlsClient {
                        name: way.remote.to_ascii().to_owned(),
                        identity: Some(self.identity.clone()),
                        trust: self.trust.clone(),
                        alpn: Vec::new(),
                    };
                    self.order(Order::StartTlsAsClient { connection, client: Box::new(client) });
                }
                InitiatorOutput::Ready { .. } => {
                    let waiting = std::mem::take(&mut way.waiting);
                    self.send(waiting, now);
                    let unsaid = std::mem::take(&mut self.unsaid);
                    self.speak(unsaid, now);
                }
                InitiatorOutput::Delivered(token) => self.delivered(token, now),
                InitiatorOutput::Stanza(received) => self.receive(&received.stanza, now),
                InitiatorOutput::Close => self.order(Order::Close { connection }),
                InitiatorOutput::Ended(failure) => {
                    way.initiator = None;
                    if let Some(failure) = failure {
                        eprintln!("bench: the stream to {} ended: {failure}", way.remote);
                        // A product that has just been killed may not be ready yet.
                        if self.contacts.is_some() {
                            self.dial_way(at);
                        }
                    }
                }
                InitiatorOutput::Verdict(..)
                | InitiatorOutput::Answer(_)
                | InitiatorOutput::Resumed(_)
                | InitiatorOutput::NotResumed { .. } => {}
            }
            return true;
        }
        false
    }

    fn order(&mut self, order: Order) {
        self.outputs.push_back(Emitted::Order(order));
    }

    fn initiator(&mut self, connection: ConnectionId) -> Option<&mut Initiator> {
        self.ways.iter_mut().find(|way| way.connection == connection)?.initiator.as_mut()
    }

    fn acceptor(&mut self, wanted: ConnectionId) -> Option<&mut Acceptor> {
        self.incoming.iter_mut().find(|(connection, _)| *connection == wanted).map(|(_, acceptor)| acceptor)
    }
}

impl Role for Partner {
    type Command = Command;
    type Notice = ();
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Accepted { connection, tls, .. } => {
                let (rules, streams) = (Arc::clone(&self.rules), Arc::clone(&self.streams));
                let ids = self.ids.fork();
                let acceptor = Acceptor::new(rules, streams, self.secret.clone(), tls, ids, now);
                self.incoming.push((connection, acceptor));
            }
            Event::Connected { connection, .. } => self.connected(connection, now),
            Event::ConnectFailed { reason, .. } => eprintln!("bench: the proxy cannot be reached: {reason}"),
            Event::TlsStarted { connection, facts } => {
                if let Some(acceptor) = self.acceptor(connection) {
                    acceptor.handle_tls(facts, now);
                } else if let Some(initiator) = self.initiator(connection) {
                    initiator.handle_tls(facts, now);
                }
            }
            Event::Bytes { connection, bytes } => {
                if let Some(acceptor) = self.acceptor(connection) {
                    acceptor.handle_bytes(&bytes, now);
                } else if let Some(initiator) = self.initiator(connection) {
                    initiator.handle_bytes(&bytes, now);
                }
            }
            Event::Closed { connection, reason } => {
                if let Some(acceptor) = self.acceptor(connection) {
                    acceptor.handle_closed(reason, now);
                } else if let Some(initiator) = self.initiator(connection) {
                    initiator.handle_closed(reason, now);
                }
            }
            Event::Datagram { .. } | Event::Resolved { .. } => {}
        }
        self.drain(now);
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        match command {
            Command::Receive(run) => self.receiving = Some(run),
            Command::Open(opening) => {
                if let Some(contacts) = &mut self.contacts {
                    contacts.open(opening);
                    let asked = contacts.subscribe();
                    self.speak(asked, now);
                    self.drain(now);
                }
            }
            Command::Watch(aftermath) => {
                if let Some(contacts) = &mut self.contacts {
                    contacts.watch(aftermath);
                }
            }
            Command::Redial(proxy) => self.redial(proxy),
            Command::Send(run, way) => {
                let (sending, count) = Sending::begin(run, way, now);
                self.sending = Some(sending);
                self.send(count, now);
                self.drain(now);
            }
        }
    }

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, _now: Now) {
        self.outputs.push_back(Emitted::Stopped);
    }

    fn handle_timeout(&mut self, now: Now) {
        let due = self.sending.as_mut().map_or(0, |sending| sending.due(now));
        self.send(due, now);
        for (_, acceptor) in &mut self.incoming {
            acceptor.handle_timeout(now);
        }
        for initiator in self.ways.iter_mut().filter_map(|way| way.initiator.as_mut()) {
            initiator.handle_timeout(now);
        }
        self.drain(now);
    }

    fn poll_timeout(&self) -> Option<Moment> {
        let incoming = self.incoming.iter().filter_map(|(_, acceptor)| acceptor.poll_timeout()).min();
        let outgoing = self.ways.iter().filter_map(|way| way.initiator.as_ref()?.poll_timeout()).min();
        earliest(earliest(incoming, outgoing), self.sending.as_ref().and_then(Sending::next))
    }

    fn poll_output(&mut self) -> Option<Emitted> {
        self.outputs.pop_front()
    }
}

/// Returns the address of a user.
pub fn jid(user: u32, domain: &DomainName) -> Jid {
    Jid::parse(&format!("user{user}@{domain}")).expect("a localpart of letters and digits is one")
}

/// The token of a stanza that belongs to no run.
const NO_MESSAGE: u64 = u64::MAX;

/// How the generators prove their domains.
pub const METHODS: Methods = Methods { external: true, dialback_over_tls: false, dialback_in_clear: false };

/// Speaks with everybody whose certificate says who he is.
#[derive(Debug)]
struct ByCertificate(DomainName);

impl Rules for ByCertificate {
    fn serves(&self, domain: &DomainName) -> bool {
        self.0 == *domain
    }

    fn policy(&self, _remote: &DomainName) -> Option<Policy> {
        Some(Policy { methods: METHODS, silence_max: Duration::from_secs(600) })
    }
}
