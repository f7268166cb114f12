//! Measures what the shell itself costs: a role that echoes messages under TLS to a role that keeps some in flight.
//!
//! `cargo run --release -p net --example echo` prints, for several numbers of connections, how many messages cross
//! in each second of the processor time of one side (one message in and one out).

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clock_types::{Moment, Now};
use net::throwaway::{Authority, Wish};
use net::tls::TlsSpec;
use net::{
    Bound, Clock, Controls, DnsSettings, Driver, Effect, Ended, Forgetful, ListenerKind, ListenerSpec,
    Resolver, Role, Settings, TlsRegistry, World, runtime,
};
use net_types::{
    Bytes, ConnectionId, Event, Identity, ListenerId, Order, Remote, TlsClient, TlsServer, Trust,
};

const MESSAGE: usize = 300;
const RUN: Duration = Duration::from_secs(3);

fn main() {
    for tls in [true, false] {
        for (connections, in_flight) in [(1, 64), (16, 4), (64, 1)] {
            measure(tls, connections, in_flight);
        }
    }
}

fn measure(tls: bool, connections: u64, in_flight: usize) {
    let ca = Authority::new("Echo CA").unwrap();
    let identity = ca.issue(&Wish::dns(&["echo.example"])).unwrap().identity("own");
    let spec = TlsSpec { identities: vec![identity], trusts: vec![ca.trust("all")] };
    let registry = Arc::new(TlsRegistry::load(spec).unwrap());
    let kind = if tls {
        let server = TlsServer { identity: Identity("own".into()), trust: Trust("all".into()) };
        ListenerKind::DirectTls { server, alpn: Vec::new() }
    } else {
        ListenerKind::Tcp
    };
    let bound = Bound::bind(ListenerSpec {
        id: ListenerId(0),
        address: "127.0.0.1:0".parse().unwrap(),
        kind,
        connections_max: 1000,
        place: "echo".to_owned(),
    })
    .unwrap();
    let address = bound.local_address();

    let echoed = Arc::new(AtomicU64::new(0));
    let server = Echo { outputs: VecDeque::new(), dial: None, echoed: Arc::clone(&echoed) };
    let server = start("echo-server", server, vec![bound], Arc::clone(&registry));
    let client = Echo {
        outputs: VecDeque::new(),
        dial: Some(Dial { to: address, tls, connections, in_flight }),
        echoed: Arc::default(),
    };
    let client = start("echo-client", client, Vec::new(), registry);
    client.0.command_blocking(()).unwrap();

    std::thread::sleep(Duration::from_millis(500));
    let (began, before) =
        (Instant::now(), (cpu("echo-server"), cpu("echo-client"), echoed.load(Ordering::Relaxed)));
    std::thread::sleep(RUN);
    let after = (cpu("echo-server"), cpu("echo-client"), echoed.load(Ordering::Relaxed));
    let octets = after.2 - before.2;
    #[expect(clippy::cast_precision_loss, reason = "a measurement has few digits")]
    let messages = octets as f64 / MESSAGE as f64;
    println!(
        "{} {connections:3} connections x {in_flight:2} in flight: {:7.0} messages/s, per processor second: server {:7.0}, client {:7.0}",
        if tls { "TLS  " } else { "plain" },
        messages / began.elapsed().as_secs_f64(),
        messages / (after.0 - before.0).as_secs_f64(),
        messages / (after.1 - before.1).as_secs_f64(),
    );
    for (controls, thread) in [client, server] {
        controls.stop(Duration::ZERO);
        thread.join().unwrap();
    }
}

type Running = (Controls<()>, JoinHandle<Ended>);

fn start(name: &'static str, role: Echo, listeners: Vec<Bound>, tls: Arc<TlsRegistry>) -> Running {
    let settings = DnsSettings { servers: vec!["127.0.0.1:9".parse().unwrap()], ..DnsSettings::default() };
    let world = World {
        clock: Clock::start(),
        settings: Settings { linger: Duration::ZERO, ..Settings::default() },
        listeners,
        in_process: None,
        to_in_process: None,
        tls,
        resolver: Resolver::new(&settings).unwrap(),
        recorder: Box::new(Forgetful),
        notices: Box::new(|()| {}),
        incidents: Arc::new(|incident| eprintln!("{incident:?}")),
    };
    let (driver, controls) = Driver::new(role, world);
    (controls, runtime::on_thread(name, move || driver.run()).unwrap())
}

/// Returns the processor time of the thread of this name, user and system.
fn cpu(name: &str) -> Duration {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        if std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name) {
            let stat = std::fs::read_to_string(task.join("schedstat")).unwrap();
            return Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap());
        }
    }
    Duration::ZERO
}

struct Dial {
    to: SocketAddr,
    tls: bool,
    connections: u64,
    in_flight: usize,
}

/// Sends back what it hears, message by message.
struct Echo {
    outputs: VecDeque<Effect<(), ()>>,
    dial: Option<Dial>,
    echoed: Arc<AtomicU64>,
}

impl Role for Echo {
    type Command = ();
    type Notice = ();
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, _now: Now) {
        match event {
            Event::Connected { connection, .. } => {
                let in_flight = self.dial.as_ref().map_or(0, |dial| dial.in_flight);
                for _ in 0..in_flight {
                    let bytes = Bytes::from(vec![b'x'; MESSAGE]);
                    self.outputs.push_back(Effect::Order(Order::Send { connection, bytes }));
                }
            }
            Event::Bytes { connection, mut bytes } => {
                self.echoed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                while !bytes.is_empty() {
                    let bytes = bytes.split_to(bytes.len().min(MESSAGE));
                    self.outputs.push_back(Effect::Order(Order::Send { connection, bytes }));
                }
            }
            Event::Accepted { .. } | Event::Closed { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn handle_command(&mut self, (): (), _now: Now) {
        let Some(dial) = &self.dial else { return };
        for number in 0..dial.connections {
            let client = TlsClient {
                name: "echo.example".to_owned(),
                identity: Some(Identity("own".into())),
                trust: Trust("all".into()),
                alpn: Vec::new(),
            };
            self.outputs.push_back(Effect::Order(Order::Connect {
                connection: ConnectionId::dialled(number),
                to: Remote::Address(dial.to),
                tls: dial.tls.then(|| Box::new(client)),
                timeout: Duration::from_secs(10),
            }));
        }
    }

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, _now: Now) {
        self.outputs.push_back(Effect::Stopped);
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_timeout(&self) -> Option<Moment> {
        None
    }

    fn poll_output(&mut self) -> Option<Effect<(), ()>> {
        self.outputs.pop_front()
    }
}
