//! Whole addresses (RFC 7622 §3.1).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use super::{DomainName, JidError, prep};

/// An address: a domain, perhaps with a localpart before and a resource behind it.
///
/// Copies share their text. The order is that of domain, then localpart, then resource, so that the
/// addresses of one domain, and of one account, are neighbours.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    domain: DomainName,
    /// Where the domain begins in `text`.
    start: usize,
}

/// An address without a resource: an account, or a domain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

impl Jid {
    /// Reads and normalises `local@domain/resource`.
    ///
    /// # Errors
    ///
    /// A [`JidError`] that names the part and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        // RFC 7622 §3.1: the resource begins at the first slash, the domain after the first `@` before it.
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        match bare.split_once('@') {
            Some((local, domain)) => Self::from_parts(Some(local), domain, resource),
            None => Self::from_parts(None, bare, resource),
        }
    }

    /// Returns the address of the given parts, normalised.
    ///
    /// # Errors
    ///
    /// A [`JidError`] that names the part and what is wrong with it.
    pub fn from_parts(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        let local = local.map(prep::localpart).transpose()?;
        let domain = DomainName::parse(domain)?;
        let resource = resource.map(prep::resource).transpose()?;
        Ok(Self::assembled(local.as_deref(), domain, resource.as_deref()))
    }

    /// Returns the address `local@domain`, with the localpart normalised.
    ///
    /// # Errors
    ///
    /// A [`JidError`] about the localpart.
    pub fn of(local: &str, domain: &DomainName) -> Result<Self, JidError> {
        Ok(Self::assembled(Some(&prep::localpart(local)?), domain.clone(), None))
    }

    fn assembled(local: Option<&str>, domain: DomainName, resource: Option<&str>) -> Self {
        let start = local.map_or(0, |local| local.len() + 1);
        let text = match (local, resource) {
            (None, None) => domain.shared(),
            _ => {
                let length = start + domain.as_str().len() + resource.map_or(0, |r| r.len() + 1);
                let mut text = String::with_capacity(length);
                if let Some(local) = local {
                    text.push_str(local);
                    text.push('@');
                }
                text.push_str(domain.as_str());
                if let Some(resource) = resource {
                    text.push('/');
                    text.push_str(resource);
                }
                Arc::from(text)
            }
        };
        Self { text, domain, start }
    }

    /// Returns the whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the part before `@`, still escaped (XEP-0106).
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.start.checked_sub(1).map(|end| &self.text[..end])
    }

    /// Returns the domain.
    #[must_use]
    pub const fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// Returns the part after `/`.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.text.get(self.bare_length() + 1..)
    }

    /// Returns the address without its resource, as text.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        &self.text[..self.bare_length()]
    }

    /// Returns the address without its resource.
    #[must_use]
    pub fn to_bare(&self) -> BareJid {
        if self.bare_length() == self.text.len() {
            return BareJid(self.clone());
        }
        BareJid(Self { text: Arc::from(self.bare_str()), domain: self.domain.clone(), start: self.start })
    }

    /// Returns whether the address has no resource.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.bare_length() == self.text.len()
    }

    /// Returns the address with another resource, normalised.
    ///
    /// # Errors
    ///
    /// A [`JidError`] about the resource.
    pub fn with_resource(&self, resource: &str) -> Result<Self, JidError> {
        let resource = prep::resource(resource)?;
        Ok(Self::assembled(self.local(), self.domain.clone(), Some(&resource)))
    }

    fn bare_length(&self) -> usize {
        self.start + self.domain.as_str().len()
    }
}

impl BareJid {
    /// Reads and normalises `local@domain`.
    ///
    /// # Errors
    ///
    /// A [`JidError`]; [`JidError::ResourceForbidden`] if there is a resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let jid = Jid::parse(text)?;
        if jid.is_bare() { Ok(Self(jid)) } else { Err(JidError::ResourceForbidden) }
    }

    /// Returns the address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the part before `@`, still escaped (XEP-0106).
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.0.local()
    }

    /// Returns the domain.
    #[must_use]
    pub const fn domain(&self) -> &DomainName {
        self.0.domain()
    }

    /// Returns the address with a resource, normalised.
    ///
    /// # Errors
    ///
    /// A [`JidError`] about the resource.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        self.0.with_resource(resource)
    }

    /// Returns the address as one that might have a resource.
    #[must_use]
    pub const fn as_jid(&self) -> &Jid {
        &self.0
    }
}

impl From<BareJid> for Jid {
    fn from(bare: BareJid) -> Self {
        bare.0
    }
}

impl From<DomainName> for Jid {
    fn from(domain: DomainName) -> Self {
        Self::assembled(None, domain, None)
    }
}

impl From<DomainName> for BareJid {
    fn from(domain: DomainName) -> Self {
        Self(Jid::from(domain))
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.text == other.text
    }
}

impl Eq for Jid {}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.domain
            .cmp(&other.domain)
            .then_with(|| self.local().cmp(&other.local()))
            .then_with(|| self.resource().cmp(&other.resource()))
    }
}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, out)
    }
}

impl fmt::Display for BareJid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Debug for BareJid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, out)
    }
}

impl FromStr for Jid {
    type Err = JidError;
    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }
}

impl FromStr for BareJid {
    type Err = JidError;
    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }
}
