use std::time::Duration;

use clock_types::{Date, Now};
use translate::error::Refusal;
use xmpp_types::ns;
use xmpp_types::xml::Element;

use super::super::timeline::{self, Machine};
use super::super::{DeliverySettings, Number, StoreOrder};
use super::{Answer, Arrival, ToXmpp, ToXmppOutput};
use crate::record::{AcceptedMessage, Direction, MessageKey, NotStored};

type Timeline = timeline::Timeline<ToXmpp>;

#[test]
fn a_message_settled_in_time_never_touches_the_disk() {
    let mut line = Timeline::new();

    let message = line.arrives("k1");
    line.expect(["deliver"]);
    line.at(10);
    line.machine.handle_settled(message, line.now);

    line.expect(["answer Delivered", "done true"]);
    line.at(60_000).wake();
    line.expect([]);
}

#[test]
fn an_error_in_time_is_the_answer() {
    let mut line = Timeline::new();
    let message = line.arrives("k1");
    line.drop_outputs();

    line.at(10);
    line.machine.handle_error(message, Refusal::because(404, "item-not-found"), "E".to_owned(), line.now);
    line.machine.handle_settled(message, line.now);

    line.expect(["answer Refused 404", "done false"]);
}

#[test]
fn after_the_hold_time_accepted_means_on_disk() {
    let mut line = Timeline::new();
    let message = line.arrives("k1");
    line.drop_outputs();

    line.at(1999).wake();
    line.expect([]);
    line.at(2000).wake();
    let ticket = line.expect_store("accepted k1");
    line.machine.handle_stored(ticket, Ok(()), line.now);
    line.expect(["answer Accepted"]);

    line.at(9000);
    line.machine.handle_settled(message, line.now);
    line.expect(["store settled k1", "done true"]);
}

#[test]
fn the_truth_that_overtakes_the_disk_is_told_and_the_record_goes() {
    let mut line = Timeline::new();
    let message = line.arrives("k1");
    line.drop_outputs();
    line.at(2000).wake();
    let ticket = line.expect_store("accepted k1");

    line.machine.handle_settled(message, line.now);
    line.expect(["answer Delivered", "store settled k1", "done true"]);

    line.machine.handle_stored(ticket, Ok(()), line.now);
    line.expect([]);
}

#[test]
fn what_cannot_be_stored_and_has_not_left_is_refused() {
    let mut line = Timeline::new();
    let message = line.arrives("k1");
    line.drop_outputs();
    line.at(2000).wake();
    let ticket = line.expect_store("accepted k1");

    line.machine.handle_stored(ticket, Err(NotStored { reason: "disk full".to_owned() }), line.now);
    line.expect(["withdraw"]);
    line.machine.handle_withdrawn(message, line.now);

    line.expect(["answer NotStored", "done false"]);
}

#[test]
fn what_cannot_be_stored_but_has_left_waits_for_the_truth_up_to_a_limit() {
    for truth in [true, false] {
        let mut line = Timeline::new();
        let message = line.arrives("k1");
        line.drop_outputs();
        line.at(2000).wake();
        let ticket = line.expect_store("accepted k1");
        line.machine.handle_stored(ticket, Err(NotStored { reason: "disk full".to_owned() }), line.now);
        line.expect(["withdraw"]);

        if truth {
            line.at(20_000);
            line.machine.handle_settled(message, line.now);
            line.expect(["answer Delivered", "done true"]);
        } else {
            line.at(25_000).wake();
            line.expect(["answer Uncertain", "done false"]);
        }
    }
}

#[test]
fn a_failure_after_acceptance_is_reported_until_it_is_told() {
    let mut line = Timeline::new();
    let message = line.accepted("k1");

    line.at(5000);
    line.machine.handle_error(message, Refusal::because(404, "no such user"), "E".to_owned(), line.now);
    line.expect(["store failed k1 E", "report E"]);
    line.machine.handle_report_failed(message, line.now);
    line.expect([]);
    line.at(10_000).wake();
    line.expect(["report E"]);
    line.machine.handle_report_failed(message, line.now);
    line.at(20_000).wake();
    line.expect(["report E"]);
    line.machine.handle_reported(message, line.now);

    line.expect(["store settled k1", "done false"]);
    line.at(90_000_000).wake();
    line.expect([]);
}

#[test]
fn a_message_that_outlives_its_lifetime_is_reported() {
    let mut line = Timeline::new();
    let arrival = Arrival { lifetime: Some(Duration::from_secs(60)), ..arrival("k1") };
    line.machine.handle_message(arrival, line.now);
    line.drop_outputs();
    line.at(2000).wake();
    let ticket = line.expect_store("accepted k1");
    line.machine.handle_stored(ticket, Ok(()), line.now);
    line.drop_outputs();

    line.at(60_000).wake();

    let error = super::too_late();
    line.expect(["withdraw", &format!("store failed k1 {error}"), &format!("report {error}")]);
}

#[test]
fn a_retransmission_is_known_while_the_message_lives_and_after() {
    let mut line = Timeline::new();
    line.arrives("k1");
    line.drop_outputs();
    line.machine.handle_message(arrival("k1"), line.now);
    line.expect(["answer Merged"]);

    let message = line.accepted("k2");
    line.machine.handle_message(arrival("k2"), line.now);
    line.expect(["answer Accepted"]);
    line.machine.handle_settled(message, line.now);
    line.drop_outputs();
    line.machine.handle_message(arrival("k2"), line.now);
    line.expect(["answer Accepted"]);

    line.later(32_001).wake();
    line.drop_outputs();
    line.machine.handle_message(arrival("k2"), line.now);
    line.expect(["deliver"]);
}

#[test]
fn a_restart_goes_on_where_the_disk_says() {
    let mut line = Timeline::new();

    line.machine.recover(kept("k1", None), stanza(), line.now);
    line.expect(["deliver"]);
    line.machine.recover(kept("k2", Some("no such user")), stanza(), line.now);
    line.expect(["report no such user"]);
    line.machine.handle_message(arrival("k1"), line.now);
    line.expect(["answer Accepted"]);
}

#[test]
fn stopping_accepts_what_is_held() {
    let mut line = Timeline::new();
    line.arrives("k1");
    line.drop_outputs();

    line.machine.handle_stop(line.now);
    let ticket = line.expect_store("accepted k1");
    assert!(line.machine.is_answering());
    line.machine.handle_stored(ticket, Ok(()), line.now);

    line.expect(["answer Accepted"]);
    assert!(!line.machine.is_answering());
}

#[test]
fn at_the_limit_a_sender_is_told_so() {
    let mut line = Timeline::with(DeliverySettings { unsettled_max: 1, ..DeliverySettings::default() });
    line.arrives("k1");
    line.drop_outputs();

    line.arrives("k2");

    line.expect(["answer NotStored"]);
}

fn stanza() -> Element {
    Element::new(ns::SERVER, "message").with_attr("id", "m1")
}

fn arrival(key: &str) -> Arrival {
    Arrival {
        key: MessageKey(key.into()),
        stanza: stanza(),
        report_to: "sip:bob@s.example".to_owned(),
        lifetime: None,
    }
}

fn kept(key: &str, report: Option<&str>) -> AcceptedMessage {
    AcceptedMessage {
        key: MessageKey(key.into()),
        direction: Direction::ToXmpp,
        stanza: String::new(),
        report_to: Some("sip:bob@s.example".to_owned()),
        accepted: Date::default(),
        expires: Date::default().plus(Duration::from_secs(3600)),
        report: report.map(str::to_owned),
    }
}

impl Timeline {
    fn later(&mut self, milliseconds: u64) -> &mut Self {
        self.now = self.now.plus(Duration::from_millis(milliseconds));
        self
    }

    fn arrives(&mut self, key: &str) -> Number {
        self.machine.handle_message(arrival(key), self.now)
    }

    fn accepted(&mut self, key: &str) -> Number {
        let number = self.arrives(key);
        self.drop_outputs();
        self.machine.handle_stop(self.now);
        while let Some(output) = self.machine.poll_output() {
            if let ToXmppOutput::Store(order) = output {
                self.machine.handle_stored(order.ticket, Ok(()), self.now);
            }
        }
        number
    }
}

impl Machine for ToXmpp {
    type Output = ToXmppOutput;

    fn with(settings: DeliverySettings) -> Self {
        Self::new(settings)
    }

    fn handle_timeout(&mut self, now: Now) {
        self.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<ToXmppOutput> {
        self.poll_output()
    }

    fn store_order(output: &ToXmppOutput) -> Option<&StoreOrder> {
        if let ToXmppOutput::Store(order) = output { Some(order) } else { None }
    }

    fn describe(output: &ToXmppOutput) -> String {
        match output {
            ToXmppOutput::Deliver { .. } => "deliver".to_owned(),
            ToXmppOutput::Withdraw(_) => "withdraw".to_owned(),
            ToXmppOutput::Answer { answer: Answer::Refused(refusal), .. } => {
                format!("answer Refused {}", refusal.status)
            }
            ToXmppOutput::Answer { answer: Answer::NotStored { .. }, .. } => "answer NotStored".to_owned(),
            ToXmppOutput::Answer { answer, .. } => format!("answer {answer:?}"),
            ToXmppOutput::Report { error, .. } => format!("report {error}"),
            ToXmppOutput::Store(order) => timeline::describe(order),
            ToXmppOutput::Done { delivered, .. } => format!("done {delivered}"),
        }
    }
}
