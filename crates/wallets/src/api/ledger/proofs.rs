//! `GET /ledger/proofs/{transferId}`: that a transfer is in the ledger (contract A9).

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_ledger::{
    engine::IdLookup,
    proof::{Checkpoint, Hash},
};
use florin_platform::http::{
    json::{Json, Path},
    problem::Problem,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    checkpoints::{self, CheckpointBody},
    params::Params,
    support::{blocking, fresh, run, transfer_not_found, unavailable, with_seq},
};
use crate::api::{Shared, answer::MinSeq};

/// After this time a checkpoint covers what is recorded now, by the default interval.
const CHECKPOINT_WAIT: Duration = Duration::from_secs(60);

/// An inclusion proof (RFC 6962, section 2.1.1).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerProof)]
pub struct ProofBody {
    transfer_id: Box<str>,
    seq: u64,
    /// `seq` - 1.
    leaf_index: u64,
    /// In hex.
    #[schema(value_type = String)]
    leaf_hash: Hash,
    /// The exact feed line that was hashed, without its line end.
    line: String,
    /// Hashes in hex, leaf side first.
    #[schema(value_type = Vec<String>)]
    audit_path: Vec<Hash>,
    /// The checkpoint whose root the path leads to.
    #[schema(value_type = CheckpointBody)]
    checkpoint: Checkpoint,
}

/// The checkpoint asked for, or the oldest that covers a record.
async fn covering(api: &Shared, seq: u64, asked: Option<u64>) -> Result<Checkpoint, Problem> {
    if let Some(number) = asked {
        let checkpoint = checkpoints::find(api, number).await?;
        if checkpoint.tree_size < seq {
            let message = "This checkpoint is older than the transfer.";
            return Err(Problem::validation("checkpoint", message));
        }
        return Ok(checkpoint);
    }
    let ledger = api.ledger.clone();
    let found = checkpoints::blocking(move || ledger.checkpoints().covering(seq)).await?;
    found.ok_or_else(|| {
        let detail = "No checkpoint covers the transfer yet; ask for one or wait.";
        Problem::conflict("checkpoint_pending", detail).with_retry_after(CHECKPOINT_WAIT)
    })
}

/// Proves that a transfer is in the ledger that a checkpoint states.
#[utoipa::path(
    get, path = "/api/v1/ledger/proofs/{transferId}", tag = "Ledger",
    params(
        ("transferId" = String, Path, description = "Id of the transfer"),
        ("checkpoint" = Option<u64>, Query, description = "Number of a checkpoint; default: the oldest that covers it"),
    ),
    responses(
        (status = 200, description = "The proof", body = ProofBody),
        (status = 404, description = "`transfer_not_found` or `checkpoint_not_found`"),
        (status = 409, description = "`checkpoint_pending`: not covered yet"),
    )
)]
pub async fn get(
    State(api): State<Shared>,
    min: MinSeq,
    Path(id): Path<Box<str>>,
    mut params: Params,
) -> Result<Response, Problem> {
    let asked = params.parsed("checkpoint", "the number of a checkpoint")?;
    params.end()?;
    fresh(&api, min).await?;
    let wanted = id.clone();
    let seq = blocking(&api.ledger, move |view| {
        Ok(match view.transfer(&wanted)? {
            IdLookup::Recorded(record) => Some(record.seq),
            IdLookup::Refused(_) | IdLookup::Unknown => None,
        })
    })
    .await?
    .ok_or_else(transfer_not_found)?;
    let checkpoint = covering(&api, seq, asked).await?;
    let size = checkpoint.tree_size;
    let view = api.ledger.read_view().await.map_err(unavailable)?;
    let (line, (leaf_hash, audit_path)) =
        run(move || Ok((view.line(seq)?, view.inclusion(seq, size)?))).await?;
    let line = String::from_utf8(line).map_err(Problem::internal)?;
    let body = ProofBody {
        transfer_id: id,
        seq,
        leaf_index: seq - 1,
        leaf_hash,
        line,
        audit_path,
        checkpoint,
    };
    Ok(with_seq(Json(body).into_response(), size))
}
