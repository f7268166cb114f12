//! Fetching a domain's document, and the one that it refers to.
//!
//! ```text
//!   Asking ── addresses ──▶ Connecting ── TLS proves the host ──▶ Reading ── the document ──▶ Done
//!     ▲                      │     ▲ └── next address ──┘           │
//!     └──────────────────────┼─────┴────── "url", once ─────────────┘
//!                            └── none is left ──▶ Done
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now};
use net_types::{Answer, Failure as DnsFailure, Purpose, Question, TlsFacts};
use xmpp_types::jid::DomainName;

use super::http::Response;
use super::{Document, Fingerprints, Known, Place};
use crate::discovery::{AddressRule, addresses_of, alternating};
use crate::identity;

/// What the machine wants, or has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the DNS and answer with [`Inquiry::handle_answer`] and the same number.
    Ask(u32, Question),
    /// Connect, with TLS from the first octet, for a server of this name; there is one connection at a time.
    Connect {
        /// Where to.
        to: SocketAddr,
        /// The name for SNI.
        host: String,
        /// How long that may take.
        timeout: Duration,
    },
    /// Send this on the connection.
    Send(Vec<u8>),
    /// Close the connection.
    Close,
    /// It is over.
    Done(Known),
}

/// The search for what a domain says of its servers' certificates.
#[derive(Debug)]
pub struct Inquiry {
    place: Place,
    rule: AddressRule,
    /// For how long the domain stands by its reference, if it made one.
    referred: Option<Duration>,
    state: State,
    addresses: VecDeque<SocketAddr>,
    /// Why the last address did not do.
    trouble: Option<String>,
    questions: u32,
    deadline: Moment,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Asking(u32),
    Connecting,
    Reading(Response),
    Done,
}

impl Inquiry {
    /// Begins.
    #[must_use]
    pub fn new(domain: &DomainName, rule: AddressRule, now: Now) -> Self {
        let mut machine = Self {
            place: Place::of(domain),
            rule,
            referred: None,
            state: State::Done,
            addresses: VecDeque::new(),
            trouble: None,
            questions: FIRST_QUESTION,
            deadline: now.moment + PATIENCE,
            outputs: VecDeque::new(),
        };
        machine.ask();
        machine
    }

    fn ask(&mut self) {
        self.questions += 1;
        self.outputs.push_back(Output::Ask(self.questions, Question::Addresses(self.place.host.clone())));
        self.state = State::Asking(self.questions);
    }

    /// Takes the answer to question `number`; others than the open one are ignored.
    pub fn handle_answer(&mut self, number: u32, answer: Result<Answer, DnsFailure>, now: Now) {
        if !matches!(self.state, State::Asking(asked) if asked == number) {
            return;
        }
        let found = match addresses_of(answer) {
            Ok(found) => alternating(&found),
            Err(why) => return self.fail(&why),
        };
        if found.is_empty() {
            return self.fail("the host has no address");
        }
        self.trouble = Some("its address is not a public one".into());
        let admitted = found.into_iter().filter(|address| self.rule.admits(*address)).take(ADDRESSES_MAX);
        self.addresses = admitted.map(|address| SocketAddr::new(address, self.place.port)).collect();
        self.connect(now);
    }

    fn connect(&mut self, now: Now) {
        let Some(to) = self.addresses.pop_front() else {
            let trouble = self.trouble.take().unwrap_or_default();
            return self.fail(&trouble);
        };
        let timeout = CONNECT_PATIENCE.min(self.deadline.since(now.moment));
        self.outputs.push_back(Output::Connect { to, host: self.place.host.clone(), timeout });
        self.state = State::Connecting;
    }

    /// Takes the news that the connection is open; its server must prove its name (RFC 2818 §3.1).
    pub fn handle_connected(&mut self, facts: Option<&TlsFacts>, now: Now) {
        let State::Connecting = self.state else { return };
        let certificate = facts.and_then(|facts| facts.peer.as_deref());
        let proved = identity::prove_names(certificate, None, now.date, |names| {
            names.dns.iter().any(|name| identity::dns_name_matches(name, &self.place.host))
        });
        if let Err(unproved) = proved {
            return self.try_next(unproved.to_string(), now);
        }
        let purposes = certificate.map(|certificate| &*certificate.purposes).unwrap_or_default();
        if !purposes.is_empty() && !purposes.contains(&Purpose::ServerAuth) {
            return self.try_next("its certificate is not for servers".into(), now);
        }
        let Place { path, .. } = &self.place;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nUser-Agent: Gangway\r\n\
             Connection: close\r\n\r\n",
            self.place.authority()
        );
        self.outputs.push_back(Output::Send(request.into_bytes()));
        self.state = State::Reading(Response::default());
    }

    /// Takes the news that the address could not be reached.
    pub fn handle_connect_failed(&mut self, reason: &str, now: Now) {
        if let State::Connecting = self.state {
            self.trouble = Some(reason.to_owned());
            self.connect(now);
        }
    }

    fn try_next(&mut self, trouble: String, now: Now) {
        self.outputs.push_back(Output::Close);
        self.trouble = Some(trouble);
        self.connect(now);
    }

    /// Takes octets of the connection.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        let State::Reading(response) = &mut self.state else { return };
        match response.handle_bytes(bytes) {
            Ok(None) => {}
            Ok(Some(body)) => {
                self.outputs.push_back(Output::Close);
                self.read(&body);
            }
            Err(why) => {
                self.outputs.push_back(Output::Close);
                self.fail(&why);
            }
        }
    }

    /// Takes the news that the connection is gone.
    pub fn handle_closed(&mut self, reason: Option<&str>) {
        let State::Reading(response) = &mut self.state else { return };
        // What broke may have been cut short by somebody in between.
        let body = reason.map_or_else(|| response.handle_close(), |reason| Err(reason.to_owned()));
        match body {
            Ok(body) => self.read(&body),
            Err(why) => self.fail(&why),
        }
    }

    /// Ends the inquiry when patience does.
    pub fn handle_timeout(&mut self, now: Now) {
        if now.moment < self.deadline || matches!(self.state, State::Done) {
            return;
        }
        if let State::Connecting | State::Reading(_) = self.state {
            self.outputs.push_back(Output::Close);
        }
        self.fail("no answer came in time");
    }

    /// Returns what the machine wants next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when patience ends.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        (!matches!(self.state, State::Done)).then_some(self.deadline)
    }

    fn read(&mut self, body: &[u8]) {
        match (Document::read(body), self.referred) {
            (Err(why), _) => self.fail(&format!("its document is of no use: {why}")),
            (Ok(Document::Reference { .. }), Some(_)) => {
                self.fail("its document refers to yet another one");
            }
            (Ok(Document::Reference { at, lifetime }), None) => {
                self.place = at;
                self.referred = Some(lifetime);
                self.ask();
            }
            (Ok(Document::Fingerprints(Fingerprints { digests, lifetime })), referred) => {
                // The lower of the two counts (RFC 7711 §6).
                let lifetime = referred.map_or(lifetime, |referred| referred.min(lifetime));
                self.end(Ok(Arc::new(Fingerprints { digests, lifetime })));
            }
        }
    }

    fn fail(&mut self, why: &str) {
        let words = format!("{}: {why}", self.place.url());
        self.end(Err(words.into()));
    }

    fn end(&mut self, known: Known) {
        self.state = State::Done;
        self.outputs.push_back(Output::Done(known));
    }
}

/// The port of HTTPS.
pub const PORT: u16 = 443;
/// Its questions are numbered apart from those of the search for servers.
const FIRST_QUESTION: u32 = 1 << 31;
/// So many addresses of a host are tried.
const ADDRESSES_MAX: usize = 4;
/// How long one address may let us wait.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// How long all of it may take: senders wait for it.
const PATIENCE: Duration = Duration::from_secs(5);
