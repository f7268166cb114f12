//! The world: nodes, wires, disks and one clock that jumps to whatever happens next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clock_types::{Date, Moment, Now};
use net_types::{Event, ListenerId, TlsServer};

use crate::chance::Chance;
use crate::disk::Disk;
use crate::machine::{Effect, Machine, Maker, Start};
use crate::names::{Authorities, Zone};
use crate::wire::{Cargo, Side, Wires};

/// Names a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// How the network treats what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// The shortest way.
    pub delay_min: Duration,
    /// The longest way.
    pub delay_max: Duration,
    /// How many of a thousand datagrams are lost.
    pub datagram_loss: u64,
    /// How many of a thousand datagrams come twice.
    pub datagram_twice: u64,
    /// How long a commit takes at the most.
    pub commit_max: Duration,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            delay_min: Duration::from_micros(100),
            delay_max: Duration::from_millis(5),
            datagram_loss: 0,
            datagram_twice: 0,
            commit_max: Duration::from_millis(3),
        }
    }
}

/// What a node listens on.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The role's name for it.
    pub id: ListenerId,
    /// Where.
    pub address: SocketAddr,
    /// How.
    pub kind: ListenerKind,
}

/// How a listener treats what comes.
#[derive(Clone, Debug)]
pub enum ListenerKind {
    /// Connections in plaintext at first.
    Stream,
    /// Connections that begin with a handshake.
    DirectTls(Box<TlsServer>),
    /// Datagrams.
    Datagram,
}

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) machine: Option<Box<dyn Machine>>,
    pub(crate) maker: Maker,
    pub(crate) life: u64,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) disk: Disk,
    pub(crate) accepted: u64,
    pub(crate) wake_at: Option<Moment>,
    /// Which life was asked to stop.
    pub(crate) stopping: Option<u64>,
    /// Crash after so many effects.
    pub(crate) crash_after: Option<u64>,
}

/// How many things may happen at one instant before it is a mistake.
const STANDSTILL: u32 = 100_000;

/// Something a script wants done at an instant.
pub type Deed = Box<dyn FnOnce(&mut World)>;

pub(crate) enum Happening {
    Event { node: NodeId, life: u64, event: Box<Event> },
    Wake { node: NodeId, life: u64 },
    Commit { node: NodeId, life: u64 },
    Arrive { wire: u64, to: Side, cargo: Cargo },
    Deed(Deed),
}

/// Everything there is.
pub struct World {
    pub(crate) moment: Moment,
    pub(crate) calendar_start: Date,
    pub(crate) next: u64,
    pub(crate) queue: BTreeMap<(Moment, u64), Happening>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) wires: Wires,
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
    pub(crate) held: BTreeMap<(NodeId, NodeId), VecDeque<Happening>>,
    /// Chance.
    pub chance: Chance,
    /// The weather.
    pub weather: Weather,
    /// The DNS.
    pub zone: Zone,
    /// The certificates.
    pub authorities: Authorities,
    /// What was said, with the instant and the node.
    pub history: Vec<(Moment, String, String)>,
}

impl fmt::Debug for World {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "World at {:?} with {} nodes", self.moment.since_origin(), self.nodes.len())
    }
}

impl World {
    /// Returns an empty world whose whole history follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            moment: Moment::ZERO + Duration::from_secs(1000),
            calendar_start: Date::from_unix_millis(1_800_000_000_000),
            next: 0,
            queue: BTreeMap::new(),
            nodes: Vec::new(),
            wires: Wires::default(),
            cut: BTreeSet::new(),
            held: BTreeMap::new(),
            chance: Chance::new(seed),
            weather: Weather::default(),
            zone: Zone::default(),
            authorities: Authorities::default(),
            history: Vec::new(),
        }
    }

    /// Returns both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { moment: self.moment, date: self.calendar_start.plus(self.moment.since_origin()) }
    }

    /// Adds a node that is down.
    pub fn add(&mut self, name: &str, address: IpAddr, listeners: Vec<Listener>, maker: Maker) -> NodeId {
        self.nodes.push(Node {
            name: name.to_owned(),
            address,
            machine: None,
            maker,
            life: 0,
            listeners,
            disk: Disk::default(),
            accepted: 0,
            wake_at: None,
            stopping: None,
            crash_after: None,
        });
        NodeId(self.nodes.len() - 1)
    }

    /// Starts a node, from what its disk holds; nothing if it runs.
    pub fn start(&mut self, node: NodeId) {
        let (seed, now) = (self.chance.seed(), self.now());
        let one = &mut self.nodes[node.0];
        if one.machine.is_some() {
            return;
        }
        one.life += 1;
        one.wake_at = None;
        one.machine = Some((one.maker)(Start { seed, recovered: one.disk.recovered(), now }));
        self.note(node, "starts");
        self.drain(node);
    }

    /// Asks a node to end in good order.
    pub fn stop(&mut self, node: NodeId) {
        let now = self.now();
        self.note(node, "is asked to stop");
        let one = &mut self.nodes[node.0];
        one.stopping = Some(one.life);
        if let Some(machine) = &mut one.machine {
            machine.handle_stop(now);
            self.drain(node);
        }
    }

    /// Starts a node that was asked to stop, or that crashed in the meantime.
    ///
    /// # Panics
    /// If it is still stopping.
    pub fn start_again(&mut self, node: NodeId) {
        let one = &self.nodes[node.0];
        assert!(one.machine.is_none() || one.stopping != Some(one.life), "{} does not stop", one.name);
        self.start(node);
    }

    /// Kills a node: its memory is gone, its connections break, its disk keeps what was committed and
    /// perhaps a little more.
    pub fn crash(&mut self, node: NodeId) {
        if self.nodes[node.0].machine.take().is_none() {
            return;
        }
        self.note(node, "crashes");
        let waiting = self.nodes[node.0].disk.waiting() as u64;
        let survivors = usize::try_from(self.chance.below(waiting + 1)).unwrap_or(0);
        self.nodes[node.0].disk.crash(survivors);
        self.end_life(node);
    }

    fn end_life(&mut self, node: NodeId) {
        let one = &mut self.nodes[node.0];
        one.machine = None;
        one.life += 1;
        one.crash_after = None;
        for (wire, side) in self.wires.of_node(node) {
            self.send(wire, side, Cargo::Reset("connection reset by peer".to_owned()));
            self.wires.forget_end(wire, side);
        }
    }

    /// Kills a node after it has said or done `effects` more things.
    pub fn crash_after(&mut self, node: NodeId, effects: u64) {
        self.nodes[node.0].crash_after = Some(effects);
    }

    /// Lets a node live that has not said or done so much yet.
    pub fn spare(&mut self, node: NodeId) {
        self.nodes[node.0].crash_after = None;
    }

    /// Lets a node's disk refuse new messages, or take them again.
    pub fn set_disk_full(&mut self, node: NodeId, full: bool) {
        self.note(node, if full { "has a full disk" } else { "has room on its disk" });
        self.nodes[node.0].disk.set_full(full);
    }

    /// Lets a node's disk keep nothing of watches, which is a mistake.
    pub fn set_disk_forgetful(&mut self, node: NodeId) {
        self.nodes[node.0].disk.set_forgetful();
    }

    /// Cuts or mends the cable between two nodes. What travels waits at the cut.
    pub fn set_cut(&mut self, one: NodeId, other: NodeId, cut: bool) {
        let pair = pair(one, other);
        if cut {
            self.cut.insert(pair);
            return;
        }
        self.cut.remove(&pair);
        // Together, so that what was sent in order arrives in order.
        let at = self.moment + self.delay();
        for happening in self.held.remove(&pair).unwrap_or_default() {
            self.put(at, happening);
        }
    }

    /// Breaks every connection between two nodes, as a firewall does that forgets.
    pub fn reset_between(&mut self, one: NodeId, other: NodeId) {
        for wire in self.wires.between(one, other) {
            // Nobody hears that a connection is gone before he hears that it is there.
            let ready = self.wires.get_mut(wire).map_or(self.moment, |wire| wire.ready);
            for to in [Side::Dialler, Side::Acceptor] {
                let cargo = Cargo::Reset("connection reset".to_owned());
                if ready > self.moment {
                    self.put(ready, Happening::Arrive { wire, to, cargo });
                } else {
                    self.arrive(wire, to, cargo);
                }
            }
        }
    }

    /// Returns whether a node runs.
    #[must_use]
    pub fn runs(&self, node: NodeId) -> bool {
        self.nodes[node.0].machine.is_some()
    }

    /// Lets a script reach into a running node; what the machine orders is carried out after.
    pub fn with<M: 'static, T>(&mut self, node: NodeId, deed: impl FnOnce(&mut M, Now) -> T) -> Option<T> {
        let now = self.now();
        let machine = self.nodes[node.0].machine.as_mut()?;
        let result = deed(machine.as_any().downcast_mut::<M>()?, now);
        self.drain(node);
        Some(result)
    }

    /// Does something after a while.
    pub fn after(&mut self, wait: Duration, deed: impl FnOnce(&mut Self) + 'static) {
        let at = self.moment + wait;
        self.put(at, Happening::Deed(Box::new(deed)));
    }

    /// Lets everything happen that happens within `span`.
    pub fn run(&mut self, span: Duration) {
        let end = self.moment + span;
        let mut standing = 0_u32;
        while let Some((&(at, _), _)) = self.queue.first_key_value() {
            if at > end {
                break;
            }
            let Some(((at, _), happening)) = self.queue.pop_first() else { break };
            standing = if at > self.moment { 0 } else { standing + 1 };
            // A machine whose alarm is always due would never let the clock go on.
            assert!(
                standing < STANDSTILL,
                "time stands still at {:?}: {}",
                at.since_origin(),
                self.who(&happening)
            );
            self.moment = at;
            self.happen(happening);
        }
        self.moment = end;
    }

    /// Returns how long nothing will happen, as far as is known; `None` if nothing is to happen at all.
    #[must_use]
    pub fn quiet_for(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|(&(at, _), _)| at.since(self.moment))
    }

    fn who(&self, happening: &Happening) -> String {
        match happening {
            Happening::Event { node, event, .. } => format!("{} hears {event:?}", self.nodes[node.0].name),
            Happening::Wake { node, .. } => format!("{} wakes", self.nodes[node.0].name),
            Happening::Commit { node, .. } => format!("{} commits", self.nodes[node.0].name),
            Happening::Arrive { cargo, .. } => format!("{cargo:?} arrives"),
            Happening::Deed(_) => "a deed".to_owned(),
        }
    }

    pub(crate) fn put(&mut self, at: Moment, happening: Happening) {
        self.next += 1;
        self.queue.insert((at, self.next), happening);
    }

    pub(crate) fn note(&mut self, node: NodeId, what: &str) {
        let name = self.nodes[node.0].name.clone();
        self.history.push((self.moment, name, what.to_owned()));
    }

    pub(crate) fn delay(&mut self) -> Duration {
        self.chance.between(self.weather.delay_min, self.weather.delay_max)
    }

    pub(crate) fn lives(&self, node: NodeId, life: u64) -> bool {
        self.nodes[node.0].life == life && self.nodes[node.0].machine.is_some()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Event { node, life, event } => {
                if self.lives(node, life) {
                    self.tell(node, *event);
                }
            }
            Happening::Wake { node, life } => {
                if self.lives(node, life) && self.nodes[node.0].wake_at == Some(self.moment) {
                    self.nodes[node.0].wake_at = None;
                    let now = self.now();
                    if let Some(machine) = &mut self.nodes[node.0].machine {
                        machine.handle_timeout(now);
                    }
                    self.drain(node);
                }
            }
            Happening::Commit { node, life } => self.commit(node, life),
            Happening::Arrive { wire, to, cargo } => self.arrive(wire, to, cargo),
            Happening::Deed(deed) => deed(self),
        }
    }

    fn commit(&mut self, node: NodeId, life: u64) {
        if !self.lives(node, life) {
            return;
        }
        let Some((ticket, outcome)) = self.nodes[node.0].disk.commit_next() else { return };
        let now = self.now();
        if let Some(machine) = &mut self.nodes[node.0].machine {
            machine.handle_stored(ticket, outcome, now);
        }
        self.drain(node);
    }

    /// Tells a node's machine what happened and carries out what it orders.
    pub(crate) fn tell(&mut self, node: NodeId, event: Event) {
        let now = self.now();
        if let Some(machine) = &mut self.nodes[node.0].machine {
            machine.handle_event(event, now);
        }
        self.drain(node);
    }

    /// Carries out what a node's machine orders, one by one; a crash may come after any.
    pub(crate) fn drain(&mut self, node: NodeId) {
        let life = self.nodes[node.0].life;
        loop {
            let one = &mut self.nodes[node.0];
            if one.life != life {
                return;
            }
            let Some(machine) = &mut one.machine else { return };
            let Some(effect) = machine.poll_output() else { break };
            self.carry_out(node, effect);
            if let Some(left) = &mut self.nodes[node.0].crash_after {
                if *left == 0 {
                    self.crash(node);
                    return;
                }
                *left -= 1;
            }
        }
        self.set_alarm(node);
    }

    fn set_alarm(&mut self, node: NodeId) {
        let moment = self.moment;
        let one = &mut self.nodes[node.0];
        let Some(at) = one.machine.as_ref().and_then(|m| m.poll_timeout()) else { return };
        let at = at.max(moment);
        if one.wake_at.is_none_or(|set| at < set) {
            one.wake_at = Some(at);
            let life = one.life;
            self.put(at, Happening::Wake { node, life });
        }
    }

    fn carry_out(&mut self, node: NodeId, effect: Effect) {
        match effect {
            Effect::Order(order) => self.order(node, order),
            Effect::Record(ticket, record) => {
                self.nodes[node.0].disk.write(ticket, record);
                let wait = self.chance.between(Duration::ZERO, self.weather.commit_max);
                let (at, life) = (self.moment + wait, self.nodes[node.0].life);
                self.put(at, Happening::Commit { node, life });
            }
            Effect::Said(what) => self.note(node, &what),
            Effect::Stopped => {
                self.note(node, "has stopped");
                // Who ends in good order waits for his disk.
                let disk = &mut self.nodes[node.0].disk;
                disk.crash(disk.waiting());
                self.end_life(node);
            }
        }
    }
}

/// Returns two nodes as the name of what joins them.
pub(crate) fn pair(one: NodeId, other: NodeId) -> (NodeId, NodeId) {
    if one <= other { (one, other) } else { (other, one) }
}
