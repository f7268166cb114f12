//! A partner whose signed zone (RFC 7673) or web server (RFC 7711) vouches for its certificate.

use std::time::Duration;

use proxy_role::{Direction, Negotiation, Notice, Partner};

use crate::scene::{Certificate, Scene, Script, Way, domain, settings};

fn partner() -> Partner {
    Partner { dane: true, ..Partner::new(domain("them.example")) }
}

/// No authority that we trust knows the certificate.
fn script(way: Way, vouched: Option<&'static [u8]>) -> Script {
    Script { way, certificate: Certificate::Untrusted, vouched, ..Script::GOOD }
}

#[test]
fn a_stanza_goes_to_a_server_whose_certificate_the_zone_names() {
    for way in [Way::StartTls, Way::Direct] {
        let mut scene = Scene::new(settings(partner()), script(way, Some(b"its certificate")));

        scene.send();

        assert_eq!(scene.arrived, ["sasl"], "{way:?} {:?}", scene.notices);
        let is_proved =
            |notice: &Notice| notice.to_string().contains("open for us.example, proved by dane, TLS 1.3");
        assert!(scene.notices.iter().any(is_proved), "{:?}", scene.notices);
        let proved: Vec<String> = scene
            .proxy
            .streams(scene.now)
            .iter()
            .flat_map(|stream| &stream.proved)
            .map(|(_, proof)| proof.to_string())
            .collect();
        assert_eq!(proved, ["dane"]);
    }
}

#[test]
fn no_stanza_goes_to_another_certificate_though_dialback_is_allowed_and_authorities_vouch() {
    let lenient = Partner { sasl: Negotiation::Optional, ..partner() };
    for certificate in [Certificate::Untrusted, Certificate::Valid] {
        let script = Script { certificate, vouched: Some(b"another"), ..Script::GOOD };
        let mut scene = Scene::new(settings(lenient.clone()), script);

        scene.send();

        assert_eq!((scene.arrived.len(), scene.errors), (0, 1), "{:?}", scene.notices);
        assert_eq!(scene.outcome(Direction::Outward), "refused certificate");
        assert!(scene.failure().contains("_5269._tcp.host.them.example"), "{}", scene.failure());
    }
}

#[test]
fn a_zone_that_is_not_asked_or_not_signed_vouches_for_nothing() {
    let not_asked = Partner::new(domain("them.example"));
    for (partner, vouched) in [(not_asked, Some(&b"its certificate"[..])), (partner(), None)] {
        let mut scene = Scene::new(settings(partner), script(Way::StartTls, vouched));

        scene.send();

        assert_eq!(scene.outcome(Direction::Outward), "refused certificate", "{:?}", scene.notices);
    }
}

fn with_posh() -> Partner {
    Partner { posh: true, ..Partner::new(domain("them.example")) }
}

/// The document of a web server that names its certificate, and of one that names another.
const NAMED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 92\r\n\r\n\
     {\"fingerprints\":[{\"sha-256\":\"L7c59y1gPOmdlF0uzIewOslvFC0cYqrh7OpUBA5k/Mg=\"}],\"expires\":3600}";
const ANOTHER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 92\r\n\r\n\
     {\"fingerprints\":[{\"sha-256\":\"rkSKyGxOjk3sZFcpcI70GHOuecbf+E7/czYJiUh/COU=\"}],\"expires\":3600}";

#[test]
fn a_stanza_goes_to_a_server_whose_certificate_the_web_server_names() {
    for way in [Way::StartTls, Way::Direct] {
        let script = Script { web: Some(NAMED), ..script(way, None) };
        let mut scene = Scene::new(settings(with_posh()), script);

        scene.send();

        assert_eq!(scene.arrived, ["sasl"], "{way:?} {:?}", scene.notices);
        let is_proved =
            |notice: &Notice| notice.to_string().contains("open for us.example, proved by posh, TLS 1.3");
        assert!(scene.notices.iter().any(is_proved), "{:?}", scene.notices);
        let request = "GET /.well-known/posh/xmpp-server.json HTTP/1.1\r\nHost: them.example\r\n";
        assert_eq!(scene.said.matches(request).count(), 1, "{}", scene.said);
    }
}

#[test]
fn no_stanza_goes_where_the_web_server_names_another_certificate_or_none_and_the_notice_says_so() {
    let cases = [
        (ANOTHER, "POSH: the certificate is none of the 1 that its document names"),
        (
            "HTTP/1.1 404 Not Found\r\n\r\n",
            "POSH: https://them.example/.well-known/posh/xmpp-server.json: it answered 404",
        ),
    ];
    for (web, words) in cases {
        let script = Script { web: Some(web), ..script(Way::StartTls, None) };
        let mut scene = Scene::new(settings(with_posh()), script);

        scene.send();

        assert_eq!(scene.outcome(Direction::Outward), "refused certificate", "{:?}", scene.notices);
        assert!(scene.failure().contains(words), "{}", scene.failure());
        scene.pass(Duration::from_secs(30));
        scene.send();
        assert_eq!((scene.arrived.len(), scene.said.matches("GET ").count()), (0, 1), "it is known by now");
    }
}

#[test]
fn other_proofs_count_although_the_web_server_vouches_for_nothing() {
    let cases = [
        (with_posh(), Certificate::Valid, Some(ANOTHER)),
        (with_posh(), Certificate::Valid, None),
        (Partner { sasl: Negotiation::Optional, ..with_posh() }, Certificate::Untrusted, Some(ANOTHER)),
    ];
    for (partner, certificate, web) in cases {
        let mut scene = Scene::new(settings(partner), Script { certificate, web, ..Script::GOOD });

        scene.send();

        assert_eq!(scene.arrived.len(), 1, "{:?}", scene.notices);
    }
}

#[test]
fn a_web_server_is_not_asked_unless_the_partner_says_so() {
    let script = Script { web: Some(NAMED), ..script(Way::StartTls, None) };
    let mut scene = Scene::new(settings(Partner::new(domain("them.example"))), script);

    scene.send();

    assert_eq!(scene.outcome(Direction::Outward), "refused certificate");
    assert!(!scene.said.contains("GET "), "{}", scene.said);
}
