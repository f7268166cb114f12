//! Stream management elements (XEP-0198), and our link's selective acknowledgement.

use crate::ns;
use crate::stanza_error::StanzaCondition;
use crate::xml::{Element, XmlText};

/// One element of stream management.
///
/// Counters are modulo 2³² (XEP-0198 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamManagement {
    /// Asks to count from here on.
    Enable {
        /// Whether the session should be resumable.
        resume: bool,
        /// For how long, in seconds.
        max: Option<u32>,
    },
    /// Counts from here on.
    Enabled {
        /// The session's identifier, without which it cannot be resumed.
        id: Option<XmlText>,
        /// Whether the session is resumable.
        resume: bool,
        /// For how long, in seconds.
        max: Option<u32>,
        /// Where to resume it rather than where DNS says.
        location: Option<XmlText>,
    },
    /// Asks to go on where a stream broke off.
    Resume {
        /// The session's identifier.
        previd: XmlText,
        /// How many stanzas the sender has handled.
        h: u32,
    },
    /// Goes on.
    Resumed {
        /// The session's identifier.
        previd: XmlText,
        /// How many stanzas the sender has handled.
        h: u32,
    },
    /// Does not.
    Failed {
        /// Why not.
        condition: StanzaCondition,
        /// How many stanzas the lost session had handled.
        h: Option<u32>,
    },
    /// Asks for an acknowledgement.
    Request,
    /// Acknowledges.
    Answer {
        /// How many stanzas the sender has handled.
        h: u32,
    },
}

/// An element of stream management lacks a counter or identifier, or has one that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckMalformed;

impl StreamManagement {
    /// Reads an element of stream management; `None` if it is no such element.
    ///
    /// # Errors
    ///
    /// [`AckMalformed`] if it lacks what it cannot be understood without.
    pub fn from_element(element: &Element) -> Option<Result<Self, AckMalformed>> {
        if element.namespace() != ns::SM3 {
            return None;
        }
        let resume = matches!(element.attr("resume"), Some("true" | "1"));
        let max = || element.attr("max").and_then(number);
        let h = || element.attr("h").and_then(number).ok_or(AckMalformed);
        let previd = || element.attr("previd").map(XmlText::from).ok_or(AckMalformed);
        let pair = || Ok((previd()?, h()?));
        Some(match element.name() {
            "enable" => Ok(Self::Enable { resume, max: max() }),
            "enabled" => Ok(Self::Enabled {
                id: element.attr("id").map(XmlText::from),
                resume,
                max: max(),
                location: element.attr("location").map(XmlText::from),
            }),
            "resume" => pair().map(|(previd, h)| Self::Resume { previd, h }),
            "resumed" => pair().map(|(previd, h)| Self::Resumed { previd, h }),
            "failed" => {
                let words = element.elements().filter(|child| child.namespace() == ns::STANZA_ERRORS);
                let condition = words.filter_map(|child| StanzaCondition::parse(child.name())).next();
                let condition = condition.unwrap_or(StanzaCondition::UndefinedCondition);
                Ok(Self::Failed { condition, h: h().ok() })
            }
            "r" => Ok(Self::Request),
            "a" => h().map(|h| Self::Answer { h }),
            _ => return None,
        })
    }

    /// Returns the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let element = |name: &'static str| Element::new(ns::SM3, name);
        let text = |number: &u32| number.to_string();
        match self {
            Self::Enable { resume, max } => {
                resumable(element("enable"), *resume).with_attr_opt("max", max.as_ref().map(text))
            }
            Self::Enabled { id, resume, max, location } => {
                resumable(element("enabled").with_attr_opt("id", id.clone()), *resume)
                    .with_attr_opt("max", max.as_ref().map(text))
                    .with_attr_opt("location", location.clone())
            }
            Self::Resume { previd, h } => {
                element("resume").with_attr("h", text(h)).with_attr("previd", previd.clone())
            }
            Self::Resumed { previd, h } => {
                element("resumed").with_attr("h", text(h)).with_attr("previd", previd.clone())
            }
            Self::Failed { condition, h } => element("failed")
                .with_attr_opt("h", h.as_ref().map(text))
                .with_child(Element::new(ns::STANZA_ERRORS, condition.as_str())),
            Self::Request => element("r"),
            Self::Answer { h } => element("a").with_attr("h", text(h)),
        }
    }
}

/// Returns the application condition for a peer that acknowledged what was never sent (XEP-0198 §6).
#[must_use]
pub fn handled_count_too_high(h: u32, sent: u32) -> Element {
    Element::new(ns::SM3, "handled-count-too-high")
        .with_attr("h", h.to_string())
        .with_attr("send-count", sent.to_string())
}

/// `<settled/>` of our link: the `n`th stanza of this session may be forgotten by its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which stanza, counted from 1 since the session began, modulo 2³².
    pub n: u32,
}

impl Settled {
    /// Reads `<settled/>`; `None` if it is no such element, or says no number.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        let n = element.attr("n").and_then(number)?;
        element.is("settled", ns::LINK).then_some(Self { n })
    }

    /// Returns `<settled/>`.
    #[must_use]
    pub fn to_element(self) -> Element {
        Element::new(ns::LINK, "settled").with_attr("n", self.n.to_string())
    }
}

fn resumable(element: Element, resume: bool) -> Element {
    if resume { element.with_attr("resume", "true") } else { element }
}

/// `xs:unsignedInt`, without the sign that Rust would take.
fn number(digits: &str) -> Option<u32> {
    let digits = digits.trim();
    if digits.bytes().all(|octet| octet.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_a_round_trip() {
        for management in [
            StreamManagement::Enable { resume: true, max: Some(600) },
            StreamManagement::Enable { resume: false, max: None },
            StreamManagement::Enabled {
                id: Some("s1".into()),
                resume: true,
                max: Some(60),
                location: Some("[::1]:5269".into()),
            },
            StreamManagement::Resume { previd: "s1".into(), h: u32::MAX },
            StreamManagement::Resumed { previd: "s1".into(), h: 0 },
            StreamManagement::Failed { condition: StanzaCondition::ItemNotFound, h: Some(3) },
            StreamManagement::Request,
            StreamManagement::Answer { h: 7 },
        ] {
            assert_eq!(StreamManagement::from_element(&management.to_element()), Some(Ok(management)));
        }
        assert_eq!(Settled::from_element(&Settled { n: 17 }.to_element()), Some(Settled { n: 17 }));
    }

    #[test]
    fn a_counter_that_is_no_number_is_malformed() {
        for h in ["-1", "+1", "", "4294967296", "many"] {
            let answer = Element::new(ns::SM3, "a").with_attr("h", h);
            assert_eq!(StreamManagement::from_element(&answer), Some(Err(AckMalformed)), "{h}");
        }
        let missing = Element::new(ns::SM3, "resume").with_attr("previd", "x");
        assert_eq!(StreamManagement::from_element(&missing), Some(Err(AckMalformed)));
    }
}
