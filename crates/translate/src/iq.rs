//! Answers to questions that XMPP entities ask of SIP users and of the gateway itself.

use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::stanza::{IqType, iq_payload, iq_result};
use xmpp_types::stanza_error::{StanzaCondition, StanzaError, error_reply};
use xmpp_types::xml::Element;

/// Returns the answer to an iq for a SIP domain or one of its users; `None` if none may be given, because the
/// iq is itself an answer (RFC 6120 §8.2.3).
///
/// The domain is a gateway and answers discovery (XEP-0030), ping (XEP-0199) and version (XEP-0092). A SIP user
/// has no XMPP client behind it: every question gets `service-unavailable` at once, as RFC 6121 §8.5.1 has it for
/// a user who cannot answer, so that no client waits. What his contacts may ask of him,
/// [`Capabilities::answer`](crate::Capabilities::answer) answers before.
#[must_use]
pub fn iq_answer(iq: &Element) -> Option<Element> {
    let kind = match IqType::of(iq) {
        Ok(IqType::Result | IqType::Error) => return None,
        Ok(kind) => kind,
        Err(_) => return refuse(iq, StanzaCondition::BadRequest),
    };
    let Some(payload) = iq_payload(iq).filter(|_| iq.attr("id").is_some()) else {
        return refuse(iq, StanzaCondition::BadRequest);
    };
    let to_domain = iq.attr("to").and_then(|to| Jid::parse(to).ok()).is_some_and(|to| to.local().is_none());
    if !to_domain || kind == IqType::Set {
        return refuse(iq, StanzaCondition::ServiceUnavailable);
    }
    let answer = match (payload.name(), payload.namespace()) {
        ("ping", ns::PING) => return Some(iq_result(iq)),
        // The gateway has no nodes.
        ("query", ns::DISCO_INFO | ns::DISCO_ITEMS) if payload.attr("node").is_some() => {
            return refuse(iq, StanzaCondition::ItemNotFound);
        }
        ("query", ns::DISCO_INFO) => discovery(),
        ("query", ns::DISCO_ITEMS) => Element::new(ns::DISCO_ITEMS, "query"),
        ("query", ns::VERSION) => version(),
        _ => return refuse(iq, StanzaCondition::ServiceUnavailable),
    };
    Some(iq_result(iq).with_child(answer))
}

fn refuse(iq: &Element, condition: StanzaCondition) -> Option<Element> {
    error_reply(iq, &StanzaError::new(condition))
}

fn discovery() -> Element {
    let identity = Element::new(ns::DISCO_INFO, "identity")
        .with_attr("category", "gateway")
        .with_attr("type", "simple")
        .with_attr("name", "SIP gateway");
    [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::VERSION]
        .iter()
        .map(|feature| Element::new(ns::DISCO_INFO, "feature").with_attr("var", *feature))
        .fold(Element::new(ns::DISCO_INFO, "query").with_child(identity), Element::with_child)
}

fn version() -> Element {
    let leaf = |name: &'static str, text: &str| Element::new(ns::VERSION, name).with_text(text);
    Element::new(ns::VERSION, "query")
        .with_child(leaf("name", "Gangway"))
        .with_child(leaf("version", env!("CARGO_PKG_VERSION")))
}
