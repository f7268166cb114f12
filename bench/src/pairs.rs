//! Who watches whom: pairs of users by a number, the same on both sides, so that a message names its subscription.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Returns who watches and who is watched in the subscription of this number: every user watches ten.
pub const fn pair(number: u32) -> (u32, u32) {
    let watcher = number / CONTACTS;
    (watcher, (watcher + 1 + number % CONTACTS * APART) % USERS)
}

/// Returns the number of the subscription of these two.
pub const fn number_of(watcher: u32, watched: u32) -> Option<u32> {
    let apart = (watched + USERS - (watcher + 1) % USERS) % USERS;
    if apart.is_multiple_of(APART) && apart / APART < CONTACTS {
        Some(watcher * CONTACTS + apart / APART)
    } else {
        None
    }
}

/// Returns the user of an address or URI such as `sip:user7@host`.
pub fn user_of(address: &str) -> Option<u32> {
    let local = address.split('@').next()?;
    local.rsplit(':').next()?.strip_prefix("user")?.parse().ok()
}

/// Returns what a user says of himself in this message of a run: never the same twice, which would be no news.
pub fn status(number: u32) -> String {
    static SAID: AtomicU32 = AtomicU32::new(0);
    format!("{number:010} in a meeting, and back in {} minutes", SAID.fetch_add(1, Relaxed))
}

/// How many users one watches.
const CONTACTS: u32 = 10;
/// How far apart these are.
const APART: u32 = 37;
/// How many users there are: enough for a million subscriptions.
const USERS: u32 = 100_000;

/// What comes after a start, as both sides see it.
#[derive(Debug)]
pub struct Aftermath {
    begun: Instant,
    /// When the first request, and the first stanza, of a kept subscription came; 0 for never.
    first: [AtomicU64; 2],
    /// How many came in each second.
    seconds: [Box<[AtomicU32]>; 2],
    /// How many subscriptions go on: those of XMPP users were refreshed, those of SIP users were notified.
    pub resumed: [AtomicUsize; 2],
}

/// What is counted after a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Requests to the SIP side; the watches of XMPP users.
    Sip = 0,
    /// Stanzas to the XMPP side; the watches of SIP users.
    Xmpp = 1,
}

impl Aftermath {
    /// Begins to count.
    pub fn new() -> Self {
        let seconds = || std::iter::repeat_with(AtomicU32::default).take(SECONDS).collect();
        Self {
            begun: Instant::now(),
            first: Default::default(),
            seconds: [seconds(), seconds()],
            resumed: Default::default(),
        }
    }

    /// Notes that something came to this side.
    pub fn came(&self, side: Side) {
        let passed = self.begun.elapsed();
        let nanos = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX).max(1);
        let _ = self.first[side as usize].compare_exchange(0, nanos, Relaxed, Relaxed);
        if let Some(second) =
            self.seconds[side as usize].get(usize::try_from(passed.as_secs()).unwrap_or(SECONDS))
        {
            second.fetch_add(1, Relaxed);
        }
    }

    /// Returns how long after the beginning the first came.
    pub fn first(&self, side: Side) -> Option<Duration> {
        let nanos = self.first[side as usize].load(Relaxed);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    /// Returns the most that came in one second.
    pub fn most(&self, side: Side) -> u32 {
        self.seconds[side as usize].iter().map(|second| second.load(Relaxed)).max().unwrap_or(0)
    }

    /// Returns how long it has been counting.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// How long is counted at most.
const SECONDS: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_known_by_its_users() {
        for number in (0..1_000_000).step_by(997).chain(0..30) {
            let (watcher, watched) = pair(number);
            assert_eq!(number_of(watcher, watched), Some(number));
            assert_ne!(watcher, watched);
        }

        assert_eq!(number_of(0, 2), None);
        assert_eq!(user_of("sip:user12@tls.example;gruu"), Some(12));
        assert_eq!(user_of("user7@partner.example"), Some(7));
        assert_eq!(user_of("sip:bob@tls.example"), None);
    }
}
