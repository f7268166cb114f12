//! The configuration file: read strictly, every mistake told at once with its place and its cure.
//!
//! Each setting is declared once, in [`settings`]; reading, the example and the manual's page derive
//! from that. [`load`] gives a configuration only if nothing in the file is wrong.

pub mod example;
pub mod mistake;
pub mod model;
pub mod schema;
pub mod settings;
pub mod states;

mod build;
pub mod check;
mod reader;
pub mod users;
mod value;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use mistake::{Mistake, Paint, Severity};
pub use model::Configuration;
pub use value::At;

/// What came of reading a file.
#[derive(Debug)]
pub struct Reading {
    file: PathBuf,
    text: String,
    findings: Vec<Mistake>,
    configuration: Option<Configuration>,
}

/// Reads `file` and everything it names.
///
/// # Errors
/// The file itself cannot be read, in words.
pub fn load(file: &Path) -> Result<Reading, String> {
    let text = std::fs::read_to_string(file).map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{}: no such file; `gangway config example` prints one to start from", file.display())
        }
        std::io::ErrorKind::InvalidData => format!("{}: the file is not UTF-8 text", file.display()),
        _ => format!("{}: {why}", file.display()),
    })?;
    Ok(read(file, text))
}

/// Reads `text` as the contents of `file`.
#[must_use]
pub fn read(file: &Path, text: String) -> Reading {
    let (table, broken) = DeTable::parse_recoverable(&text);
    let mut findings: Vec<Mistake> = broken.iter().map(of_syntax).collect();
    let mut more = Vec::new();
    let root = reader::read_root(&settings::ROOT, table.get_ref(), &mut more);
    if findings.is_empty() {
        findings = more;
        if root.tables("proxy").is_empty() && root.tables("gateway").is_empty() {
            findings.push(
                Mistake::error(
                    &(0..0),
                    "there is neither `[proxy]` nor `[gateway]`, so there is nothing to start",
                )
                .help("`gangway config example` prints a file to start from"),
            );
        }
        let directory = file.parent().unwrap_or(Path::new(""));
        let configuration = build::build(&root, directory);
        if let Some(configuration) = &configuration {
            check::check(configuration, &mut findings);
        }
        return finish(file, text, findings, configuration);
    }
    // What seems missing or misplaced may come from the part that could not be read.
    let lines: Vec<usize> = findings.iter().map(|one| line_of(&text, one.span.start)).collect();
    more.retain(|one| !one.may_be_an_echo && !lines.contains(&line_of(&text, one.span.start)));
    findings.extend(more);
    finish(file, text, findings, None)
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count()
}

fn finish(
    file: &Path,
    text: String,
    mut findings: Vec<Mistake>,
    configuration: Option<Configuration>,
) -> Reading {
    findings
        .sort_by(|one, other| one.span.start.cmp(&other.span.start).then(one.severity.cmp(&other.severity)));
    findings.dedup();
    Reading { file: file.to_owned(), text, findings, configuration }
}

fn of_syntax(why: &toml::de::Error) -> Mistake {
    let span = why.span().unwrap_or(0..0);
    Mistake::error(&span, format!("this is not TOML: {}", why.message()))
}

impl Reading {
    /// Returns the configuration, unless the file has a mistake.
    #[must_use]
    pub fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref().filter(|_| self.is_right())
    }

    /// Returns the admin socket, though other settings be wrong.
    #[must_use]
    pub fn socket(&self) -> Option<PathBuf> {
        self.configuration.as_ref().map(|configuration| configuration.admin_socket.value.clone())
    }

    /// Returns whether the file has no mistake; warnings are none.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.configuration.is_some() && self.findings.iter().all(|one| one.severity == Severity::Warning)
    }

    /// Returns where a setting stands, for messages: `gangway.toml:12`.
    #[must_use]
    pub fn place(&self, span: &mistake::Span) -> String {
        format!("{}:{}", self.file.display(), line_of(&self.text, span.start) + 1)
    }

    /// Returns the file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns every finding, in the order of the file.
    #[must_use]
    pub fn findings(&self) -> &[Mistake] {
        &self.findings
    }

    /// Returns the findings as text for people.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let shown: Vec<String> =
            self.findings.iter().map(|one| mistake::render(one, &self.file, &self.text, paint)).collect();
        shown.join("\n")
    }
}

/// Returns how to write to standard error: in colours for a terminal, unless `NO_COLOR` is set.
#[must_use]
pub fn paint_for_stderr() -> Paint {
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        Paint::Colours
    } else {
        Paint::Plain
    }
}
