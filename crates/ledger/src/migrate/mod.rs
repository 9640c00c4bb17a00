//! Moves a whole ledger between engines: every commit as it was recorded, with its notes, and the
//! checkpoints with their keys (contract A9, D).
//!
//! Boundary: copies and proves; judges nothing and asks nobody. Invariants: numbers, times,
//! hashes, ids, remembered refusals and keyed answers stay what they were; the source does not
//! change and takes no postings meanwhile; a target is not opened as a ledger before all of it
//! has come; at the end both ends are verified independently and must agree in records, hash
//! chain, tree and sums.
//!
//! A move into a database that was interrupted goes on where it stopped. One into a directory
//! starts again: it is written beside its place and put there as the last step.

mod files;

use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use florin_base::Secret;
use uuid::Uuid;

use crate::{
    postgres::{self, PostgresOptions},
    record::codec::Commit,
    verify::{Evidence, Report, VerifyError, verify_database, verify_directory},
};

/// Commits read ahead of the target.
const AHEAD: usize = 64;
/// Commits between two calls of the progress callback.
const PROGRESS_EVERY: u64 = 200;

/// Where a ledger is.
#[derive(Debug, Clone)]
pub enum Place {
    /// Directory of an embedded ledger that is stopped.
    Directory(PathBuf),
    /// A schema of a PostgreSQL database.
    Database {
        /// `postgres://user:password@host:port/database`.
        url: Secret<String>,
        /// Its schema.
        schema: String,
    },
}

impl Place {
    pub(crate) fn options(url: &Secret<String>, schema: &str) -> PostgresOptions {
        PostgresOptions {
            schema: schema.to_owned(),
            ..PostgresOptions::new(url.expose().clone(), PathBuf::new())
        }
    }
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many records are at the target.
    Moved(u64),
    /// So many records of the source were verified.
    SourceVerified(u64),
    /// So many records of the target were verified.
    TargetVerified(u64),
}

/// Why a ledger was not moved.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// What is wrong, with the remedy; the source is as it was.
    #[error("{0}")]
    Refused(String),
    /// One of the two is not what it should be.
    #[error("the {end} did not verify: {error}")]
    Unverified {
        /// Source or target.
        end: &'static str,
        /// What was found.
        error: VerifyError,
    },
    /// Both are good, but they are not the same.
    #[error("source and target differ in {0}; the target must not be used")]
    Differ(&'static str),
}

pub(crate) fn refused(what: impl std::fmt::Display) -> MigrateError {
    MigrateError::Refused(what.to_string())
}

/// A ledger that was moved.
#[derive(Debug)]
pub struct Moved {
    /// The ledger.
    pub ledger_id: Uuid,
    /// What the independent verification of the target found; that of the source found the same.
    pub report: Report,
    /// Remembered refusals and answers that were moved with it.
    pub notes: u64,
    /// Checkpoints that were moved with it.
    pub checkpoints: u64,
}

/// Where a target stands and what it takes.
pub(crate) trait Target {
    /// Last record and note that are there.
    fn place(&self) -> (u64, u64);
    /// Takes the next commit.
    fn append(&mut self, commit: &Commit) -> Result<(), MigrateError>;
}

/// Moves a ledger. Blocks; call it where that is allowed.
///
/// # Errors
/// [`MigrateError`]; the source is never changed.
pub fn migrate(
    from: &Place,
    to: &Place,
    progress: &mut dyn FnMut(Step),
) -> Result<Moved, MigrateError> {
    let source = Source::open(from)?;
    let ledger_id = source.ledger_id();
    let carried = source.checkpoints()?;
    let notes = match to {
        Place::Directory(dir) => {
            let mut target = files::Writing::begin(dir, ledger_id)?;
            let notes = copy(&source, &mut target, progress)?;
            target.finish(&carried)?;
            notes
        }
        Place::Database { url, schema } => {
            let options = Place::options(url, schema);
            let mut target = postgres::moving::Target::open(&options, ledger_id)?;
            let notes = copy(&source, &mut target, progress)?;
            target.finish(&carried)?;
            notes
        }
    };
    let report = prove(from, to, &source, progress)?;
    Ok(Moved {
        ledger_id,
        report,
        notes,
        checkpoints: carried.checkpoints.len() as u64,
    })
}

/// Hands every commit on that the target does not have; returns the count of all notes.
fn copy(
    source: &Source,
    target: &mut dyn Target,
    progress: &mut dyn FnMut(Step),
) -> Result<u64, MigrateError> {
    let (sender, receiver) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || source.walk(&sender));
        let copied = take(&receiver, target, progress);
        // A reader that still sends stops when nobody listens any more.
        drop(receiver);
        let read = reader
            .join()
            .map_err(|_| refused("reading the source panicked"))?;
        match (copied, read) {
            (Ok(notes), Ok(())) => Ok(notes),
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        }
    })
}

fn take(
    commits: &Receiver<Commit>,
    target: &mut dyn Target,
    progress: &mut dyn FnMut(Step),
) -> Result<u64, MigrateError> {
    let (mut notes, mut count) = (0, 0);
    for commit in commits {
        let h = &commit.header;
        notes += u64::from(h.notes);
        let last = (
            h.first_seq + u64::from(h.records) - 1,
            h.first_note + u64::from(h.notes) - 1,
        );
        let (seq, note) = target.place();
        if last.0 > seq || last.1 > note {
            target.append(&commit)?;
        }
        count += 1;
        if count % PROGRESS_EVERY == 0 {
            progress(Step::Moved(last.0));
        }
    }
    progress(Step::Moved(target.place().0));
    Ok(notes)
}

/// Verifies both ends on their own and compares what was found.
fn prove(
    from: &Place,
    to: &Place,
    source: &Source,
    progress: &mut dyn FnMut(Step),
) -> Result<Report, MigrateError> {
    let unverified = |end| move |error| MigrateError::Unverified { end, error };
    let own = source
        .verify(from, &mut |p| progress(Step::SourceVerified(p.records)))
        .map_err(unverified("source"))?;
    let other = verify(to, &mut |p| progress(Step::TargetVerified(p.records)))
        .map_err(unverified("target"))?;
    let same = [
        ("the count of records", own.records == other.records),
        ("the head", own.head == other.head),
        ("the sums", own.sums == other.sums),
        ("the accounts", own.accounts == other.accounts),
        (
            "the open reservations",
            own.open_pendings == other.open_pendings,
        ),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(MigrateError::Differ(what)),
        None => Ok(other),
    }
}

fn verify(
    place: &Place,
    progress: &mut dyn FnMut(crate::verify::Progress),
) -> Result<Report, VerifyError> {
    let evidence = Evidence::default();
    match place {
        Place::Directory(dir) => verify_directory(dir, &evidence, progress),
        Place::Database { url, schema } => {
            verify_database(&Place::options(url, schema), &evidence, progress)
        }
    }
}

/// A ledger that is read and takes no postings meanwhile.
enum Source {
    Directory(files::Reading),
    Database(postgres::moving::Source),
}

impl Source {
    fn open(place: &Place) -> Result<Self, MigrateError> {
        match place {
            Place::Directory(dir) => files::Reading::open(dir).map(Self::Directory),
            Place::Database { url, schema } => {
                postgres::moving::Source::open(&Place::options(url, schema)).map(Self::Database)
            }
        }
    }

    fn ledger_id(&self) -> Uuid {
        match self {
            Self::Directory(source) => source.ledger_id(),
            Self::Database(source) => source.ledger_id(),
        }
    }

    fn checkpoints(&self) -> Result<crate::checkpoints::Carried, MigrateError> {
        match self {
            Self::Directory(source) => source.checkpoints(),
            Self::Database(source) => source.checkpoints(),
        }
    }

    /// Sends every commit; ends early, without an error, when nobody takes them any more.
    fn walk(&self, out: &SyncSender<Commit>) -> Result<(), MigrateError> {
        match self {
            Self::Directory(source) => source.walk(out),
            Self::Database(source) => source.walk(out),
        }
    }

    fn verify(
        &self,
        place: &Place,
        progress: &mut dyn FnMut(crate::verify::Progress),
    ) -> Result<Report, VerifyError> {
        match (self, place) {
            // The verifier wants the directory's lock for itself.
            (Self::Directory(source), Place::Directory(dir)) => {
                source.unlocked(|| verify_directory(dir, &Evidence::default(), progress))
            }
            _ => verify(place, progress),
        }
    }
}
