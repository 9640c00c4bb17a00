//! A new wallet (contract B1).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_ledger::{
    Answer, Call, Outcome,
    call::CreateWallet,
    model::{Body, Record},
};
use florin_platform::http::{
    auth::{Caller, Principal, Reach},
    json::{self, JsonBytes},
    problem::{Problem, Status},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{refused, style, wallet_location},
    request::{KeyHeader, Pairs, Text, bad, transfer_id},
};
use crate::{
    api::{
        ApiState, Shared, answer,
        meter::{Operation, Timer},
        permission,
    },
    model::Wallet,
};

/// The tier that needs no permission.
const STANDARD_TIER: &str = "standard";
/// Longest user id and label, in characters.
const NAME_MAX: usize = 100;

/// A wallet to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CreateWalletBody<'a> {
    /// Owner, 1 to 100 of `[A-Za-z0-9_@.-]`; a user may leave it out for himself.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "maria")]
    user_id: Option<Text<'a>>,
    /// Currency code; default: the installation's.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "BRL")]
    currency: Option<Text<'a>>,
    /// Tier of limits, default `standard`; another one needs `wallets:limits`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "standard")]
    tier: Option<Text<'a>>,
    /// Shown name, at most 100 characters.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, max_length = 100)]
    label: Option<Text<'a>>,
    /// Caller's own pairs.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Pairs>,
    /// Identity; the same as `Idempotency-Key`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    reference_id: Option<Text<'a>>,
}

/// 1 to 100 of `[A-Za-z0-9_@.-]`.
pub fn is_user_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@' | b'.' | b'-');
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// 403 about another user's wallets (contract C, ownership).
pub fn other_user() -> Problem {
    let detail = "Only wallets of the caller himself are within reach.";
    Problem::new(Status::Forbidden, "forbidden", detail)
}

/// The owner of the new wallet: whom the body names, and for a user himself.
fn owner_of(caller: &Principal, given: Option<&Text<'_>>) -> Result<Box<str>, Problem> {
    let reach = caller.require(permission::WALLETS_WRITE)?;
    let owner = match (given, reach) {
        (Some(text), Reach::Own) if *text.0 != *caller.owner => return Err(other_user()),
        (Some(text), _) => text.boxed(),
        (None, Reach::Own) => Box::from(&*caller.owner),
        (None, Reach::All) => {
            let message = "This field is required.";
            return Err(bad("userId", "validation_failed", message));
        }
    };
    if !is_user_id(&owner) {
        let message = "The user id must be 1 to 100 of A-Z a-z 0-9 _ @ . -.";
        return Err(bad("userId", "validation_failed", message));
    }
    Ok(owner)
}

/// Create a wallet.
#[utoipa::path(
    post,
    path = "/api/v1/wallets",
    tag = "wallets",
    params(("Idempotency-Key" = Option<String>, Header, description = "Identity of the call, within those of the caller")),
    request_body = CreateWalletBody,
    responses(
        (status = 201, description = "Made, or made before (`Idempotency-Replayed: true`)", body = Wallet,
         headers(("Location" = String, description = "The wallet"))),
        (status = 409, description = "`idempotency_conflict`, `too_many_wallets`"),
    ),
)]
pub async fn create(
    State(api): State<Shared>,
    caller: Caller,
    key: KeyHeader,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Creation);
    let body = json::parse::<CreateWalletBody<'_>>(&body)?;
    let tier = body.tier.as_ref().map_or(STANDARD_TIER, |tier| &tier.0);
    if tier != STANDARD_TIER {
        caller.require(permission::WALLETS_LIMITS)?;
    }
    let user_id = owner_of(&caller, body.user_id.as_ref())?;
    let label = body.label.as_ref();
    if label.is_some_and(|label| label.0.chars().count() > NAME_MAX) {
        let message = "The label must have at most 100 characters.";
        return Err(bad("label", "validation_failed", message));
    }
    let id = api.ledger.new_id();
    let call = CreateWallet {
        actor: Some(Box::from(&*caller.subject)),
        id: id.as_u128(),
        user_id,
        currency: match &body.currency {
            Some(currency) => currency.boxed(),
            None => api.default_currency.clone(),
        },
        tier: tier.into(),
        label: label.map(Text::boxed),
        reference: key.reference(body.reference_id.as_ref(), &transfer_id(id))?,
        metadata: body.metadata.unwrap_or_default().0,
    };
    let answer = api.ledger.submit(Call::CreateWallet(call)).await;
    timer.done(render(&api, &answer.map_err(answer::unavailable)?).await)
}

async fn render(api: &ApiState, answer: &Answer) -> Result<Response, Problem> {
    let records = match &answer.outcome {
        Outcome::Done(records) => records,
        Outcome::Refused(refusal) => {
            return Ok(answer::refusal(refused(api, None, refusal).await, answer));
        }
        _ => return Err(Problem::internal("a new wallet has no item results")),
    };
    let response = match records.iter().find_map(created) {
        Some((record, wallet)) => {
            let asset = api.ledger.asset(api.ledger.facts(wallet.slot).asset);
            let style = style(&api.ledger);
            let body = Wallet::created(wallet, record.recorded_at, &asset, style);
            let location = wallet_location(wallet.id);
            answer::located(
                answer::json(&body, answer.seq)?,
                StatusCode::CREATED,
                &location,
            )
        }
        None => Problem::internal("a new wallet has no record").into_response(),
    };
    Ok(answer::mark_replay(response, answer))
}

fn created(record: &Record) -> Option<(&Record, &florin_ledger::model::NewWallet)> {
    match &record.body {
        Body::WalletCreated(wallet) => Some((record, wallet)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_follow_the_grammar() {
        for good in ["a", "maria.silva@example-bank", &"x".repeat(100)] {
            assert!(is_user_id(good), "{good}");
        }
        for wrong in ["", "a b", "é", "a/b", &"x".repeat(101)] {
            assert!(!is_user_id(wrong), "{wrong}");
        }
    }
}
