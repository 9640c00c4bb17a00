//! The pages: one folder for each part of the menu, one file for each page.

mod ledger;
mod overview;
mod wallets;

use florin_platform::http::router::Routes;

use crate::Console;

/// The routes of all pages.
pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = overview::routes(routes);
    let routes = ledger::routes(routes);
    wallets::routes(routes)
}
