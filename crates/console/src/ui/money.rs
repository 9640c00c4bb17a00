//! Amounts: exact decimals with their currency. Texts and integers only, never floats.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use crate::api::{ApiError, Client, items, number, text};

/// Decimals of each asset of the ledger.
#[derive(Debug, Clone, Default)]
pub struct Scales(BTreeMap<String, usize>);

impl Scales {
    /// Asks the API for the assets.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn load(api: &Client) -> Result<Self, ApiError> {
        let assets = api
            .get("/api/v1/ledger/assets")
            .query("limit", "500")
            .json()
            .await?;
        let of = |asset: &Value| {
            let scale = usize::try_from(number(asset, "scale")).unwrap_or(0);
            (text(asset, "code").to_owned(), scale)
        };
        Ok(Self(items(&assets, "items").iter().map(of).collect()))
    }

    /// Decimals of an asset; `None` when it is not known.
    pub fn of(&self, asset: &str) -> Option<usize> {
        self.0.get(asset).copied()
    }

    /// Codes of all assets.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Minor units as a decimal; as they are when the asset is not known.
    pub fn decimal(&self, minor: &str, asset: &str) -> String {
        match self.of(asset) {
            Some(scale) => decimal(minor, scale),
            None => minor.to_owned(),
        }
    }

    /// Minor units as an amount of money.
    pub fn money(&self, minor: &str, asset: &str) -> Markup {
        match self.of(asset) {
            Some(scale) => money(&decimal(minor, scale), asset),
            None => html! { (money(minor, asset)) " " span.note { "minor units" } },
        }
    }
}

/// Whole minor units, signed or not, as a decimal with `scale` places. Any other text comes back
/// as it is.
pub fn decimal(minor: &str, scale: usize) -> String {
    let (sign, digits) = match minor.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", minor),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || scale == 0 {
        return minor.to_owned();
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{part}")
}

/// A decimal as an integer of minor units of `scale` places; `None` when it has more, or is none.
pub fn minor(decimal: &str, scale: usize) -> Option<i128> {
    let (sign, rest) = match decimal.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, decimal),
    };
    let (whole, part) = rest.split_once('.').unwrap_or((rest, ""));
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || part.len() > scale {
        return None;
    }
    let digits = format!("{whole}{part:0<scale$}");
    digits.parse::<i128>().ok().map(|value| sign * value)
}

/// An exact amount with its currency. Groups of three stand apart to the eye only: what is copied
/// is the plain number.
pub fn money(amount: &str, currency: &str) -> Markup {
    html! {
        span.money {
            (amount_only(amount))
            @if !currency.is_empty() { " " span.currency { (currency) } }
        }
    }
}

/// The same without the currency, where the column has it.
pub fn amount_only(amount: &str) -> Markup {
    let (sign, rest) = match amount.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", amount),
    };
    let (whole, part) = match rest.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (rest, None),
    };
    let numeric = whole.bytes().all(|b| b.is_ascii_digit());
    html! {
        span.amount.minus[sign == "-"] {
            (sign)
            @if numeric {
                @for (index, group) in triads(whole).into_iter().enumerate() {
                    span.g[index > 0] { (group) }
                }
            } @else { (whole) }
            @if let Some(part) = part { "." (part) }
        }
    }
}

/// Groups of three digits from the right.
fn triads(whole: &str) -> Vec<&str> {
    let first = whole.len() % 3;
    let mut groups = Vec::new();
    if first > 0 || whole.is_empty() {
        groups.push(&whole[..first]);
    }
    let rest = &whole[first..];
    groups.extend((0..rest.len()).step_by(3).map(|at| &rest[at..at + 3]));
    groups
}

/// A count, grouped like an amount.
pub fn count(number: u64) -> Markup {
    amount_only(&number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_become_decimals_of_any_size() {
        for (minor_units, scale, shown) in [
            ("0", 2, "0.00"),
            ("5", 2, "0.05"),
            ("-12345", 2, "-123.45"),
            ("7", 0, "7"),
            ("1", 18, "0.000000000000000001"),
            (
                "340282366920938463463374607431768211455",
                2,
                "3402823669209384634633746074317682114.55",
            ),
        ] {
            assert_eq!(decimal(minor_units, scale), shown);
        }
        assert_eq!(decimal("n/a", 2), "n/a");
    }

    #[test]
    fn decimals_become_minor_units() {
        assert_eq!(minor("-1.5", 2), Some(-150));
        assert_eq!(minor("12", 2), Some(1_200));
        assert_eq!(minor("1.234", 2), None);
        assert_eq!(minor("x", 2), None);
    }

    #[test]
    fn groups_are_only_for_the_eye() {
        let shown = amount_only("-1234567.80").into_string();
        let text: String = {
            let mut inside = false;
            let outside = |c: char| {
                match c {
                    '<' => inside = true,
                    '>' => inside = false,
                    _ => return (!inside).then_some(c),
                }
                None
            };
            shown.chars().filter_map(outside).collect()
        };
        assert_eq!(text, "-1234567.80");
        assert!(shown.contains("<span class=\"g\">234</span>"));
    }
}
