//! What is wrong with a configuration file, shown so that it can be mended at once.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

/// A place in the file, in octets.
pub type Span = Range<usize>;

/// Whether a finding stops the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing starts with it.
    Error,
    /// Allowed, but the operator should know.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Whether it stops the start.
    pub severity: Severity,
    /// Where it is.
    pub span: Span,
    /// What is wrong: lower case, no full stop.
    pub what: String,
    /// What to write or do.
    pub help: Option<String>,
    /// Whether it may be there only because another part of the file could not be read.
    pub may_be_an_echo: bool,
}

impl Mistake {
    /// Returns an error at `span`.
    #[must_use]
    pub fn error(span: &Span, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span: span.clone(),
            what: what.into(),
            help: None,
            may_be_an_echo: false,
        }
    }

    /// Returns a warning at `span`.
    #[must_use]
    pub fn warning(span: &Span, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, what) }
    }

    /// Says that it may be there only because another part of the file could not be read.
    #[must_use]
    pub fn or_echo(mut self) -> Self {
        self.may_be_an_echo = true;
        self
    }

    /// Says what to write or do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Whether a rendering may use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// A terminal reads it.
    Colours,
    /// Anything else does.
    Plain,
}

/// Returns `mistake` as lines for people: `file:line:column`, what is wrong, the line with the place
/// underlined, what to write.
#[must_use]
pub fn render(mistake: &Mistake, file: &Path, text: &str, paint: Paint) -> String {
    let (red, yellow, cyan, bold, off) = match paint {
        Paint::Colours => ("\x1b[1;31m", "\x1b[1;33m", "\x1b[36m", "\x1b[1m", "\x1b[0m"),
        Paint::Plain => ("", "", "", "", ""),
    };
    let (mark, word) = match mistake.severity {
        Severity::Error => (red, "error"),
        Severity::Warning => (yellow, "warning"),
    };
    let place = Place::find(text, &mistake.span);
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{bold}{}:{}:{}:{off} {mark}{word}:{off} {bold}{}{off}",
        file.display(),
        place.line,
        place.column,
        mistake.what
    );
    let _ = writeln!(out, " {cyan}{margin} |{off}");
    let _ = writeln!(out, " {cyan}{number} |{off} {}", place.text);
    let _ = writeln!(
        out,
        " {cyan}{margin} |{off} {}{mark}{}{off}",
        " ".repeat(place.column - 1),
        "^".repeat(place.width)
    );
    if let Some(help) = &mistake.help {
        let mut lines = help.lines();
        let _ = writeln!(out, " {cyan}{margin} ={off} help: {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(out, " {margin}         {line}");
        }
    }
    out
}

/// A span as people count: lines and columns from 1, columns in characters.
struct Place {
    line: usize,
    column: usize,
    width: usize,
    text: String,
}

impl Place {
    fn find(text: &str, span: &Span) -> Self {
        let start = floor(text, span.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, span.end).clamp(start, line_end);
        Self {
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end].chars().count().max(1),
            // A tab is one column here, so that the mark stands under what it marks.
            text: text[line_start..line_end].trim_end_matches('\r').replace('\t', " "),
        }
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Returns the candidate that `written` was probably meant to be.
#[must_use]
pub fn closest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(written);
    let allowed = (folded.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Returns a word without what people vary in it: case, `-`, `_`, blanks.
#[must_use]
pub fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Returns how many letters must be put in, taken out, replaced or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_shown_with_its_line_and_place() {
        let text = "[proxy]\nlisten = \"x\"\n";

        let shown = render(
            &Mistake::error(&(17..20), "`x` is no address").help("write \"0.0.0.0:5269\""),
            Path::new("g.toml"),
            text,
            Paint::Plain,
        );

        assert_eq!(
            shown,
            "g.toml:2:10: error: `x` is no address\n   |\n 2 | listen = \"x\"\n   |          ^^^\n   \
             = help: write \"0.0.0.0:5269\"\n"
        );
    }

    #[test]
    fn a_place_counts_characters_and_stays_within_its_line() {
        let text = "a = \"ü\"  \nb = \"\"\"x\ny\"\"\"";

        let beyond = render(&Mistake::error(&(15..23), "what"), Path::new("f"), text, Paint::Plain);
        let after = render(&Mistake::error(&(999..1000), "what"), Path::new("f"), text, Paint::Plain);

        assert!(beyond.starts_with("f:2:5: error"), "{beyond}");
        assert!(beyond.contains("   |     ^^^^\n"), "{beyond}");
        assert!(after.starts_with("f:3:5: error"), "{after}");
    }

    #[test]
    fn the_word_meant_is_found_and_a_strange_one_is_not() {
        let known = ["listen", "link-listen", "domains"];

        assert_eq!(closest("lisen", known), Some("listen"));
        assert_eq!(closest("Link_Listen", known), Some("link-listen"));
        assert_eq!(closest("dmoains", known), Some("domains"));
        assert_eq!(closest("colour", known), None);
    }
}
