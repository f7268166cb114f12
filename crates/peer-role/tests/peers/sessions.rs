//! Two SIP user agents that talk in sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clock_types::Ids;
use net_types::{ListenerId, Trust};
use peer_role::{Answers, Manner, Said, SessionManners, SipSettings, SipUserAgent};
use sip_proto::endpoint::{FixedHop, Listener, Route, Settings, Transport};

use crate::wire::{Wire, address};

fn agents(transport: Transport, answers: Answers, manners: &[Manner]) -> Wire<SipUserAgent> {
    let agent = |side: usize, user: &str, manners: &[Manner]| {
        let here = address(side);
        let listener = Listener { id: ListenerId(0), transport, host: here.ip().into(), port: here.port() };
        let there = address(1 - side);
        let settings = SipSettings {
            endpoint: Settings::new(vec![listener], None, Trust(Arc::from("test"))),
            route: Route::fixed(FixedHop::at(transport, there.ip(), there.port())),
            sessions: Some(SessionManners {
                manners: manners.to_vec(),
                place: format!("{here};transport={transport}"),
            }),
            presence: None,
            users: BTreeMap::from([(user.to_owned(), answers)]),
        };
        SipUserAgent::new(settings, Ids::random([u8::try_from(side).unwrap() + 1; 32]))
    };
    let peers = [agent(0, "ann@x.example", &[]), agent(1, "bob@s.example", manners)];
    Wire::new(peers, ["x.example", "s.example"])
}

fn writes(wire: &mut Wire<SipUserAgent>, side: usize, text: &str) {
    let pair = [("ann@x.example", "bob@s.example"), ("bob@s.example", "ann@x.example")][side];
    let now = wire.now;
    wire.peers[side].send_text(pair.0, pair.1, text, text, now);
}

#[track_caller]
fn shown(wire: &Wire<SipUserAgent>, side: usize) -> Vec<&str> {
    let complaint = wire.said.iter().flatten().find(|said| matches!(said, Said::Complaint(_)));
    assert_eq!(complaint, None);
    let texts = wire.said[side].iter().filter_map(|said| match said {
        Said::Received { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn accepted(wire: &Wire<SipUserAgent>, side: usize) -> usize {
    wire.said[side].iter().filter(|said| matches!(said, Said::Accepted { .. })).count()
}

#[test]
fn texts_of_both_cross_in_order_whatever_becomes_of_their_sessions() {
    let cases: [&[Manner]; 6] = [
        &[Manner::Well],
        &[Manner::AcceptedTwice],
        &[Manner::LeavesAfter(2)],
        &[Manner::ForgottenAfter(1), Manner::ForgottenAfter(2)],
        &[Manner::ForgottenAfter(0), Manner::LeavesAfter(1), Manner::AcceptedTwice],
        &[Manner::LeavesAfter(1), Manner::ForgottenAfter(1), Manner::Well],
    ];
    for transport in [Transport::Tcp, Transport::Udp] {
        for (answers, manners) in [Answers::AtOnce(200), Answers::After(Duration::from_secs(9), 200)]
            .into_iter()
            .zip(cases.chunks(3))
        {
            for manners in manners {
                let mut wire = agents(transport, answers, manners);

                for text in ["1", "2", "3", "4"] {
                    writes(&mut wire, 0, text);
                    writes(&mut wire, 1, text);
                    wire.run(Duration::from_millis(300));
                }
                wire.run(Duration::from_secs(60));

                for side in 0..2 {
                    assert_eq!(shown(&wire, side), ["1", "2", "3", "4"], "{transport} {manners:?}");
                    assert_eq!(accepted(&wire, side), 4);
                }
            }
        }
    }
}

#[test]
fn who_is_refused_a_session_has_every_text_refused() {
    let mut wire = agents(Transport::Tcp, Answers::After(Duration::from_secs(1), 486), &[]);

    writes(&mut wire, 0, "1");
    writes(&mut wire, 0, "2");
    wire.run(Duration::from_secs(5));

    let refused = |id: &str| Said::Refused { id: id.to_owned(), answer: "486 Busy Here".to_owned() };
    assert!(wire.said[0].contains(&refused("1")) && wire.said[0].contains(&refused("2")));
    assert_eq!(shown(&wire, 1), [""; 0]);
}

#[test]
fn a_text_that_meets_a_dead_session_has_no_answer_and_the_next_opens_another() {
    let mut wire = agents(Transport::Tcp, Answers::AtOnce(200), &[Manner::DeadAfter(1), Manner::Well]);

    for text in ["1", "2", "3"] {
        writes(&mut wire, 0, text);
    }
    wire.run(Duration::from_secs(40));

    assert_eq!(shown(&wire, 1), ["1", "3"]);
    assert!(wire.said[0].iter().any(|said| matches!(said, Said::Unanswered { id, .. } if id == "2")));
}
