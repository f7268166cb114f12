//! What tasks bring to the driver, and how they wait when it is busy.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use net_types::{Bytes, ConnectionId, Event};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, Sleep};

use crate::outbox::{Orders, Outbox};
use crate::settings::Settings;

/// Something that a task brings to the driver.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A new connection, to be entered before the role hears of it.
    Accepted { event: Event, handle: Handle },
    /// An event of a connection that the driver knows, or has forgotten since.
    Heard { tag: Tag, event: Event },
    /// An event of no connection.
    Other(Event),
}

/// Names one life of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) connection: ConnectionId,
    /// Unique in the process: the role may use a name again once it has closed the connection.
    pub(crate) serial: u64,
    /// How often TLS was started: octets from before it are not to be believed after it.
    pub(crate) epoch: u32,
}

impl Tag {
    pub(crate) fn bytes(self, bytes: Bytes) -> Arrival {
        Arrival::Heard { tag: self, event: Event::Bytes { connection: self.connection, bytes } }
    }

    pub(crate) fn closed(self, reason: Option<String>) -> Arrival {
        Arrival::Heard { tag: self, event: Event::Closed { connection: self.connection, reason } }
    }
}

/// The driver's hold on a connection; letting go of it closes the connection.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) tag: Tag,
    pub(crate) outbox: Arc<Outbox>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.outbox.put(&mut Orders { close: true, ..Orders::default() });
    }
}

/// Delivers to the driver, one arrival waiting at most.
pub(crate) struct Delivery {
    arrivals: mpsc::Sender<Arrival>,
    waiting: Option<(Arrival, Reserving)>,
}

type Reserving = Pin<Box<dyn Future<Output = Result<mpsc::OwnedPermit<Arrival>, Deaf>> + Send>>;

/// The driver has ended: nobody hears us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deaf;

impl Delivery {
    pub(crate) fn new(arrivals: mpsc::Sender<Arrival>) -> Self {
        Self { arrivals, waiting: None }
    }

    /// Delivers at once or keeps until [`Self::poll_ready`]; only when ready.
    pub(crate) fn deliver(&mut self, arrival: Arrival) -> Result<(), Deaf> {
        match self.arrivals.try_send(arrival) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Deaf),
            Err(TrySendError::Full(arrival)) => {
                let arrivals = self.arrivals.clone();
                let reserving = Box::pin(async move { arrivals.reserve_owned().await.map_err(|_| Deaf) });
                self.waiting = Some((arrival, reserving));
                Ok(())
            }
        }
    }

    /// Is ready when nothing waits.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Deaf>> {
        let Some((_, reserving)) = &mut self.waiting else { return Poll::Ready(Ok(())) };
        let permit = ready!(reserving.as_mut().poll(context));
        let waiting = self.waiting.take();
        match (permit, waiting) {
            (Ok(permit), Some((arrival, _))) => {
                permit.send(arrival);
                Poll::Ready(Ok(()))
            }
            (Err(deaf), _) => Poll::Ready(Err(deaf)),
            (Ok(_), None) => Poll::Ready(Ok(())),
        }
    }

    /// Forgets what waits.
    pub(crate) fn forget(&mut self) {
        self.waiting = None;
    }

    /// Delivers behind what waits.
    pub(crate) async fn send(&mut self, arrival: Arrival) -> Result<(), Deaf> {
        std::future::poll_fn(|context| self.poll_ready(context)).await?;
        self.arrivals.send(arrival).await.map_err(|_| Deaf)
    }
}

/// Watches that what waits to be sent goes down again.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    since: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// Returns the reason to cut the connection off, if there is one; `waiting` octets wait.
    pub(crate) fn poll(
        &mut self,
        waiting: usize,
        settings: &Settings,
        context: &mut Context<'_>,
    ) -> Option<String> {
        if waiting <= settings.write_buffer {
            self.since = None;
            return None;
        }
        if waiting > settings.write_buffer.saturating_mul(HARD_FACTOR) {
            return Some(does_not_read(waiting));
        }
        let sleep = self
            .since
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + settings.write_stall)));
        match sleep.as_mut().poll(context) {
            Poll::Ready(()) => Some(does_not_read(waiting)),
            Poll::Pending => None,
        }
    }
}

fn does_not_read(waiting: usize) -> String {
    format!("peer does not read: {waiting} octets waited to be sent")
}

/// At how many times the write buffer a connection is cut off without patience.
const HARD_FACTOR: usize = 8;

/// Prints a duration as operators write it.
pub(crate) fn in_words(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
