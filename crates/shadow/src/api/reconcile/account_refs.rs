//! `PUT|GET …/account-refs/{ref}`, `GET …/account-refs`: which account a bank's reference is
//! (contract D1).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, NoQuery, Path, Query};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::query;
use serde::Deserialize;
use serde_json::json;

use super::body::Body;
use super::{ListParams, Shared, Walk};
use crate::api::problem::{field, not_found};
use crate::api::{actor, permission, query as parts, scope};
use crate::statements::tables;
use crate::store::NewRecord;

const PATH: &str = "/api/v1/shadow/account-refs/{ref}";
/// Longest reference, in characters.
const REF_MAX: usize = 140;

#[derive(utoipa::OpenApi)]
#[openapi(paths(put, get, list))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    Routes::new()
        .route(RouteSpec::put(PATH, permission::IMPORT), put)
        .route(RouteSpec::get(PATH, permission::READ), get)
        .route(
            RouteSpec::get("/api/v1/shadow/account-refs", permission::READ),
            list,
        )
        .document(<Document as utoipa::OpenApi>::openapi())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mapping {
    account_id: String,
}

/// Says which account a reference is, from now on.
#[utoipa::path(
    put, path = "/api/v1/shadow/account-refs/{ref}", tag = "Shadow statements",
    request_body = super::shapes::MappingShape,
    params(("ref" = String, Path)),
    responses(
        (status = 200, description = "Mapped from now on", body = super::shapes::AccountRefShape),
        (status = 400, description = "`invalid_id`, `required`"),
    )
)]
async fn put(
    State(api): State<Shared>,
    caller: Caller,
    Path(reference): Path<String>,
    Body(mapping): Body<Mapping>,
) -> Result<Response, Problem> {
    let plain: String = reference.chars().filter(|c| !c.is_whitespace()).collect();
    let fits =
        (1..=REF_MAX).contains(&plain.chars().count()) && !plain.chars().any(char::is_control);
    if !fits {
        return Err(field(
            "ref",
            "invalid_id",
            "1 to 140 characters without blanks.",
        ));
    }
    parts::account(&mapping.account_id)?;
    scope::check(&caller, &mapping.account_id)?;
    let (actor, account) = (actor(&caller), mapping.account_id);
    let out = json!({ "accountRef": plain, "accountId": account });
    let content = out.clone();
    api.shadow()
        .write(move |session| {
            Box::pin(async move {
                let now = session.now();
                let upsert = query(
                    "INSERT INTO shadow_account_refs (ref, account_id, actor, updated_at)
                     VALUES ($1, $2, $3, $4)
                     ON CONFLICT (ref) DO UPDATE SET account_id = excluded.account_id,
                        actor = excluded.actor, updated_at = excluded.updated_at",
                )
                .bind(&plain)
                .bind(&account)
                .bind(&actor.subject)
                .bind(now);
                session.tx().execute(upsert).await?;
                session.append(NewRecord::new("statement_setting", actor, &content).subject(plain));
                Ok(())
            })
        })
        .await?;
    Ok(Json(out).into_response())
}

/// Shows which account a reference is.
#[utoipa::path(
    get, path = "/api/v1/shadow/account-refs/{ref}", tag = "Shadow statements",
    params(("ref" = String, Path)),
    responses(
        (status = 200, description = "Its account", body = super::shapes::AccountRefShape),
        (status = 404, description = "`account_ref_not_found`"),
    )
)]
async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(reference): Path<String>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Response, Problem> {
    match tables::account_of(api.shadow().db(), &reference).await? {
        Some(account) => {
            scope::check(&caller, &account)?;
            Ok(Json(json!({ "accountRef": reference, "accountId": account })).into_response())
        }
        None => Err(not_found(
            "account_ref_not_found",
            "This reference is not mapped.",
        )),
    }
}

/// Lists mapped references.
#[utoipa::path(
    get, path = "/api/v1/shadow/account-refs", tag = "Shadow statements",
    params(super::ListParams),
    responses(
        (status = 200, description = "References by name", body = super::shapes::AccountRefPage),
    )
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(asked): Query<ListParams>,
) -> Result<Response, Problem> {
    let cursor = asked.cursor.as_deref();
    let walk = Walk::new(&api, "shadow.account-refs", [], asked.limit, cursor)?;
    let text =
        "SELECT ref, account_id FROM shadow_account_refs WHERE ref > $1 ORDER BY ref LIMIT $2";
    let wanted = i64::try_from(walk.wanted()).unwrap_or(i64::MAX);
    let page = query(text).bind(walk.name()?).bind(wanted);
    let mut items = Vec::new();
    for row in api.shadow().db().fetch_all(page).await? {
        let (reference, account): (String, String) = (row.get("ref")?, row.get("account_id")?);
        items.push((reference, account));
    }
    let mut page = walk.named(&api, pairs(items));
    page.items
        .retain(|(_, account)| scope::reaches(&caller, account));
    let items = page.items.iter();
    let items: Vec<_> = items
        .map(|(reference, account)| json!({ "accountRef": reference, "accountId": account }))
        .collect();
    Ok(Json(json!({ "items": items, "nextCursor": page.next_cursor })).into_response())
}

/// Each row under its own name.
fn pairs(rows: Vec<(String, String)>) -> Vec<(String, (String, String))> {
    let named = |row: (String, String)| (row.0.clone(), row);
    rows.into_iter().map(named).collect()
}
