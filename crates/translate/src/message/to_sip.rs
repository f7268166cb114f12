//! From a message stanza to a MESSAGE request (RFC 7572 §4).

use std::borrow::Cow;

use bytes::Bytes;
use sip_types::header::{CallId, ContentType, NameAddr};
use sip_types::{HeaderText, Text, Token};
use xmpp_types::jid::Jid;
use xmpp_types::stanza_error::{ErrorType, StanzaCondition, StanzaError};
use xmpp_types::xml::Element;

use super::{DATAGRAM_MAX, Headline, MessageToSip, NotAMessage, ToSip, ToSipOptions, message_size};
use crate::address::jid_to_sip;
use crate::error::{Failure, failure_to_xmpp, language_header};
use crate::hash::Fields;
use crate::loss::{Loss, Losses, Translated};
use crate::payload::{Payload, Said};
use crate::text::{clean_for_header, display_name};

/// Translates a message stanza. `key` names the message at the gateway; it stands in for an `id` that the stanza
/// does not have, so that the same message gets the same Call-ID and tag when it is translated again.
///
/// RFC 7572 table 1: body → body, subject → Subject, thread → Call-ID, from → From, to → Request-URI and To,
/// xml:lang → Content-Language. `type` has no counterpart.
#[must_use]
pub fn message_to_sip(stanza: &Element, key: &str, options: &ToSipOptions) -> Translated<ToSip> {
    let mut losses = Losses::NONE;
    let value = match translate(stanza, key, options, &mut losses) {
        Ok(message) => ToSip::Message(Box::new(message)),
        Err(Stop::Drop(reason)) => ToSip::NotAMessage(reason),
        Err(Stop::Refuse(error)) => ToSip::Refused(*error),
    };
    Translated { value, losses }
}

enum Stop {
    Drop(NotAMessage),
    Refuse(Box<StanzaError>),
}

impl From<StanzaError> for Stop {
    fn from(error: StanzaError) -> Self {
        Self::Refuse(Box::new(error))
    }
}

fn translate(
    stanza: &Element,
    key: &str,
    options: &ToSipOptions,
    losses: &mut Losses,
) -> Result<MessageToSip, Stop> {
    check_kind(stanza, options, losses)?;
    let from_jid = address(stanza, "from")?;
    let to_jid = address(stanza, "to")?;
    let payload = Payload::read(stanza, losses);
    let text = match payload.said() {
        Said::Text(text) => text,
        Said::Nothing => return Err(Stop::Drop(NotAMessage::NoText)),
        Said::Copy => return Err(Stop::Drop(NotAMessage::Copy)),
        Said::Encrypted => return Err(encryption_cannot_cross().into()),
    };
    let text =
        if payload.corrects { Cow::Owned(format!("{}{text}", options.correction_prefix)) } else { text };
    check_size(text.len(), options.body_max)?;

    let request_uri = sip_address(&to_jid, options)?;
    let id = stanza.attr("id").filter(|id| !id.is_empty());
    let (hash, tag) = Fields::of("message to sip")
        .with(stanza.attr("from").unwrap_or_default().as_bytes())
        .with(stanza.attr("to").unwrap_or_default().as_bytes())
        .with(id.unwrap_or(key).as_bytes())
        .with(text.as_bytes())
        .finish();
    let mut from = NameAddr::new(sip_address(&from_jid, options)?);
    losses.add_if(from_jid.resource().is_some() && !options.profile.shows_resource(), Loss::Resource);
    if let Some(name) = payload.nick.as_deref().and_then(|nick| display_name(nick, losses)) {
        from = from.with_display_name(&name);
    }
    // To is the address of record; only the Request-URI names a resource.
    let to = if to_jid.is_bare() { request_uri.clone() } else { request_uri.address() };
    let message = MessageToSip {
        to: NameAddr::new(to),
        request_uri,
        from: from.with_tag(&token(tag)),
        call_id: call_id(payload.thread.as_deref(), hash, losses),
        subject: payload.subject().and_then(|subject| subject_line(subject, losses)),
        content_language: language(&payload, losses),
        date: payload.delayed,
        content_type: plain_text(),
        content_disposition: None,
        body: Bytes::from(text.into_owned()),
        id: id.map(str::to_owned),
        display_requested: payload.display_requested,
        receipt_requested: payload.receipt_requested,
        from_jid,
        to_jid,
    };
    if options.datagram {
        check_datagram(&message, options)?;
    }
    Ok(message)
}

/// Lets only what one person says to another pass (RFC 6121 §5.2.2).
fn check_kind(stanza: &Element, options: &ToSipOptions, losses: &mut Losses) -> Result<(), Stop> {
    let kind = stanza.attr("type");
    losses.add_if(kind.is_some(), Loss::MessageType);
    match (kind, options.headline) {
        (Some("error"), _) => Err(Stop::Drop(NotAMessage::Error)),
        (Some("groupchat"), _) => Err(refused(
            StanzaCondition::FeatureNotImplemented,
            ErrorType::Cancel,
            "A SIP user is not a chat room",
        )),
        (Some("headline"), Headline::Drop) => Err(Stop::Drop(NotAMessage::Headline)),
        (Some("headline"), Headline::Refuse) => Err(refused(
            StanzaCondition::FeatureNotImplemented,
            ErrorType::Cancel,
            "Headlines do not cross to SIP",
        )),
        // A type that nobody knows is `normal` (§5.2.2).
        _ => Ok(()),
    }
}

fn address(stanza: &Element, name: &str) -> Result<Jid, Stop> {
    stanza.attr(name).and_then(|text| Jid::parse(text).ok()).ok_or_else(|| {
        refused(StanzaCondition::JidMalformed, ErrorType::Modify, "The address is not one that XMPP allows")
    })
}

fn sip_address(jid: &Jid, options: &ToSipOptions) -> Result<sip_types::SipUri, Stop> {
    jid_to_sip(jid, options.profile).map_err(|unmappable| {
        let text = format!("The address {} has no SIP form: {unmappable}", jid.to_bare());
        StanzaError::new(StanzaCondition::JidMalformed).with_type(ErrorType::Modify).with_text(text).into()
    })
}

fn check_size(octets: usize, octets_max: usize) -> Result<(), Stop> {
    if octets <= octets_max {
        Ok(())
    } else {
        Err(failure_to_xmpp(&Failure::TooLarge { octets, octets_max }).into())
    }
}

/// The whole request counts where a hop may be a datagram (RFC 3428 §8); it is printed to be counted.
fn check_datagram(message: &MessageToSip, options: &ToSipOptions) -> Result<(), Stop> {
    check_size(message_size(&message.clone().into_request(), options.transport_octets), DATAGRAM_MAX)
}

fn encryption_cannot_cross() -> StanzaError {
    StanzaError::new(StanzaCondition::NotAcceptable)
        .with_type(ErrorType::Modify)
        .with_text("Encryption cannot cross the gateway to SIP; send the message unencrypted")
}

fn refused(condition: StanzaCondition, kind: ErrorType, text: &str) -> Stop {
    StanzaError::new(condition).with_type(kind).with_text(text).into()
}

/// A thread that is a legal Call-ID is the Call-ID (RFC 7572 §4); it may be another's, which is why the From tag
/// is always our own.
fn call_id(thread: Option<&str>, hash: String, losses: &mut Losses) -> CallId {
    if let Some(thread) = thread {
        if let Some(call_id) =
            Some(thread).filter(|thread| thread.len() <= THREAD_MAX).and_then(CallId::parse)
        {
            return call_id;
        }
        losses.add(Loss::ThreadName);
        // The messages of a thread stay together even if its name cannot cross.
        let (hash, _) = Fields::of("thread").with(thread.as_bytes()).finish();
        return CallId::parse(hash).expect("letters and digits are a word");
    }
    CallId::parse(hash).expect("letters and digits are a word")
}

fn subject_line(subject: &str, losses: &mut Losses) -> Option<HeaderText> {
    let line = clean_for_header(subject, SUBJECT_MAX);
    losses.add_if(line.breaks, Loss::LineBreaks);
    losses.add_if(line.controls, Loss::Characters);
    losses.add_if(line.shortened, Loss::Length);
    Some(HeaderText::clean(&line.text).text).filter(|text| !text.as_str().is_empty())
}

fn language(payload: &Payload<'_>, losses: &mut Losses) -> Option<HeaderText> {
    let tag = payload.language?;
    let language = language_header(tag);
    losses.add_if(language.is_none() && !tag.is_empty(), Loss::Language);
    language
}

/// `text/plain;charset=UTF-8`, as RFC 7572 §7 has it.
pub(super) fn plain_text() -> ContentType {
    ContentType::parse(Text::from_static("text/plain;charset=UTF-8")).expect("it is a media type")
}

pub(super) fn token(text: String) -> Token {
    Token::parse(text).expect("letters and digits are a token")
}

/// A Call-ID longer than this breaks stores and logs on the way.
const THREAD_MAX: usize = 128;
const SUBJECT_MAX: usize = 512;
