//! Elements as a tree of values.

use std::borrow::Cow;
use std::fmt;

use super::name::{Name, Namespace};
use super::printer::Printer;
use super::text::XmlText;
use crate::ns;

/// An element: a name in a namespace, attributes, children.
///
/// Two attributes never share a name, no text is empty, and no two texts are neighbours, however the
/// element was made. Equality is that of the tree, with the order of attributes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Element {
    name: Name,
    namespace: Namespace,
    attributes: Vec<Attribute>,
    children: Vec<Node>,
}

/// A child of an element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data, never empty.
    Text(XmlText),
}

/// An attribute; most have no namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attribute {
    pub(super) namespace: Namespace,
    pub(super) name: Name,
    pub(super) value: XmlText,
}

impl Attribute {
    /// Returns the local name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the namespace, empty for none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the value, after normalisation.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Construction.
impl Element {
    /// Returns an empty element `name` in the namespace `ns`.
    #[must_use]
    pub fn new(ns: impl Into<Namespace>, name: impl Into<Name>) -> Self {
        Self { name: name.into(), namespace: ns.into(), attributes: Vec::new(), children: Vec::new() }
    }

    pub(super) fn from_parts(namespace: Namespace, name: Name, attributes: Vec<Attribute>) -> Self {
        Self { name, namespace, attributes, children: Vec::new() }
    }

    /// Returns the element with one attribute set.
    #[must_use]
    pub fn with_attr(mut self, name: impl Into<Name>, value: impl Into<XmlText>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// Returns the element with one attribute set, when there is a value for it.
    #[must_use]
    pub fn with_attr_opt(self, name: impl Into<Name>, value: Option<impl Into<XmlText>>) -> Self {
        match value {
            Some(value) => self.with_attr(name, value),
            None => self,
        }
    }

    /// Returns the element with one attribute set that belongs to a namespace.
    #[must_use]
    pub fn with_attr_in(
        mut self,
        ns: impl Into<Namespace>,
        name: impl Into<Name>,
        value: impl Into<XmlText>,
    ) -> Self {
        self.set_attr_in(ns, name, value);
        self
    }

    /// Returns the element with `xml:lang`.
    #[must_use]
    pub fn with_lang(self, lang: impl Into<XmlText>) -> Self {
        self.with_attr_in(ns::XML, "lang", lang)
    }

    /// Returns the element with one more child at its end.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.push_child(child);
        self
    }

    /// Returns the element with more children at its end.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }

    /// Returns the element with more text at its end.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<XmlText>) -> Self {
        self.push_text(text);
        self
    }
}

/// What an element is.
impl Element {
    /// Returns the local name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the namespace name.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns whether this is the element `name` of the namespace `ns`.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == *name && self.namespace == *ns
    }

    /// Returns the value of the attribute `name` that is in no namespace.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attr_in("", name)
    }

    /// Returns the value of the attribute `name` of the namespace `ns`.
    #[must_use]
    pub fn attr_in(&self, ns: &str, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == *name && attribute.namespace == *ns)
            .map(Attribute::value)
    }

    /// Returns the element's own `xml:lang`.
    #[must_use]
    pub fn lang(&self) -> Option<&str> {
        self.attr_in(ns::XML, "lang")
    }

    /// Returns the attributes in their order.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Returns the children in their order, texts included.
    #[must_use]
    pub fn children(&self) -> &[Node] {
        &self.children
    }

    /// Returns about how many octets it has on the wire.
    #[must_use]
    pub fn weight(&self) -> usize {
        let of_attribute = |attribute: &Attribute| attribute.name().len() + attribute.value().len() + 4;
        let attributes: usize = self.attributes().iter().map(of_attribute).sum();
        let of_child = |child: &Node| match child {
            Node::Element(child) => child.weight(),
            Node::Text(text) => text.len(),
        };
        let children: usize = self.children().iter().map(of_child).sum();
        self.name().len() * 2 + 5 + attributes + children
    }

    /// Returns the child elements in their order.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(Node::as_element)
    }

    /// Returns the first child element `name` of the namespace `ns`.
    #[must_use]
    pub fn child(&self, name: &str, ns: &str) -> Option<&Self> {
        self.elements().find(|child| child.is(name, ns))
    }

    /// Returns the first child element `name` of the namespace `ns`, to be changed.
    pub fn child_mut(&mut self, name: &str, ns: &str) -> Option<&mut Self> {
        self.children.iter_mut().find_map(|node| match node {
            Node::Element(child) if child.is(name, ns) => Some(child),
            Node::Element(_) | Node::Text(_) => None,
        })
    }

    /// Returns whether there is a child element `name` of the namespace `ns`.
    #[must_use]
    pub fn has_child(&self, name: &str, ns: &str) -> bool {
        self.child(name, ns).is_some()
    }

    /// Returns the element's own character data, without that of its descendants.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.children.iter().filter_map(Node::as_text);
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let mut all = format!("{first}{second}");
                texts.for_each(|text| all.push_str(text));
                Cow::Owned(all)
            }
        }
    }
}

/// Changes.
impl Element {
    /// Sets an attribute that is in no namespace; it keeps its place if it was there.
    pub fn set_attr(&mut self, name: impl Into<Name>, value: impl Into<XmlText>) {
        self.set(Namespace::NONE, name.into(), value.into());
    }

    /// Sets an attribute that belongs to a namespace.
    pub fn set_attr_in(
        &mut self,
        ns: impl Into<Namespace>,
        name: impl Into<Name>,
        value: impl Into<XmlText>,
    ) {
        self.set(ns.into(), name.into(), value.into());
    }

    fn set(&mut self, namespace: Namespace, name: Name, value: XmlText) {
        // `xmlns` is no attribute (XML-NAMES §3): written as one it would be a declaration.
        let name = if namespace.is_empty() && name == *"xmlns" { Name::from("_xmlns") } else { name };
        let same = |a: &&mut Attribute| a.name == name && a.namespace == namespace;
        match self.attributes.iter_mut().find(same) {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(Attribute { namespace, name, value }),
        }
    }

    /// Removes an attribute that is in no namespace, and returns its value.
    pub fn remove_attr(&mut self, name: &str) -> Option<XmlText> {
        let at = self.attributes.iter().position(|a| a.name == *name && a.namespace.is_empty())?;
        Some(self.attributes.remove(at).value)
    }

    /// Adds a child element at the end.
    pub fn push_child(&mut self, child: Self) {
        self.children.push(Node::Element(child));
    }

    /// Adds text at the end, joining it to a text that stands there.
    pub fn push_text(&mut self, text: impl Into<XmlText>) {
        let text = text.into();
        if text.is_empty() {
            return;
        }
        match self.children.last_mut() {
            Some(Node::Text(last)) => last.append(&text),
            Some(Node::Element(_)) | None => self.children.push(Node::Text(text)),
        }
    }

    /// Removes the child elements for which `keep` says no; texts stay.
    pub fn retain_elements(&mut self, mut keep: impl FnMut(&Self) -> bool) {
        self.children.retain(|node| node.as_element().is_none_or(&mut keep));
        self.join_texts();
    }

    /// Removes all children, and returns them.
    pub fn take_children(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.children)
    }

    /// Returns the child elements, without this one around them.
    pub fn into_elements(self) -> impl Iterator<Item = Self> {
        self.children.into_iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    fn join_texts(&mut self) {
        self.children.dedup_by(|later, earlier| match (earlier, later) {
            (Node::Text(earlier), Node::Text(later)) => {
                earlier.append(later);
                true
            }
            (Node::Text(_) | Node::Element(_), Node::Element(_)) | (Node::Element(_), Node::Text(_)) => false,
        });
    }
}

impl Node {
    /// Returns the element, if it is one.
    #[must_use]
    pub const fn as_element(&self) -> Option<&Element> {
        match self {
            Self::Element(element) => Some(element),
            Self::Text(_) => None,
        }
    }

    /// Returns the text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Element(_) => None,
            Self::Text(text) => Some(text),
        }
    }
}

impl Element {
    pub(super) const fn raw_namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(super) const fn raw_name(&self) -> &Name {
        &self.name
    }
}

/// Shows the element as a document of its own.
impl fmt::Display for Element {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut octets = Vec::new();
        Printer::document().print(self, &mut octets);
        out.write_str(&String::from_utf8_lossy(&octets))
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_set_once_however_often() {
        let mut element = Element::new(ns::SERVER, "iq").with_attr("id", "1").with_attr("id", "2");

        assert_eq!(element.attr("id"), Some("2"));
        assert_eq!(element.attributes().len(), 1);
        assert_eq!(element.remove_attr("id").as_deref(), Some("2"));
        assert_eq!(element.attr("id"), None);
    }

    #[test]
    fn texts_are_joined_and_empty_ones_vanish() {
        let mut element = Element::new("", "a")
            .with_text("1")
            .with_text("")
            .with_text("2")
            .with_child(Element::new("", "b"))
            .with_text("3");

        assert_eq!(element.children().len(), 3);
        assert_eq!(element.text(), "123");
        element.retain_elements(|_| false);
        assert_eq!(element.children().len(), 1);
        assert_eq!(element.text(), "123");
    }

    #[test]
    fn a_declaration_cannot_be_written_as_an_attribute() {
        let element = Element::new("", "a").with_attr("xmlns", "jabber:client");

        assert_eq!(element.to_string(), "<a _xmlns='jabber:client'/>");
    }
}
