//! A partner's server, or somebody who says so, on a connection to ours.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{TlsFacts, memory};
use xmpp_proto::dialback::{Secret, Verdict};
use xmpp_proto::stream::{Acceptor, AcceptorOutput, Methods, Policy, Rules, StreamSettings};
use xmpp_types::jid::DomainName;

/// The names of the samples: local.example is served, remote.example is the partner.
#[derive(Debug)]
struct Names;

impl Rules for Names {
    fn serves(&self, domain: &DomainName) -> bool {
        domain.as_str() == "local.example"
    }

    fn policy(&self, remote: &DomainName) -> Option<Policy> {
        let methods = Methods { external: true, dialback_over_tls: true, dialback_in_clear: false };
        let is_partner = remote.as_str().ends_with("remote.example");
        is_partner.then_some(Policy { methods, silence_max: Duration::from_secs(300) })
    }
}

const HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
    xmlns:db='jabber:server:dialback' from='remote.example' to='local.example' version='1.0'>";
/// `cmVtb3RlLmV4YW1wbGU=` is remote.example.
const AUTH: &[u8] =
    b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>cmVtb3RlLmV4YW1wbGU=</auth>";

/// No stanza of a domain that this very stream has not proved; nothing after the end; an answer that stays in proportion.
pub fn acceptor(input: &[u8]) {
    for is_genuine in [false, true] {
        // Just connected; behind TLS; authenticated.
        Peer::new(None, is_genuine).say(input);
        Peer::new(Some(facts()), is_genuine).say(input);
        let mut peer = Peer::new(Some(facts()), is_genuine);
        for piece in [HEADER, AUTH, HEADER] {
            peer.hear(piece);
        }
        assert!(peer.acceptor.proved().count() == 1, "the preamble proves remote.example");
        peer.say(input);
    }
}

struct Peer {
    acceptor: Acceptor,
    now: Now,
    /// What the sender's own server says of its keys.
    is_genuine: bool,
    proved: BTreeSet<String>,
    is_over: bool,
    heard: usize,
    told: usize,
}

impl Peer {
    fn new(tls: Option<Box<TlsFacts>>, is_genuine: bool) -> Self {
        let now = Now { moment: Moment::ZERO, date: Date::from_unix_millis(1_700_000_000_000) };
        let secret = Secret::from_passphrase("not a secret");
        let acceptor = Acceptor::new(
            Arc::new(Names),
            Arc::new(StreamSettings::default()),
            secret,
            tls,
            Ids::counting(),
            now,
        );
        Self { acceptor, now, is_genuine, proved: BTreeSet::new(), is_over: false, heard: 0, told: 0 }
    }

    /// Hears the input in a few pieces, and then nothing for a day.
    fn say(mut self, input: &[u8]) {
        for piece in input.chunks(input.len() / 7 + 1) {
            self.hear(piece);
        }
        for _ in 0..10_000 {
            let Some(at) = self.acceptor.poll_timeout() else { break };
            assert!(at > self.now.moment || self.heard > 0, "a deadline that is over is dealt with");
            self.now = self.now.plus(at.since(self.now.moment));
            self.acceptor.handle_timeout(self.now);
            self.drain();
        }
        assert!(self.acceptor.poll_timeout().is_none(), "silence ends a stream");
        assert!(self.told <= 4096 + 64 * self.heard, "{} octets in answer to {}", self.told, self.heard);
    }

    fn hear(&mut self, octets: &[u8]) {
        self.heard += octets.len();
        self.now = self.now.plus(Duration::from_millis(1));
        self.acceptor.handle_bytes(octets, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.acceptor.poll_output() {
            // A ping's answer goes by another stream; it may be released by what was settled after the end.
            let is_late = matches!(output, AcceptorOutput::Answer(_));
            assert!(!self.is_over || is_late, "after the end: {output:?}");
            match output {
                AcceptorOutput::Send(octets) => self.told += octets.len(),
                AcceptorOutput::StartTls(_) => self.acceptor.handle_tls(facts(), self.now),
                AcceptorOutput::Ask(question, _) => {
                    let verdict = if self.is_genuine { Verdict::Valid } else { Verdict::Invalid };
                    self.acceptor.handle_verdict(&question.pair, verdict, self.now);
                }
                AcceptorOutput::Proved(pair, _) => {
                    assert_eq!(pair.local.as_str(), "local.example");
                    self.proved.insert(pair.remote.as_str().to_owned());
                }
                AcceptorOutput::Stanza(received) => {
                    let from = received.from.domain().as_str();
                    assert!(self.proved.contains(from), "{from} is not proved");
                    assert_eq!(received.to.domain().as_str(), "local.example");
                    self.acceptor.settle(received.n, self.now);
                }
                AcceptorOutput::Resume { .. } => self.acceptor.refuse_resumption(None, self.now),
                AcceptorOutput::Ended(_) => self.is_over = true,
                AcceptorOutput::Refused(..)
                | AcceptorOutput::Answer(_)
                | AcceptorOutput::Delivered(_)
                | AcceptorOutput::Counting
                | AcceptorOutput::Close => {}
            }
        }
    }
}

/// What a handshake with the partner shows.
pub(super) fn facts() -> Box<TlsFacts> {
    facts_of("remote.example")
}

/// What a handshake with somebody of this name shows.
pub(super) fn facts_of(name: &str) -> Box<TlsFacts> {
    memory::handshake(memory::certificate(&[name]))
}
