//! Who talks with whom.

use std::sync::Arc;

use clock_types::{FNV_SEED, fnv};
use xmpp_types::jid::Jid;

/// An XMPP user and a SIP user; both by their bare addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The XMPP user.
    pub xmpp: Jid,
    /// The SIP user, as XMPP names him.
    pub sip: Jid,
    /// Both in one text, which no other pair has: a space is in no bare address.
    pub key: Arc<str>,
}

impl Pair {
    /// Returns the pair of these two, whatever programs they use.
    #[must_use]
    pub fn new(xmpp: &Jid, sip: &Jid) -> Self {
        let key = Self::key_of(xmpp, sip).into();
        Self { xmpp: xmpp.to_bare().as_jid().clone(), sip: sip.to_bare().as_jid().clone(), key }
    }

    /// Returns the pair that has this key, if it is one.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let (xmpp, sip) = key.split_once(' ')?;
        let pair = Self::new(&Jid::parse(xmpp).ok()?, &Jid::parse(sip).ok()?);
        (*pair.key == *key).then_some(pair)
    }

    /// Returns what [`Self::key`] would be.
    #[must_use]
    pub fn key_of(xmpp: &Jid, sip: &Jid) -> String {
        let (xmpp, sip) = (xmpp.bare_str(), sip.bare_str());
        let mut key = String::with_capacity(xmpp.len() + sip.len() + 1);
        key.push_str(xmpp);
        key.push(' ');
        key.push_str(sip);
        key
    }

    /// Returns the thread of a pair whose XMPP user names none: always the same, so that each session shows in
    /// the same window, also after a restart (XEP-0201 §3).
    #[must_use]
    pub fn thread(&self) -> String {
        self.name_of(&[])
    }

    /// Returns a name for something of this pair, the same for the same parts.
    #[must_use]
    pub fn name_of(&self, parts: &[&[u8]]) -> String {
        let hash = |seed: u64| {
            let key = self.key.bytes();
            // A part ends where no octet can be: two ways of cutting the same octets have two names.
            let parts = parts
                .iter()
                .flat_map(|part| part.iter().map(|octet| u64::from(*octet)).chain(std::iter::once(PART_END)));
            fnv(seed, key.map(u64::from).chain(parts))
        };
        format!("{:016x}{:016x}", hash(FNV_SEED), hash(0x6c62_272e_07bb_0142))
    }
}

const PART_END: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_of_users_and_not_of_their_programs() {
        let pair = |xmpp: &str| Pair::new(&Jid::parse(xmpp).unwrap(), &Jid::parse("bob@s.example").unwrap());

        assert_eq!(pair("ann@x.example/desk"), pair("ann@x.example"));
        assert_eq!(pair("ann@x.example/desk").thread(), pair("ann@x.example").thread());
        assert_ne!(pair("ann@x.example").thread(), pair("eve@x.example").thread());
        assert_eq!(&*pair("ann@x.example/desk").key, "ann@x.example bob@s.example");
        assert_eq!(Pair::of_key("ann@x.example bob@s.example"), Some(pair("ann@x.example")));
        assert_eq!(Pair::of_key("ann@x.example/desk bob@s.example"), None);
    }
}
