//! A SIP server that says what a play says, octet for octet, and tells all that it hears.
//!
//! It has no transactions of its own, because a play also shows what a server does that has lost its memory: the
//! same request once more, an answer that comes late. What it hears a second time under the same branch it answers
//! as it did the first time, and does not tell again (RFC 3261 §17.2.2).

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clock_types::{Ids, Moment, Now};
use net_types::{ConnectionId, Event, ListenerId, Order, Remote, TlsClient};
use sip_proto::endpoint::Transport;
use sip_types::framing::{Frame, Limits, StreamFramer, parse_datagram};
use sip_types::{HeaderText, Message, Request, Response, Token};

use crate::play::{SipAnswer, SipLines};
use crate::{Output, Said};

/// How the actor is set up.
#[derive(Clone, Debug)]
pub struct SipActorSettings {
    /// How it sends requests. It hears what comes on any of its listeners; a datagram socket is its first one.
    pub transport: Transport,
    /// Where it is reached, for its Via: `10.0.0.9:5060`.
    pub sent_by: String,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// How to shake hands with it.
    pub tls: Option<TlsClient>,
}

/// The SIP server of a play.
#[derive(Debug)]
pub struct SipActor {
    settings: SipActorSettings,
    ids: Ids,
    framers: BTreeMap<ConnectionId, StreamFramer>,
    dialled: Dialled,
    next_connection: u64,
    last_request: Bytes,
    /// Requests without a final answer, the oldest first.
    unanswered: VecDeque<(Way, Request)>,
    /// What each branch was answered; nothing yet for those in `unanswered`.
    answers: BTreeMap<String, Option<Bytes>>,
    outputs: VecDeque<Output>,
}

/// Our connection to the gateway.
#[derive(Debug)]
enum Dialled {
    No,
    Open(ConnectionId),
    Opening(Vec<Bytes>),
    Resting { until: Moment, waiting: Vec<Bytes> },
}

/// The way that an answer goes back.
#[derive(Clone, Copy, Debug)]
enum Way {
    Connection(ConnectionId),
    Datagram(ListenerId, SocketAddr),
}

impl SipActor {
    /// Returns an actor whose listeners the shell has opened.
    #[must_use]
    pub const fn new(settings: SipActorSettings, ids: Ids) -> Self {
        Self {
            settings,
            ids,
            framers: BTreeMap::new(),
            dialled: Dialled::No,
            next_connection: 0,
            last_request: Bytes::new(),
            unanswered: VecDeque::new(),
            answers: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Says what a play says.
    pub fn say(&mut self, lines: &SipLines) {
        match lines {
            SipLines::Request(line, bindings) => {
                let branch = self.ids.token("branch");
                let (transport, sent_by) = (self.settings.transport, &self.settings.sent_by);
                let via = format!("SIP/2.0/{} {sent_by};branch=z9hG4bK{branch}", transport.as_str());
                self.last_request = line.octets(&via, bindings).into();
                self.send(self.last_request.clone());
            }
            SipLines::Again => self.send(self.last_request.clone()),
            SipLines::Answer(answer) => self.answer(answer),
        }
    }

    /// Takes one event of the shell.
    pub fn handle_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Accepted { connection, .. } => {
                self.framers.insert(connection, StreamFramer::new(Limits::default()));
            }
            Event::Connected { connection, .. } => {
                self.framers.insert(connection, StreamFramer::new(Limits::default()));
                let opening = std::mem::replace(&mut self.dialled, Dialled::Open(connection));
                if let Dialled::Opening(waiting) = opening {
                    for bytes in waiting {
                        self.order(Order::Send { connection, bytes });
                    }
                }
            }
            Event::ConnectFailed { reason, .. } => {
                self.tell(Said::Note(format!("the gateway cannot be reached: {reason}")));
                if let Dialled::Opening(waiting) = std::mem::replace(&mut self.dialled, Dialled::No) {
                    self.dialled = Dialled::Resting { until: now.moment + PAUSE, waiting };
                }
            }
            Event::Bytes { connection, bytes } => self.hear_bytes(connection, &bytes),
            Event::Closed { connection, .. } => {
                self.framers.remove(&connection);
                if matches!(self.dialled, Dialled::Open(open) if open == connection) {
                    self.dialled = Dialled::No;
                }
            }
            Event::Datagram { socket, from, bytes } => match parse_datagram(&bytes, &Limits::default()) {
                Ok(message) => self.hear(Way::Datagram(socket, from), message),
                Err(malformed) => self.tell(Said::Note(format!("no SIP came: {}", malformed.what()))),
            },
            Event::TlsStarted { .. } | Event::Resolved { .. } => {}
        }
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        if let Dialled::Resting { until, waiting } = &mut self.dialled
            && *until <= now.moment
        {
            let waiting = std::mem::take(waiting);
            self.dial(waiting);
        }
    }

    /// Returns the next thing to do or to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Moment> {
        match self.dialled {
            Dialled::Resting { until, .. } => Some(until),
            Dialled::No | Dialled::Open(_) | Dialled::Opening(_) => None,
        }
    }

    fn send(&mut self, bytes: Bytes) {
        if self.settings.transport == Transport::Udp {
            let to = self.settings.gateway;
            return self.order(Order::SendDatagram { socket: ListenerId(0), to, bytes });
        }
        match &mut self.dialled {
            Dialled::Open(connection) => {
                let connection = *connection;
                self.order(Order::Send { connection, bytes });
            }
            Dialled::Opening(waiting) | Dialled::Resting { waiting, .. } => waiting.push(bytes),
            Dialled::No => self.dial(vec![bytes]),
        }
    }

    fn dial(&mut self, waiting: Vec<Bytes>) {
        self.next_connection += 1;
        let connection = ConnectionId::dialled(self.next_connection);
        self.dialled = Dialled::Opening(waiting);
        self.order(Order::Connect {
            connection,
            to: Remote::Address(self.settings.gateway),
            tls: self.settings.tls.clone().map(Box::new),
            timeout: Duration::from_secs(10),
        });
    }

    fn hear_bytes(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let Some(mut framer) = self.framers.remove(&connection) else { return };
        framer.push(bytes);
        while let Some(frame) = framer.poll_frame() {
            match frame {
                Frame::Message(message) => self.hear(Way::Connection(connection), message),
                Frame::Ping => {
                    self.order(Order::Send { connection, bytes: Bytes::from_static(b"\r\n") });
                }
                Frame::Pong => {}
                Frame::Malformed(malformed) | Frame::Lost(malformed) => {
                    self.tell(Said::Note(format!("no SIP came: {}", malformed.what())));
                }
            }
        }
        self.framers.insert(connection, framer);
    }

    fn hear(&mut self, way: Way, message: Message) {
        let mut octets = Vec::new();
        message.print(&mut octets);
        match message {
            Message::Request(request) => {
                let branch = branch(&request);
                match self.answers.get(&branch).cloned() {
                    Some(Some(answer)) => return self.send_back(way, answer),
                    Some(None) => return,
                    None => {}
                }
                // A play has no thousand requests; whoever sends more is forgotten.
                if self.answers.len() == REQUESTS_MAX {
                    self.answers.pop_first();
                }
                if self.unanswered.len() == REQUESTS_MAX {
                    self.unanswered.pop_front();
                }
                self.answers.insert(branch, None);
                self.unanswered.push_back((way, request));
            }
            // It says only that the request has come (RFC 3261 §21.1.1).
            Message::Response(response) if response.status() == 100 => return,
            Message::Response(_) => {}
        }
        self.tell(Said::Message(octets.into()));
    }

    /// Answers the oldest request that has no final answer.
    fn answer(&mut self, answer: &SipAnswer) {
        let Some((way, request)) = self.unanswered.pop_front() else {
            return self.tell(Said::Note("there is no request to answer".to_owned()));
        };
        let mut response = Response::to(&request, answer.status);
        if let Some(tag) = Token::parse(self.ids.token("tag")) {
            response = response.with_to_tag(&tag);
        }
        if let Ok(reason) = HeaderText::parse(answer.reason.clone())
            && !answer.reason.is_empty()
        {
            response = response.with_reason(&reason);
        }
        let mut octets = Vec::new();
        response.print(&mut octets);
        insert_headers(&mut octets, &answer.headers);
        let octets = Bytes::from(octets);
        self.send_back(way, octets.clone());
        if answer.status < 200 {
            self.unanswered.push_front((way, request));
        } else {
            self.answers.insert(branch(&request), Some(octets));
        }
    }

    fn send_back(&mut self, way: Way, bytes: Bytes) {
        self.order(match way {
            Way::Connection(connection) => Order::Send { connection, bytes },
            Way::Datagram(socket, to) => Order::SendDatagram { socket, to, bytes },
        });
    }

    fn order(&mut self, order: Order) {
        self.outputs.push_back(Output::Order(order));
    }

    fn tell(&mut self, said: Said) {
        self.outputs.push_back(Output::Said(said));
    }
}

fn branch(request: &Request) -> String {
    request.via().and_then(|via| via.branch()).unwrap_or_default().to_owned()
}

/// Puts header lines of the play's own below the start line; any name may stand there.
fn insert_headers(octets: &mut Vec<u8>, headers: &[(String, String)]) {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let below_start = octets.iter().position(|octet| *octet == b'\n').map_or(octets.len(), |at| at + 1);
    octets.splice(below_start..below_start, lines.into_bytes());
}

/// How many requests are remembered.
const REQUESTS_MAX: usize = 1000;
/// Between attempts to reach the gateway.
const PAUSE: Duration = Duration::from_millis(200);
