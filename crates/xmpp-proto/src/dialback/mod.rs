//! Server dialback (XEP-0220): proving a domain by asking back, as three machines.
//!
//! ```text
//!  Initiating (our outgoing stream)         Receiving (their incoming stream)      Authoritative
//!    ask ── db:result key ────────────────▶ handle_key ─ Ask ─▶ Questions (our     (any incoming
//!                                                               outgoing stream)    stream)
//!                                                                 └ db:verify ────▶ answer
//!    handle_answer ◀─── db:result valid ─── handle_verdict ◀───── handle_answer ◀── db:verify valid
//! ```
//!
//! Each machine lives inside one stream: an answer counts only for a question asked on that very
//! stream (§3.1). Several pairs of domains share a stream; an error about one leaves the others alone.

mod authoritative;
mod initiating;
mod key;
mod questions;
mod receiving;
mod waiting;

use std::fmt;

use xmpp_types::jid::DomainName;

pub use authoritative::answer;
pub use initiating::{Initiating, TooManyPairs};
pub use key::Secret;
pub use questions::{Question, Questions};
pub use receiving::{Heard, Receiving};

/// One of our domains and one of theirs; what a stream proves, it proves for a pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The domain that we serve.
    pub local: DomainName,
    /// The domain that the peer serves.
    pub remote: DomainName,
}

impl fmt::Display for Pair {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} and {}", self.local.as_str(), self.remote.as_str())
    }
}

/// How a question of dialback ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key is the domain's own.
    Valid,
    /// The key is forged, or made with another secret.
    Invalid,
    /// Nobody could tell, and why (§2.4.2).
    Error(Trouble),
}

/// Why a question of dialback found no answer, as an error that leaves the stream open (§2.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The domain asked for is not served (`item-not-found`).
    NotServed,
    /// Our rules forbid dialback with this domain (`policy-violation`).
    Forbidden,
    /// The sender's own server cannot be found (`remote-server-not-found`).
    NotFound,
    /// The sender's own server cannot be reached (`remote-server-timeout`).
    Unreachable,
    /// The sender's own server could not be asked over a stream that we trust (`remote-connection-failed`
    /// of old; `not-authorized`).
    NotAuthorized,
    /// Too many questions are open (`resource-constraint`).
    Busy,
    /// What a peer told us, by its condition's name.
    Told(String),
}

impl Trouble {
    /// Returns the defined condition that stands for it in `<error/>`.
    #[must_use]
    pub fn condition(&self) -> &str {
        match self {
            Self::NotServed => "item-not-found",
            Self::Forbidden => "policy-violation",
            Self::NotFound => "remote-server-not-found",
            Self::Unreachable => "remote-server-timeout",
            Self::NotAuthorized => "not-authorized",
            Self::Busy => "resource-constraint",
            Self::Told(condition) => condition,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn pair(local: &str, remote: &str) -> Pair {
        Pair { local: domain(local), remote: domain(remote) }
    }

    #[test]
    fn keys_are_those_of_the_specification() {
        let capulet = Secret::from_passphrase("s3cr3tf0rd14lb4ck");
        let montague = Secret::from_passphrase("d14lb4ck43v3r");

        assert_eq!(
            capulet.key(&pair("capulet.example", "montague.example"), "D60000229F"),
            "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3"
        );
        assert_eq!(
            montague.key(&pair("montague.example", "capulet.example"), "417GAF25"),
            "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d"
        );
    }

    #[test]
    fn a_key_is_good_for_its_stream_and_its_direction_only() {
        let secret = Secret::from_passphrase("s");
        let (us, them) = (domain("us.example"), domain("them.example"));
        let key = secret.key(&pair("us.example", "them.example"), "id-1");

        assert!(secret.made(&key, &us, &them, "id-1"));
        assert!(!secret.made(&key, &us, &them, "id-2"));
        assert!(!secret.made(&key, &them, &us, "id-1"));
        assert!(!Secret::from_passphrase("t").made(&key, &us, &them, "id-1"));
        assert!(!secret.made("", &us, &them, "id-1"));
        assert!(!secret.made(&"g".repeat(64), &us, &them, "id-1"));
        assert!(!secret.made(&"é".repeat(32), &us, &them, "id-1"));
    }
}
