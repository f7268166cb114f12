//! Whom a certificate speaks for in SIP (RFC 5922).

use std::fmt;

use net_types::{CertificateNames, PeerCertificate, Purpose, TrustVerdict};

/// The name that a server must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// The domain that was asked for, whatever host the DNS named (RFC 5922 §7.3).
    Domain(&'a str),
    /// The host that is configured as next hop: its own DNS name will do as well.
    Host(&'a str),
}

impl<'a> Wanted<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Domain(name) | Self::Host(name) => name,
        }
    }
}

/// Why a certificate does not prove the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// None was shown.
    NoCertificate,
    /// Its chain is worth nothing here, in words.
    Untrusted {
        /// Why.
        reason: String,
        /// Who issued it, in words.
        issuer: String,
    },
    /// It is for clients only.
    NotForServers,
    /// It proves other names.
    OtherNames {
        /// The name that was wanted.
        wanted: String,
        /// The names that it proves.
        shown: Vec<String>,
    },
}

/// Checks that `certificate` is trusted and proves `wanted`.
///
/// # Errors
/// Says why it does not.
pub fn prove(certificate: Option<&PeerCertificate>, wanted: Wanted<'_>) -> Result<(), Unproved> {
    let certificate = certificate.ok_or(Unproved::NoCertificate)?;
    if let TrustVerdict::Untrusted(reason) = &certificate.trust {
        return Err(Unproved::Untrusted { reason: reason.clone(), issuer: certificate.issuer.clone() });
    }
    if !certificate.purposes.is_empty() && certificate.purposes.iter().all(|p| *p == Purpose::ClientAuth) {
        return Err(Unproved::NotForServers);
    }
    let names = &certificate.names;
    let proves_host = || names.dns.iter().any(|shown| same(shown, wanted.name()));
    let proved = identities(names).any(|shown| same(shown, wanted.name()))
        || match wanted {
            Wanted::Domain(_) => false,
            Wanted::Host(_) => proves_host(),
        };
    if proved {
        return Ok(());
    }
    let mut shown: Vec<String> = names.uri.iter().chain(&names.dns).cloned().collect();
    shown.truncate(8);
    Err(Unproved::OtherNames { wanted: wanted.name().to_owned(), shown })
}

/// Returns the SIP domains that a certificate speaks for: the hosts of its `sip:` URIs without a user
/// part, or else, if it has none, its DNS names (RFC 5922 §7.1).
pub fn identities(names: &CertificateNames) -> impl Iterator<Item = &str> {
    let by_uri = names.uri.iter().any(|uri| sip_domain(uri).is_some());
    let uris = names.uri.iter().filter_map(|uri| sip_domain(uri));
    let dns = names.dns.iter().filter(move |_| !by_uri).map(String::as_str);
    uris.chain(dns)
}

/// Returns whether `identity`, as a certificate shows it, is the DNS name `name`: in its entirety, in
/// any case; a wildcard is only itself (RFC 5922 §7.2).
#[must_use]
pub fn same(identity: &str, name: &str) -> bool {
    let without_root = |name: &str| name.strip_suffix('.').unwrap_or(name).len();
    let (identity, name) = (&identity[..without_root(identity)], &name[..without_root(name)]);
    !name.is_empty() && !name.contains('*') && identity.eq_ignore_ascii_case(name)
}

fn sip_domain(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    let end = rest.find([';', '?']).unwrap_or(rest.len());
    let host = &rest[..end];
    // A port says nothing about who it is; an IPv6 address keeps its brackets.
    let host = match host.rsplit_once(':') {
        Some((before, port)) if !before.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            if before.starts_with('[') && !before.ends_with(']') { host } else { before }
        }
        _ => host,
    };
    (!host.is_empty()).then_some(host)
}

impl Unproved {
    /// Returns what an operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NoCertificate => {
                "let the server show a certificate: anonymous cipher suites cannot be used".into()
            }
            Self::Untrusted { issuer, .. } => {
                format!("add the root of \"{issuer}\" to the trusted roots of this route, if it is genuine")
            }
            Self::NotForServers => "have a certificate issued with the purpose serverAuth".into(),
            Self::OtherNames { wanted, shown } => match shown.first() {
                None => format!("have a certificate issued with the DNS name {wanted}"),
                Some(first) => format!(
                    "have a certificate issued for {wanted}, or set the route's TLS name to {first} if that is \
                     the server you mean"
                ),
            },
        }
    }
}

impl fmt::Display for Unproved {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => out.write_str("the server showed no certificate"),
            Self::Untrusted { reason, issuer } => {
                write!(out, "the server's certificate, issued by \"{issuer}\", is not trusted: {reason}")
            }
            Self::NotForServers => out.write_str("the server's certificate is for clients only"),
            Self::OtherNames { wanted, shown } if shown.is_empty() => {
                write!(out, "the server's certificate names nobody, and {wanted} was wanted")
            }
            Self::OtherNames { wanted, shown } => {
                write!(out, "the server's certificate is for {}, not for {wanted}", shown.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_domain_is_proved_by_a_sip_uri() {
        for uri in ["sip:example.com", "SIP:Example.COM", "sip:example.com;lr", "sip:example.com:5061"] {
            assert_eq!(prove(Some(&showing(&[uri], &[])), Wanted::Domain("example.com")), Ok(()), "{uri}");
        }
    }

    #[test]
    fn a_dns_name_counts_only_without_a_sip_uri() {
        let both = showing(&["sip:other.example"], &["example.com"]);
        let not_sip = showing(&["https://example.com/"], &["example.com"]);

        assert!(prove(Some(&both), Wanted::Domain("example.com")).is_err());
        assert_eq!(prove(Some(&not_sip), Wanted::Domain("example.com")), Ok(()));
    }

    #[test]
    fn a_configured_host_is_proved_by_its_dns_name_even_beside_a_sip_uri() {
        let both = showing(&["sip:example.com"], &["pool.example.com"]);

        assert_eq!(prove(Some(&both), Wanted::Host("pool.example.com")), Ok(()));
        assert!(prove(Some(&both), Wanted::Domain("pool.example.com")).is_err());
    }

    #[test]
    fn a_user_a_sips_uri_a_suffix_and_a_wildcard_prove_no_domain() {
        for uri in ["sip:ann@example.com", "sips:example.com", "sip:", "sip:www.example.com"] {
            let certificate = showing(&[uri], &[]);
            assert!(prove(Some(&certificate), Wanted::Domain("example.com")).is_err(), "{uri}");
        }
        for dns in ["*.example.com", ".example.com", "example.com.evil.example", "", "*"] {
            let certificate = showing(&[], &[dns]);
            assert!(prove(Some(&certificate), Wanted::Domain("example.com")).is_err(), "{dns}");
            assert!(prove(Some(&certificate), Wanted::Host("www.example.com")).is_err(), "{dns}");
        }
    }

    #[test]
    fn every_refusal_says_why_and_what_to_do() {
        let untrusted = PeerCertificate {
            trust: TrustVerdict::Untrusted("unknown issuer".into()),
            ..showing(&[], &["example.com"])
        };
        let for_clients =
            PeerCertificate { purposes: vec![Purpose::ClientAuth], ..showing(&[], &["example.com"]) };
        let cases = [
            (None, "no certificate", "show a certificate"),
            (Some(untrusted), "not trusted: unknown issuer", "add the root of \"CN=ca\""),
            (Some(for_clients), "for clients only", "serverAuth"),
            (Some(showing(&[], &[])), "names nobody", "issued with the DNS name example.com"),
            (
                Some(showing(&[], &["b.example"])),
                "is for b.example, not for example.com",
                "TLS name to b.example",
            ),
        ];
        for (certificate, why, what) in cases {
            let unproved = prove(certificate.as_ref(), Wanted::Domain("example.com")).unwrap_err();

            assert!(unproved.to_string().contains(why), "{unproved}");
            assert!(unproved.remedy().contains(what), "{}", unproved.remedy());
        }
    }

    #[test]
    fn a_certificate_for_servers_only_proves_a_server() {
        let certificate =
            PeerCertificate { purposes: vec![Purpose::ServerAuth], ..showing(&[], &["example.com"]) };

        assert_eq!(prove(Some(&certificate), Wanted::Domain("EXAMPLE.com.")), Ok(()));
    }

    fn showing(uri: &[&str], dns: &[&str]) -> PeerCertificate {
        let mut certificate = net_types::memory::certificate(dns);
        certificate.names.uri = uri.iter().map(|name| (*name).to_owned()).collect();
        certificate
    }
}
