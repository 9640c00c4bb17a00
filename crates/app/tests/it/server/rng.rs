//! Chance with a seed, so that a failure can be run again.

/// SplitMix64: small, fast, good enough to shuffle tests.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number of 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to and without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = self.below(of.len() as u64);
        &of[usize::try_from(index).expect("an index fits")]
    }

    /// Two different places below `end`.
    pub fn two_of(&mut self, end: usize) -> (usize, usize) {
        let first = usize::try_from(self.below(end as u64)).expect("an index fits");
        let step = 1 + usize::try_from(self.below(end as u64 - 1)).expect("an index fits");
        (first, (first + step) % end)
    }
}
