//! Plays: conversations written down, one per file (`scenarios/`), with what each side says and must hear.
//!
//! The format is described in `scenarios/README.md`. A [`Play`] is the file as values; who runs it plays the XMPP
//! server and the SIP server of the file, gives their lines to Gangway and compares what comes back with
//! [`StanzaPattern`] and [`SipPattern`]. [`Bindings`] holds what `$names` have matched.

mod document;
mod pattern;
mod perform;
mod read;
mod sip;
mod stanza;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use xmpp_types::jid::DomainName;

pub use pattern::{Bindings, Mismatch, Pattern};
pub use perform::{Flaw, Heard, SipLines, Stage, perform};
pub(crate) use sip::filled;
pub use sip::{SipAnswer, SipLine, SipPattern, SipStart};
pub use stanza::{StanzaLine, StanzaPattern};

/// One conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Play {
    /// What it shows, as a sentence.
    pub title: String,
    /// The rules that it shows: `RFC 7572 §4`.
    pub specs: Vec<String>,
    /// Its numbers in the list of cases in `scenarios/README.md`.
    pub cases: Vec<u16>,
    /// What the gateway is set to, where it is not the default.
    pub settings: Vec<(String, String)>,
    /// Names that have their texts from the beginning.
    pub names: Vec<(String, String)>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// Returns `x.example` and the domains below it that stand in a play's text: a stage has a server for each.
#[must_use]
pub fn domains_in(text: &str) -> BTreeSet<DomainName> {
    let words = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '.'));
    let below = words.filter(|word| word.ends_with(".x.example"));
    below.chain(["x.example"]).filter_map(|word| DomainName::parse(word).ok()).collect()
}

/// One step of a play.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The line of the file, from 1.
    pub line: usize,
    /// What happens or must happen.
    pub act: Act,
}

/// What happens, or must happen next.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// The XMPP server sends a stanza.
    XmppSays(StanzaLine),
    /// The XMPP server receives a stanza that fits.
    XmppHears(StanzaPattern, Timing),
    /// The SIP server sends a request in a new transaction.
    SipSays(SipLine),
    /// The SIP server sends its last request once more, octet for octet, as after a lost answer.
    SipRepeats,
    /// The SIP server closes its connections.
    SipHangsUp,
    /// The SIP server answers the oldest request that has no final answer yet.
    SipAnswers(SipAnswer),
    /// The SIP server receives a request or a response that fits.
    SipHears(SipPattern, Timing),
    /// Gangway's proxy tells its operator something that fits.
    OperatorHears(Pattern, Timing),
    /// Time passes, and nothing arrives that no later step waits for.
    Wait(Duration),
    /// All the names hold different texts.
    Differ(Vec<String>),
    /// Something breaks or comes back.
    Fault(Fault),
}

/// When something must arrive, counted from the step before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Not before.
    pub after: Duration,
    /// Not later.
    pub within: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { after: Duration::ZERO, within: Duration::from_secs(5) }
    }
}

/// What goes wrong in a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The gateway is killed at once and starts again from its store.
    RestartGateway,
    /// The gateway is asked to end in good order.
    StopGateway,
    /// The gateway, which has ended, starts again from its store.
    StartGateway,
    /// The proxy is killed at once and starts again.
    RestartProxy,
    /// The connection between proxy and gateway breaks; it may be dialled again.
    CutLink,
    /// Neither side of the link reaches the other until `mend link`.
    HoldLink,
    /// The link works again.
    MendLink,
    /// Nothing passes between the gateway and the SIP server, and nobody is told.
    HoldSip,
    /// What was held passes again.
    MendSip,
    /// The XMPP server takes stanzas and acknowledges none.
    HoldAcks,
    /// The XMPP server acknowledges what it has taken, and goes on doing so.
    ReleaseAcks,
    /// The XMPP server is killed; nobody listens where it was.
    StopPartner,
    /// The XMPP server runs again.
    StartPartner,
    /// Nothing passes between the proxy and the XMPP server, and nobody is told.
    HoldPartner,
    /// What was held passes again.
    MendPartner,
    /// The connections between the proxy and the XMPP server break; new ones may be made.
    CutPartner,
    /// The XMPP server accepts connections and closes them at once.
    HangUp,
    /// The XMPP server sends one octet a second, on all its connections together.
    Drip,
    /// The XMPP server does as it should again.
    BehaveWell,
    /// The XMPP server's certificate has just expired.
    ExpireCertificate,
}

/// Reads a time as plays write it: `200 ms`, `5 s`, `2 min`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.trim().split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "min" => Some(Duration::from_secs(number * 60)),
        _ => None,
    }
}

/// Why a file is not a play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPlay {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, in words.
    pub what: String,
}

impl fmt::Display for BadPlay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for BadPlay {}

impl Play {
    /// Reads a play.
    ///
    /// # Errors
    /// Says what is wrong on which line.
    pub fn parse(text: &str) -> Result<Self, BadPlay> {
        read::play(text)
    }

    /// Returns the setting of that name.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}
