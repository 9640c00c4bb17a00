//! Limits of a wallet (contract B6).

use axum::{extract::State, response::Response};
use florin_ledger::{
    Call, Outcome, Query, View,
    call::{LimitMember, LimitsUpdate, UpdateWallet},
};
use florin_platform::http::{
    auth::Caller,
    json::{self, JsonBytes, Path},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{refused, style, wallet_not_found},
    movement::AmountInput,
    request::{Raw, Text, owner_scope, uuid},
};
use crate::api::meter::{Operation, Timer};
use crate::{
    api::{
        ApiState, Shared,
        answer::{self, MinSeq, unavailable},
        permission,
    },
    model::wallet::Limits,
};

/// New limits: a member left out has the tier's value, null means none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsBody<'a> {
    /// Tier of limits.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "standard")]
    tier: Option<Text<'a>>,
    /// Withdrawals, transfers out, holds.
    #[serde(borrow, default)]
    #[schema(value_type = Option<DirectionBody>)]
    out: DirectionBody<'a>,
    /// Deposits, transfers in, holds in favour.
    #[serde(borrow, default)]
    #[schema(value_type = Option<DirectionBody>)]
    r#in: DirectionBody<'a>,
}

/// New limits of one direction.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DirectionBody<'a> {
    /// Largest single movement.
    #[serde(borrow, default)]
    #[schema(value_type = Option<AmountInput>, example = "500.00")]
    per_transaction: Member<'a>,
    /// Largest sum in a UTC calendar day.
    #[serde(borrow, default)]
    #[schema(value_type = Option<AmountInput>, example = "1000.00")]
    daily: Member<'a>,
    /// Largest sum in a UTC calendar month.
    #[serde(borrow, default)]
    #[schema(value_type = Option<AmountInput>)]
    monthly: Member<'a>,
}

/// A member that may be left out, null, or an amount.
#[derive(Default)]
struct Member<'a>(Option<Raw<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Raw::deserialize(deserializer).map(|raw| Self(Some(raw)))
    }
}

impl Member<'_> {
    fn read(&self, field: &'static str) -> Result<LimitMember, Problem> {
        match self.0 {
            None => Ok(LimitMember::Tier),
            Some(raw) if raw.is_null() => Ok(LimitMember::Unlimited),
            Some(raw) => raw.amount(field).map(|a| LimitMember::Amount(a.decimal)),
        }
    }
}

impl LimitsBody<'_> {
    fn read(&self) -> Result<LimitsUpdate, Problem> {
        Ok(LimitsUpdate {
            tier: self.tier.as_ref().map(Text::boxed),
            members: [
                self.out.per_transaction.read("out.perTransaction")?,
                self.out.daily.read("out.daily")?,
                self.out.monthly.read("out.monthly")?,
                self.r#in.per_transaction.read("in.perTransaction")?,
                self.r#in.daily.read("in.daily")?,
                self.r#in.monthly.read("in.monthly")?,
            ],
        })
    }
}

/// The limits of a wallet and what is left of them.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{id}/limits",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet")),
    responses(
        (status = 200, description = "Limits in force and their use", body = Limits),
        (status = 404, description = "`wallet_not_found`"),
    ),
)]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    let owner = owner_scope(&caller, permission::WALLETS_READ)?;
    timer.done(show(&api, uuid(&id, "id")?, owner, min_seq).await)
}

/// Set the limits of a wallet, or its tier.
#[utoipa::path(
    put,
    path = "/api/v1/wallets/{id}/limits",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet")),
    request_body = LimitsBody,
    responses(
        (status = 200, description = "Limits in force and their use", body = Limits),
        (status = 404, description = "`wallet_not_found`"),
        (status = 409, description = "`wallet_closed`"),
    ),
)]
pub async fn put(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let owner = owner_scope(&caller, permission::WALLETS_LIMITS)?;
    let limits = json::parse::<LimitsBody<'_>>(&body)?.read()?;
    let id = uuid(&id, "id")?;
    let call = UpdateWallet {
        actor: Some(Box::from(&*caller.subject)),
        owner: owner.clone(),
        id,
        status: None,
        limits: Some(limits),
        reason: None,
    };
    let answer = api.ledger.submit(Call::UpdateWallet(Box::new(call))).await;
    let answer = answer.map_err(unavailable)?;
    match &answer.outcome {
        Outcome::Refused(refusal) => Ok(answer::refusal(
            refused(&api, Some(id), refusal).await,
            &answer,
        )),
        _ => show(&api, id, owner, MinSeq::default())
            .await
            .map_err(answer::after_commit),
    }
}

async fn show(
    api: &ApiState,
    id: u128,
    owner: Option<Box<str>>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let view = api.ledger.query(Query::Limits { id, owner }).await;
    let View::Limits(view) = view.map_err(unavailable)? else {
        return Err(Problem::internal("limits were asked for"));
    };
    let view = view.ok_or_else(wallet_not_found)?;
    min_seq.check(view.wallet.as_of_seq)?;
    let asset = api.ledger.asset(view.wallet.asset);
    let body = Limits::now(&view, &asset, style(&api.ledger));
    answer::json(&body, view.wallet.as_of_seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_out_null_and_amount_are_three_things() {
        let body = r#"{"out":{"daily":"1000.00","monthly":null}}"#;
        let body: LimitsBody<'_> = serde_json::from_str(body).expect("reads");
        let update = body.read().expect("in grammar");
        assert_eq!(update.members[0], LimitMember::Tier);
        assert!(matches!(update.members[1], LimitMember::Amount(d) if d.digits == 100_000));
        assert_eq!(update.members[2], LimitMember::Unlimited);
        assert_eq!(update.members[3..], [LimitMember::Tier; 3]);
        let wrong: LimitsBody<'_> =
            serde_json::from_str(r#"{"in":{"daily":"1e3"}}"#).expect("reads");
        assert_eq!(wrong.read().expect_err("grammar").code(), "amount_invalid");
    }
}
