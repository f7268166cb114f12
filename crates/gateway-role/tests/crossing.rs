//! The gateway between a real link and SIP datagrams, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::SocketAddr;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use gateway_role::{
    AddressRange, Dialect, Gateway, NotStored, Output, Peers, ProxyLink, Record, Recovered, Settings,
    SipDomain, Ticket,
};
use net_types::{Bytes, ConnectionId, Event, ListenerId, Order, Remote, Trust};
use sip_proto::endpoint::{self, FixedHop, Route, Transport};
use sip_types::uri::Host;
use translate::message::ToSipOptions;
use xmpp_proto::link::{Acceptor, AcceptorOutput, Gateway as Session, LinkSettings, ReceivedId};
use xmpp_types::jid::DomainName;
use xmpp_types::xml::{Element, Limits, parse_document};

#[test]
fn a_text_from_sip_is_answered_200_when_the_partner_has_it() {
    let mut world = World::new();

    world.sip(MESSAGE);
    let (n, stanza) = world.expect_stanza();
    assert_eq!(stanza.attr("from"), Some("bob@s.example"));
    assert_eq!(stanza.attr("to"), Some("ann@x.example"));
    assert!(stanza.to_string().contains("<body>Hi Ann</body>"), "{stanza}");
    world.expect_no_sip();
    world.partner_has(n);

    assert!(world.expect_sip().starts_with("SIP/2.0 200 OK\r\n"));
    assert_eq!(world.records, []);
}

#[test]
fn a_partners_error_is_the_answer() {
    let mut world = World::new();
    world.sip(MESSAGE);
    let (n, stanza) = world.expect_stanza();

    let id = stanza.attr("id").unwrap().to_owned();
    world.xmpp(&format!(
        "<message xmlns='jabber:server' type='error' id='{id}' from='ann@x.example' to='bob@s.example'>\
         <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    world.partner_has(n);

    assert!(world.expect_sip().starts_with("SIP/2.0 604 "), "a bare JID's item-not-found is 604");
    world.expect_no_sip();
}

#[test]
fn an_error_from_somebody_else_changes_nothing() {
    let mut world = World::new();
    world.sip(MESSAGE);
    let (_, stanza) = world.expect_stanza();

    let id = stanza.attr("id").unwrap().to_owned();
    world.xmpp(&format!(
        "<message xmlns='jabber:server' type='error' id='{id}' from='ann@evil.example' to='bob@s.example'>\
         <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));

    world.expect_no_sip();
}

#[test]
fn a_slow_partner_means_202_from_the_disk_and_a_report_if_it_fails() {
    let mut world = World::new();
    world.sip(MESSAGE);
    let (_, stanza) = world.expect_stanza();

    world.pass(2000);
    world.expect_no_sip();
    world.disk_writes(Ok(()));
    assert!(world.expect_sip().starts_with("SIP/2.0 202 Accepted\r\n"));

    let id = stanza.attr("id").unwrap().to_owned();
    world.xmpp(&format!(
        "<message xmlns='jabber:server' type='error' id='{id}' from='ann@x.example' to='bob@s.example'>\
         <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    let report = world.expect_sip();
    assert!(report.starts_with("MESSAGE sip:bob@s.example SIP/2.0\r\n"), "{report}");
    assert!(report.contains("was not delivered"), "{report}");
    world.answer(&report, "200 OK");
    let settled = world.records.iter().filter(|(_, record)| matches!(record, Record::Settled { .. })).count();
    assert_eq!(settled, 1);
}

#[test]
fn a_full_disk_means_503_while_nothing_has_left() {
    let mut world = World::new();
    world.cut_link();
    world.sip(MESSAGE);

    world.pass(2000);
    world.disk_writes(Err(NotStored { reason: "disk full".to_owned() }));

    let answer = world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
}

#[test]
fn a_text_from_xmpp_is_settled_by_its_final_answer() {
    let mut world = World::new();

    let sent = world.xmpp(STANZA);
    let request = world.expect_sip();
    assert!(request.starts_with("MESSAGE sip:bob@s.example SIP/2.0\r\n"), "{request}");
    assert!(request.contains("\r\nFrom: <sip:ann@x.example;gr=desk>;tag="), "{request}");
    assert!(request.ends_with("\r\n\r\nIs 10:30 fine? – Ann"), "{request}");
    assert!(!world.is_settled(sent));
    world.answer(&request, "200 OK");

    assert!(world.is_settled(sent));
    assert_eq!(world.records, []);
}

#[test]
fn a_refused_text_comes_back_as_an_error_with_the_same_id() {
    let mut world = World::new();
    let sent = world.xmpp(STANZA);
    let request = world.expect_sip();

    world.answer(&request, "404 Not Found");
    let (n, error) = world.expect_stanza();
    assert_eq!(error.attr("type"), Some("error"));
    assert_eq!(error.attr("id"), Some("m1"));
    assert_eq!(error.attr("to"), Some("ann@x.example/desk"));
    assert!(error.to_string().contains("404 Not Found"), "{error}");
    assert!(!world.is_settled(sent));
    world.partner_has(n);

    assert!(world.is_settled(sent));
}

#[test]
fn a_receipt_is_earned_by_200_only() {
    for (answer, earned) in [("200 OK", true), ("202 Accepted", false)] {
        let mut world = World::new();
        world.xmpp(&STANZA.replace("<body>", "<request xmlns='urn:xmpp:receipts'/><body>"));
        let request = world.expect_sip();

        world.answer(&request, answer);

        let receipts: Vec<_> = std::mem::take(&mut world.stanzas);
        assert_eq!(receipts.len(), usize::from(earned));
        assert!(
            receipts.iter().all(|(_, stanza)| stanza
                .to_string()
                .contains("<received xmlns='urn:xmpp:receipts' id='m1'/>"))
        );
    }
}

#[test]
fn what_the_disk_keeps_is_delivered_after_a_restart_under_the_same_call_id() {
    let mut world = World::new();
    world.xmpp(STANZA);
    let first = world.expect_sip();
    world.pass(2000);
    let kept = world.records.iter().find_map(|(_, record)| match record {
        Record::Accepted(message) => Some((**message).clone()),
        Record::Failed { .. } | Record::Settled { .. } => None,
    });

    let mut world = World::after(Recovered { unsettled: vec![kept.unwrap()], settled: Vec::new() });

    let again = world.expect_sip();
    assert_eq!(header(&first, "Call-ID"), header(&again, "Call-ID"));
    assert_eq!(header(&first, "From"), header(&again, "From"));
}

#[test]
fn strangers_and_loops_are_refused() {
    let mut world = World::new();

    world.sip(&MESSAGE.replace("bob@s.example", "bob@other.example"));
    assert!(world.expect_sip().starts_with("SIP/2.0 403 "));
    world.sip_from("192.0.2.66:5060", &MESSAGE.replace("branch=z9hG4bK-1", "branch=z9hG4bK-2"));
    assert!(world.expect_sip().starts_with("SIP/2.0 403 "));
    world.sip(&MESSAGE.replace("ann@x.example", "carol@s.example").replace("z9hG4bK-1", "z9hG4bK-3"));
    assert!(world.expect_sip().starts_with("SIP/2.0 404 "));
    let back = MESSAGE.replace("ann@x.example", "carol@s.example").replace("z9hG4bK-1", "z9hG4bK-4");
    world.sip(&back.replace("From: <sip:bob@s.example>", "From: <sip:ann@x.example>"));
    assert!(world.expect_sip().starts_with("SIP/2.0 482 "));
    world.sip(&MESSAGE.replace("sip:ann@", "sips:ann@").replace("z9hG4bK-1", "z9hG4bK-5"));
    assert!(world.expect_sip().starts_with("SIP/2.0 416 "));
    world.sip(&MESSAGE.replace("Max-Forwards: 70", "Max-Forwards: 0").replace("z9hG4bK-1", "z9hG4bK-6"));
    assert!(world.expect_sip().starts_with("SIP/2.0 483 "));
    world.sip(
        &MESSAGE
            .replace("Max-Forwards: 70", "Max-Forwards: 70\r\nRequire: foo")
            .replace("z9hG4bK-1", "z9hG4bK-7"),
    );
    let answer = world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 420 ") && answer.contains("\r\nUnsupported: foo\r\n"), "{answer}");

    assert_eq!(world.stanzas, []);
}

#[test]
fn other_methods_are_answered_as_their_specifications_say() {
    let mut world = World::new();

    world.sip(&MESSAGE.replace("MESSAGE", "OPTIONS"));
    let answer = world.expect_sip();
    assert!(
        answer.starts_with("SIP/2.0 200 ") && answer.contains("\r\nAllow: MESSAGE, OPTIONS\r\n"),
        "{answer}"
    );
    world.sip(&MESSAGE.replace("MESSAGE", "SERVICE").replace("z9hG4bK-1", "z9hG4bK-2"));
    let answer = world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 405 ") && answer.contains("\r\nAllow: "), "{answer}");
    world.sip(&MESSAGE.replace("MESSAGE", "BENOTIFY").replace("z9hG4bK-1", "z9hG4bK-3"));

    world.expect_no_sip();
}

#[test]
fn stopping_answers_keeps_and_ends() {
    let mut world = World::new();
    world.sip(MESSAGE);
    world.expect_stanza();
    let sent = world.xmpp(STANZA);
    world.expect_sip();

    world.gateway.handle_stop(world.now);
    world.drain();
    assert!(!world.stopped);
    world.sip(&MESSAGE.replace("z9hG4bK-1", "z9hG4bK-9").replace("Call-ID: c1", "Call-ID: c9"));
    assert!(world.expect_sip().starts_with("SIP/2.0 503 "));
    world.disk_writes(Ok(()));

    assert!(world.expect_sip().starts_with("SIP/2.0 202 "));
    assert!(world.is_settled(sent));
    assert!(world.stopped);
}

const MESSAGE: &str = "MESSAGE sip:ann@x.example SIP/2.0\r\n\
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

const STANZA: &str = "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' id='m1' type='chat'>\
    <body>Is 10:30 fine? – Ann</body></message>";

const SIP_PEER: &str = "10.0.0.9:5060";
const LINK: ConnectionId = ConnectionId::accepted(1);

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

/// A gateway, the proxy's end of its link, and a wire for datagrams.
struct World {
    gateway: Gateway,
    proxy: Acceptor,
    session: Option<Session>,
    dialled: Option<ConnectionId>,
    now: Now,
    sip: Vec<String>,
    stanzas: Vec<(ReceivedId, Element)>,
    settled: Vec<u64>,
    sent: u64,
    records: Vec<(Ticket, Record)>,
    stopped: bool,
}

impl World {
    fn new() -> Self {
        Self::after(Recovered::default())
    }

    fn after(recovered: Recovered) -> Self {
        let now = Now { moment: Moment::ZERO, date: Date::from_unix_millis(1_800_000_000_000) };
        let mut world = Self {
            gateway: Gateway::new(settings(), recovered, Ids::counting(), now),
            proxy: Acceptor::new(LinkSettings::default(), Ids::counting()),
            session: None,
            dialled: None,
            now,
            sip: Vec::new(),
            stanzas: Vec::new(),
            settled: Vec::new(),
            sent: 0,
            records: Vec::new(),
            stopped: false,
        };
        world.drain();
        world
    }

    /// A datagram comes from the SIP server.
    fn sip(&mut self, message: &str) {
        self.sip_from(SIP_PEER, message);
    }

    fn sip_from(&mut self, from: &str, message: &str) {
        let from: SocketAddr = from.parse().unwrap();
        let bytes = Bytes::from(message.to_owned());
        self.gateway.handle_event(Event::Datagram { socket: ListenerId(0), from, bytes }, self.now);
        self.drain();
    }

    /// The SIP server answers a request of ours.
    fn answer(&mut self, request: &str, status: &str) {
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let tag = if name == "To" { ";tag=b" } else { "" };
            answer.push_str(&format!("{name}: {}{tag}\r\n", header(request, name)));
        }
        answer.push_str("Content-Length: 0\r\n\r\n");
        self.sip(&answer);
    }

    /// A stanza comes over the link; returns its place there.
    fn xmpp(&mut self, stanza: &str) -> u64 {
        let stanza = parse_document(stanza.as_bytes(), &Limits::AUTHENTICATED).unwrap();
        self.proxy.send(self.session.unwrap(), stanza, self.now);
        self.sent += 1;
        self.drain();
        self.sent
    }

    fn is_settled(&self, sent: u64) -> bool {
        self.settled.contains(&sent)
    }

    /// The partner has acknowledged a stanza that we sent it.
    fn partner_has(&mut self, n: ReceivedId) {
        self.proxy.settle(self.session.unwrap(), n, self.now);
        self.drain();
    }

    fn cut_link(&mut self) {
        let connection = self.dialled.take().unwrap();
        let reason = Some("cut".to_owned());
        self.gateway.handle_event(Event::Closed { connection, reason }, self.now);
    }

    fn disk_writes(&mut self, outcome: Result<(), NotStored>) {
        for (ticket, record) in self.records.clone() {
            if matches!(record, Record::Accepted(_)) {
                self.gateway.handle_stored(ticket, outcome.clone(), self.now);
            }
        }
        self.drain();
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now.plus(Duration::from_millis(milliseconds));
        self.gateway.handle_timeout(self.now);
        self.drain();
    }

    #[track_caller]
    fn expect_stanza(&mut self) -> (ReceivedId, Element) {
        assert_eq!(self.stanzas.len(), 1, "{:?}", self.stanzas);
        self.stanzas.remove(0)
    }

    #[track_caller]
    fn expect_sip(&mut self) -> String {
        assert!(!self.sip.is_empty(), "nothing was sent");
        self.sip.remove(0)
    }

    #[track_caller]
    fn expect_no_sip(&self) {
        assert_eq!(self.sip, Vec::<String>::new());
    }

    fn drain(&mut self) {
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
            Output::Order(Order::Connect { connection, .. }) => {
                self.dialled = Some(connection);
                self.proxy.handle_accepted(LINK, self.now);
                let event = Event::Connected { connection, local: None, tls: None };
                self.gateway.handle_event(event, self.now);
            }
            Output::Order(Order::Send { bytes, .. }) => self.proxy.handle_bytes(LINK, &bytes, self.now),
            Output::Order(Order::SendDatagram { bytes, .. }) => {
                self.sip.push(String::from_utf8(bytes.to_vec()).unwrap());
            }
            Output::Order(Order::Close { .. }) | Output::Notice(_) => {}
            Output::Order(order) => panic!("unexpected order {order:?}"),
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

fn settings() -> Settings {
    let host = Host::parse("10.0.0.2").unwrap();
    let listener = endpoint::Listener { id: ListenerId(0), transport: Transport::Udp, host, port: 5060 };
    let mut settings = Settings::new(endpoint::Settings::new(vec![listener], None, Trust("none".into())));
    settings.proxies = vec![ProxyLink { name: "proxy".to_owned(), remote: Remote::InProcess, tls: None }];
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
