//! A SIP server that says what a play says, octet for octet, and tells all that it hears.
//!
//! It has no transactions of its own, because a play also shows what a server does that has lost its memory: the
//! same request once more, an answer that comes late. What it hears a second time under the same branch it answers
//! as it did the first time, and does not tell again (RFC 3261 §17.2.2). An [`Auditor`] listens.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clock_types::{Ids, Moment, Now};
use net_types::{ConnectionId, Event, ListenerId, Order, Remote, TlsClient};
use sip_proto::endpoint::Transport;
use sip_types::reason_phrase;

use crate::audit::Auditor;
use crate::play::{Bindings, SipAnswer, SipLine, SipLines, filled};
use crate::raw::{RawFrame, RawMessage, RawStream};
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
    auditor: Auditor,
    streams: BTreeMap<ConnectionId, RawStream>,
    /// Our connections to the gateway, by their number in plays.
    dialled: BTreeMap<u8, Dialled>,
    next_connection: u64,
    /// The last request, and the connection it went over.
    last_request: (u8, RawMessage),
    /// The last INVITE, which a CANCEL is for.
    last_invite: Option<(u8, RawMessage)>,
    /// Requests without a final answer, the oldest first.
    unanswered: VecDeque<(Way, RawMessage)>,
    /// The last INVITE that has its final answer, for the answer of another fork.
    answered_invite: Option<(Way, RawMessage)>,
    /// What each branch and method was answered; nothing yet for those in `unanswered`.
    answers: BTreeMap<(String, String), Option<Bytes>>,
    outputs: VecDeque<Output>,
}

/// A connection of ours to the gateway.
#[derive(Debug)]
enum Dialled {
    Open(ConnectionId),
    Opening(ConnectionId, Vec<Bytes>),
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
    pub fn new(settings: SipActorSettings, ids: Ids) -> Self {
        Self {
            settings,
            ids,
            auditor: Auditor::default(),
            streams: BTreeMap::new(),
            dialled: BTreeMap::new(),
            next_connection: 0,
            last_request: (1, RawMessage::default()),
            last_invite: None,
            unanswered: VecDeque::new(),
            answered_invite: None,
            answers: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Says what a play says.
    pub fn say(&mut self, lines: &SipLines) {
        match lines {
            SipLines::Request(line, bindings) => self.say_request(line, bindings),
            SipLines::Again => {
                let (link, request) = self.last_request.clone();
                self.send(link, request.octets());
            }
            SipLines::Answer(answer, bindings) => self.answer(answer, bindings),
            SipLines::HangUp => self.hang_up(),
        }
    }

    /// Takes one event of the shell.
    pub fn handle_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Accepted { connection, .. } => drop(self.streams.insert(connection, RawStream::default())),
            Event::Connected { connection, .. } => {
                self.streams.insert(connection, RawStream::default());
                let Some(link) = self.link_of(connection) else { return };
                let opening = self.dialled.insert(link, Dialled::Open(connection));
                if let Some(Dialled::Opening(_, waiting)) = opening {
                    for bytes in waiting {
                        self.order(Order::Send { connection, bytes });
                    }
                }
            }
            Event::ConnectFailed { connection, reason, .. } => {
                self.tell(Said::Note(format!("the gateway cannot be reached: {reason}")));
                let Some(link) = self.link_of(connection) else { return };
                if let Some(Dialled::Opening(_, waiting)) = self.dialled.remove(&link) {
                    self.dialled.insert(link, Dialled::Resting { until: now.moment + PAUSE, waiting });
                }
            }
            Event::Bytes { connection, bytes } => self.hear_bytes(connection, &bytes),
            Event::Closed { connection, .. } => {
                self.streams.remove(&connection);
                self.auditor.handle_closed();
                if let Some(link) = self.link_of(connection) {
                    self.dialled.remove(&link);
                }
            }
            Event::Datagram { socket, from, bytes } => match RawMessage::parse(&bytes) {
                Some(message) => self.hear(Way::Datagram(socket, from), message),
                None => self.tell(Said::Complaint(format!("no SIP came: {bytes:?}"))),
            },
            Event::TlsStarted { .. } | Event::Resolved { .. } => {}
        }
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        let due: Vec<u8> = self
            .dialled
            .iter()
            .filter(|(_, dialled)| matches!(dialled, Dialled::Resting { until, .. } if *until <= now.moment))
            .map(|(link, _)| *link)
            .collect();
        for link in due {
            if let Some(Dialled::Resting { waiting, .. }) = self.dialled.remove(&link) {
                self.dial(link, waiting);
            }
        }
    }

    /// Returns the next thing to do or to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let rests = self.dialled.values().filter_map(|dialled| match dialled {
            Dialled::Resting { until, .. } => Some(*until),
            Dialled::Open(_) | Dialled::Opening(..) => None,
        });
        rests.min()
    }

    fn say_request(&mut self, line: &SipLine, bindings: &Bindings) {
        let via = match &self.last_invite {
            // A CANCEL has the branch of what it cancels (RFC 3261 §9.1).
            Some((_, invite)) if line.method == "CANCEL" => {
                invite.header("Via").unwrap_or_default().to_owned()
            }
            Some(_) | None => {
                let branch = self.ids.token("branch");
                let transport = self.settings.transport.as_str().to_ascii_uppercase();
                format!("SIP/2.0/{transport} {};branch=z9hG4bK{branch}", self.settings.sent_by)
            }
        };
        let request = line.request(&via, bindings);
        self.auditor.handle_said(&request);
        if line.method == "INVITE" {
            self.last_invite = Some((line.over, request.clone()));
        }
        self.send(line.over, request.octets());
        if line.method != "ACK" {
            self.last_request = (line.over, request);
        }
    }

    fn send(&mut self, link: u8, bytes: Bytes) {
        if self.settings.transport == Transport::Udp {
            let to = self.settings.gateway;
            return self.order(Order::SendDatagram { socket: ListenerId(0), to, bytes });
        }
        match self.dialled.get_mut(&link) {
            Some(Dialled::Open(connection)) => {
                let connection = *connection;
                self.order(Order::Send { connection, bytes });
            }
            Some(Dialled::Opening(_, waiting) | Dialled::Resting { waiting, .. }) => waiting.push(bytes),
            None => self.dial(link, vec![bytes]),
        }
    }

    fn dial(&mut self, link: u8, waiting: Vec<Bytes>) {
        self.next_connection += 1;
        let connection = ConnectionId::dialled(self.next_connection);
        self.dialled.insert(link, Dialled::Opening(connection, waiting));
        self.order(Order::Connect {
            connection,
            to: Remote::Address(self.settings.gateway),
            tls: self.settings.tls.clone().map(Box::new),
            timeout: Duration::from_secs(10),
        });
    }

    fn link_of(&self, connection: ConnectionId) -> Option<u8> {
        let is_it = |dialled: &Dialled| match dialled {
            Dialled::Open(open) | Dialled::Opening(open, _) => *open == connection,
            Dialled::Resting { .. } => false,
        };
        self.dialled.iter().find(|(_, dialled)| is_it(dialled)).map(|(link, _)| *link)
    }

    /// Closes every connection, its own and the gateway's.
    fn hang_up(&mut self) {
        self.dialled.clear();
        self.auditor.handle_closed();
        // No answer reaches whom it was for.
        self.unanswered.retain(|(way, _)| matches!(way, Way::Datagram(..)));
        for (connection, _) in std::mem::take(&mut self.streams) {
            self.order(Order::Close { connection });
        }
    }

    fn hear_bytes(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(&connection) else { return };
        stream.push(bytes);
        let frames: Vec<_> = std::iter::from_fn(|| stream.poll_frame()).collect();
        for frame in frames {
            match frame {
                RawFrame::Message(message) => self.hear(Way::Connection(connection), message),
                RawFrame::Ping => {
                    self.order(Order::Send { connection, bytes: Bytes::from_static(b"\r\n") });
                }
                RawFrame::Nonsense(what) => self.tell(Said::Complaint(format!("no SIP came: {what:?}"))),
            }
        }
    }

    fn hear(&mut self, way: Way, message: RawMessage) {
        if message.status().is_none() {
            let key = key_of(&message);
            match self.answers.get(&key).cloned() {
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
            let is_answered = key.1 != "ACK";
            self.answers.insert(key, None);
            if is_answered {
                self.unanswered.push_back((way, message.clone()));
            }
        }
        for words in self.auditor.handle_heard(&message) {
            self.tell(Said::Complaint(words));
        }
        match message.status() {
            // It says only that the request has come (RFC 3261 §21.1.1).
            Some(100) => return,
            Some(300..) if message.cseq().is_some_and(|(_, method)| method == "INVITE") => {
                self.acknowledge(&message);
            }
            Some(_) | None => {}
        }
        let link = match way {
            Way::Connection(connection) => self.link_of(connection),
            Way::Datagram(..) => None,
        };
        self.tell(Said::Message { link, message: Box::new(message) });
    }

    /// Acknowledges a refusal of our INVITE, which its transaction does and no play writes (RFC 3261 §17.1.1.3).
    fn acknowledge(&mut self, refusal: &RawMessage) {
        let Some((link, invite)) = &self.last_invite else { return };
        let (link, mut ack) = (*link, invite.clone());
        ack.start = ack.start.replacen("INVITE", "ACK", 1);
        ack.body = Bytes::new();
        ack.headers.retain(|(name, _)| !name.starts_with("Content-"));
        for (name, value) in &mut ack.headers {
            match name.as_str() {
                "To" => refusal.header("To").unwrap_or_default().clone_into(value),
                "CSeq" => *value = value.replace("INVITE", "ACK"),
                _ => {}
            }
        }
        self.send(link, ack.octets());
    }

    /// Answers the oldest request that has no final answer, or the one that the answer is for.
    fn answer(&mut self, answer: &SipAnswer, bindings: &Bindings) {
        let wanted =
            |request: &RawMessage| answer.of.as_deref().is_none_or(|of| request.method() == Some(of));
        let place = self.unanswered.iter().position(|(_, request)| wanted(request));
        let asked = match place.and_then(|place| self.unanswered.remove(place)) {
            None if answer.of.as_deref() == Some("INVITE") => self.answered_invite.clone(),
            asked => asked,
        };
        let Some((way, request)) = asked else {
            return self.tell(Said::Complaint("there is no request to answer".to_owned()));
        };
        let tag = match &answer.tag {
            Some(tag) => bindings.fill(tag),
            None => self.ids.token("tag"),
        };
        let reason = match answer.reason.as_str() {
            "" => reason_phrase(answer.status),
            reason => reason,
        };
        let mut response = request.response(answer.status, reason, &tag);
        for (name, value) in &answer.headers {
            response.headers.push((name.clone(), bindings.fill(value)));
        }
        response.body = filled(&answer.body, bindings);
        self.auditor.handle_said(&response);
        let octets = response.octets();
        self.send_back(way, octets.clone());
        if answer.status < 200 {
            self.unanswered.push_front((way, request));
            return;
        }
        self.answers.insert(key_of(&request), Some(octets));
        if request.method() == Some("INVITE") {
            self.answered_invite = Some((way, request));
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

fn key_of(request: &RawMessage) -> (String, String) {
    (request.branch().to_owned(), request.method().unwrap_or_default().to_owned())
}

/// How many requests are remembered.
const REQUESTS_MAX: usize = 1000;
/// Between attempts to reach the gateway.
const PAUSE: Duration = Duration::from_millis(200);
