//! The receiving end against peers that make mistakes, or worse.

use super::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream from='them.example' to='us.example' version='1.0' \
     xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>";
const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";

/// Feeds octets and returns what was sent, and what else was put out.
#[track_caller]
fn hear(acceptor: &mut Acceptor, text: &str, now: Now) -> (String, Vec<AcceptorOutput>) {
    acceptor.handle_bytes(text.as_bytes(), now);
    outputs(acceptor)
}

fn outputs(acceptor: &mut Acceptor) -> (String, Vec<AcceptorOutput>) {
    let mut sent = String::new();
    let mut rest = Vec::new();
    while let Some(output) = acceptor.poll_output() {
        match output {
            AcceptorOutput::Send(bytes) => sent.push_str(std::str::from_utf8(&bytes).unwrap()),
            other => rest.push(other),
        }
    }
    (sent, rest)
}

/// An acceptor whose peer is proved by its certificate.
fn authenticated() -> Acceptor {
    let mut acceptor = an_acceptor(ALL, Some(facts("them.example")));
    hear(&mut acceptor, HEADER, at(0));
    hear(&mut acceptor, AUTH, at(0));
    let (sent, _) = hear(&mut acceptor, HEADER, at(0));
    assert!(sent.contains("<sm xmlns='urn:xmpp:sm:3'/>"), "{sent}");
    acceptor
}

#[track_caller]
fn refused(acceptor: &mut Acceptor, text: &str, condition: &str) {
    let (sent, rest) = hear(acceptor, text, at(1));
    assert!(sent.contains(&format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'")), "{sent}");
    assert!(sent.ends_with("</stream:stream>"), "{sent}");
    assert!(rest.contains(&AcceptorOutput::Close), "{rest:?}");
    assert!(!rest.iter().any(|output| matches!(output, AcceptorOutput::Stanza(_))), "{rest:?}");
}

#[test]
fn in_clear_only_starttls_is_offered_and_it_is_required() {
    let (sent, _) = hear(&mut an_acceptor(ALL, None), HEADER, at(0));

    assert!(
        sent.contains("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"),
        "{sent}"
    );
    assert!(!sent.contains("mechanism") && !sent.contains("dialback xmlns"), "{sent}");
}

#[test]
fn external_is_offered_only_when_it_is_known_to_succeed() {
    let features = |facts| hear(&mut an_acceptor(ALL, Some(facts)), HEADER, at(0)).0;

    assert!(features(facts("them.example")).contains("<mechanism>EXTERNAL</mechanism>"));
    assert!(!features(facts("other.example")).contains("mechanism"));
    assert!(!features(facts_untrusted("them.example")).contains("mechanism"));
}

#[test]
fn a_peer_that_nothing_could_prove_is_told_why() {
    let mut acceptor = an_acceptor(EXTERNAL, Some(facts("other.example")));

    let (sent, rest) = hear(&mut acceptor, HEADER, at(0));

    assert!(sent.contains("<not-authorized") && sent.contains("other.example"), "{sent}");
    let is_certificate = |output: &AcceptorOutput| matches!(output, AcceptorOutput::Ended(Some(failure)) if failure.stage == Stage::Certificate);
    assert!(rest.iter().any(is_certificate), "{rest:?}");
}

#[test]
fn headers_are_refused_with_the_condition_that_names_their_fault() {
    let header = |change: (&str, &str)| HEADER.replace(change.0, change.1);
    for (change, condition) in [
        (("xmlns='jabber:server'", "xmlns='jabber:client'"), "invalid-namespace"),
        (("to='us.example'", ""), "improper-addressing"),
        (("to='us.example'", "to='a@us.example'"), "improper-addressing"),
        (("to='us.example'", "to='elsewhere.example'"), "host-unknown"),
        (("from='them.example'", "from='a b'"), "improper-addressing"),
        (("from='them.example'", "from='us.example'"), "invalid-from"),
        (("from='them.example'", "from='stranger.example'"), "policy-violation"),
        (("version='1.0'", ""), "unsupported-version"),
        (("version='1.0' ", "version='x' "), "unsupported-version"),
    ] {
        let mut text = header(change);
        if condition == "unsupported-version" && change.1.is_empty() {
            text = HEADER.replace(" version='1.0' xmlns", " xmlns");
        } else if condition == "unsupported-version" {
            text = HEADER.replace(" version='1.0' xmlns", " version='x' xmlns");
        }
        refused(&mut an_acceptor(ALL, None), &text, condition);
    }
}

#[test]
fn a_stream_of_ours_that_leads_back_to_us_is_told_so_whomever_it_was_for() {
    let ours = HEADER.replace("from='them.example'", "from='us.example'");

    refused(
        &mut an_acceptor(ALL, None),
        &ours.replace("to='us.example'", "to='them.example'"),
        "invalid-from",
    );
}

#[test]
fn what_is_sent_in_clear_behind_starttls_is_never_read() {
    let mut acceptor = an_acceptor(ALL, None);
    let injected = format!("{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{HEADER}{AUTH}");

    let (sent, rest) = hear(&mut acceptor, &injected, at(0));
    assert!(sent.ends_with("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), "{sent}");
    assert!(matches!(&rest[..], [AcceptorOutput::StartTls(_)]), "{rest:?}");
    hear(&mut acceptor, AUTH, at(0));

    acceptor.handle_tls(facts("them.example"), at(1));
    assert_eq!(outputs(&mut acceptor), (String::new(), Vec::new()));
    assert_eq!(acceptor.proved().count(), 0);
}

#[test]
fn a_stanza_before_any_proof_ends_the_stream() {
    let mut acceptor = an_acceptor(ALL, Some(facts("them.example")));
    hear(&mut acceptor, HEADER, at(0));

    refused(&mut acceptor, "<message from='a@them.example' to='b@us.example'/>", "not-authorized");
}

#[test]
fn an_identity_other_than_the_header_s_fails_and_three_failures_end_the_stream() {
    let mut acceptor = an_acceptor(ALL, Some(facts("them.example")));
    hear(&mut acceptor, HEADER, at(0));
    // "friends.example"
    let auth = AUTH.replace(">=<", ">ZnJpZW5kcy5leGFtcGxl<");

    for _ in 0..2 {
        let (sent, _) = hear(&mut acceptor, &auth, at(0));
        assert!(sent.contains("<invalid-authzid/>"), "{sent}");
    }
    refused(&mut acceptor, &auth, "policy-violation");
    assert_eq!(acceptor.proved().count(), 0);
}

#[test]
fn external_without_an_initial_response_is_asked_for_one() {
    let mut acceptor = an_acceptor(ALL, Some(facts("them.example")));
    hear(&mut acceptor, HEADER, at(0));

    let (sent, _) = hear(&mut acceptor, &AUTH.replace(">=</auth>", "/>"), at(0));
    assert_eq!(sent, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    let (sent, _) = hear(&mut acceptor, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", at(0));

    assert_eq!(sent, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
}

#[test]
fn after_authentication_the_header_must_claim_the_same_domain() {
    let mut acceptor = an_acceptor(ALL, Some(facts("them.example")));
    hear(&mut acceptor, HEADER, at(0));
    hear(&mut acceptor, AUTH, at(0));

    refused(&mut acceptor, &HEADER.replace("them.example", "friends.example"), "invalid-from");
}

#[test]
fn a_stanza_must_come_from_a_proved_domain_and_be_for_a_served_one() {
    for (from, to, condition) in [
        ("a@friends.example", "b@us.example", "invalid-from"),
        ("a@sub.them.example", "b@us.example", "invalid-from"),
        ("a@us.example", "b@us.example", "invalid-from"),
        ("a@them.example", "b@elsewhere.example", "host-unknown"),
    ] {
        let stanza = format!("<message from='{from}' to='{to}'/>");
        refused(&mut authenticated(), &stanza, condition);
    }
    refused(&mut authenticated(), "<message to='b@us.example'/>", "improper-addressing");
    refused(&mut authenticated(), "<message from='a@them.example'/>", "improper-addressing");
}

#[test]
fn a_malformed_recipient_is_the_stanza_s_fault_not_the_stream_s() {
    let mut acceptor = authenticated();

    let (sent, rest) =
        hear(&mut acceptor, "<message id='1' from='a@them.example' to='a:b@us.example'/>", at(1));

    assert_eq!(sent, "");
    let [AcceptorOutput::Answer(answer)] = &rest[..] else { panic!("{rest:?}") };
    assert!(answer.to_string().contains("jid-malformed"), "{answer}");
    assert_eq!(answer.attr("to"), Some("a@them.example"));
}

#[test]
fn a_second_domain_is_proved_on_the_same_stream_by_dialback() {
    let mut acceptor = authenticated();
    let key = "<db:result from='friends.example' to='also.us.example'>key</db:result>";

    let (_, rest) = hear(&mut acceptor, key, at(1));
    let [AcceptorOutput::Ask(question, asked)] = &rest[..] else { panic!("{rest:?}") };
    assert_eq!((&*question.id, &**asked), (acceptor.id(), "key"));
    let pair = question.pair.clone();
    acceptor.handle_verdict(&pair, crate::dialback::Verdict::Valid, at(2));

    let (sent, _) = outputs(&mut acceptor);
    assert_eq!(sent, "<db:result from='also.us.example' to='friends.example' type='valid'/>");
    let (_, rest) = hear(&mut acceptor, "<message from='a@friends.example' to='b@us.example'/>", at(2));
    assert!(matches!(&rest[..], [AcceptorOutput::Stanza(_)]), "{rest:?}");
}

#[test]
fn at_most_sixteen_keys_wait_and_the_rest_hear_that_we_are_busy() {
    let mut acceptor = an_acceptor(ALL, Some(facts_untrusted("x.example")));
    hear(&mut acceptor, HEADER, at(0));
    let mut asked = 0;
    let mut busy = 0;

    for remote in ["them.example", "friends.example"] {
        for local in ["us.example", "also.us.example"] {
            let key = format!("<db:result from='{remote}' to='{local}'>k</db:result>");
            let (sent, rest) = hear(&mut acceptor, &key, at(0));
            asked += rest.iter().filter(|output| matches!(output, AcceptorOutput::Ask(..))).count();
            busy += sent.matches("resource-constraint").count();
        }
    }

    assert_eq!((asked, busy), (4, 0));
}

#[test]
fn sixteen_kibioctets_are_all_that_a_stranger_may_send() {
    let mut acceptor = an_acceptor(ALL, Some(facts("x.example")));
    hear(&mut acceptor, HEADER, at(0));
    let verify = "<db:verify from='x.example' to='us.example' id='1'>k</db:verify>".repeat(20);

    let mut sent = String::new();
    for _ in 0..50 {
        sent.push_str(&hear(&mut acceptor, &verify, at(0)).0);
    }

    assert!(sent.contains("<policy-violation"), "{sent}");
    assert!(sent.matches("type='invalid'").count() < 16 * 1024 / 60);
}

#[test]
fn a_stranger_has_thirty_seconds_whatever_it_sends() {
    let mut acceptor = an_acceptor(ALL, None);
    for second in 0..30 {
        hear(&mut acceptor, &HEADER[second..=second], at(second as u64));
        acceptor.handle_timeout(at(second as u64));
    }
    assert_eq!(acceptor.poll_timeout(), Some(at(30).moment));

    acceptor.handle_timeout(at(30));

    assert!(outputs(&mut acceptor).0.contains("<connection-timeout"));
}

#[test]
fn half_a_stanza_has_a_minute() {
    let mut acceptor = authenticated();
    for second in 0..60 {
        hear(&mut acceptor, if second == 0 { "<message " } else { " " }, at(second));
        acceptor.handle_timeout(at(second));
    }

    acceptor.handle_timeout(at(60));

    assert!(outputs(&mut acceptor).0.contains("<connection-timeout"));
}

#[test]
fn acknowledging_what_was_never_sent_ends_the_stream() {
    let mut acceptor = authenticated();
    hear(&mut acceptor, "<enable xmlns='urn:xmpp:sm:3'/>", at(1));

    let (sent, _) = hear(&mut acceptor, "<a xmlns='urn:xmpp:sm:3' h='7'/>", at(1));

    assert!(sent.contains("<undefined-condition"), "{sent}");
    assert!(sent.contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='7' send-count='0'/>"), "{sent}");
}

#[test]
fn counting_begins_at_enable_and_only_after_a_proof() {
    let mut acceptor = an_acceptor(ALL, Some(facts("them.example")));
    hear(&mut acceptor, HEADER, at(0));
    let (sent, _) = hear(&mut acceptor, "<enable xmlns='urn:xmpp:sm:3'/>", at(0));
    assert!(sent.contains("<unexpected-request"), "{sent}");

    let mut acceptor = authenticated();
    hear(&mut acceptor, "<message from='a@them.example' to='b@us.example'/>", at(1));
    hear(&mut acceptor, "<enable xmlns='urn:xmpp:sm:3'/>", at(1));
    hear(&mut acceptor, "<message from='a@them.example' to='b@us.example'/>", at(1));
    acceptor.settle(1, at(2));
    acceptor.settle(2, at(2));
    let (sent, _) = hear(&mut acceptor, "<r xmlns='urn:xmpp:sm:3'/>", at(2));
    assert_eq!(sent, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
}

#[test]
fn a_silent_partner_is_closed_unless_its_stanzas_are_at_work() {
    let mut acceptor = authenticated();
    hear(&mut acceptor, "<message from='a@them.example' to='b@us.example'/>", at(1));
    assert_eq!(acceptor.poll_timeout(), None);

    acceptor.settle(1, at(2));
    assert_eq!(acceptor.poll_timeout(), Some(at(301).moment));
    acceptor.handle_timeout(at(301));

    let (sent, rest) = outputs(&mut acceptor);
    assert!(sent.contains("<connection-timeout"), "{sent}");
    assert!(rest.contains(&AcceptorOutput::Ended(None)), "{rest:?}");
}

#[test]
fn new_rules_take_effect_on_a_stream_that_is_open() {
    #[derive(Debug)]
    struct Nobody;
    impl Rules for Nobody {
        fn serves(&self, domain: &DomainName) -> bool {
            domain.as_str() == "us.example"
        }
        fn policy(&self, _: &DomainName) -> Option<Policy> {
            None
        }
    }
    let mut acceptor = authenticated();

    acceptor.set_rules(Arc::new(Nobody));

    refused(&mut acceptor, "<message from='a@them.example' to='b@us.example'/>", "invalid-from");
}
