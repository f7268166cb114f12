//! Received requests: to which transaction they belong, who answers them, and the way back.

use std::net::SocketAddr;
use std::sync::Arc;

use clock_types::Now;
use net_types::{Bytes, ListenerId, Order};
use sip_types::header::{HeaderName, Via};
use sip_types::{HeaderText, Malformed, Message, Method, Request, Response, Token};

use super::output::{Notice, Output, ServerKey, Source};
use super::served::{Act, Known, Machine, Received, readdressed};
use super::settings::Transport;
use super::{Endpoint, Timer};

/// Why a request is answered at once, without a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// 482: the same request is being served on another way (RFC 3261 §8.2.2.2).
    Merged,
    /// 482: it is one of ours that has come back (§16.3).
    OurOwn,
    /// 481: there is no such INVITE to cancel (§9.2).
    NothingToCancel,
    /// 503: a table is full, or we stop.
    Shed(&'static str),
}

/// What a message that could not be read leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing: it was a datagram.
    Datagram { length: usize },
    /// The next message can be found.
    Kept,
    /// The connection closes.
    Lost,
}

impl Refusal {
    fn status(self) -> u16 {
        match self {
            Self::Merged | Self::OurOwn => 482,
            Self::NothingToCancel => 481,
            Self::Shed(_) => 503,
        }
    }
}

impl Endpoint {
    pub(super) fn handle_datagram(
        &mut self,
        socket: ListenerId,
        from: SocketAddr,
        datagram: &Bytes,
        now: Now,
    ) {
        // White space and NUL keep a NAT's binding alive and say nothing.
        if datagram.iter().all(|octet| matches!(octet, b'\r' | b'\n' | b' ' | b'\t' | 0)) {
            return;
        }
        let source = Arc::new(Source {
            transport: Transport::Udp,
            listener: Some(socket),
            local: None,
            remote: from,
            peer: None,
            proved: None,
            connection: None,
        });
        match sip_types::parse_datagram(datagram, &self.settings.message) {
            Ok(message) => self.handle_message(message, source, now),
            Err(malformed) => {
                let framing = Framing::Datagram { length: datagram.len() };
                self.answer_malformed(malformed, &source, framing, now);
            }
        }
    }

    pub(super) fn handle_message(&mut self, message: Message, source: Arc<Source>, now: Now) {
        self.show_received(&message, &source);
        match message {
            Message::Request(request) => self.handle_request(request, source, now),
            Message::Response(response) => self.handle_response(response, &source, now),
        }
    }

    fn handle_request(&mut self, mut request: Request, source: Arc<Source>, now: Now) {
        let Some(via) = request.via() else { return };
        let branch = self.fingerprints.server(&request, via);
        self.note_alias(via, &source);
        if needs_return_address(via, source.remote) {
            let via = via.received_from(source.remote);
            request.replace_via(via);
        }
        if let Some(number) = self.served.by_branch.get(&branch).copied() {
            self.handle_repeated(number, request, source, now);
            return;
        }
        match request.method() {
            // The ACK of a 2xx has a branch of its own (§13.2.2.4).
            Method::Ack => self.outputs.push_back(Output::Ack { request: Arc::new(request), source }),
            Method::Cancel => self.handle_cancel(&request, &source, now),
            _ => self.handle_new(request, source, branch, now),
        }
    }

    /// Hears a request of a transaction that is known: again, or its ACK.
    fn handle_repeated(&mut self, number: u64, request: Request, source: Arc<Source>, now: Now) {
        let Some(received) = self.served.requests.get_mut(number) else { return };
        if *request.method() == Method::Ack {
            received.machine.handle_ack(now);
            self.run_received(number, None, Some((request, source)), now);
        } else {
            received.machine.handle_request(now);
            self.run_received(number, None, None, now);
        }
    }

    fn handle_new(&mut self, request: Request, source: Arc<Source>, branch: u128, now: Now) {
        self.served.forget_old(now);
        if self.is_our_own(&request) {
            self.refuse(&request, &source, Refusal::OurOwn, now);
            return;
        }
        let core = self.fingerprints.core(&request);
        match self.served.by_core.get(&core) {
            Some(Known::Accepted(accepted)) => {
                let response = accepted.again(&request);
                self.send_response(&response, &request, &source, now);
                return;
            }
            Some(Known::Open(number)) => {
                self.handle_merged(*number, request, source, branch, now);
                return;
            }
            None => {}
        }
        if self.stopping {
            self.refuse(&request, &source, Refusal::Shed("the gateway is stopping"), now);
            return;
        }
        if self.served.open >= self.settings.limits.unanswered {
            self.refuse(&request, &source, Refusal::Shed("too many requests wait for an answer"), now);
            return;
        }
        if self.served.octets >= self.octets_max(&source) {
            self.refuse(&request, &source, Refusal::Shed("too much is kept of earlier requests"), now);
            return;
        }
        let machine = Machine::new(&request, &source, &self.settings, now);
        let request = Arc::new(request);
        let received = Received {
            machine,
            request: Some(Arc::clone(&request)),
            source: Arc::clone(&source),
            port: request.via().map_or(0, |via| return_port(via, &source)),
            branch,
            core,
            latest: Bytes::new(),
            wake: None,
            moved: false,
            lingers: false,
            is_settled: false,
            octets: 0,
        };
        let number = self.served.insert(received);
        self.outputs.push_back(Output::Request { key: ServerKey(number), request, source });
        self.run_received(number, None, None, now);
    }

    /// Returns whether a request under way from us has come back: a Via below its top one has our branch.
    fn is_our_own(&self, request: &Request) -> bool {
        if self.sendings.by_branch.is_empty() {
            return false;
        }
        request.headers().values(HeaderName::Via).skip(1).filter_map(branch_of).any(|branch| {
            let branch = self.fingerprints.client(branch, request.method());
            self.sendings.by_branch.contains_key(&branch)
        })
    }

    /// Datagrams may fill half of the room: whoever floods us with them shuts out nobody on a connection.
    fn octets_max(&self, source: &Source) -> usize {
        let max = self.settings.limits.served_octets;
        match source.transport {
            Transport::Udp => max / 2,
            Transport::Tcp | Transport::Tls => max,
        }
    }

    /// Hears a request that is being served already, on another way. If the first way is gone, its sender
    /// tries again and gets the answer on the new one; otherwise a proxy has split the request (§8.2.2.2).
    fn handle_merged(&mut self, number: u64, request: Request, source: Arc<Source>, branch: u128, now: Now) {
        let Some(received) = self.served.requests.get_mut(number) else { return };
        let first_way = received.source.connection;
        let is_gone = first_way.is_some_and(|connection| self.connections.get(connection).is_none());
        if !is_gone {
            self.refuse(&request, &source, Refusal::Merged, now);
            return;
        }
        if !received.machine.may_answer() {
            // Its refusal was lost: this is a request like any other.
            self.served.remove(number);
            self.handle_new(request, source, branch, now);
            return;
        }
        if *request.method() == Method::Invite {
            let trying = Response::to(&request, 100);
            self.send_response(&trying, &request, &source, now);
        }
        let Some(received) = self.served.requests.get_mut(number) else { return };
        let old = std::mem::replace(&mut received.branch, branch);
        received.port = request.via().map_or(0, |via| return_port(via, &source));
        received.request = Some(Arc::new(request));
        received.source = source;
        received.moved = true;
        self.served.by_branch.remove(&old);
        self.served.by_branch.insert(branch, number);
        self.served.weigh(number);
    }

    fn handle_cancel(&mut self, request: &Request, source: &Arc<Source>, now: Now) {
        let Some(via) = request.via() else { return };
        let invite = self.fingerprints.cancelled(request, via);
        let invite = self.served.by_branch.get(&invite).copied();
        let Some((number, received)) = invite.and_then(|n| Some((n, self.served.requests.get(n)?))) else {
            self.refuse(request, source, Refusal::NothingToCancel, now);
            return;
        };
        let is_open = received.machine.is_open();
        let response = self.tagged(Response::to(request, 200), request);
        self.send_response(&response, request, source, now);
        if is_open {
            self.outputs.push_back(Output::Cancelled { key: ServerKey(number) });
        }
    }

    pub(super) fn answer(&mut self, key: ServerKey, response: Response, now: Now) {
        let Some(received) = self.served.requests.get_mut(key.0) else { return };
        // One that is answered for good is not answered again.
        let Some(request) = received.request.clone() else { return };
        let mut response = response;
        if received.moved {
            response = readdressed(&response, &request);
        }
        if response.status() > 100 && response.to_header().is_some_and(|to| to.tag().is_none()) {
            response = self.tagged(response, &request);
        }
        if let Some(received) = self.served.requests.get_mut(key.0) {
            received.machine.handle_answer(response.status(), now);
            self.run_received(key.0, Some(&response), None, now);
        }
    }

    pub(super) fn leave_unanswered(&mut self, key: ServerKey, now: Now) {
        if let Some(received) = self.served.requests.get_mut(key.0) {
            received.machine.handle_silence(now);
            self.run_received(key.0, None, None, now);
        }
    }

    pub(super) fn handle_received_timeout(&mut self, number: u64, now: Now) {
        if let Some(received) = self.served.requests.get_mut(number) {
            if received.lingers {
                self.served.remove(number);
                return;
            }
            received.wake = None;
            received.machine.handle_timeout(now);
            self.run_received(number, None, None, now);
        }
    }

    /// Does what a transaction wants after an input, and keeps the books about it. `fresh` is the response
    /// that was the input, `ack` the ACK.
    fn run_received(
        &mut self,
        number: u64,
        fresh: Option<&Response>,
        mut ack: Option<(Request, Arc<Source>)>,
        now: Now,
    ) {
        while let Some(act) = self.served.requests.get_mut(number).and_then(|r| r.machine.poll_output()) {
            match act {
                Act::Send => self.send_latest(number, fresh, now),
                Act::SendTrying => {
                    if let Some(received) = self.served.requests.get(number)
                        && let Some(request) = received.request.clone()
                    {
                        let source = Arc::clone(&received.source);
                        self.send_response(&Response::to(&request, 100), &request, &source, now);
                    }
                }
                Act::DeliverAck => {
                    if let Some((request, source)) = ack.take() {
                        self.outputs.push_back(Output::Ack { request: Arc::new(request), source });
                    }
                }
                Act::Expire => self.outputs.push_back(Output::Expired { key: ServerKey(number) }),
                // The user learns from the client's silence or its next try; nothing can be sent to it.
                Act::TransportFailed => {}
            }
        }
        self.settle_received(number, fresh, now);
    }

    /// Sends the response in hand, or the latest one again.
    fn send_latest(&mut self, number: u64, fresh: Option<&Response>, now: Now) {
        let Some(received) = self.served.requests.get_mut(number) else { return };
        let (request, source, port) = (received.request.clone(), Arc::clone(&received.source), received.port);
        let bytes = match fresh {
            Some(response) => {
                let bytes = printed(response);
                if !received.machine.is_terminated() {
                    received.latest = bytes.clone();
                }
                bytes
            }
            None => received.latest.clone(),
        };
        if !bytes.is_empty()
            && !self.send_back(bytes, request.as_deref(), port, &source, now)
            && let Some(received) = self.served.requests.get_mut(number)
        {
            received.machine.handle_transport_error(now);
        }
    }

    fn settle_received(&mut self, number: u64, fresh: Option<&Response>, now: Now) {
        let Some(received) = self.served.requests.get_mut(number) else { return };
        if !received.machine.is_open() && !received.is_settled {
            received.is_settled = true;
            self.served.open -= 1;
            self.served.remember(number, fresh, &self.settings, now);
            self.served.keep_answer_only(number);
        }
        let Some(received) = self.served.requests.get_mut(number) else { return };
        if received.machine.is_terminated() && received.source.connection.is_some() {
            self.served.remove(number);
            return;
        }
        if received.lingers {
            return;
        }
        // On UDP a repetition sent last of all may be under way for T4.
        received.lingers = received.machine.is_terminated();
        let wake = if received.lingers {
            Some(now.moment + self.settings.timing.t4)
        } else {
            received.machine.poll_timeout()
        };
        if wake != received.wake {
            received.wake = wake;
            if let Some(at) = wake {
                self.deadlines.push(at, now.moment, Timer::Received(number));
            }
        }
    }

    /// Answers without a transaction.
    fn refuse(&mut self, request: &Request, source: &Arc<Source>, refusal: Refusal, now: Now) {
        // COMPAT(Skype for Business, all): BENOTIFY is a NOTIFY that must not be answered (MS-SIP §2.2.1).
        if request.method().as_str() == "BENOTIFY" {
            return;
        }
        let mut response = self.tagged(Response::to(request, refusal.status()), request);
        if let Refusal::Shed(reason) = refusal {
            let seconds = HeaderText::from(self.settings.retry_after);
            response = response.with(HeaderName::RetryAfter, &seconds);
            self.notice(Notice::Shed { remote: source.remote, reason });
        }
        self.send_response(&response, request, source, now);
    }

    /// Answers what could not be read, if it can be answered. Over UDP the answer is not longer than what
    /// it answers, because the source address may be a victim's.
    pub(super) fn answer_malformed(
        &mut self,
        malformed: Malformed,
        source: &Source,
        framing: Framing,
        now: Now,
    ) {
        let (what, closed) = (malformed.what(), framing == Framing::Lost);
        self.notice(Notice::Malformed { remote: source.remote, what, closed });
        let Some(response) = malformed.into_answer() else { return };
        let bytes = printed(&response);
        match (framing, source.connection, source.listener) {
            (Framing::Kept | Framing::Lost, Some(connection), _) => {
                self.write(connection, bytes, now);
            }
            (Framing::Datagram { length }, _, Some(socket)) if bytes.len() <= length => {
                self.outputs.push_back(Output::Order(Order::SendDatagram {
                    socket,
                    to: source.remote,
                    bytes,
                }));
            }
            (Framing::Datagram { .. } | Framing::Kept | Framing::Lost, _, _) => {}
        }
    }

    fn send_response(&mut self, response: &Response, request: &Request, source: &Source, now: Now) {
        let port = request.via().map_or(0, |via| return_port(via, source));
        self.send_back(printed(response), Some(request), port, source, now);
    }

    /// Sends a response on the connection its request came on; if that is gone, on one to where the Via
    /// says; over UDP to the source alone (§18.2.2, RFC 3581 §4). `false` if it cannot be sent.
    fn send_back(
        &mut self,
        bytes: Bytes,
        request: Option<&Request>,
        port: u16,
        source: &Source,
        now: Now,
    ) -> bool {
        let Some(connection) = source.connection else {
            let Some(socket) = source.listener else { return false };
            let to = SocketAddr::new(source.remote.ip(), port);
            self.outputs.push_back(Output::Order(Order::SendDatagram { socket, to, bytes }));
            return true;
        };
        if self.connections.get(connection).is_some() {
            return self.write(connection, bytes, now);
        }
        let Some(request) = request else { return false };
        self.send_after(bytes, request, SocketAddr::new(source.remote.ip(), port), source.transport, now)
    }

    /// Returns the response with a tag in To that every copy of the request gets alike.
    fn tagged(&self, response: Response, request: &Request) -> Response {
        let tag = format!("{:016x}", self.fingerprints.core(request) as u64);
        match Token::parse(tag) {
            Some(tag) => response.with_to_tag(&tag),
            None => response,
        }
    }
}

/// Returns whether `received` or `rport` must be filled in (§18.2.1, RFC 3581 §4).
fn needs_return_address(via: &Via, remote: SocketAddr) -> bool {
    via.host.address() != Some(remote.ip()) || via.asks_rport() || via.params.has("received")
}

/// Returns the branch of a Via without reading the rest of it.
fn branch_of(via: &[u8]) -> Option<&str> {
    const NAME: &[u8] = b"branch=";
    let at = via.windows(NAME.len()).position(|octets| octets.eq_ignore_ascii_case(NAME))?;
    let value = &via[at + NAME.len()..];
    let end = value.iter().position(|octet| matches!(octet, b';' | b' ' | b'\t')).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).ok()
}

/// Returns the port that a response goes to, unless it goes back on its request's connection.
fn return_port(via: &Via, source: &Source) -> u16 {
    if source.connection.is_none() && via.asks_rport() {
        return source.remote.port();
    }
    via.port.unwrap_or_else(|| source.transport.default_port())
}

pub fn printed(response: &Response) -> Bytes {
    let mut bytes = Vec::with_capacity(512 + response.body().len());
    response.print(&mut bytes);
    Bytes::from(bytes)
}
