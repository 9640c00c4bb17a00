//! Imports, statements and lines in JSON (contract D1).

use florin_base::Timestamp;
use florin_platform::sql::Db;
use serde::Serialize;
use serde_json::{Value, json};

use super::day::Day;
use super::model::{Balance, Counterparty, Original, References};
use super::stored::{LineBody, Statement, StoredLine};
use super::tables;
use crate::model::{Money, MoneyForm};
use crate::store::WriteError;

/// A balance with its day.
#[derive(Debug, Clone, Serialize)]
pub struct BalanceOut {
    amount: Money,
    date: Day,
}

/// A statement.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementOut {
    statement_id: String,
    bank_statement_id: String,
    sequence: Option<i64>,
    page: Option<i64>,
    account_ref: String,
    account_id: String,
    currency: String,
    format: String,
    opening: Option<BalanceOut>,
    closing: Option<BalanceOut>,
    lines: i64,
    total: Money,
    pending: i64,
    information: i64,
    proven: bool,
    continuity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<Money>,
    deviations: Vec<String>,
    warnings: Vec<String>,
    digest: String,
    log_seq: i64,
    recorded_at: Timestamp,
}

impl StatementOut {
    /// For printing.
    pub fn new(statement: Statement, form: MoneyForm) -> Self {
        let money = |minor| Money::new(minor, statement.scale, form);
        let balance = |balance: Balance| BalanceOut {
            amount: money(balance.amount),
            date: balance.day,
        };
        Self {
            opening: statement.opening.map(balance),
            closing: statement.closing.map(balance),
            total: money(statement.total),
            gap: statement.gap.map(money),
            statement_id: statement.id,
            bank_statement_id: statement.bank_statement_id,
            sequence: statement.sequence,
            page: statement.page,
            account_ref: statement.account_ref,
            account_id: statement.account_id,
            currency: statement.currency,
            format: statement.format,
            lines: statement.lines,
            pending: statement.pending,
            information: statement.information,
            proven: statement.proven,
            continuity: statement.continuity,
            deviations: statement.deviations,
            warnings: statement.warnings,
            digest: hex::encode(&statement.content),
            log_seq: statement.log_seq,
            recorded_at: Timestamp(statement.recorded_at),
        }
    }
}

/// A statement as the answer of an import names it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportedOut {
    statement_id: String,
    account_id: String,
    currency: String,
    opening_balance: Option<Money>,
    closing_balance: Option<Money>,
    lines: i64,
    proven: bool,
    continuity: String,
    duplicate: bool,
    deviations: Vec<String>,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<Money>,
}

/// The answer of an import.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportOut {
    import_id: String,
    file_digest: String,
    statements: Vec<ImportedOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<Value>,
}

/// An import by its id.
///
/// # Errors
/// The store's.
pub async fn import(db: &Db, id: &str, form: MoneyForm) -> Result<Option<ImportOut>, WriteError> {
    let Some(row) = tables::import(db, id).await? else {
        return Ok(None);
    };
    let items: Vec<Value> =
        serde_json::from_str(&row.items).map_err(|_| WriteError::Damaged("import"))?;
    let mut out = ImportOut {
        import_id: row.id,
        file_digest: hex::encode(row.file_digest),
        statements: Vec::with_capacity(items.len()),
        refused: Vec::new(),
    };
    for mut item in items {
        if let Some(refused) = item.get_mut("refused") {
            out.refused.push(refused.take());
            continue;
        }
        let number = item["statement"]
            .as_i64()
            .ok_or(WriteError::Damaged("import"))?;
        let statement = tables::statement_numbered(db, number).await?;
        let statement = statement.ok_or(WriteError::Damaged("import"))?;
        let money = |minor| Money::new(minor, statement.scale, form);
        out.statements.push(ImportedOut {
            opening_balance: statement.opening.map(|balance| money(balance.amount)),
            closing_balance: statement.closing.map(|balance| money(balance.amount)),
            gap: statement.gap.map(money),
            statement_id: statement.id,
            account_id: statement.account_id,
            currency: statement.currency,
            lines: statement.lines,
            proven: statement.proven,
            continuity: statement.continuity,
            duplicate: item["duplicate"] == json!(true),
            deviations: statement.deviations,
            warnings: statement.warnings,
        });
    }
    Ok(Some(out))
}

/// One of several transactions inside a line.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DetailOut {
    amount: Option<Money>,
    references: References,
    counterparty: Counterparty,
    text: Option<Box<str>>,
}

/// A match as a line shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchedOut {
    /// Its id.
    pub match_id: String,
    /// Its rule.
    pub rule: String,
    /// Lines of it.
    pub lines: Vec<String>,
    /// Entries of it.
    pub entries: Vec<String>,
    /// Lines − entries.
    pub variance: Money,
}

/// A line.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LineOut {
    line_id: String,
    statement_id: String,
    n: i64,
    booking_date: Day,
    value_date: Option<Day>,
    amount: Money,
    currency: String,
    reversal: bool,
    references: References,
    counterparty: Counterparty,
    text: Option<Box<str>>,
    code: Option<Box<str>>,
    charges: Option<Money>,
    original: Option<Original>,
    details: Vec<DetailOut>,
    occurrence: i64,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates: Option<Value>,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    matched: Option<MatchedOut>,
}

impl LineOut {
    /// For printing; `matched` where the line is in a match.
    ///
    /// # Errors
    /// [`WriteError::Damaged`].
    pub fn new(
        line: StoredLine,
        currency: &str,
        scale: u8,
        form: MoneyForm,
        matched: Option<MatchedOut>,
    ) -> Result<Self, WriteError> {
        let damaged = || WriteError::Damaged("line");
        let body: LineBody = serde_json::from_str(&line.body).map_err(|_| damaged())?;
        let money = |minor| Money::new(minor, scale, form);
        let digits = |text: Option<String>| -> Result<Option<Money>, WriteError> {
            let Some(text) = text else { return Ok(None) };
            text.parse()
                .map(|minor| Some(money(minor)))
                .map_err(|_| damaged())
        };
        let mut details = Vec::with_capacity(body.details.len());
        for detail in body.details {
            details.push(DetailOut {
                amount: digits(detail.minor)?,
                references: detail.references,
                counterparty: detail.counterparty,
                text: detail.text,
            });
        }
        let status = line.status();
        let candidates = line.candidates.as_deref().filter(|_| status == "ambiguous");
        let reason = match (status, line.is_barred()) {
            ("unmatched", true) => Some("possible_duplicate_line".to_owned()),
            ("unmatched", false) => Some(line.reason.clone().unwrap_or("no_candidate".to_owned())),
            _ => None,
        };
        Ok(Self {
            line_id: line.id(),
            n: line.n,
            booking_date: line.day,
            value_date: line.value_day,
            amount: money(line.amount),
            currency: currency.to_owned(),
            reversal: body.reversal,
            references: body.references,
            counterparty: body.counterparty,
            text: body.text,
            code: body.code,
            charges: digits(body.charges)?,
            original: body.original,
            details,
            occurrence: line.occurrence,
            status,
            reason,
            candidates: candidates
                .map(serde_json::from_str)
                .transpose()
                .map_err(|_| damaged())?,
            statement_id: line.statement_id,
            decision: line.decision,
            matched,
        })
    }
}
