//! What a check may do, as the installation has it and as one request may narrow it
//! (contract C1, C3).

use super::tolerance::Tolerance;

/// What follows from a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// It is told.
    Report,
    /// A correction is proposed where exactly one explanation says what is wrong.
    #[default]
    Propose,
    /// Within all limits it is also posted.
    Auto,
}

impl Mode {
    /// The word in JSON, settings and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Propose => "propose",
            Self::Auto => "auto",
        }
    }

    /// The mode of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Report, Self::Propose, Self::Auto];
        all.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// Smallest and largest subset that a policy may ask for.
pub const SUBSET_RANGE: std::ops::RangeInclusive<usize> = 2..=6;
/// Days of look-back that a policy may set.
pub const LOOK_BACK_RANGE: std::ops::RangeInclusive<u32> = 1..=400;

/// The policy of an installation, without what is set per currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What follows from a difference.
    pub mode: Mode,
    /// Every account must name `asOf`, `currency` and `statementId`.
    pub strict: bool,
    /// Members of the largest subset that is tried.
    pub max_subset: usize,
    /// Days that evidence may be old.
    pub look_back_days: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Propose,
            strict: false,
            max_subset: 4,
            look_back_days: 35,
        }
    }
}

/// What one request asks for. Tolerances are in minor units of the currency they meet, so they
/// are read per currency by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Narrowing {
    /// Not above the installation's.
    pub mode: Option<Mode>,
    /// May be switched on.
    pub strict: Option<bool>,
    /// Not above the installation's.
    pub max_subset: Option<usize>,
}

/// A request asked for more than the installation allows: 400 `policy_too_loose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is looser than the installation allows")]
pub struct TooLoose {
    /// Member of the policy.
    pub field: &'static str,
}

impl Policy {
    /// The policy of one check.
    ///
    /// # Errors
    /// [`TooLoose`] naming the first member that loosens.
    pub fn narrowed(self, by: Narrowing) -> Result<Self, TooLoose> {
        let mode = by.mode.unwrap_or(self.mode);
        let strict = by.strict.unwrap_or(self.strict);
        let max_subset = by.max_subset.unwrap_or(self.max_subset);
        let looser = |loose: bool, field| match loose {
            true => Err(TooLoose { field }),
            false => Ok(()),
        };
        looser(mode > self.mode, "policy.mode")?;
        looser(self.strict && !strict, "policy.strict")?;
        looser(max_subset > self.max_subset, "policy.maxSubset")?;
        Ok(Self {
            mode,
            strict,
            max_subset,
            ..self
        })
    }
}

/// The tolerance of one check: the request's where it is tighter.
///
/// # Errors
/// [`TooLoose`] if the request's covers more.
pub fn narrowed_tolerance(
    house: Tolerance,
    asked: Option<Tolerance>,
) -> Result<Tolerance, TooLoose> {
    match asked {
        None => Ok(house),
        Some(asked) if asked.within(&house) => Ok(asked),
        Some(_) => Err(TooLoose {
            field: "policy.tolerance",
        }),
    }
}

/// What the machine may post by itself in one currency, in minor units. Zero everywhere, the
/// state of a currency without settings, posts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AutoLimits {
    /// Largest single correction.
    pub single: i128,
    /// Largest share of |reported|, in ten-thousandths of a percent.
    pub percent: u32,
    /// Largest sum of a book in a UTC day.
    pub daily: i128,
}

impl AutoLimits {
    /// The contract's figures for the default currency of `scale` decimals: 10,000.00, 1 %,
    /// 10,000.00.
    pub fn of_default_currency(scale: u8) -> Self {
        let unit = florin_base::money::pow10(scale).unwrap_or(u128::MAX);
        let limit = unit.saturating_mul(10_000);
        let limit = i128::try_from(limit).unwrap_or(i128::MAX);
        Self {
            single: limit,
            percent: super::tolerance::PERCENT_PARTS,
            daily: limit,
        }
    }

    /// Whether a correction of this size may be posted; `spent` is what automatic corrections of
    /// the book have come to on this UTC day.
    pub fn allow(&self, amount: i128, reported: i128, spent: i128) -> bool {
        let size = amount.unsigned_abs();
        let daily = size.checked_add(spent.unsigned_abs());
        size <= self.single.unsigned_abs()
            && size <= super::tolerance::share(reported.unsigned_abs(), self.percent)
            && daily.is_some_and(|sum| sum <= self.daily.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_only_tighten() {
        let house = Policy::default();
        let asked = Narrowing {
            mode: Some(Mode::Report),
            strict: Some(true),
            max_subset: Some(2),
        };
        let policy = house.narrowed(asked).expect("tighter");
        assert_eq!(policy.mode, Mode::Report);
        assert!(policy.strict);
        assert_eq!((policy.max_subset, policy.look_back_days), (2, 35));
        let loose = [
            Narrowing {
                mode: Some(Mode::Auto),
                ..Narrowing::default()
            },
            Narrowing {
                max_subset: Some(5),
                ..Narrowing::default()
            },
        ];
        for asked in loose {
            assert!(house.narrowed(asked).is_err(), "{asked:?}");
        }
        let strict = Policy {
            strict: true,
            ..house
        };
        let asked = Narrowing {
            strict: Some(false),
            ..Narrowing::default()
        };
        assert_eq!(
            strict.narrowed(asked).expect_err("loosens").field,
            "policy.strict"
        );
    }

    #[test]
    fn all_limits_hold_together() {
        let limits = AutoLimits::of_default_currency(2);
        assert!(limits.allow(1_000_000, 100_000_000, 0));
        assert!(!limits.allow(1_000_001, i128::MAX / 2, 0), "single");
        assert!(
            !limits.allow(-1_001, 100_000, 0),
            "1 % of 1,000.00 is 10.00"
        );
        assert!(limits.allow(-1_000, 100_000, 0));
        assert!(!limits.allow(1, 100_000, 1_000_000), "daily");
        assert!(!AutoLimits::default().allow(1, 100_000, 0));
    }
}
