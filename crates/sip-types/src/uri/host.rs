use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::octets::{self, HOST};
use crate::text::Text;

/// The host of a URI or of a Via.
///
/// Two names are equal without regard to case, and so are their order and hash.
#[derive(Clone, Debug)]
pub enum Host {
    /// A host name.
    Name(HostName),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, in brackets on the wire (RFC 5954).
    V6(Ipv6Addr),
}

/// The name of a host as written: letters, digits, `-`, `_` and `.` only.
#[derive(Clone, Debug)]
pub struct HostName(Text);

impl HostName {
    /// Returns the name as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for HostName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Host {
    /// Returns the host that `text` names: an IPv4 address, an IPv6 address in brackets, or a name.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let text = text.into();
        Self::scan(&text, 0).filter(|(_, end)| *end == text.len()).map(|(host, _)| host)
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

    /// Returns the name if the host is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::V4(_) | Self::V6(_) => None,
        }
    }

    /// Appends the host as it goes on the wire.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Name(name) => out.extend_from_slice(name.as_bytes()),
            Self::V4(_) | Self::V6(_) => out.extend_from_slice(self.to_string().as_bytes()),
        }
    }

    /// Returns the host that begins at `start` of `text`, and where it ends.
    pub(crate) fn scan(text: &Text, start: usize) -> Option<(Self, usize)> {
        let octets = text.as_bytes();
        // No label is empty; behind the last one a dot may stand.
        let mut after_dot = true;
        let mut letters = false;
        let end = octets::run(octets, start, HOST);
        for octet in octets.get(start..end).unwrap_or_default() {
            let dot = *octet == b'.';
            if dot && after_dot {
                return None;
            }
            after_dot = dot;
            letters |= !(dot || octet.is_ascii_digit());
        }
        if end == start {
            return Self::reference(text, start);
        }
        // The last label of a name begins with a letter, so what has none must be an address
        // (RFC 3261 §25.1 `toplabel`).
        let name = text.slice(start..end);
        if letters {
            Some((Self::Name(HostName(name)), end))
        } else {
            Some((Self::V4(name.parse().ok()?), end))
        }
    }

    /// Returns the address in brackets that begins at `start`. The brackets keep its colons together
    /// (RFC 3261 §25.1 `IPv6reference`).
    fn reference(text: &Text, start: usize) -> Option<(Self, usize)> {
        let inner = text.as_str().get(start..)?.strip_prefix('[')?;
        let inner = &inner[..inner.find(']')?];
        parse_v6(inner).map(|address| (Self::V6(address), start + inner.len() + 2))
    }
}

/// Returns the IPv6 address; `:::` before an IPv4 tail is read as `::`, because RFC 3261's grammar had
/// it so (RFC 5118 §4.10). Zones are not for the wire.
fn parse_v6(inner: &str) -> Option<Ipv6Addr> {
    inner.parse().ok().or_else(|| {
        let (head, tail) = inner.split_once(":::")?;
        format!("{head}::{tail}").parse().ok()
    })
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(other)) => one.eq_ignore_ascii_case(other),
            (Self::V4(one), Self::V4(other)) => one == other,
            (Self::V6(one), Self::V6(other)) => one == other,
            (Self::Name(_) | Self::V4(_) | Self::V6(_), _) => false,
        }
    }
}

impl Eq for Host {}

impl std::hash::Hash for Host {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Name(name) => name.bytes().for_each(|octet| state.write_u8(octet.to_ascii_lowercase())),
            Self::V4(address) => address.hash(state),
            Self::V6(address) => address.hash(state),
        }
    }
}

impl PartialOrd for Host {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Host {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Name(one), Self::Name(other)) => {
                let lower = |octet: u8| octet.to_ascii_lowercase();
                one.bytes().map(lower).cmp(other.bytes().map(lower))
            }
            (Self::Name(_), Self::V4(_) | Self::V6(_)) => std::cmp::Ordering::Less,
            (Self::V4(_) | Self::V6(_), Self::Name(_)) => std::cmp::Ordering::Greater,
            (Self::V4(_) | Self::V6(_), Self::V4(_) | Self::V6(_)) => self.address().cmp(&other.address()),
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

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::V4(address) => write!(out, "{address}"),
            Self::V6(address) => write!(out, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let address: Ipv6Addr = "2001:db8::10".parse().unwrap();

        assert_eq!(Host::parse("[2001:db8::10]"), Some(Host::V6(address)));
        assert_eq!(Host::parse("[2001:db8::10]").unwrap().to_string(), "[2001:db8::10]");
        assert_eq!(Host::parse("2001:db8::10"), None);
        assert_eq!(Host::parse("[2001:db8::10%eth0]"), None);
    }

    #[test]
    fn the_third_colon_of_the_old_grammar_is_forgiven() {
        assert_eq!(Host::parse("[2001:db8:::192.0.2.1]"), Host::parse("[2001:db8::192.0.2.1]"));
        assert!(Host::parse("[2001:db8:::192.0.2.1]").is_some());
    }

    #[test]
    fn digits_and_dots_that_are_no_address_are_no_name() {
        for text in ["1.2.3", "300.1.1.1", "", ".", ".a", "a..b", "a b", "ü.example", "[::1"] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
        assert_eq!(Host::parse("3com.example").unwrap().name(), Some("3com.example"));
    }

    #[test]
    fn names_are_equal_in_any_case() {
        assert_eq!(Host::parse("AtLanTa.CoM"), Host::parse("atlanta.com"));
        assert_eq!(Host::parse("B.example").cmp(&Host::parse("a.example")), std::cmp::Ordering::Greater);
    }
}
