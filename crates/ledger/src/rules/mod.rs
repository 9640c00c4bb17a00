//! The rule book: what becomes of a call, given the state of what it touches. Deterministic,
//! no clock, no I/O; both engines call it, so every result code has one meaning.

pub mod book;
pub mod prepare;

mod accounts;
mod chains;
mod compare;
mod convert;
mod holds;
mod import;
mod items;
mod limits;
mod moves;
mod posting;
mod repeats;
mod resolutions;
mod reverse;
mod wallets;

use florin_base::Timestamp;

use self::book::{Book, Fault, Hot, Known, Note, OpenPending, Windows};
use crate::{
    call::{Call, Outcome},
    model::{Body, Record, Slot, Touches, TransferId},
    policy::Policy,
};

pub use compare::{identities, note_identity};
pub use limits::{counts, limits_in_force, replay_limits};
pub use reverse::REVERSAL_BYTES_MAX;

/// Where a batch starts.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Number of this commit.
    pub batch: u64,
    /// Ledger time of this commit; above that of every earlier one.
    pub now: Timestamp,
    /// Last record before it.
    pub last_seq: u64,
    /// Last note before it.
    pub last_note: u64,
}

/// What a call came to.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Its outcome.
    pub outcome: Outcome,
    /// An earlier outcome, answered again.
    pub replayed: bool,
    /// For a replay of a stored answer: the commit and time it was first answered with.
    pub first: Option<(u64, Timestamp)>,
}

impl Judged {
    fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            replayed: false,
            first: None,
        }
    }

    fn replay(outcome: Outcome) -> Self {
        Self {
            outcome,
            replayed: true,
            first: None,
        }
    }
}

/// How to take one change back.
enum Undo {
    Hot(Slot, Hot),
    Created(Slot),
    PendingAdded(TransferId),
    PendingRemoved(TransferId, Box<OpenPending>),
    Windows(Slot, Windows),
}

/// A point to roll back to.
#[derive(Clone, Copy)]
struct Mark {
    undo: usize,
    records: usize,
    notes: usize,
}

/// Judges the calls of one batch against a book, in order.
pub struct Judge<'a, B: Book> {
    book: &'a mut B,
    policy: &'a Policy,
    start: Start,
    records: Vec<Record>,
    notes: Vec<Note>,
    undo: Vec<Undo>,
    actor: Option<Box<str>>,
    expired_holds: u64,
}

impl<'a, B: Book> Judge<'a, B> {
    /// Begins a batch of about so many items.
    pub fn new(book: &'a mut B, policy: &'a Policy, start: Start, items: usize) -> Self {
        Self {
            book,
            policy,
            start,
            records: Vec::with_capacity(items),
            notes: Vec::new(),
            undo: Vec::new(),
            actor: None,
            expired_holds: 0,
        }
    }

    /// Applies expiries due at the batch's time (contract A2), at most `limit`; call it first.
    /// False when more are due: then the batch may hold nothing else.
    pub fn expire_due(&mut self, limit: usize) -> bool {
        self.actor = None;
        for _ in 0..limit {
            match self.book.next_due(self.start.now) {
                Some(id) => {
                    let held = self.book.pending(&id).is_some_and(|open| open.is_hold);
                    self.expired_holds += u64::from(held);
                    self.expire(&id);
                }
                None => break,
            }
        }
        self.undo.clear();
        self.book.next_due(self.start.now).is_none()
    }

    /// Judges one call. Its effects are in the book and in the batch, or it was refused.
    ///
    /// # Errors
    /// [`Fault`]: nothing of the call was done.
    pub fn call(&mut self, call: Call) -> Result<Judged, Fault> {
        let mark = self.mark();
        let judged = match call {
            Call::Transfers(c) => self.transfers(c),
            Call::Reverse(c) => self.reverse(c),
            Call::CreateAsset { actor, asset } => self.create_asset(actor, asset),
            Call::CreateAccount(c) => self.create_account(c),
            Call::PatchAccount(c) => self.patch_account(c),
            Call::CreateWallet(c) => self.create_wallet(c),
            Call::WalletMove(c) => self.wallet_move(*c),
            Call::ResolveHold(c) => self.resolve_hold(*c),
            Call::UpdateWallet(c) => self.update_wallet(*c),
            Call::Import(c) => self.import(c),
        };
        if judged.is_err() {
            self.roll_back(mark);
        }
        self.undo.clear();
        judged
    }

    /// The book as the calls so far left it.
    pub fn book(&self) -> &B {
        self.book
    }

    /// Count of records and notes so far; both zero means there is nothing to commit.
    pub fn staged(&self) -> (usize, usize) {
        (self.records.len(), self.notes.len())
    }

    /// How many of the expiries were wallet holds, for metrics.
    pub fn expired_holds(&self) -> u64 {
        self.expired_holds
    }

    /// Ends the batch: its records and notes, in order.
    pub fn finish(self) -> (Vec<Record>, Vec<Note>) {
        (self.records, self.notes)
    }

    fn mark(&self) -> Mark {
        Mark {
            undo: self.undo.len(),
            records: self.records.len(),
            notes: self.notes.len(),
        }
    }

    fn roll_back(&mut self, mark: Mark) {
        while self.undo.len() > mark.undo {
            match self.undo.pop().expect("longer than the mark") {
                Undo::Hot(slot, hot) => *self.book.hot_mut(slot) = hot,
                Undo::Created(slot) => self.book.remove_last_account(slot),
                Undo::PendingAdded(id) => drop(self.book.remove_pending(&id)),
                Undo::PendingRemoved(id, pending) => self.book.add_pending(&id, *pending),
                Undo::Windows(slot, windows) => self.book.set_windows(slot, windows),
            }
        }
        let Self {
            book,
            records,
            notes,
            ..
        } = self;
        for record in records.drain(mark.records..) {
            identities(&record, |space, scope, id| book.forget(space, scope, id));
        }
        for note in notes.drain(mark.notes..) {
            note_identity(&note, 0, |space, scope, id, _| {
                book.forget(space, scope, id)
            });
        }
    }

    fn next_seq(&self) -> u64 {
        self.start.last_seq + self.records.len() as u64 + 1
    }

    /// Adds a record and the identities that follow from it; returns its `seq`.
    fn push(&mut self, body: Body, touches: Touches) -> u64 {
        let record = Record {
            seq: self.next_seq(),
            batch: self.start.batch,
            recorded_at: self.start.now,
            actor: self.actor.clone(),
            body,
            touches,
        };
        let seq = record.seq;
        identities(&record, |space, scope, id| {
            self.book.remember(space, scope, id, Known::Record(seq))
        });
        self.records.push(record);
        seq
    }

    /// Adds a note and the identity that follows from it.
    fn push_note(&mut self, note: Note) {
        let number = self.start.last_note + self.notes.len() as u64 + 1;
        note_identity(&note, number, |space, scope, id, known| {
            self.book.remember(space, scope, id, known)
        });
        self.notes.push(note);
    }

    fn load(&mut self, seq: u64) -> Result<Record, Fault> {
        if seq > self.start.last_seq {
            let index = (seq - self.start.last_seq - 1) as usize;
            return self
                .records
                .get(index)
                .cloned()
                .ok_or_else(|| missing("record", seq));
        }
        self.book.record(seq)
    }

    fn load_note(&mut self, number: u64) -> Result<Note, Fault> {
        if number > self.start.last_note {
            let index = (number - self.start.last_note - 1) as usize;
            return self
                .notes
                .get(index)
                .cloned()
                .ok_or_else(|| missing("note", number));
        }
        self.book.note(number)
    }
}

fn missing(what: &str, number: u64) -> Fault {
    Fault(format!("{what} {number} does not exist"))
}
