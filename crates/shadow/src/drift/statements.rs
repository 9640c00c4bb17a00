//! What the tables of statements say, as evidence.

use florin_platform::sql::{Db, Query, Row};

use super::evidence::{Asking, Closing, Evidence, StatementFact};
use super::explain::{DAY_MS, LineFact};
use super::table::number;
use crate::model::BookId;
use crate::model::amount::join;
use crate::statements::csv::zone_minutes;
use crate::statements::stored::line_id;
use crate::store::WriteError;

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// Reads the tables of statements and lines.
#[derive(Debug, Clone)]
pub struct SqlEvidence {
    db: Db,
}

const CLOSING: &str = "SELECT s.id, s.account_id, s.currency, s.closing, s.closing_day,
        s.continuity, s.recorded_at, b.zone
    FROM shadow_statements AS s LEFT JOIN shadow_books AS b
        ON b.account_id = s.account_id AND b.currency = s.currency
    WHERE s.closing IS NOT NULL AND s.closing_day IS NOT NULL AND NOT s.closing_intermediate
        AND s.proven AND NOT EXISTS (
            SELECT 1 FROM shadow_statements AS later
            WHERE later.account_id = s.account_id AND later.currency = s.currency
                AND later.closing IS NOT NULL AND NOT later.closing_intermediate AND later.proven
                AND (later.closing_day > s.closing_day
                    OR (later.closing_day = s.closing_day AND later.number > s.number)))";

fn offset_ms(zone: Option<String>) -> i64 {
    let minutes = zone.as_deref().and_then(zone_minutes).unwrap_or(0);
    i64::from(minutes) * MINUTE_MS
}

/// Last millisecond of a day in a zone.
fn end_of(day: i64, offset: i64) -> i64 {
    (day + 1) * DAY_MS - offset - 1
}

fn closing(row: &Row) -> Result<Closing, WriteError> {
    let recorded: i64 = row.get("recorded_at")?;
    let gap = row.get::<String>("continuity")? == "gap";
    Ok(Closing {
        book: BookId::new(
            row.get::<String>("account_id")?,
            row.get::<String>("currency")?,
        ),
        statement: row.get("id")?,
        balance: number(&row.get::<String>("closing")?)?,
        closes_at: end_of(row.get("closing_day")?, offset_ms(row.get("zone")?)),
        imported_at: recorded,
        gap_since: gap.then_some(recorded),
    })
}

impl SqlEvidence {
    /// Over the tables of a shadow ledger.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    async fn zone(&self, book: &BookId) -> Result<i64, WriteError> {
        let text = "SELECT zone FROM shadow_books WHERE account_id = $1 AND currency = $2";
        let statement = florin_platform::sql::query(text)
            .bind(&book.account_id)
            .bind(&book.currency);
        let row = self.db.fetch_optional(statement).await?;
        Ok(match row {
            Some(row) => offset_ms(row.get("zone")?),
            None => 0,
        })
    }

    async fn read_statement(&self, id: &str) -> Result<Option<StatementFact>, WriteError> {
        let text = "SELECT account_id, currency, closing, closing_day, last_day
            FROM shadow_statements WHERE id = $1";
        let row = self
            .db
            .fetch_optional(florin_platform::sql::query(text).bind(id))
            .await?;
        let Some(row) = row else { return Ok(None) };
        let book = BookId::new(
            row.get::<String>("account_id")?,
            row.get::<String>("currency")?,
        );
        let closing: Option<String> = row.get("closing")?;
        let day: Option<i64> = row.get("closing_day")?;
        let day = match day {
            Some(day) => day,
            None => row.get("last_day")?,
        };
        let offset = self.zone(&book).await?;
        Ok(Some(StatementFact {
            closing: closing.as_deref().map(number).transpose()?,
            closes_at: end_of(day, offset),
            book,
        }))
    }

    async fn read_lines(
        &self,
        book: &BookId,
        (from, until): (i64, i64),
        statement: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LineFact>, WriteError> {
        let offset = self.zone(book).await?;
        let day_of = |at: i64| at.saturating_add(offset).div_euclid(DAY_MS);
        let one = if statement.is_some() {
            "AND s.id = $6"
        } else {
            ""
        };
        let text = format!(
            "SELECT s.id, s.proven, l.n, l.day, l.m0, l.m1, l.m2, l.refs, l.is_open, l.duplicate,
                l.decision, l.candidates
             FROM shadow_statements AS s JOIN shadow_lines AS l ON l.statement = s.number
             WHERE s.account_id = $1 AND s.currency = $2 AND s.last_day >= $3
                AND l.day >= $3 AND l.day <= $4 {one}
             ORDER BY l.day, s.id, l.n LIMIT $5"
        );
        let mut query = Query::assembled(text)
            .bind(&book.account_id)
            .bind(&book.currency)
            .bind(day_of(from))
            .bind(day_of(until))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        if let Some(statement) = statement {
            query = query.bind(statement);
        }
        let mut lines = Vec::new();
        for row in self.db.fetch_all(query).await? {
            let id: String = row.get("id")?;
            let columns = [row.get("m0")?, row.get("m1")?, row.get("m2")?];
            let refs: Option<String> = row.get("refs")?;
            let decision: Option<String> = row.get("decision")?;
            let doubted = row.get::<bool>("duplicate")? && decision.as_deref() != Some("keep");
            let ambiguous = row.get::<Option<String>>("candidates")?.is_some();
            lines.push(LineFact {
                id: line_id(&id, row.get("n")?),
                at: row.get::<i64>("day")? * DAY_MS - offset,
                amount: join(columns).ok_or(WriteError::Damaged("amount of a line"))?,
                references: refs
                    .as_deref()
                    .unwrap_or_default()
                    .lines()
                    .map(str::to_owned)
                    .collect(),
                open: row.get::<bool>("is_open")? && !doubted && !ambiguous,
                proven: row.get("proven")?,
            });
        }
        Ok(lines)
    }

    async fn read_closings(
        &self,
        after: Option<&BookId>,
        limit: usize,
    ) -> Result<Vec<Closing>, WriteError> {
        let text = format!(
            "{CLOSING} AND (s.account_id, s.currency) > ($1, $2)
             ORDER BY s.account_id, s.currency LIMIT $3"
        );
        let (account, currency) = after.map_or(("", ""), |book| {
            (book.account_id.as_str(), book.currency.as_str())
        });
        let query = Query::assembled(text)
            .bind(account)
            .bind(currency)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.db.fetch_all(query).await?;
        rows.iter().map(closing).collect()
    }

    async fn read_closing(&self, book: &BookId) -> Result<Option<Closing>, WriteError> {
        let text = format!("{CLOSING} AND s.account_id = $1 AND s.currency = $2 LIMIT 1");
        let query = Query::assembled(text)
            .bind(&book.account_id)
            .bind(&book.currency);
        let row = self.db.fetch_optional(query).await?;
        row.as_ref().map(closing).transpose()
    }
}

impl Evidence for SqlEvidence {
    fn statement<'a>(&'a self, id: &'a str) -> Asking<'a, Option<StatementFact>> {
        Box::pin(self.read_statement(id))
    }

    fn lines<'a>(
        &'a self,
        book: &'a BookId,
        window: (i64, i64),
        statement: Option<&'a str>,
        limit: usize,
    ) -> Asking<'a, Vec<LineFact>> {
        Box::pin(self.read_lines(book, window, statement, limit))
    }

    fn closings<'a>(&'a self, after: Option<&'a BookId>, limit: usize) -> Asking<'a, Vec<Closing>> {
        Box::pin(self.read_closings(after, limit))
    }

    fn closing<'a>(&'a self, book: &'a BookId) -> Asking<'a, Option<Closing>> {
        Box::pin(self.read_closing(book))
    }
}
