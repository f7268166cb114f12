//! Judges a certificate after the handshake: whom it names, and whether its chain is worth anything.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use clock_types::Date;
use net_types::{CertificateNames, Chain, ChainJudge, Issuer, PeerCertificate, Purpose, Trust, TrustVerdict};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyUsage};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

/// Whom the operator trusts, loaded.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    /// SHA-256 of certificates that are trusted themselves, whoever issued them.
    pub(super) pins: Vec<[u8; 32]>,
}

/// Whom the operator trusts, by the names of the settings.
pub(super) type Trusts = BTreeMap<Trust, Trusted>;

/// Returns what `chain`, of which the first is the peer's own, says and is worth on `date` by the roots of `trust`.
pub(super) fn judge(
    chain: &[CertificateDer<'_>],
    trust: &Trust,
    trusts: &Arc<Trusts>,
    algorithms: &WebPkiSupportedAlgorithms,
    date: Date,
) -> Option<PeerCertificate> {
    let (own, issuers) = chain.split_first()?;
    let der: Arc<[u8]> = Arc::from(own.as_ref());
    let issuers: Arc<[Issuer]> = issuers.iter().map(issuer).collect();
    let judge = Judge {
        own: Arc::clone(&der),
        issuers: Arc::clone(&issuers),
        trusts: Arc::clone(trusts),
        algorithms: *algorithms,
        date,
    };
    let verdict = judge.by_trust(trust);
    let sha256 = sha256(own);
    let read = read(own).unwrap_or_default();
    Some(PeerCertificate {
        names: read.names,
        trust: verdict,
        purposes: read.purposes,
        not_before: read.not_before,
        not_after: read.not_after,
        subject: read.subject,
        issuer: read.issuer,
        sha256,
        der,
        chain: Chain::new(read.public_key.into(), issuers, Arc::new(judge)),
    })
}

fn issuer(certificate: &CertificateDer<'_>) -> Issuer {
    let public_key = read(certificate).map(|read| read.public_key).unwrap_or_default();
    Issuer { der: Arc::from(certificate.as_ref()), public_key: public_key.into() }
}

/// What one handshake showed, kept with the roots and the date of then.
struct Judge {
    own: Arc<[u8]>,
    issuers: Arc<[Issuer]>,
    trusts: Arc<Trusts>,
    algorithms: WebPkiSupportedAlgorithms,
    date: Date,
}

impl ChainJudge for Judge {
    fn by_trust(&self, trust: &Trust) -> TrustVerdict {
        match self.trusts.get(trust) {
            Some(trusted) => self.verdict(trusted),
            None => TrustVerdict::Untrusted("the trust set to judge it by is not loaded".to_owned()),
        }
    }

    fn by_anchor(&self, anchor: &[u8]) -> TrustVerdict {
        let anchor = CertificateDer::from(anchor);
        match webpki::anchor_from_trusted_cert(&anchor) {
            Ok(anchor) => self.verdict(&Trusted { anchors: vec![anchor.to_owned()], pins: Vec::new() }),
            Err(_) => TrustVerdict::Untrusted("that certificate is no authority's".to_owned()),
        }
    }
}

impl Judge {
    fn verdict(&self, trusted: &Trusted) -> TrustVerdict {
        let own = CertificateDer::from(&*self.own);
        let issuers: Vec<CertificateDer<'_>> =
            self.issuers.iter().map(|issuer| CertificateDer::from(&*issuer.der)).collect();
        let verdict =
            read(&own).and_then(|read| verdict(&own, &issuers, &read, trusted, &self.algorithms, self.date));
        match verdict {
            Ok(()) => TrustVerdict::Trusted,
            Err(reason) => TrustVerdict::Untrusted(reason),
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Judge").field("date", &self.date).finish_non_exhaustive()
    }
}

/// Returns SHA-256 of a certificate.
pub(super) fn sha256(der: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest.as_ref());
    sha256
}

fn verdict(
    own: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    read: &Read,
    trusted: &Trusted,
    algorithms: &WebPkiSupportedAlgorithms,
    date: Date,
) -> Result<(), String> {
    if date < read.not_before {
        return Err(format!("not valid before {}", day(read.not_before)));
    }
    if date > read.not_after {
        return Err(format!("expired on {}", day(read.not_after)));
    }
    if trusted.pins.contains(&sha256(own)) {
        return Ok(());
    }
    let own = EndEntityCert::try_from(own).map_err(|error| in_words(&error, read))?;
    let build = |usage: KeyUsage| build_chain(&own, intermediates, trusted, algorithms, date, usage);
    // Public authorities issue certificates for servers only; a server that connects shows the same one.
    match build(KeyUsage::server_auth()) {
        Ok(()) => Ok(()),
        Err(Error::RequiredEkuNotFoundContext(_)) => {
            build(KeyUsage::client_auth()).map_err(|error| in_words(&error, read))
        }
        Err(error) => Err(in_words(&error, read)),
    }
}

fn build_chain(
    own: &EndEntityCert<'_>,
    intermediates: &[CertificateDer<'_>],
    trusted: &Trusted,
    algorithms: &WebPkiSupportedAlgorithms,
    date: Date,
    usage: impl ExtendedKeyUsageValidator,
) -> Result<(), Error> {
    let seconds = u64::try_from(date.unix_millis() / 1000).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    own.verify_for_usage(algorithms.all, &trusted.anchors, intermediates, time, usage, None, None).map(|_| ())
}

fn in_words(error: &Error, read: &Read) -> String {
    match error {
        Error::UnknownIssuer | Error::CaUsedAsEndEntity | Error::UnsupportedCertVersion
            if read.self_issued =>
        {
            "self-signed".to_owned()
        }
        Error::UnknownIssuer => format!("issuer unknown: {}", read.issuer),
        Error::CertExpired { not_after, .. } => {
            format!("a certificate of its chain expired on {}", day(from_unix_time(*not_after)))
        }
        Error::CertNotValidYet { not_before, .. } => {
            format!("a certificate of its chain is not valid before {}", day(from_unix_time(*not_before)))
        }
        Error::RequiredEkuNotFoundContext(_) => {
            "its extended key usage allows neither serverAuth nor clientAuth".to_owned()
        }
        Error::CaUsedAsEndEntity => "an authority's certificate is used as a server's".to_owned(),
        Error::NameConstraintViolation => "its authority may not vouch for its names".to_owned(),
        Error::InvalidSignatureForPublicKey => {
            format!("the signature is not that of its issuer: {}", read.issuer)
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "signed in a way that is not supported, such as SHA-1 or RSA under 2048 bits".to_owned()
        }
        other => format!("its chain does not hold ({other:?})"),
    }
}

fn from_unix_time(time: UnixTime) -> Date {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 1000);
    Date::from_unix_millis(seconds.saturating_mul(1000))
}

/// Returns the day in the calendar's plain form.
pub(super) fn day(date: Date) -> String {
    let fields = date.fields();
    format!("{:04}-{:02}-{:02}", fields.year, fields.month, fields.day)
}

/// What a certificate says.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) names: CertificateNames,
    pub(super) purposes: Vec<Purpose>,
    pub(super) not_before: Date,
    pub(super) not_after: Date,
    subject: String,
    issuer: String,
    self_issued: bool,
    public_key: Vec<u8>,
}

/// Reads a certificate without believing it.
pub(super) fn read(der: &[u8]) -> Result<Read, String> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| "it is not a readable X.509 certificate".to_owned())?;
    let validity = certificate.validity();
    let date =
        |time: x509_parser::time::ASN1Time| Date::from_unix_millis(time.timestamp().saturating_mul(1000));
    let mut read = Read {
        not_before: date(validity.not_before),
        not_after: date(validity.not_after),
        subject: name_in_words(certificate.subject()),
        issuer: name_in_words(certificate.issuer()),
        self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        public_key: certificate.public_key().raw.to_vec(),
        ..Read::default()
    };
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    add_name(name, &mut read.names);
                }
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                if usage.server_auth || usage.any {
                    read.purposes.push(Purpose::ServerAuth);
                }
                if usage.client_auth || usage.any {
                    read.purposes.push(Purpose::ClientAuth);
                }
                let others =
                    [usage.code_signing, usage.email_protection, usage.time_stamping, usage.ocsp_signing];
                if others.contains(&true) || !usage.other.is_empty() {
                    read.purposes.push(Purpose::Other);
                }
            }
            _ => {}
        }
    }
    Ok(read)
}

fn add_name(name: &GeneralName<'_>, names: &mut CertificateNames) {
    match name {
        GeneralName::DNSName(name) => names.dns.extend(printable(name)),
        GeneralName::URI(uri) => names.uri.extend(printable(uri)),
        GeneralName::OtherName(kind, value) => {
            let Some(text) = other_name_text(value).and_then(printable) else { return };
            if *kind == ID_ON_DNS_SRV {
                names.srv.push(text);
            } else if *kind == ID_ON_XMPP_ADDR {
                names.xmpp_addr.push(text);
            }
        }
        _ => {}
    }
}

/// id-on-dnsSRV (RFC 4985 §2).
const ID_ON_DNS_SRV: x509_parser::der_parser::oid::Oid<'static> =
    x509_parser::der_parser::oid!(1.3.6.1.5.5.7.8.7);

/// id-on-xmppAddr (RFC 6120 §13.7.1.4).
const ID_ON_XMPP_ADDR: x509_parser::der_parser::oid::Oid<'static> =
    x509_parser::der_parser::oid!(1.3.6.1.5.5.7.8.5);

/// Returns the text inside `[0] EXPLICIT (UTF8String | IA5String)`.
fn other_name_text(der: &[u8]) -> Option<&str> {
    let inner = der_value(der, 0xa0)?;
    let text = der_value(inner, DER_UTF8).or_else(|| der_value(inner, DER_IA5))?;
    std::str::from_utf8(text).ok()
}

const DER_UTF8: u8 = 0x0c;
const DER_IA5: u8 = 0x16;

/// Returns the value of one DER element with this tag that fills `der`.
fn der_value(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
        0x82 => rest
            .split_first_chunk::<2>()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    (found == tag && rest.len() == length).then_some(rest)
}

/// A name with a control character in it is no name (the NUL that cut names short in other readers).
fn printable(text: &str) -> Option<String> {
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn name_in_words(name: &X509Name<'_>) -> String {
    let words: String = name
        .to_string()
        .chars()
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect();
    if words.is_empty() { "nobody".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::throwaway::{Authority, Wish};

    #[test]
    fn the_text_of_an_other_name_is_found_under_its_two_headers() {
        let utf8 = [0xa0, 4, 0x0c, 2, b'a', b'b'];
        let ia5 = [0xa0, 4, 0x16, 2, b'a', b'b'];

        assert_eq!(other_name_text(&utf8), Some("ab"));
        assert_eq!(other_name_text(&ia5), Some("ab"));
    }

    #[test]
    fn a_length_that_lies_gives_no_text() {
        for broken in [&[0xa0, 5, 0x0c, 2, b'a', b'b'][..], &[0xa0], &[0xa0, 0x84, 1], &[0xa0, 0x82, 1], &[]]
        {
            assert_eq!(other_name_text(broken), None);
        }
    }

    #[test]
    fn octets_that_are_no_certificate_are_untrusted_and_name_nobody() {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        let chain = [CertificateDer::from(vec![1, 2, 3])];

        let judged = judge(&chain, &nobody(), &trusting_nobody(), &algorithms, Date::default()).unwrap();

        assert_eq!(judged.names, CertificateNames::default());
        assert_eq!(
            judged.trust,
            TrustVerdict::Untrusted("it is not a readable X.509 certificate".to_owned())
        );
    }

    proptest::proptest! {
        #[test]
        fn a_certificate_broken_anywhere_is_judged_without_panic(
            at in proptest::prelude::any::<proptest::sample::Index>(),
            octet in proptest::prelude::any::<u8>(),
            cut in proptest::prelude::any::<bool>(),
        ) {
            let mut der = CERTIFICATE.clone();
            let at = at.index(der.len());
            der[at] = octet;
            if cut {
                der.truncate(at);
            }
            let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;

            let judged = judge(
                &[CertificateDer::from(der)], &nobody(), &trusting_nobody(), &algorithms, crate::clock::date()
            );

            let trust = judged.map(|peer| peer.trust);
            proptest::prop_assert!(matches!(trust, Some(TrustVerdict::Untrusted(_))));
        }

        #[test]
        fn names_come_back_as_they_were_wished(dns in "[a-z]{1,200}", xmpp in "\\PC{1,100}", srv in "_[a-z]{1,100}") {
            let wish = Wish::dns(&[&dns]).xmpp_addr(&[&xmpp]).srv(&[&srv]).uri(&["sip:example.com"]);
            let issued = AUTHORITY.issue(&wish).unwrap();
            let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();

            proptest::prop_assert_eq!(read(&der).unwrap().names, wish.names);
        }
    }

    fn nobody() -> Trust {
        Trust("nobody".into())
    }

    fn trusting_nobody() -> Arc<Trusts> {
        Arc::new(BTreeMap::from([(nobody(), Trusted::default())]))
    }

    static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("Test CA").unwrap());

    static CERTIFICATE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let wish = Wish::dns(&["example.com"]).xmpp_addr(&["example.com"]).srv(&["_xmpp-server.example.com"]);
        let issued = AUTHORITY.issue(&wish).unwrap();
        CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap().to_vec()
    });
}
