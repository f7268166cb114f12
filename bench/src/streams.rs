//! Streams that a partner opens, proves, and leaves idle: how fast, and what each costs the server.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clock_types::{Ids, Moment, Now};
use net::Role;
use net_types::{ConnectionId, Event, Identity, Order, Remote, TlsClient};
use xmpp_proto::dialback::{Pair, Secret};
use xmpp_proto::stream::{Approach, Initiator, InitiatorOutput, Purpose, StreamSettings};
use xmpp_types::jid::DomainName;

use crate::peer::{Command, Emitted, Peer};
use crate::process::Process;
use crate::site::{Credentials, trust};
use crate::xmpp::METHODS;

/// What streams, or sessions, cost a server.
#[derive(Clone, Debug)]
pub struct Held {
    /// Whose.
    pub name: String,
    /// How many were open at the same time.
    pub streams: usize,
    /// How many were opened a second.
    pub per_second: f64,
    /// Seconds of processors of the server for each, in microseconds.
    pub cost: f64,
    /// Resident memory of the server for each, in octets.
    pub memory: f64,
}

/// Opens `count` streams from a partner to a domain at `server`, and measures `process` meanwhile.
pub fn hold(
    name: &str,
    process: &Process,
    server: SocketAddr,
    pair: Pair,
    count: usize,
    credentials: &Credentials,
) -> Result<Held, String> {
    let open = Arc::new(AtomicUsize::new(0));
    let lost = Arc::new(AtomicUsize::new(0));
    // What is built once at the first stream is not of the streams.
    let first = Holder::new(server, pair.clone(), 1, &open, &lost);
    let first = Peer::start("first", first, Vec::new(), &credentials.registry)?;
    wait_for(&open, &lost, 1)?;
    let (memory, used, begun) = (process.resident(), process.used(), Instant::now());
    let holder = Holder::new(server, pair, count, &open, &lost);
    let holder = Peer::start("holder", holder, Vec::new(), &credentials.registry)?;
    wait_for(&open, &lost, count + 1)?;
    let took = begun.elapsed().as_secs_f64();
    sleep(Duration::from_secs(1));
    let used = process.used().since(used);
    let grown = process.resident().saturating_sub(memory);
    drop((first, holder));
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let (streams, grown) = (count as f64, grown as f64);
    Ok(Held {
        name: name.to_owned(),
        streams: count,
        per_second: streams / took,
        cost: used.sum() * 1e6 / streams,
        memory: grown / streams,
    })
}

/// Waits until `count` are open and none is lost.
pub fn wait_for(open: &AtomicUsize, lost: &AtomicUsize, count: usize) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(900);
    while open.load(Relaxed) < count {
        if Instant::now() > deadline || lost.load(Relaxed) > 0 {
            return Err(format!("{} of {count} opened, {} lost", open.load(Relaxed), lost.load(Relaxed)));
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Opens streams, a few at a time, and holds them.
struct Holder {
    server: SocketAddr,
    pair: Pair,
    left: usize,
    next: u64,
    streams: Arc<StreamSettings>,
    ids: Ids,
    secret: Secret,
    initiators: BTreeMap<ConnectionId, Initiator>,
    open: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
    outputs: VecDeque<Emitted>,
}

impl Holder {
    fn new(
        server: SocketAddr,
        pair: Pair,
        left: usize,
        open: &Arc<AtomicUsize>,
        lost: &Arc<AtomicUsize>,
    ) -> Self {
        let mut ids = Ids::random(net::clock::seed());
        let mut holder = Self {
            server,
            pair,
            left,
            next: 0,
            streams: Arc::new(StreamSettings { both_ways: false, ..StreamSettings::default() }),
            secret: Secret::fresh(&mut ids),
            ids,
            initiators: BTreeMap::new(),
            open: Arc::clone(open),
            lost: Arc::clone(lost),
            outputs: VecDeque::new(),
        };
        for _ in 0..AT_ONCE {
            holder.dial();
        }
        holder
    }

    fn dial(&mut self) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        self.next += 1;
        let connection = ConnectionId::dialled(self.next);
        let (to, timeout) = (Remote::Address(self.server), Duration::from_secs(30));
        self.order(Order::Connect { connection, to, tls: None, timeout });
    }

    fn drain(&mut self, connection: ConnectionId) {
        while let Some(output) = self.initiators.get_mut(&connection).and_then(Initiator::poll_output) {
            match output {
                InitiatorOutput::Send(bytes) => self.order(Order::Send { connection, bytes: bytes.into() }),
                InitiatorOutput::StartTls => {
                    let client = TlsClient {
                        name: self.pair.remote.to_ascii().to_owned(),
                        identity: Some(Identity("partner".into())),
                        trust: trust(),
                        alpn: Vec::new(),
                    };
                    self.order(Order::StartTlsAsClient { connection, client: Box::new(client) });
                }
                InitiatorOutput::Ready { .. } => {
                    self.open.fetch_add(1, Relaxed);
                    self.dial();
                }
                InitiatorOutput::Ended(why) => {
                    self.lost.fetch_add(1, Relaxed);
                    if let Some(why) = why {
                        eprintln!("bench: a stream ended: {why}");
                    }
                }
                InitiatorOutput::Close => self.order(Order::Close { connection }),
                _ => {}
            }
        }
    }

    fn order(&mut self, order: Order) {
        self.outputs.push_back(Emitted::Order(order));
    }
}

impl Role for Holder {
    type Command = Command;
    type Notice = ();
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, now: Now) {
        let connection = match event {
            Event::Connected { connection, .. } => {
                let approach = Approach {
                    pair: self.pair.clone(),
                    methods: METHODS,
                    evidence: xmpp_proto::evidence::Evidence::default(),
                    purpose: Purpose::Speak,
                    establishment: Duration::from_secs(60),
                    inactivity: Duration::from_secs(3600),
                    keep_alive: Duration::from_secs(3600),
                };
                let (streams, secret) = (Arc::clone(&self.streams), self.secret.clone());
                let initiator = Initiator::new(approach, streams, secret, None, self.ids.fork(), now);
                self.initiators.insert(connection, initiator);
                connection
            }
            Event::TlsStarted { connection, facts } => {
                if let Some(initiator) = self.initiators.get_mut(&connection) {
                    initiator.handle_tls(facts, now);
                }
                connection
            }
            Event::Bytes { connection, bytes } => {
                if let Some(initiator) = self.initiators.get_mut(&connection) {
                    initiator.handle_bytes(&bytes, now);
                }
                connection
            }
            Event::Closed { connection, reason } => {
                if let Some(initiator) = self.initiators.get_mut(&connection) {
                    initiator.handle_closed(reason, now);
                }
                connection
            }
            Event::ConnectFailed { reason, .. } => {
                eprintln!("bench: a stream cannot be opened: {reason}");
                self.lost.fetch_add(1, Relaxed);
                return;
            }
            Event::Accepted { .. } | Event::Datagram { .. } | Event::Resolved { .. } => return,
        };
        self.drain(connection);
    }

    fn handle_command(&mut self, _: Command, _now: Now) {}

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, _now: Now) {
        self.outputs.push_back(Emitted::Stopped);
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_timeout(&self) -> Option<Moment> {
        None
    }

    fn poll_output(&mut self) -> Option<Emitted> {
        self.outputs.pop_front()
    }
}

/// How many are being opened at the same time.
const AT_ONCE: usize = 32;

/// Returns the pair of domains for streams from the partner to `remote`.
pub fn pair(partner: &str, remote: &str) -> Result<Pair, String> {
    let domain = |text: &str| DomainName::parse(text).map_err(|why| why.to_string());
    Ok(Pair { local: domain(partner)?, remote: domain(remote)? })
}
