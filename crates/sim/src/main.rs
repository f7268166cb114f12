//! Replays runs: `cargo run --release -p sim -- SEED` shows one whole history, `-- FROM TO` judges many, and
//! `-- FILE.scn …` performs plays and tells the history of those that fail. With `resets` before the numbers only
//! connections with the partner break, and its streams go on; `crash-watching gateway 80` is the short history of presence in
//! which the gateway, or the proxy, crashes after so many outputs.

use std::process::ExitCode;

use sim::play::perform_text;
use sim::scene::Options;
use sim::trial::{Verdict, play, play_crash_watching, play_resets};

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).filter(|name| name.ends_with(".scn")).collect();
    if !files.is_empty() {
        return perform_all(&files);
    }
    if let [word, role, outputs] = &std::env::args().skip(1).collect::<Vec<_>>()[..]
        && word == "crash-watching"
    {
        let outputs = outputs.parse().unwrap_or(0);
        let Some(verdict) = play_crash_watching(role == "gateway", outputs, Options::default()) else {
            println!("it ended before that");
            return ExitCode::SUCCESS;
        };
        print!("{}", verdict.history);
        return judge(&verdict);
    }
    let seeds: Vec<u64> = std::env::args().skip(1).filter_map(|seed| seed.parse().ok()).collect();
    // With connections that break under streams that go on, and nothing else that goes wrong.
    let play = if std::env::args().nth(1).is_some_and(|word| word == "resets") { play_resets } else { play };
    match seeds[..] {
        [seed] => {
            let verdict = play(seed);
            print!("{}", verdict.history);
            judge(&verdict)
        }
        [from, to] => {
            let failed = (from..to).map(play).filter(|verdict| judge(verdict) == ExitCode::FAILURE).count();
            println!("{} passed, {failed} failed", (to - from).saturating_sub(failed as u64));
            if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => {
            eprintln!("usage: sim [resets] SEED, or sim [resets] FROM TO, or sim FILE.scn…");
            ExitCode::from(2)
        }
    }
}

fn judge(verdict: &Verdict) -> ExitCode {
    if verdict.broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("seed {}: {}", verdict.seed, verdict.conditions);
    for broken in &verdict.broken {
        println!("  {broken}");
    }
    ExitCode::FAILURE
}

fn perform_all(files: &[String]) -> ExitCode {
    let mut failed = 0;
    for file in files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(why) => {
                println!("{file}: {why}");
                failed += 1;
                continue;
            }
        };
        if let Err(failure) = perform_text(&text, 0) {
            println!("{}\n{file}:{}: {}", failure.history, failure.flaw.line, failure.flaw.what);
            failed += 1;
        }
    }
    println!("{} passed, {failed} failed", files.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
