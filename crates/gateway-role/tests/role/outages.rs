//! What watches do around a restart, and while one side cannot be reached.

use clock_types::Date;
use gateway_role::{
    Authorisation, KeptDialog, KeptWatch, Pair, Record, Recovered, Settings, WatchDirection, WatchRecord,
};
use sip_proto::endpoint::{FixedHop, Pace, Route};
use std::sync::Arc;

use crate::presence::{heard, presence, subscribe, watched};
use crate::world::{World, header, settings};

/// A SIP server that takes so many requests in a second.
fn paced(per_second: u32) -> Settings {
    let mut settings = settings();
    let Route::Fixed(hop) = &settings.domains[0].route else { panic!("the route is fixed") };
    let pace = Pace { peer: "s.example".into(), per_second: per_second.try_into().unwrap() };
    settings.domains[0].route = Route::fixed(FixedHop { pace: Some(pace), ..(**hop).clone() });
    settings
}

/// Bob watches so many contacts of Ann's domain, and is allowed to.
fn watches(count: u32) -> Recovered {
    let watch = |number: u32| KeptWatch {
        direction: WatchDirection::Inward,
        pair: Arc::new(Pair::of_key(&format!("u{number}@x.example bob@s.example")).unwrap()),
        authorisation: Authorisation::Granted,
        shown: Vec::new(),
        dialogs: vec![KeptDialog {
            tag: format!("w{number}"),
            call_id: format!("c{number}"),
            local: format!("<sip:u{number}@x.example>;tag=w{number}"),
            remote: "<sip:bob@s.example>;tag=b".to_owned(),
            local_seq: 1,
            remote_seq: Some(1),
            target: "sip:bob@10.0.0.9".to_owned(),
            routes: Vec::new(),
            secure: false,
            event: "presence".to_owned(),
            authorised: true,
            expires: Date::from_unix_millis(1_800_007_200_000),
        }],
    };
    Recovered { watches: (0..count).map(watch).collect(), ..Recovered::default() }
}

/// What the records say of dialogs that are over.
fn ended(records: &[Record]) -> usize {
    let is_end = |record: &&Record| matches!(record, Record::Watch(watch) if matches!(**watch, WatchRecord::DialogEnded { .. }));
    records.iter().filter(is_end).count()
}

#[test]
fn a_planned_end_is_told_at_the_pace_of_the_servers_and_who_could_not_be_told_stays_on_disk() {
    let mut world = World::with(paced(10), watches(500));
    world.stanzas.clear();
    world.gateway.handle_stop(world.now);
    world.drain();

    let mut told = 0;
    for tenth in 0..200 {
        let notifies = std::mem::take(&mut world.sip);
        told += notifies.len();
        assert!(told <= 20 + tenth, "{told} after {tenth} tenths of a second");
        for notify in notifies {
            assert_eq!(header(&notify, "Subscription-State"), "terminated;reason=deactivated");
            world.answer(&notify, "200 OK");
        }
        assert!(!world.stopped, "{tenth}");
        world.pass(100);
    }
    world.pass(100);

    assert!(world.stopped);
    assert!(told >= 180, "{told}");
    assert_eq!(ended(&world.all_is_stored()), told);
    assert_eq!(world.stanzas.len(), 0, "nobody is said to have gone, or asked for");
}

#[test]
fn a_program_that_cannot_be_told_of_a_planned_end_keeps_its_dialog() {
    let (mut world, _) = watched();

    world.gateway.handle_stop(world.now);
    world.drain();
    let last = world.expect_sip();
    assert_eq!(header(&last, "Subscription-State"), "terminated;reason=deactivated");
    for _ in 0..33 {
        world.pass(1000);
    }

    assert!(world.stopped);
    assert_eq!(ended(&world.all_is_stored()), 0);
}

#[test]
fn after_a_crash_xmpp_servers_are_asked_in_turn() {
    let mut world = World::after(watches(3000));

    let probes = |world: &mut World| {
        let stanzas = std::mem::take(&mut world.stanzas);
        assert!(stanzas.iter().all(|(_, stanza)| stanza.attr("type") == Some("probe")));
        stanzas.len()
    };
    assert_eq!(probes(&mut world), 100);
    world.pass(100);
    assert_eq!(probes(&mut world), 100);
    for _ in 0..28 {
        world.pass(100);
    }

    assert_eq!(probes(&mut world), 2800);
}

#[test]
fn many_contacts_of_a_paced_server_are_asked_about_over_as_long_as_that_takes() {
    let watch = |number: u32| KeptWatch {
        direction: WatchDirection::Outward,
        pair: Arc::new(Pair::of_key(&format!("ann@x.example u{number}@s.example")).unwrap()),
        authorisation: Authorisation::Granted,
        shown: Vec::new(),
        dialogs: Vec::new(),
    };
    let recovered = Recovered { watches: (0..600).map(watch).collect(), ..Recovered::default() };
    let mut world = World::with(paced(10), recovered);

    let mut most = 0;
    let mut all = 0;
    for _ in 0..60 {
        world.pass(1000);
        most = most.max(world.gateway.snapshot().paced.first().map_or(0, |paced| paced.waiting));
        all += std::mem::take(&mut world.sip).iter().filter(|sip| sip.starts_with("SUBSCRIBE ")).count();
    }

    assert!(most < 60, "{most} wait at the endpoint");
    assert!(all > 400, "{all}");
}

#[test]
fn whoever_asks_once_waits_a_moment_for_what_is_not_known_yet() {
    let mut world = World::after(Recovered {
        watches: vec![KeptWatch {
            direction: WatchDirection::Inward,
            pair: Arc::new(Pair::of_key("ann@x.example bob@s.example").unwrap()),
            authorisation: Authorisation::Granted,
            shown: Vec::new(),
            dialogs: Vec::new(),
        }],
        ..Recovered::default()
    });
    let answer = subscribe(&mut world, 1, "", "Expires: 0\r\n");
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    world.expect_no_sip();
    assert_eq!(heard(&mut world), ["probe bob@s.example"]);
    world.pass(300);
    presence(&mut world, "", "<show>away</show>");

    let only = world.expect_sip();
    assert_eq!(header(&only, "Subscription-State"), "terminated;reason=timeout");
    assert!(only.contains("<show xmlns='jabber:client'>away</show>"), "{only}");
    world.answer(&only, "200 OK");
    world.pass(600_000);
    world.expect_no_sip();
    assert_eq!(heard(&mut world), [""; 0]);
}

#[test]
fn whoever_asks_once_is_told_nothing_when_nobody_answers() {
    let mut world = World::after(Recovered {
        watches: vec![KeptWatch {
            direction: WatchDirection::Inward,
            pair: Arc::new(Pair::of_key("ann@x.example bob@s.example").unwrap()),
            authorisation: Authorisation::Granted,
            shown: Vec::new(),
            dialogs: Vec::new(),
        }],
        ..Recovered::default()
    });
    subscribe(&mut world, 1, "", "Expires: 0\r\n");

    world.pass(1999);
    world.expect_no_sip();
    world.pass(1);

    let only = world.expect_sip();
    assert_eq!(header(&only, "Content-Length"), "0");
}
