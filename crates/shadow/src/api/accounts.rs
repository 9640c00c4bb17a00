//! `GET …/accounts`, `…/accounts/{id}/digest`, `…/digests` (contract B2, B3).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::page::{FilterDigest, Page, PageLimits, Position};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::{Shared, money, permission, query, scope};
use crate::model::{BookId, Money};
use crate::store::read::{self, BookRow, Known};

#[derive(OpenApi)]
#[openapi(paths(list, digest, digests))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    let read = |path| RouteSpec::get(path, permission::READ);
    Routes::new()
        .route(read("/api/v1/shadow/accounts"), list)
        .route(read("/api/v1/shadow/accounts/{accountId}/digest"), digest)
        .route(read("/api/v1/shadow/digests"), digests)
        .document(Document::openapi())
}

/// Paging of the lists of books.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Paging {
    /// `string`: decimal strings with the full scale.
    money: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// A book in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowBook)]
struct Shown {
    account_id: String,
    currency: String,
    #[schema(value_type = f64)]
    balance: Money,
    last_event: Option<String>,
    entries: i64,
    events: i64,
    #[schema(value_type = Option<f64>)]
    floor: Option<Money>,
    policy: String,
    linked: bool,
}

/// Books with their balances.
#[utoipa::path(
    get, path = "/api/v1/shadow/accounts", tag = "Shadow ledger", params(Paging),
    responses((status = 200, description = "A page of books", body = Vec<Shown>))
)]
async fn list(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let form = money::form(paging.money.as_deref())?;
    let (rows, next_cursor) = page(&api, "shadow accounts", &paging).await?;
    let shown = |row: BookRow| {
        let print = |minor| money::print(&api.shadow, &row.id.currency, minor, form);
        Shown {
            balance: print(row.balance),
            floor: row.floor.map(print),
            account_id: row.id.account_id.clone(),
            currency: row.id.currency.clone(),
            last_event: row.last_event,
            entries: row.entries,
            events: row.events,
            policy: row.policy,
            linked: row.linked,
        }
    };
    let seen = rows
        .into_iter()
        .filter(|row| scope::reaches(&caller, &row.id.account_id));
    let items: Vec<Shown> = seen.map(shown).collect();
    Ok(Json(Page { items, next_cursor }).into_response())
}

async fn page(
    api: &Shared,
    name: &str,
    paging: &Paging,
) -> Result<(Vec<BookRow>, Option<String>), Problem> {
    let size = PageLimits::default().resolve(paging.limit)?;
    let filters = FilterDigest::new(name, []);
    let position = api
        .cursors
        .open_optional(filters, paging.cursor.as_deref())?;
    let after = position.and_then(|position| {
        let text = String::from_utf8(position.after).ok()?;
        let (account, currency) = text.split_once('\n')?;
        Some(BookId::new(account, currency))
    });
    let mut rows = read::books(api.shadow.db(), after.as_ref(), size + 1).await?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next_cursor = rows.last().filter(|_| more).map(|last| {
        let position = Position {
            snapshot: 0,
            after: format!("{}\n{}", last.id.account_id, last.id.currency).into_bytes(),
        };
        api.cursors.seal(filters, &position)
    });
    Ok((rows, next_cursor))
}

/// What a digest is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Another book of the account.
    currency: Option<String>,
    /// Recorded time, inclusive.
    known_at: Option<String>,
}

/// The digest of a book.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowDigest)]
struct Digest {
    account_id: String,
    currency: String,
    digest: String,
    events: u64,
    log_seq: i64,
}

async fn digest_of(api: &Shared, book: BookId, known: Known) -> Result<Digest, Problem> {
    let (digest, events) = read::digest(api.shadow.db(), &book, known).await?;
    Ok(Digest {
        account_id: book.account_id,
        currency: book.currency,
        digest,
        events,
        log_seq: known.log_seq,
    })
}

/// The digest over all recorded events of a book.
#[utoipa::path(
    get, path = "/api/v1/shadow/accounts/{accountId}/digest", tag = "Shadow ledger",
    params(("accountId" = String, Path), Asked),
    responses((status = 200, description = "The digest", body = Digest))
)]
async fn digest(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Path(account_id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Digest>, Problem> {
    let book = query::book(&api.shadow, &account_id, asked.currency.as_deref())?;
    scope::check(&caller, &book.account_id)?;
    let known = match &asked.known_at {
        Some(text) => {
            let instant = query::recorded_time("knownAt", text)?;
            query::known_at(&api.shadow, instant).await?
        }
        None => query::now(&api.shadow).await?,
    };
    Ok(Json(digest_of(&api, book, known).await?))
}

/// The digests of all books.
#[utoipa::path(
    get, path = "/api/v1/shadow/digests", tag = "Shadow ledger", params(Paging),
    responses((status = 200, description = "A page of digests", body = Vec<Digest>))
)]
async fn digests(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let known = query::now(&api.shadow).await?;
    let (rows, next_cursor) = page(&api, "shadow digests", &paging).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        if row.events > 0 && scope::reaches(&caller, &row.id.account_id) {
            items.push(digest_of(&api, row.id, known).await?);
        }
    }
    Ok(Json(Page { items, next_cursor }).into_response())
}
