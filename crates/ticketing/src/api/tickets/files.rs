//! A ticket as pictures, page, calendar file and proof.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::{Asking, permission};
use crate::Ticketing;
use crate::gate::{Facts, keys};
use crate::model::provenance::Receipt;
use crate::provenance::read;
use crate::tickets::access::Right;
use crate::tickets::page::{self, Sheet};
use crate::tickets::qr::Picture;
use crate::tickets::{self, Ticket, calendar, mail};

pub(super) fn routes() -> Routes<Ticketing> {
    let guests = Access::Optional;
    Routes::new()
        .route(RouteSpec::get("/api/v1/tickets/{id}/qr.svg", guests), svg)
        .route(RouteSpec::get("/api/v1/tickets/{id}/qr.png", guests), png)
        .route(RouteSpec::get("/api/v1/tickets/{id}/print", guests), print)
        .route(
            RouteSpec::get("/api/v1/tickets/{id}/calendar.ics", guests),
            calendar,
        )
        .route(RouteSpec::get("/api/v1/tickets/{id}/proof", guests), proof)
}

/// A file that stays with its owner.
fn file(content_type: &'static str, bytes: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}

async fn picture(room: &Ticketing, ticket: &Ticket) -> Result<Picture, Problem> {
    let key = keys::signing(room, &ticket.event_id).await?;
    Picture::of(&mail::token(&key, ticket)?).map_err(Problem::internal)
}

/// The QR code as SVG.
#[utoipa::path(
    get, path = "/api/v1/tickets/{id}/qr.svg", tag = "Tickets",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses(
        (status = 200, content_type = "image/svg+xml", body = String),
        (status = 404, description = "`ticket_not_found`"),
    )
)]
pub(super) async fn svg(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = caller.as_ref();
    let asking = Asking {
        room: &room,
        info: &info,
        caller,
        headers: &headers,
    };
    let ticket = asking.own(&id).await?;
    Ok(file("image/svg+xml", picture(&room, &ticket).await?.svg()))
}

/// The QR code as PNG.
#[utoipa::path(
    get, path = "/api/v1/tickets/{id}/qr.png", tag = "Tickets",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses(
        (status = 200, content_type = "image/png", body = Vec<u8>),
        (status = 404, description = "`ticket_not_found`"),
    )
)]
pub(super) async fn png(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = caller.as_ref();
    let asking = Asking {
        room: &room,
        info: &info,
        caller,
        headers: &headers,
    };
    let ticket = asking.own(&id).await?;
    let png = picture(&room, &ticket).await?.png();
    Ok(file("image/png", png.map_err(Problem::internal)?))
}

/// The ticket as a page to be printed.
#[utoipa::path(
    get, path = "/api/v1/tickets/{id}/print", tag = "Tickets",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses(
        (status = 200, content_type = "text/html", body = String),
        (status = 404, description = "`ticket_not_found`"),
    )
)]
pub(super) async fn print(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = caller.as_ref();
    let asking = Asking {
        room: &room,
        info: &info,
        caller,
        headers: &headers,
    };
    let found = [asking.own(&id).await?];
    let facts = Facts::load(&room.store.db, &found[0].event_id).await?;
    let key = keys::signing(&room, &found[0].event_id).await?;
    let holders = tickets::holders(&room, &room.store.db, &found).await?;
    let sheet = Sheet {
        ticket: &found[0],
        holder: &holders[0],
        token: &mail::token(&key, &found[0])?,
    };
    let html = page::html(&facts, &[sheet]).map_err(Problem::internal)?;
    Ok(file("text/html; charset=utf-8", html))
}

/// The event as a calendar file.
#[utoipa::path(
    get, path = "/api/v1/tickets/{id}/calendar.ics", tag = "Tickets",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses(
        (status = 200, content_type = "text/calendar", body = String),
        (status = 404, description = "`ticket_not_found`"),
    )
)]
pub(super) async fn calendar(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = caller.as_ref();
    let asking = Asking {
        room: &room,
        info: &info,
        caller,
        headers: &headers,
    };
    let ticket = asking.own(&id).await?;
    let facts = Facts::load(&room.store.db, &ticket.event_id).await?;
    let host = mail::host(&room);
    let text = calendar::file(&facts.event, &ticket.number, &host, room.now())
        .ok_or_else(|| Problem::not_found("not_found", "The event has no times."))?;
    let mut response = file("text/calendar; charset=utf-8", text);
    let name = HeaderValue::from_static("attachment; filename=\"event.ics\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// What proves that the ticket was issued and what became of it.
#[utoipa::path(
    get, path = "/api/v1/tickets/{id}/proof", tag = "Tickets",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses(
        (status = 200, description = "Leaves with their audit paths and a signed checkpoint; salt and payload to the owner", body = Object),
        (status = 404, description = "`ticket_not_found`"),
        (status = 409, description = "`checkpoint_pending`"),
    )
)]
pub(super) async fn proof(
    State(room): State<Ticketing>,
    info: axum::Extension<RequestInfo>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = caller.as_ref();
    let asking = Asking {
        room: &room,
        info: &info,
        caller,
        headers: &headers,
    };
    let (ticket, right) = asking.open(&id, Some(permission::TICKETS_MANAGE)).await?;
    let receipt: Receipt = read::receipt(&room, &ticket, right == Right::Owner).await?;
    Ok(Json(receipt).into_response())
}
