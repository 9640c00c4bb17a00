//! The balance at a time past (contract B1, A7).

use axum::{extract::State, response::Response};
use florin_base::{Timestamp, time::Zone};
use florin_platform::http::{
    auth::Caller,
    json::{self, Path},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{answer::style, list::readable_wallet, request::bad, transactions::axis};
use crate::api::meter::{Operation, Timer};
use crate::{
    api::{
        Shared,
        answer::{self, MinSeq, blocking},
        mend_plus,
    },
    model::{
        Id, Money,
        statement::Axis,
        wallet::{BalanceThen, WALLET_SIDE},
    },
};

/// Which time.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoricalQuery {
    /// `YYYY-MM-DDTHH:mm[:ss[.f]]` with `Z`, an offset, or no zone for UTC. Both ends count: a
    /// record of exactly this time is in.
    #[param(required = true, example = "2026-01-31T12:00")]
    timestamp: Option<String>,
    /// `recorded` (default: what the owner saw) or `effective`.
    axis: Option<String>,
}

/// The balance of a wallet at a time. Before its creation it is 0, in the future that of now.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{id}/balance/historical",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet"), HistoricalQuery),
    responses(
        (status = 200, description = "The balance then", body = BalanceThen),
        (status = 404, description = "`wallet_not_found`"),
    ),
)]
pub async fn historical(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    json::Query(query): json::Query<HistoricalQuery>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    let sent = query.timestamp.as_deref().unwrap_or_default();
    if sent.is_empty() {
        return Err(bad(
            "timestamp",
            "validation_failed",
            "This parameter is required.",
        ));
    }
    let timestamp = mend_plus(sent);
    let time = Timestamp::parse_with(&timestamp, Zone::DefaultUtc).map_err(|error| {
        bad(
            "timestamp",
            "validation_failed",
            format!("The time {error}."),
        )
    })?;
    let axis = axis(query.axis.as_deref())?;
    let wallet = readable_wallet(&api, &caller, &id).await?;
    let as_of = time.min(api.now().await?);
    let slot = wallet.slot;
    let read = blocking(&api.ledger, move |view| {
        let totals = match axis {
            Axis::Recorded => view.totals_at(slot, None, Some(time)),
            Axis::Effective => view.totals_at(slot, Some(time), None),
        };
        Ok((totals?, view.seq()))
    });
    let (totals, seq) = read.await?;
    min_seq.check(seq)?;
    let asset = api.ledger.asset(wallet.asset);
    let body = BalanceThen {
        wallet_id: Id(wallet.id),
        balance: Money::signed(totals.balance(WALLET_SIDE), &asset, style(&api.ledger)),
        currency: &asset.code,
        timestamp: &timestamp,
        as_of,
        transaction_count: totals.postings,
    };
    timer.done(answer::json(&body, seq))
}

/// Another name of `/balance/historical`.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{id}/balance/history",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet"), HistoricalQuery),
    responses(
        (status = 200, description = "The balance then", body = BalanceThen),
        (status = 404, description = "`wallet_not_found`"),
    ),
)]
pub async fn history(
    state: State<Shared>,
    caller: Caller,
    path: Path<String>,
    query: json::Query<HistoricalQuery>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    historical(state, caller, path, query, min_seq).await
}
