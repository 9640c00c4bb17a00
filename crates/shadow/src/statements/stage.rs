//! The way of lines from a reader's thread to the tables: bounded messages, rows in chunks.

use florin_platform::sql::{Arg, query};
use tokio::sync::{mpsc, oneshot};

use super::fault::{FaultCode, StatementFault};
use super::gate::{Checked, Receiver};
use super::model::{Format, Head, Line};
use super::stored::{INSERT_LINES, line_row};
use crate::store::bulk;
use crate::store::{Shadow, WriteError, failpoint};

/// Lines of one message.
const LINES_OF_MESSAGE: usize = 500;
/// Lines of one write transaction: others get their turn in between.
const LINES_OF_WRITE: usize = 2_000;
/// Messages that may wait.
pub const MESSAGES_MAX: usize = 2;
/// Most statements of a file; their numbers follow that of the import.
pub const STATEMENTS_MAX: i64 = 1_000_000;

/// A line with its place.
#[derive(Debug)]
pub struct Placed {
    n: u64,
    occurrence: u32,
    digest: [u8; 16],
    line: Line,
}

/// What the reader's thread says.
#[derive(Debug)]
pub enum Message {
    /// The format that was found.
    Format(Format),
    /// A statement begins; the answer says whether its account is known.
    Begin(Head, oneshot::Sender<Result<(), StatementFault>>),
    /// Lines of it.
    Lines(Vec<Placed>),
    /// It passed.
    Pass(Box<Checked>),
    /// It did not.
    Refuse(Box<Head>, StatementFault),
}

/// The end of the way inside the reader's thread.
pub struct Sending {
    to: mpsc::Sender<Message>,
    waiting: Vec<Placed>,
}

impl Sending {
    /// Sends to `to`.
    pub fn new(to: mpsc::Sender<Message>) -> Self {
        Self {
            to,
            waiting: Vec::with_capacity(LINES_OF_MESSAGE),
        }
    }

    fn send(&self, message: Message) -> Result<(), StatementFault> {
        self.to.blocking_send(message).map_err(|_| gone())
    }

    fn flush(&mut self) -> Result<(), StatementFault> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.waiting, Vec::with_capacity(LINES_OF_MESSAGE));
        self.send(Message::Lines(full))
    }
}

/// The other end has failed, and says why itself.
fn gone() -> StatementFault {
    StatementFault::new(FaultCode::Io, "The store does not take lines.")
}

impl Receiver for Sending {
    fn begin(&mut self, head: &Head) -> Result<(), StatementFault> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Begin(head.clone(), reply))?;
        answer.blocking_recv().map_err(|_| gone())?
    }

    fn line(
        &mut self,
        n: u64,
        occurrence: u32,
        digest: [u8; 16],
        line: Line,
    ) -> Result<(), StatementFault> {
        self.waiting.push(Placed {
            n,
            occurrence,
            digest,
            line,
        });
        match self.waiting.len() {
            LINES_OF_MESSAGE => self.flush(),
            _ => Ok(()),
        }
    }

    fn pass(&mut self, statement: Checked) -> Result<(), StatementFault> {
        self.flush()?;
        self.send(Message::Pass(Box::new(statement)))
    }

    fn refuse(&mut self, head: &Head, fault: StatementFault) -> Result<(), StatementFault> {
        self.waiting.clear();
        self.send(Message::Refuse(Box::new(head.clone()), fault))
    }
}

/// Lines on their way into the tables, under a number that no statement has yet.
pub struct Stage {
    shadow: Shadow,
    import: i64,
    index: i64,
    rows: Vec<Vec<Arg>>,
}

impl Stage {
    /// For the lines of an import.
    pub fn new(shadow: Shadow, import: i64) -> Self {
        Self {
            shadow,
            import,
            index: -1,
            rows: Vec::new(),
        }
    }

    /// Number of the statement that is being read.
    pub const fn statement(&self) -> i64 {
        self.import * STATEMENTS_MAX + self.index
    }

    /// The next statement begins.
    ///
    /// # Errors
    /// `statement_unreadable` beyond [`STATEMENTS_MAX`].
    pub fn begin(&mut self) -> Result<(), StatementFault> {
        self.index += 1;
        match self.index < STATEMENTS_MAX {
            true => Ok(()),
            false => Err(StatementFault::unreadable(
                1,
                "more than a million statements",
            )),
        }
    }

    /// Takes lines; writes when a chunk is full.
    ///
    /// # Errors
    /// The store's.
    pub async fn lines(&mut self, lines: Vec<Placed>) -> Result<(), WriteError> {
        let statement = self.statement();
        self.rows.extend(lines.into_iter().map(|placed| {
            line_row(
                statement,
                placed.n,
                placed.occurrence,
                placed.digest,
                placed.line,
            )
        }));
        match self.rows.len() >= LINES_OF_WRITE {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The store's.
    pub async fn flush(&mut self) -> Result<(), WriteError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let marks = bulk::marks_of(self.shadow.db());
        self.shadow
            .write_at("import.mid", move |session| {
                Box::pin(async move {
                    bulk::insert(session.tx(), marks, INSERT_LINES, "", rows).await?;
                    Ok(())
                })
            })
            .await?;
        failpoint::reach("import.mid");
        Ok(())
    }
}

/// Forgets the lines of an import, and the import, unless it is done.
///
/// # Errors
/// The store's.
pub async fn forget(shadow: &Shadow, import: i64) -> Result<(), WriteError> {
    shadow
        .write(move |session| {
            Box::pin(async move {
                let lines =
                    query("DELETE FROM shadow_lines WHERE statement >= $1 AND statement < $2")
                        .bind(import * STATEMENTS_MAX)
                        .bind((import + 1) * STATEMENTS_MAX);
                session.tx().execute(lines).await?;
                let row =
                    query("DELETE FROM shadow_imports WHERE number = $1 AND state = 'staging'")
                        .bind(import);
                session.tx().execute(row).await?;
                Ok(())
            })
        })
        .await
}
