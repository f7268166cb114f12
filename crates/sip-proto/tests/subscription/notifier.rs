use std::time::Duration;

use sip_proto::endpoint::{Failure, ServerKey};
use sip_proto::subscription::{Notifier, NotifierOutput, admit};
use sip_types::header::HeaderName;
use sip_types::{Request, Token};

use crate::world::{address, answer, at, document, request, settings};

struct World {
    notifier: Notifier,
    sent: Vec<Request>,
    heard: Vec<String>,
    kept: Option<sip_proto::subscription::Kept>,
}

fn subscribe(expires: &str, number: u32, tag: &str) -> Request {
    request(
        &format!(
            "SUBSCRIBE sip:ann@x.example
             From: <sip:bob@s.example>;tag=bob;epid=2c19
             To: <sip:ann@x.example>{tag}
             Call-ID: c1
             CSeq: {number} SUBSCRIBE
             Contact: <sip:bob@pc.s.example;gruu>
             Event: presence;id=7
             Supported: ms-benotify, eventlist
             {expires}"
        ),
        "",
    )
}

impl World {
    fn new(expires: &str, authorised: bool) -> Self {
        let request = subscribe(expires, 1, "");
        let asked = admit(&request, &settings(), "application/pidf+xml").unwrap();
        let tag = Token::from_static("gw");
        let contact = address("<sip:ann@gw.x.example;transport=tls>");
        let notifier =
            Notifier::accept(ServerKey(1), &request, asked, &tag, contact, authorised, settings(), at(0));
        let mut world = Self { notifier: notifier.unwrap(), sent: Vec::new(), heard: Vec::new(), kept: None };
        world.drain();
        world
    }

    fn drain(&mut self) {
        while let Some(output) = self.notifier.poll_output() {
            let words = match output {
                NotifierOutput::Send { request, .. } => {
                    let state = request.headers().text(HeaderName::SubscriptionState).unwrap().into_owned();
                    let body = String::from_utf8_lossy(request.body()).into_owned();
                    let words = format!("NOTIFY {} {state} [{body}]", request.cseq().number);
                    self.sent.push(*request);
                    words
                }
                NotifierOutput::Respond { response, .. } => {
                    let expires = response.headers().text(HeaderName::Expires);
                    format!("respond {} {}", response.status(), expires.unwrap_or_default())
                }
                NotifierOutput::Wanted => "wanted".to_owned(),
                NotifierOutput::Refreshed => "refreshed".to_owned(),
                NotifierOutput::Forget => "forget".to_owned(),
                NotifierOutput::Keep(kept) => {
                    self.kept = Some(*kept);
                    "keep".to_owned()
                }
                NotifierOutput::Ended(end) => format!("ended {end:?}"),
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

    fn says(&mut self, text: &'static str, seconds: u64) -> &mut Self {
        self.notifier.notify(Some(document(text)), None, at(seconds));
        self
    }

    fn is_answered(&mut self, status: u16, seconds: u64) -> &mut Self {
        self.drain();
        let response = answer(self.sent.last().unwrap(), status, "", "");
        self.notifier.handle_response(&response, at(seconds));
        self
    }

    fn refresh(&mut self, expires: &str, number: u32, seconds: u64) -> &mut Self {
        let request = subscribe(expires, number, ";tag=gw");
        let asked = admit(&request, &settings(), "application/pidf+xml").unwrap();
        self.notifier.handle_request(ServerKey(2), &request, &asked, at(seconds));
        self
    }
}

#[test]
fn a_notify_follows_the_200_at_once_and_the_decision_later() {
    let mut world = World::new("Expires: 600", false);

    world.expect(&["keep", "respond 200 600", "wanted"]);
    world.says("secret", 0).expect(&["NOTIFY 1 pending;expires=600 []"]);
    world.is_answered(200, 0).expect(&[]);
    world.notifier.authorise(at(3));
    world.expect(&["keep", "wanted"]);
    world.says("open", 3).expect(&["NOTIFY 2 active;expires=597 [open]"]);
    let notify = &world.sent[1];
    assert_eq!(notify.uri().as_str(), "sip:bob@pc.s.example;gruu");
    assert_eq!(notify.to().to_string(), "<sip:bob@s.example>;tag=bob;epid=2c19");
    assert_eq!(notify.headers().text(HeaderName::Event).unwrap(), "presence;id=7");
    assert!(!notify.headers().has(HeaderName::Require) && !notify.headers().has(HeaderName::Supported));
}

#[test]
fn the_first_document_waits_for_nothing_that_said_nothing() {
    let mut world = World::new("", true);

    world.expect(&["keep", "respond 200 3600", "wanted"]);
    world.notifier.notify(None, None, at(0));
    world.expect(&["NOTIFY 1 active;expires=3600 []"]);
    world.is_answered(200, 0).expect(&[]);
    world.notifier.changed(at(1));
    world.expect(&["wanted"]);
    world.says("one", 1).expect(&["NOTIFY 2 active;expires=3599 [one]"]);
    world.is_answered(200, 1).expect(&[]);
    world.notifier.changed(at(2));
    world.expect(&[]);
    assert_eq!(world.notifier.poll_timeout(), Some(at(6).moment));
}

#[test]
fn one_notify_is_under_way_and_of_many_changes_the_last_is_said() {
    let mut world = World::new("", true);

    world.expect(&["keep", "respond 200 3600", "wanted"]);
    world.says("one", 0).expect(&["NOTIFY 1 active;expires=3600 [one]"]);
    world.notifier.changed(at(1));
    world.notifier.changed(at(2));
    world.expect(&[]);
    world.is_answered(200, 2).expect(&[]);
    assert_eq!(world.notifier.poll_timeout(), Some(at(5).moment));
    world.notifier.handle_timeout(at(5));
    world.expect(&["wanted"]);
    world.says("three", 5).expect(&["NOTIFY 2 active;expires=3595 [three]"]);
    world.is_answered(200, 5).expect(&[]);
    world.notifier.changed(at(60));
    world.expect(&["wanted"]);
}

#[test]
fn a_refresh_is_answered_with_what_is_known_now() {
    let mut world = World::new("Expires: 600", true);
    world.expect(&["keep", "respond 200 600", "wanted"]);
    world.says("one", 0).is_answered(200, 0);
    world.expect(&["NOTIFY 1 active;expires=600 [one]"]);

    world.refresh("Expires: 90000", 2, 400).expect(&["keep", "respond 200 28800", "refreshed", "wanted"]);
    world.says("one", 400).expect(&["NOTIFY 2 active;expires=28800 [one]"]);
    world.refresh("Expires: 600", 1, 401).expect(&["respond 500 "]);
}

#[test]
fn the_end_of_the_subscriber_is_the_last_notify() {
    let mut world = World::new("Expires: 600", true);
    world.expect(&["keep", "respond 200 600", "wanted"]);
    world.says("one", 0).is_answered(200, 0);

    world.refresh("Expires: 0", 2, 10);
    world.expect(&["NOTIFY 1 active;expires=600 [one]", "respond 200 0", "wanted"]);
    world.says("closed", 10).expect(&["forget", "NOTIFY 2 terminated;reason=timeout [closed]"]);
    world.is_answered(481, 10).expect(&["ended Unsubscribed"]);
    world.refresh("Expires: 600", 3, 11).expect(&["respond 481 "]);
}

#[test]
fn who_does_not_refresh_is_told_that_it_is_over() {
    let mut world = World::new("Expires: 600", true);
    world.says("one", 0).is_answered(200, 0);
    world.heard.clear();
    world.drain();
    world.heard.clear();

    assert_eq!(world.notifier.poll_timeout(), Some(at(600).moment));
    world.notifier.handle_timeout(at(600));
    world.expect(&["wanted"]);
    world.says("closed", 600).expect(&["forget", "NOTIFY 2 terminated;reason=timeout [closed]"]);
    world.notifier.handle_failure(&Failure::Timeout { target: "h".into() }, at(632));
    world.expect(&["ended Expired"]);
}

#[test]
fn a_question_is_answered_once_and_a_stranger_learns_nothing() {
    let mut world = World::new("Expires: 0", false);

    world.expect(&["respond 200 0", "wanted"]);
    world.says("secret", 0).expect(&["NOTIFY 1 terminated;reason=timeout []"]);
    world.is_answered(200, 0).expect(&["ended Polled"]);
}

#[test]
fn a_subscriber_that_knows_nothing_of_it_has_no_subscription() {
    let mut world = World::new("", true);
    world.says("one", 0);
    world.heard.clear();
    world.drain();
    world.heard.clear();

    world.is_answered(481, 1).expect(&["forget", "ended Gone(481)"]);
    assert_eq!(world.notifier.poll_timeout(), None);
    assert!(world.notifier.is_over());
}

#[test]
fn a_subscriber_that_fails_for_the_moment_is_told_later() {
    let mut world = World::new("", true);
    world.says("one", 0);
    world.drain();
    world.heard.clear();

    let response = answer(&world.sent[0], 503, "Retry-After: 100", "");
    world.notifier.handle_response(&response, at(1));
    world.expect(&[]);
    assert_eq!(world.notifier.poll_timeout(), Some(at(101).moment));
    world.notifier.handle_timeout(at(101));
    world.expect(&["wanted"]);
}

#[test]
fn a_refusal_of_the_presentity_is_the_last_word() {
    let mut world = World::new("", false);
    world.notifier.notify(None, None, at(0));
    world.is_answered(200, 0);
    world.drain();
    world.heard.clear();

    world.notifier.terminate("giveup", Some(60), at(9));
    world.expect(&["wanted"]);
    world.notifier.notify(None, None, at(9));
    world.expect(&["NOTIFY 2 terminated;reason=giveup;retry-after=60 []"]);
    world.is_answered(200, 9).expect(&["forget", "ended Terminated(\"giveup\")"]);
}

#[test]
fn a_refusal_that_did_not_get_there_is_told_again() {
    let mut world = World::new("", false);
    world.notifier.notify(None, None, at(0));
    world.is_answered(200, 0);
    world.drain();
    world.heard.clear();

    world.notifier.terminate("rejected", None, at(9));
    world.expect(&["wanted"]);
    world.notifier.notify(None, None, at(9));
    world.expect(&["NOTIFY 2 terminated;reason=rejected []"]);
    world.is_answered(503, 10).expect(&[]);
    assert_eq!(world.notifier.poll_timeout(), Some(at(40).moment));
    world.notifier.handle_timeout(at(40));
    world.expect(&["wanted"]);
    world.notifier.notify(None, None, at(40));
    world.expect(&["NOTIFY 3 terminated;reason=rejected []"]);
    world.is_answered(200, 40).expect(&["forget", "ended Terminated(\"rejected\")"]);
}

#[test]
fn a_dialog_goes_on_after_a_crash() {
    let mut world = World::new("Expires: 600", true);
    world.says("one", 0).is_answered(200, 0);
    let kept = world.kept.take().unwrap();

    let contact = address("<sip:ann@gw.x.example;transport=tls>");
    world.notifier = Notifier::resume(kept, contact, settings(), at(100));
    world.notifier.changed(at(100));
    world.heard.clear();
    world.drain();
    world.heard.retain(|words| words != "keep" && !words.starts_with("respond"));
    world.expect(&["wanted"]);
    world.says("two", 100).expect(&["NOTIFY 1001 active;expires=500 [two]"]);
    assert_eq!(world.notifier.expires().since(at(100).moment), Duration::from_secs(500));
    assert_eq!(world.sent.last().unwrap().headers().text(HeaderName::Event).unwrap(), "presence;id=7");
}

#[test]
fn what_cannot_be_served_is_refused_with_the_remedy() {
    let refused = |more: &str| {
        let request = request(
            &format!(
                "SUBSCRIBE sip:ann@x.example
                 From: <sip:bob@s.example>;tag=bob
                 To: <sip:ann@x.example>
                 Call-ID: c1
                 CSeq: 1 SUBSCRIBE
                 Contact: <sip:bob@pc.s.example>
                 {more}"
            ),
            "",
        );
        admit(&request, &settings(), "application/pidf+xml").unwrap_err()
    };

    let package = refused("Event: presence.winfo");
    assert_eq!(package.status(), 489);
    assert_eq!(package.headers().text(HeaderName::AllowEvents).unwrap(), "presence");
    assert_eq!(refused("Subject: no event").status(), 489);
    let brief = refused("Event: presence\nExpires: 10");
    assert_eq!((brief.status(), brief.headers().min_expires().unwrap()), (423, Some(60)));
    assert_eq!(refused("Event: presence\nAccept: application/xpidf+xml, text/xml+msrtc.pidf").status(), 406);
}

#[test]
fn the_proxies_on_the_way_stand_in_the_answer_as_they_were_written() {
    let routes =
        "Expires: 600\nRecord-Route: <sip:edge;ms-route-sig=\"a b\";lr>\nRecord-Route: <sip:pool;lr>";
    let request = subscribe(routes, 1, "");
    let asked = admit(&request, &settings(), "application/pidf+xml").unwrap();
    let contact = address("<sip:ann@gw.x.example;transport=tls>");
    let tag = Token::from_static("gw");

    let notifier = Notifier::accept(ServerKey(1), &request, asked, &tag, contact, true, settings(), at(0));
    let mut notifier = notifier.unwrap();
    let response = std::iter::from_fn(|| notifier.poll_output()).find_map(|output| match output {
        NotifierOutput::Respond { response, .. } => Some(response),
        _ => None,
    });
    let response = response.unwrap();

    let [asked, answered] =
        [request.headers(), response.headers()].map(|h| h.verbatim(HeaderName::RecordRoute));
    assert_eq!(answered.len(), 2);
    assert_eq!(asked, answered);
}
