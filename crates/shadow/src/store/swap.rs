//! Puts tables made from the log alone in place of the live ones, in one transaction, and only
//! when the chain verifies (contract B4).

use std::collections::HashMap;

use florin_base::{Clock as _, SystemClock};
use florin_platform::sql::{Arg, Db, query};

use super::bodies::{DecisionBody, EventBody};
use super::bulk::Marks;
use super::cache::{Books, NewBook};
use super::error::WriteError;
use super::log::{self, Record};
use super::rebuild::{Report, Request, verify};
use super::record::{Actor, NewRecord, kind};
use super::session::{Core, Session};
use super::{Settings, derived, failpoint};
use crate::model::amount::split;
use crate::model::{BookId, Direction};

/// Records that are read at a time.
const PAGE: i64 = 4_000;
/// Kind of the record that tells every process to forget what it remembers.
pub(super) const REBUILT: &str = "rebuild";

/// Rebuilds and replaces; answers what a verification finds afterwards. A chain that does not
/// verify is answered before anything is touched.
///
/// # Errors
/// The store's: then the old tables stand.
pub async fn swap(
    db: &Db,
    request: &Request,
    progress: &(dyn Fn(i64) + Sync),
) -> Result<Report, WriteError> {
    let before = verify(db, request, progress).await?;
    if matches!(before, Report::Chain { .. }) {
        return Ok(before);
    }
    let core = Core {
        books: Books::default(),
        known_head: 0,
        marks: match db.is_shared() {
            true => Marks::Numbered,
            false => Marks::Plain,
        },
        fresh: NewBook {
            rules: Settings::default().rules(),
        },
    };
    let tx = db.begin().await?;
    let session = Session::begin(core, tx, SystemClock.wall_micros()).await;
    let mut session = session.map_err(|(_, error)| error)?;
    if let Err(error) = replace(&mut session, db.is_shared(), progress).await {
        return session.abandon::<Report>(error).1;
    }
    let body = serde_json::json!({ "replaced": true });
    session.append(
        NewRecord::new(REBUILT, Actor::system("rebuild"), &body).emits("shadow.rebuild.finished"),
    );
    session.finish("swap.mid").await.1?;
    verify(db, request, progress).await
}

async fn replace(
    session: &mut Session,
    is_shared: bool,
    progress: &(dyn Fn(i64) + Sync),
) -> Result<(), WriteError> {
    let end = session.head().log_seq;
    for text in [
        "DELETE FROM shadow_entries",
        "DELETE FROM shadow_changes",
        "DELETE FROM shadow_blocks",
    ] {
        session.tx().execute(query(text)).await?;
    }
    let numbers = numbers(session).await?;
    let mut last = 0;
    while last < end {
        let page = log::page(is_shared, last, end, PAGE);
        let records = log::read(session.tx().fetch_optional(page).await?)?;
        let mut rebuilt = Rows::default();
        for record in &records {
            last = record.log_seq;
            rebuilt.take(record, &numbers)?;
        }
        if records.is_empty() {
            break;
        }
        let marks = session.core.marks;
        derived::write(
            session.tx(),
            marks,
            Vec::new(),
            rebuilt.entries,
            rebuilt.states,
            rebuilt.finals,
            rebuilt.changes,
        )
        .await?;
        failpoint::reach("swap.mid");
        progress(last);
    }
    sum_up(session, numbers.into_keys().collect()).await
}

/// The numbers of the books, which stay.
async fn numbers(session: &mut Session) -> Result<HashMap<BookId, i64>, WriteError> {
    let text = "SELECT book_id, account_id, currency FROM shadow_books";
    let rows = session.tx().fetch_all(query(text)).await?;
    let mut numbers = HashMap::with_capacity(rows.len());
    for row in rows {
        let id = BookId::new(
            row.get::<String>("account_id")?,
            row.get::<String>("currency")?,
        );
        numbers.insert(id, row.get("book_id")?);
    }
    Ok(numbers)
}

/// Rows of the derived tables, made from records.
#[derive(Default)]
struct Rows {
    entries: Vec<Vec<Arg>>,
    states: Vec<Vec<Arg>>,
    finals: Vec<Vec<Arg>>,
    changes: Vec<Vec<Arg>>,
}

impl Rows {
    fn take(&mut self, record: &Record, numbers: &HashMap<BookId, i64>) -> Result<(), WriteError> {
        let damaged = |_| WriteError::Damaged("record of the log");
        match record.kind.as_str() {
            kind::EVENT => {
                let body: EventBody = serde_json::from_str(&record.body).map_err(damaged)?;
                self.entries.push(entry(record, body, numbers)?);
            }
            kind::DECISION => {
                let body: DecisionBody = serde_json::from_str(&record.body).map_err(damaged)?;
                let reason = (body.to != "applied").then_some(body.reason);
                self.states.push(vec![
                    (&body.event_id).into(),
                    (&body.to).into(),
                    reason.clone().into(),
                    (!body.is_final).into(),
                    record.log_seq.into(),
                    body.is_final.then_some(record.log_seq).into(),
                ]);
                self.changes.push(vec![
                    body.event_id.into(),
                    record.log_seq.into(),
                    body.to.into(),
                    reason.into(),
                ]);
            }
            kind::FINAL => {
                let body: DecisionBody = serde_json::from_str(&record.body).map_err(damaged)?;
                self.finals
                    .push(vec![body.event_id.into(), record.log_seq.into()]);
            }
            _ => {}
        }
        Ok(())
    }
}

fn entry(
    record: &Record,
    body: EventBody,
    numbers: &HashMap<BookId, i64>,
) -> Result<Vec<Arg>, WriteError> {
    const DAMAGED: WriteError = WriteError::Damaged("record of the log");
    let (Some(account), Some(currency)) = (&record.account_id, &record.currency) else {
        return Err(DAMAGED);
    };
    let book = BookId::new(account.clone(), currency.clone());
    let number = numbers.get(&book).ok_or(DAMAGED)?;
    let direction = Direction::from_word(&body.direction).ok_or(DAMAGED)?;
    let amount: i128 = body.minor.parse().map_err(|_| DAMAGED)?;
    let [m0, m1, m2] = split(direction.signed(amount));
    Ok(vec![
        (*number).into(),
        body.timestamp.into(),
        body.event_id.into(),
        record.log_seq.into(),
        record.recorded_at.into(),
        m0.into(),
        m1.into(),
        m2.into(),
        (&body.state).into(),
        body.reason.clone().into(),
        (!body.is_final).into(),
        body.deadline.into(),
        body.state.into(),
        body.reason.into(),
        record.log_seq.into(),
        body.is_final.then_some(record.log_seq).into(),
        body.correction.into(),
        body.cause.into(),
        body.reference.into(),
        body.description.into(),
        body.source.into(),
        body.sequence.into(),
    ])
}

/// Reads the books from the new rows and writes their sums and blocks.
async fn sum_up(session: &mut Session, mut books: Vec<BookId>) -> Result<(), WriteError> {
    books.sort();
    for some in books.chunks(500) {
        session.core.books.forget_all();
        session.load(some.iter().cloned()).await?;
        for id in some {
            session.change(id);
        }
        session.flush().await?;
    }
    session.core.books.forget_all();
    Ok(())
}

/// Whether another process replaced the tables since a record.
///
/// # Errors
/// As [`florin_platform::sql::Tx::fetch_all`].
pub(super) async fn replaced_since(
    tx: &mut florin_platform::sql::Tx,
    known: i64,
) -> Result<bool, florin_platform::sql::SqlError> {
    let text = "SELECT log_seq FROM shadow_log
        WHERE kind = $1 AND log_seq > $2 AND kind <> 'event' AND kind <> 'final' LIMIT 1";
    let found = tx
        .fetch_optional(query(text).bind(REBUILT).bind(known))
        .await?;
    Ok(found.is_some())
}
