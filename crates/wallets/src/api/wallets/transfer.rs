//! Transfer: wallet → wallet, or with a rate a conversion of two legs (contract B2, A10).

use axum::{extract::State, response::Response};
use florin_ledger::model::WalletType;
use florin_platform::http::{
    auth::Caller,
    json::{self, JsonBytes, Path},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    movement::{self, AmountInput, Asked, MoveBody},
    request::{KeyHeader, Pairs, RateBody, Raw, Text, bad, owner_scope, uuid},
};
use crate::{
    api::{
        Shared,
        meter::{Operation, Timer},
        permission,
    },
    model::Transaction,
};

/// Money from one wallet to another.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TransferBody<'a> {
    /// In the source wallet's currency.
    #[serde(borrow)]
    #[schema(value_type = AmountInput, example = "12.50")]
    amount: Raw<'a>,
    /// The source wallet's currency, as a check.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "BRL")]
    currency: Option<Text<'a>>,
    /// The receiving wallet.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    destination_wallet_id: Option<Text<'a>>,
    /// Another name of `destinationWalletId`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    to_wallet_id: Option<Text<'a>>,
    /// Exchange rate between different currencies; needs `wallets:fx`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Rate>)]
    rate: Option<RateBody<'a>>,
    /// Identity, 1 to 100 of `[A-Za-z0-9_-]`; the same as `Idempotency-Key`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "order-1001")]
    reference_id: Option<Text<'a>>,
    /// At most 500 characters.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Option<Text<'a>>,
    /// Caller's own pairs.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Pairs>,
    /// When it counts; needs `ledger:backdate`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Text<'a>>,
}

/// Target for one source, in major units.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the input in the OpenAPI file")]
pub struct Rate {
    /// Above zero, at most 20 digits before and 18 after the point.
    #[schema(example = "0.1999")]
    value: String,
    /// Where it came from.
    #[schema(example = "treasury desk")]
    source: Option<String>,
}

impl TransferBody<'_> {
    /// The one destination, by either name.
    fn destination(&self) -> Result<Option<u128>, Problem> {
        let read = |text: &Option<Text<'_>>, field| {
            text.as_ref().map(|text| uuid(&text.0, field)).transpose()
        };
        let destination = read(&self.destination_wallet_id, "destinationWalletId")?;
        let to = read(&self.to_wallet_id, "toWalletId")?;
        match (destination, to) {
            (Some(one), Some(other)) if one != other => {
                let message =
                    "`destinationWalletId` and `toWalletId` must be equal when both are given.";
                Err(bad("destinationWalletId", "validation_failed", message))
            }
            (one, other) => Ok(one.or(other)),
        }
    }
}

/// Transfer money between wallets.
///
/// Between different currencies a `rate` is needed; the result is rounded down.
#[utoipa::path(
    post,
    path = "/api/v1/wallets/{id}/transfer",
    tag = "wallets",
    params(
        ("id" = String, Path, description = "The wallet that pays"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same as `referenceId`"),
    ),
    request_body = TransferBody,
    responses(
        (status = 200, description = "Done, or done before (`Idempotency-Replayed: true`)", body = Transaction,
         headers(("Location" = String, description = "The transaction"))),
        (status = 404, description = "`wallet_not_found`, `destination_not_found`"),
        (status = 409, description = "`idempotency_conflict`, `wallet_frozen`, `wallet_closed`, `destination_closed`"),
        (status = 422, description = "`currency_mismatch`, `rate_required`, `limit_exceeded`, `effective_time_in_future`, `effective_time_in_closed_period`"),
    ),
)]
pub async fn transfer(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    key: KeyHeader,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Transfer);
    let body = json::parse::<TransferBody<'_>>(&body)?;
    if body.rate.is_some() {
        caller.require(permission::WALLETS_FX)?;
    }
    if body.effective_at.is_some() {
        caller.require(permission::LEDGER_BACKDATE)?;
    }
    let destination = body.destination()?;
    let rate = body.rate.as_ref().map(RateBody::read).transpose()?;
    if destination.is_none() {
        // A wallet that the caller cannot see comes first in the order of checks.
        let owner = owner_scope(&caller, permission::WALLETS_WRITE)?;
        body.amount.amount("amount")?;
        api.wallet(uuid(&id, "id")?, owner).await?;
        let message = "`destinationWalletId` or `toWalletId` is required.";
        return Err(bad("destinationWalletId", "validation_failed", message));
    }
    let asked = Asked {
        op: WalletType::Transfer,
        permission: permission::WALLETS_WRITE,
        path: &id,
        body: MoveBody {
            amount: body.amount,
            currency: body.currency,
            reference_id: body.reference_id,
            description: body.description,
            metadata: body.metadata,
            effective_at: body.effective_at,
        },
        destination,
        rate,
        expires_in_seconds: None,
    };
    let decided = movement::decide(&api, &caller, key, asked).await?;
    timer.done(movement::render(&api, &caller, Operation::Transfer, &decided).await)
}
