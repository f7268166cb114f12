//! What an operator tells the proxy.

mod check;
mod limits;
mod negotiation;
mod partner;

use std::net::SocketAddr;

use net_types::{Identity, ListenerId, TlsClient, TlsServer, Trust};
use xmpp_proto::discovery::Start;
use xmpp_proto::link::{PartnerTable, Reach};
use xmpp_types::jid::DomainName;

pub use check::{Mistake, Place, Severity};
pub use limits::Limits;
pub use negotiation::{Negotiation, methods};
pub use partner::Partner;
pub use xmpp_proto::link::PartnerKind;

/// The whole configuration of the proxy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domains that we speak for.
    pub served: Vec<Served>,
    /// With whom we speak.
    pub partners: Vec<Partner>,
    /// Domains that are refused whatever else is said; with all their sub-domains.
    pub denied: Vec<DomainName>,
    /// In open mode, what holds for a domain that no partner entry names; `None` keeps the proxy to its
    /// partners. The template's own domain is not used.
    pub open: Option<Partner>,
    /// The roots by which partners are judged, unless a partner has its own.
    pub trust: Trust,
    /// The secret for dialback keys, shared by all proxies of these domains; a fresh one if `None`.
    pub dialback_secret: Option<String>,
    /// How much anybody may use.
    pub limits: Limits,
    /// The link to the gateways.
    pub link: Link,
    /// Where we listen; a listener's place is its [`ListenerId`].
    pub listeners: Vec<Listener>,
    /// Where partners should come back to for a stream that lost its connection (XEP-0198 §3): this proxy's own
    /// host, where several serve the same domains.
    pub resume_at: Option<String>,
    /// What a question for our software version is answered with (XEP-0092); `None` to keep it.
    pub version: Option<Version>,
}

/// One domain that we speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The domain.
    pub domain: DomainName,
    /// The certificate that proves it.
    pub identity: Identity,
}

/// Who may connect as a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What we call ourselves towards gateways.
    pub name: String,
    /// The certificate that we show to gateways.
    pub identity: Identity,
    /// The roots by which gateways are judged.
    pub trust: Trust,
    /// The names of which a gateway's certificate must have one (dNSName). Empty: none may connect
    /// over the network.
    pub gateways: Vec<String>,
    /// Whether a gateway in the same process may connect.
    pub in_process: bool,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it is bound.
    pub address: SocketAddr,
    /// What is spoken there.
    pub kind: ListenerKind,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// Partners, with STARTTLS (RFC 6120).
    Partners,
    /// Partners, with TLS from the first octet (XEP-0368).
    PartnersDirectTls,
    /// Gateways, with TLS from the first octet.
    Gateways,
}

/// What XEP-0092 tells a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The software's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Settings {
    /// Returns the least that a proxy needs: one domain, and its gateway in the same process. It listens nowhere.
    #[must_use]
    pub fn in_process(served: Served, partners: Vec<Partner>, trust: Trust) -> Self {
        let link = Link {
            name: "proxy".to_owned(),
            identity: served.identity.clone(),
            trust: trust.clone(),
            gateways: Vec::new(),
            in_process: true,
        };
        Self {
            served: vec![served],
            partners,
            denied: Vec::new(),
            open: None,
            trust,
            dialback_secret: None,
            limits: Limits::default(),
            link,
            listeners: Vec::new(),
            resume_at: None,
            version: None,
        }
    }

    /// Returns how to shake hands on a listener where TLS comes first; `None` where it does not, or
    /// where there is no such listener. The certificate shown is that of SNI, else the first domain's.
    #[must_use]
    pub fn listener_tls(&self, listener: ListenerId) -> Option<TlsServer> {
        match self.listener(listener)?.kind {
            ListenerKind::Partners => None,
            ListenerKind::PartnersDirectTls => self
                .served
                .first()
                .map(|served| TlsServer { identity: served.identity.clone(), trust: self.trust.clone() }),
            ListenerKind::Gateways => {
                Some(TlsServer { identity: self.link.identity.clone(), trust: self.link.trust.clone() })
            }
        }
    }

    /// Returns the listener with this name.
    #[must_use]
    pub fn listener(&self, listener: ListenerId) -> Option<&Listener> {
        self.listeners.get(usize::try_from(listener.0).ok()?)
    }

    /// Returns the domain's certificate if we serve it.
    #[must_use]
    pub fn identity_of(&self, domain: &DomainName) -> Option<&Identity> {
        self.served.iter().find(|served| served.domain == *domain).map(|served| &served.identity)
    }

    /// Returns what holds for a partner's domain: its entry, that of a parent with sub-domains allowed
    /// (the nearest one), or the open mode's; `None` if we do not speak with it.
    #[must_use]
    pub fn partner(&self, domain: &DomainName) -> Option<&Partner> {
        if self.denied.iter().any(|denied| denied == domain || domain.is_below(denied))
            || self.identity_of(domain).is_some()
        {
            return None;
        }
        let exact = self.partners.iter().find(|partner| partner.domains().any(|own| own == domain));
        exact
            .or_else(|| {
                self.partners
                    .iter()
                    .filter(|partner| partner.subdomains)
                    .flat_map(|partner| partner.domains().map(move |own| (own, partner)))
                    .filter(|(own, _)| domain.is_below(own))
                    .max_by_key(|(own, _)| own.as_str().len())
                    .map(|(_, partner)| partner)
            })
            .or(self.open.as_ref())
    }

    /// Returns how far each partner's users are believed, as gateways are told. What the denied list says beside it needs
    /// no telling: nothing comes from there.
    #[must_use]
    pub fn partner_kinds(&self) -> PartnerTable {
        let mut table = PartnerTable::new(self.open.as_ref().map(|open| open.kind));
        for partner in &self.partners {
            let reach = if partner.subdomains { Reach::Subdomains } else { Reach::Itself };
            partner.domains().for_each(|domain| table.name(domain, partner.kind, reach));
        }
        table
    }

    /// Returns how to shake hands with a partner for a domain of ours (XEP-0368 §3: SNI is the domain).
    pub(crate) fn tls_client(&self, local: &DomainName, remote: &DomainName, start: Start) -> TlsClient {
        let trust = self.partner(remote).and_then(|partner| partner.trust.clone());
        TlsClient {
            name: remote.to_ascii().to_string(),
            identity: self.identity_of(local).cloned(),
            trust: trust.unwrap_or_else(|| self.trust.clone()),
            alpn: match start {
                Start::Direct => vec!["xmpp-server".into()],
                Start::InBand => Vec::new(),
            },
        }
    }

    /// Returns how to shake hands with a web server that is to vouch for a partner: whoever could deceive us there
    /// must not be trusted more than for the partner itself.
    pub(crate) fn https_client(&self, remote: &DomainName, host: String) -> TlsClient {
        let trust = self.partner(remote).and_then(|partner| partner.trust.clone());
        TlsClient {
            name: host,
            identity: None,
            trust: trust.unwrap_or_else(|| self.trust.clone()),
            alpn: vec!["http/1.1".into()],
        }
    }

    /// Returns every mistake and warning, in words (for `gangway check`). With a mistake of
    /// [`Severity::Error`] the proxy must not start.
    #[must_use]
    pub fn check(&self) -> Vec<Mistake> {
        check::check(self)
    }
}

#[cfg(test)]
pub(crate) mod tests;
