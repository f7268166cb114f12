//! What the three kinds of stanza have in common, and their types (RFC 6120 §8, RFC 6121).

use crate::jid::{Jid, JidError};
use crate::ns;
use crate::words::words;
use crate::xml::{Element, XmlText};

words! {
    /// The kinds of stanza (RFC 6120 §8).
    pub enum StanzaKind {
        /// Pushed to the recipient.
        Message = "message",
        /// Broadcast to those who subscribed.
        Presence = "presence",
        /// Asked and answered.
        Iq = "iq",
    }
}

words! {
    /// The types of a message (RFC 6121 §5.2.2).
    pub enum MessageType {
        /// Of a one-to-one conversation.
        Chat = "chat",
        /// About an earlier message that failed.
        Error = "error",
        /// Of a room.
        Groupchat = "groupchat",
        /// An alert to which no reply is expected.
        Headline = "headline",
        /// By itself.
        Normal = "normal",
    }
}

words! {
    /// The values of a presence stanza's `type` (RFC 6121 §4.7.1); availability has none.
    pub enum PresenceType {
        /// About an earlier presence that failed.
        Error = "error",
        /// A server asks for somebody's presence.
        Probe = "probe",
        /// The sender wishes to see the recipient's presence.
        Subscribe = "subscribe",
        /// The sender allows the recipient to.
        Subscribed = "subscribed",
        /// The sender is not available any more.
        Unavailable = "unavailable",
        /// The sender wishes it no more.
        Unsubscribe = "unsubscribe",
        /// The sender does not allow it, or no more.
        Unsubscribed = "unsubscribed",
    }
}

words! {
    /// The types of an iq (RFC 6120 §8.2.3).
    pub enum IqType {
        /// Asks for something.
        Get = "get",
        /// Changes something.
        Set = "set",
        /// Answers.
        Result = "result",
        /// Answers that it failed.
        Error = "error",
    }
}

impl StanzaKind {
    /// Returns the kind of `element`, if it is a stanza at all.
    #[must_use]
    pub fn of(element: &Element) -> Option<Self> {
        if element.namespace() == ns::SERVER { Self::parse(element.name()) } else { None }
    }
}

impl MessageType {
    /// Returns the type of a message; what is absent or unknown is `normal` (RFC 6121 §5.2.2).
    #[must_use]
    pub fn of(message: &Element) -> Self {
        message.attr("type").and_then(Self::parse).unwrap_or(Self::Normal)
    }
}

impl PresenceType {
    /// Returns the type of a presence, `None` for availability.
    ///
    /// # Errors
    ///
    /// [`UnknownType`] if the type is none of RFC 6121 §4.7.1; it must not be taken for availability.
    pub fn of(presence: &Element) -> Result<Option<Self>, UnknownType> {
        match presence.attr("type") {
            None => Ok(None),
            Some(word) => Self::parse(word).map(Some).ok_or(UnknownType),
        }
    }
}

impl IqType {
    /// Returns the type of an iq.
    ///
    /// # Errors
    ///
    /// [`UnknownType`] if it is absent or none of RFC 6120 §8.2.3.
    pub fn of(iq: &Element) -> Result<Self, UnknownType> {
        iq.attr("type").and_then(Self::parse).ok_or(UnknownType)
    }
}

/// A stanza's `type` is none that its kind may have; it is answered with `bad-request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownType;

/// Returns who sent the stanza, `None` if it does not say.
///
/// # Errors
///
/// A [`JidError`] if the attribute is no address.
pub fn from(stanza: &Element) -> Result<Option<Jid>, JidError> {
    stanza.attr("from").map(Jid::parse).transpose()
}

/// Returns whom the stanza is for, `None` if it does not say.
///
/// # Errors
///
/// A [`JidError`] if the attribute is no address.
pub fn to(stanza: &Element) -> Result<Option<Jid>, JidError> {
    stanza.attr("to").map(Jid::parse).transpose()
}

/// Returns an empty message.
#[must_use]
pub fn message(kind: MessageType, from: &Jid, to: &Jid) -> Element {
    let message = addressed(StanzaKind::Message, from, to);
    if kind == MessageType::Normal { message } else { message.with_attr("type", kind.as_str()) }
}

/// Returns an empty presence; availability has no type.
#[must_use]
pub fn presence(kind: Option<PresenceType>, from: &Jid, to: &Jid) -> Element {
    addressed(StanzaKind::Presence, from, to).with_attr_opt("type", kind.map(PresenceType::as_str))
}

/// Returns an empty iq.
#[must_use]
pub fn iq(kind: IqType, id: impl Into<XmlText>, from: &Jid, to: &Jid) -> Element {
    addressed(StanzaKind::Iq, from, to).with_attr("id", id).with_attr("type", kind.as_str())
}

fn addressed(kind: StanzaKind, from: &Jid, to: &Jid) -> Element {
    Element::new(ns::SERVER, kind.as_str()).with_attr("from", from.as_str()).with_attr("to", to.as_str())
}

/// Returns the answer to a request, still without a payload: addresses swapped, `id` kept.
#[must_use]
pub fn iq_result(request: &Element) -> Element {
    Element::new(ns::SERVER, "iq")
        .with_attr_opt("from", request.attr("to"))
        .with_attr_opt("to", request.attr("from"))
        .with_attr_opt("id", request.attr("id"))
        .with_attr("type", "result")
}

/// Returns the one child that an iq request must have (RFC 6120 §8.2.3), `None` for any other number.
#[must_use]
pub fn iq_payload(request: &Element) -> Option<&Element> {
    let mut children = request.elements();
    children.next().filter(|_| children.next().is_none())
}

/// Returns a ping request (XEP-0199 §4).
#[must_use]
pub fn ping(id: impl Into<XmlText>, from: &Jid, to: &Jid) -> Element {
    iq(IqType::Get, id, from, to).with_child(Element::new(ns::PING, "ping"))
}

/// Returns whether the stanza is a ping request (XEP-0199 §4).
#[must_use]
pub fn is_ping(stanza: &Element) -> bool {
    stanza.is("iq", ns::SERVER)
        && stanza.attr("type") == Some("get")
        && iq_payload(stanza).is_some_and(|payload| payload.is("ping", ns::PING))
}

/// Returns the texts of a message's `<body>`s, or its `<subject>`s, each with its language.
///
/// The language of one that does not say is the stanza's (RFC 6121 §5.2.3).
pub fn texts<'a>(
    stanza: &'a Element,
    name: &'a str,
) -> impl Iterator<Item = (Option<&'a str>, std::borrow::Cow<'a, str>)> {
    stanza
        .elements()
        .filter(move |child| child.is(name, ns::SERVER))
        .map(|child| (child.lang().or_else(|| stanza.lang()), child.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    #[test]
    fn a_message_of_unknown_type_is_normal_but_a_presence_is_not_availability() {
        let odd = |name| Element::new(ns::SERVER, name).with_attr("type", "odd");

        assert_eq!(MessageType::of(&odd("message")), MessageType::Normal);
        assert_eq!(PresenceType::of(&odd("presence")), Err(UnknownType));
        assert_eq!(IqType::of(&odd("iq")), Err(UnknownType));
        assert_eq!(PresenceType::of(&Element::new(ns::SERVER, "presence")), Ok(None));
    }

    #[test]
    fn only_stanzas_of_the_content_namespace_have_a_kind() {
        assert_eq!(StanzaKind::of(&Element::new(ns::SERVER, "iq")), Some(StanzaKind::Iq));
        assert_eq!(StanzaKind::of(&Element::new(ns::CLIENT, "iq")), None);
        assert_eq!(StanzaKind::of(&Element::new("urn:x", "message")), None);
    }

    #[test]
    fn a_ping_is_answered_by_an_empty_result() {
        let ping = ping("p1", &jid("a.example"), &jid("b.example"));

        let pong = iq_result(&ping);

        assert!(is_ping(&ping));
        assert!(!is_ping(&pong));
        assert_eq!(pong.attr("to"), Some("a.example"));
        assert_eq!(pong.attr("id"), Some("p1"));
    }

    #[test]
    fn an_iq_with_two_children_has_no_payload() {
        let iq = Element::new(ns::SERVER, "iq")
            .with_child(Element::new(ns::PING, "ping"))
            .with_child(Element::new(ns::PING, "ping"));

        assert_eq!(iq_payload(&iq), None);
    }

    #[test]
    fn each_body_has_a_language_of_its_own_or_the_stanzas() {
        let message = message(MessageType::Chat, &jid("a@a.example"), &jid("b@b.example"))
            .with_lang("en")
            .with_child(Element::new(ns::SERVER, "body").with_text("hi"))
            .with_child(Element::new(ns::SERVER, "body").with_text("hallo").with_lang("de"));

        let texts: Vec<_> = texts(&message, "body").collect();

        assert_eq!(texts, [(Some("en"), "hi".into()), (Some("de"), "hallo".into())]);
    }
}
