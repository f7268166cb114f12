//! The gateway behind the proxy: takes every stanza off the link and settles it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use clock_types::{Ids, Moment, Now};
use net::{Effect, Role, TlsRegistry};
use net_types::{ConnectionId, Event, Identity, Order, Remote, TlsClient, Trust};
use xmpp_proto::link::{Dialer, LinkSettings, Output};
use xmpp_types::xml::Element;

use crate::crowd::{Driven, PATIENCE};

/// A running gateway.
pub struct Gateway {
    driven: Driven<Box<Element>, Element>,
    stanzas: Vec<Element>,
}

impl Gateway {
    pub fn start(proxy: SocketAddr, tls: &Arc<TlsRegistry>) -> Self {
        let settings =
            LinkSettings { name: NAME.into(), peer: "proxy.example".into(), ..LinkSettings::default() };
        let dialer = Dialer::new(settings, Ids::random(net::clock::seed()));
        let mut role = LinkRole { proxy, dialer, effects: VecDeque::new(), connection: None, dialled: 0 };
        role.drive(net::Clock::start().now());
        Self { driven: Driven::start(role, Vec::new(), tls), stanzas: Vec::new() }
    }

    pub fn send(&self, stanza: Element) {
        self.driven.wish(Box::new(stanza));
    }

    /// Waits for a stanza by its id; what else comes is kept. Tells whether it came.
    pub fn wait_for(&mut self, id: &str) -> bool {
        while let Ok(stanza) = self.driven.heard.recv_timeout(PATIENCE) {
            if stanza.attr("id") == Some(id) {
                return true;
            }
            self.stanzas.push(stanza);
        }
        false
    }

    /// Returns what else has come since this was asked.
    pub fn take(&mut self) -> Vec<Element> {
        std::mem::take(&mut self.stanzas)
    }
}

/// The name in its certificate.
pub const NAME: &str = "gateway.example";

/// The gateway's end of the link in its driver.
struct LinkRole {
    proxy: SocketAddr,
    dialer: Dialer,
    effects: VecDeque<Effect<Element, ()>>,
    connection: Option<ConnectionId>,
    dialled: u64,
}

impl LinkRole {
    fn drive(&mut self, now: Now) {
        while let Some(output) = self.dialer.poll_output() {
            match (output, self.connection) {
                (Output::Connect, _) => {
                    self.dialled += 1;
                    let connection = ConnectionId::dialled(self.dialled);
                    self.connection = Some(connection);
                    let client = TlsClient {
                        name: "proxy.example".into(),
                        identity: Some(Identity("gateway".into())),
                        trust: Trust("all".into()),
                        alpn: Vec::new(),
                    };
                    let (to, tls) = (Remote::Address(self.proxy), Some(Box::new(client)));
                    self.order(Order::Connect { connection, to, tls, timeout: PATIENCE });
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
                    self.effects.push_back(Effect::Notice(stanza));
                }
                (
                    Output::Send(_)
                    | Output::Close
                    | Output::Settled(_)
                    | Output::Up { .. }
                    | Output::Partners(_)
                    | Output::Broken(_)
                    | Output::Down(_),
                    _,
                ) => {}
            }
        }
    }

    fn order(&mut self, order: Order) {
        self.effects.push_back(Effect::Order(order));
    }
}

impl Role for LinkRole {
    type Command = Box<Element>;
    type Notice = Element;
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
        self.drive(now);
    }

    fn handle_command(&mut self, stanza: Box<Element>, now: Now) {
        self.dialer.send(*stanza, now);
        self.drive(now);
    }

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, _now: Now) {
        self.effects.push_back(Effect::Stopped);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.dialer.handle_timeout(now);
        self.drive(now);
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.dialer.poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Effect<Element, ()>> {
        self.effects.pop_front()
    }
}
