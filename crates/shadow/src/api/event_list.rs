//! `GET …/events`: recorded events in the order of their records (contract A4).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Query};
use florin_platform::http::page::{FilterDigest, Page, PageLimits, Position};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::Query as Sql;
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use super::events::{redrivable, shown};
use super::{Shared, money, permission, problem, query, scope};
use crate::model::State;
use crate::store::Stored;

#[derive(OpenApi)]
#[openapi(paths(list))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    let spec = RouteSpec::get("/api/v1/shadow/events", permission::READ);
    Routes::new()
        .route(spec, list)
        .document(Document::openapi())
}

/// Filters of the list of events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// Account.
    account_id: Option<String>,
    /// Currency.
    currency: Option<String>,
    /// `applied`, `held`, `held_for_review` or `rejected`.
    state: Option<String>,
    /// Source.
    source: Option<String>,
    /// Event time, inclusive.
    from: Option<String>,
    /// Event time, exclusive.
    to: Option<String>,
    /// Only refused debits that would fit now, or would not.
    redrivable: Option<bool>,
    /// `string`: decimal strings with the full scale.
    money: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// List events in the order of their records.
#[utoipa::path(
    get, path = "/api/v1/shadow/events", tag = "Shadow ledger", params(Filters),
    responses((status = 200, description = "A page of events"))
)]
async fn list(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    let form = money::form(filters.money.as_deref())?;
    let size = PageLimits::default().resolve(filters.limit)?;
    let digest = digest_of(&filters);
    let after = api
        .cursors
        .open_optional(digest, filters.cursor.as_deref())?
        .map_or(0, |position| {
            i64::try_from(position.snapshot).unwrap_or(i64::MAX)
        });
    if let Some(account) = &filters.account_id {
        scope::check(&caller, query::account(account)?)?;
    }
    if let Some(word) = &filters.state
        && State::from_word(word).is_none()
    {
        return Err(problem::field(
            "state",
            "validation_failed",
            "This is no state.",
        ));
    }
    let wanted = list_statement(&filters, after, size)?;
    let rows = api.shadow.db().fetch_all(wanted).await?;
    let more = rows.len() > size;
    let mut items = Vec::new();
    let mut last = after;
    for row in rows.iter().take(size) {
        let stored = Stored::from_row(row).map_err(Problem::from)?;
        last = stored.log_seq;
        if !scope::reaches(&caller, &stored.event.account_id) {
            continue;
        }
        let fits = redrivable(&api, &stored).await?;
        if filters
            .redrivable
            .is_some_and(|wanted| fits != Some(wanted))
        {
            continue;
        }
        let item = serde_json::value::to_raw_value(&shown(&api, &stored, form, fits, None));
        items.push(item.map_err(Problem::internal)?);
    }
    let next_cursor = more.then(|| {
        let position = Position {
            snapshot: last.unsigned_abs(),
            after: Vec::new(),
        };
        api.cursors.seal(digest, &position)
    });
    Ok(Json(Page { items, next_cursor }).into_response())
}

fn digest_of(filters: &Filters) -> FilterDigest {
    let redrivable = filters.redrivable.map(|wanted| wanted.to_string());
    let named = [
        ("accountId", filters.account_id.as_deref()),
        ("currency", filters.currency.as_deref()),
        ("state", filters.state.as_deref()),
        ("source", filters.source.as_deref()),
        ("from", filters.from.as_deref()),
        ("to", filters.to.as_deref()),
        ("redrivable", redrivable.as_deref()),
    ];
    let given = named
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)));
    FilterDigest::new("shadow events", given)
}

fn list_statement(filters: &Filters, after: i64, size: usize) -> Result<Sql, Problem> {
    let mut text = format!(
        "SELECT {} FROM shadow_entries AS e JOIN shadow_books AS b ON b.book_id = e.book_id
         WHERE e.log_seq > $1",
        crate::store::stored::COLUMNS
    );
    let mut args: Vec<florin_platform::sql::Arg> = vec![after.into()];
    let mut also = |clause: &str, value: florin_platform::sql::Arg| {
        args.push(value);
        text.push_str(&format!(" AND {clause} ${}", args.len()));
    };
    if let Some(account) = &filters.account_id {
        also("b.account_id =", account.into());
    }
    if let Some(currency) = &filters.currency {
        also("b.currency =", currency.into());
    }
    if let Some(state) = &filters.state {
        also("e.state =", state.into());
    }
    if let Some(source) = &filters.source {
        also("e.source =", source.into());
    }
    if let Some(from) = query::event_time("from", filters.from.as_deref())? {
        also("e.ts >=", from.into());
    }
    if let Some(to) = query::event_time("to", filters.to.as_deref())? {
        also("e.ts <", to.into());
    }
    if filters.redrivable.is_some() {
        text.push_str(" AND e.state <> 'applied' AND e.state <> 'held'");
    }
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    args.push(limit.into());
    text.push_str(&format!(" ORDER BY e.log_seq LIMIT ${}", args.len()));
    Ok(args.into_iter().fold(Sql::assembled(text), Sql::bind))
}
