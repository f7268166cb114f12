//! What an XMPP user says, as a session carries it.

use bytes::Bytes;
use clock_types::Date;
use sip_types::header::{ContentType, NameAddr};
use sip_types::{HeaderName, HeaderText, Method, Request};
use xmpp_types::ns;
use xmpp_types::xml::Element;

use super::disposition::cpim;
use super::typing::ChatState;
use crate::message::MessageToSip;
use crate::payload::is_copy;

/// What one request in a session carries, or one MSRP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionBody {
    /// MESSAGE or INFO; MSRP knows SEND only.
    pub method: Method,
    /// What the body is.
    pub content_type: ContentType,
    /// The body.
    pub body: Bytes,
}

impl SessionBody {
    /// Returns `request`, made in the dialog for [`SessionBody::method`], with this body.
    #[must_use]
    pub fn put_into(self, request: Request) -> Request {
        request.with_body(&self.content_type, self.body)
    }
}

/// Returns a message as a session carries it: its text and its type alone. The subject, the language and the date are
/// headers that the peers of sessions do not show; [`MessageToSip::session_headers`] has them for those that might.
#[must_use]
pub fn text_to_session(message: &MessageToSip) -> SessionBody {
    SessionBody {
        method: Method::Message,
        content_type: message.content_type.clone(),
        body: message.body.clone(),
    }
}

impl MessageToSip {
    /// Returns the headers that a MESSAGE in a session has beside those of the dialog: Subject, Date,
    /// Content-Language.
    #[must_use]
    pub fn session_headers(&self) -> Vec<(HeaderName, HeaderText)> {
        let mut headers = Vec::new();
        if let Some(subject) = &self.subject {
            headers.push((HeaderName::Subject, subject.clone()));
        }
        if let Some(date) = self.date {
            headers.push((HeaderName::Date, HeaderText::clean(&date.to_sip_date()).text));
        }
        if let Some(language) = &self.content_language {
            headers.push((HeaderName::ContentLanguage, language.clone()));
        }
        headers
    }
}

/// What the sender of a message wants to hear of it from its receiver's device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// That it arrived, or did not (XEP-0184 `request`).
    pub delivery: bool,
    /// That it was seen (XEP-0333 `markable`).
    pub display: bool,
}

/// Returns a message in an envelope, for a peer that accepts `message/cpim`: with its name, its date, its subject, and
/// what its sender wants to be told (RFC 3862, RFC 5438 §7.1.1). `id` is the name by which the peer will speak of it.
#[must_use]
pub fn text_to_envelope(message: &MessageToSip, id: &str, wishes: Wishes, now: Date) -> SessionBody {
    let said = text_to_session(message);
    let date = message.date.unwrap_or(now);
    let subject = message.subject.as_ref();
    Envelope { from: &message.from, to: &message.to, subject, date, id, wishes }.around(&said)
}

/// What a `message/cpim` envelope says around a body.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Who says it.
    pub from: &'a NameAddr,
    /// To whom.
    pub to: &'a NameAddr,
    /// What it is about.
    pub subject: Option<&'a HeaderText>,
    /// When it was said.
    pub date: Date,
    /// The name by which the peer will speak of it; written where anything is wished.
    pub id: &'a str,
    /// What its sender wants to be told.
    pub wishes: Wishes,
}

impl Envelope<'_> {
    /// Returns the body inside the envelope.
    #[must_use]
    pub fn around(&self, said: &SessionBody) -> SessionBody {
        let mut envelope = String::with_capacity(256 + said.body.len());
        let mut line = |name: &str, value: &str| {
            envelope.push_str(name);
            envelope.push_str(": ");
            envelope.push_str(HeaderText::clean(value).text.as_str());
            envelope.push_str("\r\n");
        };
        line("From", &format!("<{}>", self.from.uri.as_str()));
        line("To", &format!("<{}>", self.to.uri.as_str()));
        line("DateTime", &self.date.to_string());
        if let Some(subject) = self.subject {
            // A backslash begins an escape there (RFC 3862 §2.3.2).
            line("Subject", &subject.as_str().replace('\\', "\\\\"));
        }
        if self.wishes != Wishes::default() {
            line("NS", "imdn <urn:ietf:params:imdn>");
            line("imdn.Message-ID", self.id);
            let wanted = match (self.wishes.delivery, self.wishes.display) {
                (true, true) => "positive-delivery, negative-delivery, display",
                (true, false) => "positive-delivery, negative-delivery",
                (false, _) => "display",
            };
            line("imdn.Disposition-Notification", wanted);
        }
        envelope.push_str("\r\nContent-Type: ");
        envelope.push_str(&said.content_type.to_string());
        envelope.push_str("\r\n\r\n");
        let mut body = envelope.into_bytes();
        body.extend_from_slice(&said.body);
        SessionBody { method: Method::Message, content_type: cpim(), body: Bytes::from(body) }
    }
}

/// What a message stanza says to programs, beside a text or without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// What its sender does in the conversation (XEP-0085). Whoever sends any shows that they want to hear such.
    pub chat_state: Option<ChatState>,
    /// The id of a message that arrived (XEP-0184).
    pub received: Option<String>,
    /// The id of a message that was seen (XEP-0333).
    pub displayed: Option<String>,
    /// What its sender wants to be told of this message.
    pub wishes: Wishes,
}

/// Reads the signals in a message stanza; none are in an error, in what a room sends, or in a copy (XEP-0280, XEP-0313).
#[must_use]
pub fn signals_of(stanza: &Element) -> Signals {
    let mut signals = Signals::default();
    if matches!(stanza.attr("type"), Some("error" | "groupchat")) || stanza.elements().any(is_copy) {
        return signals;
    }
    let id = |child: &Element| child.attr("id").filter(|id| !id.is_empty()).map(str::to_owned);
    for child in stanza.elements() {
        match (child.namespace(), child.name()) {
            (ns::CHAT_STATES, _) => {
                signals.chat_state = signals.chat_state.or_else(|| ChatState::of_element(child));
            }
            (ns::RECEIPTS, "request") => signals.wishes.delivery = true,
            (ns::RECEIPTS | ns::MARKERS, "received") => signals.received = id(child),
            (ns::MARKERS, "displayed" | "acknowledged") => signals.displayed = id(child),
            (ns::MARKERS, "markable") => signals.wishes.display = true,
            _ => {}
        }
    }
    signals
}
