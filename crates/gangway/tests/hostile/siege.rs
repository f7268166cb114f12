//! One proxy under attack, and what is seen of it from outside.

use std::time::Instant;

use net::{Bound, ListenerKind, ListenerSpec};
use net_types::{ConnectionId, Identity, ListenerId, TlsClient, TlsServer, Trust};
use xmpp_types::xml::Element;

use crate::corpus::outcome::{Outcome, Split};
use crate::corpus::verdict::{TIMING_MATTERS, is_expected};
use crate::corpus::{Case, Phase};
use crate::crowd::{Crowd, PATIENCE};
use crate::gateway::Gateway;
use crate::house::House;
use crate::support::host;

/// A proxy, those who attack it, its gateway, and a stream that must not notice anything.
pub struct Siege {
    // Dropped first, so that it dials nobody who is gone.
    pub house: House,
    crowd: Crowd,
    gateway: Gateway,
    witness: ConnectionId,
    letters: u32,
    /// How many files and sockets the program holds at rest.
    at_rest: usize,
}

/// How a connection comes to the point where the input is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    StartTls,
    DirectTls,
}

/// One sending of one input.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    pub way: Way,
    pub split: Split,
}

impl Siege {
    pub fn begin(outgoing: &[String]) -> Self {
        let host = host();
        let (address, place) = ((host, 0).into(), "remote.example".to_owned());
        let spec = ListenerSpec {
            id: ListenerId(0),
            address,
            kind: ListenerKind::Tcp,
            connections_max: 4096,
            place,
        };
        let bound = Bound::bind(spec).expect("there is a free port");
        let mut domains = vec!["local.example".to_owned()];
        domains.extend(outgoing.iter().cloned());
        let house = House::start(host, bound.local_address(), &domains);
        let mut crowd = Crowd::start(vec![bound], &house.tls);
        let gateway = Gateway::start(house.link, &house.tls);
        let witness = open(&mut crowd, &house, "other");
        let mut siege = Self { house, crowd, gateway, witness, letters: 0, at_rest: 0 };
        siege.pass();
        siege.at_rest = siege.house.descriptors();
        siege
    }

    /// Sends an input once and returns what came of it, once that is what the index wants or can be no more.
    pub fn outcome(&mut self, case: &Case, number: usize) -> Outcome {
        let sending = Sending { way: Way::StartTls, split: Split::Whole };
        let lines = self.come_to_the_point(case, &[sending], number);
        let mut outcome = self.send(case, &lines);
        self.see(&lines[0], &mut outcome);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let was_expected = is_expected(case, &outcome);
            // What comes late comes before what is sent after it.
            self.pass();
            self.pass();
            outcome.stanzas.extend(self.stanzas());
            self.see(&lines[0], &mut outcome);
            if (was_expected && is_expected(case, &outcome)) || Instant::now() > deadline {
                break;
            }
        }
        self.leave(&lines);
        outcome
    }

    /// Sends an input many times at once and returns how each differs from `whole`.
    pub fn differences(
        &mut self,
        case: &Case,
        whole: &Outcome,
        sendings: &[Sending],
        number: usize,
    ) -> Vec<String> {
        let lines = self.come_to_the_point(case, sendings, number);
        let first = self.send(case, &lines);
        let mut seen: Vec<Outcome> = lines.iter().map(|_| Outcome::default()).collect();
        let mut stanzas = first.stanzas;
        let due = whole.stanzas.len() * lines.len();
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.pass();
            stanzas.extend(self.stanzas());
            for (line, outcome) in lines.iter().zip(&mut seen) {
                self.see(line, outcome);
            }
            let is_done = stanzas.len() >= due
                && answers(&seen).len() >= whole.answers.len() * lines.len()
                && seen.iter().all(|outcome| is_alike(case, outcome, whole));
            if is_done || Instant::now() > deadline {
                break;
            }
        }
        self.pass();
        stanzas.extend(self.stanzas());
        let mut differences = Vec::new();
        if stanzas.len() != due || stanzas.iter().any(|stanza| !whole.stanzas.contains(stanza)) {
            differences.push(format!("{}: {} stanzas, not {due}", case.id, stanzas.len()));
        }
        // Who shares a pair of domains shares its answers, too.
        let answers = answers(&seen);
        let expected = whole.answers.iter().cycle().take(whole.answers.len() * lines.len());
        if !answers.iter().copied().eq(expected) {
            differences.push(format!("{}: answers {answers:?}, not each {:?}", case.id, whole.answers));
        }
        for (line, outcome) in lines.iter().zip(&mut seen) {
            self.see(line, outcome);
            if !is_alike(case, outcome, whole) {
                differences
                    .push(format!("{} {:?}: {outcome:#?} instead of {whole:#?}", case.id, line.sending));
            }
        }
        self.leave(&lines);
        differences
    }

    /// Sends an input once and returns all that was heard after it, once the proxy has closed the connection.
    #[track_caller]
    pub fn heard_until_closed(&mut self, case: &Case) -> String {
        let sending = Sending { way: Way::StartTls, split: Split::Whole };
        let lines = self.come_to_the_point(case, &[sending], 0);
        self.send(case, &lines);
        let connection = lines[0].connection;
        self.crowd.wait_for("the proxy closes", |crowd| crowd.line(connection).is_over);
        let heard = self.crowd.line(connection).heard.clone();
        self.leave(&lines);
        heard
    }

    /// Waits until the program holds no more than it held before.
    pub fn wait_for_rest(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.house.descriptors() > self.at_rest + SLACK {
            if Instant::now() > deadline {
                return Err(format!("{} descriptors, {} at rest", self.house.descriptors(), self.at_rest));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Has the witness write, and waits until the gateway has it: what was sent before has then been read.
    #[track_caller]
    fn pass(&mut self) {
        self.letters += 1;
        let id = format!("witness-{}", self.letters);
        let letter = format!(
            "<message from='w@other.example' to='b@local.example' id='{id}'><body>.</body></message>"
        );
        self.crowd.say(self.witness, letter.as_bytes());
        let arrives = self.gateway.wait_for(&id);
        assert!(arrives, "what another stream says does not arrive\n{}", self.house.log());
        self.crowd.take_in();
        assert!(!self.crowd.line(self.witness).is_over, "another stream is gone\n{}", self.house.log());
    }

    fn come_to_the_point(&mut self, case: &Case, sendings: &[Sending], number: usize) -> Vec<Attack> {
        let connections = match case.phase {
            Phase::Clear => self.dial(sendings, |_| None),
            Phase::Secure | Phase::Authenticated => {
                let who = if case.has_certificate { "remote" } else { "unknown" };
                let connections = self.secure(sendings, who);
                if case.phase == Phase::Authenticated {
                    authenticate(&mut self.crowd, &connections, "remote");
                }
                connections
            }
            Phase::OutgoingClear | Phase::OutgoingSecure => self.be_dialled(case.phase, sendings, number),
        };
        for connection in &connections {
            self.crowd.forget(*connection);
        }
        connections
            .into_iter()
            .zip(sendings)
            .map(|(connection, &sending)| Attack { connection, sending })
            .collect()
    }

    fn dial(&mut self, sendings: &[Sending], tls: impl Fn(Way) -> Option<TlsClient>) -> Vec<ConnectionId> {
        let Self { house, crowd, .. } = self;
        let dial = |sending: &Sending| match tls(sending.way) {
            Some(client) => crowd.dial(house.direct, Some(client)),
            None => crowd.dial(house.partners, None),
        };
        let connections: Vec<ConnectionId> = sendings.iter().map(dial).collect();
        crowd.wait_for_each(&connections, "the proxy accepts", |line| line.is_open);
        connections
    }

    fn secure(&mut self, sendings: &[Sending], who: &str) -> Vec<ConnectionId> {
        let connections = self.dial(sendings, |way| (way == Way::DirectTls).then(|| client(who)));
        let crowd = &mut self.crowd;
        let clear: Vec<ConnectionId> =
            connections.iter().copied().filter(|connection| !crowd.line(*connection).is_secure).collect();
        start_tls(crowd, &clear, who);
        connections
    }

    /// Has the proxy dial remote.example, for a pair of domains of its own each time.
    fn be_dialled(&mut self, phase: Phase, sendings: &[Sending], number: usize) -> Vec<ConnectionId> {
        let names: Vec<String> = (0..sendings.len()).map(|at| outgoing_name(number + at)).collect();
        for name in &names {
            let letter = Element::new(xmpp_types::ns::COMPONENT_ACCEPT, "message")
                .with_attr("from", format!("b@{name}"))
                .with_attr("to", "alice@remote.example")
                .with_attr("id", LETTER);
            self.gateway.send(letter);
        }
        let mut connections = vec![None; names.len()];
        let deadline = Instant::now() + PATIENCE;
        while connections.iter().any(Option::is_none) {
            assert!(Instant::now() < deadline, "the proxy dials\n{}", self.house.log());
            self.crowd.wait_for("the proxy dials", |_| true);
            for connection in self.crowd.arrived() {
                self.crowd
                    .wait_for("the proxy greets", |crowd| crowd.line(connection).heard.contains("version="));
                let heard = &self.crowd.line(connection).heard;
                let place = names.iter().position(|name| heard.contains(&format!("from='{name}'")));
                match place {
                    Some(place) => connections[place] = Some(connection),
                    // It tries again what an earlier input let fail.
                    None => self.crowd.close(connection),
                }
            }
        }
        let connections: Vec<ConnectionId> = connections.into_iter().flatten().collect();
        if phase == Phase::OutgoingSecure {
            let crowd = &mut self.crowd;
            for connection in &connections {
                crowd.say(*connection, SERVER_HEADER);
            }
            crowd.wait_for_each(&connections, "it starts TLS", |line| line.heard.contains("<starttls"));
            for connection in &connections {
                crowd.forget(*connection);
                let server = TlsServer { identity: Identity("remote".into()), trust: Trust("all".into()) };
                crowd.proceed(*connection, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", server);
            }
            crowd.wait_for_each(&connections, "it greets again", |line| line.heard.contains("version="));
        }
        connections
    }

    /// Sends the parts, all connections one part each and then the next, and returns the stanzas so far.
    fn send(&mut self, case: &Case, attacks: &[Attack]) -> Outcome {
        self.stanzas();
        let parts: Vec<Vec<&[u8]>> =
            attacks.iter().map(|attack| parts(&case.octets, attack.sending.split)).collect();
        let rounds = parts.iter().map(Vec::len).max().unwrap_or_default();
        for round in 0..rounds {
            let said = attacks.iter().zip(&parts).filter(|(attack, parts)| {
                parts.get(round).is_some_and(|part| self.crowd.say(attack.connection, part))
            });
            // What was sent is read before more comes.
            if said.count() > 0 {
                self.pass();
            }
        }
        self.pass();
        Outcome { stanzas: self.stanzas(), ..Outcome::default() }
    }

    fn stanzas(&mut self) -> Vec<String> {
        // What comes of our own letters is not the attackers' doing.
        let theirs = |stanza: &&Element| stanza.attr("id") != Some(LETTER);
        self.gateway.take().iter().filter(theirs).map(Element::to_string).collect()
    }

    /// Brings up to date what is seen of one connection; what reaches the gateway is of all of them.
    fn see(&self, attack: &Attack, outcome: &mut Outcome) {
        let line = self.crowd.line(attack.connection);
        outcome.sent.clone_from(&line.heard);
        outcome.is_over = line.is_over || line.heard.contains("</stream:stream>");
        outcome.is_ready = line.heard.contains("<message");
        outcome.read_sent();
        outcome.answers = stanza_errors(&line.heard);
    }

    fn leave(&mut self, attacks: &[Attack]) {
        for attack in attacks {
            self.crowd.close(attack.connection);
        }
        assert!(self.house.is_alive(), "the program has ended\n{}", self.house.log());
    }
}

/// Returns the name of the `n`th served domain that streams to remote.example are opened from.
pub fn outgoing_name(n: usize) -> String {
    format!("x{n}.local.example")
}

/// A connection and what is sent on it.
struct Attack {
    connection: ConnectionId,
    sending: Sending,
}

/// Divides the octets as a split says, and each part so that whoever refuses it is not sent all of it.
fn parts(octets: &[u8], split: Split) -> Vec<&[u8]> {
    let (one, other) = match split {
        Split::Whole => (octets, &octets[octets.len()..]),
        Split::Chunks(size) => return octets.chunks(size).collect(),
        Split::At(at) => octets.split_at(at),
    };
    one.chunks(PART_MAX).chain(other.chunks(PART_MAX)).collect()
}

/// Tells whether two sendings led to the same, apart from the stanzas.
fn is_alike(case: &Case, outcome: &Outcome, whole: &Outcome) -> bool {
    if TIMING_MATTERS.contains(&&*case.id) {
        // What comes after a change of streams counts on the old one or not at all, depending on when it comes.
        return true;
    }
    outcome.stream_error == whole.stream_error
        && outcome.has_features == whole.has_features
        && outcome.is_over == whole.is_over
        && (outcome.sent.len() == whole.sent.len() || !whole.answers.is_empty())
}

fn answers(seen: &[Outcome]) -> Vec<&String> {
    seen.iter().flat_map(|outcome| &outcome.answers).collect()
}

/// Returns the conditions of the stanza errors in what was heard.
fn stanza_errors(heard: &str) -> Vec<String> {
    let before = heard.split(" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'");
    let names = before.filter_map(|text| text.rsplit_once('<').map(|(_, name)| name));
    names
        .filter(|name| {
            name.ends_with(|last: char| last.is_ascii_lowercase())
                && *name != "text"
                && !name.contains(['>', ' ', '/'])
        })
        .map(str::to_owned)
        .collect()
}

/// Opens a stream that stays.
fn open(crowd: &mut Crowd, house: &House, who: &str) -> ConnectionId {
    let connection = crowd.dial(house.direct, Some(client(who)));
    crowd.wait_for("the proxy answers", |crowd| {
        crowd.line(connection).is_open || crowd.line(connection).is_over
    });
    assert!(crowd.line(connection).is_open, "the proxy listens\n{}", house.log());
    authenticate(crowd, &[connection], who);
    connection
}

fn start_tls(crowd: &mut Crowd, connections: &[ConnectionId], who: &str) {
    greet(crowd, connections, "remote");
    for connection in connections {
        crowd.say(*connection, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    }
    crowd.wait_for_each(connections, "the proxy proceeds", |line| line.heard.contains("<proceed"));
    for connection in connections {
        crowd.start_tls(*connection, client(who));
    }
    crowd.wait_for_each(connections, "TLS starts", |line| line.is_secure);
}

fn authenticate(crowd: &mut Crowd, connections: &[ConnectionId], who: &str) {
    greet(crowd, connections, who);
    for connection in connections {
        crowd.say(*connection, BOTH_WAYS);
        crowd.say(*connection, AUTH);
    }
    crowd.wait_for_each(connections, "the proxy is convinced", |line| line.heard.contains("<success"));
    greet(crowd, connections, who);
}

fn greet(crowd: &mut Crowd, connections: &[ConnectionId], who: &str) {
    let header = format!(
        "<stream:stream from='{who}.example' to='local.example' version='1.0' xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>"
    );
    for connection in connections {
        crowd.forget(*connection);
        crowd.say(*connection, header.as_bytes());
    }
    crowd.wait_for_each(connections, "the proxy offers features", |line| {
        line.heard.contains("</stream:features>") || line.heard.contains("<stream:features/>")
    });
}

fn client(who: &str) -> TlsClient {
    TlsClient {
        name: "local.example".into(),
        identity: Some(Identity(who.into())),
        trust: Trust("all".into()),
        alpn: Vec::new(),
    }
}

/// The proxy answers on the same stream (XEP-0288), and need not open one of its own.
const BOTH_WAYS: &[u8] = b"<bidi xmlns='urn:xmpp:bidi'/>";
const AUTH: &[u8] = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
const SERVER_HEADER: &[u8] =
    b"<stream:stream from='remote.example' id='s' version='1.0' xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams'><stream:features>\
    <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
/// The id of what is sent so that the proxy dials.
const LETTER: &str = "our-letter";
/// What the program may hold besides, such as a connection that it is about to give up.
const SLACK: usize = 4;
/// How much is sent at once.
const PART_MAX: usize = 1 << 19;
