//! The inside: a gateway on the proxy's link, or a component of another server (XEP-0114), that sends and takes
//! messages and does nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now, earliest};
use net::Role;
use net_types::{ConnectionId, Event, Order, Remote, TlsClient};
use xmpp_proto::link::{Dialer, LinkSettings, Output, SendId};
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::ns;
use xmpp_types::stanza::{self, MessageType};
use xmpp_types::xml::Element;

use crate::ledger::Run;
use crate::pacing::{Sending, USERS, number_of, text};
use crate::peer::{Command, Emitted};
use crate::xmpp::jid;

/// The inside of one server.
pub struct Inside {
    to: SocketAddr,
    tls: Option<TlsClient>,
    /// Whether it is a component, whose server says nothing of what became of a stanza.
    is_component: bool,
    dialer: Dialer,
    users: Vec<(Jid, Jid)>,
    numbers: BTreeMap<SendId, u32>,
    connection: Option<ConnectionId>,
    dialled: u64,
    receiving: Option<Arc<Run>>,
    sending: Option<Sending>,
    outputs: VecDeque<Emitted>,
}

impl Inside {
    /// Returns an inside that dials `to`, speaks for the users of `own` and writes to those of `far`.
    pub fn new(
        settings: LinkSettings,
        to: SocketAddr,
        tls: Option<TlsClient>,
        own: &DomainName,
        far: &DomainName,
    ) -> Self {
        let is_component = settings.secret.is_some();
        let mut inside = Self {
            to,
            tls,
            is_component,
            dialer: Dialer::new(settings, Ids::random(net::clock::seed())),
            users: (0..USERS).map(|user| (jid(user, own), jid(user, far))).collect(),
            numbers: BTreeMap::new(),
            connection: None,
            dialled: 0,
            receiving: None,
            sending: None,
            outputs: VecDeque::new(),
        };
        inside.drain(net::Clock::start().now());
        inside
    }

    fn send(&mut self, count: usize, now: Now) {
        let Some(sending) = &mut self.sending else { return };
        for _ in 0..count {
            let Some(number) = sending.run.begin() else { return sending.end() };
            let (from, to) = &self.users[(number % USERS) as usize];
            let stanza = stanza::message(MessageType::Chat, from, to)
                .with_attr("id", format!("m{number}"))
                .with_child(Element::new(ns::SERVER, "body").with_text(text(number)));
            self.numbers.insert(self.dialer.send(stanza, now), number);
        }
    }

    fn settled(&mut self, id: SendId, now: Now) {
        let Some(number) = self.numbers.remove(&id) else { return };
        let Some(sending) = &self.sending else { return };
        if !self.is_component {
            sending.run.settled(number);
        }
        let more = sending.after_one_settled();
        self.send(more, now);
    }

    fn receive(&self, stanza: &Element) {
        let Some(run) = &self.receiving else { return };
        let body = stanza.child("body", ns::SERVER).map(Element::text).unwrap_or_default();
        match number_of(body.as_bytes()) {
            Some(number) => {
                run.arrived(number);
                if self.is_component {
                    run.settled(number);
                }
            }
            None => run.strange(),
        }
    }

    fn drain(&mut self, now: Now) {
        while let Some(output) = self.dialer.poll_output() {
            match (output, self.connection) {
                (Output::Connect, _) => {
                    self.dialled += 1;
                    let connection = ConnectionId::dialled(self.dialled);
                    self.connection = Some(connection);
                    let (to, tls) = (Remote::Address(self.to), self.tls.clone().map(Box::new));
                    let timeout = Duration::from_secs(5);
                    self.order(Order::Connect { connection, to, tls, timeout });
                }
                (Output::Send(bytes), Some(connection)) => {
                    self.order(Order::Send { connection, bytes: bytes.into() });
                }
                (Output::Close, Some(connection)) => {
                    self.connection = None;
                    self.order(Order::Close { connection });
                }
                (Output::Stanza { n, stanza }, _) => {
                    self.dialer.settle(n, now);
                    self.receive(&stanza);
                }
                (Output::Settled(id), _) => self.settled(id, now),
                (Output::Down(why), _) => eprintln!("bench: the way to {} is down: {why}", self.to),
                (
                    Output::Send(_)
                    | Output::Close
                    | Output::Up { .. }
                    | Output::Partners(_)
                    | Output::Broken(_),
                    _,
                ) => {}
            }
        }
    }

    fn order(&mut self, order: Order) {
        self.outputs.push_back(Emitted::Order(order));
    }
}

impl Role for Inside {
    type Command = Command;
    type Notice = ();
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Connected { .. } => self.dialer.handle_connected(now),
            Event::Bytes { bytes, .. } => self.dialer.handle_bytes(&bytes, now),
            Event::ConnectFailed { reason, .. } => self.dialer.handle_closed(Some(reason), now),
            Event::Closed { reason, .. } => self.dialer.handle_closed(reason, now),
            Event::Accepted { .. }
            | Event::TlsStarted { .. }
            | Event::Datagram { .. }
            | Event::Resolved { .. } => {}
        }
        self.drain(now);
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        match command {
            Command::Receive(run) => self.receiving = Some(run),
            Command::Open(_) | Command::Watch(_) | Command::Redial(_) => {}
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
        self.dialer.handle_timeout(now);
        self.drain(now);
    }

    fn poll_timeout(&self) -> Option<Moment> {
        earliest(self.dialer.poll_timeout(), self.sending.as_ref().and_then(Sending::next))
    }

    fn poll_output(&mut self) -> Option<Emitted> {
        self.outputs.pop_front()
    }
}
