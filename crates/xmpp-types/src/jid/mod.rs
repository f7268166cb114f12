//! Addresses (RFC 7622), normalised as servers in the field normalise them.
//!
//! - **Localpart**: nodeprep (RFC 6122 appendix A), which case-folds and applies NFKC, as Prosody,
//!   ejabberd and their like do; PRECIS's `UsernameCaseMapped` (RFC 7622 §3.3) agrees on everything that
//!   both accept but a few letters such as `ß`. Letters and digits of later Unicode versions are taken
//!   too. Characters without a width or that turn the direction of text are refused rather than mapped
//!   away.
//! - **Domain**: IDNA (UTS #46, non-transitional), held as lower-case U-labels; the A-label form is kept
//!   beside it. No trailing dot. IP addresses are accepted.
//! - **Resource**: resourceprep (RFC 6122 appendix B), with characters of later Unicode versions taken.
//!
//! Every part has 1 to 1023 octets. Two addresses are equal when their normalised forms are.

mod address;
mod domain;
mod escape;
mod prep;

use std::fmt;

use crate::stanza_error::StanzaCondition;

pub use address::{BareJid, Jid};
pub use domain::DomainName;
pub use escape::{escape_localpart, unescape_localpart};

/// Why a string is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JidError {
    /// There is an `@` with nothing before it, or the localpart vanished when normalised.
    LocalpartEmpty,
    /// The localpart has more than 1023 octets.
    LocalpartTooLong,
    /// The localpart holds a character that it may not hold.
    LocalpartForbidden,
    /// There is no domain.
    DomainEmpty,
    /// The domain has more than 1023 octets, a label more than 63, or its A-label form more than 253.
    DomainTooLong,
    /// The domain is neither a host name nor an IP address.
    DomainForbidden,
    /// There is a `/` with nothing after it, or the resource vanished when normalised.
    ResourceEmpty,
    /// The resource has more than 1023 octets.
    ResourceTooLong,
    /// The resource holds a character that it may not hold.
    ResourceForbidden,
}

impl JidError {
    /// Returns what an entity that used the address in a stanza is told (RFC 6120 §8.3.3.8).
    #[must_use]
    pub const fn condition(self) -> StanzaCondition {
        StanzaCondition::JidMalformed
    }
}

impl fmt::Display for JidError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::LocalpartEmpty => "the part before @ is empty",
            Self::LocalpartTooLong => "the part before @ is longer than 1023 octets",
            Self::LocalpartForbidden => "the part before @ holds a character that is not allowed there",
            Self::DomainEmpty => "the domain is empty",
            Self::DomainTooLong => "the domain is too long",
            Self::DomainForbidden => "the domain is neither a host name nor an IP address",
            Self::ResourceEmpty => "the part after / is empty",
            Self::ResourceTooLong => "the part after / is longer than 1023 octets",
            Self::ResourceForbidden => "the part after / holds a character that is not allowed there",
        })
    }
}

impl std::error::Error for JidError {}

/// The longest any part may be, in octets (RFC 7622 §3.1).
const PART_MAX: usize = 1023;

#[cfg(test)]
mod tests;
