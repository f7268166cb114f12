//! Requests and responses.

use bytes::Bytes;

use crate::header::{CSeq, CallId, ContentType, HeaderName, NameAddr, Via};
use crate::headers::Headers;
use crate::malformed::BadHeader;
use crate::method::Method;
use crate::text::{HeaderText, Text, Token};
use crate::uri::Uri;

/// A SIP message (RFC 3261 §7).
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request. The five headers that make a transaction and a dialog are always there and well-formed.
#[derive(Clone, Debug)]
pub struct Request {
    uri: Uri,
    headers: Headers,
    body: Bytes,
    essentials: Essentials,
}

/// A response. The five headers that make a transaction and a dialog are always there and well-formed,
/// unless it answers something malformed ([`crate::Malformed::into_answer`]).
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    reason: Text,
    headers: Headers,
    body: Bytes,
    essentials: Option<Essentials>,
}

#[derive(Clone, Debug)]
struct Essentials {
    via: Option<Via>,
    from: NameAddr,
    to: NameAddr,
    call_id: CallId,
    cseq: CSeq,
}

impl Request {
    /// Returns a request with these essentials, `Max-Forwards: 70`, no Via and no body.
    #[must_use]
    pub fn new(
        _method: Method,
        _uri: Uri,
        _from: NameAddr,
        _to: NameAddr,
        _call_id: CallId,
        _cseq: u32,
    ) -> Self {
        unimplemented!()
    }

    /// Returns the request with a further header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &HeaderText) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Returns the request with a Contact.
    #[must_use]
    pub fn with_contact(self, _contact: &NameAddr) -> Self {
        unimplemented!()
    }

    /// Returns the request with a body and its type.
    #[must_use]
    pub fn with_body(self, _content_type: &ContentType, _body: Bytes) -> Self {
        unimplemented!()
    }

    /// Returns the request with this `Max-Forwards`.
    #[must_use]
    pub fn with_max_forwards(self, _hops: u8) -> Self {
        unimplemented!()
    }

    /// Puts a Via above those that are there.
    pub fn push_via(&mut self, _via: Via) {
        unimplemented!()
    }

    /// Replaces the top Via: another try of the same request, or `received` and `rport` filled in.
    pub fn replace_via(&mut self, _via: Via) {
        unimplemented!()
    }

    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.essentials.cseq.method
    }

    /// Returns the Request-URI.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the top Via; always there in a received request.
    #[must_use]
    pub const fn via(&self) -> Option<&Via> {
        self.essentials.via.as_ref()
    }

    /// Returns From.
    #[must_use]
    pub const fn from(&self) -> &NameAddr {
        &self.essentials.from
    }

    /// Returns To.
    #[must_use]
    pub const fn to(&self) -> &NameAddr {
        &self.essentials.to
    }

    /// Returns Call-ID.
    #[must_use]
    pub const fn call_id(&self) -> &CallId {
        &self.essentials.call_id
    }

    /// Returns CSeq.
    #[must_use]
    pub const fn cseq(&self) -> &CSeq {
        &self.essentials.cseq
    }

    /// Returns all headers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns the headers to change them. The essential five have their own verbs: do not push or remove them here.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// Returns the body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Appends the request as it goes on the wire.
    pub fn print(&self, _out: &mut Vec<u8>) {
        unimplemented!()
    }
}

impl Response {
    /// Returns a response to `request` with Via, From, To, Call-ID and CSeq octet for octet (RFC 3261 §8.2.6.2).
    #[must_use]
    pub fn to(_request: &Request, _status: u16) -> Self {
        unimplemented!()
    }

    /// Returns the 400 that says which header of `request` is bad.
    #[must_use]
    pub fn bad_header(_request: &Request, _bad: BadHeader) -> Self {
        unimplemented!()
    }

    /// Returns the response with this tag in To, if To has none.
    #[must_use]
    pub fn with_to_tag(self, _tag: &Token) -> Self {
        unimplemented!()
    }

    /// Returns the response with this reason phrase.
    #[must_use]
    pub fn with_reason(self, _reason: &HeaderText) -> Self {
        unimplemented!()
    }

    /// Returns the response with a further header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &HeaderText) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Returns the response with a Contact.
    #[must_use]
    pub fn with_contact(self, _contact: &NameAddr) -> Self {
        unimplemented!()
    }

    /// Returns the response with a body and its type.
    #[must_use]
    pub fn with_body(self, _content_type: &ContentType, _body: Bytes) -> Self {
        unimplemented!()
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
        self.essentials.as_ref().and_then(|essentials| essentials.via.as_ref())
    }

    /// Returns From; `None` only in an answer to something malformed.
    #[must_use]
    pub fn from(&self) -> Option<&NameAddr> {
        self.essentials.as_ref().map(|essentials| &essentials.from)
    }

    /// Returns To; `None` only in an answer to something malformed.
    #[must_use]
    pub fn to_header(&self) -> Option<&NameAddr> {
        self.essentials.as_ref().map(|essentials| &essentials.to)
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

    /// Returns the headers to change them. The essential five have their own verbs: do not push or remove them here.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// Returns the body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Appends the response as it goes on the wire.
    pub fn print(&self, _out: &mut Vec<u8>) {
        unimplemented!()
    }
}

impl Message {
    /// Returns all headers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// Appends the message as it goes on the wire.
    pub fn print(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request(request) => request.print(out),
            Self::Response(response) => response.print(out),
        }
    }
}
