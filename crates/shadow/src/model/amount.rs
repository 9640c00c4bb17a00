//! Amounts in and out: decimals read as text, minimal JSON numbers (contract section 0).

use florin_base::money::{AmountError, Decimal, format_minor};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

/// Largest amount of one event in minor units: 10^30 - 1.
pub const MAX_AMOUNT: i128 = 1_000_000_000_000_000_000_000_000_000_000 - 1;

/// Which currencies exist and how many decimals they have.
pub trait Currencies: Send + Sync + 'static {
    /// Decimals of a registered asset; `None` if the code is unknown.
    fn scale(&self, code: &str) -> Option<u8>;
    /// The currency where none is given (`wallets.default_currency`).
    fn default_code(&self) -> &str;
}

/// Why a text is not an amount; the names are the codes of contract A1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountFault {
    /// Exponent, `+`, blanks or no number at all.
    #[error("must be a plain decimal such as 12.50, without exponent, `+` or blanks")]
    Invalid,
    /// More decimals than the currency has, zeros included.
    #[error("has more decimals than the currency")]
    Precision,
    /// Outside 1 to 10^30 - 1 minor units.
    #[error("must be at least one minor unit and below 10^30 minor units")]
    OutOfRange,
}

impl AmountFault {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "amount_invalid",
            Self::Precision => "amount_precision",
            Self::OutOfRange => "amount_out_of_range",
        }
    }
}

/// Reads the amount of an event: 1 to [`MAX_AMOUNT`] minor units. `text` is the number as
/// written or the content of the string.
///
/// # Errors
/// The first fault in the order invalid, precision, range (contract A1; rows 13 to 17).
pub fn parse_amount(text: &str, scale: u8) -> Result<i128, AmountFault> {
    let minor = parse_signed(text, scale)?;
    match (1..=MAX_AMOUNT).contains(&minor) {
        true => Ok(minor),
        false => Err(AmountFault::OutOfRange),
    }
}

/// Reads a figure that may be negative or zero (reported balances, floors), within
/// plus or minus [`MAX_AMOUNT`] minor units.
///
/// # Errors
/// As [`parse_amount`].
pub fn parse_signed(text: &str, scale: u8) -> Result<i128, AmountFault> {
    let decimal = match Decimal::parse(text) {
        Ok(decimal) => decimal,
        // Too many digits for 128 bits: the decimals are judged before the size.
        Err(AmountError::Range) => return Err(beyond_128_bits(text, scale)),
        Err(_) => return Err(AmountFault::Invalid),
    };
    if decimal.decimals > scale {
        return Err(AmountFault::Precision);
    }
    let unsigned = Decimal {
        negative: false,
        ..decimal
    };
    let minor = unsigned.to_minor(scale).map_err(|error| match error {
        AmountError::Precision => AmountFault::Precision,
        _ => AmountFault::OutOfRange,
    })?;
    let minor = i128::try_from(minor).map_err(|_| AmountFault::OutOfRange)?;
    if minor > MAX_AMOUNT {
        return Err(AmountFault::OutOfRange);
    }
    Ok(if decimal.negative { -minor } else { minor })
}

fn beyond_128_bits(text: &str, scale: u8) -> AmountFault {
    let decimals = text.split_once('.').map_or(0, |(_, after)| after.len());
    match decimals > usize::from(scale) {
        true => AmountFault::Precision,
        false => AmountFault::OutOfRange,
    }
}

/// `minor` units as a minimal JSON number: no exponent, no needless zeros, no `-0`.
pub fn minimal(minor: i128, scale: u8) -> String {
    let mut text = full(minor, scale);
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text
}

/// `minor` units with exactly `scale` decimals.
pub fn full(minor: i128, scale: u8) -> String {
    let text = format_minor(minor.unsigned_abs(), scale);
    match minor < 0 {
        true => format!("-{text}"),
        false => text,
    }
}

/// How a route prints money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MoneyForm {
    /// Minimal JSON numbers: the default of this room.
    #[default]
    Number,
    /// Decimal strings with the full scale (`?money=string`).
    Text,
}

/// An amount ready to be printed in JSON; exact, never through a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// Minor units.
    pub minor: i128,
    /// Decimals of the currency.
    pub scale: u8,
    /// Number or text.
    pub form: MoneyForm,
}

impl Money {
    /// `minor` units of a currency with `scale` decimals, printed as `form` says.
    pub const fn new(minor: i128, scale: u8, form: MoneyForm) -> Self {
        Self { minor, scale, form }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.form {
            MoneyForm::Number => RawValue::from_string(minimal(self.minor, self.scale))
                .map_err(S::Error::custom)?
                .serialize(serializer),
            MoneyForm::Text => serializer.serialize_str(&full(self.minor, self.scale)),
        }
    }
}

/// Digits in one of the three columns that hold an amount in SQL.
const LIMB: i128 = 10_000_000_000;

/// An amount as three signed columns in base 10^10, so that a database may sum up to 9 * 10^8
/// rows in 64 bits without overflow: `m0 + m1 * 10^10 + m2 * 10^20`. Holds amounts of events
/// (below 10^30) and, since `m2` may grow to 64 bits, sums below 10^38.
pub fn split(minor: i128) -> [i64; 3] {
    let low = minor % LIMB;
    let middle = minor / LIMB % LIMB;
    let high = minor / LIMB / LIMB;
    [low as i64, middle as i64, high as i64]
}

/// The amount behind three columns, or behind the sums of such columns; `None` beyond 128 bits.
pub fn join(columns: [i64; 3]) -> Option<i128> {
    let [low, middle, high] = columns.map(i128::from);
    high.checked_mul(LIMB)?
        .checked_add(middle)?
        .checked_mul(LIMB)?
        .checked_add(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_13_to_17_have_their_codes() {
        fn code(text: &str) -> Result<i128, &'static str> {
            parse_amount(text, 2).map_err(AmountFault::code)
        }
        for text in ["0", "-5", "0.00", "-0"] {
            assert_eq!(code(text), Err("amount_out_of_range"), "{text}");
        }
        for text in ["0.001", "1.005", "10.000"] {
            assert_eq!(code(text), Err("amount_precision"), "{text}");
        }
        for text in ["1e2", "1,5", " 1", "+1", "", "true", "01", ".5", "1."] {
            assert_eq!(code(text), Err("amount_invalid"), "{text}");
        }
        let big = format!("1{}", "0".repeat(28));
        assert_eq!(code(&big), Err("amount_out_of_range"));
        assert_eq!(code(&"9".repeat(60)), Err("amount_out_of_range"));
        assert_eq!(
            code(&format!("1.{}", "0".repeat(60))),
            Err("amount_precision")
        );
        let largest = format!("{}.99", "9".repeat(28));
        assert_eq!(code(&largest), Ok(MAX_AMOUNT));
        assert_eq!(code("0.01"), Ok(1));
        assert_eq!(parse_signed("-3.25", 2), Ok(-325));
    }

    /// INV-S12: printed minimal, from integers.
    #[test]
    fn numbers_are_minimal() {
        let cases = [
            (75_000, "750"),
            (10, "0.1"),
            (-325, "-3.25"),
            (0, "0"),
            (1, "0.01"),
            (1_000_000, "10000"),
            (-5, "-0.05"),
        ];
        for (minor, text) in cases {
            assert_eq!(minimal(minor, 2), text);
        }
        assert_eq!(minimal(100, 0), "100");
        assert_eq!(minimal(1, 18), "0.000000000000000001");
        let json = serde_json::to_string(&Money::new(-325, 2, MoneyForm::Number)).expect("prints");
        assert_eq!(json, "-3.25");
        let json = serde_json::to_string(&Money::new(75_000, 2, MoneyForm::Text)).expect("prints");
        assert_eq!(json, "\"750.00\"");
    }

    #[test]
    fn columns_hold_every_amount() {
        for minor in [
            0,
            1,
            -1,
            LIMB,
            -LIMB,
            MAX_AMOUNT,
            -MAX_AMOUNT,
            123_456_789_012_345_678_901,
        ] {
            assert_eq!(join(split(minor)), Some(minor));
        }
        assert_eq!(join([3, -1, 0]), Some(3 - LIMB));
    }
}
