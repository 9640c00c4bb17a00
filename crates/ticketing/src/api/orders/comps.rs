//! `POST /events/{id}/comps`: complimentary tickets (contract B4).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::again;
use super::body::short;
use crate::Ticketing;
use crate::api::events::allowed;
use crate::api::input::Body;
use crate::api::{permission, problem};
use crate::orders::attendees::is_mail;
use crate::orders::comps::{self, Comps, Given, Guest};
use crate::orders::judge::TICKETS_MAX;
use crate::store::idempotency::Once;

/// The route.
pub fn routes() -> Routes<Ticketing> {
    let path = "/api/v1/events/{id}/comps";
    Routes::new().route(RouteSpec::post(path, permission::TICKETS_MANAGE), create)
}

/// Tickets for guests.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CompsRequest)]
pub struct CompsBody {
    /// The type.
    ticket_type_id: String,
    /// 1 to 100 guests, a ticket for each.
    attendees: Vec<GuestBody>,
}

/// A guest.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompGuest)]
pub struct GuestBody {
    /// Name.
    name: Option<String>,
    /// E-mail; the first guest's gets the tickets.
    email: Option<String>,
}

/// Give tickets away: price 0, stock counts, buyer limits do not.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/comps", tag = "Orders", request_body = CompsBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 201, description = "The order, confirmed", body = Value),
        (status = 404, description = "`event_not_found`, `ticket_type_not_found`"),
        (status = 409, description = "`event_state`, `sold_out`, `not_enough`"),
    )
)]
pub async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body { body, json }: Body<CompsBody>,
) -> Result<Response, Problem> {
    let key = key.as_deref().ok_or_else(problem::key_required)?;
    let event = allowed(&room, &caller, &id, permission::TICKETS_MANAGE).await?;
    let most = usize::try_from(TICKETS_MAX).unwrap_or(usize::MAX);
    if body.attendees.is_empty() || body.attendees.len() > most {
        return Err(Problem::validation(
            "attendees",
            "There are 1 to 100 guests.",
        ));
    }
    let mut guests = Vec::with_capacity(body.attendees.len());
    for (index, guest) in body.attendees.into_iter().enumerate() {
        if guest.email.as_deref().is_some_and(|mail| !is_mail(mail)) {
            let name = format!("attendees[{index}].email");
            return Err(Problem::validation(name, "Must be an e-mail address."));
        }
        guests.push(Guest {
            name: short("attendees", guest.name)?,
            email: guest.email,
        });
    }
    let scope = format!("comps:{}:sub:{}", event.id, caller.subject);
    let comps = Comps {
        event_id: event.id,
        type_id: body.ticket_type_id,
        guests,
        giver: caller.subject.to_string(),
        once: Once::new(&room.secrets, scope, key, &json),
    };
    match comps::give(&room, comps).await? {
        Given::New(body) => {
            room.told.notify_one();
            Ok((StatusCode::CREATED, Json::<Value>(body)).into_response())
        }
        Given::Again(kept) => again(&room, kept).await,
    }
}
