//! RFC 7247 §7, both tables whole.

use sip_types::{HeaderName, Limits, Message, Response, parse_datagram};
use translate::error::{Diagnosis, condition_to_status, status_to_condition};
use translate::{Failure, Loss, error_to_sip, failure_to_xmpp, response_to_xmpp};
use xmpp_types::jid::Jid;
use xmpp_types::stanza_error::{ErrorType, StanzaCondition as C, StanzaError};

use crate::{from_bob, request};

/// Condition, status for a full JID, status for a bare one (§7.1 table 2, with 401, 407, 408 and 503 replaced).
const TO_SIP: [(C, u16, u16); 22] = [
    (C::BadRequest, 400, 400),
    (C::Conflict, 400, 400),
    (C::FeatureNotImplemented, 405, 501),
    (C::Forbidden, 403, 603),
    (C::Gone, 410, 410),
    (C::InternalServerError, 500, 500),
    (C::ItemNotFound, 404, 604),
    (C::JidMalformed, 400, 400),
    (C::NotAcceptable, 406, 606),
    (C::NotAllowed, 403, 403),
    (C::NotAuthorized, 403, 403),
    (C::PolicyViolation, 403, 403),
    (C::RecipientUnavailable, 480, 600),
    (C::Redirect, 480, 480),
    (C::RegistrationRequired, 403, 403),
    (C::RemoteServerNotFound, 404, 404),
    (C::RemoteServerTimeout, 504, 504),
    (C::ResourceConstraint, 500, 500),
    (C::ServiceUnavailable, 403, 403),
    (C::SubscriptionRequired, 400, 400),
    (C::UndefinedCondition, 400, 400),
    (C::UnexpectedRequest, 400, 400),
];

#[test]
fn every_condition_has_its_status_about_a_full_and_a_bare_jid() {
    assert_eq!(TO_SIP.len(), C::ALL.len());
    for (condition, full, bare) in TO_SIP {
        let status = |full| condition_to_status(condition, ErrorType::Cancel, full, false);

        assert_eq!((status(true), status(false)), (full, bare), "{condition}");
    }
}

#[test]
fn a_new_address_and_the_type_decide_where_the_table_leaves_a_choice() {
    let status = |condition, kind, moved| condition_to_status(condition, kind, false, moved);

    assert_eq!(status(C::Gone, ErrorType::Cancel, true), 301);
    assert_eq!(status(C::Redirect, ErrorType::Modify, true), 302);
    assert_eq!(status(C::RemoteServerNotFound, ErrorType::Wait, false), 504);
    assert_eq!(status(C::UnexpectedRequest, ErrorType::Wait, false), 491);
}

#[test]
fn a_challenge_a_timeout_or_a_503_never_leaves_the_gateway() {
    for condition in C::ALL {
        for kind in ErrorType::ALL {
            for (full, moved) in [(true, true), (true, false), (false, true), (false, false)] {
                let status = condition_to_status(*condition, *kind, full, moved);

                assert!(!matches!(status, 401 | 407 | 408 | 503), "{condition}");
                assert!((300..700).contains(&status), "{condition}");
            }
        }
    }
}

/// Status, condition, type (§7.2 table 3).
const TO_XMPP: [(u16, C, ErrorType); 46] = {
    use ErrorType::{Auth, Cancel, Modify, Wait};
    [
        (300, C::Redirect, Modify),
        (301, C::Gone, Cancel),
        (302, C::Redirect, Modify),
        (305, C::Redirect, Modify),
        (399, C::Redirect, Modify),
        (380, C::NotAcceptable, Cancel),
        (400, C::BadRequest, Modify),
        (401, C::NotAuthorized, Auth),
        (402, C::BadRequest, Auth),
        (403, C::Forbidden, Auth),
        (404, C::ItemNotFound, Cancel),
        (405, C::FeatureNotImplemented, Cancel),
        (406, C::NotAcceptable, Modify),
        (407, C::RegistrationRequired, Auth),
        (408, C::RemoteServerTimeout, Wait),
        (410, C::Gone, Cancel),
        (413, C::PolicyViolation, Modify),
        (414, C::PolicyViolation, Modify),
        (415, C::NotAcceptable, Modify),
        (416, C::NotAcceptable, Modify),
        (420, C::FeatureNotImplemented, Cancel),
        (421, C::NotAcceptable, Cancel),
        (423, C::ResourceConstraint, Wait),
        (430, C::RecipientUnavailable, Wait),
        (439, C::FeatureNotImplemented, Cancel),
        (440, C::PolicyViolation, Cancel),
        (480, C::RecipientUnavailable, Wait),
        (481, C::ItemNotFound, Cancel),
        (482, C::NotAcceptable, Cancel),
        (483, C::NotAcceptable, Cancel),
        (484, C::ItemNotFound, Cancel),
        (485, C::ItemNotFound, Cancel),
        (486, C::RecipientUnavailable, Wait),
        (487, C::RecipientUnavailable, Wait),
        (488, C::NotAcceptable, Modify),
        (489, C::PolicyViolation, Cancel),
        (491, C::UnexpectedRequest, Wait),
        (493, C::BadRequest, Modify),
        (500, C::InternalServerError, Cancel),
        (501, C::FeatureNotImplemented, Cancel),
        (502, C::RemoteServerNotFound, Wait),
        (503, C::InternalServerError, Wait),
        (504, C::RemoteServerTimeout, Wait),
        (505, C::NotAcceptable, Cancel),
        (513, C::PolicyViolation, Modify),
        (600, C::RecipientUnavailable, Wait),
    ]
};

#[test]
fn every_status_has_its_condition_and_type() {
    for (status, condition, kind) in TO_XMPP {
        assert_eq!(status_to_condition(status, false), (kind, condition), "{status}");
    }
    assert_eq!(status_to_condition(603, false), (ErrorType::Cancel, C::RecipientUnavailable));
    assert_eq!(status_to_condition(604, false), (ErrorType::Cancel, C::ItemNotFound));
    assert_eq!(status_to_condition(606, false), (ErrorType::Modify, C::NotAcceptable));
}

#[test]
fn a_status_that_nobody_knows_is_its_class() {
    assert_eq!(status_to_condition(499, false).1, C::BadRequest);
    assert_eq!(status_to_condition(599, false).1, C::InternalServerError);
    assert_eq!(status_to_condition(699, false).1, C::RecipientUnavailable);
    assert_eq!(status_to_condition(500, true).0, ErrorType::Wait);
    assert_eq!(status_to_condition(603, true).0, ErrorType::Wait);
}

#[track_caller]
fn response(start: &str, headers: &str) -> Response {
    let octets = format!(
        "SIP/2.0 {start}\r\nVia: SIP/2.0/TCP x.example;branch=z9hG4bK1\r\nFrom: <sip:ann@x.example>;tag=1\r\n\
         To: <sip:bob@s.example>;tag=2\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    match parse_datagram(&octets.into_bytes().into(), &Limits::default()) {
        Ok(Message::Response(response)) => response,
        other => panic!("not a response: {other:?}"),
    }
}

#[test]
fn the_text_has_the_status_the_diagnostics_and_when_to_try_again() {
    for (start, headers, text) in [
        ("404 Not Found", "", "404 Not Found"),
        ("480 Nicht da", "", "480 Nicht da"),
        ("480 ", "", "480 Temporarily Unavailable"),
        (
            "503 Service Unavailable",
            "Retry-After: 60 (busy);duration=5\r\n",
            "503 Service Unavailable; try again in 60 s",
        ),
        (
            "404 Not Found",
            "ms-diagnostics: 1003;reason=\"User does not exist\";source=\"fe.s.example\"\r\n",
            "404 Not Found (User does not exist, 1003)",
        ),
        (
            "606 Not Acceptable",
            "Warning: 309 fe.s.example \"Message contains links\"\r\n",
            "606 Not Acceptable (Message contains links, 309)",
        ),
        // A number without words has those of the table; one that nobody knows stays a number.
        (
            "404 Not Found",
            "ms-diagnostics-public: 4005\r\n",
            "404 Not Found (the user is not enabled for SIP, 4005)",
        ),
        ("480 Gone", "ms-client-diagnostics: 52094\r\n", "480 Gone (ms-diagnostics 52094)"),
    ] {
        assert_eq!(response_to_xmpp(&response(start, headers)).value.text.as_deref(), Some(text));
    }
}

#[test]
fn a_text_that_a_filter_blocked_is_not_acceptable_whatever_the_status() {
    for start in ["606 Not Acceptable", "403 Forbidden", "500 Server Internal Error"] {
        let error = response_to_xmpp(&response(start, "Warning: 309 fe.s.example \"Links\"\r\n")).value;

        assert_eq!((error.condition, error.kind), (C::NotAcceptable, ErrorType::Modify), "{start}");
    }
}

#[test]
fn a_diagnosis_says_what_the_operators_can_do() {
    let of = |headers: &str| Diagnosis::of(&response("504 Server Time-out", headers));

    let known =
        of("ms-diagnostics: 1010;reason=\"Certificate trust\";source=\"edge.s.example\"\r\n").unwrap();

    assert_eq!((known.id, known.reason.as_str()), (1010, "Certificate trust"));
    assert_eq!(known.source.as_deref(), Some("edge.s.example"));
    assert!(known.remedy.unwrap().contains("issuer"));
    assert_eq!(of("ms-diagnostics: 99999;reason=\"x\"\r\n").unwrap().remedy, None);
    assert_eq!(of("ms-diagnostics: nonsense\r\n"), None);
}

#[test]
fn a_new_address_is_told_as_xmpp_names_it_and_410_has_none() {
    let moved =
        response_to_xmpp(&response("301 Moved", "Contact: <sip:bob@new.example>, <sip:b@c.example>\r\n"));
    assert_eq!(moved.value.address.as_deref(), Some("xmpp:bob@new.example"));
    assert!(moved.losses.contains(Loss::OtherContacts));

    let elsewhere = response_to_xmpp(&response("302 Moved", "Contact: <tel:+1555>\r\n"));
    assert_eq!(elsewhere.value.address.as_deref(), Some("tel:+1555"));

    let gone = response_to_xmpp(&response("410 Gone", "Contact: <sip:bob@new.example>\r\n"));
    assert_eq!((gone.value.condition, gone.value.address), (C::Gone, None));
}

#[test]
fn the_words_of_an_error_become_the_reason_phrase_in_one_line() {
    let error = StanzaError::new(C::ItemNotFound).with_text("No such\r\nuser\tcalled ü");
    let from = Jid::parse("ann@x.example").unwrap();

    let refusal = error_to_sip(&error, Some(&from));

    assert_eq!(refusal.value.status, 604);
    assert_eq!(refusal.value.reason.as_str(), "No such user called ü");
    assert_eq!(refusal.value.language.as_ref().map(|tag| tag.as_str()), Some("en"));
    assert!(refusal.losses.contains(Loss::LineBreaks));
}

#[test]
fn an_error_without_words_has_the_usual_reason() {
    let refusal = error_to_sip(&StanzaError::new(C::RemoteServerTimeout), None).value;

    assert_eq!((refusal.status, refusal.reason.as_str()), (504, "Server Time-out"));
}

#[test]
fn a_user_who_moved_is_named_in_a_contact() {
    let request = request(from_bob("", b"hi"));
    let error = StanzaError::new(C::Gone).with_address("xmpp:o%5C27neil@new.example?message");

    let response = error_to_sip(&error, None).value.response(&request);

    assert_eq!(response.status(), 301);
    assert_eq!(response.headers().text(HeaderName::Contact).as_deref(), Some("<sip:o'neil@new.example>"));
    assert_eq!(response.call_id().map(|id| id.as_str()), Some("c1@s.example"));
}

#[test]
fn a_local_failure_says_what_the_sender_can_do() {
    for (failure, condition, kind) in [
        (Failure::Unreachable("connection refused".into()), C::RemoteServerNotFound, ErrorType::Wait),
        (Failure::TimedOut, C::RemoteServerTimeout, ErrorType::Wait),
        (Failure::Certificate("expired".into()), C::RemoteServerNotFound, ErrorType::Cancel),
        (Failure::UnknownDomain, C::ItemNotFound, ErrorType::Cancel),
        (Failure::NotAllowed("not a partner".into()), C::NotAllowed, ErrorType::Cancel),
        (Failure::Busy, C::ResourceConstraint, ErrorType::Wait),
        (Failure::Expired("timeout".into()), C::RemoteServerTimeout, ErrorType::Wait),
        (Failure::TooLarge { octets: 2000, octets_max: 1300 }, C::PolicyViolation, ErrorType::Modify),
    ] {
        let error = failure_to_xmpp(&failure);

        assert_eq!((error.condition, error.kind), (condition, kind), "{failure:?}");
        assert!(error.text.is_some_and(|text| !text.is_empty()));
    }
}
