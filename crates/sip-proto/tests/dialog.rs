//! Dialogs: what two messages make of each other, and the requests that follow (RFC 3261 §12).

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use net_types::Bytes;
use sip_proto::dialog::{Dialog, NoDialog, Parts, Refusal, next_hop_of};
use sip_types::{HeaderName, Message, Method, Request, Response, Token};

const RECORD_ROUTE: &str = "Record-Route: <sip:pool.s.example:5061;transport=tls;opaque=state:F;lr>;ms-route-sig=aB+/=\r\n\
                            Record-Route: \"E, x\" <sip:edge.s.example;lr>\r\n";

#[test]
fn a_server_answers_along_the_record_route_to_the_contact_as_written() {
    let invite = incoming("INVITE", RECORD_ROUTE);
    let mut dialog = Dialog::of_server(&invite, &Token::parse("gw91").unwrap()).unwrap();

    let request = dialog.request(Method::Message);

    assert_eq!(
        printed(&request),
        "MESSAGE sip:bob@s.example;opaque=user:epid:Kq1;gruu SIP/2.0\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:ann@x.example>;tag=gw91\r\n\
         To: \"Bob\" <sip:bob@s.example>;tag=5d07;epid=2c19aa01\r\n\
         Call-ID: 0c4b\r\n\
         CSeq: 1 MESSAGE\r\n\
         Route: <sip:pool.s.example:5061;transport=tls;opaque=state:F;lr>;ms-route-sig=aB+/=\r\n\
         Route: \"E, x\" <sip:edge.s.example;lr>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    assert_eq!(dialog.next_hop().as_str(), "sip:pool.s.example:5061;transport=tls;opaque=state:F;lr");
    assert_eq!(next_hop_of(&request), dialog.next_hop());
    assert_eq!(dialog.request(Method::Info).cseq().number, 2);
}

#[test]
fn a_client_reverses_the_record_route() {
    let invite = ours(Method::Invite);
    let mut dialog = Dialog::of_client(&invite, &answer(&invite, 180, "bt", RECORD_ROUTE)).unwrap();

    let request = dialog.request(Method::Bye);

    let routes: Vec<_> = request.headers().all(HeaderName::Route).collect();
    assert_eq!(routes[0], b"\"E, x\" <sip:edge.s.example;lr>");
    assert!(routes[1].ends_with(b";ms-route-sig=aB+/="));
    assert_eq!(request.cseq().number, 8);
    assert_eq!(request.to().tag(), Some("bt"));
    assert_eq!(dialog.ack(7).cseq().number, 7);
    assert_eq!(dialog.ack(7).method(), &Method::Ack);
}

#[test]
fn a_strict_router_becomes_the_request_uri() {
    let strict = "Record-Route: <sip:old.s.example;method=INVITE?X=1>, <sip:next.s.example;lr>\r\n";
    let mut dialog = Dialog::of_server(&incoming("INVITE", strict), &Token::parse("t").unwrap()).unwrap();

    let request = dialog.request(Method::Info);

    assert_eq!(request.uri().as_str(), "sip:old.s.example");
    let routes: Vec<_> = request.headers().all(HeaderName::Route).collect();
    assert_eq!(routes, [&b"<sip:next.s.example;lr>"[..], b"<sip:bob@s.example;opaque=user:epid:Kq1;gruu>"]);
}

#[test]
fn a_request_of_other_tags_is_of_another_dialog() {
    let mut dialog = Dialog::of_server(&incoming("INVITE", ""), &Token::parse("gw91").unwrap()).unwrap();
    let inside = |more: &str| request(&format!("MESSAGE sip:a@x SIP/2.0\r\n{more}"));

    let other = inside(
        "f: <sip:bob@s.example>;tag=other\r\nTo: <sip:a@x>;tag=gw91\r\ni: 0c4b\r\nCSeq: 2 MESSAGE\r\n",
    );
    let right =
        inside("f: <sip:bob@s.example>;tag=5d07\r\nTo: <sip:a@x>;tag=gw91\r\ni: 0c4b\r\nCSeq: 5 MESSAGE\r\n");
    let late =
        inside("f: <sip:bob@s.example>;tag=5d07\r\nTo: <sip:a@x>;tag=gw91\r\ni: 0c4b\r\nCSeq: 4 MESSAGE\r\n");

    assert_eq!(dialog.handle_request(&other), Err(Refusal::NotOfThisDialog));
    assert_eq!(dialog.handle_request(&right), Ok(()));
    assert_eq!(dialog.handle_request(&late), Err(Refusal::OutOfOrder));
    assert_eq!((Refusal::NotOfThisDialog.status(), Refusal::OutOfOrder.status()), (481, 500));
}

#[test]
fn only_a_target_refresh_moves_the_target() {
    let mut dialog =
        Dialog::of_server(&incoming("INVITE", RECORD_ROUTE), &Token::parse("gw91").unwrap()).unwrap();
    let moved = |method: &str, number: u32| {
        request(&format!(
            "{method} sip:a@x SIP/2.0\r\nFrom: <sip:bob@s.example>;tag=5d07\r\nTo: <sip:a@x>;tag=gw91\r\n\
             Call-ID: 0c4b\r\nCSeq: {number} {method}\r\nContact: <sip:{method}@moved.example>\r\n"
        ))
    };

    dialog.handle_request(&moved("INFO", 2)).unwrap();
    assert_eq!(dialog.parts().target.as_str(), "sip:bob@s.example;opaque=user:epid:Kq1;gruu");
    for (number, method) in [(3, "INVITE"), (4, "UPDATE"), (5, "SUBSCRIBE"), (6, "NOTIFY")] {
        dialog.handle_request(&moved(method, number)).unwrap();
        assert_eq!(dialog.parts().target.as_str(), format!("sip:{method}@moved.example"));
    }
    assert_eq!(dialog.parts().routes.len(), 2);
}

#[test]
fn a_notify_before_any_answer_makes_the_dialog() {
    let subscribe = ours(Method::Subscribe);
    let notify = request(
        "NOTIFY sip:a@x SIP/2.0\r\nRecord-Route: <sip:one;lr>\r\nRecord-Route: <sip:two;lr>\r\n\
         From: <sip:bob@s.example>;tag=n\r\nTo: <sip:ann@x.example>;tag=a\r\nCall-ID: call-1\r\n\
         CSeq: 1 NOTIFY\r\nContact: <sip:bob@pc>\r\n",
    );

    let mut dialog = Dialog::of_notify(&subscribe, &notify).unwrap();
    let refresh = dialog.request(Method::Subscribe);

    assert!(dialog.is_of(&notify));
    assert_eq!(refresh.cseq().number, 8);
    assert_eq!(refresh.headers().get(HeaderName::Route), Some(&b"<sip:one;lr>"[..]));
}

#[test]
fn a_dialog_taken_apart_is_the_same_when_put_together() {
    let mut dialog =
        Dialog::of_server(&incoming("SUBSCRIBE", RECORD_ROUTE), &Token::parse("t").unwrap()).unwrap();
    let parts: Parts = dialog.parts().clone();

    let mut again = Dialog::from_parts(parts);

    assert_eq!(again, dialog);
    assert_eq!(printed(&again.request(Method::Notify)), printed(&dialog.request(Method::Notify)));
    assert_eq!(again.id().remote_tag, "5d07");
}

#[test]
fn a_peer_without_contact_makes_no_dialog() {
    let invite = incoming("INVITE", "").clone();
    let bare = printed(&invite).replace("Contact: <sip:bob@s.example;opaque=user:epid:Kq1;gruu>\r\n", "");

    let dialog = Dialog::of_server(&parse(&bare), &Token::parse("t").unwrap());

    assert_eq!(dialog, Err(NoDialog::ContactMissing));
}

fn incoming(method: &str, more: &str) -> Request {
    request(&format!(
        "{method} sip:ann@x.example SIP/2.0\r\n\
         {more}\
         From: \"Bob\" <sip:bob@s.example>;tag=5d07;epid=2c19aa01\r\n\
         To: <sip:ann@x.example>\r\n\
         Call-ID: 0c4b\r\n\
         CSeq: 1 {method}\r\n\
         Contact: <sip:bob@s.example;opaque=user:epid:Kq1;gruu>\r\n"
    ))
}

fn request(text: &str) -> Request {
    let (line, rest) = text.split_once("\r\n").unwrap();
    parse(&format!(
        "{line}\r\nVia: SIP/2.0/TLS 192.0.2.5:51877;branch=z9hG4bKF3\r\n{rest}Content-Length: 0\r\n\r\n"
    ))
}

fn parse(text: &str) -> Request {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    match sip_types::parse_datagram(&bytes, &sip_types::Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn ours(method: Method) -> Request {
    request(&format!(
        "{method} sip:bob@s.example SIP/2.0\r\nFrom: <sip:ann@x.example>;tag=a\r\nTo: <sip:bob@s.example>\r\n\
         Call-ID: call-1\r\nCSeq: 7 {method}\r\n"
    ))
}

fn answer(request: &Request, status: u16, tag: &str, more: &str) -> Response {
    let mut bytes = Vec::new();
    Response::to(request, status).with_to_tag(&Token::parse(tag).unwrap()).print(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (line, rest) = text.split_once("\r\n").unwrap();
    let text = format!("{line}\r\n{more}Contact: <sip:bob@pc.s.example>\r\n{rest}");
    let bytes = Bytes::from(text.into_bytes());
    match sip_types::parse_datagram(&bytes, &sip_types::Limits::default()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn printed(request: &Request) -> String {
    let mut bytes = Vec::new();
    request.print(&mut bytes);
    String::from_utf8(bytes).unwrap()
}
