//! The link between a proxy and a gateway, both ends.
//!
//! It is an XML stream in the component namespace over a connection whose certificates the roles have
//! judged. XEP-0198 counts stanzas both ways and lets a stream that broke go on where it was; because
//! one slow partner must not hold up the truth about the others, a stanza can also be settled alone:
//!
//! ```text
//!   gateway (Dialer)                                       proxy (Acceptor)
//!   <stream:stream to='proxy' from='gateway'>        ──▶
//!                                                    ◀──   <stream:stream> <stream:features><sm/>
//!   <enable resume='true'/> or <resume previd h>     ──▶
//!                                                    ◀──   <enabled id/> or <resumed previd h>
//!   stanza 1, 2, 3                                   ──▶
//!                                                    ◀──   <settled n='2'/>   2 is settled or durable
//!                                                    ◀──   <a h='3'/>         so are 1 and 3
//! ```
//!
//! In `<resume/>` and `<resumed/>` each side also says what it has `received` beyond `h` and which of it
//! is settled, so that after a resumption nothing is sent twice. A peer that does not know these words
//! is sent everything after its `h`, as XEP-0198 §5 says.
//!
//! Besides, the proxy tells how far each partner's users are believed ([`PartnerTable`]).
//!
//! With a shared secret the dialer is an ordinary component of another server (XEP-0114): the handshake
//! replaces certificates, and a ping through the server replaces acknowledgement.

mod acceptor;
mod dialer;
mod partners;
mod session;

use std::time::Duration;

use xmpp_types::xml::Limits;

pub use acceptor::{Acceptor, Gateway, Output as AcceptorOutput};
pub use dialer::{Dialer, Output};
pub use partners::{NAMED_MAX, PartnerKind, PartnerTable, Reach};

/// Names one stanza that we sent, for the whole life of the machine that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId(pub u64);

/// Names one stanza that we received; means nothing to any other machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedId {
    /// Which session brought it.
    session: u64,
    /// Its place there.
    n: u64,
}

/// What both ends may know and may wait for.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// Our own name, in `from`: gateways that live at the same time have different ones.
    pub name: String,
    /// The other end's name, in `to`; towards another server, the component's domain.
    pub peer: String,
    /// The secret shared with another server; makes the dialer an ordinary component (XEP-0114).
    pub secret: Option<String>,
    /// What a stanza may hold.
    pub limits: Limits,
    /// How long the acceptor keeps the session of a gateway that is gone.
    pub resume_patience: Duration,
    /// How long one step of opening, or one answer to `<r/>`, may take.
    pub answer_patience: Duration,
    /// After how much silence the other end is asked whether it lives.
    pub keep_alive: Duration,
    /// The first pause before dialling again, doubled up to `retry_max`, with jitter.
    pub retry_min: Duration,
    /// The longest pause before dialling again.
    pub retry_max: Duration,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            name: "gateway".into(),
            peer: "proxy".into(),
            secret: None,
            limits: Limits::AUTHENTICATED,
            resume_patience: Duration::from_secs(60),
            answer_patience: Duration::from_secs(10),
            keep_alive: Duration::from_secs(10),
            retry_min: Duration::from_millis(250),
            retry_max: Duration::from_secs(10),
        }
    }
}

/// The registered-by-habit port of the link, that of Microsoft's proxy.
pub const PORT: u16 = 23456;

#[cfg(test)]
mod tests;
