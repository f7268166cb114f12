//! How much a partner may have open, and by whose roots it is judged.

use std::time::Duration;

use net_types::Trust;
use proxy_role::{Direction, Negotiation, Notice, Partner, Settings};

use crate::scene::{Certificate, Scene, Script, Way, domain, settings};

fn partner() -> Partner {
    Partner::new(domain("them.example"))
}

/// Settings where only dialback proves the partner, and all its sub-domains with it.
fn by_dialback() -> Settings {
    let sasl = Negotiation::NotSupported;
    settings(Partner { sasl, subdomains: true, ..partner() })
}

#[test]
fn sixteen_keys_wait_at_a_time_and_the_seventeenth_is_told_to_wait() {
    let silent = Script { way: Way::Direct, has_external: false, ..Script::GOOD };
    let mut scene = Scene::new(by_dialback(), silent);
    let connection = scene.connect("9.9.9.9:4000".parse().unwrap());
    scene.greet(connection);
    for n in 0..40 {
        let key = format!("<db:result from='d{n}.them.example' to='us.example'>key</db:result>");
        scene.say(connection, &key);
    }
    scene.run();

    let busy = scene.said.matches("resource-constraint").count();
    assert_eq!(busy, 40 - 16, "{}", scene.said);
    assert!(!scene.said.contains("</stream:stream>"), "the stream goes on: {}", scene.said);

    // The names lead nowhere: each key is answered, and nothing is left of them.
    scene.pass(Duration::from_secs(29));
    assert_eq!(scene.said.matches("<db:result").count(), 40, "{}", scene.said);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.proxy.streams(scene.now).len(), 0);
}

#[test]
fn a_partner_has_as_many_connections_as_it_may_and_gets_the_place_back() {
    let mut scene = Scene::new(settings(Partner { connections_max: Some(2), ..partner() }), Script::GOOD);
    let first = scene.call();
    scene.call();
    assert_eq!(scene.arrived, ["sasl", "sasl"]);

    scene.call();
    assert_eq!(scene.arrived.len(), 2);
    assert!(scene.said.ends_with("</stream:stream>") && scene.said.contains("resource-constraint"));
    assert!(scene.failure().contains("the partner has 2 connections already"), "{}", scene.failure());

    scene.say(first, "</stream:stream>");
    scene.run();
    scene.call();
    assert_eq!(scene.arrived.len(), 3);
}

#[test]
fn all_partners_together_have_as_many_connections_as_they_may() {
    let mut settings = settings(partner());
    settings.limits.connections_max = 3;
    let mut scene = Scene::new(settings, Script::GOOD);
    for _ in 0..3 {
        scene.call();
    }
    assert_eq!(scene.arrived.len(), 3);

    scene.call();

    assert_eq!(scene.arrived.len(), 3);
    let refused = |notice: &Notice| matches!(notice, Notice::Refused { reason, .. } if reason == "too many connections are open");
    assert!(scene.notices.iter().any(refused), "{:?}", scene.notices);
}

#[test]
fn one_address_has_as_many_connections_as_it_may_whatever_they_prove() {
    let mut settings = settings(partner());
    settings.limits.address_connections_max = 4;
    settings.limits.address_unproved_max = 2;
    let mut scene = Scene::new(settings, Script::GOOD);
    scene.call();
    scene.call();
    let address = "9.9.9.9:5000".parse().unwrap();
    scene.connect(address);
    scene.connect(address);
    assert_eq!(scene.proxy.streams(scene.now).len(), 4);

    scene.connect(address);
    assert_eq!(scene.proxy.streams(scene.now).len(), 4);
    scene.connect("9.9.9.8:5000".parse().unwrap());
    assert_eq!(scene.proxy.streams(scene.now).len(), 5);

    // The silent ones go; those that proved a domain stay.
    scene.pass(Duration::from_secs(31));
    assert_eq!(scene.proxy.streams(scene.now).len(), 2);
}

#[test]
fn a_partner_with_roots_of_its_own_is_judged_by_them_and_no_others() {
    let own = || settings(Partner { trust: Some(Trust("pinned".into())), ..partner() });

    for way in [Way::StartTls, Way::Direct] {
        let known_to_its_own = Script { way, certificate: Certificate::OfItsOwnAuthority, ..Script::GOOD };

        // The handshake came before anybody knew whose certificate it is.
        let mut scene = Scene::new(own(), known_to_its_own);
        scene.call();
        assert_eq!(scene.arrived, ["sasl"], "{way:?}");

        // Outwards we know whom we call.
        let mut scene = Scene::new(own(), known_to_its_own);
        scene.send();
        assert_eq!((scene.arrived, scene.trusts), (vec!["sasl"], vec![Trust("pinned".into())]), "{way:?}");

        // The roots for everybody do not know that authority.
        let mut scene = Scene::new(settings(partner()), known_to_its_own);
        scene.call();
        assert_eq!(scene.outcome(Direction::Inward), "refused certificate", "{way:?}");

        // Its own roots are instead of the others, not beside them.
        let others = Partner { trust: Some(Trust("others".into())), ..partner() };
        let mut scene = Scene::new(settings(others), Script { way, ..Script::GOOD });
        scene.call();
        assert_eq!(scene.outcome(Direction::Inward), "refused certificate", "{way:?}");
        assert!(scene.failure().contains("unknown issuer"), "{}", scene.failure());
    }
}

#[test]
fn nobody_is_judged_by_the_roots_of_whom_it_claimed_to_be_before() {
    let mut settings = settings(Partner { trust: Some(Trust("theirs".into())), ..partner() });
    settings.partners.push(Partner {
        trust: Some(Trust("others".into())),
        additional: vec![domain("also.other.example")],
        ..Partner::new(domain("other.example"))
    });
    // The certificate names other.example; them.example's roots trust it.
    let script = Script { certificate: Certificate::WrongName, ..Script::GOOD };
    let mut scene = Scene::new(settings, script);
    scene.claim_after_tls("other.example");
    scene.call();

    assert_eq!(scene.arrived, [] as [&str; 0]);
    assert!(scene.said.contains("not-authorized"), "{}", scene.said);
    assert!(!scene.said.contains("EXTERNAL"), "{}", scene.said);
}
