//! Answers that need no state.

use sip_proto::endpoint;
use sip_types::{HeaderName, HeaderText, Request, Response};
use translate::error::Failure;
use translate::message::ACCEPT;

/// The methods that are served.
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, MESSAGE, INFO, UPDATE, OPTIONS, SUBSCRIBE, NOTIFY";

/// Answers OPTIONS: what may be sent here (RFC 3261 §11.2).
pub fn options(request: &Request) -> Response {
    Response::to(request, 200).with(HeaderName::Allow, &text(ALLOW)).with(HeaderName::Accept, &text(ACCEPT))
}

/// Answers a method that is not served (RFC 3261 §21.4.6).
pub fn method_not_allowed(request: &Request) -> Response {
    Response::to(request, 405).with(HeaderName::Allow, &text(ALLOW))
}

/// Answers a request that requires an extension other than those `known` for it (RFC 3261 §8.2.2.3).
pub fn unmet_requirement(request: &Request, known: &[&str]) -> Option<Response> {
    let is_known = |tag: &str| known.iter().any(|known| tag.trim().eq_ignore_ascii_case(known));
    let required: Vec<_> = request
        .headers()
        .values(HeaderName::Require)
        .map(String::from_utf8_lossy)
        .filter(|tag| !is_known(tag))
        .collect();
    if required.is_empty() {
        return None;
    }
    let unsupported = HeaderText::clean(&required.join(", ")).text;
    Some(Response::to(request, 420).with(HeaderName::Unsupported, &unsupported))
}

/// Answers NEGOTIATE, by which a Microsoft server offers to compress the connection (MS-SIPCOMP §3.1): no, and the
/// connection lives on. Anything but a 200 with `Compression` is a no; which status pleases them best, an operator
/// may try.
pub fn no_compression(request: &Request, status: u16) -> Response {
    Response::to(request, status).with(HeaderName::Allow, &text(ALLOW))
}

/// Answers that the service is unavailable for a while (RFC 3261 §21.5.4).
pub fn unavailable(request: &Request, retry_after: u32) -> Response {
    Response::to(request, 503).with(HeaderName::RetryAfter, &text(&retry_after.to_string()))
}

/// Says a failure of the endpoint in translation's words.
pub fn failure(failure: &endpoint::Failure) -> Failure {
    match failure {
        endpoint::Failure::Timeout { .. } => Failure::TimedOut,
        endpoint::Failure::Certificate { .. } => Failure::Certificate(failure.to_string()),
        endpoint::Failure::Overloaded => Failure::Busy,
        endpoint::Failure::Unreachable { .. }
        | endpoint::Failure::Resting { .. }
        | endpoint::Failure::Cancelled
        | endpoint::Failure::NoTransport { .. } => Failure::Unreachable(failure.to_string()),
    }
}

fn text(value: &str) -> HeaderText {
    HeaderText::clean(value).text
}
