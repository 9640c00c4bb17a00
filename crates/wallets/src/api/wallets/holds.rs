//! Holds: place, capture, void (contract B5). A hold is a pending transfer wallet →
//! `florin:external:{asset}` or wallet → destination wallet.

use axum::{extract::State, response::Response};
use florin_ledger::{
    Call, Outcome,
    call::ResolveHold,
    model::{TransferId, WalletType},
};
use florin_platform::http::{
    auth::{Caller, Principal},
    json::{self, JsonBytes, Path, RawBody},
    problem::Problem,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{self as wallet_answer, Viewer, refused, style},
    hold_reads,
    movement::{self, AmountInput, Asked, Decided, MODULE, MoveBody},
    request::{KeyHeader, Pairs, Raw, Text, bad, owner_scope, parse_or_default, transfer_id, uuid},
};
use crate::{
    api::{ApiState, Shared, answer, meter, permission},
    model::{Hold, Transaction, transaction::Seen},
};

/// Life of a hold unless the caller says otherwise, in seconds (7 days).
const EXPIRES_DEFAULT_SECONDS: u32 = 604_800;
/// Longest life of a hold, in seconds (31 days).
const EXPIRES_MAX_SECONDS: u32 = 2_678_400;

/// Money to be reserved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HoldBody<'a> {
    /// Above zero, with no more decimals than the currency has.
    #[serde(borrow)]
    #[schema(value_type = AmountInput, example = "100.00")]
    amount: Raw<'a>,
    /// The wallet's currency, as a check.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "BRL")]
    currency: Option<Text<'a>>,
    /// 1 to 2678400, default 604800 (7 days).
    #[serde(default)]
    expires_in_seconds: Option<u64>,
    /// The receiving wallet, of the same currency; left out for payments to the outside.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    destination_wallet_id: Option<Text<'a>>,
    /// Identity, 1 to 100 of `[A-Za-z0-9_-]`; the same as `Idempotency-Key`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "booking-7")]
    reference_id: Option<Text<'a>>,
    /// At most 500 characters.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Option<Text<'a>>,
    /// Caller's own pairs.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Pairs>,
}

/// Place a hold.
#[utoipa::path(
    post,
    path = "/api/v1/wallets/{id}/holds",
    tag = "holds",
    params(
        ("id" = String, Path, description = "The wallet that pays"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same as `referenceId`"),
    ),
    request_body = HoldBody,
    responses(
        (status = 201, description = "Placed, or placed before (`Idempotency-Replayed: true`)", body = Hold,
         headers(("Location" = String, description = "The hold"))),
        (status = 404, description = "`wallet_not_found`, `destination_not_found`"),
        (status = 409, description = "`idempotency_conflict`, `wallet_frozen`, `wallet_closed`, `destination_closed`"),
        (status = 422, description = "`currency_mismatch`, `limit_exceeded`"),
    ),
)]
pub async fn place(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    key: KeyHeader,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let body = json::parse::<HoldBody<'_>>(&body)?;
    let seconds = body
        .expires_in_seconds
        .map_or(Ok(EXPIRES_DEFAULT_SECONDS), |seconds| {
            let seconds = u32::try_from(seconds).ok();
            let seconds = seconds.filter(|s| (1..=EXPIRES_MAX_SECONDS).contains(s));
            seconds.ok_or_else(|| {
                bad(
                    "expiresInSeconds",
                    "validation_failed",
                    "Must be 1 to 2678400.",
                )
            })
        });
    let destination = body.destination_wallet_id.as_ref();
    let destination = destination.map(|text| uuid(&text.0, "destinationWalletId"));
    let asked = Asked {
        op: WalletType::Hold,
        permission: permission::WALLETS_WRITE,
        path: &id,
        destination: destination.transpose()?,
        rate: None,
        expires_in_seconds: Some(seconds?),
        body: MoveBody {
            amount: body.amount,
            currency: body.currency,
            reference_id: body.reference_id,
            description: body.description,
            metadata: body.metadata,
            effective_at: None,
        },
    };
    let decided = movement::decide(&api, &caller, key, asked).await?;
    render_placed(&api, &caller, &decided).await
}

async fn render_placed(
    api: &ApiState,
    caller: &Principal,
    decided: &Decided,
) -> Result<Response, Problem> {
    let answer = &decided.answer;
    let records = match &answer.outcome {
        Outcome::Done(records) => records,
        Outcome::Refused(refusal) => {
            let problem = refused(api, Some(decided.wallet), refusal).await;
            return Ok(answer::refusal(problem, answer));
        }
        _ => return Err(Problem::internal("a hold has no item results")),
    };
    let viewer = Viewer::new(&api.ledger, caller);
    let sides = records.iter().find_map(|record| viewer.sides(record));
    let sides = sides.ok_or_else(|| Problem::internal("a hold placed has no record"))?;
    let leg = sides.leg();
    let hold = Hold::new(leg, None, style(&api.ledger))
        .with_generated_reference(decided.reference_generated);
    if !answer.replayed {
        meter::count_hold("wallet_holds_placed_total");
    }
    let location = format!("/api/v1/holds/{}", leg.transfer.id);
    let response = answer::json(&hold, answer.seq)?;
    let response = answer::located(response, StatusCode::CREATED, &location);
    Ok(answer::mark_replay(response, answer))
}

/// What to take of a hold.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CaptureBody<'a> {
    /// At most what is reserved; left out: all of it. The rest is released.
    #[serde(borrow, default)]
    #[schema(value_type = Option<AmountInput>, example = "60.00")]
    amount: Option<Raw<'a>>,
    /// Identity, 1 to 100 of `[A-Za-z0-9_-]`; the same as `Idempotency-Key`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, example = "capture-7")]
    reference_id: Option<Text<'a>>,
}

/// Capture a hold, once; the rest is released.
#[utoipa::path(
    post,
    path = "/api/v1/holds/{id}/capture",
    tag = "holds",
    params(
        ("id" = String, Path, description = "The hold"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same as `referenceId`"),
    ),
    request_body = CaptureBody,
    responses(
        (status = 200, description = "Captured, or captured before (`Idempotency-Replayed: true`)", body = Transaction,
         headers(("Location" = String, description = "The transaction"))),
        (status = 404, description = "`hold_not_found`"),
        (status = 409, description = "`hold_already_captured`, `hold_already_voided`, `hold_expired`, `wallet_frozen`, `wallet_closed`, `idempotency_conflict`"),
        (status = 422, description = "`exceeds_hold_amount`"),
    ),
)]
pub async fn capture(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    key: KeyHeader,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let owner = owner_scope(&caller, permission::WALLETS_CAPTURE)?;
    let body = parse_or_default::<CaptureBody<'_>>(&body)?;
    let amount = body.amount.map(|raw| raw.amount("amount")).transpose()?;
    let made = transfer_id(api.ledger.new_id());
    let reference = key.reference(body.reference_id.as_ref(), &made)?;
    let reference_generated = reference.generated;
    let call = ResolveHold {
        actor: Some(Box::from(&*caller.subject)),
        owner,
        hold: hold_id(&id)?,
        capture: true,
        amount,
        transfer_id: made,
        reference,
        module: MODULE.into(),
    };
    let answer = api.ledger.submit(Call::ResolveHold(Box::new(call))).await;
    let answer = answer.map_err(answer::unavailable)?;
    match &answer.outcome {
        Outcome::Done(records) => {
            if !answer.replayed {
                meter::count_transaction();
                meter::count_hold("wallet_holds_captured_total");
            }
            let origin = records
                .iter()
                .find_map(|record| record.transfer()?.origin.as_ref());
            let seen = Seen {
                from_wallet: origin.map(|origin| origin.wallet_id),
                reference_generated,
                ..Seen::default()
            };
            wallet_answer::transaction(&api, &caller, &answer, records, seen)
        }
        Outcome::Refused(refusal) => {
            Ok(answer::refusal(refused(&api, None, refusal).await, &answer))
        }
        _ => Err(Problem::internal("a capture has no item results")),
    }
}

/// A void needs no content.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoidBody {}

/// Void a hold: what it reserves is released. A voided hold may be voided again.
#[utoipa::path(
    post,
    path = "/api/v1/holds/{id}/void",
    tag = "holds",
    params(("id" = String, Path, description = "The hold")),
    request_body = VoidBody,
    responses(
        (status = 200, description = "Voided, also when it was before", body = Hold),
        (status = 404, description = "`hold_not_found`"),
        (status = 409, description = "`hold_already_captured`, `hold_expired`, `wallet_closed`"),
    ),
)]
pub async fn void(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    key: KeyHeader,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let owner = owner_scope(&caller, permission::WALLETS_CAPTURE)?;
    parse_or_default::<VoidBody>(&body)?;
    let made = transfer_id(api.ledger.new_id());
    let hold = hold_id(&id)?;
    let call = ResolveHold {
        actor: Some(Box::from(&*caller.subject)),
        owner,
        hold: hold.clone(),
        capture: false,
        amount: None,
        reference: key.reference(None, &made)?,
        transfer_id: made,
        module: MODULE.into(),
    };
    let answer = api.ledger.submit(Call::ResolveHold(Box::new(call))).await;
    let answer = answer.map_err(answer::unavailable)?;
    match &answer.outcome {
        Outcome::Refused(refusal) => {
            Ok(answer::refusal(refused(&api, None, refusal).await, &answer))
        }
        _ => {
            if !answer.replayed {
                meter::count_hold("wallet_holds_voided_total");
            }
            let response = hold_reads::show(&api, &caller, hold)
                .await
                .map_err(answer::after_commit)?;
            Ok(answer::mark_replay(response, &answer))
        }
    }
}

/// The id of a path as the ledger spells it.
pub fn hold_id(text: &str) -> Result<TransferId, Problem> {
    uuid(text, "id").map(|id| transfer_id(uuid::Uuid::from_u128(id)))
}
