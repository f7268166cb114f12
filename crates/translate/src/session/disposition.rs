//! What became of a message: receipts (XEP-0184), markers (XEP-0333) and IMDN (RFC 5438).

use bytes::Bytes;
use sip_types::header::ContentType;
use sip_types::{Method, Text};
use xmpp_types::xml::Element;

use super::say::SessionBody;
use crate::hash::Fields;
use crate::message::NotificationRequest;

/// What the other side says became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// The name that the message has: what its envelope's `imdn.Message-ID` said, or what a stanza's id was.
    pub message_id: String,
    /// What became of it.
    pub what: Disposed,
}

/// What became of a message (RFC 5438 §7.2.1.1, §7.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposed {
    /// The user's device has it (XEP-0184 `received`).
    Delivered,
    /// It did not reach the user.
    Failed,
    /// The user saw it (XEP-0333 `displayed`).
    Displayed,
}

impl Disposed {
    /// Tells whether the sender of a message asked to hear this.
    #[must_use]
    pub const fn is_wanted(self, asked: &NotificationRequest) -> bool {
        match self {
            Self::Delivered => asked.positive,
            Self::Failed => asked.negative,
            Self::Displayed => asked.display,
        }
    }
}

/// Returns the notification that tells a peer what became of its message, whether it asked for it or not: an
/// envelope around a document (RFC 5438 §7.2.1). `recipient` is whom the message was for, `sender` who wrote it.
#[must_use]
pub fn disposition_to_sip(
    asked: &NotificationRequest,
    what: Disposed,
    recipient: &str,
    sender: &str,
) -> SessionBody {
    let (kind, status) = match what {
        Disposed::Delivered => ("delivery-notification", "delivered"),
        Disposed::Failed => ("delivery-notification", "failed"),
        Disposed::Displayed => ("display-notification", "displayed"),
    };
    let leaf = |name: &'static str, text: &str| Element::new(IMDN, name).with_text(text);
    let status = Element::new(IMDN, "status").with_child(Element::new(IMDN, status));
    let document = Element::new(IMDN, "imdn")
        .with_child(leaf("message-id", &asked.message_id))
        .with_child(leaf("datetime", &asked.date_time))
        .with_child(leaf("recipient-uri", recipient))
        .with_child(Element::new(IMDN, kind).with_child(status));
    let document = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n{document}\r\n");
    let (message_id, _) =
        Fields::of("notification").with(asked.message_id.as_bytes()).with(kind.as_bytes()).finish();
    // The disposition stands inside the envelope (RFC 5438 §8.2); outside there is none.
    let envelope = format!(
        "From: <{recipient}>\r\nTo: <{sender}>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
         imdn.Message-ID: {message_id}\r\n\r\n\
         Content-type: message/imdn+xml\r\nContent-Disposition: notification\r\nContent-length: {}\r\n\r\n{document}",
        document.len(),
    );
    SessionBody { method: Method::Message, content_type: cpim(), body: Bytes::from(envelope) }
}

/// Returns what an IMDN document says (RFC 5438 §11.1). One that was forbidden, or that says what a server did on
/// the way, tells a user nothing.
pub(super) fn read(document: &Element) -> Option<Disposition> {
    let message_id = message_id(document)?;
    let told = document.elements().find(|child| child.name().ends_with("-notification"))?;
    let status = told.elements().find(|child| child.name() == "status")?.elements().next()?;
    let what = match (told.name(), status.name()) {
        ("delivery-notification", "delivered") => Disposed::Delivered,
        ("delivery-notification", "failed" | "error") => Disposed::Failed,
        ("display-notification", "displayed") => Disposed::Displayed,
        _ => return None,
    };
    Some(Disposition { message_id, what })
}

/// Returns what Microsoft's own document says: which recipients of a conference got nothing (MS-CONFIM).
pub(super) fn read_microsoft(document: &Element) -> Option<Disposition> {
    let message_id = message_id(document)?;
    let failed = document.elements().filter(|child| child.name() == "recipient").any(|recipient| {
        let status = recipient.elements().find(|child| child.name() == "status");
        // One that cannot be read is none of success.
        status.and_then(|status| status.text().trim().parse::<u16>().ok()).is_none_or(|status| status >= 300)
    });
    failed.then_some(Disposition { message_id, what: Disposed::Failed })
}

fn message_id(document: &Element) -> Option<String> {
    let id = document.elements().find(|child| child.name() == "message-id")?.text().trim().to_owned();
    Some(id).filter(|id| !id.is_empty())
}

pub(crate) fn cpim() -> ContentType {
    ContentType::parse(Text::from_static("message/cpim")).expect("it is a media type")
}

/// The namespace of the document (RFC 5438 §11).
const IMDN: &str = "urn:ietf:params:xml:ns:imdn";
