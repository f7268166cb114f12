//! What was told durable survives `kill -9` at any instant.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use store::{Outcome, Store};

use crate::support::{Place, accepted};

const ROUNDS: usize = 15;
const CHILD: &str = "GANGWAY_STORE_UNDER_TEST";

#[test]
fn what_was_told_durable_survives_a_kill_at_any_instant() {
    let place = Place::new();
    let mut told: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        // Each round ends after another number of acknowledgements.
        told.extend(write_and_kill(&place, round, 1 + round * 37));

        let (_store, recovered) = Store::open(&place.file()).unwrap();

        let there: std::collections::BTreeSet<String> =
            recovered.unsettled.iter().map(|message| message.key.to_string()).collect();
        let lost: Vec<_> = told.iter().filter(|key| !there.contains(*key)).collect();
        assert!(lost.is_empty(), "round {round} lost {lost:?}");
    }
}

/// Starts this very test as a process of its own that writes; kills it after `acks` acknowledgements.
fn write_and_kill(place: &Place, round: usize, acks: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this test is a file"))
        .args(["--exact", "crash::a_process_that_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, place.file())
        .env("ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process starts");
    let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines().map_while(Result::ok);
    let told: Vec<String> =
        lines.filter_map(|line| line.strip_prefix("told ").map(str::to_owned)).take(acks).collect();
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    assert_eq!(told.len(), acks, "the process ended before it was killed");
    told
}

#[test]
fn a_process_that_writes_until_it_is_killed() {
    let Some(file) = std::env::var_os(CHILD) else { return };
    let round = std::env::var("ROUND").unwrap();
    let (store, _) = Store::open(file.as_ref()).unwrap();
    for number in 0_u64.. {
        let name = format!("{round}-{number}");
        let key = name.clone();
        store.submit(vec![accepted(&name)], move |outcome| {
            assert_eq!(outcome, Outcome::Stored);
            let mut out = std::io::stdout().lock();
            // The reader goes away a moment before the kill.
            let _ = writeln!(out, "told {key}").and_then(|()| out.flush());
        });
        if number % 500 == 0 {
            std::thread::yield_now();
        }
    }
}
