//! Amounts of statements: digits with at most one mark, into whole minor units. No floats.

/// Largest amount and balance in minor units (contract 0, amount range).
pub const MAX_MINOR: i128 = 10_i128.pow(30) - 1;

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountFault {
    /// Not digits with at most one mark.
    Invalid,
    /// A digit other than zero beyond the currency's scale.
    Precision,
    /// More than 10^30 − 1 minor units.
    Range,
}

/// Reads an unsigned amount. Zeros beyond `scale` are allowed, other digits there are not
/// (contract D1). `12,` and `,5` are read, as MT940 writes them; an empty text is not.
///
/// # Errors
/// [`AmountFault`].
pub fn minor(text: &[u8], mark: u8, scale: u8) -> Result<i128, AmountFault> {
    let mut value: u128 = 0;
    let mut decimals: Option<u8> = None;
    let mut seen = false;
    for &byte in text {
        if byte == mark && decimals.is_none() {
            decimals = Some(0);
            continue;
        }
        if !byte.is_ascii_digit() {
            return Err(AmountFault::Invalid);
        }
        seen = true;
        match &mut decimals {
            Some(count) if *count == scale => {
                if byte != b'0' {
                    return Err(AmountFault::Precision);
                }
                continue;
            }
            Some(count) => *count += 1,
            None => {}
        }
        if value > MAX_MINOR.unsigned_abs() {
            return Err(AmountFault::Range);
        }
        value = value * 10 + u128::from(byte - b'0');
    }
    if !seen {
        return Err(AmountFault::Invalid);
    }
    for _ in decimals.unwrap_or(0)..scale {
        value = value.checked_mul(10).ok_or(AmountFault::Range)?;
    }
    match i128::try_from(value) {
        Ok(value) if value <= MAX_MINOR => Ok(value),
        _ => Err(AmountFault::Range),
    }
}

/// [`minor`] with an optional sign in front.
///
/// # Errors
/// [`AmountFault`].
pub fn signed_minor(text: &[u8], mark: u8, scale: u8) -> Result<i128, AmountFault> {
    match text.first() {
        Some(b'-') => minor(&text[1..], mark, scale).map(|value| -value),
        Some(b'+') => minor(&text[1..], mark, scale),
        _ => minor(text, mark, scale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_beyond_the_scale_are_allowed_and_nothing_else() {
        assert_eq!(minor(b"12.50", b'.', 2), Ok(1_250));
        assert_eq!(minor(b"12.5000", b'.', 2), Ok(1_250));
        assert_eq!(minor(b"12.501", b'.', 2), Err(AmountFault::Precision));
        assert_eq!(minor(b"12,", b',', 2), Ok(1_200));
        assert_eq!(minor(b",5", b',', 2), Ok(50));
        assert_eq!(minor(b"0012", b',', 0), Ok(12));
        assert_eq!(minor(b"12.0", b'.', 0), Ok(12));
    }

    #[test]
    fn only_digits_and_one_mark() {
        for wrong in ["", ",", "1.2.3", "1e2", " 1", "+1", "1,000.00", "-1", "é"] {
            assert_eq!(
                minor(wrong.as_bytes(), b'.', 2),
                Err(AmountFault::Invalid),
                "{wrong}"
            );
        }
        assert_eq!(signed_minor(b"-1.5", b'.', 2), Ok(-150));
        assert_eq!(signed_minor(b"--1.5", b'.', 2), Err(AmountFault::Invalid));
    }

    #[test]
    fn the_range_ends_at_thirty_digits() {
        let most = "9".repeat(30);
        assert_eq!(minor(most.as_bytes(), b'.', 0), Ok(MAX_MINOR));
        assert_eq!(
            minor(format!("1{}", "0".repeat(30)).as_bytes(), b'.', 0),
            Err(AmountFault::Range)
        );
        assert_eq!(
            minor("9".repeat(60).as_bytes(), b'.', 2),
            Err(AmountFault::Range)
        );
        assert_eq!(minor(most.as_bytes(), b'.', 2), Err(AmountFault::Range));
    }
}
