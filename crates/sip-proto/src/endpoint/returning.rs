//! Answers whose request's connection is gone (RFC 3261 §18.2.2, RFC 3263 §5), and connections of peers that
//! may carry requests of ours (RFC 5923).

use std::net::SocketAddr;
use std::sync::Arc;

use clock_types::Now;
use net_types::{Bytes, ConnectionId};
use sip_types::Request;
use sip_types::header::Via;

use super::Endpoint;
use super::output::Source;
use super::route::NextHop;
use super::sending::{Owner, Sending};
use super::settings::Transport;
use super::target::{Peer, Target};
use crate::identity::{self, Wanted};
use crate::locate::Place;

/// How many answers may be on a new way at once.
const RETURNING_MAX: usize = 10_000;

impl Endpoint {
    /// Sends an answer on a new connection to where its request came from, at the port that the Via names; if
    /// there is none, to where the DNS says that the Via's host is. `false` if too many are on such ways.
    pub(super) fn send_after(
        &mut self,
        bytes: Bytes,
        request: &Request,
        to: SocketAddr,
        transport: Transport,
        now: Now,
    ) -> bool {
        let Some(via) = request.via() else { return false };
        if self.sendings.returning >= RETURNING_MAX {
            return false;
        }
        let peer = match transport {
            Transport::Tls => Some(Arc::new(Peer::of_via(&via.host.to_string(), &self.settings))),
            Transport::Udp | Transport::Tcp => None,
        };
        let hop = NextHop {
            host: via.host.clone(),
            port: via.port,
            transport: Some(transport),
            secure: false,
            pace: None,
        };
        let mut sending = Sending::new(Owner::Peer, request.clone(), now.moment + self.settings.try_within);
        sending.settled = true;
        sending.printed = Some(bytes);
        sending.peer = peer.clone();
        sending.fallback = (via.host.address() != Some(to.ip())).then(|| Box::new(hop));
        sending.targets.push_back(Target { place: Place { transport, address: to }, tls: peer });
        self.sendings.returning += 1;
        let number = self.sendings.requests.insert(sending);
        self.search_on(number, now);
        true
    }

    /// Remembers that a peer offers its connection for our requests to the address that its Via names, if its
    /// certificate proves that this is its own (RFC 5923 §8.2).
    pub(super) fn note_alias(&mut self, via: &Via, source: &Source) {
        let (Transport::Tls, Some(connection), Some(_)) =
            (source.transport, source.connection, source.listener)
        else {
            return;
        };
        if !via.params.has("alias") || self.connections.has_alias(connection) {
            return;
        }
        let host = via.host.to_string();
        if identity::prove(source.peer.as_deref(), Wanted::Host(&host)).is_ok() {
            let port = via.port.unwrap_or_else(|| Transport::Tls.default_port());
            self.connections.note_alias(SocketAddr::new(source.remote.ip(), port), connection);
        }
    }

    /// Returns the connection that its peer has offered for requests to `target`, if it is whom we want there.
    /// Only where the certificates of both directions are judged alike.
    pub(super) fn alias_of(&self, target: &Target) -> Option<ConnectionId> {
        let wanted = target.tls.as_ref().filter(|peer| peer.trust() == &self.settings.trust)?;
        let connection = self.connections.alias(target.place.address)?;
        let peer = self.connections.get(connection)?.source.peer.as_deref();
        identity::prove(peer, wanted.wanted()).is_ok().then_some(connection)
    }
}
