//! Stream features (RFC 6120 §4.3.2).

use crate::ns;
use crate::xml::{Element, XmlText};

/// What the receiving side of a stream offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureSet {
    /// STARTTLS, and whether it is required (RFC 6120 §5.4.1).
    pub starttls: Option<StartTls>,
    /// The mechanisms of SASL, best first (RFC 6120 §6.4.1).
    pub mechanisms: Vec<XmlText>,
    /// Dialback (XEP-0220 §2.4).
    pub dialback: Option<DialbackFeature>,
    /// Bidirectional streams (XEP-0288).
    pub bidi: bool,
    /// Stream management (XEP-0198).
    pub sm: bool,
    /// What the receiving side takes (XEP-0478).
    pub limits: Option<StreamLimits>,
    /// Everything else, as it came.
    pub others: Vec<Element>,
}

/// How STARTTLS is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    /// The initiator may go on without.
    Optional,
    /// The initiator must not.
    Required,
}

/// How dialback is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialbackFeature {
    /// A failure closes the stream.
    Plain,
    /// A failure is answered on a stream that stays open (XEP-0220 §2.4.1).
    WithErrors,
}

/// Limits announced for a stream (XEP-0478 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamLimits {
    /// The largest first-level element taken, in octets.
    pub max_bytes: Option<u64>,
    /// How long the initiator may be silent.
    pub idle_seconds: Option<u64>,
}

impl StreamLimits {
    /// Reads `<limits/>`; what is no number was not said.
    #[must_use]
    pub fn from_limits(element: &Element) -> Self {
        let number =
            |name| element.child(name, ns::LIMITS).and_then(|child| child.text().trim().parse().ok());
        Self { max_bytes: number("max-bytes"), idle_seconds: number("idle-seconds") }
    }

    /// Returns `<limits/>`.
    #[must_use]
    pub fn to_element(self) -> Element {
        let mut limits = Element::new(ns::LIMITS, "limits");
        for (name, number) in [("max-bytes", self.max_bytes), ("idle-seconds", self.idle_seconds)] {
            if let Some(number) = number {
                limits.push_child(Element::new(ns::LIMITS, name).with_text(number.to_string()));
            }
        }
        limits
    }
}

impl FeatureSet {
    /// Reads `<stream:features>`; `None` if it is no such element.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        if !element.is("features", ns::STREAMS) {
            return None;
        }
        let mut features = Self::default();
        for child in element.elements() {
            match (child.name(), child.namespace()) {
                ("starttls", ns::TLS) => {
                    let required = child.has_child("required", ns::TLS);
                    features.starttls = Some(if required { StartTls::Required } else { StartTls::Optional });
                }
                ("mechanisms", ns::SASL) => {
                    let mechanisms = child.elements().filter(|m| m.is("mechanism", ns::SASL));
                    features.mechanisms.extend(mechanisms.map(|m| XmlText::from(m.text().trim())));
                }
                ("dialback", ns::DIALBACK_FEATURE) => {
                    let errors = child.has_child("errors", ns::DIALBACK_FEATURE);
                    features.dialback =
                        Some(if errors { DialbackFeature::WithErrors } else { DialbackFeature::Plain });
                }
                ("bidi", ns::BIDI_FEATURE) => features.bidi = true,
                ("sm", ns::SM3) => features.sm = true,
                ("limits", ns::LIMITS) => features.limits = Some(StreamLimits::from_limits(child)),
                _ => features.others.push(child.clone()),
            }
        }
        Some(features)
    }

    /// Returns `<stream:features>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut features = Element::new(ns::STREAMS, "features");
        if let Some(starttls) = self.starttls {
            let mut offer = Element::new(ns::TLS, "starttls");
            if starttls == StartTls::Required {
                offer.push_child(Element::new(ns::TLS, "required"));
            }
            features.push_child(offer);
        }
        if !self.mechanisms.is_empty() {
            let each = |name: &XmlText| Element::new(ns::SASL, "mechanism").with_text(name.clone());
            features.push_child(
                Element::new(ns::SASL, "mechanisms").with_children(self.mechanisms.iter().map(each)),
            );
        }
        if let Some(dialback) = self.dialback {
            let mut offer = Element::new(ns::DIALBACK_FEATURE, "dialback");
            if dialback == DialbackFeature::WithErrors {
                offer.push_child(Element::new(ns::DIALBACK_FEATURE, "errors"));
            }
            features.push_child(offer);
        }
        if self.bidi {
            features.push_child(Element::new(ns::BIDI_FEATURE, "bidi"));
        }
        if self.sm {
            features.push_child(Element::new(ns::SM3, "sm"));
        }
        if let Some(limits) = self.limits {
            features.push_child(limits.to_element());
        }
        features.with_children(self.others.iter().cloned())
    }

    /// Returns whether SASL's `mechanism` is offered.
    #[must_use]
    pub fn offers(&self, mechanism: &str) -> bool {
        self.mechanisms.iter().any(|offered| *offered == *mechanism)
    }

    /// Returns a feature that we do not know and that says `<required/>` (RFC 6120 §4.3.2).
    ///
    /// The stream cannot be used without it, so the answer is `unsupported-feature`.
    #[must_use]
    pub fn unknown_requirement(&self) -> Option<&Element> {
        self.others.iter().find(|other| other.elements().any(|child| child.name() == "required"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_survive_a_round_trip() {
        let all = FeatureSet {
            starttls: Some(StartTls::Required),
            mechanisms: vec!["EXTERNAL".into(), "PLAIN".into()],
            dialback: Some(DialbackFeature::WithErrors),
            bidi: true,
            sm: true,
            limits: Some(StreamLimits { max_bytes: Some(262_144), idle_seconds: Some(600) }),
            others: vec![Element::new("urn:x", "y")],
        };
        for features in [all, FeatureSet::default()] {
            assert_eq!(FeatureSet::from_element(&features.to_element()), Some(features));
        }
    }

    #[test]
    fn an_unknown_feature_that_is_required_is_found() {
        let required = Element::new("urn:x", "y").with_child(Element::new("urn:x", "required"));
        let features = Element::new(ns::STREAMS, "features")
            .with_child(Element::new("urn:x", "z"))
            .with_child(required.clone());

        let features = FeatureSet::from_element(&features).unwrap();

        assert_eq!(features.unknown_requirement(), Some(&required));
    }

    #[test]
    fn a_limit_that_is_no_number_was_not_said() {
        let limits = Element::new(ns::LIMITS, "limits")
            .with_child(Element::new(ns::LIMITS, "max-bytes").with_text("many"));

        assert_eq!(StreamLimits::from_limits(&limits), StreamLimits::default());
    }
}
