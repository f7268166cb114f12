//! A stanza as an operator may see it.

use crate::xml::{Element, Node};

/// Whether what people wrote may be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bodies {
    /// Only how long it is.
    #[default]
    Hidden,
    /// As it is.
    Shown,
}

/// Returns a stanza for an operator: its names, its addresses and its id, and of everything in it only that it is there.
#[must_use]
pub fn outline(stanza: &Element, bodies: Bodies) -> Element {
    if bodies == Bodies::Shown {
        return stanza.clone();
    }
    let mut shown = stanza.clone();
    for node in shown.take_children() {
        let Node::Element(child) = node else { continue };
        let octets = octets(&child);
        let mut outlined = bare(child);
        if octets > 0 {
            outlined.push_text(format!("[{octets} octets]"));
        }
        shown.push_child(outlined);
    }
    shown
}

/// Returns an element without what it holds and what is said of it.
fn bare(mut element: Element) -> Element {
    element.take_children();
    let names: Vec<String> =
        element.attributes().iter().map(|attribute| attribute.name().to_owned()).collect();
    for name in names {
        element.remove_attr(&name);
    }
    element
}

/// Returns how much text there is, at any depth.
fn octets(element: &Element) -> usize {
    let mut waiting = vec![element];
    let mut octets = 0;
    while let Some(element) = waiting.pop() {
        for node in element.children() {
            match node {
                Node::Text(text) => octets += text.len(),
                Node::Element(child) => waiting.push(child),
            }
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, parse_document};

    #[test]
    fn what_people_wrote_is_not_shown() {
        let text = "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' id='m1' type='chat'>\
                    <body>secret words</body><request xmlns='urn:xmpp:receipts'/>\
                    <html xmlns='http://jabber.org/protocol/xhtml-im'><p>sec<b>ret</b></p></html></message>";
        let stanza = parse_document(text.as_bytes(), &Limits::AUTHENTICATED).unwrap();

        let shown = outline(&stanza, Bodies::Hidden).to_string();

        assert_eq!(
            shown,
            "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' id='m1' type='chat'><body>[12 octets]</body>\
             <request xmlns='urn:xmpp:receipts'/>\
             <html xmlns='http://jabber.org/protocol/xhtml-im'>[6 octets]</html></message>"
        );
    }
}
