//! How a gateway is set up. The configuration file has its own shape; the binary converts.

use std::sync::Arc;
use std::time::Duration;

use net_types::{AddressRange, PeerCertificate, Remote, TlsClient, TrustVerdict};
use sip_proto::endpoint::{self, Listener, Route, Source, Transport};
use sip_proto::msrp;
use translate::message::{MessageKind, ToSipOptions, ToXmppOptions};
use xmpp_types::jid::DomainName;

use crate::conversation::{ConversationSettings, Dialect};
use crate::delivery::DeliverySettings;
use crate::policy::Policy;
use crate::watch::WatchSettings;

/// Everything a gateway is told before it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own name towards the proxies: the same after a restart, so that a proxy hands over at once what
    /// the process before did not settle. Gateways that live at the same time have different ones.
    pub name: String,
    /// The SIP side: listeners, timers and limits.
    pub sip: endpoint::Settings,
    /// The MSRP side, if there is one: listeners, timers and limits.
    pub msrp: Option<msrp::Settings>,
    /// The proxies to attach to; one is enough.
    pub proxies: Vec<ProxyLink>,
    /// The SIP domains whose users are served.
    pub domains: Vec<SipDomain>,
    /// Which of their users may federate. By default all.
    pub policy: Arc<Policy>,
    /// How long and how much.
    pub delivery: DeliverySettings,
    /// How conversations are held with domains that want sessions.
    pub conversations: ConversationSettings,
    /// How presence crosses.
    pub watches: WatchSettings,
    /// Whether a `<received/>` (XEP-0184) is sent for a page-mode 200, which comes from a user agent
    /// unless a server in between says 200 where RFC 3428 §7 wants 202. Default true.
    pub page_mode_receipts: bool,
    /// How page-mode messages cross to XMPP. RFC 7572 §5 wants stanzas of type normal; most clients show
    /// chat better, so that is the default.
    pub to_xmpp: ToXmppOptions,
    /// How long a stop may take. Default 20 s, so that the process ends within 30 s.
    pub stop_within: Duration,
}

impl Settings {
    /// Returns the defaults around these SIP settings.
    #[must_use]
    pub fn new(sip: endpoint::Settings) -> Self {
        Self {
            name: "gateway".to_owned(),
            sip,
            msrp: None,
            proxies: Vec::new(),
            domains: Vec::new(),
            policy: Arc::default(),
            delivery: DeliverySettings::default(),
            conversations: ConversationSettings::default(),
            watches: WatchSettings::default(),
            page_mode_receipts: true,
            to_xmpp: ToXmppOptions { kind: MessageKind::Chat, ..ToXmppOptions::default() },
            stop_within: Duration::from_secs(20),
        }
    }

    /// Returns the SIP domain of this name, if it is ours.
    #[must_use]
    pub fn domain(&self, name: &DomainName) -> Option<&SipDomain> {
        self.domains.iter().find(|domain| domain.name == *name)
    }

    /// Returns the listener that the servers of a SIP domain reach us by.
    #[must_use]
    pub fn listener_towards(&self, name: &DomainName) -> Option<&Listener> {
        let transport = match &self.domain(name)?.route {
            Route::Fixed(hop) => hop.transport,
            Route::Locate(hop) => hop.transport.unwrap_or(Transport::Tls),
        };
        self.listener_of(transport)
    }

    /// Returns the listener of a transport, or any.
    #[must_use]
    pub fn listener_of(&self, transport: Transport) -> Option<&Listener> {
        let listeners = &self.sip.listeners;
        listeners.iter().find(|listener| listener.transport == transport).or_else(|| listeners.first())
    }
}

/// One proxy to attach to. The gateway dials, so that the inner firewall only lets connections out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyLink {
    /// Its name, for the stream and for notices.
    pub name: String,
    /// Where it listens for links.
    pub remote: Remote,
    /// Its host and port, if it has a name: that is looked up again before it is dialled again.
    pub host: Option<(String, u16)>,
    /// How to shake hands; `None` only in one process.
    pub tls: Option<TlsClient>,
}

/// A SIP domain whose users are served.
#[derive(Clone, Debug)]
pub struct SipDomain {
    /// Its name, which is also the XMPP domain that the proxy speaks for.
    pub name: DomainName,
    /// Where requests to its users go.
    pub route: Route,
    /// Who may speak for its users.
    pub peers: Peers,
    /// How its servers hold conversations.
    pub dialect: Dialect,
    /// How messages cross to it: profile, sizes, headlines.
    pub to_sip: ToSipOptions,
}

/// Who may send requests for the users of a SIP domain. Whoever is not named here may not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Names that a TLS peer's certificate may prove; A-labels, lower case.
    pub names: Vec<String>,
    /// Addresses that are believed without a certificate: for plaintext inside a machine or a closed net.
    pub addresses: Vec<AddressRange>,
}

impl Peers {
    /// Tells whether the one who sent this may speak for the domain.
    ///
    /// # Errors
    /// Says in words why not.
    pub fn admit(&self, source: &Source) -> Result<(), String> {
        if self.addresses.iter().any(|range| range.contains(source.remote.ip())) {
            return Ok(());
        }
        if let Some(proved) = &source.proved
            && self.names.iter().any(|name| **name == **proved)
        {
            return Ok(());
        }
        match &source.peer {
            Some(certificate) => self.admit_certificate(certificate),
            None if source.transport == Transport::Tls => Err("it showed no certificate".to_owned()),
            None => Err(format!(
                "{} over {} is not among the trusted addresses",
                source.remote.ip(),
                source.transport
            )),
        }
    }

    fn admit_certificate(&self, certificate: &PeerCertificate) -> Result<(), String> {
        if let TrustVerdict::Untrusted(reason) = &certificate.trust {
            return Err(format!("its certificate is not trusted: {reason}"));
        }
        // The names are compared whole: RFC 5922 §7.2 forbids wildcards.
        let proves = |name: &String| {
            certificate.names.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name))
                || certificate.names.uri.iter().any(|uri| {
                    uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"))
                        && uri[4..].eq_ignore_ascii_case(name)
                })
        };
        if self.names.iter().any(proves) {
            return Ok(());
        }
        let shown = certificate.names.dns.join(", ");
        let wanted = self.names.join(", ");
        Err(format!("its certificate is for {shown}, and the route trusts {wanted}"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use net_types::CertificateNames;

    use super::*;

    fn tls(names: CertificateNames, trust: TrustVerdict) -> Source {
        let certificate = PeerCertificate { names, trust, ..net_types::memory::certificate(&[]) };
        let remote: SocketAddr = "192.0.2.5:51877".parse().unwrap();
        Source {
            transport: Transport::Tls,
            listener: None,
            local: None,
            remote,
            peer: Some(Arc::new(certificate)),
            proved: None,
            connection: None,
        }
    }

    fn dns(name: &str) -> CertificateNames {
        CertificateNames { dns: vec![name.to_owned()], ..CertificateNames::default() }
    }

    #[test]
    fn a_server_proves_a_name_of_the_route_by_a_certificate_for_servers_alone() {
        let peers = Peers { names: vec!["pool.s.example".to_owned()], addresses: Vec::new() };
        let uri =
            CertificateNames { uri: vec!["sip:pool.s.example".to_owned()], ..CertificateNames::default() };

        assert_eq!(peers.admit(&tls(dns("Pool.S.example"), TrustVerdict::Trusted)), Ok(()));
        assert_eq!(peers.admit(&tls(uri, TrustVerdict::Trusted)), Ok(()));
        for (names, why) in [
            (
                dns("other.example"),
                "its certificate is for other.example, and the route trusts pool.s.example",
            ),
            (dns("*.s.example"), "its certificate is for *.s.example, and the route trusts pool.s.example"),
        ] {
            assert_eq!(peers.admit(&tls(names, TrustVerdict::Trusted)), Err(why.to_owned()));
        }
        let expired = TrustVerdict::Untrusted("it expired".to_owned());
        let refused = peers.admit(&tls(dns("pool.s.example"), expired));
        assert_eq!(refused, Err("its certificate is not trusted: it expired".to_owned()));
    }
}
