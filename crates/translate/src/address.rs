//! Addresses (RFC 7247 §6), with what that document leaves open decided.
//!
//! | XMPP | SIP |
//! |---|---|
//! | localpart, XEP-0106 undone | user, percent-encoded |
//! | domain, U-labels | host, A-labels |
//! | resource | `gr` parameter, percent-encoded |
//!
//! Both ways are injective, and one undoes the other: JID → URI → JID is the same JID; URI → JID → URI is the same
//! address up to the case of letters and needless escapes. What would break that is refused: a JID whose
//! localpart has escapes that XEP-0106 never writes (`a\5cb`, `\20a`), a URI whose user holds a character that
//! hides or turns its neighbours or that XMPP folds into another, a URI with a password. Ports, URI headers and
//! parameters other than `gr` are not part of a SIP identity and do not cross (§6.3).

use std::borrow::Cow;
use std::fmt;

use sip_types::uri::{Scheme, unescape};
use sip_types::{Host, SipUri, Uri};
use xmpp_types::jid::{Jid, JidError, escape_localpart, unescape_localpart};

/// How XMPP addresses are shown to one SIP domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// The resource is the `gr` parameter (RFC 7247 §6.5).
    #[default]
    Standard,
    /// The bare address only: Microsoft's servers take a From with a `gr` for another user.
    BareAddress,
}

impl Profile {
    /// Tells whether the resource crosses.
    #[must_use]
    pub const fn shows_resource(self) -> bool {
        matches!(self, Self::Standard)
    }
}

/// Why an address has no counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unmappable {
    /// `sips:`, `tel:` or another scheme that XMPP has nothing like (RFC 7247 §6.1, §8).
    Scheme,
    /// A part is longer than the 1023 octets that XMPP allows (RFC 7622 §3.1).
    Length,
    /// A character that no XMPP address may hold, or octets that are no UTF-8.
    Character,
    /// The host is no name that XMPP or SIP allows.
    Host,
    /// The user part has a password; the address would say less than the URI.
    Password,
    /// The localpart holds escapes that XEP-0106 §4 never writes, so the way back would lead elsewhere.
    Escapes,
}

impl Unmappable {
    /// Returns the status that answers a request to such an address.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Scheme => 416,
            Self::Length => 414,
            Self::Character | Self::Host | Self::Password | Self::Escapes => 404,
        }
    }
}

impl fmt::Display for Unmappable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Scheme => "its scheme has no counterpart",
            Self::Length => "a part of it is too long",
            Self::Character => "it holds a character that cannot cross",
            Self::Host => "its host is no name on the other side",
            Self::Password => "it holds a password",
            Self::Escapes => "it holds escapes that mean nothing",
        })
    }
}

impl std::error::Error for Unmappable {}

/// Returns the SIP address of a JID (RFC 7247 §6.5).
///
/// # Errors
/// Says why there is none.
pub fn jid_to_sip(jid: &Jid, profile: Profile) -> Result<SipUri, Unmappable> {
    let host = Host::parse(jid.domain().to_ascii()).ok_or(Unmappable::Host)?;
    let mut uri = SipUri::new(Scheme::Sip, &host);
    if let Some(local) = jid.local() {
        let user = unescape_localpart(local);
        if escape_localpart(&user) != local {
            return Err(Unmappable::Escapes);
        }
        uri = uri.with_user(&user);
    }
    match jid.resource() {
        Some(resource) if profile.shows_resource() => Ok(uri.with_param("gr", Some(resource))),
        _ => Ok(uri),
    }
}

/// Returns the JID of a SIP, im: or pres: address (RFC 7247 §6.4).
///
/// # Errors
/// Says why there is none.
pub fn sip_to_jid(uri: &Uri) -> Result<Jid, Unmappable> {
    match uri {
        Uri::Sip(uri) => match uri.scheme() {
            Scheme::Sip => sip_uri_to_jid(uri),
            Scheme::Sips => Err(Unmappable::Scheme),
        },
        Uri::Other(uri) if is_im_or_pres(uri.scheme()) => im_to_jid(uri.rest()),
        Uri::Other(_) => Err(Unmappable::Scheme),
    }
}

/// As [`sip_to_jid`], but takes `sips:` for `sip:`: in a From it only says how the sender may be reached, and
/// RFC 7247 §8 forbids it in To and Request-URI alone.
pub(crate) fn sender_to_jid(uri: &Uri) -> Result<Jid, Unmappable> {
    match uri {
        Uri::Sip(uri) => sip_uri_to_jid(uri),
        Uri::Other(_) => sip_to_jid(uri),
    }
}

/// Tells whether the URI says more than the identity that crosses.
pub(crate) fn says_more(uri: &Uri) -> bool {
    uri.as_sip().is_some_and(|uri| {
        uri.port().is_some()
            || uri.headers().is_some()
            || uri.params().iter().any(|param| !param.name.eq_ignore_ascii_case("gr"))
    })
}

/// Returns the JID as it stands in an `xmpp:` IRI (RFC 5122 §2.2): what the syntax reserves is percent-encoded.
pub(crate) fn jid_as_iri(jid: &Jid) -> String {
    let mut iri = String::with_capacity(jid.as_str().len());
    for c in jid.as_str().chars() {
        match c {
            ' ' | '"' | '#' | '%' | '<' | '>' | '?' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                iri.push_str(&format!("%{:02X}", u32::from(c)));
            }
            c => iri.push(c),
        }
    }
    iri
}

/// Reads what follows `xmpp:`; the query and an authority are not part of the address (RFC 5122 §2.2).
pub(crate) fn iri_to_jid(iri: &str) -> Option<Jid> {
    let path = iri.split(['?', '#']).next().unwrap_or_default();
    Jid::parse(&unescape(path)?).ok()
}

fn sip_uri_to_jid(uri: &SipUri) -> Result<Jid, Unmappable> {
    if uri.password().is_some() {
        return Err(Unmappable::Password);
    }
    let user = match uri.user() {
        Some(_) => Some(uri.decoded_user().ok_or(Unmappable::Character)?),
        None => None,
    };
    let resource = match uri.params().get("gr") {
        Some(_) => Some(uri.decoded_param("gr").ok_or(Unmappable::Character)?),
        None => None,
    };
    assemble(user.as_deref(), uri.host(), resource.as_deref())
}

/// Reads `user@host`, with a query that does not matter (RFC 3859, RFC 3860 §3).
fn im_to_jid(rest: &str) -> Result<Jid, Unmappable> {
    let address = rest.split('?').next().unwrap_or_default();
    let (user, host) = match address.split_once('@') {
        Some((user, host)) => (Some(unescape(user).ok_or(Unmappable::Character)?), host),
        None => (None, address),
    };
    assemble(user.as_deref(), &Host::parse(host).ok_or(Unmappable::Host)?, None)
}

fn is_im_or_pres(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("im") || scheme.eq_ignore_ascii_case("pres")
}

/// Makes a JID, unless XMPP's normalisation would make it another's: it may fold case, and no more.
fn assemble(user: Option<&str>, host: &Host, resource: Option<&str>) -> Result<Jid, Unmappable> {
    let local = user.map(escape_localpart);
    let host: Cow<'_, str> = match host {
        Host::Name(name) => Cow::Borrowed(name),
        Host::V4(_) | Host::V6(_) => Cow::Owned(host.to_string()),
    };
    let jid = Jid::from_parts(local.as_deref(), &host, resource).map_err(refused)?;
    let same_user = match (jid.local(), &local) {
        (Some(found), Some(meant)) => found == meant || differs_in_case_only(found, meant),
        (found, meant) => found.is_none() && meant.is_none(),
    };
    if same_user && jid.resource() == resource { Ok(jid) } else { Err(Unmappable::Character) }
}

/// Tells whether `folded` is `written` with its case folded, as far as RFC 3454 table B.2 is about case: `ß` is
/// `ss` and the last sigma of a word is a sigma.
fn differs_in_case_only(folded: &str, written: &str) -> bool {
    let lower = written.chars().flat_map(char::to_lowercase);
    let mut lower = lower.flat_map(|c| match c {
        'ß' => ['s', 's'].into_iter().take(2),
        'ς' => ['σ', '\0'].into_iter().take(1),
        c => [c, '\0'].into_iter().take(1),
    });
    folded.chars().all(|c| lower.next() == Some(c)) && lower.next().is_none()
}

fn refused(error: JidError) -> Unmappable {
    match error {
        JidError::LocalpartTooLong | JidError::ResourceTooLong | JidError::DomainTooLong => {
            Unmappable::Length
        }
        JidError::LocalpartEmpty
        | JidError::LocalpartForbidden
        | JidError::ResourceEmpty
        | JidError::ResourceForbidden => Unmappable::Character,
        JidError::DomainEmpty | JidError::DomainForbidden => Unmappable::Host,
    }
}
