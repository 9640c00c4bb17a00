//! Freeze, unfreeze, close (contract B1, statuses).

use axum::{extract::State, response::Response};
use florin_ledger::{Answer, Call, Outcome, call::UpdateWallet, model::Status};
use florin_platform::http::{
    auth::{Caller, Principal},
    json::{Path, RawBody},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{refused, style},
    request::{Text, description, owner_scope, parse_or_default, uuid},
};
use crate::{
    api::{ApiState, Shared, answer, permission},
    model::Wallet,
};

/// Why the status changes.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusBody<'a> {
    /// At most 500 characters; kept in the ledger for ever, so no personal data.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, max_length = 500, example = "court order 12-34")]
    reason: Option<Text<'a>>,
}

/// Freeze a wallet: nothing goes out of it, money on its way in still arrives.
#[utoipa::path(
    post,
    path = "/api/v1/wallets/{id}/freeze",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet")),
    request_body = StatusBody,
    responses(
        (status = 200, description = "Frozen, also when it was before", body = Wallet),
        (status = 404, description = "`wallet_not_found`"),
        (status = 409, description = "`wallet_closed`"),
    ),
)]
pub async fn freeze(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    change(&api, &caller, &id, &body, Status::Frozen).await
}

/// Unfreeze a wallet.
#[utoipa::path(
    post,
    path = "/api/v1/wallets/{id}/unfreeze",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet")),
    request_body = StatusBody,
    responses(
        (status = 200, description = "Active, also when it was before", body = Wallet),
        (status = 404, description = "`wallet_not_found`"),
        (status = 409, description = "`wallet_closed`"),
    ),
)]
pub async fn unfreeze(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    change(&api, &caller, &id, &body, Status::Open).await
}

/// Close a wallet for ever. It must have no balance and no active hold either way.
#[utoipa::path(
    post,
    path = "/api/v1/wallets/{id}/close",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet")),
    request_body = StatusBody,
    responses(
        (status = 200, description = "Closed, also when it was before", body = Wallet),
        (status = 404, description = "`wallet_not_found`"),
        (status = 409, description = "`wallet_not_empty`"),
    ),
)]
pub async fn close(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    change(&api, &caller, &id, &body, Status::Closed).await
}

async fn change(
    api: &ApiState,
    caller: &Principal,
    id: &str,
    body: &[u8],
    status: Status,
) -> Result<Response, Problem> {
    let owner = owner_scope(caller, permission::WALLETS_STATUS)?;
    let body = parse_or_default::<StatusBody<'_>>(body)?;
    let reason = description(body.reason.as_ref(), "reason")?;
    let id = uuid(id, "id")?;
    let call = UpdateWallet {
        actor: Some(Box::from(&*caller.subject)),
        owner,
        id,
        status: Some(status),
        limits: None,
        reason,
    };
    let answer = api.ledger.submit(Call::UpdateWallet(Box::new(call))).await;
    render(api, id, &answer.map_err(answer::unavailable)?).await
}

/// The wallet after a change.
async fn render(api: &ApiState, id: u128, answer: &Answer) -> Result<Response, Problem> {
    match (&answer.outcome, &answer.wallet) {
        (Outcome::Refused(refusal), _) => Ok(answer::refusal(
            refused(api, Some(id), refusal).await,
            answer,
        )),
        (_, Some(wallet)) => {
            let asset = api.ledger.asset(wallet.asset);
            let body = Wallet::now(wallet, &asset, style(&api.ledger));
            Ok(answer::mark_replay(
                answer::json(&body, answer.seq)?,
                answer,
            ))
        }
        _ => Err(Problem::internal("a changed wallet comes with the answer")),
    }
}
