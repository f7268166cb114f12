//! Measures the endpoint's own time per MESSAGE: octets in, request out, response in, octets out, over
//! one TCP connection and over UDP; the same as the sender, which also makes the request; and what of it
//! are values: parsing and printing.
//!
//! ```text
//! nice cargo run --release -p sip-proto --example endpoint_speed
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{Bytes, ConnectionId, Event, ListenerId, Order, Remote, Trust};
use sip_proto::endpoint::{Endpoint, FixedHop, Listener, Output, RequestKey, Route, Settings, Transport};
use sip_types::header::{CallId, ContentType, NameAddr};
use sip_types::uri::{Host, Uri};
use sip_types::{Message, Method, Request, Response, Token};

const MESSAGES: u64 = 100_000;

/// How much virtual time lies between two messages: 20,000 per second.
const APART: Duration = Duration::from_micros(50);

/// One measurement: the time it took, and the timers that were left.
type Run = fn() -> (Duration, usize);

fn main() {
    let chosen = std::env::args().nth(1);
    let runs: [(&str, Run); 5] = [
        ("values", values),
        ("server-tcp", || serve(true)),
        ("server-udp", || serve(false)),
        ("client-tcp", || send(true)),
        ("client-udp", || send(false)),
    ];
    for (what, run) in runs {
        if chosen.as_deref().is_none_or(|chosen| chosen == what) {
            report(what, run);
        }
    }
}

/// Does with values alone what a server does: reads a request, makes a response and prints it.
fn values() -> (Duration, usize) {
    let messages: Vec<Bytes> = (0..MESSAGES).map(|n| wire(n, true)).collect();
    let tag = Token::parse("ours").expect("it is a token");
    let begin = processor_time();
    for bytes in messages {
        let message = sip_types::parse_datagram(&bytes, &sip_types::Limits::default());
        let Ok(Message::Request(request)) = message else { panic!("our own requests parse") };
        let mut printed = Vec::with_capacity(512);
        Response::to(&request, 200).with_to_tag(&tag).print(&mut printed);
        assert!(!printed.is_empty());
    }
    (processor_time() - begin, 0)
}

fn report(what: &str, run: impl Fn() -> (Duration, usize)) {
    let best = (0..3).map(|_| run()).min().expect("there were three runs");
    let nanos = best.0.as_nanos() as f64 / MESSAGES as f64;
    println!("{what}: {nanos:.0} ns per message, {:.0} messages/s, {} timers left", 1e9 / nanos, best.1);
}

/// Returns the time that this thread has had a processor: a busy machine does not disturb it much.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel keeps these");
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.expect("the first number is the time on a processor"))
}

fn serve(tcp: bool) -> (Duration, usize) {
    let (mut endpoint, mut now) = (endpoint(), start());
    let connection = ConnectionId::accepted(1);
    let remote: SocketAddr = "192.0.2.1:5060".parse().expect("it is an address");
    let accepted = Event::Accepted {
        connection,
        listener: ListenerId(1),
        local: None,
        remote: Remote::Address(remote),
        tls: None,
    };
    endpoint.handle_net(accepted, now);
    let messages: Vec<Bytes> = (0..MESSAGES).map(|n| wire(n, tcp)).collect();
    let tag = Token::parse("ours").expect("it is a token");
    let (mut answered, mut octets) = (0, 0);

    let begin = processor_time();
    for bytes in messages {
        now = now.plus(APART);
        let event = if tcp {
            Event::Bytes { connection, bytes }
        } else {
            Event::Datagram { socket: ListenerId(0), from: remote, bytes }
        };
        endpoint.handle_net(event, now);
        fire(&mut endpoint, now);
        while let Some(output) = endpoint.poll_output() {
            match output {
                Output::Request { key, request, .. } => {
                    let response = Response::to(&request, 200).with_to_tag(&tag);
                    endpoint.respond(key, response, now);
                }
                Output::Order(Order::Send { bytes, .. } | Order::SendDatagram { bytes, .. }) => {
                    answered += 1;
                    octets += bytes.len();
                }
                _ => {}
            }
        }
    }
    let took = processor_time() - begin;

    assert_eq!(answered, MESSAGES);
    assert!(octets > 0);
    (took, endpoint.snapshot(now).timers)
}

fn send(tcp: bool) -> (Duration, usize) {
    // Branches follow from the seed, so a rehearsal knows what the answers must say.
    let (_, answers) = converse(tcp, None);
    let (begin, answers) = (processor_time(), Some(answers));
    let (timers, _) = converse(tcp, answers);
    (processor_time() - begin, timers)
}

/// Sends all messages and hears their answers; makes the answers if there are none.
fn converse(tcp: bool, answers: Option<Vec<Bytes>>) -> (usize, Vec<Bytes>) {
    let (mut endpoint, mut now) = (endpoint(), start());
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    let remote: SocketAddr = "192.0.2.1:5060".parse().expect("it is an address");
    let route = Route::fixed(FixedHop::at(transport, remote.ip(), remote.port()));
    let connection = ConnectionId::dialled(1);
    let (mut ended, mut made) = (0, Vec::new());
    for n in 0..MESSAGES {
        now = now.plus(APART);
        endpoint.send(RequestKey(n), request(n), &route, now);
        fire(&mut endpoint, now);
        let mut sent = take_sent(&mut endpoint, &mut ended);
        if sent.is_none() {
            endpoint.handle_net(Event::Connected { connection, local: None, tls: None }, now);
            sent = take_sent(&mut endpoint, &mut ended);
        }
        let bytes = match &answers {
            Some(answers) => answers[n as usize].clone(),
            None => answer(&sent.expect("the request was sent")),
        };
        if answers.is_none() {
            made.push(bytes.clone());
        }
        let event = if tcp {
            Event::Bytes { connection, bytes }
        } else {
            Event::Datagram { socket: ListenerId(0), from: remote, bytes }
        };
        endpoint.handle_net(event, now);
        take_sent(&mut endpoint, &mut ended);
    }
    assert_eq!(ended, MESSAGES);
    (endpoint.snapshot(now).timers, made)
}

fn take_sent(endpoint: &mut Endpoint, ended: &mut u64) -> Option<Bytes> {
    let mut sent = None;
    while let Some(output) = endpoint.poll_output() {
        match output {
            Output::Order(Order::Send { bytes, .. } | Order::SendDatagram { bytes, .. }) => {
                sent = Some(bytes)
            }
            Output::Response { .. } => *ended += 1,
            Output::Failed { failure, .. } => panic!("{failure}"),
            _ => {}
        }
    }
    sent
}

fn fire(endpoint: &mut Endpoint, now: Now) {
    if endpoint.poll_timeout().is_some_and(|next| next <= now.moment) {
        endpoint.handle_timeout(now);
    }
}

fn endpoint() -> Endpoint {
    let listener = |id, transport| Listener {
        id: ListenerId(id),
        transport,
        host: Host::parse("192.0.2.10").expect("it is a host"),
        port: 5060,
    };
    let listeners = vec![listener(0, Transport::Udp), listener(1, Transport::Tcp)];
    let settings = Settings { first_number: 0, ..Settings::new(listeners, None, Trust("none".into())) };
    Endpoint::new(settings, Ids::random([1; 32]))
}

fn start() -> Now {
    Now { moment: Moment::ZERO, date: Date::default() }
}

fn wire(n: u64, tcp: bool) -> Bytes {
    let transport = if tcp { "TCP" } else { "UDP" };
    let body = "Would you come to the meeting at ten?";
    Bytes::from(format!(
        "MESSAGE sip:ann@x.example SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 192.0.2.1:5060;branch=z9hG4bK776asdhds{n}\r\n\
         Max-Forwards: 70\r\n\
         From: \"Bob\" <sip:bob@s.example>;tag=49583{n}\r\n\
         To: <sip:ann@x.example>\r\n\
         Call-ID: asd88asd77a{n}@192.0.2.1\r\n\
         CSeq: 1 MESSAGE\r\n\
         Content-Type: text/plain;charset=UTF-8\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn request(n: u64) -> Request {
    let address = |uri: &str| NameAddr::new(Uri::parse(uri).expect("it is a URI"));
    let from = address("sip:ann@x.example").with_tag(&Token::parse("a").expect("it is a token"));
    Request::new(
        Method::Message,
        Uri::parse("sip:bob@s.example").expect("it is a URI"),
        from,
        address("sip:bob@s.example"),
        CallId::parse(format!("call-{n}")).expect("it is a Call-ID"),
        1,
    )
    .with_body(
        &ContentType::parse("text/plain;charset=UTF-8").expect("it is a media type"),
        Bytes::from_static(b"Would you come to the meeting at ten?"),
    )
}

/// Returns the server's answer without parsing: the request's headers under another start line.
fn answer(request: &[u8]) -> Bytes {
    let text = std::str::from_utf8(request).expect("we send text");
    let (head, _) = text.split_once("\r\n\r\n").expect("there is an empty line");
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    for line in head.lines().skip(1) {
        if ["Via", "From", "To", "Call-ID", "CSeq"].iter().any(|name| line.starts_with(name)) {
            answer.push_str(line);
            answer.push_str("\r\n");
        }
    }
    answer.push_str("Content-Length: 0\r\n\r\n");
    Bytes::from(answer)
}
