//! The judge: what both users saw, held against the promise N1–N7 of ARCHITECTURE.md.
//!
//! It knows nothing of the product: only what was typed, what was answered, and what was shown. Texts
//! are unique in a run, so that a text names its message.

use std::collections::BTreeMap;
use std::fmt;

/// One thing that a user, or his server, saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// He sent a text.
    Sent {
        /// Between whom.
        pair: String,
        /// Whether his protocol keeps the order of what he sends before it is answered: a stream does, requests
        /// of their own do not (RFC 3428 §8).
        in_order: bool,
    },
    /// His text was accepted: a 2xx, or an acknowledgement that covers it.
    Accepted,
    /// His text was refused at once, or later by an error or a report.
    Refused,
    /// His text had no answer at all.
    Unanswered,
    /// The recipient's server has it, and nobody to show it to: the error is that server's to deliver, which may
    /// lose it when it cannot reach us.
    Taken,
    /// A text was shown to him, under this name (stanza id, or Call-ID and tag).
    Shown {
        /// Between whom.
        pair: String,
        /// The message's name there.
        id: String,
    },
}

/// What was seen on both sides, in order.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    lines: Vec<(String, Seen)>,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which: `N2`.
    pub promise: &'static str,
    /// Of which text.
    pub text: String,
    /// How, in words.
    pub how: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} broken for {:?}: {}", self.promise, self.text, self.how)
    }
}

/// What the run did to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditions {
    /// Nothing failed.
    Fair,
    /// Something failed, at most this often.
    Faulty {
        /// How many faults there were.
        faults: usize,
    },
}

#[derive(Default)]
struct Story {
    pair: String,
    in_order: bool,
    /// Where his first answer stands.
    told: Option<usize>,
    sent: usize,
    accepted: usize,
    refused: usize,
    unanswered: usize,
    taken: bool,
    shown: Vec<(usize, String)>,
}

impl Ledger {
    /// Adds what was seen of a text.
    pub fn add(&mut self, text: &str, seen: Seen) {
        self.lines.push((text.to_owned(), seen));
    }

    /// Returns how many texts were sent and how many of them were shown.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let stories = self.stories();
        let sent = stories.values().filter(|story| story.sent > 0).count();
        (sent, stories.values().filter(|story| !story.shown.is_empty()).count())
    }

    /// Returns every promise that was not kept, after everything had time to end.
    #[must_use]
    pub fn judge(&self, conditions: Conditions) -> Vec<Broken> {
        let stories = self.stories();
        let mut broken: Vec<_> =
            stories.iter().flat_map(|(text, story)| judge_story(text, story, conditions)).collect();
        broken.extend(judge_order(&stories, conditions));
        broken
    }

    fn stories(&self) -> BTreeMap<String, Story> {
        let mut stories = BTreeMap::<String, Story>::new();
        for (place, (text, seen)) in self.lines.iter().enumerate() {
            let story = stories.entry(text.clone()).or_default();
            if matches!(seen, Seen::Accepted | Seen::Refused | Seen::Unanswered) {
                story.told.get_or_insert(place);
            }
            match seen {
                Seen::Sent { pair, in_order } => {
                    story.sent = place + 1;
                    story.in_order = *in_order;
                    story.pair.clone_from(pair);
                }
                Seen::Accepted => story.accepted += 1,
                Seen::Refused => story.refused += 1,
                Seen::Unanswered => story.unanswered += 1,
                Seen::Taken => story.taken = true,
                Seen::Shown { pair, id } => {
                    if story.pair.is_empty() {
                        story.pair.clone_from(pair);
                    }
                    story.shown.push((place, id.clone()));
                }
            }
        }
        stories
    }
}

fn judge_story(text: &str, story: &Story, conditions: Conditions) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut breaks = |promise, how: String| broken.push(Broken { promise, text: text.to_owned(), how });
    let shown = story.shown.len();
    if story.sent == 0 {
        breaks("N3", "it was shown, and nobody sent it".to_owned());
        return broken;
    }
    let (faults, fair) = match conditions {
        Conditions::Fair => (0, true),
        Conditions::Faulty { faults } => (faults, false),
    };
    if story.accepted > 0 && shown == 0 && story.refused == 0 && (fair || !story.taken) {
        breaks("N2", "it was accepted, and neither shown nor reported".to_owned());
    }
    if shown > 1 + faults {
        breaks("N4", format!("it was shown {shown} times, with {faults} faults"));
    }
    if story.shown.iter().any(|(_, id)| *id != story.shown[0].1) {
        breaks("N4", "it was shown under different names".to_owned());
    }
    if fair {
        if shown > 0 && story.refused > 0 {
            breaks("N2", "it was both shown and refused".to_owned());
        }
        if shown > 0 && story.accepted == 0 {
            breaks("N3", "it was shown, but never accepted".to_owned());
        }
    }
    if story.accepted + story.refused + story.unanswered == 0 {
        breaks("N7", "its sender was never told anything".to_owned());
    }
    if fair && story.refused > 1 {
        breaks("N2", format!("it was refused {} times", story.refused));
    }
    broken
}

/// First showings of one pair come in the order of sending; a repetition may come late (N5). After two faults the
/// first showing can itself be a repetition: what was to be refused is lost with its refusal, and sent again; and what was
/// refused is sent again by a server that has the refusal, and not the acknowledgement.
fn judge_order(stories: &BTreeMap<String, Story>, conditions: Conditions) -> Vec<Broken> {
    let may_repeat = matches!(conditions, Conditions::Faulty { faults: 2.. });
    let mut pairs = BTreeMap::<&str, Vec<(&Story, usize, &str)>>::new();
    for (text, story) in stories {
        if let Some((first, _)) = story.shown.first()
            && story.sent > 0
        {
            pairs.entry(&story.pair).or_default().push((story, *first, text));
        }
    }
    let mut broken = Vec::new();
    for (pair, mut shown) in pairs {
        shown.sort_unstable_by_key(|(story, ..)| story.sent);
        for two in shown.windows(2) {
            let ((before, first, text), (after, second, other)) = (two[0], two[1]);
            let is_ordered = before.in_order || before.told.is_some_and(|told| told < after.sent);
            let is_copy = before.refused > 0 || before.told.is_none_or(|told| told > second);
            let is_repetition = may_repeat && is_copy;
            if is_ordered && first > second && !is_repetition {
                let how = format!("it was shown after {other:?}, which was sent later ({pair})");
                broken.push(Broken { promise: "N5", text: text.to_owned(), how });
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Seen {
        Seen::Sent { pair: "a b".to_owned(), in_order: true }
    }

    fn shown(id: &str) -> Seen {
        Seen::Shown { pair: "a b".to_owned(), id: id.to_owned() }
    }

    #[track_caller]
    fn verdict(lines: Vec<(&str, Seen)>, conditions: Conditions, expected: &[&str]) {
        let mut ledger = Ledger::default();
        for (text, seen) in lines {
            ledger.add(text, seen);
        }
        let broken: Vec<_> = ledger.judge(conditions).into_iter().map(|b| b.promise).collect();
        assert_eq!(broken, expected);
    }

    #[test]
    fn a_kept_promise_is_not_complained_about() {
        verdict(vec![("x", sent()), ("x", shown("1")), ("x", Seen::Accepted)], Conditions::Fair, &[]);
        verdict(vec![("x", sent()), ("x", Seen::Refused)], Conditions::Fair, &[]);
        verdict(vec![("x", sent()), ("x", Seen::Unanswered)], Conditions::Faulty { faults: 1 }, &[]);
    }

    #[test]
    fn each_promise_can_be_broken() {
        let faulty = Conditions::Faulty { faults: 1 };
        verdict(vec![("x", sent()), ("x", Seen::Accepted)], faulty, &["N2"]);
        verdict(vec![("x", shown("1"))], faulty, &["N3"]);
        let twice = vec![("x", sent()), ("x", Seen::Accepted), ("x", shown("1")), ("x", shown("1"))];
        verdict(twice.clone(), Conditions::Fair, &["N4"]);
        verdict(twice, faulty, &[]);
        verdict(
            vec![("x", sent()), ("x", Seen::Accepted), ("x", shown("1")), ("x", shown("2"))],
            faulty,
            &["N4"],
        );
        verdict(vec![("x", sent())], faulty, &["N7"]);
        let lines =
            vec![("x", sent()), ("y", sent()), ("y", shown("2")), ("x", shown("1")), ("x", Seen::Accepted)];
        let lines = [lines, vec![("y", Seen::Accepted)]].concat();
        verdict(lines, faulty, &["N5"]);
    }

    #[test]
    fn a_copy_of_what_was_refused_has_no_place_in_the_order() {
        let twice = Conditions::Faulty { faults: 2 };
        let lines = vec![("x", sent()), ("x", Seen::Refused), ("y", sent()), ("y", shown("2"))];
        let lines = [lines, vec![("y", Seen::Accepted), ("x", shown("1")), ("x", Seen::Accepted)]].concat();

        verdict(lines.clone(), twice, &[]);
        verdict(lines, Conditions::Faulty { faults: 1 }, &["N5"]);
    }
}
