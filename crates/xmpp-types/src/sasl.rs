//! SASL elements (RFC 6120 §6).

use crate::ns;
use crate::words::words;
use crate::xml::{Element, XmlText};

/// What is said while authenticating.
///
/// Data is base64 as it stands on the wire: `None` where there is none, and `=` for data of no octets
/// (RFC 6120 §6.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sasl {
    /// The initiator chooses a mechanism.
    Auth {
        /// The mechanism's name.
        mechanism: XmlText,
        /// The initial response, if any.
        response: Option<XmlText>,
    },
    /// The receiver asks.
    Challenge(Option<XmlText>),
    /// The initiator answers.
    Response(Option<XmlText>),
    /// The initiator gives up.
    Abort,
    /// The receiver believes.
    Success(Option<XmlText>),
    /// The receiver does not.
    Failure {
        /// Why not.
        condition: SaslCondition,
        /// Why not, in words.
        text: Option<XmlText>,
    },
}

words! {
    /// Why authentication failed (RFC 6120 §6.5).
    pub enum SaslCondition {
        /// §6.5.1: the initiator gave up.
        Aborted = "aborted",
        /// §6.5.2: the account is disabled for the moment.
        AccountDisabled = "account-disabled",
        /// §6.5.3: the credentials have expired.
        CredentialsExpired = "credentials-expired",
        /// §6.5.4: the mechanism needs a confidential stream.
        EncryptionRequired = "encryption-required",
        /// §6.5.5: the data is not base64.
        IncorrectEncoding = "incorrect-encoding",
        /// §6.5.6: the identity asked for is no address, or not the initiator's.
        InvalidAuthzid = "invalid-authzid",
        /// §6.5.7: the mechanism was not offered.
        InvalidMechanism = "invalid-mechanism",
        /// §6.5.8: the data breaks the mechanism's rules.
        MalformedRequest = "malformed-request",
        /// §6.5.9: the mechanism is weaker than policy allows.
        MechanismTooWeak = "mechanism-too-weak",
        /// §6.5.10: the proof does not suffice.
        NotAuthorized = "not-authorized",
        /// §6.5.11: something failed that may work later.
        TemporaryAuthFailure = "temporary-auth-failure",
    }
}

/// The data that stands for no octets at all (RFC 6120 §6.4.2).
pub const EMPTY: &str = "=";

impl Sasl {
    /// Reads an element of SASL's namespace; `None` if it is no such element.
    ///
    /// A failure of a kind that nobody knows is `not-authorized`. An `<auth/>` without a mechanism has an
    /// empty one, which was never offered.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        if element.namespace() != ns::SASL {
            return None;
        }
        let text = element.text();
        let data = (!text.trim().is_empty()).then(|| XmlText::from(text.trim()));
        Some(match element.name() {
            "auth" => Self::Auth {
                mechanism: XmlText::from(element.attr("mechanism").unwrap_or_default()),
                response: data,
            },
            "challenge" => Self::Challenge(data),
            "response" => Self::Response(data),
            "abort" => Self::Abort,
            "success" => Self::Success(data),
            "failure" => {
                let condition = element.elements().find_map(|child| SaslCondition::parse(child.name()));
                let text = element.child("text", ns::SASL).map(|text| XmlText::from(text.text()));
                Self::Failure { condition: condition.unwrap_or(SaslCondition::NotAuthorized), text }
            }
            _ => return None,
        })
    }

    /// Returns the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let with = |name: &'static str, data: &Option<XmlText>| {
            let element = Element::new(ns::SASL, name);
            match data {
                Some(data) => element.with_text(data.clone()),
                None => element,
            }
        };
        match self {
            Self::Auth { mechanism, response } => {
                with("auth", response).with_attr("mechanism", mechanism.clone())
            }
            Self::Challenge(data) => with("challenge", data),
            Self::Response(data) => with("response", data),
            Self::Abort => with("abort", &None),
            Self::Success(data) => with("success", data),
            Self::Failure { condition, text } => {
                let failure = with("failure", &None).with_child(Element::new(ns::SASL, condition.as_str()));
                match text {
                    Some(text) => failure
                        .with_child(Element::new(ns::SASL, "text").with_lang("en").with_text(text.clone())),
                    None => failure,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_a_round_trip() {
        let mut all = vec![
            Sasl::Auth { mechanism: "EXTERNAL".into(), response: Some(EMPTY.into()) },
            Sasl::Auth { mechanism: "EXTERNAL".into(), response: None },
            Sasl::Challenge(None),
            Sasl::Response(Some("YQ==".into())),
            Sasl::Abort,
            Sasl::Success(None),
        ];
        for condition in SaslCondition::ALL {
            all.push(Sasl::Failure { condition: *condition, text: Some("why".into()) });
        }
        for sasl in all {
            assert_eq!(Sasl::from_element(&sasl.to_element()), Some(sasl));
        }
    }

    #[test]
    fn an_unknown_failure_is_a_failure() {
        let element = Element::new(ns::SASL, "failure").with_child(Element::new(ns::SASL, "bad-protocol"));

        let expected = Sasl::Failure { condition: SaslCondition::NotAuthorized, text: None };
        assert_eq!(Sasl::from_element(&element), Some(expected));
    }
}
