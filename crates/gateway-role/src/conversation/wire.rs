//! MSRP under a conversation: what is said goes over a connection of its own, and the session only agrees where
//! (RFC 7573, RFC 4975 §8).

use std::collections::VecDeque;
use std::sync::Arc;

use clock_types::Now;
use sip_proto::msrp::{Failure, Output, Received, SessionKey, ToSend, Verdict};
use sip_proto::session::Content;
use sip_types::msrp::{Ident, Path, SuccessReport};
use sip_types::sdp::Carries;
use sip_types::{HeaderName, HeaderText};
use translate::session::{
    ChatState, Envelope, Heard, Parties, SessionBody, TypingDialect, Wishes, hear_body, received_stanza,
    typing_to_sip,
};
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::xml::Element;

use super::desk::Desk;
use super::effect::{Arrived, Asker, Effect, SessionChange};
use super::entry::{Entry, Inside, Saying};
use super::fate::Item;
use super::machine::{Ended, Leg, Refused, Said};
use super::offer::{self, Line, Takes};
use super::typing::Understands;
use super::verdict;

/// The connection under a session.
#[derive(Debug)]
pub struct Wire {
    pub key: SessionKey,
    /// What the peer takes, once it has said so.
    pub takes: Option<Takes>,
    /// Its path, once it has said so.
    path: Option<Path>,
    /// Whether the session is agreed on.
    is_agreed: bool,
    /// Whether there is the connection.
    is_open: bool,
    /// What is on its way.
    on_its_way: Option<Ident>,
    /// Who wrote that.
    sender: Option<Box<Sender>>,
    /// What arrived at the next hop, and may be reported on.
    told: VecDeque<(Ident, Box<Sender>)>,
}

/// Who wrote a message, for what is to be told of it later.
#[derive(Clone, Debug)]
pub struct Sender {
    pub from: Jid,
    pub to: Jid,
    pub id: String,
    pub wants_receipt: bool,
    /// Whether he wants to hear that it was seen (XEP-0333).
    pub wants_marker: bool,
}

impl Wire {
    /// Returns the connection of a session whose peer has said nothing.
    pub const fn new(key: SessionKey) -> Self {
        Self {
            key,
            takes: None,
            path: None,
            is_agreed: false,
            is_open: false,
            on_its_way: None,
            sender: None,
            told: VecDeque::new(),
        }
    }

    /// Returns it with what the peer has said.
    pub fn with(self, line: &Line) -> Self {
        Self { takes: Some(line.takes), path: Some(line.peer.path.clone()), ..self }
    }

    const fn is_ready(&self) -> bool {
        self.is_agreed && self.is_open
    }
}

impl Entry {
    /// The session is agreed on; its connection may come yet, or be there already.
    pub fn wire_agreed(&mut self, leg: Leg, content: Option<&Content>, desk: &mut Desk, now: Now) {
        let Some(wire) = self.wire(leg) else { return };
        wire.is_agreed = true;
        if wire.takes.is_none() {
            let Some(line) = content.and_then(|content| offer::line_of_answer(&content.body)) else {
                return self.wire_failed(leg, verdict::no_line(), desk, now);
            };
            wire.takes = Some(line.takes);
            wire.path = Some(line.peer.path.clone());
            let key = wire.key;
            desk.msrp.join(key, line.peer, now);
        }
        self.wire_ready(leg, desk, now);
    }

    /// The peer has offered other terms. One that wants its texts elsewhere gets them in a new session: this one's
    /// connection leads where it was.
    pub fn wire_modified(&mut self, leg: Leg, content: &Content, desk: &mut Desk, now: Now) {
        let line = offer::line_of_answer(&content.body);
        let path = self.wire(leg).and_then(|wire| wire.path.clone());
        if line.map(|line| line.peer.path) != path {
            self.wire_failed(leg, verdict::no_line(), desk, now);
        }
    }

    /// Hears what became of the connection, or came over it.
    pub fn hear_wire(&mut self, leg: Leg, output: Output, desk: &mut Desk, now: Now) {
        match output {
            Output::Opened { .. } => {
                if let Some(wire) = self.wire(leg) {
                    wire.is_open = true;
                }
                self.wire_ready(leg, desk, now);
            }
            Output::Received(received) => self.hear_wired(leg, *received, desk, now),
            Output::Accepted { message_id, .. } => self.wire_took(leg, &message_id, desk, now),
            Output::Delivered { message_id, .. } => {
                if let Some(sender) = self.take_told(leg, &message_id).filter(|sender| sender.wants_receipt) {
                    let parties = Parties { from: &sender.to, to: &sender.from, thread: None };
                    let stanza = received_stanza(&parties, &sender.id);
                    desk.outputs.push_back(Effect::Stanza { pair: Arc::clone(&self.pair), stanza });
                }
            }
            Output::Failed { message_id, failure, .. } => {
                self.wire_lost(leg, &message_id, &failure, desk, now);
            }
            Output::Closed { end, .. } => {
                if let Some(wire) = self.wire(leg) {
                    desk.wires.remove(&wire.key);
                }
                self.wire_failed(leg, verdict::of_wire_end(&end), desk, now);
            }
            // They are the table's.
            Output::Order(_) | Output::Notice(_) => {}
        }
    }

    /// Says something over the connection.
    pub fn say_wired(&mut self, leg: Leg, item: Item, desk: &mut Desk, now: Now) {
        let saying = self.items.iter().find(|(other, _)| *other == item).map(|(_, saying)| saying.clone());
        let carried = self.sessions.iter().find(|carried| carried.leg == leg);
        let takes = carried.and_then(|carried| carried.wire.as_ref()?.takes);
        let (Some(saying), Some(takes)) = (saying, takes) else {
            return self.conversation.handle_said(leg, verdict::session_lost(), &desk.pace, now);
        };
        let message_id = desk.message_id(item);
        let body = in_form(takes.text, &saying, &message_id, now);
        if takes.text == Carries::InEnvelope
            && let Some(sender) = saying.sender.as_deref().filter(|sender| sender.wants_marker)
        {
            let (message_id, sender) = (message_id.to_string(), Box::new(sender.clone()));
            desk.outputs.push_back(Effect::Asked { message_id, sender });
        }
        let wants_receipt = saying.sender.as_ref().is_some_and(|sender| sender.wants_receipt);
        let success_report = if wants_receipt { SuccessReport::Yes } else { SuccessReport::No };
        if !self.put(leg, to_send(message_id, body, success_report), Inside::Item, desk, now) {
            return self.conversation.handle_said(leg, verdict::session_lost(), &desk.pace, now);
        }
        if let Some(wire) = self.wire(leg) {
            wire.sender = saying.sender;
        }
        if let Some(carried) = self.carried(leg) {
            let call = carried.call.clone();
            desk.outputs.push_back(Effect::Said { item, call });
        }
    }

    /// Shows typing over the connection, if the peer takes it.
    pub fn show_typing_wired(&mut self, leg: Leg, state: ChatState, desk: &mut Desk, now: Now) {
        let typing = self.wire(leg).and_then(|wire| wire.takes).map_or(Carries::No, |takes| takes.typing);
        // Only a form of its own is sent: an envelope needs a message's addresses, and no peer asks for one.
        if typing == Carries::Bare
            && let Some(body) = typing_to_sip(state, TypingDialect::IsComposing)
            && let Some(message_id) = Ident::parse(desk.ids.token("t"))
            && self.put(leg, to_send(message_id, body, SuccessReport::No), Inside::Typing, desk, now)
        {
            return;
        }
        self.conversation.handle_typed(leg, &desk.pace, now);
    }

    pub fn put(&mut self, leg: Leg, content: ToSend, inside: Inside, desk: &mut Desk, now: Now) -> bool {
        let Some(carried) = self.carried(leg) else { return false };
        let Some(wire) = &mut carried.wire else { return false };
        let message_id = content.message_id.clone();
        if desk.msrp.send(wire.key, content, now).is_err() {
            return false;
        }
        wire.on_its_way = Some(message_id);
        carried.inside = inside;
        true
    }

    fn wire(&mut self, leg: Leg) -> Option<&mut Wire> {
        self.carried(leg)?.wire.as_deref_mut()
    }

    fn wire_ready(&mut self, leg: Leg, desk: &mut Desk, now: Now) {
        let Some(index) = self.sessions.iter().position(|carried| carried.leg == leg) else { return };
        let carried = &mut self.sessions[index];
        if !carried.wire.as_ref().is_some_and(|wire| wire.is_ready()) || carried.is_established {
            return;
        }
        carried.is_established = true;
        let by_us = carried.is_ours;
        self.conversation.handle_established(leg, &desk.pace, now);
        self.note(index, SessionChange::Opened { by_us }, desk);
    }

    /// Without its connection a session is worth nothing.
    fn wire_failed(&mut self, leg: Leg, refused: Refused, desk: &mut Desk, now: Now) {
        let Some(carried) = self.carried(leg) else { return };
        let was_established = carried.is_established;
        carried.session.end(now);
        if was_established {
            self.conversation.handle_ended(leg, Ended::Otherwise, &desk.pace, now);
        } else {
            self.conversation.handle_refused(leg, refused, &desk.pace, now);
        }
    }

    fn wire_took(&mut self, leg: Leg, message_id: &Ident, desk: &mut Desk, now: Now) {
        match self.take_inside(leg, message_id) {
            Inside::Item => {
                if let Some(wire) = self.wire(leg)
                    && let Some(sender) = wire.sender.take()
                {
                    if wire.told.len() >= TOLD_MAX {
                        wire.told.pop_front();
                    }
                    wire.told.push_back((message_id.clone(), sender));
                }
                // The next hop has it; that the user's own program has it is a report's to say.
                self.conversation.handle_said(leg, Said::Taken { by_agent: false }, &desk.pace, now);
            }
            Inside::Typing | Inside::Told => self.typed(leg, false, desk, now),
            Inside::Nothing => {}
        }
    }

    fn wire_lost(&mut self, leg: Leg, message_id: &Ident, failure: &Failure, desk: &mut Desk, now: Now) {
        match self.take_inside(leg, message_id) {
            Inside::Item => {
                self.conversation.handle_said(leg, verdict::of_wired(failure), &desk.pace, now);
            }
            Inside::Typing => self.typed(leg, *failure == (Failure::Refused { code: 415 }), desk, now),
            Inside::Told => self.typed(leg, false, desk, now),
            Inside::Nothing => {
                // It was taken, and lost behind the next hop: its sender is told late, which is better than never.
                let Some(sender) = self.take_told(leg, message_id) else { return };
                let (Said::Refused(why) | Said::Dead(why)) = verdict::of_wired(failure) else { return };
                let stanza = Element::new(ns::SERVER, "message")
                    .with_attr("from", sender.to.as_str())
                    .with_attr("to", sender.from.as_str())
                    .with_attr("id", sender.id.as_str())
                    .with_attr("type", "error")
                    .with_child(why.error.to_element());
                desk.outputs.push_back(Effect::Stanza { pair: Arc::clone(&self.pair), stanza });
            }
        }
    }

    fn take_inside(&mut self, leg: Leg, message_id: &Ident) -> Inside {
        let Some(carried) = self.carried(leg) else { return Inside::Nothing };
        let Some(wire) = &mut carried.wire else { return Inside::Nothing };
        match wire.on_its_way.take_if(|id| id == message_id) {
            Some(_) => std::mem::replace(&mut carried.inside, Inside::Nothing),
            None => Inside::Nothing,
        }
    }

    fn take_told(&mut self, leg: Leg, message_id: &Ident) -> Option<Box<Sender>> {
        let told = &mut self.wire(leg)?.told;
        let at = told.iter().position(|(id, _)| id == message_id)?;
        told.remove(at).map(|(_, sender)| sender)
    }

    /// Takes what came over the connection; a text is answered when its fate is known.
    fn hear_wired(&mut self, leg: Leg, received: Received, desk: &mut Desk, now: Now) {
        let Received { key, session, message_id, content_type, body } = received;
        let id = self.pair.name_of(&[message_id.as_str().as_bytes(), &body]);
        let content_type = content_type.as_ref().map(HeaderText::as_str);
        let heard = hear_body(content_type, &body, &self.pair.sip, &id, desk.settings.to_xmpp.body_max);
        let verdict = match heard {
            Err(refusal) => Verdict::Refused(verdict::wire_code(refusal.status)),
            Ok(heard) => match heard.value {
                Heard::Text(text) => {
                    self.conversation.handle_heard(now);
                    let shows = self.conversation.understands() != Understands::No
                        && desk.settings.conversations.typing;
                    let Some(call) = self.carried(leg).map(|carried| carried.call.clone()) else { return };
                    desk.outputs.push_back(Effect::Arrived(Box::new(Arrived {
                        asker: Asker::Wire { key, session },
                        call,
                        sender: None,
                        pair: Arc::clone(&self.pair),
                        thread: self.thread(),
                        text: *text,
                        state: shows.then_some(ChatState::Active),
                        losses: heard.losses,
                    })));
                    return;
                }
                Heard::Typing(typing) => {
                    self.conversation.handle_typing(typing, now);
                    Verdict::Delivered
                }
                Heard::Disposition(disposition) => {
                    desk.outputs.push_back(Effect::Disposed { pair: Arc::clone(&self.pair), disposition });
                    Verdict::Delivered
                }
                Heard::Ignored(_) => Verdict::Delivered,
            },
        };
        desk.msrp.answer(key, verdict, now);
    }
}

pub fn to_send(message_id: Ident, body: SessionBody, success_report: SuccessReport) -> ToSend {
    let content_type = HeaderText::clean(&body.content_type.to_string()).text;
    ToSend { message_id, content_type, body: body.body, success_report }
}

/// Returns the text in the form that the peer takes.
fn in_form(carries: Carries, saying: &Saying, id: &Ident, now: Now) -> SessionBody {
    match carries {
        Carries::Bare | Carries::No => saying.body.clone(),
        Carries::InEnvelope => {
            let subject = saying.headers.iter().find(|(name, _)| *name == HeaderName::Subject);
            let envelope = Envelope {
                from: &saying.from,
                to: &saying.to,
                subject: subject.map(|(_, value)| value),
                date: now.date,
                id: id.as_str(),
                // The report of MSRP itself says what a delivery notification would.
                wishes: Wishes {
                    delivery: false,
                    display: saying.sender.as_ref().is_some_and(|sender| sender.wants_marker),
                },
            };
            envelope.around(&saying.body)
        }
    }
}

/// So many messages of a session may still be reported on.
const TOLD_MAX: usize = 64;
