//! `GET /api/v1/audit`: the log, newest first.

use std::sync::Arc;

use axum::extract::State;
use florin_base::Timestamp;
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

use super::{AuditLog, Filter, Place, Record};
use crate::http::json::{Json, Query};
use crate::http::page::{Cursors, FilterDigest, Page, PageLimits, Position};
use crate::http::problem::Problem;
use crate::http::router::{RouteSpec, Routes};
use crate::identity::AUDIT_READ;

/// What the handler works with.
pub struct AuditApi {
    /// The log.
    pub audit: AuditLog,
    /// Makes and reads the cursors.
    pub cursors: Cursors,
}

/// [`AuditApi`] as handlers hold it.
pub type Shared = Arc<AuditApi>;

#[derive(OpenApi)]
#[openapi(paths(list))]
struct Document;

/// The routes of the audit log.
pub fn routes() -> Routes<Shared> {
    Routes::new()
        .route(RouteSpec::get("/api/v1/audit", AUDIT_READ), list)
        .document(Document::openapi())
}

/// One entry.
#[derive(ToSchema)]
#[schema(as = AuditRecord, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes `audit::Record` in the OpenAPI file")]
struct RecordBody {
    seq: i64,
    #[schema(format = DateTime)]
    at: String,
    /// Subject of the credential.
    actor: String,
    /// Such as `user.disabled`.
    action: String,
    /// Such as `user:<id>`.
    object: String,
    /// SHA-256 of the object's JSON before, in hex.
    before: Option<String>,
    /// SHA-256 of the object's JSON after, in hex.
    after: Option<String>,
    trace_id: Option<String>,
    /// Hash of the entry before, in hex.
    prev_hash: String,
    /// Hash of this entry, in hex.
    hash: String,
}

/// A page of the log.
#[derive(ToSchema)]
#[schema(as = AuditPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes a page in the OpenAPI file")]
struct RecordPage {
    items: Vec<RecordBody>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ListQuery {
    actor: Option<String>,
    action: Option<String>,
    object: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[utoipa::path(
    get, path = "/api/v1/audit", tag = "Audit",
    params(
        ("actor" = Option<String>, Query),
        ("action" = Option<String>, Query),
        ("object" = Option<String>, Query),
        ("from" = Option<String>, Query, description = "Not before this time"),
        ("to" = Option<String>, Query, description = "Before this time"),
        ("limit" = Option<u32>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "Entries, newest first", body = RecordPage))
)]
async fn list(
    State(api): State<Shared>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Record>>, Problem> {
    let size = PageLimits::default().resolve(query.limit)?;
    let filters = [
        ("actor", &query.actor),
        ("action", &query.action),
        ("object", &query.object),
        ("from", &query.from),
        ("to", &query.to),
    ];
    let filters = filters
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let digest = FilterDigest::new("audit by time", filters);
    let position = api.cursors.open_optional(digest, query.cursor.as_deref())?;
    let below = position.map(|position| below(&position)).transpose()?;
    let filter = Filter {
        from: time("from", query.from.as_deref())?,
        to: time("to", query.to.as_deref())?,
        actor: query.actor,
        action: query.action,
        object: query.object,
    };
    let mut items = api.audit.page(&filter, below, size + 1).await?;
    let more = items.len() > size;
    items.truncate(size);
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| {
        let position = Position {
            snapshot: 0,
            after: written(last.place()),
        };
        api.cursors.seal(digest, &position)
    });
    Ok(Json(Page { items, next_cursor }))
}

/// A place as a cursor carries it: two numbers of eight bytes.
fn written(place: Place) -> Vec<u8> {
    [place.at, place.seq].map(i64::to_be_bytes).concat()
}

fn below(position: &Position) -> Result<Place, Problem> {
    let bytes: [u8; 16] = position
        .after
        .as_slice()
        .try_into()
        .map_err(Problem::internal)?;
    let (at, seq) = bytes.split_at(8);
    let number = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes);
    Ok(Place {
        at: number(at).map_err(Problem::internal)?,
        seq: number(seq).map_err(Problem::internal)?,
    })
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(Timestamp::parse)
        .transpose()
        .map_err(|error| Problem::validation(field, format!("The time {error}.")))
}
