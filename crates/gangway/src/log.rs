//! What is written to standard error, and how much of it.

use std::io::IsTerminal as _;

use admin::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::model::Log;

/// Changes how much is written, from any thread.
#[derive(Clone, Debug)]
pub struct Volume {
    filter: reload::Handle<Targets, Registry>,
}

/// Begins to write.
#[must_use]
pub fn start(settings: &Log) -> Volume {
    let (filter, handle) = reload::Layer::new(targets(Level::parse(&settings.level).unwrap_or(Level::Info)));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A second subscriber in one process is a test's, which has its own.
    let _ = if settings.json {
        registry.with(lines.json()).try_init()
    } else {
        registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init()
    };
    Volume { filter: handle }
}

impl Volume {
    /// Returns how much is written.
    #[must_use]
    pub fn level(&self) -> Level {
        let enabled = |level: Level| {
            let level = tracing_level(level);
            self.filter.with_current(|targets| targets.would_enable("gangway", &level)).unwrap_or(false)
        };
        Level::ALL.into_iter().rev().find(|level| enabled(*level)).unwrap_or(Level::Error)
    }

    /// Writes so much from now on.
    pub fn set(&self, level: Level) {
        // The subscriber lives as long as the process.
        let _ = self.filter.reload(targets(level));
    }
}

/// Ours as much as asked for, others only what a person should know.
fn targets(level: Level) -> Targets {
    let ours = LevelFilter::from_level(tracing_level(level));
    let crates = ["gangway", "net", "store", "admin"].map(|name| (name, ours));
    Targets::new().with_default(ours.min(LevelFilter::WARN)).with_targets(crates)
}

fn tracing_level(level: Level) -> tracing::Level {
    match level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
        Level::Trace => tracing::Level::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_never_louder_than_a_warning() {
        let loud = targets(Level::Trace);
        let quiet = targets(Level::Error);

        assert!(loud.would_enable("gangway", &tracing::Level::TRACE));
        assert!(!loud.would_enable("hickory_resolver", &tracing::Level::INFO));
        assert!(!quiet.would_enable("hickory_resolver", &tracing::Level::WARN));
    }
}
