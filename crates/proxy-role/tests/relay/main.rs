//! Stanzas from gateway to gateway through two proxies, and what happens when something is missing.

#![expect(clippy::unwrap_used, reason = "the world is ours: what is wrong with it fails the test")]

mod resumption;
mod world;

use std::time::Duration;

use proxy_role::{Negotiation, Partner, PartnerKind, Settings};
use world::{World, domain, message};
use xmpp_types::ns;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError};
use xmpp_types::xml::Element;

const SECOND: Duration = Duration::from_secs(1);

/// Only dialback, inside TLS.
fn by_dialback(settings: &mut Settings) {
    for partner in &mut settings.partners {
        partner.sasl = Negotiation::NotSupported;
    }
}

/// In clear, by dialback.
fn in_clear(settings: &mut Settings) {
    for partner in &mut settings.partners {
        partner.tls = Negotiation::NotSupported;
        partner.sasl = Negotiation::NotSupported;
        partner.allow_plaintext = true;
    }
}

#[test]
fn a_message_crosses_and_is_settled_when_the_far_gateway_has_settled_it() {
    for change in [|_: &mut Settings| {}, by_dialback, in_clear] {
        let mut world = World::with(2, change);
        world.sites[1].is_diligent = false;

        let sent = world.send(0, message("1", "x@a.example", "y@b.example"));
        assert_eq!(world.sites[1].received_ids(), ["1"]);
        assert_eq!(world.sites[0].settled, []);

        let (n, _) = world.sites[1].received[0].clone();
        world.settle(1, n);
        world.pass(SECOND * 3);
        assert_eq!(world.sites[0].settled, [sent]);
        world.sites[0].assert_notice("b.example out: open for a.example");
    }
}

#[test]
fn answers_take_the_same_way_back_and_order_is_kept() {
    let mut world = World::new(2);

    for n in 0..50 {
        world.send(0, message(&format!("a{n}"), "x@a.example", "y@b.example"));
        world.send(1, message(&format!("b{n}"), "y@b.example", "x@a.example"));
    }
    world.pass(SECOND * 3);

    let ids = |letter: &str| (0..50).map(|n| format!("{letter}{n}")).collect::<Vec<_>>();
    assert_eq!(world.sites[1].received_ids(), ids("a"));
    assert_eq!(world.sites[0].received_ids(), ids("b"));
    assert_eq!((world.sites[0].settled.len(), world.sites[1].settled.len()), (50, 50));
}

#[test]
fn a_partner_that_is_down_is_reported_with_the_stage_and_settled_after_the_error() {
    let mut world = World::new(2);
    world.zone.insert("b.example".into(), vec![net_types::Record::Address("8.8.8.99".parse().unwrap())]);

    let sent = world.send(0, message("1", "x@a.example", "y@b.example"));

    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-timeout"]);
    let error = StanzaError::from_element(&world.sites[0].received[0].1).unwrap();
    assert!(error.text.unwrap().contains("tcp: b.example (8.8.8.99:5269): connection refused"));
    assert_eq!(world.sites[0].settled, [sent]);
    world.sites[0].assert_notice("b.example out: failed at tcp");
}

#[test]
fn a_partner_that_does_not_exist_is_not_found() {
    let mut world = World::new(2);
    world.zone.remove("b.example");

    world.send(0, message("1", "x@a.example", "y@b.example"));

    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-not-found"]);
}

#[test]
fn a_partner_that_swallows_everything_is_reported_within_ten_seconds() {
    let mut world = World::new(2);
    world.blackholes.insert(1);

    world.send(0, message("1", "x@a.example", "y@b.example"));
    world.pass(SECOND * 10);

    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-timeout"]);
}

#[test]
fn after_a_failure_attempts_are_spaced_but_a_fresh_message_tries_after_ten_seconds() {
    let mut world = World::new(2);
    world.zone.insert("b.example".into(), vec![net_types::Record::Address("8.8.8.99".parse().unwrap())]);
    for n in 0..30 {
        world.send(0, message(&n.to_string(), "x@a.example", "y@b.example"));
    }
    assert_eq!(world.dialled.len(), 1);

    world.pass(SECOND * 60);
    let by_itself = world.dialled.len();
    assert!(by_itself <= 2, "nothing waits, so nothing is tried: {by_itself}");
    world.send(0, message("late", "x@a.example", "y@b.example"));
    assert_eq!(world.dialled.len(), by_itself + 1);
}

#[test]
fn nothing_is_sent_to_or_from_strangers() {
    let mut world = World::new(2);

    world.send(0, message("1", "x@a.example", "y@stranger.example"));
    world.send(0, message("2", "x@other.example", "y@b.example"));

    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-not-found", "2 not-allowed"]);
    assert_eq!(world.dialled, []);
}

#[test]
fn what_a_broken_stream_left_unacknowledged_is_sent_once_more_before_newer_ones() {
    let mut world = World::with(2, |settings| settings.limits.suspended_for = Duration::ZERO);
    world.sites[1].is_diligent = false;
    for id in ["1", "2"] {
        world.send(0, message(id, "x@a.example", "y@b.example"));
    }

    world.break_wires();
    world.send(0, message("3", "x@a.example", "y@b.example"));

    assert_eq!(world.sites[1].received_ids(), ["1", "2", "1", "2", "3"]);
    assert_eq!(world.sites[0].settled, []);
    assert_eq!(world.sites[1].broken, [domain("a.example")], "its gateway knows that something may be lost");

    // A second loss of the same stanza is reported; the third has only been sent once.
    world.break_wires();
    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-timeout", "2 remote-server-timeout"]);
    assert_eq!(world.sites[1].received_ids()[5..], ["3"]);
}

#[test]
fn while_the_gateway_is_away_nothing_is_acknowledged_and_nothing_is_lost() {
    let mut world = World::new(2);
    world.send(0, message("0", "x@a.example", "y@b.example"));
    world.pass(SECOND * 3);
    assert_eq!(world.sites[0].settled.len(), 1);

    world.cut_link(1);
    for n in 1..=5 {
        world.send(0, message(&n.to_string(), "x@a.example", "y@b.example"));
    }
    world.pass(SECOND * 5);
    assert_eq!(world.sites[0].settled.len(), 1);

    world.mend_link(1);
    world.pass(SECOND * 20);
    assert_eq!(world.sites[1].received_ids(), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(world.sites[0].settled.len(), 6);
}

#[test]
fn when_the_gateway_stays_away_senders_are_told_to_try_later() {
    let mut world = World::with(2, |settings| settings.limits.held_for = Duration::from_secs(20));
    world.cut_link(1);

    world.send(0, message("1", "x@a.example", "y@b.example"));
    world.pass(SECOND * 30);

    assert_eq!(world.sites[0].received_ids(), ["1 recipient-unavailable"]);
    assert_eq!(world.sites[0].settled.len(), 1);
}

#[test]
fn what_is_said_once_about_a_permission_outlives_a_longer_absence_of_the_gateway() {
    let mut world = World::new(2);
    let presence = |id: &str, kind: &str| {
        let presence = Element::new(ns::SERVER, "presence").with_attr("id", id).with_attr("type", kind);
        presence.with_attr("from", "x@a.example").with_attr("to", "y@b.example")
    };
    world.cut_link(1);
    world.send(0, presence("1", "probe"));
    world.send(0, presence("2", "subscribe"));
    world.pass(SECOND * 120);
    // A probe comes again; a wish does not.
    assert_eq!(world.sites[0].settled.len(), 1);

    world.mend_link(1);
    world.pass(SECOND * 20);
    assert_eq!(world.sites[1].received_ids(), ["2"]);

    // For ever it does not wait: then the watcher's server hears that it was in vain.
    world.cut_link(1);
    world.send(0, presence("3", "subscribe"));
    world.pass(SECOND * 700);
    assert!(world.sites[0].received_ids().contains(&"3 recipient-unavailable".to_owned()));
}

#[test]
fn a_partner_is_not_read_while_too_much_is_held() {
    let mut world = World::with(2, |settings| settings.limits.held_max = 10);
    world.cut_link(1);

    for n in 0..12 {
        world.send(0, message(&n.to_string(), "x@a.example", "y@b.example"));
    }
    assert!(!world.sites[1].paused.is_empty());
    world.sites[1].assert_notice("no gateway is connected");
    // The harness does not hold the octets back: what came beyond the bound was answered at once.
    assert_eq!(world.sites[0].received_ids(), ["10 recipient-unavailable", "11 recipient-unavailable"]);

    world.mend_link(1);
    world.pass(SECOND * 20);
    assert!(world.sites[1].paused.is_empty());
    assert_eq!(world.sites[1].received_ids().len(), 10);
}

#[test]
fn a_queue_has_a_bound_and_says_so() {
    let mut world = World::with(2, |settings| settings.limits.queue_stanzas_max = 3);
    world.blackholes.insert(1);

    for n in 0..5 {
        world.send(0, message(&n.to_string(), "x@a.example", "y@b.example"));
    }

    assert_eq!(world.sites[0].received_ids(), ["3 resource-constraint", "4 resource-constraint"]);
}

#[test]
fn the_proxy_answers_for_its_domain_and_the_gateway_for_its_users() {
    let mut world = World::new(2);
    let ask = |id: &str, to: &str, payload: Element| {
        Element::new(ns::SERVER, "iq")
            .with_attr("type", "get")
            .with_attr("id", id)
            .with_attr("from", "x@a.example")
            .with_attr("to", to)
            .with_child(payload)
    };

    world.send(0, ask("info", "b.example", Element::new(ns::DISCO_INFO, "query")));
    world.send(0, ask("ping", "b.example", Element::new(ns::PING, "ping")));
    world.send(0, ask("time", "b.example", Element::new(ns::TIME, "time")));
    world.send(0, ask("user", "y@b.example", Element::new(ns::PING, "ping")));
    world.pass(SECOND * 3);

    assert_eq!(world.sites[0].received_ids(), ["info", "ping", "time service-unavailable"]);
    assert_eq!(world.sites[1].received_ids(), ["user"]);
}

#[test]
fn where_certificates_are_worthless_only_dialback_opens_a_stream() {
    let mut strict = World::new(2);
    strict.is_trusted = false;
    strict.send(0, message("1", "x@a.example", "y@b.example"));
    assert_eq!(strict.sites[0].received_ids(), ["1 remote-server-timeout"]);
    strict.sites[0].assert_notice("failed at certificate: the certificate is not trusted: unknown issuer");

    let mut lenient = World::with(2, |settings| {
        settings.partners[0].sasl = Negotiation::Optional;
    });
    lenient.is_trusted = false;
    lenient.send(0, message("1", "x@a.example", "y@b.example"));
    assert_eq!(lenient.sites[1].received_ids(), ["1"]);
    lenient.sites[1].assert_notice("a.example in: open for b.example, proved by dialback, TLS 1.3");
}

#[test]
fn a_partner_behind_the_firewall_is_dialled_only_if_its_settings_say_so() {
    let inside = || vec![net_types::Record::Address("10.0.0.2".parse().unwrap())];
    let mut world = World::new(2);
    world.zone.insert("b.example".into(), inside());
    world.send(0, message("1", "x@a.example", "y@b.example"));
    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-timeout"]);
    world.sites[0].assert_notice("policy: b.example leads to 10.0.0.2");

    let mut world = World::with(2, |settings| settings.partners[0].allow_private_addresses = true);
    world.zone.insert("b.example".into(), inside());
    world.sites[1].addresses = vec!["10.0.0.2".parse().unwrap()];
    world.send(0, message("1", "x@a.example", "y@b.example"));
    assert_eq!(world.sites[1].received_ids(), ["1"]);
}

#[test]
fn a_dead_first_address_does_not_stop_the_second() {
    let mut world = World::new(2);
    let records = ["8.8.8.98", "8.8.8.99", "8.8.8.2"]
        .map(|address| net_types::Record::Address(address.parse().unwrap()));
    world.zone.insert(
        "_xmpp-server._tcp.b.example".into(),
        vec![
            net_types::Record::Srv { priority: 1, weight: 0, port: 5269, target: "dead.example".into() },
            net_types::Record::Srv { priority: 2, weight: 0, port: 5269, target: "b.example".into() },
        ],
    );
    world.zone.insert("dead.example".into(), records[..2].to_vec());

    world.send(0, message("1", "x@a.example", "y@b.example"));

    assert_eq!(world.sites[1].received_ids(), ["1"]);
    assert_eq!(world.dialled.len(), 3);
}

#[test]
fn connections_have_their_bounds_and_the_refused_are_told() {
    let mut world = World::new(1);
    for _ in 0..10 {
        world.accept(0, "9.9.9.9:4000".parse().unwrap());
    }

    world.accept(0, "9.9.9.9:4000".parse().unwrap());
    assert!(world.crossed.contains("policy-violation"), "{}", world.crossed);
    world.sites[0]
        .assert_notice("connection from 9.9.9.9:4000 refused: too many connections from this address");
    world.accept(0, "9.9.9.8:4000".parse().unwrap());
    assert_eq!(world.sites[0].proxy.streams(world.now).len(), 11);

    world.pass(SECOND * 31);
    assert_eq!(world.sites[0].proxy.streams(world.now).len(), 0);
}

#[test]
fn a_partner_may_have_no_more_connections_than_it_may() {
    let mut world = World::with(2, |settings| {
        settings.partners[0].connections_max = Some(1);
        settings.partners[0].keep_alive = false;
    });
    world.send(0, message("1", "x@a.example", "y@b.example"));
    world.pass(SECOND * 3);
    assert_eq!(world.sites[1].received_ids(), ["1"]);

    let open = world.sites[1].proxy.streams(world.now);
    assert_eq!(open.iter().filter(|stream| stream.direction == proxy_role::Direction::Inward).count(), 1);
    assert_eq!(open[0].remote, Some(domain("a.example")));
    assert_eq!(open[0].tls.as_deref(), Some("TLS 1.3 TLS_AES_128_GCM_SHA256"));
}

#[test]
fn stopping_finishes_what_is_at_work_and_closes_with_system_shutdown() {
    let mut world = World::new(2);
    world.sites[1].is_diligent = false;
    world.send(0, message("1", "x@a.example", "y@b.example"));
    let now = world.now;

    world.sites[1].proxy.handle_stop(now);
    world.run();
    assert!(!world.sites[1].proxy.is_stopped());
    assert!(!world.crossed.contains("system-shutdown"));

    let (n, _) = world.sites[1].received[0].clone();
    world.settle(1, n);
    world.pass(SECOND * 3);
    assert!(world.crossed.contains("system-shutdown"));
    assert!(world.sites[1].proxy.is_stopped(), "{:#?}", world.sites[1].notices);
    assert_eq!(world.sites[0].settled.len(), 1);
}

#[test]
fn stopping_does_not_wait_for_a_gateway_that_is_gone() {
    let mut world = World::new(2);
    world.send(0, message("1", "x@a.example", "y@b.example"));
    world.sites[1].is_diligent = false;
    // One is with the gateway when it goes, the next comes later.
    world.send(0, message("2", "x@a.example", "y@b.example"));
    world.cut_link(1);
    world.send(0, message("3", "x@a.example", "y@b.example"));
    let now = world.now;

    world.sites[1].proxy.handle_stop(now);
    world.run();

    assert!(world.sites[1].proxy.is_stopped(), "{:#?}", world.sites[1].notices);
    assert!(world.crossed.contains("system-shutdown"));
    // What was not acknowledged is reported by the other side.
    world.pass(SECOND * 20);
    let reported = ["2 remote-server-timeout", "3 remote-server-timeout"];
    assert_eq!(world.sites[0].received_ids(), reported);
}

#[test]
fn stopping_ends_when_the_drain_time_does() {
    let mut world = World::new(2);
    world.sites[1].is_diligent = false;
    world.send(0, message("1", "x@a.example", "y@b.example"));
    let now = world.now;

    world.sites[1].proxy.handle_stop(now);
    world.run();
    world.pass(SECOND * 20);

    assert!(world.sites[1].proxy.is_stopped());
    assert!(world.crossed.contains("system-shutdown"));
    // What was not acknowledged is reported by the other side.
    assert_eq!(world.sites[0].received_ids(), ["1 remote-server-timeout"]);
}

#[test]
fn a_reload_keeps_what_is_still_allowed_and_closes_the_rest() {
    let mut world = World::new(3);
    world.send(0, message("1", "x@a.example", "y@c.example"));
    world.send(1, message("2", "x@b.example", "y@c.example"));
    world.pass(SECOND * 3);
    assert_eq!(world.sites[2].received_ids(), ["1", "2"]);

    let mut settings = world.sites[2].proxy.settings().clone();
    settings.partners.retain(|partner| partner.domain != domain("a.example"));
    let now = world.now;
    world.sites[2].proxy.reload(settings, now);
    world.run();

    let remotes: Vec<_> =
        world.sites[2].proxy.streams(world.now).into_iter().filter_map(|stream| stream.remote).collect();
    assert!(remotes.contains(&domain("b.example")) && !remotes.contains(&domain("a.example")), "{remotes:?}");
    world.send(0, message("3", "x@a.example", "y@c.example"));
    world.pass(SECOND * 12);
    assert_eq!(world.sites[0].received_ids(), ["3 remote-server-timeout"]);
}

#[test]
fn a_gateway_is_told_how_far_partners_are_believed_at_the_start_and_after_a_reload() {
    let mut world = World::new(2);
    let told = |world: &World, name| world.sites[0].partners.kind_of(&domain(name));
    assert_eq!(told(&world, "b.example"), Some(PartnerKind::PublicUnverified));
    assert_eq!(told(&world, "c.example"), None);

    let mut settings = world.sites[0].proxy.settings().clone();
    settings.partners[0].kind = PartnerKind::Federated;
    settings.partners[0].subdomains = true;
    settings.open = Some(Partner::new(domain("open.invalid")));
    let now = world.now;
    world.sites[0].proxy.reload(settings, now);
    world.run();

    assert_eq!(told(&world, "chat.b.example"), Some(PartnerKind::Federated));
    assert_eq!(told(&world, "c.example"), Some(PartnerKind::PublicUnverified));
}

#[test]
fn a_reload_lets_larger_stanzas_over_a_link_that_is_open() {
    let mut world = World::with(2, |settings| settings.limits.stanza_bytes_max = 10_000);
    for site in 0..2 {
        let mut settings = world.sites[site].proxy.settings().clone();
        settings.limits.stanza_bytes_max = 256 * 1024;
        let now = world.now;
        world.sites[site].proxy.reload(settings, now);
    }
    let text = Element::new(ns::SERVER, "subject").with_text("x".repeat(30_000));

    world.send(0, message("1", "x@a.example", "y@b.example").with_child(text));

    assert_eq!(world.sites[1].received_ids(), ["1"], "{:#?}", world.sites[0].notices);
}

#[test]
fn an_allowance_that_is_used_up_stops_the_reading_for_a_while() {
    let mut world = World::with(2, |settings| settings.partners[0].stanzas_per_second = Some(5));
    world.send(0, message("0", "x@a.example", "y@b.example"));
    world.pass(SECOND * 3);

    for n in 1..20 {
        world.send(0, message(&n.to_string(), "x@a.example", "y@b.example"));
    }
    assert!(!world.sites[1].paused.is_empty());
    world.sites[1].assert_notice("used up its allowance");

    world.pass(SECOND * 10);
    assert!(world.sites[1].paused.is_empty());
}

#[test]
fn a_stranger_that_speaks_for_nobody_we_know_is_refused() {
    let mut world = World::new(2);

    world.stranger(
        0,
        "<stream:stream from='evil.example' to='a.example' version='1.0' xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    );

    assert!(world.crossed.contains("policy-violation"), "{}", world.crossed);
    world.sites[0].assert_notice("connection from 9.9.9.9:4000 refused: policy:");
}

#[test]
fn every_error_that_reaches_a_gateway_has_a_condition_it_can_act_on() {
    let mut world = World::new(2);
    world.zone.clear();
    for (n, kind) in ["chat", "normal", "headline"].iter().enumerate() {
        let mut message = message(&n.to_string(), "x@a.example", "y@b.example");
        message.set_attr("type", *kind);
        world.send(0, message);
    }
    let mut answer = message("e", "x@a.example", "y@b.example");
    answer.set_attr("type", "error");
    world.send(0, answer);
    world.pass(SECOND * 20);

    let conditions: Vec<_> = world.sites[0]
        .received
        .iter()
        .map(|(_, stanza)| StanzaError::from_element(stanza).unwrap().condition)
        .collect();
    assert_eq!(conditions, [StanzaCondition::RemoteServerNotFound; 3]);
    // Nobody can be told that an error did not arrive: it waits for its partner.
    assert_eq!(world.sites[0].settled.len(), 3);
}
