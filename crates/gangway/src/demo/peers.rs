//! The two others: a partner's XMPP server and a SIP user agent, each on real sockets and a thread of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use clock_types::{Ids, Moment, Now};
use net::{
    Bound, Clock, Controls, DnsSettings, Driver, Effect, Ended, ListenerKind, ListenerSpec, Resolver, Role,
    TlsRegistry, World,
};
use net_types::{Event, Identity, ListenerId, Order, TlsFacts, TlsServer, TlsVersion, Trust};
use peer_role::presence::State;
use peer_role::{
    Answers, Output, Presence, PresenceManners, Roster, Said, SipSettings, SipUserAgent, XmppServer,
    XmppSettings,
};
use sip_proto::endpoint::{self, FixedHop, Route, Transport};
use sip_types::header::{CallId, NameAddr};
use sip_types::{Method, Request, SipUri};
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::stanza;

use super::place::Ports;
use super::{ANN, BOB, GATEWAY, PARTNER, SIP, Side};

/// What happened at a peer.
#[derive(Debug)]
pub enum Seen {
    /// What its user saw.
    Said(Said),
    /// A connection is encrypted; in words.
    Secured(String),
    /// It sent octets.
    Sent(Bytes),
    /// It received octets.
    Received(Bytes),
}

/// What a peer is to do.
#[derive(Debug)]
pub enum Wish {
    /// Send a text of its user.
    Text {
        /// Under which id to tell of it.
        id: String,
        /// Whom to.
        to: String,
        /// What.
        text: String,
    },
    /// Its user adds the other side's to his contacts.
    Add,
    /// Its user says how he is; `None`: he is gone.
    Show(Option<State>),
    /// Ask the other side for a sign of life: a ping, or OPTIONS.
    Greet {
        /// Under which id to tell of it.
        id: String,
    },
    /// Begin, or go on with what is on the disk.
    Begin,
    /// Stand still: connections stay, and nobody reads from them.
    Freeze,
    /// Go on.
    Thaw,
}

/// What both peers need.
#[derive(Clone)]
pub struct Surroundings {
    /// The clock.
    pub clock: Clock,
    /// What they show and trust.
    pub tls: Arc<TlsRegistry>,
    /// Whether octets are told.
    pub traced: Arc<AtomicBool>,
    /// Who listens where.
    pub ports: Ports,
    /// What a server that was stopped had on its disk.
    pub disk: Arc<Mutex<Disk>>,
}

/// Who may see whom, and how he is: what servers keep when they stop.
#[derive(Debug, Default)]
pub struct Disk {
    roster: Option<Roster>,
    presence: Option<Presence>,
}

/// A peer that runs.
pub struct Running {
    controls: Controls<Wish>,
    thread: JoinHandle<Ended>,
}

impl Running {
    /// Starts the peer of one side on a socket that holds its address.
    ///
    /// # Errors
    /// Says what the system does not give.
    pub fn start(
        side: Side,
        socket: Bound,
        around: &Surroundings,
        tell: impl FnMut(Seen) + Send + 'static,
    ) -> Result<Self, String> {
        let ids = Ids::random(net::clock::seed());
        let running = match side {
            Side::Xmpp => {
                let server = XmppServer::new(xmpp_settings(&around.ports), ids);
                drive("partner", server, socket, around, Box::new(tell))?
            }
            Side::Sip => {
                let agent = SipUserAgent::new(sip_settings(&around.ports), ids);
                drive("agent", agent, socket, around, Box::new(tell))?
            }
        };
        running.wish(Wish::Begin);
        Ok(running)
    }

    /// Has it do something.
    pub fn wish(&self, wish: Wish) {
        // One that is gone has told so.
        let _ = self.controls.command_blocking(wish);
    }

    /// Stops it and waits until its sockets are closed.
    pub fn stop(self) {
        self.controls.stop(Duration::from_secs(1));
        let _ = self.thread.join();
    }
}

/// Takes an address for the peer of one side; port 0 means any.
///
/// # Errors
/// Says why it cannot be had.
pub fn bind(side: Side, address: SocketAddr) -> Result<Bound, String> {
    let (kind, place) = match side {
        Side::Xmpp => (ListenerKind::Tcp, "the partner's XMPP server"),
        Side::Sip => {
            let server = TlsServer { identity: identity("pool"), trust: trust() };
            (ListenerKind::DirectTls { server, alpn: Vec::new() }, "the SIP user agent")
        }
    };
    let spec =
        ListenerSpec { id: ListenerId(0), address, kind, connections_max: 64, place: place.to_owned() };
    Bound::bind(spec).map_err(|why| why.to_string())
}

/// Returns the resolver of a place without a DNS: it reads addresses, and asks nobody who answers.
fn resolver() -> Result<Resolver, String> {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    Resolver::new(&DnsSettings { servers: vec![nobody], ..DnsSettings::default() })
        .map_err(|why| why.to_string())
}

fn drive<P: Peer>(
    name: &str,
    peer: P,
    socket: Bound,
    around: &Surroundings,
    tell: Box<dyn FnMut(Seen) + Send>,
) -> Result<Running, String> {
    let role = Driven {
        peer,
        traced: Arc::clone(&around.traced),
        disk: Arc::clone(&around.disk),
        ahead: VecDeque::new(),
        held: None,
        stop: Stop::NotAsked,
    };
    let world = World {
        clock: around.clock,
        settings: net::Settings::default(),
        listeners: vec![socket],
        in_process: None,
        to_in_process: None,
        tls: Arc::clone(&around.tls),
        resolver: resolver()?,
        recorder: Box::new(net::Forgetful),
        notices: tell,
        // What comes to nothing is told by the roles, too.
        incidents: Arc::new(drop),
    };
    let (driver, controls) = Driver::new(role, world);
    let thread = net::runtime::on_thread(name, move || driver.run())
        .map_err(|why| format!("the system has no thread for the {name}: {why}"))?;
    Ok(Running { controls, thread })
}

fn xmpp_settings(ports: &Ports) -> XmppSettings {
    let name = |name| DomainName::parse(name).expect("the demonstration's domains are domains");
    let mut settings = XmppSettings::new(name(PARTNER), identity("partner"), trust());
    settings.users = BTreeSet::from([ANN.to_owned()]);
    settings.hosts = BTreeMap::from([(name(SIP), ports.proxy.to_string())]);
    // A stream for each way, so that each side proves itself once.
    settings.both_ways = false;
    settings.report_after = Duration::from_secs(15);
    settings
}

fn sip_settings(ports: &Ports) -> SipSettings {
    let listener = endpoint::Listener {
        id: ListenerId(0),
        transport: Transport::Tls,
        host: ports.pool.ip().into(),
        port: ports.pool.port(),
    };
    let mut hop = FixedHop::at(Transport::Tls, ports.gateway.ip(), ports.gateway.port());
    hop.tls_name = Some(GATEWAY.to_owned());
    SipSettings {
        endpoint: endpoint::Settings::new(vec![listener], Some(identity("pool")), trust()),
        route: Route::fixed(hop),
        sessions: None,
        presence: Some(PresenceManners {
            asks: 3600,
            grants: 3600,
            notifies_first: false,
            forbids: false,
            pace: Duration::from_secs(1),
            answers_after: Duration::ZERO,
            place: format!("{};transport=tls", ports.pool),
        }),
        users: BTreeMap::from([(Side::Sip.user(), Answers::AtOnce(200))]),
    }
}

fn identity(name: &str) -> Identity {
    Identity(Arc::from(name))
}

fn trust() -> Trust {
    Trust(Arc::from("demonstration"))
}

/// Where Ann and Bob sit.
const DESK: &str = "desk";
const PC: &str = "pc";

/// What the driver needs of either peer.
trait Peer: Send + 'static {
    fn handle_event(&mut self, event: Event, now: Now);
    fn handle_timeout(&mut self, now: Now);
    fn handle_stop(&mut self, now: Now);
    fn handle_text(&mut self, to: &str, text: &str, id: &str, now: Now);
    fn handle_greeting(&mut self, id: &str, now: Now);
    /// Its user adds the other side's.
    fn handle_add(&mut self, now: Now);
    /// Its user says how he is.
    fn handle_state(&mut self, state: Option<State>, now: Now);
    /// Goes on with what is on the disk, or begins: its user is there, and lets the other see him.
    fn begin(&mut self, disk: &Disk, now: Now);
    fn keep(&self, disk: &mut Disk);
    fn poll_output(&mut self) -> Option<Output>;
    fn poll_timeout(&self) -> Option<Moment>;
}

impl Peer for XmppServer {
    fn handle_event(&mut self, event: Event, now: Now) {
        self.handle_event(event, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.handle_timeout(now);
    }

    fn handle_stop(&mut self, now: Now) {
        self.handle_stop(now);
    }

    fn handle_text(&mut self, to: &str, text: &str, id: &str, now: Now) {
        self.send_text(&format!("{ANN}@{PARTNER}/desk"), to, text, id, now);
    }

    fn handle_add(&mut self, now: Now) {
        self.with_roster(|roster| roster.ask(&Side::Xmpp.user(), &Side::Sip.user()), now);
    }

    fn handle_state(&mut self, state: Option<State>, now: Now) {
        self.with_roster(|roster| roster.set_state(&Side::Xmpp.user(), DESK, state), now);
    }

    fn begin(&mut self, disk: &Disk, now: Now) {
        let begin = |roster: &mut Roster| match &disk.roster {
            Some(kept) => {
                *roster = kept.clone();
                roster.go_away();
                roster.come_back();
            }
            None => {
                roster.decide(&Side::Xmpp.user(), &Side::Sip.user(), true);
                roster.set_state(&Side::Xmpp.user(), DESK, Some(State::default()));
            }
        };
        self.with_roster(begin, now);
    }

    fn keep(&self, disk: &mut Disk) {
        disk.roster = Some(self.roster().clone());
    }

    fn handle_greeting(&mut self, id: &str, now: Now) {
        let address = |domain| Jid::parse(domain).expect("the demonstration's domains are addresses");
        self.send_stanza(stanza::ping(id, &address(PARTNER), &address(SIP)), id, now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.poll_timeout()
    }
}

impl Peer for SipUserAgent {
    fn handle_event(&mut self, event: Event, now: Now) {
        self.handle_event(event, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.handle_timeout(now);
    }

    fn handle_stop(&mut self, now: Now) {
        self.handle_stop(now);
    }

    fn handle_text(&mut self, to: &str, text: &str, id: &str, now: Now) {
        self.send_text(&Side::Sip.user(), to, text, id, now);
    }

    fn handle_add(&mut self, now: Now) {
        self.with_presence(|presence, ids| presence.watch(&Side::Sip.user(), &Side::Xmpp.user(), ids), now);
    }

    fn handle_state(&mut self, state: Option<State>, now: Now) {
        self.with_presence(|presence, _| presence.set_state(&Side::Sip.user(), PC, state, now), now);
    }

    fn begin(&mut self, disk: &Disk, now: Now) {
        let begin = |presence: &mut Presence, ids: &mut Ids| match &disk.presence {
            Some(kept) => {
                *presence = kept.clone();
                presence.restart(ids);
            }
            None => {
                presence.decide(&Side::Sip.user(), &Side::Xmpp.user(), true, now);
                presence.set_state(&Side::Sip.user(), PC, Some(State::default()), now);
            }
        };
        self.with_presence(begin, now);
    }

    fn keep(&self, disk: &mut Disk) {
        disk.presence = self.presence().cloned();
    }

    fn handle_greeting(&mut self, id: &str, now: Now) {
        let uri = |rest: &str| SipUri::parse(format!("sip:{rest}")).expect("these addresses are URIs");
        let tag = sip_types::Token::from_static("greeting");
        let from = NameAddr::new(uri(&format!("{BOB}@{SIP}"))).with_tag(&tag);
        let to = uri(PARTNER);
        let call = CallId::parse(id).expect("our ids are words");
        let request = Request::new(Method::Options, to.clone().into(), from, NameAddr::new(to), call, 1);
        self.send_request(request, id, now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.poll_timeout()
    }
}

/// A peer in its driver.
struct Driven<P> {
    peer: P,
    traced: Arc<AtomicBool>,
    disk: Arc<Mutex<Disk>>,
    /// What is told before the peer's next output.
    ahead: VecDeque<Effect<Seen, ()>>,
    /// While it stands still, what it would have heard.
    held: Option<VecDeque<Event>>,
    stop: Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    NotAsked,
    Asked,
    Told,
}

impl<P> Driven<P> {
    fn tell(&mut self, seen: Seen) {
        self.ahead.push_back(Effect::Notice(seen));
    }

    fn is_traced(&self) -> bool {
        self.traced.load(Ordering::Relaxed)
    }
}

impl<P: Peer> Role for Driven<P> {
    type Command = Wish;
    type Notice = Seen;
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, now: Now) {
        if let Some(held) = &mut self.held {
            // A server that has stood still for so long has lost the rest.
            if held.len() < HELD_MAX {
                held.push_back(event);
            }
            return;
        }
        match &event {
            Event::Accepted { tls: Some(facts), .. }
            | Event::Connected { tls: Some(facts), .. }
            | Event::TlsStarted { facts, .. } => self.tell(Seen::Secured(words(facts))),
            Event::Bytes { bytes, .. } | Event::Datagram { bytes, .. } if self.is_traced() => {
                self.tell(Seen::Received(bytes.clone()));
            }
            _ => {}
        }
        self.peer.handle_event(event, now);
    }

    fn handle_command(&mut self, wish: Wish, now: Now) {
        match wish {
            Wish::Text { id, to, text } => self.peer.handle_text(&to, &text, &id, now),
            Wish::Greet { id } => self.peer.handle_greeting(&id, now),
            Wish::Add => self.peer.handle_add(now),
            Wish::Show(state) => self.peer.handle_state(state, now),
            Wish::Begin => {
                let disk = Arc::clone(&self.disk);
                self.peer.begin(&lock(&disk), now);
            }
            Wish::Freeze => self.held = self.held.take().or_else(|| Some(VecDeque::new())),
            Wish::Thaw => {
                for event in self.held.take().into_iter().flatten() {
                    self.handle_event(event, now);
                }
            }
        }
    }

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, now: Now) {
        self.stop = Stop::Asked;
        self.peer.keep(&mut lock(&self.disk));
        self.peer.handle_stop(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.held.is_none() {
            self.peer.handle_timeout(now);
        }
    }

    fn poll_timeout(&self) -> Option<Moment> {
        if self.held.is_none() { self.peer.poll_timeout() } else { None }
    }

    fn poll_output(&mut self) -> Option<Effect<Seen, ()>> {
        if let Some(effect) = self.ahead.pop_front() {
            return Some(effect);
        }
        match self.peer.poll_output() {
            Some(Output::Said(said)) => Some(Effect::Notice(Seen::Said(said))),
            Some(Output::Order(order)) => {
                let sent = match &order {
                    Order::Send { bytes, .. } | Order::SendDatagram { bytes, .. } => Some(bytes.clone()),
                    _ => None,
                };
                let Some(sent) = sent.filter(|_| self.is_traced()) else { return Some(Effect::Order(order)) };
                self.ahead.push_back(Effect::Order(order));
                Some(Effect::Notice(Seen::Sent(sent)))
            }
            None if self.stop == Stop::Asked => {
                self.stop = Stop::Told;
                Some(Effect::Stopped)
            }
            None => None,
        }
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much a server that stands still hears later.
const HELD_MAX: usize = 10_000;

fn words(facts: &TlsFacts) -> String {
    let version = match facts.version {
        TlsVersion::Tls12 => "TLS 1.2",
        TlsVersion::Tls13 => "TLS 1.3",
    };
    let shown = facts.peer.as_ref().and_then(|peer| peer.names.dns.first());
    match shown {
        Some(name) => format!("{version} {}, {name} shows its certificate", facts.cipher),
        None => format!("{version} {}", facts.cipher),
    }
}
