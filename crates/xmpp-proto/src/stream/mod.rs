//! Streams between servers (RFC 6120), one machine for each end.
//!
//! Stanzas cross a stream in one direction, from the [`Initiator`] to the [`Acceptor`], unless both agree
//! on using it both ways (XEP-0288). Nothing is processed before a domain is proved; then every stanza's
//! `from` must be of a domain proved on that very stream.

mod acceptor;
mod flow;
mod initiator;
mod judge;
mod keeper;
mod session;

use std::fmt;
use std::time::Duration;

use net_types::Trust;
use xmpp_types::ack::handled_count_too_high;
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::stream::{StreamCondition, StreamError};
use xmpp_types::xml::{Element, Limits};

pub use acceptor::{Acceptor, Output as AcceptorOutput};
pub use initiator::{Approach, Initiator, Output as InitiatorOutput, Purpose};
pub use keeper::{GivenUp, Keeper, KeeperLimits, Kept};
pub use session::{Parties, Session};

use crate::acks::HandledTooHigh;

/// By which methods a peer may be proved, and therefore whether TLS may, must or must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods {
    /// A certificate, told by SASL EXTERNAL (XEP-0178) or shown where dialback is spoken.
    pub external: bool,
    /// Dialback inside TLS, whatever the certificate is worth.
    pub dialback_over_tls: bool,
    /// Dialback in clear.
    pub dialback_in_clear: bool,
}

impl Methods {
    /// Tells whether there is no way at all.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.external && !self.dialback_over_tls && !self.dialback_in_clear
    }

    /// Tells whether TLS leads anywhere.
    #[must_use]
    pub const fn has_tls(self) -> bool {
        self.external || self.dialback_over_tls
    }

    /// Tells whether nothing but TLS leads anywhere.
    #[must_use]
    pub const fn requires_tls(self) -> bool {
        !self.dialback_in_clear
    }
}

/// What holds for streams with one partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How it may be proved.
    pub methods: Methods,
    /// After how much silence it is gone; it is told so in `idle-seconds` (XEP-0478).
    pub silence_max: Duration,
}

/// What an acceptor must know of the world; asked afresh whenever it matters, so that new settings take
/// effect on streams that are open.
pub trait Rules: fmt::Debug + Send + Sync {
    /// Tells whether we speak for this domain.
    fn serves(&self, domain: &DomainName) -> bool;

    /// Returns what holds for a partner's domain; `None` if we do not speak with it.
    fn policy(&self, remote: &DomainName) -> Option<Policy>;

    /// Returns the roots by which this domain's certificate is judged, if they are its own. At the handshake it
    /// was judged by those for everybody, for nobody knew then whose it would be.
    fn own_roots(&self, remote: &DomainName) -> Option<Trust> {
        let _ = remote;
        None
    }
}

/// What holds for every stream.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// What a stanza may hold.
    pub limits: Limits,
    /// Octets that a peer may send before it has proved a domain.
    pub unproved_bytes_max: usize,
    /// How long a peer may take to prove a domain, whatever it sends meanwhile.
    pub handshake: Duration,
    /// How long a question of dialback may take.
    pub dialback: Duration,
    /// Open questions of dialback on one stream.
    pub dialbacks_max: usize,
    /// How long a peer may take to acknowledge a stanza.
    pub acknowledgement: Duration,
    /// How long a stanza may be under way once its first octet came.
    pub half_stanza: Duration,
    /// Whether stanzas are counted with a peer that can (XEP-0198); pings take its place otherwise.
    pub stream_management: bool,
    /// Whether a stream is used both ways with a peer that can (XEP-0288).
    pub both_ways: bool,
    /// How a stream whose connection breaks may be resumed; not at all if `None`.
    pub resumption: Option<Resumption>,
}

/// What is offered to peers that want to resume (XEP-0198 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// For how long a session is kept without a connection.
    pub max: Duration,
    /// Where peers should come back to rather than where the DNS leads: a host or an address, with or without
    /// a port.
    pub location: Option<String>,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            limits: Limits::AUTHENTICATED,
            unproved_bytes_max: 16 * 1024,
            handshake: Duration::from_secs(30),
            dialback: Duration::from_secs(20),
            dialbacks_max: 16,
            acknowledgement: Duration::from_secs(30),
            half_stanza: Duration::from_secs(60),
            stream_management: true,
            both_ways: true,
            resumption: Some(Resumption { max: Duration::from_secs(300), location: None }),
        }
    }
}

/// How a domain was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// By a certificate that an authority vouches for.
    Certificate,
    /// By a certificate that the domain's signed zone vouches for (RFC 7712 §5.1).
    Dane,
    /// By a certificate that the domain's web server vouches for (RFC 7712 §5.2).
    Posh,
    /// By dialback.
    Dialback,
}

impl fmt::Display for Proof {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Certificate => "certificate",
            Self::Dane => "dane",
            Self::Posh => "posh",
            Self::Dialback => "dialback",
        })
    }
}

/// A stanza that came in: its sender's domain is proved and its recipient's served.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Its number on this stream, from 1; settle it by this.
    pub n: u64,
    /// Who sent it.
    pub from: Jid,
    /// Whom it is for.
    pub to: Jid,
    /// The stanza.
    pub stanza: Element,
}

/// Returns the stream error for an acknowledgement of what was never sent (XEP-0198 §4).
pub(crate) fn handled_too_high(error: HandledTooHigh) -> StreamError {
    StreamError::new(StreamCondition::UndefinedCondition)
        .with_text(error.to_string())
        .with_application(handled_count_too_high(error.h, error.sent))
}

/// What a peer hears that says something out of place.
fn no_meaning() -> StreamError {
    StreamError::new(StreamCondition::UnsupportedStanzaType).with_text("that element has no meaning here")
}

#[cfg(test)]
pub(crate) mod tests;
