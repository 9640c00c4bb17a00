//! Handing tickets on (contract D5).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::check;
use super::input::Body;
use super::once::shown;
use super::tickets::Asking;
use super::tickets::show::{self, TicketShown};
use crate::gate::Facts;
use crate::store::idempotency::{Kept, Once};
use crate::tickets::transfer::{self, Acceptor, Offer, Transfer};
use crate::{Ticketing, limits};

/// Label under which an answer is sealed.
const ANSWER: &str = "transfer.answer";

#[derive(OpenApi)]
#[openapi(paths(offer, withdraw, get, accept))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let of_ticket = "/api/v1/tickets/{id}/transfers";
    let one = "/api/v1/tickets/{id}/transfers/{transferId}";
    Routes::new()
        .route(RouteSpec::post(of_ticket, Access::Optional), offer)
        .route(RouteSpec::delete(one, Access::Optional), withdraw)
        .route(
            RouteSpec::get("/api/v1/transfers/{token}", Access::Optional),
            get,
        )
        .route(
            RouteSpec::post("/api/v1/transfers/{token}/accept", Access::Optional),
            accept,
        )
        .document(Document::openapi())
}

/// Whom a ticket is offered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = TransferRequest)]
struct OfferBody {
    /// The code is mailed there.
    recipient_email: String,
    /// For the mail.
    recipient_name: Option<String>,
    /// A word with it, at most 500 characters.
    message: Option<String>,
}

/// An offer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Transfer)]
struct TransferShown {
    id: String,
    ticket_id: String,
    event_id: String,
    /// `pending`, `accepted`, `cancelled`, `expired`.
    status: String,
    #[schema(value_type = String)]
    expires_at: Timestamp,
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// Accepts it; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl TransferShown {
    fn of(transfer: Transfer, now: i64, token: Option<String>) -> Self {
        Self {
            status: transfer.status_at(now).to_owned(),
            id: transfer.id,
            ticket_id: transfer.ticket_id,
            event_id: transfer.event_id,
            expires_at: Timestamp(transfer.expires_at),
            created_at: Timestamp(transfer.created_at),
            token,
        }
    }
}

/// Offer a ticket to somebody. Until it is accepted it stays yours.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/transfers", tag = "Tickets",
    params(
        ("id" = String, Path),
        ("X-Access-Token" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = OfferBody,
    responses(
        (status = 201, body = TransferShown),
        (status = 404, description = "`ticket_not_found`"),
        (status = 409, description = "`not_transferable`, `transfer_pending`, `ticket_state`"),
    )
)]
async fn offer(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body { body, json }: Body<OfferBody>,
) -> Result<Response, Problem> {
    let caller = caller.as_ref();
    let asking = Asking {
        room: &room,
        info: &info,
        caller,
        headers: &headers,
    };
    let ticket = asking.own(&id).await?;
    let wanted = Offer {
        email: check::email("recipientEmail", &body.recipient_email)?,
        name: body
            .recipient_name
            .map(|name| check::line("recipientName", &name, 1, 200))
            .transpose()?,
        message: body
            .message
            .map(|text| check::text("message", &text, 500))
            .transpose()?,
    };
    let owner = ticket.owner_person.clone();
    let scope = format!("transfers:{id}:{owner}");
    let once = key
        .as_deref()
        .map(|key| Once::new(&room.secrets, scope, key, &json));
    let mut tx = room.store.begin_event(&ticket.event_id).await?;
    let persons = room
        .vault
        .load_in(&mut tx, std::slice::from_ref(&owner))
        .await?;
    let person = persons
        .get(&owner)
        .ok_or_else(|| Problem::internal("a ticket of nobody"))?;
    if let Some(once) = &once
        && let Some(mut kept) = once.replay(&mut tx).await?
    {
        let text = person
            .open(ANSWER, &kept.body)
            .unwrap_or_else(|| "{}".to_owned());
        kept.body = text.into_bytes();
        return shown(kept).map(replayed);
    }
    room.limits.take(limits::TRANSFER, &owner).await?;
    let (transfer, token) = transfer::offer(&room, &mut tx, &id, &wanted).await?;
    let now = room.now();
    let location = format!("/api/v1/tickets/{id}/transfers/{}", transfer.id);
    let answer = TransferShown::of(transfer, now, Some(token));
    let text = serde_json::to_string(&answer).map_err(Problem::internal)?;
    let mut kept = Kept {
        status: StatusCode::CREATED.as_u16(),
        location: Some(location),
        person: Some(owner.clone()),
        body: person.seal(ANSWER, &text),
    };
    if let Some(once) = &once {
        once.keep(&mut tx, &kept, now).await?;
    }
    tx.commit().await?;
    kept.body = text.into_bytes();
    shown(kept)
}

/// Withdraw an offer.
#[utoipa::path(
    delete, path = "/api/v1/tickets/{id}/transfers/{transferId}", tag = "Tickets",
    params(
        ("id" = String, Path), ("transferId" = String, Path),
        ("X-Access-Token" = Option<String>, Header),
    ),
    responses(
        (status = 204, description = "Withdrawn"),
        (status = 404, description = "`transfer_not_found`"),
        (status = 409, description = "`ticket_state`: it is not open any more"),
    )
)]
async fn withdraw(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path((id, transfer_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let caller = caller.as_ref();
    let asking = Asking {
        room: &room,
        info: &info,
        caller,
        headers: &headers,
    };
    let ticket = asking.own(&id).await?;
    let mut tx = room.store.begin_event(&ticket.event_id).await?;
    transfer::cancel(&mut tx, &id, &transfer_id, room.now()).await?;
    tx.commit().await?;
    Ok(no_content())
}

/// What the recipient of an offer sees.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TransferOffer)]
struct OfferShown {
    id: String,
    status: String,
    #[schema(value_type = String)]
    expires_at: Timestamp,
    event_id: String,
    event_title: String,
    #[schema(value_type = Option<String>)]
    starts_at: Option<Timestamp>,
    ticket_type: String,
    recipient_name: Option<String>,
    message: Option<String>,
}

/// The transfer of a token; guesses are limited.
async fn by_token(room: &Ticketing, info: &RequestInfo, token: &str) -> Result<Transfer, Problem> {
    let found = transfer::find(room, token).await;
    if found.is_err() {
        let address = info.client().to_string();
        room.limits.take(limits::GUESS, &address).await?;
    }
    found
}

/// The offer that a token accepts.
#[utoipa::path(
    get, path = "/api/v1/transfers/{token}", tag = "Tickets",
    params(("token" = String, Path)),
    responses(
        (status = 200, body = OfferShown),
        (status = 404, description = "`transfer_not_found`"),
    )
)]
async fn get(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let transfer = by_token(&room, &info, &token).await?;
    let db = &room.store.db;
    let ticket = crate::tickets::one(db, &transfer.ticket_id).await?;
    let facts = Facts::load(db, &transfer.event_id).await?;
    let persons = [transfer.person_id.clone()];
    let persons = room.vault.load(db, &persons).await?;
    let person = persons.get(&transfer.person_id);
    let open = |field: &str, sealed: &Option<Vec<u8>>| {
        let sealed = sealed.as_deref()?;
        person?.open(field, sealed)
    };
    let kind = facts.types.get(&ticket.type_no);
    let answer = OfferShown {
        id: transfer.id.clone(),
        status: transfer.status_at(room.now()).to_owned(),
        expires_at: Timestamp(transfer.expires_at),
        event_id: transfer.event_id.clone(),
        event_title: facts.event.title.clone(),
        starts_at: facts.event.starts_at.map(Timestamp),
        ticket_type: kind.map(|kind| kind.name.clone()).unwrap_or_default(),
        recipient_name: open("transfer.name", &transfer.recipient_name),
        message: open("transfer.message", &transfer.message),
    };
    Ok(Json(answer).into_response())
}

/// Who accepts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = TransferAcceptance)]
struct AcceptBody {
    /// Printed on the ticket.
    name: Option<String>,
    /// The ticket is mailed there.
    email: String,
}

/// The ticket of its new owner.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TransferAccepted)]
struct AcceptedShown {
    #[serde(flatten)]
    ticket: TicketShown,
    /// Opens the ticket without an account; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
}

/// Accept a ticket: the holder changes, and the old code opens no gate any more.
#[utoipa::path(
    post, path = "/api/v1/transfers/{token}/accept", tag = "Tickets",
    params(("token" = String, Path)), request_body = AcceptBody,
    responses(
        (status = 200, body = AcceptedShown),
        (status = 404, description = "`transfer_not_found`"),
        (status = 409, description = "`ticket_state`"),
        (status = 410, description = "`transfer_expired`"),
    )
)]
async fn accept(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    Path(token): Path<String>,
    Body { body, .. }: Body<AcceptBody>,
) -> Result<Response, Problem> {
    let found = by_token(&room, &info, &token).await?;
    let acceptor = Acceptor {
        subject: caller.map(|caller| caller.subject.to_string()),
        name: body
            .name
            .map(|name| check::line("name", &name, 1, 200))
            .transpose()?,
        email: check::email("email", &body.email)?,
    };
    let mut tx = room.store.begin_event(&found.event_id).await?;
    let accepted = transfer::accept(&room, &mut tx, &found.id, &acceptor).await?;
    tx.commit().await?;
    room.told.notify_one();
    let answer = AcceptedShown {
        ticket: show::one(&room, accepted.ticket, true).await?,
        access_token: accepted.access_token,
    };
    Ok(Json(answer).into_response())
}
