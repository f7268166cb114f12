//! Messages of our own: whatever the texts, they stay the headers that were asked for, and read back.

use bytes::Bytes;
use proptest::prelude::*;
use sip_types::header::{CallId, ContentType, NameAddr, Transport, Via};
use sip_types::uri::Scheme;
use sip_types::{
    HeaderName, HeaderText, Host, Limits, Message, Method, Request, SipUri, Token, Uri, parse_datagram,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_a_stranger_becomes_a_header(
        user in hostile_text(), resource in hostile_text(), name in hostile_text(), subject in hostile_text(),
        param in hostile_text(), body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let request = make(&user, &resource, &name, &subject, &param, &body);

        let mut out = Vec::new();
        request.print(&mut out);
        let Ok(Message::Request(read)) = parse_datagram(&Bytes::from(out.clone()), &Limits::default()) else {
            return Err(TestCaseError::fail(String::from_utf8_lossy(&out).into_owned()));
        };

        let names: Vec<HeaderName> = read.headers().iter().map(|line| line.name).collect();
        prop_assert_eq!(names, [
            HeaderName::Via, HeaderName::MaxForwards, HeaderName::From, HeaderName::To, HeaderName::CallId,
            HeaderName::CSeq, HeaderName::Contact, HeaderName::Subject, HeaderName::Other, HeaderName::ContentType,
        ]);
        prop_assert_eq!(read.body(), request.body());
        prop_assert_eq!(read.from(), request.from());
        prop_assert_eq!(read.to(), request.to());
        prop_assert_eq!(read.uri(), request.uri());
        prop_assert_eq!(read.via(), request.via());
        let contact = read.headers().contact().unwrap().unwrap();
        prop_assert_eq!(contact.uri.as_sip().unwrap().decoded_param("gr").unwrap_or_default(), resource);
        let mut again = Vec::new();
        read.print(&mut again);
        prop_assert_eq!(again, out);
    }

    #[test]
    fn strict_text_is_kept_and_cleaned_text_says_what_was_lost(text in hostile_text()) {
        let has_controls = text.chars().any(|c| c.is_control() && c != '\t');
        let cleaned = HeaderText::clean(&text);

        prop_assert_eq!(HeaderText::parse(text.as_str()).is_err(), has_controls);
        prop_assert_eq!(cleaned.lost, has_controls);
        prop_assert!(!cleaned.text.as_str().chars().any(|c| c.is_control() && c != '\t'));
        if !has_controls {
            prop_assert_eq!(cleaned.text.as_str(), text.trim_matches([' ', '\t']));
        }
    }
}

/// Text with all that could end a header, a quote, an address or a parameter.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r\nVia: evil".to_string()),
        Just("\r".to_string()),
        Just("\n".to_string()),
        Just("\u{0}".to_string()),
        Just("\u{7f}".to_string()),
        Just("\u{85}".to_string()),
        Just("\t".to_string()),
        Just("\"".to_string()),
        Just("\\".to_string()),
        Just(">;tag=evil".to_string()),
        Just("<sip:evil@x>".to_string()),
        Just("%00".to_string()),
        Just("@;,?:/ ".to_string()),
        "\\PC{1,4}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn make(user: &str, resource: &str, name: &str, subject: &str, param: &str, body: &[u8]) -> Request {
    let host = Host::parse("x.example").unwrap();
    let token = |text: &str| Token::parse(text).unwrap();
    let uri = SipUri::new(Scheme::Sip, &host).with_user(user);
    let from = NameAddr::new(uri.clone())
        .with_display_name(name)
        .with_tag(&token("1"))
        .with_param(&token("epid"), Some(param));
    let to = NameAddr::new(uri.clone()).with_display_name(subject);
    let mut request =
        Request::new(Method::Message, Uri::Sip(uri.clone()), from, to, CallId::parse("1").unwrap(), u32::MAX)
            .with_contact(&NameAddr::new(uri.with_param("gr", Some(resource))))
            .with(HeaderName::Subject, &HeaderText::clean(subject).text)
            .with_body(&ContentType::text_plain(), Bytes::copy_from_slice(body));
    request.headers_mut().push_other(&token("X-Param"), &HeaderText::clean(param).text);
    let content_type = ContentType::parse("text/plain;charset=utf-8").unwrap();
    let body = request.body().clone();
    let mut request = request.with_body(&content_type, body);
    request.push_via(Via::new(Transport::Tls, host, Some(5061), &token("b")));
    request
}
