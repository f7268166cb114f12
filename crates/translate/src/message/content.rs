//! The text in the body of a MESSAGE (RFC 7572 §7).

use std::borrow::Cow;

use sip_types::{HeaderName, HeaderText, Request};

use super::NotificationRequest;
use crate::address::sender_to_jid;
use crate::cpim::Envelope;
use crate::error::Refusal;
use crate::html::text_of;
use crate::loss::{Loss, Losses};
use crate::mime::{MediaType, Part, parts};
use crate::text::{UnknownCharset, clean_for_xml, decode};

/// The media types that can cross, as an Accept header has them.
pub const ACCEPT: &str = "text/plain, text/html, message/cpim, multipart/alternative, multipart/mixed";

/// What a body says.
pub(super) struct Content<'a> {
    /// The text, fit for XML.
    pub(super) text: Cow<'a, str>,
    /// The subject of a message/cpim envelope.
    pub(super) subject: Option<Cow<'a, str>>,
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
    let written = headers.text(HeaderName::ContentType);
    let text = match written {
        // A body without a type is what clients of few headers send for text.
        None => reading.plain(None, request.body())?,
        Some(Cow::Borrowed(written)) => reading.body(written, request.body(), 0)?,
        Some(Cow::Owned(_)) => return Err(unsupported()),
    };
    let (subject, notification) = (reading.subject, reading.notification);
    let (text, removed) = clean_for_xml(text);
    losses.add_if(removed, Loss::Characters);
    Ok(Content { text, subject, notification })
}

struct Reading<'a, 'l> {
    request: &'a Request,
    losses: &'l mut Losses,
    subject: Option<Cow<'a, str>>,
    notification: Option<NotificationRequest>,
}

impl<'a> Reading<'a, '_> {
    /// Reads a body of the type `written`, which stands `depth` bodies inside the request's own.
    fn body(&mut self, written: &str, body: &'a [u8], depth: usize) -> Result<Cow<'a, str>, Box<Refusal>> {
        let kind = MediaType::parse(written).ok_or_else(|| bad("Bad Content-Type"))?;
        if kind.is("text", "plain") {
            self.note_parameters(&kind);
            return self.plain(kind.parameter("charset").as_deref(), body);
        }
        if kind.is("text", "html") {
            self.losses.add(Loss::Formatting);
            let html = self.plain(kind.parameter("charset").as_deref(), body)?;
            return Ok(Cow::Owned(text_of(&html)));
        }
        if depth < DEPTH_MAX && kind.is("message", "cpim") {
            return self.envelope(body, depth);
        }
        if depth < DEPTH_MAX && kind.is_multipart() {
            let boundary = kind.parameter("boundary").ok_or_else(unsupported)?;
            return self.multipart(&parts(body, &boundary), depth);
        }
        Err(unsupported())
    }

    fn plain(&mut self, charset: Option<&str>, body: &'a [u8]) -> Result<Cow<'a, str>, Box<Refusal>> {
        let decoded = decode(charset, body).map_err(|UnknownCharset| {
            let accept = Some(HeaderText::from_static("text/plain;charset=UTF-8"));
            Box::new(Refusal { accept, ..Refusal::because(415, "Unsupported Charset") })
        })?;
        self.losses.add_if(decoded.replaced, Loss::Octets);
        Ok(decoded.text)
    }

    /// Reads the first part that is plain text, else the first that can become text (RFC 2046 §5.1.4).
    fn multipart(&mut self, parts: &[Part<'a>], depth: usize) -> Result<Cow<'a, str>, Box<Refusal>> {
        let rank = |part: &Part<'_>| {
            let Some(kind) = MediaType::parse(part.header("Content-Type").unwrap_or("text/plain")) else {
                return 9;
            };
            match (
                kind.is("text", "plain"),
                kind.is("text", "html"),
                kind.is_multipart() || kind.is("message", "cpim"),
            ) {
                (true, _, _) => 0,
                (_, _, true) => 1,
                (_, true, _) => 2,
                _ => 9,
            }
        };
        let best = parts
            .iter()
            .filter(|part| rank(part) < 9)
            .min_by_key(|part| rank(part))
            .ok_or_else(unsupported)?;
        self.losses.add_if(parts.len() > 1, Loss::Parts);
        self.part(best, depth)
    }

    fn part(&mut self, part: &Part<'a>, depth: usize) -> Result<Cow<'a, str>, Box<Refusal>> {
        let kind = part.header("Content-Type").unwrap_or("text/plain");
        match part.decoded().ok_or_else(unsupported)? {
            Cow::Borrowed(body) => self.body(kind, body, depth + 1),
            // What a transfer encoding hid is text or nothing: it is not taken apart further.
            Cow::Owned(body) => {
                let mut inner =
                    Reading { request: self.request, losses: self.losses, subject: None, notification: None };
                inner.body(kind, &body, DEPTH_MAX).map(|text| Cow::Owned(text.into_owned()))
            }
        }
    }

    /// Reads the text in an envelope whose From names the sender of the request: whoever sends it answers for it
    /// with their own address, not with one that they wrote inside.
    fn envelope(&mut self, body: &'a [u8], depth: usize) -> Result<Cow<'a, str>, Box<Refusal>> {
        let envelope = Envelope::parse(body).ok_or_else(|| bad("Bad CPIM"))?;
        let inside = envelope.sender().and_then(|uri| sip_types::Uri::parse(uri).ok());
        let inside = inside.and_then(|uri| sender_to_jid(&uri).ok());
        let outside = sender_to_jid(&self.request.from().uri).ok();
        let same = matches!((inside, outside), (Some(one), Some(other)) if one.to_bare() == other.to_bare());
        if !same {
            return Err(Box::new(Refusal::because(403, "CPIM From Differs From From")));
        }
        self.losses.add_if(envelope.says_more(), Loss::CpimHeaders);
        self.subject = envelope.subject();
        if let Some(message_id) = envelope.imdn("Message-ID") {
            let wishes = envelope.imdn("Disposition-Notification").unwrap_or_default();
            let wants = |wish: &str| wishes.split(',').any(|found| found.trim().eq_ignore_ascii_case(wish));
            self.notification = Some(NotificationRequest {
                message_id: message_id.to_owned(),
                date_time: envelope.date_time().unwrap_or_default().to_owned(),
                negative: wants("negative-delivery"),
                positive: wants("positive-delivery"),
            });
            self.losses.add_if(wants("display") || wants("processing"), Loss::Marker);
        }
        self.part(&envelope.content, depth)
    }

    fn note_parameters(&mut self, kind: &MediaType<'_>) {
        let known = |name: &str| ["charset", "format"].iter().any(|known| name.eq_ignore_ascii_case(known));
        let other = kind.parameters().any(|(name, _)| !known(name));
        self.losses.add_if(other, Loss::ContentTypeParameters);
    }
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
