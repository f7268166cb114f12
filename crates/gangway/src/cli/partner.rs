//! `gangway partner`: which there are, whether one can be reached, and changes of the configuration file.

mod edit;
mod file;
mod test;

use std::process::ExitCode;

use admin::Request;
use clap::Subcommand;

use super::ask::Form;
use super::{Ask, At};

/// What to do with partners.
#[derive(Debug, Subcommand)]
pub(super) enum PartnerCommand {
    /// Shows each partner, the ways it may prove itself, and how many streams are open with it.
    List(Ask),
    /// Shows a partner's settings, those that are written and those that are not.
    Show {
        /// The partner's domain.
        domain: String,
        #[command(flatten)]
        at: At,
    },
    /// Adds a partner to the configuration file and puts it into effect.
    ///
    /// Comments and order of the file stay. A file that `gangway check` would refuse is not written. A process that
    /// runs with the file reads it again; streams that are still allowed stay open.
    Add {
        /// The partner's domain.
        domain: String,
        /// A setting of the partner, such as `type=federated`; may be repeated.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// Changes settings of a partner in the configuration file and puts them into effect.
    Set {
        /// The partner's domain.
        domain: String,
        /// The settings, such as `type=federated`; one without a value (`host=`) is taken out. Several values of
        /// a list are separated by commas.
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// Takes a partner out of the configuration file and puts that into effect: its streams are closed.
    Remove {
        /// The partner's domain.
        domain: String,
        #[command(flatten)]
        at: At,
    },
    /// Tries to reach a partner, stage by stage, and says what to do if it fails.
    ///
    /// The stages are policy, dns, tcp, tls, certificate, auth, dialback and stream. It takes the way that a message
    /// takes, from this machine, with the settings of the file; no running process is needed. It ends with 0 if
    /// stanzas can flow, with 1 if the configuration file is wrong, with 2 if it cannot be read; else with the stage
    /// that failed: policy 10, dns 11, tcp 12, tls 13, certificate 14, auth 15, dialback 16, stream 17.
    Test {
        /// The partner's domain.
        domain: String,
        /// The domain of ours to speak for; the first of `domains` unless given.
        #[arg(long, value_name = "DOMAIN")]
        from: Option<String>,
        /// Prints the stages and the verdict as one JSON object, at the end.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
}

/// Does it, and returns the exit code.
pub(super) fn run(command: &PartnerCommand) -> ExitCode {
    match command {
        PartnerCommand::List(ask) => ask.run(&Request::Partners),
        PartnerCommand::Show { domain, at } => file::show(&at.config, domain),
        PartnerCommand::Add { domain, set, at } => {
            file::change(&at.config, |text| edit::add(text, domain, &edit::wishes(set)?))
        }
        PartnerCommand::Set { domain, settings, at } => {
            file::change(&at.config, |text| edit::set(text, domain, &edit::wishes(settings)?))
        }
        PartnerCommand::Remove { domain, at } => file::change(&at.config, |text| edit::remove(text, domain)),
        PartnerCommand::Test { domain, from, json, at } => {
            let form = if *json { Form::Json } else { Form::Words };
            test::run(&at.config, domain, from.as_deref(), form)
        }
    }
}
