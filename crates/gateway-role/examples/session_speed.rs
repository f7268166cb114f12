//! Measures the gateway's own time per text in sessions, both ways, and the memory of an idle session.
//!
//! ```text
//! nice cargo run --release -p gateway-role --example session_speed
//! ```
//!
//! What is counted is the whole gateway: octets of the link in, octets of a TCP connection out, the answer in, the
//! settlement out; and the same the other way. What the two peers do is not counted. There is no TLS in it.

use std::net::SocketAddr;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use gateway_role::{
    AddressRange, Dialect, Gateway, Output, Peers, ProxyLink, Recovered, Settings, SipDomain,
};
use net_types::{Bytes, ConnectionId, Event, ListenerId, Order, Remote, Trust};
use sip_proto::endpoint::{self, FixedHop, Route, Transport};
use sip_types::uri::Host;
use translate::message::ToSipOptions;
use xmpp_proto::link::{
    Acceptor, AcceptorOutput, Gateway as Session, LinkSettings, PartnerKind, PartnerTable, ReceivedId,
};
use xmpp_types::jid::DomainName;
use xmpp_types::xml::{Limits, parse_document};

/// How many talk; fewer than the link holds at once.
const PAIRS: usize = 500;
const ROUNDS: usize = 100;
/// How many sessions are held besides, idle, in lots that are opened a minute apart.
const LOTS: usize = 10;
const LOT: usize = 1000;
const SIP_PEER: &str = "10.0.0.9:5060";
const LINK: ConnectionId = ConnectionId::accepted(1);

fn main() {
    let mut site = Site::new();
    for lot in 0..2 {
        (0..LOT).for_each(|n| drop(site.open(PAIRS + lot * LOT + n)));
        site.wait();
    }
    let before = resident();
    site.spent = Duration::ZERO;
    for lot in 2..LOTS {
        (0..LOT).for_each(|n| drop(site.open(PAIRS + lot * LOT + n)));
        site.wait();
    }
    let (held, sessions) = (resident().saturating_sub(before), (LOTS - 2) * LOT);
    println!("{:.1} µs per session opened", site.spent.as_micros() as f64 / sessions as f64);
    println!("{} octets of memory per idle session", held / sessions);
    let sessions: Vec<Talk> = (0..PAIRS).map(|n| site.open(n)).collect();

    site.spent = Duration::ZERO;
    for round in 0..ROUNDS {
        site.write_to_sip(round);
    }
    report("XMPP to SIP", site.spent);
    site.spent = Duration::ZERO;
    for round in 0..ROUNDS {
        site.write_to_xmpp(&sessions, round);
    }
    report("SIP to XMPP", site.spent);
}

fn report(what: &str, spent: Duration) {
    let texts = (PAIRS * ROUNDS) as f64;
    let each = spent.as_nanos() as f64 / texts;
    println!("{what}: {:.1} µs per text, {:.0} texts per CPU-second", each / 1000.0, 1e9 / each);
}

/// A session that a SIP user opened.
struct Talk {
    number: usize,
    tag: String,
}

struct Site {
    gateway: Gateway,
    proxy: Acceptor,
    session: Option<Session>,
    link: Option<ConnectionId>,
    sip: Option<ConnectionId>,
    now: Now,
    /// What the gateway sent to the SIP peer.
    sent: Vec<Bytes>,
    stanzas: Vec<ReceivedId>,
    spent: Duration,
}

impl Site {
    fn new() -> Self {
        let now = Now { moment: Moment::ZERO, date: Date::from_unix_millis(1_800_000_000_000) };
        let mut site = Self {
            gateway: Gateway::new(settings(), Recovered::default(), Ids::random([7; 32]), now),
            proxy: proxy(),
            session: None,
            link: None,
            sip: None,
            now,
            sent: Vec::new(),
            stanzas: Vec::new(),
            spent: Duration::ZERO,
        };
        site.drain();
        site
    }

    /// Lets a SIP user open a session.
    fn open(&mut self, number: usize) -> Talk {
        let body = "v=0\r\no=- 0 0 IN IP4 192.0.2.77\r\ns=session\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\n\
                    m=message 5060 sip null\r\na=accept-types:text/plain\r\n";
        let record_route = format!(
            "Record-Route: <sip:pool.s.example:5061;transport=tls;lr;ms-route-sig={}>\r\n",
            "a".repeat(400)
        );
        let contact = "Contact: <sip:bob@s.example;opaque=user:epid:Kq1;gruu>\r\n";
        let extra = format!("{record_route}{contact}Content-Type: application/sdp\r\n");
        let invite = request("INVITE", "sip:ann@x.example", number, "", 1, &extra, body);
        self.hear_sip(vec![invite]);
        let accepted = self.take_sent();
        let accepted = String::from_utf8_lossy(&accepted[0]).into_owned();
        let to = header(&accepted, "To");
        let tag = to.split_once(";tag=").map(|(_, tag)| tag.to_owned()).expect("the answer has our tag");
        let target = "sip:ann@10.0.0.2:5060";
        self.hear_sip(vec![request("ACK", target, number, &tag, 1, "", "")]);
        Talk { number, tag }
    }

    fn write_to_sip(&mut self, round: usize) {
        let session = self.session.expect("the link is up");
        for number in 0..PAIRS {
            let text = format!(
                "<message xmlns='jabber:server' from='ann{number}@x.example/desk' to='bob{number}@s.example' \
                 id='m{round}' type='chat'><body>A text of a usual length, as people write them.</body>\
                 <active xmlns='http://jabber.org/protocol/chatstates'/></message>"
            );
            let stanza = parse_document(text.as_bytes(), &Limits::AUTHENTICATED).expect("it is XML");
            self.proxy.send(session, stanza, self.now);
        }
        self.hear_proxy();
        let answers: Vec<Bytes> = self.take_sent().iter().map(answer).collect();
        assert_eq!(answers.len(), PAIRS, "every text is sent");
        self.hear_sip(answers);
        self.pass();
    }

    fn write_to_xmpp(&mut self, sessions: &[Talk], round: usize) {
        let kind = "Content-Type: text/plain; charset=UTF-8; msgr=WAAtAE0ATQBTAC0ASQBNAC0ARgBvAHIAbQBhAHQAOgAgAEYATgA9\r\n";
        let target = "sip:ann@10.0.0.2:5060";
        let texts = sessions.iter().map(|talk| {
            let number = u32::try_from(round).expect("it is few") + 2;
            let body = "A text of a usual length, as people write them.";
            request("MESSAGE", target, talk.number, &talk.tag, number, kind, body)
        });
        let texts: Vec<Bytes> = texts.collect();
        self.hear_sip(texts);
        let session = self.session.expect("the link is up");
        for n in std::mem::take(&mut self.stanzas) {
            self.proxy.settle(session, n, self.now);
        }
        self.hear_proxy();
        assert_eq!(self.take_sent().len(), PAIRS, "every text is answered");
        self.pass();
    }

    /// Lets what is remembered of requests be forgotten.
    fn wait(&mut self) {
        for _ in 0..40 {
            self.pass_for(Duration::from_secs(1));
        }
    }

    fn pass(&mut self) {
        self.pass_for(Duration::from_millis(50));
    }

    fn pass_for(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        let begin = processor_time();
        if self.gateway.poll_timeout().is_some_and(|at| at <= self.now.moment) {
            self.gateway.handle_timeout(self.now);
        }
        self.spent += processor_time() - begin;
        self.drain();
    }

    /// Octets come from the SIP peer.
    fn hear_sip(&mut self, messages: Vec<Bytes>) {
        let connection = self.sip.unwrap_or_else(|| {
            let connection = ConnectionId::accepted(77);
            let remote = Remote::Address(address());
            let event =
                Event::Accepted { connection, listener: ListenerId(0), local: None, remote, tls: None };
            self.gateway.handle_event(event, self.now);
            connection
        });
        self.sip = Some(connection);
        self.hear(connection, messages);
    }

    /// What the proxy has to say comes over the link.
    fn hear_proxy(&mut self) {
        let mut octets = Vec::new();
        while let Some(output) = self.proxy.poll_output() {
            self.of_proxy(output, &mut octets);
        }
        let Some(connection) = self.link else { return };
        self.hear(connection, octets);
    }

    /// Has the gateway take octets; only that is measured.
    fn hear(&mut self, connection: ConnectionId, octets: Vec<Bytes>) {
        let (now, mut outputs) = (self.now, Vec::with_capacity(octets.len() * 2));
        let begin = processor_time();
        for bytes in octets {
            self.gateway.handle_event(Event::Bytes { connection, bytes }, now);
            while let Some(output) = self.gateway.poll_output() {
                outputs.push(output);
            }
        }
        self.spent += processor_time() - begin;
        for output in outputs {
            self.carry_out(output);
        }
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            let mut octets = Vec::new();
            while let Some(output) = self.gateway.poll_output() {
                self.carry_out(output);
            }
            while let Some(output) = self.proxy.poll_output() {
                self.of_proxy(output, &mut octets);
            }
            let Some(connection) = self.link.filter(|_| !octets.is_empty()) else { return };
            let begin = processor_time();
            for bytes in octets {
                self.gateway.handle_event(Event::Bytes { connection, bytes }, self.now);
            }
            self.spent += processor_time() - begin;
        }
    }

    fn carry_out(&mut self, output: Output) {
        let Output::Order(order) = output else { return };
        match order {
            Order::Connect { connection, to: Remote::InProcess, .. } => {
                self.link = Some(connection);
                self.proxy.handle_accepted(LINK, self.now);
                self.gateway.handle_event(Event::Connected { connection, local: None, tls: None }, self.now);
            }
            Order::Connect { connection, .. } => {
                self.sip = Some(connection);
                self.gateway.handle_event(Event::Connected { connection, local: None, tls: None }, self.now);
            }
            Order::Send { connection, bytes } if self.link == Some(connection) => {
                self.proxy.handle_bytes(LINK, &bytes, self.now);
            }
            Order::Send { bytes, .. } => self.sent.push(bytes),
            _ => {}
        }
    }

    fn of_proxy(&mut self, output: AcceptorOutput, octets: &mut Vec<Bytes>) {
        match output {
            AcceptorOutput::Send(_, bytes) => octets.push(Bytes::from(bytes)),
            AcceptorOutput::Up { gateway, .. } => self.session = Some(gateway),
            AcceptorOutput::Stanza { n, .. } => self.stanzas.push(n),
            _ => {}
        }
    }

    fn take_sent(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.sent)
    }
}

fn proxy() -> Acceptor {
    let mut proxy = Acceptor::new(LinkSettings::default(), Ids::random([8; 32]));
    proxy.set_partners(PartnerTable::new(Some(PartnerKind::Federated)));
    proxy
}

fn request(method: &str, uri: &str, talk: usize, tag: &str, number: u32, extra: &str, body: &str) -> Bytes {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    let uri = uri.replace("sip:ann@", &format!("sip:ann{talk}@"));
    let text = format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/TCP 10.0.0.9:5060;branch=z9hG4bK-{method}-{talk}-{number}\r\n\
         Max-Forwards: 68\r\n\
         From: \"Bob\" <sip:bob{talk}@s.example>;tag=b{talk};epid=2c19aa01\r\n\
         To: <sip:ann{talk}@x.example>{tag}\r\n\
         Call-ID: call-{talk}\r\n\
         CSeq: {number} {method}\r\n\
         User-Agent: UCCAPI/16.0 OC/16.0\r\n\
         {extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Bytes::from(text)
}

fn answer(request: &Bytes) -> Bytes {
    let request = String::from_utf8_lossy(request);
    let mut text = String::from("SIP/2.0 200 OK\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        text.push_str(&format!("{name}: {}\r\n", header(&request, name)));
    }
    text.push_str("Content-Length: 0\r\n\r\n");
    Bytes::from(text)
}

fn header(message: &str, name: &str) -> String {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.expect("the header is there").to_owned()
}

fn address() -> SocketAddr {
    SIP_PEER.parse().expect("it is an address")
}

fn settings() -> Settings {
    let host = Host::parse("10.0.0.2").expect("it is a host");
    let listener = endpoint::Listener { id: ListenerId(0), transport: Transport::Tcp, host, port: 5060 };
    let mut settings = Settings::new(endpoint::Settings::new(vec![listener], None, Trust("none".into())));
    settings.proxies =
        vec![ProxyLink { name: "proxy".to_owned(), remote: Remote::InProcess, host: None, tls: None }];
    settings.domains = vec![SipDomain {
        name: DomainName::parse("s.example").expect("it is a name"),
        route: Route::fixed(FixedHop::at(Transport::Tcp, address().ip(), address().port())),
        peers: Peers { names: Vec::new(), addresses: vec![AddressRange::one(address().ip())] },
        dialect: Dialect::Microsoft,
        to_sip: ToSipOptions { profile: translate::Profile::BareAddress, ..ToSipOptions::default() },
    }];
    settings
}

/// Returns the time that this thread has had a processor: a busy machine does not disturb it much.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel keeps these");
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.expect("the first number is the time on a processor"))
}

/// Returns how much memory the process holds.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("the kernel keeps these");
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("it is a number");
    pages * 4096
}
