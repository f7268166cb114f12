//! Moves octets between a socket and rustls, by buffers as large as the socket gives.

use std::cell::RefCell;
use std::io::{self, BufRead, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use net_types::Bytes;
use rustls::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::words::{handshake_in_words, io_in_words, tls_in_words};

/// TLS on one connection.
#[derive(Debug)]
pub(crate) struct Pump {
    pub(crate) connection: Connection,
}

/// What one feeding brought.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    pub(crate) plaintext: Vec<u8>,
    /// The peer said close_notify.
    pub(crate) closed: bool,
}

impl Pump {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Decrypts what the socket gave.
    pub(crate) fn decrypt(&mut self, ciphertext: &[u8]) -> Result<Fed, String> {
        self.feed(ciphertext, |_, error| tls_in_words(error))
    }

    fn feed(
        &mut self,
        mut ciphertext: &[u8],
        in_words: impl Fn(&Connection, &rustls::Error) -> String,
    ) -> Result<Fed, String> {
        let mut fed = Fed::default();
        while !ciphertext.is_empty() && !fed.closed {
            self.connection.read_tls(&mut ciphertext).map_err(|error| io_in_words(&error))?;
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => return Err(in_words(&self.connection, &error)),
            };
            fed.closed = state.peer_has_closed();
            fed.plaintext.reserve_exact(state.plaintext_bytes_to_read());
            let mut reader = self.connection.reader();
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

    /// Encrypts as much of `plaintext` as has room and returns how much that was.
    pub(crate) fn encrypt(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        self.connection.writer().write(plaintext)
    }

    /// Is ready when all ciphertext has left.
    pub(crate) fn poll_flush(
        &mut self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut PollWriter { stream, context }) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Shakes hands; returns what came behind the handshake, or what went wrong in words.
    pub(crate) fn poll_handshake(
        &mut self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<Result<Bytes, String>> {
        let mut early = Vec::new();
        loop {
            let flushed = self.poll_flush(stream, context).map_err(|error| io_in_words(&error))?;
            if !self.connection.is_handshaking() {
                ready!(flushed);
                return Poll::Ready(Ok(early.into()));
            }
            let read = ready!(poll_read(stream, context, |ciphertext| match ciphertext {
                [] => Err("peer closed the connection during the TLS handshake".to_owned()),
                _ => self.feed(ciphertext, |connection, error| {
                    handshake_in_words(connection, error, ciphertext)
                }),
            }));
            match read {
                Ok(Ok(fed)) => early.extend_from_slice(&fed.plaintext),
                Ok(Err(reason)) => {
                    // The alert tells the peer why; it must not keep us.
                    let _ = self.poll_flush(stream, context);
                    return Poll::Ready(Err(reason));
                }
                Err(error) => return Poll::Ready(Err(io_in_words(&error))),
            }
        }
    }
}

/// Reads what is there, up to the scratch buffer's size, and hands it to `use_it`; no octets mean the end.
pub(crate) fn poll_read<T>(
    stream: &mut TcpStream,
    context: &mut Context<'_>,
    use_it: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(use_it(buffer.filled())))
    })
}

thread_local! {
    /// Read into by all connections of a thread, one at a time, so that an idle one holds no buffer.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_MAX]);
}

/// How much is read at once.
const READ_MAX: usize = 64 * 1024;

/// A socket as rustls writes to it, all records of a turn in one call.
struct PollWriter<'a, 'b, 'c> {
    stream: &'a mut TcpStream,
    context: &'b mut Context<'c>,
}

impl PollWriter<'_, '_, '_> {
    fn now<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
        match polled {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for PollWriter<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::now(Pin::new(&mut *self.stream).poll_write(self.context, bytes))
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Self::now(Pin::new(&mut *self.stream).poll_write_vectored(self.context, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
