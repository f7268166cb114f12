//! TLS by OpenSSL, for SIP servers that share no cipher suite with rustls: those on Windows Server 2012 and 2012 R2 with an
//! RSA certificate. TLS 1.2 at least, and forward secrecy; beyond that the system's own security level holds.
//!
//! As with rustls no certificate is refused in the handshake: it proves that the peer holds the key, and is judged afterwards.

use std::fmt;
use std::io::{self, Read, Write};

use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    self, ErrorCode, NameType, Ssl, SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use rustls::pki_types::CertificateDer;

use super::session::{Fed, Shown};

/// What we speak: forward secrecy always, AEAD first. The CBC suites are why this library is here.
const SUITES: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!PSK:!SRP";

/// A certificate with its key, ready for handshakes.
#[derive(Clone)]
pub(super) struct Prepared(SslContext);

impl fmt::Debug for Prepared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Prepared")
    }
}

impl Prepared {
    /// Prepares a chain, ours first, and its key in PEM.
    pub(super) fn new(chain: &[CertificateDer<'_>], key: &[u8]) -> Result<Self, String> {
        build(chain, key).map(Self).map_err(|errors| stack_in_words(&errors))
    }

    /// Begins a handshake as the client.
    pub(super) fn client(&self, name: &str, alpn: &[String]) -> Result<Session, String> {
        let begin = || -> Result<Ssl, ErrorStack> {
            let mut ssl = Ssl::new(&self.0)?;
            if name.parse::<std::net::IpAddr>().is_err() {
                ssl.set_hostname(name)?;
            }
            if !alpn.is_empty() {
                ssl.set_alpn_protos(&wire_alpn(alpn))?;
            }
            ssl.set_connect_state();
            Ok(ssl)
        };
        Session::begin(begin())
    }

    /// Begins a handshake as the server.
    pub(super) fn server(&self) -> Result<Session, String> {
        let begin = || -> Result<Ssl, ErrorStack> {
            let mut ssl = Ssl::new(&self.0)?;
            ssl.set_accept_state();
            Ok(ssl)
        };
        Session::begin(begin())
    }
}

fn build(chain: &[CertificateDer<'_>], key: &[u8]) -> Result<SslContext, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls())?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_cipher_list(SUITES)?;
    context.set_options(
        SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    // Asked for, and judged when the handshake is over.
    context.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    context.set_tmp_dh(&*Dh::get_2048_256()?)?;
    for (at, certificate) in chain.iter().enumerate() {
        let certificate = X509::from_der(certificate)?;
        match at {
            0 => context.set_certificate(&certificate)?,
            _ => context.add_extra_chain_cert(certificate)?,
        }
    }
    context.set_private_key(&*PKey::private_key_from_pem(key)?)?;
    context.check_private_key()?;
    Ok(context.build())
}

fn wire_alpn(protocols: &[String]) -> Vec<u8> {
    let mut wire = Vec::new();
    for protocol in protocols {
        // No protocol that we know has a longer name.
        wire.push(u8::try_from(protocol.len()).unwrap_or_default());
        wire.extend_from_slice(protocol.as_bytes());
    }
    wire
}

/// What came from the socket and waits to be read, and what waits to be sent.
#[derive(Debug, Default)]
struct Pipe {
    incoming: Vec<u8>,
    read: usize,
    outgoing: Vec<u8>,
    sent: usize,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiting = &self.incoming[self.read..];
        if waiting.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = waiting.len().min(buffer.len());
        buffer[..length].copy_from_slice(&waiting[..length]);
        self.read += length;
        if self.read == self.incoming.len() {
            self.incoming.clear();
            self.read = 0;
        }
        Ok(length)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// TLS on one connection.
#[derive(Debug)]
pub(crate) struct Session {
    stream: SslStream<Pipe>,
    is_handshaking: bool,
}

impl Session {
    fn begin(ssl: Result<Ssl, ErrorStack>) -> Result<Self, String> {
        let stream = ssl.and_then(|ssl| SslStream::new(ssl, Pipe::default()));
        let stream = stream.map_err(|errors| stack_in_words(&errors))?;
        let mut session = Self { stream, is_handshaking: true };
        // A client speaks first.
        session.shake_hands()?;
        Ok(session)
    }

    fn shake_hands(&mut self) -> Result<(), String> {
        match self.stream.do_handshake() {
            Ok(()) => self.is_handshaking = false,
            Err(error) if wants_more(&error) => {}
            Err(error) => return Err(in_words(&error)),
        }
        Ok(())
    }

    pub(super) fn feed(&mut self, ciphertext: &[u8]) -> Result<Fed, String> {
        self.stream.get_mut().incoming.extend_from_slice(ciphertext);
        if self.is_handshaking {
            self.shake_hands()?;
        }
        let mut fed = Fed::default();
        let mut buffer = [0; RECORD];
        while !self.is_handshaking {
            match self.stream.ssl_read(&mut buffer) {
                Ok(length) => fed.plaintext.extend_from_slice(&buffer[..length]),
                Err(error) if wants_more(&error) => break,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    fed.closed = true;
                    break;
                }
                Err(error) => return Err(in_words(&error)),
            }
        }
        Ok(fed)
    }

    pub(super) fn encrypt(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        if plaintext.is_empty() {
            return Ok(0);
        }
        let piece = &plaintext[..plaintext.len().min(WRITTEN_MAX)];
        self.stream.ssl_write(piece).map_err(|error| io::Error::other(in_words(&error)))
    }

    pub(super) fn write_to(&mut self, writer: &mut impl Write) -> io::Result<()> {
        let pipe = self.stream.get_mut();
        while pipe.sent < pipe.outgoing.len() {
            match writer.write(&pipe.outgoing[pipe.sent..])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => pipe.sent += written,
            }
        }
        pipe.outgoing.clear();
        pipe.sent = 0;
        Ok(())
    }

    pub(super) const fn is_handshaking(&self) -> bool {
        self.is_handshaking
    }

    pub(super) fn send_close_notify(&mut self) {
        // What cannot be said at the end changes nothing.
        let _ = self.stream.shutdown();
    }

    pub(super) fn shown(&self) -> Shown<'_> {
        let ssl = self.stream.ssl();
        let own = ssl.peer_certificate().and_then(|certificate| certificate.to_der().ok());
        let sent = ssl.peer_cert_chain().into_iter().flatten().filter_map(|one| one.to_der().ok());
        let mut chain: Vec<Vec<u8>> = own.into_iter().collect();
        // A client finds the peer's own among those that were sent, a server does not.
        chain.extend(sent.filter(|der| chain.first() != Some(der)).collect::<Vec<_>>());
        let name = |cipher: &ssl::SslCipherRef| cipher.standard_name().unwrap_or_else(|| cipher.name());
        Shown {
            is_tls13: ssl.version2() == Some(SslVersion::TLS1_3),
            cipher: ssl.current_cipher().map(name).unwrap_or_default().to_owned(),
            alpn: ssl.selected_alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into_owned()),
            server_name: ssl.servername(NameType::HOST_NAME).filter(|_| ssl.is_server()).map(str::to_owned),
            chain: chain.into_iter().map(CertificateDer::from).collect(),
        }
    }
}

/// The plaintext of one record.
const RECORD: usize = 16 * 1024;
/// How much is encrypted at once, before it has to leave.
const WRITTEN_MAX: usize = 64 * 1024;

fn wants_more(error: &ssl::Error) -> bool {
    matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE)
}

fn in_words(error: &ssl::Error) -> String {
    error.ssl_error().map_or_else(|| error.to_string(), stack_in_words)
}

/// Returns why TLS ended, in the words that the other library's errors have.
fn stack_in_words(errors: &ErrorStack) -> String {
    let reason = errors.errors().last().and_then(|error| error.reason()).unwrap_or("no reason given");
    let alert = reason.split_once(" alert ").map(|(_, alert)| alert);
    match (reason, alert) {
        ("no shared cipher" | "no suitable signature algorithm", _) => {
            format!("no common cipher suite ({reason})")
        }
        (_, Some("handshake failure" | "insufficient security")) => {
            format!("no common cipher suite, says the peer (alert {})", reason_word(alert))
        }
        (_, Some("protocol version")) => {
            "no common TLS version, says the peer (alert protocol_version)".to_owned()
        }
        ("unsupported protocol" | "version too low", _) => {
            "no common TLS version; we speak 1.2 and 1.3".to_owned()
        }
        ("wrong version number" | "http request", _) => "peer does not speak TLS here".to_owned(),
        (_, Some(what)) if what.contains("certificate") || what.contains("unknown ca") => {
            format!("peer rejected our certificate (alert {})", reason_word(alert))
        }
        (_, Some(_)) => format!("peer ended TLS (alert {})", reason_word(alert)),
        (small, None) if small.ends_with("too small") || small.ends_with("too weak") => {
            format!("{small} for the security level of this system's OpenSSL")
        }
        (other, None) => other.to_owned(),
    }
}

/// Returns an alert's name as RFC 8446 §6 writes it.
fn reason_word(alert: Option<&str>) -> String {
    alert.unwrap_or_default().replace(' ', "_")
}
