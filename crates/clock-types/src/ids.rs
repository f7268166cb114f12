use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Where a machine's identifiers and random choices come from, given at construction.
///
/// In a process it is seeded by the operating system and unpredictable; in a test it counts, so that
/// an expectation can say `branch-1`.
#[derive(Clone, Debug)]
pub struct Ids(Source);

#[derive(Clone, Debug)]
enum Source {
    Random(Box<ChaCha20Rng>),
    Counting { next: u64, rng: Box<ChaCha20Rng> },
}

impl Ids {
    /// Returns an unpredictable source; `seed` must come from the operating system, or from a
    /// simulation that wants to replay itself.
    #[must_use]
    pub fn random(seed: [u8; 32]) -> Self {
        Self(Source::Random(Box::new(ChaCha20Rng::from_seed(seed))))
    }

    /// Returns a source that counts: `tag-1`, `branch-2`, … For tests.
    #[must_use]
    pub fn counting() -> Self {
        Self(Source::Counting { next: 1, rng: Box::new(ChaCha20Rng::from_seed([0; 32])) })
    }

    /// Returns a source of its own for a part of the machine, so that parts do not disturb each other.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        match &mut self.0 {
            Source::Random(rng) => {
                let mut seed = [0; 32];
                rng.fill_bytes(&mut seed);
                Self::random(seed)
            }
            Source::Counting { .. } => Self::counting(),
        }
    }

    /// Returns a fresh identifier of 128 bits in lower-case letters and digits, or `label-n` in tests.
    /// It is a token of SIP and an NCName-safe suffix of XML; it says nothing about its maker.
    pub fn token(&mut self, label: &str) -> String {
        match &mut self.0 {
            Source::Random(rng) => {
                let mut bits = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
                let mut text = String::with_capacity(26);
                for _ in 0..26 {
                    text.push(char::from(ALPHABET[(bits & 31) as usize]));
                    bits >>= 5;
                }
                text
            }
            Source::Counting { next, .. } => {
                let text = format!("{label}-{next}");
                *next += 1;
                text
            }
        }
    }

    /// Returns 32 random bytes (a fixed sequence in tests).
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.rng().fill_bytes(&mut bytes);
        bytes
    }

    /// Returns a number below `bound`, evenly spread; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.rng().next_u64() % bound }
    }

    fn rng(&mut self) -> &mut ChaCha20Rng {
        match &mut self.0 {
            Source::Random(rng) | Source::Counting { rng, .. } => rng,
        }
    }
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_identifiers_name_what_they_are_for() {
        let mut ids = Ids::counting();

        assert_eq!(ids.token("branch"), "branch-1");
        assert_eq!(ids.token("tag"), "tag-2");
    }

    #[test]
    fn random_identifiers_are_tokens_and_differ() {
        let mut ids = Ids::random([7; 32]);

        let (one, other) = (ids.token("tag"), ids.token("tag"));

        assert_eq!(one.len(), 26);
        assert!(one.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        assert_ne!(one, other);
    }

    #[test]
    fn a_fork_does_not_repeat_its_origin() {
        let mut ids = Ids::random([7; 32]);

        let mut fork = ids.fork();

        assert_ne!(ids.token("a"), fork.token("a"));
    }
}
