//! `…/links`: accounts of our own ledger as the shadowed side (contract D4).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::created;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::control::{Control, ControlApi};
use super::problem::{self, ours};
use super::{actor, money, permission, query, scope};
use crate::links::{Link, Links, NewLink, Orientation};
use crate::model::{BookId, Money};

/// Longest reference of an account.
const REF_MAX: usize = 140;

#[derive(OpenApi)]
#[openapi(paths(put, list, get, status))]
struct Document;

pub(super) fn routes() -> Routes<Control> {
    let one = "/api/v1/shadow/links/{accountId}";
    Routes::new()
        .route(RouteSpec::put(one, permission::CONFIGURE), put)
        .route(
            RouteSpec::get("/api/v1/shadow/links", permission::READ),
            list,
        )
        .route(RouteSpec::get(one, permission::READ), get)
        .route(
            RouteSpec::get("/api/v1/shadow/links/{accountId}/status", permission::READ),
            status,
        )
        .document(Document::openapi())
}

fn links(api: &ControlApi) -> Result<&Links, Problem> {
    api.links.as_ref().ok_or_else(|| {
        let detail = "This process has no ledger to link to.";
        problem::not_found("link_not_found", detail)
    })
}

/// A link to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ShadowLinkRequest)]
struct Asked {
    /// Account of the ledger.
    ledger_account: String,
    /// Asset code; the default currency if absent.
    currency: Option<String>,
    /// `asset` (default) or `liability`.
    orientation: Option<String>,
    /// The bank's number of the account.
    account_ref: Option<String>,
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowLink)]
struct Shown {
    account_id: String,
    currency: String,
    ledger_account: String,
    orientation: &'static str,
    account_ref: Option<String>,
    position: u64,
    made_by: String,
    #[schema(value_type = String)]
    made_at: Timestamp,
}

fn shown(link: Link) -> Shown {
    Shown {
        account_id: link.book.account_id,
        currency: link.book.currency,
        ledger_account: link.ledger_account,
        orientation: link.orientation.as_str(),
        account_ref: link.account_ref,
        position: link.position,
        made_by: link.made_by,
        made_at: Timestamp(link.made_at),
    }
}

/// Make an account of the ledger the shadowed side of a book.
#[utoipa::path(
    put, path = "/api/v1/shadow/links/{accountId}", tag = "Shadow ledger",
    params(("accountId" = String, Path)), request_body = Asked,
    responses(
        (status = 200, description = "It was linked so before", body = Shown),
        (status = 201, description = "Linked", body = Shown),
        (status = 404, description = "`account_not_found`"),
        (status = 409, description = "`book_not_empty`, `already_linked`"),
    )
)]
async fn put(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(account): Path<String>,
    Json(asked): Json<Asked>,
) -> Result<Response, Problem> {
    let links = links(&api)?;
    let book = query::book(api.shadow(), &account, asked.currency.as_deref())?;
    scope::check(&caller, &book.account_id)?;
    let orientation = match asked.orientation.as_deref() {
        None => Orientation::Asset,
        Some(word) => Orientation::from_word(word).ok_or_else(|| {
            let message = "The orientation is `asset` or `liability`.";
            problem::field("orientation", "validation_failed", message)
        })?,
    };
    let reference = asked.account_ref.filter(|text| !text.is_empty());
    if reference
        .as_deref()
        .is_some_and(|text| text.chars().count() > REF_MAX || text.chars().any(char::is_control))
    {
        let message = "The reference has at most 140 characters.";
        return Err(problem::field("accountRef", "too_long", message));
    }
    let new = NewLink {
        book,
        ledger_account: asked.ledger_account,
        orientation,
        account_ref: reference,
    };
    let (link, new) = links.put(new, actor(&caller)).await.map_err(ours)?;
    let location = format!("/api/v1/shadow/links/{}", link.book.account_id);
    match new {
        true => created(&location, shown(link)),
        false => Ok(Json(shown(link)).into_response()),
    }
}

/// All links.
#[utoipa::path(
    get, path = "/api/v1/shadow/links", tag = "Shadow ledger",
    responses((status = 200, description = "All links", body = Vec<Shown>))
)]
async fn list(AxumState(api): AxumState<Control>, caller: Caller) -> Result<Response, Problem> {
    let all = match &api.links {
        Some(links) => links.all().await?,
        None => Vec::new(),
    };
    let page = Page {
        items: all
            .into_iter()
            .filter(|link| scope::reaches(&caller, &link.book.account_id))
            .map(shown)
            .collect::<Vec<_>>(),
        next_cursor: None,
    };
    Ok(Json(page).into_response())
}

/// Which book of the account.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Asset code; the default currency if absent.
    currency: Option<String>,
    /// `string` prints amounts as decimal strings.
    money: Option<String>,
}

fn book(api: &ControlApi, account: &str, which: &Which) -> Result<BookId, Problem> {
    query::book(api.shadow(), account, which.currency.as_deref())
}

/// One link.
#[utoipa::path(
    get, path = "/api/v1/shadow/links/{accountId}", tag = "Shadow ledger",
    params(("accountId" = String, Path), Which),
    responses((status = 200, body = Shown), (status = 404, description = "`link_not_found`"))
)]
async fn get(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(account): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Shown>, Problem> {
    let book = book(&api, &account, &which)?;
    scope::check(&caller, &book.account_id)?;
    let found = links(&api)?.find(&book).await?;
    let found = found.ok_or_else(|| ours(crate::links::not_found()))?;
    Ok(Json(shown(found)))
}

/// Where a link stands: the first two balances are equal at the same position.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowLinkStatus)]
struct StatusAnswer {
    account_id: String,
    currency: String,
    #[schema(value_type = f64)]
    ledger_balance: Money,
    #[schema(value_type = f64)]
    shadow_balance: Money,
    /// Newest closing balance of the bank, if there is one.
    #[schema(value_type = Option<f64>)]
    bank_balance: Option<Money>,
    /// Last `seq` of the ledger that the book reflects.
    feed_position: u64,
    lag_seconds: i64,
}

/// Ledger, shadow and bank side by side.
#[utoipa::path(
    get, path = "/api/v1/shadow/links/{accountId}/status", tag = "Shadow ledger",
    params(("accountId" = String, Path), Which),
    responses((status = 200, body = StatusAnswer), (status = 404, description = "`link_not_found`"))
)]
async fn status(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(account): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<StatusAnswer>, Problem> {
    let form = money::form(which.money.as_deref())?;
    let book = book(&api, &account, &which)?;
    scope::check(&caller, &book.account_id)?;
    let standing = links(&api)?.standing(&book).await.map_err(ours)?;
    let bank = api.checker.evidence().closing(&book).await?;
    let print = |minor| money::print(api.shadow(), &book.currency, minor, form);
    Ok(Json(StatusAnswer {
        ledger_balance: print(standing.ledger),
        shadow_balance: print(standing.shadow),
        bank_balance: bank.map(|closing| print(closing.balance)),
        feed_position: standing.feed_position,
        lag_seconds: (standing.lag_micros + 999_999) / 1_000_000,
        account_id: book.account_id,
        currency: book.currency,
    }))
}
