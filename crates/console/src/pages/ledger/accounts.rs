//! `GET /console/ledger/accounts`: all accounts, by asset, kind, state and beginning of the id.

use florin_platform::http::router::Routes;
use maud::html;

use super::account_path;
use crate::Console;
use crate::api::{items, text};
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::badge;
use crate::ui::export::Export;
use crate::ui::filter::Filter;
use crate::ui::table::{PAGE, Table, pager};
use crate::ui::{link_short, time};
use crate::visit::{Visit, get};

const FILTERS: [&str; 4] = ["idPrefix", "asset", "kind", "status"];
const COLUMNS: &[(&str, &str)] = &[
    ("Account", "id"),
    ("Asset", "asset"),
    ("Kind", "kind"),
    ("Normal side", "normalSide"),
    ("State", "status"),
    ("May overdraw", "mayOverdraw"),
    ("Floor (minor units)", "floorMinor"),
    ("Version", "version"),
    ("Created", "createdAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ledger/accounts", show)
}

async fn show(visit: Visit) -> Outcome {
    let filters = FILTERS.map(|name| (name, visit.query(name)));
    if visit.exports() {
        let query = filters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let export = Export {
            name: "accounts",
            path: "/api/v1/ledger/accounts".to_owned(),
            query: query.into(),
            columns: COLUMNS,
        };
        return export.reply(&visit).await;
    }
    let ask = visit.api.get("/api/v1/ledger/accounts").queries(filters);
    let ask = ask
        .query("limit", PAGE)
        .query("cursor", visit.query("cursor"));
    let page = ask.json().await?;
    let found = items(&page, "items");
    // Somebody who pastes a whole id wants that account.
    if let [only] = found
        && text(only, "id") == visit.query("idPrefix")
    {
        let path = account_path(text(only, "id"));
        return Ok(Reply::To { path, said: None });
    }
    let filter = Filter::new(&visit)
        .text("idPrefix", "Id begins with")
        .text("asset", "Asset")
        .choice(
            "kind",
            "Kind",
            &["asset", "liability", "equity", "income", "expense"],
        )
        .choice("status", "State", &["open", "frozen", "closed"]);
    let table = Table::new("Accounts")
        .columns(&[
            "Account",
            "Asset",
            "Kind",
            "Normal side",
            "State",
            "Created",
        ])
        .empty("No account matches.")
        .rows(found, |account| {
            let id = text(account, "id");
            vec![
                link_short(&account_path(id), id),
                html! { (text(account, "asset")) },
                html! { (text(account, "kind")) },
                html! { (text(account, "normalSide")) },
                badge(text(account, "status")),
                time::time(text(account, "createdAt")),
            ]
        });
    let content = html! { (filter.render()) (table) (pager(&visit, &page, true)) };
    Ok(Page::new("Accounts", content).into())
}
