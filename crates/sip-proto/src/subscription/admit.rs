//! What a SUBSCRIBE asks for, and whether it can have it (RFC 6665 §4.2.1).

use sip_types::header::{Event, HeaderName};
use sip_types::{HeaderText, Request, Response};

use super::Settings;

/// What a SUBSCRIBE that can be served asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The package, and the `id` to echo.
    pub event: Event,
    /// The seconds that are granted; 0 ends a subscription, or only asks once.
    pub expires: u32,
}

/// Octets of an `id` that is echoed.
const ID_MAX: usize = 128;

/// Seconds in an hour: a request for so many is never too brief (RFC 6665 §4.2.1.1).
const NEVER_TOO_BRIEF: u32 = 3600;

/// Seconds that a SUBSCRIBE without Expires means (RFC 3856 §6.4).
const UNLESS_ASKED: u32 = 3600;

/// Reads a SUBSCRIBE. What it offers to support (`ms-benotify`, `eventlist`) and its body are not asked for.
///
/// # Errors
/// The answer that refuses it: 489 to another package, 406 when it takes no document that `accepts`
/// names, 423 when it is too brief, 400 to one that cannot be read or remembered.
pub fn admit(request: &Request, settings: &Settings, accepts: &str) -> Result<Asked, Box<Response>> {
    let refuse = |status| Box::new(Response::to(request, status));
    let headers = request.headers();
    let bad = |header| Box::new(Response::bad_header(request, header));
    let event = headers.event().map_err(bad)?;
    let Some(event) = event.filter(|event| event.package == settings.event.package) else {
        let allowed = HeaderText::from(settings.event.package.clone());
        return Err(Box::new(refuse(489).with(HeaderName::AllowEvents, &allowed)));
    };
    // It is kept and echoed for as long as the subscription lives.
    if event.id.as_ref().is_some_and(|id| id.as_str().len() > ID_MAX) {
        let reason = HeaderText::from_static("Bad Event: its id is too long");
        return Err(Box::new(refuse(400).with_reason(&reason)));
    }
    if !takes(request, accepts) {
        return Err(refuse(406));
    }
    let wanted = headers.expires().map_err(bad)?.unwrap_or(UNLESS_ASKED);
    if wanted != 0 && wanted < settings.expires_min && wanted < NEVER_TOO_BRIEF {
        let least = HeaderText::from(settings.expires_min);
        return Err(Box::new(refuse(423).with(HeaderName::MinExpires, &least)));
    }
    Ok(Asked { event, expires: wanted.min(settings.expires_max) })
}

/// Tells whether the subscriber takes documents of this type; whoever names none does (RFC 3856 §6.7).
fn takes(request: &Request, accepts: &str) -> bool {
    let mut values = request.headers().values(HeaderName::Accept).peekable();
    let family = accepts.split('/').next().unwrap_or_default();
    values.peek().is_none()
        || values.any(|value| {
            let value = String::from_utf8_lossy(value);
            let media = value.split(';').next().unwrap_or_default().trim();
            media == "*/*"
                || media.eq_ignore_ascii_case(accepts)
                || media.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(family))
        })
}
