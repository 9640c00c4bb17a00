//! `PUT|GET …/csv-profiles/{name}`, `GET …/csv-profiles` (contract D1, CSV).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, NoQuery, Path, Query};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::query;
use serde::Serialize;
use serde_json::json;

use super::body::Body;
use super::statements::name;
use super::{ListParams, Shared, Walk};
use crate::api::problem::{field, not_found};
use crate::api::{actor, permission};
use crate::statements::csv::Profile;
use crate::statements::tables;
use crate::store::NewRecord;

const PATH: &str = "/api/v1/shadow/csv-profiles/{name}";

#[derive(utoipa::OpenApi)]
#[openapi(paths(put, get, list))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    Routes::new()
        .route(RouteSpec::put(PATH, permission::IMPORT), put)
        .route(RouteSpec::get(PATH, permission::READ), get)
        .route(
            RouteSpec::get("/api/v1/shadow/csv-profiles", permission::READ),
            list,
        )
        .document(<Document as utoipa::OpenApi>::openapi())
}

#[derive(Serialize)]
struct ProfileOut {
    name: String,
    #[serde(flatten)]
    profile: Profile,
}

/// Stores a profile, in place of one of the same name.
#[utoipa::path(
    put, path = "/api/v1/shadow/csv-profiles/{name}", tag = "Shadow statements",
    request_body = super::shapes::ProfileShape,
    params(("name" = String, Path)),
    responses(
        (status = 200, description = "Stored", body = super::shapes::ProfileShape),
        (status = 400, description = "The setting that makes no sense stands in `errors`"),
    )
)]
async fn put(
    State(api): State<Shared>,
    caller: Caller,
    Path(path): Path<String>,
    Body(profile): Body<Profile>,
) -> Result<Response, Problem> {
    let stored = name(&path)?.to_owned();
    if let Err(error) = profile.check() {
        let message = format!("{}.", error.problem);
        return Err(field(error.field, "validation_failed", message));
    }
    if let Some(currency) = &profile.currency
        && api.shadow().currencies().scale(currency).is_none()
    {
        let message = "The currency is not a registered asset.";
        return Err(field("currency", "currency_unknown", message));
    }
    let body = serde_json::to_string(&profile).map_err(Problem::internal)?;
    let actor = actor(&caller);
    api.shadow()
        .write(move |session| {
            Box::pin(async move {
                let now = session.now();
                let upsert = query(
                    "INSERT INTO shadow_csv_profiles (name, body, actor, updated_at)
                     VALUES ($1, $2, $3, $4)
                     ON CONFLICT (name) DO UPDATE SET body = excluded.body,
                        actor = excluded.actor, updated_at = excluded.updated_at",
                )
                .bind(&stored)
                .bind(&body)
                .bind(&actor.subject)
                .bind(now);
                session.tx().execute(upsert).await?;
                let content = json!({ "setting": "csvProfile", "name": stored, "body": body });
                session
                    .append(NewRecord::new("statement_setting", actor, &content).subject(stored));
                Ok(())
            })
        })
        .await?;
    Ok(Json(ProfileOut {
        name: path,
        profile,
    })
    .into_response())
}

/// Shows a profile.
#[utoipa::path(
    get, path = "/api/v1/shadow/csv-profiles/{name}", tag = "Shadow statements",
    params(("name" = String, Path)),
    responses(
        (status = 200, description = "The profile", body = super::shapes::ProfileShape),
        (status = 404, description = "`profile_not_found`"),
    )
)]
async fn get(
    State(api): State<Shared>,
    Path(path): Path<String>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Response, Problem> {
    match tables::profile(api.shadow().db(), &path).await? {
        Some(profile) => Ok(Json(ProfileOut {
            name: path,
            profile,
        })
        .into_response()),
        None => Err(not_found("profile_not_found", "There is no such profile.")),
    }
}

/// Lists the names of all profiles.
#[utoipa::path(
    get, path = "/api/v1/shadow/csv-profiles", tag = "Shadow statements",
    params(super::ListParams),
    responses(
        (status = 200, description = "Names of profiles", body = super::shapes::ProfilePage),
    )
)]
async fn list(
    State(api): State<Shared>,
    Query(asked): Query<ListParams>,
) -> Result<Response, Problem> {
    let cursor = asked.cursor.as_deref();
    let walk = Walk::new(&api, "shadow.csv-profiles", [], asked.limit, cursor)?;
    let text = "SELECT name FROM shadow_csv_profiles WHERE name > $1 ORDER BY name LIMIT $2";
    let wanted = i64::try_from(walk.wanted()).unwrap_or(i64::MAX);
    let names = query(text).bind(walk.name()?).bind(wanted);
    let rows = api.shadow().db().fetch_all(names).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let name: String = row.get("name")?;
        items.push((name.clone(), json!({ "name": name })));
    }
    Ok(Json(walk.named(&api, items)).into_response())
}
