//! Reversal of a transaction: the same accounts the other way round, once (contract A5).

use axum::{extract::State, response::Response};
use florin_ledger::{
    Call, Outcome,
    call::{RefusalCode, ReverseCall},
    engine::IdLookup,
};
use florin_platform::http::{
    auth::{Caller, Principal, Reach},
    json::{self, JsonBytes, Path},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{self as wallet_answer, not_found, refused},
    request::{Pairs, Text, bad, description, effective_at},
    transactions::check_id,
};
use crate::{
    api::{
        ApiState, Shared,
        answer::{self, blocking},
        meter, permission,
    },
    model::{Transaction, transaction::Seen},
};

/// Why a transaction is reversed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ReverseBody<'a> {
    /// 1 to 500 characters; kept as the reversal's description.
    #[serde(borrow)]
    #[schema(value_type = String, max_length = 500, example = "sent twice by mistake")]
    reason: Text<'a>,
    /// When it counts; needs `ledger:backdate`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Text<'a>>,
    /// Caller's own pairs.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Pairs>,
}

/// Reverse a transaction. One leg of a chain reverses the whole chain.
///
/// Frozen wallets may be lowered by it; funds must suffice. The same call again replays.
#[utoipa::path(
    post,
    path = "/api/v1/transactions/{id}/reverse",
    tag = "transactions",
    params(("id" = String, Path, description = "The transaction")),
    request_body = ReverseBody,
    responses(
        (status = 200, description = "Reversed, or reversed before (`Idempotency-Replayed: true`)", body = Transaction,
         headers(("Location" = String, description = "The reversal"))),
        (status = 404, description = "`transaction_not_found`"),
        (status = 409, description = "`already_reversed`, `transfer_not_reversible`, `wallet_closed`"),
        (status = 422, description = "`effective_time_in_future`, `effective_time_in_closed_period`, `effective_time_before_original`"),
    ),
)]
pub async fn reverse(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let reach = caller.require(permission::WALLETS_REVERSE)?;
    let body = json::parse::<ReverseBody<'_>>(&body)?;
    let effective_at = effective_at(&caller, body.effective_at.as_ref())?;
    let reason = description(Some(&body.reason), "reason")?
        .filter(|reason| !reason.is_empty())
        .ok_or_else(|| bad("reason", "validation_failed", "A reason is needed."))?;
    check_id(&id)?;
    if reach == Reach::Own {
        require_own(&api, &caller, &id).await?;
    }
    let call = ReverseCall {
        actor: Some(Box::from(&*caller.subject)),
        id: id.as_str().into(),
        reason,
        effective_at,
        metadata: body.metadata.unwrap_or_default().0,
        as_wallet: true,
    };
    let answer = api.ledger.submit(Call::Reverse(call)).await;
    let answer = answer.map_err(answer::unavailable)?;
    match &answer.outcome {
        Outcome::Done(records) => {
            if !answer.replayed {
                meter::count_transaction();
            }
            wallet_answer::transaction(&api, &caller, &answer, records, Seen::default())
        }
        Outcome::Refused(refusal) => {
            Ok(answer::refusal(refused(&api, None, refusal).await, &answer))
        }
        _ => Err(Problem::internal("a reversal has no item results")),
    }
}

/// 404 unless every wallet on the transfer is the caller's own.
async fn require_own(api: &ApiState, caller: &Principal, id: &str) -> Result<(), Problem> {
    let id = Box::<str>::from(id);
    let found = blocking(&api.ledger, move |view| view.transfer(&id)).await?;
    let IdLookup::Recorded(record) = found else {
        return Err(not_found(RefusalCode::TransactionNotFound));
    };
    let transfer = record.transfer();
    let slots = transfer.map_or([None; 2], |t| [Some(t.debit), Some(t.credit)]);
    let owners = slots
        .into_iter()
        .flatten()
        .map(|slot| api.ledger.wallet_owner(slot));
    let mut owners = owners.flatten().peekable();
    let own = owners.peek().is_some() && owners.all(|owner| *owner == *caller.owner);
    if own {
        Ok(())
    } else {
        Err(not_found(RefusalCode::TransactionNotFound))
    }
}
