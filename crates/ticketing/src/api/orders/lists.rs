//! Lists of orders, and the mail of an order again.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::{FilterDigest, Page, PageLimits, Position};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use florin_platform::sql::Query;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::{Who, opened};
use crate::Ticketing;
use crate::api::events::allowed;
use crate::api::input::Search;
use crate::api::{permission, problem};
use crate::orders::row::{self, OrderRow};
use crate::orders::{confirm, payment, show};
use crate::tickets::mail::{self, TicketMail};

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/orders", permission::ORDERS_BUY),
            own,
        )
        .route(
            RouteSpec::get("/api/v1/events/{id}/orders", permission::ORDERS_READ),
            of_event,
        )
        .route(
            RouteSpec::post("/api/v1/orders/{id}/resend", Access::Optional),
            resend,
        )
}

/// Filters of a list of orders.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Orders on a page, at most 500.
    limit: Option<u32>,
    /// Where the page starts.
    cursor: Option<String>,
    /// Only with this status.
    status: Option<String>,
    /// Only of this event.
    event_id: Option<String>,
}

struct Filter {
    column: &'static str,
    value: String,
}

async fn page(
    room: &Ticketing,
    list: &str,
    filters: Vec<Filter>,
    asked: &ListQuery,
) -> Result<Page<Value>, Problem> {
    let limit = PageLimits::default().resolve(asked.limit)?;
    let named: Vec<(&str, &str)> = filters.iter().map(|f| (f.column, &*f.value)).collect();
    let digest = FilterDigest::new(list, named);
    let mut text = String::from("WHERE id < $1");
    for (index, filter) in filters.iter().enumerate() {
        text.push_str(&format!(" AND {} = ${}", filter.column, index + 2));
    }
    text.push_str(&format!(" ORDER BY id DESC LIMIT ${}", filters.len() + 2));
    let before = match &asked.cursor {
        None => "~".to_owned(),
        Some(cursor) => {
            let position = room.cursors.open(digest, cursor)?;
            String::from_utf8(position.after).map_err(Problem::internal)?
        }
    };
    let mut statement: Query = row::select(&text).bind(before);
    for filter in &filters {
        statement = statement.bind(&filter.value);
    }
    let more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let rows = room.store.db.fetch_all(statement.bind(more)).await?;
    let mut orders: Vec<OrderRow> = rows.iter().map(row::order).collect::<Result<_, _>>()?;
    let next_cursor = (orders.len() > limit).then(|| {
        orders.truncate(limit);
        let after = orders
            .last()
            .map_or_else(Vec::new, |order| order.id.clone().into_bytes());
        room.cursors.seal(digest, &Position { snapshot: 0, after })
    });
    Ok(Page {
        items: show::many(room, &orders).await?,
        next_cursor,
    })
}

fn filters(first: Filter, asked: &ListQuery) -> Vec<Filter> {
    let mut filters = vec![first];
    if let Some(status) = &asked.status {
        filters.push(Filter {
            column: "status",
            value: status.clone(),
        });
    }
    if let Some(event_id) = &asked.event_id {
        filters.push(Filter {
            column: "event_id",
            value: event_id.clone(),
        });
    }
    filters
}

/// The caller's own orders, newest first.
#[utoipa::path(
    get, path = "/api/v1/orders", tag = "Orders", params(ListQuery),
    responses((status = 200, description = "A page", body = Value))
)]
pub async fn own(
    State(room): State<Ticketing>,
    caller: Caller,
    Search(asked): Search<ListQuery>,
) -> Result<Json<Page<Value>>, Problem> {
    let first = Filter {
        column: "owner_sub",
        value: caller.subject.to_string(),
    };
    page(&room, "orders", filters(first, &asked), &asked)
        .await
        .map(Json)
}

/// Orders of an event, newest first.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/orders", tag = "Orders",
    params(("id" = String, Path), ListQuery),
    responses((status = 200, description = "A page", body = Value), (status = 404, description = "`event_not_found`"))
)]
pub async fn of_event(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(asked): Search<ListQuery>,
) -> Result<Json<Page<Value>>, Problem> {
    let event = allowed(&room, &caller, &id, permission::ORDERS_READ).await?;
    if asked.event_id.is_some() {
        return Err(Problem::unknown_field("eventId"));
    }
    let first = Filter {
        column: "event_id",
        value: event.id,
    };
    page(&room, "event-orders", filters(first, &asked), &asked)
        .await
        .map(Json)
}

/// Send the mail with the order's tickets again.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/resend", tag = "Orders",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses(
        (status = 202, description = "It is on its way"),
        (status = 404, description = "`order_not_found`"),
        (status = 409, description = "`order_state`, `no_address`"),
    )
)]
pub async fn resend(
    State(room): State<Ticketing>,
    caller: Who,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let needs = permission::TICKETS_MANAGE;
    let (order, _) = opened(&room, &caller, &headers, &info, &id, needs).await?;
    room.limits.take(crate::limits::TRANSFER, &order.id).await?;
    if !matches!(&*order.status, "confirmed" | "partially_refunded") {
        return Err(payment::wrong_state(&order));
    }
    let mut tx = room.store.begin_event(&order.event_id).await?;
    let ids = [order.person_id.clone()];
    let persons = room.vault.load_in(&mut tx, &ids).await?;
    let person = persons.get(&order.person_id).ok_or_else(row::not_found)?;
    let address = confirm::contact(&order, person).and_then(|contact| contact.email);
    let address = address
        .ok_or_else(|| problem::conflict("no_address", "The order has no e-mail address."))?;
    let wanted = TicketMail {
        event_id: &order.event_id,
        order_id: Some(&order.id),
        ticket_id: None,
        kind: "order.resent",
    };
    mail::queue(&room, &mut tx, person, &address, &wanted).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"orderId": order.id}))).into_response())
}
