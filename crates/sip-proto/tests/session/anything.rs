//! Whatever comes in, in whatever order, a session ends once, and can then be forgotten.

use proptest::prelude::*;
use sip_proto::session::{About, Session};

use crate::world::{SDP, World};

#[derive(Clone, Copy, Debug)]
enum Input {
    HearInvite(u16, usize),
    Hear(About, u16),
    TimeOut(About),
    Receive(usize, u32),
    Offer(usize, u32),
    Ack(u32),
    Cancelled,
    Accept,
    Ring,
    End,
    Say,
    Pass(u64),
}

const TAGS: [&str; 3] = ["t1", "t2", "t3"];
const METHODS: [&str; 8] = ["INVITE", "UPDATE", "BYE", "MESSAGE", "INFO", "PRACK", "OPTIONS", "NOTIFY"];
const ABOUTS: [About; 6] =
    [About::Invite, About::Ack, About::Inside, About::Refresh, About::Bye, About::StrayBye];

proptest! {
    #[test]
    fn a_session_ends_once_whatever_comes(
        ours in any::<bool>(),
        interval in prop_oneof![Just(""), Just("Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n")],
        inputs in proptest::collection::vec(input(), 0..60),
    ) {
        let mut world = if ours { World::calling() } else { World::ringing(interval) };
        let mut ended = 0;
        for input in inputs {
            put(&mut world, input);
            ended += world.count("ended: ");
        }
        world.end();
        for about in ABOUTS {
            world.time_out(about);
        }
        // A 2xx without its ACK, and then its BYE.
        let later = u64::try_from(world.now.moment.since_origin().as_millis()).unwrap() + 40_000;
        world.at(later).time_out(About::Bye);
        ended += world.count("ended: ");

        prop_assert_eq!(ended, 1);
        prop_assert!(world.session.is_over(), "{:?}", world.session);
        prop_assert_eq!(Session::poll_timeout(&world.session), None);
    }
}

fn put(world: &mut World, input: Input) {
    match input {
        Input::HearInvite(status, tag) if world.has_sent_invite() => {
            world.hear_invite(status, TAGS[tag], "Session-Expires: 90\r\nMin-SE: 120\r\n");
        }
        Input::Hear(about, status) if !world.sent.is_empty() => {
            world.hear(about, status, "Session-Expires: 90\r\nMin-SE: 120\r\n");
        }
        Input::HearInvite(..) | Input::Hear(..) => {}
        Input::TimeOut(about) => {
            world.time_out(about);
        }
        Input::Receive(method, number) => {
            world.receive(1, METHODS[method], number, "");
        }
        Input::Offer(method, number) => {
            world.receive_offer(2, METHODS[method], number, SDP);
        }
        Input::Ack(number) => {
            world.ack(number);
        }
        Input::Cancelled => {
            world.cancelled();
        }
        Input::Accept => {
            world.accept();
        }
        Input::Ring => {
            world.ring(180);
        }
        Input::End => {
            world.end();
        }
        Input::Say => {
            if world.session.readiness().is_ok() {
                world.say("hi");
            }
        }
        Input::Pass(milliseconds) => {
            let now = u64::try_from(world.now.moment.since_origin().as_millis()).unwrap();
            world.at(now + milliseconds);
        }
    }
}

fn input() -> impl Strategy<Value = Input> {
    let status = prop_oneof![
        Just(100_u16),
        Just(180),
        Just(183),
        Just(200),
        Just(202),
        Just(302),
        Just(404),
        Just(405),
        Just(408),
        Just(422),
        Just(480),
        Just(481),
        Just(486),
        Just(487),
        Just(491),
        Just(500),
        Just(503),
        Just(603)
    ];
    let about = (0..ABOUTS.len()).prop_map(|index| ABOUTS[index]);
    prop_oneof![
        3 => (status.clone(), 0..TAGS.len()).prop_map(|(status, tag)| Input::HearInvite(status, tag)),
        3 => (about.clone(), status).prop_map(|(about, status)| Input::Hear(about, status)),
        1 => about.prop_map(Input::TimeOut),
        3 => (0..METHODS.len(), 0_u32..9).prop_map(|(method, number)| Input::Receive(method, number)),
        2 => (0..METHODS.len(), 0_u32..9).prop_map(|(method, number)| Input::Offer(method, number)),
        2 => (0_u32..9).prop_map(Input::Ack),
        1 => Just(Input::Cancelled),
        2 => Just(Input::Accept),
        1 => Just(Input::Ring),
        1 => Just(Input::End),
        3 => Just(Input::Say),
        3 => (0_u64..90_000).prop_map(Input::Pass),
    ]
}
