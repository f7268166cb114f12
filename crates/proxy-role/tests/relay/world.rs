//! Proxies, gateways, and a network of addresses between them, in memory and in virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{
    Answer, Bytes, ConnectionId, Event, Failure as DnsFailure, Identity, ListenerId, Order, PeerCertificate,
    Question, Record, Remote, Stage, TlsFacts, Trust, TrustVerdict, memory,
};
use proxy_role::{Listener, ListenerKind, Notice, Output, Partner, Proxy, Served, Settings};
use xmpp_proto::link::{Dialer, LinkSettings, Output as LinkOutput, PartnerTable, ReceivedId, SendId};
use xmpp_types::jid::DomainName;
use xmpp_types::ns;
use xmpp_types::xml::Element;

/// One site: a proxy and its gateway.
pub struct Site {
    pub domain: String,
    pub proxy: Proxy,
    pub gateway: Dialer,
    pub notices: Vec<String>,
    /// What reached the gateway.
    pub received: Vec<(ReceivedId, Element)>,
    /// What the proxy said is settled.
    pub settled: Vec<SendId>,
    /// How the proxy's partners are believed, as the gateway was told.
    pub partners: PartnerTable,
    /// The partners of whom it was told that their streams broke.
    pub broken: Vec<DomainName>,
    /// Whether the gateway settles at once what it receives.
    pub is_diligent: bool,
    pub paused: BTreeSet<ConnectionId>,
    /// Where its proxy listens.
    pub addresses: Vec<IpAddr>,
    link: Option<ConnectionId>,
    is_link_cut: bool,
}

/// Both ends of a connection between sites.
struct Wire {
    ends: [(usize, ConnectionId); 2],
    /// Who has asked for TLS.
    securing: BTreeSet<usize>,
}

/// All sites and what is between them.
pub struct World {
    pub now: Now,
    pub sites: Vec<Site>,
    wires: Vec<Wire>,
    events: VecDeque<(usize, Event)>,
    accepted: u64,
    /// What does not answer.
    pub blackholes: BTreeSet<usize>,
    /// Whether certificates are trusted.
    pub is_trusted: bool,
    /// All octets that crossed between sites.
    pub crossed: String,
    pub zone: BTreeMap<String, Vec<Record>>,
    pub dialled: Vec<SocketAddr>,
}

pub fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub fn message(id: &str, from: &str, to: &str) -> Element {
    Element::new(ns::SERVER, "message")
        .with_attr("from", from)
        .with_attr("to", to)
        .with_attr("id", id)
        .with_attr("type", "chat")
        .with_child(Element::new(ns::SERVER, "body").with_text("hello"))
}

/// Settings of a site whose partners are the others; their names lead to public addresses.
pub fn settings(own: &str, partners: &[&str]) -> Settings {
    let served = Served { domain: domain(own), identity: Identity(own.into()) };
    let partners = partners.iter().map(|partner| Partner::new(domain(partner))).collect();
    Settings {
        listeners: vec![Listener { address: "0.0.0.0:5269".parse().unwrap(), kind: ListenerKind::Partners }],
        ..Settings::in_process(served, partners, Trust("public".into()))
    }
}

impl World {
    /// Returns sites `a.example`, `b.example`, … that are each other's partners, links up.
    pub fn new(sites: usize) -> Self {
        Self::with(sites, |_| {})
    }

    pub fn with(sites: usize, change: impl Fn(&mut Settings)) -> Self {
        let names: Vec<String> = (0..sites).map(name).collect();
        let mut world = Self {
            now: Now { moment: Moment::ZERO, date: Date::from_unix_millis(1_800_000_000_000) },
            sites: Vec::new(),
            wires: Vec::new(),
            events: VecDeque::new(),
            accepted: 0,
            blackholes: BTreeSet::new(),
            is_trusted: true,
            crossed: String::new(),
            zone: BTreeMap::new(),
            dialled: Vec::new(),
        };
        for (place, own) in names.iter().enumerate() {
            let partners: Vec<&str> = names.iter().filter(|name| *name != own).map(|name| &**name).collect();
            let mut settings = settings(own, &partners);
            change(&mut settings);
            let errors = settings.check();
            assert!(
                errors.iter().all(|mistake| mistake.severity == proxy_role::Severity::Warning),
                "{errors:?}"
            );
            let address = Record::Address(format!("8.8.8.{}", place + 1).parse().unwrap());
            world.zone.insert(own.clone(), vec![address]);
            world.sites.push(Site::new(own, settings, place));
        }
        world.run();
        world
    }

    /// Lets everybody act until nobody has anything to do at this moment.
    pub fn run(&mut self) {
        for _ in 0..100_000 {
            let mut quiet = true;
            if let Some((site, event)) = self.events.pop_front() {
                quiet = false;
                self.sites[site].proxy.handle_event(event, self.now);
            }
            for site in 0..self.sites.len() {
                while let Some(output) = self.sites[site].proxy.poll_output() {
                    quiet = false;
                    self.carry_out(site, output);
                }
                while let Some(output) = self.sites[site].gateway.poll_output() {
                    quiet = false;
                    self.carry_link(site, output);
                }
            }
            if quiet && self.events.is_empty() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Lets time pass, stopping wherever somebody wants to be called.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.moment + time;
        loop {
            let wanted = |site: &Site| {
                [site.proxy.poll_timeout(), site.gateway.poll_timeout()].into_iter().flatten().min()
            };
            let next = self.sites.iter().filter_map(wanted).min().filter(|next| *next <= end);
            let at = next.unwrap_or(end).max(self.now.moment);
            let step = at.since(self.now.moment);
            self.now = self.now.plus(step);
            for site in &mut self.sites {
                site.proxy.handle_timeout(self.now);
                site.gateway.handle_timeout(self.now);
            }
            self.run();
            if next.is_none() {
                return;
            }
        }
    }

    pub fn send(&mut self, site: usize, stanza: Element) -> SendId {
        let id = self.sites[site].gateway.send(stanza, self.now);
        self.run();
        id
    }

    pub fn settle(&mut self, site: usize, n: ReceivedId) {
        self.sites[site].gateway.settle(n, self.now);
        self.run();
    }

    /// Breaks every connection between sites; both ends notice.
    pub fn break_wires(&mut self) {
        for wire in std::mem::take(&mut self.wires) {
            for (site, connection) in wire.ends {
                let reason = Some("connection reset".to_string());
                self.events.push_back((site, Event::Closed { connection, reason }));
            }
        }
        self.run();
    }

    /// Breaks every connection between sites; only this one notices.
    pub fn break_wires_of(&mut self, site: usize) {
        for wire in std::mem::take(&mut self.wires) {
            for (_, connection) in wire.ends.into_iter().filter(|(end, _)| *end == site) {
                let reason = Some("connection reset".to_string());
                self.events.push_back((site, Event::Closed { connection, reason }));
            }
        }
        self.run();
    }

    pub fn cut_link(&mut self, site: usize) {
        let end = &mut self.sites[site];
        end.is_link_cut = true;
        if let Some(connection) = end.link.take() {
            end.gateway.handle_closed(Some("cable cut".into()), self.now);
            let reason = Some("cable cut".to_string());
            self.events.push_back((site, Event::Closed { connection, reason }));
        }
        self.run();
    }

    pub fn mend_link(&mut self, site: usize) {
        self.sites[site].is_link_cut = false;
    }

    /// A stranger connects to a site's first listener and says this; returns its connection.
    pub fn stranger(&mut self, site: usize, text: &str) -> ConnectionId {
        let connection = self.accept(site, "9.9.9.9:4000".parse().unwrap());
        self.hear(site, connection, text);
        connection
    }

    pub fn accept(&mut self, site: usize, from: SocketAddr) -> ConnectionId {
        self.accepted += 1;
        let connection = ConnectionId::accepted(self.accepted);
        let remote = Remote::Address(from);
        let event = Event::Accepted { connection, listener: ListenerId(0), local: None, remote, tls: None };
        self.events.push_back((site, event));
        self.run();
        connection
    }

    pub fn hear(&mut self, site: usize, connection: ConnectionId, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.events.push_back((site, Event::Bytes { connection, bytes }));
        self.run();
    }

    fn carry_out(&mut self, site: usize, output: Output) {
        let order = match output {
            Output::Notice(notice) => {
                if !matches!(notice, Notice::Relayed { .. }) {
                    self.sites[site].notices.push(notice.to_string());
                }
                return;
            }
            Output::Order(order) => order,
        };
        match order {
            Order::Connect { connection, to, tls, .. } => {
                assert!(tls.is_none(), "direct TLS is not offered in the zone");
                self.connect(site, connection, to);
            }
            Order::Send { connection, bytes } if Some(connection) == self.sites[site].link => {
                self.sites[site].gateway.handle_bytes(&bytes, self.now);
            }
            Order::Send { connection, bytes } => {
                self.crossed.push_str(&String::from_utf8_lossy(&bytes));
                if let Some((other, connection)) = self.other_end(site, connection) {
                    self.events.push_back((other, Event::Bytes { connection, bytes }));
                }
            }
            Order::Close { connection } if Some(connection) == self.sites[site].link => {
                self.sites[site].link = None;
                self.sites[site].gateway.handle_closed(None, self.now);
            }
            Order::Close { connection } => {
                if let Some((other, its)) = self.other_end(site, connection) {
                    self.events.push_back((other, Event::Closed { connection: its, reason: None }));
                }
                self.wires.retain(|wire| !wire.ends.contains(&(site, connection)));
            }
            Order::StartTlsAsClient { connection, .. } | Order::StartTlsAsServer { connection, .. } => {
                self.secure(site, connection);
            }
            Order::Resolve { query, question } => {
                let records = match &question {
                    Question::Srv(name) | Question::Addresses(name) => self.zone.get(name),
                    Question::Naptr(_) | Question::Tlsa(_) | Question::Validated(_) => None,
                };
                let answer = records.map(|records| Answer { records: records.clone(), secure: false });
                let answer = answer.ok_or(DnsFailure::NoSuchName);
                self.events.push_back((site, Event::Resolved { query, answer }));
            }
            Order::Pause { connection } => {
                self.sites[site].paused.insert(connection);
            }
            Order::Resume { connection } => {
                self.sites[site].paused.remove(&connection);
            }
            Order::SendDatagram { .. } => panic!("a proxy sends no datagrams"),
        }
    }

    fn connect(&mut self, site: usize, connection: ConnectionId, to: Remote) {
        let Remote::Address(address) = to else { panic!("a proxy dials addresses") };
        self.dialled.push(address);
        let other = self.sites.iter().position(|other| other.addresses.contains(&address.ip()));
        match other {
            Some(other) if self.blackholes.contains(&other) => {}
            Some(other) if address.port() == 5269 => {
                self.accepted += 1;
                let accepted = ConnectionId::accepted(self.accepted);
                let from = format!("8.8.8.{}:40000", site + 1).parse().unwrap();
                let remote = Remote::Address(from);
                self.wires
                    .push(Wire { ends: [(site, connection), (other, accepted)], securing: BTreeSet::new() });
                let listener = ListenerId(0);
                let event =
                    Event::Accepted { connection: accepted, listener, local: None, remote, tls: None };
                self.events.push_back((other, event));
                self.events.push_back((site, Event::Connected { connection, local: None, tls: None }));
            }
            _ => {
                let reason = "connection refused".to_string();
                let event = Event::ConnectFailed { connection, stage: Stage::Tcp, reason };
                self.events.push_back((site, event));
            }
        }
    }

    fn other_end(&self, site: usize, connection: ConnectionId) -> Option<(usize, ConnectionId)> {
        let wire = self.wires.iter().find(|wire| wire.ends.contains(&(site, connection)))?;
        wire.ends.into_iter().find(|end| *end != (site, connection))
    }

    fn secure(&mut self, site: usize, connection: ConnectionId) {
        let is_trusted = self.is_trusted;
        let Some(wire) = self.wires.iter_mut().find(|wire| wire.ends.contains(&(site, connection))) else {
            return;
        };
        wire.securing.insert(site);
        if wire.securing.len() == 2 {
            let [one, other] = wire.ends;
            for ((site, connection), (peer, _)) in [(one, other), (other, one)] {
                let facts = facts(&self.sites[peer].domain, is_trusted);
                self.events.push_back((site, Event::TlsStarted { connection, facts }));
            }
        }
    }

    fn carry_link(&mut self, site: usize, output: LinkOutput) {
        match output {
            LinkOutput::Connect if self.sites[site].is_link_cut => {
                self.sites[site].gateway.handle_closed(Some("cable cut".into()), self.now);
            }
            LinkOutput::Connect => {
                self.accepted += 1;
                let connection = ConnectionId::accepted(self.accepted);
                self.sites[site].link = Some(connection);
                let remote = Remote::InProcess;
                let event =
                    Event::Accepted { connection, listener: ListenerId(9), local: None, remote, tls: None };
                self.sites[site].proxy.handle_event(event, self.now);
                self.sites[site].gateway.handle_connected(self.now);
            }
            LinkOutput::Send(bytes) => {
                if let Some(connection) = self.sites[site].link {
                    self.events.push_back((site, Event::Bytes { connection, bytes: Bytes::from(bytes) }));
                }
            }
            LinkOutput::Close => {
                if let Some(connection) = self.sites[site].link.take() {
                    self.events.push_back((site, Event::Closed { connection, reason: None }));
                }
            }
            LinkOutput::Stanza { n, stanza } => {
                if self.sites[site].is_diligent {
                    self.sites[site].gateway.settle(n, self.now);
                }
                self.sites[site].received.push((n, stanza));
            }
            LinkOutput::Settled(id) => self.sites[site].settled.push(id),
            LinkOutput::Partners(table) => self.sites[site].partners = table,
            LinkOutput::Broken(domain) => self.sites[site].broken.push(domain),
            LinkOutput::Up { .. } | LinkOutput::Down(_) => {}
        }
    }
}

impl Site {
    fn new(own: &str, settings: Settings, place: usize) -> Self {
        let seed = [u8::try_from(place).unwrap() + 1; 32];
        Self {
            domain: own.into(),
            proxy: Proxy::new(settings, Ids::random(seed)),
            gateway: Dialer::new(LinkSettings::default(), Ids::random(seed)),
            notices: Vec::new(),
            received: Vec::new(),
            settled: Vec::new(),
            partners: PartnerTable::default(),
            broken: Vec::new(),
            is_diligent: true,
            paused: BTreeSet::new(),
            addresses: vec![format!("8.8.8.{}", place + 1).parse().unwrap()],
            link: None,
            is_link_cut: false,
        }
    }

    /// The ids of what reached the gateway, errors marked.
    pub fn received_ids(&self) -> Vec<String> {
        let id = |stanza: &Element| {
            let error = stanza.child("error", ns::SERVER).and_then(|error| error.elements().next());
            let error = error.map(|condition| format!(" {}", condition.name())).unwrap_or_default();
            format!("{}{error}", stanza.attr("id").unwrap_or_default())
        };
        self.received.iter().map(|(_, stanza)| id(stanza)).collect()
    }

    #[track_caller]
    pub fn assert_notice(&self, words: &str) {
        assert!(
            self.notices.iter().any(|notice| notice.contains(words)),
            "{words:?} is not in {:#?}",
            self.notices
        );
    }
}

pub fn name(place: usize) -> String {
    format!("{}.example", ["a", "b", "c", "d"][place])
}

fn facts(of: &str, is_trusted: bool) -> Box<TlsFacts> {
    let trust =
        if is_trusted { TrustVerdict::Trusted } else { TrustVerdict::Untrusted("unknown issuer".into()) };
    memory::handshake(PeerCertificate { trust, ..memory::certificate(&[of]) })
}
