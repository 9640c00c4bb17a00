//! `GET /console/shadow/audit`: who decided what in the shadow ledger, from its log.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::Value;

use super::API;
use crate::Console;
use crate::api::{items, number, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page};
use crate::ui::filter::Filter;
use crate::ui::money::count;
use crate::ui::table::{Table, pager};
use crate::ui::{short, time};
use crate::visit::{Visit, get};

const FILTERS: &[&str] = &["accountId", "subject", "actor", "action"];
const COLUMNS: &[(&str, &str)] = &[
    ("Record", "logSeq"),
    ("At", "at"),
    ("Actor", "actor"),
    ("Role", "role"),
    ("Action", "action"),
    ("Subject", "subject"),
    ("Before", "before"),
    ("After", "after"),
    ("Reason", "reason"),
    ("Policy", "policyVersion"),
    ("Trace", "traceId"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/shadow/audit", show)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/audit"));
    let list = list.filters(FILTERS).period()?;
    if visit.exports() {
        return list.export("shadow-audit", COLUMNS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit)
        .text("accountId", "Account")
        .text("subject", "Subject")
        .text("actor", "Actor")
        .text("action", "Action")
        .time("from", "From")
        .time("to", "To");
    let table = Table::new("Audit of the shadow ledger")
        .number("Record")
        .columns(&["At", "Actor", "Action", "Subject", "From → to", "Reason", "Trace"])
        .empty("Nothing matches.")
        .rows(items(&page, "items"), |row| {
            vec![
                count(number(row, "logSeq")),
                time::time(text(row, "at")),
                html! { (short(text(row, "actor"))) @if !text(row, "role").is_empty() { " " span.note { (text(row, "role")) } } },
                html! { (text(row, "action")) },
                short(text(row, "subject")),
                step(&row["before"], &row["after"]),
                html! { (text(row, "reason")) },
                short(text(row, "traceId")),
            ]
        });
    let content = html! { (filter.render()) (table) (pager(&visit, &page, true)) };
    Ok(Page::new("Audit of the shadow ledger", content).into())
}

/// What was, and what is then. Words stand in the row, settings are opened.
fn step(before: &Value, after: &Value) -> Markup {
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let long = |value: &Value| value.is_object() || word(value).len() > 40;
    let (was, is) = (word(before), word(after));
    html! {
        @if was.is_empty() && is.is_empty() { span.none { "–" } }
        @else if long(before) || long(after) {
            details {
                summary { "what was set" }
                @if !was.is_empty() { p { code.wrap { (was) } } " → " }
                p { code.wrap { (is) } }
            }
        }
        @else { (was) " → " (is) }
    }
}
