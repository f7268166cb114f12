//! One attempt to reach a partner, told stage by stage as it goes: what `gangway partner test` runs.
//!
//! ```text
//!   new ─ policy ─▶ Seeking ─ dns ─▶ Surveying ─ tcp ─▶ Securing ─ tls, certificate ─▶ Opening ─ auth, dialback
//!                                       every address     │ direct TLS only              │  ▲
//!                                       at once           └──────────────────────────────┘  │ next address, or
//!                                                                                           │ without EXTERNAL
//!   Done ◀─ stream ─ Measuring ◀─ Ready ─────────────────────────────────────────── Dialling ┘
//! ```
//!
//! It takes the same way as a stanza would, with the same settings and machines, but tries every address,
//! and says what it saw where a stanza's courier would go on in silence. It decides nothing about protocols.

mod inquiry;
mod report;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now, earliest};
use net_types::{ConnectionId, Event, Order, QueryId, Remote, TlsFacts};
use xmpp_proto::dialback::{Pair, Secret};
use xmpp_proto::discovery::{Discovery, Output as Found, Settings as Search, Start, Target};
use xmpp_proto::evidence::Evidence;
use xmpp_proto::failure::{Failure, Stage};
use xmpp_proto::posh::Inquiry;
use xmpp_proto::stream::{Approach, Initiator, InitiatorOutput, Methods, Purpose, StreamSettings};
use xmpp_types::jid::DomainName;
use xmpp_types::ns;
use xmpp_types::xml::{Element, XmlText};

use crate::proxy::secret;
use crate::rules::stream_settings;
use crate::settings::Settings;

pub use report::{Finding, Outcome, Output, Verdict};

/// The attempt.
#[derive(Debug)]
pub struct Probe {
    settings: Arc<Settings>,
    secret: Secret,
    ids: Ids,
    pair: Pair,
    methods: Methods,
    state: State,
    /// What the DNS said, for the report.
    answers: Vec<String>,
    questions: BTreeMap<QueryId, net_types::Question>,
    /// Addresses that can be reached and are not tried yet.
    reachable: VecDeque<Target>,
    /// Our certificate was refused, and dialback is tried without it.
    avoids_external: bool,
    facts: Option<Box<TlsFacts>>,
    /// What vouches for the certificate of the server that is tried.
    evidence: Evidence,
    mechanisms: Vec<XmlText>,
    /// When the stage that is going on began.
    since: Moment,
    /// Whether something was told that an operator should see to.
    has_warned: bool,
    dialled: u64,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    /// Its web server is asked to vouch for it.
    Inquiring(Box<Inquiry>, Option<ConnectionId>),
    Seeking(Box<Discovery>),
    Surveying(Survey),
    /// An address is dialled again, because another stream is needed.
    Dialling(ConnectionId, Target),
    /// The handshake of direct TLS runs.
    Securing(ConnectionId, Target),
    Opening(Box<Initiator>, ConnectionId, Target),
    /// A stanza is under way; it is waited for until then.
    Measuring(Box<Initiator>, ConnectionId, Moment),
    Done,
}

/// All addresses, dialled at once.
#[derive(Debug, Default)]
struct Survey {
    under_way: BTreeMap<ConnectionId, usize>,
    /// In the order in which they would be used.
    addresses: Vec<(Target, Option<Reached>)>,
}

#[derive(Debug)]
struct Reached {
    after: Duration,
    connection: Result<ConnectionId, String>,
}

impl Probe {
    /// Begins: `local` is the domain of ours to speak for, the first served one if `None`.
    #[must_use]
    pub fn new(
        settings: Settings,
        remote: DomainName,
        local: Option<DomainName>,
        mut ids: Ids,
        now: Now,
    ) -> Self {
        let secret = secret(&settings, &mut ids);
        let local = local.or_else(|| settings.served.first().map(|served| served.domain.clone()));
        let none = Methods { external: false, dialback_over_tls: false, dialback_in_clear: false };
        let mut probe = Self {
            methods: settings.partner(&remote).map_or(none, |partner| partner.methods()),
            pair: Pair { local: local.unwrap_or_else(|| remote.clone()), remote },
            settings: Arc::new(settings),
            secret,
            ids,
            state: State::Done,
            answers: Vec::new(),
            questions: BTreeMap::new(),
            reachable: VecDeque::new(),
            avoids_external: false,
            facts: None,
            evidence: Evidence::default(),
            mechanisms: Vec::new(),
            since: now.moment,
            has_warned: false,
            dialled: 0,
            outputs: VecDeque::new(),
        };
        probe.begin(now);
        probe
    }

    /// Takes one event of the network.
    pub fn handle_event(&mut self, event: Event, now: Now) {
        if self.is_inquiring() {
            return self.handle_inquiry_event(event, now);
        }
        match event {
            Event::Resolved { query, answer } => self.handle_answer(query, answer, now),
            Event::Connected { connection, .. } => self.handle_dialled(connection, Ok(connection), now),
            Event::ConnectFailed { connection, reason, .. } => {
                self.handle_dialled(connection, Err(reason), now);
            }
            Event::TlsStarted { connection, facts } if self.is_on(connection) => self.secured(facts, now),
            Event::Bytes { connection, bytes } if self.is_on(connection) => {
                if let State::Opening(initiator, ..) | State::Measuring(initiator, ..) = &mut self.state {
                    initiator.handle_bytes(&bytes, now);
                    let offered = &initiator.features().mechanisms;
                    if !offered.is_empty() {
                        self.mechanisms.clone_from(offered);
                    }
                    self.drive(now);
                }
            }
            Event::Closed { connection, reason } if self.is_on(connection) => {
                self.handle_closed(reason, now);
            }
            Event::TlsStarted { .. }
            | Event::Bytes { .. }
            | Event::Closed { .. }
            | Event::Accepted { .. }
            | Event::Datagram { .. } => {}
        }
    }

    /// Goes on where time has brought it.
    pub fn handle_timeout(&mut self, now: Now) {
        match &mut self.state {
            State::Inquiring(inquiry, _) => {
                inquiry.handle_timeout(now);
                self.inquire(now);
            }
            State::Seeking(discovery) => {
                discovery.handle_timeout(now);
                self.search(now);
            }
            State::Measuring(_, _, until) if *until <= now.moment => self.measured(None, now),
            State::Opening(initiator, ..) | State::Measuring(initiator, ..) => {
                initiator.handle_timeout(now);
                self.drive(now);
            }
            State::Surveying(_) | State::Dialling(..) | State::Securing(..) | State::Done => {}
        }
    }

    /// Returns what it wants or has found, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        match &self.state {
            State::Inquiring(inquiry, _) => inquiry.poll_timeout(),
            State::Seeking(discovery) => discovery.poll_timeout(),
            State::Opening(initiator, ..) => initiator.poll_timeout(),
            State::Measuring(initiator, _, until) => earliest(initiator.poll_timeout(), Some(*until)),
            // The shell ends these in time.
            State::Surveying(_) | State::Dialling(..) | State::Securing(..) | State::Done => None,
        }
    }

    fn begin(&mut self, now: Now) {
        let (outcome, lines) = words::policy(&self.settings, &self.pair);
        let Some(partner) = self.settings.partner(&self.pair.remote) else {
            let reason = lines.first().cloned().unwrap_or_default();
            self.find(Stage::Policy, Outcome::Failed, lines, now);
            return self.conclude(Some(Failure::new(Stage::Policy, reason)), now);
        };
        let search = partner.search();
        let has_posh = partner.has_posh();
        self.find(Stage::Policy, outcome, lines, now);
        if outcome == Outcome::Failed {
            let failure = Failure::new(Stage::Policy, "our own settings leave no way to that domain");
            return self.conclude(Some(failure), now);
        }
        if has_posh {
            let inquiry = Inquiry::new(&self.pair.remote, search.addresses, now);
            self.state = State::Inquiring(Box::new(inquiry), None);
            return self.inquire(now);
        }
        self.seek(search, now);
    }

    fn seek(&mut self, search: Search, now: Now) {
        let discovery = Discovery::new(&self.pair.remote, search, self.ids.fork(), now);
        self.state = State::Seeking(Box::new(discovery));
        self.search(now);
    }

    fn handle_answer(
        &mut self,
        query: QueryId,
        answer: Result<net_types::Answer, net_types::Failure>,
        now: Now,
    ) {
        let Some(question) = self.questions.remove(&query) else { return };
        let State::Seeking(discovery) = &mut self.state else { return };
        let rule = self.settings.partner(&self.pair.remote).map(|partner| partner.search().addresses);
        self.answers.extend(words::answer(&question, &answer, rule));
        let Ok(number) = u32::try_from(query.0) else { return };
        discovery.handle_answer(number, answer, now);
        self.search(now);
    }

    fn search(&mut self, now: Now) {
        while let State::Seeking(discovery) = &mut self.state {
            match discovery.poll_output() {
                None => return,
                Some(Found::Ask(number, question)) => {
                    let query = QueryId(u64::from(number));
                    self.questions.insert(query, question.clone());
                    self.order(Order::Resolve { query, question });
                }
                Some(Found::Found(targets)) => {
                    let mut lines = std::mem::take(&mut self.answers);
                    lines.extend(targets.iter().map(|target| format!("to try: {}", words::target(target))));
                    self.find(Stage::Dns, Outcome::Passed, lines, now);
                    self.survey(targets);
                }
                Some(Found::Failed(failure)) => {
                    let mut lines = std::mem::take(&mut self.answers);
                    lines.push(failure.reason.clone());
                    self.find(Stage::Dns, Outcome::Failed, lines, now);
                    self.conclude(Some(failure), now);
                }
            }
        }
    }

    fn survey(&mut self, targets: Vec<Target>) {
        let mut survey = Survey::default();
        for (place, target) in targets.into_iter().enumerate() {
            let connection = self.dial(&target);
            survey.under_way.insert(connection, place);
            survey.addresses.push((target, None));
        }
        self.state = State::Surveying(survey);
    }

    /// Dials for TCP alone, so that TLS is a stage of its own, also where it comes first.
    fn dial(&mut self, target: &Target) -> ConnectionId {
        self.dialled += 1;
        let connection = ConnectionId::dialled(self.dialled);
        let to = Remote::Address(target.address);
        self.order(Order::Connect { connection, to, tls: None, timeout: CONNECT_TIMEOUT });
        connection
    }

    fn handle_dialled(&mut self, dialled: ConnectionId, outcome: Result<ConnectionId, String>, now: Now) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Surveying(mut survey) => {
                if let Some(place) = survey.under_way.remove(&dialled) {
                    let after = now.moment.since(self.since);
                    survey.addresses[place].1 = Some(Reached { after, connection: outcome });
                }
                if survey.under_way.is_empty() {
                    self.surveyed(survey, now);
                } else {
                    self.state = State::Surveying(survey);
                }
            }
            State::Dialling(connection, target) if connection == dialled => match outcome {
                Ok(connection) => self.enter(connection, target, now),
                Err(reason) => {
                    let failure = Failure::new(Stage::Tcp, format!("{}: {reason}", target.address));
                    self.failed(failure, Some(target), now);
                }
            },
            state => self.state = state,
        }
    }

    fn surveyed(&mut self, survey: Survey, now: Now) {
        let mut lines = Vec::new();
        let mut first = None;
        let mut last_reason = None;
        for (target, reached) in survey.addresses {
            let Some(Reached { after, connection }) = reached else { continue };
            lines.push(words::reached(&target, after, connection.as_ref().err()));
            match connection {
                Ok(connection) if first.is_none() => first = Some((connection, target)),
                Ok(connection) => {
                    self.order(Order::Close { connection });
                    self.reachable.push_back(target);
                }
                Err(reason) => last_reason = Some(format!("{}: {reason}", words::target(&target))),
            }
        }
        let outcome = match (&first, &last_reason) {
            (Some(_), None) => Outcome::Passed,
            (Some(_), Some(_)) => Outcome::Noted,
            (None, _) => Outcome::Failed,
        };
        self.find(Stage::Tcp, outcome, lines, now);
        match first {
            Some((connection, target)) => self.enter(connection, target, now),
            None => {
                let reason = last_reason.unwrap_or_else(|| "no address could be reached".into());
                self.conclude(Some(Failure::new(Stage::Tcp, reason)), now);
            }
        }
    }

    /// Begins at the other end of a TCP connection.
    fn enter(&mut self, connection: ConnectionId, target: Target, now: Now) {
        self.facts = None;
        self.evidence.delegation.clone_from(&target.delegation);
        match target.start {
            Start::Direct => {
                self.start_tls(connection, Start::Direct);
                self.state = State::Securing(connection, target);
            }
            Start::InBand => self.open(connection, target, None, now),
        }
    }

    fn start_tls(&mut self, connection: ConnectionId, start: Start) {
        let client = Box::new(self.settings.tls_client(&self.pair.local, &self.pair.remote, start));
        self.order(Order::StartTlsAsClient { connection, client });
    }

    fn open(&mut self, connection: ConnectionId, target: Target, tls: Option<Box<TlsFacts>>, now: Now) {
        let limits = &self.settings.limits;
        let mut methods = self.methods;
        methods.external &= !self.avoids_external;
        let approach = Approach {
            pair: self.pair.clone(),
            methods,
            evidence: self.evidence.clone(),
            purpose: Purpose::Speak,
            establishment: limits.establishment,
            inactivity: limits.inactivity,
            keep_alive: limits.keep_alive,
        };
        // It closes its stream in good order: there is nothing to go on with.
        let settings = StreamSettings { resumption: None, ..stream_settings(&self.settings) };
        let settings = Arc::new(settings);
        let initiator = Initiator::new(approach, settings, self.secret.clone(), tls, self.ids.fork(), now);
        self.state = State::Opening(Box::new(initiator), connection, target);
        self.drive(now);
    }

    fn secured(&mut self, facts: Box<TlsFacts>, now: Now) {
        let shown = self.settings.identity_of(&self.pair.local);
        self.find(Stage::Tls, Outcome::Passed, words::tls(&facts, shown), now);
        let (outcome, lines) =
            words::certificate(&facts, &self.evidence, &self.pair.remote, self.methods, now.date);
        self.find(Stage::Certificate, outcome, lines, now);
        self.facts = Some(facts.clone());
        match std::mem::replace(&mut self.state, State::Done) {
            State::Securing(connection, target) => self.open(connection, target, Some(facts), now),
            State::Opening(mut initiator, connection, target) => {
                initiator.handle_tls(facts, now);
                self.state = State::Opening(initiator, connection, target);
                self.drive(now);
            }
            state => self.state = state,
        }
    }

    fn handle_closed(&mut self, reason: Option<String>, now: Now) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Securing(_, target) => {
                let reason = reason.unwrap_or_else(|| "the partner closed the connection".into());
                self.failed(Failure::new(Stage::Tls, reason), Some(target), now);
            }
            State::Opening(mut initiator, connection, target) => {
                initiator.handle_closed(reason, now);
                self.state = State::Opening(initiator, connection, target);
                self.drive(now);
            }
            State::Measuring(mut initiator, connection, until) => {
                initiator.handle_closed(reason, now);
                self.state = State::Measuring(initiator, connection, until);
                self.drive(now);
            }
            state => self.state = state,
        }
    }

    /// Carries out what the stream wants, until it wants nothing more.
    fn drive(&mut self, now: Now) {
        while let State::Opening(initiator, connection, _) | State::Measuring(initiator, connection, _) =
            &mut self.state
        {
            let connection = *connection;
            let Some(output) = initiator.poll_output() else { return };
            match output {
                InitiatorOutput::Send(bytes) => self.order(Order::Send { connection, bytes: bytes.into() }),
                InitiatorOutput::StartTls => self.start_tls(connection, Start::InBand),
                InitiatorOutput::Ready { is_both_ways, .. } => self.ready(is_both_ways, now),
                InitiatorOutput::Delivered(_) => {
                    let took = now.moment.since(self.since);
                    self.measured(Some(took), now);
                }
                InitiatorOutput::Close => self.order(Order::Close { connection }),
                InitiatorOutput::Ended(failure) => self.ended(failure, now),
                // Nobody asked a question, and what the partner has to say is for the proxy that runs.
                InitiatorOutput::Verdict(..)
                | InitiatorOutput::Stanza(_)
                | InitiatorOutput::Answer(_)
                | InitiatorOutput::Resumed(_)
                | InitiatorOutput::NotResumed { .. } => {}
            }
        }
    }

    /// Tells how both sides were proved, and measures how long the partner takes to acknowledge.
    fn ready(&mut self, is_both_ways: bool, now: Now) {
        let State::Opening(initiator, ..) = &self.state else { return };
        for (stage, outcome, lines) in words::proofs(initiator, &self.mechanisms) {
            // That our certificate was refused was told when it was.
            if stage != Stage::Auth || !self.avoids_external {
                self.find(stage, outcome, lines, now);
            }
        }
        let State::Opening(mut initiator, connection, _) = std::mem::replace(&mut self.state, State::Done)
        else {
            return;
        };
        if initiator.features().sm {
            // The answer to a question would go to the proxy that runs; the count comes here.
            let stray = self.iq("result");
            initiator.send(1, stray, now);
        } else if is_both_ways {
            let ping = self.iq("get").with_child(Element::new(ns::PING, "ping"));
            initiator.send(1, ping, now);
        } else {
            self.state = State::Measuring(initiator, connection, now.moment);
            return self.measured(None, now);
        }
        self.state = State::Measuring(initiator, connection, now.moment + ROUND_TRIP_MAX);
    }

    fn iq(&mut self, kind: &str) -> Element {
        Element::new(ns::SERVER, "iq")
            .with_attr("type", kind)
            .with_attr("id", self.ids.token("test"))
            .with_attr("from", self.pair.local.as_str())
            .with_attr("to", self.pair.remote.as_str())
    }

    fn measured(&mut self, round_trip: Option<Duration>, now: Now) {
        let State::Measuring(initiator, ..) = &mut self.state else { return };
        let (outcome, lines) = words::stream(initiator.features(), round_trip);
        initiator.close(None, now);
        self.find(Stage::Stream, outcome, lines, now);
        self.conclude_after_close(now);
    }

    /// Sends what ends the stream in good order; what the partner says to that changes nothing.
    fn conclude_after_close(&mut self, now: Now) {
        if let State::Measuring(mut initiator, connection, _) =
            std::mem::replace(&mut self.state, State::Done)
        {
            while let Some(output) = initiator.poll_output() {
                if let InitiatorOutput::Send(bytes) = output {
                    self.order(Order::Send { connection, bytes: bytes.into() });
                }
            }
            self.order(Order::Close { connection });
        }
        self.conclude(None, now);
    }

    fn ended(&mut self, failure: Option<Failure>, now: Now) {
        let failure = failure.unwrap_or_else(|| Failure::new(Stage::Stream, "the partner closed the stream"));
        match std::mem::replace(&mut self.state, State::Done) {
            State::Opening(_, _, target) => self.failed(failure, Some(target), now),
            _ => self.failed(failure, None, now),
        }
    }

    /// Tells what failed; goes on where a courier would go on as well.
    fn failed(&mut self, failure: Failure, target: Option<Target>, now: Now) {
        // A certificate that does not do was told when it was seen.
        if failure.stage != Stage::Certificate {
            let offers = self.facts.is_some().then(|| words::offers(&self.mechanisms));
            let lines = words::failure(&failure, offers);
            self.find(failure.stage, Outcome::Failed, lines, now);
        }
        let may_avoid = !self.avoids_external && self.methods.dialback_over_tls;
        match (failure.stage, target) {
            (Stage::Auth, Some(target)) if may_avoid => {
                self.avoids_external = true;
                self.dial_again(target);
            }
            (Stage::Tcp | Stage::Tls | Stage::Stream, Some(_)) => match self.reachable.pop_front() {
                Some(next) => self.dial_again(next),
                None => self.conclude(Some(failure), now),
            },
            _ => self.conclude(Some(failure), now),
        }
    }

    fn dial_again(&mut self, target: Target) {
        let connection = self.dial(&target);
        self.state = State::Dialling(connection, target);
    }

    fn conclude(&mut self, failure: Option<Failure>, now: Now) {
        self.state = State::Done;
        let seen = words::Seen {
            settings: &self.settings,
            pair: &self.pair,
            facts: self.facts.as_deref(),
            evidence: &self.evidence,
            today: now.date,
        };
        let notes = words::notes(&seen);
        let (words, fix) = match &failure {
            None => {
                let but = if self.has_warned { "; see what is marked above" } else { "" };
                (words::success(&self.pair, self.facts.as_deref()) + but, None)
            }
            Some(failure) => (
                format!("no stanza reaches {}: {failure}", self.pair.remote),
                Some(words::fix(failure, &seen)),
            ),
        };
        self.outputs.push_back(Output::Verdict(Verdict { failure, words, fix, notes }));
    }

    fn find(&mut self, stage: Stage, outcome: Outcome, lines: Vec<String>, now: Now) {
        let took = now.moment.since(self.since);
        self.since = now.moment;
        self.has_warned |= outcome != Outcome::Passed;
        self.outputs.push_back(Output::Finding(Finding { stage, outcome, took, lines }));
    }

    fn is_on(&self, connection: ConnectionId) -> bool {
        match &self.state {
            State::Securing(on, _) | State::Opening(_, on, _) | State::Measuring(_, on, _) => {
                *on == connection
            }
            State::Inquiring(..)
            | State::Seeking(_)
            | State::Surveying(_)
            | State::Dialling(..)
            | State::Done => false,
        }
    }

    fn order(&mut self, order: Order) {
        self.outputs.push_back(Output::Order(order));
    }
}

/// How long an address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(7);
/// How long the partner may take to acknowledge one stanza.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);
