//! Both ends of a stream, talking to each other in memory.

mod acceptor;
mod both;
mod initiator;
mod resumption;

use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{TlsFacts, TrustVerdict, memory};
use xmpp_types::ns;

use super::*;
use crate::dialback::{Pair, Secret, answer};
use crate::failure::Stage;

pub(super) const ALL: Methods = Methods { external: true, dialback_over_tls: true, dialback_in_clear: false };
pub(super) const EXTERNAL: Methods =
    Methods { external: true, dialback_over_tls: false, dialback_in_clear: false };
pub(super) const DIALBACK: Methods =
    Methods { external: false, dialback_over_tls: true, dialback_in_clear: false };
pub(super) const CLEAR: Methods =
    Methods { external: false, dialback_over_tls: false, dialback_in_clear: true };

/// Serves us.example, speaks with them.example and friends.example by these methods.
#[derive(Debug)]
pub(super) struct World(pub(super) Methods);

impl Rules for World {
    fn serves(&self, domain: &DomainName) -> bool {
        matches!(domain.as_str(), "us.example" | "also.us.example")
    }

    fn policy(&self, remote: &DomainName) -> Option<Policy> {
        let known = matches!(remote.as_str(), "them.example" | "friends.example");
        known.then_some(Policy { methods: self.0, silence_max: Duration::from_secs(300) })
    }
}

pub(super) fn at(seconds: u64) -> Now {
    let later = Duration::from_secs(seconds);
    Now { moment: Moment::ZERO + later, date: Date::from_unix_millis(1_800_000_000_000).plus(later) }
}

pub(crate) fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// The facts of a handshake with a peer whose trusted certificate has this name.
pub(crate) fn facts(name: &str) -> Box<TlsFacts> {
    memory::handshake(memory::certificate(&[name]))
}

pub(super) fn facts_untrusted(name: &str) -> Box<TlsFacts> {
    let mut facts = facts(name);
    let mut certificate = facts.peer.as_deref().unwrap().clone();
    certificate.trust = TrustVerdict::Untrusted("unknown issuer".into());
    facts.peer = Some(Arc::new(certificate));
    facts
}

pub(super) fn secret(of: &str) -> Secret {
    Secret::from_passphrase(of)
}

pub(super) fn an_acceptor(methods: Methods, tls: Option<Box<TlsFacts>>) -> Acceptor {
    let settings = Arc::new(StreamSettings::default());
    Acceptor::new(Arc::new(World(methods)), settings, secret("us"), tls, Ids::counting(), at(0))
}

pub(super) fn an_initiator(methods: Methods, purpose: Purpose, tls: Option<Box<TlsFacts>>) -> Initiator {
    let settings = Arc::new(StreamSettings::default());
    Initiator::new(an_approach(methods, purpose), settings, secret("them"), tls, Ids::counting(), at(0))
}

pub(super) fn an_approach(methods: Methods, purpose: Purpose) -> Approach {
    Approach {
        pair: Pair { local: domain("them.example"), remote: domain("us.example") },
        methods,
        evidence: crate::evidence::Evidence::default(),
        purpose,
        establishment: Duration::from_secs(60),
        inactivity: Duration::from_secs(600),
        keep_alive: Duration::from_secs(150),
    }
}

pub(super) fn message(id: &str, from: &str, to: &str) -> Element {
    Element::new(ns::SERVER, "message")
        .with_attr("from", from)
        .with_attr("to", to)
        .with_attr("id", id)
        .with_child(Element::new(ns::SERVER, "body").with_text("hello"))
}

/// Two ends and what each of them told.
pub(super) struct Two {
    pub(super) initiator: Initiator,
    pub(super) acceptor: Acceptor,
    /// What the initiator's handshake shows, and what the acceptor's does.
    pub(super) server_facts: Box<TlsFacts>,
    pub(super) client_facts: Box<TlsFacts>,
    pub(super) initiator_told: Vec<InitiatorOutput>,
    pub(super) acceptor_told: Vec<AcceptorOutput>,
    /// All octets that went to the acceptor.
    pub(super) crossed: String,
    /// Whether answers to pings find their way back to the end that asked.
    pub(super) returns_pongs: bool,
    /// Whether the question whose key it is is answered by the initiator's own server.
    pub(super) answers_dialback: bool,
    /// What the acceptor's side keeps of streams that broke.
    pub(super) keeper: Keeper<u64, ()>,
}

pub(super) const KEEPS: KeeperLimits = KeeperLimits {
    sessions_max: 8,
    domain_sessions_max: 4,
    octets_max: 10_000,
    patience: Duration::from_secs(5),
};

impl Two {
    pub(super) fn new(of_initiator: Methods, of_acceptor: Methods) -> Self {
        Self {
            initiator: an_initiator(of_initiator, Purpose::Speak, None),
            acceptor: an_acceptor(of_acceptor, None),
            server_facts: facts("us.example"),
            client_facts: facts("them.example"),
            initiator_told: Vec::new(),
            acceptor_told: Vec::new(),
            crossed: String::new(),
            returns_pongs: true,
            answers_dialback: true,
            keeper: Keeper::new(KEEPS),
        }
    }

    /// Lets both ends talk until neither has anything to say.
    pub(super) fn talk(&mut self, now: Now) -> &mut Self {
        let mut securing = (false, false);
        loop {
            let mut quiet = true;
            while let Some(output) = self.initiator.poll_output() {
                quiet = false;
                match output {
                    InitiatorOutput::Send(bytes) => {
                        self.crossed.push_str(std::str::from_utf8(&bytes).unwrap());
                        self.acceptor.handle_bytes(&bytes, now);
                    }
                    InitiatorOutput::StartTls => securing.0 = true,
                    InitiatorOutput::Answer(answer) if self.returns_pongs => {
                        self.acceptor.handle_pong(answer.attr("id").unwrap_or_default(), now);
                    }
                    InitiatorOutput::Close => self.acceptor.handle_closed(None, now),
                    other => self.initiator_told.push(other),
                }
            }
            while let Some(output) = self.acceptor.poll_output() {
                quiet = false;
                match output {
                    AcceptorOutput::Send(bytes) => self.initiator.handle_bytes(&bytes, now),
                    AcceptorOutput::StartTls(_) => securing.1 = true,
                    AcceptorOutput::Answer(answer) if self.returns_pongs => {
                        self.initiator.handle_pong(answer.attr("id").unwrap_or_default(), now);
                    }
                    AcceptorOutput::Close => self.initiator.handle_closed(None, now),
                    AcceptorOutput::Ask(question, key) if self.answers_dialback => {
                        let Pair { local, remote } = &question.pair;
                        let verdict = answer(&secret("them"), remote, true, local, &question.id, &key);
                        self.acceptor.handle_verdict(&question.pair, verdict, now);
                    }
                    AcceptorOutput::Resume { previd, .. } => {
                        match self.keeper.claim(&previd, &self.acceptor.parties().unwrap()) {
                            Ok((_, (), session)) => self.acceptor.resume(session, now),
                            Err(h) => self.acceptor.refuse_resumption(h, now),
                        }
                    }
                    other => self.acceptor_told.push(other),
                }
            }
            if securing == (true, true) {
                securing = (false, false);
                quiet = false;
                self.acceptor.handle_tls(self.client_facts.clone(), now);
                self.initiator.handle_tls(self.server_facts.clone(), now);
            }
            if quiet {
                return self;
            }
        }
    }

    #[track_caller]
    pub(super) fn assert_ready(&self) {
        assert!(self.initiator.is_ready(), "{:#?} {:#?}", self.initiator_told, self.acceptor_told);
    }

    pub(super) fn proofs(&self) -> Vec<Proof> {
        self.acceptor.proved().map(|(_, proof)| proof).collect()
    }

    #[track_caller]
    pub(super) fn initiator_failure(&self) -> (Stage, String) {
        let failure = self.initiator_told.iter().find_map(|output| match output {
            InitiatorOutput::Ended(Some(failure)) => Some((failure.stage, failure.to_string())),
            _ => None,
        });
        failure.unwrap_or_else(|| panic!("no failure in {:#?}", self.initiator_told))
    }

    /// The stanzas that reached the acceptor, by their numbers and ids.
    pub(super) fn received(&self) -> Vec<(u64, String)> {
        let stanza = |output: &AcceptorOutput| match output {
            AcceptorOutput::Stanza(received) => {
                Some((received.n, received.stanza.attr("id").unwrap_or_default().to_string()))
            }
            _ => None,
        };
        self.acceptor_told.iter().filter_map(stanza).collect()
    }

    pub(super) fn delivered(&self) -> Vec<u64> {
        let token = |output: &InitiatorOutput| match output {
            InitiatorOutput::Delivered(token) => Some(*token),
            _ => None,
        };
        self.initiator_told.iter().filter_map(token).collect()
    }
}
