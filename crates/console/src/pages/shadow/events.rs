//! `GET /console/shadow/events`: recorded events by state, account, source and time; and the table
//! of events that other pages show too.

use florin_platform::http::router::Routes;
use maud::html;
use serde_json::Value;

use super::{API, account_link, amount, event_link, millis, page_of, state};
use crate::Console;
use crate::api::{flag, items, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::filter::Filter;
use crate::ui::table::{Table, pager};
use crate::ui::time;
use crate::visit::{Visit, get};

const FILTERS: &[&str] = &["accountId", "currency", "state", "source", "redrivable"];
const COLUMNS: &[(&str, &str)] = &[
    ("Event", "eventId"),
    ("Account", "accountId"),
    ("Type", "type"),
    ("Amount", "amount"),
    ("Currency", "currency"),
    ("Time (epoch ms)", "timestamp"),
    ("State", "state"),
    ("Final", "final"),
    ("Reason", "reason"),
    ("Redrivable", "redrivable"),
    ("Correction", "isCorrection"),
    ("Cause", "causeEventId"),
    ("Reference", "reference"),
    ("Description", "description"),
    ("Source", "source"),
    ("Recorded", "recordedAt"),
    ("Record", "logSeq"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/shadow/events", show)
}

async fn show(visit: Visit) -> Outcome {
    if !visit.query("id").is_empty() {
        let path = page_of("events", visit.query("id"));
        return Ok(Reply::To { path, said: None });
    }
    let list = Listing::new(&visit, format!("{API}/events"));
    let list = list.filters(FILTERS).exact().period()?;
    if visit.exports() {
        return list.export("shadow-events", COLUMNS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit)
        .text("id", "Event id")
        .text("accountId", "Account")
        .text("currency", "Currency")
        .choice(
            "state",
            "State",
            &["applied", "held", "held_for_review", "rejected"],
        )
        .text("source", "Source")
        .choice("redrivable", "Would fit now", &["true", "false"])
        .time("from", "From")
        .time("to", "To");
    let content = html! {
        (filter.render())
        (table(items(&page, "items")))
        (pager(&visit, &page, true))
    };
    Ok(Page::new("Events", content).into())
}

/// Events as a table.
pub fn table(events: &[Value]) -> Table {
    let table = Table::new("Events").columns(&["Event", "Account", "Type"]);
    let table = table
        .number("Amount")
        .columns(&["State", "Counts at", "Recorded", "Source"])
        .empty("No event matches.");
    table.rows(events, |event| {
        vec![
            event_link(text(event, "eventId")),
            account_link(text(event, "accountId"), text(event, "currency")),
            html! { (text(event, "type")) @if flag(event, "isCorrection") { " " span.note { "correction" } } },
            amount(event, "amount"),
            html! {
                (state(text(event, "state")))
                @if !flag(event, "final") { " " span.note { "open" } }
                @if !text(event, "reason").is_empty() {
                    " " span.note { (text(event, "reason").replace('_', " ")) }
                }
                @if flag(event, "redrivable") { " " span.note { "would fit now" } }
            },
            millis(event, "timestamp"),
            time::time(text(event, "recordedAt")),
            html! { (text(event, "source")) },
        ]
    })
}
