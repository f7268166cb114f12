use super::*;

const INVITE: &str = "INVITE sip:ann@x.example SIP/2.0|Via: SIP/2.0/TLS a;branch=z9hG4bK1|Max-Forwards: 70|\
    Record-Route: <sip:edge;ms-route-sig=\"a b\";lr>|Record-Route: <sip:pool;lr>|From: <sip:bob@s.example>;tag=b;epid=2c|\
    To: <sip:ann@x.example>|Call-ID: c|CSeq: 1 INVITE|Contact: <sip:bob@s.example;opaque=x;gruu>|Content-Length: 0";
const OK: &str = "SIP/2.0 200 OK|Via: SIP/2.0/TLS a;branch=z9hG4bK1|Record-Route: <sip:edge;ms-route-sig=\"a b\";lr>|\
    Record-Route: <sip:pool;lr>|From: <sip:bob@s.example>;tag=b;epid=2c|To: <sip:ann@x.example>;tag=a|Call-ID: c|\
    CSeq: 1 INVITE|Contact: <sip:ann@g;transport=tls>|Content-Length: 0";
const MESSAGE: &str = "MESSAGE sip:bob@s.example;opaque=x;gruu SIP/2.0|Via: SIP/2.0/TLS g;branch=z9hG4bK7|\
    Max-Forwards: 70|Route: <sip:edge;ms-route-sig=\"a b\";lr>|Route: <sip:pool;lr>|From: <sip:ann@x.example>;tag=a|\
    To: <sip:bob@s.example>;tag=b;epid=2c|Call-ID: c|CSeq: 5 MESSAGE|Content-Length: 0";

fn message(text: &str) -> RawMessage {
    RawMessage::parse(format!("{}\r\n\r\n", text.replace('|', "\r\n")).as_bytes()).unwrap()
}

fn in_session() -> Auditor {
    let mut auditor = Auditor::default();
    auditor.handle_said(&message(INVITE));
    assert_eq!(auditor.handle_heard(&message(OK)), [""; 0]);
    auditor
}

#[track_caller]
fn complains(auditor: &mut Auditor, text: &str, words: &str) {
    let wrong = auditor.handle_heard(&message(text));
    assert!(wrong.len() == 1 && wrong[0].contains(words), "{wrong:?}");
}

#[test]
fn a_session_that_is_right_is_not_complained_about() {
    let mut auditor = in_session();

    assert_eq!(auditor.handle_heard(&message(MESSAGE)), [""; 0]);
    auditor.handle_said(&message(MESSAGE).response(200, "OK", "b"));
    let next = MESSAGE.replace("CSeq: 5", "CSeq: 6").replace("bK7", "bK8");
    assert_eq!(auditor.handle_heard(&message(&next)), [""; 0]);
}

#[test]
fn a_changed_route_target_or_epid_is_seen() {
    for (of, by, words) in [
        ("a b", "a%20b", "is not the route set"),
        ("<sip:edge;ms-route-sig=\"a b\";lr>|Route: <sip:pool;lr>", "<sip:pool;lr>", "is not the route set"),
        ("opaque=x;gruu", "opaque=x", "is not the Contact"),
        (";epid=2c", "", "To \"<sip:bob@s.example>;tag=b\" is not"),
        ("tag=b;", "tag=c;", "in a dialog that never was"),
        ("z9hG4bK7", "7", "cookie"),
        ("|Max-Forwards: 70", "", "no Max-Forwards"),
        ("5 MESSAGE", "5 INFO", "CSeq does not fit"),
    ] {
        complains(&mut in_session(), &MESSAGE.replace(of, by), words);
    }
}

#[test]
fn a_second_message_a_cseq_that_jumps_and_words_after_bye_are_seen() {
    let mut auditor = in_session();
    assert_eq!(auditor.handle_heard(&message(MESSAGE)), [""; 0]);

    complains(&mut auditor, MESSAGE, "the branch of another MESSAGE");
    let second = MESSAGE.replace("CSeq: 5", "CSeq: 6").replace("bK7", "bK8");
    complains(&mut auditor, &second, "a second MESSAGE while one has no answer");
    let bye = MESSAGE.replace("MESSAGE", "BYE").replace("CSeq: 5", "CSeq: 9").replace("bK7", "bK9");
    complains(&mut auditor, &bye, "CSeq 9 comes after 6");
    let info = MESSAGE.replace("MESSAGE", "INFO").replace("CSeq: 5", "CSeq: 10").replace("bK7", "bKa");
    complains(&mut auditor, &info, "INFO after BYE");
}

#[test]
fn an_answer_that_is_not_to_the_request_is_seen() {
    for (of, by, words) in [
        ("a;branch", "a;received=1;rport=2;b=1;branch", "Via is not as in the request"),
        (";tag=a", "", "To has no tag"),
        ("|Record-Route: <sip:pool;lr>", "", "Record-Route is not as in the request"),
        (";transport=tls", "", "says no transport"),
        ("|Content-Length", "|Supported: ms-text-format|Content-Length", "lost or come twice"),
        ("200 OK", "401 Who", "nobody can meet"),
    ] {
        let mut auditor = Auditor::default();
        auditor.handle_said(&message(INVITE));

        complains(&mut auditor, &OK.replace(of, by), words);
    }
    complains(&mut Auditor::default(), OK, "no request of ours");
}
