use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::octets;
use crate::params::Params;
use crate::text::{Text, Token};
use crate::uri::Host;

/// The transport a Via names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the transports'")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Sctp,
    Ws,
    Wss,
    /// Any other token.
    Other(Token),
}

impl Transport {
    /// Returns the transport as a Via names it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Sctp => "SCTP",
            Self::Ws => "WS",
            Self::Wss => "WSS",
            Self::Other(name) => name.as_str(),
        }
    }

    fn known(name: &[u8]) -> Option<Self> {
        const KNOWN: [(&[u8], Transport); 6] = [
            (b"TLS", Transport::Tls),
            (b"UDP", Transport::Udp),
            (b"TCP", Transport::Tcp),
            (b"SCTP", Transport::Sctp),
            (b"WS", Transport::Ws),
            (b"WSS", Transport::Wss),
        ];
        KNOWN
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, transport)| transport.clone())
    }
}

/// One value of a Via header (RFC 3261 §20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The transport.
    pub transport: Transport,
    /// The host of `sent-by`.
    pub host: Host,
    /// The port of `sent-by`, if written.
    pub port: Option<u16>,
    /// All parameters, known and unknown, in order.
    pub params: Params,
}

impl Via {
    /// What a branch of RFC 3261 begins with (§8.1.1.7).
    pub const MAGIC_COOKIE: &'static str = "z9hG4bK";

    /// Returns a Via of our own: `SIP/2.0/TLS host:port;branch=…;rport` (RFC 3581 §3). The magic cookie
    /// is put before `branch`.
    #[must_use]
    pub fn new(transport: Transport, host: Host, port: Option<u16>, branch: &Token) -> Self {
        let branch = branch.as_str();
        let mut params = String::with_capacity(branch.len() + 24);
        params.push_str(";branch=");
        if !branch.starts_with(Self::MAGIC_COOKIE) {
            params.push_str(Self::MAGIC_COOKIE);
        }
        params.push_str(branch);
        params.push_str(";rport");
        Self { transport, host, port, params: Params::assembled(Text::from(params)) }
    }

    /// Returns the value that `text` is.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: impl Into<Text>) -> Result<Self, &'static str> {
        Self::parse_text(&text.into())
    }

    /// Returns the branch as written.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// Returns whether the branch is one of RFC 3261: it begins with the magic cookie and says more.
    /// Otherwise requests are matched as RFC 3261 §17.2.3 says for RFC 2543.
    #[must_use]
    pub fn has_unique_branch(&self) -> bool {
        self.branch().is_some_and(|branch| cookie_and_rest(branch).is_some_and(|rest| !rest.is_empty()))
    }

    /// Returns whether the branch is the magic cookie and nothing else (RFC 4475 §3.2.1).
    pub(crate) fn has_bare_cookie(&self) -> bool {
        self.branch().is_some_and(|branch| cookie_and_rest(branch) == Some(""))
    }

    /// Returns the address in `received`; tolerates brackets around IPv6 (RFC 5118 §4.5).
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse().ok()
    }

    /// Returns the port in `rport` (RFC 3581); `None` also if it has no value.
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }

    /// Returns whether `rport` is there, with or without a value.
    #[must_use]
    pub fn asks_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// Returns the Via as a server passes it on that received the request from `source`: with `received`
    /// if the host is not that address (RFC 3261 §18.2.1), and with `rport` filled in and `received` if it
    /// asks for that (RFC 3581 §4). IPv6 is written without brackets (RFC 5118 §4.5).
    #[must_use]
    pub fn received_from(&self, source: SocketAddr) -> Self {
        let asks = self.asks_rport();
        if !asks && self.host.address() == Some(source.ip()) && !self.params.has("received") {
            return self.clone();
        }
        let mut params = String::with_capacity(self.params.as_str().len() + 48);
        for param in &self.params {
            if param.name.eq_ignore_ascii_case("received") || param.name.eq_ignore_ascii_case("rport") {
                continue;
            }
            params.push(';');
            params.push_str(param.name);
            if let Some(value) = param.value {
                params.push('=');
                params.push_str(value);
            }
        }
        params.push_str(";received=");
        params.push_str(&source.ip().to_string());
        if asks {
            params.push_str(";rport=");
            params.push_str(&source.port().to_string());
        }
        Self { params: Params::assembled(Text::from(params)), ..self.clone() }
    }

    pub(crate) fn parse_text(text: &Text) -> Result<Self, &'static str> {
        let octets = text.as_bytes();
        let (transport, sent_by) = protocol(text)?;
        let mut at = octets::skip_white(octets, sent_by);
        if at == sent_by {
            return Err("no space stands between transport and host");
        }
        let (host, host_end) = Host::scan(text, at).ok_or("the host is none")?;
        at = octets::skip_white(octets, host_end);
        let port = if octets.get(at) == Some(&b':') {
            let start = octets::skip_white(octets, at + 1);
            at = octets[start..]
                .iter()
                .position(|octet| !octet.is_ascii_digit())
                .map_or(octets.len(), |n| start + n);
            let number =
                octets::digits(&octets[start..at]).and_then(|number| number.up_to(u32::from(u16::MAX)));
            Some(
                number
                    .and_then(|number| u16::try_from(number).ok())
                    .ok_or("the port is no number up to 65535")?,
            )
        } else {
            None
        };
        at = octets::skip_white(octets, at);
        let end = at + octets::trimmed(&octets[at..]).1;
        Ok(Self { transport, host, port, params: Params::parse_keyed(text.slice(at..end), "branch")? })
    }

    /// Appends the value as it goes on the wire.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0/");
        out.extend_from_slice(self.transport.as_str().as_bytes());
        out.push(b' ');
        self.host.put(out);
        if let Some(port) = self.port {
            out.push(b':');
            octets::put_number(out, u32::from(port));
        }
        out.extend_from_slice(self.params.as_bytes());
    }
}

impl fmt::Display for Via {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SIP/2.0/{} {}", self.transport.as_str(), self.host)?;
        if let Some(port) = self.port {
            write!(out, ":{port}")?;
        }
        write!(out, "{}", self.params)
    }
}

fn cookie_and_rest(branch: &str) -> Option<&str> {
    let (cookie, rest) = branch.split_at_checked(Via::MAGIC_COOKIE.len())?;
    cookie.eq_ignore_ascii_case(Via::MAGIC_COOKIE).then_some(rest)
}

/// Returns the transport of `SIP/2.0/TLS` and where it ends; white space may surround the slashes.
fn protocol(text: &Text) -> Result<(Transport, usize), &'static str> {
    let octets = text.as_bytes();
    let start = octets::skip_white(octets, 0);
    // The form that everybody sends needs no looking for slashes.
    let at = if octets.get(start..start + 8).is_some_and(|form| form == b"SIP/2.0/") {
        octets::skip_white(octets, start + 8)
    } else {
        let name_end = token_end(octets, start);
        let version_at = after_slash(octets, name_end)?;
        let version_end = token_end(octets, version_at);
        if !octets[start..name_end].eq_ignore_ascii_case(b"SIP") || &octets[version_at..version_end] != b"2.0"
        {
            return Err("the protocol is not SIP/2.0");
        }
        after_slash(octets, version_end)?
    };
    let end = token_end(octets, at);
    match Transport::known(&octets[at..end]) {
        Some(transport) => Ok((transport, end)),
        None => {
            Ok((Transport::Other(Token::parse(text.slice(at..end)).ok_or("the transport is no token")?), end))
        }
    }
}

fn after_slash(octets: &[u8], at: usize) -> Result<usize, &'static str> {
    let at = octets::skip_white(octets, at);
    if octets.get(at) == Some(&b'/') {
        Ok(octets::skip_white(octets, at + 1))
    } else {
        Err("a slash is missing")
    }
}

fn token_end(octets: &[u8], start: usize) -> usize {
    octets[start..]
        .iter()
        .position(|octet| !octets::is(*octet, octets::TOKEN))
        .map_or(octets.len(), |found| start + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_may_surround_the_parts_of_a_via() {
        let via = Via::parse("SIP / 2.0  / TCP     spindle.example.com   :\t5060 ; branch  =   z9hG4bK9ikj8")
            .unwrap();

        assert_eq!(via.transport, Transport::Tcp);
        assert_eq!(via.host, Host::parse("spindle.example.com").unwrap());
        assert_eq!(via.port, Some(5060));
        assert_eq!(via.branch(), Some("z9hG4bK9ikj8"));
        assert!(via.has_unique_branch());
    }

    #[test]
    fn a_received_ipv6_address_may_wear_brackets() {
        for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
            let via =
                Via::parse(format!("SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3-111"))
                    .unwrap();

            assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
        }
    }

    #[test]
    fn a_server_fills_in_where_a_request_came_from() {
        let via = Via::parse("SIP/2.0/UDP a.example;branch=z9hG4bK1;rport;ms-received-cid=4").unwrap();

        let filled = via.received_from("[2001:db8::1]:5070".parse().unwrap());

        assert_eq!(
            filled.to_string(),
            "SIP/2.0/UDP a.example;branch=z9hG4bK1;ms-received-cid=4;received=2001:db8::1;rport=5070"
        );
        let plain = Via::parse("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1").unwrap();
        assert_eq!(plain.received_from("192.0.2.1:5060".parse().unwrap()), plain);
    }

    #[test]
    fn a_via_without_the_magic_cookie_is_of_rfc_2543() {
        assert!(!Via::parse("SIP/2.0/TLS 192.0.2.5:51877").unwrap().has_unique_branch());
        assert!(!Via::parse("SIP/2.0/TLS 192.0.2.5;branch=390skdjuw").unwrap().has_unique_branch());
        assert!(Via::parse("SIP/2.0/TLS 192.0.2.5;branch=z9hG4bK").unwrap().has_bare_cookie());
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/3.0/UDP a.example",
            "SIP/2.0 UDP a.example",
            "SIP/2.0/UDP 192.0.2.15;;,;,,",
            "SIP/2.0/UDP a.example:",
            "SIP/2.0/UDP a.example:99999",
            "SIP/2.0/UDP a.example b",
            "SIP/2.0/ a.example",
        ] {
            assert!(Via::parse(text).is_err(), "{text}");
        }
    }
}
