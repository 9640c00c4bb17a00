//! What rooms and routes call: register, accept events, replay.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use florin_base::{Clock, IdSource};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, RwLock as Gate, RwLockReadGuard};

use super::{
    model::{Endpoint, Event},
    store,
};
use crate::bus::Positions;
use crate::http::{client::Outgoing, client::Targets, page::Cursors, problem::Problem};
use crate::sql::{Db, SqlError};

/// Bounds and surroundings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which targets may be called; with [`Targets::PublicOnly`] only `https` ones.
    pub targets: Targets,
    /// Names of all events, for telling a caller of a name that does not exist.
    pub known_events: Vec<&'static str>,
    /// Most endpoints.
    pub endpoints_max: usize,
}

impl Settings {
    /// At most 100 endpoints.
    pub fn new(targets: Targets, known_events: Vec<&'static str>) -> Self {
        Self {
            targets,
            known_events,
            endpoints_max: 100,
        }
    }
}

/// A pending answer of [`Head`].
pub type HeadFuture = Pin<Box<dyn Future<Output = Result<u64, Problem>> + Send>>;

/// Tells the last `seq` of the feed that events come from.
pub type Head = Arc<dyn Fn() -> HeadFuture + Send + Sync>;

/// The webhooks of an installation; clones share it.
#[derive(Clone)]
pub struct Webhooks {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    /// In the lane of the webhooks.
    pub db: Db,
    pub clock: Arc<dyn Clock>,
    pub outgoing: Outgoing,
    pub cursors: Cursors,
    pub settings: Settings,
    pub head: Head,
    /// Wakes the worker.
    pub wake: Notify,
    endpoints: RwLock<Arc<[Endpoint]>>,
    /// Readers pass; the creation of an endpoint waits for them and holds them back, so that
    /// no event falls between its `since_seq` and what readers skip.
    gate: Gate<()>,
    ids: Mutex<IdSource>,
}

impl Webhooks {
    /// Opens the webhooks over service tables whose migrations have run.
    ///
    /// # Errors
    /// As [`Db::fetch_all`].
    pub async fn open(
        db: Db,
        clock: Arc<dyn Clock>,
        outgoing: Outgoing,
        cursors: Cursors,
        settings: Settings,
        head: Head,
    ) -> Result<Self, SqlError> {
        let db = db.lane("webhooks");
        let endpoints = store::endpoints(&db).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                db,
                clock,
                outgoing,
                cursors,
                settings,
                head,
                wake: Notify::new(),
                endpoints: RwLock::new(endpoints.into()),
                gate: Gate::new(()),
                ids: Mutex::new(IdSource::new()),
            }),
        })
    }

    /// Held while a reader decides whether to skip records; see [`Webhooks::is_idle`].
    pub async fn gate(&self) -> RwLockReadGuard<'_, ()> {
        self.inner.gate.read().await
    }

    /// No endpoint wants anything. A reader that holds [`Webhooks::gate`] may then move its
    /// position to the end it knows without reading. Never so where another process may be
    /// adding an endpoint at this moment.
    pub fn is_idle(&self) -> bool {
        !self.inner.db.is_shared() && self.endpoints().iter().all(|e| e.disabled.is_some())
    }

    /// The end of a feed, if no endpoint wants anything up to there: a reader may then move its
    /// position to it without reading, since endpoints get only what is recorded after they were
    /// added. `end` is asked while none can be added, in any process.
    ///
    /// # Errors
    /// [`SqlError`] of the tables; the error of `end` in the inner result.
    pub async fn pass<T, E>(
        &self,
        end: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<Option<T>, E>, SqlError> {
        let _gate = self.gate().await;
        let inner = &self.inner;
        if !inner.db.is_shared() {
            return Ok(match self.is_idle() {
                true => end.await.map(Some),
                false => Ok(None),
            });
        }
        // In the lane in which endpoints are added.
        let mut tx = inner.db.begin().await?;
        let endpoints = store::endpoints_in(&mut tx).await?;
        if endpoints.iter().any(|endpoint| endpoint.disabled.is_none()) {
            return Ok(Ok(None));
        }
        Ok(end.await.map(Some))
    }

    /// Queues events for everybody who wants them and saves the position of the channel they
    /// come from, all at once. When nobody wants any of them nothing is written and the answer
    /// is false: the caller may save the position when it likes.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`]: nothing was stored; the same events are to be given again.
    pub async fn accept(
        &self,
        channel: &str,
        position: u64,
        events: &[Event],
    ) -> Result<bool, SqlError> {
        let _gate = self.gate().await;
        let inner = &self.inner;
        let shared = inner.db.is_shared();
        let mut endpoints = self.endpoints();
        if events.is_empty() || (!shared && !any_wanted(&endpoints, events)) {
            return Ok(false);
        }
        let now = inner.clock.wall_micros();
        let mut tx = inner.db.begin().await?;
        if shared {
            // Endpoints are added in the same lane, behind the end of the feed at that moment:
            // one that is not here yet is younger than these events.
            endpoints = store::endpoints_in(&mut tx).await?.into();
            *inner.endpoints.write() = Arc::clone(&endpoints);
            if !any_wanted(&endpoints, events) {
                return Ok(false);
            }
        }
        let mut place = store::last_place(&mut tx).await?;
        for event in events {
            for endpoint in endpoints.iter().filter(|e| e.wants(event)) {
                place += 1;
                let id = self.new_id();
                store::enqueue(&mut tx, &id, endpoint, event, place, now).await?;
            }
        }
        Positions::save_in(&mut tx, channel, position, now).await?;
        tx.commit().await?;
        inner.wake.notify_one();
        Ok(true)
    }

    /// Queues an event for one endpoint, whatever it asked for.
    pub(super) async fn send_to(&self, endpoint: &Endpoint, event: &Event) -> Result<(), SqlError> {
        let inner = &self.inner;
        let now = self.now();
        let mut tx = inner.db.begin().await?;
        let place = store::last_place(&mut tx).await? + 1;
        store::enqueue(&mut tx, &self.new_id(), endpoint, event, place, now).await?;
        tx.commit().await?;
        inner.wake.notify_one();
        Ok(())
    }

    /// All endpoints as of now.
    pub fn endpoints(&self) -> Arc<[Endpoint]> {
        Arc::clone(&self.inner.endpoints.read())
    }

    /// One endpoint.
    pub fn endpoint(&self, id: &str) -> Option<Endpoint> {
        self.endpoints().iter().find(|e| *e.id == *id).cloned()
    }

    /// Adds an endpoint that gets what is recorded after now, or finds the one that was made
    /// under the same identity.
    pub(super) async fn register(
        &self,
        mut endpoint: Endpoint,
        identity: Option<(&str, &str)>,
    ) -> Result<Registered, Problem> {
        let inner = &self.inner;
        let _alone = inner.gate.write().await;
        let mut tx = inner.db.begin().await.map_err(sql_problem)?;
        if let Some((scope, key)) = identity {
            let known = store::endpoint_by_key(&mut tx, scope, key).await;
            if let Some(known) = known.map_err(sql_problem)? {
                return Ok(Registered::Known(known));
            }
        }
        let all = store::endpoints_in(&mut tx).await.map_err(sql_problem)?;
        if all.len() >= inner.settings.endpoints_max {
            return Err(Problem::conflict(
                "too_many_webhooks",
                format!("There may be {} webhooks.", inner.settings.endpoints_max),
            ));
        }
        // Asked inside the transaction: what is recorded later is given to `accept` later too.
        endpoint.since_seq = (inner.head)().await?;
        store::insert_endpoint(&mut tx, &endpoint, identity)
            .await
            .map_err(sql_problem)?;
        tx.commit().await.map_err(sql_problem)?;
        self.reload().await.map_err(sql_problem)?;
        Ok(Registered::New(endpoint))
    }

    /// All endpoints, with what other processes changed.
    pub(super) async fn current(&self) -> Result<Arc<[Endpoint]>, SqlError> {
        if self.inner.db.is_shared() {
            self.reload().await?;
        }
        Ok(self.endpoints())
    }

    /// Reads the endpoints again after a change.
    pub(super) async fn reload(&self) -> Result<(), SqlError> {
        let endpoints = store::endpoints(&self.inner.db).await?;
        *self.inner.endpoints.write() = endpoints.into();
        self.inner.wake.notify_one();
        Ok(())
    }

    /// A fresh UUIDv7.
    pub(super) fn new_id(&self) -> Box<str> {
        let now = self.inner.clock.wall_micros();
        self.inner.ids.lock().uuid_v7(now).to_string().into()
    }

    pub(super) fn now(&self) -> i64 {
        self.inner.clock.wall_micros()
    }
}

/// What [`Webhooks::register`] did.
#[derive(Debug)]
pub(super) enum Registered {
    /// Added it.
    New(Endpoint),
    /// It was added before.
    Known(Endpoint),
}

fn any_wanted(endpoints: &[Endpoint], events: &[Event]) -> bool {
    events
        .iter()
        .any(|event| endpoints.iter().any(|endpoint| endpoint.wants(event)))
}

/// A failure of the tables, showing nothing of its cause.
pub(super) fn sql_problem(error: SqlError) -> Problem {
    match error {
        SqlError::Unavailable(_) => {
            Problem::unavailable("store_unavailable", "The service tables do not answer.")
                .with_cause(error)
        }
        SqlError::CommitUnknown(_) => error.into(),
        _ => Problem::internal(error),
    }
}
