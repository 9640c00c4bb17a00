//! The same handlers at the root, for existing clients (contract section 0).

use florin_platform::http::router::{RouteSpec, Routes};

use super::{Shared, balance, batch, events, permission};

pub(super) fn routes() -> Routes<Shared> {
    Routes::new()
        .route(
            RouteSpec::post("/events", permission::INTAKE).undocumented(),
            events::post,
        )
        .route(batch::spec("/events/batch").undocumented(), batch::post)
        .route(
            RouteSpec::get("/accounts/{accountId}/shadow-balance", permission::BALANCE)
                .undocumented(),
            balance::get,
        )
}
