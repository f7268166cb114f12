//! Hostile inputs, as far as parser and framer decide.

use sip_types::Frame;

use crate::hearing::{datagram, hear, tell};
use crate::input::{self, Case};

/// What the INDEX asks for and is not decided by this crate alone. Each must fail, else it goes.
const NOT_HERE: [(&str, &str); 2] = [
    ("u03-udp-64k", "the body is within the limit of streams; who owns a datagram socket sets a smaller one"),
    ("t19-subscribe-poll-flood", "it is no message but an order to send a thousand"),
];

#[test]
fn every_hostile_input_is_taken_or_refused_as_the_index_says() {
    let mut looked_at = 0;
    for case in input::cases("sip-hostile") {
        let verdict = verdict(&case);
        match NOT_HERE.iter().find(|(id, _)| *id == case.id) {
            Some((id, _)) => assert!(verdict.is_err(), "{id} is as it should be: take it off the list"),
            None => {
                if let Err(why) = verdict {
                    panic!("{}: {why}", case.id);
                }
            }
        }
        looked_at += 1;
    }
    assert_eq!(looked_at, 69);
}

#[test]
fn a_header_that_is_too_long_is_refused_before_it_has_arrived() {
    let endless = format!("MESSAGE sip:b@x.example SIP/2.0\r\nX-Long: {}", "a".repeat(17 * 1024));

    let heard = hear(endless.as_bytes());

    assert_eq!(heard.refusals(), [513]);
    assert!(heard.is_lost());
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_has_arrived() {
    let octets = input::file("sip-hostile", "s10-cl-1GiB.dat");
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;

    let heard = hear(&octets[..end]);

    assert_eq!(heard.refusals(), [513]);
    assert!(heard.is_lost());
}

#[test]
fn each_double_line_end_is_one_ping() {
    let heard = hear(b"\r\n\r\n\r\n\r\n\r\n");

    let pings = heard.frames.iter().filter(|frame| matches!(frame, Frame::Ping)).count();
    assert_eq!(pings, 2);
    assert_eq!(heard.frames.len(), 5);
}

/// Holds what came of a case against its line.
fn verdict(case: &Case) -> Result<(), String> {
    let expected = case.column("expected");
    let allowed = format!("{expected}|{}", case.column("also_acceptable"));
    if case.column("transport") == "udp" {
        return match datagram(&case.octets).map_err(|malformed| malformed.into_answer()) {
            Ok(_) if expected.contains("513") => Err("it was taken".to_string()),
            Err(Some(answer)) if !allowed.contains(&answer.status().to_string()) => {
                Err(answer.reason().to_string())
            }
            Ok(_) | Err(_) => Ok(()),
        };
    }
    let heard = hear(&case.octets);
    let told = || Err(tell(&heard).chars().take(600).collect());
    if heard.refusals().iter().any(|status| !allowed.contains(&status.to_string())) {
        return told();
    }
    if expected.ends_with("+ close") && !heard.is_lost() {
        return told();
    }
    let is_message = heard.messages() == 1 && heard.frames.len() == 1;
    let checks = heard.frames.iter().all(|frame| match frame {
        Frame::Message(message) => message.headers().check().is_ok(),
        Frame::Ping | Frame::Pong | Frame::Malformed(_) | Frame::Lost(_) => true,
    });
    match expected {
        // Nothing but a parser gives this answer.
        "400" | "513|400" if is_message && checks => told(),
        taken if taken.starts_with("2xx") && !taken.contains("400") && !is_message => told(),
        "pong rate-limited" | "close" => Ok(()),
        _ if heard.frames.is_empty() => told(),
        _ => Ok(()),
    }
}
