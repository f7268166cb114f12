//! Connections between nodes: in order, with a delay, until something breaks them.

use std::collections::{BTreeMap, VecDeque};

use clock_types::Moment;
use net_types::{Bytes, ConnectionId, TlsClient, TlsFacts, TlsServer};

use crate::world::NodeId;

/// Which end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Who dialled.
    Dialler,
    /// Who was dialled.
    Acceptor,
}

impl Side {
    /// Returns the other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Acceptor,
            Self::Acceptor => Self::Dialler,
        }
    }
}

/// What travels.
#[derive(Clone, Debug)]
pub enum Cargo {
    /// Octets.
    Bytes(Bytes),
    /// The client's half of a handshake.
    Hello(Box<TlsClient>),
    /// The server's half of a handshake: what the client will know.
    Shaken(Box<TlsFacts>),
    /// The sender closed in good order.
    Fin,
    /// The sender is gone.
    Reset(String),
}

/// One connection.
#[derive(Debug)]
pub struct Wire {
    dialler: End,
    acceptor: End,
    /// When both ends know of it.
    pub ready: Moment,
}

/// One end of a connection.
#[derive(Debug)]
pub struct End {
    /// Whose.
    pub node: NodeId,
    /// Which life of that node.
    pub life: u64,
    /// The node's name for it.
    pub connection: ConnectionId,
    /// Whether the node still knows it.
    pub open: bool,
    /// Whether the node asked to be left alone.
    pub paused: bool,
    /// What waits while it is paused.
    pub inbox: VecDeque<Cargo>,
    /// When the last cargo from this end arrives: later cargo is not earlier.
    pub last_arrival: Moment,
    /// The handshake that this end waits for as the server.
    pub server: Option<Box<TlsServer>>,
    /// The handshake that this end has been asked for, before it was ready.
    pub hello: Option<Box<TlsClient>>,
}

impl End {
    /// Returns an open end.
    #[must_use]
    pub const fn new(node: NodeId, life: u64, connection: ConnectionId) -> Self {
        Self {
            node,
            life,
            connection,
            open: true,
            paused: false,
            inbox: VecDeque::new(),
            last_arrival: Moment::ZERO,
            server: None,
            hello: None,
        }
    }
}

impl Wire {
    /// Returns one end.
    #[must_use]
    pub const fn end(&self, side: Side) -> &End {
        match side {
            Side::Dialler => &self.dialler,
            Side::Acceptor => &self.acceptor,
        }
    }

    /// Returns one end to change it.
    pub const fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Dialler => &mut self.dialler,
            Side::Acceptor => &mut self.acceptor,
        }
    }
}

/// All connections of the world.
#[derive(Debug, Default)]
pub struct Wires {
    wires: BTreeMap<u64, Wire>,
    ends: BTreeMap<(NodeId, ConnectionId), (u64, Side)>,
    next: u64,
}

impl Wires {
    /// Lays a wire and returns its number.
    pub fn lay(&mut self, dialler: End, acceptor: End) -> u64 {
        self.next += 1;
        self.ends.insert((dialler.node, dialler.connection), (self.next, Side::Dialler));
        self.ends.insert((acceptor.node, acceptor.connection), (self.next, Side::Acceptor));
        self.wires.insert(self.next, Wire { dialler, acceptor, ready: Moment::ZERO });
        self.next
    }

    /// Returns the wire and the side that a node calls `connection`.
    #[must_use]
    pub fn find(&self, node: NodeId, connection: ConnectionId) -> Option<(u64, Side)> {
        self.ends.get(&(node, connection)).copied()
    }

    /// Returns a wire.
    pub fn get_mut(&mut self, wire: u64) -> Option<&mut Wire> {
        self.wires.get_mut(&wire)
    }

    /// Forgets one end; the wire goes with its second end.
    pub fn forget_end(&mut self, wire: u64, side: Side) {
        let Some(found) = self.wires.get_mut(&wire) else { return };
        let end = found.end_mut(side);
        end.open = false;
        self.ends.remove(&(end.node, end.connection));
        if !found.end(Side::Dialler).open && !found.end(Side::Acceptor).open {
            self.wires.remove(&wire);
        }
    }

    /// Returns every open end of a node.
    #[must_use]
    pub fn of_node(&self, node: NodeId) -> Vec<(u64, Side)> {
        self.ends
            .range((node, ConnectionId::MIN)..)
            .take_while(|((n, _), _)| *n == node)
            .map(|(_, v)| *v)
            .collect()
    }

    /// Returns every wire between two nodes.
    #[must_use]
    pub fn between(&self, one: NodeId, other: NodeId) -> Vec<u64> {
        let joins = |w: &Wire| {
            let ends = (w.dialler.node, w.acceptor.node);
            ends == (one, other) || ends == (other, one)
        };
        self.wires.iter().filter(|(_, wire)| joins(wire)).map(|(number, _)| *number).collect()
    }
}
