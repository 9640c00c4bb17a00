//! What handlers, imports and workers call: runs, matches by hand, decisions about lines.
//!
//! **Invariants.** In this process one thing at a time decides about matches; over several
//! processes the unique index of taken items refuses the second. A run that could not be ended
//! is ended as failed at the next start.

use std::sync::Arc;

use florin_base::IdSource;
use florin_platform::http::problem::Problem;
use florin_platform::sql::query;
use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use super::flips;
use super::gather::Period;
use super::run::Run;
use crate::corrections::steps::Desk;
use crate::model::BookId;
use crate::statements::day::Day;
use crate::statements::tables;
use crate::store::keys::Keyed;
use crate::store::{Actor, Shadow, WriteError};

/// A run left over from a process that ended, after this long, where others use the tables too.
const ABANDONED_MICROS: i64 = 3_600 * 1_000_000;

/// Decides about matches; cheap to clone.
#[derive(Clone)]
pub struct Reconciler(Arc<Inner>);

struct Inner {
    shadow: Shadow,
    desk: Desk,
    ids: Mutex<IdSource>,
    turn: tokio::sync::Mutex<()>,
    /// What was begun before is of another life of this process.
    opened_at: i64,
}

/// A run that is asked for.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// Which book.
    pub book: BookId,
    /// First day.
    pub from: Day,
    /// First day after it.
    pub to: Day,
    /// Which of R1 to R4.
    pub rules: [bool; 4],
    /// Follows an import: it does not begin the reconciliation of a book.
    pub automatic: bool,
    /// `Idempotency-Key`.
    pub key: Option<String>,
}

impl RunRequest {
    fn keyed(&self, actor: &Actor) -> Option<Keyed> {
        let asked = vec![
            ("accountId", self.book.account_id.as_str().into()),
            ("currency", self.book.currency.as_str().into()),
            ("from", self.from.0.into()),
            ("to", self.to.0.into()),
            ("settings", settings(self.rules).into()),
        ];
        let key = self.key.as_deref()?;
        Some(Keyed::new("reconcile", actor, key, asked))
    }
}

/// What became of [`Reconciler::start`].
#[derive(Debug, Clone)]
pub enum Started {
    /// To be performed.
    New(Run),
    /// The run that was started under the same key before.
    Known(String),
}

impl Reconciler {
    /// Over a shadow ledger; `desk` proposes variances.
    pub fn new(shadow: Shadow, desk: Desk) -> Self {
        Self(Arc::new(Inner {
            opened_at: shadow.clock().wall_micros(),
            shadow,
            desk,
            ids: Mutex::new(IdSource::new()),
            turn: tokio::sync::Mutex::new(()),
        }))
    }

    /// The shadow ledger.
    pub fn shadow(&self) -> &Shadow {
        &self.0.shadow
    }

    /// Who decides about corrections.
    pub fn desk(&self) -> &Desk {
        &self.0.desk
    }

    pub(super) fn new_id(&self) -> String {
        let now = self.shadow().clock().wall_micros();
        self.0.ids.lock().uuid_v7(now).to_string()
    }

    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// Ends runs that a crash left running.
    ///
    /// # Errors
    /// The store's.
    pub async fn recover(&self) -> Result<(), WriteError> {
        let wait = if self.shadow().db().is_shared() {
            ABANDONED_MICROS
        } else {
            0
        };
        let before = self.0.opened_at - wait;
        self.shadow()
            .write(move |session| {
                Box::pin(async move {
                    let now = session.now();
                    let end = query(
                        "UPDATE shadow_reconciliations SET state = 'failed', finished_at = $1,
                            problem = '{\"code\":\"interrupted\",\"detail\":\"The server ended during the run.\"}'
                         WHERE state = 'running' AND created_at < $2",
                    )
                    .bind(now)
                    .bind(before);
                    session.tx().execute(end).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Writes down that a run begins, once under its key; [`Reconciler::perform`] does it.
    ///
    /// # Errors
    /// 409 `idempotency_conflict`, else the store's.
    pub async fn start(&self, request: RunRequest, actor: &Actor) -> Result<Started, WriteError> {
        let key = request.keyed(actor);
        let run = Run {
            number: 0,
            id: self.new_id(),
            book: request.book,
            period: Period {
                from: request.from,
                to: request.to,
                automatic: request.automatic,
            },
            rules: request.rules,
            actor: actor.clone(),
        };
        self.shadow()
            .write(move |session| {
                Box::pin(async move {
                    if let Some(known) = session.made_under(key.as_ref()).await? {
                        let id = known
                            .as_str()
                            .ok_or(WriteError::Damaged("idempotency key"))?;
                        return Ok(Started::Known(id.to_owned()));
                    }
                    let mut run = run;
                    let next = query(
                        "SELECT COALESCE(MAX(number), 0) + 1 AS next FROM shadow_reconciliations",
                    );
                    let row = session.tx().fetch_optional(next).await?;
                    run.number = row
                        .ok_or(WriteError::Damaged("reconciliations"))?
                        .get("next")?;
                    let now = session.now();
                    let insert = query(
                        "INSERT INTO shadow_reconciliations (number, id, account_id, currency,
                            from_day, to_day, settings, state, actor, trace_id, created_at)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8, $9, $10)",
                    )
                    .bind(run.number)
                    .bind(&run.id)
                    .bind(&run.book.account_id)
                    .bind(&run.book.currency)
                    .bind(run.period.from.0)
                    .bind(run.period.to.0)
                    .bind(settings(run.rules))
                    .bind(&run.actor.subject)
                    .bind(run.actor.trace_id.clone())
                    .bind(now);
                    session.tx().execute(insert).await?;
                    session
                        .keep_made(key.as_ref(), 201, run.id.as_str())
                        .await?;
                    Ok(Started::New(run))
                })
            })
            .await
    }

    /// After an import: runs over everything that the statements of a book cover. A book
    /// without events has nothing to match, and its reconciliation does not begin yet.
    ///
    /// # Errors
    /// The store's.
    pub async fn after_import(&self, book: &BookId, actor: &Actor) -> Result<(), Problem> {
        let db = self.shadow().db();
        let row = crate::store::read::book(db, book).await?;
        if row.is_none_or(|row| row.events == 0) {
            return Ok(());
        }
        let head = crate::store::read::head(db).await?;
        let all = tables::of_book(db, &book.account_id, &book.currency, head.log_seq).await?;
        let (Some(first), Some(last)) = (all.first(), all.iter().map(|s| s.last_day).max()) else {
            return Ok(());
        };
        let request = RunRequest {
            book: book.clone(),
            from: first.first_day,
            to: Day(last.0 + 1),
            rules: [true; 4],
            automatic: true,
            key: None,
        };
        match self.start(request, actor).await? {
            Started::New(run) => self.perform(run).await,
            Started::Known(_) => Ok(()),
        }
    }

    /// Undoes the matches of entries that count no more (contract D2, `entry_flipped`). Called
    /// from time to time and before every run; answers how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn undo_flipped(&self) -> Result<usize, WriteError> {
        flips::undo(self).await
    }
}

/// The settings of a run, JSON.
fn settings(rules: [bool; 4]) -> String {
    const WORDS: [&str; 4] = ["R1", "R2", "R3", "R4"];
    let on: Vec<&str> = WORDS
        .into_iter()
        .zip(rules)
        .filter(|(_, on)| *on)
        .map(|(w, _)| w)
        .collect();
    serde_json::json!({ "rules": on }).to_string()
}
