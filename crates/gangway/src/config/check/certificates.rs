//! Certificates, keys and authorities: loaded as a start would load them, and their names and dates compared with what
//! they are wanted for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock_types::Date;
use net::tls::{
    IdentitySpec, IdentityStatus, Library, LoadError, PemSource, TlsRegistry, TlsSpec, TrustSpec,
};
use net_types::{CertificateNames, Identity, Purpose, Trust};
use xmpp_proto::identity::names_speak_for;
use xmpp_types::jid::DomainName;

use super::SYSTEM;
use crate::config::mistake::{Mistake, Span};
use crate::config::model::{Configuration, Gateway, IdentityFiles, Proxy};
use crate::config::value::At;

/// Adds what is wrong with certificates, keys and authorities.
pub fn check(configuration: &Configuration, findings: &mut Vec<Mistake>) {
    let loaded = load(configuration, findings);
    for (name, status) in &loaded {
        check_dates(name, status, &configuration.identities[*name], findings);
        check_purposes(name, status, configuration, findings);
    }
    check_trusts(configuration, findings);
    if let Some(proxy) = &configuration.proxy {
        check_served(proxy, &loaded, findings);
    }
    if let Some(gateway) = &configuration.gateway {
        check_sip(gateway, &loaded, findings);
    }
}

type Loaded<'a> = BTreeMap<&'a str, IdentityStatus>;

fn load<'a>(configuration: &'a Configuration, findings: &mut Vec<Mistake>) -> Loaded<'a> {
    let mut loaded = BTreeMap::new();
    for (name, files) in &configuration.identities {
        let identity = IdentitySpec {
            name: Identity(Arc::from(name.as_str())),
            certificate: PemSource::File(files.certificate.value.clone()),
            key: PemSource::File(files.key.value.clone()),
            library: Library::Rustls,
            place: String::new(),
        };
        match TlsRegistry::load(TlsSpec { identities: vec![identity], trusts: Vec::new() }) {
            Ok(registry) => loaded.extend(registry.identities().pop().map(|status| (name.as_str(), status))),
            Err(errors) => {
                let place = |file: &Path| {
                    if file == files.key.value {
                        files.key.span.clone()
                    } else {
                        files.certificate.span.clone()
                    }
                };
                findings.extend(errors.iter().map(|error| mistake(error, place(Path::new(&error.file)))));
            }
        }
    }
    loaded
}

fn check_trusts(configuration: &Configuration, findings: &mut Vec<Mistake>) {
    for (name, files) in &configuration.trusts {
        if files.authorities.is_empty() && !files.system && name != SYSTEM {
            findings.push(
                Mistake::error(&files.span, format!("`[trust.{name}]` believes nobody"))
                    .help("write authorities = [\"ca.pem\"], or system = true"),
            );
        }
        for file in &files.authorities {
            check_trust(name, vec![file], false, &file.span, findings);
        }
        if files.system {
            check_trust(name, Vec::new(), true, &files.span, findings);
        }
    }
    if let Some(proxy) = configuration.proxy.as_ref().filter(|proxy| proxy.trust.value == SYSTEM) {
        check_trust(SYSTEM, Vec::new(), true, &proxy.trust.span, findings);
    }
}

fn check_trust(
    name: &str,
    files: Vec<&At<PathBuf>>,
    native_roots: bool,
    span: &Span,
    findings: &mut Vec<Mistake>,
) {
    let trust = TrustSpec {
        name: Trust(Arc::from(name)),
        authorities: files.into_iter().map(|file| PemSource::File(file.value.clone())).collect(),
        native_roots,
        pins: Vec::new(),
        place: String::new(),
    };
    if let Err(errors) = TlsRegistry::load(TlsSpec { identities: Vec::new(), trusts: vec![trust] }) {
        findings.extend(errors.iter().map(|error| mistake(error, span.clone())));
    }
}

/// What the loader says is `place: file: what is wrong; what to do`.
fn mistake(error: &LoadError, span: Span) -> Mistake {
    let said = error.to_string();
    let said = said.strip_prefix(": ").unwrap_or(&said);
    match said.split_once("; ") {
        Some((what, help)) => Mistake::error(&span, what).help(help),
        None => Mistake::error(&span, said),
    }
}

fn check_dates(name: &str, status: &IdentityStatus, files: &IdentityFiles, findings: &mut Vec<Mistake>) {
    let left = status.not_after.unix_millis() - net::clock::date().unix_millis();
    let days = left.div_euclid(DAY);
    let day = day_of(status.not_after);
    let span = &files.certificate.span;
    if net::clock::date() < status.not_before {
        findings.push(
            Mistake::error(
                span,
                format!("the certificate of `{name}` is not valid before {}", day_of(status.not_before)),
            )
            .help("check this machine's clock, or put the older certificate back until then"),
        );
    }
    if left < 0 {
        findings.push(
            Mistake::error(span, format!("the certificate of `{name}` expired on {day}"))
                .help("renew it and put the new one there"),
        );
    } else if days < 14 {
        findings.push(
            Mistake::warning(span, format!("the certificate of `{name}` expires on {day}, in {days} days"))
                .help("renew it; a running process takes the new one at `gangway reload`"),
        );
    }
}

/// Whoever connects to us wants a server's certificate. That it is for servers alone is no mistake: public authorities
/// issue nothing else.
fn check_purposes(
    name: &str,
    status: &IdentityStatus,
    configuration: &Configuration,
    findings: &mut Vec<Mistake>,
) {
    let proxy = configuration.proxy.iter();
    let of_proxy =
        proxy.flat_map(|proxy| proxy.identities.iter().chain(proxy.link.iter().map(|link| &link.identity)));
    let listening = configuration.gateway.iter().flat_map(|gateway| &gateway.listen);
    let of_gateway = listening.filter_map(|listen| listen.identity.as_ref());
    let is_servers = of_proxy.chain(of_gateway).any(|used| used.value == name);
    let has = |purpose| status.purposes.is_empty() || status.purposes.contains(&purpose);
    let (span, help) = (
        &configuration.identities[name].certificate.span,
        "get one whose extended key usage has serverAuth, as those of every public authority have",
    );
    if is_servers && !has(Purpose::ServerAuth) {
        let what =
            format!("the certificate of `{name}` is not for servers, so whoever connects to us refuses it");
        findings.push(Mistake::error(span, what).help(help));
    } else if !has(Purpose::ServerAuth) && !has(Purpose::ClientAuth) {
        let what = format!("the certificate of `{name}` is for neither TLS servers nor TLS clients");
        findings.push(Mistake::error(span, what).help(help));
    }
}

fn day_of(date: Date) -> String {
    date.to_string().chars().take(10).collect()
}

const DAY: i64 = 86_400_000;

/// Each served domain needs a certificate with its name (RFC 6120 §13.7.1.2).
fn check_served(proxy: &Proxy, loaded: &Loaded<'_>, findings: &mut Vec<Mistake>) {
    let shown: Option<Vec<&IdentityStatus>> =
        proxy.identities.iter().map(|name| loaded.get(name.as_str())).collect();
    // A certificate that could not be read may have been the right one.
    let Some(shown) = shown.filter(|shown| !shown.is_empty()) else { return };
    for domain in &proxy.domains {
        let Ok(name) = DomainName::parse(&domain.value) else { continue };
        if !shown.iter().any(|status| names_speak_for(&status.names, &name)) {
            let held: Vec<String> = shown.iter().map(|status| words(&status.names)).collect();
            findings.push(
                Mistake::error(
                    &domain.span,
                    format!("no certificate of `identities` holds the name `{}`", domain.value),
                )
                .help(format!(
                    "partners would refuse us: get one with that name as dNSName; ours hold {}",
                    held.join("; ")
                )),
            );
        }
    }
}

/// A SIP server that we reach, or that reaches us, over TLS compares our name (RFC 5922 §7.2).
fn check_sip(gateway: &Gateway, loaded: &Loaded<'_>, findings: &mut Vec<Mistake>) {
    for listen in gateway.listen.iter().filter(|listen| listen.transport.is_secure()) {
        let Some(identity) = &listen.identity else { continue };
        let Some(status) = loaded.get(identity.as_str()) else { continue };
        let name = listen.name.as_ref().map_or(&gateway.name.value.0, |name| &name.value.0);
        let has = |held: &String| held.eq_ignore_ascii_case(name);
        let has_uri =
            |uri: &String| uri.strip_prefix("sip:").is_some_and(|host| host.eq_ignore_ascii_case(name));
        if !status.names.dns.iter().any(has) && !status.names.uri.iter().any(has_uri) {
            findings.push(
                Mistake::warning(
                    &identity.span,
                    format!("the certificate of `{}` does not hold our name `{name}`", identity.value),
                )
                .help(format!("SIP servers that compare names refuse it; it holds {}", words(&status.names))),
            );
        }
    }
}

fn words(names: &CertificateNames) -> String {
    let all: Vec<&str> = [&names.dns, &names.srv, &names.xmpp_addr, &names.uri]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    if all.is_empty() { "no name at all".into() } else { all.join(", ") }
}
