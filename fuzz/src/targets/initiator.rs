//! The server of a partner, or somebody in its place, on a connection that we opened.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::TlsFacts;
use xmpp_proto::dialback::{Pair, Question, Secret};
use xmpp_proto::stream::{Approach, Initiator, InitiatorOutput, Methods, Proof, Purpose, StreamSettings};
use xmpp_types::jid::DomainName;
use xmpp_types::ns;
use xmpp_types::xml::Element;

use super::acceptor::{facts, facts_of};

const HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
    xmlns:db='jabber:server:dialback' from='remote.example' to='local.example' id='1' version='1.0'>";
const EXTERNAL: &[u8] =
    b"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>\
    <bidi xmlns='urn:xmpp:features:bidi'/></stream:features>";
const SUCCESS: &[u8] = b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const COUNTING: &[u8] = b"<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>";

/// What the partner's settings leave, and whether its certificate is good.
const SITUATIONS: [(Methods, bool); 4] = [
    (Methods { external: true, dialback_over_tls: false, dialback_in_clear: false }, true),
    (Methods { external: true, dialback_over_tls: true, dialback_in_clear: true }, true),
    (Methods { external: true, dialback_over_tls: true, dialback_in_clear: false }, false),
    (Methods { external: false, dialback_over_tls: false, dialback_in_clear: true }, false),
];

/// No stanza before Ready, none in clear where that is not allowed, only what was sent is delivered, and once; nothing after the end.
pub fn initiator(input: &[u8]) {
    for (methods, is_certain) in SITUATIONS {
        // Just connected; behind TLS; only to ask; authenticated.
        Server::new(methods, is_certain, Purpose::Speak, None).say(input);
        if methods.has_tls() {
            let facts = certificate(is_certain);
            Server::new(methods, is_certain, Purpose::Ask, Some(facts.clone())).say(input);
            Server::new(methods, is_certain, Purpose::Speak, Some(facts)).say(input);
        }
    }
    let (methods, is_certain) = SITUATIONS[0];
    let mut server = Server::new(methods, is_certain, Purpose::Speak, Some(certificate(is_certain)));
    for piece in [HEADER, EXTERNAL, SUCCESS, HEADER, COUNTING] {
        server.hear(piece);
    }
    assert!(server.is_ready, "the preamble opens the stream");
    server.say(input);
}

struct Server {
    initiator: Initiator,
    now: Now,
    methods: Methods,
    is_certain: bool,
    is_secure: bool,
    is_ready: bool,
    is_over: bool,
    both_ways: bool,
    sent: u64,
    delivered: BTreeSet<u64>,
    /// Questions of dialback that wait for their one verdict.
    asked: usize,
    heard: usize,
    told: usize,
}

impl Server {
    fn new(methods: Methods, is_certain: bool, purpose: Purpose, tls: Option<Box<TlsFacts>>) -> Self {
        let now = Now { moment: Moment::ZERO, date: Date::from_unix_millis(1_700_000_000_000) };
        let approach = Approach {
            pair: pair(),
            methods,
            evidence: xmpp_proto::evidence::Evidence::default(),
            purpose,
            establishment: Duration::from_secs(60),
            inactivity: Duration::from_secs(600),
            keep_alive: Duration::from_secs(150),
        };
        let is_secure = tls.is_some();
        let settings = Arc::new(StreamSettings::default());
        let secret = Secret::from_passphrase("not a secret");
        let mut initiator = Initiator::new(approach, settings, secret, tls, Ids::counting(), now);
        initiator.ask(Question { pair: pair(), id: "7".to_owned() }, "key".to_owned(), now);
        let mut server = Self {
            initiator,
            now,
            methods,
            is_certain,
            is_secure,
            is_ready: false,
            is_over: false,
            both_ways: false,
            sent: 0,
            delivered: BTreeSet::new(),
            asked: 1,
            heard: 0,
            told: 0,
        };
        server.drain();
        server
    }

    /// Says the input in a few pieces, and then nothing for a day.
    fn say(mut self, input: &[u8]) {
        for piece in input.chunks(input.len() / 7 + 1) {
            self.hear(piece);
        }
        for _ in 0..10_000 {
            let Some(at) = self.initiator.poll_timeout() else { break };
            self.now = self.now.plus(at.since(self.now.moment));
            self.initiator.handle_timeout(self.now);
            self.drain();
        }
        assert!(self.initiator.poll_timeout().is_none(), "silence ends a stream");
        assert!(self.told <= 8192 + 64 * self.heard, "{} octets in answer to {}", self.told, self.heard);
        self.initiator.handle_closed(None, self.now);
        self.drain();
        assert!(self.is_over && self.asked == 0, "the end is told, and every question has its verdict");
        for (token, _) in self.initiator.take_unacknowledged() {
            assert!(self.delivered.insert(token), "{token} is delivered and handed back");
        }
        assert_eq!(self.delivered.len() as u64, self.sent, "nothing that was sent is forgotten");
    }

    fn hear(&mut self, octets: &[u8]) {
        self.heard += octets.len();
        self.now = self.now.plus(Duration::from_millis(1));
        self.initiator.handle_bytes(octets, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.initiator.poll_output() {
            let is_late = matches!(output, InitiatorOutput::Answer(_));
            assert!(!self.is_over || is_late, "after the end: {output:?}");
            match output {
                InitiatorOutput::Send(octets) => {
                    let text = String::from_utf8(octets).expect("what is sent is text");
                    assert!(self.is_ready || !text.contains("<message"), "before Ready: {text}");
                    self.told += text.len();
                }
                InitiatorOutput::StartTls => {
                    assert!(!self.is_secure, "TLS begins once");
                    self.is_secure = true;
                    self.initiator.handle_tls(certificate(self.is_certain), self.now);
                }
                InitiatorOutput::Ready { proof, is_both_ways } => self.ready(proof, is_both_ways),
                InitiatorOutput::Delivered(token) => {
                    assert!(token < self.sent, "{token} was never sent");
                    assert!(self.delivered.insert(token), "{token} is delivered twice");
                }
                InitiatorOutput::Verdict(question, _) => {
                    assert_eq!(question.pair, pair());
                    self.asked = self.asked.checked_sub(1).expect("one verdict for each question");
                }
                InitiatorOutput::Stanza(received) => {
                    assert!(self.both_ways, "nobody may speak on this stream but we");
                    assert_eq!(received.from.domain().as_str(), "remote.example");
                    assert_eq!(received.to.domain().as_str(), "local.example");
                    self.initiator.settle(received.n, self.now);
                }
                InitiatorOutput::Ended(_) => self.is_over = true,
                InitiatorOutput::Answer(_)
                | InitiatorOutput::Resumed(_)
                | InitiatorOutput::NotResumed { .. }
                | InitiatorOutput::Close => {}
            }
        }
    }

    fn ready(&mut self, proof: Proof, is_both_ways: bool) {
        let is_allowed = match (self.is_secure, proof) {
            (true, Proof::Certificate) => self.is_certain,
            // Nobody vouches for it here.
            (_, Proof::Dane | Proof::Posh) => false,
            (true, Proof::Dialback) => self.methods.dialback_over_tls,
            (false, Proof::Dialback) => self.methods.dialback_in_clear,
            (false, Proof::Certificate) => false,
        };
        assert!(is_allowed && !self.is_ready, "{proof} with {:?}", self.methods);
        self.is_ready = true;
        self.both_ways = is_both_ways;
        for _ in 0..3 {
            let message = Element::new(ns::SERVER, "message")
                .with_attr("from", "bob@local.example")
                .with_attr("to", "alice@remote.example");
            self.sent += 1;
            self.initiator.send(self.sent - 1, message, self.now);
        }
    }
}

fn certificate(is_certain: bool) -> Box<TlsFacts> {
    if is_certain { facts() } else { facts_of("other.example") }
}

fn pair() -> Pair {
    let domain = |text| DomainName::parse(text).expect("the names are ours");
    Pair { local: domain("local.example"), remote: domain("remote.example") }
}
