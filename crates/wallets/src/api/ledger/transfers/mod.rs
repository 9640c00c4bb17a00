//! `POST /ledger/transfers`, batch and single form; `GET /ledger/transfers/{id}` (contract A2 to
//! A4).
//!
//! Boundary: shape, permissions and the identity of the call are judged here and refuse it
//! whole; what becomes of each item is the ledger's verdict alone.

mod answer;
mod body;
mod surrogates;

use axum::{extract::State, response::Response};
use florin_ledger::{
    Answer, Call, Outcome,
    call::{CallKey, Item, TransfersCall},
    engine::IdLookup,
};
use florin_platform::http::{
    auth::Caller,
    idempotency::{IdempotencyKey, replayed},
    json::{Json, JsonBytes, Path, json_bytes},
    problem::{Problem, Status},
};
use http::StatusCode;

use super::{
    render::{self, Recorded, TransferBody},
    support::{
        blocking, fresh, located, refused, result_problem, touches_reserved, transfer_not_found,
        unavailable, with_seq,
    },
};
use crate::api::{Shared, answer::MinSeq, meter, permission};
pub use body::TransferRequest;
use body::{Prepared, TransfersRequest};

/// Largest body of a call, in bytes (contract 0).
pub const BODY_MAX: usize = 16 << 20;
/// Bodies above this are parsed off the request threads, so that they hold up nobody else.
const PARSE_INLINE_MAX: usize = 64 << 10;

/// Records transfers. A bare transfer object is answered as one; `{"transfers": […]}` gets one
/// result per item.
#[utoipa::path(
    post, path = "/api/v1/ledger/transfers", tag = "Ledger",
    request_body(content = TransfersRequest, description = "1 to 8190 items; or one bare item"),
    params(("Idempotency-Key" = Option<String>, Header, description = "Covers the whole call")),
    responses(
        (status = 200, description = "Batch form: one result per item, in order", body = answer::BatchBody),
        (status = 201, description = "Single form: the transfer", body = TransferBody),
        (status = 400, description = "The call is malformed, or a refusal of the single form"),
        (status = 403, description = "A permission is missing for an item; nothing was judged"),
        (status = 409, description = "A refusal of the single form, or `idempotency_conflict`"),
    )
)]
pub async fn post(
    State(api): State<Shared>,
    caller: Caller,
    key: IdempotencyKey,
    JsonBytes(bytes): JsonBytes,
) -> Result<Response, Problem> {
    let with_key = key.0.is_some();
    let prepared = if bytes.len() <= PARSE_INLINE_MAX {
        body::read(&bytes, with_key, || new_id(&api))?
    } else {
        let api = api.clone();
        let read = move || body::read(&bytes, with_key, || new_id(&api));
        tokio::task::spawn_blocking(read)
            .await
            .map_err(Problem::internal)??
    };
    if prepared.lacks_id && !with_key {
        return Err(Problem::new(
            Status::BadRequest,
            "identity_required",
            "Give each item an `id`, or the call an `Idempotency-Key`: a posting that cannot be \
             retried safely is not taken.",
        ));
    }
    check_permissions(&api, &caller, &prepared).await?;
    let single = prepared.single;
    let kept = single.then(|| prepared.items[0].clone());
    let actor: Option<Box<str>> = Some((*caller.subject).into());
    let call = Call::Transfers(TransfersCall {
        key: key.0.map(|key| CallKey {
            scope: (*caller.subject).into(),
            key: key.into(),
            digests: prepared.digests,
        }),
        actor: actor.clone(),
        items: prepared.items,
    });
    let answer = api.ledger.submit(call).await.map_err(unavailable)?;
    if let (Outcome::Items(results), false) = (&answer.outcome, answer.replayed) {
        meter::count_results(results);
    }
    match kept {
        Some(item) => single_answer(&api, item, actor, answer).await,
        None => batch_answer(&answer),
    }
}

fn new_id(api: &Shared) -> Box<str> {
    api.ledger.new_id().to_string().into()
}

/// 403 for the whole call when a permission is missing for any item; nothing was judged.
async fn check_permissions(
    api: &Shared,
    caller: &Caller,
    prepared: &Prepared,
) -> Result<(), Problem> {
    if prepared.backdates {
        caller.require(permission::LEDGER_BACKDATE)?;
    }
    if caller.holds(permission::LEDGER_SYSTEM) {
        return Ok(());
    }
    let system = permission::LEDGER_SYSTEM;
    if prepared.reserved {
        return Err(Problem::forbidden(system.as_str()));
    }
    // A post or void moves the accounts of its pending transfer without naming them. A pending
    // transfer of this same call was checked as an item.
    let pending: Vec<Box<str>> = prepared
        .items
        .iter()
        .filter_map(|item| item.pending_id.clone())
        .collect();
    if pending.is_empty() {
        return Ok(());
    }
    let ledger = api.ledger.clone();
    let reserved = blocking(&api.ledger, move |view| {
        for id in pending {
            if let IdLookup::Recorded(record) = view.transfer(&id)?
                && touches_reserved(&ledger, &record)
            {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await?;
    match reserved {
        true => Err(Problem::forbidden(system.as_str())),
        false => Ok(()),
    }
}

fn batch_answer(answer: &Answer) -> Result<Response, Problem> {
    match &answer.outcome {
        Outcome::Items(results) => {
            let response = json_bytes(answer::batch(answer, results));
            let response = with_seq(response, answer.seq);
            Ok(match answer.replayed {
                true => replayed(response),
                false => response,
            })
        }
        Outcome::Refused(refusal) => Err(refused(refusal)),
        Outcome::Done(_) | Outcome::Lines(..) => {
            Err(Problem::internal("transfers are answered by items"))
        }
    }
}

/// The answer of the single form: 201, 200 for a transfer recorded before, or a problem.
async fn single_answer(
    api: &Shared,
    item: Item,
    actor: Option<Box<str>>,
    answer: Answer,
) -> Result<Response, Problem> {
    let results = match answer.outcome {
        Outcome::Items(results) => results,
        Outcome::Refused(refusal) => return Err(body::name_member(refused(&refusal))),
        Outcome::Done(_) | Outcome::Lines(..) => {
            return Err(Problem::internal("transfers are answered by items"));
        }
    };
    let Some(result) = results.into_iter().next() else {
        return Err(Problem::internal("one item has one result"));
    };
    if !result.code.is_success() {
        let problem = result_problem(&result);
        return Err(match answer.replayed {
            true => problem.with_header(
                florin_platform::http::idempotency::IDEMPOTENCY_REPLAYED,
                http::HeaderValue::from_static("true"),
            ),
            false => problem,
        });
    }
    let created = result.code == florin_ledger::ResultCode::Created;
    let fresh = created && !answer.replayed;
    let at = Recorded {
        seq: result.seq.unwrap_or(answer.seq),
        batch: answer.batch.unwrap_or_default(),
        recorded_at: answer.recorded_at,
        actor,
    };
    let direct = fresh.then(|| render::recorded_item(item, at)).flatten();
    let body = match direct {
        Some(body) => body,
        // A stored answer is repeated as it was; an `exists` shows the transfer of now.
        None => load(api, result.id.clone(), created)
            .await
            .map_err(crate::api::answer::after_commit)?,
    };
    let location = format!("/api/v1/ledger/transfers/{}", result.id);
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let response = axum::response::IntoResponse::into_response(Json(body));
    let response = with_seq(located(response, status, &location), answer.seq);
    Ok(if fresh { response } else { replayed(response) })
}

/// One transfer with what became of it.
#[utoipa::path(
    get, path = "/api/v1/ledger/transfers/{id}", tag = "Ledger",
    params(("id" = String, Path, description = "Id of the transfer")),
    responses(
        (status = 200, description = "The transfer", body = TransferBody),
        (status = 404, description = "`transfer_not_found`"),
    )
)]
pub async fn get(
    State(api): State<Shared>,
    min: MinSeq,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    fresh(&api, min).await?;
    let body = load(&api, id.into(), false).await?;
    let seq = body.seq;
    let response = axum::response::IntoResponse::into_response(Json(body));
    Ok(with_seq(response, seq))
}

/// Reads a transfer; `at_first` shows it as it was when it was recorded.
pub async fn load(api: &Shared, id: Box<str>, at_first: bool) -> Result<TransferBody, Problem> {
    let ledger = api.ledger.clone();
    blocking(&api.ledger, move |view| {
        let IdLookup::Recorded(record) = view.transfer(&id)? else {
            return Ok(None);
        };
        let state = match at_first {
            true => render::first_state(&record),
            false => view.state(&record)?,
        };
        Ok(render::transfer(&ledger, &record, state))
    })
    .await?
    .ok_or_else(transfer_not_found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_base::Timestamp;
    use florin_ledger::{ResultCode, call::ItemResult, model::ITEMS_MAX};

    /// Reading and answering the largest batch must not be what bounds its rate.
    #[test]
    #[ignore = "a measurement: run with --release"]
    fn a_core_reads_and_answers_400_000_transfers_a_second() {
        let item = |n: usize| {
            format!(
                "{{\"id\":\"0190f000-0000-7000-8000-{n:012}\",\"debitAccountId\":\"customer:{n}\",\
                 \"creditAccountId\":\"florin:wallet:0190f000-0000-7000-8000-{n:012}\",\
                 \"amountMinor\":\"{}\",\"asset\":\"BRL\",\"code\":\"payment\"}}",
                n + 1
            )
        };
        let items: Vec<String> = (0..ITEMS_MAX).map(item).collect();
        let text = format!("{{\"transfers\":[{}]}}", items.join(","));
        let rounds = 100;
        let started = std::time::Instant::now();
        for seq in 0..rounds {
            let read = body::read(text.as_bytes(), false, || "made".into()).expect("well formed");
            let result = |item: Item| ItemResult {
                id: item.id,
                code: ResultCode::Created,
                seq: Some(seq),
                field: None,
                first_code: None,
            };
            let answer = Answer {
                outcome: Outcome::Items(read.items.into_iter().map(result).collect()),
                replayed: false,
                batch: Some(1),
                recorded_at: Timestamp(0),
                seq,
                wallet: None,
                account: None,
            };
            let Outcome::Items(results) = &answer.outcome else {
                continue;
            };
            std::hint::black_box(answer::batch(&answer, results));
        }
        let micros = started.elapsed().as_micros();
        let rate = (u128::from(rounds) * ITEMS_MAX as u128 * 1_000_000) / micros;
        println!("{rate} transfers/s");
        assert!(rate >= 400_000, "{rate} transfers/s");
    }
}
