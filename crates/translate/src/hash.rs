//! Identifiers that a message gets again when it is translated again.

use sha2::{Digest, Sha256};

/// Hashes fields into identifiers: the same fields always give the same ones, different fields different ones,
/// and nobody can choose fields that give somebody else's (SHA-256, fields kept apart by their lengths).
pub(crate) struct Fields(Sha256);

impl Fields {
    /// Starts a hash for one purpose; two purposes never share identifiers.
    pub(crate) fn of(purpose: &str) -> Self {
        Self(Sha256::new()).with(purpose.as_bytes())
    }

    pub(crate) fn with(mut self, field: &[u8]) -> Self {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
        self
    }

    /// Returns two identifiers of 26 letters and digits, 125 bits each: tokens of SIP, harmless in XML.
    pub(crate) fn finish(self) -> (String, String) {
        let digest = self.0.finalize();
        let (first, second) = digest.split_at(16);
        (letters(first), letters(second))
    }

    /// Returns one identifier.
    pub(crate) fn finish_one(self) -> String {
        letters(&self.0.finalize()[..16])
    }
}

fn letters(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bits = octets.iter().fold(0_u128, |bits, octet| bits << 8 | u128::from(*octet));
    let mut text = String::with_capacity(26);
    for _ in 0..26 {
        text.push(char::from(ALPHABET[(bits & 31) as usize]));
        bits >>= 5;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_depend_on_every_field_and_on_where_fields_end() {
        let id = |fields: &[&str]| {
            fields.iter().fold(Fields::of("test"), |hash, field| hash.with(field.as_bytes())).finish_one()
        };

        assert_eq!(id(&["ab", "c"]), id(&["ab", "c"]));
        assert_ne!(id(&["ab", "c"]), id(&["a", "bc"]));
        assert_ne!(id(&["ab", "c"]), id(&["ab", "c", ""]));
        assert_eq!(id(&["ab"]).len(), 26);
    }
}
