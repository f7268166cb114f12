//! What a client or a server asks of the other side of the gateway.

use translate::iq_answer;
use xmpp_types::ns;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError};

use crate::stanza;

#[track_caller]
fn condition(iq: &str) -> StanzaCondition {
    let answer = iq_answer(&stanza(iq)).unwrap();
    assert_eq!(answer.attr("type"), Some("error"));
    StanzaError::from_element(&answer).unwrap().condition
}

#[test]
fn the_domain_is_a_gateway_and_says_so() {
    let ask = "<iq type='get' id='1' from='ann@x.example/desk' to='s.example'><query xmlns='NS'/></iq>";
    let answer = |namespace: &str| iq_answer(&stanza(&ask.replace("NS", namespace))).unwrap();

    let info = answer(ns::DISCO_INFO);
    assert_eq!((info.attr("type"), info.attr("id")), (Some("result"), Some("1")));
    assert_eq!((info.attr("from"), info.attr("to")), (Some("s.example"), Some("ann@x.example/desk")));
    let query = info.child("query", ns::DISCO_INFO).unwrap();
    let identity = query.child("identity", ns::DISCO_INFO).unwrap();
    assert_eq!((identity.attr("category"), identity.attr("type")), (Some("gateway"), Some("simple")));
    let features: Vec<_> = query.elements().filter_map(|feature| feature.attr("var")).collect();
    assert_eq!(features, [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::VERSION]);
    let version = answer(ns::VERSION);
    assert_eq!(
        version.child("query", ns::VERSION).unwrap().child("name", ns::VERSION).unwrap().text(),
        "Gangway"
    );
    assert!(answer(ns::DISCO_ITEMS).child("query", ns::DISCO_ITEMS).unwrap().children().is_empty());
}

#[test]
fn a_ping_to_the_domain_is_answered_with_nothing_in_it() {
    let ping = "<iq type='get' id='p' from='x.example' to='s.example'><ping xmlns='urn:xmpp:ping'/></iq>";

    let pong = iq_answer(&stanza(ping)).unwrap();

    assert_eq!(pong.attr("type"), Some("result"));
    assert!(pong.children().is_empty());
}

#[test]
fn a_sip_user_has_no_client_to_ask() {
    for payload in [
        "<ping xmlns='urn:xmpp:ping'/>",
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        "<query xmlns='jabber:iq:version'/>",
        "<vCard xmlns='vcard-temp'/>",
        "<query xmlns='jabber:iq:last'/>",
        "<jingle xmlns='urn:xmpp:jingle:1'/>",
    ] {
        for (kind, to) in [("get", "bob@s.example"), ("set", "bob@s.example/r"), ("set", "s.example")] {
            let iq = format!("<iq type='{kind}' id='1' from='ann@x.example/desk' to='{to}'>{payload}</iq>");

            assert_eq!(condition(&iq), StanzaCondition::ServiceUnavailable);
        }
    }
}

#[test]
fn an_iq_that_is_no_question_is_a_bad_request() {
    for iq in [
        "<iq type='get' from='ann@x.example' to='s.example'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='get' id='1' from='ann@x.example' to='s.example'/>",
        "<iq type='get' id='1' from='ann@x.example' to='s.example'><a xmlns='x'/><b xmlns='x'/></iq>",
        "<iq type='ask' id='1' from='ann@x.example' to='s.example'><a xmlns='x'/></iq>",
        "<iq id='1' from='ann@x.example' to='s.example'><a xmlns='x'/></iq>",
    ] {
        assert_eq!(condition(iq), StanzaCondition::BadRequest, "{iq}");
    }
}

#[test]
fn a_node_that_is_not_there_is_not_found() {
    let iq = "<iq type='get' id='1' from='ann@x.example' to='s.example'>\
        <query xmlns='http://jabber.org/protocol/disco#info' node='n'/></iq>";

    assert_eq!(condition(iq), StanzaCondition::ItemNotFound);
}

#[test]
fn an_answer_is_never_answered() {
    for kind in ["result", "error"] {
        let iq = format!("<iq type='{kind}' id='1' from='ann@x.example' to='s.example'><a xmlns='x'/></iq>");

        assert_eq!(iq_answer(&stanza(&iq)), None);
    }
}
