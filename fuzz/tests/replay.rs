//! Every target over its corpus, and over mutations that are the same in every run.

use fuzz::{Mutator, TARGETS};

const MUTATIONS: usize = 3_000;

#[test]
fn every_sample_keeps_the_promise() {
    for target in TARGETS {
        for (path, octets) in target.corpus() {
            println!("{}: {}", target.name, path.display());
            (target.run)(&octets);
        }
    }
}

#[test]
fn every_mutation_keeps_the_promise() {
    for target in TARGETS {
        // Large samples are replayed above; mutating them costs time and finds nothing that small ones do not.
        let corpus: Vec<_> = target
            .corpus()
            .into_iter()
            .map(|(_, octets)| octets)
            .filter(|octets| octets.len() < 4096)
            .collect();
        let mut mutator = Mutator::new(0x6761_6e67, target.words);
        for number in 0..MUTATIONS {
            let input = mutator.next(&corpus);
            println!("{} mutation {number}: {}", target.name, input.escape_ascii());
            (target.run)(&input);
        }
    }
}
