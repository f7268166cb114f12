//! The measurements: each is a number of runs, of which the medians count.

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use crate::ledger::{Outcome, Pace, Run};
use crate::peer::{Command, Peer};
use crate::process::{Process, Used, used};

/// What to measure between two generators.
pub struct Path<'a> {
    /// What it is, for people.
    pub name: String,
    /// Who sends.
    pub from: &'a Peer,
    /// By which of its ways.
    pub way: usize,
    /// Who receives.
    pub to: &'a Peer,
    /// What is between them.
    pub processes: Vec<&'a Process>,
    /// How many messages a run has at most.
    pub most: usize,
    /// How long nobody says anything before a run.
    pub rest: Duration,
}

/// One run and what it cost.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What became of the messages.
    pub outcome: Outcome,
    /// What each process used, by its name.
    pub used: Vec<(&'static str, Used)>,
    /// What the generators used.
    pub generators: Used,
}

/// Several runs of one path at one pace.
#[derive(Clone, Debug)]
pub struct Series {
    /// The path's name.
    pub name: String,
    /// The runs.
    pub samples: Vec<Sample>,
    /// The most memory of each process after the last, in octets.
    pub memory: Vec<(&'static str, u64)>,
}

impl<'a> Path<'a> {
    /// Returns what is measured from one generator to another by this way.
    pub fn new(
        name: impl Into<String>,
        from: (&'a Peer, usize),
        to: &'a Peer,
        processes: impl IntoIterator<Item = &'a Process>,
    ) -> Self {
        let processes = processes.into_iter().collect();
        Self { name: name.into(), from: from.0, way: from.1, to, processes, most: MOST, rest: Duration::ZERO }
    }

    /// Makes `runs` runs, after one that only warms up.
    pub fn measure(&self, pace: Pace, lasts: Duration, runs: usize) -> Series {
        let warm = Pace::Window(16);
        self.run(warm, Duration::from_millis(300));
        let samples = std::iter::repeat_with(|| self.run(pace, lasts)).take(runs).collect();
        let memory = self.processes.iter().map(|process| (process.name, process.memory())).collect();
        Series { name: self.name.clone(), samples, memory }
    }

    fn run(&self, pace: Pace, lasts: Duration) -> Sample {
        sleep(self.rest);
        let before: Vec<Used> = self.processes.iter().map(|process| process.used()).collect();
        let own = used(std::process::id()).unwrap_or_default();
        let run = Arc::new(Run::new(pace, lasts, self.most));
        self.to.tell(Command::Receive(Arc::clone(&run)));
        self.from.tell(Command::Send(Arc::clone(&run), self.way));
        while !run.is_over() && !run.is_late(PATIENCE) {
            sleep(Duration::from_millis(5));
        }
        // What arrives twice arrives soon.
        sleep(Duration::from_millis(50));
        let after = self.processes.iter().map(|process| process.used());
        let used = self.processes.iter().zip(after.zip(before));
        Sample {
            outcome: run.outcome(),
            used: used.map(|(process, (after, before))| (process.name, after.since(before))).collect(),
            generators: used_by_us(own),
        }
    }
}

fn used_by_us(before: Used) -> Used {
    used(std::process::id()).unwrap_or_default().since(before)
}

impl Sample {
    /// Returns the messages delivered for each second of processors that a process used, or all of them.
    pub fn per_cpu_second(&self, process: Option<&str>) -> f64 {
        let named = |name: &str| process.is_none_or(|process| process == name);
        let used: f64 = self.used.iter().filter(|(name, _)| named(name)).map(|(_, used)| used.sum()).sum();
        f64::from(self.outcome.delivered) / used.max(0.01)
    }
}

impl Series {
    /// Returns the median of a figure over the runs.
    pub fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.samples.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    }

    /// Returns the least and the greatest of a figure over the runs.
    pub fn range(&self, figure: impl Fn(&Sample) -> f64) -> (f64, f64) {
        let figures = self.samples.iter().map(figure);
        figures.fold((f64::INFINITY, 0.0), |(least, most), one| (least.min(one), most.max(one)))
    }

    /// Says what was not whole in a run, if anything.
    pub fn flaw(&self) -> Option<String> {
        let broken = self.samples.iter().map(|sample| &sample.outcome).find(|outcome| !outcome.is_whole())?;
        Some(format!(
            "{}: {} sent, {} delivered and told so, {} refused, {} twice, {} that nobody sent",
            self.name, broken.sent, broken.delivered, broken.refused, broken.repeated, broken.strange
        ))
    }
}

/// How many messages a run has at most, unless something else bounds it.
pub const MOST: usize = 2_000_000;
/// How long the last messages of a run may take.
const PATIENCE: Duration = Duration::from_secs(10);
