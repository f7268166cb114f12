//! Finding a domain's servers: RFC 6120 §3.2 and XEP-0368, as a machine that asks and chooses.
//!
//! ```text
//!  Services ── both SRV answers ──▶ Hosts ── addresses, or patience ends ──▶ Done: Found | Failed
//!      └── none published: the domain itself, port 5269 ──▶ ┘
//! ```
//!
//! With DANE every answer is asked to be signed. Where the SRV record and the host's addresses are, the host's TLSA
//! records are asked for as well (RFC 7673 §3); an answer that is forged, or that somebody keeps from us, makes the
//! host unusable, or with the SRV records all of them.

mod address;
mod merge;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use net_types::{Answer, Failure as DnsFailure, Question, Record};
use xmpp_types::jid::DomainName;

pub use address::AddressRule;
pub use merge::{Service, merge};

use crate::dane::Delegation;
use crate::failure::{Failure, Stage};

/// How TLS begins at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Start {
    /// With the first octet (XEP-0368).
    Direct,
    /// By STARTTLS, or not at all.
    InBand,
}

/// One address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// The host that the address belongs to, for messages.
    pub host: String,
    /// How TLS begins there.
    pub start: Start,
    /// What DNSSEC vouches for, where the whole way to the host is signed.
    pub delegation: Option<Arc<Delegation>>,
}

/// What is known of the domain beforehand.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The partner's fixed host: a name or an address, with or without a port. No SRV then.
    pub fixed_host: Option<String>,
    /// Whether `_xmpps-server` is asked for, and whether a fixed host is spoken to in direct TLS.
    pub direct_tls: bool,
    /// Whether DNSSEC is asked to vouch for the answers, and the hosts for their certificates (RFC 7673).
    pub dane: bool,
    /// Which addresses may be dialled.
    pub addresses: AddressRule,
    /// How many addresses are handed out at most.
    pub targets_max: usize,
    /// How long the search takes at most.
    pub patience: Duration,
}

/// What the machine wants or has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the DNS and answer with [`Discovery::handle_answer`] and the same number.
    Ask(u32, Question),
    /// The addresses to try, best first; at least one.
    Found(Vec<Target>),
    /// There is none.
    Failed(Failure),
}

/// The search for one domain's servers.
#[derive(Debug)]
pub struct Discovery {
    domain: String,
    settings: Settings,
    ids: Ids,
    state: State,
    outputs: VecDeque<Output>,
    deadline: Moment,
    questions: u32,
}

#[derive(Debug)]
enum State {
    Services { secure: Pending, plain: Pending },
    Hosts { hosts: Vec<Host>, open: BTreeMap<u32, About> },
    Done,
}

#[derive(Debug)]
enum Pending {
    NotAsked,
    Asked(u32),
    Answered(Result<Answer, DnsFailure>),
}

#[derive(Debug)]
struct Host {
    name: String,
    port: u16,
    start: Start,
    /// Whether the way to this name is signed.
    is_signed: bool,
    addresses: Result<Vec<IpAddr>, String>,
    delegation: Option<Arc<Delegation>>,
}

/// A host before its addresses are known.
type Wanted = (String, u16, Start, IsSigned);

/// Whether DNSSEC, or the operator, vouches for the way to a host.
type IsSigned = bool;

#[derive(Clone, Copy, Debug)]
enum About {
    Addresses(usize),
    Associations(usize),
}

impl Discovery {
    /// Starts the search.
    #[must_use]
    pub fn new(domain: &DomainName, settings: Settings, ids: Ids, now: Now) -> Self {
        let deadline = now.moment + settings.patience;
        let state = State::Services { secure: Pending::NotAsked, plain: Pending::NotAsked };
        let domain = domain.to_ascii().to_string();
        let mut machine =
            Self { domain, settings, ids, state, outputs: VecDeque::new(), deadline, questions: 0 };
        machine.start();
        machine
    }

    fn start(&mut self) {
        let start = if self.settings.direct_tls { Start::Direct } else { Start::InBand };
        if let Some(fixed) = self.settings.fixed_host.clone() {
            return match parse_host(&fixed) {
                Some((name, port)) => self.look_up(vec![(name, port.unwrap_or(PORT), start, true)]),
                None => {
                    self.fail(Failure::new(Stage::Policy, format!("the fixed host {fixed:?} is no host")))
                }
            };
        }
        if let Some(address) = parse_address(&self.domain) {
            return self.look_up(vec![(address.to_string(), PORT, Start::InBand, false)]);
        }
        let secure = match start {
            Start::Direct => {
                Pending::Asked(self.ask(Question::Srv(format!("_xmpps-server._tcp.{}", self.domain))))
            }
            Start::InBand => Pending::Answered(Ok(Answer::default())),
        };
        let plain = Pending::Asked(self.ask(Question::Srv(format!("_xmpp-server._tcp.{}", self.domain))));
        self.state = State::Services { secure, plain };
    }

    /// Takes the answer to question `number`; others than those open are ignored.
    pub fn handle_answer(&mut self, number: u32, answer: Result<Answer, DnsFailure>, now: Now) {
        match &mut self.state {
            State::Services { secure, plain } => {
                for pending in [secure, plain] {
                    if matches!(pending, Pending::Asked(asked) if *asked == number) {
                        *pending = Pending::Answered(answer);
                        break;
                    }
                }
                self.choose_services();
            }
            State::Hosts { hosts, open } => {
                let Some(about) = open.remove(&number) else { return };
                match about {
                    About::Addresses(place) => {
                        let is_signed = answer.as_ref().is_ok_and(|answer| answer.secure);
                        let host = &mut hosts[place];
                        host.addresses = addresses_of(answer);
                        if self.settings.dane && host.is_signed && is_signed {
                            let name = format!("_{}._tcp.{}", host.port, host.name);
                            self.ask_about(About::Associations(place), Question::Tlsa(name));
                        }
                    }
                    About::Associations(place) => hosts[place].take_associations(answer),
                }
                if let State::Hosts { open, .. } = &self.state
                    && open.is_empty()
                {
                    self.finish();
                }
            }
            State::Done => {}
        }
        self.handle_timeout(now);
    }

    /// Ends the search when patience does, with what was found until then.
    pub fn handle_timeout(&mut self, now: Now) {
        if now.moment < self.deadline {
            return;
        }
        match self.state {
            State::Services { .. } => {
                self.fail(Failure::new(Stage::Dns, "the resolver did not answer in time"));
            }
            State::Hosts { .. } => self.finish(),
            State::Done => {}
        }
    }

    /// Returns what the machine wants next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when patience ends.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        match self.state {
            State::Services { .. } | State::Hosts { .. } => Some(self.deadline),
            State::Done => None,
        }
    }

    /// Chooses once both questions are answered (XEP-0368 §3: one list, by priority and weight).
    fn choose_services(&mut self) {
        let State::Services { secure: Pending::Answered(secure), plain: Pending::Answered(plain) } =
            &self.state
        else {
            return;
        };
        let forged = forged(secure).or_else(|| forged(plain));
        if let (true, Some(why)) = (self.settings.dane, forged) {
            return self.fail(Failure::new(Stage::Dns, why).with_advice(DNSSEC_ADVICE));
        }
        let secure_services = services_of(secure, Start::Direct);
        let plain_services = services_of(plain, Start::InBand);
        match (secure_services, plain_services) {
            (Services::Some(secure), Services::Some(plain)) => {
                self.look_up_services(secure.into_iter().chain(plain).collect());
            }
            (Services::Some(services), _) | (_, Services::Some(services)) => self.look_up_services(services),
            (_, Services::Refused) => self.fail(
                Failure::new(
                    Stage::Dns,
                    format!("{} says in DNS that it offers no such service", self.domain),
                )
                .not_found(),
            ),
            (_, Services::Unknown(why)) => self.fail(Failure::new(Stage::Dns, why)),
            (_, Services::None) => {
                // No service is published: the domain itself is the host (RFC 6120 §3.2.2).
                self.look_up(vec![(self.domain.clone(), PORT, Start::InBand, true)]);
            }
        }
    }

    fn look_up_services(&mut self, services: Vec<Service>) {
        let mut hosts = Vec::new();
        for service in merge(services, &mut self.ids) {
            let host = (service.host, service.port, service.start, service.is_signed);
            if hosts.len() < self.settings.targets_max && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        self.look_up(hosts);
    }

    fn look_up(&mut self, hosts: Vec<Wanted>) {
        let mut found = Vec::with_capacity(hosts.len());
        let mut open = BTreeMap::new();
        for (name, port, start, is_signed) in hosts {
            let addresses = match parse_address(&name) {
                Some(address) => Ok(vec![address]),
                None => {
                    let number = self.ask(Question::Addresses(name.clone()));
                    open.insert(number, About::Addresses(found.len()));
                    Err(format!("no address of {name} came in time"))
                }
            };
            found.push(Host { name, port, start, is_signed, addresses, delegation: None });
        }
        let complete = open.is_empty();
        self.state = State::Hosts { hosts: found, open };
        if complete {
            self.finish();
        }
    }

    /// Lists the addresses host by host, families alternating, IPv6 first (RFC 8305 §4).
    fn finish(&mut self) {
        let State::Hosts { mut hosts, open } = std::mem::replace(&mut self.state, State::Done) else {
            return;
        };
        for about in open.into_values() {
            if let About::Associations(place) = about {
                let host = &mut hosts[place];
                host.addresses = Err(format!("the TLSA records of {} did not come in time", host.name));
            }
        }
        let mut targets = Vec::new();
        let mut refused = None;
        let mut trouble = None;
        for host in hosts {
            match host.addresses {
                Err(why) => trouble = trouble.or(Some(why)),
                Ok(addresses) => {
                    for address in alternating(&addresses) {
                        if !self.settings.addresses.admits(address) {
                            refused = Some(address);
                        } else if targets.len() < self.settings.targets_max {
                            let address = SocketAddr::new(address, host.port);
                            targets.push(Target {
                                address,
                                host: host.name.clone(),
                                start: host.start,
                                delegation: host.delegation.clone(),
                            });
                        }
                    }
                }
            }
        }
        self.outputs.push_back(match (targets.is_empty(), refused, trouble) {
            (false, _, _) => Output::Found(targets),
            (true, Some(address), _) => Output::Failed(Failure::new(
                Stage::Policy,
                format!("{} leads to {address}, which is not a public address", self.domain),
            )),
            (true, None, Some(why)) if self.settings.dane => {
                Output::Failed(Failure::new(Stage::Dns, why).with_advice(DNSSEC_ADVICE))
            }
            (true, None, Some(why)) => Output::Failed(Failure::new(Stage::Dns, why)),
            (true, None, None) => Output::Failed(
                Failure::new(Stage::Dns, format!("{} has no address", self.domain)).not_found(),
            ),
        });
    }

    fn fail(&mut self, failure: Failure) {
        self.state = State::Done;
        self.outputs.push_back(Output::Failed(failure));
    }

    fn ask(&mut self, question: Question) -> u32 {
        self.questions += 1;
        let question = if self.settings.dane { Question::Validated(Box::new(question)) } else { question };
        self.outputs.push_back(Output::Ask(self.questions, question));
        self.questions
    }

    fn ask_about(&mut self, about: About, question: Question) {
        let number = self.ask(question);
        if let State::Hosts { open, .. } = &mut self.state {
            open.insert(number, about);
        }
    }
}

impl Host {
    /// Takes what the host's own zone says of its certificate (RFC 7673 §3.4).
    fn take_associations(&mut self, answer: Result<Answer, DnsFailure>) {
        let records = match answer {
            Ok(Answer { records, secure: true }) => records,
            // Not signed is as good as not there.
            Ok(_) | Err(DnsFailure::NoSuchName) => Vec::new(),
            Err(DnsFailure::Unreachable(why) | DnsFailure::ServerFailed(why) | DnsFailure::Bogus(why)) => {
                // Who can keep the records from us could as well stand between us and the host.
                self.addresses = Err(format!("the TLSA records of {} cannot be trusted: {why}", self.name));
                return;
            }
        };
        self.delegation = Some(Arc::new(Delegation::new(self.name.clone(), self.port, &records)));
    }
}

/// Whoever forges one answer about services could send us anywhere (RFC 7673 §3.1).
fn forged(answer: &Result<Answer, DnsFailure>) -> Option<String> {
    match answer {
        Err(DnsFailure::Bogus(why)) => Some(format!("the SRV records cannot be trusted: {why}")),
        Ok(_) | Err(DnsFailure::NoSuchName | DnsFailure::Unreachable(_) | DnsFailure::ServerFailed(_)) => {
            None
        }
    }
}

enum Services {
    Some(Vec<Service>),
    /// The target `.` (RFC 2782): decidedly no such service.
    Refused,
    None,
    Unknown(String),
}

fn services_of(answer: &Result<Answer, DnsFailure>, start: Start) -> Services {
    let (records, is_signed) = match answer {
        Ok(answer) => (&answer.records, answer.secure),
        Err(DnsFailure::NoSuchName) => return Services::None,
        Err(DnsFailure::Unreachable(why) | DnsFailure::ServerFailed(why) | DnsFailure::Bogus(why)) => {
            return Services::Unknown(why.clone());
        }
    };
    let mut services = Vec::new();
    let mut refused = false;
    for record in records {
        let Record::Srv { priority, weight, port, target } = record else { continue };
        if target.is_empty() || target == "." {
            refused = true;
        } else {
            let host = target.trim_end_matches('.').to_ascii_lowercase();
            services.push(Service {
                priority: *priority,
                weight: *weight,
                host,
                port: *port,
                start,
                is_signed,
            });
        }
    }
    match (services.is_empty(), refused) {
        (false, _) => Services::Some(services),
        (true, true) => Services::Refused,
        (true, false) => Services::None,
    }
}

pub(crate) fn addresses_of(answer: Result<Answer, DnsFailure>) -> Result<Vec<IpAddr>, String> {
    match answer {
        Ok(answer) => Ok(answer
            .records
            .into_iter()
            .filter_map(|record| match record {
                Record::Address(address) => Some(address),
                Record::Srv { .. } | Record::Naptr { .. } | Record::Tlsa { .. } => None,
            })
            .collect()),
        Err(DnsFailure::NoSuchName) => Ok(Vec::new()),
        Err(DnsFailure::Unreachable(why) | DnsFailure::ServerFailed(why) | DnsFailure::Bogus(why)) => {
            Err(why)
        }
    }
}

pub(crate) fn alternating(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut sixes = addresses.iter().filter(|address| address.is_ipv6());
    let mut fours = addresses.iter().filter(|address| address.is_ipv4());
    let mut ordered = Vec::with_capacity(addresses.len());
    loop {
        let (six, four) = (sixes.next(), fours.next());
        if six.is_none() && four.is_none() {
            return ordered;
        }
        ordered.extend(six.into_iter().chain(four).copied());
    }
}

/// Takes apart `host`, `host:port`, `[2001:db8::1]:port` and bare addresses.
#[must_use]
pub fn parse_host(text: &str) -> Option<(String, Option<u16>)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address.to_string(), None));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip().to_string(), Some(address.port())));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse::<u16>().ok().filter(|port| *port != 0)?)),
        None => (text, None),
    };
    let name = DomainName::parse(name).ok()?;
    Some((name.to_ascii().to_string(), port))
}

fn parse_address(name: &str) -> Option<IpAddr> {
    name.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// What helps where DNSSEC stands in the way.
const DNSSEC_ADVICE: &str = "check that the resolver answers and passes DNSSEC on; if it does, the partner's zone is \
                             signed wrongly, or somebody forges it; `dane = false` goes without its word";

/// The registered port of `xmpp-server`.
pub const PORT: u16 = 5269;

#[cfg(test)]
mod tests;
