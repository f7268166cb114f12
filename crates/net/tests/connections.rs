//! Plain connections between a driven role and raw sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use net::{Ended, ListenerKind, Settings, in_process};
use net_types::{ConnectionId, Event, ListenerId, Order, Remote, Stage as Reached};
use support::{Heard, Lead, PuppetEffect, Setting, send, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn octets_cross_both_ways_and_the_end_is_told() {
    let mut role = Setting::listening(ListenerKind::Tcp).start();
    let mut peer = TcpStream::connect(role.addresses[0]).await.unwrap();

    let (connection, tls) = role.accepted().await;
    peer.write_all(b"<stream>").await.unwrap();
    role.bytes("<stream>").await;
    role.send(connection, "<features>").await;
    let mut read = [0; 10];
    soon(peer.read_exact(&mut read)).await.unwrap();
    drop(peer);

    assert_eq!(tls, None);
    assert_eq!(&read, b"<features>");
    assert_eq!(role.closed().await, None);
}

#[tokio::test]
async fn two_roles_dial_and_talk() {
    let mut server = Setting::listening(ListenerKind::Tcp).start();
    let mut client = Setting::default().start();

    let dialled = client.dial(Remote::Address(server.addresses[0]), None).await;
    client.connected().await;
    let (accepted, _) = server.accepted().await;
    client.send(dialled, "hello").await;
    server.bytes("hello").await;
    server.order([send(accepted, "good-bye"), Order::Close { connection: accepted }]).await;

    client.bytes("good-bye").await;
    assert_eq!(client.closed().await, None);
}

#[tokio::test]
async fn what_one_turn_says_is_one_write() {
    let mut role = Setting::listening(ListenerKind::Tcp).start();
    let mut peer = TcpStream::connect(role.addresses[0]).await.unwrap();
    let (connection, _) = role.accepted().await;

    role.order([(); 100].map(|()| send(connection, "twenty octets, sent."))).await;

    let mut read = vec![0; 4096];
    assert_eq!(soon(peer.read(&mut read)).await.unwrap(), 2000);
}

#[tokio::test]
async fn closing_lets_everything_leave_first() {
    let mut role = Setting::listening(ListenerKind::Tcp).start();
    let mut peer = TcpStream::connect(role.addresses[0]).await.unwrap();
    let (connection, _) = role.accepted().await;
    // Unread octets on our side must not turn the end into a reset.
    peer.write_all(b"unread").await.unwrap();
    let long = "x".repeat(700_000);

    role.order([send(connection, &long), send(connection, "</stream>"), Order::Close { connection }]).await;

    let mut read = String::new();
    soon(peer.read_to_string(&mut read)).await.unwrap();
    assert_eq!(read.len(), 700_009);
    assert!(read.ends_with("</stream>"));
}

#[tokio::test]
async fn a_peer_that_never_reads_is_cut_off() {
    let settings = Settings { write_buffer: 64 * 1024, ..Settings::default() };
    let mut role = Setting { settings, ..Setting::listening(ListenerKind::Tcp) }.start();
    let _peer = TcpStream::connect(role.addresses[0]).await.unwrap();
    let (connection, _) = role.accepted().await;

    // More than the operating system's buffers and eight times ours.
    role.send(connection, &"x".repeat(32 << 20)).await;

    let reason = role.closed().await.unwrap();
    assert!(reason.starts_with("peer does not read: "), "{reason}");
}

#[tokio::test]
async fn a_peer_that_reads_too_slowly_is_cut_off_when_patience_ends() {
    let settings =
        Settings { write_buffer: 4 << 20, write_stall: Duration::from_millis(20), ..Settings::default() };
    let mut role = Setting { settings, ..Setting::listening(ListenerKind::Tcp) }.start();
    let _peer = TcpStream::connect(role.addresses[0]).await.unwrap();
    let (connection, _) = role.accepted().await;

    // Above the buffer, under eight times the buffer, whatever the operating system takes.
    role.send(connection, &"x".repeat(28 << 20)).await;

    let reason = role.closed().await.unwrap();
    assert!(reason.starts_with("peer does not read: "), "{reason}");
}

#[tokio::test]
async fn a_peer_that_reads_late_gets_everything() {
    let mut role = Setting::listening(ListenerKind::Tcp).start();
    let mut peer = TcpStream::connect(role.addresses[0]).await.unwrap();
    let (connection, _) = role.accepted().await;

    role.send(connection, &"x".repeat(7 << 20)).await;
    role.order([Order::Close { connection }]).await;

    let mut read = Vec::new();
    assert_eq!(soon(peer.read_to_end(&mut read)).await.unwrap(), 7 << 20);
}

#[tokio::test]
async fn a_role_with_one_place_for_events_loses_none() {
    let settings = Settings { events_max: 1, turn_events_max: 1, turn_octets_max: 1, ..Settings::default() };
    let mut role = Setting { settings, ..Setting::listening(ListenerKind::Tcp) }.start();
    let mut peers = Vec::new();
    for name in ["a", "b", "c"] {
        let mut peer = TcpStream::connect(role.addresses[0]).await.unwrap();
        peers.push(tokio::spawn(async move {
            for _ in 0..300 {
                peer.write_all(name.repeat(1000).as_bytes()).await.unwrap();
            }
        }));
    }

    let (mut octets, mut closed) = (0, 0);
    while closed < 3 {
        match role.event().await {
            Event::Bytes { bytes, .. } => octets += bytes.len(),
            Event::Closed { .. } => closed += 1,
            Event::Accepted { .. } => {}
            other => panic!("heard {other:?}"),
        }
    }

    assert_eq!(octets, 900_000);
}

#[tokio::test]
async fn a_paused_connection_is_not_heard_until_it_is_resumed() {
    let mut role = Setting::listening(ListenerKind::Tcp).start();
    let mut peer = TcpStream::connect(role.addresses[0]).await.unwrap();
    let (connection, _) = role.accepted().await;
    role.order([Order::Pause { connection }, send(connection, "!")]).await;
    soon(peer.read_u8()).await.unwrap();

    peer.write_all(b"held back").await.unwrap();
    let mut other = TcpStream::connect(role.addresses[0]).await.unwrap();
    role.accepted().await;
    other.write_all(b"heard at once").await.unwrap();
    role.bytes("heard at once").await;

    role.order([Order::Resume { connection }]).await;
    role.bytes("held back").await;
}

#[tokio::test]
async fn a_refused_connection_is_told_with_its_stage() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut role = Setting::default().start();

    let connection = role.dial(Remote::Address(free), None).await;

    let reason = "connection refused".to_owned();
    assert_eq!(role.event().await, Event::ConnectFailed { connection, stage: Reached::Tcp, reason });
}

#[tokio::test]
async fn a_full_listener_takes_the_next_when_one_leaves() {
    let mut role = Setting { connections_max: 1, ..Setting::listening(ListenerKind::Tcp) }.start();
    let first = TcpStream::connect(role.addresses[0]).await.unwrap();
    let mut second = TcpStream::connect(role.addresses[0]).await.unwrap();
    second.write_all(b"second").await.unwrap();
    role.accepted().await;

    drop(first);

    assert_eq!(role.closed().await, None);
    role.accepted().await;
    role.bytes("second").await;
}

#[tokio::test]
async fn the_name_of_a_closed_connection_is_free_at_once() {
    let mut server = Setting::listening(ListenerKind::Tcp).start();
    let mut client = Setting::default().start();
    let to = Remote::Address(server.addresses[0]);
    let name = ConnectionId::dialled(77);
    let connect = || Order::Connect { connection: name, to, tls: None, timeout: Duration::from_secs(20) };
    client.order([connect()]).await;
    client.connected().await;
    let (first, _) = server.accepted().await;
    server.send(first, "to the first life").await;

    client.order([Order::Close { connection: name }, connect()]).await;

    let mut heard = Vec::new();
    loop {
        match client.event().await {
            Event::Connected { .. } => break,
            other => heard.push(other),
        }
    }
    // What arrived before the order to close may have been heard; nothing after.
    assert!(heard.iter().all(|event| matches!(event, Event::Bytes { .. })), "{heard:?}");
    assert_eq!(server.closed().await, None);
    let (second, _) = server.accepted().await;
    server.send(second, "to the second life").await;
    client.bytes("to the second life").await;
}

#[tokio::test]
async fn roles_of_one_process_talk_through_a_pipe() {
    let (dialler, listener) = in_process::meeting(ListenerId(9));
    let mut proxy = Setting { in_process: Some(listener), ..Setting::default() }.start();
    let mut gateway = Setting { to_in_process: Some(dialler), ..Setting::default() }.start();

    let near = gateway.dial(Remote::InProcess, None).await;
    let far = match proxy.event().await {
        Event::Accepted {
            connection,
            listener: ListenerId(9),
            local: None,
            remote: Remote::InProcess,
            tls: None,
        } => connection,
        other => panic!("heard {other:?}"),
    };
    assert_eq!(gateway.connected().await, None);
    gateway.send(near, "<stream>").await;
    proxy.bytes("<stream>").await;
    proxy.order([Order::Pause { connection: far }, send(far, "<features>")]).await;
    gateway.bytes("<features>").await;
    gateway.order([send(near, "last words"), Order::Close { connection: near }]).await;

    proxy.bytes("last words").await;
    assert_eq!(proxy.closed().await, None);
}

#[tokio::test]
async fn dialling_a_role_that_is_not_there_fails_in_words() {
    let mut role = Setting::default().start();

    let connection = role.dial(Remote::InProcess, None).await;

    let reason = "no other role runs in this process".to_owned();
    assert_eq!(role.event().await, Event::ConnectFailed { connection, stage: Reached::Tcp, reason });
}

#[tokio::test]
async fn datagrams_are_echoed() {
    let mut role = Setting::listening(ListenerKind::Udp { buffer: 1 << 20 }).start();
    let peer = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();

    for number in 0..100_u8 {
        peer.send_to(&[number; 500], role.addresses[0]).await.unwrap();
    }
    for number in 0..100_u8 {
        let Event::Datagram { socket, from, bytes } = role.event().await else { panic!("no datagram") };
        assert_eq!((from, &bytes[..]), (peer.local_addr().unwrap(), &[number; 500][..]));
        role.order([Order::SendDatagram { socket, to: from, bytes }]).await;
    }

    let mut read = [0; 1000];
    for number in 0..100_u8 {
        let (length, _) = soon(peer.recv_from(&mut read)).await.unwrap();
        assert_eq!(&read[..length], &[number; 500]);
    }
}

#[tokio::test]
async fn a_role_that_is_asked_to_stop_has_its_last_words() {
    let mut role = Setting::listening(ListenerKind::Tcp).start();
    let mut peer = TcpStream::connect(role.addresses[0]).await.unwrap();
    let (connection, _) = role.accepted().await;
    role.lead(Lead::StopWith(vec![send(connection, "<system-shutdown/>")])).await;

    role.controls.stop(Duration::from_secs(30));

    let mut read = String::new();
    soon(peer.read_to_string(&mut read)).await.unwrap();
    drop(peer);
    assert_eq!(read, "<system-shutdown/>");
    assert_eq!(soon(role.run).await.unwrap(), Ended::InGoodOrder);
}

#[tokio::test]
async fn a_role_that_does_not_stop_is_ended_at_its_deadline() {
    let mut role = Setting::default().start();

    role.controls.stop(Duration::from_millis(10));

    assert!(matches!(role.hear().await, Heard::Stop));
    assert_eq!(soon(role.run).await.unwrap(), Ended::DeadlinePassed);
    soon(role.controls.gone()).await;
}

#[tokio::test]
async fn a_timer_rings_at_its_moment_and_notices_are_told() {
    let mut role = Setting::default().start();
    role.lead(Lead::Ring(Duration::from_secs(3600))).await;

    role.lead(Lead::Ring(Duration::from_millis(20))).await;
    role.lead(Lead::Do(vec![PuppetEffect::Notice("rung")])).await;

    assert!(
        matches!(role.hear().await, Heard::Timeout(now) if now.moment.since_origin() >= Duration::from_millis(20))
    );
    assert_eq!(soon(role.notices.recv()).await, Some("rung"));
}

#[tokio::test]
async fn records_reach_the_store_in_order_and_outcomes_come_back() {
    struct Doubling;
    impl net::Recorder<u32, u32> for Doubling {
        fn commit(&mut self, records: Vec<u32>, done: net::Completion<u32>) {
            std::thread::spawn(move || records.into_iter().for_each(|record| done.tell(record * 2)));
        }
    }
    let mut role = Setting { recorder: Box::new(Doubling), ..Setting::default() }.start();

    role.lead(Lead::Do(vec![PuppetEffect::Record(1), PuppetEffect::Record(2)])).await;

    for expected in [2, 4] {
        assert!(matches!(role.hear().await, Heard::Stored(stored) if stored == expected));
    }
}
