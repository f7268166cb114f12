use std::sync::Arc;

use bytes::Bytes;

use super::{Essentials, put_rest, set_content_type};
use crate::header::{CSeq, CallId, ContentType, HeaderName, NameAddr, Via};
use crate::headers::Headers;
use crate::method::Method;
use crate::octets;
use crate::text::HeaderText;
use crate::uri::Uri;

/// A request. From, To, Call-ID and CSeq are always there and well-formed, and so is the top Via once
/// the request has been on the wire.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) uri: Uri,
    pub(super) headers: Headers,
    pub(super) body: Bytes,
    pub(super) essentials: Arc<Essentials>,
}

impl Request {
    /// Returns a request with these essentials, `Max-Forwards: 70`, no Via and no body. The number of
    /// CSeq is below 2^31: its highest bit is cut off.
    #[must_use]
    pub fn new(method: Method, uri: Uri, from: NameAddr, to: NameAddr, call_id: CallId, cseq: u32) -> Self {
        let mut headers = Headers::with_room();
        headers.push_put(HeaderName::MaxForwards, |out| out.extend_from_slice(b"70"));
        headers.push_put(HeaderName::From, |out| from.put(out));
        headers.push_put(HeaderName::To, |out| to.put(out));
        headers.push_put(HeaderName::CallId, |out| out.extend_from_slice(call_id.as_str().as_bytes()));
        let cseq = CSeq { number: cseq & CSeq::NUMBER_MAX, method };
        headers.push_put(HeaderName::CSeq, |out| put_cseq(&cseq, out));
        let essentials = Arc::new(Essentials { via: None, from, to, call_id, cseq });
        Self { uri, headers, body: Bytes::new(), essentials }
    }

    /// Returns the request with a further header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &HeaderText) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Returns the request with a Contact.
    #[must_use]
    pub fn with_contact(mut self, contact: &NameAddr) -> Self {
        self.headers.push_put(HeaderName::Contact, |out| contact.put(out));
        self
    }

    /// Returns the request with a further Route below those that are there.
    #[must_use]
    pub fn with_route(mut self, route: &NameAddr) -> Self {
        self.headers.push_put(HeaderName::Route, |out| route.put(out));
        self
    }

    /// Returns the request with a body and its type.
    #[must_use]
    pub fn with_body(mut self, content_type: &ContentType, body: Bytes) -> Self {
        set_content_type(&mut self.headers, content_type);
        self.body = body;
        self
    }

    /// Returns the request with this `Max-Forwards`.
    #[must_use]
    pub fn with_max_forwards(mut self, hops: u8) -> Self {
        self.headers
            .replace_first_value(HeaderName::MaxForwards, |out| octets::put_number(out, u32::from(hops)));
        self
    }

    /// Returns the request with this number in CSeq: a further try after a challenge or an interval too brief.
    #[must_use]
    pub fn with_cseq(mut self, number: u32) -> Self {
        let essentials = Arc::make_mut(&mut self.essentials);
        essentials.cseq.number = number & CSeq::NUMBER_MAX;
        self.headers.replace_first_value(HeaderName::CSeq, |out| put_cseq(&essentials.cseq, out));
        self
    }

    /// Puts a Via above those that are there.
    pub fn push_via(&mut self, via: Via) {
        self.headers.push_put_first(HeaderName::Via, |out| via.put(out));
        Arc::make_mut(&mut self.essentials).via = Some(via);
    }

    /// Replaces the top Via: another try of the same request, or `received` and `rport` filled in.
    pub fn replace_via(&mut self, via: Via) {
        if self.essentials.via.is_none() {
            return self.push_via(via);
        }
        self.headers.replace_first_value(HeaderName::Via, |out| via.put(out));
        Arc::make_mut(&mut self.essentials).via = Some(via);
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.essentials.cseq.method
    }

    /// Returns the Request-URI.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the top Via; always there in a received request.
    #[must_use]
    pub fn via(&self) -> Option<&Via> {
        self.essentials.via.as_ref()
    }

    /// Returns From.
    #[must_use]
    pub fn from(&self) -> &NameAddr {
        &self.essentials.from
    }

    /// Returns To.
    #[must_use]
    pub fn to(&self) -> &NameAddr {
        &self.essentials.to
    }

    /// Returns Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &CallId {
        &self.essentials.call_id
    }

    /// Returns CSeq.
    #[must_use]
    pub fn cseq(&self) -> &CSeq {
        &self.essentials.cseq
    }

    /// Returns all headers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns the headers to change them. Via, From, To, Call-ID and CSeq have their own verbs: a change
    /// to them made here would not be seen by their getters.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// Returns the body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Appends the request as it goes on the wire.
    pub fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method().as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.uri.as_bytes());
        out.extend_from_slice(b" SIP/2.0\r\n");
        put_rest(&self.headers, &self.body, out);
    }

    pub(crate) fn received(uri: Uri, headers: Headers, body: Bytes, essentials: Arc<Essentials>) -> Self {
        Self { uri, headers, body, essentials }
    }
}

fn put_cseq(cseq: &CSeq, out: &mut Vec<u8>) {
    octets::put_number(out, cseq.number);
    out.push(b' ');
    out.extend_from_slice(cseq.method.as_str().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{Limits, parse_datagram};
    use crate::header::Transport;
    use crate::message::Message;
    use crate::text::Token;
    use crate::uri::Host;

    #[test]
    fn a_request_of_our_own_prints_in_canonical_order() {
        let mut request = message();

        request.push_via(via("1"));

        assert_eq!(
            printed(&request),
            "MESSAGE sip:bob@s.example SIP/2.0\r\n\
             Via: SIP/2.0/TLS gw.x.example:5061;branch=z9hG4bK1;rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:ann@x.example;gr=desk>;tag=8d21\r\n\
             To: <sip:bob@s.example>\r\n\
             Call-ID: th-77\r\n\
             CSeq: 1 MESSAGE\r\n\
             Content-Language: en\r\n\
             Content-Type: text/plain;charset=UTF-8\r\n\
             Content-Length: 22\r\n\r\n\
             Is 10:30 fine? \u{2013} Ann"
        );
    }

    #[test]
    fn another_try_has_another_branch_and_nothing_else_changes() {
        let mut request = message();
        request.push_via(via("1"));

        request.replace_via(via("2"));

        assert_eq!(request.via().unwrap().branch(), Some("z9hG4bK2"));
        assert_eq!(request.headers().values(HeaderName::Via).count(), 1);
        let request = request.with_cseq(7).with_max_forwards(9);
        assert_eq!(request.headers().get(HeaderName::CSeq), Some(&b"7 MESSAGE"[..]));
        assert_eq!(request.cseq().number, 7);
        assert_eq!(request.headers().max_forwards(), Ok(Some(9)));
    }

    #[test]
    fn what_we_print_we_can_read() {
        let mut request = message();
        request.push_via(via("1"));
        let octets = Bytes::from(printed(&request));

        let Message::Request(read) = parse_datagram(&octets, &Limits::default()).unwrap() else { panic!() };

        assert_eq!(printed(&read), octets);
        assert_eq!(read.from(), request.from());
        assert_eq!(read.cseq(), request.cseq());
    }

    fn message() -> Request {
        let tag = Token::parse("8d21").unwrap();
        let from = NameAddr::new(Uri::parse("sip:ann@x.example;gr=desk").unwrap()).with_tag(&tag);
        let uri = Uri::parse("sip:bob@s.example").unwrap();
        let to = NameAddr::new(uri.clone());
        Request::new(Method::Message, uri, from, to, CallId::parse("th-77").unwrap(), 1)
            .with(HeaderName::ContentLanguage, &HeaderText::parse("en").unwrap())
            .with_body(&ContentType::text_plain(), Bytes::from_static("Is 10:30 fine? – Ann".as_bytes()))
    }

    fn via(branch: &str) -> Via {
        Via::new(
            Transport::Tls,
            Host::parse("gw.x.example").unwrap(),
            Some(5061),
            &Token::parse(branch).unwrap(),
        )
    }

    fn printed(request: &Request) -> String {
        let mut out = Vec::new();
        request.print(&mut out);
        String::from_utf8(out).unwrap()
    }
}
