//! From a URI or a domain to the places to try, in order (RFC 3263 §4, RFC 2782, RFC 7984 §3.1).
//!
//! ```text
//!   numeric host ─────────────────────────────────────────────▶ place
//!   port written ───────────────────────────────▶ addresses ──▶ places
//!   transport written ────────────▶ SRV ┬───────▶ addresses ──▶ places
//!   nothing written ──▶ NAPTR ────▶ SRV ┤
//!                                       └ none ─▶ addresses of the domain, default transport and port
//! ```
//!
//! Every place that the DNS names is found in the end, up to a limit: the next one is tried when one
//! fails (§4.3). Places come out as soon as their order is certain, so that the first need not wait for
//! the addresses of the last.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use clock_types::Ids;
use net_types::{Answer, Failure, Question, Record};

use crate::endpoint::{NextHop, Transport};

/// Where a request can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// How.
    pub transport: Transport,
    /// Where to.
    pub address: SocketAddr,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.transport, self.address)
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the DNS.
    Resolve(Question),
    /// The next place to try.
    Found(Place),
    /// There are no more; in words, if a question failed on the way.
    Finished(Option<String>),
}

/// One search.
#[derive(Debug)]
pub struct Locate {
    state: State,
    domain: String,
    secure: bool,
    /// The transports that may be used, the preferred one first.
    by: Vec<Transport>,
    /// Places still allowed.
    left: usize,
    /// Why a question failed, the last one.
    trouble: Option<String>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Naptr,
    /// Services asked for in the order of preference.
    Services(Vec<Service>),
    /// Hosts in the order they will be tried.
    Hosts(VecDeque<Candidate>),
    Finished,
}

#[derive(Debug)]
struct Service {
    transport: Transport,
    name: String,
    records: Option<Vec<Candidate>>,
}

#[derive(Debug)]
struct Candidate {
    transport: Transport,
    host: String,
    port: u16,
    addresses: Option<Vec<IpAddr>>,
}

impl Locate {
    /// Returns the search for `hop` with the transports `by`, the preferred one first, for at most `max`
    /// places.
    #[must_use]
    pub fn new(hop: &NextHop, by: &[Transport], max: usize) -> Self {
        let allowed = |t: &Transport| !hop.secure || *t == Transport::Tls;
        let by: Vec<Transport> = match hop.transport {
            Some(written) => vec![written],
            None => by.iter().copied().filter(allowed).collect(),
        };
        let mut locate = Self {
            state: State::Finished,
            domain: hop.host.to_string(),
            secure: hop.secure,
            by,
            left: max,
            trouble: None,
            outputs: VecDeque::new(),
        };
        locate.start(hop);
        locate
    }

    fn start(&mut self, hop: &NextHop) {
        let Some(default) = self.default_transport() else {
            self.trouble = Some("no transport is enabled that the address allows".to_owned());
            self.outputs.push_back(Output::Finished(self.trouble.take()));
            return;
        };
        let port = hop.port.unwrap_or_else(|| default.default_port());
        if let Some(address) = hop.host.address() {
            let place = Place { transport: default, address: SocketAddr::new(address, port) };
            self.outputs.extend([Output::Found(place), Output::Finished(None)]);
        } else if hop.port.is_some() {
            self.ask_addresses(vec![Candidate::new(default, self.domain.clone(), port)]);
        } else if hop.transport.is_some() {
            self.ask_services(vec![(default, service_name(default, &self.domain))]);
        } else {
            self.state = State::Naptr;
            self.outputs.push_back(Output::Resolve(Question::Naptr(self.domain.clone())));
        }
    }

    /// Takes the answer to a question that was asked.
    pub fn handle_answer(&mut self, question: &Question, answer: &Result<Answer, Failure>, ids: &mut Ids) {
        match (&mut self.state, question) {
            (State::Naptr, Question::Naptr(_)) => self.hear_rules(answer),
            (State::Services(services), Question::Srv(name)) => {
                let heard = records(answer, &mut self.trouble);
                if heard.iter().any(|record| matches!(record, Record::Srv { target, .. } if target == ".")) {
                    // RFC 2782: the service is decidedly not there, so neither is it at the domain's address.
                    self.trouble = Some(format!("{name} says that there is no such service"));
                }
                for service in services.iter_mut().filter(|service| service.name == *name) {
                    service.records = Some(sorted(heard, service.transport, ids));
                }
                self.choose_hosts();
            }
            (State::Hosts(candidates), Question::Addresses(host)) => {
                let heard = records(answer, &mut self.trouble);
                let addresses = heard.iter().filter_map(|record| match record {
                    Record::Address(address) => Some(*address),
                    Record::Srv { .. } | Record::Naptr { .. } | Record::Tlsa { .. } => None,
                });
                let addresses: Vec<IpAddr> = addresses.collect();
                for candidate in candidates.iter_mut().filter(|candidate| candidate.host == *host) {
                    candidate.addresses.get_or_insert_with(|| addresses.clone());
                }
                self.tell_places();
            }
            // An answer to something that is not asked any more.
            (State::Naptr | State::Services(_) | State::Hosts(_) | State::Finished, _) => {}
        }
    }

    /// Returns the next thing to do; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Chooses services by NAPTR rules (§4.1), or all that are spoken if there are none.
    fn hear_rules(&mut self, answer: &Result<Answer, Failure>) {
        // COMPAT(DNS forwarders, all): some fail on NAPTR alone, so its failure is as good as none.
        let mut rules: Vec<(u16, u16, Transport, &str)> = records(answer, &mut None)
            .iter()
            .filter_map(|record| match record {
                Record::Naptr { order, preference, flags, services, replacement, .. } => {
                    let transport = service_transport(services)?;
                    let usable = flags.eq_ignore_ascii_case("s") && self.by.contains(&transport);
                    usable.then_some((*order, *preference, transport, replacement.as_str()))
                }
                Record::Address(_) | Record::Srv { .. } | Record::Tlsa { .. } => None,
            })
            .collect();
        rules.sort_by_key(|(order, preference, ..)| (*order, *preference));
        rules.truncate(self.left);
        let services = if rules.is_empty() {
            self.by.iter().map(|transport| (*transport, service_name(*transport, &self.domain))).collect()
        } else {
            rules.into_iter().map(|(_, _, transport, name)| (transport, name.to_owned())).collect()
        };
        self.ask_services(services);
    }

    fn ask_services(&mut self, services: Vec<(Transport, String)>) {
        let ask = |(transport, name): (Transport, String)| {
            self.outputs.push_back(Output::Resolve(Question::Srv(name.clone())));
            Service { transport, name, records: None }
        };
        self.state = State::Services(services.into_iter().map(ask).collect());
    }

    /// Goes on to addresses when every service is known.
    fn choose_hosts(&mut self) {
        let State::Services(services) = &mut self.state else { return };
        if services.iter().any(|service| service.records.is_none()) {
            return;
        }
        let mut candidates: Vec<Candidate> =
            services.iter_mut().filter_map(|service| service.records.take()).flatten().collect();
        candidates.truncate(self.left);
        if candidates.is_empty() && self.trouble.is_none() {
            // §4.2: no SRV records at all, so the domain is a host.
            let transport = self.default_transport().expect("the search began with a transport");
            candidates.push(Candidate::new(transport, self.domain.clone(), transport.default_port()));
        }
        self.ask_addresses(candidates);
    }

    fn ask_addresses(&mut self, candidates: Vec<Candidate>) {
        let mut asked: Vec<&str> = Vec::new();
        for Candidate { host, addresses, .. } in &candidates {
            if addresses.is_none() && !asked.contains(&host.as_str()) {
                asked.push(host);
                self.outputs.push_back(Output::Resolve(Question::Addresses(host.clone())));
            }
        }
        self.state = State::Hosts(candidates.into());
        self.tell_places();
    }

    /// Gives out the places whose turn is certain. All addresses of one host come together, in the order
    /// of the answer (RFC 7984 §4).
    fn tell_places(&mut self) {
        let State::Hosts(candidates) = &mut self.state else { return };
        while let Some(addresses) = candidates.front_mut().and_then(|first| first.addresses.take()) {
            let candidate = candidates.pop_front().expect("the loop has looked at it");
            for address in addresses.into_iter().take(self.left) {
                self.left -= 1;
                let address = SocketAddr::new(address, candidate.port);
                self.outputs.push_back(Output::Found(Place { transport: candidate.transport, address }));
            }
        }
        if candidates.is_empty() || self.left == 0 {
            self.state = State::Finished;
            self.outputs.push_back(Output::Finished(self.trouble.take()));
        }
    }

    /// Returns the transport when neither the URI nor the DNS names one (§4.1): UDP for `sip:`, TLS for
    /// `sips:`; another one if that is not enabled.
    fn default_transport(&self) -> Option<Transport> {
        let usual = if self.secure { Transport::Tls } else { Transport::Udp };
        if self.by.contains(&usual) { Some(usual) } else { self.by.first().copied() }
    }
}

impl Candidate {
    fn new(transport: Transport, host: String, port: u16) -> Self {
        Self { transport, host, port, addresses: None }
    }
}

fn records<'a>(answer: &'a Result<Answer, Failure>, trouble: &mut Option<String>) -> &'a [Record] {
    match answer {
        Ok(answer) => &answer.records,
        Err(Failure::NoSuchName) => &[],
        Err(Failure::Unreachable(why) | Failure::ServerFailed(why) | Failure::Bogus(why)) => {
            *trouble = Some(why.clone());
            &[]
        }
    }
}

/// Returns the hosts of SRV records in the order to try: by priority, and by chance according to weight
/// within one (RFC 2782).
fn sorted(records: &[Record], transport: Transport, ids: &mut Ids) -> Vec<Candidate> {
    let mut left: Vec<(u16, u16, u16, &str)> = records
        .iter()
        .filter_map(|record| match record {
            Record::Srv { priority, weight, port, target } if target != "." && !target.is_empty() => {
                Some((*priority, *weight, *port, target.as_str()))
            }
            Record::Srv { .. } | Record::Address(_) | Record::Naptr { .. } | Record::Tlsa { .. } => None,
        })
        .collect();
    left.sort_by_key(|(priority, weight, ..)| (*priority, *weight));
    let mut order = Vec::with_capacity(left.len());
    while let Some((priority, ..)) = left.first().copied() {
        let rivals = left.iter().take_while(|(other, ..)| *other == priority).count();
        let sum: u64 = left[..rivals].iter().map(|(_, weight, ..)| u64::from(*weight)).sum();
        let chance = ids.below(sum + 1);
        let mut running = 0;
        let reaches = |(_, weight, ..): &(u16, u16, u16, &str)| {
            running += u64::from(*weight);
            running >= chance
        };
        let chosen = left[..rivals].iter().position(reaches).unwrap_or(0);
        let (_, _, port, target) = left.remove(chosen);
        let host = target.strip_suffix('.').unwrap_or(target).to_owned();
        order.push(Candidate::new(transport, host, port));
    }
    order
}

fn service_name(transport: Transport, domain: &str) -> String {
    match transport {
        Transport::Udp => format!("_sip._udp.{domain}"),
        Transport::Tcp => format!("_sip._tcp.{domain}"),
        Transport::Tls => format!("_sips._tcp.{domain}"),
    }
}

fn service_transport(services: &str) -> Option<Transport> {
    let known = [("SIPS+D2T", Transport::Tls), ("SIP+D2T", Transport::Tcp), ("SIP+D2U", Transport::Udp)];
    known.into_iter().find(|(name, _)| services.eq_ignore_ascii_case(name)).map(|(_, transport)| transport)
}
