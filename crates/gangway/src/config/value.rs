//! What stands behind a key, read by its kind.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use gateway_role::policy::Whom;
use translate::presence::StateTable;
use xmpp_types::jid::DomainName;

use super::mistake::{Mistake, Span, closest};
use super::schema::{Kind, duration_text, size_text};
use super::states;

/// A value with its place in the file; for a default, the place where it could be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A value by its kind; kinds that are text here are given their types by the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, Choice, Domain, Host, NextHop, User, Path, Identity, Trust.
    Text(String),
    /// Boolean.
    Boolean(bool),
    /// Count and Size.
    Number(u64),
    /// Duration.
    Duration(Duration),
    /// Address and Resolver.
    Address(SocketAddr),
    /// Fingerprint.
    Fingerprint([u8; 32]),
    /// Network: any address of it, and how many leading bits count.
    Network(IpAddr, u8),
    /// List.
    List(Vec<At<Value>>),
}

/// Returns what stands there, or every mistake in it.
pub fn read(kind: &Kind, written: &Spanned<DeValue<'_>>) -> Result<At<Value>, Vec<Mistake>> {
    let span = written.span();
    let value = match (kind, written.get_ref()) {
        (Kind::List(kind), DeValue::Array(items)) => {
            let mut values = Vec::with_capacity(items.len());
            let mut mistakes = Vec::new();
            for item in items.iter() {
                match read(kind, item) {
                    Ok(value) => values.push(value),
                    Err(more) => mistakes.extend(more),
                }
            }
            if !mistakes.is_empty() {
                return Err(mistakes);
            }
            Value::List(values)
        }
        (Kind::List(kind), DeValue::String(_)) => {
            return Err(vec![
                Mistake::error(&span, format!("this must be {}", Kind::List(kind).describe()))
                    .help("put it into brackets: [\"…\"]"),
            ]);
        }
        (Kind::Boolean, DeValue::Boolean(yes)) => Value::Boolean(*yes),
        (Kind::Count(least, most), DeValue::Integer(number)) => {
            let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
            let number = number.filter(|number| (least..=most).contains(&number));
            Value::Number(number.ok_or_else(|| vec![mistaken(&span, kind)])?)
        }
        (Kind::List(_) | Kind::Boolean | Kind::Count(..), _) => return Err(vec![mistaken(&span, kind)]),
        (_, DeValue::String(text)) => read_text(kind, text, &span).map_err(|mistake| vec![mistake])?,
        (_, _) => return Err(vec![mistaken(&span, kind)]),
    };
    Ok(At { value, span })
}

fn read_text(kind: &Kind, text: &str, span: &Span) -> Result<Value, Mistake> {
    let no = || mistaken(span, kind);
    Ok(match kind {
        Kind::Text | Kind::Path | Kind::Identity | Kind::Trust => {
            Value::Text(Some(text).filter(|text| !text.trim().is_empty()).ok_or_else(no)?.to_owned())
        }
        Kind::Choice(words) => {
            let word = words.iter().find(|(word, _)| *word == text);
            let meant = || closest(text, words.iter().map(|(word, _)| *word));
            let (word, _) = word.ok_or_else(|| match meant() {
                Some(meant) => no().help(format!("did you mean \"{meant}\"?")),
                None => no(),
            })?;
            Value::Text((*word).to_owned())
        }
        Kind::Duration(least, most) => {
            let millis = quantity(text, DURATIONS).ok_or_else(no)?;
            if !(least..=most).contains(&&millis) {
                return Err(no().help(format!("{} is out of bounds", duration_text(millis))));
            }
            Value::Duration(Duration::from_millis(millis))
        }
        Kind::Size(least, most) => {
            let octets = quantity(text, SIZES).ok_or_else(no)?;
            if !(least..=most).contains(&&octets) {
                return Err(no().help(format!("{} is out of bounds", size_text(octets))));
            }
            Value::Number(octets)
        }
        Kind::Address => Value::Address(text.parse().map_err(|_| address_mistake(text, span))?),
        Kind::Resolver => {
            let with_port = text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 53)));
            Value::Address(with_port.map_err(|_| no())?)
        }
        Kind::Network => {
            let (network, prefix) = network(text).ok_or_else(no)?;
            Value::Network(network, prefix)
        }
        Kind::Fingerprint => Value::Fingerprint(fingerprint(text).ok_or_else(no)?),
        Kind::Domain => Value::Text(domain(text).map_err(|why| Mistake::error(span, why))?),
        Kind::Host => Value::Text(split_host(text).map(|_| text.to_owned()).ok_or_else(no)?),
        Kind::User => match Whom::parse(text) {
            Ok(whom) => Value::Text(whom.to_string()),
            Err(why) => return Err(no().help(format!("`{text}` names nobody: {why}"))),
        },
        Kind::Seen => Value::Text(state(states::see, text, kind, span)?),
        Kind::Shown => Value::Text(state(states::present, text, kind, span)?),
        Kind::NextHop => Value::Text(text.to_owned()),
        Kind::Boolean | Kind::Count(..) | Kind::List(_) => return Err(no()),
    })
}

/// Checks a row of the mapping between states.
fn state(
    read: fn(&str, &mut StateTable) -> Result<(), String>,
    text: &str,
    kind: &Kind,
    span: &Span,
) -> Result<String, Mistake> {
    match read(text, &mut StateTable::default()) {
        Ok(()) => Ok(text.to_owned()),
        Err(why) => Err(mistaken(span, kind).help(why)),
    }
}

fn mistaken(span: &Span, kind: &Kind) -> Mistake {
    Mistake::error(span, format!("this must be {}", kind.describe()))
        .help(format!("such as {}", kind.sample()))
}

fn address_mistake(text: &str, span: &Span) -> Mistake {
    let mistake = Mistake::error(span, format!("`{text}` is no address with a port"));
    if text.parse::<IpAddr>().is_ok() {
        let shown = if text.contains(':') { format!("[{text}]") } else { text.to_owned() };
        return mistake.help(format!("add the port: \"{shown}:5269\""));
    }
    if let Some(port) = text.strip_prefix(':').or(Some(text)).filter(|port| port.parse::<u16>().is_ok()) {
        return mistake
            .help(format!("to listen on all addresses, write \"0.0.0.0:{port}\" (IPv6: \"[::]:{port}\")"));
    }
    mistake.help("write an IP address and a port: \"0.0.0.0:5269\" or \"[::]:5269\"; names are not looked up")
}

/// Returns the normal form of a domain name, or why it is none.
pub fn domain(text: &str) -> Result<String, String> {
    if text.contains('*') {
        return Err(format!("`{text}` is no domain name; a partner's sub-domains are `subdomains = true`"));
    }
    if text.contains('@') {
        return Err(format!("`{text}` is an address of a user, not a domain name"));
    }
    match DomainName::parse(text.strip_suffix('.').unwrap_or(text)) {
        Ok(name) if name.to_ip().is_none() => Ok(name.as_str().to_owned()),
        Ok(_) => Err(format!("`{text}` is an address, not a domain name")),
        Err(why) => Err(format!("`{text}` is no domain name: {why}")),
    }
}

/// Returns an address and how many of its leading bits count.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) =
        text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(most), |prefix| prefix.parse().ok())?;
    (prefix <= most).then_some((address, prefix))
}

/// Returns a host and its port; an IPv6 address with a port stands in brackets.
#[must_use]
pub fn split_host(text: &str) -> Option<(String, Option<u16>)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip().to_string(), Some(address.port())));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip.to_string(), None));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port != 0)?)),
        None => (text, None),
    };
    domain(host).ok().map(|host| (host, port))
}

const DURATIONS: &[(&[&str], u64)] = &[
    (&["ms"], 1),
    (&["s", "sec", "second", "seconds"], 1000),
    (&["min", "m", "minute", "minutes"], 60_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
];

const SIZES: &[(&[&str], u64)] = &[
    (&["B", "octets", "bytes"], 1),
    (&["kB", "KB"], 1000),
    (&["MB"], 1_000_000),
    (&["GB"], 1_000_000_000),
    (&["KiB"], 1 << 10),
    (&["MiB"], 1 << 20),
    (&["GiB"], 1 << 30),
];

/// Returns a number with its unit in the smallest unit.
fn quantity(text: &str, units: &[(&[&str], u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let (_, scale) = units.iter().find(|(names, _)| names.contains(&unit))?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b':' | b' ')).collect();
    if digits.len() != 64 {
        return None;
    }
    let mut octets = [0; 32];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn text(kind: Kind, toml: &str) -> Result<Value, String> {
        let written = DeValue::parse(toml).unwrap();
        read(&kind, &written).map(|at| at.value).map_err(|mistakes| {
            format!("{} | {}", mistakes[0].what, mistakes[0].help.clone().unwrap_or_default())
        })
    }

    #[test]
    fn times_and_sizes_carry_their_unit() {
        assert_eq!(
            text(Kind::Duration(0, 1_000_000), "\"2 min\""),
            Ok(Value::Duration(Duration::from_secs(120)))
        );
        assert_eq!(text(Kind::Duration(0, 1_000_000), "\"2s\""), Ok(Value::Duration(Duration::from_secs(2))));
        assert_eq!(text(Kind::Size(0, 1 << 20), "\"64 KiB\""), Ok(Value::Number(65_536)));
        assert!(text(Kind::Duration(1000, 60_000), "30").is_err(), "a bare number has no unit");
        assert!(text(Kind::Duration(1000, 60_000), "\"2 h\"").unwrap_err().contains("2 h is out of bounds"));
        assert!(text(Kind::Size(0, 10), "\"99999999999999999999 GiB\"").is_err());
    }

    #[test]
    fn an_address_says_what_it_lacks() {
        assert_eq!(text(Kind::Address, "\"[::]:5269\""), Ok(Value::Address("[::]:5269".parse().unwrap())));
        assert!(text(Kind::Address, "\"::1\"").unwrap_err().contains("\"[::1]:5269\""));
        assert!(text(Kind::Address, "\":5269\"").unwrap_err().contains("\"0.0.0.0:5269\""));
        assert!(text(Kind::Address, "\"localhost:5269\"").unwrap_err().contains("names are not looked up"));
    }

    #[test]
    fn a_host_may_have_a_port() {
        assert_eq!(split_host("a.example"), Some(("a.example".into(), None)));
        assert_eq!(split_host("a.example:1"), Some(("a.example".into(), Some(1))));
        assert_eq!(split_host("[::1]:5"), Some(("::1".into(), Some(5))));
        assert_eq!(split_host("::1"), Some(("::1".into(), None)));
        assert_eq!(split_host("a.example:0"), None);
        assert_eq!(split_host("a b"), None);
    }

    #[test]
    fn a_fingerprint_is_32_octets() {
        let colons = format!("\"{}\"", vec!["0f"; 32].join(":"));

        assert_eq!(text(Kind::Fingerprint, &colons), Ok(Value::Fingerprint([15; 32])));
        assert!(text(Kind::Fingerprint, "\"0f\"").is_err());
    }

    #[test]
    fn every_mistake_in_a_list_is_told() {
        let written = DeValue::parse("[\"::1\", \"[::]:1\", 5]").unwrap();

        let mistakes = read(&Kind::List(&Kind::Address), &written).unwrap_err();

        assert_eq!(mistakes.len(), 2);
    }
}
