//! The mapping profile: which column means what, and how cells are written (contract D1, CSV).

use serde::{Deserialize, Serialize};

use super::super::input::Charset;
use super::dates::Dates;

/// Most rows that may be skipped before the header.
const SKIP_ROWS_MAX: u32 = 1_000;

/// A column, by the name in the header or by its number from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// By number, from 1.
    Number(u16),
    /// By name.
    Name(String),
}

/// One column or several, joined by a blank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Columns {
    /// One.
    One(Column),
    /// Several.
    Many(Vec<Column>),
}

impl Columns {
    /// As a list.
    pub fn as_slice(&self) -> &[Column] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Which column holds what. Either `amount`, with `sign` or a sign of its own, or `debit` and
/// `credit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ColumnMap {
    /// Day of booking.
    pub date: Column,
    /// Value date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_date: Option<Column>,
    /// Amount, credit positive unless `sign` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Column>,
    /// Amount of money going out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debit: Option<Column>,
    /// Amount of money coming in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<Column>,
    /// The word that gives the sign of `amount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign: Option<Column>,
    /// Currency of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Column>,
    /// References.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end_id: Option<Column>,
    /// References.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<Column>,
    /// References.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servicer_ref: Option<Column>,
    /// References.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_ref: Option<Column>,
    /// References.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_ref: Option<Column>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Columns>,
    /// Name of the other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty_name: Option<Column>,
    /// Account of the other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty_account: Option<Column>,
    /// Balance after the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Column>,
}

/// The words of a `sign` column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signs {
    /// Words for money coming in.
    pub credit: Vec<String>,
    /// Words for money going out.
    pub debit: Vec<String>,
}

impl Default for Signs {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Self {
            credit: words(&["C", "CR", "CRDT", "credit", "+", "H"]),
            debit: words(&["D", "DR", "DBIT", "debit", "-", "S"]),
        }
    }
}

/// How the files of one bank are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// One ASCII character between fields.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// One ASCII character around fields.
    #[serde(default = "quote")]
    pub quote: char,
    /// `UTF-8`, `windows-1252` or `ISO-8859-1`.
    #[serde(default = "utf8")]
    pub encoding: String,
    /// Rows before the header (or before the first line, without header) that are passed over.
    #[serde(default)]
    pub skip_rows: u32,
    /// The first row after them names the columns.
    #[serde(default = "yes")]
    pub header: bool,
    /// `YYYY`, `YY`, `MM`, `M`, `DD`, `D`, `HH`, `mm`, `ss`; all else literally.
    #[serde(default = "iso")]
    pub date_pattern: String,
    /// Zone in which the bank writes dates, `UTC` or `±HH:MM`. The day is kept as written.
    #[serde(default = "utc")]
    pub zone: String,
    /// Between units and decimals.
    #[serde(default = "point")]
    pub decimal_mark: char,
    /// Between groups of three digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thousands_mark: Option<char>,
    /// Currency of rows without one; the default currency where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The newest row comes first.
    #[serde(default)]
    pub newest_first: bool,
    /// Words of the `sign` column.
    #[serde(default)]
    pub signs: Signs,
    /// The columns.
    pub columns: ColumnMap,
}

fn comma() -> char {
    ','
}
fn quote() -> char {
    '"'
}
fn utf8() -> String {
    "UTF-8".to_owned()
}
fn yes() -> bool {
    true
}
fn iso() -> String {
    "YYYY-MM-DD".to_owned()
}
fn utc() -> String {
    "UTC".to_owned()
}
fn point() -> char {
    '.'
}

/// A setting that contradicts itself or the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ProfileError {
    /// The setting, as in JSON.
    pub field: &'static str,
    /// What would be right.
    pub problem: &'static str,
}

impl Profile {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`ProfileError`] naming the setting.
    pub fn check(&self) -> Result<(), ProfileError> {
        let wrong = |field, problem| Err(ProfileError { field, problem });
        let separator =
            |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"\r\n\0".contains(c);
        if !separator(self.delimiter) {
            return wrong(
                "delimiter",
                "one ASCII character, no letter, digit or line break",
            );
        }
        if !separator(self.quote) || self.quote == self.delimiter {
            return wrong("quote", "one ASCII character, another than the delimiter");
        }
        if Charset::from_name(&self.encoding).is_none() {
            return wrong("encoding", "UTF-8, windows-1252 or ISO-8859-1");
        }
        if self.skip_rows > SKIP_ROWS_MAX {
            return wrong("skipRows", "at most 1000");
        }
        if Dates::new(&self.date_pattern).is_none() {
            return wrong("datePattern", "YYYY or YY, MM or M, and DD or D, each once");
        }
        if zone_minutes(&self.zone).is_none() {
            return wrong("zone", "UTC or an offset such as +01:00");
        }
        let mark = |c: char| !c.is_ascii_digit() && !"+-".contains(c) && c != self.quote;
        if !mark(self.decimal_mark) || !self.decimal_mark.is_ascii() {
            return wrong("decimalMark", "one ASCII character, no digit or sign");
        }
        if self
            .thousands_mark
            .is_some_and(|c| !mark(c) || c == self.decimal_mark)
        {
            return wrong(
                "thousandsMark",
                "one character, another than the decimal mark",
            );
        }
        let columns = &self.columns;
        match (&columns.amount, &columns.debit, &columns.credit) {
            (Some(_), None, None) => {}
            (None, Some(_), Some(_)) if columns.sign.is_none() => {}
            _ => return wrong("columns", "amount, amount with sign, or debit with credit"),
        }
        let common = |word: &String| self.signs.credit.contains(word) || word.is_empty();
        if self.signs.debit.iter().any(common) {
            return wrong("signs", "words that are not empty and mean one thing");
        }
        if !self.header && self.all_columns().any(|c| matches!(c, Column::Name(_))) {
            return wrong("columns", "numbers from 1, since the file has no header");
        }
        if self.all_columns().any(|c| *c == Column::Number(0)) {
            return wrong("columns", "columns are numbered from 1");
        }
        Ok(())
    }

    fn all_columns(&self) -> impl Iterator<Item = &Column> {
        let map = &self.columns;
        let some = [
            &map.value_date,
            &map.amount,
            &map.debit,
            &map.credit,
            &map.sign,
            &map.currency,
            &map.end_to_end_id,
            &map.transaction_id,
            &map.servicer_ref,
            &map.customer_ref,
            &map.bank_ref,
            &map.counterparty_name,
            &map.counterparty_account,
            &map.balance,
        ];
        let text = map.text.iter().flat_map(Columns::as_slice);
        std::iter::once(&map.date)
            .chain(some.into_iter().flatten())
            .chain(text)
    }
}

/// Minutes east of UTC of `UTC` or `±HH:MM` (at most 14 hours).
pub fn zone_minutes(zone: &str) -> Option<i32> {
    if zone == "UTC" || zone == "Z" {
        return Some(0);
    }
    let sign = match zone.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two = |text: &str, most: i32| -> Option<i32> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<i32> = digits.then(|| text.parse().ok()).flatten();
        number.filter(|number| *number <= most)
    };
    let total = two(hours, 14)? * 60 + two(minutes, 59)?;
    (total <= 14 * 60).then_some(sign * total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(json: &str) -> Profile {
        serde_json::from_str(json).unwrap_or_else(|e| panic!("{json}: {e}"))
    }

    #[test]
    fn a_short_profile_is_enough() {
        let short = profile(r#"{"columns":{"date":"Date","amount":"Amount"}}"#);
        assert_eq!(short.check(), Ok(()));
        let text = serde_json::to_string(&short).expect("prints");
        assert_eq!(profile(&text), short);
    }

    #[test]
    fn contradictions_are_named() {
        for (json, field) in [
            (
                r#"{"delimiter":"x","columns":{"date":1,"amount":2}}"#,
                "delimiter",
            ),
            (
                r#"{"delimiter":"\"","columns":{"date":1,"amount":2}}"#,
                "quote",
            ),
            (
                r#"{"encoding":"EBCDIC","columns":{"date":1,"amount":2}}"#,
                "encoding",
            ),
            (
                r#"{"datePattern":"YYYY-MM","columns":{"date":1,"amount":2}}"#,
                "datePattern",
            ),
            (r#"{"zone":"CET","columns":{"date":1,"amount":2}}"#, "zone"),
            (
                r#"{"decimalMark":"5","columns":{"date":1,"amount":2}}"#,
                "decimalMark",
            ),
            (
                r#"{"thousandsMark":".","columns":{"date":1,"amount":2}}"#,
                "thousandsMark",
            ),
            (r#"{"columns":{"date":1}}"#, "columns"),
            (r#"{"columns":{"date":1,"amount":2,"debit":3}}"#, "columns"),
            (
                r#"{"header":false,"columns":{"date":"Date","amount":2}}"#,
                "columns",
            ),
            (r#"{"columns":{"date":0,"amount":2}}"#, "columns"),
            (
                r#"{"signs":{"credit":["A"],"debit":["A"]},"columns":{"date":1,"amount":2}}"#,
                "signs",
            ),
        ] {
            assert_eq!(
                profile(json).check().expect_err(json).field,
                field,
                "{json}"
            );
        }
        assert_eq!(zone_minutes("-03:30"), Some(-210));
        assert_eq!(zone_minutes("+15:00"), None);
        assert_eq!(zone_minutes("+é:00"), None);
    }
}
