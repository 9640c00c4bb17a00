//! `GET /analytics/events/{id}/live`: server-sent events, and the tokens by which browsers open
//! them (contract E).

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use florin_base::{IdSource, Timestamp};
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::query;
use futures_util::stream;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::reports::seen;
use crate::Ticketing;
use crate::analytics::figures;
use crate::api::input::{Body, Search};
use crate::api::permission;
use crate::model::event::Event;
use crate::store;

/// At most two deltas in a second.
const PAUSE: Duration = Duration::from_millis(500);
/// A comment this often, so that nobody between closes the line.
const COMMENT: Duration = Duration::from_secs(15);
/// Life of a token.
const TOKEN_LIFE: i64 = 60_000_000;

#[derive(OpenApi)]
#[openapi(paths(live, stream_token))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/analytics/events/{id}/live", Access::Optional),
            live,
        )
        .route(
            RouteSpec::post(
                "/api/v1/analytics/stream-tokens",
                permission::ANALYTICS_READ,
            ),
            stream_token,
        )
        .document(Document::openapi())
}

/// For which event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = StreamTokenRequest)]
struct TokenBody {
    event_id: String,
}

/// A token that opens the stream of an event once, within 60 seconds.
#[utoipa::path(
    post, path = "/api/v1/analytics/stream-tokens", tag = "Analytics", request_body = TokenBody,
    responses((status = 201, description = "`{token, expiresAt}`", body = Object))
)]
async fn stream_token(
    State(room): State<Ticketing>,
    caller: Caller,
    Body { body, .. }: Body<TokenBody>,
) -> Result<Response, Problem> {
    let event = seen(&room, &caller, &body.event_id).await?;
    let token = hex::encode(IdSource::random_32());
    let expires = room.now() + TOKEN_LIFE;
    let mut tx = room.store.db.lane("ticketing_tracks").begin().await?;
    let text = "DELETE FROM tk_stream_tokens WHERE expires_at <= $1";
    tx.execute(query(text).bind(room.now())).await?;
    let text = "INSERT INTO tk_stream_tokens (digest, event_id, expires_at) VALUES ($1, $2, $3)";
    let statement = query(text)
        .bind(room.secrets.digest("stream-token", token.as_bytes()))
        .bind(&event.id)
        .bind(expires);
    tx.execute(statement).await?;
    tx.commit().await?;
    let body = json!({"token": token, "expiresAt": Timestamp(expires).to_string()});
    Ok((http::StatusCode::CREATED, Json(body)).into_response())
}

/// How a browser shows that it may.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LiveQuery {
    /// From `POST /analytics/stream-tokens`.
    token: Option<String>,
}

/// The overview as it changes: `snapshot`, then `delta` with the members that changed.
#[utoipa::path(
    get, path = "/api/v1/analytics/events/{id}/live", tag = "Analytics",
    params(
        ("id" = String, Path), LiveQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Where a stream broke off")
    ),
    responses((status = 200, description = "text/event-stream"))
)]
async fn live(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Search(asked): Search<LiveQuery>,
) -> Result<Response, Problem> {
    let event = match (&caller, &asked.token) {
        (Some(caller), _) => seen(&room, caller, &id).await?,
        (None, Some(token)) => by_token(&room, &id, token).await?,
        (None, None) => return Err(Problem::unauthenticated("Sign in, or show a token.")),
    };
    // What the reader has is not known to this process: he gets everything as of now, under a
    // later number.
    let last = headers.get("last-event-id");
    let last = last.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let state = Live {
        room,
        event,
        number: last.unwrap_or(0),
        shown: None,
    };
    let events = stream::unfold(state, |mut state| async move {
        let sent = state.next().await;
        Some((Ok::<_, Infallible>(sent), state))
    });
    let alive = KeepAlive::new().interval(COMMENT).text("");
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

async fn by_token(room: &Ticketing, event_id: &str, token: &str) -> Result<Event, Problem> {
    let text = "DELETE FROM tk_stream_tokens
        WHERE digest = $1 AND event_id = $2 AND expires_at > $3";
    let statement = query(text)
        .bind(room.secrets.digest("stream-token", token.as_bytes()))
        .bind(event_id)
        .bind(room.now());
    let used = room
        .store
        .db
        .lane("ticketing_tracks")
        .execute(statement)
        .await?;
    let event = match used {
        0 => None,
        _ => store::events::load(&room.store.db, event_id).await?,
    };
    event.ok_or_else(|| Problem::unauthenticated("The token is used up, or of another event."))
}

/// A stream of one event's figures.
struct Live {
    room: Ticketing,
    event: Event,
    number: u64,
    shown: Option<Map<String, Value>>,
}

impl Live {
    /// The next event: the first is everything, later ones are what changed.
    async fn next(&mut self) -> Sent {
        loop {
            if self.shown.is_some() {
                tokio::time::sleep(PAUSE).await;
            }
            let Ok(Value::Object(now)) = figures::overview(&self.room, &self.event).await else {
                // The store is away for a moment; the line stays open.
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let (name, body) = match &self.shown {
                None => ("snapshot", now.clone()),
                Some(before) => ("delta", changed(before, &now)),
            };
            self.shown = Some(now);
            if body.is_empty() {
                continue;
            }
            self.number += 1;
            let text = Value::Object(body).to_string();
            return Sent::default()
                .event(name)
                .id(self.number.to_string())
                .data(text);
        }
    }
}

/// Members whose values changed; the time alone is no news.
fn changed(before: &Map<String, Value>, now: &Map<String, Value>) -> Map<String, Value> {
    let timely = ["asOf", "ledgerPosition"];
    let mut news: Map<String, Value> = now
        .iter()
        .filter(|(name, value)| {
            !timely.contains(&name.as_str()) && before.get(*name) != Some(*value)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !news.is_empty() {
        for name in timely {
            if let Some(value) = now.get(name) {
                news.insert(name.to_owned(), value.clone());
            }
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_is_told() {
        let of = |text: &str| match serde_json::from_str(text).expect("JSON") {
            Value::Object(map) => map,
            _ => panic!("no object"),
        };
        let before = of(r#"{"orders": 1, "refunds": "0.00", "asOf": "a", "ledgerPosition": 1}"#);
        let later = of(r#"{"orders": 1, "refunds": "0.00", "asOf": "b", "ledgerPosition": 9}"#);
        assert!(changed(&before, &later).is_empty());
        let sold = of(r#"{"orders": 2, "refunds": "0.00", "asOf": "b", "ledgerPosition": 9}"#);
        let news = changed(&before, &sold);
        assert_eq!(
            news.keys().collect::<Vec<_>>(),
            ["asOf", "ledgerPosition", "orders"]
        );
    }
}
