//! Streams that partners open.

use std::net::IpAddr;

use clock_types::{Moment, Now};
use net_types::{ConnectionId, ListenerId, Order, Remote, TlsFacts, TlsServer};
use xmpp_proto::dialback::{Pair, Question, Verdict};
use xmpp_proto::failure::{Failure, Stage};
use xmpp_proto::stream::{Acceptor, AcceptorOutput, Proof, Purpose};
use xmpp_types::jid::DomainName;
use xmpp_types::stream::{StreamCondition, StreamError};
use xmpp_types::xml::Element;

use crate::admission::{judge_gateway, refusal};
use crate::notice::{Direction, Notice};
use crate::proxy::Proxy;
use crate::sessions::SessionKey;
use crate::settings::ListenerKind;
use crate::streams::tls_words;
use crate::timers::Timer;
use crate::world::{Effect, Owner, Source};

/// One connection that a partner opened, or somebody who claims to be one.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) acceptor: Acceptor,
    pub(crate) remote: Remote,
    pub(crate) opened: Moment,
    /// The partner it counts for, by its primary domain.
    pub(crate) partner: Option<DomainName>,
    /// Names what comes over it.
    pub(crate) session: SessionKey,
    /// The pairs that use it both ways.
    pub(crate) borrowed: Vec<Pair>,
    /// The pairs that may, once the partner has begun to use it.
    pub(crate) lendable: Vec<Pair>,
    pub(crate) is_paused: bool,
    /// Until when it must not be read, for it has used up its allowance.
    paused_until: Option<Moment>,
}

impl Incoming {
    fn address(&self) -> Option<IpAddr> {
        address_of(self.remote)
    }
}

fn address_of(remote: Remote) -> Option<IpAddr> {
    match remote {
        Remote::Address(address) => Some(address.ip().to_canonical()),
        Remote::InProcess => None,
    }
}

impl Proxy {
    pub(crate) fn accept(
        &mut self,
        connection: ConnectionId,
        listener: ListenerId,
        remote: Remote,
        tls: Option<Box<TlsFacts>>,
        now: Now,
    ) {
        let kind = match remote {
            Remote::InProcess => ListenerKind::Gateways,
            Remote::Address(_) => self
                .world
                .settings
                .listener(listener)
                .map_or(ListenerKind::Partners, |listener| listener.kind),
        };
        match kind {
            ListenerKind::Gateways => self.accept_gateway(connection, remote, tls.as_deref(), now),
            ListenerKind::Partners | ListenerKind::PartnersDirectTls => {
                self.accept_partner(connection, remote, tls, now);
            }
        }
    }

    fn accept_gateway(&mut self, connection: ConnectionId, remote: Remote, tls: Option<&TlsFacts>, now: Now) {
        let is_full = self.links.connections() >= self.world.settings.limits.gateways_max;
        let verdict = match judge_gateway(&self.world.settings.link, remote, tls) {
            Ok(()) if is_full => Err("too many gateways are connected".into()),
            verdict => verdict,
        };
        match verdict {
            Ok(()) if !self.world.is_stopping => {
                self.world.owners.insert(connection, Owner::Gateway);
                self.links.handle_accepted(connection, now);
            }
            Ok(()) => self.world.close(connection),
            Err(reason) => {
                self.world.notice(Notice::GatewayRefused { remote, reason });
                self.world.close(connection);
            }
        }
    }

    fn accept_partner(
        &mut self,
        connection: ConnectionId,
        remote: Remote,
        tls: Option<Box<TlsFacts>>,
        now: Now,
    ) {
        if let Some((condition, reason)) = self.reason_to_refuse(remote) {
            self.world.send(connection, refusal(condition, reason));
            self.world.notice(Notice::Refused { remote, reason: reason.into() });
            return self.world.close(connection);
        }
        self.admission.enter(address_of(remote));
        self.world.owners.insert(connection, Owner::Incoming);
        let acceptor = Acceptor::new(
            self.rules.clone(),
            self.world.stream_settings.clone(),
            self.world.secret.clone(),
            tls,
            self.world.ids.fork(),
            now,
        );
        self.incoming.insert(
            connection,
            Incoming {
                acceptor,
                remote,
                opened: now.moment,
                partner: None,
                session: SessionKey(connection),
                borrowed: Vec::new(),
                lendable: Vec::new(),
                is_paused: false,
                paused_until: None,
            },
        );
        self.drive_incoming(connection, now);
    }

    fn reason_to_refuse(&self, remote: Remote) -> Option<(StreamCondition, &'static str)> {
        let limits = &self.world.settings.limits;
        let max = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let (all, unproved) = address_of(remote).map_or((0, 0), |address| self.of_address(address));
        if self.world.is_stopping {
            Some((StreamCondition::SystemShutdown, "the server is stopping"))
        } else if self.incoming.len() + self.couriers.len() >= max(limits.connections_max) {
            Some((StreamCondition::ResourceConstraint, "too many connections are open"))
        } else if all >= max(limits.address_connections_max) {
            Some((StreamCondition::PolicyViolation, "too many connections come from this address"))
        } else if unproved >= max(limits.address_unproved_max) {
            Some((StreamCondition::PolicyViolation, "too many connections from this address prove nothing"))
        } else {
            None
        }
    }

    pub(crate) fn handle_incoming_bytes(&mut self, connection: ConnectionId, bytes: &[u8], now: Now) {
        let Some(incoming) = self.incoming.get_mut(&connection) else { return };
        let (before, ..) = incoming.acceptor.counts();
        incoming.acceptor.handle_bytes(bytes, now);
        let (after, ..) = incoming.acceptor.counts();
        if let Some(partner) = &incoming.partner {
            let stanzas = usize::try_from(after - before).unwrap_or(usize::MAX);
            if let Some(pause) = self.admission.use_up(partner, stanzas, bytes.len(), now.moment) {
                let until = now.moment + pause;
                incoming.paused_until = Some(until);
                self.world.timers.set(Timer::Allowance(connection), Some(until));
                self.pause(connection, "it has used up its allowance");
            }
        }
        self.drive_incoming(connection, now);
    }

    pub(crate) fn handle_incoming_tls(&mut self, connection: ConnectionId, facts: Box<TlsFacts>, now: Now) {
        if let Some(incoming) = self.incoming.get_mut(&connection) {
            incoming.acceptor.handle_tls(facts, now);
            self.drive_incoming(connection, now);
        }
    }

    pub(crate) fn handle_incoming_closed(
        &mut self,
        connection: ConnectionId,
        reason: Option<String>,
        now: Now,
    ) {
        if let Some(incoming) = self.incoming.get_mut(&connection) {
            incoming.acceptor.handle_closed(reason, now);
            self.drive_incoming(connection, now);
        }
    }

    pub(crate) fn handle_incoming_timeout(&mut self, connection: ConnectionId, now: Now) {
        if let Some(incoming) = self.incoming.get_mut(&connection) {
            incoming.acceptor.handle_timeout(now);
            self.drive_incoming(connection, now);
        }
    }

    pub(crate) fn close_incoming(&mut self, connection: ConnectionId, error: Option<StreamError>, now: Now) {
        if let Some(incoming) = self.incoming.get_mut(&connection) {
            incoming.acceptor.close(error, now);
            self.drive_incoming(connection, now);
        }
    }

    /// Takes the news that a partner's stanza is settled.
    pub(crate) fn settle_source(&mut self, source: Source, now: Now) {
        match source {
            Source::Incoming(session, n) => {
                let connection = self.connection_of(session);
                if let Some(connection) = connection
                    && let Some(incoming) = self.incoming.get_mut(&connection)
                {
                    incoming.acceptor.settle(n, now);
                    self.drive_incoming(connection, now);
                    self.resume(connection, now);
                } else {
                    self.kept.settle(session, n);
                }
            }
            Source::Outgoing(courier, session, n) => {
                self.with_courier(courier, |courier, world| courier.settle(session, n, world, now));
            }
        }
    }

    pub(crate) fn handle_verdict(&mut self, question: &Question, verdict: Verdict, now: Now) {
        let Some(connection) = self.questions.remove(question) else { return };
        if let Some(incoming) = self.incoming.get_mut(&connection) {
            incoming.acceptor.handle_verdict(&question.pair, verdict, now);
            self.drive_incoming(connection, now);
        }
    }

    pub(crate) fn send_via(&mut self, connection: ConnectionId, token: u64, stanza: Element, now: Now) {
        if let Some(incoming) = self.incoming.get_mut(&connection) {
            incoming.acceptor.send(token, stanza, now);
            self.drive_incoming(connection, now);
        }
    }

    /// Carries out what a stream wants, until it wants nothing more.
    pub(crate) fn drive_incoming(&mut self, connection: ConnectionId, now: Now) {
        while let Some(incoming) = self.incoming.get_mut(&connection) {
            let Some(output) = incoming.acceptor.poll_output() else { break };
            match output {
                AcceptorOutput::Send(bytes) => self.world.send(connection, bytes),
                AcceptorOutput::StartTls(local) => self.start_tls(connection, &local),
                AcceptorOutput::Ask(question, key) => self.ask(connection, question, key, now),
                AcceptorOutput::Proved(pair, proof) => self.proved(connection, pair, proof, now),
                AcceptorOutput::Refused(pair, failure) => self.world.notice(Notice::AttemptFailed {
                    pair,
                    direction: Direction::Inward,
                    failure,
                    retry: None,
                }),
                AcceptorOutput::Stanza(received) => {
                    let source = Source::Incoming(incoming.session, received.n);
                    if !incoming.lendable.is_empty() {
                        self.lend(connection, now);
                    }
                    self.relay_inward(source, *received, now);
                }
                AcceptorOutput::Counting => self.lend(connection, now),
                AcceptorOutput::Resume { previd, .. } => self.resume_session(connection, &previd, now),
                AcceptorOutput::Answer(answer) => {
                    self.world.effects.push_back(Effect::ToPartner(answer, None))
                }
                AcceptorOutput::Delivered(token) => self.delivered_via(connection, token),
                AcceptorOutput::Close => self.world.close(connection),
                AcceptorOutput::Ended(failure) => return self.incoming_ended(connection, failure, now),
            }
        }
        if let Some(incoming) = self.incoming.get(&connection) {
            self.world.timers.set(Timer::Incoming(connection), incoming.acceptor.poll_timeout());
            let (_, at_work, _) = incoming.acceptor.counts();
            if at_work >= self.world.settings.limits.at_work_max {
                self.pause(connection, "too many of its stanzas are at work");
            }
        }
    }

    fn start_tls(&mut self, connection: ConnectionId, local: &DomainName) {
        let settings = &self.world.settings;
        let Some(identity) = settings.identity_of(local).cloned() else {
            return self.world.close(connection);
        };
        let server = Box::new(TlsServer { identity, trust: settings.trust.clone() });
        self.world.order(Order::StartTlsAsServer { connection, server });
    }

    /// Asks the sender's own server, on a stream that is open or on one for the purpose.
    fn ask(&mut self, connection: ConnectionId, question: Question, key: String, now: Now) {
        self.questions.insert(question.clone(), connection);
        let speaking = self.by_pair.get(&(question.pair.clone(), false)).copied();
        let speaking = speaking
            .filter(|courier| self.couriers.get(courier).is_some_and(|courier| courier.stream().is_some()));
        let courier = match speaking {
            Some(courier) => courier,
            None => self.courier_for(question.pair.clone(), Purpose::Ask, now),
        };
        self.with_courier(courier, |courier, world| courier.ask(question, key, world, now));
    }

    fn proved(&mut self, connection: ConnectionId, pair: Pair, proof: Proof, now: Now) {
        let settings = self.world.settings.clone();
        let Some(partner) = settings.partner(&pair.remote) else { return };
        let Some(incoming) = self.incoming.get_mut(&connection) else { return };
        if incoming.partner.is_none() {
            let max = partner.connections_max.unwrap_or(settings.limits.partner_connections_max);
            if !self.admission.admit_partner(partner, max, now.moment) {
                let error = StreamError::new(StreamCondition::ResourceConstraint)
                    .with_text("too many connections are open with you");
                incoming.acceptor.close(Some(error), now);
                let failure =
                    Failure::new(Stage::Policy, format!("the partner has {max} connections already"));
                return self.world.notice(Notice::AttemptFailed {
                    pair,
                    direction: Direction::Inward,
                    failure,
                    retry: None,
                });
            }
            incoming.partner = Some(partner.domain.clone());
            self.admission.prove(incoming.address());
        }
        let tls = incoming.acceptor.tls().map(tls_words);
        let direction = Direction::Inward;
        self.world.notice(Notice::Opened { pair: pair.clone(), direction, proof, tls, connection });
        if incoming.acceptor.is_both_ways() && incoming.acceptor.remote() == Some(&pair.remote) {
            incoming.lendable.push(pair.clone());
            if !self.may_come_back(&pair, connection) {
                self.lend(connection, now);
            }
        } else if let Some(courier) = self.by_pair.get(&(pair, false)).copied() {
            self.with_courier(courier, |courier, world| courier.take_heart(world, now));
        }
    }

    fn delivered_via(&mut self, connection: ConnectionId, token: u64) {
        let Some(incoming) = self.incoming.get(&connection) else { return };
        for pair in incoming.borrowed.clone() {
            if let Some(courier) = self.by_pair.get(&(pair, false)).copied() {
                self.with_courier(courier, |courier, world| courier.delivered(token, world));
            }
        }
    }

    fn incoming_ended(&mut self, connection: ConnectionId, failure: Option<Failure>, now: Now) {
        let Some(mut incoming) = self.incoming.remove(&connection) else { return };
        self.world.owners.remove(&connection);
        self.world.timers.set(Timer::Incoming(connection), None);
        self.world.timers.set(Timer::Allowance(connection), None);
        self.questions.retain(|_, asking| *asking != connection);
        self.moved.remove(&incoming.session);
        self.admission.leave(incoming.address(), incoming.partner.is_some());
        let pair = incoming.acceptor.local().cloned().zip(incoming.acceptor.remote().cloned());
        let pair = pair.map(|(local, remote)| Pair { local, remote });
        match (&incoming.partner, pair, failure) {
            (Some(partner), Some(pair), failure) => {
                self.admission.dismiss_partner(partner);
                if failure.is_some() {
                    self.links.announce_broken(&pair.remote);
                }
                let direction = Direction::Inward;
                self.world.notice(Notice::Closed { pair, direction, connection, failure });
            }
            (None, Some(pair), Some(failure)) => {
                let direction = Direction::Inward;
                self.world.notice(Notice::AttemptFailed { pair, direction, failure, retry: None });
            }
            (_, _, Some(failure)) => {
                let remote = incoming.remote;
                self.world.notice(Notice::Refused { remote, reason: failure.to_string() });
            }
            (_, _, None) => {}
        }
        if !self.world.is_stopping
            && incoming.partner.is_some()
            && let Some(session) = incoming.acceptor.take_session()
        {
            return self.keep_session(connection, incoming, session, now);
        }
        let mut unacknowledged = incoming.acceptor.take_unacknowledged();
        // What was about to go out on it as well: it comes after what did.
        unacknowledged.extend(self.world.take_sends(connection));
        for pair in incoming.borrowed {
            let Some(courier) = self.by_pair.get(&(pair.clone(), false)).copied() else { continue };
            let other = self.other_loan(&pair, connection);
            self.with_courier(courier, |courier, world| {
                let lost = unacknowledged.extract_if(.., |(token, _)| courier.has_sent(*token)).collect();
                courier.give_back(connection, lost, other, world, now);
            });
        }
    }

    /// Stops reading a connection.
    pub(crate) fn pause(&mut self, connection: ConnectionId, reason: &'static str) {
        let Some(incoming) = self.incoming.get_mut(&connection) else { return };
        if !std::mem::replace(&mut incoming.is_paused, true) {
            self.world.order(Order::Pause { connection });
            self.world.notice(Notice::Paused { connection, reason });
        }
    }

    /// Reads a connection again, if every reason not to is gone.
    pub(crate) fn resume(&mut self, connection: ConnectionId, now: Now) {
        let holds_too_much = self.held.len() * 2 >= self.world.settings.limits.held_max;
        let at_work_max = self.world.settings.limits.at_work_max;
        let Some(incoming) = self.incoming.get_mut(&connection) else { return };
        if !incoming.is_paused || self.world.is_stopping {
            return;
        }
        let (_, at_work, _) = incoming.acceptor.counts();
        let must_wait = incoming.paused_until.filter(|until| *until > now.moment);
        self.world.timers.set(Timer::Allowance(connection), must_wait);
        if must_wait.is_none() && !holds_too_much && at_work * 2 < at_work_max {
            incoming.is_paused = false;
            incoming.paused_until = None;
            self.world.order(Order::Resume { connection });
        }
    }
}
