//! From resources to a presence document that all known readers understand.

use std::borrow::Cow;

use sip_types::HeaderText;
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::xml::{Element, Printer};

use super::{Available, RESOURCES_MAX, Resource, StateTable, Status, foremost};
use crate::address::{Profile, Unmappable, jid_to_sip};
use crate::error::language_header;
use crate::hash::Fields;
use crate::loss::{Loss, Losses, Translated};

/// How documents for one SIP domain are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentOptions {
    /// How addresses are shown.
    pub profile: Profile,
    /// One tuple for the whole user, as Microsoft's servers document it for partners (MS-PRES §4.11), instead of one
    /// for each resource.
    pub one_tuple: bool,
    /// Leaves status texts out, for partners whose texts the SIP side shall not see.
    pub without_status: bool,
    /// The most octets. What is longer goes without texts, then without those resources that are preferred least.
    /// Default [`OCTETS_MAX`].
    pub octets_max: usize,
}

/// The longest document that is written anywhere: half of what we read ourselves.
pub const OCTETS_MAX: usize = 32 * 1024;

impl Default for DocumentOptions {
    fn default() -> Self {
        Self { profile: Profile::default(), one_tuple: false, without_status: false, octets_max: OCTETS_MAX }
    }
}

/// Returns the PIDF document (RFC 3863) of a user with these resources, a bare JID.
///
/// One tuple for each resource, its id the resource behind `ID-` (RFC 8048 §6.2), or one for all. The state stands in
/// each form that some reader looks for: `basic`, `show` of XMPP (RFC 8048 §6), the activity of the draft that Microsoft
/// reads, and that of RFC 4480 in a `person`. A priority of 0 to 127 becomes one of 0 to 1; a negative one does not
/// cross (RFC 8048 §6.2). Nobody available is one tuple that is closed.
///
/// # Errors
/// The user's address has none in SIP.
pub fn document(
    user: &Jid,
    resources: &[Resource],
    nick: Option<&str>,
    table: &StateTable,
    options: &DocumentOptions,
) -> Result<Translated<Vec<u8>>, Unmappable> {
    let entity = jid_to_sip(user, Profile::BareAddress)?.to_string();
    let mut losses = Losses::NONE;
    let mut chosen: Vec<&Resource> = match foremost(resources) {
        Some(resource) if options.one_tuple => {
            losses.add_if(resources.len() > 1, Loss::OtherContacts);
            vec![resource]
        }
        Some(_) => {
            let available = resources.iter().filter(|resource| resource.available.is_some());
            losses.add_if(resources.len() > RESOURCES_MAX, Loss::OtherContacts);
            available.take(RESOURCES_MAX).collect()
        }
        None => resources.first().into_iter().collect(),
    };
    let mut options = options.clone();
    let write = |chosen: &[&Resource], options: &DocumentOptions, losses: &mut Losses| {
        let mut presence = Element::new(ns::PIDF, "presence").with_attr("entity", entity.as_str());
        presence = presence.with_children(tuples(user, chosen, table, options, losses));
        if let Some(nick) = nick {
            presence.push_child(Element::new(ns::CIPID, "display-name").with_text(nick));
        }
        print(&presence)
    };
    let mut written = write(&chosen, &options, &mut losses);
    let has_texts = |known: &&Resource| !known.statuses.is_empty();
    if written.len() > options.octets_max && !options.without_status && chosen.iter().any(has_texts) {
        losses.add(Loss::Length);
        options.without_status = true;
        written = write(&chosen, &options, &mut Losses::default());
    }
    while written.len() > options.octets_max && chosen.len() > 1 {
        losses.add(Loss::OtherContacts);
        keep_foremost(&mut chosen);
        written = write(&chosen, &options, &mut Losses::default());
    }
    Ok(Translated { value: written, losses })
}

/// Returns the language that all texts of a user have, as the header of a document about him (RFC 8048 §6.2, table 1).
#[must_use]
pub fn language(resources: &[Resource]) -> Option<HeaderText> {
    let mut languages = resources.iter().flat_map(|resource| &resource.statuses).map(|text| &text.language);
    let first = languages.next()?.as_deref()?;
    if languages.any(|other| other.as_deref() != Some(first)) {
        return None;
    }
    language_header(first)
}

/// Leaves the half of the resources that is preferred least out.
fn keep_foremost(chosen: &mut Vec<&Resource>) {
    let mut by_rank = chosen.clone();
    by_rank.sort_by_key(|resource| std::cmp::Reverse(resource.rank()));
    by_rank.truncate(chosen.len() / 2);
    chosen.retain(|resource| by_rank.iter().any(|kept| std::ptr::eq(*kept, *resource)));
}

/// Returns the tuples, and the person behind them.
fn tuples(
    user: &Jid,
    chosen: &[&Resource],
    table: &StateTable,
    options: &DocumentOptions,
    losses: &mut Losses,
) -> Vec<Element> {
    let nobody = Resource::gone(None);
    let shown = if chosen.is_empty() { &[&nobody][..] } else { chosen };
    let mut elements: Vec<Element> =
        shown.iter().map(|resource| tuple(user, resource, table, options, losses)).collect();
    let foremost = chosen.iter().max_by_key(|resource| resource.rank());
    if let Some(available) = foremost.and_then(|resource| resource.available.as_ref()) {
        elements.push(person(available, table));
    }
    elements
}

/// The order of elements matters to strict readers (RFC 3863 §4.1.2): status, extensions, contact, note.
fn tuple(
    user: &Jid,
    resource: &Resource,
    table: &StateTable,
    options: &DocumentOptions,
    losses: &mut Losses,
) -> Element {
    let basic = if resource.available.is_some() { "open" } else { "closed" };
    let mut status =
        Element::new(ns::PIDF, "status").with_child(Element::new(ns::PIDF, "basic").with_text(basic));
    let id = tuple_id(resource.name.as_deref(), options.one_tuple);
    let mut tuple = Element::new(ns::PIDF, "tuple").with_attr("id", id.as_ref());
    let words = notes(resource, options, losses);
    let Some(available) = &resource.available else { return tuple.with_child(status).with_children(words) };
    if let Some(activity) = table.activity(available.show) {
        let activity = Element::new(ns::RPID_STATUS, "activity").with_text(activity);
        status.push_child(Element::new(ns::RPID_STATUS, "activities").with_child(activity));
    }
    if let Some(word) = available.show.word() {
        status.push_child(Element::new(ns::CLIENT, "show").with_text(word));
    }
    tuple.push_child(status);
    if let Some(since) = available.idle {
        let input = Element::new(ns::RPID, "user-input").with_attr("last-input", since.to_string());
        tuple.push_child(input.with_text("idle"));
    }
    if let Some(contact) = contact(user, resource, available, options) {
        tuple.push_child(contact);
    }
    tuple.with_children(words)
}

fn notes(resource: &Resource, options: &DocumentOptions, losses: &mut Losses) -> Vec<Element> {
    if options.without_status {
        losses.add_if(!resource.statuses.is_empty(), Loss::Extension);
        return Vec::new();
    }
    let note = |status: &Status| {
        let note = Element::new(ns::PIDF, "note").with_text(status.text.as_str());
        match &status.language {
            Some(language) => note.with_lang(language.as_str()),
            None => note,
        }
    };
    resource.statuses.iter().map(note).collect()
}

fn contact(
    user: &Jid,
    resource: &Resource,
    available: &Available,
    options: &DocumentOptions,
) -> Option<Element> {
    let full = resource.name.as_deref().and_then(|name| user.with_resource(name).ok());
    let shown = full.as_ref().filter(|_| !options.one_tuple).unwrap_or(user);
    let uri = jid_to_sip(shown, options.profile).ok()?;
    let contact = Element::new(ns::PIDF, "contact").with_text(uri.to_string());
    Some(match u32::try_from(available.priority) {
        Ok(priority) => {
            let thousandths = (priority * 1000 + 63) / 127;
            contact.with_attr("priority", decimal(thousandths).as_ref())
        }
        Err(_) => contact,
    })
}

fn decimal(thousandths: u32) -> Cow<'static, str> {
    match thousandths {
        0 => Cow::Borrowed("0"),
        1000.. => Cow::Borrowed("1"),
        some => Cow::Owned(format!("0.{some:03}")),
    }
}

/// Returns the id of a resource's tuple, an NCName (XML-NAMES §3): the resource itself where it can be one.
fn tuple_id(resource: Option<&str>, one_for_all: bool) -> Cow<'static, str> {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match resource {
        _ if one_for_all => Cow::Borrowed("ID-0"),
        None => Cow::Borrowed("ID-0"),
        Some(resource) if resource.len() <= 64 && resource.chars().all(named) => {
            Cow::Owned(format!("ID-{resource}"))
        }
        Some(resource) => {
            Cow::Owned(format!("ID-{}", Fields::of("tuple").with(resource.as_bytes()).finish_one()))
        }
    }
}

/// Says the state once more for readers of the data model (RFC 4479 §3.2, RFC 4480 §3.2).
fn person(available: &Available, table: &StateTable) -> Element {
    let person = Element::new(ns::DATA_MODEL, "person").with_attr("id", "p1");
    match table.activity(available.show) {
        Some(activity) => person
            .with_child(Element::new(ns::RPID, "activities").with_child(Element::new(ns::RPID, activity))),
        None => person,
    }
}

/// Some readers look for `<rpid:busy/>` as octets: the prefixes are the customary ones, bound at the root.
fn print(presence: &Element) -> Vec<u8> {
    let printer = Printer::document()
        .with_prefix("dm", ns::DATA_MODEL)
        .with_prefix("rpid", ns::RPID)
        .with_prefix("ep", ns::RPID_STATUS)
        .with_prefix("ci", ns::CIPID)
        .declaring();
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    printer.print(presence, &mut out);
    out
}
