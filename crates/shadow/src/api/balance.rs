//! `GET …/accounts/{id}/shadow-balance` (contract B1).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::{Shared, money, permission, query, scope};
use crate::model::{BookId, Money, MoneyForm, State};
use crate::store::read::{self, Known};

#[derive(OpenApi)]
#[openapi(paths(get))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    let spec = RouteSpec::get(
        "/api/v1/shadow/accounts/{accountId}/shadow-balance",
        permission::BALANCE,
    );
    Routes::new().route(spec, get).document(Document::openapi())
}

/// What is asked.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Another book of the account.
    currency: Option<String>,
    /// Event time, inclusive: epoch milliseconds or RFC 3339.
    as_of: Option<String>,
    /// Recorded time, inclusive: what this route said then.
    known_at: Option<String>,
    /// Adds what the balance rests on.
    detail: Option<bool>,
    /// `string`: decimal strings with the full scale.
    money: Option<String>,
}

/// The balance of a book.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShadowBalance<'a> {
    account_id: &'a str,
    #[schema(value_type = f64)]
    balance: Money,
    currency: &'a str,
    last_event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    as_of: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    known_at: Option<Box<RawValue>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    detail: Option<Detail>,
}

/// Count and sum of events in one state.
#[derive(Debug, Serialize)]
struct Part {
    count: i64,
    sum: Money,
}

/// What a balance rests on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    log_seq: i64,
    entries: i64,
    held: Part,
    review: Part,
    rejected: Part,
    open_until: Option<Timestamp>,
    floor: Option<Money>,
    policy: String,
    digest: String,
}

/// The balance of an account.
#[utoipa::path(
    get, path = "/api/v1/shadow/accounts/{accountId}/shadow-balance", tag = "Shadow ledger",
    params(("accountId" = String, Path), Asked),
    responses(
        (status = 200, description = "The balance", body = ShadowBalance),
        (status = 400, description = "`invalid_id`, `invalid_timestamp`, `known_at_in_future`"),
    )
)]
pub(super) async fn get(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Path(account_id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let shadow = &api.shadow;
    let book = query::book(shadow, &account_id, asked.currency.as_deref())?;
    scope::check(&caller, &book.account_id)?;
    let form = money::form(asked.money.as_deref())?;
    let as_of = query::event_time("asOf", asked.as_of.as_deref())?;
    let known = match &asked.known_at {
        Some(text) => {
            let instant = query::recorded_time("knownAt", text)?;
            Some(query::known_at(shadow, instant).await?)
        }
        None => None,
    };
    let wants_detail = asked.detail.unwrap_or(false);
    let known = match (known, wants_detail) {
        (None, true) => Some(query::now(shadow).await?),
        (known, _) => known,
    };
    let balance = read::balance(shadow.db(), &book, as_of, known).await?;
    let detail = match (wants_detail, known) {
        (true, Some(known)) => Some(detail(&api, &book, as_of, known, form).await?),
        _ => None,
    };
    let answer = ShadowBalance {
        account_id: &book.account_id,
        balance: money::print(shadow, &book.currency, balance.minor, form),
        currency: &book.currency,
        last_event: balance.last_event.as_deref(),
        as_of: echoed(as_of.map(|millis| millis.to_string()), wants_detail)?,
        known_at: echoed(
            asked
                .known_at
                .as_deref()
                .and(known.and_then(|known| known.at))
                .map(|at| format!("\"{}\"", Timestamp(at))),
            wants_detail,
        )?,
        detail,
    };
    Ok(Json(answer).into_response())
}

/// What was given is echoed; with details `null` stands for what was not.
fn echoed(json: Option<String>, wants_detail: bool) -> Result<Option<Box<RawValue>>, Problem> {
    let json = match (json, wants_detail) {
        (None, true) => Some("null".to_owned()),
        (json, _) => json,
    };
    json.map(|json| RawValue::from_string(json).map_err(Problem::internal))
        .transpose()
}

async fn detail(
    api: &Shared,
    book: &BookId,
    as_of: Option<i64>,
    known: Known,
    form: MoneyForm,
) -> Result<Detail, Problem> {
    let shadow = &api.shadow;
    let db = shadow.db();
    let tallies = read::tallies(db, book, as_of, known).await?;
    let of = |wanted: State| {
        let found = tallies.iter().find(|(state, _)| *state == wanted);
        found.map_or(read::Tally::default(), |(_, tally)| *tally)
    };
    let part = |state: State| Part {
        count: of(state).count,
        sum: money::print(shadow, &book.currency, of(state).sum, form),
    };
    let row = read::book(db, book).await?;
    let rules = shadow.settings().rules();
    let (floor, policy) = match row {
        Some(row) => (row.floor, row.policy),
        None => (rules.floor, rules.policy.as_str().to_owned()),
    };
    let (digest, _) = read::digest(db, book, known).await?;
    Ok(Detail {
        log_seq: known.log_seq,
        entries: of(State::Applied).count,
        held: part(State::Held),
        review: part(State::HeldForReview),
        rejected: part(State::Rejected),
        open_until: read::open_until(db, book).await?.map(Timestamp),
        floor: floor.map(|floor| money::print(shadow, &book.currency, floor, form)),
        policy,
        digest,
    })
}
