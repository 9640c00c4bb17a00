//! The pages: one folder for each part of the menu, one file for each page;
//! `listing.rs` is how they ask for lists.

mod admin;
mod ledger;
mod listing;
mod overview;
mod shadow;
mod ticketing;
mod wallets;

use florin_platform::http::router::Routes;

use crate::Console;

/// The routes of all pages.
pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = overview::routes(routes);
    let routes = ledger::routes(routes);
    let routes = wallets::routes(routes);
    let routes = ticketing::routes(routes);
    let routes = shadow::routes(routes);
    admin::routes(routes)
}
