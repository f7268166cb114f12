use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Configuration, Severity};

/// Runs `gangway check`.
pub fn run(file: &Path) -> ExitCode {
    let reading = match config::load(file) {
        Ok(reading) => reading,
        Err(why) => {
            super::complain(&why);
            return ExitCode::from(super::UNUSABLE);
        }
    };
    if !reading.findings().is_empty() {
        eprintln!("{}", reading.render(config::paint_for_stderr()));
    }
    let count = |severity| reading.findings().iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match reading.configuration() {
        Some(configuration) => {
            let notes =
                if warnings == 0 { String::new() } else { format!(", {}", many(warnings, "warning")) };
            super::print(&format!("{}: right{notes}: {}\n", file.display(), summary(configuration)))
        }
        None => {
            eprintln!("{}: {}, {}", file.display(), many(errors, "mistake"), many(warnings, "warning"));
            ExitCode::from(super::WRONG)
        }
    }
}

fn summary(configuration: &Configuration) -> String {
    let mut parts = Vec::new();
    if let Some(proxy) = &configuration.proxy {
        parts.push(format!(
            "a proxy for {} with {}",
            many(proxy.domains.len(), "domain"),
            many(proxy.partners.len(), "partner")
        ));
    }
    if let Some(gateway) = &configuration.gateway {
        parts.push(format!(
            "a gateway for {} on {}",
            many(gateway.domains.len(), "SIP domain"),
            many(gateway.listen.len(), "listener")
        ));
    }
    parts.join(", ")
}

fn many(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}
