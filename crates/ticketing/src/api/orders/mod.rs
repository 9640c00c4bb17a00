//! `/orders`: reserve, see, pay and give up orders (contract B1–B4).

pub(in crate::api) mod body;
mod checkout;
mod comps;
mod lists;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use florin_platform::sql::query;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use utoipa::OpenApi;

use self::body::{Cart as CartBody, PatchBody, QuoteBody};
use super::input::Body;
use super::once::shown;
use super::{permission, problem};
use crate::model::buyer::BuyerKey;
use crate::model::order_number;
use crate::orders::access::{self, Opened};
use crate::orders::judge::{self, Cart};
use crate::orders::reserve::{self, Ask, Reserved};
use crate::orders::row::{self, OrderRow};
use crate::orders::{attendees, cancel, checkout as paying, confirm, retake, sheet, show};
use crate::store::idempotency::{Kept, Once};
use crate::{Ticketing, limits};

#[derive(OpenApi)]
#[openapi(
    tags((name = "Orders", description = "Reserve, pay, see and give up orders")),
    paths(
        quote, create, get, by_number, patch, cancel_order, claim,
        checkout::checkout, comps::create, lists::own, lists::of_event,
        lists::resend
    )
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let one = "/api/v1/orders/{id}";
    Routes::new()
        .route(
            RouteSpec::post("/api/v1/orders/quote", Access::Public),
            quote,
        )
        .route(RouteSpec::post("/api/v1/orders", Access::Optional), create)
        .route(
            RouteSpec::get("/api/v1/orders/by-number/{number}", Access::Optional),
            by_number,
        )
        .route(RouteSpec::get(one, Access::Optional), get)
        .route(RouteSpec::patch(one, Access::Optional), patch)
        .route(
            RouteSpec::post("/api/v1/orders/{id}/cancel", Access::Optional),
            cancel_order,
        )
        .route(
            RouteSpec::post("/api/v1/orders/{id}/claim", permission::ORDERS_BUY),
            claim,
        )
        .merge(checkout::routes())
        .merge(comps::routes())
        .merge(lists::routes())
        .document(Document::openapi())
}

/// The caller, if there is one.
type Who = Option<Caller>;

/// A price without effect and without hold.
#[utoipa::path(
    post, path = "/api/v1/orders/quote", tag = "Orders", request_body = QuoteBody,
    responses(
        (status = 200, description = "Items, amounts, currency, availability", body = Value),
        (status = 404, description = "`event_not_found`, `ticket_type_not_found`"),
        (status = 409, description = "`event_state`, `sales_paused`, `sale_not_open`, `sale_closed`, `promo_invalid`, `promo_used_up`"),
    )
)]
async fn quote(
    State(room): State<Ticketing>,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Body { body, .. }: Body<QuoteBody>,
) -> Result<Json<Value>, Problem> {
    let address = info.client().to_string();
    room.limits.take(limits::QUOTE, &address).await?;
    let wishes = body::wishes(&body.items)?;
    let mut tx = room.store.begin_event(&body.event_id).await?;
    let sheet = sheet::load(&mut tx, &room.settings, &body.event_id).await?;
    let sheet = sheet.ok_or_else(problem::event_not_found)?;
    reserve::visible(&sheet, body.access_key.as_deref())?;
    let promo = match &body.promo_code {
        None => None,
        Some(code) => Some(reserve::promo(&mut tx, &sheet.event.id, &body::code(code)).await?),
    };
    drop(tx);
    let cart = Cart {
        wishes: &wishes,
        promo: promo.as_ref().map(Option::as_ref),
        expected_total: None,
    };
    if let Some(None) = cart.promo {
        room.limits.take(limits::GUESS, &address).await?;
    }
    let priced = judge::quote(&sheet, &cart, room.now())?;
    Ok(Json(judge::quote_json(&sheet, &cart, &priced)))
}

/// Hold tickets: all lines or none, for the event's hold time.
#[utoipa::path(
    post, path = "/api/v1/orders", tag = "Orders", request_body = CartBody,
    params(("Idempotency-Key" = String, Header, description = "Needed")),
    responses(
        (status = 201, description = "The order; for guests with its `accessToken`, shown once", body = Value),
        (status = 400, description = "`validation_failed`, `duplicate_item`, `idempotency_key_required`"),
        (status = 403, description = "`org_suspended`"),
        (status = 404, description = "`event_not_found`, `ticket_type_not_found`"),
        (status = 409, description = "`event_state`, `sales_paused`, `sale_not_open`, `sale_closed`, `promo_invalid`, `promo_used_up`, `limit_per_order`, `limit_per_buyer`, `too_many_open_orders`, `price_changed`, `sold_out`, `not_enough`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Who,
    axum::Extension(info): axum::Extension<RequestInfo>,
    key: IdempotencyKey,
    Body { body, json }: Body<CartBody>,
) -> Result<Response, Problem> {
    let key = key.as_deref().ok_or_else(problem::key_required)?;
    let address = info.client().to_string();
    room.limits.take(limits::RESERVE_ADDRESS, &address).await?;
    let ask = ask(&room, caller.as_deref(), key, body, &json)?;
    let who = hex::encode(room.vault.lookup(&ask.buyer));
    room.limits.take(limits::RESERVE, &who).await?;
    match room.desk.reserve(ask).await? {
        Reserved::New { order_id, body } => {
            room.told.notify_one();
            let mut response = (StatusCode::CREATED, Json(body)).into_response();
            let location = format!("/api/v1/orders/{order_id}");
            let location = HeaderValue::from_str(&location).map_err(Problem::internal)?;
            response.headers_mut().insert(LOCATION, location);
            Ok(response)
        }
        Reserved::Again(kept) => again(&room, kept).await,
    }
}

/// The first answer again, opened with the key of the person it tells about.
pub(super) async fn again(room: &Ticketing, mut kept: Kept) -> Result<Response, Problem> {
    let body = paying::opened(room, &kept).await?;
    let body = body.unwrap_or_else(|| json!({"erased": true}));
    kept.body = body.to_string().into_bytes();
    shown(kept).map(replayed)
}

fn ask(
    room: &Ticketing,
    caller: Option<&florin_platform::http::auth::Principal>,
    key: &str,
    body: CartBody,
    json: &Value,
) -> Result<Ask, Problem> {
    if let Some(caller) = caller {
        caller.require(permission::ORDERS_BUY)?;
    }
    let wishes = body::wishes(&body.items)?;
    let contact = body::contact(body.buyer, caller.is_some())?;
    let buyer = match (caller, &contact.email) {
        (Some(caller), _) => BuyerKey::of_subject(&caller.subject),
        (None, Some(mail)) => BuyerKey::of_mail(mail),
        (None, None) => return Err(body::required("buyer.email")),
    };
    let units: Vec<(String, i64)> = wishes
        .iter()
        .map(|wish| (wish.type_id.clone(), wish.quantity))
        .collect();
    if let Some(all) = &body.attendees {
        attendees::shape(all, &units)?;
    }
    // Callers without an account share one room of keys: the e-mail tells them apart.
    let scope = format!("orders:{}", hex::encode(room.vault.lookup(&buyer)));
    Ok(Ask {
        event_id: body.event_id,
        once: Once::new(&room.secrets, scope, key, json),
        buyer,
        owner_sub: caller.map(|caller| caller.subject.to_string()),
        contact,
        wishes,
        promo_code: body.promo_code.as_deref().map(body::code),
        access_key: body.access_key,
        expected_total: body.expected_total,
        attendees: body.attendees,
        visitor_id: body::short("visitorId", body.visitor_id)?,
        source: body::source(body.source)?,
        access_token: caller.is_none().then(access::fresh_token),
    })
}

/// An order that the caller may open with a permission.
pub(crate) async fn opened(
    room: &Ticketing,
    caller: &Who,
    headers: &HeaderMap,
    info: &RequestInfo,
    id: &str,
    needs: florin_platform::http::auth::Permission,
) -> Result<(OrderRow, Opened), Problem> {
    let token = access::token(headers);
    let found = row::find(&room.store.db, id).await?;
    let opened = match &found {
        Some(order) => access::open(room, caller.as_deref(), token, order, needs).await,
        None => Err(row::not_found()),
    };
    match (opened, found) {
        (Ok(right), Some(order)) => Ok((order, right)),
        (Err(problem), _) => {
            if token.is_some() && problem.status().as_u16() == 404 {
                let address = info.client().to_string();
                room.limits.take(limits::GUESS, &address).await?;
            }
            Err(problem)
        }
        (Ok(_), None) => Err(row::not_found()),
    }
}

/// An order.
#[utoipa::path(
    get, path = "/api/v1/orders/{id}", tag = "Orders",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses((status = 200, body = Value), (status = 404, description = "`order_not_found`"))
)]
async fn get(
    State(room): State<Ticketing>,
    caller: Who,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let needs = permission::ORDERS_READ;
    let (order, _) = opened(&room, &caller, &headers, &info, &id, needs).await?;
    show::one(&room, &order).await.map(Json)
}

/// An order by its number, as people write it.
#[utoipa::path(
    get, path = "/api/v1/orders/by-number/{number}", tag = "Orders",
    params(("number" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses(
        (status = 200, body = Value),
        (status = 400, description = "`order_number_invalid`"),
        (status = 404, description = "`order_not_found`"),
    )
)]
async fn by_number(
    State(room): State<Ticketing>,
    caller: Who,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(number): Path<String>,
) -> Result<Json<Value>, Problem> {
    let number = order_number::read(&number).map_err(|_| {
        problem::field(
            "number",
            "order_number_invalid",
            "An order number has ten characters, the last of which checks the others.",
        )
    })?;
    let text = "SELECT id FROM tk_orders WHERE number = $1";
    let row = room
        .store
        .db
        .fetch_optional(query(text).bind(number))
        .await?;
    let Some(row) = row else {
        let address = info.client().to_string();
        room.limits.take(limits::GUESS, &address).await?;
        return Err(row::not_found());
    };
    let id: String = row.get("id")?;
    let needs = permission::ORDERS_READ;
    let (order, _) = opened(&room, &caller, &headers, &info, &id, needs).await?;
    show::one(&room, &order).await.map(Json)
}

/// Say who will come, or correct the buyer's name and phone, while the order is open.
#[utoipa::path(
    patch, path = "/api/v1/orders/{id}", tag = "Orders", request_body = PatchBody,
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses(
        (status = 200, body = Value),
        (status = 404, description = "`order_not_found`"),
        (status = 409, description = "`order_state`"),
    )
)]
async fn patch(
    State(room): State<Ticketing>,
    caller: Who,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
    Body { body, .. }: Body<PatchBody>,
) -> Result<Json<Value>, Problem> {
    let needs = permission::TICKETS_MANAGE;
    let (order, _) = opened(&room, &caller, &headers, &info, &id, needs).await?;
    let mut tx = room.store.begin_event(&order.event_id).await?;
    let order = row::find_in(&mut tx, &id)
        .await?
        .ok_or_else(row::not_found)?;
    if !order.is_open() {
        return Err(crate::orders::payment::wrong_state(&order));
    }
    let ids = [order.person_id.clone()];
    let persons = room.vault.load_in(&mut tx, &ids).await?;
    let person = persons.get(&order.person_id).ok_or_else(row::not_found)?;
    let seal = |label: &str, value: Result<String, serde_json::Error>| {
        value
            .map(|text| person.seal(label, &text))
            .map_err(Problem::internal)
    };
    if let Some(all) = &body.attendees {
        attendees::shape(all, &retake::units(&order))?;
        let sealed = seal(show::ATTENDEES, serde_json::to_string(all))?;
        let text = "UPDATE tk_orders SET attendees = $1 WHERE id = $2";
        tx.execute(query(text).bind(sealed).bind(&id)).await?;
    }
    if let Some(buyer) = body.buyer {
        let mut contact = confirm::contact(&order, person).ok_or_else(row::not_found)?;
        let given = body::contact(Some(buyer), true)?;
        contact.name = given.name.or(contact.name);
        contact.phone = given.phone.or(contact.phone);
        let sealed = seal(show::CONTACT, serde_json::to_string(&contact))?;
        let text = "UPDATE tk_orders SET contact = $1 WHERE id = $2";
        tx.execute(query(text).bind(sealed).bind(&id)).await?;
    }
    tx.commit().await?;
    let order = row::find(&room.store.db, &id).await?;
    let order = order.ok_or_else(row::not_found)?;
    show::one(&room, &order).await.map(Json)
}

/// Give an open order up; its tickets are for sale again.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/cancel", tag = "Orders",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses(
        (status = 200, body = Value),
        (status = 404, description = "`order_not_found`"),
        (status = 409, description = "`order_state`, `payment_succeeded`, `payment_in_progress`"),
    )
)]
async fn cancel_order(
    State(room): State<Ticketing>,
    caller: Who,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let needs = permission::TICKETS_MANAGE;
    let (order, _) = opened(&room, &caller, &headers, &info, &id, needs).await?;
    let order = cancel::cancel(&room, &order).await?;
    room.told.notify_one();
    show::one(&room, &order).await.map(Json)
}

/// The order of a guest joins the caller's account. Needs the order's access token.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/claim", tag = "Orders",
    params(("id" = String, Path), ("X-Access-Token" = String, Header)),
    responses(
        (status = 200, body = Value),
        (status = 404, description = "`order_not_found`"),
        (status = 409, description = "`order_claimed`"),
    )
)]
async fn claim(
    State(room): State<Ticketing>,
    caller: Caller,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = row::find(&room.store.db, &id).await?;
    let token = access::token(&headers);
    let order = found.filter(|order| access::is_buyer(&room, Some(&*caller), token, order));
    let Some(order) = order else {
        let address = info.client().to_string();
        room.limits.take(limits::GUESS, &address).await?;
        return Err(row::not_found());
    };
    let mut tx = room.store.begin_event(&order.event_id).await?;
    let text = "UPDATE tk_orders SET owner_sub = $1 WHERE id = $2 AND owner_sub IS NULL";
    let statement = query(text).bind(&*caller.subject).bind(&id);
    let joined = tx.execute(statement).await? == 1;
    if !joined && order.owner_sub.as_deref() != Some(&*caller.subject) {
        return Err(problem::conflict(
            "order_claimed",
            "The order belongs to another account already.",
        ));
    }
    let text = "UPDATE tk_tickets SET owner_sub = $1
        WHERE order_id = $2 AND owner_sub IS NULL AND owner_person = $3";
    let statement = query(text)
        .bind(&*caller.subject)
        .bind(&id)
        .bind(&order.person_id);
    tx.execute(statement).await?;
    tx.commit().await?;
    let order = row::find(&room.store.db, &id).await?;
    let order = order.ok_or_else(row::not_found)?;
    show::one(&room, &order).await.map(Json)
}
