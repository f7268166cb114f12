//! Plays (`scenarios/`) in the simulated world: Gangway's two roles between a play's XMPP and SIP servers.
//!
//! A server stands there for every domain that the play names below `x.example`, each with streams of its own.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use gateway_role::Dialect;
use net_types::{Answer, CertificateNames, Event, ListenerId, Question, Record, Trust};
use peer_role::play::{Fault, Flaw, Heard, Play, SipLines, Stage, domains_in, duration, perform};
use peer_role::{Acks, Proves, Said, SipActor, SipActorSettings, Stanzas, XmppServer, XmppSettings};
use proxy_role::PartnerKind;
use sip_proto::endpoint::{Pace, Route, Transport};
use translate::Profile;
use translate::message::{Headline, MessageKind};
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::xml::Element;

use crate::cast::{Log, Peer, Watched};
use crate::machine::{Effect, Machine, Start};
use crate::moods::{Helpless, Mood, Moody};
use crate::scene::{self, Options};
use crate::world::{Listener, ListenerKind, NodeId, World};

/// Why a play failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where and how.
    pub flaw: Flaw,
    /// All that was said and done until then.
    pub history: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flaw.fmt(out)
    }
}

impl std::error::Error for Failure {}

/// Performs the play that `text` is.
///
/// # Errors
/// Says on which line the play is no play, or failed.
pub fn perform_text(text: &str, seed: u64) -> Result<(), Failure> {
    let unperformed = |line, what| Failure { flaw: Flaw { line, what }, history: String::new() };
    let play = Play::parse(text).map_err(|bad| unperformed(bad.line, bad.what))?;
    let mut stage = SimStage::new(&play, &domains_in(text), seed).map_err(|what| unperformed(1, what))?;
    perform(&play, &mut stage).map_err(|flaw| Failure { flaw, history: stage.history() })
}

/// The world as the stage of one play.
struct SimStage {
    world: World,
    proxy: NodeId,
    gateway: NodeId,
    servers: Vec<(DomainName, NodeId)>,
    sip: NodeId,
    log: Log,
    /// How much of the log is on its way to the play.
    read: usize,
    /// How much of the history is.
    noted: usize,
    start: Moment,
    /// Where the SIP server listens.
    address: String,
}

impl SimStage {
    fn new(play: &Play, domains: &BTreeSet<DomainName>, seed: u64) -> Result<Self, String> {
        let transport = match play.setting("transport") {
            None | Some("tcp") => Transport::Tcp,
            Some("udp" | "udp-only") => Transport::Udp,
            Some("tls") => Transport::Tls,
            Some(other) => return Err(format!("there is no transport {other:?}")),
        };
        let proves = match play.setting("proves") {
            None | Some("certificate") => Proves::Certificate,
            Some("dialback") => Proves::Dialback,
            Some(other) => return Err(format!("nobody proves by {other:?}")),
        };
        let options = Options { transport, proves, ..Options::default() };
        let mut gateway = scene::gateway_settings(options);
        for (name, value) in &play.settings {
            set(&mut gateway, name, value)?;
        }
        let hosts: Vec<_> =
            domains.iter().zip(3..).map(|(domain, n)| (domain, format!("198.51.100.{n}"))).collect();
        let mut world = World::new(seed);
        scene::certificates(&mut world);
        certify(&mut world, play.setting("certificate"))?;
        locate(&mut world, &mut gateway, play.setting("sip-srv"))?;
        let mut proxy = scene::proxy_settings(options);
        let kind = partner_kind(play)?;
        let partner = |(domain, host): &(&DomainName, String)| {
            let partner = scene::partner(domain.as_str(), host, options);
            proxy_role::Partner { kind, ..partner }
        };
        proxy.partners = hosts.iter().map(partner).collect();
        if let Some(how) = play.setting("srv") {
            publish(&mut world, &mut proxy, how)?;
        }
        let mut asked = scene::PROXY;
        if play.setting("proxies") == Some("2") {
            asked = OTHER_PROXY;
            let mut other = proxy.clone();
            for listener in &mut other.listeners {
                listener.address.set_ip(scene::address(OTHER_PROXY));
            }
            let other = scene::add_proxy(&mut world, other);
            world.start(other);
        }
        let log: Log = Rc::new(RefCell::new(Vec::new()));
        let proxy = scene::add_proxy(&mut world, proxy);
        let gateway = scene::add_gateway(&mut world, transport, gateway);
        let servers: Vec<_> = hosts
            .into_iter()
            .map(|(domain, host)| {
                (domain.clone(), add_server(&mut world, domain, &host, (asked, proves), &log))
            })
            .collect();
        let sip = add_actor(&mut world, transport, play.setting("transport") == Some("udp-only"), &log);
        for node in [proxy, gateway, sip].into_iter().chain(servers.iter().map(|(_, node)| *node)) {
            world.start(node);
        }
        world.run(UNTIL_READY);
        let start = world.now().moment;
        let address = format!("{}:{}", scene::SIP, transport.default_port());
        Ok(Self { world, proxy, gateway, servers, sip, log, read: 0, noted: 0, start, address })
    }

    fn set_acks(&mut self, acks: Acks) {
        for (_, node) in self.servers.clone() {
            self.world.with(node, |server: &mut Moody, now| server.server.peer.set_acks(acks, now));
        }
    }

    fn set_mood(&mut self, mood: Mood) {
        self.each_server(|world, node| {
            world.with(node, |server: &mut Moody, now| server.set(mood, now));
        });
    }

    fn each_server(&mut self, deed: impl Fn(&mut World, NodeId)) {
        for (_, node) in &self.servers {
            deed(&mut self.world, *node);
        }
    }

    fn between_them(&mut self, deed: impl Fn(&mut World, NodeId, NodeId)) {
        let proxy = self.proxy;
        self.each_server(|world, node| deed(world, proxy, node));
    }

    fn history(&self) -> String {
        let line = |(moment, who, what): &(Moment, String, String)| {
            format!("{:>12.6} {who:>9}  {what}\n", moment.since_origin().as_secs_f64())
        };
        self.world.history.iter().map(line).collect()
    }
}

impl Stage for SimStage {
    fn names(&self) -> Vec<(String, String)> {
        vec![("sip".to_owned(), self.address.clone())]
    }

    fn elapsed(&self) -> Duration {
        self.world.now().moment.since(self.start)
    }

    fn pass(&mut self, at_most: Duration) {
        let end = self.elapsed() + at_most;
        let noted = self.world.history.len();
        while self.elapsed() < end
            && self.read == self.log.borrow().len()
            && noted == self.world.history.len()
        {
            let (left, quiet) = (end - self.elapsed(), self.world.quiet_for().unwrap_or(at_most));
            self.world.run(quiet.max(TICK).min(left));
        }
    }

    fn poll_heard(&mut self) -> Option<(Duration, Heard)> {
        let at = self.elapsed();
        while let Some((_, who, what)) = self.world.history.get(self.noted) {
            self.noted += 1;
            if who == "proxy" || who == "gateway" {
                return Some((at, Heard::Notice(what.clone())));
            }
        }
        loop {
            let (_, said) = self.log.borrow().get(self.read)?.clone();
            self.read += 1;
            match said {
                Said::Stanza(stanza) => return Some((at, Heard::Stanza(stanza))),
                Said::Message { link, message } => return Some((at, Heard::Sip(link, message))),
                Said::Complaint(words) => return Some((at, Heard::Complaint(words))),
                _ => {}
            }
        }
    }

    fn say_stanza(&mut self, stanza: Element) {
        let from = stanza.attr("from").and_then(|from| Jid::parse(from).ok());
        let server = from.and_then(|from| self.servers.iter().find(|(domain, _)| domain == from.domain()));
        let (_, node) = server.expect("a server stands there for every domain that the play names");
        let id = stanza.attr("id").unwrap_or_default().to_owned();
        self.world.with(*node, |server: &mut Moody, now| {
            server.server.peer.send_stanza(stanza, &id, now);
        });
    }

    fn say_sip(&mut self, lines: SipLines) {
        self.world.with(self.sip, |actor: &mut Watched<SipActor>, _| actor.peer.say(&lines));
    }

    fn fail(&mut self, fault: Fault) {
        match fault {
            Fault::RestartGateway => {
                self.world.crash(self.gateway);
                self.world.start(self.gateway);
            }
            Fault::StopGateway => self.world.stop(self.gateway),
            Fault::StartGateway => self.world.start_again(self.gateway),
            Fault::HoldSip => self.world.set_cut(self.gateway, self.sip, true),
            Fault::MendSip => self.world.set_cut(self.gateway, self.sip, false),
            Fault::RestartProxy => {
                self.world.crash(self.proxy);
                self.world.start(self.proxy);
            }
            Fault::CutLink => self.world.reset_between(self.proxy, self.gateway),
            Fault::HoldLink => self.world.set_cut(self.proxy, self.gateway, true),
            Fault::MendLink => self.world.set_cut(self.proxy, self.gateway, false),
            Fault::StopPartner => self.each_server(World::crash),
            Fault::StartPartner => self.each_server(World::start),
            Fault::HoldPartner => self.between_them(|world, proxy, node| world.set_cut(proxy, node, true)),
            Fault::MendPartner => self.between_them(|world, proxy, node| world.set_cut(proxy, node, false)),
            Fault::CutPartner => self.between_them(World::reset_between),
            Fault::HangUp => self.set_mood(Mood::HangsUp),
            Fault::Drip => self.set_mood(Mood::Drips),
            Fault::BehaveWell => self.set_mood(Mood::Well),
            Fault::ExpireCertificate => {
                let date = self.world.now().date;
                for (domain, _) in &self.servers {
                    self.world.authorities.expire(scene::identity(domain.to_ascii()), date);
                }
            }
            Fault::HoldAcks => self.set_acks(Acks::Withheld),
            Fault::ReleaseAcks => self.set_acks(Acks::Counted),
        }
    }
}

/// Issues the SIP server's certificate as a play wants it.
fn certify(world: &mut World, how: Option<&str>) -> Result<(), String> {
    let (pool, date) = (scene::identity("pool"), world.now().date);
    let names = |name: &str| CertificateNames { dns: vec![name.to_owned()], ..CertificateNames::default() };
    match how {
        None => {}
        Some("expired") => world.authorities.expire(pool, date),
        Some("of-another") => world.authorities.issue(pool, names("other.example"), "private"),
        Some("unknown") => world.authorities.issue(pool, names("pool.s.example"), "somebody"),
        Some(other) => return Err(format!("no certificate is {other}")),
    }
    Ok(())
}

/// Lets the gateway find the SIP servers in the DNS: the first is no help, the second is that of the play.
fn locate(
    world: &mut World,
    gateway: &mut gateway_role::Settings,
    first: Option<&str>,
) -> Result<(), String> {
    let Some(first) = first else { return Ok(()) };
    let helpless = match first {
        "refuses" => None,
        "is-silent" => Some(None),
        "is-overloaded" => Some(Some(503)),
        _ => return Err(format!("no first server {first}")),
    };
    gateway.domains[0].route = Route::to_domain("s.example").expect("it is a domain");
    let srv = |priority, target: &str| {
        let target = format!("{target}.s.example");
        Record::Srv { priority, weight: 0, port: 5060, target }
    };
    let answer = |records| Answer { records, secure: false };
    let services = vec![srv(1, "first"), srv(2, "second")];
    world.zone.set(&Question::Srv("_sip._tcp.s.example".to_owned()), answer(services));
    for (name, host) in [("first", FIRST_SIP), ("second", scene::SIP)] {
        let records = vec![Record::Address(scene::address(host))];
        world.zone.set(&Question::Addresses(format!("{name}.s.example")), answer(records));
    }
    let Some(status) = helpless else { return Ok(()) };
    let address = scene::address(FIRST_SIP);
    let kind = ListenerKind::Stream;
    let listeners = vec![Listener { id: ListenerId(0), address: SocketAddr::new(address, 5060), kind }];
    let maker = Box::new(move |_: Start| Box::new(Helpless::new(status)) as Box<dyn Machine>);
    let node = world.add("first.s.example", address, listeners, maker);
    world.start(node);
    Ok(())
}

fn partner_kind(play: &Play) -> Result<PartnerKind, String> {
    match play.setting("partner") {
        None | Some("federated") => Ok(PartnerKind::Federated),
        Some("public-verified") => Ok(PartnerKind::PublicVerified),
        Some("public-unverified") => Ok(PartnerKind::PublicUnverified),
        Some(other) => Err(format!("no partner is {other}")),
    }
}

/// Changes one setting as a play says it.
fn set(gateway: &mut gateway_role::Settings, name: &str, value: &str) -> Result<(), String> {
    let to_sip = &mut gateway.domains[0].to_sip;
    match (name, value) {
        // The stage is built with it.
        ("transport" | "srv" | "sip-srv" | "certificate" | "proxies" | "proves" | "partner", _) => {}
        ("message-type", "chat") => gateway.to_xmpp.kind = MessageKind::Chat,
        ("message-type", "normal") => gateway.to_xmpp.kind = MessageKind::Normal,
        ("headline", "deliver") => to_sip.headline = Headline::Deliver,
        ("headline", "drop") => to_sip.headline = Headline::Drop,
        ("headline", "refuse") => to_sip.headline = Headline::Refuse,
        ("profile", "standard") => to_sip.profile = Profile::Standard,
        ("profile", "bare") => to_sip.profile = Profile::BareAddress,
        ("profile", "microsoft") => {
            to_sip.profile = Profile::BareAddress;
            gateway.domains[0].dialect = Dialect::Microsoft;
            if let Route::Fixed(hop) = &mut gateway.domains[0].route {
                let pace = Pace { peer: "s.example".into(), per_second: FIFTEEN };
                Arc::make_mut(hop).pace = Some(pace);
            }
        }
        ("body-max", octets) => {
            to_sip.body_max = octets.parse().map_err(|_| "body-max is a number of octets".to_owned())?;
        }
        _ => return set_presence(&mut gateway.watches, name, value),
    }
    Ok(())
}

/// Changes one setting of presence.
fn set_presence(watches: &mut gateway_role::WatchSettings, name: &str, value: &str) -> Result<(), String> {
    let time = || duration(value).ok_or_else(|| format!("{name} is a time, such as 5 s"));
    let seconds = || time().map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    match name {
        "expires" => watches.expires = seconds()?,
        "expires-min" => watches.expires_min = seconds()?,
        "expires-max" => watches.expires_max = seconds()?,
        "pace" => watches.pace = time()?,
        "stale-time" => watches.stale_after = time()?,
        "check-interval" => watches.check_every = Some(time()?).filter(|every| !every.is_zero()),
        "restart-spread" => watches.spread = time()?,
        "adopt-probes" => watches.adopt_probes = value == "true",
        "watched" => watches.watched_max = value.parse().map_err(|_| "watched is a number".to_owned())?,
        _ => return Err(format!("there is no setting {name} {value}")),
    }
    Ok(())
}

/// Publishes where x.example is, for a proxy that is not told by its settings.
fn publish(world: &mut World, proxy: &mut proxy_role::Settings, how: &str) -> Result<(), String> {
    for partner in &mut proxy.partners {
        partner.fixed_host = None;
    }
    let srv = |priority: u16, target: &str| {
        let target = format!("{target}.hosts.example");
        Record::Srv { priority, weight: 0, port: 5269, target }
    };
    let dead = |count: u16| (1..=count).map(|n| srv(n, &format!("dead{n}")));
    let records: Vec<Record> = match how {
        "dead-first" => dead(1).chain([srv(2, "alive")]).collect(),
        "thousand" => [srv(0, "alive")].into_iter().chain(dead(999)).collect(),
        "thousand-dead" => dead(1000).collect(),
        _ => return Err(format!("nothing is published as {how}")),
    };
    let answer = |records| Answer { records, secure: false };
    for record in &records {
        if let Record::Srv { target, .. } = record {
            let host = if target.starts_with("alive") { "198.51.100.3" } else { "198.51.100.250" };
            let records = vec![Record::Address(scene::address(host))];
            world.zone.set(&Question::Addresses(target.clone()), answer(records));
        }
    }
    world.zone.set(&Question::Srv("_xmpp-server._tcp.x.example".to_owned()), answer(records));
    Ok(())
}

fn add_server(
    world: &mut World,
    domain: &DomainName,
    host: &str,
    (proxy, proves): (&str, Proves),
    log: &Log,
) -> NodeId {
    let name = domain.to_ascii();
    let names = CertificateNames { dns: vec![name.to_owned()], ..CertificateNames::default() };
    world.authorities.issue(scene::identity(name), names, "public");
    let mut settings = XmppSettings::new(domain.clone(), scene::identity(name), Trust("public".into()));
    settings.hosts = [(scene::domain("s.example"), format!("{proxy}:5269"))].into_iter().collect();
    settings.stanzas = Stanzas::Told;
    settings.proves = proves;
    let address = scene::address(host);
    let kind = ListenerKind::Stream;
    let listeners = vec![Listener { id: ListenerId(0), address: SocketAddr::new(address, 5269), kind }];
    let log = Rc::clone(log);
    let maker = Box::new(move |start: Start| {
        let peer = XmppServer::new(settings.clone(), Ids::random(start.seed));
        let server = Watched { peer, name: Peer::Xmpp, log: Rc::clone(&log) };
        Box::new(Moody::new(server)) as Box<dyn Machine>
    });
    world.add(domain.as_str(), address, listeners, maker)
}

fn add_actor(world: &mut World, transport: Transport, only: bool, log: &Log) -> NodeId {
    let (_, mut listeners) = scene::sip_listeners(scene::SIP, transport, &scene::identity("pool"));
    if only {
        listeners.truncate(1);
    }
    let port = transport.default_port();
    let settings = SipActorSettings {
        transport,
        sent_by: format!("{}:{port}", scene::SIP),
        gateway: SocketAddr::new(scene::address(scene::GATEWAY), port),
        tls: (transport == Transport::Tls).then(scene::pool_towards_gateway),
    };
    let log = Rc::clone(log);
    let maker = Box::new(move |start: Start| {
        let peer = SipActor::new(settings.clone(), Ids::random(start.seed));
        Box::new(Watched { peer, name: Peer::Sip, log: Rc::clone(&log) }) as Box<dyn Machine>
    });
    world.add("s.example", scene::address(scene::SIP), listeners, maker)
}

impl Machine for Watched<SipActor> {
    fn handle_event(&mut self, event: Event, now: Now) {
        self.peer.handle_event(event, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.peer.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Effect> {
        let output = self.peer.poll_output()?;
        Some(self.effect(output))
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.peer.poll_timeout()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// How exactly it is known when something came.
const TICK: Duration = Duration::from_millis(1);
/// Where a second proxy of the same domains is, to which no gateway is linked.
const OTHER_PROXY: &str = "203.0.113.2";
/// Where a SIP server is that is no help.
const FIRST_SIP: &str = "10.0.0.8";
/// Until the link is up.
const UNTIL_READY: Duration = Duration::from_secs(2);
/// Requests a second that the profile lets go to a server.
const FIFTEEN: NonZeroU32 = NonZeroU32::new(15).expect("it is not zero");
