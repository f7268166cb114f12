use clock_types::Date;

use super::*;
use crate::delivery::Number;

#[test]
fn texts_wait_for_the_answer_and_are_said_in_order() {
    let mut talk = Timeline::new();

    talk.text(1).expect([call(0)]);
    talk.pass(9500).expect([]);
    talk.established(0).expect([say(0, 1)]);
    talk.said(0, TAKEN).expect([delivered(1)]);
    talk.text(2).expect([say(0, 2)]);
    talk.said(0, TAKEN).expect([delivered(2)]);
}

#[test]
fn a_refused_call_fails_all_that_waits() {
    let mut talk = Timeline::new();
    talk.text(1).expect([call(0)]);

    talk.refused(0, Refused::No(why())).expect([unreachable(1)]);
    talk.text(2).expect([call(1)]);
}

#[test]
fn a_peer_without_sessions_gets_the_text_by_itself() {
    let mut talk = Timeline::new();
    talk.text(1).expect([call(0)]);

    talk.refused(0, Refused::NoSessions(why())).expect([decided(1, Fate::Paged)]);
}

#[test]
fn nobody_answers_for_a_minute() {
    let mut talk = Timeline::new();
    talk.text(1).expect([call(0)]);

    talk.pass(59_999).expect([]);
    let outputs = talk.pass(1).take();

    assert_eq!(outputs[0], Output::End(Leg(0)));
    assert!(matches!(&outputs[1], Output::Decided { item, fate: Fate::Unreachable(_) } if *item == text(1)));
    assert_eq!(outputs.len(), 2);
}

#[test]
fn a_text_in_a_dead_session_is_said_once_more_in_another() {
    let mut talk = Timeline::open();
    talk.text(1).expect([say(0, 1)]);

    talk.said(0, Said::Dead(why())).expect([Output::End(Leg(0)), call(1)]);
    talk.established(1).expect([say(1, 1)]);
    talk.said(1, Said::Dead(why())).expect([Output::End(Leg(1)), failed(1)]);
    talk.text(2).expect([call(2)]);
}

#[test]
fn a_session_that_died_first_does_not_fail_the_text() {
    let mut talk = Timeline::open();
    talk.text(1).expect([say(0, 1)]);

    talk.ended(0, Ended::Otherwise).expect([]);
    talk.said(0, Said::Dead(why())).expect([call(1)]);
}

#[test]
fn a_text_that_is_refused_leaves_the_session_alone() {
    let mut talk = Timeline::open();
    talk.text(1).expect([say(0, 1)]);

    talk.said(0, Said::Refused(why())).expect([failed(1)]);
    talk.text(2).expect([say(0, 2)]);
}

#[test]
fn after_bye_the_next_text_opens_a_session() {
    let mut talk = Timeline::open();

    talk.ended(0, Ended::ByPeer).expect([]);
    talk.text(1).expect([call(1)]);
}

#[test]
fn a_client_with_chat_states_sees_the_peer_go() {
    let mut talk = Timeline::open();
    talk.state(ChatState::Active).expect([]);

    talk.ended(0, Ended::ByPeer).expect([show(ChatState::Gone)]);
}

#[test]
fn a_closed_window_ends_the_session_when_all_is_said() {
    let mut talk = Timeline::open();
    talk.text(1).expect([say(0, 1)]);

    talk.state(ChatState::Gone).expect([]);
    talk.pass(5000).expect([]);
    talk.said(0, TAKEN).expect([delivered(1)]);
    talk.pass(0).expect([Output::End(Leg(0))]);
    talk.text(2).expect([call(1)]);
}

#[test]
fn a_text_after_a_closed_window_keeps_the_session() {
    let mut talk = Timeline::open();
    talk.state(ChatState::Gone).expect([]);

    talk.text(1).expect([say(0, 1)]);
    talk.said(0, TAKEN).expect([delivered(1)]);
    talk.pass(5000).expect([]);
}

#[test]
fn silence_ends_the_session() {
    let mut talk = Timeline::open();
    talk.pass(600_000).expect([]);
    talk.heard();

    talk.pass(719_999).expect([]);
    talk.pass(1).expect([Output::End(Leg(0))]);
    assert_eq!(talk.conversation.poll_timeout(&PACE), None);
}

#[test]
fn the_peers_session_is_used_when_it_is_acknowledged() {
    let mut talk = Timeline::new();
    talk.called(0);

    talk.text(1).expect([]);
    talk.established(0).expect([say(0, 1)]);
}

#[test]
fn a_call_that_is_never_acknowledged_is_replaced_by_ours() {
    let mut talk = Timeline::new();
    talk.called(0);
    talk.text(1).expect([]);

    talk.ended(0, Ended::Otherwise).expect([call(1)]);
}

#[test]
fn of_two_calls_that_cross_theirs_wins_if_it_is_there_first() {
    let mut talk = Timeline::new();
    talk.text(1).expect([call(0)]);
    talk.called(1);

    talk.established(1).expect([Output::End(Leg(0)), say(1, 1)]);
}

#[test]
fn of_two_calls_that_cross_ours_wins_if_it_is_there_first() {
    let mut talk = Timeline::new();
    talk.text(1).expect([call(0)]);
    talk.called(1);

    talk.established(0).expect([say(0, 1)]);
    talk.said(0, TAKEN).expect([delivered(1)]);
    talk.established(1).expect([]);
    talk.pass(3000).expect([Output::End(Leg(1))]);
    talk.text(2).expect([say(0, 2)]);
}

#[test]
fn a_refused_call_does_not_matter_where_the_peer_has_called() {
    let mut talk = Timeline::new();
    talk.text(1).expect([call(0)]);
    talk.called(1);

    talk.refused(0, Refused::No(why())).expect([]);
    talk.established(1).expect([say(1, 1)]);
}

#[test]
fn a_second_call_of_the_peer_replaces_the_first_session_when_its_text_is_answered() {
    let mut talk = Timeline::open();
    talk.text(1).expect([say(0, 1)]);
    talk.called(1);

    talk.established(1).expect([]);
    talk.said(0, TAKEN).expect([Output::End(Leg(0)), delivered(1)]);
    talk.text(2).expect([say(1, 2)]);
}

#[test]
fn a_peer_has_a_few_sessions_at_most() {
    let mut talk = Timeline::new();
    for leg in 0..4 {
        assert!(talk.conversation.has_room());
        talk.called(leg);
    }

    assert!(!talk.conversation.has_room());
}

#[test]
fn typing_is_shown_in_an_open_session_and_seldom() {
    let mut talk = Timeline::new();
    talk.state(ChatState::Composing).expect([]);
    talk.text(1).expect([call(0)]);
    talk.established(0).expect([say(0, 1)]);
    talk.said(0, TAKEN).expect([delivered(1)]);

    talk.state(ChatState::Composing).expect([shown(ChatState::Composing)]);
    talk.typed(0).expect([]);
    talk.pass(4999);
    talk.state(ChatState::Composing).expect([]);
    talk.pass(1);
    talk.state(ChatState::Composing).expect([shown(ChatState::Composing)]);
    talk.typed(0).expect([]);
    talk.state(ChatState::Paused).expect([shown(ChatState::Paused)]);
    talk.typed(0).expect([]);
    talk.state(ChatState::Active).expect([]);
}

#[test]
fn a_text_ends_typing_without_a_word() {
    let mut talk = Timeline::open();
    talk.state(ChatState::Composing).expect([shown(ChatState::Composing)]);

    talk.text(1).expect([]);
    talk.typed(0).expect([say(0, 1)]);
    talk.state(ChatState::Active).expect([]);
    talk.said(0, TAKEN).expect([delivered(1)]);
}

#[test]
fn the_peers_typing_pauses_by_itself() {
    let mut talk = Timeline::open();
    talk.state(ChatState::Active).expect([]);

    talk.typing(Typing::KeyboardActive).expect([show(ChatState::Composing)]);
    talk.pass(10_000).expect([]);
    talk.typing(Typing::KeyboardActive).expect([]);
    talk.pass(29_999).expect([]);
    talk.pass(1).expect([show(ChatState::Paused)]);
    talk.typing(Typing::KeyboardIdle).expect([]);
}

#[test]
fn a_client_that_has_shown_no_chat_states_is_shown_none() {
    for has_spoken in [false, true] {
        let mut talk = Timeline::open();
        if has_spoken {
            talk.conversation.handle_client(None);
        }

        talk.typing(Typing::KeyboardActive).expect([]);
        talk.pass(60_000).expect([]);
        talk.ended(0, Ended::ByPeer).expect([]);
    }
}

#[test]
fn typing_after_a_text_is_shown_at_once() {
    let mut talk = Timeline::open();
    talk.state(ChatState::Active).expect([]);
    talk.typing(Typing::KeyboardActive).expect([show(ChatState::Composing)]);

    talk.heard();
    talk.typing(Typing::KeyboardActive).expect([show(ChatState::Composing)]);
}

#[test]
fn a_report_is_said_between_two_texts() {
    let mut talk = Timeline::open();
    talk.text(1).expect([say(0, 1)]);

    talk.item(Item::Report(Number(7))).expect([]);
    talk.said(0, TAKEN).expect([delivered(1), Output::Say { leg: Leg(0), item: Item::Report(Number(7)) }]);
}

#[test]
fn stopping_ends_what_is_idle_and_waits_for_answers() {
    let mut talk = Timeline::open();
    talk.text(1).expect([say(0, 1)]);

    talk.conversation.handle_stop();
    talk.expect([]);
    talk.said(0, TAKEN).expect([Output::End(Leg(0)), delivered(1)]);
}

const PACE: Pace = Pace {
    idle_after: Duration::from_secs(720),
    answer_within: Duration::from_secs(60),
    typing_every: Duration::from_secs(5),
};

const TAKEN: Said = Said::Taken { by_agent: true };

struct Timeline {
    conversation: Conversation,
    now: Now,
}

impl Timeline {
    fn new() -> Self {
        let now = Now { moment: Moment::default(), date: Date::from_unix_millis(0) };
        Self { conversation: Conversation::new(now), now }
    }

    /// With a session of ours.
    fn open() -> Self {
        let mut talk = Self::new();
        talk.text(0).expect([call(0)]);
        talk.established(0).expect([say(0, 0)]);
        talk.said(0, TAKEN).expect([delivered(0)]);
        talk
    }

    fn item(&mut self, item: Item) -> &mut Self {
        self.conversation.handle_item(item, &PACE, self.now);
        self
    }

    fn text(&mut self, number: u64) -> &mut Self {
        self.item(text(number))
    }

    fn called(&mut self, leg: u32) {
        assert_eq!(self.conversation.handle_called(self.now), Leg(leg));
    }

    fn established(&mut self, leg: u32) -> &mut Self {
        self.conversation.handle_established(Leg(leg), &PACE, self.now);
        self
    }

    fn refused(&mut self, leg: u32, refused: Refused) -> &mut Self {
        self.conversation.handle_refused(Leg(leg), refused, &PACE, self.now);
        self
    }

    fn ended(&mut self, leg: u32, ended: Ended) -> &mut Self {
        self.conversation.handle_ended(Leg(leg), ended, &PACE, self.now);
        self
    }

    fn said(&mut self, leg: u32, said: Said) -> &mut Self {
        self.conversation.handle_said(Leg(leg), said, &PACE, self.now);
        self
    }

    fn typed(&mut self, leg: u32) -> &mut Self {
        self.conversation.handle_typed(Leg(leg), &PACE, self.now);
        self
    }

    fn state(&mut self, state: ChatState) -> &mut Self {
        self.conversation.handle_chat_state(state, &PACE, self.now);
        self
    }

    fn typing(&mut self, typing: Typing) -> &mut Self {
        self.conversation.handle_typing(typing, self.now);
        self
    }

    fn heard(&mut self) {
        self.conversation.handle_heard(self.now);
    }

    /// Lets time pass, and the machine have its say where it asked for it.
    fn pass(&mut self, millis: u64) -> &mut Self {
        let end = self.now.plus(Duration::from_millis(millis));
        while let Some(at) = self.conversation.poll_timeout(&PACE).filter(|at| *at <= end.moment) {
            self.now = self.now.plus(at.max(self.now.moment).since(self.now.moment));
            self.conversation.handle_timeout(&PACE, self.now);
        }
        self.now = end;
        self
    }

    fn take(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.conversation.poll_output()).collect()
    }

    #[track_caller]
    fn expect<const N: usize>(&mut self, outputs: [Output; N]) {
        assert_eq!(self.take(), outputs);
    }
}

fn text(number: u64) -> Item {
    Item::Text(Number(number))
}

fn call(leg: u32) -> Output {
    Output::Call(Leg(leg))
}

fn say(leg: u32, number: u64) -> Output {
    Output::Say { leg: Leg(leg), item: text(number) }
}

fn delivered(number: u64) -> Output {
    decided(number, Fate::Delivered { by_agent: true })
}

fn failed(number: u64) -> Output {
    decided(number, Fate::Failed(why()))
}

fn unreachable(number: u64) -> Output {
    decided(number, Fate::Unreachable(why()))
}

fn decided(number: u64, fate: Fate) -> Output {
    Output::Decided { item: text(number), fate }
}

fn show(state: ChatState) -> Output {
    Output::Show(state)
}

fn shown(state: ChatState) -> Output {
    Output::Type { leg: Leg(0), state }
}

fn why() -> Box<Why> {
    use xmpp_types::stanza_error::{StanzaCondition, StanzaError};
    Box::new(Why {
        error: StanzaError::new(StanzaCondition::RecipientUnavailable),
        outcome: "486 Busy Here".to_owned(),
        status: Some(486),
    })
}
