//! A short history of presence in which a role crashes after so many outputs.

use std::time::Duration;

use peer_role::presence::State;

use super::{Fault, Player, RIGHT_WITHIN, STAYS_RIGHT, Verdict, fail, judge};
use crate::ledger::Conditions;
use crate::scene::{Options, Scene, Talks};
use crate::watching::{Contacts, Wish};

const ANN: &str = "ann@x.example";
const EVE: &str = "eve@x.example";
const BOB: &str = "bob@s.example";
const CAROL: &str = "carol@s.example";

/// Plays a short run of presence in which a role crashes after so many outputs; `None` when it ended before that.
#[must_use]
pub fn play_crash_watching(of_gateway: bool, outputs: u64, options: Options) -> Option<Verdict> {
    let mut scene = Scene::new(outputs, options);
    let player = if of_gateway { Player::Gateway } else { Player::Proxy };
    fail(&mut scene, Fault::CrashAfter { node: player, effects: outputs });
    let mut contacts = Contacts::new(true, None);
    for wish in history() {
        contacts.perform(wish, &mut scene);
        scene.world.run(Duration::from_millis(400));
    }
    scene.world.run(Fault::CrashAfter { node: player, effects: outputs }.lasts() + RIGHT_WITHIN);
    let one_tuple = options.talks != Talks::InPages;
    let mut wrong = contacts.judge(&mut scene, one_tuple, false);
    contacts.leave_all(&mut scene);
    scene.world.run(STAYS_RIGHT);
    if wrong.is_empty() {
        wrong = contacts.judge(&mut scene, one_tuple, true);
    }
    if !scene.world.history.iter().any(|(_, _, what)| what == "crashes") {
        return None;
    }
    let role = if of_gateway { "gateway" } else { "proxy" };
    let conditions = format!("{options:?}, the {role} crashes after {outputs} outputs");
    let mut verdict = judge(&scene, outputs, conditions, Conditions::Faulty { faults: 1 });
    verdict.broken.extend(wrong);
    Some(verdict)
}

/// Each kind of wish once, and each end of one.
fn history() -> Vec<Wish> {
    let ask = |watcher: &str, of: &str| Wish::Ask(watcher.to_owned(), of.to_owned());
    let leave = |watcher: &str, of: &str| Wish::Leave(watcher.to_owned(), of.to_owned());
    let decide = |of: &str, watcher: &str, allows| Wish::Decide(of.to_owned(), watcher.to_owned(), allows);
    let show = |user: &str, place: &str, show: Option<&str>| {
        let note = user.split('@').next().unwrap_or_default().to_owned();
        let state = show.map(|show| State { show: show.to_owned(), note });
        Wish::Show(user.to_owned(), place.to_owned(), state)
    };
    vec![
        show(ANN, "desk", Some("")),
        show(EVE, "desk", Some("")),
        show(BOB, "pc", Some("dnd")),
        // Each sees the other; then one is seen no more, and one looks no more.
        ask(ANN, BOB),
        decide(BOB, ANN, true),
        ask(BOB, ANN),
        decide(ANN, BOB, true),
        show(BOB, "cell", Some("away")),
        show(ANN, "phone", Some("xa")),
        show(BOB, "pc", None),
        show(ANN, "desk", None),
        // Who is allowed already, and who is refused.
        decide(CAROL, EVE, false),
        ask(EVE, CAROL),
        decide(EVE, CAROL, false),
        ask(CAROL, EVE),
        // Permissions that are taken back.
        ask(EVE, BOB),
        decide(BOB, EVE, true),
        decide(BOB, EVE, false),
        ask(BOB, EVE),
        decide(EVE, BOB, true),
        decide(EVE, BOB, false),
        // Who leaves, and who comes back.
        decide(CAROL, ANN, true),
        ask(ANN, CAROL),
        leave(ANN, CAROL),
        ask(ANN, CAROL),
        decide(ANN, CAROL, true),
        ask(CAROL, ANN),
        leave(CAROL, ANN),
        Wish::Poll(CAROL.to_owned(), ANN.to_owned()),
    ]
}
