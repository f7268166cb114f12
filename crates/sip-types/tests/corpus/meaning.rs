//! What single messages of the corpora mean, and what must not be made of them.

use sip_types::header::{Transport, Via};
use sip_types::{HeaderName, Host, Message, Request, Response};

use crate::hearing::{datagram, hear};
use crate::input;

#[test]
fn the_short_tortuous_invite_is_read_in_full() {
    let request = request("rfc4475", "wsinv.dat");

    assert_eq!(request.method().as_str(), "INVITE");
    assert_eq!(request.from().display_name().unwrap(), "J Rosenberg \\\"");
    assert_eq!(request.from().tag(), Some("98asjd8"));
    assert_eq!(request.to().tag(), Some("1918181833n"));
    assert_eq!(request.cseq().number, 9);
    assert_eq!(request.headers().max_forwards(), Ok(Some(68)));
    assert_eq!(request.body().len(), 150);
    assert_eq!(request.headers().get(HeaderName::Subject), Some(&b""[..]));
    let vias = request.headers().vias().unwrap();
    let hosts: Vec<String> = vias.iter().map(|via| via.host.to_string()).collect();
    assert_eq!(hosts, ["192.0.2.2", "spindle.example.com", "192.168.255.111"]);
    assert!(!vias[0].has_unique_branch() && vias[2].has_unique_branch());
    assert_eq!(
        request.headers().get_other("newfangledheader"),
        Some(&b"newfangled value continued newfangled value"[..])
    );
    let contact = request.headers().contact().unwrap().unwrap();
    assert_eq!(contact.display_name().unwrap(), "Quoted string \"\"");
    assert_eq!(contact.params.get("q"), Some("0.33"));
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
}

#[test]
fn a_nul_in_quotes_neither_ends_nor_leaves_a_display_name() {
    let request = request("rfc4475", "intmeth.dat");

    assert_eq!(request.to().display_name().unwrap(), "BEL: NUL: DEL:");
    assert_eq!(
        request.uri().as_sip().unwrap().user().unwrap(),
        "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    );
    assert_eq!(
        request.uri().as_sip().unwrap().password(),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    );
    assert_eq!(request.from().tag(), Some("_token~1'+`*%!-."));
    let echoed = printed(&Response::to(&request, 501));
    let to = request.headers().get(HeaderName::To).unwrap();
    assert!(echoed.windows(to.len()).any(|part| part == to));
}

#[test]
fn escapes_are_undone_once_and_only_where_the_grammar_has_them() {
    let esc01 = request("rfc4475", "esc01.dat");
    let uri = esc01.uri().as_sip().unwrap();
    assert_eq!(uri.decoded_user().unwrap(), "sips:user@example.com");
    assert_eq!(uri.host(), &Host::parse("example.net").unwrap());
    let contact = esc01.headers().contact().unwrap().unwrap();
    let params = contact.uri.as_sip().unwrap().params().clone();
    assert_eq!(params.get("n%61me"), Some("v%61lue%25%34%31"));

    let esc02 = request("rfc4475", "esc02.dat");
    assert_eq!(esc02.method().as_str(), "RE%47IST%45R");
    assert_eq!(esc02.to().display_name().unwrap(), "%Z%45");
    assert_eq!(esc02.headers().addresses(HeaderName::Contact).unwrap().len(), 2);

    let escnull = request("rfc4475", "escnull.dat");
    assert_eq!(escnull.to().uri.as_sip().unwrap().decoded_user().unwrap(), "null-\u{0}-null");
    let contacts = escnull.headers().addresses(HeaderName::Contact).unwrap();
    assert!(!contacts[0].uri.matches(&contacts[1].uri));
}

#[test]
fn a_parameter_belongs_where_it_stands() {
    let semiuri = request("rfc4475", "semiuri.dat");
    assert_eq!(semiuri.uri().as_sip().unwrap().decoded_user().unwrap(), "user;par=u@example.net");

    let of_header = request("rfc4475", "cparam01.dat").headers().contact().unwrap().unwrap();
    assert!(of_header.params.has("unknownparam"));
    let of_uri = request("rfc4475", "cparam02.dat").headers().contact().unwrap().unwrap();
    assert!(!of_uri.params.has("unknownparam") && of_uri.uri.as_sip().unwrap().params().has("unknownparam"));
    let escaped = request("rfc4475", "regescrt.dat").headers().contact().unwrap().unwrap();
    assert!(escaped.uri.as_sip().unwrap().headers().unwrap().starts_with("Route="));
}

#[test]
fn long_values_are_echoed_in_full() {
    let request = request("rfc4475", "longreq.dat");

    let vias = request.headers().vias().unwrap();
    let echoed = printed(&Response::to(&request, 200));

    assert_eq!(vias.len(), 34);
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        let value = request.headers().get(name).unwrap();
        assert!(echoed.windows(value.len()).any(|part| part == value), "{name:?}");
    }
    assert_eq!(echoed.windows(5).filter(|part| part == b"Via: ").count(), 34);
}

#[test]
fn a_binary_part_with_nul_and_line_feeds_is_body() {
    let request = request("rfc4475", "mpart01.dat");

    assert_eq!(request.body().len(), 553);
    assert!(request.headers().content_type().unwrap().unwrap().is_multipart());
}

#[test]
fn octets_after_a_datagrams_message_are_dropped() {
    let request = request("rfc4475", "dblreq.dat");

    assert_eq!(request.method().as_str(), "REGISTER");
    assert!(request.body().is_empty());
}

#[test]
fn unknown_transports_are_kept() {
    let vias = request("rfc4475", "transports.dat").headers().vias().unwrap();

    let names: Vec<&str> = vias.iter().map(|via| via.transport.as_str()).collect();
    assert_eq!(names, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    assert_eq!(vias[2].transport, Transport::Tls);
}

#[test]
fn what_can_be_read_of_a_broken_request_is_in_its_answer() {
    let answer = datagram(&input::file("rfc4475", "scalar02.dat")).unwrap_err().into_answer().unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.reason(), "Bad Request - CSeq: the number is 2^31 or more");
    assert_eq!(answer.via().and_then(Via::branch), Some("z9hG4bK342sdfoi3"));

    let answer = datagram(&input::file("rfc4475", "insuf.dat")).unwrap_err().into_answer().unwrap();
    assert!(
        printed(&answer)
            .starts_with(b"SIP/2.0 400 Bad Request - From: it is missing\r\nCSeq: 193942 INVITE\r\nVia: ")
    );
}

#[test]
fn addresses_of_ipv6_are_told_from_ports() {
    let port = |name: &str| {
        let request = request("rfc5118", name);
        let uri = request.uri().as_sip().unwrap().clone();
        (uri.host().to_string(), uri.port())
    };

    assert_eq!(port("ipv6-good.dat"), ("[2001:db8::10]".to_string(), None));
    assert_eq!(port("port-ambiguous.dat"), ("[2001:db8::10:5070]".to_string(), None));
    assert_eq!(port("port-unambiguous.dat"), ("[2001:db8::10]".to_string(), Some(5070)));
    for name in ["via-received-param-with-delim.dat", "via-received-param-no-delim.dat"] {
        let received = request("rfc5118", name).via().unwrap().received().unwrap();
        assert_eq!(received.to_string(), "2001:db8::9:255", "{name}");
    }
}

#[test]
fn a_header_of_two_names_or_a_name_with_a_space_is_the_header() {
    let heard = hear(&input::file("sip-hostile", "s16-space-before-colon.dat"));
    assert_eq!(heard.messages(), 1);

    let stripped = hear(&input::file("sip-hostile", "s18-strip-header-with-space.dat"));
    let sip_types::Frame::Message(message) = &stripped.frames[0] else { panic!() };
    assert!(message.headers().has(HeaderName::PAssertedIdentity));
}

fn request(corpus: &str, name: &str) -> Request {
    match datagram(&input::file(corpus, name)) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    }
}

fn printed(response: &Response) -> Vec<u8> {
    let mut out = Vec::new();
    response.print(&mut out);
    out
}
