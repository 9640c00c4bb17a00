//! `…/dead-letters` (contract A5).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::page::{FilterDigest, Page, PageLimits, Position};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::{Shared, actor, permission, problem, scope};
use crate::store::dead_letters::{self, Fate, Filter, Kept};
use crate::store::keys::{Keyed, made_before};
use crate::worker::topics::Verdict;

/// Bytes of a payload that are shown.
const SHOWN: usize = 64 * 1024;
/// Letters that one call redrives at most.
const BULK_MAX: u32 = 1_000;

#[derive(OpenApi)]
#[openapi(paths(list, get, redrive, discard, redrive_many))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    let base = "/api/v1/shadow/dead-letters";
    let one = "/api/v1/shadow/dead-letters/{id}";
    let post = |path| RouteSpec::post(path, permission::CORRECT);
    Routes::new()
        .route(RouteSpec::get(base, permission::READ), list)
        .route(RouteSpec::get(one, permission::READ), get)
        .route(post("/api/v1/shadow/dead-letters/redrive"), redrive_many)
        .route(post("/api/v1/shadow/dead-letters/{id}/redrive"), redrive)
        .route(post("/api/v1/shadow/dead-letters/{id}/discard"), discard)
        .document(Document::openapi())
}

/// Filters of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// `parked`, `redriven` or `discarded`.
    status: Option<String>,
    /// Code.
    reason: Option<String>,
    /// Topic.
    topic: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// A dead letter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowDeadLetter)]
struct Shown {
    id: String,
    topic: String,
    partition: i64,
    offset: i64,
    #[schema(value_type = String)]
    received_at: Timestamp,
    reason: String,
    /// The first 64 KiB: text, or base64 where it is no UTF-8.
    payload: String,
    encoding: &'static str,
    digest: String,
    status: String,
}

fn shown(kept: Kept) -> Shown {
    let bytes = &kept.letter.payload;
    let first = &bytes[..bytes.len().min(SHOWN)];
    let (payload, encoding) = match std::str::from_utf8(bytes) {
        Ok(text) => {
            let end = text.floor_char_boundary(SHOWN);
            (text[..end].to_owned(), "utf-8")
        }
        Err(_) => (STANDARD.encode(first), "base64"),
    };
    Shown {
        id: kept.id,
        topic: kept.letter.topic,
        partition: kept.letter.partition,
        offset: kept.letter.offset,
        received_at: Timestamp(kept.received_at),
        reason: kept.letter.reason,
        payload,
        encoding,
        digest: kept.digest,
        status: kept.status,
    }
}

/// Dead letters in the order of arrival.
#[utoipa::path(
    get, path = "/api/v1/shadow/dead-letters", tag = "Shadow ledger", params(Filters),
    responses((status = 200, description = "A page of dead letters", body = Vec<Shown>))
)]
async fn list(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    scope::check_whole(&caller)?;
    let size = PageLimits::default().resolve(filters.limit)?;
    let named = [
        ("status", filters.status.as_deref()),
        ("reason", filters.reason.as_deref()),
        ("topic", filters.topic.as_deref()),
    ];
    let given = named
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)));
    let digest = FilterDigest::new("shadow dead letters", given);
    let position = api
        .cursors
        .open_optional(digest, filters.cursor.as_deref())?;
    let after = position.map_or(0, |position| {
        i64::try_from(position.snapshot).unwrap_or(i64::MAX)
    });
    let filter = Filter {
        status: filters.status,
        reason: filters.reason,
        topic: filters.topic,
    };
    let mut letters = dead_letters::list(&api.shadow, &filter, after, size + 1).await?;
    let more = letters.len() > size;
    letters.truncate(size);
    let next_cursor = letters.last().filter(|_| more).map(|last| {
        let position = Position {
            snapshot: last.arrival.unsigned_abs(),
            after: Vec::new(),
        };
        api.cursors.seal(digest, &position)
    });
    let items: Vec<Shown> = letters.into_iter().map(shown).collect();
    Ok(Json(Page { items, next_cursor }).into_response())
}

/// The bytes of a letter may be about any account.
async fn find(api: &Shared, caller: &Caller, id: &str) -> Result<Kept, Problem> {
    scope::check_whole(caller)?;
    let found = dead_letters::find(&api.shadow, id).await?;
    found.ok_or_else(|| problem::not_found("dead_letter_not_found", "There is no such letter."))
}

/// One dead letter.
#[utoipa::path(
    get, path = "/api/v1/shadow/dead-letters/{id}", tag = "Shadow ledger",
    params(("id" = String, Path)),
    responses((status = 200, body = Shown), (status = 404, description = "`dead_letter_not_found`"))
)]
async fn get(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    Ok(Json(shown(find(&api, &caller, &id).await?)))
}

/// What a redrive came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowRedriven)]
struct Redriven {
    id: String,
    /// `redriven` or `parked`.
    status: &'static str,
    /// `accepted` or `duplicate` when redriven.
    result: Option<&'static str>,
    /// Why it is still parked.
    reason: Option<String>,
}

async fn submit(api: &Shared, kept: Kept, caller: &Caller) -> Result<Redriven, Problem> {
    let verdict = api.entrance.again(&kept.letter).await?;
    let (status, result, reason, fate) = match verdict {
        Verdict::Recorded => ("redriven", Some("accepted"), None, Fate::Redriven),
        Verdict::Known => ("redriven", Some("duplicate"), None, Fate::Redriven),
        Verdict::Dead(reason) => (
            "parked",
            None,
            Some(reason.clone()),
            Fate::StillParked(reason),
        ),
    };
    dead_letters::settle(&api.shadow, &kept.id, fate, actor(caller)).await?;
    Ok(Redriven {
        id: kept.id,
        status,
        result,
        reason,
    })
}

fn must_be_parked(kept: &Kept) -> Result<(), Problem> {
    match kept.status == "parked" {
        true => Ok(()),
        false => Err(problem::conflict(
            "invalid_state",
            "Only a parked letter can be redriven or discarded.",
        )),
    }
}

/// Submit the original bytes again.
#[utoipa::path(
    post, path = "/api/v1/shadow/dead-letters/{id}/redrive", tag = "Shadow ledger",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Redriven),
        (status = 409, description = "`invalid_state`, `idempotency_conflict`"),
    )
)]
async fn redrive(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Response, Problem> {
    let kept = find(&api, &caller, &id).await?;
    let asked = vec![("id", id.into())];
    let key = key.map(|key| Keyed::new("letter", &actor(&caller), &key, asked));
    if let Some(before) = made_before(api.shadow.db(), key.as_ref()).await? {
        return Ok(replayed(Json(before).into_response()));
    }
    must_be_parked(&kept)?;
    let done = submit(&api, kept, &caller).await?;
    keep(&api, key, &done).await?;
    Ok(Json(done).into_response())
}

/// Keeps an answer under its key. What it tells is done already: each letter is submitted once,
/// and the same request before this commit goes on where it was.
async fn keep(api: &Shared, key: Option<Keyed>, done: &impl Serialize) -> Result<(), Problem> {
    if key.is_none() {
        return Ok(());
    }
    let made = serde_json::to_value(done).map_err(Problem::internal)?;
    let kept = api.shadow.write(move |session| {
        Box::pin(async move {
            match session.made_under(key.as_ref()).await? {
                Some(_) => Ok(()),
                None => session.keep_made(key.as_ref(), 200, made).await,
            }
        })
    });
    Ok(kept.await?)
}

/// Why a letter is given up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShadowDiscard)]
struct Why {
    /// 1 to 500 characters.
    reason: String,
}

/// Give a dead letter up.
#[utoipa::path(
    post, path = "/api/v1/shadow/dead-letters/{id}/discard", tag = "Shadow ledger",
    params(("id" = String, Path)), request_body = Why,
    responses((status = 200, body = Shown), (status = 409, description = "`invalid_state`"))
)]
async fn discard(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<Json<Shown>, Problem> {
    if why.reason.trim().is_empty() || why.reason.chars().count() > 500 {
        let message = "The reason has 1 to 500 characters.";
        return Err(problem::field("reason", "required", message));
    }
    let kept = find(&api, &caller, &id).await?;
    must_be_parked(&kept)?;
    let (fate, by) = (Fate::Discarded(why.reason), actor(&caller));
    dead_letters::settle(&api.shadow, &id, fate, by).await?;
    Ok(Json(shown(find(&api, &caller, &id).await?)))
}

/// Which letters to redrive.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShadowRedriveMany)]
struct Many {
    /// Only letters with this reason.
    reason: Option<String>,
    /// At most so many, default 100, at most 1000.
    limit: Option<u32>,
}

/// Submit many again, in the order of their arrival.
#[utoipa::path(
    post, path = "/api/v1/shadow/dead-letters/redrive", tag = "Shadow ledger",
    request_body = Many,
    responses((status = 200, description = "What each came to", body = Vec<Redriven>))
)]
async fn redrive_many(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Json(many): Json<Many>,
) -> Result<Response, Problem> {
    scope::check_whole(&caller)?;
    let limit = many.limit.unwrap_or(100);
    if limit == 0 || limit > BULK_MAX {
        let message = format!("The limit must be 1 to {BULK_MAX}.");
        return Err(problem::field("limit", "validation_failed", message));
    }
    let asked = vec![
        ("reason", many.reason.clone().into()),
        ("limit", limit.into()),
    ];
    let key = key.map(|key| Keyed::new("letters", &actor(&caller), &key, asked));
    if let Some(before) = made_before(api.shadow.db(), key.as_ref()).await? {
        return Ok(replayed(Json(before).into_response()));
    }
    let filter = Filter {
        status: Some("parked".to_owned()),
        reason: many.reason,
        topic: None,
    };
    let letters = dead_letters::list(&api.shadow, &filter, 0, limit as usize).await?;
    let mut items = Vec::with_capacity(letters.len());
    for kept in letters {
        items.push(submit(&api, kept, &caller).await?);
    }
    let done = serde_json::json!({ "items": items });
    keep(&api, key, &done).await?;
    Ok(Json(done).into_response())
}
