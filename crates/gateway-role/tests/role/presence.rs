//! What both sides of a watch say, and what they hear.

use gateway_role::{KeptWatch, Record, Recovered, WatchRecord};
use xmpp_types::xml::Element;

use crate::world::{World, header};

/// The document of one open tuple.
pub fn open(id: &str, inside: &str) -> String {
    format!(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:bob@s.example'><tuple id='{id}'>\
         <status><basic>open</basic></status>{inside}</tuple></presence>"
    )
}

/// Says the kind of each stanza to Ann, and from whom, and its words.
pub fn heard(world: &mut World) -> Vec<String> {
    let words = |stanza: &Element| {
        assert!(stanza.attr("to").unwrap().starts_with("ann@x.example"), "{stanza}");
        let kind = stanza.attr("type").unwrap_or("available");
        let text = |name: &str| {
            let child = stanza.elements().find(|child| child.name() == name);
            child.map(|child| format!(" {}", child.text())).unwrap_or_default()
        };
        format!("{kind} {}{}{}", stanza.attr("from").unwrap(), text("show"), text("status"))
    };
    world.store();
    let stanzas = std::mem::take(&mut world.stanzas);
    for (n, _) in &stanzas {
        world.partner_has(*n);
    }
    stanzas.iter().map(|(_, stanza)| words(stanza)).collect()
}

pub fn presence(world: &mut World, kind: &str, inside: &str) -> u64 {
    let from = if kind.is_empty() || kind == "unavailable" { "ann@x.example/desk" } else { "ann@x.example" };
    let kind = if kind.is_empty() { String::new() } else { format!("type='{kind}'") };
    world.xmpp(&format!(
        "<presence xmlns='jabber:server' from='{from}' to='bob@s.example' {kind}>{inside}</presence>"
    ))
}

/// The SIP server accepts a SUBSCRIBE.
pub fn grant(world: &mut World, subscribe: &str, status: &str, more: &str) {
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let tag = if name == "To" && !header(subscribe, name).contains("tag=") { ";tag=b" } else { "" };
        answer.push_str(&format!("{name}: {}{tag}\r\n", header(subscribe, name)));
    }
    world.sip(&format!("{answer}Contact: <sip:bob@10.0.0.9>\r\n{more}Content-Length: 0\r\n\r\n"));
}

/// A NOTIFY comes in the dialog of a SUBSCRIBE of ours; its answer is 200.
pub fn notify(world: &mut World, subscribe: &str, number: u32, state: &str, body: &str) {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/pidf+xml\r\n" };
    let tag = header(subscribe, "To").split(";tag=").nth(1).unwrap_or("b");
    world.sip(&format!(
        "NOTIFY sip:ann@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-n{number}{};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@s.example>;tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} NOTIFY\r\n\
         Contact: <sip:bob@10.0.0.9>\r\nEvent: presence\r\nSubscription-State: {state}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        header(subscribe, "Call-ID"),
        header(subscribe, "From"),
        header(subscribe, "Call-ID"),
        body.len()
    ));
    let answer = world.expect_sip();
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
}

/// Bob's program subscribes to Ann; returns the answer.
pub fn subscribe(world: &mut World, number: u32, tag: &str, more: &str) -> String {
    world.sip(&format!(
        "SUBSCRIBE sip:ann@x.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-s{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Müller, Bob\" <sip:bob@s.example>;tag=b;epid=2c19\r\nTo: <sip:ann@x.example>{tag}\r\n\
         Call-ID: c-bob\r\nCSeq: {number} SUBSCRIBE\r\nContact: <sip:bob@10.0.0.9;gruu>\r\n\
         Event: presence\r\n{more}Content-Length: 0\r\n\r\n"
    ));
    world.expect_sip()
}

/// Ann has allowed Bob, who watches, and is at her desk; returns the To tag of the dialog.
pub fn watched() -> (World, String) {
    let mut world = World::new();
    let answer = subscribe(&mut world, 1, "", "Expires: 600\r\n");
    let notify = world.expect_sip();
    world.answer(&notify, "200 OK");
    presence(&mut world, "subscribed", "");
    let notify = world.expect_sip();
    world.answer(&notify, "200 OK");
    world.pass(6000);
    presence(&mut world, "", "");
    let notify = world.expect_sip();
    world.answer(&notify, "200 OK");
    world.store();
    world.stanzas.clear();
    let tag = header(&answer, "To").split(";tag=").nth(1).unwrap().to_owned();
    (world, format!(";tag={tag}"))
}

/// Bob has allowed Ann, and is at his `pc`.
pub fn watching() -> (World, String) {
    let mut world = World::new();
    presence(&mut world, "subscribe", "");
    let request = world.expect_sip();
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 1, "active;expires=3600", &open("ID-pc", ""));
    assert_eq!(heard(&mut world), ["subscribed bob@s.example", "available bob@s.example/pc"]);
    (world, request)
}

/// What is left of a watch after a crash, from what the disk got.
pub fn left(records: Vec<Record>) -> Recovered {
    let mut watch = None::<KeptWatch>;
    for record in records {
        let Record::Watch(record) = record else { continue };
        match *record {
            WatchRecord::Authorisation { direction, pair, authorisation } => {
                let new =
                    || KeptWatch { direction, pair, authorisation, shown: Vec::new(), dialogs: Vec::new() };
                watch.get_or_insert_with(new).authorisation = authorisation;
            }
            WatchRecord::Forgotten { .. } => watch = None,
            other => {
                let Some(watch) = &mut watch else { continue };
                match other {
                    WatchRecord::Dialog { kept, .. } => watch.dialogs = vec![*kept],
                    WatchRecord::Shown { devices, .. } => watch.shown = devices,
                    _ => watch.dialogs.clear(),
                }
            }
        }
    }
    Recovered { watches: watch.into_iter().collect(), ..Recovered::default() }
}
