//! `/fee-rules`: what the platform takes (contract C1). The narrowest rule applies and is frozen in
//! each order.

use axum::extract::State;
use florin_platform::audit::Entry;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::Json;
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::query;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

use super::input::Body;
use super::permission;
use crate::Ticketing;
use crate::api::money::{minor, print};
use crate::orders::judge::time;

#[derive(OpenApi)]
#[openapi(
    tags((name = "Fees", description = "What the platform takes")),
    paths(list, put)
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let path = "/api/v1/fee-rules";
    let admin = permission::TICKETING_ADMIN;
    Routes::new()
        .route(RouteSpec::get(path, admin), list)
        .route(RouteSpec::put(path, admin), put)
        .document(Document::openapi())
}

/// A rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = FeeRuleRequest)]
struct RuleBody {
    /// `platform`, `org` or `event`.
    scope: String,
    /// The organisation or event.
    scope_id: Option<String>,
    /// Its currency.
    currency: String,
    /// The platform's own fee.
    platform: FeeBody,
    /// The processing fee; none without it.
    processing: Option<FeeBody>,
}

/// A fee.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = FeeRequest)]
struct FeeBody {
    /// Basis points, 0 to 10 000.
    #[schema(example = 290)]
    percent_bp: u32,
    /// Once per order.
    #[schema(example = "0.30")]
    fixed: String,
}

/// All rules.
#[utoipa::path(
    get, path = "/api/v1/fee-rules", tag = "Fees",
    responses((status = 200, description = "All rules", body = Value))
)]
async fn list(State(room): State<Ticketing>) -> Result<Json<Page<Value>>, Problem> {
    let text = "SELECT scope, scope_id, currency, platform_bp, platform_fixed, processing_bp,
        processing_fixed, updated_at FROM tk_fee_rules ORDER BY scope, scope_id, currency";
    let mut items = Vec::new();
    for row in room.store.db.fetch_all(query(text)).await? {
        let (scope, id): (String, String) = (row.get("scope")?, row.get("scope_id")?);
        let currency: String = row.get("currency")?;
        let scale = room.settings.scale(&currency).unwrap_or(2);
        items.push(json!({
            "scope": scope,
            "scopeId": (!id.is_empty()).then_some(id),
            "currency": currency,
            "platform": {
                "percentBp": row.get::<i64>("platform_bp")?,
                "fixed": print(row.get("platform_fixed")?, scale),
            },
            "processing": {
                "percentBp": row.get::<i64>("processing_bp")?,
                "fixed": print(row.get("processing_fixed")?, scale),
            },
            "updatedAt": time(row.get("updated_at")?),
        }));
    }
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

fn fee(name: &str, fee: &FeeBody, scale: u8) -> Result<(i64, i64), Problem> {
    if fee.percent_bp > 10_000 {
        let name = format!("{name}.percentBp");
        return Err(Problem::validation(name, "Must be 0 to 10000."));
    }
    let fixed = minor(&format!("{name}.fixed"), &fee.fixed, scale)?;
    Ok((i64::from(fee.percent_bp), fixed))
}

/// Set a rule. Orders that exist keep theirs.
#[utoipa::path(
    put, path = "/api/v1/fee-rules", tag = "Fees", request_body = RuleBody,
    responses((status = 200, description = "The rule", body = Value))
)]
async fn put(
    State(room): State<Ticketing>,
    caller: Caller,
    Body { body, json }: Body<RuleBody>,
) -> Result<Json<Value>, Problem> {
    let scale = room
        .settings
        .scale(&body.currency)
        .ok_or_else(|| Problem::validation("currency", "Must be a registered currency."))?;
    let scope_id = match (&*body.scope, &body.scope_id) {
        ("platform", None) => String::new(),
        ("org" | "event", Some(id)) => super::check::id("scopeId", id)?,
        ("platform", Some(_)) | ("org" | "event", None) => {
            let message = "Needed for `org` and `event`, and only there.";
            return Err(Problem::validation("scopeId", message));
        }
        _ => {
            return Err(Problem::validation(
                "scope",
                "Must be `platform`, `org` or `event`.",
            ));
        }
    };
    let (platform_bp, platform_fixed) = fee("platform", &body.platform, scale)?;
    let (processing_bp, processing_fixed) = match &body.processing {
        Some(processing) => fee("processing", processing, scale)?,
        None => (0, 0),
    };
    let text = "INSERT INTO tk_fee_rules (scope, scope_id, currency, platform_bp, platform_fixed,
        processing_bp, processing_fixed, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (scope, scope_id, currency) DO UPDATE SET
        platform_bp = excluded.platform_bp, platform_fixed = excluded.platform_fixed,
        processing_bp = excluded.processing_bp, processing_fixed = excluded.processing_fixed,
        updated_at = excluded.updated_at";
    let statement = query(text)
        .bind(&body.scope)
        .bind(&scope_id)
        .bind(&body.currency)
        .bind(platform_bp)
        .bind(platform_fixed)
        .bind(processing_bp)
        .bind(processing_fixed)
        .bind(room.now());
    let mut tx = room.store.begin().await?;
    tx.execute(statement).await?;
    tx.commit().await?;
    let object = format!("fee-rule:{}:{scope_id}:{}", body.scope, body.currency);
    room.note(Entry::new(&*caller.subject, "ticketing.fee_rule.set", object).after(&json))
        .await;
    Ok(Json(json))
}
