//! Dialback elements (XEP-0220).

use crate::ns;
use crate::stanza_error::StanzaError;
use crate::xml::{Element, XmlText};

/// One of the two dialback elements, as a request or an answer.
///
/// Addresses are as they stand on the wire; whoever decides on them reads them as domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialback {
    /// The domain that speaks.
    pub from: XmlText,
    /// The domain that is spoken to.
    pub to: XmlText,
    /// What is said.
    pub what: DialbackWhat,
}

/// What a dialback element says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialbackWhat {
    /// `<db:result>` with a key: the sender asks to be believed (XEP-0220 §2.1).
    ResultKey(XmlText),
    /// `<db:result>` with a type: the receiver answers (§2.1.1).
    ResultAnswer(DialbackAnswer),
    /// `<db:verify>` with a key: the receiver asks the sender's domain (§2.2).
    VerifyKey {
        /// The identifier of the stream on which the key was received.
        id: XmlText,
        /// The key.
        key: XmlText,
    },
    /// `<db:verify>` with a type: the sender's domain answers (§2.3).
    VerifyAnswer {
        /// The identifier of the question.
        id: XmlText,
        /// The answer.
        answer: DialbackAnswer,
    },
}

/// The answer to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialbackAnswer {
    /// The key is genuine.
    Valid,
    /// The key is not.
    Invalid,
    /// It could not be found out (XEP-0220 §2.4.2); the stream stays open.
    Error(Box<StanzaError>),
}

/// Why a dialback element cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialbackMalformed {
    /// `from` or `to` is absent or empty; answered with `improper-addressing`.
    Unaddressed,
    /// The element is of no kind that XEP-0220 knows; answered with `bad-format`.
    Unknown,
    /// A `<db:verify>` has no `id`; answered with `bad-format`.
    WithoutId,
}

impl DialbackMalformed {
    /// Returns the error to close the stream with (RFC 6120 §4.9.3).
    #[must_use]
    pub const fn condition(self) -> crate::stream::StreamCondition {
        match self {
            Self::Unaddressed => crate::stream::StreamCondition::ImproperAddressing,
            Self::Unknown | Self::WithoutId => crate::stream::StreamCondition::BadFormat,
        }
    }
}

impl Dialback {
    /// Returns whether `element` is in dialback's namespace, so that [`Self::from_element`] should read it.
    #[must_use]
    pub fn concerns(element: &Element) -> bool {
        element.namespace() == ns::DIALBACK
    }

    /// Reads `<db:result>` or `<db:verify>`.
    ///
    /// # Errors
    ///
    /// [`DialbackMalformed`], which knows what it is answered with.
    pub fn from_element(element: &Element) -> Result<Self, DialbackMalformed> {
        if !Self::concerns(element) {
            return Err(DialbackMalformed::Unknown);
        }
        let domain = |name| element.attr(name).filter(|domain| !domain.is_empty()).map(XmlText::from);
        let (Some(from), Some(to)) = (domain("from"), domain("to")) else {
            return Err(DialbackMalformed::Unaddressed);
        };
        let answer = match element.attr("type") {
            None => None,
            Some("valid") => Some(DialbackAnswer::Valid),
            Some("invalid") => Some(DialbackAnswer::Invalid),
            Some("error") => {
                let undefined = || StanzaError::new(crate::stanza_error::StanzaCondition::UndefinedCondition);
                let error = StanzaError::from_element(element).unwrap_or_else(undefined);
                Some(DialbackAnswer::Error(Box::new(error)))
            }
            Some(_) => return Err(DialbackMalformed::Unknown),
        };
        let id = element.attr("id").map(XmlText::from).ok_or(DialbackMalformed::WithoutId);
        // Keys are printed over several lines by some, as in the examples of XEP-0220.
        let key = || XmlText::from(element.text().trim());
        let what = match (element.name(), answer) {
            ("result", None) => DialbackWhat::ResultKey(key()),
            ("result", Some(answer)) => DialbackWhat::ResultAnswer(answer),
            ("verify", None) => DialbackWhat::VerifyKey { id: id?, key: key() },
            ("verify", Some(answer)) => DialbackWhat::VerifyAnswer { id: id?, answer },
            _ => return Err(DialbackMalformed::Unknown),
        };
        Ok(Self { from, to, what })
    }

    /// Returns the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let element = |name: &'static str| {
            Element::new(ns::DIALBACK, name)
                .with_attr("from", self.from.clone())
                .with_attr("to", self.to.clone())
        };
        match &self.what {
            DialbackWhat::ResultKey(key) => element("result").with_text(key.clone()),
            DialbackWhat::ResultAnswer(answer) => answered(element("result"), answer),
            DialbackWhat::VerifyKey { id, key } => {
                element("verify").with_attr("id", id.clone()).with_text(key.clone())
            }
            DialbackWhat::VerifyAnswer { id, answer } => {
                answered(element("verify").with_attr("id", id.clone()), answer)
            }
        }
    }
}

fn answered(element: Element, answer: &DialbackAnswer) -> Element {
    match answer {
        DialbackAnswer::Valid => element.with_attr("type", "valid"),
        DialbackAnswer::Invalid => element.with_attr("type", "invalid"),
        DialbackAnswer::Error(error) => element.with_attr("type", "error").with_child(error.to_element()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza_error::StanzaCondition;
    use crate::stream::StreamCondition;

    fn dialback(what: DialbackWhat) -> Dialback {
        Dialback { from: "a.example".into(), to: "b.example".into(), what }
    }

    #[test]
    fn every_kind_survives_a_round_trip() {
        let error = DialbackAnswer::Error(Box::new(StanzaError::new(StanzaCondition::ItemNotFound)));
        for what in [
            DialbackWhat::ResultKey("k".into()),
            DialbackWhat::ResultAnswer(DialbackAnswer::Valid),
            DialbackWhat::ResultAnswer(DialbackAnswer::Invalid),
            DialbackWhat::ResultAnswer(error.clone()),
            DialbackWhat::VerifyKey { id: "1".into(), key: "k".into() },
            DialbackWhat::VerifyAnswer { id: "1".into(), answer: DialbackAnswer::Valid },
            DialbackWhat::VerifyAnswer { id: "1".into(), answer: error },
        ] {
            let dialback = dialback(what);
            assert_eq!(Dialback::from_element(&dialback.to_element()), Ok(dialback));
        }
    }

    #[test]
    fn an_element_without_domains_is_improperly_addressed() {
        let element = Element::new(ns::DIALBACK, "result").with_attr("to", "b.example").with_text("k");

        let malformed = Dialback::from_element(&element).unwrap_err();

        assert_eq!(malformed.condition(), StreamCondition::ImproperAddressing);
    }

    #[test]
    fn a_type_nobody_knows_is_not_taken_for_a_key() {
        let mut element = dialback(DialbackWhat::ResultKey("k".into())).to_element();
        element.set_attr("type", "maybe");

        assert_eq!(Dialback::from_element(&element), Err(DialbackMalformed::Unknown));
    }

    #[test]
    fn a_key_may_stand_between_line_breaks() {
        let element = dialback(DialbackWhat::ResultKey("\n  k\n".into())).to_element();

        assert_eq!(Dialback::from_element(&element), Ok(dialback(DialbackWhat::ResultKey("k".into()))));
    }
}
