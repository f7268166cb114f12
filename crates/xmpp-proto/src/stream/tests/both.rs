//! What two ends agree on.

use super::*;
use crate::dialback::{Question, Trouble, Verdict};

#[test]
fn a_certificate_is_the_best_proof_and_stanzas_are_counted() {
    let mut two = Two::new(ALL, ALL);

    two.talk(at(0)).assert_ready();

    assert_eq!(two.proofs(), [Proof::Certificate]);
    assert!(two.crossed.contains("<starttls") && two.crossed.contains("EXTERNAL"));
    assert!(two.crossed.contains("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"));
    assert!(!two.crossed.contains("db:result"));
    let ready = InitiatorOutput::Ready { proof: Proof::Certificate, is_both_ways: true };
    assert!(two.initiator_told.contains(&ready), "{:?}", two.initiator_told);
}

#[test]
fn a_stanza_is_acknowledged_only_when_it_and_all_before_it_are_settled() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();

    two.initiator.send(11, message("a", "x@them.example", "y@us.example"), at(1));
    two.initiator.send(12, message("b", "x@them.example", "y@us.example"), at(1));
    two.talk(at(1));
    // The first one's ping comes between them.
    assert_eq!(two.received(), [(1, "a".into()), (3, "b".into())]);
    assert_eq!(two.delivered(), [0_u64; 0]);

    two.acceptor.settle(3, at(2));
    two.talk(at(2));
    assert_eq!(two.delivered(), [0_u64; 0]);

    two.acceptor.settle(1, at(3));
    two.talk(at(3));
    assert_eq!(two.delivered(), [11, 12]);
}

#[test]
fn a_count_waits_a_second_for_the_pong_that_comes_after_an_error() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.returns_pongs = false;
    two.talk(at(0)).assert_ready();
    two.initiator.send(11, message("a", "x@them.example", "y@us.example"), at(1));
    two.talk(at(1));

    two.acceptor.settle(1, at(1));
    two.talk(at(1));
    assert_eq!(two.delivered(), [0_u64; 0]);

    two.initiator.handle_timeout(at(2));
    two.talk(at(2));
    assert_eq!(two.delivered(), [11]);
}

#[test]
fn where_the_certificate_proves_nothing_dialback_does() {
    let mut two = Two::new(ALL, ALL);
    two.client_facts = facts_untrusted("them.example");

    two.talk(at(0)).assert_ready();

    assert_eq!(two.proofs(), [Proof::Dialback]);
    assert!(!two.crossed.contains("<auth"));
}

#[test]
fn without_counting_a_ping_tells_how_far_the_partner_is() {
    let mut two = Two::new(DIALBACK, DIALBACK);
    let settings = StreamSettings { stream_management: false, ..StreamSettings::default() };
    let rules = Arc::new(World(DIALBACK));
    two.acceptor = Acceptor::new(rules, Arc::new(settings), secret("us"), None, Ids::counting(), at(0));
    two.returns_pongs = false;
    two.talk(at(0)).assert_ready();
    assert!(!two.crossed.contains("<enable"));

    two.initiator.send(5, message("a", "x@them.example", "y@us.example"), at(1));
    two.initiator.send(6, message("b", "x@them.example", "y@us.example"), at(1));
    two.talk(at(1));
    assert_eq!(two.crossed.matches("urn:xmpp:ping").count(), 1);

    // The answer comes back on the partner's own stream, and only once the message before is settled.
    let answer = |two: &Two| {
        two.acceptor_told.iter().find_map(|output| match output {
            AcceptorOutput::Answer(answer) => answer.attr("id").map(str::to_string),
            _ => None,
        })
    };
    assert_eq!(answer(&two), None);
    two.acceptor.settle(1, at(2));
    two.talk(at(2));
    let id = answer(&two).expect("the ping is answered");

    assert!(!two.initiator.handle_pong("another", at(2)));
    assert!(two.initiator.handle_pong(&id, at(2)));
    two.talk(at(2));
    assert_eq!(two.delivered(), [5]);
    assert_eq!(two.crossed.matches("urn:xmpp:ping").count(), 2);
}

#[test]
fn every_combination_of_methods_ends_in_the_proof_that_both_allow_or_in_a_failure() {
    let methods = |bits: u8| Methods {
        external: bits & 1 != 0,
        dialback_over_tls: bits & 2 != 0,
        dialback_in_clear: bits & 4 != 0,
    };
    for (ours, theirs) in (1..8).flat_map(|ours| (1..8).map(move |theirs| (methods(ours), methods(theirs)))) {
        for is_trusted in [true, false] {
            let mut two = Two::new(ours, theirs);
            if !is_trusted {
                two.client_facts = facts_untrusted("them.example");
                two.server_facts = facts_untrusted("us.example");
            }

            two.talk(at(0));

            let case = format!("{ours:?} {theirs:?} trusted: {is_trusted}");
            if two.initiator.is_ready() {
                let is_secure = two.crossed.contains("<starttls");
                assert!(is_secure || (ours.dialback_in_clear && theirs.dialback_in_clear), "{case}");
                match two.proofs()[..] {
                    [Proof::Certificate] => assert!(is_secure && is_trusted && theirs.external, "{case}"),
                    [Proof::Dialback] if is_secure => assert!(theirs.dialback_over_tls, "{case}"),
                    [Proof::Dialback] => {}
                    ref other => panic!("{case}: {other:?}"),
                }
                assert!(is_trusted || !is_secure || ours.dialback_over_tls, "{case}");
            } else {
                assert!(two.initiator.is_ended(), "{case}: neither ready nor ended");
                assert_eq!(two.proofs(), [], "{case}");
            }
            let must_work = is_trusted && ours.external && theirs.external;
            assert!(!must_work || two.initiator.is_ready(), "{case}");
        }
    }
}

#[test]
fn a_stream_used_both_ways_carries_stanzas_back_and_counts_them() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    assert!(two.acceptor.is_both_ways());

    two.acceptor.send(77, message("back", "y@us.example", "x@them.example"), at(1));
    two.talk(at(1));
    let came = two.initiator_told.iter().find_map(|output| match output {
        InitiatorOutput::Stanza(received) => Some(received.n),
        _ => None,
    });
    assert_eq!(came, Some(1));

    two.initiator.settle(1, at(2));
    two.talk(at(2));
    assert!(two.acceptor_told.contains(&AcceptorOutput::Delivered(77)), "{:?}", two.acceptor_told);
}

#[test]
fn on_a_stream_used_both_ways_the_partner_cannot_speak_for_another() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();

    two.acceptor.send(1, message("forged", "y@friends.example", "x@them.example"), at(1));
    two.talk(at(1));

    assert!(two.initiator_failure().1.contains("invalid-from"));
}

#[test]
fn what_a_dead_stream_left_unacknowledged_is_handed_back_in_order() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    for token in 1..=3 {
        two.initiator.send(token, message("m", "x@them.example", "y@us.example"), at(1));
    }
    two.talk(at(1));
    two.acceptor.settle(1, at(1));
    two.talk(at(1));

    two.initiator.handle_closed(Some("connection reset".into()), at(2));

    let left = two.initiator.take_unacknowledged();
    assert_eq!(left.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(two.talk(at(2)).initiator_failure().0, Stage::Stream);
}

#[test]
fn a_partner_that_acknowledges_nothing_is_given_up() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.initiator.send(1, message("m", "x@them.example", "y@us.example"), at(1));
    two.talk(at(1));
    // The first <r/> was answered, with less than everything; the second gets no answer at all.
    two.initiator.handle_timeout(at(3));
    assert_eq!(
        two.initiator.poll_output(),
        Some(InitiatorOutput::Send(b"<r xmlns='urn:xmpp:sm:3'/>".to_vec()))
    );

    two.initiator.handle_timeout(at(33));
    two.talk(at(33));

    assert_eq!(two.initiator_failure().1, "stream: the partner acknowledged nothing in time");
}

#[test]
fn an_idle_stream_is_kept_alive_and_then_closed_in_good_order() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();

    for seconds in [150, 300, 450] {
        two.initiator.handle_timeout(at(seconds));
        assert_eq!(two.initiator.poll_output(), Some(InitiatorOutput::Send(b" ".to_vec())), "{seconds}");
        two.acceptor.handle_bytes(b" ", at(seconds));
        two.acceptor.handle_timeout(at(seconds));
    }
    two.initiator.handle_timeout(at(600));
    two.talk(at(600));

    assert!(two.initiator_told.contains(&InitiatorOutput::Ended(None)));
    assert!(two.acceptor_told.contains(&AcceptorOutput::Ended(None)));
}

#[test]
fn a_question_of_dialback_needs_no_proof_and_closes_when_answered() {
    let mut two = Two::new(DIALBACK, DIALBACK);
    two.initiator = an_initiator(DIALBACK, Purpose::Ask, None);
    let pair = Pair { local: domain("them.example"), remote: domain("us.example") };
    // The key that us.example gave out for its stanzas to them.example on their stream `s1`.
    let reverse = Pair { local: domain("us.example"), remote: domain("them.example") };
    let genuine = Question { pair: pair.clone(), id: "s1".into() };
    let forged = Question { pair, id: "s2".into() };
    two.initiator.ask(genuine.clone(), secret("us").key(&reverse, "s1"), at(0));
    two.initiator.ask(forged.clone(), secret("us").key(&reverse, "s1"), at(0));

    two.talk(at(0));

    assert!(two.initiator_told.contains(&InitiatorOutput::Verdict(genuine, Verdict::Valid)));
    assert!(two.initiator_told.contains(&InitiatorOutput::Verdict(forged, Verdict::Invalid)));
    assert!(two.initiator_told.contains(&InitiatorOutput::Ended(None)));
    assert_eq!(two.proofs(), []);
}

#[test]
fn a_question_that_finds_no_answer_ends_as_unreachable() {
    let mut initiator = an_initiator(DIALBACK, Purpose::Ask, None);
    let pair = Pair { local: domain("them.example"), remote: domain("us.example") };
    let question = Question { pair, id: "s1".into() };
    initiator.ask(question.clone(), "key".into(), at(0));

    initiator.handle_closed(Some("connection reset".into()), at(1));

    let outputs: Vec<_> = std::iter::from_fn(|| initiator.poll_output()).collect();
    let verdict = InitiatorOutput::Verdict(question, Verdict::Error(Trouble::Unreachable));
    assert!(outputs.contains(&verdict), "{outputs:?}");
}

#[test]
fn a_forged_key_ends_the_stream_with_invalid() {
    let mut two = Two::new(DIALBACK, DIALBACK);
    two.answers_dialback = false;
    two.talk(at(0));
    let pair = Pair { local: domain("us.example"), remote: domain("them.example") };

    two.acceptor.handle_verdict(&pair, Verdict::Invalid, at(1));
    two.talk(at(1));

    assert_eq!(two.initiator_failure().0, Stage::Dialback);
    assert_eq!(two.proofs(), []);
}

#[test]
fn a_domain_whose_server_cannot_be_asked_hears_so_on_a_stream_that_stays_open() {
    let mut two = Two::new(DIALBACK, DIALBACK);
    two.answers_dialback = false;
    two.talk(at(0));

    two.acceptor.handle_timeout(at(20));
    let outputs: Vec<_> = std::iter::from_fn(|| two.acceptor.poll_output()).collect();

    let sent = outputs.iter().any(|output| match output {
        AcceptorOutput::Send(bytes) => String::from_utf8_lossy(bytes).contains("remote-server-timeout"),
        _ => false,
    });
    assert!(sent, "{outputs:?}");
    assert!(!outputs.contains(&AcceptorOutput::Close), "{outputs:?}");
}
