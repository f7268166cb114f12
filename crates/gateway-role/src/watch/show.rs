//! What an XMPP user is shown of a SIP user's devices.

use translate::presence::{Resource, stanza, unavailable};
use xmpp_types::jid::Jid;
use xmpp_types::xml::Element;

use crate::conversation::Pair;

/// What the XMPP user was told last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown(Vec<Resource>);

impl Shown {
    /// Replaces what is shown; returns the stanzas that say what is different. A device that is no longer there is gone,
    /// also where nothing says so.
    pub fn replace(&mut self, pair: &Pair, devices: Vec<Resource>) -> Vec<Element> {
        let old = std::mem::replace(&mut self.0, devices);
        let is_there = |known: &Resource| known.available.is_some();
        let mut stanzas: Vec<Element> = old
            .iter()
            .filter(|known| is_there(known) && !self.0.iter().any(|now| now.name == known.name))
            .map(|gone| unavailable(&pair.sip, gone, &pair.xmpp))
            .collect();
        for device in &self.0 {
            let before = old.iter().find(|known| known.name == device.name);
            let same = before.is_some_and(|before| before.available == device.available);
            // Whoever was never there need not be said to be gone.
            let never_there = device.available.is_none() && before.is_none();
            if !same && !never_there {
                stanzas.push(stanza(&pair.sip, device, &pair.xmpp));
            }
        }
        stanzas
    }

    /// Returns what tells a prober all there is to tell (RFC 6121 §4.3.2).
    pub fn all(&self, pair: &Pair, to: &Jid) -> Vec<Element> {
        let there: Vec<&Resource> = self.0.iter().filter(|device| device.available.is_some()).collect();
        if there.is_empty() {
            return vec![nobody(pair, to)];
        }
        there.into_iter().map(|device| stanza(&pair.sip, device, to)).collect()
    }

    /// Tells whether any device is available.
    pub fn is_available(&self) -> bool {
        self.0.iter().any(|device| device.available.is_some())
    }

    /// Returns the devices.
    pub fn devices(&self) -> &[Resource] {
        &self.0
    }
}

/// Returns the stanza that says that the SIP user is not available.
pub fn nobody(pair: &Pair, to: &Jid) -> Element {
    unavailable(&pair.sip, &Resource { name: None, available: None }, to)
}
