use std::fmt;

use clock_types::Ids;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use xmpp_types::jid::DomainName;

use super::Pair;

/// The secret that all servers of one administration share to make and check dialback keys.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Returns the secret of a configured passphrase: several proxies with the same one verify each
    /// other's keys (XEP-0185 §3).
    #[must_use]
    pub fn from_passphrase(passphrase: &str) -> Self {
        Self::from_key_material(passphrase.as_bytes())
    }

    /// Returns a secret of its own for one process.
    pub fn fresh(ids: &mut Ids) -> Self {
        Self::from_key_material(&ids.bytes())
    }

    /// The HMAC key is the hash of the secret as lower-case hexadecimal text (XEP-0185 §3, whose sample
    /// key is reproduced only in this way).
    fn from_key_material(material: &[u8]) -> Self {
        Self(Sha256::digest(material).into())
    }

    /// Returns the key for a pair of domains on the stream with this id, from us as the sender's server
    /// (XEP-0220 §2.1.1, XEP-0185).
    #[must_use]
    pub fn key(&self, pair: &Pair, stream_id: &str) -> String {
        hexadecimal(&self.mac(&pair.remote, &pair.local, stream_id).finalize().into_bytes())
    }

    /// Tells, in constant time, whether `key` is what we give out for stanzas from `sender` to `target`
    /// on the stream with this id (XEP-0220 §2.2.2).
    #[must_use]
    pub fn made(&self, key: &str, sender: &DomainName, target: &DomainName, stream_id: &str) -> bool {
        let Some(claimed) = from_hexadecimal(key.trim()) else { return false };
        self.mac(target, sender, stream_id).verify_slice(&claimed).is_ok()
    }

    /// `HMAC-SHA256(SHA256(secret), {target, ' ', sender, ' ', stream id})`; the spaces keep the fields
    /// apart, since no domain holds one.
    fn mac(&self, target: &DomainName, sender: &DomainName, stream_id: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(hexadecimal(&self.0).as_bytes())
            .expect("HMAC takes a key of any length");
        for part in [target.to_ascii(), " ", sender.to_ascii(), " ", stream_id] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn from_hexadecimal(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(digits[0]).to_digit(16)?;
        let low = char::from(digits[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}
