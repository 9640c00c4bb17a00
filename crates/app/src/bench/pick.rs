//! Who pays whom: seeded, so that a run can be repeated, and cheap, because the machine under
//! measurement pays for it too.

use clap::ValueEnum;

/// How accounts are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Spread {
    /// Any account as likely as any other.
    #[default]
    Uniform,
    /// Few accounts often: the n-th most used one 1/n^0.99 as often as the first.
    Zipf,
    /// Two accounts only, back and forth.
    Hot,
}

impl Spread {
    /// Its name in results.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::Hot => "hot pair",
        }
    }
}

/// A small fast generator (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        ((self.next() as u128 * end as u128) >> 64) as u64
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Spreads numbers over 64 bits, each to another.
pub const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Exponent of the Zipf law.
const THETA: f64 = 0.99;

/// Zipf by the closed form of Gray et al. ("Quickly generating billion-record synthetic
/// databases", 1994): one power per number instead of a table.
#[derive(Debug, Clone)]
struct Zipf {
    accounts: u64,
    zeta: f64,
    second: f64,
    alpha: f64,
    eta: f64,
}

impl Zipf {
    fn new(accounts: u64) -> Self {
        let zeta = |n: u64| (1..=n).map(|k| (k as f64).powf(-THETA)).sum::<f64>();
        let all = zeta(accounts);
        let two = zeta(2.min(accounts));
        let share = (2.0 / accounts as f64).powf(1.0 - THETA);
        Self {
            accounts,
            zeta: all,
            second: two,
            alpha: 1.0 / (1.0 - THETA),
            eta: (1.0 - share) / (1.0 - two / all),
        }
    }

    /// Rank 0 is the most used.
    fn rank(&self, unit: f64) -> u64 {
        let scaled = unit * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < self.second {
            return 1;
        }
        let rank = self.accounts as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.accounts - 1)
    }
}

/// Chooses pairs of different accounts.
#[derive(Debug, Clone)]
pub struct Picker {
    random: Random,
    accounts: u64,
    spread: Spread,
    zipf: Option<Zipf>,
}

impl Picker {
    /// For `accounts` (at least 2) accounts numbered from 0.
    pub fn new(spread: Spread, accounts: u64, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            accounts,
            spread,
            zipf: (spread == Spread::Zipf).then(|| Zipf::new(accounts)),
        }
    }

    /// Generator of everything else that is random in a run.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// One account.
    pub fn one(&mut self) -> u64 {
        match &self.zipf {
            // Ranks are spread, so that the most used accounts are no neighbours.
            Some(zipf) => mix(zipf.rank(self.random.unit())) % self.accounts,
            None if self.spread == Spread::Hot => self.random.below(2),
            None => self.random.below(self.accounts),
        }
    }

    /// Payer and payee.
    pub fn pair(&mut self) -> (u64, u64) {
        let from = self.one();
        loop {
            let to = self.one();
            if to != from {
                return (from, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_differ_and_stay_within_bounds() {
        for spread in [Spread::Uniform, Spread::Zipf, Spread::Hot] {
            let mut picker = Picker::new(spread, 1_000, 7);
            let largest = (0..20_000).map(|_| picker.pair()).fold(0, |max, (a, b)| {
                assert_ne!(a, b);
                max.max(a).max(b)
            });
            assert!(largest < 1_000);
            assert_eq!(spread == Spread::Hot, largest == 1, "{spread:?}: {largest}");
        }
    }

    #[test]
    fn the_first_of_zipf_is_used_as_often_as_the_law_says() {
        let zipf = Zipf::new(1_000);
        let mut random = Random::new(3);
        let firsts = (0..100_000)
            .filter(|_| zipf.rank(random.unit()) == 0)
            .count();
        // 1 / (1 + 2^-0.99 + … + 1000^-0.99) = 0.1290
        assert!((12_400..13_400).contains(&firsts), "{firsts}");
    }
}
