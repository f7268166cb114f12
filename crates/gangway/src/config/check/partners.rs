use crate::config::mistake::Mistake;
use crate::config::model::{Configuration, Negotiation, Partner, Proxy};
use crate::config::value::At;

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

/// What a partner's three settings allow: Microsoft's table of eighteen rows in closed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allowed {
    sasl_over_tls: bool,
    dialback_over_tls: bool,
    dialback_over_tcp: bool,
}

fn allowed(tls: Negotiation, sasl: Negotiation, dialback: bool) -> Allowed {
    use Negotiation::{NotSupported, Required};
    Allowed {
        sasl_over_tls: tls != NotSupported && sasl != NotSupported,
        dialback_over_tls: dialback && tls != NotSupported && !(tls == Required && sasl == Required),
        dialback_over_tcp: dialback && tls != Required,
    }
}

fn check_negotiation(partner: &Partner, findings: &mut Vec<Mistake>) {
    use Negotiation::{NotSupported, Required};
    let (tls, sasl, dialback) = (*partner.tls, *partner.sasl, *partner.dialback);
    let allowed = allowed(tls, sasl, dialback);
    if !allowed.sasl_over_tls && !allowed.dialback_over_tls && !allowed.dialback_over_tcp {
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
    if allowed.dialback_over_tcp {
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

#[cfg(test)]
mod tests {
    use super::*;
    use Negotiation::{NotSupported as N, Optional as O, Required as R};

    /// TLS, SASL, dialback → SASL over TLS, dialback over TLS, dialback over TCP.
    const ROWS: [(Negotiation, Negotiation, bool, [bool; 3]); 18] = [
        (R, R, true, [true, false, false]),
        (O, R, true, [true, true, true]),
        (N, R, true, [false, false, true]),
        (R, O, true, [true, true, false]),
        (O, O, true, [true, true, true]),
        (N, O, true, [false, false, true]),
        (R, N, true, [false, true, false]),
        (O, N, true, [false, true, true]),
        (N, N, true, [false, false, true]),
        (R, R, false, [true, false, false]),
        (O, R, false, [true, false, false]),
        (N, R, false, [false, false, false]),
        (R, O, false, [true, false, false]),
        (O, O, false, [true, false, false]),
        (N, O, false, [false, false, false]),
        (R, N, false, [false, false, false]),
        (O, N, false, [false, false, false]),
        (N, N, false, [false, false, false]),
    ];

    #[test]
    fn the_eighteen_rows_allow_what_microsofts_table_says() {
        for (tls, sasl, dialback, [sasl_over_tls, dialback_over_tls, dialback_over_tcp]) in ROWS {
            assert_eq!(
                allowed(tls, sasl, dialback),
                Allowed { sasl_over_tls, dialback_over_tls, dialback_over_tcp },
                "{tls:?} {sasl:?} {dialback}"
            );
        }
    }
}
