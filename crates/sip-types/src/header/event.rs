use std::fmt;

use crate::octets;
use crate::params::Params;
use crate::text::{Text, Token};

/// The Event header (RFC 6665 §8.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event package, with its templates: `presence`, `presence.winfo`. Case counts.
    pub package: Token,
    /// The `id` parameter as written: a notifier echoes it.
    pub id: Option<Token>,
}

impl Event {
    /// Returns the value that `text` is.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let (package, params) = token_and_params(&text.into())?;
        let id = match params.get("id") {
            Some(id) => Some(Token::parse(id)?),
            None => None,
        };
        Some(Self { package, id })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.package)?;
        if let Some(id) = &self.id {
            write!(out, ";id={id}")?;
        }
        Ok(())
    }
}

/// The Subscription-State header (RFC 6665 §8.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionState {
    /// The state.
    pub state: SubscriptionPhase,
    /// Seconds left.
    pub expires: Option<u32>,
    /// Why it was terminated: `deactivated`, `rejected`, `noresource`, …
    pub reason: Option<Token>,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
}

/// The states of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are RFC 6665's")]
pub enum SubscriptionPhase {
    Active,
    Pending,
    Terminated,
    Other(Token),
}

impl SubscriptionState {
    /// Returns the value that `text` is. Parameters that are no numbers where they should be are left out.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let (state, params) = token_and_params(&text.into())?;
        let state = match state.as_str().to_ascii_lowercase().as_str() {
            "active" => SubscriptionPhase::Active,
            "pending" => SubscriptionPhase::Pending,
            "terminated" => SubscriptionPhase::Terminated,
            _ => SubscriptionPhase::Other(state),
        };
        let seconds = |name| Some(octets::digits(params.get(name)?.as_bytes())?.capped(u32::MAX));
        Some(Self {
            state,
            expires: seconds("expires"),
            reason: params.get("reason").and_then(Token::parse),
            retry_after: seconds("retry-after"),
        })
    }
}

impl SubscriptionPhase {
    /// Returns the state as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Terminated => "terminated",
            Self::Other(state) => state.as_str(),
        }
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.state.as_str())?;
        if let Some(expires) = self.expires {
            write!(out, ";expires={expires}")?;
        }
        if let Some(reason) = &self.reason {
            write!(out, ";reason={reason}")?;
        }
        if let Some(retry_after) = self.retry_after {
            write!(out, ";retry-after={retry_after}")?;
        }
        Ok(())
    }
}

fn token_and_params(text: &Text) -> Option<(Token, Params)> {
    let (token, params) = Params::split_header(text)?;
    Some((Token::parse(token)?, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_package_and_perhaps_an_id() {
        let event = Event::parse("presence ;id=14;x=y").unwrap();

        assert_eq!(event.package.as_str(), "presence");
        assert_eq!(event.to_string(), "presence;id=14");
        for text in ["", ";id=1", "a b", "presence;id", "presence;;"] {
            assert!(Event::parse(text).is_none_or(|event| event.id.is_none()), "{text}");
        }
    }

    #[test]
    fn a_subscription_state_reads_and_prints() {
        let state =
            SubscriptionState::parse("Terminated;reason=deactivated;retry-after=60;expires=x").unwrap();

        assert_eq!(state.state, SubscriptionPhase::Terminated);
        assert_eq!(state.to_string(), "terminated;reason=deactivated;retry-after=60");
        assert_eq!(SubscriptionState::parse("active;expires=3600").unwrap().expires, Some(3600));
        assert_eq!(SubscriptionState::parse("active;expires=99999999999").unwrap().expires, Some(u32::MAX));
    }
}
