//! Wallets: by user, one with everything about it, what may be done to it, holds.

mod actions;
mod holds;
mod limits;
mod list;
mod statement;
mod transaction;
mod wallet;

use florin_platform::http::router::Routes;
use maud::Markup;

use crate::Console;
use crate::api::segment;
use crate::ui::link_short;

/// The routes of these pages.
pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = list::routes(routes);
    let routes = wallet::routes(routes);
    let routes = statement::routes(routes);
    let routes = transaction::routes(routes);
    let routes = holds::routes(routes);
    actions::routes(routes)
}

/// The page of a wallet.
pub fn wallet_path(id: &str) -> String {
    format!("/console/wallets/{}", segment(id))
}

/// A link to a wallet.
pub fn wallet_link(id: &str) -> Markup {
    link_short(&wallet_path(id), id)
}

/// The page of a transaction.
pub fn transaction_path(id: &str) -> String {
    format!("/console/transactions/{}", segment(id))
}

/// A link to a transaction.
pub fn transaction_link(id: &str) -> Markup {
    link_short(&transaction_path(id), id)
}
