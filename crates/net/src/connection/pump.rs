//! Moves octets between a socket and TLS, by buffers as large as the socket gives.

use std::cell::RefCell;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use net_types::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::session::{Fed, Session};
use crate::tls::words::io_in_words;

/// TLS on one connection.
#[derive(Debug)]
pub(crate) struct Pump {
    pub(crate) session: Session,
}

impl Pump {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Decrypts what the socket gave.
    pub(crate) fn decrypt(&mut self, ciphertext: &[u8]) -> Result<Fed, String> {
        self.session.feed(ciphertext)
    }

    /// Encrypts as much of `plaintext` as has room and returns how much that was.
    pub(crate) fn encrypt(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        self.session.encrypt(plaintext)
    }

    /// Is ready when all ciphertext has left.
    pub(crate) fn poll_flush(
        &mut self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self.session.write_to(&mut PollWriter { stream, context }) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
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
            if !self.session.is_handshaking() {
                ready!(flushed);
                return Poll::Ready(Ok(early.into()));
            }
            let read = ready!(poll_read(stream, context, |ciphertext| match ciphertext {
                [] => Err("peer closed the connection during the TLS handshake".to_owned()),
                _ => self.decrypt(ciphertext),
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

/// A socket as TLS writes to it, all records of a turn in one call.
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
