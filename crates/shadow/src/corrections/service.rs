//! Corrections as handlers, checks, monitors and readers ask for them: each call is one write
//! transaction of the log.

use std::sync::Arc;

use florin_base::IdSource;
use florin_platform::http::problem::Problem;
use florin_platform::sql::query;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::ids;
use super::model::{Correction, Proposal};
use super::rules::{EXPIRY_MICROS, Kind, REPEAT_MICROS, Status};
use super::steps::Desk;
use super::table;
use crate::model::digest::sha256;
use crate::model::{BookId, Direction};
use crate::store::keys::Keyed;
use crate::store::{Actor, Session, Shadow, Working, WriteError};

/// Proposals that expire in one transaction.
const EXPIRE_AT_ONCE: i64 = 200;

/// A correction that a person asks for.
#[derive(Debug, Clone)]
pub struct Manual {
    /// Its book.
    pub book: BookId,
    /// Which way.
    pub direction: Direction,
    /// Minor units, positive.
    pub amount: i128,
    /// Effective time, epoch ms, if given.
    pub timestamp: Option<i64>,
    /// Why.
    pub reason: String,
    /// The client's own id.
    pub event_id: Option<String>,
    /// The event that it is about.
    pub cause: Option<String>,
    /// `Idempotency-Key`.
    pub key: Option<String>,
}

/// A step that was done, now or before.
#[derive(Debug, Clone)]
pub struct Done {
    /// The correction as the first answer showed it.
    pub correction: Correction,
    /// An earlier outcome, answered again.
    pub replayed: bool,
}

/// Corrections of one shadow ledger; cheap to clone.
#[derive(Clone)]
pub struct Corrections {
    pub(super) shadow: Shadow,
    pub(super) desk: Desk,
    ids: Arc<Mutex<IdSource>>,
    approved: Arc<Notify>,
}

impl Corrections {
    /// Over a shadow ledger.
    pub fn new(shadow: Shadow, desk: Desk) -> Self {
        Self {
            shadow,
            desk,
            ids: Arc::new(Mutex::new(IdSource::new())),
            approved: Arc::new(Notify::new()),
        }
    }

    /// The shadow ledger.
    pub fn shadow(&self) -> &Shadow {
        &self.shadow
    }

    /// The steps, for those who have a transaction of their own.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Wakes when a linked book's correction may wait for its transfer.
    pub fn approved(&self) -> &Notify {
        &self.approved
    }

    /// `POST …/correct/{accountId}` (contract C4).
    ///
    /// # Errors
    /// 409 `event_conflict`, `idempotency_conflict`, `probable_repeat`, `would_go_negative`;
    /// 404 `event_not_found` for a cause that is none; the store's.
    pub async fn correct(&self, manual: Manual, actor: Actor) -> Result<Done, Problem> {
        let desk = self.desk.clone();
        let uuid = self.ids.lock().uuid_v7(self.shadow.clock().wall_micros());
        let done = self
            .shadow
            .write(move |session| {
                Box::pin(async move { correct(session, &desk, manual, &actor, &uuid).await })
            })
            .await?;
        self.approved.notify_waiters();
        Ok(done)
    }

    /// `POST …/corrections/{id}/approve`.
    ///
    /// # Errors
    /// As [`Desk::approve`], 409 `idempotency_conflict`, and the store's.
    pub async fn approve(
        &self,
        id: String,
        actor: Actor,
        reason: String,
        key: Option<String>,
    ) -> Result<Done, Problem> {
        let desk = self.desk.clone();
        let asked = vec![
            ("id", id.as_str().into()),
            ("reason", reason.as_str().into()),
        ];
        let key = key.map(|key| Keyed::new("approve", &actor, &key, asked));
        let done = self.keyed(key, move |session| {
            Box::pin(async move {
                let done = desk.approve(session, &id, &actor, &reason).await?;
                done.map_err(WriteError::Refused)
            })
        });
        let done = done.await?;
        self.approved.notify_waiters();
        Ok(done)
    }

    /// A step in a write transaction, once under its key.
    pub(super) async fn keyed<F>(&self, key: Option<Keyed>, step: F) -> Result<Done, Problem>
    where
        F: for<'a> FnOnce(&'a mut Session) -> Working<'a, Vec<Correction>> + Send + 'static,
    {
        let done = self.shadow.write(move |session| {
            Box::pin(async move {
                if let Some(made) = session.made_under(key.as_ref()).await? {
                    return seen(session, &made).await;
                }
                let legs = step(session).await?;
                let leg = legs.into_iter().next();
                let leg = leg.ok_or(WriteError::Damaged("step of a correction"))?;
                let made = json!({ "id": leg.id, "status": leg.status.as_str(),
                    "approvedBy": leg.approved_by });
                session.keep_made(key.as_ref(), 200, made).await?;
                Ok(fresh(leg))
            })
        });
        Ok(done.await?)
    }

    /// `POST …/corrections/{id}/reject`.
    ///
    /// # Errors
    /// As [`Desk::reject`], and the store's.
    pub async fn reject(
        &self,
        id: String,
        actor: Actor,
        reason: String,
    ) -> Result<Correction, Problem> {
        let desk = self.desk.clone();
        let legs = self
            .shadow
            .write(move |session| {
                Box::pin(async move {
                    let done = desk.reject(session, &id, &actor, &reason).await?;
                    done.map_err(WriteError::Refused)
                })
            })
            .await?;
        first(legs)
    }

    /// `POST …/corrections/{id}/reverse`: proposes the opposite, and approves it at or below the
    /// limit.
    ///
    /// # Errors
    /// As [`Desk::reverse`] and [`Desk::approve`], 409 `idempotency_conflict`, and the store's.
    pub async fn reverse(
        &self,
        id: String,
        actor: Actor,
        reason: String,
        timestamp: Option<i64>,
        key: Option<String>,
    ) -> Result<Done, Problem> {
        let desk = self.desk.clone();
        let asked = vec![
            ("id", id.as_str().into()),
            ("reason", reason.as_str().into()),
            ("timestamp", timestamp.into()),
        ];
        let key = key.map(|key| Keyed::new("reverse", &actor, &key, asked));
        let done = self.keyed(key, move |session| {
            Box::pin(async move {
                let made = desk
                    .reverse(session, &id, &actor, &reason, timestamp)
                    .await?
                    .map_err(WriteError::Refused)?;
                let own = desk.approve_own(session, &made[0].id, &actor).await?;
                own.map_err(WriteError::Refused)
            })
        });
        let done = done.await?;
        self.approved.notify_waiters();
        Ok(done)
    }

    /// Sets the gauges `shadow_corrections_total{kind,status}` and `shadow_corrections_open`.
    ///
    /// # Errors
    /// The store's.
    pub async fn measure(&self) -> Result<(), WriteError> {
        let text = "SELECT kind, status, COUNT(*) AS n FROM shadow_corrections
            GROUP BY kind, status";
        let mut open = 0;
        for row in self.shadow.db().fetch_all(query(text)).await? {
            let (kind, status): (String, String) = (row.get("kind")?, row.get("status")?);
            let count: i64 = row.get("n")?;
            if matches!(status.as_str(), "proposed" | "approved") {
                open += count;
            }
            metrics::gauge!("shadow_corrections_total", "kind" => kind, "status" => status)
                .set(count as f64);
        }
        metrics::gauge!("shadow_corrections_open").set(open as f64);
        Ok(())
    }

    /// Rejects proposals that nobody decided within 30 days; answers how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire(&self) -> Result<usize, WriteError> {
        let until = self
            .shadow
            .clock()
            .wall_micros()
            .saturating_sub(EXPIRY_MICROS);
        let mut gone = 0;
        loop {
            let due = table::due(self.shadow.db(), until, EXPIRE_AT_ONCE).await?;
            if due.is_empty() {
                return Ok(gone);
            }
            let desk = self.desk.clone();
            let done = self
                .shadow
                .write(move |session| Box::pin(async move { desk.expire(session, &due).await }))
                .await?;
            gone += done;
            // A clock that stepped back between the look and the commit expires nothing.
            if done == 0 {
                return Ok(gone);
            }
        }
    }
}

pub(super) fn first(legs: Vec<Correction>) -> Result<Correction, Problem> {
    let first = legs.into_iter().next();
    first.ok_or_else(|| Problem::internal("a step without a correction"))
}

pub(super) fn fresh(correction: Correction) -> Done {
    Done {
        correction,
        replayed: false,
    }
}

/// The first answer again: what the same transaction did stands in it, later steps do not.
pub(super) fn again(mut correction: Correction) -> Done {
    let at = Some(correction.proposed_at);
    correction.status = if correction.applied_at == at {
        Status::Applied
    } else if correction.decided_at == at {
        Status::Approved
    } else {
        correction.approved_by = None;
        Status::Proposed
    };
    Done {
        correction,
        replayed: true,
    }
}

/// What a key made before, as the first answer showed it.
async fn seen(session: &mut Session, made: &Value) -> Result<Done, WriteError> {
    const DAMAGED: WriteError = WriteError::Damaged("idempotency key");
    let id = made["id"].as_str().ok_or(DAMAGED)?;
    let mut correction = table::find_in(session.tx(), id).await?.ok_or(DAMAGED)?;
    let status = made["status"].as_str().and_then(Status::from_word);
    correction.status = status.ok_or(DAMAGED)?;
    correction.approved_by = made["approvedBy"].as_str().map(str::to_owned);
    Ok(Done {
        correction,
        replayed: true,
    })
}

/// 404 `event_not_found`.
pub fn event_not_found() -> Problem {
    Problem::not_found("event_not_found", "There is no such event.")
}

pub(super) fn conflict(code: &'static str, field: Option<&str>) -> Problem {
    let problem = Problem::conflict(code, "The same id or key was used with another content.");
    match field {
        Some(field) => problem.with("firstDifference", field).with("field", field),
        None => problem,
    }
}

/// What a request asks for, to compare repetitions with.
fn request_of(manual: &Manual) -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        all.insert(name.to_owned(), value.map_or(Value::Null, Value::from));
    };
    put("accountId", Some(manual.book.account_id.clone()));
    put("type", Some(manual.direction.as_str().to_owned()));
    put("amount", Some(manual.amount.to_string()));
    put("currency", Some(manual.book.currency.clone()));
    put("timestamp", manual.timestamp.map(|at| at.to_string()));
    put("reason", Some(manual.reason.clone()));
    put("eventId", manual.event_id.clone());
    put("causeEventId", manual.cause.clone());
    all
}

/// The first member, in the order of [`request_of`], that differs.
fn first_difference(now: &Map<String, Value>, stored: &str) -> Option<String> {
    let before: Map<String, Value> = serde_json::from_str(stored).unwrap_or_default();
    const NAMES: [&str; 8] = [
        "accountId",
        "type",
        "amount",
        "currency",
        "timestamp",
        "reason",
        "eventId",
        "causeEventId",
    ];
    let differs = |name: &&str| now.get(*name) != before.get(*name);
    NAMES.into_iter().find(differs).map(str::to_owned)
}

async fn correct(
    session: &mut Session,
    desk: &Desk,
    manual: Manual,
    actor: &Actor,
    uuid: &uuid::Uuid,
) -> Result<Done, WriteError> {
    let request = request_of(&manual);
    let account = &manual.book.account_id;
    let scope = manual
        .key
        .as_ref()
        .map(|key| format!("correct\n{}\n{key}", actor.subject));
    if let Some(scope) = &scope
        && let Some(known) = known_key(session, scope).await?
    {
        return repeated(known, &request, "idempotency_conflict");
    }
    let id = match (&manual.event_id, &manual.key) {
        (Some(id), _) => id.clone(),
        (None, Some(key)) => ids::of_key(account, &actor.subject, key),
        (None, None) => ids::of_uuid(account, uuid),
    };
    if let Some(known) = table::find_in(session.tx(), &id).await? {
        return repeated(known, &request, "event_conflict");
    }
    let (now, book) = (session.now(), manual.book.clone());
    let signed = manual.direction.signed(manual.amount);
    if manual.event_id.is_none() && manual.key.is_none() {
        let since = now.saturating_sub(REPEAT_MICROS);
        let before = table::repeats(session.tx(), &book, signed, &actor.subject, since).await?;
        if let Some(before) = before {
            let detail = "The same correction was asked for less than a minute ago; send an \
                          Idempotency-Key or an eventId if this is another one.";
            return Err(Problem::conflict("probable_repeat", detail)
                .with("eventId", before)
                .into());
        }
    }
    let cause = match &manual.cause {
        Some(cause) => Some(
            session
                .find_event(cause)
                .await?
                .ok_or_else(event_not_found)?,
        ),
        None => None,
    };
    let at = manual
        .timestamp
        .or_else(|| cause.map(|c| c.event.timestamp));
    let proposal = Proposal {
        kind: Kind::Manual,
        reason: manual.reason.clone(),
        cause: manual.cause.clone(),
        request: Some(Value::Object(request.clone()).to_string()),
        ..Proposal::new(id, book, signed, at.unwrap_or(now / 1_000))
    };
    let made = desk.propose(session, proposal, actor).await?;
    let made = made.map_err(WriteError::Refused)?;
    if let Some(scope) = &scope {
        keep_key(session, scope, &request, &made.id).await?;
    }
    let legs = desk.approve_own(session, &made.id, actor).await?;
    let mut legs = legs.map_err(WriteError::Refused)?;
    Ok(fresh(legs.swap_remove(0)))
}

fn repeated(
    known: Correction,
    request: &Map<String, Value>,
    code: &'static str,
) -> Result<Done, WriteError> {
    let stored = known.request.as_deref().unwrap_or("{}");
    match first_difference(request, stored) {
        None => Ok(again(known)),
        Some(field) => Err(conflict(code, Some(&field)).into()),
    }
}

/// The correction that a key made.
async fn known_key(session: &mut Session, scope: &str) -> Result<Option<Correction>, WriteError> {
    let text = "SELECT answer FROM shadow_keys WHERE scope = $1";
    let row = session.tx().fetch_optional(query(text).bind(scope)).await?;
    match row {
        Some(row) => table::find_in(session.tx(), &row.get::<String>("answer")?).await,
        None => Ok(None),
    }
}

async fn keep_key(
    session: &mut Session,
    scope: &str,
    request: &Map<String, Value>,
    id: &str,
) -> Result<(), WriteError> {
    let text = "INSERT INTO shadow_keys (scope, body_digest, status, answer, recorded_at)
        VALUES ($1, $2, $3, $4, $5)";
    let digest = sha256(Value::Object(request.clone()).to_string().as_bytes());
    let now = session.now();
    let row = query(text)
        .bind(scope)
        .bind(digest)
        .bind(200_i64)
        .bind(id)
        .bind(now);
    session.tx().execute(row).await?;
    Ok(())
}
