//! `/analytics/…` (contract E).

mod exports;
mod live;
mod reports;
mod track;

use florin_platform::http::router::Routes;

use crate::Ticketing;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    Routes::new()
        .merge(reports::routes())
        .merge(track::routes())
        .merge(live::routes())
        .merge(exports::routes())
}
