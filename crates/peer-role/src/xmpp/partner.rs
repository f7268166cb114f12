//! The way to another domain's server: finding it, dialling it, and what waits for it meanwhile.
//!
//! ```text
//!   Idle ──▶ Searching ──▶ Dialling ──▶ Open ──▶ Idle
//!               └───────────────┴───── failed ──▶ Resting ──▶ Idle
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now};
use net_types::{Answer, ConnectionId, Failure as DnsFailure, Order, QueryId, Remote, TlsClient, TlsFacts};
use xmpp_proto::dialback::{Pair, Question, Trouble, Verdict};
use xmpp_proto::discovery::{self, AddressRule, Discovery, Start, Target};
use xmpp_proto::stream::{Approach, Initiator, InitiatorOutput, Purpose, Session};
use xmpp_types::jid::DomainName;
use xmpp_types::stream::StreamError;
use xmpp_types::xml::Element;

use super::{Stream, XmppServer};
use crate::Said;

/// Another domain.
#[derive(Debug, Default)]
pub(super) struct Partner {
    state: State,
    /// Stanzas that wait for a stream.
    waiting: VecDeque<(u64, Element)>,
    /// Questions of dialback that wait for one.
    questions: Vec<(Question, String)>,
    /// What the last stream left behind to go on with, and its name.
    left: Option<(ConnectionId, Session)>,
    /// Whether the stream that is being opened asks for it.
    resumes: bool,
    /// Names what comes over the stream: the connection that its session began on.
    session: Option<ConnectionId>,
    /// Why the last attempt failed.
    trouble: Option<String>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Searching(Box<Discovery>),
    Dialling {
        connection: ConnectionId,
        rest: VecDeque<Target>,
    },
    Open {
        connection: ConnectionId,
        initiator: Box<Initiator>,
    },
    Resting(Moment),
}

impl Partner {
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        match &self.state {
            State::Idle | State::Dialling { .. } => None,
            State::Searching(discovery) => discovery.poll_timeout(),
            State::Open { initiator, .. } => initiator.poll_timeout(),
            State::Resting(until) => Some(*until),
        }
    }

    fn wants_stream(&self) -> bool {
        !self.waiting.is_empty() || !self.questions.is_empty() || self.left.is_some()
    }
}

impl XmppServer {
    pub(super) fn initiators_mut(&mut self) -> impl Iterator<Item = &mut Initiator> {
        self.partners.values_mut().filter_map(|partner| match &mut partner.state {
            State::Open { initiator, .. } => Some(initiator.as_mut()),
            State::Idle | State::Searching(_) | State::Dialling { .. } | State::Resting(_) => None,
        })
    }

    pub(super) fn initiator_mut(&mut self, wanted: ConnectionId) -> Option<&mut Initiator> {
        self.partners.values_mut().find_map(|partner| match &mut partner.state {
            State::Open { connection, initiator } if *connection == wanted => Some(initiator.as_mut()),
            _ => None,
        })
    }

    pub(super) fn ready_initiator(&mut self, domain: &DomainName) -> Option<&mut Initiator> {
        match &mut self.partners.get_mut(domain)?.state {
            State::Open { initiator, .. } if initiator.is_ready() => Some(initiator),
            _ => None,
        }
    }

    /// Returns the name of the session with a domain, on a stream that we opened.
    pub(super) fn session_of(&self, domain: &DomainName) -> Option<ConnectionId> {
        self.partners.get(domain)?.session
    }

    /// Tells whether a stream of ours to this domain is about to go on, and newer stanzas must wait for it.
    pub(super) fn goes_on(&self, domain: &DomainName) -> bool {
        self.partners.get(domain).is_some_and(|partner| partner.left.is_some() || partner.resumes)
    }

    /// Settles a stanza that came on a stream that we opened.
    pub(super) fn settle_outgoing(&mut self, session: ConnectionId, n: u64, now: Now) {
        for partner in self.partners.values_mut() {
            match (&mut partner.left, &mut partner.state) {
                (Some((name, left)), _) if *name == session => left.settle(n),
                (None, State::Open { initiator, .. }) if partner.session == Some(session) => {
                    initiator.settle(n, now);
                }
                _ => {}
            }
        }
    }

    /// Puts a stanza before all that waits.
    pub(super) fn wait_first(&mut self, token: u64, stanza: Element, domain: &DomainName) {
        self.partners.entry(domain.clone()).or_default().waiting.push_front((token, stanza));
    }

    /// Keeps a stanza until a stream leads to `domain`, and opens one.
    pub(super) fn wait(&mut self, token: u64, stanza: Element, domain: &DomainName, now: Now) {
        let partner = self.partners.entry(domain.clone()).or_default();
        if partner.waiting.len() < WAITING_MAX {
            partner.waiting.push_back((token, stanza));
        }
        self.search(domain, now);
    }

    pub(super) fn take_waiting(&mut self, domain: &DomainName) -> VecDeque<(u64, Element)> {
        self.partners.get_mut(domain).map(|partner| std::mem::take(&mut partner.waiting)).unwrap_or_default()
    }

    /// Forgets a stanza that waits; says why it was not sent.
    pub(super) fn forget(&mut self, token: u64) -> String {
        let mut reason = "no acknowledgement".to_owned();
        for partner in self.partners.values_mut() {
            let before = partner.waiting.len();
            partner.waiting.retain(|(waiting, _)| *waiting != token);
            if partner.waiting.len() != before {
                reason = partner.trouble.clone().unwrap_or_else(|| "no stream to the domain".to_owned());
            }
        }
        reason
    }

    /// Asks the server of the domain that a key is said to come from.
    pub(super) fn ask(&mut self, question: Question, key: String, now: Now) {
        let domain = question.pair.remote.clone();
        let partner = self.partners.entry(domain.clone()).or_default();
        match &mut partner.state {
            State::Open { initiator, .. } if !initiator.is_ended() => initiator.ask(question, key, now),
            _ => {
                partner.questions.push((question, key));
                self.search(&domain, now);
            }
        }
    }

    /// Begins to look for a domain's server, unless that is under way.
    fn search(&mut self, domain: &DomainName, now: Now) {
        let settings = discovery::Settings {
            fixed_host: self.settings.hosts.get(domain).cloned(),
            direct_tls: false,
            dane: false,
            addresses: AddressRule::Any,
            targets_max: 8,
            patience: Duration::from_secs(5),
        };
        let ids = self.ids.fork();
        let Some(partner) = self.partners.get_mut(domain) else { return };
        if matches!(partner.state, State::Idle) {
            partner.state = State::Searching(Box::new(Discovery::new(domain, settings, ids, now)));
        }
    }

    pub(super) fn handle_resolved(&mut self, query: QueryId, answer: Result<Answer, DnsFailure>, now: Now) {
        let Some((domain, number)) = self.queries.remove(&query) else { return };
        if let Some(Partner { state: State::Searching(discovery), .. }) = self.partners.get_mut(&domain) {
            discovery.handle_answer(number, answer, now);
        }
    }

    pub(super) fn handle_connected(
        &mut self,
        connection: ConnectionId,
        tls: Option<Box<TlsFacts>>,
        now: Now,
    ) {
        let Some(domain) = self.dialling(connection) else { return };
        let ids = self.ids.fork();
        let (streams, secret) = (Arc::clone(&self.streams), self.secret.clone());
        let (local, methods) = (self.settings.domain.clone(), self.settings.methods());
        let Some(partner) = self.partners.get_mut(&domain) else { return };
        let approach = Approach {
            pair: Pair { local, remote: domain },
            methods,
            evidence: xmpp_proto::evidence::Evidence::default(),
            purpose: if partner.waiting.is_empty() && partner.left.is_none() {
                Purpose::Ask
            } else {
                Purpose::Speak
            },
            establishment: Duration::from_secs(20),
            inactivity: Duration::from_secs(300),
            keep_alive: Duration::from_secs(60),
        };
        let mut initiator = Box::new(Initiator::new(approach, streams, secret, tls, ids, now));
        for (question, key) in std::mem::take(&mut partner.questions) {
            initiator.ask(question, key, now);
        }
        if let Some((name, left)) = partner.left.take() {
            initiator.resume(left);
            partner.resumes = true;
            partner.session = Some(name);
        } else {
            partner.session = Some(connection);
        }
        partner.state = State::Open { connection, initiator };
    }

    pub(super) fn handle_connect_failed(&mut self, connection: ConnectionId, reason: &str, now: Now) {
        let Some(domain) = self.dialling(connection) else { return };
        let Some(partner) = self.partners.get_mut(&domain) else { return };
        let rest = match std::mem::take(&mut partner.state) {
            State::Dialling { rest, .. } => rest,
            _ => VecDeque::new(),
        };
        self.dial(&domain, rest, reason, now);
    }

    fn dialling(&self, wanted: ConnectionId) -> Option<DomainName> {
        let is_it = |partner: &Partner| matches!(partner.state, State::Dialling { connection, .. } if connection == wanted);
        self.partners.iter().find(|(_, partner)| is_it(partner)).map(|(domain, _)| domain.clone())
    }

    /// Dials the next target; rests if there is none left.
    fn dial(&mut self, domain: &DomainName, mut rest: VecDeque<Target>, trouble: &str, now: Now) {
        let Some(target) = rest.pop_front() else { return self.rest(domain, trouble, now) };
        self.next_connection += 1;
        let connection = ConnectionId::dialled(self.next_connection);
        if let Some(partner) = self.partners.get_mut(domain) {
            partner.state = State::Dialling { connection, rest };
        }
        let tls = matches!(target.start, Start::Direct).then(|| Box::new(self.tls_client(domain)));
        let to = Remote::Address(target.address);
        self.order(Order::Connect { connection, to, tls, timeout: Duration::from_secs(10) });
    }

    fn tls_client(&self, domain: &DomainName) -> TlsClient {
        TlsClient {
            name: domain.to_ascii().to_owned(),
            identity: Some(self.settings.identity.clone()),
            trust: self.settings.trust.clone(),
            alpn: vec!["xmpp-server".to_owned()],
        }
    }

    /// Pauses before the next attempt; nobody waits longer for a verdict.
    fn rest(&mut self, domain: &DomainName, trouble: &str, now: Now) {
        let Some(partner) = self.partners.get_mut(domain) else { return };
        partner.state = State::Resting(now.moment + PAUSE);
        partner.trouble = Some(trouble.to_owned());
        for (question, _) in std::mem::take(&mut partner.questions) {
            self.handle_verdict(&question, Verdict::Error(Trouble::Unreachable), now);
        }
        self.say(Said::Note(format!("{domain} cannot be reached: {trouble}")));
    }

    fn handle_verdict(&mut self, question: &Question, verdict: Verdict, now: Now) {
        if let Some(acceptor) = self.incoming.values_mut().find(|acceptor| acceptor.id() == question.id) {
            acceptor.handle_verdict(&question.pair, verdict, now);
        }
    }

    pub(super) fn handle_partners_timeout(&mut self, now: Now) {
        let domains: Vec<_> = self.partners.keys().cloned().collect();
        for domain in domains {
            let Some(partner) = self.partners.get_mut(&domain) else { continue };
            match &mut partner.state {
                State::Searching(discovery) => discovery.handle_timeout(now),
                State::Open { initiator, .. } => initiator.handle_timeout(now),
                State::Resting(until) if *until <= now.moment => {
                    partner.state = State::Idle;
                    if partner.wants_stream() {
                        self.search(&domain, now);
                    }
                }
                State::Idle | State::Dialling { .. } | State::Resting(_) => {}
            }
        }
    }

    pub(super) fn close_partners(&mut self, error: &StreamError, now: Now) {
        for initiator in self.initiators_mut() {
            initiator.close(Some(error), now);
        }
    }

    /// Carries out one thing that a partner's machines want; tells whether there was one.
    pub(super) fn drain_partner(&mut self, now: Now) -> bool {
        enum Wish {
            Searched(discovery::Output),
            Streamed(ConnectionId, InitiatorOutput),
        }
        let next = self.partners.iter_mut().find_map(|(domain, partner)| {
            let wish = match &mut partner.state {
                State::Searching(discovery) => Wish::Searched(discovery.poll_output()?),
                State::Open { connection, initiator } => {
                    Wish::Streamed(*connection, initiator.poll_output()?)
                }
                State::Idle | State::Dialling { .. } | State::Resting(_) => return None,
            };
            Some((domain.clone(), wish))
        });
        match next {
            Some((domain, Wish::Searched(output))) => self.searched(&domain, output, now),
            Some((domain, Wish::Streamed(connection, output))) => {
                self.streamed(&domain, connection, output, now);
            }
            None => return false,
        }
        true
    }

    fn searched(&mut self, domain: &DomainName, output: discovery::Output, now: Now) {
        match output {
            discovery::Output::Ask(number, question) => {
                self.next_query += 1;
                let query = QueryId(self.next_query);
                self.queries.insert(query, (domain.clone(), number));
                self.order(Order::Resolve { query, question });
            }
            discovery::Output::Found(targets) => self.dial(domain, targets.into(), "no address", now),
            discovery::Output::Failed(failure) => self.rest(domain, &failure.to_string(), now),
        }
    }

    fn streamed(&mut self, domain: &DomainName, connection: ConnectionId, output: InitiatorOutput, now: Now) {
        match output {
            InitiatorOutput::Send(bytes) => self.order(Order::Send { connection, bytes: bytes.into() }),
            InitiatorOutput::StartTls => {
                let client = Box::new(self.tls_client(domain));
                self.order(Order::StartTlsAsClient { connection, client });
            }
            InitiatorOutput::Ready { proof, .. } => {
                if let Some(partner) = self.partners.get_mut(domain) {
                    partner.resumes = false;
                }
                self.say(Said::Note(format!("stream to {domain} open, proved by {proof}")));
                self.flush_waiting(domain, now);
            }
            InitiatorOutput::Resumed(again) => {
                self.say(Said::Note(format!("stream to {domain} resumed, {again} sent again")));
            }
            InitiatorOutput::NotResumed { reason, unacknowledged } => {
                if let Some(partner) = self.partners.get_mut(domain) {
                    partner.session = Some(connection);
                }
                self.say(Said::Note(format!("stream to {domain} not resumed: {reason}")));
                for (token, stanza) in unacknowledged.into_iter().rev() {
                    if self.open.contains_key(&token) {
                        self.wait_first(token, stanza, domain);
                    }
                }
            }
            InitiatorOutput::Delivered(token) => self.delivered(token),
            InitiatorOutput::Verdict(question, verdict) => self.handle_verdict(&question, verdict, now),
            InitiatorOutput::Stanza(received) => self.receive(Stream::Outgoing(domain), *received, now),
            InitiatorOutput::Answer(answer) => self.route(0, *answer, now),
            InitiatorOutput::Close => self.order(Order::Close { connection }),
            InitiatorOutput::Ended(failure) => self.ended(domain, failure.map(|f| f.to_string()), now),
        }
    }

    /// A stream is over. After a failure there is a pause; otherwise what waits opens another at once.
    fn ended(&mut self, domain: &DomainName, failure: Option<String>, now: Now) {
        let Some(partner) = self.partners.get_mut(domain) else { return };
        partner.resumes = false;
        let unacknowledged = match std::mem::take(&mut partner.state) {
            State::Open { mut initiator, .. } => match (initiator.take_session(), partner.session) {
                (Some(left), Some(name)) if left.is_resumable() => {
                    partner.left = Some((name, left));
                    Vec::new()
                }
                (left, name) => {
                    self.withheld.retain(|(session, _)| Some(*session) != name);
                    left.map_or_else(
                        || initiator.take_unacknowledged(),
                        |mut left| left.take_unacknowledged(),
                    )
                }
            },
            _ => Vec::new(),
        };
        for (token, stanza) in unacknowledged.into_iter().rev() {
            if self.open.contains_key(&token) {
                partner.waiting.push_front((token, stanza));
            }
        }
        match failure {
            Some(failure) => self.rest(domain, &failure, now),
            None if partner.wants_stream() => self.search(domain, now),
            None => {}
        }
    }
}

/// How many stanzas wait for one domain; a text beyond that ends in [`Said::Unanswered`].
const WAITING_MAX: usize = 10_000;
/// Between attempts to reach a domain.
const PAUSE: Duration = Duration::from_secs(1);
