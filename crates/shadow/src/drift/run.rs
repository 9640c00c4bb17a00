//! A check from its beginning to its end: accounts are kept, compared page by page, and every
//! difference is explained and settled. Each stage can be taken up again after a crash: what was
//! stored is not done twice.

use std::collections::HashMap;
use std::sync::Arc;

use florin_base::IdSource;
use florin_platform::http::problem::Problem;
use florin_platform::sql::query;
use futures_util::future::{try_join, try_join_all};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use super::evidence::Evidence;
use super::facts;
use super::force::InForce;
use super::found;
use super::input::Item;
use super::prepare::Unit;
use super::settle::Attempts;
use super::table::{self, Asked, Check};
use crate::corrections::control::Control;
use crate::corrections::service::Corrections;
use crate::model::digest::short_id;
use crate::store::{Actor, NewRecord, Shadow, WriteError, failpoint};

/// Kind of the records of the log that tell that a check began or ended.
pub const RECORD: &str = "drift_check";
/// Accounts of one page.
pub const PAGE: usize = 4_000;
/// A check in one piece that runs for so many microseconds has lost its request.
const LEFT_MICROS: i64 = 60_000_000;
/// Differences settled in one transaction.
const BATCH: i64 = 100;
/// Differences explained at once; the other readers of the tables are left to requests.
const AT_ONCE: usize = 3;

/// What is asked of a check beside its accounts.
#[derive(Debug, Clone)]
pub struct NewCheck {
    /// The caller's id.
    pub id: Option<String>,
    /// `Idempotency-Key`, where there is no id.
    pub key: Option<String>,
    /// Policy in force.
    pub policy: InForce,
    /// SHA-256 of what was asked.
    pub digest: [u8; 32],
    /// Who asked.
    pub actor: Actor,
    /// The answer is paged.
    pub streamed: bool,
}

/// Whether a check is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is.
    New(Check),
    /// The same was asked before.
    Known(Check),
}

/// Runs checks; cheap to clone.
#[derive(Clone)]
pub struct Checker {
    corrections: Corrections,
    evidence: Arc<dyn Evidence>,
    ids: Arc<Mutex<IdSource>>,
    waiting: Arc<Notify>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckBody<'a> {
    action: &'static str,
    mode: &'a str,
    policy_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drifts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corrections: Option<i64>,
}

impl Checker {
    /// Over corrections and the statements' evidence.
    pub fn new(corrections: Corrections, evidence: Arc<dyn Evidence>) -> Self {
        Self {
            corrections,
            evidence,
            ids: Arc::new(Mutex::new(IdSource::new())),
            waiting: Arc::new(Notify::new()),
        }
    }

    /// The shadow ledger.
    pub fn shadow(&self) -> &Shadow {
        self.corrections.shadow()
    }

    /// The corrections.
    pub fn corrections(&self) -> &Corrections {
        &self.corrections
    }

    /// What statements say.
    pub fn evidence(&self) -> &dyn Evidence {
        &*self.evidence
    }

    /// The settings in force.
    pub fn control(&self) -> &Control {
        self.corrections.desk().control()
    }

    /// Wakes when a streamed check waits to be run.
    pub fn waiting(&self) -> &Notify {
        &self.waiting
    }

    /// The id of a check: the caller's, that of his key, or a new one.
    pub fn id_of(&self, new: &NewCheck) -> String {
        match (&new.id, &new.key) {
            (Some(id), _) => id.clone(),
            (None, Some(key)) => format!("chk-{}", short_id(&[&new.actor.subject, key])),
            (None, None) => {
                let now = self.shadow().clock().wall_micros();
                self.ids.lock().uuid_v7(now).to_string()
            }
        }
    }

    /// Keeps a check and the accounts that came in one piece; a streamed one begins without any.
    ///
    /// # Errors
    /// 409 `idempotency_conflict` for another body under a known id, and the store's.
    pub async fn begin(&self, new: NewCheck, items: Vec<Item>) -> Result<Begun, Problem> {
        let id = self.id_of(&new);
        let begun = self
            .shadow()
            .write(move |session| Box::pin(begin(session, id, new, items)))
            .await?;
        Ok(begun)
    }

    /// Runs a check to its end, from wherever it stands.
    ///
    /// # Errors
    /// The store's; the check can be taken up again.
    pub async fn run(&self, id: &str) -> Result<(), WriteError> {
        let shadow = self.shadow();
        let Some(check) = table::find(shadow.db(), id).await? else {
            return Ok(());
        };
        if check.state == "done" {
            return Ok(());
        }
        let policy: InForce =
            serde_json::from_str(&check.policy).map_err(|_| WriteError::Damaged("check"))?;
        let mut compared = None;
        for number in 0..check.pages {
            let page = table::page(shadow.db(), id, number).await?;
            let page = page.ok_or(WriteError::Damaged("page of a check"))?;
            if !page.seen.is_empty() {
                continue;
            }
            // While one page is written, the next is compared.
            let next = self.compare(&policy, page);
            compared = Some(match compared.take() {
                None => next.await?,
                Some(done) => try_join(next, self.store_page(&check, done)).await?.0,
            });
        }
        if let Some(done) = compared {
            self.store_page(&check, done).await?;
        }
        self.settle_all(&check, &policy).await?;
        failpoint::reach("drift.after_corrections_before_answer");
        self.finish(&check).await?;
        failpoint::reach("drift.after_corrections_before_answer");
        Ok(())
    }

    async fn settle_all(&self, check: &Check, policy: &InForce) -> Result<(), WriteError> {
        let db = self.shadow().db();
        let mut open = found::unsettled(db, &check.id, BATCH).await?;
        if open.is_empty() {
            return Ok(());
        }
        let letters = facts::letters(db, self.shadow().currencies()).await?;
        let mut attempts = Attempts::new();
        while !open.is_empty() {
            let mut units: Vec<Unit> = Vec::with_capacity(open.len());
            let mut waiting = open.into_iter().peekable();
            while waiting.peek().is_some() {
                let mut under_way = Vec::with_capacity(AT_ONCE);
                for one in waiting.by_ref().take(AT_ONCE) {
                    if !units.iter().any(|unit| unit.holds(one.n)) {
                        let n = one.n;
                        let unit = self.prepare(check, policy, &letters, one);
                        under_way.push(async move { unit.await.map(|unit| (n, unit)) });
                    }
                }
                // Of those explained at once, one may belong to the unit of another.
                for (n, unit) in try_join_all(under_way).await? {
                    if !units.iter().any(|unit| unit.holds(n)) {
                        units.push(unit);
                    }
                }
            }
            self.settle(check, policy, units, &mut attempts).await?;
            open = found::unsettled(db, &check.id, BATCH).await?;
        }
        Ok(())
    }

    async fn finish(&self, check: &Check) -> Result<(), WriteError> {
        let (id, mode) = (check.id.clone(), check.mode.clone());
        let actor = actor_of(check);
        let version = self.control().version();
        let done = self
            .shadow()
            .write(move |session| {
                Box::pin(async move {
                    let stored = table::find_in(session.tx(), &id).await?;
                    let stored = stored.ok_or(WriteError::Damaged("check"))?;
                    if stored.state == "done" {
                        return Ok(None);
                    }
                    let body = CheckBody {
                        action: "drift_check.finished",
                        mode: &mode,
                        policy_version: &version,
                        accounts: Some(stored.accounts),
                        drifts: Some(stored.drifts),
                        corrections: Some(stored.corrections),
                    };
                    session.append(NewRecord::new(RECORD, actor, &body).subject(&id));
                    let now = session.now();
                    let text = "UPDATE shadow_drift_checks SET state = 'done', finished_at = $2
                        WHERE check_id = $1";
                    session
                        .tx()
                        .execute(query(text).bind(&id).bind(now))
                        .await?;
                    Ok(Some(stored))
                })
            })
            .await?;
        if let Some(done) = done {
            let mode = done.mode.clone();
            metrics::counter!("shadow_drift_checks_total", "mode" => mode).increment(1);
            self.measure(&done).await?;
        }
        Ok(())
    }

    async fn measure(&self, check: &Check) -> Result<(), WriteError> {
        let text = "SELECT mismatch_type, class, COUNT(*) AS n FROM shadow_drift_found
            WHERE check_id = $1 GROUP BY mismatch_type, class";
        let rows = self
            .shadow()
            .db()
            .fetch_all(query(text).bind(&check.id))
            .await?;
        let mut counted = 0;
        let mut unexplained = 0;
        for row in rows {
            let kind: String = row.get("mismatch_type")?;
            let class = row.get::<Option<String>>("class")?;
            let class = class.unwrap_or_else(|| "none".to_owned());
            let n: i64 = row.get("n")?;
            counted += n;
            if class == "unexplained" {
                unexplained += n;
            }
            metrics::counter!("shadow_drift_accounts_total", "mismatch_type" => kind,
                "class" => class)
            .increment(n.unsigned_abs());
        }
        let matched = check.accounts.saturating_sub(counted);
        metrics::counter!("shadow_drift_accounts_total", "mismatch_type" => "none",
            "class" => "none")
        .increment(matched.unsigned_abs());
        metrics::gauge!("shadow_drift_unexplained").set(unexplained as f64);
        Ok(())
    }

    /// Runs streamed checks that wait, and what a crash or a stop has left, oldest first; streams
    /// that were given up are removed.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume(&self) -> Result<(), WriteError> {
        for check in table::unfinished(self.shadow().db()).await? {
            let age = self
                .shadow()
                .clock()
                .wall_micros()
                .saturating_sub(check.started_at);
            match check.state.as_str() {
                // A check in one piece is run by its own request.
                "running" if check.streamed || age >= LEFT_MICROS => self.run(&check.id).await?,
                "receiving" if age >= super::stream::GIVEN_UP => self.forget(&check.id).await,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The actor of what a check does: whoever started it.
pub(super) fn actor_of(check: &Check) -> Actor {
    Actor {
        subject: check.actor.clone(),
        role: check.role.clone(),
        trace_id: check.trace_id.clone(),
    }
}

async fn begin(
    session: &mut crate::store::Session,
    id: String,
    new: NewCheck,
    items: Vec<Item>,
) -> Result<Begun, WriteError> {
    if let Some(known) = table::find_in(session.tx(), &id).await? {
        if known.body_digest == new.digest {
            return Ok(Begun::Known(known));
        }
        let detail = "The same checkId or key was used with another body.";
        let conflict = Problem::conflict("idempotency_conflict", detail).with("field", "accounts");
        return Err(conflict.into());
    }
    let body = CheckBody {
        action: "drift_check.started",
        mode: &new.policy.mode,
        policy_version: &new.policy.policy_version,
        accounts: (!new.streamed).then(|| i64::try_from(items.len()).unwrap_or(i64::MAX)),
        drifts: None,
        corrections: None,
    };
    let record = NewRecord::new(RECORD, new.actor.clone(), &body).subject(&id);
    let made_seq = session.append(record);
    let asked: Vec<Asked> = items.iter().map(Asked::from).collect();
    let pages: Vec<&[Asked]> = asked.chunks(PAGE).collect();
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let check = Check {
        made_seq,
        log_seq: made_seq,
        state: if new.streamed { "receiving" } else { "running" }.to_owned(),
        streamed: new.streamed,
        body_digest: new.digest.to_vec(),
        mode: new.policy.mode.clone(),
        policy: serde_json::to_string(&new.policy).map_err(|_| WriteError::Damaged("policy"))?,
        actor: new.actor.subject,
        role: new.actor.role,
        trace_id: new.actor.trace_id,
        started_at: session.now(),
        finished_at: None,
        accounts: count(asked.len()),
        done: 0,
        pages: count(pages.len()),
        drifts: 0,
        corrections: 0,
        tolerated: "{}".to_owned(),
        id,
    };
    check.insert(session.tx()).await?;
    for (number, page) in pages.iter().enumerate() {
        let first = count(number * PAGE);
        table::insert_page(session.tx(), &check.id, count(number), first, page).await?;
    }
    Ok(Begun::New(check))
}

/// How often each difference was tried, by place.
pub(super) type Tries = HashMap<i64, u32>;

impl Checker {
    /// Checks the statement that an account names, and takes the instant of its closing.
    ///
    /// # Errors
    /// In the inner result `unknown_statement` or `statement_mismatch`.
    pub async fn with_statement(
        &self,
        mut item: Item,
        place: &str,
    ) -> Result<Result<Item, super::input::Fault>, WriteError> {
        let Some(id) = &item.statement else {
            return Ok(Ok(item));
        };
        let field = match place {
            "" => "statementId".to_owned(),
            place => format!("{place}.statementId"),
        };
        let Some(statement) = self.evidence.statement(id).await? else {
            let message = "There is no such statement.";
            return Ok(Err(super::input::Fault::new(
                field,
                "unknown_statement",
                message,
            )));
        };
        let same = statement.book.account_id == item.account
            && statement.book.currency == item.currency
            && statement.closing == Some(item.reported)
            && item.as_of.is_none_or(|at| at == statement.closes_at);
        if !same {
            let message = "The statement closes with another figure, book or instant.";
            return Ok(Err(super::input::Fault::new(
                field,
                "statement_mismatch",
                message,
            )));
        }
        item.as_of = Some(statement.closes_at);
        Ok(Ok(item))
    }
}
