//! Recorded scans, and undoing one.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::audit::Entry;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::{FilterDigest, Page};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::permission;
use crate::Ticketing;
use crate::api::events::allowed;
use crate::api::input::Search;
use crate::api::orgs::{PageQuery, page_of, paged};
use crate::api::scope::in_org;
use crate::gate::list::{self, CheckIn, Filter};
use crate::store;

#[derive(OpenApi)]
#[openapi(paths(all, undo))]
struct Document;

pub(super) fn routes() -> Routes<Ticketing> {
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/events/{id}/check-ins", permission::CHECKINS_READ),
            all,
        )
        .route(
            RouteSpec::post("/api/v1/check-ins/{id}/undo", permission::TICKETS_MANAGE),
            undo,
        )
        .document(Document::openapi())
}

/// Which scans.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only with, or only without conflict.
    conflict: Option<bool>,
    /// Only of this ticket.
    ticket_id: Option<String>,
    /// Only by this scanner.
    device_id: Option<String>,
    /// `admitted` or `denied`.
    result: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A recorded scan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CheckIn)]
struct CheckInShown {
    id: String,
    event_id: String,
    ticket_id: Option<String>,
    nonce: String,
    device_id: String,
    gate: Option<String>,
    area: Option<i64>,
    direction: String,
    /// It was judged here when it happened.
    online: bool,
    stale_bundle: bool,
    /// As the scanner said.
    #[schema(value_type = String)]
    scanned_at: Timestamp,
    /// When it counts as having happened.
    #[schema(value_type = String)]
    effective_at: Timestamp,
    #[schema(value_type = String)]
    recorded_at: Timestamp,
    /// `admitted` or `denied`.
    result: &'static str,
    reason: String,
    /// It counts as a passage.
    counted: bool,
    /// `duplicate`, `revoked`, `refunded_after_entry`.
    conflict: Option<String>,
    #[schema(value_type = Option<String>)]
    undone_at: Option<Timestamp>,
}

impl From<&CheckIn> for CheckInShown {
    fn from(row: &CheckIn) -> Self {
        Self {
            id: row.id.clone(),
            event_id: row.event_id.clone(),
            ticket_id: row.ticket_id.clone(),
            nonce: row.nonce.clone(),
            device_id: row.device_id.clone(),
            gate: row.gate.clone(),
            area: row.area,
            direction: row.direction.clone(),
            online: row.online,
            stale_bundle: row.stale_bundle,
            scanned_at: Timestamp(row.scanned_at),
            effective_at: Timestamp(row.effective_at),
            recorded_at: Timestamp(row.recorded_at),
            result: if row.admitted { "admitted" } else { "denied" },
            reason: row.reason.clone(),
            counted: row.counted,
            conflict: row.conflict.clone(),
            undone_at: row.undone_at.map(Timestamp),
        }
    }
}

/// Scans at an event's gate, newest first.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/check-ins", tag = "Gate",
    params(("id" = String, Path), ListQuery),
    responses(
        (status = 200, description = "A page", body = Vec<CheckInShown>),
        (status = 404, description = "`event_not_found`"),
    )
)]
async fn all(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(query): Search<ListQuery>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::CHECKINS_READ).await?;
    let admitted = match query.result.as_deref() {
        None => None,
        Some("admitted") => Some(true),
        Some("denied") => Some(false),
        Some(_) => return Err(Problem::validation("result", "Must be admitted or denied.")),
    };
    let conflict = query
        .conflict
        .map(|only| only.to_string())
        .unwrap_or_default();
    let filters = [
        ("event", id.as_str()),
        ("conflict", conflict.as_str()),
        ("ticketId", query.ticket_id.as_deref().unwrap_or_default()),
        ("deviceId", query.device_id.as_deref().unwrap_or_default()),
        ("result", query.result.as_deref().unwrap_or_default()),
    ];
    let digest = FilterDigest::new("check-ins", filters);
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let (before, limit) = page_of(&room, digest, &page)?;
    let filter = Filter {
        conflict: query.conflict,
        ticket_id: query.ticket_id,
        device_id: query.device_id,
        admitted,
    };
    let before = (!before.is_empty()).then_some(before.as_str());
    let found = list::list(&room.store.db, &id, &filter, before, limit + 1).await?;
    let page: Page<CheckInShown> = paged(
        &room,
        digest,
        found,
        limit,
        |row| &row.id,
        |row| CheckInShown::from(row),
    );
    Ok(Json(page).into_response())
}

/// Undo a check-in; if that was its only way in, the ticket is valid again.
#[utoipa::path(
    post, path = "/api/v1/check-ins/{id}/undo", tag = "Gate",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = CheckInShown),
        (status = 404, description = "`check_in_not_found`"),
        (status = 409, description = "`check_in_state`"),
    )
)]
async fn undo(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let absent = || Problem::not_found("check_in_not_found", "There is no such check-in.");
    let row = list::one(&room.store.db, &id).await?;
    let event = store::events::load(&room.store.db, &row.event_id).await?;
    let event = event.ok_or_else(absent)?;
    let manage = permission::TICKETS_MANAGE;
    in_org(
        &room,
        &caller,
        &event.org_id,
        Some(&event.id),
        manage,
        absent,
    )
    .await?;
    let undone = list::undo(&room, &id, &caller.subject).await?;
    let entry = Entry::new(
        &*caller.subject,
        "ticketing.check-in.undone",
        format!("check-in:{id}"),
    );
    room.note(entry).await;
    Ok(Json(CheckInShown::from(&undone)).into_response())
}
