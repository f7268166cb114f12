//! From a body of NOTIFY to what it says of a SIP user's devices.

use sip_types::mime::{UnknownCharset, decode_text};
use sip_types::{HeaderText, header::ContentType};
use xmpp_types::ns;
use xmpp_types::xml::{Element, Limits, parse_document};

use super::stanza::push_status;
use super::{Available, RESOURCES_MAX, Resource, STATUS_MAX, Show, StateTable, microsoft};
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

/// Reads a presence document: PIDF (RFC 3863) with the extensions that are in use, and, since servers may send what
/// was not asked for, Microsoft's `text/xml+msrtc.pidf` and `application/msrtc-event-categories+xml` (MS-PRES §2.2.2).
///
/// The document says nothing about whose it is: the dialog does. Of an attribute or element that nobody here knows
/// nothing is kept, and nothing is refused for it.
///
/// # Errors
/// The final response that tells the notifier why it cannot be read: 415 with what can, 400 with what is wrong.
pub fn read_document(
    kind: &ContentType,
    body: &[u8],
    table: &StateTable,
) -> Result<Translated<Seen>, Box<Refusal>> {
    let reader = match () {
        () if kind.is(PIDF_TYPE) => pidf,
        () if kind.is("text/xml+msrtc.pidf") => microsoft::msrtc_pidf,
        () if kind.is("application/msrtc-event-categories+xml") => microsoft::categories,
        () => return Err(unsupported("Unsupported Media Type")),
    };
    let text = decode_text(charset(kind, body).as_deref(), body)
        .map_err(|UnknownCharset| unsupported("Unsupported Charset"))?;
    let mut losses = Losses::NONE;
    losses.add_if(text.replaced, Loss::Octets);
    let root = parse_document(without_declaration(&text.text).as_bytes(), &Limits::DOCUMENT)
        .map_err(|why| Refusal::because(400, &format!("Bad presence document: {}", why.reason)))?;
    let mut reading = Reading { seen: Seen::default(), losses, table };
    reader(&root, &mut reading)?;
    Ok(Translated { value: reading.seen, losses: reading.losses })
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

/// A document that is being read.
pub(super) struct Reading<'a> {
    pub(super) seen: Seen,
    pub(super) losses: Losses,
    pub(super) table: &'a StateTable,
}

impl Reading<'_> {
    /// Keeps a device, as long as there are not too many.
    pub(super) fn push(&mut self, name: Option<&str>, available: Option<Available>) {
        if self.seen.resources.len() == RESOURCES_MAX {
            return self.losses.add(Loss::OtherContacts);
        }
        let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        self.seen.resources.push(Resource { name, available });
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
        return Err(Box::new(Refusal::because(400, "Bad presence document: it is no PIDF")));
    }
    let person = root.child("person", ns::DATA_MODEL);
    for tuple in root.elements().filter(|child| child.is("tuple", ns::PIDF)) {
        let id = tuple.attr("id").unwrap_or_default();
        let name = id.strip_prefix("ID-").unwrap_or(id);
        match state(tuple, person, root, reading) {
            State::Unknown => {}
            State::Closed => reading.push(Some(name), None),
            State::Open(available) => reading.push(Some(name), Some(available)),
        }
    }
    if let Some(name) = root.child("display-name", ns::CIPID) {
        reading.name(&name.text());
    }
    Ok(())
}

enum State {
    Unknown,
    Closed,
    Open(Available),
}

/// Reads the state of a tuple: XMPP's own word before activities, and those of the tuple before the person's.
fn state(tuple: &Element, person: Option<&Element>, root: &Element, reading: &mut Reading<'_>) -> State {
    let status = tuple.child("status", ns::PIDF);
    let basic = status.and_then(|status| status.child("basic", ns::PIDF)).map(Element::text);
    let show =
        status.and_then(|status| status.child("show", ns::CLIENT).or(status.child("show", ns::SERVER)));
    let activity = status.and_then(activity_of).or_else(|| activity_of(tuple));
    match basic.as_deref().map(str::trim) {
        Some("closed") => return State::Closed,
        Some("open") => {}
        // `basic` may be absent (RFC 3863 §4.1.4); then something else must say that there is anybody.
        _ if show.is_some() || activity.is_some() => {}
        _ => return State::Unknown,
    }
    let mut available = Available::default();
    let activity = activity.or_else(|| person.and_then(activity_of));
    let label = reading.apply(activity.as_deref(), &mut available);
    if let Some(show) = show.and_then(|show| Show::of(show.text().trim())) {
        available.show = show;
    }
    available.priority = priority(tuple);
    for scope in [Some(tuple), person, Some(root)].into_iter().flatten() {
        if available.statuses.is_empty() {
            notes(scope, &mut available, &mut reading.losses);
        }
    }
    if let (true, Some(label)) = (available.statuses.is_empty(), label) {
        available.statuses.push(super::Status::plain(label));
    }
    State::Open(available)
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

fn notes(scope: &Element, available: &mut Available, losses: &mut Losses) {
    for note in scope.elements().filter(|child| {
        child.name() == "note" && matches!(child.namespace(), ns::PIDF | ns::DATA_MODEL | ns::RPID)
    }) {
        push_status(&mut available.statuses, note.lang(), note.text(), losses);
    }
}

/// 0 to 1 becomes 0 to 127 (RFC 8048 §6.2); what is no such number is 0.
fn priority(tuple: &Element) -> i8 {
    let given = tuple.child("contact", ns::PIDF).and_then(|contact| contact.attr("priority"));
    let given: f64 = given.and_then(|given| given.trim().parse().ok()).unwrap_or(0.0);
    // Not a number is 0, and what is out of range is at its end: the conversion saturates.
    (given.clamp(0.0, 1.0) * 127.0).round() as i8
}
