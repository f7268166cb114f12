//! Which namespaces are in scope (XML-NAMES §6).

use std::sync::Arc;

use super::chars::is_ncname;
use super::error::{Limit, XmlError};
use super::name::{Name, Namespace, well_known, well_known_name};
use crate::ns;

/// Prefixes and what they are bound to, innermost last.
#[derive(Debug, Default)]
pub(super) struct Scope {
    bindings: Vec<(Name, Namespace)>,
}

impl Scope {
    /// Returns a mark to go back to with [`Self::leave`].
    pub(super) fn mark(&self) -> usize {
        self.bindings.len()
    }

    /// Forgets what was bound since `mark`.
    pub(super) fn leave(&mut self, mark: usize) {
        self.bindings.truncate(mark);
    }

    /// Returns what was bound since `mark`.
    pub(super) fn since(&self, mark: usize) -> &[(Name, Namespace)] {
        &self.bindings[mark..]
    }

    /// Returns what `prefix` is bound to.
    pub(super) fn find(&self, prefix: &str) -> Option<Namespace> {
        if prefix == "xml" {
            return Some(Namespace::known(ns::XML));
        }
        let bound = self.bindings.iter().rev().find(|(bound, _)| *bound == *prefix);
        bound.map(|(_, namespace)| namespace.clone())
    }

    /// Binds `prefix` on the element that was entered at `mark` (XML-NAMES §3, §5).
    pub(super) fn bind(
        &mut self,
        prefix: Name,
        namespace: Namespace,
        mark: usize,
        max: usize,
    ) -> Result<(), XmlError> {
        match (prefix.as_str(), namespace.as_str()) {
            // It may be declared as what it is, though not twice.
            ("xml", ns::XML) => {}
            ("xml" | "xmlns", _) | (_, ns::XML | ns::XMLNS) => {
                return Err(XmlError::not_well_formed("a reserved prefix or namespace is declared"));
            }
            (_, "") => return Err(XmlError::not_well_formed("a prefix is bound to no namespace")),
            _ => {}
        }
        if self.since(mark).iter().any(|(bound, _)| *bound == prefix) {
            return Err(DUPLICATE);
        }
        if self.bindings.len() == max {
            return Err(XmlError::over(Limit::Namespaces));
        }
        self.bindings.push((prefix, namespace));
        Ok(())
    }
}

/// An attribute or declaration stands twice on one element.
pub(super) const DUPLICATE: XmlError = XmlError::not_well_formed("an attribute is given twice");

/// Gives equal names of a stream one allocation, within a bound.
#[derive(Debug, Default)]
pub(super) struct Interner {
    slots: Vec<Option<Arc<str>>>,
}

impl Interner {
    /// Few streams use more names than this beside the well-known ones.
    const SLOTS: usize = 64;
    /// Longer words are not kept, so that what is kept has a bound.
    const LENGTH_MAX: usize = 64;

    /// Returns the name `word`, if it is one.
    pub(super) fn name(&mut self, word: &str) -> Result<Name, XmlError> {
        match well_known_name(word) {
            Some(known) => Ok(Name::known(known)),
            None if is_ncname(word) => Ok(Name::shared(self.shared(word))),
            None => Err(XmlError::not_well_formed("a name is malformed")),
        }
    }

    /// Returns the namespace `uri`.
    pub(super) fn namespace(&mut self, uri: &str) -> Namespace {
        match well_known(uri) {
            Some(known) => Namespace::known(known),
            None => Namespace::shared(self.shared(uri)),
        }
    }

    fn shared(&mut self, word: &str) -> Arc<str> {
        if word.len() > Self::LENGTH_MAX {
            return Arc::from(word);
        }
        if self.slots.is_empty() {
            self.slots.resize(Self::SLOTS, None);
        }
        let hash = word.bytes().fold(word.len(), |hash, octet| hash.wrapping_mul(31) ^ octet as usize);
        let slot = &mut self.slots[hash % Self::SLOTS];
        match slot {
            Some(kept) if **kept == *word => Arc::clone(kept),
            Some(_) | None => {
                let shared: Arc<str> = Arc::from(word);
                *slot = Some(Arc::clone(&shared));
                shared
            }
        }
    }
}
