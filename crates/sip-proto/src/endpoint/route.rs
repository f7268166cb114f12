use std::net::IpAddr;
use std::sync::Arc;

use net_types::{Identity, Trust};
use sip_types::uri::{Host, Scheme, SipUri};

use super::pacing::Pace;
use super::settings::Transport;

/// Where a request goes first. Cheap to clone: keep one per peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The next hop is configured.
    Fixed(Arc<FixedHop>),
    /// The next hop is found in the DNS (RFC 3263).
    Locate(Arc<NextHop>),
}

impl Route {
    /// Returns how fast it takes requests, if that is limited.
    #[must_use]
    pub fn pace(&self) -> Option<&Pace> {
        match self {
            Self::Fixed(hop) => hop.pace.as_ref(),
            Self::Locate(hop) => hop.pace.as_ref(),
        }
    }

    /// Returns the route to a configured next hop.
    #[must_use]
    pub fn fixed(hop: FixedHop) -> Self {
        Self::Fixed(Arc::new(hop))
    }

    /// Returns the route that the DNS gives a domain, an A-label; `None` if it is no host name.
    #[must_use]
    pub fn to_domain(domain: &str) -> Option<Self> {
        let host = Host::parse(domain)?;
        Some(Self::Locate(Arc::new(NextHop { host, port: None, transport: None, secure: false, pace: None })))
    }

    /// Returns the route that a URI asks for: a Request-URI or the top Route value (RFC 3263 §4).
    /// `None` if it asks for a transport that we do not speak.
    #[must_use]
    pub fn to_uri(uri: &SipUri) -> Option<Self> {
        NextHop::from_uri(uri).map(|hop| Self::Locate(Arc::new(hop)))
    }
}

/// A configured next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedHop {
    /// How it is spoken to. UDP gives way to TCP for big requests (RFC 3261 §18.1.1).
    pub transport: Transport,
    /// Its address, or a name that is looked up without SRV.
    pub host: Host,
    /// Its port; the transport's own if `None`.
    pub port: Option<u16>,
    /// The name that its certificate must prove; the host itself if `None`.
    pub tls_name: Option<String>,
    /// The certificate we show it.
    pub identity: Option<Identity>,
    /// Whom its certificate is judged by; the endpoint's own setting if `None`.
    pub trust: Option<Trust>,
    /// How fast requests may go there; as they come if `None`.
    pub pace: Option<Pace>,
}

impl FixedHop {
    /// Returns a next hop at this place, with the endpoint's own certificate and trust.
    #[must_use]
    pub fn new(transport: Transport, host: Host, port: Option<u16>) -> Self {
        Self { transport, host, port, tls_name: None, identity: None, trust: None, pace: None }
    }

    /// Returns a next hop at this address.
    #[must_use]
    pub fn at(transport: Transport, address: IpAddr, port: u16) -> Self {
        Self::new(transport, address.into(), Some(port))
    }
}

/// What a URI says about the next hop (RFC 3263 §4: TARGET and its parameters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The host, or the domain.
    pub host: Host,
    /// The port, if it is written: then there is no SRV.
    pub port: Option<u16>,
    /// The transport, if it is written.
    pub transport: Option<Transport>,
    /// Whether only TLS will do (`sips:`).
    pub secure: bool,
    /// How fast requests may go there; as they come if `None`.
    pub pace: Option<Pace>,
}

impl NextHop {
    /// Returns what `uri` says; `maddr` is not followed, because it lets a peer name any host.
    /// `None` if it asks for a transport that we do not speak.
    #[must_use]
    pub fn from_uri(uri: &SipUri) -> Option<Self> {
        let secure = uri.scheme() == Scheme::Sips;
        let transport = match uri.params().get("transport") {
            None => None,
            Some(name) => Some(Transport::parse(name)?),
        };
        let transport = match transport {
            // `sips:` with `transport=tcp` is TLS over TCP (RFC 3261 §26.2.2).
            Some(Transport::Tcp) if secure => Some(Transport::Tls),
            Some(Transport::Udp) if secure => return None,
            other => other,
        };
        Some(Self { host: uri.host().clone(), port: uri.port(), transport, secure, pace: None })
    }
}
