//! Books in memory, and how they come there. Only the writer has one.
//!
//! **Invariants.** A cached book is what the tables say at the head that the cache knows; when
//! another process moved the head, the books that it touched are forgotten; books of a failed
//! transaction are forgotten. At most [`SLOTS_MAX`] events stay between commits, except that
//! the books of one commit are never cut. Of a large book only the blocks are read that
//! something happens to ([`super::part`]).

use florin_platform::sql::{Arg, Query, Row, SqlError, Tx, query};
use hashbrown::HashMap;

use super::bulk::{self, Marks};
use super::error::WriteError;
use super::{part, rows};
use crate::model::book::Slot;
use crate::model::{Book, BookId, Key, Policy, Rules};

/// Events kept in memory between commits; about 100 bytes each.
pub const SLOTS_MAX: usize = 4_000_000;

/// Rows that are read at a time for one book.
const PAGE: i64 = 20_000;

/// A book with what only the store knows of it.
#[derive(Debug)]
pub struct Cached {
    /// The book.
    pub book: Book,
    /// The tables hold its blocks under their present numbers.
    pub blocks_stored: bool,
    /// Changed in this transaction.
    pub touched: bool,
    /// It has no row yet.
    pub is_new: bool,
    /// When it was last used, in commits.
    used: u64,
    /// Its size when it was last added up.
    counted: usize,
}

impl Cached {
    /// What it counts against [`SLOTS_MAX`].
    fn size(&self) -> usize {
        self.book.present() + self.book.blocks().len() + 1
    }
}

/// The books in memory. Nothing passes over all of them in a commit: there may be millions.
#[derive(Debug, Default)]
pub struct Books {
    known: HashMap<BookId, Cached>,
    /// Those that this commit has used.
    met: Vec<BookId>,
    /// Sum of the sizes that were counted.
    size: usize,
    commit: u64,
}

/// What a new book is given.
#[derive(Debug, Clone, Copy)]
pub struct NewBook {
    /// Its rules.
    pub rules: Rules,
}

const BOOKS: &str = "SELECT book_id, account_id, currency, floor, policy, grace_ms, linked, events
    FROM shadow_books WHERE account_id IN";

pub(super) const SLOTS: &str =
    "SELECT book_id, ts, event_id, log_seq, m0, m1, m2, state, reason, is_open,
    deadline, correction FROM shadow_entries";

/// Books up to this many events are read many at a time.
const SMALL: i64 = 2_000;

impl Books {
    /// The book, if it is in memory.
    pub fn get(&self, id: &BookId) -> Option<&Cached> {
        self.known.get(id)
    }

    /// The book, to be changed.
    pub fn get_mut(&mut self, id: &BookId) -> Option<&mut Cached> {
        let found = self.known.get_mut(id)?;
        if found.used != self.commit {
            found.used = self.commit;
            self.met.push(id.clone());
        }
        Some(found)
    }

    /// Nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Forgets everything: a transaction failed, or somebody else wrote.
    pub fn forget_all(&mut self) {
        self.known.clear();
        self.met.clear();
        self.size = 0;
    }

    /// Forgets books that another process changed.
    pub fn forget(&mut self, id: &BookId) {
        if let Some(cached) = self.known.remove(id) {
            self.size -= cached.counted;
        }
    }

    /// Books touched in this transaction.
    pub fn touched(&self) -> Vec<BookId> {
        let touched = |id: &&BookId| self.known.get(*id).is_some_and(|cached| cached.touched);
        self.met.iter().filter(touched).cloned().collect()
    }

    /// Ends a transaction: the least recently used books go when there are too many events.
    pub fn end_of_commit(&mut self) {
        self.commit += 1;
        for id in std::mem::take(&mut self.met) {
            let Some(cached) = self.known.get_mut(&id) else {
                continue;
            };
            // A book that was only asked for has no row and no number of its own.
            if cached.is_new {
                self.forget(&id);
                continue;
            }
            cached.touched = false;
            let size = cached.size();
            self.size = self.size - cached.counted + size;
            cached.counted = size;
        }
        if self.size > SLOTS_MAX {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        let mut ages: Vec<(u64, BookId)> = self
            .known
            .iter()
            .map(|(id, cached)| (cached.used, id.clone()))
            .collect();
        ages.sort();
        for (_, id) in ages {
            if self.size <= SLOTS_MAX / 4 * 3 {
                break;
            }
            self.forget(&id);
        }
    }

    /// Brings books into memory. Those without a row are made with `fresh` and numbered from
    /// `next_number` on when `create` is set, else left out.
    ///
    /// # Errors
    /// As [`Tx::fetch_all`]; [`WriteError::Damaged`] for rows that cannot be read.
    pub async fn load(
        &mut self,
        tx: &mut Tx,
        marks: Marks,
        ids: impl Iterator<Item = BookId>,
        fresh: Option<(NewBook, &mut i64)>,
    ) -> Result<(), WriteError> {
        let mut missing: Vec<BookId> = ids.filter(|id| !self.known.contains_key(id)).collect();
        missing.sort();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let mut accounts: Vec<&str> = missing.iter().map(|id| id.account_id.as_str()).collect();
        accounts.dedup();
        let keys = accounts.into_iter().map(Arg::from).collect();
        let mut small = Vec::new();
        let mut numbers = HashMap::new();
        for row in bulk::select(tx, marks, BOOKS, "", keys).await? {
            let (book, events) = book_of(&row)?;
            if missing.binary_search(&book.id).is_err() {
                continue;
            }
            numbers.insert(book.number, book.id.clone());
            if events > SMALL {
                let mut book = book;
                let part = part::outline(tx, &mut book, events).await?;
                if !part {
                    book = fill(tx, book).await?;
                }
                self.put(book, false, part);
            } else {
                if events > 0 {
                    small.push(Arg::from(book.number));
                }
                self.put(book, false, false);
            }
        }
        let prefix = format!("{SLOTS} WHERE book_id IN");
        let order = "ORDER BY book_id, ts, event_id";
        for row in bulk::select(tx, marks, &prefix, order, small).await? {
            let id = &numbers[&row.get::<i64>("book_id")?];
            let slot = slot_of(&row)?;
            if let Some(cached) = self.known.get_mut(id) {
                let placed = cached.book.insert(slot);
                placed.map_err(|_| WriteError::Damaged("sums of a book"))?;
            }
        }
        for id in &missing {
            if let Some(cached) = self.known.get_mut(id) {
                cached.book.take_dirty();
            }
        }
        if let Some((new, next_number)) = fresh {
            for id in missing {
                if !self.known.contains_key(&id) {
                    *next_number += 1;
                    self.put(Book::new(*next_number, id, new.rules), true, false);
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, book: Book, is_new: bool, blocks_stored: bool) {
        let cached = Cached {
            blocks_stored,
            touched: false,
            is_new,
            used: self.commit,
            counted: 0,
            book,
        };
        self.met.push(cached.book.id.clone());
        self.known.insert(cached.book.id.clone(), cached);
    }
}

/// Reads all events of one book, a page at a time.
async fn fill(tx: &mut Tx, mut book: Book) -> Result<Book, WriteError> {
    let mut after = Key::new(i64::MIN, "");
    loop {
        let text = format!(
            "{SLOTS} WHERE book_id = $1 AND (ts, event_id) > ($2, $3)
             ORDER BY ts, event_id LIMIT $4"
        );
        let page = Query::assembled(text)
            .bind(book.number)
            .bind(after.timestamp)
            .bind(&after.event_id)
            .bind(PAGE);
        let page = tx.fetch_all(page).await?;
        for row in &page {
            let slot = slot_of(row)?;
            after = slot.key.clone();
            book.insert(slot)
                .map_err(|_| WriteError::Damaged("sums of a book"))?;
        }
        if (page.len() as i64) < PAGE {
            return Ok(book);
        }
    }
}

fn book_of(row: &Row) -> Result<(Book, i64), WriteError> {
    let id = BookId::new(
        row.get::<String>("account_id")?,
        row.get::<String>("currency")?,
    );
    let rules = Rules {
        floor: rows::floor(row.get::<Option<String>>("floor")?)?,
        policy: Policy::from_word(&row.get::<String>("policy")?)
            .ok_or(WriteError::Damaged("policy of a book"))?,
        grace_micros: row.get::<i64>("grace_ms")?.saturating_mul(1_000),
    };
    let mut book = Book::new(row.get("book_id")?, id, rules);
    book.linked = row.get("linked")?;
    Ok((book, row.get("events")?))
}

pub(super) fn slot_of(row: &Row) -> Result<Slot, WriteError> {
    Ok(Slot {
        key: Key::new(row.get("ts")?, row.get::<String>("event_id")?),
        signed: rows::money(row)?,
        state: rows::state(&row.get::<String>("state")?)?,
        is_final: !row.get::<bool>("is_open")?,
        reason: rows::reason(row.get("reason")?)?,
        deadline: row.get("deadline")?,
        correction: row.get("correction")?,
        log_seq: row.get("log_seq")?,
    })
}

/// Books that records after `known` speak of: what another process changed.
///
/// # Errors
/// As [`Tx::fetch_all`].
pub async fn changed_since(tx: &mut Tx, known: i64) -> Result<Vec<BookId>, SqlError> {
    let text = "SELECT DISTINCT account_id, currency FROM shadow_log
        WHERE log_seq > $1 AND account_id IS NOT NULL";
    let rows = tx.fetch_all(query(text).bind(known)).await?;
    rows.iter()
        .map(|row| {
            Ok(BookId::new(
                row.get::<String>("account_id")?,
                row.get::<Option<String>>("currency")?.unwrap_or_default(),
            ))
        })
        .collect()
}
