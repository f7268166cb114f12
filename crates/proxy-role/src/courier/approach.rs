//! Finding a partner's servers and reaching one of them.

use std::collections::VecDeque;
use std::time::Duration;

use clock_types::{Moment, Now};
use net_types::{Answer, ConnectionId, Failure as DnsFailure, Order, Remote, Stage as NetStage, TlsFacts};
use xmpp_proto::discovery::{Discovery, Output, Start, Target};
use xmpp_proto::evidence::Evidence;
use xmpp_proto::failure::{Failure, Stage};

use super::{Courier, State, not_a_partner};
use crate::world::World;

/// The race for a connection: an address is tried when the one before it failed, or let us wait too
/// long (RFC 8305 §5).
#[derive(Debug)]
pub(super) struct Dialling {
    targets: VecDeque<Target>,
    open: Vec<(ConnectionId, Target)>,
    /// When the next address is tried although others are still open.
    next: Moment,
    last: Option<Failure>,
    /// What vouches for the certificate of the server that is connected.
    pub(super) evidence: Evidence,
}

impl Dialling {
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        (!self.targets.is_empty() && self.open.len() < OPEN_MAX).then_some(self.next)
    }

    /// Gives up all attempts.
    pub(super) fn abandon(&mut self, world: &mut World) {
        for (connection, _) in self.open.drain(..) {
            world.close(connection);
        }
    }

    fn is_open(&self, connection: ConnectionId) -> bool {
        self.open.iter().any(|(open, _)| *open == connection)
    }

    /// Takes the connection out of the race, and what vouches for the server that it leads to.
    fn choose(&mut self, connection: ConnectionId) {
        for (_, target) in self.open.extract_if(.., |(open, _)| *open == connection) {
            self.evidence.delegation = target.delegation;
        }
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.targets.is_empty() && self.open.is_empty()
    }
}

impl Courier {
    /// Begins to look for the partner's servers.
    pub(super) fn seek(&mut self, world: &mut World, now: Now) {
        let Some(partner) = world.settings.partner(&self.pair.remote) else {
            return self.attempt_failed(not_a_partner().not_found(), world, now);
        };
        let methods = partner.methods();
        if methods.is_none() {
            let failure = Failure::new(Stage::Policy, "the partner's settings leave no method to prove it");
            return self.attempt_failed(failure, world, now);
        }
        let mut search = partner.search();
        if self.begins_inquiry(world, now) {
            return;
        }
        self.vouched = world.vouched_by_web(&self.pair.remote, now);
        if let Some(location) = self.left.as_mut().and_then(|left| left.location.take()) {
            search.fixed_host = Some(location);
            search.direct_tls = false;
            self.tries_location = true;
        }
        let discovery = Discovery::new(&self.pair.remote, search, world.ids.fork(), now);
        self.state = State::Seeking(Box::new(discovery));
        self.search(world, now);
    }

    /// Takes the answer to a question of ours.
    pub(crate) fn handle_answer(
        &mut self,
        number: u32,
        answer: Result<Answer, DnsFailure>,
        world: &mut World,
        now: Now,
    ) {
        match &mut self.state {
            State::Seeking(discovery) => {
                discovery.handle_answer(number, answer, now);
                self.search(world, now);
            }
            State::Inquiring(inquiry, _) => {
                inquiry.handle_answer(number, answer, now);
                self.inquire(world, now);
            }
            _ => {}
        }
    }

    pub(super) fn search(&mut self, world: &mut World, now: Now) {
        while let State::Seeking(discovery) = &mut self.state {
            match discovery.poll_output() {
                None => return,
                Some(Output::Ask(number, question)) => {
                    let query = world.next_query(self.id, number);
                    world.order(Order::Resolve { query, question });
                }
                Some(Output::Found(targets)) => {
                    let posh = self.vouched.clone();
                    self.state = State::Dialling(Dialling {
                        targets: targets.into(),
                        open: Vec::new(),
                        next: now.moment,
                        last: None,
                        evidence: Evidence { delegation: None, posh },
                    });
                    self.dial(world, now);
                }
                Some(Output::Failed(failure)) => self.attempt_failed(failure, world, now),
            }
        }
    }

    /// Tries the next address if it is time.
    pub(super) fn dial(&mut self, world: &mut World, now: Now) {
        let State::Dialling(dialling) = &mut self.state else { return };
        if dialling.is_exhausted() {
            let failure = dialling.last.take();
            let failure = failure.unwrap_or_else(|| Failure::new(Stage::Tcp, "no address could be reached"));
            return self.attempt_failed(failure, world, now);
        }
        let is_time =
            dialling.open.is_empty() || (dialling.next <= now.moment && dialling.open.len() < OPEN_MAX);
        if !is_time {
            return;
        }
        let Some(target) = dialling.targets.pop_front() else { return };
        dialling.next = now.moment + STAGGER;
        let connection = world.next_connection(self.id);
        let tls = (target.start == Start::Direct)
            .then(|| Box::new(world.tls_client(&self.pair.local, &self.pair.remote, Some(&target))));
        world.order(Order::Connect {
            connection,
            to: Remote::Address(target.address),
            tls,
            timeout: CONNECT_TIMEOUT,
        });
        dialling.open.push((connection, target));
    }

    /// Takes the first connection that is open; the others of the race are given up.
    pub(crate) fn handle_connected(
        &mut self,
        connection: ConnectionId,
        tls: Option<Box<TlsFacts>>,
        world: &mut World,
        now: Now,
    ) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Dialling(mut dialling) if dialling.is_open(connection) => {
                dialling.choose(connection);
                dialling.abandon(world);
                self.open_stream(connection, tls, dialling, world, now);
            }
            State::Inquiring(mut inquiry, Some(open)) if open == connection => {
                inquiry.handle_connected(tls.as_deref(), now);
                self.state = State::Inquiring(inquiry, Some(open));
                self.inquire(world, now);
            }
            state => {
                self.state = state;
                world.close(connection);
            }
        }
    }

    /// Takes the news that an address could not be reached.
    pub(crate) fn handle_connect_failed(
        &mut self,
        connection: ConnectionId,
        stage: NetStage,
        reason: &str,
        world: &mut World,
        now: Now,
    ) {
        world.owners.remove(&connection);
        if let State::Inquiring(inquiry, open) = &mut self.state
            && *open == Some(connection)
        {
            *open = None;
            inquiry.handle_connect_failed(reason, now);
            return self.inquire(world, now);
        }
        let State::Dialling(dialling) = &mut self.state else { return };
        let Some(place) = dialling.open.iter().position(|(open, _)| *open == connection) else { return };
        let (_, target) = dialling.open.remove(place);
        let stage = match stage {
            NetStage::Tcp => Stage::Tcp,
            NetStage::Tls => Stage::Tls,
        };
        let words = if target.host == target.address.ip().to_string() {
            format!("{}: {reason}", target.address)
        } else {
            format!("{} ({}): {reason}", target.host, target.address)
        };
        dialling.last = Some(Failure::new(stage, words));
        self.dial(world, now);
    }

    /// Goes on with the addresses that are left, or gives up for this failure.
    pub(super) fn try_others(
        &mut self,
        mut dialling: Dialling,
        failure: Failure,
        world: &mut World,
        now: Now,
    ) {
        dialling.last = Some(failure);
        dialling.next = now.moment;
        self.state = State::Dialling(dialling);
        self.dial(world, now);
    }
}

/// How many are tried at a time.
const OPEN_MAX: usize = 4;
/// How long one address may let us wait before the next is tried as well (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// How long TCP and direct TLS may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(7);
