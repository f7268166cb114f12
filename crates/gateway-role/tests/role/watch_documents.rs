//! What NOTIFYs carry beside a plain document, and what carries a document beside NOTIFYs.

use net_types::{Event, Stage};
use translate::Loss;

use crate::presence::{grant, heard, notify, open, presence, watched, watching};
use crate::world::{World, header};

/// A request of Bob's server in the dialog of a SUBSCRIBE of ours.
fn inside(subscribe: &str, method: &str, number: u32, headers: &str, body: &str) -> String {
    format!(
        "{method} sip:ann@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-{method}{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@s.example>;tag=b\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:bob@10.0.0.9>\r\nEvent: presence\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        header(subscribe, "From"),
        header(subscribe, "Call-ID"),
        body.len()
    )
}

const PIDF: &str = "Subscription-State: active\r\nContent-Type: application/pidf+xml\r\n";

/// Ann asks to watch Bob; returns the SUBSCRIBE.
fn asking() -> (World, String) {
    let mut world = World::new();
    presence(&mut world, "subscribe", "");
    let request = world.expect_sip();
    (world, request)
}

/// The SIP server accepts a SUBSCRIBE with a document in its answer.
fn grant_with(world: &mut World, subscribe: &str, headers: &str, body: &str) {
    let mut answer = "SIP/2.0 200 OK\r\n".to_owned();
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let tag = if name == "To" && !header(subscribe, name).contains("tag=") { ";tag=b" } else { "" };
        answer.push_str(&format!("{name}: {}{tag}\r\n", header(subscribe, name)));
    }
    let kind = "Content-Type: application/pidf+xml\r\n";
    let length = body.len();
    world.sip(&format!(
        "{answer}Contact: <sip:bob@10.0.0.9>\r\nExpires: 29087\r\n{headers}{kind}Content-Length: {length}\r\n\r\n{body}"
    ));
}

#[test]
fn case_37_a_document_in_the_answer_to_subscribe_is_that_of_the_notify_with_its_number() {
    let (mut world, request) = asking();

    grant_with(&mut world, &request, "ms-piggyback-cseq: 1\r\n", &open("0", ""));
    assert_eq!(heard(&mut world), ["subscribed bob@s.example", "available bob@s.example/0"]);
    notify(&mut world, &request, 1, "active;expires=29087", &open("0", ""));
    assert_eq!(heard(&mut world), [""; 0]);
    notify(&mut world, &request, 2, "active;expires=29087", &open("0", "<note>Here</note>"));
    assert_eq!(heard(&mut world), ["available bob@s.example/0 Here"]);
}

#[test]
fn a_document_in_an_answer_that_is_older_than_a_notify_changes_nothing() {
    let (mut world, request) = asking();

    notify(&mut world, &request, 2, "active;expires=3600", &open("0", "<note>New</note>"));
    grant_with(&mut world, &request, "ms-piggyback-cseq: 1\r\n", &open("0", "<note>Old</note>"));

    assert_eq!(heard(&mut world), ["subscribed bob@s.example", "available bob@s.example/0 New"]);
}

#[test]
fn a_document_in_the_answer_to_a_refresh_is_shown() {
    let (mut world, _) = watching();

    world.pass(3_240_000);
    let refresh = world.expect_sip();
    grant_with(&mut world, &refresh, "", &open("ID-pc", "<note>Still here</note>"));

    assert_eq!(heard(&mut world), ["available bob@s.example/pc Still here"]);
}

#[test]
fn a_benotify_is_heard_and_never_answered() {
    let (mut world, request) = watching();

    world.sip(&inside(&request, "BENOTIFY", 2, PIDF, &open("ID-pc", "<note>Moved</note>")));
    world.expect_no_sip();
    assert_eq!(heard(&mut world), ["available bob@s.example/pc Moved"]);
    world.sip(&inside(&request, "BENOTIFY", 3, PIDF, "<not a document"));
    world.sip(&inside(&request, "BENOTIFY", 1, PIDF, &open("ID-pc", "<note>Late</note>")));
    world.sip_from(
        "10.6.6.6:5060",
        &inside(&request, "BENOTIFY", 4, PIDF, &open("ID-pc", "<note>Forged</note>")),
    );
    world.sip(&inside(&request, "BENOTIFY", 5, PIDF, "").replace(header(&request, "Call-ID"), "other"));

    world.expect_no_sip();
    assert_eq!(heard(&mut world), [""; 0]);
}

#[test]
fn a_document_among_other_parts_is_shown() {
    let (mut world, request) = watching();
    let body = format!(
        "--b\r\nContent-Type: application/pidf+xml\r\n\r\n{}\r\n--b--\r\n",
        open("ID-pc", "<note>Inside</note>")
    );

    world.sip(&inside(
        &request,
        "NOTIFY",
        2,
        "Subscription-State: active\r\nContent-Type: multipart/related;type=\"application/pidf+xml\";boundary=b\r\n",
        &body,
    ));

    assert!(world.expect_sip().starts_with("SIP/2.0 200 "));
    assert_eq!(heard(&mut world), ["available bob@s.example/pc Inside"]);
}

#[test]
fn what_cannot_be_read_is_refused_counted_and_told_once_and_the_watch_goes_on() {
    let (mut world, request) = watching();
    world.notices.clear();
    let bomb = "<!DOCTYPE p [<!ENTITY a 'ha'>]><presence xmlns='urn:ietf:params:xml:ns:pidf'>&a;</presence>";

    for number in 2..5 {
        world.sip(&inside(&request, "NOTIFY", number, PIDF, bomb));
        assert!(world.expect_sip().starts_with("SIP/2.0 400 Bad presence document: "));
    }
    let [told, counted] = ["document was refused", "lost {Document}"]
        .map(|words| world.notices.iter().filter(|notice| notice.to_string().contains(words)).count());
    assert_eq!((told, counted), (1, 3), "{:?}", world.notices);
    assert_eq!(Loss::Document.words(), "unreadable document");
    assert_eq!(heard(&mut world), [""; 0]);
    let states = world.gateway.watches(None, world.now);
    assert!(states[0].trouble.as_deref().unwrap().contains("Bad presence document"), "{states:?}");

    // What was last known stays for a while, and no longer.
    world.pass(60_000);
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
    notify(&mut world, &request, 5, "active", &open("ID-pc", "<note>Back</note>"));
    assert_eq!(heard(&mut world), ["available bob@s.example/pc Back"]);
    assert_eq!(world.gateway.watches(None, world.now)[0].trouble, None);
}

#[test]
fn a_coding_that_is_not_read_is_refused_415() {
    let (mut world, request) = watching();
    for (number, headers) in [
        (2, "Content-Type: application/pidf+xml\r\nContent-Encoding: gzip\r\n"),
        (3, "Content-Type: application/pidf-diff+xml\r\n"),
    ] {
        let headers = format!("Subscription-State: active\r\n{headers}");
        world.sip(&inside(&request, "NOTIFY", number, &headers, "xxxx"));
        let answer = world.expect_sip();
        assert!(answer.starts_with("SIP/2.0 415 "), "{answer}");
        assert_eq!(header(&answer, "Accept"), "application/pidf+xml");
    }
}

#[test]
fn a_contact_whose_first_document_cannot_be_read_is_granted_and_unknown() {
    let (mut world, request) = asking();
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");

    world.sip(&inside(&request, "NOTIFY", 1, PIDF, "<presence/>"));

    assert!(world.expect_sip().starts_with("SIP/2.0 400 "));
    assert_eq!(heard(&mut world), ["subscribed bob@s.example"]);
}

#[test]
fn a_document_without_tuples_says_that_nothing_is_known() {
    let (mut world, request) = watching();

    notify(
        &mut world,
        &request,
        2,
        "active",
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:bob@s.example'/>",
    );

    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
}

#[test]
fn somebody_elses_document_is_not_shown_as_his() {
    let (mut world, request) = watching();

    let eve = open("ID-pc", "<note>I am Bob</note>").replace("sip:bob@", "sip:eve@");
    world.sip(&inside(&request, "NOTIFY", 2, PIDF, &eve));

    assert!(world.expect_sip().starts_with("SIP/2.0 400 "));
    assert_eq!(heard(&mut world), [""; 0]);
}

/// Ann is at so many devices, each with something to say.
fn many_devices(world: &mut World, count: usize) {
    for n in 0..count {
        world.xmpp(&format!(
            "<presence xmlns='jabber:server' from='ann@x.example/device-{n}' to='bob@s.example'>\
             <show>away</show><status>Out of the office until Monday, device {n}</status><priority>{n}</priority></presence>"
        ));
    }
}

#[test]
fn a_notify_that_is_too_long_for_a_datagram_goes_by_tcp() {
    let (mut world, _) = watched();
    world.pass(6000);
    many_devices(&mut world, 1);
    let first = world.expect_sip();
    world.answer(&first, "200 OK");

    many_devices(&mut world, 8);
    world.pass(6000);

    world.expect_no_sip();
    assert_eq!(world.wire, ["connect 10.0.0.9:5060"]);
    let connection = world.wired.unwrap();
    let connected = Event::Connected { connection, local: None, tls: None };
    world.gateway.handle_event(connected, world.now);
    world.drain();
    assert!(world.wire[1].starts_with("NOTIFY ") && world.wire[1].len() > 1300, "{:?}", world.wire);
    assert_eq!(world.wire[1].matches("<tuple ").count(), 9);
}

#[test]
fn where_there_is_no_tcp_documents_are_shortened_to_what_a_datagram_holds_and_that_is_told() {
    let (mut world, _) = watched();
    world.pass(6000);
    many_devices(&mut world, 1);
    let first = world.expect_sip();
    world.answer(&first, "200 OK");
    many_devices(&mut world, 8);
    world.pass(6000);
    let refused = Event::ConnectFailed {
        connection: world.wired.unwrap(),
        stage: Stage::Tcp,
        reason: "connection refused".to_owned(),
    };
    world.gateway.handle_event(refused, world.now);
    world.drain();
    let whole = world.expect_sip();
    assert!(whole.len() > 1300 && whole.matches("<tuple ").count() == 9, "{whole}");
    world.answer(&whole, "200 OK");
    world.notices.clear();

    world.pass(6000);
    presence(&mut world, "", "<show>dnd</show>");
    let short = world.expect_sip();
    assert!(short.starts_with("NOTIFY ") && short.len() <= 1300, "{} {short}", short.len());
    assert!(!short.contains("<note>") && short.contains("ID-device-7"), "{short}");
    assert!(world.notices.iter().any(|notice| notice.to_string().contains("lost {Length, OtherContacts}")));
    world.answer(&short, "200 OK");

    // It may have been an outage.
    world.pass(300_000);
    world.wire.clear();
    presence(&mut world, "", "<show>away</show>");
    world.expect_no_sip();
    assert_eq!(world.wire, ["connect 10.0.0.9:5060"]);
}

#[test]
fn a_document_in_an_answer_that_cannot_be_read_costs_nothing_but_itself() {
    let (mut world, request) = asking();

    grant_with(&mut world, &request, "ms-piggyback-cseq: 1\r\n", "<!DOCTYPE a><presence/>");

    assert_eq!(heard(&mut world), ["subscribed bob@s.example"]);
    let trouble = world.gateway.watches(None, world.now)[0].trouble.clone();
    assert!(trouble.unwrap().contains("Bad presence document"));
    notify(&mut world, &request, 2, "active;expires=3600", &open("0", ""));
    assert_eq!(heard(&mut world), ["available bob@s.example/0"]);
    assert_eq!(world.gateway.watches(None, world.now)[0].trouble, None);
}
