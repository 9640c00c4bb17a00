//! Webhooks of an organisation: receivers, the log of deliveries, sending again.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{api_org, csv, org_path};
use crate::Console;
use crate::api::{items, number, segment, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::confirm::Confirm;
use crate::ui::facts::Facts;
use crate::ui::filter::Filter;
use crate::ui::form;
use crate::ui::money::count;
use crate::ui::table::{Table, pager};
use crate::ui::{link_short, section, time};
use crate::visit::{Visit, get, post};

const FILTERS: [&str; 1] = ["state"];
const RECEIVERS: &[(&str, &str)] = &[
    ("Id", "id"),
    ("Address", "url"),
    ("State", "status"),
    ("Why disabled", "disabledReason"),
    ("Created", "createdAt"),
];
const COLUMNS: &[(&str, &str)] = &[
    ("Id", "id"),
    ("Event", "eventType"),
    ("Event id", "eventId"),
    ("State", "state"),
    ("Tries", "tries"),
    ("Next try", "nextTryAt"),
    ("Created", "createdAt"),
    ("Finished", "finishedAt"),
];
const TRIES: csv::Columns = &[
    ("Try", "number"),
    ("At", "at"),
    ("Status", "status"),
    ("Error", "error"),
    ("Milliseconds", "durationMs"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let all = "/console/ticketing/organisations/{id}/webhooks";
    let one = "/console/ticketing/organisations/{id}/webhooks/{hook}";
    let delivery = "/console/ticketing/organisations/{id}/webhooks/{hook}/deliveries/{delivery}";
    let routes = get(routes, all, list);
    let routes = get(routes, one, show);
    let routes = get(routes, delivery, detail);
    let routes = post(
        routes,
        "/console/ticketing/organisations/{id}/webhooks/{hook}/test",
        |visit| act(visit, "test", "A ping is on its way."),
    );
    let routes = post(
        routes,
        "/console/ticketing/organisations/{id}/webhooks/{hook}/replay",
        |visit| act(visit, "replay", "What was parked is sent again."),
    );
    post(
        routes,
        "/console/ticketing/organisations/{id}/webhooks/{hook}/deliveries/{delivery}/redeliver",
        redeliver,
    )
}

fn api_hook(visit: &Visit, rest: &str) -> String {
    api_org(
        visit,
        &format!("/webhooks/{}{rest}", segment(visit.param("hook"))),
    )
}

fn hook_path(visit: &Visit, hook: &str) -> String {
    format!("{}/webhooks/{}", org_path(visit.param("id")), segment(hook))
}

fn delivery_path(visit: &Visit, delivery: &str) -> String {
    let hook = hook_path(visit, visit.param("hook"));
    format!("{hook}/deliveries/{}", segment(delivery))
}

fn state(word: &str) -> Markup {
    let mood = match word {
        "enabled" | "accepted" => Mood::Good,
        "ready" | "waiting" => Mood::Care,
        "disabled" | "parked" => Mood::Bad,
        _ => Mood::Plain,
    };
    badge_as(word, mood)
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, api_org(&visit, "/webhooks"));
    if visit.exports() {
        return list.export("webhooks", RECEIVERS).await;
    }
    let page = list.page().await?;
    let table = Table::new("Receivers")
        .columns(&["Address", "State", "Events", "Created"])
        .empty("No receiver is registered.")
        .rows(items(&page, "items"), |hook| {
            vec![
                html! { a href=(hook_path(&visit, text(hook, "id"))) { (text(hook, "url")) } },
                html! {
                    (state(text(hook, "status"))) " " span.note { (text(hook, "disabledReason")) }
                },
                html! { (events(hook)) },
                time::time(text(hook, "createdAt")),
            ]
        });
    let content = html! {
        p { a href=(org_path(visit.param("id"))) { "The organisation" } }
        (table) (pager(&visit, &page, true))
    };
    Ok(Page::new("Webhooks", content).into())
}

fn events(hook: &Value) -> String {
    let names = items(hook, "events").iter().filter_map(Value::as_str);
    match names.collect::<Vec<_>>() {
        names if names.is_empty() => "all".to_owned(),
        names => names.join(", "),
    }
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, api_hook(&visit, "/deliveries")).filters(&FILTERS);
    if visit.exports() {
        return list.export("deliveries", COLUMNS).await;
    }
    let hook = visit.api.get(api_hook(&visit, "")).json();
    let (hook, page) = join(hook, list.page()).await;
    let (hook, page) = (hook?, page?);
    let path = hook_path(&visit, visit.param("hook"));
    let replay = Confirm {
        id: "replay",
        label: "Send parked ones again",
        text: html! { "Every delivery that was given up is queued anew, and the receiver enabled." },
        action: &format!("{path}/replay"),
        fields: html! {},
        danger: false,
    };
    let content = html! {
        (Facts::new()
            .add("Id", html! { code { (text(&hook, "id")) } })
            .add_text("Events", &events(&hook))
            .add_text("Why disabled", text(&hook, "disabledReason"))
            .add("Created", time::time(text(&hook, "createdAt"))))
        (section("log", "Deliveries, newest first", html! {
            (Filter::new(&visit)
                .choice("state", "State", &["ready", "waiting", "accepted", "parked"]).render())
            (deliveries(&visit, items(&page, "items")))
            (pager(&visit, &page, true))
        }))
        p { a href={ (org_path(visit.param("id"))) "/webhooks" } { "All receivers" } }
    };
    let beside = html! {
        (state(text(&hook, "status"))) " "
        (form::button(&visit, &format!("{path}/test"), "Send a ping")) " "
        (replay.render(&visit))
    };
    Ok(Page::new(text(&hook, "url"), content).beside(beside).into())
}

fn deliveries(visit: &Visit, deliveries: &[Value]) -> Table {
    Table::new("Deliveries")
        .columns(&["Delivery", "Event", "State"])
        .number("Tries")
        .columns(&["Next try", "Created", "Finished", ""])
        .empty("Nothing was sent.")
        .rows(deliveries, |delivery| {
            let id = text(delivery, "id");
            vec![
                link_short(&delivery_path(visit, id), id),
                html! { (text(delivery, "eventType")) },
                state(text(delivery, "state")),
                html! {
                    a href={ (delivery_path(visit, id)) "#tries" } { (count(number(delivery, "tries"))) }
                },
                time::time(text(delivery, "nextTryAt")),
                time::time(text(delivery, "createdAt")),
                time::time(text(delivery, "finishedAt")),
                again(visit, delivery),
            ]
        })
}

/// Only what has ended can be sent again.
fn again(visit: &Visit, delivery: &Value) -> Markup {
    if !matches!(text(delivery, "state"), "accepted" | "parked") {
        return html! {};
    }
    let path = format!("{}/redeliver", delivery_path(visit, text(delivery, "id")));
    form::button(visit, &path, "Redeliver")
}

async fn detail(visit: Visit) -> Outcome {
    let path = format!("/deliveries/{}", segment(visit.param("delivery")));
    let delivery = visit.api.get(api_hook(&visit, &path)).json().await?;
    if visit.exports() {
        return csv::whole("delivery-tries", TRIES, items(&delivery, "log"));
    }
    let tries = Table::new("Tries")
        .number("Try")
        .columns(&["At", "Answer"])
        .number("Took")
        .empty("It was not tried yet.")
        .rows(items(&delivery, "log"), |tried| {
            vec![
                count(number(tried, "number")),
                time::time(text(tried, "at")),
                answer(tried),
                html! { (number(tried, "durationMs")) " ms" },
            ]
        });
    let content = html! {
        (Facts::new()
            .add("Id", html! { code { (text(&delivery, "id")) } })
            .add("Event id", html! { code { (text(&delivery, "eventId")) } })
            .add("Created", time::time(text(&delivery, "createdAt")))
            .add("Next try", time::time(text(&delivery, "nextTryAt")))
            .add("Finished", time::time(text(&delivery, "finishedAt"))))
        (section("tries", "Tries", html! { (tries) (pager(&visit, &delivery, true)) }))
        (section("body", "What is sent", html! { pre { code { (text(&delivery, "body")) } } }))
        p { a href=(hook_path(&visit, visit.param("hook"))) { "All deliveries to this receiver" } }
    };
    let beside = html! { (state(text(&delivery, "state"))) " " (again(&visit, &delivery)) };
    let title = format!("Delivery of {}", text(&delivery, "eventType"));
    Ok(Page::new(title, content).beside(beside).into())
}

fn answer(tried: &Value) -> Markup {
    let status = number(tried, "status");
    let mood = match status {
        200..=299 => Mood::Good,
        _ => Mood::Bad,
    };
    html! {
        @match status {
            0 => (badge_as("no answer", mood)),
            _ => (badge_as(&shown(tried, "status"), mood)),
        }
        " " span.note { (text(tried, "error")) }
    }
}

async fn act(visit: Visit, what: &'static str, done: &'static str) -> Outcome {
    let path = api_hook(&visit, &format!("/{what}"));
    let result = visit.api.post(path).json_body(&json!({})).json().await;
    Reply::after(result, hook_path(&visit, visit.param("hook")), done)
}

async fn redeliver(visit: Visit) -> Outcome {
    let path = format!("/deliveries/{}/redeliver", segment(visit.param("delivery")));
    let ask = visit.api.post(api_hook(&visit, &path));
    let result = ask.json_body(&json!({})).json().await;
    let back = hook_path(&visit, visit.param("hook"));
    Reply::after(result, back, "It is queued again.")
}
