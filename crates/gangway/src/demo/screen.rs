//! The terminal: two columns, one for each user, and lines over both.

use std::io::{self, IsTerminal as _, Write as _};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Side;

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As the terminal writes.
    Plain,
    /// What matters more.
    Bold,
    /// What matters less.
    Dim,
    /// It went well.
    Good,
    /// It is still open.
    Open,
    /// It did not go well.
    Bad,
    /// In the colour of a side.
    Of(Side),
}

/// One entry in a column: a word in front, the text, and something at the right edge.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// In front, such as a name; never broken.
    pub lead: &'a str,
    /// How it looks.
    pub lead_style: Style,
    /// The text, broken into lines as needed.
    pub text: &'a str,
    /// How it looks.
    pub style: Style,
    /// At the right edge, such as a time; may be empty.
    pub aside: &'a str,
}

/// Standard output.
#[derive(Debug)]
pub struct Screen {
    out: io::Stdout,
    colours: bool,
    /// The width of one column.
    column: usize,
    /// What stands in front of the line that is being typed; none without a person at a terminal.
    prompt: Option<String>,
    is_prompting: bool,
    is_broken: bool,
}

impl Screen {
    /// Returns standard output as it is: a terminal of some width, or something else.
    pub fn new() -> Self {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        let width = is_terminal.then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten();
        let width = width.map_or(WIDTH, |size| usize::from(size.ws_col)).clamp(WIDTH_MIN, WIDTH_MAX);
        let colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            out,
            colours,
            column: (width - BETWEEN.width()) / 2,
            prompt: None,
            is_prompting: false,
            is_broken: false,
        }
    }

    /// Returns whether nobody reads any more.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Returns whether a person types at a terminal.
    pub fn is_interactive() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Writes a whole line, over both columns; it may hold styles of [`Self::painted`].
    pub fn line(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// Writes a line of little weight.
    pub fn note(&mut self, text: &str) {
        let text = self.painted(Style::Dim, text);
        self.line(&text);
    }

    /// Writes who is on which side.
    pub fn heads(&mut self) {
        let head = |side: Side| format!("{}  {}", side.protocol(), side.user());
        let [left, right] = [Side::Xmpp, Side::Sip].map(|side| {
            let text = padded(&head(side), self.column);
            self.painted(Style::Of(side), &text)
        });
        self.line(format!("{left}{BETWEEN}{right}").trim_end());
        let rule = "─".repeat(self.column);
        let rule = self.painted(Style::Dim, &format!("{rule}─┼─{rule}"));
        self.line(&rule);
    }

    /// Writes into one column.
    pub fn entry(&mut self, side: Side, entry: &Entry<'_>) {
        let aside = entry.aside.width();
        let lead = entry.lead.width();
        let mut lines = wrapped(&harmless(entry.text), self.column.saturating_sub(lead).max(8));
        // The last line makes room for what stands at the edge, or a further one does.
        let last = lines.last().map_or(0, |line| line.width());
        if aside > 0 && lead + last + 1 + aside > self.column {
            lines.push(String::new());
        }
        let count = lines.len();
        for (number, line) in lines.iter().enumerate() {
            let front = if number == 0 { entry.lead.to_owned() } else { " ".repeat(lead) };
            let mut cells = lead + line.width();
            let mut text = self.painted(entry.lead_style, &front) + &self.painted(entry.style, line);
            if number + 1 == count && aside > 0 {
                let gap = self.column.saturating_sub(cells + aside);
                text += &" ".repeat(gap);
                text += &self.painted(Style::Dim, entry.aside);
                cells += gap + aside;
            }
            self.in_column(side, &text, cells);
        }
    }

    fn in_column(&mut self, side: Side, text: &str, cells: usize) {
        let bar = self.painted(Style::Dim, BETWEEN.trim_end());
        match side {
            Side::Xmpp => {
                let gap = " ".repeat(self.column.saturating_sub(cells));
                self.line(&format!("{text}{gap}{bar}"));
            }
            Side::Sip => {
                let gap = " ".repeat(self.column);
                self.line(&format!("{gap}{bar} {text}"));
            }
        }
    }

    /// Writes octets that one side sent or received, as they were, over both columns.
    pub fn octets(&mut self, side: Side, arrow: &str, octets: &[u8]) {
        let text = String::from_utf8_lossy(octets);
        let mut front = format!("{} {arrow} ", padded(side.protocol(), 4));
        for line in text.trim_end().lines() {
            let line = harmless(line);
            let text = self.painted(Style::Of(side), &front) + &self.painted(Style::Dim, &line);
            self.line(&text);
            front = " ".repeat(front.width());
        }
    }

    /// Returns `text` in a style, if there are colours.
    pub fn painted(&self, style: Style, text: &str) -> String {
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Open => "33",
            Style::Bad => "31",
            Style::Of(Side::Xmpp) => "1;36",
            Style::Of(Side::Sip) => "1;35",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Asks for a line as one of the users.
    pub fn prompt(&mut self, side: Side) {
        if !Self::is_interactive() || self.is_prompting {
            return;
        }
        let prompt = format!("{} ▸ ", side.name());
        let text = self.painted(Style::Of(side), &prompt);
        self.write(&text);
        self.prompt = Some(prompt);
        self.is_prompting = true;
    }

    /// Takes back a line that was typed, because it will be shown in its column.
    pub fn take_back(&mut self, typed: &str) {
        let Some(prompt) = self.prompt.take().filter(|_| self.is_prompting) else { return };
        self.is_prompting = false;
        let width = rustix::termios::tcgetwinsize(&self.out).map_or(WIDTH, |size| usize::from(size.ws_col));
        let rows = (prompt.width() + typed.width()) / width.max(1) + 1;
        self.write(&format!("\x1b[{rows}A\r\x1b[J"));
    }

    /// Leaves a line that was typed where it is.
    pub fn leave(&mut self) {
        self.prompt = None;
        self.is_prompting = false;
    }

    fn write(&mut self, text: &str) {
        let clear = if std::mem::take(&mut self.is_prompting) { "\r\x1b[K" } else { "" };
        let mut out = self.out.lock();
        let written = out.write_all(clear.as_bytes()).and_then(|()| out.write_all(text.as_bytes()));
        if written.and_then(|()| out.flush()).is_err() {
            self.is_broken = true;
        }
    }
}

/// Returns `text` with blanks behind it.
pub fn padded(text: &str, cells: usize) -> String {
    format!("{text}{}", " ".repeat(cells.saturating_sub(text.width())))
}

/// Returns `text` without what would command the terminal; lines and tabs stay apart.
fn harmless(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => '\n',
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().filter(|c| *c != '\r').map(shown).collect()
}

/// Breaks `text` between words into lines of at most so many cells; at least one.
fn wrapped(text: &str, cells: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.width() + 1 + word.width() > cells {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            for c in word.chars() {
                if line.width() + c.width().unwrap_or(0) > cells {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(c);
            }
        }
        lines.push(line);
    }
    lines
}

/// Between the columns.
const BETWEEN: &str = " │ ";
/// The width where nobody tells one.
const WIDTH: usize = 96;
/// Narrower than this, lines run over.
const WIDTH_MIN: usize = 64;
/// Wider than this, the eye has too far to go.
const WIDTH_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_between_words_and_a_long_word_inside() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("a\nb", 4), ["a", "b"]);
        assert_eq!(wrapped("日本語", 4), ["日本", "語"]);
    }

    #[test]
    fn what_would_command_the_terminal_is_shown_as_a_mark() {
        assert_eq!(harmless("a\x1b[2Jb\tc\r\nd"), "a\u{fffd}[2Jb c\nd");
    }
}
