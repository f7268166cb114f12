//! The SIP side: a user agent server and client that sends MESSAGE, by itself or in sessions, and answers 200,
//! and does nothing else.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now};
use net::Role;
use net_types::{Bytes, ConnectionId, Event, ListenerId, Order, Remote, TlsClient};
use sip_types::framing::Limits;
use sip_types::message::{Message, Request, Response};
use sip_types::{Frame, Method, StreamFramer, parse_datagram};

use crate::ledger::Run;
use crate::pacing::{Sending, USERS, number_of, text};
use crate::pairs::status;
use crate::peer::{Command, Emitted};
use crate::phones::Phones;
use crate::talks::{Talks, accept};

/// How requests travel.
#[derive(Clone, Debug)]
pub enum Transport {
    /// Datagrams, from a socket of the agent's.
    Udp(ListenerId),
    /// A stream.
    Tcp,
    /// A stream over TLS.
    Tls(TlsClient),
}

impl Transport {
    /// Returns its name in Via.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Udp(_) => "UDP",
            Self::Tcp => "TCP",
            Self::Tls(_) => "TLS",
        }
    }
}

/// Where requests may be sent.
#[derive(Clone, Debug)]
pub struct Way {
    /// How.
    pub transport: Transport,
    /// To which address.
    pub to: SocketAddr,
    /// The senders' domain.
    pub from_domain: String,
    /// The recipients' domain.
    pub to_domain: String,
    /// What is sent.
    pub says: Says,
}

/// What is sent by a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Messages, each by itself.
    Messages,
    /// Messages in sessions, which must have been opened.
    InSessions,
    /// Presence in subscriptions, which must have been opened.
    Presence,
}

/// The agent.
pub struct Agent {
    ways: Vec<Way>,
    local: SocketAddr,
    framers: Vec<(ConnectionId, StreamFramer)>,
    receiving: Option<Arc<Run>>,
    sending: Option<Sending>,
    /// What waits for the connection.
    waiting: usize,
    /// The sessions that were opened, all by one way.
    talks: Talks,
    /// The subscriptions, all by one way.
    phones: Phones,
    outputs: VecDeque<Emitted>,
}

/// Where something came from, and its answer goes to.
#[derive(Clone, Copy, Debug)]
enum Source {
    Stream(ConnectionId),
    Datagram(ListenerId, SocketAddr),
}

impl Agent {
    /// Returns an agent that sends by these ways; `local` is the address that it gives for itself.
    pub fn new(ways: Vec<Way>, local: SocketAddr) -> Self {
        Self {
            ways,
            local,
            framers: Vec::new(),
            receiving: None,
            sending: None,
            waiting: 0,
            talks: Talks::default(),
            phones: Phones::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Dials unless the connection of a way is open: a server closes one that nothing comes by.
    fn dial(&mut self, at: usize) {
        let connection = connection_of(at);
        let Some(way) = self.ways.get(at) else { return };
        let tls = match &way.transport {
            Transport::Udp(_) => return,
            Transport::Tcp => None,
            Transport::Tls(client) => Some(Box::new(client.clone())),
        };
        if !self.is_open(connection) {
            self.outputs.push_back(Emitted::Order(Order::Connect {
                connection,
                to: Remote::Address(way.to),
                tls,
                timeout: Duration::from_secs(5),
            }));
        }
    }

    fn open(&mut self, connection: ConnectionId) {
        self.framers.push((connection, StreamFramer::new(Limits::default())));
    }

    fn is_open(&self, connection: ConnectionId) -> bool {
        self.framers.iter().any(|(known, _)| *known == connection)
    }

    fn send(&mut self, count: usize) {
        let Some(at) = self.sending.as_ref().map(|sending| sending.way) else { return };
        let is_datagram = self.ways.get(at).is_some_and(|way| matches!(way.transport, Transport::Udp(_)));
        if !is_datagram && !self.is_open(connection_of(at)) {
            self.waiting += count;
            return;
        }
        let Some(sending) = &mut self.sending else { return };
        let Some(way) = self.ways.get(sending.way) else { return };
        let mut run = Vec::new();
        for _ in 0..count {
            let Some(number) = sending.run.begin() else {
                sending.end();
                break;
            };
            let start = run.len();
            match way.says {
                Says::Messages => print_request(number, way, self.local, &mut run),
                Says::InSessions => self.talks.print_message(number, way, self.local, &mut run),
                Says::Presence => {
                    self.phones.print_notify(number, &status(number), way, self.local, &mut run);
                }
            }
            if let Transport::Udp(socket) = way.transport {
                let bytes = Bytes::copy_from_slice(&run[start..]);
                self.outputs.push_back(Emitted::Order(Order::SendDatagram { socket, to: way.to, bytes }));
                run.clear();
            }
        }
        if !run.is_empty() {
            let connection = connection_of(sending.way);
            self.outputs.push_back(Emitted::Order(Order::Send { connection, bytes: run.into() }));
        }
    }

    fn hear(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let Some(at) = self.framers.iter().position(|(known, _)| *known == connection) else { return };
        self.framers[at].1.push(bytes);
        while let Some(frame) = self.framers[at].1.poll_frame() {
            match frame {
                Frame::Message(message) => self.take(message, Source::Stream(connection)),
                Frame::Ping => self.answer(b"\r\n".to_vec(), Source::Stream(connection)),
                Frame::Pong => {}
                Frame::Malformed(_) | Frame::Lost(_) => self.strange(),
            }
        }
    }

    fn take(&mut self, message: Message, source: Source) {
        match message {
            Message::Request(request) => self.take_request(&request, source),
            Message::Response(response) => self.take_response(&response),
        }
    }

    fn take_request(&mut self, request: &Request, source: Source) {
        let mut out = Vec::with_capacity(1024);
        match request.method() {
            Method::Message => self.count(request, source),
            Method::Invite => {
                accept(request, self.local, &mut out);
                return self.answer(out, source);
            }
            Method::Ack => return,
            Method::Subscribe | Method::Notify => {
                let Some(way) = self.ways.first() else { return };
                let run = self.receiving.as_ref();
                let opened = self.phones.take_request(request, run, way, self.local, &mut out);
                self.answer(out, source);
                if opened {
                    self.call();
                }
                return;
            }
            _ => {}
        }
        Response::to(request, 200).print(&mut out);
        self.answer(out, source);
    }

    fn count(&self, request: &Request, source: Source) {
        match (number_of(request.body()), &self.receiving) {
            (Some(number), Some(run)) => match source {
                Source::Stream(_) => run.arrived(number),
                Source::Datagram(..) => run.arrived_by_datagram(number),
            },
            _ => self.strange(),
        }
    }

    fn take_response(&mut self, response: &Response) {
        let Some(cseq) = response.cseq().filter(|_| response.status() >= 200) else { return };
        if cseq.method == Method::Invite {
            return self.accepted(response);
        }
        let of_presence = matches!(cseq.method, Method::Subscribe | Method::Notify);
        let number = if of_presence { self.phones.take_response(response) } else { Some(cseq.number) };
        let Some((sending, number)) = self.sending.as_ref().zip(number) else { return };
        let says = self.ways.get(sending.way).map(|way| way.says);
        let number = if says == Some(Says::InSessions) { self.talks.number_of(number) } else { number };
        match response.status() {
            200 => sending.run.settled(number),
            // 202 is a promise, not the truth about delivery.
            _ => sending.run.refused(number),
        }
        let more = sending.after_one_settled();
        self.send(more);
    }

    /// Opens as many sessions or subscriptions as may be under way at once.
    fn call(&mut self) {
        let at = self.talks.way().or_else(|| self.phones.way());
        let Some(at) = at.filter(|at| self.is_open(connection_of(*at))) else { return };
        let Some(way) = self.ways.get(at) else { return };
        let mut run = Vec::new();
        self.talks.print_invites(way, self.local, &mut run);
        self.phones.print_subscribes(way, self.local, &mut run);
        if !run.is_empty() {
            let connection = connection_of(at);
            self.outputs.push_back(Emitted::Order(Order::Send { connection, bytes: run.into() }));
        }
    }

    fn accepted(&mut self, response: &Response) {
        let Some((at, way)) = self.talks.way().and_then(|at| Some((at, self.ways.get(at)?))) else { return };
        let mut ack = Vec::new();
        self.talks.take_answer(response, way, self.local, &mut ack);
        if !ack.is_empty() {
            let connection = connection_of(at);
            self.outputs.push_back(Emitted::Order(Order::Send { connection, bytes: ack.into() }));
        }
        self.call();
    }

    fn answer(&mut self, bytes: Vec<u8>, source: Source) {
        let bytes = Bytes::from(bytes);
        self.outputs.push_back(Emitted::Order(match source {
            Source::Stream(connection) => Order::Send { connection, bytes },
            Source::Datagram(socket, to) => Order::SendDatagram { socket, to, bytes },
        }));
    }

    fn strange(&self) {
        if let Some(run) = &self.receiving {
            run.strange();
        }
    }
}

impl Role for Agent {
    type Command = Command;
    type Notice = ();
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, _now: Now) {
        match event {
            Event::Accepted { connection, .. } => self.open(connection),
            Event::Connected { connection, .. } => {
                self.open(connection);
                let waiting = std::mem::take(&mut self.waiting);
                self.send(waiting);
                self.call();
            }
            Event::Bytes { connection, bytes } => self.hear(connection, &bytes),
            Event::Closed { connection, .. } => self.framers.retain(|(known, _)| *known != connection),
            Event::Datagram { socket, from, bytes } => match parse_datagram(&bytes, &Limits::default()) {
                Ok(message) => self.take(message, Source::Datagram(socket, from)),
                Err(_) => self.strange(),
            },
            Event::ConnectFailed { reason, .. } => {
                eprintln!("bench: the SIP server cannot be reached: {reason}")
            }
            Event::TlsStarted { .. } | Event::Resolved { .. } => {}
        }
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        match command {
            Command::Receive(run) => self.receiving = Some(run),
            Command::Open(opening) => {
                let at = opening.way;
                self.dial(at);
                if self.ways.get(at).is_some_and(|way| way.says == Says::Presence) {
                    self.phones.open(opening);
                } else {
                    self.talks.open(opening);
                }
                self.call();
            }
            Command::Watch(aftermath) => self.phones.watch(aftermath),
            Command::Redial(_) => {}
            Command::Send(run, way) => {
                self.talks.begin();
                let (sending, count) = Sending::begin(run, way, now);
                self.sending = Some(sending);
                self.waiting = 0;
                self.dial(way);
                self.send(count);
            }
        }
    }

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, _now: Now) {
        self.outputs.push_back(Emitted::Stopped);
    }

    fn handle_timeout(&mut self, now: Now) {
        let due = self.sending.as_mut().map_or(0, |sending| sending.due(now));
        self.send(due);
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.sending.as_ref()?.next()
    }

    fn poll_output(&mut self) -> Option<Emitted> {
        self.outputs.pop_front()
    }
}

fn connection_of(way: usize) -> ConnectionId {
    ConnectionId::dialled(way as u64 + 1)
}

/// Prints a MESSAGE as a user agent would; its CSeq is the message's number.
fn print_request(number: u32, way: &Way, local: SocketAddr, out: &mut Vec<u8>) {
    use std::io::Write as _;
    let transport = way.transport.name();
    let (user, from_domain, to_domain) = (number % USERS, &way.from_domain, &way.to_domain);
    let text = text(number);
    // Distinct in every run: a server remembers what it has answered.
    let call = std::process::id() ^ SALT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).rotate_left(8);
    write!(
        out,
        "MESSAGE sip:user{user}@{to_domain} SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {local};branch=z9hG4bK{call:08x}{number};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:user{user}@{from_domain}>;tag={call:08x}\r\n\
         To: <sip:user{user}@{to_domain}>\r\n\
         Call-ID: {call:08x}-{number}@{from_domain}\r\n\
         CSeq: {number} MESSAGE\r\n\
         User-Agent: gangway-bench\r\n\
         Content-Type: text/plain;charset=UTF-8\r\n\
         Content-Length: {}\r\n\r\n{text}",
        text.len()
    )
    .expect("a vector takes all that is written");
}

static SALT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
