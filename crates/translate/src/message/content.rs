//! What the body of a MESSAGE says: a text (RFC 7572 §7), typing, or what became of an earlier text.

use std::borrow::Cow;

use bytes::Bytes;
use clock_types::Date;
use sip_types::header::ContentType;
use sip_types::mime::{Cpim, MimeLimits, Part, UnknownCharset, decode_text, leaves};
use sip_types::{HeaderName, HeaderText, Request};
use xmpp_types::jid::Jid;

use super::NotificationRequest;
use crate::address::sender_to_jid;
use crate::date::parse_date_time;
use crate::error::Refusal;
use crate::html::text_of;
use crate::loss::{Loss, Losses};
use crate::session::{Signal, read_document};
use crate::text::clean_for_xml;

/// The media types that can cross, as an Accept header has them.
pub const ACCEPT: &str = "text/plain, text/html, message/cpim, multipart/alternative, multipart/mixed";

/// What a body says.
pub(crate) enum Content<'a> {
    /// A text for people.
    Text(Said<'a>),
    /// Something that their programs tell each other.
    Signal(Signal),
}

/// A text, and what its envelope says beside it.
pub(crate) struct Said<'a> {
    /// The text, fit for XML.
    pub(crate) text: Cow<'a, str>,
    /// The subject of a message/cpim envelope.
    pub(crate) subject: Option<String>,
    /// What a message/cpim envelope asks to be told.
    pub(crate) notification: Option<NotificationRequest>,
    /// When the text was written, by the envelope's word.
    pub(crate) written: Option<Date>,
}

/// Reads the body of `request`, which `sender` answers for.
pub(crate) fn content_of<'a>(
    request: &'a Request,
    sender: Option<&Jid>,
    losses: &mut Losses,
) -> Result<Content<'a>, Box<Refusal>> {
    let headers = request.headers();
    if headers.has(HeaderName::ContentEncoding) && !is_identity(request) {
        return Err(unsupported());
    }
    let kind = headers.content_type().map_err(|_| bad("Bad Content-Type"))?;
    content_of_entity(request.body(), kind.as_ref(), sender, losses)
}

/// Reads a body of this type, which `sender` answers for.
pub(crate) fn content_of_entity<'a>(
    body: &'a Bytes,
    kind: Option<&ContentType>,
    sender: Option<&Jid>,
    losses: &mut Losses,
) -> Result<Content<'a>, Box<Refusal>> {
    let mut reading = Reading { sender, losses, subject: None, notification: None, written: None };
    let found = match kind {
        // A body without a type is what clients of few headers send for text.
        None => Found::Text(reading.plain(None, body)?),
        Some(kind) => reading.body(kind, body, 0)?,
    };
    let Reading { subject, notification, written, .. } = reading;
    Ok(match found {
        Found::Text(text) => {
            let (text, removed) = clean_for_xml(text);
            losses.add_if(removed, Loss::Characters);
            Content::Text(Said { text, subject, notification, written })
        }
        Found::Signal(signal) => Content::Signal(signal),
    })
}

enum Found<'a> {
    Text(Cow<'a, str>),
    Signal(Signal),
}

impl Found<'_> {
    fn into_owned<'b>(self) -> Found<'b> {
        match self {
            Self::Text(text) => Found::Text(Cow::Owned(text.into_owned())),
            Self::Signal(signal) => Found::Signal(signal),
        }
    }
}

struct Reading<'a> {
    sender: Option<&'a Jid>,
    losses: &'a mut Losses,
    subject: Option<String>,
    notification: Option<NotificationRequest>,
    written: Option<Date>,
}

impl Reading<'_> {
    /// Reads a body of this kind, which stands `depth` bodies inside the whole.
    fn body<'b>(
        &mut self,
        kind: &ContentType,
        body: &'b Bytes,
        depth: usize,
    ) -> Result<Found<'b>, Box<Refusal>> {
        if kind.is("text/plain") {
            self.note_parameters(kind);
            return self.plain(kind.charset().as_deref(), body).map(Found::Text);
        }
        if kind.is("text/html") {
            self.losses.add(Loss::Formatting);
            let html = self.plain(kind.charset().as_deref(), body)?;
            return Ok(Found::Text(Cow::Owned(text_of(&html))));
        }
        if depth < DEPTH_MAX && kind.is("message/cpim") {
            return self.envelope(body, depth).map(Found::into_owned);
        }
        if depth < DEPTH_MAX && kind.is_multipart() {
            return self.multipart(kind, body, depth).map(Found::into_owned);
        }
        read_document(kind, body).map(Found::Signal).ok_or_else(unsupported)
    }

    fn plain<'b>(&mut self, charset: Option<&str>, body: &'b [u8]) -> Result<Cow<'b, str>, Box<Refusal>> {
        let decoded = decode_text(charset, body).map_err(|UnknownCharset| {
            let accept = Some(HeaderText::from_static("text/plain;charset=UTF-8"));
            Box::new(Refusal { accept, ..Refusal::because(415, "Unsupported Charset") })
        })?;
        self.losses.add_if(decoded.replaced, Loss::Octets);
        Ok(decoded.text)
    }

    /// Reads the first part that is plain text, else the first that can become text (RFC 2046 §5.1.4).
    fn multipart(
        &mut self,
        kind: &ContentType,
        body: &Bytes,
        depth: usize,
    ) -> Result<Found<'static>, Box<Refusal>> {
        let limits = MimeLimits { depth: DEPTH_MAX - depth, ..MimeLimits::default() };
        let parts = leaves(kind, body, &limits).map_err(|_| bad("Bad Multipart"))?;
        let rank = |part: &Part| {
            let kind = part.content_type().ok()?;
            READABLE.iter().position(|readable| kind.is(readable))
        };
        let best = parts.iter().filter_map(|part| Some((rank(part)?, part))).min_by_key(|(rank, _)| *rank);
        let (_, best) = best.ok_or_else(unsupported)?;
        self.losses.add_if(parts.len() > 1, Loss::Parts);
        self.part(best, depth)
    }

    fn part(&mut self, part: &Part, depth: usize) -> Result<Found<'static>, Box<Refusal>> {
        let kind = part.content_type().map_err(|_| bad("Bad Content-Type"))?;
        let body = part.decoded().ok_or_else(unsupported)?;
        self.body(&kind, &body, depth + 1).map(Found::into_owned)
    }

    /// Reads what is in an envelope whose From names the sender: whoever sends it answers for it with their own
    /// address, not with one that they wrote inside.
    fn envelope(&mut self, body: &Bytes, depth: usize) -> Result<Found<'static>, Box<Refusal>> {
        let envelope = Cpim::parse(body).map_err(|_| bad("Bad CPIM"))?;
        let inside = envelope.from().and_then(|uri| sender_to_jid(&uri).ok());
        let same =
            matches!((inside, self.sender), (Some(one), Some(other)) if one.to_bare() == other.to_bare());
        if !same {
            return Err(Box::new(Refusal::because(403, "CPIM From Differs From From")));
        }
        self.losses.add_if(says_more(&envelope), Loss::CpimHeaders);
        self.subject = envelope.subject();
        self.written = envelope.header("DateTime").and_then(|date| parse_date_time(date.trim()));
        if let Some(message_id) = envelope.header_of(IMDN, "Message-ID") {
            let wishes = envelope.header_of(IMDN, "Disposition-Notification").unwrap_or_default();
            let wants = |wish: &str| wishes.split(',').any(|found| found.trim().eq_ignore_ascii_case(wish));
            self.notification = Some(NotificationRequest {
                message_id: message_id.into_owned(),
                date_time: envelope.header("DateTime").unwrap_or_default().into_owned(),
                negative: wants("negative-delivery"),
                positive: wants("positive-delivery"),
                display: wants("display"),
            });
            self.losses.add_if(wants("processing"), Loss::Marker);
        }
        self.part(&envelope.content, depth)
    }

    fn note_parameters(&mut self, kind: &ContentType) {
        let known = |name: &str| ["charset", "format"].iter().any(|known| name.eq_ignore_ascii_case(known));
        let other = kind.params.iter().any(|param| !known(param.name));
        self.losses.add_if(other, Loss::ContentTypeParameters);
    }
}

/// Tells whether an envelope says more than who, to whom and about what; headers with a prefix say what its
/// sender asks to be told.
fn says_more(envelope: &Cpim) -> bool {
    const KNOWN: [&str; 7] = ["From", "To", "Subject", "NS", "DateTime", "Content-Type", "cc"];
    envelope.headers.iter().any(|line| {
        !line.written.contains('.') && !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(line.written))
    })
}

fn is_identity(request: &Request) -> bool {
    request
        .headers()
        .text(HeaderName::ContentEncoding)
        .is_some_and(|coding| coding.eq_ignore_ascii_case("identity"))
}

pub(crate) fn unsupported() -> Box<Refusal> {
    Box::new(Refusal { accept: Some(HeaderText::from_static(ACCEPT)), ..Refusal::new(415) })
}

fn bad(reason: &str) -> Box<Refusal> {
    Box::new(Refusal::because(400, reason))
}

/// How deep a text is looked for: an alternative in an envelope in a mixed body.
const DEPTH_MAX: usize = 3;

/// What a part must be to become the text of a message, the best first.
const READABLE: [&str; 3] = ["text/plain", "message/cpim", "text/html"];

/// The namespace of what an envelope asks to be told (RFC 5438 §6.1).
pub(crate) const IMDN: &str = "urn:ietf:params:imdn";
