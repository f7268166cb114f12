//! TLS on one connection, whichever library speaks it: octets in, octets out.

use std::io::{self, BufRead as _, Write};

use rustls::Connection;
use rustls::pki_types::CertificateDer;

#[cfg(feature = "openssl-sip")]
use super::openssl;
use super::words::{handshake_in_words, io_in_words, suite_name, tls_in_words};

/// TLS on one connection.
#[derive(Debug)]
pub(crate) enum Session {
    /// The library for all but old SIP servers.
    Rustls(Box<Connection>),
    /// The library for servers that share no cipher suite with the other.
    #[cfg(feature = "openssl-sip")]
    OpenSsl(Box<openssl::Session>),
}

/// What one feeding brought.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    pub(crate) plaintext: Vec<u8>,
    /// The peer said close_notify.
    pub(crate) closed: bool,
}

/// What a handshake that is over showed.
pub(crate) struct Shown<'a> {
    pub(crate) is_tls13: bool,
    pub(crate) cipher: String,
    pub(crate) alpn: Option<String>,
    pub(crate) server_name: Option<String>,
    /// The peer's own certificate first.
    pub(crate) chain: Vec<CertificateDer<'a>>,
}

impl From<Connection> for Session {
    fn from(connection: Connection) -> Self {
        Self::Rustls(Box::new(connection))
    }
}

impl Session {
    /// Decrypts what the socket gave.
    pub(crate) fn feed(&mut self, ciphertext: &[u8]) -> Result<Fed, String> {
        match self {
            Self::Rustls(connection) => {
                let is_handshaking = connection.is_handshaking();
                feed_rustls(connection, ciphertext).map_err(|error| match error {
                    Broken::Io(error) => io_in_words(&error),
                    Broken::Tls(error) if is_handshaking => {
                        handshake_in_words(connection, &error, ciphertext)
                    }
                    Broken::Tls(error) => tls_in_words(&error),
                })
            }
            #[cfg(feature = "openssl-sip")]
            Self::OpenSsl(session) => session.feed(ciphertext),
        }
    }

    /// Encrypts as much of `plaintext` as has room and returns how much that was.
    pub(crate) fn encrypt(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        match self {
            Self::Rustls(connection) => connection.writer().write(plaintext),
            #[cfg(feature = "openssl-sip")]
            Self::OpenSsl(session) => session.encrypt(plaintext),
        }
    }

    /// Writes ciphertext until there is none, or the writer would block.
    pub(crate) fn write_to(&mut self, writer: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Rustls(connection) => {
                while connection.wants_write() {
                    connection.write_tls(writer)?;
                }
                Ok(())
            }
            #[cfg(feature = "openssl-sip")]
            Self::OpenSsl(session) => session.write_to(writer),
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match self {
            Self::Rustls(connection) => connection.is_handshaking(),
            #[cfg(feature = "openssl-sip")]
            Self::OpenSsl(session) => session.is_handshaking(),
        }
    }

    pub(crate) fn send_close_notify(&mut self) {
        match self {
            Self::Rustls(connection) => connection.send_close_notify(),
            #[cfg(feature = "openssl-sip")]
            Self::OpenSsl(session) => session.send_close_notify(),
        }
    }

    /// Returns what the handshake showed.
    pub(crate) fn shown(&self) -> Shown<'_> {
        match self {
            Self::Rustls(connection) => shown_by_rustls(connection),
            #[cfg(feature = "openssl-sip")]
            Self::OpenSsl(session) => session.shown(),
        }
    }
}

enum Broken {
    Io(io::Error),
    Tls(rustls::Error),
}

fn feed_rustls(connection: &mut Connection, mut ciphertext: &[u8]) -> Result<Fed, Broken> {
    let mut fed = Fed::default();
    while !ciphertext.is_empty() && !fed.closed {
        connection.read_tls(&mut ciphertext).map_err(Broken::Io)?;
        let state = connection.process_new_packets().map_err(Broken::Tls)?;
        fed.closed = state.peer_has_closed();
        fed.plaintext.reserve_exact(state.plaintext_bytes_to_read());
        let mut reader = connection.reader();
        // Without plaintext the reader says "not yet" or "closed", which the state has said already.
        while let Ok(chunk) = reader.fill_buf() {
            if chunk.is_empty() {
                break;
            }
            fed.plaintext.extend_from_slice(chunk);
            let length = chunk.len();
            reader.consume(length);
        }
    }
    Ok(fed)
}

fn shown_by_rustls(connection: &Connection) -> Shown<'_> {
    let suite = connection.negotiated_cipher_suite();
    let cipher = suite.map_or_else(String::new, |suite| suite_name(suite.suite()));
    Shown {
        is_tls13: connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3),
        cipher,
        alpn: connection.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into_owned()),
        server_name: match connection {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        },
        chain: connection.peer_certificates().unwrap_or_default().to_vec(),
    }
}
