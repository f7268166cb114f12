//! One try of a request of ours: its Via, its transaction, and what the responses do.

use std::net::SocketAddr;
use std::time::Duration;

use clock_types::Now;
use net_types::{Bytes, ConnectionId, Order};
use sip_types::header::{HeaderName, NameAddr, Via};
use sip_types::uri::Host;
use sip_types::{Method, Request, Response, Token};

use super::output::{Failure, Notice, Output, RequestKey, Source};
use super::sending::{Act, Active, Machine, Owner, Path, Sending, Step};
use super::settings::Transport;
use super::{Endpoint, Timer};

/// A request with a fresh Via, printed.
pub struct Stamped {
    pub branch: u128,
    pub bytes: Bytes,
}

impl Endpoint {
    /// Puts a Via with a fresh branch on the request (RFC 3261 §8.1.1.7) and prints it. `None` if the
    /// request is gone.
    pub(super) fn stamp(
        &mut self,
        number: u64,
        transport: Transport,
        to: Option<SocketAddr>,
    ) -> Option<Stamped> {
        if let Some(bytes) = &self.sendings.requests.get(number)?.printed {
            return Some(Stamped { branch: 0, bytes: bytes.clone() });
        }
        let branch = Token::parse(self.ids.token("branch")).expect("identifiers are tokens");
        let (host, port) = self.sent_by(transport, to);
        let via = Via::new(transport.in_via(), host, Some(port), &branch);
        let sending = self.sendings.requests.get_mut(number)?;
        let branch = self.fingerprints.client(via.branch().unwrap_or_default(), sending.request.method());
        if sending.request.via().is_some() {
            sending.request.replace_via(via);
        } else {
            sending.request.push_via(via);
        }
        Some(Stamped { branch, bytes: printed(&sending.request) })
    }

    /// Returns how our Via names us on a transport.
    fn sent_by(&self, transport: Transport, to: Option<SocketAddr>) -> (Host, u16) {
        let listeners = || self.settings.listeners.iter();
        let fits = |host: &Host| match (host.address(), to) {
            (Some(address), Some(to)) => address.is_ipv4() == to.is_ipv4(),
            (None, _) | (_, None) => true,
        };
        let found = listeners()
            .find(|listener| listener.transport == transport && fits(&listener.host))
            .or_else(|| listeners().find(|listener| listener.transport == transport))
            .or_else(|| listeners().next());
        match found {
            Some(listener) if listener.transport == transport => (listener.host.clone(), listener.port),
            Some(listener) => (listener.host.clone(), transport.default_port()),
            // The answer comes on the connection all the same (RFC 3261 §18.2.2).
            None => {
                let nobody = Host::parse("client.invalid").expect("the text is a host name");
                (nobody, transport.default_port())
            }
        }
    }

    /// Sends a request on a connection that is open.
    pub(super) fn begin_on(&mut self, number: u64, connection: ConnectionId, now: Now) {
        let Some(remote) = self.connections.get(connection).map(|found| found.source.remote) else { return };
        let Some(transport) = self.sendings.requests.get(number).and_then(|sending| sending.target.as_ref())
        else {
            return;
        };
        let transport = transport.place.transport;
        let Some(stamped) = self.stamp(number, transport, Some(remote)) else { return };
        self.begin(number, stamped, Path::Stream(connection), now);
    }

    /// Starts the transaction of a try.
    pub(super) fn begin(&mut self, number: u64, stamped: Stamped, path: Path, now: Now) {
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        if *sending.request.method() == Method::Ack || sending.printed.is_some() {
            self.sendings.returning -= usize::from(sending.printed.is_some());
            self.sendings.requests.remove(number);
            self.put_on(path, stamped.bytes, now);
            return;
        }
        let transport = match path {
            Path::Datagram { .. } => Transport::Udp,
            Path::Stream(_) => Transport::Tcp,
        };
        let mut on_used = false;
        if let Path::Stream(connection) = path
            && let Some(found) = self.connections.get_mut(connection)
        {
            on_used = std::mem::replace(&mut found.used, true);
            found.awaited += 1;
        }
        sending.step = Step::Active(Active {
            machine: Machine::new(sending.request.method(), transport, &self.settings, now),
            path,
            branch: stamped.branch,
            bytes: stamped.bytes,
            on_used,
            heard: false,
            counted: true,
        });
        self.sendings.by_branch.insert(stamped.branch, number);
        self.run_sending(number, None, now);
    }

    pub(super) fn handle_response(&mut self, response: Response, source: &Source, now: Now) {
        let number = response.via().and_then(Via::branch).zip(response.cseq()).and_then(|(branch, cseq)| {
            let branch = self.fingerprints.client(branch, &cseq.method);
            self.sendings.by_branch.get(&branch).copied()
        });
        let active = number.and_then(|number| {
            let active = self.sendings.requests.get_mut(number)?.active()?;
            Some((number, active))
        });
        let Some((number, active)) = active else {
            self.notice(Notice::StrayResponse { remote: source.remote, status: response.status() });
            return;
        };
        active.machine.handle_response(response.status(), now);
        self.run_sending(number, Some(Box::new(response)), now);
    }

    pub(super) fn handle_sending_timeout(&mut self, number: u64, now: Now) {
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        sending.wake = None;
        if let Some(active) = sending.active() {
            active.machine.handle_timeout(now);
            self.run_sending(number, None, now);
        }
    }

    /// Does what a transaction wants after an input, and keeps the books about it.
    fn run_sending(&mut self, number: u64, mut response: Option<Box<Response>>, now: Now) {
        while let Some(act) = self.next_act(number) {
            match act {
                Act::Send => self.send_again(number, now),
                Act::SendAck => self.acknowledge(number, response.as_deref(), now),
                Act::Deliver => {
                    if let Some(response) = response.take() {
                        self.deliver(number, response, now);
                    }
                }
                Act::TimedOut => {
                    let Some(sending) = self.sendings.requests.get(number) else { return };
                    let Some(target) = sending.target.clone() else { return };
                    let failure = Failure::Timeout { target: target.to_string() };
                    self.target_failed(&target, &failure, now);
                    self.try_failed(number, failure, now);
                    return;
                }
                Act::TransportFailed => {
                    let failure = Failure::Unreachable {
                        stage: super::Stage::Answer,
                        reason: "the connection is gone".to_owned(),
                    };
                    self.try_failed(number, failure, now);
                    return;
                }
            }
        }
        self.keep(number, now);
    }

    fn next_act(&mut self, number: u64) -> Option<Act> {
        self.sendings.requests.get_mut(number)?.active()?.machine.poll_output()
    }

    fn send_again(&mut self, number: u64, now: Now) {
        let Some(active) = self.sendings.requests.get_mut(number).and_then(Sending::active) else { return };
        let path = active.path;
        let bytes = match path {
            Path::Datagram { .. } => active.bytes.clone(),
            // Nothing is repeated on a connection.
            Path::Stream(_) => std::mem::take(&mut active.bytes),
        };
        self.put_on(path, bytes, now);
    }

    fn put_on(&mut self, path: Path, bytes: Bytes, now: Now) {
        match path {
            Path::Datagram { socket, to } => {
                self.outputs.push_back(Output::Order(Order::SendDatagram { socket, to, bytes }));
            }
            // If the connection is gone, its end has already moved what depended on it.
            Path::Stream(connection) => {
                self.write(connection, bytes, now);
            }
        }
    }

    /// Hands a response to the owner, or tries the next target if this one is busy.
    fn deliver(&mut self, number: u64, response: Box<Response>, now: Now) {
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        let owner = sending.owner;
        let Some(active) = sending.active() else { return };
        active.heard = true;
        let is_invite = active.machine.is_invite();
        if response.status() < 200 {
            if let (Owner::User(key), true) = (owner, is_invite) {
                self.outputs.push_back(Output::Response { key, response });
            }
            self.cancel_if_wanted(number, now);
            return;
        }
        self.release(number);
        if response.status() == 503 {
            self.note_busy(number, &response, now);
        }
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        if response.status() == 503
            && !sending.settled
            && !sending.cancel
            && (!sending.targets.is_empty() || sending.search.is_some())
        {
            sending.busy = Some(response);
            self.leave_try(number, now);
            self.advance(number, now);
            return;
        }
        if let Some(target) = &sending.target {
            self.unwell.recover(&target.place);
        }
        if !std::mem::replace(&mut sending.settled, true) {
            self.sendings.open -= 1;
        }
        if !is_invite {
            sending.owner = Owner::Nobody;
        }
        if let Owner::User(key) = owner {
            self.outputs.push_back(Output::Response { key, response });
        }
    }

    /// Notes that a target is busy, and for how long it wants to rest (RFC 3261 §21.5.4).
    fn note_busy(&mut self, number: u64, response: &Response, now: Now) {
        let Some(target) = self.sendings.requests.get(number).and_then(|s| s.target.clone()) else { return };
        let max = self.settings.limits.unwell;
        match response.headers().retry_after() {
            Ok(Some(seconds)) if seconds > 0 => {
                let retry_after = Duration::from_secs(seconds.into()).min(self.settings.rest_max);
                self.unwell.rest(target.place, retry_after, max, now);
                self.notice(Notice::TargetRests { target: target.to_string(), retry_after });
            }
            Ok(_) | Err(_) => self.unwell.shun(target.place, self.settings.shun_for, max, now),
        }
    }

    /// Lets go of the try under way. A transaction that must linger does so on its own.
    pub(super) fn leave_try(&mut self, number: u64, now: Now) {
        self.release(number);
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        sending.wake = None;
        let Step::Active(active) = std::mem::replace(&mut sending.step, Step::Locating) else { return };
        if active.machine.is_terminated() || !active.machine.is_settled() {
            self.sendings.by_branch.remove(&active.branch);
            return;
        }
        let mut lingering = Sending::new(Owner::Nobody, sending.request.clone(), now.moment);
        let branch = active.branch;
        lingering.settled = true;
        lingering.step = Step::Active(active);
        let lingering = self.sendings.requests.insert(lingering);
        self.sendings.by_branch.insert(branch, lingering);
        self.keep(lingering, now);
    }

    /// Ends the connection's count of a try.
    fn release(&mut self, number: u64) {
        let Some(active) = self.sendings.requests.get_mut(number).and_then(Sending::active) else { return };
        if std::mem::replace(&mut active.counted, false)
            && let Path::Stream(connection) = active.path
            && let Some(found) = self.connections.get_mut(connection)
        {
            found.awaited -= 1;
        }
    }

    /// Forgets a request whose transaction is over, or sets its timer.
    fn keep(&mut self, number: u64, now: Now) {
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        let Step::Active(active) = &sending.step else { return };
        if active.machine.is_terminated() && sending.settled {
            self.sendings.by_branch.remove(&active.branch);
            if let (Owner::User(key), true) = (sending.owner, active.machine.is_invite()) {
                self.sendings.invites.remove(&key);
            }
            self.sendings.requests.remove(number);
            return;
        }
        let wake = active.machine.poll_timeout();
        if wake != sending.wake {
            sending.wake = wake;
            if let Some(at) = wake {
                self.deadlines.push(at, now.moment, Timer::Sending(number));
            }
        }
    }

    /// Acknowledges a non-2xx response of an INVITE on the way the INVITE went (RFC 3261 §17.1.1.3).
    fn acknowledge(&mut self, number: u64, response: Option<&Response>, now: Now) {
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        let Some(to) = response.and_then(Response::to_header) else { return };
        let Some(ack) = in_transaction(&sending.request, Method::Ack, to) else { return };
        let Some(path) = sending.active().map(|active| active.path) else { return };
        self.put_on(path, printed(&ack), now);
    }

    pub(super) fn cancel_sending(&mut self, key: RequestKey, now: Now) {
        let Some(number) = self.sendings.invites.get(&key).copied() else { return };
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        if sending.settled || std::mem::replace(&mut sending.cancel, true) {
            return;
        }
        match &sending.step {
            Step::Pacing | Step::Locating | Step::Waiting => {
                sending.failure = Some(Failure::Cancelled);
                self.conclude(number, now);
            }
            // Before something provisional was heard a CANCEL must not be sent (§9.1).
            Step::Active(_) => self.cancel_if_wanted(number, now),
        }
    }

    fn cancel_if_wanted(&mut self, number: u64, now: Now) {
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        let wants = sending.cancel;
        let to = sending.request.to().clone();
        let Some(cancel) = in_transaction(&sending.request, Method::Cancel, &to) else { return };
        let target = sending.target.clone();
        let Some(active) = sending.active() else { return };
        if !wants || !active.machine.is_proceeding() {
            return;
        }
        let path = active.path;
        let branch = cancel.via().and_then(Via::branch).unwrap_or_default();
        let stamped =
            Stamped { branch: self.fingerprints.client(branch, &Method::Cancel), bytes: printed(&cancel) };
        if self.sendings.by_branch.contains_key(&stamped.branch) {
            return;
        }
        let mut sending = Sending::new(Owner::Nobody, cancel, now.moment);
        sending.target = target;
        sending.settled = true;
        let cancelling = self.sendings.requests.insert(sending);
        self.begin(cancelling, stamped, path, now);
        // A server that answers no CANCEL need not answer the INVITE either (§9.1).
        let until = now.moment + self.settings.timing.lifetime();
        self.deadlines.push(until, now.moment, Timer::Cancelled(number));
    }

    pub(super) fn handle_cancelled_timeout(&mut self, number: u64, now: Now) {
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        if !sending.settled {
            let target = sending.target.as_ref().map(ToString::to_string).unwrap_or_default();
            sending.note(Failure::Timeout { target });
            self.conclude(number, now);
        }
    }
}

/// Returns the ACK or CANCEL that belongs to an INVITE's transaction: the same but for its method and To
/// (§9.1, §17.1.1.3).
fn in_transaction(invite: &Request, method: Method, to: &NameAddr) -> Option<Request> {
    let via = invite.via()?.clone();
    let mut request = Request::new(
        method,
        invite.uri().clone(),
        invite.from().clone(),
        to.clone(),
        invite.call_id().clone(),
        invite.cseq().number,
    );
    request.push_via(via);
    request.headers_mut().copy(HeaderName::Route, invite.headers());
    Some(request)
}

fn printed(request: &Request) -> Bytes {
    let mut bytes = Vec::with_capacity(640 + request.body().len());
    request.print(&mut bytes);
    Bytes::from(bytes)
}
