use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use clock_types::{FNV_SEED, Ids, Moment, Now, fnv};
use net_types::{ConnectionId, Event, Order};
use xmpp_proto::dialback::{Pair, Question, Secret};
use xmpp_proto::link::{Acceptor as Links, Gateway, LinkSettings, ReceivedId, SendId};
use xmpp_proto::stream::{Keeper, Purpose, Rules};
use xmpp_types::outline::Bodies;
use xmpp_types::xml;

use crate::admission::Admission;
use crate::courier::{Courier, CourierId};
use crate::incoming::Incoming;
use crate::notice::Notice;
use crate::relay::Held;
use crate::rules::{ProxyRules, stream_settings};
use crate::sessions::{Left, SessionKey, keeper_limits};
use crate::settings::{Link, Settings};
use crate::timers::Timer;
use crate::world::{Effect, Owner, Source, World};

/// What the proxy wants done or has to tell, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Something for the network.
    Order(Order),
    /// Something for operators.
    Notice(Notice),
}

/// The proxy: one machine for all its partners and gateways.
#[derive(Debug)]
pub struct Proxy {
    pub(crate) world: World,
    pub(crate) rules: Arc<dyn Rules>,
    pub(crate) admission: Admission,
    pub(crate) incoming: BTreeMap<ConnectionId, Incoming>,
    /// Sessions of partners whose connection broke.
    pub(crate) kept: Keeper<SessionKey, Left>,
    /// The connections of sessions that went on over another than they began on.
    pub(crate) moved: BTreeMap<SessionKey, ConnectionId>,
    pub(crate) couriers: BTreeMap<CourierId, Courier>,
    pub(crate) by_pair: BTreeMap<(Pair, IsQuestion), CourierId>,
    pub(crate) last_courier: u64,
    pub(crate) links: Links,
    /// Which partner's stanza each stanza on a link is.
    pub(crate) on_links: BTreeMap<SendId, Source>,
    /// Stanzas of partners that wait for a gateway.
    pub(crate) held: VecDeque<Held>,
    /// Stanzas of gateways that were settled while the gateway was away.
    pub(crate) settled_meanwhile: Vec<(Gateway, ReceivedId)>,
    /// The stream that each open question of dialback is about.
    pub(crate) questions: BTreeMap<Question, ConnectionId>,
    pub(crate) stop_deadline: Option<Moment>,
    pub(crate) is_stopped: bool,
}

/// Whether a courier only asks questions of dialback.
pub(crate) type IsQuestion = bool;

impl Proxy {
    /// Returns a proxy with nothing open; the shell binds the listeners of the settings.
    #[must_use]
    pub fn new(settings: Settings, mut ids: Ids) -> Self {
        let settings = Arc::new(settings);
        let secret = secret(&settings, &mut ids);
        let mut links = Links::new(link_settings(&settings.link, &settings), ids.fork());
        links.set_partners(settings.partner_kinds());
        Self {
            rules: Arc::new(ProxyRules::new(settings.clone())),
            world: World::new(settings.clone(), stream_settings(&settings), secret, ids),
            admission: Admission::default(),
            incoming: BTreeMap::new(),
            kept: Keeper::new(keeper_limits(&settings.limits)),
            moved: BTreeMap::new(),
            couriers: BTreeMap::new(),
            by_pair: BTreeMap::new(),
            last_courier: 0,
            links,
            on_links: BTreeMap::new(),
            held: VecDeque::new(),
            settled_meanwhile: Vec::new(),
            questions: BTreeMap::new(),
            stop_deadline: None,
            is_stopped: false,
        }
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.world.settings
    }

    /// Shows stanzas to somebody as they cross, until a moment that he puts off again and again.
    pub fn handle_watch(&mut self, bodies: Bodies, until: Moment, now: Now) {
        let before = self.world.watched.filter(|(until, _)| *until > now.moment);
        if before.map(|(_, bodies)| bodies) != Some(bodies) {
            self.world.notice(Notice::Watched { bodies });
        }
        self.world.watched = Some((until, bodies));
    }

    /// Takes one event of the network.
    pub fn handle_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Accepted { connection, listener, remote, tls, .. } => {
                self.accept(connection, listener, remote, tls, now);
            }
            Event::Bytes { connection, bytes } => match self.world.owners.get(&connection) {
                Some(Owner::Incoming) => self.handle_incoming_bytes(connection, &bytes, now),
                Some(Owner::Gateway) => {
                    self.links.handle_bytes(connection, &bytes, now);
                    self.drive_links(now);
                }
                Some(Owner::Courier(courier)) => {
                    self.with_courier(*courier, |courier, world| courier.handle_bytes(&bytes, world, now));
                }
                None => {}
            },
            Event::TlsStarted { connection, facts } => match self.world.owners.get(&connection) {
                Some(Owner::Incoming) => self.handle_incoming_tls(connection, facts, now),
                Some(Owner::Courier(courier)) => {
                    self.with_courier(*courier, |courier, world| courier.handle_tls(facts, world, now));
                }
                Some(Owner::Gateway) | None => {}
            },
            Event::Closed { connection, reason } => match self.world.owners.get(&connection) {
                Some(Owner::Incoming) => self.handle_incoming_closed(connection, reason, now),
                Some(Owner::Gateway) => {
                    self.world.owners.remove(&connection);
                    self.links.handle_closed(connection, reason, now);
                    self.drive_links(now);
                }
                Some(Owner::Courier(courier)) => self.with_courier(*courier, |courier, world| {
                    courier.handle_closed(connection, reason, world, now);
                }),
                None => {}
            },
            Event::Connected { connection, tls, .. } => {
                if let Some(Owner::Courier(courier)) = self.world.owners.get(&connection) {
                    self.with_courier(*courier, |courier, world| {
                        courier.handle_connected(connection, tls, world, now);
                    });
                }
            }
            Event::ConnectFailed { connection, stage, reason } => {
                if let Some(Owner::Courier(courier)) = self.world.owners.get(&connection) {
                    self.with_courier(*courier, |courier, world| {
                        courier.handle_connect_failed(connection, stage, &reason, world, now);
                    });
                }
            }
            Event::Resolved { query, answer } => {
                if let Some((courier, number)) = self.world.queries.remove(&query) {
                    self.with_courier(courier, |courier, world| {
                        courier.handle_answer(number, answer, world, now);
                    });
                }
            }
            // The proxy has no datagram sockets.
            Event::Datagram { .. } => {}
        }
        self.settle_effects(now);
    }

    /// Goes on where time has brought it.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.world.timers.pop_due(now.moment) {
            match timer {
                Timer::Incoming(connection) => self.handle_incoming_timeout(connection, now),
                Timer::Courier(courier) => {
                    self.with_courier(courier, |courier, world| courier.handle_timeout(world, now));
                }
                Timer::Links => {
                    self.links.handle_timeout(now);
                    self.drive_links(now);
                }
                Timer::Held => self.report_held(now),
                Timer::Kept => self.handle_kept_timeout(now),
                Timer::Stopping => self.end_stopping(now),
                Timer::Allowance(connection) => self.resume(connection, now),
            }
            self.settle_effects(now);
        }
    }

    /// Returns what is wanted next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.world.outputs.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.world.timers.next()
    }

    /// Lets the parts tell each other what happened, until nobody has anything to tell.
    pub(crate) fn settle_effects(&mut self, now: Now) {
        while let Some(effect) = self.world.effects.pop_front() {
            match effect {
                Effect::Delivered(origin) => self.settle_origin(origin, now),
                Effect::Undeliverable { origin, stanza, bounce } => {
                    self.bounce_to_gateway(origin, &stanza, &bounce, now);
                }
                Effect::FromPartner(source, received) => self.relay_inward(source, *received, now),
                Effect::ToPartner(answer, source) => self.answer_partner(*answer, source, now),
                Effect::Verdict(question, verdict) => self.handle_verdict(&question, verdict, now),
                Effect::SendVia(connection, token, stanza) => self.send_via(connection, token, stanza, now),
            }
        }
        self.drive_links(now);
        self.go_on_stopping(now);
    }

    /// Returns the courier for a pair, a new one if there is none.
    pub(crate) fn courier_for(&mut self, pair: Pair, purpose: Purpose, now: Now) -> CourierId {
        let key = (pair, purpose == Purpose::Ask);
        if let Some(courier) = self.by_pair.get(&key) {
            return *courier;
        }
        self.last_courier += 1;
        let id = CourierId(self.last_courier);
        self.couriers.insert(id, Courier::new(id, key.0.clone(), purpose, now));
        self.by_pair.insert(key, id);
        id
    }

    /// Lets a courier act, and forgets it when nothing would be lost.
    pub(crate) fn with_courier(&mut self, id: CourierId, act: impl FnOnce(&mut Courier, &mut World)) {
        let Some(courier) = self.couriers.get_mut(&id) else { return };
        act(courier, &mut self.world);
        courier.set_timer(&mut self.world);
        if courier.is_forgettable() {
            let key = (courier.pair.clone(), courier.purpose == Purpose::Ask);
            self.couriers.remove(&id);
            self.by_pair.remove(&key);
            self.world.timers.set(Timer::Courier(id), None);
        }
    }

    /// Returns how many incoming connections of one address there are, and how many of them have
    /// proved nothing.
    pub(crate) fn of_address(&self, address: IpAddr) -> (usize, usize) {
        self.admission.of_address(address)
    }
}

/// Returns the gateway that a stanza between two accounts goes to: the same one every time while the
/// same ones are connected (rendezvous hashing), so that order is kept and load is spread.
pub(crate) fn choose_gateway(
    gateways: impl Iterator<Item = Gateway>,
    local: &str,
    remote: &str,
) -> Option<Gateway> {
    let mut gateways = gateways.peekable();
    let first = gateways.next()?;
    if gateways.peek().is_none() {
        return Some(first);
    }
    let pair = hash(hash(FNV_SEED, local.as_bytes()) ^ 0xFF, remote.as_bytes());
    std::iter::once(first).chain(gateways).max_by_key(|gateway| hash(pair, &gateway.number().to_be_bytes()))
}

/// FNV-1a, finished by a multiplication that spreads the last octets over all bits.
fn hash(seed: u64, octets: &[u8]) -> u64 {
    let hash = fnv(seed, octets.iter().copied());
    (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

pub(crate) fn secret(settings: &Settings, ids: &mut Ids) -> Secret {
    match &settings.dialback_secret {
        Some(passphrase) => Secret::from_passphrase(passphrase),
        None => Secret::fresh(ids),
    }
}

pub(crate) fn link_settings(link: &Link, settings: &Settings) -> LinkSettings {
    let limits =
        xml::Limits { stanza_bytes: settings.limits.stanza_bytes_max * 2, ..xml::Limits::AUTHENTICATED };
    LinkSettings { name: link.name.clone(), limits, ..LinkSettings::default() }
}
