//! Carries out a role's orders.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use net_types::{Bytes, ConnectionId, Event, ListenerId, Order, QueryId, Question, Remote, Stage, TlsClient};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::arrival::{Arrival, Handle};
use crate::connection::{self, Dial, Reception, Shared};
use crate::datagram::Datagrams;
use crate::dns::Resolver;
use crate::in_process::{self, InProcessDialler, InProcessListener};
use crate::listener::{Bound, BoundSocket, ListenerKind};
use crate::outbox::{Orders, Outbox, Upgrade};
use crate::settings::{Incident, Settings};
use crate::tls::TlsRegistry;

/// The open connections, sockets and questions of one role.
pub(super) struct Shell {
    pub(super) settings: Settings,
    shared: Arc<Shared>,
    connections: HashMap<ConnectionId, Entry>,
    /// Connections with orders of this turn, in the order of their first.
    touched: Vec<ConnectionId>,
    sockets: Vec<(ListenerId, Datagrams)>,
    /// The tasks that accept; they end when the role is asked to stop.
    doors: Vec<JoinHandle<()>>,
    /// Tasks that end with the driver.
    helpers: Vec<JoinHandle<()>>,
    to_in_process: Option<InProcessDialler>,
    resolver: Arc<Resolver>,
    queries: Arc<Semaphore>,
    /// Every connection's task holds a clone; the receiver ends with the last.
    alive: mpsc::Sender<()>,
    all_ended: mpsc::Receiver<()>,
}

struct Entry {
    handle: Handle,
    /// What this turn ordered.
    orders: Orders,
    touched: bool,
}

impl Shell {
    pub(super) fn new(
        settings: Settings,
        tls: Arc<TlsRegistry>,
        resolver: Resolver,
        to_in_process: Option<InProcessDialler>,
        incidents: Arc<dyn Fn(Incident) + Send + Sync>,
    ) -> (Self, mpsc::Receiver<Arrival>) {
        let (arrivals_in, arrivals) = mpsc::channel(settings.events_max.max(1));
        let (alive, all_ended) = mpsc::channel(1);
        let queries = Arc::new(Semaphore::new(settings.queries_max));
        let shared = Shared::new(settings.clone(), tls, incidents, arrivals_in, alive.downgrade());
        let shell = Self {
            settings,
            shared: Arc::new(shared),
            connections: HashMap::new(),
            touched: Vec::new(),
            sockets: Vec::new(),
            doors: Vec::new(),
            helpers: Vec::new(),
            to_in_process,
            resolver: Arc::new(resolver),
            queries,
            alive,
            all_ended,
        };
        (shell, arrivals)
    }

    /// Starts to accept and to receive.
    pub(super) fn listen(&mut self, listeners: Vec<Bound>, in_process: Option<InProcessListener>) {
        for Bound { spec, socket, .. } in listeners {
            match socket {
                BoundSocket::Stream(listener) => {
                    let tls = match spec.kind {
                        ListenerKind::DirectTls { server, alpn } => Some((server, alpn)),
                        ListenerKind::Tcp | ListenerKind::Udp { .. } => None,
                    };
                    let reception = Reception { listener: spec.id, tls };
                    match tokio::net::TcpListener::from_std(listener) {
                        Ok(listener) => self.doors.push(tokio::spawn(connection::accept(
                            listener,
                            reception,
                            spec.connections_max,
                            Arc::clone(&self.shared),
                        ))),
                        Err(error) => tracing::error!(%error, place = %spec.place, "listening"),
                    }
                }
                BoundSocket::Datagram(socket) => {
                    match Datagrams::start(spec.id, socket, Arc::clone(&self.shared)) {
                        Ok(started) => {
                            self.sockets.push((spec.id, started.datagrams));
                            self.helpers.extend(started.tasks);
                        }
                        Err(error) => tracing::error!(%error, place = %spec.place, "receiving"),
                    }
                }
            }
        }
        if let Some(listener) = in_process {
            self.helpers.push(tokio::spawn(listener.run(Arc::clone(&self.shared))));
        }
    }

    /// Accepts no more connections; those that are open stay.
    pub(super) fn close_doors(&mut self) {
        for door in self.doors.drain(..) {
            door.abort();
        }
    }

    /// Returns the event for the role, unless it is of a connection that the role has closed.
    pub(super) fn admit(&mut self, arrival: Arrival) -> Option<Event> {
        match arrival {
            Arrival::Other(event) => Some(event),
            Arrival::Accepted { event, handle } => {
                self.connections.insert(handle.tag.connection, Entry::new(handle));
                Some(event)
            }
            Arrival::Heard { tag, event } => {
                let entry = self.connections.get_mut(&tag.connection)?;
                if entry.handle.tag.serial != tag.serial {
                    return None;
                }
                match &event {
                    Event::Bytes { .. } if entry.handle.tag.epoch != tag.epoch => None,
                    Event::Closed { .. } | Event::ConnectFailed { .. } => {
                        self.connections.remove(&tag.connection);
                        Some(event)
                    }
                    _ => Some(event),
                }
            }
        }
    }

    /// Carries out one order; octets leave at [`Self::flush`].
    pub(super) fn carry_out(&mut self, order: Order) {
        match order {
            Order::Send { connection, bytes } => self.send(connection, &bytes),
            Order::SendDatagram { socket, to, bytes } => self.send_datagram(socket, to, bytes),
            Order::Connect { connection, to, tls, timeout } => self.connect(connection, to, tls, timeout),
            Order::StartTlsAsClient { connection, client } => {
                self.start_tls(connection, Upgrade::Client(client));
            }
            Order::StartTlsAsServer { connection, server } => {
                self.start_tls(connection, Upgrade::Server(server));
            }
            Order::Close { connection } => {
                if let Some(mut entry) = self.connections.remove(&connection) {
                    entry.orders.close = true;
                    entry.handle.outbox.put(&mut entry.orders);
                }
            }
            Order::Pause { connection } => self.order(connection, |orders| orders.paused = Some(true)),
            Order::Resume { connection } => self.order(connection, |orders| orders.paused = Some(false)),
            Order::Resolve { query, question } => self.resolve(query, question),
        }
    }

    /// Lets everything that was sent in this turn leave, in one run for each connection.
    pub(super) fn flush(&mut self) {
        for connection in self.touched.drain(..) {
            if let Some(entry) = self.connections.get_mut(&connection) {
                entry.touched = false;
                if !entry.orders.is_empty() {
                    entry.handle.outbox.put(&mut entry.orders);
                }
            }
        }
    }

    /// Closes everything and waits until the last octets have left, as long as the settings allow.
    pub(super) async fn close(mut self) {
        self.flush();
        self.close_doors();
        self.connections.clear();
        drop(self.alive);
        let linger = self.settings.linger;
        if tokio::time::timeout(linger, self.all_ended.recv()).await.is_err() {
            tracing::debug!("connections are still open at the end");
        }
        for helper in self.helpers {
            helper.abort();
        }
    }

    fn order(&mut self, connection: ConnectionId, change: impl FnOnce(&mut Orders)) {
        // A connection that is gone needs no orders: the role hears of it, or has.
        let Some(entry) = self.connections.get_mut(&connection) else { return };
        change(&mut entry.orders);
        if !entry.touched {
            entry.touched = true;
            self.touched.push(connection);
        }
    }

    fn send(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.order(connection, |orders| orders.bytes.extend_from_slice(bytes));
    }

    fn start_tls(&mut self, connection: ConnectionId, upgrade: Upgrade) {
        self.order(connection, |orders| orders.upgrade = Some((orders.bytes.len(), upgrade)));
        if let Some(entry) = self.connections.get_mut(&connection) {
            entry.handle.tag.epoch += 1;
        }
    }

    fn send_datagram(&mut self, socket: ListenerId, to: SocketAddr, bytes: Bytes) {
        match self.sockets.iter().find(|(id, _)| *id == socket) {
            Some((_, datagrams)) => datagrams.send(to, bytes),
            None => tracing::error!(?socket, "a datagram for a socket that does not exist"),
        }
    }

    fn connect(
        &mut self,
        connection: ConnectionId,
        to: Remote,
        tls: Option<Box<TlsClient>>,
        timeout: Duration,
    ) {
        let tag = self.shared.tag(connection);
        let outbox = Arc::new(Outbox::default());
        let handle = Handle { tag, outbox: Arc::clone(&outbox) };
        self.connections.insert(connection, Entry::new(handle));
        let (shared, alive) = (Arc::clone(&self.shared), self.alive.clone());
        match to {
            Remote::Address(to) => {
                let dialling = connection::dial(Dial { tag, to, tls, timeout }, outbox, shared);
                tokio::spawn(async move {
                    dialling.await;
                    drop(alive);
                });
            }
            Remote::InProcess if tls.is_some() => {
                let reason = "a pipe inside the process has no TLS".to_owned();
                let event = Event::ConnectFailed { connection, stage: Stage::Tls, reason };
                tokio::spawn(async move { shared.arrivals().send(Arrival::Heard { tag, event }).await });
            }
            Remote::InProcess => {
                let dialling = in_process::dial(self.to_in_process.clone(), tag, outbox, shared, timeout);
                tokio::spawn(async move {
                    dialling.await;
                    drop(alive);
                });
            }
        }
    }

    fn resolve(&mut self, query: QueryId, question: Question) {
        let (resolver, queries) = (Arc::clone(&self.resolver), Arc::clone(&self.queries));
        let arrivals = self.shared.arrivals();
        tokio::spawn(async move {
            let _place = queries.acquire().await;
            let answer = resolver.resolve(&question).await;
            let _ = arrivals.send(Arrival::Other(Event::Resolved { query, answer })).await;
        });
    }
}

impl Entry {
    fn new(handle: Handle) -> Self {
        Self { handle, orders: Orders::default(), touched: false }
    }
}
