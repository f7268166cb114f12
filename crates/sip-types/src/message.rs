//! Requests and responses (RFC 3261 §7), read or made.

mod request;
mod response;

use bytes::Bytes;

pub use request::Request;
pub use response::Response;

use crate::header::{CSeq, CallId, ContentType, HeaderName, NameAddr, Via};
use crate::headers::Headers;
use crate::octets;

/// A SIP message (RFC 3261 §7).
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// The headers that make a transaction and a dialog, read.
#[derive(Clone, Debug)]
pub(crate) struct Essentials {
    /// The top Via; a request of our own has none until it is sent.
    pub(crate) via: Option<Via>,
    pub(crate) from: NameAddr,
    pub(crate) to: NameAddr,
    pub(crate) call_id: CallId,
    pub(crate) cseq: CSeq,
}

impl Message {
    /// Returns all headers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => request.headers(),
            Self::Response(response) => response.headers(),
        }
    }

    /// Returns the body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => request.body(),
            Self::Response(response) => response.body(),
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

/// Puts the body's type among the headers, in place of one that is there.
fn set_content_type(headers: &mut Headers, content_type: &ContentType) {
    headers.remove(HeaderName::ContentType);
    headers.push_put(HeaderName::ContentType, |out| content_type.put(out));
}

/// Appends headers, `Content-Length`, the empty line and the body.
fn put_rest(headers: &Headers, body: &Bytes, out: &mut Vec<u8>) {
    headers.put(out);
    out.extend_from_slice(b"Content-Length: ");
    octets::put_number(out, u32::try_from(body.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}
