//! A role that does what the test says and tells what it hears, and raw peers for it.

#![expect(dead_code, reason = "each test program uses its own part")]

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now};
use net::tls::TlsSpec;
use net::{
    Bound, Clock, Controls, DnsSettings, Driver, Effect, Ended, Forgetful, Incident, ListenerKind,
    ListenerSpec, Recorder, Resolver, Role, Settings, TlsRegistry, World,
};
use net_types::{Bytes, ConnectionId, Event, ListenerId, Order, Remote, TlsFacts};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What a puppet hears.
#[derive(Debug)]
pub enum Heard {
    Event(Event),
    Stored(u32),
    Timeout(Now),
    Stop,
}

pub type PuppetEffect = Effect<&'static str, u32>;

/// A role that is led by commands.
pub struct Puppet {
    outputs: VecDeque<PuppetEffect>,
    heard: mpsc::UnboundedSender<Heard>,
    timeout: Option<Moment>,
    /// Says that it has stopped as soon as it is asked to, after these last orders.
    pub last_orders: Option<Vec<Order>>,
}

#[derive(Debug)]
pub enum Lead {
    Do(Vec<PuppetEffect>),
    /// Ring in a while.
    Ring(Duration),
    /// When asked to stop: carry these out and stop.
    StopWith(Vec<Order>),
}

impl Role for Puppet {
    type Command = Lead;
    type Notice = &'static str;
    type Record = u32;
    type Stored = u32;

    fn handle_event(&mut self, event: Event, _now: Now) {
        let _ = self.heard.send(Heard::Event(event));
    }

    fn handle_command(&mut self, command: Lead, now: Now) {
        match command {
            Lead::Do(effects) => self.outputs.extend(effects),
            Lead::Ring(after) => self.timeout = Some(now.moment + after),
            Lead::StopWith(orders) => self.last_orders = Some(orders),
        }
    }

    fn handle_stored(&mut self, stored: u32, _now: Now) {
        let _ = self.heard.send(Heard::Stored(stored));
    }

    fn handle_stop(&mut self, _now: Now) {
        let _ = self.heard.send(Heard::Stop);
        if let Some(orders) = self.last_orders.take() {
            self.outputs.extend(orders.into_iter().map(Effect::Order));
            self.outputs.push_back(Effect::Stopped);
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.timeout = None;
        let _ = self.heard.send(Heard::Timeout(now));
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.timeout
    }

    fn poll_output(&mut self) -> Option<PuppetEffect> {
        self.outputs.pop_front()
    }
}

/// A running puppet.
pub struct Stage {
    pub controls: Controls<Lead>,
    pub heard: mpsc::UnboundedReceiver<Heard>,
    pub incidents: mpsc::UnboundedReceiver<Incident>,
    pub notices: mpsc::UnboundedReceiver<&'static str>,
    pub tls: Arc<TlsRegistry>,
    pub addresses: Vec<SocketAddr>,
    pub run: JoinHandle<Ended>,
    dialled: u64,
}

/// How to set a stage.
pub struct Setting {
    pub listeners: Vec<ListenerKind>,
    pub connections_max: usize,
    pub tls: TlsSpec,
    pub settings: Settings,
    pub recorder: Box<dyn Recorder<u32, u32>>,
    pub in_process: Option<net::InProcessListener>,
    pub to_in_process: Option<net::InProcessDialler>,
    pub dns: Vec<SocketAddr>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            connections_max: 100,
            tls: TlsSpec::default(),
            settings: Settings::default(),
            recorder: Box::new(Forgetful),
            in_process: None,
            to_in_process: None,
            dns: vec!["127.0.0.1:9".parse().unwrap()],
        }
    }
}

impl Setting {
    pub fn listening(kind: ListenerKind) -> Self {
        Self { listeners: vec![kind], ..Self::default() }
    }

    pub fn start(self) -> Stage {
        let place = |index: usize| format!("test listener {index}");
        let mut listeners = Vec::new();
        for (index, kind) in self.listeners.into_iter().enumerate() {
            let spec = ListenerSpec {
                id: ListenerId(u32::try_from(index).unwrap()),
                address: "127.0.0.1:0".parse().unwrap(),
                kind,
                connections_max: self.connections_max,
                place: place(index),
            };
            listeners.push(Bound::bind(spec).unwrap());
        }
        let addresses = listeners.iter().map(Bound::local_address).collect();
        let (heard_in, heard) = mpsc::unbounded_channel();
        let (incidents_in, incidents) = mpsc::unbounded_channel();
        let (notices_in, notices) = mpsc::unbounded_channel();
        let tls = Arc::new(TlsRegistry::load(self.tls).unwrap());
        let role = Puppet { outputs: VecDeque::new(), heard: heard_in, timeout: None, last_orders: None };
        let resolver = Resolver::new(&DnsSettings { servers: self.dns, ..DnsSettings::default() }).unwrap();
        let world = World {
            clock: Clock::start(),
            settings: self.settings,
            listeners,
            in_process: self.in_process,
            to_in_process: self.to_in_process,
            tls: Arc::clone(&tls),
            resolver,
            recorder: self.recorder,
            notices: Box::new(move |notice| {
                let _ = notices_in.send(notice);
            }),
            incidents: Arc::new(move |incident| {
                let _ = incidents_in.send(incident);
            }),
        };
        let (driver, controls) = Driver::new(role, world);
        let run = tokio::spawn(driver.run());
        Stage { controls, heard, incidents, notices, tls, addresses, run, dialled: 0 }
    }
}

impl Stage {
    pub async fn lead(&self, lead: Lead) {
        self.controls.command(lead).await.unwrap();
    }

    /// Gives orders, all in one turn.
    pub async fn order<const N: usize>(&self, orders: [Order; N]) {
        self.lead(Lead::Do(orders.into_iter().map(Effect::Order).collect())).await;
    }

    pub async fn send(&self, connection: ConnectionId, text: &str) {
        self.order([send(connection, text)]).await;
    }

    /// Orders to dial and returns the connection's name.
    pub async fn dial(&mut self, to: Remote, tls: Option<net_types::TlsClient>) -> ConnectionId {
        self.dialled += 1;
        let connection = ConnectionId::dialled(self.dialled);
        let tls = tls.map(Box::new);
        self.order([Order::Connect { connection, to, tls, timeout: Duration::from_secs(20) }]).await;
        connection
    }

    pub async fn hear(&mut self) -> Heard {
        soon(self.heard.recv()).await.expect("the role is running")
    }

    pub async fn event(&mut self) -> Event {
        match self.hear().await {
            Heard::Event(event) => event,
            other => panic!("heard {other:?}"),
        }
    }

    pub async fn accepted(&mut self) -> (ConnectionId, Option<Box<TlsFacts>>) {
        match self.event().await {
            Event::Accepted { connection, tls, .. } => (connection, tls),
            other => panic!("heard {other:?}"),
        }
    }

    pub async fn connected(&mut self) -> Option<Box<TlsFacts>> {
        match self.event().await {
            Event::Connected { tls, .. } => tls,
            other => panic!("heard {other:?}"),
        }
    }

    pub async fn tls_started(&mut self) -> Box<TlsFacts> {
        match self.event().await {
            Event::TlsStarted { facts, .. } => facts,
            other => panic!("heard {other:?}"),
        }
    }

    pub async fn closed(&mut self) -> Option<String> {
        match self.event().await {
            Event::Closed { reason, .. } => reason,
            other => panic!("heard {other:?}"),
        }
    }

    /// Hears octets until `text` is complete.
    pub async fn bytes(&mut self, text: &str) {
        let mut heard = Vec::new();
        while heard.len() < text.len() {
            match self.event().await {
                Event::Bytes { bytes, .. } => heard.extend_from_slice(&bytes),
                other => panic!("heard {other:?} after {:?}", String::from_utf8_lossy(&heard)),
            }
        }
        assert_eq!(String::from_utf8_lossy(&heard), text);
    }
}

pub fn send(connection: ConnectionId, text: &str) -> Order {
    Order::Send { connection, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

/// Waits for what must come, long enough for a busy machine.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it comes within a minute")
}
