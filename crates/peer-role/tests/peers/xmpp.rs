//! Two XMPP servers.

use std::sync::Arc;
use std::time::Duration;

use clock_types::Ids;
use net_types::{Identity, Trust};
use peer_role::{Acks, Proves, Said, XmppServer, XmppSettings};
use xmpp_types::jid::DomainName;

use crate::wire::{Wire, address};

const NAMES: [&str; 2] = ["x.example", "y.example"];

fn servers(change: impl Fn(&mut XmppSettings)) -> Wire<XmppServer> {
    let server = |side: usize, user: &str| {
        let domain = DomainName::parse(NAMES[side]).unwrap();
        let identity = Identity(Arc::from(NAMES[side]));
        let mut settings = XmppSettings::new(domain, identity, Trust(Arc::from("test")));
        settings.users.insert(user.to_owned());
        let other = DomainName::parse(NAMES[1 - side]).unwrap();
        settings.hosts.insert(other, address(1 - side).to_string());
        settings.report_after = Duration::from_secs(20);
        change(&mut settings);
        XmppServer::new(settings, Ids::random([u8::try_from(side).unwrap() + 1; 32]))
    };
    Wire::new([server(0, "ann"), server(1, "bob")], NAMES)
}

fn write(wire: &mut Wire<XmppServer>, side: usize, to: &str, text: &str, id: &str) {
    let from = ["ann@x.example/desk", "bob@y.example/phone"][side];
    let now = wire.now;
    wire.peers[side].send_text(from, to, text, id, now);
}

fn received(wire: &Wire<XmppServer>, side: usize) -> Vec<&str> {
    wire.said[side]
        .iter()
        .filter_map(|said| match said {
            Said::Received { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

fn accepted(wire: &Wire<XmppServer>, side: usize, wanted: &str) -> bool {
    wire.said[side].iter().any(|said| matches!(said, Said::Accepted { id, .. } if id == wanted))
}

#[test]
fn a_text_crosses_and_is_acknowledged_however_the_servers_are_set() {
    for proves in [Proves::Certificate, Proves::Dialback, Proves::Either] {
        for acks in [Acks::Counted, Acks::Pinged] {
            for both_ways in [true, false] {
                let mut wire = servers(|settings| {
                    settings.proves = proves;
                    settings.acks = acks;
                    settings.both_ways = both_ways;
                });

                write(&mut wire, 0, "bob@y.example", "one", "m1");
                wire.run(Duration::from_secs(1));
                write(&mut wire, 1, "ann@x.example", "two", "m2");
                wire.run(Duration::from_secs(1));

                let setting = format!("{proves:?} {acks:?} {both_ways}: {:?}", wire.said);
                assert_eq!(received(&wire, 1), ["one"], "{setting}");
                assert_eq!(received(&wire, 0), ["two"], "{setting}");
                assert!(accepted(&wire, 0, "m1") && accepted(&wire, 1, "m2"), "{setting}");
            }
        }
    }
}

#[test]
fn an_unknown_user_does_not_exist() {
    let mut wire = servers(|_| {});

    write(&mut wire, 0, "eve@y.example", "hi", "m1");
    wire.run(Duration::from_secs(1));

    let refused = wire.said[0].iter().find_map(|said| match said {
        Said::Refused { id, answer } => Some((id.as_str(), answer.as_str())),
        _ => None,
    });
    assert_eq!(refused, Some(("m1", "item-not-found (cancel)")));
    assert!(received(&wire, 1).is_empty());
}

#[test]
fn a_server_that_withholds_acknowledgements_shows_the_text_and_says_nothing() {
    let mut wire = servers(|_| {});
    let now = wire.now;
    wire.peers[1].set_acks(Acks::Withheld, now);

    write(&mut wire, 0, "bob@y.example", "hi", "m1");
    wire.run(Duration::from_secs(5));

    assert_eq!(received(&wire, 1), ["hi"]);
    assert!(!accepted(&wire, 0, "m1"), "{:?}", wire.said[0]);
    let now = wire.now;
    wire.peers[1].set_acks(Acks::Counted, now);
    wire.run(Duration::from_secs(1));
    assert!(accepted(&wire, 0, "m1"), "{:?}", wire.said[0]);
}

#[test]
fn a_server_that_cannot_be_reached_is_tried_again_until_the_text_is_too_old() {
    let mut wire = servers(|_| {});
    wire.reachable = false;

    write(&mut wire, 0, "bob@y.example", "hi", "m1");
    wire.run(Duration::from_secs(5));
    wire.reachable = true;
    wire.run(Duration::from_secs(5));
    assert_eq!(received(&wire, 1), ["hi"]);

    let mut wire = servers(|_| {});
    wire.reachable = false;
    write(&mut wire, 0, "bob@y.example", "hi", "m1");
    wire.run(Duration::from_secs(30));
    let last = wire.said[0].iter().rev().find(|said| !matches!(said, Said::Note(_)));
    let reason = "connection refused".to_owned();
    assert_eq!(last, Some(&Said::Unanswered { id: "m1".to_owned(), reason }));
}

#[test]
fn texts_keep_their_order_while_a_stream_is_made() {
    let mut wire = servers(|settings| settings.proves = Proves::Dialback);

    for (id, text) in [("m1", "1"), ("m2", "2"), ("m3", "3")] {
        write(&mut wire, 0, "bob@y.example", text, id);
    }
    wire.run(Duration::from_secs(2));

    assert_eq!(received(&wire, 1), ["1", "2", "3"]);
}

#[test]
fn a_server_that_stops_closes_its_streams() {
    let mut wire = servers(|_| {});
    write(&mut wire, 0, "bob@y.example", "hi", "m1");
    wire.run(Duration::from_secs(1));

    let now = wire.now;
    wire.peers[1].handle_stop(now);
    wire.run(Duration::from_secs(1));
    write(&mut wire, 0, "bob@y.example", "again", "m2");
    wire.run(Duration::from_secs(5));

    assert_eq!(received(&wire, 1), ["hi", "again"]);
}
