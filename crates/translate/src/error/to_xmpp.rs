//! From a SIP final response, or from the lack of one, to a stanza error (RFC 7247 §7.2).

use sip_types::{HeaderName, Response, reason_phrase};
use xmpp_types::stanza_error::{ErrorType, StanzaCondition, StanzaError};

use super::diagnosis::Diagnosis;
use crate::address::{jid_as_iri, sip_to_jid};
use crate::loss::{Loss, Losses, Translated};
use crate::text::clean_for_xml;

/// Translates a final response that is not a success. The text begins with the status, because that is what
/// support asks for, and goes on with the peer's words: its reason phrase, Microsoft's diagnostics, the first
/// warning, and when to try again.
#[must_use]
pub fn response_to_xmpp(response: &Response) -> Translated<StanzaError> {
    let mut losses = Losses::NONE;
    let retry_after = response.headers().retry_after().ok().flatten();
    let (kind, condition) = match response.headers().warnings().iter().any(|warning| warning.code == BLOCKED)
    {
        true => (ErrorType::Modify, StanzaCondition::NotAcceptable),
        false => status_to_condition(response.status(), retry_after.is_some()),
    };
    let mut error = StanzaError::new(condition).with_type(kind);
    match condition {
        StanzaCondition::Gone if response.status() == 301 => {
            error.address = new_address(response, &mut losses).map(Into::into)
        }
        StanzaCondition::Redirect => error.address = new_address(response, &mut losses).map(Into::into),
        _ => {}
    }
    let text = text(response, retry_after, &mut losses);
    Translated { value: error.with_text(text), losses }
}

/// Returns the condition for a status, and the type that tells the sender's client what to do. `retry` tells
/// whether the response named a time to try again. The table is that of RFC 7247 §7.2.
#[must_use]
pub const fn status_to_condition(status: u16, retry: bool) -> (ErrorType, StanzaCondition) {
    use ErrorType::{Auth, Cancel, Modify, Wait};
    use StanzaCondition as C;
    match status {
        301 | 410 => (Cancel, C::Gone),
        380 => (Cancel, C::NotAcceptable),
        300..=399 => (Modify, C::Redirect),
        401 => (Auth, C::NotAuthorized),
        402 => (Auth, C::BadRequest),
        403 => (Auth, C::Forbidden),
        404 | 481 | 484 | 485 | 604 => (Cancel, C::ItemNotFound),
        405 | 420 | 439 | 501 => (Cancel, C::FeatureNotImplemented),
        406 | 415 | 416 | 488 | 606 => (Modify, C::NotAcceptable),
        407 => (Auth, C::RegistrationRequired),
        408 | 504 => (Wait, C::RemoteServerTimeout),
        413 | 414 | 513 => (if retry { Wait } else { Modify }, C::PolicyViolation),
        421 | 482 | 483 | 505 => (Cancel, C::NotAcceptable),
        423 => (Wait, C::ResourceConstraint),
        430 | 480 | 486 | 487 | 600 => (Wait, C::RecipientUnavailable),
        440 | 489 => (Cancel, C::PolicyViolation),
        491 => (Wait, C::UnexpectedRequest),
        // Every other 4xx, 400 and 493 among them.
        400..=499 => (if retry { Wait } else { Modify }, C::BadRequest),
        502 => (Wait, C::RemoteServerNotFound),
        503 => (Wait, C::InternalServerError),
        500..=599 => (if retry { Wait } else { Cancel }, C::InternalServerError),
        // 603 and every other 6xx; the user said no, for now if a time is named (RFC 3261 §21.6.2).
        600..=699 => (if retry { Wait } else { Cancel }, C::RecipientUnavailable),
        _ => (Cancel, C::UndefinedCondition),
    }
}

/// A Warning of Microsoft's filters: the text holds what policy forbids, such as a link. Another text would pass, whatever
/// the status says.
const BLOCKED: u16 = 309;

/// Why a request had no final response from the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No next hop could be reached, in words for people: `connection refused`.
    Unreachable(String),
    /// Somebody took the request and nobody answered in time (RFC 3261 §17.1.2, timers B and F).
    TimedOut,
    /// The next hop could not prove who it is, in words.
    Certificate(String),
    /// No SIP domain of that name is served here.
    UnknownDomain,
    /// Policy does not let these two talk, in words.
    NotAllowed(String),
    /// Too much is waiting already for that user or that domain.
    Busy,
    /// It was accepted, and its time ran out before it could be delivered; the last obstacle in words.
    Expired(String),
    /// The message, as a SIP request, is larger than its way allows (RFC 3428 §8).
    TooLarge {
        /// What the request would have.
        octets: usize,
        /// What it may have.
        octets_max: usize,
    },
}

/// Returns the stanza error for a failure on this side of the SIP peer.
#[must_use]
pub fn failure_to_xmpp(failure: &Failure) -> StanzaError {
    use StanzaCondition as C;
    let (kind, condition, text) = match failure {
        Failure::Unreachable(reason) => {
            (ErrorType::Wait, C::RemoteServerNotFound, format!("The SIP server cannot be reached: {reason}"))
        }
        Failure::TimedOut => {
            (ErrorType::Wait, C::RemoteServerTimeout, "The SIP server did not answer in time".to_owned())
        }
        Failure::Certificate(reason) => (
            ErrorType::Cancel,
            C::RemoteServerNotFound,
            format!("The SIP server's certificate is not accepted: {reason}"),
        ),
        Failure::UnknownDomain => {
            (ErrorType::Cancel, C::ItemNotFound, "No such SIP domain is served here".to_owned())
        }
        Failure::NotAllowed(reason) => (ErrorType::Cancel, C::NotAllowed, reason.clone()),
        Failure::Busy => (
            ErrorType::Wait,
            C::ResourceConstraint,
            "Too many messages are waiting for this contact".to_owned(),
        ),
        Failure::Expired(reason) => (
            ErrorType::Wait,
            C::RemoteServerTimeout,
            format!("The message could not be delivered in time: {reason}"),
        ),
        Failure::TooLarge { octets, octets_max } => (
            ErrorType::Modify,
            C::PolicyViolation,
            format!("The message is too long for SIP: {octets} octets, at most {octets_max} can cross"),
        ),
    };
    StanzaError::new(condition).with_type(kind).with_text(text)
}

fn text(response: &Response, retry_after: Option<u32>, losses: &mut Losses) -> String {
    let reason = response.reason().trim();
    let reason = if reason.is_empty() { reason_phrase(response.status()) } else { reason };
    let mut text = format!("{} {reason}", response.status());
    if let Some(words) =
        Diagnosis::of(response).map(|found| found.words()).or_else(|| warning(response, losses))
    {
        text.push_str(" (");
        text.push_str(&words);
        text.push(')');
    }
    if let Some(seconds) = retry_after {
        text.push_str(&format!("; try again in {seconds} s"));
    }
    let (text, removed) = clean_for_xml(text.into());
    losses.add_if(removed, Loss::Characters);
    text.into_owned()
}

fn warning(response: &Response, losses: &mut Losses) -> Option<String> {
    if !response.headers().has(HeaderName::Warning) {
        return None;
    }
    let mut warnings = response.headers().warnings().into_iter().filter(|warning| !warning.text.is_empty());
    let first = warnings.next();
    losses.add_if(first.is_none() || warnings.next().is_some(), Loss::Warning);
    first.map(|warning| format!("{}, {}", warning.text, warning.code))
}

/// Returns the new address that a redirection names, as an XMPP URI if it has one (RFC 7247 §7.2 note 1).
fn new_address(response: &Response, losses: &mut Losses) -> Option<String> {
    let contacts = response.headers().addresses(HeaderName::Contact).unwrap_or_default();
    losses.add_if(contacts.len() > 1, Loss::OtherContacts);
    let uri = &contacts.first()?.uri;
    let address = match sip_to_jid(uri) {
        Ok(jid) => format!("xmpp:{}", jid_as_iri(&jid)),
        Err(_) => uri.as_str().to_owned(),
    };
    Some(address)
}
