//! One write transaction: records are appended, books change, and at its end everything that is
//! derived goes to the tables in the same commit.

use florin_platform::sql::{Arg, SqlError, Tx, query};

use super::bodies::{DecisionBody, EventBody, changed, emitted, stored_reason};
use super::bulk::{self, Marks};
use super::cache::{Books, Cached, NewBook, changed_since};
use super::error::WriteError;
use super::record::{Actor, Chained, NewRecord, Stamp, kind};
use super::tally::Tally;
use crate::model::amount::split;
use crate::model::book::Change;
use crate::model::decide;
use crate::model::{Book, BookId, Event, Reason, Rules, State};

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the newest record; 0 for none.
    pub log_seq: i64,
    /// Its hash; zeros for none.
    pub hash: [u8; 32],
    /// When the newest commit was recorded, microseconds.
    pub recorded_at: i64,
}

/// What the writer keeps between transactions.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) books: Books,
    pub(super) known_head: i64,
    pub(super) fresh: NewBook,
    pub(super) marks: Marks,
}

/// A write transaction on the log; see [`Shadow::write`](super::Shadow::write).
#[derive(Debug)]
pub struct Session {
    pub(super) core: Core,
    tx: Option<Tx>,
    head: Head,
    now: i64,
    books_made: i64,
    log: Vec<Vec<Arg>>,
    entries: Vec<Vec<Arg>>,
    changes: Vec<Vec<Arg>>,
    tally: Tally,
    states: Vec<Vec<Arg>>,
    finals: Vec<Vec<Arg>>,
    appended: bool,
}

/// Facts about an event that is put in, beside its content.
#[derive(Debug, Clone)]
pub struct Entering<'a> {
    /// How it came: `http`, `batch`, `kafka`, `feed`, `correction`.
    pub entrance: &'static str,
    /// Who.
    pub actor: &'a Actor,
    /// A correction of ours.
    pub correction: bool,
    /// The event that a correction is about.
    pub cause: Option<&'a str>,
}

impl Session {
    /// Reads the head and makes the memory fit it.
    pub(super) async fn begin(
        mut core: Core,
        mut tx: Tx,
        wall: i64,
    ) -> Result<Self, (Core, WriteError)> {
        let head = match read_head(&mut tx).await {
            Ok(head) => head,
            Err(error) => return Err((core, error)),
        };
        let (head, books_made) = head;
        if head.log_seq != core.known_head && !core.books.is_empty() {
            match super::swap::replaced_since(&mut tx, core.known_head).await {
                Ok(true) => core.books.forget_all(),
                Ok(false) => {}
                Err(error) => return Err((core, error.into())),
            }
            match changed_since(&mut tx, core.known_head).await {
                Ok(books) => books.iter().for_each(|id| core.books.forget(id)),
                Err(error) => return Err((core, error.into())),
            }
        }
        Ok(Self {
            core,
            tx: Some(tx),
            head,
            now: wall.max(head.recorded_at + 1),
            books_made,
            log: Vec::new(),
            entries: Vec::new(),
            changes: Vec::new(),
            tally: Tally::default(),
            states: Vec::new(),
            finals: Vec::new(),
            appended: false,
        })
    }

    /// The time of this commit in microseconds: later than that of every commit before.
    pub const fn now(&self) -> i64 {
        self.now
    }

    /// Lets the commit be recorded at an instant of the past that lies behind every other
    /// commit (marks, contract B1). Only before anything was appended.
    pub(crate) fn set_now(&mut self, instant: i64) {
        if !self.appended && instant > self.head.recorded_at {
            self.now = instant;
        }
    }

    /// The end of the log as this transaction leaves it so far.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The transaction, for tables of your own. What was appended before stands in the log's
    /// tables only after [`Session::flush`].
    pub fn tx(&mut self) -> &mut Tx {
        self.tx
            .as_mut()
            .expect("a session has its transaction until it ends")
    }

    /// The transaction and the books in memory.
    pub(super) fn tx_and_books(&mut self) -> (&mut Tx, &mut Books) {
        let tx = self.tx.as_mut().expect("open");
        (tx, &mut self.core.books)
    }

    /// Appends a record; answers its number.
    pub fn append(&mut self, record: NewRecord) -> i64 {
        self.appended = true;
        let stamp = Stamp {
            log_seq: self.head.log_seq + 1,
            recorded_at: self.now,
        };
        let chained = Chained {
            stamp,
            kind: record.kind,
            account_id: record.book.as_ref().map(|book| book.account_id.as_str()),
            currency: record.book.as_ref().map(|book| book.currency.as_str()),
            subject: record.subject.as_deref(),
            actor: &record.actor.subject,
            role: record.actor.role.as_deref(),
            trace_id: record.actor.trace_id.as_deref(),
            emits: record.emits,
            body: &record.body,
        };
        self.head.hash = chained.link(&self.head.hash);
        self.head.log_seq = stamp.log_seq;
        self.head.recorded_at = self.now;
        let (account_id, currency) = match record.book {
            Some(book) => (Some(book.account_id), Some(book.currency)),
            None => (None, None),
        };
        self.log.push(vec![
            stamp.log_seq.into(),
            stamp.recorded_at.into(),
            record.kind.into(),
            account_id.into(),
            currency.into(),
            record.subject.into(),
            record.actor.subject.into(),
            record.actor.role.into(),
            record.actor.trace_id.into(),
            record.emits.into(),
            record.body.into(),
            (&self.head.hash).into(),
        ]);
        stamp.log_seq
    }

    /// As [`Session::append`], with the time of the commit.
    pub fn append_stamped(&mut self, record: NewRecord) -> Stamp {
        let log_seq = self.append(record);
        Stamp {
            log_seq,
            recorded_at: self.now,
        }
    }

    /// Brings books into memory, making those that are missing.
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub async fn load(&mut self, ids: impl Iterator<Item = BookId>) -> Result<(), WriteError> {
        let tx = self.tx.as_mut().expect("open");
        let fresh = Some((self.core.fresh, &mut self.books_made));
        self.core.books.load(tx, self.core.marks, ids, fresh).await
    }

    /// A book, made when it is missing.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub async fn book(&mut self, id: &BookId) -> Result<&Book, WriteError> {
        self.load(std::iter::once(id.clone())).await?;
        Ok(&self.loaded(id).book)
    }

    /// A book, if it has a row.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub async fn find_book(&mut self, id: &BookId) -> Result<Option<&Book>, WriteError> {
        let tx = self.tx.as_mut().expect("open");
        let ids = std::iter::once(id.clone());
        self.core.books.load(tx, self.core.marks, ids, None).await?;
        Ok(self.core.books.get(id).map(|cached| &cached.book))
    }

    pub(super) fn loaded(&mut self, id: &BookId) -> &mut Cached {
        let found = self.core.books.get_mut(id);
        found.expect("a book is loaded before it is used")
    }

    /// A loaded book that is going to change.
    pub(super) fn change(&mut self, id: &BookId) -> &mut Book {
        let cached = self.loaded(id);
        cached.touched = true;
        &mut cached.book
    }

    /// Sets what decides in a book, whether it is linked, and decides its held debits again;
    /// the caller appends the setting's record.
    pub(crate) fn set_rules(&mut self, id: &BookId, rules: Rules, linked: bool, actor: &Actor) {
        let book = self.change(id);
        book.rules = rules;
        book.linked = linked;
        let changes = decide::decide_again(book);
        self.note(id, changes, actor, None);
    }

    /// Works the deadlines of a loaded book that have passed by this commit's time; answers how
    /// many.
    pub(crate) fn expire(&mut self, id: &BookId) -> usize {
        let now = self.now;
        let cached = self.loaded(id);
        if cached.book.open() == 0 {
            return 0;
        }
        let changes = decide::expire(&mut cached.book, now);
        cached.touched |= !changes.is_empty();
        let worked = changes.len();
        self.note(id, changes, &Actor::system("deadline"), None);
        worked
    }

    /// Appends the record of an event that stands decided in its book, and its row.
    pub(super) fn record_event(&mut self, event: &Event, entering: &Entering<'_>) -> i64 {
        let id = event.book();
        let book = &self.loaded(&id).book;
        let (number, policy) = (book.number, book.rules.policy.as_str());
        let slot = book
            .slot(&event.key())
            .expect("the event was put in")
            .clone();
        let body = EventBody {
            event_id: event.event_id.clone(),
            direction: event.direction.as_str().to_owned(),
            minor: event.amount.to_string(),
            timestamp: event.timestamp,
            reference: event.reference.clone(),
            description: event.description.clone(),
            source: event.source.clone(),
            sequence: event.sequence,
            state: slot.state.as_str().to_owned(),
            reason: slot.reason.map(|reason| reason.as_str().to_owned()),
            is_final: slot.is_final,
            deadline: slot.deadline,
            policy: policy.to_owned(),
            entrance: entering.entrance.to_owned(),
            correction: entering.correction,
            cause: entering.cause.map(str::to_owned),
        };
        let record = NewRecord::new(kind::EVENT, entering.actor.clone(), &body)
            .about(&id)
            .subject(&event.event_id)
            .emits(emitted(slot.state));
        let log_seq = self.append(record);
        debug_assert_eq!(log_seq, slot.log_seq);
        let [m0, m1, m2] = split(event.signed());
        let reason = slot.reason.map(Reason::as_str);
        self.entries.push(vec![
            number.into(),
            event.timestamp.into(),
            (&event.event_id).into(),
            log_seq.into(),
            self.now.into(),
            m0.into(),
            m1.into(),
            m2.into(),
            slot.state.as_str().into(),
            reason.into(),
            (!slot.is_final).into(),
            slot.deadline.into(),
            slot.state.as_str().into(),
            reason.into(),
            log_seq.into(),
            slot.is_final.then_some(log_seq).into(),
            entering.correction.into(),
            body.cause.into(),
            body.reference.into(),
            body.description.into(),
            body.source.into(),
            body.sequence.into(),
        ]);
        log_seq
    }

    /// Appends the records of changes and remembers the rows.
    pub(super) fn note(
        &mut self,
        id: &BookId,
        changes: Vec<Change>,
        actor: &Actor,
        note: Option<&str>,
    ) {
        if changes.is_empty() {
            return;
        }
        let policy = self.loaded(id).book.rules.policy.as_str();
        for change in changes {
            self.tally.add(&change);
            let body = DecisionBody {
                event_id: change.key.event_id.clone(),
                timestamp: change.key.timestamp,
                from: change.from.as_str().to_owned(),
                to: change.to.as_str().to_owned(),
                reason: change.reason.as_str().to_owned(),
                is_final: change.is_final,
                running: change.running.to_string(),
                policy: policy.to_owned(),
                note: note.map(str::to_owned),
            };
            let plain = change.is_final && change.from == State::Applied;
            let record = NewRecord {
                emits: (!plain && (change.from != change.to || change.is_final))
                    .then(|| changed(&change)),
                ..NewRecord::new(
                    if plain { kind::FINAL } else { kind::DECISION },
                    actor.clone(),
                    &body,
                )
                .about(id)
                .subject(&change.key.event_id)
            };
            let log_seq = self.append(record);
            let event_id = change.key.event_id;
            if plain {
                self.finals.push(vec![event_id.into(), log_seq.into()]);
                continue;
            }
            let stored = stored_reason(&change.to, change.reason);
            let reason = stored.map(Reason::as_str);
            self.states.push(vec![
                (&event_id).into(),
                change.to.as_str().into(),
                reason.into(),
                (!change.is_final).into(),
                log_seq.into(),
                change.is_final.then_some(log_seq).into(),
            ]);
            self.changes.push(vec![
                event_id.into(),
                log_seq.into(),
                change.to.as_str().into(),
                reason.into(),
            ]);
        }
    }

    /// Writes everything that waits to the tables of this transaction.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn flush(&mut self) -> Result<(), SqlError> {
        let tx = self.tx.as_mut().expect("open");
        super::derived::write(
            tx,
            self.core.marks,
            std::mem::take(&mut self.log),
            std::mem::take(&mut self.entries),
            std::mem::take(&mut self.states),
            std::mem::take(&mut self.finals),
            std::mem::take(&mut self.changes),
        )
        .await?;
        let mut rows = Vec::new();
        for id in self.core.books.touched() {
            let Some(cached) = self.core.books.get_mut(&id) else {
                continue;
            };
            super::derived::write_blocks(tx, self.core.marks, cached).await?;
            rows.push(super::derived::book_row(cached, self.head.log_seq));
            cached.is_new = false;
        }
        super::derived::write_books(tx, self.core.marks, rows).await
    }

    /// Commits. Nothing appended: nothing is written and nothing is committed, except what the
    /// work itself wrote.
    pub(super) async fn finish(mut self, fail: &'static str) -> (Core, Result<Head, WriteError>) {
        let done = self.store_head().await;
        if let Err(error) = done {
            return self.abandon(error.into());
        }
        super::failpoint::reach(fail);
        let tx = self.tx.take().expect("open");
        match tx.commit().await {
            Ok(()) => {
                self.core.known_head = self.head.log_seq;
                self.core.books.end_of_commit();
                self.tally.tell();
                (self.core, Ok(self.head))
            }
            Err(SqlError::CommitUnknown(_)) => self.abandon(WriteError::CommitUnknown),
            Err(error) => self.abandon(error.into()),
        }
    }

    async fn store_head(&mut self) -> Result<(), SqlError> {
        self.flush().await?;
        if !self.appended {
            return Ok(());
        }
        let head = self.head;
        let books = self.books_made;
        let commit = query("INSERT INTO shadow_commits (recorded_at, last_seq) VALUES ($1, $2)")
            .bind(head.recorded_at)
            .bind(head.log_seq);
        let update = query(
            "UPDATE shadow_head SET log_seq = $1, hash = $2, recorded_at = $3, books = $4
             WHERE one = 1",
        )
        .bind(head.log_seq)
        .bind(head.hash)
        .bind(head.recorded_at)
        .bind(books);
        let tx = self.tx();
        tx.execute(commit).await?;
        tx.execute(update).await?;
        Ok(())
    }

    /// Rolls back; what was in memory is read again when it is needed.
    pub(super) fn abandon<T>(mut self, error: WriteError) -> (Core, Result<T, WriteError>) {
        self.tx = None;
        self.core.books.forget_all();
        (self.core, Err(error))
    }

    /// The stored event of an id.
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub async fn find_event(&mut self, event_id: &str) -> Result<Option<Stored>, WriteError> {
        let mut found = self.find_events(&[event_id]).await?;
        Ok(found.pop())
    }

    /// The stored events of some ids, in no order.
    ///
    /// # Errors
    /// As [`Session::find_event`].
    pub async fn find_events(&mut self, ids: &[&str]) -> Result<Vec<Stored>, WriteError> {
        let keys = ids.iter().map(|id| Arg::from(*id)).collect();
        let marks = self.core.marks;
        let tx = self.tx();
        let rows = bulk::select(tx, marks, Stored::SELECT, "", keys).await?;
        rows.iter().map(Stored::from_row).collect()
    }
}

pub use super::stored::Stored;

pub(super) async fn read_head(tx: &mut Tx) -> Result<(Head, i64), WriteError> {
    let text = "SELECT log_seq, hash, recorded_at, books FROM shadow_head WHERE one = 1";
    let row = tx
        .fetch_optional(query(text))
        .await?
        .ok_or(WriteError::Damaged("head"))?;
    let hash: Vec<u8> = row.get("hash")?;
    let head = Head {
        log_seq: row.get("log_seq")?,
        hash: hash.try_into().map_err(|_| WriteError::Damaged("head"))?,
        recorded_at: row.get("recorded_at")?,
    };
    Ok((head, row.get("books")?))
}
