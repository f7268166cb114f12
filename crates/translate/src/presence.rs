//! Presence both ways (RFC 8048 §6): stanzas of resources and documents of tuples.
//!
//! ```text
//! <presence/> of each resource ──▶ [Resource] ──▶ PIDF        read_stanza, document
//! PIDF, msrtc.pidf, categories ──▶ Seen       ──▶ <presence/> read_presence, stanza
//! ```
//!
//! Only availability is here; subscriptions are decided by the gateway.

mod microsoft;
mod read;
mod stanza;
mod states;
#[cfg(test)]
mod tests;
mod write;

use std::cmp::Reverse;

use clock_types::Date;

pub use read::{Document, PIDF_TYPE, Seen, read_presence};
pub use stanza::{nick, nick_element, read_stanza, stanza, unavailable};
pub use states::{BadState, Show, StateTable};
pub use write::{DocumentOptions, OCTETS_MAX, document, language};

/// Tuples of a document that are read, and resources of a user that are written.
pub const RESOURCES_MAX: usize = 32;

/// Octets of a device's name; one with a longer name goes without.
pub const NAME_MAX: usize = 256;

/// Octets of a status text or note that cross; the rest is lost ([`Loss::Length`](crate::Loss::Length)).
pub const STATUS_MAX: usize = 1024;

/// Status texts of one resource that cross, each in a language of its own.
pub const STATUSES_MAX: usize = 8;

/// One resource of an XMPP user, or one device of a SIP user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name: the resourcepart, or the tuple's id without its `ID-` (RFC 8048 §6.2).
    pub name: Option<String>,
    /// Whether the name is a label of a document alone, as of programs that make one up at each start, and addresses
    /// nothing (RFC 8048 §6.2 has addresses behind `ID-`).
    pub is_label: bool,
    /// How it is available; `None` when it is not.
    pub available: Option<Available>,
    /// In words, each in a language of its own; also about why it is not.
    pub statuses: Vec<Status>,
}

/// What an available resource says (RFC 6121 §4.7.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Available {
    /// How available.
    pub show: Show,
    /// Which of the user's resources he prefers: -128 to 127.
    pub priority: i8,
    /// Since when nobody has touched it (XEP-0319, RFC 4480 §3.14).
    pub idle: Option<Date>,
}

impl Resource {
    /// Returns one that is unavailable, and says nothing about it.
    #[must_use]
    pub const fn gone(name: Option<String>) -> Self {
        Self { name, is_label: false, available: None, statuses: Vec::new() }
    }

    /// Lets go of the room for more than it says: very many are remembered for hours.
    pub fn compact(&mut self) {
        self.statuses.shrink_to_fit();
        self.statuses.iter_mut().for_each(|status| status.text.shrink_to_fit());
    }

    /// Returns what puts one resource before another: the higher priority, then the more available.
    fn rank(&self) -> Option<(i8, Reverse<Show>)> {
        self.available.as_ref().map(|available| (available.priority, Reverse(available.show)))
    }
}

/// A text about a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its language (RFC 5646); `None` when none is given.
    pub language: Option<String>,
    /// The text; not empty.
    pub text: String,
}

impl Status {
    /// Returns a text without a language.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { language: None, text: text.into() }
    }
}

/// Returns the resource that stands for its user where only one can: of the available ones the highest
/// priority, then the most available.
#[must_use]
pub fn foremost(resources: &[Resource]) -> Option<&Resource> {
    resources.iter().filter(|resource| resource.available.is_some()).max_by_key(|resource| resource.rank())
}

/// Returns what resources say, in a line for people: `desk available, phone away ("Out")`.
#[must_use]
pub fn in_words(resources: &[Resource]) -> String {
    let mut words = String::new();
    for (resource, available) in resources.iter().filter_map(|known| Some((known, known.available.as_ref()?)))
    {
        if !words.is_empty() {
            words.push_str(", ");
        }
        if let Some(name) = &resource.name {
            words.push_str(name);
            words.push(' ');
        }
        words.push_str(available.show.name());
        if let Some(status) = resource.statuses.first() {
            words.push_str(&format!(" (\"{}\")", status.text));
        }
    }
    if words.is_empty() { "unavailable".to_owned() } else { words }
}
