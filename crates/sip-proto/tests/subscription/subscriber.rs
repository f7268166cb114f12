use clock_types::{Ids, Moment};
use sip_proto::endpoint::{Failure, ServerKey};
use sip_proto::subscription::{Kept, Parties, Subscriber, SubscriberOutput};
use sip_types::header::HeaderName;
use sip_types::{Request, Uri};

use crate::world::{address, answer, at, request, settings};

struct World {
    subscriber: Subscriber,
    ids: Ids,
    sent: Vec<Request>,
    kept: Option<Kept>,
    heard: Vec<String>,
}

fn parties() -> Parties {
    Parties {
        target: Uri::parse("sip:bob@s.example").unwrap(),
        from: address("<sip:ann@x.example>"),
        to: address("<sip:bob@s.example>"),
        contact: address("<sip:ann@gw.x.example;transport=tls>"),
    }
}

impl World {
    /// Has asked at second 0.
    fn asking() -> Self {
        let subscriber = Subscriber::new(parties(), settings());
        let mut world =
            Self { subscriber, ids: Ids::counting(), sent: Vec::new(), kept: None, heard: Vec::new() };
        world.subscriber.subscribe(at(0), &mut world.ids);
        world.expect(&["SUBSCRIBE 1 3600"]);
        world
    }

    /// Is allowed and granted 3600 s at second 0.
    fn live() -> Self {
        let mut world = Self::asking();
        world.is_answered(200, "Expires: 3600", 0);
        world.hears("active;expires=3600", "open", 1, 0);
        world.expect(&["respond 200", "notified open", "keep"]);
        world
    }

    fn drain(&mut self) {
        while let Some(output) = self.subscriber.poll_output() {
            let words = match output {
                SubscriberOutput::Send { request, .. } => {
                    let expires = request.headers().text(HeaderName::Expires).unwrap().into_owned();
                    let words = format!("SUBSCRIBE {} {expires}", request.cseq().number);
                    self.sent.push(*request);
                    words
                }
                SubscriberOutput::Respond { response, .. } => format!("respond {}", response.status()),
                SubscriberOutput::Pending => "pending".to_owned(),
                SubscriberOutput::Notified(None) => "notified nothing".to_owned(),
                SubscriberOutput::Notified(Some(content)) => {
                    format!("notified {}", String::from_utf8_lossy(&content.body))
                }
                SubscriberOutput::Refused(why) => format!("refused: {why}"),
                SubscriberOutput::NoResource(why) => format!("no resource: {why}"),
                SubscriberOutput::Frozen => "frozen".to_owned(),
                SubscriberOutput::Failing { trouble, again } => {
                    assert!(again.as_secs() >= 1, "{again:?}");
                    format!("failing: {trouble}")
                }
                SubscriberOutput::Lapsed => "lapsed".to_owned(),
                SubscriberOutput::Unsubscribed => "unsubscribed".to_owned(),
                SubscriberOutput::Keep(kept) => {
                    self.kept = Some(*kept);
                    "keep".to_owned()
                }
                SubscriberOutput::Forget => "forget".to_owned(),
            };
            self.heard.push(words);
        }
    }

    #[track_caller]
    fn expect(&mut self, words: &[&str]) -> &mut Self {
        self.drain();
        assert_eq!(self.heard, words);
        self.heard.clear();
        self
    }

    fn is_answered(&mut self, status: u16, more: &str, seconds: u64) -> &mut Self {
        let response = answer(self.sent.last().unwrap(), status, more, "");
        self.subscriber.handle_response(&response, at(seconds), &mut self.ids);
        self
    }

    fn hears(&mut self, state: &str, body: &str, number: u32, seconds: u64) -> &mut Self {
        self.hears_from("bob", state, body, number, seconds)
    }

    fn hears_from(&mut self, tag: &str, state: &str, body: &str, number: u32, seconds: u64) -> &mut Self {
        let subscribe = self.sent.last().unwrap();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/pidf+xml" };
        let state = if state.is_empty() { String::new() } else { format!("Subscription-State: {state}") };
        let notify = request(
            &format!(
                "NOTIFY sip:ann@gw.x.example
                 From: <sip:bob@s.example>;tag={tag}
                 To: {}
                 Call-ID: {}
                 CSeq: {number} NOTIFY
                 Contact: <sip:bob@pc.s.example;gruu>
                 Event: presence
                 {state}
                 {kind}",
                subscribe.from(),
                subscribe.call_id()
            )
            .replace("\n                 \n", "\n"),
            body,
        );
        self.subscriber.handle_notify(Some(ServerKey(9)), &notify, None, at(seconds), &mut self.ids);
        self
    }

    fn wakes(&mut self) -> u64 {
        let at_ = self.subscriber.poll_timeout().unwrap().since(Moment::ZERO).as_secs();
        let now = at(at_ + 1);
        self.subscriber.handle_timeout(now, &mut self.ids);
        at_
    }
}

#[test]
fn what_is_pending_is_said_once_and_what_is_allowed_is_shown() {
    let mut world = World::asking();

    world.is_answered(200, "Expires: 600", 1).expect(&[]);
    world.hears("pending;expires=600", "", 1, 1).expect(&["respond 200", "pending", "keep"]);
    world.hears("pending;expires=599", "", 2, 2).expect(&["respond 200"]);
    world.hears("active;expires=590", "open", 3, 10).expect(&["respond 200", "notified open", "keep"]);
    world.hears("active;expires=580", "busy", 4, 20).expect(&["respond 200", "notified busy"]);
    world.hears("active;expires=580", "late", 3, 21).expect(&["respond 500"]);
    assert_eq!(world.kept.as_ref().unwrap().dialog.target.as_str(), "sip:bob@pc.s.example;gruu");
}

#[test]
fn a_notifier_that_counts_anew_is_asked_in_another_dialog() {
    let mut world = World::live();
    world.hears("active", "busy", 5, 100).expect(&["respond 200", "notified busy"]);

    // It may have been overtaken.
    world.hears("active", "late", 2, 131).expect(&["respond 500"]);
    world.hears("active", "new", 3, 132).expect(&["respond 500", "forget", "SUBSCRIBE 1 3600"]);
}

#[test]
fn a_notify_may_come_before_the_answer() {
    let mut world = World::asking();

    world.hears("active;expires=600", "open", 1, 0).expect(&["respond 200", "notified open", "keep"]);
    world.is_answered(200, "Expires: 600", 1).expect(&["keep"]);
    assert_eq!(world.wakes(), 481);
    world.expect(&["SUBSCRIBE 2 3600"]);
}

#[test]
fn it_is_refreshed_in_its_dialog_before_it_ends() {
    let mut world = World::live();

    assert_eq!(world.wakes(), 3240);
    world.expect(&["SUBSCRIBE 2 3600"]);
    assert_eq!(world.sent[1].uri().as_str(), "sip:bob@pc.s.example;gruu");
    world.is_answered(200, "Expires: 100", 3241).expect(&["keep"]);
    world.hears("active;expires=100", "open", 2, 3241).expect(&["respond 200", "notified open"]);
    assert_eq!(world.wakes(), 3291);
    world.expect(&["SUBSCRIBE 3 3600"]);
}

#[test]
fn a_notify_that_never_comes_is_missed() {
    let mut world = World::asking();

    world.is_answered(200, "Expires: 3600", 1).expect(&[]);
    assert_eq!(world.wakes(), 33);
    world.expect(&["failing: SUBSCRIBE was accepted, and no NOTIFY followed"]);
    world.wakes();
    world.expect(&["SUBSCRIBE 1 3600"]);
    assert_ne!(world.sent[0].call_id(), world.sent[1].call_id());
}

#[test]
fn every_reason_to_end_means_what_rfc_6665_says() {
    let cases: &[(&str, &[&str])] = &[
        ("deactivated", &["respond 200", "forget", "SUBSCRIBE 1 3600"]),
        ("timeout", &["respond 200", "forget", "SUBSCRIBE 1 3600"]),
        ("probation;retry-after=30", &["respond 200", "forget", "failing: the notifier ended it: probation"]),
        ("giveup", &["respond 200", "forget", "failing: the notifier ended it: giveup"]),
        ("strange", &["respond 200", "forget", "failing: the notifier ended it: strange"]),
        ("rejected", &["respond 200", "forget", "refused: the user does not allow it (rejected)"]),
        ("noresource", &["respond 200", "forget", "no resource: there is no such user (noresource)"]),
        ("invariant", &["respond 200", "forget", "frozen"]),
    ];
    for (reason, words) in cases {
        World::live().hears(&format!("terminated;reason={reason}"), "", 2, 9).expect(words);
    }
    World::live().hears("Terminated", "", 2, 9).expect(&[
        "respond 200",
        "forget",
        "failing: the notifier ended it: no reason given",
    ]);
}

#[test]
fn whoever_deactivates_again_and_again_is_left_alone() {
    let mut world = World::asking();

    world.hears("terminated;reason=deactivated", "", 1, 0).expect(&[
        "respond 200",
        "forget",
        "SUBSCRIBE 1 3600",
    ]);
    world.hears("terminated;reason=deactivated", "", 1, 0).expect(&[
        "respond 200",
        "forget",
        "failing: the notifier ended it: deactivated",
    ]);
    assert!(world.wakes() >= 48, "with what is cut off");
}

#[test]
fn refusals_are_permanent_troubles_are_not() {
    let heard = |status: u16, more: &str| {
        let mut world = World::asking();
        world.is_answered(status, more, 0).drain();
        world.heard.join(", ")
    };

    for status in [403, 489, 603] {
        assert_eq!(heard(status, ""), format!("refused: SUBSCRIBE was answered {status} Reason"));
    }
    for status in [404, 410, 604] {
        assert_eq!(heard(status, ""), format!("no resource: SUBSCRIBE was answered {status} Reason"));
    }
    for status in [408, 480, 500, 503, 504, 400] {
        assert_eq!(heard(status, ""), format!("failing: SUBSCRIBE was answered {status} Reason"));
    }
    assert_eq!(heard(423, "Min-Expires: 7200"), "SUBSCRIBE 1 7200");
    assert_eq!(heard(423, "Min-Expires: 60"), "failing: SUBSCRIBE was answered 423 Reason");
}

#[test]
fn a_dialog_that_the_peer_has_lost_is_replaced_at_once() {
    let mut world = World::live();
    world.wakes();
    world.expect(&["SUBSCRIBE 2 3600"]);

    world.is_answered(481, "", 3241).expect(&["forget", "SUBSCRIBE 1 3600"]);
    assert_ne!(world.sent[0].call_id(), world.sent[2].call_id());
}

#[test]
fn a_refresh_that_is_too_brief_is_repeated_in_its_dialog() {
    let mut world = World::live();
    world.wakes();
    world.expect(&["SUBSCRIBE 2 3600"]);

    world.is_answered(423, "Min-Expires: 7200", 3241).expect(&["SUBSCRIBE 3 7200"]);
    assert_eq!(world.sent[2].to(), world.sent[1].to());
}

#[test]
fn a_refresh_that_fails_is_repeated_until_the_dialog_ends() {
    let mut world = World::live();
    assert_eq!(world.wakes(), 3240);
    world.expect(&["SUBSCRIBE 2 3600"]);

    world.subscriber.handle_failure(Failure::Timeout { target: "h".into() }, at(3273));
    world.expect(&["failing: SUBSCRIBE had no answer: no answer from h in time"]);
    assert!((3321..3335).contains(&world.wakes()));
    world.expect(&["SUBSCRIBE 3 3600"]);
    world.is_answered(503, "Retry-After: 900", 3340).expect(&["failing: SUBSCRIBE was answered 503 Reason"]);
    assert_eq!(world.wakes(), 3600);
    world.expect(&["forget", "lapsed", "SUBSCRIBE 1 3600"]);
}

#[test]
fn rests_grow_and_heed_what_the_peer_asks() {
    let mut world = World::asking();
    let mut last = 0;
    for floor in [48, 96, 192] {
        world.is_answered(500, "", last).drain();
        let next = world.subscriber.poll_timeout().unwrap().since(Moment::ZERO).as_secs();
        assert!(next - last >= floor && next - last <= floor * 5 / 4, "{} {floor}", next - last);
        world.subscriber.handle_timeout(at(next + 1), &mut world.ids);
        world.drain();
        last = next + 1;
    }
    world.is_answered(503, "Retry-After: 5", last).drain();
    let next = world.subscriber.poll_timeout().unwrap().since(Moment::ZERO).as_secs();
    assert!((5..=11).contains(&(next - last)), "{}", next - last);
}

#[test]
fn it_ends_with_the_notifiers_last_word() {
    let mut world = World::live();

    world.subscriber.unsubscribe(at(10));
    world.expect(&["SUBSCRIBE 2 0"]);
    world.is_answered(200, "Expires: 0", 10).expect(&[]);
    world.hears("terminated;reason=timeout", "closed", 2, 11).expect(&[
        "respond 200",
        "forget",
        "unsubscribed",
    ]);
    world.hears("active", "", 3, 12).expect(&["respond 481"]);
}

#[test]
fn it_ends_even_if_the_last_word_never_comes() {
    let mut world = World::live();

    world.subscriber.unsubscribe(at(10));
    world.is_answered(200, "Expires: 0", 10).expect(&["SUBSCRIBE 2 0"]);
    assert_eq!(world.wakes(), 42);
    world.expect(&["forget", "unsubscribed"]);
}

#[test]
fn what_is_not_wanted_any_more_ends_once_it_has_begun() {
    let mut world = World::asking();

    world.subscriber.unsubscribe(at(0));
    world.expect(&[]);
    world.hears("active", "open", 1, 1).expect(&["respond 200", "notified open", "keep"]);
    world.is_answered(200, "", 1).expect(&["keep", "SUBSCRIBE 2 0"]);
}

#[test]
fn a_second_fork_is_told_that_it_is_not_wanted() {
    let mut world = World::live();

    world.hears_from("carol", "active", "other", 1, 1).expect(&["respond 481"]);
}

#[test]
fn a_document_in_the_answer_is_the_first_one() {
    let mut world = World::asking();
    let response = answer(&world.sent[0], 200, "Expires: 600\nContent-Type: application/pidf+xml", "open");

    world.subscriber.handle_response(&response, at(0), &mut world.ids);
    world.expect(&["notified open", "keep"]);
    assert_eq!(world.wakes(), 480);
}

#[test]
fn a_dialog_goes_on_after_a_crash() {
    let mut world = World::live();
    let kept = world.kept.clone().unwrap();
    let refresh_in = std::time::Duration::from_secs(7);

    world.subscriber = Subscriber::resume(parties(), kept, refresh_in, settings(), at(100));
    world.expect(&[]);
    world.hears("active", "busy", 2, 101).expect(&["respond 200", "notified busy"]);
    assert!(world.wakes() <= 107);
    world.expect(&["SUBSCRIBE 1002 3600"]);
}
