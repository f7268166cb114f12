//! A partner that says what its script says, and the test run against it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{
    Answer, Bytes, ConnectionId, Event, Failure as DnsFailure, Identity, Order, PeerCertificate, Question,
    Record, Remote, Stage as NetStage, TlsFacts, Trust, memory,
};
use proxy_role::{Finding, Outcome, Partner, Probe, ProbeOutput as Output, Served, Settings, Verdict};
use xmpp_proto::failure::Stage;
use xmpp_types::jid::DomainName;

/// What the partner answers, each once it has heard the words before it.
pub type Script<'a> = &'a [(&'static str, &'static str)];

pub const GOOD: Script = &[
    (
        "<stream:stream",
        "HEADER<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    ),
    ("<starttls", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ("<stream:stream", "HEADERMECHANISMS"),
    ("<auth", "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
    ("<stream:stream", "HEADER<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>"),
    ("<enable", "<enabled xmlns='urn:xmpp:sm:3'/>"),
    ("<r", "<a xmlns='urn:xmpp:sm:3' h='1'/>"),
];

/// One partner, and the settings that it is tested with.
pub struct Setting {
    settings: Settings,
    tested: DomainName,
    zone: BTreeMap<String, Vec<Record>>,
    /// The name of which somebody forges the answers.
    forged: Option<String>,
    is_resolver_silent: bool,
    refusing: BTreeSet<IpAddr>,
    broken_handshakes: usize,
    certificate: PeerCertificate,
    script: Vec<(&'static str, &'static str)>,
}

/// What came of a test.
#[derive(Debug)]
pub struct Run {
    pub findings: Vec<Finding>,
    pub verdict: Verdict,
    pub asked: Vec<Question>,
    pub sent: String,
    pub open_at_end: usize,
}

/// Returns a partner in good order.
pub fn partner() -> Setting {
    let zone = [
        ("_xmpp-server._tcp.partner.example", vec![srv(5269)]),
        ("xmpp.partner.example", vec![Record::Address([192, 0, 2, 1].into())]),
    ];
    Setting {
        settings: settings(),
        tested: domain("partner.example"),
        zone: zone.map(|(name, records)| (name.to_owned(), records)).into(),
        forged: None,
        is_resolver_silent: false,
        refusing: BTreeSet::new(),
        broken_handshakes: 0,
        certificate: certificate(),
        script: GOOD.to_vec(),
    }
}

/// Returns our own settings, with one partner.
pub fn settings() -> Settings {
    // The addresses of documentation are not public ones.
    let partner = Partner { allow_private_addresses: true, ..Partner::new(domain("partner.example")) };
    let served = Served { domain: domain("us.example"), identity: Identity("us".into()) };
    Settings::in_process(served, vec![partner], Trust("public".into()))
}

pub fn today() -> Date {
    Date::from_unix_millis(1_800_000_000_000)
}

impl Setting {
    pub fn of(mut self, tested: &str) -> Self {
        self.tested = domain(tested);
        self
    }

    /// Signs the zone, with this record of the server's certificate in it.
    pub fn signed(mut self, usage: u8, data: &[u8]) -> Self {
        let record = Record::Tlsa { usage, selector: 0, matching: 0, data: data.to_vec() };
        self.zone.insert("_5269._tcp.xmpp.partner.example".into(), vec![record]);
        self.with(|partner| partner.dane = true)
    }

    /// Lets a web server answer this.
    pub fn web(mut self, answer: &'static str) -> Self {
        self.zone.insert("partner.example".into(), vec![Record::Address([192, 0, 2, 2].into())]);
        self.script.insert(0, ("GET /.well-known/posh/xmpp-server.json HTTP/1.1", answer));
        self.with(|partner| partner.posh = true)
    }

    pub fn forged(mut self, name: &str) -> Self {
        self.forged = Some(name.to_owned());
        self
    }

    pub fn with(mut self, change: impl Fn(&mut Partner)) -> Self {
        change(&mut self.settings.partners[0]);
        self
    }

    pub fn secret(mut self, secret: &str) -> Self {
        self.settings.dialback_secret = Some(secret.into());
        self
    }

    pub fn zone(mut self, zone: &[(&str, Vec<Record>)]) -> Self {
        self.zone = zone.iter().map(|(name, records)| ((*name).to_owned(), records.clone())).collect();
        self
    }

    pub fn address(mut self, address: &str) -> Self {
        self.settings.partners[0].allow_private_addresses = false;
        self.zone.insert(
            "xmpp.partner.example".into(),
            vec![Record::Address(address.parse().expect("an address"))],
        );
        self
    }

    pub fn more_addresses(mut self, addresses: &[&str]) -> Self {
        let more = addresses.iter().map(|address| Record::Address(address.parse().expect("an address")));
        self.zone.get_mut("xmpp.partner.example").expect("it has some").extend(more);
        self
    }

    pub fn direct_tls(mut self) -> Self {
        self.zone.clear();
        self.zone.insert("_xmpps-server._tcp.partner.example".into(), vec![srv(5270)]);
        self.zone.insert("xmpp.partner.example".into(), vec![Record::Address([192, 0, 2, 1].into())]);
        self.script.drain(..2);
        self
    }

    pub fn silent_resolver(mut self) -> Self {
        self.is_resolver_silent = true;
        self
    }

    pub fn refusing(mut self, addresses: &[&str]) -> Self {
        self.refusing = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        self
    }

    /// The first handshakes come to nothing; the script begins again after each.
    pub fn handshakes_break(mut self, count: usize) -> Self {
        self.broken_handshakes = count;
        let again: Vec<_> = std::iter::repeat_n(&GOOD[..2], count).flatten().copied().collect();
        self.script.splice(..0, again);
        self
    }

    pub fn certificate(mut self, change: impl Fn(&mut PeerCertificate)) -> Self {
        change(&mut self.certificate);
        self
    }

    pub fn says(mut self, script: Script<'_>) -> Self {
        self.script = script.to_vec();
        self
    }

    /// Runs the test to its end; every answer takes 20 ms.
    pub fn test(self) -> Run {
        let mut now = Now { moment: Moment::ZERO, date: today() };
        let probe = Probe::new(self.settings.clone(), self.tested.clone(), None, Ids::counting(), now);
        let mut theatre = Theatre {
            script: self.script.clone().into(),
            heard: String::new(),
            events: VecDeque::new(),
            open: BTreeSet::new(),
            broken: 0,
            partner: self,
            probe,
            run: Vec::new(),
            verdict: None,
            asked: Vec::new(),
            sent: String::new(),
        };
        for _ in 0..10_000 {
            theatre.drain();
            if let Some(verdict) = theatre.verdict.take() {
                return Run {
                    findings: theatre.run,
                    verdict,
                    asked: theatre.asked,
                    sent: theatre.sent,
                    open_at_end: theatre.open.len(),
                };
            }
            let events = std::mem::take(&mut theatre.events);
            if events.is_empty() {
                let next = theatre.probe.poll_timeout().expect("the test waits for something");
                now = now.plus(next.since(now.moment));
                theatre.probe.handle_timeout(now);
                continue;
            }
            now = now.plus(Duration::from_millis(20));
            for event in events {
                theatre.probe.handle_event(event, now);
                theatre.drain();
            }
        }
        panic!("the test does not end: {:?}", theatre.run);
    }
}

/// The test and its partner, face to face.
struct Theatre {
    partner: Setting,
    probe: Probe,
    script: VecDeque<(&'static str, &'static str)>,
    /// What was sent and not answered yet.
    heard: String,
    events: VecDeque<Event>,
    open: BTreeSet<ConnectionId>,
    broken: usize,
    run: Vec<Finding>,
    verdict: Option<Verdict>,
    asked: Vec<Question>,
    sent: String,
}

impl Theatre {
    fn drain(&mut self) {
        while let Some(output) = self.probe.poll_output() {
            assert!(self.verdict.is_none(), "nothing comes after the verdict: {output:?}");
            match output {
                Output::Finding(finding) => self.run.push(finding),
                Output::Verdict(verdict) => self.verdict = Some(verdict),
                Output::Order(order) => self.obey(order),
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Resolve { query, question } => {
                self.asked.push(question.clone());
                if !self.partner.is_resolver_silent {
                    let answer = self.resolve(&question);
                    self.events.push_back(Event::Resolved { query, answer });
                }
            }
            Order::Connect { connection, tls: Some(_), .. } => {
                let mut facts = self.facts();
                facts.peer = Some(Arc::new(certificate()));
                self.open.insert(connection);
                self.events.push_back(Event::Connected { connection, local: None, tls: Some(facts) });
            }
            Order::Connect { connection, to: Remote::Address(to), .. } => self.connect(connection, to),
            Order::StartTlsAsClient { connection, .. } => {
                self.broken += 1;
                self.heard.clear();
                self.events.push_back(if self.broken > self.partner.broken_handshakes {
                    Event::TlsStarted { connection, facts: self.facts() }
                } else {
                    self.open.remove(&connection);
                    Event::Closed { connection, reason: Some("no common cipher suite".into()) }
                });
            }
            Order::Send { connection, bytes } => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.heard.push_str(&text);
                self.sent.push_str(&text);
                self.answer(connection);
            }
            Order::Close { connection } => {
                self.open.remove(&connection);
                self.events.retain(|event| !is_of(event, connection));
            }
            other => panic!("a test has no use for {other:?}"),
        }
    }

    fn resolve(&self, question: &Question) -> Result<Answer, DnsFailure> {
        let (question, secure) = match question {
            Question::Validated(question) => (&**question, true),
            question => (question, false),
        };
        let (Question::Addresses(name) | Question::Srv(name) | Question::Tlsa(name)) = question else {
            panic!("{question:?}")
        };
        if self.partner.forged.as_ref() == Some(name) {
            return Err(DnsFailure::Bogus("DNSSEC validation failed".into()));
        }
        let records = self.partner.zone.get(name).cloned().ok_or(DnsFailure::NoSuchName)?;
        Ok(Answer { records, secure })
    }

    fn connect(&mut self, connection: ConnectionId, to: SocketAddr) {
        self.events.push_back(if self.partner.refusing.contains(&to.ip()) {
            let reason = "connection refused".into();
            Event::ConnectFailed { connection, stage: NetStage::Tcp, reason }
        } else {
            self.open.insert(connection);
            Event::Connected { connection, local: None, tls: None }
        });
    }

    fn answer(&mut self, connection: ConnectionId) {
        while let Some((needle, words)) = self.script.front().copied() {
            let Some(at) = self.heard.find(needle) else { return };
            self.heard.drain(..at + needle.len());
            self.script.pop_front();
            let words = words.replace("HEADER", HEADER).replace("MECHANISMS", MECHANISMS);
            let text = words.trim_end_matches("CLOSE");
            let bytes = Bytes::from(text.to_owned());
            self.events.push_back(Event::Bytes { connection, bytes });
            if text.len() < words.len() {
                self.heard.clear();
                self.events.push_back(Event::Closed { connection, reason: None });
            }
        }
    }

    fn facts(&self) -> Box<TlsFacts> {
        memory::handshake(self.partner.certificate.clone())
    }
}

fn is_of(event: &Event, of: ConnectionId) -> bool {
    match event {
        Event::Bytes { connection, .. } | Event::Closed { connection, .. } => *connection == of,
        _ => false,
    }
}

impl Run {
    pub fn failed_at(&self) -> Option<Stage> {
        self.verdict.failure.as_ref().map(|failure| failure.stage)
    }

    #[track_caller]
    pub fn outcome_of(&self, stage: Stage) -> Outcome {
        self.findings.iter().find(|finding| finding.stage == stage).expect("it came to that stage").outcome
    }

    /// Asserts that these stages and no others were gone through, each with a line that has these words.
    #[track_caller]
    pub fn expect(&self, wanted: &[(Stage, Outcome, &str)]) {
        let stages: Vec<_> = self.findings.iter().map(|finding| (finding.stage, finding.outcome)).collect();
        let expected: Vec<_> = wanted.iter().map(|(stage, outcome, _)| (*stage, *outcome)).collect();
        assert_eq!(stages, expected, "{self:#?}");
        for (finding, (_, _, words)) in self.findings.iter().zip(wanted) {
            assert!(has(finding, words), "no line with {words:?} in {finding:#?}");
        }
    }

    #[track_caller]
    pub fn expect_last(&self, stage: Stage, outcome: Outcome, words: &str) {
        let last = self.findings.last().expect("there is one");
        assert_eq!((last.stage, last.outcome), (stage, outcome), "{self:#?}");
        assert!(has(last, words), "no line with {words:?} in {last:#?}");
    }
}

fn has(finding: &Finding, words: &str) -> bool {
    words.is_empty() || finding.lines.iter().any(|line| line.contains(words))
}

fn srv(port: u16) -> Record {
    Record::Srv { priority: 5, weight: 0, port, target: "xmpp.partner.example".into() }
}

fn certificate() -> PeerCertificate {
    PeerCertificate {
        issuer: "CN=Public CA".into(),
        sha256: [7; 32],
        der: Arc::from(*b"certificate"),
        ..memory::certificate(&["partner.example"])
    }
}

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).expect("a domain")
}

const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                      xmlns:db='jabber:server:dialback' from='partner.example' to='us.example' id='s1' version='1.0'>";
const MECHANISMS: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                          <mechanism>EXTERNAL</mechanism></mechanisms>\
                          <dialback xmlns='urn:xmpp:features:dialback'/></stream:features>";
