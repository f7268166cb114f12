//! POSH: what a domain says, by HTTPS, of the certificates of its servers (RFC 7711).
//!
//! [`Inquiry`] fetches the document, [`Fingerprints`] is what it says, [`Cache`] keeps that for as long as it says.

mod http;
mod inquiry;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use clock_types::{Date, Moment, Now};
use net_types::PeerCertificate;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha512};
use xmpp_types::jid::DomainName;

use crate::discovery::parse_host;
use crate::identity::{self, Unproved};

pub use inquiry::{Inquiry, Output, PORT};

/// What an inquiry came to: the fingerprints, or why there are none, in words.
pub type Known = Result<Arc<Fingerprints>, Arc<str>>;

/// The fingerprints of the certificates that a domain calls its servers' own (RFC 7711 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    digests: Vec<Fingerprint>,
    /// For how long they hold.
    lifetime: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fingerprint {
    Sha256(Vec<u8>),
    Sha512(Vec<u8>),
}

impl Fingerprints {
    /// Returns how many there are that can be compared.
    #[must_use]
    pub fn count(&self) -> usize {
        self.digests.len()
    }

    /// Returns for how long they hold (RFC 7711 §6).
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Checks that the certificate is one of those; its names do not count, but its dates do (RFC 7711 §3.3, §6).
    ///
    /// # Errors
    /// If it is not, or no longer, and why.
    pub fn prove(&self, certificate: Option<&PeerCertificate>, today: Date) -> Result<(), Unproved> {
        let certificate = certificate.ok_or(Unproved::NoCertificate)?;
        let der = &certificate.der;
        let fits = |digest: &Fingerprint| match digest {
            Fingerprint::Sha256(digest) => Sha256::digest(der).as_slice() == digest,
            Fingerprint::Sha512(digest) => Sha512::digest(der).as_slice() == digest,
        };
        if der.is_empty() || !self.digests.iter().any(fits) {
            return Err(Unproved::NotInDocument(self.count()));
        }
        identity::check_dates(certificate, today)
    }
}

/// What is at the other end of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Document {
    Fingerprints(Fingerprints),
    Reference { at: Place, lifetime: Duration },
}

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
    path: String,
}

impl Place {
    /// Returns where the document of a domain is (RFC 7711 §8).
    fn of(domain: &DomainName) -> Self {
        let host = domain.to_ascii().to_owned();
        Self { host, port: PORT, path: "/.well-known/posh/xmpp-server.json".into() }
    }

    /// Takes apart an HTTPS URL with a domain name; others are not followed (RFC 7711 §3.2).
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_plain = rest.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'#' && octet != b'\\');
        if !scheme.eq_ignore_ascii_case("https") || !is_plain || url.len() > URL_MAX {
            return None;
        }
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let (host, port) = parse_host(authority)?;
        let is_name = DomainName::parse(&host).ok()?.to_ip().is_none();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        is_name.then(|| Self { host, port: port.unwrap_or(PORT), path })
    }

    fn authority(&self) -> String {
        if self.port == PORT { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    fn url(&self) -> String {
        format!("https://{}{}", self.authority(), self.path)
    }
}

impl Document {
    /// Reads a document (RFC 7711 §3.1, §3.2).
    fn read(octets: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(octets).map_err(|error| format!("no JSON: {error}"))?;
        let Value::Object(members) = value else { return Err("no JSON object".into()) };
        let lifetime = lifetime(&members)?;
        match (members.get("fingerprints"), members.get("url")) {
            (Some(_), Some(_)) => Err("both \"fingerprints\" and \"url\"".into()),
            (None, None) => Err("neither \"fingerprints\" nor \"url\"".into()),
            (Some(Value::Array(list)), None) => {
                if list.len() > FINGERPRINTS_MAX {
                    return Err(format!("more than {FINGERPRINTS_MAX} fingerprints"));
                }
                let digests: Vec<Fingerprint> = list.iter().filter_map(fingerprint).collect();
                if digests.is_empty() {
                    return Err("no fingerprint by sha-256 or sha-512".into());
                }
                Ok(Self::Fingerprints(Fingerprints { digests, lifetime }))
            }
            (None, Some(Value::String(url))) => {
                let at = Place::parse(url).ok_or("its \"url\" is not one of HTTPS at a domain name")?;
                Ok(Self::Reference { at, lifetime })
            }
            (Some(_), None) => Err("its \"fingerprints\" are no list".into()),
            (None, Some(_)) => Err("its \"url\" is no text".into()),
        }
    }
}

/// Zero means that nothing of it counts (RFC 7711 §3.1).
fn lifetime(members: &Map<String, Value>) -> Result<Duration, String> {
    match members.get("expires").and_then(Value::as_u64) {
        None => Err("no \"expires\" in whole seconds".into()),
        Some(0) => Err("it has expired by its own word".into()),
        Some(seconds) => Ok(Duration::from_secs(seconds).min(LIFETIME_MAX)),
    }
}

/// Reads one descriptor: of several digests the strongest that we know counts (RFC 7711 §10).
fn fingerprint(descriptor: &Value) -> Option<Fingerprint> {
    let digest = |name: &str, length: usize| {
        let octets = BASE64.decode(descriptor.get(name)?.as_str()?).unwrap_or_default();
        Some((octets.len() == length).then_some(octets))
    };
    match digest("sha-512", 64) {
        Some(octets) => octets.map(Fingerprint::Sha512),
        None => digest("sha-256", 32)?.map(Fingerprint::Sha256),
    }
}

/// What is known of domains, each for as long as it said; that there is nothing, for a minute.
#[derive(Debug, Default)]
pub struct Cache {
    known: BTreeMap<DomainName, (Known, Moment)>,
}

impl Cache {
    /// Returns what is known of a domain and not stale (RFC 7711 §6).
    #[must_use]
    pub fn get(&self, domain: &DomainName, now: Now) -> Option<&Known> {
        self.known.get(domain).filter(|(_, until)| now.moment < *until).map(|(known, _)| known)
    }

    /// Keeps what an inquiry came to.
    pub fn put(&mut self, domain: DomainName, known: Known, now: Now) {
        if self.known.len() >= DOMAINS_MAX && !self.known.contains_key(&domain) {
            self.known.retain(|_, (_, until)| now.moment < *until);
            let soonest = self.known.iter().min_by_key(|(_, (_, until))| *until);
            if let (true, Some((domain, _))) = (self.known.len() >= DOMAINS_MAX, soonest) {
                let domain = domain.clone();
                self.known.remove(&domain);
            }
        }
        let lifetime = known.as_ref().map_or(FAILURE_LIFETIME, |fingerprints| fingerprints.lifetime);
        self.known.insert(domain, (known, now.moment + lifetime));
    }
}

/// The examples of RFC 7711 §3.1 leave the padding away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// A longer list is refused.
const FINGERPRINTS_MAX: usize = 32;
/// Nothing is believed for longer.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// When to ask again where there was nothing.
const FAILURE_LIFETIME: Duration = Duration::from_secs(60);
/// So many domains are remembered.
const DOMAINS_MAX: usize = 1024;
/// A longer URL is not followed.
const URL_MAX: usize = 2048;

#[cfg(test)]
mod tests;
