use proptest::prelude::*;

use super::*;

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn an_address_is_taken_apart_at_the_first_slash_and_the_first_at_before_it() {
    let full = jid("juliet@example.com/foo@bar/baz");

    assert_eq!(full.local(), Some("juliet"));
    assert_eq!(full.domain().as_str(), "example.com");
    assert_eq!(full.resource(), Some("foo@bar/baz"));
    assert_eq!(full.to_bare(), BareJid::parse("juliet@example.com").unwrap());
    assert_eq!(full.bare_str(), "juliet@example.com");
    assert!(!full.is_bare());
    assert_eq!(jid("example.com/r").local(), None);
    assert_eq!(jid("example.com").resource(), None);
    assert_eq!(jid("a@b.example").with_resource("c").unwrap(), jid("a@b.example/c"));
}

#[test]
fn the_examples_of_rfc_7622_are_read_as_it_says() {
    for valid in [
        "juliet@example.com",
        "juliet@example.com/foo",
        "juliet@example.com/foo bar",
        "juliet@example.com/foo@bar",
        "foo\\20bar@example.com",
        "fussball@example.com",
        "π@example.com",
        "Σ@example.com/foo",
        "king@example.com/♚",
        "example.com",
        "example.com/foobar",
        "a.example.com/b@example.net",
    ] {
        jid(valid);
    }
    for (invalid, why) in [
        ("\"juliet\"@example.com", JidError::LocalpartForbidden),
        ("foo bar@example.com", JidError::LocalpartForbidden),
        ("@example.com/foo", JidError::LocalpartEmpty),
        ("henry\u{2163}@", JidError::DomainEmpty),
        ("juliet@", JidError::DomainEmpty),
        ("juliet@example.com/", JidError::ResourceEmpty),
        ("/foobar", JidError::DomainEmpty),
        ("", JidError::DomainEmpty),
        ("a@b@c", JidError::DomainForbidden),
    ] {
        assert_eq!(Jid::parse(invalid).unwrap_err(), why, "{invalid}");
    }
}

#[test]
fn case_width_and_composition_do_not_make_another_account() {
    for (one, other) in [
        ("Bob@Example.COM", "bob@example.com"),
        ("ｂｏｂ@example.com", "bob@example.com"),
        ("u\u{308}ber@example.com", "über@example.com"),
        ("ÜBER@example.com", "über@example.com"),
        ("bob@example.com.", "bob@example.com"),
        ("bob@ｅxample。com", "bob@example.com"),
        ("bob@xn--bcher-kva.example", "bob@BÜCHER.example"),
    ] {
        assert_eq!(jid(one), jid(other));
    }
    assert_ne!(jid("a@example.com/R"), jid("a@example.com/r"));
}

#[test]
fn what_hides_or_turns_text_is_refused_in_a_localpart() {
    for c in [
        '\u{200B}',
        '\u{200D}',
        '\u{202E}',
        '\u{2066}',
        '\u{FEFF}',
        '\u{AD}',
        '\u{7}',
        '\u{85}',
        '\u{2028}',
        '\u{E0001}',
        '\u{FE0F}',
        '\r',
        '\n',
        '\u{61C}',
        '\u{3164}',
        '\u{E000}',
    ] {
        let text = format!("a{c}b@example.com");
        assert_eq!(Jid::parse(&text).unwrap_err(), JidError::LocalpartForbidden, "{c:?}");
    }
    for c in ['\r', '\n', '\0', '\u{7F}', '\u{202E}', '\u{2066}', '\u{85}'] {
        let text = format!("a@example.com/x{c}é");
        assert_eq!(Jid::parse(&text).unwrap_err(), JidError::ResourceForbidden, "{c:?}");
    }
    assert!(Jid::parse("abc\u{5D0}@example.com").is_err());
}

#[test]
fn resources_may_hold_what_phones_put_there() {
    for resource in ["Gajim 😀", "日本", "a/b@c", "x y", "🏳\u{FE0F}x"] {
        jid(&format!("a@example.com/{resource}"));
    }
}

#[test]
fn every_part_has_at_most_1023_octets() {
    let long = "a".repeat(1023);
    let (fits, over) = (format!("{long}@example.com/{long}"), format!("{long}b@example.com"));

    assert!(Jid::parse(&fits).is_ok());
    assert_eq!(Jid::parse(&over).unwrap_err(), JidError::LocalpartTooLong);
    assert_eq!(Jid::parse(&format!("example.com/{long}b")).unwrap_err(), JidError::ResourceTooLong);
    assert_eq!(Jid::parse(&"é".repeat(512)).unwrap_err(), JidError::DomainTooLong);
    assert_eq!(Jid::parse(&format!("{}@x", "é".repeat(512))).unwrap_err(), JidError::LocalpartTooLong);
    // U+FDFA becomes eighteen characters under NFKC.
    assert!(Jid::parse(&format!("{}@x", "\u{FDFA}".repeat(100))).is_err());
}

#[test]
fn a_domain_has_both_forms() {
    let domain = DomainName::parse("Bücher.Example").unwrap();

    assert_eq!(domain.as_str(), "bücher.example");
    assert_eq!(domain.to_ascii(), "xn--bcher-kva.example");
    assert_eq!(DomainName::parse("plain.example").unwrap().to_ascii(), "plain.example");
}

#[test]
fn addresses_of_hosts_are_domains() {
    assert_eq!(jid("a@[::1]/r").domain().as_str(), "[::1]");
    assert_eq!(jid("[0:0:0:0:0:0:0:1]"), jid("[::1]"));
    assert!(jid("a@192.0.2.1").domain().to_ip().is_some_and(|ip| ip.is_ipv4()));
    assert!(jid("[2001:DB8::1]").domain().to_ip().is_some_and(|ip| ip.is_ipv6()));
    assert_eq!(jid("example.com").domain().to_ip(), None);
}

#[test]
fn domains_that_are_no_host_names_are_refused() {
    for wrong in [
        "a_b.example",
        "-a.example",
        "a-.example",
        "a..example",
        ".example",
        "a b.example",
        "[::1",
        "[x]",
        "[]",
        "ex\u{202E}ample.com",
        "xn--a.example",
        "xn--\u{FC}.example",
        "a%b.example",
        "a\r\nb.example",
        "b\u{2044}c.example",
        "..",
        "a:5269",
    ] {
        assert!(DomainName::parse(wrong).is_err(), "{wrong:?}");
    }
    assert!(matches!(DomainName::parse("."), Err(JidError::DomainEmpty)));
    assert!(matches!(DomainName::parse(&format!("{}.x", "a".repeat(64))), Err(JidError::DomainTooLong)));
    assert!(matches!(DomainName::parse(&"a.".repeat(200)), Err(JidError::DomainTooLong)));
}

#[test]
fn a_domain_is_below_its_parents_only() {
    let domain = |text: &str| DomainName::parse(text).unwrap();

    assert!(domain("a.b.example").is_below(&domain("b.example")));
    assert!(!domain("b.example").is_below(&domain("b.example")));
    assert!(!domain("xb.example").is_below(&domain("b.example")));
}

#[test]
fn the_order_keeps_an_accounts_addresses_together() {
    let mut jids: Vec<_> = [
        "b@a.example",
        "a@b.example",
        "b@a.example/x",
        "a-x@a.example",
        "a@a.example/z",
        "a@a.example",
        "a.example",
    ]
    .into_iter()
    .map(jid)
    .collect();
    jids.sort();

    let sorted: Vec<_> = jids.iter().map(Jid::as_str).collect();
    assert_eq!(
        sorted,
        [
            "a.example",
            "a@a.example",
            "a@a.example/z",
            "a-x@a.example",
            "b@a.example",
            "b@a.example/x",
            "a@b.example"
        ]
    );
}

#[test]
fn the_examples_of_xep_0106_are_escaped_as_it_says() {
    for (plain, escaped) in [
        ("space cadet", "space\\20cadet"),
        ("call me \"ishmael\"", "call\\20me\\20\\22ishmael\\22"),
        ("at&t guy", "at\\26t\\20guy"),
        ("d'artagnan", "d\\27artagnan"),
        ("/.fanboy", "\\2f.fanboy"),
        ("::foo::", "\\3a\\3afoo\\3a\\3a"),
        ("<foo>", "\\3cfoo\\3e"),
        ("user@host", "user\\40host"),
        ("c:\\net", "c\\3a\\net"),
        ("c:\\\\net", "c\\3a\\\\net"),
        ("c:\\cool stuff", "c\\3a\\cool\\20stuff"),
        ("c:\\5commas", "c\\3a\\5c5commas"),
        ("\\3and\\2is\\5cool", "\\5c3and\\2is\\5c5cool"),
    ] {
        assert_eq!(escape_localpart(plain), escaped);
        assert_eq!(unescape_localpart(escaped), plain);
    }
    assert_eq!(unescape_localpart("\\20x\\20"), "\\20x\\20");
    assert!(Jid::parse(&format!("{}@example.com", escape_localpart(" x"))).is_err());
    assert_eq!(unescape_localpart("a\\é"), "a\\é");
}

proptest! {
    #[test]
    fn what_was_normalised_is_its_own_normal_form(text in "\\PC{0,20}(@\\PC{1,10})?(/\\PC{0,10})?") {
        if let Ok(jid) = Jid::parse(&text) {
            let again = Jid::parse(jid.as_str()).unwrap();
            prop_assert_eq!(&again, &jid);
            prop_assert_eq!(again.local(), jid.local());
            prop_assert_eq!(again.resource(), jid.resource());
            prop_assert_eq!(DomainName::parse(jid.domain().to_ascii()).unwrap(), jid.domain().clone());
        }
    }

    #[test]
    fn any_string_is_read_or_refused_without_a_panic(text in any::<String>()) {
        let _ = Jid::parse(&text);
        let _ = DomainName::parse(&text);
        let _ = unescape_localpart(&text);
    }

    #[test]
    fn an_escaped_text_is_legal_and_stands_for_itself(text in "[ -~]{1,30}") {
        prop_assume!(!text.starts_with(' ') && !text.ends_with(' '));
        let escaped = escape_localpart(&text);
        let folded = jid(&format!("{escaped}@example.com"));
        prop_assert_eq!(folded.local().unwrap(), escaped.to_ascii_lowercase());
        prop_assert_eq!(unescape_localpart(&escaped), text);
    }

    #[test]
    fn order_agrees_with_equality(a in "[ab]{0,2}@[ab]{1,2}(/[ab]{1,2})?", b in "[ab]{0,2}@[ab]{1,2}(/[ab]{1,2})?") {
        if let (Ok(a), Ok(b)) = (Jid::parse(&a), Jid::parse(&b)) {
            prop_assert_eq!(a.cmp(&b).is_eq(), a == b);
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        }
    }
}
