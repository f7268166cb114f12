//! Load generators and side-by-side measurements, on loopback.
//!
//! ```text
//!   agent (SIP) ──▶ gangway gateway ──▶ gangway proxy ──▶ partner (XMPP)     and back
//!   inside (link) ──▶ gangway proxy ──▶ partner (XMPP)                       and back
//!   sender (SIP) ──▶ Kamailio ──▶ receiver (SIP)                             the yardsticks
//!   component ──▶ Prosody ──▶ Prosody ──▶ component
//! ```
//!
//! A message counts when it has arrived at its receiver *and* its sender was told so: by a SIP 200, or by an
//! acknowledgement (XEP-0198). The generators are made of the product's own values and stream machines, and run
//! in this process; what is measured runs in processes of its own.

mod contacts;
mod inside;
mod ledger;
mod measure;
mod pacing;
mod pairs;
mod peer;
mod phones;
mod presence;
mod process;
mod prosody;
mod report;
mod scale;
mod sessions;
mod sip;
mod site;
mod streams;
mod talks;
mod xmpp;
mod yardstick;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use ledger::Pace;
use measure::{Path as Measured, Series};
use report::Report;
use sessions::Sessions;
use site::{Credentials, Shape, Site, TRANSPORTS};
use yardstick::{DIRECT, IN_SESSIONS, Relay, THROUGH};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures gangway on loopback, beside Kamailio's plain relay.
#[derive(Debug, Parser)]
struct Arguments {
    /// About two minutes: asserts that every message arrives, and measures nothing to rely on.
    #[arg(long)]
    quick: bool,
    /// The binary to measure; without it the one beside this program.
    #[arg(long, value_name = "FILE")]
    gangway: Option<PathBuf>,
    /// Kamailio's binary, for the yardstick.
    #[arg(long, value_name = "FILE", default_value = "/usr/sbin/kamailio")]
    kamailio: PathBuf,
    /// Prosody's program, for the other yardstick.
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/prosody")]
    prosody: PathBuf,
    /// How many idle streams are opened and held.
    #[arg(long, default_value_t = 5000)]
    streams: usize,
    /// How many idle SIP sessions are opened and held.
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,
    /// How many presence subscriptions are held each way.
    #[arg(long, default_value_t = 100_000)]
    subscriptions: usize,
    /// Only paths whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How many runs make a median.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// How long a run lasts, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many messages are under way at once.
    #[arg(long, default_value_t = 400)]
    window: usize,
    /// The rate at which latency is measured, in messages a second.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Writes the figures to a file as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leaves configurations and logs in this directory.
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        (arguments.runs, arguments.seconds, arguments.window) = (1, 0.4, 50);
        (arguments.streams, arguments.sessions, arguments.subscriptions) = (100, 100, 100);
    }
    let home = arguments
        .keep
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("gangway-bench-{}", std::process::id())));
    let result = std::fs::create_dir_all(&home).map_err(|why| why.to_string());
    let result = result.and_then(|()| leave_nothing(&arguments, &home));
    let result = result.and_then(|()| measure(&arguments, &home));
    clear(arguments.keep.is_some(), &home);
    match result {
        Ok(report) => show(&arguments, &report),
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// When the run is interrupted, its processes and its directory go, too.
fn leave_nothing(arguments: &Arguments, home: &Path) -> Result<(), String> {
    let (keep, home) = (arguments.keep.is_some(), home.to_owned());
    let watching = net::runtime::on_thread("signals", move || async move {
        if net::runtime::stop_signal().await.is_ok() {
            process::end_all();
            clear(keep, &home);
            std::process::exit(130);
        }
    });
    watching.map(drop).map_err(|why| why.to_string())
}

fn clear(keep: bool, home: &Path) {
    if !keep {
        // What stays behind is in the system's temporary directory.
        let _ = std::fs::remove_dir_all(home);
    }
}

fn show(arguments: &Arguments, report: &Report) -> ExitCode {
    print!("{}", report.print());
    if let Some(file) = &arguments.json
        && let Err(why) = std::fs::write(file, format!("{:#}\n", report.json()))
    {
        eprintln!("bench: {}: {why}", file.display());
        return ExitCode::FAILURE;
    }
    // What the yardstick loses is told, and its own affair.
    if report.flaws().all(|flaw| flaw.starts_with(YARDSTICK) || flaw.starts_with(OTHER_YARDSTICK)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn measure(arguments: &Arguments, home: &Path) -> Result<Report, String> {
    let gangway = arguments.gangway.clone().map_or_else(site::beside_us, Ok)?;
    let kamailio = Some(arguments.kamailio.as_path()).filter(|path| path.is_file() && !arguments.quick);
    let credentials = Credentials::new()?;
    let mut report = Report { conditions: report::conditions(kamailio, &gangway), ..Report::default() };
    report.conditions.push((
        "runs",
        format!(
            "{} of {} s, {} messages under way at once or {} a second",
            arguments.runs, arguments.seconds, arguments.window, arguments.rate
        ),
    ));
    for (shape, words) in [(Shape::OneProcess, "one process"), (Shape::TwoProcesses, "two processes")] {
        if arguments.wants_any(&site_names(shape, words)) {
            let site = Site::start(&gangway, &home.join(words.replace(' ', "-")), shape, &credentials)?;
            arguments.measure_all(site_paths(&site, shape, words), &mut report);
        }
    }
    arguments.measure_sessions(&gangway, home, &credentials, &mut report)?;
    if arguments.wants(presence::NAME) {
        presence::measure(arguments, &gangway, &home.join("presence"), &credentials, &mut report)?;
    }
    if arguments.wants(scale::NAME) {
        report.scales = scale::measure(arguments.quick)?;
    }
    arguments.measure_proxies(&gangway, home, &credentials, &mut report)?;
    if !arguments.quick && arguments.wants_any(&relay_names()) {
        let relay = Relay::start(kamailio, &home.join("relay"), &credentials)?;
        if arguments.wants(&relay_names()[IN_SESSIONS]) {
            Sessions::of(&relay.sender, IN_SESSIONS).open_for_all()?;
        }
        arguments.measure_all(relay_paths(&relay), &mut report);
    }
    Ok(report)
}

/// Returns the names of what is measured at a site: every transport in one process, TLS in two.
fn site_names(shape: Shape, words: &str) -> Vec<String> {
    let transports = if shape == Shape::OneProcess { &TRANSPORTS[..] } else { &TRANSPORTS[..1] };
    let both = |transport: &&str| {
        let transport = transport.to_uppercase();
        [format!("SIP {transport} to XMPP, {words}"), format!("XMPP to SIP {transport}, {words}")]
    };
    transports.iter().flat_map(both).collect()
}

fn site_paths<'a>(site: &'a Site, shape: Shape, words: &str) -> Vec<Measured<'a>> {
    let path = |(at, name): (usize, String)| {
        let (from, to) =
            if at % 2 == 0 { (&site.agent, &site.partner) } else { (&site.partner, &site.agent) };
        Measured::new(name, (from, at / 2), to, &site.processes)
    };
    site_names(shape, words).into_iter().enumerate().map(path).collect()
}

/// Returns the names of what is measured beside the product, in the order of the sender's ways.
fn relay_names() -> Vec<String> {
    let through = THROUGH.iter().map(|transport| format!("{YARDSTICK}, SIP {transport}"));
    let direct = DIRECT.iter().map(|transport| format!("SIP {transport} direct, nothing between"));
    through.chain(direct).collect()
}

/// How the names of its paths begin.
const YARDSTICK: &str = "Kamailio's relay";
const OTHER_YARDSTICK: &str = "Prosody to Prosody";

fn relay_paths(relay: &Relay) -> Vec<Measured<'_>> {
    let path = |(way, name): (usize, String)| {
        let processes = relay.process.iter().filter(|_| way < THROUGH.len());
        Measured::new(name, (&relay.sender, way), &relay.receiver, processes)
    };
    let absent = if relay.process.is_some() { 0 } else { THROUGH.len() };
    relay_names().into_iter().enumerate().skip(absent).map(path).collect()
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    fn wants_any(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    /// Conversations as Skype for Business holds them: what is said in sessions, and sessions that are held.
    fn measure_sessions(
        &self,
        gangway: &Path,
        home: &Path,
        credentials: &Credentials,
        report: &mut Report,
    ) -> Result<(), String> {
        let names = ["SIP TLS to XMPP, in sessions", "XMPP to SIP TLS, in sessions", "sessions held"];
        let start = |own: &str| Site::start(gangway, &home.join(own), Shape::Sessions, credentials);
        if self.wants(names[0]) || self.wants(names[1]) {
            let site = start("sessions")?;
            Sessions::of(&site.agent, 0).open_for_all()?;
            let (agent, partner) = (&site.agent, &site.partner);
            let paths = vec![
                Measured::new(names[0], (agent, 0), partner, &site.processes),
                Measured::new(names[1], (partner, 0), agent, &site.processes),
            ];
            self.measure_all(paths, report);
        }
        if self.wants(names[2]) {
            let site = start("held-sessions")?;
            let rest = if self.quick { Duration::ZERO } else { sessions::REST };
            let (process, count) = (&site.processes[0], self.sessions);
            report.held.push(Sessions::of(&site.agent, 0).hold(names[2], process, count, rest)?);
        }
        Ok(())
    }

    /// The proxy alone, and Prosody beside it: stanzas, and streams that are held.
    fn measure_proxies(
        &self,
        gangway: &Path,
        home: &Path,
        credentials: &Credentials,
        report: &mut Report,
    ) -> Result<(), String> {
        let names = ["XMPP to the link, proxy alone", "the link to XMPP, proxy alone"];
        let held = ["streams held, proxy", "streams held, Prosody"];
        if self.wants_any(&[names[0].into(), names[1].into(), held[0].into()]) {
            let site = Site::start(gangway, &home.join("alone"), Shape::ProxyAlone, credentials)?;
            let (partner, inside) = (&site.partner, &site.agent);
            let paths = vec![
                Measured::new(names[0], (partner, 0), inside, &site.processes),
                Measured::new(names[1], (inside, 0), partner, &site.processes),
            ];
            self.measure_all(paths, report);
        }
        if self.wants(held[0]) {
            // A process of its own, so that nothing else is in its memory.
            let site = Site::start(gangway, &home.join("held"), Shape::ProxyAlone, credentials)?;
            let pair = streams::pair(site::PARTNER, &site::domain_of("tls"))?;
            let (process, count) = (&site.processes[0], self.streams);
            report.held.push(streams::hold(held[0], process, site.xmpp, pair, count, credentials)?);
        }
        let both = format!("{OTHER_YARDSTICK}, component to component");
        let has_prosody = self.prosody.is_file() && !self.quick;
        if has_prosody && self.wants_any(&[both.clone(), held[1].into()]) {
            let pair = prosody::Pair::start(&self.prosody, &home.join("prosody"), credentials)?;
            let path = Measured::new(both, (&pair.sender, 0), &pair.receiver, &pair.processes);
            self.measure_all(vec![path], report);
            if self.wants(held[1]) {
                let domains = streams::pair(site::PARTNER, &pair.second.ip().to_string())?;
                let (process, count) = (&pair.processes[1], self.streams);
                report.held.push(streams::hold(held[1], process, pair.second, domains, count, credentials)?);
            }
        }
        Ok(())
    }

    fn measure_all(&self, paths: Vec<Measured<'_>>, report: &mut Report) {
        let lasts = Duration::from_secs_f64(self.seconds);
        let interval = Duration::from_secs(1) / self.rate.max(1);
        for path in paths.into_iter().filter(|path| self.wants(&path.name)) {
            if self.rate > 0 {
                let series = path.measure(Pace::Every(interval), lasts, self.runs);
                Self::tell(&series, "at a fixed rate");
                report.latency.push(series);
            }
            if self.window > 0 {
                let series = path.measure(Pace::Window(self.window), lasts, self.runs);
                Self::tell(&series, "as fast as it goes");
                report.throughput.push(series);
            }
        }
    }

    /// Says on standard error how far it is.
    fn tell(series: &Series, how: &str) {
        let rate = series.median(|sample| sample.outcome.rate());
        let per_cpu = series.median(|sample| sample.per_cpu_second(None));
        eprintln!("bench: {}, {how}: {rate:.0} messages/s, {per_cpu:.0} a CPU second", series.name);
    }
}
