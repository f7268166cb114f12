//! The stanza error (RFC 6120 §8.3).

use std::fmt;

use crate::ns;
use crate::words::words;
use crate::xml::{Element, XmlText};

words! {
    /// What the sender may do about an error (RFC 6120 §8.3.2).
    pub enum ErrorType {
        /// Retry after providing credentials.
        Auth = "auth",
        /// Do not retry.
        Cancel = "cancel",
        /// Proceed; it was a warning.
        Continue = "continue",
        /// Retry after changing what was sent.
        Modify = "modify",
        /// Retry after waiting.
        Wait = "wait",
    }
}

words! {
    /// What went wrong with a stanza: the conditions of RFC 6120 §8.3.3.
    pub enum StanzaCondition {
        /// §8.3.3.1: the stanza breaks a rule.
        BadRequest = "bad-request",
        /// §8.3.3.2: something of that name exists.
        Conflict = "conflict",
        /// §8.3.3.3: the feature is not implemented.
        FeatureNotImplemented = "feature-not-implemented",
        /// §8.3.3.4: the sender may not do that.
        Forbidden = "forbidden",
        /// §8.3.3.5: the recipient is not at this address any more.
        Gone = "gone",
        /// §8.3.3.6: the server failed.
        InternalServerError = "internal-server-error",
        /// §8.3.3.7: the recipient or item does not exist.
        ItemNotFound = "item-not-found",
        /// §8.3.3.8: an address is malformed.
        JidMalformed = "jid-malformed",
        /// §8.3.3.9: the recipient does not accept it in this form.
        NotAcceptable = "not-acceptable",
        /// §8.3.3.10: nobody may do that.
        NotAllowed = "not-allowed",
        /// §8.3.3.11: the sender has to authenticate.
        NotAuthorized = "not-authorized",
        /// §8.3.3.12: a local policy is violated.
        PolicyViolation = "policy-violation",
        /// §8.3.3.13: the recipient cannot be reached for the moment.
        RecipientUnavailable = "recipient-unavailable",
        /// §8.3.3.14: the recipient is elsewhere for the moment.
        Redirect = "redirect",
        /// §8.3.3.15: the sender has to register.
        RegistrationRequired = "registration-required",
        /// §8.3.3.16: the recipient's server does not exist or cannot be reached.
        RemoteServerNotFound = "remote-server-not-found",
        /// §8.3.3.17: the recipient's server did not answer in time.
        RemoteServerTimeout = "remote-server-timeout",
        /// §8.3.3.18: resources are short.
        ResourceConstraint = "resource-constraint",
        /// §8.3.3.19: the service is not provided.
        ServiceUnavailable = "service-unavailable",
        /// §8.3.3.20: the sender has to subscribe.
        SubscriptionRequired = "subscription-required",
        /// §8.3.3.21: something else; an application condition tells.
        UndefinedCondition = "undefined-condition",
        /// §8.3.3.22: the request was out of order.
        UnexpectedRequest = "unexpected-request",
    }
}

impl StanzaCondition {
    /// Returns the type that RFC 6120 §8.3.3 says the condition should have.
    ///
    /// Where it leaves a choice: `policy-violation` is `modify` and `unexpected-request` is `wait`.
    #[must_use]
    pub const fn default_type(self) -> ErrorType {
        match self {
            Self::BadRequest
            | Self::JidMalformed
            | Self::NotAcceptable
            | Self::PolicyViolation
            | Self::Redirect => ErrorType::Modify,
            Self::Forbidden
            | Self::NotAuthorized
            | Self::RegistrationRequired
            | Self::SubscriptionRequired => ErrorType::Auth,
            Self::RecipientUnavailable
            | Self::RemoteServerTimeout
            | Self::ResourceConstraint
            | Self::UnexpectedRequest => ErrorType::Wait,
            Self::Conflict
            | Self::FeatureNotImplemented
            | Self::Gone
            | Self::InternalServerError
            | Self::ItemNotFound
            | Self::NotAllowed
            | Self::RemoteServerNotFound
            | Self::ServiceUnavailable
            | Self::UndefinedCondition => ErrorType::Cancel,
        }
    }

    /// Returns the condition of a numeric code from the time before conditions (XEP-0086 §2).
    #[must_use]
    pub const fn from_legacy_code(code: u16) -> Option<Self> {
        Some(match code {
            302 => Self::Redirect,
            400 => Self::BadRequest,
            401 => Self::NotAuthorized,
            402 => Self::UndefinedCondition,
            403 => Self::Forbidden,
            404 => Self::ItemNotFound,
            405 => Self::NotAllowed,
            406 => Self::NotAcceptable,
            407 => Self::RegistrationRequired,
            408 | 504 => Self::RemoteServerTimeout,
            409 => Self::Conflict,
            500 => Self::InternalServerError,
            501 => Self::FeatureNotImplemented,
            502 | 503 | 510 => Self::ServiceUnavailable,
            _ => return None,
        })
    }
}

/// What an error stanza says of the stanza it answers (RFC 6120 §8.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender may do about it.
    pub kind: ErrorType,
    /// What went wrong.
    pub condition: StanzaCondition,
    /// The entity that found the error, where it is not the recipient.
    pub by: Option<XmlText>,
    /// What went wrong, in words.
    pub text: Option<XmlText>,
    /// The language of the words.
    pub lang: Option<XmlText>,
    /// The new address: only `gone` and `redirect` have one (§8.3.3.5, §8.3.3.14), a URI.
    pub address: Option<XmlText>,
    /// A condition of some application (§8.3.4).
    pub application: Option<Box<Element>>,
}

impl StanzaError {
    /// Returns an error of the condition's usual type.
    #[must_use]
    pub const fn new(condition: StanzaCondition) -> Self {
        Self {
            kind: condition.default_type(),
            condition,
            by: None,
            text: None,
            lang: None,
            address: None,
            application: None,
        }
    }

    /// Returns the error with another type.
    #[must_use]
    pub const fn with_type(mut self, kind: ErrorType) -> Self {
        self.kind = kind;
        self
    }

    /// Returns the error with words for a person, in English.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<XmlText>) -> Self {
        self.text = Some(text.into());
        self.lang = Some("en".into());
        self
    }

    /// Returns the error with the entity that found it.
    #[must_use]
    pub fn with_by(mut self, by: impl Into<XmlText>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Returns the error with the address to turn to.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<XmlText>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Returns the error with an application's condition.
    #[must_use]
    pub fn with_application(mut self, condition: Element) -> Self {
        self.application = Some(Box::new(condition));
        self
    }

    /// Reads the `<error>` child of an error stanza, or that element itself.
    ///
    /// What a peer left out or misspelt becomes `undefined-condition` and the condition's usual type, for
    /// an error has to be understood as one. Numeric codes without a condition are read (XEP-0086).
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        let element =
            if element.is("error", ns::SERVER) { element } else { element.child("error", ns::SERVER)? };
        let code = element.attr("code").and_then(|code| code.parse().ok());
        let legacy = code.and_then(StanzaCondition::from_legacy_code);
        let mut error = Self::new(legacy.unwrap_or(StanzaCondition::UndefinedCondition));
        for child in element.elements() {
            if child.namespace() != ns::STANZA_ERRORS {
                error.application.get_or_insert_with(|| Box::new(child.clone()));
            } else if child.name() == "text" {
                if error.text.is_none() {
                    error.text = Some(XmlText::from(child.text()));
                    error.lang = child.lang().map(XmlText::from);
                }
            } else if let Some(condition) = StanzaCondition::parse(child.name()) {
                error.condition = condition;
                error.kind = condition.default_type();
                let moved = matches!(condition, StanzaCondition::Gone | StanzaCondition::Redirect);
                error.address = (moved && !child.text().is_empty()).then(|| XmlText::from(child.text()));
            }
        }
        if error.text.is_none() && !element.text().trim().is_empty() {
            error.text = Some(XmlText::from(element.text()));
        }
        error.by = element.attr("by").map(XmlText::from);
        error.kind = element.attr("type").and_then(ErrorType::parse).unwrap_or(error.kind);
        Some(error)
    }

    /// Returns `<error>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut condition = Element::new(ns::STANZA_ERRORS, self.condition.as_str());
        if let (StanzaCondition::Gone | StanzaCondition::Redirect, Some(address)) =
            (self.condition, &self.address)
        {
            condition.push_text(address.clone());
        }
        let mut element = Element::new(ns::SERVER, "error")
            .with_attr_opt("by", self.by.clone())
            .with_attr("type", self.kind.as_str())
            .with_child(condition);
        if let Some(text) = &self.text {
            let mut words = Element::new(ns::STANZA_ERRORS, "text").with_text(text.clone());
            if let Some(lang) = &self.lang {
                words = words.with_lang(lang.clone());
            }
            element.push_child(words);
        }
        if let Some(application) = &self.application {
            element.push_child(application.as_ref().clone());
        }
        element
    }
}

impl fmt::Display for StanzaError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(out, "{} ({}): {text}", self.condition, self.kind),
            None => write!(out, "{} ({})", self.condition, self.kind),
        }
    }
}

/// Returns the error stanza that answers `stanza`: addresses swapped, `id` and `xml:lang` kept.
///
/// An error is never answered by an error, or two servers would talk for ever; nor is a result
/// (RFC 6120 §8.3.1). The payload is not sent back: it may be what broke something.
#[must_use]
pub fn error_reply(stanza: &Element, error: &StanzaError) -> Option<Element> {
    let is_stanza =
        stanza.namespace() == ns::SERVER && matches!(stanza.name(), "message" | "presence" | "iq");
    if !is_stanza || matches!(stanza.attr("type"), Some("error" | "result")) {
        return None;
    }
    let mut reply = Element::new(ns::SERVER, crate::xml::Name::new(stanza.name()))
        .with_attr_opt("from", stanza.attr("to"))
        .with_attr_opt("to", stanza.attr("from"))
        .with_attr_opt("id", stanza.attr("id"))
        .with_attr("type", "error");
    if let Some(lang) = stanza.lang() {
        reply = reply.with_lang(lang);
    }
    Some(reply.with_child(error.to_element()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_a_round_trip_whatever_its_condition() {
        for condition in StanzaCondition::ALL {
            for kind in ErrorType::ALL {
                let mut error = StanzaError::new(*condition)
                    .with_type(*kind)
                    .with_text("why")
                    .with_by("example.com")
                    .with_application(Element::new("urn:x", "too-long"));
                if matches!(condition, StanzaCondition::Gone | StanzaCondition::Redirect) {
                    error = error.with_address("xmpp:new@example.com");
                }

                assert_eq!(StanzaError::from_element(&error.to_element()), Some(error));
            }
        }
    }

    #[test]
    fn a_reply_swaps_addresses_and_keeps_id_and_language() {
        let message = Element::new(ns::SERVER, "message")
            .with_attr("from", "a@x.example/r")
            .with_attr("to", "b@y.example")
            .with_attr("id", "7")
            .with_lang("de")
            .with_child(Element::new(ns::SERVER, "body").with_text("hallo"));

        let reply = error_reply(&message, &StanzaError::new(StanzaCondition::ItemNotFound)).unwrap();

        assert_eq!(reply.attr("from"), Some("b@y.example"));
        assert_eq!(reply.attr("to"), Some("a@x.example/r"));
        assert_eq!(reply.attr("id"), Some("7"));
        assert_eq!(reply.attr("type"), Some("error"));
        assert_eq!(reply.lang(), Some("de"));
        assert!(!reply.has_child("body", ns::SERVER));
        assert_eq!(StanzaError::from_element(&reply).unwrap().condition, StanzaCondition::ItemNotFound);
    }

    #[test]
    fn an_error_and_a_result_are_never_answered() {
        let error = StanzaError::new(StanzaCondition::BadRequest);
        for (name, kind) in [("message", "error"), ("iq", "error"), ("iq", "result"), ("presence", "error")] {
            let stanza = Element::new(ns::SERVER, name).with_attr("type", kind);
            assert_eq!(error_reply(&stanza, &error), None);
        }
        assert_eq!(error_reply(&Element::new(ns::SM3, "r"), &error), None);
    }

    #[test]
    fn an_error_of_the_old_kind_is_understood() {
        let element = Element::new(ns::SERVER, "error").with_attr("code", "404").with_text("Not Found");

        let error = StanzaError::from_element(&element).unwrap();

        assert_eq!(error.condition, StanzaCondition::ItemNotFound);
        assert_eq!(error.kind, ErrorType::Cancel);
        assert_eq!(error.text.as_deref(), Some("Not Found"));
    }

    #[test]
    fn an_error_that_says_nothing_is_still_one() {
        let message = Element::new(ns::SERVER, "message").with_child(Element::new(ns::SERVER, "error"));

        let error = StanzaError::from_element(&message).unwrap();

        assert_eq!(error.condition, StanzaCondition::UndefinedCondition);
    }
}
