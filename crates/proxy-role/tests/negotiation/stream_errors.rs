//! Stream errors before TLS, after TLS and after authentication, in both directions: said aloud, the stream
//! closed, and the reason told in words.

use proxy_role::{Direction, Partner};

use crate::scene::{Scene, Script, When, domain, settings};

const STAGES: [When; 3] = [When::BeforeTls, When::AfterTls, When::AfterAuthentication];

fn scene(when: When, text: &'static str) -> Scene {
    let script = Script { interjection: Some((when, text)), ..Script::GOOD };
    Scene::new(settings(Partner::new(domain("them.example"))), script)
}

/// What a partner may say on a stream that it opened, and the condition that ends the stream at each stage.
/// Before a domain is proved no stanza is processed, whomever it is from.
const OFFENCES: [(&str, [&str; 3]); 8] = [
    ("<message from='y@them.example'", ["", "", ""]),
    ("<a></b>", ["not-well-formed"; 3]),
    ("<!-- -->", ["restricted-xml"; 3]),
    ("<a b='&nbsp;'/>", ["restricted-xml"; 3]),
    ("<unheard-of xmlns='urn:of'/>", ["unsupported-stanza-type"; 3]),
    ("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", ["unsupported-stanza-type"; 3]),
    (
        "<message from='y@stranger.example' to='x@us.example'/>",
        ["not-authorized", "not-authorized", "invalid-from"],
    ),
    (
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        ["</stream:stream>"; 3],
    ),
];

#[test]
fn a_partner_that_offends_at_any_stage_is_told_how_and_the_stream_ends() {
    for (text, conditions) in OFFENCES {
        for (when, condition) in STAGES.into_iter().zip(conditions) {
            let mut scene = scene(when, text);

            scene.call();

            let last = scene.said.rsplit("<stream:stream").next().unwrap();
            assert!(last.contains(condition), "{when:?} {text}: {last}");
            assert_eq!(last.ends_with("</stream:stream>"), !condition.is_empty(), "{when:?} {text}: {last}");
            assert!(scene.arrived.is_empty(), "{when:?} {text}");
            let is_open = !scene.proxy.streams(scene.now).is_empty();
            assert_eq!(is_open, condition.is_empty(), "{when:?} {text}");
        }
    }
}

#[test]
fn a_header_that_is_wrong_is_answered_by_a_stream_with_the_error() {
    let header = |attributes: &str| {
        format!(
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
        )
    };
    let client = header("to='us.example' version='1.0'").replace("jabber:server", "jabber:client");
    for (header, condition) in [
        (client, "invalid-namespace"),
        (header("to='other.example' from='them.example' version='1.0'"), "host-unknown"),
        (header("from='them.example' version='1.0'"), "improper-addressing"),
        (header("to='us.example' from='us.example' version='1.0'"), "invalid-from"),
        (header("to='us.example' from='stranger.example' version='1.0'"), "policy-violation"),
        (header("to='us.example' from='them.example'"), "unsupported-version"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "not-well-formed"),
    ] {
        let mut scene = Scene::new(settings(Partner::new(domain("them.example"))), Script::GOOD);

        let connection = scene.connect("9.9.9.9:4000".parse().unwrap());
        scene.say(connection, &header);
        scene.run();

        assert!(scene.said.contains("<stream:stream"), "{header}: {}", scene.said);
        assert!(scene.said.contains(condition), "{header}: {}", scene.said);
        assert!(scene.said.ends_with("</stream:stream>"), "{header}: {}", scene.said);
        assert_eq!(scene.proxy.streams(scene.now).len(), 0, "{header}");
    }
}

#[test]
fn an_error_of_the_partner_at_any_stage_ends_the_attempt_and_is_told_in_its_words() {
    const ERROR: &str = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
        <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>not on a Sunday</text></stream:error></stream:stream>";
    for when in STAGES {
        let mut scene = scene(when, ERROR);

        scene.send();

        assert_eq!(scene.outcome(Direction::Outward), "refused stream", "{when:?}");
        assert!(scene.failure().contains("not on a Sunday"), "{when:?}: {}", scene.failure());
        assert!(scene.said.ends_with("</stream:stream>"), "{when:?}: {}", scene.said);
        assert!(!scene.said.contains("hello"), "{when:?}");
    }
}

#[test]
fn a_server_that_offends_at_any_stage_is_left_with_the_condition() {
    for (text, condition) in [
        ("<a></b>", "not-well-formed"),
        ("<!-- -->", "restricted-xml"),
        ("<unheard-of xmlns='urn:of'/>", "unsupported-stanza-type"),
        ("<stream:features><must xmlns='urn:of'><required/></must></stream:features>", "unsupported-feature"),
    ] {
        for when in STAGES {
            let mut scene = scene(when, text);

            scene.send();

            assert_eq!(scene.outcome(Direction::Outward), "refused stream", "{when:?} {text}");
            assert!(scene.said.contains(condition), "{when:?} {text}: {}", scene.said);
            assert!(scene.said.ends_with("</stream:stream>"), "{when:?} {text}: {}", scene.said);
        }
    }
}
