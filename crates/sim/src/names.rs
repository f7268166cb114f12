//! DNS and certificates of the world, as tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clock_types::{Date, Now};
use net_types::{
    Answer, CertificateNames, Failure, Identity, PeerCertificate, Purpose, Question, TlsFacts, TlsVersion,
    Trust, TrustVerdict,
};

/// The world's DNS.
#[derive(Debug, Default)]
pub struct Zone {
    answers: BTreeMap<String, Answer>,
}

impl Zone {
    /// Sets the answer to a question.
    pub fn set(&mut self, question: &Question, answer: Answer) {
        self.answers.insert(format!("{question:?}"), answer);
    }

    /// Answers a question.
    ///
    /// # Errors
    /// `NoSuchName` for what was never set.
    pub fn answer(&self, question: &Question) -> Result<Answer, Failure> {
        self.answers.get(&format!("{question:?}")).cloned().ok_or(Failure::NoSuchName)
    }
}

/// The world's certificates: who has which, signed by which authority, and who trusts whom.
#[derive(Debug, Default)]
pub struct Authorities {
    certificates: BTreeMap<Identity, (CertificateNames, String)>,
    trusted: BTreeMap<Trust, BTreeSet<String>>,
    expired: BTreeMap<Identity, Date>,
}

impl Authorities {
    /// Lets `authority` issue a certificate for these names.
    pub fn issue(&mut self, identity: Identity, names: CertificateNames, authority: &str) {
        self.certificates.insert(identity, (names, authority.to_owned()));
    }

    /// Lets whoever judges by `trust` trust `authority`.
    pub fn trust(&mut self, trust: Trust, authority: &str) {
        self.trusted.entry(trust).or_default().insert(authority.to_owned());
    }

    /// Lets a certificate expire; who has one from before has it still.
    pub fn expire(&mut self, identity: Identity, date: Date) {
        self.expired.insert(identity, date);
    }

    /// Returns the facts of a handshake as the one sees them who judges by `trust` a peer that showed
    /// `shown`.
    #[must_use]
    pub fn facts(
        &self,
        shown: Option<&Identity>,
        trust: &Trust,
        server_name: Option<String>,
        now: Now,
    ) -> TlsFacts {
        let peer = shown.and_then(|identity| self.certificates.get(identity)).map(|(names, authority)| {
            let known = self.trusted.get(trust).is_some_and(|list| list.contains(authority));
            let expired = shown.and_then(|identity| self.expired.get(identity)).copied();
            let verdict = if let Some(date) = expired {
                TrustVerdict::Untrusted(format!("expired on {date}"))
            } else if known {
                TrustVerdict::Trusted
            } else {
                TrustVerdict::Untrusted(format!("issued by {authority}, which is not trusted"))
            };
            let not_after = expired.unwrap_or(now.date.plus(std::time::Duration::from_secs(365 * 86_400)));
            Arc::new(certificate(names.clone(), authority, verdict, not_after))
        });
        TlsFacts {
            version: TlsVersion::Tls13,
            cipher: "TLS13_AES_256_GCM_SHA384".to_owned(),
            alpn: None,
            server_name,
            peer,
        }
    }
}

fn certificate(
    names: CertificateNames,
    issuer: &str,
    trust: TrustVerdict,
    not_after: Date,
) -> PeerCertificate {
    PeerCertificate {
        subject: names.dns.first().cloned().unwrap_or_default(),
        names,
        trust,
        // Public authorities issue no others any more; servers show them as clients, too.
        purposes: vec![Purpose::ServerAuth],
        not_before: Date::from_unix_millis(0),
        not_after,
        issuer: issuer.to_owned(),
        sha256: [0; 32],
        der: Arc::from(&[][..]),
        chain: net_types::Chain::default(),
    }
}
