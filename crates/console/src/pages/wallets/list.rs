//! `GET /console/wallets`: wallets, by user, currency and state.

use florin_platform::http::router::Routes;
use maud::html;

use super::{wallet_link, wallet_path};
use crate::Console;
use crate::api::{items, text};
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::badge;
use crate::ui::export::Export;
use crate::ui::filter::Filter;
use crate::ui::money::money;
use crate::ui::table::{PAGE, Table, pager};
use crate::ui::time;
use crate::visit::{Visit, get};

const FILTERS: [&str; 3] = ["userId", "currency", "status"];
const COLUMNS: &[(&str, &str)] = &[
    ("Wallet", "walletId"),
    ("User", "userId"),
    ("Label", "label"),
    ("Currency", "currency"),
    ("State", "status"),
    ("Balance", "balance"),
    ("Held", "held"),
    ("Available", "available"),
    ("Tier", "tier"),
    ("Created", "createdAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/wallets", show)
}

async fn show(visit: Visit) -> Outcome {
    if !visit.query("id").is_empty() {
        let path = wallet_path(visit.query("id"));
        return Ok(Reply::To { path, said: None });
    }
    let filters = FILTERS.map(|name| (name, visit.query(name)));
    let path = "/api/v1/wallets";
    if visit.exports() {
        let query = filters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let export = Export {
            name: "wallets",
            path: path.to_owned(),
            query: query.into(),
            columns: COLUMNS,
        };
        return export.reply(&visit).await;
    }
    let ask = visit.api.get(path).queries(filters).query("limit", PAGE);
    let page = ask.query("cursor", visit.query("cursor")).json().await?;
    let filter = Filter::new(&visit)
        .text("userId", "User")
        .text("id", "Wallet id")
        .text("currency", "Currency")
        .choice("status", "State", &["ACTIVE", "FROZEN", "CLOSED"]);
    let table = Table::new("Wallets")
        .columns(&["Wallet", "User", "Label", "State"])
        .number("Balance")
        .number("Held")
        .number("Available")
        .column("Created")
        .empty("No wallet matches.")
        .rows(items(&page, "items"), |wallet| {
            let currency = text(wallet, "currency");
            let user = text(wallet, "userId");
            vec![
                wallet_link(text(wallet, "walletId")),
                html! { a href=(visit.here_with(&[("userId", user)])) { (user) } },
                html! { (text(wallet, "label")) },
                badge(text(wallet, "status")),
                money(text(wallet, "balance"), currency),
                money(text(wallet, "held"), currency),
                money(text(wallet, "available"), currency),
                time::time(text(wallet, "createdAt")),
            ]
        });
    let content = html! { (filter.render()) (table) (pager(&visit, &page, true)) };
    Ok(Page::new("Wallets", content).into())
}
