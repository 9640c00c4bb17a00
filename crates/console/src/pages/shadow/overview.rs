//! `GET /console/shadow`: how much comes in, in which states it is, and what waits for people.

use florin_platform::http::router::Routes;
use maud::{Markup, Render, html};
use serde_json::Value;

use super::{API, alerts};
use crate::Console;
use crate::api::{ApiError, items};
use crate::reply::{Outcome, Page};
use crate::ui::chart::{Bar, bars, spark};
use crate::ui::facts::{Figure, figures};
use crate::ui::money::count;
use crate::ui::table::Table;
use crate::ui::{either, live, section, time};
use crate::visit::{Visit, get};
use crate::watch::{RANGES, Range, Window};

/// Seconds between two looks.
const LOOK: u32 = 5;

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/shadow", show)
}

async fn show(visit: Visit) -> Outcome {
    let range = Range::of(visit.query("range"));
    let window = visit.console.watch().window(range);
    let open = visit.api.get(format!("{API}/alerts"));
    let open = open.query("state", "open").query("limit", "10");
    let open = open.json().await;
    let content = html! {
        ul.tabs {
            @for one in RANGES {
                li {
                    a href=(visit.here_with(&[("range", one.word)]))
                        aria-current=[(one == range).then_some("page")] { (one.name) }
                }
            }
        }
        (live("figures", LOOK, html! {
            (numbers(&window))
            div.columns {
                (section("states", "Events by state", states(&window)))
                (section("results", "Events by what became of them at the door", results(&window)))
            }
            (topics(&window))
            p.note {
                "Figures of the process that answers " code { "/metrics" } " here; events that are "
                "applied are counted once a minute. Every row stands in "
                a href="/console/shadow/events" { "Events" } "."
            }
        }))
        (live("alerts", 15, section("open-alerts", "Open alerts", open_alerts(&visit, &open))))
    };
    Ok(Page::new("Shadow ledger", content).into())
}

fn whole(value: f64) -> Markup {
    count(value.max(0.0) as u64)
}

fn numbers(window: &Window) -> Markup {
    let rates = window.rates("shadow_events_total");
    let last = rates.last().copied().unwrap_or(0.0);
    let mut shown = vec![
        Figure::new("Events per second", format!("{last:.1}"))
            .href("/console/shadow/events")
            .picture(spark(&rates, "Events per second")),
    ];
    let gauges = [
        (
            "shadow_event_state:held",
            "Held",
            "/console/shadow/events?state=held",
        ),
        (
            "shadow_event_state:held_for_review",
            "Held for review",
            "/console/shadow/events?state=held_for_review",
        ),
        (
            "shadow_event_state:rejected",
            "Rejected",
            "/console/shadow/events?state=rejected",
        ),
        (
            "shadow_dead_letters:parked",
            "Dead letters",
            "/console/shadow/dead-letters",
        ),
        (
            "shadow_corrections_open",
            "Corrections that wait",
            "/console/shadow/corrections",
        ),
        (
            "shadow_drift_unexplained",
            "Unexplained drift",
            "/console/shadow/drift",
        ),
        ("shadow_books", "Books", "/console/shadow/accounts"),
    ];
    for (series, name, href) in gauges {
        if let Some(value) = window.newest(series) {
            let values = window.values(series);
            let figure = Figure::new(name, whole(value)).href(href);
            shown.push(figure.picture(spark(&values, name)));
        }
    }
    for (series, name) in [
        ("shadow_deadline_lag_seconds", "Deadlines are late by"),
        ("shadow_feed_lag_seconds", "Linked books are late by"),
    ] {
        if let Some(value) = window.newest(series) {
            shown.push(Figure::new(name, time::seconds(value)));
        }
    }
    figures(&shown)
}

fn states(window: &Window) -> Markup {
    let mood = |word: &str| match word {
        "applied" => "good",
        "rejected" => "bad",
        _ => "care",
    };
    let found = window.labels("shadow_event_state");
    let found: Vec<Bar> = found
        .into_iter()
        .map(|(word, value)| {
            let href = format!("/console/shadow/events?state={word}");
            Bar::new(word.replace('_', " "), value, whole(value))
                .href(href)
                .mood(mood(&word))
        })
        .collect();
    match found.is_empty() {
        true => html! { p.empty { "Nothing was measured yet." } },
        false => bars("Events by state", &found),
    }
}

fn results(window: &Window) -> Markup {
    let found = window.labels("shadow_events_total");
    let found: Vec<Bar> = found
        .into_iter()
        .map(|(word, value)| Bar::new(word.replace('_', " "), value, whole(value)))
        .collect();
    match found.is_empty() {
        true => html! { p.empty { "Nothing came in since this process began." } },
        false => bars("Since the process began", &found),
    }
}

fn topics(window: &Window) -> Markup {
    let lags = window.labels("shadow_kafka_lag");
    if lags.is_empty() {
        return html! {};
    }
    let mut table = Table::new("Topics").column("Topic").number("Not taken yet");
    for (topic, lag) in lags {
        table.row(vec![html! { code { (topic) } }, whole(lag)]);
    }
    section("topics", "Topics", table.render())
}

fn open_alerts(visit: &Visit, open: &Result<Value, ApiError>) -> Markup {
    either(open, |page| {
        html! {
            (alerts::table(visit, items(page, "items")).empty("No alert is open."))
            p { a href="/console/shadow/alerts" { "All alerts" } }
        }
    })
}
