//! What a SIP user's programs were found not to do.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use clock_types::{Moment, Now};

/// What is done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fallback {
    /// Sessions of texts: each text is a request of its own (RFC 7573 has no session then).
    PageMode,
    /// Typing.
    NoTyping,
}

impl fmt::Display for Fallback {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::PageMode => "takes no sessions: each text is sent by itself",
            Self::NoTyping => "does not want to hear of typing",
        })
    }
}

/// What was found, of the users who were last found so.
#[derive(Debug, Default)]
pub struct Learned {
    found: BTreeMap<(Box<str>, Fallback), Moment>,
    order: VecDeque<(Moment, Box<str>, Fallback)>,
}

impl Learned {
    /// Remembers for a while that this SIP user does not do that; `false` if it was known.
    pub fn handle_found(&mut self, user: &str, fallback: Fallback, now: Now) -> bool {
        self.forget_old(now);
        let until = now.moment + REMEMBERED;
        if self.found.insert((user.into(), fallback), until).is_some() {
            return false;
        }
        self.order.push_back((until, user.into(), fallback));
        if self.order.len() > USERS_MAX {
            self.forget_oldest();
        }
        true
    }

    /// Returns whether this SIP user is known not to do that.
    pub fn knows(&self, user: &str, fallback: Fallback, now: Now) -> bool {
        // Most find nothing in it, and need no key made.
        !self.found.is_empty()
            && self.found.get(&(user.into(), fallback)).is_some_and(|until| *until > now.moment)
    }

    /// Returns all that is known, by user.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Fallback)> {
        self.found.keys().map(|(user, fallback)| (&**user, *fallback))
    }

    fn forget_old(&mut self, now: Now) {
        while self.order.front().is_some_and(|(until, ..)| *until <= now.moment) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, user, fallback)) = self.order.pop_front() {
            self.found.remove(&(user, fallback));
        }
    }
}

/// Programs are replaced by better ones: after this, they are asked again.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
const USERS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use clock_types::Date;

    use super::*;

    #[test]
    fn what_was_found_is_forgotten_after_a_day() {
        let mut learned = Learned::default();
        let now = Now { moment: Moment::default(), date: Date::from_unix_millis(0) };

        assert!(learned.handle_found("bob@s.example", Fallback::PageMode, now));
        assert!(!learned.handle_found("bob@s.example", Fallback::PageMode, now));

        assert!(learned.knows("bob@s.example", Fallback::PageMode, now));
        assert!(!learned.knows("bob@s.example", Fallback::NoTyping, now));
        assert!(!learned.knows("carol@s.example", Fallback::PageMode, now));
        let tomorrow = now.plus(REMEMBERED);
        assert!(!learned.knows("bob@s.example", Fallback::PageMode, tomorrow));
        assert!(learned.handle_found("carol@s.example", Fallback::PageMode, tomorrow));
        assert_eq!(learned.iter().count(), 1);
    }

    #[test]
    fn so_many_users_are_remembered_and_no_more() {
        let mut learned = Learned::default();
        let now = Now { moment: Moment::default(), date: Date::from_unix_millis(0) };

        for number in 0..=USERS_MAX {
            learned.handle_found(&format!("{number}@s.example"), Fallback::NoTyping, now);
        }

        assert_eq!(learned.iter().count(), USERS_MAX);
        assert!(!learned.knows("0@s.example", Fallback::NoTyping, now));
    }
}
