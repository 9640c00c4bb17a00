//! The live rows of books against what the log says, at the same record (contract B4).

use std::collections::BTreeMap;

use florin_platform::sql::Db;
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::error::WriteError;
use super::pages;
use super::read::STATE_THEN;
use super::rebuild::{Found, Rebuilt};
use super::rows;
use crate::model::amount::join;
use crate::model::reducer::{self, Entries, Entry};
use crate::model::{BookId, Direction};

/// Books, or events, that are read at a time.
const PAGE: i64 = 4_000;

/// Books by their number in the tables.
type Numbered = BTreeMap<i64, (BookId, Entries)>;

/// Compares the wanted books, live and rebuilt.
pub(super) async fn compare(
    db: &Db,
    log_seq: i64,
    mut rebuilt: Rebuilt,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    found: &mut Found,
) -> Result<(), WriteError> {
    found.books += rebuilt.len();
    found.events += rebuilt.values().map(Entries::len).sum::<usize>();
    let mut books = Numbered::new();
    let mut runs = Runs::default();
    let mut after = 0;
    loop {
        let page = names(db, after).await?;
        for name in &page {
            after = after.max(name.book_id);
            let wanted = wanted(&name.account_id);
            runs.push(name.book_id, wanted);
            if wanted {
                let id = BookId::new(name.account_id.clone(), name.currency.clone());
                let entries = rebuilt.remove(&id).unwrap_or_default();
                books.insert(name.book_id, (id, entries));
            }
        }
        if page.is_empty() {
            break;
        }
    }
    for run in runs.all {
        compare_run(db, log_seq, run, &mut books, found).await?;
    }
    // What the tables lack: single events, and books without a row.
    for (book, entries) in books.into_values().chain(rebuilt) {
        for (event_id, entry) in entries {
            let differs = ("presence", "absent".to_owned(), "present".to_owned());
            found.note(&book, &event_id, entry.log_seq, differs);
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Name {
    book_id: i64,
    account_id: String,
    currency: String,
}

/// Books behind a number.
async fn names(db: &Db, after: i64) -> Result<Vec<Name>, WriteError> {
    let columns = "r.book_id, r.account_id, r.currency";
    let rows = "SELECT book_id, account_id, currency FROM shadow_books WHERE book_id > $1
        ORDER BY book_id LIMIT $2";
    let page = pages::select(db.is_shared(), columns, rows);
    let row = db.fetch_optional(page.bind(after).bind(PAGE)).await?;
    let mut names: Vec<Name> = pages::read(row, "book")?;
    names.sort_by_key(|name| name.book_id);
    Ok(names)
}

/// Numbers of wanted books without another between them: their events are read in one go.
#[derive(Default)]
struct Runs {
    all: Vec<(i64, i64)>,
    goes_on: bool,
}

impl Runs {
    /// Numbers ascend.
    fn push(&mut self, number: i64, wanted: bool) {
        match self.all.last_mut() {
            _ if !wanted => {}
            Some(run) if self.goes_on => run.1 = number,
            _ => self.all.push((number, number)),
        }
        self.goes_on = wanted;
    }
}

/// A live event as it was at the record.
#[derive(Deserialize)]
struct Live {
    book_id: i64,
    timestamp: i64,
    event_id: String,
    log_seq: i64,
    m0: i64,
    m1: i64,
    m2: i64,
    state: String,
    /// 0 or 1.
    correction: u8,
}

impl Live {
    fn key(&self) -> (i64, i64, &str) {
        (self.book_id, self.timestamp, &self.event_id)
    }

    fn entry(&self) -> Result<Entry, WriteError> {
        let signed = join([self.m0, self.m1, self.m2]).ok_or(WriteError::Damaged("amount"))?;
        let direction = match signed < 0 {
            true => Direction::Debit,
            false => Direction::Credit,
        };
        Ok(Entry {
            timestamp: self.timestamp,
            direction,
            amount: signed.abs(),
            state: rows::state(&self.state)?,
            correction: self.correction != 0,
            log_seq: self.log_seq,
        })
    }
}

/// Takes the events of the books of a run out of `books`, and notes those that differ.
async fn compare_run(
    db: &Db,
    log_seq: i64,
    (first, last): (i64, i64),
    books: &mut Numbered,
    found: &mut Found,
) -> Result<(), WriteError> {
    let mut next = events(db, log_seq, last, (first, i64::MIN, String::new()));
    loop {
        let page = next.await.map_err(|_| WriteError::Stopped)??;
        let Some(end) = page.last() else {
            return Ok(());
        };
        // The next page is read while this one is compared.
        let after = (end.book_id, end.timestamp, end.event_id.clone());
        next = events(db, log_seq, last, after);
        for live in &page {
            let Some((book, rebuilt)) = books.get_mut(&live.book_id) else {
                continue;
            };
            let entry = live.entry()?;
            let differs = match rebuilt.remove(&live.event_id) {
                None => Some(("presence", "present".to_owned(), "absent".to_owned())),
                Some(rebuilt) => reducer::difference(&entry, &rebuilt),
            };
            if let Some(differs) = differs {
                found.note(book, &live.event_id, live.log_seq, differs);
            }
        }
    }
}

/// Reads the events behind a key up to a book, as they were at a record.
fn events(
    db: &Db,
    log_seq: i64,
    last: i64,
    (book, timestamp, event_id): (i64, i64, String),
) -> JoinHandle<Result<Vec<Live>, WriteError>> {
    let columns = "r.book_id, r.ts, r.event_id, r.log_seq, r.m0, r.m1, r.m2, r.state, r.correction";
    let rows = format!(
        "SELECT e.book_id, e.ts, e.event_id, e.log_seq, e.m0, e.m1, e.m2, {STATE_THEN} AS state,
            CASE WHEN e.correction THEN 1 ELSE 0 END AS correction
         FROM shadow_entries AS e
         WHERE (e.book_id, e.ts, e.event_id) > ($1, $2, $3) AND e.log_seq <= $4
            AND e.book_id <= $5
         ORDER BY e.book_id, e.ts, e.event_id LIMIT $6"
    );
    let page = pages::select(db.is_shared(), columns, &rows)
        .bind(book)
        .bind(timestamp)
        .bind(event_id)
        .bind(log_seq)
        .bind(last)
        .bind(PAGE);
    let db = db.clone();
    tokio::spawn(async move {
        let mut page: Vec<Live> = pages::read(db.fetch_optional(page).await?, "event")?;
        page.sort_by(|a, b| a.key().cmp(&b.key()));
        Ok(page)
    })
}
