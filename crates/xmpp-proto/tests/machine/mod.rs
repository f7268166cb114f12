//! Feeding an input to the machines.

use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{TlsFacts, memory};
use xmpp_proto::dialback::{Pair, Secret};
use xmpp_proto::stream::{
    Acceptor, AcceptorOutput, Approach, Initiator, InitiatorOutput, Methods, Policy, Purpose, Rules,
    StreamSettings,
};
use xmpp_types::jid::DomainName;
use xmpp_types::stanza_error::StanzaError;

use crate::corpus::outcome::{Outcome, Split};
use crate::corpus::{Case, Phase};

/// Feeds the case's octets in its phase.
pub fn outcome(case: &Case, split: Split) -> Outcome {
    let parts: Vec<&[u8]> = match split {
        Split::Whole => vec![&case.octets],
        Split::Chunks(size) => case.octets.chunks(size).collect(),
        Split::At(at) => vec![&case.octets[..at], &case.octets[at..]],
    };
    match case.phase {
        Phase::Clear => incoming(None, false, &parts),
        Phase::Secure if case.has_certificate => incoming(Some(facts("remote.example")), false, &parts),
        Phase::Secure => incoming(Some(facts("unknown.example")), false, &parts),
        Phase::Authenticated => incoming(Some(facts("remote.example")), true, &parts),
        Phase::OutgoingClear => outgoing(None, &parts),
        Phase::OutgoingSecure => outgoing(Some(facts("remote.example")), &parts),
    }
}

const HEADER: &[u8] = b"<stream:stream from='remote.example' to='local.example' version='1.0' \
    xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>";
const AUTH: &[u8] = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";

fn incoming(tls: Option<Box<TlsFacts>>, authenticate: bool, parts: &[&[u8]]) -> Outcome {
    let settings = Arc::new(StreamSettings::default());
    let secret = Secret::from_passphrase("local");
    let mut acceptor = Acceptor::new(Arc::new(Open), settings, secret, tls, Ids::counting(), NOW);
    if authenticate {
        for part in [HEADER, AUTH, HEADER] {
            acceptor.handle_bytes(part, NOW);
        }
        while acceptor.poll_output().is_some() {}
    }
    let mut outcome = Outcome::default();
    for part in parts {
        acceptor.handle_bytes(part, NOW);
        while let Some(output) = acceptor.poll_output() {
            match output {
                AcceptorOutput::Send(bytes) => outcome.sent.push_str(&String::from_utf8_lossy(&bytes)),
                AcceptorOutput::Stanza(received) => outcome.stanzas.push(received.stanza.to_string()),
                AcceptorOutput::Answer(answer) => {
                    let error = StanzaError::from_element(&answer);
                    outcome.answers.push(error.map_or(String::new(), |error| error.condition.to_string()));
                }
                AcceptorOutput::Close => outcome.is_over = true,
                AcceptorOutput::StartTls(_)
                | AcceptorOutput::Ask(..)
                | AcceptorOutput::Proved(..)
                | AcceptorOutput::Refused(..)
                | AcceptorOutput::Delivered(_)
                | AcceptorOutput::Counting
                | AcceptorOutput::Ended(_) => {}
                AcceptorOutput::Resume { .. } => acceptor.refuse_resumption(None, NOW),
            }
        }
    }
    outcome.read_sent();
    outcome
}

fn outgoing(tls: Option<Box<TlsFacts>>, parts: &[&[u8]]) -> Outcome {
    let approach = Approach {
        pair: Pair { local: domain("local.example"), remote: domain("remote.example") },
        methods: METHODS,
        evidence: xmpp_proto::evidence::Evidence::default(),
        purpose: Purpose::Speak,
        establishment: Duration::from_secs(60),
        inactivity: Duration::from_secs(600),
        keep_alive: Duration::from_secs(150),
    };
    let settings = Arc::new(StreamSettings::default());
    let secret = Secret::from_passphrase("local");
    let mut initiator = Initiator::new(approach, settings, secret, tls, Ids::counting(), NOW);
    while initiator.poll_output().is_some() {}
    let mut outcome = Outcome::default();
    for part in parts {
        initiator.handle_bytes(part, NOW);
        while let Some(output) = initiator.poll_output() {
            match output {
                InitiatorOutput::Send(bytes) => outcome.sent.push_str(&String::from_utf8_lossy(&bytes)),
                InitiatorOutput::Stanza(received) => outcome.stanzas.push(received.stanza.to_string()),
                InitiatorOutput::Ready { .. } => outcome.is_ready = true,
                InitiatorOutput::Close => outcome.is_over = true,
                InitiatorOutput::StartTls
                | InitiatorOutput::Delivered(_)
                | InitiatorOutput::Verdict(..)
                | InitiatorOutput::Answer(_)
                | InitiatorOutput::Resumed(_)
                | InitiatorOutput::NotResumed { .. }
                | InitiatorOutput::Ended(_) => {}
            }
        }
    }
    outcome.read_sent();
    outcome
}

const METHODS: Methods = Methods { external: true, dialback_over_tls: true, dialback_in_clear: false };

const NOW: Now = Now { moment: Moment::ZERO, date: Date::from_unix_millis(1_800_000_000_000) };

/// Serves local.example and speaks with everybody.
#[derive(Debug)]
struct Open;

impl Rules for Open {
    fn serves(&self, domain: &DomainName) -> bool {
        domain.as_str() == "local.example"
    }

    fn policy(&self, _: &DomainName) -> Option<Policy> {
        Some(Policy { methods: METHODS, silence_max: Duration::from_secs(300) })
    }
}

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn facts(name: &str) -> Box<TlsFacts> {
    memory::handshake(memory::certificate(&[name]))
}
