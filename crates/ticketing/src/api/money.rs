//! Amounts in bodies: bare decimal strings beside a `currency` (contract, "money inside objects").

use florin_base::money::{AmountError, Decimal, format_minor};
use florin_platform::http::problem::Problem;

use super::problem::field;

/// Most minor units of one amount: a hundred billion units of a currency with three decimals.
pub const MINOR_MAX: i64 = 100_000_000_000_000;

/// Minor units of a decimal of 0 or more.
///
/// # Errors
/// 400 `amount_precision` for more decimals than the currency has, else `validation_failed`.
pub fn minor(name: &str, text: &str, scale: u8) -> Result<i64, Problem> {
    let wrong = || Problem::validation(name.to_owned(), "Must be a decimal of 0 or more.");
    let decimal = Decimal::parse(text).map_err(|_| wrong())?;
    if decimal.negative && decimal.digits != 0 {
        return Err(wrong());
    }
    let minor = decimal.to_minor(scale).map_err(|error| match error {
        AmountError::Precision => field(
            name,
            "amount_precision",
            "More decimals than the currency has.",
        ),
        _ => wrong(),
    })?;
    match i64::try_from(minor) {
        Ok(minor) if minor <= MINOR_MAX => Ok(minor),
        _ => Err(Problem::validation(
            name.to_owned(),
            "The amount is too large.",
        )),
    }
}

/// Minor units as a decimal string, with a sign if negative.
pub fn print(minor: i64, scale: u8) -> String {
    let text = format_minor(u128::from(minor.unsigned_abs()), scale);
    match minor < 0 {
        true => format!("-{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_40_more_decimals_than_the_currency_has() {
        let problem = minor("price", "1000.5", 0).expect_err("yen");
        assert_eq!(problem.code(), "amount_precision");
        assert_eq!(minor("price", "1000", 0).expect("yen"), 1000);
        assert_eq!(minor("price", "12.5", 2).expect("euro"), 1250);
        assert!(minor("price", "-1", 2).is_err());
        assert_eq!(print(-5, 2), "-0.05");
    }
}
