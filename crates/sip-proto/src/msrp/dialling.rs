//! From a peer's path to a connection (§6.2).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use clock_types::Now;
use net_types::{
    Answer, ConnectionId, Failure, Order, PeerCertificate, QueryId, Question, Record, Remote, TlsClient,
    TlsFacts, is_public,
};
use sip_types::msrp::Uri;

use super::Msrp;
use super::connections::{Connection, Target};
use super::output::{End, Output};
use super::session::State;
use crate::identity::{Wanted, prove};

impl Msrp {
    /// Dials the first hop of a session's path, or joins the connection that goes there already.
    pub(super) fn dial(&mut self, key: u64, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(peer) = &session.peer else { return };
        let hop = peer.path.next();
        if !hop.transport().eq_ignore_ascii_case("tcp") {
            return self.end_session(key, Some(End::BadPath { reason: "its transport is not tcp" }), now);
        }
        if hop.is_secure() != session.ours.is_secure() {
            let reason = "one side is on TLS and the other is not";
            return self.end_session(key, Some(End::BadPath { reason }), now);
        }
        let target = Target::new(hop, peer.fingerprint);
        let (host, port) = (hop.host().clone(), port_of(hop));
        session.state = State::Dialling { connection: None, left: VecDeque::new() };
        if let Some(id) = self.to_target.get(&target).copied() {
            return self.share(key, id, now);
        }
        match host.address() {
            Some(address) => self.try_addresses(key, [SocketAddr::new(address, port)].into(), now),
            None => {
                let query = QueryId(self.next_number());
                let name = host.name().unwrap_or_default().to_ascii_lowercase();
                self.asked.insert(query, key);
                let question = Question::Addresses(name);
                self.outputs.push_back(Output::Order(Order::Resolve { query, question }));
            }
        }
    }

    /// Puts a session on a connection that is dialled already.
    fn share(&mut self, key: u64, id: ConnectionId, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.open {
            return self.begin(key, id, now);
        }
        connection.sessions.insert(key);
        if let Some(session) = self.sessions.get_mut(key) {
            session.state = State::Dialling { connection: Some(id), left: VecDeque::new() };
        }
    }

    pub(super) fn handle_resolved(&mut self, query: QueryId, answer: Result<Answer, Failure>, now: Now) {
        let Some(key) = self.asked.remove(&query) else { return };
        let Some(peer) = self.sessions.get(key).and_then(|session| session.peer.as_ref()) else { return };
        let port = port_of(peer.path.next());
        let records = match answer {
            Ok(answer) => answer.records,
            Err(failure) => {
                let reason = match failure {
                    Failure::NoSuchName => "its name does not exist".to_owned(),
                    Failure::Unreachable(reason) | Failure::ServerFailed(reason) | Failure::Bogus(reason) => {
                        reason
                    }
                };
                return self.end_session(key, Some(End::Unreachable { reason }), now);
            }
        };
        let addresses = records.into_iter().filter_map(|record| match record {
            Record::Address(address) => Some(SocketAddr::new(address, port)),
            Record::Srv { .. } | Record::Naptr { .. } | Record::Tlsa { .. } => None,
        });
        self.try_addresses(key, addresses.take(ADDRESSES_MAX).collect(), now);
    }

    /// Dials the first of these addresses that may be dialled; a name must not lead where a number may not.
    pub(super) fn try_addresses(&mut self, key: u64, mut left: VecDeque<SocketAddr>, now: Now) {
        let mut forbidden = None;
        let to = loop {
            match left.pop_front() {
                Some(to) if self.may_dial(to.ip()) => break Some(to),
                Some(to) => forbidden = Some(to.ip()),
                None => break None,
            }
        };
        let Some(to) = to else {
            let end = match forbidden {
                Some(address) => End::NotAllowed { address },
                None => End::Unreachable { reason: "its name has no address".to_owned() },
            };
            return self.end_session(key, Some(end), now);
        };
        let id = ConnectionId::dialled(self.next_number());
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(peer) = &session.peer else { return };
        let hop = peer.path.next();
        let tls = hop.is_secure().then(|| {
            Box::new(TlsClient {
                name: hop
                    .host()
                    .address()
                    .map_or_else(|| hop.host().to_string(), |address| address.to_string()),
                identity: self.settings.identity.clone(),
                trust: self.settings.trust.clone(),
                alpn: Vec::new(),
            })
        });
        let target = Target::new(hop, peer.fingerprint);
        session.state = State::Dialling { connection: Some(id), left };
        let mut connection = Connection::new(to, &self.settings);
        connection.sessions.insert(key);
        connection.target = Some(target.clone());
        self.connections.insert(id, connection);
        self.to_target.insert(target, id);
        let timeout = self.settings.connect_within;
        let order = Order::Connect { connection: id, to: Remote::Address(to), tls, timeout };
        self.outputs.push_back(Output::Order(order));
    }

    /// Tells whether a stranger's description may make us dial this address.
    fn may_dial(&self, address: IpAddr) -> bool {
        is_public(address) || self.settings.allowed.iter().any(|range| range.contains(address))
    }

    pub(super) fn handle_connected(&mut self, id: ConnectionId, tls: Option<&TlsFacts>, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let shown = tls.and_then(|tls| tls.peer.clone());
        let proof = connection.target.as_ref().map_or(Ok(()), |target| target.prove(shown.as_deref()));
        connection.certificate = shown;
        connection.open = true;
        let waiting: Vec<u64> = connection.sessions.iter().copied().collect();
        if let Err(reason) = proof {
            self.outputs.push_back(Output::Order(Order::Close { connection: id }));
            return self.drop_connection(id, &End::Certificate { reason }, now);
        }
        for key in waiting {
            self.begin(key, id, now);
        }
    }

    /// The session that dialled tries its next address; those that only shared the attempt share the next.
    pub(super) fn handle_connect_failed(&mut self, id: ConnectionId, reason: &str, now: Now) {
        let Some(connection) = self.remove_connection(id) else { return };
        let mut without = Vec::new();
        for key in connection.sessions {
            let Some(session) = self.sessions.get_mut(key) else { continue };
            let left = match &mut session.state {
                State::Dialling { connection, left } => {
                    *connection = None;
                    std::mem::take(left)
                }
                State::Prepared | State::Waiting | State::Bound(_) => continue,
            };
            if left.is_empty() {
                without.push(key);
            } else {
                self.try_addresses(key, left, now);
            }
        }
        let next = connection.target.and_then(|target| self.to_target.get(&target).copied());
        for key in without {
            match next {
                Some(next) => self.share(key, next, now),
                None => self.end_session(key, Some(End::Unreachable { reason: reason.to_owned() }), now),
            }
        }
    }

    /// Begins a session on a connection that we dialled: who dials speaks first, so that the peer knows which session this
    /// is (§5.4).
    fn begin(&mut self, key: u64, id: ConnectionId, now: Now) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.state = State::Bound(id);
            self.send_bodiless(key, now);
            self.bind(key, id, now);
        }
    }
}

impl Target {
    pub fn new(hop: &Uri, fingerprint: Option<[u8; 32]>) -> Self {
        Self {
            host: hop.host().to_string().to_ascii_lowercase(),
            port: port_of(hop),
            secure: hop.is_secure(),
            fingerprint,
        }
    }

    /// Checks the certificate of whom we dialled: the promised one, or else one for the host's name (§5.4, §14.4).
    fn prove(&self, shown: Option<&PeerCertificate>) -> Result<(), String> {
        match (self.secure, self.fingerprint, shown) {
            (false, _, _) => Ok(()),
            (true, Some(promised), Some(shown)) if shown.sha256 == promised => Ok(()),
            (true, Some(_), Some(_)) => Err("it is not the one that the description promises".to_owned()),
            (true, Some(_) | None, shown) => {
                prove(shown, Wanted::Host(&self.host)).map_err(|unproved| unproved.to_string())
            }
        }
    }
}

/// The port of MSRP, where a URI names none (§15).
fn port_of(uri: &Uri) -> u16 {
    uri.port().unwrap_or(2855)
}

/// So many addresses of a name are tried.
const ADDRESSES_MAX: usize = 4;
