//! Measures durable messages per second: each is accepted and settled, as many in flight as told.
//!
//! `cargo run --release -p store --example throughput -- FILE [MESSAGES] [IN-FLIGHT]`

use std::sync::mpsc;
use std::time::{Duration, Instant};

use clock_types::Date;
use gateway_role::{AcceptedMessage, Direction, MessageKey, Record};
use store::{Outcome, Store};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("the first argument is the file to write");
    let mut number = |default: u64| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (messages, in_flight) = (number(200_000), number(256));
    let (store, recovered) = Store::open(file.as_ref()).expect("the store opens");
    println!("{} messages were there", recovered.unsettled.len());
    let (tell, told) = mpsc::channel();
    let date = Date::from_unix_millis(1_700_000_000_000);
    let start = Instant::now();
    let mut open = 0;
    for number in 0..messages {
        let key = MessageKey(format!("{number}").into());
        let message = AcceptedMessage {
            key: key.clone(),
            direction: Direction::ToXmpp,
            stanza: "x".repeat(500),
            report_to: Some("sip:romeo@example.com".into()),
            accepted: date,
            expires: date.plus(Duration::from_secs(86_400)),
            report: None,
        };
        for record in [Record::Accepted(Box::new(message)), Record::Settled { key, date }] {
            let tell = tell.clone();
            store.submit(vec![record], move |outcome| {
                assert_eq!(outcome, Outcome::Stored);
                tell.send(()).expect("the main thread listens");
            });
            open += 1;
        }
        while open >= in_flight {
            told.recv().expect("every batch is told");
            open -= 1;
        }
    }
    drop(store);
    let took = start.elapsed();
    let rate = messages as f64 / took.as_secs_f64();
    println!("{messages} messages accepted and settled durably in {took:.2?}: {rate:.0} a second");
}
