//! One machine on a timeline, and what peers say to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use net_types::{AddressRange, Bytes, ConnectionId, Event, ListenerId, Order, Question, Remote, Trust};
use sip_types::msrp::{Frame, Ident, Kind, Message, Path, StreamFramer, SuccessReport};
use sip_types::{HeaderText, Host};

use crate::msrp::{Dial, Listener, Msrp, Output, Peer, SessionKey, Settings, ToSend};

const LISTENER: ListenerId = ListenerId(7);
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 5)), 9000);

/// One machine, its clock, and what it said.
pub struct Timeline {
    pub msrp: Msrp,
    pub now: Now,
    accepted: u64,
    framer: StreamFramer,
}

impl Timeline {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let listener =
            Listener { id: LISTENER, secure: false, host: Host::parse("203.0.113.9").unwrap(), port: 2855 };
        let mut settings = Settings::new(vec![listener], None, Trust("sip".into()));
        settings.allowed = vec![AddressRange { network: "198.51.100.0".parse().unwrap(), prefix: 24 }];
        change(&mut settings);
        Self {
            msrp: Msrp::new(settings, Ids::counting()),
            now: Now { moment: Moment::ZERO, date: clock_types::Date::from_unix_millis(0) },
            accepted: 0,
            framer: StreamFramer::new(sip_types::msrp::Limits::default()),
        }
    }

    #[track_caller]
    pub fn prepare(&mut self) -> (SessionKey, String) {
        let (key, uri) = self.msrp.prepare(false, self.now).unwrap();
        (key, uri.to_string())
    }

    pub fn join(&mut self, key: SessionKey, path: &str, dial: Dial) {
        let peer = Peer { path: Path::parse(path).unwrap(), dial, fingerprint: None };
        self.msrp.join(key, peer, self.now);
    }

    pub fn accept(&mut self) -> ConnectionId {
        let connection = ConnectionId::accepted(self.accepted);
        self.accepted += 1;
        let remote = Remote::Address(PEER);
        let event = Event::Accepted { connection, listener: LISTENER, local: None, remote, tls: None };
        assert!(self.msrp.concerns(&event));
        self.msrp.handle_net(event, self.now);
        connection
    }

    pub fn bytes(&mut self, connection: ConnectionId, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.msrp.handle_net(Event::Bytes { connection, bytes }, self.now);
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.msrp.handle_timeout(self.now);
    }

    /// Returns what came out, each as one line: what was sent, what was said.
    pub fn said(&mut self) -> Vec<String> {
        let outputs: Vec<_> = std::iter::from_fn(|| self.msrp.poll_output()).collect();
        outputs.into_iter().map(|output| self.line(output)).collect()
    }

    pub fn line(&mut self, output: Output) -> String {
        match output {
            Output::Order(Order::Send { bytes, .. }) => {
                self.framer.push(&bytes);
                match self.framer.poll_frame() {
                    Some(Frame::Message(message)) => summary(&message),
                    other => panic!("{other:?}"),
                }
            }
            Output::Order(Order::Connect { connection, to, .. }) => format!("connect {connection} {to}"),
            Output::Order(Order::Close { connection }) => format!("close {connection}"),
            Output::Order(Order::Resolve { question: Question::Addresses(name), .. }) => {
                format!("resolve {name}")
            }
            Output::Order(order) => format!("{order:?}"),
            Output::Opened { .. } => "opened".to_owned(),
            Output::Received(received) => format!("received {} {:?}", received.message_id, received.body),
            Output::Accepted { message_id, .. } => format!("accepted {message_id}"),
            Output::Delivered { message_id, .. } => format!("delivered {message_id}"),
            Output::Failed { message_id, failure, .. } => format!("failed {message_id} {failure:?}"),
            Output::Closed { end, .. } => format!("over: {end}"),
            Output::Notice(notice) => format!("{notice:?}"),
        }
    }
}

pub fn summary(message: &Message) -> String {
    let body = message.body.as_ref().map(|body| format!(" {} octets", body.len())).unwrap_or_default();
    let range = message.byte_range.map(|range| format!(" {range}")).unwrap_or_default();
    let flag = char::from(message.continuation.octet());
    match &message.kind {
        Kind::Response { code, .. } => format!("{code} to {}", message.transaction),
        Kind::Request(method) => {
            let status =
                message.status.as_ref().map(|status| format!(" {}", status.code)).unwrap_or_default();
            format!("{} {}{range}{status}{body}{flag}", method.as_str(), message.transaction)
        }
    }
}

pub fn send(to: &str, name: &str, headers: &str, body: Option<&str>, flag: char) -> String {
    let body = body.map(|body| format!("Content-Type: text/plain\r\n\r\n{body}\r\n")).unwrap_or_default();
    format!(
        "MSRP {name} SEND\r\nTo-Path: {to}\r\nFrom-Path: msrp://198.51.100.5:9000/peer;tcp\r\n{headers}{body}-------{name}{flag}\r\n"
    )
}

pub fn response(name: &str, code: u16) -> String {
    format!(
        "MSRP {name} {code} x\r\nTo-Path: msrp://203.0.113.9:2855/x;tcp\r\nFrom-Path: msrp://198.51.100.5:9000/peer;tcp\r\n-------{name}$\r\n"
    )
}

pub fn report(to: &str, id: &str, range: &str, code: u16) -> String {
    format!(
        "MSRP rep1 REPORT\r\nTo-Path: {to}\r\nFrom-Path: msrp://198.51.100.5:9000/peer;tcp\r\nMessage-ID: {id}\r\n{range}Status: 000 {code}\r\n-------rep1$\r\n"
    )
}

pub fn content(id: &str, body: impl Into<Bytes>) -> ToSend {
    ToSend {
        message_id: Ident::parse(id).unwrap(),
        content_type: HeaderText::from_static("text/plain"),
        body: body.into(),
        success_report: SuccessReport::Yes,
    }
}

pub const PATH: &str = "msrp://198.51.100.5:9000/peer;tcp";

/// A session that we dialled, with its bodiless SEND answered.
pub fn dialled() -> (Timeline, SessionKey, String, ConnectionId) {
    let mut timeline = Timeline::new();
    let (key, ours) = timeline.prepare();
    timeline.join(key, PATH, Dial::Us);
    let said = timeline.said();
    let connection = ConnectionId::dialled((2 << 32) + 1);
    assert_eq!(said, [format!("connect {connection} 198.51.100.5:9000")]);
    timeline.msrp.handle_net(Event::Connected { connection, local: None, tls: None }, timeline.now);
    assert_eq!(timeline.said(), ["SEND t-2$", "opened"]);
    timeline.bytes(connection, &response("t-2", 200));
    assert_eq!(timeline.said(), [""; 0]);
    (timeline, key, ours, connection)
}

/// A session that the peer dialled.
pub fn waiting() -> (Timeline, SessionKey, String, ConnectionId) {
    let mut timeline = Timeline::new();
    let (key, ours) = timeline.prepare();
    timeline.join(key, PATH, Dial::Peer);
    let connection = timeline.accept();
    timeline.bytes(connection, &send(&ours, "aaaa", "Message-ID: m0aa\r\n", None, '$'));
    assert_eq!(timeline.said(), ["opened", "200 to aaaa"]);
    (timeline, key, ours, connection)
}
