//! Whether a certificate proves an XMPP domain (RFC 6120 §13.7, XEP-0178, RFC 9525).
//!
//! The names are those of subjectAltName: `dNSName` (with a wildcard for exactly one label), `SRVName`
//! and `XmppAddr`. The common name is never looked at. The key purpose may be serverAuth alone, also
//! when the peer is the client: public authorities issue nothing else.

use std::fmt;

use clock_types::Date;
use net_types::{CertificateNames, PeerCertificate, Purpose, Trust, TrustVerdict};
use xmpp_types::jid::DomainName;

/// Why a certificate does not prove a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// The peer showed none.
    NoCertificate,
    /// The chain does not end in a root that we trust, in words.
    Untrusted(String),
    /// It is valid only from this day on.
    NotYetValid(Date),
    /// It was valid up to this day.
    Expired(Date),
    /// It may not be used for TLS at all.
    WrongPurpose,
    /// It speaks for these names only.
    OtherNames(Vec<String>),
    /// The domain's signed zone says what the certificate must be, and it is not that (RFC 6698 §4.1).
    NotInZone {
        /// The name that the records stand under.
        host: String,
        /// How many of them can be used.
        records: usize,
    },
    /// It is none of so many that the domain's document names (RFC 7711 §3.3).
    NotInDocument(usize),
}

impl fmt::Display for Unproved {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => out.write_str("the peer showed no certificate"),
            Self::Untrusted(why) => write!(out, "the certificate is not trusted: {why}"),
            Self::NotYetValid(date) => write!(out, "the certificate is valid only from {date}"),
            Self::Expired(date) => write!(out, "the certificate expired on {date}"),
            Self::WrongPurpose => out.write_str("the certificate is for neither TLS servers nor TLS clients"),
            Self::OtherNames(names) if names.is_empty() => out.write_str("the certificate names no domain"),
            Self::OtherNames(names) => write!(out, "the certificate is for {}", names.join(", ")),
            Self::NotInZone { host, records } => {
                write!(out, "the certificate fits none of the {records} usable TLSA records of {host}")
            }
            Self::NotInDocument(count) => {
                write!(out, "the certificate is none of the {count} that its document names")
            }
        }
    }
}

/// Checks that a certificate, if there is one, proves `domain` at this date; its chain was judged at the handshake.
///
/// # Errors
/// If it does not, and why.
pub fn prove(
    certificate: Option<&PeerCertificate>,
    domain: &DomainName,
    today: Date,
) -> Result<(), Unproved> {
    prove_by(certificate, None, domain, today)
}

/// Checks that a certificate, if there is one, proves `domain` at this date; its chain is judged by `roots`, or was
/// at the handshake if there are none.
///
/// # Errors
/// If it does not, and why.
pub fn prove_by(
    certificate: Option<&PeerCertificate>,
    roots: Option<&Trust>,
    domain: &DomainName,
    today: Date,
) -> Result<(), Unproved> {
    prove_names(certificate, roots, today, |names| names_speak_for(names, domain))
}

/// Checks all of a certificate; `speaks` tells whether its names will do.
pub(crate) fn prove_names(
    certificate: Option<&PeerCertificate>,
    roots: Option<&Trust>,
    today: Date,
    speaks: impl Fn(&CertificateNames) -> bool,
) -> Result<(), Unproved> {
    let certificate = certificate.ok_or(Unproved::NoCertificate)?;
    check_dates(certificate, today)?;
    let verdict = roots.map(|roots| certificate.chain.by_trust(roots));
    if let TrustVerdict::Untrusted(why) = verdict.as_ref().unwrap_or(&certificate.trust) {
        return Err(Unproved::Untrusted(why.clone()));
    }
    prove_dates_and_names(certificate, today, speaks)
}

/// Checks all of a certificate but its chain.
pub(crate) fn prove_dates_and_names(
    certificate: &PeerCertificate,
    today: Date,
    speaks: impl Fn(&CertificateNames) -> bool,
) -> Result<(), Unproved> {
    check_dates(certificate, today)?;
    let for_tls = |purpose: &Purpose| matches!(purpose, Purpose::ServerAuth | Purpose::ClientAuth);
    if !certificate.purposes.is_empty() && !certificate.purposes.iter().any(for_tls) {
        return Err(Unproved::WrongPurpose);
    }
    if speaks(&certificate.names) {
        return Ok(());
    }
    Err(Unproved::OtherNames(readable(&certificate.names)))
}

pub(crate) fn check_dates(certificate: &PeerCertificate, today: Date) -> Result<(), Unproved> {
    if today < certificate.not_before {
        return Err(Unproved::NotYetValid(certificate.not_before));
    }
    if today > certificate.not_after {
        return Err(Unproved::Expired(certificate.not_after));
    }
    Ok(())
}

/// Tells whether one of the names stands for `domain`, whatever the chain is worth.
#[must_use]
pub fn names_speak_for(names: &CertificateNames, domain: &DomainName) -> bool {
    let ascii = domain.to_ascii();
    names.dns.iter().any(|name| dns_name_matches(name, ascii))
        || names.srv.iter().any(|name| srv_name_matches(name, ascii))
        || names.xmpp_addr.iter().any(|address| xmpp_addr_matches(address, domain))
}

/// Compares A-labels without regard to case; `*` stands for the whole leftmost label and for one label
/// only (RFC 9525 §6.3).
pub(crate) fn dns_name_matches(name: &str, domain: &str) -> bool {
    let Some(parent) = name.strip_prefix("*.") else {
        return !name.contains('*') && name.eq_ignore_ascii_case(domain);
    };
    let Some((label, rest)) = domain.split_once('.') else { return false };
    !label.is_empty() && !parent.contains('*') && parent.contains('.') && rest.eq_ignore_ascii_case(parent)
}

/// SRVName holds the service with the domain; no wildcard is defined for servers (RFC 4985 §2, RFC 6120
/// §13.7.1.2.1).
fn srv_name_matches(name: &str, domain: &str) -> bool {
    let Some((service, host)) = name.split_once('.') else { return false };
    let service_fits = service.eq_ignore_ascii_case("_xmpp-server");
    service_fits && host.eq_ignore_ascii_case(domain)
}

/// XmppAddr is an address in UTF-8; a server's is a bare domain (RFC 6120 §13.7.1.4).
fn xmpp_addr_matches(address: &str, domain: &DomainName) -> bool {
    !address.contains(['@', '/']) && DomainName::parse(address).is_ok_and(|address| address == *domain)
}

/// At most a handful of names, for messages.
fn readable(names: &CertificateNames) -> Vec<String> {
    names.dns.iter().chain(&names.srv).chain(&names.xmpp_addr).take(NAMES_SHOWN_MAX).cloned().collect()
}

const NAMES_SHOWN_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> PeerCertificate {
        PeerCertificate {
            not_before: Date::from_unix_millis(1000),
            not_after: Date::from_unix_millis(9000),
            subject: "CN=remote.example".into(),
            ..net_types::memory::certificate(&[])
        }
    }

    fn domain(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn dns(names: &[&str]) -> CertificateNames {
        CertificateNames { dns: names.iter().map(ToString::to_string).collect(), ..Default::default() }
    }

    #[track_caller]
    fn proves(certificate: &PeerCertificate, text: &str) -> Result<(), Unproved> {
        prove(Some(certificate), &domain(text), Date::from_unix_millis(5000))
    }

    #[test]
    fn each_kind_of_name_proves_its_domain_and_no_other() {
        let spoken = [
            dns(&["Remote.Example"]),
            CertificateNames { srv: vec!["_xmpp-server.remote.example".into()], ..Default::default() },
            CertificateNames { xmpp_addr: vec!["remote.example".into()], ..Default::default() },
        ];
        for names in spoken {
            assert!(names_speak_for(&names, &domain("remote.example")), "{names:?}");
            assert!(!names_speak_for(&names, &domain("sub.remote.example")), "{names:?}");
            assert!(!names_speak_for(&names, &domain("evilremote.example")), "{names:?}");
        }
    }

    #[test]
    fn other_services_and_addresses_of_people_prove_nothing() {
        let names = CertificateNames {
            srv: vec!["_xmpp-client.remote.example".into(), "remote.example".into()],
            xmpp_addr: vec!["romeo@remote.example".into(), "remote.example/x".into()],
            uri: vec!["xmpp:remote.example".into(), "sip:remote.example".into()],
            dns: vec!["remote.example\0.evil.example".into(), String::new()],
        };

        assert!(!names_speak_for(&names, &domain("remote.example")));
    }

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        let names = dns(&["*.remote.example"]);

        assert!(names_speak_for(&names, &domain("a.remote.example")));
        assert!(!names_speak_for(&names, &domain("remote.example")));
        assert!(!names_speak_for(&names, &domain("a.b.remote.example")));
        assert!(!names_speak_for(&dns(&["*.example"]), &domain("remote.example")));
        assert!(!names_speak_for(&dns(&["a*.remote.example"]), &domain("ab.remote.example")));
        assert!(!names_speak_for(&dns(&["*"]), &domain("remote.example")));
    }

    #[test]
    fn an_international_domain_is_compared_by_its_a_labels() {
        assert!(names_speak_for(&dns(&["xn--bcher-kva.example"]), &domain("bücher.example")));
        assert!(names_speak_for(
            &CertificateNames { xmpp_addr: vec!["bücher.example".into()], ..Default::default() },
            &domain("xn--bcher-kva.example")
        ));
    }

    #[test]
    fn the_common_name_proves_nothing() {
        assert_eq!(proves(&certificate(), "remote.example"), Err(Unproved::OtherNames(Vec::new())));
    }

    #[test]
    fn a_certificate_for_servers_only_is_accepted_and_one_for_mail_is_not() {
        let mut certificate = certificate();
        certificate.names = dns(&["remote.example"]);
        certificate.purposes = vec![Purpose::ServerAuth];
        assert_eq!(proves(&certificate, "remote.example"), Ok(()));

        certificate.purposes = vec![Purpose::Other];
        assert_eq!(proves(&certificate, "remote.example"), Err(Unproved::WrongPurpose));
    }

    #[test]
    fn a_certificate_proves_nothing_outside_its_days() {
        let mut certificate = certificate();
        certificate.names = dns(&["remote.example"]);
        let at =
            |millis| prove(Some(&certificate), &domain("remote.example"), Date::from_unix_millis(millis));

        assert_eq!(at(999), Err(Unproved::NotYetValid(Date::from_unix_millis(1000))));
        assert_eq!(at(1000), Ok(()));
        assert_eq!(at(9001), Err(Unproved::Expired(Date::from_unix_millis(9000))));
    }

    #[test]
    fn an_untrusted_chain_and_no_certificate_prove_nothing() {
        let mut certificate = certificate();
        certificate.names = dns(&["remote.example"]);
        certificate.trust = TrustVerdict::Untrusted("self-signed".into());

        assert_eq!(proves(&certificate, "remote.example"), Err(Unproved::Untrusted("self-signed".into())));
        assert_eq!(
            prove(None, &domain("remote.example"), Date::from_unix_millis(5000)),
            Err(Unproved::NoCertificate)
        );
    }
}
