//! From a body of NOTIFY to what it says of a SIP user's devices.

use bytes::Bytes;
use clock_types::Date;
use sip_types::header::{ContentType, HeaderName};
use sip_types::mime::{MimeLimits, UnknownCharset, decode_text, leaves};
use sip_types::{HeaderText, Headers, Uri};
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::xml::{Element, Limits, parse_document};

use super::stanza::{is_language, push_status};
use super::{Available, NAME_MAX, RESOURCES_MAX, Resource, STATUS_MAX, Show, StateTable, Status, microsoft};
use crate::address::sip_to_jid;
use crate::date::parse_date_time;
use crate::error::Refusal;
use crate::loss::{Loss, Losses, Translated};

/// The media type of presence documents, without parameters, since some readers compare it whole.
pub const PIDF_TYPE: &str = "application/pidf+xml";

/// What a document says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The devices; an unknown state has none.
    pub resources: Vec<Resource>,
    /// What the user is called.
    pub display_name: Option<String>,
}

/// Reads what a NOTIFY, or an answer to SUBSCRIBE, says of this SIP user; `None` if it has no body.
///
/// The document may be a part of a multipart, as servers send it that bundle several (RFC 4662 §5.2), or that add something
/// of their own.
///
/// # Errors
/// The final response that tells the notifier why it cannot be read: 415 with what can, 400 with what is wrong. Neither ends
/// the subscription (RFC 6665 §4.2.2).
pub fn read_presence(
    headers: &Headers,
    body: &Bytes,
    user: &Jid,
    table: &StateTable,
) -> Result<Option<Translated<Seen>>, Box<Refusal>> {
    if body.is_empty() {
        return Ok(None);
    }
    let is_encoded = |coding: &str| !coding.trim().eq_ignore_ascii_case("identity");
    if headers.text(HeaderName::ContentEncoding).is_some_and(|coding| is_encoded(&coding)) {
        return Err(unsupported("Unsupported Content-Encoding"));
    }
    let kind = headers.content_type().map_err(|_| refused("its Content-Type is none"))?;
    // What stands in a NOTIFY of presence without a type is what that package sends (RFC 3856 §6.7).
    let kind = kind.or_else(|| ContentType::parse(PIDF_TYPE)).ok_or_else(|| unsupported(UNSUPPORTED))?;
    let language = headers.text(HeaderName::ContentLanguage);
    let language = language.as_deref().map(str::trim).filter(|tag| is_language(tag));
    if !kind.is_multipart() {
        return Document { kind: &kind, body, user, language }.read(table).map(Some);
    }
    let parts = leaves(&kind, body, &MimeLimits::default()).map_err(|bad| refused(bad.0))?;
    let kinds: Vec<Option<ContentType>> = parts.iter().map(|part| part.content_type().ok()).collect();
    let found = READABLE.iter().find_map(|readable| {
        let at = kinds.iter().position(|kind| kind.as_ref().is_some_and(|kind| kind.is(readable)))?;
        kinds[at].as_ref().zip(parts.get(at))
    });
    let Some((kind, part)) = found else { return Err(unsupported(UNSUPPORTED)) };
    let body = part.decoded().ok_or_else(|| unsupported("Unsupported Content-Transfer-Encoding"))?;
    let mut read = Document { kind, body: &body, user, language }.read(table)?;
    read.losses.add_if(parts.len() > 1, Loss::Parts);
    Ok(Some(read))
}

/// The types that are read, the best first.
const READABLE: [&str; 3] = [PIDF_TYPE, "application/msrtc-event-categories+xml", "text/xml+msrtc.pidf"];

const UNSUPPORTED: &str = "Unsupported Media Type";

/// A presence document, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// What it is.
    pub kind: &'a ContentType,
    /// Its octets.
    pub body: &'a [u8],
    /// The SIP user whom it must be about: the dialog says so.
    pub user: &'a Jid,
    /// The language of its texts, where they do not say so themselves.
    pub language: Option<&'a str>,
}

impl Document<'_> {
    /// Reads PIDF (RFC 3863) with the extensions that are in use, and, since servers may send what was not asked for,
    /// Microsoft's `text/xml+msrtc.pidf` and `application/msrtc-event-categories+xml` (MS-PRES §2.2.2).
    ///
    /// Of an attribute or element that nobody here knows nothing is kept, and nothing is refused for it.
    ///
    /// # Errors
    /// The final response that tells the notifier why it cannot be read: 415 with what can, 400 with what is wrong.
    pub fn read(&self, table: &StateTable) -> Result<Translated<Seen>, Box<Refusal>> {
        let reader = match () {
            () if self.kind.is(PIDF_TYPE) => pidf,
            () if self.kind.is("text/xml+msrtc.pidf") => microsoft::msrtc_pidf,
            () if self.kind.is("application/msrtc-event-categories+xml") => microsoft::categories,
            () => return Err(unsupported(UNSUPPORTED)),
        };
        let text = decode_text(charset(self.kind, self.body).as_deref(), self.body)
            .map_err(|UnknownCharset| unsupported("Unsupported Charset"))?;
        let mut losses = Losses::NONE;
        losses.add_if(text.replaced, Loss::Octets);
        let root = parse_document(without_declaration(&text.text).as_bytes(), &Limits::DOCUMENT)
            .map_err(|why| refused(why.reason))?;
        let language = root.lang().filter(|tag| is_language(tag)).or(self.language);
        let mut reading = Reading { seen: Seen::default(), losses, table, user: self.user, language };
        reader(&root, &mut reading)?;
        Ok(Translated { value: reading.seen, losses: reading.losses })
    }
}

/// Documents of Microsoft's clients say UTF-16 and are UTF-8: the octets decide, unless the header knows better.
fn charset(kind: &ContentType, body: &[u8]) -> Option<String> {
    match body {
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => Some("utf-16".to_owned()),
        [0, b'<', ..] => Some("utf-16be".to_owned()),
        [b'<', 0, ..] => Some("utf-16le".to_owned()),
        _ => kind.charset().map(|charset| charset.to_string()).filter(|charset| !is_utf_16(charset)),
    }
}

fn is_utf_16(charset: &str) -> bool {
    charset.get(..6).is_some_and(|name| name.eq_ignore_ascii_case("utf-16"))
}

/// What the declaration says of the encoding is settled before it is read.
fn without_declaration(text: &str) -> &str {
    let text = text.trim_start();
    match text.strip_prefix("<?xml ").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest,
        None => text,
    }
}

fn unsupported(reason: &str) -> Box<Refusal> {
    let accept = Some(HeaderText::from_static(PIDF_TYPE));
    Box::new(Refusal { accept, ..Refusal::because(415, reason) })
}

/// Says what is wrong with a document.
pub(super) fn refused(why: &str) -> Box<Refusal> {
    Box::new(Refusal::because(400, &format!("Bad presence document: {why}")))
}

/// A document that is being read.
pub(super) struct Reading<'a> {
    pub(super) seen: Seen,
    pub(super) losses: Losses,
    pub(super) table: &'a StateTable,
    user: &'a Jid,
    language: Option<&'a str>,
}

impl Reading<'_> {
    /// Checks that the document is about whom the dialog is about: one of somebody else would be shown as his.
    ///
    /// An address of another kind (`tel:`, `urn:uuid:`) says nothing; one without a scheme is read as well.
    pub(super) fn about(&self, entity: Option<&str>) -> Result<(), Box<Refusal>> {
        let Some(entity) = entity.map(str::trim).filter(|entity| !entity.is_empty()) else { return Ok(()) };
        let address = match entity.split_once(':') {
            Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => rest,
            _ => entity,
        };
        // Most write it as it is.
        if address == self.user.bare_str() {
            return Ok(());
        }
        let jid = Uri::parse(format!("sip:{address}")).ok().and_then(|uri| sip_to_jid(&uri).ok());
        let named = jid.filter(|jid| jid.local().is_some()).map(|jid| jid.to_bare());
        match named {
            Some(named) if named != self.user.to_bare() => {
                Err(refused("it is about another user than the subscription"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Keeps a device, as long as there are not too many. What several tuples say of one device, the most available says.
    pub(super) fn push(&mut self, resource: Resource) {
        if let Some(known) = self.seen.resources.iter_mut().find(|known| known.name == resource.name) {
            if resource.rank() > known.rank() {
                *known = resource;
            }
            return;
        }
        if self.seen.resources.len() == RESOURCES_MAX {
            return self.losses.add(Loss::OtherContacts);
        }
        self.seen.resources.push(resource);
    }

    /// Sets what the user is called.
    pub(super) fn name(&mut self, name: &str) {
        let name = name.trim();
        if !name.is_empty() && name.len() <= STATUS_MAX {
            self.seen.display_name = Some(name.to_owned());
        }
    }

    /// Applies an activity, and its label where nothing else says it in words.
    pub(super) fn apply(&self, activity: Option<&str>, available: &mut Available) -> Option<String> {
        let meaning = self.table.meaning(activity?)?;
        available.show = meaning.show;
        meaning.label.clone()
    }
}

fn pidf(root: &Element, reading: &mut Reading<'_>) -> Result<(), Box<Refusal>> {
    if !root.is("presence", ns::PIDF) {
        return Err(refused("it is no PIDF"));
    }
    reading.about(root.attr("entity"))?;
    let person = root.child("person", ns::DATA_MODEL);
    for tuple in root.elements().filter(|child| child.is("tuple", ns::PIDF)) {
        let id = tuple.attr("id").unwrap_or_default();
        let address = id.strip_prefix("ID-");
        let name = Some(address.unwrap_or(id)).filter(|name| is_resource(name, reading.user));
        if let Some((available, statuses)) = state(tuple, person, root, reading) {
            let (name, is_label) = (name.map(str::to_owned), address.is_none());
            reading.push(Resource { name, is_label, available, statuses });
        }
    }
    if let Some(name) = root.child("display-name", ns::CIPID) {
        reading.name(&name.text());
    }
    Ok(())
}

/// Reads the state of a tuple, and its words: XMPP's own word before activities, and what the tuple says before what the
/// person does. Nothing if it says nothing.
fn state(
    tuple: &Element,
    person: Option<&Element>,
    root: &Element,
    reading: &mut Reading<'_>,
) -> Option<(Option<Available>, Vec<Status>)> {
    let status = tuple.child("status", ns::PIDF);
    let basic = status.and_then(|status| status.child("basic", ns::PIDF)).map(Element::text);
    let show =
        status.and_then(|status| status.child("show", ns::CLIENT).or(status.child("show", ns::SERVER)));
    let activity = status.and_then(activity_of).or_else(|| activity_of(tuple));
    let is_open = match basic.as_deref().map(str::trim) {
        Some("closed") => false,
        Some("open") => true,
        // `basic` may be absent (RFC 3863 §4.1.4); then something else must say that there is anybody.
        _ if show.is_some() || activity.is_some() => true,
        _ => return None,
    };
    let mut available = Available::default();
    let activity = activity.or_else(|| person.and_then(activity_of));
    let label = reading.apply(activity.as_deref(), &mut available);
    if let Some(show) = show.and_then(|show| Show::of(show.text().trim())) {
        available.show = show;
    }
    available.priority = priority(tuple);
    available.idle = idle_of(tuple).or_else(|| person.and_then(idle_of));
    let mut statuses = Vec::new();
    for scope in [Some(tuple), person, Some(root)].into_iter().flatten() {
        if statuses.is_empty() {
            notes(scope, &mut statuses, reading);
        }
    }
    if let (true, Some(label)) = (statuses.is_empty(), label) {
        statuses.push(Status::plain(label));
    }
    Some((is_open.then_some(available), statuses))
}

/// Tells whether a name can be that of a resource: two that cannot would both be shown as their user, and each would
/// come and go in the other's place.
fn is_resource(name: &str, user: &Jid) -> bool {
    let is_plain = name.bytes().all(|octet| octet.is_ascii_graphic());
    (1..=NAME_MAX).contains(&name.len()) && (is_plain || user.with_resource(name).is_ok())
}

/// Returns the first activity in an element (RFC 4480 §3.2, and the draft before it).
fn activity_of(scope: &Element) -> Option<String> {
    let is_activities = |child: &&Element| {
        child.name() == "activities" && matches!(child.namespace(), ns::RPID | ns::RPID_STATUS)
    };
    let activities = scope.elements().find(is_activities)?;
    let first = activities.elements().find(|activity| activity.name() != "note")?;
    Some(match first.name() {
        "activity" => first.text().into_owned(),
        name => name.to_owned(),
    })
}

fn notes(scope: &Element, statuses: &mut Vec<Status>, reading: &mut Reading<'_>) {
    let inherited = scope.lang().or(reading.language);
    for note in scope.elements().filter(|child| {
        child.name() == "note" && matches!(child.namespace(), ns::PIDF | ns::DATA_MODEL | ns::RPID)
    }) {
        let language = note.lang().or(inherited);
        push_status(statuses, language, note.text(), &mut reading.losses);
    }
}

/// Returns since when the device or the person has been idle (RFC 4480 §3.14).
fn idle_of(scope: &Element) -> Option<Date> {
    let input = scope.child("user-input", ns::RPID)?;
    if input.text().trim() != "idle" {
        return None;
    }
    parse_date_time(input.attr("last-input")?.trim())
}

/// 0 to 1 becomes 0 to 127 (RFC 8048 §6.2); what is no such number is 0.
fn priority(tuple: &Element) -> i8 {
    let given = tuple.child("contact", ns::PIDF).and_then(|contact| contact.attr("priority"));
    let given: f64 = given.and_then(|given| given.trim().parse().ok()).unwrap_or(0.0);
    // Not a number is 0, and what is out of range is at its end: the conversion saturates.
    (given.clamp(0.0, 1.0) * 127.0).round() as i8
}

/// Schemes of addresses of users (RFC 3863 §4.1.1 wants `pres`, most write `sip`).
const SCHEMES: [&str; 4] = ["pres", "sip", "sips", "im"];
