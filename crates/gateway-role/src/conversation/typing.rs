//! Who sees whom type: chat states (XEP-0085) in both directions, seldom enough.

use std::time::Duration;

use clock_types::Moment;
use translate::session::{ChatState, Typing};

/// Whether the XMPP user's client hears chat states (XEP-0085 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Understands {
    /// It has not spoken yet; a state that goes with a text asks it.
    #[default]
    Unknown,
    /// It has sent one.
    Yes,
    /// It has sent a text without one.
    No,
}

/// The XMPP user's typing, as the SIP user sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outward {
    /// When the SIP user was last told that the XMPP user types, if that still stands.
    shown: Option<Moment>,
    /// When the SIP user was last told anything.
    told: Option<Moment>,
    /// What is to be said when the session is free.
    wanted: Option<ChatState>,
}

impl Outward {
    /// Takes what the XMPP user does.
    pub fn handle_state(&mut self, state: ChatState, refresh: Duration, now: Moment) {
        match state {
            ChatState::Composing => {
                if self.told.is_none_or(|told| now.since(told) >= refresh) {
                    self.wanted = Some(ChatState::Composing);
                } else if self.shown.is_some() {
                    // It stands already: a pause that was not said yet need not be.
                    self.wanted = None;
                }
            }
            ChatState::Active | ChatState::Paused | ChatState::Inactive => {
                self.wanted = self.shown.map(|_| ChatState::Paused);
            }
            ChatState::Gone => self.wanted = None,
        }
    }

    /// A text ends typing by itself.
    pub const fn handle_text(&mut self) {
        self.wanted = None;
        self.shown = None;
    }

    /// The session is another one, in which nothing was said.
    pub fn handle_session(&mut self) {
        *self = Self::default();
    }

    /// Takes what there is to say.
    pub fn take(&mut self, now: Moment) -> Option<ChatState> {
        let state = self.wanted.take()?;
        self.shown = (state == ChatState::Composing).then_some(now);
        self.told = Some(now);
        Some(state)
    }
}

/// The SIP user's typing, as the XMPP user sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inward {
    /// Until when the XMPP user is shown that the SIP user types.
    until: Option<Moment>,
    /// When he was last shown it.
    shown: Option<Moment>,
}

impl Inward {
    /// Takes what the SIP user does, and returns what to show.
    pub fn handle_typing(&mut self, typing: Typing, now: Moment) -> Option<ChatState> {
        match typing.holds_for() {
            Some(holds) => {
                let stands = self.until.replace(now + holds).is_some();
                let is_soon = self.shown.is_some_and(|shown| now.since(shown) < SHOWN_EVERY);
                if stands || is_soon {
                    return None;
                }
                self.shown = Some(now);
                Some(typing.chat_state())
            }
            None => self.until.take().map(|_| typing.chat_state()),
        }
    }

    /// A text ends typing by itself.
    pub const fn handle_text(&mut self) {
        self.until = None;
        self.shown = None;
    }

    /// Returns what to show when the session has ended.
    pub fn handle_end(&mut self) -> Option<ChatState> {
        self.until.take().map(|_| ChatState::Paused)
    }

    /// Returns what to show when nothing was heard for too long.
    pub fn handle_timeout(&mut self, now: Moment) -> Option<ChatState> {
        if self.until.is_some_and(|until| until <= now) {
            return self.handle_end();
        }
        None
    }

    /// Returns when to call [`Self::handle_timeout`].
    pub const fn poll_timeout(&self) -> Option<Moment> {
        self.until
    }
}

/// How seldom an XMPP user is shown that somebody begins to type.
const SHOWN_EVERY: Duration = Duration::from_secs(5);
