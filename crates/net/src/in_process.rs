//! Pipes between two roles of one process: dialled with [`Remote::InProcess`], no sockets, no TLS, octets
//! handed over without a copy.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use net_types::{Event, ListenerId, Remote, Stage};
use tokio::sync::{mpsc, oneshot};

use crate::arrival::{Arrival, Deaf, Delivery, Handle, Stall, Tag, in_words};
use crate::connection::Shared;
use crate::outbox::{Orders, Outbox};

/// Returns the two sides of a meeting place: for the role that dials and for the role that listens, there
/// under the name `id`.
#[must_use]
pub fn meeting(id: ListenerId) -> (InProcessDialler, InProcessListener) {
    let (door, knocks) = mpsc::channel(KNOCKS_MAX);
    (InProcessDialler { door }, InProcessListener { id, knocks })
}

/// Where a role finds another one of its process; cheap to clone.
#[derive(Clone, Debug)]
pub struct InProcessDialler {
    door: mpsc::Sender<Knock>,
}

/// Where a role is found by another one of its process.
#[derive(Debug)]
pub struct InProcessListener {
    id: ListenerId,
    knocks: mpsc::Receiver<Knock>,
}

/// A request for the listening end of a pipe.
type Knock = oneshot::Sender<(ListenerId, End)>;

const KNOCKS_MAX: usize = 16;

impl InProcessListener {
    /// Answers knocks until the driver is gone.
    pub(crate) async fn run(mut self, shared: Arc<Shared>) {
        while let Some(knock) = self.knocks.recv().await {
            let end = End::new(shared.accepted_tag(), Arc::default(), shared.arrivals());
            // A dialler that gave up meanwhile is not there to be heard of.
            let _ = knock.send((self.id, end));
        }
    }
}

/// One end of a pipe.
struct End {
    tag: Tag,
    outbox: Arc<Outbox>,
    delivery: Delivery,
    orders: Orders,
    paused: bool,
    stall: Stall,
}

impl End {
    fn new(tag: Tag, outbox: Arc<Outbox>, arrivals: mpsc::Sender<Arrival>) -> Self {
        Self {
            tag,
            outbox,
            delivery: Delivery::new(arrivals),
            orders: Orders::default(),
            paused: false,
            stall: Stall::default(),
        }
    }

    fn take(&mut self, context: &Context<'_>) {
        self.outbox.take(&mut self.orders, context);
        if let Some(paused) = self.orders.paused.take() {
            self.paused = paused;
        }
    }
}

/// Dials the other role of the process and then carries octets both ways until one side closes.
pub(crate) async fn dial(
    door: Option<InProcessDialler>,
    tag: Tag,
    outbox: Arc<Outbox>,
    shared: Arc<Shared>,
    timeout: Duration,
) {
    let mut near = End::new(tag, outbox, shared.arrivals());
    let met = tokio::select! {
        met = tokio::time::timeout(timeout, meet(door)) => met,
        () = std::future::poll_fn(|context| near.outbox.poll_closed(context)) => return,
    };
    let reason = match met {
        Ok(Ok((listener, far))) => return carry(near, far, listener, &shared).await,
        Ok(Err(reason)) => reason,
        Err(_) => format!("the other role of this process did not answer within {}", in_words(timeout)),
    };
    let event = Event::ConnectFailed { connection: tag.connection, stage: Stage::Tcp, reason };
    let _ = near.delivery.send(Arrival::Heard { tag, event }).await;
}

async fn meet(door: Option<InProcessDialler>) -> Result<(ListenerId, End), String> {
    const NOBODY: &str = "no other role runs in this process";
    let Some(InProcessDialler { door }) = door else { return Err(NOBODY.to_owned()) };
    let (knock, answer) = oneshot::channel();
    door.send(knock).await.map_err(|_| NOBODY.to_owned())?;
    answer.await.map_err(|_| NOBODY.to_owned())
}

async fn carry(mut near: End, mut far: End, listener: ListenerId, shared: &Shared) {
    let accepted = Event::Accepted {
        connection: far.tag.connection,
        listener,
        local: None,
        remote: Remote::InProcess,
        tls: None,
    };
    let handle = Handle { tag: far.tag, outbox: Arc::clone(&far.outbox) };
    let heard = far.delivery.send(Arrival::Accepted { event: accepted, handle }).await;
    let connected = Event::Connected { connection: near.tag.connection, local: None, tls: None };
    let heard = match heard {
        Ok(()) => near.delivery.send(Arrival::Heard { tag: near.tag, event: connected }).await,
        Err(Deaf) => Err(Deaf),
    };
    let end = match heard {
        Ok(()) => std::future::poll_fn(|context| poll_pipe(&mut near, &mut far, shared, context)).await,
        Err(Deaf) => PipeEnd::Broken("the other role of this process has ended".to_owned()),
    };
    let (to_near, to_far) = match end {
        PipeEnd::NearClosed => (None, Some(far.tag.closed(None))),
        PipeEnd::FarClosed => (Some(near.tag.closed(None)), None),
        PipeEnd::Broken(reason) => {
            (Some(near.tag.closed(Some(reason.clone()))), Some(far.tag.closed(Some(reason))))
        }
    };
    if let Some(arrival) = to_near {
        let _ = near.delivery.send(arrival).await;
    }
    if let Some(arrival) = to_far {
        let _ = far.delivery.send(arrival).await;
    }
}

enum PipeEnd {
    NearClosed,
    FarClosed,
    Broken(String),
}

fn poll_pipe(near: &mut End, far: &mut End, shared: &Shared, context: &mut Context<'_>) -> Poll<PipeEnd> {
    near.take(context);
    far.take(context);
    let onward = poll_direction(near, far, shared, context);
    let back = poll_direction(far, near, shared, context);
    match (onward, back) {
        (Direction::Broken(reason), _) | (_, Direction::Broken(reason)) => {
            Poll::Ready(PipeEnd::Broken(reason))
        }
        (Direction::Closed, _) => Poll::Ready(PipeEnd::NearClosed),
        (_, Direction::Closed) => Poll::Ready(PipeEnd::FarClosed),
        (Direction::Open, Direction::Open) => Poll::Pending,
    }
}

enum Direction {
    Open,
    Closed,
    Broken(String),
}

fn poll_direction(from: &mut End, to: &mut End, shared: &Shared, context: &mut Context<'_>) -> Direction {
    if from.orders.upgrade.is_some() {
        return Direction::Broken("a pipe inside the process has no TLS".to_owned());
    }
    match to.delivery.poll_ready(context) {
        // The last octets before a close are delivered even to a side that paused: there will be no later.
        Poll::Ready(Ok(())) if !from.orders.bytes.is_empty() && (!to.paused || from.orders.close) => {
            let bytes = std::mem::take(&mut from.orders.bytes).into();
            if to.delivery.deliver(to.tag.bytes(bytes)) == Err(Deaf) {
                return Direction::Broken("the other role of this process has ended".to_owned());
            }
            // Registers for the next place, if this one had to wait.
            let _ = to.delivery.poll_ready(context);
        }
        Poll::Ready(Err(Deaf)) => {
            return Direction::Broken("the other role of this process has ended".to_owned());
        }
        Poll::Ready(Ok(())) | Poll::Pending => {}
    }
    if from.orders.bytes.is_empty() && from.orders.close {
        return Direction::Closed;
    }
    match from.stall.poll(from.orders.bytes.len(), &shared.settings, context) {
        Some(reason) => Direction::Broken(reason),
        None => Direction::Open,
    }
}
