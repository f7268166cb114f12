//! Inputs from inputs: the same sequence from the same seed.

/// Changes inputs at random.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
    words: &'static [&'static str],
}

/// What an input may grow to.
const OCTETS_MAX: usize = 256 * 1024;

/// Octets that end or begin something in XML, in SIP or in UTF-8.
const SHARP: &[u8] = b"<>&;:@\"'=,/\\%\r\n\t \0?#[]{}()\x7f\x80\xbf\xc0\xed\xf4\xff";

impl Mutator {
    /// Returns a mutator that also knows a target's words.
    pub fn new(seed: u64, words: &'static [&'static str]) -> Self {
        Self { state: seed, words }
    }

    /// Returns a number below `bound`, or 0 if that is 0. (SplitMix64.)
    pub fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap_or(0).checked_rem(bound).unwrap_or(0)
    }

    /// Returns an input made of one of the corpus, and perhaps of another.
    pub fn next(&mut self, corpus: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let mut input = self.pick(corpus).to_vec();
        for _ in 0..=self.below(4) {
            let other = self.pick(corpus);
            self.change(&mut input, other);
        }
        input.truncate(OCTETS_MAX);
        input
    }

    fn pick<'a>(&mut self, corpus: &'a [impl AsRef<[u8]>]) -> &'a [u8] {
        let at = self.below(corpus.len());
        corpus.get(at).map_or(&[], AsRef::as_ref)
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        let to = at + self.below((input.len() - at + 1).min(64));
        match self.below(9) {
            0 => {
                if let Some(octet) = input.get_mut(at) {
                    *octet ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(octet) = input.get_mut(at) {
                    *octet = SHARP[self.below(SHARP.len())];
                }
            }
            2 => input.insert(at, SHARP[self.below(SHARP.len())]),
            3 => drop(input.drain(at..to)),
            4 => {
                let piece = input[at..to].repeat(1 + self.below(8));
                input.splice(at..at, piece);
            }
            5 => {
                let from = self.below(other.len());
                let piece = &other[from..(from + self.below(256)).min(other.len())];
                input.splice(at..to, piece.iter().copied());
            }
            6 => {
                let word = self.words.get(self.below(self.words.len())).unwrap_or(&"");
                input.splice(at..to, word.bytes());
            }
            7 => self.number(input),
            _ => input.truncate(at),
        }
    }

    /// Puts another number where one stands.
    fn number(&mut self, input: &mut Vec<u8>) {
        const NUMBERS: [&str; 8] =
            ["0", "-1", "1", "4294967295", "4294967296", "18446744073709551616", "00000000001", "65536"];
        let places: Vec<usize> = (0..input.len()).filter(|&at| input[at].is_ascii_digit()).collect();
        let Some(&at) = places.get(self.below(places.len())) else { return };
        let number = NUMBERS[self.below(NUMBERS.len())];
        input.splice(at..=at, number.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let corpus = [b"<message to='a@b'/>".to_vec(), b"12".to_vec()];
        let run = |seed| {
            let mut mutator = Mutator::new(seed, &["word"]);
            (0..50).map(|_| mutator.next(&corpus)).collect::<Vec<_>>()
        };

        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn nothing_is_needed_to_begin() {
        let mut mutator = Mutator::new(7, &[]);
        let none: [Vec<u8>; 0] = [];

        assert!((0..1000).all(|_| mutator.next(&none).len() <= OCTETS_MAX));
    }
}
