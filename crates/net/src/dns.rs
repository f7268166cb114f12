//! The DNS: a question becomes an answer or a failure, and nothing is chosen.
//!
//! Order, weight and fallback among records are pure and live with the protocols (RFC 3263, RFC 2782).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
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
    /// Whose signatures [`Question::Validated`] goes back to.
    pub anchors: Anchors,
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
            anchors: Anchors::Root,
            cache_max: 4096,
        }
    }
}

/// Where DNSSEC begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchors {
    /// The root's keys that this program was built with: those of 2018 and 2024.
    Root,
    /// Keys in a file of DNSKEY records, of the root or of other zones, instead of those.
    File(PathBuf),
}

impl Anchors {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds something else.
    pub fn check(&self) -> Result<(), NoResolver> {
        self.load().map(|_| ())
    }

    fn load(&self) -> Result<Arc<TrustAnchors>, NoResolver> {
        match self {
            Self::Root => Ok(Arc::new(TrustAnchors::default())),
            Self::File(path) => match TrustAnchors::from_file(path) {
                Ok(anchors) => Ok(Arc::new(anchors)),
                Err(why) => Err(NoResolver::BadAnchors { file: path.clone(), why: why.to_string() }),
            },
        }
    }
}

/// Asks the DNS. Each driver has one of its own, because it starts tasks in its driver's event loop.
pub struct Resolver {
    settings: DnsSettings,
    plain: TokioResolver,
    anchors: Arc<TrustAnchors>,
    /// Made when the first question wants it: in most places nobody does.
    validating: OnceLock<Result<TokioResolver, String>>,
}

impl Resolver {
    /// Prepares to ask; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When the operating system's configuration, or the file of anchors, is wanted and cannot be read.
    pub fn new(settings: &DnsSettings) -> Result<Self, NoResolver> {
        let anchors = settings.anchors.load()?;
        let mut builder = builder(settings).map_err(NoResolver::BadSystem)?;
        builder.options_mut().use_hosts_file =
            if settings.servers.is_empty() { ResolveHosts::Auto } else { ResolveHosts::Never };
        let plain = builder.build().map_err(|error| NoResolver::BadSystem(error.to_string()))?;
        Ok(Self { settings: settings.clone(), plain, anchors, validating: OnceLock::new() })
    }

    /// Returns what the DNS says.
    ///
    /// # Errors
    ///
    /// Tells a name that does not exist from servers that do not answer, that cannot, and that are not believed.
    pub async fn resolve(&self, question: &Question) -> Result<Answer, Failure> {
        let answer = async {
            match question {
                Question::Validated(question) => self.ask(self.validating()?, question).await,
                question => self.ask(&self.plain, question).await,
            }
        };
        match tokio::time::timeout(self.settings.timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Unreachable("no DNS server answered in time".to_owned())),
        }
    }

    fn validating(&self) -> Result<&TokioResolver, Failure> {
        let made = self.validating.get_or_init(|| {
            let mut builder = builder(&self.settings)?;
            // A name that stands in a file of this machine is signed by nobody.
            builder.options_mut().use_hosts_file = ResolveHosts::Never;
            let builder = builder.with_trust_anchor(Arc::clone(&self.anchors));
            builder.build().map_err(|error| error.to_string())
        });
        made.as_ref().map_err(|why| Failure::Unreachable(why.clone()))
    }

    async fn ask(&self, resolver: &TokioResolver, question: &Question) -> Result<Answer, Failure> {
        match question {
            Question::Addresses(host) => {
                if let Ok(address) = host.parse::<IpAddr>() {
                    return Ok(Answer { records: vec![Record::Address(address)], secure: false });
                }
                let (four, six) = tokio::join!(
                    look_up(resolver, host, RecordType::A),
                    look_up(resolver, host, RecordType::AAAA)
                );
                both_families(six, four)
            }
            Question::Srv(name) => look_up(resolver, name, RecordType::SRV).await,
            Question::Naptr(name) => look_up(resolver, name, RecordType::NAPTR).await,
            Question::Tlsa(name) => look_up(resolver, name, RecordType::TLSA).await,
            Question::Validated(_) => Err(Failure::ServerFailed("a question was wrapped twice".to_owned())),
        }
    }
}

async fn look_up(resolver: &TokioResolver, name: &str, kind: RecordType) -> Result<Answer, Failure> {
    // A name that cannot be written does not exist either.
    let mut name = Name::from_ascii(name).map_err(|_| Failure::NoSuchName)?;
    // Absolute: a search list would find another host of the same name.
    name.set_fqdn(true);
    match resolver.lookup(name, kind).await {
        Ok(found) => answer(&found, kind),
        Err(error) => no_answer(error),
    }
}

fn builder(settings: &DnsSettings) -> Result<ResolverBuilder<TokioRuntimeProvider>, String> {
    let mut builder = if settings.servers.is_empty() {
        TokioResolver::builder_tokio().map_err(|error| error.to_string())?
    } else {
        let servers = settings.servers.iter().copied().map(server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = settings.try_timeout;
    options.attempts = settings.attempts;
    options.validate = false;
    options.edns0 = true;
    options.cache_size = settings.cache_max;
    Ok(builder)
}

impl fmt::Debug for Resolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Resolver")
    }
}

/// Why the DNS cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoResolver {
    /// The operating system's DNS configuration cannot be used, in words.
    BadSystem(String),
    /// The file of anchors cannot be used.
    BadAnchors {
        /// Which.
        file: PathBuf,
        /// In words.
        why: String,
    },
}

impl fmt::Display for NoResolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSystem(why) => {
                write!(out, "no usable DNS configuration ({why}); mend /etc/resolv.conf, or name DNS servers")
            }
            Self::BadAnchors { file, why } => write!(
                out,
                "{} holds no DNSSEC keys ({why}); write DNSKEY records, one a line, such as those of `dig . DNSKEY`",
                file.display()
            ),
        }
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
