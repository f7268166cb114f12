//! By what a certificate proves a domain: the first of these that has a say decides.
//!
//! 1. The domain's signed zone, where it says what the certificate must be (DANE, [`dane`](crate::dane)): then nothing
//!    else counts, for that is what its owner asks for (RFC 6698 §4.1).
//! 2. The authorities that we trust, or the partner's own roots ([`identity`](crate::identity)).
//! 3. The authorities again, for the name of the server, where the way to it is signed (RFC 7673 §4.1).
//! 4. The domain's web server, where it names the certificate (POSH, [`posh`](crate::posh)).

use std::sync::Arc;

use clock_types::Date;
use net_types::{PeerCertificate, Trust};
use xmpp_types::jid::DomainName;

use crate::dane::Delegation;
use crate::identity::{Unproved, prove_by};
use crate::posh::Known;
use crate::stream::Proof;

/// What vouches for the certificate of one domain's server, beside authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What DNSSEC says of the server.
    pub delegation: Option<Arc<Delegation>>,
    /// What the domain's web server says of its certificates, if it was asked.
    pub posh: Option<Known>,
}

impl Evidence {
    /// Tells whether there must be TLS: who vouches for a certificate wants it to be seen (RFC 7673 §3.4).
    #[must_use]
    pub fn demands_tls(&self) -> bool {
        self.delegation.as_ref().is_some_and(|delegation| delegation.is_binding())
    }

    /// Returns why the domain's web server does not vouch for the certificate, if it was asked, to be told with the
    /// reason why nothing else does.
    #[must_use]
    pub fn without_posh(&self, certificate: Option<&PeerCertificate>, today: Date) -> Option<String> {
        match self.posh.as_ref()? {
            Ok(fingerprints) => {
                fingerprints.prove(certificate, today).err().map(|why| format!("POSH: {why}"))
            }
            Err(why) => Some(format!("POSH: {why}")),
        }
    }

    /// Returns by what the certificate of a server of `domain` proves it.
    ///
    /// # Errors
    /// If nothing does, and why the best did not.
    pub fn prove(
        &self,
        certificate: Option<&PeerCertificate>,
        roots: Option<&Trust>,
        domain: &DomainName,
        today: Date,
    ) -> Result<Proof, Unproved> {
        let by_zone = |delegation: &Delegation| {
            delegation.prove(certificate, roots, domain, today).map(|()| Proof::Dane)
        };
        match &self.delegation {
            Some(delegation) if delegation.is_binding() => return by_zone(delegation),
            Some(_) | None => {}
        }
        let by_authority = prove_by(certificate, roots, domain, today).map(|()| Proof::Certificate);
        let outcome = match (by_authority, &self.delegation) {
            (Err(Unproved::OtherNames(names)), Some(delegation)) => {
                by_zone(delegation).map_err(|_| Unproved::OtherNames(names))
            }
            (outcome, _) => outcome,
        };
        match (outcome, &self.posh) {
            (Err(_), Some(Ok(named))) if named.prove(certificate, today).is_ok() => Ok(Proof::Posh),
            (outcome, _) => outcome,
        }
    }
}
