//! The whole file: read, map, check, put into order.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use florin_base::Timestamp;
use serde_json::json;

use crate::model::{AccountKind, AssetKind};

use super::balance::{self, AccountBalance, BalanceReport, Entry};
use super::error::{CsvError, RowError, RowErrors};
use super::profile::Profile;
use super::reader::{Reader, Record};
use super::rows::{Mapping, Row, check_profile};

/// Most rows of one file; all are held in memory while it is checked.
pub const MAX_ROWS: usize = 2_000_000;

/// An account to be made unless it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportAccount {
    /// Account id.
    pub id: String,
    /// Asset code.
    pub asset: String,
    /// Its kind; the normal side is the kind's.
    pub kind: AccountKind,
}

/// A single transfer to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportTransfer {
    /// Line of the file, from 1.
    pub line: u64,
    /// Transfer id; unique in the file.
    pub id: String,
    /// Account debited.
    pub debit_account_id: String,
    /// Account credited.
    pub credit_account_id: String,
    /// Amount in minor units, above zero.
    pub amount_minor: u128,
    /// Asset code.
    pub asset: String,
    /// Type code.
    pub code: String,
    /// When it counts: microseconds since the epoch, UTC.
    pub effective_at_micros: i64,
    /// Description.
    pub description: Option<String>,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A file, ready to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Code of the asset.
    pub asset: String,
    /// Its decimals.
    pub scale: u8,
    /// Its kind, should it have to be made.
    pub asset_kind: AssetKind,
    /// Accounts in the order in which the transfers first use them. Counter accounts are not
    /// among them.
    pub accounts: Vec<ImportAccount>,
    /// Transfers by time; those of one time and account in the order that explains the printed
    /// balances, otherwise as in the file.
    pub transfers: Vec<ImportTransfer>,
    /// What the printed balances say; `None` when the profile names no balance column.
    pub balances: Option<BalanceReport>,
}

/// [`read`] for bytes in memory; the entry for fuzzing.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], profile: &Profile) -> Result<Import, CsvError> {
    read(bytes, profile)
}

/// Reads a whole file. Progress can be shown by wrapping `input`.
///
/// # Errors
/// [`CsvError::Profile`] when the profile is wrong in itself, [`CsvError::Io`] when `input`
/// fails, [`CsvError::Rows`] with line, column and fix of each wrong row.
pub fn read(input: impl Read, profile: &Profile) -> Result<Import, CsvError> {
    check_profile(profile)?;
    let wrong = |setting| CsvError::profile(setting, "not a known kind");
    let account_kind = AccountKind::from_word(&profile.account_kind);
    let account_kind = account_kind.ok_or_else(|| wrong("account_kind"))?;
    let asset_kind = AssetKind::from_word(&profile.asset_kind);
    let asset_kind = asset_kind.ok_or_else(|| wrong("asset_kind"))?;
    let delimiter = u8::try_from(profile.delimiter)
        .map_err(|_| CsvError::profile("delimiter", "expected an ASCII character"))?;

    let mut reader = Reader::new(input, delimiter);
    let mut record = Record::default();
    if !reader.read(&mut record)? {
        return Err(file_error(1, "the file is empty", "it needs a header line"));
    }
    let mapping = Mapping::new(profile, &record)?;
    let tolerance = mapping.tolerance()?;
    let rows = read_rows(&mut reader, &mapping)?;

    let by_account = group(&rows);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&row| (rows[row].moment.utc_micros, row));
    let balances = tolerance.map(|tolerance| {
        let mut explained = order.clone();
        let accounts = by_account.iter().map(|(account, positions)| {
            let (found, sequence) = check_account(account, positions, &rows, tolerance);
            // In each account's places, its lines in the order that explains them.
            for (position, row) in positions.iter().zip(sequence) {
                explained[*position] = row;
            }
            found
        });
        let report = BalanceReport {
            accounts: accounts.collect(),
        };
        for position in &mut order {
            *position = explained[*position];
        }
        report
    });
    let mut import = Import {
        asset: profile.asset.clone(),
        scale: profile.scale,
        asset_kind,
        accounts: Vec::with_capacity(by_account.len()),
        transfers: Vec::with_capacity(rows.len()),
        balances,
    };
    drop(by_account);
    let mut known = std::collections::HashSet::new();
    let mut rows: Vec<Option<Row>> = rows.into_iter().map(Some).collect();
    for row in order {
        let row = rows[row].take();
        let row = row.expect("the order holds each row once");
        if known.insert(row.account_id.clone()) {
            import.accounts.push(ImportAccount {
                id: row.account_id.clone(),
                asset: profile.asset.clone(),
                kind: account_kind,
            });
        }
        import.transfers.push(transfer(row, profile, account_kind));
    }
    Ok(import)
}

fn file_error(line: u64, problem: &str, fix: &str) -> CsvError {
    RowError {
        line,
        column: None,
        problem: problem.to_owned(),
        fix: fix.to_owned(),
    }
    .into()
}

fn read_rows<R: Read>(reader: &mut Reader<R>, mapping: &Mapping<'_>) -> Result<Vec<Row>, CsvError> {
    let mut record = Record::default();
    let mut rows: Vec<Row> = Vec::new();
    let mut errors = RowErrors::default();
    while reader.read(&mut record)? {
        if rows.len() >= MAX_ROWS {
            let problem = "more than 2,000,000 rows";
            return Err(file_error(
                record.line,
                problem,
                "split the file by account",
            ));
        }
        match mapping.row(&record) {
            Ok(row) => rows.push(row),
            Err(error) => errors.push(error),
        }
    }
    let mut by_id: Vec<usize> = (0..rows.len()).collect();
    by_id.sort_by_key(|&row| (&rows[row].transfer_id, row));
    let mut twins: Vec<(u64, u64)> = by_id
        .windows(2)
        .map(|pair| (&rows[pair[0]], &rows[pair[1]]))
        .filter(|(first, second)| first.transfer_id == second.transfer_id)
        .map(|(first, second)| (second.line, first.line))
        .collect();
    twins.sort_unstable();
    for (line, first) in twins {
        errors.push(RowError {
            line,
            column: None,
            problem: format!("the same transfer id as line {first}"),
            fix: "leave one out, or let `transfer_id` in the profile name more columns".to_owned(),
        });
    }
    errors.listed.sort_by_key(|error| error.line);
    if errors.listed.is_empty() {
        Ok(rows)
    } else {
        Err(CsvError::Rows(errors))
    }
}

/// Positions of the rows of each account, by time, then as in the file.
fn group(rows: &[Row]) -> BTreeMap<&str, Vec<usize>> {
    let mut by_account: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, row) in rows.iter().enumerate() {
        by_account
            .entry(&row.account_id)
            .or_default()
            .push(position);
    }
    for positions in by_account.values_mut() {
        positions.sort_by_key(|&position| (rows[position].moment.utc_micros, position));
    }
    by_account
}

/// The finding for one account, and its rows in the order that explains them.
fn check_account(
    account: &str,
    positions: &[usize],
    rows: &[Row],
    tolerance: u128,
) -> (AccountBalance, Vec<usize>) {
    let entries: Vec<Entry> = positions
        .iter()
        .map(|&position| Entry {
            time: rows[position].moment.utc_micros,
            line: rows[position].line,
            delta: rows[position].delta,
            after: rows[position].after.unwrap_or_default(),
        })
        .collect();
    let finding = balance::check(&entries, tolerance);
    let first_unexplained = positions.get(finding.unexplained.start);
    let day = first_unexplained
        .filter(|_| !finding.unexplained.is_empty())
        .map(|&position| local_day(&rows[position]));
    let mut day_lines: Vec<u64> = entries[finding.unexplained.clone()]
        .iter()
        .map(|entry| entry.line)
        .collect();
    day_lines.sort_unstable();
    let afters = entries.iter().map(|entry| entry.after);
    let found = AccountBalance {
        account_id: account.to_owned(),
        verdict: finding.verdict,
        lines: entries.len() as u64,
        difference_minor: finding.difference,
        inexact_lines: finding.inexact_lines,
        inexactness_minor: finding.inexactness,
        explained_balance_minor: finding.explained_balance,
        day,
        day_lines,
        below_zero_lines: afters.clone().filter(|after| *after < 0).count() as u64,
        lowest_balance_minor: afters.min().unwrap_or_default(),
    };
    let sequence = finding.order.iter().map(|&index| positions[index]);
    (found, sequence.collect())
}

fn local_day(row: &Row) -> String {
    let text = Timestamp(row.moment.local_micros).to_ascii();
    text[..10].iter().map(|byte| char::from(*byte)).collect()
}

fn transfer(row: Row, profile: &Profile, kind: AccountKind) -> ImportTransfer {
    let debit_normal = matches!(kind, AccountKind::Asset | AccountKind::Expense);
    let raises = row.delta > 0;
    // A debit raises a debit-normal account, a credit the others.
    let (debit_account_id, credit_account_id) = if raises == debit_normal {
        (row.account_id, row.counter_account_id)
    } else {
        (row.counter_account_id, row.account_id)
    };
    ImportTransfer {
        line: row.line,
        id: row.transfer_id,
        debit_account_id,
        credit_account_id,
        amount_minor: row.delta.unsigned_abs(),
        asset: profile.asset.clone(),
        code: row.code,
        effective_at_micros: row.moment.utc_micros,
        description: row.description,
        metadata: row.metadata,
    }
}

impl Import {
    /// Writes the file as lines of the ledger's import route (contract A10): the asset, the
    /// accounts, the transfers, each a JSON object and `\n`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_lines(&self, mut out: impl Write) -> io::Result<()> {
        let kind = self.asset_kind.word();
        let asset = json!({
            "type": "asset", "code": self.asset, "scale": self.scale, "kind": kind,
        });
        writeln!(out, "{asset}")?;
        for account in &self.accounts {
            let line = json!({
                "type": "account", "id": account.id, "asset": account.asset,
                "kind": account.kind.word(),
            });
            writeln!(out, "{line}")?;
        }
        for transfer in &self.transfers {
            writeln!(out, "{}", transfer.to_line())?;
        }
        Ok(())
    }
}

impl ImportTransfer {
    fn to_line(&self) -> serde_json::Value {
        let effective_at = Timestamp(self.effective_at_micros).to_string();
        let mut line = json!({
            "type": "transfer", "id": self.id, "mode": "single",
            "debitAccountId": self.debit_account_id,
            "creditAccountId": self.credit_account_id,
            "amountMinor": self.amount_minor.to_string(),
            "asset": self.asset, "code": self.code, "effectiveAt": effective_at,
        });
        if let Some(description) = &self.description {
            line["description"] = json!(description);
        }
        if !self.metadata.is_empty() {
            line["metadata"] = json!(self.metadata);
        }
        line
    }
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "random_tests.rs"]
mod random_tests;
