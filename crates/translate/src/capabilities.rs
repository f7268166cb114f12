//! What XMPP clients may offer their users towards a SIP user, because the gateway does it for him (XEP-0030, XEP-0115).
//!
//! A SIP user has no XMPP client. What one would be asked for, the gateway can do or not, for all users of a domain alike:
//! so that is what each of them is said to be able to do, and nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::stanza::{IqType, iq_payload, iq_result};
use xmpp_types::stanza_error::{StanzaCondition, StanzaError, error_reply};
use xmpp_types::xml::Element;

/// What the gateway does for the users of a SIP domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Shows them when somebody types (XEP-0085).
    pub chat_states: bool,
    /// Answers requests for receipts (XEP-0184).
    pub receipts: bool,
}

/// The same in the words of discovery, for a user's account and for his programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// In the order of their octets (XEP-0115 §5.1).
    features: Vec<&'static str>,
    account: Box<str>,
    program: Box<str>,
}

/// Names the software (XEP-0115 §4): a URI that is nobody else's.
const NODE: &str = "urn:gangway:sip";

/// What a user's address is, and what the address of one of his programs is: category and type (XEP-0030 §3.1).
const ACCOUNT: (&str, &str) = ("account", "registered");
const PROGRAM: (&str, &str) = ("client", "pc");

impl Capabilities {
    /// Returns what is said of users for whom the gateway does this.
    #[must_use]
    pub fn of(abilities: Abilities) -> Self {
        let mut features = vec![ns::CAPS, ns::DISCO_INFO];
        if abilities.chat_states {
            features.push(ns::CHAT_STATES);
        }
        if abilities.receipts {
            features.push(ns::RECEIPTS);
        }
        features.sort_unstable();
        let (account, program) = (verification(ACCOUNT, &features), verification(PROGRAM, &features));
        Self { features, account: account.into(), program: program.into() }
    }

    /// Returns what stands in presence from a user's bare address.
    #[must_use]
    pub fn of_account(&self) -> Element {
        element(&self.account)
    }

    /// Returns what stands in presence from one of a user's programs.
    #[must_use]
    pub fn of_program(&self) -> Element {
        element(&self.program)
    }

    /// Returns the answer to an iq for a SIP user, if it is a question for information about him: for his address as it
    /// is, or for what stood in his presence.
    #[must_use]
    pub fn answer(&self, iq: &Element, asked: &Jid) -> Option<Element> {
        let query = iq_payload(iq).filter(|query| query.is("query", ns::DISCO_INFO))?;
        if IqType::of(iq) != Ok(IqType::Get) || iq.attr("id").is_none() {
            return None;
        }
        let node = query.attr("node");
        let known = node.is_none_or(|node| {
            let version = node.strip_prefix(NODE).and_then(|rest| rest.strip_prefix('#'));
            version == Some(self.version(asked))
        });
        if !known {
            return error_reply(iq, &StanzaError::new(StanzaCondition::ItemNotFound));
        }
        let (category, kind) = identity(asked);
        let identity =
            Element::new(ns::DISCO_INFO, "identity").with_attr("category", category).with_attr("type", kind);
        let query = Element::new(ns::DISCO_INFO, "query").with_attr_opt("node", node).with_child(identity);
        let feature = |name: &&'static str| Element::new(ns::DISCO_INFO, "feature").with_attr("var", *name);
        Some(iq_result(iq).with_child(query.with_children(self.features.iter().map(feature))))
    }

    fn version(&self, of: &Jid) -> &str {
        if of.is_bare() { &self.account } else { &self.program }
    }
}

fn element(version: &str) -> Element {
    Element::new(ns::CAPS, "c").with_attr("hash", "sha-1").with_attr("node", NODE).with_attr("ver", version)
}

fn identity(of: &Jid) -> (&'static str, &'static str) {
    if of.is_bare() { ACCOUNT } else { PROGRAM }
}

/// Returns the verification string (XEP-0115 §5.1) of one identity, which has no name, and features in order.
fn verification((category, kind): (&str, &str), features: &[&str]) -> String {
    let mut said = format!("{category}/{kind}//<");
    for feature in features {
        said.push_str(feature);
        said.push('<');
    }
    STANDARD.encode(Sha1::digest(said.as_bytes()))
}

#[cfg(test)]
mod tests {
    use xmpp_types::xml::{Limits, parse_document};

    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn ask(abilities: Abilities, to: &str, node: &str) -> Option<Element> {
        let iq = format!(
            "<iq xmlns='jabber:server' type='get' id='1' from='ann@x.example/desk' to='{to}'>\
             <query xmlns='http://jabber.org/protocol/disco#info'{node}/></iq>"
        );
        let iq = parse_document(iq.as_bytes(), &Limits::DOCUMENT).unwrap();
        Capabilities::of(abilities).answer(&iq, &jid(to))
    }

    /// Hashes an answer as a client does (XEP-0115 §5.4).
    fn hashed(answer: &Element) -> String {
        let query = answer.elements().next().unwrap();
        let mut parts: Vec<String> = Vec::new();
        for identity in query.elements().filter(|child| child.name() == "identity") {
            let part = |key| identity.attr(key).unwrap_or_default();
            parts.push(format!("{}/{}//{}<", part("category"), part("type"), part("name")));
        }
        let mut features: Vec<String> = query
            .elements()
            .filter(|child| child.name() == "feature")
            .map(|feature| format!("{}<", feature.attr("var").unwrap()))
            .collect();
        features.sort();
        STANDARD.encode(Sha1::digest((parts.concat() + &features.concat()).as_bytes()))
    }

    #[test]
    fn the_hash_of_the_specifications_example_is_ours() {
        let features = [
            "http://jabber.org/protocol/caps",
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/muc",
        ];
        // XEP-0115 §5.2; its identity has the name that ours lack.
        let said = format!("client/pc//Exodus 0.9.1<{}<", features.join("<"));

        assert_eq!(STANDARD.encode(Sha1::digest(said.as_bytes())), "QgayPKawpkPSDYmwT/WM94uAlu0=");
        assert_eq!(verification(PROGRAM, &features), {
            let said = format!("client/pc//<{}<", features.join("<"));
            STANDARD.encode(Sha1::digest(said.as_bytes()))
        });
    }

    #[test]
    fn what_presence_promises_is_what_the_answer_hashes_to() {
        for (chat_states, receipts) in [(false, false), (true, false), (false, true), (true, true)] {
            let abilities = Abilities { chat_states, receipts };
            for to in ["bob@s.example", "bob@s.example/pc"] {
                let capabilities = Capabilities::of(abilities);
                let element =
                    if to.contains('/') { capabilities.of_program() } else { capabilities.of_account() };
                let version = element.attr("ver").unwrap();
                let node = format!(" node='{NODE}#{version}'");

                assert_eq!(hashed(&ask(abilities, to, "").unwrap()), version);
                let answer = ask(abilities, to, &node).unwrap();
                assert_eq!((hashed(&answer), answer.attr("type")), (version.to_owned(), Some("result")));
                assert_eq!(answer.elements().next().unwrap().attr("node"), Some(&node[7..node.len() - 1]));
            }
        }
    }

    #[test]
    fn only_what_the_gateway_does_is_promised() {
        let has = |abilities, feature: &str| {
            let answer = ask(abilities, "bob@s.example/pc", "").unwrap();
            let query = answer.elements().next().unwrap();
            query.elements().any(|child| child.attr("var") == Some(feature))
        };
        let typing = Abilities { chat_states: true, receipts: false };

        assert!(has(typing, ns::CHAT_STATES) && !has(typing, ns::RECEIPTS));
        assert!(!has(Abilities::default(), ns::CHAT_STATES));
        assert!(has(Abilities::default(), ns::DISCO_INFO));
    }

    #[test]
    fn another_node_is_unknown_and_another_question_not_ours() {
        let answer = ask(Abilities::default(), "bob@s.example", " node='urn:gangway:sip#old'").unwrap();
        let ping = "<iq xmlns='jabber:server' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>";
        let ping = parse_document(ping.as_bytes(), &Limits::DOCUMENT).unwrap();

        assert_eq!(answer.attr("type"), Some("error"));
        assert!(answer.to_string().contains("item-not-found"), "{answer}");
        assert_eq!(Capabilities::of(Abilities::default()).answer(&ping, &jid("bob@s.example")), None);
    }
}
