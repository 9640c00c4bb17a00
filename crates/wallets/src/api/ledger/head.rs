//! `GET /ledger` and `GET /ledger/trial-balance` (contract A6, G).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_base::{Signed, Timestamp};
use florin_ledger::{Query, View, call::AssetSums};
use florin_platform::http::{json::Json, problem::Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    params::Params,
    support::{blocking, fresh, unavailable, with_seq},
};
use crate::api::{Shared, answer::MinSeq};

/// Where the ledger stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerHead)]
pub struct HeadBody {
    /// Id of this ledger.
    ledger_id: String,
    /// Last record.
    last_seq: u64,
    /// Last commit.
    last_batch: u64,
    /// Ledger time of the last commit.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
}

/// Shows the ledger's id and its last record.
#[utoipa::path(
    get, path = "/api/v1/ledger", tag = "Ledger",
    responses((status = 200, description = "The head", body = HeadBody))
)]
pub async fn get(State(api): State<Shared>, min: MinSeq) -> Result<Response, Problem> {
    let head = api.head().await?;
    min.check(head.seq)?;
    let body = HeadBody {
        ledger_id: api.ledger.ledger_id().to_string(),
        last_seq: head.seq,
        last_batch: head.batch,
        recorded_at: head.recorded_at,
    };
    Ok(with_seq(Json(body).into_response(), head.seq))
}

/// Sums over all accounts; strings hold minor units.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerTrialBalance)]
pub struct TrialBalanceBody {
    /// The `seq` the figures are as of.
    as_of_seq: u64,
    /// One row for each asset.
    assets: Vec<AssetRow>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerTrialBalanceRow)]
struct AssetRow {
    asset: Box<str>,
    debits_posted: String,
    credits_posted: String,
    debits_pending: String,
    credits_pending: String,
    accounts: u64,
    /// Posted debits less posted credits: always "0".
    difference: String,
}

impl From<AssetSums> for AssetRow {
    fn from(sums: AssetSums) -> Self {
        let totals = &sums.totals;
        Self {
            debits_posted: totals.debits_posted.to_string(),
            credits_posted: totals.credits_posted.to_string(),
            debits_pending: totals.debits_pending.to_string(),
            credits_pending: totals.credits_pending.to_string(),
            accounts: sums.accounts,
            difference: Signed::difference(totals.debits_posted, totals.credits_posted).to_string(),
            asset: sums.asset,
        }
    }
}

/// Adds up all accounts, now or at a pair of times.
#[utoipa::path(
    get, path = "/api/v1/ledger/trial-balance", tag = "Ledger",
    params(
        ("effectiveAt" = Option<String>, Query, description = "Count what is effective up to this time"),
        ("recordedAt" = Option<String>, Query, description = "Count what was recorded up to this time"),
    ),
    responses((status = 200, description = "The sums", body = TrialBalanceBody))
)]
pub async fn trial_balance(
    State(api): State<Shared>,
    min: MinSeq,
    mut params: Params,
) -> Result<Response, Problem> {
    fresh(&api, min).await?;
    let effective = params.time("effectiveAt")?;
    let recorded = params.time("recordedAt")?;
    params.end()?;
    let (sums, as_of_seq) = if effective.is_none() && recorded.is_none() {
        match api
            .ledger
            .query(Query::TrialBalance)
            .await
            .map_err(unavailable)?
        {
            View::TrialBalance(sums, head) => (sums, head.seq),
            _ => {
                return Err(Problem::internal(
                    "TrialBalance is answered by TrialBalance",
                ));
            }
        }
    } else {
        blocking(&api.ledger, move |view| {
            let sums = view.trial_balance(effective, recorded)?;
            let seq = recorded.map_or(Ok(view.seq()), |at| view.seq_at(at))?;
            Ok((sums, seq))
        })
        .await?
    };
    let assets = sums.into_iter().map(Into::into).collect();
    let body = TrialBalanceBody { as_of_seq, assets };
    Ok(with_seq(Json(body).into_response(), as_of_seq))
}
