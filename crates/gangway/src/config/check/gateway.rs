use sip_proto::endpoint::{NextHop, Transport};
use sip_types::SipUri;

use crate::config::mistake::Mistake;
use crate::config::model::{Configuration, Gateway, SipDomain, SipListen, SipProfile, SipTransport};
use crate::config::users;

/// What is wrong with `[gateway]`.
pub fn check(configuration: &Configuration, findings: &mut Vec<Mistake>) {
    let Some(gateway) = &configuration.gateway else { return };
    if !gateway.listen.iter().any(|listen| listen.transport.is_sip()) {
        findings.push(
            Mistake::error(
                &gateway.span,
                "the gateway neither takes nor sends SIP: there is no `[[gateway.listen]]`",
            )
            .help("add one:\n[[gateway.listen]]\ntransport = \"tcp\"\naddress = \"0.0.0.0:5060\""),
        );
    }
    if gateway.domains.is_empty() {
        findings.push(
            Mistake::error(&gateway.span, "the gateway has no users: there is no `[[gateway.domain]]`")
                .help("add one:\n[[gateway.domain]]\ndomain = \"example.com\""),
        );
    }
    if gateway.links.is_empty() && configuration.proxy.is_none() {
        findings.push(
            Mistake::error(&gateway.span, "the gateway has no proxy: there is no `[[gateway.link]]`")
                .help("add it, or `[proxy]` for a proxy in the same process"),
        );
    }
    if gateway.name.value.1.is_some() {
        findings.push(
            Mistake::error(&gateway.name.span, "this must be a host without a port")
                .help("ports are those of the listeners, or stand in their `name`"),
        );
    }
    for listen in &gateway.listen {
        check_listen(listen, findings);
    }
    check_libraries(configuration, gateway, findings);
    super::check_twice(gateway.domains.iter().map(|domain| &domain.domain), "the SIP domain", findings);
    for domain in &gateway.domains {
        check_domain(gateway, domain, findings);
    }
    users::check(&gateway.users, &gateway.domains, findings);
    check_both(configuration, gateway, findings);
}

fn check_listen(listen: &SipListen, findings: &mut Vec<Mistake>) {
    let parts = [("identity", &listen.identity), ("trust", &listen.trust)];
    for (key, value) in parts {
        match (listen.transport.is_secure(), value) {
            (true, None) => findings.push(
                Mistake::error(&listen.transport.span, format!("TLS needs `{key}`"))
                    .help(format!("write {key} = \"NAME\", where `[{key}.NAME]` is one of yours")),
            ),
            (false, Some(value)) => findings.push(
                Mistake::error(&value.span, format!("`{key}` is for TLS only"))
                    .help("take it out, or write transport = \"tls\""),
            ),
            (true, Some(_)) | (false, None) => {}
        }
    }
    if listen.open_ssl.value && *listen.transport != SipTransport::Tls {
        findings.push(
            Mistake::error(&listen.open_ssl.span, "`tls-library` is for TLS only")
                .help("take it out, or write transport = \"tls\""),
        );
    } else if listen.open_ssl.value && !net::tls::Library::OpenSsl.is_built() {
        findings.push(
            Mistake::error(&listen.open_ssl.span, "this gangway was built without OpenSSL")
                .help("build it with `cargo build --release --features openssl-sip`, or use rustls"),
        );
    }
    if listen.name.is_none() && listen.address.port() == 0 {
        findings.push(Mistake::error(&listen.address.span, "port 0 is a different one at each start"));
    }
}

/// A certificate is shown by one library: OpenSSL is for the SIP side alone.
fn check_libraries(configuration: &Configuration, gateway: &Gateway, findings: &mut Vec<Mistake>) {
    let proxy = configuration.proxy.iter();
    let links = gateway.links.iter().map(|link| &link.identity);
    let elsewhere: Vec<&str> = proxy
        .flat_map(|proxy| proxy.identities.iter().chain(proxy.link.iter().map(|link| &link.identity)))
        .chain(links)
        .chain(
            gateway.listen.iter().filter(|listen| !listen.open_ssl.value).filter_map(|l| l.identity.as_ref()),
        )
        .map(|name| name.as_str())
        .collect();
    for listen in gateway.listen.iter().filter(|listen| listen.open_ssl.value) {
        let Some(identity) = listen.identity.as_ref().filter(|name| elsewhere.contains(&name.as_str()))
        else {
            continue;
        };
        findings.push(
            Mistake::error(
                &identity.span,
                format!("`{}` is used elsewhere too, where rustls shows it", identity.value),
            )
            .help("give this listener an `[identity.NAME]` of its own; it may name the same files"),
        );
    }
}

fn check_domain(gateway: &Gateway, domain: &SipDomain, findings: &mut Vec<Mistake>) {
    super::check_twice(domain.trusted_names.iter(), "the name", findings);
    let has = |transport| gateway.listen.iter().any(|listen| *listen.transport == transport);
    if let Some(next_hop) = &domain.next_hop {
        match next_hop_transport(next_hop) {
            Err(why) => findings.push(
                Mistake::error(&next_hop.span, why)
                    .help("such as \"sip:pool.example.com:5061;transport=tls\""),
            ),
            Ok(Some(transport)) if !gateway.listen.is_empty() && !has(transport) => findings.push(
                Mistake::error(
                    &next_hop.span,
                    format!(
                        "this next hop is reached over {0}, and no `[[gateway.listen]]` has {0}",
                        transport.as_str()
                    ),
                )
                .help(format!("add a `[[gateway.listen]]` with transport = \"{}\"", transport.as_str())),
            ),
            Ok(_) => {}
        }
    }
    if let Some(name) = &domain.next_hop_name {
        let transport = domain.next_hop.as_ref().map(|next_hop| next_hop_transport(next_hop));
        if !matches!(transport, Some(Ok(Some(SipTransport::Tls)) | Err(_))) {
            findings.push(
                Mistake::error(&name.span, "only a next hop over TLS has a certificate with a name in it")
                    .help("write `next-hop = \"sip:192.0.2.7:5061;transport=tls\"`, or take `next-hop-name` out"),
            );
        }
    }
    if let Some(name) = domain.trusted_names.first().filter(|_| !has(SipTransport::Tls)) {
        findings.push(
            Mistake::error(&name.span, "a name is proved over TLS only, and no `[[gateway.listen]]` has it")
                .help("add one with transport = \"tls\", or use `trusted-addresses`"),
        );
    }
    if domain.trusted_names.is_empty() && domain.trusted_addresses.is_empty() {
        findings.push(
            Mistake::warning(
                &domain.domain.span,
                format!(
                    "no SIP server may write for users of `{}`: text only reaches them",
                    domain.domain.value
                ),
            )
            .help("name its servers in `trusted-names` (TLS) or `trusted-addresses` (UDP, TCP)"),
        );
    }
    check_profile(domain, has(SipTransport::Tls), findings);
    if *domain.profile == SipProfile::Msrp && !has(SipTransport::Msrp) && !has(SipTransport::Msrps) {
        findings.push(
            Mistake::error(
                &domain.profile.span,
                "texts come by MSRP with this profile, and no `[[gateway.listen]]` has it",
            )
            .help("add one:\n[[gateway.listen]]\ntransport = \"msrp\"\naddress = \"0.0.0.0:2855\""),
        );
    }
    if domain.body_size > gateway.limits.body_size {
        findings.push(Mistake::warning(
            &domain.span,
            "`body-size` is above the one of `[gateway.limits]` and never reached",
        ));
    }
}

/// Microsoft's and Cisco's servers speak TLS with both certificates, and nothing else: what is written
/// against that cannot be meant.
fn check_profile(domain: &SipDomain, has_tls: bool, findings: &mut Vec<Mistake>) {
    if !domain.profile.wants_tls() || domain.allow_plaintext {
        return;
    }
    const HELP: &str = "in a laboratory without such a server, write allow-plaintext = true";
    if !has_tls {
        findings.push(
            Mistake::error(
                &domain.profile.span,
                "this profile is spoken over TLS, and no `[[gateway.listen]]` has it",
            )
            .help(format!("add a `[[gateway.listen]]` with transport = \"tls\"; {HELP}")),
        );
    }
    if let Some(next_hop) = &domain.next_hop
        && let Ok(Some(SipTransport::Udp | SipTransport::Tcp) | None) = next_hop_transport(next_hop)
    {
        findings.push(
            Mistake::error(&next_hop.span, "servers of this profile take SIP over TLS only")
                .help(format!("write transport=tls behind the next hop; {HELP}")),
        );
    }
    if let Some(address) = domain.trusted_addresses.first() {
        findings.push(
            Mistake::error(&address.span, "servers of this profile prove who they are by a certificate")
                .help(format!("name them in `trusted-names`; {HELP}")),
        );
    }
}

/// Returns the transport that a next hop names; none where the DNS is to say.
fn next_hop_transport(uri: &str) -> Result<Option<SipTransport>, String> {
    let uri = SipUri::parse(uri.to_owned()).map_err(|why| format!("this is no SIP URI: {why}"))?;
    if uri.user().is_some() {
        return Err("a next hop is a host, not a user".into());
    }
    let hop = NextHop::from_uri(&uri).ok_or("its transport must be udp, tcp or tls")?;
    Ok(hop.transport.map(|transport| match transport {
        Transport::Udp => SipTransport::Udp,
        Transport::Tcp => SipTransport::Tcp,
        Transport::Tls => SipTransport::Tls,
    }))
}

/// What proxy and gateway in one file must agree on.
fn check_both(configuration: &Configuration, gateway: &Gateway, findings: &mut Vec<Mistake>) {
    let Some(proxy) = &configuration.proxy else { return };
    for domain in &gateway.domains {
        if !proxy.domains.iter().any(|served| served.value == domain.domain.value) {
            findings.push(
                Mistake::error(
                    &domain.domain.span,
                    format!(
                        "the proxy does not serve `{}`, so partners cannot reach it",
                        domain.domain.value
                    ),
                )
                .help("add it to `domains` of `[proxy]`"),
            );
        }
    }
    for served in &proxy.domains {
        if !gateway.domains.iter().any(|domain| domain.domain.value == served.value) && proxy.link.is_none() {
            findings.push(
                Mistake::error(&served.span, format!("no gateway has the users of `{}`", served.value))
                    .help("add a `[[gateway.domain]]` for it"),
            );
        }
    }
}
