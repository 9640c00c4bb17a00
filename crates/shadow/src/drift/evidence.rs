//! What bank statements say, as checks and monitors ask for it. The statements' part of the room
//! answers; without it there is no such evidence.

use std::future::Future;
use std::pin::Pin;

use super::explain::LineFact;
use crate::model::BookId;
use crate::store::WriteError;

/// A pending answer.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, WriteError>> + Send + 'a>>;

/// A statement that a check names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementFact {
    /// Its book.
    pub book: BookId,
    /// Closing balance, minor units; `None` where the statement has none.
    pub closing: Option<i128>,
    /// Last millisecond of its closing day in the book's zone.
    pub closes_at: i64,
}

/// The newest closing balance of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Its book.
    pub book: BookId,
    /// The statement.
    pub statement: String,
    /// Minor units.
    pub balance: i128,
    /// Last millisecond of the closing day in the book's zone.
    pub closes_at: i64,
    /// When the statement was imported, microseconds.
    pub imported_at: i64,
    /// Its opening is not the closing before it: since when that is known, microseconds.
    pub gap_since: Option<i64>,
}

/// Reads statements.
pub trait Evidence: Send + Sync + 'static {
    /// A statement by id.
    fn statement<'a>(&'a self, id: &'a str) -> Asking<'a, Option<StatementFact>>;

    /// Lines of a book whose booking day starts within the window (epoch ms, inclusive), by day
    /// and id, at most `limit`; of one statement only if one is named.
    fn lines<'a>(
        &'a self,
        book: &'a BookId,
        window: (i64, i64),
        statement: Option<&'a str>,
        limit: usize,
    ) -> Asking<'a, Vec<LineFact>>;

    /// The newest statement of each book, by account and currency, after a book.
    fn closings<'a>(&'a self, after: Option<&'a BookId>, limit: usize) -> Asking<'a, Vec<Closing>>;

    /// The newest statement of one book.
    fn closing<'a>(&'a self, book: &'a BookId) -> Asking<'a, Option<Closing>>;
}

/// No statements.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvidence;

fn nothing<'a, T: Send + 'a>(value: T) -> Asking<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Evidence for NoEvidence {
    fn statement<'a>(&'a self, _: &'a str) -> Asking<'a, Option<StatementFact>> {
        nothing(None)
    }

    fn lines<'a>(
        &'a self,
        _: &'a BookId,
        _: (i64, i64),
        _: Option<&'a str>,
        _: usize,
    ) -> Asking<'a, Vec<LineFact>> {
        nothing(Vec::new())
    }

    fn closings<'a>(&'a self, _: Option<&'a BookId>, _: usize) -> Asking<'a, Vec<Closing>> {
        nothing(Vec::new())
    }

    fn closing<'a>(&'a self, _: &'a BookId) -> Asking<'a, Option<Closing>> {
        nothing(None)
    }
}
