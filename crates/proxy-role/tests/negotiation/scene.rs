//! A proxy with its gateway, and a partner that follows a script, in memory and in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{
    Answer, Bytes, Chain, ChainJudge, ConnectionId, Event, Failure as DnsFailure, Identity, ListenerId,
    Order, PeerCertificate, Question, Record, Remote, Stage, TlsFacts, Trust, TrustVerdict, memory,
};
use proxy_role::{Direction, Listener, ListenerKind, Notice, Output, Partner, Proxy, Served, Settings};
use xmpp_proto::link::{Dialer, LinkSettings, Output as LinkOutput};
use xmpp_types::jid::DomainName;
use xmpp_types::ns;
use xmpp_types::xml::Element;

/// How the partner is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Direct,
    StartTls,
    Clear,
}

/// What we see of the partner's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    Valid,
    Untrusted,
    WrongName,
    /// Trusted by whoever trusts the partner's own authority.
    OfItsOwnAuthority,
}

/// When the partner's server has something else to say than what negotiation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    BeforeTls,
    AfterTls,
    AfterAuthentication,
}

/// The partner, them.example: what it can, and what is expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    pub way: Way,
    pub certificate: Certificate,
    pub has_external: bool,
    /// Said instead of the next step.
    pub interjection: Option<(When, &'static str)>,
    /// Whether it closes every stream in the very octets that open it; its own ones are used both ways.
    pub hangs_up_at_once: bool,
    /// Whether nobody answers where it listens.
    pub is_deaf: bool,
    /// What its zone, which is signed, says that its certificate is.
    pub vouched: Option<&'static [u8]>,
    /// What its web server, with a certificate in order, answers.
    pub web: Option<&'static str>,
}

impl Script {
    /// A partner with nothing amiss.
    pub const GOOD: Self = Self {
        way: Way::StartTls,
        certificate: Certificate::Valid,
        has_external: true,
        interjection: None,
        hangs_up_at_once: false,
        is_deaf: false,
        vouched: None,
        web: None,
    };
}

/// The partner's end of one connection.
#[derive(Debug, Default)]
struct End {
    /// Whether we opened it.
    is_ours: bool,
    is_secure: bool,
    is_authenticated: bool,
    /// Whether it has put its key on the wire.
    has_told_key: bool,
    /// What we said and it has not yet answered.
    heard: String,
}

/// The proxy for us.example, its gateway and its partner.
pub struct Scene {
    pub now: Now,
    pub proxy: Proxy,
    pub notices: Vec<Notice>,
    /// How the senders of the stanzas that arrived, at the partner or at the gateway, were proved.
    pub arrived: Vec<&'static str>,
    /// How many errors came back to the gateway.
    pub errors: usize,
    /// All that the proxy said to anybody outside.
    pub said: String,
    /// The certificate roots that each handshake was ordered with.
    pub trusts: Vec<Trust>,
    script: Script,
    gateway: Dialer,
    link: Option<ConnectionId>,
    events: VecDeque<Event>,
    ends: BTreeMap<ConnectionId, End>,
    accepted: u64,
    /// Whether the partner's server was asked about a key.
    was_asked: bool,
    /// Whom the partner claims to be once TLS has begun.
    claim: &'static str,
}

pub fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn message(from: &str, to: &str) -> Element {
    Element::new(ns::SERVER, "message")
        .with_attr("from", from)
        .with_attr("to", to)
        .with_attr("id", "1")
        .with_child(Element::new(ns::SERVER, "body").with_text("hello"))
}

/// Settings of us.example with this partner.
pub fn settings(partner: Partner) -> Settings {
    let listener = |kind| Listener { address: "0.0.0.0:0".parse().unwrap(), kind };
    let served = Served { domain: domain("us.example"), identity: Identity("us".into()) };
    Settings {
        listeners: vec![listener(ListenerKind::Partners), listener(ListenerKind::PartnersDirectTls)],
        ..Settings::in_process(served, vec![partner], Trust("public".into()))
    }
}

impl Scene {
    pub fn new(settings: Settings, script: Script) -> Self {
        let mut scene = Self {
            now: Now { moment: Moment::ZERO, date: Date::from_unix_millis(1_800_000_000_000) },
            proxy: Proxy::new(settings, Ids::random([1; 32])),
            notices: Vec::new(),
            arrived: Vec::new(),
            errors: 0,
            said: String::new(),
            trusts: Vec::new(),
            script,
            gateway: Dialer::new(LinkSettings::default(), Ids::random([2; 32])),
            link: None,
            events: VecDeque::new(),
            ends: BTreeMap::new(),
            accepted: 0,
            was_asked: false,
            claim: "them.example",
        };
        scene.run();
        scene
    }

    /// A user of ours writes to one of the partner's.
    pub fn send(&mut self) {
        self.gateway.send(message("x@us.example", "y@them.example"), self.now);
        self.run();
    }

    /// The partner connects and a user of its writes to one of ours.
    pub fn call(&mut self) -> ConnectionId {
        let connection = self.connect("9.9.9.9:4000".parse().unwrap());
        let is_secure = self.script.way == Way::Direct;
        self.ends.insert(connection, End { is_secure, ..End::default() });
        self.greet(connection);
        self.run();
        connection
    }

    /// Somebody connects and says nothing that it is not told to.
    pub fn connect(&mut self, from: SocketAddr) -> ConnectionId {
        self.accepted += 1;
        let connection = ConnectionId::accepted(self.accepted);
        let is_direct = self.script.way == Way::Direct;
        self.events.push_back(Event::Accepted {
            connection,
            listener: ListenerId(u32::from(is_direct)),
            local: None,
            remote: Remote::Address(from),
            tls: is_direct.then(|| facts(self.script.certificate, &Trust("public".into()))),
        });
        self.run();
        connection
    }

    /// The partner says this.
    pub fn say(&mut self, connection: ConnectionId, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.events.push_back(Event::Bytes { connection, bytes });
    }

    pub fn greet(&mut self, connection: ConnectionId) {
        self.say(connection, &header(" from='them.example' to='us.example'"));
    }

    /// From the handshake on the partner claims to be somebody else.
    pub fn claim_after_tls(&mut self, name: &'static str) {
        self.claim = name;
    }

    pub fn pass(&mut self, time: Duration) {
        let end = self.now.moment + time;
        loop {
            let timers = [self.proxy.poll_timeout(), self.gateway.poll_timeout()];
            let next = timers.into_iter().flatten().min().filter(|next| *next <= end);
            let at = next.unwrap_or(end).max(self.now.moment);
            self.now = self.now.plus(at.since(self.now.moment));
            self.proxy.handle_timeout(self.now);
            self.gateway.handle_timeout(self.now);
            self.run();
            if next.is_none() {
                return;
            }
        }
    }

    /// Lets everybody act until nobody has anything to do at this moment.
    pub fn run(&mut self) {
        for _ in 0..10_000 {
            if let Some(output) = self.proxy.poll_output() {
                match output {
                    Output::Order(order) => self.carry_out(order),
                    Output::Notice(notice) => self.notices.push(notice),
                }
            } else if let Some(output) = self.gateway.poll_output() {
                self.carry_link(output);
            } else if let Some(event) = self.events.pop_front() {
                self.proxy.handle_event(event, self.now);
            } else {
                return;
            }
        }
        panic!("the scene does not come to rest: {}", self.said);
    }

    /// How the sender of the one stanza was proved, or where the attempt failed.
    pub fn outcome(&self, direction: Direction) -> String {
        let failed = self.notices.iter().find_map(|notice| match notice {
            Notice::AttemptFailed { direction: of, failure, .. } if *of == direction => Some(failure.stage),
            _ => None,
        });
        match (&*self.arrived, failed) {
            ([proof], None) => (*proof).to_owned(),
            ([], Some(stage)) => format!("refused {stage}"),
            other => format!("{other:?}"),
        }
    }

    /// The first failure of an attempt, in words.
    pub fn failure(&self) -> String {
        let failed = self.notices.iter().find_map(|notice| match notice {
            Notice::AttemptFailed { failure, .. } | Notice::Closed { failure: Some(failure), .. } => {
                Some(failure.to_string())
            }
            _ => None,
        });
        failed.unwrap_or_default()
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Connect { connection, .. } if self.script.is_deaf => {
                let (stage, reason) = (Stage::Tcp, "connection refused".to_owned());
                self.events.push_back(Event::ConnectFailed { connection, stage, reason });
            }
            Order::Connect { connection, to: Remote::Address(to), tls, .. } if to.port() == 443 => {
                let tls = tls.map(|tls| facts(Certificate::Valid, &tls.trust));
                self.events.push_back(Event::Connected { connection, local: None, tls });
            }
            Order::Connect { connection, tls, .. } => {
                let is_secure = tls.is_some();
                self.ends.insert(connection, End { is_ours: true, is_secure, ..End::default() });
                let trust = tls.map(|tls| tls.trust);
                let tls = trust.as_ref().map(|trust| facts(self.script.certificate, trust));
                self.trusts.extend(trust);
                self.events.push_back(Event::Connected { connection, local: None, tls });
            }
            Order::Send { connection, bytes } if Some(connection) == self.link => {
                self.gateway.handle_bytes(&bytes, self.now);
            }
            Order::Send { connection, bytes } => {
                let text = std::str::from_utf8(&bytes).unwrap();
                self.said.push_str(text);
                if let (true, Some(answer)) = (text.starts_with("GET "), self.script.web) {
                    return self.say(connection, answer);
                }
                let Some(end) = self.ends.get_mut(&connection) else { return };
                end.heard.push_str(text);
                while self.answer(connection) {}
            }
            Order::StartTlsAsClient { connection, client } => {
                self.secure(connection, client.trust);
            }
            Order::StartTlsAsServer { connection, server } => {
                self.secure(connection, server.trust);
                self.say(connection, &header(&format!(" from='{}' to='us.example'", self.claim)));
            }
            Order::Close { connection } => {
                self.ends.remove(&connection);
            }
            Order::Resolve { query, question } => {
                let (question, secure) = match question {
                    Question::Validated(question) => (*question, self.script.vouched.is_some()),
                    question => (question, false),
                };
                let answer = self.resolve(&question).ok_or(DnsFailure::NoSuchName);
                let answer = answer.map(|record| Answer { records: vec![record], secure });
                self.events.push_back(Event::Resolved { query, answer });
            }
            Order::Pause { .. } | Order::Resume { .. } => {}
            Order::SendDatagram { .. } => panic!("a proxy sends no datagrams"),
        }
    }

    /// A partner with direct TLS publishes nothing else.
    fn resolve(&self, question: &Question) -> Option<Record> {
        let name = if self.script.way == Way::Direct { "_xmpps-server" } else { "_xmpp-server" };
        match question {
            Question::Srv(asked) if *asked == format!("{name}._tcp.them.example") => {
                Some(Record::Srv { priority: 0, weight: 0, port: 5269, target: "host.them.example".into() })
            }
            Question::Addresses(asked) if asked == "host.them.example" => {
                Some(Record::Address("8.8.8.8".parse().unwrap()))
            }
            Question::Addresses(asked) if asked == "them.example" && self.script.web.is_some() => {
                Some(Record::Address("8.8.4.4".parse().unwrap()))
            }
            Question::Tlsa(asked) if asked == "_5269._tcp.host.them.example" => {
                let data = self.script.vouched?.to_vec();
                Some(Record::Tlsa { usage: 3, selector: 0, matching: 0, data })
            }
            _ => None,
        }
    }

    fn secure(&mut self, connection: ConnectionId, trust: Trust) {
        let Some(end) = self.ends.get_mut(&connection) else { return };
        end.is_secure = true;
        end.heard.clear();
        self.events
            .push_back(Event::TlsStarted { connection, facts: facts(self.script.certificate, &trust) });
        self.trusts.push(trust);
    }

    /// Answers the first thing that it understands; tells whether there was one.
    fn answer(&mut self, connection: ConnectionId) -> bool {
        let Some(end) = self.ends.get_mut(&connection) else { return false };
        let words: &[&str] = if end.is_ours {
            &["<stream:stream", "<starttls", "<auth", "<db:result", "<db:verify", "<message"]
        } else {
            &["</stream:features>", "<success", "<db:result"]
        };
        let found = words.iter().filter_map(|word| Some((end.heard.find(word)?, *word))).min();
        let Some((at, word)) = found else { return false };
        let (before, rest) = end.heard.split_at(at);
        let (before, element) = (before.to_owned(), rest.to_owned());
        end.heard = element[word.len()..].to_owned();
        if end.is_ours {
            self.serve(connection, word, &element);
        } else {
            self.go_on(connection, word, &before, &element);
        }
        true
    }

    /// What is to be said instead, if this is the time.
    fn interject(&mut self, connection: ConnectionId) -> bool {
        let end = &self.ends[&connection];
        let when = match (end.is_secure, end.is_authenticated) {
            (_, true) => When::AfterAuthentication,
            (true, false) => When::AfterTls,
            (false, false) => When::BeforeTls,
        };
        match self.script.interjection {
            Some((at, text)) if at == when => self.say(connection, text),
            _ => return false,
        }
        true
    }

    /// The partner's server, spoken to on a stream that we opened.
    fn serve(&mut self, connection: ConnectionId, word: &str, element: &str) {
        let end = self.ends.get_mut(&connection).unwrap();
        let dialback = if end.is_secure { "tls-dialback" } else { "tcp-dialback" };
        let text = match word {
            "<stream:stream" => {
                let header = header(" from='them.example' to='us.example' id='s1'");
                self.say(connection, &header);
                if self.interject(connection) {
                    return;
                }
                features(&self.ends[&connection], &self.script)
            }
            "<starttls" => "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".to_owned(),
            "<auth" => {
                end.is_authenticated = true;
                "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned()
            }
            "<db:result" => {
                end.has_told_key = true;
                let end = if self.script.hangs_up_at_once { END } else { "" };
                format!("<db:result from='them.example' to='us.example' type='valid'/>{end}")
            }
            "<db:verify" => {
                self.was_asked = true;
                let id = element.split_once("id='").unwrap().1.split('\'').next().unwrap();
                format!("<db:verify from='them.example' to='us.example' id='{id}' type='valid'/>")
            }
            _ => {
                let proof = if end.has_told_key { dialback } else { "sasl" };
                return self.arrived.push(proof);
            }
        };
        self.say(connection, &text);
    }

    /// The partner's server on a stream that it opened.
    fn go_on(&mut self, connection: ConnectionId, word: &str, before: &str, element: &str) {
        if self.interject(connection) {
            return;
        }
        let script = self.script;
        let end = self.ends.get_mut(&connection).unwrap();
        let text = match word {
            "</stream:features>" if end.is_authenticated => letter(),
            "</stream:features>" => {
                let may_start = script.way == Way::StartTls && !end.is_secure && before.contains("<starttls");
                if may_start {
                    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".to_owned()
                } else if script.has_external && before.contains("EXTERNAL") {
                    let both_ways =
                        if script.hangs_up_at_once { "<bidi xmlns='urn:xmpp:bidi'/>" } else { "" };
                    format!(
                        "{both_ways}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
                    )
                } else {
                    end.has_told_key = true;
                    "<db:result from='them.example' to='us.example'>key</db:result>".to_owned()
                }
            }
            "<success" => {
                end.is_authenticated = true;
                let end = if script.hangs_up_at_once { END } else { "" };
                header(" from='them.example' to='us.example'") + end
            }
            _ if element.contains("type='valid'") => letter(),
            _ => END.to_owned(),
        };
        self.say(connection, &text);
    }

    fn carry_link(&mut self, output: LinkOutput) {
        match output {
            LinkOutput::Connect => {
                self.accepted += 1;
                let connection = ConnectionId::accepted(self.accepted);
                self.link = Some(connection);
                let (listener, remote) = (ListenerId(9), Remote::InProcess);
                let event = Event::Accepted { connection, listener, local: None, remote, tls: None };
                self.proxy.handle_event(event, self.now);
                self.gateway.handle_connected(self.now);
            }
            LinkOutput::Send(bytes) => {
                if let Some(connection) = self.link {
                    self.events.push_back(Event::Bytes { connection, bytes: Bytes::from(bytes) });
                }
            }
            LinkOutput::Stanza { n, stanza } => {
                self.gateway.settle(n, self.now);
                if stanza.attr("type") == Some("error") {
                    self.errors += 1;
                } else {
                    let proof = self.proof_of_incoming();
                    self.arrived.push(proof);
                }
            }
            LinkOutput::Close
            | LinkOutput::Settled(_)
            | LinkOutput::Up { .. }
            | LinkOutput::Partners(_)
            | LinkOutput::Broken(_)
            | LinkOutput::Down(_) => {}
        }
    }

    fn proof_of_incoming(&self) -> &'static str {
        let end = self.ends.values().find(|end| !end.is_ours).unwrap();
        match (end.has_told_key, self.was_asked, end.is_secure) {
            (false, false, true) => "sasl",
            (true, false, true) => "certificate",
            (true, true, true) => "tls-dialback",
            (true, true, false) => "tcp-dialback",
            _ => "nothing",
        }
    }
}

const END: &str = "</stream:stream>";

fn header(attributes: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:db='jabber:server:dialback' version='1.0'{attributes}>"
    )
}

fn letter() -> String {
    "<message from='y@them.example' to='x@us.example' id='1'><body>hello</body></message>".to_owned()
}

fn features(end: &End, script: &Script) -> String {
    let mut features = "<stream:features>".to_owned();
    if !end.is_secure && script.way == Way::StartTls {
        features.push_str("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    }
    if end.is_secure && script.has_external && !end.is_authenticated {
        features.push_str(
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
        );
    }
    features.push_str("<dialback xmlns='urn:xmpp:features:dialback'/></stream:features>");
    features
}

impl ChainJudge for Certificate {
    fn by_trust(&self, trust: &Trust) -> TrustVerdict {
        let is_trusted = match self {
            Self::Untrusted => false,
            Self::OfItsOwnAuthority => &*trust.0 == "pinned",
            Self::Valid | Self::WrongName => &*trust.0 != "others",
        };
        if is_trusted { TrustVerdict::Trusted } else { TrustVerdict::Untrusted("unknown issuer".into()) }
    }

    fn by_anchor(&self, _: &[u8]) -> TrustVerdict {
        TrustVerdict::Untrusted("unknown issuer".into())
    }
}

fn facts(certificate: Certificate, trust: &Trust) -> Box<TlsFacts> {
    let name = if certificate == Certificate::WrongName { "other.example" } else { "them.example" };
    let trust = certificate.by_trust(trust);
    let chain = Chain::new(Arc::new([]), Arc::new([]), Arc::new(certificate));
    memory::handshake(PeerCertificate {
        trust,
        der: Arc::from(*b"its certificate"),
        chain,
        ..memory::certificate(&[name])
    })
}
