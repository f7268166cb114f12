//! Timelines of the four transaction machines: every state × input of the figures in RFC 3261 §17 and
//! RFC 6026 §7, with T1 = 500 ms, T2 = 4 s and T4 = 5 s.

use std::time::Duration;

use clock_types::{Date, Moment, Now};
use sip_proto::transaction::client_invite::{ClientInvite, Output as Ict};
use sip_proto::transaction::client_non_invite::{ClientNonInvite, Output as Nict};
use sip_proto::transaction::server_invite::{Output as Ist, ServerInvite};
use sip_proto::transaction::server_non_invite::{Output as Nist, ServerNonInvite};
use sip_proto::transaction::{Reliability, Timing};

use Reliability::{Reliable, Unreliable};

mod client_non_invite {
    use super::*;

    #[test]
    fn a_request_is_repeated_at_doubling_intervals_up_to_t2_until_timer_f() {
        let mut client = new(Unreliable);
        client.drain(&[Nict::Send]);

        for at in [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500] {
            client.due(at).drain(&[Nict::Send]);
        }
        client.due(32_000).drain(&[Nict::TimedOut]);
        client.is_over();
    }

    #[test]
    fn a_reliable_transport_repeats_nothing() {
        let mut client = new(Reliable);
        client.drain(&[Nict::Send]);

        client.due(32_000).drain(&[Nict::TimedOut]);
        client.is_over();
    }

    #[test]
    fn a_final_response_is_delivered_once_and_repetitions_are_absorbed_until_timer_k() {
        let mut client = new(Unreliable);
        client.drain(&[Nict::Send]);

        client.hear(200, 100).drain(&[Nict::Deliver]);
        client.hear(200, 200).drain(&[]);
        client.hear(503, 300).drain(&[]);
        client.hear(100, 300).drain(&[]);
        client.fail(400).drain(&[]);
        assert!(client.machine.is_settled());
        client.due(5100).drain(&[]);
        client.is_over();
        client.hear(200, 6000).drain(&[]);
        client.fail(6000).drain(&[]);
        client.timeout(6000).drain(&[]);
    }

    #[test]
    fn a_final_response_on_a_reliable_transport_ends_it_at_once() {
        let mut client = new(Reliable);
        client.drain(&[Nict::Send]);

        client.hear(404, 100).drain(&[Nict::Deliver]);
        client.is_over();
    }

    #[test]
    fn after_a_provisional_response_the_interval_is_t2() {
        let mut client = new(Unreliable);
        client.drain(&[Nict::Send]);

        client.hear(100, 100).drain(&[Nict::Deliver]);
        client.due(500).drain(&[Nict::Send]);
        client.hear(100, 600).drain(&[Nict::Deliver]);
        client.due(4500).drain(&[Nict::Send]);
        client.hear(200, 4600).drain(&[Nict::Deliver]);
        client.due(9600).drain(&[]);
        client.is_over();
    }

    #[test]
    fn timer_f_also_ends_a_request_that_was_provisionally_answered() {
        let mut client = new(Reliable);
        client.drain(&[Nict::Send]);

        client.hear(100, 100).drain(&[Nict::Deliver]);
        client.due(32_000).drain(&[Nict::TimedOut]);
        client.is_over();
    }

    #[test]
    fn a_transport_error_ends_it_in_both_waiting_states() {
        let mut trying = new(Unreliable);
        trying.drain(&[Nict::Send]);
        let mut proceeding = new(Unreliable);
        proceeding.drain(&[Nict::Send]);
        proceeding.hear(100, 10).drain(&[Nict::Deliver]);

        trying.fail(20).drain(&[Nict::TransportFailed]);
        proceeding.fail(20).drain(&[Nict::TransportFailed]);

        trying.is_over();
        proceeding.is_over();
    }

    #[test]
    fn a_late_call_of_the_timer_sends_once() {
        let mut client = new(Unreliable);
        client.drain(&[Nict::Send]);

        client.timeout(2000).drain(&[Nict::Send]);
        client.due(3000).drain(&[Nict::Send]);
    }

    fn new(reliability: Reliability) -> Timeline<ClientNonInvite> {
        Timeline { machine: ClientNonInvite::new(Timing::default(), reliability, at(0)) }
    }
}

mod server_non_invite {
    use super::*;

    #[test]
    fn repetitions_are_absorbed_until_there_is_an_answer_and_then_answered_alike() {
        let mut server = new(Unreliable);

        server.hear_again(500).drain(&[]);
        server.answer(200, 600).drain(&[Nist::Send]);
        server.hear_again(700).drain(&[Nist::Send]);
        server.hear_again(1500).drain(&[Nist::Send]);
        server.due(32_600).drain(&[]);
        server.is_over();
        server.hear_again(33_000).drain(&[]);
    }

    #[test]
    fn a_reliable_transport_needs_no_memory() {
        let mut server = new(Reliable);

        server.answer(200, 600).drain(&[Nist::Send]);
        server.is_over();
    }

    #[test]
    fn trying_is_said_when_the_client_has_slowed_down_to_t2() {
        let mut server = new(Unreliable);

        server.due(3500).drain(&[Nist::SendTrying]);
        server.hear_again(7500).drain(&[Nist::SendTrying]);
        server.answer(200, 8000).drain(&[Nist::Send]);
        server.hear_again(11_500).drain(&[Nist::Send]);
    }

    #[test]
    fn provisional_answers_of_the_user_are_not_sent() {
        let mut server = new(Unreliable);

        server.answer(100, 10).drain(&[]);
        server.answer(183, 20).drain(&[]);
        assert!(server.machine.is_open());
    }

    #[test]
    fn a_request_is_never_answered_408() {
        let mut server = new(Unreliable);

        server.answer(408, 10).drain(&[]);
        server.hear_again(500).drain(&[]);
        server.due(32_010).drain(&[]);
        server.is_over();
    }

    #[test]
    fn a_second_final_answer_is_absorbed() {
        let mut server = new(Unreliable);

        server.answer(200, 10).drain(&[Nist::Send]);
        server.answer(500, 20).drain(&[]);
        server.silence(30).drain(&[]);
        server.hear_again(500).drain(&[Nist::Send]);
    }

    #[test]
    fn silence_absorbs_repetitions_and_later_answers() {
        let mut unreliable = new(Unreliable);
        let mut reliable = new(Reliable);

        unreliable.silence(10).drain(&[]);
        unreliable.hear_again(500).drain(&[]);
        unreliable.answer(200, 600).drain(&[]);
        unreliable.due(32_010).drain(&[]);
        unreliable.is_over();
        reliable.silence(10).drain(&[]);
        reliable.is_over();
    }

    #[test]
    fn an_answer_after_the_client_gave_up_is_not_sent() {
        let mut never = new(Unreliable);
        let mut trying = new(Reliable);

        never.timeout(32_000).drain(&[Nist::Expired]);
        never.answer(200, 32_001).drain(&[]);
        never.is_over();
        trying.due(3500).drain(&[Nist::SendTrying]);
        trying.due(32_000).drain(&[Nist::Expired]);
        trying.is_over();
    }

    #[test]
    fn a_transport_error_ends_what_has_spoken() {
        let mut trying = new(Unreliable);
        let mut proceeding = new(Unreliable);
        proceeding.due(3500).drain(&[Nist::SendTrying]);
        let mut completed = new(Unreliable);
        completed.answer(200, 10).drain(&[Nist::Send]);

        trying.fail(4000).drain(&[]);
        proceeding.fail(4000).drain(&[Nist::TransportFailed]);
        completed.fail(4000).drain(&[Nist::TransportFailed]);

        assert!(trying.machine.is_open());
        proceeding.is_over();
        completed.is_over();
    }

    fn new(reliability: Reliability) -> Timeline<ServerNonInvite> {
        Timeline { machine: ServerNonInvite::new(Timing::default(), reliability, at(0)) }
    }
}

mod client_invite {
    use super::*;

    #[test]
    fn an_invite_is_repeated_at_doubling_intervals_until_timer_b() {
        let mut client = new(Unreliable);
        client.drain(&[Ict::Send]);

        for at in [500, 1500, 3500, 7500, 15_500, 31_500] {
            client.due(at).drain(&[Ict::Send]);
        }
        client.due(32_000).drain(&[Ict::TimedOut]);
        client.is_over();
    }

    #[test]
    fn a_reliable_transport_repeats_nothing() {
        let mut client = new(Reliable);
        client.drain(&[Ict::Send]);

        client.due(32_000).drain(&[Ict::TimedOut]);
        client.is_over();
    }

    #[test]
    fn a_provisional_response_ends_repetition_and_timer_b() {
        let mut client = new(Unreliable);
        client.drain(&[Ict::Send]);

        client.hear(100, 100).drain(&[Ict::Deliver]);
        assert!(client.machine.is_proceeding());
        client.hear(180, 200).drain(&[Ict::Deliver]);
        client.never_due();
        client.timeout(100_000).drain(&[]);
    }

    #[test]
    fn a_refusal_is_acknowledged_and_so_are_its_repetitions_until_timer_d() {
        let mut client = new(Unreliable);
        client.drain(&[Ict::Send]);

        client.hear(486, 100).drain(&[Ict::SendAck, Ict::Deliver]);
        client.hear(486, 600).drain(&[Ict::SendAck]);
        client.hear(180, 700).drain(&[]);
        client.hear(200, 800).drain(&[]);
        client.due(32_100).drain(&[]);
        client.is_over();
        client.hear(486, 40_000).drain(&[]);
    }

    #[test]
    fn a_refusal_on_a_reliable_transport_ends_it_at_once() {
        let mut client = new(Reliable);
        client.drain(&[Ict::Send]);

        client.hear(180, 50).drain(&[Ict::Deliver]);
        client.hear(486, 100).drain(&[Ict::SendAck, Ict::Deliver]);
        client.is_over();
    }

    #[test]
    fn every_2xx_reaches_the_user_until_timer_m() {
        let mut client = new(Reliable);
        client.drain(&[Ict::Send]);

        client.hear(200, 100).drain(&[Ict::Deliver]);
        client.hear(200, 600).drain(&[Ict::Deliver]);
        client.hear(486, 700).drain(&[]);
        client.hear(180, 700).drain(&[]);
        client.fail(800).drain(&[]);
        client.due(32_100).drain(&[]);
        client.is_over();
    }

    #[test]
    fn a_transport_error_ends_it_unless_it_was_accepted() {
        let mut calling = new(Unreliable);
        calling.drain(&[Ict::Send]);
        let mut proceeding = new(Unreliable);
        proceeding.drain(&[Ict::Send]);
        proceeding.hear(180, 10).drain(&[Ict::Deliver]);
        let mut completed = new(Unreliable);
        completed.drain(&[Ict::Send]);
        completed.hear(404, 10).drain(&[Ict::SendAck, Ict::Deliver]);

        for ended in [&mut calling, &mut proceeding, &mut completed] {
            ended.fail(20).drain(&[Ict::TransportFailed]);
            ended.is_over();
            ended.fail(30).drain(&[]);
        }
    }

    fn new(reliability: Reliability) -> Timeline<ClientInvite> {
        Timeline { machine: ClientInvite::new(Timing::default(), reliability, at(0)) }
    }
}

mod server_invite {
    use super::*;

    #[test]
    fn trying_is_said_after_200_ms_and_repeated_on_request() {
        let mut server = new(Unreliable);

        server.hear_again(100).drain(&[]);
        server.due(200).drain(&[Ist::SendTrying]);
        server.hear_again(500).drain(&[Ist::SendTrying]);
        server.answer(180, 600).drain(&[Ist::Send]);
        server.hear_again(700).drain(&[Ist::Send]);
        server.ack(800).drain(&[]);
        server.never_due();
        server.timeout(900).drain(&[]);
    }

    #[test]
    fn a_refusal_is_repeated_until_it_is_acknowledged() {
        let mut server = new(Unreliable);

        server.answer(486, 100).drain(&[Ist::Send]);
        server.due(600).drain(&[Ist::Send]);
        server.due(1600).drain(&[Ist::Send]);
        server.hear_again(1700).drain(&[Ist::Send]);
        server.answer(200, 1700).drain(&[]);
        server.ack(1800).drain(&[]);
        server.ack(1900).drain(&[]);
        server.hear_again(1900).drain(&[]);
        server.answer(200, 1900).drain(&[]);
        server.fail(1900).drain(&[]);
        server.due(6800).drain(&[]);
        server.is_over();
    }

    #[test]
    fn a_refusal_that_is_never_acknowledged_ends_with_timer_h() {
        let mut server = new(Unreliable);
        server.answer(486, 0).drain(&[Ist::Send]);

        for at in [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500] {
            server.due(at).drain(&[Ist::Send]);
        }
        server.due(32_000).drain(&[Ist::TimedOut]);
        server.is_over();
    }

    #[test]
    fn a_reliable_transport_repeats_no_refusal_and_ends_with_the_ack() {
        let mut acknowledged = new(Reliable);
        acknowledged.answer(486, 0).drain(&[Ist::Send]);
        let mut forgotten = new(Reliable);
        forgotten.answer(486, 0).drain(&[Ist::Send]);

        acknowledged.ack(100).drain(&[]);
        acknowledged.is_over();
        forgotten.due(32_000).drain(&[Ist::TimedOut]);
        forgotten.is_over();
    }

    #[test]
    fn after_a_2xx_invites_are_absorbed_and_acks_reach_the_user_until_timer_l() {
        let mut server = new(Unreliable);

        server.answer(200, 100).drain(&[Ist::Send]);
        server.hear_again(500).drain(&[]);
        server.answer(200, 600).drain(&[Ist::Send]);
        server.answer(486, 650).drain(&[]);
        server.ack(700).drain(&[Ist::DeliverAck]);
        server.ack(800).drain(&[Ist::DeliverAck]);
        server.due(32_100).drain(&[]);
        server.is_over();
        server.ack(33_000).drain(&[]);
        server.hear_again(33_000).drain(&[]);
        server.answer(200, 33_000).drain(&[]);
    }

    #[test]
    fn a_transport_error_informs_the_user_and_changes_nothing() {
        let mut proceeding = new(Unreliable);
        let mut completed = new(Unreliable);
        completed.answer(486, 0).drain(&[Ist::Send]);
        let mut accepted = new(Unreliable);
        accepted.answer(200, 0).drain(&[Ist::Send]);

        for machine in [&mut proceeding, &mut completed, &mut accepted] {
            machine.fail(100).drain(&[Ist::TransportFailed]);
            assert!(!machine.machine.is_terminated());
        }
        assert!(proceeding.machine.is_open());
        assert!(!completed.machine.is_open());
    }

    fn new(reliability: Reliability) -> Timeline<ServerInvite> {
        Timeline { machine: ServerInvite::new(Timing::default(), reliability, at(0)) }
    }
}

struct Timeline<M> {
    machine: M,
}

fn at(milliseconds: u64) -> Now {
    let since = Duration::from_millis(milliseconds);
    Now { moment: Moment::from_origin(since), date: Date::default().plus(since) }
}

/// Gives every machine's timeline the same words; the inputs a machine lacks are not called.
macro_rules! timeline {
    ($machine:ty, $output:ty) => {
        impl Timeline<$machine> {
            /// Checks that exactly these outputs wait.
            #[track_caller]
            fn drain(&mut self, expected: &[$output]) {
                let heard: Vec<_> = std::iter::from_fn(|| self.machine.poll_output()).collect();
                assert_eq!(heard, expected);
            }

            /// Checks that the next timer is due exactly then, and fires it.
            #[track_caller]
            fn due(&mut self, milliseconds: u64) -> &mut Self {
                assert_eq!(self.machine.poll_timeout(), Some(at(milliseconds).moment));
                self.machine.handle_timeout(at(milliseconds));
                self
            }

            fn timeout(&mut self, milliseconds: u64) -> &mut Self {
                self.machine.handle_timeout(at(milliseconds));
                self
            }

            fn fail(&mut self, milliseconds: u64) -> &mut Self {
                self.machine.handle_transport_error(at(milliseconds));
                self
            }

            #[track_caller]
            fn is_over(&mut self) {
                assert!(self.machine.is_terminated());
                assert_eq!(self.machine.poll_timeout(), None);
            }
        }
    };
    (client $machine:ty, $output:ty) => {
        timeline!($machine, $output);
        impl Timeline<$machine> {
            fn hear(&mut self, status: u16, milliseconds: u64) -> &mut Self {
                self.machine.handle_response(status, at(milliseconds));
                self
            }
        }
    };
    (server $machine:ty, $output:ty) => {
        timeline!($machine, $output);
        impl Timeline<$machine> {
            fn hear_again(&mut self, milliseconds: u64) -> &mut Self {
                self.machine.handle_request(at(milliseconds));
                self
            }

            fn answer(&mut self, status: u16, milliseconds: u64) -> &mut Self {
                self.machine.handle_answer(status, at(milliseconds));
                self
            }
        }
    };
}

timeline!(client ClientNonInvite, Nict);
timeline!(client ClientInvite, Ict);
timeline!(server ServerNonInvite, Nist);
timeline!(server ServerInvite, Ist);

impl Timeline<ServerNonInvite> {
    fn silence(&mut self, milliseconds: u64) -> &mut Self {
        self.machine.handle_silence(at(milliseconds));
        self
    }
}

impl Timeline<ServerInvite> {
    fn ack(&mut self, milliseconds: u64) -> &mut Self {
        self.machine.handle_ack(at(milliseconds));
        self
    }

    #[track_caller]
    fn never_due(&self) {
        assert_eq!(self.machine.poll_timeout(), None);
    }
}

impl Timeline<ClientInvite> {
    #[track_caller]
    fn never_due(&self) {
        assert_eq!(self.machine.poll_timeout(), None);
    }
}
