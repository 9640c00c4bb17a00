//! The store: one writer over the log and what is derived from it; readers beside it.
//!
//! **Group commit.** Intakes that wait while a commit is under way become the next commit
//! together. Everything else ([`Shadow::write`]) has a commit of its own, in its turn.
//!
//! **Invariants.** `logSeq` has no gaps; each commit is recorded later than the one before; a
//! record and what it changes are one transaction; an answer leaves after the commit. On a
//! database that several processes share, the lane `shadow` is held from reading the head to the
//! commit, so the order is that of the log, whoever writes.
//!
//! **For those who add to this room:** see [`record`] for a new kind of record.

pub mod bodies;
pub(crate) mod bulk;
mod cache;
mod compare;
pub mod dead_letters;
mod derived;
mod doors;
mod error;
pub mod failpoint;
pub mod intake;
pub mod keys;
mod log;
mod mirror;
mod opening;
mod pages;
mod part;
pub mod read;
pub mod rebuild;
pub mod record;
mod rows;
mod schema;
mod session;
mod steps;
pub mod stored;
mod swap;
mod tally;
mod writer;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use florin_base::Clock;
use florin_platform::sql::Db;
use tokio::sync::{mpsc, oneshot};

pub use error::WriteError;
pub use opening::OpenError;
pub use record::{Actor, NewRecord, Stamp};
pub use schema::MIGRATIONS;
pub use session::{Head, Session};
pub use stored::Stored;

use crate::model::{Currencies, Policy, Rules};
use intake::{Intake, IntakeReply};

/// What may wait for the writer; then 503 `overloaded`.
const JOBS_MAX: usize = 4_096;

/// What an installation decides about its shadow ledger (`shadow.*`).
#[derive(Debug, Clone)]
pub struct Settings {
    /// `shadow.policy`.
    pub policy: Policy,
    /// `shadow.grace` in milliseconds, 0 to 24 h.
    pub grace_ms: i64,
    /// `shadow.max_future_skew` in milliseconds.
    pub max_future_skew_ms: i64,
    /// `shadow.compat`.
    pub compat: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::Watermark,
            grace_ms: 30_000,
            max_future_skew_ms: 300_000,
            compat: false,
        }
    }
}

impl Settings {
    /// The rules of a book that has none of its own: floor 0.
    pub fn rules(&self) -> Rules {
        Rules {
            floor: Some(0),
            policy: self.policy,
            grace_micros: self.grace_ms.saturating_mul(1_000),
        }
    }
}

/// The shadow ledger of this process; cheap to clone.
#[derive(Clone)]
pub struct Shadow(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
    currencies: Arc<dyn Currencies>,
    settings: Settings,
    installation: String,
    jobs: mpsc::Sender<writer::Job>,
}

/// A future of some work inside a session.
pub type Working<'a, T> = Pin<Box<dyn Future<Output = Result<T, WriteError>> + Send + 'a>>;

impl Shadow {
    /// Over tables of its own or shared ones; runs this room's migrations and starts the writer
    /// on the present runtime. The writer ends with the last handle.
    ///
    /// # Errors
    /// As [`Db::migrate`]; [`OpenError::Chain`] for a log whose end is not what was written.
    pub async fn open(
        db: Db,
        clock: Arc<dyn Clock>,
        currencies: Arc<dyn Currencies>,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        let db = db.lane("shadow").patient().indexed();
        db.migrate(&MIGRATIONS, clock.wall_micros()).await?;
        opening::check_end(&db).await?;
        let installation = opening::installation(&db, &*clock).await?;
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        let shadow = Self(Arc::new(Inner {
            db: db.clone(),
            clock: Arc::clone(&clock),
            currencies,
            settings: settings.clone(),
            installation,
            jobs,
        }));
        tokio::spawn(writer::run(db, clock, settings, waiting));
        Ok(shadow)
    }

    /// The tables, for reading.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Which currencies there are.
    pub fn currencies(&self) -> &dyn Currencies {
        &*self.0.currencies
    }

    /// The id of the installation, the same in all its processes and for ever.
    pub fn installation(&self) -> &str {
        &self.0.installation
    }

    /// What the installation decided.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Takes events in; answers when they are durable.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`] at once when too much waits, else as [`WriteError`] says.
    pub async fn take(&self, intake: Intake) -> Result<IntakeReply, WriteError> {
        let (reply, answer) = oneshot::channel();
        let job = writer::Job::Intake(intake, reply);
        self.0.jobs.try_send(job).map_err(refused)?;
        answer.await.map_err(|_| WriteError::Stopped)?
    }

    /// Runs work in a write transaction of its own, in its turn behind what waits already; the
    /// answer comes after the commit. An error rolls everything back.
    ///
    /// ```ignore
    /// let seq = shadow
    ///     .write(move |session| {
    ///         Box::pin(async move {
    ///             session.tx().execute(row).await?;
    ///             Ok(session.append(NewRecord::new("match", actor, &body).about(&book)))
    ///         })
    ///     })
    ///     .await?;
    /// ```
    ///
    /// # Errors
    /// [`WriteError::Overloaded`] at once when too much waits; what the work answered; else as
    /// [`WriteError`] says.
    pub async fn write<T, F>(&self, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Session) -> Working<'a, T> + Send + 'static,
    {
        self.write_at("write.before_commit", work).await
    }

    /// As [`Shadow::write`], with the name of the fail point before its commit (contract F2).
    ///
    /// # Errors
    /// As [`Shadow::write`].
    pub async fn write_at<T, F>(&self, fail: &'static str, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Session) -> Working<'a, T> + Send + 'static,
    {
        let (job, answer) = writer::work(fail, work);
        self.0.jobs.try_send(job).map_err(refused)?;
        answer.await.map_err(|_| WriteError::Stopped)?
    }
}

fn refused<T>(error: mpsc::error::TrySendError<T>) -> WriteError {
    match error {
        mpsc::error::TrySendError::Full(_) => WriteError::Overloaded,
        mpsc::error::TrySendError::Closed(_) => WriteError::Stopped,
    }
}
