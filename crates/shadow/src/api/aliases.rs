//! The same handlers at the root, for existing clients (contract section 0).

use florin_platform::http::router::{RouteSpec, Routes};

use super::{Shared, balance, batch, class, events, permission};

pub(super) fn event_routes() -> Routes<Shared> {
    let event = RouteSpec::post("/events", permission::INTAKE).class(class::intake());
    Routes::new()
        .route(event.undocumented(), events::post)
        .route(batch::spec("/events/batch").undocumented(), batch::post)
}

pub(super) fn ledger_routes() -> Routes<Shared> {
    let balance = RouteSpec::get("/accounts/{accountId}/shadow-balance", permission::BALANCE);
    Routes::new().route(balance.undocumented(), balance::get)
}
