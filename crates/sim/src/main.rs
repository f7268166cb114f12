//! Replays runs: `cargo run --release -p sim -- SEED` shows one whole history, `-- FROM TO` judges many.

use std::process::ExitCode;

use sim::trial::{Verdict, play};

fn main() -> ExitCode {
    let seeds: Vec<u64> = std::env::args().skip(1).filter_map(|seed| seed.parse().ok()).collect();
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
            eprintln!("usage: sim SEED, or sim FROM TO");
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
