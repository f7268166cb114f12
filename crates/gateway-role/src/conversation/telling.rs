//! What became of the SIP user's texts, told in the session that there is (RFC 5438 §8).

use clock_types::Now;
use sip_types::Method;
use sip_types::msrp::{Ident, SuccessReport};
use translate::MessageToSip;
use translate::session::text_to_session;

use super::desk::Desk;
use super::effect::Effect;
use super::entry::{Entry, Inside};
use super::machine::Leg;
use super::wire::to_send;

impl Entry {
    /// Takes what became of a text; it goes in the session when that is free, and never opens one.
    pub fn handle_told(&mut self, message: Box<MessageToSip>, desk: &mut Desk) {
        if self.tells.len() >= TELLS_MAX {
            return desk.outputs.push_back(Effect::Untold(message));
        }
        self.tells.push_back(message);
    }

    /// Tells what waits, if it can be told now; returns whether anything was done.
    pub fn tell_next(&mut self, desk: &mut Desk, now: Now) -> bool {
        if self.tells.is_empty() {
            return false;
        }
        if !self.conversation.is_open() {
            desk.outputs.extend(self.tells.drain(..).map(Effect::Untold));
            return false;
        }
        let Some(leg) = self.conversation.take_turn() else { return false };
        if let Some(message) = self.tells.pop_front()
            && !self.tell(leg, &message, desk, now)
        {
            desk.outputs.push_back(Effect::Untold(message));
            self.conversation.handle_typed(leg, &desk.pace, now);
        }
        true
    }

    fn tell(&mut self, leg: Leg, message: &MessageToSip, desk: &mut Desk, now: Now) -> bool {
        let body = text_to_session(message);
        if self.is_wired(leg) {
            let Some(message_id) = Ident::parse(desk.ids.token("d")) else { return false };
            return self.put(leg, to_send(message_id, body, SuccessReport::No), Inside::Told, desk, now);
        }
        let Some(carried) = self.carried(leg) else { return false };
        let is_sent = carried.session.send(Method::Message, |request| body.put_into(request), now).is_ok();
        if is_sent {
            carried.inside = Inside::Told;
        }
        is_sent
    }
}

/// So many wait for a session that is not free; more go by themselves.
const TELLS_MAX: usize = 16;
