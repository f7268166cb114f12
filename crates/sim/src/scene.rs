//! The stage: one proxy, one gateway, one XMPP server, one SIP server, with names and certificates.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use clock_types::Ids;
use gateway_role::{AddressRange, Dialect, Gateway, Peers, ProxyLink, SipDomain};
use net_types::{CertificateNames, Identity, ListenerId, Remote, TlsClient, Trust};
use peer_role::{
    Acks, Answers, Manner, Proves, SessionManners, SipSettings, SipUserAgent, XmppServer, XmppSettings,
};
use proxy_role::Proxy;
use sip_proto::endpoint::{self, FixedHop, Route, Transport};
use sip_types::uri::Host;
use translate::Profile;
use translate::message::ToSipOptions;
use xmpp_types::jid::DomainName;

use crate::cast::{Log, Peer, Watched};
use crate::ledger::{Ledger, Seen};
use crate::machine::Start;
use crate::watching::Watching;
use crate::world::{Listener, ListenerKind, NodeId, World};

/// How the peers are.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How SIP is spoken.
    pub transport: Transport,
    /// When the partner says that it has something.
    pub acks: Acks,
    /// Whether the partner uses streams both ways.
    pub both_ways: bool,
    /// Whether the partner goes on with a stream whose connection broke.
    pub resumes: bool,
    /// How domains are proved.
    pub proves: Proves,
    /// How SIP users talk.
    pub talks: Talks,
    /// How SIP users do presence.
    pub watching: Watching,
}

/// How SIP users talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talks {
    /// Each text is a request of its own.
    InPages,
    /// In sessions, as Microsoft's clients do, which behave in these ways by turns.
    InSessions([Manner; 4]),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            transport: Transport::Udp,
            acks: Acks::Counted,
            both_ways: true,
            resumes: true,
            proves: Proves::Certificate,
            talks: Talks::InPages,
            watching: Watching::default(),
        }
    }
}

/// The stage with its four players.
#[derive(Debug)]
pub struct Scene {
    /// The world they are in.
    pub world: World,
    /// The proxy.
    pub proxy: NodeId,
    /// The gateway.
    pub gateway: NodeId,
    /// The partner's server.
    pub xmpp: NodeId,
    /// The SIP server.
    pub sip: NodeId,
    /// What the users saw.
    pub log: Log,
    talks: Talks,
}

/// How often a domain is asked whether it is there, as the program does it.
const CHECKED_EVERY: Duration = Duration::from_secs(40);
pub(crate) const PROXY: &str = "203.0.113.1";
const PROXY_INSIDE: &str = "203.0.113.1:23456";
pub(crate) const GATEWAY: &str = "10.0.0.2";
const XMPP: &str = "198.51.100.3";
pub(crate) const SIP: &str = "10.0.0.9";

impl Scene {
    /// Sets the stage and starts everybody.
    #[must_use]
    pub fn new(seed: u64, options: Options) -> Self {
        let mut world = World::new(seed);
        certificates(&mut world);
        let log: Log = Rc::new(RefCell::new(Vec::new()));
        let proxy = add_proxy(&mut world, proxy_settings(options));
        let mut settings = gateway_settings(options);
        settings.watches.check_every = Some(CHECKED_EVERY);
        let gateway = add_gateway(&mut world, options.transport, settings);
        let xmpp = add_xmpp(&mut world, options, &log);
        let sip = add_sip(&mut world, options, &log);
        for node in [proxy, gateway, xmpp, sip] {
            world.start(node);
        }
        Self { world, proxy, gateway, xmpp, sip, log, talks: options.talks }
    }

    /// A SIP user types.
    pub fn sip_says(&mut self, from: &str, to: &str, text: &str) {
        let node = self.sip;
        self.world.with(node, |agent: &mut Watched<SipUserAgent>, now| {
            agent.peer.send_text(from, to, text, &format!("id-{text}"), now);
        });
    }

    /// An XMPP user types.
    pub fn xmpp_says(&mut self, from: &str, to: &str, text: &str) {
        let node = self.xmpp;
        self.world.with(node, |server: &mut Watched<XmppServer>, now| {
            server.peer.send_text(from, to, text, &format!("id-{text}"), now);
        });
    }

    /// Returns what Gangway said to the SIP side against the rules of that protocol.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let complaint = |(_, said): &(Peer, peer_role::Said)| match said {
            peer_role::Said::Complaint(words) => Some(words.clone()),
            _ => None,
        };
        self.log.borrow().iter().filter_map(complaint).collect()
    }

    /// Writes the users' log into a ledger for the judge.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        let mut texts = BTreeMap::new();
        for (peer, said) in self.log.borrow().iter() {
            enter(&mut ledger, &mut texts, *peer, said, self.talks);
        }
        ledger
    }
}

fn enter(
    ledger: &mut Ledger,
    texts: &mut BTreeMap<String, String>,
    peer: Peer,
    said: &peer_role::Said,
    talks: Talks,
) {
    use peer_role::Said;
    // In a session one text follows the other's answer.
    let in_order = peer == Peer::Xmpp || talks != Talks::InPages;
    let mut about = |id: &String, seen: Seen| {
        if let Some(text) = texts.get(id) {
            ledger.add(text, seen);
        }
    };
    match said {
        Said::Sent { id, from, to, text } => {
            texts.insert(id.clone(), text.clone());
            ledger.add(text, Seen::Sent { pair: pair(from, to), in_order });
        }
        Said::Accepted { id, .. } => about(id, Seen::Accepted),
        Said::Refused { id, .. } => about(id, Seen::Refused),
        Said::Unanswered { id, .. } => about(id, Seen::Unanswered),
        Said::Received { id, from, to, text, .. } => match text.split_once("\r\n> ") {
            // The gateway's own words about a text that was not delivered quote it.
            Some((_, quoted)) => ledger.add(quoted, Seen::Refused),
            None => {
                // A text has no name in a session: who tries it again in another one has nothing to repeat.
                let id = if talks == Talks::InPages { id.clone() } else { "in a session".to_owned() };
                ledger.add(text, Seen::Shown { pair: pair(from, to), id });
            }
        },
        Said::Note(note) => {
            if let Some(text) = note.strip_prefix(peer_role::NO_SUCH_USER) {
                ledger.add(text, Seen::Taken);
            }
        }
        Said::Receipt { .. }
        | Said::Shown { .. }
        | Said::Stanza(_)
        | Said::Message { .. }
        | Said::Complaint(_) => {}
    }
}

fn pair(from: &str, to: &str) -> String {
    let bare = |address: &str| {
        let address = address.strip_prefix("sip:").unwrap_or(address);
        address.split(['/', ';']).next().unwrap_or_default().to_owned()
    };
    format!("{} → {}", bare(from), bare(to))
}

pub(crate) fn identity(name: &str) -> Identity {
    Identity(name.into())
}

pub(crate) fn domain(name: &str) -> DomainName {
    DomainName::parse(name).expect("the scene's domains are domains")
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("the scene's addresses are addresses")
}

pub(crate) fn certificates(world: &mut World) {
    let names = |dns: &[&str]| CertificateNames {
        dns: dns.iter().map(|name| (*name).to_owned()).collect(),
        uri: dns.iter().map(|name| format!("sip:{name}")).collect(),
        ..CertificateNames::default()
    };
    world.authorities.issue(identity("s.example"), names(&["s.example"]), "public");
    world.authorities.issue(identity("x.example"), names(&["x.example"]), "public");
    world.authorities.issue(identity("proxy"), names(&["proxy.inside"]), "private");
    world.authorities.issue(identity("gateway"), names(&["gateway.inside"]), "private");
    world.authorities.issue(identity("pool"), names(&["pool.s.example"]), "private");
    world.authorities.trust(Trust("public".into()), "public");
    world.authorities.trust(Trust("private".into()), "private");
}

/// Returns a partner of the proxy that is always found at this address.
pub(crate) fn partner(name: &str, host: &str, options: Options) -> proxy_role::Partner {
    let mut partner = proxy_role::Partner::new(domain(name));
    partner.kind = proxy_role::PartnerKind::Federated;
    partner.fixed_host = Some(format!("{host}:5269"));
    partner.allow_private_addresses = true;
    partner.direct_tls = false;
    let (sasl, dialback) = match options.proves {
        Proves::Certificate => (proxy_role::Negotiation::Required, false),
        Proves::Dialback => (proxy_role::Negotiation::NotSupported, true),
        Proves::Either => (proxy_role::Negotiation::Optional, true),
    };
    (partner.sasl, partner.dialback) = (sasl, dialback);
    partner
}

pub(crate) fn proxy_settings(options: Options) -> proxy_role::Settings {
    let partners: SocketAddr = SocketAddr::new(address(PROXY), 5269);
    let gateways: SocketAddr = PROXY_INSIDE.parse().expect("the scene's addresses are addresses");
    proxy_role::Settings {
        served: vec![proxy_role::Served { domain: domain("s.example"), identity: identity("s.example") }],
        partners: vec![partner("x.example", XMPP, options)],
        denied: Vec::new(),
        open: None,
        trust: Trust("public".into()),
        dialback_secret: Some("a secret that all proxies of s.example share".to_owned()),
        limits: proxy_role::Limits::default(),
        link: proxy_role::Link {
            name: "proxy".to_owned(),
            identity: identity("proxy"),
            trust: Trust("private".into()),
            gateways: vec!["gateway.inside".to_owned()],
            in_process: false,
        },
        listeners: vec![
            proxy_role::Listener { address: partners, kind: proxy_role::ListenerKind::Partners },
            proxy_role::Listener { address: gateways, kind: proxy_role::ListenerKind::Gateways },
        ],
        resume_at: None,
        version: None,
    }
}

/// Adds a proxy at the addresses of its settings.
pub(crate) fn add_proxy(world: &mut World, settings: proxy_role::Settings) -> NodeId {
    let [partners, gateways] = [0, 1].map(|place: usize| settings.listeners[place].address);
    let link_tls = settings.listener_tls(ListenerId(1)).expect("the link's listener speaks TLS");
    let listeners = vec![
        Listener { id: ListenerId(0), address: partners, kind: ListenerKind::Stream },
        Listener { id: ListenerId(1), address: gateways, kind: ListenerKind::DirectTls(Box::new(link_tls)) },
    ];
    let maker = Box::new(move |start: Start| {
        Box::new(Proxy::new(settings.clone(), Ids::random(start.seed))) as Box<dyn crate::machine::Machine>
    });
    let name = if partners.ip() == address(PROXY) { "proxy" } else { "other proxy" };
    world.add(name, partners.ip(), listeners, maker)
}

pub(crate) fn sip_listeners(
    node: &str,
    transport: Transport,
    id: &Identity,
) -> (Vec<endpoint::Listener>, Vec<Listener>) {
    let host = Host::parse(node).expect("the scene's addresses are addresses");
    let tls = net_types::TlsServer { identity: id.clone(), trust: Trust("private".into()) };
    let kinds = match transport {
        Transport::Udp => {
            vec![(Transport::Udp, 5060, ListenerKind::Datagram), (Transport::Tcp, 5060, ListenerKind::Stream)]
        }
        Transport::Tcp => vec![(Transport::Tcp, 5060, ListenerKind::Stream)],
        Transport::Tls => vec![(Transport::Tls, 5061, ListenerKind::DirectTls(Box::new(tls)))],
    };
    let mut ours = Vec::new();
    let mut worlds = Vec::new();
    for (place, (transport, port, kind)) in kinds.into_iter().enumerate() {
        let id = ListenerId(u32::try_from(place).expect("there are two at the most"));
        ours.push(endpoint::Listener { id, transport, host: host.clone(), port });
        worlds.push(Listener { id, address: SocketAddr::new(address(node), port), kind });
    }
    (ours, worlds)
}

fn route_to(node: &str, transport: Transport, name: &str) -> Route {
    let mut hop = FixedHop::at(transport, address(node), transport.default_port());
    hop.tls_name = Some(name.to_owned());
    Route::fixed(hop)
}

/// Returns how the SIP server shakes hands with the gateway.
pub(crate) fn pool_towards_gateway() -> TlsClient {
    TlsClient {
        name: "gateway.inside".to_owned(),
        identity: Some(identity("pool")),
        trust: Trust("private".into()),
        alpn: Vec::new(),
    }
}

pub(crate) fn gateway_settings(options: Options) -> gateway_role::Settings {
    let (ours, _) = sip_listeners(GATEWAY, options.transport, &identity("gateway"));
    let sip = endpoint::Settings::new(ours, Some(identity("gateway")), Trust("private".into()));
    let mut settings = gateway_role::Settings::new(sip);
    let remote = Remote::Address(PROXY_INSIDE.parse().expect("the scene's addresses are addresses"));
    let tls = TlsClient {
        name: "proxy.inside".to_owned(),
        identity: Some(identity("gateway")),
        trust: Trust("private".into()),
        alpn: Vec::new(),
    };
    settings.proxies = vec![ProxyLink { name: "proxy".to_owned(), remote, host: None, tls: Some(tls) }];
    let addresses =
        if options.transport == Transport::Tls { vec![] } else { vec![AddressRange::one(address(SIP))] };
    settings.domains = vec![SipDomain {
        name: domain("s.example"),
        route: route_to(SIP, options.transport, "pool.s.example"),
        peers: Peers { names: vec!["pool.s.example".to_owned()], addresses },
        dialect: Dialect::PageMode,
        to_sip: ToSipOptions { datagram: options.transport == Transport::Udp, ..ToSipOptions::default() },
    }];
    if options.talks != Talks::InPages {
        settings.domains[0].dialect = Dialect::Microsoft;
        settings.domains[0].to_sip.profile = Profile::BareAddress;
    }
    settings
}

pub(crate) fn add_gateway(
    world: &mut World,
    transport: Transport,
    settings: gateway_role::Settings,
) -> NodeId {
    let (_, worlds) = sip_listeners(GATEWAY, transport, &identity("gateway"));
    let maker = Box::new(move |start: Start| {
        let ids = Ids::random(start.seed);
        Box::new(Gateway::new(settings.clone(), start.recovered, ids, start.now))
            as Box<dyn crate::machine::Machine>
    });
    world.add("gateway", address(GATEWAY), worlds, maker)
}

fn add_xmpp(world: &mut World, options: Options, log: &Log) -> NodeId {
    let mut settings = XmppSettings::new(domain("x.example"), identity("x.example"), Trust("public".into()));
    settings.users = ["ann", "eve"].into_iter().map(str::to_owned).collect();
    settings.hosts = [(domain("s.example"), format!("{PROXY}:5269"))].into_iter().collect();
    settings.acks = options.acks;
    settings.both_ways = options.both_ways;
    settings.resumes = options.resumes;
    settings.proves = options.proves;
    settings.report_after = Duration::from_secs(600);
    let listener = SocketAddr::new(address(XMPP), 5269);
    let listeners = vec![Listener { id: ListenerId(0), address: listener, kind: ListenerKind::Stream }];
    let log = Rc::clone(log);
    let maker = Box::new(move |start: Start| {
        let peer = XmppServer::new(settings.clone(), Ids::random(start.seed));
        Box::new(Watched { peer, name: Peer::Xmpp, log: Rc::clone(&log) }) as Box<dyn crate::machine::Machine>
    });
    world.add("x.example", address(XMPP), listeners, maker)
}

fn add_sip(world: &mut World, options: Options, log: &Log) -> NodeId {
    let (ours, worlds) = sip_listeners(SIP, options.transport, &identity("pool"));
    let users = [
        ("bob@s.example", Answers::AtOnce(200)),
        ("carol@s.example", Answers::After(Duration::from_secs(3), 200)),
        ("dave@s.example", Answers::AtOnce(480)),
    ];
    let place = format!("{SIP}:{};transport={}", options.transport.default_port(), options.transport);
    let settings = SipSettings {
        presence: Some(options.watching.manners(place.clone())),
        endpoint: endpoint::Settings::new(ours, Some(identity("pool")), Trust("private".into())),
        route: route_to(GATEWAY, options.transport, "gateway.inside"),
        users: users.into_iter().map(|(user, answers)| (user.to_owned(), answers)).collect(),
        sessions: match options.talks {
            Talks::InPages => None,
            Talks::InSessions(manners) => Some(SessionManners { manners: manners.to_vec(), place }),
        },
    };
    let log = Rc::clone(log);
    let maker = Box::new(move |start: Start| {
        let peer = SipUserAgent::new(settings.clone(), Ids::random(start.seed));
        Box::new(Watched { peer, name: Peer::Sip, log: Rc::clone(&log) }) as Box<dyn crate::machine::Machine>
    });
    world.add("s.example", address(SIP), worlds, maker)
}
