//! What the endpoint knows of received requests: those that wait for an answer, and those answered
//! within the last 64*T1 and T4.

use std::collections::VecDeque;
use std::sync::Arc;

use clock_types::{Moment, Now};
use net_types::Bytes;
use sip_types::header::HeaderName;
use sip_types::{HeaderText, Method, Request, Response, Token};

use super::output::Source;
use super::settings::Settings;
use crate::arena::Arena;
use crate::fingerprint::ByFingerprint;
use crate::transaction::server_invite::{self, ServerInvite};
use crate::transaction::server_non_invite::{self, ServerNonInvite};

/// All received requests that are still known.
#[derive(Debug)]
pub struct Served {
    pub requests: Arena<Received>,
    /// By branch (RFC 3261 §17.2.3).
    pub by_branch: ByFingerprint<u64>,
    /// By what the request is, whatever way it came (§8.2.2.2).
    pub by_core: ByFingerprint<Known>,
    /// What was answered, the oldest first.
    answered: VecDeque<Answered>,
    /// How many have no final answer yet.
    pub open: usize,
    /// Octets that all of it keeps.
    pub octets: usize,
}

/// One received request and its transaction.
#[derive(Debug)]
pub struct Received {
    pub machine: Machine,
    /// Gone once it is answered for good: then only the printed answer may have to be sent again.
    pub request: Option<Arc<Request>>,
    pub source: Arc<Source>,
    /// The port of the peer that its answer goes to, off its connection.
    pub port: u16,
    pub branch: u128,
    pub core: u128,
    /// The latest answer, while it may have to be repeated.
    pub latest: Bytes,
    /// When its timer is set to fire.
    pub wake: Option<Moment>,
    /// Whether the request that came last differs from the one the user answers: its Via counts.
    pub moved: bool,
    /// Whether its transaction is over and it only absorbs what is still under way.
    pub lingers: bool,
    /// Whether it is no longer counted as open.
    pub is_settled: bool,
    /// What it counts for among the octets kept.
    pub octets: usize,
}

/// What is known of a request that came before.
#[derive(Debug)]
pub enum Known {
    /// It waits for its answer, or its transaction does not replay (INVITE).
    Open(u64),
    /// It was accepted: whoever sends it again is told so.
    Accepted(Box<Accepted>),
}

/// A 2xx answer without what the repeated request itself says.
#[derive(Debug)]
pub struct Accepted {
    status: u16,
    tag: Option<Token>,
    /// The whole answer, if there is more to it.
    whole: Option<Box<Response>>,
}

/// What one remembered thing takes besides its texts, about.
const ROOM: usize = 768;

#[derive(Debug)]
struct Answered {
    until: Moment,
    core: Option<u128>,
    request: Option<u64>,
}

impl Served {
    pub fn new() -> Self {
        Self {
            requests: Arena::new(),
            by_branch: ByFingerprint::default(),
            by_core: ByFingerprint::default(),
            answered: VecDeque::new(),
            open: 0,
            octets: 0,
        }
    }

    /// Takes in a received request.
    pub fn insert(&mut self, received: Received) -> u64 {
        let (branch, core) = (received.branch, received.core);
        let number = self.requests.insert(received);
        self.by_branch.insert(branch, number);
        self.put_core(core, Known::Open(number));
        self.open += 1;
        self.weigh(number);
        number
    }

    /// Counts anew what a request keeps.
    pub fn weigh(&mut self, number: u64) {
        let Some(received) = self.requests.get_mut(number) else { return };
        let request = received.request.as_ref().map_or(0, |request| request.headers().octets());
        let octets = ROOM + request + received.latest.len();
        self.octets = self.octets + octets - std::mem::replace(&mut received.octets, octets);
    }

    /// Lets go of a request that is answered for good. An INVITE's user may say its 2xx again.
    pub fn keep_answer_only(&mut self, number: u64) {
        if let Some(received) = self.requests.get_mut(number)
            && matches!(received.machine, Machine::NonInvite(_))
        {
            received.request = None;
        }
        self.weigh(number);
    }

    /// Remembers that a request got its final answer, or none for ever.
    pub fn remember(&mut self, number: u64, response: Option<&Response>, settings: &Settings, now: Now) {
        let Some(received) = self.requests.get(number) else { return };
        let (core, lingers) = (received.core, !received.machine.is_terminated());
        let accepted = match &received.machine {
            Machine::NonInvite(_) => response.filter(|response| (200..300).contains(&response.status())),
            Machine::Invite(_) => None,
        };
        let replays = accepted.is_some();
        if let Some(response) = accepted {
            self.put_core(core, Known::Accepted(Box::new(Accepted::of(response))));
        } else if matches!(received.machine, Machine::NonInvite(_)) {
            // Another try of what was refused is a request like any other (RFC 3263 §4.3).
            self.forget_core(core, number);
        }
        if replays || lingers {
            // A repetition sent last of all may be under way for T4.
            let until = now.moment + settings.timing.lifetime() + settings.timing.t4;
            let answered =
                Answered { until, core: replays.then_some(core), request: lingers.then_some(number) };
            self.answered.push_back(answered);
        }
        if self.answered.len() > settings.limits.answered {
            self.forget_oldest();
        }
    }

    /// Forgets what was answered longer ago than that.
    pub fn forget_old(&mut self, now: Now) {
        while self.answered.front().is_some_and(|oldest| oldest.until <= now.moment) {
            self.forget_oldest();
        }
    }

    /// Forgets a request whose transaction is over.
    pub fn remove(&mut self, number: u64) -> Option<Received> {
        let received = self.requests.remove(number)?;
        self.octets -= received.octets;
        if self.by_branch.get(&received.branch) == Some(&number) {
            self.by_branch.remove(&received.branch);
        }
        self.forget_core(received.core, number);
        Some(received)
    }

    pub fn answered(&self) -> usize {
        self.answered.len()
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.answered.pop_front() else { return };
        if let Some(core) = oldest.core
            && matches!(self.by_core.get(&core), Some(Known::Accepted(_)))
        {
            self.take_core(core);
        }
        if let Some(number) = oldest.request {
            self.remove(number);
        }
    }

    fn forget_core(&mut self, core: u128, number: u64) {
        if matches!(self.by_core.get(&core), Some(Known::Open(open)) if *open == number) {
            self.take_core(core);
        }
    }

    fn put_core(&mut self, core: u128, known: Known) {
        self.octets += known.octets();
        if let Some(old) = self.by_core.insert(core, known) {
            self.octets -= old.octets();
        }
    }

    fn take_core(&mut self, core: u128) {
        if let Some(old) = self.by_core.remove(&core) {
            self.octets -= old.octets();
        }
    }
}

impl Known {
    fn octets(&self) -> usize {
        match self {
            Self::Open(_) => 0,
            Self::Accepted(accepted) => match &accepted.whole {
                None => ROOM / 2,
                Some(whole) => ROOM + whole.headers().octets() + whole.body().len(),
            },
        }
    }
}

impl Accepted {
    fn of(response: &Response) -> Self {
        let tag = response.to_header().and_then(|to| to.tag()).and_then(Token::parse);
        let is_essential = |name: HeaderName| {
            matches!(
                name,
                HeaderName::Via | HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq
            )
        };
        let plain = response.body().is_empty() && response.headers().iter().all(|l| is_essential(l.name));
        Self { status: response.status(), tag, whole: (!plain).then(|| Box::new(response.clone())) }
    }

    /// Returns the same answer to another try of the request.
    pub fn again(&self, request: &Request) -> Response {
        if let Some(whole) = &self.whole {
            return readdressed(whole, request);
        }
        let response = Response::to(request, self.status);
        match &self.tag {
            Some(tag) => response.with_to_tag(tag),
            None => response,
        }
    }
}

/// Returns the response as it answers another try of the same request: with that one's Via.
pub fn readdressed(response: &Response, request: &Request) -> Response {
    let mut other = Response::to(request, response.status());
    if let Ok(reason) = HeaderText::parse(response.reason()) {
        other = other.with_reason(&reason);
    }
    if let Some(tag) = response.to_header().and_then(|to| to.tag()).and_then(Token::parse) {
        other = other.with_to_tag(&tag);
    }
    for line in response.headers().iter() {
        match line.name {
            HeaderName::Via | HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq => {}
            HeaderName::ContentType | HeaderName::ContentLength => {}
            HeaderName::Other => {
                let value = HeaderText::clean(&String::from_utf8_lossy(line.value)).text;
                if let Some(name) = Token::parse(line.written) {
                    other.headers_mut().push_other(&name, &value);
                }
            }
            known => {
                let value = HeaderText::clean(&String::from_utf8_lossy(line.value)).text;
                other.headers_mut().push(known, &value);
            }
        }
    }
    match response.headers().content_type() {
        Ok(Some(content_type)) => other.with_body(&content_type, response.body().clone()),
        Ok(None) | Err(_) => other,
    }
}

/// The transaction of either kind.
#[derive(Debug)]
pub enum Machine {
    NonInvite(ServerNonInvite),
    Invite(ServerInvite),
}

/// What a transaction of either kind wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Send,
    SendTrying,
    DeliverAck,
    Expire,
    TransportFailed,
}

impl Machine {
    pub fn new(request: &Request, source: &Source, settings: &Settings, now: Now) -> Self {
        let (timing, reliability) = (settings.timing, source.transport.reliability());
        match request.method() {
            Method::Invite => Self::Invite(ServerInvite::new(timing, reliability, now)),
            _ => Self::NonInvite(ServerNonInvite::new(timing, reliability, now)),
        }
    }

    pub fn handle_request(&mut self, now: Now) {
        match self {
            Self::NonInvite(machine) => machine.handle_request(now),
            Self::Invite(machine) => machine.handle_request(now),
        }
    }

    pub fn handle_ack(&mut self, now: Now) {
        match self {
            Self::NonInvite(_) => {}
            Self::Invite(machine) => machine.handle_ack(now),
        }
    }

    pub fn handle_answer(&mut self, status: u16, now: Now) {
        match self {
            Self::NonInvite(machine) => machine.handle_answer(status, now),
            Self::Invite(machine) => machine.handle_answer(status, now),
        }
    }

    pub fn handle_silence(&mut self, now: Now) {
        match self {
            Self::NonInvite(machine) => machine.handle_silence(now),
            Self::Invite(_) => {}
        }
    }

    pub fn handle_transport_error(&mut self, now: Now) {
        match self {
            Self::NonInvite(machine) => machine.handle_transport_error(now),
            Self::Invite(machine) => machine.handle_transport_error(now),
        }
    }

    pub fn handle_timeout(&mut self, now: Now) {
        match self {
            Self::NonInvite(machine) => machine.handle_timeout(now),
            Self::Invite(machine) => machine.handle_timeout(now),
        }
    }

    pub fn poll_output(&mut self) -> Option<Act> {
        match self {
            Self::NonInvite(machine) => machine.poll_output().map(|output| match output {
                server_non_invite::Output::Send => Act::Send,
                server_non_invite::Output::SendTrying => Act::SendTrying,
                server_non_invite::Output::Expired => Act::Expire,
                server_non_invite::Output::TransportFailed => Act::TransportFailed,
            }),
            Self::Invite(machine) => machine.poll_output().map(|output| match output {
                server_invite::Output::Send => Act::Send,
                server_invite::Output::SendTrying => Act::SendTrying,
                server_invite::Output::DeliverAck => Act::DeliverAck,
                server_invite::Output::TimedOut => Act::Expire,
                server_invite::Output::TransportFailed => Act::TransportFailed,
            }),
        }
    }

    pub fn poll_timeout(&self) -> Option<Moment> {
        match self {
            Self::NonInvite(machine) => machine.poll_timeout(),
            Self::Invite(machine) => machine.poll_timeout(),
        }
    }

    pub fn is_open(&self) -> bool {
        match self {
            Self::NonInvite(machine) => machine.is_open(),
            Self::Invite(machine) => machine.is_open(),
        }
    }

    /// Returns whether an answer may still be given: the first one, or a 2xx of an INVITE again.
    pub fn may_answer(&self) -> bool {
        match self {
            Self::NonInvite(machine) => machine.is_open(),
            Self::Invite(machine) => machine.is_open() || machine.is_accepted(),
        }
    }

    pub fn is_terminated(&self) -> bool {
        match self {
            Self::NonInvite(machine) => machine.is_terminated(),
            Self::Invite(machine) => machine.is_terminated(),
        }
    }
}
