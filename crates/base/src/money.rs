//! Amounts: exact decimals as text, whole minor units inside.

use std::fmt;

/// Largest scale an asset may have (contract A1).
pub const MAX_SCALE: u8 = 30;

/// Why a text is not an amount of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not `-?(0|[1-9][0-9]*)(\.[0-9]+)?`.
    #[error("must be a plain decimal such as 12.50, without exponent, sign `+` or spaces")]
    Invalid,
    /// More decimals than the asset has, zeros included.
    #[error("has more decimals than the currency")]
    Precision,
    /// Negative, or larger than 2^128 - 1 minor units.
    #[error("is out of range")]
    Range,
}

/// A decimal as it was written: value = `digits` / 10^`decimals`, negative if `negative`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decimal {
    /// Written with a minus sign.
    pub negative: bool,
    /// All digits read as one whole number.
    pub digits: u128,
    /// Count of digits after the point, as written.
    pub decimals: u8,
}

impl Decimal {
    /// Reads `-?(0|[1-9][0-9]*)(\.[0-9]+)?` (contract B2) without passing through a float.
    ///
    /// # Errors
    /// [`AmountError::Invalid`] for anything else, [`AmountError::Range`] when the digits do
    /// not fit 128 bits or there are more than 255 decimals.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match body.split_once('.') {
            Some((w, f)) => (w, Some(f)),
            None => (body, None),
        };
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let whole_ok = all_digits(whole) && (whole.len() == 1 || !whole.starts_with('0'));
        if !whole_ok || !fraction.is_none_or(all_digits) {
            return Err(AmountError::Invalid);
        }
        let fraction = fraction.unwrap_or("");
        let mut digits: u128 = 0;
        for b in whole.bytes().chain(fraction.bytes()) {
            digits = digits
                .checked_mul(10)
                .and_then(|d| d.checked_add(u128::from(b - b'0')))
                .ok_or(AmountError::Range)?;
        }
        let decimals = u8::try_from(fraction.len()).map_err(|_| AmountError::Range)?;
        Ok(Self {
            negative,
            digits,
            decimals,
        })
    }

    /// Minor units of an asset with `scale` decimals.
    ///
    /// # Errors
    /// [`AmountError::Precision`] for more decimals than `scale`, [`AmountError::Range`] for
    /// negative values and those beyond 2^128 - 1.
    pub fn to_minor(self, scale: u8) -> Result<u128, AmountError> {
        if self.decimals > scale {
            return Err(AmountError::Precision);
        }
        if self.negative && self.digits != 0 {
            return Err(AmountError::Range);
        }
        pow10(scale - self.decimals)
            .and_then(|factor| self.digits.checked_mul(factor))
            .ok_or(AmountError::Range)
    }

    /// Minor units with surplus decimals rounded half to even (profile `compat`, contract 0).
    ///
    /// # Errors
    /// As [`Decimal::to_minor`] but never [`AmountError::Precision`].
    pub fn to_minor_rounded(self, scale: u8) -> Result<u128, AmountError> {
        if self.decimals <= scale {
            return self.to_minor(scale);
        }
        if self.negative && self.digits != 0 {
            return Err(AmountError::Range);
        }
        let Some(divisor) = pow10(self.decimals - scale) else {
            return Ok(0); // more than 10^38 below one minor unit
        };
        let (quotient, rest) = (self.digits / divisor, self.digits % divisor);
        let half = divisor / 2;
        let up = rest > half || (rest == half && quotient % 2 == 1);
        Ok(quotient + u128::from(up))
    }
}

/// 10^`exponent`, if it fits 128 bits.
pub const fn pow10(exponent: u8) -> Option<u128> {
    10u128.checked_pow(exponent as u32)
}

/// A signed whole number with a 128-bit magnitude (a balance may lie between -(2^128-1) and
/// 2^128-1, one bit more than `i128` holds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signed {
    /// Below zero; never set for zero.
    pub negative: bool,
    /// Distance from zero in minor units.
    pub magnitude: u128,
}

impl Signed {
    /// `plus - minus`, exactly.
    pub const fn difference(plus: u128, minus: u128) -> Self {
        if plus >= minus {
            Self {
                negative: false,
                magnitude: plus - minus,
            }
        } else {
            Self {
                negative: true,
                magnitude: minus - plus,
            }
        }
    }

    /// As `i128`, if it fits.
    pub fn to_i128(self) -> Option<i128> {
        let value = i128::try_from(self.magnitude).ok();
        if self.negative {
            value
                .map(|v| -v)
                .or((self.magnitude == 1 << 127).then_some(i128::MIN))
        } else {
            value
        }
    }

    /// As a decimal with exactly `scale` digits after the point.
    pub fn to_decimal(self, scale: u8) -> String {
        let text = format_minor(self.magnitude, scale);
        if self.negative {
            format!("-{text}")
        } else {
            text
        }
    }
}

impl From<i128> for Signed {
    fn from(value: i128) -> Self {
        Self {
            negative: value < 0,
            magnitude: value.unsigned_abs(),
        }
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        write!(f, "{}", self.magnitude)
    }
}

/// `minor` units as a decimal with exactly `scale` digits after the point.
pub fn format_minor(minor: u128, scale: u8) -> String {
    if scale == 0 {
        return minor.to_string();
    }
    let scale = usize::from(scale);
    let digits = format!("{minor:0>width$}", width = scale + 1);
    let point = digits.len() - scale;
    format!("{}.{}", &digits[..point], &digits[point..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_of_case_17_is_refused() {
        for text in [
            "1e2", "1,00", " 1", "", "NaN", "+1", "01", "1.", ".5", "--1", "1.0.0",
        ] {
            assert_eq!(Decimal::parse(text), Err(AmountError::Invalid), "{text:?}");
        }
    }

    #[test]
    fn precision_counts_zeros() {
        assert_eq!(
            Decimal::parse("10.000").and_then(|d| d.to_minor(2)),
            Err(AmountError::Precision)
        );
        assert_eq!(
            Decimal::parse("10.50").and_then(|d| d.to_minor(2)),
            Ok(1_050)
        );
        assert_eq!(
            Decimal::parse("10.5").and_then(|d| d.to_minor(2)),
            Ok(1_050)
        );
        assert_eq!(
            Decimal::parse("-10.00").and_then(|d| d.to_minor(2)),
            Err(AmountError::Range)
        );
    }

    #[test]
    fn one_wei_is_exact() {
        let wei = Decimal::parse("0.000000000000000001").and_then(|d| d.to_minor(18));
        assert_eq!(wei, Ok(1));
    }

    #[test]
    fn compat_rounds_half_to_even() {
        let round = |t: &str, s| Decimal::parse(t).and_then(|d| d.to_minor_rounded(s));
        assert_eq!(round("10.015", 2), Ok(1_002));
        assert_eq!(round("10.025", 2), Ok(1_002));
        assert_eq!(round("1.5", 0), Ok(2));
        assert_eq!(round("2.5", 0), Ok(2));
        assert_eq!(round("2.51", 0), Ok(3));
    }

    #[test]
    fn formatting_keeps_all_decimals() {
        assert_eq!(format_minor(5, 2), "0.05");
        assert_eq!(format_minor(123_456, 2), "1234.56");
        assert_eq!(format_minor(7, 0), "7");
        assert_eq!(Signed::difference(1, 6).to_decimal(2), "-0.05");
        assert_eq!(
            Signed::difference(0, u128::MAX).to_string(),
            format!("-{}", u128::MAX)
        );
    }
}
