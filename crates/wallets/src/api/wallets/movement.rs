//! What deposits, withdrawals, transfers and holds have in common: one call to the ledger that
//! judges everything in one atomic step (contract B2).
//!
//! Order here: permissions, grammar, ids. Everything after that is the ledger's.

use axum::response::Response;
use florin_ledger::{
    Answer, Call, Outcome,
    call::{Rate, WalletMove},
    model::WalletType,
};
use florin_platform::http::{
    auth::{Permission, Principal},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{self as wallet_answer, refused},
    request::{
        KeyHeader, Pairs, Raw, Text, description, effective_at, owner_scope, transfer_id, uuid,
    },
};
use crate::{
    api::{
        ApiState, answer,
        meter::{self, Operation},
    },
    model::transaction::Seen,
};

/// Name of this room in `origin`.
pub const MODULE: &str = "wallets";

/// An amount on input: a decimal string or a number literal, read as text.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(
    dead_code,
    reason = "describes the input in the OpenAPI file; the body is read as text"
)]
pub enum AmountInput {
    /// `"12.50"`
    Text(String),
    /// `12.50`
    Number(f64),
}

/// Money into or out of a wallet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MoveBody<'a> {
    /// Above zero, with no more decimals than the currency has.
    #[serde(borrow)]
    #[schema(value_type = AmountInput, example = "12.50")]
    pub amount: Raw<'a>,
    /// The wallet's currency, as a check.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "BRL")]
    pub currency: Option<Text<'a>>,
    /// Identity, 1 to 100 of `[A-Za-z0-9_-]`; the same as `Idempotency-Key`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "order-1001")]
    pub reference_id: Option<Text<'a>>,
    /// At most 500 characters.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, max_length = 500)]
    pub description: Option<Text<'a>>,
    /// Caller's own pairs.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub metadata: Option<Pairs>,
    /// When it counts; needs `ledger:backdate`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_at: Option<Text<'a>>,
}

/// A movement asked for.
pub struct Asked<'a> {
    /// DEPOSIT, WITHDRAWAL, TRANSFER or HOLD.
    pub op: WalletType,
    /// What the route needs; its reach says whose wallets the caller may use.
    pub permission: Permission,
    /// The wallet in the path.
    pub path: &'a str,
    /// The body.
    pub body: MoveBody<'a>,
    /// The receiving wallet.
    pub destination: Option<u128>,
    /// Exchange rate.
    pub rate: Option<Rate>,
    /// Life of a hold, in seconds.
    pub expires_in_seconds: Option<u32>,
}

/// A movement decided.
pub struct Decided {
    /// The wallet in the path.
    pub wallet: u128,
    /// The server made the identity.
    pub reference_generated: bool,
    /// The ledger's answer.
    pub answer: Answer,
}

/// Reads the rest of a movement and lets the ledger decide it.
pub async fn decide(
    api: &ApiState,
    caller: &Principal,
    key: KeyHeader,
    asked: Asked<'_>,
) -> Result<Decided, Problem> {
    let owner = owner_scope(caller, asked.permission)?;
    let body = asked.body;
    let effective_at = effective_at(caller, body.effective_at.as_ref())?;
    let amount = body.amount.amount("amount")?;
    let id = transfer_id(api.ledger.new_id());
    let reference = key.reference(body.reference_id.as_ref(), &id)?;
    let description = description(body.description.as_ref(), "description")?;
    let wallet = uuid(asked.path, "id")?;
    let reference_generated = reference.generated;
    let call = WalletMove {
        actor: Some(Box::from(&*caller.subject)),
        owner,
        op: asked.op,
        wallet,
        transfer_id: id,
        amount,
        currency: body.currency.as_ref().map(Text::boxed),
        destination: asked.destination,
        counter_account: None,
        rate: asked.rate,
        expires_in_seconds: asked.expires_in_seconds,
        reference,
        description,
        metadata: body.metadata.unwrap_or_default().0,
        effective_at,
        module: MODULE.into(),
    };
    let call = Call::WalletMove(Box::new(call));
    let answer = api.ledger.submit(call).await;
    Ok(Decided {
        wallet,
        reference_generated,
        answer: answer.map_err(answer::unavailable)?,
    })
}

/// Answers a deposit, withdrawal or transfer.
pub async fn render(
    api: &ApiState,
    caller: &Principal,
    operation: Operation,
    decided: &Decided,
) -> Result<Response, Problem> {
    let answer = &decided.answer;
    match &answer.outcome {
        Outcome::Done(records) => {
            if !answer.replayed {
                meter::count_transaction();
                meter::count_money(&api.ledger, operation, records.first());
            }
            let seen = Seen {
                from_wallet: Some(decided.wallet),
                reference_generated: decided.reference_generated,
                ..Seen::default()
            };
            wallet_answer::transaction(api, caller, answer, records, seen)
        }
        Outcome::Refused(refusal) => {
            let problem = refused(api, Some(decided.wallet), refusal).await;
            Ok(answer::refusal(problem, answer))
        }
        _ => Err(Problem::internal("a movement has no item results")),
    }
}
