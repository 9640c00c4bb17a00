//! How far a reported balance may differ without being a drift (contract C1).

/// Parts of one percent that are told apart: four decimals.
pub const PERCENT_PARTS: u32 = 10_000;
/// One hundred percent in those parts.
pub const PERCENT_MAX: u32 = 100 * PERCENT_PARTS;

/// The tolerance of a currency or a book. Both bounds must hold, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tolerance {
    /// Minor units, not negative.
    pub absolute: i128,
    /// Share of |reported| in ten-thousandths of a percent, at most [`PERCENT_MAX`].
    pub percent: Option<u32>,
}

impl Tolerance {
    /// Whether a difference counts as none.
    pub const fn covers(&self, difference: i128, reported: i128) -> bool {
        let size = difference.unsigned_abs();
        if size > self.absolute.unsigned_abs() {
            return false;
        }
        match self.percent {
            None => true,
            Some(percent) => size <= share(reported.unsigned_abs(), percent),
        }
    }

    /// Whether everything that this one covers is covered by `other` too.
    pub fn within(&self, other: &Self) -> bool {
        let percent = match (self.percent, other.percent) {
            (_, None) => true,
            (None, Some(_)) => self.absolute == 0,
            (Some(mine), Some(theirs)) => mine <= theirs,
        };
        self.absolute <= other.absolute && percent
    }
}

/// `parts` ten-thousandths of a percent of `amount`, rounded down, without overflow.
pub const fn share(amount: u128, parts: u32) -> u128 {
    let (whole, parts) = (PERCENT_MAX as u128, parts as u128);
    amount / whole * parts + amount % whole * parts / whole
}

/// Reads a percentage with at most four decimals, 0 to 100; `None` for anything else.
pub fn parse_percent(text: &str) -> Option<u32> {
    let value = florin_base::money::Decimal::parse(text).ok()?;
    let parts = value.to_minor(4).ok()?;
    u32::try_from(parts)
        .ok()
        .filter(|parts| *parts <= PERCENT_MAX)
}

/// A percentage as a minimal JSON number.
pub fn percent_text(parts: u32) -> String {
    crate::model::amount::minimal(i128::from(parts), 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_hold_inclusive() {
        let plain = Tolerance {
            absolute: 300,
            percent: None,
        };
        assert!(plain.covers(300, 0) && plain.covers(-300, 0));
        assert!(!plain.covers(301, i128::MAX));
        let both = Tolerance {
            absolute: 300,
            percent: Some(PERCENT_PARTS), // 1 %
        };
        assert!(both.covers(100, 10_000) && both.covers(100, -10_000));
        assert!(!both.covers(101, 10_000), "beyond the percentage");
        assert!(!both.covers(301, 1_000_000), "beyond the absolute bound");
        assert!(!Tolerance::default().covers(1, 100));
        assert!(Tolerance::default().covers(0, 100));
    }

    #[test]
    fn shares_are_exact_at_any_size() {
        assert_eq!(share(u128::MAX, PERCENT_MAX), u128::MAX);
        assert_eq!(share(999_999, 1), 0);
        assert_eq!(share(1_000_000, 1), 1);
        assert_eq!(share(12_345_678, 250_000), 3_086_419);
    }

    #[test]
    fn percentages_have_four_decimals() {
        assert_eq!(parse_percent("0.0001"), Some(1));
        assert_eq!(parse_percent("100"), Some(PERCENT_MAX));
        for bad in ["100.0001", "-1", "1e1", "0.00001", "x"] {
            assert_eq!(parse_percent(bad), None, "{bad}");
        }
        assert_eq!(percent_text(12_500), "1.25");
    }

    #[test]
    fn tightening_is_told_from_loosening() {
        let house = Tolerance {
            absolute: 300,
            percent: Some(100),
        };
        let tolerance = |absolute, percent| Tolerance { absolute, percent };
        assert!(tolerance(300, Some(100)).within(&house));
        assert!(tolerance(0, None).within(&house), "nothing is tolerated");
        assert!(!tolerance(300, None).within(&house), "drops the percentage");
        assert!(!tolerance(301, Some(1)).within(&house));
        assert!(!tolerance(1, Some(101)).within(&house));
    }
}
