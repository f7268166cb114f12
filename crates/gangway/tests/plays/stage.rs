//! The program as the stage of one play.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use clock_types::Ids;
use net::ListenerKind;
use net::throwaway::free_addresses;
use net_types::{Identity, ListenerId, TlsClient, TlsServer, Trust};
use peer_role::play::{Fault, Heard, Play, SipLines, Stage};
use peer_role::{Acks, Proves, Said, SipActor, SipActorSettings, Stanzas, XmppServer, XmppSettings};
use sip_proto::endpoint::Transport;
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::stanza;
use xmpp_types::xml::Element;

use crate::house::{Addresses, House, POOL};
use crate::peers::{Running, XmppWish, bind, bind_at};
use crate::support::host;

/// The program between the servers of a play.
pub struct RealStage {
    // Dropped first, so that nobody dials one who is gone.
    house: House,
    servers: BTreeMap<DomainName, Running<XmppServer>>,
    sip: Running<SipActor>,
    heard: Receiver<(Instant, Said)>,
    waiting: VecDeque<(Instant, Said)>,
    start: Instant,
    notes: String,
    /// Where the SIP server listens.
    address: String,
}

impl RealStage {
    /// Starts the program and the servers of a play, and waits until they are joined.
    pub fn new(play: &Play, domains: &BTreeSet<DomainName>) -> Result<Self, String> {
        let transport = match play.setting("transport") {
            None | Some("tcp") => Transport::Tcp,
            Some("udp" | "udp-only") => Transport::Udp,
            Some("tls") => Transport::Tls,
            Some(other) => return Err(format!("SIP does not go over {other} here")),
        };
        let host = host();
        let kind = match transport {
            Transport::Udp => ListenerKind::Udp { buffer: 1 << 16 },
            Transport::Tcp => ListenerKind::Tcp,
            Transport::Tls => {
                let server = TlsServer { identity: Identity(POOL.into()), trust: Trust("all".into()) };
                ListenerKind::DirectTls { server, alpn: Vec::new() }
            }
        };
        let sip_socket = bind(host, kind)?;
        let mut sip_sockets = Vec::new();
        if play.setting("transport") == Some("udp") {
            let address = sip_socket.local_address();
            sip_sockets.push(bind_at(address, ListenerId(1), ListenerKind::Tcp)?);
        }
        let mut sockets = BTreeMap::new();
        for domain in domains {
            sockets.insert(domain.clone(), bind(host, ListenerKind::Tcp)?);
        }
        let [proxy, gateway] = free_addresses(host.into()).map_err(|why| why.to_string())?;
        let addresses = Addresses {
            proxy,
            gateway,
            sip: sip_socket.local_address(),
            partners: sockets.iter().map(|(domain, bound)| (domain.clone(), bound.local_address())).collect(),
        };
        let (house, tls) = House::start(play, &addresses)?;
        let (tell, heard) = mpsc::channel();
        let ids = || Ids::random(net::clock::seed());
        let mut servers = BTreeMap::new();
        for (domain, bound) in sockets {
            let server = XmppServer::new(settings(&domain, &addresses), ids());
            servers.insert(domain, Running::start(server, vec![bound], &tls, teller(&tell))?);
        }
        let settings = SipActorSettings {
            transport,
            sent_by: addresses.sip.to_string(),
            gateway: addresses.gateway,
            tls: (transport == Transport::Tls).then(pool_towards_gateway),
        };
        sip_sockets.insert(0, sip_socket);
        let sip = Running::start(SipActor::new(settings, ids()), sip_sockets, &tls, teller(&tell))?;
        let (waiting, start, notes) = (VecDeque::new(), Instant::now(), String::new());
        let address = addresses.sip.to_string();
        let mut stage = Self { house, servers, sip, heard, waiting, start, notes, address };
        stage.greet()?;
        stage.start = Instant::now();
        Ok(stage)
    }

    /// Opens the streams with a ping from each domain, so that a play's times are its own.
    fn greet(&mut self) -> Result<(), String> {
        let gateway = Jid::parse("s.example").expect("it is an address");
        for (domain, server) in &self.servers {
            let from = Jid::parse(domain.as_str()).expect("a domain is an address");
            server.wish(XmppWish::Send(Box::new(stanza::ping(GREETING, &from, &gateway))));
        }
        let mut missing = self.servers.len();
        let deadline = Instant::now() + Duration::from_secs(30);
        while missing > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok((_, Said::Stanza(stanza))) if stanza.attr("id") == Some(GREETING) => missing -= 1,
                Ok((_, said)) => {
                    let _ = writeln!(self.notes, "  {said}");
                }
                Err(_) => return Err(format!("the streams are not open\n{}", self.log())),
            }
        }
        Ok(())
    }

    /// Returns what the servers and the program have said about their connections.
    pub fn log(&self) -> String {
        format!("{}{}", self.notes, self.house.log())
    }

    fn acknowledge(&self, acks: Acks) {
        for server in self.servers.values() {
            server.wish(XmppWish::Acknowledge(acks));
        }
    }
}

impl Stage for RealStage {
    fn names(&self) -> Vec<(String, String)> {
        vec![("sip".to_owned(), self.address.clone())]
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn pass(&mut self, at_most: Duration) {
        self.waiting.extend(self.heard.recv_timeout(at_most));
    }

    fn poll_heard(&mut self) -> Option<(Duration, Heard)> {
        self.waiting.extend(self.heard.try_iter());
        while let Some((at, said)) = self.waiting.pop_front() {
            let at = at.saturating_duration_since(self.start);
            match said {
                Said::Stanza(stanza) => return Some((at, Heard::Stanza(stanza))),
                Said::Message { link, message } => return Some((at, Heard::Sip(link, message))),
                Said::Complaint(words) => return Some((at, Heard::Complaint(words))),
                other => {
                    let _ = writeln!(self.notes, "  after {at:?}: {other}");
                }
            }
        }
        None
    }

    fn say_stanza(&mut self, stanza: Element) {
        let from = stanza.attr("from").and_then(|from| Jid::parse(from).ok());
        let server = from.and_then(|from| self.servers.get(from.domain()));
        let server = server.expect("a server stands there for every domain that the play names");
        server.wish(XmppWish::Send(Box::new(stanza)));
    }

    fn say_sip(&mut self, lines: SipLines) {
        self.sip.wish(lines);
    }

    fn fail(&mut self, fault: Fault) {
        match fault {
            Fault::RestartGateway => self.house.restart().expect("it started once"),
            Fault::StopGateway => self.house.stop().expect("it runs"),
            Fault::StartGateway => self.house.start_again().expect("it started once"),
            Fault::HoldAcks => self.acknowledge(Acks::Withheld),
            Fault::ReleaseAcks => self.acknowledge(Acks::Counted),
            _ => panic!("a play with such a step is not performed here"),
        }
    }
}

fn teller(tell: &Sender<(Instant, Said)>) -> impl FnMut(Said) + Send + 'static {
    let tell = tell.clone();
    // When the play is over nobody hears any more.
    move |said| drop(tell.send((Instant::now(), said)))
}

fn settings(domain: &DomainName, addresses: &Addresses) -> XmppSettings {
    let (identity, trust) = (Identity(domain.to_ascii().into()), Trust("all".into()));
    let mut settings = XmppSettings::new(domain.clone(), identity, trust);
    let ours = DomainName::parse("s.example").expect("it is a domain");
    settings.hosts = BTreeMap::from([(ours, addresses.proxy.to_string())]);
    settings.stanzas = Stanzas::Told;
    settings.proves = Proves::Certificate;
    settings
}

fn pool_towards_gateway() -> TlsClient {
    TlsClient {
        name: "s.example".to_owned(),
        identity: Some(Identity(POOL.into())),
        trust: Trust("all".into()),
        alpn: Vec::new(),
    }
}

/// The id of the pings before a play.
const GREETING: &str = "greeting";
