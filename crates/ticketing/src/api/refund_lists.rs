//! `GET /events/{id}/refunds`, `GET /events/{id}/refund-jobs`: what goes back of a whole event, for
//! organisers who look for a refund without knowing its order.

use axum::extract::State;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::{FilterDigest, Page};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::query as sql;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, OpenApi};

use super::events::allowed;
use super::input::Search;
use super::orgs::{PageQuery, one_more, page_of, paged};
use super::permission;
use super::refunds::printed;
use crate::Ticketing;
use crate::orders::refunds::{self, job};

#[derive(OpenApi)]
#[openapi(paths(of_event, jobs))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let needs = permission::ORDERS_READ;
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/events/{id}/refunds", needs),
            of_event,
        )
        .route(
            RouteSpec::get("/api/v1/events/{id}/refund-jobs", needs),
            jobs,
        )
        .document(Document::openapi())
}

/// Which refunds.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
struct RefundQuery {
    /// `created`, `pending`, `succeeded` or `failed`.
    status: Option<String>,
    /// Only of this job.
    job_id: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Refunds of an event, oldest first.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/refunds", tag = "Refunds",
    params(("id" = String, Path), RefundQuery),
    responses((status = 200, description = "A page", body = Value), (status = 404, description = "`event_not_found`"))
)]
async fn of_event(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(query): Search<RefundQuery>,
) -> Result<Json<Page<Value>>, Problem> {
    allowed(&room, &caller, &id, permission::ORDERS_READ).await?;
    let (status, job) = (
        query.status.unwrap_or_default(),
        query.job_id.unwrap_or_default(),
    );
    let filters = [("event", &*id), ("status", &*status), ("job", &*job)];
    let digest = FilterDigest::new("refunds", filters);
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let (after, limit) = page_of(&room, digest, &page)?;
    let statement = refunds::select(
        "WHERE r.event_id = $1 AND r.id > $2 AND ($3 = '' OR r.status = $3)
            AND ($4 = '' OR r.job_id = $4) ORDER BY r.id LIMIT $5",
    );
    let statement = statement.bind(&id).bind(&after).bind(&status).bind(&job);
    let rows = room.store.db.fetch_all(statement.bind(one_more(limit)));
    let mut found = Vec::new();
    for row in &rows.await? {
        let refund = refunds::refund(row)?;
        let shown = printed(&room, &refund).await?;
        found.push((refund.id, shown));
    }
    let page = paged(
        &room,
        digest,
        found,
        limit,
        |one| &one.0,
        |one| one.1.clone(),
    );
    Ok(Json(page))
}

/// Refunds of the whole event: all jobs, oldest first. An event has few: one when it is called off.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/refund-jobs", tag = "Refunds",
    params(("id" = String, Path)),
    responses((status = 200, description = "All of them", body = Value), (status = 404, description = "`event_not_found`"))
)]
async fn jobs(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Page<Value>>, Problem> {
    allowed(&room, &caller, &id, permission::ORDERS_READ).await?;
    let text = "SELECT id FROM tk_refund_jobs WHERE event_id = $1 ORDER BY id";
    let mut items = Vec::new();
    for row in room.store.db.fetch_all(sql(text).bind(&id)).await? {
        let job: String = row.get("id")?;
        items.push(job::show(&room, &id, &job).await?);
    }
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}
