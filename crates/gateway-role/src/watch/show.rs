//! What an XMPP user is shown of a SIP user's devices.

use translate::Capabilities;
use translate::presence::{Resource, stanza, unavailable};
use xmpp_types::jid::Jid;
use xmpp_types::xml::Element;

use crate::conversation::Pair;

/// Devices that are gone, and are kept all the same: those of the longest ago are forgotten first.
const GONE_KEPT: usize = 8;

/// What the XMPP user was told last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    devices: Vec<Resource>,
    /// Names of devices that he may have been told to be there, by this process or the one before.
    kept: Vec<Box<str>>,
    /// Whether an earlier process told him, so that nobody knows what of it is still there.
    inherited: bool,
}

impl Shown {
    /// Goes on after a process that may have told of these devices.
    pub const fn inherit(kept: Vec<Box<str>>) -> Self {
        let inherited = !kept.is_empty();
        Self { devices: Vec::new(), kept, inherited }
    }

    /// Returns the names to keep before these devices are shown, where those that are kept do not cover them. A name stays
    /// when its device goes: that it is gone may not have arrived yet, and the same device mostly comes back.
    pub fn take_names(&mut self, devices: &[Resource]) -> Option<Vec<Box<str>>> {
        let there = || devices.iter().filter(|device| device.available.is_some()).map(name_of);
        if there().all(|name| self.is_kept(name)) {
            return None;
        }
        let mut gone: Vec<Box<str>> = std::mem::take(&mut self.kept);
        gone.retain(|name| !there().any(|there| there == &**name));
        gone.drain(..gone.len().saturating_sub(GONE_KEPT));
        gone.extend(there().map(Into::into));
        self.kept = gone;
        Some(self.kept.clone())
    }

    fn is_kept(&self, name: &str) -> bool {
        self.kept.iter().any(|kept| **kept == *name)
    }

    /// Replaces what is shown; returns the stanzas that say what is different. A device that is no longer there is gone,
    /// also where nothing says so, and where an earlier process has shown it.
    pub fn replace(
        &mut self,
        pair: &Pair,
        mut devices: Vec<Resource>,
        capabilities: Option<&Capabilities>,
    ) -> Vec<Element> {
        devices.iter_mut().for_each(Resource::compact);
        devices.shrink_to_fit();
        let old = std::mem::replace(&mut self.devices, devices);
        let inherited = std::mem::take(&mut self.inherited).then_some(&self.kept);
        let named = |name: &str| Some(name).filter(|name| !name.is_empty()).map(str::to_owned);
        let inherited = inherited.into_iter().flatten().map(|name| Resource::gone(named(name)));
        // Those of whom he may think that they are there.
        let there: Vec<Resource> =
            old.iter().filter(|known| known.available.is_some()).cloned().chain(inherited).collect();
        let gone = there.iter().filter(|known| !self.devices.iter().any(|now| now.name == known.name));
        let mut stanzas: Vec<Element> = gone.map(|gone| unavailable(&pair.sip, gone, &pair.xmpp)).collect();
        for device in &self.devices {
            let same = old.iter().any(|before| before == device);
            // Whoever was never there need not be said to be gone, unless something is said about it.
            let never_there = device.available.is_none()
                && device.statuses.is_empty()
                && !there.iter().any(|known| known.name == device.name);
            if !same && !never_there {
                stanzas.push(said(pair, device, &pair.xmpp, capabilities));
            }
        }
        stanzas
    }

    /// Returns what tells a prober all there is to tell (RFC 6121 §4.3.2).
    pub fn all(&self, pair: &Pair, to: &Jid, capabilities: Option<&Capabilities>) -> Vec<Element> {
        let mut there: Vec<&Resource> =
            self.devices.iter().filter(|known| known.available.is_some()).collect();
        if there.is_empty() {
            // Somebody who is not there may have left word.
            there.extend(self.devices.iter().find(|gone| !gone.statuses.is_empty()));
        }
        if there.is_empty() {
            return vec![nobody(pair, to)];
        }
        there.into_iter().map(|device| said(pair, device, to, capabilities)).collect()
    }

    /// Tells whether the device at this address is one that only its document names so; of what an earlier process has
    /// shown nobody knows.
    pub fn is_label(&self, pair: &Pair, device: &Jid) -> bool {
        let named = |name: &str| pair.sip.with_resource(name).is_ok_and(|named| named == *device);
        let labels = self.devices.iter().filter(|device| device.is_label);
        labels.filter_map(|device| device.name.as_deref()).any(named)
            || (self.inherited && self.kept.iter().any(|name| named(name)))
    }

    /// Returns what is true of every device that he may know of.
    pub fn again(&self, pair: &Pair, capabilities: Option<&Capabilities>) -> Vec<Element> {
        let there = || self.devices.iter().filter(|device| device.available.is_some());
        let gone = self.kept.iter().filter(|name| !there().any(|device| name_of(device) == &***name));
        let named = |name: &str| Some(name).filter(|name| !name.is_empty()).map(str::to_owned);
        let gone = gone.map(|name| unavailable(&pair.sip, &Resource::gone(named(name)), &pair.xmpp));
        gone.chain(there().map(|device| said(pair, device, &pair.xmpp, capabilities))).collect()
    }

    /// Tells whether he may think that any device is available.
    pub fn is_available(&self) -> bool {
        self.inherited || self.devices.iter().any(|device| device.available.is_some())
    }

    /// Returns the devices.
    pub fn devices(&self) -> &[Resource] {
        &self.devices
    }
}

/// Returns the stanza that tells of a device; of one that is there also what it can do (XEP-0115 §6.1).
fn said(pair: &Pair, device: &Resource, to: &Jid, capabilities: Option<&Capabilities>) -> Element {
    let presence = stanza(&pair.sip, device, to);
    let Some(capabilities) = capabilities.filter(|_| device.available.is_some()) else { return presence };
    let has_resource = presence.attr("from").is_some_and(|from| from.contains('/'));
    presence.with_child(if has_resource { capabilities.of_program() } else { capabilities.of_account() })
}

/// Returns the stanza that says that the SIP user is not available.
pub fn nobody(pair: &Pair, to: &Jid) -> Element {
    unavailable(&pair.sip, &Resource::gone(None), to)
}

/// Returns the name under which a device is kept: none is empty.
fn name_of(device: &Resource) -> &str {
    device.name.as_deref().unwrap_or_default()
}
