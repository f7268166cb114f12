//! The table of settings as a whole: the example and the manual derive from it and stay in step.

use std::path::Path;

use gangway::config::{self, Severity, example};

use crate::files::in_step;

#[test]
fn the_example_has_no_mistake_but_its_missing_files() {
    let reading = config::read(Path::new("gangway.toml"), example::example());

    let errors = reading.findings().iter().filter(|one| one.severity == Severity::Error);
    let others: Vec<_> = errors.filter(|one| !one.what.contains(": no such file")).collect();

    assert!(others.is_empty(), "{}", reading.render(config::Paint::Plain));
}

#[test]
fn the_example_with_everything_switched_on_reads_every_setting() {
    let all: String = example::example()
        .lines()
        .map(|line| match line.strip_prefix('#').filter(|rest| is_setting(rest)) {
            Some(setting) => format!("{setting}\n"),
            None => format!("{line}\n"),
        })
        .collect();

    let reading = config::read(Path::new("gangway.toml"), all);

    let wrong =
        |what: &str| what.contains("not TOML") || what.contains("must be") || what.contains("has no setting");
    let others: Vec<_> = reading.findings().iter().filter(|one| wrong(&one.what)).collect();
    assert!(others.is_empty(), "{}", reading.render(config::Paint::Plain));
}

/// Whether a commented line is a setting, not words: those start with a blank.
fn is_setting(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_lowercase())
}

#[test]
fn the_manual_is_in_step_with_the_table() {
    in_step("../../docs/settings.md", &example::manual());
}

#[test]
fn the_manual_is_in_step_with_the_command_line() {
    in_step("../../docs/commands.md", &gangway::cli::manual());
}
