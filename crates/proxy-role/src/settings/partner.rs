use std::time::Duration;

use net_types::Trust;
use xmpp_proto::discovery::{AddressRule, Settings as Search};
use xmpp_proto::link::PartnerKind;
use xmpp_proto::stream::Methods;
use xmpp_types::jid::DomainName;

use super::negotiation::{Negotiation, methods};

/// One partner: the settings of Microsoft's partner object under the same meaning, and ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Its primary domain.
    pub domain: DomainName,
    /// More domains of the same partner.
    pub additional: Vec<DomainName>,
    /// Free text.
    pub description: String,
    /// How far its users are believed.
    pub kind: PartnerKind,
    /// TLS.
    pub tls: Negotiation,
    /// SASL EXTERNAL; only ever over TLS.
    pub sasl: Negotiation,
    /// Whether a domain may be proved by dialback.
    pub dialback: bool,
    /// Whether the partner keeps its connections alive, so that silence means that it is gone.
    pub keep_alive: bool,
    /// Connections with it at most; the global limit if `None`.
    pub connections_max: Option<u32>,
    /// Its host, with or without a port, instead of what DNS says.
    pub fixed_host: Option<String>,
    /// Confirms that stanzas may cross in clear where the settings above leave that way open.
    pub allow_plaintext: bool,
    /// Whether it is reached with TLS from the first octet where it publishes such a service.
    pub direct_tls: bool,
    /// Whether its signed zone is asked to vouch for its certificates, and believed (RFC 7712 §5.1).
    pub dane: bool,
    /// Whether its web server is asked to vouch for its certificates, and believed (RFC 7711).
    pub posh: bool,
    /// Whether all sub-domains belong to it.
    pub subdomains: bool,
    /// The roots (or the one certificate) by which it is judged, instead of the global ones.
    pub trust: Option<Trust>,
    /// Whether its names may lead to loopback, private and link-local addresses.
    pub allow_private_addresses: bool,
    /// Octets that it may send in a second, over all its streams; any number if `None`.
    pub bytes_per_second: Option<u32>,
    /// Stanzas that it may send in a second, over all its streams; any number if `None`.
    pub stanzas_per_second: Option<u32>,
}

impl Partner {
    /// Returns a partner with Microsoft's defaults: TLS and SASL required, so that only a certificate
    /// proves it.
    #[must_use]
    pub fn new(domain: DomainName) -> Self {
        Self {
            domain,
            additional: Vec::new(),
            description: String::new(),
            kind: PartnerKind::PublicUnverified,
            tls: Negotiation::Required,
            sasl: Negotiation::Required,
            dialback: true,
            keep_alive: true,
            connections_max: None,
            fixed_host: None,
            allow_plaintext: false,
            direct_tls: true,
            dane: false,
            posh: false,
            subdomains: false,
            trust: None,
            allow_private_addresses: false,
            bytes_per_second: None,
            stanzas_per_second: None,
        }
    }

    /// Returns its primary and additional domains.
    pub fn domains(&self) -> impl Iterator<Item = &DomainName> {
        std::iter::once(&self.domain).chain(&self.additional)
    }

    /// Returns by which methods it may be proved. Plaintext needs its explicit confirmation besides.
    #[must_use]
    pub fn methods(&self) -> Methods {
        let mut methods = methods(self.tls, self.sasl, self.dialback);
        methods.dialback_in_clear &= self.allow_plaintext;
        methods
    }

    /// Tells whether its web server may vouch for its certificates, which are seen only in TLS.
    pub(crate) fn has_posh(&self) -> bool {
        self.posh && self.methods().has_tls()
    }

    /// Returns how its servers are sought.
    pub(crate) fn search(&self) -> Search {
        let addresses = if self.allow_private_addresses { AddressRule::Any } else { AddressRule::PublicOnly };
        Search {
            fixed_host: self.fixed_host.clone(),
            // A fixed host speaks in direct TLS only if nobody said otherwise by its port.
            direct_tls: self.direct_tls && self.methods().has_tls() && self.fixed_host.is_none(),
            dane: self.dane && self.methods().has_tls(),
            addresses,
            targets_max: TARGETS_MAX,
            patience: if self.dane { DNSSEC_PATIENCE } else { DNS_PATIENCE },
        }
    }
}

/// How many addresses are tried for one attempt.
const TARGETS_MAX: usize = 16;
/// How long the search may take.
const DNS_PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take where the keys of every zone from the root on are asked for as well.
const DNSSEC_PATIENCE: Duration = Duration::from_secs(8);
