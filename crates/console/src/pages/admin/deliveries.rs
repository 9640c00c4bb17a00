//! `GET /console/admin/webhooks/{id}/deliveries/{delivery}`: one event on its way to a receiver:
//! what is sent, every try, and once more.

use florin_platform::http::router::Routes;
use maud::{Markup, Render, html};
use serde_json::Value;

use super::page_of;
use super::webhooks::API;
use crate::Console;
use crate::api::{items, number, segment, shown, text};
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::facts::Facts;
use crate::ui::money::count;
use crate::ui::table::Table;
use crate::ui::{form, link_short, section, short, time};
use crate::visit::{Visit, get, post};

/// Columns of a file of deliveries.
pub const COLUMNS: &[(&str, &str)] = &[
    ("Delivery", "id"),
    ("Event", "eventId"),
    ("Type", "eventType"),
    ("Key", "key"),
    ("State", "state"),
    ("Tries", "tries"),
    ("Next try", "nextTryAt"),
    ("Created", "createdAt"),
    ("Finished", "finishedAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(
        routes,
        "/console/admin/webhooks/{id}/deliveries/{delivery}",
        show,
    );
    post(
        routes,
        "/console/admin/webhooks/{id}/deliveries/{delivery}/redeliver",
        redeliver,
    )
}

fn here(hook: &str, delivery: &str) -> String {
    format!(
        "{}/deliveries/{}",
        page_of("webhooks", hook),
        segment(delivery)
    )
}

fn api(visit: &Visit) -> String {
    let (hook, delivery) = (visit.param("id"), visit.param("delivery"));
    format!("{API}/{}/deliveries/{}", segment(hook), segment(delivery))
}

fn state(word: &str) -> Markup {
    let mood = match word {
        "accepted" => Mood::Good,
        "parked" => Mood::Bad,
        _ => Mood::Care,
    };
    badge_as(word, mood)
}

/// Deliveries as a table.
pub fn table(visit: &Visit, hook: &str, deliveries: &[Value]) -> Table {
    Table::new("Deliveries")
        .columns(&["Delivery", "Event", "State"])
        .number("Tries")
        .columns(&["Next try", "Created", "Finished", ""])
        .empty("No delivery matches.")
        .rows(deliveries, |one| {
            let id = text(one, "id");
            vec![
                link_short(&here(hook, id), id),
                html! { (text(one, "eventType")) },
                state(text(one, "state")),
                count(number(one, "tries")),
                time::time(text(one, "nextTryAt")),
                time::time(text(one, "createdAt")),
                time::time(text(one, "finishedAt")),
                again(visit, hook, one),
            ]
        })
}

fn again(visit: &Visit, hook: &str, one: &Value) -> Markup {
    let path = format!("{}/redeliver", here(hook, text(one, "id")));
    html! {
        @if matches!(text(one, "state"), "accepted" | "parked") {
            (form::button(visit, &path, "Redeliver"))
        }
    }
}

async fn show(visit: Visit) -> Outcome {
    let hook = visit.param("id");
    let one = visit.api.get(api(&visit)).json().await?;
    let facts = Facts::new()
        .add("Webhook", link_short(&page_of("webhooks", hook), hook))
        .add_text("Event", text(&one, "eventType"))
        .add("Id of the event", short(text(&one, "eventId")))
        .add("In order with", short(text(&one, "key")))
        .add("Created", time::time(text(&one, "createdAt")))
        .add("Next try", time::time(text(&one, "nextTryAt")))
        .add("Finished", time::time(text(&one, "finishedAt")));
    let tries = Table::new("Tries")
        .number("Try")
        .columns(&["At", "Answer"])
        .number("Time")
        .empty("It was not tried yet.")
        .rows(items(&one, "log"), |tried| {
            vec![
                count(number(tried, "number")),
                time::time(text(tried, "at")),
                html! { (shown(tried, "status")) " " (text(tried, "error")) },
                html! { (number(tried, "durationMs")) " ms" },
            ]
        });
    let content = html! {
        (facts)
        (section("tries", "Tries", tries.render()))
        (section("body", "What is sent", html! { pre.proof tabindex="0" { (text(&one, "body")) } }))
    };
    let beside = html! {
        (short(visit.param("delivery"))) " " (state(text(&one, "state"))) " "
        (again(&visit, hook, &one))
    };
    Ok(Page::new("Delivery", content).beside(beside).into())
}

async fn redeliver(visit: Visit) -> Outcome {
    let path = here(visit.param("id"), visit.param("delivery"));
    let ask = visit.api.post(format!("{}/redeliver", api(&visit)));
    Reply::after(ask.json().await, path, "It is queued again.")
}
