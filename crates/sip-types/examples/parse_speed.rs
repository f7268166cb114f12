//! How many MESSAGE requests one core reads and answers in a second.
//!
//! ```text
//! cargo run --release -p sip-types --example parse_speed [rounds [part-of-a-name]]
//! ```

use std::hint::black_box;

use bytes::Bytes;
use sip_types::header::{CallId, ContentType, NameAddr, Transport, Via};
use sip_types::{
    Frame, HeaderName, HeaderText, Host, Limits, Message, Method, Request, Response, StreamFramer, Token,
    Uri, parse_datagram,
};

/// As a Front End sends it: routes signed, a long User-Agent, parameters that are nobody's business.
const MESSAGE: &str = "MESSAGE sip:ann@x.example;transport=tls SIP/2.0\r\n\
    Via: SIP/2.0/TLS 192.0.2.5:51877;branch=z9hG4bK0E5B1C1E.7F2D9A6B0C3E4F55;branched=FALSE\r\n\
    Via: SIP/2.0/TLS 192.0.2.6:50113;ms-received-port=50113;ms-received-cid=2D00\r\n\
    Max-Forwards: 69\r\n\
    From: \"Bob Builder\" <sip:bob@s.example>;tag=29c3b7d1a2;epid=8f2a4c6e80\r\n\
    To: <sip:ann@x.example>;tag=8d21f0\r\n\
    Call-ID: 4f6b7a1c9d3e4b21a5c8e7f60d1b2a39\r\n\
    CSeq: 7 MESSAGE\r\n\
    Record-Route: <sip:fe.s.example:5061;transport=tls;opaque=state:F;lr>;tag=F0A1B2C3D4E5F60718293A4B5C6D7E8F\r\n\
    Contact: <sip:bob@s.example;opaque=user:epid:Yq3vWk2rYVeXm9k0b1n5aAAA;gruu>\r\n\
    User-Agent: UCCAPI/16.0.14326.20454 OC/16.0.14326.20454 (Skype for Business)\r\n\
    Supported: ms-dialog-route-set-update, ms-sender\r\n\
    Content-Type: text/plain; charset=UTF-8;msgr=WAAtAE0ATQBTAC0ASQBNAC0A\r\n\
    Content-Length: 32\r\n\r\n\
    Is half past ten fine with you?\n";

fn main() {
    // Shared octets, as those of a datagram are, and no constant.
    let wire = Bytes::from(MESSAGE.as_bytes().to_vec());
    let _other = wire.clone();
    let tag = Token::parse("8d21f0").expect("it is a token");
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(1_000_000_u32);
    println!("{} octets", wire.len());
    let wanted = std::env::args().nth(2).unwrap_or_default();
    let measure = |what: &str, one: &mut dyn FnMut()| {
        if !what.contains(&wanted) {
            return;
        }
        (0..rounds / 10).for_each(|_| one());
        let start = cpu_nanos();
        (0..rounds).for_each(|_| one());
        let nanos = (cpu_nanos() - start) / f64::from(rounds);
        println!("{what:<52} {nanos:>7.0} ns {:>10.0} /s", 1e9 / nanos);
    };

    let mut out = Vec::with_capacity(4096);
    measure("read a datagram", &mut || drop(black_box(read(&wire))));
    measure("read, look at Via From To CSeq, answer, print", &mut || {
        let request = read(&wire);
        black_box((request.via(), request.from().tag(), request.to().tag(), request.cseq().number));
        let response = Response::to(&request, 200).with_to_tag(&tag);
        out.clear();
        response.print(&mut out);
        black_box(&out);
    });
    let mut framer = StreamFramer::new(Limits::default());
    measure("as before, from a stream", &mut || {
        framer.push(&wire);
        let Some(Frame::Message(Message::Request(request))) = framer.poll_frame() else {
            panic!("it is a request")
        };
        let response = Response::to(&request, 200).with_to_tag(&tag);
        out.clear();
        response.print(&mut out);
        black_box(&out);
    });
    let (from, to) = (Uri::parse("sip:ann@x.example"), Uri::parse("sip:bob@s.example"));
    let (from, to) = (from.expect("a URI"), to.expect("a URI"));
    let subject = HeaderText::from_static("half past ten");
    measure("make a MESSAGE and print it", &mut || {
        let request = make(&from, &to, &tag, &subject);
        out.clear();
        request.print(&mut out);
        black_box(&out);
    });
}

/// Returns the time this process has had a core for, so that its neighbours do not count.
fn cpu_nanos() -> f64 {
    let run = std::fs::read_to_string("/proc/self/schedstat").expect("the kernel is Linux");
    run.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("it begins with the time on a core")
}

fn read(wire: &Bytes) -> Request {
    match parse_datagram(wire, &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("it is a request: {other:?}"),
    }
}

fn make(from: &Uri, to: &Uri, tag: &Token, subject: &HeaderText) -> Request {
    let call_id = CallId::parse("4f6b7a1c9d3e4b21").expect("it is one");
    let host = Host::parse("gw.x.example").expect("it is one");
    let from = NameAddr::new(from.clone()).with_tag(tag);
    let mut request = Request::new(Method::Message, to.clone(), from, NameAddr::new(to.clone()), call_id, 1)
        .with(HeaderName::Subject, subject)
        .with_body(&ContentType::text_plain(), Bytes::from_static(b"Is half past ten fine with you?"));
    request.push_via(Via::new(Transport::Tls, host, Some(5061), tag));
    request
}
