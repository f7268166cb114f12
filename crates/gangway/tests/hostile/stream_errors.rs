//! Stream errors before TLS, after TLS and after authentication (RFC 6120 §4.9), over sockets.

use crate::corpus::{Case, Phase};
use crate::siege::Siege;

#[test]
fn a_stream_error_is_heard_before_tls_after_tls_and_after_authentication_and_ends_the_connection() {
    let mut siege = Siege::begin(&[]);
    let mut count = 0;

    for phase in [Phase::Clear, Phase::Secure] {
        for (condition, header, rest) in ON_A_NEW_STREAM {
            let octets =
                format!("{}{}", header.replace("{stream}", "http://etherx.jabber.org/streams"), filled(rest));
            let heard = siege.heard_until_closed(&case(phase, octets));

            // Even a stream that cannot be is answered by a stream, so that the error has a place (§4.9.1.2).
            assert!(heard.contains("<stream:stream"), "{phase:?}, {condition}: {heard}");
            check(phase, condition, &heard);
            count += 1;
        }
    }
    for (condition, stanza) in ON_A_PROVED_STREAM {
        let phase = Phase::Authenticated;
        let heard = siege.heard_until_closed(&case(phase, filled(stanza)));

        check(phase, condition, &heard);
        count += 1;
    }

    assert_eq!(count, 2 * ON_A_NEW_STREAM.len() + ON_A_PROVED_STREAM.len());
    siege.wait_for_rest().expect("nothing is left of them");
}

#[track_caller]
fn check(phase: Phase, condition: &str, heard: &str) {
    let error = format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'");
    assert!(heard.contains(&error), "{phase:?}, {condition}: {heard}");
    assert!(heard.ends_with("</stream:error></stream:stream>"), "{phase:?}, {condition}: {heard}");
}

fn case(phase: Phase, octets: String) -> Case {
    Case {
        id: String::new(),
        phase,
        has_certificate: true,
        expect_type: String::new(),
        expected: Vec::new(),
        also: Vec::new(),
        octets: octets.into_bytes(),
    }
}

fn filled(text: &str) -> String {
    text.replace("{20 KiB}", &"x".repeat(20 << 10)).replace("{300 KiB}", &"x".repeat(300 << 10))
}

const GOOD: &str = "<stream:stream from='remote.example' to='local.example' version='1.0' xmlns='jabber:server' \
    xmlns:stream='{stream}'>";

/// The condition, the stream's header, and what follows it.
const ON_A_NEW_STREAM: [(&str, &str, &str); 12] = [
    (
        "invalid-namespace",
        "<stream:stream from='remote.example' to='local.example' version='1.0' xmlns='jabber:server' \
         xmlns:stream='http://wrong.example/'>",
        "",
    ),
    (
        "invalid-namespace",
        "<stream:stream from='remote.example' to='local.example' version='1.0' xmlns='jabber:unknown' \
         xmlns:stream='{stream}'>",
        "",
    ),
    (
        "host-unknown",
        "<stream:stream from='remote.example' to='nobody.example' version='1.0' xmlns='jabber:server' \
         xmlns:stream='{stream}'>",
        "",
    ),
    (
        "improper-addressing",
        "<stream:stream from='remote.example' version='1.0' xmlns='jabber:server' xmlns:stream='{stream}'>",
        "",
    ),
    (
        "unsupported-version",
        "<stream:stream from='remote.example' to='local.example' xmlns='jabber:server' xmlns:stream='{stream}'>",
        "",
    ),
    ("not-well-formed", GOOD, "<a><b></a>"),
    ("not-well-formed", GOOD, "<a b='1' b='2'/>"),
    ("restricted-xml", GOOD, "<!-- a comment -->"),
    ("restricted-xml", GOOD, "<?a processing instruction?>"),
    (
        "not-authorized",
        GOOD,
        "<message from='a@remote.example' to='b@local.example'><body>.</body></message>",
    ),
    ("policy-violation", GOOD, "<a b='{20 KiB}'/>"),
    ("unsupported-stanza-type", GOOD, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
];

/// The condition, and what a partner says whose domain is proved.
const ON_A_PROVED_STREAM: [(&str, &str); 10] = [
    ("improper-addressing", "<message to='b@local.example'><body>.</body></message>"),
    ("improper-addressing", "<message from='a@remote.example'><body>.</body></message>"),
    ("invalid-from", "<message from='a@other.example' to='b@local.example'><body>.</body></message>"),
    ("host-unknown", "<message from='a@remote.example' to='b@nobody.example'><body>.</body></message>"),
    ("unsupported-stanza-type", "<letter from='a@remote.example' to='b@local.example'/>"),
    ("not-well-formed", "<message from='a@remote.example' to='b@local.example'></iq>"),
    ("restricted-xml", "<message><!-- a comment --></message>"),
    ("restricted-xml", "<message>&nbsp;</message>"),
    ("not-authorized", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"),
    (
        "policy-violation",
        "<message from='a@remote.example' to='b@local.example'><body>{300 KiB}</body></message>",
    ),
];
