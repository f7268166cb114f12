//! What each watcher should see, from what users said alone: the reference that presence is held against (N6).
//!
//! It knows no protocol, no message, and no time: a permission changes by a user's own word and by nothing else, and
//! whoever has it sees what the other shows. Where a refusal and a later permission may have crossed with the wish,
//! both ends are right, as long as both sides agree.

use std::collections::BTreeMap;

use peer_role::presence::{State, View};

/// One thing that a user, or his program, does. Users go by their addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// He asks to see somebody.
    Ask {
        /// Who.
        watcher: String,
        /// Whom.
        of: String,
        /// Whether he neither sees nor awaits him already.
        is_new: bool,
    },
    /// He wishes it no more.
    Leave {
        /// Who.
        watcher: String,
        /// Whom.
        of: String,
    },
    /// He says whether somebody may see him, now and whenever that one asks.
    Decide {
        /// Who.
        of: String,
        /// Whom he lets, or does not.
        watcher: String,
        /// Whether he does.
        allows: bool,
    },
    /// A resource or device of his says something, or goes.
    Show {
        /// Whose.
        user: String,
        /// Which.
        place: String,
        /// What.
        state: Option<State>,
    },
}

/// What should have become of one user's wish to see another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// He wishes nothing.
    Nothing,
    /// Nobody has answered.
    Waits,
    /// He sees.
    Sees,
    /// He may not.
    Refused,
    /// He sees or was refused: the words crossed.
    SeesOrRefused,
    /// He waits, or his wish met the answer to his leaving.
    WaitsOrRefused,
}

/// All users, as their words leave them.
#[derive(Debug, Default)]
pub struct Model {
    /// Whether what is said may be late.
    is_faulty: bool,
    /// By watcher and watched.
    pairs: BTreeMap<(String, String), Pair>,
    shown: BTreeMap<String, View>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    wishes: bool,
    /// Whether he has left before. That is answered with `unsubscribed` (RFC 8048 §5.2.3), which a new wish may meet on its
    /// way where things are late.
    left: bool,
    /// Whether a refusal has stood at any time since the wish.
    refused: bool,
    word: Option<bool>,
}

impl Model {
    /// Returns a model of a world in which things may be late.
    #[must_use]
    pub fn faulty() -> Self {
        Self { is_faulty: true, ..Self::default() }
    }

    /// Takes what a user does.
    pub fn hear(&mut self, deed: &Deed) {
        match deed {
            Deed::Ask { watcher, of, is_new } => {
                let is_faulty = self.is_faulty;
                let pair = self.pair(watcher, of);
                pair.wishes = true;
                if *is_new {
                    pair.refused = pair.word == Some(false) || (is_faulty && pair.left);
                }
            }
            Deed::Leave { watcher, of } => {
                let pair = self.pair(watcher, of);
                pair.left |= pair.wishes;
                pair.wishes = false;
            }
            Deed::Decide { of, watcher, allows } => {
                let pair = self.pair(watcher, of);
                pair.word = Some(*allows);
                pair.refused |= !allows;
            }
            Deed::Show { user, place, state } => {
                let view = self.shown.entry(user.clone()).or_default();
                match state {
                    Some(state) => drop(view.insert(place.clone(), state.clone())),
                    None => drop(view.remove(place)),
                }
            }
        }
    }

    /// Returns what should have become of a wish.
    #[must_use]
    pub fn expected(&self, watcher: &str, of: &str) -> Expected {
        let pair = self.pairs.get(&(watcher.to_owned(), of.to_owned())).copied().unwrap_or_default();
        match (pair.wishes, pair.word, pair.refused) {
            (false, ..) => Expected::Nothing,
            (true, Some(false), _) => Expected::Refused,
            (true, Some(true), true) => Expected::SeesOrRefused,
            (true, Some(true), false) => Expected::Sees,
            (true, None, true) => Expected::WaitsOrRefused,
            (true, None, false) => Expected::Waits,
        }
    }

    /// Returns what a user shows to those who may see him.
    #[must_use]
    pub fn shown(&self, user: &str) -> View {
        self.shown.get(user).cloned().unwrap_or_default()
    }

    fn pair(&mut self, watcher: &str, of: &str) -> &mut Pair {
        self.pairs.entry((watcher.to_owned(), of.to_owned())).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(is_new: bool) -> Deed {
        Deed::Ask { watcher: "ann".to_owned(), of: "bob".to_owned(), is_new }
    }

    fn decide(allows: bool) -> Deed {
        Deed::Decide { of: "bob".to_owned(), watcher: "ann".to_owned(), allows }
    }

    fn leave() -> Deed {
        Deed::Leave { watcher: "ann".to_owned(), of: "bob".to_owned() }
    }

    #[track_caller]
    fn after(deeds: &[Deed], expected: Expected) {
        let mut model = Model::default();
        for deed in deeds {
            model.hear(deed);
        }
        assert_eq!(model.expected("ann", "bob"), expected, "{deeds:?}");
        assert_eq!(model.expected("bob", "ann"), Expected::Nothing, "the other direction is its own");
    }

    #[test]
    fn only_words_of_users_change_what_may_be_seen() {
        after(&[], Expected::Nothing);
        after(&[decide(true)], Expected::Nothing);
        after(&[ask(true)], Expected::Waits);
        after(&[ask(true), decide(true)], Expected::Sees);
        after(&[decide(true), ask(true)], Expected::Sees);
        after(&[ask(true), decide(true), decide(false)], Expected::Refused);
        after(&[ask(true), decide(true), leave()], Expected::Nothing);
        after(&[ask(true), decide(true), leave(), ask(true)], Expected::Sees);
    }

    #[test]
    fn words_that_cross_may_end_either_way_until_a_new_wish() {
        let crossed = [ask(true), decide(false), decide(true)];
        after(&crossed, Expected::SeesOrRefused);
        after(&[&crossed[..], &[ask(false)]].concat(), Expected::SeesOrRefused);
        after(&[&crossed[..], &[ask(true)]].concat(), Expected::Sees);
    }
}
