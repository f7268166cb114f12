//! RFC 7247 §6, with its gaps closed.

use proptest::prelude::*;
use sip_types::Uri;
use translate::{Profile, Unmappable, jid_to_sip, sip_to_jid};
use xmpp_types::jid::Jid;

fn to_sip(jid: &str) -> Result<String, Unmappable> {
    jid_to_sip(&Jid::parse(jid).unwrap(), Profile::Standard).map(|uri| uri.to_string())
}

fn to_xmpp(uri: &str) -> Result<String, Unmappable> {
    sip_to_jid(&Uri::parse(uri).unwrap()).map(|jid| jid.to_string())
}

const VECTORS: [(&str, &str); 20] = [
    (r"o\27neil@x.example", "sip:o'neil@x.example"),
    ("müller@x.example", "sip:m%C3%BCller@x.example"),
    (r"d\20artagnan@x.example", "sip:d%20artagnan@x.example"),
    (r"a\40b@x.example", "sip:a%40b@x.example"),
    ("user%dept@x.example", "sip:user%25dept@x.example"),
    (r"a\2fb@x.example", "sip:a/b@x.example"),
    ("rock#1@x.example/Büro PC", "sip:rock%231@x.example;gr=B%C3%BCro%20PC"),
    ("kim@bücher.example", "sip:kim@xn--bcher-kva.example"),
    ("x.example", "sip:x.example"),
    // RFC 7247 §6.4 and §6.5.
    (r"m\26m@xmpp.example", "sip:m&m@xmpp.example"),
    ("tschüss@xmpp.example", "sip:tsch%C3%BCss@xmpp.example"),
    ("baz@xmpp.example/qux", "sip:baz@xmpp.example;gr=qux"),
    (r"o\27malley@sip.example", "sip:o'malley@sip.example"),
    // What §6.4 step 5 forgets.
    (r"a\22\3a\3c\3eb@x.example", "sip:a%22%3A%3C%3Eb@x.example"),
    // A backslash that is none of XMPP's, and one that would read as an escape (XEP-0106 §3.4).
    (r"a\b@x.example", "sip:a%5Cb@x.example"),
    (r"bob\5c40evil@x.example", "sip:bob%5C40evil@x.example"),
    (r"c\3a\5c5commas@x.example", "sip:c%3A%5C5commas@x.example"),
    // The user's parameters stay in the user (e06), the resource's in the resource.
    ("a;maddr=1.2.3.4@x.example/;lr", "sip:a;maddr=1.2.3.4@x.example;gr=%3Blr"),
    ("a@192.0.2.1", "sip:a@192.0.2.1"),
    ("a@[2001:db8::1]/r", "sip:a@[2001:db8::1];gr=r"),
];

#[test]
fn each_vector_maps_and_maps_back() {
    for (jid, uri) in VECTORS {
        assert_eq!(to_sip(jid).as_deref(), Ok(uri), "{jid}");
        assert_eq!(to_xmpp(uri).as_deref(), Ok(jid), "{uri}");
    }
}

#[test]
fn what_is_no_part_of_the_identity_is_left_out() {
    for (uri, jid) in [
        ("sip:bob@s.example:5061;transport=tls;user=phone", "bob@s.example"),
        ("sip:Bob@S.EXAMPLE;opaque=user:epid:XYZ;gruu", "bob@s.example"),
        ("sip:%62ob@s.example?subject=x", "bob@s.example"),
        ("sip:+15551234;ext=5@s.example;user=phone", "+15551234;ext=5@s.example"),
        ("SIP:bob@s.example;GR=desk", "bob@s.example/desk"),
        ("sip:bob@s.example;gr", "bob@s.example"),
        ("im:bob@s.example", "bob@s.example"),
        ("pres:a%40b@s.example?x=y", r"a\40b@s.example"),
    ] {
        assert_eq!(to_xmpp(uri).as_deref(), Ok(jid), "{uri}");
    }
}

#[test]
fn what_would_be_somebody_else_is_refused() {
    use Unmappable::{Character, Password, Scheme};
    for (uri, why) in [
        ("sips:bob@s.example", Scheme),
        ("tel:+15551234", Scheme),
        ("http://s.example/bob", Scheme),
        ("sip:bob%00@s.example", Character),
        ("sip:bo%0D%0Ab@s.example", Character),
        ("sip:b%E2%80%8Bob@s.example", Character),
        ("sip:b%E2%80%AEob@s.example", Character),
        ("sip:b%C2%ADob@s.example", Character),
        ("sip:%C0%AEbob@s.example", Character),
        ("sip:%FFbob@s.example", Character),
        ("sip:%20bob@s.example", Character),
        // Full-width letters, which XMPP folds into bob.
        ("sip:%EF%BD%82ob@s.example", Character),
        ("sip:bob:secret@s.example", Password),
        ("im:a@b@s.example", Unmappable::Host),
        ("sip:bob@s.example;gr=%00", Character),
    ] {
        assert_eq!(to_xmpp(uri), Err(why), "{uri}");
    }
}

#[test]
fn an_address_that_is_too_long_is_never_shortened() {
    let uri = format!("sip:{}@s.example", "a".repeat(1024));

    assert_eq!(to_xmpp(&uri), Err(Unmappable::Length));
    assert_eq!(Unmappable::Length.status(), 414);
    // Escapes make the localpart longer than the user.
    assert_eq!(to_xmpp(&format!("sip:{}@s.example", "%40".repeat(400))), Err(Unmappable::Length));
}

#[test]
fn each_reason_has_a_status_and_sips_is_416() {
    assert_eq!(Unmappable::Scheme.status(), 416);
    for why in [Unmappable::Character, Unmappable::Host, Unmappable::Password, Unmappable::Escapes] {
        assert_eq!(why.status(), 404, "{why}");
    }
}

#[test]
fn a_jid_with_escapes_that_nobody_writes_does_not_cross() {
    for jid in [r"a\5cb@x.example", r"\20a@x.example", r"a\20@x.example", r"a\5c\5cb@x.example"] {
        assert_eq!(to_sip(jid), Err(Unmappable::Escapes), "{jid}");
    }
}

#[test]
fn a_profile_without_resources_shows_the_bare_address() {
    let jid = Jid::parse("ann@x.example/desk").unwrap();

    assert_eq!(jid_to_sip(&jid, Profile::BareAddress).unwrap().as_str(), "sip:ann@x.example");
}

/// Every kind of character that means something to one side, among letters of several scripts.
fn character() -> impl Strategy<Value = char> {
    prop_oneof![
        6 => prop::sample::select("abcXYZ09".chars().collect::<Vec<_>>()),
        4 => prop::sample::select(" \"&'/:<>@\\%;=?,+$!#()*-._~[]^`{|}".chars().collect::<Vec<_>>()),
        2 => prop::sample::select("üÖßςΣéñЖ日本한😀".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ]
}

fn text(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(character(), 1..most).prop_map(|chars| chars.into_iter().collect())
}

/// Escapes of XEP-0106, whole and broken.
fn localpart() -> impl Strategy<Value = String> {
    let escape =
        prop::sample::select(vec![r"\20", r"\27", r"\40", r"\5c", r"\5c20", r"\5c5c", r"\2", r"\zz"]);
    let piece = prop_oneof![3 => text(6), 2 => escape.prop_map(str::to_owned)];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

proptest! {
    #[test]
    fn a_jid_comes_back_from_sip_unchanged(local in localpart(), resource in prop::option::of(text(12))) {
        let Ok(jid) = Jid::from_parts(Some(&local), "x.example", resource.as_deref()) else { return Ok(()) };

        match jid_to_sip(&jid, Profile::Standard) {
            Ok(uri) => {
                prop_assert!(uri.as_str().is_ascii());
                let back = sip_to_jid(&Uri::parse(uri.as_str()).unwrap());
                prop_assert_eq!(back, Ok(jid));
            }
            Err(why) => {
                prop_assert_eq!(why, Unmappable::Escapes);
                prop_assert!(local.to_lowercase().contains(r"\5c") || local.contains(r"\20"));
            }
        }
    }

    #[test]
    fn a_uri_comes_back_from_xmpp_but_for_case_and_needless_escapes(user in text(12), gr in prop::option::of(text(12))) {
        let gr = gr.map(|gr| format!(";gr={}", percent_encoded(&gr))).unwrap_or_default();
        let uri = Uri::parse(format!("sip:{}@s.example{gr}", percent_encoded(&user))).unwrap();
        let Ok(jid) = sip_to_jid(&uri) else { return Ok(()) };

        let back = jid_to_sip(&jid, Profile::Standard).unwrap();

        let folded = |text: &str| text.to_lowercase().replace('ß', "ss").replace('ς', "σ");
        prop_assert_eq!(folded(&back.decoded_user().unwrap()), folded(&user));
        let before = uri.as_sip().unwrap();
        prop_assert_eq!(back.decoded_param("gr"), before.decoded_param("gr"));
        prop_assert_eq!(sip_to_jid(&back.into()), Ok(jid));
    }

    #[test]
    fn two_users_are_one_jid_only_if_their_case_alone_differs(one in text(4), other in text(4)) {
        let jid = |user: &str| sip_to_jid(&Uri::parse(format!("sip:{}@s.example", percent_encoded(user))).unwrap());
        if let (Ok(a), Ok(b)) = (jid(&one), jid(&other)) {
            let folded = |text: &str| text.to_lowercase().replace('ß', "ss").replace('ς', "σ");
            prop_assert_eq!(a == b, folded(&one) == folded(&other));
        }
    }

    #[test]
    fn no_uri_panics_and_every_jid_keeps_its_host(text in "\\PC{0,40}") {
        for scheme in ["sip:", "im:", "pres:", ""] {
            if let Ok(uri) = Uri::parse(format!("{scheme}{text}"))
                && let Ok(jid) = sip_to_jid(&uri)
            {
                prop_assert!(!jid.domain().as_str().is_empty());
            }
        }
    }
}
