//! `POST /analytics/track`: steps of visitors before they order. No address and no browser is kept.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Access;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::{Arg, query};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{OpenApi, ToSchema};

use crate::api::input::Body;
use crate::api::orders::body::source;
use crate::api::problem::{event_not_found, field};
use crate::store::bulk;
use crate::{Ticketing, limits};

/// Most steps of one call.
const STEPS_MAX: usize = 50;
/// Longest id of a visitor.
const VISITOR_MAX: usize = 64;

#[derive(OpenApi)]
#[openapi(paths(track))]
struct Document;

/// The route.
pub fn routes() -> Routes<Ticketing> {
    Routes::new()
        .route(
            RouteSpec::post("/api/v1/analytics/track", Access::Public),
            track,
        )
        .document(Document::openapi())
}

/// A step of a visitor.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = TrackStep)]
struct Step {
    event_id: String,
    /// Made by the caller; 1 to 64 of letters, digits, `-` and `_`.
    visitor_id: String,
    /// `view` or `select`.
    step: String,
    /// `{utmSource, utmMedium, utmCampaign, ref}`.
    #[schema(value_type = Option<Object>)]
    source: Option<Map<String, Value>>,
}

/// One step, or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = TrackRequest)]
enum Steps {
    Many(Vec<Step>),
    One(Step),
}

/// Tell of steps of visitors.
#[utoipa::path(
    post, path = "/api/v1/analytics/track", tag = "Analytics", request_body = Steps,
    responses((status = 204, description = "Counted"), (status = 404, description = "`event_not_found`"))
)]
async fn track(
    State(room): State<Ticketing>,
    Body { body, .. }: Body<Steps>,
) -> Result<Response, Problem> {
    let steps = match body {
        Steps::Many(steps) => steps,
        Steps::One(step) => vec![step],
    };
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return Err(field("", "too_many_steps", "1 to 50 steps."));
    }
    let mut rows = Vec::with_capacity(steps.len());
    for step in steps {
        rows.push(row(&room, step).await?);
    }
    let mut tx = room.store.db.lane("ticketing_tracks").begin().await?;
    let prefix = "INSERT INTO tk_tracks (event_id, visitor_id, step, source, first_at)";
    let marks = room.store.marks();
    bulk::insert(&mut tx, marks, prefix, "ON CONFLICT DO NOTHING", rows).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn row(room: &Ticketing, step: Step) -> Result<Vec<Arg>, Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let id = &step.visitor_id;
    if !(1..=VISITOR_MAX).contains(&id.len()) || !id.bytes().all(plain) {
        return Err(field(
            "visitorId",
            "visitor_id_invalid",
            "1 to 64 of letters, digits, - and _.",
        ));
    }
    if !["view", "select"].contains(&step.step.as_str()) {
        return Err(field("step", "step_invalid", "`view` or `select`."));
    }
    room.limits.take(limits::TRACK, id).await?;
    let text = "SELECT id FROM tk_events WHERE id = $1 AND status <> 'draft'";
    let found = room
        .store
        .db
        .fetch_optional(query(text).bind(&step.event_id))
        .await?;
    if found.is_none() {
        return Err(event_not_found());
    }
    Ok(vec![
        Arg::from(step.event_id),
        Arg::from(step.visitor_id),
        Arg::from(step.step),
        Arg::from(source(step.source)?.unwrap_or_default()),
        Arg::from(room.now()),
    ])
}
