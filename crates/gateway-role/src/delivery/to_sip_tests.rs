use std::time::Duration;

use clock_types::{Date, Now};
use xmpp_types::ns;
use xmpp_types::xml::Element;

use super::super::timeline::{self, Machine};
use super::super::{DeliverySettings, Number, StoreOrder};
use super::{ToSip, ToSipOutput};
use crate::record::{AcceptedMessage, Direction, MessageKey, NotStored};

type Timeline = timeline::Timeline<ToSip>;

#[test]
fn a_message_answered_in_time_never_touches_the_disk() {
    let mut line = Timeline::new();

    let message = line.arrives("k1", "bob");
    line.expect(["request k1"]);
    line.at(10);
    line.machine.handle_delivered(message, line.now);

    line.expect(["settle", "done true"]);
    line.at(60_000).wake();
    line.expect([]);
}

#[test]
fn one_request_per_user_is_in_flight_and_order_is_kept() {
    let mut line = Timeline::new();

    let first = line.arrives("k1", "bob");
    let second = line.arrives("k2", "bob");
    line.arrives("k3", "carol");
    line.expect(["request k1", "request k3"]);
    line.arrives("k4", "bob");
    line.machine.handle_delivered(first, line.now);
    line.expect(["request k2", "settle", "done true"]);
    line.machine.handle_delivered(second, line.now);

    line.expect(["request k4", "settle", "done true"]);
}

#[test]
fn a_refusal_is_settled_when_the_sender_has_its_error() {
    let mut line = Timeline::new();
    let message = line.arrives("k1", "bob");
    line.drop_outputs();

    line.machine.handle_failed(message, Some(error("404")), line.now);
    line.expect(["report 404"]);
    line.machine.handle_reported(message, line.now);

    line.expect(["settle", "done false"]);
}

#[test]
fn a_slow_answer_lets_the_disk_vouch_for_the_message() {
    let mut line = Timeline::new();
    let message = line.arrives("k1", "bob");
    line.drop_outputs();

    line.at(2000).wake();
    let ticket = line.expect_store("accepted k1");
    line.machine.handle_stored(ticket, Ok(()), line.now);
    line.expect(["settle"]);
    line.at(5000);
    line.machine.handle_delivered(message, line.now);

    line.expect(["store settled k1", "done true"]);
}

#[test]
fn a_refusal_after_the_disk_is_remembered_until_it_is_told() {
    let mut line = Timeline::new();
    let message = line.arrives("k1", "bob");
    line.drop_outputs();
    line.at(2000).wake();
    let ticket = line.expect_store("accepted k1");
    line.machine.handle_stored(ticket, Ok(()), line.now);
    line.drop_outputs();

    line.machine.handle_failed(message, Some(error("480")), line.now);
    line.expect([&format!("store failed k1 {}", error("480")), "report 480"]);
    line.machine.handle_reported(message, line.now);

    line.expect(["store settled k1", "done false"]);
}

#[test]
fn an_error_that_cannot_leave_goes_to_disk_as_well() {
    let mut line = Timeline::new();
    let message = line.arrives("k1", "bob");
    line.drop_outputs();
    line.machine.handle_failed(message, Some(error("404")), line.now);
    line.drop_outputs();

    line.at(2000).wake();
    let ticket = line.expect_store("accepted k1 with report");
    line.machine.handle_stored(ticket, Ok(()), line.now);

    line.expect(["settle"]);
}

#[test]
fn a_disk_that_refuses_is_asked_again_and_the_partner_keeps_the_message() {
    let mut line = Timeline::new();
    line.arrives("k1", "bob");
    line.drop_outputs();
    line.at(2000).wake();
    let ticket = line.expect_store("accepted k1");

    line.machine.handle_stored(ticket, Err(NotStored { reason: "disk full".to_owned() }), line.now);
    line.expect([]);
    line.at(4000).wake();
    let ticket = line.expect_store("accepted k1");
    line.machine.handle_stored(ticket, Ok(()), line.now);

    line.expect(["settle"]);
}

#[test]
fn a_message_that_waits_too_long_for_its_turn_fails() {
    let mut line = Timeline::new();
    line.arrives("k1", "bob");
    let second = line.arrives("k2", "bob");
    line.drop_outputs();
    line.machine.handle_stop(line.now);
    line.drop_outputs();

    line.at(60_000).wake();
    line.expect(["expired k2"]);
    line.machine.handle_failed(second, Some(error("timeout")), line.now);

    line.expect([&format!("store failed k2 {}", error("timeout")), "report timeout"]);
}

#[test]
fn a_message_refused_at_once_is_reported_like_any_other() {
    let mut line = Timeline::new();

    let message =
        line.machine.handle_refused(MessageKey("k1".into()), stanza("k1"), error("refused"), line.now);
    line.expect(["report refused"]);
    line.machine.handle_reported(message, line.now);

    line.expect(["settle", "done false"]);
}

#[test]
fn a_restart_goes_on_where_the_disk_says() {
    let mut line = Timeline::new();

    line.machine.recover(kept("k1"), stanza("k1"), None, "bob", line.now);
    line.machine.recover(kept("k2"), stanza("k2"), Some(error("404")), "bob", line.now);

    line.expect(["request k1", "report 404"]);
}

#[test]
fn a_users_queue_has_an_end() {
    let mut line = Timeline::with(DeliverySettings { queue_max: 2, ..DeliverySettings::default() });

    for key in ["k1", "k2", "k3"] {
        assert!(!line.machine.is_full("bob"));
        line.arrives(key, "bob");
    }

    assert!(line.machine.is_full("bob"));
    assert!(!line.machine.is_full("carol"));
}

fn stanza(id: &str) -> Element {
    Element::new(ns::SERVER, "message").with_attr("id", id)
}

fn error(words: &str) -> Element {
    Element::new(ns::SERVER, "message").with_attr("type", "error").with_attr("id", words)
}

fn kept(key: &str) -> AcceptedMessage {
    AcceptedMessage {
        key: MessageKey(key.into()),
        direction: Direction::ToSip,
        stanza: String::new(),
        report_to: None,
        accepted: Date::default(),
        expires: Date::default().plus(Duration::from_secs(3600)),
        report: None,
    }
}

impl Timeline {
    fn arrives(&mut self, key: &str, target: &str) -> Number {
        self.machine.handle_message(MessageKey(key.into()), stanza(key), target, self.now)
    }
}

impl Machine for ToSip {
    type Output = ToSipOutput;

    fn with(settings: DeliverySettings) -> Self {
        Self::new(settings)
    }

    fn handle_timeout(&mut self, now: Now) {
        self.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<ToSipOutput> {
        self.poll_output()
    }

    fn store_order(output: &ToSipOutput) -> Option<&StoreOrder> {
        if let ToSipOutput::Store(order) = output { Some(order) } else { None }
    }

    fn describe(output: &ToSipOutput) -> String {
        let id = |stanza: &Element| stanza.attr("id").unwrap_or_default().to_owned();
        match output {
            ToSipOutput::Request { stanza, .. } => format!("request {}", id(stanza)),
            ToSipOutput::Settle(_) => "settle".to_owned(),
            ToSipOutput::Report { error, .. } => format!("report {}", id(error)),
            ToSipOutput::Expired { number } => format!("expired k{}", number.0),
            ToSipOutput::Store(order) => timeline::describe(order),
            ToSipOutput::Done { delivered, .. } => format!("done {delivered}"),
        }
    }
}
