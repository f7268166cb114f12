//! From what was read to the configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::model::{
    Configuration, Conversations, Gateway, GatewayLimits, GatewayLink, Headlines, IdentityFiles, Log,
    Negotiation, Partner, PartnerType, Presence, Proxy, ProxyLimits, ProxyLink, SipDomain, SipListen,
    SipProfile, SipTransport, TrustFiles,
};
use super::reader::Node;
use super::users;
use super::value::{At, Value};

/// Returns the configuration that `root` holds, less what is not right; relative paths start from
/// `directory`.
#[must_use]
pub fn build(root: &Node, directory: &Path) -> Option<Configuration> {
    let here = |at: At<PathBuf>| At { value: directory.join(at.value), span: at.span };
    let proxy = root.tables("proxy").first();
    let gateway = root.tables("gateway").first();
    let log = root.tables("log").first()?;
    let identities = root.tables("identity").iter().filter_map(|node| {
        let (certificate, key) = (here(node.path("certificate")?), here(node.path("key")?));
        Some((node.name.clone(), IdentityFiles { span: node.span.clone(), certificate, key }))
    });
    let trusts = root.tables("trust").iter().filter_map(|node| {
        let authorities = node.texts("authorities")?.into_iter();
        let authorities = authorities.map(|at| here(At { value: at.value.into(), span: at.span })).collect();
        let system = node.boolean("system")?.value;
        Some((node.name.clone(), TrustFiles { span: node.span.clone(), authorities, system }))
    });
    Some(Configuration {
        proxy: proxy.and_then(|node| build_proxy(node, &here)),
        gateway: gateway.and_then(|node| build_gateway(node, &here)),
        identities: identities.collect(),
        trusts: trusts.collect(),
        admin_socket: here(root.tables("admin").first()?.path("socket")?),
        log: Log { level: log.text("level")?.value, json: log.text("format")?.value == "json" },
    })
}

fn build_proxy(node: &Node, here: &impl Fn(At<PathBuf>) -> At<PathBuf>) -> Option<Proxy> {
    Some(Proxy {
        span: node.span.clone(),
        domains: node.texts("domains")?,
        listen: addresses(node, "listen")?,
        direct_tls_listen: addresses(node, "direct-tls-listen")?,
        identities: node.texts("identities")?,
        trust: node.text("trust")?,
        resolver: addresses(node, "resolver")?.into_iter().map(|at| at.value).collect(),
        dnssec_anchors: node.path("dnssec-anchors").map(here),
        open: node.boolean("open")?,
        denied_domains: node.texts("denied-domains")?,
        answer_version: node.boolean("answer-version")?.value,
        dialback_secret: node.text("dialback-secret"),
        dialback_secret_file: node.path("dialback-secret-file").map(here),
        resume_host: host(node, "resume-host"),
        connection_limit: node.number("connection-limit")?.value,
        partner_connection_limit: node.number("partner-connection-limit")?.value,
        keep_alive_interval: node.duration("keep-alive-interval")?.value,
        establishment_timeout: node.duration("establishment-timeout")?.value,
        inactivity_timeout: node.duration("inactivity-timeout")?.value,
        partners: node.tables("partner").iter().filter_map(build_partner).collect(),
        link: node.tables("link").first().and_then(build_proxy_link),
        limits: build_proxy_limits(node.tables("limits").first()?)?,
    })
}

fn build_partner(node: &Node) -> Option<Partner> {
    Some(Partner {
        span: node.span.clone(),
        domain: node.text("domain")?,
        additional_domains: node.texts("additional-domains")?,
        subdomains: node.boolean("subdomains")?.value,
        description: node.text("description").map(|at| at.value),
        kind: match node.text("type")?.value.as_str() {
            "federated" => PartnerType::Federated,
            "public-verified" => PartnerType::PublicVerified,
            _ => PartnerType::PublicUnverified,
        },
        tls: negotiation(node, "tls")?,
        sasl: negotiation(node, "sasl")?,
        dialback: node.boolean("dialback")?,
        allow_plaintext: node.boolean("allow-plaintext")?,
        direct_tls: node.boolean("direct-tls")?.value,
        dane: node.boolean("dane")?,
        posh: node.boolean("posh")?,
        keep_alive: node.boolean("keep-alive")?.value,
        connection_limit: node.number("connection-limit").map(|at| at.value),
        host: host(node, "host"),
        trust: node.text("trust"),
        pins: node
            .list("pins", |value| match value {
                Value::Fingerprint(octets) => Some(*octets),
                _ => None,
            })?
            .into_iter()
            .map(|at| at.value)
            .collect(),
        allow_private_addresses: node.boolean("allow-private-addresses")?.value,
        stanzas_per_second: node.number("stanzas-per-second").map(|at| at.value),
        bytes_per_second: node.number("bytes-per-second").map(|at| at.value),
    })
}

fn build_proxy_link(node: &Node) -> Option<ProxyLink> {
    Some(ProxyLink {
        span: node.span.clone(),
        listen: node.address("listen")?,
        identity: node.text("identity")?,
        trust: node.text("trust")?,
        gateways: node.texts("gateways")?,
    })
}

fn build_proxy_limits(node: &Node) -> Option<ProxyLimits> {
    let number = |key| node.number(key).map(|at| at.value);
    Some(ProxyLimits {
        connections_per_address: number("connections-per-address")?,
        unproved_per_address: number("unproved-per-address")?,
        proof_timeout: node.duration("proof-timeout")?.value,
        unproved_bytes: number("unproved-bytes")?,
        stanza_size: number("stanza-size")?,
        pending_dialbacks: number("pending-dialbacks")?,
        queued_stanzas: number("queued-stanzas")?,
        queued_bytes: number("queued-bytes")?,
        stanzas_at_work: number("stanzas-at-work")?,
        held_stanzas: number("held-stanzas")?,
        held_time: node.duration("held-time")?.value,
        report_time: node.duration("report-time")?.value,
        acknowledgement_time: node.duration("acknowledgement-time")?.value,
        suspended_time: node.duration("suspended-time")?.value,
        suspended_streams: number("suspended-streams")?,
        suspended_bytes: number("suspended-bytes")?,
        send_buffer: number("send-buffer")?,
    })
}

fn build_gateway(node: &Node, here: &impl Fn(At<PathBuf>) -> At<PathBuf>) -> Option<Gateway> {
    Some(Gateway {
        span: node.span.clone(),
        name: host(node, "name")?,
        store: here(node.path("store")?),
        resolver: addresses(node, "resolver")?.into_iter().map(|at| at.value).collect(),
        hold_time: node.duration("hold-time")?.value,
        lifetime: node.duration("lifetime")?.value,
        receipts: node.boolean("receipts")?.value,
        normal_messages: node.text("message-type")?.value == "normal",
        listen: node.tables("listen").iter().filter_map(build_sip_listen).collect(),
        domains: node.tables("domain").iter().filter_map(build_sip_domain).collect(),
        conversations: build_conversations(node.tables("conversations").first()?)?,
        presence: build_presence(node.tables("presence").first()?)?,
        users: users::build(node.tables("users").first()?, here)?,
        links: node.tables("link").iter().filter_map(build_gateway_link).collect(),
        limits: build_gateway_limits(node.tables("limits").first()?)?,
    })
}

fn build_sip_listen(node: &Node) -> Option<SipListen> {
    let transport = node.text("transport")?;
    Some(SipListen {
        span: node.span.clone(),
        transport: At { value: SipTransport::parse(&transport.value), span: transport.span },
        address: node.address("address")?,
        name: host(node, "name"),
        identity: node.text("identity"),
        trust: node.text("trust"),
        open_ssl: {
            let library = node.text("tls-library")?;
            At { value: library.value == "openssl", span: library.span }
        },
    })
}

fn build_sip_domain(node: &Node) -> Option<SipDomain> {
    let trusted_addresses = networks(node, "trusted-addresses")?;
    let profile = node.text("profile")?;
    Some(SipDomain {
        span: node.span.clone(),
        domain: node.text("domain")?,
        next_hop: node.text("next-hop"),
        next_hop_name: node.text("next-hop-name"),
        trusted_names: node.texts("trusted-names")?,
        trusted_addresses,
        profile: At { value: SipProfile::parse(&profile.value), span: profile.span },
        allow_plaintext: node.boolean("allow-plaintext")?.value,
        headlines: match node.text("headlines")?.value.as_str() {
            "drop" => Headlines::Drop,
            "refuse" => Headlines::Refuse,
            _ => Headlines::Deliver,
        },
        body_size: node.number("body-size")?.value,
        request_rate: node.number("request-rate").map(|at| at.value),
    })
}

fn networks(node: &Node, key: &str) -> Option<Vec<At<(IpAddr, u8)>>> {
    node.list(key, |value| match value {
        Value::Network(address, prefix) => Some((*address, *prefix)),
        _ => None,
    })
}

fn build_conversations(node: &Node) -> Option<Conversations> {
    let number = |key| node.number(key).map(|at| at.value);
    Some(Conversations {
        idle_time: node.duration("idle-time")?.value,
        answer_time: node.duration("answer-time")?.value,
        waiting_texts: number("waiting-texts")?,
        waiting_size: number("waiting-size")?,
        typing: node.boolean("typing")?.value,
        tell_of_conferences: node.boolean("tell-of-conferences")?.value,
        negotiate_status: node.text("negotiate-status")?.value.parse().ok()?,
        open: number("open")?,
        open_per_domain: number("open-per-domain")?,
        msrp_addresses: networks(node, "msrp-addresses")?,
    })
}

fn build_presence(node: &Node) -> Option<Presence> {
    let time = |key| node.duration(key).map(|at| at.value);
    Some(Presence {
        expires: time("expires")?,
        expires_min: time("expires-min")?,
        expires_max: time("expires-max")?,
        pace: time("pace")?,
        adopt_probes: node.boolean("adopt-probes")?.value,
        watched: node.number("watched")?.value,
        stale_time: time("stale-time")?,
        check_interval: time("check-interval")?,
        restart_spread: time("restart-spread")?,
        seen_as: node.texts("seen-as")?,
        shown_as: node.texts("shown-as")?,
    })
}

fn build_gateway_link(node: &Node) -> Option<GatewayLink> {
    Some(GatewayLink {
        span: node.span.clone(),
        proxy: host(node, "proxy")?,
        proxy_name: node.text("proxy-name"),
        identity: node.text("identity")?,
        trust: node.text("trust")?,
    })
}

fn build_gateway_limits(node: &Node) -> Option<GatewayLimits> {
    let number = |key| node.number(key).map(|at| at.value);
    Some(GatewayLimits {
        connections: number("connections")?,
        connections_per_address: number("connections-per-address")?,
        idle_time: node.duration("idle-time")?.value,
        header_size: number("header-size")?,
        header_lines: number("header-lines")?,
        body_size: number("body-size")?,
        unanswered_requests: number("unanswered-requests")?,
        outgoing_requests: number("outgoing-requests")?,
        queued_messages: number("queued-messages")?,
        queue_time: node.duration("queue-time")?.value,
        unsettled_messages: number("unsettled-messages")?,
        send_buffer: number("send-buffer")?,
    })
}

fn negotiation(node: &Node, key: &str) -> Option<At<Negotiation>> {
    let word = node.text(key)?;
    let value = match word.value.as_str() {
        "required" => Negotiation::Required,
        "optional" => Negotiation::Optional,
        _ => Negotiation::NotSupported,
    };
    Some(At { value, span: word.span })
}

fn host(node: &Node, key: &str) -> Option<At<(String, Option<u16>)>> {
    let at = node.text(key)?;
    super::value::split_host(&at.value).map(|value| At { value, span: at.span })
}

fn addresses(node: &Node, key: &str) -> Option<Vec<At<SocketAddr>>> {
    node.list(key, |value| match value {
        Value::Address(address) => Some(*address),
        _ => None,
    })
}
