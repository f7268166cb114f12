//! SIP as values: URIs, messages, headers, framing, documents.
//!
//! Nothing here waits, sends or decides. A received message keeps the octets it came in, and its
//! parts are views of them; a message of our own is made of typed values only, so that no text of a
//! stranger can become a header (RFC 3261 §7, §20, §25).

pub mod framing;
pub mod header;
mod headers;
mod malformed;
pub mod message;
mod method;
pub mod mime;
pub mod msrp;
mod octets;
mod params;
mod parse;
mod reason;
pub mod sdp;
mod text;
pub mod uri;

pub use framing::{Frame, Limits, StreamFramer, parse_datagram};
pub use header::HeaderName;
pub use headers::{Headers, Line, Values, Verbatim};
pub use malformed::{BadHeader, Malformed};
pub use message::{Message, Request, Response};
pub use method::Method;
pub use params::{Param, Params, unquote};
pub use reason::reason_phrase;
pub use text::{Cleaned, ForbiddenCharacter, HeaderText, Text, Token};
pub use uri::{Host, SipUri, Uri};
