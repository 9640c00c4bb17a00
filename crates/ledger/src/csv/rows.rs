//! From a record and the profile to a line of the ledger.

use std::collections::BTreeMap;

use crate::model::{
    AccountId, AccountKind, AssetKind, DESCRIPTION_MAX, METADATA_PAIRS_MAX, METADATA_VALUE_MAX,
};

use super::error::{CsvError, RowError};
use super::profile::{DirectionRule, Piece, Profile, Template};
use super::reader::Record;
use super::value::{Amounts, Dates, Moment, Trouble, excerpt};

/// One line of the file, mapped.
#[derive(Debug)]
pub(super) struct Row {
    pub line: u64,
    pub transfer_id: String,
    pub account_id: String,
    pub counter_account_id: String,
    pub code: String,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub moment: Moment,
    /// Signed minor units, never zero: positive raises the account.
    pub delta: i128,
    /// Printed balance; there when the profile names its column.
    pub after: Option<i128>,
}

/// A profile resolved against a header.
pub(super) struct Mapping<'p> {
    profile: &'p Profile,
    columns: Vec<String>,
    dates: Dates,
    amounts: Amounts,
    date: usize,
    amount: usize,
    direction: Option<(usize, &'p DirectionRule)>,
    balance: Option<usize>,
    transfer_id: Filled,
    account: Filled,
    counter_account: Filled,
    code: Filled,
    description: Option<Filled>,
    metadata: Vec<(&'p str, Filled)>,
}

/// A template whose columns are positions.
struct Filled(Vec<FilledPiece>);

enum FilledPiece {
    Literal(String),
    Column(usize),
}

/// `^[a-z][a-z0-9_]{0,31}$` (contract A2).
fn is_code(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// `^[A-Za-z0-9._-]{1,100}$` (contract A2).
fn is_transfer_id(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// `^[A-Z][A-Z0-9._-]{1,23}$` (contract A1).
fn is_asset_code(text: &str) -> bool {
    (2..=24).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

/// `^[A-Za-z0-9._-]{1,64}$` (contract A1).
fn is_metadata_key(text: &str) -> bool {
    text.len() <= 64 && is_transfer_id(text)
}

/// What the ledger's grammar asks of the profile itself, whatever the file holds.
pub(super) fn check_profile(profile: &Profile) -> Result<(), CsvError> {
    let wrong = |setting, problem: &str| Err(CsvError::profile(setting, problem));
    if !is_asset_code(&profile.asset) {
        return wrong(
            "asset",
            "an asset code is 2 to 24 of A-Z 0-9 . _ -, a letter first",
        );
    }
    if profile.scale > florin_base::money::MAX_SCALE {
        return wrong("scale", "a scale is 0 to 30");
    }
    if AssetKind::from_word(&profile.asset_kind).is_none() {
        return wrong("asset_kind", "expected fiat, crypto, points or other");
    }
    if AccountKind::from_word(&profile.account_kind).is_none() {
        return wrong(
            "account_kind",
            "expected asset, liability, equity, income or expense",
        );
    }
    let delimiter = profile.delimiter;
    if !(delimiter == '\t' || delimiter.is_ascii_punctuation() || delimiter == ' ')
        || delimiter == '"'
    {
        return wrong("delimiter", "expected one of , ; | or a tab");
    }
    if profile.metadata.len() > METADATA_PAIRS_MAX {
        return wrong("metadata", "at most 16 pairs");
    }
    if !profile.metadata.keys().all(|key| is_metadata_key(key)) {
        return wrong("metadata", "keys are 1 to 64 of A-Z a-z 0-9 . _ -");
    }
    if let Some(rule) = &profile.direction
        && rule.inflow.iter().any(|word| rule.outflow.contains(word))
    {
        return wrong("direction", "a word means either in or out");
    }
    Ok(())
}

impl<'p> Mapping<'p> {
    /// Finds the profile's columns in the header.
    pub fn new(profile: &'p Profile, header: &Record) -> Result<Self, CsvError> {
        let columns: Option<Vec<String>> = (0..header.len())
            .map(|index| header.field(index).map(|name| name.trim().to_owned()))
            .collect();
        let columns = columns.ok_or_else(|| RowError {
            line: header.line,
            column: None,
            problem: "the header is not UTF-8".to_owned(),
            fix: "save the file as UTF-8".to_owned(),
        })?;
        let find = |name: &str| find_column(&columns, header.line, name);
        let fill = |template: &Template| {
            let pieces = template.pieces().iter().map(|piece| match piece {
                Piece::Literal(text) => Ok(FilledPiece::Literal(text.clone())),
                Piece::Column(name) if name == "asset" => {
                    Ok(FilledPiece::Literal(profile.asset.clone()))
                }
                Piece::Column(name) => find(name).map(FilledPiece::Column),
            });
            pieces.collect::<Result<_, CsvError>>().map(Filled)
        };
        let metadata = profile.metadata.iter();
        Ok(Self {
            profile,
            dates: Dates::new(&profile.date)?,
            amounts: Amounts::new(&profile.amount, &profile.asset, profile.scale)?,
            date: find(&profile.date.column)?,
            amount: find(&profile.amount.column)?,
            direction: profile
                .direction
                .as_ref()
                .map(|rule| Ok::<_, CsvError>((find(&rule.column)?, rule)))
                .transpose()?,
            balance: profile
                .balance
                .as_ref()
                .map(|rule| find(&rule.column))
                .transpose()?,
            transfer_id: fill(&profile.transfer_id)?,
            account: fill(&profile.account)?,
            counter_account: fill(&profile.counter_account)?,
            code: fill(&profile.code)?,
            description: profile.description.as_ref().map(fill).transpose()?,
            metadata: metadata
                .map(|(key, template)| Ok((key.as_str(), fill(template)?)))
                .collect::<Result<_, CsvError>>()?,
            columns,
        })
    }

    /// Largest rounding of one line, in minor units; `None` when there is nothing to check.
    pub fn tolerance(&self) -> Result<Option<u128>, CsvError> {
        let Some(rule) = &self.profile.balance else {
            return Ok(None);
        };
        let decimal = florin_base::Decimal::parse(&rule.tolerance).ok();
        // A tolerance below one minor unit is none: balances are whole minor units.
        let minor = decimal.and_then(|decimal| {
            let surplus = decimal.decimals.saturating_sub(self.profile.scale);
            let divisor = florin_base::money::pow10(surplus)?;
            let digits = decimal.digits / divisor;
            let decimals = decimal.decimals - surplus;
            let whole = florin_base::Decimal {
                digits,
                decimals,
                ..decimal
            };
            whole.to_minor(self.profile.scale).ok()
        });
        match minor.filter(|minor| *minor <= super::value::MAX_MINOR) {
            Some(minor) => Ok(Some(minor)),
            None => Err(CsvError::profile(
                "balance.tolerance",
                "expected an amount such as 0.10",
            )),
        }
    }

    /// Maps one record; the first thing wrong with it is the error.
    pub fn row(&self, record: &Record) -> Result<Row, RowError> {
        let cells = Cells {
            mapping: self,
            record,
        };
        if record.len() != self.columns.len() {
            let (found, expected) = (record.len(), self.columns.len());
            let problem = format!("{found} fields where the header has {expected}");
            let fix = "quote fields that hold the delimiter, and complete the line";
            return Err(cells.wrong(None, (problem, fix.to_owned())));
        }
        let account_id = cells.text(
            &self.account,
            "account",
            "account ids are 1 to 128 of A-Z a-z 0-9 : . _ @ -, not from `florin:`",
            |id| AccountId::parse(id).is_some_and(|id| !id.is_reserved()),
        )?;
        Ok(Row {
            line: record.line,
            transfer_id: cells.text(
                &self.transfer_id,
                "transfer_id",
                "ids are 1 to 100 of A-Z a-z 0-9 . _ -",
                is_transfer_id,
            )?,
            counter_account_id: cells.text(
                &self.counter_account,
                "counter_account",
                "the other account must be an account id and differ from the account",
                |id| AccountId::parse(id).is_some() && id != account_id,
            )?,
            account_id,
            code: cells.text(
                &self.code,
                "code",
                "codes are 1 to 32 of a-z 0-9 _, a letter first",
                is_code,
            )?,
            description: cells.description()?,
            metadata: cells.metadata()?,
            moment: cells.read(self.date, |cell| self.dates.read(cell))?,
            delta: cells.delta()?,
            after: self
                .balance
                .map(|column| cells.read(column, |cell| self.amounts.read(cell)))
                .transpose()?,
        })
    }
}

/// A record on its way through a mapping.
struct Cells<'a> {
    mapping: &'a Mapping<'a>,
    record: &'a Record,
}

impl Cells<'_> {
    fn wrong(&self, column: Option<usize>, (problem, fix): Trouble) -> RowError {
        RowError {
            line: self.record.line,
            column: column.map(|index| self.mapping.columns[index].clone()),
            problem,
            fix,
        }
    }

    fn cell(&self, index: usize) -> Result<&str, RowError> {
        self.record.field(index).ok_or_else(|| {
            let fix = "save the file as UTF-8".to_owned();
            self.wrong(Some(index), ("not UTF-8".to_owned(), fix))
        })
    }

    fn read<T>(
        &self,
        column: usize,
        read: impl Fn(&str) -> Result<T, Trouble>,
    ) -> Result<T, RowError> {
        read(self.cell(column)?).map_err(|trouble| self.wrong(Some(column), trouble))
    }

    fn render(&self, template: &Filled) -> Result<String, RowError> {
        let mut text = String::new();
        for piece in &template.0 {
            match piece {
                FilledPiece::Literal(literal) => text.push_str(literal),
                FilledPiece::Column(index) => text.push_str(self.cell(*index)?),
            }
        }
        Ok(text)
    }

    /// The template's text if it keeps `rule`, which `valid` decides.
    fn text(
        &self,
        template: &Filled,
        setting: &str,
        rule: &str,
        valid: impl Fn(&str) -> bool,
    ) -> Result<String, RowError> {
        let text = self.render(template)?;
        if valid(&text) {
            return Ok(text);
        }
        let problem = format!("`{}` as `{setting}`: {rule}", excerpt(&text));
        let fix = format!("correct the line, or `{setting}` in the profile");
        Err(self.wrong(template.only_column(), (problem, fix)))
    }

    fn description(&self) -> Result<Option<String>, RowError> {
        let Some(template) = &self.mapping.description else {
            return Ok(None);
        };
        let rule = "descriptions have at most 500 characters";
        let text = self.text(template, "description", rule, |text| {
            text.trim().chars().count() <= DESCRIPTION_MAX
        })?;
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn metadata(&self) -> Result<BTreeMap<String, String>, RowError> {
        let mut metadata = BTreeMap::new();
        for (key, template) in &self.mapping.metadata {
            let rule = "metadata values have at most 512 characters";
            let value = self.text(template, "metadata", rule, |text| {
                text.chars().count() <= METADATA_VALUE_MAX
            })?;
            if !value.is_empty() {
                metadata.insert((*key).to_owned(), value);
            }
        }
        Ok(metadata)
    }

    /// The amount with the sign of its direction, never zero.
    fn delta(&self) -> Result<i128, RowError> {
        let Mapping { amount, .. } = *self.mapping;
        let delta = self.read(amount, |cell| self.mapping.amounts.read(cell))?;
        let wrong = |column, problem: String, fix: &str| {
            Err(self.wrong(Some(column), (problem, fix.to_owned())))
        };
        if delta == 0 {
            let problem = "the amount is zero".to_owned();
            return wrong(amount, problem, "leave the line out");
        }
        let Some((column, rule)) = self.mapping.direction else {
            return Ok(delta);
        };
        if delta < 0 {
            let problem = "negative although another column tells the direction".to_owned();
            let fix = "write it without sign, or leave `direction` out of the profile";
            return wrong(amount, problem, fix);
        }
        let word = self.cell(column)?;
        if rule.inflow.iter().any(|known| known == word) {
            return Ok(delta);
        }
        if rule.outflow.iter().any(|known| known == word) {
            return Ok(-delta);
        }
        let problem = format!("`{}` is no known direction", excerpt(word));
        let fix = "name the word under `in` or `out` of `direction` in the profile";
        wrong(column, problem, fix)
    }
}

fn find_column(columns: &[String], line: u64, name: &str) -> Result<usize, CsvError> {
    let mut found = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| *column == name);
    let (problem, fix) = match (found.next(), found.next()) {
        (Some((index, _)), None) => return Ok(index),
        (Some(_), Some(_)) => (
            "the header names it twice".to_owned(),
            "rename one of the two".to_owned(),
        ),
        (None, _) => (
            "the header does not name it".to_owned(),
            format!(
                "correct the profile or its delimiter; the file has {}",
                excerpt(&columns.join(", "))
            ),
        ),
    };
    let column = Some(name.to_owned());
    Err(RowError {
        line,
        column,
        problem,
        fix,
    }
    .into())
}

impl Filled {
    /// The column to name in an error, when there is just one.
    fn only_column(&self) -> Option<usize> {
        let mut columns = self.0.iter().filter_map(|piece| match piece {
            FilledPiece::Column(index) => Some(*index),
            FilledPiece::Literal(_) => None,
        });
        let first = columns.next()?;
        columns.next().is_none().then_some(first)
    }
}
