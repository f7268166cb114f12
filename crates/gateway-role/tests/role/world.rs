//! A gateway between a real link and SIP datagrams, in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use gateway_role::{
    AddressRange, Dialect, Gateway, NotStored, Notice, Output, Peers, ProxyLink, Record, Recovered, Settings,
    SipDomain, Ticket, WatchDirection, WatchRecord,
};
use net_types::{Bytes, ConnectionId, Event, ListenerId, Order, Remote, Trust};
use sip_proto::endpoint::{self, FixedHop, Route, Transport};
use sip_types::uri::Host;
use translate::message::ToSipOptions;
use xmpp_proto::link::{
    Acceptor, AcceptorOutput, Gateway as Session, LinkSettings, PartnerKind, PartnerTable, ReceivedId,
};
use xmpp_types::jid::DomainName;
use xmpp_types::xml::{Element, Limits, parse_document};

pub const MESSAGE: &str = "MESSAGE sip:ann@x.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-1;rport\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:bob@s.example>;tag=t1\r\n\
    To: <sip:ann@x.example>\r\n\
    Call-ID: c1\r\n\
    CSeq: 1 MESSAGE\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 6\r\n\
    \r\n\
    Hi Ann";

pub const STANZA: &str = "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' id='m1' type='chat'>\
    <body>Is 10:30 fine? – Ann</body></message>";

const SIP_PEER: &str = "10.0.0.9:5060";
const LINK: ConnectionId = ConnectionId::accepted(1);

pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

/// A gateway, the proxy's end of its link, and a wire for datagrams.
pub struct World {
    pub gateway: Gateway,
    pub proxy: Acceptor,
    pub session: Option<Session>,
    pub dialled: Option<ConnectionId>,
    pub now: Now,
    pub sip: Vec<String>,
    /// What was sent on a connection beside the link's.
    pub wire: Vec<String>,
    /// Which one was dialled.
    pub wired: Option<ConnectionId>,
    pub stanzas: Vec<(ReceivedId, Element)>,
    pub settled: Vec<u64>,
    pub sent: u64,
    pub records: Vec<(Ticket, Record)>,
    /// What the disk has, as far as nobody has looked.
    pub stored: Vec<Record>,
    pub stopped: bool,
    pub notices: Vec<Notice>,
}

impl World {
    pub fn new() -> Self {
        Self::after(Recovered::default())
    }

    pub fn after(recovered: Recovered) -> Self {
        Self::with(settings(), recovered)
    }

    pub fn with(settings: Settings, recovered: Recovered) -> Self {
        let now = Now { moment: Moment::ZERO, date: Date::from_unix_millis(1_800_000_000_000) };
        let mut world = Self {
            gateway: Gateway::new(settings, recovered, Ids::counting(), now),
            proxy: proxy(),
            session: None,
            dialled: None,
            now,
            sip: Vec::new(),
            wire: Vec::new(),
            wired: None,
            stanzas: Vec::new(),
            settled: Vec::new(),
            sent: 0,
            records: Vec::new(),
            stored: Vec::new(),
            stopped: false,
            notices: Vec::new(),
        };
        world.drain();
        world
    }

    /// A datagram comes from the SIP server.
    pub fn sip(&mut self, message: &str) {
        self.sip_from(SIP_PEER, message);
    }

    pub fn sip_from(&mut self, from: &str, message: &str) {
        let from: SocketAddr = from.parse().unwrap();
        let bytes = Bytes::from(message.to_owned());
        self.gateway.handle_event(Event::Datagram { socket: ListenerId(0), from, bytes }, self.now);
        self.drain();
    }

    /// The SIP server answers a request of ours.
    pub fn answer(&mut self, request: &str, status: &str) {
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let tag = if name == "To" { ";tag=b" } else { "" };
            answer.push_str(&format!("{name}: {}{tag}\r\n", header(request, name)));
        }
        answer.push_str("Content-Length: 0\r\n\r\n");
        self.sip(&answer);
    }

    /// A stanza comes over the link; returns its place there.
    pub fn xmpp(&mut self, stanza: &str) -> u64 {
        let stanza = parse_document(stanza.as_bytes(), &Limits::AUTHENTICATED).unwrap();
        self.proxy.send(self.session.unwrap(), stanza, self.now);
        self.sent += 1;
        self.drain();
        self.sent
    }

    /// The proxy says from now on how far its partners are believed.
    pub fn believe(&mut self, kind: PartnerKind) {
        self.proxy.set_partners(PartnerTable::new(Some(kind)));
        self.drain();
    }

    /// A stream between the proxy and a partner broke.
    pub fn breaks(&mut self, domain: &str) {
        self.proxy.announce_broken(&DomainName::parse(domain).unwrap());
        self.drain();
    }

    pub fn is_settled(&self, sent: u64) -> bool {
        self.settled.contains(&sent)
    }

    /// The partner has acknowledged a stanza that we sent it.
    pub fn partner_has(&mut self, n: ReceivedId) {
        self.proxy.settle(self.session.unwrap(), n, self.now);
        self.drain();
    }

    pub fn cut_link(&mut self) {
        let connection = self.dialled.take().unwrap();
        let reason = Some("cut".to_owned());
        self.gateway.handle_event(Event::Closed { connection, reason }, self.now);
    }

    /// The proxy's process ends, and another one begins; the gateway dials it after a while.
    pub fn restart_proxy(&mut self) {
        self.proxy = proxy();
        self.session = None;
        self.cut_link();
        self.drain();
    }

    pub fn disk_writes(&mut self, outcome: Result<(), NotStored>) {
        for (ticket, record) in self.records.clone() {
            if matches!(record, Record::Accepted(_)) {
                self.gateway.handle_stored(ticket, outcome.clone(), self.now);
            }
        }
        self.drain();
    }

    /// The disk is full: it takes nothing of what it was given.
    pub fn refuse_records(&mut self) {
        for (ticket, _) in std::mem::take(&mut self.records) {
            let refusal = Err(NotStored { reason: "disk full".to_owned() });
            self.gateway.handle_stored(ticket, refusal, self.now);
        }
        self.drain();
    }

    /// The disk has everything that it was given, in order; returns it.
    /// The disk has everything; returns what it got since this was asked before.
    pub fn all_is_stored(&mut self) -> Vec<Record> {
        self.store();
        std::mem::take(&mut self.stored)
    }

    /// The disk has everything.
    pub fn store(&mut self) {
        for (ticket, record) in std::mem::take(&mut self.records) {
            self.stored.push(record);
            self.gateway.handle_stored(ticket, Ok(()), self.now);
        }
        self.drain();
    }

    pub fn pass(&mut self, milliseconds: u64) {
        self.now = self.now.plus(Duration::from_millis(milliseconds));
        self.gateway.handle_timeout(self.now);
        self.drain();
    }

    #[track_caller]
    pub fn expect_stanza(&mut self) -> (ReceivedId, Element) {
        assert_eq!(self.stanzas.len(), 1, "{:?}", self.stanzas);
        self.stanzas.remove(0)
    }

    #[track_caller]
    pub fn expect_sip(&mut self) -> String {
        assert!(!self.sip.is_empty(), "nothing was sent");
        self.sip.remove(0)
    }

    #[track_caller]
    pub fn expect_no_sip(&self) {
        assert_eq!(self.sip, Vec::<String>::new());
    }

    pub fn drain(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.gateway.poll_output() {
                quiet = false;
                self.carry_out(output);
            }
            while let Some(output) = self.proxy.poll_output() {
                quiet = false;
                self.hear_proxy(output);
            }
            if quiet {
                return;
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Order(Order::Connect { connection, to: Remote::Address(to), .. }) => {
                self.wire.push(format!("connect {to}"));
                self.wired = Some(connection);
            }
            Output::Order(Order::Connect { connection, .. }) => {
                self.dialled = Some(connection);
                self.proxy.handle_accepted(LINK, self.now);
                let event = Event::Connected { connection, local: None, tls: None };
                self.gateway.handle_event(event, self.now);
            }
            Output::Order(Order::Send { connection, bytes }) if self.dialled != Some(connection) => {
                self.wire.push(String::from_utf8(bytes.to_vec()).unwrap());
            }
            Output::Order(Order::Send { bytes, .. }) => self.proxy.handle_bytes(LINK, &bytes, self.now),
            Output::Order(Order::SendDatagram { bytes, .. }) => {
                self.sip.push(String::from_utf8(bytes.to_vec()).unwrap());
            }
            Output::Order(Order::Close { .. }) => {}
            Output::Notice(notice) => self.notices.push(notice),
            Output::Order(order) => panic!("unexpected order {order:?}"),
            // What names a dialog is on disk before anybody hears of it, which is no test's concern.
            Output::Record { ticket, record } if is_dialog_of_sip(&record) => {
                self.records.push((ticket, record));
                self.gateway.handle_stored(ticket, Ok(()), self.now);
            }
            Output::Record { ticket, record } => self.records.push((ticket, record)),
            Output::Stopped => self.stopped = true,
        }
    }

    fn hear_proxy(&mut self, output: AcceptorOutput) {
        match output {
            AcceptorOutput::Send(_, bytes) => {
                if let Some(connection) = self.dialled {
                    let bytes = Bytes::from(bytes);
                    self.gateway.handle_event(Event::Bytes { connection, bytes }, self.now);
                }
            }
            AcceptorOutput::Up { gateway, .. } => self.session = Some(gateway),
            AcceptorOutput::Stanza { n, stanza, .. } => self.stanzas.push((n, stanza)),
            AcceptorOutput::Settled(_, id) => self.settled.push(id.0),
            AcceptorOutput::Close(_)
            | AcceptorOutput::Down(..)
            | AcceptorOutput::Lost(..)
            | AcceptorOutput::Refused(..) => {}
        }
    }
}

fn is_dialog_of_sip(record: &Record) -> bool {
    let Record::Watch(record) = record else { return false };
    matches!(**record, WatchRecord::Dialog { direction: WatchDirection::Inward, .. })
}

fn proxy() -> Acceptor {
    let mut proxy = Acceptor::new(LinkSettings::default(), Ids::counting());
    proxy.set_partners(PartnerTable::new(Some(PartnerKind::Federated)));
    proxy
}

pub fn settings() -> Settings {
    let host = Host::parse("10.0.0.2").unwrap();
    let listener = endpoint::Listener { id: ListenerId(0), transport: Transport::Udp, host, port: 5060 };
    let mut settings = Settings::new(endpoint::Settings::new(vec![listener], None, Trust("none".into())));
    settings.proxies =
        vec![ProxyLink { name: "proxy".to_owned(), remote: Remote::InProcess, host: None, tls: None }];
    let peer: SocketAddr = SIP_PEER.parse().unwrap();
    settings.domains = vec![SipDomain {
        name: DomainName::parse("s.example").unwrap(),
        route: Route::fixed(FixedHop::at(Transport::Udp, peer.ip(), peer.port())),
        peers: Peers { names: Vec::new(), addresses: vec![AddressRange::one(peer.ip())] },
        dialect: Dialect::PageMode,
        to_sip: ToSipOptions { datagram: true, ..ToSipOptions::default() },
    }];
    settings
}
