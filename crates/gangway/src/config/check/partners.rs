use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use proxy_role::Place;

use crate::config::mistake::Mistake;
use crate::config::model::{Configuration, Negotiation, Partner, Proxy};
use crate::config::value::At;
use crate::roles::proxy::{self, negotiation as of_role};

/// What is wrong with the partners.
pub fn check(configuration: &Configuration, findings: &mut Vec<Mistake>) {
    let Some(proxy) = &configuration.proxy else { return };
    if proxy.partners.is_empty() && !*proxy.open {
        findings.push(
            Mistake::warning(&proxy.span, "there is no partner, so nobody can be talked to").help(
                "add a `[[proxy.partner]]` for each, or `open = true` for any domain that proves itself",
            ),
        );
    }
    super::check_twice(proxy.partners.iter().flat_map(domains), "the partner's domain", findings);
    let addresses = Addresses::look_up(&proxy.partners);
    for partner in &proxy.partners {
        check_domains(proxy, configuration, partner, findings);
        check_negotiation(partner, findings);
        check_host(proxy, partner, &addresses, findings);
        check_dane(partner, findings);
        check_posh(partner, findings);
    }
    check_with_role(proxy, findings);
}

/// What the role itself has against settings that are right one by one; what this file says better is
/// left out.
fn check_with_role(proxy: &Proxy, findings: &mut Vec<Mistake>) {
    let around =
        proxy::Around { identities: &[], secret: None, in_process: true, drain: Duration::from_secs(1) };
    for said in proxy::settings(proxy, &around).check() {
        let span = match said.place {
            Place::Open => &proxy.open.span,
            Place::Limit(_) => &proxy.span,
            Place::Partner(number, "connection-limit") => &proxy.partners[number].span,
            Place::Partner(..)
            | Place::Served(_)
            | Place::Denied(_)
            | Place::Listener(_)
            | Place::Link(_)
            | Place::Whole => continue,
        };
        let mistake = match said.severity {
            proxy_role::Severity::Error => Mistake::error(span, said.what),
            proxy_role::Severity::Warning => Mistake::warning(span, said.what),
        };
        findings.push(mistake.help(said.fix));
    }
}

fn domains(partner: &Partner) -> impl Iterator<Item = &At<String>> {
    std::iter::once(&partner.domain).chain(&partner.additional_domains)
}

fn check_domains(
    proxy: &Proxy,
    configuration: &Configuration,
    partner: &Partner,
    findings: &mut Vec<Mistake>,
) {
    let sip = configuration.gateway.iter().flat_map(|gateway| &gateway.domains);
    let sip: Vec<&str> = sip.map(|domain| domain.domain.as_str()).collect();
    for domain in domains(partner) {
        if proxy.domains.iter().any(|ours| ours.value == domain.value) {
            findings.push(
                Mistake::error(&domain.span, format!("`{}` is a domain of our own", domain.value))
                    .help("a partner is somebody else: take it out here, or out of `domains` of `[proxy]`"),
            );
        } else if sip.contains(&domain.as_str()) {
            findings.push(
                Mistake::error(&domain.span, format!("`{}` is one of our SIP domains", domain.value))
                    .help("its users are ours: take it out here, or its `[[gateway.domain]]`"),
            );
        }
        if let Some(denied) = proxy.denied_domains.iter().find(|denied| is_within(domain, denied)) {
            findings.push(
                Mistake::error(
                    &domain.span,
                    format!("`{}` is a partner, and denied by `{}`", domain.value, denied.value),
                )
                .help("take it out here, or out of `denied-domains`"),
            );
        }
    }
}

fn is_within(domain: &str, above: &str) -> bool {
    domain.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn check_negotiation(partner: &Partner, findings: &mut Vec<Mistake>) {
    use Negotiation::{NotSupported, Required};
    let (tls, sasl, dialback) = (*partner.tls, *partner.sasl, *partner.dialback);
    // Microsoft's table of eighteen rows in closed form.
    let ways = proxy_role::methods(of_role(tls), of_role(sasl), dialback);
    if ways.is_none() {
        let (span, why) = match (tls, sasl) {
            (_, NotSupported) => (&partner.sasl.span, "it may use neither SASL nor dialback"),
            _ => (&partner.sasl.span, "it may use only SASL, and SASL needs TLS, which it may not use"),
        };
        findings.push(
            Mistake::error(span, format!("`{}` can never prove its domain: {why}", partner.domain.value))
                .help("write `dialback = true`, or `tls = \"required\"` and `sasl = \"required\"`"),
        );
        return;
    }
    if ways.dialback_in_clear {
        let name = &partner.domain.value;
        findings.push(if *partner.allow_plaintext {
            Mistake::warning(
                &partner.allow_plaintext.span,
                format!("streams with `{name}` may go unencrypted: who is between can read and change them"),
            )
            .help("with `tls = \"required\"` and `sasl = \"optional\"` they are encrypted, and dialback still works")
        } else {
            Mistake::error(&partner.tls.span, format!("streams with `{name}` could go unencrypted"))
                .help(
                    "write `tls = \"required\"`, with `sasl = \"optional\"` for a partner without a certificate of \
                     its domain;\nor, if it must be, `allow-plaintext = true` besides",
                )
        });
    } else if *partner.allow_plaintext {
        findings.push(
            Mistake::error(&partner.allow_plaintext.span, "`tls` is required, so nothing goes unencrypted")
                .help("take `allow-plaintext` out"),
        );
    }
    if sasl != NotSupported && tls == NotSupported {
        findings.push(
            Mistake::warning(
                &partner.sasl.span,
                "SASL needs TLS, which it may not use: only dialback is left",
            )
            .help("write `sasl = \"not-supported\"`, or `tls = \"required\"`"),
        );
    }
    let dialback_is_written = partner.dialback.span != partner.span;
    if dialback && dialback_is_written && tls == Required && sasl == Required {
        findings.push(
            Mistake::warning(&partner.dialback.span, "dialback is never used: `tls` and `sasl` are required")
                .help("write `sasl = \"optional\"` where it should be"),
        );
    }
}

/// A zone vouches for certificates, which are seen only in TLS.
fn check_dane(partner: &Partner, findings: &mut Vec<Mistake>) {
    if *partner.dane && *partner.tls == Negotiation::NotSupported {
        findings.push(
            Mistake::error(
                &partner.dane.span,
                format!("`{}` may not use TLS, so its zone has nothing to vouch for", partner.domain.value),
            )
            .help("take `dane` out, or write `tls = \"required\"`"),
        );
    }
}

/// So does a web server.
fn check_posh(partner: &Partner, findings: &mut Vec<Mistake>) {
    if *partner.posh && *partner.tls == Negotiation::NotSupported {
        findings.push(
            Mistake::error(
                &partner.posh.span,
                format!(
                    "`{}` may not use TLS, so its web server has nothing to vouch for",
                    partner.domain.value
                ),
            )
            .help("take `posh` out, or write `tls = \"required\"`"),
        );
    }
}

/// A host that is ourselves would send every stanza round until its sender gives up.
fn check_host(proxy: &Proxy, partner: &Partner, addresses: &Addresses, findings: &mut Vec<Mistake>) {
    let Some(host) = &partner.host else { return };
    let (name, port) = (&host.value.0, host.value.1.unwrap_or(xmpp_proto::discovery::PORT));
    let listening = || proxy.listen.iter().chain(&proxy.direct_tls_listen);
    let is_ours = |ip: &IpAddr| {
        listening().any(|listen| {
            let is_same = listen.ip() == *ip || listen.ip().is_unspecified() && is_of_this_machine(*ip);
            is_same && listen.port() == port
        })
    };
    let found = addresses.of(name);
    let through = found.iter().find(|ip| is_ours(ip));
    if through.is_some() || proxy.domains.iter().any(|domain| domain.value == *name) {
        let through = match through {
            Some(ip) if ip.to_string() != *name => format!(", by way of {ip}"),
            Some(_) | None => String::new(),
        };
        findings.push(
            Mistake::error(
                &host.span,
                format!("`host` of `{}` leads back to ourselves{through}", partner.domain.value),
            )
            .help("write where the partner's own server is, or leave `host` out"),
        );
    }
}

/// Tells whether the address is one of this machine's: only then can a socket have it.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// Asks the system; nobody need be asked where `localhost` is (RFC 6761 §6.3), and some systems do not know it.
fn addresses_of(name: &str) -> Vec<IpAddr> {
    if name == "localhost" || name.ends_with(".localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let addresses = (name, 0).to_socket_addrs();
    addresses.map(|all| all.map(|address| address.ip().to_canonical()).collect()).unwrap_or_default()
}

/// The addresses of all fixed hosts, as far as they can be learnt while somebody waits.
struct Addresses(BTreeMap<String, Vec<IpAddr>>);

impl Addresses {
    /// Looks all names up at once. One that is not answered in time is not known, which is no mistake.
    fn look_up(partners: &[Partner]) -> Self {
        let (found, answers) = mpsc::channel();
        let hosts = partners.iter().filter_map(|partner| partner.host.as_ref());
        let names: BTreeSet<String> = hosts.map(|host| host.value.0.clone()).collect();
        for name in names.into_iter().take(NAMES_MAX) {
            let found = found.clone();
            std::thread::spawn(move || {
                let addresses = addresses_of(&name);
                // Nobody waits any longer, perhaps.
                let _ = found.send((name, addresses));
            });
        }
        drop(found);
        let mut known = BTreeMap::new();
        let until = Instant::now() + PATIENCE;
        while let Ok((name, addresses)) =
            answers.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            known.insert(name, addresses);
        }
        Self(known)
    }

    fn of(&self, name: &str) -> &[IpAddr] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// How long the names of fixed hosts may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// More names are not looked up.
const NAMES_MAX: usize = 64;
