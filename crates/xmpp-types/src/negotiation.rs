//! Elements that switch something on: STARTTLS (RFC 6120 §5) and bidirectional streams (XEP-0288).

use crate::features::StreamLimits;
use crate::ns;
use crate::words::words;
use crate::xml::Element;

words! {
    /// What is said about TLS on a stream (RFC 6120 §5.4.2).
    pub enum TlsNegotiation {
        /// The initiator asks for TLS.
        StartTls = "starttls",
        /// The receiver is ready for the handshake.
        Proceed = "proceed",
        /// The receiver is not, and closes.
        Failure = "failure",
    }
}

impl TlsNegotiation {
    /// Reads an element of STARTTLS's namespace; `None` if it is no such element.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        if element.namespace() == ns::TLS { Self::parse(element.name()) } else { None }
    }

    /// Returns the element.
    #[must_use]
    pub fn to_element(self) -> Element {
        Element::new(ns::TLS, self.as_str())
    }
}

/// The initiator's `<bidi/>`: stanzas may come back on this stream (XEP-0288 §2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bidi {
    /// What the initiator takes, as it has no features to say so in (XEP-0478 §3).
    pub limits: Option<StreamLimits>,
}

impl Bidi {
    /// Reads `<bidi/>`; `None` if it is no such element.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        let limits = element.child("limits", ns::LIMITS).map(StreamLimits::from_limits);
        element.is("bidi", ns::BIDI).then_some(Self { limits })
    }

    /// Returns `<bidi/>`.
    #[must_use]
    pub fn to_element(self) -> Element {
        let bidi = Element::new(ns::BIDI, "bidi");
        match self.limits {
            Some(limits) => bidi.with_child(limits.to_element()),
            None => bidi,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_a_round_trip() {
        for tls in TlsNegotiation::ALL {
            assert_eq!(TlsNegotiation::from_element(&tls.to_element()), Some(*tls));
        }
        let limits = StreamLimits { max_bytes: Some(10_000), idle_seconds: None };
        for bidi in [Bidi::default(), Bidi { limits: Some(limits) }] {
            assert_eq!(Bidi::from_element(&bidi.to_element()), Some(bidi));
        }
    }

    #[test]
    fn starttls_of_another_namespace_is_not_starttls() {
        assert_eq!(TlsNegotiation::from_element(&Element::new(ns::SASL, "starttls")), None);
    }
}
