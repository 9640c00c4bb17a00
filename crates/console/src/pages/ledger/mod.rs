//! The ledger: accounts, transfers, trial balance, checkpoints, live feed.

mod account;
mod accounts;
mod checkpoints;
mod feed;
mod history;
mod proof;
mod transfer;
mod transfers;
mod trial_balance;

pub use transfers::period;

use florin_platform::http::router::Routes;
use maud::Markup;

use crate::Console;
use crate::api::segment;
use crate::ui::link_short;

/// The routes of these pages.
pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = accounts::routes(routes);
    let routes = account::routes(routes);
    let routes = transfers::routes(routes);
    let routes = transfer::routes(routes);
    let routes = trial_balance::routes(routes);
    let routes = checkpoints::routes(routes);
    feed::routes(routes)
}

/// The page of an account.
pub fn account_path(id: &str) -> String {
    format!("/console/ledger/accounts/{}", segment(id))
}

/// The page of a transfer.
pub fn transfer_path(id: &str) -> String {
    format!("/console/ledger/transfers/{}", segment(id))
}

/// A link to an account.
pub fn account_link(id: &str) -> Markup {
    link_short(&account_path(id), id)
}

/// A link to a transfer.
pub fn transfer_link(id: &str) -> Markup {
    link_short(&transfer_path(id), id)
}
