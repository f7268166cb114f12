//! The command line.

pub(crate) mod ask;
mod check;
mod partner;
mod trace;
pub(crate) mod user;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use admin::{Level, Request};

use crate::config::{self, Reading};
use crate::demo;
use crate::roles::{self, Which};

use ask::Form;

/// XMPP federation for SIP/SIMPLE deployments.
#[derive(Debug, Parser)]
#[command(name = "gangway", version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Shows a SIP user and an XMPP user writing to each other, without any configuration.
    ///
    /// Starts a proxy, a gateway, an XMPP server and a SIP user agent in this process, on free ports of
    /// 127.0.0.1, with certificates of a throw-away authority. Type as either user; see `/help`.
    Demo(demo::Options),
    /// Says every mistake in a configuration file, with its place and what to write instead.
    ///
    /// Ends with 0 if there is none, with 1 if there is one, with 2 if the file cannot be read.
    Check(At),
    /// What may stand in the configuration file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Runs all roles that the configuration file has, in one process.
    ///
    /// SIGTERM and SIGINT end it in good order, within 30 s; SIGHUP is `gangway reload`.
    Run(At),
    /// Runs the XMPP proxy alone: reads `[proxy]`.
    Proxy(At),
    /// Runs the SIP gateway alone: reads `[gateway]`.
    Gateway(At),
    /// Shows how the running process is: its roles, links and certificates.
    Status(Ask),
    /// Shows which streams are open with partners.
    Streams(Ask),
    /// Shows the conversations that are held in SIP sessions: with whom, how, since when, and what waits in them.
    ///
    /// Below them stands what was learned of SIP users' programs, such as that they take no sessions; it is forgotten
    /// after a day.
    Conversations(Ask),
    /// Says who sees whose presence, and why: permission, SIP dialogs, the last word, and what went wrong.
    Presence {
        /// A user, by his XMPP or SIP address; without one, everybody.
        user: Option<String>,
        /// Only those who see something else than they should.
        #[arg(long)]
        wrong: bool,
        #[command(flatten)]
        ask: Ask,
    },
    /// Shows what waits in the running process.
    Queue(Ask),
    /// Follows messages across both protocols: what the running process saw of a user, a domain or a message.
    ///
    /// Shows what is kept of the recent past, oldest first, in local time: what arrived, under which id and Call-ID, what
    /// became of it. With `--follow` also every SIP message and stanza as it crosses, without what people write.
    /// Each process tells what it saw itself: the proxy the XMPP side, the gateway both ends of a crossing.
    Trace(trace::Options),
    /// Says whether a SIP user may federate, and why: which list or setting names him.
    ///
    /// Asks the running process, which has the lists as they were read last; without one, reads the file and the lists.
    /// Ends with 0 if he may and with 1 if not.
    User {
        /// The user's address, such as `bob@example.com` or `sip:bob@example.com`.
        address: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// The partners: which there are, whether one can be reached, and changes of the configuration file.
    #[command(subcommand)]
    Partner(partner::PartnerCommand),
    /// Shows how much the running process logs, and changes it until it ends.
    LogLevel {
        /// error, warn, info, debug or trace.
        level: Option<String>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Has the running process read its configuration and certificates again.
    Reload(Ask),
    /// Has the running process end in good order.
    Stop(Ask),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints a commented configuration file to start from.
    Example,
}

/// Where the configuration file is.
#[derive(Debug, clap::Args)]
struct At {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

/// Which process to ask, and how to show what it says.
#[derive(Debug, clap::Args)]
struct Ask {
    #[command(flatten)]
    at: At,
    /// Prints the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Ask {
    fn run(&self, request: &Request) -> ExitCode {
        ask::run(&self.at.config, request, self.form())
    }

    fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Words }
    }
}

const DEFAULT_FILE: &str = "/etc/gangway/gangway.toml";

/// Runs the command that the process was started with, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Demo(options) => demo::run(&options),
        Command::Check(at) => check::run(&at.config),
        Command::Config(ConfigCommand::Example) => print(&config::example::example()),
        Command::Run(at) => run(&at, Which::All),
        Command::Proxy(at) => run(&at, Which::Proxy),
        Command::Gateway(at) => run(&at, Which::Gateway),
        Command::Status(ask) => ask.run(&Request::Status),
        Command::Streams(ask) => ask.run(&Request::Streams),
        Command::Trace(options) => trace::run(&options),
        Command::User { address, ask } => user::run(&ask.at.config, &address, ask.form()),
        Command::Partner(command) => partner::run(&command),
        Command::Conversations(ask) => ask.run(&Request::Conversations),
        Command::Presence { user, wrong, ask } => ask.run(&Request::Presence { user, wrong }),
        Command::Queue(ask) => ask.run(&Request::Queue),
        Command::LogLevel { level, ask } => match level.as_deref().map(parse_level).transpose() {
            Ok(level) => ask.run(&Request::LogLevel { level }),
            Err(why) => {
                complain(&why);
                ExitCode::from(UNUSABLE)
            }
        },
        Command::Reload(ask) => ask.run(&Request::Reload),
        Command::Stop(ask) => ask.run(&Request::Stop),
    }
}

fn run(at: &At, which: Which) -> ExitCode {
    match read(&at.config) {
        Ok(reading) => roles::run(reading, which),
        Err(code) => code,
    }
}

fn parse_level(word: &str) -> Result<Level, String> {
    Level::parse(word).ok_or_else(|| format!("`{word}` is no level: write error, warn, info, debug or trace"))
}

/// A wrong configuration, or a command that came to nothing.
const WRONG: u8 = 1;
/// A wrong command line, or a file that cannot be read.
const UNUSABLE: u8 = 2;

/// Prints to standard output; a reader that has gone away has seen enough.
fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(WRONG),
    }
}

/// Prints one line that a person must read.
fn complain(words: &str) {
    eprintln!("gangway: {words}");
}

/// Reads the file and prints what is wrong with it; without a mistake returns what it says.
fn read(file: &Path) -> Result<Reading, ExitCode> {
    let reading = config::load(file).map_err(|why| {
        complain(&why);
        ExitCode::from(UNUSABLE)
    })?;
    if !reading.findings().is_empty() {
        eprintln!("{}", reading.render(config::paint_for_stderr()));
    }
    if reading.is_right() { Ok(reading) } else { Err(ExitCode::from(WRONG)) }
}

/// Returns the manual's page of all commands, in Markdown.
#[must_use]
pub fn manual() -> String {
    let mut out = String::from(
        "# Commands\n\n\
         This page is made from the code; `gangway help COMMAND` prints the same. Commands that talk to a running\n\
         process find it by the configuration file (`socket` of `[admin]`).\n",
    );
    let mut all = Arguments::command();
    all.build();
    manual_of(&mut all, "", &mut out);
    out
}

fn manual_of(command: &mut clap::Command, above: &str, out: &mut String) {
    use std::fmt::Write as _;
    let name = if above.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{above} {}", command.get_name())
    };
    if command.get_name() == "help" {
        return;
    }
    let help = command.clone().term_width(100).render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(out, "\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    for child in command.get_subcommands_mut() {
        manual_of(child, &name, out);
    }
}
