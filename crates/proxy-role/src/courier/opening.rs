//! The courier's stream, from its first octet to its last.

use std::time::Duration;

use clock_types::Now;
use net_types::{ConnectionId, Order, TlsFacts};
use xmpp_proto::failure::{Failure, Stage};
use xmpp_proto::stream::{Approach, Initiator, InitiatorOutput as Output};

use super::approach::Dialling;
use super::{Courier, State, not_a_partner};
use crate::notice::{Direction, Notice};
use crate::streams::tls_words;
use crate::world::{Effect, Source, World};

impl Courier {
    pub(super) fn open_stream(
        &mut self,
        connection: ConnectionId,
        tls: Option<Box<TlsFacts>>,
        dialling: Dialling,
        world: &mut World,
        now: Now,
    ) {
        let Some(partner) = world.settings.partner(&self.pair.remote) else {
            world.close(connection);
            return self.attempt_failed(not_a_partner(), world, now);
        };
        let limits = &world.settings.limits;
        let mut methods = partner.methods();
        methods.external &= !(self.avoids_external && methods.dialback_over_tls);
        let approach = Approach {
            pair: self.pair.clone(),
            methods,
            evidence: dialling.evidence.clone(),
            purpose: self.purpose,
            establishment: limits.establishment,
            inactivity: limits.inactivity,
            keep_alive: limits.keep_alive / 2,
        };
        let settings = world.stream_settings.clone();
        let ids = world.ids.fork();
        let mut initiator = Initiator::new(approach, settings, world.secret.clone(), tls, ids, now);
        for (question, key) in std::mem::take(&mut self.questions) {
            initiator.ask(question, key, now);
        }
        self.session = world.next_token();
        self.hand_over_left(&mut initiator);
        self.state = State::Opening(Box::new(initiator), connection, dialling);
        self.drive(world, now);
    }

    /// Takes octets of the connection.
    pub(crate) fn handle_bytes(&mut self, bytes: &[u8], world: &mut World, now: Now) {
        if let Some(initiator) = self.state.initiator() {
            initiator.handle_bytes(bytes, now);
            self.drive(world, now);
        } else if let State::Inquiring(inquiry, Some(_)) = &mut self.state {
            inquiry.handle_bytes(bytes);
            self.inquire(world, now);
        }
    }

    /// Takes the facts of the handshake.
    pub(crate) fn handle_tls(&mut self, facts: Box<TlsFacts>, world: &mut World, now: Now) {
        if let Some(initiator) = self.state.initiator() {
            initiator.handle_tls(facts, now);
            self.drive(world, now);
        }
    }

    /// Takes the news that a connection is gone.
    pub(crate) fn handle_closed(
        &mut self,
        connection: ConnectionId,
        reason: Option<String>,
        world: &mut World,
        now: Now,
    ) {
        world.owners.remove(&connection);
        if let State::Opening(initiator, open, _) | State::Open(initiator, open) = &mut self.state
            && *open == connection
        {
            initiator.handle_closed(reason, now);
            self.drive(world, now);
        } else if let State::Inquiring(inquiry, open) = &mut self.state
            && *open == Some(connection)
        {
            *open = None;
            inquiry.handle_closed(reason.as_deref());
            self.inquire(world, now);
        }
    }

    /// Carries out what the stream wants, until it wants nothing more.
    pub(super) fn drive(&mut self, world: &mut World, now: Now) {
        while let State::Opening(initiator, connection, _) | State::Open(initiator, connection) =
            &mut self.state
        {
            let connection = *connection;
            let Some(output) = initiator.poll_output() else { return };
            match output {
                Output::Send(bytes) => world.send(connection, bytes),
                Output::StartTls => {
                    let client = Box::new(world.tls_client(&self.pair.local, &self.pair.remote, None));
                    world.order(Order::StartTlsAsClient { connection, client });
                }
                Output::Ready { proof, .. } => {
                    let tls = initiator.tls().map(tls_words);
                    let pair = self.pair.clone();
                    world.notice(Notice::Opened {
                        pair,
                        direction: Direction::Outward,
                        proof,
                        tls,
                        connection,
                    });
                    self.ready(now);
                    self.advance(world, now);
                }
                Output::Resumed(again) => self.resumed(again, connection, world),
                Output::NotResumed { reason, unacknowledged } => {
                    self.not_resumed(unacknowledged, reason, world, now);
                }
                Output::Delivered(token) => self.delivered(token, world),
                Output::Verdict(question, verdict) => {
                    world.effects.push_back(Effect::Verdict(question, verdict));
                }
                Output::Stanza(received) => {
                    let source = Source::Outgoing(self.id, self.session, received.n);
                    world.effects.push_back(Effect::FromPartner(source, received));
                }
                Output::Answer(answer) => world.effects.push_back(Effect::ToPartner(answer, None)),
                Output::Close => world.close(connection),
                Output::Ended(failure) => return self.ended(failure, world, now),
            }
        }
    }

    fn ready(&mut self, now: Now) {
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Opening(initiator, connection, _) => State::Open(initiator, connection),
            state => state,
        };
        self.failed = 0;
        self.tries_location = false;
        self.opened = now.moment;
        self.last_failure = None;
    }

    /// Decides what follows a stream: nothing, the next address, a pause, or another stream at once for
    /// what it left unacknowledged.
    fn ended(&mut self, failure: Option<Failure>, world: &mut World, now: Now) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Open(mut initiator, connection) => {
                world.owners.remove(&connection);
                let pair = self.pair.clone();
                world.notice(Notice::Closed { pair, direction: Direction::Outward, connection, failure });
                let session = if world.is_stopping { None } else { initiator.take_session() };
                match session {
                    Some(session) => {
                        let tls = initiator.tls().map(tls_words);
                        self.suspend(session, connection, tls, world, now);
                    }
                    None => self.requeue(initiator.take_unacknowledged(), world, now),
                }
                if world.is_stopping {
                    self.fail_queue(&Failure::new(Stage::Policy, "the proxy is stopping"), world);
                }
                self.advance(world, now);
            }
            State::Opening(mut initiator, connection, dialling) => {
                world.owners.remove(&connection);
                self.take_back_left(&mut initiator, world, now);
                match failure {
                    None => self.advance(world, now),
                    Some(failure) if failure.stage == Stage::Auth && self.has_dialback_left(world) => {
                        self.avoids_external = true;
                        self.note_failed(failure, Duration::ZERO, world);
                        self.advance(world, now);
                    }
                    Some(failure) if may_try_others(&failure, &dialling) => {
                        self.try_others(dialling, failure, world, now);
                    }
                    Some(failure) => self.attempt_failed(failure, world, now),
                }
            }
            state => self.state = state,
        }
    }

    /// Tells whether dialback may still be tried where our certificate was refused.
    fn has_dialback_left(&self, world: &World) -> bool {
        let partner = world.settings.partner(&self.pair.remote);
        !self.avoids_external && partner.is_some_and(|partner| partner.methods().dialback_over_tls)
    }
}

/// Another server of the partner may do better at what has to do with the server, not with the partner.
fn may_try_others(failure: &Failure, dialling: &Dialling) -> bool {
    let of_the_server = match failure.stage {
        Stage::Tcp | Stage::Tls | Stage::Stream => true,
        // The zone vouches for each server's certificate apart.
        Stage::Certificate => dialling.evidence.demands_tls(),
        Stage::Dns | Stage::Auth | Stage::Dialback | Stage::Policy => false,
    };
    of_the_server && !dialling.is_exhausted()
}
