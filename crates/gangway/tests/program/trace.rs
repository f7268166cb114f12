//! `gangway trace`: a message is followed across both protocols, and what people write is shown only when asked for.

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::Stdio;

use admin::{Reply, Request, ask};

use crate::run::{both, first_line_with, until_answered};
use crate::support::{Place, Running};

/// A process whose gateway takes SIP on a port of its own, and that port.
fn start(place: &Place) -> (Running, String) {
    let free = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
    let port = free.local_addr().expect("it is bound").port().to_string();
    drop(free);
    let udp = "transport = \"udp\"\naddress = \"127.0.0.1:";
    place.write("gangway.toml", &both().replace(&format!("{udp}0\""), &format!("{udp}{port}\"")));
    let mut child = place.start(&["run", "--config", "gangway.toml"]);
    until_answered(&place.path("admin.sock"), &mut child, |_| true);
    (child, port)
}

fn text_from_bob(call: &str, words: &str) -> String {
    format!(
        "MESSAGE sip:ann@partner.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK{call};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=t\r\nTo: <sip:ann@partner.example>\r\n\
         Call-ID: {call}\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{words}",
        words.len()
    )
}

#[test]
fn a_message_is_followed_across_both_protocols() {
    let place = Place::new().with_certificates();
    let (mut child, port) = start(&place);
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();

    let mut command =
        place.command(&["trace", "bob@example.com", "--follow", "--bodies", "--config", "gangway.toml"]);
    let follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut follower = Running { child: follower, log: place.path("trace.log") };
    let audit = first_line_with(&mut child, "somebody watches");
    phone.send_to(text_from_bob("c1", "Hi Ann").as_bytes(), format!("127.0.0.1:{port}")).unwrap();
    let mut lines = BufReader::new(follower.child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut next =
        |words: &str| lines.find(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words}"));

    assert!(audit.contains("WARN") && audit.contains("AND SEES WHAT PEOPLE WRITE"), "{audit}");
    let received = next("MESSAGE sip:ann@partner.example");
    assert!(received.contains("SIP  ◀── 127.0.0.1:") && received.contains("Call-ID c1"), "{received}");
    assert!(next("| ").ends_with("| Hi Ann"));
    let arrived = next("arrived");
    assert!(arrived.contains("SIP → XMPP from bob@example.com to ann@partner.example"), "{arrived}");
    let stanza = next("<message");
    assert!(stanza.contains("XMPP ──▶ proxy") && stanza.contains("Hi Ann"), "{stanza}");
}

#[test]
fn what_was_seen_lately_is_found_by_either_name_and_without_bodies() {
    let place = Place::new().with_certificates();
    let (mut child, port) = start(&place);
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.send_to(text_from_bob("c7", "Hi Ann").as_bytes(), format!("127.0.0.1:{port}")).unwrap();
    let trace = |subject: &str| {
        let request = Request::Trace { subject: subject.to_owned(), after: 0, follow: false, bodies: true };
        match ask(&place.path("admin.sock"), &request).unwrap() {
            Reply::Trace(trace) => trace.events,
            other => panic!("{other:?}"),
        }
    };
    // It may be settled before anybody can ask whether it is under way; what was seen of it stays.
    let has_arrived = |event: &admin::TraceEvent| event.what.ends_with("arrived");
    until_answered(&place.path("admin.sock"), &mut child, |_| trace("c7").iter().any(has_arrived));
    let by_call = trace("c7");
    let arrived = by_call.iter().find(|event| has_arrived(event)).unwrap();
    let stanza = arrived.ids.iter().find(|id| *id != "c7").unwrap();

    assert!(trace(stanza).iter().any(|event| event.ids.contains(&"c7".to_owned())));
    assert!(trace("partner.example").len() >= by_call.len());
    assert!(trace("nobody@example.com").is_empty());
    assert!(by_call.iter().all(|event| event.body.is_none() && !event.what.contains("Hi Ann")));
    let none = place.run(&["conversations", "--config", "gangway.toml"]);
    assert_eq!(String::from_utf8_lossy(&none.stdout), "no conversation is open\n");
    ask(&place.path("admin.sock"), &Request::Stop).unwrap();
}
