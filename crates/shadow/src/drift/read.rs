//! Balances and records as the tables hold them, for checks. Reading only.

use std::collections::HashMap;

use florin_platform::sql::{Db, Query, Row};

use crate::model::BookId;
use crate::model::amount::join;
use crate::store::WriteError;

/// Keys of one statement.
const KEYS: usize = 500;

/// A book as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookNow {
    /// Its number in the tables.
    pub number: i64,
    /// Mirrors an account of our own ledger.
    pub linked: bool,
    /// Recorded events in any state.
    pub events: i64,
    /// All applied events, minor units.
    pub balance: i128,
    /// Event time of the last entry, epoch ms.
    pub last_ts: Option<i64>,
    /// Blocks with checkpointed sums.
    pub blocks: i64,
    /// Record that last changed it.
    pub log_seq: i64,
    /// Its own tolerance as it was set, JSON.
    pub tolerance: Option<String>,
}

/// Books at one instant.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// The newest record then.
    pub head: i64,
    /// Those that have a row.
    pub books: HashMap<BookId, BookNow>,
}

/// `(?, ?, …)` or `($1, $2, …)`: SQLite finds plain marks faster.
pub fn marks(db: &Db, first: usize, count: usize) -> String {
    let numbered = db.is_shared();
    let mark = |n: usize| match numbered {
        true => format!("${n}"),
        false => "?".to_owned(),
    };
    let all: Vec<String> = (first..first + count).map(mark).collect();
    format!("({})", all.join(", "))
}

fn money(row: &Row) -> Result<i128, WriteError> {
    let columns = [row.get("m0")?, row.get("m1")?, row.get("m2")?];
    join(columns).ok_or(WriteError::Damaged("amount"))
}

/// All books of some accounts.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn books(db: &Db, accounts: &[&str]) -> Result<Look, WriteError> {
    let mut look = Look::default();
    for keys in accounts.chunks(KEYS) {
        let text = format!(
            "SELECT h.log_seq AS head, b.book_id, b.account_id, b.currency, b.linked, b.events,
                b.m0, b.m1, b.m2, b.last_ts, b.blocks, b.log_seq, b.tolerance
             FROM shadow_head AS h LEFT JOIN shadow_books AS b ON b.account_id IN {}
             WHERE h.one = 1",
            marks(db, 1, keys.len())
        );
        let mut statement = Query::assembled(text);
        for key in keys {
            statement = statement.bind(*key);
        }
        for row in db.fetch_all(statement).await? {
            look.head = row.get("head")?;
            let Some(account) = row.get::<Option<String>>("account_id")? else {
                continue;
            };
            let book = BookNow {
                number: row.get("book_id")?,
                linked: row.get("linked")?,
                events: row.get("events")?,
                balance: money(&row)?,
                last_ts: row.get("last_ts")?,
                blocks: row.get("blocks")?,
                log_seq: row.get("log_seq")?,
                tolerance: row.get("tolerance")?,
            };
            let id = BookId::new(account, row.get::<String>("currency")?);
            look.books.insert(id, book);
        }
    }
    Ok(look)
}

/// A balance at an instant, and the record that last changed the book when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Minor units.
    pub balance: i128,
    /// Record that last changed the book.
    pub log_seq: i64,
}

/// Balances of books at one instant (inclusive), by number; books of several blocks are read by
/// their checkpointed sums.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn balances_at(
    db: &Db,
    wanted: &[&BookNow],
    until: i64,
) -> Result<HashMap<i64, At>, WriteError> {
    let mut found = HashMap::with_capacity(wanted.len());
    let small: Vec<i64> = wanted
        .iter()
        .filter(|book| book.blocks < 2)
        .map(|book| book.number)
        .collect();
    for keys in small.chunks(KEYS) {
        let (last, list) = match db.is_shared() {
            true => ("$1", marks(db, 2, keys.len())),
            false => ("?", marks(db, 2, keys.len())),
        };
        let text = format!(
            "SELECT b.book_id, b.log_seq, CAST(COALESCE(SUM(e.m0), 0) AS BIGINT) AS m0,
                CAST(COALESCE(SUM(e.m1), 0) AS BIGINT) AS m1,
                CAST(COALESCE(SUM(e.m2), 0) AS BIGINT) AS m2
             FROM shadow_books AS b LEFT JOIN shadow_entries AS e
                ON e.book_id = b.book_id AND e.state = 'applied' AND e.ts <= {last}
             WHERE b.book_id IN {list} GROUP BY b.book_id, b.log_seq"
        );
        let mut statement = Query::assembled(text).bind(until);
        for key in keys {
            statement = statement.bind(*key);
        }
        for row in db.fetch_all(statement).await? {
            let at = At {
                balance: money(&row)?,
                log_seq: row.get("log_seq")?,
            };
            found.insert(row.get("book_id")?, at);
        }
    }
    for book in wanted.iter().filter(|book| book.blocks >= 2) {
        found.insert(book.number, large_at(db, book.number, until).await?);
    }
    Ok(found)
}

/// Whole blocks by their sums, the one that the instant cuts by its entries.
async fn large_at(db: &Db, number: i64, until: i64) -> Result<At, WriteError> {
    let text = "SELECT b.log_seq,
        (SELECT CAST(COALESCE(SUM(m0), 0) AS BIGINT) FROM parts) AS m0,
        (SELECT CAST(COALESCE(SUM(m1), 0) AS BIGINT) FROM parts) AS m1,
        (SELECT CAST(COALESCE(SUM(m2), 0) AS BIGINT) FROM parts) AS m2
        FROM shadow_books AS b WHERE b.book_id = $1";
    let with = "WITH whole AS (
            SELECT m0, m1, m2 FROM shadow_blocks WHERE book_id = $1 AND last_ts <= $2
        ), cut AS (
            SELECT first_ts, first_event FROM shadow_blocks
            WHERE book_id = $1 AND first_ts <= $2 AND last_ts > $2
        ), parts AS (
            SELECT m0, m1, m2 FROM whole
            UNION ALL
            SELECT e.m0, e.m1, e.m2 FROM cut JOIN shadow_entries AS e ON e.book_id = $1
                AND e.ts >= cut.first_ts AND e.ts <= $2 AND e.state = 'applied'
                AND (e.ts > cut.first_ts OR e.event_id >= cut.first_event)
        )";
    let statement = Query::assembled(format!("{with} {text}"));
    let row = db
        .fetch_optional(statement.bind(number).bind(until))
        .await?;
    let row = row.ok_or(WriteError::Damaged("book"))?;
    Ok(At {
        balance: money(&row)?,
        log_seq: row.get("log_seq")?,
    })
}
