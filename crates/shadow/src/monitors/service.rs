//! Monitors as handlers ask for them, and the worker that looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use florin_base::IdSource;
use florin_platform::http::problem::Problem;
use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::query;
use parking_lot::Mutex;
use serde_json::json;

use super::observe::Wrong;
use super::rules::{Memory, Monitor, Step, look};
use super::table::{self, Alert, Kept, Remembered};
use crate::drift::Checker;
use crate::links::Links;
use crate::model::BookId;
use crate::store::record::kind;
use crate::store::{Actor, NewRecord, Session, Shadow, WriteError};

/// Time between two looks for monitors that are due.
const TICK: Duration = Duration::from_millis(500);
/// Kind of the records of the log that tell of alerts.
pub const RECORD: &str = "alert";

/// Monitors of a shadow ledger; cheap to clone.
#[derive(Clone)]
pub struct Monitors(Arc<Inner>);

struct Inner {
    checker: Checker,
    links: Option<Links>,
    verifier: Arc<dyn super::Verifier>,
    ids: Mutex<IdSource>,
}

impl Monitors {
    /// Over checks, links where there are any, and whatever verifies books.
    pub fn new(checker: Checker, links: Option<Links>, verifier: Arc<dyn super::Verifier>) -> Self {
        Self(Arc::new(Inner {
            checker,
            links,
            verifier,
            ids: Mutex::new(IdSource::new()),
        }))
    }

    /// The shadow ledger.
    pub fn shadow(&self) -> &Shadow {
        self.0.checker.shadow()
    }

    pub(super) fn checker(&self) -> &Checker {
        &self.0.checker
    }

    pub(super) fn links(&self) -> Option<&Links> {
        self.0.links.as_ref()
    }

    /// Books that a rebuild finds different, of the share that is due now.
    pub(super) async fn self_check(&self) -> Result<Vec<Wrong>, WriteError> {
        let divergent = self.0.verifier.verify_share().await?;
        metrics::gauge!("shadow_rebuild_divergent_books").set(divergent.len() as f64);
        Ok(divergent
            .into_iter()
            .map(|(book, what)| Wrong {
                account: book.account_id,
                currency: book.currency,
                since: None,
                figures: json!({ "divergence": what }),
            })
            .collect())
    }

    /// Looks with every monitor that is due until draining begins.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            if let Err(error) = self.step().await {
                tracing::warn!(%error, "monitors wait for the store");
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = shutdown.drain() => return,
            }
        }
    }

    /// Looks with every monitor that is due now; answers how many looked.
    ///
    /// # Errors
    /// The store's; what did not look is still due.
    pub async fn step(&self) -> Result<usize, WriteError> {
        let now = self.shadow().clock().wall_micros();
        let mut looked = 0;
        for kept in table::all(self.shadow().db()).await? {
            let every = kept.monitor.every_seconds.saturating_mul(1_000_000);
            let due = kept
                .looked_at
                .is_none_or(|at| now.saturating_sub(at) >= every || at > now);
            if due {
                let wrong = self.observe(&kept.monitor).await?;
                self.conclude(kept.monitor, wrong, now).await?;
                looked += 1;
            }
        }
        if looked > 0 {
            self.measure().await?;
        }
        Ok(looked)
    }

    async fn conclude(
        &self,
        monitor: Monitor,
        wrong: Vec<Wrong>,
        now: i64,
    ) -> Result<(), WriteError> {
        let ids: Vec<String> = {
            let mut source = self.0.ids.lock();
            let fresh = |_: &Wrong| source.uuid_v7(now).to_string();
            wrong.iter().map(fresh).collect()
        };
        self.shadow()
            .write(move |session| {
                Box::pin(async move { conclude(session, &monitor, wrong, ids, now).await })
            })
            .await
    }

    async fn measure(&self) -> Result<(), WriteError> {
        use super::rules::{Kind, Severity};
        let text = "SELECT kind, severity, COUNT(*) AS n FROM shadow_alerts
            WHERE state <> 'cleared' GROUP BY kind, severity";
        let mut open: BTreeMap<(String, String), i64> = BTreeMap::new();
        for row in self.shadow().db().fetch_all(query(text)).await? {
            open.insert((row.get("kind")?, row.get("severity")?), row.get("n")?);
        }
        for kind in Kind::ALL {
            for severity in Severity::ALL {
                let key = (kind.as_str().to_owned(), severity.as_str().to_owned());
                let count = open.get(&key).copied().unwrap_or(0);
                metrics::gauge!("shadow_monitor_alerts", "kind" => kind.as_str(),
                    "severity" => severity.as_str())
                .set(count as f64);
            }
        }
        Ok(())
    }

    /// `PUT …/monitors/{name}`; true if it is new.
    ///
    /// # Errors
    /// The store's.
    pub async fn put(&self, monitor: Monitor, actor: Actor) -> Result<bool, Problem> {
        let made = self
            .shadow()
            .write(move |session| Box::pin(async move { put(session, monitor, actor).await }))
            .await?;
        Ok(made)
    }

    /// `DELETE …/monitors/{name}`: its open alerts are cleared.
    ///
    /// # Errors
    /// 404 `monitor_not_found`, and the store's.
    pub async fn remove(&self, name: String, actor: Actor) -> Result<(), Problem> {
        self.shadow()
            .write(move |session| Box::pin(async move { remove(session, &name, actor).await }))
            .await?;
        Ok(())
    }

    /// All monitors.
    ///
    /// # Errors
    /// The store's.
    pub async fn all(&self) -> Result<Vec<Kept>, WriteError> {
        table::all(self.shadow().db()).await
    }

    /// `POST …/alerts/{id}/acknowledge`.
    ///
    /// # Errors
    /// 404 `alert_not_found`, 409 `invalid_state` for a cleared one, and the store's.
    pub async fn acknowledge(&self, id: String, actor: Actor) -> Result<Alert, Problem> {
        let done = self
            .shadow()
            .write(move |session| Box::pin(async move { acknowledge(session, &id, actor).await }))
            .await?;
        Ok(done)
    }
}

/// 404 `monitor_not_found`.
pub fn not_found() -> Problem {
    Problem::not_found("monitor_not_found", "There is no such monitor.")
}

async fn put(session: &mut Session, monitor: Monitor, actor: Actor) -> Result<bool, WriteError> {
    let known = "SELECT name FROM shadow_monitors WHERE name = $1";
    let known = query(known).bind(&monitor.name);
    let new = session.tx().fetch_optional(known).await?.is_none();
    let body = json!({
        "action": "setting.monitor",
        "kind": monitor.kind.as_str(),
        "accounts": monitor.accounts.0,
        "currency": monitor.currency,
        "everySeconds": monitor.every_seconds,
        "sustainSeconds": monitor.sustain_seconds,
        "severity": monitor.severity.as_str(),
    });
    let record = NewRecord::new(kind::SETTING, actor, &body);
    session.append(record.subject(format!("monitor:{}", monitor.name)));
    let now = session.now();
    table::put(session.tx(), &monitor, now).await?;
    Ok(new)
}

async fn remove(session: &mut Session, name: &str, actor: Actor) -> Result<(), WriteError> {
    let now = session.now();
    for remembered in table::memory(session.tx(), name).await? {
        if let Some(id) = &remembered.alert {
            clear(session, id, now).await?;
        }
        let quiet = Remembered {
            memory: Memory::default(),
            ..remembered
        };
        table::remember(session.tx(), name, &quiet).await?;
    }
    let delete = query("DELETE FROM shadow_monitors WHERE name = $1").bind(name);
    if session.tx().execute(delete).await? == 0 {
        return Err(not_found().into());
    }
    let body = json!({ "action": "setting.monitor_removed" });
    let record = NewRecord::new(kind::SETTING, actor, &body);
    session.append(record.subject(format!("monitor:{name}")));
    Ok(())
}

async fn acknowledge(session: &mut Session, id: &str, actor: Actor) -> Result<Alert, WriteError> {
    let found = table::alert(session.tx(), id).await?;
    let mut alert = found.ok_or_else(|| {
        WriteError::from(Problem::not_found(
            "alert_not_found",
            "There is no such alert.",
        ))
    })?;
    match alert.state.as_str() {
        "acknowledged" => return Ok(alert),
        "open" => {}
        _ => {
            let detail = "The alert is cleared already.";
            return Err(Problem::conflict("invalid_state", detail).into());
        }
    }
    let now = session.now();
    alert.state = "acknowledged".to_owned();
    alert.acknowledged_at = Some(now);
    alert.acknowledged_by = Some(actor.subject.clone());
    let text = "UPDATE shadow_alerts SET state = 'acknowledged', acknowledged_at = $2,
        acknowledged_by = $3 WHERE id = $1";
    let update = query(text).bind(id).bind(now).bind(&actor.subject);
    session.tx().execute(update).await?;
    let body = json!({ "action": "alert.acknowledged", "before": "open", "after": "acknowledged" });
    session.append(NewRecord::new(RECORD, actor, &body).subject(id));
    Ok(alert)
}

/// Raises and clears what a look has found.
async fn conclude(
    session: &mut Session,
    monitor: &Monitor,
    wrong: Vec<Wrong>,
    ids: Vec<String>,
    now: i64,
) -> Result<(), WriteError> {
    let still = "SELECT name FROM shadow_monitors WHERE name = $1";
    let still = query(still).bind(&monitor.name);
    if session.tx().fetch_optional(still).await?.is_none() {
        return Ok(());
    }
    let before = table::memory(session.tx(), &monitor.name).await?;
    let mut before: BTreeMap<(String, String), Remembered> = before
        .into_iter()
        .map(|known| ((known.account.clone(), known.currency.clone()), known))
        .collect();
    for (wrong, id) in wrong.into_iter().zip(ids) {
        let key = (wrong.account.clone(), wrong.currency.clone());
        let known = before.remove(&key);
        let memory = known
            .as_ref()
            .map_or(Memory::default(), |known| known.memory);
        let since = wrong.since.or(memory.since).unwrap_or(now);
        let (next, step) = look(memory, Some(since), monitor.sustain_seconds, now);
        let mut alert = known.and_then(|known| known.alert);
        if step == Step::Raise {
            raise(session, monitor, &wrong, &id, now).await?;
            alert = Some(id);
        }
        let remembered = Remembered {
            account: key.0,
            currency: key.1,
            memory: next,
            alert,
        };
        table::remember(session.tx(), &monitor.name, &remembered).await?;
    }
    // What is no longer wrong.
    for known in before.into_values() {
        let (next, step) = look(known.memory, None, monitor.sustain_seconds, now);
        if step == Step::Clear
            && let Some(id) = &known.alert
        {
            clear(session, id, now).await?;
        }
        let quiet = Remembered {
            memory: next,
            alert: None,
            ..known
        };
        table::remember(session.tx(), &monitor.name, &quiet).await?;
    }
    let text = "UPDATE shadow_monitors SET looked_at = $2 WHERE name = $1";
    let update = query(text).bind(&monitor.name).bind(now);
    session.tx().execute(update).await?;
    Ok(())
}

async fn raise(
    session: &mut Session,
    monitor: &Monitor,
    wrong: &Wrong,
    id: &str,
    now: i64,
) -> Result<(), WriteError> {
    let body = json!({
        "action": "alert.raised",
        "after": "open",
        "monitor": monitor.name,
        "kind": monitor.kind.as_str(),
        "severity": monitor.severity.as_str(),
        "figures": wrong.figures,
    });
    let mut record = NewRecord::new(RECORD, Actor::system("monitor"), &body)
        .subject(id)
        .emits("shadow.alert.raised");
    let book = !wrong.currency.is_empty();
    if book {
        record = record.about(&BookId::new(&wrong.account, &wrong.currency));
    }
    let made_seq = session.append(record);
    let alert = Alert {
        id: id.to_owned(),
        monitor: monitor.name.clone(),
        kind: monitor.kind.as_str().to_owned(),
        severity: monitor.severity.as_str().to_owned(),
        account: (!wrong.account.is_empty()).then(|| wrong.account.clone()),
        currency: book.then(|| wrong.currency.clone()),
        state: "open".to_owned(),
        figures: wrong.figures.clone(),
        raised_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        cleared_at: None,
        made_seq,
    };
    alert.insert(session.tx()).await
}

async fn clear(session: &mut Session, id: &str, now: i64) -> Result<(), WriteError> {
    let Some(alert) = table::alert(session.tx(), id).await? else {
        return Ok(());
    };
    let body = json!({
        "action": "alert.cleared",
        "before": alert.state,
        "after": "cleared",
        "monitor": alert.monitor,
        "kind": alert.kind,
    });
    let mut record = NewRecord::new(RECORD, Actor::system("monitor"), &body)
        .subject(id)
        .emits("shadow.alert.cleared");
    if let (Some(account), Some(currency)) = (&alert.account, &alert.currency) {
        record = record.about(&BookId::new(account, currency));
    }
    session.append(record);
    let text = "UPDATE shadow_alerts SET state = 'cleared', cleared_at = $2 WHERE id = $1";
    let update = query(text).bind(id).bind(now);
    session.tx().execute(update).await?;
    Ok(())
}
