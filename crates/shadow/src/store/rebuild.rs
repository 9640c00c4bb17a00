//! `florin shadow rebuild`: everything derived, made again beside live from the log alone, and
//! compared at the same record (contract B4).
//!
//! **Invariants.** Serving goes on: live states are asked as they were at the record where the
//! rebuild ends. Memory is bounded by [`PASS_EVENTS`]: a larger log is read several times, each
//! time for a part of the books.

use std::collections::{BTreeMap, HashSet};

use florin_base::Clock as _;
use florin_platform::sql::{Db, Row, SqlError, query};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::bodies::{DecisionBody, EventBody};
use super::error::WriteError;
use super::read::{self, Known, Window};
use super::record::{Chained, Stamp, kind};
use crate::model::digest::sha256;
use crate::model::reducer::{self, Entries, Entry, Step};
use crate::model::{BookId, Direction, Key, State};

/// Events that one pass holds in memory, about 200 bytes each.
pub const PASS_EVENTS: i64 = 4_000_000;
/// Records, or events of a book, that are read at a time.
const PAGE: usize = 10_000;

/// What is to be verified.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// A head that somebody kept elsewhere: number and hash.
    pub expect_head: Option<(i64, [u8; 32])>,
    /// Only the books of this account; the chain is verified whole all the same.
    pub account: Option<String>,
}

/// The outcome, as it is printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Report {
    /// Rebuilt and live agree.
    Equal {
        /// Always true.
        equal: bool,
        /// Where both were compared.
        log_seq: i64,
        /// Books that were compared.
        books: usize,
        /// Events that were rebuilt.
        events: usize,
        /// Time that it took.
        seconds: u64,
    },
    /// Some event differs.
    Divergence {
        /// Always false.
        equal: bool,
        /// `divergence`.
        kind: &'static str,
        /// Where both were compared.
        log_seq: i64,
        /// Books that differ.
        divergent_books: usize,
        /// The differing event with the smallest number.
        first_divergence: Divergence,
    },
    /// The chain, or the expected head, fails.
    Chain {
        /// Always false.
        equal: bool,
        /// `chain`.
        kind: &'static str,
        /// The first record that does not fit.
        broken_at: i64,
    },
}

impl Report {
    /// Nothing was found.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Equal { .. })
    }
}

/// An event in which live and rebuilt differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Divergence {
    /// Account.
    pub account_id: String,
    /// Currency.
    pub currency: String,
    /// Event.
    pub event_id: String,
    /// Its record.
    pub log_seq: i64,
    /// `presence`, `type`, `amount`, `timestamp`, `state` or `correction`.
    pub field: &'static str,
    /// What the live tables say.
    pub live: String,
    /// What the log says.
    pub rebuilt: String,
}

#[derive(Default)]
struct Found {
    books: usize,
    events: usize,
    divergent: HashSet<BookId>,
    first: Option<Divergence>,
}

/// Verifies; `progress` hears the number of the record that was read last.
///
/// # Errors
/// The store's: could not run.
pub async fn verify(
    db: &Db,
    request: &Request,
    progress: &(dyn Fn(i64) + Sync),
) -> Result<Report, WriteError> {
    let clock = florin_base::SystemClock;
    let started = clock.boot_micros();
    let head = read::head(db).await?;
    if let Some((seq, _)) = request.expect_head
        && seq > head.log_seq
    {
        return Ok(broken(head.log_seq + 1));
    }
    let passes = match request.account {
        Some(_) => 1,
        None => head.log_seq / PASS_EVENTS + 1,
    };
    let mut found = Found::default();
    for pass in 0..passes {
        let wanted = |account: &str| match &request.account {
            Some(only) => account == only,
            None => part_of(account, passes) == pass,
        };
        let rebuilt = match read_log(db, request, head, &wanted, progress).await? {
            Ok(rebuilt) => rebuilt,
            Err(seq) => return Ok(broken(seq)),
        };
        compare(db, head.log_seq, rebuilt, &wanted, &mut found).await?;
    }
    Ok(match found.first {
        None => Report::Equal {
            equal: true,
            log_seq: head.log_seq,
            books: found.books,
            events: found.events,
            seconds: (clock.boot_micros() - started).unsigned_abs() / 1_000_000,
        },
        Some(first_divergence) => Report::Divergence {
            equal: false,
            kind: "divergence",
            log_seq: head.log_seq,
            divergent_books: found.divergent.len(),
            first_divergence,
        },
    })
}

/// Verifies one of `parts` shares of the books; answers those that differ, each with what
/// differs first (the monitor `self_check`). A broken chain is the divergence of no book.
///
/// # Errors
/// The store's: could not run.
pub async fn verify_part(
    db: &Db,
    part: i64,
    parts: i64,
) -> Result<Vec<(BookId, String)>, WriteError> {
    let head = read::head(db).await?;
    let wanted = |account: &str| part_of(account, parts.max(1)) == part;
    let rebuilt = match read_log(db, &Request::default(), head, &wanted, &|_| {}).await? {
        Ok(rebuilt) => rebuilt,
        Err(seq) => {
            let what = format!("the chain of the log is broken at record {seq}");
            return Ok(vec![(BookId::new("", ""), what)]);
        }
    };
    let mut found = Found::default();
    compare(db, head.log_seq, rebuilt, &wanted, &mut found).await?;
    let what = found.first.map_or_else(String::new, |first| {
        format!(
            "{} of {}: live {}, rebuilt {}",
            first.field, first.event_id, first.live, first.rebuilt
        )
    });
    Ok(found
        .divergent
        .into_iter()
        .map(|book| (book, what.clone()))
        .collect())
}

fn broken(broken_at: i64) -> Report {
    Report::Chain {
        equal: false,
        kind: "chain",
        broken_at,
    }
}

pub use super::swap::swap;

/// Which pass reads an account.
fn part_of(account: &str, passes: i64) -> i64 {
    let digest = sha256(account.as_bytes());
    i64::from(u32::from_be_bytes([
        digest[0], digest[1], digest[2], digest[3],
    ])) % passes
}

type Rebuilt = BTreeMap<BookId, Entries>;

pub(super) const LOG: &str =
    "SELECT log_seq, recorded_at, kind, account_id, currency, subject, actor, role,
    trace_id, emits, body, hash FROM shadow_log WHERE log_seq > $1 AND log_seq <= $2
    ORDER BY log_seq LIMIT $3";

/// Reads the log up to the head, verifies its chain and reduces what is wanted. The inner error
/// is the first record that does not fit.
async fn read_log(
    db: &Db,
    request: &Request,
    head: super::Head,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    progress: &(dyn Fn(i64) + Sync),
) -> Result<Result<Rebuilt, i64>, WriteError> {
    let mut rebuilt = Rebuilt::new();
    let (mut last, mut hash) = (0, [0; 32]);
    let mut next = page(db, last, head);
    while last < head.log_seq {
        let rows = next.await.map_err(|_| WriteError::Stopped)??;
        let Some(end) = rows.last() else {
            return Ok(Err(last + 1));
        };
        // The next page is read while this one is reduced.
        next = page(db, end.get("log_seq")?, head);
        for row in &rows {
            let record = Record::from_row(row)?;
            if record.log_seq != last + 1 || record.link(&hash) != record.hash {
                return Ok(Err(last + 1));
            }
            (last, hash) = (record.log_seq, record.hash);
            if request
                .expect_head
                .is_some_and(|(seq, kept)| seq == last && kept != hash)
            {
                return Ok(Err(last));
            }
            if record.account_id.as_deref().is_some_and(wanted)
                && let Err(seq) = reduce(&mut rebuilt, &record)
            {
                return Ok(Err(seq));
            }
        }
        progress(last);
    }
    match hash == head.hash {
        true => Ok(Ok(rebuilt)),
        false => Ok(Err(last)),
    }
}

/// Reads the page of the log behind a record.
fn page(db: &Db, last: i64, head: super::Head) -> JoinHandle<Result<Vec<Row>, SqlError>> {
    let db = db.clone();
    let page = query(LOG)
        .bind(last)
        .bind(head.log_seq)
        .bind(i64::try_from(PAGE).unwrap_or(i64::MAX));
    tokio::spawn(async move { db.fetch_all(page).await })
}

/// A record as it is stored.
pub(super) struct Record {
    pub(super) log_seq: i64,
    pub(super) recorded_at: i64,
    pub(super) kind: String,
    pub(super) account_id: Option<String>,
    pub(super) currency: Option<String>,
    subject: Option<String>,
    actor: String,
    role: Option<String>,
    trace_id: Option<String>,
    emits: Option<String>,
    pub(super) body: String,
    pub(super) hash: [u8; 32],
}

impl Record {
    pub(super) fn from_row(row: &Row) -> Result<Self, WriteError> {
        let hash: Vec<u8> = row.get("hash")?;
        Ok(Self {
            log_seq: row.get("log_seq")?,
            recorded_at: row.get("recorded_at")?,
            kind: row.get("kind")?,
            account_id: row.get("account_id")?,
            currency: row.get("currency")?,
            subject: row.get("subject")?,
            actor: row.get("actor")?,
            role: row.get("role")?,
            trace_id: row.get("trace_id")?,
            emits: row.get("emits")?,
            body: row.get("body")?,
            // A hash of another length fits nothing.
            hash: hash.try_into().unwrap_or([0; 32]),
        })
    }

    pub(super) fn link(&self, previous: &[u8; 32]) -> [u8; 32] {
        Chained {
            stamp: Stamp {
                log_seq: self.log_seq,
                recorded_at: self.recorded_at,
            },
            kind: &self.kind,
            account_id: self.account_id.as_deref(),
            currency: self.currency.as_deref(),
            subject: self.subject.as_deref(),
            actor: &self.actor,
            role: self.role.as_deref(),
            trace_id: self.trace_id.as_deref(),
            emits: self.emits.as_deref(),
            body: &self.body,
        }
        .link(previous)
    }

    /// What the reducer reads of it; the outer `None` is a damaged content.
    fn step(&self) -> Option<Option<Step>> {
        match self.kind.as_str() {
            kind::EVENT => {
                let body: EventBody = serde_json::from_str(&self.body).ok()?;
                let entry = Entry {
                    timestamp: body.timestamp,
                    direction: Direction::from_word(&body.direction)?,
                    amount: body.minor.parse().ok()?,
                    state: State::from_word(&body.state)?,
                    correction: body.correction,
                    log_seq: self.log_seq,
                };
                Some(Some(Step::Event(body.event_id, entry)))
            }
            kind::DECISION | kind::FINAL => {
                let body: DecisionBody = serde_json::from_str(&self.body).ok()?;
                let state = State::from_word(&body.to)?;
                Some(Some(Step::State(body.event_id, state)))
            }
            _ => Some(None),
        }
    }
}

fn reduce(rebuilt: &mut Rebuilt, record: &Record) -> Result<(), i64> {
    let Some(step) = record.step() else {
        return Err(record.log_seq);
    };
    let (Some(step), Some(account), Some(currency)) = (step, &record.account_id, &record.currency)
    else {
        return Ok(());
    };
    let book = BookId::new(account.clone(), currency.clone());
    match reducer::apply(rebuilt.entry(book).or_default(), step) {
        true => Ok(()),
        false => Err(record.log_seq),
    }
}

/// Compares the wanted books, live and rebuilt.
async fn compare(
    db: &Db,
    log_seq: i64,
    mut rebuilt: Rebuilt,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    found: &mut Found,
) -> Result<(), WriteError> {
    let mut after: Option<BookId> = None;
    loop {
        let page = read::books(db, after.as_ref(), PAGE).await?;
        for row in &page {
            if wanted(&row.id.account_id) {
                let entries = rebuilt.remove(&row.id).unwrap_or_default();
                compare_book(db, log_seq, &row.id, entries, found).await?;
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
            _ => break,
        }
    }
    // Books of the log that have no row at all.
    for (book, entries) in rebuilt {
        compare_book(db, log_seq, &book, entries, found).await?;
    }
    Ok(())
}

async fn compare_book(
    db: &Db,
    log_seq: i64,
    book: &BookId,
    mut rebuilt: Entries,
    found: &mut Found,
) -> Result<(), WriteError> {
    found.books += usize::from(!rebuilt.is_empty());
    found.events += rebuilt.len();
    let mut after = Key::new(i64::MIN, "");
    loop {
        let window = Window {
            book,
            after: after.clone(),
            to: i64::MAX,
            known: Known { log_seq, at: None },
            limit: PAGE,
        };
        let page = read::window(db, &window, 0, None).await?;
        for listed in &page {
            let (event, stored) = (&listed.stored.event, &listed.stored);
            let live = Entry {
                timestamp: event.timestamp,
                direction: event.direction,
                amount: event.amount,
                state: stored.state,
                correction: stored.correction,
                log_seq: stored.log_seq,
            };
            let differs = match rebuilt.remove(&event.event_id) {
                None => Some(("presence", "present".to_owned(), "absent".to_owned())),
                Some(rebuilt) => reducer::difference(&live, &rebuilt),
            };
            if let Some(differs) = differs {
                found.note(book, &event.event_id, live.log_seq, differs);
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = last.stored.event.key(),
            _ => break,
        }
    }
    for (event_id, entry) in rebuilt {
        let differs = ("presence", "absent".to_owned(), "present".to_owned());
        found.note(book, &event_id, entry.log_seq, differs);
    }
    Ok(())
}

impl Found {
    fn note(
        &mut self,
        book: &BookId,
        event_id: &str,
        log_seq: i64,
        (field, live, rebuilt): (&'static str, String, String),
    ) {
        self.divergent.insert(book.clone());
        let before =
            |first: &Divergence| (first.log_seq, first.event_id.as_str()) <= (log_seq, event_id);
        if self.first.as_ref().is_some_and(before) {
            return;
        }
        self.first = Some(Divergence {
            account_id: book.account_id.clone(),
            currency: book.currency.clone(),
            event_id: event_id.to_owned(),
            log_seq,
            field,
            live,
            rebuilt,
        });
    }
}
