//! The beginning of a document, and whole small documents.

use super::element::Element;
use super::error::{Limit, Limits, XmlError};
use super::scan::{Kind, Scanned, Scanner};
use super::tag::is_space;
use super::tree::Tree;
use crate::stream::StreamCondition;

/// Reads a whole document, such as the body of a SIP message.
///
/// The language is that of RFC 6120 §11: no comments, processing instructions or document types. An XML
/// declaration and a byte order mark may stand at the beginning. `limits.stanza_bytes` bounds the whole.
///
/// # Errors
///
/// An [`XmlError`] that says why the document is refused.
pub fn parse_document(octets: &[u8], limits: &Limits) -> Result<Element, XmlError> {
    if octets.len() > limits.stanza_bytes {
        return Err(XmlError::over(Limit::StanzaBytes));
    }
    let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    let mut rest = match declaration(octets)? {
        Declaration::Incomplete => return Err(ENDS),
        Declaration::Absent => octets,
        Declaration::Present(length) => &octets[length..],
    };
    let mut tree = Tree::default();
    let mut scanner = Scanner::default();
    loop {
        if tree.depth() == 0 {
            rest = rest.trim_ascii_start();
            if rest.first().is_some_and(|octet| *octet != b'<') {
                return Err(XmlError::not_well_formed("there is text outside the root element"));
            }
        }
        let (kind, length) = match scanner.scan(rest) {
            Scanned::Incomplete => return Err(ENDS),
            Scanned::Refused { error, .. } => return Err(error),
            Scanned::Complete { kind, length } => (kind, length),
        };
        let token = utf8(&rest[..length])?;
        rest = &rest[length..];
        if let Some(root) = apply(&mut tree, kind, token, limits)? {
            return if rest.iter().copied().all(is_space) { Ok(root) } else { Err(TRAILS) };
        }
    }
}

const ENDS: XmlError = XmlError::not_well_formed("the document ends too early");
const TRAILS: XmlError = XmlError::not_well_formed("something follows the root element");

/// Reads one token inside a first-level element, or the one that begins it.
pub(super) fn apply(
    tree: &mut Tree,
    kind: Kind,
    token: &str,
    limits: &Limits,
) -> Result<Option<Element>, XmlError> {
    match kind {
        Kind::StartTag => tree.open(token, limits),
        Kind::EndTag => tree.close(token),
        Kind::Text => tree.text(token).map(|()| None),
        Kind::CharacterData => tree.character_data(token).map(|()| None),
    }
}

/// Returns the token's characters; what is not UTF-8 is refused (RFC 6120 §4.9.3.22, §11.6).
pub(super) fn utf8(token: &[u8]) -> Result<&str, XmlError> {
    std::str::from_utf8(token)
        .map_err(|_| XmlError::new(StreamCondition::UnsupportedEncoding, "the octets are not UTF-8"))
}

/// What the first octets say of an XML declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declaration {
    /// More octets are needed to tell.
    Incomplete,
    /// There is none.
    Absent,
    /// It has this many octets.
    Present(usize),
}

/// Reads the XML declaration at the very beginning (XML 1.0 §2.8), and the encoding that octets betray.
pub(super) fn declaration(octets: &[u8]) -> Result<Declaration, XmlError> {
    const BEGINNING: &[u8] = b"<?xml";
    // UTF-16 and UTF-32 with or without a byte order mark (XML 1.0 appendix F).
    if matches!(octets, [0 | 0xFE | 0xFF, ..] | [b'<', 0, ..]) {
        return Err(ENCODING);
    }
    let shared = octets.iter().zip(BEGINNING).take_while(|(mine, theirs)| mine == theirs).count();
    match octets.get(shared) {
        None => return Ok(Declaration::Incomplete),
        Some(octet) if shared < BEGINNING.len() || !is_space(*octet) => return Ok(Declaration::Absent),
        Some(_) => {}
    }
    let end = memchr::memmem::find(octets, b"?>");
    // Where one octet comes at a time this ends the wait; it must say the same when the end is there too.
    if octets[BEGINNING.len()..end.unwrap_or(octets.len())].contains(&b'<') {
        return Err(DECLARATION);
    }
    match end {
        None => Ok(Declaration::Incomplete),
        Some(end) => {
            check_declaration(utf8(&octets[BEGINNING.len()..end])?)?;
            Ok(Declaration::Present(end + 2))
        }
    }
}

const ENCODING: XmlError = XmlError::new(StreamCondition::UnsupportedEncoding, "the encoding is not UTF-8");
const DECLARATION: XmlError = XmlError::not_well_formed("the XML declaration is malformed");

/// Checks `version`, then `encoding`, then `standalone` (XML 1.0 §2.8, §4.3.3).
fn check_declaration(inner: &str) -> Result<(), XmlError> {
    let mut rest = inner;
    match pseudo_attribute(&mut rest, "version")? {
        Some("1.0") => {}
        Some(_) => return Err(XmlError::not_well_formed("the version of XML is not 1.0")),
        None => return Err(DECLARATION),
    }
    match pseudo_attribute(&mut rest, "encoding")? {
        Some(encoding) if !encoding.eq_ignore_ascii_case("utf-8") => return Err(ENCODING),
        Some(_) | None => {}
    }
    match pseudo_attribute(&mut rest, "standalone")? {
        Some("yes" | "no") | None => {}
        Some(_) => return Err(DECLARATION),
    }
    if rest.bytes().all(is_space) { Ok(()) } else { Err(DECLARATION) }
}

fn pseudo_attribute<'a>(rest: &mut &'a str, name: &str) -> Result<Option<&'a str>, XmlError> {
    let space = [' ', '\t', '\n', '\r'];
    let trimmed = rest.trim_start_matches(space);
    let Some(after) = trimmed.strip_prefix(name) else {
        return Ok(None);
    };
    if trimmed.len() == rest.len() {
        return Err(DECLARATION);
    }
    let after = after.trim_start_matches(space).strip_prefix('=').ok_or(DECLARATION)?;
    let after = after.trim_start_matches(space);
    let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"')).ok_or(DECLARATION)?;
    let (value, behind) = after[1..].split_once(quote).ok_or(DECLARATION)?;
    *rest = behind;
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Element, XmlError> {
        parse_document(text.as_bytes(), &Limits::DOCUMENT)
    }

    #[test]
    fn a_document_is_one_element_with_white_space_around_it() {
        let document = parse(
            "\u{FEFF}<?xml version=\"1.0\" encoding='utf-8' standalone = 'yes' ?>\r\n\
             <isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'>\r\n<state>active</state></isComposing>\n",
        )
        .unwrap();

        assert!(document.is("isComposing", crate::ns::IS_COMPOSING));
        assert_eq!(document.elements().next().unwrap().text(), "active");
    }

    #[test]
    fn what_is_not_one_element_is_refused() {
        for wrong in [
            "",
            " ",
            "x",
            "<a>",
            "<a/><b/>",
            "<a/>x",
            "</a>",
            "<a></b>",
            "<?xml version='1.0'?>",
            "<a/><!-- -->",
            "<?xml version='1.0'",
            "<?xml version='1.1'?><a/>",
            "<?xml encoding='utf-8'?><a/>",
            " <?xml version='1.0'?><a/>",
            "<?xml version='1.0'encoding='utf-8'?><a/>",
            "<?xml version='1.0' encoding='latin1'?><a/>",
            "<a><![CDATA[",
            "<![CDATA[x]]>",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_hold_for_documents() {
        let limits = Limits { depth: 2, elements: 3, ..Limits::DOCUMENT };
        let over = |text: &str| parse_document(text.as_bytes(), &limits).unwrap_err().limit;

        assert!(parse_document(b"<a><b/><b/></a>", &limits).is_ok());
        assert_eq!(over("<a><b><c/></b></a>"), Some(Limit::Depth));
        assert_eq!(over("<a><b/><b/><b/></a>"), Some(Limit::Elements));
        assert_eq!(over(&" ".repeat(limits.stanza_bytes + 1)), Some(Limit::StanzaBytes));
    }
}
