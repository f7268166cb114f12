//! Which of our certificates a peer is shown.

use std::sync::Arc;

use net_types::CertificateNames;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::load::Loaded;

/// Shows the certificate that names what the client asked for, or else one of the order's choosing.
#[derive(Debug)]
pub(super) struct BySni {
    pub(super) identities: Arc<[Loaded]>,
    pub(super) fallback: Arc<CertifiedKey>,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(match hello.server_name() {
            Some(name) => self.choose(name),
            None => &self.fallback,
        }))
    }
}

impl BySni {
    fn choose(&self, name: &str) -> &Arc<CertifiedKey> {
        let names_it = |loaded: &&Loaded| fits(&loaded.says.names, name);
        let mut fitting = self.identities.iter().filter(names_it).map(|loaded| &loaded.certified).peekable();
        let first = fitting.peek().copied();
        // Among several that fit, the order's own.
        match fitting.find(|certified| Arc::ptr_eq(certified, &self.fallback)).or(first) {
            Some(certified) => certified,
            None => &self.fallback,
        }
    }
}

/// Shows the same certificate to every server that asks, whatever authorities it hints at.
#[derive(Debug)]
pub(super) struct Always(pub(super) Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Whether a certificate speaks for a domain in any of the ways that this project knows.
fn fits(names: &CertificateNames, domain: &str) -> bool {
    names.dns.iter().any(|pattern| dns_fits(pattern, domain))
        || names.xmpp_addr.iter().any(|address| address.eq_ignore_ascii_case(domain))
        || names.srv.iter().any(|service| {
            service.split_once('.').is_some_and(|(_, named)| named.eq_ignore_ascii_case(domain))
        })
        || names.uri.iter().any(|uri| {
            uri.split_once(':').is_some_and(|(scheme, named)| {
                scheme.eq_ignore_ascii_case("sip") && named.eq_ignore_ascii_case(domain)
            })
        })
}

/// A wildcard stands for one whole leftmost label (RFC 6125 §6.4.3).
fn dns_fits(pattern: &str, domain: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => domain
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(dns_fits("*.example.com", "XMPP.example.com"));
        assert!(!dns_fits("*.example.com", "a.b.example.com"));
        assert!(!dns_fits("*.example.com", "example.com"));
    }

    #[test]
    fn every_kind_of_name_fits_its_domain() {
        let names = |dns: &str, srv: &str, uri: &str| CertificateNames {
            dns: vec![dns.to_owned()],
            srv: vec![srv.to_owned()],
            xmpp_addr: Vec::new(),
            uri: vec![uri.to_owned()],
        };

        assert!(fits(&names("x", "_xmpp-server.example.com", "x:y"), "example.com"));
        assert!(fits(&names("x", "x", "sip:example.com"), "example.com"));
        assert!(!fits(&names("x", "_xmpp-server.example.com", "x:y"), "example.org"));
    }
}
