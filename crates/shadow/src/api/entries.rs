//! `GET …/accounts/{id}/entries` (contract B2): pages of one view, running sums by the database.

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::page::{FilterDigest, Page, PageLimits, Position};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::{Shared, money, permission, problem, query, scope};
use crate::model::{BookId, Key, Money, MoneyForm, State};
use crate::store::read::{self, Known, Listed, Window};

#[derive(OpenApi)]
#[openapi(paths(list))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    let spec = RouteSpec::get(
        "/api/v1/shadow/accounts/{accountId}/entries",
        permission::READ,
    );
    Routes::new()
        .route(spec, list)
        .document(Document::openapi())
}

/// Filters of the entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Another book of the account.
    currency: Option<String>,
    /// Event time, inclusive.
    from: Option<String>,
    /// Event time, exclusive.
    to: Option<String>,
    /// Event time, inclusive.
    as_of: Option<String>,
    /// Recorded time, inclusive.
    known_at: Option<String>,
    /// Default `applied`; other states have no running balance.
    state: Option<String>,
    /// `string`: decimal strings with the full scale.
    money: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// An entry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowEntry)]
struct Entry<'a> {
    event_id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[schema(value_type = f64)]
    amount: Money,
    timestamp: i64,
    #[schema(value_type = String)]
    recorded_at: Timestamp,
    log_seq: i64,
    is_correction: bool,
    state: &'static str,
    #[serde(rename = "final")]
    is_final: bool,
    #[schema(value_type = Option<f64>)]
    running_balance: Option<Money>,
    reference: Option<&'a str>,
    description: Option<&'a str>,
    source: Option<&'a str>,
    cause_event_id: Option<&'a str>,
}

/// Where a page goes on: the view, the key behind which it starts, and the balance up to there.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    at: Option<i64>,
    ts: i64,
    id: String,
    carried: String,
}

/// Entries of a book in key order, with running balances.
#[utoipa::path(
    get, path = "/api/v1/shadow/accounts/{accountId}/entries", tag = "Shadow ledger",
    params(("accountId" = String, Path), Filters),
    responses((status = 200, description = "A page of entries", body = Vec<Entry>))
)]
async fn list(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Path(account_id): Path<String>,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    let shadow = &api.shadow;
    let book = query::book(shadow, &account_id, filters.currency.as_deref())?;
    scope::check(&caller, &book.account_id)?;
    let form = money::form(filters.money.as_deref())?;
    let size = PageLimits::default().resolve(filters.limit)?;
    let state = match filters.state.as_deref() {
        None => State::Applied,
        Some(word) => State::from_word(word)
            .ok_or_else(|| problem::field("state", "validation_failed", "This is no state."))?,
    };
    let digest = digest_of(&book, &filters);
    let position = api
        .cursors
        .open_optional(digest, filters.cursor.as_deref())?;
    let from = query::event_time("from", filters.from.as_deref())?;
    let (known, after, carried) = match position {
        Some(position) => resume(&position)?,
        None => begin(&api, &book, &filters, from).await?,
    };
    let window = Window {
        book: &book,
        after,
        to: last_time(&filters)?,
        known,
        limit: size + 1,
    };
    let mut listed = read::window(shadow.db(), &window, carried, Some(state)).await?;
    let more = listed.len() > size;
    listed.truncate(size);
    let next_cursor = listed.last().filter(|_| more).map(|last| {
        let place = Place {
            at: known.at,
            ts: last.stored.event.timestamp,
            id: last.stored.event.event_id.clone(),
            carried: last.running.to_string(),
        };
        let position = Position {
            snapshot: known.log_seq.unsigned_abs(),
            after: serde_json::to_vec(&place).expect("plain values"),
        };
        api.cursors.seal(digest, &position)
    });
    let items: Vec<Entry<'_>> = listed
        .iter()
        .filter(|listed| listed.stored.state == state)
        .map(|listed| entry(&api, listed, form))
        .collect();
    Ok(Json(Page { items, next_cursor }).into_response())
}

fn entry<'a>(api: &Shared, listed: &'a Listed, form: MoneyForm) -> Entry<'a> {
    let stored = &listed.stored;
    let event = &stored.event;
    let print = |minor| money::print(&api.shadow, &event.currency, minor, form);
    Entry {
        event_id: &event.event_id,
        kind: event.direction.as_str(),
        amount: print(event.amount),
        timestamp: event.timestamp,
        recorded_at: Timestamp(stored.recorded_at),
        log_seq: stored.log_seq,
        is_correction: stored.correction,
        state: stored.state.as_str(),
        is_final: stored.is_final,
        running_balance: (stored.state == State::Applied).then(|| print(listed.running)),
        reference: event.reference.as_deref(),
        description: event.description.as_deref(),
        source: event.source.as_deref(),
        cause_event_id: stored.cause.as_deref(),
    }
}

/// The latest event time that is shown: `asOf` is inclusive, `to` is not.
fn last_time(filters: &Filters) -> Result<i64, Problem> {
    let to = query::event_time("to", filters.to.as_deref())?;
    let as_of = query::event_time("asOf", filters.as_of.as_deref())?;
    let to = to.map_or(i64::MAX, |to| to.saturating_sub(1));
    Ok(to.min(as_of.unwrap_or(i64::MAX)))
}

/// The first page pins the view; what stands before `from` is summed, not shown.
async fn begin(
    api: &Shared,
    book: &BookId,
    filters: &Filters,
    from: Option<i64>,
) -> Result<(Known, Key, i128), Problem> {
    let known = match &filters.known_at {
        Some(text) => {
            let instant = query::recorded_time("knownAt", text)?;
            query::known_at(&api.shadow, instant).await?
        }
        None => query::now(&api.shadow).await?,
    };
    let Some(from) = from else {
        return Ok((known, Key::new(i64::MIN, ""), 0));
    };
    let before = from.saturating_sub(1);
    let sum = read::balance(api.shadow.db(), book, Some(before), Some(known)).await?;
    // No id is as large as this: the page starts behind everything of the millisecond before.
    Ok((known, Key::new(before, "\u{10ffff}"), sum.minor))
}

fn resume(position: &Position) -> Result<(Known, Key, i128), Problem> {
    let place: Place = serde_json::from_slice(&position.after).map_err(Problem::internal)?;
    let known = Known {
        log_seq: i64::try_from(position.snapshot).unwrap_or(i64::MAX),
        at: place.at,
    };
    let carried = place.carried.parse().map_err(Problem::internal)?;
    Ok((known, Key::new(place.ts, place.id), carried))
}

fn digest_of(book: &BookId, filters: &Filters) -> FilterDigest {
    let named = [
        ("accountId", Some(book.account_id.as_str())),
        ("currency", Some(book.currency.as_str())),
        ("from", filters.from.as_deref()),
        ("to", filters.to.as_deref()),
        ("asOf", filters.as_of.as_deref()),
        ("knownAt", filters.known_at.as_deref()),
        ("state", filters.state.as_deref()),
    ];
    let given = named
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)));
    FilterDigest::new("shadow entries", given)
}
