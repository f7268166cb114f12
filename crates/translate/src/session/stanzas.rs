//! Stanzas for an XMPP user in a conversation.

use clock_types::Date;
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::xml::Element;

use super::hear::HeardText;
use super::typing::ChatState;
use crate::message::NotificationRequest;

/// Who talks to whom, and in which window.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The SIP user, as XMPP names them.
    pub from: &'a Jid,
    /// The XMPP user.
    pub to: &'a Jid,
    /// The thread, the same in every session of a conversation: another one opens another window.
    pub thread: Option<&'a str>,
}

/// Returns a text as a stanza of type `chat`, with the requests that its sender's wishes mean. Where the XMPP user has
/// shown to understand chat states, `state` goes with it: a text ends typing (XEP-0085 §5.3).
#[must_use]
pub fn text_stanza(parties: &Parties<'_>, text: &HeardText, state: Option<ChatState>) -> Element {
    let mut stanza = chat(parties, &text.id);
    if let Some(language) = &text.language {
        stanza = stanza.with_lang(language.as_str());
    }
    if let Some(subject) = &text.subject {
        stanza.push_child(Element::new(ns::SERVER, "subject").with_text(subject));
    }
    stanza.push_child(Element::new(ns::SERVER, "body").with_text(&text.text));
    push_thread(&mut stanza, parties);
    if let Some(state) = state {
        stanza.push_child(Element::new(ns::CHAT_STATES, state.name()));
    }
    push_wishes(&mut stanza, text.notification.as_ref());
    stanza
}

/// Asks the XMPP user's client for what the sender of a text wants to be told of it (XEP-0184 §5.1, XEP-0333 §4).
pub(crate) fn push_wishes(stanza: &mut Element, asked: Option<&NotificationRequest>) {
    let Some(asked) = asked else { return };
    if asked.positive {
        stanza.push_child(Element::new(ns::RECEIPTS, "request"));
    }
    if asked.display {
        stanza.push_child(Element::new(ns::MARKERS, "markable"));
    }
}

/// Returns a chat state as a stanza that nobody stores (XEP-0334 §4.2, XEP-0085 §5.6).
#[must_use]
pub fn chat_state_stanza(parties: &Parties<'_>, state: ChatState, id: &str) -> Element {
    let mut stanza = chat(parties, id);
    push_thread(&mut stanza, parties);
    stanza.push_child(Element::new(ns::CHAT_STATES, state.name()));
    stanza.with_child(Element::new(ns::HINTS, "no-store"))
}

/// Returns the receipt for the XMPP user's message `message_id` (XEP-0184 §5.3), which is stored as messages are.
#[must_use]
pub fn received_stanza(parties: &Parties<'_>, message_id: &str) -> Element {
    let received = Element::new(ns::RECEIPTS, "received").with_attr("id", message_id);
    chat(parties, &format!("receipt-{message_id}"))
        .with_child(received)
        .with_child(Element::new(ns::HINTS, "store"))
}

/// Returns the marker that says that the XMPP user's message `message_id` was seen (XEP-0333 §4).
#[must_use]
pub fn displayed_stanza(parties: &Parties<'_>, message_id: &str) -> Element {
    let mut stanza = chat(parties, &format!("displayed-{message_id}"));
    push_thread(&mut stanza, parties);
    stanza.push_child(Element::new(ns::MARKERS, "displayed").with_attr("id", message_id));
    stanza.with_child(Element::new(ns::HINTS, "store"))
}

/// Returns words of the gateway's own in a conversation.
#[must_use]
pub fn notice_stanza(parties: &Parties<'_>, words: &str, id: &str) -> Element {
    let mut stanza =
        chat(parties, id).with_lang("en").with_child(Element::new(ns::SERVER, "body").with_text(words));
    push_thread(&mut stanza, parties);
    stanza
}

/// Says in a message when it was written, and that `by` kept it until then (XEP-0203 §2); one that says so already is
/// not told again.
pub fn mark_delayed(stanza: &mut Element, written: Date, by: &str) {
    if !stanza.has_child("delay", ns::DELAY) {
        let delay =
            Element::new(ns::DELAY, "delay").with_attr("from", by).with_attr("stamp", written.to_string());
        stanza.push_child(delay);
    }
}

fn chat(parties: &Parties<'_>, id: &str) -> Element {
    Element::new(ns::SERVER, "message")
        .with_attr("from", parties.from.as_str())
        .with_attr("to", parties.to.as_str())
        .with_attr("id", id)
        .with_attr("type", "chat")
}

fn push_thread(stanza: &mut Element, parties: &Parties<'_>) {
    if let Some(thread) = parties.thread {
        stanza.push_child(Element::new(ns::SERVER, "thread").with_text(thread));
    }
}
