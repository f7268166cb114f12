//! Many connections at once: a role that does nothing by itself, on real sockets and with real TLS.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clock_types::{Moment, Now};
use net::{Bound, Clock, Controls, DnsSettings, Driver, Effect, Ended, Resolver, Role, TlsRegistry, World};
use net_types::{Bytes, ConnectionId, Event, Order, Remote, TlsClient, TlsServer};

/// All connections of one test to one proxy.
pub struct Crowd {
    driven: Driven<Vec<Order>, Event>,
    lines: BTreeMap<ConnectionId, Line>,
    dialled: u64,
    arrived: Vec<ConnectionId>,
}

/// What has come on one connection.
#[derive(Default)]
pub struct Line {
    /// All that the proxy said.
    pub heard: String,
    pub is_open: bool,
    pub is_secure: bool,
    pub is_over: bool,
}

impl Crowd {
    /// Starts it; it accepts connections at `listeners`.
    pub fn start(listeners: Vec<Bound>, tls: &Arc<TlsRegistry>) -> Self {
        let driven = Driven::start(Puppet::default(), listeners, tls);
        Self { driven, lines: BTreeMap::new(), dialled: 0, arrived: Vec::new() }
    }

    /// Connects, with TLS from the first octet if told how.
    pub fn dial(&mut self, to: SocketAddr, tls: Option<TlsClient>) -> ConnectionId {
        self.dialled += 1;
        let connection = ConnectionId::dialled(self.dialled);
        self.lines.insert(connection, Line { is_secure: tls.is_some(), ..Line::default() });
        let (to, tls) = (Remote::Address(to), tls.map(Box::new));
        self.order(Order::Connect { connection, to, tls, timeout: PATIENCE });
        connection
    }

    /// Says something, unless there is nothing to say or the proxy has closed. Tells which.
    pub fn say(&self, connection: ConnectionId, octets: &[u8]) -> bool {
        let can = !octets.is_empty() && !self.line(connection).is_over;
        if can {
            self.order(Order::Send { connection, bytes: Bytes::copy_from_slice(octets) });
        }
        can
    }

    pub fn start_tls(&self, connection: ConnectionId, client: TlsClient) {
        self.order(Order::StartTlsAsClient { connection, client: Box::new(client) });
    }

    /// Says something and awaits the other's handshake, in one turn: it may come at once.
    pub fn proceed(&self, connection: ConnectionId, octets: &'static [u8], server: TlsServer) {
        let (bytes, server) = (Bytes::from_static(octets), Box::new(server));
        self.driven
            .wish(vec![Order::Send { connection, bytes }, Order::StartTlsAsServer { connection, server }]);
    }

    pub fn close(&mut self, connection: ConnectionId) {
        if self.lines.remove(&connection).is_some_and(|line| !line.is_over) {
            self.order(Order::Close { connection });
        }
    }

    pub fn line(&self, connection: ConnectionId) -> &Line {
        &self.lines[&connection]
    }

    /// Forgets what was heard so far on a connection.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.lines.get_mut(&connection).expect("it is one of ours").heard.clear();
    }

    /// Returns who has connected since this was asked.
    pub fn arrived(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.arrived)
    }

    /// Waits until something is true of each of these connections.
    pub fn wait_for_each(&mut self, which: &[ConnectionId], what: &str, is_met: impl Fn(&Line) -> bool) {
        for &connection in which {
            self.wait_for(what, |crowd| is_met(crowd.line(connection)));
        }
    }

    /// Waits until something is true.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, is_met: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        self.take_in();
        while !is_met(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.driven.heard.recv_timeout(left) {
                Ok(event) => self.handle(event),
                Err(_) => panic!("{what}: did not come about"),
            }
            self.take_in();
        }
    }

    /// Takes in all that has happened.
    pub fn take_in(&mut self) {
        while let Ok(event) = self.driven.heard.try_recv() {
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Accepted { connection, .. } => {
                self.lines.insert(connection, Line { is_open: true, ..Line::default() });
                self.arrived.push(connection);
            }
            Event::Connected { connection, .. } => self.note(connection, |line| line.is_open = true),
            Event::TlsStarted { connection, .. } => self.note(connection, |line| line.is_secure = true),
            Event::Bytes { connection, bytes } => {
                self.note(connection, |line| line.heard.push_str(&String::from_utf8_lossy(&bytes)));
            }
            Event::Closed { connection, .. } | Event::ConnectFailed { connection, .. } => {
                self.note(connection, |line| line.is_over = true);
            }
            Event::Datagram { .. } | Event::Resolved { .. } => {}
        }
    }

    /// A connection that was closed may still have something on its way.
    fn note(&mut self, connection: ConnectionId, note: impl FnOnce(&mut Line)) {
        if let Some(line) = self.lines.get_mut(&connection) {
            note(line);
        }
    }

    fn order(&self, order: Order) {
        self.driven.wish(vec![order]);
    }
}

/// A role on a thread of its own, until it is dropped.
pub struct Driven<Wish, Notice> {
    controls: Controls<Wish>,
    pub heard: Receiver<Notice>,
    thread: Option<JoinHandle<Ended>>,
}

impl<Wish: Send + 'static, Notice: Send + 'static> Driven<Wish, Notice> {
    pub fn start<R>(role: R, listeners: Vec<Bound>, tls: &Arc<TlsRegistry>) -> Self
    where
        R: Role<Command = Wish, Notice = Notice, Record = (), Stored = ()> + Send + 'static,
    {
        let (tell, heard) = mpsc::channel();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let dns = DnsSettings { servers: vec![nobody], ..DnsSettings::default() };
        let world = World {
            clock: Clock::start(),
            // Some inputs are of many megabytes, and nobody reads them.
            settings: net::Settings { write_buffer: 64 << 20, ..net::Settings::default() },
            listeners,
            in_process: None,
            to_in_process: None,
            tls: Arc::clone(tls),
            resolver: Resolver::new(&dns).expect("it asks nobody"),
            recorder: Box::new(net::Forgetful),
            notices: Box::new(move |notice| drop(tell.send(notice))),
            incidents: Arc::new(drop),
        };
        let (driver, controls) = Driver::new(role, world);
        let thread = net::runtime::on_thread("peers", move || driver.run()).expect("a thread starts");
        Self { controls, heard, thread: Some(thread) }
    }

    pub fn wish(&self, wish: Wish) {
        let done = self.controls.command_blocking(wish);
        assert!(done.is_ok(), "the thread lives as long as this");
    }
}

impl<Wish, Notice> Drop for Driven<Wish, Notice> {
    fn drop(&mut self) {
        self.controls.stop(Duration::ZERO);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has failed the test already.
            let _ = thread.join();
        }
    }
}

/// Carries out orders and tells what happens.
#[derive(Default)]
struct Puppet(std::collections::VecDeque<Effect<Event, ()>>);

impl Role for Puppet {
    type Command = Vec<Order>;
    type Notice = Event;
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, _now: Now) {
        self.0.push_back(Effect::Notice(event));
    }

    fn handle_command(&mut self, orders: Vec<Order>, _now: Now) {
        self.0.extend(orders.into_iter().map(Effect::Order));
    }

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, _now: Now) {
        self.0.push_back(Effect::Stopped);
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_timeout(&self) -> Option<Moment> {
        None
    }

    fn poll_output(&mut self) -> Option<Effect<Event, ()>> {
        self.0.pop_front()
    }
}

/// How long what must come may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
