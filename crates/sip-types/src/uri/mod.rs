//! Addresses: SIP and SIPS URIs in full (RFC 3261 §19.1, RFC 5954), others as they stand.

mod compare;
mod escape;
mod host;

use std::borrow::Cow;
use std::fmt;

pub use escape::{escape_param, escape_user, unescape};
pub use host::{Host, HostName};

use crate::octets::{self, HEADERS, PASSWORD, USER};
use crate::params::Params;
use crate::text::Text;

/// Any URI that a header or a request line may hold. Prints as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// Another scheme (`tel:`, `im:`, `pres:`, `http:` …), its rest not looked into.
    Other(OtherUri),
}

/// A URI of a scheme that is kept as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherUri {
    text: Text,
    colon: usize,
}

/// `sip` or `sips`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the schemes'")]
pub enum Scheme {
    Sip,
    Sips,
}

/// A `sip:` or `sips:` URI. It keeps its octets: what was parsed prints unchanged.
///
/// Equality (`==`) is by octets; [`SipUri::matches`] is the comparison of RFC 3261 §19.1.4.
#[derive(Clone, Debug)]
pub struct SipUri {
    text: Text,
    scheme: Scheme,
    user: Option<Span>,
    password: Option<Span>,
    host: Host,
    port: Option<u16>,
    params: Params,
    headers: Option<Span>,
}

/// What is wrong with a URI, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUri(
    /// What is wrong.
    pub &'static str,
);

impl Uri {
    /// Returns the URI that is the whole of `text`.
    ///
    /// # Errors
    /// Says what is not as RFC 3261 §25.1 has it.
    pub fn parse(text: impl Into<Text>) -> Result<Self, BadUri> {
        let text = text.into();
        Self::parse_text(text)
    }

    pub(crate) fn parse_text(text: Text) -> Result<Self, BadUri> {
        if scheme_of(text.as_bytes()).is_some() {
            SipUri::parse_text(text).map(Self::Sip)
        } else {
            OtherUri::parse(text).map(Self::Other)
        }
    }

    /// Returns the URI if it is `sip:` or `sips:`.
    #[must_use]
    pub const fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Other(_) => None,
        }
    }

    /// Returns the scheme; of one other than SIP as written.
    #[must_use]
    pub fn scheme(&self) -> &str {
        match self {
            Self::Sip(uri) => uri.scheme.as_str(),
            Self::Other(uri) => uri.scheme(),
        }
    }

    /// Returns the URI as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sip(uri) => &uri.text,
            Self::Other(uri) => &uri.text,
        }
    }

    /// Returns the URI's octets.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sip(uri) => uri.text.as_bytes(),
            Self::Other(uri) => uri.text.as_bytes(),
        }
    }

    /// Returns whether both name the same resource: RFC 3261 §19.1.4, or equal octets for other schemes.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(one), Self::Sip(other)) => one.matches(other),
            (Self::Other(one), Self::Other(other)) => one == other,
            (Self::Sip(_) | Self::Other(_), _) => false,
        }
    }
}

impl OtherUri {
    /// Returns the URI that is the whole of `text`.
    ///
    /// # Errors
    /// Says what is not as RFC 3261 §25.1 `absoluteURI` has it.
    pub fn parse(text: impl Into<Text>) -> Result<Self, BadUri> {
        let text = text.into();
        let octets = text.as_bytes();
        let colon = memchr::memchr(b':', octets).ok_or(BadUri("there is no scheme"))?;
        let letter_first = octets[0].is_ascii_alphabetic();
        let in_scheme = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.');
        if !letter_first || !octets[..colon].iter().all(in_scheme) {
            return Err(BadUri("the scheme has a character that cannot be there"));
        }
        let rest = &octets[colon + 1..];
        if rest.is_empty() {
            return Err(BadUri("nothing follows the scheme"));
        }
        if !rest.iter().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>' | b'"')) {
            return Err(BadUri("there is a character that must be escaped"));
        }
        Ok(Self { text, colon })
    }

    /// Returns the scheme as written, without the colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.text[..self.colon]
    }

    /// Returns what follows the scheme and its colon.
    #[must_use]
    pub fn rest(&self) -> &str {
        &self.text[self.colon + 1..]
    }
}

impl Scheme {
    /// Returns the scheme in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
        }
    }
}

impl SipUri {
    /// Returns the URI that is the whole of `text`.
    ///
    /// # Errors
    /// Says what is not as RFC 3261 §25.1 has it.
    pub fn parse(text: impl Into<Text>) -> Result<Self, BadUri> {
        Self::parse_text(text.into())
    }

    /// Returns `scheme:host`.
    #[must_use]
    pub fn new(scheme: Scheme, host: &Host) -> Self {
        Self::assembled(format!("{}:{host}", scheme.as_str()))
    }

    /// Returns the URI with this user part; everything that may not stand there unescaped is escaped.
    /// An empty user part is none.
    #[must_use]
    pub fn with_user(&self, decoded: &str) -> Self {
        let user = escape_user(decoded);
        self.with_userinfo((!user.is_empty()).then_some(&user))
    }

    /// Returns the URI with this port, or without one.
    #[must_use]
    pub fn with_port(&self, port: Option<u16>) -> Self {
        let mut text = self.through_host();
        if let Some(port) = port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        text.push_str(self.params.as_str());
        self.push_headers(&mut text);
        Self::assembled(text)
    }

    /// Returns the URI with a further parameter, in place of one of that name; what may not stand in
    /// name and value unescaped is escaped. An empty name changes nothing.
    #[must_use]
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Self {
        if name.is_empty() {
            return self.clone();
        }
        let mut text = self.through_port();
        text.push_str(self.params.without(&escape_param(name)).as_str());
        text.push(';');
        text.push_str(&escape_param(name));
        if let Some(value) = value {
            text.push('=');
            text.push_str(&escape_param(value));
        }
        self.push_headers(&mut text);
        Self::assembled(text)
    }

    /// Returns the URI without the parameters of that name.
    #[must_use]
    pub fn without_param(&self, name: &str) -> Self {
        if !self.params.has(name) {
            return self.clone();
        }
        let mut text = self.through_port();
        text.push_str(self.params.without(name).as_str());
        self.push_headers(&mut text);
        Self::assembled(text)
    }

    /// Returns the address alone: scheme, user, host, port; no password, parameters and headers.
    #[must_use]
    pub fn address(&self) -> Self {
        if self.password.is_none() && self.params.is_empty() && self.headers.is_none() {
            return self.clone();
        }
        let mut text = format!("{}:", self.scheme.as_str());
        if let Some(user) = self.user() {
            text.push_str(user);
            text.push('@');
        }
        self.push_host_and_port(&mut text);
        Self::assembled(text)
    }

    /// Returns the scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the user part as written (escapes and `;parameters` included, password excluded).
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.map(|span| span.of(&self.text))
    }

    /// Returns the user part with its escapes undone once; `None` if there is none or it is not UTF-8.
    #[must_use]
    pub fn decoded_user(&self) -> Option<Cow<'_, str>> {
        self.user().and_then(unescape)
    }

    /// Returns the password as written.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.map(|span| span.of(&self.text))
    }

    /// Returns the host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port if it is written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the URI's parameters.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// Returns the value of a parameter with its escapes undone once; `None` if absent, without value, or not UTF-8.
    #[must_use]
    pub fn decoded_param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params.get(name).and_then(unescape)
    }

    /// Returns the `?headers` part as written, without the question mark. Nothing makes headers of it.
    #[must_use]
    pub fn headers(&self) -> Option<&str> {
        self.headers.map(|span| span.of(&self.text))
    }

    /// Returns the URI as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn parse_text(text: Text) -> Result<Self, BadUri> {
        let octets = text.as_bytes();
        let (scheme, after_scheme) = scheme_of(octets).ok_or(BadUri("the scheme is neither sip nor sips"))?;
        let (user, password, host_at) = userinfo(octets, after_scheme)?;
        let (host, host_end) = Host::scan(&text, host_at).ok_or(BadUri("the host is none"))?;
        if !matches!(octets.get(host_end), None | Some(b':' | b';' | b'?')) {
            return Err(BadUri("the host has a character that cannot be there"));
        }
        let (port, params_at) = port(octets, host_end)?;
        let params_end =
            octets::find(&octets[params_at..], b'?').map_or(octets.len(), |found| params_at + found);
        let params = if params_at == params_end {
            Params::default()
        } else {
            Params::parse_uri(text.slice(params_at..params_end)).map_err(BadUri)?
        };
        let headers = (params_end < octets.len()).then(|| Span::new(params_end + 1, octets.len()));
        if let Some(headers) = headers
            && !octets::all_or_escaped(headers.of(&text).as_bytes(), HEADERS)
        {
            return Err(BadUri("the URI's headers have a character that must be escaped"));
        }
        Ok(Self { scheme, user, password, host, port, params, headers, text })
    }

    fn assembled(text: String) -> Self {
        Self::parse(text).expect("it is put together of checked and escaped parts")
    }

    fn with_userinfo(&self, user: Option<&str>) -> Self {
        let mut text = format!("{}:", self.scheme.as_str());
        if let Some(user) = user {
            text.push_str(user);
            text.push('@');
        }
        self.push_host_and_port(&mut text);
        text.push_str(self.params.as_str());
        self.push_headers(&mut text);
        Self::assembled(text)
    }

    fn through_host(&self) -> String {
        let mut text = format!("{}:", self.scheme.as_str());
        if let Some(user) = self.user() {
            text.push_str(user);
            if let Some(password) = self.password() {
                text.push(':');
                text.push_str(password);
            }
            text.push('@');
        }
        text.push_str(&self.host.to_string());
        text
    }

    fn through_port(&self) -> String {
        let mut text = self.through_host();
        if let Some(port) = self.port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        text
    }

    fn push_host_and_port(&self, text: &mut String) {
        text.push_str(&self.host.to_string());
        if let Some(port) = self.port {
            text.push(':');
            text.push_str(&port.to_string());
        }
    }

    fn push_headers(&self, text: &mut String) {
        if let Some(headers) = self.headers() {
            text.push('?');
            text.push_str(headers);
        }
    }
}

impl PartialEq for SipUri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SipUri {}

impl std::hash::Hash for SipUri {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// A part of a URI's text.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    fn of(self, text: &Text) -> &str {
        text.as_str().get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Returns the scheme and where it ends, if it is one of SIP's.
fn scheme_of(octets: &[u8]) -> Option<(Scheme, usize)> {
    match octets.get(..4)? {
        four if four.eq_ignore_ascii_case(b"sip:") => Some((Scheme::Sip, 4)),
        four if four.eq_ignore_ascii_case(b"sips") && octets.get(4) == Some(&b':') => Some((Scheme::Sips, 5)),
        _ => None,
    }
}

/// Returns user, password and where the host begins. The `@` is the only one: all others are escaped.
fn userinfo(octets: &[u8], start: usize) -> Result<(Option<Span>, Option<Span>, usize), BadUri> {
    let run = octets::run(octets, start, USER);
    if run > start && octets.get(run) == Some(&b'@') {
        return Ok((Some(Span::new(start, run)), None, run + 1));
    }
    let Some(at) = octets::find(&octets[start..], b'@').map(|found| start + found) else {
        return Ok((None, None, start));
    };
    let colon = octets::find(&octets[start..at], b':').map(|found| start + found);
    let user_end = colon.unwrap_or(at);
    if start == user_end {
        return Err(BadUri("the user part is empty"));
    }
    if !octets::all_or_escaped(&octets[start..user_end], USER) {
        return Err(BadUri("the user part has a character that must be escaped"));
    }
    let password = colon.map(|colon| Span::new(colon + 1, at));
    if colon.is_some_and(|colon| !octets::all_or_escaped(&octets[colon + 1..at], PASSWORD)) {
        return Err(BadUri("the password has a character that must be escaped"));
    }
    Ok((Some(Span::new(start, user_end)), password, at + 1))
}

/// Returns the port that may begin at `start`, and where the parameters begin.
fn port(octets: &[u8], start: usize) -> Result<(Option<u16>, usize), BadUri> {
    if octets.get(start) != Some(&b':') {
        return Ok((None, start));
    }
    let end = octets[start..]
        .iter()
        .position(|octet| matches!(octet, b';' | b'?'))
        .map_or(octets.len(), |found| start + found);
    let port = octets::digits(&octets[start + 1..end])
        .and_then(|number| number.up_to(u32::from(u16::MAX)))
        .and_then(|number| u16::try_from(number).ok())
        .ok_or(BadUri("the port is no number up to 65535"))?;
    Ok((Some(port), end))
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Self {
        Self::Sip(uri)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for BadUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for BadUri {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_uri_are_told_apart() {
        let uri = sip("sips:alice;day=tue:se%3Acret@[2001:db8::10]:5070;lr;transport=tcp?subject=a&x=b");

        assert_eq!(uri.scheme(), Scheme::Sips);
        assert_eq!(uri.user(), Some("alice;day=tue"));
        assert_eq!(uri.password(), Some("se%3Acret"));
        assert_eq!(uri.host().to_string(), "[2001:db8::10]");
        assert_eq!(uri.port(), Some(5070));
        assert!(uri.params().has("lr"));
        assert_eq!(uri.params().get("Transport"), Some("tcp"));
        assert_eq!(uri.headers(), Some("subject=a&x=b"));
    }

    #[test]
    fn an_escaped_at_sign_does_not_end_the_user() {
        let uri = sip("sip:sips%3Auser%40example.com@example.net");

        assert_eq!(uri.decoded_user().unwrap(), "sips:user@example.com");
        assert_eq!(uri.host().name(), Some("example.net"));
        assert_eq!(sip("sip:bob%00@x.example").decoded_user().unwrap(), "bob\u{0}");
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "sip:",
            "sip:@x.example",
            "sip:a b@x.example",
            "sip:a@b@c",
            "sip:2001:db8::10",
            "sip:a@x.example:70000",
            "sip:a@x.example:",
            "sip:a@x.example;",
            "sip:a@x.example;;lr",
            "sip:a%4@x.example",
            "sip:ü@x.example",
            "sip:a@x.example;p=a=b",
            "sip:a@x.example?a=<b>",
            "tel:",
            ":a",
            "1a:b",
            "noscheme",
            "http://a b",
        ] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_schemes_are_kept() {
        let uri = Uri::parse("soap.beep://192.0.2.103:3002").unwrap();

        assert_eq!(uri.scheme(), "soap.beep");
        assert_eq!(uri.to_string(), "soap.beep://192.0.2.103:3002");
        assert!(
            matches!(Uri::parse("tel:+19005551234").unwrap(), Uri::Other(uri) if uri.rest() == "+19005551234")
        );
    }

    #[test]
    fn a_uri_is_built_of_escaped_parts() {
        let uri = SipUri::new(Scheme::Sip, &Host::parse("x.example").unwrap())
            .with_user("rock#1@a")
            .with_param("gr", Some("Büro PC"))
            .with_port(Some(5061));

        assert_eq!(uri.as_str(), "sip:rock%231%40a@x.example:5061;gr=B%C3%BCro%20PC");
        assert_eq!(uri.decoded_user().unwrap(), "rock#1@a");
        assert_eq!(uri.decoded_param("gr").unwrap(), "Büro PC");
        assert_eq!(uri.address().as_str(), "sip:rock%231%40a@x.example:5061");
        assert_eq!(uri.without_param("GR").with_port(None).as_str(), "sip:rock%231%40a@x.example");
    }

    fn sip(text: &str) -> SipUri {
        SipUri::parse(text).unwrap()
    }
}
