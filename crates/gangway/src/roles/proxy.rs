//! The proxy: its settings from the configuration, and the role as its driver sees it.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use clock_types::{Moment, Now};
use net::tls::IdentityStatus;
use net::{Effect, ListenerKind, ListenerSpec, Role};
use net_types::{Event, Identity, ListenerId, Trust};
use proxy_role::{
    Link, Listener, ListenerKind as For, Negotiation, Notice, Output, Partner, PartnerKind, Proxy, Served,
    Settings, StreamSnapshot, Version,
};
use xmpp_proto::identity::names_speak_for;
use xmpp_types::jid::DomainName;
use xmpp_types::outline::Bodies;

use super::gateway::{identity, size, trust};
use super::tls::pins;
use crate::config::model::{self, PartnerType};
use crate::config::{At, Reading};

/// What the operator's side asks of a running proxy.
pub enum Command {
    /// What is open.
    Streams(SyncSender<Vec<StreamSnapshot>>),
    /// Put other settings in force.
    Reload(Box<Settings>),
    /// Somebody follows stanzas as they cross.
    Watch(Bodies),
}

/// The proxy in its driver.
pub struct Driven {
    role: Proxy,
    has_stopped: bool,
}

impl Driven {
    /// Returns the role, ready to be driven.
    pub fn new(role: Proxy) -> Self {
        Self { role, has_stopped: false }
    }
}

impl Role for Driven {
    type Command = Command;
    type Notice = Notice;
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, now: Now) {
        self.role.handle_event(event, now);
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        match command {
            // Whoever asked may have gone away.
            Command::Streams(asker) => drop(asker.try_send(self.role.streams(now))),
            Command::Watch(bodies) => self.role.handle_watch(bodies, now.moment + super::gateway::WATCH, now),
            Command::Reload(settings) => self.role.reload(*settings, now),
        }
    }

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, now: Now) {
        self.role.handle_stop(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.role.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.role.poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Effect<Notice, ()>> {
        match self.role.poll_output() {
            Some(Output::Order(order)) => Some(Effect::Order(order)),
            Some(Output::Notice(notice)) => Some(Effect::Notice(notice)),
            // The role says that it is done beside its outputs; the driver wants it said once.
            None if self.role.is_stopped() && !self.has_stopped => {
                self.has_stopped = true;
                Some(Effect::Stopped)
            }
            None => None,
        }
    }
}

/// What the role's settings need beside the configuration.
pub struct Around<'a> {
    /// Our certificates, as loaded.
    pub identities: &'a [IdentityStatus],
    /// What the file holds that `dialback-secret-file` names.
    pub secret: Option<String>,
    /// Whether a gateway of this process connects.
    pub in_process: bool,
    /// How long a stop may take.
    pub drain: Duration,
}

/// Returns what the role is told.
pub fn settings(proxy: &model::Proxy, around: &Around<'_>) -> Settings {
    let partners = proxy.partners.iter().filter_map(partner).collect();
    // Strangers prove themselves as they can; encrypted they always are.
    let stranger = |name| Partner { sasl: Negotiation::Optional, ..Partner::new(name) };
    let open = proxy.open.then(|| DomainName::parse("any.invalid").ok().map(stranger)).flatten();
    Settings {
        served: proxy.domains.iter().filter_map(|domain| served(proxy, domain, around.identities)).collect(),
        partners,
        denied: proxy.denied_domains.iter().filter_map(name).collect(),
        open,
        trust: trust(&proxy.trust),
        dialback_secret: proxy
            .dialback_secret
            .as_ref()
            .map(|at| at.value.clone())
            .or_else(|| around.secret.clone()),
        limits: limits(proxy, around.drain),
        link: link(proxy, around),
        listeners: listening(proxy)
            .map(|(address, kind, _)| Listener { address: address.value, kind })
            .collect(),
        resume_at: proxy.resume_host.as_ref().map(|at| host_and_port(&at.value)),
        version: proxy
            .answer_version
            .then(|| Version { name: "Gangway".into(), version: env!("CARGO_PKG_VERSION").into() }),
    }
}

/// Returns the sockets that the role wants open. A default that the machine cannot have, because it has
/// no IPv6, is left out.
pub fn listeners(reading: &Reading, proxy: &model::Proxy, settings: &Settings) -> Vec<ListenerSpec> {
    let mut specs = Vec::new();
    for (number, (address, kind, setting)) in (0..).zip(listening(proxy)) {
        let id = ListenerId(number);
        let is_default = address.span == proxy.span;
        if is_default && address.is_ipv6() && !has_ipv6() {
            continue;
        }
        let alpn = match kind {
            For::PartnersDirectTls => vec!["xmpp-server".to_owned()],
            For::Partners | For::Gateways => Vec::new(),
        };
        specs.push(ListenerSpec {
            id,
            address: address.value,
            kind: match settings.listener_tls(id) {
                Some(server) => ListenerKind::DirectTls { server, alpn },
                None => ListenerKind::Tcp,
            },
            // The role itself refuses beyond its limit, and says so to the peer.
            connections_max: size(proxy.connection_limit) + 1000,
            place: format!("{} {setting}", reading.place(&address.span)),
        });
    }
    specs
}

fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok()
}

/// Returns every listener in the order of the role's settings.
fn listening(proxy: &model::Proxy) -> impl Iterator<Item = (&At<std::net::SocketAddr>, For, &'static str)> {
    let plain = proxy.listen.iter().map(|address| (address, For::Partners, "[proxy] listen"));
    let direct = proxy.direct_tls_listen.iter();
    let direct = direct.map(|address| (address, For::PartnersDirectTls, "[proxy] direct-tls-listen"));
    let link = proxy.link.iter().map(|link| (&link.listen, For::Gateways, "[proxy.link] listen"));
    plain.chain(direct).chain(link)
}

/// Returns the name under which the gateway of this process is listened for: after all sockets.
pub fn in_process_id(proxy: &model::Proxy) -> ListenerId {
    ListenerId(u32::try_from(listening(proxy).count()).unwrap_or(u32::MAX))
}

fn served(proxy: &model::Proxy, domain: &At<String>, loaded: &[IdentityStatus]) -> Option<Served> {
    let domain = name(domain)?;
    let speaks = |wanted: &&At<String>| {
        let status = loaded.iter().find(|status| *status.name.0 == *wanted.value);
        status.is_some_and(|status| names_speak_for(&status.names, &domain))
    };
    let shown = proxy.identities.iter().find(speaks).or(proxy.identities.first());
    let identity = shown.map_or_else(|| Identity("none".into()), identity);
    Some(Served { domain, identity })
}

fn partner(partner: &model::Partner) -> Option<Partner> {
    let pinned = (!partner.pins.is_empty()).then(|| pins(partner));
    Some(Partner {
        additional: partner.additional_domains.iter().filter_map(name).collect(),
        description: partner.description.clone().unwrap_or_default(),
        kind: match partner.kind {
            PartnerType::Federated => PartnerKind::Federated,
            PartnerType::PublicVerified => PartnerKind::PublicVerified,
            PartnerType::PublicUnverified => PartnerKind::PublicUnverified,
        },
        tls: negotiation(*partner.tls),
        sasl: negotiation(*partner.sasl),
        dialback: *partner.dialback,
        keep_alive: partner.keep_alive,
        connections_max: partner.connection_limit.map(narrow),
        fixed_host: partner.host.as_ref().map(|host| host_and_port(&host.value)),
        allow_plaintext: *partner.allow_plaintext,
        direct_tls: partner.direct_tls,
        dane: *partner.dane,
        posh: *partner.posh,
        subdomains: partner.subdomains,
        trust: pinned.or_else(|| partner.trust.as_ref().map(trust)),
        allow_private_addresses: partner.allow_private_addresses,
        bytes_per_second: partner.bytes_per_second.map(narrow),
        stanzas_per_second: partner.stanzas_per_second.map(narrow),
        ..Partner::new(name(&partner.domain)?)
    })
}

fn host_and_port(host: &(String, Option<u16>)) -> String {
    match host {
        (host, Some(port)) if host.contains(':') => format!("[{host}]:{port}"),
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.clone(),
    }
}

/// Returns the role's word for it.
pub fn negotiation(wanted: model::Negotiation) -> Negotiation {
    match wanted {
        model::Negotiation::Required => Negotiation::Required,
        model::Negotiation::Optional => Negotiation::Optional,
        model::Negotiation::NotSupported => Negotiation::NotSupported,
    }
}

fn limits(proxy: &model::Proxy, drain: Duration) -> proxy_role::Limits {
    let limits = &proxy.limits;
    proxy_role::Limits {
        connections_max: narrow(proxy.connection_limit),
        partner_connections_max: narrow(proxy.partner_connection_limit),
        address_connections_max: narrow(limits.connections_per_address),
        address_unproved_max: narrow(limits.unproved_per_address),
        keep_alive: proxy.keep_alive_interval,
        establishment: proxy.establishment_timeout,
        handshake: limits.proof_timeout,
        inactivity: proxy.inactivity_timeout,
        report: limits.report_time,
        acknowledgement: limits.acknowledgement_time,
        suspended_for: limits.suspended_time,
        suspended_max: size(limits.suspended_streams),
        suspended_bytes_max: size(limits.suspended_bytes),
        drain,
        unproved_bytes_max: size(limits.unproved_bytes),
        stanza_bytes_max: size(limits.stanza_size),
        dialbacks_max: size(limits.pending_dialbacks),
        queue_stanzas_max: size(limits.queued_stanzas),
        queue_bytes_max: size(limits.queued_bytes),
        at_work_max: size(limits.stanzas_at_work),
        held_max: size(limits.held_stanzas),
        held_for: limits.held_time,
        ..proxy_role::Limits::default()
    }
}

fn link(proxy: &model::Proxy, around: &Around<'_>) -> Link {
    let nobody = Link {
        name: "proxy".into(),
        identity: Identity("none".into()),
        trust: Trust("none".into()),
        gateways: Vec::new(),
        in_process: around.in_process,
    };
    let Some(link) = &proxy.link else { return nobody };
    let shown = around.identities.iter().find(|status| *status.name.0 == *link.identity.value);
    let ascii = |at: &At<String>| name(at).map(|name| name.to_ascii().to_owned());
    Link {
        name: shown.and_then(|status| status.names.dns.first().cloned()).unwrap_or(nobody.name),
        identity: identity(&link.identity),
        trust: trust(&link.trust),
        gateways: link.gateways.iter().filter_map(ascii).collect(),
        in_process: around.in_process,
    }
}

fn name(at: &At<String>) -> Option<DomainName> {
    DomainName::parse(&at.value).ok()
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
