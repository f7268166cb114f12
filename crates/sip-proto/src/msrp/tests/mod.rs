mod timeline;

use net_types::{AddressRange, Answer, Record, Stage};

use self::timeline::{PATH, Timeline, content, dialled, report, response, send, waiting};
use super::*;

#[test]
fn who_dials_speaks_first_and_a_message_is_accepted_and_delivered() {
    let (mut timeline, key, ours, connection) = dialled();

    timeline.msrp.send(key, content("m001", "Grüße"), timeline.now).unwrap();
    assert_eq!(timeline.said(), ["SEND t-4 1-7/7 7 octets$"]);

    timeline.bytes(connection, &response("t-4", 200));
    assert_eq!(timeline.said(), ["accepted m001"]);
    timeline.bytes(connection, &report(&ours, "m001", "Byte-Range: 1-7/7\r\n", 200));
    assert_eq!(timeline.said(), ["delivered m001"]);
    // A second one is about nothing that is known.
    timeline.bytes(connection, &report(&ours, "m001", "", 200));
    assert_eq!(timeline.said(), [""; 0]);
}

#[test]
fn messages_go_one_after_the_other_and_wait_for_the_connection() {
    let mut timeline = Timeline::new();
    let (key, ours) = timeline.prepare();
    timeline.msrp.send(key, content("m001", "a"), timeline.now).unwrap();
    timeline.msrp.send(key, content("m002", "b"), timeline.now).unwrap();
    // The peer dials before its description came.
    let connection = timeline.accept();
    timeline.bytes(connection, &send(&ours, "aaaa", "", None, '$'));
    assert_eq!(timeline.said(), ["opened", "200 to aaaa"]);

    timeline.join(key, PATH, Dial::Peer);
    assert_eq!(timeline.said(), ["SEND t-2 1-1/1 1 octets$"]);
    timeline.bytes(connection, &response("t-2", 200));

    assert_eq!(timeline.said(), ["accepted m001", "SEND t-3 1-1/1 1 octets$"]);
}

#[test]
fn a_long_message_goes_in_chunks_and_stops_when_the_peer_wants_no_more() {
    let (mut timeline, key, _, connection) = dialled();

    timeline.msrp.send(key, content("m001", vec![b'x'; 2048 * 9 + 5]), timeline.now).unwrap();
    let said = timeline.said();
    assert_eq!(said.len(), 8);
    assert_eq!(said[0], "SEND t-4 1-2048/18437 2048 octets+");
    timeline.bytes(connection, &response("t-4", 200));
    assert_eq!(timeline.said(), ["SEND t-12 16385-18432/18437 2048 octets+"]);
    timeline.bytes(connection, &response("t-5", 413));

    assert_eq!(timeline.said(), ["failed m001 Refused { code: 413 }"]);
    // The responses to what was sent before change nothing.
    timeline.bytes(connection, &response("t-6", 413));
    timeline.bytes(connection, &response("t-7", 200));
    assert_eq!(timeline.said(), [""; 0]);
}

#[test]
fn a_message_that_is_given_up_for_another_reason_is_aborted() {
    let (mut timeline, key, _, connection) = dialled();
    timeline.msrp.send(key, content("m001", vec![b'x'; 30_000]), timeline.now).unwrap();
    timeline.said();

    timeline.bytes(connection, &response("t-4", 403));

    assert_eq!(
        timeline.said(),
        ["failed m001 Refused { code: 403 }", "SEND t-12 16385-16384/30000 0 octets#"]
    );
}

#[test]
fn chunks_come_in_any_order_and_the_last_one_is_answered_when_its_receiver_decides() {
    let (mut timeline, _, ours, connection) = waiting();
    let chunk = |name: &str, start: u64, body: &str, flag| {
        let headers = format!("Message-ID: m1aa\r\nSuccess-Report: yes\r\nByte-Range: {start}-*/*\r\n");
        send(&ours, name, &headers, Some(body), flag)
    };

    timeline.bytes(connection, &chunk("bbbb", 1, "ab", '+'));
    assert_eq!(timeline.said(), ["200 to bbbb"]);
    timeline.bytes(connection, &chunk("cccc", 5, "ef", '$'));
    assert_eq!(timeline.said(), ["200 to cccc"]);
    timeline.bytes(connection, &chunk("dddd", 3, "cd", '+'));
    assert_eq!(timeline.said(), [r#"received m1aa b"abcdef""#]);

    timeline.msrp.answer(ReceivedKey(0), Verdict::Delivered, timeline.now);

    assert_eq!(timeline.said(), ["200 to dddd", "REPORT t-2 1-6/6 200$"]);
}

#[test]
fn what_was_accepted_is_reported_late_as_far_as_its_sender_wants_it() {
    for (headers, accepted, told) in [
        ("", vec!["200 to bbbb"], Some(("REPORT t-2 1-2/2 481$", None))),
        (
            "Success-Report: yes\r\n",
            vec!["200 to bbbb"],
            Some(("REPORT t-2 1-2/2 481$", Some("REPORT t-3 1-2/2 200$"))),
        ),
        ("Failure-Report: no\r\n", vec![], None),
        ("Failure-Report: partial\r\n", vec![], None),
    ] {
        let (mut timeline, key, ours, connection) = waiting();
        let headers = format!("Message-ID: m1aa\r\n{headers}");
        timeline.bytes(connection, &send(&ours, "bbbb", &headers, Some("hi"), '$'));
        timeline.said();

        let late = timeline.msrp.answer(ReceivedKey(0), Verdict::Accepted, timeline.now);

        assert_eq!(timeline.said(), accepted, "{headers}");
        assert_eq!(late.is_some(), told.is_some(), "{headers}");
        let Some((late, (failure, success))) = late.zip(told) else { continue };
        timeline.msrp.report(key, &late, 481, timeline.now);
        assert_eq!(timeline.said(), [failure], "{headers}");
        timeline.msrp.report(key, &late, 200, timeline.now);
        assert_eq!(timeline.said(), success.into_iter().collect::<Vec<_>>(), "{headers}");
    }
}

#[test]
fn a_refusal_is_the_response_unless_nobody_wants_to_hear_it() {
    for (headers, said) in [
        ("", vec!["415 to bbbb"]),
        ("Failure-Report: partial\r\n", vec!["415 to bbbb"]),
        ("Failure-Report: no\r\n", vec![]),
    ] {
        let (mut timeline, _, ours, connection) = waiting();
        let headers = format!("Message-ID: m1aa\r\n{headers}");
        timeline.bytes(connection, &send(&ours, "bbbb", &headers, Some("hi"), '$'));
        timeline.said();

        assert_eq!(timeline.msrp.answer(ReceivedKey(0), Verdict::Refused(415), timeline.now), None);

        assert_eq!(timeline.said(), said, "{headers}");
    }
}

#[test]
fn a_message_over_the_limit_is_told_to_stop_with_all_its_chunks() {
    let mut timeline = Timeline::with(|settings| settings.limits.message_bytes = 10);
    let (key, ours) = timeline.prepare();
    timeline.join(key, PATH, Dial::Peer);
    let connection = timeline.accept();
    timeline.bytes(connection, &send(&ours, "aaaa", "", None, '$'));
    timeline.said();
    let chunk = |name: &str, id: &str, range: &str, body: &str, flag| {
        send(&ours, name, &format!("Message-ID: {id}\r\nByte-Range: {range}\r\n"), Some(body), flag)
    };

    for (text, said) in [
        // One chunk too large, a sum too large, an announcement too large, a place too far.
        (chunk("bbbb", "m1aa", "1-*/*", "01234567890", '$'), "413 to bbbb"),
        (chunk("cccc", "m2aa", "1-*/*", "012345", '+'), "200 to cccc"),
        (chunk("dddd", "m2aa", "7-*/*", "012345", '+'), "413 to dddd"),
        (chunk("eeee", "m2aa", "1-*/*", "0", '$'), "413 to eeee"),
        (chunk("ffff", "m3aa", "1-2/11", "01", '+'), "413 to ffff"),
        (chunk("gggg", "m4aa", "18446744073709551615-*/*", "01", '+'), "413 to gggg"),
        (chunk("hhhh", "m5aa", "1-10/10", "0123456789", '$'), r#"received m5aa b"0123456789""#),
        // An aborted message is forgotten, and its sender may begin again.
        (chunk("iiii", "m6aa", "1-*/*", "01", '+'), "200 to iiii"),
        (chunk("jjjj", "m6aa", "3-*/*", "", '#'), "200 to jjjj"),
        (chunk("kkkk", "m6aa", "1-*/*", "23", '$'), r#"received m6aa b"23""#),
    ] {
        timeline.bytes(connection, &text);
        assert_eq!(timeline.said(), [said], "{text}");
    }
}

#[test]
fn a_peer_cannot_make_what_is_unfinished_or_unanswered_grow() {
    let mut timeline = Timeline::with(|settings| settings.limits.unanswered = 2);
    let (key, ours) = timeline.prepare();
    timeline.join(key, PATH, Dial::Peer);
    let connection = timeline.accept();
    for n in 0..20 {
        let headers = format!("Message-ID: m{n}aa\r\nByte-Range: 1-*/*\r\n");
        timeline.bytes(connection, &send(&ours, "bbbb", &headers, Some("x"), '+'));
    }
    timeline.said();
    // The last four are there, the first was forgotten.
    let end =
        |id: &str| send(&ours, "cccc", &format!("Message-ID: {id}\r\nByte-Range: 2-*/*\r\n"), Some("y"), '$');

    timeline.bytes(connection, &end("m0aa"));
    assert_eq!(timeline.said(), ["200 to cccc"]);
    timeline.bytes(connection, &end("m19aa"));
    timeline.bytes(connection, &end("m18aa"));
    assert_eq!(timeline.said(), [r#"received m19aa b"xy""#, r#"received m18aa b"xy""#]);
    timeline.bytes(connection, &end("m17aa"));
    assert_eq!(timeline.said(), ["413 to cccc"]);
}

#[test]
fn nobody_is_let_into_a_session_that_is_not_theirs() {
    let (mut timeline, _, ours, first) = waiting();
    let second = timeline.accept();
    let elsewhere = "msrp://203.0.113.9:2855/nobody;tcp";
    let relayed = format!("{ours} {PATH}");

    for (to, said) in [
        (ours.as_str(), vec!["506 to bbbb"]),
        (elsewhere, vec!["481 to bbbb"]),
        (&relayed, vec!["481 to bbbb"]),
    ] {
        timeline.bytes(second, &send(to, "bbbb", "", None, '$'));
        assert_eq!(timeline.said(), said, "{to}");
    }
    timeline.bytes(second, &send(elsewhere, "cccc", "Failure-Report: no\r\n", Some("x"), '$'));
    assert_eq!(timeline.said(), [""; 0]);
    timeline.wait(30);
    assert_eq!(timeline.said(), [format!("close {second}")]);
    // The session lives on where it was.
    timeline.bytes(first, &send(&ours, "dddd", "Message-ID: m1aa\r\n", Some("x"), '$'));
    assert_eq!(timeline.said(), [r#"received m1aa b"x""#]);
}

#[test]
fn another_method_is_501_and_what_cannot_be_read_ends_the_connection_at_last() {
    let (mut timeline, _, ours, connection) = waiting();
    timeline.bytes(connection, &send(&ours, "bbbb", "", None, '$').replace("SEND", "NICKNAME"));
    assert_eq!(timeline.said(), ["501 to bbbb"]);

    let bad = send(&ours, "cccc", "Byte-Range: x\r\n", None, '$');
    for _ in 0..8 {
        timeline.bytes(connection, &bad);
    }
    assert!(timeline.said().iter().all(|line| line.contains("closed: false")));
    timeline.bytes(connection, &bad);

    let said = timeline.said();
    assert!(said[0].contains("closed: true"), "{said:?}");
    assert_eq!(
        said[1..],
        [
            format!("close {connection}"),
            "over: connection lost: the peer sent what cannot be read: Byte-Range is no range".to_owned()
        ]
    );
}

#[test]
fn a_description_never_makes_us_dial_what_is_not_public() {
    for address in
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[fe80::1]", "[::ffff:10.0.0.1]", "0.0.0.0"]
    {
        let mut timeline = Timeline::new();
        let (key, _) = timeline.prepare();
        timeline.join(key, &format!("msrp://{address}:9000/peer;tcp"), Dial::Us);

        let said = timeline.said();

        assert!(said[0].starts_with("over: the peer names the address"), "{address}: {said:?}");
        assert_eq!(said.len(), 1);
    }
    let mut timeline = Timeline::with(|settings| {
        settings.allowed = vec![AddressRange { network: "10.0.0.0".parse().unwrap(), prefix: 8 }]
    });
    let (key, _) = timeline.prepare();
    timeline.join(key, "msrp://[::ffff:10.0.0.1]:9000/peer;tcp", Dial::Us);
    assert!(timeline.said()[0].starts_with("connect"));
}

#[test]
fn a_name_is_resolved_its_addresses_are_tried_and_none_leads_inside() {
    let mut timeline = Timeline::new();
    let (key, _) = timeline.prepare();
    timeline.join(key, "msrp://relay.example:9000/r;tcp msrp://peer.example:1/p;tcp", Dial::Us);
    assert_eq!(timeline.said(), ["resolve relay.example"]);
    let address = |text: &str| Record::Address(text.parse().unwrap());
    let records = vec![address("192.168.0.1"), address("198.51.100.1"), address("198.51.100.2")];
    let query = QueryId((2 << 32) + 1);
    timeline
        .msrp
        .handle_net(Event::Resolved { query, answer: Ok(Answer { records, secure: false }) }, timeline.now);
    let first = ConnectionId::dialled((2 << 32) + 2);
    assert_eq!(timeline.said(), [format!("connect {first} 198.51.100.1:9000")]);
    // A session of the same way shares the attempt.
    let (other, _) = timeline.prepare();
    timeline.join(other, "msrp://relay.example:9000/r;tcp msrp://other.example:1/o;tcp", Dial::Us);
    assert_eq!(timeline.said(), [""; 0]);

    let failed =
        |connection| Event::ConnectFailed { connection, stage: Stage::Tcp, reason: "refused".to_owned() };
    timeline.msrp.handle_net(failed(first), timeline.now);
    let second = ConnectionId::dialled((2 << 32) + 3);
    assert_eq!(timeline.said(), [format!("connect {second} 198.51.100.2:9000")]);
    timeline.msrp.handle_net(Event::Connected { connection: second, local: None, tls: None }, timeline.now);

    assert_eq!(timeline.said(), ["SEND t-3$", "opened", "SEND t-5$", "opened"]);
    timeline.msrp.close(key, timeline.now);
    assert_eq!(timeline.said(), [""; 0]);
    timeline.msrp.close(other, timeline.now);
    assert_eq!(timeline.said(), [format!("close {second}")]);
}

#[test]
fn an_address_that_refuses_is_the_end() {
    let mut timeline = Timeline::new();
    let (key, _) = timeline.prepare();
    timeline.msrp.send(key, content("m001", "a"), timeline.now).unwrap();
    timeline.join(key, PATH, Dial::Us);
    timeline.said();
    let connection = ConnectionId::dialled((2 << 32) + 1);

    let failed = Event::ConnectFailed { connection, stage: Stage::Tcp, reason: "refused".to_owned() };
    timeline.msrp.handle_net(failed, timeline.now);

    assert_eq!(
        timeline.said(),
        ["failed m001 Ended { sent: false }", "over: the peer cannot be reached: refused"]
    );
    assert_eq!(timeline.msrp.send(key, content("m002", "b"), timeline.now), Err(Unready::NoSuchSession));
}

#[test]
fn a_peer_that_does_not_come_or_does_not_answer_ends_its_session() {
    let mut timeline = Timeline::new();
    let (key, _) = timeline.prepare();
    timeline.join(key, PATH, Dial::Peer);
    timeline.wait(29);
    assert_eq!(timeline.said(), [""; 0]);
    timeline.wait(1);
    assert_eq!(timeline.said(), ["over: the peer did not connect in time"]);

    let (mut timeline, key, _, connection) = dialled();
    timeline.msrp.send(key, content("m001", "a"), timeline.now).unwrap();
    timeline.said();
    timeline.wait(30);
    let over = [
        "failed m001 TimedOut".to_owned(),
        "over: the peer does not answer".to_owned(),
        format!("close {connection}"),
    ];
    assert_eq!(timeline.said(), over);
}

#[test]
fn silence_is_broken_by_a_request_without_content() {
    let (mut timeline, _, _, connection) = dialled();
    timeline.wait(119);
    assert_eq!(timeline.said(), [""; 0]);
    timeline.wait(1);
    assert_eq!(timeline.said(), ["SEND t-4$"]);
    timeline.bytes(connection, &response("t-4", 200));
    timeline.wait(120);
    assert_eq!(timeline.said(), ["SEND t-6$"]);

    timeline.bytes(connection, &response("t-6", 481));

    assert_eq!(
        timeline.said(),
        ["over: the peer refuses the session with 481".to_owned(), format!("close {connection}")]
    );
}

#[test]
fn a_lost_connection_ends_its_sessions_and_says_what_may_have_arrived() {
    let (mut timeline, key, _, connection) = dialled();
    timeline.msrp.send(key, content("m001", "a"), timeline.now).unwrap();
    timeline.msrp.send(key, content("m002", "b"), timeline.now).unwrap();
    timeline.said();

    timeline.msrp.handle_net(Event::Closed { connection, reason: None }, timeline.now);

    let said = timeline.said();
    assert_eq!(
        said,
        [
            "failed m001 Ended { sent: true }",
            "failed m002 Ended { sent: false }",
            "over: connection lost: the peer closed the connection"
        ]
    );
    assert!(Failure::Ended { sent: true }.may_have_arrived());
}

#[test]
fn a_failure_report_after_the_response_is_heard() {
    let (mut timeline, key, ours, connection) = dialled();
    timeline.msrp.send(key, content("m001", "a"), timeline.now).unwrap();
    timeline.bytes(connection, &response("t-4", 200));
    timeline.said();

    timeline.bytes(connection, &report(&ours, "m001", "", 403));

    assert_eq!(timeline.said(), ["failed m001 Refused { code: 403 }"]);
    timeline.bytes(connection, &report(&ours, "m009", "", 403));
    assert_eq!(timeline.said(), [""; 0]);
}

#[test]
fn content_that_holds_the_name_of_its_transaction_gets_another() {
    let (mut timeline, key, _, _) = dialled();

    timeline.msrp.send(key, content("m001", "x -------t-4$ y t-5"), timeline.now).unwrap();

    assert_eq!(timeline.said(), ["SEND t-6 1-19/19 19 octets$"]);
}

#[test]
fn limits_hold_for_connections_sessions_and_queues() {
    let mut timeline = Timeline::with(|settings| {
        settings.limits.connections = 1;
        settings.limits.sessions = 1;
        settings.limits.queue = 1;
    });
    let (key, _) = timeline.prepare();
    assert!(timeline.msrp.prepare(false, timeline.now).is_none());
    assert!(timeline.msrp.prepare(true, timeline.now).is_none());
    timeline.msrp.send(key, content("m001", "a"), timeline.now).unwrap();
    assert_eq!(timeline.msrp.send(key, content("m002", "a"), timeline.now), Err(Unready::Full));
    timeline.accept();
    let second = timeline.accept();

    let said = timeline.said();

    assert_eq!(said[0], format!("close {second}"));
    timeline.msrp.close(key, timeline.now);
    assert!(timeline.msrp.prepare(false, timeline.now).is_some());
}

#[test]
fn a_way_that_cannot_be_taken_is_said() {
    for (path, said) in [
        (
            "msrps://198.51.100.5:9000/peer;tcp",
            "over: the peer's path cannot be used: one side is on TLS and the other is not",
        ),
        (
            "msrp://198.51.100.5:9000/peer;sctp",
            "over: the peer's path cannot be used: its transport is not tcp",
        ),
    ] {
        let mut timeline = Timeline::new();
        let (key, _) = timeline.prepare();
        timeline.join(key, path, Dial::Us);
        assert_eq!(timeline.said(), [said]);
    }
}
