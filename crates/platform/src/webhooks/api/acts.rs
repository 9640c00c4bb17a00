//! What the routes of webhooks do, for all endpoints or for those of one key: a room that lets
//! its own people manage receivers serves the same acts under its own paths.

use axum::response::{IntoResponse, Response};
use florin_base::ids::parse_canonical_uuid;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::json;

use super::bodies::{
    CreateRequest, CreatedBody, DeliveryBody, DeliveryDetail, EndpointBody, ListQuery, PageQuery,
    ReplayedBody, RotatedBody,
};
use crate::http::client::{Targets, check_url};
use crate::http::idempotency::{IdempotencyKey, replayed};
use crate::http::json::Json;
use crate::http::page::{FilterDigest, Page, PageLimits, Position};
use crate::http::problem::{Problem, Status};
use crate::sql::SqlError;
use crate::webhooks::model::{Delivery, Endpoint, State};
use crate::webhooks::service::{Registered, Webhooks, sql_problem};
use crate::webhooks::sign::SigningSecret;
use crate::webhooks::store;

/// Longest URL, in bytes.
const URL_MAX: usize = 2_048;
/// How long the former secret signs beside the new one, in microseconds (24 h).
const ROTATION_MICROS: i64 = 86_400 * 1_000_000;

/// The endpoints that a caller manages.
#[derive(Clone)]
pub struct Desk<'a> {
    /// All of them, or those of one key.
    pub hooks: &'a Webhooks,
    /// Only endpoints that get events of this key; `None`: all.
    pub key: Option<Box<str>>,
    /// Path of the list, such as `/api/v1/webhooks`.
    pub path: String,
    /// Names of events that may be asked for; `None`: all.
    pub events: Option<&'static [&'static str]>,
}

fn not_found() -> Problem {
    Problem::not_found("webhook_not_found", "There is no webhook with this id.")
}

fn delivery_not_found() -> Problem {
    Problem::not_found(
        "delivery_not_found",
        "This webhook has no delivery with this id.",
    )
}

/// The first member in which two registrations differ.
fn difference(a: &Endpoint, b: &Endpoint) -> Option<&'static str> {
    [
        ("url", a.url == b.url),
        ("events", a.events == b.events),
        ("walletId", a.key == b.key),
    ]
    .into_iter()
    .find(|(_, equal)| !equal)
    .map(|(member, _)| member)
}

impl<'a> Desk<'a> {
    /// All endpoints, under the usual path.
    pub fn all(hooks: &'a Webhooks) -> Self {
        Self {
            hooks,
            key: None,
            path: "/api/v1/webhooks".to_owned(),
            events: None,
        }
    }

    fn has(&self, endpoint: &Endpoint) -> bool {
        self.key.is_none() || self.key == endpoint.key
    }

    async fn find(&self, id: &str) -> Result<Endpoint, Problem> {
        let all = self.hooks.current().await.map_err(sql_problem)?;
        let found = all
            .iter()
            .find(|endpoint| *endpoint.id == *id && self.has(endpoint));
        found.cloned().ok_or_else(not_found)
    }

    fn show(&self, endpoint: &Endpoint) -> EndpointBody {
        let body = EndpointBody::from(endpoint);
        match self.key {
            None => body,
            Some(_) => body.without_key(),
        }
    }

    /// The body as an endpoint, with a fresh secret.
    fn read(&self, request: CreateRequest) -> Result<Endpoint, Problem> {
        let settings = &self.hooks.inner.settings;
        if request.url.len() > URL_MAX {
            let message = format!("The URL may have at most {URL_MAX} bytes.");
            return Err(Problem::validation("url", message));
        }
        let code = match self.key {
            None => "validation_failed",
            Some(_) => "url_not_allowed",
        };
        let refused = |message: String| Problem::field(Status::BadRequest, code, "url", message);
        let url = check_url(&request.url, settings.targets)
            .map_err(|error| refused(format!("{error}.")))?;
        if settings.targets == Targets::PublicOnly && url.scheme() != "https" {
            return Err(refused("The URL must start with https://.".to_owned()));
        }
        let known = self.events.unwrap_or(&settings.known_events);
        let events = request.events.filter(|events| !events.is_empty());
        for (index, name) in events.iter().flatten().enumerate() {
            if !known.contains(&&**name) {
                let message = format!("Known events are {}.", known.join(", "));
                return Err(Problem::validation(format!("events[{index}]"), message));
            }
        }
        if let Some(wallet) = &request.wallet_id {
            if self.key.is_some() {
                return Err(Problem::unknown_field("walletId"));
            }
            if parse_canonical_uuid(wallet).is_none() {
                return Err(Problem::invalid_id(
                    "walletId",
                    "Must be a UUID in lower case.",
                ));
            }
        }
        Ok(Endpoint {
            id: self.hooks.new_id(),
            url: request.url,
            events,
            key: self.key.clone().or(request.wallet_id),
            secret: SigningSecret::generate(),
            previous: None,
            disabled: None,
            since_seq: 0,
            created_at: self.hooks.now(),
        })
    }

    /// Registers a receiver; `subject` and key are its identity.
    ///
    /// # Errors
    /// 400, 409 `idempotency_conflict` or `too_many_webhooks`, the store's.
    pub async fn create(
        &self,
        subject: &str,
        key: &IdempotencyKey,
        request: CreateRequest,
    ) -> Result<Response, Problem> {
        let wanted = self.read(request)?;
        let scope = match &self.key {
            None => subject.to_owned(),
            Some(key) => format!("{key} {subject}"),
        };
        let identity = key.as_deref().map(|key| (&*scope, key));
        match self.hooks.register(wanted.clone(), identity).await? {
            Registered::New(endpoint) => Ok(self.created(&endpoint)),
            Registered::Known(known) => match difference(&known, &wanted) {
                None => Ok(replayed(self.created(&known))),
                Some(member) => Err(Problem::field(
                    Status::Conflict,
                    "idempotency_conflict",
                    member,
                    "This key was used with another value here.",
                )
                .with("field", member)),
            },
        }
    }

    fn created(&self, endpoint: &Endpoint) -> Response {
        let body = CreatedBody::new(self.show(endpoint), endpoint);
        let location = format!("{}/{}", self.path, endpoint.id);
        (StatusCode::CREATED, [(LOCATION, location)], Json(body)).into_response()
    }

    /// A page of receivers in order of creation.
    ///
    /// # Errors
    /// 400 for limit or cursor, the store's.
    pub async fn list(&self, query: PageQuery) -> Result<Response, Problem> {
        let limit = PageLimits::default().resolve(query.limit)?;
        let key = self.key.as_deref().map(|key| ("key", key));
        let digest = FilterDigest::new("webhooks", key);
        let cursors = &self.hooks.inner.cursors;
        let after = cursors
            .open_optional(digest, query.cursor.as_deref())?
            .map(|position| position.after);
        let all = self.hooks.current().await.map_err(sql_problem)?;
        // The cursor holds creation time and id of the last one shown.
        let place = |e: &Endpoint| [&e.created_at.to_be_bytes()[..], e.id.as_bytes()].concat();
        let mut rest = all
            .iter()
            .filter(|e| self.has(e) && after.as_ref().is_none_or(|after| place(e) > *after));
        let shown: Vec<&Endpoint> = rest.by_ref().take(limit).collect();
        let next_cursor = match (rest.next(), shown.last()) {
            (Some(_), Some(last)) => {
                let position = Position {
                    snapshot: 0,
                    after: place(last),
                };
                Some(cursors.seal(digest, &position))
            }
            _ => None,
        };
        let items: Vec<EndpointBody> = shown.into_iter().map(|e| self.show(e)).collect();
        Ok(Json(Page { items, next_cursor }).into_response())
    }

    /// A receiver, without its secret.
    ///
    /// # Errors
    /// 404 `webhook_not_found`, the store's.
    pub async fn get(&self, id: &str) -> Result<Response, Problem> {
        Ok(Json(self.show(&self.find(id).await?)).into_response())
    }

    /// Removes a receiver with its deliveries and their log.
    ///
    /// # Errors
    /// 404 `webhook_not_found`, the store's.
    pub async fn delete(&self, id: &str) -> Result<Response, Problem> {
        self.find(id).await?;
        let db = &self.hooks.inner.db;
        store::delete_endpoint(db, id).await.map_err(sql_problem)?;
        self.hooks.reload().await.map_err(sql_problem)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    /// Makes a new secret; the former one signs too for 24 hours.
    ///
    /// # Errors
    /// 404 `webhook_not_found`, the store's.
    pub async fn rotate(&self, id: &str) -> Result<Response, Problem> {
        self.find(id).await?;
        let new = SigningSecret::generate();
        let until = self.hooks.now() + ROTATION_MICROS;
        store::rotate(&self.hooks.inner.db, id, &new, until)
            .await
            .map_err(sql_problem)?;
        self.hooks.reload().await.map_err(sql_problem)?;
        Ok(Json(RotatedBody::new(id, &new, until)).into_response())
    }

    /// Queues everything parked again and enables the receiver.
    ///
    /// # Errors
    /// 404 `webhook_not_found`, the store's.
    pub async fn replay(&self, id: &str) -> Result<Response, Problem> {
        self.find(id).await?;
        let queued = store::replay(&self.hooks.inner.db, id, self.hooks.now())
            .await
            .map_err(sql_problem)?;
        self.hooks.reload().await.map_err(sql_problem)?;
        Ok((StatusCode::ACCEPTED, Json(ReplayedBody { queued })).into_response())
    }

    /// Queues everything recorded in `[from, to)` (microseconds) again, what was accepted too, and
    /// enables the receiver; at most 10,000 at a time.
    ///
    /// # Errors
    /// 404 `webhook_not_found`, the store's.
    pub async fn replay_between(&self, id: &str, from: i64, to: i64) -> Result<Response, Problem> {
        self.find(id).await?;
        let (db, now) = (&self.hooks.inner.db, self.hooks.now());
        let queued = store::replay_between(db, id, from, to, now)
            .await
            .map_err(sql_problem)?;
        self.hooks.reload().await.map_err(sql_problem)?;
        Ok((StatusCode::ACCEPTED, Json(ReplayedBody { queued })).into_response())
    }

    /// Sends an event to this one receiver, whatever it asked for.
    ///
    /// # Errors
    /// 404 `webhook_not_found`, 409 `webhook_disabled`, the store's.
    pub async fn test(&self, id: &str, event: crate::webhooks::Event) -> Result<Response, Problem> {
        let endpoint = self.find(id).await?;
        if endpoint.disabled.is_some() {
            return Err(disabled());
        }
        let event_id = event.id.clone();
        let sent = self.hooks.send_to(&endpoint, &event).await;
        sent.map_err(sql_problem)?;
        let body = json!({"eventId": event_id});
        Ok((StatusCode::ACCEPTED, Json(body)).into_response())
    }

    /// A page of deliveries, newest first.
    ///
    /// # Errors
    /// 404 `webhook_not_found`, 400, the store's.
    pub async fn deliveries(&self, id: &str, query: ListQuery) -> Result<Response, Problem> {
        self.find(id).await?;
        let limit = PageLimits::default().resolve(query.limit)?;
        let state = match query.state.as_deref().map(State::from_word) {
            Some(None) => {
                let message = "Must be ready, waiting, accepted or parked.";
                return Err(Problem::validation("state", message));
            }
            given => given.flatten(),
        };
        let digest = FilterDigest::new(
            &format!("webhooks/{id}/deliveries"),
            state.map(|state| ("state", state.word())),
        );
        let cursors = &self.hooks.inner.cursors;
        let before = match cursors.open_optional(digest, query.cursor.as_deref())? {
            Some(position) => position
                .after
                .try_into()
                .map_or(i64::MAX, i64::from_le_bytes),
            None => i64::MAX,
        };
        let most = i64::try_from(limit).unwrap_or(i64::MAX) + 1;
        let mut found = store::list(&self.hooks.inner.db, id, state, before, most)
            .await
            .map_err(sql_problem)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next_cursor = last.map(|last| {
            let after = last.place.to_le_bytes().to_vec();
            cursors.seal(digest, &Position { snapshot: 0, after })
        });
        let items: Vec<DeliveryBody> = found.iter().map(DeliveryBody::from).collect();
        Ok(Json(Page { items, next_cursor }).into_response())
    }

    async fn load(&self, id: &str, delivery: &str) -> Result<Delivery, Problem> {
        store::find(&self.hooks.inner.db, id, delivery)
            .await
            .map_err(sql_problem)?
            .ok_or_else(delivery_not_found)
    }

    /// A delivery with what is sent and the log of its tries.
    ///
    /// # Errors
    /// 404 `webhook_not_found` or `delivery_not_found`, the store's.
    pub async fn delivery(&self, id: &str, delivery_id: &str) -> Result<Response, Problem> {
        self.find(id).await?;
        let found = self.load(id, delivery_id).await?;
        let tries = store::tries(&self.hooks.inner.db, delivery_id)
            .await
            .map_err(sql_problem)?;
        Ok(Json(DeliveryDetail::new(&found, &tries)).into_response())
    }

    /// Queues one finished delivery again, behind what is on its way for the same key.
    ///
    /// # Errors
    /// 404 `webhook_not_found` or `delivery_not_found`, 409 `webhook_disabled`, the store's.
    pub async fn redeliver(&self, id: &str, delivery_id: &str) -> Result<Response, Problem> {
        if self.find(id).await?.disabled.is_some() {
            return Err(disabled());
        }
        self.load(id, delivery_id).await?;
        let hooks = self.hooks;
        let queue = async {
            let mut tx = hooks.inner.db.begin().await?;
            store::requeue(&mut tx, id, delivery_id, hooks.now()).await?;
            tx.commit().await
        };
        queue.await.map_err(|error: SqlError| sql_problem(error))?;
        hooks.inner.wake.notify_one();
        let found = self.load(id, delivery_id).await?;
        Ok((StatusCode::ACCEPTED, Json(DeliveryBody::from(&found))).into_response())
    }
}

fn disabled() -> Problem {
    let detail = "Nothing is sent to a disabled webhook; replay enables it.";
    Problem::conflict("webhook_disabled", detail)
}
