//! What the endpoint knows of the requests it sends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now};
use net_types::{Bytes, ConnectionId, ListenerId};
use sip_types::{Method, Request, Response};

use super::output::{Failure, RequestKey};
use super::route::NextHop;
use super::settings::{Settings, Transport};
use super::target::{Peer, Target};
use crate::arena::Arena;
use crate::fingerprint::ByFingerprint;
use crate::locate::Locate;
use crate::transaction::Reliability;
use crate::transaction::client_invite::{self, ClientInvite};
use crate::transaction::client_non_invite::{self, ClientNonInvite};

/// All requests of ours that are still known.
#[derive(Debug)]
pub struct Sendings {
    pub requests: Arena<Sending>,
    /// By branch and method (RFC 3261 §17.1.3).
    pub by_branch: ByFingerprint<u64>,
    /// INVITEs, to cancel them.
    pub invites: BTreeMap<RequestKey, u64>,
    /// How many have no final response yet.
    pub open: usize,
    /// How many are answers on a new way.
    pub returning: usize,
}

impl Sendings {
    pub fn new() -> Self {
        Self {
            requests: Arena::new(),
            by_branch: ByFingerprint::default(),
            invites: BTreeMap::new(),
            open: 0,
            returning: 0,
        }
    }
}

/// One request of ours over all its tries.
#[derive(Debug)]
pub struct Sending {
    pub owner: Owner,
    /// With our Via of the last try on top, if there was one.
    pub request: Request,
    /// What goes instead: our answer to `request`, which is then the peer's.
    pub printed: Option<Bytes>,
    pub step: Step,
    /// Where it is being tried.
    pub target: Option<Target>,
    /// Where to try it next, in order.
    pub targets: VecDeque<Target>,
    /// Where further targets come from.
    pub search: Option<Locate>,
    /// Where else to search when all targets have failed.
    pub fallback: Option<Box<NextHop>>,
    /// Whom TLS must prove at the targets of the search.
    pub peer: Option<Arc<Peer>>,
    /// UDP, if TCP was chosen only for the size and cannot be had (§18.1.1).
    pub instead: Option<Target>,
    /// Why the tries so far failed.
    pub failure: Option<Failure>,
    /// The 503 of the last target that was busy.
    pub busy: Option<Box<Response>>,
    /// How long the targets that were passed over want to rest, the shortest.
    pub rest: Option<Duration>,
    /// Whether a connection that had been used before has failed it already.
    pub renewed: bool,
    /// Whether it is to be cancelled as soon as that is allowed.
    pub cancel: bool,
    /// Whether UDP is taken whatever the size.
    pub insists: bool,
    /// Whether its end was told.
    pub settled: bool,
    /// After which no new try begins.
    pub until: Moment,
    /// When its timer is set to fire.
    pub wake: Option<Moment>,
}

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    User(RequestKey),
    /// The peer's whose request it answers.
    Peer,
    /// Nobody's: a CANCEL, or a transaction that lingers after its end was told.
    Nobody,
}

/// How far it is.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a request is in the large one nearly all its life")]
pub enum Step {
    /// Waits for its turn.
    Pacing,
    /// Waits for a target.
    Locating,
    /// Waits for a connection to open.
    Waiting,
    /// Was sent.
    Active(Active),
}

/// A try that was sent.
#[derive(Debug)]
pub struct Active {
    pub machine: Machine,
    pub path: Path,
    pub branch: u128,
    /// The request as it goes on the wire, kept while it may be repeated.
    pub bytes: Bytes,
    /// Whether the connection had carried another request before.
    pub on_used: bool,
    /// Whether any response came.
    pub heard: bool,
    /// Whether the connection still counts it.
    pub counted: bool,
}

/// The way a try went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Datagram { socket: ListenerId, to: std::net::SocketAddr },
    Stream(ConnectionId),
}

impl Sending {
    pub fn new(owner: Owner, request: Request, until: Moment) -> Self {
        Self {
            owner,
            request,
            printed: None,
            step: Step::Locating,
            target: None,
            targets: VecDeque::new(),
            search: None,
            fallback: None,
            peer: None,
            instead: None,
            failure: None,
            busy: None,
            rest: None,
            renewed: false,
            cancel: false,
            insists: false,
            settled: false,
            until,
            wake: None,
        }
    }

    pub fn active(&mut self) -> Option<&mut Active> {
        match &mut self.step {
            Step::Active(active) => Some(active),
            Step::Pacing | Step::Locating | Step::Waiting => None,
        }
    }

    /// Notes why a try failed. A rejected certificate is what an operator must hear of before all else.
    pub fn note(&mut self, failure: Failure) {
        match self.failure {
            Some(Failure::Certificate { .. }) => {}
            Some(_) | None => self.failure = Some(failure),
        }
    }
}

/// The transaction of either kind.
#[derive(Debug)]
pub enum Machine {
    NonInvite(ClientNonInvite),
    Invite(ClientInvite),
}

/// What a transaction of either kind wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Send,
    SendAck,
    Deliver,
    TimedOut,
    TransportFailed,
}

impl Machine {
    pub fn new(method: &Method, transport: Transport, settings: &Settings, now: Now) -> Self {
        let reliability: Reliability = transport.reliability();
        match method {
            Method::Invite => Self::Invite(ClientInvite::new(settings.timing, reliability, now)),
            _ => Self::NonInvite(ClientNonInvite::new(settings.timing, reliability, now)),
        }
    }

    pub fn handle_response(&mut self, status: u16, now: Now) {
        match self {
            Self::NonInvite(machine) => machine.handle_response(status, now),
            Self::Invite(machine) => machine.handle_response(status, now),
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
                client_non_invite::Output::Send => Act::Send,
                client_non_invite::Output::Deliver => Act::Deliver,
                client_non_invite::Output::TimedOut => Act::TimedOut,
                client_non_invite::Output::TransportFailed => Act::TransportFailed,
            }),
            Self::Invite(machine) => machine.poll_output().map(|output| match output {
                client_invite::Output::Send => Act::Send,
                client_invite::Output::SendAck => Act::SendAck,
                client_invite::Output::Deliver => Act::Deliver,
                client_invite::Output::TimedOut => Act::TimedOut,
                client_invite::Output::TransportFailed => Act::TransportFailed,
            }),
        }
    }

    pub fn poll_timeout(&self) -> Option<Moment> {
        match self {
            Self::NonInvite(machine) => machine.poll_timeout(),
            Self::Invite(machine) => machine.poll_timeout(),
        }
    }

    pub fn is_invite(&self) -> bool {
        match self {
            Self::Invite(_) => true,
            Self::NonInvite(_) => false,
        }
    }

    pub fn is_proceeding(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_proceeding(),
            Self::NonInvite(_) => false,
        }
    }

    pub fn is_settled(&self) -> bool {
        match self {
            Self::NonInvite(machine) => machine.is_settled(),
            Self::Invite(machine) => machine.is_settled(),
        }
    }

    pub fn is_terminated(&self) -> bool {
        match self {
            Self::NonInvite(machine) => machine.is_terminated(),
            Self::Invite(machine) => machine.is_terminated(),
        }
    }
}
