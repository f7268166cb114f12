//! Documents of Microsoft's own, as its servers may send them unasked (MS-PRES §2.2.2, MS-SIP).

use xmpp_types::xml::Element;

use super::read::{Reading, refused};
use super::stanza::push_status;
use super::{Available, Resource, Show, Status};
use crate::error::Refusal;

/// Reads `text/xml+msrtc.pidf`: one aggregate state in two numbers of 0 to 999.
pub(super) fn msrtc_pidf(root: &Element, reading: &mut Reading<'_>) -> Result<(), Box<Refusal>> {
    if root.name() != "presentity" {
        return Err(refused("it is no presentity"));
    }
    reading.about(root.attr("uri"))?;
    let aggregate = |name| number(inner(root, name)?.attr("aggregate")?);
    if let Some(name) = inner(root, "displayName").and_then(|element| element.attr("displayName")) {
        reading.name(name);
    }
    let Some(availability) = aggregate("availability") else { return Ok(()) };
    let note = inner(root, "userInfo").and_then(|info| inner(info, "note"));
    let mut statuses = texts(note, reading);
    if availability < 100 {
        reading.push(Resource { statuses, ..Resource::gone(None) });
        return Ok(());
    }
    let (show, label) = match aggregate("activity").unwrap_or(400) {
        0..=100 => (Show::Away, "Away"),
        101..=150 => (Show::Away, "Out to lunch"),
        151..=300 => (Show::Away, "Be right back"),
        401..=500 => (Show::Dnd, "On the phone"),
        501..=600 => (Show::Dnd, "Busy"),
        _ => (Show::Available, ""),
    };
    let available = Available { show, ..Available::default() };
    label_if_silent(&mut statuses, label);
    reading.push(Resource { available: Some(available), statuses, ..Resource::gone(None) });
    Ok(())
}

/// Reads `application/msrtc-event-categories+xml`: the aggregate state, the note and the card.
pub(super) fn categories(root: &Element, reading: &mut Reading<'_>) -> Result<(), Box<Refusal>> {
    if root.name() != "categories" {
        return Err(refused("it holds no categories"));
    }
    reading.about(root.attr("uri"))?;
    let mut state = None;
    let mut note = None;
    for category in root.elements().filter(|child| child.name() == "category") {
        match category.attr("name") {
            Some("state") => state = inner(category, "state").or(state),
            Some("note") => note = inner(category, "note").and_then(|note| inner(note, "body")).or(note),
            Some("contactCard") => card(category, reading),
            _ => {}
        }
    }
    let Some(state) = state else { return Ok(()) };
    let mut statuses = texts(note, reading);
    let availability = inner(state, "availability").and_then(|element| number(&element.text()));
    let (show, label) = match availability.unwrap_or_default() {
        0 | 18000.. => {
            reading.push(Resource { statuses, ..Resource::gone(None) });
            return Ok(());
        }
        // None and unknown: nothing is said.
        1..3000 => return Ok(()),
        3000..4500 => (Show::Available, ""),
        4500..6000 => (Show::Away, "Inactive"),
        6000..7500 => (Show::Dnd, "Busy"),
        7500..9000 => (Show::Dnd, "Busy (inactive)"),
        9000..12000 => (Show::Dnd, "Do not disturb"),
        12000..15000 => (Show::Away, "Be right back"),
        15000..18000 => (Show::Away, "Away"),
    };
    let mut available = Available { show, ..Available::default() };
    let token = inner(state, "activity").and_then(|activity| activity.attr("token"));
    let label = match reading.table.meaning(token.unwrap_or_default()) {
        // A token says why; only `out-of-office` says more than the number about how available.
        Some(meaning) => {
            if available.show == Show::Away && meaning.show == Show::Xa {
                available.show = Show::Xa;
            }
            meaning.label.as_deref().unwrap_or(label)
        }
        None => label,
    };
    label_if_silent(&mut statuses, label);
    reading.push(Resource { available: Some(available), statuses, ..Resource::gone(None) });
    Ok(())
}

fn card(category: &Element, reading: &mut Reading<'_>) {
    let name = inner(category, "contactCard")
        .and_then(|card| inner(card, "identity"))
        .and_then(|identity| inner(identity, "name"))
        .and_then(|name| inner(name, "displayName"));
    if let Some(name) = name {
        reading.name(&name.text());
    }
}

fn texts(note: Option<&Element>, reading: &mut Reading<'_>) -> Vec<Status> {
    let mut statuses = Vec::new();
    if let Some(note) = note {
        push_status(&mut statuses, note.lang(), note.text(), &mut reading.losses);
    }
    statuses
}

fn label_if_silent(statuses: &mut Vec<Status>, label: &str) {
    if statuses.is_empty() && !label.is_empty() {
        statuses.push(Status::plain(label));
    }
}

/// Finds a child by its name alone: the namespaces changed with the product's versions.
fn inner<'a>(element: &'a Element, name: &str) -> Option<&'a Element> {
    element.elements().find(|child| child.name() == name)
}

fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}
