use std::fmt;
use std::sync::Arc;

use clock_types::Date;

/// Names a certificate with its key among those the shell has loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub Arc<str>);

/// Names a set of trust roots among those the shell has loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trust(pub Arc<str>);

/// How to shake hands as the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsClient {
    /// The name for SNI, an A-label or an address.
    pub name: String,
    /// The certificate to show, if the server asks.
    pub identity: Option<Identity>,
    /// Whom the facts judge the peer by.
    pub trust: Trust,
    /// The protocols to offer, such as `xmpp-server` (XEP-0368).
    pub alpn: Vec<String>,
}

/// How to shake hands as the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsServer {
    /// The certificate to show when SNI names none of ours.
    pub identity: Identity,
    /// Whom the facts judge the peer by.
    pub trust: Trust,
}

/// What a handshake showed. The shell never refuses a certificate in the handshake: it proves that
/// the peer holds the key, judges the chain, and leaves names and policy to pure code.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsFacts {
    /// The protocol version.
    pub version: TlsVersion,
    /// The cipher suite's registered name.
    pub cipher: String,
    /// The protocol chosen by ALPN.
    pub alpn: Option<String>,
    /// The name the client asked for (server side only).
    pub server_name: Option<String>,
    /// The peer's certificate, if it showed one.
    pub peer: Option<Arc<PeerCertificate>>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A peer's certificate, its key proved, its chain judged, its names not yet compared.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerCertificate {
    /// Whom it speaks for.
    pub names: CertificateNames,
    /// Whether the chain ends in a root that we trust for this connection.
    pub trust: TrustVerdict,
    /// What the certificate may be used for; empty means anything.
    pub purposes: Vec<Purpose>,
    /// The first day it holds.
    pub not_before: Date,
    /// The last day it holds.
    pub not_after: Date,
    /// The subject in words, for messages only: never compared.
    pub subject: String,
    /// The issuer in words, for messages only.
    pub issuer: String,
    /// SHA-256 of the whole certificate.
    pub sha256: [u8; 32],
    /// The certificate itself (DER), for pins and TLSA records.
    pub der: Arc<[u8]>,
    /// What came with it, and its judge.
    pub chain: Chain,
}

/// What a peer showed beside what its certificate says, and how all that can be judged once more: by roots of
/// which nobody knew at the handshake that they would decide.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// The public key of the peer's own certificate (SubjectPublicKeyInfo, DER).
    pub public_key: Arc<[u8]>,
    /// The certificates behind it, as the peer sent them; not necessarily a chain.
    pub issuers: Arc<[Issuer]>,
    judge: Option<Arc<dyn ChainJudge>>,
}

/// A certificate that a peer sent behind its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The certificate (DER).
    pub der: Arc<[u8]>,
    /// Its public key (SubjectPublicKeyInfo, DER).
    pub public_key: Arc<[u8]>,
}

/// Judges what one handshake showed. A verdict depends on nothing but that, the roots that were loaded then, and
/// the date of then: asking is a computation, not IO, and the same question has the same answer for ever.
pub trait ChainJudge: fmt::Debug + Send + Sync {
    /// Returns what the chain is worth to whoever trusts this set of roots.
    fn by_trust(&self, trust: &Trust) -> TrustVerdict;

    /// Returns what the chain is worth to whoever trusts this one certificate (DER) to issue others.
    fn by_anchor(&self, anchor: &[u8]) -> TrustVerdict;
}

impl Chain {
    /// Returns it with its judge.
    #[must_use]
    pub fn new(public_key: Arc<[u8]>, issuers: Arc<[Issuer]>, judge: Arc<dyn ChainJudge>) -> Self {
        Self { public_key, issuers, judge: Some(judge) }
    }

    /// Returns what it is worth to whoever trusts this set of roots.
    #[must_use]
    pub fn by_trust(&self, trust: &Trust) -> TrustVerdict {
        self.judge.as_ref().map_or_else(nobody_judges, |judge| judge.by_trust(trust))
    }

    /// Returns what it is worth to whoever trusts this one certificate (DER) to issue others.
    #[must_use]
    pub fn by_anchor(&self, anchor: &[u8]) -> TrustVerdict {
        self.judge.as_ref().map_or_else(nobody_judges, |judge| judge.by_anchor(anchor))
    }
}

fn nobody_judges() -> TrustVerdict {
    TrustVerdict::Untrusted("its chain was judged at the handshake only".to_owned())
}

/// Two are the same if the peer showed the same.
impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.public_key == other.public_key && self.issuers == other.issuers
    }
}

/// Names from subjectAltName; the common name is not among them on purpose (RFC 6120 §13.7.1.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// dNSName.
    pub dns: Vec<String>,
    /// id-on-dnsSRV (RFC 4985), such as `_xmpp-server.example.com`.
    pub srv: Vec<String>,
    /// id-on-xmppAddr (RFC 6120 §13.7.1.4).
    pub xmpp_addr: Vec<String>,
    /// uniformResourceIdentifier, such as `sip:example.com` (RFC 5922).
    pub uri: Vec<String>,
}

/// What a chain is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustVerdict {
    /// It ends in a trusted root and is valid today, for serverAuth or clientAuth.
    Trusted,
    /// It does not; in words for an operator.
    Untrusted(String),
}

/// An extended key usage that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// id-kp-serverAuth.
    ServerAuth,
    /// id-kp-clientAuth.
    ClientAuth,
    /// Any other.
    Other,
}
