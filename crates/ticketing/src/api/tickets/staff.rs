//! What staff does with tickets: void, reissue.

use axum::extract::State;
use axum::response::Response;
use florin_platform::audit::Entry;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::Path;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::permission;
use crate::api::input::Body;
use crate::api::once::Creation;
use crate::api::scope::in_org;
use crate::store::stock;
use crate::tickets::access::not_found;
use crate::tickets::mail::TicketMail;
use crate::tickets::{self, Death, Ticket};
use crate::{Ticketing, events};

pub(super) fn routes() -> Routes<Ticketing> {
    let manage = permission::TICKETS_MANAGE;
    Routes::new()
        .route(RouteSpec::post("/api/v1/tickets/{id}/void", manage), void)
        .route(
            RouteSpec::post("/api/v1/tickets/{id}/reissue", manage),
            reissue,
        )
}

/// Why.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = TicketReason)]
pub(super) struct Reason {
    /// Kept in the audit log as a digest.
    reason: Option<String>,
}

/// What staff is told of a ticket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketStep)]
struct Step {
    id: String,
    number: String,
    status: &'static str,
    generation: u16,
}

impl From<&Ticket> for Step {
    fn from(ticket: &Ticket) -> Self {
        Self {
            id: ticket.id.clone(),
            number: ticket.number.clone(),
            status: ticket.status.as_str(),
            generation: ticket.generation,
        }
    }
}

async fn allowed(room: &Ticketing, caller: &Caller, id: &str) -> Result<Ticket, Problem> {
    let ticket = tickets::one(&room.store.db, id).await?;
    let (org, event) = (&ticket.org_id, Some(&*ticket.event_id));
    let manage = permission::TICKETS_MANAGE;
    in_org(room, caller, org, event, manage, not_found).await?;
    Ok(ticket)
}

/// The reason is kept as a digest: it may hold anything.
async fn note(room: &Ticketing, caller: &Caller, action: &str, id: &str, reason: &Reason) {
    let entry = Entry::new(&*caller.subject, action, format!("ticket:{id}"));
    room.note(entry.after(reason)).await;
}

/// Void a ticket; its unit is for sale again unless it was used. No money moves.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/void", tag = "Tickets",
    params(("id" = String, Path)), request_body = Reason,
    responses(
        (status = 200, body = Step),
        (status = 404, description = "`ticket_not_found`"),
        (status = 409, description = "`ticket_state`"),
    )
)]
pub(super) async fn void(
    State(room): State<Ticketing>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body { body, json }: Body<Reason>,
) -> Result<Response, Problem> {
    let event = allowed(&room, &caller, &id).await?.event_id;
    let once = Creation::new(&room, &caller, &format!("tickets/{id}/void"), &key, &json);
    let mut tx = room.store.begin_event(&event).await?;
    if let Some(known) = once.known(&mut tx).await? {
        return Ok(known);
    }
    let now = room.now();
    let killed = tickets::kill(
        &room,
        &mut tx,
        std::slice::from_ref(&id),
        Death::Cancelled,
        now,
    )
    .await?;
    for ticket in killed.iter().filter(|t| t.held_stock && !t.was_used) {
        stock::give_back(&mut tx, &ticket.type_id, 1).await?;
    }
    events::after_stock_change(&room.store, &mut tx, &event).await?;
    let ticket = tickets::one_in(&mut tx, &id).await?;
    let step = Step::from(&ticket);
    let response = once.keep(&mut tx, StatusCode::OK, None, &step, now).await?;
    tx.commit().await?;
    note(&room, &caller, "ticketing.ticket.voided", &id, &body).await;
    Ok(response)
}

/// A new code instead of the old one, which opens no gate any more; mailed to the holder.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/reissue", tag = "Tickets",
    params(("id" = String, Path)), request_body = Reason,
    responses(
        (status = 200, body = Step),
        (status = 404, description = "`ticket_not_found`"),
        (status = 409, description = "`ticket_state`"),
    )
)]
pub(super) async fn reissue(
    State(room): State<Ticketing>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body { body, json }: Body<Reason>,
) -> Result<Response, Problem> {
    let event = allowed(&room, &caller, &id).await?.event_id;
    let once = Creation::new(
        &room,
        &caller,
        &format!("tickets/{id}/reissue"),
        &key,
        &json,
    );
    let mut tx = room.store.begin_event(&event).await?;
    if let Some(known) = once.known(&mut tx).await? {
        return Ok(known);
    }
    let now = room.now();
    let ticket = tickets::reissue(&room, &mut tx, &id, now).await?;
    let persons = [ticket.holder_person.clone()];
    let persons = room.vault.load_in(&mut tx, &persons).await?;
    let holder = persons.get(&ticket.holder_person);
    if let Some(person) = holder
        && let Some(address) = tickets::Holder::of(&ticket, holder).email
    {
        let wanted = TicketMail {
            event_id: &event,
            order_id: None,
            ticket_id: Some(&id),
            kind: "ticket.reissued",
        };
        tickets::mail::queue(&room, &mut tx, person, &address, &wanted).await?;
    }
    let step = Step::from(&ticket);
    let response = once.keep(&mut tx, StatusCode::OK, None, &step, now).await?;
    tx.commit().await?;
    note(&room, &caller, "ticketing.ticket.reissued", &id, &body).await;
    Ok(response)
}
