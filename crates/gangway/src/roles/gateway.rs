//! The gateway: its settings from the configuration, and the role as its driver sees it.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use clock_types::{Moment, Now};
use gateway_role::policy::Policy;
use gateway_role::{
    AddressRange, ConversationSettings, ConversationState, Dialect, Fallback, Gateway, Notice, Output, Peers,
    ProxyLink, Record, Settings, SipDomain, Snapshot, Ticket, WatchSettings, WatchState,
};
use net::{Effect, ListenerKind, ListenerSpec, Role};
use net_types::{Event, Identity, ListenerId, Remote, TlsClient, TlsServer, Trust};
use sip_proto::endpoint::{self, FixedHop, Listener, NextHop, Pace, Route, Transport};
use sip_proto::msrp;
use sip_types::{Host, SipUri};
use translate::address::Profile;
use translate::message::{Headline, MessageKind, ToSipOptions};
use translate::presence::StateTable;
use xmpp_types::jid::DomainName;
use xmpp_types::outline::Bodies;

use super::keeper::Stored;
use crate::config::check::SYSTEM;
use crate::config::model::{self, Headlines, SipListen, SipProfile, SipTransport};
use crate::config::{At, Reading, states, users};

/// What the operator's side asks of a running gateway.
pub enum Command {
    /// How it is.
    Snapshot(SyncSender<Snapshot>),
    /// Who may federate.
    Policy(SyncSender<Arc<Policy>>),
    /// Which conversations are held in sessions, and what was learned of users.
    Conversations(SyncSender<Held>),
    /// The watches in which a user takes part, or all.
    Presence(Option<String>, SyncSender<Watched>),
    /// Somebody follows messages as they cross.
    Watch(Bodies),
    /// Other settings to put into effect.
    Reload(Box<Settings>),
}

/// The conversations of a moment.
pub struct Held {
    pub conversations: Vec<(ConversationState, usize)>,
    pub learned: Vec<(String, Fallback)>,
    pub now: Moment,
}

/// The watches of a moment.
pub struct Watched {
    pub watches: Vec<WatchState>,
    pub now: Now,
}

/// The gateway in its driver.
pub struct Driven(pub Gateway);

impl Role for Driven {
    type Command = Command;
    type Notice = Notice;
    type Record = (Ticket, Record);
    type Stored = Stored;

    fn handle_event(&mut self, event: Event, now: Now) {
        self.0.handle_event(event, now);
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        match command {
            // Whoever asked may have gone away.
            Command::Snapshot(asker) => drop(asker.try_send(self.0.snapshot())),
            Command::Policy(asker) => drop(asker.try_send(self.0.policy())),
            Command::Conversations(asker) => drop(asker.try_send(Held {
                conversations: self.0.conversations(),
                learned: self.0.learned(),
                now: now.moment,
            })),
            Command::Presence(user, asker) => {
                drop(asker.try_send(Watched { watches: self.0.watches(user.as_deref(), now), now }))
            }
            Command::Watch(bodies) => self.0.handle_watch(bodies, now.moment + WATCH, now),
            Command::Reload(settings) => self.0.handle_settings(*settings, now),
        }
    }

    fn handle_stored(&mut self, (ticket, stored): Stored, now: Now) {
        self.0.handle_stored(ticket, stored, now);
    }

    fn handle_stop(&mut self, now: Now) {
        self.0.handle_stop(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.0.poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Effect<Notice, (Ticket, Record)>> {
        Some(match self.0.poll_output()? {
            Output::Order(order) => Effect::Order(order),
            Output::Record { ticket, record } => Effect::Record((ticket, record)),
            Output::Notice(notice) => Effect::Notice(notice),
            Output::Stopped => Effect::Stopped,
        })
    }
}

/// Returns what the role is told, less its proxies.
///
/// # Errors
/// A list of users is wrong; says which line.
pub fn settings(gateway: &model::Gateway, stop_within: Duration) -> Result<Settings, String> {
    let listeners =
        (0..).zip(&gateway.listen).filter_map(|(number, listen)| listener(gateway, number, listen)).collect();
    let tls = gateway.listen.iter().find(|listen| *listen.transport == SipTransport::Tls);
    let identity = tls.and_then(|listen| listen.identity.as_ref()).map(identity);
    let judged_by = tls.and_then(|listen| listen.trust.as_ref());
    let trust = judged_by.map_or_else(|| Trust(Arc::from(SYSTEM)), trust);
    let limits = &gateway.limits;
    let mut sip = endpoint::Settings::new(listeners, identity, trust);
    sip.message.header_bytes = size(limits.header_size);
    sip.message.header_lines = size(limits.header_lines);
    sip.message.body_bytes = size(limits.body_size);
    sip.limits.connections = size(limits.connections);
    sip.limits.connections_per_address = size(limits.connections_per_address);
    sip.limits.unanswered = size(limits.unanswered_requests);
    sip.limits.outgoing = size(limits.outgoing_requests);
    sip.idle_after = limits.idle_time;
    sip.locate_by = [Transport::Tls, Transport::Tcp, Transport::Udp]
        .into_iter()
        .filter(|transport| gateway.listen.iter().any(|listen| transport_of(listen) == Some(*transport)))
        .collect();

    let mut settings = Settings::new(sip);
    settings.msrp = msrp_settings(gateway);
    settings.policy = Arc::new(users::policy(&gateway.users)?);
    settings.domains = gateway.domains.iter().filter_map(domain).collect();
    settings.conversations = conversations(&gateway.conversations);
    settings.watches = watches(&gateway.presence)?;
    settings.delivery.hold = gateway.hold_time;
    settings.delivery.lifetime = gateway.lifetime;
    settings.delivery.queue_time = limits.queue_time;
    settings.delivery.unsettled_max = size(limits.unsettled_messages);
    settings.delivery.queue_max = size(limits.queued_messages);
    settings.page_mode_receipts = gateway.receipts;
    settings.to_xmpp.kind = if gateway.normal_messages { MessageKind::Normal } else { MessageKind::Chat };
    settings.stop_within = stop_within;
    Ok(settings)
}

/// Returns the proxies to attach to.
///
/// # Errors
/// A proxy's name cannot be looked up; says which setting has it.
pub fn proxies(reading: &Reading, gateway: &model::Gateway) -> Result<Vec<ProxyLink>, String> {
    if gateway.links.is_empty() {
        return Ok(vec![ProxyLink {
            name: "proxy".into(),
            remote: Remote::InProcess,
            host: None,
            tls: None,
        }]);
    }
    gateway.links.iter().map(|link| proxy(reading, link)).collect()
}

/// Returns the sockets that the role wants open, in the order of its listeners.
pub fn listeners(reading: &Reading, gateway: &model::Gateway) -> Vec<ListenerSpec> {
    let spec = |(number, listen): (u32, &SipListen)| ListenerSpec {
        id: ListenerId(number),
        address: listen.address.value,
        kind: match (*listen.transport, &listen.identity, &listen.trust) {
            (SipTransport::Udp, ..) => ListenerKind::Udp { buffer: DATAGRAM_BUFFER },
            (SipTransport::Tls | SipTransport::Msrps, Some(shown), Some(judged_by)) => {
                ListenerKind::DirectTls {
                    server: TlsServer { identity: identity(shown), trust: trust(judged_by) },
                    alpn: Vec::new(),
                }
            }
            (SipTransport::Tcp | SipTransport::Tls | SipTransport::Msrp | SipTransport::Msrps, ..) => {
                ListenerKind::Tcp
            }
        },
        connections_max: size(gateway.limits.connections),
        place: format!("{} [[gateway.listen]] address", reading.place(&listen.address.span)),
    };
    (0..).zip(&gateway.listen).map(spec).collect()
}

fn listener(gateway: &model::Gateway, number: u32, listen: &SipListen) -> Option<Listener> {
    let (host, port) = named(gateway, listen);
    Some(Listener { id: ListenerId(number), transport: transport_of(listen)?, host, port })
}

/// Returns what the MSRP side is told, if there is one.
fn msrp_settings(gateway: &model::Gateway) -> Option<msrp::Settings> {
    let listens = || (0..).zip(&gateway.listen).filter(|(_, listen)| !listen.transport.is_sip());
    let listeners: Vec<_> = listens()
        .map(|(number, listen)| {
            let (host, port) = named(gateway, listen);
            msrp::Listener { id: ListenerId(number), secure: listen.transport.is_secure(), host, port }
        })
        .collect();
    if listeners.is_empty() {
        return None;
    }
    let secure = gateway.listen.iter().find(|listen| *listen.transport == SipTransport::Msrps);
    let shown = secure.and_then(|listen| listen.identity.as_ref()).map(identity);
    let judged_by = secure.and_then(|listen| listen.trust.as_ref());
    let mut settings =
        msrp::Settings::new(listeners, shown, judged_by.map_or_else(|| Trust(Arc::from(SYSTEM)), trust));
    settings.limits.connections = size(gateway.limits.connections);
    settings.limits.sessions = size(gateway.conversations.open);
    settings.limits.message_bytes = size(gateway.limits.body_size);
    settings.allowed = gateway.conversations.msrp_addresses.iter().map(range).collect();
    Some(settings)
}

/// Returns the name and the port that peers reach a listener by.
fn named(gateway: &model::Gateway, listen: &SipListen) -> (Host, u16) {
    let (name, port) = listen
        .name
        .as_ref()
        .map_or((gateway.name.value.0.as_str(), None), |name| (name.value.0.as_str(), name.value.1));
    (host(name), port.unwrap_or(listen.address.port()))
}

fn range(at: &At<(std::net::IpAddr, u8)>) -> AddressRange {
    AddressRange { network: at.value.0, prefix: at.value.1 }
}

fn transport_of(listen: &SipListen) -> Option<Transport> {
    match *listen.transport {
        SipTransport::Udp => Some(Transport::Udp),
        SipTransport::Tcp => Some(Transport::Tcp),
        SipTransport::Tls => Some(Transport::Tls),
        SipTransport::Msrp | SipTransport::Msrps => None,
    }
}

fn domain(domain: &model::SipDomain) -> Option<SipDomain> {
    let route = route(domain)?;
    let datagram = match &route {
        Route::Fixed(hop) => hop.transport == Transport::Udp,
        // Where the DNS says, it may say UDP.
        Route::Locate(hop) => hop.transport.is_none_or(|transport| transport == Transport::Udp),
    };
    let (dialect, profile) = match *domain.profile {
        SipProfile::Standard => (Dialect::PageMode, Profile::Standard),
        SipProfile::BareAddress => (Dialect::PageMode, Profile::BareAddress),
        SipProfile::Microsoft => (Dialect::Microsoft, Profile::BareAddress),
        SipProfile::Cisco => (Dialect::Cisco, Profile::BareAddress),
        SipProfile::Msrp => (Dialect::Msrp, Profile::Standard),
    };
    let ascii = |at: &At<String>| DomainName::parse(&at.value).ok().map(|name| name.to_ascii().to_owned());
    Some(SipDomain {
        name: DomainName::parse(&domain.domain.value).ok()?,
        route,
        peers: Peers {
            names: domain.trusted_names.iter().filter_map(ascii).collect(),
            addresses: domain.trusted_addresses.iter().map(range).collect(),
        },
        dialect,
        to_sip: ToSipOptions {
            profile,
            headline: match domain.headlines {
                Headlines::Deliver => Headline::Deliver,
                Headlines::Drop => Headline::Drop,
                Headlines::Refuse => Headline::Refuse,
            },
            body_max: size(domain.body_size),
            datagram,
            ..ToSipOptions::default()
        },
    })
}

fn watches(presence: &model::Presence) -> Result<WatchSettings, String> {
    let mut states = StateTable::default();
    for row in &presence.seen_as {
        states::see(&row.value, &mut states)?;
    }
    for row in &presence.shown_as {
        states::present(&row.value, &mut states)?;
    }
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    Ok(WatchSettings {
        states,
        expires: seconds(presence.expires),
        expires_min: seconds(presence.expires_min),
        expires_max: seconds(presence.expires_max),
        pace: presence.pace,
        adopt_probes: presence.adopt_probes,
        watched_max: size(presence.watched),
        stale_after: presence.stale_time,
        check_every: (!presence.check_interval.is_zero()).then_some(presence.check_interval),
        spread: presence.restart_spread,
    })
}

fn conversations(conversations: &model::Conversations) -> ConversationSettings {
    ConversationSettings {
        idle_after: conversations.idle_time,
        answer_within: conversations.answer_time,
        waiting_max: size(conversations.waiting_texts),
        waiting_octets_max: size(conversations.waiting_size),
        typing: conversations.typing,
        tell_of_conferences: conversations.tell_of_conferences,
        negotiate_status: conversations.negotiate_status,
        open_max: size(conversations.open),
        open_per_domain_max: size(conversations.open_per_domain),
    }
}

fn route(domain: &model::SipDomain) -> Option<Route> {
    let pace = pace(domain);
    let Some(next_hop) = &domain.next_hop else {
        let name = DomainName::parse(&domain.domain.value).ok()?;
        let Route::Locate(hop) = Route::to_domain(name.to_ascii())? else { return None };
        // Where the DNS says, but not over what its answer may offer besides.
        let tls_only = domain.profile.wants_tls() && !domain.allow_plaintext;
        let transport = tls_only.then_some(Transport::Tls);
        return Some(Route::Locate(Arc::new(NextHop { transport, pace, ..(*hop).clone() })));
    };
    let uri = SipUri::parse(next_hop.value.clone()).ok()?;
    let hop = NextHop::from_uri(&uri)?;
    Some(match hop.transport {
        Some(transport) => Route::fixed(FixedHop {
            pace,
            tls_name: domain.next_hop_name.as_ref().map(|name| name.value.clone()),
            ..FixedHop::new(transport, hop.host, hop.port)
        }),
        None => Route::Locate(Arc::new(NextHop { pace, ..hop })),
    })
}

/// Microsoft's servers take 15 requests a second from a server of another company, and Cisco's speak as they do.
fn pace(domain: &model::SipDomain) -> Option<Pace> {
    let rate = match (domain.request_rate, *domain.profile) {
        (Some(rate), _) => u32::try_from(rate).unwrap_or(u32::MAX),
        (None, SipProfile::Microsoft | SipProfile::Cisco) => 15,
        (None, SipProfile::Standard | SipProfile::BareAddress | SipProfile::Msrp) => return None,
    };
    let peer = domain.next_hop.as_ref().unwrap_or(&domain.domain);
    Some(Pace { peer: peer.value.as_str().into(), per_second: NonZeroU32::new(rate)? })
}

fn proxy(reading: &Reading, link: &model::GatewayLink) -> Result<ProxyLink, String> {
    let (host, port) = &link.proxy.value;
    let name = link.proxy_name.as_ref().map_or(host, |name| &name.value);
    let port = port.unwrap_or(LINK_PORT);
    let is_name = host.parse::<std::net::IpAddr>().is_err();
    Ok(ProxyLink {
        name: name.clone(),
        remote: Remote::Address(look_up(reading, link, host, port)?),
        host: is_name.then(|| (host.clone(), port)),
        tls: Some(TlsClient {
            name: name.clone(),
            identity: Some(identity(&link.identity)),
            trust: trust(&link.trust),
            alpn: Vec::new(),
        }),
    })
}

fn look_up(
    reading: &Reading,
    link: &model::GatewayLink,
    host: &str,
    port: u16,
) -> Result<SocketAddr, String> {
    let place = format!("{} [[gateway.link]] proxy", reading.place(&link.proxy.span));
    match (host, port).to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(format!("{place}: {host} has no address; write one")),
        Err(why) => Err(format!("{place}: {host} cannot be looked up: {why}; write its address instead")),
    }
}

/// Returns a host as SIP writes it; an IPv6 address stands in brackets.
fn host(name: &str) -> Host {
    match name.parse::<std::net::IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => Host::parse(name.to_owned()).expect("the configuration has read this host"),
    }
}

pub(super) fn identity(name: &At<String>) -> Identity {
    Identity(Arc::from(name.as_str()))
}

pub(super) fn trust(name: &At<String>) -> Trust {
    Trust(Arc::from(name.as_str()))
}

pub(super) fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// How long messages are shown after somebody asked for them last.
pub const WATCH: Duration = Duration::from_secs(5);
const LINK_PORT: u16 = 23456;
/// Room for a burst of datagrams while the role is at work.
const DATAGRAM_BUFFER: usize = 4 << 20;
