//! Why an attempt to talk to a partner failed, in a form that an operator can act on.

use std::fmt;

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Finding the partner's servers.
    Dns,
    /// Reaching one of them.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// Judging the partner's certificate.
    Certificate,
    /// Opening and keeping the XML stream.
    Stream,
    /// SASL.
    Auth,
    /// Server dialback.
    Dialback,
    /// Our own rules.
    Policy,
}

impl Stage {
    /// Returns the word that operators see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Stream => "stream",
            Self::Auth => "auth",
            Self::Dialback => "dialback",
            Self::Policy => "policy",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How far it came.
    pub stage: Stage,
    /// Why, in words: lower case, no full stop.
    pub reason: String,
    /// What the peer itself said, if it said anything.
    pub peer_text: Option<String>,
    /// Whether the partner does not exist for us, rather than not answering: senders are told
    /// `remote-server-not-found` instead of `remote-server-timeout`.
    pub not_found: bool,
    /// What to do, where that is not what helps with most failures of the stage.
    pub special_advice: Option<&'static str>,
}

impl Failure {
    /// Returns a failure at a stage, for a reason.
    pub fn new(stage: Stage, reason: impl Into<String>) -> Self {
        Self { stage, reason: reason.into(), peer_text: None, not_found: false, special_advice: None }
    }

    /// Returns it with the peer's own words, shortened to what fits on an operator's screen.
    #[must_use]
    pub fn with_peer_text(mut self, text: Option<String>) -> Self {
        self.peer_text = text.map(|text| shortened(&text));
        self
    }

    /// Returns it with something else to do than its stage suggests.
    #[must_use]
    pub fn with_advice(mut self, advice: &'static str) -> Self {
        self.special_advice = Some(advice);
        self
    }

    /// Returns it as "there is no such partner".
    #[must_use]
    pub fn not_found(mut self) -> Self {
        self.not_found = true;
        self
    }

    /// Returns what to do about it, for the operator.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        if let Some(advice) = self.special_advice {
            return advice;
        }
        match self.stage {
            Stage::Dns if self.not_found => {
                "check the partner's domain; if it publishes no DNS records, set its fixed host"
            }
            Stage::Dns => "check that the resolver answers for the partner's domain",
            Stage::Tcp => "check the firewall towards the partner's port, and that its server runs",
            Stage::Tls => "check that both ends share a TLS version (1.2 or later) and a cipher suite",
            Stage::Certificate => {
                "ask the partner for a valid certificate with its XMPP domain, pin it, or allow dialback"
            }
            Stage::Stream => "see the peer's own text; the partner's log has its side of it",
            Stage::Auth => {
                "check that the partner trusts our certificate and that it names our domain, or allow dialback"
            }
            Stage::Dialback => {
                "check that the partner finds us: SRV or address records of our domain, and our port open to it"
            }
            Stage::Policy => "change the partner's settings if this is not what you want",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.stage, self.reason)?;
        match &self.peer_text {
            Some(text) => write!(out, " (the peer says: {text})"),
            None => Ok(()),
        }
    }
}

/// A peer's text may be long and hold controls; a line for operators may not.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

const TEXT_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_one_line() {
        let failure = Failure::new(Stage::Auth, "the partner refused our certificate")
            .with_peer_text(Some("unsupported\ncertificate purpose".into()));

        assert_eq!(
            failure.to_string(),
            "auth: the partner refused our certificate (the peer says: unsupported certificate purpose)"
        );
    }
}
