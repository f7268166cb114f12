//! Many runs, each judged by N1–N7 (ARCHITECTURE.md, "What accepted means").

use std::fmt::Write as _;

use sim::trial::play;

/// How many runs when the environment says nothing.
const FEW: u64 = 50;

#[test]
fn every_run_keeps_the_promise() {
    let seeds = std::env::var("SIM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(FEW);
    let (mut complaints, mut sent, mut shown) = (String::new(), 0, 0);

    for seed in 0..seeds {
        let verdict = play(seed);
        sent += verdict.counts.0;
        shown += verdict.counts.1;
        if !verdict.broken.is_empty() {
            let _ = writeln!(complaints, "cargo run --release -p sim -- {seed}\n  {}", verdict.conditions);
            for broken in verdict.broken {
                let _ = writeln!(complaints, "  {broken}");
            }
        }
    }

    assert!(complaints.is_empty(), "promises were broken; replay with:\n{complaints}");
    // A world in which nothing crosses keeps every promise.
    assert!(shown * 2 > sent, "only {shown} of {sent} texts were shown");
}
