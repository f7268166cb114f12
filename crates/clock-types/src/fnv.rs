/// Returns a number made of these octets that is the same in every process and on every machine (FNV-1a), beginning
/// with `seed`: [`FNV_SEED`], or what was made of octets before. Whoever chooses the octets can find others with the same
/// number: it spreads and names what nobody gains by confusing.
#[must_use]
pub fn fnv(seed: u64, octets: impl IntoIterator<Item: Into<u64>>) -> u64 {
    octets.into_iter().fold(seed, |number, octet| (number ^ octet.into()).wrapping_mul(0x0100_0000_01b3))
}

/// What [`fnv`] begins with.
pub const FNV_SEED: u64 = 0xcbf2_9ce4_8422_2325;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_algorithm() {
        assert_eq!(fnv(FNV_SEED, *b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(FNV_SEED, *b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(FNV_SEED, *b"foobar"), 0x8594_4171_f739_67e8);
    }
}
