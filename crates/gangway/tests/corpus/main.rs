//! The SIP corpora at the real listeners: sockets, framing and the whole gateway behind them. Each case is said on a
//! connection of its own, or in a datagram; what answers at once must be an answer that its INDEX allows, and a good
//! request behind it must be served.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

#[expect(dead_code, reason = "not every test of the corpora reads single files")]
#[path = "../../../sip-types/tests/corpus/input.rs"]
mod input;
mod program;
#[path = "../support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use input::Case;
use program::Program;

/// How many cases are said at once.
const AT_ONCE: usize = 8;

/// What is no message, or a matter of time.
const NOT_HERE: [&str; 3] = ["t19-subscribe-poll-flood", "s29-header-1-byte-per-5s", "s30-crlf-flood"];

#[test]
fn every_message_of_the_corpora_is_answered_by_the_program_and_harms_nobody() {
    let program = Program::start().expect("the program starts");
    let mut cases = VecDeque::new();
    for corpus in ["rfc4475", "rfc5118", "sip-hostile"] {
        cases.extend(input::cases(corpus).into_iter().filter(|case| !NOT_HERE.contains(&case.id.as_str())));
    }
    let (cases, complaints) = (Mutex::new(cases), Mutex::new(Vec::new()));

    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = next(&cases) {
                    for complaint in [by_stream(&program, &case), by_datagram(&program, &case)] {
                        let complaint = complaint.err().map(|why| format!("{}: {why}", case.id));
                        complaints.lock().unwrap_or_else(PoisonError::into_inner).extend(complaint);
                    }
                }
            });
        }
    });

    let complaints = complaints.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(complaints.is_empty(), "{}\n{}", complaints.join("\n"), program.log());
    assert!(!program.log().contains("panicked"), "{}", program.log());
}

fn next(cases: &Mutex<VecDeque<Case>>) -> Option<Case> {
    cases.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// Says the case on a connection and a good request behind it.
fn by_stream(program: &Program, case: &Case) -> Result<(), String> {
    if case.column("transport") == "udp" {
        return Ok(());
    }
    let mut stream = TcpStream::connect(program.tcp).map_err(|why| why.to_string())?;
    let good = good("TCP");
    let said = stream.write_all(&case.octets).and_then(|()| stream.write_all(good.as_bytes()));
    let waits_for_more = case.column("on_stream_transport").contains("wait T_")
        || case.column("on_stream_transport").starts_with("wait");
    if waits_for_more {
        let _ = stream.shutdown(Shutdown::Both);
        return serves(program);
    }
    let mut heard = String::new();
    let mut octets = [0; 65536];
    let is_served = loop {
        match stream.read(&mut octets) {
            Ok(0) | Err(_) => break false,
            Ok(length) => heard.push_str(&String::from_utf8_lossy(&octets[..length])),
        }
        if heard.contains(AFTERWARDS) {
            break true;
        }
    };
    let allowed = allowed(case);
    let may_close = said.is_err() || allowed.contains("close") || allowed.contains("513");
    if !is_served && !may_close && case.id != "dblreq" {
        return Err(format!("the connection ended: {heard}"));
    }
    check_statuses(&heard, &allowed)?;
    serves(program)
}

/// Says the case in a datagram, if it fits into one.
fn by_datagram(program: &Program, case: &Case) -> Result<(), String> {
    let socket = UdpSocket::bind((program.tcp.ip(), 0)).map_err(|why| why.to_string())?;
    if socket.send_to(&case.octets, program.udp).is_err() {
        return Ok(());
    }
    serves(program)
}

/// A refusal that only a parser gives must be one that the INDEX names.
fn check_statuses(heard: &str, allowed: &str) -> Result<(), String> {
    let before = heard.split(AFTERWARDS).next().unwrap_or_default();
    let statuses = before.match_indices("SIP/2.0 ").filter_map(|(at, start)| {
        let rest = &before[at + start.len()..];
        (at == 0 || before[..at].ends_with("\n")).then(|| rest.get(..3)).flatten()
    });
    for status in statuses {
        if ["400", "505", "513"].contains(&status) && !allowed.contains(status) {
            return Err(format!("{status} is none of {allowed}: {before}"));
        }
    }
    Ok(())
}

/// Returns whether a good request is served that comes by datagram, which is sent again if it is lost.
fn serves(program: &Program) -> Result<(), String> {
    let socket = UdpSocket::bind((program.tcp.ip(), 0)).map_err(|why| why.to_string())?;
    socket.set_read_timeout(Some(Duration::from_secs(2))).map_err(|why| why.to_string())?;
    let mut octets = [0; 4096];
    for _ in 0..10 {
        socket.send_to(good("UDP").as_bytes(), program.udp).map_err(|why| why.to_string())?;
        if let Ok(length) = socket.recv(&mut octets)
            && String::from_utf8_lossy(&octets[..length]).contains(AFTERWARDS)
        {
            return Ok(());
        }
    }
    Err("nothing is served afterwards".to_owned())
}

fn allowed(case: &Case) -> String {
    let columns = ["expected", "also_acceptable", "gateway_expected", "on_stream_transport"];
    columns.map(|column| case.column(column)).join("|")
}

/// The Call-ID of the good request.
const AFTERWARDS: &str = "Call-ID: afterwards";

fn good(transport: &str) -> String {
    format!(
        "OPTIONS sip:gateway.s.example SIP/2.0\r\n\
         Via: SIP/2.0/{transport} client.invalid;rport;branch=z9hG4bKafterwards\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:bob@remote.example>;tag=b\r\n\
         To: <sip:gateway.s.example>\r\n\
         {AFTERWARDS}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
