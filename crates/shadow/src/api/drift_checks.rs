//! `GET …/drift-checks`, `…/{checkId}`, `…/{checkId}/results` (contract C1).

use std::collections::BTreeMap;

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::page::{FilterDigest, PageLimits};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::Query as Sql;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::control::{Control, ControlApi, after, numbered};
use super::problem::{self, ours};
use super::{money, permission, scope};
use crate::drift::decide::Mismatch;
use crate::drift::explain::Class;
use crate::drift::found::{self, Found};
use crate::drift::render::{self, Print, ResultBody};
use crate::drift::table::{self, CHECK, Check};
use crate::model::Money;

#[derive(OpenApi)]
#[openapi(paths(list, get, results))]
struct Document;

pub(super) fn routes() -> Routes<Control> {
    let get_ = |path| RouteSpec::get(path, permission::READ);
    Routes::new()
        .route(get_("/api/v1/shadow/drift-checks"), list)
        .route(get_("/api/v1/shadow/drift-checks/{checkId}"), get)
        .route(
            get_("/api/v1/shadow/drift-checks/{checkId}/results"),
            results,
        )
        .document(Document::openapi())
}

/// A check without its accounts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowDriftCheck)]
pub(super) struct Shown {
    check_id: String,
    /// `receiving`, `running` or `done`.
    state: String,
    mode: String,
    /// Newest record of the log when the first account was compared.
    log_seq: i64,
    started_by: String,
    #[schema(value_type = String)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>)]
    finished_at: Option<Timestamp>,
    total_accounts: i64,
    accounts_done: i64,
    drifts_detected: i64,
    mismatches: i64,
    corrections_generated: i64,
    #[schema(value_type = f64)]
    tolerated_total: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    tolerated_by_currency: Option<BTreeMap<String, Money>>,
    trace_id: Option<String>,
}

pub(super) fn shown(check: &Check, print: Print<'_>) -> Result<Shown, Problem> {
    let (tolerated_total, tolerated_by_currency) = render::tolerated(check, print)?;
    Ok(Shown {
        check_id: check.id.clone(),
        state: check.state.clone(),
        mode: check.mode.clone(),
        log_seq: check.log_seq,
        started_by: check.actor.clone(),
        started_at: Timestamp(check.started_at),
        finished_at: check.finished_at.map(Timestamp),
        total_accounts: check.accounts,
        accounts_done: check.done,
        drifts_detected: check.drifts,
        mismatches: check.drifts,
        corrections_generated: check.corrections,
        tolerated_total,
        tolerated_by_currency,
        trace_id: check.trace_id.clone(),
    })
}

/// What the list takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// `string` prints amounts as decimal strings.
    money: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// Checks, newest first.
#[utoipa::path(
    get, path = "/api/v1/shadow/drift-checks", tag = "Shadow ledger", params(Listing),
    responses((status = 200, description = "A page of checks", body = Vec<Shown>))
)]
async fn list(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let form = money::form(listing.money.as_deref())?;
    let size = PageLimits::default().resolve(listing.limit).map_err(ours)?;
    let digest = FilterDigest::new("shadow drift checks", []);
    let below = after(&api.cursors, digest, listing.cursor.as_deref())?;
    let text = format!(
        "SELECT {CHECK} FROM shadow_drift_checks WHERE state <> 'receiving' AND made_seq < $1
         ORDER BY made_seq DESC LIMIT $2"
    );
    let statement = Sql::assembled(text)
        .bind(below.unwrap_or(i64::MAX))
        .bind(i64::try_from(size + 1).unwrap_or(i64::MAX));
    let rows = api.shadow().db().fetch_all(statement).await?;
    let print = Print {
        currencies: api.shadow().currencies(),
        form,
    };
    let mut checks = Vec::with_capacity(rows.len());
    for row in &rows {
        checks.push(Check::from_row(row)?);
    }
    let more = checks.len() > size;
    checks.truncate(size);
    let next = checks.last().filter(|_| more).map(|check| check.made_seq);
    let seen = checks.iter().filter(|check| sees(&caller, check));
    let items: Result<Vec<_>, _> = seen.map(|check| shown(check, print)).collect();
    Ok(Json(numbered(&api.cursors, digest, items?, next)).into_response())
}

/// The sums of a check are about all its accounts: of narrowed callers, he who started it sees
/// them.
fn sees(caller: &Caller, check: &Check) -> bool {
    !scope::is_narrowed(caller) || *check.actor == *caller.subject
}

async fn find(api: &ControlApi, id: &str) -> Result<Check, Problem> {
    let found = table::find(api.shadow().db(), id).await?;
    found.ok_or_else(|| problem::not_found("check_not_found", "There is no such check."))
}

/// How money is printed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Printing {
    /// `string` prints amounts as decimal strings.
    money: Option<String>,
}

/// One check and how far it has come.
#[utoipa::path(
    get, path = "/api/v1/shadow/drift-checks/{checkId}", tag = "Shadow ledger",
    params(("checkId" = String, Path), Printing),
    responses((status = 200, body = Shown), (status = 404, description = "`check_not_found`"))
)]
async fn get(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
    Query(printing): Query<Printing>,
) -> Result<Json<Shown>, Problem> {
    let form = money::form(printing.money.as_deref())?;
    let check = find(&api, &id).await?;
    if !sees(&caller, &check) {
        scope::check_whole(&caller)?;
    }
    let print = Print {
        currencies: api.shadow().currencies(),
        form,
    };
    Ok(Json(shown(&check, print)?))
}

/// Filters of the results.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Filters {
    /// `MATCH` or `MISMATCH`.
    status: Option<String>,
    /// Coarse class.
    mismatch_type: Option<String>,
    /// Class of the explanation.
    class: Option<String>,
    /// `string` prints amounts as decimal strings.
    money: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// What a result must be.
struct Wanted {
    tolerated: Option<bool>,
    mismatch: Option<Mismatch>,
    class: Option<Class>,
}

impl Wanted {
    fn of(filters: &Filters) -> Result<Self, Problem> {
        let wrong = |name: &str| {
            let message = format!("`{name}` has no such value.");
            problem::field(name, "validation_failed", message)
        };
        let tolerated = match filters.status.as_deref() {
            None => None,
            Some("MATCH") => Some(true),
            Some("MISMATCH") => Some(false),
            Some(_) => return Err(wrong("status")),
        };
        let mismatch = match filters.mismatch_type.as_deref() {
            None => None,
            Some(word) => Some(Mismatch::from_word(word).ok_or_else(|| wrong("mismatchType"))?),
        };
        let class = match filters.class.as_deref() {
            None => None,
            Some(word) => Some(Class::parse(word).ok_or_else(|| wrong("class"))?),
        };
        Ok(Self {
            tolerated,
            mismatch,
            class,
        })
    }

    fn fits(&self, found: &Found) -> bool {
        self.tolerated.is_none_or(|want| want == found.tolerated)
            && self.mismatch.is_none_or(|want| want == found.mismatch)
            && self
                .class
                .is_none_or(|want| !found.tolerated && want == found.class())
    }

    /// Only accounts that differ can fit: the pages need not be read.
    fn only_differing(&self) -> bool {
        self.tolerated == Some(false)
            || self.class.is_some()
            || matches!(
                self.mismatch,
                Some(Mismatch::ManualReview | Mismatch::MissingCredit | Mismatch::IncorrectDebit)
            )
    }
}

/// The accounts of a check, in the order in which they were given.
#[utoipa::path(
    get, path = "/api/v1/shadow/drift-checks/{checkId}/results", tag = "Shadow ledger",
    params(("checkId" = String, Path), Filters),
    responses(
        (status = 200, description = "A page of results, as in `results` of a check in one piece"),
        (status = 404, description = "`check_not_found`"),
    )
)]
async fn results(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    let form = money::form(filters.money.as_deref())?;
    let size = PageLimits::default().resolve(filters.limit).map_err(ours)?;
    let wanted = Wanted::of(&filters)?;
    let check = find(&api, &id).await?;
    let named = [
        ("check", Some(check.id.as_str())),
        ("status", filters.status.as_deref()),
        ("mismatchType", filters.mismatch_type.as_deref()),
        ("class", filters.class.as_deref()),
    ];
    let given = named
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)));
    let digest = FilterDigest::new("shadow drift results", given);
    let start = after(&api.cursors, digest, filters.cursor.as_deref())?;
    let start = start.map_or(0, |last| last + 1);
    let mut all = collect(&api, &check, &wanted, start, size + 1).await?;
    let more = all.len() > size;
    all.truncate(size);
    let next = all.last().filter(|_| more).map(|found| found.n);
    let print = Print {
        currencies: api.shadow().currencies(),
        form,
    };
    let seen = all
        .iter()
        .filter(|one| scope::reaches(&caller, &one.book.account_id));
    let items: Result<Vec<ResultBody>, _> = seen.map(|one| render::result(one, print)).collect();
    Ok(Json(numbered(&api.cursors, digest, items?, next)).into_response())
}

async fn collect(
    api: &ControlApi,
    check: &Check,
    wanted: &Wanted,
    start: i64,
    size: usize,
) -> Result<Vec<Found>, Problem> {
    /// Accounts that are read at a time when only those that differ are wanted.
    const STEP: i64 = 20_000;
    let db = api.shadow().db();
    let mut all = Vec::new();
    let mut n = start;
    while n < check.accounts && all.len() < size {
        if wanted.only_differing() {
            let differing = found::between(db, &check.id, n, n + STEP).await?;
            all.extend(differing.into_iter().filter(|one| wanted.fits(one)));
            n += STEP;
            continue;
        }
        let Some(page) = table::page_of(db, &check.id, n).await? else {
            break;
        };
        let end = page.first + i64::try_from(page.items.len()).unwrap_or(i64::MAX);
        let differing = found::between(db, &check.id, page.first, end).await?;
        let accounts = render::accounts(&page, differing)?;
        all.extend(
            accounts
                .into_iter()
                .filter(|one| one.n >= n && wanted.fits(one)),
        );
        n = end;
    }
    Ok(all)
}
