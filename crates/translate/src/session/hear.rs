//! What a peer says in a session.

use bytes::Bytes;
use clock_types::Date;
use sip_types::header::ContentType;
use sip_types::{Request, Text};
use xmpp_types::jid::Jid;

use super::disposition::Disposition;
use super::document::Signal;
use super::typing::Typing;
use crate::error::Refusal;
use crate::loss::{Loss, Losses, Translated};
use crate::message::NotificationRequest;
use crate::message::content::{Content, Said, content_of, content_of_entity, unsupported};
use crate::message::to_xmpp::{Words, id_of};

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A text for people.
    Text(Box<HeardText>),
    /// Somebody types, or stopped.
    Typing(Typing),
    /// What became of an earlier message of ours.
    Disposition(Disposition),
    /// Nothing that is passed on. It is answered 200, because nothing of it failed to arrive.
    Ignored(Ignored),
}

/// Why nothing is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// There is no text, or an empty one: what opens a session, or keeps it open.
    Empty,
    /// A document that says nothing to a user, or cannot be read.
    Document,
}

/// A text and what was said beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardText {
    /// The id of its stanza; the same again for the same message, however often it came.
    pub id: String,
    /// The text, fit for XML, never empty.
    pub text: String,
    /// What it is about.
    pub subject: Option<String>,
    /// Its language tag.
    pub language: Option<String>,
    /// When it was written, by the sender's word: many send this with every message, so it is a delay only if
    /// that was long ago.
    pub written: Option<Date>,
    /// What the sender wants to be told (RFC 5438).
    pub notification: Option<NotificationRequest>,
}

/// Reads a MESSAGE in a session; `sender` is who answers for it.
///
/// # Errors
/// The final response that tells the sender why nothing is delivered: 415 with what can be (RFC 3261 §21.4.13), 413,
/// 400, or 403 for an envelope of somebody else.
pub fn hear(request: &Request, sender: &Jid, body_max: usize) -> Result<Translated<Heard>, Box<Refusal>> {
    if request.body().len() > body_max {
        return Err(Box::new(Refusal::new(413)));
    }
    let mut losses = Losses::NONE;
    let heard = match content_of(request, Some(sender), &mut losses)? {
        Content::Signal(signal) => heard_signal(signal),
        Content::Text(said) if said.text.is_empty() => Heard::Ignored(Ignored::Empty),
        Content::Text(said) => {
            let words = Words::read(request, said.subject.as_deref(), &mut losses);
            let text = HeardText {
                id: id_of(request),
                subject: words.subject.as_deref().map(str::to_owned),
                language: words.language,
                written: said.written.or(words.date),
                text: said.text.into_owned(),
                notification: said.notification,
            };
            Heard::Text(Box::new(text))
        }
    };
    Ok(Translated { value: heard, losses })
}

/// Reads what an INFO in a session says: typing, or nothing. Bodies that nobody here knows are no error, as they are
/// about the conversation's window, its subject, its members.
///
/// # Errors
/// 415 for a request to join in a conference of the older kind, which would wait for an answer.
pub fn hear_information(request: &Request) -> Result<Heard, Box<Refusal>> {
    let kind = request.headers().content_type().ok().flatten();
    if kind.is_some_and(|kind| kind.is("application/x-ms-mim")) {
        return Err(unsupported());
    }
    let mut losses = Losses::NONE;
    match content_of(request, None, &mut losses) {
        Ok(Content::Signal(signal)) => Ok(heard_signal(signal)),
        Ok(Content::Text(_)) | Err(_) => Ok(Heard::Ignored(Ignored::Document)),
    }
}

/// Reads the body of a message that came another way than in a MESSAGE, such as by MSRP; `id` is what its stanza will
/// be called.
///
/// # Errors
/// As of [`hear`].
pub fn hear_body(
    content_type: Option<&str>,
    body: &Bytes,
    sender: &Jid,
    id: &str,
    body_max: usize,
) -> Result<Translated<Heard>, Box<Refusal>> {
    if body.len() > body_max {
        return Err(Box::new(Refusal::new(413)));
    }
    let mut losses = Losses::NONE;
    let kind = match content_type {
        None => None,
        Some(text) => Some(ContentType::parse(Text::from(text)).ok_or_else(unsupported)?),
    };
    let heard = match content_of_entity(body, kind.as_ref(), Some(sender), &mut losses)? {
        Content::Signal(signal) => heard_signal(signal),
        Content::Text(said) if said.text.is_empty() => Heard::Ignored(Ignored::Empty),
        Content::Text(Said { text, subject, notification, written }) => {
            let subject = subject.map(|subject| {
                let (subject, removed) = crate::text::clean_for_xml(subject.into());
                losses.add_if(removed, Loss::Characters);
                subject.into_owned()
            });
            Heard::Text(Box::new(HeardText {
                id: id.to_owned(),
                text: text.into_owned(),
                subject: subject.filter(|subject| !subject.is_empty()),
                language: None,
                written,
                notification,
            }))
        }
    };
    Ok(Translated { value: heard, losses })
}

pub(crate) fn heard_signal(signal: Signal) -> Heard {
    match signal {
        Signal::Typing(typing) => Heard::Typing(typing),
        Signal::Disposition(disposition) => Heard::Disposition(disposition),
        Signal::Nothing => Heard::Ignored(Ignored::Document),
    }
}
