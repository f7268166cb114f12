//! What users say of themselves, and what they see of others.

use std::collections::BTreeMap;
use std::fmt;

use xmpp_types::ns;
use xmpp_types::xml::{Element, Limits, Printer, parse_document};

/// What one device or resource says of its user.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// How available: a word of RFC 6121 §4.7.2.1, or none.
    pub show: String,
    /// In words.
    pub note: String,
}

/// What a user shows, or is shown of another: by device or resource.
pub type View = BTreeMap<String, State>;

/// What somebody was told of his wish to see another, in either protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// Nothing, or that it is over.
    #[default]
    Nothing,
    /// The other has not decided.
    Waits,
    /// He may.
    Sees,
    /// He may not.
    Refused,
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = if self.show.is_empty() { "available" } else { &self.show };
        match &*self.note {
            "" => out.write_str(show),
            note => write!(out, "{show} ({note})"),
        }
    }
}

/// Returns a view in words.
#[must_use]
pub fn in_words(view: &View) -> String {
    let words: Vec<String> = view.iter().map(|(name, state)| format!("{name} {state}")).collect();
    if words.is_empty() { "nobody".to_owned() } else { words.join(", ") }
}

/// Reads a PIDF document (RFC 3863) as a program of a SIP user does.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn read_pidf(body: &[u8]) -> Result<View, String> {
    let text = std::str::from_utf8(body).map_err(|why| why.to_string())?;
    let text = text.split_once("?>").map_or(text, |(_, rest)| rest);
    let root = parse_document(text.as_bytes(), &Limits::DOCUMENT).map_err(|why| format!("{why:?}"))?;
    if !root.is("presence", ns::PIDF) {
        return Err("it is no PIDF".to_owned());
    }
    let mut view = View::new();
    for tuple in root.elements().filter(|child| child.is("tuple", ns::PIDF)) {
        let status = tuple.child("status", ns::PIDF).ok_or("a tuple has no status")?;
        let basic = status.child("basic", ns::PIDF).ok_or("a status has no basic")?.text();
        let id = tuple.attr("id").ok_or("a tuple has no id")?;
        match &*basic {
            "closed" => {}
            "open" => {
                let show = status.child("show", ns::CLIENT).map(|show| show.text().into_owned());
                let note = tuple.child("note", ns::PIDF).map(|note| note.text().into_owned());
                let state = State { show: show.unwrap_or_default(), note: note.unwrap_or_default() };
                view.insert(id.strip_prefix("ID-").unwrap_or(id).to_owned(), state);
            }
            other => return Err(format!("basic is {other:?}")),
        }
    }
    Ok(view)
}

/// Writes one.
pub(crate) fn write_pidf(user: &str, view: &View) -> Vec<u8> {
    let mut presence = Element::new(ns::PIDF, "presence").with_attr("entity", format!("pres:{user}"));
    for (device, state) in view {
        let basic = Element::new(ns::PIDF, "basic").with_text("open");
        let mut status = Element::new(ns::PIDF, "status").with_child(basic);
        if !state.show.is_empty() {
            status.push_child(Element::new(ns::CLIENT, "show").with_text(state.show.as_str()));
        }
        let note = Element::new(ns::PIDF, "note").with_text(state.note.as_str());
        let tuple = Element::new(ns::PIDF, "tuple").with_attr("id", format!("ID-{device}"));
        presence.push_child(tuple.with_child(status).with_child(note));
    }
    if view.is_empty() {
        let basic = Element::new(ns::PIDF, "basic").with_text("closed");
        let status = Element::new(ns::PIDF, "status").with_child(basic);
        presence.push_child(Element::new(ns::PIDF, "tuple").with_attr("id", "ID-none").with_child(status));
    }
    let mut out = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_vec();
    Printer::document().print(&presence, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let state = State { show: "away".to_owned(), note: "at lunch".to_owned() };
        let view: View = [("desk".to_owned(), state), ("phone".to_owned(), State::default())].into();

        assert_eq!(read_pidf(&write_pidf("bob@s.example", &view)), Ok(view));
        assert_eq!(read_pidf(&write_pidf("bob@s.example", &View::new())), Ok(View::new()));
    }
}
