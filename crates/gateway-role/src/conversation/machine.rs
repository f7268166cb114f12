//! One conversation: what the two say and in which session, whatever a session is made of.
//!
//! ```text
//!                  a text, no session                     accepted
//!      ┌────────┐ ────────────────────▶ ┌─────────┐ ────────────────────▶ ┌──────┐
//!      │ Closed │                       │ Calling │                       │ Open │◀─┐ a text: said, one
//!      └────────┘ ◀──────────────────── └─────────┘                       └──────┘  │ at a time, in order
//!        ▲  │      refused, no answer:    │                                 │ ▲ └───┘
//!        │  │      all that waits fails   │ the peer calls too: whichever   │ │
//!        │  │                             ▼ is there first is used          │ │
//!        │  │ the peer calls            ┌────────┐      acknowledged        │ │
//!        │  └──────────────────────────▶│ Called │──────────────────────────┼─┘
//!        │                              └────────┘                          │
//!        └──────────────────────────────────────────────────────────────────┘
//!          BYE either way, idle, `gone`; 481, 408, 480: the same text once more in a new session
//! ```
//!
//! It knows legs, each of which is a session, by number; what is said in them, only by name. There is more than
//! one leg where both users call at once, or where the peer calls again because it has forgotten the first.

use std::collections::VecDeque;
use std::time::Duration;

use clock_types::{Moment, Now, earliest};
use translate::error::{Failure, failure_to_xmpp};
use translate::session::{ChatState, Typing};

use super::fate::{Fate, Item, Why};
use super::typing::{Inward, Outward, Understands};

mod turn;

/// Names a session inside its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leg(pub u32);

/// How a call of ours was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The peer takes no sessions of texts; it may take a text by itself.
    NoSessions(Box<Why>),
    /// The peer, or who stands before it, says no.
    No(Box<Why>),
}

/// What became of a text that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The peer's side took it.
    Taken {
        /// Whether that is the word of the user's own program, which earns a receipt, and not a promise of
        /// somebody in between (RFC 3428 §7).
        by_agent: bool,
    },
    /// The session is dead: the peer knows nothing of it, or does not answer.
    Dead(Box<Why>),
    /// The peer does not want this text.
    Refused(Box<Why>),
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer closed it.
    ByPeer,
    /// Otherwise.
    Otherwise,
}

/// What the conversation wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a session.
    Call(Leg),
    /// Say something in an open session; [`Conversation::handle_said`] follows.
    Say {
        /// Where.
        leg: Leg,
        /// What.
        item: Item,
    },
    /// Show typing, or its end, in an open session; [`Conversation::handle_typed`] follows.
    Type {
        /// Where.
        leg: Leg,
        /// What: composing or paused.
        state: ChatState,
    },
    /// End a session; the conversation speaks of it no more.
    End(Leg),
    /// An item's fate is known.
    Decided {
        /// Which.
        item: Item,
        /// What became of it.
        fate: Fate,
    },
    /// Show the XMPP user what the SIP user does.
    Show(ChatState),
}

/// How long and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// As of [`super::ConversationSettings::idle_after`].
    pub idle_after: Duration,
    /// As of [`super::ConversationSettings::answer_within`].
    pub answer_within: Duration,
    /// How seldom typing is said again.
    pub typing_every: Duration,
}

/// One conversation.
#[derive(Debug)]
pub struct Conversation {
    legs: Vec<LegState>,
    next_leg: u32,
    /// Where we speak.
    speaking: Option<Leg>,
    hand: Option<Hand>,
    /// At most one message, and reports.
    waiting: VecDeque<Item>,
    /// When something was last said.
    last: Moment,
    /// When the session ends, because the XMPP user has closed his window.
    leave: Option<Moment>,
    outward: Outward,
    inward: Inward,
    understands: Understands,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct LegState {
    leg: Leg,
    stage: Stage,
    /// Whether a request of ours in it has no answer yet.
    busy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// We call; nobody has answered.
    Calling { until: Moment },
    /// The peer called, we answered, and it has not acknowledged that.
    Called {
        /// Whether we were calling, too.
        crosses: bool,
    },
    /// There is a session.
    Open,
    /// There is a session that we do not speak in, because another was there first.
    Spare { until: Moment },
    /// There is a session that ends when what was said in it last is answered.
    Retiring,
}

/// What is to be said next.
#[derive(Debug)]
struct Hand {
    item: Item,
    /// How often a session died under it.
    deaths: u8,
    /// Where it was said, until there is an answer.
    said_in: Option<Leg>,
}

impl Conversation {
    /// Returns a conversation in which nothing was said.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self {
            legs: Vec::new(),
            next_leg: 0,
            speaking: None,
            hand: None,
            waiting: VecDeque::new(),
            last: now.moment,
            leave: None,
            outward: Outward::default(),
            inward: Inward::default(),
            understands: Understands::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes something to say. One message at a time: the next when this one is delivered or failed.
    pub fn handle_item(&mut self, item: Item, pace: &Pace, now: Now) {
        self.leave = None;
        self.waiting.push_back(item);
        self.advance(pace, now);
    }

    /// Takes what the XMPP user's client says of him, with a text or without; `None` if it said nothing.
    pub fn handle_client(&mut self, state: Option<ChatState>) {
        match (state, self.understands) {
            (Some(_), _) => self.understands = Understands::Yes,
            (None, Understands::Unknown) => self.understands = Understands::No,
            (None, Understands::Yes | Understands::No) => {}
        }
    }

    /// Takes a chat state of the XMPP user that came without a text. It never opens a session.
    pub fn handle_chat_state(&mut self, state: ChatState, pace: &Pace, now: Now) {
        self.handle_client(Some(state));
        if self.speaking.is_none() {
            return;
        }
        self.outward.handle_state(state, pace.typing_every, now.moment);
        if state == ChatState::Gone {
            self.leave = Some(now.moment + LEAVE_AFTER);
        }
        self.advance(pace, now);
    }

    /// The peer called, and we have answered.
    pub fn handle_called(&mut self, now: Now) -> Leg {
        self.last = now.moment;
        let crosses = self.legs.iter().any(|leg| matches!(leg.stage, Stage::Calling { .. }));
        self.add_leg(Stage::Called { crosses })
    }

    /// A session is there: our call was accepted, or our answer acknowledged.
    pub fn handle_established(&mut self, leg: Leg, pace: &Pace, now: Now) {
        self.last = now.moment;
        match self.stage(leg) {
            Some(Stage::Calling { .. }) => {
                self.set_stage(leg, Stage::Open);
                self.speak_in(leg);
            }
            // Both called at once, and ours was accepted first: theirs goes when it is not used.
            Some(Stage::Called { crosses: true }) if self.speaking.is_some() => {
                self.set_stage(leg, Stage::Spare { until: now.moment + SPARE_FOR });
            }
            Some(Stage::Called { .. }) => self.establish_theirs(leg),
            Some(Stage::Open | Stage::Spare { .. } | Stage::Retiring) | None => {}
        }
        self.advance(pace, now);
    }

    /// The peer refused our call, or nobody answered it.
    pub fn handle_refused(&mut self, leg: Leg, refused: Refused, pace: &Pace, now: Now) {
        if !self.remove_leg(leg) {
            return;
        }
        self.give_up(match refused {
            Refused::NoSessions(_) => Fate::Paged,
            Refused::No(why) => Fate::Unreachable(why),
        });
        self.advance(pace, now);
    }

    /// A session is over.
    pub fn handle_ended(&mut self, leg: Leg, ended: Ended, pace: &Pace, now: Now) {
        if !self.remove_leg(leg) {
            return;
        }
        if self.legs.is_empty() {
            let typing = self.inward.handle_end();
            self.show(if ended == Ended::ByPeer { Some(ChatState::Gone) } else { typing });
        }
        self.advance(pace, now);
    }

    /// What was said last has an answer.
    pub fn handle_said(&mut self, leg: Leg, said: Said, pace: &Pace, now: Now) {
        self.free(leg);
        let Some(hand) = self.hand.take_if(|hand| hand.said_in == Some(leg)) else { return };
        self.last = now.moment;
        match said {
            Said::Taken { by_agent } => self.decide(hand.item, Fate::Delivered { by_agent }),
            Said::Refused(why) => self.decide(hand.item, Fate::Failed(why)),
            Said::Dead(why) => {
                self.end(leg);
                if hand.deaths == 0 {
                    // Once more: a session that the peer has forgotten took nothing (RFC 5057 §5.2).
                    self.hand = Some(Hand { deaths: 1, said_in: None, ..hand });
                } else {
                    self.decide(hand.item, Fate::Failed(why));
                }
            }
        }
        self.advance(pace, now);
    }

    /// What was shown last has an answer.
    pub fn handle_typed(&mut self, leg: Leg, pace: &Pace, now: Now) {
        self.free(leg);
        self.advance(pace, now);
    }

    /// The peer said a text.
    pub fn handle_heard(&mut self, now: Now) {
        self.last = now.moment;
        self.inward.handle_text();
    }

    /// The peer's user types, or stopped.
    pub fn handle_typing(&mut self, typing: Typing, now: Now) {
        self.last = now.moment;
        let state = self.inward.handle_typing(typing, now.moment);
        self.show(state);
    }

    /// The gateway stops: sessions end as soon as what was said in them is answered.
    pub fn handle_stop(&mut self) {
        for leg in self.all_legs() {
            self.retire(leg);
        }
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, pace: &Pace, now: Now) {
        for leg in self.all_legs() {
            match self.stage(leg) {
                Some(Stage::Calling { until }) if until <= now.moment => {
                    self.end(leg);
                    self.give_up(Fate::Unreachable(Box::new(not_answered())));
                }
                Some(Stage::Spare { until }) if until <= now.moment => self.retire(leg),
                _ => {}
            }
        }
        let leaves = self.leave.is_some_and(|at| at <= now.moment);
        if self.hand.is_none() && (leaves || self.idle_at(pace).is_some_and(|at| at <= now.moment)) {
            self.leave = None;
            for leg in self.all_legs() {
                self.retire(leg);
            }
        }
        let state = self.inward.handle_timeout(now.moment);
        self.show(state);
        self.advance(pace, now);
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self, pace: &Pace) -> Option<Moment> {
        let legs = self.legs.iter().fold(None, |at, leg| match leg.stage {
            Stage::Calling { until } | Stage::Spare { until } => earliest(at, Some(until)),
            Stage::Called { .. } | Stage::Open | Stage::Retiring => at,
        });
        let quiet = match self.hand {
            None => earliest(self.leave, self.idle_at(pace)),
            Some(_) => None,
        };
        earliest(earliest(legs, quiet), self.inward.poll_timeout())
    }

    /// Returns the next order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns whether the XMPP user's client hears chat states.
    pub const fn understands(&self) -> Understands {
        self.understands
    }

    /// Returns whether there is, or may soon be, a session.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.legs.is_empty()
    }

    /// Returns whether the peer may call: it has no need of more sessions than a few at once.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.legs.len() < LEGS_MAX
    }

    /// Returns whether our call waits for its answer.
    #[must_use]
    pub fn is_calling(&self) -> bool {
        self.speaking.is_none() && self.legs.iter().any(|leg| matches!(leg.stage, Stage::Calling { .. }))
    }

    /// Returns when something was last said.
    pub const fn last(&self) -> Moment {
        self.last
    }

    /// Returns how much waits here to be said: the message whose turn it is, and reports.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len() + usize::from(self.hand.is_some())
    }

    fn establish_theirs(&mut self, leg: Leg) {
        self.set_stage(leg, Stage::Open);
        for other in self.all_legs() {
            match self.stage(other) {
                Some(Stage::Calling { .. }) => self.end(other),
                // Whoever calls again has forgotten the session before.
                Some(Stage::Open | Stage::Spare { .. }) if other != leg => self.retire(other),
                Some(Stage::Open | Stage::Spare { .. } | Stage::Called { .. } | Stage::Retiring) | None => {}
            }
        }
        self.speak_in(leg);
    }

    /// Does what can be done: says what is in hand, opens a session for it, shows typing.
    fn advance(&mut self, pace: &Pace, now: Now) {
        if self.hand.is_none() {
            self.hand = self.waiting.pop_front().map(|item| Hand { item, deaths: 0, said_in: None });
        }
        let to_say = self.hand.as_ref().filter(|hand| hand.said_in.is_none()).map(|hand| hand.item);
        match (self.speaking, to_say) {
            (Some(leg), Some(item)) if self.is_free(leg) => {
                self.outward.handle_text();
                self.last = now.moment;
                if let Some(hand) = &mut self.hand {
                    hand.said_in = Some(leg);
                }
                self.occupy(leg);
                self.outputs.push_back(Output::Say { leg, item });
            }
            (Some(leg), None) if self.is_free(leg) => {
                if let Some(state) = self.outward.take(now.moment) {
                    self.occupy(leg);
                    self.outputs.push_back(Output::Type { leg, state });
                }
            }
            (None, Some(_)) if !self.has_prospect() => {
                let leg = self.add_leg(Stage::Calling { until: now.moment + pace.answer_within });
                self.last = now.moment;
                self.outputs.push_back(Output::Call(leg));
            }
            (Some(_) | None, _) => {}
        }
    }

    /// Returns whether there is a session to speak in, or may be one soon.
    fn has_prospect(&self) -> bool {
        let may_serve = |leg: &LegState| matches!(leg.stage, Stage::Calling { .. } | Stage::Called { .. });
        self.speaking.is_some() || self.legs.iter().any(may_serve)
    }

    /// Gives up what is in hand, unless the peer has called meanwhile: its session serves as well.
    fn give_up(&mut self, fate: Fate) {
        if !self.has_prospect()
            && let Some(hand) = self.hand.take()
        {
            self.decide(hand.item, fate);
        }
    }

    fn decide(&mut self, item: Item, fate: Fate) {
        self.outputs.push_back(Output::Decided { item, fate });
    }

    /// Shows the XMPP user what the SIP user does, if his client hears of such things.
    fn show(&mut self, state: Option<ChatState>) {
        if self.understands == Understands::Yes {
            self.outputs.extend(state.map(Output::Show));
        }
    }

    fn idle_at(&self, pace: &Pace) -> Option<Moment> {
        self.speaking.map(|_| self.last + pace.idle_after)
    }

    fn speak_in(&mut self, leg: Leg) {
        self.speaking = Some(leg);
        self.outward.handle_session();
    }

    /// Ends a session when nothing that was said in it waits for its answer.
    fn retire(&mut self, leg: Leg) {
        if self.is_free(leg) {
            self.end(leg);
        } else {
            self.set_stage(leg, Stage::Retiring);
            self.stop_speaking(leg);
        }
    }

    fn end(&mut self, leg: Leg) {
        if self.remove_leg(leg) {
            self.outputs.push_back(Output::End(leg));
        }
    }

    fn free(&mut self, leg: Leg) {
        if let Some(state) = self.leg(leg) {
            state.busy = false;
            if state.stage == Stage::Retiring {
                self.end(leg);
            }
        }
    }

    fn occupy(&mut self, leg: Leg) {
        if let Some(state) = self.leg(leg) {
            state.busy = true;
        }
    }

    fn is_free(&self, leg: Leg) -> bool {
        self.legs.iter().any(|state| state.leg == leg && !state.busy)
    }

    fn stage(&self, leg: Leg) -> Option<Stage> {
        self.legs.iter().find(|state| state.leg == leg).map(|state| state.stage)
    }

    fn set_stage(&mut self, leg: Leg, stage: Stage) {
        if let Some(state) = self.leg(leg) {
            state.stage = stage;
        }
    }

    fn leg(&mut self, leg: Leg) -> Option<&mut LegState> {
        self.legs.iter_mut().find(|state| state.leg == leg)
    }

    fn all_legs(&self) -> Vec<Leg> {
        self.legs.iter().map(|state| state.leg).collect()
    }

    fn add_leg(&mut self, stage: Stage) -> Leg {
        let leg = Leg(self.next_leg);
        self.next_leg = self.next_leg.wrapping_add(1);
        self.legs.push(LegState { leg, stage, busy: false });
        leg
    }

    /// Forgets a session; `false` if there was none.
    fn remove_leg(&mut self, leg: Leg) -> bool {
        let before = self.legs.len();
        self.legs.retain(|state| state.leg != leg);
        self.stop_speaking(leg);
        self.legs.len() < before
    }

    /// Speaks elsewhere, if there is another session.
    fn stop_speaking(&mut self, leg: Leg) {
        if self.speaking != Some(leg) {
            return;
        }
        self.speaking = None;
        let other = self
            .legs
            .iter()
            .rev()
            .find(|state| state.leg != leg && matches!(state.stage, Stage::Open | Stage::Spare { .. }));
        if let Some(other) = other.map(|state| state.leg) {
            self.set_stage(other, Stage::Open);
            self.speak_in(other);
        }
    }
}

fn not_answered() -> Why {
    let outcome = "the call was not answered in time".to_owned();
    Why { error: failure_to_xmpp(&Failure::TimedOut), outcome, status: None }
}

const LEGS_MAX: usize = 4;
/// How long the session stays after the XMPP user closed his window: what he sent just before may come yet.
const LEAVE_AFTER: Duration = Duration::from_secs(1);
/// How long a session that is not needed stays, where both users called at once: what is under way in it arrives.
const SPARE_FOR: Duration = Duration::from_secs(3);

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
