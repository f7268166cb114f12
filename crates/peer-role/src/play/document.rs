//! Presence documents (RFC 3863) as plays write them: what stands inside `<presence>`.

use xmpp_types::ns;
use xmpp_types::xml::{Element, Limits, parse_document};

use super::pattern::{Bindings, Mismatch, Pattern};
use super::stanza::compare;
use crate::raw::{RawMessage, address};

/// A document to expect. Its tuples are those of the play, in their order and to the last attribute; of what else stands
/// in it the play names at least what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentPattern(Element);

impl DocumentPattern {
    pub(super) fn parse(inside: &str) -> Result<Self, String> {
        let text = written("", inside);
        let root = parse_document(text.as_bytes(), &Limits::default());
        root.map(Self).map_err(|why| format!("not the inside of a document: {why}"))
    }

    /// Compares the document of a message, which is that of the sender and says so.
    pub(super) fn matches(&self, message: &RawMessage, bindings: &mut Bindings) -> Result<(), Mismatch> {
        let of = |at: &str, expected: &str, found: &str| Mismatch {
            at: at.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        };
        let kind = message.header("Content-Type").unwrap_or_default();
        if kind != TYPE {
            return Err(of("Content-Type", TYPE, kind));
        }
        let root = parse_document(without_declaration(&message.body), &Limits::default())
            .map_err(|why| of("document", "XML", &format!("{why}: {:?}", message.body)))?;
        let (entity, sender) = (root.attr("entity").unwrap_or_default(), sender(message.header("From")));
        if !root.is("presence", ns::PIDF) || entity != sender {
            return Err(of("presence/@entity", &sender, &root.to_string()));
        }
        let [expected, found] = [&self.0, &root].map(tuples);
        for (expected, found) in expected.iter().zip(&found) {
            exactly(expected, found, bindings)?;
        }
        if expected.len() != found.len() {
            let (expected, root) = (format!("{} tuples", expected.len()), root.to_string());
            return Err(of("presence", &expected, &root));
        }
        let mut rest = self.0.clone();
        rest.retain_elements(|child| !child.is("tuple", ns::PIDF));
        rest.remove_attr("entity");
        compare(&rest, &root, bindings)
    }
}

/// Returns the document of a message that is to be sent, whose headers are so far these, and says what it is.
pub(super) fn said(headers: &mut Vec<(String, String)>, inside: &str) -> String {
    let value = |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    let text = written(&sender(value("From")), inside);
    if value("Content-Type").is_none() {
        headers.push(("Content-Type".to_owned(), TYPE.to_owned()));
    }
    text
}

/// Bob has no From in what he answers.
fn sender(from: Option<&str>) -> String {
    from.map_or("sip:bob@s.example", address).to_owned()
}

fn written(entity: &str, inside: &str) -> String {
    let prefixes = [("dm", ns::DATA_MODEL), ("rpid", ns::RPID), ("ep", ns::RPID_STATUS), ("ci", ns::CIPID)];
    let prefixes = prefixes.map(|(prefix, namespace)| format!(" xmlns:{prefix}='{namespace}'")).concat();
    format!("<presence xmlns='{}'{prefixes} entity='{entity}'>{inside}</presence>", ns::PIDF)
}

fn tuples(root: &Element) -> Vec<&Element> {
    root.elements().filter(|child| child.is("tuple", ns::PIDF)).collect()
}

/// Compares two elements: no more may be there than is written.
fn exactly(pattern: &Element, found: &Element, bindings: &mut Bindings) -> Result<(), Mismatch> {
    let differs = || Mismatch {
        at: pattern.name().to_owned(),
        expected: pattern.to_string(),
        found: found.to_string(),
    };
    let same_count = pattern.elements().count() == found.elements().count();
    if !found.is(pattern.name(), pattern.namespace())
        || pattern.attributes().len() != found.attributes().len()
        || !same_count
    {
        return Err(differs());
    }
    for attribute in pattern.attributes() {
        let value = found.attr_in(attribute.namespace(), attribute.name()).ok_or_else(differs)?;
        let at = format!("{}/@{}", pattern.name(), attribute.name());
        Pattern::parse(attribute.value()).matches(&at, value, bindings)?;
    }
    if pattern.elements().next().is_none() {
        return Pattern::parse(&pattern.text()).matches(pattern.name(), &found.text(), bindings);
    }
    pattern
        .elements()
        .zip(found.elements())
        .try_for_each(|(pattern, found)| exactly(pattern, found, bindings))
}

/// XML streams have no declarations, so their reader knows none.
fn without_declaration(body: &[u8]) -> &[u8] {
    let end = body.windows(2).position(|window| window == b"?>");
    match end {
        Some(end) if body.starts_with(b"<?xml ") => body[end + 2..].trim_ascii_start(),
        _ => body,
    }
}

/// The media type of documents, which some readers compare whole.
const TYPE: &str = "application/pidf+xml";

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(inside: &str) -> RawMessage {
        let mut headers = vec![("From".to_owned(), "<sip:ann@x.example>;tag=a".to_owned())];
        let body = said(&mut headers, inside);
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}").into();
        RawMessage { start: "NOTIFY sip:bob@s.example SIP/2.0".to_owned(), headers, body }
    }

    #[track_caller]
    fn compared(expected: &str, found: &str) -> Result<(), Mismatch> {
        DocumentPattern::parse(expected).unwrap().matches(&notify(found), &mut Bindings::default())
    }

    const DESK: &str =
        "<tuple id='ID-desk'><status><basic>open</basic></status><note xml:lang='de'>Da</note></tuple>";

    #[test]
    fn a_documents_tuples_are_compared_to_the_last_attribute() {
        assert_eq!(compared(DESK, DESK), Ok(()));
        assert_eq!(compared(&DESK.replace("Da", "*"), DESK), Ok(()));
        for (of, by) in [
            ("Da", "Weg"),
            (" xml:lang='de'", ""),
            ("<note xml:lang='de'>Da</note>", ""),
            ("<basic>open</basic>", "<basic>open</basic><show xmlns='jabber:client'>dnd</show>"),
            ("<tuple id='ID-desk'>", "<tuple id='ID-phone'/><tuple id='ID-desk'>"),
        ] {
            assert!(compared(DESK, &DESK.replace(of, by)).is_err(), "{by}");
            assert!(compared(&DESK.replace(of, by), DESK).is_err(), "{by}");
        }
    }

    #[test]
    fn what_stands_beside_the_tuples_need_not_be_named() {
        let found =
            format!("{DESK}<dm:person id='p'><rpid:activities><rpid:busy/></rpid:activities></dm:person>");

        assert_eq!(compared(DESK, &found), Ok(()));
        assert_eq!(
            compared("<tuple id='*'><status><basic>open</basic></status></tuple>", DESK).unwrap_err().at,
            "tuple"
        );
        let busy = format!("{DESK}<dm:person><rpid:activities><rpid:away/></rpid:activities></dm:person>");
        assert!(compared(&busy, &found).is_err());
    }

    #[test]
    fn a_document_of_somebody_else_is_seen() {
        let mut message = notify(DESK);
        message.headers[0].1 = "<sip:eve@x.example>;tag=a".to_owned();

        let wrong = DocumentPattern::parse(DESK).unwrap().matches(&message, &mut Bindings::default());

        assert_eq!(wrong.unwrap_err().at, "presence/@entity");
    }
}
