//! Presence: very many subscriptions each way, held, told of changes, and resumed after the product was killed.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Arguments;
use crate::measure::{MOST, Path as Measured};
use crate::pairs::{Aftermath, Side};
use crate::peer::{Command, Opening, Peer};
use crate::process::Process;
use crate::report::{Report, thousands};
use crate::site::{Credentials, Shape, Site};
use crate::streams::{Held, wait_for};

/// What all its paths' names contain.
pub const NAME: &str = "presence";

/// What was seen besides of the subscriptions.
#[derive(Clone, Debug)]
pub struct Presence {
    /// How many there were each way.
    count: usize,
    /// Resident memory of the product: without any, and with all of them.
    resident: (u64, u64),
    /// Octets of the store.
    store: u64,
    /// Seconds of processors that it used in a second in which nothing happened.
    idle: f64,
    /// What followed after it was killed.
    start: Start,
}

/// How the product went on after it was killed.
#[derive(Clone, Debug)]
struct Start {
    /// Until it listened.
    listening: Duration,
    /// Until the first of each side's subscriptions was served, and all were.
    first: [Duration; 2],
    all: [Duration; 2],
    /// The most that came to each side in a second.
    most: [u32; 2],
    /// How many were not resumed.
    missing: usize,
    /// Resident memory afterwards.
    resident: u64,
}

/// Measures it.
pub fn measure(
    arguments: &Arguments,
    gangway: &Path,
    home: &Path,
    credentials: &Credentials,
    report: &mut Report,
) -> Result<(), String> {
    // What an earlier run has left here is not measured.
    let files = ["gateway.db", "gateway.db-wal"].map(|file| home.join(file));
    files.iter().for_each(|file| drop(fs::remove_file(file)));
    let mut site = Site::start(gangway, home, Shape::Presence, credentials)?;
    let rest = if arguments.quick { Duration::from_millis(100) } else { REST };
    let count = arguments.subscriptions;
    // What is built once at the first is not of the others.
    let few = (count / 100).clamp(1, 100);
    let mut outward = Opened::by(&site.partner);
    let mut inward = Opened::by(&site.agent);
    outward.open(few)?;
    inward.open(few)?;
    sleep(rest);
    let empty = site.processes[0].resident();
    let names = ["XMPP users watch SIP users, presence", "SIP users watch XMPP users, presence"];
    report.held.push(outward.hold(names[0], &site.processes[0], count - few, rest)?);
    report.held.push(inward.hold(names[1], &site.processes[0], count - few, rest)?);
    let idle = idle(&site.processes[0], if arguments.quick { rest } else { Duration::from_secs(10) });
    arguments.measure_all(paths(&site, count, arguments.quick, ""), report);
    sleep(rest);
    let resident = (empty, site.processes[0].resident());
    let store = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
    let start = start_anew(&mut site, home, count, rest)?;
    // What is said in the old dialogs crosses as before.
    arguments.measure_all(paths(&site, count, arguments.quick, ", resumed"), report);
    report.presence = Some(Presence { count, resident, store, idle, start });
    Ok(())
}

/// Changes of those who are watched; each subscription has one in a run, and longer than the pace passes between two.
fn paths<'a>(site: &'a Site, count: usize, is_quick: bool, when: &str) -> Vec<Measured<'a>> {
    let most = count.min(MOST);
    let rest = Duration::from_millis(if is_quick { 5100 } else { 6000 });
    let path = |name: &str, from, to, rest| {
        let name = format!("{NAME}: {name}, TLS{when}");
        Measured { most, rest, ..Measured::new(name, (from, 0), to, &site.processes) }
    };
    vec![
        path("NOTIFY to stanza", &site.agent, &site.partner, Duration::ZERO),
        path("stanza to NOTIFY", &site.partner, &site.agent, rest),
    ]
}

fn idle(process: &Process, lasts: Duration) -> f64 {
    let used = process.used();
    sleep(lasts);
    process.used().since(used).sum() / lasts.as_secs_f64()
}

/// Kills the product and sees how its subscriptions go on.
fn start_anew(site: &mut Site, home: &Path, count: usize, rest: Duration) -> Result<Start, String> {
    let aftermath = Arc::new(Aftermath::new());
    site.partner.tell(Command::Watch(Arc::clone(&aftermath)));
    site.agent.tell(Command::Watch(Arc::clone(&aftermath)));
    site.processes[0].crash(home)?;
    site.processes[0].await_listening(site.xmpp)?;
    let listening = aftermath.elapsed();
    site.partner.tell(Command::Redial(site.xmpp));
    let resumed = || aftermath.resumed.each_ref().map(|count| count.load(Relaxed));
    let mut all = [Duration::MAX; 2];
    let (mut last, mut moved) = ([0; 2], Instant::now());
    while all.contains(&Duration::MAX) && moved.elapsed() < PATIENCE {
        sleep(Duration::from_millis(20));
        let known = resumed();
        for side in 0..2 {
            if known[side] >= count && all[side] == Duration::MAX {
                all[side] = aftermath.elapsed();
            }
        }
        if known != last {
            (last, moved) = (known, Instant::now());
        }
    }
    sleep(rest);
    let first = [Side::Sip, Side::Xmpp].map(|side| aftermath.first(side).unwrap_or(Duration::MAX));
    Ok(Start {
        listening,
        first,
        all,
        most: [aftermath.most(Side::Sip), aftermath.most(Side::Xmpp)],
        missing: resumed().iter().map(|known| count.saturating_sub(*known)).sum(),
        resident: site.processes[0].resident(),
    })
}

/// The subscriptions that one generator has opened.
struct Opened<'a> {
    peer: &'a Peer,
    asked: usize,
    open: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl<'a> Opened<'a> {
    fn by(peer: &'a Peer) -> Self {
        Self { peer, asked: 0, open: Arc::default(), refused: Arc::default() }
    }

    fn open(&mut self, count: usize) -> Result<(), String> {
        let (open, refused) = (Arc::clone(&self.open), Arc::clone(&self.refused));
        self.peer.tell(Command::Open(Opening { way: 0, count, open, refused }));
        self.asked += count;
        wait_for(&self.open, &self.refused, self.asked).map_err(|why| format!("subscriptions: {why}"))
    }

    fn hold(&mut self, name: &str, process: &Process, count: usize, rest: Duration) -> Result<Held, String> {
        let (memory, used, begun) = (process.resident(), process.used(), Instant::now());
        self.open(count)?;
        let (took, used) = (begun.elapsed().as_secs_f64(), process.used().since(used));
        sleep(rest);
        let grown = process.resident().saturating_sub(memory);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let (each, grown) = (count.max(1) as f64, grown as f64);
        Ok(Held {
            name: name.to_owned(),
            streams: count,
            per_second: each / took,
            cost: used.sum() * 1e6 / each,
            memory: grown / each,
        })
    }
}

impl Presence {
    /// Says what went wrong, if anything.
    pub fn flaw(&self) -> Option<String> {
        (self.start.missing > 0)
            .then(|| format!("presence: {} of {} were not resumed", self.start.missing, 2 * self.count))
    }

    /// Returns it in words and figures.
    pub fn rows(&self) -> Vec<(String, String)> {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let (both, grown, store) = (
            2.0 * self.count as f64,
            self.resident.1.saturating_sub(self.resident.0) as f64,
            self.store as f64,
        );
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let start = &self.start;
        let row = |what: &str, figure: String| (what.to_owned(), figure);
        vec![
            row("subscriptions", thousands(both)),
            row("resident memory for each, after the runs", format!("{:.0} octets", grown / both)),
            row("resident memory", format!("{} MB", self.resident.1 / 1_000_000)),
            row("processor while nothing happens", format!("{:.2} %", 100.0 * self.idle)),
            row("store for each", format!("{:.0} octets", store / both)),
            row("after kill -9: it listens", seconds(start.listening)),
            row("first request to the SIP side", seconds(start.first[0])),
            row("first probe to the XMPP side", seconds(start.first[1])),
            row("all XMPP users' are refreshed", seconds(start.all[0])),
            row("all SIP users' are told", seconds(start.all[1])),
            row("most requests to the SIP side in a second", start.most[0].to_string()),
            row("most probes to the XMPP side in a second", start.most[1].to_string()),
            row("not resumed", start.missing.to_string()),
            row("resident memory after it", format!("{} MB", start.resident / 1_000_000)),
        ]
    }
}

/// As long as the allocator keeps what was let go, and somewhat longer.
const REST: Duration = Duration::from_secs(15);
/// How long nothing may happen after a start before it is all that happens.
const PATIENCE: Duration = Duration::from_secs(90);
