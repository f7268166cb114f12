use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{Bytes, ConnectionId, Event, ListenerId, Order, Remote, Trust};
use sip_proto::endpoint::{Endpoint, Listener, Output, Settings, Transport};
use sip_types::{Host, Message, Response};

/// Somebody who talks to an endpoint whose user refuses everything.
pub struct Peer {
    endpoint: Endpoint,
    now: Now,
    connections: u64,
    open: Option<ConnectionId>,
    pub address: SocketAddr,
    /// Where datagrams and connections of the endpoint went.
    pub reached: Vec<IpAddr>,
}

/// What came of some octets.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the endpoint answered by itself.
    pub statuses: Vec<u16>,
    /// The methods of the requests that it handed up.
    pub handed_up: Vec<String>,
    pub closed: bool,
}

const GOOD: &str = "OPTIONS sip:gw.x.example SIP/2.0\r\n\
    Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKafterwards\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:bob@s.example>;tag=b\r\n\
    To: <sip:gw.x.example>\r\n\
    Call-ID: afterwards\r\n\
    CSeq: 1 OPTIONS\r\n\
    Content-Length: 0\r\n\r\n";

impl Peer {
    pub fn new() -> Self {
        let host = || Host::parse("192.0.2.10").unwrap();
        let listener = |id, transport| Listener { id: ListenerId(id), transport, host: host(), port: 5060 };
        let listeners = vec![listener(0, Transport::Udp), listener(1, Transport::Tcp)];
        let settings = Settings::new(listeners, None, Trust("none".into()));
        Self {
            endpoint: Endpoint::new(settings, Ids::counting()),
            now: Now { moment: Moment::ZERO, date: Date::default() },
            connections: 0,
            open: None,
            address: "192.0.2.1:5060".parse().unwrap(),
            reached: Vec::new(),
        }
    }

    pub fn say(&mut self, transport: Transport, octets: &[u8]) -> Outcome {
        let bytes = Bytes::copy_from_slice(octets);
        let event = match transport {
            Transport::Udp => Event::Datagram { socket: ListenerId(0), from: self.address, bytes },
            Transport::Tcp | Transport::Tls => Event::Bytes { connection: self.connect(), bytes },
        };
        let mut outcome = Outcome::default();
        self.endpoint.handle_net(event, self.now);
        self.drain(&mut outcome);
        outcome
    }

    /// Says octet after octet, each so long after the one before, until it is all said or nobody listens.
    pub fn drip(&mut self, octets: &[u8], pause: Duration) -> Outcome {
        let connection = self.connect();
        let mut outcome = Outcome::default();
        for octet in octets {
            let bytes = Bytes::copy_from_slice(&[*octet]);
            self.endpoint.handle_net(Event::Bytes { connection, bytes }, self.now);
            let end = self.now.plus(pause);
            while let Some(next) = self.endpoint.poll_timeout().filter(|next| *next <= end.moment) {
                self.now = self.now.plus(next.since(self.now.moment));
                self.endpoint.handle_timeout(self.now);
            }
            self.now = end;
            self.drain(&mut outcome);
            if outcome.closed {
                break;
            }
        }
        outcome
    }

    /// Leaves the connection that is open.
    pub fn go_elsewhere(&mut self) {
        self.open = None;
    }

    /// Returns whether a good request is served, on the connection that is open if there is one still.
    pub fn serves(&mut self, transport: Transport) -> bool {
        self.say(transport, GOOD.as_bytes()).handed_up == ["OPTIONS"]
    }

    fn connect(&mut self) -> ConnectionId {
        if let Some(open) = self.open {
            return open;
        }
        self.connections += 1;
        let connection = ConnectionId::accepted(self.connections);
        let remote = Remote::Address(self.address);
        let event = Event::Accepted { connection, listener: ListenerId(1), local: None, remote, tls: None };
        self.endpoint.handle_net(event, self.now);
        self.drain(&mut Outcome::default());
        self.open = Some(connection);
        connection
    }

    fn drain(&mut self, outcome: &mut Outcome) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Request { key, request, .. } => {
                    outcome.handed_up.push(request.method().as_str().to_owned());
                    self.endpoint.respond(key, Response::to(&request, 405), self.now);
                }
                Output::Order(Order::Send { bytes, .. }) => note(&bytes, outcome),
                Output::Order(Order::SendDatagram { to, bytes, .. }) => {
                    self.reached.push(to.ip());
                    note(&bytes, outcome);
                }
                Output::Order(Order::Connect { to: Remote::Address(to), .. }) => self.reached.push(to.ip()),
                Output::Order(Order::Close { .. }) => {
                    outcome.closed = true;
                    self.open = None;
                }
                _ => {}
            }
        }
    }
}

fn note(bytes: &Bytes, outcome: &mut Outcome) {
    if bytes.iter().all(|octet| b"\r\n".contains(octet)) {
        return;
    }
    let Ok(Message::Response(response)) = sip_types::parse_datagram(bytes, &sip_types::Limits::default())
    else {
        // An answer to what has no essentials has none either.
        let status = std::str::from_utf8(&bytes[8..11]).unwrap().parse().unwrap();
        outcome.statuses.push(status);
        return;
    };
    if outcome.handed_up.is_empty() {
        outcome.statuses.push(response.status());
    }
}
