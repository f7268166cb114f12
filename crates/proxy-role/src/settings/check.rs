use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use xmpp_proto::discovery::parse_host;

use super::negotiation::{Negotiation, methods};
use super::{ListenerKind, Partner, Settings};

/// One thing that is wrong, or dangerous, with where it is and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Which part of the settings.
    pub place: Place,
    /// Whether the proxy may start in spite of it.
    pub severity: Severity,
    /// What is wrong, in words.
    pub what: String,
    /// What to write instead.
    pub fix: String,
}

/// A part of the settings; the number is the place in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A served domain.
    Served(usize),
    /// A partner, and which of its settings.
    Partner(usize, &'static str),
    /// An entry of the deny list.
    Denied(usize),
    /// The template of the open mode.
    Open,
    /// A listener.
    Listener(usize),
    /// A setting of the link.
    Link(&'static str),
    /// A limit.
    Limit(&'static str),
    /// The settings as a whole.
    Whole,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It will work, but perhaps not as wished.
    Warning,
    /// Nothing starts with it.
    Error,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}; {}", self.what, self.fix)
    }
}

pub(super) fn check(settings: &Settings) -> Vec<Mistake> {
    let mut mistakes = Mistakes(Vec::new());
    check_served(settings, &mut mistakes);
    check_partners(settings, &mut mistakes);
    check_open(settings, &mut mistakes);
    check_listeners(settings, &mut mistakes);
    check_limits(settings, &mut mistakes);
    mistakes.0
}

struct Mistakes(Vec<Mistake>);

impl Mistakes {
    fn error(&mut self, place: Place, what: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Mistake { place, severity: Severity::Error, what: what.into(), fix: fix.into() });
    }

    fn warning(&mut self, place: Place, what: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Mistake { place, severity: Severity::Warning, what: what.into(), fix: fix.into() });
    }
}

fn check_served(settings: &Settings, mistakes: &mut Mistakes) {
    if settings.served.is_empty() {
        mistakes.error(Place::Whole, "no domain is served", "name at least one domain and its certificate");
    }
    let mut seen = BTreeMap::new();
    for (place, served) in settings.served.iter().enumerate() {
        let domain = served.domain.as_str();
        if seen.insert(&served.domain, place).is_some() {
            mistakes.error(
                Place::Served(place),
                format!("{domain} is served twice"),
                "remove one of the two",
            );
        }
        if settings.denied.contains(&served.domain) {
            mistakes.error(
                Place::Served(place),
                format!("{domain} is served and denied"),
                "remove it from the deny list",
            );
        }
    }
}

fn check_partners(settings: &Settings, mistakes: &mut Mistakes) {
    if settings.partners.is_empty() && settings.open.is_none() {
        mistakes.warning(Place::Whole, "there is no partner, so nobody can talk to us", "add a partner");
    }
    let mut seen = BTreeMap::new();
    for (place, partner) in settings.partners.iter().enumerate() {
        for (which, domain) in partner.domains().enumerate() {
            let setting = if which == 0 { "domain" } else { "additional-domains" };
            let at = Place::Partner(place, setting);
            let name = domain.as_str();
            if let Some(earlier) = seen.insert(domain.clone(), place) {
                let whom = &settings.partners[earlier].domain;
                let what = format!("the partner {name} is listed twice, first under {}", whom.as_str());
                mistakes.error(at, what, "remove one of the two entries");
            }
            if settings.identity_of(domain).is_some() {
                mistakes.error(
                    at,
                    format!("{name} is served by us, so it cannot be a partner"),
                    "remove it from the partners, or from the served domains",
                );
            }
            if settings.denied.iter().any(|denied| denied == domain || domain.is_below(denied)) {
                mistakes.error(
                    at,
                    format!("{name} is a partner and denied"),
                    "remove it from one of the lists",
                );
            }
        }
        check_methods(Some(place), partner, mistakes);
        check_fixed_host(settings, place, partner, mistakes);
    }
}

fn check_methods(place: Option<usize>, partner: &Partner, mistakes: &mut Mistakes) {
    use Negotiation::{NotSupported, Optional, Required};
    let at = |setting| place.map_or(Place::Open, |place| Place::Partner(place, setting));
    let name = partner.domain.as_str();
    let left = methods(partner.tls, partner.sasl, partner.dialback);
    if left.is_none() {
        let (what, fix) = match (partner.tls, partner.sasl) {
            (NotSupported, Required | Optional) => (
                "SASL needs TLS, which is not supported here, and dialback is off",
                "write tls = \"required\", or dialback = true",
            ),
            (Required | Optional | NotSupported, NotSupported)
            | (Required | Optional, Required | Optional) => (
                "neither SASL nor dialback is allowed, so it can never prove who it is",
                "write sasl = \"required\", or dialback = true",
            ),
        };
        return mistakes.error(at("sasl"), format!("{name}: {what}"), fix);
    }
    if left.dialback_in_clear && !partner.allow_plaintext {
        mistakes.error(
            at("tls"),
            format!("{name}: with tls = \"{}\" stanzas may cross in clear", partner.tls.as_str()),
            "write tls = \"required\", or confirm it with allow-plaintext = true",
        );
    } else if left.dialback_in_clear {
        mistakes.warning(
            at("allow-plaintext"),
            format!("{name}: stanzas may cross in clear, readable and changeable by anybody on the way"),
            "write tls = \"required\" as soon as the partner has TLS",
        );
    }
    if partner.tls == Required && partner.sasl == Required && partner.dialback {
        mistakes.warning(
            at("dialback"),
            format!("{name}: dialback will not be used, since TLS and SASL are both required"),
            "write sasl = \"optional\" to allow dialback over TLS, or dialback = false",
        );
    }
    if partner.tls != Required && partner.sasl != NotSupported {
        mistakes.warning(
            at("sasl"),
            format!("{name}: SASL requires TLS; TLS that is not required may end in failed negotiations"),
            "write tls = \"required\"",
        );
    }
    if partner.allow_plaintext && partner.tls == Required {
        mistakes.warning(
            at("allow-plaintext"),
            format!("{name}: allow-plaintext has no effect while TLS is required"),
            "remove it",
        );
    }
}

fn check_fixed_host(settings: &Settings, place: usize, partner: &Partner, mistakes: &mut Mistakes) {
    let at = Place::Partner(place, "fixed-host");
    let name = partner.domain.as_str();
    let Some(fixed) = &partner.fixed_host else {
        if partner.connections_max == Some(0) {
            mistakes.error(
                Place::Partner(place, "connection-limit"),
                format!("{name}: a limit of 0 connections lets nothing through"),
                "write 1 or more, or deny the domain",
            );
        }
        return;
    };
    let Some((host, port)) = parse_host(fixed) else {
        return mistakes.error(
            at,
            format!("{name}: {fixed:?} is neither a host nor an address"),
            "write host, host:port or an address",
        );
    };
    let port = port.unwrap_or(xmpp_proto::discovery::PORT);
    let address: Option<IpAddr> = host.parse().ok();
    let is_ours = settings.listeners.iter().any(|listener| {
        let same_address = address.is_some_and(|address| {
            address == listener.address.ip()
                || (listener.address.ip().is_unspecified() && address.is_loopback())
        });
        listener.kind != ListenerKind::Gateways && listener.address.port() == port && same_address
    });
    let is_served = settings.served.iter().any(|served| served.domain.to_ascii() == host);
    if is_ours || is_served {
        mistakes.error(
            at,
            format!("{name}: the fixed host {fixed} is ourselves, so messages would go round for ever"),
            "write the partner's own server",
        );
    }
}

fn check_open(settings: &Settings, mistakes: &mut Mistakes) {
    if let Some(template) = &settings.open {
        check_methods(None, template, mistakes);
        mistakes.warning(
            Place::Open,
            "the proxy talks to any domain that proves itself",
            "list the partners and remove the open mode, unless that is what you want",
        );
    }
}

fn check_listeners(settings: &Settings, mistakes: &mut Mistakes) {
    let has = |kind| settings.listeners.iter().any(|listener| listener.kind == kind);
    if !has(ListenerKind::Partners) && !has(ListenerKind::PartnersDirectTls) {
        mistakes.warning(
            Place::Whole,
            "no listener is for partners, so nobody can reach us",
            "add a listener for partners, usually on port 5269",
        );
    }
    if !has(ListenerKind::Gateways) && !settings.link.in_process {
        mistakes.error(
            Place::Link("listen"),
            "no gateway can reach this proxy",
            "add a listener for gateways, usually on port 23456",
        );
    }
    if has(ListenerKind::Gateways) && settings.link.gateways.is_empty() {
        mistakes.error(
            Place::Link("gateways"),
            "no certificate name may connect as a gateway",
            "name the gateways' certificates",
        );
    }
    for (place, listener) in settings.listeners.iter().enumerate() {
        let twice = settings.listeners[..place]
            .iter()
            .any(|earlier| earlier.address == listener.address && listener.address.port() != 0);
        if twice {
            let what = format!("two listeners are on {}", listener.address);
            mistakes.error(Place::Listener(place), what, "give one of them another port");
        }
    }
}

fn check_limits(settings: &Settings, mistakes: &mut Mistakes) {
    let limits = &settings.limits;
    if limits.stanza_bytes_max < STANZA_BYTES_LEAST {
        mistakes.error(
            Place::Limit("stanza-bytes"),
            format!("a limit of {} octets refuses ordinary stanzas", limits.stanza_bytes_max),
            "write 10000 or more (RFC 6120 §13.12)",
        );
    }
    let counts = [
        ("connections", u64::from(limits.connections_max)),
        ("partner-connections", u64::from(limits.partner_connections_max)),
        ("address-connections", u64::from(limits.address_connections_max)),
        ("queue-stanzas", limits.queue_stanzas_max as u64),
        ("queue-bytes", limits.queue_bytes_max as u64),
        ("at-work", limits.at_work_max as u64),
    ];
    for (setting, value) in counts {
        if value == 0 {
            mistakes.error(
                Place::Limit(setting),
                format!("{setting} = 0 lets nothing through"),
                "write 1 or more",
            );
        }
    }
    if limits.retry_min.is_zero() || limits.retry_min > limits.retry_max {
        mistakes.error(
            Place::Limit("retry"),
            "the first pause before a new attempt must be above zero and not above the longest",
            "write for example 1 s and 5 min",
        );
    }
}

/// RFC 6120 §13.12 forbids a smaller limit.
const STANZA_BYTES_LEAST: usize = 10_000;
