//! The text in the body of a MESSAGE (RFC 7572 §7).

use std::borrow::Cow;

use bytes::Bytes;
use sip_types::header::ContentType;
use sip_types::mime::{Cpim, MimeLimits, Part, UnknownCharset, decode_text, leaves};
use sip_types::{HeaderName, HeaderText, Request};

use super::NotificationRequest;
use crate::address::sender_to_jid;
use crate::error::Refusal;
use crate::html::text_of;
use crate::loss::{Loss, Losses};
use crate::text::clean_for_xml;

/// The media types that can cross, as an Accept header has them.
pub const ACCEPT: &str = "text/plain, text/html, message/cpim, multipart/alternative, multipart/mixed";

/// What a body says.
pub(super) struct Content<'a> {
    /// The text, fit for XML.
    pub(super) text: Cow<'a, str>,
    /// The subject of a message/cpim envelope.
    pub(super) subject: Option<String>,
    /// What a message/cpim envelope asks to be told.
    pub(super) notification: Option<NotificationRequest>,
}

/// Reads the body of `request`.
pub(super) fn content_of<'a>(request: &'a Request, losses: &mut Losses) -> Result<Content<'a>, Box<Refusal>> {
    let headers = request.headers();
    if headers.has(HeaderName::ContentEncoding) && !is_identity(request) {
        return Err(unsupported());
    }
    let mut reading = Reading { request, losses, subject: None, notification: None };
    let kind = headers.content_type().map_err(|_| bad("Bad Content-Type"))?;
    let text = match kind {
        // A body without a type is what clients of few headers send for text.
        None => reading.plain(None, request.body())?,
        Some(kind) => reading.body(&kind, request.body(), 0)?,
    };
    let (subject, notification) = (reading.subject, reading.notification);
    let (text, removed) = clean_for_xml(text);
    losses.add_if(removed, Loss::Characters);
    Ok(Content { text, subject, notification })
}

struct Reading<'a> {
    request: &'a Request,
    losses: &'a mut Losses,
    subject: Option<String>,
    notification: Option<NotificationRequest>,
}

impl Reading<'_> {
    /// Reads a body of this kind, which stands `depth` bodies inside the request's own.
    fn body<'b>(
        &mut self,
        kind: &ContentType,
        body: &'b Bytes,
        depth: usize,
    ) -> Result<Cow<'b, str>, Box<Refusal>> {
        if kind.is("text/plain") {
            self.note_parameters(kind);
            return self.plain(kind.charset().as_deref(), body);
        }
        if kind.is("text/html") {
            self.losses.add(Loss::Formatting);
            let html = self.plain(kind.charset().as_deref(), body)?;
            return Ok(Cow::Owned(text_of(&html)));
        }
        if depth < DEPTH_MAX && kind.is("message/cpim") {
            return self.envelope(body, depth).map(Cow::Owned);
        }
        if depth < DEPTH_MAX && kind.is_multipart() {
            return self.multipart(kind, body, depth).map(Cow::Owned);
        }
        Err(unsupported())
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
    fn multipart(&mut self, kind: &ContentType, body: &Bytes, depth: usize) -> Result<String, Box<Refusal>> {
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

    fn part(&mut self, part: &Part, depth: usize) -> Result<String, Box<Refusal>> {
        let kind = part.content_type().map_err(|_| bad("Bad Content-Type"))?;
        let body = part.decoded().ok_or_else(unsupported)?;
        self.body(&kind, &body, depth + 1).map(Cow::into_owned)
    }

    /// Reads the text in an envelope whose From names the sender of the request: whoever sends it answers for it
    /// with their own address, not with one that they wrote inside.
    fn envelope(&mut self, body: &Bytes, depth: usize) -> Result<String, Box<Refusal>> {
        let envelope = Cpim::parse(body).map_err(|_| bad("Bad CPIM"))?;
        let inside = envelope.from().and_then(|uri| sender_to_jid(&uri).ok());
        let outside = sender_to_jid(&self.request.from().uri).ok();
        let same = matches!((inside, outside), (Some(one), Some(other)) if one.to_bare() == other.to_bare());
        if !same {
            return Err(Box::new(Refusal::because(403, "CPIM From Differs From From")));
        }
        self.losses.add_if(says_more(&envelope), Loss::CpimHeaders);
        self.subject = envelope.subject();
        if let Some(message_id) = envelope.header_of(IMDN, "Message-ID") {
            let wishes = envelope.header_of(IMDN, "Disposition-Notification").unwrap_or_default();
            let wants = |wish: &str| wishes.split(',').any(|found| found.trim().eq_ignore_ascii_case(wish));
            self.notification = Some(NotificationRequest {
                message_id: message_id.into_owned(),
                date_time: envelope.header("DateTime").unwrap_or_default().into_owned(),
                negative: wants("negative-delivery"),
                positive: wants("positive-delivery"),
            });
            self.losses.add_if(wants("display") || wants("processing"), Loss::Marker);
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

fn unsupported() -> Box<Refusal> {
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
const IMDN: &str = "urn:ietf:params:imdn";
