//! `POST /ledger/transfers/{id}/reverse` (contract A5).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_base::Timestamp;
use florin_ledger::{
    Call, Ledger, Outcome, ReadView,
    call::ReverseCall,
    engine::{IdLookup, ReadError},
    model::{DESCRIPTION_MAX, Metadata, Record},
    rules::prepare::RawPairs,
};
use florin_platform::http::{
    auth::Caller,
    idempotency::replayed,
    json::{Json, Path},
    problem::Problem,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    render::{self, TransferBody},
    support::{blocking, located, refused, touches_reserved, unavailable, with_seq},
};
use crate::api::{Shared, permission};

/// Why and when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = LedgerReverseRequest)]
pub struct Request {
    /// 1 to 500 characters; kept as the description of the reversal.
    #[schema(example = "entered twice")]
    reason: Box<str>,
    /// When it counts; needs `ledger:backdate`.
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Timestamp>,
    /// Caller's own pairs.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    metadata: Option<RawPairs>,
}

/// Reverses a transfer, or the whole chain it belongs to. Once only.
#[utoipa::path(
    post, path = "/api/v1/ledger/transfers/{id}/reverse", tag = "Ledger",
    params(("id" = String, Path, description = "Id of the transfer")),
    request_body = Request,
    responses(
        (status = 200, description = "The reversal", body = TransferBody),
        (status = 404, description = "`transfer_not_found`"),
        (status = 409, description = "`transfer_not_reversible` or `already_reversed`"),
        (status = 400, description = "`insufficient_funds`"),
    )
)]
pub async fn post(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<Box<str>>,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let characters = request.reason.chars().count();
    if !(1..=DESCRIPTION_MAX).contains(&characters) {
        let message = format!("The reason has 1 to {DESCRIPTION_MAX} characters.");
        return Err(Problem::validation("reason", message));
    }
    let pairs = request.metadata.map(|pairs| pairs.0).unwrap_or_default();
    let metadata =
        Metadata::try_new(pairs).map_err(|message| Problem::validation("metadata", message))?;
    if request.effective_at.is_some() {
        caller.require(permission::LEDGER_BACKDATE)?;
    }
    if !caller.holds(permission::LEDGER_SYSTEM) {
        let (ledger, id) = (api.ledger.clone(), id.clone());
        let reserved = blocking(&api.ledger, move |view| chain_reserved(&ledger, &view, &id));
        if reserved.await? {
            return Err(Problem::forbidden(permission::LEDGER_SYSTEM.as_str()));
        }
    }
    let call = Call::Reverse(ReverseCall {
        actor: Some((*caller.subject).into()),
        id: id.clone(),
        reason: request.reason,
        effective_at: request.effective_at,
        metadata,
        as_wallet: false,
    });
    let answer = api.ledger.submit(call).await.map_err(unavailable)?;
    let records = match answer.outcome {
        Outcome::Done(records) => records,
        Outcome::Refused(refusal) => return Err(refused(&refusal)),
        Outcome::Items(_) | Outcome::Lines(..) => {
            return Err(Problem::internal("a reversal is answered by records"));
        }
    };
    let named = |record: &&Record| {
        record
            .transfer()
            .is_some_and(|t| t.reversal_of.as_deref() == Some(&*id))
    };
    let body = records
        .iter()
        .find(named)
        .and_then(|record| render::transfer(&api.ledger, record, render::first_state(record)))
        .ok_or_else(|| Problem::internal("the reversal of the named transfer is missing"))?;
    let location = format!("/api/v1/ledger/transfers/{}", body.id);
    let response = located(Json(body).into_response(), StatusCode::OK, &location);
    let response = with_seq(response, answer.seq);
    Ok(if answer.replayed {
        replayed(response)
    } else {
        response
    })
}

/// The transfer, or another member of its chain, moves an account under `florin:`.
fn chain_reserved(ledger: &Ledger, view: &ReadView, id: &str) -> Result<bool, ReadError> {
    let IdLookup::Recorded(record) = view.transfer(id)? else {
        return Ok(false);
    };
    if touches_reserved(ledger, &record) {
        return Ok(true);
    }
    let Some((chain, index)) = record.transfer().and_then(|t| t.chain.clone()) else {
        return Ok(false);
    };
    // Members of a chain have neighbouring `seq`s (contract A3).
    let first = record.seq - u64::from(index);
    for seq in first..=view.seq() {
        let member = view.record(seq)?;
        let same = member
            .transfer()
            .and_then(|t| t.chain.as_ref())
            .is_some_and(|(of, _)| *of == chain);
        if !same {
            break;
        }
        if touches_reserved(ledger, &member) {
            return Ok(true);
        }
    }
    Ok(false)
}
