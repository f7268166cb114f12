//! Domains (RFC 7622 §3.2).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use unicode_normalization::char::is_combining_mark;

use super::JidError;

/// A domain, normalised: lower-case U-labels without a trailing dot, or an IP address.
///
/// Copies share their text.
#[derive(Clone)]
pub struct DomainName {
    text: Arc<str>,
    /// The A-label form, where it differs.
    ascii: Option<Arc<str>>,
}

impl DomainName {
    /// Reads a domain in U-labels or A-labels.
    ///
    /// # Errors
    ///
    /// A [`JidError`] about the domain.
    pub fn parse(domain: &str) -> Result<Self, JidError> {
        let (text, ascii) = normal_form(domain)?;
        Ok(Self { text: Arc::from(&*text), ascii: ascii.map(Arc::from) })
    }

    /// Returns the domain in lower-case U-labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Returns the domain in A-labels, as DNS, certificates and SIP write it.
    #[must_use]
    pub fn to_ascii(&self) -> &str {
        self.ascii.as_deref().unwrap_or(&self.text)
    }

    /// Returns the IP address that the domain is, if it is one.
    #[must_use]
    pub fn to_ip(&self) -> Option<IpAddr> {
        match self.text.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => self.text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }

    /// Returns whether this is a domain below `parent`, at any depth.
    #[must_use]
    pub fn is_below(&self, parent: &Self) -> bool {
        self.text.strip_suffix(parent.as_str()).is_some_and(|labels| labels.ends_with('.'))
    }
}

/// The canonical text of a domain and, where it differs, its A-label form.
pub(super) fn normal_form(domain: &str) -> Result<(Cow<'_, str>, Option<String>), JidError> {
    if domain.starts_with('[') {
        return ipv6(domain).map(|text| (text, None));
    }
    if domain.len() > super::PART_MAX {
        return Err(JidError::DomainTooLong);
    }
    // RFC 7622 §3.2: a trailing dot is dropped before anything else is looked at.
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    match plainness(domain.as_bytes()) {
        Plainness::LowerCase => {
            labels(domain)?;
            Ok((Cow::Borrowed(domain), None))
        }
        Plainness::UpperCase => {
            labels(domain)?;
            Ok((Cow::Owned(domain.to_ascii_lowercase()), None))
        }
        Plainness::Other => international(domain),
    }
}

enum Plainness {
    /// Lower-case letters, digits, hyphens and dots, and no A-label.
    LowerCase,
    /// As before, but for some upper-case letters.
    UpperCase,
    /// Something that only IDNA can judge.
    Other,
}

fn plainness(domain: &[u8]) -> Plainness {
    let mut upper = false;
    for (at, octet) in domain.iter().enumerate() {
        match octet {
            b'a'..=b'z' | b'0'..=b'9' | b'.' => {}
            b'A'..=b'Z' => upper = true,
            // Only an A-label has hyphens in its third and fourth place (RFC 5891 §4.2.3.1).
            b'-' if at > 0 && domain[at - 1] == b'-' => return Plainness::Other,
            b'-' => {}
            _ => return Plainness::Other,
        }
    }
    if upper { Plainness::UpperCase } else { Plainness::LowerCase }
}

/// Checks the lengths and hyphens of labels (RFC 1123 §2.1).
fn labels(domain: &str) -> Result<(), JidError> {
    if domain.is_empty() {
        return Err(JidError::DomainEmpty);
    }
    if domain.len() > 253 {
        return Err(JidError::DomainTooLong);
    }
    for label in domain.split('.') {
        if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
            return Err(JidError::DomainForbidden);
        }
        if label.len() > 63 {
            return Err(JidError::DomainTooLong);
        }
    }
    Ok(())
}

fn international(domain: &str) -> Result<(Cow<'_, str>, Option<String>), JidError> {
    let forbidden = |_| JidError::DomainForbidden;
    let mut ascii = idna::domain_to_ascii_strict(domain).map_err(forbidden)?;
    // A dot of another script may have stood at the end (RFC 5895 §2).
    if ascii.ends_with('.') {
        ascii.pop();
    }
    labels(&ascii)?;
    let (text, validity) = idna::domain_to_unicode(&ascii);
    validity.map_err(forbidden)?;
    if !text.chars().all(may_stand_in_a_label) {
        return Err(JidError::DomainForbidden);
    }
    if idna::domain_to_ascii_strict(&text).ok().as_deref() != Some(ascii.as_str()) {
        return Err(JidError::DomainForbidden);
    }
    if text == ascii { Ok((Cow::Owned(text), None)) } else { Ok((Cow::Owned(text), Some(ascii))) }
}

/// Letters, digits and marks (RFC 5892 §2), and what only a context allows, which UTS #46 has checked.
///
/// UTS #46 would also let symbols pass, some of which look like the `/` and `@` of an address.
fn may_stand_in_a_label(c: char) -> bool {
    c.is_alphanumeric()
        || is_combining_mark(c)
        || matches!(c, '-' | '.' | '\u{B7}' | '\u{375}' | '\u{5F3}' | '\u{5F4}' | '\u{30FB}')
        || matches!(c, '\u{200C}' | '\u{200D}')
}

fn ipv6(domain: &str) -> Result<Cow<'_, str>, JidError> {
    let inner = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: Ipv6Addr = inner.and_then(|inner| inner.parse().ok()).ok_or(JidError::DomainForbidden)?;
    Ok(Cow::Owned(format!("[{address}]")))
}

impl PartialEq for DomainName {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.text == other.text
    }
}

impl Eq for DomainName {}

impl PartialOrd for DomainName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DomainName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for DomainName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, out)
    }
}

impl std::str::FromStr for DomainName {
    type Err = JidError;
    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }
}
