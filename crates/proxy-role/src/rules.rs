//! The settings as the streams' machines see them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use net_types::Trust;
use xmpp_proto::stream::{Policy, Resumption, Rules, StreamSettings};
use xmpp_types::jid::DomainName;
use xmpp_types::xml;

use crate::settings::{Limits, Partner, Settings};

/// Answers the machines' questions from the settings. They come with every stanza, so that what is named
/// in the settings is found without a search.
#[derive(Debug)]
pub(crate) struct ProxyRules {
    settings: Arc<Settings>,
    served: BTreeSet<DomainName>,
    named: BTreeMap<DomainName, Option<Policy>>,
}

impl ProxyRules {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        let served = settings.served.iter().map(|served| served.domain.clone()).collect();
        let named = settings
            .partners
            .iter()
            .flat_map(Partner::domains)
            .map(|domain| (domain.clone(), policy_for(&settings, domain)))
            .collect();
        Self { settings, served, named }
    }
}

impl Rules for ProxyRules {
    fn serves(&self, domain: &DomainName) -> bool {
        self.served.contains(domain)
    }

    fn policy(&self, remote: &DomainName) -> Option<Policy> {
        match self.named.get(remote) {
            Some(policy) => *policy,
            None => policy_for(&self.settings, remote),
        }
    }

    fn own_roots(&self, remote: &DomainName) -> Option<Trust> {
        let own = self.settings.partner(remote)?.trust.clone();
        own.filter(|own| *own != self.settings.trust)
    }
}

fn policy_for(settings: &Settings, remote: &DomainName) -> Option<Policy> {
    settings.partner(remote).map(|partner| policy(partner, &settings.limits))
}

fn policy(partner: &Partner, limits: &Limits) -> Policy {
    let silence_max =
        if partner.keep_alive { limits.keep_alive.min(limits.inactivity) } else { limits.inactivity };
    Policy { methods: partner.methods(), silence_max }
}

/// Returns what holds for every stream.
pub(crate) fn stream_settings(settings: &Settings) -> StreamSettings {
    let limits = &settings.limits;
    let resumption = Resumption { max: limits.suspended_for, location: settings.resume_at.clone() };
    StreamSettings {
        resumption: (!limits.suspended_for.is_zero()).then_some(resumption),
        limits: xml::Limits { stanza_bytes: limits.stanza_bytes_max, ..xml::Limits::AUTHENTICATED },
        unproved_bytes_max: limits.unproved_bytes_max,
        handshake: limits.handshake,
        dialbacks_max: limits.dialbacks_max,
        acknowledgement: limits.acknowledgement,
        ..StreamSettings::default()
    }
}
