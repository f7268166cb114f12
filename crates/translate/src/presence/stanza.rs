//! The presence stanza (RFC 6121 §4.7).

use std::borrow::Cow;

use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::stanza::{self, PresenceType};
use xmpp_types::xml::Element;

use super::{Available, Resource, STATUS_MAX, STATUSES_MAX, Show, Status};
use crate::date::parse_date_time;
use crate::loss::{Loss, Losses, Translated};
use crate::text::display_name;

/// Reads what a presence stanza without a type, or of type `unavailable`, says of its resource.
///
/// A `show` or a `priority` that is none counts as absent (RFC 6121 §4.7.2).
#[must_use]
pub fn read_stanza(presence: &Element) -> Translated<Resource> {
    let mut losses = Losses::NONE;
    let name = presence.attr("from").and_then(|from| Jid::parse(from).ok());
    let name = name.and_then(|jid| jid.resource().map(str::to_owned));
    let mut available = Available::default();
    let mut statuses = Vec::new();
    for child in presence.elements() {
        match (child.name(), child.namespace()) {
            ("show", ns::SERVER) => match Show::of(child.text().trim()) {
                Some(show) => available.show = show,
                None => losses.add(Loss::Extension),
            },
            ("priority", ns::SERVER) => {
                available.priority = child.text().trim().parse().unwrap_or_default();
            }
            ("status", ns::SERVER) => {
                let language = child.lang().or_else(|| presence.lang());
                push_status(&mut statuses, language, child.text(), &mut losses);
            }
            ("idle", ns::IDLE) => {
                available.idle = child.attr("since").and_then(|since| parse_date_time(since.trim()));
                losses.add_if(available.idle.is_none(), Loss::Date);
            }
            (_, ns::CAPS | ns::VCARD_UPDATE) => {}
            // See [`nick`].
            (_, ns::NICK) => {}
            (_, ns::DELAY) => losses.add(Loss::Date),
            _ => losses.add(Loss::Extension),
        }
    }
    let gone = presence.attr("type").is_some();
    let available = (!gone).then_some(available);
    Translated { value: Resource { name, is_label: false, available, statuses }, losses }
}

/// Returns the stanza that tells `to` of one resource of `contact`, a bare JID.
#[must_use]
pub fn stanza(contact: &Jid, resource: &Resource, to: &Jid) -> Element {
    let Some(available) = &resource.available else {
        return unavailable(contact, resource, to).with_children(words(resource));
    };
    let mut presence = stanza::presence(None, &full(contact, resource), to);
    if let Some(word) = available.show.word() {
        presence.push_child(Element::new(ns::SERVER, "show").with_text(word));
    }
    presence = presence.with_children(words(resource));
    if available.priority != 0 {
        let priority = available.priority.to_string();
        presence.push_child(Element::new(ns::SERVER, "priority").with_text(priority));
    }
    if let Some(since) = available.idle {
        presence.push_child(Element::new(ns::IDLE, "idle").with_attr("since", since.to_string()));
    }
    presence
}

fn words(resource: &Resource) -> impl Iterator<Item = Element> {
    resource.statuses.iter().map(|status| {
        let element = Element::new(ns::SERVER, "status").with_text(status.text.as_str());
        match &status.language {
            Some(language) => element.with_lang(language.as_str()),
            None => element,
        }
    })
}

/// Returns the stanza that tells `to` that a resource of `contact` is gone, without a word.
#[must_use]
pub fn unavailable(contact: &Jid, resource: &Resource, to: &Jid) -> Element {
    stanza::presence(Some(PresenceType::Unavailable), &full(contact, resource), to)
}

/// Returns what the sender of a presence stanza wants to be called (XEP-0172), fit for a header and for a document.
#[must_use]
pub fn nick(presence: &Element) -> Option<Translated<String>> {
    let mut losses = Losses::NONE;
    let name = display_name(&presence.child("nick", ns::NICK)?.text(), &mut losses)?;
    Some(Translated { value: name, losses })
}

/// Returns what tells an XMPP user how a SIP user is called, in a stanza about a subscription: presence itself must not
/// have it (XEP-0172 §4.1).
#[must_use]
pub fn nick_element(name: &str) -> Option<Translated<Element>> {
    let mut losses = Losses::NONE;
    let name = display_name(name, &mut losses)?;
    Some(Translated { value: Element::new(ns::NICK, "nick").with_text(name), losses })
}

fn full(contact: &Jid, resource: &Resource) -> Jid {
    let named = resource.name.as_deref().and_then(|name| contact.with_resource(name).ok());
    named.unwrap_or_else(|| contact.clone())
}

/// Adds a text: one for each language, of a bounded length.
pub(super) fn push_status(
    statuses: &mut Vec<Status>,
    language: Option<&str>,
    text: Cow<'_, str>,
    losses: &mut Losses,
) {
    let (text, removed) = crate::text::clean_for_xml(text);
    losses.add_if(removed, Loss::Characters);
    let mut text = text.trim();
    if text.is_empty() {
        return;
    }
    if text.len() > STATUS_MAX {
        losses.add(Loss::Length);
        text = text[..text.floor_char_boundary(STATUS_MAX)].trim_end();
    }
    let language = language.filter(|language| is_language(language));
    if statuses.len() == STATUSES_MAX || statuses.iter().any(|known| known.language.as_deref() == language) {
        return losses.add(Loss::OtherLanguages);
    }
    statuses.push(Status { language: language.map(str::to_owned), text: text.to_owned() });
}

/// Tells whether a tag can be one of RFC 5646 §2.1; an attribute of XML and a header can both carry it.
pub(super) fn is_language(tag: &str) -> bool {
    let subtag =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_alphanumeric());
    tag.len() <= 35 && tag.split('-').all(subtag)
}
