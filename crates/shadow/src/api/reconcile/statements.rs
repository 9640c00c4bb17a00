//! `POST …/statements`, `GET …/statements`, `…/statements/{id}`, `…/imports/{id}` (contract D1).

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::created;
use florin_platform::http::router::{RouteSpec, Routes};
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{Shared, Walk};
use crate::api::problem::{field, not_found, ours};
use crate::api::{actor, class, money, permission, query, scope};
use crate::intake::{Ids, is_id};
use crate::statements::fault::{FaultCode, StatementFault};
use crate::statements::model::Format;
use crate::statements::render::{self, StatementOut};
use crate::statements::spool::{Spool, Spooled, boundary};
use crate::statements::{ImportOptions, problem, tables};

const PATH: &str = "/api/v1/shadow/statements";
/// Room for the frame of a multipart body around the largest file.
const FRAME_BYTES: usize = 64 << 10;
/// Pieces of a body that may wait for the disk.
const PIECES_MAX: usize = 8;
/// Longest wait for the next piece of a body.
const IDLE: std::time::Duration = std::time::Duration::from_secs(60);

#[derive(utoipa::OpenApi)]
#[openapi(paths(post, list, one, import))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    let limit = usize::try_from(crate::statements::input::Limits::default().packed);
    let limit = limit.unwrap_or(usize::MAX / 2) + FRAME_BYTES;
    Routes::new()
        .route(
            RouteSpec::post(PATH, permission::IMPORT)
                .body_limit(limit)
                .class(class::imports()),
            post,
        )
        .route(RouteSpec::get(PATH, permission::READ), list)
        .route(
            RouteSpec::get("/api/v1/shadow/statements/{id}", permission::READ),
            one,
        )
        .route(
            RouteSpec::get("/api/v1/shadow/imports/{id}", permission::READ),
            import,
        )
        .document(<Document as utoipa::OpenApi>::openapi())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PostQuery {
    format: Option<String>,
    account_id: Option<String>,
    profile: Option<String>,
    mode: Option<String>,
    partial: Option<String>,
    require_balances: Option<String>,
    opening: Option<String>,
    closing: Option<String>,
    auto_match: Option<String>,
    money: Option<String>,
}

fn flag(name: &str, text: Option<&str>, default: bool) -> Result<bool, Problem> {
    match text {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(field(
            name,
            "validation_failed",
            "Either `true` or `false`.",
        )),
    }
}

fn amount(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text else { return Ok(None) };
    // The currency is not known yet: the digits are judged when it is.
    match florin_base::Decimal::parse(&text) {
        Ok(_) => Ok(Some(text)),
        Err(_) => Err(field(name, "amount_invalid", "A plain decimal is needed.")),
    }
}

fn options(query: &PostQuery) -> Result<ImportOptions, Problem> {
    let format = query.format.as_deref().map(|word| {
        Format::from_word(word).ok_or_else(|| {
            let detail = "The format is not read: camt053, mt940, csv, bai2 or ofx.";
            ours(problem::of(&StatementFault::new(
                FaultCode::UnsupportedFormat,
                detail,
            )))
        })
    });
    let lenient = match query.mode.as_deref() {
        None | Some("strict") => false,
        Some("lenient") => true,
        Some(_) => {
            return Err(field(
                "mode",
                "validation_failed",
                "Either `strict` or `lenient`.",
            ));
        }
    };
    if let Some(account) = &query.account_id {
        query::account(account)?;
    }
    Ok(ImportOptions {
        format: format.transpose()?,
        account: query.account_id.clone(),
        profile: query.profile.clone(),
        lenient,
        partial: flag("partial", query.partial.as_deref(), false)?,
        require_balances: flag("requireBalances", query.require_balances.as_deref(), true)?,
        opening: amount("opening", query.opening.clone())?,
        closing: amount("closing", query.closing.clone())?,
        key: None,
    })
}

/// Imports a file of statements.
#[utoipa::path(
    post, path = "/api/v1/shadow/statements", tag = "Shadow statements",
    request_body(content_type = "application/octet-stream", description = "The file, also gzip, or `multipart/form-data` with one file; at most 256 MiB, 1 GiB unpacked"),
    params(super::shapes::ImportParams),
    responses(
        (status = 200, description = "The same file was imported before: `Idempotency-Replayed: true`", body = super::shapes::ImportShape),
        (status = 201, description = "Read, proved and stored", body = super::shapes::ImportShape),
        (status = 400, description = "`statement_unreadable`, `charset_error`, `xml_dtd_refused`, `profile_unknown`, `amount_invalid`: the place in the file stands in `line`"),
        (status = 409, description = "`statement_conflict`: the same statement with another content; `idempotency_conflict`"),
        (status = 413, description = "`body_too_large`, also when unpacked"),
        (status = 422, description = "`statement_out_of_balance` with `expected`, `found`, `difference`; `balance_missing`, `currency_mismatch`, `unsupported_format`, `unsupported_message`, `unsupported_version`, `account_unmapped`, `amount_precision`, `invalid_date`"),
    )
)]
async fn post(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<PostQuery>,
    IdempotencyKey(key): IdempotencyKey,
    request: Request,
) -> Result<Response, Problem> {
    let form = money::form(query.money.as_deref())?;
    let auto_match = flag("autoMatch", query.auto_match.as_deref(), true)?;
    let options = ImportOptions {
        key,
        ..options(&query)?
    };
    if let Some(account) = &options.account {
        scope::check(&caller, account)?;
    } else if scope::is_narrowed(&caller) {
        let message = "This credential is narrowed to accounts: name the account.";
        return Err(field("accountId", "required", message));
    }
    let file = spool(&api, request)
        .await
        .map_err(|fault| ours(problem::of(&fault)))?;
    let actor = actor(&caller);
    let imported = api
        .statements
        .import(file, options, &actor)
        .await
        .map_err(ours)?;
    if auto_match {
        for book in &imported.books {
            api.reconciler
                .after_import(book, &actor)
                .await
                .map_err(ours)?;
        }
    }
    let db = api.shadow().db();
    let out = render::import(db, &imported.id, form).await?;
    let out = out.ok_or_else(|| Problem::internal("an import is there after its commit"))?;
    if imported.replayed {
        return Ok(replayed(Json(out).into_response()));
    }
    created(&format!("/api/v1/shadow/imports/{}", imported.id), out)
}

/// The body, or the one file of a multipart body, in a temporary file.
async fn spool(api: &Shared, request: Request) -> Result<Spooled, StatementFault> {
    let content_type = request.headers().get(http::header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let multipart = boundary(content_type);
    if multipart.is_none() && content_type.to_ascii_lowercase().starts_with("multipart/") {
        return Err(StatementFault::unreadable(
            1,
            "multipart: the boundary is missing or wrong",
        ));
    }
    let room = if multipart.is_some() {
        FRAME_BYTES as u64
    } else {
        0
    };
    let limit = api.statements.limits().packed + room;
    let (send, mut receive) = mpsc::channel::<Bytes>(PIECES_MAX);
    let writing = tokio::task::spawn_blocking(move || {
        let mut spool = Spool::new(limit)?;
        while let Some(piece) = receive.blocking_recv() {
            spool.push(&piece)?;
        }
        match multipart {
            Some(boundary) => spool.part(&boundary),
            None => Ok(spool.whole()),
        }
    });
    let mut body = request.into_body().into_data_stream();
    let broken = loop {
        match tokio::time::timeout(IDLE, body.next()).await {
            Ok(Some(Ok(piece))) => {
                if send.send(piece).await.is_err() {
                    // The writer says itself why it stopped.
                    break None;
                }
            }
            Ok(None) => break None,
            Ok(Some(Err(_))) => break Some("the body broke off"),
            Err(_) => break Some("the body stood still for a minute"),
        }
    };
    drop(send);
    let written = writing.await;
    let written = written.map_err(|error| StatementFault::new(FaultCode::Io, error.to_string()))?;
    match broken {
        Some(detail) => Err(StatementFault::unreadable(1, detail)),
        None => written,
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct ListQuery {
    account_id: Option<String>,
    currency: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    money: Option<String>,
}

/// Lists statements in the order of import.
#[utoipa::path(
    get, path = "/api/v1/shadow/statements", tag = "Shadow statements",
    params(ListQuery),
    responses(
        (status = 200, description = "Statements in the order of import", body = super::shapes::StatementPage),
        (status = 400, description = "`cursor_invalid`, `cursor_mismatch` or a filter that is not known"),
    )
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let form = money::form(query.money.as_deref())?;
    let account = query.account_id.as_deref();
    narrow(&caller, account)?;
    let filters = [
        ("accountId", account),
        ("currency", query.currency.as_deref()),
    ];
    let walk = Walk::new(
        &api,
        "shadow.statements",
        filters,
        query.limit,
        query.cursor.as_deref(),
    )?;
    let [after] = walk.numbers();
    let filter = tables::StatementFilter {
        account,
        currency: query.currency.as_deref(),
        after,
        limit: walk.wanted(),
    };
    let found = tables::statements(api.shadow().db(), &filter).await?;
    let rows = found
        .into_iter()
        .map(|s| ([s.number], StatementOut::new(s, form)))
        .collect();
    Ok(Json(walk.page(&api, rows)).into_response())
}

/// A list of a narrowed credential names the account.
pub(super) fn narrow(caller: &Caller, account: Option<&str>) -> Result<(), Problem> {
    if let Some(account) = account {
        query::account(account)?;
    }
    scope::check_list(caller, account)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MoneyQuery {
    /// `string` prints amounts as decimal strings.
    pub(super) money: Option<String>,
}

/// Shows a statement.
#[utoipa::path(
    get, path = "/api/v1/shadow/statements/{id}", tag = "Shadow statements",
    params(("id" = String, Path), MoneyQuery),
    responses(
        (status = 200, description = "The statement", body = super::shapes::StatementShape),
        (status = 404, description = "`statement_not_found`"),
    )
)]
async fn one(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<MoneyQuery>,
) -> Result<Response, Problem> {
    let form = money::form(query.money.as_deref())?;
    match tables::statement(api.shadow().db(), &id).await? {
        Some(statement) => {
            scope::check(&caller, &statement.account_id)?;
            Ok(Json(StatementOut::new(statement, form)).into_response())
        }
        None => Err(not_found(
            "statement_not_found",
            "There is no such statement.",
        )),
    }
}

/// Shows what came of a file.
#[utoipa::path(
    get, path = "/api/v1/shadow/imports/{id}", tag = "Shadow statements",
    params(("id" = String, Path), MoneyQuery),
    responses(
        (status = 200, description = "What became of a file", body = super::shapes::ImportShape),
        (status = 404, description = "`import_not_found`"),
    )
)]
async fn import(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<MoneyQuery>,
) -> Result<Response, Problem> {
    scope::check_whole(&caller)?;
    let form = money::form(query.money.as_deref())?;
    match render::import(api.shadow().db(), &id, form).await? {
        Some(out) => Ok(Json(out).into_response()),
        None => Err(not_found("import_not_found", "There is no such import.")),
    }
}

/// Names of profiles: as ids of accounts.
pub(super) fn name(text: &str) -> Result<&str, Problem> {
    match is_id(text, Ids::ACCOUNT) {
        true => Ok(text),
        false => Err(field(
            "name",
            "invalid_id",
            "1 to 64 characters as in an account id.",
        )),
    }
}
