//! The stream element and the stream error (RFC 6120 §4).

use std::fmt;

use crate::ns;
use crate::words::words;
use crate::xml::{Element, Name, Namespace, XmlText, write_attribute};

/// What a stream header says (RFC 6120 §4.7), addresses unread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamHeader {
    /// The default namespace, in which the stream's stanzas are.
    pub content: Namespace,
    /// The domain that the sender of the header speaks for.
    pub from: Option<XmlText>,
    /// The domain that the sender of the header wants to speak to.
    pub to: Option<XmlText>,
    /// The stream's identifier; only the answering header's counts (§4.7.3).
    pub id: Option<XmlText>,
    /// The version of XMPP.
    pub version: StreamVersion,
    /// The default language of human-readable text.
    pub lang: Option<XmlText>,
    /// Prefixes bound besides that of the stream element.
    pub prefixes: Vec<(Name, Namespace)>,
}

/// The `version` attribute of a stream header (RFC 6120 §4.7.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamVersion {
    /// There is none, so the peer is of the time before features: version 0.9.
    #[default]
    Absent,
    /// The attribute is not two numbers with a dot between.
    Unreadable,
    /// The two numbers, each compared by itself.
    Numbered {
        /// The number before the dot.
        major: u32,
        /// The number after the dot.
        minor: u32,
    },
}

impl StreamVersion {
    /// Version 1.0, which is what we speak.
    pub const ONE: Self = Self::Numbered { major: 1, minor: 0 };

    /// Reads the attribute's value.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let number = |digits: &str| {
            let legal = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
            legal.then(|| digits.parse().ok()).flatten()
        };
        match value.split_once('.').map(|(major, minor)| (number(major), number(minor))) {
            Some((Some(major), Some(minor))) => Self::Numbered { major, minor },
            Some(_) | None => Self::Unreadable,
        }
    }

    /// Returns whether the sender speaks XMPP 1.0 or later, so knows features.
    #[must_use]
    pub const fn has_features(self) -> bool {
        matches!(self, Self::Numbered { major: 1.., .. })
    }
}

impl StreamHeader {
    /// Returns a header of version 1.0 for the content namespace `content`.
    #[must_use]
    pub fn new(content: impl Into<Namespace>) -> Self {
        Self { content: content.into(), version: StreamVersion::ONE, ..Self::default() }
    }

    /// Returns the header of a stream between servers, which declares the dialback prefix (XEP-0220 §2.1).
    #[must_use]
    pub fn server() -> Self {
        Self::new(ns::SERVER).with_prefix("db", ns::DIALBACK)
    }

    /// Returns the header with `from`.
    #[must_use]
    pub fn with_from(mut self, from: impl Into<XmlText>) -> Self {
        self.from = Some(from.into());
        self
    }

    /// Returns the header with `to`.
    #[must_use]
    pub fn with_to(mut self, to: impl Into<XmlText>) -> Self {
        self.to = Some(to.into());
        self
    }

    /// Returns the header with an identifier.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<XmlText>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Returns the header with a default language.
    #[must_use]
    pub fn with_lang(mut self, lang: impl Into<XmlText>) -> Self {
        self.lang = Some(lang.into());
        self
    }

    /// Returns the header with `prefix` bound to `ns`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<Name>, ns: impl Into<Namespace>) -> Self {
        self.prefixes.push((prefix.into(), ns.into()));
        self
    }

    /// Returns whether `prefix` is bound to `ns`, as dialback wants it announced (XEP-0220 §2.1).
    #[must_use]
    pub fn declares(&self, ns: &str) -> bool {
        self.prefixes.iter().any(|(_, bound)| *bound == *ns)
    }

    /// Prints the XML declaration and the stream's start tag at the end of `out`.
    pub fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
        write_attribute(&self.content, out);
        out.extend_from_slice(b"' xmlns:stream='");
        write_attribute(ns::STREAMS, out);
        out.push(b'\'');
        for (at, (prefix, namespace)) in self.prefixes.iter().enumerate() {
            let repeated = self.prefixes[..at].iter().any(|(earlier, _)| earlier == prefix);
            let legal = !repeated
                && !matches!(prefix.as_str(), "xml" | "xmlns" | "stream")
                && !matches!(namespace.as_str(), "" | ns::XML);
            if legal {
                print_attribute(&format!("xmlns:{prefix}"), Some(namespace), out);
            }
        }
        print_attribute("from", self.from.as_deref(), out);
        print_attribute("to", self.to.as_deref(), out);
        print_attribute("id", self.id.as_deref(), out);
        if let StreamVersion::Numbered { major, minor } = self.version {
            print_attribute("version", Some(&format!("{major}.{minor}")), out);
        }
        print_attribute("xml:lang", self.lang.as_deref(), out);
        out.push(b'>');
    }
}

fn print_attribute(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"='");
        write_attribute(value, out);
        out.push(b'\'');
    }
}

/// The octets that end a stream (RFC 6120 §4.4).
pub const CLOSE: &[u8] = b"</stream:stream>";

words! {
    /// Why a stream is closed: the conditions of RFC 6120 §4.9.3.
    pub enum StreamCondition {
        /// §4.9.3.1: XML that cannot be processed.
        BadFormat = "bad-format",
        /// §4.9.3.2: a namespace prefix that is unsupported or missing.
        BadNamespacePrefix = "bad-namespace-prefix",
        /// §4.9.3.3: a newer stream takes this one's place.
        Conflict = "conflict",
        /// §4.9.3.4: the peer has been silent too long.
        ConnectionTimeout = "connection-timeout",
        /// §4.9.3.5: the domain in `to` is served no longer.
        HostGone = "host-gone",
        /// §4.9.3.6: the domain in `to` is not served.
        HostUnknown = "host-unknown",
        /// §4.9.3.7: a stanza between servers lacks `to` or `from`, or one is no address.
        ImproperAddressing = "improper-addressing",
        /// §4.9.3.8: the server cannot go on.
        InternalServerError = "internal-server-error",
        /// §4.9.3.9: `from` is not what the peer has proved.
        InvalidFrom = "invalid-from",
        /// §4.9.3.10: the stream or content namespace is not supported.
        InvalidNamespace = "invalid-namespace",
        /// §4.9.3.11: XML that breaks the schema.
        InvalidXml = "invalid-xml",
        /// §4.9.3.12: something was sent before authentication.
        NotAuthorized = "not-authorized",
        /// §4.9.3.13: XML that is not well-formed or not namespace-well-formed.
        NotWellFormed = "not-well-formed",
        /// §4.9.3.14: a local policy is violated.
        PolicyViolation = "policy-violation",
        /// §4.9.3.15: a server needed for this stream cannot be reached.
        RemoteConnectionFailed = "remote-connection-failed",
        /// §4.9.3.16: the stream has to be negotiated anew.
        Reset = "reset",
        /// §4.9.3.17: resources are short.
        ResourceConstraint = "resource-constraint",
        /// §4.9.3.18: XML that RFC 6120 §11.1 forbids.
        RestrictedXml = "restricted-xml",
        /// §4.9.3.19: another host serves the domain.
        SeeOtherHost = "see-other-host",
        /// §4.9.3.20: the server is stopping.
        SystemShutdown = "system-shutdown",
        /// §4.9.3.21: something else; an application condition tells.
        UndefinedCondition = "undefined-condition",
        /// §4.9.3.22: an encoding other than UTF-8, or not UTF-8 although it claims so.
        UnsupportedEncoding = "unsupported-encoding",
        /// §4.9.3.23: a feature that the peer requires is not supported.
        UnsupportedFeature = "unsupported-feature",
        /// §4.9.3.24: a first-level element that is not supported.
        UnsupportedStanzaType = "unsupported-stanza-type",
        /// §4.9.3.25: a version of XMPP that is not supported.
        UnsupportedVersion = "unsupported-version",
    }
}

/// The error with which a stream ends (RFC 6120 §4.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// The condition.
    pub condition: StreamCondition,
    /// What to do or read, in words.
    pub text: Option<XmlText>,
    /// The host to turn to; only `see-other-host` has one (§4.9.3.19).
    pub other_host: Option<XmlText>,
    /// A condition of some application (§4.9.4).
    pub application: Option<Box<Element>>,
}

impl StreamError {
    /// Returns an error that says nothing but its condition.
    #[must_use]
    pub const fn new(condition: StreamCondition) -> Self {
        Self { condition, text: None, other_host: None, application: None }
    }

    /// Returns the error with words for a person.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<XmlText>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Returns the error with an application's condition.
    #[must_use]
    pub fn with_application(mut self, condition: Element) -> Self {
        self.application = Some(Box::new(condition));
        self
    }

    /// Reads `<stream:error>`.
    ///
    /// An error without a condition that we know is an undefined one: the stream is over either way.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        if !element.is("error", ns::STREAMS) {
            return None;
        }
        let mut error = Self::new(StreamCondition::UndefinedCondition);
        for child in element.elements() {
            if child.namespace() != ns::STREAM_ERRORS {
                error.application.get_or_insert_with(|| Box::new(child.clone()));
            } else if child.name() == "text" {
                error.text.get_or_insert_with(|| XmlText::from(child.text()));
            } else if let Some(condition) = StreamCondition::parse(child.name()) {
                error.condition = condition;
                if condition == StreamCondition::SeeOtherHost && !child.text().is_empty() {
                    error.other_host = Some(XmlText::from(child.text()));
                }
            }
        }
        Some(error)
    }

    /// Returns `<stream:error>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut condition = Element::new(ns::STREAM_ERRORS, self.condition.as_str());
        if let (StreamCondition::SeeOtherHost, Some(host)) = (self.condition, &self.other_host) {
            condition.push_text(host.clone());
        }
        let mut element = Element::new(ns::STREAMS, "error").with_child(condition);
        if let Some(text) = &self.text {
            let text = Element::new(ns::STREAM_ERRORS, "text").with_lang("en").with_text(text.clone());
            element.push_child(text);
        }
        if let Some(application) = &self.application {
            element.push_child(application.as_ref().clone());
        }
        element
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(out, "{}: {text}", self.condition),
            None => self.condition.fmt(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_error_survives_a_round_trip_whatever_its_condition() {
        for condition in StreamCondition::ALL {
            let error = StreamError::new(*condition)
                .with_text("because")
                .with_application(Element::new(ns::ERRORS, "stanza-too-big"));

            assert_eq!(StreamError::from_element(&error.to_element()), Some(error));
        }
    }

    #[test]
    fn an_unknown_condition_is_an_undefined_one() {
        let element =
            Element::new(ns::STREAMS, "error").with_child(Element::new(ns::STREAM_ERRORS, "invalid-id"));

        let error = StreamError::from_element(&element).unwrap();

        assert_eq!(error.condition, StreamCondition::UndefinedCondition);
    }

    #[test]
    fn see_other_host_keeps_its_host() {
        let mut error = StreamError::new(StreamCondition::SeeOtherHost);
        error.other_host = Some("[2001:db8::1]:5269".into());

        assert_eq!(StreamError::from_element(&error.to_element()), Some(error));
    }

    #[test]
    fn versions_are_two_numbers() {
        assert_eq!(StreamVersion::parse("1.0"), StreamVersion::ONE);
        assert_eq!(StreamVersion::parse("1.10"), StreamVersion::Numbered { major: 1, minor: 10 });
        for wrong in ["", "1", "1.", ".0", "+1.0", "1.0.0", "one", "1.99999999999"] {
            assert_eq!(StreamVersion::parse(wrong), StreamVersion::Unreadable, "{wrong}");
        }
        assert!(StreamVersion::Numbered { major: 2, minor: 0 }.has_features());
        assert!(!StreamVersion::parse("0.9").has_features());
        assert!(!StreamVersion::Absent.has_features());
    }

    #[test]
    fn a_header_prints_what_it_says_escaped() {
        let mut out = Vec::new();
        StreamHeader::server().with_from("a'.example").with_to("b.example").with_id("x<1").print(&mut out);

        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
             xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
             from='a&apos;.example' to='b.example' id='x&lt;1' version='1.0'>"
        );
    }
}
