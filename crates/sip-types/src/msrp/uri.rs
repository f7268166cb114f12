use std::fmt;

use crate::text::Text;
use crate::uri::Host;

/// An MSRP URI (§6): `msrp://host:port/session;tcp`.
///
/// It is shown as it was written; two are equal as §6.1 compares them.
#[derive(Clone, Debug)]
pub struct Uri {
    text: Text,
    secure: bool,
    host: Host,
    port: Option<u16>,
    session: Text,
    transport: Text,
}

impl Uri {
    /// Returns the URI that `text` is.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let text: Text = text.into();
        if text.len() > URI_MAX || !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let secure = match () {
            () if scheme.eq_ignore_ascii_case("msrp") => false,
            () if scheme.eq_ignore_ascii_case("msrps") => true,
            () => return None,
        };
        let (place, params) = rest.split_once(';')?;
        let (authority, session) = place.split_once('/').unwrap_or((place, ""));
        // The user part is nobody's business in comparisons (§6.1), nor in dialling.
        let (_, host_and_port) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = match host_and_port.rsplit_once(':') {
            Some((host, port)) if !host.starts_with('[') || host.ends_with(']') => (host, Some(port)),
            _ => (host_and_port, None),
        };
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
            None => None,
        };
        let transport = params.split(';').next().filter(|transport| !transport.is_empty())?;
        let is_session = session.bytes().all(|octet| {
            octet.is_ascii_alphanumeric()
                || matches!(octet, b'-' | b'.' | b'_' | b'~' | b'+' | b'=' | b'/' | b'%')
        });
        if !is_session {
            return None;
        }
        let (host, session, transport) = (Host::parse(host)?, Text::from(session), Text::from(transport));
        Some(Self { secure, host, port, session, transport, text })
    }

    /// Returns the URI of a session over TCP at this device.
    #[must_use]
    pub fn new(secure: bool, host: &Host, port: u16, session: &super::Ident) -> Self {
        let scheme = if secure { "msrps" } else { "msrp" };
        // Of a name's characters only `%` means something else in a URI, and would have to be an escape.
        let session = Text::from(session.as_str().replace('%', "="));
        Self {
            text: Text::from(format!("{scheme}://{host}:{port}/{session};tcp")),
            secure,
            host: host.clone(),
            port: Some(port),
            session,
            transport: Text::from_static("tcp"),
        }
    }

    /// Returns whether the scheme is `msrps`: nothing but TLS will do.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port, if one is written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the name of the session at its host; empty for the host itself.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Returns the transport, `tcp` in any case.
    #[must_use]
    pub fn transport(&self) -> &str {
        &self.transport
    }

    /// Returns the URI as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// §6.1: scheme, host and transport in any case, the session exactly, a port only with the same port.
impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.secure == other.secure
            && self.host == other.host
            && self.port == other.port
            && self.session == other.session
            && self.transport.eq_ignore_ascii_case(&other.transport)
    }
}

impl Eq for Uri {}

impl fmt::Display for Uri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// The way to an endpoint: the first URI is the next hop, the last the endpoint, those between are relays (§8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    next: Uri,
    rest: Vec<Uri>,
}

impl Path {
    /// Returns the way that has one hop.
    #[must_use]
    pub const fn to(uri: Uri) -> Self {
        Self { next: uri, rest: Vec::new() }
    }

    /// Returns the path that `text` is: URIs with spaces between them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut uris = text.split(' ').filter(|uri| !uri.is_empty()).map(Uri::parse);
        let next = uris.next()??;
        let rest: Option<Vec<_>> = uris.take(HOPS_MAX).collect();
        Some(Self { next, rest: rest.filter(|rest| rest.len() < HOPS_MAX)? })
    }

    /// Returns the next hop.
    #[must_use]
    pub const fn next(&self) -> &Uri {
        &self.next
    }

    /// Returns the endpoint.
    #[must_use]
    pub fn last(&self) -> &Uri {
        self.rest.last().unwrap_or(&self.next)
    }

    /// Returns the number of hops.
    #[must_use]
    pub fn hops(&self) -> usize {
        self.rest.len() + 1
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.next.fmt(out)?;
        self.rest.iter().try_for_each(|uri| write!(out, " {uri}"))
    }
}

const URI_MAX: usize = 1024;
/// A way of more hops leads nowhere good.
const HOPS_MAX: usize = 8;
