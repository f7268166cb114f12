//! From a stanza error, or from a message that cannot cross, to a SIP final response (RFC 7247 §7.1).

use sip_types::header::NameAddr;
use sip_types::{HeaderName, HeaderText, Request, Response, Uri, reason_phrase};
use xmpp_types::jid::Jid;
use xmpp_types::stanza_error::{ErrorType, StanzaCondition, StanzaError};

use crate::address::{Profile, iri_to_jid, jid_to_sip};
use crate::loss::{Loss, Losses, Translated};
use crate::text::clean_for_header;

/// A final response that is not a success, as far as translation decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 3xx to 6xx; never 401, 407, 408 or 503.
    pub status: u16,
    /// The reason phrase.
    pub reason: HeaderText,
    /// The language of the reason phrase, if the error's text had one.
    pub language: Option<HeaderText>,
    /// Where the user is to be found instead (301 and 302).
    pub contact: Option<Uri>,
    /// The media types that can cross (415, RFC 3261 §21.4.13).
    pub accept: Option<HeaderText>,
}

impl Refusal {
    /// Returns a refusal with the usual reason phrase.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self::because(status, reason_phrase(status))
    }

    /// Returns a refusal with words of its own.
    #[must_use]
    pub fn because(status: u16, reason: &str) -> Self {
        let reason = HeaderText::clean(reason).text;
        Self { status, reason, language: None, contact: None, accept: None }
    }

    /// Returns the response to `request`. A 405 still lacks its `Allow`, which whoever answers knows best
    /// (RFC 3261 §21.4.6).
    #[must_use]
    pub fn response(&self, request: &Request) -> Response {
        let mut response = Response::to(request, self.status).with_reason(&self.reason);
        if let Some(language) = &self.language {
            response = response.with(HeaderName::ContentLanguage, language);
        }
        if let Some(contact) = &self.contact {
            response = response.with_contact(&NameAddr::new(contact.clone()));
        }
        if let Some(accept) = &self.accept {
            response = response.with(HeaderName::Accept, accept);
        }
        response
    }
}

/// The longest reason phrase, in octets: a response must fit a datagram beside its other headers.
const REASON_MAX: usize = 200;

/// Translates the error of a stanza that came back from `from`, the JID the error is about; `None` if the error
/// did not say.
#[must_use]
pub fn error_to_sip(error: &StanzaError, from: Option<&Jid>) -> Translated<Refusal> {
    let mut losses = Losses::NONE;
    let contact = new_address(error, &mut losses);
    let full = from.is_some_and(|jid| jid.resource().is_some());
    let status = condition_to_status(error.condition, error.kind, full, contact.is_some());
    losses.add_if(error.application.is_some(), Loss::ErrorDetail);
    let mut refusal = Refusal { contact, ..Refusal::new(status) };
    if let Some(text) = error.text.as_deref().filter(|text| !text.trim().is_empty()) {
        let line = clean_for_header(text, REASON_MAX);
        losses.add_if(line.breaks, Loss::LineBreaks);
        losses.add_if(line.controls, Loss::Characters);
        losses.add_if(line.shortened, Loss::Length);
        refusal.reason = HeaderText::clean(&line.text).text;
        refusal.language = error.lang.as_deref().and_then(language_header);
    }
    Translated { value: refusal, losses }
}

/// Returns the status for a condition. `full` tells whether the error is about a full JID, `moved` whether it
/// names a new address. The table is that of RFC 7247 §7.1, except for four codes that a gateway must not send:
/// 401 and 407 demand a challenge that it has not (403 is sent); 408 to a non-INVITE makes the client believe in
/// a timeout that happened elsewhere (RFC 4320 §4.2; 504 is sent); 503 makes the SIP server avoid the whole
/// gateway for one user's sake (§7.1 note 5; 403 is sent).
#[must_use]
pub const fn condition_to_status(
    condition: StanzaCondition,
    kind: ErrorType,
    full: bool,
    moved: bool,
) -> u16 {
    use StanzaCondition as C;
    match condition {
        C::BadRequest | C::Conflict | C::JidMalformed | C::SubscriptionRequired | C::UndefinedCondition => {
            400
        }
        C::FeatureNotImplemented if full => 405,
        C::FeatureNotImplemented => 501,
        C::Forbidden if full => 403,
        C::Forbidden => 603,
        C::Gone if moved => 301,
        C::Gone => 410,
        C::InternalServerError | C::ResourceConstraint => 500,
        C::ItemNotFound if full => 404,
        C::ItemNotFound => 604,
        C::NotAcceptable if full => 406,
        C::NotAcceptable => 606,
        C::NotAllowed | C::PolicyViolation | C::NotAuthorized | C::RegistrationRequired => 403,
        C::ServiceUnavailable => 403,
        C::RecipientUnavailable if full => 480,
        C::RecipientUnavailable => 600,
        // Without a new address a redirection leads nowhere.
        C::Redirect if moved => 302,
        C::Redirect => 480,
        // "It does not exist" or "it cannot be found now" (§7.1 note 4).
        C::RemoteServerNotFound if matches!(kind, ErrorType::Wait) => 504,
        C::RemoteServerNotFound => 404,
        C::RemoteServerTimeout => 504,
        // 491 says that it may be tried again (RFC 3261 §21.4.27).
        C::UnexpectedRequest if matches!(kind, ErrorType::Wait) => 491,
        C::UnexpectedRequest => 400,
    }
}

/// Returns a language tag as a header value, if it is one (RFC 5646 §2.1, as far as its characters go).
pub(crate) fn language_header(tag: &str) -> Option<HeaderText> {
    let well_formed = tag.len() <= 35
        && tag
            .split('-')
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        && tag.starts_with(|c: char| c.is_ascii_alphabetic());
    if well_formed { HeaderText::parse(tag).ok() } else { None }
}

fn new_address(error: &StanzaError, losses: &mut Losses) -> Option<Uri> {
    let address = error.address.as_deref()?.trim();
    let uri = match address.strip_prefix("xmpp:") {
        Some(iri) => iri_to_jid(iri).and_then(|jid| jid_to_sip(&jid, Profile::default()).ok()).map(Uri::Sip),
        None => Uri::parse(address).ok(),
    };
    losses.add_if(uri.is_none(), Loss::OtherContacts);
    uri
}
