//! The DNS: a question becomes an answer or a failure, and nothing is chosen.
//!
//! Order, weight and fallback among records are pure and live with the protocols (RFC 3263, RFC 2782).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use net_types::{Answer, Failure, Question, Record};

/// Whom to ask, and how long.
#[derive(Clone, Debug)]
pub struct DnsSettings {
    /// The servers; empty means what the operating system is configured with, its hosts file included.
    pub servers: Vec<SocketAddr>,
    /// How long one try with one server may take.
    pub try_timeout: Duration,
    /// How long an answer may take altogether.
    pub timeout: Duration,
    /// How often each question is tried.
    pub attempts: usize,
    /// Whether to check DNSSEC; without it no answer is ever `secure`.
    pub dnssec: bool,
    /// How many answers are remembered, each for as long as it says.
    pub cache_max: u64,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            try_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(8),
            attempts: 2,
            dnssec: false,
            cache_max: 4096,
        }
    }
}

/// Asks the DNS. Each driver has one of its own, because it starts tasks in its driver's event loop.
pub struct Resolver {
    resolver: TokioResolver,
    timeout: Duration,
}

impl Resolver {
    /// Prepares to ask; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When the operating system's configuration is wanted and cannot be read.
    pub fn new(settings: &DnsSettings) -> Result<Self, NoResolver> {
        let no_resolver = |error: NetError| NoResolver(error.to_string());
        let mut builder = if settings.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(no_resolver)?
        } else {
            let servers = settings.servers.iter().copied().map(server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = settings.try_timeout;
        options.attempts = settings.attempts;
        options.validate = settings.dnssec;
        options.edns0 = true;
        options.cache_size = settings.cache_max;
        options.use_hosts_file =
            if settings.servers.is_empty() { ResolveHosts::Auto } else { ResolveHosts::Never };
        let resolver = builder.build().map_err(no_resolver)?;
        Ok(Self { resolver, timeout: settings.timeout })
    }

    /// Returns what the DNS says.
    ///
    /// # Errors
    ///
    /// Tells a name that does not exist from servers that do not answer, that cannot, and that are not believed.
    pub async fn resolve(&self, question: &Question) -> Result<Answer, Failure> {
        match tokio::time::timeout(self.timeout, self.ask(question)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Unreachable("no DNS server answered in time".to_owned())),
        }
    }

    async fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        match question {
            Question::Addresses(host) => {
                if let Ok(address) = host.parse::<IpAddr>() {
                    return Ok(Answer { records: vec![Record::Address(address)], secure: false });
                }
                let (four, six) =
                    tokio::join!(self.look_up(host, RecordType::A), self.look_up(host, RecordType::AAAA));
                both_families(six, four)
            }
            Question::Srv(name) => self.look_up(name, RecordType::SRV).await,
            Question::Naptr(name) => self.look_up(name, RecordType::NAPTR).await,
            Question::Tlsa(name) => self.look_up(name, RecordType::TLSA).await,
        }
    }

    async fn look_up(&self, name: &str, kind: RecordType) -> Result<Answer, Failure> {
        // A name that cannot be written does not exist either.
        let mut name = Name::from_ascii(name).map_err(|_| Failure::NoSuchName)?;
        // Absolute: a search list would find another host of the same name.
        name.set_fqdn(true);
        match self.resolver.lookup(name, kind).await {
            Ok(found) => answer(&found, kind),
            Err(error) => no_answer(error),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Resolver")
    }
}

/// The operating system's DNS configuration cannot be used, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoResolver(pub String);

impl fmt::Display for NoResolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "no usable DNS configuration ({}); mend /etc/resolv.conf, or name DNS servers", self.0)
    }
}

impl std::error::Error for NoResolver {}

fn server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

/// Joins the two families: one that answers is enough, and what it says is what is told.
fn both_families(six: Result<Answer, Failure>, four: Result<Answer, Failure>) -> Result<Answer, Failure> {
    match (six, four) {
        (Ok(six), Ok(four)) => {
            let secure = match (six.records.is_empty(), four.records.is_empty()) {
                (false, true) => six.secure,
                (true, false) => four.secure,
                (true, true) | (false, false) => six.secure && four.secure,
            };
            Ok(Answer { records: six.records.into_iter().chain(four.records).collect(), secure })
        }
        // A forged half spoils the whole.
        (Err(Failure::Bogus(reason)), _) | (_, Err(Failure::Bogus(reason))) => Err(Failure::Bogus(reason)),
        (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.records.is_empty() => Ok(found),
        // Without records in one family, the other's failure may hide the only address.
        (Ok(_), Err(failure)) | (Err(failure), Ok(_)) | (Err(failure), Err(_)) => Err(failure),
    }
}

fn answer(found: &Lookup, kind: RecordType) -> Result<Answer, Failure> {
    let mut secure = !found.answers().is_empty();
    let mut records = Vec::with_capacity(found.answers().len());
    for answer in found.answers() {
        // Signatures are not data, and were checked.
        if answer.record_type() != RecordType::RRSIG {
            secure &= answer.proof.is_secure();
        }
        if answer.proof.is_bogus() {
            return Err(Failure::Bogus(format!("DNSSEC does not vouch for {}", answer.name)));
        }
        if answer.record_type() == kind {
            records.extend(record(&answer.data));
        }
    }
    Ok(Answer { records, secure })
}

fn record(data: &RData) -> Option<Record> {
    Some(match data {
        RData::A(address) => Record::Address(IpAddr::V4(address.0)),
        RData::AAAA(address) => Record::Address(IpAddr::V6(address.0)),
        RData::SRV(srv) => Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: plain(&srv.target),
        },
        RData::NAPTR(rule) => Record::Naptr {
            order: rule.order,
            preference: rule.preference,
            flags: String::from_utf8_lossy(&rule.flags).into_owned(),
            services: String::from_utf8_lossy(&rule.services).into_owned(),
            regexp: String::from_utf8_lossy(&rule.regexp).into_owned(),
            replacement: plain(&rule.replacement),
        },
        RData::TLSA(tlsa) => Record::Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        },
        _ => return None,
    })
}

/// Returns a name without its final dot; the root, which says "not here" (RFC 2782), becomes `.`.
fn plain(name: &Name) -> String {
    let text = name.to_ascii();
    match text.strip_suffix('.') {
        Some(shorter) if !shorter.is_empty() => shorter.to_owned(),
        Some(_) | None => text,
    }
}

fn no_answer(error: NetError) -> Result<Answer, Failure> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => absence(none.response_code, false),
        NetError::Dns(DnsError::Nsec { response, proof, .. }) => {
            if proof.is_bogus() {
                return Err(Failure::Bogus("DNSSEC does not vouch for the absence".to_owned()));
            }
            absence(response.response_code, proof.is_secure())
        }
        NetError::Dns(DnsError::DnssecBogus) => Err(Failure::Bogus("DNSSEC validation failed".to_owned())),
        NetError::Dns(DnsError::ResponseCode(code)) => absence(code, false),
        NetError::Timeout | NetError::NoConnections | NetError::Io(_) | NetError::Busy => {
            Err(Failure::Unreachable(format!("no DNS server answered ({error})")))
        }
        error => Err(Failure::ServerFailed(error.to_string())),
    }
}

fn absence(code: ResponseCode, secure: bool) -> Result<Answer, Failure> {
    match code {
        ResponseCode::NoError => Ok(Answer { records: Vec::new(), secure }),
        ResponseCode::NXDomain => Err(Failure::NoSuchName),
        code => Err(Failure::ServerFailed(format!("the DNS server answered: {code}"))),
    }
}
