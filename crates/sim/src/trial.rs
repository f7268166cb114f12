//! One run: what people type and what goes wrong, both drawn from the seed, and the verdict.

mod crash;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use peer_role::{Acks, Manner, Proves};
use sip_proto::endpoint::Transport;

use crate::chance::Chance;
use crate::ledger::{Broken, Conditions};
use crate::scene::{Options, Scene, Talks};
use crate::watching::{Contacts, Watching};
use crate::world::NodeId;

pub use crash::play_crash_watching;

/// How long people type and things go wrong.
const BUSY: Duration = Duration::from_secs(30);
/// How long everything has to come to its end after that.
const CALM: Duration = Duration::from_secs(1500);

/// How long a planned stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// How long it is looked whether it stays true.
const STAYS_RIGHT: Duration = Duration::from_secs(200);
/// How long somebody starts what crashes at an unforeseen moment.
const LOOKED_AFTER: Duration = Duration::from_secs(60);
/// How long after the last fault presence is true again (N6).
const RIGHT_WITHIN: Duration = Duration::from_secs(60);

/// What came of a run.
#[derive(Debug)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// How the peers were and what went wrong, in words.
    pub conditions: String,
    /// How many texts were sent, and how many of them were shown.
    pub counts: (usize, usize),
    /// The promises that were not kept.
    pub broken: Vec<Broken>,
    /// Everything that was said, for whoever wants to know.
    pub history: String,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash {
        node: Player,
        back_after: Duration,
    },
    CrashAfter {
        node: Player,
        effects: u64,
    },
    Stop {
        node: Player,
        back_after: Duration,
    },
    Cut {
        one: Player,
        other: Player,
        mended_after: Duration,
    },
    Reset {
        one: Player,
        other: Player,
    },
    DiskFull {
        until: Duration,
    },
    Rain {
        loss: u64,
        twice: u64,
        until: Duration,
    },
    /// The partner's server restarts, and its users are back after a while.
    PartnerRestarts {
        back_after: Duration,
    },
    /// The SIP server and its users' programs lose their dialogs.
    SipForgets,
}

impl Fault {
    /// Returns how long after its begin it is over.
    fn lasts(self) -> Duration {
        match self {
            Self::Crash { back_after, .. } | Self::PartnerRestarts { back_after } => back_after,
            // Whoever looks after it does so every second.
            Self::CrashAfter { .. } => LOOKED_AFTER,
            Self::Stop { back_after, .. } => STOP_WITHIN + back_after,
            Self::Cut { mended_after, .. } => mended_after,
            Self::Reset { .. } | Self::SipForgets => Duration::ZERO,
            Self::DiskFull { until } | Self::Rain { until, .. } => until,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Player {
    Proxy,
    Gateway,
    Xmpp,
    Sip,
}

impl Player {
    const fn node(self, scene: &Scene) -> NodeId {
        match self {
            Self::Proxy => scene.proxy,
            Self::Gateway => scene.gateway,
            Self::Xmpp => scene.xmpp,
            Self::Sip => scene.sip,
        }
    }
}

/// A mistake made on purpose, so that it is known that the judge finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The gateway's disk keeps nothing of watches.
    NothingKept,
    /// The judge does not hear that somebody was refused.
    RefusalsUnheard,
    /// The judge does not hear that a device or resource went.
    DeparturesUnheard,
    /// Programs of SIP users show somebody else than whom they asked for.
    Mistaken,
}

/// Plays one run.
#[must_use]
pub fn play(seed: u64) -> Verdict {
    play_with(seed, None)
}

/// Plays one run with a mistake in it.
#[must_use]
pub fn play_flawed(seed: u64, flaw: Flaw) -> Verdict {
    play_with(seed, Some(flaw))
}

fn play_with(seed: u64, flaw: Option<Flaw>) -> Verdict {
    let mut chance = Chance::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 1);
    let mut options = draw_options(&mut chance);
    let faults = draw_faults(&mut chance);
    if faults.iter().any(|(_, fault)| matches!(fault, Fault::SipForgets)) {
        // Nobody tells that dialogs are forgotten: a refresh finds out.
        options.watching.grants = 90;
    }
    let mut scene = Scene::new(seed, options);
    let mut conditions = format!("{options:?}");
    for (at, fault) in &faults {
        let _ = write!(conditions, "\n  after {at:?}: {fault:?}");
    }
    let mut contacts = Contacts::new(!faults.is_empty(), flaw);
    if flaw == Some(Flaw::NothingKept) {
        scene.world.set_disk_forgetful(scene.gateway);
    }
    type_and_fail(&mut scene, &mut chance, &faults, &mut contacts);
    let ends = faults.iter().map(|(at, fault)| *at + fault.lasts()).max().unwrap_or_default();
    scene.world.run(ends.saturating_sub(BUSY) + RIGHT_WITHIN);
    let one_tuple = options.talks != Talks::InPages;
    let mut wrong = contacts.judge(&mut scene, one_tuple, false);
    scene.world.run(STAYS_RIGHT);
    if wrong.is_empty() {
        wrong = contacts.judge(&mut scene, one_tuple, false);
    }
    contacts.leave_all(&mut scene);
    scene.world.run(CALM);
    if wrong.is_empty() {
        wrong = contacts.judge(&mut scene, one_tuple, true);
    }
    // Rain alone must not show anything twice; it only makes answers late.
    let hard = faults.iter().filter(|(_, fault)| !matches!(fault, Fault::Rain { .. })).count();
    let judged = if faults.is_empty() { Conditions::Fair } else { Conditions::Faulty { faults: hard } };
    let mut verdict = judge(&scene, seed, conditions, judged);
    verdict.broken.extend(wrong);
    verdict
}

/// Plays a short run in which a role crashes after so many outputs; `None` when it ended before that.
#[must_use]
pub fn play_crash(of_gateway: bool, outputs: u64, options: Options) -> Option<Verdict> {
    let mut scene = Scene::new(outputs, options);
    let player = if of_gateway { Player::Gateway } else { Player::Proxy };
    fail(&mut scene, Fault::CrashAfter { node: player, effects: outputs });
    let lines = [
        ("bob@s.example", "ann@x.example"),
        ("bob@s.example", "nobody@x.example"),
        ("ann@x.example/desk", "bob@s.example"),
        ("ann@x.example/desk", "carol@s.example"),
        ("ann@x.example/desk", "dave@s.example"),
    ];
    for (number, (from, to)) in lines.into_iter().enumerate() {
        let text = format!("t{number}");
        if to.ends_with("x.example") {
            scene.sip_says(from, to, &text);
        } else {
            scene.xmpp_says(from, to, &text);
        }
        scene.world.run(Duration::from_millis(700));
    }
    scene.world.run(CALM);
    if !scene.world.history.iter().any(|(_, _, what)| what == "crashes") {
        return None;
    }
    let role = if of_gateway { "gateway" } else { "proxy" };
    let conditions = format!("{options:?}, the {role} crashes after {outputs} outputs");
    Some(judge(&scene, outputs, conditions, Conditions::Faulty { faults: 1 }))
}

/// Plays a run in which the connections with a partner break again and again, and the partner goes on with its
/// streams: nobody notices anything.
#[must_use]
pub fn play_resets(seed: u64) -> Verdict {
    let mut chance = Chance::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 2);
    let options =
        Options { acks: Acks::Counted, resumes: true, talks: Talks::InPages, ..draw_options(&mut chance) };
    let mut scene = Scene::new(seed, options);
    let mut texts = 0;
    let mut type_for = |scene: &mut Scene, chance: &mut Chance, span: Duration, count: u64| {
        let mut times: Vec<Duration> = (0..count).map(|_| chance.between(Duration::ZERO, span)).collect();
        times.sort_unstable();
        let mut passed = Duration::ZERO;
        for at in times {
            scene.world.run(at.saturating_sub(passed));
            passed = at;
            texts += 1;
            let text = format!("t{texts}");
            if chance.happens(500) {
                scene.sip_says("bob@s.example", "ann@x.example", &text);
            } else {
                scene.xmpp_says("ann@x.example/desk", "bob@s.example", &text);
            }
        }
        scene.world.run(span.saturating_sub(passed));
    };
    type_for(&mut scene, &mut chance, Duration::from_secs(10), 20);
    for _ in 0..3 {
        type_for(&mut scene, &mut chance, Duration::from_millis(60), 6);
        fail(&mut scene, Fault::Reset { one: Player::Proxy, other: Player::Xmpp });
        type_for(&mut scene, &mut chance, Duration::from_secs(10), 6);
    }
    scene.world.run(CALM);
    judge(&scene, seed, format!("{options:?}, resets"), Conditions::Fair)
}

fn judge(scene: &Scene, seed: u64, conditions: String, judged: Conditions) -> Verdict {
    let ledger = scene.ledger();
    let mut history = String::new();
    for (moment, who, what) in &scene.world.history {
        let _ = writeln!(history, "{:>12.6} {who:>9}  {what}", moment.since_origin().as_secs_f64());
    }
    let mut broken = ledger.judge(judged);
    if judged == Conditions::Fair {
        let against = |how: String| Broken { promise: "SIP", text: String::new(), how };
        broken.extend(scene.complaints().into_iter().map(against));
    }
    Verdict { seed, conditions, counts: ledger.counts(), broken, history }
}

fn draw_options(chance: &mut Chance) -> Options {
    Options {
        transport: [Transport::Udp, Transport::Tcp, Transport::Tls][draw(chance, 3)],
        acks: if chance.happens(500) { Acks::Counted } else { Acks::Pinged },
        both_ways: chance.happens(500),
        resumes: chance.happens(700),
        proves: [Proves::Certificate, Proves::Dialback, Proves::Either][draw(chance, 3)],
        talks: if chance.happens(500) {
            Talks::InSessions(std::array::from_fn(|_| draw_manner(chance)))
        } else {
            Talks::InPages
        },
        watching: Watching::draw(chance),
    }
}

fn draw_manner(chance: &mut Chance) -> Manner {
    let texts = u32::try_from(chance.below(4)).unwrap_or(0);
    match draw(chance, 8) {
        0..=2 => Manner::Well,
        3 => Manner::AcceptedTwice,
        4 | 5 => Manner::LeavesAfter(texts + 1),
        6 => Manner::ForgottenAfter(texts),
        _ => Manner::DeadAfter(texts + 1),
    }
}

fn draw_faults(chance: &mut Chance) -> Vec<(Duration, Fault)> {
    let count = if chance.happens(200) { 0 } else { 1 + draw(chance, 4) };
    let mut faults: Vec<_> =
        (0..count).map(|_| (chance.between(Duration::ZERO, BUSY), draw_fault(chance))).collect();
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn draw_fault(chance: &mut Chance) -> Fault {
    let ours = [Player::Proxy, Player::Gateway];
    let wires =
        [(Player::Proxy, Player::Gateway), (Player::Proxy, Player::Xmpp), (Player::Gateway, Player::Sip)];
    let while_long = chance.between(Duration::from_millis(50), Duration::from_secs(20));
    let (one, other) = wires[draw(chance, 3)];
    match draw(chance, 13) {
        11 => Fault::PartnerRestarts { back_after: while_long / 4 },
        12 => Fault::SipForgets,
        9 | 10 => Fault::Reset { one: Player::Proxy, other: Player::Xmpp },
        8 => Fault::Stop { node: ours[draw(chance, 2)], back_after: while_long / 4 },
        0 | 1 => Fault::Crash { node: ours[draw(chance, 2)], back_after: while_long / 4 },
        2 | 3 => Fault::CrashAfter { node: ours[draw(chance, 2)], effects: chance.below(60) },
        4 => Fault::Cut { one, other, mended_after: while_long },
        5 => Fault::Reset { one, other },
        6 => Fault::DiskFull { until: while_long },
        _ => Fault::Rain { loss: chance.below(400), twice: chance.below(200), until: while_long },
    }
}

fn draw(chance: &mut Chance, bound: u64) -> usize {
    usize::try_from(chance.below(bound)).unwrap_or(0)
}

fn type_and_fail(
    scene: &mut Scene,
    chance: &mut Chance,
    faults: &[(Duration, Fault)],
    contacts: &mut Contacts,
) {
    let texts = 5 + chance.below(40);
    let mut times: BTreeSet<(Duration, Option<usize>, u64)> =
        (0..texts).map(|n| (chance.between(Duration::ZERO, BUSY), None, n)).collect();
    let wishes = 5 + chance.below(60);
    times.extend((0..wishes).map(|n| (chance.between(Duration::ZERO, BUSY), None, WISH + n)));
    times.extend(faults.iter().enumerate().map(|(place, (at, _))| (*at, Some(place), 0)));
    let mut passed = Duration::ZERO;
    for (number, (at, fault, what)) in times.into_iter().enumerate() {
        scene.world.run(at.saturating_sub(passed));
        passed = passed.max(at);
        match fault {
            Some(place) => fail(scene, faults[place].1),
            None if what >= WISH => {
                let wish = contacts.draw(chance);
                contacts.perform(wish, scene);
            }
            None => somebody_types(scene, chance, number),
        }
    }
    scene.world.run(BUSY.saturating_sub(passed));
}

/// What is done from here on in a list of texts is presence.
const WISH: u64 = 1 << 32;

fn somebody_types(scene: &mut Scene, chance: &mut Chance, number: usize) {
    let sip = ["bob@s.example", "carol@s.example", "dave@s.example", "nobody@s.example"];
    let xmpp = ["ann@x.example", "eve@x.example", "nobody@x.example"];
    let text = format!("t{number}");
    if chance.happens(500) {
        let (from, to) = (sip[draw(chance, 2)], xmpp[draw(chance, 3)]);
        scene.sip_says(from, to, &text);
    } else {
        let (from, to) = (format!("{}/desk", xmpp[draw(chance, 2)]), sip[draw(chance, 4)]);
        scene.xmpp_says(&from, to, &text);
    }
}

fn fail(scene: &mut Scene, fault: Fault) {
    let world_of = |player: Player| player.node(scene);
    match fault {
        Fault::Crash { node, back_after } => {
            let node = world_of(node);
            scene.world.crash(node);
            scene.world.after(back_after, move |world| world.start(node));
        }
        Fault::CrashAfter { node, effects } => {
            let node = world_of(node);
            scene.world.crash_after(node, effects);
            // Somebody looks after it every second until it was down once.
            for second in 1..=LOOKED_AFTER.as_secs() {
                scene.world.after(Duration::from_secs(second), move |world| world.start(node));
            }
            scene.world.after(LOOKED_AFTER, move |world| world.spare(node));
        }
        Fault::Stop { node, back_after } => {
            let node = world_of(node);
            scene.world.stop(node);
            // It must have ended by then (the time that a service manager gives it); started again it serves on.
            scene.world.after(STOP_WITHIN + back_after, move |world| world.start_again(node));
        }
        Fault::Cut { one, other, mended_after } => {
            let (one, other) = (world_of(one), world_of(other));
            scene.world.set_cut(one, other, true);
            scene.world.after(mended_after, move |world| world.set_cut(one, other, false));
        }
        Fault::Reset { one, other } => {
            let (one, other) = (world_of(one), world_of(other));
            scene.world.reset_between(one, other);
        }
        Fault::DiskFull { until } => {
            let node = scene.gateway;
            scene.world.set_disk_full(node, true);
            scene.world.after(until, move |world| world.set_disk_full(node, false));
        }
        Fault::PartnerRestarts { back_after } => scene.restart_xmpp(back_after),
        Fault::SipForgets => scene.restart_sip(),
        Fault::Rain { loss, twice, until } => {
            (scene.world.weather.datagram_loss, scene.world.weather.datagram_twice) = (loss, twice);
            scene.world.after(until, |world| {
                (world.weather.datagram_loss, world.weather.datagram_twice) = (0, 0);
            });
        }
    }
}
