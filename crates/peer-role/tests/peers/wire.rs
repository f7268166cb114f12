//! Two peers and what is between them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Moment, Now};
use net_types::{
    CertificateNames, ConnectionId, Event, Failure, ListenerId, Order, PeerCertificate, Remote, TlsFacts,
    TlsVersion, TrustVerdict,
};
use peer_role::{Output, Said, SipUserAgent, XmppServer};

/// A machine at one end.
pub trait Peer {
    fn handle_event(&mut self, event: Event, now: Now);
    fn handle_timeout(&mut self, now: Now);
    fn poll_output(&mut self) -> Option<Output>;
    fn poll_timeout(&self) -> Option<Moment>;
}

macro_rules! peer {
    ($name:ty) => {
        impl Peer for $name {
            fn handle_event(&mut self, event: Event, now: Now) {
                self.handle_event(event, now);
            }
            fn handle_timeout(&mut self, now: Now) {
                self.handle_timeout(now);
            }
            fn poll_output(&mut self) -> Option<Output> {
                self.poll_output()
            }
            fn poll_timeout(&self) -> Option<Moment> {
                self.poll_timeout()
            }
        }
    };
}

peer!(SipUserAgent);
peer!(XmppServer);

/// Two peers; `one` listens at [`address`] of 0, `other` at that of 1.
pub struct Wire<P> {
    pub peers: [P; 2],
    /// Whether `other` takes connections.
    pub reachable: bool,
    pub said: [Vec<Said>; 2],
    pub now: Now,
    /// Both names of each connection, the dialler's side first.
    connections: BTreeMap<(usize, ConnectionId), (usize, ConnectionId)>,
    shaking: BTreeMap<(usize, ConnectionId), ()>,
    names: [&'static str; 2],
    accepted: u64,
    events: VecDeque<(usize, Event)>,
}

/// Returns where a peer listens.
pub fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, u8::try_from(side).unwrap() + 1], 5269))
}

impl<P: Peer> Wire<P> {
    pub fn new(peers: [P; 2], names: [&'static str; 2]) -> Self {
        let now = Now {
            moment: Moment::ZERO + Duration::from_secs(100),
            date: Date::from_unix_millis(1_800_000_000_000),
        };
        Self {
            peers,
            reachable: true,
            said: [Vec::new(), Vec::new()],
            now,
            connections: BTreeMap::new(),
            shaking: BTreeMap::new(),
            names,
            accepted: 0,
            events: VecDeque::new(),
        }
    }

    /// Lets `time` pass, and everything happen that is due meanwhile.
    pub fn run(&mut self, time: Duration) {
        let end = self.now.moment + time;
        self.settle();
        while let Some((at, side)) = (0..2)
            .filter_map(|side| Some((self.peers[side].poll_timeout()?, side)))
            .min()
            .filter(|(at, _)| *at <= end)
        {
            self.pass(at.max(self.now.moment));
            self.peers[side].handle_timeout(self.now);
            self.settle();
        }
        self.pass(end);
    }

    fn pass(&mut self, until: Moment) {
        let passed = until.since(self.now.moment);
        self.now = Now { moment: until, date: self.now.date.plus(passed) };
    }

    fn settle(&mut self) {
        loop {
            for side in 0..2 {
                while let Some(output) = self.peers[side].poll_output() {
                    match output {
                        Output::Order(order) => self.carry_out(side, order),
                        Output::Said(said) => self.said[side].push(said),
                    }
                }
            }
            let Some((side, event)) = self.events.pop_front() else { return };
            self.peers[side].handle_event(event, self.now);
        }
    }

    fn carry_out(&mut self, side: usize, order: Order) {
        let other = 1 - side;
        match order {
            Order::Connect { connection, .. } if !self.reachable => {
                let stage = net_types::Stage::Tcp;
                let reason = "connection refused".to_owned();
                self.events.push_back((side, Event::ConnectFailed { connection, stage, reason }));
            }
            Order::Connect { connection, tls, .. } => {
                assert!(tls.is_none(), "these peers start TLS in band");
                self.accepted += 1;
                let accepted = ConnectionId::accepted(self.accepted);
                self.connections.insert((side, connection), (other, accepted));
                self.connections.insert((other, accepted), (side, connection));
                let remote = Remote::Address(address(side));
                let listener = ListenerId(0);
                self.events.push_back((
                    other,
                    Event::Accepted {
                        connection: accepted,
                        listener,
                        local: Some(address(other)),
                        remote,
                        tls: None,
                    },
                ));
                let local = Some(address(side));
                self.events.push_back((side, Event::Connected { connection, local, tls: None }));
            }
            Order::Send { connection, bytes } => {
                if let Some((peer, connection)) = self.connections.get(&(side, connection)).copied() {
                    self.events.push_back((peer, Event::Bytes { connection, bytes }));
                }
            }
            Order::StartTlsAsClient { connection, .. } | Order::StartTlsAsServer { connection, .. } => {
                self.shake_hands(side, connection);
            }
            Order::Close { connection } => {
                if let Some((peer, theirs)) = self.connections.remove(&(side, connection)) {
                    self.connections.remove(&(peer, theirs));
                    self.events.push_back((peer, Event::Closed { connection: theirs, reason: None }));
                }
            }
            Order::SendDatagram { bytes, .. } => {
                let from = address(side);
                self.events.push_back((other, Event::Datagram { socket: ListenerId(0), from, bytes }));
            }
            Order::Resolve { query, .. } => {
                self.events.push_back((side, Event::Resolved { query, answer: Err(Failure::NoSuchName) }));
            }
            Order::Pause { .. } | Order::Resume { .. } => {}
        }
    }

    /// The handshake is over when both ends have begun it.
    fn shake_hands(&mut self, side: usize, connection: ConnectionId) {
        let Some(peer) = self.connections.get(&(side, connection)).copied() else { return };
        if self.shaking.remove(&peer).is_none() {
            self.shaking.insert((side, connection), ());
            return;
        }
        for (at, end) in [((side, connection), peer), (peer, (side, connection))] {
            let facts = Box::new(facts(self.names[end.0]));
            self.events.push_back((at.0, Event::TlsStarted { connection: at.1, facts }));
        }
    }
}

fn facts(name: &str) -> TlsFacts {
    let certificate = PeerCertificate {
        names: CertificateNames { dns: vec![name.to_owned()], ..CertificateNames::default() },
        trust: TrustVerdict::Trusted,
        purposes: Vec::new(),
        not_before: Date::from_unix_millis(0),
        not_after: Date::from_unix_millis(4_000_000_000_000),
        subject: name.to_owned(),
        issuer: "test".to_owned(),
        sha256: [0; 32],
        der: Arc::from([0_u8; 4]),
        chain: net_types::Chain::default(),
    };
    TlsFacts {
        version: TlsVersion::Tls13,
        cipher: "TLS13_AES_256_GCM_SHA384".to_owned(),
        alpn: None,
        server_name: None,
        peer: Some(Arc::new(certificate)),
    }
}
