use std::borrow::Cow;
use std::net::IpAddr;

use crate::method::Method;
use crate::params::Params;
use crate::text::{Text, Token};
use crate::uri::{Host, Uri};

/// The transport a Via names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the transports'")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Sctp,
    Ws,
    Wss,
    /// Any other token.
    Other(Token),
}

/// One value of a Via header (RFC 3261 §20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The transport.
    pub transport: Transport,
    /// The host of `sent-by`.
    pub host: Host,
    /// The port of `sent-by`, if written.
    pub port: Option<u16>,
    /// All parameters, known and unknown, in order.
    pub params: Params,
}

impl Via {
    /// Returns a Via of our own: `SIP/2.0/TLS host:port;branch=…;rport`.
    #[must_use]
    pub fn new(_transport: Transport, _host: Host, _port: Option<u16>, _branch: &Token) -> Self {
        unimplemented!()
    }

    /// Returns the branch as written.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// Returns whether the branch is one of RFC 3261: it begins with `z9hG4bK` and says more.
    #[must_use]
    pub fn has_unique_branch(&self) -> bool {
        unimplemented!()
    }

    /// Returns the address in `received`; tolerates brackets around IPv6 (RFC 5118 §4.5).
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        unimplemented!()
    }

    /// Returns the port in `rport` (RFC 3581); `None` also if it has no value.
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        unimplemented!()
    }

    /// Returns whether `rport` is there, with or without a value.
    #[must_use]
    pub fn asks_rport(&self) -> bool {
        self.params.has("rport")
    }
}

/// A name and an address: From, To, Contact, Route, Record-Route, P-Asserted-Identity, … (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The URI.
    pub uri: Uri,
    /// The header's parameters (`tag`, `expires`, `q`, `epid`, …), not the URI's.
    pub params: Params,
}

impl NameAddr {
    /// Returns `<uri>`.
    #[must_use]
    pub fn new(_uri: impl Into<Uri>) -> Self {
        unimplemented!()
    }

    /// Returns the value that `text` is.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(_text: impl Into<Text>) -> Result<Self, &'static str> {
        unimplemented!()
    }

    /// Returns the value with this display name, quoted and escaped; control characters become spaces.
    #[must_use]
    pub fn with_display_name(self, _name: &str) -> Self {
        unimplemented!()
    }

    /// Returns the value with this `tag`, in place of one that is there.
    #[must_use]
    pub fn with_tag(self, _tag: &Token) -> Self {
        unimplemented!()
    }

    /// Returns the value with a further parameter, quoted if it must be.
    #[must_use]
    pub fn with_param(self, _name: &Token, _value: Option<&str>) -> Self {
        unimplemented!()
    }

    /// Returns the display name, unquoted; `None` if there is none.
    #[must_use]
    pub fn display_name(&self) -> Option<Cow<'_, str>> {
        unimplemented!()
    }

    /// Returns the `tag`.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }
}

/// The number and method of a request (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// The request's method.
    pub method: Method,
}

/// A checked Call-ID: `word [ "@" word ]` (RFC 3261 §20.8).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(Text);

impl CallId {
    /// Returns the Call-ID if `text` is one.
    #[must_use]
    pub fn parse(_text: impl Into<Text>) -> Option<Self> {
        unimplemented!()
    }

    /// Returns it as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A media type with its parameters (RFC 3261 §20.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// `text` of `text/plain`; compare without regard to case.
    pub kind: Text,
    /// `plain` of `text/plain`; compare without regard to case.
    pub subtype: Text,
    /// `charset`, `boundary`, …
    pub params: Params,
}

impl ContentType {
    /// Returns the media type that `text` is, such as `text/plain;charset=UTF-8`.
    #[must_use]
    pub fn parse(_text: impl Into<Text>) -> Option<Self> {
        unimplemented!()
    }

    /// Returns whether type and subtype are these, in any case: `is("text/plain")`.
    #[must_use]
    pub fn is(&self, _type_and_subtype: &str) -> bool {
        unimplemented!()
    }

    /// Returns the value of `charset`, unquoted.
    #[must_use]
    pub fn charset(&self) -> Option<Cow<'_, str>> {
        self.params.unquoted("charset")
    }
}

/// The Event header (RFC 6665 §8.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event package: `presence`.
    pub package: Token,
    /// The `id` parameter.
    pub id: Option<Text>,
}

/// The Subscription-State header (RFC 6665 §8.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionState {
    /// The state.
    pub state: SubscriptionPhase,
    /// Seconds left.
    pub expires: Option<u32>,
    /// Why it was terminated: `deactivated`, `rejected`, `noresource`, …
    pub reason: Option<Text>,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
}

/// The states of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are RFC 6665's")]
pub enum SubscriptionPhase {
    Active,
    Pending,
    Terminated,
    Other(Token),
}

/// One value of a Warning header (RFC 3261 §20.43).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Three digits.
    pub code: u16,
    /// Who says so: a host or a pseudonym.
    pub agent: Text,
    /// What it says, unquoted.
    pub text: String,
}

/// An `ms-diagnostics` header (MS-OCER §2.2.1): `1008;reason="…";source="fqdn"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MsDiagnostics {
    /// The error's number.
    pub id: u32,
    /// `reason`, `source` and others.
    pub params: Params,
}
