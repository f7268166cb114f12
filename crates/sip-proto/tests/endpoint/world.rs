//! An endpoint, its clock, and words for what it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{
    Answer, Bytes, ConnectionId, Event, Identity, ListenerId, Order, QueryId, Record, Remote, Stage, Trust,
    memory,
};
use sip_proto::endpoint::{
    Endpoint, FixedHop, Limits, Listener, Output, RequestKey, Route, ServerKey, Settings, Source, Transport,
};
use sip_types::header::{CallId, ContentType, NameAddr};
use sip_types::uri::{Host, Uri};
use sip_types::{Message, Method, Request, Response, Token};

pub const UDP: ListenerId = ListenerId(0);
pub const TCP: ListenerId = ListenerId(1);
pub const TLS: ListenerId = ListenerId(2);

/// The peer of most tests.
pub const PEER: &str = "192.0.2.1:5060";

pub struct World {
    pub endpoint: Endpoint,
    pub now: Now,
    /// What came out and was not looked at yet.
    heard: Vec<String>,
    /// Requests that were handed up, in order.
    pub requests: Vec<(ServerKey, Arc<Request>, Arc<Source>)>,
    /// Octets that were sent, in order.
    pub sent: Vec<Bytes>,
    pub notices: Vec<String>,
}

pub fn settings() -> Settings {
    let host = || Host::parse("192.0.2.10").unwrap();
    let listener =
        |id, transport: Transport| Listener { id, transport, host: host(), port: transport.default_port() };
    let listeners =
        vec![listener(UDP, Transport::Udp), listener(TCP, Transport::Tcp), listener(TLS, Transport::Tls)];
    let identity = Some(Identity("own".into()));
    Settings { first_number: 0, ..Settings::new(listeners, identity, Trust("roots".into())) }
}

pub fn limited(limits: Limits) -> World {
    World::new(Settings { limits, ..settings() })
}

impl Default for World {
    fn default() -> Self {
        Self::new(settings())
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        Self {
            endpoint: Endpoint::new(settings, Ids::counting()),
            now: Now { moment: Moment::ZERO, date: Date::default() },
            heard: Vec::new(),
            requests: Vec::new(),
            sent: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Lets time pass until `milliseconds` after the start, firing each timer at its moment.
    pub fn at(&mut self, milliseconds: u64) -> &mut Self {
        let end = Moment::ZERO + Duration::from_millis(milliseconds);
        while let Some(next) = self.endpoint.poll_timeout().filter(|next| *next <= end) {
            self.set_clock(next.max(self.now.moment));
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.set_clock(end);
        self
    }

    fn set_clock(&mut self, moment: Moment) {
        self.now = self.now.plus(moment.since(self.now.moment));
    }

    pub fn net(&mut self, event: Event) -> &mut Self {
        self.endpoint.handle_net(event, self.now);
        self.drain();
        self
    }

    pub fn datagram(&mut self, from: &str, text: &str) -> &mut Self {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.net(Event::Datagram { socket: UDP, from: address(from), bytes })
    }

    pub fn accept(&mut self, n: u64, listener: ListenerId, from: &str) -> ConnectionId {
        let connection = ConnectionId::accepted(n);
        let remote = Remote::Address(address(from));
        self.net(Event::Accepted { connection, listener, local: None, remote, tls: None });
        connection
    }

    /// Accepts TLS from a peer whose certificate is for these DNS names.
    pub fn accept_tls(&mut self, n: u64, from: &str, dns: &[&str]) -> ConnectionId {
        let connection = ConnectionId::accepted(n);
        let remote = Remote::Address(address(from));
        let tls = Some(memory::handshake(memory::certificate(dns)));
        self.net(Event::Accepted { connection, listener: TLS, local: None, remote, tls });
        connection
    }

    pub fn bytes(&mut self, connection: ConnectionId, text: &str) -> &mut Self {
        self.net(Event::Bytes { connection, bytes: Bytes::copy_from_slice(text.as_bytes()) })
    }

    pub fn closed(&mut self, connection: ConnectionId) -> &mut Self {
        self.net(Event::Closed { connection, reason: Some("reset".into()) })
    }

    pub fn connected(&mut self, n: u64) -> ConnectionId {
        let connection = ConnectionId::dialled(n);
        self.net(Event::Connected { connection, local: None, tls: None });
        connection
    }

    /// Lets a dialled connection end its handshake with a certificate for these DNS names.
    pub fn shook_hands(&mut self, n: u64, dns: &[&str]) -> ConnectionId {
        let connection = ConnectionId::dialled(n);
        self.net(Event::Connected {
            connection,
            local: None,
            tls: Some(memory::handshake(memory::certificate(dns))),
        });
        connection
    }

    pub fn refused(&mut self, n: u64) -> &mut Self {
        let connection = ConnectionId::dialled(n);
        let reason = "connection refused".into();
        self.net(Event::ConnectFailed { connection, stage: Stage::Tcp, reason })
    }

    pub fn resolved(&mut self, n: u64, records: Vec<Record>) -> &mut Self {
        self.net(Event::Resolved { query: QueryId(n), answer: Ok(Answer { records, secure: false }) })
    }

    pub fn send(&mut self, key: u64, request: Request, route: &Route) -> &mut Self {
        self.endpoint.send(RequestKey(key), request, route, self.now);
        self.drain();
        self
    }

    /// Answers the `n`th request that was handed up.
    pub fn answer(&mut self, n: usize, status: u16) -> &mut Self {
        let (key, request, _) = &self.requests[n];
        let response = Response::to(request, status).with_to_tag(&Token::parse("ours").unwrap());
        self.endpoint.respond(*key, response, self.now);
        self.drain();
        self
    }

    pub fn silence(&mut self, n: usize) -> &mut Self {
        self.endpoint.keep_silent(self.requests[n].0, self.now);
        self.drain();
        self
    }

    /// Checks that exactly this has come out since the last check, notices aside.
    #[track_caller]
    pub fn expect(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.heard), expected);
        self
    }

    pub fn forget(&mut self) -> &mut Self {
        self.heard.clear();
        self
    }

    /// Returns what was sent last, parsed.
    #[track_caller]
    pub fn last_sent(&self) -> Message {
        let sent = self.sent.last().expect("something was sent");
        sip_types::parse_datagram(sent, &sip_types::Limits::default()).expect("what we send parses")
    }

    #[track_caller]
    pub fn last_text(&self) -> &str {
        std::str::from_utf8(self.sent.last().expect("something was sent")).unwrap()
    }

    /// Returns the response that a server gives the request sent last.
    #[track_caller]
    pub fn response_to_last(&self, status: u16, more: &str) -> String {
        let Message::Request(request) = self.last_sent() else { panic!("a response was sent last") };
        response_to(&request, status, more)
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Order(order) => self.hear_order(order),
                Output::Request { key, request, source } => {
                    self.heard.push(format!("request {}", request.method()));
                    self.requests.push((key, request, source));
                }
                Output::Ack { .. } => self.heard.push("ack".into()),
                Output::Cancelled { .. } => self.heard.push("cancelled".into()),
                Output::Expired { .. } => self.heard.push("expired".into()),
                Output::Response { key, response } => {
                    self.heard.push(format!("response {}: {}", key.0, response.status()));
                }
                Output::Failed { key, failure } => self.heard.push(format!("failed {}: {failure}", key.0)),
                Output::Notice(notice) => self.notices.push(format!("{notice:?}")),
            }
        }
    }

    fn hear_order(&mut self, order: Order) {
        let line = match order {
            Order::Send { connection, bytes } => {
                let line = format!("send {connection}: {}", first_line(&bytes));
                self.sent.push(bytes);
                line
            }
            Order::SendDatagram { to, bytes, .. } => {
                let line = format!("datagram {to}: {}", first_line(&bytes));
                self.sent.push(bytes);
                line
            }
            Order::Connect { connection, to, tls, .. } => match tls {
                None => format!("connect {connection}: {to}"),
                Some(tls) => format!("connect {connection}: {to} as {}", tls.name),
            },
            Order::Close { connection } => format!("close {connection}"),
            Order::Resolve { query, question } => format!("resolve {}: {question:?}", query.0),
            other => format!("{other:?}"),
        };
        self.heard.push(line);
    }
}

pub fn response_to(request: &Request, status: u16, more: &str) -> String {
    let mut bytes = Vec::new();
    Response::to(request, status).with_to_tag(&Token::parse("theirs").unwrap()).print(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (start, rest) = text.split_once("\r\n").unwrap();
    format!("{start}\r\n{more}{rest}")
}

fn first_line(bytes: &[u8]) -> String {
    if bytes.iter().all(|b| b"\r\n".contains(b)) {
        return format!("{:?}", std::str::from_utf8(bytes).unwrap());
    }
    let end = bytes.iter().position(|b| *b == b'\r').unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Returns a received request with this branch; an empty one means a Via without a branch.
pub fn wire(method: &str, transport: &str, branch: &str, call: &str) -> String {
    let branch = if branch.is_empty() { String::new() } else { format!(";branch=z9hG4bK{branch}") };
    format!(
        "{method} sip:ann@x.example SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 192.0.2.1:5060{branch}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:bob@s.example>;tag=b\r\n\
         To: <sip:ann@x.example>\r\n\
         Call-ID: {call}\r\n\
         CSeq: 1 {method}\r\n\
         Content-Length: 2\r\n\r\nHi"
    )
}

/// Returns a request of ours without Via.
pub fn ours(method: Method, body: usize) -> Request {
    let address = |uri: &str| NameAddr::new(Uri::parse(uri).unwrap());
    let from = address("sip:ann@x.example").with_tag(&Token::parse("a").unwrap());
    Request::new(
        method,
        Uri::parse("sip:bob@s.example").unwrap(),
        from,
        address("sip:bob@s.example"),
        CallId::parse("call-1").unwrap(),
        1,
    )
    .with_body(&ContentType::parse("text/plain").unwrap(), Bytes::from(vec![b'x'; body]))
}

pub fn fixed(transport: Transport, host: &str, port: u16) -> Route {
    Route::fixed(FixedHop::new(transport, Host::parse(host).unwrap(), Some(port)))
}

pub fn srv(priority: u16, port: u16, target: &str) -> Record {
    Record::Srv { priority, weight: 1, port, target: target.into() }
}

pub fn host(text: &str) -> Record {
    Record::Address(text.parse().unwrap())
}
