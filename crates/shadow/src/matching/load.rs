//! What a run reads: open lines and entries of a book as known at one record of the log.

use florin_platform::sql::{Db, Query, Row, query};
use hashbrown::HashSet;

use super::item::{Item, normal};
use crate::model::BookId;
use crate::statements::day::Day;
use crate::statements::stored::{LINE, StoredLine, amount};
use crate::store::WriteError;

type Read<T> = Result<T, WriteError>;

/// Rows of one page.
const PAGE: i64 = 5_000;

/// Where the reconciliation of a book began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// From this day on everything counts by itself.
    pub start_day: Day,
    /// The first statement that counts.
    pub statement: i64,
    /// What was recorded up to here and dated before the start is in the difference.
    pub log_seq: i64,
    /// The bank's opening balance, minor units.
    pub bank_opening: i128,
    /// The shadow's balance before the start, minor units.
    pub shadow_balance: i128,
}

impl Begin {
    /// What differed then.
    pub const fn difference(&self) -> i128 {
        self.bank_opening - self.shadow_balance
    }
}

/// The beginning of a book's reconciliation.
///
/// # Errors
/// The store's.
pub async fn begin(db: &Db, book: &BookId) -> Read<Option<Begin>> {
    let text = "SELECT start_day, statement, log_seq, bank_opening, shadow_balance
        FROM shadow_reconciled_books WHERE account_id = $1 AND currency = $2";
    let wanted = query(text).bind(&book.account_id).bind(&book.currency);
    let Some(row) = db.fetch_optional(wanted).await? else {
        return Ok(None);
    };
    let damaged = || WriteError::Damaged("reconciled book");
    let digits =
        |column: &str| -> Read<i128> { row.get::<String>(column)?.parse().map_err(|_| damaged()) };
    let start_day = i32::try_from(row.get::<i64>("start_day")?).map_err(|_| damaged())?;
    Ok(Some(Begin {
        start_day: Day(start_day),
        statement: row.get("statement")?,
        log_seq: row.get("log_seq")?,
        bank_opening: digits("bank_opening")?,
        shadow_balance: digits("shadow_balance")?,
    }))
}

/// Open lines of some statements, in the order of statement and number.
///
/// # Errors
/// The store's.
pub async fn open_lines(db: &Db, statements: &[i64]) -> Read<Vec<StoredLine>> {
    let text = format!(
        "SELECT {LINE} FROM shadow_lines AS l JOIN shadow_statements AS s ON s.number = l.statement
         WHERE l.statement = $1 AND l.n > $2 AND l.is_open ORDER BY l.n LIMIT {PAGE}"
    );
    let mut found = Vec::new();
    for statement in statements {
        let mut after = 0_i64;
        loop {
            let page = Query::assembled(text.clone()).bind(*statement).bind(after);
            let rows = db.fetch_all(page).await?;
            let last = (rows.len() as i64) < PAGE;
            for row in rows {
                let mut line = StoredLine::from_row(&row)?;
                after = line.n;
                // A run looks at references, days and amounts only.
                line.body = String::new();
                found.push(line);
            }
            if last {
                break;
            }
        }
    }
    Ok(found)
}

/// Σ and count of the lines of some statements that a person ignored.
///
/// # Errors
/// The store's.
pub async fn ignored(db: &Db, statements: &[i64]) -> Read<(i128, i64)> {
    let text = "SELECT CAST(COALESCE(SUM(m0), 0) AS BIGINT) AS m0,
        CAST(COALESCE(SUM(m1), 0) AS BIGINT) AS m1, CAST(COALESCE(SUM(m2), 0) AS BIGINT) AS m2,
        COUNT(*) AS n FROM shadow_lines WHERE statement = $1 AND decision = 'ignore'";
    let (mut sum, mut count) = (0_i128, 0);
    for statement in statements {
        if let Some(row) = db.fetch_optional(query(text).bind(*statement)).await? {
            sum += amount(&row)?;
            count += row.get::<i64>("n")?;
        }
    }
    Ok((sum, count))
}

/// An event of a book as known at a record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// `eventId`.
    pub id: String,
    /// Event time, epoch ms.
    pub ts: i64,
    /// Record that brought it.
    pub log_seq: i64,
    /// Signed minor units.
    pub amount: i128,
    /// Reference.
    pub reference: Option<String>,
    /// Counts in the balance.
    pub applied: bool,
    /// Last change after the first state.
    changed_seq: i64,
}

impl Known {
    /// As an item of a run.
    pub fn item(&self, offset_minutes: i32) -> Item {
        let day = Day::of_millis(self.ts, offset_minutes).0;
        Item::new(
            self.id.as_str(),
            day,
            self.amount,
            self.reference.as_deref(),
        )
    }
}

const EVENT: &str = "SELECT e.event_id, e.ts, e.log_seq, e.m0, e.m1, e.m2, e.reference, e.state,
    e.changed_seq FROM shadow_entries AS e";

const NOT_TAKEN: &str = "NOT EXISTS (SELECT 1 FROM shadow_match_items AS m WHERE m.side = 'E'
    AND m.item = e.event_id AND m.is_taken)";

fn known(row: &Row) -> Read<Known> {
    Ok(Known {
        id: row.get("event_id")?,
        ts: row.get("ts")?,
        log_seq: row.get("log_seq")?,
        amount: amount(row)?,
        reference: row.get("reference")?,
        applied: row.get::<String>("state")? == "applied",
        changed_seq: row.get("changed_seq")?,
    })
}

/// Whether an event was applied at a record of the log.
async fn applied_at(db: &Db, event: &Known, log_seq: i64) -> Read<bool> {
    if event.changed_seq <= log_seq {
        return Ok(event.applied);
    }
    let text = "SELECT state FROM shadow_changes WHERE event_id = $1 AND log_seq <= $2
        ORDER BY log_seq DESC LIMIT 1";
    let wanted = query(text).bind(&event.id).bind(log_seq);
    let state: String = match db.fetch_optional(wanted).await? {
        Some(row) => row.get("state")?,
        None => {
            let first = query("SELECT first_state FROM shadow_entries WHERE event_id = $1");
            let row = db.fetch_optional(first.bind(&event.id)).await?;
            row.ok_or(WriteError::Damaged("entry"))?
                .get("first_state")?
        }
    };
    Ok(state == "applied")
}

/// Events of a book from `from_ms` to before `to_ms` that no match holds, in key order, as known
/// at `log_seq`.
///
/// # Errors
/// The store's.
pub async fn free_events(
    db: &Db,
    book: i64,
    from_ms: i64,
    to_ms: i64,
    log_seq: i64,
) -> Read<Vec<Known>> {
    let text = format!(
        "{EVENT} WHERE e.book_id = $1 AND e.log_seq <= $2 AND e.ts < $3
            AND (e.ts, e.event_id) > ($4, $5) AND {NOT_TAKEN}
         ORDER BY e.ts, e.event_id LIMIT {PAGE}"
    );
    let mut found: Vec<Known> = Vec::new();
    // Greater than every event id, which begins with a letter or a digit.
    let mut after = (from_ms.saturating_sub(1), "~".to_owned());
    loop {
        let page = Query::assembled(text.clone())
            .bind(book)
            .bind(log_seq)
            .bind(to_ms)
            .bind(after.0)
            .bind(&after.1);
        let rows = db.fetch_all(page).await?;
        let last = (rows.len() as i64) < PAGE;
        for row in rows {
            let mut event = known(&row)?;
            event.applied = applied_at(db, &event, log_seq).await?;
            after = (event.ts, event.id.clone());
            found.push(event);
        }
        if last {
            return Ok(found);
        }
    }
}

/// What changed before the start since the reconciliation began.
#[derive(Debug, Clone, Default)]
pub struct Early {
    /// Entries that came or joined later, whether or not a match holds them.
    pub joined: Vec<Known>,
    /// Entries that counted then and do not any more.
    pub left: Vec<Known>,
    /// Those of `joined` that a match holds.
    pub taken: HashSet<String>,
}

/// Events dated before the start that are not what they were when the reconciliation began.
///
/// # Errors
/// The store's.
pub async fn early(db: &Db, book: i64, start_ms: i64, begin: i64, log_seq: i64) -> Read<Early> {
    let text = format!(
        "{EVENT} WHERE e.book_id = $1 AND e.ts < $2 AND e.log_seq <= $3
            AND (e.log_seq > $4 OR e.changed_seq > $4)"
    );
    let wanted = Query::assembled(text)
        .bind(book)
        .bind(start_ms)
        .bind(log_seq)
        .bind(begin);
    let mut found = Early::default();
    for row in db.fetch_all(wanted).await? {
        let mut event = known(&row)?;
        let before = event.log_seq <= begin && applied_at(db, &event, begin).await?;
        event.applied = applied_at(db, &event, log_seq).await?;
        match (before, event.applied) {
            (false, true) => {
                if is_taken(db, &event.id).await? {
                    found.taken.insert(event.id.clone());
                }
                found.joined.push(event);
            }
            (true, false) => found.left.push(event),
            _ => {}
        }
    }
    Ok(found)
}

async fn is_taken(db: &Db, event: &str) -> Read<bool> {
    let text =
        "SELECT 1 AS one FROM shadow_match_items WHERE side = 'E' AND item = $1 AND is_taken";
    Ok(db.fetch_optional(query(text).bind(event)).await?.is_some())
}

/// An item of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenItem {
    /// Number of its match.
    pub match_number: i64,
    /// `active` or `proposed`.
    pub state: String,
    /// Rule of the match.
    pub rule: String,
    /// `L` or `E`.
    pub side: String,
    /// `lineId` or `eventId`.
    pub id: String,
    /// Statement of a line.
    pub statement: Option<i64>,
    /// Its day.
    pub day: Day,
    /// Signed minor units.
    pub amount: i128,
}

/// Items of the matches of a book that may not lie inside the period as a whole, or only wait
/// for an approval: those with an item outside `start..to` or of one of `outside`.
///
/// # Errors
/// The store's.
pub async fn odd_matches(
    db: &Db,
    book: &BookId,
    start: Day,
    to: Day,
    outside: &[i64],
) -> Read<Vec<TakenItem>> {
    let list: Vec<String> = outside.iter().map(i64::to_string).collect();
    let list = if list.is_empty() {
        "-1".to_owned()
    } else {
        list.join(", ")
    };
    let text = format!(
        "SELECT i.match_number, m.state, m.rule, i.side, i.item, i.statement, i.day, i.m0, i.m1,
            i.m2
         FROM shadow_matches AS m JOIN shadow_match_items AS i ON i.match_number = m.number
         WHERE m.account_id = $1 AND m.currency = $2 AND i.is_taken
            AND (m.state = 'proposed' OR EXISTS (SELECT 1 FROM shadow_match_items AS o
                WHERE o.match_number = m.number
                    AND (o.day >= $3 OR o.day < $4 OR o.statement IN ({list}))))
         ORDER BY i.match_number, i.side, i.item"
    );
    let wanted = Query::assembled(text)
        .bind(&book.account_id)
        .bind(&book.currency)
        .bind(to.0)
        .bind(start.0);
    let mut found = Vec::new();
    for row in db.fetch_all(wanted).await? {
        let day =
            i32::try_from(row.get::<i64>("day")?).map_err(|_| WriteError::Damaged("match"))?;
        found.push(TakenItem {
            match_number: row.get("match_number")?,
            state: row.get("state")?,
            rule: row.get("rule")?,
            side: row.get("side")?,
            id: row.get("item")?,
            statement: row.get("statement")?,
            day: Day(day),
            amount: amount(&row)?,
        });
    }
    Ok(found)
}

/// Matches of a book whose lines and entries differ: number and difference.
///
/// # Errors
/// The store's.
pub async fn variances(db: &Db, book: &BookId) -> Read<Vec<(i64, i128)>> {
    let text = "SELECT number, variance FROM shadow_matches WHERE account_id = $1 AND currency = $2
        AND state = 'active' AND variance <> '0'";
    let wanted = query(text).bind(&book.account_id).bind(&book.currency);
    let mut found = Vec::new();
    for row in db.fetch_all(wanted).await? {
        let variance: String = row.get("variance")?;
        let variance = variance.parse().map_err(|_| WriteError::Damaged("match"))?;
        found.push((row.get("number")?, variance));
    }
    Ok(found)
}

/// The line as an item of a run.
pub fn line_item(line: &StoredLine) -> Item {
    let mut item = Item::new(line.id(), line.day.0, line.amount, []);
    item.references = line.refs.clone();
    item.barred = line.is_barred();
    debug_assert!(
        item.references
            .iter()
            .all(|r| normal(r).as_ref() == Some(r))
    );
    item
}
