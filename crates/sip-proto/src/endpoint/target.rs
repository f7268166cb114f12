use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use net_types::{Identity, TlsClient, Trust};

use super::route::{FixedHop, NextHop};
use super::settings::{Settings, Transport};
use crate::identity::Wanted;
use crate::locate::Place;

/// One place to try, and whom to expect there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub place: Place,
    /// `None` without TLS.
    pub tls: Option<Arc<Peer>>,
}

/// Whom TLS must prove.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    name: Arc<str>,
    /// Whether the name is a configured host and not a domain.
    is_host: bool,
    identity: Option<Identity>,
    trust: Trust,
}

impl Peer {
    /// Returns the peer at a configured next hop.
    pub fn of_fixed(hop: &FixedHop, settings: &Settings) -> Self {
        let name = hop.tls_name.clone().unwrap_or_else(|| bare(&hop.host.to_string()));
        Self {
            name: name.into(),
            is_host: true,
            identity: hop.identity.clone().or_else(|| settings.identity.clone()),
            trust: hop.trust.clone().unwrap_or_else(|| settings.trust.clone()),
        }
    }

    /// Returns the peer that speaks for a located domain.
    pub fn of_located(hop: &NextHop, settings: &Settings) -> Self {
        Self {
            name: bare(&hop.host.to_string()).into(),
            is_host: false,
            identity: settings.identity.clone(),
            trust: settings.trust.clone(),
        }
    }

    /// Returns the peer that waits for a response of ours at the host of its Via.
    pub fn of_via(host: &str, settings: &Settings) -> Self {
        Self {
            name: bare(host).into(),
            is_host: true,
            identity: settings.identity.clone(),
            trust: settings.trust.clone(),
        }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    pub fn wanted(&self) -> Wanted<'_> {
        if self.is_host { Wanted::Host(&self.name) } else { Wanted::Domain(&self.name) }
    }

    pub fn client(&self) -> Box<TlsClient> {
        Box::new(TlsClient {
            name: self.name.to_string(),
            identity: self.identity.clone(),
            trust: self.trust.clone(),
            alpn: Vec::new(),
        })
    }
}

impl Target {
    pub fn plain(transport: Transport, address: SocketAddr) -> Self {
        Self { place: Place { transport, address }, tls: None }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tls {
            None => self.place.fmt(out),
            Some(peer) => write!(out, "{} ({})", self.place, peer.name),
        }
    }
}

/// Returns an address literal without the brackets that SNI does not want.
fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}
