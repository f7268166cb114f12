//! The initiating end against servers that make mistakes, or worse.

use super::*;
use crate::dane::Delegation;
use crate::evidence::Evidence;

const HEADER: &str = "<?xml version='1.0'?><stream:stream from='us.example' to='them.example' id='s1' version='1.0' \
     xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>";
const TLS: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
const NONE: &str = "<stream:features/>";
const EXTERNAL_OFFER: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
     <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";

fn hear(initiator: &mut Initiator, text: &str) -> (String, Vec<InitiatorOutput>) {
    initiator.handle_bytes(text.as_bytes(), at(1));
    outputs(initiator)
}

fn outputs(initiator: &mut Initiator) -> (String, Vec<InitiatorOutput>) {
    let mut sent = String::new();
    let mut rest = Vec::new();
    while let Some(output) = initiator.poll_output() {
        match output {
            InitiatorOutput::Send(bytes) => sent.push_str(std::str::from_utf8(&bytes).unwrap()),
            other => rest.push(other),
        }
    }
    (sent, rest)
}

/// Feeds the text and expects a failure at this stage, in these words.
#[track_caller]
fn fails(mut initiator: Initiator, text: &str, stage: Stage, words: &str) {
    let (_, rest) = hear(&mut initiator, text);
    let failure = rest.iter().find_map(|output| match output {
        InitiatorOutput::Ended(Some(failure)) => Some(failure),
        _ => None,
    });
    let failure = failure.unwrap_or_else(|| panic!("no failure in {rest:?}"));
    assert_eq!(failure.stage, stage, "{failure}");
    assert!(failure.to_string().contains(words), "{failure}");
    assert!(rest.contains(&InitiatorOutput::Close));
}

fn in_clear(methods: Methods) -> Initiator {
    an_initiator(methods, Purpose::Speak, None)
}

fn inside_tls(methods: Methods) -> Initiator {
    an_initiator(methods, Purpose::Speak, Some(facts("us.example")))
}

#[test]
fn an_offer_of_tls_that_was_taken_out_does_not_lead_to_plaintext() {
    fails(in_clear(ALL), &format!("{HEADER}{NONE}"), Stage::Tls, "offers no TLS");
}

#[test]
fn a_server_without_features_is_used_only_where_plaintext_is_allowed() {
    let header = HEADER.replace(" version='1.0' xmlns", " xmlns");
    fails(in_clear(ALL), &header, Stage::Tls, "offers no TLS");

    let mut initiator = in_clear(CLEAR);
    let (sent, _) = hear(&mut initiator, &header);
    assert!(sent.contains("<db:result from='them.example' to='us.example'>"), "{sent}");
}

#[test]
fn the_wrong_certificate_ends_it_before_anything_is_said_inside() {
    let mut initiator = in_clear(EXTERNAL);
    hear(&mut initiator, &format!("{HEADER}{TLS}"));
    hear(&mut initiator, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");

    initiator.handle_tls(facts("evil.example"), at(1));

    let (sent, rest) = outputs(&mut initiator);
    assert_eq!(sent, "");
    let reason = "certificate: the certificate is for evil.example";
    assert!(
        rest.iter().any(|o| matches!(o, InitiatorOutput::Ended(Some(f)) if f.to_string() == reason)),
        "{rest:?}"
    );
}

#[test]
fn a_refusal_of_our_certificate_leads_to_dialback_where_it_is_allowed() {
    let refusal = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/>\
        <text>unsupported certificate purpose</text></failure>";
    let mut initiator = inside_tls(ALL);
    let (sent, _) = hear(&mut initiator, &format!("{HEADER}{EXTERNAL_OFFER}"));
    // "them.example"
    assert!(sent.contains("mechanism='EXTERNAL'>dGhlbS5leGFtcGxl</auth>"), "{sent}");
    let (sent, _) = hear(&mut initiator, refusal);
    assert!(sent.starts_with("<db:result"), "{sent}");

    let mut strict = inside_tls(EXTERNAL);
    hear(&mut strict, &format!("{HEADER}{EXTERNAL_OFFER}"));
    fails(strict, refusal, Stage::Auth, "unsupported certificate purpose");
}

#[test]
fn a_server_that_closes_after_refusing_our_certificate_has_refused_our_certificate() {
    let refusal = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
    let mut initiator = inside_tls(ALL);
    hear(&mut initiator, &format!("{HEADER}{EXTERNAL_OFFER}"));
    hear(&mut initiator, refusal);

    fails(initiator, "</stream:stream>", Stage::Auth, "refused our certificate");
}

#[test]
fn a_server_that_does_not_offer_external_does_not_take_our_certificate() {
    fails(inside_tls(EXTERNAL), &format!("{HEADER}{NONE}"), Stage::Auth, "does not offer EXTERNAL");
}

#[test]
fn the_server_s_own_words_reach_the_operator() {
    let error = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
        <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>never heard of it</text></stream:error>";

    fails(in_clear(ALL), &format!("{HEADER}{error}"), Stage::Stream, "never heard of it");
}

#[test]
fn a_server_that_closes_before_it_offers_anything_does_not_take_our_certificate() {
    let error = "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
        <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>your certificate is not trusted</text></stream:error>";

    fails(inside_tls(ALL), &format!("{HEADER}{error}"), Stage::Auth, "your certificate is not trusted");
    fails(in_clear(ALL), &format!("{HEADER}{error}"), Stage::Stream, "your certificate is not trusted");
}

#[test]
fn answers_to_questions_of_others_open_nothing() {
    let mut initiator = inside_tls(DIALBACK);
    hear(&mut initiator, &format!("{HEADER}{NONE}"));

    for answer in [
        "<db:result from='victim.example' to='them.example' type='valid'/>",
        "<db:result from='us.example' to='victim.example' type='valid'/>",
        "<db:verify from='us.example' to='them.example' id='x' type='valid'/>",
    ] {
        let (sent, rest) = hear(&mut initiator, answer);
        assert_eq!((&*sent, &rest[..]), ("", &[][..]), "{answer}");
        assert!(!initiator.is_ready());
    }
    let (_, rest) = hear(&mut initiator, "<db:result from='us.example' to='them.example' type='valid'/>");
    assert!(matches!(&rest[..], [InitiatorOutput::Ready { proof: Proof::Certificate, .. }]), "{rest:?}");
}

#[test]
fn stanzas_on_a_stream_of_ours_are_not_processed() {
    let mut initiator = inside_tls(DIALBACK);
    hear(&mut initiator, &format!("{HEADER}{NONE}"));
    hear(&mut initiator, "<db:result from='us.example' to='them.example' type='valid'/>");

    let (sent, rest) = hear(&mut initiator, "<message from='a@us.example' to='b@them.example'/>");

    assert_eq!((&*sent, &rest[..]), ("", &[][..]));
}

#[test]
fn each_step_has_to_come_in_time() {
    let late = |mut initiator: Initiator, heard: &str| {
        hear(&mut initiator, heard);
        initiator.handle_timeout(at(60));
        let (_, rest) = outputs(&mut initiator);
        rest.into_iter().find_map(|output| match output {
            InitiatorOutput::Ended(failure) => failure.map(|failure| failure.to_string()),
            _ => None,
        })
    };

    assert_eq!(late(in_clear(ALL), "").unwrap(), "stream: the partner's stream header did not come in time");
    assert_eq!(late(in_clear(ALL), HEADER).unwrap(), "stream: the partner's features did not come in time");
    assert_eq!(
        late(in_clear(ALL), &format!("{HEADER}{TLS}")).unwrap(),
        "tls: the partner's consent to TLS did not come in time"
    );
    assert_eq!(
        late(inside_tls(ALL), &format!("{HEADER}{EXTERNAL_OFFER}")).unwrap(),
        "auth: the answer to EXTERNAL did not come in time"
    );
}

#[test]
fn octets_between_proceed_and_the_handshake_are_never_read() {
    let mut initiator = in_clear(ALL);
    hear(&mut initiator, &format!("{HEADER}{TLS}"));
    let injected = format!("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{HEADER}{EXTERNAL_OFFER}");

    let (_, rest) = hear(&mut initiator, &injected);
    assert_eq!(rest, [InitiatorOutput::StartTls]);
    initiator.handle_tls(facts("us.example"), at(1));

    let (sent, rest) = outputs(&mut initiator);
    assert!(sent.starts_with("<?xml") && !sent.contains("auth"), "{sent}");
    assert_eq!(rest, []);
}

/// A signed zone that says this of the certificate of its server.
fn vouching(matching: &[u8]) -> Evidence {
    let record = net_types::Record::Tlsa { usage: 3, selector: 0, matching: 0, data: matching.to_vec() };
    let delegation = Delegation::new("host.us.example".into(), 5269, &[record]);
    Evidence { delegation: Some(Arc::new(delegation)), posh: None }
}

fn showing(der: &[u8]) -> Box<TlsFacts> {
    let mut facts = facts_untrusted("whoever.example");
    let mut certificate = facts.peer.as_deref().unwrap().clone();
    certificate.der = der.into();
    facts.peer = Some(Arc::new(certificate));
    facts
}

fn approaching(methods: Methods, evidence: Evidence, tls: Option<Box<TlsFacts>>) -> Initiator {
    let approach = Approach { evidence, ..an_approach(methods, Purpose::Speak) };
    let settings = Arc::new(StreamSettings::default());
    Initiator::new(approach, settings, secret("them"), tls, Ids::counting(), at(0))
}

#[test]
fn a_certificate_that_the_signed_zone_names_is_as_good_as_any() {
    let mut initiator = approaching(EXTERNAL, vouching(b"certificate"), Some(showing(b"certificate")));
    hear(&mut initiator, HEADER);
    let (said, _) = hear(&mut initiator, EXTERNAL_OFFER);
    assert!(said.contains("mechanism='EXTERNAL'"), "{said}");

    hear(&mut initiator, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    hear(&mut initiator, HEADER);
    let (_, told) = hear(&mut initiator, NONE);

    let ready = InitiatorOutput::Ready { proof: Proof::Dane, is_both_ways: false };
    assert_eq!(told, [ready]);
}

#[test]
fn a_certificate_that_the_signed_zone_does_not_name_ends_it_whatever_else_is_allowed() {
    let mut initiator = approaching(ALL, vouching(b"certificate"), Some(facts("us.example")));

    let (_, told) = outputs(&mut initiator);

    let [InitiatorOutput::Close, InitiatorOutput::Ended(Some(failure))] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(failure.stage, Stage::Certificate);
    assert!(failure.reason.contains("_5269._tcp.host.us.example"), "{failure}");
    assert!(failure.advice().contains("TLSA records and its certificate must agree"), "{}", failure.advice());
}

#[test]
fn nothing_crosses_in_clear_where_the_signed_zone_names_a_certificate() {
    let mut initiator = approaching(CLEAR, vouching(b"certificate"), None);
    hear(&mut initiator, HEADER);

    let (said, told) = hear(&mut initiator, NONE);

    assert!(!said.contains("db:result"), "{said}");
    assert!(matches!(&told[..], [.., InitiatorOutput::Ended(Some(_))]), "{told:?}");
}

#[test]
fn a_server_that_takes_us_for_itself_is_perhaps_ourselves() {
    let error = "<stream:error><invalid-from xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";

    fails(in_clear(ALL), &format!("{HEADER}{error}"), Stage::Stream, "lead back to us");
}
