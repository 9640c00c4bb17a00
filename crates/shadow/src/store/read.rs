//! Reads beside the writer. Each answer about one book comes from one statement, therefore from
//! one moment; what was known at an instant is asked by the number of the newest record then.

use florin_platform::sql::{Db, Query, Row, query};

use super::error::WriteError;
use super::rows;
use super::stored::Stored;
use crate::model::{BookId, Key, Reason, State};

/// A view of the past: what was known up to a record, and which deadlines had passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The newest record that counts.
    pub log_seq: i64,
    /// The instant, microseconds; deadlines up to it have passed. `None`: as the log has it.
    pub at: Option<i64>,
}

/// A balance and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Balance {
    /// Minor units.
    pub minor: i128,
    /// The entry with the greatest key that counts.
    pub last_event: Option<String>,
}

/// A book as it stands.
#[derive(Debug, Clone)]
pub struct BookRow {
    /// Number in the tables.
    pub number: i64,
    /// Which book.
    pub id: BookId,
    /// Lowest balance allowed, minor units.
    pub floor: Option<i128>,
    /// Policy.
    pub policy: String,
    /// Grace in milliseconds.
    pub grace_ms: i64,
    /// Zone of its days, `UTC` where none was set.
    pub zone: Option<String>,
    /// Tolerance of drift checks as it was set, JSON.
    pub tolerance: Option<String>,
    /// Shadows an account of our own ledger.
    pub linked: bool,
    /// Recorded events in any state.
    pub events: i64,
    /// Applied events.
    pub entries: i64,
    /// Balance, minor units.
    pub balance: i128,
    /// Last entry.
    pub last_event: Option<String>,
    /// Time of the last entry.
    pub last_ts: Option<i64>,
    /// Newest record that changed it.
    pub log_seq: i64,
}

const BOOK: &str = "SELECT book_id, account_id, currency, floor, policy, grace_ms, zone, tolerance,
    linked, events, entries, m0, m1, m2, last_ts, last_event, log_seq FROM shadow_books";

impl BookRow {
    fn from_row(row: &Row) -> Result<Self, WriteError> {
        Ok(Self {
            number: row.get("book_id")?,
            id: BookId::new(
                row.get::<String>("account_id")?,
                row.get::<String>("currency")?,
            ),
            floor: rows::floor(row.get("floor")?)?,
            policy: row.get("policy")?,
            grace_ms: row.get("grace_ms")?,
            zone: row.get("zone")?,
            tolerance: row.get("tolerance")?,
            linked: row.get("linked")?,
            events: row.get("events")?,
            entries: row.get("entries")?,
            balance: rows::money(row)?,
            last_event: row.get("last_event")?,
            last_ts: row.get("last_ts")?,
            log_seq: row.get("log_seq")?,
        })
    }
}

/// One book.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`], like every read here.
pub async fn book(db: &Db, id: &BookId) -> Result<Option<BookRow>, WriteError> {
    let text = format!("{BOOK} WHERE account_id = $1 AND currency = $2");
    let wanted = Query::assembled(text)
        .bind(&id.account_id)
        .bind(&id.currency);
    let row = db.fetch_optional(wanted).await?;
    row.map(|row| BookRow::from_row(&row)).transpose()
}

/// Books by account and currency behind `after`.
///
/// # Errors
/// As [`book`].
pub async fn books(
    db: &Db,
    after: Option<&BookId>,
    limit: usize,
) -> Result<Vec<BookRow>, WriteError> {
    let text = format!(
        "{BOOK} WHERE (account_id, currency) > ($1, $2)
         ORDER BY account_id, currency LIMIT $3"
    );
    let (account, currency) = after.map_or(("", ""), |id| (&id.account_id, &id.currency));
    let page = Query::assembled(text)
        .bind(account)
        .bind(currency)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = db.fetch_all(page).await?;
    rows.iter().map(BookRow::from_row).collect()
}

/// Number and time of the newest record.
///
/// # Errors
/// As [`book`].
pub async fn head(db: &Db) -> Result<super::Head, WriteError> {
    let text = "SELECT log_seq, hash, recorded_at FROM shadow_head WHERE one = 1";
    let row = db.fetch_optional(query(text)).await?;
    let row = row.ok_or(WriteError::Damaged("head"))?;
    let hash: Vec<u8> = row.get("hash")?;
    Ok(super::Head {
        log_seq: row.get("log_seq")?,
        hash: hash.try_into().map_err(|_| WriteError::Damaged("head"))?,
        recorded_at: row.get("recorded_at")?,
    })
}

/// The newest record of an instant (microseconds, inclusive); 0 before the first.
///
/// # Errors
/// As [`book`].
pub async fn seq_at(db: &Db, instant: i64) -> Result<i64, WriteError> {
    let text = "SELECT last_seq FROM shadow_commits WHERE recorded_at <= $1
        ORDER BY recorded_at DESC LIMIT 1";
    let row = db.fetch_optional(query(text).bind(instant)).await?;
    Ok(row.map_or(Ok(0), |row| row.get("last_seq"))?)
}

/// The balance by checkpointed sums: whole blocks, then the rest of one.
const BALANCE_AS_OF: &str = "WITH b AS (
        SELECT book_id, log_seq FROM shadow_books WHERE account_id = $1 AND currency = $2),
    k AS (
        SELECT k.last_ts, k.last_event, k.m0, k.m1, k.m2
        FROM shadow_blocks AS k JOIN b ON k.book_id = b.book_id WHERE k.last_ts <= $3),
    edge AS (
        SELECT last_ts, last_event FROM k ORDER BY last_ts DESC, last_event DESC LIMIT 1),
    rest AS (
        SELECT e.m0, e.m1, e.m2 FROM shadow_entries AS e
        WHERE e.book_id = (SELECT book_id FROM b) AND e.ts <= $3
        AND e.ts >= COALESCE((SELECT last_ts FROM edge), -9000000000000000000)
        AND (e.ts > COALESCE((SELECT last_ts FROM edge), -9000000000000000000)
             OR e.event_id > COALESCE((SELECT last_event FROM edge), ''))
        AND e.state = 'applied'),
    parts AS (SELECT m0, m1, m2 FROM k UNION ALL SELECT m0, m1, m2 FROM rest)
    SELECT CAST(COALESCE(SUM(m0), 0) AS BIGINT) AS m0, CAST(COALESCE(SUM(m1), 0) AS BIGINT) AS m1,
        CAST(COALESCE(SUM(m2), 0) AS BIGINT) AS m2,
        (SELECT log_seq FROM b) AS log_seq,
        (SELECT e.event_id FROM shadow_entries AS e
         WHERE e.book_id = (SELECT book_id FROM b) AND e.ts <= $3 AND e.state = 'applied'
         ORDER BY e.ts DESC, e.event_id DESC LIMIT 1) AS last_event
    FROM parts";

/// The state of an entry `e` at record `$4`.
pub(super) const STATE_THEN: &str = "CASE WHEN e.changed_seq <= $4 THEN e.state ELSE COALESCE(
        (SELECT c.state FROM shadow_changes AS c
         WHERE c.event_id = e.event_id AND c.log_seq <= $4 ORDER BY c.log_seq DESC LIMIT 1),
        e.first_state) END";

/// The reason of an entry `e` at record `$4`.
const REASON_THEN: &str = "CASE WHEN e.changed_seq <= $4 THEN e.reason
    WHEN (SELECT COUNT(*) FROM shadow_changes AS c
          WHERE c.event_id = e.event_id AND c.log_seq <= $4) = 0 THEN e.first_reason
    ELSE (SELECT c.reason FROM shadow_changes AS c
         WHERE c.event_id = e.event_id AND c.log_seq <= $4 ORDER BY c.log_seq DESC LIMIT 1) END";

/// The balance of a book at an event time (epoch milliseconds, inclusive; `None`: all), as it is
/// known now or was known then.
///
/// # Errors
/// As [`book`].
pub async fn balance(
    db: &Db,
    id: &BookId,
    as_of: Option<i64>,
    known: Option<Known>,
) -> Result<Balance, WriteError> {
    if as_of.is_none() {
        let row = book(db, id).await?;
        match (row, known) {
            (None, _) => return Ok(Balance::default()),
            (Some(row), known) if known.is_none_or(|known| known.log_seq >= row.log_seq) => {
                return Ok(Balance {
                    minor: row.balance,
                    last_event: row.last_event,
                });
            }
            _ => {}
        }
    }
    let as_of = as_of.unwrap_or(i64::MAX);
    let now = query(BALANCE_AS_OF)
        .bind(&id.account_id)
        .bind(&id.currency)
        .bind(as_of);
    let row = db.fetch_optional(now).await?;
    let row = row.ok_or(WriteError::Damaged("sum"))?;
    let unchanged = match row.get::<Option<i64>>("log_seq")? {
        None => return Ok(Balance::default()),
        Some(newest) => known.is_none_or(|known| known.log_seq >= newest),
    };
    if unchanged {
        return balance_of(&row);
    }
    let seq = known.map_or(i64::MAX, |known| known.log_seq);
    let text = format!(
        "WITH t AS (SELECT e.ts, e.event_id, e.m0, e.m1, e.m2 FROM shadow_entries AS e
            WHERE e.book_id = (SELECT book_id FROM shadow_books
                WHERE account_id = $1 AND currency = $2)
            AND e.ts <= $3 AND e.log_seq <= $4 AND {STATE_THEN} = 'applied')
         SELECT CAST(COALESCE(SUM(m0), 0) AS BIGINT) AS m0,
            CAST(COALESCE(SUM(m1), 0) AS BIGINT) AS m1,
            CAST(COALESCE(SUM(m2), 0) AS BIGINT) AS m2,
            (SELECT event_id FROM t ORDER BY ts DESC, event_id DESC LIMIT 1) AS last_event
         FROM t"
    );
    let then = Query::assembled(text)
        .bind(&id.account_id)
        .bind(&id.currency)
        .bind(as_of)
        .bind(seq);
    let row = db.fetch_optional(then).await?;
    balance_of(&row.ok_or(WriteError::Damaged("sum"))?)
}

fn balance_of(row: &Row) -> Result<Balance, WriteError> {
    Ok(Balance {
        minor: rows::money(row)?,
        last_event: row.get("last_event")?,
    })
}

/// An event in a list of a book, as it was known.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The event; its state and reason are those of the view.
    pub stored: Stored,
    /// Balance up to and with it, over applied events; minor units.
    pub running: i128,
}

/// Which part of a book a page shows.
#[derive(Debug, Clone)]
pub struct Window<'a> {
    /// Which book.
    pub book: &'a BookId,
    /// Only behind this key.
    pub after: Key,
    /// Event time, inclusive.
    pub to: i64,
    /// The view.
    pub known: Known,
    /// Most rows.
    pub limit: usize,
}

/// Events of a book in key order with running sums over the applied ones, by the SQL window
/// function (contract B2); `carried` is the balance up to `after`. Events in another state stand
/// in between and carry the sum before them.
///
/// # Errors
/// As [`book`].
pub async fn window(
    db: &Db,
    window: &Window<'_>,
    carried: i128,
    only: Option<State>,
) -> Result<Vec<Listed>, WriteError> {
    let filter = match only {
        Some(State::Applied) => "WHERE state_then = 'applied'",
        Some(_) => "WHERE state_then <> 'applied'",
        None => "",
    };
    let text = format!(
        "WITH t AS (
            SELECT b.account_id, b.currency, e.book_id, e.ts, e.event_id, e.log_seq,
                e.recorded_at, e.m0, e.m1, e.m2, {STATE_THEN} AS state_then,
                {REASON_THEN} AS reason_then, e.is_open, e.deadline, e.final_seq,
                e.correction, e.cause, e.reference, e.description, e.source, e.sequence
            FROM shadow_entries AS e JOIN shadow_books AS b ON b.book_id = e.book_id
            WHERE e.book_id = (SELECT book_id FROM shadow_books
                WHERE account_id = $1 AND currency = $2)
            AND e.ts <= $3 AND e.log_seq <= $4 AND (e.ts, e.event_id) > ($5, $6)
            ORDER BY e.ts, e.event_id),
         p AS (SELECT * FROM t {filter} ORDER BY ts, event_id LIMIT $7),
         s AS (SELECT p.*,
            CASE WHEN state_then = 'applied' THEN m0 ELSE 0 END AS a0,
            CASE WHEN state_then = 'applied' THEN m1 ELSE 0 END AS a1,
            CASE WHEN state_then = 'applied' THEN m2 ELSE 0 END AS a2 FROM p)
         SELECT s.*, state_then AS state, reason_then AS reason,
            CAST(SUM(a0) OVER w AS BIGINT) AS r0, CAST(SUM(a1) OVER w AS BIGINT) AS r1,
            CAST(SUM(a2) OVER w AS BIGINT) AS r2
         FROM s WINDOW w AS (PARTITION BY book_id ORDER BY ts, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
         ORDER BY ts, event_id"
    );
    let page = Query::assembled(text)
        .bind(&window.book.account_id)
        .bind(&window.book.currency)
        .bind(window.to)
        .bind(window.known.log_seq)
        .bind(window.after.timestamp)
        .bind(&window.after.event_id)
        .bind(i64::try_from(window.limit).unwrap_or(i64::MAX));
    let found = db.fetch_all(page).await?;
    let mut listed = Vec::with_capacity(found.len());
    for row in &found {
        let sums = [row.get("r0")?, row.get("r1")?, row.get("r2")?];
        let page = crate::model::amount::join(sums).ok_or(WriteError::Damaged("sum"))?;
        let mut stored = Stored::from_row(row)?;
        as_known(&mut stored, window.known);
        listed.push(Listed {
            stored,
            running: carried + page,
        });
    }
    Ok(listed)
}

/// Sets `final`, and for deadlines that had passed but were not yet worked the final state.
fn as_known(stored: &mut Stored, known: Known) {
    if stored.final_seq.is_some_and(|seq| seq > known.log_seq) {
        stored.final_seq = None;
    }
    stored.is_final = stored.final_seq.is_some();
    let passed = match (stored.deadline, known.at) {
        (Some(deadline), Some(at)) => deadline <= at,
        _ => false,
    };
    if !stored.is_final && passed {
        stored.is_final = true;
        (stored.state, stored.reason) = match (stored.state, stored.reason) {
            (State::Held, Some(Reason::BreaksHistory)) => (State::HeldForReview, stored.reason),
            (State::Held, reason) => (State::Rejected, reason),
            other => other,
        };
    }
}

/// Count and sum of a book's events in one state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events.
    pub count: i64,
    /// Sum of their amounts without sign, minor units.
    pub sum: i128,
}

/// Tallies of a book per state, at an event time and as known.
///
/// # Errors
/// As [`book`].
pub async fn tallies(
    db: &Db,
    id: &BookId,
    as_of: Option<i64>,
    known: Known,
) -> Result<Vec<(State, Tally)>, WriteError> {
    let text = format!(
        "WITH t AS (SELECT e.m0, e.m1, e.m2, {STATE_THEN} AS state, {REASON_THEN} AS reason,
            CASE WHEN e.deadline IS NOT NULL AND e.deadline <= $5
                AND (e.final_seq IS NULL OR e.final_seq > $4) THEN CAST(1 AS BIGINT)
                ELSE CAST(0 AS BIGINT) END AS passed
            FROM shadow_entries AS e
            WHERE e.book_id = (SELECT book_id FROM shadow_books
                WHERE account_id = $1 AND currency = $2)
            AND e.ts <= $3 AND e.log_seq <= $4)
         SELECT state, reason, passed, COUNT(*) AS n, CAST(SUM(m0) AS BIGINT) AS m0,
            CAST(SUM(m1) AS BIGINT) AS m1, CAST(SUM(m2) AS BIGINT) AS m2
         FROM t GROUP BY state, reason, passed"
    );
    let wanted = Query::assembled(text)
        .bind(&id.account_id)
        .bind(&id.currency)
        .bind(as_of.unwrap_or(i64::MAX))
        .bind(known.log_seq)
        .bind(known.at.unwrap_or(i64::MIN));
    let mut tallies: Vec<(State, Tally)> =
        State::ALL.map(|state| (state, Tally::default())).to_vec();
    for row in db.fetch_all(wanted).await? {
        let mut state = rows::state(&row.get::<String>("state")?)?;
        let reason = rows::reason(row.get("reason")?)?;
        if row.get::<i64>("passed")? == 1 && state == State::Held {
            state = match reason {
                Some(Reason::BreaksHistory) => State::HeldForReview,
                _ => State::Rejected,
            };
        }
        let tally = tallies.iter_mut().find(|(known, _)| *known == state);
        if let Some((_, tally)) = tally {
            tally.count += row.get::<i64>("n")?;
            tally.sum += rows::money(&row)?.abs();
        }
    }
    Ok(tallies)
}

/// Until when the book has open events, microseconds.
///
/// # Errors
/// As [`book`].
pub async fn open_until(db: &Db, id: &BookId) -> Result<Option<i64>, WriteError> {
    let text = "SELECT MAX(deadline) AS until FROM shadow_entries WHERE is_open
        AND book_id = (SELECT book_id FROM shadow_books WHERE account_id = $1 AND currency = $2)";
    let wanted = query(text).bind(&id.account_id).bind(&id.currency);
    let row = db.fetch_optional(wanted).await?;
    Ok(row.map_or(Ok(None), |row| row.get("until"))?)
}

/// One recorded event.
///
/// # Errors
/// As [`book`].
pub async fn event(db: &Db, event_id: &str) -> Result<Option<Stored>, WriteError> {
    let text = format!("{} ($1)", Stored::SELECT);
    let row = db
        .fetch_optional(Query::assembled(text).bind(event_id))
        .await?;
    row.map(|row| Stored::from_row(&row)).transpose()
}

/// A page of [`digest`].
const DIGEST_PAGE: usize = 20_000;

/// The digest of a book as known, and how many events it covers (contract B3).
///
/// # Errors
/// As [`book`].
pub async fn digest(db: &Db, id: &BookId, known: Known) -> Result<(String, u64), WriteError> {
    let mut digest = crate::model::digest::BookDigest::new();
    let mut after = Key::new(i64::MIN, "");
    loop {
        let page = window(
            db,
            &Window {
                book: id,
                after: after.clone(),
                to: i64::MAX,
                known,
                limit: DIGEST_PAGE,
            },
            0,
            None,
        )
        .await?;
        for listed in &page {
            let event = &listed.stored.event;
            digest.add(
                &event.key(),
                event.direction,
                event.amount,
                listed.stored.state,
                listed.stored.correction,
            );
        }
        match page.last() {
            Some(last) if page.len() == DIGEST_PAGE => after = last.stored.event.key(),
            _ => break,
        }
    }
    let events = digest.events();
    Ok((digest.finish(), events))
}
