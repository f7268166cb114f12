//! The configuration as the rest of the program sees it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::mistake::Span;
use super::reader::Node;
use super::users::{self, Users};
use super::value::{At, Value};

/// A whole file, right in each of its settings.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// `[proxy]`.
    pub proxy: Option<Proxy>,
    /// `[gateway]`.
    pub gateway: Option<Gateway>,
    /// `[identity.NAME]`.
    pub identities: BTreeMap<String, IdentityFiles>,
    /// `[trust.NAME]`.
    pub trusts: BTreeMap<String, TrustFiles>,
    /// `[admin]`.
    pub admin_socket: At<PathBuf>,
    /// `[log]`.
    pub log: Log,
}

/// `[log]`.
#[derive(Clone, Debug)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Whether a line is a JSON object.
    pub json: bool,
}

/// `[identity.NAME]`.
#[derive(Clone, Debug)]
pub struct IdentityFiles {
    /// Where the name stands.
    pub span: Span,
    /// The chain, ours first.
    pub certificate: At<PathBuf>,
    /// The private key.
    pub key: At<PathBuf>,
}

/// `[trust.NAME]`.
#[derive(Clone, Debug)]
pub struct TrustFiles {
    /// Where the name stands.
    pub span: Span,
    /// Certificates of authorities.
    pub authorities: Vec<At<PathBuf>>,
    /// Whether the operating system's are believed besides.
    pub system: bool,
}

/// `[proxy]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct Proxy {
    pub span: Span,
    pub domains: Vec<At<String>>,
    pub listen: Vec<At<SocketAddr>>,
    pub direct_tls_listen: Vec<At<SocketAddr>>,
    pub identities: Vec<At<String>>,
    pub trust: At<String>,
    pub resolver: Vec<SocketAddr>,
    pub dnssec_anchors: Option<At<PathBuf>>,
    pub open: At<bool>,
    pub denied_domains: Vec<At<String>>,
    pub answer_version: bool,
    pub dialback_secret: Option<At<String>>,
    pub dialback_secret_file: Option<At<PathBuf>>,
    pub connection_limit: u64,
    pub partner_connection_limit: u64,
    pub resume_host: Option<At<(String, Option<u16>)>>,
    pub keep_alive_interval: Duration,
    pub establishment_timeout: Duration,
    pub inactivity_timeout: Duration,
    pub partners: Vec<Partner>,
    pub link: Option<ProxyLink>,
    pub limits: ProxyLimits,
}

/// How far an encryption or a proof is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiation {
    /// Without it there is no stream.
    Required,
    /// Used where the partner can.
    Optional,
    /// Neither offered nor used.
    NotSupported,
}

/// What a partner's users may do before ours have added them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartnerType {
    /// A business partner.
    Federated,
    /// A provider that vouches for its users.
    PublicVerified,
    /// A provider that does not.
    PublicUnverified,
}

/// `[[proxy.partner]]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct Partner {
    pub span: Span,
    pub domain: At<String>,
    pub additional_domains: Vec<At<String>>,
    pub subdomains: bool,
    pub description: Option<String>,
    pub kind: PartnerType,
    pub tls: At<Negotiation>,
    pub sasl: At<Negotiation>,
    pub dialback: At<bool>,
    pub allow_plaintext: At<bool>,
    pub direct_tls: bool,
    pub dane: At<bool>,
    pub keep_alive: bool,
    pub connection_limit: Option<u64>,
    pub host: Option<At<(String, Option<u16>)>>,
    pub trust: Option<At<String>>,
    pub pins: Vec<[u8; 32]>,
    pub allow_private_addresses: bool,
    pub stanzas_per_second: Option<u64>,
    pub bytes_per_second: Option<u64>,
}

/// `[proxy.link]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct ProxyLink {
    pub span: Span,
    pub listen: At<SocketAddr>,
    pub identity: At<String>,
    pub trust: At<String>,
    pub gateways: Vec<At<String>>,
}

/// `[proxy.limits]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct ProxyLimits {
    pub connections_per_address: u64,
    pub unproved_per_address: u64,
    pub proof_timeout: Duration,
    pub unproved_bytes: u64,
    pub stanza_size: u64,
    pub pending_dialbacks: u64,
    pub queued_stanzas: u64,
    pub queued_bytes: u64,
    pub stanzas_at_work: u64,
    pub held_stanzas: u64,
    pub held_time: Duration,
    pub report_time: Duration,
    pub acknowledgement_time: Duration,
    pub suspended_time: Duration,
    pub suspended_streams: u64,
    pub suspended_bytes: u64,
    pub send_buffer: u64,
}

/// `[gateway]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct Gateway {
    pub span: Span,
    pub name: At<(String, Option<u16>)>,
    pub store: At<PathBuf>,
    pub resolver: Vec<SocketAddr>,
    pub hold_time: Duration,
    pub lifetime: Duration,
    pub receipts: bool,
    pub normal_messages: bool,
    pub listen: Vec<SipListen>,
    pub domains: Vec<SipDomain>,
    pub conversations: Conversations,
    pub presence: Presence,
    pub users: Users,
    pub links: Vec<GatewayLink>,
    pub limits: GatewayLimits,
}

/// How SIP comes to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SipTransport {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
    /// Streams over TLS.
    Tls,
}

/// `[[gateway.listen]]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct SipListen {
    pub span: Span,
    pub transport: At<SipTransport>,
    pub address: At<SocketAddr>,
    pub name: Option<At<(String, Option<u16>)>>,
    pub identity: Option<At<String>>,
    pub trust: Option<At<String>>,
    /// Whether OpenSSL shakes hands.
    pub open_ssl: At<bool>,
}

/// What becomes of messages of type `headline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headlines {
    /// They cross like any other.
    Deliver,
    /// They end here.
    Drop,
    /// Their sender gets an error.
    Refuse,
}

/// How the servers of a SIP domain hold conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SipProfile {
    /// Page mode.
    Standard,
    /// Page mode, without resources.
    BareAddress,
    /// Sessions, as Microsoft's servers have them.
    Microsoft,
    /// Sessions, as Cisco's servers have them.
    Cisco,
}

impl SipProfile {
    /// Returns the profile that this word of the file names.
    fn parse(word: &str) -> Self {
        match word {
            "microsoft" => Self::Microsoft,
            "cisco" => Self::Cisco,
            "bare-address" => Self::BareAddress,
            _ => Self::Standard,
        }
    }

    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::BareAddress => "bare-address",
            Self::Microsoft => "microsoft",
            Self::Cisco => "cisco",
        }
    }

    /// Returns whether its servers speak TLS and nothing else.
    #[must_use]
    pub const fn wants_tls(self) -> bool {
        match self {
            Self::Microsoft | Self::Cisco => true,
            Self::Standard | Self::BareAddress => false,
        }
    }
}

/// `[[gateway.domain]]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct SipDomain {
    pub span: Span,
    pub domain: At<String>,
    pub next_hop: Option<At<String>>,
    pub next_hop_name: Option<At<String>>,
    pub trusted_names: Vec<At<String>>,
    pub trusted_addresses: Vec<At<(IpAddr, u8)>>,
    pub profile: At<SipProfile>,
    pub allow_plaintext: bool,
    pub headlines: Headlines,
    pub body_size: u64,
    pub request_rate: Option<u64>,
}

/// `[gateway.conversations]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct Conversations {
    pub idle_time: Duration,
    pub answer_time: Duration,
    pub waiting_texts: u64,
    pub waiting_size: u64,
    pub typing: bool,
    pub tell_of_conferences: bool,
    pub negotiate_status: u16,
    pub open: u64,
    pub open_per_domain: u64,
}

/// `[gateway.presence]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct Presence {
    pub expires: Duration,
    pub expires_min: Duration,
    pub expires_max: Duration,
    pub pace: Duration,
    pub adopt_probes: bool,
    pub watched: u64,
    pub stale_time: Duration,
    pub restart_spread: Duration,
    pub seen_as: Vec<At<String>>,
    pub shown_as: Vec<At<String>>,
}

/// `[gateway.link]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct GatewayLink {
    pub span: Span,
    pub proxy: At<(String, Option<u16>)>,
    pub proxy_name: Option<At<String>>,
    pub identity: At<String>,
    pub trust: At<String>,
}

/// `[gateway.limits]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are documented in the table of settings")]
pub struct GatewayLimits {
    pub connections: u64,
    pub connections_per_address: u64,
    pub idle_time: Duration,
    pub header_size: u64,
    pub header_lines: u64,
    pub body_size: u64,
    pub unanswered_requests: u64,
    pub outgoing_requests: u64,
    pub queued_messages: u64,
    pub queue_time: Duration,
    pub unsettled_messages: u64,
    pub send_buffer: u64,
}

/// Returns the configuration that `root` holds, less what is not right; relative paths start from
/// `directory`.
#[must_use]
pub fn build(root: &Node, directory: &Path) -> Option<Configuration> {
    let here = |at: At<PathBuf>| At { value: directory.join(at.value), span: at.span };
    let proxy = root.tables("proxy").first();
    let gateway = root.tables("gateway").first();
    let log = root.tables("log").first()?;
    let identities = root.tables("identity").iter().filter_map(|node| {
        let (certificate, key) = (here(node.path("certificate")?), here(node.path("key")?));
        Some((node.name.clone(), IdentityFiles { span: node.span.clone(), certificate, key }))
    });
    let trusts = root.tables("trust").iter().filter_map(|node| {
        let authorities = node.texts("authorities")?.into_iter();
        let authorities = authorities.map(|at| here(At { value: at.value.into(), span: at.span })).collect();
        let system = node.boolean("system")?.value;
        Some((node.name.clone(), TrustFiles { span: node.span.clone(), authorities, system }))
    });
    Some(Configuration {
        proxy: proxy.and_then(|node| build_proxy(node, &here)),
        gateway: gateway.and_then(|node| build_gateway(node, &here)),
        identities: identities.collect(),
        trusts: trusts.collect(),
        admin_socket: here(root.tables("admin").first()?.path("socket")?),
        log: Log { level: log.text("level")?.value, json: log.text("format")?.value == "json" },
    })
}

fn build_proxy(node: &Node, here: &impl Fn(At<PathBuf>) -> At<PathBuf>) -> Option<Proxy> {
    Some(Proxy {
        span: node.span.clone(),
        domains: node.texts("domains")?,
        listen: addresses(node, "listen")?,
        direct_tls_listen: addresses(node, "direct-tls-listen")?,
        identities: node.texts("identities")?,
        trust: node.text("trust")?,
        resolver: addresses(node, "resolver")?.into_iter().map(|at| at.value).collect(),
        dnssec_anchors: node.path("dnssec-anchors").map(here),
        open: node.boolean("open")?,
        denied_domains: node.texts("denied-domains")?,
        answer_version: node.boolean("answer-version")?.value,
        dialback_secret: node.text("dialback-secret"),
        dialback_secret_file: node.path("dialback-secret-file").map(here),
        resume_host: host(node, "resume-host"),
        connection_limit: node.number("connection-limit")?.value,
        partner_connection_limit: node.number("partner-connection-limit")?.value,
        keep_alive_interval: node.duration("keep-alive-interval")?.value,
        establishment_timeout: node.duration("establishment-timeout")?.value,
        inactivity_timeout: node.duration("inactivity-timeout")?.value,
        partners: node.tables("partner").iter().filter_map(build_partner).collect(),
        link: node.tables("link").first().and_then(build_proxy_link),
        limits: build_proxy_limits(node.tables("limits").first()?)?,
    })
}

fn build_partner(node: &Node) -> Option<Partner> {
    Some(Partner {
        span: node.span.clone(),
        domain: node.text("domain")?,
        additional_domains: node.texts("additional-domains")?,
        subdomains: node.boolean("subdomains")?.value,
        description: node.text("description").map(|at| at.value),
        kind: match node.text("type")?.value.as_str() {
            "federated" => PartnerType::Federated,
            "public-verified" => PartnerType::PublicVerified,
            _ => PartnerType::PublicUnverified,
        },
        tls: negotiation(node, "tls")?,
        sasl: negotiation(node, "sasl")?,
        dialback: node.boolean("dialback")?,
        allow_plaintext: node.boolean("allow-plaintext")?,
        direct_tls: node.boolean("direct-tls")?.value,
        dane: node.boolean("dane")?,
        keep_alive: node.boolean("keep-alive")?.value,
        connection_limit: node.number("connection-limit").map(|at| at.value),
        host: host(node, "host"),
        trust: node.text("trust"),
        pins: node
            .list("pins", |value| match value {
                Value::Fingerprint(octets) => Some(*octets),
                _ => None,
            })?
            .into_iter()
            .map(|at| at.value)
            .collect(),
        allow_private_addresses: node.boolean("allow-private-addresses")?.value,
        stanzas_per_second: node.number("stanzas-per-second").map(|at| at.value),
        bytes_per_second: node.number("bytes-per-second").map(|at| at.value),
    })
}

fn build_proxy_link(node: &Node) -> Option<ProxyLink> {
    Some(ProxyLink {
        span: node.span.clone(),
        listen: node.address("listen")?,
        identity: node.text("identity")?,
        trust: node.text("trust")?,
        gateways: node.texts("gateways")?,
    })
}

fn build_proxy_limits(node: &Node) -> Option<ProxyLimits> {
    let number = |key| node.number(key).map(|at| at.value);
    Some(ProxyLimits {
        connections_per_address: number("connections-per-address")?,
        unproved_per_address: number("unproved-per-address")?,
        proof_timeout: node.duration("proof-timeout")?.value,
        unproved_bytes: number("unproved-bytes")?,
        stanza_size: number("stanza-size")?,
        pending_dialbacks: number("pending-dialbacks")?,
        queued_stanzas: number("queued-stanzas")?,
        queued_bytes: number("queued-bytes")?,
        stanzas_at_work: number("stanzas-at-work")?,
        held_stanzas: number("held-stanzas")?,
        held_time: node.duration("held-time")?.value,
        report_time: node.duration("report-time")?.value,
        acknowledgement_time: node.duration("acknowledgement-time")?.value,
        suspended_time: node.duration("suspended-time")?.value,
        suspended_streams: number("suspended-streams")?,
        suspended_bytes: number("suspended-bytes")?,
        send_buffer: number("send-buffer")?,
    })
}

fn build_gateway(node: &Node, here: &impl Fn(At<PathBuf>) -> At<PathBuf>) -> Option<Gateway> {
    Some(Gateway {
        span: node.span.clone(),
        name: host(node, "name")?,
        store: here(node.path("store")?),
        resolver: addresses(node, "resolver")?.into_iter().map(|at| at.value).collect(),
        hold_time: node.duration("hold-time")?.value,
        lifetime: node.duration("lifetime")?.value,
        receipts: node.boolean("receipts")?.value,
        normal_messages: node.text("message-type")?.value == "normal",
        listen: node.tables("listen").iter().filter_map(build_sip_listen).collect(),
        domains: node.tables("domain").iter().filter_map(build_sip_domain).collect(),
        conversations: build_conversations(node.tables("conversations").first()?)?,
        presence: build_presence(node.tables("presence").first()?)?,
        users: users::build(node.tables("users").first()?, here)?,
        links: node.tables("link").iter().filter_map(build_gateway_link).collect(),
        limits: build_gateway_limits(node.tables("limits").first()?)?,
    })
}

fn build_sip_listen(node: &Node) -> Option<SipListen> {
    let transport = node.text("transport")?;
    Some(SipListen {
        span: node.span.clone(),
        transport: At {
            value: match transport.value.as_str() {
                "udp" => SipTransport::Udp,
                "tcp" => SipTransport::Tcp,
                _ => SipTransport::Tls,
            },
            span: transport.span,
        },
        address: node.address("address")?,
        name: host(node, "name"),
        identity: node.text("identity"),
        trust: node.text("trust"),
        open_ssl: {
            let library = node.text("tls-library")?;
            At { value: library.value == "openssl", span: library.span }
        },
    })
}

fn build_sip_domain(node: &Node) -> Option<SipDomain> {
    let trusted_addresses = node.list("trusted-addresses", |value| match value {
        Value::Network(address, prefix) => Some((*address, *prefix)),
        _ => None,
    })?;
    let profile = node.text("profile")?;
    Some(SipDomain {
        span: node.span.clone(),
        domain: node.text("domain")?,
        next_hop: node.text("next-hop"),
        next_hop_name: node.text("next-hop-name"),
        trusted_names: node.texts("trusted-names")?,
        trusted_addresses,
        profile: At { value: SipProfile::parse(&profile.value), span: profile.span },
        allow_plaintext: node.boolean("allow-plaintext")?.value,
        headlines: match node.text("headlines")?.value.as_str() {
            "drop" => Headlines::Drop,
            "refuse" => Headlines::Refuse,
            _ => Headlines::Deliver,
        },
        body_size: node.number("body-size")?.value,
        request_rate: node.number("request-rate").map(|at| at.value),
    })
}

fn build_conversations(node: &Node) -> Option<Conversations> {
    let number = |key| node.number(key).map(|at| at.value);
    Some(Conversations {
        idle_time: node.duration("idle-time")?.value,
        answer_time: node.duration("answer-time")?.value,
        waiting_texts: number("waiting-texts")?,
        waiting_size: number("waiting-size")?,
        typing: node.boolean("typing")?.value,
        tell_of_conferences: node.boolean("tell-of-conferences")?.value,
        negotiate_status: node.text("negotiate-status")?.value.parse().ok()?,
        open: number("open")?,
        open_per_domain: number("open-per-domain")?,
    })
}

fn build_presence(node: &Node) -> Option<Presence> {
    let time = |key| node.duration(key).map(|at| at.value);
    Some(Presence {
        expires: time("expires")?,
        expires_min: time("expires-min")?,
        expires_max: time("expires-max")?,
        pace: time("pace")?,
        adopt_probes: node.boolean("adopt-probes")?.value,
        watched: node.number("watched")?.value,
        stale_time: time("stale-time")?,
        restart_spread: time("restart-spread")?,
        seen_as: node.texts("seen-as")?,
        shown_as: node.texts("shown-as")?,
    })
}

fn build_gateway_link(node: &Node) -> Option<GatewayLink> {
    Some(GatewayLink {
        span: node.span.clone(),
        proxy: host(node, "proxy")?,
        proxy_name: node.text("proxy-name"),
        identity: node.text("identity")?,
        trust: node.text("trust")?,
    })
}

fn build_gateway_limits(node: &Node) -> Option<GatewayLimits> {
    let number = |key| node.number(key).map(|at| at.value);
    Some(GatewayLimits {
        connections: number("connections")?,
        connections_per_address: number("connections-per-address")?,
        idle_time: node.duration("idle-time")?.value,
        header_size: number("header-size")?,
        header_lines: number("header-lines")?,
        body_size: number("body-size")?,
        unanswered_requests: number("unanswered-requests")?,
        outgoing_requests: number("outgoing-requests")?,
        queued_messages: number("queued-messages")?,
        queue_time: node.duration("queue-time")?.value,
        unsettled_messages: number("unsettled-messages")?,
        send_buffer: number("send-buffer")?,
    })
}

fn negotiation(node: &Node, key: &str) -> Option<At<Negotiation>> {
    let word = node.text(key)?;
    let value = match word.value.as_str() {
        "required" => Negotiation::Required,
        "optional" => Negotiation::Optional,
        _ => Negotiation::NotSupported,
    };
    Some(At { value, span: word.span })
}

fn host(node: &Node, key: &str) -> Option<At<(String, Option<u16>)>> {
    let at = node.text(key)?;
    super::value::split_host(&at.value).map(|value| At { value, span: at.span })
}

fn addresses(node: &Node, key: &str) -> Option<Vec<At<SocketAddr>>> {
    node.list(key, |value| match value {
        Value::Address(address) => Some(*address),
        _ => None,
    })
}
