//! `GET /console/shadow/alerts`: what monitors found, and who looks after it.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::Value;

use super::monitors::severity;
use super::{API, account_link, page_of, state, tabs};
use crate::Console;
use crate::api::{items, segment, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::table::{Table, pager};
use crate::ui::{form, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/shadow/alerts";
const COLUMNS: &[(&str, &str)] = &[
    ("Alert", "id"),
    ("Monitor", "monitor"),
    ("Kind", "kind"),
    ("Severity", "severity"),
    ("Account", "accountId"),
    ("Currency", "currency"),
    ("State", "state"),
    ("Raised", "raisedAt"),
    ("Acknowledged", "acknowledgedAt"),
    ("By", "acknowledgedBy"),
    ("Cleared", "clearedAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, show);
    post(
        routes,
        "/console/shadow/alerts/{id}/acknowledge",
        acknowledge,
    )
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/alerts")).filters(&["state"]);
    if visit.exports() {
        return list.export("alerts", COLUMNS).await;
    }
    let page = list.page().await?;
    let words = [
        ("", "All"),
        ("open", "Open"),
        ("acknowledged", "Acknowledged"),
        ("cleared", "Cleared"),
    ];
    let content = html! {
        (tabs(HERE, "state", visit.query("state"), &words))
        (table(&visit, items(&page, "items")).empty("No alert matches."))
        (pager(&visit, &page, true))
    };
    Ok(Page::new("Alerts", content).into())
}

/// Alerts as a table.
pub fn table(visit: &Visit, alerts: &[Value]) -> Table {
    let may = visit.me.may("shadow:configure");
    Table::new("Alerts")
        .columns(&[
            "Severity", "Kind", "Monitor", "Account", "Figures", "Raised", "State", "",
        ])
        .rows(alerts, |alert| {
            let path = format!("{HERE}/{}/acknowledge", segment(text(alert, "id")));
            vec![
                severity(text(alert, "severity")),
                html! { (text(alert, "kind").replace('_', " ")) },
                html! { a href=(page_of("monitors", text(alert, "monitor"))) { (text(alert, "monitor")) } },
                account_link(text(alert, "accountId"), text(alert, "currency")),
                figures(&alert["figures"]),
                time::ago(text(alert, "raisedAt")),
                html! {
                    (state(text(alert, "state")))
                    @if !text(alert, "acknowledgedBy").is_empty() {
                        " " span.note { "by " (text(alert, "acknowledgedBy")) }
                    }
                },
                html! {
                    @if may && text(alert, "state") == "open" {
                        (form::button(visit, &path, "Acknowledge"))
                    }
                },
            ]
        })
}

fn nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Named figures as words, whatever the monitor names.
fn figures(figures: &Value) -> Markup {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    html! {
        @if let Some(named) = figures.as_object() {
            @let named = named.iter().filter(|(_, value)| !nothing(value));
            @for (at, (name, value)) in named.enumerate() {
                @if at > 0 { ", " }
                (name) " " code { (plain(value)) }
            }
        }
    }
}

async fn acknowledge(visit: Visit) -> Outcome {
    let path = format!("{API}/alerts/{}/acknowledge", segment(visit.param("id")));
    let result = visit.api.post(path).json().await;
    Reply::after(result, HERE, "You look after the alert.")
}
