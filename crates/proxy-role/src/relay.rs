//! Stanzas from partners to gateways, and from gateways to partners.

use std::collections::VecDeque;

use clock_types::{Moment, Now};
use xmpp_proto::dialback::Pair;
use xmpp_proto::link::{Gateway, ReceivedId};
use xmpp_proto::stream::{Purpose, Received};
use xmpp_types::jid::Jid;
use xmpp_types::stanza::{self, StanzaKind};
use xmpp_types::stanza_error::{StanzaCondition, StanzaError, error_reply};
use xmpp_types::xml::Element;

use crate::answers::{self, Answer};
use crate::notice::{Direction, Names, Notice};
use crate::proxy::{Proxy, choose_gateway};
use crate::timers::Timer;
use crate::world::{Bounce, Effect, Origin, Source};

/// A partner's stanza that waits for a gateway.
#[derive(Debug)]
pub(crate) struct Held {
    source: Option<Source>,
    stanza: Element,
    until: Moment,
}

impl Proxy {
    /// Takes a stanza of a partner; its addresses are judged.
    pub(crate) fn relay_inward(&mut self, source: Source, received: Received, now: Now) {
        let Received { from, to, stanza, .. } = received;
        let kind = StanzaKind::of(&stanza);
        if to.local().is_none() && kind == Some(StanzaKind::Iq) {
            return self.answer_for_domain(source, &from, &to, &stanza, now);
        }
        if let Some(kind) = kind {
            let pair = Pair { local: to.domain().clone(), remote: from.domain().clone() };
            self.world.show(&stanza, &pair, Direction::Inward, now);
            let (direction, names) = (Direction::Inward, Names::of(&stanza));
            self.world.notice(Notice::Relayed { pair, direction, kind, names });
        }
        match choose_gateway(self.links.gateways(), to.bare_str(), from.bare_str()) {
            Some(gateway) => self.put_on_link(gateway, Some(source), stanza, now),
            None => self.hold(Some(source), stanza, now),
        }
    }

    /// Takes a stanza that lost its gateway.
    pub(crate) fn relay_to_gateway(&mut self, source: Option<Source>, stanza: Element, now: Now) {
        let (local, remote) =
            (stanza.attr("to").unwrap_or_default(), stanza.attr("from").unwrap_or_default());
        let bare = |address: &str| address.split('/').next().unwrap_or_default().to_string();
        match choose_gateway(self.links.gateways(), &bare(local), &bare(remote)) {
            Some(gateway) => self.put_on_link(gateway, source, stanza, now),
            None => self.hold(source, stanza, now),
        }
    }

    fn put_on_link(&mut self, gateway: Gateway, source: Option<Source>, stanza: Element, now: Now) {
        let Some(id) = self.links.send(gateway, stanza, now) else { return };
        if let Some(source) = source {
            self.on_links.insert(id, source);
        }
    }

    /// Keeps a stanza until a gateway is there; its sender is not told that it may forget it.
    fn hold(&mut self, source: Option<Source>, stanza: Element, now: Now) {
        if let Some(place) =
            self.held.iter().position(|held| self.is_gone(held.source) && held.stanza == stanza)
        {
            // The partner sends it again because its stream broke: it keeps its turn, and is there once.
            self.held[place].source = source;
            return;
        }
        let limits = &self.world.settings.limits;
        if self.held.len() >= limits.held_max || limits.held_for.is_zero() || self.world.is_stopping {
            return self.refuse_held(source, &stanza, now);
        }
        let until = now.moment + if is_permission(&stanza) { limits.held_for * 20 } else { limits.held_for };
        let is_half_full = self.held.len() * 2 >= limits.held_max;
        self.held.push_back(Held { source, stanza, until });
        self.world.timers.set(Timer::Held, self.first_held());
        if is_half_full
            && let Some(Source::Incoming(session, _)) = source
            && let Some(connection) = self.connection_of(session)
        {
            self.pause(connection, "no gateway is connected");
        }
    }

    /// Tells whether a stanza's stream is over, so that whoever sent it cannot be told that it is settled.
    fn is_gone(&self, source: Option<Source>) -> bool {
        match source {
            Some(Source::Incoming(session, _)) => {
                self.connection_of(session).is_none() && !self.kept.has(session)
            }
            Some(Source::Outgoing(..)) | None => false,
        }
    }

    /// Hands over what was held, and reads the partners again.
    pub(crate) fn release_held(&mut self, now: Now) {
        for held in std::mem::take(&mut self.held) {
            self.relay_to_gateway(held.source, held.stanza, now);
        }
        let paused: Vec<_> =
            self.incoming.iter().filter(|(_, incoming)| incoming.is_paused).map(|(id, _)| *id).collect();
        for connection in paused {
            self.resume(connection, now);
        }
    }

    /// Tells a gateway that is back what was settled while it was away.
    pub(crate) fn settle_meanwhile(&mut self, gateway: Gateway, now: Now) {
        for (origin, n) in std::mem::take(&mut self.settled_meanwhile) {
            if origin == gateway {
                self.links.settle(gateway, n, now);
            } else {
                self.settled_meanwhile.push((origin, n));
            }
        }
    }

    /// Tells the senders of what was held for too long.
    pub(crate) fn report_held(&mut self, now: Now) {
        let (due, waiting) =
            std::mem::take(&mut self.held).into_iter().partition(|held| held.until <= now.moment);
        let due: VecDeque<Held> = due;
        self.held = waiting;
        for held in due {
            self.refuse_held(held.source, &held.stanza, now);
        }
        self.world.timers.set(Timer::Held, self.first_held());
    }

    fn first_held(&self) -> Option<Moment> {
        self.held.iter().map(|held| held.until).min()
    }

    fn refuse_held(&mut self, source: Option<Source>, stanza: &Element, now: Now) {
        if self.world.is_stopping && self.is_kept_by_partner(source) {
            // It stays unacknowledged, so that the partner keeps it for whoever serves next.
            return;
        }
        let text = "the gateway to the recipient is not reachable for the moment";
        let error = StanzaError::new(StanzaCondition::RecipientUnavailable).with_text(text);
        self.bounce_to_partner(source, stanza, &error, now);
    }

    /// Lets go of what waits for a gateway that will not come before we end.
    pub(crate) fn refuse_all_held(&mut self, now: Now) {
        for held in std::mem::take(&mut self.held) {
            self.refuse_held(held.source, &held.stanza, now);
        }
        self.world.timers.set(Timer::Held, None);
    }

    /// Tells whether the partner knows by its count what we have not acknowledged (XEP-0198).
    fn is_kept_by_partner(&self, source: Option<Source>) -> bool {
        match source {
            Some(Source::Incoming(session, _)) => match self.connection_of(session) {
                Some(connection) => {
                    self.incoming.get(&connection).is_some_and(|incoming| incoming.acceptor.is_counting())
                }
                None => self.kept.has(session),
            },
            Some(Source::Outgoing(..)) | None => false,
        }
    }

    /// Answers a partner's stanza with an error and settles it. Presence needs no answer, because it will come again;
    /// what is said about permission will not.
    fn bounce_to_partner(&mut self, source: Option<Source>, stanza: &Element, error: &StanzaError, now: Now) {
        if (stanza.name() != "presence" || is_permission(stanza))
            && let Some(reply) = error_reply(stanza, error)
        {
            if let Some(pair) = pair_of(&reply) {
                let reason = error.text.as_deref().unwrap_or_default().to_string();
                let (direction, condition) = (Direction::Inward, error.condition);
                self.world.notice(Notice::Bounced { pair, direction, condition, reason });
            }
            // The sender's server may forget the stanza only when it has the error.
            self.world.effects.push_back(Effect::ToPartner(Box::new(reply), source));
        } else if let Some(source) = source {
            self.settle_source(source, now);
        }
    }

    /// Answers what a partner asks of a domain rather than of a person.
    fn answer_for_domain(&mut self, source: Source, from: &Jid, to: &Jid, stanza: &Element, now: Now) {
        match answers::answer(stanza, &self.world.settings) {
            Answer::Reply(reply) => self.world.effects.push_back(Effect::ToPartner(Box::new(reply), None)),
            Answer::Nothing => {
                let pair = Pair { local: to.domain().clone(), remote: from.domain().clone() };
                self.handle_pong(&pair, stanza.attr("id").unwrap_or_default(), now);
            }
        }
        self.settle_source(source, now);
    }

    /// Takes what may be the answer to a ping of ours: it tells how far the partner has come.
    fn handle_pong(&mut self, pair: &Pair, id: &str, now: Now) {
        if let Some(courier) = self.by_pair.get(&(pair.clone(), false)).copied() {
            let mut is_done = false;
            self.with_courier(courier, |courier, world| is_done = courier.handle_pong(id, world, now));
            if is_done {
                return;
            }
        }
        let both_ways: Vec<_> = self
            .incoming
            .iter()
            .filter(|(_, incoming)| {
                incoming.acceptor.is_both_ways() && incoming.acceptor.remote() == Some(&pair.remote)
            })
            .map(|(connection, _)| *connection)
            .collect();
        for connection in both_ways {
            let Some(incoming) = self.incoming.get_mut(&connection) else { continue };
            let is_done = incoming.acceptor.handle_pong(id, now);
            self.drive_incoming(connection, now);
            if is_done {
                return;
            }
        }
    }

    /// Sends an answer of our own to a partner.
    pub(crate) fn answer_partner(&mut self, stanza: Element, source: Option<Source>, now: Now) {
        if let Some(pair) = pair_of(&stanza) {
            let courier = self.courier_for(pair, Purpose::Speak, now);
            self.with_courier(courier, |courier, world| {
                courier.push(stanza, Origin::Answer(source), world, now)
            });
        }
    }

    /// Takes a stanza of a gateway.
    pub(crate) fn relay_outward(&mut self, gateway: Gateway, n: ReceivedId, stanza: Element, now: Now) {
        let origin = Origin::Gateway(gateway, n);
        match self.judge_outgoing(&stanza) {
            Ok((pair, kind)) => {
                self.world.show(&stanza, &pair, Direction::Outward, now);
                let (direction, names) = (Direction::Outward, Names::of(&stanza));
                self.world.notice(Notice::Relayed { pair: pair.clone(), direction, kind, names });
                let courier = self.courier_for(pair, Purpose::Speak, now);
                self.with_courier(courier, |courier, world| courier.push(stanza, origin, world, now));
            }
            Err(bounce) => self.bounce_to_gateway(origin, &stanza, &bounce, now),
        }
    }

    /// A gateway speaks only for the domains that we serve, and only to partners.
    fn judge_outgoing(&self, stanza: &Element) -> Result<(Pair, StanzaKind), Bounce> {
        let kind = StanzaKind::of(stanza)
            .ok_or_else(|| Bounce::new(StanzaCondition::BadRequest, "that is not a stanza"))?;
        let address = |address: Result<Option<Jid>, _>| address.ok().flatten();
        let malformed = |what: &str| Bounce::new(StanzaCondition::JidMalformed, what);
        let from =
            address(stanza::from(stanza)).ok_or_else(|| malformed("the sender's address is malformed"))?;
        let to =
            address(stanza::to(stanza)).ok_or_else(|| malformed("the recipient's address is malformed"))?;
        if !self.rules.serves(from.domain()) {
            let text = format!("{} is not served by this proxy", from.domain());
            return Err(Bounce::new(StanzaCondition::NotAllowed, text));
        }
        if self.rules.policy(to.domain()).is_none() {
            let text = format!("policy: {} is not a partner of this server", to.domain());
            return Err(Bounce::new(StanzaCondition::RemoteServerNotFound, text));
        }
        Ok((Pair { local: from.domain().clone(), remote: to.domain().clone() }, kind))
    }

    pub(crate) fn settle_origin(&mut self, origin: Origin, now: Now) {
        match origin {
            // An error of the partner may be held for this gateway: it must hear that first, so what is settled
            // while it is away is told after what is held.
            Origin::Gateway(gateway, n) if self.links.gateways().all(|present| present != gateway) => {
                self.settled_meanwhile.push((gateway, n));
            }
            Origin::Gateway(gateway, n) => self.links.settle(gateway, n, now),
            Origin::Answer(Some(source)) => self.settle_source(source, now),
            Origin::Answer(None) => {}
        }
    }

    /// Gives a gateway's stanza back to it with an error, and settles it after that.
    pub(crate) fn bounce_to_gateway(&mut self, origin: Origin, stanza: &Element, bounce: &Bounce, now: Now) {
        if let Some(pair) = pair_of(stanza) {
            self.world.notice(Notice::Bounced {
                pair,
                direction: Direction::Outward,
                condition: bounce.condition,
                reason: bounce.text.clone(),
            });
        }
        let Origin::Gateway(gateway, _) = origin else { return };
        let error = StanzaError::new(bounce.condition).with_text(bounce.text.as_str());
        if let Some(reply) = error_reply(stanza, &error) {
            // To that gateway alone: it knows what became of the stanza it sent.
            self.links.send(gateway, reply, now);
        }
        self.settle_origin(origin, now);
    }
}

/// Tells whether a stanza asks for a permission to see somebody, gives it, or takes it back (RFC 6121 §3): it is said once.
fn is_permission(stanza: &Element) -> bool {
    let words = ["subscribe", "subscribed", "unsubscribe", "unsubscribed"];
    stanza.name() == "presence" && stanza.attr("type").is_some_and(|kind| words.contains(&kind))
}

/// Returns the domains of a stanza from us to a partner.
fn pair_of(stanza: &Element) -> Option<Pair> {
    let from = stanza::from(stanza).ok()??;
    let to = stanza::to(stanza).ok()??;
    Some(Pair { local: from.domain().clone(), remote: to.domain().clone() })
}
