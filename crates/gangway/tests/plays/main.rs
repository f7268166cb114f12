//! The plays of `scenarios/` before the real program: one process for each, sockets, TLS, SQLite and a real clock.
//!
//! The same plays are performed in the simulated world, where time costs nothing; here are those that do without
//! minutes and without a link to break, because proxy and gateway are in one process.

mod house;
mod peers;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use peer_role::play::{Act, Fault, Play, domains_in, perform};

use stage::RealStage;

#[test]
fn every_play_that_needs_no_long_wait_is_performed_by_the_program() {
    let files = Mutex::new(plays(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")));
    let complaints = Mutex::new(Vec::new());
    let count = Mutex::new(0_u32);

    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(file) = next(&files) {
                    let text = std::fs::read_to_string(&file).expect("the play can be read");
                    let play = Play::parse(&text).expect("the simulated world has read it, too");
                    if !needs_another_stage(&play) {
                        *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                        let failure = on_stage(&play, &text).err();
                        let complaint = failure.map(|why| format!("{}:{why}", file.display()));
                        complaints.lock().unwrap_or_else(PoisonError::into_inner).extend(complaint);
                    }
                }
            });
        }
    });

    let complaints = complaints.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    let count = count.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(count > 30, "only {count} plays were performed");
}

fn on_stage(play: &Play, text: &str) -> Result<(), String> {
    let mut stage = RealStage::new(play, &domains_in(text)).map_err(|why| format!(" {why}"))?;
    perform(play, &mut stage).map_err(|flaw| {
        let line = text.lines().nth(flaw.line - 1).unwrap_or_default();
        format!("{}: {line}\n  {}\n{}", flaw.line, flaw.what, stage.log())
    })
}

/// Tells whether a play can only be performed in virtual time, or with roles that are apart.
fn needs_another_stage(play: &Play) -> bool {
    // Only the simulated world has a DNS, and more proxies than one.
    let is_of_that_world =
        ["srv", "sip-srv", "proxies", "proves"].iter().any(|name| play.setting(name).is_some());
    is_of_that_world
        || play.steps.iter().any(|step| match &step.act {
            Act::Wait(time) => *time > LONG,
            Act::XmppHears(_, timing) | Act::SipHears(_, timing) => timing.after.max(timing.within) > LONG,
            // What the program tells its operator, and a partner that misbehaves, are seen in the simulated world.
            Act::OperatorHears(..) => true,
            Act::Fault(fault) => !matches!(
                fault,
                Fault::RestartGateway
                    | Fault::StopGateway
                    | Fault::StartGateway
                    | Fault::HoldAcks
                    | Fault::ReleaseAcks
            ),
            Act::XmppSays(_)
            | Act::SipSays(_)
            | Act::SipRepeats
            | Act::SipHangsUp
            | Act::SipAnswers(_)
            | Act::Differ(_) => false,
        })
}

fn next(files: &Mutex<VecDeque<PathBuf>>) -> Option<PathBuf> {
    files.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn plays(folder: &Path) -> VecDeque<PathBuf> {
    let mut found = VecDeque::new();
    for entry in std::fs::read_dir(folder).expect("the folder of plays is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(plays(&path));
        } else if path.extension().is_some_and(|extension| extension == "scn") {
            found.push_back(path);
        }
    }
    found
}

/// How many plays are performed at a time; most of it is waiting.
const AT_ONCE: usize = 12;
/// What is too long for a real clock.
const LONG: Duration = Duration::from_secs(10);
