//! Two machines on one wire, and what certificates decide.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clock_types::Date;
use net_types::{
    AddressRange, Bytes, ListenerId, Order, PeerCertificate, Remote, TlsFacts, Trust, TrustVerdict, memory,
};
use proptest::prelude::*;
use sip_types::msrp::{Path, SuccessReport};
use sip_types::{HeaderText, Host};

use super::*;

const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), 2855);
const NOW: Now = Now { moment: Moment::ZERO, date: Date::from_unix_millis(0) };

fn machine(secure: bool) -> Msrp {
    let listener =
        Listener { id: ListenerId(7), secure, host: Host::parse("203.0.113.9").unwrap(), port: 2855 };
    let mut settings = Settings::new(vec![listener], None, Trust("sip".into()));
    settings.allowed = vec![AddressRange { network: "203.0.113.0".parse().unwrap(), prefix: 24 }];
    settings.limits.message_bytes = 100_000;
    Msrp::new(settings, Ids::random([7; 32]))
}

fn peer(uri: &Uri, dial: Dial, fingerprint: Option<[u8; 32]>) -> Peer {
    Peer { path: Path::to(uri.clone()), dial, fingerprint }
}

fn shown(sha256: [u8; 32], names: &[&str], trust: TrustVerdict) -> Box<TlsFacts> {
    memory::handshake(PeerCertificate { trust, sha256, ..memory::certificate(names) })
}

/// What one machine did and heard.
#[derive(Default)]
struct Heard {
    bodies: Vec<Bytes>,
    accepted: Vec<String>,
    delivered: Vec<String>,
    wire: VecDeque<Bytes>,
    other: Vec<String>,
}

fn drain(machine: &mut Msrp, heard: &mut Heard) -> Option<ConnectionId> {
    let mut dialled = None;
    while let Some(output) = machine.poll_output() {
        match output {
            Output::Order(Order::Send { bytes, .. }) => heard.wire.push_back(bytes),
            Output::Order(Order::Connect { connection, .. }) => dialled = Some(connection),
            Output::Received(received) => {
                heard.bodies.push(received.body);
                machine.answer(received.key, Verdict::Delivered, NOW);
            }
            Output::Accepted { message_id, .. } => heard.accepted.push(message_id.to_string()),
            Output::Delivered { message_id, .. } => heard.delivered.push(message_id.to_string()),
            Output::Opened { .. } => {}
            other => heard.other.push(format!("{other:?}")),
        }
    }
    dialled
}

proptest! {
    #[test]
    fn what_one_sends_the_other_hears_once_and_in_order(
        bodies in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                (0..20_000_usize, any::<u8>()).prop_map(|(length, octet)| vec![octet; length]),
                "(-|\r|\n|t|[a-z2-7]){0,3000}".prop_map(String::into_bytes),
            ],
            1..6,
        ),
        piece in prop_oneof![1..64_usize, Just(usize::MAX)],
    ) {
        let (mut one, mut other) = (machine(false), machine(false));
        let (key, ours) = one.prepare(false, NOW).unwrap();
        let (_, theirs) = { other.ids = Ids::random([8; 32]); other.prepare(false, NOW).unwrap() };
        let their_key = *other.by_name.get(theirs.session()).unwrap();
        one.join(key, peer(&theirs, Dial::Us, None), NOW);
        other.join(SessionKey(their_key), peer(&ours, Dial::Peer, None), NOW);
        for (n, body) in bodies.iter().enumerate() {
            let content = ToSend {
                message_id: Ident::parse(format!("m{n}")).unwrap(),
                content_type: HeaderText::from_static("application/octet-stream"),
                body: Bytes::from(body.clone()),
                success_report: SuccessReport::Yes,
            };
            one.send(key, content, NOW).unwrap();
        }
        let (mut here, mut there) = (Heard::default(), Heard::default());
        let dialled = drain(&mut one, &mut here).unwrap();
        let accepted = ConnectionId::accepted(0);
        let remote = Remote::Address(HERE);
        other.handle_net(Event::Accepted { connection: accepted, listener: ListenerId(7), local: None, remote, tls: None }, NOW);
        one.handle_net(Event::Connected { connection: dialled, local: None, tls: None }, NOW);

        loop {
            drain(&mut one, &mut here);
            drain(&mut other, &mut there);
            if let Some(bytes) = here.wire.pop_front() {
                for piece in bytes.chunks(piece) {
                    let bytes = Bytes::copy_from_slice(piece);
                    other.handle_net(Event::Bytes { connection: accepted, bytes }, NOW);
                }
            } else if let Some(bytes) = there.wire.pop_front() {
                one.handle_net(Event::Bytes { connection: dialled, bytes }, NOW);
            } else {
                break;
            }
        }

        let names: Vec<_> = (0..bodies.len()).map(|n| format!("m{n}")).collect();
        prop_assert_eq!(&here.other, &Vec::<String>::new());
        prop_assert_eq!(&there.other, &Vec::<String>::new());
        prop_assert_eq!(there.bodies, bodies);
        prop_assert_eq!(&here.accepted, &names);
        prop_assert_eq!(&here.delivered, &names);
    }
}

proptest! {
    #[test]
    fn a_peer_may_say_anything_and_every_message_of_ours_ends_once(
        words in prop::collection::vec(prop::sample::select(vec![
            "MSRP aaaa SEND\r\n", "MSRP aaaa REPORT\r\n", "MSRP t-4 200 OK\r\n", "MSRP t-4 413 x\r\n", "MSRP t-5 481 x\r\n",
            "MSRP t-2 200\r\n", "MSRP t-6 408 x\r\n", "To-Path: msrp://203.0.113.9:2855/msrp-1;tcp\r\n",
            "From-Path: msrp://a.example:1/p;tcp\r\n", "Message-ID: m0aa\r\n", "Message-ID: first\r\n", "Status: 000 200\r\n",
            "Status: 000 403\r\n", "Byte-Range: 1-*/*\r\n", "Byte-Range: 9-2/3\r\n", "Byte-Range: 99999-*/*\r\n",
            "Content-Type: text/plain\r\n\r\nx\r\n", "-------aaaa$\r\n", "-------aaaa+\r\n", "-------aaaa#\r\n",
            "-------t-4$\r\n", "-------t-5$\r\n", "-------t-2$\r\n", "-------t-6$\r\n", "WAIT", "SEND",
        ]), 0..60),
    ) {
        let mut machine = machine(false);
        machine.ids = Ids::counting();
        let (key, _) = machine.prepare(false, NOW).unwrap();
        let uri = Uri::parse("msrp://203.0.113.77:9000/p;tcp").unwrap();
        machine.join(key, peer(&uri, Dial::Us, None), NOW);
        let mut heard = Heard::default();
        let connection = drain(&mut machine, &mut heard).unwrap();
        machine.handle_net(Event::Connected { connection, local: None, tls: None }, NOW);
        let mut now = NOW;
        let mut sent = 0;
        let mut ended = Vec::new();
        for word in words.iter().copied().chain(["SEND", "WAIT", "WAIT"]) {
            match word {
                "WAIT" => {
                    now = now.plus(std::time::Duration::from_secs(31));
                    machine.handle_timeout(now);
                }
                "SEND" => {
                    let id = if sent == 0 { "first".to_owned() } else { format!("m{sent}") };
                    let content = ToSend {
                        message_id: Ident::parse(id).unwrap(),
                        content_type: HeaderText::from_static("text/plain"),
                        body: Bytes::from_static(&[b'x'; 5000]),
                        success_report: SuccessReport::Yes,
                    };
                    if machine.send(key, content, now).is_ok() {
                        sent += 1;
                    }
                }
                _ => machine.handle_net(Event::Bytes { connection, bytes: Bytes::from_static(word.as_bytes()) }, now),
            }
            while let Some(output) = machine.poll_output() {
                match output {
                    Output::Accepted { message_id, .. } => ended.push(message_id),
                    // One that was accepted may fail late; that is not another end.
                    Output::Failed { message_id, .. } if !ended.contains(&message_id) => ended.push(message_id),
                    Output::Received(received) => {
                        machine.answer(received.key, Verdict::Accepted, now);
                    }
                    _ => {}
                }
            }
        }

        prop_assert_eq!(ended.len(), sent);
        ended.dedup();
        prop_assert_eq!(ended.len(), sent);
    }
}

/// Dials a peer on TLS that shows `tls`; returns what was said in the end.
fn dialled(fingerprint: Option<[u8; 32]>, tls: Option<Box<TlsFacts>>) -> Vec<String> {
    let mut machine = machine(true);
    let (key, _) = machine.prepare(true, NOW).unwrap();
    let uri = Uri::parse("msrps://203.0.113.77:9000/p;tcp").unwrap();
    machine.join(key, peer(&uri, Dial::Us, fingerprint), NOW);
    let mut heard = Heard::default();
    let connection = drain(&mut machine, &mut heard).unwrap();
    machine.handle_net(Event::Connected { connection, local: None, tls }, NOW);
    drain(&mut machine, &mut heard);
    heard
        .other
        .into_iter()
        .map(|said| said.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn who_is_dialled_proves_what_the_description_or_its_name_promises() {
    let untrusted = || TrustVerdict::Untrusted("self-signed".to_owned());
    let nothing: [&str; 0] = [];
    let name = ["203.0.113.77"];

    assert_eq!(dialled(Some([1; 32]), Some(shown([1; 32], &[], untrusted()))), nothing);
    assert_eq!(dialled(None, Some(shown([1; 32], &name, TrustVerdict::Trusted))), nothing);
    for (fingerprint, tls) in [
        (Some([1; 32]), Some(shown([2; 32], &name, TrustVerdict::Trusted))),
        (None, Some(shown([1; 32], &name, untrusted()))),
        (None, Some(shown([1; 32], &["other.example"], TrustVerdict::Trusted))),
        (None, None),
        (Some([1; 32]), None),
    ] {
        let said = dialled(fingerprint, tls);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("Order(Close") && said[1].starts_with("Closed"), "{said:?}");
    }
}

#[test]
fn who_dials_us_shows_the_promised_certificate_if_any() {
    for (promised, shows, opened) in [
        (None, Some(shown([2; 32], &[], TrustVerdict::Trusted)), true),
        (Some([1; 32]), Some(shown([1; 32], &[], TrustVerdict::Trusted)), true),
        (Some([1; 32]), None, true),
        (Some([1; 32]), Some(shown([2; 32], &[], TrustVerdict::Trusted)), false),
    ] {
        let mut machine = machine(true);
        let (key, ours) = machine.prepare(true, NOW).unwrap();
        let uri = Uri::parse("msrps://203.0.113.77:9000/p;tcp").unwrap();
        machine.join(key, peer(&uri, Dial::Peer, promised), NOW);
        let (connection, remote) = (ConnectionId::accepted(0), Remote::Address(HERE));
        machine.handle_net(
            Event::Accepted { connection, listener: ListenerId(7), local: None, remote, tls: shows },
            NOW,
        );
        let request = format!("MSRP aaaa SEND\r\nTo-Path: {ours}\r\nFrom-Path: {uri}\r\n-------aaaa$\r\n");
        machine.handle_net(Event::Bytes { connection, bytes: Bytes::from(request) }, NOW);
        let mut heard = Heard::default();
        drain(&mut machine, &mut heard);

        let answer = String::from_utf8(heard.wire[0].to_vec()).unwrap();

        assert!(answer.starts_with(if opened { "MSRP aaaa 200" } else { "MSRP aaaa 403" }), "{answer}");
    }
}
