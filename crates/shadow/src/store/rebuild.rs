//! `florin shadow rebuild`: everything derived, made again beside live from the log alone, and
//! compared at the same record (contract B4).
//!
//! **Invariants.** Serving goes on: live states are asked as they were at the record where the
//! rebuild ends. Memory is bounded by [`PASS_EVENTS`]: a larger log is read several times, each
//! time for a part of the books.

use std::collections::{BTreeMap, HashSet};

use florin_base::Clock as _;
use florin_platform::sql::Db;
use serde::Serialize;
use tokio::task::JoinHandle;

use super::compare::compare;
use super::error::WriteError;
use super::log::{self, Record};
use super::read;
use crate::model::BookId;
use crate::model::digest::sha256;
use crate::model::reducer::{self, Entries};

/// Events that one pass holds in memory, about 200 bytes each.
pub const PASS_EVENTS: i64 = 4_000_000;
/// Records that are read at a time.
const PAGE: i64 = 4_000;

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

/// What a comparison came to.
#[derive(Default)]
pub(super) struct Found {
    pub(super) books: usize,
    pub(super) events: usize,
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

/// The events of books by the log.
pub(super) type Rebuilt = BTreeMap<BookId, Entries>;

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
        let records = next.await.map_err(|_| WriteError::Stopped)??;
        let Some(end) = records.last() else {
            return Ok(Err(last + 1));
        };
        // The next page is read while this one is reduced.
        next = page(db, end.log_seq, head);
        for record in &records {
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
                && let Err(seq) = reduce(&mut rebuilt, record)
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
fn page(db: &Db, last: i64, head: super::Head) -> JoinHandle<Result<Vec<Record>, WriteError>> {
    let db = db.clone();
    tokio::spawn(async move {
        let page = log::page(db.is_shared(), last, head.log_seq, PAGE);
        log::read(db.fetch_optional(page).await?)
    })
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

impl Found {
    pub(super) fn note(
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
