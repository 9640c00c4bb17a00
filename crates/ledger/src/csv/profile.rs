//! The mapping profile: which column means what. Read from TOML by the caller.
//!
//! `docs/examples/bank-csv.toml` shows every setting. Settings left out take the defaults named
//! here; unknown settings are refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How the lines of one bank's or system's CSV become ledger lines. Columns are named as in the
/// file's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Code of the asset of all lines.
    pub asset: String,
    /// Decimals of the asset: how amounts become minor units.
    pub scale: u8,
    /// Kind of the asset (`fiat`, `crypto`, `points`, `other`), should it not exist yet.
    #[serde(default = "default_asset_kind")]
    pub asset_kind: String,
    /// One ASCII character between fields.
    #[serde(default = "default_delimiter")]
    pub delimiter: char,
    /// Id of the transfer; must be unique in the file, or importing again could not be told
    /// from new lines.
    pub transfer_id: Template,
    /// Id of the account that the line is about; made on first use.
    pub account: Template,
    /// Kind of these accounts: `liability` for money held for customers, `asset` for one's own
    /// account at a bank. Money coming in raises the account whatever its kind.
    #[serde(default = "default_account_kind")]
    pub account_kind: String,
    /// The other side of every transfer. One that does not start with `florin:` must exist.
    #[serde(default = "default_counter_account")]
    pub counter_account: Template,
    /// Type code of the transfers.
    #[serde(default = "default_code")]
    pub code: Template,
    /// Description; left out on lines where it comes out empty.
    #[serde(default)]
    pub description: Option<Template>,
    /// Metadata by key; keys whose value comes out empty are left out.
    #[serde(default)]
    pub metadata: BTreeMap<String, Template>,
    /// When a line counts.
    pub date: DateRule,
    /// Whether money came in or went out. Without it the sign of the amount says so.
    #[serde(default)]
    pub direction: Option<DirectionRule>,
    /// How much.
    pub amount: AmountRule,
    /// The printed balance after each line. Without it nothing is checked.
    #[serde(default)]
    pub balance: Option<BalanceRule>,
}

/// Where the date stands and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateRule {
    /// Column of the date.
    pub column: String,
    /// `%Y` (four digits), `%m`, `%d`, `%H`, `%M`, `%S` (two digits), `%-d`, `%-m` (one or
    /// two), `%%`; all else literally.
    #[serde(default = "default_date_format")]
    pub format: String,
    /// Local time `HH:MM:SS` at which lines of a date without time count. Default midnight.
    #[serde(default)]
    pub time_of_day: Option<String>,
    /// Offset of local time from UTC, `+HH:MM` or `-HH:MM`. Default UTC.
    #[serde(default = "default_offset")]
    pub utc_offset: String,
}

/// The words for money coming in (raising the account) and going out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectionRule {
    /// Column of the word.
    pub column: String,
    /// Words that mean in, seen from the account holder (for many banks `credit`).
    #[serde(rename = "in")]
    pub inflow: Vec<String>,
    /// Words that mean out.
    #[serde(rename = "out")]
    pub outflow: Vec<String>,
}

/// Where the amount stands and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmountRule {
    /// Column of the amount.
    pub column: String,
    /// Between whole units and decimals, here and in balances.
    #[serde(default = "default_decimal_separator")]
    pub decimal_separator: char,
    /// Between groups of three digits, here and in balances.
    #[serde(default)]
    pub thousands_separator: Option<char>,
}

/// Where the printed balance stands and how exact it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalanceRule {
    /// Column of the balance after the line.
    pub column: String,
    /// Largest difference of one line that still counts as rounding, in units of the asset.
    #[serde(default = "default_tolerance")]
    pub tolerance: String,
}

fn default_asset_kind() -> String {
    "fiat".to_owned()
}

fn default_delimiter() -> char {
    ','
}

fn default_account_kind() -> String {
    "liability".to_owned()
}

fn default_counter_account() -> Template {
    Template {
        text: "florin:external:{asset}".to_owned(),
        pieces: vec![
            Piece::Literal("florin:external:".to_owned()),
            Piece::Column("asset".to_owned()),
        ],
    }
}

fn default_code() -> Template {
    Template {
        text: "import".to_owned(),
        pieces: vec![Piece::Literal("import".to_owned())],
    }
}

fn default_date_format() -> String {
    "%Y-%m-%d".to_owned()
}

fn default_offset() -> String {
    "+00:00".to_owned()
}

fn default_decimal_separator() -> char {
    '.'
}

fn default_tolerance() -> String {
    "0.10".to_owned()
}

/// A text with `{column}` where the value of a column goes; `{asset}` is the asset's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Column(String),
}

/// Braces of a [`Template`] do not match or name nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a template names columns as {{column}}: braces must match and must not be empty")]
pub struct TemplateError;

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (literal, tail) = rest.split_at(open);
            let (column, tail) = tail
                .strip_prefix('{')
                .and_then(|tail| tail.split_once('}'))
                .ok_or(TemplateError)?;
            if column.is_empty() || column.contains('{') {
                return Err(TemplateError);
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            pieces.push(Piece::Column(column.to_owned()));
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        let text = text.to_owned();
        Ok(Self { text, pieces })
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read_and_refused() {
        let pieces = Template::parse("a-{b c}{d}").unwrap().pieces;
        let column = |name: &str| Piece::Column(name.to_owned());
        let expected = [Piece::Literal("a-".to_owned()), column("b c"), column("d")];
        assert_eq!(pieces, expected);
        for text in ["{", "a}", "{}", "{a{b}}", "{a"] {
            assert_eq!(Template::parse(text), Err(TemplateError), "{text}");
        }
    }

    #[test]
    fn defaults_are_templates_as_written() {
        for template in [default_counter_account(), default_code()] {
            assert_eq!(Template::parse(&template.text), Ok(template));
        }
    }
}
