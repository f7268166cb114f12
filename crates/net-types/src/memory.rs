//! What handshakes show in a network that is only in memory: for tests and fuzzing. Nothing here comes from a peer.

use std::sync::Arc;

use clock_types::Date;

use crate::{CertificateNames, Chain, PeerCertificate, Purpose, TlsFacts, TlsVersion, TrustVerdict};

/// Returns a certificate with these names (dNSName) and nothing wrong with it: trusted, as public authorities issue
/// them for servers, from 1970 to 2033.
#[must_use]
pub fn certificate(dns: &[&str]) -> PeerCertificate {
    PeerCertificate {
        names: CertificateNames {
            dns: dns.iter().map(|name| (*name).to_owned()).collect(),
            ..CertificateNames::default()
        },
        trust: TrustVerdict::Trusted,
        purposes: vec![Purpose::ServerAuth],
        not_before: Date::from_unix_millis(0),
        not_after: Date::from_unix_millis(2_000_000_000_000),
        subject: "CN=peer".to_owned(),
        issuer: "CN=ca".to_owned(),
        sha256: [0; 32],
        der: Arc::new([]),
        chain: Chain::default(),
    }
}

/// Returns the facts of a handshake in which the peer showed this certificate.
#[must_use]
pub fn handshake(certificate: PeerCertificate) -> Box<TlsFacts> {
    Box::new(TlsFacts {
        version: TlsVersion::Tls13,
        cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
        alpn: None,
        server_name: None,
        peer: Some(Arc::new(certificate)),
    })
}
