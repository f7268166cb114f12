//! Connections that break, and streams that go on (XEP-0198 §5).

use proptest::prelude::*;

use super::*;

impl Two {
    /// Both ends notice that the connection is gone; the acceptor's side keeps what is left.
    fn cut(&mut self, now: Now) -> &mut Self {
        self.initiator.handle_closed(Some("connection reset".into()), now);
        self.acceptor.handle_closed(Some("connection reset".into()), now);
        self.talk(now);
        let key = now.moment.since_origin().as_secs();
        if let Some(session) = self.acceptor.take_session() {
            let given_up = self.keeper.keep(key, session, (), now);
            assert!(given_up.is_empty(), "{given_up:?}");
        }
        self
    }

    /// The initiator comes back with what it has left.
    fn come_back(&mut self, methods: Methods, now: Now) -> &mut Self {
        let former = self.initiator.take_session().expect("the stream was not ended");
        self.initiator = an_initiator(methods, Purpose::Speak, None);
        self.initiator.resume(former);
        self.acceptor = an_acceptor(methods, None);
        self.initiator_told.clear();
        self.acceptor_told.clear();
        self.crossed.clear();
        self.talk(now)
    }

    fn say(&mut self, token: u64, now: Now) {
        let stanza = message(&format!("m{token}"), "x@them.example", "y@us.example");
        self.initiator.send(token, stanza, now);
        self.talk(now);
    }

    /// Settles what the acceptor's side took, by its id.
    fn settle(&mut self, id: &str, now: Now) {
        let (n, _) = self.received().into_iter().find(|(_, came)| came == id).expect("it came");
        self.acceptor.settle(n, now);
        self.talk(now);
    }

    #[track_caller]
    fn assert_resumed(&self, again: usize) {
        self.assert_ready();
        assert!(self.initiator_told.contains(&InitiatorOutput::Resumed(again)), "{:#?}", self.initiator_told);
    }

    #[track_caller]
    fn not_resumed(&self) -> (String, Vec<u64>) {
        let told = self.initiator_told.iter().find_map(|output| match output {
            InitiatorOutput::NotResumed { reason, unacknowledged } => {
                Some((reason.clone(), unacknowledged.iter().map(|(token, _)| *token).collect()))
            }
            _ => None,
        });
        told.unwrap_or_else(|| panic!("it was resumed: {:#?}", self.initiator_told))
    }

    fn received_ids(&self) -> Vec<String> {
        self.received().into_iter().map(|(_, id)| id).collect()
    }
}

/// What each side was handed, by the ids, and what it learnt that the other has.
#[derive(Default)]
struct Seen {
    at_acceptor: Vec<(u64, String)>,
    at_initiator: Vec<(u64, String)>,
    settled: (usize, usize),
    delivered: Vec<u64>,
}

impl Seen {
    fn gather(&mut self, two: &mut Two) {
        for told in two.acceptor_told.drain(..) {
            match told {
                AcceptorOutput::Stanza(it) => {
                    self.at_acceptor.push((it.n, it.stanza.attr("id").unwrap().into()))
                }
                AcceptorOutput::Delivered(token) => self.delivered.push(token),
                _ => {}
            }
        }
        for told in two.initiator_told.drain(..) {
            match told {
                InitiatorOutput::Stanza(it) => {
                    self.at_initiator.push((it.n, it.stanza.attr("id").unwrap().into()))
                }
                InitiatorOutput::Delivered(token) => self.delivered.push(token),
                _ => {}
            }
        }
    }

    /// Settles the next stanza that reached the acceptor; tells whether there was one.
    fn settle_inward(&mut self, two: &mut Two, now: Now) -> bool {
        let next = self.at_acceptor.get(self.settled.0);
        self.settled.0 += next.into_iter().inspect(|(n, _)| two.acceptor.settle(*n, now)).count();
        next.is_some()
    }

    /// Settles the next stanza that reached the initiator; tells whether there was one.
    fn settle_outward(&mut self, two: &mut Two, now: Now) -> bool {
        let next = self.at_initiator.get(self.settled.1);
        self.settled.1 += next.into_iter().inspect(|(n, _)| two.initiator.settle(*n, now)).count();
        next.is_some()
    }

    fn settle_all(&mut self, two: &mut Two, now: Now) {
        while self.settle_inward(two, now) || self.settle_outward(two, now) {}
    }
}

/// Loses what one side has just written.
fn lose(mut next: impl FnMut() -> bool) {
    while next() {}
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_breaks_and_whenever_each_stanza_arrives_once_and_in_order(
        deeds in proptest::collection::vec(0_u8..10, 1..60)
    ) {
        let mut two = Two::new(EXTERNAL, EXTERNAL);
        two.talk(at(0)).assert_ready();
        let (mut seen, mut token, mut now) = (Seen::default(), 0, at(1));
        let (mut sent_in, mut sent_out) = (Vec::new(), Vec::new());
        for deed in deeds {
            match deed {
                0..=2 => {
                    token += 1;
                    sent_in.push(format!("m{token}"));
                    let stanza = message(&format!("m{token}"), "x@them.example", "y@us.example");
                    two.initiator.send(token, stanza, now);
                }
                3 | 4 => {
                    token += 1;
                    sent_out.push(format!("m{token}"));
                    two.acceptor.send(token, message(&format!("m{token}"), "y@us.example", "x@them.example"), now);
                }
                5 => _ = two.talk(now),
                6 => _ = seen.settle_inward(&mut two, now),
                7 => _ = seen.settle_outward(&mut two, now),
                _ => {
                    // Progress first: two breaks without any are the end of a session, which is not the subject.
                    two.talk(now);
                    seen.gather(&mut two);
                    seen.settle_all(&mut two, now);
                    two.talk(now);
                    token += 1;
                    sent_in.push(format!("m{token}"));
                    let stanza = message(&format!("m{token}"), "x@them.example", "y@us.example");
                    two.initiator.send(token, stanza, now);
                    if deed == 8 {
                        lose(|| two.initiator.poll_output().is_some());
                    }
                    lose(|| two.acceptor.poll_output().is_some());
                    two.talk(now);
                    seen.gather(&mut two);
                    now = now.plus(Duration::from_secs(1));
                    two.cut(now);
                    seen.gather(&mut two);
                    two.come_back(EXTERNAL, now);
                }
            }
            seen.gather(&mut two);
        }
        for _ in 0..4 {
            two.talk(now);
            seen.gather(&mut two);
            seen.settle_all(&mut two, now);
        }
        two.talk(now);
        seen.gather(&mut two);

        let ids = |seen: &[(u64, String)]| seen.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>();
        prop_assert_eq!(ids(&seen.at_acceptor), sent_in);
        prop_assert_eq!(ids(&seen.at_initiator), sent_out);
        seen.delivered.sort_unstable();
        prop_assert_eq!(seen.delivered, (1..=token).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_lost_with_the_connection_is_sent_again_and_nothing_else_is() {
    for methods in [EXTERNAL, DIALBACK] {
        let mut two = Two::new(methods, methods);
        two.talk(at(0)).assert_ready();
        two.say(1, at(1));
        two.settle("m1", at(1));
        // The acceptor never hears of the second.
        two.initiator.send(2, message("m2", "x@them.example", "y@us.example"), at(2));
        while two.initiator.poll_output().is_some() {}

        two.cut(at(3)).come_back(methods, at(4));

        // Its ping was lost as well.
        two.assert_resumed(2);
        assert_eq!(two.received_ids(), ["m2"]);
        assert!(!two.crossed.contains("<enable"));
        two.settle("m2", at(5));
        assert_eq!(two.delivered(), [2]);
    }
}

#[test]
fn what_is_still_at_work_is_repeated_and_taken_once() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.say(1, at(1));
    two.say(2, at(1));
    let numbers: Vec<u64> = two.received().into_iter().map(|(n, _)| n).collect();

    two.cut(at(2));
    // One is settled while nobody is connected: `h` says so.
    assert!(two.keeper.settle(2, numbers[0]));
    two.come_back(EXTERNAL, at(3));
    two.say(3, at(4));

    assert_eq!(two.received_ids(), ["m3"]);
    assert_eq!(two.delivered(), [1]);
    two.acceptor.settle(numbers[1], at(5));
    two.talk(at(5));
    assert_eq!(two.delivered(), [1, 2]);
    two.settle("m3", at(6));
    assert_eq!(two.delivered(), [1, 2, 3]);
}

#[test]
fn a_stream_used_both_ways_goes_on_both_ways() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.acceptor.send(77, message("back", "y@us.example", "x@them.example"), at(1));
    while two.acceptor.poll_output().is_some() {}

    two.cut(at(2)).come_back(EXTERNAL, at(3));

    let came = two.initiator_told.iter().find_map(|output| match output {
        InitiatorOutput::Stanza(received) => Some((received.n, received.stanza.attr("id").unwrap())),
        _ => None,
    });
    assert_eq!(came, Some((1, "back")));
    two.initiator.settle(1, at(4));
    two.talk(at(4));
    assert!(two.acceptor_told.contains(&AcceptorOutput::Delivered(77)), "{:?}", two.acceptor_told);
}

#[test]
fn what_we_settle_between_our_wish_and_its_answer_is_still_taken_once() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.acceptor.send(77, message("back", "y@us.example", "x@them.example"), at(1));
    two.talk(at(1));
    two.cut(at(2));
    let former = two.initiator.take_session().unwrap();
    two.initiator = an_initiator(EXTERNAL, Purpose::Speak, None);
    two.initiator.resume(former);
    two.acceptor = an_acceptor(EXTERNAL, None);
    two.initiator_told.clear();

    // The acceptor's answer is held back until the stanza is settled here.
    let held = std::mem::replace(&mut two.keeper, Keeper::new(KEEPS));
    let mut answers = Vec::new();
    let mut held = Some(held);
    for _ in 0..20 {
        while let Some(output) = two.initiator.poll_output() {
            match output {
                InitiatorOutput::Send(bytes) => two.acceptor.handle_bytes(&bytes, at(3)),
                InitiatorOutput::StartTls => {
                    two.acceptor.handle_tls(facts("them.example"), at(3));
                    two.initiator.handle_tls(facts("us.example"), at(3));
                }
                other => two.initiator_told.push(other),
            }
        }
        while let Some(output) = two.acceptor.poll_output() {
            match output {
                AcceptorOutput::Send(bytes) if held.is_some() => two.initiator.handle_bytes(&bytes, at(3)),
                AcceptorOutput::Send(bytes) => answers.push(bytes),
                AcceptorOutput::Resume { previd, .. } => {
                    let parties = two.acceptor.parties().unwrap();
                    let (_, (), session) = held.take().unwrap().claim(&previd, &parties).unwrap();
                    two.acceptor.resume(session, at(3));
                }
                _ => {}
            }
        }
    }
    two.initiator.settle_former(1);
    for bytes in answers {
        two.initiator.handle_bytes(&bytes, at(4));
    }
    two.talk(at(4)).assert_ready();

    let came = |output: &&InitiatorOutput| matches!(output, InitiatorOutput::Stanza(_));
    assert_eq!(two.initiator_told.iter().filter(came).count(), 0, "{:#?}", two.initiator_told);
    assert!(two.acceptor_told.contains(&AcceptorOutput::Delivered(77)), "{:?}", two.acceptor_told);
}

#[test]
fn who_does_not_know_the_name_begins_anew_and_resends() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.say(1, at(1));
    two.cut(at(2));
    two.keeper = Keeper::new(KEEPS);

    two.come_back(EXTERNAL, at(3)).assert_ready();

    let (reason, left) = two.not_resumed();
    assert_eq!(left, [1]);
    assert!(reason.contains("item-not-found"), "{reason}");
    assert!(two.crossed.contains("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"), "{}", two.crossed);
}

#[test]
fn after_the_patience_with_what_we_sent_the_peer_learns_how_much_we_had_of_it() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.say(1, at(1));
    two.say(2, at(1));
    two.acceptor.send(77, message("back", "y@us.example", "x@them.example"), at(1));
    while two.acceptor.poll_output().is_some() {}
    let numbers: Vec<u64> = two.received().into_iter().map(|(n, _)| n).collect();
    two.cut(at(2));
    two.keeper.settle(2, numbers[0]);

    assert_eq!(two.keeper.poll_timeout(), Some(at(7).moment));
    let given_up = two.keeper.handle_timeout(at(7));
    let tokens: Vec<u64> = given_up[0].unacknowledged.iter().map(|(token, _)| *token).collect();
    assert_eq!((given_up.len(), tokens), (1, vec![77]));
    two.come_back(EXTERNAL, at(8)).assert_ready();

    assert_eq!(two.delivered(), [1]);
    assert_eq!(two.not_resumed().1, [2]);
    // The count itself ends when its time does.
    assert_eq!(two.keeper.poll_timeout(), Some(at(302).moment));
    assert_eq!(two.keeper.handle_timeout(at(302)).len(), 1);
    assert_eq!(two.keeper.poll_timeout(), None);
}

#[test]
fn another_domain_cannot_resume_it_though_it_knows_the_name() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.say(1, at(1));
    let previd = two.acceptor.session_id().unwrap().to_owned();
    two.cut(at(2));

    let mut thief = an_acceptor(EXTERNAL, Some(facts("friends.example")));
    let header = "<?xml version='1.0'?><stream:stream from='friends.example' to='us.example' version='1.0' \
                  xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>";
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
    let resume = format!("<resume xmlns='urn:xmpp:sm:3' previd='{previd}' h='0'/>");
    for text in [header, auth, header, &resume] {
        thief.handle_bytes(text.as_bytes(), at(3));
    }
    let outputs: Vec<_> = std::iter::from_fn(|| thief.poll_output()).collect();
    assert!(outputs.contains(&AcceptorOutput::Resume { previd: previd.clone(), h: 0 }), "{outputs:?}");
    assert_eq!(two.keeper.claim(&previd, &thief.parties().unwrap()).err(), Some(None));
    thief.refuse_resumption(None, at(3));

    two.come_back(EXTERNAL, at(4)).assert_resumed(2);
}

#[test]
fn what_a_certificate_began_dialback_does_not_resume() {
    let mut two = Two::new(ALL, ALL);
    two.talk(at(0)).assert_ready();
    assert_eq!(two.proofs(), [Proof::Certificate]);
    two.say(1, at(1));
    two.cut(at(2));
    two.client_facts = facts_untrusted("them.example");

    two.come_back(ALL, at(3)).assert_ready();

    assert_eq!(two.proofs(), [Proof::Dialback]);
    assert_eq!(two.not_resumed().1, [1]);
}

#[test]
fn a_partner_that_is_proved_less_well_than_before_is_not_told_the_name() {
    let mut two = Two::new(DIALBACK, DIALBACK);
    two.talk(at(0)).assert_ready();
    two.say(1, at(1));
    two.cut(at(2));
    two.server_facts = facts_untrusted("us.example");

    two.come_back(DIALBACK, at(3)).assert_ready();

    assert!(!two.crossed.contains("<resume"), "{}", two.crossed);
    assert_eq!(two.not_resumed(), ("the partner is not proved as well as before".to_owned(), vec![1]));
}

#[test]
fn a_stream_that_was_closed_leaves_nothing_to_resume() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.initiator.close(None, at(1));
    two.talk(at(1));
    assert!(two.initiator.take_session().is_none() && two.acceptor.take_session().is_none());

    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.acceptor.close(Some(StreamError::new(StreamCondition::SystemShutdown)), at(1));
    two.talk(at(1));
    assert!(two.initiator.take_session().is_none() && two.acceptor.take_session().is_none());
}

#[test]
fn a_peer_that_claims_too_much_when_it_resumes_is_told_so_and_the_session_is_over() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    let previd = two.acceptor.session_id().unwrap().to_owned();
    two.cut(at(1));
    let mut acceptor = two.acceptor;
    let mut peer = Two::new(EXTERNAL, EXTERNAL);
    peer.initiator.resume(two.initiator.take_session().unwrap());
    peer.keeper = two.keeper;
    assert!(acceptor.take_session().is_none());

    // It stops before its wish, which we say for it.
    let settings = StreamSettings { stream_management: false, ..StreamSettings::default() };
    let approach = Approach {
        pair: Pair { local: domain("them.example"), remote: domain("us.example") },
        methods: EXTERNAL,
        evidence: crate::evidence::Evidence::default(),
        purpose: Purpose::Speak,
        establishment: Duration::from_secs(60),
        inactivity: Duration::from_secs(600),
        keep_alive: Duration::from_secs(150),
    };
    peer.initiator =
        Initiator::new(approach, Arc::new(settings), secret("them"), None, Ids::counting(), at(2));
    peer.talk(at(2)).assert_ready();
    let resume = format!("<resume xmlns='urn:xmpp:sm:3' previd='{previd}' h='10'/>");
    peer.acceptor.handle_bytes(resume.as_bytes(), at(3));
    peer.talk(at(3));

    let failure = peer.initiator_failure();
    assert!(failure.1.contains("undefined-condition"), "{failure:?}");
    assert!(peer.acceptor.take_session().is_none());
    assert!(!peer.keeper.iter().any(|_| true));
}

#[test]
fn a_stream_that_counts_already_is_not_resumed_and_resumes_nothing() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    let resume = b"<resume xmlns='urn:xmpp:sm:3' previd='session-1' h='0'/>";

    two.acceptor.handle_bytes(resume, at(1));

    let Some(AcceptorOutput::Send(answer)) = two.acceptor.poll_output() else { panic!("no answer") };
    assert!(String::from_utf8(answer).unwrap().contains("<unexpected-request"));
    assert_eq!(two.acceptor.poll_output(), None);
}

#[test]
fn a_connection_that_seems_alive_is_closed_with_conflict_when_its_peer_goes_on_over_another() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.say(1, at(1));

    let mut next = Two::new(EXTERNAL, EXTERNAL);
    next.talk(at(2)).assert_ready();
    assert!(next.acceptor.may_take_over(&two.acceptor));
    two.acceptor.supersede(at(2));

    let Some(AcceptorOutput::Send(said)) = two.acceptor.poll_output() else { panic!("nothing said") };
    assert!(String::from_utf8(said).unwrap().contains("<conflict"));
    assert_eq!(two.acceptor.poll_output(), Some(AcceptorOutput::Close));
    assert!(two.acceptor.take_session().is_some_and(|session| session.is_resumable()));
}

#[test]
fn a_partner_that_is_silent_when_asked_is_sought_again_once() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.initiator.send(1, message("m1", "x@them.example", "y@us.example"), at(1));
    while two.initiator.poll_output().is_some() {}

    // Nothing comes for as long as a partner may take: the stream is not ended, the connection is.
    two.initiator.handle_timeout(at(31));
    let said: Vec<_> = std::iter::from_fn(|| two.initiator.poll_output()).collect();
    assert!(!said.iter().any(|output| matches!(output, InitiatorOutput::Send(_))), "{said:?}");
    two.cut(at(31)).come_back(EXTERNAL, at(32)).assert_resumed(2);

    // It has them, and acknowledges nothing again: that is the end.
    two.cut(at(33));
    let left = two.initiator.take_session().unwrap();
    assert!(!left.is_resumable());
}

#[test]
fn a_partner_that_gives_no_name_cannot_be_resumed() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    let settings = StreamSettings { resumption: None, ..StreamSettings::default() };
    let rules = Arc::new(World(EXTERNAL));
    two.acceptor = Acceptor::new(rules, Arc::new(settings), secret("us"), None, Ids::counting(), at(0));
    two.talk(at(0)).assert_ready();
    two.say(1, at(1));

    two.cut(at(2));

    assert!(two.initiator.take_session().is_none() && two.acceptor.take_session().is_none());
    assert_eq!(two.initiator.take_unacknowledged().len(), 1);
}

#[test]
fn the_count_goes_on_past_two_to_the_thirty_second_over_a_resumption() {
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.initiator.count_from(u64::from(u32::MAX) - 1);
    two.acceptor.count_from(u64::from(u32::MAX) - 1);
    two.say(1, at(1));
    two.settle("m1", at(1));
    two.cut(at(2)).come_back(EXTERNAL, at(3));

    two.say(2, at(4));
    two.settle("m2", at(4));

    assert_eq!(two.delivered(), [2]);
    assert!(two.initiator_told.contains(&InitiatorOutput::Resumed(0)), "{:?}", two.initiator_told);
}

#[test]
fn one_partner_keeps_so_many_sessions_and_its_oldest_goes_first() {
    let mut keeper: Keeper<u64, ()> = Keeper::new(KEEPS);
    let mut given_up = Vec::new();
    for key in 1..=5 {
        let mut two = Two::new(EXTERNAL, EXTERNAL);
        two.talk(at(0)).assert_ready();
        two.acceptor.handle_closed(None, at(key));
        given_up.extend(keeper.keep(key, two.acceptor.take_session().unwrap(), (), at(key)));
    }

    assert_eq!(given_up.iter().map(|given_up| given_up.key).collect::<Vec<_>>(), [1]);
    assert_eq!(keeper.iter().count(), 4);
    let gone = keeper.retain("the settings have changed", |_| false);
    assert_eq!((gone.len(), keeper.iter().count()), (4, 0));
}

#[test]
fn what_is_too_much_to_keep_is_handed_back_at_once() {
    let mut keeper: Keeper<u64, ()> = Keeper::new(KeeperLimits { octets_max: 100, ..KEEPS });
    let mut two = Two::new(EXTERNAL, EXTERNAL);
    two.talk(at(0)).assert_ready();
    two.acceptor.send(77, message("back", "y@us.example", "x@them.example"), at(1));
    two.acceptor.handle_closed(None, at(1));

    let given_up = keeper.keep(1, two.acceptor.take_session().unwrap(), (), at(1));

    assert_eq!(given_up[0].unacknowledged[0].0, 77);
    assert_eq!((given_up.len(), keeper.iter().count()), (1, 0));
}
