//! A partner whose signed zone vouches for its certificate (RFC 7673).

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
