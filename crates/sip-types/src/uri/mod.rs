//! Addresses: SIP and SIPS URIs in full (RFC 3261 §19.1, RFC 5954), others as they stand.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::params::Params;
use crate::text::Text;

/// Any URI that a header or a request line may hold. Prints as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// Another scheme (`tel:`, `im:`, `pres:`, `http:` …), its rest not looked into.
    Other(OtherUri),
}

/// A URI of a scheme that is kept as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherUri {
    text: Text,
    colon: usize,
}

/// `sip` or `sips`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the schemes'")]
pub enum Scheme {
    Sip,
    Sips,
}

/// The host of a URI or of a Via.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A host name as written; compare without regard to case.
    Name(Text),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, in brackets on the wire (RFC 5954).
    V6(Ipv6Addr),
}

/// A `sip:` or `sips:` URI. It keeps its octets: what was parsed prints unchanged.
///
/// Equality (`==`) is by octets; [`SipUri::matches`] is the comparison of RFC 3261 §19.1.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipUri {
    text: Text,
}

/// What is wrong with a URI, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUri(
    /// What is wrong.
    pub &'static str,
);

impl Uri {
    /// Returns the URI that is the whole of `text`.
    ///
    /// # Errors
    /// Says what is not as RFC 3261 §25.1 has it.
    pub fn parse(text: impl Into<Text>) -> Result<Self, BadUri> {
        let _ = text.into();
        unimplemented!()
    }

    /// Returns the URI if it is `sip:` or `sips:`.
    #[must_use]
    pub const fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Other(_) => None,
        }
    }

    /// Returns the scheme as written.
    #[must_use]
    pub fn scheme(&self) -> &str {
        unimplemented!()
    }

    /// Returns the URI as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        unimplemented!()
    }

    /// Returns whether both name the same resource: RFC 3261 §19.1.4, or equal octets for other schemes.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self == other
    }
}

impl OtherUri {
    /// Returns the scheme as written, without the colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.text[..self.colon]
    }

    /// Returns what follows the scheme and its colon.
    #[must_use]
    pub fn rest(&self) -> &str {
        &self.text[self.colon + 1..]
    }
}

impl SipUri {
    /// Returns the URI that is the whole of `text`.
    ///
    /// # Errors
    /// Says what is not as RFC 3261 §25.1 has it.
    pub fn parse(text: impl Into<Text>) -> Result<Self, BadUri> {
        Ok(Self { text: text.into() })
    }

    /// Returns `scheme:host`.
    #[must_use]
    pub fn new(_scheme: Scheme, _host: &Host) -> Self {
        unimplemented!()
    }

    /// Returns the URI with this user part; everything that may not stand there unescaped is escaped.
    #[must_use]
    pub fn with_user(&self, _decoded: &str) -> Self {
        unimplemented!()
    }

    /// Returns the URI with this port.
    #[must_use]
    pub fn with_port(&self, _port: u16) -> Self {
        unimplemented!()
    }

    /// Returns the URI with a further parameter (replacing one of that name); name and value are escaped as needed.
    #[must_use]
    pub fn with_param(&self, _name: &str, _value: Option<&str>) -> Self {
        unimplemented!()
    }

    /// Returns the URI without the parameter of that name.
    #[must_use]
    pub fn without_param(&self, _name: &str) -> Self {
        unimplemented!()
    }

    /// Returns the address alone: scheme, user (no password), host, port.
    #[must_use]
    pub fn address(&self) -> Self {
        unimplemented!()
    }

    /// Returns the scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        unimplemented!()
    }

    /// Returns the user part as written (escapes and `;parameters` included, password excluded).
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        unimplemented!()
    }

    /// Returns the user part with its escapes undone once; `None` if there is none or it is not UTF-8.
    #[must_use]
    pub fn decoded_user(&self) -> Option<Cow<'_, str>> {
        unimplemented!()
    }

    /// Returns the password as written.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        unimplemented!()
    }

    /// Returns the host.
    #[must_use]
    pub fn host(&self) -> &Host {
        unimplemented!()
    }

    /// Returns the port if it is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        unimplemented!()
    }

    /// Returns the URI's parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        unimplemented!()
    }

    /// Returns the value of a parameter with its escapes undone once; `None` if absent, without value, or not UTF-8.
    #[must_use]
    pub fn decoded_param(&self, _name: &str) -> Option<Cow<'_, str>> {
        unimplemented!()
    }

    /// Returns the `?headers` part as written, without the question mark.
    #[must_use]
    pub fn headers(&self) -> Option<&str> {
        unimplemented!()
    }

    /// Returns the URI as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether both are equal by the rules of RFC 3261 §19.1.4.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self == other
    }
}

impl Host {
    /// Returns the host that `text` names: an IPv4 address, an IPv6 address in brackets, or a name.
    #[must_use]
    pub fn parse(_text: impl Into<Text>) -> Option<Self> {
        unimplemented!()
    }

    /// Returns the address if the host is not a name.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Self {
        Self::Sip(uri)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(out, "{name}"),
            Self::V4(address) => write!(out, "{address}"),
            Self::V6(address) => write!(out, "[{address}]"),
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for BadUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for BadUri {}

/// Returns `text` as it may stand in a user part: all but the characters of RFC 3261 §25.1 `user` percent-encoded.
#[must_use]
pub fn escape_user(_text: &str) -> Cow<'_, str> {
    unimplemented!()
}

/// Returns `text` as it may stand in a URI parameter such as `gr`: all but `paramchar` percent-encoded.
#[must_use]
pub fn escape_param(_text: &str) -> Cow<'_, str> {
    unimplemented!()
}

/// Returns `text` with its percent-escapes undone once; `None` if an escape is broken or the result is not UTF-8.
#[must_use]
pub fn unescape(_text: &str) -> Option<Cow<'_, str>> {
    unimplemented!()
}
