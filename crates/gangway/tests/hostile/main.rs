//! The hostile XMPP corpus against the running proxy, over sockets and TLS: whole, octet by octet, and split
//! everywhere. Meanwhile another stream must go on, and afterwards the program must hold nothing of it.
#![expect(clippy::unwrap_used, reason = "the corpus is ours: what is wrong with it fails the test")]

#[path = "../../../xmpp-proto/tests/corpus/mod.rs"]
mod corpus;
mod crowd;
mod gateway;
mod house;
mod siege;
mod stream_errors;
#[path = "../support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use corpus::outcome::Split;
use corpus::verdict::is_expected;
use corpus::{Case, Phase, cases};
use siege::{Sending, Siege, Way, outgoing_name};

#[test]
fn every_hostile_input_is_answered_by_the_listener_as_the_index_says_however_it_is_split() {
    let next = AtomicUsize::new(0);
    let complaints = Mutex::new(Vec::new());

    std::thread::scope(|scope| {
        for _ in 0..SIEGES {
            scope.spawn(|| {
                let mut siege = Siege::begin(&outgoing_names());
                while let Some(case) = cases().get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = judge(&mut siege, case);
                    complaints.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                }
                let rest = siege.wait_for_rest().err();
                complaints.lock().unwrap_or_else(PoisonError::into_inner).extend(rest);
            });
        }
    });

    let complaints = complaints.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(complaints.is_empty(), "{} wrong:\n{}", complaints.len(), complaints.join("\n"));
    assert_eq!(cases().len(), 145);
}

/// Returns what is wrong with the answers to one input.
fn judge(siege: &mut Siege, case: &Case) -> Vec<String> {
    let number = numbers(case);
    let whole = siege.outcome(case, number);
    if !is_expected(case, &whole) {
        let wrong = format!(
            "{} ({:?}): expected {} {:?} or {:?}, got {whole:#?}",
            case.id, case.phase, case.expect_type, case.expected, case.also
        );
        return vec![wrong];
    }
    let mut complaints: Vec<String> = Vec::new();
    let mut sent = 1;
    for sendings in sendings(case).chunks(AT_ONCE) {
        complaints.extend(siege.differences(case, &whole, sendings, number + sent));
        sent += sendings.len();
    }
    complaints
}

/// Returns every way of sending an input again.
fn sendings(case: &Case) -> Vec<Sending> {
    let octets = case.octets.len();
    let edges = if octets <= SMALL {
        Vec::from_iter(1..octets)
    } else if octets <= LARGE {
        // Where buffers may end.
        vec![1, 1023, 1024, 4095, 4096, 16_383, 16_384, 16_385, 65_536, octets - 1]
    } else {
        Vec::new()
    };
    let chunks = Split::Chunks(1.max(octets / CHUNKS_MAX));
    let splits = edges.into_iter().filter(|at| *at < octets).map(Split::At);
    [chunks].into_iter().chain(splits).map(|split| Sending { way: Way::DirectTls, split }).collect()
}

/// Returns the first of the domains from which streams are opened for an input.
fn numbers(case: &Case) -> usize {
    let outgoing = cases().iter().filter(|case| is_outgoing(case));
    outgoing.take_while(|other| other.id != case.id).map(|other| sendings(other).len() + 1).sum()
}

fn outgoing_names() -> Vec<String> {
    let outgoing = cases().iter().filter(|case| is_outgoing(case));
    let count: usize = outgoing.map(|case| sendings(case).len() + 1).sum();
    (0..count).map(outgoing_name).collect()
}

fn is_outgoing(case: &Case) -> bool {
    matches!(case.phase, Phase::OutgoingClear | Phase::OutgoingSecure)
}

/// How many proxies are attacked at the same time.
const SIEGES: usize = 2;
/// How many connections attack a proxy at the same time.
const AT_ONCE: usize = 200;
/// In how many parts an input is sent at most.
const CHUNKS_MAX: usize = 1200;
/// Up to how many octets an input is split everywhere.
const SMALL: usize = 1200;
/// Up to how many octets an input is split at many places.
const LARGE: usize = 1 << 20;
