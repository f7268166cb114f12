use sip_proto::endpoint::{FixedHop, Pace, PaceState, RequestKey, Route, Transport};
use sip_types::Method;

use crate::world::{World, address, ours};

#[test]
fn a_peer_gets_its_rate_and_no_more_and_nothing_is_dropped() {
    let mut world = World::default();
    let route = paced(15);
    for key in 0..60 {
        world.send(key, ours(Method::Message, 2), &route);
    }

    // The first is sent at once; we begin with 5 a second, then 10, then 15.
    for (until, total) in [(0, 1), (999, 5), (1999, 15), (2999, 30), (3999, 45), (4999, 60)] {
        world.at(until);
        assert_eq!(sent(&world), total, "at {until} ms");
    }
    world.forget();
    assert_eq!(world.endpoint.snapshot(world.now).paced, []);
}

#[test]
fn a_high_rate_is_reached_in_three_seconds_too() {
    let mut world = World::default();
    let route = paced(300);
    for key in 0..900 {
        world.send(key, ours(Method::Message, 2), &route);
    }

    for (second, least, most) in [(1, 100, 120), (2, 300, 330), (3, 590, 640), (4, 890, 900)] {
        world.at(second * 1000 - 1);
        let sent = sent(&world);
        assert!((least..=most).contains(&sent), "{sent} before second {second}");
    }
}

#[test]
fn an_idle_peer_is_sent_to_at_once() {
    let mut world = World::default();
    let route = paced(15);
    world.send(1, ours(Method::Message, 2), &route);
    world.at(10_000).send(2, ours(Method::Message, 2), &route);

    assert_eq!(sent(&world), 2);
    world.send(3, ours(Method::Message, 2), &route);
    assert_eq!(sent(&world), 2);
    world.at(10_067);
    assert_eq!(sent(&world), 3);
}

#[test]
fn texts_go_before_presence() {
    let mut world = World::default();
    let route = paced(15);
    let methods =
        [Method::Notify, Method::Notify, Method::Subscribe, Method::Message, Method::Info, Method::Bye];
    for (key, method) in methods.into_iter().enumerate() {
        world.send(key as u64, ours(method, 2), &route);
    }
    let [state] = &world.endpoint.snapshot(world.now).paced[..] else { panic!() };
    assert_eq!(*state, PaceState { peer: "s.example".into(), per_second: 15, waiting: 3, waiting_later: 2 });

    world.at(2000);

    let methods: Vec<_> =
        world.sent.iter().map(|sent| String::from_utf8_lossy(&sent[..4]).into_owned()).collect();
    let mut seen = Vec::new();
    methods.iter().for_each(|method| {
        if !seen.contains(method) {
            seen.push(method.clone());
        }
    });
    assert_eq!(seen, ["NOTI", "MESS", "INFO", "BYE ", "SUBS"]);
}

#[test]
fn what_waits_can_be_cancelled_and_takes_nobodys_turn() {
    let mut world = World::default();
    let route = paced(15);
    world.send(1, ours(Method::Message, 2), &route).send(2, ours(Method::Invite, 2), &route);
    world.send(3, ours(Method::Message, 2), &route).forget();

    world.endpoint.cancel(RequestKey(2), world.now);
    world.drain();
    world.expect(&["failed 2: cancelled before it was sent"]);
    world.at(200);

    assert_eq!(sent(&world), 2);
}

#[test]
fn an_ack_and_other_peers_wait_for_nothing() {
    let mut world = World::default();
    let route = paced(15);
    world.send(1, ours(Method::Message, 2), &route).send(2, ours(Method::Message, 2), &route);

    world.send(3, ours(Method::Ack, 0), &route);
    world.send(4, ours(Method::Message, 2), &crate::world::fixed(Transport::Udp, "192.0.2.2", 5060));

    assert_eq!(sent(&world), 3);
}

/// Counts the requests that were sent the first time, by their branches.
fn sent(world: &World) -> usize {
    let branch = |sent: &[u8]| {
        let text = String::from_utf8_lossy(sent).into_owned();
        text.split_once("branch=").unwrap().1.split(['\r', ';']).next().unwrap().to_owned()
    };
    let branches: std::collections::BTreeSet<_> = world.sent.iter().map(|sent| branch(sent)).collect();
    branches.len()
}

fn paced(per_second: u32) -> Route {
    let mut hop = FixedHop::at(Transport::Udp, address("192.0.2.1:5060").ip(), 5060);
    hop.pace = Some(Pace { peer: "s.example".into(), per_second: per_second.try_into().unwrap() });
    Route::fixed(hop)
}
