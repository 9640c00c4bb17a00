//! `/ledger/checkpoints`: signed statements about the whole ledger (contract A9).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_base::Timestamp;
use florin_ledger::proof::{Checkpoint, Hash};
use florin_platform::http::{
    json::{Json, Path},
    page::{Page, Position},
    problem::Problem,
};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    params::Params,
    support::{fresh, located, read_failed, run, unavailable, with_seq},
};
use crate::api::{Shared, answer::MinSeq};

/// A signed checkpoint.
#[derive(Debug, ToSchema)]
#[schema(as = LedgerCheckpoint, rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape for the OpenAPI file")]
pub struct CheckpointBody {
    /// Number in this ledger, from 1.
    number: u64,
    /// Records covered: the last `seq`.
    tree_size: u64,
    /// Root of the Merkle tree over them, in hex.
    root_hash: String,
    /// Last batch covered.
    batch: u64,
    /// `chain(batch)`, in hex.
    chain_hash: String,
    /// The C2SP signed note; this is what counts.
    note: String,
}

/// A page of checkpoints.
#[derive(Debug, ToSchema)]
#[schema(as = LedgerCheckpointPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape for the OpenAPI file")]
pub struct CheckpointPage {
    items: Vec<CheckpointBody>,
    next_cursor: Option<String>,
}

/// 404 `checkpoint_not_found`.
pub fn not_found() -> Problem {
    Problem::not_found(
        "checkpoint_not_found",
        "There is no checkpoint with this number.",
    )
}

/// Runs a read of checkpoint files off the request threads.
pub async fn blocking<T, E>(
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Problem>
where
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(Problem::internal)?.map_err(read_failed)
}

/// A checkpoint by number.
pub async fn find(api: &Shared, number: u64) -> Result<Checkpoint, Problem> {
    let ledger = api.ledger.clone();
    let found = blocking(move || ledger.checkpoints().get(number)).await?;
    found.ok_or_else(not_found)
}

/// Lists checkpoints, newest first.
#[utoipa::path(
    get, path = "/api/v1/ledger/checkpoints", tag = "Ledger",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 500, default 50"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = CheckpointPage))
)]
pub async fn list(
    State(api): State<Shared>,
    min: MinSeq,
    mut params: Params,
) -> Result<Response, Problem> {
    fresh(&api, min).await?;
    let digest = params.digest("ledger/checkpoints");
    let (limit, cursor) = params.page()?;
    params.end()?;
    let before = match api.cursors.open_optional(digest, cursor.as_deref())? {
        Some(position) => position.after.try_into().ok().map(u64::from_le_bytes),
        None => None,
    };
    let ledger = api.ledger.clone();
    let mut items =
        blocking(move || ledger.checkpoints().list_newest_first(before, limit + 1)).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| {
        let after = last.number.to_le_bytes().to_vec();
        api.cursors.seal(digest, &Position { snapshot: 0, after })
    });
    Ok(Json(Page { items, next_cursor }).into_response())
}

/// Makes a checkpoint now, waiting for the hashes.
#[utoipa::path(
    post, path = "/api/v1/ledger/checkpoints", tag = "Ledger",
    responses(
        (status = 201, description = "Made", body = CheckpointBody),
        (status = 200, description = "There is no news: the last one", body = CheckpointBody),
    )
)]
pub async fn post(State(api): State<Shared>) -> Result<Response, Problem> {
    let made = api.ledger.checkpoint_now().await.map_err(unavailable)?;
    let (checkpoint, is_new) = made.ok_or_else(not_found)?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let location = format!("/api/v1/ledger/checkpoints/{}", checkpoint.number);
    let seq = checkpoint.tree_size;
    let response = located(Json(checkpoint).into_response(), status, &location);
    Ok(with_seq(response, seq))
}

/// Shows a checkpoint.
#[utoipa::path(
    get, path = "/api/v1/ledger/checkpoints/{n}", tag = "Ledger",
    params(("n" = u64, Path, description = "Number of the checkpoint")),
    responses(
        (status = 200, description = "The checkpoint", body = CheckpointBody),
        (status = 404, description = "`checkpoint_not_found`"),
    )
)]
pub async fn get(
    State(api): State<Shared>,
    min: MinSeq,
    Path(n): Path<u64>,
) -> Result<Response, Problem> {
    fresh(&api, min).await?;
    let checkpoint = find(&api, n).await?;
    let seq = checkpoint.tree_size;
    Ok(with_seq(Json(checkpoint).into_response(), seq))
}

/// Proof that one tree extends another (RFC 6962, section 2.1.2).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerConsistencyProof)]
pub struct ConsistencyBody {
    /// Size of the older tree.
    from: u64,
    /// Size of the newer tree.
    to: u64,
    /// Hashes in hex.
    #[schema(value_type = Vec<String>)]
    path: Vec<Hash>,
}

/// Proves that a checkpoint's ledger begins with an older one's.
#[utoipa::path(
    get, path = "/api/v1/ledger/checkpoints/{n}/consistency", tag = "Ledger",
    params(
        ("n" = u64, Path, description = "Number of the newer checkpoint"),
        ("from" = u64, Query, description = "Number of the older checkpoint"),
    ),
    responses(
        (status = 200, description = "The proof", body = ConsistencyBody),
        (status = 404, description = "`checkpoint_not_found`"),
    )
)]
pub async fn consistency(
    State(api): State<Shared>,
    min: MinSeq,
    Path(n): Path<u64>,
    mut params: Params,
) -> Result<Response, Problem> {
    fresh(&api, min).await?;
    let from = params.parsed("from", "the number of a checkpoint")?;
    params.end()?;
    let Some(from) = from else {
        return Err(Problem::validation("from", "This parameter is required."));
    };
    if from > n {
        let message = "Must not be newer than the checkpoint of the path.";
        return Err(Problem::validation("from", message));
    }
    let (older, newer) = (find(&api, from).await?, find(&api, n).await?);
    let (from, to) = (older.tree_size, newer.tree_size);
    let view = api.ledger.read_view().await.map_err(unavailable)?;
    let path = run(move || view.consistency(from, to)).await?;
    Ok(with_seq(
        Json(ConsistencyBody { from, to, path }).into_response(),
        to,
    ))
}

/// A key that signs or signed checkpoints.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerCheckpointKey)]
pub struct KeyBody {
    /// C2SP verifier key: name, key id and public key.
    key: String,
    /// From when it signed.
    #[schema(value_type = String, format = DateTime)]
    valid_from: Timestamp,
    /// Until when it signed; absent for the key in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until: Option<Timestamp>,
}

/// All keys.
#[derive(Debug, ToSchema)]
#[schema(as = LedgerCheckpointKeys, rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape for the OpenAPI file")]
pub struct KeyPage {
    items: Vec<KeyBody>,
    next_cursor: Option<String>,
}

/// Lists the keys that sign or signed checkpoints, oldest first, all on one page.
#[utoipa::path(
    get, path = "/api/v1/ledger/checkpoints/keys", tag = "Ledger",
    responses((status = 200, description = "The keys", body = KeyPage))
)]
pub async fn keys(State(api): State<Shared>, min: MinSeq) -> Result<Json<Page<KeyBody>>, Problem> {
    fresh(&api, min).await?;
    let ledger = api.ledger.clone();
    let keys = blocking(move || ledger.checkpoints().keys()).await?;
    let body = |validity: florin_ledger::checkpoints::KeyValidity| KeyBody {
        key: validity.key.to_string(),
        valid_from: validity.valid_from,
        valid_until: validity.valid_until,
    };
    Ok(Json(Page {
        items: keys.into_iter().map(body).collect(),
        next_cursor: None,
    }))
}
