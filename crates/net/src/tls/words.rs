//! What went wrong, as an operator would say it.

use std::io;

use rustls::server::Acceptor;
use rustls::{AlertDescription, CipherSuite, Connection, Error, InvalidMessage, PeerIncompatible};

/// Returns why reading, writing or connecting ended.
pub(crate) fn io_in_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => {
            let kind = error.kind().to_string();
            // Errors without a kind of their own still have the operating system's words.
            if kind.contains("uncategorized") || kind.contains("other error") {
                os_words(error)
            } else {
                kind
            }
        }
        None => error.to_string(),
    }
}

fn os_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// Returns why a handshake failed; `flight` is what the peer has just sent. For want of a common cipher suite
/// it says which were offered, and what to do.
pub(crate) fn handshake_in_words(connection: &Connection, error: &Error, flight: &[u8]) -> String {
    let whole = tls_in_words(error);
    if !whole.starts_with(NO_COMMON_SUITE) {
        return whole;
    }
    let (peer, offered) = match connection {
        Connection::Client(_) => ("the server", suites(rustls::crypto::aws_lc_rs::DEFAULT_CIPHER_SUITES)),
        Connection::Server(_) => ("the client", offered_in(flight)),
    };
    let cause = whole.trim_start_matches(NO_COMMON_SUITE);
    format!("{NO_COMMON_SUITE} with {peer}, offered {offered}{cause}; {REMEDY}")
}

/// What begins the words for it.
const NO_COMMON_SUITE: &str = "no common cipher suite";

/// What an operator can do about it.
const REMEDY: &str = "one on Windows Server 2012 or 2012 R2 needs an ECDSA certificate, or Server 2016";

fn suites(suites: &[rustls::SupportedCipherSuite]) -> String {
    list(suites.iter().map(|suite| suite.suite()))
}

/// Returns the suites of a ClientHello (RFC 8446 §4.1.2).
fn offered_in(flight: &[u8]) -> String {
    let mut acceptor = Acceptor::default();
    let mut rest = flight;
    match acceptor.read_tls(&mut rest).map(|_| acceptor.accept()) {
        Ok(Ok(Some(accepted))) => list(accepted.client_hello().cipher_suites().iter().copied()),
        Ok(Ok(None) | Err(_)) | Err(_) => "others".to_owned(),
    }
}

fn list(suites: impl Iterator<Item = CipherSuite>) -> String {
    let is_signal = |suite: &CipherSuite| *suite == CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV;
    let names: Vec<String> =
        suites.filter(|suite| !is_signal(suite)).take(SUITES_MAX).map(suite_name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Returns the name that the registry gives a cipher suite.
pub(crate) fn suite_name(suite: CipherSuite) -> String {
    match suite.as_str() {
        // The registry has no version in the names.
        Some(name) => name.replacen("TLS13_", "TLS_", 1),
        None => format!("0x{:04x}", u16::from(suite)),
    }
}

/// A client may list thousands.
const SUITES_MAX: usize = 32;

/// Returns why TLS ended.
pub(crate) fn tls_in_words(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => alert_in_words(*alert),
        Error::PeerIncompatible(cause) => match cause {
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon
            | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
            | PeerIncompatible::NamedGroupsExtensionRequired
            | PeerIncompatible::EcPointsExtensionRequired
            | PeerIncompatible::UncompressedEcPointsRequired => {
                format!("no common cipher suite ({cause:?})")
            }
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
                "no common TLS version; we speak 1.2 and 1.3".to_owned()
            }
            other => format!("peer's TLS does not fit ours ({other:?})"),
        },
        Error::NoApplicationProtocol => "no common application protocol (ALPN)".to_owned(),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => "peer does not speak TLS here".to_owned(),
        Error::InvalidMessage(cause) => format!("peer sent broken TLS ({cause:?})"),
        Error::PeerMisbehaved(cause) => format!("peer broke the rules of TLS ({cause:?})"),
        Error::NoCertificatesPresented => "peer showed no certificate".to_owned(),
        Error::InvalidCertificate(cause) => format!("peer's certificate is unusable ({cause:?})"),
        Error::DecryptError => "peer's TLS record does not decrypt".to_owned(),
        Error::PeerSentOversizedRecord => "peer's TLS record is too large".to_owned(),
        other => other.to_string(),
    }
}

fn alert_in_words(alert: AlertDescription) -> String {
    let name = alert_name(alert);
    match alert {
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::CertificateRequired => format!("peer rejected our certificate (alert {name})"),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            format!("no common cipher suite, says the peer (alert {name})")
        }
        AlertDescription::ProtocolVersion => format!("no common TLS version, says the peer (alert {name})"),
        AlertDescription::UnrecognisedName => {
            format!("peer does not serve the name we asked for (alert {name})")
        }
        AlertDescription::NoApplicationProtocol => {
            format!("no common application protocol, says the peer (alert {name})")
        }
        _ => format!("peer ended TLS (alert {name})"),
    }
}

/// Returns the name that RFC 8446 §6 gives an alert.
fn alert_name(alert: AlertDescription) -> String {
    // The library's names are those of the RFC without the underscores.
    let written = match alert {
        AlertDescription::UnknownCA => "UnknownCa".to_owned(),
        AlertDescription::UnrecognisedName => "UnrecognizedName".to_owned(),
        other => format!("{other:?}"),
    };
    let mut name = String::new();
    for letter in written.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_names_of_the_specification() {
        let rejected = tls_in_words(&Error::AlertReceived(AlertDescription::UnknownCA));
        let expired = tls_in_words(&Error::AlertReceived(AlertDescription::CertificateExpired));

        assert_eq!(rejected, "peer rejected our certificate (alert unknown_ca)");
        assert_eq!(expired, "peer rejected our certificate (alert certificate_expired)");
    }

    #[test]
    fn a_refused_connection_reads_as_such() {
        let error = io::Error::from_raw_os_error(111);

        assert_eq!(io_in_words(&error), "connection refused");
    }
}
