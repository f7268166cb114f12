//! The canonical printer.

use super::element::{Attribute, Element, Node};
use super::escape::{write_attribute, write_text};
use super::name::{Name, Namespace};
use crate::ns;

/// Prints elements in one form: single quotes, no needless declaration, no needless white space.
///
/// An element in the namespace that surrounds it has no prefix; one whose namespace the stream header
/// bound to a prefix (`stream:`, `db:`) has that prefix; any other declares its namespace as the default.
/// What is printed is well-formed because an [`Element`] cannot hold what would make it otherwise.
#[derive(Clone, Debug)]
pub struct Printer {
    /// The default namespace around what is printed.
    content: Namespace,
    /// The namespace that stands on the wire where the element says [`ns::SERVER`].
    mapped: Namespace,
    /// Prefixes that what surrounds the element has bound.
    prefixes: Vec<(Name, Namespace)>,
    /// Whether the outermost element binds them itself.
    declares: bool,
}

impl Printer {
    /// Returns a printer for a stream whose content namespace is `content` (RFC 6120 §4.8.2).
    ///
    /// Elements of [`ns::SERVER`] come out in `content`, whichever of the content namespaces it is.
    #[must_use]
    pub fn new(content: impl Into<Namespace>) -> Self {
        let content = content.into();
        let prefixes = vec![(Name::from("stream"), Namespace::from(ns::STREAMS))];
        Self { mapped: content.clone(), content, prefixes, declares: false }
    }

    /// Returns a printer for elements that stand alone.
    #[must_use]
    pub fn document() -> Self {
        Self {
            content: Namespace::NONE,
            mapped: Namespace::from(ns::SERVER),
            prefixes: Vec::new(),
            declares: false,
        }
    }

    /// Returns the printer, whose outermost element now binds the prefixes itself: for documents whose
    /// readers look for a prefix rather than for its namespace.
    #[must_use]
    pub fn declaring(mut self) -> Self {
        self.declares = true;
        self
    }

    /// Returns the printer, told that the stream header we sent bound `prefix` to `ns`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<Name>, ns: impl Into<Namespace>) -> Self {
        let (prefix, ns) = (prefix.into(), ns.into());
        let reserved = prefix == *"xml" || prefix == *"xmlns" || prefix.starts_with(GENERATED);
        if !reserved && !ns.is_empty() && !self.prefixes.iter().any(|(p, n)| *p == prefix || *n == ns) {
            self.prefixes.push((prefix, ns));
        }
        self
    }

    /// Prints `element` at the end of `out`.
    pub fn print(&self, element: &Element, out: &mut Vec<u8>) {
        self.element(element, &self.content, self.declares, out);
    }

    fn element(&self, element: &Element, default: &Namespace, declares: bool, out: &mut Vec<u8>) {
        let namespace = self.on_the_wire(element.raw_namespace());
        let prefix = if namespace == default { None } else { self.prefix_of(namespace) };
        out.push(b'<');
        write_name(prefix, element.raw_name(), out);
        let inner = if prefix.is_some() || namespace == default {
            default
        } else {
            out.extend_from_slice(b" xmlns='");
            write_attribute(namespace, out);
            out.push(b'\'');
            namespace
        };
        if declares {
            for (prefix, namespace) in &self.prefixes {
                out.extend_from_slice(b" xmlns:");
                out.extend_from_slice(prefix.as_bytes());
                out.extend_from_slice(b"='");
                write_attribute(namespace, out);
                out.push(b'\'');
            }
        }
        self.attributes(element.attributes(), out);
        if element.children().is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        for child in element.children() {
            match child {
                Node::Element(child) => self.element(child, inner, false, out),
                Node::Text(text) => write_text(text, out),
            }
        }
        out.extend_from_slice(b"</");
        write_name(prefix, element.raw_name(), out);
        out.push(b'>');
    }

    fn attributes(&self, attributes: &[Attribute], out: &mut Vec<u8>) {
        let mut generated: Vec<&Namespace> = Vec::new();
        for attribute in attributes {
            out.push(b' ');
            if attribute.namespace.is_empty() {
                out.extend_from_slice(attribute.name.as_bytes());
            } else {
                // As it is, even on a stream of another content namespace, or two attributes could become one.
                let namespace = &attribute.namespace;
                match self.prefix_of(namespace) {
                    Some(prefix) => write_name(Some(prefix), &attribute.name, out),
                    None => Self::generated_prefix(&mut generated, namespace, &attribute.name, out),
                }
            }
            out.extend_from_slice(b"='");
            write_attribute(&attribute.value, out);
            out.push(b'\'');
        }
    }

    /// Writes an attribute's name with a prefix made up for it, and the declaration at its first use.
    fn generated_prefix<'a>(
        generated: &mut Vec<&'a Namespace>,
        namespace: &'a Namespace,
        name: &Name,
        out: &mut Vec<u8>,
    ) {
        let known = generated.iter().position(|known| *known == namespace);
        let number = known.unwrap_or(generated.len());
        let prefix = format!("{GENERATED}{number}");
        if known.is_none() {
            generated.push(namespace);
            out.extend_from_slice(b"xmlns:");
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(b"='");
            write_attribute(namespace, out);
            out.extend_from_slice(b"' ");
        }
        out.extend_from_slice(prefix.as_bytes());
        out.push(b':');
        out.extend_from_slice(name.as_bytes());
    }

    fn on_the_wire<'a>(&'a self, namespace: &'a Namespace) -> &'a Namespace {
        if *namespace == *ns::SERVER { &self.mapped } else { namespace }
    }

    fn prefix_of(&self, namespace: &Namespace) -> Option<&Name> {
        if *namespace == *ns::XML {
            return Some(&XML);
        }
        self.prefixes.iter().find(|(_, bound)| bound == namespace).map(|(prefix, _)| prefix)
    }
}

/// Prefixes that begin so are ours to declare on any element; the header's may not.
const GENERATED: &str = "ns";

static XML: Name = Name::known("xml");

fn write_name(prefix: Option<&Name>, name: &Name, out: &mut Vec<u8>) {
    if let Some(prefix) = prefix {
        out.extend_from_slice(prefix.as_bytes());
        out.push(b':');
    }
    out.extend_from_slice(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(printer: &Printer, element: &Element) -> String {
        let mut out = Vec::new();
        printer.print(element, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn message() -> Element {
        Element::new(ns::SERVER, "message")
            .with_attr("to", "o'neill@example.com")
            .with_child(Element::new(ns::SERVER, "body").with_text("a < b && c > d\r\n"))
            .with_child(Element::new(ns::CHAT_STATES, "active"))
    }

    #[test]
    fn a_stanza_is_printed_in_the_content_namespace_of_its_stream() {
        let bare = "<message to='o&apos;neill@example.com'><body>a &lt; b &amp;&amp; c &gt; d&#13;\n</body>\
                    <active xmlns='http://jabber.org/protocol/chatstates'/></message>";

        for content in [ns::SERVER, ns::CLIENT, ns::COMPONENT_ACCEPT] {
            assert_eq!(printed(&Printer::new(content), &message()), bare);
        }
    }

    #[test]
    fn prefixes_of_the_header_are_used_and_others_are_not() {
        let printer = Printer::new(ns::SERVER).with_prefix("db", ns::DIALBACK);
        let result = Element::new(ns::DIALBACK, "result").with_text("key");
        let features = Element::new(ns::STREAMS, "features").with_child(Element::new(ns::TLS, "starttls"));

        assert_eq!(printed(&printer, &result), "<db:result>key</db:result>");
        assert_eq!(
            printed(&printer, &features),
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
        );
        assert_eq!(
            printed(&Printer::new(ns::SERVER), &result),
            "<result xmlns='jabber:server:dialback'>key</result>"
        );
    }

    #[test]
    fn attributes_of_a_namespace_get_a_prefix_declared_once() {
        let element = Element::new("", "a")
            .with_attr_in("urn:x", "p", "1")
            .with_attr_in("urn:y", "p", "2")
            .with_attr_in("urn:x", "q", "3\t\n\r\"")
            .with_lang("en");

        assert_eq!(
            element.to_string(),
            "<a xmlns:ns0='urn:x' ns0:p='1' xmlns:ns1='urn:y' ns1:p='2' ns0:q='3&#9;&#10;&#13;\"' xml:lang='en'/>"
        );
    }

    #[test]
    fn two_attributes_never_become_one() {
        let element = Element::new(ns::SERVER, "a").with_attr_in(ns::SERVER, "b", "1").with_attr_in(
            ns::COMPONENT_ACCEPT,
            "b",
            "2",
        );

        assert_eq!(
            printed(&Printer::new(ns::COMPONENT_ACCEPT), &element),
            "<a xmlns:ns0='jabber:server' ns0:b='1' xmlns:ns1='jabber:component:accept' ns1:b='2'/>"
        );
    }

    #[test]
    fn a_document_can_bind_its_prefixes_itself() {
        let printer = Printer::document().with_prefix("r", ns::RPID).declaring();
        let element = Element::new(ns::PIDF, "presence").with_child(Element::new(ns::RPID, "away"));

        assert_eq!(
            printed(&printer, &element),
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:r='urn:ietf:params:xml:ns:pidf:rpid'><r:away/></presence>"
        );
    }

    #[test]
    fn an_element_without_a_namespace_says_so() {
        let element = Element::new(ns::SERVER, "iq").with_child(Element::new("", "x"));

        assert_eq!(printed(&Printer::new(ns::SERVER), &element), "<iq><x xmlns=''/></iq>");
    }
}
