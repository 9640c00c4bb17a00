//! `/analytics/exports` (contract E).

use axum::extract::State;
use axum::response::Response;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use crate::analytics::export::{self, Format, Kind};
use crate::api::events::allowed;
use crate::api::input::Body;
use crate::api::once::Creation;
use crate::api::permission;
use crate::api::problem::{field, org_not_found};
use crate::api::scope::in_org;
use crate::{Ticketing, limits};

#[derive(OpenApi)]
#[openapi(paths(create, one))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    Routes::new()
        .route(
            RouteSpec::post("/api/v1/analytics/exports", permission::EXPORTS_WRITE),
            create,
        )
        .route(
            RouteSpec::get("/api/v1/analytics/exports/{id}", permission::EXPORTS_WRITE),
            one,
        )
        .document(Document::openapi())
}

/// What is to be exported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ExportRequest)]
struct Asked {
    /// `orders`, `tickets`, `attendees`, `check_ins`, `payouts` or `postings`.
    kind: String,
    /// `csv` or `json`.
    format: String,
    filter: Filter,
}

/// Of an event, or of a whole organisation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ExportFilter)]
struct Filter {
    org_id: Option<String>,
    event_id: Option<String>,
}

/// Ask for an export; it is written in the background.
#[utoipa::path(
    post, path = "/api/v1/analytics/exports", tag = "Analytics",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = Asked,
    responses((status = 202, description = "Queued", body = Object))
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    key: IdempotencyKey,
    Body { body, json }: Body<Asked>,
) -> Result<Response, Problem> {
    let kind = Kind::from_word(&body.kind);
    let kind = kind.ok_or_else(|| field("kind", "kind_invalid", "No such kind of export."))?;
    let format = Format::from_word(&body.format);
    let format = format.ok_or_else(|| field("format", "format_invalid", "`csv` or `json`."))?;
    let needs = permission::EXPORTS_WRITE;
    let org_id = match (&body.filter.event_id, body.filter.org_id) {
        (Some(event), given) => {
            let event = allowed(&room, &caller, event, needs).await?;
            if given.is_some_and(|org| org != event.org_id) {
                return Err(org_not_found());
            }
            event.org_id
        }
        (None, Some(org)) => {
            in_org(&room, &caller, &org, None, needs, org_not_found).await?;
            org
        }
        (None, None) => {
            return Err(field(
                "filter.orgId",
                "required",
                "An organisation or event.",
            ));
        }
    };
    let event = body.filter.event_id.as_deref();
    let creation = Creation::new(&room, &caller, &format!("exports:{org_id}"), &key, &json);
    // Exports of one organisation are asked for one after the other.
    let mut tx = room.store.begin_event(&org_id).await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known);
    }
    room.limits.take(limits::EXPORT, &org_id).await?;
    let what = (kind, format);
    let made = export::order(&room, &mut tx, &org_id, event, what, &caller.subject).await?;
    let place = format!("/api/v1/analytics/exports/{}", made.id);
    let shown = export::show(&room, &made).await?;
    let status = StatusCode::ACCEPTED;
    let answer = creation
        .keep(&mut tx, status, Some(place), &shown, made.created_at)
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// How far an export is; with a link for 15 minutes when it is ready.
#[utoipa::path(
    get, path = "/api/v1/analytics/exports/{id}", tag = "Analytics",
    params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, description = "`export_not_found`"))
)]
async fn one(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = export::find(&room.store.db, &id).await?;
    let found = found.ok_or_else(absent)?;
    let needs = permission::EXPORTS_WRITE;
    let event = found.event_id.as_deref();
    in_org(&room, &caller, &found.org_id, event, needs, absent).await?;
    Ok(Json(export::show(&room, &found).await?))
}

fn absent() -> Problem {
    Problem::not_found("export_not_found", "There is no such export.")
}
