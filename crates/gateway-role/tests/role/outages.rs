//! What watches do around a restart, and while one side cannot be reached.

use clock_types::Date;
use gateway_role::{
    Authorisation, KeptDialog, KeptWatch, Pair, Record, Recovered, Settings, WatchDirection, WatchRecord,
};
use sip_proto::endpoint::{FixedHop, Pace, Route};
use std::sync::Arc;
use std::time::Duration;

use crate::presence::{grant, heard, notify, open, presence, subscribe, watched};
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

/// Domains whose users are watched are asked whether they are there.
fn checked() -> Settings {
    let mut settings = settings();
    settings.watches.check_every = Some(Duration::from_secs(40));
    settings
}

/// Bob watches three contacts of Ann's domain, who are at their desks.
fn seeing() -> World {
    let mut world = World::with(checked(), watches(3));
    for number in 0..3 {
        world.xmpp(&format!(
            "<presence xmlns='jabber:server' from='u{number}@x.example/desk' to='bob@s.example'/>"
        ));
        let notify = world.expect_sip();
        assert!(notify.contains("<basic>open</basic>"), "{notify}");
        world.answer(&notify, "200 OK");
    }
    world.pass(6000);
    world.sip.clear();
    for (n, _) in std::mem::take(&mut world.stanzas) {
        world.partner_has(n);
    }
    world
}

/// Lets a second pass, and Bob's server answers what it is sent; returns the documents.
fn second(world: &mut World) -> Vec<String> {
    world.pass(1000);
    let sent = std::mem::take(&mut world.sip);
    for request in &sent {
        world.answer(request, "200 OK");
    }
    sent.into_iter().filter(|sip| sip.starts_with("NOTIFY ")).collect()
}

#[test]
fn contacts_of_a_domain_that_is_silent_are_unavailable_within_90_s_and_seen_again_within_60_s_of_the_end() {
    let mut world = seeing();

    let mut closed = 0;
    let after = (1..90).find(|_| {
        closed += second(&mut world).iter().filter(|notify| notify.contains("<basic>closed</basic>")).count();
        closed == 3
    });
    assert!(after.is_some_and(|seconds| seconds >= 40), "{after:?}, {closed}");
    let states = world.gateway.watches(None, world.now);
    let trouble = states[0].trouble.clone().unwrap_or_default();
    assert_eq!(trouble, "the servers of x.example cannot be reached");

    // The outage ends, and the partner takes what it is sent.
    let mut open = 0;
    let after = (1..60).find(|_| {
        for (n, stanza) in std::mem::take(&mut world.stanzas) {
            assert_eq!(stanza.attr("type"), Some("probe"));
            world.partner_has(n);
            let user = stanza.attr("to").unwrap();
            world.xmpp(&format!("<presence xmlns='jabber:server' from='{user}/desk' to='bob@s.example'/>"));
        }
        open += second(&mut world).iter().filter(|notify| notify.contains("<basic>open</basic>")).count();
        open == 3
    });
    assert!(after.is_some(), "{open}");
    assert_eq!(world.gateway.watches(None, world.now)[0].trouble, None);
}

#[test]
fn a_domain_that_settles_what_it_is_asked_is_there_also_when_nobody_answers() {
    let mut world = seeing();

    let mut asked = 0;
    for _ in 0..300 {
        assert_eq!(second(&mut world), [""; 0]);
        for (n, stanza) in std::mem::take(&mut world.stanzas) {
            assert_eq!(stanza.attr("type"), Some("probe"));
            asked += 1;
            world.partner_has(n);
        }
    }

    assert_eq!(asked, 7, "once in 40 s");
}

#[test]
fn one_stanza_that_comes_back_tells_of_the_whole_domain() {
    let mut world = seeing();
    while world.stanzas.is_empty() {
        world.pass(1000);
    }
    let (n, stanza) = world.stanzas.remove(0);
    let user = stanza.attr("to").unwrap().to_owned();

    world.xmpp(&format!(
        "<presence xmlns='jabber:server' from='{user}' to='bob@s.example' type='error'><error type='wait'>\
         <remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    ));
    world.partner_has(n);

    let closed = std::mem::take(&mut world.sip);
    assert_eq!(closed.len(), 3);
    for notify in closed {
        assert!(notify.contains("<basic>closed</basic>"), "{notify}");
        world.answer(&notify, "200 OK");
    }
    assert!(world.stanzas.is_empty(), "its settlement is no sign of life");
}

/// Bob is seen by Ann, and checks are made.
fn shown() -> (World, String) {
    let mut world = World::with(checked(), Recovered::default());
    presence(&mut world, "subscribe", "");
    let request = world.expect_sip();
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 1, "active;expires=3600", &open("ID-pc", ""));
    assert_eq!(heard(&mut world), ["subscribed bob@s.example", "available bob@s.example/pc"]);
    world.pass(40_000);
    assert_eq!(answer_checks(&mut world, "200 OK"), 1);
    (world, request)
}

/// The SIP server answers whether it is there, and whether it knows of a dialog; returns how often it was asked.
fn answer_checks(world: &mut World, status: &str) -> usize {
    let asked = options(world);
    for question in &asked {
        world.answer(question, status);
        let refresh = world.expect_sip();
        assert!(refresh.starts_with("SUBSCRIBE ") && header(&refresh, "To").contains(";tag=b"), "{refresh}");
        grant(world, &refresh, "200 OK", "Expires: 3600\r\n");
    }
    asked.len()
}

/// The questions that the SIP server was asked.
fn options(world: &mut World) -> Vec<String> {
    std::mem::take(&mut world.sip)
        .into_iter()
        .filter(|sip| sip.starts_with("OPTIONS sip:s.example "))
        .collect()
}

#[test]
fn a_sip_contact_whose_servers_are_silent_is_unavailable_within_90_s_and_back_within_60_s_of_the_end() {
    let (mut world, _) = shown();

    let after = (1..90).find(|_| {
        world.pass(1000);
        world.sip.clear();
        heard(&mut world) == ["unavailable bob@s.example/pc"]
    });
    assert!(after.is_some_and(|seconds| seconds >= 40), "{after:?}");

    let after = (1..60).find(|_| {
        world.pass(1000);
        for asked in options(&mut world) {
            world.answer(&asked, "404 Not Found");
        }
        std::mem::take(&mut world.sip).into_iter().any(|sip| {
            let is_refresh = sip.starts_with("SUBSCRIBE ") && header(&sip, "CSeq") == "3 SUBSCRIBE";
            if is_refresh {
                grant(&mut world, &sip, "200 OK", "Expires: 3600\r\n");
                notify(&mut world, &sip, 2, "active;expires=3600", &open("ID-pc", ""));
            }
            is_refresh
        })
    });
    assert!(after.is_some());
    assert_eq!(heard(&mut world), ["available bob@s.example/pc"]);
}

#[test]
fn a_sip_server_that_answers_is_asked_once_in_40_s_and_nobody_notices() {
    let (mut world, _) = shown();

    let mut asked = 0;
    for _ in 0..300 {
        world.pass(1000);
        asked += answer_checks(&mut world, "405 Method Not Allowed");
    }

    assert_eq!(asked, 7);
    assert_eq!(heard(&mut world), [""; 0]);
}

#[test]
fn a_document_that_falls_into_an_outage_is_said_after_it_in_the_same_dialog() {
    let mut world = World::with(checked(), watches(1));
    let ann = |show| {
        format!(
            "<presence xmlns='jabber:server' from='u0@x.example/desk' to='bob@s.example'>{show}</presence>"
        )
    };
    world.xmpp(&ann(""));
    let notify = world.expect_sip();
    world.answer(&notify, "200 OK");
    // Bob watches somebody else there too, or nobody would ask his servers.
    presence(&mut world, "subscribe", "");
    world.sip.clear();
    world.pass(40_000);
    for asked in options(&mut world) {
        world.answer(&asked, "200 OK");
    }

    world.xmpp(&ann("<show>dnd</show>"));
    for _ in 0..120 {
        world.pass(1000);
        // What comes from Ann's server shows that it is there.
        world.xmpp("<presence xmlns='jabber:server' from='u9@x.example/desk' to='bob@s.example'/>");
    }
    world.sip.clear();

    let said = (1..60).find(|_| {
        world.pass(1000);
        let sent = std::mem::take(&mut world.sip);
        for request in &sent {
            world.answer(request, "200 OK");
        }
        sent.iter()
            .any(|sip| sip.starts_with("NOTIFY ") && sip.contains("dnd") && header(sip, "Call-ID") == "c0")
    });
    assert!(said.is_some());
}

#[test]
fn what_an_xmpp_user_missed_is_said_again_when_his_server_is_back() {
    let (mut world, request) = shown();
    world.pass(1000);
    notify(&mut world, &request, 2, "active;expires=3600", &open("ID-phone", ""));
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "available bob@s.example/phone"]);
    for device in ["pc", "phone"] {
        world.xmpp(&format!(
            "<presence xmlns='jabber:server' from='ann@x.example' to='bob@s.example/{device}' type='error'>\
             <error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        ));
    }

    let mut said = Vec::new();
    let after = (1..60).find(|_| {
        world.pass(1000);
        answer_checks(&mut world, "200 OK");
        let mut names = Vec::new();
        for (n, stanza) in std::mem::take(&mut world.stanzas) {
            names.push(n);
            said.push(format!(
                "{} {}",
                stanza.attr("type").unwrap_or("available"),
                stanza.attr("from").unwrap()
            ));
        }
        names.into_iter().for_each(|n| world.partner_has(n));
        said.len() >= 4
    });

    assert!(after.is_some(), "{said:?}");
    // The first is the question whether the server is there.
    assert_eq!(
        said,
        [
            "available bob@s.example/phone",
            "subscribed bob@s.example",
            "unavailable bob@s.example/pc",
            "available bob@s.example/phone"
        ]
    );
}

#[test]
fn after_the_proxy_began_anew_everybody_who_is_seen_is_asked_for() {
    let mut world = seeing();

    world.restart_proxy();
    let mut asked = Vec::new();
    for _ in 0..15 {
        world.pass(1000);
        asked.extend(std::mem::take(&mut world.stanzas));
    }

    // Nobody answers: each is asked for again.
    let mut asked: Vec<&str> = asked.iter().filter_map(|(_, stanza)| stanza.attr("to")).collect();
    assert_eq!(asked[..3], ["u0@x.example", "u1@x.example", "u2@x.example"]);
    asked.sort_unstable();
    assert_eq!(asked.len(), 6);
    asked.dedup();
    assert_eq!(asked.len(), 3);
}

#[test]
fn a_stop_asks_nobody_any_more() {
    let mut world = seeing();

    world.gateway.handle_stop(world.now);
    world.drain();
    for _ in 0..20 {
        world.pass(1000);
    }

    assert!(world.stopped);
    assert_eq!(world.stanzas.len(), 0);
}

#[test]
fn a_resource_that_went_while_nobody_could_say_so_is_gone_after_the_next_answer() {
    let mut world = seeing();
    world.xmpp("<presence xmlns='jabber:server' from='u0@x.example/phone' to='bob@s.example'/>");
    world.pass(6000);
    second(&mut world);

    world.restart_proxy();
    while world.stanzas.is_empty() {
        world.pass(1000);
    }
    world.xmpp("<presence xmlns='jabber:server' from='u0@x.example/phone' to='bob@s.example'/>");
    let mut documents = Vec::new();
    for _ in 0..8 {
        documents.extend(second(&mut world));
    }

    let last = documents.last().expect("a resource is gone");
    assert!(last.contains("ID-phone") && !last.contains("ID-desk"), "{documents:?}");
}

#[test]
fn after_a_partners_stream_broke_those_who_are_seen_are_asked_for_once() {
    let mut world = seeing();
    let asked = |world: &mut World| {
        let stanzas = std::mem::take(&mut world.stanzas);
        for (_, probe) in &stanzas {
            let user = probe.attr("to").unwrap();
            world.xmpp(&format!("<presence xmlns='jabber:server' from='{user}/desk' to='bob@s.example'/>"));
        }
        stanzas.len()
    };

    world.breaks("y.example");
    assert_eq!(asked(&mut world), 0);
    world.breaks("x.example");
    assert_eq!(asked(&mut world), 3);
    world.pass(10_000);
    world.breaks("x.example");
    assert_eq!(asked(&mut world), 0);
    world.pass(10_000);
    world.breaks("x.example");
    assert_eq!(asked(&mut world), 3);
}

/// Ann watches so many users of Bob's domain, and is allowed to; each dialog has just been refreshed.
fn watching_many(count: u32) -> World {
    let mut kept = watches(count);
    for (number, watch) in kept.watches.iter_mut().enumerate() {
        watch.direction = WatchDirection::Outward;
        watch.pair = Arc::new(Pair::of_key(&format!("ann@x.example u{number}@s.example")).unwrap());
        let dialog = &mut watch.dialogs[0];
        dialog.local = format!("<sip:ann@x.example>;tag=w{number}");
        dialog.remote = format!("<sip:u{number}@s.example>;tag=b");
    }
    let mut world = World::with(settings(), kept);
    let mut refreshed = 0;
    for _ in 0..300 {
        world.pass(100);
        for refresh in std::mem::take(&mut world.sip) {
            refreshed += 1;
            grant(&mut world, &refresh, "200 OK", "Expires: 3600\r\n");
        }
    }
    assert_eq!(refreshed, count);
    world
}

/// Time passes until a refresh is due, which is answered 481; returns whom it and what follows are about.
fn forgotten(world: &mut World) -> (String, Vec<String>) {
    while world.sip.is_empty() {
        world.pass(100);
    }
    let refresh = world.sip.remove(0);
    let others = std::mem::take(&mut world.sip);
    assert_eq!(others, [""; 0]);
    world.answer(&refresh, "481 Call/Transaction Does Not Exist");
    (header(&refresh, "To").to_owned(), std::mem::take(&mut world.sip))
}

#[test]
fn a_server_that_has_forgotten_one_dialog_is_asked_about_another() {
    let mut world = watching_many(3);

    let (to, asked) = forgotten(&mut world);
    let [anew, other] = &asked[..] else { panic!("{asked:?}") };
    assert!(to.starts_with(header(anew, "To")) && !header(anew, "To").contains("tag="), "{anew}");
    assert!(header(other, "To").contains("tag=b") && header(other, "To") != to, "{other}");

    // It knows that one: a single program was lost, and nobody else is disturbed.
    grant(&mut world, other, "200 OK", "Expires: 3600\r\n");
    world.expect_no_sip();
}

#[test]
fn a_server_that_has_forgotten_two_dialogs_is_asked_for_all() {
    let mut world = watching_many(4);

    let (_, asked) = forgotten(&mut world);
    let other = asked.into_iter().find(|request| header(request, "To").contains("tag=")).unwrap();
    world.answer(&other, "481 Call/Transaction Does Not Exist");
    world.pass(200);

    let of_all = std::mem::take(&mut world.sip);
    let refreshed = of_all.iter().filter(|request| header(request, "To").contains("tag=b")).count();
    assert_eq!((of_all.len(), refreshed), (3, 2), "{of_all:?}");
    for request in of_all.iter().filter(|request| header(request, "To").contains("tag=b")) {
        world.answer(request, "481 Call/Transaction Does Not Exist");
    }
    // Each is begun anew once, and the rest of the news is none.
    assert_eq!(world.sip.len(), 2);
}
