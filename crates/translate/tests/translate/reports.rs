//! What a SIP user hears of a message that was accepted and could not be delivered.

use sip_types::Uri;
use translate::{FailureReport, NotificationRequest, Profile, failure_report_to_sip};
use xmpp_types::jid::Jid;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError};

use crate::printed;

#[track_caller]
fn report(text: &str, notification: Option<&NotificationRequest>) -> String {
    let report = FailureReport {
        recipient: &Jid::parse("ann@x.example/desk").unwrap(),
        sender: &Uri::parse("sip:bob@s.example;gr=urn:uuid:1").unwrap(),
        text,
        error: &StanzaError::new(StanzaCondition::ItemNotFound).with_text("No such user"),
        notification,
        id: "m1",
    };
    let message = failure_report_to_sip(&report, Profile::Standard).unwrap();
    String::from_utf8(printed(&message.into_request())).unwrap()
}

#[test]
fn a_failure_is_told_in_words_in_the_same_conversation() {
    let request = report("Are you\nthere?", None);

    assert!(request.starts_with("MESSAGE sip:bob@s.example;gr=urn:uuid:1 SIP/2.0\r\n"), "{request}");
    assert!(request.contains("\r\nFrom: <sip:ann@x.example>;tag="), "{request}");
    assert!(request.contains("\r\nTo: <sip:bob@s.example>\r\n"), "{request}");
    let words = "\r\n\r\nYour message to ann@x.example was not delivered: No such user (item-not-found).\r\n\
        > Are you\n> there?";
    assert!(request.ends_with(words), "{request}");
}

#[test]
fn a_long_message_is_quoted_by_its_beginning() {
    let request = report(&"é".repeat(500), None);

    assert!(request.ends_with(&format!("> {}…", "é".repeat(120))), "{request}");
}

#[test]
fn a_negative_notification_is_sent_where_one_was_asked_for() {
    let asked = NotificationRequest {
        message_id: "<m&1>".to_owned(),
        date_time: "2026-04-04T12:16:49Z".to_owned(),
        negative: true,
        positive: false,
        display: false,
    };

    let request = report("Hi", Some(&asked));

    assert!(request.contains("\r\nContent-Type: message/cpim\r\n"), "{request}");
    assert!(request.contains("<message-id>&lt;m&amp;1&gt;</message-id>"), "{request}");
    assert!(request.contains("<recipient-uri>sip:ann@x.example</recipient-uri>"), "{request}");
    assert!(request.contains("<status><failed/></status>"), "{request}");
    let not_asked = NotificationRequest { negative: false, ..asked };
    assert!(report("Hi", Some(&not_asked)).contains("was not delivered"));
}
