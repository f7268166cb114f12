//! What a role ordered on one connection and the connection has not taken yet.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use net_types::{TlsClient, TlsServer};

/// Joins the driver, which puts, with one connection's task, which takes. One lock each turn, not each send.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    orders: Orders,
    waker: Option<Waker>,
}

/// Orders on one connection, gathered.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// To send, in order.
    pub(crate) bytes: Vec<u8>,
    /// Where in `bytes` TLS starts.
    pub(crate) upgrade: Option<(usize, Upgrade)>,
    /// Whether to take no more octets from the peer; `None` is "as before".
    pub(crate) paused: Option<bool>,
    /// Close once all of it has left.
    pub(crate) close: bool,
}

/// How to start TLS on an open connection.
#[derive(Debug)]
pub(crate) enum Upgrade {
    Client(Box<TlsClient>),
    Server(Box<TlsServer>),
}

impl Orders {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.upgrade.is_none() && self.paused.is_none() && !self.close
    }

    /// Moves what `other` holds behind what this holds.
    pub(crate) fn append(&mut self, other: &mut Self) {
        if let Some((offset, upgrade)) = other.upgrade.take() {
            self.upgrade.get_or_insert((self.bytes.len() + offset, upgrade));
        }
        if self.bytes.is_empty() {
            // Swapped, not replaced: both sides keep a buffer that has grown to its size.
            std::mem::swap(&mut self.bytes, &mut other.bytes);
        } else {
            self.bytes.append(&mut other.bytes);
        }
        if let Some(paused) = other.paused.take() {
            self.paused = Some(paused);
        }
        self.close |= std::mem::take(&mut other.close);
    }
}

impl Outbox {
    /// Puts orders, leaving `orders` empty, and wakes the connection.
    pub(crate) fn put(&self, orders: &mut Orders) {
        let mut inner = self.lock();
        inner.orders.append(orders);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all orders behind those in `orders`; the context is woken by the next.
    pub(crate) fn take(&self, orders: &mut Orders, context: &Context<'_>) {
        let mut inner = self.lock();
        orders.append(&mut inner.orders);
        match &inner.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            Some(_) | None => inner.waker = Some(context.waker().clone()),
        }
    }

    /// Whether the connection has been told to close; the context is woken by the next order.
    pub(crate) fn poll_closed(&self, context: &Context<'_>) -> std::task::Poll<()> {
        let mut inner = self.lock();
        if inner.orders.close {
            return std::task::Poll::Ready(());
        }
        inner.waker = Some(context.waker().clone());
        std::task::Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_several_turns_become_one_run_of_octets() {
        let outbox = Outbox::default();
        outbox.put(&mut Orders { bytes: b"one ".to_vec(), ..Orders::default() });
        outbox.put(&mut Orders { bytes: b"two".to_vec(), close: true, ..Orders::default() });

        let mut taken = Orders::default();
        outbox.take(&mut taken, &Context::from_waker(Waker::noop()));

        assert_eq!(taken.bytes, b"one two");
        assert!(taken.close);
    }

    #[test]
    fn tls_starts_behind_what_was_sent_before_it() {
        let server =
            TlsServer { identity: net_types::Identity("a".into()), trust: net_types::Trust("b".into()) };
        let mut orders = Orders { bytes: b"<features/>".to_vec(), ..Orders::default() };
        let upgrade = Some((10, Upgrade::Server(Box::new(server))));

        orders.append(&mut Orders { bytes: b"<proceed/>".to_vec(), upgrade, ..Orders::default() });

        assert_eq!(orders.upgrade.map(|(offset, _)| offset), Some(21));
    }
}
