//! What the proxy answers for its domains themselves (XEP-0030, XEP-0092, XEP-0199).

use xmpp_types::ns;
use xmpp_types::stanza::{IqType, iq_payload, iq_result, is_ping};
use xmpp_types::stanza_error::{StanzaCondition, StanzaError, error_reply};
use xmpp_types::xml::Element;

use crate::settings::Settings;

/// What follows an iq to a domain.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// This.
    Reply(Element),
    /// Nothing: it is an answer itself.
    Nothing,
}

/// Answers an iq that is for a domain of ours.
pub(crate) fn answer(iq: &Element, settings: &Settings) -> Answer {
    match IqType::of(iq) {
        Ok(IqType::Get | IqType::Set) => {}
        Ok(IqType::Result | IqType::Error) | Err(_) => return Answer::Nothing,
    }
    let payload = iq_payload(iq);
    let is = |name, ns| iq.attr("type") == Some("get") && payload.is_some_and(|payload| payload.is(name, ns));
    let reply = if is_ping(iq) {
        Some(iq_result(iq))
    } else if is("query", ns::DISCO_INFO) && payload.is_some_and(|payload| payload.attr("node").is_none()) {
        Some(iq_result(iq).with_child(disco_info(settings)))
    } else if is("query", ns::DISCO_ITEMS) {
        Some(iq_result(iq).with_child(Element::new(ns::DISCO_ITEMS, "query")))
    } else if is("query", ns::VERSION) && settings.version.is_some() {
        settings.version.as_ref().map(|version| {
            let text = |name: &'static str, text: &str| Element::new(ns::VERSION, name).with_text(text);
            iq_result(iq).with_child(
                Element::new(ns::VERSION, "query")
                    .with_child(text("name", &version.name))
                    .with_child(text("version", &version.version)),
            )
        })
    } else {
        error_reply(iq, &StanzaError::new(StanzaCondition::ServiceUnavailable))
    };
    reply.map_or(Answer::Nothing, Answer::Reply)
}

fn disco_info(settings: &Settings) -> Element {
    let identity = Element::new(ns::DISCO_INFO, "identity")
        .with_attr("category", "gateway")
        .with_attr("type", "simple")
        .with_attr("name", "Gangway");
    let mut features = vec![ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING];
    if settings.version.is_some() {
        features.push(ns::VERSION);
    }
    let features =
        features.into_iter().map(|var| Element::new(ns::DISCO_INFO, "feature").with_attr("var", var));
    Element::new(ns::DISCO_INFO, "query").with_child(identity).with_children(features)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    fn iq(payload: Element) -> Element {
        Element::new(ns::SERVER, "iq")
            .with_attr("type", "get")
            .with_attr("id", "1")
            .with_attr("from", "a@partner.example")
            .with_attr("to", "us.example")
            .with_child(payload)
    }

    #[track_caller]
    fn reply(iq: &Element) -> Element {
        match answer(iq, &settings()) {
            Answer::Reply(reply) => reply,
            Answer::Nothing => panic!("no answer to {iq}"),
        }
    }

    #[test]
    fn a_domain_says_that_it_is_a_gateway_to_simple() {
        let reply = reply(&iq(Element::new(ns::DISCO_INFO, "query")));

        let query = reply.child("query", ns::DISCO_INFO).unwrap();
        let identity = query.child("identity", ns::DISCO_INFO).unwrap();
        assert_eq!((identity.attr("category"), identity.attr("type")), (Some("gateway"), Some("simple")));
        assert_eq!(reply.attr("from"), Some("us.example"));
    }

    #[test]
    fn what_is_unknown_is_unavailable_and_answers_are_not_answered() {
        let unknown = reply(&iq(Element::new(ns::TIME, "time")));
        assert_eq!(
            StanzaError::from_element(&unknown).unwrap().condition,
            StanzaCondition::ServiceUnavailable
        );

        let mut result = iq(Element::new(ns::DISCO_INFO, "query"));
        result.set_attr("type", "result");
        assert_eq!(answer(&result, &settings()), Answer::Nothing);
    }

    #[test]
    fn the_version_is_told_only_if_the_operator_wishes() {
        let question = iq(Element::new(ns::VERSION, "query"));
        assert!(StanzaError::from_element(&reply(&question)).is_some());

        let mut telling = settings();
        telling.version = Some(crate::Version { name: "Gangway".into(), version: "1".into() });
        let Answer::Reply(reply) = answer(&question, &telling) else { panic!("no answer") };
        assert!(reply.has_child("query", ns::VERSION));
    }
}
