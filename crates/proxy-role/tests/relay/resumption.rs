//! Connections with partners that break, and streams that go on (XEP-0198 §5).

use std::time::Duration;

use net_types::Record;
use proxy_role::{Direction, Negotiation, Settings};
use xmpp_proto::link::ReceivedId;

use crate::world::{World, domain, message};

const SECOND: Duration = Duration::from_secs(1);

fn by_dialback(settings: &mut Settings) {
    for partner in &mut settings.partners {
        partner.sasl = Negotiation::NotSupported;
    }
}

/// Settles at a site's gateway what came with this id.
fn settle(world: &mut World, site: usize, id: &str) {
    let place = world.sites[site].received_ids().iter().position(|received| received == id).unwrap();
    let (n, _): (ReceivedId, _) = world.sites[site].received[place].clone();
    world.settle(site, n);
}

/// The suspended streams of a site: direction and what is unacknowledged.
fn suspended(world: &World, site: usize) -> Vec<(Direction, usize)> {
    let streams = world.sites[site].proxy.streams(world.now).into_iter();
    streams
        .filter(|stream| stream.suspended.is_some())
        .map(|stream| (stream.direction, stream.unacknowledged))
        .collect()
}

/// Nobody finds the second site until it is put back.
fn hide(world: &mut World) {
    world.zone.insert("b.example".into(), vec![Record::Address("8.8.8.99".parse().unwrap())]);
}

fn show(world: &mut World) {
    world.zone.insert("b.example".into(), vec![Record::Address("8.8.8.2".parse().unwrap())]);
}

#[test]
fn a_stream_goes_on_where_its_connection_broke_and_nothing_arrives_twice() {
    for change in [|_: &mut Settings| {}, by_dialback] {
        let mut world = World::with(2, change);
        world.sites[1].is_diligent = false;
        world.send(0, message("1", "x@a.example", "y@b.example"));
        world.send(0, message("2", "x@a.example", "y@b.example"));

        world.break_wires();
        world.send(0, message("3", "x@a.example", "y@b.example"));

        assert_eq!(world.sites[1].received_ids(), ["1", "2", "3"], "{:#?}", world.sites[0].notices);
        world.sites[0].assert_notice("b.example out: suspended for up to 5 s, 3 unacknowledged");
        world.sites[0].assert_notice("b.example out: resumed, 3 sent again");
        world.sites[1].assert_notice("a.example in: suspended for up to 300 s, 0 unacknowledged");
        world.sites[1].assert_notice("a.example in: resumed, 0 sent again");
        for id in ["1", "2", "3"] {
            settle(&mut world, 1, id);
        }
        world.pass(SECOND * 3);
        assert_eq!(world.sites[0].settled.len(), 3);
    }
}

#[test]
fn what_is_settled_while_nobody_is_connected_counts_when_the_stream_goes_on() {
    let mut world = World::new(2);
    world.sites[1].is_diligent = false;
    for id in ["1", "2"] {
        world.send(0, message(id, "x@a.example", "y@b.example"));
    }
    hide(&mut world);
    world.break_wires();
    assert_eq!(suspended(&world, 1), [(Direction::Inward, 3)]);
    assert_eq!(suspended(&world, 0), [(Direction::Outward, 3)]);

    settle(&mut world, 1, "1");
    show(&mut world);
    world.pass(SECOND * 3);

    assert_eq!(world.sites[1].received_ids(), ["1", "2"]);
    assert_eq!(world.sites[0].settled.len(), 1);
    settle(&mut world, 1, "2");
    world.pass(SECOND * 3);
    assert_eq!(world.sites[0].settled.len(), 2);
    assert_eq!((suspended(&world, 0).len(), suspended(&world, 1).len()), (0, 0));
}

#[test]
fn a_partner_that_notices_before_us_goes_on_over_another_connection() {
    let mut world = World::new(2);
    world.sites[1].is_diligent = false;
    world.send(0, message("1", "x@a.example", "y@b.example"));

    world.break_wires_of(0);

    // The second site believed that the first connection was well: it is told why that one ends.
    assert!(world.crossed.contains("<conflict "), "{}", world.crossed);
    world.sites[1].assert_notice("a.example in: broke, stream: the partner goes on over another connection");
    world.sites[1].assert_notice("a.example in: resumed");
    settle(&mut world, 1, "1");
    world.pass(SECOND * 3);
    assert_eq!((world.sites[1].received_ids().len(), world.sites[0].settled.len()), (1, 1));
}

#[test]
fn what_we_said_on_the_partner_s_stream_waits_for_the_partner_and_keeps_its_order() {
    let mut world = World::new(2);
    world.send(0, message("0", "x@a.example", "y@b.example"));
    world.pass(SECOND * 3);
    world.sites[0].is_diligent = false;
    world.send(1, message("b1", "y@b.example", "x@a.example"));
    world.send(1, message("b2", "y@b.example", "x@a.example"));

    hide(&mut world);
    world.break_wires();
    world.send(1, message("b3", "y@b.example", "x@a.example"));
    assert_eq!(suspended(&world, 1), [(Direction::Inward, 3)]);
    show(&mut world);
    world.pass(SECOND * 3);

    // The partner has the first two; nothing has overtaken them, and no second stream was needed.
    assert_eq!(world.sites[0].received_ids(), ["b1", "b2", "b3"], "{:#?}", world.sites[1].notices);
    for id in ["b1", "b2", "b3"] {
        settle(&mut world, 0, id);
    }
    world.pass(SECOND * 3);
    assert_eq!(world.sites[1].settled.len(), 3);
    assert!(world.dialled.iter().all(|address| address.ip() != world.sites[0].addresses[0]));
}

#[test]
fn who_waits_for_a_partner_that_does_not_come_back_finds_another_way() {
    let mut world = World::new(2);
    world.send(0, message("0", "x@a.example", "y@b.example"));
    world.pass(SECOND * 3);
    world.sites[0].is_diligent = false;
    world.send(1, message("b1", "y@b.example", "x@a.example"));

    hide(&mut world);
    world.break_wires();
    world.pass(SECOND * 5);

    // It was sent once more, on a stream of our own; what comes after follows it.
    world.sites[1]
        .assert_notice("a.example in: not resumed, the partner did not come back for it in time; 1 unack");
    assert_eq!(world.sites[0].received_ids(), ["b1", "b1"]);
    world.send(1, message("b2", "y@b.example", "x@a.example"));
    assert_eq!(world.sites[0].received_ids(), ["b1", "b1", "b2"]);
}

#[test]
fn a_partner_that_comes_back_too_late_learns_what_it_need_not_send_again() {
    let mut world = World::new(2);
    world.sites[1].is_diligent = false;
    for id in ["1", "2"] {
        world.send(0, message(id, "x@a.example", "y@b.example"));
    }
    // The other side gives up what it had to say, and keeps the count.
    world.send(1, message("b1", "y@b.example", "x@a.example"));
    world.sites[0].is_diligent = false;
    world.send(1, message("b2", "y@b.example", "x@a.example"));
    settle(&mut world, 1, "1");
    let mut strict = world.sites[1].proxy.settings().clone();
    strict.limits.report = SECOND;
    let now = world.now;
    world.sites[1].proxy.reload(strict, now);
    hide(&mut world);
    world.zone.insert("a.example".into(), vec![Record::Address("8.8.8.98".parse().unwrap())]);
    world.break_wires();
    world.pass(SECOND);
    show(&mut world);
    world.pass(SECOND * 3);

    world.sites[0].assert_notice("b.example out: not resumed, the partner does not have it any more");
    assert_eq!(world.sites[1].received_ids()[..3], ["1", "2", "b2 remote-server-timeout"]);
    // Only the second, which was still at work, came again.
    assert_eq!(world.sites[1].received_ids()[3..], ["2"]);
}

#[test]
fn what_is_lost_twice_without_any_progress_is_reported() {
    let mut world = World::new(2);
    world.sites[1].is_diligent = false;
    world.send(0, message("1", "x@a.example", "y@b.example"));

    world.break_wires();
    world.break_wires();

    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-timeout"]);
    assert_eq!(world.sites[1].received_ids(), ["1"]);
    assert_eq!(world.sites[0].settled.len(), 1);
}

#[test]
fn a_partner_that_cannot_be_reached_again_is_reported_within_ten_seconds() {
    let mut world = World::new(2);
    world.sites[1].is_diligent = false;
    world.send(0, message("1", "x@a.example", "y@b.example"));

    hide(&mut world);
    world.break_wires();
    world.pass(SECOND * 10);

    world.sites[0]
        .assert_notice("b.example out: not resumed, the partner could not be reached in time; 1 unack");
    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-timeout"]);
    assert_eq!(suspended(&world, 0), []);
}

#[test]
fn a_partner_that_is_removed_has_nothing_to_come_back_for() {
    let mut world = World::new(2);
    world.sites[1].is_diligent = false;
    world.send(0, message("1", "x@a.example", "y@b.example"));
    hide(&mut world);
    world.break_wires();
    assert_eq!(suspended(&world, 1).len(), 1);

    let mut settings = world.sites[1].proxy.settings().clone();
    settings.denied.push(domain("a.example"));
    let now = world.now;
    world.sites[1].proxy.reload(settings, now);
    world.run();

    assert_eq!(suspended(&world, 1), []);
    world.sites[1].assert_notice("a.example in: not resumed, the settings of this server have changed");
}

#[test]
fn stopping_keeps_nothing_for_later() {
    let mut world = World::new(2);
    world.sites[1].is_diligent = false;
    world.send(0, message("1", "x@a.example", "y@b.example"));
    hide(&mut world);
    world.break_wires();
    let now = world.now;

    for site in [0, 1] {
        world.sites[site].proxy.handle_stop(now);
        world.run();
        world.pass(SECOND * 20);
        assert!(world.sites[site].proxy.is_stopped(), "{:#?}", world.sites[site].notices);
    }
    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-timeout"]);
}

#[test]
fn a_partner_is_sought_where_it_wants_to_be_for_that_and_then_as_usual() {
    for (place, dialled) in
        [("8.8.4.2:5269", vec!["8.8.4.2"]), ("10.0.0.1", vec![]), ("8.8.4.9", vec!["8.8.4.9", "8.8.8.2"])]
    {
        let mut world = World::with(2, |settings| settings.resume_at = Some(place.into()));
        world.sites[1].addresses.push("8.8.4.2".parse().unwrap());
        world.sites[1].is_diligent = false;
        world.send(0, message("1", "x@a.example", "y@b.example"));
        let before = world.dialled.len();

        world.break_wires();
        world.pass(SECOND);

        let since: Vec<String> = world.dialled[before..].iter().map(|at| at.ip().to_string()).collect();
        // An address that is not public is not dialled on a partner's word.
        let expected = if dialled.is_empty() { vec!["8.8.8.2"] } else { dialled };
        assert_eq!(since, expected, "{place}");
        world.sites[0].assert_notice("b.example out: resumed");
        assert_eq!(world.sites[1].received_ids(), ["1"]);
    }
}

#[test]
fn a_partner_goes_on_with_its_stream_although_we_have_one_of_our_own() {
    let mut world = World::new(2);
    // Both dial at the same time, so that each has its own stream, which the other may use as well.
    let now = world.now;
    for site in [0, 1] {
        world.sites[site].is_diligent = false;
    }
    world.sites[0].gateway.send(message("a1", "x@a.example", "y@b.example"), now);
    world.sites[1].gateway.send(message("b1", "y@b.example", "x@a.example"), now);
    world.run();
    assert!(world.dialled.len() >= 2, "{:?}", world.dialled);

    world.break_wires();
    world.pass(SECOND);

    for site in [0, 1] {
        let notices = &world.sites[site].notices;
        assert!(!notices.iter().any(|notice| notice.contains("not resumed")), "{notices:#?}");
    }
    assert_eq!(world.sites[0].received_ids(), ["b1"]);
    assert_eq!(world.sites[1].received_ids(), ["a1"]);
}
