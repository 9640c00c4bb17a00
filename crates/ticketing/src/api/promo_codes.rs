//! `/events/{id}/promo-codes` (contract A4).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::FilterDigest;
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::events::allowed;
use super::given::Given;
use super::input::{Body, Search};
use super::once::Creation;
use super::orgs::{PageQuery, one_more, page_of, paged};
use super::problem::conflict;
use super::{check, money, permission};
use crate::Ticketing;
use crate::events;
use crate::limits;
use crate::model::event::Event;
use crate::model::promo::{Benefit, Promo, normal};
use crate::store;

/// Most types that one code lists.
const TYPES_MAX: usize = 200;

#[derive(OpenApi)]
#[openapi(paths(list, create, patch, delete))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let all = "/api/v1/events/{id}/promo-codes";
    let one = "/api/v1/events/{id}/promo-codes/{codeId}";
    let write = permission::EVENTS_WRITE;
    Routes::new()
        .route(RouteSpec::get(all, write), list)
        .route(RouteSpec::post(all, write), create)
        .route(RouteSpec::patch(one, write), patch)
        .route(RouteSpec::delete(one, write), delete)
        .document(Document::openapi())
}

/// Fields of a promo code. At creation `code` and `kind` are needed, with `bp` for `percent` and
/// `amount` for the fixed kinds.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = PromoCodeRequest)]
struct PromoBody {
    /// `[A-Z0-9-]{3,32}`, compared in upper case; stays as it is.
    code: Option<String>,
    /// `percent`, `fixed_per_ticket`, `fixed_per_order`, `access`.
    kind: Option<String>,
    /// Basis points, 1 to 10000.
    bp: Option<i64>,
    /// Decimal in the event's currency.
    amount: Option<String>,
    /// Only for these types; null: all.
    #[schema(value_type = Option<Vec<String>>)]
    ticket_type_ids: Given<Vec<String>>,
    #[schema(value_type = Option<String>)]
    valid_from: Given<String>,
    #[schema(value_type = Option<String>)]
    valid_until: Given<String>,
    /// Most orders.
    #[schema(value_type = Option<i64>)]
    max_uses: Given<i64>,
    /// Most orders of one buyer.
    #[schema(value_type = Option<i64>)]
    max_uses_per_buyer: Given<i64>,
    /// Least sum of list prices.
    #[schema(value_type = Option<String>)]
    min_order_amount: Given<String>,
}

impl PromoBody {
    fn apply(self, promo: &mut Promo, scale: u8, known: &[String]) -> Result<(), Problem> {
        if self.kind.is_some() || self.bp.is_some() || self.amount.is_some() {
            let kind = self.kind.as_deref().unwrap_or_else(|| promo.benefit.kind());
            promo.benefit = benefit(kind, self.bp, self.amount.as_deref(), scale)?;
        }
        self.ticket_type_ids
            .try_map(|ids| type_ids(ids, known))?
            .over_option(&mut promo.type_ids);
        self.valid_from
            .try_map(|text| check::instant("validFrom", &text))?
            .over_option(&mut promo.valid_from);
        self.valid_until
            .try_map(|text| check::instant("validUntil", &text))?
            .over_option(&mut promo.valid_until);
        self.max_uses
            .try_map(|n| check::range("maxUses", n, 1, 1_000_000_000))?
            .over_option(&mut promo.max_uses);
        self.max_uses_per_buyer
            .try_map(|n| check::range("maxUsesPerBuyer", n, 1, 1_000_000_000))?
            .over_option(&mut promo.max_uses_per_buyer);
        self.min_order_amount
            .try_map(|text| money::minor("minOrderAmount", &text, scale))?
            .over_option(&mut promo.min_order_amount);
        let window = promo.valid_from.zip(promo.valid_until);
        if window.is_some_and(|(from, until)| from >= until) {
            let message = "The window must end after it begins.";
            return Err(Problem::validation("validUntil", message));
        }
        Ok(())
    }
}

fn benefit(
    kind: &str,
    bp: Option<i64>,
    amount: Option<&str>,
    scale: u8,
) -> Result<Benefit, Problem> {
    let fixed = |text: &str| match money::minor("amount", text, scale)? {
        0 => Err(Problem::validation("amount", "More than 0.")),
        minor => Ok(minor),
    };
    match (kind, bp, amount) {
        ("percent", Some(bp), None) => Ok(Benefit::Percent(check::range("bp", bp, 1, 10_000)?)),
        ("fixed_per_ticket", None, Some(text)) => Ok(Benefit::FixedPerTicket(fixed(text)?)),
        ("fixed_per_order", None, Some(text)) => Ok(Benefit::FixedPerOrder(fixed(text)?)),
        ("access", None, None) => Ok(Benefit::Access),
        _ => Err(Problem::validation(
            "kind",
            "percent with bp, fixed_per_ticket or fixed_per_order with amount, or access.",
        )),
    }
}

fn type_ids(ids: Vec<String>, known: &[String]) -> Result<Vec<String>, Problem> {
    if ids.is_empty() || ids.len() > TYPES_MAX {
        return Err(Problem::validation("ticketTypeIds", "1 to 200, or null."));
    }
    for (index, id) in ids.iter().enumerate() {
        if !known.contains(id) {
            let name = format!("ticketTypeIds[{index}]");
            return Err(Problem::validation(name, "No ticket type of this event."));
        }
    }
    Ok(ids)
}

/// A promo code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PromoCode)]
struct PromoShown {
    id: String,
    event_id: String,
    code: String,
    kind: &'static str,
    bp: Option<i64>,
    amount: Option<String>,
    currency: String,
    ticket_type_ids: Option<Vec<String>>,
    #[schema(value_type = Option<String>)]
    valid_from: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    valid_until: Option<Timestamp>,
    max_uses: Option<i64>,
    max_uses_per_buyer: Option<i64>,
    min_order_amount: Option<String>,
    /// Orders that use it now.
    uses: i64,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

fn show(event: &Event, promo: &Promo, scale: u8) -> PromoShown {
    let print = |minor| money::print(minor, scale);
    let (bp, amount) = match promo.benefit {
        Benefit::Percent(bp) => (Some(bp), None),
        Benefit::FixedPerTicket(minor) | Benefit::FixedPerOrder(minor) => {
            (None, Some(print(minor)))
        }
        Benefit::Access => (None, None),
    };
    PromoShown {
        id: promo.id.clone(),
        event_id: promo.event_id.clone(),
        code: promo.code.clone(),
        kind: promo.benefit.kind(),
        bp,
        amount,
        currency: event.currency.clone(),
        ticket_type_ids: promo.type_ids.clone(),
        valid_from: promo.valid_from.map(Timestamp),
        valid_until: promo.valid_until.map(Timestamp),
        max_uses: promo.max_uses,
        max_uses_per_buyer: promo.max_uses_per_buyer,
        min_order_amount: promo.min_order_amount.map(print),
        uses: promo.uses,
        created_at: Timestamp(promo.created_at),
    }
}

fn not_found() -> Problem {
    Problem::not_found("promo_code_not_found", "There is no such promo code.")
}

fn scale_of(room: &Ticketing, event: &Event) -> Result<u8, Problem> {
    let scale = room.settings.scale(&event.currency);
    scale.ok_or_else(|| Problem::internal("the currency of an event is no asset any more"))
}

/// Promo codes of an event.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/promo-codes", tag = "Events",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Vec<PromoShown>), (status = 404, description = "`event_not_found`"))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(query): Search<PageQuery>,
) -> Result<Response, Problem> {
    let event = allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let scale = scale_of(&room, &event)?;
    let digest = FilterDigest::new("promo-codes", [("event", &*id)]);
    let (after, limit) = page_of(&room, digest, &query)?;
    let found = store::promos::list(&room.store.db, &id, &after, one_more(limit)).await?;
    let print = |promo: &Promo| show(&event, promo, scale);
    let page = paged(&room, digest, found, limit, |promo| &promo.id, print);
    Ok(Json(page).into_response())
}

/// Add a promo code.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/promo-codes", tag = "Events",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = PromoBody,
    responses(
        (status = 201, body = PromoShown),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`code_exists`, `event_state`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    key: IdempotencyKey,
    Body { body, json }: Body<PromoBody>,
) -> Result<Response, Problem> {
    let event = allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    room.limits
        .take(limits::EVENT_UPDATE, &event.org_id)
        .await?;
    let code = body
        .code
        .as_deref()
        .and_then(normal)
        .ok_or_else(|| Problem::validation("code", "3 to 32 of A-Z, 0-9 and hyphen."))?;
    if body.kind.is_none() {
        return Err(Problem::validation("kind", "This field is required."));
    }
    let scale = scale_of(&room, &event)?;
    let now = room.now();
    let creation = Creation::new(&room, &caller, &format!("promos:{id}"), &key, &json);
    let mut tx = room.store.begin_event(&id).await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known);
    }
    events::not_over_in(&mut tx, &id).await?;
    let mut promo = Promo {
        id: room.store.id(),
        event_id: id.clone(),
        code,
        benefit: Benefit::Access,
        type_ids: None,
        valid_from: None,
        valid_until: None,
        max_uses: None,
        max_uses_per_buyer: None,
        min_order_amount: None,
        uses: 0,
        created_at: now,
    };
    let types = events::types_in(&mut tx, &id).await?;
    let known: Vec<String> = types.into_iter().map(|kind| kind.id).collect();
    body.apply(&mut promo, scale, &known)?;
    if !store::promos::insert(&mut tx, &promo).await? {
        let detail = "The event has this code already.";
        return Err(conflict("code_exists", detail));
    }
    let location = format!("/api/v1/events/{id}/promo-codes/{}", promo.id);
    let shown = show(&event, &promo, scale);
    let answer = creation
        .keep(&mut tx, StatusCode::CREATED, Some(location), &shown, now)
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// Change a promo code. Orders keep what it gave them.
#[utoipa::path(
    patch, path = "/api/v1/events/{id}/promo-codes/{codeId}", tag = "Events",
    params(("id" = String, Path), ("codeId" = String, Path)), request_body = PromoBody,
    responses(
        (status = 200, body = PromoShown),
        (status = 404, description = "`event_not_found`, `promo_code_not_found`"),
        (status = 409, description = "`quantity_below_committed`: fewer uses than there are"),
    )
)]
async fn patch(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, code_id)): Path<(String, String)>,
    Body { body, .. }: Body<PromoBody>,
) -> Result<Json<PromoShown>, Problem> {
    let event = allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    room.limits
        .take(limits::EVENT_UPDATE, &event.org_id)
        .await?;
    let scale = scale_of(&room, &event)?;
    let mut tx = room.store.begin_event(&id).await?;
    let found = store::promos::load_in(&mut tx, &id, &code_id).await?;
    let mut promo = found.ok_or_else(not_found)?;
    let code = body.code.as_deref().map(normal);
    if code.is_some_and(|code| code.as_deref() != Some(&*promo.code)) {
        return Err(Problem::validation("code", "A code stays as it is."));
    }
    let types = events::types_in(&mut tx, &id).await?;
    let known: Vec<String> = types.into_iter().map(|kind| kind.id).collect();
    body.apply(&mut promo, scale, &known)?;
    if promo.max_uses.is_some_and(|most| most < promo.uses) {
        return Err(crate::events::edit::below_committed("maxUses", promo.uses));
    }
    store::promos::update(&mut tx, &promo).await?;
    tx.commit().await?;
    Ok(Json(show(&event, &promo, scale)))
}

/// Delete a promo code. Orders keep what it gave them.
#[utoipa::path(
    delete, path = "/api/v1/events/{id}/promo-codes/{codeId}", tag = "Events",
    params(("id" = String, Path), ("codeId" = String, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "`event_not_found`, `promo_code_not_found`"),
    )
)]
async fn delete(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, code_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let mut tx = room.store.begin_event(&id).await?;
    let found = store::promos::load_in(&mut tx, &id, &code_id).await?;
    found.ok_or_else(not_found)?;
    store::promos::delete(&mut tx, &code_id).await?;
    tx.commit().await?;
    Ok(no_content())
}
