//! What the roles saw lately, for `gangway trace`: a ring of their notices, and of messages as they cross while somebody
//! follows.

mod seen;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use admin::TraceEvent;

pub use seen::Seen;

/// The ring, shared by the roles' threads and those who ask.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ring: Mutex<Ring>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Kept>,
    octets: usize,
    last: u64,
    /// Whose bodies are kept, and until when.
    bodies: Option<(Subject, Instant)>,
    waiting: usize,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    at: i64,
    octets: usize,
    seen: Seen,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Question {
    /// The user, the domain or the id.
    pub subject: Subject,
    /// Only what came after this one.
    pub after: u64,
    /// Whether bodies are shown.
    pub bodies: bool,
}

/// What is found.
#[derive(Debug)]
pub struct Found {
    /// The events, oldest first.
    pub events: Vec<TraceEvent>,
    /// Where to go on.
    pub last: u64,
    /// Whether some were forgotten before they could be asked for.
    pub has_gap: bool,
}

/// A user's address, a domain, or the id of a message in either protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// Reads what an operator writes.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let scheme = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("sip:"));
        Self(scheme.map_or(text, |_| &text[4..]).to_owned())
    }

    fn is_named_by(&self, seen: &Seen) -> bool {
        let names = seen.names();
        let is_address = |address: &String| {
            let bare = address.split_once('/').map_or(address.as_str(), |(bare, _)| bare);
            let domain = bare.rsplit_once('@').map_or(bare, |(_, domain)| domain);
            bare.eq_ignore_ascii_case(&self.0) || domain.eq_ignore_ascii_case(&self.0)
        };
        names.ids.contains(&self.0) || names.addresses.iter().any(is_address)
    }
}

impl Timeline {
    /// Keeps what a role told.
    pub fn push(&self, seen: impl Into<Seen>) {
        let at = net::clock::date().unix_millis();
        let mut ring = self.lock();
        ring.forget_bodies(Instant::now());
        let mut seen = seen.into();
        let keeps_body =
            seen.has_body() && ring.bodies.as_ref().is_some_and(|(subject, _)| subject.is_named_by(&seen));
        if !keeps_body {
            seen.drop_body();
        }
        let octets = seen.octets();
        ring.last += 1;
        ring.octets += octets;
        let number = ring.last;
        ring.kept.push_back(Kept { number, at, octets, seen });
        while ring.kept.len() > COUNT_MAX || ring.octets > OCTETS_MAX {
            let Some(gone) = ring.kept.pop_front() else { break };
            ring.octets -= gone.octets;
        }
        if ring.waiting > 0 {
            self.0.news.notify_all();
        }
    }

    /// Keeps bodies of what concerns `subject`, for a while.
    pub fn show_bodies(&self, subject: &Subject, lease: Duration) {
        self.lock().bodies = Some((subject.clone(), Instant::now() + lease));
    }

    /// Returns what is kept.
    pub fn find(&self, question: &Question) -> Found {
        let mut ring = self.lock();
        ring.forget_bodies(Instant::now());
        ring.find(question)
    }

    /// Waits until there is something new, or for a while.
    pub fn wait(&self, after: u64, patience: Duration) {
        let mut ring = self.lock();
        ring.waiting += 1;
        let waited = self.0.news.wait_timeout_while(ring, patience, |ring| ring.last <= after);
        let (mut ring, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ring.waiting -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn forget_bodies(&mut self, now: Instant) {
        if self.bodies.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.bodies = None;
            self.kept.iter_mut().for_each(|kept| kept.seen.drop_body());
        }
    }

    fn find(&self, question: &Question) -> Found {
        let subject = &question.subject;
        let mut ids: BTreeSet<String> = BTreeSet::new();
        let mut chosen: Vec<bool> = self.kept.iter().map(|kept| subject.is_named_by(&kept.seen)).collect();
        // A message has a name in each protocol; whoever knows both joins them.
        for (kept, _) in self.kept.iter().zip(&chosen).filter(|(_, chosen)| **chosen) {
            ids.extend(kept.seen.names().ids.into_iter().filter(|id| !id.is_empty()));
        }
        for (kept, chosen) in self.kept.iter().zip(&mut chosen) {
            *chosen = *chosen || kept.seen.names().ids.iter().any(|id| ids.contains(id));
        }
        let events =
            self.kept.iter().zip(chosen).filter(|(kept, chosen)| *chosen && kept.number > question.after);
        let first = self.kept.front().map_or(self.last + 1, |kept| kept.number);
        Found {
            events: events.map(|(kept, _)| kept.seen.event(kept.number, kept.at, question.bodies)).collect(),
            last: self.last,
            has_gap: question.after > 0 && question.after + 1 < first,
        }
    }
}

/// How many events are kept.
const COUNT_MAX: usize = 4096;
/// How much of them is kept.
const OCTETS_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gateway_role::{Direction, Notice, Private, Trace};

    use super::*;

    fn arrived(from: &str, stanza: &str, call: &str) -> Notice {
        Notice::Arrived(Arc::new(Trace {
            direction: Direction::ToXmpp,
            from: Private(from.to_owned()),
            to: Private("ann@x.example".to_owned()),
            stanza: stanza.to_owned(),
            call: call.to_owned(),
        }))
    }

    fn found(timeline: &Timeline, subject: &str) -> Vec<u64> {
        let question = Question { subject: Subject::parse(subject), after: 0, bodies: false };
        timeline.find(&question).events.iter().map(|event| event.number).collect()
    }

    #[test]
    fn a_message_is_found_by_its_users_their_domains_and_its_names_in_both_protocols() {
        let timeline = Timeline::default();
        timeline.push(arrived("bob@s.example", "m1", "c1@10.0.0.9"));
        timeline.push(arrived("eve@t.example", "m2", "c2"));

        for subject in ["bob@s.example", "sip:Bob@S.example", "s.example", "m1", "c1@10.0.0.9"] {
            assert_eq!(found(&timeline, subject), [1], "{subject}");
        }
        assert_eq!(found(&timeline, "x.example"), [1, 2]);
        assert!(found(&timeline, "example").is_empty());
    }

    #[test]
    fn the_ring_is_bounded_in_number_and_in_octets() {
        let timeline = Timeline::default();
        for _ in 0..COUNT_MAX + 10 {
            timeline.push(arrived("bob@s.example", "m", "c"));
        }
        assert_eq!(found(&timeline, "bob@s.example").len(), COUNT_MAX);

        let long = "c".repeat(100_000);
        for _ in 0..100 {
            timeline.push(arrived("bob@s.example", "m", &long));
        }
        assert!(timeline.lock().octets <= OCTETS_MAX);
        let question = Question { subject: Subject::parse("m"), after: 1, bodies: false };
        assert!(timeline.find(&question).has_gap);
    }
}
