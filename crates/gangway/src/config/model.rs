//! The configuration as the rest of the program sees it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::mistake::Span;
use super::users::Users;
use super::value::At;

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
    pub posh: At<bool>,
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
    /// Not SIP: MSRP, for what SIP sessions agree on.
    Msrp,
    /// The same over TLS.
    Msrps,
}

impl SipTransport {
    /// Returns the transport that this word of the file names.
    pub(super) fn parse(word: &str) -> Self {
        match word {
            "udp" => Self::Udp,
            "tcp" => Self::Tcp,
            "msrp" => Self::Msrp,
            "msrps" => Self::Msrps,
            _ => Self::Tls,
        }
    }

    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Msrp => "msrp",
            Self::Msrps => "msrps",
        }
    }

    /// Returns whether it needs a certificate.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Msrps)
    }

    /// Returns whether it carries SIP.
    #[must_use]
    pub const fn is_sip(self) -> bool {
        matches!(self, Self::Udp | Self::Tcp | Self::Tls)
    }
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
    /// Sessions whose texts go by MSRP.
    Msrp,
}

impl SipProfile {
    /// Returns the profile that this word of the file names.
    pub fn parse(word: &str) -> Self {
        match word {
            "microsoft" => Self::Microsoft,
            "cisco" => Self::Cisco,
            "msrp" => Self::Msrp,
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
            Self::Msrp => "msrp",
        }
    }

    /// Returns whether its servers speak TLS and nothing else.
    #[must_use]
    pub const fn wants_tls(self) -> bool {
        match self {
            Self::Microsoft | Self::Cisco => true,
            Self::Standard | Self::BareAddress | Self::Msrp => false,
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
    pub msrp_addresses: Vec<At<(IpAddr, u8)>>,
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
    pub check_interval: Duration,
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
