//! `GET /console/admin/audit`: who did what, newest first, each entry bound to the one before.

use florin_platform::http::router::Routes;
use maud::html;

use crate::Console;
use crate::api::{items, number, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page};
use crate::ui::filter::Filter;
use crate::ui::money::count;
use crate::ui::table::{Table, pager};
use crate::ui::{short, time};
use crate::visit::{Visit, get};

const COLUMNS: &[(&str, &str)] = &[
    ("Entry", "seq"),
    ("At", "at"),
    ("Actor", "actor"),
    ("Action", "action"),
    ("Object", "object"),
    ("Before", "before"),
    ("After", "after"),
    ("Trace", "traceId"),
    ("Hash before", "prevHash"),
    ("Hash", "hash"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/admin/audit", show)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, "/api/v1/audit");
    let list = list.filters(&["actor", "action", "object"]).period()?;
    if visit.exports() {
        return list.export("audit", COLUMNS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit)
        .text("actor", "Actor")
        .text("action", "Action")
        .text("object", "Object")
        .time("from", "From")
        .time("to", "To");
    let table = Table::new("Audit log")
        .number("Entry")
        .columns(&["At", "Actor", "Action", "Object", "Trace", "Hash"])
        .empty("Nothing matches.")
        .rows(items(&page, "items"), |entry| {
            let (actor, object) = (text(entry, "actor"), text(entry, "object"));
            vec![
                count(number(entry, "seq")),
                time::time(text(entry, "at")),
                html! { a href=(visit.here_with(&[("actor", actor)])) { (short(actor)) } },
                html! { (text(entry, "action")) },
                html! { a href=(visit.here_with(&[("object", object)])) { (short(object)) } },
                short(text(entry, "traceId")),
                short(text(entry, "hash")),
            ]
        });
    let content = html! { (filter.render()) (table) (pager(&visit, &page, true)) };
    Ok(Page::new("Audit log", content).into())
}
