//! The settings as the streams' machines see them.

use std::sync::Arc;

use xmpp_proto::stream::{Policy, Rules, StreamSettings};
use xmpp_types::jid::DomainName;
use xmpp_types::xml;

use crate::settings::{Limits, Partner, Settings};

/// Answers the machines' questions from the settings.
#[derive(Debug)]
pub(crate) struct ProxyRules(pub(crate) Arc<Settings>);

impl Rules for ProxyRules {
    fn serves(&self, domain: &DomainName) -> bool {
        self.0.identity_of(domain).is_some()
    }

    fn policy(&self, remote: &DomainName) -> Option<Policy> {
        self.0.partner(remote).map(|partner| policy(partner, &self.0.limits))
    }
}

fn policy(partner: &Partner, limits: &Limits) -> Policy {
    let silence_max =
        if partner.keep_alive { limits.keep_alive.min(limits.inactivity) } else { limits.inactivity };
    Policy { methods: partner.methods(), silence_max }
}

/// Returns what holds for every stream.
pub(crate) fn stream_settings(limits: &Limits) -> StreamSettings {
    StreamSettings {
        limits: xml::Limits { stanza_bytes: limits.stanza_bytes_max, ..xml::Limits::AUTHENTICATED },
        unproved_bytes_max: limits.unproved_bytes_max,
        handshake: limits.handshake,
        dialbacks_max: limits.dialbacks_max,
        acknowledgement: limits.acknowledgement,
        ..StreamSettings::default()
    }
}
