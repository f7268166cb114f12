//! What the world does with a node's orders to the network.

use std::net::SocketAddr;
use std::time::Duration;

use clock_types::Moment;
use net_types::{Bytes, ConnectionId, Event, ListenerId, Order, Remote, Stage, TlsClient};

use crate::wire::{Cargo, End, Side};
use crate::world::{Happening, Listener, ListenerKind, NodeId, World, pair};

/// The port that a node dials from; nobody looks at it.
const EPHEMERAL: u16 = 40_000;

impl World {
    /// Carries out one order.
    pub(crate) fn order(&mut self, node: NodeId, order: Order) {
        match order {
            Order::Connect { connection, to, tls, timeout } => {
                self.connect(node, connection, to, tls, timeout)
            }
            Order::StartTlsAsClient { connection, client } => {
                if let Some((wire, side)) = self.wires.find(node, connection) {
                    self.send(wire, side, Cargo::Hello(client));
                }
            }
            Order::StartTlsAsServer { connection, server } => {
                let Some((wire, side)) = self.wires.find(node, connection) else { return };
                let Some(found) = self.wires.get_mut(wire) else { return };
                let end = found.end_mut(side);
                end.server = Some(server);
                if let Some(hello) = end.hello.take() {
                    self.shake_hands(wire, side, &hello);
                }
            }
            Order::Send { connection, bytes } => {
                if let Some((wire, side)) = self.wires.find(node, connection) {
                    self.send(wire, side, Cargo::Bytes(bytes));
                }
            }
            Order::SendDatagram { socket, to, bytes } => self.send_datagram(node, socket, to, &bytes),
            Order::Close { connection } => {
                if let Some((wire, side)) = self.wires.find(node, connection) {
                    self.send(wire, side, Cargo::Fin);
                    self.wires.forget_end(wire, side);
                }
            }
            Order::Pause { connection } => self.set_paused(node, connection, true),
            Order::Resume { connection } => self.set_paused(node, connection, false),
            Order::Resolve { query, question } => {
                let answer = self.zone.answer(&question);
                let at = self.moment + self.delay();
                self.put_event(at, node, Event::Resolved { query, answer });
            }
        }
    }

    fn put_event(&mut self, at: Moment, node: NodeId, event: Event) {
        let life = self.nodes[node.0].life;
        self.put(at, Happening::Event { node, life, event: Box::new(event) });
    }

    fn listener(&self, address: SocketAddr, datagram: bool) -> Option<(NodeId, Listener)> {
        self.nodes.iter().enumerate().find_map(|(number, node)| {
            let listens =
                |l: &&Listener| l.address == address && matches!(l.kind, ListenerKind::Datagram) == datagram;
            node.machine.as_ref()?;
            Some((NodeId(number), node.listeners.iter().find(listens)?.clone()))
        })
    }

    fn connect(
        &mut self,
        node: NodeId,
        connection: ConnectionId,
        to: Remote,
        tls: Option<Box<TlsClient>>,
        timeout: Duration,
    ) {
        let fail = |world: &mut Self, wait: Duration, stage: Stage, reason: &str| {
            let at = world.moment + wait;
            world.put_event(at, node, Event::ConnectFailed { connection, stage, reason: reason.to_owned() });
        };
        let wait = self.delay();
        let Remote::Address(address) = to else {
            return fail(self, wait, Stage::Tcp, "no other role in this process");
        };
        let Some((acceptor, listener)) = self.listener(address, false) else {
            return fail(self, wait, Stage::Tcp, "connection refused");
        };
        if self.cut.contains(&pair(node, acceptor)) {
            return fail(self, timeout, Stage::Tcp, "connection timed out");
        }
        let mut facts = (None, None);
        match (&listener.kind, &tls) {
            (ListenerKind::Stream, None) => {}
            (ListenerKind::DirectTls(server), Some(client)) => {
                let now = self.now();
                let name = Some(client.name.clone());
                let ours = self.authorities.facts(Some(&server.identity), &client.trust, None, now);
                let theirs = self.authorities.facts(client.identity.as_ref(), &server.trust, name, now);
                facts = (Some(Box::new(ours)), Some(Box::new(theirs)));
            }
            _ => return fail(self, wait, Stage::Tls, "the other end does not speak TLS here"),
        }
        self.nodes[acceptor.0].accepted += 1;
        let accepted = ConnectionId::accepted(self.nodes[acceptor.0].accepted);
        let dialler = End::new(node, self.nodes[node.0].life, connection);
        let other = End::new(acceptor, self.nodes[acceptor.0].life, accepted);
        let wire = self.wires.lay(dialler, other);
        let local = SocketAddr::new(self.nodes[node.0].address, EPHEMERAL);
        let at = self.moment + wait;
        if let Some(found) = self.wires.get_mut(wire) {
            found.ready = at + wait;
            found.end_mut(Side::Dialler).last_arrival = at;
            found.end_mut(Side::Acceptor).last_arrival = at + wait;
        }
        let (ours, theirs) = facts;
        let remote = Remote::Address(local);
        let event = Event::Accepted {
            connection: accepted,
            listener: listener.id,
            local: Some(address),
            remote,
            tls: theirs,
        };
        self.put_event(at, acceptor, event);
        self.put_event(at + wait, node, Event::Connected { connection, local: Some(local), tls: ours });
    }

    /// Sends cargo from one end of a wire; it arrives after all that was sent before.
    pub(crate) fn send(&mut self, wire: u64, from: Side, cargo: Cargo) {
        let delay = self.delay();
        let moment = self.moment;
        let Some(found) = self.wires.get_mut(wire) else { return };
        let end = found.end_mut(from);
        end.last_arrival = end.last_arrival.max(moment + delay);
        let at = end.last_arrival;
        self.put(at, Happening::Arrive { wire, to: from.other(), cargo });
    }

    /// Lets cargo arrive at one end of a wire.
    pub(crate) fn arrive(&mut self, wire: u64, to: Side, cargo: Cargo) {
        let Some(found) = self.wires.get_mut(wire) else { return };
        let nodes = pair(found.end(Side::Dialler).node, found.end(Side::Acceptor).node);
        if self.cut.contains(&nodes) {
            self.held.entry(nodes).or_default().push_back(Happening::Arrive { wire, to, cargo });
            return;
        }
        let end = found.end_mut(to);
        if !end.open {
            return;
        }
        if end.paused {
            end.inbox.push_back(cargo);
            return;
        }
        self.hand_over(wire, to, cargo);
    }

    fn hand_over(&mut self, wire: u64, to: Side, cargo: Cargo) {
        let Some(found) = self.wires.get_mut(wire) else { return };
        let end = found.end_mut(to);
        let (node, life, connection) = (end.node, end.life, end.connection);
        let event = match cargo {
            Cargo::Bytes(bytes) => {
                // Plaintext that comes while the server waits for a handshake is discarded.
                if end.server.is_some() {
                    return;
                }
                Event::Bytes { connection, bytes }
            }
            Cargo::Hello(client) => {
                if end.server.is_some() {
                    self.shake_hands(wire, to, &client);
                } else {
                    end.hello = Some(client);
                }
                return;
            }
            Cargo::Shaken(facts) => Event::TlsStarted { connection, facts },
            Cargo::Fin => {
                self.wires.forget_end(wire, to);
                Event::Closed { connection, reason: None }
            }
            Cargo::Reset(reason) => {
                self.wires.forget_end(wire, to);
                Event::Closed { connection, reason: Some(reason) }
            }
        };
        if self.lives(node, life) {
            self.tell(node, event);
        }
    }

    fn shake_hands(&mut self, wire: u64, server_side: Side, client: &TlsClient) {
        let now = self.now();
        let Some(found) = self.wires.get_mut(wire) else { return };
        let end = found.end_mut(server_side);
        let (node, connection) = (end.node, end.connection);
        let Some(server) = end.server.take() else { return };
        let name = Some(client.name.clone());
        let ours = self.authorities.facts(client.identity.as_ref(), &server.trust, name, now);
        let theirs = self.authorities.facts(Some(&server.identity), &client.trust, None, now);
        self.send(wire, server_side, Cargo::Shaken(Box::new(theirs)));
        let at = self.moment;
        self.put_event(at, node, Event::TlsStarted { connection, facts: Box::new(ours) });
    }

    fn set_paused(&mut self, node: NodeId, connection: ConnectionId, paused: bool) {
        let Some((wire, side)) = self.wires.find(node, connection) else { return };
        let Some(found) = self.wires.get_mut(wire) else { return };
        let end = found.end_mut(side);
        end.paused = paused;
        if paused {
            return;
        }
        let waiting = std::mem::take(&mut end.inbox);
        for cargo in waiting {
            let at = self.moment;
            self.put(at, Happening::Arrive { wire, to: side, cargo });
        }
    }

    fn send_datagram(&mut self, node: NodeId, socket: ListenerId, to: SocketAddr, bytes: &Bytes) {
        let listens = |l: &&Listener| l.id == socket;
        let Some(from) = self.nodes[node.0].listeners.iter().find(listens).map(|l| l.address) else { return };
        let Some((receiver, listener)) = self.listener(to, true) else { return };
        if self.cut.contains(&pair(node, receiver)) || self.chance.happens(self.weather.datagram_loss) {
            return;
        }
        let copies = if self.chance.happens(self.weather.datagram_twice) { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.moment + self.delay();
            let event = Event::Datagram { socket: listener.id, from, bytes: bytes.clone() };
            self.put_event(at, receiver, event);
        }
    }
}
