//! `cargo run --release -p fuzz -- TARGET SECONDS [SEED]`: new inputs for one target until the time is over.

use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use fuzz::{Mutator, TARGETS, Target};

/// An input that takes longer is written down as one that panics is.
const PATIENCE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let parsed = match words[..] {
        [name, seconds] => Target::named(name).zip(seconds.parse().ok()).zip(Some(1)),
        [name, seconds, seed] => Target::named(name).zip(seconds.parse().ok()).zip(seed.parse().ok()),
        _ => None,
    };
    let Some(((target, seconds), seed)) = parsed else {
        eprintln!("cargo run --release -p fuzz -- TARGET SECONDS [SEED]");
        for target in TARGETS {
            eprintln!("  {:12} {}", target.name, target.promise);
        }
        return ExitCode::from(2);
    };
    run(target, Duration::from_secs(seconds), seed)
}

fn run(target: &'static Target, time: Duration, seed: u64) -> ExitCode {
    let corpus: Vec<_> = target.corpus().into_iter().map(|(_, octets)| octets).collect();
    let mut mutator = Mutator::new(seed, target.words);
    let (begun, mut count) = (Instant::now(), 0u64);
    while begun.elapsed() < time {
        let input = mutator.next(&corpus);
        let started = Instant::now();
        let is_kept = catch_unwind(|| (target.run)(&input)).is_ok();
        // On a busy machine anything may take long once.
        let is_slow = || (0..3).all(|_| time_of(target, &input) > PATIENCE);
        if !is_kept || (started.elapsed() > PATIENCE && is_slow()) {
            let what = if is_kept { "slow" } else { "panic" };
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("found")
                .join(format!("{}-{seed}-{count}.{what}", target.name));
            fs::create_dir_all(path.parent().expect("the path has just been joined"))
                .expect("the project's directory is writable");
            fs::write(&path, &input).expect("the project's directory is writable");
            println!("{what} after {count} inputs: {}", path.display());
            return ExitCode::FAILURE;
        }
        count += 1;
    }
    println!("{}: {count} inputs in {} s, seed {seed}: the promise held", target.name, time.as_secs());
    ExitCode::SUCCESS
}

fn time_of(target: &Target, input: &[u8]) -> Duration {
    let started = Instant::now();
    (target.run)(input);
    started.elapsed()
}
