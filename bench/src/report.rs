//! What is printed.

use std::fs;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::ledger::percentile;
use crate::measure::Series;
use crate::presence::Presence;
use crate::scale::Scale;
use crate::streams::Held;

/// Everything measured.
#[derive(Debug, Default)]
pub struct Report {
    /// As fast as it goes.
    pub throughput: Vec<Series>,
    /// At a fixed rate.
    pub latency: Vec<Series>,
    /// Streams and sessions that were opened and held.
    pub held: Vec<Held>,
    /// What was seen of presence besides.
    pub presence: Option<Presence>,
    /// What watches cost, by their number.
    pub scales: Vec<Scale>,
    /// Under which conditions.
    pub conditions: Vec<(&'static str, String)>,
}

impl Report {
    /// Returns it for people.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for (what, value) in &self.conditions {
            out.push_str(&format!("{what}: {value}\n"));
        }
        if !self.throughput.is_empty() {
            out.push_str(&format!("\nAs fast as it goes (medians)\n{}\n", self.throughput_table()));
        }
        if !self.latency.is_empty() {
            out.push_str(&format!("\nAt a fixed rate (medians)\n{}\n", self.latency_table()));
        }
        if !self.held.is_empty() {
            out.push_str(&format!("\nStreams and sessions opened and held\n{}\n", self.held_table()));
        }
        if let Some(presence) = &self.presence {
            out.push_str(&format!("\nPresence\n{}\n", presence_table(presence)));
        }
        if !self.scales.is_empty() {
            out.push_str(&format!(
                "\nPresence subscriptions resumed, without sockets\n{}\n",
                self.scale_table()
            ));
        }
        for flaw in self.flaws() {
            out.push_str(&format!("NOT WHOLE: {flaw}\n"));
        }
        out
    }

    /// Returns what was lost, refused or repeated.
    pub fn flaws(&self) -> impl Iterator<Item = String> {
        let presence = self.presence.iter().filter_map(Presence::flaw);
        self.throughput.iter().chain(&self.latency).filter_map(Series::flaw).chain(presence)
    }

    fn throughput_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "path",
            "messages/s",
            "messages/CPU-s",
            "least–most",
            "of which",
            "µs user + system",
            "generators, CPU",
            "peak memory",
        ]);
        for series in &self.throughput {
            let (least, most) = series.range(|sample| sample.per_cpu_second(None));
            let each = |index: usize| {
                series.median(|sample| {
                    sample.used[index].1.sum() * 1e6 / f64::from(sample.outcome.delivered.max(1))
                })
            };
            let names = series.samples[0].used.iter().map(|(name, _)| *name).enumerate();
            let parts: Vec<String> = names.map(|(at, name)| format!("{name} {:.1} µs", each(at))).collect();
            let part = |figure: fn(&crate::process::Used) -> f64| {
                series.median(|sample| {
                    let sum: f64 = sample.used.iter().map(|(_, used)| figure(used)).sum();
                    sum * 1e6 / f64::from(sample.outcome.delivered.max(1))
                })
            };
            let without = series.samples[0].used.is_empty();
            let unless = |text: String| if without { String::new() } else { text };
            table.add_row([
                series.name.clone(),
                thousands(series.median(|sample| sample.outcome.rate())),
                unless(thousands(series.median(|sample| sample.per_cpu_second(None)))),
                unless(format!("{}–{}", thousands(least), thousands(most))),
                parts.join(", "),
                unless(format!("{:.1} + {:.1}", part(|used| used.user), part(|used| used.system))),
                format!(
                    "{:.0} %",
                    100.0 * series.median(|s| s.generators.sum() / s.outcome.took.as_secs_f64())
                ),
                memory(series),
            ]);
        }
        table
    }

    fn latency_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["path", "messages/s", "arrived p50", "p99", "sender told p50", "p99"]);
        for series in &self.latency {
            let [a, b, c, d] = latencies(series).map(|millis| format!("{millis:.2} ms"));
            let rate = thousands(series.median(|sample| sample.outcome.rate()));
            table.add_row([series.name.clone(), rate, a, b, c, d]);
        }
        table
    }

    fn held_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["what", "open", "opened/s", "opened/CPU-s", "memory for each"]);
        for held in &self.held {
            table.add_row([
                held.name.clone(),
                held.streams.to_string(),
                thousands(held.per_second),
                thousands(1e6 / held.cost.max(1.0)),
                format!("{:.1} KiB", held.memory / 1024.0),
            ]);
        }
        table
    }

    fn scale_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["subscriptions", "memory for each", "µs of a processor for each"]);
        for scale in &self.scales {
            let (memory, cost) = (format!("{:.0} octets", scale.memory), format!("{:.1}", scale.cost));
            table.add_row([thousands(f64::from(scale.count)), memory, cost]);
        }
        table
    }

    /// Returns it for machines.
    pub fn json(&self) -> Value {
        let conditions = self.conditions.iter().map(|(what, value)| ((*what).to_owned(), json!(value)));
        let throughput = |series: &Series| {
            json!({
                "path": series.name,
                "messages_per_second": series.median(|sample| sample.outcome.rate()),
                "messages_per_cpu_second": series.median(|sample| sample.per_cpu_second(None)),
                "memory": series.memory.iter().map(|(name, octets)| json!([name, octets])).collect::<Vec<_>>(),
                "runs": series.samples.iter().map(|sample| json!({
                    "sent": sample.outcome.sent,
                    "delivered": sample.outcome.delivered,
                    "refused": sample.outcome.refused,
                    "repeated": sample.outcome.repeated,
                    "retransmitted": sample.outcome.retransmitted,
                    "seconds": sample.outcome.took.as_secs_f64(),
                    "cpu": sample.used.iter().map(|(name, used)| json!({
                        "process": name, "user": used.user, "system": used.system,
                    })).collect::<Vec<_>>(),
                    "generators": sample.generators.sum(),
                })).collect::<Vec<_>>(),
            })
        };
        let latency = |series: &Series| {
            let [one_way_50, one_way_99, told_50, told_99] = latencies(series);
            json!({
                "path": series.name,
                "arrived_ms": { "p50": one_way_50, "p99": one_way_99 },
                "told_ms": { "p50": told_50, "p99": told_99 },
            })
        };
        json!({
            "conditions": conditions.collect::<serde_json::Map<_, _>>(),
            "throughput": self.throughput.iter().map(throughput).collect::<Vec<_>>(),
            "latency": self.latency.iter().map(latency).collect::<Vec<_>>(),
            "presence": self.presence.as_ref().map(|presence| {
                presence.rows().into_iter().map(|(what, figure)| json!([what, figure])).collect::<Vec<_>>()
            }),
            "scale": self.scales.iter().map(|scale| json!({
                "subscriptions": scale.count, "octets": scale.memory, "cpu_microseconds": scale.cost,
            })).collect::<Vec<_>>(),
            "held": self.held.iter().map(|held| json!({
                "server": held.name,
                "streams": held.streams,
                "per_second": held.per_second,
                "cpu_microseconds": held.cost,
                "octets": held.memory,
            })).collect::<Vec<_>>(),
        })
    }
}

fn presence_table(presence: &Presence) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["what", "figure"]);
    for (what, figure) in presence.rows() {
        table.add_row([what, figure]);
    }
    table
}

/// Returns p50 and p99 until arrival, and until the sender was told, in milliseconds.
fn latencies(series: &Series) -> [f64; 4] {
    let millis = |one_way: bool, share: f64| {
        series.median(|sample| {
            let times = if one_way { &sample.outcome.one_way } else { &sample.outcome.told };
            percentile(times, share).as_secs_f64() * 1000.0
        })
    };
    [millis(true, 0.5), millis(true, 0.99), millis(false, 0.5), millis(false, 0.99)]
}

fn memory(series: &Series) -> String {
    let parts = series.memory.iter().map(|(_, octets)| format!("{} MB", octets / 1_000_000));
    parts.collect::<Vec<_>>().join(" + ")
}

/// Writes a number in groups of three digits.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns the machine and the versions.
pub fn conditions(
    kamailio: Option<&std::path::Path>,
    gangway: &std::path::Path,
) -> Vec<(&'static str, String)> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    let says = |program: &std::path::Path, argument: &str| {
        let output = std::process::Command::new(program).arg(argument).output().ok();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default()
    };
    let mut all = vec![
        ("machine", format!("{model}, {cores} cores, load {load} before the first run")),
        ("system", format!("Linux {}", read("/proc/sys/kernel/osrelease").trim())),
        ("date", net::clock::date().to_string()),
        ("gangway", says(gangway, "--version")),
    ];
    if let Some(program) = kamailio {
        all.push(("kamailio", says(program, "-v")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(999.0), "999");
    }
}
