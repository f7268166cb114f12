//! Instant messages in page mode (RFC 7572): one stanza, one MESSAGE request (RFC 3428).

pub(crate) mod content;
mod report;
mod to_sip;
pub(crate) mod to_xmpp;

use std::fmt;

use bytes::Bytes;
use clock_types::Date;
use sip_types::header::{CallId, ContentType, NameAddr};
use sip_types::{HeaderName, HeaderText, Method, Request, SipUri};
use xmpp_types::jid::Jid;
use xmpp_types::stanza_error::StanzaError;
use xmpp_types::xml::Element;

use crate::address::Profile;
use crate::session::Heard;

pub use content::ACCEPT;
pub use report::{FailureReport, disposition_message, failure_report_to_sip};
pub use to_sip::message_to_sip;
pub use to_xmpp::message_to_xmpp;

/// The most octets a MESSAGE request may have where a hop may be a datagram (RFC 3428 §8).
pub const DATAGRAM_MAX: usize = 1300;

/// How messages cross to one SIP domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSipOptions {
    /// How addresses are shown.
    pub profile: Profile,
    /// What becomes of a message of type `headline`.
    pub headline: Headline,
    /// The most octets of text; more is refused with `policy-violation` (RFC 7572 §6).
    pub body_max: usize,
    /// Whether a hop may be a datagram: then the whole request must not exceed [`DATAGRAM_MAX`] octets.
    pub datagram: bool,
    /// What Via and Route will add to the request, in octets; counted only with `datagram`.
    pub transport_octets: usize,
    /// What stands before the text of a correction (XEP-0308), so that the reader knows it is one.
    pub correction_prefix: String,
}

impl Default for ToSipOptions {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            headline: Headline::Deliver,
            body_max: 8192,
            datagram: false,
            transport_octets: 200,
            correction_prefix: "* ".to_owned(),
        }
    }
}

/// What becomes of a message that expects no answer and is shown once: news, alerts (RFC 6121 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Headline {
    /// It crosses like any other.
    Deliver,
    /// It ends here, silently.
    Drop,
    /// Its sender gets `feature-not-implemented`.
    Refuse,
}

/// What a message stanza is on the SIP side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToSip {
    /// A MESSAGE request.
    Message(Box<MessageToSip>),
    /// Nothing: it says nothing that a person reads. Not an error; the sender hears nothing.
    NotAMessage(NotAMessage),
    /// It must not cross, and its sender must know. Nothing answers a stanza of type `error`, and there is none
    /// of these for one.
    Refused(StanzaError),
}

/// Why a message stanza has nothing for a SIP user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotAMessage {
    /// It is the error of another stanza, and no error crosses as a text (RFC 6120 §8.3.1).
    Error,
    /// A copy of a message, or a result from an archive (XEP-0280, XEP-0313): a text in it was never said to
    /// this user.
    Copy,
    /// Typing, receipts, markers, reactions, pushed events: no text.
    NoText,
    /// A headline, and the route's policy is to drop them.
    Headline,
}

impl fmt::Display for NotAMessage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Error => "it is the error of another stanza",
            Self::Copy => "it is a copy, or from an archive",
            Self::NoText => "it has no text",
            Self::Headline => "it is a headline, and these are dropped",
        })
    }
}

/// A MESSAGE request in its parts. What it does not have, the transport adds: Via, Route, User-Agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageToSip {
    /// The sender.
    pub from_jid: Jid,
    /// The recipient.
    pub to_jid: Jid,
    /// The id of the stanza, for the error or the receipt that answers it.
    pub id: Option<String>,
    /// Whether the sender asked to be told when it is seen (XEP-0333); only a peer that speaks IMDN can tell.
    pub display_requested: bool,
    /// Whether the sender asked for a receipt (XEP-0184); it may be sent only when a user agent's 200 came.
    pub receipt_requested: bool,
    /// Request-URI.
    pub request_uri: SipUri,
    /// From, with its tag; the same again for the same stanza.
    pub from: NameAddr,
    /// To, without a tag.
    pub to: NameAddr,
    /// The thread, or a hash that is the same again for the same stanza.
    pub call_id: CallId,
    /// The subject in one line.
    pub subject: Option<HeaderText>,
    /// The language of the text.
    pub content_language: Option<HeaderText>,
    /// When it was said, if that was not now (XEP-0203).
    pub date: Option<Date>,
    /// What the body is: `text/plain;charset=UTF-8`, except in a notification.
    pub content_type: ContentType,
    /// What the body is for; `None` for a text.
    pub content_disposition: Option<HeaderText>,
    /// The text.
    pub body: Bytes,
}

impl MessageToSip {
    /// Returns the request, without Via and Route. There is no Contact in it (RFC 3428 §4).
    #[must_use]
    pub fn into_request(self) -> Request {
        let mut request = Request::new(
            Method::Message,
            self.request_uri.into(),
            self.from,
            self.to,
            self.call_id,
            // Each message of a thread has a From tag of its own, so its numbers start anew.
            1,
        );
        if let Some(subject) = &self.subject {
            request = request.with(HeaderName::Subject, subject);
        }
        if let Some(date) = self.date {
            request = request.with(HeaderName::Date, &HeaderText::clean(&date.to_sip_date()).text);
        }
        if let Some(language) = &self.content_language {
            request = request.with(HeaderName::ContentLanguage, language);
        }
        if let Some(disposition) = &self.content_disposition {
            request = request.with(HeaderName::ContentDisposition, disposition);
        }
        request.with_body(&self.content_type, self.body)
    }
}

/// Returns the octets that `request` has on the wire, when Via and Route add `transport_octets`.
#[must_use]
pub fn message_size(request: &Request, transport_octets: usize) -> usize {
    let mut octets = Vec::with_capacity(DATAGRAM_MAX);
    request.print(&mut octets);
    octets.len() + transport_octets
}

/// How messages cross to XMPP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToXmppOptions {
    /// The type of the stanza.
    pub kind: MessageKind,
    /// The most octets of a body; more is refused with 413.
    pub body_max: usize,
}

impl Default for ToXmppOptions {
    fn default() -> Self {
        Self { kind: MessageKind::Normal, body_max: 128 * 1024 }
    }
}

/// The type of a message stanza that was a MESSAGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// No type, which is `normal`: what RFC 7572 §5 asks for, and the default.
    Normal,
    /// `chat`, which most clients show in the conversation instead of a window of its own.
    Chat,
}

/// What a MESSAGE request is on the XMPP side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToXmpp {
    /// A message stanza.
    Message(Box<MessageToXmpp>),
    /// Typing, or what became of an earlier message (RFC 3994 §4, RFC 5438): no text, and nothing to be kept. The
    /// request is answered 200.
    Signal(Box<SignalToXmpp>),
    /// Nothing: the text is empty. The request is answered 200, because nothing of it failed to arrive.
    Empty,
}

/// A message stanza, and what else the gateway needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageToXmpp {
    /// The sender.
    pub from: Jid,
    /// The recipient: bare, unless the Request-URI had a `gr`.
    pub to: Jid,
    /// The id of the stanza; the same again for the same request, however often and by whatever way it came.
    pub id: String,
    /// The stanza.
    pub stanza: Element,
    /// What the sender wants to be told (RFC 5438).
    pub notification: Option<NotificationRequest>,
    /// When it was written, by the sender's word (RFC 3261 §20.17, RFC 3862 §4.3). Many send this with every
    /// message, so it is a delay only if that was long ago.
    pub written: Option<Date>,
}

/// What a program tells another in a MESSAGE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalToXmpp {
    /// The sender.
    pub from: Jid,
    /// The recipient.
    pub to: Jid,
    /// What is told; never a text.
    pub heard: Heard,
}

/// What a message/cpim envelope asks to be told about its message (RFC 5438 §7.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationRequest {
    /// The name of the message there.
    pub message_id: String,
    /// Its date, to be given back as it stands.
    pub date_time: String,
    /// Whether a failure is to be told.
    pub negative: bool,
    /// Whether a success is to be told.
    pub positive: bool,
    /// Whether it is to be told that the message was seen.
    pub display: bool,
}
