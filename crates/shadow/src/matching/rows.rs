//! Matches and runs as the tables hold them, for answers.

use florin_base::Timestamp;
use florin_platform::sql::{Db, Query, Row, query};
use serde::Serialize;
use serde_json::Value;

use super::summary::Summary;
use crate::model::{Money, MoneyForm};
use crate::statements::day::Day;
use crate::statements::render::MatchedOut;
use crate::store::WriteError;

type Read<T> = Result<T, WriteError>;

/// A match in JSON.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchOut {
    match_id: String,
    account_id: String,
    currency: String,
    rule: String,
    state: String,
    lines: Vec<String>,
    entries: Vec<String>,
    variance: Money,
    interchangeable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reconciliation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correction_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created_by: String,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    undone_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undone_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo_reason: Option<String>,
    log_seq: i64,
}

impl MatchOut {
    /// Account of its book.
    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    /// As the answer that made it by hand showed it: what was done to it since does not stand in
    /// it.
    #[must_use]
    pub fn as_made(mut self) -> Self {
        let state = match self.correction_id {
            Some(_) => "proposed",
            None => "active",
        };
        state.clone_into(&mut self.state);
        (self.undone_by, self.undone_at, self.undo_reason) = (None, None, None);
        self
    }
}

const MATCH: &str = "SELECT m.number, m.id, m.account_id, m.currency, m.scale, m.rule,
    m.interchangeable, m.state, m.variance, m.correction, m.reason, m.actor, m.created_at,
    m.undone_at, m.undone_by, m.undo_reason, m.log_seq, r.id AS run
    FROM shadow_matches AS m LEFT JOIN shadow_reconciliations AS r ON r.number = m.reconciliation";

/// Ids of both sides of a match.
async fn sides(db: &Db, number: i64) -> Read<(Vec<String>, Vec<String>)> {
    let text = "SELECT side, item FROM shadow_match_items WHERE match_number = $1
        ORDER BY side, day, item";
    let (mut lines, mut entries) = (Vec::new(), Vec::new());
    for row in db.fetch_all(query(text).bind(number)).await? {
        let item: String = row.get("item")?;
        match row.get::<String>("side")?.as_str() {
            "L" => lines.push(item),
            _ => entries.push(item),
        }
    }
    Ok((lines, entries))
}

fn money(row: &Row, form: MoneyForm) -> Read<Money> {
    let damaged = || WriteError::Damaged("match");
    let scale = u8::try_from(row.get::<i64>("scale")?).map_err(|_| damaged())?;
    let variance = row
        .get::<String>("variance")?
        .parse()
        .map_err(|_| damaged())?;
    Ok(Money::new(variance, scale, form))
}

async fn match_out(db: &Db, row: &Row, form: MoneyForm) -> Read<(i64, MatchOut)> {
    let number: i64 = row.get("number")?;
    let (lines, entries) = sides(db, number).await?;
    let out = MatchOut {
        match_id: row.get("id")?,
        account_id: row.get("account_id")?,
        currency: row.get("currency")?,
        rule: row.get("rule")?,
        state: row.get("state")?,
        lines,
        entries,
        variance: money(row, form)?,
        interchangeable: row.get("interchangeable")?,
        reconciliation_id: row.get("run")?,
        correction_id: row.get("correction")?,
        reason: row.get("reason")?,
        created_by: row.get("actor")?,
        created_at: Timestamp(row.get("created_at")?),
        undone_by: row.get("undone_by")?,
        undone_at: row.get::<Option<i64>>("undone_at")?.map(Timestamp),
        undo_reason: row.get("undo_reason")?,
        log_seq: row.get("log_seq")?,
    };
    Ok((number, out))
}

/// A match by its id.
///
/// # Errors
/// The store's.
pub async fn one(db: &Db, id: &str, form: MoneyForm) -> Read<Option<MatchOut>> {
    let text = format!("{MATCH} WHERE m.id = $1");
    match db.fetch_optional(Query::assembled(text).bind(id)).await? {
        Some(row) => Ok(Some(match_out(db, &row, form).await?.1)),
        None => Ok(None),
    }
}

/// Which matches a list shows.
#[derive(Debug, Clone, Default)]
pub struct MatchFilter<'a> {
    /// Only of this account.
    pub account: Option<&'a str>,
    /// Only in this currency.
    pub currency: Option<&'a str>,
    /// Only in this state.
    pub state: Option<&'a str>,
    /// Only by this rule.
    pub rule: Option<&'a str>,
    /// Only behind this number.
    pub after: i64,
    /// Most rows.
    pub limit: usize,
}

/// A page of matches by number.
///
/// # Errors
/// The store's.
pub async fn many(
    db: &Db,
    filter: &MatchFilter<'_>,
    form: MoneyForm,
) -> Read<Vec<(i64, MatchOut)>> {
    let mut text = format!("{MATCH} WHERE m.number > $1");
    let mut args = Vec::new();
    for (column, value) in [
        ("m.account_id", filter.account),
        ("m.currency", filter.currency),
        ("m.state", filter.state),
        ("m.rule", filter.rule),
    ] {
        if let Some(value) = value {
            args.push(value);
            text.push_str(&format!(" AND {column} = ${}", args.len() + 1));
        }
    }
    text.push_str(&format!(" ORDER BY m.number LIMIT {}", filter.limit));
    let mut wanted = Query::assembled(text).bind(filter.after);
    for arg in args {
        wanted = wanted.bind(arg);
    }
    let mut found = Vec::new();
    for row in db.fetch_all(wanted).await? {
        found.push(match_out(db, &row, form).await?);
    }
    Ok(found)
}

/// The match that holds a line.
///
/// # Errors
/// The store's.
pub async fn of_line(db: &Db, line_id: &str, form: MoneyForm) -> Read<Option<MatchedOut>> {
    let text = "SELECT m.number, m.id, m.rule, m.variance, m.scale FROM shadow_match_items AS i
        JOIN shadow_matches AS m ON m.number = i.match_number
        WHERE i.side = 'L' AND i.item = $1 AND i.is_taken";
    let Some(row) = db.fetch_optional(query(text).bind(line_id)).await? else {
        return Ok(None);
    };
    let (lines, entries) = sides(db, row.get("number")?).await?;
    Ok(Some(MatchedOut {
        match_id: row.get("id")?,
        rule: row.get("rule")?,
        lines,
        entries,
        variance: money(&row, form)?,
    }))
}

/// A run as the tables hold it.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// Number in the tables.
    pub number: i64,
    /// `reconciliationId`.
    pub id: String,
    /// Account of its book.
    pub account_id: String,
    /// Currency of its book.
    pub currency: String,
    /// First day.
    pub from: Day,
    /// First day after it.
    pub to: Day,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// Settings, JSON.
    pub settings: Value,
    /// Why it failed, JSON.
    pub problem: Option<Value>,
    /// What it found.
    pub summary: Option<Summary>,
    /// Who asked for it.
    pub actor: String,
    /// When, microseconds.
    pub created_at: i64,
    /// When it ended, microseconds.
    pub finished_at: Option<i64>,
}

const RUN: &str = "SELECT number, id, account_id, currency, from_day, to_day, settings, state,
    problem, summary, actor, created_at, finished_at FROM shadow_reconciliations";

fn run_row(row: &Row) -> Read<RunRow> {
    let damaged = || WriteError::Damaged("reconciliation");
    let day = |column: &str| -> Read<Day> {
        i32::try_from(row.get::<i64>(column)?)
            .map(Day)
            .map_err(|_| damaged())
    };
    let parsed = |text: Option<String>| -> Read<Option<Value>> {
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|_| damaged())
    };
    let summary: Option<String> = row.get("summary")?;
    let summary = summary.map(|text| serde_json::from_str(&text)).transpose();
    Ok(RunRow {
        number: row.get("number")?,
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        currency: row.get("currency")?,
        from: day("from_day")?,
        to: day("to_day")?,
        state: row.get("state")?,
        settings: parsed(Some(row.get("settings")?))?.unwrap_or_default(),
        problem: parsed(row.get("problem")?)?,
        summary: summary.map_err(|_| damaged())?,
        actor: row.get("actor")?,
        created_at: row.get("created_at")?,
        finished_at: row.get("finished_at")?,
    })
}

/// A run by its id.
///
/// # Errors
/// The store's.
pub async fn run(db: &Db, id: &str) -> Read<Option<RunRow>> {
    let text = format!("{RUN} WHERE id = $1");
    let row = db.fetch_optional(Query::assembled(text).bind(id)).await?;
    row.map(|row| run_row(&row)).transpose()
}

/// A page of runs by number, of one account if one is given.
///
/// # Errors
/// The store's.
pub async fn runs(db: &Db, account: Option<&str>, after: i64, limit: usize) -> Read<Vec<RunRow>> {
    let filter = if account.is_some() {
        "AND account_id = $2"
    } else {
        ""
    };
    let text = format!("{RUN} WHERE number > $1 {filter} ORDER BY number LIMIT {limit}");
    let mut wanted = Query::assembled(text).bind(after);
    if let Some(account) = account {
        wanted = wanted.bind(account);
    }
    let rows = db.fetch_all(wanted).await?;
    rows.iter().map(run_row).collect()
}

/// An item of a report.
#[derive(Debug, Clone)]
pub struct ReportItem {
    /// Its place in the report.
    pub place: i64,
    /// `line` or `entry`.
    pub side: String,
    /// `lineId` or `eventId`.
    pub item: String,
    /// Its day.
    pub day: Day,
    /// Signed minor units.
    pub amount: i128,
    /// `matched`, `proposed`, `ambiguous` or `unmatched`.
    pub status: String,
    /// Why it is open.
    pub reason: Option<String>,
    /// Rule of its match.
    pub rule: Option<String>,
    /// Its match.
    pub match_id: Option<String>,
    /// Its first reference.
    pub reference: Option<String>,
    /// Candidates, JSON.
    pub candidates: Option<String>,
}

/// A page of a report's items.
///
/// # Errors
/// The store's.
pub async fn items(db: &Db, run: i64, after: i64, limit: usize) -> Read<Vec<ReportItem>> {
    let text = format!(
        "SELECT place, side, item, day, amount, status, reason, rule, match_id, reference,
            candidates
         FROM shadow_reconciliation_items WHERE reconciliation = $1 AND place > $2
         ORDER BY place LIMIT {limit}"
    );
    let damaged = || WriteError::Damaged("report");
    let mut found = Vec::new();
    for row in db
        .fetch_all(Query::assembled(text).bind(run).bind(after))
        .await?
    {
        found.push(ReportItem {
            place: row.get("place")?,
            side: row.get("side")?,
            item: row.get("item")?,
            day: Day(i32::try_from(row.get::<i64>("day")?).map_err(|_| damaged())?),
            amount: row
                .get::<String>("amount")?
                .parse()
                .map_err(|_| damaged())?,
            status: row.get("status")?,
            reason: row.get("reason")?,
            rule: row.get("rule")?,
            match_id: row.get("match_id")?,
            reference: row.get("reference")?,
            candidates: row.get("candidates")?,
        });
    }
    Ok(found)
}
