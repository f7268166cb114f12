//! Requests of ours: from a route to targets, and from one target to the next (RFC 3263 §4.3).

use std::net::SocketAddr;
use std::sync::Arc;

use clock_types::Now;
use net_types::{Answer, ListenerId, QueryId};
use sip_types::uri::Host;
use sip_types::{Method, Request};

use super::Endpoint;
use super::connections::Way;
use super::names::Known;
use super::output::{Failure, Notice, Output, RequestKey, Stage};
use super::route::{NextHop, Route};
use super::sending::{Owner, Path, Sending, Step};
use super::settings::Transport;
use super::target::{Peer, Target};
use crate::locate::{self, Locate, Place};

/// The longest request that UDP carries when the path's MTU is not known (RFC 3261 §18.1.1).
const DATAGRAM_MAX: usize = 1300;

/// The longest datagram that there is.
const UDP_MAX: usize = 65_507;

/// How many routes have their TLS peer at hand.
const PEERS_MAX: usize = 64;

impl Endpoint {
    pub(super) fn begin_sending(&mut self, key: RequestKey, request: Request, route: &Route, now: Now) {
        let is_ack = *request.method() == Method::Ack;
        if !is_ack && self.sendings.open >= self.settings.limits.outgoing {
            self.outputs.push_back(Output::Failed { key, failure: Failure::Overloaded });
            return;
        }
        let is_invite = *request.method() == Method::Invite;
        let owner = if is_ack { Owner::Nobody } else { Owner::User(key) };
        let mut sending = Sending::new(owner, request, now.moment + self.settings.try_within);
        sending.settled = is_ack;
        self.set_out(&mut sending, route);
        let number = self.sendings.requests.insert(sending);
        self.sendings.open += usize::from(!is_ack);
        if is_invite {
            self.sendings.invites.insert(key, number);
        }
        self.pace(number, route, now);
    }

    /// Gives a request its target, or the search for its targets.
    fn set_out(&mut self, sending: &mut Sending, route: &Route) {
        let max = self.settings.limits.targets;
        match route {
            Route::Fixed(hop) => {
                let port = hop.port.unwrap_or_else(|| hop.transport.default_port());
                sending.peer = (hop.transport == Transport::Tls).then(|| self.peer_of(route));
                match hop.host.address() {
                    Some(address) => {
                        let place =
                            Place { transport: hop.transport, address: SocketAddr::new(address, port) };
                        sending.targets.push_back(Target { place, tls: sending.peer.clone() });
                    }
                    None => {
                        let host = NextHop {
                            host: hop.host.clone(),
                            port: Some(port),
                            transport: Some(hop.transport),
                            secure: false,
                            pace: None,
                        };
                        sending.search = Some(Locate::new(&host, &[], max));
                    }
                }
            }
            Route::Locate(hop) => {
                sending.peer = Some(self.peer_of(route));
                sending.search = Some(Locate::new(hop, &self.settings.locate_by, max));
            }
        }
    }

    /// Returns whom TLS must prove on a route; the latest routes' are at hand.
    fn peer_of(&mut self, route: &Route) -> Arc<Peer> {
        let is_same = |known: &Route| match (known, route) {
            (Route::Fixed(known), Route::Fixed(route)) => Arc::ptr_eq(known, route),
            (Route::Locate(known), Route::Locate(route)) => Arc::ptr_eq(known, route),
            (Route::Fixed(_) | Route::Locate(_), _) => false,
        };
        if let Some((_, peer)) = self.peers.iter().find(|(known, _)| is_same(known)) {
            return Arc::clone(peer);
        }
        let peer = Arc::new(match route {
            Route::Fixed(hop) => Peer::of_fixed(hop, &self.settings),
            Route::Locate(hop) => Peer::of_located(hop, &self.settings),
        });
        if self.peers.len() >= PEERS_MAX {
            self.peers.pop_front();
        }
        self.peers.push_back((route.clone(), Arc::clone(&peer)));
        peer
    }

    /// Lets the search run as far as it can, then goes on to a target.
    pub(super) fn search_on(&mut self, number: u64, now: Now) {
        loop {
            let Some(sending) = self.sendings.requests.get_mut(number) else { return };
            let Some(output) = sending.search.as_mut().and_then(Locate::poll_output) else { break };
            match output {
                locate::Output::Resolve(question) => match self.names.ask(&question, number, now) {
                    Known::Answer(answer) => {
                        if let Some(search) = &mut sending.search {
                            search.handle_answer(&question, &answer, &mut self.ids);
                        }
                    }
                    Known::Waiting => {}
                    Known::Unknown => self.resolve(question, number),
                },
                locate::Output::Found(place) => {
                    let tls = if place.transport == Transport::Tls { sending.peer.clone() } else { None };
                    sending.targets.push_back(Target { place, tls });
                }
                locate::Output::Finished(trouble) => {
                    sending.search = None;
                    if let Some(reason) = trouble {
                        sending.note(Failure::Unreachable { stage: Stage::Locate, reason });
                    }
                }
            }
        }
        let is_idle = |sending: &Sending| matches!(sending.step, Step::Locating);
        if self.sendings.requests.get(number).is_some_and(is_idle) {
            self.advance(number, now);
        }
    }

    fn resolve(&mut self, question: net_types::Question, number: u64) {
        let query = QueryId(self.next_number());
        self.names.asked(query, question.clone(), number);
        self.outputs.push_back(Output::Order(net_types::Order::Resolve { query, question }));
    }

    pub(super) fn handle_resolved(
        &mut self,
        query: QueryId,
        answer: &Result<Answer, net_types::Failure>,
        now: Now,
    ) {
        let (keep, max) = (self.settings.located_for, self.settings.limits.names);
        let Some((question, waiting)) = self.names.heard(query, answer, keep, max, now) else { return };
        for number in waiting {
            let search = self.sendings.requests.get_mut(number).and_then(|sending| sending.search.as_mut());
            if let Some(search) = search {
                search.handle_answer(&question, answer, &mut self.ids);
                self.search_on(number, now);
            }
        }
    }

    /// Tries the next target; ends the request if there is none.
    pub(super) fn advance(&mut self, number: u64, now: Now) {
        loop {
            match self.next_target(number, now) {
                Next::Try(target) => {
                    if self.try_target(number, target, now) {
                        return;
                    }
                }
                Next::Wait => return,
                Next::End => {
                    if self.search_elsewhere(number) {
                        self.search_on(number, now);
                    } else {
                        self.conclude(number, now);
                    }
                    return;
                }
            }
        }
    }

    /// Begins the search that is left for when all targets have failed; `false` if there is none.
    fn search_elsewhere(&mut self, number: u64) -> bool {
        let max = self.settings.limits.targets;
        let Some(sending) = self.sendings.requests.get_mut(number) else { return false };
        let Some(hop) = sending.fallback.take() else { return false };
        sending.step = Step::Locating;
        sending.search = Some(Locate::new(&hop, &[], max));
        true
    }

    fn next_target(&mut self, number: u64, now: Now) -> Next {
        let unwell = &self.unwell;
        let Some(sending) = self.sendings.requests.get_mut(number) else { return Next::Wait };
        if sending.until <= now.moment {
            return Next::End;
        }
        let rest = &mut sending.rest;
        sending.targets.retain(|target| match unwell.rest_left(&target.place, now) {
            Some(left) => {
                *rest = Some(rest.map_or(left, |shortest| shortest.min(left)));
                false
            }
            None => true,
        });
        let well = sending.targets.iter().position(|target| !unwell.is_shunned(&target.place, now));
        match (well, sending.search.is_some()) {
            (Some(index), _) => sending.targets.remove(index).map_or(Next::End, Next::Try),
            (None, true) => Next::Wait,
            (None, false) => sending.targets.pop_front().map_or(Next::End, Next::Try),
        }
    }

    /// Sends the request to a target, or lets it wait for the connection; `false` if that cannot be.
    fn try_target(&mut self, number: u64, target: Target, now: Now) -> bool {
        let address = target.place.address;
        match target.place.transport {
            Transport::Udp => {
                let Some(stamped) = self.stamp(number, Transport::Udp, Some(address)) else { return true };
                let Some(sending) = self.sendings.requests.get_mut(number) else { return true };
                let size = stamped.bytes.len();
                if size > DATAGRAM_MAX && !sending.insists {
                    // A MESSAGE over that size must not go by UDP at all (RFC 3428 §8).
                    let may_go_back = *sending.request.method() != Method::Message && size <= UDP_MAX;
                    sending.instead = may_go_back.then_some(target);
                    return self.try_target(number, Target::plain(Transport::Tcp, address), now);
                }
                let oversized = match sending.owner {
                    Owner::User(key) if size > DATAGRAM_MAX => {
                        Some(Notice::Oversized { key, target: target.to_string(), octets: size })
                    }
                    Owner::User(_) | Owner::Peer | Owner::Nobody => None,
                };
                sending.target = Some(target);
                if let Some(notice) = oversized {
                    self.notice(notice);
                }
                let Some(socket) = self.socket_for(address) else {
                    let reason = format!("no UDP socket is configured that reaches {address}");
                    self.note(number, Failure::NoTransport { reason });
                    return false;
                };
                self.begin(number, stamped, Path::Datagram { socket, to: address }, now);
                true
            }
            Transport::Tcp | Transport::Tls => {
                let way = self.reach(&target, now);
                let Some(sending) = self.sendings.requests.get_mut(number) else { return true };
                sending.target = Some(target);
                match way {
                    Way::Open(connection) => {
                        self.begin_on(number, connection, now);
                        true
                    }
                    Way::Opening(connection) => {
                        sending.step = Step::Waiting;
                        let size = 1024 + sending.request.body().len();
                        if self.wait_for(connection, number, size) {
                            return true;
                        }
                        self.note(number, Failure::Overloaded);
                        false
                    }
                }
            }
        }
    }

    fn note(&mut self, number: u64, failure: Failure) {
        if let Some(sending) = self.sendings.requests.get_mut(number) {
            sending.step = Step::Locating;
            sending.note(failure);
        }
    }

    /// Ends a try and goes on to the next target. After a provisional response there is none: that server
    /// has the request.
    pub(super) fn try_failed(&mut self, number: u64, failure: Failure, now: Now) {
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        let was_heard = sending.active().is_some_and(|active| active.heard);
        let tcp_refused = matches!(failure, Failure::Unreachable { stage: Stage::Tcp, .. });
        sending.note(failure);
        if tcp_refused && let Some(udp) = sending.instead.take() {
            sending.insists = true;
            sending.targets.push_front(udp);
        }
        self.leave_try(number, now);
        if was_heard {
            self.conclude(number, now);
        } else {
            self.advance(number, now);
        }
    }

    /// Goes on with the requests that waited for an answer on a connection that is gone.
    pub(super) fn requests_lost(&mut self, connection: net_types::ConnectionId, failure: &Failure, now: Now) {
        let waits_there = |sending: &Sending| match &sending.step {
            Step::Active(active) => {
                active.path == Path::Stream(connection) && !active.machine.is_settled() && !sending.settled
            }
            Step::Pacing | Step::Locating | Step::Waiting => false,
        };
        let lost: Vec<u64> = self
            .sendings
            .requests
            .iter()
            .filter(|(_, sending)| waits_there(sending))
            .map(|(number, _)| number)
            .collect();
        for number in lost {
            let Some(sending) = self.sendings.requests.get_mut(number) else { continue };
            let on_used = sending.active().is_some_and(|active| active.on_used);
            if on_used && !sending.renewed {
                // The connection may have been dead before we wrote: once, a new one gets its chance.
                sending.renewed = true;
                if let Some(target) = sending.target.clone() {
                    sending.targets.push_front(target);
                }
            } else if let Some(target) = sending.target.clone() {
                self.target_failed(&target, failure, now);
            }
            self.try_failed(number, failure.clone(), now);
        }
    }

    /// Notes that a target cannot be reached, so that it is tried last for a while.
    pub(super) fn target_failed(&mut self, target: &Target, failure: &Failure, now: Now) {
        let (time, max) = (self.settings.shun_for, self.settings.limits.unwell);
        self.unwell.shun(target.place, time, max, now);
        self.notice(Notice::TargetFailed { target: target.to_string(), failure: failure.clone() });
    }

    /// Tells the owner how a request ended that no target took.
    pub(super) fn conclude(&mut self, number: u64, now: Now) {
        self.leave_try(number, now);
        let Some(sending) = self.sendings.requests.remove(number) else { return };
        self.sendings.returning -= usize::from(sending.printed.is_some());
        if sending.settled {
            return;
        }
        self.sendings.open -= 1;
        let Owner::User(key) = sending.owner else { return };
        self.sendings.invites.remove(&key);
        if let Some(response) = sending.busy {
            self.outputs.push_back(Output::Response { key, response });
            return;
        }
        let failure = match (sending.failure, sending.rest) {
            (Some(failure), _) => failure,
            (None, Some(retry_after)) => Failure::Resting { retry_after },
            (None, None) => Failure::Unreachable {
                stage: Stage::Locate,
                reason: "the DNS gives no address for the next hop".to_owned(),
            },
        };
        self.outputs.push_back(Output::Failed { key, failure });
    }

    /// Returns the socket that datagrams to an address leave from: one of its family.
    fn socket_for(&self, to: SocketAddr) -> Option<ListenerId> {
        let sockets = || self.settings.listeners.iter().filter(|l| l.transport == Transport::Udp);
        let is_same_family =
            |host: &Host| host.address().is_some_and(|address| address.is_ipv4() == to.is_ipv4());
        let has_name = |host: &Host| host.address().is_none();
        let found = sockets()
            .find(|listener| is_same_family(&listener.host))
            .or_else(|| sockets().find(|listener| has_name(&listener.host)));
        found.map(|listener| listener.id)
    }
}

/// What comes next for a request without a try under way.
enum Next {
    Try(Target),
    /// For the search.
    Wait,
    End,
}
