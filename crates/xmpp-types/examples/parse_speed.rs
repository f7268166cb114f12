//! Measures parsing, printing and address reading on one core: `cargo run --release --example parse_speed`.

use std::hint::black_box;

use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::stream::StreamHeader;
use xmpp_types::xml::{Event, Limits, Parser, Printer};

const SMALL: &str = "<message from='romeo@montague.example/orchard' to='juliet@capulet.example' id='m1' \
    type='chat'><body>Neither, fair saint, if either thee dislike.</body></message>";

const TYPICAL: &str = "<message from='romeo@montague.example/orchard' to='juliet@capulet.example' \
    id='3f9c2b1e-0b6e-4a53-9f1c' type='chat' xml:lang='en'><body>Neither, fair saint, if either thee dislike. \
    &lt;3</body><active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='3f9c2b1e-0b6e-4a53-9f1c'/><delay xmlns='urn:xmpp:delay' \
    stamp='2026-11-22T10:00:00Z'/></message>";

fn main() {
    for (name, stanza) in [("small", SMALL), ("typical", TYPICAL)] {
        for piece in [usize::MAX, 1460, 64] {
            let rate = rate(|count| parse(stanza, count, piece));
            println!("parse {name} ({} octets), pieces of {piece}: {rate:.0}/s", stanza.len());
        }
        let rate = rate(|count| parse_and_print(stanza, count));
        println!("parse and print {name}: {rate:.0}/s");
    }
    let rate = rate(|count| {
        for _ in 0..count {
            black_box(Jid::parse(black_box("Romeo@montague.example/orchard")).is_ok());
        }
    });
    println!("addresses read: {rate:.0}/s");
}

/// Runs `work` with growing counts until one takes long enough to trust, and returns counts per second of a processor.
fn rate(work: impl Fn(u32)) -> f64 {
    let mut count: u32 = 1000;
    loop {
        let begin = processor_time();
        work(count);
        let took = processor_time() - begin;
        if took > 0.3 {
            return f64::from(count) / took;
        }
        count *= 2;
    }
}

/// Returns the seconds this thread has had of a processor, which other programs do not change.
fn processor_time() -> f64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    let nanoseconds = statistics.split(' ').next().and_then(|first| first.parse::<f64>().ok());
    nanoseconds.expect("the first field is a number") / 1e9
}

fn opened() -> Parser {
    let mut header = Vec::new();
    StreamHeader::server().print(&mut header);
    let mut parser = Parser::new(Limits::AUTHENTICATED);
    parser.feed(&header);
    assert!(matches!(parser.next_event(), Ok(Some(Event::StreamOpened(_)))));
    parser
}

fn parse(stanza: &str, count: u32, piece: usize) {
    let batch = stanza.repeat(32);
    let mut parser = opened();
    let mut seen = 0;
    while seen < count {
        for octets in batch.as_bytes().chunks(piece.min(batch.len())) {
            parser.feed(octets);
            while let Ok(Some(event)) = parser.next_event() {
                black_box(&event);
                seen += 1;
            }
        }
    }
}

fn parse_and_print(stanza: &str, count: u32) {
    let printer = Printer::new(ns::SERVER);
    let mut parser = opened();
    let mut out = Vec::with_capacity(4096);
    for _ in 0..count {
        parser.feed(stanza.as_bytes());
        while let Ok(Some(Event::Stanza(element))) = parser.next_event() {
            out.clear();
            printer.print(&element, &mut out);
            black_box(&out);
        }
    }
}
