//! Texts with holes: `*` is any text, `$name` is any text that is remembered.

use std::collections::BTreeMap;
use std::fmt;

/// A text to compare with. `*` stands for any text, also none; `$name` for a text of at least one character,
/// the same wherever the name stands in a play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Any,
    Name(String),
}

/// What the names of a play have matched so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings(BTreeMap<String, String>);

/// What did not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Where: an attribute, an element, a header.
    pub at: String,
    /// What the play says.
    pub expected: String,
    /// What came; empty if nothing did.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: expected {:?}, found {:?}", self.at, self.expected, self.found)
    }
}

impl std::error::Error for Mismatch {}

impl Bindings {
    /// Returns what a name has matched.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Gives a name its text before it has matched anything.
    pub fn set(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.insert(name.into(), text.into());
    }

    /// Returns two of `names` that hold the same text, if there are such.
    #[must_use]
    pub fn first_equal<'a>(&self, names: &'a [String]) -> Option<(&'a str, &'a str)> {
        names.iter().enumerate().find_map(|(at, one)| {
            let same = names[at + 1..].iter().find(|other| self.get(one) == self.get(other));
            same.map(|other| (one.as_str(), other.as_str()))
        })
    }

    /// Returns `text` with each bound `$name` replaced; what is not bound stays as it is.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let Pattern(pieces) = Pattern::parse(text);
        pieces.iter().map(|piece| self.text_of(piece)).collect()
    }

    fn text_of(&self, piece: &Piece) -> String {
        match piece {
            Piece::Text(text) => text.clone(),
            Piece::Any => "*".to_owned(),
            Piece::Name(name) => self.get(name).map_or_else(|| format!("${name}"), str::to_owned),
        }
    }
}

impl Pattern {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['*', '$']) {
            push_text(&mut pieces, &rest[..at]);
            let after = &rest[at + 1..];
            if rest[at..].starts_with('*') {
                pieces.push(Piece::Any);
                rest = after;
                continue;
            }
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            match &after[..end] {
                "" => push_text(&mut pieces, "$"),
                name => pieces.push(Piece::Name(name.to_owned())),
            }
            rest = &after[end..];
        }
        push_text(&mut pieces, rest);
        Self(pieces)
    }

    /// Compares `found`, remembering what new names match; nothing is remembered of what does not fit.
    ///
    /// # Errors
    /// Says what was expected at the place called `at`.
    pub fn matches(&self, at: &str, found: &str, bindings: &mut Bindings) -> Result<(), Mismatch> {
        let mut attempt = bindings.clone();
        if fits(&self.0, found, &mut attempt) {
            *bindings = attempt;
            return Ok(());
        }
        let expected = self.0.iter().map(|piece| bindings.text_of(piece)).collect();
        Err(Mismatch { at: at.to_owned(), expected, found: found.to_owned() })
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// Matches by trying the shortest text for each hole first.
fn fits(pieces: &[Piece], found: &str, bindings: &mut Bindings) -> bool {
    let Some((piece, rest)) = pieces.split_first() else {
        return found.is_empty();
    };
    match piece {
        Piece::Text(text) => {
            found.strip_prefix(text.as_str()).is_some_and(|after| fits(rest, after, bindings))
        }
        Piece::Name(name) if bindings.get(name).is_some() => {
            let bound = bindings.get(name).unwrap_or_default().to_owned();
            found.strip_prefix(bound.as_str()).is_some_and(|after| fits(rest, after, bindings))
        }
        Piece::Any | Piece::Name(_) => {
            let least = usize::from(matches!(piece, Piece::Name(_)));
            let ends = found.char_indices().map(|(at, _)| at).chain([found.len()]).skip(least);
            for end in ends {
                let mut attempt = bindings.clone();
                if let Piece::Name(name) = piece {
                    attempt.set(name.clone(), &found[..end]);
                }
                if fits(rest, &found[end..], &mut attempt) {
                    *bindings = attempt;
                    return true;
                }
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn bound(pattern: &str, found: &str, bindings: &mut Bindings) -> bool {
        Pattern::parse(pattern).matches("here", found, bindings).is_ok()
    }

    #[test]
    fn a_star_is_any_text_and_a_name_remembers() {
        let mut names = Bindings::default();

        assert!(bound("<*>;tag=$tag", "<sip:a@b;x>;tag=8d21", &mut names));
        assert_eq!(names.get("tag"), Some("8d21"));
        assert!(bound("$tag", "8d21", &mut names));
        assert!(!bound("$tag", "other", &mut names));
        assert!(!bound("a$new", "a", &mut names));
        assert!(bound("", "", &mut names));
        assert!(bound("100 $ *", "100 $ or so", &mut names));
    }

    #[test]
    fn what_does_not_fit_leaves_no_name_behind() {
        let mut names = Bindings::default();

        let mismatch = Pattern::parse("$a-$a").matches("id", "x-y", &mut names).unwrap_err();

        assert_eq!(names, Bindings::default());
        assert_eq!(mismatch.to_string(), "id: expected \"$a-$a\", found \"x-y\"");
    }

    #[test]
    fn names_are_filled_in_and_compared() {
        let mut names = Bindings::default();
        names.set("a", "1");
        names.set("b", "2");
        names.set("c", "1");

        assert_eq!(names.fill("$a/$b/$other *"), "1/2/$other *");
        let all = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(names.first_equal(&all), Some(("a", "c")));
        assert_eq!(names.first_equal(&all[..2]), None);
    }
}
