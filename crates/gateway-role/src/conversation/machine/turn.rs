//! A turn in the session that there is, for what must not open one.

use super::{Conversation, Leg};

impl Conversation {
    /// Takes the session where nothing is said in it, and no text waits to be; [`Conversation::handle_typed`] gives it
    /// back.
    pub fn take_turn(&mut self) -> Option<Leg> {
        let leg = self.speaking.filter(|leg| self.hand.is_none() && self.is_free(*leg))?;
        self.occupy(leg);
        Some(leg)
    }
}
