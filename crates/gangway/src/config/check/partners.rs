use std::time::Duration;

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
    for partner in &proxy.partners {
        check_domains(proxy, configuration, partner, findings);
        check_negotiation(partner, findings);
        check_host(proxy, partner, findings);
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

fn check_host(proxy: &Proxy, partner: &Partner, findings: &mut Vec<Mistake>) {
    let Some(host) = &partner.host else { return };
    let (name, port) = (&host.value.0, host.value.1.unwrap_or(5269));
    let ip: Option<std::net::IpAddr> = name.parse().ok();
    let local = ip.map_or(name == "localhost", |ip| ip.is_loopback() || ip.is_unspecified());
    let ours = proxy.listen.iter().chain(&proxy.direct_tls_listen).any(|listen| {
        let same = ip.is_some_and(|ip| ip == listen.ip()) || local && listen.ip().is_unspecified();
        same && listen.port() == port
    });
    if ours || proxy.domains.iter().any(|domain| domain.value == *name) {
        findings.push(
            Mistake::error(
                &host.span,
                format!("`host` of `{}` leads back to ourselves", partner.domain.value),
            )
            .help("write where the partner's own server is, or leave `host` out"),
        );
    }
}
