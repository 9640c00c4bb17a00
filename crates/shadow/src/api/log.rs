//! `GET …/log/head`, checkpoints (contract B4).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::json::Json;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::query as sql;
use http::StatusCode;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::{Shared, permission};
use crate::store::read;
use crate::worker::checkpoint;

#[derive(OpenApi)]
#[openapi(paths(head, list, make))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    let checkpoints = "/api/v1/shadow/log/checkpoints";
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/shadow/log/head", permission::READ),
            head,
        )
        .route(RouteSpec::get(checkpoints, permission::READ), list)
        .route(RouteSpec::post(checkpoints, permission::CONFIGURE), make)
        .document(Document::openapi())
}

/// The end of the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowLogHead)]
struct HeadAnswer {
    log_seq: i64,
    hash: String,
}

/// The end of the log.
#[utoipa::path(
    get, path = "/api/v1/shadow/log/head", tag = "Shadow ledger",
    responses((status = 200, description = "Number and hash", body = HeadAnswer))
)]
async fn head(AxumState(api): AxumState<Shared>) -> Result<Json<HeadAnswer>, Problem> {
    let head = read::head(api.shadow.db()).await?;
    Ok(Json(HeadAnswer {
        log_seq: head.log_seq,
        hash: hex::encode(head.hash),
    }))
}

/// A signed note of the log's end.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowCheckpoint)]
struct Shown {
    log_seq: i64,
    hash: String,
    #[schema(value_type = String)]
    recorded_at: Timestamp,
    /// The text that is signed, a blank line, and the signature.
    note: String,
}

/// The newest checkpoints.
#[utoipa::path(
    get, path = "/api/v1/shadow/log/checkpoints", tag = "Shadow ledger",
    responses((status = 200, description = "The newest 50, newest first", body = Vec<Shown>))
)]
async fn list(AxumState(api): AxumState<Shared>) -> Result<Response, Problem> {
    let text = "SELECT log_seq, hash, recorded_at, note FROM shadow_checkpoints
        ORDER BY log_seq DESC LIMIT 50";
    let rows = api.shadow.db().fetch_all(sql(text)).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(Shown {
            log_seq: row.get("log_seq")?,
            hash: hex::encode(row.get::<Vec<u8>>("hash")?),
            recorded_at: Timestamp(row.get("recorded_at")?),
            note: row.get("note")?,
        });
    }
    let page = florin_platform::http::page::Page {
        items,
        next_cursor: None,
    };
    Ok(Json(page).into_response())
}

/// Write a checkpoint now.
#[utoipa::path(
    post, path = "/api/v1/shadow/log/checkpoints", tag = "Shadow ledger",
    responses((status = 201, description = "The checkpoint", body = Shown))
)]
async fn make(AxumState(api): AxumState<Shared>) -> Result<Response, Problem> {
    let made = checkpoint::make(&api.shadow, &*api.signer).await?;
    let shown = Shown {
        log_seq: made.log_seq,
        hash: hex::encode(made.hash),
        recorded_at: Timestamp(made.recorded_at),
        note: made.note,
    };
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}
