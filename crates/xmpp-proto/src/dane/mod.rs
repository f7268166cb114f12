//! DANE: what a signed zone says of a server's certificate (RFC 6698), by the rules of its use (RFC 7671), for
//! servers that SRV records lead to (RFC 7673, RFC 7712 §5.1).
//!
//! The names of certificates may be the domain's or, because the way from one to the other is signed, the server's.

use std::fmt;

use clock_types::Date;
use net_types::{PeerCertificate, Record, Trust, TrustVerdict};
use sha2::{Digest, Sha256, Sha512};
use xmpp_types::jid::DomainName;

use crate::identity::{self, Unproved};

/// What DNSSEC vouches for about one server of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The host, an A-label.
    pub host: String,
    /// The host's port.
    pub port: u16,
    /// What is said of its certificate; nothing if only the way to the host is signed.
    associations: Vec<Association>,
}

/// One TLSA record that can be used (RFC 6698 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Association {
    usage: Usage,
    selector: Selector,
    matching: Matching,
    data: Vec<u8>,
}

/// What the certificate is to be (RFC 6698 §2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    /// One that a trusted authority issued by way of this one.
    PkixTa,
    /// This one, and a trusted authority issued it.
    PkixEe,
    /// One that this authority issued, whoever trusts it.
    DaneTa,
    /// This one, whatever else is in it.
    DaneEe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Selector {
    Certificate,
    PublicKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matching {
    Exact,
    Sha256,
    Sha512,
}

impl Delegation {
    /// Returns what a server's signed TLSA records say; those that cannot be used are left out.
    #[must_use]
    pub fn new(host: String, port: u16, records: &[Record]) -> Self {
        let mut associations: Vec<Association> =
            records.iter().filter_map(Association::of).take(ASSOCIATIONS_MAX).collect();
        // The stronger digest of the same thing counts alone (RFC 7671 §9).
        let strong: Vec<(Usage, Selector)> = associations
            .iter()
            .filter(|one| one.matching == Matching::Sha512)
            .map(Association::kind)
            .collect();
        associations.retain(|one| one.matching != Matching::Sha256 || !strong.contains(&one.kind()));
        Self { host, port, associations }
    }

    /// Tells whether the zone says what the certificate must be: then TLS must be, and nothing but that certificate
    /// will do (RFC 7673 §3.4, RFC 6698 §4.1).
    #[must_use]
    pub fn is_binding(&self) -> bool {
        !self.associations.is_empty()
    }

    /// Checks that the certificate proves `domain`, by the records if there are any, by the server's name otherwise.
    ///
    /// # Errors
    /// If it does not, and why.
    pub fn prove(
        &self,
        certificate: Option<&PeerCertificate>,
        roots: Option<&Trust>,
        domain: &DomainName,
        today: Date,
    ) -> Result<(), Unproved> {
        let by_authority =
            || identity::prove_names(certificate, roots, today, |names| self.has_name(names, domain));
        let Some(certificate) = certificate else { return Err(Unproved::NoCertificate) };
        if self.associations.is_empty() {
            return by_authority();
        }
        let mut why = Unproved::NotInZone { host: self.to_string(), records: self.associations.len() };
        for association in &self.associations {
            let outcome = match association.usage {
                // No name and no date in the certificate counts (RFC 7671 §5.1).
                Usage::DaneEe if association.fits_own(certificate) => return Ok(()),
                Usage::PkixEe if association.fits_own(certificate) => by_authority(),
                Usage::PkixTa => match association.anchor(certificate) {
                    Some(TrustVerdict::Trusted) => by_authority(),
                    Some(TrustVerdict::Untrusted(_)) | None => continue,
                },
                Usage::DaneTa => match association.anchor(certificate) {
                    Some(TrustVerdict::Trusted) => {
                        identity::prove_dates_and_names(certificate, today, |names| {
                            self.has_name(names, domain)
                        })
                    }
                    Some(TrustVerdict::Untrusted(reason)) => Err(Unproved::Untrusted(reason)),
                    None => continue,
                },
                Usage::DaneEe | Usage::PkixEe => continue,
            };
            match outcome {
                Ok(()) => return Ok(()),
                Err(unproved) => why = unproved,
            }
        }
        Err(why)
    }

    /// Either name will do (RFC 7673 §4.1).
    fn has_name(&self, names: &net_types::CertificateNames, domain: &DomainName) -> bool {
        identity::names_speak_for(names, domain)
            || names.dns.iter().any(|name| identity::dns_name_matches(name, &self.host))
    }
}

/// The name that the records stand under (RFC 7673 §3.3).
impl fmt::Display for Delegation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "_{}._tcp.{}", self.port, self.host)
    }
}

impl Association {
    fn of(record: &Record) -> Option<Self> {
        let Record::Tlsa { usage, selector, matching, data } = record else { return None };
        let usage = match usage {
            0 => Usage::PkixTa,
            1 => Usage::PkixEe,
            2 => Usage::DaneTa,
            3 => Usage::DaneEe,
            _ => return None,
        };
        let selector = match selector {
            0 => Selector::Certificate,
            1 => Selector::PublicKey,
            _ => return None,
        };
        let (matching, is_whole) = match matching {
            0 => (Matching::Exact, !data.is_empty() && data.len() <= DATA_MAX),
            1 => (Matching::Sha256, data.len() == 32),
            2 => (Matching::Sha512, data.len() == 64),
            _ => return None,
        };
        is_whole.then(|| Self { usage, selector, matching, data: data.clone() })
    }

    fn kind(&self) -> (Usage, Selector) {
        (self.usage, self.selector)
    }

    fn fits_own(&self, certificate: &PeerCertificate) -> bool {
        self.fits(&certificate.der, &certificate.chain.public_key)
    }

    fn fits(&self, certificate: &[u8], public_key: &[u8]) -> bool {
        let selected = match self.selector {
            Selector::Certificate => certificate,
            Selector::PublicKey => public_key,
        };
        match self.matching {
            _ if selected.is_empty() => false,
            Matching::Exact => selected == self.data,
            Matching::Sha256 => Sha256::digest(selected).as_slice() == self.data,
            Matching::Sha512 => Sha512::digest(selected).as_slice() == self.data,
        }
    }

    /// Finds the authority among the certificates that came along, or in the record itself (RFC 7671 §5.2.1), and
    /// returns what the chain is worth to whoever trusts it; the best, if several fit.
    fn anchor(&self, certificate: &PeerCertificate) -> Option<TrustVerdict> {
        let chain = &certificate.chain;
        let sent = chain.issuers.iter().take(ISSUERS_MAX);
        let mut worth: Option<TrustVerdict> = None;
        for issuer in sent.filter(|issuer| self.fits(&issuer.der, &issuer.public_key)) {
            match chain.by_anchor(&issuer.der) {
                TrustVerdict::Trusted => return Some(TrustVerdict::Trusted),
                untrusted @ TrustVerdict::Untrusted(_) => worth = Some(untrusted),
            }
        }
        let is_certificate = self.selector == Selector::Certificate && self.matching == Matching::Exact;
        if worth.is_none() && is_certificate {
            worth = Some(chain.by_anchor(&self.data));
        }
        worth
    }
}

/// More records than that are not looked at.
const ASSOCIATIONS_MAX: usize = 32;
/// A certificate is not larger.
const DATA_MAX: usize = 16 * 1024;
/// More certificates behind the peer's own are not looked at.
const ISSUERS_MAX: usize = 8;

#[cfg(test)]
mod tests;
