//! Deposit: `florin:external:{asset}` → wallet (contract B2).

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

/// Deposit money from outside.
///
/// Allowed on a frozen wallet. Users cannot deposit: that would create money from outside.
#[utoipa::path(
    post,
    path = "/api/v1/wallets/{id}/deposit",
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
pub async fn deposit(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    key: KeyHeader,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Deposit);
    let asked = Asked {
        op: WalletType::Deposit,
        permission: permission::WALLETS_DEPOSIT,
        path: &id,
        body: json::parse::<MoveBody<'_>>(&body)?,
        destination: None,
        rate: None,
        expires_in_seconds: None,
    };
    let decided = movement::decide(&api, &caller, key, asked).await?;
    timer.done(movement::render(&api, &caller, Operation::Deposit, &decided).await)
}
