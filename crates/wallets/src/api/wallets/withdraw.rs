//! Withdraw: wallet → `florin:external:{asset}` (contract B2).

use axum::{extract::State, response::Response};
use florin_ledger::model::WalletType;
use florin_platform::http::{
    auth::Caller,
    json::{self, JsonBytes, Path},
    problem::Problem,
};

use super::{
    movement::{self, Asked, MoveBody},
    request::KeyHeader,
};
use crate::{
    api::{
        Shared,
        meter::{Operation, Timer},
        permission,
    },
    model::Transaction,
};

/// Withdraw money to the outside.
///
/// Refused with `insufficient_funds` when less is available.
#[utoipa::path(
    post,
    path = "/api/v1/wallets/{id}/withdraw",
    tag = "wallets",
    params(
        ("id" = String, Path, description = "The wallet"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same as `referenceId`"),
    ),
    request_body = MoveBody,
    responses(
        (status = 200, description = "Done, or done before (`Idempotency-Replayed: true`)", body = Transaction,
         headers(("Location" = String, description = "The transaction"))),
        (status = 404, description = "`wallet_not_found`"),
        (status = 409, description = "`idempotency_conflict`, `wallet_frozen`, `wallet_closed`"),
        (status = 422, description = "`currency_mismatch`, `limit_exceeded`, `effective_time_in_future`, `effective_time_in_closed_period`"),
    ),
)]
pub async fn withdraw(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    key: KeyHeader,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Withdrawal);
    let asked = Asked {
        op: WalletType::Withdrawal,
        permission: permission::WALLETS_WRITE,
        path: &id,
        body: json::parse::<MoveBody<'_>>(&body)?,
        destination: None,
        rate: None,
        expires_in_seconds: None,
    };
    let decided = movement::decide(&api, &caller, key, asked).await?;
    timer.done(movement::render(&api, &caller, Operation::Withdrawal, &decided).await)
}
