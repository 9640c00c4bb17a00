//! `POST /ledger/transfers/lookup`: what became of ids whose answer was lost (contract A6).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_ledger::{
    Ledger, ReadView,
    engine::{IdLookup, ReadError},
    model::ITEMS_MAX,
};
use florin_platform::http::{json::Json, problem::Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    render::{self, TransferBody},
    support::{blocking, fresh, with_seq},
};
use crate::api::{Shared, answer::MinSeq};

/// Ids to look up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LedgerLookupRequest)]
pub struct Request {
    /// 1 to 8190 transfer ids.
    ids: Vec<Box<str>>,
}

/// What is known of each id, in the order asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerLookupAnswer)]
pub struct Answer {
    results: Vec<Found>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerLookupResult)]
struct Found {
    id: Box<str>,
    /// recorded, refused (remembered) or unknown.
    status: &'static str,
    /// The refusal remembered for the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_code: Option<&'static str>,
    /// The transfer, if it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<TransferBody>,
}

/// Tells of each id whether it was recorded, refused, or is unknown.
#[utoipa::path(
    post, path = "/api/v1/ledger/transfers/lookup", tag = "Ledger",
    request_body = Request,
    responses((status = 200, description = "One result per id, in order", body = Answer))
)]
pub async fn post(
    State(api): State<Shared>,
    min: MinSeq,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    if !(1..=ITEMS_MAX).contains(&request.ids.len()) {
        let message = format!("A lookup takes 1 to {ITEMS_MAX} ids.");
        return Err(Problem::validation("ids", message));
    }
    fresh(&api, min).await?;
    let ledger = api.ledger.clone();
    let (results, seq) = blocking(&api.ledger, move |view| {
        let results: Result<Vec<Found>, ReadError> = request
            .ids
            .into_iter()
            .map(|id| find(&ledger, &view, id))
            .collect();
        Ok((results?, view.seq()))
    })
    .await?;
    Ok(with_seq(Json(Answer { results }).into_response(), seq))
}

fn find(ledger: &Ledger, view: &ReadView, id: Box<str>) -> Result<Found, ReadError> {
    let mut found = Found {
        id,
        status: "unknown",
        first_code: None,
        transfer: None,
    };
    match view.transfer(&found.id)? {
        IdLookup::Recorded(record) => {
            found.status = "recorded";
            found.transfer = render::transfer(ledger, &record, view.state(&record)?);
        }
        IdLookup::Refused(code) => {
            found.status = "refused";
            found.first_code = Some(code.word());
        }
        IdLookup::Unknown => {}
    }
    Ok(found)
}
