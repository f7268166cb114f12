//! Names and namespaces that are cheap to copy and compare.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use super::chars::{is_char, is_name_part, is_name_start, is_ncname};
use crate::ns;

/// The local name of an element or attribute, always without a colon and well-formed.
#[derive(Clone)]
pub struct Name(Atom);

/// A namespace name; the empty one stands for "no namespace".
#[derive(Clone)]
pub struct Namespace(Atom);

#[derive(Clone)]
enum Atom {
    Known(&'static str),
    Shared(Arc<str>),
}

impl Name {
    /// Returns `name`, with every character that a name cannot hold replaced by `_`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        match well_known_name(name) {
            Some(known) => Self(Atom::Known(known)),
            None => Self(Atom::Shared(Arc::from(&*legal_name(name)))),
        }
    }

    /// Returns `name` if it is a name without a colon (XML-NAMES §3).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(known) = well_known_name(name) {
            return Some(Self(Atom::Known(known)));
        }
        is_ncname(name).then(|| Self(Atom::Shared(Arc::from(name))))
    }

    pub(super) fn shared(name: Arc<str>) -> Self {
        debug_assert!(is_ncname(&name));
        Self(Atom::Shared(name))
    }

    pub(super) const fn known(name: &'static str) -> Self {
        Self(Atom::Known(name))
    }

    /// Returns the characters of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Namespace {
    /// No namespace.
    pub const NONE: Self = Self(Atom::Known(""));

    /// Returns the namespace named `uri`.
    ///
    /// Characters that XML cannot carry become U+FFFD. The namespace of declarations holds no elements
    /// and no attributes (XML-NAMES §3); it becomes [`Self::NONE`].
    #[must_use]
    pub fn new(uri: &str) -> Self {
        match well_known(uri) {
            Some(ns::XMLNS) => Self::NONE,
            Some(known) => Self(Atom::Known(known)),
            None => Self(Atom::Shared(Arc::from(&*legal_text(uri)))),
        }
    }

    pub(super) fn shared(uri: Arc<str>) -> Self {
        Self(Atom::Shared(uri))
    }

    pub(super) const fn known(uri: &'static str) -> Self {
        Self(Atom::Known(uri))
    }

    /// Returns the namespace name, which is empty for no namespace.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        if is_ncname(name) { Self(Atom::Known(name)) } else { Self::new(name) }
    }
}

impl From<&'static str> for Namespace {
    fn from(uri: &'static str) -> Self {
        if well_known(uri).is_some_and(|known| known != ns::XMLNS) {
            Self(Atom::Known(uri))
        } else {
            Self::new(uri)
        }
    }
}

impl Atom {
    fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => known,
            Self::Shared(shared) => shared,
        }
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.as_str(), other.as_str());
        std::ptr::eq(mine, theirs) || mine == theirs
    }
}

macro_rules! reads_like_str {
    ($($name:ident)+) => {$(
        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                self.as_str()
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }
        impl Eq for $name {}
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                std::ptr::eq(self.as_str(), other) || self.as_str() == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                *self == **other
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_str().cmp(other.as_str())
            }
        }
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), out)
            }
        }
    )+};
}

reads_like_str!(Name Namespace);

fn legal_name(name: &str) -> Cow<'_, str> {
    if is_ncname(name) {
        return Cow::Borrowed(name);
    }
    let mut legal = String::with_capacity(name.len() + 1);
    for c in name.chars() {
        if legal.is_empty() && !is_name_start(c) {
            legal.push('_');
            if is_name_part(c) {
                legal.push(c);
            }
        } else {
            legal.push(if is_name_part(c) { c } else { '_' });
        }
    }
    if legal.is_empty() { Cow::Borrowed("_") } else { Cow::Owned(legal) }
}

/// Returns `text` with what XML cannot carry replaced by U+FFFD.
pub(super) fn legal_text(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_char) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_char(c) { c } else { '\u{FFFD}' }).collect())
}

/// Returns the constant that equals `word`, when it is one of those that streams repeat all day.
pub(super) fn well_known(word: &str) -> Option<&'static str> {
    index_of(word).map(|index| WORDS[index])
}

/// Returns the constant that equals `word`, when it is a name and streams repeat it all day.
pub(super) fn well_known_name(word: &str) -> Option<&'static str> {
    index_of(word).filter(|index| (1..NAMES.len()).contains(index)).map(|index| NAMES[index])
}

fn index_of(word: &str) -> Option<usize> {
    let mut slot = slot(word.as_bytes());
    loop {
        let index = usize::from(TABLE[slot]).checked_sub(1)?;
        if WORDS[index] == word {
            return Some(index);
        }
        slot = (slot + 1) % SLOTS;
    }
}

const SLOTS: usize = 1024;

const fn slot(word: &[u8]) -> usize {
    let length = word.len();
    if length == 0 {
        return 0;
    }
    let first = word[0] as usize;
    let last = word[length - 1] as usize;
    let middle = word[length / 2] as usize;
    let late = word[length - 1 - length / 4] as usize;
    (length * 37 + first * 101 + last * 331 + middle * 17 + late * 631) % SLOTS
}

static TABLE: [u8; SLOTS] = table();

const fn table() -> [u8; SLOTS] {
    let mut table = [0; SLOTS];
    let mut index = 0;
    while index < WORDS.len() {
        let mut slot = slot(WORDS[index].as_bytes());
        while table[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = index as u8 + 1;
        index += 1;
    }
    table
}

/// Names, but for the first word, which is the namespace that is none.
const NAMES: &[&str] = &[
    "",
    "message",
    "presence",
    "iq",
    "body",
    "subject",
    "thread",
    "error",
    "text",
    "from",
    "to",
    "id",
    "type",
    "lang",
    "by",
    "code",
    "parent",
    "show",
    "status",
    "priority",
    "query",
    "ping",
    "xml",
    "xmlns",
    "stream",
    "version",
    "features",
    "db",
    "result",
    "verify",
    "dialback",
    "errors",
    "starttls",
    "proceed",
    "failure",
    "required",
    "mechanisms",
    "mechanism",
    "auth",
    "success",
    "abort",
    "challenge",
    "response",
    "sm",
    "enable",
    "enabled",
    "resume",
    "resumed",
    "failed",
    "r",
    "a",
    "h",
    "previd",
    "max",
    "location",
    "settled",
    "n",
    "limits",
    "max-bytes",
    "idle-seconds",
    "bidi",
    "active",
    "composing",
    "paused",
    "inactive",
    "gone",
    "request",
    "received",
    "delay",
    "stamp",
    "origin-id",
    "stanza-id",
    "nick",
    "c",
    "hash",
    "node",
    "ver",
    "ext",
    "x",
    "item",
    "identity",
    "feature",
    "var",
    "name",
    "category",
    "photo",
    "html",
    "p",
    "span",
    "style",
    "url",
    "desc",
    "store",
    "no-store",
    "no-copy",
    "no-permanent-store",
    "markable",
    "displayed",
    "replace",
    "reaction",
    "reactions",
    "fallback",
    "forwarded",
    "sent",
    "private",
    "idle",
    "since",
    "os",
    "jid",
    "subscription",
    "bad-request",
    "conflict",
    "feature-not-implemented",
    "forbidden",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "not-acceptable",
    "not-allowed",
    "not-authorized",
    "policy-violation",
    "recipient-unavailable",
    "redirect",
    "registration-required",
    "remote-server-not-found",
    "remote-server-timeout",
    "resource-constraint",
    "service-unavailable",
    "subscription-required",
    "undefined-condition",
    "unexpected-request",
];

const COUNT: usize = NAMES.len() + ns::ALL.len();
static WORDS: [&str; COUNT] = words();

const fn words() -> [&'static str; COUNT] {
    assert!(COUNT < u8::MAX as usize, "the table's entries are one octet");
    let mut words = [""; COUNT];
    let mut index = 0;
    while index < COUNT {
        words[index] = if index < NAMES.len() { NAMES[index] } else { ns::ALL[index - NAMES.len()] };
        index += 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_well_known_word_is_found_and_others_are_not() {
        for word in WORDS {
            assert_eq!(well_known(word), Some(word));
        }
        for name in &NAMES[1..] {
            assert!(is_ncname(name), "{name}");
            assert_eq!(well_known_name(name), Some(*name));
        }
        for namespace in ns::ALL {
            assert_eq!(well_known_name(namespace), None);
        }
        assert_eq!(well_known_name(""), None);
        assert_eq!(well_known("jabber:servex"), None);
        assert_eq!(well_known("messagf"), None);
    }

    #[test]
    fn names_cannot_be_made_from_what_is_not_a_name() {
        assert_eq!(Name::new("a b"), "a_b");
        assert_eq!(Name::new("1"), "_1");
        assert_eq!(Name::new(""), "_");
        assert_eq!(Name::new("><"), "__");
        assert_eq!(Name::from("x:y"), "x_y");
        assert_eq!(Name::parse("x:y"), None);
    }

    #[test]
    fn namespaces_hold_only_what_a_declaration_can_carry() {
        assert_eq!(Namespace::new("a\u{1}b"), "a\u{FFFD}b");
        assert_eq!(Namespace::new(ns::XMLNS), "");
        assert_eq!(Namespace::from(ns::XMLNS), "");
    }
}
