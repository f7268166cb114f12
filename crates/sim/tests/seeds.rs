//! Many runs, each judged by N1–N7 (ARCHITECTURE.md, "What accepted means").

use std::fmt::Write as _;

use peer_role::{Acks, Manner, Proves};
use sim::scene::{Options, Talks};
use sim::trial::{Flaw, play, play_crash, play_crash_watching, play_flawed, play_resets};
use sim::watching::Watching;
use sip_proto::endpoint::Transport;

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

#[test]
fn nobody_notices_that_a_connection_broke_under_a_stream_that_goes_on() {
    let mut complaints = String::new();

    for seed in 0..FEW {
        let verdict = play_resets(seed);
        assert!(verdict.history.contains("resumed, "), "seed {seed}: nothing was resumed");
        for broken in verdict.broken {
            let _ =
                writeln!(complaints, "cargo run -p sim -- resets {seed}: {}: {broken}", verdict.conditions);
        }
    }

    assert!(complaints.is_empty(), "promises were broken:\n{complaints}");
}

#[test]
fn a_crash_after_any_output_keeps_the_promise() {
    let counted = Options { acks: Acks::Counted, ..Options::default() };
    let pinged = Options {
        transport: Transport::Tls,
        acks: Acks::Pinged,
        both_ways: false,
        proves: Proves::Either,
        ..Options::default()
    };
    let in_sessions = Options {
        transport: Transport::Tls,
        talks: Talks::InSessions([
            Manner::Well,
            Manner::AcceptedTwice,
            Manner::ForgottenAfter(1),
            Manner::LeavesAfter(1),
        ]),
        ..Options::default()
    };
    let (mut complaints, mut crashes) = (String::new(), 0);

    for options in [counted, pinged, in_sessions] {
        for of_gateway in [true, false] {
            // As long as the role lives to be crashed that late.
            for outputs in 0..400 {
                let Some(verdict) = play_crash(of_gateway, outputs, options) else { break };
                crashes += 1;
                for broken in verdict.broken {
                    let _ = writeln!(complaints, "{}: {broken}", verdict.conditions);
                }
            }
        }
    }

    assert!(complaints.is_empty(), "promises were broken:\n{complaints}");
    assert!(crashes > 100, "only {crashes} crashes were tried");
}

#[test]
fn presence_is_right_after_a_crash_after_any_output() {
    let at_once = Options::default();
    let otherwise = Options {
        transport: Transport::Tls,
        acks: Acks::Pinged,
        both_ways: false,
        talks: Talks::InSessions([Manner::Well; 4]),
        watching: Watching { notifies_first: true, forbids: false, ..Watching::default() },
        ..Options::default()
    };
    let (mut complaints, mut crashes) = (String::new(), 0);

    for (options, step) in [(at_once, 1), (otherwise, 5)] {
        for of_gateway in [true, false] {
            for outputs in (0..1000).step_by(step) {
                let Some(verdict) = play_crash_watching(of_gateway, outputs, options) else { break };
                crashes += 1;
                for broken in verdict.broken {
                    let _ = writeln!(complaints, "{}: {broken}", verdict.conditions);
                }
            }
        }
    }

    assert!(complaints.is_empty(), "promises were broken:\n{complaints}");
    assert!(crashes > 100, "only {crashes} crashes were tried");
}

#[test]
fn each_mistake_that_is_made_on_purpose_is_found() {
    for flaw in [Flaw::NothingKept, Flaw::RefusalsUnheard, Flaw::DeparturesUnheard, Flaw::Mistaken] {
        let finds = |seed: &u64| play_flawed(*seed, flaw).broken.iter().any(|broken| broken.promise == "N6");
        assert!((0..FEW).find(finds).is_some(), "{flaw:?} was not found in {FEW} runs");
    }
}
