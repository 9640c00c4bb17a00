//! Lists of tickets: one's own, those of an order, the attendees of an event.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::{FilterDigest, Page};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::RequestInfo;
use florin_platform::sql::{Arg, Query};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::show::{self, HolderShown, TicketShown};
use super::{permission, token};
use crate::api::events::allowed;
use crate::api::input::Search;
use crate::api::orgs::{PageQuery, one_more, page_of, paged};
use crate::gate::Facts;
use crate::tickets::access::opens_order;
use crate::tickets::{self, COLUMNS, Holder, Ticket};
use crate::{Ticketing, limits};

/// Which of one's tickets.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of this order; its access token opens them too.
    order_id: Option<String>,
    /// Only of this event.
    event_id: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

async fn select(
    room: &Ticketing,
    conditions: &[(&str, Arg)],
    after: &str,
    limit: i64,
) -> Result<Vec<Ticket>, Problem> {
    let mut text = format!("SELECT {COLUMNS} FROM tk_tickets WHERE id > $1");
    let mut args = vec![Arg::from(after)];
    for (condition, value) in conditions {
        args.push(value.clone());
        text.push_str(&format!(" AND {condition} ${}", args.len()));
    }
    text.push_str(&format!(" ORDER BY id LIMIT {limit}"));
    let statement = args.into_iter().fold(Query::assembled(text), Query::bind);
    let rows = room.store.db.fetch_all(statement).await?;
    rows.iter().map(Ticket::read).collect()
}

/// Your tickets.
#[utoipa::path(
    get, path = "/api/v1/tickets", tag = "Tickets",
    params(ListQuery, ("X-Access-Token" = Option<String>, Header, description = "Of the order")),
    responses((status = 200, description = "A page", body = Vec<TicketShown>))
)]
pub(super) async fn list(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Search(query): Search<ListQuery>,
) -> Result<Response, Problem> {
    let order = query.order_id.as_deref();
    let mut conditions: Vec<(&str, Arg)> = Vec::new();
    let who = match (token(&headers), order) {
        (Some(token), Some(order)) if opens_order(&room, token, order).await? => {
            conditions.push(("transferred =", Arg::from(false)));
            "token".to_owned()
        }
        (Some(_), Some(_)) if caller.is_none() => {
            let address = info.client().to_string();
            room.limits.take(limits::GUESS, &address).await?;
            return Err(Problem::not_found(
                "order_not_found",
                "There is no such order.",
            ));
        }
        _ => {
            let caller = caller.ok_or_else(|| {
                Problem::unauthenticated("A credential or an order's access token is needed.")
            })?;
            caller.require(permission::TICKETS_OWN)?;
            conditions.push(("owner_sub =", Arg::from(&*caller.subject)));
            format!("sub:{}", caller.subject)
        }
    };
    let filters = [
        ("who", who.as_str()),
        ("orderId", order.unwrap_or_default()),
        ("eventId", query.event_id.as_deref().unwrap_or_default()),
    ];
    let digest = FilterDigest::new("tickets", filters);
    if let Some(order) = &query.order_id {
        conditions.push(("order_id =", Arg::from(order)));
    }
    if let Some(event) = &query.event_id {
        conditions.push(("event_id =", Arg::from(event)));
    }
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let (after, limit) = page_of(&room, digest, &page)?;
    let found = select(&room, &conditions, &after, one_more(limit)).await?;
    let shown = show::many(&room, &found, true).await?;
    let page = paged(
        &room,
        digest,
        shown,
        limit,
        |t| &t.id,
        |t| serde_json::to_value(t).unwrap_or_default(),
    );
    Ok(Json(page).into_response())
}

/// Which attendees.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct AttendeeQuery {
    /// Only of this type.
    ticket_type_id: Option<String>,
    /// Only in this stored status.
    status: Option<String>,
    /// Only of this order.
    order_id: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// An attendee: a ticket and who comes with it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attendee)]
struct AttendeeShown {
    ticket_id: String,
    number: String,
    order_id: String,
    ticket_type_id: String,
    status: &'static str,
    channel: String,
    holder: HolderShown,
    /// Answers to the type's questions.
    #[schema(value_type = Option<Object>)]
    answers: Option<serde_json::Value>,
    #[schema(value_type = Option<String>)]
    used_at: Option<Timestamp>,
    /// The last counted passage was inwards.
    inside: bool,
}

/// Who comes to an event.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/attendees", tag = "Tickets",
    params(("id" = String, Path), AttendeeQuery),
    responses(
        (status = 200, description = "A page", body = Vec<AttendeeShown>),
        (status = 404, description = "`event_not_found`"),
    )
)]
pub(super) async fn attendees(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(query): Search<AttendeeQuery>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::ORDERS_READ).await?;
    let (kind, status) = (
        query.ticket_type_id.as_deref().unwrap_or_default(),
        query.status.as_deref().unwrap_or_default(),
    );
    let order = query.order_id.as_deref().unwrap_or_default();
    let filters = [
        ("event", id.as_str()),
        ("type", kind),
        ("status", status),
        ("order", order),
    ];
    let digest = FilterDigest::new("attendees", filters);
    let mut conditions = vec![("event_id =", Arg::from(&id))];
    if !kind.is_empty() {
        conditions.push(("type_id =", Arg::from(kind)));
    }
    if !status.is_empty() {
        conditions.push(("status =", Arg::from(status)));
    }
    if !order.is_empty() {
        conditions.push(("order_id =", Arg::from(order)));
    }
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let (after, limit) = page_of(&room, digest, &page)?;
    let found = select(&room, &conditions, &after, one_more(limit)).await?;
    let holders = tickets::holders(&room, &room.store.db, &found).await?;
    let facts = Facts::load(&room.store.db, &id).await?;
    let now = room.now();
    let rows: Vec<(Ticket, Holder)> = found.into_iter().zip(holders).collect();
    let show = |(ticket, holder): &(Ticket, Holder)| AttendeeShown {
        ticket_id: ticket.id.clone(),
        number: ticket.number.clone(),
        order_id: ticket.order_id.clone(),
        ticket_type_id: ticket.type_id.clone(),
        status: show::status(ticket, &facts, now),
        channel: ticket.channel.clone(),
        holder: holder.into(),
        answers: holder
            .answers
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok()),
        used_at: ticket.used_at.map(Timestamp),
        inside: ticket.inside,
    };
    let page: Page<AttendeeShown> = paged(&room, digest, rows, limit, |(t, _)| &t.id, show);
    Ok(Json(page).into_response())
}
