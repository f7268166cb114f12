//! Which changes of the configuration file a running process cannot take over.

use std::fmt::Debug;

use crate::config::model::{Configuration, Gateway, Proxy, ProxyLink, SipListen};

/// Which roles run.
#[derive(Clone, Copy, Debug)]
pub struct Roles {
    pub proxy: bool,
    pub gateway: bool,
}

/// Returns the settings of running roles that differ and need a restart, as they stand in the file.
pub fn wanted_by(before: &Configuration, after: &Configuration, roles: Roles) -> Vec<&'static str> {
    let mut changed = Vec::new();
    let mut compare = |name, same: bool| {
        if !same {
            changed.push(name);
        }
    };
    compare("`socket` of `[admin]`", before.admin_socket.value == after.admin_socket.value);
    let log = |configuration: &Configuration| (configuration.log.level.clone(), configuration.log.json);
    compare("`[log]`", log(before) == log(after));
    compare("`[proxy]`, which is new", before.proxy.is_some() || after.proxy.is_none());
    if let (Some(before), Some(after), true) = (&before.proxy, &after.proxy, roles.proxy) {
        compare_proxies(before, after, &mut compare);
    }
    compare("`[gateway]`, which is new", before.gateway.is_some() || after.gateway.is_none());
    compare("`[gateway]`, which is gone", before.gateway.is_none() || after.gateway.is_some());
    if let (Some(before), Some(after), true) = (&before.gateway, &after.gateway, roles.gateway) {
        compare_gateways(before, after, &mut compare);
    }
    changed
}

fn compare_proxies(before: &Proxy, after: &Proxy, compare: &mut impl FnMut(&'static str, bool)) {
    let addresses = |proxy: &Proxy| {
        let all = proxy.listen.iter().chain(&proxy.direct_tls_listen);
        (proxy.listen.len(), all.map(|at| at.value).collect::<Vec<_>>())
    };
    compare("`listen` and `direct-tls-listen` of `[proxy]`", addresses(before) == addresses(after));
    let link = |link: &ProxyLink| (link.listen.value, link.identity.value.clone(), link.trust.value.clone());
    compare("`listen` of `[proxy.link]`", before.link.as_ref().map(link) == after.link.as_ref().map(link));
    compare("`resolver` of `[proxy]`", before.resolver == after.resolver);
    let anchors = |proxy: &Proxy| proxy.dnssec_anchors.as_ref().map(|at| at.value.clone());
    compare("`dnssec-anchors` of `[proxy]`", anchors(before) == anchors(after));
    compare("`send-buffer` of `[proxy.limits]`", before.limits.send_buffer == after.limits.send_buffer);
}

fn compare_gateways(before: &Gateway, after: &Gateway, compare: &mut impl FnMut(&'static str, bool)) {
    compare("`name` of `[gateway]`", before.name.value == after.name.value);
    compare("`store` of `[gateway]`", before.store.value == after.store.value);
    compare("`resolver` of `[gateway]`", before.resolver == after.resolver);
    compare("`hold-time` of `[gateway]`", before.hold_time == after.hold_time);
    compare("`lifetime` of `[gateway]`", before.lifetime == after.lifetime);
    let listen = |listen: &SipListen| {
        let named = |name: &Option<crate::config::At<String>>| name.as_ref().map(|at| at.value.clone());
        let host = listen.name.as_ref().map(|at| at.value.clone());
        let place = (listen.transport.value, listen.address.value, host);
        (place, named(&listen.identity), named(&listen.trust), listen.open_ssl.value)
    };
    let listeners = |gateway: &Gateway| gateway.listen.iter().map(listen).collect::<Vec<_>>();
    compare("`[[gateway.listen]]`", listeners(before) == listeners(after));
    let links = |gateway: &Gateway| {
        let link = |link: &crate::config::model::GatewayLink| {
            let name = link.proxy_name.as_ref().map(|at| at.value.clone());
            (link.proxy.value.clone(), name, link.identity.value.clone(), link.trust.value.clone())
        };
        gateway.links.iter().map(link).collect::<Vec<_>>()
    };
    compare("`[[gateway.link]]`", links(before) == links(after));
    let dialled = |gateway: &Gateway| {
        gateway.conversations.msrp_addresses.iter().map(|at| at.value).collect::<Vec<_>>()
    };
    compare("`msrp-addresses` of `[gateway.conversations]`", dialled(before) == dialled(after));
    compare("`[gateway.limits]`", is_same(&before.limits, &after.limits));
}

/// Whether two tables say the same that hold no places of the file.
fn is_same<T: Debug>(before: &T, after: &T) -> bool {
    format!("{before:?}") == format!("{after:?}")
}
