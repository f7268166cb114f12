//! The XML documents that programs tell each other beside the texts.

use sip_types::header::ContentType;
use xmpp_types::ns;
use xmpp_types::xml::{Element, Limits, parse_document};

use super::disposition::{self, Disposition};
use super::typing::{self, Typing};

/// What such a document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Typing(Typing),
    Disposition(Disposition),
    /// It is of a kind that is known, and says nothing that can be read or passed on.
    Nothing,
}

/// Reads a document of this type; `None` if no such type is known.
pub(crate) fn read_document(kind: &ContentType, body: &[u8]) -> Option<Signal> {
    if kind.is("application/im-iscomposing+xml") {
        let document = parse(body).filter(|root| root.is("isComposing", ns::IS_COMPOSING));
        return Some(signal(document, |root| Some(Signal::Typing(typing::is_composing(root)))));
    }
    if kind.is("message/imdn+xml") {
        return Some(signal(parse(body), |root| disposition::read(root).map(Signal::Disposition)));
    }
    if kind.is("application/ms-imdn+xml") {
        return Some(signal(parse(body), |root| disposition::read_microsoft(root).map(Signal::Disposition)));
    }
    if kind.is("application/xml") || kind.is("text/xml") {
        let root = parse(body).filter(|root| root.name() == "KeyboardActivity")?;
        return Some(Signal::Typing(typing::keyboard_activity(&root)));
    }
    None
}

fn signal(document: Option<Element>, read: impl FnOnce(&Element) -> Option<Signal>) -> Signal {
    document.as_ref().and_then(read).unwrap_or(Signal::Nothing)
}

/// Reads a document of a stranger.
pub(super) fn parse(body: &[u8]) -> Option<Element> {
    // COMPAT(Lync, 2010 on): a document in UTF-8 that declares UTF-16. Its declaration is not believed; may stay
    // as long as such clients do.
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    let root = match body.strip_prefix(b"<?xml") {
        Some(rest) => &rest[rest.windows(2).position(|two| two == b"?>")? + 2..],
        None => body,
    };
    parse_document(root, &LIMITS).ok()
}

/// These documents are of a few elements.
const LIMITS: Limits = Limits { stanza_bytes: 16 * 1024, depth: 8, elements: 200, ..Limits::DOCUMENT };
