//! When an XMPP user's server is asked for his presence (RFC 6121 §4.3), and asked again.
//!
//! ```text
//!            ask           4, 16 s           46 s: nobody is there        106, 226, 466 s
//!   quiet ────────▶ asked ─────────▶ asked ────────────────────────▶ asked ─────────────▶ quiet
//!     ▲   any word    │                │                               │
//!     └───────────────┴────────────────┴───────────────────────────────┘
//! ```
//!
//! COMPAT(ejabberd, 23.01): cut off from us it drops its answers for minutes until it connects anew; may stay.
//! Nor must a server answer for a user who is not there.

use std::time::Duration;

use clock_types::{Ids, Moment};

/// How long a server has to answer, the first time and the next ones; each up to a quarter longer.
const WAITS: [Duration; 6] = [
    Duration::from_secs(4),
    Duration::from_secs(12),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(240),
];
/// After so many questions whoever could answer would have.
const SILENT: u8 = 3;
/// How long nobody asks again merely because a watcher does.
const ENOUGH: Duration = Duration::from_secs(30);

/// The questions of one watch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probing {
    asked: Option<Moment>,
    next: Option<Moment>,
    /// Questions since the last word.
    tries: u8,
}

/// Why it is time to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The answer may be lost.
    Again,
    /// The same, and it is time to believe that nobody is there.
    Silent,
}

impl Probing {
    /// Returns whether anything was asked.
    pub const fn has_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Returns whether a new wish is reason enough to ask.
    pub fn may_ask(&self, now: Moment) -> bool {
        self.asked.is_none_or(|asked| asked + ENOUGH <= now)
    }

    /// Takes note of a question.
    pub fn asked(&mut self, now: Moment, ids: &mut Ids) {
        self.asked = Some(now);
        self.next = WAITS.get(usize::from(self.tries)).map(|wait| now + jittered(*wait, ids));
        self.tries = self.tries.saturating_add(1);
    }

    /// Any word of the user's will do, or that nobody can be asked at present.
    pub fn heard(&mut self) {
        (self.next, self.tries) = (None, 0);
    }

    /// Returns what is due, once.
    pub fn take_due(&mut self, now: Moment) -> Option<Due> {
        self.next.filter(|next| *next <= now)?;
        self.next = None;
        Some(if self.tries == SILENT { Due::Silent } else { Due::Again })
    }

    /// Returns when something is due.
    pub const fn poll_timeout(&self) -> Option<Moment> {
        self.next
    }
}

fn jittered(wait: Duration, ids: &mut Ids) -> Duration {
    let quarter = u64::try_from(wait.as_millis() / 4).unwrap_or(0);
    wait + Duration::from_millis(ids.below(quarter))
}
