//! How the SIP side answers for users that do not exist, so that one whom the policy refuses looks the same.
//!
//! A partner must not find out by writing to him that a refused user exists. What he would see of an unknown one is a
//! condition, a text and a time, and all three are imitated: the answer to a request for an unknown user is put into
//! fixed words ([`error`]); its time is that which the domain's servers took lately; and while they cannot be reached,
//! the refused user cannot either.

use std::collections::BTreeMap;
use std::time::Duration;

use clock_types::{Moment, Now};
use translate::error::status_to_condition;
use xmpp_types::jid::DomainName;
use xmpp_types::stanza_error::StanzaError;

use crate::delivery::Number;

/// Refused messages that wait for the time at which an unknown user's would be answered.
#[derive(Debug, Default)]
pub struct Unknown {
    manners: BTreeMap<DomainName, Manner>,
    waiting: BTreeMap<(Moment, Number), StanzaError>,
}

/// How the servers of one domain answered lately.
#[derive(Clone, Debug)]
struct Manner {
    /// How long the latest answers for unknown users took, in a ring.
    took: [Duration; REMEMBERED],
    next: usize,
    /// What requests came to, while nothing is answered.
    failing: Option<(StanzaError, Duration)>,
}

/// Until a domain has answered for an unknown user.
const USUAL: Duration = Duration::from_millis(30);
const REMEMBERED: usize = 8;
/// When somebody who asks to watch is answered while a domain answers nothing: its servers would be asked again then.
const LATE: Duration = Duration::from_secs(60);

impl Default for Manner {
    fn default() -> Self {
        Self { took: [USUAL; REMEMBERED], next: 0, failing: None }
    }
}

impl Manner {
    fn next_took(&mut self) -> Duration {
        self.next = (self.next + 1) % REMEMBERED;
        self.took[self.next]
    }
}

/// Tells whether a status says that there is no such user (RFC 3261 §21.4.5, §21.6.3).
pub const fn says_so(status: u16) -> bool {
    matches!(status, 404 | 604)
}

/// Returns the error for a user that does not exist, in words that are always the same.
pub fn error() -> StanzaError {
    let (kind, condition) = status_to_condition(404, false);
    StanzaError::new(condition).with_type(kind).with_text("404 Not Found".to_owned())
}

impl Unknown {
    /// Takes how a domain's servers answered a request, and after how long.
    pub fn handle_answered(&mut self, domain: &DomainName, status: u16, took: Duration) {
        // The usual case: nobody has to be imitated yet, and all is well.
        if !says_so(status) && !self.manners.contains_key(domain) {
            return;
        }
        let manner = self.manners.entry(domain.clone()).or_default();
        manner.failing = None;
        if says_so(status) {
            if manner.took == [USUAL; REMEMBERED] {
                manner.took = [took; REMEMBERED];
            }
            manner.took[manner.next] = took;
            manner.next = (manner.next + 1) % REMEMBERED;
        }
    }

    /// Takes that a domain's servers did not answer a request, what its sender was told, and after how long.
    pub fn handle_failed(&mut self, domain: &DomainName, error: &StanzaError, took: Duration) {
        self.manners.entry(domain.clone()).or_default().failing = Some((error.clone(), took));
    }

    /// Returns after how long a request for a user whom nobody knows would be answered: late while nothing is.
    pub fn answers_after(&mut self, domain: &DomainName) -> Duration {
        match self.manners.get_mut(domain) {
            None => USUAL,
            Some(Manner { failing: Some(_), .. }) => LATE,
            Some(manner) => manner.next_took(),
        }
    }

    /// Takes a message to a refused user of a domain; it comes back from [`Self::take_due`].
    pub fn handle_refused(&mut self, number: Number, domain: &DomainName, now: Now) {
        let (error, after) = match self.manners.get_mut(domain) {
            None => (error(), USUAL),
            Some(Manner { failing: Some((failure, took)), .. }) => (failure.clone(), *took),
            Some(manner) => (error(), manner.next_took()),
        };
        self.waiting.insert((now.moment + after, number), error);
    }

    /// Returns a message whose sender is to be told now, and what.
    pub fn take_due(&mut self, now: Now) -> Option<(Number, StanzaError)> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 <= now.moment)?;
        let ((_, number), error) = first.remove_entry();
        Some((number, error))
    }

    /// Returns when to call [`Self::take_due`].
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use clock_types::Date;
    use xmpp_types::stanza_error::StanzaCondition;

    use super::*;

    const fn at(milliseconds: u64) -> Now {
        let moment = Moment::from_origin(Duration::from_millis(milliseconds));
        Now { moment, date: Date::from_unix_millis(0) }
    }

    fn domain() -> DomainName {
        DomainName::parse("s.example").unwrap()
    }

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_refused_user_is_answered_for_as_late_as_an_unknown_one() {
        let mut unknown = Unknown::default();
        unknown.handle_answered(&domain(), 404, ms(70));

        unknown.handle_refused(Number(1), &domain(), at(1000));

        assert_eq!(unknown.poll_timeout(), Some(at(1070).moment));
        assert_eq!(unknown.take_due(at(1069)), None);
        assert_eq!(unknown.take_due(at(1070)), Some((Number(1), error())));
        assert_eq!(unknown.poll_timeout(), None);
    }

    #[test]
    fn while_servers_do_not_answer_neither_does_he() {
        let mut unknown = Unknown::default();
        let failure = StanzaError::new(StanzaCondition::RemoteServerTimeout);
        unknown.handle_failed(&domain(), &failure, ms(32_000));

        unknown.handle_refused(Number(1), &domain(), at(0));
        unknown.handle_answered(&domain(), 200, ms(5));
        unknown.handle_refused(Number(2), &domain(), at(0));

        assert_eq!(unknown.take_due(at(30)), Some((Number(2), error())));
        assert_eq!(unknown.take_due(at(31_999)), None);
        assert_eq!(unknown.take_due(at(32_000)), Some((Number(1), failure)));
    }

    #[test]
    fn a_domain_that_never_said_so_has_the_usual_time() {
        let mut unknown = Unknown::default();

        unknown.handle_refused(Number(1), &domain(), at(0));

        assert_eq!(unknown.poll_timeout(), Some(at(30).moment));
    }
}
