//! What makes two messages belong together, as keyed 128-bit fingerprints (RFC 3261 §17.1.3, §17.2.3).
//!
//! The key is a secret of the process, so a peer can neither make two requests collide nor fill one
//! bucket of a table.

use std::hash::{BuildHasherDefault, Hasher};

use sip_types::header::Via;
use sip_types::uri::Host;
use sip_types::{Method, Request};
use siphasher::sip128::{Hasher128, SipHasher13};

/// A map by fingerprint: the fingerprint is its own hash.
pub type ByFingerprint<V> = hashbrown::HashMap<u128, V, BuildHasherDefault<Itself>>;

#[derive(Debug)]
pub struct Fingerprints {
    keyed: SipHasher13,
}

impl Fingerprints {
    pub fn new(key: [u8; 32]) -> Self {
        let half: [u8; 16] = std::array::from_fn(|n| key[n] ^ key[n + 16]);
        Self { keyed: SipHasher13::new_with_key(&half) }
    }

    /// Returns the fingerprint of the server transaction that a request belongs to; an ACK belongs to
    /// its INVITE's (§17.2.3).
    pub fn server(&self, request: &Request, via: &Via) -> u128 {
        let method = match request.method() {
            Method::Ack => &Method::Invite,
            other => other,
        };
        if via.has_unique_branch() {
            self.of_branch(via, method)
        } else {
            self.of_rfc2543(request, via, method)
        }
    }

    /// Returns the fingerprint of the INVITE transaction that a CANCEL is for (§9.2).
    pub fn cancelled(&self, request: &Request, via: &Via) -> u128 {
        if via.has_unique_branch() {
            self.of_branch(via, &Method::Invite)
        } else {
            self.of_rfc2543(request, via, &Method::Invite)
        }
    }

    /// Returns the fingerprint of a request itself, whatever way it came (§8.2.2.2).
    pub fn core(&self, request: &Request) -> u128 {
        let mut hasher = self.keyed;
        part(&mut hasher, b"core");
        part(&mut hasher, request.method().as_str().as_bytes());
        part(&mut hasher, request.call_id().as_str().as_bytes());
        part(&mut hasher, request.from().tag().unwrap_or_default().as_bytes());
        hasher.write_u32(request.cseq().number);
        hasher.finish128().as_u128()
    }

    /// Returns the fingerprint of a client transaction (§17.1.3).
    pub fn client(&self, branch: &str, method: &Method) -> u128 {
        let mut hasher = self.keyed;
        part(&mut hasher, branch.as_bytes());
        part(&mut hasher, method.as_str().as_bytes());
        hasher.finish128().as_u128()
    }

    fn of_branch(&self, via: &Via, method: &Method) -> u128 {
        let mut hasher = self.keyed;
        part(&mut hasher, via.branch().unwrap_or_default().as_bytes());
        part(&mut hasher, method.as_str().as_bytes());
        sent_by(&mut hasher, via);
        hasher.finish128().as_u128()
    }

    /// The rules for peers that know no branches. COMPAT(Skype for Business, all): NEGOTIATE has none.
    /// The To tag is left out of an INVITE's, so that the ACK finds it.
    fn of_rfc2543(&self, request: &Request, via: &Via, method: &Method) -> u128 {
        let mut hasher = self.keyed;
        part(&mut hasher, b"rfc2543");
        part(&mut hasher, method.as_str().as_bytes());
        part(&mut hasher, request.uri().as_str().as_bytes());
        part(&mut hasher, request.from().tag().unwrap_or_default().as_bytes());
        if *method != Method::Invite {
            part(&mut hasher, request.to().tag().unwrap_or_default().as_bytes());
        }
        part(&mut hasher, request.call_id().as_str().as_bytes());
        hasher.write_u32(request.cseq().number);
        sent_by(&mut hasher, via);
        part(&mut hasher, via.params.to_string().as_bytes());
        hasher.finish128().as_u128()
    }
}

fn sent_by(hasher: &mut SipHasher13, via: &Via) {
    match &via.host {
        Host::Name(name) => {
            for octet in name.as_bytes() {
                hasher.write_u8(octet.to_ascii_lowercase());
            }
        }
        Host::V4(address) => hasher.write(&address.octets()),
        Host::V6(address) => hasher.write(&address.octets()),
    }
    hasher.write_u32(via.port.map_or(u32::MAX, u32::from));
}

/// Hashes one part so that its border counts.
fn part(hasher: &mut SipHasher13, octets: &[u8]) {
    hasher.write(octets);
    hasher.write_u8(0xff);
}

/// The hasher of what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Itself(u64);

impl Hasher for Itself {
    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
