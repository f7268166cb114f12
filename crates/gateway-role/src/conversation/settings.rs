//! How conversations are held: what an operator chooses.

use std::time::Duration;

/// How the servers of a SIP domain hold conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// Each text is a MESSAGE of its own (RFC 3428).
    #[default]
    PageMode,
    /// Texts are exchanged inside an INVITE session with `m=message`, as Skype for Business and Lync do it.
    Microsoft,
    /// As [`Dialect::Microsoft`]: what Cisco's servers speak between companies.
    Cisco,
    /// Texts are exchanged by MSRP under an INVITE session (RFC 7573).
    Msrp,
}

impl Dialect {
    /// Returns whether texts go in sessions.
    #[must_use]
    pub const fn has_sessions(self) -> bool {
        match self {
            Self::PageMode => false,
            Self::Microsoft | Self::Cisco | Self::Msrp => true,
        }
    }
}

/// How long and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationSettings {
    /// A session in which nothing was said for so long is ended. Default 12 min: before Skype for Business
    /// does it.
    pub idle_after: Duration,
    /// How long a SIP user may take to accept a session. Default 60 s; Skype for Business delays its answer
    /// by up to 10 s on purpose.
    pub answer_within: Duration,
    /// How many texts may wait for a session to be accepted. Default 50.
    pub waiting_max: usize,
    /// How many octets of text may wait for a session to be accepted. Default 64 KiB.
    pub waiting_octets_max: usize,
    /// Whether chat states cross (XEP-0085). Default true.
    pub typing: bool,
    /// Whether an XMPP user is told in words of a conference that he cannot join. Default true.
    pub tell_of_conferences: bool,
    /// The status that refuses Microsoft's offer of compression. Default 405.
    pub negotiate_status: u16,
    /// How many conversations may be open. Default 50,000.
    pub open_max: usize,
    /// How many conversations may be open with users of one SIP domain. Default 20,000.
    pub open_per_domain_max: usize,
}

impl Default for ConversationSettings {
    fn default() -> Self {
        Self {
            idle_after: Duration::from_secs(12 * 60),
            answer_within: Duration::from_secs(60),
            waiting_max: 50,
            waiting_octets_max: 64 * 1024,
            typing: true,
            tell_of_conferences: true,
            negotiate_status: 405,
            open_max: 50_000,
            open_per_domain_max: 20_000,
        }
    }
}
