//! Measures a session's own time: to be set up by both sides, and per text said in it, by who says it and who hears
//! it; and the memory that an idle one keeps. Endpoint, parsing and printing are not in it.
//!
//! ```text
//! nice cargo run --release -p sip-proto --example session_speed
//! ```

use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Moment, Now};
use net_types::Bytes;
use sip_proto::endpoint::ServerKey;
use sip_proto::session::{About, Content, Output, Session, Settings};
use sip_types::header::{CallId, ContentType, NameAddr, Transport, Via};
use sip_types::{HeaderName, HeaderText, Host, Message, Method, Request, Response, Token, Uri};

const SESSIONS: u64 = 20_000;
const TEXTS: u64 = 200_000;

const SDP: &str = "v=0\r\no=- 0 0 IN IP4 203.0.113.9\r\ns=session\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\n\
                   m=message 5061 sip sip:ann@x.example\r\n\
                   a=accept-types:text/plain multipart/alternative application/im-iscomposing+xml\r\n";

fn main() {
    let settings = Arc::new(Settings::default());
    let before = resident();
    let begin = processor_time();
    let mut pairs: Vec<(Session, Session)> = (0..SESSIONS).map(|n| set_up(n, &settings)).collect();
    let took = processor_time() - begin;
    println!("set up, both sides: {} ns", took.as_nanos() / u128::from(SESSIONS));
    // Long after, when nothing waits any more.
    for (caller, called) in &mut pairs {
        caller.handle_timeout(at(600));
        called.handle_timeout(at(600));
    }
    println!("an idle session: {} octets", resident().saturating_sub(before) / (2 * SESSIONS));

    let (mut caller, mut called) = pairs.swap_remove(0);
    let begin = processor_time();
    for _ in 0..TEXTS {
        say(&mut caller, &mut called);
    }
    let took = processor_time() - begin;
    println!("a text, said and heard: {} ns", took.as_nanos() / u128::from(TEXTS));
}

fn set_up(n: u64, settings: &Arc<Settings>) -> (Session, Session) {
    let mut caller = Session::call(invite(n), Arc::clone(settings), at(0));
    let invite = Arc::new(through_the_wire(sent(&mut caller)));
    let contact = NameAddr::new(uri("sip:bob@s.example;opaque=user:epid:Kq1;gruu"));
    let tag = Token::parse(format!("called-{n}")).expect("it is a token");
    let mut called = Session::called(ServerKey(n), invite, &tag, contact, Arc::clone(settings), at(0));
    drain(&mut called);
    called.accept(Some(sdp()), at(0));
    let Some(Output::Respond { response, .. }) = called.poll_output() else { panic!("it is accepted") };
    drain(&mut called);
    caller.handle_response(About::Invite, Box::new(answer_through_the_wire(&response)), at(0));
    let ack = through_the_wire(sent(&mut caller));
    drain(&mut caller);
    called.handle_ack(&ack, at(0));
    drain(&mut called);
    (caller, called)
}

fn say(caller: &mut Session, called: &mut Session) {
    let dress = |request: Request| request.with_body(&ContentType::text_plain(), Bytes::from_static(b"Hi"));
    caller.send(Method::Message, dress, at(700)).expect("nothing is under way");
    let request = Arc::new(sent(caller));
    called.handle_request(ServerKey(1), Arc::clone(&request), at(700));
    drain(called);
    caller.handle_response(About::Inside, Box::new(Response::to(&request, 200)), at(700));
    drain(caller);
}

fn sent(session: &mut Session) -> Request {
    match session.poll_output() {
        Some(Output::Send { request, .. }) => *request,
        other => panic!("{other:?}"),
    }
}

fn drain(session: &mut Session) {
    while session.poll_output().is_some() {}
}

/// Prints and reads a request, so that what a session keeps of it is what it would keep of a received one.
fn through_the_wire(mut request: Request) -> Request {
    let branch = Token::parse("branch").expect("it is a token");
    request.push_via(Via::new(Transport::Tls, Host::parse("edge.s.example").expect("a host"), None, &branch));
    let route =
        HeaderText::from_static("<sip:pool.s.example:5061;transport=tls;opaque=state:F;lr>;ms-route-sig=aB");
    if *request.method() == Method::Invite {
        request = request.with(HeaderName::RecordRoute, &route);
    }
    let mut octets = Vec::new();
    request.print(&mut octets);
    match sip_types::parse_datagram(&octets.into(), &sip_types::Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn answer_through_the_wire(response: &Response) -> Response {
    let mut octets = Vec::new();
    response.print(&mut octets);
    match sip_types::parse_datagram(&octets.into(), &sip_types::Limits::default()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn invite(n: u64) -> Request {
    let tag = Token::parse(format!("calling-{n}")).expect("it is a token");
    let call_id = CallId::parse(format!("call-{n}@gateway.x.example")).expect("it is one");
    let to = uri("sip:bob@s.example");
    let from = NameAddr::new(uri("sip:ann@x.example")).with_tag(&tag);
    Request::new(Method::Invite, to.clone(), from, NameAddr::new(to), call_id, 1)
        .with_contact(&NameAddr::new(uri("sip:ann@gw.x.example:5061;transport=tls")))
        .with_body(&sdp().content_type, sdp().body)
}

fn sdp() -> Content {
    Content {
        content_type: ContentType::parse("application/sdp").expect("it is a type"),
        body: Bytes::from_static(SDP.as_bytes()),
    }
}

fn uri(text: &str) -> Uri {
    Uri::parse(text).expect("it is a URI")
}

fn at(seconds: u64) -> Now {
    let start = Now { moment: Moment::ZERO, date: Date::default() };
    start.plus(Duration::from_secs(seconds))
}

/// The memory of this process that is in use, in octets.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is always there");
    let number = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    number.expect("it is a number") * 1024
}

/// The time this process has computed: what others do meanwhile does not count.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").expect("this is Linux");
    let nanos = stat.split_whitespace().next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.expect("the first is a number"))
}
