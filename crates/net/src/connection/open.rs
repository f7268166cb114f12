//! An open connection between two orders that change what it is.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::arrival::{Deaf, Delivery, Stall, Tag};
use crate::outbox::{Orders, Outbox, Upgrade};
use crate::tls::words::io_in_words;

use super::pump::{Pump, poll_read};
use super::shared::Shared;

/// An open connection, plain or under TLS.
pub(crate) struct Open {
    pub(crate) tag: Tag,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) stream: TcpStream,
    pub(crate) pump: Option<Pump>,
    pub(crate) delivery: Delivery,
    pub(crate) shared: Arc<Shared>,
    /// What the role ordered; the first `sent` octets have left, or are encrypted.
    orders: Orders,
    sent: usize,
    paused: bool,
    stall: Stall,
}

/// Why an open connection needs its task.
pub(crate) enum Turn {
    /// All that was said before TLS has left.
    Upgrade(Upgrade),
    /// The role wants it closed.
    Close,
    /// It is over, in good order or for a reason.
    Ended(Option<String>),
}

impl Open {
    pub(crate) fn new(
        tag: Tag,
        outbox: Arc<Outbox>,
        stream: TcpStream,
        pump: Option<Pump>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            tag,
            outbox,
            stream,
            pump,
            delivery: Delivery::new(shared.arrivals()),
            shared,
            orders: Orders::default(),
            sent: 0,
            paused: false,
            stall: Stall::default(),
        }
    }

    /// Carries octets both ways until something else is to be done.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        self.take_orders(context);
        let flushed = match self.poll_send(context) {
            Poll::Ready(Err(error)) => return Poll::Ready(Turn::Ended(Some(io_in_words(&error)))),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        if self.orders.close {
            return Poll::Ready(Turn::Close);
        }
        if flushed && let Some((_, upgrade)) = self.orders.upgrade.take() {
            return Poll::Ready(Turn::Upgrade(upgrade));
        }
        let waiting = self.orders.bytes.len() - self.sent;
        if let Some(reason) = self.stall.poll(waiting, &self.shared.settings, context) {
            return Poll::Ready(Turn::Ended(Some(reason)));
        }
        if let Poll::Ready(reason) = self.poll_receive(context) {
            return Poll::Ready(Turn::Ended(reason));
        }
        Poll::Pending
    }

    /// Takes what the role ordered since.
    fn take_orders(&mut self, context: &mut Context<'_>) {
        if self.sent > 0 && self.sent < self.orders.bytes.len() && self.sent >= COMPACT_FROM {
            self.orders.bytes.drain(..self.sent);
            if let Some((offset, _)) = &mut self.orders.upgrade {
                *offset -= self.sent;
            }
            self.sent = 0;
        }
        let upgrading = self.orders.upgrade.is_some();
        self.outbox.take(&mut self.orders, context);
        if let Some(paused) = self.orders.paused.take() {
            self.paused = paused;
        }
        if !upgrading
            && let Some((offset, Upgrade::Server(_))) = &self.orders.upgrade
            && *offset > self.sent
        {
            // A client speaks next only after it has read what we are about to send (RFC 6120 §5.4.2.3): what
            // is there already was smuggled in before TLS. What is missed here fails the handshake.
            let _ = self.discard_unread();
        }
    }

    /// Is ready when all that may leave has left.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limit = match &self.orders.upgrade {
            Some((offset, _)) => *offset,
            None => self.orders.bytes.len(),
        };
        match &mut self.pump {
            None => {
                while self.sent < limit {
                    let bytes = &self.orders.bytes[self.sent..limit];
                    let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
                    if written == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    self.sent += written;
                }
            }
            Some(pump) => loop {
                ready!(pump.poll_flush(&mut self.stream, context))?;
                if self.sent == limit {
                    break;
                }
                self.sent += pump.encrypt(&self.orders.bytes[self.sent..limit])?;
            },
        }
        if self.sent == self.orders.bytes.len() {
            self.sent = 0;
            if self.orders.bytes.capacity() > KEPT_MAX {
                self.orders.bytes = Vec::new();
            } else {
                self.orders.bytes.clear();
            }
            if let Some((offset, _)) = &mut self.orders.upgrade {
                *offset = 0;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Delivers what the peer sends; is ready when nothing more will come.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Option<String>> {
        loop {
            match self.delivery.poll_ready(context) {
                Poll::Ready(Ok(())) => {}
                // Nobody hears us: only the order to close is awaited.
                Poll::Ready(Err(Deaf)) => self.paused = true,
                Poll::Pending => return Poll::Pending,
            }
            if self.paused || self.orders.upgrade.is_some() {
                return Poll::Pending;
            }
            let bytes = match &mut self.pump {
                None => ready!(poll_read(&mut self.stream, context, |octets| (
                    octets.to_vec(),
                    octets.is_empty()
                ))),
                Some(pump) => match ready!(poll_read(&mut self.stream, context, |ciphertext| {
                    if ciphertext.is_empty() { Ok(None) } else { pump.decrypt(ciphertext).map(Some) }
                })) {
                    Ok(Ok(Some(fed))) => Ok((fed.plaintext, fed.closed)),
                    Ok(Ok(None)) => {
                        return Poll::Ready(Some("peer closed TCP without closing TLS".to_owned()));
                    }
                    Ok(Err(reason)) => {
                        // The alert tells the peer why.
                        let _ = pump.poll_flush(&mut self.stream, context);
                        return Poll::Ready(Some(format!("TLS: {reason}")));
                    }
                    Err(error) => Err(error),
                },
            };
            let (bytes, ended) = match bytes {
                Ok(read) => read,
                Err(error) => return Poll::Ready(Some(io_in_words(&error))),
            };
            if !bytes.is_empty() && self.delivery.deliver(self.tag.bytes(bytes.into())).is_err() {
                self.paused = true;
            }
            if ended {
                return Poll::Ready(None);
            }
            // Keys may have been renewed, which wants an answer.
            if let Some(pump) = &mut self.pump
                && let Poll::Ready(Err(error)) = pump.poll_flush(&mut self.stream, context)
            {
                return Poll::Ready(Some(io_in_words(&error)));
            }
        }
    }

    /// Counts the start of TLS: octets read before it are not of the protected stream.
    pub(crate) fn begin_epoch(&mut self) {
        self.tag.epoch += 1;
        self.delivery.forget();
    }

    /// Throws away what the peer has sent and nobody has read.
    pub(crate) fn discard_unread(&mut self) -> io::Result<()> {
        // Asks the socket itself: the event loop may not have noticed yet that there is something.
        let socket = SockRef::from(&self.stream);
        let mut octets = [0; 4096];
        for _ in 0..DISCARDED_READS_MAX {
            match (&*socket).read(&mut octets) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lets what was said leave, says good-bye and waits for the peer's, no longer than the settings say.
    pub(crate) async fn linger(mut self) {
        let linger = self.shared.settings.linger;
        let farewell = async {
            // TLS ordered and not started will not start.
            self.orders.upgrade = None;
            std::future::poll_fn(|context| self.poll_send(context)).await?;
            if let Some(pump) = &mut self.pump {
                pump.session.send_close_notify();
                std::future::poll_fn(|context| pump.poll_flush(&mut self.stream, context)).await?;
            }
            std::future::poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context)).await?;
            // Closing a socket with unread octets resets it, and the peer may lose our last words.
            while std::future::poll_fn(|context| poll_read(&mut self.stream, context, <[u8]>::len)).await? > 0
            {
            }
            Ok::<(), io::Error>(())
        };
        match tokio::time::timeout(linger, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "closing"),
            Err(_) => tracing::debug!("the peer did not close in time"),
        }
    }
}

/// How often is read to discard; a peer that has more to say fails its handshake by it.
const DISCARDED_READS_MAX: usize = 256;

/// From how many sent octets on the rest is moved to the front.
const COMPACT_FROM: usize = 64 * 1024;

/// The largest send buffer that an idle connection keeps.
const KEPT_MAX: usize = 64 * 1024;
