use std::sync::Arc;

use bytes::Bytes;

use super::{Essentials, Request, put_rest, set_content_type};
use crate::header::{CSeq, CallId, ContentType, HeaderName, NameAddr, Via};
use crate::headers::Headers;
use crate::malformed::{BadHeader, Problem};
use crate::octets;
use crate::reason::reason_phrase;
use crate::text::{HeaderText, Text, Token};

/// A response. The five headers that make a transaction and a dialog are always there and well-formed,
/// unless it answers something malformed ([`crate::Malformed::into_answer`]).
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    reason: Text,
    headers: Headers,
    body: Bytes,
    /// Shared with the request that this answers.
    essentials: Option<Arc<Essentials>>,
    /// To with the tag that we gave it.
    to: Option<NameAddr>,
    /// The top Via of something malformed.
    stray_via: Option<Box<Via>>,
}

impl Response {
    /// Returns a response to `request` with Via, From, To, Call-ID and CSeq octet for octet (RFC 3261
    /// §8.2.6.2). A status that is none becomes the nearest: 100 or 699.
    #[must_use]
    pub fn to(request: &Request, status: u16) -> Self {
        let status = status.clamp(100, 699);
        Self {
            status,
            reason: Text::from_static(reason_phrase(status)),
            headers: request.headers.echoed(),
            body: Bytes::new(),
            essentials: Some(Arc::clone(&request.essentials)),
            to: None,
            stray_via: None,
        }
    }

    /// Returns the 400 that says which header of `request` is bad.
    #[must_use]
    pub fn bad_header(request: &Request, bad: BadHeader) -> Self {
        Self { reason: reason_of(&bad.into()), ..Self::to(request, 400) }
    }

    /// Returns the response with this tag in To, if To has none (RFC 3261 §8.2.6.2).
    #[must_use]
    pub fn with_to_tag(mut self, tag: &Token) -> Self {
        match self.to_header() {
            Some(to) if to.tag().is_none() => {
                let to = to.clone().with_tag(tag);
                self.headers.extend_first(HeaderName::To, &[b";tag=", tag.as_str().as_bytes()]);
                Self { to: Some(to), ..self }
            }
            Some(_) | None => self,
        }
    }

    /// Returns the response with this reason phrase.
    #[must_use]
    pub fn with_reason(self, reason: &HeaderText) -> Self {
        Self { reason: Text::from(reason.as_str()), ..self }
    }

    /// Returns the response with a further header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &HeaderText) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Returns the response with a Contact.
    #[must_use]
    pub fn with_contact(mut self, contact: &NameAddr) -> Self {
        self.headers.push_put(HeaderName::Contact, |out| contact.put(out));
        self
    }

    /// Returns the response with a body and its type.
    #[must_use]
    pub fn with_body(mut self, content_type: &ContentType, body: Bytes) -> Self {
        set_content_type(&mut self.headers, content_type);
        self.body = body;
        self
    }

    /// Returns the status: 100 to 699.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the reason phrase, invalid UTF-8 replaced.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the top Via.
    #[must_use]
    pub fn via(&self) -> Option<&Via> {
        self.essentials.as_ref().map_or(self.stray_via.as_deref(), |essentials| essentials.via.as_ref())
    }

    /// Returns From; `None` only in an answer to something malformed.
    #[must_use]
    pub fn from(&self) -> Option<&NameAddr> {
        self.essentials.as_ref().map(|essentials| &essentials.from)
    }

    /// Returns To; `None` only in an answer to something malformed.
    #[must_use]
    pub fn to_header(&self) -> Option<&NameAddr> {
        self.to.as_ref().or_else(|| self.essentials.as_ref().map(|essentials| &essentials.to))
    }

    /// Returns Call-ID; `None` only in an answer to something malformed.
    #[must_use]
    pub fn call_id(&self) -> Option<&CallId> {
        self.essentials.as_ref().map(|essentials| &essentials.call_id)
    }

    /// Returns CSeq; `None` only in an answer to something malformed.
    #[must_use]
    pub fn cseq(&self) -> Option<&CSeq> {
        self.essentials.as_ref().map(|essentials| &essentials.cseq)
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

    /// Appends the response as it goes on the wire.
    pub fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0 ");
        octets::put_number(out, u32::from(self.status));
        out.push(b' ');
        out.extend_from_slice(self.reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        put_rest(&self.headers, &self.body, out);
    }

    pub(crate) fn received(
        status: u16,
        reason: Text,
        headers: Headers,
        body: Bytes,
        essentials: Arc<Essentials>,
    ) -> Self {
        Self { status, reason, headers, body, essentials: Some(essentials), to: None, stray_via: None }
    }

    /// Returns the answer to something malformed, of which `echoed` could be read.
    pub(crate) fn to_malformed(problem: Problem, echoed: Headers) -> Self {
        let stray_via =
            echoed.first_value(HeaderName::Via).and_then(|via| Via::parse_text(&via).ok()).map(Box::new);
        Self {
            status: problem.status,
            reason: if problem.status == 400 {
                reason_of(&problem)
            } else {
                Text::from_static(reason_phrase(problem.status))
            },
            headers: echoed,
            body: Bytes::new(),
            essentials: None,
            to: None,
            stray_via,
        }
    }
}

/// A 400 says what was bad: `Bad Request - CSeq: the number is none` (RFC 3261 §21.4.1).
fn reason_of(problem: &Problem) -> Text {
    Text::from(format!("{} - {problem}", reason_phrase(400)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{Limits, parse_datagram};
    use crate::message::Message;

    const REQUEST: &str = "MESSAGE sip:bob@x.example SIP/2.0\r\n\
        v: SIP/2.0/TLS a.example;branch=z9hG4bK1 , SIP/2.0/TCP b.example\r\n\
        Via: SIP/2.0/UDP c.example;x=\"\\\"\"\r\n\
        Max-Forwards: 70\r\n\
        f: \"A, \u{e4}\"  <sip:a@s.example>;tag=1;epid=0a\r\n\
        To: sip:bob@x.example\r\n\
        i: 1@s.example\r\n\
        Subject: hi\r\n\
        CSeq:  0007   MESSAGE\r\n\
        Content-Length: 0\r\n\r\n";

    #[test]
    fn a_response_repeats_the_requests_headers_octet_for_octet() {
        let response = Response::to(&request(), 200).with_to_tag(&Token::parse("t9").unwrap());

        let mut out = Vec::new();
        response.print(&mut out);

        assert_eq!(
            String::from_utf8(out).unwrap(),
            "SIP/2.0 200 OK\r\n\
             Via: SIP/2.0/TLS a.example;branch=z9hG4bK1 , SIP/2.0/TCP b.example\r\n\
             Via: SIP/2.0/UDP c.example;x=\"\\\"\"\r\n\
             From: \"A, \u{e4}\"  <sip:a@s.example>;tag=1;epid=0a\r\n\
             To: sip:bob@x.example;tag=t9\r\n\
             Call-ID: 1@s.example\r\n\
             CSeq: 0007   MESSAGE\r\n\
             Content-Length: 0\r\n\r\n"
        );
        assert_eq!(response.to_header().unwrap().tag(), Some("t9"));
    }

    #[test]
    fn a_tag_that_is_there_stays() {
        let response = Response::to(&request(), 200).with_to_tag(&Token::parse("one").unwrap());

        let response = response.with_to_tag(&Token::parse("two").unwrap());

        assert_eq!(response.to_header().unwrap().tag(), Some("one"));
        assert_eq!(response.headers().get(HeaderName::To), Some(&b"sip:bob@x.example;tag=one"[..]));
    }

    #[test]
    fn the_top_via_of_a_line_of_several_can_be_completed() {
        let mut request = request();
        let via = request.via().unwrap().received_from("192.0.2.9:4000".parse().unwrap());

        request.replace_via(via);

        assert_eq!(
            Response::to(&request, 100).headers().get(HeaderName::Via),
            Some(&b"SIP/2.0/TLS a.example;branch=z9hG4bK1;received=192.0.2.9, SIP/2.0/TCP b.example"[..])
        );
    }

    #[test]
    fn a_bad_header_is_named_in_the_answer() {
        let bad = BadHeader { name: HeaderName::Contact, what: "a quote is not closed" };

        let response = Response::bad_header(&request(), bad);

        assert_eq!(response.status(), 400);
        assert_eq!(response.reason(), "Bad Request - Contact: a quote is not closed");
    }

    fn request() -> Request {
        match parse_datagram(&Bytes::from_static(REQUEST.as_bytes()), &Limits::default()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }
}
