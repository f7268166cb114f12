//! The test of a partner, at each stage where it can fail.

mod partner;

use std::time::Duration;

use net_types::{Record, TrustVerdict};
use proxy_role::{Negotiation, Outcome};
use xmpp_proto::failure::Stage::{Auth, Certificate, Dialback, Dns, Policy, Stream, Tcp, Tls};

use partner::{Run, Script, partner};

#[test]
fn a_partner_in_good_order_passes_every_stage() {
    let run = partner().test();

    run.expect(&[
        (Policy, Outcome::Passed, "partner.example is a partner (public-unverified: its users may write to ours, and see them, once these have added them)"),
        (Dns, Outcome::Passed, "_xmpp-server._tcp.partner.example SRV 5 0 5269 xmpp.partner.example"),
        (Tcp, Outcome::Passed, "xmpp.partner.example (192.0.2.1:5269), STARTTLS: open after 20 ms"),
        (Tls, Outcome::Passed, "TLS 1.3 TLS_AES_128_GCM_SHA256"),
        (Certificate, Outcome::Passed, "purposes: serverAuth only, which is fine here"),
        (Auth, Outcome::Passed, "it accepts our certificate (SASL EXTERNAL)"),
        (Stream, Outcome::Passed, "counting was agreed on and a stanza was acknowledged after 40 ms"),
    ]);
    assert!(run.failed_at().is_none());
    assert_eq!(
        run.verdict.words,
        "stanzas of us.example reach partner.example over TLS 1.3 TLS_AES_128_GCM_SHA256"
    );
    assert!(run.sent.ends_with("</stream:stream>"), "{}", run.sent);
    assert_eq!(run.open_at_end, 0);
}

#[test]
fn a_stranger_fails_at_policy_and_nothing_is_asked() {
    let run = partner().of("stranger.example").test();

    run.expect(&[(Policy, Outcome::Failed, "stranger.example is no partner of ours")]);
    assert_eq!(run.failed_at(), Some(Policy));
    assert_eq!(run.verdict.fix.as_deref(), Some("gangway partner add stranger.example"));
    assert!(run.asked.is_empty());
}

#[test]
fn a_domain_that_publishes_nothing_fails_at_dns() {
    let run = partner().zone(&[]).test();

    run.expect_last(Dns, Outcome::Failed, "_xmpps-server._tcp.partner.example SRV: no such name");
    assert_eq!(run.failed_at(), Some(Dns));
    assert!(run.fix().contains("gangway partner set partner.example host=HOST:PORT"));
}

#[test]
fn an_address_behind_the_firewall_is_refused_by_policy() {
    let run = partner().address("10.0.0.1").test();

    run.expect_last(Dns, Outcome::Failed, "xmpp.partner.example address 10.0.0.1: refused, it is not public");
    assert_eq!(run.failed_at(), Some(Policy));
    assert!(run.fix().contains("allow-private-addresses=true"), "{}", run.fix());
}

#[test]
fn a_resolver_that_is_silent_fails_at_dns_after_its_patience() {
    let run = partner().silent_resolver().test();

    run.expect_last(Dns, Outcome::Failed, "the resolver did not answer in time");
    assert_eq!(run.failed_at(), Some(Dns));
    assert_eq!(run.findings.last().unwrap().took, Duration::from_secs(5));
}

#[test]
fn every_address_is_tried_and_all_refused_fail_at_tcp() {
    let run = partner().more_addresses(&["192.0.2.2"]).refusing(&["192.0.2.1", "192.0.2.2"]).test();

    run.expect_last(Tcp, Outcome::Failed, "192.0.2.1:5269), STARTTLS: connection refused");
    run.expect_last(Tcp, Outcome::Failed, "192.0.2.2:5269), STARTTLS: connection refused");
    assert_eq!(run.failed_at(), Some(Tcp));
}

#[test]
fn a_dead_address_beside_a_live_one_is_noted() {
    let run = partner().more_addresses(&["192.0.2.2"]).refusing(&["192.0.2.1"]).test();

    assert_eq!(run.outcome_of(Tcp), Outcome::Noted);
    assert!(run.failed_at().is_none());
    assert!(run.verdict.words.ends_with("see what is marked above"));
}

#[test]
fn a_partner_without_tls_fails_at_tls() {
    let script: Script = &[(
        "<stream:stream",
        "HEADER<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>",
    )];

    let run = partner().says(script).test();

    run.expect_last(Tls, Outcome::Failed, "the partner offers no TLS, which our settings require");
    assert_eq!(run.failed_at(), Some(Tls));
}

#[test]
fn a_handshake_that_breaks_is_followed_by_the_next_address() {
    let broken = partner().more_addresses(&["192.0.2.2"]).handshakes_break(1).test();
    let both = partner().more_addresses(&["192.0.2.2"]).handshakes_break(2).test();

    assert_eq!(broken.outcome_of(Tls), Outcome::Failed);
    assert!(broken.failed_at().is_none(), "{:?}", broken.verdict);
    assert_eq!(both.failed_at(), Some(Tls));
    assert_eq!(both.findings.iter().filter(|finding| finding.stage == Tls).count(), 2);
}

#[test]
fn direct_tls_is_tcp_and_then_tls() {
    let run = partner().direct_tls().test();

    run.expect(&[
        (Policy, Outcome::Passed, ""),
        (Dns, Outcome::Passed, "_xmpps-server._tcp.partner.example SRV 5 0 5270 xmpp.partner.example"),
        (Tcp, Outcome::Passed, "192.0.2.1:5270), direct TLS: open"),
        (Tls, Outcome::Passed, ""),
        (Certificate, Outcome::Passed, ""),
        (Auth, Outcome::Passed, ""),
        (Stream, Outcome::Passed, ""),
    ]);
    assert!(run.failed_at().is_none());
}

#[test]
fn an_expired_certificate_fails_with_its_days_and_the_fix() {
    let run = partner().certificate(|shown| shown.not_after = shown.not_before).test();

    run.expect_last(Certificate, Outcome::Failed, "expired on 1970-01-01");
    assert_eq!(run.failed_at(), Some(Certificate));
    assert!(run.fix().starts_with("the partner must renew its certificate"), "{}", run.fix());
}

#[test]
fn a_certificate_of_another_name_and_an_unknown_authority_have_their_own_fixes() {
    let other = partner().certificate(|shown| shown.names.dns = vec!["elsewhere.example".into()]).test();
    let unknown =
        partner().certificate(|shown| shown.trust = TrustVerdict::Untrusted("unknown issuer".into())).test();

    other.expect_last(Certificate, Outcome::Failed, "the certificate is for elsewhere.example");
    assert!(other.fix().contains("dNSName partner.example"), "{}", other.fix());
    unknown.expect_last(Certificate, Outcome::Failed, "chain: not trusted: unknown issuer");
    assert!(unknown.fix().contains(&format!("pins={}", "07".repeat(32))), "{}", unknown.fix());
}

#[test]
fn a_certificate_that_expires_soon_is_noted() {
    let run = partner().certificate(|shown| shown.not_after = partner::today().plus(DAY * 5)).test();

    run.expect(&[
        (Policy, Outcome::Passed, ""),
        (Dns, Outcome::Passed, ""),
        (Tcp, Outcome::Passed, ""),
        (Tls, Outcome::Passed, ""),
        (Certificate, Outcome::Noted, "4 days left"),
        (Auth, Outcome::Passed, ""),
        (Stream, Outcome::Passed, ""),
    ]);
}

#[test]
fn a_refusal_of_our_certificate_fails_at_auth_with_the_partners_words() {
    let run = partner().says(REFUSES).test();

    run.expect_last(Auth, Outcome::Failed, "it offers EXTERNAL");
    run.expect_last(
        Auth,
        Outcome::Failed,
        "the partner says: not-authorized: unsupported certificate purpose",
    );
    assert_eq!(run.failed_at(), Some(Auth));
    assert!(run.fix().contains("clientAuth"), "{}", run.fix());
}

#[test]
fn a_server_that_judges_our_certificate_before_it_offers_anything_fails_at_auth() {
    let mut script = REFUSES[..2].to_vec();
    script.push((
        "<stream:stream",
        "HEADER<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    ));

    let run = partner().says(&script).test();

    run.expect_last(Auth, Outcome::Failed, "the partner refused to let us prove who we are");
    assert_eq!(run.failed_at(), Some(Auth));
}

#[test]
fn a_refusal_that_closes_the_stream_is_followed_by_dialback_alone() {
    let run =
        partner().with(|partner| partner.sasl = Negotiation::Optional).says(REFUSES_THEN_BELIEVES).test();

    run.expect(&[
        (Policy, Outcome::Passed, "it may be proved by its certificate, or dialback over TLS"),
        (Dns, Outcome::Passed, ""),
        (Tcp, Outcome::Passed, ""),
        (Tls, Outcome::Passed, ""),
        (Certificate, Outcome::Passed, ""),
        (Auth, Outcome::Failed, ""),
        (Tls, Outcome::Passed, ""),
        (Certificate, Outcome::Passed, ""),
        (Dialback, Outcome::Passed, "it accepts our dialback key"),
        (Stream, Outcome::Passed, "the round trip was not measured"),
    ]);
    assert!(run.failed_at().is_none());
}

#[test]
fn dialback_that_fails_says_whether_the_test_could_have_passed() {
    let dialback = |partner: &mut proxy_role::Partner| partner.sasl = Negotiation::NotSupported;
    let own_secret = partner().with(dialback).says(DISBELIEVES).test();
    let shared = partner().with(dialback).secret("swordfish").says(DISBELIEVES).test();

    assert_eq!(own_secret.failed_at(), Some(Dialback));
    assert!(own_secret.fix().contains("dialback cannot be tested"), "{}", own_secret.fix());
    assert_eq!(shared.failed_at(), Some(Dialback));
    assert!(shared.fix().contains("check that the proxy runs"), "{}", shared.fix());
}

#[test]
fn a_stream_error_fails_at_stream() {
    let script: Script = &[(
        "<stream:stream",
        "HEADER<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    )];

    let run = partner().says(script).test();

    run.expect_last(Stream, Outcome::Failed, "the partner does not serve that domain");
    assert_eq!(run.failed_at(), Some(Stream));
}

#[test]
fn a_partner_that_says_nothing_fails_when_patience_ends() {
    let run = partner().says(&[]).test();

    run.expect_last(Stream, Outcome::Failed, "the partner's stream header");
    assert_eq!(run.failed_at(), Some(Stream));
    assert_eq!(run.findings.last().unwrap().took, Duration::from_secs(60));
}

#[test]
fn a_stanza_that_is_never_acknowledged_is_noted() {
    let all: Vec<_> = partner::GOOD.iter().filter(|(needle, _)| *needle != "<r").copied().collect();

    let run = partner().says(&all).test();

    run.expect_last(Stream, Outcome::Noted, "a stanza was not acknowledged in time");
    assert!(run.failed_at().is_none());
}

#[test]
fn many_records_are_told_by_their_number() {
    let many = (0..1000).map(|n| Record::Srv {
        priority: 5,
        weight: n,
        port: 5269,
        target: format!("x{n}.example"),
    });

    let run = partner().zone(&[("_xmpp-server._tcp.partner.example", many.collect())]).test();

    run.expect_last(Dns, Outcome::Failed, "_xmpp-server._tcp.partner.example SRV: 992 more");
    assert!(run.findings.last().unwrap().lines.len() < 40);
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const REFUSES: Script = &[
    (
        "<stream:stream",
        "HEADER<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    ),
    ("<starttls", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ("<stream:stream", "HEADERMECHANISMS"),
    ("<auth", REFUSAL),
];

const REFUSES_THEN_BELIEVES: Script = &[
    (
        "<stream:stream",
        "HEADER<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    ),
    ("<starttls", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ("<stream:stream", "HEADERMECHANISMS"),
    ("<auth", REFUSAL),
    (
        "<stream:stream",
        "HEADER<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    ),
    ("<starttls", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ("<stream:stream", "HEADERMECHANISMS"),
    ("<db:result", "<db:result from='partner.example' to='us.example' type='valid'/>"),
];

const DISBELIEVES: Script = &[
    (
        "<stream:stream",
        "HEADER<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    ),
    ("<starttls", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ("<stream:stream", "HEADERMECHANISMS"),
    ("<db:result", "<db:result from='partner.example' to='us.example' type='invalid'/>"),
];

const REFUSAL: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/><text>unsupported certificate \
                       purpose</text></failure></stream:stream>CLOSE";

impl Run {
    fn fix(&self) -> &str {
        self.verdict.fix.as_deref().expect("a failure has a fix")
    }
}

#[test]
fn a_signed_zone_vouches_for_a_certificate_that_no_authority_knows() {
    let untrusted = TrustVerdict::Untrusted("self-signed".into());

    let run = partner().certificate(|peer| peer.trust = untrusted.clone()).signed(3, b"certificate").test();

    assert!(run.failed_at().is_none(), "{:?}", run.verdict);
    assert_eq!(run.outcome_of(Certificate), Outcome::Passed);
    let lines = |stage| &run.findings.iter().find(|finding| finding.stage == stage).unwrap().lines;
    let has = |stage, words: &str| lines(stage).iter().any(|line| line.contains(words));
    assert!(has(Dns, "_xmpp-server._tcp.partner.example SRV 5 0 5269 xmpp.partner.example, signed"));
    assert!(has(Dns, "_5269._tcp.xmpp.partner.example TLSA 3 0 0 6365727469666963…, signed"), "{run:#?}");
    assert!(has(Certificate, "it proves partner.example, for its signed zone says so (DANE)"));
    assert!(has(
        Auth,
        "partner.example is proved to us by its certificate, for its signed zone says so (DANE)"
    ));
}

#[test]
fn a_certificate_that_the_signed_zone_does_not_name_fails_though_dialback_is_allowed() {
    let lenient = |partner: &mut proxy_role::Partner| partner.sasl = Negotiation::Optional;

    let run = partner().signed(3, b"another").with(lenient).test();

    let words = "the certificate fits none of the 1 usable TLSA records of _5269._tcp.xmpp.partner.example";
    run.expect_last(Certificate, Outcome::Failed, words);
    assert_eq!(run.failed_at(), Some(Certificate));
    assert!(run.fix().contains("gangway partner set partner.example dane=false"), "{}", run.fix());
}

#[test]
fn a_forged_zone_fails_at_dns_and_nobody_is_dialled() {
    for name in
        ["_xmpp-server._tcp.partner.example", "xmpp.partner.example", "_5269._tcp.xmpp.partner.example"]
    {
        let run = partner().signed(3, b"certificate").forged(name).test();

        run.expect_last(Dns, Outcome::Failed, "DNSSEC validation failed");
        assert_eq!(run.failed_at(), Some(Dns), "{name}");
        assert!(run.fix().contains("DNSSEC"), "{}", run.fix());
    }
}

#[test]
fn a_web_server_vouches_for_a_certificate_that_no_authority_knows() {
    let untrusted = TrustVerdict::Untrusted("self-signed".into());
    let document = "HTTP/1.1 200 OK\r\nContent-Length: 92\r\n\r\n\
                    {\"fingerprints\":[{\"sha-256\":\"A9Zt0Ig1wco/EozOrNHzGslBYwlrIPRFroQoW8CDLXI=\"}],\"expires\":7200}";

    let run = partner().certificate(|peer| peer.trust = untrusted.clone()).web(document).test();

    assert!(run.failed_at().is_none(), "{:?}", run.verdict);
    let lines = &run.findings.iter().find(|finding| finding.stage == Certificate).unwrap().lines;
    let has = |words: &str| lines.iter().any(|line| line.contains(words));
    assert!(has("POSH: its web server names 1 certificates, to be asked again after 2 h"), "{lines:?}");
    assert!(has("it proves partner.example, for its web server names it (POSH)"), "{lines:?}");
    assert_eq!(run.open_at_end, 0);
}

#[test]
fn a_web_server_without_the_document_is_told_with_the_certificate_that_it_does_not_vouch_for() {
    let untrusted = TrustVerdict::Untrusted("self-signed".into());

    let run = partner()
        .certificate(|peer| peer.trust = untrusted.clone())
        .web("HTTP/1.1 404 Not Found\r\n\r\n")
        .test();

    let words = "POSH: nothing that vouches for it: https://partner.example/.well-known/posh/xmpp-server.json: it \
                 answered 404";
    run.expect_last(Certificate, Outcome::Failed, words);
    assert_eq!(run.failed_at(), Some(Certificate));
}
