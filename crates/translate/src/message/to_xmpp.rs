//! From a MESSAGE request to a message stanza (RFC 7572 §5).

use std::borrow::Cow;

use clock_types::Date;
use sip_types::{HeaderName, Request, Uri};
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::xml::Element;

use super::content::{Content, Said, content_of};
use super::{MessageKind, MessageToXmpp, SignalToXmpp, ToXmpp, ToXmppOptions};
use crate::address::{Unmappable, says_more, sender_to_jid, sip_to_jid};
use crate::error::{Refusal, language_header};
use crate::hash::Fields;
use crate::loss::{Loss, Losses, Translated};
use crate::session::{heard_signal, push_wishes};
use crate::text::clean_for_xml;

/// Translates a MESSAGE request.
///
/// RFC 7572 table 2: body → body, Subject → subject, Call-ID → thread, From → from, Request-URI → to,
/// Content-Language → xml:lang. The id is a hash of what stays the same when the request comes again, by the
/// same way or another, before or after a restart: From, its tag, Call-ID, CSeq, Request-URI and body.
///
/// # Errors
/// The final response that tells the sender why nothing can be delivered.
pub fn message_to_xmpp(
    request: &Request,
    options: &ToXmppOptions,
) -> Result<Translated<ToXmpp>, Box<Refusal>> {
    let mut losses = Losses::NONE;
    let to = recipient(request, &mut losses)?;
    let from = sender_to_jid(&request.from().uri).map_err(bad_sender)?;
    losses.add_if(says_more(&request.from().uri) || says_more(request.uri()), Loss::UriParameters);
    losses.add_if(request.from().display_name().is_some(), Loss::DisplayName);
    if request.body().len() > options.body_max {
        return Err(Box::new(Refusal::new(413)));
    }
    let said = match content_of(request, Some(&from), &mut losses)? {
        Content::Text(said) if said.text.is_empty() => {
            return Ok(Translated { value: ToXmpp::Empty, losses });
        }
        Content::Text(said) => said,
        Content::Signal(signal) => {
            let signal = SignalToXmpp { from, to, heard: heard_signal(signal) };
            return Ok(Translated { value: ToXmpp::Signal(Box::new(signal)), losses });
        }
    };
    let words = Words::read(request, said.subject.as_deref(), &mut losses);
    let id = id_of(request);
    let stanza = stanza(request, &from, &to, &id, &said, &words, options.kind);
    let written = said.written.or(words.date);
    let message = MessageToXmpp { from, to, id, stanza, notification: said.notification, written };
    Ok(Translated { value: ToXmpp::Message(Box::new(message)), losses })
}

/// The recipient is whom the Request-URI names; but a `sips:` in To alone forbids the crossing too, since XMPP
/// cannot promise that every hop is protected (RFC 7247 §8).
fn recipient(request: &Request, losses: &mut Losses) -> Result<Jid, Box<Refusal>> {
    let to = sip_to_jid(request.uri()).map_err(refusal)?;
    match sip_to_jid(&request.to().uri) {
        Ok(named) if named.to_bare() == to.to_bare() => {}
        Err(Unmappable::Scheme) if is_sips(&request.to().uri) => return Err(refusal(Unmappable::Scheme)),
        Ok(_) | Err(_) => losses.add(Loss::DifferingTo),
    }
    Ok(to)
}

fn is_sips(uri: &Uri) -> bool {
    uri.scheme().eq_ignore_ascii_case("sips")
}

fn refusal(unmappable: Unmappable) -> Box<Refusal> {
    Box::new(match unmappable {
        Unmappable::Scheme | Unmappable::Length => Refusal::new(unmappable.status()),
        _ => Refusal::because(unmappable.status(), &format!("Not Found: {unmappable}")),
    })
}

/// A sender without an address could be told nothing later.
fn bad_sender(unmappable: Unmappable) -> Box<Refusal> {
    Box::new(Refusal::because(403, &format!("From cannot cross: {unmappable}")))
}

/// What is said beside the text.
pub(crate) struct Words<'a> {
    pub(crate) subject: Option<Cow<'a, str>>,
    pub(crate) language: Option<String>,
    pub(crate) date: Option<Date>,
}

impl<'a> Words<'a> {
    pub(crate) fn read(request: &'a Request, cpim_subject: Option<&'a str>, losses: &mut Losses) -> Self {
        let mut words = Self { subject: cpim_subject.map(Cow::Borrowed), language: None, date: None };
        for line in request.headers().iter() {
            match line.name {
                HeaderName::Subject => words.subject = Some(String::from_utf8_lossy(line.value)),
                HeaderName::ContentLanguage => words.language = language(line.value, losses),
                HeaderName::Expires => losses.add(Loss::Expires),
                HeaderName::Date => {
                    words.date = request.headers().date().ok().flatten();
                    losses.add_if(words.date.is_none(), Loss::Date);
                }
                HeaderName::Priority
                | HeaderName::Organization
                | HeaderName::ReplyTo
                | HeaderName::InReplyTo
                | HeaderName::PAssertedIdentity => losses.add(Loss::Header),
                HeaderName::Other if says_something(line.written) => losses.add(Loss::Header),
                // What routes, counts and authenticates ends at the gateway.
                _ => {}
            }
        }
        if let Some(subject) = words.subject.take() {
            let (clean, removed) = clean_for_xml(subject);
            losses.add_if(removed, Loss::Characters);
            words.subject = Some(clean).filter(|subject| !subject.is_empty());
        }
        words
    }
}

/// Headers that tell a person something (RFC 3261 §20.4, §20.9).
fn says_something(name: &str) -> bool {
    ["Call-Info", "Alert-Info", "Error-Info"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn language(value: &[u8], losses: &mut Losses) -> Option<String> {
    let mut tags = std::str::from_utf8(value).unwrap_or_default().split(',').map(str::trim);
    let language = tags.next().and_then(language_header);
    losses.add_if(language.is_none() && !value.is_empty(), Loss::Language);
    losses.add_if(tags.next().is_some(), Loss::OtherLanguages);
    language.map(|tag| tag.as_str().to_owned())
}

/// Returns the id of the stanza that `request` becomes.
pub(crate) fn id_of(request: &Request) -> String {
    let from = request.from();
    Fields::of("message to xmpp")
        .with(from.uri.as_str().as_bytes())
        .with(from.tag().unwrap_or_default().as_bytes())
        .with(request.call_id().as_str().as_bytes())
        .with(&request.cseq().number.to_be_bytes())
        .with(request.uri().as_str().as_bytes())
        .with(request.body())
        .finish_one()
}

fn stanza(
    request: &Request,
    from: &Jid,
    to: &Jid,
    id: &str,
    said: &Said<'_>,
    words: &Words<'_>,
    kind: MessageKind,
) -> Element {
    let mut stanza = Element::new(ns::SERVER, "message")
        .with_attr("from", from.as_str())
        .with_attr("to", to.as_str())
        .with_attr("id", id);
    match kind {
        MessageKind::Normal => {}
        MessageKind::Chat => stanza.set_attr("type", "chat"),
    }
    if let Some(language) = &words.language {
        stanza = stanza.with_lang(language.as_str());
    }
    if let Some(subject) = &words.subject {
        stanza.push_child(Element::new(ns::SERVER, "subject").with_text(subject.as_ref()));
    }
    stanza.push_child(Element::new(ns::SERVER, "body").with_text(said.text.as_ref()));
    stanza.push_child(Element::new(ns::SERVER, "thread").with_text(request.call_id().as_str()));
    push_wishes(&mut stanza, said.notification.as_ref());
    stanza
}
