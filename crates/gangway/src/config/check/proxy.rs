use crate::config::mistake::Mistake;
use crate::config::model::{Configuration, Proxy};

/// What is wrong with `[proxy]`, apart from its partners.
pub fn check(configuration: &Configuration, findings: &mut Vec<Mistake>) {
    let Some(proxy) = &configuration.proxy else { return };
    super::check_twice(proxy.domains.iter(), "the domain", findings);
    super::check_twice(proxy.denied_domains.iter(), "the domain", findings);
    super::check_twice(proxy.identities.iter(), "the identity", findings);
    if proxy.domains.is_empty() {
        findings.push(
            Mistake::error(&proxy.span, "`domains` is empty, so the proxy answers for nobody")
                .help("list the domains of our users: domains = [\"example.com\"]"),
        );
    }
    if proxy.identities.is_empty() {
        findings.push(
            Mistake::error(&proxy.span, "`identities` is empty, so the proxy has no certificate to show")
                .help("name an `[identity.NAME]`: identities = [\"public\"]"),
        );
    }
    if proxy.listen.is_empty() && proxy.direct_tls_listen.is_empty() {
        findings.push(Mistake::warning(&proxy.span, "no partner can connect: `listen` is empty"));
    }
    if proxy.link.is_none() && configuration.gateway.is_none() {
        findings.push(
            Mistake::error(&proxy.span, "no gateway can connect: there is no `[proxy.link]`")
                .help("add it, or `[gateway]` for a gateway in the same process"),
        );
    }
    check_link(proxy, findings);
    check_secret(proxy, findings);
    check_anchors(proxy, findings);
    check_limits(proxy, findings);
}

fn check_link(proxy: &Proxy, findings: &mut Vec<Mistake>) {
    if let Some(link) = &proxy.link {
        super::check_twice(link.gateways.iter(), "the gateway", findings);
        if link.gateways.is_empty() {
            findings.push(
                Mistake::error(&link.span, "`gateways` is empty, so no gateway may connect").help(
                    "list the names in the gateways' certificates: gateways = [\"gateway.example.com\"]",
                ),
            );
        }
    }
}

fn check_secret(proxy: &Proxy, findings: &mut Vec<Mistake>) {
    if let (Some(_), Some(file)) = (&proxy.dialback_secret, &proxy.dialback_secret_file) {
        findings.push(
            Mistake::error(&file.span, "the dialback secret is given twice, here and in `dialback-secret`")
                .help("keep the file and take `dialback-secret` out"),
        );
    }
    if let Some(secret) = proxy.dialback_secret.as_ref().filter(|secret| secret.chars().count() < 16) {
        findings.push(
            Mistake::error(&secret.span, "the dialback secret is so short that it can be guessed")
                .help("make one of 16 characters at least, such as by `openssl rand -hex 32`"),
        );
    }
    if let Some(file) = &proxy.dialback_secret_file {
        super::files::check_secret_file(file, findings);
    }
}

/// What DNSSEC begins with.
fn check_anchors(proxy: &Proxy, findings: &mut Vec<Mistake>) {
    let Some(file) = &proxy.dnssec_anchors else { return };
    if super::files::read(file, findings).is_none() {
        return;
    }
    if net::Anchors::File(file.value.clone()).check().is_err() {
        findings.push(
            Mistake::error(&file.span, format!("{} holds no DNSKEY records", file.value.display())).help(
                "write one a line: `. IN DNSKEY 257 3 8 AwEAA…`, as `dig . DNSKEY` prints them; or leave it out",
            ),
        );
    }
    if !proxy.partners.iter().any(|partner| *partner.dane) {
        findings.push(
            Mistake::warning(&file.span, "no partner has `dane = true`, so nothing is checked by DNSSEC")
                .help("write `dane = true` for those whose signed zone may vouch for them, or take this out"),
        );
    }
}

fn check_limits(proxy: &Proxy, findings: &mut Vec<Mistake>) {
    if proxy.partner_connection_limit > proxy.connection_limit {
        findings.push(Mistake::warning(
            &proxy.span,
            format!(
                "`partner-connection-limit` ({}) is above `connection-limit` ({}) and never reached",
                proxy.partner_connection_limit, proxy.connection_limit
            ),
        ));
    }
    if proxy.limits.unproved_per_address > proxy.limits.connections_per_address {
        findings.push(Mistake::warning(
            &proxy.span,
            "`unproved-per-address` is above `connections-per-address` and never reached",
        ));
    }
}
