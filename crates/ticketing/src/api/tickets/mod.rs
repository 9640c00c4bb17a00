//! `/tickets`: what a holder has and what staff may do with it (contract D1, D2).

mod files;
mod list;
pub mod show;
mod staff;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::{Access, Caller, Permission};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use http::HeaderMap;
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

use self::show::TicketShown;
use super::given::Given;
use super::input::Body;
use super::{check, permission};
use crate::tickets::access::{self, Right};
use crate::tickets::{self, HolderChange, Ticket};
use crate::{Ticketing, limits};

#[derive(OpenApi)]
#[openapi(
    tags((name = "Tickets", description = "Tickets, their codes, and handing them on")),
    paths(
        list::list, list::attendees, get, patch, files::svg, files::png, files::print,
        files::calendar, files::proof, staff::void, staff::reissue
    )
)]
struct Document;

/// Header of an access token.
const ACCESS_TOKEN: &str = "x-access-token";

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let one = "/api/v1/tickets/{id}";
    let guests = Access::Optional;
    Routes::new()
        .route(RouteSpec::get("/api/v1/tickets", guests), list::list)
        .route(
            RouteSpec::get("/api/v1/events/{id}/attendees", permission::ORDERS_READ),
            list::attendees,
        )
        .route(RouteSpec::get(one, guests), get)
        .route(RouteSpec::patch(one, guests), patch)
        .merge(files::routes())
        .merge(staff::routes())
        .document(Document::openapi())
}

/// The access token of a request, if it has one.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(ACCESS_TOKEN)
        .and_then(|value| value.to_str().ok())
}

/// Who asks for a ticket, and with what.
pub(super) struct Asking<'a> {
    pub room: &'a Ticketing,
    pub info: &'a RequestInfo,
    pub caller: Option<&'a Caller>,
    pub headers: &'a HeaderMap,
}

impl Asking<'_> {
    /// The ticket and by what right; staff needs `permission`, without one there is none. A wrong
    /// token uses up the address's guesses.
    pub(super) async fn open(
        &self,
        id: &str,
        permission: Option<Permission>,
    ) -> Result<(Ticket, Right), Problem> {
        let db = &self.room.store.db;
        let opened = match tickets::one(db, id).await {
            Ok(ticket) => {
                let caller = self.caller.map(|caller| &**caller);
                let token = token(self.headers);
                let right = access::open(self.room, caller, token, &ticket, permission).await;
                right.map(|right| (ticket, right))
            }
            Err(problem) => Err(problem),
        };
        if opened.is_err() && token(self.headers).is_some() {
            let address = self.info.client().to_string();
            self.room.limits.take(limits::GUESS, &address).await?;
        }
        opened
    }

    /// The ticket as its owner only.
    pub(super) async fn own(&self, id: &str) -> Result<Ticket, Problem> {
        Ok(self.open(id, None).await?.0)
    }
}

/// One ticket; its code is shown to its owner only.
#[utoipa::path(
    get, path = "/api/v1/tickets/{id}", tag = "Tickets",
    params(
        ("id" = String, Path),
        ("X-Access-Token" = Option<String>, Header, description = "Opens it without an account"),
    ),
    responses(
        (status = 200, body = TicketShown),
        (status = 404, description = "`ticket_not_found`, also for strangers"),
    )
)]
async fn get(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let asking = Asking {
        room: &room,
        info: &info,
        caller: caller.as_ref(),
        headers: &headers,
    };
    let (ticket, right) = asking.open(&id, Some(permission::TICKETS_MANAGE)).await?;
    let shown = show::one(&room, ticket, right == Right::Owner).await?;
    Ok(Json(shown).into_response())
}

/// Another holder.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = TicketPatch)]
struct Patch {
    /// Who is printed.
    holder: HolderBody,
}

/// Who is printed on a ticket; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = TicketHolderPatch)]
struct HolderBody {
    /// Name.
    #[schema(value_type = Option<String>)]
    name: Given<String>,
    /// E-mail.
    #[schema(value_type = Option<String>)]
    email: Given<String>,
}

/// Print somebody else on a ticket, until it is used. Its code stays the same.
#[utoipa::path(
    patch, path = "/api/v1/tickets/{id}", tag = "Tickets",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    request_body = Patch,
    responses(
        (status = 200, body = TicketShown),
        (status = 404, description = "`ticket_not_found`"),
        (status = 409, description = "`ticket_state`"),
    )
)]
async fn patch(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body { body, .. }: Body<Patch>,
) -> Result<Response, Problem> {
    let asking = Asking {
        room: &room,
        info: &info,
        caller: caller.as_ref(),
        headers: &headers,
    };
    let (seen, right) = asking.open(&id, Some(permission::TICKETS_MANAGE)).await?;
    let change = HolderChange {
        name: body
            .holder
            .name
            .try_map(|name| check::line("holder.name", &name, 1, 200))?,
        email: body
            .holder
            .email
            .try_map(|email| check::email("holder.email", &email))?,
    };
    let mut tx = room.store.begin_event(&seen.event_id).await?;
    let mut ticket = tickets::one_in(&mut tx, &id).await?;
    tickets::change_holder(&room, &mut tx, &mut ticket, change).await?;
    tx.commit().await?;
    let shown = show::one(&room, ticket, right == Right::Owner).await?;
    Ok(Json(shown).into_response())
}
