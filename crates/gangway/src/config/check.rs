//! What several settings together, or a setting and the machine, can have wrong.

mod certificates;
pub(super) mod files;
mod gateway;
mod partners;
mod proxy;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::mistake::Mistake;
use super::model::{Configuration, SipTransport};
use super::value::At;

/// Adds every finding.
pub fn check(configuration: &Configuration, findings: &mut Vec<Mistake>) {
    proxy::check(configuration, findings);
    partners::check(configuration, findings);
    gateway::check(configuration, findings);
    certificates::check(configuration, findings);
    check_ports(configuration, findings);
    check_names(configuration, findings);
}

/// One thing that wants a port for itself.
struct Claim<'a> {
    address: &'a At<SocketAddr>,
    datagrams: bool,
    setting: String,
}

fn check_ports(configuration: &Configuration, findings: &mut Vec<Mistake>) {
    let mut claims: Vec<Claim<'_>> = Vec::new();
    let mut claim = |address, datagrams, setting: &str| {
        claims.push(Claim { address, datagrams, setting: setting.to_owned() });
    };
    if let Some(proxy) = &configuration.proxy {
        proxy.listen.iter().for_each(|address| claim(address, false, "`listen` of `[proxy]`"));
        let direct = "`direct-tls-listen` of `[proxy]`";
        proxy.direct_tls_listen.iter().for_each(|address| claim(address, false, direct));
        if let Some(link) = &proxy.link {
            claim(&link.listen, false, "`listen` of `[proxy.link]`");
        }
    }
    for listen in configuration.gateway.iter().flat_map(|gateway| &gateway.listen) {
        claim(&listen.address, *listen.transport == SipTransport::Udp, "`address` of `[[gateway.listen]]`");
    }
    for (at, later) in claims.iter().enumerate() {
        if let Some(earlier) = claims[..at].iter().find(|earlier| collide(earlier, later)) {
            findings.push(
                Mistake::error(
                    &later.address.span,
                    format!("port {} is taken already, by {}", later.address.port(), earlier.setting),
                )
                .help(format!(
                    "{} and {} cannot both be listened on: choose another port",
                    earlier.address.value, later.address.value
                )),
            );
        }
    }
}

fn collide(one: &Claim<'_>, other: &Claim<'_>) -> bool {
    let (a, b) = (one.address.value, other.address.value);
    // An IPv6 listener takes IPv6 only, so that `[::]` leaves the port to `0.0.0.0`.
    let same_family = a.is_ipv4() == b.is_ipv4();
    let overlap = same_family && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified());
    one.datagrams == other.datagrams && a.port() != 0 && a.port() == b.port() && overlap
}

/// Where an `[identity.NAME]` or a `[trust.NAME]` is meant.
fn check_names(configuration: &Configuration, findings: &mut Vec<Mistake>) {
    let mut identities: Vec<&At<String>> = Vec::new();
    let mut trusts: Vec<&At<String>> = Vec::new();
    if let Some(proxy) = &configuration.proxy {
        identities.extend(&proxy.identities);
        identities.extend(proxy.link.as_ref().map(|link| &link.identity));
        trusts.push(&proxy.trust);
        trusts.extend(proxy.link.as_ref().map(|link| &link.trust));
        trusts.extend(proxy.partners.iter().filter_map(|partner| partner.trust.as_ref()));
    }
    if let Some(gateway) = &configuration.gateway {
        identities.extend(gateway.links.iter().map(|link| &link.identity));
        identities.extend(gateway.listen.iter().filter_map(|listen| listen.identity.as_ref()));
        trusts.extend(gateway.links.iter().map(|link| &link.trust));
        trusts.extend(gateway.listen.iter().filter_map(|listen| listen.trust.as_ref()));
    }
    let known: BTreeMap<&str, _> =
        configuration.identities.iter().map(|(name, files)| (name.as_str(), files.span.clone())).collect();
    check_references("identity", &identities, &known, findings);
    let known: BTreeMap<&str, _> =
        configuration.trusts.iter().map(|(name, files)| (name.as_str(), files.span.clone())).collect();
    trusts.retain(|name| name.value != SYSTEM || known.contains_key(SYSTEM));
    check_references("trust", &trusts, &known, findings);
    if let Some(system) = known.get(SYSTEM) {
        findings.push(
            Mistake::error(system, "the name `system` stands for the operating system's authorities")
                .help("choose another name; with `system = true` it can hold those besides its own"),
        );
    }
}

/// The trust that exists without being written.
pub const SYSTEM: &str = "system";

fn check_references(
    section: &str,
    used: &[&At<String>],
    known: &BTreeMap<&str, super::mistake::Span>,
    findings: &mut Vec<Mistake>,
) {
    for name in used {
        if !known.contains_key(name.as_str()) {
            let mistake = Mistake::error(&name.span, format!("there is no `[{section}.{}]`", name.value));
            findings.push(match super::mistake::closest(name, known.keys().copied()) {
                Some(meant) => mistake.help(format!("did you mean \"{meant}\"?")),
                None => mistake.help(format!("add it, or write the name of one: {}", listed(known.keys()))),
            });
        }
    }
    for (name, span) in known {
        if *name != SYSTEM && !used.iter().any(|used| used.value == *name) {
            findings.push(Mistake::warning(span, format!("nothing uses `[{section}.{name}]`")));
        }
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    if names.is_empty() { "there are none yet".into() } else { names.join(", ") }
}

/// Tells of every name that stands more than once.
fn check_twice<'a>(names: impl Iterator<Item = &'a At<String>>, what: &str, findings: &mut Vec<Mistake>) {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.contains(&name.as_str()) {
            findings.push(
                Mistake::error(&name.span, format!("{what} `{}` is listed twice", name.value))
                    .help("take one of them out"),
            );
        }
        seen.push(name);
    }
}
