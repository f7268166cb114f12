//! A load peer on a thread of its own: `net`'s driver around a generator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use net::{Bound, Clock, Controls, DnsSettings, Driver, Effect, Ended, ListenerKind, ListenerSpec, World};
use net::{Forgetful, Resolver, Role, Settings, TlsRegistry};
use net_types::ListenerId;

use crate::ledger::Run;
use crate::pairs::Aftermath;

/// What a generator is told to do.
#[derive(Debug)]
pub enum Command {
    /// Send what the run says, by this way.
    Send(Arc<Run>, usize),
    /// Take what comes from another generator.
    Receive(Arc<Run>),
    /// Open sessions or subscriptions, and leave them open.
    Open(Opening),
    /// Count what comes after a start of the product.
    Watch(Arc<Aftermath>),
    /// Dial the product again: it has started anew.
    Redial(SocketAddr),
}

/// Sessions or subscriptions to open.
#[derive(Clone, Debug)]
pub struct Opening {
    /// By which way.
    pub way: usize,
    /// How many.
    pub count: usize,
    /// Those that are open are counted here.
    pub open: Arc<AtomicUsize>,
    /// Those that were refused are counted here.
    pub refused: Arc<AtomicUsize>,
}

/// What a generator emits.
pub type Emitted = Effect<(), ()>;

/// A running generator.
pub struct Peer {
    controls: Controls<Command>,
    thread: Option<JoinHandle<Ended>>,
}

impl Peer {
    /// Runs `role` on a thread of its own.
    pub fn start<R>(
        name: &str,
        role: R,
        listeners: Vec<Bound>,
        tls: &Arc<TlsRegistry>,
    ) -> Result<Self, String>
    where
        R: Role<Command = Command, Notice = (), Record = (), Stored = ()> + Send + 'static,
    {
        // Nothing is asked; the address is nobody's.
        let servers = vec![SocketAddr::from(([127, 0, 0, 1], 9))];
        let resolver = Resolver::new(&DnsSettings { servers, ..DnsSettings::default() });
        let world = World {
            clock: Clock::start(),
            settings: Settings::default(),
            listeners,
            in_process: None,
            to_in_process: None,
            tls: Arc::clone(tls),
            resolver: resolver.map_err(|why| why.to_string())?,
            recorder: Box::new(Forgetful),
            notices: Box::new(|()| {}),
            incidents: Arc::new(|incident| eprintln!("bench: {incident:?}")),
        };
        let (driver, controls) = Driver::new(role, world);
        let thread = net::runtime::on_thread(name, move || driver.run()).map_err(|why| why.to_string())?;
        Ok(Self { controls, thread: Some(thread) })
    }

    /// Tells it what to do.
    pub fn tell(&self, command: Command) {
        // One that is gone shows in the counts.
        let _ = self.controls.command_blocking(command);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.controls.stop(Duration::from_secs(1));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes a free port of loopback.
pub fn listen(id: u32, kind: ListenerKind) -> Result<Bound, String> {
    let spec = ListenerSpec {
        id: ListenerId(id),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        kind,
        connections_max: 64,
        place: "bench".to_owned(),
    };
    Bound::bind(spec).map_err(|why| why.to_string())
}
