//! `/provenance`: the public log (contract D6). Nothing here tells of a person or a price.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use florin_base::Timestamp;
use florin_ledger::proof::Hash;
use florin_platform::http::auth::Access;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::PageLimits;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::input::Search;
use crate::Ticketing;
use crate::provenance::log;
use crate::provenance::read::{self, Checkpoint};

#[derive(OpenApi)]
#[openapi(
    tags((name = "Provenance", description = "The public log of all tickets")),
    paths(key, latest, at_size, inclusion, consistency, leaves)
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let public = |path| RouteSpec::get(path, Access::Public);
    Routes::new()
        .route(public("/api/v1/provenance/key"), key)
        .route(public("/api/v1/provenance/checkpoint"), latest)
        .route(public("/api/v1/provenance/checkpoints/{size}"), at_size)
        .route(public("/api/v1/provenance/inclusion"), inclusion)
        .route(public("/api/v1/provenance/consistency"), consistency)
        .route(public("/api/v1/provenance/leaves"), leaves)
        .document(Document::openapi())
}

/// Who signs checkpoints.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProvenanceKey)]
struct KeyShown {
    /// C2SP verifier key: `name+keyid+base64`.
    log_key: String,
}

/// A signed checkpoint.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProvenanceCheckpoint)]
struct CheckpointShown {
    /// Leaves.
    size: u64,
    /// Root over them, in hex.
    #[schema(value_type = String)]
    root_hash: Hash,
    /// The C2SP signed note; it is what counts.
    note: String,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

impl From<Checkpoint> for CheckpointShown {
    fn from(checkpoint: Checkpoint) -> Self {
        Self {
            size: checkpoint.size,
            root_hash: checkpoint.root,
            note: checkpoint.note,
            created_at: Timestamp(checkpoint.created_at),
        }
    }
}

fn no_checkpoint() -> Problem {
    Problem::not_found("checkpoint_not_found", "There is no such checkpoint.")
}

/// The last checkpoint's size, and that nothing beyond it is asked for.
async fn covered(room: &Ticketing, name: &'static str, size: u64) -> Result<u64, Problem> {
    let last = read::latest(&room.store.db).await?;
    let last = last.ok_or_else(no_checkpoint)?.size;
    match size == 0 || size > last {
        true => {
            let message = format!("The log has {last} leaves under a checkpoint.");
            Err(Problem::validation(name, message))
        }
        false => Ok(last),
    }
}

/// The key that signs checkpoints.
#[utoipa::path(
    get, path = "/api/v1/provenance/key", tag = "Provenance",
    responses((status = 200, body = KeyShown))
)]
async fn key(State(room): State<Ticketing>) -> Result<Response, Problem> {
    let log_key = log::key(&room).await?.to_string();
    Ok(Json(KeyShown { log_key }).into_response())
}

/// The last checkpoint.
#[utoipa::path(
    get, path = "/api/v1/provenance/checkpoint", tag = "Provenance",
    responses(
        (status = 200, body = CheckpointShown),
        (status = 404, description = "`checkpoint_not_found`: no ticket was issued yet"),
    )
)]
async fn latest(State(room): State<Ticketing>) -> Result<Response, Problem> {
    let found = read::latest(&room.store.db).await?;
    let found = found.ok_or_else(no_checkpoint)?;
    Ok(Json(CheckpointShown::from(found)).into_response())
}

/// The checkpoint of a size.
#[utoipa::path(
    get, path = "/api/v1/provenance/checkpoints/{size}", tag = "Provenance",
    params(("size" = u64, Path)),
    responses(
        (status = 200, body = CheckpointShown),
        (status = 404, description = "`checkpoint_not_found`"),
    )
)]
async fn at_size(
    State(room): State<Ticketing>,
    Path(size): Path<u64>,
) -> Result<Response, Problem> {
    let found = read::at_size(&room.store.db, size).await?;
    let found = found.ok_or_else(no_checkpoint)?;
    Ok(Json(CheckpointShown::from(found)).into_response())
}

/// A leaf and a tree.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InclusionQuery {
    /// Place of the leaf, from 0.
    index: u64,
    /// Leaves of the tree.
    size: u64,
}

/// That a leaf is in a tree.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProvenanceInclusion)]
struct InclusionShown {
    index: u64,
    size: u64,
    /// Sibling hashes in hex, leaf side first.
    #[schema(value_type = Vec<String>)]
    audit_path: Vec<Hash>,
}

/// The proof that a leaf is in the tree of a size.
#[utoipa::path(
    get, path = "/api/v1/provenance/inclusion", tag = "Provenance", params(InclusionQuery),
    responses((status = 200, body = InclusionShown), (status = 400, description = "`validation_failed`"))
)]
async fn inclusion(
    State(room): State<Ticketing>,
    Search(query): Search<InclusionQuery>,
) -> Result<Response, Problem> {
    covered(&room, "size", query.size).await?;
    let audit_path = read::inclusion(&room, query.index, query.size).await?;
    let shown = InclusionShown {
        index: query.index,
        size: query.size,
        audit_path,
    };
    Ok(Json(shown).into_response())
}

/// Two trees.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConsistencyQuery {
    /// Leaves of the smaller tree, from 1.
    from: u64,
    /// Leaves of the larger tree.
    to: u64,
}

/// That one tree is the beginning of another.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProvenanceConsistency)]
struct ConsistencyShown {
    from: u64,
    to: u64,
    /// Hashes in hex.
    #[schema(value_type = Vec<String>)]
    path: Vec<Hash>,
}

/// The proof that nothing was changed between two sizes.
#[utoipa::path(
    get, path = "/api/v1/provenance/consistency", tag = "Provenance", params(ConsistencyQuery),
    responses((status = 200, body = ConsistencyShown), (status = 400, description = "`validation_failed`"))
)]
async fn consistency(
    State(room): State<Ticketing>,
    Search(query): Search<ConsistencyQuery>,
) -> Result<Response, Problem> {
    covered(&room, "to", query.to).await?;
    let path = read::consistency(&room, query.from, query.to).await?;
    let shown = ConsistencyShown {
        from: query.from,
        to: query.to,
        path,
    };
    Ok(Json(shown).into_response())
}

/// Where to begin.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct LeavesQuery {
    /// First place, from 0.
    from: u64,
    /// 1 to 500, default 50.
    limit: Option<u32>,
}

/// A leaf.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProvenanceLeaf)]
struct LeafShown {
    index: u64,
    /// Its bytes in base64.
    leaf: String,
    /// Its hash in hex.
    #[schema(value_type = String)]
    leaf_hash: Hash,
}

/// Some leaves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProvenanceLeaves)]
struct LeavesShown {
    items: Vec<LeafShown>,
    /// Where to go on; null at the last checkpoint's end.
    next_from: Option<u64>,
}

/// The leaves of the log, as far as a checkpoint covers them.
#[utoipa::path(
    get, path = "/api/v1/provenance/leaves", tag = "Provenance", params(LeavesQuery),
    responses((status = 200, body = LeavesShown))
)]
async fn leaves(
    State(room): State<Ticketing>,
    Search(query): Search<LeavesQuery>,
) -> Result<Response, Problem> {
    let limit = PageLimits::default().resolve(query.limit)?;
    let last = read::latest(&room.store.db).await?;
    let size = last.map_or(0, |checkpoint| checkpoint.size);
    let found = read::leaves(&room.store.db, query.from, size, limit).await?;
    let next = query.from.saturating_add(found.len() as u64);
    let items = found
        .into_iter()
        .map(|leaf| LeafShown {
            index: leaf.index,
            leaf: BASE64.encode(leaf.text),
            leaf_hash: leaf.hash,
        })
        .collect();
    let next_from = (next < size).then_some(next);
    Ok(Json(LeavesShown { items, next_from }).into_response())
}
