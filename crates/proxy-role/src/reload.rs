//! New settings while streams are open.

use std::sync::Arc;

use clock_types::Now;
use xmpp_proto::posh::Cache;
use xmpp_types::stream::{StreamCondition, StreamError};

use crate::courier::CourierId;
use crate::proxy::{Proxy, link_settings, secret};
use crate::rules::{ProxyRules, stream_settings};
use crate::sessions::keeper_limits;
use crate::settings::Settings;

impl Proxy {
    /// Puts other settings in force. Streams that are still allowed stay open; those of partners that are
    /// gone, or of domains that are served no longer, are closed. Listeners are the shell's: it binds and
    /// closes them before.
    pub fn reload(&mut self, settings: Settings, now: Now) {
        let settings = Arc::new(settings);
        let keeps_secret = settings.dialback_secret == self.world.settings.dialback_secret;
        if !keeps_secret {
            self.world.secret = secret(&settings, &mut self.world.ids);
        }
        self.rules = Arc::new(ProxyRules::new(settings.clone()));
        self.world.stream_settings = Arc::new(stream_settings(&settings));
        self.kept.set_limits(keeper_limits(&settings.limits));
        self.links.set_settings(link_settings(&settings.link, &settings));
        self.links.set_partners(settings.partner_kinds());
        // Whom it was believed by may be another one now.
        self.world.posh = Cache::default();
        self.world.settings = settings;
        self.close_disallowed(now);
        self.settle_effects(now);
    }

    fn close_disallowed(&mut self, now: Now) {
        let settings = self.world.settings.clone();
        let mut disallowed = Vec::new();
        for (connection, incoming) in &mut self.incoming {
            let acceptor = &mut incoming.acceptor;
            acceptor.set_rules(self.rules.clone());
            let serves = acceptor.local().is_none_or(|local| settings.identity_of(local).is_some());
            let knows = acceptor.remote().is_none_or(|remote| settings.partner(remote).is_some());
            if !serves {
                disallowed.push((*connection, StreamCondition::HostGone));
            } else if !knows {
                disallowed.push((*connection, StreamCondition::PolicyViolation));
            }
        }
        for (connection, condition) in disallowed {
            let error = StreamError::new(condition).with_text("the settings of this server have changed");
            self.close_incoming(connection, Some(error), now);
        }
        let given_up = self.kept.retain("the settings of this server have changed", |pair| {
            settings.identity_of(&pair.local).is_some() && settings.partner(&pair.remote).is_some()
        });
        self.hand_back(given_up, now);
        let couriers: Vec<CourierId> = self
            .couriers
            .values()
            .filter(|courier| {
                settings.identity_of(&courier.pair.local).is_none()
                    || settings.partner(&courier.pair.remote).is_none()
            })
            .map(|courier| courier.id)
            .collect();
        for courier in couriers {
            self.with_courier(courier, |courier, world| {
                courier.abort("the settings of this server have changed", world, now);
            });
        }
    }
}
